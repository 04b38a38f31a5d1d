"""Tools that are handed on: given to functions, kept in objects and dicts, wrapped. Where a block awaits something, too,
their calls give the values that plain Python gives, and fail where they stand."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

import ast
import asyncio
import contextlib
import io

import pytest

from tests.sandbox.test_styles import ALL, IN, MONTY, ONLY_HERE, PROCESS, Meeting
from tinyagent.sandbox.process import ProcessSandbox

WAIT = "import asyncio\nawait asyncio.sleep(0)\n"


def tools():
    """Tools as plain functions; and the same as coroutines."""

    def maybe(x: int) -> int | None:
        """Nothing for even numbers."""
        return x if x % 2 else None

    def num(x: int) -> int:
        """Ten times as much."""
        return x * 10

    def word(x: str) -> str:
        """Twice the word."""
        return x * 2

    def fail(x: str) -> str:
        """Never works."""
        raise ValueError(f"bad {x}")

    plain = {function.__name__: function for function in (maybe, num, word, fail)}

    def coroutine(function):
        async def call(x):
            await asyncio.sleep(0)
            return function(x)

        call.__name__, call.__doc__, call.__annotations__ = (
            function.__name__,
            function.__doc__,
            function.__annotations__,
        )
        return call

    return plain, [coroutine(function) for function in plain.values()]


HANDED = {
    "a function": "def f(fn, x): return fn(x)\nr = f(maybe, 2)\nprint(r is None, type(f(num, 1)), ','.join([f(word, 'a')]))",
    "a list of a function": "def f(fn, xs): return [fn(x) for x in xs]\nprint(','.join(f(word, 'ab')), [x is None for x in f(maybe, [1, 2])])",
    "a dict of a function": "import json\ndef f(fns, x):\n    out = {}\n    for fn in fns: out[fn.__name__] = fn(x)\n    return out\nd = f([maybe, num], 2)\nprint(d['maybe'] is None, json.dumps(d))",
    "a tuple of a function": "def f(fn, gn): return fn(2), gn(2)\na, b = f(maybe, num)\nprint(a is None, type(b))",
    "a generator": "def each(fns):\n    for fn in fns: yield fn(2)\nprint([x is None for x in each([maybe, num])])",
    "a try": "def safe(fn, x):\n    try:\n        return fn(x)\n    except ValueError as e:\n        return f'caught {e}'\nprint(safe(fail, 'x'), safe(maybe, 2) is None)",
    "suppressed": "from contextlib import suppress\ndef quiet(fn, x):\n    with suppress(ValueError):\n        return fn(x)\nprint(quiet(fail, 'a'), quiet(word, 'b'))",
    "a decorator": "def safe(fn):\n    def inner(x):\n        try:\n            return fn(x)\n        except ValueError as e:\n            return f'caught {e}'\n    return inner\nsf, sm = safe(fail), safe(maybe)\nprint(sf('x'), sm(2) is None)",
    "a cache": "cache = {}\ndef memo(fn):\n    def inner(x):\n        if x not in cache: cache[x] = fn(x)\n        return cache[x]\n    return inner\nm = memo(maybe)\nprint(m(2) is None, m(2) is None, cache)",
    "lru_cache": "from functools import lru_cache\np = lru_cache(None)(maybe)\nr = p(2)\nprint(r is None, p(2) is None)",
    "a field": "class W:\n    def __init__(self, fn): self.fn = fn\n    def run(self, x):\n        r = self.fn(x)\n        return 'none' if r is None else type(r)\nprint(W(maybe).run(2), W(num).run(1))",
    "a field, returned": "class W:\n    def __init__(self, fn): self.fn = fn\n    def run(self, x): return self.fn(x)\nr = W(maybe).run(2)\nprint(r is None, ','.join([W(word).run('z')]))",
    "a field of a class": "class C:\n    tool = staticmethod(maybe)\nprint(C.tool(2) is None, C().tool(2) is None)",
    "a dataclass": "from dataclasses import dataclass\n@dataclass\nclass Step:\n    fn: object\n    arg: object\n    result: object = 0\nsteps = [Step(maybe, 2), Step(num, 3)]\nfor s in steps: s.result = s.fn(s.arg)\nprint([s.result is None for s in steps], type(steps[1].result))",
    "a registry": "class R:\n    def __init__(self): self.tools = {}\n    def register(self, f): self.tools[f.__name__] = f\n    def call(self, name, *a): return self.tools[name](*a)\nr = R()\nfor f in (maybe, num, word): r.register(f)\nprint(r.call('maybe', 2) is None, ' '.join(r.call('word', q) for q in 'ab'))",
    "a namespace": "import types\nT = types.SimpleNamespace(m=maybe, w=word)\nr = T.m(2)\nprint(r is None, '-'.join([T.w('a')]))",
    "a dict of keywords": "T = dict(m=maybe, n=num)\nr = T['m'](2)\nprint(r is None, type(T['n'](1)))",
    "a default": "def f(x, fn=maybe):\n    r = fn(x)\n    return 'none' if r is None else r\nprint(f(2), f(1), f(2, fn=num))",
    "looked at and returned": "def f(fn, x):\n    r = fn(x)\n    print(r is None)\n    return r\na = f(maybe, 2)\nprint(a is None)",
    "starmap": "import itertools\nprint(','.join(list(itertools.starmap(word, [('a',), ('b',)]))))",
    "reduce": "from functools import reduce\nr = reduce(lambda a, f: f(a), [num, num], 1)\nprint(type(r), r)",
    "map in a function": "def f(): return list(map(word, 'ab'))\nprint(','.join(f()))",
    "statistics": "import statistics\ndef f(fn): return [fn(i) for i in (1, 2, 3)]\nprint(statistics.mean(f(num)))",
    "an argument of the library": "from datetime import timedelta\ndef f(fn): return fn(1)\nprint(timedelta(days=f(num)))",
    "an argument of a function": "def show(r): print(r is None)\ndef f(fn): return fn(2)\nshow(f(maybe))",
    "match": "def f(fn, x): return fn(x)\nmatch f(maybe, 2):\n    case None: print('none')\n    case other: print('other', other)",
    "a property": "class C:\n    def __init__(self, fn): self.fn = fn\n    @property\n    def v(self): return self.fn(2)\nprint(C(maybe).v is None, type(C(num).v))",
    "a method of an operator": "class C:\n    def __init__(self, fn): self.fn = fn\n    def __getitem__(self, k): return self.fn(k)\nprint(C(maybe)[2] is None, type(C(num)[1]))",
    "a named tuple": "from collections import namedtuple\nP = namedtuple('P', 'a b')\ndef f(fn, x): return fn(x)\np = P(f(num, 1), f(maybe, 2))\nprint(p, p.b is None, P.__module__)",
    "a returned map": "def rows(fn): return map(fn, range(3))\nfor r in rows(maybe): print(r is None)",
    "a chain": "def first(fns, x):\n    for fn in fns:\n        try:\n            return fn(x)\n        except ValueError as e:\n            print('skip', e)\nprint(first([fail, word], 'q').upper())",
}


@ONLY_HERE
@pytest.mark.parametrize("style", HANDED)
async def test_calls_of_tools_that_are_handed_on_give_plain_values(style):
    plain, coroutines = tools()
    with contextlib.redirect_stdout(io.StringIO()) as expected:
        exec(HANDED[style], {**plain, "__name__": "__main__"})
    async with ProcessSandbox().open(coroutines) as session:
        for code in (HANDED[style], WAIT + HANDED[style]):
            execution = await session.execute(code)
            assert execution.error is None, execution.error.traceback
            assert execution.stdout == expected.getvalue(), code


@ONLY_HERE
async def test_so_it_is_across_blocks_and_what_is_kept_is_plain_in_the_next_one():
    async with ProcessSandbox().open(tools()[1]) as session:
        for code in (
            "class R:\n    def __init__(self): self.t = {}\n    def call(self, name, x): return self.t[name](x)\nreg = R()\nreg.t['m'] = maybe",
            WAIT + "r = reg.call('m', 2)\nassert r is None",
            WAIT + "import itertools\nkept = [it for it in itertools.starmap(word, [('a',)])], {'a': map(word, 'a')}",
            "assert type(kept[0][0]) is str\n','.join(kept[0])",
        ):
            execution = await session.execute(code)
            assert execution.error is None, execution.error.traceback
    assert execution.value == "aa"


#: Calls that plain Python makes together; their value is [10, 20, 30].
TOGETHER = {
    "lambdas in a list": "fs = [lambda i=i: meet(i) for i in (1, 2, 3)]\nawait asyncio.gather(*[f() for f in fs])",
    "lambdas in a dict": "fs = {'a': lambda: meet(1), 'b': lambda: meet(2), 'c': lambda: meet(3)}\nawait asyncio.gather(*(f() for f in fs.values()))",
    "functions in a list": "def a(): return meet(1)\ndef b(): return meet(2)\ndef c(): return meet(3)\nawait asyncio.gather(*[f() for f in [a, b, c]])",
    "lists in a dict": "gs = {}\nfor i in (1, 2, 3):\n    gs.setdefault('k', []).append(meet(i))\n[await asyncio.gather(*g) for g in gs.values()][0]",
    "lists in a defaultdict": "from collections import defaultdict\ngs = defaultdict(list)\nfor i in (1, 2, 3):\n    gs['k'].append(meet(i))\n[await asyncio.gather(*g) for g in gs.values()][0]",
    "a tool as a default": "def f(i, fn=meet): return fn(i)\nawait asyncio.gather(*[f(i) for i in (1, 2, 3)])",
}


@pytest.mark.parametrize("style", TOGETHER)
@pytest.mark.parametrize("kind", [PROCESS, MONTY])
async def test_and_are_made_together_where_they_are_awaited_together(kind, style):
    if kind is not ProcessSandbox and "defaultdict" in style:
        pytest.skip("Monty has no defaultdict")
    meeting = Meeting(3)
    async with kind().open([meeting.meet]) as session:
        execution = await session.execute(IN + TOGETHER[style])
    assert execution.error is None, execution.error.traceback
    assert execution.value == [10, 20, 30]


@ONLY_HERE
async def test_a_function_whose_call_is_printed_and_awaited_gives_the_value():
    """Not a future: it is used in both ways."""
    async with ProcessSandbox().open(tools()[1]) as session:
        code = "def f(x):\n    return num(x)\nt = f(1)\nprint(t)\nprint(await t)"
        assert (await session.execute(IN + code)).stdout == "10\n10\n"


@ONLY_HERE
async def test_a_tool_is_a_coroutine_function_if_it_is_async():
    async def later(x: int) -> int:
        """Later."""
        return x

    def now(x: int) -> int:
        """Now."""
        return x

    async with ProcessSandbox().open([later, now]) as session:
        code = IN + "asyncio.iscoroutinefunction(later), asyncio.iscoroutinefunction(now)"
        assert (await session.execute(code)).value == (True, False)


#: Mistakes, and what Python says of them: nothing would have run, and nobody been told.
WRONG = {
    "await f": "object function can't be used in 'await' expression",
    "asyncio.create_task(f)": "a coroutine was expected, got <function f",
    "asyncio.run(f)": "a coroutine",
    "await asyncio.gather(f, f)": "An asyncio.Future, a coroutine or an awaitable is required",
    "await asyncio.gather([f(), f()])": "unhashable type: 'list'",
    "await num": "object RemoteTool can't be used in 'await' expression",
    "await asyncio.wait_for(f, 1)": "An asyncio.Future, a coroutine or an awaitable is required",
    "await asyncio.shield(f)": "An asyncio.Future, a coroutine or an awaitable is required",
    "await [f()]": "object list can't be used in 'await' expression",
}


@ONLY_HERE
@pytest.mark.parametrize("code", WRONG)
async def test_what_is_no_awaitable_and_no_value_is_refused(code):
    async with ProcessSandbox().open(tools()[1]) as session:
        begin = f"{WAIT}async def f(): return 1\n"
        execution = await session.execute(begin + code)
        assert execution.error is not None
        assert execution.error.type == "TypeError" or (execution.error.type == "ValueError" and "run(" in code)
        assert WRONG[code] in execution.error.message
        assert (await session.execute(WAIT + "await asyncio.gather(num(1), [1, 2], {'a': 1}, None)")).value == [
            10,
            [1, 2],
            {"a": 1},
            None,
        ]


def test_the_programs_are_python():
    for code in (*HANDED.values(), *TOGETHER.values(), ALL):
        compile(code, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@ONLY_HERE
async def test_what_holds_itself_or_is_very_deep_is_left_as_it_is():
    async with ProcessSandbox().open(tools()[1]) as session:
        code = (
            "deep = []\nfor _ in range(100_000):\n    deep = [deep]\nring = {}\nring['ring'] = ring\n"
            "def f(fn, *kept):\n    return [fn(1), *kept]\nr = f(num, deep, ring)\nring['list'] = r\ntype(r[0]) is int, r[1] is deep"
        )
        execution = await session.execute(WAIT + code)
        assert execution.error is None, execution.error.traceback
        assert execution.value[1] is True
        assert (await session.execute("ring['ring'] is ring and ring['list'] is r")).value is True
