"""Tools for models without tool calls: what the model is told, what is read, and when it is used."""

import asyncio
import json
from itertools import pairwise

import pytest

from tinyagent import ConfigurationError, Limits, ModelError, Notice, OpenAIModel, ReactAgent, TextDelta
from tinyagent.errors import BadRequestError, EmptyReplyError
from tinyagent.events import ReasoningDelta
from tinyagent.models.text_protocol import NO_TOOLS
from tinyagent.testing import RawReply, Reply, ScriptedServer, call

TASK = "What is 2 and 3?"
ADD = '{"scratchpad": "add them", "tool": "add", "arguments": {"a": 2, "b": 3}}'
NOW = '{"scratchpad": "the time", "tool": "now", "arguments": {}}'
ANSWER = '{"scratchpad": "done", "answer": "It is 5."}'


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def now() -> str:
    """The time."""
    return "noon"


class Chat:
    """An agent and a server that has no native tools; it was asked plain or streamed."""

    def __init__(self, *, streamed):
        self.streamed = streamed
        self.requests = []
        self.events = []

    async def ask(self, *replies, tools=(add, now), messages=(), model=None, **options):
        async with ScriptedServer(replies) as server:
            self.requests = server.requests
            agent = ReactAgent(tools, model=server.model(**{"tool_calling": "json", **(model or {})}), **options)
            if not self.streamed:
                return await agent.run(TASK, messages=messages)
            async with agent.stream(TASK, messages=messages) as run:
                async for event in run:
                    self.events.append(event)
            return run.result

    def heard(self, kind):
        return [event.text for event in self.events if isinstance(event, kind)]

    @property
    def told(self):
        """What the last request says at its end."""
        return self.requests[-1].messages[-1]["content"]


@pytest.fixture(params=["plain", "streamed"])
def chat(request):
    return Chat(streamed=request.param == "streamed")


def called(result):
    """The calls of the first step: names and arguments."""
    return [(call.name, call.arguments) for call in result.steps[0].message.calls]


# ---- what the model is told


async def test_the_tools_are_described_in_the_system_message(chat):
    await chat.ask(ANSWER, instructions="Be brief.")
    (request,) = chat.requests
    assert "tools" not in request.body
    system, user = request.messages
    assert system["role"] == "system"
    assert system["content"].startswith("Be brief.\n\n")
    name, description, schema = json.loads(system["content"].splitlines()[-2])
    assert (name, description) == ("add", "Add two numbers.")
    assert schema["required"] == ["a", "b"]
    assert user == {"role": "user", "content": TASK}


async def test_results_come_in_a_message_of_the_user(chat):
    result = await chat.ask(ADD, ANSWER)
    assert [message["role"] for message in chat.requests[1].messages] == ["system", "user", "assistant", "user"]
    assert chat.requests[1].messages[2]["content"] == ADD
    call_id = result.steps[0].message.calls[0].id
    assert chat.told == f"Result of add ({call_id}):\n5"
    assert result.output == "It is 5."


async def test_neighbours_of_one_role_are_one_message(chat):
    await chat.ask(ADD + NOW, "", ANSWER)
    _, second, third = chat.requests
    assert [message["role"] for message in second.messages] == ["system", "user", "assistant", "user"]
    assert [message["role"] for message in third.messages] == ["system", "user", "assistant", "user"]
    results, again = second.messages[-1]["content"], third.messages[-1]["content"]
    assert ":\n5\n\nResult of now" in results
    assert again.startswith(results + "\n\n")


async def test_each_request_extends_the_one_before_byte_for_byte(chat):
    await chat.ask(ADD, '{"tool": "now', NOW, "", ANSWER, instructions="Be brief.")
    end = '"}]}'
    for before, after in pairwise(chat.requests):
        assert before.raw.endswith(end.encode())
        assert after.raw.startswith(before.raw.removesuffix(end.encode()))


async def test_calls_are_forbidden_in_words(chat):
    result = await chat.ask(ADD, ANSWER, limits=Limits(steps=1))
    assert (result.output, result.state) == ("It is 5.", "step_limit_reached")
    assert NO_TOOLS not in json.dumps(chat.requests[0].messages)
    assert chat.told.endswith(NO_TOOLS)
    assert chat.requests[1].messages[0] == chat.requests[0].messages[0]


async def test_calls_made_natively_are_told_as_text(chat):
    async with ScriptedServer([call("add", a=2, b=3), "It is 5."]) as native:
        result = await ReactAgent([add], model=native.model()).run(TASK)
    await chat.ask(ANSWER, messages=result.messages)
    assistant, user = chat.requests[0].messages[2:4]
    assert json.loads(assistant["content"]) == {"tool": "add", "arguments": {"a": 2, "b": 3}}
    assert user["content"].startswith("Result of add")


async def test_without_tools_it_is_an_ordinary_chat(chat):
    result = await chat.ask("It is 5.", tools=())
    assert chat.requests[0].messages == [{"role": "user", "content": TASK}]
    assert result.output == "It is 5."


# ---- what is read


@pytest.mark.parametrize(
    "text",
    [
        ADD,
        f"```json\n{ADD}\n```",
        f"```\n{ADD}\n```\nI hope that helps.",
        f"I will add them.\n\n{ADD}",
        f"<think>How about {NOW}?</think>{ADD}",
        f"The set {{2, 3}} and {{}} first. {ADD}",
        f'Data: {{"a": 1}} {ADD}',
        json.dumps(json.loads(ADD), indent=2),
        f"[{ADD}]",
        '{"tool": "add", "arguments": "{\\"a\\": 2, \\"b\\": 3}"}',
        '{"arguments": {"a": 2, "b": 3}, "tool": "add", "answer": null}',
        ADD.replace("add them", "line\nbreak"),
        f"{ADD} {ANSWER}",
        f"{ANSWER} {ADD}",
    ],
)
async def test_a_call_is_read(chat, text):
    result = await chat.ask(text, ANSWER)
    assert called(result) == [("add", {"a": 2, "b": 3})]
    assert chat.told.endswith(":\n5")
    assert result.output == "It is 5."


@pytest.mark.parametrize("text", ['{"tool": "now"}', '{"tool": "now", "arguments": null}', NOW])
async def test_a_call_may_lack_arguments(chat, text):
    assert called(await chat.ask(text, ANSWER)) == [("now", {})]
    assert chat.told.endswith(":\nnoon")


@pytest.mark.parametrize("between", ["", "\n", ", ", "\n```\n\n```json\n", " and then "])
async def test_several_objects_are_several_calls(chat, between):
    result = await chat.ask(ADD + between + NOW, ANSWER)
    assert called(result) == [("add", {"a": 2, "b": 3}), ("now", {})]
    assert [observation.value for observation in result.steps[0].observations] == [5, "noon"]


@pytest.mark.parametrize(
    ("text", "output"),
    [
        (ANSWER, "It is 5."),
        (f"Sure!\n```json\n{ANSWER}\n```", "It is 5."),
        (f"<think>hm</think>{ANSWER}", "It is 5."),
        ('{"answer": 5}', "5"),
        ('{"answer": {"sum": 5}}', '{"sum":5}'),
        ('{"answer": ["2", "3"]}', '["2","3"]'),
        ('{"answer": "in \\"{quotes}\\""}', 'in "{quotes}"'),
        (f"{ANSWER}\n{ANSWER}", "It is 5.\nIt is 5."),
        ("It is 5.", "It is 5."),
        ('The object {"sum": 5} and {braces}.', 'The object {"sum": 5} and {braces}.'),
        ("{", "{"),
    ],
)
async def test_an_answer_is_read(chat, text, output):
    assert (await chat.ask(text)).output == output
    assert len(chat.requests) == 1


@pytest.mark.parametrize("text", ["", '{"answer": ""}', '{"scratchpad": "hm", "answer": " "}'])
async def test_an_empty_answer_is_asked_again_once(chat, text):
    assert (await chat.ask(text, ANSWER)).output == "It is 5."
    with pytest.raises(EmptyReplyError):
        await chat.ask(text, text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"scratchpad": "hm", "tool": "add", "arguments": {"a": 2, "b": }}', "could not be read (Expecting value"),
        ('{"tool": "add", "arguments": {"a": 2}', "could not be read"),
        ('Sure: {"answer": "It is 5', "could not be read"),
        ('{ "tool": add}', "could not be read"),
        ('{"tool": "add", "arguments": "{"}', "not valid JSON"),
        ('{"tool": "add", "arguments": [2, 3]}', "must be a JSON object, not list"),
        ('{"tool": "add", "arguments": {"a": 2}}', "b: required, but missing"),
        ('{"tool": "gone"}', "There is no tool named 'gone'"),
        ('{"tool": 7}', "There is no tool named '7'"),
    ],
)
async def test_what_cannot_be_read_or_run_is_told(chat, text, problem):
    result = await chat.ask(text, ANSWER)
    assert problem in chat.told
    assert result.steps[0].observations[0].error is not None
    assert result.output == "It is 5."


async def test_calls_before_a_broken_object_run(chat):
    result = await chat.ask(ADD + '{"tool": "now", "arguments": {', ANSWER)
    assert [observation.value for observation in result.steps[0].observations] == [5, None]
    assert ":\n5\n\n" in chat.told
    assert "could not be read" in chat.told


async def test_an_object_cut_by_the_token_limit_is_told_and_never_runs(chat):
    for cut in range(len('{"scratchpad"'), len(ADD)):
        result = await chat.ask(Reply(ADD[:cut], finish_reason="length"), ANSWER)
        assert "cut by the token limit" in chat.told
        assert result.steps[0].observations[0].value is None
        assert result.output == "It is 5."


async def test_text_cut_by_the_token_limit_is_a_cut_answer(chat):
    result = await chat.ask(Reply("It is", finish_reason="length"))
    assert (result.output, result.state) == ("It is", "cut")


async def test_a_native_call_all_the_same_is_answered(chat):
    await chat.ask(call("add", a=2, b=3), ANSWER)
    assert "Result of add" in chat.told


# ---- what is heard


async def test_prose_and_answers_are_streamed_as_text_and_scratchpads_as_reasoning():
    chat = Chat(streamed=True)
    result = await chat.ask(f"<think>hm</think>Sure. {ADD}", ANSWER)
    assert "".join(chat.heard(TextDelta)) == "Sure. It is 5."
    assert len(chat.heard(TextDelta)) > 2
    assert chat.heard(ReasoningDelta) == ["hm", "add them", "done"]
    assert result.steps[0].message.reasoning == "hm\nadd them"


async def test_reasoning_is_not_replayed():
    chat = Chat(streamed=False)
    await chat.ask(Reply(ADD, reasoning="hm"), ANSWER)
    assert chat.requests[1].messages[2] == {"role": "assistant", "content": ADD}


# ---- when it is used


def refusal(message, status=400, **more):
    return RawReply({"error": {"message": message, "type": "invalid_request_error", **more}}, status)


REFUSALS = {
    "Ollama": refusal("registry.ollama.ai/library/gemma2:2b does not support tools"),
    "vLLM": RawReply(
        {
            "object": "error",
            "message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
            "type": "BadRequestError",
            "code": 400,
        },
        400,
    ),
    "llama.cpp": refusal("tools param requires --jinja flag", 500),
    "OpenRouter": refusal("No endpoints found that support tool use. To learn more, visit: https://x.test/docs", 404),
    "strict": refusal("Unrecognized request argument supplied: tools"),
    "unsupported parameter": refusal("Unsupported parameter: 'tools' is not supported with this model."),
    "function calling": refusal("deepseek-reasoner does not support Function Calling"),
    "tool calling": refusal("`tool calling` is not supported with this model"),
    "pydantic": RawReply({"detail": [{"loc": ["body", "tools"], "msg": "Extra inputs are not permitted"}]}, 422),
}


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS)
async def test_a_server_that_refuses_tools_and_schemas_gets_the_protocol_and_the_person_is_told(refused):
    chat = Chat(streamed=True)
    schema = refusal("Unrecognized request argument supplied: response_format")
    result = await chat.ask(refused, schema, ADD, NOW, ANSWER, model={"tool_calling": "auto"})
    assert result.output == "It is 5."
    tools, grammar = chat.heard(Notice)
    assert "scripted does not take native tools; using a JSON schema" in tools
    assert "scripted does not keep to a JSON schema; using the JSON text protocol" in grammar
    assert ["tools" in request.body for request in chat.requests] == [True, *[False] * 4]
    assert ["response_format" in request.body for request in chat.requests] == [False, True, *[False] * 3]


async def test_a_server_that_refuses_tools_is_asked_natively_only_once():
    async with ScriptedServer([REFUSALS["Ollama"], ANSWER, ANSWER]) as server:
        model = server.model()
        for _ in range(2):
            assert (await ReactAgent([add], model=model).run(TASK)).output == "It is 5."
    assert ["tools" in request.body for request in server.requests] == [True, False, False]


async def test_a_refusal_in_the_middle_of_a_run_keeps_what_was_done(chat):
    result = await chat.ask(call("add", a=2, b=3), REFUSALS["OpenRouter"], ANSWER, model={"tool_calling": "auto"})
    assert chat.requests[2].messages[-1]["content"].startswith("Result of add")
    assert result.output == "It is 5."


async def test_runs_at_once_all_switch():
    both = asyncio.Event()

    async def reply(request):
        if len(server.requests) >= 2:
            both.set()
        await both.wait()
        return REFUSALS["Ollama"] if "tools" in request.body else ANSWER

    async with asyncio.timeout(20), ScriptedServer(reply) as server:
        agent = ReactAgent([add], model=server.model())
        results = await asyncio.gather(agent.run(TASK), agent.run(TASK))
    assert [result.output for result in results] == ["It is 5.", "It is 5."]


UNRELATED = [
    "Invalid 'tools[0].function.name': string does not match pattern '^[a-zA-Z0-9_-]+$'.",
    "Invalid schema for function 'add': In context=(), 'required' is required to be supplied.",
    "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 200.",
    "Unknown parameter: 'tools[0].function.strict'.",
    "Invalid JSON payload received. Unknown name \"additionalProperties\" at 'tools.function_declarations[0]'.",
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
    "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) is supported.",
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "Unsupported parameter: 'parallel_tool_calls' is not supported with this model.",
    "This model's maximum context length is 8192 tokens: 8000 in the messages, 1000 in the functions.",
    "The model does not support image input.",
]


@pytest.mark.parametrize("message", UNRELATED)
async def test_other_refusals_are_errors(chat, message):
    with pytest.raises(BadRequestError) as caught:
        await chat.ask(refusal(message), model={"tool_calling": "auto"})
    assert message[:20] in str(caught.value)
    assert len(chat.requests) == 1
    assert not chat.heard(Notice)


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_only_the_status_of_a_refusal_is_one(chat, status):
    with pytest.raises(ModelError):
        await chat.ask(refusal("no tools: not supported", status), model={"tool_calling": "auto", "max_retries": 0})
    assert len(chat.requests) == 1


async def test_native_means_native(chat):
    with pytest.raises(BadRequestError, match="does not support tools"):
        await chat.ask(REFUSALS["Ollama"], model={"tool_calling": "native"})


async def test_a_refusal_of_tools_that_were_not_sent_is_an_error(chat):
    with pytest.raises(BadRequestError, match="does not support tools"):
        await chat.ask(REFUSALS["Ollama"], tools=(), model={"tool_calling": "auto"})
    with pytest.raises(BadRequestError, match="does not support tools"):
        await chat.ask(REFUSALS["Ollama"], model={"tool_calling": "json"})


@pytest.mark.parametrize("tool_calling", ["text", "", None])
def test_an_unknown_way_of_calling_is_refused(tool_calling):
    with pytest.raises(ConfigurationError, match="pass 'auto', 'native', 'schema' or 'json'"):
        OpenAIModel("m", tool_calling=tool_calling)
