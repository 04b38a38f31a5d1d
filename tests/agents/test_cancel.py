"""Ending a run early: everything it started stops, cleans up and is waited for, and its history stays valid."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import threading

import pytest

from tests.agents.kinds import WRITTEN, known, no_session_left
from tinyagent import Call, Limits, ReactAgent, Reply, Tool, ToolStarted, User
from tinyagent.core import waiting
from tinyagent.core.context import Context
from tinyagent.events import RunFailed
from tinyagent.models.native import message_data
from tinyagent.testing import RawReply, RawStream, ScriptedServer, call
from tinyagent.testing.history import fault_of


def fault(messages):
    return fault_of({"messages": [message_data(message, "") for message in messages]})


def served():
    """The connections that a `ScriptedServer` accepts and serves, each a task."""
    serving = ("BaseSelectorEventLoop._accept_connection2", "ScriptedServer._accept")
    return {task for task in asyncio.all_tasks() if task.get_coro().__qualname__ in serving}


def left_over():
    """Tasks other than this one and the server's."""
    return asyncio.all_tasks() - {asyncio.current_task()} - served()


async def nothing_left(kind, where):
    """Neither processes nor descriptors of sessions are left."""
    if kind is WRITTEN:
        await no_session_left()


async def ticks(number):
    for _ in range(number):
        await asyncio.sleep(0)


class Waiting:
    """An asynchronous tool that never ends by itself, and cleans up slowly."""

    def __init__(self):
        self.started = asyncio.Event()
        self.begun = 0
        self.cleaned = []

    async def wait(self, name: str = "x") -> str:
        """Wait for good."""
        self.begun += 1
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await ticks(3)
            self.cleaned.append(name)
        return "never"


class Blocking:
    """A synchronous tool that holds its thread until it is released."""

    def __init__(self):
        self.started = threading.Event()
        self.gate = threading.Event()
        self.ended = threading.Event()

    def block(self, context: Context) -> str:
        """Hold the thread."""
        self.started.set()
        assert self.gate.wait(30)
        context.progress("late")
        self.ended.set()
        return "too late"


@pytest.fixture(autouse=True, scope="module")
def loaded():
    """What the first model call would load, so that every run takes about as many iterations."""
    importlib.import_module("openai")


@pytest.fixture
def blocking():
    tool = Blocking()
    yield tool
    tool.gate.set()


# ---- ways to end a run


async def cancel_the_task(agent, started):
    task = asyncio.create_task(agent.run("Go."))
    await started()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def let_wait_for_end_it(agent, started):
    task = asyncio.create_task(agent.run("Go."))
    await started()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(task, 0.01)


async def let_a_scope_end_it(agent, started):
    async def end_the_scope():
        await started()
        scope.reschedule(0)

    ender = asyncio.create_task(end_the_scope())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as scope:
            await agent.run("Go.")
    await ender


async def leave_the_stream(agent, started):
    async with agent.stream("Go."):
        await started()


WAYS = pytest.mark.parametrize("end", [cancel_the_task, let_wait_for_end_it, leave_the_stream, let_a_scope_end_it])


@WAYS
async def test_ending_a_run_stops_the_model_call_and_awaits_its_clean_up(kind, end):
    asked, cleaned = asyncio.Event(), []

    async def model(request, sink):
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            await ticks(3)
            cleaned.append("model")

    async with asyncio.timeout(10):
        await end(kind.agent(model=model), asked.wait)
    assert cleaned == ["model"]
    assert left_over() == set()


@WAYS
@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_ending_a_run_drops_the_connection_to_the_server(kind, end, http):
    asked = asyncio.Event()

    def parts():
        while True:
            yield ": still thinking\n\n"
            asked.set()
            yield 0.002

    async with asyncio.timeout(10), ScriptedServer(kind.script([RawStream(parts())])) as server:
        await end(kind.agent(model=server.model(http=http)), asked.wait)
        assert left_over() == set()
        while served():  # ends when the server finds its client gone
            await asyncio.sleep(0.002)


@WAYS
async def test_ending_a_run_stops_asynchronous_tools_and_awaits_their_clean_up(kind, end, scripted_model):
    tool = Waiting()
    calls = [call("wait", name="a"), call("wait", name="b")]

    async def both():
        while tool.begun < 2:
            await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await end(kind.agent([tool.wait], model=scripted_model(kind.script([calls]))), both)
    assert sorted(tool.cleaned) == ["a", "b"]
    assert left_over() == set()


@WAYS
async def test_ending_a_run_abandons_a_synchronous_tool(kind, end, scripted_model, blocking):
    async def started():
        assert await asyncio.to_thread(blocking.started.wait, 10)

    async with asyncio.timeout(10):
        await end(kind.agent([blocking.block], model=scripted_model(kind.script([call("block")]))), started)
    assert not blocking.ended.is_set()
    assert left_over() == set()


# ---- what is left


async def left_stream(agent, started):
    """A run that was left when `started`, and the events it had."""
    async with asyncio.timeout(10), agent.stream("Go.") as run:
        await started()
    events = []
    with contextlib.suppress(asyncio.CancelledError):
        async for event in run:
            events.append(event)
    return run, events


async def test_an_abandoned_threads_result_goes_nowhere(kind, scripted_model, blocking):
    async def started():
        assert await asyncio.to_thread(blocking.started.wait, 10)

    run, events = await left_stream(
        kind.agent([blocking.block], model=scripted_model(kind.script([call("block")]))), started
    )
    before = run.result
    blocking.gate.set()
    assert await asyncio.to_thread(blocking.ended.wait, 10)
    await ticks(10)
    assert run.result == before
    assert "too late" not in str(run.result.messages)
    assert [event.type for event in events].count("tool_progress") == 0
    assert not run._events


async def test_an_abandoned_thread_may_fail_unheard(kind, scripted_model):
    gate, failed = threading.Event(), threading.Event()
    started = threading.Event()

    def fail_late() -> str:
        started.set()
        gate.wait(30)
        failed.set()
        raise ValueError("nobody hears this")

    async def begun():
        assert await asyncio.to_thread(started.wait, 10)

    run, _ = await left_stream(kind.agent([fail_late], model=scripted_model(kind.script([call("fail_late")]))), begun)
    gate.set()
    assert await asyncio.to_thread(failed.wait, 10)
    assert "nobody hears" not in str(run.result.messages)


async def test_a_cancelled_run_says_so_and_its_history_is_valid(kind, scripted_model):
    tool = Waiting()
    quick = Tool(lambda: "quick", name="quick")
    agent = kind.agent([tool.wait, quick], model=scripted_model(kind.script([[call("quick"), call("wait")]])))

    async def both_under_way():
        await tool.started.wait()
        while not quick_done():
            await asyncio.sleep(0)

    def quick_done():
        return any(event.type == "tool_finished" for event in run._events)

    async with asyncio.timeout(10), agent.stream("Go.") as run:
        await both_under_way()
    assert (run.result.state, run.result.output) == ("cancelled", None)
    assert [observation.value for observation in run.result.steps[0].observations] == ["quick", None]
    assert fault(run.state.conversation) is None
    told = "\n".join(kind.reports(run.state.conversation.messages))
    assert 0 <= told.index("quick") < told.index("not finished")


async def test_answers_stay_in_call_order_when_an_earlier_call_was_not_finished(kind):
    tool = Waiting()

    async def quick() -> str:
        return "quick"

    async def model(request, sink):
        return kind.says([call("wait"), call("quick"), call("wait"), call("quick")])

    ended = 0
    async with asyncio.timeout(10), kind.agent([tool.wait, quick], model=model).stream("Go.") as run:
        async for event in run:
            ended += event.type == "tool_finished"
            if ended == 2:
                break
    observed = run.result.steps[0].observations
    assert [seen.call.name for seen in observed] == ["wait", "quick", "wait", "quick"]
    assert [seen.value for seen in observed] == [None, "quick", None, "quick"]
    assert [seen.error is None for seen in observed] == [False, True, False, True]
    told = "\n".join(kind.reports(run.state.conversation.messages))
    assert (told.count("quick") >= 2, told.count("not finished")) == (True, 2)
    assert fault(run.state.conversation) is None


async def test_a_cancelled_run_ends_its_events_with_a_failure(kind, scripted_model):
    tool = Waiting()
    run, events = await left_stream(
        kind.agent([tool.wait], model=scripted_model(kind.script([call("wait")]))), started=tool.started.wait
    )
    assert isinstance(events[-1], RunFailed)
    assert (events[-1].error, events[-1].result.state) == ("CancelledError", "cancelled")
    assert events[-1].result == run.result


async def test_a_run_left_before_it_began_is_cancelled(kind, scripted_model):
    async with kind.agent(model=scripted_model([]), instructions="Be brief.").stream("Go.") as run:
        pass
    assert run.result.state == "cancelled"
    assert fault(run.state.conversation) is None
    assert left_over() == set()


async def test_a_run_left_when_it_has_ended_keeps_its_result(kind, scripted_model):
    async with kind.agent(model=scripted_model(kind.script(["ok"]))).stream("Go.") as run:
        await run.drain()
    assert (run.result.state, run.result.output) == ("success", "ok")


async def test_leaving_by_an_exception_stops_the_run_and_raises_it(kind, scripted_model):
    tool = Waiting()
    with pytest.raises(KeyError, match="mine"):
        async with kind.agent([tool.wait], model=scripted_model(kind.script([call("wait")]))).stream("Go.") as run:
            async for event in run:
                if isinstance(event, ToolStarted):
                    await tool.started.wait()
                    raise KeyError("mine")
    assert tool.cleaned == ["x"]
    assert run.result.state == "cancelled"


async def test_one_can_go_on_from_a_cancelled_run(kind, scripted_server):
    tool = Waiting()
    async with scripted_server(kind.script([call("wait"), "Welcome back."])) as server, asyncio.timeout(10):
        agent = kind.agent([tool.wait], model=server.model())
        async with agent.stream("Wait.") as run:
            await tool.started.wait()
        result = await agent.run("Never mind.", messages=run.result.messages)
    assert result.output == "Welcome back."


# for code see test_code_turn.py
async def test_calls_of_a_reply_that_was_being_written_are_kept_when_they_had_started():
    tool = Waiting()

    async def model(request, sink):
        sink.text("Let me wait.")
        sink.call(Call("wait", {"name": "early"}, id="c1"))
        await asyncio.Event().wait()

    run, _ = await left_stream(ReactAgent([tool.wait], model=model), started=tool.started.wait)
    assert tool.cleaned == ["early"]
    assert [message.role for message in run.state.conversation] == ["user", "assistant", "tool"]
    assert run.state.conversation.messages[1].calls[0].id == "c1"
    assert fault(run.state.conversation) is None


async def test_a_reply_without_started_calls_that_was_being_written_leaves_nothing(kind):
    asked = asyncio.Event()

    async def model(request, sink):
        sink.text("I think ")
        asked.set()
        await asyncio.Event().wait()

    run, _ = await left_stream(kind.agent(model=model), started=asked.wait)
    assert kind.without_prompt(run.state.conversation.messages) == [User("Go.")]


# ---- tools that make it hard


async def test_a_tool_that_fails_while_it_cleans_up_is_not_tried_again(kind, monkeypatch, scripted_model):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)
    started, tries = asyncio.Event(), []

    async def fragile() -> str:
        tries.append(1)
        started.set()
        if len(tries) > 1:
            return "again"
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError("the connection was closed")

    task = asyncio.create_task(
        kind.agent([Tool(fragile, retries=5)], model=scripted_model(kind.script([call("fragile")]))).run("Go.")
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tries == [1]


async def test_a_tool_that_swallows_its_cancellation_is_waited_for_and_its_value_kept(kind):
    started = asyncio.Event()

    async def stubborn() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await ticks(5)
        return "finished anyway"

    async def model(request, sink):
        return kind.says(call("stubborn"))

    run, _ = await left_stream(kind.agent([stubborn], model=model), started=started.wait)
    assert "finished anyway" in kind.reports(run.state.conversation.messages)[-1]
    assert run.result.steps[0].observations[0].value == "finished anyway"
    assert run.result.state == "cancelled"
    assert fault(run.state.conversation) is None


async def test_clean_up_is_waited_for_even_when_the_waiting_is_cancelled_again(kind, scripted_model):
    gate, started, cleaned = asyncio.Event(), asyncio.Event(), []

    async def slow_to_leave() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await gate.wait()
            cleaned.append(1)
        return "never"

    task = asyncio.create_task(
        kind.agent([slow_to_leave], model=scripted_model(kind.script([call("slow_to_leave")]))).run("Go.")
    )
    async with asyncio.timeout(10):
        await started.wait()
        for _ in range(4):
            task.cancel()
            await ticks(5)
        assert not task.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert cleaned == [1]
    assert left_over() == set()


async def test_a_cancellation_while_the_time_limit_ends_the_run_is_a_cancellation(kind, scripted_model):
    cleaning, gate, cleaned = asyncio.Event(), asyncio.Event(), []

    async def slow_to_leave() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await gate.wait()
            cleaned.append(1)
        return "never"

    model = scripted_model(kind.script([call("slow_to_leave")]))
    task = asyncio.create_task(kind.agent([slow_to_leave], model=model, limits=Limits(seconds=0.5)).run("Go."))
    async with asyncio.timeout(10):
        await cleaning.wait()
        task.cancel()
        await ticks(5)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert cleaned == [1]
    assert left_over() == set()


async def test_a_cancelled_run_leaves_another_of_the_same_agent_alone(kind):
    gate, waiting = asyncio.Event(), []

    async def wait(name: str) -> str:
        waiting.append(name)
        await gate.wait()
        return name

    async def model(request, sink):
        told = kind.told(request)
        return kind.says(told[-1] if told else call("wait", name=kind.task(request)))

    agent = kind.agent([wait], model=model)
    first, second = asyncio.create_task(agent.run("first")), asyncio.create_task(agent.run("second"))
    async with asyncio.timeout(10):
        while len(waiting) < 2:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        assert (await second).output == "second"


async def test_cancelling_during_a_retry_wait_ends_the_run(kind, scripted_server, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 60)
    monkeypatch.setattr(waiting, "LONGEST_BACKOFF", 60)
    async with asyncio.timeout(10), scripted_server(kind.script([RawReply(status=503)])) as server:
        async with kind.agent(model=server.model()).stream("Go.") as run:
            async for event in run:
                if event.type == "retry":
                    break
        assert run.result.state == "cancelled"
        assert left_over() == set()


# ---- at every point


class Scenario:
    """A streamed run with two asynchronous tools and a synchronous one, and what became of them."""

    def __init__(self, *, connected):
        self.connected = connected
        self.started = []
        self.cleaned = []
        self.run = None

    async def asynchronous(self, name: str) -> str:
        """Take a few turns of the loop, and a few more to clean up."""
        self.started.append(name)
        try:
            await ticks(3)
        finally:
            if asyncio.current_task().cancelling():
                await ticks(2)  # a clean-up that takes its time, and that a second cancellation would break off
            self.cleaned.append(name)
        return name

    def synchronous(self, name: str) -> str:
        """Be quick."""
        return name

    async def consume(self, agent):
        if self.connected:
            async with agent:
                await self.read(agent)
        else:
            await self.read(agent)

    async def read(self, agent):
        async with agent.stream("Use every tool.") as self.run:
            async for _ in self.run:
                pass


CALLS = (call("asynchronous", name="a"), call("synchronous", name="s"), call("asynchronous", name="b"))


def script(kind):
    calls = Reply("Let me see.", CALLS, reasoning="Hm.")
    return lambda request: kind.says("All is well." if kind.told(request) else calls)


def agent_of(kind, scenario, model):
    return kind.agent([scenario.asynchronous, scenario.synchronous], model=model, instructions="Be quick.")


async def points(kind, model, number, offset=0.0):
    """After how many iterations of the loop a run is to be cancelled, without end.

    For native calls after every one. Code runs in a process of its own, while the loop turns a thousand times: after
    every n-th, so that a run is cancelled at about `number` points, `offset` of the way from one to the next.
    """
    if kind is not WRITTEN:
        return itertools.count()
    turns = min([await turns_of(kind, model), await turns_of(kind, model)])  # the first may start the zygote
    stride = max(1, turns // number)
    return itertools.count(int(stride * offset), stride)


async def turns_of(kind, model):
    """Iterations of the loop in a run that nobody cancels."""
    scenario, turns = Scenario(connected=False), 0
    task = asyncio.create_task(scenario.consume(agent_of(kind, scenario, model)))
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    return turns


async def cancelled_after(kind, number, model, *, connected, again=None):
    """The scenario, cancelled after `number` iterations of the loop; whether it was not done by then.

    With `again` it is cancelled once more, so many iterations later.
    """
    scenario = Scenario(connected=connected)
    task = asyncio.create_task(scenario.consume(agent_of(kind, scenario, model)))
    await ticks(number)
    if task.done():
        await task
        return scenario, False
    task.cancel()
    if again is not None:
        await ticks(again)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return scenario, True


@pytest.mark.one_in(7)
@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
@pytest.mark.parametrize("connected", [False, True], ids=["fresh", "connected"])
@pytest.mark.parametrize("again", [None, 0, 1, 2, 3], ids=lambda again: "once" if again is None else f"again-{again}")
async def test_a_run_can_be_cancelled_at_every_point(kind, http, connected, again):
    seen, cancelled = set(), 0
    async with ScriptedServer(script(kind)) as server, asyncio.timeout(50):
        model = server.model(http=http)
        offset = (4 * (0 if again is None else again + 1) + 2 * connected + (http == "httpx")) / 20
        least = 2 if kind is WRITTEN else 20
        for count in (8, 32, 128):  # the loop of a busy machine turns more often while it waits for the code's process
            for number in await points(kind, model, count, offset):
                scenario, under_way = await cancelled_after(kind, number, model, connected=connected, again=again)
                where = f"cancelled after {number} iterations"
                assert left_over() == set(), where
                assert sorted(scenario.started) == sorted(scenario.cleaned), where
                await nothing_left(kind, where)
                if scenario.run is not None:
                    assert fault(scenario.run.state.conversation) is None, where
                    assert scenario.run.result.state in ("cancelled", "success"), where
                    seen.add(tuple(message.role for message in scenario.run.state.conversation))
                if not under_way:
                    break
                cancelled += 1
            assert scenario.run.result.output == "All is well."
            if cancelled >= least and len(seen) >= 2:
                break
    assert cancelled >= least
    assert len(seen) >= (2 if kind is WRITTEN else 3)  # before the calls, between them and the answer, and after


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_a_plain_run_can_be_cancelled_at_every_point(kind, http):
    async with ScriptedServer(script(kind)) as server, asyncio.timeout(50):
        model = server.model(http=http)
        for number in await points(kind, model, 40):
            scenario = Scenario(connected=False)
            task = asyncio.create_task(agent_of(kind, scenario, model).run("Use every tool."))
            await ticks(number)
            if done := task.done():
                assert (await task).output == "All is well."
            else:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert left_over() == set(), f"cancelled after {number} iterations"
            assert sorted(scenario.started) == sorted(scenario.cleaned)
            await nothing_left(kind, f"cancelled after {number} iterations")
            if done:
                break


async def test_a_stream_can_be_left_at_every_event(kind, scripted_server):
    async def left_at(event_type, occurrence):
        """The types of the events of a run that is left at this one."""
        scenario, types = Scenario(connected=False), []
        async with agent_of(kind, scenario, model).stream("Use every tool.") as run:
            async for event in run:
                types.append(event.type)
                if event.type == event_type and types.count(event.type) == occurrence:
                    break
        assert left_over() == set(), event_type
        assert sorted(scenario.started) == sorted(scenario.cleaned), event_type
        assert fault(run.state.conversation) is None, event_type
        await nothing_left(kind, event_type)
        return types

    async with scripted_server(script(kind)) as server, asyncio.timeout(50):
        model = server.model()
        whole = await left_at("run_finished", 1)
        for number, event_type in enumerate(whole):
            types = await left_at(event_type, whole[: number + 1].count(event_type))
            assert types[-1] in (event_type, "run_finished")
    expected = {"run_started", "text_delta", "tool_started", "tool_finished", "step_finished", "run_finished"}
    assert expected | {*kind.before_calls, *kind.after_calls} <= set(whole)


async def test_a_cut_stream_can_be_cancelled_at_every_point(kind):
    def cut(request):
        if kind.task(request) == "Hi.":
            return "Hello."
        return kind.says("All is well.") if kind.told(request) else kind.broken_off(call("asynchronous", name="a"))

    async with ScriptedServer(cut) as server, asyncio.timeout(50):
        model = await known(server.model())
        for number in await points(kind, model, 40):
            scenario, under_way = await cancelled_after(kind, number, model, connected=False)
            assert left_over() == set(), number
            assert scenario.started == scenario.cleaned, number
            assert scenario.run is None or fault(scenario.run.state.conversation) is None, number
            await nothing_left(kind, number)
            if not under_way:
                break
    assert scenario.run.result.output == "All is well."
    assert scenario.started == ["a"]
