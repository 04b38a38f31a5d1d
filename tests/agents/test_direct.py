"""One tool called directly: validated, tried again, timed and heard like a call of a model, without one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from tests.agents.disk_store import DiskStore
from tinyagent import (
    ConfigurationError,
    Context,
    FatalToolError,
    Limits,
    ReactAgent,
    RunError,
    Tool,
    Toolkit,
    Usage,
    tool,
)
from tinyagent.core import waiting
from tinyagent.core.events import Retry, RunFailed, RunFinished, RunStarted, ToolFinished, ToolProgress, ToolStarted
from tinyagent.errors import TimeLimitReached, ToolArgumentsError, UnknownToolError
from tinyagent.events import event_from_dict
from tinyagent.testing import ScriptedModel, call


@dataclass
class Point:
    x: int
    y: int = 0


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def move(point: Point, by: int) -> Point:
    """Move a point."""
    return Point(point.x + by, point.y + by)


def unused():
    """A model that must not be asked."""
    return ScriptedModel([])


async def ticks(number):
    for _ in range(number):
        await asyncio.sleep(0)


async def events_of(run):
    """What is heard of a run, whatever its end."""
    heard = []
    async with run:
        try:
            async for event in run:
                heard.append(event)
        except Exception as error:
            heard.append(error)
    return heard


@pytest.fixture
def quick_retries(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)


# ---- what it gives


async def test_it_gives_the_tools_value_as_the_object_it_is(kind):
    agent = kind.agent([add, move], model=unused())
    assert await agent.execute_tool("add", a=2, b=3) == 5
    assert await agent.execute_tool("add", a=2) == 3
    moved = await agent.execute_tool("move", point={"x": 1}, by=2)
    assert (type(moved), moved) == (Point, Point(3, 2))


async def test_arguments_may_have_any_name(kind):
    def odd(name: str, arguments: str, call: str = "", tool: str = "", deps: str = "", **options: int) -> str:
        """Odd names."""
        return f"{name} {arguments} {call} {tool} {deps} {options}"

    agent = kind.agent([odd], model=unused())
    given = {"name": "n", "arguments": "a", "call": "c", "tool": "t", "deps": "d", "self": 1}
    assert await agent.execute_tool("odd", **given) == "n a c t d {'self': 1}"


@pytest.mark.parametrize("arguments", [{"a": "two"}, {"a": 1, "c": 2}, {}, {"a": None}, {"a": 1, "b": [2]}])
async def test_arguments_that_do_not_fit_are_refused_as_a_model_is_told(kind, arguments):
    made = []

    def record(a: int, b: int = 1) -> None:
        """Record."""
        made.append((a, b))

    agent = kind.agent([record], model=ScriptedModel(kind.script([call("record", **arguments), "ok"])))
    with pytest.raises(ToolArgumentsError) as caught:
        await agent.execute_tool("record", **arguments)
    told = (await ReactAgent([record], model=ScriptedModel([call("record", **arguments), "ok"])).run("Go.")).messages
    assert str(caught.value) == told[2].text
    assert made == []


async def test_a_tool_that_is_not_there_is_told_with_those_that_are(kind):
    agent = kind.agent([add], model=unused())
    with pytest.raises(
        UnknownToolError, match=r"^There is no tool named 'ad'\. Did you mean 'add'\? The tools are: add"
    ):
        await agent.execute_tool("ad", a=1)
    with pytest.raises(LookupError, match="There is no tool named ' add'"):
        await agent.execute_tool(" add", a=1)
    with pytest.raises(ConfigurationError, match=r"no tool named 'x'\. The tools are: none"):
        await ReactAgent(model=unused()).execute_tool("x")


@pytest.mark.parametrize("name", ["", None, 7, add])
async def test_the_name_is_text(kind, name):
    with pytest.raises(ConfigurationError, match=r"The tool's name is .*: pass text"):
        await kind.agent([add], model=unused()).execute_tool(name)


@pytest.mark.parametrize("arguments", [None, [1, 2], "a=1", {1: 2}])
async def test_arguments_are_a_dict_of_values_by_name(kind, arguments):
    with pytest.raises(ConfigurationError, match=r"The arguments of 'add' are .*: pass a dict of values by name"):
        kind.agent([add], model=unused()).stream_tool("add", arguments)


async def test_there_are_the_options_of_runs_and_no_others(kind):
    with pytest.raises(TypeError, match="A run has no option"):
        kind.agent([add], model=unused()).stream_tool("add", {"a": 1}, timeout=3)


async def test_what_the_tool_raises_is_raised(kind):
    error = LookupError("no such city")

    async def fail(wait: bool) -> None:
        if wait:
            await asyncio.sleep(0)
        raise error

    agent = kind.agent([fail], model=unused())
    for wait in (False, True):
        with pytest.raises(LookupError, match="no such city") as caught:
            await agent.execute_tool("fail", wait=wait)
        assert caught.value is error


@pytest.mark.parametrize(
    "raised", [TimeoutError("the line is dead"), RunError("another run"), ExceptionGroup("g", [OSError()])]
)
async def test_errors_that_mean_something_to_runs_are_raised_as_they_are(kind, raised):
    async def fail() -> None:
        raise raised

    with pytest.raises(type(raised)) as caught:
        await kind.agent([fail], model=unused(), limits=Limits(seconds=60)).execute_tool("fail")
    assert caught.value is raised


async def test_a_fatal_error_ends_it_and_has_its_result(kind):
    def fatal() -> None:
        raise FatalToolError("the end")

    agent = kind.agent([fatal], model=unused())
    for number in (1, 2):
        with pytest.raises(FatalToolError, match="the end") as caught:
            async with agent.stream_tool("fatal", {}, run_id=f"r{number}") as run:
                await run.drain()
        assert caught.value.result == run.result
        assert (run.result.state, run.result.info.run_id) == ("failed", f"r{number}")


# ---- the same as in a run


def plain(event, call_id):
    """An event without times, and with one id for the call."""
    if isinstance(event, ToolStarted | ToolProgress):
        return replace(event, call=replace(event.call, id=call_id))
    if isinstance(event, ToolFinished):
        seen = event.observation
        return ToolFinished(replace(seen, seconds=0, call=replace(seen.call, id=call_id)))
    return replace(event, seconds=0)


async def slow(context: Context) -> str:
    """Report progress."""
    context.progress(1)
    await asyncio.sleep(0)
    context.progress({"part": 2})
    return "done"


def in_a_thread(context: Context) -> str:
    """Report progress from a thread."""
    context.progress("here")
    return "done"


def flaky():
    tries = []

    def fail_twice() -> int:
        """Fail twice."""
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError(f"reset {len(tries)}")
        return len(tries)

    return Tool(fail_twice, name="flaky", retries=2)


async def hang() -> None:
    """Take too long."""
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (lambda: add, {"a": 1, "b": 2}),
        (lambda: add, {"a": "one"}),
        (lambda: slow, {}),
        (lambda: in_a_thread, {}),
        (flaky, {}),
        (lambda: Tool(flaky().function, name="never", retries=1), {}),
        (lambda: Tool(hang, timeout=0.01), {}),
    ],
    ids=["value", "arguments", "progress", "thread", "retries", "retried in vain", "timeout"],
)
@pytest.mark.usefixtures("quick_retries")
async def test_the_events_of_a_call_are_those_in_a_run(kind, make, arguments):
    heard = []
    for directly in (True, False):
        made = make()
        found = made if isinstance(made, Tool) else Tool(made)
        agent = kind.agent([found], model=ScriptedModel(kind.script([call(found.name, **arguments), "ok"])))
        run = agent.stream_tool(found.name, arguments) if directly else agent.stream("Go.")
        events = [
            event
            for event in await events_of(run)
            if isinstance(event, ToolStarted | ToolProgress | ToolFinished | Retry)
        ]
        heard.append([plain(event, "c") for event in events if not str(event).count("final_answer")])
    directly, in_a_run = heard
    for one, other in zip(directly, in_a_run, strict=True):
        if isinstance(one, ToolFinished) and kind.name == "code":  # code names its arguments itself
            one, other = (replace(each.observation, call=None) for each in (one, other))
            assert one == other
        else:
            assert one.type == other.type
            assert kind.name == "code" or one == other


async def test_it_is_a_run_with_events_and_a_result_but_no_model(kind):
    model = unused()
    agent = kind.agent([slow], model=model, name="worker", instructions="Never said.")
    run = agent.stream_tool("slow", {}, run_id="r1", metadata={"who": "me"})
    events = await events_of(run)
    assert [type(event) for event in events] == [
        RunStarted, ToolStarted, ToolProgress, ToolProgress, ToolFinished, RunFinished,
    ]  # fmt: skip
    assert (events[0].agent, events[0].model, events[0].task) == ("worker", "scripted", "slow({})")
    assert [event.value for event in events[2:4]] == [1, {"part": 2}]
    result = run.result
    assert (result.output, result.state, result.steps, result.usage) == ("done", "success", (), Usage())
    assert (result.info.run_id, result.metadata) == ("r1", {"who": "me"})
    assert model.requests == []
    assert [event_from_dict(event.to_dict()).type for event in events] == [event.type for event in events]


async def test_a_failed_call_ends_its_events_with_a_failure(kind):
    events = await events_of(kind.agent([add], model=unused()).stream_tool("add", {"a": "one"}))
    assert [type(event) for event in events] == [RunStarted, ToolStarted, ToolFinished, RunFailed, ToolArgumentsError]
    assert (events[-2].error, events[-2].result.state) == ("ToolArgumentsError", "failed")
    events = await events_of(kind.agent([add], model=unused()).stream_tool("sub", {}))
    assert [type(event) for event in events] == [RunStarted, ToolFinished, RunFailed, UnknownToolError]


async def test_a_value_is_never_cut(kind):
    def much() -> str:
        """Much."""
        return "x" * 5_000

    run = kind.agent([much], model=unused(), max_observation=100).stream_tool("much", {})
    events = await events_of(run)
    assert run.result.output == events[-2].observation.text == "x" * 5_000


@pytest.mark.usefixtures("quick_retries")
async def test_it_is_tried_again_and_timed_like_any_call(kind):
    failing = flaky()
    assert await kind.agent([failing], model=unused()).execute_tool("flaky") == 3
    with pytest.raises(ConnectionError, match="reset 2"):
        await kind.agent([Tool(flaky().function, name="flaky", retries=1)], model=unused()).execute_tool("flaky")
    with pytest.raises(TimeoutError, match=r"took longer than 0\.01 s"):
        await kind.agent([Tool(hang, timeout=0.01)], model=unused()).execute_tool("hang")


async def test_the_limit_of_time_holds(kind):
    cleaned = []

    async def stay() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(TimeLimitReached, match=r"longer than 0\.05 s"):
        await kind.agent([stay], model=unused(), limits=Limits(seconds=0.05)).execute_tool("stay")
    assert cleaned == [True]


async def test_the_tool_knows_the_run(kind):
    async def know(context: Context[str]) -> tuple:
        """Know."""
        return (
            context.deps,
            context.run_id,
            context.call_id,
            context.tool,
            context.step,
            context.agent,
            context.metadata,
        )

    agent = kind.agent([know], model=unused(), name="worker")
    options = {"deps": "d", "run_id": "r1", "metadata": {"m": 1}}
    async with agent.stream_tool("know", {}, **options) as run:
        result = await run.drain()
    assert result.output == ("d", "r1", "direct", "know", 0, "worker", {"m": 1})


async def test_it_is_recorded_in_the_store_of_the_run(kind, tmp_path):
    made = []

    async def fetch(name: str) -> str:
        """Fetch."""
        made.append(name)
        return name.upper()

    agent = kind.agent([fetch], model=unused())
    for _ in range(2):
        async with agent.stream_tool("fetch", {"name": "a"}, run_id="r1", store=DiskStore(tmp_path / "j")) as run:
            assert (await run.drain()).output == "A"
    assert made == ["a"]
    assert list(DiskStore(tmp_path / "j").known) == ["r1/start", "r1/0/tool/direct", "r1/end"]


# ---- toolkits


class Notes(Toolkit):
    def __init__(self):
        self.rows, self.opened, self.closed = [], 0, 0

    async def open(self):
        self.opened += 1

    async def close(self):
        self.closed += 1

    @tool
    async def put(self, row: str) -> int:
        """Keep a row."""
        assert self.opened == self.closed + 1
        self.rows.append(row)
        return len(self.rows)


async def test_toolkits_are_open_for_the_call(kind):
    kit = Notes()
    agent = kind.agent([kit], model=unused())
    assert await agent.execute_tool("put", row="a") == 1
    assert (kit.opened, kit.closed) == (1, 1)
    async with agent:
        assert await agent.execute_tool("put", row="b") == 2
        assert await agent.execute_tool("put", row="c") == 3
        assert (kit.opened, kit.closed) == (2, 1)
    with pytest.raises(ToolArgumentsError):
        await agent.execute_tool("put")
    with pytest.raises(UnknownToolError):
        await agent.execute_tool("get")
    assert kit.opened == kit.closed == 4


async def test_a_tool_that_is_there_while_its_toolkit_is_open_can_be_called(kind):
    class Late(Toolkit):
        now = ()

        async def open(self):
            self.now = (Tool(lambda: 5, name="five"),)

        async def close(self):
            self.now = ()

        @property
        def tools(self):
            return self.now

    agent = kind.agent([Late()], model=unused())
    assert await agent.execute_tool("five") == 5


# ---- many at once, and the end


async def test_fifty_at_once_do_not_mix(kind):
    everybody, kit = asyncio.Barrier(50), Notes()

    async def twice(number: int, context: Context) -> tuple:
        """Twice."""
        await everybody.wait()
        return 2 * number, context.run_id

    agent = kind.agent([twice, add, kit], model=unused())

    async def one(number):
        async with agent.stream_tool("twice", {"number": number}, run_id=f"r{number}") as run:
            return (await run.drain()).output

    async with asyncio.timeout(30):
        assert await asyncio.gather(*map(one, range(50))) == [(2 * number, f"r{number}") for number in range(50)]
        assert await asyncio.gather(*(agent.execute_tool("add", a=n, b=n) for n in range(50))) == list(range(0, 100, 2))
        assert sorted(await asyncio.gather(*(agent.execute_tool("put", row="x") for _ in range(500)))) == list(
            range(1, 501)
        )
    assert kit.opened == kit.closed


async def test_cancelling_stops_the_tool_and_waits_for_its_clean_up(kind):
    begun, cleaned = asyncio.Event(), []

    async def stay() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await ticks(3)
            cleaned.append(True)

    kit = Notes()
    task = asyncio.create_task(kind.agent([stay, kit], model=unused()).execute_tool("stay"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]
    assert (kit.opened, kit.closed) == (1, 1)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_call_that_is_left_says_that_it_was_cancelled(kind):
    begun, tried = asyncio.Event(), []

    async def stay() -> None:
        tried.append(True)
        begun.set()
        await asyncio.Event().wait()

    async with kind.agent([Tool(stay, retries=3)], model=unused()).stream_tool("stay", {}) as run:
        await begun.wait()
    assert tried == [True]
    assert run.result.state == "cancelled"
    assert isinstance(run.state.error, asyncio.CancelledError)


async def test_a_tool_that_cancels_itself_has_failed(kind):
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="CancelledError"):
        await kind.agent([give_up], model=unused()).execute_tool("give_up")
    assert asyncio.current_task().cancelling() == 0


async def test_it_can_be_cancelled_at_every_point():
    cleaned = []

    async def work() -> str:
        try:
            await ticks(3)
        finally:
            await ticks(2)
            cleaned.append(True)
        return "worked"

    for number in range(200):
        kit, before = Notes(), len(cleaned)
        task = asyncio.create_task(ReactAgent([work, kit], model=unused()).execute_tool("work"))
        await ticks(number)
        if task.done():
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert kit.opened == kit.closed, number
        assert asyncio.all_tasks() == {asyncio.current_task()}, number
        assert len(cleaned) - before <= 1, number
    assert await task == "worked"
    assert number > 8
