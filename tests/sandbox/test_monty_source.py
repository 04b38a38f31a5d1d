"""What is fed to Monty: which calls are known to be awaited, what is put around values, and what stays as it is."""

import ast

import pytest

from tinyagent.sandbox.monty.source import LONGEST_CODE, Source, read

TOOLS = {"tool", "other"}


def awaited(code: str) -> list[str]:
    """The calls that are answered with a future, as they stand in what is fed."""
    source = read(code, TOOLS)
    text = source.text.encode()
    return [text[start:end].decode() for start, end in sorted(source.awaited)]


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        ("tool(1)", []),
        ("x = tool(1)\nprint(x)", []),
        ("await tool(1)", ["tool(1)"]),
        ("print(await tool(tool(1)))", ["tool(tool(1))"]),
        ("asyncio.run(tool(1))", []),  # which waits for it in any case
        ("await asyncio.gather(tool(1), other(2), key=tool(3))", ["tool(1)", "other(2)"]),
        ("from asyncio import gather as g\nawait g(tool(1))", ["tool(1)"]),
        ("import math as gather\nawait gather.gather(tool(1))", []),
        ("c = tool(1)\nr = await c", ["tool(1)"]),
        ("c = d = tool(1)\nr = await d", ["tool(1)"]),
        ("c: object = tool(1)\nr = await c", ["tool(1)"]),
        ("(c := tool(1))\nr = await c", []),
        ("c = tool(1)\nprint(c)\nr = await c", []),  # the value may be meant
        ("a, b = tool(1), other(2)\nawait asyncio.gather(a, b)", ["tool(1)", "other(2)"]),
        ("a, *b = tool(1), other(2), 3\nawait b[0]", ["other(2)", "tool(1)"]),
        ("a, b = tool(1)\nawait a", []),  # what it returns is taken apart
        ("ts = [tool(i) for i in x]\nawait asyncio.gather(*ts)", ["tool(i)"]),
        ("ts = [tool(i) for i in x]\nprint(len(ts))\nr = [await t for t in ts]", ["tool(i)"]),
        ("ts = []\nfor i in x:\n    ts.append(tool(i))\nawait asyncio.gather(*ts)", ["tool(i)"]),
        ("ts = []\nts += [tool(1)]\nts.extend([tool(2)])\nawait asyncio.gather(*ts)", ["tool(1)", "tool(2)"]),
        ("ts = {}\nts['a'] = tool(1)\nawait ts['a']", ["tool(1)"]),
        ("ts = {k: tool(k) for k in x}\nfor k, t in ts.items():\n    print(k, await t)", ["tool(k)"]),
        ("ts = dict(a=1)\nawait asyncio.gather(*(tool(n) for n in ts))", ["tool(n)"]),
        ("for n, t in zip(names, [tool(1), tool(2)]):\n    await t", ["tool(1)", "tool(2)"]),
        ("ts = [tool(1)] + [tool(2)] if x else [tool(3)]\nawait ts.pop()", ["tool(1)", "tool(2)", "tool(3)"]),
        ("await (tool(1) if x else tool(2))", ["tool(1)", "tool(2)"]),
        ("await (x or tool(1))", []),
        ("xs = tool(1)\nts = [other(x) for x in xs]\nr = [await t for t in ts]", ["other(x)"]),
        ("xs = tool(1)\nfor x in xs:\n    await x", []),  # it holds what is awaited
        ("def f(i):\n    return tool(i)\nawait f(1)", ["tool(i)"]),
        ("def f(i):\n    return tool(i)\nprint(f(1))", []),
        ("def f(i):\n    return tool(i)\nprint(f(1))\nawait f(2)", []),
        ("f = lambda i: tool(i)\nawait asyncio.gather(*[f(i) for i in x])", ["tool(i)"]),
        ("def f():\n    return [tool(1)]\nts = f()\nawait asyncio.gather(*ts)", ["tool(1)"]),
        ("async def f(ts):\n    await asyncio.gather(*ts)\nawait f([tool(1)])", ["tool(1)"]),
        ("async def f(a, t):\n    await t\nawait f(1, t=tool(1))", ["tool(1)"]),
        ("async def f():\n    return tool(1)\nawait f()", ["tool(1)"]),
        ("async def f():\n    return [tool(i) for i in x], sum(other(i) for i in x)", ["tool(i)", "other(i)"]),
        ("async def f():\n    return sorted(x, key=lambda i: tool(i))", []),
        ("async def f():\n    def g():\n        return tool(1)\n    return g()", []),
        ("class A:\n    async def f(self):\n        return tool(1)", ["tool(1)"]),
        ("def f():\n    t = tool(1)\n    return t\nt = tool(2)\nr = await t", ["tool(2)"]),
        ("def f():\n    global t\n    t = tool(1)\nr = await t", ["tool(1)"]),
        ("def f():\n    t = 1\n    def g():\n        nonlocal t\n        t = tool(1)\n    return await_(t)", []),
        ("def tool(x): return x\nawait tool(1)", []),
        ("tool = print\nasync def f():\n    return tool(1)", []),
        ("async def f(tool):\n    return tool(1)", []),
        ("ts = {tool(i) for i in x}\nawait asyncio.gather(*ts)", []),  # sets take no awaitables
        ("async def f(a=tool(1), *, b=await tool(2)): pass", ["tool(2)"]),
        ("async def f():\n    @tool(1)\n    def g(): return\n    return lambda: (yield)", ["tool(1)"]),
        ("class A:\n    t = tool(1)\n    r = await t", ["tool(1)"]),
        ('é = "ü"; await tool("ß")', ['tool("ß")']),
        ('f"{await tool(1)}"', ["tool(1)"]),
        ("await tool(\n    1,\n    [2],\n)  # c", ["tool(\n    1,\n    [2],\n)"]),
        ("await other(1); await tool(2)", ["other(1)", "tool(2)"]),
        ("match x:\n    case 1:\n        await tool(1)", ["tool(1)"]),
    ],
)
def test_which_calls_are_awaited(code, calls):
    assert sorted(awaited(code)) == sorted(calls)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("x = 1", "x = 1"),
        ("x", "__value__ = (x)"),
        ("x = 1; x;", "x = 1; __value__ = (x);"),
        ("x  # c", "__value__ = (x)  # c"),
        ("*a, b", "__value__ = (*a, b)"),
        ("(y := 5)", "__value__ = ((y := 5))"),
        ("(\n  x\n  .y\n)", "__value__ = ((\n  x\n  .y\n))"),
        ("(x, y), z", "__value__ = ((x, y), z)"),
        ("await tool(1)", "__value__ = (await tool(1))"),
        ("y = await x", "y = await __awaited__(x)"),
        ("y = await f()", "y = await __awaited__(f())"),
        ("async def f(): pass\ny = await f()", "async def f(): pass\ny = await f()"),
        ("y = await asyncio.sleep(1)", "y = await asyncio.sleep(1)"),
        (
            "y = await asyncio.gather(x, *z)",
            "y = await asyncio.gather(__awaited__(x), *[__awaited__(__each__) for __each__ in (z)])",
        ),
        ("y = await asyncio.gather(tool(1), g(2))", "y = await asyncio.gather(tool(1), __awaited__(g(2)))"),
        ("asyncio.run(main()); y = 1", "asyncio.run(__awaited__(main())); y = 1"),
        ("async def f():\n    return tool(1)[0]", "async def f():\n    return (await tool(1))[0]"),
        ('f"{await x}"; y = 1',) * 2,
        ("x = '\\d'", "x = '\\d'"),
    ],
)
def test_what_is_fed(code, text):
    assert read(code, TOOLS).text == text


def test_what_is_fed_is_python():
    for code in ("(y)", "x = (await (y))", "await asyncio.gather((a), *(b))", "async def f():\n    return (tool(1))"):
        compile(read(code, TOOLS).text, "<fed>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("x = 1\ny: int = 2\n(z) = 3\na, (b, *c) = d\ne += 1", "x y z a b c e"),
        ("def f(p):\n    q = 1\nasync def g(): pass\nclass C:\n    r = 1", "f g C"),
        ("import a.b, c as d\nfrom e import f as g, h", "a d g h"),
        ("for x, y in z: pass\nwith a as b, c as (d, e): pass", "x y b d e"),
        ("def f():\n    global x\n    x = 1", "f x"),
        ("[x := y for z in w]\nlambda v: v", "x"),
        ("match a:\n    case {'b': c, **d}: pass\n    case [e, *f] as g: pass", "c d e f g"),
        ("x.y = 1\nz[0] = 2", ""),
    ],
)
def test_the_names_it_binds(code, names):
    assert sorted(read(code, TOOLS).names) == sorted(names.split())


@pytest.mark.parametrize("code", ["x = = 1", "x\0", "(" * 5_000, "-" * 100_000 + "1", "x = 1\n" * (LONGEST_CODE // 5)])
def test_what_cannot_be_read_is_fed_as_it_is(code):
    assert read(code, TOOLS) == Source(code, code)


def test_line_ends_are_those_of_python():
    assert read("x\r\ny\rz", TOOLS).text == "x\ny\n__value__ = (z)"


def test_reading_warns_of_nothing():
    assert read("x = '\\d'\n1 is 1", TOOLS).has_value
