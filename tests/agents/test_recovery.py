from __future__ import annotations

import asyncio

import pytest

from tinyagent import (
    Call,
    ConfigurationError,
    Limits,
    MemoryStore,
    ReactAgent,
    Reply,
    RunError,
    ask_before,
    resume_all,
)
from tinyagent.errors import StoreError
from tinyagent.messages import Assistant
from tinyagent.stores import Conversations, SQLiteStore, recorded_runs


class Work:
    """A tool that may be told to wait, and a model that calls it once."""

    def __init__(self):
        self.waits = True
        self.begun = []
        self.most = self.now = 0

    async def look(self, at: str) -> str:
        """Look."""
        self.begun.append(at)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await (asyncio.Event().wait() if self.waits else asyncio.sleep(0.001))
        finally:
            self.now -= 1
        return f"saw {at}"

    async def model(self, request, sink):
        task = request.messages[0].text
        if any(isinstance(each, Assistant) for each in request.messages):
            if task == "fails":
                raise ConnectionError("the host is down")
            return Reply(f"done {task}")
        return Reply(calls=(Call("look", {"at": task}, "c1"),), finish_reason="tool_calls")

    def agent(self, name="agent", **options):
        return ReactAgent([self.look], model=self.model, name=name, **options)


async def broken_off(work, store, *runs, **options):
    """Runs that are cancelled while their tool is at work, which leaves them as a kill does."""
    tasks = [asyncio.create_task(work.agent(**options).run(run, run_id=run, store=store)) for run in runs]
    before = len(work.begun)
    while len(work.begun) < before + len(runs):
        await asyncio.sleep(0.001)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "store.db")


async def test_what_was_broken_off_is_taken_up_in_order_and_nothing_else(store):
    work = Work()
    await broken_off(work, store, "a", "b")
    paused = work.agent(policy=ask_before("look"))
    await paused.run("paused", run_id="paused", store=store)
    await paused.run("dropped", run_id="dropped", store=store)
    await Conversations(store).drop("dropped")
    work.waits = False
    with pytest.raises(RunError):
        await work.agent().run("fails", run_id="failed", store=store)
    await work.agent().run("ended", run_id="ended", store=store)
    await work.agent(limits=Limits(steps=1)).run("limited", run_id="limited", store=store)
    work.begun.clear()
    items = await resume_all(store, {"agent": work.agent()})
    assert [(item.index, item.task, item.result.output, item.error) for item in items] == [
        (0, "a", "done a", None),
        (1, "b", "done b", None),
    ]
    assert work.begun == ["a", "b"]
    assert {run.run_id: run.state for run in await recorded_runs(store)} == {
        "a": "success",
        "b": "success",
        "paused": "paused",
        "dropped": "dropped",
        "failed": "failed",
        "ended": "success",
        "limited": "step_limit_reached",
    }
    assert await resume_all(store, {"agent": work.agent()}) == []
    assert [run.run_id for run in await recorded_runs(store, unfinished=True)] == ["paused", "failed", "limited"]


async def test_a_run_that_cannot_be_read_stops_no_other(tmp_path):
    class Damaged(MemoryStore):
        async def load(self, run):
            records = dict(await super().load(run))
            return dict.fromkeys(records, "{") if run == "b" else records

    store, work = Damaged(), Work()
    await broken_off(work, store, "a", "c")
    store._runs["b"] = {"b/start": "{"}
    work.waits = False
    items = await resume_all(store, {"agent": work.agent()})
    assert {item.task: item.result.output for item in items if item.error is None} == {"a": "done a", "c": "done c"}
    [broken] = [item for item in items if item.error is not None]
    assert isinstance(broken.error, StoreError)
    assert "the run 'b' cannot be read" in str(broken.error)
    [run] = [run for run in await recorded_runs(store) if run.state != "success"]
    assert (run.run_id, run.state, run.error) == ("b", "damaged", str(broken.error))


async def test_a_run_whose_records_are_damaged_stops_no_other(store):
    work = Work()
    await broken_off(work, store, "a", "b", "c")
    broken = MemoryStore({run: dict(await store.load(run)) for run in "abc"})
    broken._runs["b"]["b/1/model"] = "{"
    work.waits = False
    items = await resume_all(broken, {"agent": work.agent()})
    assert [(item.task, item.error is None) for item in items] == [("a", True), ("b", False), ("c", True)]
    assert "b/1/model" in str(items[1].error)
    [failed] = [run for run in await recorded_runs(broken) if run.state != "success"]
    assert failed.run_id == "b"


async def test_the_run_of_an_agent_that_is_not_there_is_named(store):
    work = Work()
    await broken_off(work, store, "a")
    await broken_off(work, store, "b", name="other")
    work.waits = False
    items = await resume_all(store, {"agent": work.agent()})
    assert items[0].result.output == "done a"
    assert isinstance(items[1].error, ConfigurationError)
    assert str(items[1].error) == "The run 'b' was begun by the agent 'other', and agents= has: agent."
    [item] = await resume_all(store, {"other": work.agent(name="other")})
    assert item.result.output == "done b"


async def test_an_agent_under_the_name_of_another_is_refused_for_its_runs(store):
    work = Work()
    await broken_off(work, store, "a")
    [item] = await resume_all(store, {"agent": work.agent(name="other")})
    assert "was begun by the agent 'agent', and cannot go on with 'other'" in str(item.error)


async def test_what_is_at_work_is_left_alone(store):
    work = Work()
    await broken_off(work, store, "a")
    task = asyncio.create_task(work.agent().run("b", run_id="b", store=store))
    while "b" not in work.begun:
        await asyncio.sleep(0.001)
    work.waits = False
    items = await resume_all(store, {"agent": work.agent()})
    assert [item.task for item in items] == ["a"]
    assert work.begun == ["a", "b", "a"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_two_that_take_up_the_same_share_it(store):
    work = Work()
    runs = [f"r{number}" for number in range(8)]
    await broken_off(work, store, *runs)
    work.waits = False
    work.begun.clear()
    both = await asyncio.gather(*(resume_all(store, {"agent": work.agent()}) for _ in range(2)))
    assert [item.error for items in both for item in items] == [None] * len([*both[0], *both[1]])
    assert {item.task for items in both for item in items} == set(runs)
    assert sorted(work.begun) == runs


async def test_a_run_that_pauses_now_is_told_as_paused(store):
    work = Work()
    agent = work.agent(policy=ask_before("look"))
    await broken_off(work, store, "a")
    [item] = await resume_all(store, {"agent": agent})
    assert item.result.state == "paused"
    assert await resume_all(store, {"agent": agent}) == []


async def test_no_more_than_so_many_go_on_at_once(store):
    work = Work()
    await broken_off(work, store, *(f"r{number}" for number in range(6)))
    work.waits, work.most = False, 0
    assert len(await resume_all(store, {"agent": work.agent()}, concurrency=2)) == 6
    assert work.most == 2


async def test_dependencies_are_handed_on(store):
    seen = []

    async def look(at: str, context) -> str:
        """Look."""
        seen.append(context.deps)
        if context.deps == "old":
            await asyncio.Event().wait()
        return at

    from tinyagent import Context

    look.__annotations__["context"] = Context
    agent = ReactAgent([look], model=Work().model)
    task = asyncio.create_task(agent.run("a", run_id="a", store=store, deps="old"))
    while not seen:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await resume_all(store, {"agent": agent}, deps="new")
    assert seen == ["old", "new"]


async def test_cancelling_it_leaves_the_runs_to_be_taken_up(store):
    work = Work()
    await broken_off(work, store, "a", "b")
    task = asyncio.create_task(resume_all(store, {"agent": work.agent()}))
    while len(work.begun) < 4:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    work.waits = False
    assert [item.result.output for item in await resume_all(store, {"agent": work.agent()})] == ["done a", "done b"]


@pytest.mark.parametrize("agents", [None, [], {"agent": "agent"}, {"agent": ReactAgent}])
async def test_agents_are_agents_by_name(agents):
    with pytest.raises(ConfigurationError, match=r"agents=.*: pass agents by name"):
        await resume_all(MemoryStore(), agents)


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, None])
async def test_how_many_at_once_is_a_number(concurrency):
    with pytest.raises(ConfigurationError, match=r"concurrency=.*: pass a whole number above 0"):
        await resume_all(MemoryStore(), {}, concurrency=concurrency)


@pytest.mark.parametrize("names", [None, "r", [1]])
async def test_a_store_that_gives_no_names_is_named(names):
    class Wrong(MemoryStore):
        async def runs(self, without=None):
            return names

    for work in (resume_all(Wrong(), {}), Conversations(Wrong()).list()):
        with pytest.raises(StoreError, match=r"The store Wrong failed: runs\(\) gave .*, and no list of texts"):
            await work


async def test_it_needs_a_store():
    with pytest.raises(ConfigurationError, match="pass a store"):
        await resume_all(None, {})
