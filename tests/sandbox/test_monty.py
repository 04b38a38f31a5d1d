"""`MontySandbox`: code in workers of Monty. Nothing here is a double: every session runs in a worker process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections import Counter, OrderedDict, deque, namedtuple
from pathlib import Path, PurePosixPath

import pydantic
import pytest

from tinyagent.core.codec import Opaque
from tinyagent.core.errors import (
    ConfigurationError,
    FatalToolError,
    MissingExtraError,
    SandboxError,
    SandboxUnavailableError,
)
from tinyagent.core.registry import tool
from tinyagent.core.result import Observation
from tinyagent.sandbox.base import Answer, SandboxLimits, caller_of, tools_by_name
from tinyagent.sandbox.monty import MontySandbox, pool as monty_pool

#: Seconds after which a test that waits for something has failed.
PATIENCE = 30
#: Turns of the event loop in which sessions are started, used and closed several times over.
MANY_TURNS = 120

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def workers() -> set[int]:
    """The worker processes of this process that are alive."""
    found = set()
    for entry in Path("/proc").iterdir() if sys.platform == "linux" else ():
        with contextlib.suppress(OSError, ValueError):
            name, _, rest = (entry / "stat").read_text().rpartition(")")
            state, parent = rest.split()[:2]
            if int(parent) == os.getpid() and state != "Z" and "monty" in name:
                found.add(int(entry.name))
    return found


async def until(condition):
    """Wait for something that another process or thread does."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture(autouse=True)
async def _nothing_left():
    yield
    assert asyncio.get_running_loop() not in monty_pool._pools
    await until(lambda: not workers())


@pytest.fixture
async def sandbox():
    async with MontySandbox() as sandbox:
        yield sandbox


async def fetch(x: object = None) -> object:
    """Give back what it gets, later."""
    await asyncio.sleep(0)
    return x


def look(x: object = None) -> object:
    """Give back what it gets."""
    return x


class Meeting:
    """An async tool whose calls wait until so many of them are in flight."""

    def __init__(self, parties: int):
        self.barrier = asyncio.Barrier(parties)

    async def __call__(self, x: int) -> int:
        async with asyncio.timeout(PATIENCE):
            await self.barrier.wait()
        return x * 10


class Waiting:
    """An async tool that waits until it is let go, and knows how its calls ended."""

    def __init__(self):
        self.started, self.go, self.ended = asyncio.Event(), asyncio.Event(), []

    async def __call__(self) -> str:
        self.started.set()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.go.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # it may take its time to clean up
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        return "done"


async def value(session, code):
    """The value of a block that must not fail."""
    execution = await session.execute(code)
    assert execution.error is None, execution.error.traceback or str(execution.error)
    return execution.value


async def failure(session, code):
    """The error of a block that must fail."""
    execution = await session.execute(code)
    assert execution.error is not None, execution.value
    return execution.error


# ---- call styles


STYLES = {
    "plain": ("f(1)", 1),
    "awaited": ("await f(1)", 1),
    "in an expression": ("[f(1), -f(2), {f('a'): f(x=3)}]", [1, -2, {"a": 3}]),
    "in an f-string": ("f'{f(1)} {await f(2)}'", "1 2"),
    "of its own value": ("f(f(f(1)))", 1),
    "awaited, of its own value": ("await f(await f(1)) + f(await f(2))", 3),
    "by a name": ("c = f(1)\nawait c", 1),
    "by a name, used twice": ("c = f(1)\n[c, await f(2)]", [1, 2]),
    "gathered": ("await asyncio.gather(f(1), f(2))", [1, 2]),
    "gathered by name": ("from asyncio import gather as g\na, b = f(1), f(2)\nawait g(a, b)", [1, 2]),
    "a list, gathered": ("ts = [f(i) for i in range(3)]\nawait asyncio.gather(*ts)", [0, 1, 2]),
    "appended, gathered": ("ts = []\nfor i in range(3):\n    ts.append(f(i))\nawait asyncio.gather(*ts)", [0, 1, 2]),
    "a dict of them": ("ts = {k: f(k) for k in 'ab'}\n{k: await t for k, t in ts.items()}", {"a": "a", "b": "b"}),
    "in a loop": ("r = []\nfor i in range(3):\n    r.append(f(i))\nr", [0, 1, 2]),
    "in a loop, awaited": ("r = []\nfor i in range(3):\n    r.append(await f(i))\nr", [0, 1, 2]),
    "in a comprehension": ("[f(i) for i in range(3) if f(True)]", [0, 1, 2]),
    "in a generator": ("sum(f(i) for i in range(3))", 3),
    "in a function": ("def g(i):\n    return f(i) + 1\n\n[g(1), g(2)]", [2, 3]),
    "from a function, gathered": ("def g(i):\n    return f(i)\nawait asyncio.gather(*[g(i) for i in (1, 2)])", [1, 2]),
    "in a lambda": ("g = lambda i: f(i)\ng(3)", 3),
    "in a method": ("class A:\n    def m(self):\n        return f(4)\nA().m()", 4),
    "in a coroutine": ("async def g(i):\n    return await f(i) + 1\nawait g(1)", 2),
    "in a coroutine, not awaited": ("async def g(i):\n    return f(i) + 1\nawait g(1)", 2),
    "in coroutines, gathered": ("async def g(i):\n    return f(i)\nawait asyncio.gather(g(1), g(2), f(3))", [1, 2, 3]),
    "asyncio.run": ("async def main():\n    return await f(1), f(2)\nasyncio.run(main())", (1, 2)),
    "asyncio.run of a call": ("asyncio.run(f(1))", 1),
    "asyncio.run of gather": ("asyncio.run(asyncio.gather(f(1), f(2)))", [1, 2]),
    "as a value": ("g = f\nh = [g]\n[h[0](1), await g(2), await asyncio.gather(g(3), h[0](4))]", [1, 2, [3, 4]]),
    "by keyword": ("f(x=1), await f(**{'x': 2}), f(*[3])", (1, 2, 3)),
    "in a condition": ("1 if f(0) else await f(2) if f(1) else 3", 2),
    "in eval": ("eval('f(1)')", 1),
    "beside a sleep": ("await asyncio.gather(f(1), asyncio.sleep(0, 2))", [1, 2]),
    "walrus": ("(y := f(1)) + (await f(y))", 2),
    "over two lines": ("await f(\n    'ü' # c\n) + (\n    f('b')\n)", "üb"),
}


@pytest.mark.parametrize("function", [fetch, look], ids=["async", "sync"])
@pytest.mark.parametrize("style", STYLES)
async def test_call_styles(sandbox, function, style):
    code, expected = STYLES[style]
    async with sandbox.open([tool(function, name="f")]) as session:
        assert await value(session, code) == expected


CONCURRENT = {
    "gather": "await asyncio.gather(meet(1), meet(2), meet(3))",
    "list": "ts = [meet(i) for i in (1, 2, 3)]\nlen(ts)\nawait asyncio.gather(*ts)",
    "generator": "await asyncio.gather(*(meet(i) for i in (1, 2, 3)))",
    "append": "ts = []\nfor i in (1, 2, 3):\n    ts.append(meet(i))\nawait asyncio.gather(*ts)",
    "names": "a, b = meet(1), meet(2)\nc = meet(3)\n[await a, await b, await c]",
    "dict": "ts = {i: meet(i) for i in (1, 2, 3)}\n[await t for t in ts.values()]",
    "function": "def f(i):\n    return meet(i)\nawait asyncio.gather(*[f(i) for i in (1, 2, 3)])",
    "lambda": "f = lambda i: meet(i)\nawait asyncio.gather(f(1), f(2), f(3))",
    "coroutines": "async def f(i):\n    return await meet(i)\nawait asyncio.gather(*[f(i) for i in (1, 2, 3)])",
    "no await": "async def f(i):\n    r = meet(i)\n    return r\nawait asyncio.gather(*[f(i) for i in (1, 2, 3)])",
    "argument": "async def f(ts):\n    return await asyncio.gather(*ts)\nawait f([meet(i) for i in (1, 2, 3)])",
    "nested": "await asyncio.gather(asyncio.gather(meet(1), meet(2)), meet(3))",
    "run": "async def f():\n    return await asyncio.gather(meet(1), meet(2), meet(3))\nasyncio.run(f())",
}


@pytest.mark.parametrize("style", CONCURRENT)
async def test_gathered_calls_run_at_once(sandbox, style):
    async with sandbox.open([tool(Meeting(3), name="meet")]) as session:
        found = await value(session, CONCURRENT[style])
    assert found == ([[10, 20], 30] if style == "nested" else [10, 20, 30])


async def test_calls_run_at_once_in_coroutines_of_an_earlier_block(sandbox):
    async with sandbox.open([tool(Meeting(2), name="meet")]) as session:
        await value(session, "async def f(i):\n    r = meet(i)\n    return r + 1")
        assert await value(session, "await asyncio.gather(f(1), f(2))") == [11, 21]


async def test_plain_calls_run_one_after_the_other(sandbox):
    log = []

    async def step(x: int) -> None:
        """Note when it begins and ends."""
        log.append(x)
        await asyncio.sleep(0)
        log.append(-x)

    async with sandbox.open([step]) as session:
        await value(session, "step(1)\nstep(2)\n[step(3), step(4)]\nfor i in (5, 6):\n    await step(i)")
    assert log == [1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6]


async def test_results_come_in_the_order_of_the_calls_whichever_ends_first(sandbox):
    gates = [asyncio.Event() for _ in range(4)]
    gates[3].set()

    async def last_first(i: int) -> int:
        """End when the next one has ended."""
        await gates[i].wait()
        gates[i - 1].set()
        return i

    code = "async def f(i):\n    return (await last_first(i), i)\nawait asyncio.gather(*[f(i) for i in range(4)])"
    async with sandbox.open([last_first]) as session:
        assert await value(session, code) == [(0, 0), (1, 1), (2, 2), (3, 3)]


async def test_names_of_tools_may_be_taken(sandbox):
    async with sandbox.open([fetch, look]) as session:
        code = (
            "def fetch(x):\n    return 'own'\nasync def f():\n    return fetch(1)\n[fetch(2), await f(), await look(1)]"
        )
        assert await value(session, code) == ["own", "own", 1]
        assert await value(session, "async def g():\n    return fetch(1)\nawait g()") == 1
        assert await value(session, "look = 5\nlook + 1") == 6
        assert await value(session, "look(1)") == 1
        assert await value(session, "def h(look):\n    return look(2)\nh(lambda x: x * 2)") == 4


async def test_arguments_are_checked_and_bound(sandbox):
    async def f(a: int, b: str = "b", *, c: float = 0.5) -> str:
        """Show the arguments."""
        return f"{a!r} {b!r} {c!r}"

    async with sandbox.open([f]) as session:
        assert await value(session, "f(1, 'x', c=2)") == "1 'x' 2.0"
        assert await value(session, "await f(b='x', a=3)") == "3 'x' 0.5"
        for code in ("f()", "f('no')", "f(1, 'x', 2, 3)", "f(1, a=2)", "f(1, d=2)"):
            error = await failure(session, f"x = {code}")
            assert error.type == "TypeError", code
            assert "'f'" in error.message
        assert await value(session, "try:\n    f()\nexcept TypeError as e:\n    r = 'caught'\nr") == "caught"


async def test_calls_are_told_in_order_with_stable_ids(sandbox):
    async def run():
        async with sandbox.open([fetch, look]) as session:
            await session.execute("0")
            execution = await session.execute(
                "await asyncio.gather(fetch(1), look({2, 'b', 'a'}), fetch(1))\nfetch('x')"
            )
        return [(seen.call.name, seen.call.arguments, seen.value, seen.call.id) for seen in execution.calls]

    calls = await run()
    assert [call[:3] for call in calls] == [
        ("fetch", {"x": 1}, 1),
        ("look", {"x": {2, "b", "a"}}, {2, "b", "a"}),
        ("fetch", {"x": 1}, 1),
        ("fetch", {"x": "x"}, "x"),
    ]
    assert len({call[3] for call in calls}) == 4
    assert await run() == calls


# ---- values


Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass
class City:
    name: str
    at: tuple[float, float] = (0.0, 0.0)


class Model(pydantic.BaseModel):
    name: str
    cities: list[City] = []


class Color(enum.Enum):
    RED = "red"


class Odd:
    def __repr__(self):
        return "<odd>"


MOMENT = dt.datetime(2026, 11, 20, 12, 30, 5, 7, tzinfo=dt.timezone(dt.timedelta(hours=2)))
ID = uuid.UUID(int=5)
DEEP: list = []
for _ in range(300):
    DEEP = [DEEP]

EXACT = [
    *(None, True, 0, -(2**200), 1.5, -0.0, float("inf"), 1 + 2j, "", "ü\n\0", "x" * 300_000, b"\0\xff", [], [1, [2]]),
    *((), (1,), {}, {"a": {"!": 1}}, {(1, 2): {3}, None: 4, 1.5: 5}, {1, "b"}, frozenset({1, (2,)})),
    *(MOMENT, MOMENT.date(), dt.time(1, 2, 3), dt.timedelta(days=1, microseconds=5)),
    *(decimal.Decimal("1.50"), PurePosixPath("a/b")),
]
CONVERTED = [
    (Pair(1, [2]), {"left": 1, "right": [2]}),
    (City("Oslo", (59.9, 10.7)), {"name": "Oslo", "at": (59.9, 10.7)}),
    (Model(name="m", cities=[City("Rome")]), {"name": "m", "cities": [{"name": "Rome", "at": (0.0, 0.0)}]}),
    (Color.RED, "red"),
    (OrderedDict(a=1), {"a": 1}),
    (Counter("aab"), {"a": 2, "b": 1}),
    (deque([1, 2]), [1, 2]),
    (range(2, 8, 2), [2, 4, 6]),
    (bytearray(b"ab"), b"ab"),
    (ID, str(ID)),
    (fractions.Fraction(1, 3), "1/3"),
    (Path("a/b"), PurePosixPath("a/b")),
    ("\ud800x", "?x"),
    (Odd(), "<odd>"),
    ([Odd(), City], ["<odd>", repr(City)]),
]


def _ids(found):
    return type(found[0] if isinstance(found, tuple) and len(found) == 2 else found).__name__


@pytest.mark.parametrize("given", EXACT, ids=_ids)
async def test_values_cross_exactly(sandbox, given):
    got = []

    def take(x: object) -> object:
        """Keep the argument and give it back."""
        got.append(x)
        return given

    async with sandbox.open([take]) as session:
        await session.set({"v": given})
        back = [await value(session, "v"), (await session.get("v"))["v"], await value(session, "await take(v)"), got[0]]
        assert await value(session, "take(v) == v")
    for found in back:
        assert found == given
        assert type(found) is type(given)
        assert repr(found) == repr(given) or isinstance(given, set | frozenset)


@pytest.mark.parametrize(("given", "arrives"), CONVERTED, ids=_ids)
async def test_what_monty_cannot_take_arrives_as_data_or_text(sandbox, given, arrives):
    async with sandbox.open([tool(lambda: given, name="give", description="Give it.")]) as session:
        await session.set({"v": given})
        assert await value(session, "v") == arrives
        assert await value(session, "give()") == arrives
        assert await value(session, "await give()") == arrives


async def test_nan_and_numpy_cross(sandbox):
    numpy = pytest.importorskip("numpy")
    async with sandbox.open() as session:
        await session.set({"n": float("nan"), "a": numpy.arange(4).reshape(2, 2), "s": numpy.float32(0.5)})
        found = await session.get("n", "a", "s")
    assert math.isnan(found["n"])
    assert (found["a"], found["s"]) == ([[0, 1], [2, 3]], 0.5)


LEAVING = [
    ("class A:\n    pass\nA()", Opaque, "A", "<A object at "),
    ("class A:\n    def __repr__(self):\n        return 'an A'\nA()", Opaque, "A", "an A"),
    ("class A:\n    def __repr__(self):\n        return 1 / 0\nA()", Opaque, "A", "<A>"),
    ("def f(): pass\nf", Opaque, "function", "<function 'f'"),
    ("print", Opaque, "builtin_function_or_method", "<built-in function print>"),
    ("int", Opaque, "type", "<class 'int'>"),
    ("range(3)", Opaque, "range", "range(0, 3)"),
    ("{1: 2}.items()", Opaque, "dict_items", "dict_items([(1, 2)])"),
    ("import json\njson", Opaque, "module", "<module 'json'>"),
    ("ValueError('x')", Opaque, "ValueError", "ValueError('x')"),
    ("import re\nre.compile('a')", Opaque, "Pattern", "re.compile('a')"),
    ("fetch", Opaque, "function", "<function 'fetch'"),
    ("'range(0, 3)'", str, None, "range(0, 3)"),
]


@pytest.mark.parametrize(("code", "kind", "name", "text"), LEAVING)
async def test_what_cannot_leave_is_its_text(sandbox, code, kind, name, text):
    async with sandbox.open([fetch]) as session:
        execution = await session.execute(code)
    assert execution.error is None
    assert type(execution.value) is kind
    assert execution.value.startswith(text)
    assert getattr(execution.value, "type", None) == name
    assert execution.repr == (repr(str(execution.value)) if kind is str else str(execution.value))


async def test_what_is_inside_of_values(sandbox):
    got = []
    async with sandbox.open([tool(got.append, name="take", description="Take it.")]) as session:
        await value(session, "from collections import namedtuple\nfrom dataclasses import dataclass")
        await value(session, "P = namedtuple('P', 'a b')\n@dataclass\nclass D:\n    x: int\n    y: list\nclass A: pass")
        await value(session, "a = A()\na.n = [1]")
        assert await value(session, "[P(1, D(2, [a])), {'k': int}]") == [
            {"a": 1, "b": {"x": 2, "y": ["A(n=[1])"]}},
            {"k": "<class 'int'>"},
        ]
        assert await value(session, "[A, type(print)]") == ["<class 'A'>", "<class 'builtin_function_or_method'>"]
        assert await value(session, "a.n = 10 ** 5000\n[a]") == ["A(n=<int>)"]
        assert await value(session, "D(1, [D(2, [])])") == {"x": 1, "y": [{"x": 2, "y": []}]}
        await value(session, "a.n = [1]\ntake([a, P(1, 2)])")
    assert got == [["A(n=[1])", {"a": 1, "b": 2}]]
    assert isinstance(got[0][0], Opaque)


async def test_cycles_and_depth(sandbox):
    async with sandbox.open([look]) as session:
        assert (await session.execute("a = [1]\na.append(a)\na")).repr == "[1, [...]]"
        execution = await session.execute("a = []\nfor i in range(100_000):\n    a = [a]\na")
        assert execution.error is None
        assert isinstance(execution.value, Opaque | list)
        assert await value(session, "type(look(a)).__name__") == "list"
        cycle: list = []
        cycle.append(cycle)
        await session.set({"cycle": cycle, "deep": DEEP})
        assert await value(session, "[type(cycle).__name__, type(deep).__name__, 1]") == ["list", "list", 1]


async def test_large_values(sandbox):
    got = []

    def size(x: str) -> int:
        """The length of a text."""
        got.append(len(x))
        return len(x)

    def text(n: int) -> str:
        """A text of that length."""
        return "x" * n

    async with sandbox.open([size, text]) as session:
        assert await value(session, "size('x' * 900_000)") == 900_000
        assert await value(session, "len(text(900_000))") == 900_000
        assert (await failure(session, "size('x' * 2_000_000)")).type == "ValueError"
        assert (await failure(session, "text(2_000_000)")).type == "ValueError"
        assert (await failure(session, "await asyncio.gather(text(2_000_000))")).type == "ValueError"
        execution = await session.execute("big = list(range(1_000_000))\nbig")
        assert (execution.error, execution.value.type, execution.repr[:7]) == (None, "list", "[0, 1, ")
        assert "characters)" in execution.repr[-40:]
        assert isinstance((await session.get("big"))["big"], Opaque)
        with pytest.raises(ConfigurationError, match="huge: too large"):
            await session.set({"fine": 1, "huge": "x" * 2_000_000})
        assert await session.get("fine", "huge") == {"fine": 1}
    assert got == [900_000]


async def test_whole_numbers_of_many_digits(sandbox):
    async with sandbox.open([look]) as session:
        execution = await session.execute("n = 10 ** 5000\nn")
        assert (execution.value, execution.repr) == (10**5000, "<int>")
        assert await value(session, "look(n) == n")


# ---- set and get


async def test_set_and_get(sandbox):
    async with sandbox.open([fetch]) as session:
        await session.set({"a": 1, "é": None})
        await value(session, "b = a + 1\nclass C: pass\nc = C()")
        found = await session.get("b", "nothing", "é", "a", "c", "fetch", "not a name", "class", "c")
        assert list(found) == ["b", "é", "a", "c"]
        assert (found["b"], found["é"], found["a"], found["c"].type) == (2, None, 1, "C")
        assert await session.get() == {}


@pytest.mark.parametrize("name", ["", "1a", "a b", "class", "None", "a.b", 3])
async def test_set_refuses_what_is_no_name(sandbox, name):
    async with sandbox.open() as session:
        with pytest.raises(ConfigurationError, match="name in Python"):
            await session.set({name: 1})


async def test_get_runs_no_tools(sandbox):
    calls = []
    async with sandbox.open([tool(calls.append, name="note", description="Note it.")]) as session:
        await value(session, "class A:\n    def __repr__(self):\n        note(1)\n        return 'A'\na = A()")
        assert (await session.get("a"))["a"] == "<A>"
    assert calls == []


# ---- the value of a block


@pytest.mark.parametrize(
    ("code", "expected", "printed"),
    [
        ("1 + 1", 2, "2"),
        ("'a'", "a", "'a'"),
        ("None", None, None),
        ("x = 1", None, None),
        ("", None, None),
        ("# nothing", None, None),
        ("x = 1\nx  # the value", 1, "1"),
        ("x = 2; x;", 2, "2"),
        ("if True:\n    5", None, None),
        ("(\n  1,\n  'b'\n)", (1, "b"), "(1, 'b')"),
        ("*[1], 2", (1, 2), "(1, 2)"),
        ("[i for i in range(3)]", [0, 1, 2], "[0, 1, 2]"),
        ("'a\\\n'", "a", "'a'"),
        ('"""a\nb"""', "a\nb", "'a\\nb'"),
        ("1\r\n2\r\n", 2, "2"),
        ("type = list = repr = len = 3\ntype", 3, "3"),
        ("{'b': 1, 'a': {2}}", {"b": 1, "a": {2}}, "{'b': 1, 'a': {2}}"),
    ],
)
async def test_the_value_of_a_block(sandbox, code, expected, printed):
    async with sandbox.open() as session:
        execution = await session.execute(code)
    assert (execution.error, execution.value, execution.repr) == (None, expected, printed)
    assert execution.code == code
    assert execution.seconds > 0
    assert not execution.interrupted


async def test_names_live_from_block_to_block(sandbox):
    async with sandbox.open() as session:
        await value(session, "x = [1]\ndef add(n):\n    x.append(n)")
        await failure(session, "y = 2\nadd(5)\n1 / 0\nz = 3")
        assert await session.get("x", "y", "z") == {"x": [1, 5], "y": 2}


# ---- errors


async def test_errors_are_told_as_python_tells_them(sandbox):
    async with sandbox.open() as session:
        await value(session, "def half(n):\n    return n / 0")
        error = await failure(session, "x = 1\n\ndef twice(n):\n    return half(n) * 2\n\nresult = twice(x)\n")
    assert (error.type, error.message, error.line) == ("ZeroDivisionError", "division by zero", 2)
    assert error.bases == ("ArithmeticError", "Exception", "BaseException")
    assert error.args == ("division by zero",)
    assert error.names == ("half", "x", "twice")
    assert not error.lost
    assert isinstance(error.exception(), ZeroDivisionError)
    assert error.traceback.splitlines() == [
        "Traceback (most recent call last):",
        '  File "<block 2>", line 6, in <module>',
        "    result = twice(x)",
        "             ^^^^^^^^",
        '  File "<block 2>", line 4, in twice',
        "    return half(n) * 2",
        "           ^^^^^^^",
        '  File "<block 1>", line 2, in half',
        "    return n / 0",
        "           ^^^^^",
        "ZeroDivisionError: division by zero",
    ]


@pytest.mark.parametrize(
    ("code", "kind", "message", "line"),
    [
        ("raise ValueError('bad')", "ValueError", "bad", 1),
        ("raise ValueError", "ValueError", "", 1),
        ("\n{}['k']", "KeyError", "'k'", 2),
        ("assert 1 == 2, 'unequal'", "AssertionError", "unequal", 1),
        ("assert 1 == 2", "AssertionError", "", 1),
        ("nothing", "NameError", "name 'nothing' is not defined", 1),
        ("nothing(1)", "NameError", "name 'nothing' is not defined", 1),
        ("import numpy", "ModuleNotFoundError", "No module named 'numpy'", 1),
        ("open('/etc/passwd')", "PermissionError", "Permission denied: '/etc/passwd'", 1),
        ("x = (1,\ny = = 2", "SyntaxError", None, None),
        ("x = 1\ny = = 2", "SyntaxError", "Expected an expression", 2),
        ("x = 1\n  y = 2", "SyntaxError", None, 2),
        ("def f():\n    f()\nf()", "RecursionError", "maximum recursion depth exceeded", 2),
        ("import json\njson.loads('{')", "JSONDecodeError", None, 2),
        ("eval('1 /0')", "ZeroDivisionError", "division by zero", 1),
    ],
)
async def test_errors(sandbox, code, kind, message, line):
    async with sandbox.open() as session:
        error = await failure(session, code)
        assert await value(session, "1 + 1") == 2
    assert error.type == kind
    assert error.message == message or message is None
    assert error.line == line or line is None
    assert error.traceback.startswith('Traceback (most recent call last):\n  File "<block 1>"')
    assert error.traceback.endswith(f"{kind}: {error.message}\n" if error.message else f"{kind}\n")
    assert "__" not in error.traceback.replace("__main__", "")


async def test_the_traceback_of_a_recursion_is_short(sandbox):
    async with sandbox.open() as session:
        error = await failure(session, "def f(n):\n    return 1 + f(n + 1)\nf(0)")
    frame = ['  File "<block 1>", line 2, in f', "    return 1 + f(n + 1)", "               ^^^^^^^^"]
    assert error.traceback.splitlines()[1:-1] == [
        '  File "<block 1>", line 3, in <module>',
        "    f(0)",
        *frame * 3,
        "  [Previous line repeated 997 more times]",
    ]


async def test_a_traceback_is_cut_in_the_middle(sandbox):
    async with sandbox.open() as session:
        error = await failure(session, f"x = '{'x' * 50_000}' / 0")
    assert len(error.traceback) < 20_000
    assert "characters are not shown" in error.traceback
    assert error.traceback.endswith("TypeError: unsupported operand type(s) for /: 'str' and 'int'\n")


async def test_plain_values_can_be_awaited(sandbox):
    """As those are that an earlier block has waited for."""
    async with sandbox.open() as session:
        assert await value(session, "x = 5\n[await x, await asyncio.gather(x, *[6])]") == [5, [5, 6]]


async def test_what_monty_does_not_know_is_said_before_anything_runs(sandbox):
    async with sandbox.open([fetch]) as session:
        execution = await session.execute("x = fetch(1)\ndel x")
    assert execution.error.type == "NotImplementedError"
    assert execution.error.message == "this Python does not support the 'del' statement (none of this code has run)"
    assert (execution.error.line, execution.calls) == (2, ())


class CityError(LookupError):
    pass


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no")


RAISED = [
    (ValueError("bad"), "ValueError", "bad"),
    (KeyError("k"), "KeyError", "'k'"),
    (FileNotFoundError(2, "No such file", "f.txt"), "FileNotFoundError", "[Errno 2] No such file: 'f.txt'"),
    (ConnectionResetError("reset"), "OSError", "ConnectionResetError: reset"),
    (CityError("no Oslo"), "LookupError", "CityError: no Oslo"),
    (Exception("a", "b"), "Exception", "('a', 'b')"),
    (decimal.InvalidOperation("x"), "ArithmeticError", "InvalidOperation: x"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError", None),
    (TimeoutError(), "TimeoutError", ""),
    (ExceptionGroup("g", [ValueError(1)]), "Exception", "ExceptionGroup: g (1 sub-exception)"),
    (Exception("\ud800"), "Exception", "?"),
    (Unprintable(), "Exception", None),
]


@pytest.mark.parametrize(("raised", "kind", "message"), RAISED, ids=lambda part: type(part).__name__)
async def test_exceptions_of_tools_are_the_nearest_that_there_are(sandbox, raised, kind, message):
    async def fail() -> None:
        """Fail."""
        raise raised

    async with sandbox.open([fail]) as session:
        for call in ("fail()", "await fail()", "await asyncio.gather(fail())"):
            code = f"try:\n    {call}\nexcept Exception as e:\n    r = (type(e).__name__, str(e))\nr"
            found = await value(session, code)
            assert found[0] == kind
            assert message is None or found[1] == message
        execution = await session.execute("x = 1\nfail()")
    assert (execution.error.type, execution.error.line) == (kind, 2)
    assert "fail()" in execution.error.traceback
    assert execution.calls[0].error is not None


# ---- output


async def test_output_is_kept_in_order_and_told_as_it_comes(sandbox):
    heard, waiting = [], Waiting()

    def hear(text):
        heard.append(text)
        if "".join(heard) == "one\ntwo":
            waiting.go.set()  # which the block waits for

    async with sandbox.open([tool(waiting, name="wait")]) as session:
        execution = await session.execute(
            "import sys\nprint('one')\nprint('two', end='')\nwait()\nprint('!', file=sys.stderr)\nprint()\n1 / 0",
            on_output=hear,
        )
    assert waiting.ended == ["done"]
    assert execution.stdout == "".join(heard) == "one\ntwo!\n\n"
    assert execution.error.type == "ZeroDivisionError"
    assert execution.truncated == 0


async def test_output_of_code_that_computes_is_told_while_it_does(sandbox):
    heard = asyncio.Event()
    async with sandbox.open(limits=SandboxLimits(grace=0.05)) as session:
        task = asyncio.create_task(
            session.execute("print('begun')\nwhile True:\n    pass", on_output=lambda _: heard.set())
        )
        async with asyncio.timeout(PATIENCE):
            await heard.wait()
        await session.interrupt()
        execution = await task
    assert execution.stdout == "begun\n"
    assert execution.interrupted


async def test_output_beyond_the_limit_is_counted(sandbox):
    heard = []
    async with sandbox.open(limits=SandboxLimits(output=10)) as session:
        execution = await session.execute("print('123456')\nprint('7890')\nprint('x')", on_output=heard.append)
        again = await session.execute("print('again')")
    assert execution.stdout == "".join(heard) == "123456\n789"
    assert execution.truncated == 4
    assert (again.stdout, again.truncated) == ("again\n", 0)


async def test_output_without_end_ends_the_worker(sandbox):
    async with sandbox.open(limits=SandboxLimits(output=1_000)) as session:
        execution = await session.execute("while True:\n    print('x' * 100)")
        assert (execution.error.type, execution.error.lost) == ("SandboxLost", True)
        assert "printed without end" in execution.error.message
        assert len(execution.stdout) == 1_000
        assert await value(session, "1") == 1


# ---- limits


async def test_code_that_sleeps_too_long_is_stopped_and_keeps_its_names(sandbox):
    code = "import time\nx = 1\ntry:\n    {}\nfinally:\n    y = 2\n"
    async with sandbox.open(limits=SandboxLimits(seconds=0.2)) as session:
        for sleep in ("time.sleep(3600)", "await asyncio.sleep(3600)", "await asyncio.gather(asyncio.sleep(9e9))"):
            execution = await session.execute(code.format(sleep))
            assert execution.interrupted
            assert execution.error.type == "TimeoutError"
            assert execution.error.message == "the block ran longer than 0.2 s"
            assert not execution.error.lost
            assert {"x", "y"} <= set(execution.error.names)
            assert await value(session, "x + y") == 3


async def test_code_that_computes_too_long_is_ended_with_its_names(sandbox):
    async with sandbox.open(limits=SandboxLimits(seconds=0.2, grace=0.2)) as session:
        await value(session, "x = 1")
        for code in ("while True:\n    pass", "sum(range(10 ** 12))", "[x for x in range(10 ** 12) if x < 0]"):
            execution = await session.execute(f"y = 2\n{code}")
            assert execution.interrupted
            assert (execution.error.type, execution.error.lost) == ("TimeoutError", True)
            assert execution.error.message.startswith("the block ran longer than 0.2 s")
            assert "All variables, functions and imports are gone" in execution.error.message
            assert "y" in execution.error.names
            assert (await failure(session, "y")).type == "NameError"
    assert isinstance(execution.error.exception(), TimeoutError)


async def test_many_short_stretches_of_work_add_up(sandbox):
    code = "while True:\n    try:\n        nothing\n    except NameError:\n        pass"
    async with sandbox.open(limits=SandboxLimits(seconds=0.2)) as session:
        assert (await failure(session, code)).type == "TimeoutError"
        assert (await failure(session, "import time\nwhile True:\n    time.sleep(0.01)")).type == "TimeoutError"


async def test_the_time_of_tools_does_not_count(sandbox):
    async def slow() -> str:
        """Take longer than the block may."""
        await asyncio.sleep(0.4)
        return "slow"

    async with sandbox.open([slow], SandboxLimits(seconds=0.3)) as session:
        for code in ("slow()", "await slow()", "(await asyncio.gather(slow(), slow()))[0]"):
            assert await value(session, code) == "slow"


async def test_no_limit_of_time(sandbox):
    async with sandbox.open(limits=SandboxLimits(seconds=None, cpu_seconds=None, grace=0.05)) as session:
        assert await value(session, "1") == 1
        task = asyncio.create_task(session.execute("while True:\n    pass"))
        await until(lambda: session._space.driver.is_busy)
        await session.interrupt()
        assert (await task).error.lost


async def test_the_time_of_the_session(sandbox):
    async with sandbox.open(limits=SandboxLimits(seconds=None, cpu_seconds=1, grace=0.2)) as session:
        for _ in range(50):
            execution = await session.execute("n = 0\nwhile n < 500_000:\n    n += 1\n")
            if execution.error is not None:
                break
        assert execution.error.lost
        assert "1 s" in execution.error.message
        assert await value(session, "1") == 1


@pytest.mark.parametrize(
    "code",
    ["x = []\nwhile True:\n    x.append('a' * 100_000)", "x = 'a' * 10 ** 10", "list(range(10 ** 9))", "10 ** 10 ** 8"],
)
async def test_too_much_memory_ends_the_worker(sandbox, code, capfd):
    async with sandbox.open(limits=SandboxLimits(memory=32 * 1024 * 1024, seconds=20)) as session:
        await value(session, "before = 1")
        error = await failure(
            session, f"try:\n    {code.replace(chr(10), chr(10) + '    ')}\nexcept MemoryError:\n    pass"
        )
        assert (error.type, error.lost) == ("MemoryError", True)
        assert error.message.startswith("the block used more than 33,554,432 bytes of memory")
        assert "before" in error.names
        assert (await failure(session, "before")).type == "NameError"
    capfd.readouterr()  # the worker says so on its own stderr


async def test_the_least_memory_is_enough_to_start(sandbox):
    async with sandbox.open([look], SandboxLimits(memory=16 * 1024 * 1024)) as session:
        assert await value(session, "import json\nlen(json.dumps(look(list(range(50_000)))))") == 338_890


async def test_a_block_may_make_so_many_calls(sandbox):
    code = """
n = 0
try:
    while True:
        look(n)
        n += 1
except RuntimeError as e:
    text = str(e)
[n, text]
"""
    async with sandbox.open([look], SandboxLimits(calls=5)) as session:
        execution = await session.execute(code)
        assert execution.value[0] == len(execution.calls) == 5
        assert "5 tool calls, which is the limit" in execution.value[1]
        assert (await value(session, code))[0] == 5  # each block anew
        error = await failure(session, "await asyncio.gather(*[look(i) for i in range(9)])")
        assert error.type == "RuntimeError"


async def test_calls_without_end_end_the_worker(sandbox):
    async with sandbox.open([look], SandboxLimits(calls=2)) as session:
        error = await failure(session, "while True:\n    try:\n        look(1)\n    except RuntimeError:\n        pass")
    assert (error.type, error.lost) == ("SandboxLost", True)
    assert "called tools without end" in error.message


async def test_so_many_calls_are_in_flight_at_once(sandbox):
    running, most = 0, 0

    async def count() -> None:
        """Count how many of it run."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    async with sandbox.open([count], SandboxLimits(calls_at_once=3)) as session:
        await value(session, "await asyncio.gather(*[count() for i in range(10)])")
    assert (most, running) == (3, 0)


# ---- losing the worker


@linux_only
async def test_a_worker_that_is_killed_is_replaced(sandbox):
    waiting = Waiting()
    async with sandbox.open([fetch, tool(waiting, name="wait")]) as session:
        await session.set({"given": 1})
        await value(session, "x = 5\ndef f(): pass")
        task = asyncio.create_task(session.execute("x = 6\nwait()"))
        await waiting.started.wait()
        (pid,) = workers()
        os.kill(pid, signal.SIGKILL)
        waiting.go.set()
        execution = await task
        assert (execution.error.type, execution.error.lost) == ("SandboxLost", True)
        assert execution.error.names == ("given", "x", "f")
        assert "All variables, functions and imports are gone" in execution.error.message
        assert not execution.interrupted
        assert await session.get("x", "f", "given") == {"given": 1}  # what the host has set is the host's to give
        assert await value(session, "await fetch(given)") == 1
        assert workers().isdisjoint({pid})


@linux_only
async def test_a_worker_that_is_killed_while_it_computes(sandbox):
    async with sandbox.open() as session:
        task = asyncio.create_task(session.execute("while True:\n    pass"))
        await until(lambda: session._space is not None and session._space.driver.is_busy and workers())
        for pid in workers():
            os.kill(pid, signal.SIGKILL)
        assert (await task).error.type == "SandboxLost"
        assert await value(session, "1 + 1") == 2


@linux_only
async def test_a_worker_that_is_killed_between_blocks(sandbox):
    async with sandbox.open() as session:
        await value(session, "x = 1")
        for use in (session.get("x"), session.set({"y": 1})):
            for pid in workers():
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(SandboxError, match="was ended"):
                await use
            assert await session.get("x", "y") == {}
        error = await failure(session, "x")
        assert (error.type, error.lost) == ("NameError", True)
        assert not (await failure(session, "x")).lost  # told once


# ---- cancellation


@pytest.mark.parametrize("code", ["wait()", "await wait()", "await asyncio.gather(wait(), asyncio.sleep(60))"])
async def test_cancelling_ends_the_calls_and_keeps_the_names(sandbox, code):
    waiting = Waiting()
    async with sandbox.open([tool(waiting, name="wait")]) as session:
        before = session._space.driver
        task = asyncio.create_task(session.execute(f"x = 1\ntry:\n    {code}\nfinally:\n    y = 2\nz = 3"))
        await waiting.started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert waiting.ended == ["cancelled"]
        assert await session.get("x", "y", "z") == {"x": 1, "y": 2}
        assert session._space.driver is before


async def test_cancelling_a_sleep_keeps_the_names(sandbox):
    async with sandbox.open() as session:
        for sleep in ("time.sleep(3600)", "await asyncio.sleep(3600)"):
            heard: asyncio.Queue[str] = asyncio.Queue()
            code = f"import time\nx = 1\nprint(1)\n{sleep}"
            task = asyncio.create_task(session.execute(code, on_output=heard.put_nowait))
            assert await heard.get() == "1\n"
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await session.get("x") == {"x": 1}


async def test_cancelling_code_that_computes_kills_it_and_the_next_error_says_so(sandbox):
    async with sandbox.open(limits=SandboxLimits(grace=0.05)) as session:
        await value(session, "x = 1")
        task = asyncio.create_task(session.execute("while True:\n    pass"))
        await until(lambda: session._block is not None and session._space.driver.is_busy)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        error = await failure(session, "x")
        assert (error.type, error.lost, error.names) == ("NameError", True, ("x",))


async def test_short_work_may_end_before_it_is_killed(sandbox):
    async with sandbox.open(limits=SandboxLimits(grace=PATIENCE)) as session:
        heard = asyncio.Event()
        code = "print(1)\nn = 0\nwhile n < 3_000_000:\n    n += 1"
        task = asyncio.create_task(session.execute(code, on_output=lambda _: heard.set()))
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await session.get("n") == {"n": 3_000_000}


async def test_code_that_will_not_stop_is_killed(sandbox):
    waiting = Waiting()
    code = "while True:\n    try:\n        wait()\n    except BaseException:\n        pass"
    async with sandbox.open([tool(waiting, name="wait")], SandboxLimits(grace=0.1)) as session:
        task = asyncio.create_task(session.execute(code))
        await waiting.started.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # more than once
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set(waiting.ended) == {"cancelled"}
        assert await value(session, "1") == 1


@pytest.mark.parametrize("turns", range(0, MANY_TURNS, 3))
async def test_cancelling_at_any_turn_leaves_nothing(turns):
    ended = Counter()

    async def call(x: int) -> int:
        """Take a few turns."""
        ended["begun"] += 1
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            return x
        finally:
            ended["ended"] += 1

    async def work():
        async with MontySandbox().open([call]) as session:
            await session.set({"a": 1})
            await session.execute("x = call(1)\nprint(await asyncio.gather(call(2), call(3)))\n1 / 0")
            await session.get("x")
            await session.execute(_pieces("y = await call(4)\n", "y"))

    task = asyncio.create_task(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert ended["begun"] == ended["ended"]


async def test_cancelling_the_start_at_any_turn_leaves_nothing():
    started = 0
    for turns in range(0, 400, 8):
        session = MontySandbox().open()
        task = asyncio.create_task(session.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            assert asyncio.get_running_loop() not in monty_pool._pools  # whoever could not enter it will not leave it
        else:
            started += 1
            await session.close()
    assert started < 50


@pytest.mark.parametrize("turns", range(0, MANY_TURNS, 7))
async def test_a_session_goes_on_after_a_cancellation_at_any_turn(sandbox, turns):
    async with sandbox.open([fetch]) as session:
        await value(session, "x = 1")
        task = asyncio.create_task(session.execute("for i in range(8):\n    await fetch(i)\n    x = x + 1"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert 1 <= await value(session, "x") <= 9


async def _pieces(*pieces):
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


# ---- interrupt and close


async def test_interrupt_stops_the_block_and_keeps_the_names(sandbox):
    waiting = Waiting()
    async with sandbox.open([tool(waiting, name="wait")]) as session:
        await session.interrupt()  # nothing runs
        task = asyncio.create_task(session.execute("x = 1\nwait()\nx = 2"))
        await waiting.started.wait()
        await session.interrupt()
        execution = await task
        assert execution.interrupted
        assert (execution.error.type, execution.error.line) == ("KeyboardInterrupt", 2)
        assert execution.error.message == "the block was interrupted"
        assert execution.error.names == ("x",)
        assert waiting.ended == ["cancelled"]
        assert len(execution.calls) == 1
        assert execution.calls[0].error is not None
        assert await value(session, "x") == 1


async def test_interrupt_kills_what_computes(sandbox):
    async with sandbox.open(limits=SandboxLimits(grace=0.05)) as session:
        task = asyncio.create_task(session.execute("while True:\n    pass"))
        await until(lambda: session._block is not None and session._space.driver.is_busy)
        await session.interrupt()
        execution = await task
        assert execution.interrupted
        assert (execution.error.type, execution.error.lost) == ("KeyboardInterrupt", True)
        assert await value(session, "1") == 1


async def test_code_that_catches_the_interrupt_may_end_well(sandbox):
    waiting = Waiting()
    async with sandbox.open([tool(waiting, name="wait")]) as session:
        task = asyncio.create_task(session.execute("try:\n    wait()\nexcept KeyboardInterrupt:\n    r = 'saved'\nr"))
        await waiting.started.wait()
        await session.interrupt()
        execution = await task
    assert (execution.error, execution.value, execution.interrupted) == (None, "saved", True)


@pytest.mark.parametrize("code", ["while True:\n    pass", "wait()", "await asyncio.sleep(3600)"])
async def test_closing_while_a_block_runs(code):
    waiting, heard = Waiting(), asyncio.Event()
    session = MontySandbox().open([tool(waiting, name="wait")])
    task = asyncio.create_task(session.execute(f"print(1)\n{code}", on_output=lambda _: heard.set()))
    await (waiting.started if "wait()" in code else heard).wait()
    await session.close()
    assert asyncio.get_running_loop() not in monty_pool._pools
    execution = await task
    assert execution.error.lost
    assert waiting.ended == (["cancelled"] if "wait()" in code else [])
    with pytest.raises(SandboxError, match="closed"):
        await session.execute("1")


async def test_a_tool_may_close_the_session():
    async def end() -> None:
        """Close the session."""
        await session.close()

    session = MontySandbox().open([end])
    execution = await session.execute("end()\nx = 1")
    assert execution.error.lost


async def test_closing_twice_unstarted_and_while_starting():
    sandbox = MontySandbox()
    session = sandbox.open()
    await session.close()
    await session.close()
    for use in (session.start, session.get, lambda: session.set({}), lambda: session.execute("1")):
        with pytest.raises(SandboxError, match="closed"):
            await use()
    session = sandbox.open()
    starting = asyncio.create_task(session.start())
    await asyncio.sleep(0)
    await session.close()
    await starting
    with pytest.raises(SandboxError, match="closed"):
        await session.start()


async def test_closing_while_the_next_piece_is_awaited():
    more = asyncio.Event()

    async def pieces():
        yield "x = 1\n"
        await more.wait()
        yield "y = 2\n"

    session = MontySandbox().open()
    task = asyncio.create_task(session.execute(pieces()))
    await until(lambda: session._space is not None and session._space._names)
    await until(lambda: not session._space.driver.is_busy)
    await session.close()
    more.set()
    execution = await task
    assert execution.error is not None
    assert execution.code == "x = 1\n"


# ---- what is left over


async def test_a_call_of_an_earlier_block_is_waited_for_there(sandbox):
    async with sandbox.open([fetch]) as session:
        await value(session, "c = fetch(1)\nts = [fetch(2), fetch(3)]")
        assert await value(session, "[await c, await asyncio.gather(*ts), await asyncio.gather(c, *ts)]") == [
            1,
            [2, 3],
            [1, 2, 3],
        ]


async def test_a_future_of_an_earlier_block_is_an_error_and_nothing_more(sandbox):
    async with sandbox.open([fetch]) as session:
        await value(session, "x = 1\nif x == 2:\n    await c\nc = fetch(1)")
        error = await failure(session, "await c")
        assert (error.type, error.message) == (
            "RuntimeError",
            "a call of an earlier block cannot be awaited any more: await it in the block that makes it",
        )
        assert (await failure(session, "await asyncio.gather(c, fetch(2))")).type == "RuntimeError"
        assert await value(session, "await fetch(x)") == 1


async def test_calls_that_are_not_awaited_end_with_the_block(sandbox):
    waiting = Waiting()
    async with sandbox.open([fetch, tool(waiting, name="wait")]) as session:
        code = "ts = [wait(), wait()]\nawait fetch(1)\nif not ts:\n    await asyncio.gather(*ts)\n'over'"
        execution = await session.execute(code)
        assert (execution.error, execution.value) == (None, "over")
        assert waiting.ended == ["cancelled"] * 2
        assert [seen.error is None for seen in execution.calls] == [False, False, True]
        error = await failure(session, "ts = [wait(), fetch(1)]\nx = 1 / 0\nawait asyncio.gather(*ts)")
        assert error.type == "ZeroDivisionError"
        assert waiting.ended == ["cancelled"] * 3


async def test_a_gather_that_fails_ends_the_other_calls(sandbox):
    waiting = Waiting()

    async def fail() -> None:
        """Fail when the other call has begun."""
        await waiting.started.wait()
        raise ValueError("no")

    async with sandbox.open([fail, tool(waiting, name="wait")]) as session:
        assert (await failure(session, "await asyncio.gather(wait(), fail())")).message == "no"
        assert waiting.ended == ["cancelled"]
        waiting.started.clear()
        waiting.go.set()
        code = "t = wait()\ntry:\n    await asyncio.gather(fail())\nexcept ValueError:\n    r = 'caught'\n[r, await t]"
        assert await value(session, code) == ["caught", "done"]


@pytest.mark.parametrize("turns", range(0, 60, 4))
async def test_an_answer_that_comes_too_late_answers_nothing_else(sandbox, turns):
    async def slow() -> str:
        """Take so many turns."""
        for _ in range(turns):
            await asyncio.sleep(0)
        return "stale"

    async with sandbox.open([slow, fetch]) as session:
        await failure(session, "c = slow()\nx = 1 / 0\nawait c")
        assert await value(session, "await fetch(7)") == 7


async def test_coroutines_of_the_code_live_on(sandbox):
    async with sandbox.open([fetch]) as session:
        await value(session, "async def f(i):\n    return await fetch(i)\ncs = [f(1), f(2)]")
        assert await value(session, "await asyncio.gather(*cs)") == [1, 2]


# ---- pieces


async def test_pieces_run_as_they_arrive(sandbox):
    seen = []

    async def pieces():
        yield "x = look('first')\n"
        seen.append("after the first")
        yield "def f():\n    return x + look(' second')\n"
        yield "\n"
        yield "f()"

    async with sandbox.open([tool(lambda x: seen.append(x) or x, name="look", description="Look.")]) as session:
        execution = await session.execute(pieces())
    assert seen == ["first", "after the first", " second"]
    assert (execution.value, execution.repr) == ("first second", "'first second'")
    assert execution.code == "x = look('first')\ndef f():\n    return x + look(' second')\n\nf()"
    assert len(execution.calls) == 2


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [(["1\n", "2\n"], 2), (["1\n", "x = 2\n"], None), (["3"], 3), ([], None), (["4\n", "# done\n"], None)],
)
async def test_the_value_of_pieces(sandbox, pieces, expected):
    async with sandbox.open() as session:
        execution = await session.execute(_pieces(*pieces))
    assert (execution.error, execution.value) == (None, expected)


async def test_an_error_ends_the_pieces_and_closes_them(sandbox):
    closed = []

    async def pieces():
        try:
            yield "x = 1\n\n"
            yield "def f():\n    return 1 / 0\n"
            yield "y = f()\n"
            yield "never = 1\n"
        finally:
            closed.append(True)

    async with sandbox.open() as session:
        execution = await session.execute(pieces())
        assert await session.get("x", "y", "never") == {"x": 1}
    assert closed == [True]
    assert (execution.error.type, execution.error.line) == ("ZeroDivisionError", 4)
    assert 'File "<block 1>", line 5, in <module>' in execution.error.traceback
    assert 'File "<block 1>", line 4, in f' in execution.error.traceback
    assert execution.error.names == ("x", "f")


async def test_an_interrupt_between_pieces(sandbox):
    async def pieces():
        yield "x = 1\n"
        await session.interrupt()
        yield "x = 2\n"

    async with sandbox.open() as session:
        execution = await session.execute(pieces())
        assert execution.interrupted
        assert (execution.error.type, execution.error.names) == ("KeyboardInterrupt", ("x",))
        assert await value(session, "x") == 1


async def test_pieces_that_fail(sandbox):
    async def pieces():
        yield "x = 1\n"
        raise OSError("the stream broke")

    async with sandbox.open() as session:
        with pytest.raises(OSError, match="the stream broke"):
            await session.execute(pieces())
        assert await value(session, "x") == 1


# ---- ending a block, ending a run


FINAL = [
    "answer(1)",
    "await answer(1)",
    "try:\n    answer(1)\nexcept Exception:\n    wrong = 1",
    "await asyncio.gather(answer(1), wait(), wait())",
    "async def f():\n    answer(1)\nawait asyncio.gather(f(), f())",
    "def f():\n    answer(1)\n    return 5\nf()",
]


@pytest.mark.parametrize("code", FINAL)
async def test_an_answer_ends_the_block(sandbox, code):
    waiting = Waiting()

    @tool(returns_answer=True)
    async def answer(x: int) -> int:
        """Give the answer."""
        return x

    async with sandbox.open([answer, tool(waiting, name="wait")]) as session:
        execution = await session.execute(f"x = 1\n{code}\nwrong = 2\n7")
        assert (execution.error, execution.value, execution.repr) == (None, None, None)
        assert not execution.interrupted
        assert execution.calls[0].value == 1
        assert await session.get("x", "wrong") == {"x": 1}
        assert set(waiting.ended) <= {"cancelled"}


async def test_code_cannot_go_on_after_the_answer(sandbox):
    calls = []

    @tool(returns_answer=True)
    def answer(x: int) -> int:
        """Give the answer."""
        calls.append(x)
        return x

    code = "while True:\n    try:\n        answer(1)\n    except BaseException:\n        pass"
    async with sandbox.open([answer], SandboxLimits(seconds=0.3, grace=0.2)) as session:
        execution = await session.execute(code)
    assert calls == [1]
    assert execution.error.type == "TimeoutError"


@pytest.mark.parametrize("code", ["end()", "await end()", "await asyncio.gather(end(), wait())"])
async def test_a_tool_may_end_the_run(sandbox, code):
    waiting = Waiting()

    async def end() -> None:
        """End the run."""

    tools = tools_by_name([end, tool(waiting, name="wait")])

    async def call(call):
        if call.name == "end":
            raise FatalToolError("the run is over")
        return await caller_of(tools)(call)

    async with sandbox.open(tools.values(), call=call) as session:
        with pytest.raises(FatalToolError, match="the run is over"):
            await session.execute(f"x = 1\ntry:\n    {code}\nexcept Exception:\n    pass")
        assert await value(session, "x") == 1
    assert set(waiting.ended) <= {"cancelled"}


async def test_calls_go_through_the_caller(sandbox):
    seen = []

    async def call(call):
        seen.append((call.name, call.arguments))
        return Answer(Observation(call, "text", [call.arguments]))

    async with sandbox.open([fetch], call=call) as session:
        assert await value(session, "[fetch(1), await fetch(x=2)]") == [[{"x": 1}], [{"x": 2}]]
    assert seen == [("fetch", {"x": 1}), ("fetch", {"x": 2})]


async def test_a_tool_that_cancels_itself_fails(sandbox):
    async def give_up() -> None:
        """Cancel itself."""
        raise asyncio.CancelledError

    async with sandbox.open([give_up]) as session:
        for code in ("give_up()", "await give_up()"):
            error = await failure(session, code)
            assert error.type == "RuntimeError"
            assert "cancelled" in error.message


# ---- many sessions


async def test_fifty_sessions_at_once():
    meet = tool(Meeting(50), name="meet")
    sandbox = MontySandbox()

    async def run(number):
        async with sandbox.open([meet]) as session:
            await value(session, f"x = {number}")
            assert await value(session, "await meet(x)") == number * 10
            return await value(session, "x")

    assert await asyncio.gather(*map(run, range(50))) == list(range(50))


@linux_only
async def test_sessions_share_the_workers_of_their_loop_and_see_nothing_of_each_other():
    async with MontySandbox() as sandbox:
        found = set()
        for number in range(5):
            async with MontySandbox().open() as session:
                assert await session.get("x") == {}
                await value(session, f"x = {number}")
                found |= workers()
        assert len(found) == 1
        async with sandbox.open() as one, sandbox.open() as other:
            await value(one, "x = 1")
            assert await other.get("x") == {}
            assert len(workers()) == 2
            assert len(monty_pool._pools) == 1
    await until(lambda: not workers())


async def test_workers_end_with_the_last_session():
    sandbox = MontySandbox()
    one, other = sandbox.open(), sandbox.open()
    await asyncio.gather(one.start(), other.start())
    await one.close()
    assert await value(other, "1") == 1
    await other.close()
    assert asyncio.get_running_loop() not in monty_pool._pools
    await until(lambda: not workers())
    async with one.__class__({}, SandboxLimits(), caller_of({}), None) as again:
        assert await value(again, "2") == 2


async def test_blocks_of_one_session_wait_for_each_other(sandbox):
    async with sandbox.open([fetch]) as session:
        await value(session, "x = []")
        await asyncio.gather(*[session.execute(f"x.append(await fetch({i}))") for i in range(5)])
        assert await session.get("x") == {"x": [0, 1, 2, 3, 4]}


def test_one_event_loop_after_the_other():
    sandbox = MontySandbox()

    async def run():
        async with sandbox, sandbox.open([fetch]) as session:
            return await value(session, "await fetch(3)")

    assert [asyncio.run(run()) for _ in range(3)] == [3, 3, 3]


async def test_a_seed_makes_random_numbers_come_again(sandbox):
    async def draw(seed):
        async with sandbox.open(seed=seed) as session:
            return await value(session, "import random\n[random.random(), random.randint(0, 10 ** 9)]")

    assert await draw("a") == await draw("a") != await draw("b")
    assert await draw(None) != await draw(None)


# ---- the sandbox


def test_what_it_says_of_itself():
    sandbox = MontySandbox()
    about = sandbox.capabilities
    assert (about.full_python, about.isolated, about.async_tools, about.concurrent_tools) == (False, True, True, True)
    assert 5 <= len(about.notes) <= 15
    assert all("\n" not in note for note in about.notes)
    assert repr(sandbox) == "MontySandbox()"
    assert sandbox.limits == SandboxLimits()


def _note(start):
    return next(note for note in MontySandbox().capabilities.notes if note.startswith(start))


async def test_the_modules_that_are_told_are_those_there_are(sandbox):
    listed = _note("Modules").partition(": ")[2].rstrip(".").replace("(", "|").replace(")", "|").split("|")
    modules = [name for part in listed[::2] for name in part.replace(",", " ").split()]
    assert len(modules) > 20
    members = {"collections": listed[1], "functools": listed[3]}
    async with sandbox.open() as session:
        for name in modules:
            await value(session, f"import {name}")
        for module, names in members.items():
            await value(session, f"from {module} import {names}")
        others = sys.stdlib_module_names - {name.partition(".")[0] for name in modules}
        code = "".join(
            f"try:\n    import {name}\n    n.append('{name}')\nexcept ImportError: pass\n" for name in others
        )
        assert await value(session, f"n = []\n{code}n") == ["posixpath"]


MISSING = [
    "class A(Exception): pass",
    "class A:\n    class B: pass",
    *(f"class A:\n    @{name}\n    def x(self): pass" for name in ("property", "staticmethod", "classmethod")),
    "class A:\n    def __len__(self): return 1\nlen(A())",
    "class A:\n    def __lt__(self, o): return True\nA() < A()",
    "class A:\n    def __bool__(self): return False\nassert not A()",
    "class A:\n    def __getattr__(self, n): return 1\nA().x",
    "x = 1\ndel x",
    "def f():\n    yield 1",
    "async def f():\n    async for x in y: pass",
    "async def f():\n    async with x: pass",
    "try:\n    pass\nexcept* ValueError:\n    pass",
    "from math import *",
    "next(x for x in [1] if x)",
    "seen = []\nfor x in map(seen.append, [1, 2]):\n    break\nassert len(seen) < 2",
    "sorted(['b'], key=str.lower)",
    "d = {1: 2}\nmax(d, key=d.get)",
    "list(map(fetch, [1]))",
    "sorted([1], key=lambda x: fetch(x))",
    "async def f(): pass\nawait asyncio.gather(f(), return_exceptions=True)",
    *(f"asyncio.{name}" for name in ("create_task", "wait_for", "Semaphore", "TaskGroup")),
    "try:\n    raise ValueError('a', 'b')\nexcept ValueError:\n    pass",
    "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    e.__cause__",
    *("callable(len)", "issubclass(int, int)", "globals()", "vars()", "dir()", "input()", "bytearray()"),
    *("object()", "super()", "import sys\nsys.exit()", "'a'.translate({})", "(5).bit_length()", "(5.0).is_integer()"),
    *("def f(): pass\nf.__name__", "import json\njson.dumps(1, default=str)"),
    "import re\nre.sub('a', lambda m: 'b', 'a')",
    "open('x')",
    "import os\nos.environ['HOME']",
    "import os\nos.listdir('/')",
]


@pytest.mark.parametrize("code", MISSING)
async def test_what_is_told_to_be_missing_is_missing(sandbox, code):
    async with sandbox.open([fetch]) as session:
        await failure(session, code)
        assert await value(session, "1") == 1


async def test_what_is_told_to_work_works(sandbox):
    async with sandbox.open() as session:
        assert await value(session, "d = {1: 2}\nd.pop(1)\nd") == {}
        assert await value(session, "[x for x in range(9) if x > 3][0]") == 4
        assert await value(session, "sorted(['b', 'A'], key=lambda s: s.lower())") == ["A", "b"]


@pytest.mark.parametrize("limits", [3, "none", {"seconds": 1}])
def test_wrong_arguments(limits):
    with pytest.raises(ConfigurationError, match="SandboxLimits"):
        MontySandbox(limits=limits)


def test_tools_that_do_not_fit():
    with pytest.raises(ConfigurationError, match="no Python identifier"):
        MontySandbox().open([tool(look, name="look-up")])


async def test_limits_of_the_sandbox_and_of_the_session():
    sandbox = MontySandbox(limits=SandboxLimits(calls=1))
    async with sandbox.open([look]) as session:
        assert (await failure(session, "look(1), look(2)")).type == "RuntimeError"
    async with sandbox.open([look], SandboxLimits(calls=2)) as session:
        assert await value(session, "look(1), look(2)") == (1, 2)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with pytest.raises(MissingExtraError) as caught:
        MontySandbox()
    assert "pip install 'tinyagent[monty]'" in str(caught.value)
    assert isinstance(caught.value, ImportError)


async def test_without_the_program(monkeypatch, tmp_path):
    monkeypatch.setenv("MONTY_BIN", str(tmp_path / "nothing"))
    sandbox = MontySandbox()
    for _ in range(2):
        with pytest.raises(SandboxUnavailableError, match="ProcessSandbox"):
            await sandbox.open().start()
        with pytest.raises(SandboxUnavailableError):
            await sandbox.open().execute("1")
    monkeypatch.delenv("MONTY_BIN")
    async with sandbox.open() as session:
        assert await value(session, "1") == 1


# ---- whole programs


def _start(code):
    code = textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _ended(process):
    out, err = process.communicate(timeout=PATIENCE * 2)
    return process.returncode, out, err


def test_importing_it_imports_nothing_of_the_extra():
    code = "import sys, tinyagent.sandbox.monty; print('pydantic_monty' in sys.modules)"
    assert _ended(_start(code)) == (0, "False\n", "")


ENDS_AT_ONCE = """
    import asyncio
    from tinyagent.sandbox.monty import MontySandbox

    async def add(a: int, b: int) -> int:
        "Add."
        return a + b

    async def main():
        async with MontySandbox().open([add]) as session:
            print((await session.execute("print('x')\\nawait asyncio.gather(add(1, 2), add(3, 4))")).value)

    asyncio.run(main())
"""


@pytest.mark.one_in(3)
@pytest.mark.timeout(180)
@pytest.mark.parametrize("attempt", range(5))
def test_programs_that_end_right_after_closing_end_well(attempt):
    """Without care one in five aborts, when a thread of the package meets an interpreter that is gone."""
    programs = [_start(ENDS_AT_ONCE) for _ in range(4)]
    assert [_ended(program) for program in programs] == [(0, "[3, 7]\n", "")] * 4


LEAVES_IT_OPEN = """
    import asyncio, os
    from pathlib import Path
    from tinyagent.sandbox.monty import MontySandbox

    async def main():
        session = MontySandbox().open()
        await session.start()
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
        threads = Path(f"/proc/{os.getpid()}/task").iterdir()
        print(*{child for thread in threads for child in (thread / "children").read_text().split()})
        keep.append(session)

    keep = []
    asyncio.run(main())
"""


@linux_only
def test_a_program_that_forgets_to_close_leaves_no_process():
    code, out, err = _ended(_start(LEAVES_IT_OPEN))
    assert (code, err) == (0, "")
    assert out.split()
    until = time.monotonic() + PATIENCE
    while any(_is_worker(pid) for pid in out.split()):
        assert time.monotonic() < until
        time.sleep(0.01)


def _is_worker(pid):
    with contextlib.suppress(OSError):
        return "monty" in Path(f"/proc/{pid}/comm").read_text()
    return False
