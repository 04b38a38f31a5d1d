"""Runs that are taken up again: what is told, what is refused, and what a limit leaves."""

from __future__ import annotations

import asyncio

import pytest

from tinyagent import (
    Allow,
    Call,
    ConfigurationError,
    Limits,
    MemoryStore,
    ReactAgent,
    Reply,
    RunError,
    ask_before,
)
from tinyagent.errors import (
    ReplayError,
    RunBusyError,
    StepLimitReached,
    TimeLimitReached,
    TokenLimitReached,
    UnknownRunError,
)
from tinyagent.messages import Assistant
from tinyagent.results import Usage
from tinyagent.stores import Conversations, SQLiteStore, recorded_runs


class Counted:
    """A tool, and a model without a memory; both count how often they are asked."""

    def __init__(self, *replies, tokens=0):
        self.replies = replies
        self.tokens = tokens
        self.requests = []
        self.added = []
        self.wait = None

    async def add(self, a: int, b: int) -> int:
        """Add."""
        self.added.append((a, b))
        if self.wait is not None:
            await self.wait
        return a + b

    async def model(self, request, sink):
        self.requests.append((request.tool_choice, *request.messages))
        said = self.replies[sum(isinstance(each, Assistant) for each in request.messages)]
        said = said if request.tool_choice == "auto" else "last word"
        usage = Usage(requests=1, input_tokens=self.tokens)
        if said is None:
            raise ConnectionError("the host is down")
        if isinstance(said, str):
            return Reply(said, usage=usage)
        return Reply(calls=(said,), finish_reason="tool_calls", usage=usage)

    def agent(self, **options):
        return ReactAgent([self.add], model=self.model, **options)


TWO = Call("add", {"a": 1, "b": 2}, "c1"), Call("add", {"a": 3, "b": 4}, "c2")


@pytest.fixture
def store():
    return MemoryStore()


# ---- events


async def test_events_of_what_was_done_come_again_and_are_marked(store):
    counted = Counted(*TWO, "done", tokens=10)
    with pytest.raises(TokenLimitReached):
        await counted.agent(limits=Limits(tokens=5)).run("Go.", run_id="r", store=store)
    async with counted.agent().resume_stream("r", store=store) as run:
        events = [event async for event in run]
    old = [event.type for event in events if event.replayed]
    new = [event.type for event in events if not event.replayed]
    step = ["step_started", "tool_started", "tool_finished", "step_finished"]
    assert old == ["run_started", *step]
    assert new == [*step, "step_started", "step_finished", "run_finished"]
    assert [event.to_dict()["replayed"] for event in events] == [event.replayed for event in events]


async def test_events_of_inner_runs_are_marked_too(store):
    inner = Counted(TWO[0], "in").agent(name="inner", description="Adds.")
    outer = Counted(Call("inner", {"task": "x"}, "c1"), TWO[1], "done", tokens=10)

    def agent(**options):
        return ReactAgent([inner, outer.add], model=outer.model, **options)

    with pytest.raises(TokenLimitReached):
        await agent(limits=Limits(tokens=5)).run("Go.", run_id="r", store=store)
    async with agent().resume_stream("r", store=store) as run:
        inside = [event.replayed async for event in run if event.type == "inner_event"]
    assert inside == []  # what the whole inner run has given is recorded


async def test_an_inner_run_that_was_broken_off_is_marked_as_far_as_it_came(store):
    inner = Counted(*TWO, "in")
    agent = ReactAgent(
        [inner.agent(name="inner", description="Adds.", policy=ask_before("add"))],
        model=Counted(Call("inner", {"task": "x"}, "c1"), "done").model,
    )
    result = await agent.run("Go.", run_id="r", store=store)
    async with agent.resume_stream("r", {result.pending[0].id: Allow()}, store=store) as run:
        events = [event async for event in run]
    inside = [(event.event.type, event.replayed) for event in events if event.type == "inner_event"]
    assert inside[:3] == [("run_started", True), ("step_started", True), ("tool_started", False)]
    assert ("tool_finished", False) in inside
    assert run.result.state == "paused"
    assert inner.added == [(1, 2)]


# ---- changes


async def notices(agent, store, **options):
    async with agent.resume_stream("r", store=store, **options) as run:
        return [event.text async for event in run if event.type == "notice"]


async def begun(store, counted, **options):
    with pytest.raises(TokenLimitReached):
        await counted.agent(limits=Limits(tokens=5), **options).run("Go.", run_id="r", store=store)


async def test_an_agent_that_has_not_changed_is_not_told_of(store):
    counted = Counted(*TWO, "done", tokens=10)
    await begun(store, counted, instructions="Add.")
    assert await notices(counted.agent(instructions="Add."), store) == []


async def test_changed_instructions_and_tools_are_told(store):
    counted = Counted(*TWO, "done", tokens=10)
    await begun(store, counted, instructions="Add.")

    async def add(a: int, b: int, c: int = 0) -> int:
        """Add three."""
        return a + b + c

    def look() -> str:
        """Look."""
        return "seen"

    agent = ReactAgent([add, look], model=counted.model, instructions="Add more.")
    [said] = await notices(agent, store)
    assert said == ("The agent 'agent' has changed since the run began: its instructions; look is new; add is another.")


async def test_a_tool_that_is_gone_answers_from_its_record(store):
    counted = Counted(TWO[0], "done", tokens=10)
    await begun(store, counted)
    agent = ReactAgent([], model=counted.model)
    async with agent.resume_stream("r", store=store) as run:
        said = [event.text async for event in run if event.type == "notice"]
    assert said == ["The agent 'agent' has changed since the run began: add is gone."]
    assert run.result.steps[0].observations[0].text == "3"
    assert run.result.output == "done"


async def test_instructions_that_a_function_gives_are_those_of_the_first_time(store):
    times = iter(["Monday", "Tuesday"])
    counted = Counted(*TWO, "done", tokens=10)
    await begun(store, counted, instructions=lambda: next(times))
    assert await notices(counted.agent(instructions=lambda: next(times)), store) == []
    assert {request[1].text for request in counted.requests} == {"Monday"}


# ---- limits


async def test_after_the_limit_of_tokens_what_was_used_counts_on(store):
    counted = Counted(*TWO, "done", tokens=10)
    await begun(store, counted)
    with pytest.raises(TokenLimitReached, match="used 20 of 15"):
        await counted.agent().resume("r", store=store, limits=Limits(tokens=15))
    with pytest.raises(TokenLimitReached, match="used 20 of 20"):
        await counted.agent().resume("r", store=store, limits=Limits(tokens=20))
    result = await counted.agent().resume("r", store=store, limits=Limits(tokens=21))
    assert result.output == "done"
    assert result.usage.total_tokens == 30
    assert len(counted.requests) == 3
    assert counted.added == [(1, 2), (3, 4)]


async def test_after_the_limit_of_steps_more_may_be_taken(store):
    counted = Counted(*TWO, "done")
    result = await counted.agent(limits=Limits(steps=1)).run("Go.", run_id="r", store=store)
    assert (result.state, result.output) == ("step_limit_reached", "last word")
    again = await counted.agent(limits=Limits(steps=1)).resume("r", store=store)
    assert (again.state, again.output, again.messages) == (result.state, result.output, result.messages)
    assert len(counted.requests) == 2
    more = await counted.agent(limits=Limits(steps=1)).resume("r", store=store, limits=Limits(steps=5))
    assert (more.state, more.output) == ("success", "done")
    assert [request[0] for request in counted.requests] == ["auto", "none", "auto", "auto"]
    assert counted.added == [(1, 2), (3, 4)]
    [run] = await recorded_runs(store)
    assert run.state == "success"


async def test_after_a_last_word_that_failed_more_may_be_taken(store):
    counted = Counted(*TWO, "done")
    counted.replies = (TWO[0], None, "done")

    async def fails(request, sink):
        if request.tool_choice == "none":
            raise ConnectionError("the host is down")
        return await counted.model(request, sink)

    agent = ReactAgent([counted.add], model=fails, limits=Limits(steps=1))
    with pytest.raises(StepLimitReached):
        await agent.run("Go.", run_id="r", store=store)
    counted.replies = (*TWO, "done")
    assert (await agent.resume("r", store=store, limits=Limits(steps=3))).output == "done"


async def test_after_the_limit_of_time_it_counts_from_now(store):
    counted = Counted(*TWO, "done")
    counted.wait = asyncio.Event().wait()
    with pytest.raises(TimeLimitReached):
        await counted.agent(limits=Limits(seconds=0.05)).run("Go.", run_id="r", store=store)
    [run] = await recorded_runs(store)
    assert (run.state, run.error) == ("failed", "Its time was over (Limits.seconds).")
    counted.wait = None
    assert (await counted.agent().resume("r", store=store, limits=Limits(seconds=60))).output == "done"
    assert counted.added == [(1, 2), (1, 2), (3, 4)]


async def test_after_a_model_that_failed_it_is_asked_again(store):
    counted = Counted(TWO[0], None)
    with pytest.raises(RunError):
        await counted.agent().run("Go.", run_id="r", store=store)
    counted.replies = (TWO[0], "done")
    assert (await counted.agent().resume("r", store=store)).output == "done"
    assert counted.added == [(1, 2)]


@pytest.mark.parametrize("limits", [5, {"steps": 5}, Limits])
async def test_limits_are_limits(store, limits):
    with pytest.raises(ConfigurationError, match=r"limits=.*: pass Limits\(steps=..., "):
        await Counted().agent().resume("r", store=store, limits=limits)


# ---- what goes on, and what is refused


async def test_a_run_that_has_ended_says_its_result_again(kind, store):
    counted = Counted("done")
    agent = kind.agent([counted.add], model=kind_model(kind))
    first = await agent.run("Go.", run_id="r", store=store, metadata={"user": "u1"})
    before = await store.load("r")
    again = await agent.resume("r", store=store)
    assert (again.output, again.messages, again.state, again.usage) == (
        first.output,
        first.messages,
        first.state,
        first.usage,
    )
    assert again.metadata == {"user": "u1"}
    assert again.info.started == first.info.started
    assert await store.load("r") == before


def kind_model(kind):
    """A model that adds, then answers, and has no memory."""
    replies = kind.script([[TWO[0]], "done"])

    async def model(request, sink):
        return replies[sum(isinstance(each, Assistant) for each in request.messages)]

    return model


async def test_an_unknown_run_is_named(store):
    with pytest.raises(UnknownRunError, match=r"^The store MemoryStore has no run 'r'\.$"):
        await Counted().agent().resume("r", store=store)
    assert await store.runs() == []


@pytest.mark.parametrize("run", ["", None, 5, b"r"])
async def test_what_is_no_run_is_refused(store, run):
    with pytest.raises(ConfigurationError, match="pass the id of a run, or its paused result"):
        await Counted().agent().resume(run, store=store)


async def test_without_a_store_a_run_cannot_be_found():
    with pytest.raises(ConfigurationError, match="pass store=, where the run was recorded"):
        await Counted().agent().resume("r")
    result = await Counted("done").agent().run("Go.")
    with pytest.raises(ConfigurationError, match="pass store=, where the run was recorded"):
        await Counted().agent().resume(result)


@pytest.mark.parametrize("file", [False, True])
async def test_a_run_that_is_at_work_is_left_alone(store, file, tmp_path):
    if file:
        store = SQLiteStore(tmp_path / "store.db")
    counted = Counted(TWO[0], "done")
    free = asyncio.Event()
    counted.wait = free.wait()
    task = asyncio.create_task(counted.agent().run("Go.", run_id="r", store=store))
    while not counted.added:
        await asyncio.sleep(0.001)
    others = [store, *([SQLiteStore(tmp_path / "store.db")] if file else [])]
    for other in others:
        for work in (
            Counted().agent().resume("r", store=other),
            Counted().agent().run("Go.", run_id="r", store=other),
        ):
            with pytest.raises(RunBusyError, match="The run 'r' is at work elsewhere"):
                await work
        with pytest.raises(RunBusyError):
            await Conversations(other).drop("r")
    free.set()
    assert (await task).output == "done"
    assert (await counted.agent().resume("r", store=store)).output == "done"


async def test_a_dropped_run_does_not_go_on(store):
    counted = Counted(TWO[0], "done")
    agent = counted.agent(policy=ask_before("add"))
    result = await agent.run("Go.", run_id="r", store=store)
    await Conversations(store).drop("r")
    with pytest.raises(ConfigurationError, match="The run 'r' cannot go on: it was dropped"):
        await agent.resume("r", {result.pending[0].id: Allow()}, store=store)
    with pytest.raises(ConfigurationError, match="it was dropped"):
        await agent.run("Go.", run_id="r", store=store)
    assert counted.added == []


async def test_the_run_of_another_agent_is_refused(store):
    counted = Counted(*TWO, "done", tokens=10)
    await begun(store, counted, name="adder")
    with pytest.raises(ConfigurationError, match="was begun by the agent 'adder', and cannot go on with 'other'"):
        await counted.agent(name="other").resume("r", store=store)
    assert (await counted.agent(name="adder").resume("r", store=store)).output == "done"


async def test_a_run_that_was_cancelled_goes_on(store):
    counted = Counted(*TWO, "done")
    counted.wait = asyncio.Event().wait()
    task = asyncio.create_task(counted.agent().run("Go.", run_id="r", store=store))
    while not counted.added:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [run] = await recorded_runs(store)
    assert run.state == "unfinished"
    counted.wait = None
    assert (await counted.agent().resume("r", store=store)).output == "done"


async def test_earlier_messages_come_back(store):
    first = await Counted("hello").agent().run("Hi.")
    counted = Counted("hello", *TWO, "done", tokens=10)
    with pytest.raises(TokenLimitReached):
        await counted.agent(limits=Limits(tokens=5)).run("Go.", messages=first.messages, run_id="r", store=store)
    result = await counted.agent().resume("r", store=store)
    assert [each.text for each in result.messages][:3] == ["Hi.", "hello", "Go."]
    assert result.output == "done"
    whole = Counted("hello", *TWO, "done")
    await whole.agent().run("Go.", messages=first.messages)
    assert counted.requests[-1] == whole.requests[-1]


# ---- secrets


async def test_a_redacted_record_is_never_replayed(tmp_path):
    store = SQLiteStore(tmp_path / "store.db", redact=lambda text: text.replace('"3"', '"***"'))
    counted = Counted(*TWO, "done", tokens=10)
    await begun(store, counted)
    assert "***" in (await store.load("r"))["r/1/tool/c1"]
    with pytest.raises(ReplayError, match=r"The record 'r/1/tool/c1' was redacted when it was written"):
        await counted.agent().resume("r", store=store)
    assert counted.added == [(1, 2)]


@pytest.mark.parametrize("secret", ["Go.", "u1", "adder"])
async def test_a_task_that_was_redacted_does_not_go_on(tmp_path, secret):
    store = SQLiteStore(tmp_path / "store.db", redact=lambda text: text.replace(secret, "***"))
    counted = Counted(*TWO, "done", tokens=10)
    with pytest.raises(TokenLimitReached):
        await counted.agent(limits=Limits(tokens=5), name="adder").run(
            "Go.", run_id="r", store=store, metadata={"user": "u1"}
        )
    [run] = await recorded_runs(store)
    assert run.state == "failed"
    with pytest.raises(ReplayError, match="'r/start' was redacted"):
        await counted.agent(name="adder").resume("r", store=store)


async def test_a_redacted_pause_is_not_decided(tmp_path):
    store = SQLiteStore(tmp_path / "store.db", redact=lambda text: text.replace("4111", "****"))
    agent = Counted(Call("add", {"a": 4111, "b": 1}, "c1"), "done").agent(policy=ask_before("add"))
    result = await agent.run("Go.", run_id="r", store=store)
    assert result.state == "paused"
    with pytest.raises(ReplayError, match="was redacted"):
        await agent.resume("r", {result.pending[0].id: Allow()}, store=store)
