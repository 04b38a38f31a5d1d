"""What a model server can send, and what tinyagent does: one group of tests for each row of the wire table.

Every test talks to a real HTTP server on loopback through the real `AsyncOpenAI`. The server answers 400 to a history
that a strict provider would reject, and `Wire.ask` checks that each request extends the one before byte for byte.
"""

import asyncio
import json
import re
import time
from email.utils import formatdate
from itertools import pairwise

import pytest
from pydantic import TypeAdapter

from tinyagent import (
    FatalToolError,
    Limits,
    ModelError,
    Notice,
    ReactAgent,
    Retry,
    TextDelta,
    Tool,
    ToolFinished,
    ToolStarted,
    Usage,
    User,
)
from tinyagent.agents.loop import ANSWER_OR_CALL
from tinyagent.core.tool import LONGEST_ERROR
from tinyagent.errors import (
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    EmptyReplyError,
    MalformedReplyError,
    ModelConnectionError,
    ModelTimeoutError,
    NoChoicesError,
    ProtocolError,
    RefusalError,
    ServerError,
    StepLimitReached,
    StreamError,
    StreamInterruptedError,
    TimeLimitReached,
    TokenLimitReached,
    TruncatedReplyError,
)
from tinyagent.events import CallSealed, ReasoningDelta
from tinyagent.messages import Assistant, ToolReply
from tinyagent.testing import CUT, RawReply, RawStream, Reply, ScriptedServer, call

TASK = "What is 2 and 3?"
DONE = "data: [DONE]\n\n"
ADD = {"name": "add", "arguments": '{"a": 2, "b": 3}'}


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def now() -> str:
    """The time."""
    return "noon"


TOOLS = (add, now)


def calls(*functions, **more):
    """An assistant message with these calls, with ids c1, c2, ... and whatever `more` overrides in each."""
    return {
        "content": None,
        "tool_calls": [
            {"id": f"c{number}", "type": "function", "function": function, **more}
            for number, function in enumerate(functions, 1)
        ],
    }


def delta(content=None, *, finish=None, **more):
    """One chunk of a stream."""
    fields = {"content": content, **more} if content is not None or not more else more
    return {"choices": [{"index": 0, "delta": fields if finish is None else {}, "finish_reason": finish}]}


def piece(index=0, call_id=None, name=None, arguments=None, **more):
    """One chunk of a stream with a part of a call; what is `None` is left out, `...` is sent as null."""
    function = {"name": name, "arguments": arguments}
    item = {"index": index, "id": call_id, "function": {k: v for k, v in function.items() if v is not None}, **more}
    return delta(tool_calls=[{k: None if v is ... else v for k, v in item.items() if v is not None}])


def usage(read, written, **more):
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written, **more}


def messages_part(request):
    """The bytes of a request's messages, up to the bracket that closes them."""
    _, mark, messages = request.raw.partition(b'"messages":[')
    assert mark
    assert messages.endswith(b"]}")
    return messages[:-2]


def until(condition):
    """Pauses of a stream, as many as it takes until something has happened."""
    for _ in range(2_000):
        if condition():
            return
        yield 0.005
    raise AssertionError("it never happened")


class Wire:
    """An agent and a server; replies are given as messages and sent plain or streamed."""

    def __init__(self, *, streamed):
        self.streamed = streamed
        self.requests = []
        self.events = []

    def reply(self, message, finish="stop", **more):
        """A reply with this message; `more` is put beside its `choices`."""
        if not self.streamed:
            choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
            return RawReply({"choices": [choice], **more})
        message = {**message}
        items = message.pop("tool_calls", [])
        chunks = [delta(role="assistant", **message)]
        chunks += [delta(tool_calls=[{"index": number, **item}]) for number, item in enumerate(items)]
        return RawStream([*chunks, delta(finish=finish), *([{"choices": [], **more}] if more else []), DONE])

    async def ask(self, *replies, tools=TOOLS, task=TASK, messages=(), model=None, **options):
        """The result of a run against these replies."""
        async with ScriptedServer(replies) as server:
            self.requests = server.requests
            agent = ReactAgent(tools, model=server.model(**{"max_retries": 0, **(model or {})}), **options)
            try:
                if not self.streamed:
                    return await agent.run(task, messages=messages)
                async with agent.stream(task, messages=messages) as run:
                    async for event in run:
                        self.events.append(event)
                return run.result
            finally:
                for before, after in pairwise(self.requests):
                    assert messages_part(after).startswith(messages_part(before))

    def told(self, number=-1):
        """What a request says in its tool messages, by call id."""
        messages = self.requests[number].messages
        return {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}

    def of(self, *kinds):
        return [event for event in self.events if isinstance(event, kinds)]

    def text(self):
        return "".join(event.text for event in self.of(TextDelta))


@pytest.fixture(params=["plain", "streamed"])
def wire(request):
    """A wire for replies of both kinds."""
    return Wire(streamed=request.param == "streamed")


@pytest.fixture
def stream():
    """A wire for what only a stream can do."""
    return Wire(streamed=True)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("tinyagent.core.waiting.FIRST_BACKOFF", 0.001)


# ---------------------------------------------------------------------------------------------------- tool calls

# arguments that are not JSON


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"a": 2, "b": }', r"not valid JSON: .* at line 1 column 15, near .*\"b\": }"),
        ('{"a": 2,\n "b"', r"not valid JSON: .* at line 2 column"),
        ("a=2", r"not valid JSON: .* at line 1 column 1, near 'a=2'"),
        ('{"a": NaN}', "not valid JSON: NaN"),
        ("[2, 3]", "must be a JSON object .*not list"),
        ('"two and three"', "must be a JSON object .*not str"),
        ("7", "must be a JSON object .*not int"),
        ("[" * 100_000, "(nested too deeply|not valid JSON)"),
    ],
)
async def test_arguments_that_are_no_json_object_are_told_with_the_place(wire, arguments, told):
    result = await wire.ask(wire.reply(calls({"name": "add", "arguments": arguments})), wire.reply({"content": "5"}))
    assert re.search(told, wire.told()["c1"])
    assert result.steps[0].observations[0].error == wire.told()["c1"]
    assert result.output == "5"


async def test_a_history_with_broken_arguments_is_one_that_every_provider_accepts(wire):
    await wire.ask(wire.reply(calls({"name": "add", "arguments": '{"a": 2,'})), wire.reply({"content": "5"}))
    assistant = wire.requests[1].messages[1]
    assert isinstance(json.loads(assistant["tool_calls"][0]["function"]["arguments"]), dict)


async def test_line_breaks_inside_strings_are_read(wire):
    async def echo(text: str) -> str:
        return text

    replies = wire.reply(calls({"name": "echo", "arguments": '{"text": "one\ntwo"}'})), wire.reply({"content": "ok"})
    await wire.ask(*replies, tools=[echo])
    assert wire.told() == {"c1": "one\ntwo"}


# arguments null, "", or missing


@pytest.mark.parametrize("function", [{"arguments": None}, {"arguments": ""}, {}, {"arguments": "null"}])
async def test_no_arguments_are_an_empty_object(wire, function):
    await wire.ask(wire.reply(calls({"name": "now", **function})), wire.reply({"content": "noon"}))
    assert wire.told() == {"c1": "noon"}


@pytest.mark.parametrize("function", [{"arguments": None}, {"arguments": ""}, {}])
async def test_no_arguments_are_validated(wire, function):
    await wire.ask(wire.reply(calls({"name": "add", **function})), wire.reply({"content": "5"}))
    assert wire.told()["c1"].splitlines()[1:] == ["- a: required, but missing", "- b: required, but missing"]


# arguments as a JSON object instead of a string


async def test_arguments_as_an_object_are_accepted(wire):
    function = {"name": "add", "arguments": {"a": 2, "b": 3}}
    await wire.ask(wire.reply(calls(function)), wire.reply({"content": "5"}))
    assert wire.told() == {"c1": "5"}
    assert json.loads(wire.requests[1].messages[1]["tool_calls"][0]["function"]["arguments"]) == {"a": 2, "b": 3}


# wrong type, missing or unknown argument


async def test_each_argument_that_does_not_fit_gets_one_line(wire):
    async def weather(city: str, days: int) -> str:
        return "fine"

    message = calls({"name": "weather", "arguments": '{"days": "two", "cty": "Oslo"}'})
    await wire.ask(wire.reply(message), wire.reply({"content": "5"}), tools=[weather])
    first, *lines = wire.told()["c1"].splitlines()
    assert "'weather'" in first
    assert len(lines) == 3
    assert lines[0] == "- city: required, but missing"
    assert re.match(r"- days: .*integer.*got 'two' \(str\)", lines[1])
    assert lines[2] == "- cty: unknown argument; did you mean 'city'?"


async def test_safe_coercions_are_made(wire):
    arguments = '{"a": "2", "b": 3.0}'
    await wire.ask(wire.reply(calls({"name": "add", "arguments": arguments})), wire.reply({"content": "5"}))
    assert wire.told() == {"c1": "5"}


# an unknown tool


async def test_an_unknown_tool_is_told_with_the_names_that_exist_and_the_closest(wire):
    await wire.ask(wire.reply(calls({**ADD, "name": "addd"})), wire.reply({"content": "5"}))
    assert wire.told() == {"c1": "There is no tool named 'addd'. Did you mean 'add'? The tools are: add, now."}


async def test_a_call_without_a_name_is_told_and_replayed_with_one(wire):
    await wire.ask(wire.reply(calls({"name": None, "arguments": "{}"})), wire.reply({"content": "5"}))
    assert "The tools are: add, now." in wire.told()["c1"]


# a tool raises


async def test_an_error_of_a_tool_is_told_and_the_run_goes_on(wire):
    async def fail() -> None:
        raise LookupError("no such city")

    result = await wire.ask(wire.reply(calls({"name": "fail"})), wire.reply({"content": "sorry"}), tools=[fail])
    assert wire.told() == {"c1": "LookupError: no such city"}
    assert result.output == "sorry"


async def test_the_text_of_an_error_is_bounded(wire):
    async def fail() -> None:
        raise ValueError("x" * 100_000)

    await wire.ask(wire.reply(calls({"name": "fail"})), wire.reply({"content": "sorry"}), tools=[fail])
    assert wire.told()["c1"].startswith("ValueError: xxx")
    assert len(wire.told()["c1"]) < LONGEST_ERROR + 50


async def test_a_fatal_error_ends_the_run(wire):
    async def fail() -> None:
        raise FatalToolError("the disk is gone")

    with pytest.raises(FatalToolError, match="the disk is gone") as caught:
        await wire.ask(wire.reply(calls({"name": "fail"})), tools=[fail])
    assert caught.value.result.state == "failed"


# id null, "", or never sent


@pytest.mark.parametrize("more", [{"id": None}, {"id": ""}])
async def test_a_call_without_an_id_gets_one(wire, more):
    await wire.ask(wire.reply(calls(ADD, {"name": "now"}, **more)), wire.reply({"content": "5"}))
    assert list(wire.told().values()) == ["5", "noon"]
    assert all(wire.told())


async def test_a_call_whose_id_is_never_sent_gets_one(wire):
    message = {"content": None, "tool_calls": [{"function": ADD}, {"function": {"name": "now"}}]}
    await wire.ask(wire.reply(message), wire.reply({"content": "5"}))
    assert list(wire.told().values()) == ["5", "noon"]


@pytest.mark.parametrize("call_id", ["", ...])
@pytest.mark.parametrize("index", [0, ...])
async def test_whole_calls_in_a_stream_need_neither_ids_nor_indexes(stream, index, call_id):
    pieces = [
        piece(index, call_id, "add", '{"a": 2, "b": 3}'),
        piece(index, call_id, "add", '{"a": 4, "b": 5}'),
        piece(index, call_id, "now", "{}"),
    ]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert list(stream.told().values()) == ["5", "9", "noon"]


@pytest.mark.parametrize("index", [0, ...])
async def test_a_whole_call_with_empty_arguments_and_no_id_is_not_mixed_up_with_the_next(stream, index):
    pieces = [piece(index, "", "now", "{}"), piece(index, "", "add", '{"a": 2, "b": 3}')]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert list(stream.told().values()) == ["noon", "5"]


# two calls with one id in a reply


async def test_two_calls_with_one_id_both_run_and_both_are_answered(wire):
    message = calls(ADD, {"name": "add", "arguments": '{"a": 4, "b": 5}'}, id="same")
    await wire.ask(wire.reply(message), wire.reply({"content": "5"}))
    assert list(wire.told().values()) == ["5", "9"]
    assert "same" in wire.told()


async def test_two_interleaved_calls_with_one_id_both_run(stream):
    pieces = [
        piece(0, "same", "add", '{"a": 2,'),
        piece(1, "same", "add", '{"a": 4,'),
        piece(0, None, None, ' "b": 3}'),
        piece(1, None, None, ' "b": 5}'),
    ]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert list(stream.told().values()) == ["5", "9"]


async def test_ids_that_come_again_in_a_later_reply_are_no_matter(wire):
    replies = wire.reply(calls(ADD)), wire.reply(calls({"name": "now"})), wire.reply({"content": "5"})
    result = await wire.ask(*replies)
    answers = [message.text for message in result.messages if isinstance(message, ToolReply)]
    assert answers == ["5", "noon"]


# finish_reason stop or null with tool calls


@pytest.mark.parametrize("finish", ["stop", None, "tool_calls", "function_call", "something_new"])
async def test_calls_run_whatever_the_finish_reason(wire, finish):
    result = await wire.ask(wire.reply(calls(ADD), finish), wire.reply({"content": "5"}))
    assert wire.told() == {"c1": "5"}
    assert result.output == "5"


# finish_reason length in the middle of arguments


@pytest.mark.parametrize("arguments", ['{"a": 2, "b', '{"a": 2', "{", ""])
async def test_a_call_cut_by_the_token_limit_is_told_and_never_runs(wire, arguments):
    ran = []

    async def note(a: int = 0, b: int = 0) -> str:
        ran.append((a, b))
        return "noted"

    message = calls({"name": "note", "arguments": '{"a": 1}'}, {"name": "note", "arguments": arguments})
    await wire.ask(wire.reply(message, "length"), wire.reply({"content": "5"}), tools=[note])
    assert ran == [(1, 0)]
    assert wire.told()["c1"] == "noted"
    assert "cut by the token limit" in wire.told()["c2"]


async def test_complete_calls_run_although_the_token_limit_cut_the_reply(wire):
    await wire.ask(wire.reply(calls(ADD), "length"), wire.reply({"content": "5"}))
    assert wire.told() == {"c1": "5"}


# several calls


async def test_calls_run_concurrently_and_are_answered_in_call_order(wire):
    second_ran = asyncio.Event()

    async def first() -> str:
        await second_ran.wait()
        return "one"

    async def second() -> str:
        second_ran.set()
        return "two"

    async with asyncio.timeout(20):
        message = calls({"name": "first"}, {"name": "second"})
        await wire.ask(wire.reply(message), wire.reply({"content": "5"}), tools=[first, second])
    assert list(wire.told().items()) == [("c1", "one"), ("c2", "two")]


async def test_a_failing_call_loses_no_other_result(wire):
    async def fail() -> None:
        raise RuntimeError("broken")

    message = calls({"name": "now"}, {"name": "fail"}, {"name": "gone"}, ADD)
    await wire.ask(wire.reply(message), wire.reply({"content": "5"}), tools=[*TOOLS, fail])
    told = wire.told()
    assert list(told) == ["c1", "c2", "c3", "c4"]
    assert (told["c1"], told["c2"], told["c4"]) == ("noon", "RuntimeError: broken", "5")
    assert "There is no tool named 'gone'" in told["c3"]


# more calls although parallel_tool_calls is false


async def test_all_calls_are_answered_although_only_one_was_allowed(wire):
    message = calls(ADD, {"name": "now"})
    await wire.ask(wire.reply(message), wire.reply({"content": "5"}), model={"parallel_tool_calls": False})
    assert wire.requests[0].body["parallel_tool_calls"] is False
    assert wire.told() == {"c1": "5", "c2": "noon"}


# a call for a tool that was not offered this turn


async def test_a_call_although_no_tools_were_offered_is_told(wire):
    await wire.ask(wire.reply(calls(ADD)), wire.reply({"content": "5"}), tools=[])
    assert "tools" not in wire.requests[0].body
    assert wire.told() == {"c1": "There is no tool named 'add'. The tools are: none."}


async def test_a_call_at_the_step_limit_where_none_is_allowed_does_not_run(wire):
    ran = []

    async def note() -> None:
        ran.append(1)

    message = calls({"name": "note"})
    with pytest.raises(StepLimitReached):
        await wire.ask(wire.reply(message), wire.reply(message), tools=[note], limits=Limits(steps=1))
    assert wire.requests[1].body["tool_choice"] == "none"
    assert wire.requests[1].body["tools"] == wire.requests[0].body["tools"]
    assert ran == [1]


# ---------------------------------------------------------------------------------------------------- replies

# length with partial text


async def test_a_cut_answer_says_so(wire):
    result = await wire.ask(wire.reply({"content": "The answer is"}, "length"))
    assert (result.output, result.state, result.finish_reason) == ("The answer is", "cut", "length")


async def test_a_cut_answer_is_continued_when_so_configured(wire):
    replies = wire.reply({"content": "The answer"}, "length"), wire.reply({"content": " is 5."})
    result = await wire.ask(*replies, continue_cut=True)
    assert (result.output, result.state) == ("The answer is 5.", "success")
    assert wire.requests[1].messages[1] == {"role": "assistant", "content": "The answer"}
    assert "cut by the token limit" in wire.requests[1].messages[2]["content"]


# length with nothing


@pytest.mark.parametrize("message", [{"content": None}, {"content": ""}, {"content": " \n"}])
async def test_a_reply_cut_before_anything_was_written_names_the_token_limit(wire, message):
    with pytest.raises(TruncatedReplyError, match=r"token limit.*max_completion_tokens"):
        await wire.ask(wire.reply(message, "length"))


async def test_a_reply_cut_while_reasoning_names_the_token_limit(wire):
    message = {"content": "", "reasoning_content": "Let me see"}
    with pytest.raises(TruncatedReplyError, match="token limit before anything was written but reasoning") as caught:
        await wire.ask(wire.reply(message, "length"))
    assert caught.value.partial.reasoning == "Let me see"


# content_filter, or a refusal


async def test_a_withheld_reply_is_an_error_with_its_text(wire):
    with pytest.raises(ContentFilterError, match=r"content filter.*The first step") as caught:
        await wire.ask(wire.reply({"content": "The first step"}, "content_filter"))
    assert caught.value.partial.text == "The first step"
    assert not caught.value.retryable


async def test_a_reply_withheld_whole_is_an_error(wire):
    with pytest.raises(ContentFilterError, match="withheld the reply"):
        await wire.ask(wire.reply({"content": None}, "content_filter"))


async def test_a_refusal_is_an_error_with_its_text(wire):
    with pytest.raises(RefusalError, match="I cannot help with that"):
        await wire.ask(wire.reply({"content": None, "refusal": "I cannot help with that."}))


async def test_an_empty_refusal_is_none(wire):
    result = await wire.ask(wire.reply({"content": "", "refusal": ""}), wire.reply({"content": "5", "refusal": ""}))
    assert result.output == "5"


# choices: []


@pytest.mark.parametrize("choices", [{"choices": []}, {"choices": None}, {}])
async def test_a_reply_without_choices_is_a_retryable_error_with_the_servers_own(wire, choices):
    body = {**choices, "error": {"message": "the backend is warming up"}}
    with pytest.raises(NoChoicesError, match=r"without choices.*the backend is warming up") as caught:
        await wire.ask(RawReply(body))
    assert caught.value.retryable


async def test_a_reply_without_choices_and_without_error_is_a_retryable_error(wire):
    bad = RawStream([{"choices": []}, DONE]) if wire.streamed else RawReply({"choices": []})
    with pytest.raises(NoChoicesError, match="without choices"):
        await wire.ask(bad)
    assert (await wire.ask(bad, wire.reply({"content": "5"}), model={"max_retries": 1})).output == "5"


# null or empty content and no calls


@pytest.mark.parametrize("message", [{"content": None}, {"content": ""}, {"content": "\n "}, {}])
async def test_an_empty_reply_is_asked_again_once(wire, message):
    result = await wire.ask(wire.reply(message), wire.reply({"content": "5"}))
    assert result.output == "5"
    assert wire.requests[1].messages[-1] == {"role": "user", "content": ANSWER_OR_CALL}


async def test_empty_replies_that_are_not_in_a_row_are_each_asked_again(wire):
    empty = wire.reply({"content": ""})
    assert (await wire.ask(empty, wire.reply(calls(ADD)), empty, wire.reply({"content": "5"}))).output == "5"


async def test_a_second_empty_reply_is_an_error(wire):
    with pytest.raises(EmptyReplyError, match="neither an answer nor a call"):
        await wire.ask(wire.reply({"content": ""}), wire.reply({"content": None}))
    assert len(wire.requests) == 2


# 200 with a body that is not JSON


@pytest.mark.parametrize("content_type", ["text/html", "application/json", ""])
async def test_a_body_that_is_not_json_is_an_error_with_the_status_and_its_start(wire, content_type):
    page = "<html><body>Welcome to nginx!</body></html>" + " " * 5_000
    with pytest.raises(MalformedReplyError, match=r"200.*Welcome to nginx") as caught:
        await wire.ask(RawReply(page, headers={"content-type": content_type}))
    assert caught.value.status == 200
    assert caught.value.body.startswith("<html>")
    assert len(caught.value.body) < 1_000
    assert not caught.value.retryable


@pytest.mark.parametrize("body", ["[]", '"fine"', "null", "{"])
async def test_a_body_that_is_no_json_object_is_an_error(wire, body):
    with pytest.raises(MalformedReplyError, match="not a chat completion"):
        await wire.ask(RawReply(body))


# text and calls in one message


async def test_text_beside_calls_is_kept_and_is_not_the_answer(wire):
    message = {**calls(ADD), "content": "Let me add."}
    result = await wire.ask(wire.reply(message, "tool_calls"), wire.reply({"content": "5"}))
    assert result.output == "5"
    assert result.steps[0].message.text == "Let me add."
    assert wire.requests[1].messages[1]["content"] == "Let me add."
    assert wire.told() == {"c1": "5"}


async def test_text_beside_calls_is_streamed(stream):
    await stream.ask(stream.reply({**calls(ADD), "content": "Let me add. "}), stream.reply({"content": "5"}))
    assert stream.text() == "Let me add. 5"


# reasoning_content, reasoning, <think> text


REASONING = [
    {"content": "5", "reasoning_content": "2 and 3"},
    {"content": "5", "reasoning": "2 and 3"},
    {"content": "<think>2 and 3</think>5"},
    {"content": "\n<think>\n2 and 3</think>\n\n5"},
]


@pytest.mark.parametrize("message", REASONING)
async def test_reasoning_is_kept_apart_from_the_answer(wire, message):
    result = await wire.ask(wire.reply(message))
    assert result.output == "5"
    assert result.steps[0].message.reasoning == "2 and 3"


async def test_the_end_of_a_block_that_the_chat_template_opened_is_understood(wire):
    result = await wire.ask(wire.reply({"content": "2 and 3\n</think>\n\n5"}))
    assert (result.output, result.steps[0].message.reasoning) == ("5", "2 and 3")


@pytest.mark.parametrize("message", REASONING)
async def test_reasoning_is_streamed_as_its_own_event(stream, message):
    await stream.ask(stream.reply(message))
    assert "".join(event.text for event in stream.of(ReasoningDelta)).strip() == "2 and 3"
    assert stream.text() == "5"


@pytest.mark.parametrize(
    ("message", "replayed"),
    [
        ({"reasoning_content": "hm"}, {"reasoning_content": "hm", "content": None}),
        ({"reasoning": "hm"}, {"reasoning": "hm", "content": None}),
        ({"content": "<think>hm</think>"}, {"content": "<think>hm</think>"}),
        ({"content": "<think>hm</think>Let me add."}, {"content": "<think>hm</think>Let me add."}),
    ],
)
async def test_reasoning_is_replayed_to_the_server_that_sent_it(wire, message, replayed):
    await wire.ask(wire.reply({**calls(ADD), **message}), wire.reply({"content": "5"}))
    assistant = wire.requests[1].messages[1]
    assert {key: value for key, value in assistant.items() if key not in ("role", "tool_calls")} == replayed


@pytest.mark.parametrize("message", REASONING[:3])
async def test_reasoning_is_replayed_to_no_other_server(wire, message):
    result = await wire.ask(wire.reply(message))
    await wire.ask(wire.reply({"content": "6"}), messages=result.messages, task="And one more?")
    assert wire.requests[0].messages[1] == {"role": "assistant", "content": "5"}


async def test_a_reply_of_reasoning_alone_is_asked_again(wire):
    result = await wire.ask(wire.reply({"content": "<think>hm</think>"}), wire.reply({"content": "5"}))
    assert result.output == "5"


# usage


@pytest.mark.parametrize(
    ("sent", "counted"),
    [
        ({}, Usage(1)),
        ({"usage": None}, Usage(1)),
        ({"usage": {}}, Usage(1)),
        ({"usage": usage(0, 0)}, Usage(1)),
        ({"usage": usage(-1, -1)}, Usage(1)),
        ({"usage": usage(7, 2)}, Usage(1, 7, 2)),
        ({"usage": usage(7, 2, prompt_tokens_details=None, completion_tokens_details=None)}, Usage(1, 7, 2)),
        ({"usage": usage(7, 2, prompt_tokens_details={"cached_tokens": 4})}, Usage(1, 7, 2, cached_tokens=4)),
        ({"usage": usage(7, 2, prompt_cache_hit_tokens=4)}, Usage(1, 7, 2, cached_tokens=4)),
        ({"usage": usage(7, 2, completion_tokens_details={"reasoning_tokens": 1})}, Usage(1, 7, 2, reasoning_tokens=1)),
        ({"usage": {"prompt_tokens": "many", "completion_tokens": None}}, Usage(1)),
    ],
)
async def test_usage_is_counted_where_present_and_never_invented(wire, sent, counted):
    assert (await wire.ask(wire.reply({"content": "5"}, **sent))).usage == counted


async def test_the_usage_of_all_replies_is_added_up(wire):
    replies = wire.reply(calls(ADD), usage=usage(7, 2)), wire.reply({"content": "5"}, usage=usage(9, 1))
    result = await wire.ask(*replies)
    assert result.usage == Usage(2, 16, 3)
    assert [step.usage for step in result.steps] == [Usage(1, 7, 2), Usage(1, 9, 1)]


# 429, 500, 502, 503, 504, connection reset


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_failing_server_is_tried_again(wire, status):
    bad = RawReply({"error": {"message": "busy"}}, status)
    result = await wire.ask(bad, wire.reply({"content": "5"}), model={"max_retries": 1})
    assert result.output == "5"
    assert wire.requests[0].raw == wire.requests[1].raw


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0.02", "0", formatdate(time.time() - 60, usegmt=True)], ids=["0.02", "0", "date"])
async def test_the_wait_that_the_server_asks_for_is_kept(stream, status, value):
    bad = RawReply({"error": {"message": "busy"}}, status, headers={"retry-after": value})
    await stream.ask(bad, "5", model={"max_retries": 1})
    (retry,) = stream.of(Retry)
    assert (retry.what, retry.attempt) == ("model", 2)
    assert retry.seconds == (0.02 if value == "0.02" else 0)
    assert "busy" in retry.reason


async def test_each_retry_is_an_event(stream):
    bad = RawReply({"error": {"message": "busy"}}, 503)
    await stream.ask(bad, bad, bad, "5", model={"max_retries": 3})
    assert [retry.attempt for retry in stream.of(Retry)] == [2, 3, 4]
    assert stream.of(Retry)[0].seconds < stream.of(Retry)[2].seconds


async def test_retries_end_with_the_last_error(wire):
    bad = RawReply({"error": {"message": "busy"}}, 503)
    with pytest.raises(ServerError, match="busy") as caught:
        await wire.ask(bad, bad, bad, model={"max_retries": 2})
    assert caught.value.status == 503
    assert len(wire.requests) == 3


async def test_no_retry_waits_beyond_the_runs_time(wire):
    bad = RawReply({"error": {"message": "busy"}}, 429, headers={"retry-after": "50"})
    async with asyncio.timeout(20):
        with pytest.raises(ModelError, match="busy") as caught:
            await wire.ask(bad, model={"max_retries": 2}, limits=Limits(seconds=30))
    assert caught.value.retry_after == 50


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_a_dropped_connection_is_tried_again(wire, http):
    good = wire.reply({"content": "5"})
    result = await wire.ask(RawStream([CUT]), good, model={"max_retries": 1, "http": http})
    assert result.output == "5"
    with pytest.raises((ModelConnectionError, StreamInterruptedError)) as caught:
        await wire.ask(RawStream([CUT]), model={"http": http})
    assert caught.value.retryable


# 400, 401, 403, 404, context length exceeded


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, "max_tokens is too large", "BadRequestError"),
        (401, "Incorrect API key provided", "AuthenticationError"),
        (403, "You may not use this model", "AuthenticationError"),
        (404, "The model `scripted` does not exist", "ModelNotFoundError"),
        (413, "Request entity too large", "BadRequestError"),
        (422, "extra fields not permitted", "BadRequestError"),
        (400, "This model's maximum context length is 8192 tokens", "ContextLengthError"),
    ],
)
async def test_a_rejected_request_is_an_error_with_the_providers_message_and_not_retried(wire, status, said, kind):
    with pytest.raises(ModelError, match=re.escape(said)) as caught:
        await wire.ask(RawReply({"error": {"message": said}}, status), model={"max_retries": 3})
    assert type(caught.value).__name__ == kind
    assert caught.value.status == status
    assert not caught.value.retryable
    assert len(wire.requests) == 1


async def test_the_code_for_a_context_that_is_too_long_is_understood(wire):
    body = {"error": {"message": "Sorry.", "code": "context_length_exceeded"}}
    with pytest.raises(ContextLengthError, match=r"Sorry.*Shorten the conversation"):
        await wire.ask(RawReply(body, 400))


# ---------------------------------------------------------------------------------------------------- streams

# arguments split anywhere, calls interleaved by index, index null or missing


async def test_arguments_may_be_split_anywhere(stream):
    text = '{"a": 2, "b": 3}'
    for cut in range(1, len(text)):
        pieces = [piece(0, "c1", "add", text[:cut]), piece(0, None, None, text[cut:])]
        await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
        assert stream.told() == {"c1": "5"}


async def test_arguments_may_come_letter_by_letter(stream):
    letters = [piece(0, None, None, letter) for letter in '{"a": 2, "b": 3}']
    await stream.ask(RawStream([piece(0, "c1", "add", ""), *letters, delta(finish="tool_calls"), DONE]), "5")
    assert stream.told() == {"c1": "5"}


async def test_calls_interleaved_by_index_are_assembled(stream):
    pieces = [
        piece(0, "c1", "add", ""),
        piece(1, "c2", "add", ""),
        piece(2, "c3", "now", ""),
        piece(1, None, None, '{"a": 4,'),
        piece(0, None, None, '{"a": 2,'),
        piece(0, None, None, ' "b": 3}'),
        piece(1, None, None, ' "b": 5}'),
    ]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert list(stream.told().items()) == [("c1", "5"), ("c2", "9"), ("c3", "noon")]


async def test_several_parts_in_one_delta_are_assembled(stream):
    both = [{"index": 0, "id": "c1", "function": ADD}, {"index": 1, "id": "c2", "function": {"name": "now"}}]
    await stream.ask(RawStream([delta(tool_calls=both), delta(finish="tool_calls"), DONE]), "5")
    assert stream.told() == {"c1": "5", "c2": "noon"}


@pytest.mark.parametrize("index", [None, ...])
async def test_calls_without_an_index_are_assembled_by_id(stream, index):
    pieces = [
        piece(index, "c1", "add", '{"a": 2,'),
        piece(index, None, None, ' "b": 3}'),
        piece(index, "c2", "add", '{"a": 4,'),
        piece(index, "c2", None, ' "b": 5}'),
    ]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert stream.told() == {"c1": "5", "c2": "9"}


@pytest.mark.parametrize("index", [None, ...])
async def test_calls_without_an_index_may_be_interleaved_by_id(stream, index):
    pieces = [
        piece(index, "c1", "add", '{"a": 2,'),
        piece(index, "c2", "add", '{"a": 4,'),
        piece(index, "c1", None, ' "b": 3}'),
        piece(index, "c2", None, ' "b": 5}'),
    ]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert stream.told() == {"c1": "5", "c2": "9"}


@pytest.mark.parametrize("index", [0, None, ...])
async def test_calls_without_index_and_id_are_told_apart_by_their_names(stream, index):
    async def double(a: int) -> int:
        return 2 * a

    pieces = [
        piece(index, None, "add", ""),
        piece(index, None, None, '{"a": 2, "b": 3}'),
        piece(index, None, "double", ""),
        piece(index, None, None, '{"a": 4}'),
    ]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5", tools=[add, double])
    assert list(stream.told().values()) == ["5", "8"]


async def test_an_index_that_begins_at_one_is_understood(stream):
    pieces = [piece(1, "c1", "add", '{"a": 2,'), piece(1, None, None, ' "b": 3}'), piece(2, "c2", "now", "")]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert stream.told() == {"c1": "5", "c2": "noon"}


# id and name repeated in every delta


async def test_an_id_and_name_repeated_in_every_delta_are_not_doubled(stream):
    parts = ["", '{"a"', ": 2,", ' "b": 3}']
    await stream.ask(RawStream([*(piece(0, "c1", "add", p) for p in parts), delta(finish="tool_calls"), DONE]), "5")
    assert stream.told() == {"c1": "5"}
    assert stream.requests[1].messages[1]["tool_calls"][0]["function"]["name"] == "add"


# the name split over deltas


@pytest.mark.parametrize("parts", [("a", "dd"), ("ad", "d"), ("add", ""), ("", "add"), ("a", "d", "d")])
async def test_a_name_split_over_deltas_is_joined(stream, parts):
    names = [piece(0, "c1", part, "") for part in parts]
    await stream.ask(RawStream([*names, piece(0, None, None, ADD["arguments"]), delta(finish="stop"), DONE]), "5")
    assert stream.told() == {"c1": "5"}


# two calls that share index 0 with different ids


async def test_two_calls_that_share_an_index_are_told_apart_by_their_ids(stream):
    pieces = [
        piece(0, "c1", "add", '{"a": 2,'),
        piece(0, None, None, ' "b": 3}'),
        piece(0, "c2", "now", "{}"),
        piece(0, "c3", "add", '{"a": 4,'),
        piece(0, None, None, ' "b": 5}'),
    ]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert stream.told() == {"c1": "5", "c2": "noon", "c3": "9"}


async def test_calls_that_share_an_index_may_be_interleaved_by_their_ids(stream):
    pieces = [
        piece(0, "c1", "add", '{"a": 2,'),
        piece(0, "c2", "add", '{"a": 4,'),
        piece(0, "c1", None, ' "b": 3}'),
        piece(0, "c2", None, ' "b": 5}'),
    ]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert stream.told() == {"c1": "5", "c2": "9"}


# deltas with choices empty or delta null


@pytest.mark.parametrize(
    "nothing",
    [
        {"choices": []},
        {"choices": None},
        {"object": "chat.completion.chunk"},
        {"choices": [None]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": 0, "delta": {}}]},
        {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": None, "reasoning_content": None}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [None]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": []}}]},
    ],
)
async def test_deltas_with_nothing_in_them_are_skipped(stream, nothing):
    parts = [nothing, delta("The answer"), nothing, delta(" is 5."), nothing, delta(finish="stop"), nothing, DONE]
    assert (await stream.ask(RawStream(parts))).output == "The answer is 5."


async def test_a_finish_reason_beside_a_null_delta_counts(stream):
    end = {"choices": [{"index": 0, "delta": None, "finish_reason": "length"}]}
    assert (await stream.ask(RawStream([delta("The answer"), end]))).state == "cut"


# a usage chunk after the last choice


async def test_usage_after_the_last_choice_is_counted(stream):
    parts = [delta("5"), delta(finish="stop"), {"choices": [], "usage": usage(7, 2)}, DONE]
    assert (await stream.ask(RawStream(parts))).usage == Usage(1, 7, 2)
    assert stream.requests[0].body["stream_options"] == {"include_usage": True}


async def test_a_running_total_of_usage_is_not_added_up(stream):
    chunks = [{**delta("5"), "usage": usage(7, 1)}, {**delta(finish="stop"), "usage": usage(7, 2)}]
    assert (await stream.ask(RawStream([*chunks, DONE]))).usage == Usage(1, 7, 2)


# a cut before any finish_reason


CUT_STREAMS = [
    pytest.param([delta("The answer")], id="clean end"),
    pytest.param([delta("The answer"), 0.02, CUT], id="dropped"),
    pytest.param([delta("The answer"), piece(0, "c1", "add", '{"a": 2,')], id="in a call"),
    pytest.param([delta("The answer"), "data: {"], id="in an event"),
]


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
@pytest.mark.parametrize("parts", CUT_STREAMS)
async def test_a_cut_stream_is_no_answer_but_a_retryable_error(stream, parts, http):
    with pytest.raises(ModelError) as caught:
        await stream.ask(RawStream(parts), model={"http": http})
    assert caught.value.partial.text == "The answer"
    if parts[-1] != "data: {":
        assert isinstance(caught.value, StreamInterruptedError)
    assert caught.value.retryable


@pytest.mark.parametrize("parts", CUT_STREAMS)
async def test_a_cut_stream_is_tried_again(stream, parts):
    assert (await stream.ask(RawStream(parts), "The answer is 5.", model={"max_retries": 1})).output == (
        "The answer is 5."
    )
    assert len(stream.of(Retry)) == 1


@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("end", [[], [CUT]], ids=["clean end", "dropped"])
async def test_calls_started_before_a_cut_keep_their_results_and_are_not_run_again(stream, end, retries):
    ran = []

    async def note(a: int) -> str:
        ran.append(a)
        return f"noted {a}"

    def parts():
        yield piece(0, "c1", "note", '{"a": 1}')
        yield piece(1, "c2", "note", '{"a":')
        yield from until(lambda: ran)
        yield from end

    result = await stream.ask(RawStream(parts()), "done", tools=[note], model={"max_retries": retries})
    assert ran == [1]
    assert stream.told() == {"c1": "noted 1"}
    assert (result.output, result.steps[0].finish_reason) == ("done", "interrupted")
    assert not stream.of(Retry)
    assert [notice.text.endswith("Going on after its complete calls.") for notice in stream.of(Notice)] == [True]
    assert len(stream.requests) == 2


async def test_a_stall_after_a_complete_call_keeps_its_result(stream):
    parts = [piece(0, "c1", "add", ADD["arguments"]), 60]
    async with asyncio.timeout(20):
        result = await stream.ask(RawStream(parts), "5", model={"timeout": 0.5, "max_retries": 2})
    assert stream.told() == {"c1": "5"}
    assert result.steps[0].finish_reason == "interrupted"


# an error event in the middle


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "the GPU fell off", "code": 500}},
        {"error": "the GPU fell off"},
        {"error": {"message": "the GPU fell off"}, "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]},
        'event: error\ndata: {"message": "the GPU fell off"}\n\n',
        "event: error\ndata: the GPU fell off\n\n",
    ],
)
async def test_an_error_event_is_an_error_that_keeps_what_was_streamed(stream, error):
    with pytest.raises(StreamError, match="the GPU fell off") as caught:
        await stream.ask(RawStream([delta("The answer"), error, DONE]))
    assert caught.value.partial.text == "The answer"


async def test_a_call_started_before_an_error_event_is_in_the_history(stream):
    ran = []

    async def note(a: int) -> str:
        ran.append(a)
        return "noted"

    def parts():
        yield piece(0, "c1", "note", '{"a": 1}')
        yield from until(lambda: ran)
        yield {"error": {"message": "the GPU fell off"}}

    with pytest.raises(StreamError) as caught:
        await stream.ask(RawStream(parts()), tools=[note])
    *_, assistant, reply = caught.value.result.messages
    assert [made.id for made in assistant.calls] == ["c1"]
    assert (reply.call_id, reply.text) == ("c1", "noted")


# an empty stream


@pytest.mark.parametrize("parts", [[], [DONE], [": ping\n\n"], ["\n\n"]])
async def test_an_empty_stream_is_a_retryable_error(stream, parts):
    with pytest.raises(StreamInterruptedError, match="without sending anything") as caught:
        await stream.ask(RawStream(parts))
    assert caught.value.retryable
    assert (await stream.ask(RawStream(parts), "5", model={"max_retries": 1})).output == "5"


# finish_reason tool_calls with no calls


@pytest.mark.parametrize("content", [None, "", "I will call a tool."])
async def test_announced_calls_that_never_come_are_asked_for_once(wire, content):
    result = await wire.ask(wire.reply({"content": content}, "tool_calls"), wire.reply({"content": "5"}))
    assert result.output == "5"
    assert wire.requests[1].messages[-1] == {"role": "user", "content": ANSWER_OR_CALL}


@pytest.mark.parametrize("content", [None, ""])
async def test_announced_calls_that_never_come_twice_are_an_error(wire, content):
    message = {"content": content}
    with pytest.raises(EmptyReplyError, match="'tool_calls'"):
        await wire.ask(wire.reply(message, "tool_calls"), wire.reply(message, "tool_calls"))


async def test_text_that_announces_calls_twice_is_an_error(wire):
    message = {"content": "Let me add them."}
    with pytest.raises(EmptyReplyError, match="tool_calls"):
        await wire.ask(wire.reply(message, "tool_calls"), wire.reply(message, "tool_calls"))


# comments, \r\n, a multi-line data:, a chunk cut inside a UTF-8 character


def as_bytes(*chunks, newline="\n", **options):
    lines = [f"data: {json.dumps(chunk, ensure_ascii=False, **options)}" for chunk in chunks]
    text = "\n\n".join([*lines, "data: [DONE]", ""])
    return text.replace("\n", newline).encode()


SMILE = (delta("Fünf 😀"), delta(finish="stop"))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
async def test_every_line_ending_is_parsed(stream, newline):
    assert (await stream.ask(RawStream([as_bytes(*SMILE, newline=newline)]))).output == "Fünf 😀"


async def test_comments_are_skipped(stream):
    parts = [": ping\n\n", delta("The"), ": ping\n", ": OPENROUTER PROCESSING\n\n", delta(" answer"), ":\n\n"]
    assert (await stream.ask(RawStream([*parts, delta(finish="stop"), DONE]))).output == "The answer"


async def test_data_of_several_lines_is_joined(stream):
    data = "".join(f"data: {line}\n" for line in json.dumps(SMILE[0], indent=1).splitlines())
    assert (await stream.ask(RawStream([data + "\n", SMILE[1], DONE]))).output == "Fünf 😀"


async def test_other_fields_and_a_missing_space_are_parsed(stream):
    data = f"id: 7\nretry: 100\nevent: message\ndata:{json.dumps(SMILE[0])}\n\n"
    assert (await stream.ask(RawStream([data, SMILE[1], DONE]))).output == "Fünf 😀"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
async def test_chunks_may_be_cut_anywhere_even_inside_a_character(stream, newline):
    data = as_bytes(*SMILE, newline=newline)
    letters = [part for byte in data for part in (bytes([byte]), 0)]
    assert (await stream.ask(RawStream(letters))).output == "Fünf 😀"
    assert stream.text() == "Fünf 😀"


# no [DONE] but a finish_reason and a clean end


async def test_a_stream_without_done_is_complete_with_a_finish_reason(stream):
    assert (await stream.ask(RawStream([delta("5"), delta(finish="stop")]))).output == "5"


async def test_a_stream_without_its_last_blank_line_is_complete(stream):
    last = "data: " + json.dumps(delta(finish="stop"))
    assert (await stream.ask(RawStream([delta("5"), last]))).output == "5"


async def test_an_event_cut_after_the_finish_reason_leaves_the_reply_complete(stream):
    assert (await stream.ask(RawStream([delta("5"), delta(finish="stop"), 'data: {"usage": {"pro']))).output == "5"


async def test_a_stream_with_done_is_complete_without_a_finish_reason(stream):
    result = await stream.ask(RawStream([delta("5"), DONE]))
    assert (result.output, result.finish_reason) == ("5", None)


# a stall longer than the read timeout


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_a_stall_in_a_stream_is_a_retryable_error_on_time(stream, http):
    async with asyncio.timeout(20):
        with pytest.raises(ModelTimeoutError, match="silent") as caught:
            await stream.ask(RawStream([delta("The answer"), 60]), model={"timeout": 0.4, "http": http})
    assert caught.value.retryable
    assert caught.value.partial.text == "The answer"


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_a_stall_before_the_reply_is_a_retryable_error_on_time(wire, http):
    async with asyncio.timeout(20):
        with pytest.raises(ModelTimeoutError, match="did not answer in time") as caught:
            await wire.ask(RawReply({}, delay=60), model={"timeout": 0.1, "http": http})
    assert caught.value.retryable


async def test_a_stall_is_tried_again(stream):
    bad = RawStream([delta("The answer"), 60])
    async with asyncio.timeout(20):
        assert (await stream.ask(bad, "5", model={"timeout": 0.5, "max_retries": 1})).output == "5"


# a plain JSON reply to a streamed request, or events to a plain one


async def test_a_reply_of_the_other_kind_is_understood(wire):
    other = Wire(streamed=not wire.streamed)
    result = await wire.ask(other.reply(calls(ADD), usage=usage(7, 2)), other.reply({"content": "5"}))
    assert wire.told() == {"c1": "5"}
    assert (result.output, result.usage) == ("5", Usage(2, 7, 2))


async def test_a_plain_reply_to_a_streamed_request_is_heard(stream):
    await stream.ask(Wire(streamed=False).reply({"content": "5", "reasoning_content": "hm"}))
    assert stream.text() == "5"
    assert [event.text for event in stream.of(ReasoningDelta)] == ["hm"]


async def test_messages_instead_of_deltas_in_a_stream_are_understood(stream):
    chunk = {"choices": [{"index": 0, "message": {"content": "5"}, "finish_reason": "stop"}]}
    assert (await stream.ask(RawStream([chunk, DONE]))).output == "5"


async def test_content_in_parts_is_joined(wire):
    parts = [{"type": "text", "text": "The answer "}, {"type": "text", "text": "is 5."}, {"type": "image"}]
    assert (await wire.ask(wire.reply({"content": parts}))).output == "The answer is 5."


async def test_the_call_form_of_old_servers_is_understood(wire):
    await wire.ask(wire.reply({"content": None, "function_call": ADD}, "function_call"), wire.reply({"content": "5"}))
    assert list(wire.told().values()) == ["5"]


# ---------------------------------------------------------------------------------------------------- history

# What was sent before is never rewritten; a system message comes first.


async def test_each_request_extends_the_one_before_byte_for_byte(wire):
    replies = [
        wire.reply({**calls(ADD, {"name": "gone"}), "content": "Ä 😀", "reasoning_content": "hm"}),
        wire.reply(calls({"name": "add", "arguments": '{ "a" : 2,\t"b":3 }'}, {"name": "now", "arguments": "{"})),
        wire.reply({"content": ""}),
        wire.reply({"content": "cut"}, "length"),
        wire.reply({"content": "5"}),
    ]
    await wire.ask(*replies, instructions="Be brief.", continue_cut=True)
    parts = [messages_part(request) for request in wire.requests]
    assert len(parts) == 5
    assert all(after.startswith(before) and len(after) > len(before) for before, after in pairwise(parts))


async def test_the_head_of_a_request_does_not_change_between_turns(wire):
    await wire.ask(wire.reply(calls(ADD)), wire.reply({"content": "5"}), model={"temperature": 0.5})
    heads = [request.raw.partition(b'"messages"')[0] for request in wire.requests]
    assert heads[0] == heads[1]


async def test_a_conversation_that_goes_on_extends_the_earlier_one(wire):
    first = await wire.ask(wire.reply(calls(ADD)), wire.reply({"content": "5"}), instructions="Be brief.")
    before = messages_part(wire.requests[-1])
    await wire.ask(wire.reply({"content": "6"}), messages=first.messages, task="Plus 1?", instructions="Be brief.")
    assert messages_part(wire.requests[0]).startswith(before)
    assert wire.requests[0].messages[-2:] == [
        {"role": "assistant", "content": "5"},
        {"role": "user", "content": "Plus 1?"},
    ]


async def test_the_system_message_comes_first_and_once(wire):
    result = await wire.ask(wire.reply(calls(ADD)), wire.reply({"content": "5"}), instructions="Be brief.")
    await wire.ask(wire.reply({"content": "6"}), messages=result.messages, instructions="Be brief.")
    roles = [message["role"] for message in wire.requests[0].messages]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]


async def test_instructions_are_sent_with_a_history_that_has_none(wire):
    history = [User("Hello."), Assistant("Hi.")]
    await wire.ask(wire.reply({"content": "5"}), messages=history, instructions="Be brief.")
    assert wire.requests[0].messages[0] == {"role": "system", "content": "Be brief."}


# No empty assistant message is ever sent.


@pytest.mark.parametrize("content", [None, "", "\n ", "<think>hm</think>"])
async def test_no_empty_assistant_message_is_sent(wire, content):
    await wire.ask(wire.reply({"content": content}), wire.reply({"content": "5"}))
    assert [message["role"] for message in wire.requests[1].messages] == ["user", "user"]


async def test_history_from_elsewhere_is_sent_without_its_empty_messages(wire):
    await wire.ask(wire.reply({"content": "5"}), messages=[User("Hello."), Assistant("")])
    assert [message["role"] for message in wire.requests[0].messages] == ["user", "user"]


# After a cancel, a crash or a limit, unanswered calls get a synthetic answer that says so.


async def go_on(wire, messages):
    """The tool messages that a strict server got, and accepted, when a conversation went on."""
    await wire.ask(wire.reply({"content": "ok"}), messages=messages, task="Go on.")
    return wire.told()


async def test_calls_cut_off_by_a_cancel_are_answered(wire):
    waits = asyncio.Event()

    async def hang() -> None:
        waits.set()
        await asyncio.Event().wait()

    async with ScriptedServer([wire.reply(calls({"name": "hang"}, ADD))]) as server:
        async with ReactAgent([hang, add], model=server.model()).stream(TASK) as run:
            async for event in run:
                if isinstance(event, ToolFinished) and waits.is_set():
                    break
        assert run.result.state == "cancelled"
    told = await go_on(wire, run.result.messages)
    assert "not finished" in told["c1"]
    assert told["c2"] == "5"


async def test_calls_started_by_a_reply_that_a_cancel_cut_off_are_answered(stream):
    waits = asyncio.Event()

    async def hang() -> None:
        waits.set()
        await asyncio.Event().wait()

    parts = [piece(0, "c1", "hang", '{"a": 1}'), piece(1, "c2", "add", ADD["arguments"]), 60]
    async with asyncio.timeout(20), ScriptedServer([RawStream(parts)]) as server:
        agent = ReactAgent([add, hang], model=server.model())
        async with agent.stream(TASK) as run:
            async for event in run:
                if isinstance(event, ToolFinished) and event.observation.call.id == "c2":
                    break
    told = await go_on(stream, run.result.messages)
    assert list(told) == ["c1", "c2"]
    assert told["c2"] == "5"


async def test_calls_cut_off_by_a_crash_are_answered(wire):
    async def crash() -> None:
        await asyncio.sleep(0)
        raise FatalToolError("the disk is gone")

    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(FatalToolError) as caught:
        await wire.ask(wire.reply(calls({"name": "hang"}, ADD, {"name": "crash"})), tools=[add, crash, hang])
    told = await go_on(wire, caught.value.result.messages)
    assert list(told) == ["c1", "c2", "c3"]
    assert "not finished" in told["c1"]
    assert told["c2"] == "5"
    assert told["c3"] == "FatalToolError: the disk is gone"


async def test_calls_cut_off_by_a_time_limit_are_answered(wire):
    async def hang() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(20):
        with pytest.raises(TimeLimitReached) as caught:
            await wire.ask(wire.reply(calls({"name": "hang"})), tools=[hang], limits=Limits(seconds=0.5))
    assert "not finished" in (await go_on(wire, caught.value.result.messages))["c1"]


async def test_the_history_after_a_token_limit_is_valid(wire):
    with pytest.raises(TokenLimitReached) as caught:
        await wire.ask(wire.reply(calls(ADD), usage=usage(7, 2)), limits=Limits(tokens=5))
    assert await go_on(wire, caught.value.result.messages) == {"c1": "5"}


async def test_the_history_after_a_step_limit_is_valid(wire):
    with pytest.raises(StepLimitReached) as caught:
        await wire.ask(wire.reply(calls(ADD)), wire.reply(calls(ADD)), limits=Limits(steps=1))
    assert await go_on(wire, caught.value.result.messages) == {"c1": "5"}


async def test_the_last_request_at_a_step_limit_asks_for_an_answer(wire):
    result = await wire.ask(wire.reply(calls(ADD)), wire.reply({"content": "5"}), limits=Limits(steps=1))
    assert (result.output, result.state) == ("5", "step_limit_reached")
    assert wire.requests[1].messages[-1]["role"] == "user"
    assert wire.requests[1].body["tool_choice"] == "none"


async def test_the_history_after_a_failed_model_call_is_valid(wire):
    with pytest.raises(BadRequestError) as caught:
        await wire.ask(wire.reply(calls(ADD)), RawReply({"error": {"message": "no"}}, 400))
    assert await go_on(wire, caught.value.result.messages) == {"c1": "5"}


async def test_history_with_calls_that_nobody_answered_is_completed(wire):
    history = [User("Hello."), Assistant("", (call("add", a=1, b=2),))]
    told = await go_on(wire, history)
    assert "not finished" in next(iter(told.values()))


# ---------------------------------------------------------------------------------------------------- sealed calls


async def test_a_call_starts_as_soon_as_its_object_closes_while_the_model_still_writes(stream):
    ran = []

    async def note(a: int) -> str:
        ran.append(a)
        return "noted"

    def parts():
        yield piece(0, "c1", "note", '{"a": {')
        yield piece(0, None, None, "}}")  # complete, but a is no number: it may start and fail
        yield piece(1, "c2", "note", '{"a":')
        yield piece(1, None, None, " 1}")
        yield from until(lambda: ran)
        yield delta("written while the call ran")
        yield delta(finish="tool_calls")

    await stream.ask(RawStream(parts()), "done", tools=[note])
    assert ran == [1]
    assert list(stream.told()) == ["c1", "c2"]
    kinds = [type(event) for event in stream.of(CallSealed, ToolStarted, TextDelta)]
    assert kinds.index(ToolStarted) < kinds.index(TextDelta)


async def test_a_nested_or_quoted_bracket_does_not_close_the_object(stream):
    async def echo(text: str, data: dict) -> str:
        return text

    fragments = ['{"data": {"b": [{}]}', ', "text": "a } \\" } {', ' b"', "}"]
    pieces = [piece(0, "c1", "echo", fragment) for fragment in fragments]
    await stream.ask(RawStream([*pieces, delta(finish="stop"), DONE]), "done", tools=[echo])
    assert stream.told() == {"c1": 'a } " } { b'}


async def test_an_empty_object_is_not_complete_before_the_reply_is(stream):
    pieces = [piece(0, "c1", "add", "{}"), piece(1, "c2", "now", "{}"), piece(0, None, None, ADD["arguments"])]
    await stream.ask(RawStream([*pieces, delta(finish="tool_calls"), DONE]), "5")
    assert stream.told() == {"c1": "5", "c2": "noon"}


async def test_a_call_without_arguments_is_sealed_when_the_reply_finishes(stream):
    await stream.ask(RawStream([piece(0, "c1", "now", ""), delta("Wait."), delta(finish="stop"), DONE]), "noon")
    kinds = [type(event) for event in stream.of(CallSealed, TextDelta)]
    assert kinds[:2] == [TextDelta, CallSealed]
    assert stream.told() == {"c1": "noon"}


async def test_more_arguments_for_a_sealed_call_are_reported_as_the_servers_fault(stream):
    ran = []

    async def note(a: int) -> str:
        ran.append(a)
        return "noted"

    def parts():
        yield piece(0, "c1", "note", '{"a": 1}')
        yield from until(lambda: ran)
        yield piece(0, None, None, ', "b": 2}')

    with pytest.raises(ProtocolError, match=r"more arguments for the call 'note'.*\"b\": 2") as caught:
        await stream.ask(RawStream(parts()), tools=[note], model={"max_retries": 2})
    assert ran == [1]
    assert len(stream.requests) == 1
    assert caught.value.result.messages[-1].text == "noted"


async def test_white_space_after_a_sealed_call_is_no_fault(stream):
    pieces = [piece(0, "c1", "add", ADD["arguments"]), piece(0, None, None, "\n "), piece(0, "c1", "add", "")]
    await stream.ask(RawStream([*pieces, delta(finish="stop"), DONE]), "5")
    assert stream.told() == {"c1": "5"}


@pytest.mark.parametrize(
    ("options", "eager"),
    [({"exclusive": True}, True), ({"eager": False}, True), ({}, False)],
    ids=["exclusive", "opted out", "agent not eager"],
)
async def test_tools_that_must_not_start_early_wait_for_the_end_of_the_reply(stream, options, eager):
    parts = [piece(0, "c1", "add", ADD["arguments"]), 0.02, delta("The end."), delta(finish="stop"), DONE]
    await stream.ask(RawStream(parts), "5", tools=[Tool(add, **options)], eager=eager)
    kinds = [type(event) for event in stream.of(CallSealed, ToolStarted, TextDelta)]
    assert kinds[:3] == [CallSealed, TextDelta, ToolStarted]
    assert stream.told() == {"c1": "5"}


async def test_events_of_a_run_are_plain_data(stream):
    result = await stream.ask(stream.reply(calls(ADD)), stream.reply({"content": "5"}))
    for event in stream.events:
        json.dumps(event.to_dict())
    assert TypeAdapter(dict).dump_json(result.to_dict())


async def test_a_scripted_reply_is_the_same_plain_and_streamed(wire):
    first = Reply("Let me see.", (call("add", a=2, b=3),), "hm", finish_reason="tool_calls", usage=Usage(1, 7, 2))
    result = await wire.ask(first, "The answer is 5.")
    assert result.steps[0].message.text == "Let me see."
    assert result.steps[0].message.reasoning == "hm"
    assert result.steps[0].usage == Usage(1, 7, 2)
    assert result.output == "The answer is 5."
