"""The seam between an agent and whatever runs its code."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import math

import pytest

from tinyagent.core.context import Context
from tinyagent.core.errors import ConfigurationError, DuplicateToolError, FatalToolError, ToolArgumentsError
from tinyagent.core.messages import Call
from tinyagent.core.result import Execution, Observation
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import (
    Answer,
    SandboxCapabilities,
    SandboxLimits,
    SandboxSession,
    bind,
    caller_of,
    tools_by_name,
)
from tinyagent.sandbox.inprocess import PythonExecutor
from tinyagent.sandbox.monty import MontySandbox
from tinyagent.sandbox.process import ProcessSandbox

MEGABYTE = 2**20


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def only_names(*, a: int, b: int = 2) -> int:
    return a + b


def anything(a: int, **rest: int) -> dict:
    return {"a": a, **rest}


def with_context(context: Context, a: int) -> int:
    return a


def nothing() -> None:
    pass


# ---- limits


def test_defaults():
    limits = SandboxLimits()
    assert (limits.seconds, limits.cpu_seconds, limits.memory) == (30.0, 300, 512 * MEGABYTE)
    assert (limits.output, limits.calls, limits.calls_at_once) == (1_000_000, 1_000, 64)
    assert (limits.threads, limits.grace, limits.host_seconds) == (16, 1.0, 2.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.calls = 1
    assert hash(limits) == hash(SandboxLimits())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("seconds", [None, 0.001, 1, 1e9, math.inf]),
        ("grace", [0.001, 1, 60.0]),
        ("host_seconds", [0.001, 1, 60.0, math.inf]),
        ("cpu_seconds", [None, 1, 10**6]),
        ("memory", [16 * MEGABYTE, 2**40]),
        ("output", [1, 10**9]),
        ("calls", [0, 1, 10**6]),
        ("calls_at_once", [1, 10**6]),
        ("threads", [0, 1, 1000]),
    ],
)
def test_what_may_be_a_limit(name, values):
    for value in values:
        assert getattr(SandboxLimits(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("seconds", [0, -1, 0.0, True, "5", [], math.nan, -math.inf, 1j]),
        ("grace", [None, 0, -1, True, "5", math.nan]),
        ("cpu_seconds", [0, -1, 1.5, "5", math.nan, False]),
        ("memory", [None, 16 * MEGABYTE - 1, -1, 1e9, True, "1g"]),
        ("output", [None, 0, -1, 1.5, True, "5"]),
        ("calls", [None, -1, 1.5, True, False, "5"]),
        ("calls_at_once", [None, 0, -1, 1.5, True]),
        ("threads", [None, -1, 1.5, True, False, "5"]),
    ],
)
def test_what_may_not(name, values):
    for value in values:
        with pytest.raises(ConfigurationError) as caught:
            SandboxLimits(**{name: value})
        assert f"SandboxLimits({name}={value!r})" in str(caught.value)
        assert "pass " in str(caught.value)


def test_true_is_no_number_of_seconds():
    with pytest.raises(ConfigurationError):
        SandboxLimits(cpu_seconds=True)


def test_capabilities_say_nothing_more_than_they_must():
    capabilities = SandboxCapabilities(
        full_python=True, isolated=True, async_tools=True, concurrent_tools=True, replay=False
    )
    assert (capabilities.packages, capabilities.notes) == ((), ())
    assert capabilities.fields == "value.field or value['field']"


# ---- binding


@pytest.mark.parametrize(
    ("tool", "args", "kwargs", "arguments"),
    [
        (add, [1], {}, {"a": 1}),
        (add, [1, 2], {}, {"a": 1, "b": 2}),
        (add, [1], {"b": 2}, {"a": 1, "b": 2}),
        (add, [], {"b": 2, "a": 1}, {"b": 2, "a": 1}),
        (add, [], {}, {}),
        (add, [1], {"z": 9}, {"a": 1, "z": 9}),
        (only_names, [], {"a": 1}, {"a": 1}),
        (anything, [1], {"x": 2}, {"a": 1, "x": 2}),
        (with_context, [5], {}, {"a": 5}),
        (nothing, [], {}, {}),
    ],
)
def test_positional_arguments_get_their_names(tool, args, kwargs, arguments):
    call = bind(Tool(tool), args, kwargs, "id 1")
    assert (call.name, call.id, call.arguments, call.problem) == (tool.__name__, "id 1", arguments, None)
    assert call.raw.startswith("{")


@pytest.mark.parametrize(
    ("tool", "args", "kwargs", "problem"),
    [
        (add, [1, 2, 3], {}, "add() takes 2 positional arguments but 3 were given"),
        (with_context, [1, 2], {}, "with_context() takes 1 positional argument but 2 were given"),
        (nothing, [1], {}, "nothing() takes 0 positional arguments but 1 was given"),
        (add, [1], {"a": 2}, "add() got multiple values for argument 'a'"),
        (add, [1, 2], {"b": 1, "a": 2}, "add() got multiple values for argument 'a'"),
    ],
)
def test_arguments_that_python_would_refuse_are_told(tool, args, kwargs, problem):
    assert bind(Tool(tool), args, kwargs, "id").problem == problem


def test_parameters_that_go_by_name_take_no_positional_arguments():
    assert bind(Tool(only_names), [1], {}, "id").problem == "only_names() takes 0 positional arguments but 1 was given"


def test_the_arguments_of_a_call_are_what_came_and_not_written_back():
    args, kwargs = [[1]], {"b": {2}}
    call = bind(Tool(add), args, kwargs, "id")
    assert call.arguments == {"a": [1], "b": {2}}
    assert call.arguments["a"] is args[0]
    assert (args, kwargs) == ([[1]], {"b": {2}})


# ---- answering


async def answer(tool, *args, **kwargs):
    return await caller_of({tool.name: tool})(bind(tool, list(args), kwargs, "id"))


async def test_a_value_is_kept_as_an_object_and_told_as_text():
    found = await answer(Tool(anything), 1, x=2)
    assert (found.observation.value, found.observation.text) == ({"a": 1, "x": 2}, '{"a":1,"x":2}')
    assert (found.observation.error, found.exception, found.ends_block) == (None, None, False)
    assert found.observation.seconds > 0


async def test_arguments_are_validated():
    found = await answer(Tool(add), "x")
    assert isinstance(found.exception, ToolArgumentsError)
    assert found.observation.error.startswith("ToolArgumentsError: ")
    assert (await answer(Tool(add), "4", 5)).observation.value == 9


async def test_a_call_with_a_problem_is_not_made():
    called = []
    tool = Tool(lambda: called.append(1), name="f")
    found = await answer(tool, 1, 2)
    assert (called, found.observation.seconds, found.observation.value) == ([], 0.0, None)
    assert isinstance(found.exception, ToolArgumentsError)
    assert found.exception.problems == ("f() takes 0 positional arguments but 2 were given",)


@pytest.mark.parametrize(
    "error", [ValueError("bad", 3), FatalToolError("stop"), TimeoutError(), KeyError("a")], ids=repr
)
async def test_what_a_tool_raises_belongs_to_the_code(error):
    async def fail() -> None:
        raise error

    found = await answer(Tool(fail))
    assert found.exception is error
    told = f"{type(error).__name__}: {error}".removesuffix(": ")  # one without words has no colon
    assert found.observation.error == found.observation.text == told
    assert not found.ends_block


async def test_a_tool_that_returns_the_answer_ends_the_block():
    assert (await answer(Tool(add, returns_answer=True), 1)).ends_block
    assert not (await answer(Tool(add, returns_answer=True), "x")).ends_block


async def test_a_cancelled_call_is_cancelled():
    async def wait() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(answer(Tool(wait)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_answer_has_two_parts_that_are_seldom_used():
    observation = Observation(Call("f"), "1", 1)
    assert Answer(observation) == (observation, None, False)


# ---- names


def test_tools_are_found_by_name():
    tools = tools_by_name([add, Tool(nothing, name="void")])
    assert list(tools) == ["add", "void"]
    assert all(isinstance(tool, Tool) for tool in tools.values())
    assert tools_by_name(()) == {}


@pytest.mark.parametrize("name", ["a-b", "1st", "class", "await", "None", "True", "async"])
def test_a_name_that_code_cannot_write_is_refused(name):
    with pytest.raises(ConfigurationError, match=r"no Python identifier.*@tool\(name=") as caught:
        tools_by_name([Tool(add, name=name)])
    assert repr(name) in str(caught.value)
    assert "test_base.add" in str(caught.value)


@pytest.mark.parametrize("name", ["match", "type", "_", "print", "x1"])
def test_names_that_are_words_only_in_places_are_names(name):
    assert list(tools_by_name([Tool(add, name=name)])) == [name]


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(DuplicateToolError, match="add"):
        tools_by_name([add, Tool(nothing, name="add")])


# ---- sessions


class Logged(SandboxSession):
    """A session that notes what is done with it."""

    def __init__(self, failing=False):
        self.done = []
        self.failing = failing

    async def start(self):
        self.done.append("start")
        if self.failing:
            raise OSError("no")

    async def execute(self, code, *, on_output=None):
        self.done.append(code)
        return Execution(code)

    async def set(self, values): ...

    async def get(self, *names): ...

    async def interrupt(self): ...

    async def close(self):
        self.done.append("close")


async def test_a_session_is_started_and_closed_by_its_block():
    async with Logged() as session:
        assert type(session) is Logged
        await session.execute("x")
    assert session.done == ["start", "x", "close"]
    assert session.last is None


async def test_a_session_is_closed_whatever_happens():
    session = Logged()
    with pytest.raises(KeyError):
        async with session:
            raise KeyError("mine")
    assert session.done == ["start", "close"]


async def test_a_session_that_does_not_start_is_not_entered():
    session = Logged(failing=True)
    with pytest.raises(OSError, match="no"):
        async with session:
            session.done.append("entered")
    assert session.done == ["start"]


def test_a_session_has_all_of_it():
    class Half(SandboxSession):
        async def start(self): ...

    with pytest.raises(TypeError, match="abstract"):
        Half()


# ---- a session that is used by its own tool


SANDBOXES = [ProcessSandbox, MontySandbox]


@pytest.mark.parametrize("make", SANDBOXES)
@pytest.mark.parametrize("use", ["execute", "set", "get"])
async def test_a_tool_that_uses_the_session_that_waits_for_it_is_refused(make, use):
    async def again() -> str:
        async with asyncio.timeout(20):
            argument = {"a": 1} if use == "set" else "a"
            return str(await getattr(session, use)(argument))

    async with make().open([again]) as session:
        execution = await session.execute("await again()")
        assert "cannot use the session that called it" in execution.error.message
        assert (await session.execute("6 * 7")).value == 42


async def test_a_synchronous_tool_that_uses_the_session_that_waits_for_it_is_refused():
    loop = asyncio.get_running_loop()

    def again() -> str:
        return str(asyncio.run_coroutine_threadsafe(session.execute("1"), loop).result(20))

    async with PythonExecutor().open([again]) as session:
        execution = await session.execute("again()")
        assert "cannot use the session that called it" in execution.error.message
        assert (await session.execute("6 * 7")).value == 42


@pytest.mark.parametrize("make", SANDBOXES)
async def test_a_tool_may_use_another_session_and_its_own_when_the_block_is_over(make):
    async def other() -> str:
        async with make().open() as inner:
            return str((await inner.execute("6 * 7")).value)

    async with make().open([other]) as session:
        assert (await session.execute("await other()")).value == "42"


@pytest.mark.parametrize("make", SANDBOXES)
async def test_waiting_for_a_tool_is_free_and_computing_meanwhile_is_not(make):
    ended = asyncio.Event()

    async def slow(forever: bool = False) -> str:
        """Take longer than a block may."""
        await (asyncio.Event().wait() if forever else asyncio.wait_for(ended.wait(), 20))
        return "done"

    async with make().open([slow], SandboxLimits(seconds=0.3)) as session:
        asyncio.get_running_loop().call_later(0.6, ended.set)
        assert (await session.execute("await slow()")).value == "done"
        code = """
        import asyncio
        async def compute():
            while True:
                sum(range(1000))
        await asyncio.gather(slow(True), compute())
        """
        async with asyncio.timeout(20):
            execution = await session.execute(inspect.cleandoc(code))
        assert execution.error.type == "TimeoutError"
