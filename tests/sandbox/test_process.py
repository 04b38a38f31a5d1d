"""`ProcessSandbox`: blocks, values, tools, interrupts and limits, in real locked processes."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import decimal
import fractions
import inspect
import math
import pathlib
import platform
import threading
import uuid
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from tests.sandbox.processes import alive, state_of
from tinyagent import ConfigurationError, Tool
from tinyagent.core.codec import Opaque
from tinyagent.errors import SandboxError, SandboxUnavailableError
from tinyagent.locked import lock
from tinyagent.sandbox.base import SandboxLimits
from tinyagent.sandbox.process import ProcessSandbox

QUICK = SandboxLimits(seconds=0.3, grace=0.2)


@dataclass
class Point:
    x: int
    y: list[int]


class Model(BaseModel):
    name: str


async def double(x: int) -> int:
    """Double a number."""
    await asyncio.sleep(0)
    return 2 * x


def plus(x: int, y: int = 1) -> int:
    """Add two numbers."""
    return x + y


def echo(value):
    """Give back what came."""
    return value


@contextlib.asynccontextmanager
async def opened(*tools, limits=None, **options):
    async with ProcessSandbox().open(tools, limits, **options) as session:
        yield session


async def value_of(code, *tools):
    async with opened(*tools) as session:
        execution = await session.execute(code)
        assert execution.error is None, execution.error
        return execution.value


# ---- blocks


async def test_the_value_of_a_block_is_that_of_its_trailing_expression():
    async with opened() as session:
        execution = await session.execute("x = 20\nx + 1")
        assert (execution.value, execution.repr, execution.error, execution.stdout) == (21, "21", None, "")
        assert (await session.execute("y = 1")).value is None


async def test_names_live_from_block_to_block():
    async with opened() as session:
        await session.execute("import math\ndef area(r):\n    return math.pi * r * r\nr = 2")
        assert (await session.execute("area(r)")).value == pytest.approx(4 * math.pi)


async def test_sessions_do_not_share_names():
    async with opened() as one, opened() as other:
        await one.execute("secret = 1")
        assert (await other.execute("secret")).error.type == "NameError"


async def test_both_streams_are_kept_in_order_and_told_as_they_come():
    heard, first = [], asyncio.Event()

    def hear(text):
        heard.append(text)
        first.set()

    async def wait() -> None:
        """Wait until the output has been heard."""
        await first.wait()

    async with opened(wait) as session:
        code = "import sys\nprint('one')\nwait()\nprint('two', file=sys.stderr)\nsys.stdout.write('three')"
        execution = await session.execute(code, on_output=hear)
    assert execution.stdout == "one\ntwo\nthree" == "".join(heard)
    assert heard[0] == "one\n"


async def test_output_beyond_the_limit_is_counted_and_dropped():
    async with opened(limits=SandboxLimits(output=10)) as session:
        execution = await session.execute("print('x' * 25)")
        assert (execution.stdout, execution.truncated) == ("x" * 10, 16)


async def test_an_error_comes_with_type_line_traceback_and_names():
    async with opened() as session:
        execution = await session.execute("n = 0\ndef f():\n    return 1 / n\n\nprint('before')\nf()")
    error = execution.error
    assert (error.type, error.message, error.line) == ("ZeroDivisionError", "division by zero", 3)
    assert error.bases[0] == "ArithmeticError"
    assert error.names == ("n", "f")
    assert not error.lost
    assert execution.stdout == "before\n"
    assert 'File "<block 1>", line 3, in f\n    return 1 / n' in error.traceback
    assert "tinyagent" not in error.traceback
    assert isinstance(error.exception(), ZeroDivisionError)


async def test_a_class_of_the_code_is_told_by_its_name_and_bases():
    async with opened() as session:
        execution = await session.execute("class Missing(LookupError): pass\nraise Missing('no tea', 3)")
    assert (execution.error.type, execution.error.args) == ("Missing", ("no tea", 3))
    raised = execution.error.exception()
    assert type(raised) is LookupError
    assert raised.args == ("no tea", 3)


async def test_a_syntax_error_tells_its_line():
    async with opened() as session:
        execution = await session.execute("x = 1\ny = (2\n")
    assert (execution.error.type, execution.error.line) == ("SyntaxError", 2)
    assert "was never closed" in execution.error.message


async def test_annotations_are_not_turned_into_text_and_future_statements_go_on():
    async with opened() as session:
        assert (await session.execute("def f(x: int): pass\nf.__annotations__['x'] is int")).value is True
        await session.execute("from __future__ import annotations")
        assert (await session.execute("def f(x: int): pass\nf.__annotations__['x']")).value == "int"


async def test_pieces_of_a_block_run_as_they_arrive_and_are_one_block():
    reached = asyncio.Event()

    async def reach() -> None:
        """Say that this line was reached."""
        reached.set()

    async def pieces():
        yield "x = 1\nreach()\n"
        await reached.wait()
        yield "y = 2\n"
        yield "print('end')\nx + y\n"

    async with opened(reach) as session:
        execution = await session.execute(pieces())
        assert (execution.value, execution.stdout) == (3, "end\n")
        assert execution.code == "x = 1\nreach()\ny = 2\nprint('end')\nx + y\n"


async def test_a_failing_piece_ends_the_block_and_knows_its_line():
    async def pieces():
        yield "x = 1\n\n"
        yield "def f():\n    return x / 0\n"
        yield "f()\n"
        yield "print('not reached')\n"

    async with opened() as session:
        execution = await session.execute(pieces())
    assert (execution.error.line, execution.stdout) == (4, "")
    assert 'File "<block 1>", line 5, in <module>\n    f()' in execution.error.traceback
    assert "return x / 0" in execution.error.traceback


async def test_random_numbers_differ_unless_they_are_seeded():
    code = "import random\nrandom.random()"
    async with opened() as one, opened() as other:
        assert (await one.execute(code)).value != (await other.execute(code)).value
    drawn = []
    for _ in range(2):
        async with opened(seed="run 1") as session:
            drawn.append((await session.execute(code)).value)
    assert drawn[0] == drawn[1]


# ---- values

EXACT = [
    None,
    True,
    -(2**80),
    1.5,
    math.inf,
    "tea \ud800",
    [1, [2, {}]],
    {"a": 1},
    {1: "x", (1, 2): None, "!": 2},
    (1, (2,)),
    {1, "a"},
    frozenset({3}),
    b"\0\xff",
    bytearray(b"x"),
    1 + 2j,
    range(1, 10**20, 10**16),
    dt.datetime(2024, 5, 6, 7, 8, 9, 10),  # noqa: DTZ001
    dt.datetime(2024, 5, 6, tzinfo=dt.UTC),
    dt.date(2024, 5, 6),
    dt.time(7, 8, fold=1),
    dt.timedelta(1, 2, 3),
    decimal.Decimal("1.50"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=7),
    pathlib.PurePosixPath("/a/b"),
]


@pytest.mark.parametrize("value", EXACT, ids=lambda value: f"{type(value).__name__}")
async def test_values_cross_exactly_both_ways(value):
    async with opened(echo) as session:
        await session.set({"given": value})
        back = (await session.execute("echo(given)")).value
        fetched = (await session.get("given", "not there"))["given"]
    for found in (back, fetched):
        assert type(found) is type(value)
        assert repr(found) == repr(value)


async def test_dataclasses_and_models_arrive_as_records():
    def points() -> list[Point]:
        """Some points."""
        return [Point(1, [2])]

    def model() -> Model:
        """A model."""
        return Model(name="m")

    code = "p = points()[0]\n(p.x, p['y'], p == {'x': 1, 'y': [2]}, model().name, echo(p))"
    assert await value_of(code, points, model, echo) == (1, [2], True, "m", {"x": 1, "y": [2]})


async def test_what_cannot_cross_arrives_as_its_text_and_says_so():
    async with opened(echo) as session:
        value = (await session.execute("class Cup: pass\nCup()")).value
        assert isinstance(value, Opaque)
        assert value.type == "Cup"
        execution = await session.execute("echo(Cup())")
        assert "echo() received the text of: Cup" in execution.stdout
        await session.set({"given": threading.Lock()})
        assert "lock" in (await session.execute("given")).value


async def test_a_value_too_large_is_an_error_the_code_can_read():
    async with opened(echo) as session:
        assert (await session.execute("'x' * 2_000_000")).error.type == "TooLargeError"
        execution = await session.execute(
            "try:\n    echo('x' * 2_000_000)\nexcept ValueError as error:\n    print(error)"
        )
        assert "too large to cross the sandbox" in execution.stdout
        with pytest.raises(ConfigurationError, match="too large"):
            await session.set({"big": "x" * 2_000_000})
        assert (await session.execute("1")).value == 1


async def test_a_tools_value_that_is_too_large_is_told_to_the_code():
    def big() -> str:
        """Much."""
        return "x" * 2_000_000

    async with opened(big) as session:
        execution = await session.execute("try:\n    big()\nexcept ValueError as error:\n    print(error)")
    assert "too large" in execution.stdout
    assert len(execution.calls[0].value) == 2_000_000


@pytest.mark.parametrize("name", ["a b", "1a", "", 3])
async def test_set_refuses_what_is_no_name(name):
    async with opened() as session:
        with pytest.raises(ConfigurationError, match="a name in Python"):
            await session.set({name: 1})


# ---- tools

STYLES = {
    "called": "double(2)",
    "awaited": "await double(2)",
    "sync awaited": "await plus(3)",
    "keyword": "plus(y=3, x=1)",
    "gathered": "import asyncio\n(await asyncio.gather(double(2), plus(1)))[0]",
    "gathered later": "tasks = [double(2), double(3)]\nimport asyncio\n(await asyncio.gather(*tasks))[0]",
    "appended": "tasks = []\ntasks.append(double(2))\n(await asyncio.gather(*tasks))[0]",
    "in asyncio.run": "async def main():\n    return await double(2)\nasyncio.run(main())",
    "asyncio.run beside await": "async def main():\n    return double(2)\nawait asyncio.sleep(0)\nasyncio.run(main())",
    "nested run": "async def main():\n    return await double(2)\ndef go():\n    return asyncio.run(main())\n"
    "await asyncio.sleep(0)\ngo()",
    "in async def": "async def main():\n    return double(1) + double(1)\nawait main()",
    "in def": "def f():\n    return double(2)\nf()",
    "in lambda": "(lambda: double(2))()",
    "as callback": "list(map(double, [2]))[0]",
    "as key": "sorted([3, 4, 1], key=plus)[-1]",
    "aliased": "f = double\nf(2)",
    "in a thread": "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as pool:\n"
    "    r = list(pool.map(double, [2, 3]))\nr[0]",
    "created task": "t = asyncio.create_task(double(2))\nawait t",
    "task group": "async with asyncio.TaskGroup() as group:\n    t = group.create_task(double(2))\nt.result()",
    "as completed": "r = [await f for f in asyncio.as_completed([double(2)])]\nr[0]",
    "wait for": "await asyncio.wait_for(double(2), 5)",
    "in a comprehension": "[double(x) for x in (2, 3)][0]",
    "in a generator": "next(double(x) for x in (2, 3))",
    "in a class": "class A:\n    x = double(2)\nA.x",
    "in an argument": "await double(double(1))",
    "shadowed": "def plus(x):\n    return 4\nplus(9)",
    "exceptions returned": "r = await asyncio.gather(double('a'), double(2), return_exceptions=True)\nr[1]",
}


@pytest.mark.parametrize("style", STYLES)
async def test_tools_can_be_called_in_every_way(style):
    assert await value_of(STYLES[style], double, plus) == 4


@pytest.mark.parametrize(
    "code",
    [
        "await asyncio.gather(meet(), meet(), meet())",
        "tasks = [meet() for _ in range(3)]\nawait asyncio.gather(*tasks)",
        "async def one():\n    return meet()\nawait asyncio.gather(one(), one(), one())",
        (
            "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(3) as pool:\n"
            "    list(pool.map(lambda _: meet(), range(3)))"
        ),
        "async with asyncio.TaskGroup() as group:\n    for _ in range(3):\n        group.create_task(meet())",
    ],
)
async def test_calls_run_at_the_same_time(code):
    barrier = asyncio.Barrier(3)

    async def meet() -> None:
        """Wait for two others."""
        await barrier.wait()

    async with asyncio.timeout(20):
        await value_of(code, meet)


async def test_arguments_are_validated_like_any_other():
    async with opened(plus) as session:
        for code, said in {
            "plus('a')": "valid integer",
            "plus()": "required, but missing",
            "plus(1, 2, 3)": "takes 2 positional arguments but 3 were given",
            "plus(1, x=2)": "multiple values for argument 'x'",
            "plus(1, z=2)": "unknown argument",
        }.items():
            execution = await session.execute(f"try:\n    {code}\nexcept TypeError as error:\n    print(error)")
            assert said in execution.stdout, code
            assert execution.calls[0].error


async def test_exceptions_of_tools_arrive_as_themselves():
    class Missing(LookupError):
        pass

    def fail(how: str) -> None:
        """Fail."""
        raise {
            "value": ValueError("bad", 3),
            "own": Missing("no tea"),
            "odd": UnicodeDecodeError("a", b"b", 0, 1, "c"),
        }[how]

    async with opened(fail) as session:
        code = "try:\n    fail('value')\nexcept ValueError as error:\n    args = error.args\nargs"
        assert (await session.execute(code)).value == ("bad", 3)
        code = "try:\n    fail('own')\nexcept LookupError as error:\n    r = (type(error).__name__, str(error))\nr"
        assert (await session.execute(code)).value == ("Missing", "no tea")
        error = (await session.execute("fail('own')")).error
        assert (error.type, error.args, error.bases[0]) == ("Missing", ("no tea",), "LookupError")
        assert "codec can't decode" in (await session.execute("fail('odd')")).error.message


async def test_a_tool_that_returns_the_answer_ends_the_block():
    def answer(value: str) -> str:
        """Answer."""
        return value

    tool = Tool(answer, returns_answer=True)
    for code in (
        "answer('x')\nprint('not reached')",
        "try:\n    answer('x')\nexcept Exception:\n    print('not reached')\nprint('not reached')",
        "async def f():\n    answer('x')\n    print('not reached')\nasyncio.run(f())",
        "await asyncio.gather(answer('x'))\nprint('not reached')",
    ):
        async with opened(tool) as session:
            execution = await session.execute(code)
            assert (execution.error, execution.stdout) == (None, ""), code
            assert execution.calls[0].value == "x"


async def test_the_number_of_calls_is_limited():
    async with opened(plus, limits=SandboxLimits(calls=3)) as session:
        execution = await session.execute("for i in range(9):\n    print(plus(i))")
        assert execution.stdout == "1\n2\n3\n"
        assert "which is the limit" in execution.error.message
        assert len(execution.calls) == 3
        assert (await session.execute("plus(1)")).value == 2


async def test_the_number_of_calls_at_once_is_limited():
    running, most, pair = 0, 0, asyncio.Barrier(2)

    async def work() -> None:
        """Work beside another."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await pair.wait()
        running -= 1

    async with opened(work, limits=SandboxLimits(calls_at_once=2)) as session:
        await session.execute("await asyncio.gather(*[work() for _ in range(8)])")
    assert most == 2


async def test_time_in_tools_does_not_count():
    async def slow() -> int:
        """Take longer than a block may."""
        await asyncio.sleep(0.5)
        return 1

    async with opened(slow, limits=QUICK) as session:
        assert (await session.execute("slow()")).value == 1


async def test_a_call_that_the_code_gives_up_is_cancelled():
    cancelled = asyncio.Event()

    async def forever() -> None:
        """Never end."""
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with opened(forever) as session:
        execution = await session.execute(
            "try:\n    await asyncio.wait_for(forever(), 0.05)\nexcept TimeoutError:\n    print('gave up')"
        )
        assert execution.stdout == "gave up\n"
        assert "did not wait" in execution.calls[0].error
    assert cancelled.is_set()


async def test_calls_left_over_at_the_end_of_a_block_are_cancelled_and_waited_for():
    cleaned = []

    async def forever() -> None:
        """Never end."""
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(1)

    async with opened(forever) as session:
        execution = await session.execute("task = asyncio.create_task(forever())\nawait asyncio.sleep(0)\n1")
        assert execution.value == 1
        assert cleaned == [1]


# ---- being stopped

STUCK = {
    "loop": "while True: pass",
    "sleep": "import time\ntime.sleep(100)",
    "await": "await asyncio.sleep(100)",
    "busy coroutine": "while True: await asyncio.sleep(0)",
    "busy coroutine in a function": "async def f():\n    while True: await asyncio.sleep(0)\nawait f()",
    "asyncio.run": "async def f():\n    await asyncio.sleep(100)\nasyncio.run(f())",
    "lock": "import threading\nthreading.Event().wait()",
    "printing": "while True: print('x')",
    "one except": "try:\n    while True: pass\nexcept ValueError: pass",
    "thread": "import threading\nt = threading.Thread(target=threading.Event().wait, daemon=True)\nt.start()\nt.join()",
}


@pytest.mark.parametrize("how", STUCK)
async def test_a_block_that_takes_too_long_is_interrupted_and_its_names_stay(how):
    async with opened(limits=QUICK) as session:
        execution = await session.execute("kept = 7\n" + STUCK[how])
        assert (execution.error.type, execution.error.lost, execution.interrupted) == ("TimeoutError", False, True)
        assert "longer than 0.3 s" in execution.error.message
        assert (await session.execute("kept")).value == 7


@pytest.mark.parametrize(
    "code",
    [
        "sum(range(10**12))",
        "import time\nwhile True:\n    try:\n        time.sleep(0.02)\n    except BaseException: pass",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    ],
)
async def test_what_ignores_the_interrupt_is_killed_and_replaced(code):
    async with opened(plus, limits=QUICK) as session:
        await session.execute("lost = 7")
        await session.set({"given": 8})
        execution = await session.execute(code)
        assert (execution.error.type, execution.error.lost) == ("SandboxLost", True)
        assert "lost" in execution.error.names
        assert "longer than 0.3 s" in execution.error.message
        assert (await session.execute("lost")).error.type == "NameError"
        assert (await session.execute("plus(given)")).value == 9  # tools and values given are there again


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os\nos._exit(0)", "ended itself"),
        ("import os\nos._exit(3)", "its process ended"),
        ("import ctypes\nctypes.string_at(0)", "crashed (SIGSEGV)"),
        ("import os\nos.abort()", "crashed (SIGABRT)"),
        ("import os\nos.close(3)", "gone"),
        ("import os\nos.write(3, b'\\xff' * 8)", "it sent"),
    ],
)
async def test_a_process_that_ends_is_replaced_and_told(code, said):
    async with opened() as session:
        execution = await session.execute(code)
        assert execution.error.lost
        assert said in execution.error.message
        assert (await session.execute("1")).value == 1


async def test_memory_is_limited_and_the_names_stay():
    async with opened(limits=SandboxLimits(memory=64 * 2**20)) as session:
        execution = await session.execute("kept = 1\nbig = bytearray(10**9)")
        assert execution.error.type == "MemoryError"
        assert (await session.execute("kept")).value == 1


async def test_processor_time_is_limited():
    async with opened(limits=SandboxLimits(cpu_seconds=1)) as session:
        execution = await session.execute("while True: pass")
        assert execution.error.lost
        assert "processor time" in execution.error.message


async def test_interrupt_stops_a_block_and_does_nothing_between_blocks():
    async with opened() as session:
        await session.interrupt()
        started = asyncio.Event()
        block = asyncio.create_task(
            session.execute("kept = 1\nprint('on', flush=True)\nwhile True: pass", on_output=lambda _: started.set())
        )
        await started.wait()
        await session.interrupt()
        execution = await block
        assert (execution.error.type, execution.interrupted) == ("KeyboardInterrupt", True)
        assert (await session.execute("kept")).value == 1


async def test_cancelling_stops_the_block_its_calls_and_keeps_its_names():
    started, cleaned = asyncio.Event(), []

    async def forever() -> None:
        """Never end."""
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    async with opened(forever) as session:
        block = asyncio.create_task(session.execute("kept = 1\nforever()"))
        await started.wait()
        block.cancel()
        with pytest.raises(asyncio.CancelledError):
            await block
        assert cleaned == [1]
        assert (await session.execute("kept")).value == 1


async def test_threads_are_stopped_between_blocks():
    async with opened() as session:
        await session.execute(
            "import threading, time\nn = 0\ndef count():\n    global n\n    while True: n += 1\n"
            "threading.Thread(target=count, daemon=True).start()\ntime.sleep(0.01)"
        )
        pid = session._link.child.pid
        while state_of(pid) != "T":
            await asyncio.sleep(0)
        before = (await session.execute("first = n\nfirst")).value
        assert before > 0


# ---- where it cannot run


async def test_without_a_lock_nothing_starts(monkeypatch):
    monkeypatch.setattr("tinyagent.sandbox.link._reason_against", lambda: "it needs Linux, and this is darwin")
    session = ProcessSandbox().open()
    with pytest.raises(SandboxUnavailableError, match=r"(?s)this is darwin.*MontySandbox.*\[monty\].*PythonExecutor"):
        await session.execute("1")
    await session.close()


async def test_a_closed_session_says_so():
    session = ProcessSandbox().open()
    await session.start()
    pid = session._link.child.pid
    await session.close()
    assert not alive(pid)
    await session.close()
    with pytest.raises(SandboxError, match="closed"):
        await session.execute("1")


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigurationError, match="limits="):
        ProcessSandbox(limits=3)
    with pytest.raises(ConfigurationError, match="preload="):
        ProcessSandbox(preload="numpy")
    with pytest.raises(ConfigurationError, match="no Python identifier"):
        ProcessSandbox().open([Tool(plus, name="a-b")])
    for wrong in ({"seconds": 0}, {"memory": 5}, {"cpu_seconds": 1.5}, {"calls": -1}, {"threads": -1}, {"grace": 0}):
        with pytest.raises(ConfigurationError):
            SandboxLimits(**wrong)


async def test_packages_are_preloaded_on_request_and_missing_ones_named():
    async with ProcessSandbox(preload=["numpy", "pandas"]).open() as session:
        code = "import numpy as np, pandas as pd\npd.DataFrame({'a': np.arange(3)}).to_dict('list')"
        assert (await session.execute(code)).value == {"a": [0, 1, 2]}
        assert (await session.execute("np.float64(1.5), np.arange(2), pd.Timestamp('2024-01-02')")).value == (
            1.5,
            [0, 1],
            dt.datetime(2024, 1, 2),  # noqa: DTZ001
        )
    with pytest.raises(SandboxUnavailableError, match="no_such_package"):
        await ProcessSandbox(preload=["no_such_package"]).open().start()


def test_the_host_can_be_asked_before():
    assert ProcessSandbox.reason_against() is None
    assert lock.reason_against() is None


# ---- what processes share


FUTEX = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
word = ctypes.c_int(7)
class Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]
def futex(operation):
    got = libc.syscall(NUMBER, ctypes.byref(word), operation, 7, ctypes.byref(Time(0, 1000)), 0, 0)
    return errno.errorcode[ctypes.get_errno()] if got < 0 else got
[futex(operation) for operation in (0, 9, 1, 128, 129)]
"""


async def test_a_futex_is_of_one_process_alone():
    """Waiting (0, 9) and waking (1) on what processes share would be a channel between sessions; 128 is private."""
    number = {"x86_64": 202, "aarch64": 98}[platform.machine()]
    async with opened() as session:
        execution = await session.execute(FUTEX.replace("NUMBER", str(number)))
    assert execution.value == ["EAGAIN", "EAGAIN", "EINVAL", "ETIMEDOUT", 0]


async def test_threads_and_what_they_wait_with_work():
    code = """
    import concurrent.futures, queue, threading
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(lambda n: n * n, range(50)))
    seen, gate, line = [], threading.Condition(), queue.Queue()
    def wait():
        with gate:
            gate.wait_for(lambda: seen, 5)
        line.put(seen[0])
    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads: thread.start()
    with gate:
        seen.append(1); gate.notify_all()
    for thread in threads: thread.join()
    sum(squares), [line.get() for _ in threads]
    """
    async with opened() as session:
        assert (await session.execute(inspect.cleandoc(code))).value == (40425, [1] * 4)
