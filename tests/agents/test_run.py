"""`Run`: its events, in order, and the handle by which a stream is read."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.agents.kinds import WRITTEN, needs_sandbox
from tinyagent import (
    Call,
    ConfigurationError,
    FatalToolError,
    Limits,
    ModelError,
    Notice,
    ReactAgent,
    Reply,
    Retry,
    StepFinished,
    TextDelta,
    Tool,
    ToolFinished,
    ToolStarted,
    User,
)
from tinyagent.core import waiting
from tinyagent.core.context import Context
from tinyagent.core.events import CodeFinished, CodeOutput, CodeStarted
from tinyagent.events import (
    CallSealed,
    LimitHit,
    ReasoningDelta,
    RunFailed,
    RunFinished,
    RunStarted,
    StepStarted,
    ToolProgress,
    event_from_dict,
)
from tinyagent.messages import Assistant
from tinyagent.testing import RawReply, call

SHARED = Notice("Something that a model says to every run.")


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


async def test_the_events_of_a_run_come_in_order(kind, scripted_server):
    first = Reply("Let me count.", (call("count", to=2),), reasoning="Hm.")
    async with scripted_server(kind.script([first, "Two."])) as server:
        run = kind.agent([count], model=server.model(), name="helper").stream("Count to two.", run_id="r1")
        events, error = await events_of(run)
    assert error is None
    silent = [event.type for event in events if not isinstance(event, TextDelta | CodeOutput)]
    assert silent == [
        "run_started",
        "step_started",
        "reasoning_delta",
        *kind.before_calls,
        "tool_started",
        *["tool_progress"] * 2,
        "tool_finished",
        *kind.after_calls,
        "step_finished",
        "step_started",
        *kind.answering,
        "step_finished",
        "run_finished",
    ]
    assert events[0] == RunStarted("r1", "helper", "scripted", "Count to two.")
    assert [event.number for event in of(StepStarted, events)] == [1, 2]
    written = "".join(event.text for event in of(TextDelta, events))
    assert written == "".join(step.message.text for step in run.result.steps)
    assert written.startswith("Let me count.")
    assert [event.text for event in of(ReasoningDelta, events)] == ["Hm."]
    assert of(ToolStarted, events)[0].call.arguments == {"to": 2}
    assert of(ToolStarted, events)[0].call is of(ToolProgress, events)[0].call
    assert [event.value for event in of(ToolProgress, events)] == [1, 2]
    assert of(ToolFinished, events)[0].observation is run.result.steps[0].observations[0]
    assert of(ToolFinished, events)[0].observation.value == 2
    assert [event.step for event in of(StepFinished, events)] == list(run.result.steps)
    assert events[-1] == RunFinished(run.result)


async def test_a_native_call_is_sealed_before_it_starts(scripted_server):
    async with scripted_server([Call("count", {"to": 1}, id="c1"), "One."]) as server:
        events, _ = await events_of(ReactAgent([count], model=server.model()).stream("Count."))
    assert (of(CallSealed, events)[0].call.arguments, of(ToolStarted, events)[0].call.id) == ({"to": 1}, "c1")
    assert events.index(of(CallSealed, events)[0]) < events.index(of(ToolStarted, events)[0])


@needs_sandbox
async def test_code_and_its_output_are_events(scripted_server):
    async with scripted_server(WRITTEN.script([call("count", to=1), "One."])) as server:
        events, _ = await events_of(WRITTEN.agent([count], model=server.model()).stream("Count."))
    assert [(event.number, event.code) for event in of(CodeStarted, events)] == [
        (1, "print(await count(to=1))\n"),
        (2, "final_answer('One.')\n"),
    ]
    assert [event.text for event in of(CodeOutput, events)] == ["1\n"]
    assert [event.execution.stdout for event in of(CodeFinished, events)] == ["1\n", ""]
    assert [event.number for event in of(CodeFinished, events)] == [1, 2]


async def test_progress_from_a_thread_comes_between_start_and_finish(kind, scripted_model):
    agent = kind.agent(
        [count_in_a_thread], model=scripted_model(kind.script([call("count_in_a_thread", to=3), "done"]))
    )
    events, _ = await events_of(agent.stream("Count."))
    mine = [event for event in events if "final_answer" not in str(event)]
    kinds = [event.type for event in mine if event.type.startswith("tool_")]
    assert kinds == ["tool_started", "tool_progress", "tool_progress", "tool_progress", "tool_finished"]
    assert [event.value for event in of(ToolProgress, events)] == [1, 2, 3]


async def test_progress_after_the_call_has_ended_is_ignored(kind, scripted_model):
    kept = []

    async def keep(context: Context) -> str:
        kept.append(context)
        return "kept"

    async def model_says(request):
        if kept:
            kept[0].progress("late")
            return kind.says("done")
        return kind.says(call("keep"))

    events, _ = await events_of(kind.agent([keep], model=scripted_model(model_says)).stream("Go."))
    assert of(ToolProgress, events) == []
    assert isinstance(events[-1], RunFinished)


async def test_text_arrives_while_the_model_still_writes(kind):
    heard = asyncio.Event()
    answer = kind.reply(answer="second", text="first ")

    async def patient(request, sink):
        sink.text("first ")
        await heard.wait()
        sink.text(answer.text.removeprefix("first "))
        return answer

    async with asyncio.timeout(10), kind.agent(model=patient).stream("Go.") as run:
        texts = []
        async for event in run:
            if isinstance(event, TextDelta):
                texts.append(event.text)
                heard.set()
    assert texts == ["first ", answer.text.removeprefix("first ")]


async def test_reasoning_is_its_own_event_and_never_part_of_the_answer(kind, scripted_server):
    async with scripted_server(kind.script([Reply("42", reasoning="Six times seven.")])) as server:
        run = kind.agent(model=server.model()).stream("Go.")
        events, _ = await events_of(run)
    assert "".join(event.text for event in of(ReasoningDelta, events)) == "Six times seven."
    assert run.result.output == "42"
    assert run.result.steps[0].message.reasoning == "Six times seven."


async def test_a_models_retry_is_an_event(kind, scripted_server, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)
    async with scripted_server(kind.script([RawReply({"error": {"message": "busy"}}, 503), "ok"])) as server:
        events, _ = await events_of(kind.agent(model=server.model()).stream("Go."))
    (event,) = of(Retry, events)
    assert (event.what, event.attempt) == ("model", 2)
    assert event.seconds <= 0.001
    assert event.reason.startswith("ServerError: ")
    assert "busy" in event.reason


async def test_a_tools_retry_is_an_event(kind, scripted_model, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)
    tries = []

    async def flaky() -> str:
        tries.append(1)
        if len(tries) < 2:
            raise OSError("busy")
        return "ok"

    agent = kind.agent([Tool(flaky, retries=1)], model=scripted_model(kind.script([call("flaky"), "done"])))
    events, _ = await events_of(agent.stream("Go."))
    (event,) = of(Retry, events)
    assert (event.what, event.attempt, event.reason) == ("flaky", 2, "OSError: busy")


async def test_a_reached_step_limit_is_an_event(kind, scripted_model):
    agent = kind.agent([add], model=scripted_model(kind.script([call("add", a=1, b=1), "2"])), limits=Limits(steps=1))
    events, error = await events_of(agent.stream("Add."))
    assert error is None
    assert of(LimitHit, events) == [LimitHit("steps", 1)]
    assert events[-1].result.state == "step_limit_reached"
    assert [event.step.number for event in of(StepFinished, events)] == [1, 2]


async def test_every_step_that_starts_says_so_and_so_does_the_last(kind, scripted_model):
    agent = kind.agent([add], model=scripted_model(kind.script([call("add", a=1, b=1), "2"])), limits=Limits(steps=1))
    events, _ = await events_of(agent.stream("Add."))
    assert [event.number for event in of(StepStarted, events)] == [1, 2]


async def test_a_failing_run_ends_with_an_event_and_then_raises(kind, scripted_model):
    async def fail() -> str:
        raise FatalToolError("the disk is full")

    run = kind.agent([fail, add], model=scripted_model(kind.script([call("add", a=1, b=1), call("fail")]))).stream(
        "Go."
    )
    events, error = await events_of(run)
    assert isinstance(error, FatalToolError)
    assert events[-1] == RunFailed("FatalToolError", "the disk is full", error.result)
    assert error.result == run.result
    assert run.result.state == "failed"
    assert run.result.steps[0].observations[0].value == 2
    assert of(RunFinished, events) == []


# in code an unknown name is a NameError: see test_code.py
async def test_an_unknown_tool_finishes_without_having_started(scripted_model):
    events, _ = await events_of(ReactAgent([add], model=scripted_model([call("ad", a=1), "ok"])).stream("Add."))
    assert of(ToolStarted, events) == []
    assert "Did you mean 'add'?" in of(ToolFinished, events)[0].observation.error


async def test_every_event_goes_through_json_and_back(kind, scripted_model):
    replies = [Reply("Counting.", (call("count", to=1), call("add", a=1, b=1)), reasoning="Hm."), "done"]
    agent = kind.agent([count, add], model=scripted_model(kind.script(replies)), limits=Limits(steps=1))
    events, _ = await events_of(agent.stream("Go."))
    for event in events:
        data = json.loads(json.dumps(event.to_dict()))
        assert data["type"] == event.type
        assert event_from_dict(data) == event
    assert len({event.type for event in events}) >= 10


# ---- run and time


async def test_every_event_tells_its_run_and_its_time(kind, scripted_model, monkeypatch):
    wall = iter(range(1_700_000_000, 0, -1000))  # a clock that is set back all the time
    monkeypatch.setattr(time, "time", lambda: float(next(wall)))
    agent = kind.agent([count], model=scripted_model(kind.script([call("count", to=2), "Two."])))
    run = agent.stream("Count to two.", run_id="r1")
    events, _ = await events_of(run)
    assert {event.run_id for event in events} == {"r1"}
    times = [event.time for event in events]
    assert times == sorted(times)
    started, seconds = run.result.info.started, run.result.info.seconds
    assert started <= times[0] <= times[-1]
    assert times[-1] >= started + seconds


async def test_events_of_runs_at_once_can_be_told_apart(kind):
    async def echo(request, sink):
        await asyncio.sleep(0)
        sink.notice(SHARED)
        return kind.reply(answer=request.messages[-1].text)

    agent = kind.agent(model=echo)
    runs = [agent.stream(f"Task {number}.", run_id=f"r{number}") for number in range(5)]
    heard = [events for events, _ in await asyncio.gather(*map(events_of, runs))]
    for number, events in enumerate(heard):
        assert {event.run_id for event in events} == {f"r{number}"}
        assert of(Notice, events) == [SHARED]
        assert event_from_dict(events[1].to_dict()).run_id == f"r{number}"
    assert (SHARED.run_id, SHARED.time) == ("", 0.0)  # the model's own object stays as it is


async def test_an_event_that_is_told_twice_has_the_time_of_each(kind):
    async def twice(request, sink):
        sink.notice(SHARED)
        sink.text("a")
        sink.notice(SHARED)
        return kind.reply(answer="ok")

    events, _ = await events_of(kind.agent(model=twice).stream("Go."))
    first, second = of(Notice, events)
    assert first is not second
    assert [event.time for event in events] == sorted(event.time for event in events)


# ---- reading


async def test_run_is_stream_read_to_its_end(kind, scripted_model):
    agent = kind.agent(
        [add], model=scripted_model(kind.script([call("add", a=1, b=1), "2", call("add", a=1, b=1), "2"]))
    )
    async with agent.stream("Add.") as run:
        drained = await run.drain()
    result = await agent.run("Add.")
    assert drained == run.result
    assert (drained.output, drained.state) == (result.output, result.state) == ("2", "success")


async def test_the_result_can_be_read_while_the_run_goes_on(kind, scripted_model):
    states = []
    async with kind.agent([add], model=scripted_model(kind.script([call("add", a=1, b=1), "2"]))).stream("Add.") as run:
        async for event in run:
            if isinstance(event, ToolFinished) and event.observation.call.name == "add":
                states.append((run.result.state, run.result.output, run.result.usage.requests))
    assert states == [("running", None, 1)]
    assert (run.result.state, run.result.output) == ("success", "2")


async def test_the_time_of_a_result_stands_still_after_the_end(kind, scripted_model):
    async with kind.agent(model=scripted_model(kind.script(["ok"]))).stream("Go.") as run:
        await run.drain()
    assert run.result.info.seconds == run.result.info.seconds > 0


async def test_reading_may_begin_after_the_run_has_ended(kind, scripted_model):
    async with kind.agent(model=scripted_model(kind.script(["ok"]))).stream("Go.") as run:
        while run.result.state == "running":
            await asyncio.sleep(0)
        events = [event.type async for event in run]
    events = [event for event in events if event != "text_delta"]
    assert events == ["run_started", "step_started", *kind.answering, "step_finished", "run_finished"]


async def test_reading_on_after_the_end_gives_nothing(kind, scripted_model):
    async with kind.agent(model=scripted_model(kind.script(["ok"]))).stream("Go.") as run:
        await run.drain()
        assert [event async for event in run] == []


async def test_reading_on_after_a_failure_raises_it_again(kind):
    async def broken(request, sink):
        raise ValueError("odd")

    async with kind.agent(model=broken).stream("Go.") as run:
        with pytest.raises(ModelError) as first:
            await run.drain()
        with pytest.raises(ModelError) as second:
            await run.drain()
    assert first.value is second.value


async def test_a_failure_that_nobody_reads_does_not_raise(kind):
    async def broken(request, sink):
        raise ValueError("odd")

    async with kind.agent(model=broken).stream("Go.") as run:
        while run.result.state == "running":
            await asyncio.sleep(0)
    assert run.result.state == "failed"
    assert isinstance(run.state.error, ModelError)


async def test_a_run_does_nothing_before_it_is_entered(kind, scripted_model):
    model = scripted_model([])
    run = kind.agent(model=model).stream("Go.")
    await asyncio.sleep(0)
    assert model.requests == []
    assert kind.without_prompt(run.result.messages) == [User("Go.")]


async def test_a_run_must_be_entered_before_it_is_read(kind, scripted_model):
    run = kind.agent(model=scripted_model([])).stream("Go.")
    with pytest.raises(RuntimeError, match=r"Enter the run first: async with agent\.stream"):
        await run.drain()


async def test_a_run_is_entered_once(kind, scripted_model):
    run = kind.agent(model=scripted_model(kind.script(["ok"]))).stream("Go.")
    async with run:
        await run.drain()
    with pytest.raises(RuntimeError, match=r"Call agent\.stream\(\.\.\.\) again"):
        async with run:
            pass


async def test_the_run_shows_its_state_while_it_goes_on(kind, scripted_model):
    agent = kind.agent(
        [add], model=scripted_model(kind.script([Call("add", {"a": 1, "b": 1}, id="c1"), "2"])), name="helper"
    )
    async with agent.stream("Add.", run_id="r1", deps="deps", metadata={"user": "u1"}) as run:
        assert (run.run_id, run.state.task, run.state.deps, run.state.metadata) == (
            "r1",
            "Add.",
            "deps",
            {"user": "u1"},
        )
        about = run.result.info
        assert (about.run_id, about.agent, about.model) == ("r1", "helper", "scripted")
        await run.drain()
        assert len(run.state.steps) == 2
        assert run.state.usage.requests == 2
        said = [type(message) for message in kind.without_prompt(run.state.conversation.messages)]
        assert said == [User, Assistant, kind.told_in, Assistant]
    assert run.result.metadata == {"user": "u1"}


async def test_a_run_has_one_reader(kind, scripted_model):
    started = asyncio.Event()

    async def slow():
        started.set()
        await asyncio.sleep(60)

    async with kind.agent([slow], model=scripted_model(kind.script([call("slow")]))).stream("Go.") as run:
        first = asyncio.create_task(run.drain())
        await started.wait()
        while run._reader is None or run._reader.done():
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="Another task is reading"):
            await run.drain()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_reading_on_after_a_run_was_left_ends(kind, scripted_model):
    async def slow():
        await asyncio.sleep(60)

    async with kind.agent([slow], model=scripted_model(kind.script([call("slow")]))).stream("Go.") as run:
        async for event in run:
            if isinstance(event, ToolStarted):
                break
    left = [event.type async for event in run]
    assert left == ["tool_finished", *kind.after_calls, "step_finished", "run_failed"]
    assert run.result.state == "cancelled"


@pytest.mark.parametrize("metadata", ["abc", [1], 7])
async def test_wrong_metadata_is_refused_with_what_to_pass(kind, metadata, scripted_model):
    with pytest.raises(ConfigurationError, match="pass a dict"):
        await kind.agent(model=scripted_model([])).run("Go.", metadata=metadata)


async def test_a_run_that_is_not_read_asynchronously_says_how(scripted_model):
    agent = ReactAgent(model=scripted_model([]))
    with pytest.raises(TypeError, match=r"async with agent\.stream\(\.\.\.\) as run: async for event in run"):
        await agent.stream("Go.")
    with pytest.raises(TypeError, match=r"async with agent\.stream"):
        for _ in agent.stream("Go."):
            pass
    with pytest.raises(TypeError, match=r"async with agent\.stream"), agent.stream("Go."):
        pass
