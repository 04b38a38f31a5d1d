"""Every style of calling tools gives the same value in every sandbox, and calls that are awaited together are made
together: they all wait until as many of them as there should be are in flight."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

import ast
import asyncio
import itertools

import pytest

from tinyagent.core.registry import tool
from tinyagent.sandbox.inprocess import PythonExecutor
from tinyagent.sandbox.monty import MontySandbox
from tinyagent.sandbox.process import ProcessSandbox

ONLY_HERE = pytest.mark.skipif(ProcessSandbox.reason_against() is not None, reason="no process sandbox here")
PROCESS = pytest.param(ProcessSandbox, id="process", marks=ONLY_HERE)
MONTY = pytest.param(MontySandbox, id="monty")
TRUSTED = pytest.param(PythonExecutor, id="trusted")
#: Seconds after which calls that are alone are told so; nobody waits for it in a test that passes.
ALONE = 5


class Meeting:
    """Two tools whose calls wait until so many of them are in flight."""

    def __init__(self, parties: int) -> None:
        self.barrier = asyncio.Barrier(parties)

    async def meet(self, x: int = 0) -> int:
        """Wait for the others."""
        async with asyncio.timeout(ALONE):
            await self.barrier.wait()
        return x * 10

    async def join(self, x: int = 0) -> int:
        """Wait for the others, too."""
        return await self.meet(x)


IN = "import asyncio\n"
ALL = "async def gather_all(calls):\n    return await asyncio.gather(*calls)\n"
#: Code, the three calls of which are in flight at once in Monty and in the default sandbox; its value is [10, 20, 30].
TOGETHER = {
    "gather": "await asyncio.gather(meet(1), meet(2), meet(3))",
    "gather under another name": "from asyncio import gather as g\nawait g(meet(1), meet(2), meet(3))",
    "gather of names under another name": "from asyncio import gather as g\na, b = meet(1), meet(2)\nc = meet(3)\nawait g(a, b, c)",
    "asyncio under another name": "import asyncio as aio\nawait aio.gather(*[meet(i) for i in (1, 2, 3)])",
    "names": "a = meet(1)\nb = meet(2)\nc = meet(3)\n[await a, await b, await c]",
    "unpacked names": "a, b, c = meet(1), meet(2), meet(3)\n[await a, await b, await c]",
    "a name of a name": "ts = [meet(1), meet(2), meet(3)]\nus = ts\nawait asyncio.gather(*us)",
    "list": "ts = [meet(i) for i in (1, 2, 3)]\nawait asyncio.gather(*ts)",
    "list awaited one by one": "ts = [meet(i) for i in (1, 2, 3)]\nr = []\nfor t in ts:\n    r.append(await t)\nr",
    "list awaited in a comprehension": "ts = [meet(i) for i in (1, 2, 3)]\n[await t for t in ts]",
    "list by index": "ts = [meet(1), meet(2), meet(3)]\n[await ts[0], await ts[1], await ts[2]]",
    "appended": "ts = []\nfor i in (1, 2, 3):\n    ts.append(meet(i))\nawait asyncio.gather(*ts)",
    "added": "ts = []\nfor i in (1, 2, 3):\n    ts += [meet(i)]\nawait asyncio.gather(*ts)",
    "two lists": "await asyncio.gather(*[meet(1)], *([meet(2)] + [meet(3)]))",
    "tuple": "ts = meet(1), meet(2), meet(3)\nlist(await asyncio.gather(*ts))",
    "generator": "await asyncio.gather(*(meet(i) for i in (1, 2, 3)))",
    "dict": "ts = {k: meet(k) for k in (1, 2, 3)}\nlist({k: await t for k, t in ts.items()}.values())",
    "dict values": "ts = {k: meet(k) for k in (1, 2, 3)}\nawait asyncio.gather(*ts.values())",
    "dict values awaited": "ts = {k: meet(k) for k in (1, 2, 3)}\n[await t for t in ts.values()]",
    "dict by key": "ts = {k: meet(k) for k in (1, 2, 3)}\n[await ts[k] for k in ts]",
    "dict display": "ts = {'a': meet(1), 'b': meet(2), 'c': meet(3)}\nr = {}\nfor k, t in ts.items():\n    r[k] = await t\nlist(r.values())",
    "dict filled": "ts = {}\nfor i in (1, 2, 3):\n    ts[i] = meet(i)\n[await t for t in ts.values()]",
    "dict zipped with its results": "ts = {k: meet(k) for k in (1, 2, 3)}\nr = dict(zip(ts.keys(), await asyncio.gather(*ts.values())))\nlist(r.values())",
    "zipped": "ts = [meet(i) for i in (1, 2, 3)]\n[await t for n, t in zip('abc', ts)]",
    "pairs": "ts = [(i, meet(i)) for i in (1, 2, 3)]\n[await t for _, t in ts]",
    "in a function": "def f(i):\n    return meet(i)\nawait asyncio.gather(*[f(i) for i in (1, 2, 3)])",
    "list of a function": "def f():\n    return [meet(i) for i in (1, 2, 3)]\nawait asyncio.gather(*f())",
    "list of a function by a name": "def f(xs):\n    ts = []\n    for x in xs:\n        ts.append(meet(x))\n    return ts\nts = f((1, 2, 3))\nawait asyncio.gather(*ts)",
    "in a function that calls another": "def f(i):\n    return meet(i)\ndef g(i):\n    return f(i)\nawait asyncio.gather(*[g(i) for i in (1, 2, 3)])",
    "in a lambda": "f = lambda i: meet(i)\nawait asyncio.gather(f(1), f(2), f(3))",
    "in a coroutine": "async def f(i):\n    return await meet(i)\nawait asyncio.gather(*[f(i) for i in (1, 2, 3)])",
    "in a coroutine, not awaited": "async def f(i):\n    r = meet(i)\n    return r\nawait asyncio.gather(*[f(i) for i in (1, 2, 3)])",
    "a list for a coroutine": ALL + "await gather_all([meet(x) for x in (1, 2, 3)])",
    "a named list for a coroutine": ALL + "ts = [meet(x) for x in (1, 2, 3)]\nawait gather_all(ts)",
    "a keyword for a coroutine": ALL + "await gather_all(calls=[meet(x) for x in (1, 2, 3)])",
    "calls for a coroutine": "async def gather_these(*calls):\n    return await asyncio.gather(*calls)\nawait gather_these(meet(1), meet(2), meet(3))",
    "nested gather": "a, b = await asyncio.gather(asyncio.gather(meet(1), meet(2)), meet(3))\n[*a, b]",
    "asyncio.run": "async def main():\n    return await asyncio.gather(meet(1), meet(2), meet(3))\nasyncio.run(main())",
    "asyncio.run of a list": "async def main():\n    ts = [meet(i) for i in (1, 2, 3)]\n    return await asyncio.gather(*ts)\nasyncio.run(main())",
    "another name": "f = meet\nawait asyncio.gather(f(1), f(2), f(3))",
    "tools in a list": "fs = [meet, join, meet]\nawait asyncio.gather(*[f(i) for f, i in zip(fs, (1, 2, 3))])",
    "tools in a list, kept": "fs = [meet, join, meet]\nts = [f(i) for f, i in zip(fs, (1, 2, 3))]\nawait asyncio.gather(*ts)",
    "a tool of a list": "fs = [meet, join]\nawait asyncio.gather(fs[0](1), fs[1](2), fs[0](3))",
    "tools in a loop": "ts = []\nfor i, f in enumerate((meet, join, meet)):\n    ts.append(f(i + 1))\nawait asyncio.gather(*ts)",
    "tools in a dict": "fs = {'a': meet, 'b': join, 'c': meet}\nts = [f(i) for i, f in enumerate(fs.values(), 1)]\nawait asyncio.gather(*ts)",
    "tools by their names": "fs = {'a': meet, 'b': join}\nawait asyncio.gather(fs['a'](1), fs['b'](2), fs.get('a')(3))",
    "a tool as an argument": "def f(g, xs):\n    return [g(x) for x in xs]\nawait asyncio.gather(*f(meet, (1, 2, 3)))",
    "a tool as an argument of a coroutine": "async def f(g, xs):\n    return await asyncio.gather(*[g(x) for x in xs])\nawait f(meet, (1, 2, 3))",
}
TOGETHER_ACROSS = {
    "a coroutine of another block": [ALL, "await gather_all([meet(x) for x in (1, 2, 3)])"],
    "a function of another block": [
        "def f(i):\n    return meet(i)",
        "await asyncio.gather(*[f(i) for i in (1, 2, 3)])",
    ],
    "a list of another block's function": [
        "def f(xs):\n    return [meet(x) for x in xs]",
        "await asyncio.gather(*f((1, 2, 3)))",
    ],
}
#: The same, with what only the whole of Python has.
TOGETHER_IN_PYTHON = {
    "set": "ts = {meet(1), meet(2), meet(3)}\nsorted(await asyncio.gather(*ts))",
    "set comprehension": "ts = {meet(i) for i in (1, 2, 3)}\nsorted(await asyncio.gather(*ts))",
    "map": "await asyncio.gather(*map(meet, (1, 2, 3)))",
    "map kept": "ts = list(map(meet, (1, 2, 3)))\nawait asyncio.gather(*ts)",
    "map of a lambda": "await asyncio.gather(*map(lambda i: meet(i), (1, 2, 3)))",
    "starmap": "import itertools\nawait asyncio.gather(*itertools.starmap(meet, [(1,), (2,), (3,)]))",
    "partial": "import functools\nfs = [functools.partial(meet, i) for i in (1, 2, 3)]\nawait asyncio.gather(*[f() for f in fs])",
    "generator function": "def f():\n    for i in (1, 2, 3):\n        yield meet(i)\nawait asyncio.gather(*f())",
    "decorated": "def logged(f):\n    def inner(*a):\n        return f(*a)\n    return inner\nf = logged(meet)\nawait asyncio.gather(f(1), f(2), f(3))",
    "decorated, kept": "def logged(f):\n    def inner(*a):\n        return f(*a)\n    return inner\nf = logged(meet)\nts = [f(i) for i in (1, 2, 3)]\nawait asyncio.gather(*ts)",
    "decorator": "import functools\ndef logged(f):\n    @functools.wraps(f)\n    def inner(*a):\n        return f(*a)\n    return inner\n@logged\ndef g(i):\n    return meet(i)\nawait asyncio.gather(g(1), g(2), g(3))",
    "cached": "import functools\n@functools.cache\ndef f(i):\n    return meet(i)\nr = [await t for t in [f(1), f(2), f(3), f(1)]]\nr[:3]",
    "create_task": "ts = [asyncio.create_task(meet(i)) for i in (1, 2, 3)]\n[await t for t in ts]",
    "create_task of kept calls": "cs = [meet(i) for i in (1, 2, 3)]\nts = [asyncio.create_task(c) for c in cs]\n[await t for t in ts]",
    "create_task under another name": "from asyncio import create_task as start\nts = [start(meet(i)) for i in (1, 2, 3)]\n[await t for t in ts]",
    "ensure_future": "ts = [asyncio.ensure_future(meet(i)) for i in (1, 2, 3)]\n[await t for t in ts]",
    "task group": "async with asyncio.TaskGroup() as g:\n    ts = [g.create_task(meet(i)) for i in (1, 2, 3)]\n[t.result() for t in ts]",
    "task group of kept calls": "cs = [meet(i) for i in (1, 2, 3)]\nasync with asyncio.TaskGroup() as g:\n    ts = [g.create_task(c) for c in cs]\n[t.result() for t in ts]",
    "task group and another name": "f = meet\nasync with asyncio.TaskGroup() as g:\n    ts = [g.create_task(f(i)) for i in (1, 2, 3)]\n[t.result() for t in ts]",
    "as_completed": "sorted([await t for t in asyncio.as_completed([meet(i) for i in (1, 2, 3)])])",
    "as_completed of kept calls": "ts = [meet(i) for i in (1, 2, 3)]\nsorted([await t for t in asyncio.as_completed(ts)])",
    "wait": "done, _ = await asyncio.wait([meet(1), meet(2), meet(3)])\nsorted(t.result() for t in done)",
    "wait for kept calls": "ts = {meet(i) for i in (1, 2, 3)}\ndone, _ = await asyncio.wait(ts)\nsorted(t.result() for t in done)",
    "wait for tasks": "ts = [asyncio.create_task(meet(i)) for i in (1, 2, 3)]\nawait asyncio.wait(ts)\n[t.result() for t in ts]",
    "wait_for": "await asyncio.gather(*[asyncio.wait_for(meet(i), 30) for i in (1, 2, 3)])",
    "wait_for of a kept gather": "g = asyncio.gather(*[meet(i) for i in (1, 2, 3)])\nawait asyncio.wait_for(g, timeout=30)",
    "wait_for by keyword": "ts = [asyncio.wait_for(fut=meet(i), timeout=30) for i in (1, 2, 3)]\nawait asyncio.gather(*ts)",
    "shield": "await asyncio.gather(*[asyncio.shield(meet(i)) for i in (1, 2, 3)])",
    "timeout": "async with asyncio.timeout(30):\n    r = await asyncio.gather(*[meet(i) for i in (1, 2, 3)])\nr",
    "semaphore": "s = asyncio.Semaphore(3)\nasync def f(i):\n    async with s:\n        return await meet(i)\nawait asyncio.gather(*[f(i) for i in (1, 2, 3)])",
    "async generator": "async def f():\n    ts = [meet(i) for i in (1, 2, 3)]\n    for t in ts:\n        yield await t\n[x async for x in f()]",
    "a loop of one's own": "loop = asyncio.new_event_loop()\nasync def f():\n    return await asyncio.gather(*[meet(i) for i in (1, 2, 3)])\nloop.run_until_complete(f())",
    "attribute": "class A:\n    pass\na = A()\na.ts = [meet(i) for i in (1, 2, 3)]\nawait asyncio.gather(*a.ts)",
    "a tool as an attribute": "class A:\n    def __init__(self, f):\n        self.f = f\na = A(meet)\nawait asyncio.gather(*[a.f(i) for i in (1, 2, 3)])",
    "method": "class A:\n    def f(self, i):\n        return meet(i)\na = A()\nawait asyncio.gather(*[a.f(i) for i in (1, 2, 3)])",
    "static method": "class A:\n    f = staticmethod(meet)\nawait asyncio.gather(*[A.f(i) for i in (1, 2, 3)])",
    "dataclass": "import dataclasses\n@dataclasses.dataclass\nclass Job:\n    i: int\n    call: object\njobs = [Job(i, meet(i)) for i in (1, 2, 3)]\n[await job.call for job in jobs]",
    "a tool in a dataclass": "import dataclasses\n@dataclasses.dataclass\nclass Job:\n    i: int\n    f: object\njobs = [Job(i, meet) for i in (1, 2, 3)]\nawait asyncio.gather(*[job.f(job.i) for job in jobs])",
    "threads": "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(3) as p:\n    r = list(p.map(meet, (1, 2, 3)))\nr",
    "to_thread": "await asyncio.gather(*[asyncio.to_thread(meet, i) for i in (1, 2, 3)])",
}


def pieces_of(code: str) -> list[str]:
    """The code, statement by statement."""
    lines = code.splitlines(keepends=True)
    starts = [
        min([one.lineno, *(each.lineno for each in getattr(one, "decorator_list", []))]) - 1
        for one in ast.parse(code).body
    ]
    return ["".join(lines[start:end]) for start, end in itertools.pairwise([*starts, len(lines)])]


async def value(kind, tools, *blocks):
    """The value of the last block; none may fail."""
    execution = None
    async with kind().open(tools) as session:
        for code in blocks:
            async with asyncio.timeout(60):
                execution = await session.execute(code)
            assert execution.error is None, execution.error.traceback or str(execution.error)
    return execution.value


@pytest.mark.parametrize("kind", [PROCESS, MONTY])
@pytest.mark.parametrize("style", TOGETHER)
async def test_calls_that_are_awaited_together_are_in_flight_together(kind, style):
    meeting = Meeting(3)
    assert await value(kind, [meeting.meet, meeting.join], IN + TOGETHER[style]) == [10, 20, 30]


@ONLY_HERE
@pytest.mark.parametrize("style", TOGETHER_IN_PYTHON)
async def test_and_those_of_the_whole_of_python(style):
    meeting = Meeting(3)
    assert await value(ProcessSandbox, [meeting.meet], IN + TOGETHER_IN_PYTHON[style]) == [10, 20, 30]


@pytest.mark.parametrize("kind", [PROCESS, MONTY])
@pytest.mark.parametrize("style", TOGETHER_ACROSS)
async def test_and_those_of_functions_of_an_earlier_block(kind, style):
    meeting = Meeting(3)
    assert await value(kind, [meeting.meet], IN, *TOGETHER_ACROSS[style]) == [10, 20, 30]


F = "async def f(i):\n    return await g(i)\n"
#: Code that uses calls as values and awaits them, `g` giving back what it gets; all that has no `await` runs everywhere.
VALUES = {
    "plain": ("g(1) + g(2)", 3),
    "in a list": ("[g(1), g(2)]", [1, 2]),
    "in text": ("', '.join([g('a'), g('b')])", "a, b"),
    "in a function": ("def f(i):\n    return g(i)\nf(1) + f(2)", 3),
    "in a lambda": ("f = lambda i: g(i)\nf(1) + f(2)", 3),
    "under another name": ("f = g\nf(1) + f(2)", 3),
    "of a list": ("fs = [g, g]\n[f(i) for i, f in enumerate(fs)]", [0, 1]),
    "of a dict": ("fs = {'a': g}\nfs['a'](1) + fs.get('a')(2)", 3),
    "in a dict": ("{k: g(k) for k in 'ab'}", {"a": "a", "b": "b"}),
    "json": ("import json\njson.dumps({'a': g(1), 'b': [g('x')]})", '{"a": 1, "b": ["x"]}'),
    "await and value": ("x = g(1)\ny = await g(2)\nx + y", 3),
    "another name beside await": ("f = g\nx = f('a')\ny = await g('b')\n' '.join([x, y])", "a b"),
    "a list of tools beside await": (
        "fs = [g, g]\nr = [f('x') for f in fs]\ny = await g('b')\n' '.join([*r, y])",
        "x x b",
    ),
    "a dict of tools beside await": (
        "fs = {'a': g}\nr = fs['a']('x') + fs.get('a')('y') + await g('z')\nr.upper()",
        "XYZ",
    ),
    "a function beside await": ("def f(i):\n    return g(i)\nx = f('a')\ny = await g('b')\n' '.join([x, y])", "a b"),
    "a function, both ways": ("def f(i):\n    return g(i)\n[f(1) + 1, await f(2)]", [2, 2]),
    "awaited twice": ("t = g(1)\n[await t, await t]", [1, 1]),
    "gathered as a set": ("ts = {g(1), g(2)}\nsorted(await asyncio.gather(*ts))", [1, 2]),
    "awaited and used": ("t = g(1)\nx = await t\n[x, t + 1]", [1, 2]),
    "a value awaited": ("x = 5\nawait asyncio.gather(g(1), g(x))", [1, 5]),
    "a list used and gathered": ("ts = [g(1), g(2)]\nn = len(ts)\n[n, *(await asyncio.gather(*ts))]", [2, 1, 2]),
    "in a coroutine": (F + "await f(1)", 1),
    "another name in a coroutine": ("async def f(h):\n    x = h(1)\n    return x + 1\nawait f(g)", 2),
    "arguments of another": ("await g(g(g(1)))", 1),
    "gather under another name, of plain values": (
        "from asyncio import gather as h\nx = g(1)\n[x + 1, *(await h(x, g(2)))]",
        [2, 1, 2],
    ),
}
VALUES_ACROSS = {
    "a function awaited, then used": (
        "def f(i):\n    return g(i)\nr = await asyncio.gather(f(1), f(2))",
        "f(3) + 1",
        4,
    ),
    "a function used, then awaited": (
        "def f(i):\n    return g(i)\nr = f(1) + 1",
        "await asyncio.gather(f(1), f(2))",
        [1, 2],
    ),
    "a lambda awaited, then used": ("f = lambda i: g(i)\nr = await f(1)", "x = f(3) + 1\nx", 4),
    "used beside await": ("def f(i):\n    return g(i)", "x = f('a')\ny = await g('b')\n' '.join([x, y])", "a b"),
    "a list of tools": ("fs = [g, g]", "[await f(i) for i, f in enumerate(fs)]", [0, 1]),
    "kept for the next block": ("ts = [g(1), g(2)]", "await asyncio.gather(*ts)", [1, 2]),
    "a dict kept": ("ts = {k: g(k) for k in 'ab'}", "{k: await t for k, t in ts.items()}", {"a": "a", "b": "b"}),
    "a name taken by another function": (
        "def f(i):\n    return g(i)\nr = await f(1)",
        "def f(i):\n    return i\nf(2) + 1",
        3,
    ),
}
VALUES_IN_PYTHON = {
    "gathered twice": ("t = g(1)\n[*(await asyncio.gather(t, t)), await t]", [1, 1, 1]),
    "map beside await": ("y = await g('b')\n[x.upper() for x in map(g, 'ab')]", ["A", "B"]),
    "map of numbers": ("y = await g(1)\nsum(map(g, [1, 2])) + y", 4),
    "map as the value": ("y = await g(1)\nlist(map(g, [1, 2]))", [1, 2]),
    "map in text": ("y = await g('c')\n' '.join([*map(g, 'ab'), y])", "a b c"),
    "map in JSON": ("import json\ny = await g('c')\njson.dumps([*map(g, 'ab'), y])", '["a", "b", "c"]'),
    "sorted by a tool": ("y = await g(1)\nsorted([3, 1, 2], key=g)", [1, 2, 3]),
    "filter": ("y = await g(1)\nlist(filter(g, [0, 1]))", [1]),
    "partial": ("import functools\nf = functools.partial(g, 1)\ny = await g(2)\nf() + y", 3),
    "partial in text": ("import functools\nf = functools.partial(g, 'a')\ny = await g('b')\n' '.join([f(), y])", "a b"),
    "decorated": (
        "def d(f):\n    def inner(*a):\n        return f(*a)\n    return inner\nf = d(g)\ny = await g(2)\nf(1) + y",
        3,
    ),
    "decorated, to another tool": (
        "def d(f):\n    def inner(*a):\n        return f(*a)\n    return inner\nf = d(g)\nawait g([f(1), {'a': f(2)}, (f(3),)])",
        [1, {"a": 2}, (3,)],
    ),
    "decorated, asked for its class": (
        "def d(f):\n    def inner(*a):\n        return f(*a)\n    return inner\nf = d(g)\ny = await g(2)\nx = f('a')\n[isinstance(x, str), x == 'a', {x: 1}['a'], f'{x:>2}', x in ['a'], len(x), x[0]]",
        [True, True, 1, " a", True, 1, "a"],
    ),
    "attribute": ("class A:\n    f = staticmethod(g)\ny = await g(2)\nA.f(1) + y", 3),
    "in eval": (
        "ts = [eval('g(i)', {'g': g, 'i': i}) for i in (1, 2)]\n[ts[0] + 1, *(await asyncio.gather(*ts))]",
        [2, 1, 2],
    ),
    "a pool of threads": (
        "from concurrent.futures import ThreadPoolExecutor as P\nwith P() as p:\n    r = list(p.map(g, (1, 2)))\n[r[0] + await g(2), r[1]]",
        [3, 2],
    ),
    "a pool of threads, awaited": (
        "loop = asyncio.get_running_loop()\nts = [loop.run_in_executor(None, g, i) for i in (1, 2)]\nawait asyncio.gather(*ts)",
        [1, 2],
    ),
    "what filters what is gathered": ("await asyncio.gather(*map(g, filter(g, (0, 1, 2))))", [1, 2]),
    "what sorts what is gathered": (
        "f = g\nawait asyncio.gather(*map(f, sorted((3, 1, 2), key=f)), f(4))",
        [1, 2, 3, 4],
    ),
    "calls kept and shown": ("ts = [g(1), g(2)]\ns = str(ts)\n[s, *(await asyncio.gather(*ts))]", ["[1, 2]", 1, 2]),
    "one tool under another name, both ways": ("f = g\nx = [f(1)]\ny = await f(2)\n[x, y]", [[1], 2]),
    "a call that is awaited later or never": (
        "def f(i):\n    return g(i)\nx, y = {'a': f(1)}, await f(2)\n[x['a'] + 1, y]",
        [2, 2],
    ),
    "a task's result": ("t = asyncio.create_task(g(1))\nawait t\nt.result()", 1),
    "isawaitable": (
        "import inspect\nf = {'a': g}['a']\nx = f(1)\nif inspect.isawaitable(x):\n    x = await x\nx + 1",
        2,
    ),
    "iscoroutine": ("import inspect\nx = g(1)\nif inspect.iscoroutine(x):\n    x = await x\nx + 1", 2),
    "an own loop": ("loop = asyncio.new_event_loop()\nloop.run_until_complete(g(1))", 1),
    "run": ("asyncio.run(g(1))", 1),
    "run of a kept call": ("t = g(1)\nasyncio.run(t)", 1),
    "Runner": ("with asyncio.Runner() as r:\n    x = r.run(g(1))\nx", 1),
}


def runs_in(kind, code):
    return kind is not PythonExecutor or not any(word in code for word in ("await", "asyncio"))


async def later(x: object = None) -> object:
    """Give back what it gets, later."""
    await asyncio.sleep(0)
    return x


def now(x: object = None) -> object:
    """Give back what it gets."""
    return x


@pytest.mark.parametrize("function", [later, now], ids=["async", "sync"])
@pytest.mark.parametrize("kind", [PROCESS, MONTY, TRUSTED])
@pytest.mark.parametrize("style", VALUES)
async def test_the_value_is_the_same_however_the_call_is_meant(kind, style, function):
    code, expected = VALUES[style]
    if not runs_in(kind, code) or (kind is PythonExecutor and function is later):
        pytest.skip("this sandbox is synchronous")
    blocks = [IN] if kind is not PythonExecutor else []
    assert await value(kind, [tool(function, name="g")], *blocks, code) == expected


@ONLY_HERE
@pytest.mark.parametrize("function", [later, now], ids=["async", "sync"])
@pytest.mark.parametrize("style", VALUES_IN_PYTHON)
async def test_so_it_is_in_the_whole_of_python(style, function):
    code, expected = VALUES_IN_PYTHON[style]
    assert await value(ProcessSandbox, [tool(function, name="g")], IN + code) == expected


@pytest.mark.parametrize("function", [later, now], ids=["async", "sync"])
@pytest.mark.parametrize("kind", [PROCESS, MONTY])
@pytest.mark.parametrize("style", VALUES_ACROSS)
async def test_so_it_is_across_blocks(kind, style, function):
    first, second, expected = VALUES_ACROSS[style]
    assert await value(kind, [tool(function, name="g")], IN + first, second) == expected


# ---- calls of which it is not known what they are meant as

DECORATED = "def decorated(f):\n    def inner(*a):\n        return f(*a)\n    return inner\n"


@ONLY_HERE
async def test_a_call_that_nobody_looks_at_is_made_and_its_error_is_told():
    made = []

    async def g(x: int) -> int:
        """Fail for what is negative."""
        await asyncio.sleep(0)
        made.append(x)
        if x < 0:
            raise ValueError(f"{x} is negative")
        return x

    async with ProcessSandbox().open([g]) as session:
        assert (await session.execute(IN + DECORATED + "f = decorated(g)\ny = await g(0)\nf(1)\nf(2)\n3")).value == 3
        assert made == [0, 1, 2]
        assert [seen.error for seen in session.last.calls] == [None] * 3
        error = (await session.execute("y = await g(0)\nf(-1)\nx = 5")).error
        assert (error.type, error.message) == ("ValueError", "-1 is negative")


@ONLY_HERE
async def test_a_wait_for_such_a_value_can_be_interrupted():
    started = asyncio.Event()

    async def g(x: int) -> int:
        """Never end."""
        if x:
            started.set()
            await asyncio.Event().wait()
        return x

    async with ProcessSandbox().open([g]) as session:
        code = IN + DECORATED + "f = decorated(g)\ny = await g(0)\nprint(f(1) + 1)"
        running = asyncio.create_task(session.execute(code))
        async with asyncio.timeout(30):
            await started.wait()
            await session.interrupt()
            execution = await running
        assert execution.interrupted
        assert execution.error.type == "KeyboardInterrupt"
        assert (await session.execute("y")).value == 0


@ONLY_HERE
async def test_a_call_that_was_in_flight_when_its_block_ended_does_not_hang_the_next():
    never = asyncio.Event()

    async def g(x: int) -> int:
        """End only for 0."""
        if x:
            await never.wait()
        return x

    async with ProcessSandbox().open([g]) as session:
        code = IN + DECORATED + "f = decorated(g)\ny = await g(0)\nt = asyncio.ensure_future(g(1))\nus = [f(2)]\n"
        code += "1 / 0\nawait asyncio.gather(*us)"
        assert (await session.execute(code)).error.type == "ZeroDivisionError"
        for use in ("await t", "await us[0]"):
            async with asyncio.timeout(30):
                error = (await session.execute(use)).error
            assert error.message == "this call was broken off when its block ended", use


@ONLY_HERE
async def test_its_value_leaves_the_sandbox_as_the_value():
    async with ProcessSandbox().open([tool(later, name="g")]) as session:
        code = IN + DECORATED + "f = decorated(g)\ny = await g(0)\nx = [f(1), {'a': (f(2), {f(3)})}]\nx.append(x[0])\nx"
        execution = await session.execute(code)
        assert (execution.value, execution.repr) == ([1, {"a": (2, {3})}, 1], "[1, {'a': (2, {3})}, 1]")
        assert await session.get("x") == {"x": [1, {"a": (2, {3})}, 1]}
        looped = await session.execute("y = await g(0)\nx = [f(1)]\nx.append(x)\nx.append(x)\nlen(x)")
        assert looped.value == 3
        assert (await session.execute("import copy\ncopy.copy(x[0])")).value == 1


@ONLY_HERE
async def test_its_value_is_waited_for_by_whatever_uses_it():
    code = """
f = decorated(g)
y = await g(0)
a, s, l, d = f(7), f("text"), f([3, 1, 2]), f({"k": 1})
l[0] = 4
del d["k"]
d["n"] = 2
[
    a + 1, 1 + a, a - 1, 10 - a, a * 2, 2 ** a, a // 2, a / 2, a % 4, divmod(a, 2), divmod(15, a), -a, +a, ~a, abs(a),
    a << 1, a >> 1, a & 3, a | 8, a ^ 1, a < 8, 8 >= a, a == 7, 7 == a, a != 7, bool(a), int(a), float(a), complex(a),
    round(a), [10] * 8 == [10] * (a + 1), "abcdefgh"[a], range(a)[-1], hash(a) == hash(7), f"{a:>3}", "%s" % a, str(s),
    repr(s), s.upper(), s[1:], s + "!", "a " + s, len(s), "x" in s, list(s), [*reversed(l)], sorted(l), max(l), l[0],
    next(iter(l)), dict(d), {**d}, isinstance(s, str), isinstance(l, list), type(s.strip()) is str, (lambda *z: z)(*l),
]
"""
    async with ProcessSandbox().open([tool(later, name="g")]) as session:
        execution = await session.execute(IN + DECORATED + code)
        assert execution.error is None, execution.error.traceback
        scope = {}
        exec(DECORATED + code.replace("await g", "g"), {"g": lambda x: x}, scope)
        source = code[code.index("[\n") :]
        assert execution.value == eval(source, {"f": None, **scope})
