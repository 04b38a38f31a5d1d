"""Replies that the server's grammar constrains: what is asked for, what is read, and what a server may do instead."""

import asyncio
import enum
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional

import jsonschema
import pytest
from pydantic import BaseModel, Field

from tinyagent import (
    ConfigurationError,
    Limits,
    Notice,
    OpenAIModel,
    ReactAgent,
    Reply,
    TextDelta,
    TextVoided,
    Tool,
    tool,
)
from tinyagent.models.schema_protocol import MOST_CALLS, NO_TOOLS, Form
from tinyagent.testing import CUT, RawReply, RawStream, ScriptedServer, call

TASK = "What is 2 and 3?"


def calls(*pairs):
    made = [{"tool": name, "arguments": arguments} for name, arguments in pairs]
    return json.dumps({"reply": {"type": "calls", "calls": made}})


def answer(text):
    return json.dumps({"reply": {"type": "answer", "answer": text}})


ADD = calls(("add", {"a": 2, "b": 3}))
ANSWER = answer("It is 5.")


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def find(query: str, limit: int = 10) -> str:
    """Find something."""
    return f"{query}, {limit}"


class Chat:
    """An agent and a server that was asked plain or streamed."""

    def __init__(self, *, streamed):
        self.streamed, self.requests, self.events = streamed, [], []

    async def ask(self, *replies, tools=(add, find), model=None, messages=(), **options):
        async with ScriptedServer(replies) as server:
            self.requests = server.requests
            settings = {"tool_calling": "schema", **(model or {})}
            agent = ReactAgent(tools, model=server.model(**settings), **options)
            if not self.streamed:
                return await agent.run(TASK, messages=messages)
            async with agent.stream(TASK, messages=messages) as run:
                self.events = [event async for event in run]
            return run.result

    def heard(self, kind):
        return [event.text for event in self.events if isinstance(event, kind)]

    def schema(self, number=0):
        return self.requests[number].body["response_format"]["json_schema"]["schema"]

    def fits(self, reply, number=0):
        """Whether the schema allows a reply."""
        jsonschema.Draft202012Validator.check_schema(self.schema(number))
        return jsonschema.Draft202012Validator(self.schema(number)).is_valid(json.loads(reply))


@pytest.fixture(params=["plain", "streamed"])
def chat(request):
    return Chat(streamed=request.param == "streamed")


def parts_of(schema):
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    for part in schema if isinstance(schema, list) else ():
        yield from parts_of(part)


# ---- what is asked for


async def test_no_tools_are_sent_but_told_and_the_reply_is_one_object(chat):
    result = await chat.ask(ADD, ANSWER, instructions="Be brief.")
    assert result.output == "It is 5."
    first, second = chat.requests
    assert not {"tools", "tool_choice"} & first.body.keys()
    assert first.body["response_format"]["type"] == "json_schema"
    assert first.body["response_format"]["json_schema"]["name"] == "reply"
    told = first.messages[0]["content"]
    assert told.startswith("Be brief.")
    assert '["add", "Add two numbers.", {' in told
    assert [message["role"] for message in second.messages] == ["system", "user", "assistant", "user"]
    assert second.messages[2]["content"] == ADD
    assert second.messages[3]["content"].endswith(":\n5")
    assert second.body["response_format"] == first.body["response_format"]


async def test_the_root_is_an_object_and_a_discriminator_comes_first(chat):
    await chat.ask(ANSWER)
    schema = chat.schema()
    assert (schema["type"], list(schema["properties"])) == ("object", ["reply"])
    calling, answering = schema["properties"]["reply"]["anyOf"]
    assert [next(iter(part["properties"])) for part in (calling, answering)] == ["type", "type"]
    assert calling["properties"]["type"]["enum"] == ["calls"]
    assert calling["properties"]["calls"]["maxItems"] == MOST_CALLS


@pytest.mark.parametrize(
    ("reply", "fits"),
    [
        (ADD, True),
        (ANSWER, True),
        (calls(("add", {"a": 1, "b": 2}), ("find", {"query": "x", "limit": None})), True),
        (calls(("find", {"query": "x", "limit": 3})), True),
        (calls(("find", {"query": "x"})), False),
        (calls(("add", {"a": 1, "b": "two"})), False),
        (calls(("add", {"query": "x", "limit": 1})), False),
        (calls(("subtract", {"a": 1, "b": 2})), False),
        (calls(), False),
        (json.dumps({"reply": {"type": "calls", "answer": "x"}}), False),
        (json.dumps({"reply": {"type": "answer", "answer": None}}), False),
        (json.dumps({"answer": "x"}), False),
    ],
)
async def test_the_schema_takes_replies_that_are_right_and_no_others(reply, fits):
    chat = Chat(streamed=False)
    await chat.ask(ANSWER)
    assert chat.fits(reply) is fits


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Node:
    name: str
    children: list["Node"] = field(default_factory=list)


class Order(BaseModel):
    item: str
    count: Annotated[int, Field(ge=1, le=10**18)] = 1
    tags: tuple[str, int] | None = None
    price: Annotated[str, Field(pattern=r"^\d+$")] = "1"


async def closed(
    node: Node,
    order: Optional[Order] = None,  # noqa: UP045 - as people write it
    colour: Colour = Colour.RED,
    size: Literal["s", "m", 3] = "s",
    many: Annotated[list[Node] | None, Field(min_length=1)] = None,
    ratio: float | int | None = None,
) -> str:
    """Take what has a shape."""
    return f"{node} {order} {colour} {size} {many} {ratio}"


async def other(node: Node, number: Annotated[int, Field(ge=2**53)] = 2**53) -> str:
    """Take another node."""
    return f"{node} {number}"


async def opened(anything: Any, table: dict[str, int], rows: list[dict]) -> str:
    """Take what has none."""
    return f"{anything} {table} {rows}"


#: What OpenAI's strict form takes, of what is used here; see "Structured Outputs", supported schemas.
STRICT = {"type", "enum", "anyOf", "items", "properties", "required", "additionalProperties", "$ref", "$defs"}
BOUNDS = {"minimum", "maximum", "minItems", "maxItems"}


async def test_shapes_are_strict_and_small_grammars_can_follow_them():
    chat = Chat(streamed=False)
    await chat.ask(ANSWER, tools=(closed, other))
    schema = chat.schema()
    assert chat.requests[0].body["response_format"]["json_schema"]["strict"] is True
    for part in parts_of(schema):
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert sorted(part["required"]) == sorted(part["properties"])
        if isinstance(part.get("type"), str):
            assert part.keys() <= STRICT | BOUNDS
            assert all(abs(part[key]) < 10**10 for key in BOUNDS & part.keys())
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/$defs/") in schema["$defs"]
    assert len(schema["$defs"]) == 2  # each tool's own
    order = {"item": "x", "count": 1, "tags": ["a", 1], "price": "12"}
    node = {"name": "a", "children": [{"name": "b", "children": []}]}
    rest = {"colour": "blue", "size": 3, "many": None, "ratio": 1.5}
    assert chat.fits(calls(("closed", {"node": node, "order": order, **rest})))
    assert not chat.fits(calls(("closed", {"node": {"name": 1}, "order": None, **rest})))


async def test_open_shapes_are_asked_for_without_strictness():
    chat = Chat(streamed=False)
    arguments = {"anything": 1, "table": {"a": 1}, "rows": [{}]}
    result = await chat.ask(calls(("opened", arguments)), ANSWER, tools=(opened,))
    assert chat.requests[0].body["response_format"]["json_schema"]["strict"] is False
    assert result.steps[0].observations[0].value == "1 {'a': 1} [{}]"
    assert chat.fits(calls(("opened", {"anything": [1], "table": {"a": 1}, "rows": []})))
    assert not chat.fits(calls(("opened", {"anything": 1, "table": {"a": "b"}, "rows": []})))


@pytest.mark.parametrize(
    "parameters",
    [
        {"properties": {"x": {"$ref": "#"}}},
        {"properties": {"x": {"$ref": "#/$defs/a~1b"}}, "$defs": {"a/b": {"type": "string"}}},
        {"properties": {"x": {"$ref": "https://x.test/y.json"}}},
        {"properties": {"x": {"type": "file"}}},
        {"properties": {"x": {"type": ["string", "null"]}}},
        {"properties": {"x": True}},
        {"properties": {"x": {"enum": []}}},
        {"properties": {"x": {"type": "string", "enum": []}}},
        {"properties": {"x": {"anyOf": []}}},
        {"properties": {"x": {"type": "integer", "minimum": 5, "maximum": 1}}},
        {"properties": {"x": {"type": "integer", "minimum": 2**63}}},
        {"properties": {"x": {"type": "string", "pattern": "^a.*b$", "minLength": 3000}}},
        {"properties": {}, "additionalProperties": {"type": "string"}},
        {},
    ],
    ids=str,
)
async def test_the_schema_of_any_server_of_tools_becomes_one_that_grammars_take(parameters):
    class Foreign(Tool):
        parameters = {"type": "object"}  # noqa: RUF012

    Foreign.parameters = {"type": "object", **parameters}
    form = Form(Foreign(find))
    jsonschema.Draft202012Validator.check_schema({**form.schema, "$defs": form.definitions})
    for part in parts_of([form.schema, form.definitions]):
        assert not part.keys() & {"pattern", "minLength"}
        if isinstance(part.get("type"), str):
            assert part.get("minimum", 0) <= part.get("maximum", 10)
            assert part["type"] in {"string", "integer", "array", "object", "null"}
        assert part.get("enum", [1])
        assert part.get("anyOf", [1])
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/$defs/") in form.definitions


async def test_at_the_step_limit_only_an_answer_is_allowed(chat):
    result = await chat.ask(ADD, ANSWER, limits=Limits(steps=1))
    assert (result.output, result.state) == ("It is 5.", "step_limit_reached")
    assert chat.requests[1].messages[-1]["content"].endswith(NO_TOOLS)
    assert chat.fits(ANSWER, 1)
    assert not chat.fits(ADD, 1)


async def test_without_tools_it_is_an_ordinary_chat(chat):
    result = await chat.ask("It is 5.", tools=())
    assert "response_format" not in chat.requests[0].body
    assert result.output == "It is 5."


async def test_calls_that_were_made_natively_are_told_in_this_form(chat):
    async with ScriptedServer([Reply("Adding.", (call("add", a=2, b=3),)), "It is 5."]) as native:
        before = await ReactAgent([add], model=native.model()).run(TASK)
    await chat.ask(ANSWER, messages=before.messages)
    assert chat.requests[0].messages[2]["content"] == "Adding.\n" + ADD.replace(": ", ":").replace(", ", ",")


# ---- what is read


async def test_several_calls_run_at_once(chat):
    both = asyncio.Event()

    async def first() -> str:
        """Wait for the second."""
        await both.wait()
        return "one"

    async def second() -> str:
        """Let the first go on."""
        both.set()
        return "two"

    result = await chat.ask(calls(("first", {}), ("second", {})), ANSWER, tools=(first, second))
    assert [seen.value for seen in result.steps[0].observations] == ["one", "two"]


async def test_null_is_an_argument_that_was_not_given(chat):
    result = await chat.ask(calls(("find", {"query": "tea", "limit": None})), ANSWER)
    assert result.steps[0].observations[0].value == "tea, 10"


async def test_null_is_a_field_that_was_not_given(chat):
    node = {"name": "a", "children": None}
    order = {"item": "tea", "count": None, "tags": None, "price": None}
    rest = {"colour": None, "size": None, "many": None, "ratio": None}
    reply = calls(("closed", {"node": node, "order": order, **rest}))
    result = await chat.ask(reply, ANSWER, tools=(closed,))
    assert chat.fits(reply)
    assert result.steps[0].observations[0].error is None
    assert "children=[]" in result.steps[0].observations[0].value
    assert "count=1" in result.steps[0].observations[0].value


async def test_the_answer_is_streamed_as_it_is_written():
    chat = Chat(streamed=True)
    result = await chat.ask(answer("It is 5, as far as I know."))
    assert "".join(chat.heard(TextDelta)) == result.output == "It is 5, as far as I know."
    assert len(chat.heard(TextDelta)) > 3
    assert chat.heard(TextVoided) == []


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```json\n\n{}", "\n{}\n"])
async def test_a_fence_that_a_grammar_allows_changes_nothing(chat, fence):
    result = await chat.ask(fence.replace("{}", ADD), fence.replace("{}", ANSWER))
    assert (result.output, len(result.steps)) == ("It is 5.", 2)
    assert all("response_format" in request.body for request in chat.requests)


@pytest.mark.parametrize("fence", ["", "```json\n"])
@pytest.mark.parametrize("length", [1, 3, 10, 30, 45, 60, 75])
async def test_calls_that_the_token_limit_cuts_do_not_run_and_the_model_is_told(chat, length, fence):
    text = fence + calls(("add", {"a": 2, "b": "x" * 60}))[:length]
    result = await chat.ask(Reply(text, (), finish_reason="length"), ANSWER)
    assert result.output == "It is 5."
    assert "cut by the token limit" in chat.requests[1].messages[-1]["content"]
    assert all("response_format" in request.body for request in chat.requests)


async def test_a_fence_before_which_the_token_limit_cut_is_told_too(chat):
    await chat.ask(Reply("```json\n\n", (), finish_reason="length"), ANSWER)
    assert "cut by the token limit" in chat.requests[1].messages[-1]["content"]
    assert all("response_format" in request.body for request in chat.requests)


async def test_calls_before_the_one_that_is_cut_run(chat):
    text = calls(("add", {"a": 2, "b": 3}), ("find", {"query": "x" * 30}))[:-20]
    result = await chat.ask(Reply(text, (), finish_reason="length"), ANSWER)
    assert [seen.value for seen in result.steps[0].observations] == [5, None]


async def test_an_answer_that_the_token_limit_cuts_is_a_cut_answer(chat):
    result = await chat.ask(Reply(answer("It is 5, and more")[:-8], (), finish_reason="length"))
    assert (result.output, result.state) == ("It is 5, and", "cut")


async def test_a_native_call_all_the_same_is_answered(chat):
    result = await chat.ask(call("add", a=2, b=3), ANSWER)
    assert result.steps[0].observations[0].value == 5


# ---- what a server may do instead


def refusal(message, status=400):
    return RawReply({"error": {"message": message, "type": "invalid_request_error"}}, status)


PROTOCOL = '{"tool": "add", "arguments": {"a": 2, "b": 3}}'
IGNORED = {
    "prose": "It is 5.",
    "the text protocol": '{"answer": "It is 5."}',
    "another object": '{"result": "It is 5."}',
    "prose around it": f"Sure! {ANSWER}",
}


@pytest.mark.parametrize("ignored", IGNORED.values(), ids=IGNORED)
async def test_a_server_that_ignores_the_schema_is_noticed_and_the_text_protocol_goes_on(chat, ignored):
    result = await chat.ask(PROTOCOL, ignored)
    assert "5" in result.output
    assert result.steps[0].observations[0].value == 5
    assert ["response_format" in request.body for request in chat.requests] == [True, False]
    if chat.streamed:
        (notice,) = chat.heard(Notice)
        assert "does not keep to a JSON schema; using the JSON text protocol" in notice


@pytest.mark.parametrize("ignored", IGNORED.values(), ids=IGNORED)
async def test_an_answer_of_such_a_server_is_one(chat, ignored):
    result = await chat.ask(ignored)
    assert "5" in result.output
    assert len(result.steps) == 1


REFUSED = {
    "no such parameter": refusal("Unrecognized request argument supplied: response_format"),
    "llama.cpp": refusal("Failed to initialize samplers: failed to parse grammar"),
    "converting": refusal("Unable to generate parser for this template. JSON schema conversion failed: /a"),
    "OpenAI": refusal("Invalid schema for response_format 'reply': In context=(), 'maxItems' is not permitted."),
    "vLLM": refusal("The provided JSON schema contains features not supported by xgrammar."),
    "model": refusal("'response_format' of type 'json_schema' is not supported with this model.", 422),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
async def test_a_server_that_refuses_the_schema_gets_the_text_protocol(chat, refused):
    result = await chat.ask(refused, PROTOCOL, '{"answer": "It is 5."}')
    assert result.output == "It is 5."
    assert ["response_format" in request.body for request in chat.requests] == [True, False, False]


async def test_what_was_learned_is_remembered():
    async with ScriptedServer([refusal("no grammar"), '{"answer": "1"}', '{"answer": "2"}']) as server:
        model = server.model(tool_calling="schema")
        for _ in range(2):
            await ReactAgent([add], model=model).run(TASK)
    assert ["response_format" in request.body for request in server.requests] == [True, False, False]


async def test_auto_comes_to_it_where_native_tools_are_refused(chat):
    result = await chat.ask(refusal("this model does not support tools"), ADD, ANSWER, model={"tool_calling": "auto"})
    assert (result.output, result.steps[0].observations[0].value) == ("It is 5.", 5)
    assert ["tools" in request.body for request in chat.requests] == [True, False, False]
    assert ["response_format" in request.body for request in chat.requests] == [False, True, True]
    if chat.streamed:
        (notice,) = chat.heard(Notice)
        assert "does not take native tools; using a JSON schema for its replies" in notice


@pytest.mark.parametrize("own", [{"response_format": {"type": "text"}}, {"extra_body": {"response_format": {}}}])
async def test_a_format_of_ones_own_is_kept(own):
    with pytest.raises(ConfigurationError, match="leave yours out"):
        OpenAIModel("m", tool_calling="schema", **own)
    chat = Chat(streamed=False)
    replies = (refusal("this model does not support tools"), PROTOCOL, '{"answer": "It is 5."}')
    result = await chat.ask(*replies, model={"tool_calling": "auto", **own})
    assert result.output == "It is 5."
    assert len({json.dumps(request.body["response_format"]) for request in chat.requests}) == 1


async def test_a_stream_that_breaks_off_is_asked_again_and_what_was_shown_is_void():
    half = {"choices": [{"index": 0, "delta": {"content": answer("It is 4, I think")[:-6]}}]}
    chat = Chat(streamed=True)
    result = await chat.ask(RawStream([half, CUT]), ANSWER)
    assert result.output == "It is 5."
    assert chat.heard(TextVoided) == ["It is 4, I th"]


async def test_thoughts_that_a_template_opens_do_not_hide_a_constrained_answer():
    """A grammar leaves no room for the end of a block that earlier replies without tools had."""
    async with ScriptedServer(["So.\n</think>\nHello.", ANSWER]) as server:
        model = server.model(tool_calling="schema")
        await ReactAgent(model=model).run("Hello")
        async with ReactAgent([add], model=model).stream(TASK) as run:
            events = [event async for event in run]
    assert sum(isinstance(event, TextDelta) for event in events) > 1
    assert run.result.output == "It is 5."


async def test_a_tool_that_returns_the_answer_ends_the_run(chat):
    result = await chat.ask(ADD, tools=(tool(returns_answer=True)(add),))
    assert result.output == 5
