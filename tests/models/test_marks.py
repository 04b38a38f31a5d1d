"""Calls that a server leaves in the text, because it does not know the marks of its own model."""

import json
import time

import pytest

from tests.models.test_wire import DONE, TOOLS, Wire, calls, delta, piece, until
from tinyagent import Limits, Notice, TextDelta, Tool, ToolStarted
from tinyagent.errors import EmptyReplyError, ProtocolError, StepLimitReached, StreamInterruptedError
from tinyagent.events import CallSealed, ReasoningDelta
from tinyagent.models.base import NullSink
from tinyagent.models.marks import MarkSplitter, read_calls
from tinyagent.models.said import Said
from tinyagent.models.schema_protocol import SchemaReply
from tinyagent.models.text_protocol import TextReply
from tinyagent.testing import CUT, RawStream, Reply, call

ADD = ("add", {"a": 2, "b": 3})
NOW = ("now", {})
JSON = '{"name": "add", "arguments": {"a": 2, "b": 3}}'
PYTHON = "{'tool': 'add', 'args': {'a': 2, 'b': 3}}"


async def note(text: str, tags: list[str] | None = None, count: int = 1, loud: bool = False) -> str:
    """Write it down."""
    return json.dumps([text, tags, count, loud])


MANY = (*TOOLS, note)
NAMED = [Tool(tool) for tool in MANY]
LONG = ("note", {"text": "two\nlines <b>&</b> 5", "tags": ["a", "b"], "count": 2, "loud": True})
DIGITS = ("note", {"text": "12"})

#: Texts as the chat templates of models have them written, and the calls in them.
MARKED = {
    "Hermes": (f"<tool_call>\n{JSON}\n</tool_call>", [ADD]),
    "Hermes, several": (f'<tool_call>{JSON}</tool_call>\n<tool_call>{{"name": "now"}}</tool_call>', [ADD, NOW]),
    "Hermes, without an end": (f"<tool_call>\n{JSON}", [ADD]),
    "Hermes, with Python": (f"<tool_call>{PYTHON}</tool_call>", [ADD]),
    "Hermes, several behind one mark": (f'<tool_call>{JSON}\n{{"name": "now"}}</tool_call>', [ADD, NOW]),
    "Qwen-Coder": (
        (
            "<tool_call>\n<function=note>\n<parameter=text>\ntwo\nlines <b>&</b> 5\n</parameter>\n<parameter=tags>\n"
            '["a", "b"]\n</parameter>\n<parameter=count>\n2\n</parameter>\n<parameter=loud>\nTrue\n</parameter>\n'
            "</function>\n</tool_call>"
        ),
        [LONG],
    ),
    "Qwen-Coder, without its outer mark": (
        "<function=note><parameter=text>12</parameter></function></tool_call>\n<function=now>\n</function>",
        [DIGITS, NOW],
    ),
    "Qwen-Coder, a value with an end in it": (
        "<tool_call><function=note><parameter=text>a </parameter> b</parameter></function></tool_call>",
        [("note", {"text": "a </parameter> b"})],
    ),
    "Seed": (
        "<seed:tool_call>\n<function=note>\n<parameter=text>12</parameter>\n</function>\n</seed:tool_call>",
        [DIGITS],
    ),
    "Llama 3.1, an own function": ('<function=add>{"a": 2, "b": 3}</function>', [ADD]),
    "Llama, JSON": ('<|python_tag|>{"name": "add", "parameters": {"a": 2, "b": 3}}', [ADD]),
    "Llama, several": (f'<|python_tag|>{JSON}; {{"name": "now", "parameters": {{}}}}<|eom_id|>', [ADD, NOW]),
    "Llama, Python": ("<|python_tag|>add(a=2, b=3)", [ADD]),
    "Llama, a method": ('<|python_tag|>note.call(text="12")<|eom_id|>', [DIGITS]),
    "Llama, a list": ("<|python_tag|>[add(a=2, b=3), now()]", [ADD, NOW]),
    "Llama, positional": ("<|python_tag|>add(2, b=3)", [ADD]),
    "Llama, JSON's words in Python": (
        '<|python_tag|>note(text="12", loud=true, tags=null)',
        [("note", {"text": "12", "loud": True, "tags": None})],
    ),
    "Mistral, a list": (f'[TOOL_CALLS] [{JSON}, {{"name": "now", "arguments": {{}}, "id": "abcDEF123"}}]', [ADD, NOW]),
    "Mistral, the arguments first": ('[TOOL_CALLS][{"arguments": {"a": 2, "b": 3}, "name": "add"}]', [ADD]),
    "Mistral, names": ('[TOOL_CALLS]add[ARGS]{"a": 2, "b": 3}[TOOL_CALLS]now[ARGS]{}</s>', [ADD, NOW]),
    "Mistral, names and ids": (
        '[TOOL_CALLS]add[CALL_ID]abcDEF123[ARGS]{"a": 2, "b": 3}[TOOL_CALLS]now[CALL_ID]xyzXYZ789[ARGS]{}',
        [ADD, NOW],
    ),
    "Mistral, names alone": ('[TOOL_CALLS]add{"a": 2, "b": 3}', [ADD]),
    "GLM": (
        (
            "<tool_call>note\n<arg_key>text</arg_key>\n<arg_value>two\nlines <b>&</b> 5</arg_value>\n"
            '<arg_key>tags</arg_key>\n<arg_value>["a", "b"]</arg_value>\n'
            "<arg_key>count</arg_key>\n<arg_value>2</arg_value>\n<arg_key>loud</arg_key>\n<arg_value>true</arg_value>\n</tool_call>"
        ),
        [LONG],
    ),
    "GLM, on one line": (
        "<tool_call>note<arg_key>text</arg_key><arg_value>12</arg_value></tool_call><tool_call>now</tool_call>",
        [DIGITS, NOW],
    ),
    "DeepSeek 3": (
        (
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n"
            '```json\n{"a": 2, "b": 3}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n'
            "```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>"
        ),
        [ADD, NOW],
    ),
    "DeepSeek 3.1": (
        (
            '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 2, "b": 3}<｜tool▁call▁end｜>'
            "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
        ),
        [ADD, NOW],
    ),
    "DeepSeek 3.2": (
        (
            '<｜DSML｜function_calls>\n<｜DSML｜invoke name="note">\n'
            '<｜DSML｜parameter name="text" string="true">12</｜DSML｜parameter>\n'
            '<｜DSML｜parameter name="tags" string="false">["a"]</｜DSML｜parameter>\n</｜DSML｜invoke>\n'
            '<｜DSML｜invoke name="now">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>'
        ),
        [("note", {"text": "12", "tags": ["a"]}), NOW],
    ),
    "MiniMax": (
        (
            '<minimax:tool_call>\n<invoke name="note">\n<parameter name="text">12</parameter>\n</invoke>\n'
            '<invoke name="now">\n</invoke>\n</minimax:tool_call>'
        ),
        [DIGITS, NOW],
    ),
    "Granite": (f'<|tool_call|>[{JSON}, {{"name": "now", "arguments": {{}}}}]', [ADD, NOW]),
    "Granite 3.1": (f"<tool_call>[{JSON}]", [ADD]),
    "Kimi": (
        (
            "<|tool_calls_section_begin|><|tool_call_begin|>functions.add:0<|tool_call_argument_begin|>"
            '{"a": 2, "b": 3}<|tool_call_end|><|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>{}'
            "<|tool_call_end|><|tool_calls_section_end|>"
        ),
        [ADD, NOW],
    ),
    "LFM2": ("<|tool_call_start|>[add(a=2, b=3), now()]<|tool_call_end|>", [ADD, NOW]),
    "Nemotron": (f"<TOOLCALL>[{JSON}]</TOOLCALL>", [ADD]),
    "Jamba": (f"<tool_calls>[{JSON}]</tool_calls>", [ADD]),
    "gpt-oss": (
        '<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 2, "b": 3}<|call|>',
        [ADD],
    ),
    "gpt-oss, the recipient first": (
        (
            '<|start|>assistant to=functions.add<|channel|>commentary json<|message|>{"a": 2, "b": 3}<|call|>'
            "<|start|>assistant to=functions.now<|channel|>commentary<|message|>{}<|call|>"
        ),
        [ADD, NOW],
    ),
}

#: The same without marks: nothing else is in the text.
ALONE = {
    "name, arguments": JSON,
    "name, parameters": '{"name": "add", "parameters": {"a": 2, "b": 3}}',
    "tool, args": '{"tool": "add", "args": {"a": 2, "b": 3}}',
    "tool_name, tool_input": '{"tool_name": "add", "tool_input": {"a": 2, "b": 3}}',
    "function, input": '{"function": "add", "input": {"a": 2, "b": 3}}',
    "action, action_input": '{"thought": "add", "action": "add", "action_input": {"a": 2, "b": 3}}',
    "the arguments as text": '{"name": "add", "arguments": "{\\"a\\": 2, \\"b\\": 3}"}',
    "the form of the API": f'{{"id": "c1", "type": "function", "function": {JSON}}}',
    "tool_calls": f'{{"tool_calls": [{{"type": "function", "function": {JSON}}}]}}',
    "parallel": '{"tool_uses": [{"recipient_name": "functions.add", "parameters": {"a": 2, "b": 3}}]}',
    "a list": f"[{JSON}]",
    "a Python dict": PYTHON,
    "a list of Python dicts": f"[{PYTHON}]",
    "Python's words": '{"tool": "add", "arguments": {"a": 2, "b": 3,}, "id": None}',
    "a fence": f"```json\n{JSON}\n```",
    "white space": f"\n\n  {JSON}  \n",
    "one bracket too many": JSON + "}",
    "a Python list": "[add(a=2, b=3)]",
    "the form of the API in a fence": f"```\n{JSON}\n```",
}
#: Texts that hold no call, however much they look like one.
TEXTS = [
    "Use <tool_call> to call a tool.",
    '<tool_call>{"name": "gone", "arguments": {}}</tool_call>',
    '{"name": "gone", "arguments": {"a": 2}}',
    '{"name": "add", "description": "a tool", "price": 5}',
    '{"sum": 5}',
    "[1, 2, 3]",
    "[add]",
    "[add, now](https://example.com)",
    "```python\nadd(a=2, b=3)\n```",
    f"`{JSON}`",
    f"Write {JSON}, and it is called.",
    f"{JSON} is how it is written.",
    f"Write `<tool_call>{JSON}</tool_call>` around it.",
    "a < b, [b] and <i>c</i>",
    "```\nx\n```\nand `code`",
    "[TOOL_CALLS]",
    "<function=gone>\n</function>",
    "<|python_tag|>print(1)",
    "The tags <tool_call> and </tool_call> surround adders.",
]


@pytest.fixture(params=["plain", "streamed"])
def wire(request):
    """A wire for replies of both kinds."""
    return Letters(streamed=request.param == "streamed")


@pytest.fixture
def stream():
    """A wire for what only a stream can do."""
    return Letters(streamed=True)


class Letters(Wire):
    """A wire whose streams bring text in pieces of `size` letters."""

    def say(self, text, finish="stop", *, size=1, **more):
        if not self.streamed:
            return self.reply({"content": text, **more}, finish)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        return RawStream([*map(delta, pieces), delta(finish=finish), DONE])

    async def call(self, text, *, finish="stop", tools=MANY, size=1, **options):
        """The result of a run in which the model writes this, and then an answer."""
        return await self.ask(
            self.say(text, finish, size=size), self.reply({"content": "Done."}), tools=tools, **options
        )


def called(result):
    return [(call.name, call.arguments) for call in result.steps[0].message.calls]


def replayed(wire):
    """The calls in the history, in the form of the API."""
    message = wire.requests[1].messages[1]
    assert message["role"] == "assistant"
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message["tool_calls"]]


# ---- a call in the model's own marks


@pytest.mark.parametrize(("text", "found"), MARKED.values(), ids=MARKED)
async def test_a_call_in_a_models_own_marks_is_a_call(wire, text, found):
    result = await wire.call(text)
    assert called(result) == found
    assert result.output == "Done."
    assert result.steps[0].message.text == ""
    assert [seen.error for seen in result.steps[0].observations] == [None] * len(found)
    assert replayed(wire) == found
    assert wire.requests[1].messages[1]["content"] is None
    assert len(wire.told()) == len(found)
    if wire.streamed:
        assert wire.text() == "Done."
        assert [sealed.call.name for sealed in wire.of(CallSealed)] == [name for name, _ in found]


@pytest.mark.parametrize(("text", "found"), MARKED.values(), ids=MARKED)
@pytest.mark.parametrize("size", [3, 1000])
async def test_what_stands_before_a_mark_is_text_and_is_streamed(stream, text, found, size):
    result = await stream.call(f"Let me see: a < b [1].\n{text}", size=size)
    assert called(result) == found
    assert result.steps[0].message.text == "Let me see: a < b [1].\n"
    assert stream.text() == "Let me see: a < b [1].\nDone."
    assert stream.requests[1].messages[1]["content"] == "Let me see: a < b [1].\n"


async def test_what_stands_before_a_mark_is_shown_while_the_model_writes(stream):
    def parts():
        yield delta("Let me see. ")
        yield delta("<tool_")
        yield from until(lambda: stream.of(TextDelta))
        yield delta(f"call>{JSON}</tool_call>")
        yield delta(finish="stop")

    await stream.ask(RawStream(parts()), "Done.")
    assert next(event.text for event in stream.of(TextDelta)) == "Let me see. "
    assert "tool" not in stream.text()


async def test_what_follows_the_calls_is_dropped(wire):
    result = await wire.call(f"<tool_call>{JSON}</tool_call>\n<tool_response>\n6\n</tool_response>\nIt is 6.")
    assert called(result) == [ADD]
    assert result.output == "Done."
    assert wire.told() == {result.steps[0].message.calls[0].id: "5"}


async def test_thoughts_before_a_mark_stay_thoughts(wire):
    result = await wire.call(f"<think>How about <tool_call>now</tool_call>?</think>\n<tool_call>{JSON}</tool_call>")
    assert called(result) == [ADD]
    assert result.steps[0].message.reasoning == "How about <tool_call>now</tool_call>?"


@pytest.mark.parametrize("text", TEXTS)
async def test_text_is_text(wire, text):
    result = await wire.ask(wire.say(text))
    assert result.output == text
    assert wire.text() == (text if wire.streamed else "")


@pytest.mark.parametrize("text", [MARKED["Hermes"][0], MARKED["gpt-oss"][0], JSON])
async def test_without_tools_nothing_is_a_call(wire, text):
    assert (await wire.ask(wire.say(text), tools=())).output == text


async def test_with_proper_calls_marks_are_text(wire):
    text = f'<tool_call>{{"name": "now"}}</tool_call> {JSON}'
    proper = {"name": "add", "arguments": '{"a": 2, "b": 3}'}
    result = await wire.ask(wire.reply({**calls(proper), "content": text}), wire.reply({"content": "Done."}))
    assert called(result) == [ADD]
    assert result.steps[0].message.text == text
    if wire.streamed:
        assert wire.text() == f"{text}Done."


async def test_an_unknown_tool_beside_a_known_one_is_told(wire):
    result = await wire.call(f'<tool_call>{{"name": "gone"}}</tool_call><tool_call>{JSON}</tool_call>')
    assert called(result) == [("gone", {}), ADD]
    assert "There is no tool named 'gone'" in next(iter(wire.told().values()))


async def test_a_marked_call_where_none_is_allowed_is_no_answer(wire):
    text = f"<tool_call>{JSON}</tool_call>"
    with pytest.raises(StepLimitReached):
        await wire.ask(wire.say(text), wire.say(text), limits=Limits(steps=1))


async def test_a_stream_cut_in_a_mark_is_no_answer(stream):
    with pytest.raises(StreamInterruptedError):
        await stream.ask(RawStream([delta(f"<tool_call>{JSON}"), CUT]))
    assert not stream.of(ToolStarted, TextDelta)


# ---- nothing else in the text


@pytest.mark.parametrize("text", ALONE.values(), ids=ALONE)
async def test_an_object_that_names_a_tool_on_offer_is_a_call(wire, text):
    result = await wire.call(text)
    assert called(result) == [ADD]
    assert wire.text() == ("Done." if wire.streamed else "")
    assert replayed(wire) == [ADD]
    assert list(wire.told().values()) == ["5"]


@pytest.mark.parametrize("text", ALONE.values(), ids=ALONE)
async def test_an_object_that_names_a_tool_on_offer_is_a_call_in_the_text_protocol(wire, text):
    model = {"tool_calling": "json"}
    result = await wire.ask(wire.say(text), wire.reply({"content": '{"answer": "Done."}'}), model=model)
    assert called(result) == [ADD]
    assert result.output == "Done."
    assert wire.requests[1].messages[-1]["content"].endswith(":\n5")


@pytest.mark.parametrize(("text", "found"), MARKED.values(), ids=MARKED)
async def test_a_call_in_a_models_own_marks_is_a_call_in_the_text_protocol(wire, text, found):
    answer = wire.reply({"content": '{"answer": "Done."}'})
    result = await wire.ask(wire.say(f"Well.\n{text}"), answer, model={"tool_calling": "json"}, tools=MANY)
    assert called(result) == found
    assert result.output == "Done."
    assert wire.text().split() == (["Well.", "Done."] if wire.streamed else [])


@pytest.mark.parametrize("text", [f"I will add them: {JSON}", f"Now: {PYTHON} and so on."])
async def test_in_the_text_protocol_text_may_stand_around_it(wire, text):
    answer = wire.reply({"content": '{"answer": "Done."}'})
    result = await wire.ask(wire.say(text), answer, model={"tool_calling": "json"})
    assert called(result) == [ADD]


@pytest.mark.parametrize("between", ["\n", "; ", ", ", "\n```\n```json\n"])
async def test_several_objects_are_several_calls(wire, between):
    assert called(await wire.call(f'{JSON}{between}{{"name": "now"}}')) == [ADD, NOW]


async def test_an_answer_in_json_is_streamed_as_it_comes(stream):
    def parts():
        yield delta('{"city"')
        yield delta(': "Oslo",')
        yield from until(lambda: stream.of(TextDelta))
        yield delta(' "warm": false}')
        yield delta(finish="stop")

    assert (await stream.ask(RawStream(parts()))).output == '{"city": "Oslo", "warm": false}'


# ---- what cannot be read

BROKEN = {
    "Hermes": '<tool_call>{"name": "add", "arguments": {"a": 2, "b": }}</tool_call>',
    "Hermes, no form": "<tool_call>call add with 2 and 3</tool_call>",
    "Mistral": '[TOOL_CALLS]add[ARGS]{"a": 2, "b": three}',
    "Mistral, a list": '[TOOL_CALLS][{"name": "add", "arguments": {"a": 2, "b" 3}}]',
    "Qwen-Coder": "<tool_call><function=add><parameter=a>2",
    "GLM": "<tool_call>add<arg_key>a</arg_key><arg_value>2",
    "Llama": "<|python_tag|>add(a=2, b=)",
    "Llama, a name": "<|python_tag|>add(a=2, b=x)",
    "DeepSeek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{a: 2}<｜tool▁call▁end｜>",
    "Kimi": "<|tool_call_begin|>functions.add:0<|tool_call_argument_begin|>{a: 2}<|tool_call_end|>",
    "gpt-oss": "<|channel|>commentary to=functions.add<|message|>a is 2<|call|>",
    "no number": '<tool_call>{"name": "add", "arguments": {"a": 2, "b": NaN}}</tool_call>',
    "no arguments": '<tool_call>{"tool": "add", "a": 2, "b": 3}</tool_call>',
    "an object": '{"name": "add", "arguments": {"a": 2, "b": }}',
    "an object without arguments": '{"tool": "add", "a": 2, "b": 3}',
    "arguments that are a list": '{"name": "add", "arguments": [2, 3]}',
    "too deep": '{"name": "add", "arguments": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
async def test_a_call_that_cannot_be_read_is_told_and_is_never_the_answer(wire, text):
    result = await wire.call(text, size=7)
    assert result.output == "Done."
    (observation,) = result.steps[0].observations
    assert observation.call.name == "add"
    assert observation.call.problem is not None
    assert list(wire.told().values()) == [observation.error]
    assert wire.text() == ("Done." if wire.streamed else "")


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
async def test_a_call_that_cannot_be_read_is_told_in_the_text_protocol(wire, text):
    answer = wire.reply({"content": '{"answer": "Done."}'})
    result = await wire.ask(wire.say(text, size=7), answer, model={"tool_calling": "json"})
    assert result.output == "Done."
    (observation,) = result.steps[0].observations
    assert observation.call.problem is not None


async def test_a_call_that_can_be_read_runs_beside_one_that_cannot(wire):
    result = await wire.call(f"{BROKEN['Hermes']}<tool_call>{JSON}</tool_call>")
    first, second = result.steps[0].observations
    assert (first.value, second.value) == (None, 5)


@pytest.mark.parametrize(
    "mark", ["Hermes", "Qwen-Coder", "GLM", "Kimi", "Mistral, names", "DeepSeek 3.1", "Llama, list"]
)
async def test_a_marked_call_cut_by_the_token_limit_is_told_and_never_runs(wire, mark):
    texts = {
        "Hermes": f"<tool_call>{JSON}",
        "Qwen-Coder": "<tool_call><function=add><parameter=a>2</parameter><parameter=b>3</parameter>",
        "GLM": "<tool_call>add<arg_key>a</arg_key><arg_value>2</arg_value><arg_key>b</arg_key><arg_value>3</arg_value>",
        "Kimi": '<|tool_call_begin|>functions.add:0<|tool_call_argument_begin|>{"a": 2, "b": 3}',
        "Mistral, names": '[TOOL_CALLS]add[ARGS]{"a": 2, "b": 3}',
        "DeepSeek 3.1": '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 2, "b": 3}',
        "Llama, list": "<|python_tag|>add(a=2, b=3)",
    }
    begun = len(MARKS[mark])
    text = texts[mark]
    for cut in {begun + 1, begun + 4, begun + (len(text) - begun) // 2, len(text) - 1}:
        result = await wire.call(text[:cut], finish="length", size=9)
        assert "cut by the token limit" in next(iter(wire.told().values())), text[:cut]
        assert result.steps[0].observations[0].value is None
        assert result.output == "Done."


MARKS = {
    "Hermes": "<tool_call>",
    "Qwen-Coder": "<tool_call><function=",
    "GLM": "<tool_call>",
    "Kimi": "<|tool_call_begin|>functions.",
    "Mistral, names": "[TOOL_CALLS]",
    "DeepSeek 3.1": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>",
    "Llama, list": "<|python_tag|>",
}


@pytest.mark.parametrize("text", ['{"scratchpad": "I add."}', '```json\n{"thought": "I add."}\n```'])
@pytest.mark.parametrize("tool_calling", ["json", "native"])
async def test_an_object_with_only_a_scratchpad_is_never_the_answer(wire, text, tool_calling):
    answer = '{"answer": "Done."}' if tool_calling == "json" else "Done."
    replies = (wire.say(text), wire.reply({"content": answer}))
    result = await wire.ask(*replies, model={"tool_calling": tool_calling})
    assert result.output == "Done."
    assert result.steps[0].message.reasoning == "I add."
    assert wire.requests[1].messages[-2]["content"] == text  # the model goes on from it
    assert "neither an answer nor a call" in wire.requests[1].messages[-1]["content"]
    if wire.streamed:
        assert wire.text() == "Done."
        assert "".join(event.text for event in wire.of(ReasoningDelta)) == "I add."


async def test_scratchpads_for_ever_are_an_error(wire):
    text = '{"scratchpad": "I think."}'
    with pytest.raises(EmptyReplyError):
        await wire.ask(wire.say(text), wire.say(text), model={"tool_calling": "json"})


# ---- behind the name, and behind the arguments


@pytest.mark.parametrize(
    "name",
    ["add<|channel|>commentary", "add<|channel|>json", "add<|constrain|>json", "add:0",
     "add</tool_call>", "add[ARGS]", "add <|message|>"],
)  # fmt: skip
async def test_what_stands_behind_a_tools_name_is_cut_off(wire, name):
    function = {"name": name, "arguments": '{"a": 2, "b": 3}'}
    result = await wire.ask(wire.reply(calls(function)), wire.reply({"content": "Done."}))
    assert called(result) == [ADD]
    assert wire.told() == {"c1": "5"}
    assert replayed(wire) == [ADD]


@pytest.mark.parametrize("more", ["}", " }\n", '{"a": 2, "b": 3}', '\n{"a":2,"b":3}'])
async def test_a_bracket_too_many_or_the_object_once_more_leaves_the_call_alone(wire, more):
    function = {"name": "add", "arguments": '{"a": 2, "b": 3}' + more}
    result = await wire.ask(wire.reply(calls(function)), wire.reply({"content": "Done."}))
    assert wire.told() == {"c1": "5"}
    assert replayed(wire) == [ADD]
    if wire.streamed:
        (notice,) = wire.of(Notice)
        assert "'add'" in notice.text
    assert result.output == "Done."


@pytest.mark.parametrize("more", ["}", '{"a": 2, "b": 3}', '{"a":2,\n"b":3}'])
async def test_more_for_a_call_that_has_started_is_a_notice(stream, more):
    def parts():
        yield piece(0, "c1", "add", '{"a": 2, "b": 3}')
        yield from until(lambda: stream.of(ToolStarted))
        for letter in more:
            yield piece(0, None, None, letter)
        yield delta(finish="tool_calls")

    await stream.ask(RawStream(parts()), "Done.")
    assert stream.told() == {"c1": "5"}
    assert len(stream.of(Notice)) == 1


@pytest.mark.parametrize("more", ["}}", '}{"a": 2, "b": 3}', '{"a": 2, "b": 4}', '{"a": 2, "b": 3}{', "]", ', "c": 1}'])
async def test_anything_else_after_a_sealed_call_is_the_servers_fault(stream, more):
    parts = [piece(0, "c1", "add", '{"a": 2, "b": 3}'), *(piece(0, None, None, letter) for letter in more)]
    with pytest.raises(ProtocolError):
        await stream.ask(RawStream([*parts, delta(finish="tool_calls")]))


@pytest.mark.parametrize("more", ["}}", '{"a": 2, "b": 4}', ", and so on"])
async def test_anything_else_after_the_arguments_is_told(wire, more):
    function = {"name": "add", "arguments": '{"a": 2, "b": 3}' + more}
    await wire.ask(wire.reply(calls(function)), wire.reply({"content": "Done."}))
    assert "not valid JSON" in wire.told()["c1"]


# ---- however it is cut


@pytest.mark.parametrize("text", [*TEXTS, *ALONE.values(), *(f"See: {text}" for text, _ in MARKED.values())])
def test_the_pieces_do_not_matter(text):
    def split(*pieces):
        splitter = MarkSplitter(NAMED)
        shown = "".join(map(splitter.split, pieces))
        return shown, splitter.rest()

    whole = split(text)
    assert "".join(whole) == text
    whole = (whole[0] + whole[1], read_calls(whole[1], NAMED).calls)
    for size in (1, 2, 3, 5, 8, 13):
        shown, held = split(*(text[at : at + size] for at in range(0, len(text), size)))
        assert shown + held == text
        found = read_calls(held, NAMED)
        assert [(c.name, c.arguments) for c in found.calls] == [(c.name, c.arguments) for c in whole[1]]


@pytest.mark.parametrize(("text", "found"), MARKED.values(), ids=MARKED)
def test_what_the_token_limit_cuts_never_runs_in_half(text, found):
    for cut in range(1, len(text)):
        whole = [(c.name, c.arguments) for c in read_calls(text[:cut], NAMED, cut=True).calls if c.problem is None]
        assert whole == found[: len(whole)], text[:cut]


@pytest.mark.parametrize("text", ALONE.values(), ids=ALONE)
def test_what_the_token_limit_cuts_of_an_object_never_runs_in_half(text):
    for cut in range(1, len(text)):
        found = read_calls(text[:cut], NAMED, cut=True).calls
        assert all(c.problem is not None or (c.name, c.arguments) == ADD for c in found), text[:cut]


SIZE = 300_000
HOSTILE = [
    "<", "[", "`", "{", "</think>", "<tool_call>", "<tool_call>{", "<tool_call>[", '<tool_call>{"name": "add", ',
    '<tool_call>{"name":"', "<function=add><parameter=a>", "<tool_call>add<arg_key>a</arg_key><arg_value>",
    "<|channel|>", "<|start|>assistant<|channel|>", "<|channel|>commentary to=functions.add<|message|>{",
    "<|python_tag|>add(", "<|python_tag|>[add(a='", "[TOOL_CALLS]add[ARGS]", "{'a': ", '{"tool": ', "[{'a", " ", "a",
    "```", "``` ```",
    '{"answer": "',
    '{"answer": "x"}',
    '{"reply": "\\u12',
 "<｜DSML｜invoke name=\"add\">", "<tool_call>{'a': [1, 2, 3, 4, 5, 6, 7, 8, 9], 'b': 'x",
    "<tool_call>function", "\\", '"', "<tool_call>[[1,2],", '<tool_call>{"a":"\\', "<think>", "<tool_call>a:1",
    "{'a':1,}", "[{'a':1}, x", "{'tool':'now'}", "{'thought':''}", '{"a":[1,2,3],', "`</think>`", "a </think> b ",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_read_in_time_that_its_length_allows(text, untraced):
    text = (text * (SIZE // len(text)))[:SIZE]
    began = time.process_time()
    splitter = MarkSplitter(NAMED)
    splitter.split(text)
    read_calls(splitter.rest(), NAMED)
    read_calls(text, NAMED, cut=True)
    for kind in (TextReply, SchemaReply):
        shown = kind(NullSink(), tuple(NAMED))
        for at in range(0, SIZE // 5, 4):
            shown.text(text[at : at + 4])
        shown.text(text[SIZE // 5 :])
    shown.read(Reply(text))  # as the schema's, and then as text
    said = Said(NullSink(), tuple(NAMED), None)
    for at in range(0, SIZE // 5, 4):
        said.content(text[at : at + 4])
    said.finish(cut=False, read=True)
    said.whole()
    assert time.process_time() - began < 2  # quadratic: tens of seconds


def test_text_with_no_mark_is_passed_on_at_once():
    splitter = MarkSplitter(NAMED)
    assert [splitter.split(part) for part in ("It ", "is", " 5.")] == ["It ", "is", " 5."]
    assert splitter.rest() == ""


async def test_a_scripted_text_is_the_same(wire):
    result = await wire.ask(Reply(f"See: <tool_call>{JSON}</tool_call>"), call("now"), "Done.")
    assert called(result) == [ADD]


async def test_fences_in_arguments_stay(wire):
    text = "```python\nx\n```"
    wanted = json.dumps({"name": "note", "arguments": {"text": text}})
    result = await wire.call(f"```json\n{wanted}\n```")
    assert called(result) == [("note", {"text": text})]
