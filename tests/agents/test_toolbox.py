"""Toolkits in agents: all their tools, opened and closed with the run or with the agent, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.agents.kinds import WRITTEN, no_session_left
from tinyagent import (
    ConfigurationError,
    Context,
    FatalToolError,
    Limits,
    ModelError,
    ReactAgent,
    Reply,
    RunError,
    TinyCodeAgent,
    Tool,
    Toolkit,
    run_sync,
    tool,
)
from tinyagent.core.shared import Shared, held
from tinyagent.errors import DuplicateToolError, MissingExtraError, TimeLimitReached, ToolkitError
from tinyagent.testing import ScriptedModel, call

MANY = 500


class Notes(Toolkit):
    """Rows, and how often they were opened and closed."""

    def __init__(self):
        self.rows, self.opened, self.closed, self.broken_off = [], 0, 0, 0
        self.opening = self.closing = None

    @property
    def now(self):
        return self.opened - self.closed

    async def open(self):
        try:
            if self.opening is not None:
                await self.opening()
        except BaseException:
            self.broken_off += 1
            raise
        self.opened += 1

    async def close(self):
        await ticks(2)
        self.closed += 1
        if self.closing is not None:
            await self.closing()

    @tool
    async def put(self, row: str) -> int:
        """Keep a row."""
        assert self.now == 1
        await ticks(1)
        self.rows.append(row)
        return len(self.rows)

    @tool
    def count(self) -> int:
        """How many rows there are."""
        assert self.now == 1
        return len(self.rows)


class Door:
    """No toolkit, but with an entrance."""

    def __init__(self):
        self.came, self.left = 0, 0

    async def __aenter__(self):
        self.came += 1
        return self

    async def __aexit__(self, *_):
        self.left += 1

    @tool
    async def knock(self) -> str:
        """Knock."""
        assert self.came == self.left + 1
        return "who is there?"


async def ticks(number):
    for _ in range(number):
        await asyncio.sleep(0)


def left_over():
    return asyncio.all_tasks() - {asyncio.current_task()}


def says(kind, *replies):
    """Each run hears these, however many there are at once."""

    def say(request):
        told = sum(message.role == "assistant" for message in request.messages)
        return kind.says(replies[min(told, len(replies) - 1)])

    return ScriptedModel(say)


def failing(error):
    """A function that raises it."""

    async def fail():
        raise error

    return fail


# ---- with a run


async def test_a_toolkit_brings_all_its_tools_which_share_its_state(kind):
    kit = Notes()
    agent = kind.agent([kit], model=says(kind, call("put", row="a"), call("put", row="b"), call("count"), "done"))
    assert {"put", "count"} <= set(agent.tools)
    assert "put" in repr(agent)
    result = await agent.run("Go.")
    assert kind.values(result) == [[1], [2], [2], []]
    assert kit.rows == ["a", "b"]
    offered = kind.offered(agent.model.requests[0])
    assert "Keep a row." in offered
    assert "How many rows there are." in offered


async def test_it_is_open_from_the_beginning_of_a_run_to_its_end(kind):
    kit, seen = Notes(), []

    def say(request):
        seen.append((kit.opened, kit.closed))
        return kind.says(call("count") if len(seen) == 1 else "done")

    await kind.agent([kit], model=ScriptedModel(say)).run("Go.")
    assert seen == [(1, 0), (1, 0)]
    assert (kit.opened, kit.closed) == (1, 1)


async def test_each_run_opens_it_anew_when_no_other_has_it_open(kind):
    kit = Notes()
    agent = kind.agent([kit], model=says(kind, call("put", row="a"), "done"))
    for number in (1, 2):
        assert (await agent.run("Go.")).output == "done"
        assert (kit.opened, kit.closed) == (number, number)
    assert kit.rows == ["a", "a"]


async def test_runs_at_once_share_it(kind):
    kit, runs = Notes(), 20
    everybody = asyncio.Barrier(runs)
    agent = kind.agent(
        [kit, Tool(everybody.wait, name="meet")], model=says(kind, call("meet"), call("put", row="a"), "ok")
    )
    results = await asyncio.gather(*(agent.run("Go.") for _ in range(runs)))
    assert [result.output for result in results] == ["ok"] * runs
    assert sorted(kind.values(result)[1][0] for result in results) == list(range(1, runs + 1))
    assert (kit.opened, kit.closed) == (1, 1)


@pytest.mark.parametrize("entered", [False, True], ids=["alone", "with the agent"])
async def test_five_hundred_runs_at_once_share_it(entered):
    from tests.agents.kinds import NATIVE

    kit, door = Notes(), Door()
    agent = ReactAgent([kit, door], model=says(NATIVE, [call("put", row="a"), call("knock")], "ok"))
    async with agent if entered else contextlib.nullcontext():
        results = await asyncio.gather(*(agent.run("Go.") for _ in range(MANY)))
        assert kit.now == door.came - door.left == entered
    assert {result.output for result in results} == {"ok"}
    assert sorted(result.steps[0].observations[0].value for result in results) == list(range(1, MANY + 1))
    assert kit.now == door.came - door.left == 0
    assert not entered or kit.opened == door.came == 1


async def test_several_are_opened_at_the_same_time_and_closed_the_last_first(kind):
    there, opened, closed = asyncio.Event(), [], []

    class Part(Toolkit):
        def __init__(self, name, wait):
            self.name, self.wait = name, wait

        async def open(self):
            await self.wait()
            opened.append(self.name)

        async def close(self):
            closed.append(self.name)

        @property
        def tools(self):
            return ()

    async def arrive():
        there.set()

    async with asyncio.timeout(20):
        kits = [Part("waits", there.wait), Part("is waited for", arrive)]
        assert (await kind.agent(kits, model=says(kind, "ok")).run("Go.")).output == "ok"
    assert opened == ["is waited for", "waits"]
    assert closed == ["waits", "is waited for"]


async def test_a_plain_object_is_entered_and_left_with_the_run(kind):
    door = Door()
    agent = kind.agent([door], model=says(kind, call("knock"), "ok"))
    assert kind.values(await agent.run("Go.")) == [["who is there?"], []]
    assert (door.came, door.left) == (1, 1)
    await asyncio.gather(*(agent.run("Go.") for _ in range(5)))
    assert door.came == door.left
    async with agent:
        came = door.came
        await agent.run("Go.")
        assert (door.came, door.left) == (came, came - 1)
    assert door.left == came


async def test_a_plain_object_needs_no_entrance(kind):
    class Plain:
        @tool
        def hello(self) -> str:
            """Greet."""
            return "hello"

    agent = kind.agent([Plain()], model=says(kind, call("hello"), "ok"))
    async with agent:
        assert kind.values(await agent.run("Go.")) == [["hello"], []]


async def test_two_agents_share_one_toolkit_and_one_object(kind):
    kit, door, both = Notes(), Door(), asyncio.Barrier(2)
    tools = [kit, door, Tool(both.wait, name="meet")]
    agents = [
        kind.agent(tools, model=says(kind, call("meet"), [call("put", row="a"), call("knock")], "ok")) for _ in "ab"
    ]
    await asyncio.gather(*(agent.run("Go.") for agent in agents))
    assert (kit.opened, kit.closed, kit.rows) == (1, 1, ["a", "a"])
    assert (door.came, door.left) == (1, 1)


# ---- with the agent, or with whoever enters it


async def test_an_agent_that_is_entered_keeps_it_open_between_runs(kind):
    kit = Notes()
    agent = kind.agent([kit], model=says(kind, call("put", row="a"), "done"))
    async with agent as entered, agent:
        assert entered is agent
        assert kit.now == 1
        await agent.run("Go.")
        await agent.run("Go.")
        assert await agent.execute_tool("count") == 2
        assert (kit.opened, kit.closed) == (1, 0)
    assert (kit.opened, kit.closed) == (1, 1)


async def test_who_enters_the_toolkit_keeps_it_open(kind):
    kit = Notes()
    agent = kind.agent([kit], model=says(kind, call("put", row="a"), "done"))
    async with kit:
        await agent.run("Go.")
        async with agent:
            await agent.run("Go.")
        assert (kit.opened, kit.closed) == (1, 0)
    assert (kit.opened, kit.closed) == (1, 1)


async def test_an_agent_whose_toolkit_cannot_be_opened_is_not_entered(kind):
    kit, other = Notes(), Notes()
    kit.opening = failing(OSError("no such database"))
    agent = kind.agent([kit, other.prefixed("other")], model=says(kind, "ok"))
    with pytest.raises(ToolkitError, match="The toolkit Notes could not be opened: OSError: no such database"):
        async with agent:
            pytest.fail("it is not open")
    assert (kit.opened, other.now) == (0, 0)
    kit.opening = None
    async with agent:
        assert (await agent.run("Go.")).output == "ok"


async def test_leaving_an_agent_whose_toolkit_cannot_be_closed_says_so(kind):
    kit, other = Notes(), Notes()
    kit.closing = failing(OSError("it hangs"))
    agent = kind.agent([kit, other.prefixed("other")], model=says(kind, "ok"))
    with pytest.raises(ToolkitError, match="The toolkit Notes could not be closed: OSError: it hangs"):
        async with agent:
            assert (await agent.run("Go.")).output == "ok"
    assert (kit.now, other.now) == (0, 0)


async def test_a_run_goes_on_when_its_agent_is_left(kind):
    kit, begun, gate = Notes(), asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        begun.set()
        await gate.wait()
        return "waited"

    agent = kind.agent([kit, wait], model=says(kind, call("wait"), call("put", row="a"), "done"))
    async with agent:
        task = asyncio.create_task(agent.run("Go."))
        await begun.wait()
    assert kit.now == 1
    gate.set()
    assert (await task).output == "done"
    assert (kit.opened, kit.closed, kit.rows) == (1, 1, ["a"])


def test_an_agent_serves_one_loop_after_the_other():
    kit = Notes()
    agent = ReactAgent([kit], model=ScriptedModel(lambda request: "ok"))

    async def serve():
        async with agent:
            return (await agent.run("Go.")).output

    assert [asyncio.run(serve()) for _ in range(3)] == ["ok"] * 3
    assert (kit.opened, kit.closed) == (3, 3)


async def test_a_toolkit_that_is_open_in_another_loop_is_refused():
    kit = Notes()
    agent = ReactAgent([kit], model=ScriptedModel(lambda request: "ok"))
    async with kit:
        with pytest.raises(
            ToolkitError, match="Notes could not be opened: RuntimeError: It is open in another event loop"
        ):
            await asyncio.to_thread(asyncio.run, agent.run("Go."))
        assert (await agent.run("Go.")).output == "ok"
    assert (kit.opened, kit.closed) == (1, 1)


# ---- runs that fail, toolkits that fail


@pytest.mark.parametrize("how", ["model", "fatal tool", "toolkit's fatal tool", "limit"])
async def test_a_run_that_fails_closes_it(kind, how):
    class Fatal(Notes):
        @tool
        def stop(self) -> None:
            """Stop."""
            raise FatalToolError("the end")

    def fatal() -> None:
        raise FatalToolError("the end")

    kit = Fatal()
    script = {
        "model": [ModelError("it broke")],
        "fatal tool": [call("fatal")],
        "toolkit's fatal tool": [call("stop")],
        "limit": [call("put", row="a")] * 3,
    }
    limits = Limits(steps=1)
    agent = kind.agent([kit, fatal], model=ScriptedModel(kind.script(script[how])), limits=limits)
    with pytest.raises(RunError) as caught:
        await agent.run("Go.")
    assert not isinstance(caught.value, ToolkitError)
    assert caught.value.result.state == "failed"
    assert (kit.opened, kit.closed) == (1, 1)


async def test_a_toolkit_that_cannot_be_opened_ends_the_run_and_the_next_one_tries_again(kind):
    kit, other, gate = Notes(), Notes(), asyncio.Event()
    kit.opening = failing(OSError("no such database"))
    model = says(kind, call("put", row="a"), "ok")
    agent = kind.agent([other.prefixed("other"), kit], model=model)
    with pytest.raises(
        ToolkitError, match=r"^The toolkit Notes could not be opened: OSError: no such database$"
    ) as caught:
        await agent.run("Go.", run_id="r1")
    assert isinstance(caught.value.__cause__, OSError)
    assert (caught.value.result.state, caught.value.result.info.run_id) == ("failed", "r1")
    assert (model.requests, kit.opened, kit.closed, other.now) == ([], 0, 0, 0)
    kit.opening = None
    gate.set()
    assert (await agent.run("Go.")).output == "ok"


async def test_each_run_that_waits_for_a_toolkit_is_told_why_it_cannot_be_opened(kind):
    kit, gate = Notes(), asyncio.Event()

    async def fail_late():
        await gate.wait()
        raise OSError("no such database")

    kit.opening = fail_late
    agent = kind.agent([kit], model=says(kind, "ok"))
    runs = [asyncio.create_task(agent.run("Go.", run_id=f"r{number}")) for number in range(5)]
    await ticks(20)
    gate.set()
    errors = await asyncio.gather(*runs, return_exceptions=True)
    assert {type(error) for error in errors} == {ToolkitError}
    assert [error.result.info.run_id for error in errors] == [f"r{number}" for number in range(5)]
    assert kit.broken_off == 1


async def test_runs_that_wait_for_one_toolkit_do_not_share_their_error():
    kit, gate = Notes(), asyncio.Event()

    async def fail_late():
        await gate.wait()
        raise ToolkitError("the server has ended")

    kit.opening = fail_late
    agent = ReactAgent([kit], model=ScriptedModel(lambda request: "ok"))
    runs = [asyncio.create_task(agent.run("Go.", run_id=f"r{number}")) for number in range(3)]
    await ticks(20)
    gate.set()
    errors = await asyncio.gather(*runs, return_exceptions=True)
    assert [str(error) for error in errors] == ["the server has ended"] * 3
    assert [error.result.info.run_id for error in errors] == ["r0", "r1", "r2"]


async def test_an_error_of_ours_while_opening_is_one_of_the_run(kind):
    kit = Notes()
    kit.opening = failing(MissingExtraError("pip install 'tinyagent[mcp]'"))
    with pytest.raises(ToolkitError, match=r"could not be opened: MissingExtraError: pip install") as caught:
        await kind.agent([kit], model=says(kind, "ok")).run("Go.")
    assert caught.value.result.state == "failed"


async def test_a_toolkit_that_cannot_be_closed_is_told_and_the_output_is_kept(kind):
    kit, other = Notes(), Notes()
    kit.closing = failing(OSError("it hangs"))
    agent = kind.agent([other.prefixed("other"), kit], model=says(kind, call("put", row="a"), "done"))
    with pytest.raises(ToolkitError, match=r"^The toolkit Notes could not be closed: OSError: it hangs$") as caught:
        await agent.run("Go.")
    assert (caught.value.result.state, caught.value.result.output) == ("failed", "done")
    assert (kit.now, other.now) == (0, 0)
    kit.closing = None
    assert (await agent.run("Go.")).output == "done"


async def test_when_several_cannot_be_opened_one_is_told_and_the_others_are_closed(kind):
    kits = [Notes() for _ in range(4)]
    kits[0].opening = kits[2].opening = failing(OSError("no such database"))
    agent = kind.agent([kit.prefixed(f"k{number}") for number, kit in enumerate(kits)], model=says(kind, "ok"))
    with pytest.raises(ToolkitError, match="The toolkit Notes could not be opened"):
        await agent.run("Go.")
    assert [kit.now for kit in kits] == [0] * 4


async def test_a_toolkit_that_cannot_be_opened_breaks_off_the_opening_of_the_others(kind):
    slow, broken = Notes(), Notes()
    slow.opening = asyncio.Event().wait
    broken.opening = failing(OSError("no such database"))
    async with asyncio.timeout(10):
        with pytest.raises(ToolkitError, match="no such database"):
            await kind.agent([slow.prefixed("slow"), broken], model=says(kind, "ok")).run("Go.")
    assert (slow.opened, slow.broken_off) == (0, 1)


async def test_opening_counts_as_time_of_the_run(kind):
    kit = Notes()
    kit.opening = asyncio.Event().wait
    with pytest.raises(TimeLimitReached):
        await kind.agent([kit], model=says(kind, "ok"), limits=Limits(seconds=0.05)).run("Go.")
    assert (kit.opened, kit.broken_off) == (0, 1)


# ---- cancellation


@pytest.mark.parametrize("stage", ["open", "model", "tool", "close"])
async def test_a_run_that_is_cancelled_closes_it(kind, stage):
    kit, there, gate = Notes(), asyncio.Event(), asyncio.Event()

    async def wait():
        there.set()
        await gate.wait()

    async def model(request, sink):
        if stage == "model":
            await wait()
        return kind.says("done" if stage == "close" else call("stay"))

    if stage in ("open", "close"):
        setattr(kit, "opening" if stage == "open" else "closing", wait)
    agent = kind.agent([kit, Tool(wait, name="stay")], model=model)
    task = asyncio.create_task(agent.run("Go."))
    await there.wait()
    task.cancel()
    await ticks(5)
    if stage == "close":
        assert not task.done()  # closing goes to its end
        gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kit.now == 0
    assert kit.broken_off == (stage == "open")
    assert left_over() == set()


async def test_a_cancelled_run_leaves_it_open_for_others(kind):
    kit, waiting = Notes(), asyncio.Event()

    async def stay() -> None:
        waiting.set()
        await asyncio.Event().wait()

    first = kind.agent([kit, stay], model=says(kind, call("stay")))
    second = kind.agent([kit], model=says(kind, call("put", row="a"), "done"))
    async with second:
        task = asyncio.create_task(first.run("Go."))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await second.run("Go.")).output == "done"
        assert (kit.opened, kit.closed) == (1, 0)
    assert kit.closed == 1


async def points(kind, consume):
    """After how many iterations of the loop to cancel: every one; of code, whose runs take long, every n-th."""
    if kind is not WRITTEN:
        return itertools.count()
    turns = 0
    for _ in range(2):  # the first may start the zygote
        task, turns = asyncio.create_task(consume()), 0
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
    return itertools.count(0, max(1, turns // 12))


@pytest.mark.parametrize("entered", [False, True], ids=["run", "agent"])
async def test_it_can_be_cancelled_at_every_point(kind, entered):
    kits, doors = [], []

    async def consume():
        kit, slow, door = Notes(), Notes(), Door()
        slow.opening = slow.closing = lambda: ticks(3)
        kits[:], doors[:] = [kit, slow], [door]
        tools = [kit, slow.prefixed("slow"), door]
        agent = kind.agent(
            tools, model=says(kind, [call("put", row="a"), call("slow_put", row="b"), call("knock")], "done")
        )
        async with agent if entered else contextlib.nullcontext():
            return (await agent.run("Go.")).output

    async with asyncio.timeout(50):
        for number in await points(kind, consume):
            task = asyncio.create_task(consume())
            await ticks(number)
            if task.done():
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            where = f"cancelled after {number} iterations"
            assert [kit.now for kit in kits] == [0] * len(kits), where
            assert [door.came - door.left for door in doors] == [0] * len(doors), where
            assert left_over() == set(), where
            if kind is WRITTEN:
                await no_session_left()
    assert await task == "done"
    assert number >= 10


async def test_a_cancelled_run_is_cancelled_although_its_toolkit_cannot_be_closed(kind):
    kit, there = Notes(), asyncio.Event()
    kit.closing = failing(OSError("it hangs"))

    async def stay() -> None:
        there.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(kind.agent([kit, stay], model=says(kind, call("stay"))).run("Go."))
    await there.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kit.now == 0


# ---- names


def test_two_tools_of_one_name_are_refused_with_what_to_do(kind):
    with pytest.raises(
        DuplicateToolError,
        match=r"^Two tools are named 'put': .*Notes\.put and .*Notes\.put\. Give the tools of a toolkit a prefix: "
        r"Notes\(\.\.\.\)\.prefixed\('my'\)\.$",
    ):
        kind.agent([Notes(), Notes()], model=says(kind, "ok"))


def test_a_toolkits_tool_and_a_function_of_one_name_are_refused(kind):
    def count() -> int:
        """Count."""
        return 1

    with pytest.raises(
        DuplicateToolError, match=r"named 'count': .*<locals>\.count and .*Notes\.count\..*prefixed\('my'\)"
    ):
        kind.agent([Notes(), count], model=says(kind, "ok"))
    with pytest.raises(DuplicateToolError, match="named 'my_count'"):
        kind.agent([Notes().prefixed("my"), Tool(count, name="my_count")], model=says(kind, "ok"))


def test_a_toolkits_tool_cannot_have_the_name_by_which_code_ends_a_run():
    from tinyagent import TinyCodeAgent

    class Final(Toolkit):
        @tool
        def final_answer(self, value: int) -> int:
            """Answer."""
            return value

    with pytest.raises(ConfigurationError, match="'final_answer'"):
        TinyCodeAgent([Final()], model=ScriptedModel([]))


async def test_prefixes_tell_two_of_one_class_apart(kind):
    one, two = Notes(), Notes()
    calls = [call("one_put", row="a"), call("two_put", row="b"), call("two_put", row="c")]
    agent = kind.agent([one.prefixed("one"), two.prefixed("two")], model=says(kind, calls, call("one_count"), "ok"))
    assert {"one_put", "one_count", "two_put", "two_count"} <= set(agent.tools)
    result = await agent.run("Go.")
    assert (one.rows, sorted(two.rows)) == (["a"], ["b", "c"])
    assert kind.values(result)[1] == [1]
    assert (one.now, two.now) == (0, 0)


async def test_a_toolkit_that_is_passed_twice_counts_once(kind):
    kit, door = Notes(), Door()
    agent = kind.agent([kit, door, kit, door], model=says(kind, call("put", row="a"), "ok"))
    assert kind.values(await agent.run("Go.")) == [[1], []]
    assert (kit.opened, door.came) == (1, 1)


async def test_tools_may_come_from_a_generator(kind):
    agent = kind.agent(
        (Notes().prefixed(name) for name in ("a", "b", "c")), model=says(kind, call("b_put", row="x"), "ok")
    )
    assert kind.values(await agent.run("Go.")) == [[1], []]
    assert len(agent.toolbox.kits) == 3


def test_a_method_of_a_toolkit_may_be_passed_alone(kind):
    kit = Notes()
    assert set(kind.agent([kit.put], model=says(kind, "ok")).tools) - {"final_answer"} == {"put"}


# ---- tools that come and go


class Changing(Toolkit):
    """Finds its tools when it is opened, and has others later."""

    def __init__(self):
        self.now = ()

    async def open(self):
        self.now = (Tool(self.learn, name="learn"), Tool(lambda: "old", name="old", description="Old one."))

    async def close(self):
        self.now = ()

    @property
    def tools(self):
        return self.now

    async def learn(self) -> str:
        """Learn something new."""
        self.now = (self.now[0], Tool(lambda: "new", name="new", description="New one."))
        return "learnt"


@pytest.mark.parametrize("prefix", ["", "my_"])
async def test_tools_that_are_found_on_opening_are_offered_and_called(kind, prefix):
    kit = Changing()
    model = says(kind, call(f"{prefix}old"), "done")
    agent = kind.agent([kit.prefixed("my") if prefix else kit], model=model)
    assert set(agent.tools) <= {"final_answer"}
    result = await agent.run("Go.")
    assert kind.values(result) == [["old"], []]
    assert "Old one." in kind.offered(model.requests[0])
    assert f"{prefix}old" in kind.offered(model.requests[0])
    async with agent:
        assert {f"{prefix}old", f"{prefix}learn"} <= set(agent.tools)
    assert set(agent.tools) <= {"final_answer"}


async def test_tools_that_come_and_go_in_a_run_are_offered_from_the_next_step_on():
    from tests.agents.kinds import NATIVE

    model = ScriptedModel([call("old"), call("learn"), [call("new"), call("old")], "done"])
    result = await ReactAgent([Changing()], model=model).run("Go.")
    offered = [[each.name for each in request.tools] for request in model.requests]
    assert offered == [["learn", "old"], ["learn", "old"], ["learn", "new"], ["learn", "new"]]
    assert NATIVE.values(result) == [["old"], ["learnt"], ["new", None], []]
    assert "There is no tool named 'old'" in result.steps[2].observations[1].error


async def test_a_name_that_is_taken_only_when_it_is_open_ends_the_run(kind):
    def old() -> str:
        """Mine."""
        return "mine"

    kit = Changing()
    with pytest.raises(DuplicateToolError, match=r"Two tools are named 'old'.*Changing\(\.\.\.\)\.prefixed\('my'\)"):
        await kind.agent([kit, old], model=says(kind, "ok")).run("Go.")
    assert kit.now == ()


# ---- what belongs to one run


class PerRun(Notes):
    """Each run has one of its own; all are remembered."""

    made: list[PerRun]

    def __init__(self, made=None):
        super().__init__()
        self.made = [] if made is None else made

    def for_run(self):
        self.made.append(PerRun(self.made))
        return self.made[-1]


@pytest.mark.parametrize("prefixed", [False, True])
async def test_state_that_belongs_to_a_run_is_its_own(kind, prefixed):
    kit, runs = PerRun(), 10
    everybody = asyncio.Barrier(runs)
    prefix = "my_" if prefixed else ""
    agent = kind.agent(
        [kit.prefixed("my") if prefixed else kit, Tool(everybody.wait, name="meet")],
        model=says(kind, call(f"{prefix}put", row="a"), call("meet"), call(f"{prefix}put", row="b"), "ok"),
    )
    results = await asyncio.gather(*(agent.run("Go.") for _ in range(runs)))
    assert [kind.values(result)[::2] for result in results] == [[[1], [2]]] * runs
    assert [each.rows for each in kit.made] == [["a", "b"]] * runs
    assert [(each.opened, each.closed) for each in kit.made] == [(1, 1)] * runs
    assert (kit.opened, kit.rows) == (0, [])


async def test_what_belongs_to_a_run_is_not_opened_with_the_agent(kind):
    kit = PerRun()
    agent = kind.agent([kit], model=says(kind, call("put", row="a"), "ok"))
    async with agent:
        assert sum(each.opened for each in [kit, *kit.made]) == 0
        await agent.run("Go.")
        await agent.run("Go.")
    assert [each.rows for each in kit.made if each.opened] == [["a"], ["a"]]
    assert all(each.now == 0 for each in kit.made)


async def test_what_is_made_for_a_run_has_its_names_checked(kind):
    class Growing(Notes):
        def for_run(self):
            return Other()

    class Other(Notes):
        @tool
        def mine(self) -> int:
            """Mine."""
            return 1

    agent = kind.agent([Growing(), Tool(lambda: 2, name="mine")], model=says(kind, "ok"))
    with pytest.raises(DuplicateToolError, match="named 'mine'"):
        await agent.run("Go.")


# ---- what tools hold open


class Client:
    """A client that several tools share."""

    def __init__(self):
        self.opened, self.closed, self.error = 0, 0, None
        self.shared = Shared(self.connect)

    @contextlib.asynccontextmanager
    async def connect(self):
        self.opened += 1
        yield self
        self.closed += 1
        if self.error is not None:
            raise self.error

    async def fetch(self, url: str) -> str:
        """Fetch."""
        async with held(self.shared) as client:
            assert client.opened == client.closed + 1
            return url


async def test_what_a_tool_holds_stays_open_to_the_end_of_its_run(kind):
    client, seen = Client(), []

    def say(request):
        seen.append((client.opened, client.closed))
        return kind.says([call("fetch", url="a"), call("fetch", url="b")] if len(seen) < 3 else "ok")

    await kind.agent([client.fetch], model=ScriptedModel(say)).run("Go.")
    assert seen == [(0, 0), (1, 0), (1, 0)]
    assert (client.opened, client.closed) == (1, 1)


async def test_what_a_tool_holds_is_closed_when_its_run_fails_or_is_cancelled(kind):
    client, there = Client(), asyncio.Event()

    async def fatal() -> None:
        raise FatalToolError("the end")

    async def stay() -> None:
        there.set()
        await asyncio.Event().wait()

    tools = [client.fetch, fatal, stay]
    with pytest.raises(FatalToolError):
        await kind.agent(tools, model=says(kind, call("fetch", url="a"), call("fatal"))).run("Go.")
    assert (client.opened, client.closed) == (1, 1)
    task = asyncio.create_task(kind.agent(tools, model=says(kind, call("fetch", url="a"), call("stay"))).run("Go."))
    await there.wait()
    assert (client.opened, client.closed) == (2, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (client.opened, client.closed) == (2, 2)


async def test_what_cannot_be_closed_at_the_end_is_not_told_as_a_failure_of_the_model():
    client = Client()
    client.error = OSError("it hangs")
    agent = ReactAgent([client.fetch], model=ScriptedModel([call("fetch", url="a"), "ok"]))
    with pytest.raises(RunError, match="it hangs") as caught:
        await agent.run("Go.")
    assert not isinstance(caught.value, ModelError)
    assert caught.value.result.output == "ok"


# ---- mistakes


@pytest.mark.parametrize("cls", [Notes, Door, Toolkit])
def test_a_toolkits_class_is_refused_with_what_to_pass(cls):
    with pytest.raises(ConfigurationError, match=rf"{cls.__name__}\(\.\.\.\)|instance"):
        ReactAgent([cls], model=ScriptedModel([]))


def test_what_is_said_of_two_plain_objects_can_be_done():
    with pytest.raises(DuplicateToolError) as caught:
        ReactAgent([Door(), Door()], model=ScriptedModel([]))
    assert "Door(...).prefixed" not in str(caught.value) or hasattr(Door(), "prefixed")


@pytest.mark.parametrize("given", [lambda self: None, lambda self: 1 / 0], ids=["nothing", "error"])
async def test_a_toolkit_that_gives_a_run_no_toolkit_is_named(given):
    kit = type("Forgetful", (Notes,), {"for_run": given})()
    with pytest.raises(RunError, match="Forgetful") as caught:
        await ReactAgent([kit], model=ScriptedModel(["ok"])).run("Go.")
    assert not isinstance(caught.value, ModelError)


async def test_tools_of_a_toolkit_know_their_run(kind):
    class Knowing(Toolkit):
        @tool
        async def who(self, context: Context[int]) -> str:
            """Who."""
            return f"{context.run_id} {context.deps} {context.tool}"

    agent = kind.agent([Knowing()], model=says(kind, call("who"), "ok"))
    assert kind.values(await agent.run("Go.", run_id="r1", deps=7))[0] == ["r1 7 who"]


async def test_a_toolkits_tool_that_fails_is_told_to_the_model(kind):
    class Broken(Notes):
        @tool
        def fail(self) -> None:
            """Fail."""
            raise LookupError("no such row")

    kit = Broken()
    agent = kind.agent([kit], model=says(kind, [call("fail"), call("put", row="a")], Reply("ok")))
    result = await agent.run("Go.")
    assert "LookupError: no such row" in str(kind.reports(result.messages)) or "no such row" in str(result.messages)
    assert kit.rows == ["a"]


@pytest.mark.parametrize("cls", [ReactAgent, TinyCodeAgent])
def test_an_agents_class_is_refused_with_what_to_pass(cls):
    with pytest.raises(ConfigurationError, match=rf"{cls.__name__} is the class of an agent: pass an object"):
        ReactAgent([cls], model=ScriptedModel([]))


def test_a_toolkit_without_anything_to_open_serves_many_loops_at_once():
    class Plain(Toolkit):
        @tool
        async def meet(self) -> str:
            """Wait for the others."""
            await asyncio.to_thread(barrier.wait, 20)
            return "met"

    barrier = threading.Barrier(4)
    agent = ReactAgent([Plain(), Plain().prefixed("my")], model=ScriptedModel(answers), handoffs=lambda: [agent])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: run_sync(agent.run("Go.")).steps[0].observations[0].value, range(4)))
    assert found == ["met"] * 4


def answers(request):
    return "ok" if request.messages[-1].role == "tool" else call("meet")


def test_a_loop_that_has_ended_is_not_kept():
    inner = ReactAgent([Notes()], model=ScriptedModel(lambda _: "ok"), name="inner", description="D.")
    script = lambda request: "ok" if request.messages[-1].role == "tool" else call("inner", task="t")  # noqa: E731
    agent = ReactAgent([inner], model=ScriptedModel(script))
    loops = []

    async def entered():
        loops.append(weakref.ref(asyncio.get_running_loop()))
        async with agent:
            await agent.run("Go.")

    for _ in range(3):
        asyncio.run(entered())
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3


# ---- what only looks like an agent


async def test_a_tool_or_toolkit_of_ones_own_may_have_an_attribute_called_agent():
    class Browser(Tool):
        agent = "Mozilla/5.0"

    class Office(Toolkit):
        """Some."""

        agents = ("Smith", "Jones")

        @tool
        def staff(self) -> str:
            """List the staff."""
            return ", ".join(self.agents)

    tools = [Browser(lambda: "page", name="browse", description="Browse."), Office()]
    agent = ReactAgent(tools, model=ScriptedModel([call("browse"), call("staff"), "done"]))
    assert agent.toolbox.agents() == []
    async with agent:
        result = await agent.run("Go.")
    assert [seen.value for step in result.steps for seen in step.observations] == ["page", "Smith, Jones"]


# ---- a team that changes


class Staff(Toolkit):
    """Agents that can be asked; who they are may change."""

    def __init__(self, *agents):
        self.agents = list(agents)

    @property
    def tools(self):
        return tuple(agent.as_tool() for agent in self.agents)


async def test_leaving_closes_what_entering_opened_whoever_is_in_the_team_by_then():
    kits = Notes(), Notes()
    first, second = (
        ReactAgent([kit], model=ScriptedModel([]), name=f"worker_{number}", description="Works.")
        for number, kit in enumerate(kits)
    )
    staff = Staff(first)
    boss = ReactAgent([staff], model=ScriptedModel([]))
    async with second:  # somebody else has it open
        async with boss:
            assert [kit.now for kit in kits] == [1, 1]
            staff.agents = [second]
        assert [kit.now for kit in kits] == [0, 1]
    assert [kit.now for kit in kits] == [0, 0]


async def test_an_agent_is_left_as_often_as_it_was_entered():
    kit = Notes()
    agent = ReactAgent([kit], model=ScriptedModel([]))
    async with agent, agent:
        assert kit.now == 1
    assert kit.now == 0
    with pytest.raises(RuntimeError, match="is left in an event loop where it was not entered"):
        await agent.__aexit__(None, None, None)
