"""How calls of tools in a block are made explicit, for every place and style of a call."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

import ast
import asyncio
import importlib.util
import re
import textwrap
from pathlib import Path

import pytest

from tinyagent.sandbox.awaits.definitions import Definitions
from tinyagent.sandbox.awaits.names import names_bound
from tinyagent.sandbox.child.rewrite import depends_on_later, needs_loop, rewritten, started_in

#: An async tool and a synchronous one.
TOOLS = {"search": True, "count": False}


def parsed(code):
    return ast.parse(textwrap.dedent(code))


def made_explicit(code, tools=TOOLS):
    tree = parsed(code)
    return rewritten(tree, tools, Definitions().flow(tree, tools), "<block 1>")


def changed(code):
    return re.sub(r", '<block 1>:[^']+'\)", ", place)", ast.unparse(made_explicit(code)))


#: What code becomes. A tool is exchanged where its calls are awaited: `__started__(search)`; in functions that is looked
#: up by the place in the code.
CALLS = {
    # ---- called where a value is wanted
    "alone": ("search(1)", "search(1)"),
    "assigned": ("x = search(1)", "x = search(1)"),
    "annotated": ("x: str = search(1)", "x: str = search(1)"),
    "added": ("x += search(1)", "x += search(1)"),
    "named": ("print(x := search(1))", "print((x := search(1)))"),
    "keywords": ("search(1, *a, q=2, **k)", "search(1, *a, q=2, **k)"),
    "no arguments": ("search()", "search()"),
    "of a value": ("search(1).strip()[0]", "search(1).strip()[0]"),
    "in an argument": ("print(search(1), end=search(2))", "print(search(1), end=search(2))"),
    "of one another": ("search(search(1), k=count(2))", "search(search(1), k=count(2))"),
    "comprehension": ("[search(q) for q in qs]", "[search(q) for q in qs]"),
    "where it iterates": ("[q for q in search(1) if search(q)]", "[q for q in search(1) if search(q)]"),
    "dict": ("{q: search(q) for q in qs}", "{q: search(q) for q in qs}"),
    "generator": ("sum(search(q) for q in qs)", "sum((search(q) for q in qs))"),
    "text": ("f'{search(1)!r:>{search(2)}}'", "f'{search(1)!r:>{search(2)}}'"),
    "condition": ("a if search(1) else search(2)", "a if search(1) else search(2)"),
    "operators": ("not search(1) + -search(2)", "not search(1) + -search(2)"),
    "compared": ("1 < search(1) < 3 and search(2)", "1 < search(1) < 3 and search(2)"),
    "slice": ("x[search(1):search(2)]", "x[search(1):search(2)]"),
    "unpacked": ("a, *b = [*search(1)]", "a, *b = [*search(1)]"),
    "target": ("x[search(1)] = y", "x[search(1)] = y"),
    "if": ("if search(1):\n    search(2)\nelse:\n    search(3)", "if search(1):\n    search(2)\nelse:\n    search(3)"),
    "for": ("for x in search(1):\n    search(x)", "for x in search(1):\n    search(x)"),
    "while": ("while search(1):\n    pass", "while search(1):\n    pass"),
    "with": ("with search(1) as x:\n    search(x)", "with search(1) as x:\n    search(x)"),
    "try": ("try:\n    search(1)\nfinally:\n    search(2)", "try:\n    search(1)\nfinally:\n    search(2)"),
    "match": (
        "match search(1):\n    case str() if search(2):\n        pass",
        "match search(1):\n    case str() if search(2):\n        pass",
    ),
    "raise": ("raise ValueError(search(1)) from search(2)", "raise ValueError(search(1)) from search(2)"),
    "assert": ("assert search(1), search(2)", "assert search(1), search(2)"),
    "delete": ("del x[search(1)]", "del x[search(1)]"),
    # ---- a synchronous tool is a function
    "sync": ("x = count(1)", "x = count(1)"),
    "sync in a coroutine": ("async def f():\n    return count(1)", "async def f():\n    return count(1)"),
    "sync kept": (
        "tasks = [count(q) for q in qs]\nawait asyncio.gather(*tasks)",
        "tasks = [__started__(count)(q) for q in qs]\nawait __awaited__(asyncio.gather(*tasks))",
    ),
    "sync awaited": ("await count(1)", "await __awaited__(__started__(count)(1))"),
    "sync in a task": ("asyncio.create_task(count(1))", "asyncio.create_task(__started__(count)(1))"),
    "sync in wait_for": (
        "await asyncio.wait_for(count(1), 5)",
        "await __awaited__(asyncio.wait_for(__started__(count)(1), 5))",
    ),
    # ---- not called
    "passed to map": ("list(map(search, qs))", "list(map(search, qs))"),
    "passed on": ("keep(search, *qs)", "keep(search, *qs)"),
    "another name": ("f = search\nf(1)", "f = search\nf(1)"),
    "another name that may be it": ("f = search if x else str\nf(1)", "f = search if x else str\nf(1)"),
    "another name that leaves": (
        "def g(f):\n    return f(1)\ng(search)",
        "def g(f):\n    return __started__(f, place)(1)\ng(search)",
    ),
    "another name in a coroutine": (
        "async def g(f):\n    return f(1)\nawait g(search)",
        "async def g(f):\n    return await __called__(f, 1)\nawait __awaited__(g(search))",
    ),
    "in a list": ("for f in [search, count]:\n    print(f(1))", "for f in [search, count]:\n    print(f(1))"),
    "in a dict": ("fs = {'a': search}\nfs['a'](1), fs.get('a')(2)", "fs = {'a': search}\n(fs['a'](1), fs.get('a')(2))"),
    "a method": ("x.search(1)", "x.search(1)"),
    "an item": ("tools['search'](1)", "tools['search'](1)"),
    "partial": ("functools.partial(search, 1)()", "functools.partial(search, 1)()"),
    "key": ("sorted(qs, key=search)", "sorted(qs, key=search)"),
    "text of it": ("print('search(1)')", "print('search(1)')"),
    "its parts": ("search.start(1)", "search.start(1)"),
    # ---- awaited
    "await": ("await search(1)", "await __awaited__(__started__(search)(1))"),
    "await assigned": ("x = await search(1)", "x = await __awaited__(__started__(search)(1))"),
    "arguments of an awaited call": ("await search(search(1))", "await __awaited__(__started__(search)(search(1)))"),
    "arguments of an awaited function": ("await f(search(1))", "await __awaited__(f(search(1)))"),
    "await of either": (
        "await (search(1) if x else search(2))",
        "await __awaited__(__started__(search)(1) if x else __started__(search)(2))",
    ),
    "await of one or other": ("await (x or search(1))", "await __awaited__(x or search(1))"),
    "await of an item": ("await [search(1)][0]", "await __awaited__([__started__(search)(1)][0])"),
    "await in an expression": (
        "(await search(1)) + search(2)",
        "await __awaited__(__started__(search)(1)) + search(2)",
    ),
    "await of anything": ("await x", "await __awaited__(x)"),
    # ---- gathered
    "gather": (
        "await asyncio.gather(search(1), search(2))",
        "await __awaited__(asyncio.gather(__started__(search)(1), __started__(search)(2)))",
    ),
    "gather with options": (
        "await asyncio.gather(search(1), return_exceptions=True)",
        "await __awaited__(asyncio.gather(__started__(search)(1), return_exceptions=True))",
    ),
    "gather by its name": (
        "from asyncio import gather\nawait gather(search(1))",
        "from asyncio import gather\nawait __awaited__(gather(__started__(search)(1)))",
    ),
    "gather by another name": (
        "import asyncio as aio\nawait aio.gather(search(1))",
        "import asyncio as aio\nawait __awaited__(aio.gather(__started__(search)(1)))",
    ),
    "gather a list": (
        "await asyncio.gather(*[search(q) for q in qs])",
        "await __awaited__(asyncio.gather(*[__started__(search)(q) for q in qs]))",
    ),
    "gather a generator": (
        "await asyncio.gather(*(search(q) for q in qs))",
        "await __awaited__(asyncio.gather(*(__started__(search)(q) for q in qs)))",
    ),
    "gather a map": (
        "await asyncio.gather(*map(search, qs))",
        "await __awaited__(asyncio.gather(*map(__started__(search), qs)))",
    ),
    "gather lists together": (
        "await asyncio.gather(*[search(1)], *([search(2)] + [search(3)]))",
        "await __awaited__(asyncio.gather(*[__started__(search)(1)], *[__started__(search)(2)] + [__started__(search)(3)]))",
    ),
    "gather values": (
        "x = search(1)\nawait asyncio.gather(f(x), f(x))",
        "x = search(1)\nawait __awaited__(asyncio.gather(f(x), f(x)))",
    ),
    "gather of sync values": (
        "x = count(1)\nawait asyncio.gather(search(x))",
        "x = count(1)\nawait __awaited__(asyncio.gather(__started__(search)(x)))",
    ),
    "another gather": ("crops.gather(search(1))", "crops.gather(search(1))"),
    # ---- through a name
    "name": ("t = search(1)\nr = await t", "t = __started__(search)(1)\nr = await __awaited__(t)"),
    "name in a loop": (
        "for q in qs:\n    t = search(q)\n    print(await t)",
        "for q in qs:\n    t = __started__(search)(q)\n    print(await __awaited__(t))",
    ),
    "annotated name": ("t: Any = search(1)\nawait t", "t: Any = __started__(search)(1)\nawait __awaited__(t)"),
    "named and awaited": ("(t := search(1))\nawait t", "(t := search(1))\nawait __awaited__(t)"),
    "list": (
        "tasks = [search(1), search(2)]\nawait asyncio.gather(*tasks)",
        "tasks = [__started__(search)(1), __started__(search)(2)]\nawait __awaited__(asyncio.gather(*tasks))",
    ),
    "tuple": (
        "tasks = search(1), search(2)\nawait asyncio.gather(*tasks)",
        "tasks = (__started__(search)(1), __started__(search)(2))\nawait __awaited__(asyncio.gather(*tasks))",
    ),
    "comprehension kept": (
        "tasks = [search(q) for q in qs]\nawait asyncio.gather(*tasks)",
        "tasks = [__started__(search)(q) for q in qs]\nawait __awaited__(asyncio.gather(*tasks))",
    ),
    "dict kept": (
        "tasks = {q: search(q) for q in qs}\nawait asyncio.gather(*tasks.values())",
        "tasks = {q: __started__(search)(q) for q in qs}\nawait __awaited__(asyncio.gather(*tasks.values()))",
    ),
    "dict of names": (
        "tasks = {'a': search(1)}\nawait asyncio.gather(*tasks.values())",
        "tasks = {'a': __started__(search)(1)}\nawait __awaited__(asyncio.gather(*tasks.values()))",
    ),
    "item": (
        "tasks = {}\ntasks['a'] = search(1)\nawait tasks['a']",
        "tasks = {}\ntasks['a'] = __started__(search)(1)\nawait __awaited__(tasks['a'])",
    ),
    "copied": (
        "tasks = [search(1)]\nawait asyncio.gather(*list(tasks))",
        "tasks = [__started__(search)(1)]\nawait __awaited__(asyncio.gather(*list(tasks)))",
    ),
    "appended": (
        "tasks = []\nfor q in qs:\n    tasks.append(search(q))\nawait asyncio.gather(*tasks)",
        "tasks = []\nfor q in qs:\n    tasks.append(__started__(search)(q))\nawait __awaited__(asyncio.gather(*tasks))",
    ),
    "extended": (
        "tasks = []\ntasks.extend([search(1)])\ntasks += [search(2)]\nawait asyncio.gather(*tasks)",
        "tasks = []\ntasks.extend([__started__(search)(1)])\ntasks += [__started__(search)(2)]\nawait __awaited__(asyncio.gather(*tasks))",
    ),
    "inserted": (
        "tasks = []\ntasks.insert(0, search(1))\nawait asyncio.wait(tasks)",
        "tasks = []\ntasks.insert(0, __started__(search)(1))\nawait __awaited__(asyncio.wait(tasks))",
    ),
    "appended values": (
        "found = []\nfound.append(search(1))\nprint(found)",
        "found = []\nfound.append(search(1))\nprint(found)",
    ),
    "task": (
        "t = asyncio.create_task(search(1))\nawait t",
        "t = asyncio.create_task(__started__(search)(1))\nawait __awaited__(t)",
    ),
    "another name is a value": (
        "x = search(1)\nt = search(2)\nprint(x, await t)",
        "x = search(1)\nt = __started__(search)(2)\nprint(x, await __awaited__(t))",
    ),
    "a name of another scope": (
        "def f():\n    t = search(1)\n    return t\nasync def g(t):\n    await t",
        "def f():\n    t = __started__(search, place)(1)\n    return t\n\nasync def g(t):\n    await __awaited__(t)",
    ),
    "a name of a name": (
        "a = [search(1)]\nb = a\nawait asyncio.wait(b)",
        "a = [__started__(search)(1)]\nb = a\nawait __awaited__(asyncio.wait(b))",
    ),
    "an attribute": (
        "self.t = search(1)\nawait asyncio.wait_for(self.t, 5)",
        "self.t = __started__(search)(1)\nawait __awaited__(asyncio.wait_for(self.t, 5))",
    ),
    "used and awaited": ("t = search(1)\nprint(t)\nawait t", "t = search(1)\nprint(t)\nawait __awaited__(t)"),
    "for a coroutine": (
        "async def f(ts):\n    await asyncio.gather(*ts)\nawait f([search(q) for q in qs])",
        "async def f(ts):\n    await __awaited__(asyncio.gather(*ts))\nawait __awaited__(f([__started__(search)(q) for q in qs]))",
    ),
    "gather under another name": (
        "from asyncio import gather as g\nawait g(search(1))",
        "from asyncio import gather as g\nawait __awaited__(g(__started__(search)(1)))",
    ),
    # ---- consumers
    "keyword of a consumer": (
        "await asyncio.wait_for(fut=search(1), timeout=5)",
        "await __awaited__(asyncio.wait_for(fut=__started__(search)(1), timeout=5))",
    ),
    "ensure_future": ("asyncio.ensure_future(search(1))", "asyncio.ensure_future(__started__(search)(1))"),
    "shield": ("await asyncio.shield(search(1))", "await __awaited__(asyncio.shield(__started__(search)(1)))"),
    "group": (
        "async with asyncio.TaskGroup() as g:\n    g.create_task(search(1))",
        "async with asyncio.TaskGroup() as g:\n    g.create_task(__started__(search)(1))",
    ),
    "as_completed": (
        "for f in asyncio.as_completed([search(1)]):\n    await f",
        "for f in asyncio.as_completed([__started__(search)(1)]):\n    await __awaited__(f)",
    ),
    "wait_for by its name": (
        "await wait_for(search(1), search(2))",
        "await __awaited__(wait_for(__started__(search)(1), __started__(search)(2)))",
    ),
    "async for": ("async for x in search(1):\n    pass", "async for x in search(1):\n    pass"),
    "a loop of one's own": ("loop.run_until_complete(search(1))", "loop.run_until_complete(search(1))"),
    "run by asyncio": ("asyncio.run(search(1))", "asyncio.run(search(1))"),
    "words of every day": (
        "model.run(search(1))\nwait(search(2))\nevent.wait(search(3))\nrun(search(4))",
        "model.run(search(1))\nwait(search(2))\nevent.wait(search(3))\nrun(search(4))",
    ),
    # ---- functions
    "def": ("def f():\n    return search(1)", "def f():\n    return __started__(search, place)(1)"),
    "async def": ("async def f():\n    return search(1)", "async def f():\n    return await __called__(search, 1)"),
    "async def that awaits": (
        "async def f():\n    return await search(1)",
        "async def f():\n    return await __awaited__(__started__(search)(1))",
    ),
    "keywords in async def": (
        "async def f():\n    search(1, *a, k=2, **b)",
        "async def f():\n    await __called__(search, 1, *a, k=2, **b)",
    ),
    "gather in async def": (
        "async def f():\n    t = [search(1)]\n    return await asyncio.gather(*t)",
        "async def f():\n    t = [__started__(search)(1)]\n    return await __awaited__(asyncio.gather(*t))",
    ),
    "comprehension in async def": (
        "async def f():\n    return [search(q) for q in qs]",
        "async def f():\n    return [await __called__(search, q) for q in qs]",
    ),
    "generator in async def": (
        "async def f():\n    return sum(search(q) for q in qs)",
        "async def f():\n    return sum((search(q) for q in qs))",
    ),
    "lambda": ("f = lambda q: search(q)", "f = lambda q: __started__(search, place)(q)"),
    "lambda in async def": (
        "async def f():\n    return lambda q: search(q)",
        "async def f():\n    return lambda q: __started__(search, place)(q)",
    ),
    "lambda in gather": (
        "await asyncio.gather(*map(lambda q: search(q), qs))",
        "await __awaited__(asyncio.gather(*map(lambda q: __started__(search, place)(q), qs)))",
    ),
    "def in async def": (
        "async def f():\n    def g():\n        return search(1)\n    return search(2)",
        "async def f():\n\n    def g():\n        return __started__(search, place)(1)\n    return await __called__(search, 2)",
    ),
    "async def in def": (
        "def f():\n    async def g():\n        return search(1)\n    return search(2)",
        "def f():\n\n    async def g():\n        return await __called__(search, 1)\n    return __started__(search, place)(2)",
    ),
    "defaults": ("def f(a=search(1), *, b=search(2)):\n    pass", "def f(a=search(1), *, b=search(2)):\n    pass"),
    "defaults of async def": ("async def f(a=search(1)):\n    pass", "async def f(a=search(1)):\n    pass"),
    "defaults in async def": (
        "async def f():\n    def g(a=search(1)):\n        pass",
        "async def f():\n\n    def g(a=await __called__(search, 1)):\n        pass",
    ),
    "default of a lambda": (
        "async def f():\n    return lambda a=search(1): search(a)",
        "async def f():\n    return lambda a=await __called__(search, 1): __started__(search, place)(a)",
    ),
    "decorator": (
        "@decorate(search(1))\nasync def f():\n    search(2)",
        "@decorate(search(1))\nasync def f():\n    await __called__(search, 2)",
    ),
    "class": ("class A(base(search(1))):\n    x = search(2)", "class A(base(search(1))):\n    x = search(2)"),
    "class in async def": (
        "async def f():\n    class A:\n        x = search(1)\n        y = [search(q) for q in qs]",
        "async def f():\n\n    class A:\n        x = search(1)\n        y = [search(q) for q in qs]",
    ),
    "methods": (
        "class A:\n    def f(self):\n        return search(1)\n    async def g(self):\n        return search(2)",
        "class A:\n\n    def f(self):\n        return __started__(search, place)(1)\n\n    async def g(self):\n        return await __called__(search, 2)",
    ),
    "yield": (
        "def f():\n    yield search(1)\nasync def g():\n    yield search(2)",
        "def f():\n    yield __started__(search, place)(1)\n\nasync def g():\n    yield (await __called__(search, 2))",
    ),
    "recursion": (
        "async def f(n):\n    return search(n) + await f(n - 1)",
        "async def f(n):\n    return await __called__(search, n) + await __awaited__(f(n - 1))",
    ),
    # ---- asyncio.run
    "run alone": ("async def f():\n    pass\nasyncio.run(f())", "async def f():\n    pass\nasyncio.run(f())"),
    "run beside await": ("await x\nasyncio.run(f())", "await __awaited__(x)\nasyncio.run(f())"),
    "run in a coroutine": (
        "async def f():\n    return asyncio.run(g())",
        "async def f():\n    return asyncio.run(g())",
    ),
    "run in a function": (
        "await x\ndef f():\n    return asyncio.run(g())",
        "await __awaited__(x)\n\ndef f():\n    return asyncio.run(g())",
    ),
    "run in a lambda": ("await x\nf = lambda: asyncio.run(g())", "await __awaited__(x)\nf = lambda: asyncio.run(g())"),
    "run in a class": (
        "await x\nclass A:\n    y = asyncio.run(g())",
        "await __awaited__(x)\n\nclass A:\n    y = asyncio.run(g())",
    ),
    "run in a generator": (
        "await x\nlist(asyncio.run(g()) for _ in y)",
        "await __awaited__(x)\nlist((asyncio.run(g()) for _ in y))",
    ),
    "run with options": (
        "await x\nasyncio.run(f(), debug=True)\nasyncio.run()",
        "await __awaited__(x)\nasyncio.run(f(), debug=True)\nasyncio.run()",
    ),
    "run of something else": ("await x\nrunner.run(f())", "await __awaited__(x)\nrunner.run(f())"),
    "run under another name": (
        "import asyncio as aio\nawait x\naio.run(f())",
        "import asyncio as aio\nawait __awaited__(x)\naio.run(f())",
    ),
    "run of a tool beside await": ("await x\nasyncio.run(search(1))", "await __awaited__(x)\nasyncio.run(search(1))"),
}


@pytest.mark.parametrize("style", CALLS)
def test_a_call_is_what_its_place_makes_of_it(style):
    code, expected = CALLS[style]
    found = changed(code)
    assert found == ast.unparse(parsed(expected))
    compile(found, "<block 1>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


# ---- functions whose calls may be awaited or used, as each block says


#: Code, and the tools in its functions whose calls are awaited.
AWAITED_LATER = {
    "def": ("def f():\n    return search(1)\nawait f()", ["search"]),
    "lambda": ("f = lambda: search(1)\nawait f()", ["search"]),
    "list": ("def f():\n    ts = [search(1)]\n    return ts\nawait asyncio.gather(*f())", ["search"]),
    "yield": ("def f():\n    yield search(1)\nawait asyncio.gather(*f())", ["search"]),
    "method": ("class A:\n    def f(self):\n        return search(1)\nawait A().f()", ["search"]),
    "used": ("def f():\n    return search(1)\nprint(f())", []),
    "both": ("def f():\n    return search(1)\nprint(f())\nawait f()", []),
    "where it is consumed": ("def f():\n    return asyncio.create_task(search(1))\nawait f()", ["search"]),
    "sync": ("def f():\n    return count(1)\nawait f()", ["count"]),
}


def started(code, file, earlier):
    """The places in functions where calls are awaited, as the code tells; what it defines is kept."""
    tree = parsed(code)
    flow = earlier.flow(tree, TOOLS)
    found = started_in(flow, file, earlier)
    earlier.learn(tree, flow.names, TOOLS, file)
    return found


@pytest.mark.parametrize("way", AWAITED_LATER)
def test_what_functions_give_is_told_by_its_place(way):
    code, tools = AWAITED_LATER[way]
    lines = [line.encode() for line in code.splitlines()]
    places = started(code, "<block 1>", Definitions())
    matches = [re.fullmatch(r"<block 1>:(\d+):(\d+)-\d+:(\d+)", place) for place in places]
    found = [(int(match[1]), int(match[2]), int(match[3])) for match in matches]
    assert [lines[line - 1][start:end].decode() for line, start, end in found] == tools


def test_so_it_is_of_functions_of_earlier_blocks():
    earlier = Definitions()

    def places(code, number):
        found = started(code, f"<block {number}>", earlier)
        return {place.rpartition("-")[0].rpartition(":")[0] for place in found}

    assert places("def f():\n    return search(1)", 1) == set()
    assert places("await f()", 2) == {"<block 1>:2"}
    assert places("f()", 3) == set()
    assert places("g = lambda: f()\nawait g()", 4) == {"<block 1>:2"}
    assert places("await g()\nf()", 5) == set()
    assert places("f = print\nawait f()", 6) == set()
    assert places("await g()", 7) == set()


# ---- what is left alone

PLAIN = [
    "",
    "x = 1\nprint(x)",
    "def f(search): return search",
    "import asyncio\nasyncio.run(main())",
    "class A:\n    async def f(self):\n        pass",
    "lambda: 0",
    "[x async for x in y]",
]


@pytest.mark.parametrize("code", PLAIN)
def test_code_without_calls_is_left_as_it_is(code):
    before = ast.dump(ast.parse(code), include_attributes=True)
    assert ast.dump(made_explicit(code), include_attributes=True) == before


def library(*names):
    """Modules of the library that are written in Python."""
    specs = (importlib.util.find_spec(name) for name in names)
    return [Path(spec.origin) for spec in specs if spec is not None and spec.origin and spec.origin.endswith(".py")]


SYNC = library(
    "argparse", "ast", "collections", "dataclasses", "enum", "functools", "json.decoder", "textwrap", "typing"
)
ASYNC = [*library("contextlib", "types"), *sorted(Path(asyncio.__file__).parent.glob("*.py"))]


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("path", SYNC, ids=lambda path: path.stem)
def test_whole_modules_without_calls_are_left_as_they_are(path):
    source = path.read_text(encoding="utf-8")
    found = made_explicit(source, {"no_such_tool": True})
    assert ast.dump(found, include_attributes=True) == ast.dump(ast.parse(source), include_attributes=True)


@pytest.mark.one_in(4)
@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("path", [*SYNC, *ASYNC], ids=lambda path: path.stem)
def test_whole_modules_whose_calls_are_tools_are_still_python(path):
    tools = dict.fromkeys(("len", "isinstance", "list", "tuple", "str", "getattr", "set", "super", "repr"), True)
    compile(
        made_explicit(path.read_text(encoding="utf-8"), tools),
        str(path),
        "exec",
        ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )


@pytest.mark.parametrize("style", CALLS)
def test_what_is_changed_stays_on_its_line(style):
    code, _ = CALLS[style]
    for node in ast.walk(made_explicit(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("__"):
            text = ast.get_source_segment(textwrap.dedent(code), node)
            assert text
            assert "__" not in text
            assert node.func.lineno == node.lineno


# ---- loops


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("x = 1", False),
        ("asyncio.create_task(f())", True),
        ("create_task(f())", True),
        ("asyncio.gather(f())", True),
        ("asyncio.get_running_loop()", True),
        ("asyncio.ensure_future(f())", True),
        ("asyncio.current_task()", True),
        ("class A:\n    x = asyncio.all_tasks()", True),
        ("asyncio.run(f())", False),
        ("asyncio.sleep(1)", False),
        ("async def f():\n    await x", False),
        ("def f():\n    return asyncio.create_task(x)", False),
        ("lambda: asyncio.gather()", False),
        ("class A:\n    async def f(self):\n        await x", False),
        ("def f(x=asyncio.current_task()):\n    pass", True),
        ("def f(*, y, x=asyncio.current_task()):\n    pass", True),
        ("@asyncio.create_task\ndef f():\n    pass", False),
        ("@decorate(asyncio.get_running_loop())\nasync def f():\n    pass", True),
        ("f = lambda x=asyncio.gather(): x", True),
        ("loop = asyncio.new_event_loop()\nt = loop.create_task(f())\nloop.run_until_complete(t)", False),
        ("asyncio.gather(f())\nloop.run_forever()", False),
        ("gather", False),
        ("x()()", False),
    ],
)
def test_whether_a_block_needs_a_loop(code, needed):
    assert needs_loop(ast.parse(code)) is needed


# ---- statements that come one by one


@pytest.mark.parametrize(
    ("code", "depends"),
    [
        ("x = 1", False),
        ("x = search(1)", True),
        ("x: int = search(1)", True),
        ("x += search(1)", False),
        ("search(1)", False),
        ("print(search(1))", False),
        ("print(f'{search(1)}', [search(q) for q in qs])", False),
        ("(x := search(1))", False),
        ("print(x := search(1))", False),
        ("print(len(search(1)))", False),
        ("x = await search(1)", False),
        ("await search(1)", False),
        ("x = await asyncio.gather(search(1), search(2))", False),
        ("tasks.append(search(1))", True),
        ("tasks.extend([search(1)])", True),
        ("found.sort(key=search(1))", False),
        ("tasks = [search(q) for q in qs]", True),
        ("for q in qs:\n    tasks.append(search(q))", True),
        ("if x:\n    y = search(1)", True),
        ("t = asyncio.create_task(search(1))", True),
        ("asyncio.create_task(f())", True),
        ("t = asyncio.gather(f())", True),
        ("await asyncio.create_task(f())", False),
        ("x = count(1)", False),
        ("x = asyncio.run(search(1))", False),
        ("def f():\n    return search(1)", False),
        ("async def f():\n    t = asyncio.create_task(search(1))\n    return await t", False),
        ("f = lambda: search(1)", False),
        ("def f(x=search(1)):\n    return x", True),
        ("@search(1)\ndef f():\n    pass", False),
        ("class A:\n    x = search(1)", True),
        ("class A:\n    def f(self):\n        return search(1)", False),
        ("x = f(1)", False),
        ("ts = list(map(search, qs))", True),
        ("import search", False),
        ("search", False),
        ("f = search", False),
        ("assert search(1)", False),
    ],
)
def test_whether_a_statement_depends_on_what_follows(code, depends):
    assert depends_on_later(ast.parse(code), {"search"}, Definitions()) is depends


@pytest.mark.parametrize(
    ("before", "code", "depends"),
    [
        ("def f(q):\n    return search(q)", "ts = [f(q) for q in qs]", True),
        ("def f(q):\n    return search(q)", "print(f(1))", False),
        ("def f(q):\n    return count(q)", "ts = [f(q) for q in qs]", False),
        ("async def f(ts):\n    return await asyncio.gather(*ts)", "r = await f([search(q) for q in qs])", False),
        ("fs = [search]", "ts = [f(1) for f in fs]", True),
        ("fs = [count]", "ts = [f(1) for f in fs]", False),
        ("f = search", "x = f(1)", True),
    ],
)
def test_what_came_before_may_tell_it(before, code, depends):
    earlier = Definitions()
    tree = ast.parse(before)
    earlier.learn(tree, names_bound(tree), {"search"})
    assert depends_on_later(ast.parse(code), {"search"}, earlier) is depends
