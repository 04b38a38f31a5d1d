"""The loop: steps, limits, endings, errors, and the seams for models and stores."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading
import time
from dataclasses import replace

import pytest

from tinyagent import (
    Call,
    ConfigurationError,
    Context,
    FatalToolError,
    Limits,
    MemoryStore,
    ModelError,
    ReactAgent,
    Reply,
    RunError,
    TinyAgentError,
    Tool,
    Toolkit,
    Usage,
    User,
    tool,
)
from tinyagent.agents.agent import Agent
from tinyagent.core import waiting
from tinyagent.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    EmptyReplyError,
    MalformedReplyError,
    MissingCredentialsError,
    ModelConnectionError,
    ModelNotFoundError,
    NoChoicesError,
    RateLimitError,
    RefusalError,
    ScriptError,
    ServerError,
    StepLimitReached,
    StreamError,
    StreamInterruptedError,
    TimeLimitReached,
    TokenLimitReached,
    TruncatedReplyError,
)
from tinyagent.messages import Assistant, System, ToolReply
from tinyagent.models.base import model_name
from tinyagent.models.native import message_data
from tinyagent.testing import CUT, RawReply, RawStream, call
from tinyagent.testing.history import fault_of
from tinyagent.testing.scripted import ScriptedModel


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def note(text: str) -> str:
    """Take a note."""
    return f"noted {text}"


def fault(messages):
    return fault_of({"messages": [message_data(message, "") for message in messages]})


def chunk(delta, finish=None):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call_delta(index, call_id, name, arguments):
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}


@pytest.fixture
def quick_retries(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)


# ---- the task


@pytest.mark.parametrize("task", ["", "   ", "\n\t", None, 7, ["Add."], b"Add."])
async def test_an_empty_task_is_refused_with_what_to_pass(kind, task, scripted_model):
    agent = kind.agent(model=scripted_model([]))
    with pytest.raises(ConfigurationError, match=r"(?s)The task is .*: say in words what to do, such as agent\.run"):
        await agent.run(task)
    with pytest.raises(ConfigurationError, match="say in words what to do"):
        agent.stream(task)


# ---- the whole way


async def test_a_run_asks_acts_and_answers(kind, scripted_server):
    async with scripted_server(kind.script([call("add", a=2, b=3), call("note", text="5"), "The sum is 5."])) as server:
        result = await kind.agent([add, note], model=server.model(), instructions="Be brief.").run("Add 2 and 3.")
    assert (result.output, result.state, result.finish_reason) == ("The sum is 5.", "success", "stop")
    assert [type(message) for message in result.messages] == [
        System, User, Assistant, kind.told_in, Assistant, kind.told_in, Assistant,
    ]  # fmt: skip
    assert [step.number for step in result.steps] == [1, 2, 3]
    assert kind.values(result) == [[5], ["noted 5"], []]
    assert str(result) == "The sum is 5."


async def test_run_sends_plain_requests_and_stream_streamed_ones(kind, scripted_server):
    async with scripted_server(kind.script(["one", "two"])) as server:
        agent = kind.agent(model=server.model())
        await agent.run("Once.")
        async with agent.stream("Twice.") as run:
            await run.drain()
    assert [request.body.get("stream", False) for request in server.requests] == [False, True]


async def test_run_and_stream_give_the_same_result(kind, scripted_server):
    def script(request):
        return kind.says("The sum is 5." if kind.told(request) else Call("add", {"a": 2, "b": 3}, id="c1"))

    async with scripted_server(script) as server:
        agent = kind.agent([add], model=server.model(), instructions="Be brief.")
        plain = await agent.run("Add.")
        async with agent.stream("Add.") as run:
            streamed = await run.drain()
    assert streamed.messages == plain.messages
    assert (streamed.output, streamed.state) == (plain.output, plain.state)
    assert [step.usage.requests for step in streamed.steps] == [step.usage.requests for step in plain.steps] == [1, 1]


async def test_each_request_extends_the_one_before_byte_for_byte(kind, scripted_server):
    replies = [[call("add", a=1, b=2), call("note", text="häß")], Reply(""), call("unknown"), "done"]
    async with scripted_server(kind.script(replies)) as server:
        await kind.agent([add, note], model=server.model(), instructions="Be brief.").run("Go.")
    for earlier, later in zip(server.requests, server.requests[1:], strict=False):
        assert later.raw.startswith(earlier.raw.removesuffix(b"]}"))


def test_an_agent_without_its_two_methods_cannot_be_made():
    with pytest.raises(TypeError, match=r"Agent is abstract: make a ReactAgent\(\.\.\.\), or a TinyCodeAgent"):
        Agent(tools=[add], model="m")

    class Half(Agent):
        """Half an agent."""

    with pytest.raises(TypeError, match="abstract"):
        Half()


# ---- what is known of a run


async def test_result_metadata_names_the_run_its_times_and_what_was_passed(kind, scripted_model):
    before = time.time()
    given = {"user": "u1"}
    agent = kind.agent(model=scripted_model(kind.script(["ok"]), name="tiny-1"), name="helper")
    result = await agent.run("Go.", run_id="run-7", metadata=given)
    given["user"] = "changed"
    info = result.info
    assert (info.run_id, info.agent, info.model) == ("run-7", "helper", "tiny-1")
    assert before <= info.started <= time.time()
    assert 0 < info.seconds <= time.time() - before + 1
    assert result.metadata == {"user": "u1"}


async def test_every_run_has_an_id_of_its_own(kind, scripted_model):
    agent = kind.agent(model=scripted_model(kind.script(["a", "b"])))
    first, second = await agent.run("One."), await agent.run("Two.")
    assert first.info.run_id
    assert first.info.run_id != second.info.run_id


async def test_usage_is_counted_by_step_and_by_run(kind, scripted_server):
    replies = [
        replace(Reply(calls=(call("add", a=1, b=2),)), usage=Usage(1, 100, 10, cached_tokens=60)),
        replace(Reply("3"), usage=Usage(1, 200, 20, reasoning_tokens=5)),
    ]
    async with scripted_server(kind.script(replies)) as server:
        result = await kind.agent([add], model=server.model()).run("Add.")
    assert [step.usage.total_tokens for step in result.steps] == [110, 220]
    assert result.usage == Usage(2, 300, 30, cached_tokens=60, reasoning_tokens=5)


async def test_steps_have_times(kind, scripted_model):
    async def slow() -> str:
        await asyncio.sleep(0.03)  # uvloop counts in milliseconds, and wakes before the last is over
        return "slept"

    result = await kind.agent([slow], model=scripted_model(kind.script([call("slow"), "done"]))).run("Wait.")
    assert result.steps[0].seconds >= result.steps[0].observations[0].seconds >= 0.02
    assert result.info.seconds >= result.steps[0].seconds


async def test_a_tool_knows_its_run(kind, scripted_model):
    seen = []

    async def look(item: str, context: Context[dict]) -> str:
        seen.append(context)
        return f"{context.deps[item]} after {context.usage.requests}"

    model = scripted_model(
        kind.script([Call("look", {"item": "key"}, id="c1"), Call("look", {"item": "key"}, id="c2"), "ok"])
    )
    deps = {"key": "under the mat"}
    result = await kind.agent([look], model=model).run("Look.", deps=deps, run_id="r1", metadata={"user": "u1"})
    ids = [step.observations[0].call.id for step in result.steps[:2]]
    assert [(item.call_id, item.step, item.tool, item.run_id) for item in seen] == [
        (ids[0], 1, "look", "r1"),
        (ids[1], 2, "look", "r1"),
    ]
    assert seen[0].deps is deps
    assert seen[0].metadata == {"user": "u1"}
    texts = [step.observations[0].text for step in result.steps[:2]]
    assert texts == ["under the mat after 1", "under the mat after 2"]
    assert "item" in kind.offered(model.requests[0])
    assert "context" not in kind.offered(model.requests[0])


# ---- going on from an earlier result


async def test_messages_go_on_from_an_earlier_result(kind, scripted_server):
    async with scripted_server(kind.script([call("add", a=1, b=2), "It is 3.", "As I said: 3."])) as server:
        agent = kind.agent([add], model=server.model(), instructions="Be brief.")
        first = await agent.run("Add 1 and 2.")
        second = await agent.run("Say it again.", messages=first.messages)
    assert second.messages[: len(first.messages)] == first.messages
    assert [message.role for message in second.messages].count("system") == 1
    assert server.requests[2].raw.startswith(server.requests[1].raw.removesuffix(b"]}"))
    assert server.requests[2].messages[-1] == {"role": "user", "content": "Say it again."}


async def test_instructions_come_first_where_earlier_messages_have_none(kind, scripted_model):
    model = scripted_model(kind.script(["Still here."]))
    agent = kind.agent(model=model, instructions="Be brief.")
    await agent.run("Still there?", messages=[User("Hello?"), Assistant("Hello.")])
    assert [message.role for message in model.requests[0].messages] == ["system", "user", "assistant", "user"]
    assert model.requests[0].messages[0] == System(agent.instructions)
    assert agent.instructions.endswith("Be brief.")


async def test_an_agent_that_goes_on_from_anothers_conversation_has_its_own_instructions(kind, scripted_model):
    model = scripted_model(kind.script(["Still here."]))
    agent = kind.agent(model=model, instructions="Be brief.")
    await agent.run("Still there?", messages=[System("Be kind."), User("Hello?"), Assistant("Hello.")])
    said = [message.text for message in model.requests[0].messages]
    assert said == [agent.instructions, "Hello?", "Hello.", "Still there?"]


# a code agent always has instructions
async def test_instructions_of_earlier_messages_stay_where_the_agent_has_none(scripted_model):
    model = scripted_model(["Still here."])
    await ReactAgent(model=model).run(
        "Still there?", messages=[System("Be kind."), User("Hello?"), Assistant("Hello.")]
    )
    assert model.requests[0].messages[0] == System("Be kind.")


async def test_the_earlier_result_is_not_changed_by_going_on(kind, scripted_model):
    agent = kind.agent(model=scripted_model(kind.script(["one", "two", "three"])))
    first = await agent.run("First.")
    kept = first.messages
    second = await agent.run("Second.", messages=first.messages)
    third = await agent.run("Third.", messages=first.messages)
    assert first.messages is kept
    one, two, three = (kind.says(text).text for text in ("one", "two", "three"))
    assert [message.text for message in kind.without_prompt(second.messages)] == ["First.", one, "Second.", two]
    assert [message.text for message in kind.without_prompt(third.messages)] == ["First.", one, "Third.", three]


async def test_messages_of_a_failed_run_can_be_gone_on_from(kind, scripted_server):
    async def fail() -> str:
        raise FatalToolError("no way")

    async with scripted_server(kind.script([[call("fail"), call("add", a=1, b=2)], "fine now"])) as server:
        agent = kind.agent([fail, add], model=server.model())
        with pytest.raises(FatalToolError) as caught:
            await agent.run("Go.")
        result = await agent.run("Never mind.", messages=caught.value.result.messages)
    assert result.output == "fine now"


async def test_messages_with_open_calls_are_answered_before_going_on(kind, scripted_server):
    earlier = [User("Add."), Assistant(calls=(Call("add", {"a": 1, "b": 2}, id="c1"),))]
    async with scripted_server(kind.script(["hello"])) as server:
        await kind.agent([add], model=server.model()).run("Still there?", messages=earlier)
    said = kind.without_prompt(server.requests[0].messages)
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "user"]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ("Add.", "messages= is of the type str"),
        (None, "messages= is of the type NoneType"),
        ([{"role": "user"}], r"messages\[0\] has no content"),
        ([User("Add."), "Add."], r"messages\[1\] is of the type str"),
    ],
)
async def test_messages_that_are_no_history_are_refused(kind, messages, said, scripted_model):
    agent = kind.agent(model=scripted_model([]))
    with pytest.raises(ConfigurationError, match=said):
        await agent.run("Go on.", messages=messages)


# ---- limits


async def test_the_token_limit_stops_before_the_next_model_call(kind, scripted_model):
    model = scripted_model(kind.script([replace(Reply(calls=(call("add", a=1, b=2),)), usage=Usage(1, 900, 100))]))
    agent = kind.agent([add], model=model, limits=Limits(tokens=1000))
    async with agent.stream("Add.") as run:
        events = []
        with pytest.raises(TokenLimitReached, match=r"1,000 of 1,000 tokens \(Limits\.tokens\)") as caught:
            async for event in run:
                events.append(event)
    limit = next(event for event in events if event.type == "limit_hit")
    assert (limit.limit, limit.value) == ("tokens", 1000)
    assert caught.value.result.steps[0].observations[0].value == 3
    assert caught.value.result.usage.total_tokens == 1000


async def test_an_answer_beyond_the_token_limit_is_still_the_answer(kind, scripted_model):
    model = scripted_model(kind.script([replace(Reply("ok"), usage=Usage(1, 5000, 5000))]))
    assert (await kind.agent(model=model, limits=Limits(tokens=10)).run("Go.")).output == "ok"


async def test_the_token_limit_holds_for_the_last_request_too(kind, scripted_model):
    model = scripted_model(kind.script([replace(Reply(calls=(call("add", a=1, b=2),)), usage=Usage(1, 900, 100))]))
    with pytest.raises(TokenLimitReached):
        await kind.agent([add], model=model, limits=Limits(steps=1, tokens=10)).run("Add.")


async def test_the_time_limit_ends_a_model_call(kind, scripted_server):
    async with (
        scripted_server(lambda _: RawReply(delay=60)) as server,
        kind.agent(model=server.model(), limits=Limits(seconds=0.3)) as agent,
    ):
        with pytest.raises(TimeLimitReached, match=r"longer than 0\.3 s \(Limits\.seconds\)") as caught:
            async with asyncio.timeout(10):
                await agent.run("Go.")
    assert len(server.requests) == 1
    assert caught.value.result.state == "failed"
    assert kind.without_prompt(caught.value.result.messages) == [User("Go.")]


async def test_the_time_limit_ends_a_synchronous_tool(kind, scripted_model):
    gate = threading.Event()

    def block() -> str:
        gate.wait(30)
        return "too late"

    agent = kind.agent([block], model=scripted_model(kind.script([call("block")])), limits=Limits(seconds=0.3))
    try:
        with pytest.raises(TimeLimitReached) as caught:
            async with asyncio.timeout(10):
                await agent.run("Block.")
    finally:
        gate.set()
    assert fault(caught.value.result.messages) is None
    (report,) = kind.reports(caught.value.result.messages)
    assert "not finished" in report
    assert "too late" not in report


async def test_the_time_limit_ends_an_asynchronous_tool_and_awaits_its_clean_up(kind, scripted_model):
    cleaned = []

    async def wait() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)
        return "never"

    model = scripted_model(kind.script([[call("note", text="x"), call("wait")]]))
    agent = kind.agent([wait, note], model=model, limits=Limits(seconds=0.3))
    with pytest.raises(TimeLimitReached) as caught:
        async with asyncio.timeout(10):
            await agent.run("Wait.")
    assert cleaned == [True]
    assert "noted x" in kind.reports(caught.value.result.messages)[0]  # what had ended is kept
    assert [seen.value for seen in caught.value.result.steps[0].observations] == ["noted x", None]


async def test_the_time_limit_ends_the_wait_before_a_tools_retry(kind, scripted_model, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 60)
    monkeypatch.setattr(waiting, "LONGEST_BACKOFF", 60)

    async def fail() -> str:
        raise OSError("busy")

    agent = kind.agent(
        [Tool(fail, retries=3)], model=scripted_model(kind.script([call("fail")])), limits=Limits(seconds=0.05)
    )
    with pytest.raises(TimeLimitReached):
        async with asyncio.timeout(10):
            await agent.run("Fail.")


async def test_the_time_limit_ends_the_wait_before_a_models_retry(kind, scripted_server, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.2)
    monkeypatch.setattr(waiting, "LONGEST_BACKOFF", 0.2)
    async with (
        scripted_server(lambda _: RawReply({"error": {"message": "busy"}}, 503)) as server,
        kind.agent(model=server.model(max_retries=1000), limits=Limits(seconds=0.5)) as agent,
    ):
        with pytest.raises((ServerError, TimeLimitReached)) as caught:
            async with asyncio.timeout(10):
                await agent.run("Go.")
    assert caught.value.result.state == "failed"
    assert 1 <= len(server.requests) <= 5


async def test_a_models_retry_that_would_outlast_the_time_limit_is_not_waited_for(kind, scripted_server):
    busy = RawReply({"error": {"message": "busy"}}, 429, {"retry-after": "50"})
    async with scripted_server(kind.script([busy])) as server:
        with pytest.raises(RateLimitError) as caught:
            async with asyncio.timeout(10):
                await kind.agent(model=server.model(), limits=Limits(seconds=40)).run("Go.")
    assert caught.value.retry_after == 50


async def test_a_reached_time_limit_is_an_event_and_a_timeout_error(kind, scripted_model):
    async def model(request, sink):
        await asyncio.Event().wait()

    async with kind.agent(model=model, limits=Limits(seconds=0.02)).stream("Go.") as run:
        events = []
        with pytest.raises(TimeoutError):
            async for event in run:
                events.append(event)
    assert [event.type for event in events] == ["run_started", "step_started", "limit_hit", "run_failed"]
    assert (events[2].limit, events[2].value) == ("seconds", 0.02)
    assert (events[3].error, events[3].result.state) == ("TimeLimitReached", "failed")


async def test_a_timeout_of_ones_own_is_not_the_time_limit(kind, scripted_model):
    async def model(request, sink):
        raise TimeoutError("mine")

    with pytest.raises(ModelError, match="TimeoutError: mine") as caught:
        await kind.agent(model=model, limits=Limits(seconds=30)).run("Go.")
    assert not isinstance(caught.value, TimeLimitReached)


# ---- empty replies


@pytest.mark.parametrize("empty", [Reply(""), Reply(" \n "), Reply("", finish_reason=None)])
async def test_an_empty_reply_is_asked_again(kind, empty, scripted_server):
    async with scripted_server(kind.script([empty, "now"])) as server:
        result = await kind.agent(model=server.model()).run("Go.")
    assert result.output == "now"
    assert server.requests[1].messages[-1]["role"] == "user"
    assert kind.asks_again in server.requests[1].messages[-1]["content"]


# calls are promised by the finish reason of native calls
async def test_promised_calls_that_do_not_come_are_asked_for(scripted_server):
    async with scripted_server(
        [Reply("I will add.", finish_reason="tool_calls"), call("add", a=1, b=1), "2"]
    ) as server:
        result = await ReactAgent([add], model=server.model()).run("Add.")
    assert result.output == "2"
    assert [message["role"] for message in server.requests[1].messages] == ["user", "assistant", "user"]


async def test_calls_promised_twice_without_coming_are_an_error(scripted_model):
    promise = Reply("I will add.", finish_reason="tool_calls")
    with pytest.raises(EmptyReplyError, match="tool_calls"):
        await ReactAgent(model=scripted_model([promise, promise])).run("Add.")


async def test_empty_replies_that_are_not_in_a_row_are_each_asked_again(kind, scripted_model):
    model = scripted_model(kind.script([Reply(""), call("add", a=1, b=1), Reply(""), "2"]))
    assert (await kind.agent([add], model=model).run("Add.")).output == "2"


async def test_two_empty_replies_in_a_row_are_an_error(kind, scripted_server):
    async with scripted_server(kind.script([Reply(""), Reply("")])) as server:
        with pytest.raises(EmptyReplyError, match="neither an answer nor a call") as caught:
            await kind.agent(model=server.model()).run("Go.")
    assert len(caught.value.result.steps) == 2


# ---- errors: one tree, each with what the run had


def _stream(*parts):
    return RawStream(parts)


CALLED = chunk(call_delta(0, "c1", "add", '{"a":1,"b":2}'))
FAILURES = [
    (RawReply({"error": {"message": "bad"}}, 400), BadRequestError),
    (RawReply({"error": {"message": "maximum context length is 8 tokens"}}, 400), ContextLengthError),
    (RawReply({"error": {"message": "who?"}}, 401), AuthenticationError),
    (RawReply({"error": {"message": "no"}}, 403), AuthenticationError),
    (RawReply({"error": {"message": "no such model"}}, 404), ModelNotFoundError),
    (RawReply({"error": {"message": "slow down"}}, 429), RateLimitError),
    (RawReply({"error": {"message": "broken"}}, 500), ServerError),
    (RawReply("<html>"), MalformedReplyError),
    (RawReply({"choices": []}), NoChoicesError),
    (Reply("", finish_reason="length"), TruncatedReplyError),
    (Reply("half", finish_reason="content_filter"), ContentFilterError),
    (RawReply({"choices": [{"message": {"refusal": "I won't."}, "finish_reason": "stop"}]}), RefusalError),
    (_stream(chunk({"content": "half"})), StreamInterruptedError),
    (_stream(chunk({"content": "half"}), {"error": {"message": "overloaded"}}), StreamError),
    (_stream(chunk({"content": "half"}), CUT), StreamInterruptedError),
    (_stream(CUT), ModelError),
    (_stream(CALLED, {"error": {"message": "overloaded"}}), StreamError),
]


@pytest.mark.parametrize(
    ("failure", "error", "streamed"),
    [
        (failure, error, streamed)
        for failure, error in FAILURES
        for streamed in (False, True)
        if streamed or not isinstance(failure, RawStream)
    ],
)
async def test_a_failing_server_gives_an_error_of_the_tree_with_the_partial_result(
    kind, failure, error, streamed, scripted_server
):
    async with scripted_server(kind.script([Call("add", {"a": 20, "b": 22}, id="c0"), failure])) as server:
        agent = kind.agent([add], model=server.model(max_retries=0))
        with pytest.raises(error) as caught:
            if streamed:
                async with agent.stream("Add.", run_id="r1") as run:
                    await run.drain()
            else:
                await agent.run("Add.", run_id="r1")
    assert isinstance(caught.value, RunError)
    assert isinstance(caught.value, TinyAgentError)
    result = caught.value.result
    assert (result.state, result.output, result.info.run_id) == ("failed", None, "r1")
    assert result.steps[0].observations[0].value == 42
    assert result.usage.requests == 1
    assert fault(result.messages) is None


async def test_a_server_that_is_not_there_gives_an_error_with_the_result(kind, scripted_server):
    async with scripted_server([]) as server:
        model = server.model(max_retries=0)
    with pytest.raises(ModelConnectionError) as caught:
        await kind.agent(model=model).run("Go.")
    assert kind.without_prompt(caught.value.result.messages) == [User("Go.")]


async def test_no_key_and_no_server_gives_an_error_that_says_what_to_set(kind, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(MissingCredentialsError, match=r"Set OPENAI_API_KEY.*OPENAI_BASE_URL") as caught:
        await kind.agent(model="some-model").run("Go.")
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.result.state == "failed"


async def test_a_failed_model_call_is_retried_and_each_retry_is_an_event(kind, scripted_server, quick_retries):
    busy = RawReply({"error": {"message": "busy"}}, 503)
    async with (
        scripted_server(kind.script([busy, busy, "ok"])) as server,
        kind.agent(model=server.model()).stream("Go.") as run,
    ):
        retries = [event async for event in run if event.type == "retry"]
    assert run.result.output == "ok"
    assert [(event.what, event.attempt) for event in retries] == [("model", 2), ("model", 3)]
    assert "busy" in retries[0].reason
    assert run.result.usage.requests == 1


@pytest.mark.parametrize("end", [(), (CUT,)])
async def test_a_stream_cut_after_a_complete_call_goes_on_with_it(kind, end, scripted_server):
    ran = []

    async def record(text: str) -> str:
        ran.append(text)
        return "kept"

    broken = kind.broken_off(call("record", text="x"))
    parts = (chunk({"content": "Let me \n"}), *broken.parts, *end)
    async with scripted_server([RawStream(parts), kind.says("done")]) as server:
        model = server.model()
        model._habit.learn(opened=False)  # before it has replied once, none of its code runs early
        async with kind.agent([record], model=model).stream("Go.") as run:
            notices = [event async for event in run if event.type == "notice"]
    assert run.result.output == "done"
    assert ran == ["x"]
    assert run.result.steps[0].finish_reason == "interrupted"
    assert [event.text.endswith(f"Going on after {kind.done}.") for event in notices] == [True]
    assert run.result.steps[0].message.text.startswith("Let me ")
    assert "kept" in kind.reports(run.result.messages)[0]


# ---- models of one's own


async def test_a_plain_async_function_is_a_model(kind):
    async def parrot(request, sink):
        return kind.says(request.messages[-1].text)

    result = await kind.agent(model=parrot).run("Hello?")
    assert (result.output, result.info.model) == ("Hello?", "parrot")


async def test_a_model_may_ignore_the_sink(kind):
    async def silent(request, sink):
        if told := kind.told(request):
            return kind.says(f"It is {told[-1]}.")
        return kind.says([call("add", a=1, b=2), call("note", text="x")])

    async with kind.agent([add, note], model=silent).stream("Add.") as run:
        seen = [event.observation async for event in run if event.type == "tool_finished"]
    assert run.result.output == "It is noted x."
    assert {item.text for item in seen if item.call.name != "final_answer"} == {"3", "noted x"}
    assert fault(run.result.messages) is None


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("missing"), TimeoutError("slow"), OSError("gone")])
async def test_whatever_a_model_raises_becomes_a_model_error(kind, error):
    async def broken(request, sink):
        raise error

    with pytest.raises(ModelError, match=rf"The model 'broken' failed: {type(error).__name__}: ") as caught:
        await kind.agent(model=broken).run("Go.")
    assert caught.value.__cause__ is error
    assert caught.value.result.state == "failed"


async def test_a_model_error_of_a_model_passes_unchanged(kind):
    error = RateLimitError("slow down", status=429, retry_after=3)

    async def busy(request, sink):
        raise error

    with pytest.raises(RateLimitError) as caught:
        await kind.agent(model=busy).run("Go.")
    assert caught.value is error
    assert kind.without_prompt(caught.value.result.messages) == [User("Go.")]


async def test_a_model_that_raises_cancelled_error_by_itself_fails_the_run(kind):
    async def confused(request, sink):
        raise asyncio.CancelledError

    with pytest.raises(ModelError, match="CancelledError"):
        await kind.agent(model=confused).run("Go.")


@pytest.mark.parametrize("value", [None, "text", {"text": "a dict"}, 7, Assistant("a message")])
async def test_a_model_that_returns_something_else_fails_the_run(kind, value):
    async def wrong(request, sink):
        return value

    with pytest.raises(
        ModelError, match=rf"The model 'wrong' returned {type(value).__name__}; a model returns a Reply"
    ) as caught:
        await kind.agent(model=wrong).run("Go.")
    assert kind.without_prompt(caught.value.result.messages) == [User("Go.")]


async def test_a_model_that_is_not_async_fails_the_run(kind):
    def not_async(request, sink):
        return Reply("hello")

    with pytest.raises(ConfigurationError, match=r"'not_async' .* returned Reply at once: make it 'async def"):
        await kind.agent(model=not_async).run("Go.")


# the ids of native calls come from the model, those of calls in code are our own
@pytest.mark.parametrize("tells_the_sink", [False, True])
async def test_two_calls_of_one_id_both_run_and_are_both_answered(tells_the_sink):
    ran = []

    async def record(text: str) -> str:
        ran.append(text)
        return f"kept {text}"

    async def careless(request, sink):
        if isinstance(request.messages[-1], ToolReply):
            return Reply("done")
        reply = Reply(calls=(Call("record", {"text": "a"}, id="x"), Call("record", {"text": "b"}, id="x")))
        for item in reply.calls if tells_the_sink else ():
            sink.call(item)
        return reply

    async with asyncio.timeout(10):
        result = await ReactAgent([record], model=careless).run("Record both.")
    assert sorted(ran) == ["a", "b"]
    assert [message.text for message in result.messages if message.role == "tool"] == ["kept a", "kept b"]
    assert len({item.id for item in result.messages[1].calls}) == 2
    assert fault(result.messages) is None


async def test_one_id_in_two_turns_is_two_calls(scripted_model):
    replies = [Call("add", {"a": 1, "b": 1}, id="x"), Call("add", {"a": 2, "b": 2}, id="x"), "done"]
    result = await ReactAgent([add], model=scripted_model(replies)).run("Add twice.")
    assert [step.observations[0].value for step in result.steps[:2]] == [2, 4]


@pytest.mark.parametrize(
    ("model", "name"),
    [(ScriptedModel([]), "scripted"), (ScriptedModel([], name="mine"), "mine"), (add, "add"), (object(), "object")],
)
def test_a_model_is_named_by_its_name_its_function_or_its_class(model, name):
    assert model_name(model) == name


# ---- connections


class Connected:
    """A model that counts how often it is entered."""

    def __init__(self, kind):
        self.kind = kind
        self.depth = 0
        self.opened = 0
        self.depths = []

    async def __aenter__(self):
        self.opened += not self.depth
        self.depth += 1
        return self

    async def __aexit__(self, *exc):
        self.depth -= 1

    async def __call__(self, request, sink):
        self.depths.append(self.depth)
        return self.kind.says("ok")


async def test_each_run_enters_its_model(kind):
    model = Connected(kind)
    agent = kind.agent(model=model)
    await agent.run("One.")
    await agent.run("Two.")
    assert (model.opened, model.depth, model.depths) == (2, 0, [1, 1])


async def test_async_with_agent_keeps_the_model_entered(kind):
    model = Connected(kind)
    async with kind.agent(model=model) as agent:
        await agent.run("One.")
        assert model.depth == 1
        await agent.run("Two.")
    assert (model.opened, model.depth, model.depths) == (1, 0, [2, 2])


async def test_a_failing_run_leaves_its_model(kind):
    class Failing(Connected):
        async def __call__(self, request, sink):
            raise ServerError("down")

    model = Failing(kind)
    with pytest.raises(ServerError):
        await kind.agent(model=model).run("Go.")
    assert (model.opened, model.depth) == (1, 0)


@pytest.mark.parametrize("error", [ModelConnectionError("no way in"), OSError("no way in")])
async def test_a_model_that_cannot_be_entered_fails_the_run(kind, error):
    class Closed(Connected):
        async def __aenter__(self):
            raise error

    with pytest.raises(ModelError, match="no way in") as caught:
        await kind.agent(model=Closed(kind)).run("Go.")
    assert kind.without_prompt(caught.value.result.messages) == [User("Go.")]


async def test_a_model_that_cannot_be_left_gives_an_error_of_the_tree(kind):
    class Stuck(Connected):
        async def __aexit__(self, *exc):
            raise OSError("no way out")

    with pytest.raises(ModelError, match="no way out") as caught:
        await kind.agent(model=Stuck(kind)).run("Go.")
    assert caught.value.result.state == "failed"


async def test_async_with_agent_works_for_models_without_connections(kind, scripted_model):
    async with kind.agent(model=scripted_model(kind.script(["ok"]))) as agent:
        assert (await agent.run("Go.")).output == "ok"


async def test_async_with_agent_keeps_one_connection_open(kind, scripted_server):
    async with (
        scripted_server(lambda _: kind.says("ok"), delay=0) as server,
        kind.agent(model=server.model(http="httpx")) as agent,
    ):
        for _ in range(5):
            await agent.run("Go.")
        handlers = [task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "ScriptedServer._accept"]
        assert len(handlers) == 1


# ---- the store


async def test_each_model_and_tool_call_is_recorded_under_its_name(kind, scripted_model):
    store = MemoryStore()
    model = scripted_model(
        kind.script([[call("add", a=1, b=1), call("note", text="x")], call("add", a=2, b=2), "done"])
    )
    result = await kind.agent([add, note], model=model).run("Go.", run_id="r1", store=store)
    made = [
        f"r1/{step.number}/{what}"
        for step in result.steps
        for what in ["model", *(f"tool/{seen.call.id}" for seen in step.observations)]
    ]
    records = await store.load("r1")
    assert sorted(
        key for key in records if not key.endswith(("/begun", "/start", "/agent", "/end")) and "/code/" not in key
    ) == sorted(made)
    assert len(set(made)) == len(made)
    assert [seen.call.name for seen in result.steps[0].observations] == ["add", "note"]
    assert json.loads(records[made[2]].splitlines()[0])["text"] == "noted x"
    assert (result.output, json.loads(records["r1/3/model"])["text"]) == ("done", kind.says("done").text)


async def test_the_last_request_at_the_step_limit_is_recorded(kind, scripted_model):
    store = MemoryStore()
    agent = kind.agent([add], model=scripted_model(kind.script([call("add", a=1, b=1), "2"])), limits=Limits(steps=1))
    await agent.run("Go.", run_id="r1", store=store)
    assert [key for key in await store.load("r1") if key.endswith("/model")] == ["r1/1/model", "r1/2/last/model"]


# for code see test_workspace.py
async def test_a_run_goes_on_where_its_records_end(scripted_model):
    ran = []

    def record(text: str) -> str:
        ran.append(text)
        return text

    store = MemoryStore()
    first = scripted_model([Call("record", {"text": "old"}, id="c1")])
    with pytest.raises(ScriptError):
        await ReactAgent([record], model=first).run("Go.", run_id="r1", store=store)
    model = scripted_model([Call("record", {"text": "new"}, id="c2"), "done"])
    result = await ReactAgent([record], model=model).run("Go.", run_id="r1", store=store)
    assert [seen.value for step in result.steps for seen in step.observations] == ["old", "new"]
    assert ran == ["old", "new"]
    assert len(model.requests) == 2


async def test_a_whole_run_can_be_answered_from_its_store(kind, scripted_model):
    store = MemoryStore()
    model = scripted_model(kind.script([[call("add", a=1, b=1), call("note", text="x")], "done"]))
    agent = kind.agent([add, note], model=model)
    first = await agent.run("Go.", run_id="r1", store=store)
    again = await agent.run("Go.", run_id="r1", store=store)
    assert len(model.requests) == 2
    assert (again.messages, again.output) == (first.messages, first.output)


async def test_step_limit_reached_is_in_the_tree_with_its_result(kind, scripted_model):
    model = scripted_model(kind.script([call("add", a=1, b=1), ""]))
    with pytest.raises(StepLimitReached) as caught:
        await kind.agent([add], model=model, limits=Limits(steps=1)).run("Go.", run_id="r1")
    assert isinstance(caught.value, RunError)
    assert caught.value.result.info.run_id == "r1"


# ---- copies


class _Notes(Toolkit):
    def __init__(self):
        self.opened = self.closed = 0

    async def open(self):
        self.opened += 1

    async def close(self):
        self.closed += 1

    @tool
    def add_note(self, text: str) -> str:
        """Keep a note."""
        return text


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda agent: copy.deepcopy({"a": [agent]})["a"][0]])
async def test_a_copy_of_an_agent_works_on_its_own(kind, copied):
    notes = _Notes()
    inner = kind.agent([add], model=ScriptedModel([]), name="inner", description="Adds.")
    script = [call("add_note", text="a"), "first", call("add_note", text="b"), "second"]
    agent = kind.agent([notes, inner], model=ScriptedModel(kind.script(script)), handoffs=[inner])
    async with agent:
        twin = copied(agent)
        assert twin is not agent
        assert type(twin) is type(agent)
        assert list(twin.tools) == list(agent.tools)
        assert (twin.name, twin.limits, twin.instructions) == (agent.name, agent.limits, agent.instructions)
        async with twin:
            assert (await twin.run("Go.")).output == "first"
        assert (notes.opened, notes.closed) == (1, 0)  # the agent is still open
        twin.name = "other"
        assert agent.name == "agent"
        assert (await agent.run("Go.")).output == "second"
    assert notes.closed == 1


def test_an_agent_is_not_pickled_and_says_why(kind):
    with pytest.raises(TypeError, match=r"'agent' cannot be pickled: .* Make it in the process that is to use it"):
        pickle.dumps(kind.agent([add], model=ScriptedModel([])))
