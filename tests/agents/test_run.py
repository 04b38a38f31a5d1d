"""`Run`: its events, in order, and the handle by which a stream is read."""

from __future__ import annotations

import asyncio
import json

import pytest

from tinyagent import (
    Call,
    CallSealed,
    ConfigurationError,
    FatalToolError,
    LimitReached,
    Limits,
    ModelError,
    ReactAgent,
    ReasoningDelta,
    Reply,
    Retry,
    RunFailed,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    Tool,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    User,
    event_from_dict,
)
from tinyagent.core.context import Context
from tinyagent.models import retry
from tinyagent.testing import RawReply, call


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def count(to: int, context: Context) -> int:
    """Count, and tell."""
    for number in range(1, to + 1):
        context.progress(number)
    return to


def count_in_a_thread(to: int, context: Context) -> int:
    """Count, and tell, from a thread."""
    for number in range(1, to + 1):
        context.progress(number)
    return to


async def events_of(run):
    """Every event, and the error that came after them."""
    events = []
    try:
        async with run:
            async for event in run:
                events.append(event)
    except Exception as error:
        return events, error
    return events, None


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


# ---- events


async def test_the_events_of_a_run_come_in_order(scripted_server):
    first = Reply("Let me count.", (Call("count", {"to": 2}, id="c1"),), reasoning="Hm.", finish_reason="tool_calls")
    async with scripted_server([first, "Two."]) as server:
        run = ReactAgent([count], model=server.model(), name="helper").stream("Count to two.", run_id="r1")
        events, error = await events_of(run)
    assert error is None
    assert [event.type for event in events] == [
        "run_started",
        "step_started",
        "reasoning_delta",
        *["text_delta"] * 3,
        "call_sealed",
        "tool_started",
        *["tool_progress"] * 2,
        "tool_finished",
        "step_finished",
        "step_started",
        "text_delta",
        "step_finished",
        "run_finished",
    ]
    assert events[0] == RunStarted("r1", "helper", "scripted", "Count to two.")
    assert [event.number for event in of(StepStarted, events)] == [1, 2]
    assert "".join(event.text for event in of(TextDelta, events[:8])) == "Let me count."
    assert [event.text for event in of(ReasoningDelta, events)] == ["Hm."]
    assert of(CallSealed, events)[0].call.arguments == {"to": 2}
    assert of(ToolStarted, events)[0].call.id == "c1"
    assert [event.value for event in of(ToolProgress, events)] == [1, 2]
    assert of(ToolFinished, events)[0].observation.value == 2
    assert [event.step for event in of(StepFinished, events)] == list(run.result.steps)
    assert events[-1] == RunFinished(run.result)


async def test_progress_from_a_thread_comes_between_start_and_finish(scripted_model):
    agent = ReactAgent([count_in_a_thread], model=scripted_model([call("count_in_a_thread", to=3), "done"]))
    events, _ = await events_of(agent.stream("Count."))
    kinds = [event.type for event in events if event.type.startswith("tool_")]
    assert kinds == ["tool_started", "tool_progress", "tool_progress", "tool_progress", "tool_finished"]
    assert [event.value for event in of(ToolProgress, events)] == [1, 2, 3]


async def test_progress_after_the_call_has_ended_is_ignored(scripted_model):
    kept = []

    async def keep(context: Context) -> str:
        kept.append(context)
        return "kept"

    async def model_says(request):
        if kept:
            kept[0].progress("late")
            return "done"
        return call("keep")

    events, _ = await events_of(ReactAgent([keep], model=scripted_model(model_says)).stream("Go."))
    assert of(ToolProgress, events) == []
    assert isinstance(events[-1], RunFinished)


async def test_text_arrives_while_the_model_still_writes():
    heard = asyncio.Event()

    async def patient(request, sink):
        sink.text("first ")
        await heard.wait()
        sink.text("second")
        return Reply("first second")

    async with asyncio.timeout(10), ReactAgent(model=patient).stream("Go.") as run:
        texts = []
        async for event in run:
            if isinstance(event, TextDelta):
                texts.append(event.text)
                heard.set()
    assert texts == ["first ", "second"]


async def test_reasoning_is_its_own_event_and_never_part_of_the_answer(scripted_server):
    async with scripted_server([Reply("42", reasoning="Six times seven.")]) as server:
        run = ReactAgent(model=server.model()).stream("Go.")
        events, _ = await events_of(run)
    assert "".join(event.text for event in of(ReasoningDelta, events)) == "Six times seven."
    assert run.result.output == "42"
    assert run.result.steps[0].reply.reasoning == "Six times seven."


async def test_a_models_retry_is_an_event(scripted_server, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_BACKOFF", 0.001)
    async with scripted_server([RawReply({"error": {"message": "busy"}}, 503), "ok"]) as server:
        events, _ = await events_of(ReactAgent(model=server.model()).stream("Go."))
    (event,) = of(Retry, events)
    assert (event.what, event.attempt) == ("model", 2)
    assert event.seconds <= 0.001
    assert event.reason.startswith("ServerError: ")
    assert "busy" in event.reason


async def test_a_tools_retry_is_an_event(scripted_model, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_BACKOFF", 0.001)
    tries = []

    async def flaky() -> str:
        tries.append(1)
        if len(tries) < 2:
            raise OSError("busy")
        return "ok"

    agent = ReactAgent([Tool(flaky, retries=1)], model=scripted_model([call("flaky"), "done"]))
    events, _ = await events_of(agent.stream("Go."))
    (event,) = of(Retry, events)
    assert (event.what, event.attempt, event.reason) == ("flaky", 2, "OSError: busy")


async def test_a_reached_step_limit_is_an_event(scripted_model):
    agent = ReactAgent([add], model=scripted_model([call("add", a=1, b=1), "2"]), limits=Limits(steps=1))
    events, error = await events_of(agent.stream("Add."))
    assert error is None
    assert of(LimitReached, events) == [LimitReached("steps", 1)]
    assert events[-1].result.state == "step_limit_reached"
    assert [event.step.number for event in of(StepFinished, events)] == [1, 2]


async def test_every_step_that_starts_says_so_and_so_does_the_last(scripted_model):
    agent = ReactAgent([add], model=scripted_model([call("add", a=1, b=1), "2"]), limits=Limits(steps=1))
    events, _ = await events_of(agent.stream("Add."))
    assert [event.number for event in of(StepStarted, events)] == [1, 2]


async def test_a_failing_run_ends_with_an_event_and_then_raises(scripted_model):
    async def fail() -> str:
        raise FatalToolError("the disk is full")

    run = ReactAgent([fail, add], model=scripted_model([call("add", a=1, b=1), call("fail")])).stream("Go.")
    events, error = await events_of(run)
    assert isinstance(error, FatalToolError)
    assert events[-1] == RunFailed("FatalToolError", "the disk is full", error.result)
    assert error.result == run.result
    assert run.result.state == "failed"
    assert run.result.steps[0].observations[0].value == 2
    assert of(RunFinished, events) == []


async def test_an_unknown_tool_finishes_without_having_started(scripted_model):
    events, _ = await events_of(ReactAgent([add], model=scripted_model([call("ad", a=1), "ok"])).stream("Add."))
    assert of(ToolStarted, events) == []
    assert "Did you mean 'add'?" in of(ToolFinished, events)[0].observation.error


async def test_every_event_goes_through_json_and_back(scripted_model):
    replies = [Reply("Counting.", (call("count", to=1), call("add", a=1, b=1)), reasoning="Hm."), "done"]
    agent = ReactAgent([count, add], model=scripted_model(replies), limits=Limits(steps=1))
    events, _ = await events_of(agent.stream("Go."))
    for event in events:
        data = json.loads(json.dumps(event.to_dict()))
        assert data["type"] == event.type
        assert event_from_dict(data) == event
    assert len({event.type for event in events}) >= 10


# ---- reading


async def test_run_is_stream_read_to_its_end(scripted_model):
    agent = ReactAgent([add], model=scripted_model([call("add", a=1, b=1), "2", call("add", a=1, b=1), "2"]))
    async with agent.stream("Add.") as run:
        drained = await run.drain()
    result = await agent.run("Add.")
    assert drained == run.result
    assert (drained.output, drained.state) == (result.output, result.state) == ("2", "success")


async def test_the_result_can_be_read_while_the_run_goes_on(scripted_model):
    states = []
    async with ReactAgent([add], model=scripted_model([call("add", a=1, b=1), "2"])).stream("Add.") as run:
        async for event in run:
            if isinstance(event, ToolFinished):
                states.append((run.result.state, run.result.output, run.result.usage.requests))
    assert states == [("running", None, 1)]
    assert (run.result.state, run.result.output) == ("success", "2")


async def test_the_time_of_a_result_stands_still_after_the_end(scripted_model):
    async with ReactAgent(model=scripted_model(["ok"])).stream("Go.") as run:
        await run.drain()
    assert run.result.metadata.seconds == run.result.metadata.seconds > 0


async def test_reading_may_begin_after_the_run_has_ended(scripted_model):
    async with ReactAgent(model=scripted_model(["ok"])).stream("Go.") as run:
        while run.result.state == "running":
            await asyncio.sleep(0)
        events = [event.type async for event in run]
    assert events == ["run_started", "step_started", "text_delta", "step_finished", "run_finished"]


async def test_reading_on_after_the_end_gives_nothing(scripted_model):
    async with ReactAgent(model=scripted_model(["ok"])).stream("Go.") as run:
        await run.drain()
        assert [event async for event in run] == []


async def test_reading_on_after_a_failure_raises_it_again():
    async def broken(request, sink):
        raise ValueError("odd")

    async with ReactAgent(model=broken).stream("Go.") as run:
        with pytest.raises(ModelError) as first:
            await run.drain()
        with pytest.raises(ModelError) as second:
            await run.drain()
    assert first.value is second.value


async def test_a_failure_that_nobody_reads_does_not_raise():
    async def broken(request, sink):
        raise ValueError("odd")

    async with ReactAgent(model=broken).stream("Go.") as run:
        while run.result.state == "running":
            await asyncio.sleep(0)
    assert run.result.state == "failed"
    assert isinstance(run.error, ModelError)


async def test_a_run_does_nothing_before_it_is_entered(scripted_model):
    model = scripted_model([])
    run = ReactAgent(model=model).stream("Go.")
    await asyncio.sleep(0)
    assert model.requests == []
    assert run.result.messages == (User("Go."),)


async def test_a_run_must_be_entered_before_it_is_read(scripted_model):
    run = ReactAgent(model=scripted_model([])).stream("Go.")
    with pytest.raises(RuntimeError, match=r"Enter the run first: async with agent\.stream"):
        await run.drain()


async def test_a_run_is_entered_once(scripted_model):
    run = ReactAgent(model=scripted_model(["ok"])).stream("Go.")
    async with run:
        await run.drain()
    with pytest.raises(RuntimeError, match=r"Call agent\.stream\(\.\.\.\) again"):
        async with run:
            pass


async def test_the_run_shows_its_state_while_it_goes_on(scripted_model):
    agent = ReactAgent([add], model=scripted_model([Call("add", {"a": 1, "b": 1}, id="c1"), "2"]), name="helper")
    async with agent.stream("Add.", run_id="r1", deps="deps", metadata={"user": "u1"}) as run:
        assert (run.run_id, run.task, run.deps, run.metadata) == ("r1", "Add.", "deps", {"user": "u1"})
        about = run.result.metadata
        assert (about.run_id, about.agent, about.model) == ("r1", "helper", "scripted")
        await run.drain()
        assert len(run.steps) == 2
        assert run.usage.requests == 2
        assert [message.role for message in run.conversation] == ["user", "assistant", "tool", "assistant"]
    assert run.result.metadata.extra == {"user": "u1"}


async def test_a_run_has_one_reader(scripted_model):
    async def slow():
        await asyncio.sleep(60)

    async with ReactAgent([slow], model=scripted_model([call("slow")])).stream("Go.") as run:
        first = asyncio.create_task(run.drain())
        while run._reader is None or run._reader.done() or not run.conversation.open_calls:
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="Another task is reading"):
            await run.drain()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_reading_on_after_a_run_was_left_ends(scripted_model):
    async def slow():
        await asyncio.sleep(60)

    async with ReactAgent([slow], model=scripted_model([call("slow")])).stream("Go.") as run:
        async for event in run:
            if isinstance(event, ToolStarted):
                break
    assert [event.type async for event in run] == ["tool_finished", "step_finished", "run_failed"]
    assert run.result.state == "cancelled"


@pytest.mark.parametrize("metadata", ["abc", [1], 7])
async def test_wrong_metadata_is_refused_with_what_to_pass(metadata, scripted_model):
    with pytest.raises(ConfigurationError, match="pass a dict"):
        await ReactAgent(model=scripted_model([])).run("Go.", metadata=metadata)
