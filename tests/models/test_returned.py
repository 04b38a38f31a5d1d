"""What must go back to the server: the rows of the wire table about what it sent itself, or does not take."""

import json
import re

import pytest

from tests.models.test_wire import ADD, DONE, TOOLS, Wire, calls, delta, piece
from tinyagent import Call, Notice, OpenAIModel, ReactAgent, Retry, RunResult, User
from tinyagent.core.limits import Limits
from tinyagent.errors import BadRequestError, StepLimitReached, StreamError
from tinyagent.messages import Assistant, ToolReply
from tinyagent.models.native import nine_characters
from tinyagent.testing import RawReply, RawStream, ScriptedServer, call

SIGNATURE = {"extra_content": {"google": {"thought_signature": "c2ln"}}}


@pytest.fixture
def wire(streamed):
    return Wire(streamed=streamed)


async def ask(server, *, streamed, tools=TOOLS, model=None, agent=None, **options):
    """The result of a run, and the retries and notices on its way."""
    agent = agent or ReactAgent(tools, model=model or server.model(max_retries=0))
    async with agent.stream("What is 2 and 3?", **options) as run:
        run.state.streamed = streamed
        news = [event async for event in run if isinstance(event, Retry | Notice)]
    return run.result, news


def refusal(message, status=400, **more):
    return RawReply({"error": {"message": message, **more}}, status)


def history(origin="", **more):
    """A conversation with a call, sent by a server."""
    made = Call("add", {"a": 2, "b": 3}, id="call_1", extra=dict(SIGNATURE))
    return [User("Add."), Assistant("", (made,), origin=origin, **more), ToolReply("call_1", "5", "add")]


# ---- unknown keys of a call or a message


@pytest.mark.parametrize(
    "extra",
    [
        SIGNATURE,
        {"thought_signature": "c2ln"},
        {"provider_specific_fields": {"signature": None, "deep": [1, {"a": True}]}},
        {"function": {**ADD, "thought_signature": "c2ln"}},
        {**SIGNATURE, "function": {**ADD, "provider_specific_fields": {"a": 0}}},
    ],
)
async def test_unknown_keys_of_a_call_go_back_with_it(wire, extra):
    sent = {"id": "c1", "type": "function", "function": ADD, **extra}
    result = await wire.ask(wire.reply({"content": None, "tool_calls": [sent]}), wire.reply({"content": "5"}))
    assert wire.requests[1].messages[1]["tool_calls"] == [sent]
    assert result.output == "5"


async def test_a_key_may_come_after_the_call_that_it_belongs_to_has_started(wire):
    wire.streamed = True
    late = piece(0, None, None, None, **SIGNATURE)
    parts = [piece(0, "c1", "add", ADD["arguments"]), late, delta(finish="tool_calls"), DONE]
    await wire.ask(RawStream(parts), wire.reply({"content": "5"}))
    assert wire.requests[1].messages[1]["tool_calls"][0]["extra_content"] == SIGNATURE["extra_content"]


async def test_each_call_has_keys_of_its_own(wire):
    one, two = ({"id": f"c{n}", "type": "function", "function": ADD, "signature": str(n)} for n in (1, 2))
    plain = {"id": "c3", "type": "function", "function": ADD}
    await wire.ask(wire.reply({"content": None, "tool_calls": [one, two, plain]}), wire.reply({"content": "5"}))
    assert wire.requests[1].messages[1]["tool_calls"] == [one, two, plain]


@pytest.mark.parametrize("key", ["reasoning_details", "thinking_blocks", "something"])
async def test_unknown_keys_of_a_message_go_back_with_it(wire, key):
    details = [{"type": "reasoning.encrypted", "data": "abc", "index": 0, "id": "r1", "format": None}]
    await wire.ask(wire.reply({**calls(ADD), key: details}), wire.reply({"content": "5"}))
    assert wire.requests[1].messages[1][key] == details


async def test_details_that_come_in_pieces_are_put_together_by_index_and_type(wire):
    wire.streamed = True

    def details(*items):
        return delta(reasoning_details=list(items))

    parts = [
        details({"type": "reasoning.text", "text": "2 ", "index": 0, "format": "f", "signature": None}),
        details({"type": "reasoning.summary", "summary": "sum", "index": 1}),
        details({"type": "reasoning.text", "text": "and ", "index": 0, "format": "f"}),
        details({"type": "reasoning.text", "text": "and ", "index": 0}, {"type": "reasoning.summary", "index": 1}),
        details({"type": "reasoning.text", "text": "3", "index": 0, "signature": "sig", "id": "r0"}),
        details({"type": "reasoning.encrypted", "data": "x", "index": 1}),
        details({"type": "reasoning.encrypted", "data": "no index"}),
        details({"type": "reasoning.encrypted", "data": "no index"}),
        piece(0, "c1", "add", ADD["arguments"]),
        delta(finish="tool_calls"),
        DONE,
    ]
    await wire.ask(RawStream(parts), wire.reply({"content": "5"}))
    text = {"type": "reasoning.text", "text": "2 and and 3", "index": 0, "format": "f", "signature": "sig", "id": "r0"}
    assert wire.requests[1].messages[1]["reasoning_details"] == [
        text,
        {"type": "reasoning.summary", "summary": "sum", "index": 1},
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
        {"type": "reasoning.encrypted", "data": "no index"},
        {"type": "reasoning.encrypted", "data": "no index"},
    ]


async def test_a_text_in_pieces_is_joined_and_one_that_is_repeated_is_not_doubled(wire):
    wire.streamed = True
    parts = [
        delta(reasoning_text="2 ", reasoning_opaque="sig", model_name="m"),
        delta(reasoning_text="and 3", model_name="m"),
        piece(0, "c1", "add", ADD["arguments"]),
        delta(finish="tool_calls"),
        DONE,
    ]
    await wire.ask(RawStream(parts), wire.reply({"content": "5"}))
    sent = wire.requests[1].messages[1]
    assert (sent["reasoning_text"], sent["reasoning_opaque"], sent["model_name"]) == ("2 and 3", "sig", "m")


@pytest.mark.parametrize("empty", [None, "", [], {}])
async def test_keys_without_content_and_those_that_no_server_takes_back_stay_away(wire, empty):
    sent = {**calls(ADD), "something": empty, "annotations": [{"type": "url_citation"}], "audio": {"id": "a"}}
    await wire.ask(wire.reply({**sent, "refusal": None, "function_call": None}), wire.reply({"content": "5"}))
    assert wire.requests[1].messages[1].keys() == {"role", "content", "tool_calls"}


async def test_unknown_keys_go_to_no_other_server(wire):
    sent = {**calls(ADD, **SIGNATURE), "reasoning_details": [{"text": "hm"}]}
    result = await wire.ask(wire.reply(sent), wire.reply({"content": "5"}))
    assert "reasoning_details" in wire.requests[1].messages[1]
    await wire.ask(wire.reply({"content": "6"}), messages=result.messages)
    assistant = wire.requests[0].messages[1]
    assert assistant.keys() == {"role", "content", "tool_calls"}
    assert assistant["tool_calls"][0].keys() == {"id", "type", "function"}


async def test_they_survive_being_written_down(streamed):
    async def reply(request):
        if len(server.requests) == 1:
            return RawReply({"choices": [{"message": {**calls(ADD, **SIGNATURE), "details": [{"text": "hm"}]}}]})
        return "5"

    async with ScriptedServer(reply) as server:
        first, _ = await ask(server, streamed=streamed)
        loaded = RunResult.from_dict(json.loads(json.dumps(first.to_dict())))
        await ask(server, streamed=streamed, messages=loaded.messages)
    assistant = server.requests[2].messages[1]
    assert assistant["details"] == [{"text": "hm"}]
    assert assistant["tool_calls"][0]["extra_content"] == SIGNATURE["extra_content"]


# ---- a refusal of what it sent itself


REFUSED = [
    ("reasoning", "'messages.1' : for 'role:assistant' ... property 'reasoning' is unsupported"),
    ("reasoning_content", "messages[1].reasoning_content: Extra inputs are not permitted"),
    ("reasoning_details", "Additional properties are not allowed ('reasoning_details' was unexpected)"),
]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(("key", "said"), REFUSED)
async def test_a_server_that_refuses_what_it_sent_itself_is_asked_without_it(key, said, status, streamed):
    async def reply(request):
        if any(key in message for message in request.messages):
            return refusal(said, status)
        if request.messages[-1]["role"] == "tool":
            return "5"
        value = [{"text": "hm"}] if key == "reasoning_details" else "hm"
        return RawReply({"choices": [{"message": {**calls(ADD), key: value}}]})

    async with ScriptedServer(reply) as server:
        model = server.model(max_retries=0)
        for _ in range(2):
            result, news = await ask(server, streamed=streamed, model=model)
            assert (result.output, news) == ("5", [])
    assert [key in request.messages[1] for request in server.requests if len(request.messages) > 2] == [
        True,
        False,
        False,  # remembered
    ]


async def test_a_key_of_a_call_that_is_refused_is_left_out_there(streamed):
    sent = calls(ADD, **SIGNATURE)
    sent["tool_calls"][0]["function"] = {**ADD, "hint": 1}
    replies = [
        RawReply({"choices": [{"message": sent}]}),
        refusal("tool_calls.0.hint: extra"),
        refusal("extra_content?"),
    ]
    async with ScriptedServer([*replies, "5"]) as server:
        assert (await ask(server, streamed=streamed))[0].output == "5"
    kept = [
        sorted({**item, **item["function"]}) for item in (r.messages[1]["tool_calls"][0] for r in server.requests[1:])
    ]
    rest = ["arguments", "function", "id", "name", "type"]
    assert kept == [sorted([*rest, "extra_content", "hint"]), sorted([*rest, "extra_content"]), rest]


@pytest.mark.parametrize("said", ["reasoning_effort is not supported", "the moon is not supported"])
async def test_other_refusals_are_errors_and_ask_nothing_again(said, streamed):
    first = RawReply({"choices": [{"message": {**calls(ADD), "reasoning": "hm"}}]})
    async with ScriptedServer([first, refusal(said)]) as server:
        with pytest.raises(BadRequestError, match=said):
            await ask(server, streamed=streamed)
    assert len(server.requests) == 2


async def test_what_did_not_help_is_not_remembered(streamed):
    first = RawReply({"choices": [{"message": {**calls(ADD), "reasoning": "hm"}}]})
    no = refusal("I dislike reasoning")
    async with ScriptedServer([first, no, no, first, "5"]) as server:
        model = server.model(max_retries=0)
        with pytest.raises(BadRequestError):
            await ask(server, streamed=streamed, model=model)
        await ask(server, streamed=streamed, model=model)
    assert [request.messages[1].get("reasoning") for request in server.requests if len(request.messages) > 2] == [
        "hm",
        None,
        "hm",
    ]


# ---- a refusal of call ids


NINE = re.compile(r"[a-zA-Z0-9]{9}\Z")
ID_REFUSALS = [
    refusal("Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."),
    refusal("Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.", 422),
    refusal("Invalid 'messages[1].tool_calls[0].id': string too long. Expected at most 40 characters."),
    refusal("messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"),
    refusal("Value at 'messages.1.toolUseId' failed: Member must satisfy regular expression pattern: [a-z]+"),
]


def ids_of(request):
    made = [item["id"] for message in request.messages for item in message.get("tool_calls", ())]
    return made, [message["tool_call_id"] for message in request.messages if message["role"] == "tool"]


async def test_ids_that_we_make_fit_the_strictest_server(wire):
    await wire.ask(wire.reply(calls(ADD, ADD, id=None)), wire.reply({"content": "5"}))
    made, answered = ids_of(wire.requests[1])
    assert made == answered
    assert all(map(NINE.match, made))
    assert len({*made}) == 2


@pytest.mark.parametrize("no", ID_REFUSALS)
async def test_other_ids_are_mapped_after_a_refusal(no, streamed):
    async def reply(request):
        made, _ = ids_of(request)
        if all(map(NINE.match, made)):
            return "5" if request.messages[-1]["role"] == "tool" else Call("add", {"a": 2, "b": 3}, id="abcDEF123")
        return no

    async with ScriptedServer(reply) as server:
        model = server.model(max_retries=0)
        result, news = await ask(server, streamed=streamed, model=model, messages=history())
        assert (result.output, news) == ("5", [])
        await ask(server, streamed=streamed, model=model, messages=history())
    refused, *accepted = map(ids_of, server.requests)
    assert refused == (["call_1"], ["call_1"])
    assert all(made == answered for made, answered in accepted)
    assert {made[0] for made, _ in accepted} == {nine_characters("call_1")}  # the same in each request
    assert accepted[1][0][1] == "abcDEF123"  # one that fits stays
    assert len(accepted) == 4  # remembered


def test_different_ids_stay_different():
    ids = {f"call_{number}" for number in range(20_000)}
    mapped = {nine_characters(each) for each in ids}
    assert len(mapped) == len(ids)
    assert all(map(NINE.match, mapped))
    assert NINE.match(nine_characters("\ud800 é"))


@pytest.mark.parametrize("said", ["tool_call_id 'x' is not in the previous message", "messages[2].tool_call_id is bad"])
async def test_a_history_that_is_refused_for_another_reason_is_an_error(said, streamed):
    async with ScriptedServer([refusal(said)]) as server:
        with pytest.raises(BadRequestError):
            await ask(server, streamed=streamed, messages=history())


# ---- a history with calls while no tools are offered


NO_TOOLS = [
    "Anthropic expects the `tools=` param to be passed in when the messages hold tool calls",
    "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
    "messages with role 'tool' need tools",
]


@pytest.mark.parametrize("said", NO_TOOLS)
async def test_calls_are_written_as_text_for_a_server_that_wants_tools_with_them(said, streamed):
    async def reply(request):
        native = any(message["role"] == "tool" or "tool_calls" in message for message in request.messages)
        return refusal(said) if native and "tools" not in request.body else "5"

    async with ScriptedServer(reply) as server:
        model = server.model(max_retries=0)
        for _ in range(2):
            result, news = await ask(server, streamed=streamed, tools=(), model=model, messages=history())
            assert (result.output, news) == ("5", [])
        assert (await ask(server, streamed=streamed, model=model, messages=history()))[0].output == "5"
    _, asked_again, remembered, with_tools = server.requests
    assert asked_again.messages == remembered.messages
    assert [message["role"] for message in asked_again.messages] == ["user", "assistant", "user"]
    assert json.loads(asked_again.messages[1]["content"]) == {"tool": "add", "arguments": {"a": 2, "b": 3}}
    assert "5" in asked_again.messages[2]["content"]
    assert with_tools.messages[1]["tool_calls"][0]["function"]["name"] == "add"  # there they are calls


async def test_a_handoff_to_an_agent_without_tools_reaches_such_a_server(streamed):
    async def reply(request):
        if "tools" in request.body:
            return call("transfer_to_poet") if request.messages[-1]["role"] == "user" else "?"
        return refusal(NO_TOOLS[0]) if any("tool_calls" in m for m in request.messages) else "a poem"

    async with ScriptedServer(reply) as server:
        model = server.model(max_retries=0)
        poet = ReactAgent(model=model, name="poet", description="Writes poems.")
        result, _ = await ask(server, streamed=streamed, agent=ReactAgent(TOOLS, model=model, handoffs=[poet]))
    assert result.output == "a poem"


@pytest.mark.parametrize("messages", [[], [User("Hi."), Assistant("Hello.")]])
async def test_without_calls_in_the_history_that_is_an_error(messages, streamed):
    async with ScriptedServer([refusal(NO_TOOLS[0])]) as server:
        with pytest.raises(BadRequestError):
            await ask(server, streamed=streamed, tools=(), messages=messages)


# ---- a call that the server could not read


def unread(generation, **more):
    words = "Failed to call a function. See 'failed_generation' for more details."
    return {"message": words, "code": "tool_use_failed", "failed_generation": generation, **more}


def failing(how, generation):
    """A reply in which the server says that it could not read the model's call."""
    error = {"error": unread(generation)}
    return {
        "status": RawReply(error, 400),
        "event": RawStream([delta(role="assistant"), error]),
        "named event": RawStream([f"event: error\ndata: {json.dumps(error)}\n\n"]),
        "bare event": RawStream([f"event: error\ndata: {json.dumps(unread(generation))}\n\n"]),
    }[how]


HOW = ["status", "event", "named event", "bare event"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("generation", ["<function=add{2 and 3", "", None])
async def test_a_model_whose_call_the_server_could_not_read_is_told(wire, how, generation):
    failed = failing(how, generation)
    result = await wire.ask(failed, wire.reply(calls(ADD)), wire.reply({"content": "5"}))
    assert result.output == "5"
    _, assistant, told = wire.requests[1].messages
    assert assistant["content"] == (generation or None)  # the model sees what it wrote
    assert told["tool_call_id"] == assistant["tool_calls"][0]["id"]
    assert "The server could not read your call, so nothing ran: Failed to call a function." in told["content"]
    assert result.steps[0].observations[0].error
    assert not wire.of(Retry)
    assert len(result.steps) == 3


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "generation",
    [
        '<tool_call>{"name": "add", "arguments": {"a": 2, "b": 3}}</tool_call>',
        '<function=add>{"a": 2, "b": 3}</function>',
        '{"name": "add", "parameters": {"a": 2, "b": 3}}',
        '[{"name": "add", "arguments": {"a": 2, "b": 3}}]',
    ],
)
async def test_a_call_that_we_can_read_runs_although_the_server_could_not(wire, how, generation):
    result = await wire.ask(failing(how, generation), wire.reply({"content": "5"}))
    assert (result.output, [*wire.told().values()]) == ("5", ["5"])
    assert not wire.of(Retry)


@pytest.mark.parametrize("how", HOW)
async def test_that_happens_within_the_steps_of_the_run(wire, how):
    replies = [failing(how, "<function") for _ in range(4)]
    with pytest.raises(StepLimitReached):
        await wire.ask(*replies, limits=Limits(steps=3))
    assert len(wire.requests) == 4


async def test_what_was_streamed_before_is_not_repeated(wire):
    wire.streamed = True
    parts = [delta("Let me "), delta("add"), {"error": unread("Let me add <function")}]
    result = await wire.ask(RawStream(parts), wire.reply({"content": "5"}))
    assert result.steps[0].message.text == "Let me add <function"
    assert wire.text() == "Let me add <function5"


async def test_calls_that_were_complete_before_keep_their_results(wire):
    wire.streamed = True
    parts = [piece(0, "c1", "add", ADD["arguments"]), {"error": unread("")}]
    await wire.ask(RawStream(parts), wire.reply({"content": "5"}))
    assert wire.told() == {"c1": "5"}


@pytest.mark.parametrize("code", ["rate_limited", None])
async def test_other_errors_in_a_stream_stay_errors(wire, code):
    wire.streamed = True
    with pytest.raises(StreamError, match="busy"):
        await wire.ask(RawStream([{"error": {"message": "busy", "code": code}}]))


def test_the_model_of_a_server_that_takes_everything_has_no_quirks():
    assert OpenAIModel("m")._quirks == OpenAIModel("n", tool_calling="native")._quirks
