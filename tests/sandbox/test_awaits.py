"""Reading which calls a block awaits: what earlier blocks have defined, and code that is made to be hard to read."""

from __future__ import annotations

import ast

import pytest

from tinyagent.sandbox.awaits.definitions import Definitions
from tinyagent.sandbox.awaits.flow import Flow
from tinyagent.sandbox.awaits.names import names_bound
from tinyagent.sandbox.awaits.reader import _MOST_STEPS

TOOLS = {"search": True}


def names_of(definitions: Definitions) -> list[str]:
    return [ast.unparse(definition.statement).split("\n")[0] for definition in definitions]


def started(flow: Flow) -> list[str]:
    return sorted(ast.unparse(node) for node in flow.started if isinstance(node, ast.Call))


def learned(*blocks: str) -> Definitions:
    definitions = Definitions()
    for number, code in enumerate(blocks):
        tree = ast.parse(code)
        definitions.learn(tree, names_bound(tree), TOOLS, f"<block {number}>")
    return definitions


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("def f(): pass", ["def f():"]),
        ("async def f(): pass", ["async def f():"]),
        ("class A: pass", ["class A:"]),
        ("f = lambda: 0", ["f = lambda: 0"]),
        ("f = search", ["f = search"]),
        ("fs = {'a': search}", ["fs = {'a': search}"]),
        ("import asyncio as aio", ["import asyncio as aio"]),
        ("from asyncio import gather as g", ["from asyncio import gather as g"]),
        ("x = search(1)", []),
        ("x = 1", []),
        ("import math as m", []),
        ("if x:\n    def f(): pass", []),
        ("def f():\n" + "    x = 1\n" * 300, []),
    ],
)
def test_what_is_kept_of_a_block(code, kept):
    assert names_of(learned(code)) == kept


@pytest.mark.parametrize("again", ["f = 1", "def f(x): pass", "import f", "for f in x: pass", "del x\nf: int = 2"])
def test_a_name_that_is_bound_again_means_something_else(again):
    known = learned("def f(): pass\ndef g(): pass", again)
    assert [name for name in names_of(known) if name != "def f(x):"] == ["def g():"]


def test_a_definition_holds_in_a_block_that_does_not_bind_its_name():
    known = learned("def f():\n    return search(1)")
    assert started(known.flow(ast.parse("await f()"), TOOLS)) == ["f()", "search(1)"]
    assert started(known.flow(ast.parse("def f(): pass\nawait f()"), TOOLS)) == []


def test_the_oldest_are_forgotten():
    known = learned(*[f"def f{number}(): pass" for number in range(150)])
    assert names_of(known) == [f"def f{number}():" for number in range(50, 150)]
    assert next(iter(known)).file == "<block 50>"


#: Code whose parts refer to one another in many ways; read more than once each, it would not end.
HARD = {
    "nested containers": "await " + "[" * 60 + "search(1)" + ".copy()]" * 60,
    "nested lists": "await asyncio.gather(*" + "[" * 60 + "search(1)" + "]" * 60 + ")",
    "nested tools": "await " + "[" * 60 + "search" + "].copy()" * 60 + "[0](1)",
    "names of each other": "".join(f"a{n} = [a{m}, a{m}] if x else a{m}\n" for n in range(60) for m in range(60))
    + "await a0[0]",
    "functions of each other": "".join(
        f"def f{n}():\n    return f{(n + 1) % 60}(), f{(n * 7) % 60}()\n" for n in range(60)
    )
    + "await f0()[0]",
    "a name of itself": "a = a\na += [a, search(1)]\nawait a[0]\nawait asyncio.gather(*a)",
}


@pytest.mark.parametrize("code", HARD.values(), ids=HARD)
def test_no_part_of_the_code_is_read_many_times(code):
    tree = ast.parse(code)
    flow = Flow(tree, TOOLS, {})
    assert flow._steps <= min(100 * sum(1 for _ in ast.walk(tree)), _MOST_STEPS + 1)


def test_what_would_take_too_long_to_read_counts_as_not_awaited():
    chain = "".join(f"a{n} = a{n + 1}\n" for n in range(1000))
    assert Flow(ast.parse(f"{chain}a1000 = search(1)\nawait a0"), TOOLS, {}).started == set()
    assert started(Flow(ast.parse("a1 = search(1)\na0 = a1\nawait a0"), TOOLS, {})) == ["search(1)"]


def test_fields_of_classes_are_found_by_place_and_by_name():
    job = "class Job:\n    n: int\n    call: object\n"
    code = f"{job}a, b = Job(1, search(1)), Job(2, call=search(2))\nawait a.call\nawait b.call"
    assert started(Flow(ast.parse(code), TOOLS, {})) == ["search(1)", "search(2)"]
    assert started(Flow(ast.parse(f"{code}\nprint(a.call)"), TOOLS, {})) == []


#: Code that awaits what a tool gives, and looks at the same value in another way, or may do so unseen.
LOOKED_AT = {
    "by a function of the library": "def f(i):\n    return search(i)\nx = sorted(y, key=f)\nawait f(1)",
    "in a container": "def f(i):\n    return search(i)\nx = [f(1)]\nawait f(2)",
    "in a container that is shown": "x = [search(1)]\nprint(x)\nawait asyncio.gather(*x)",
    "by whoever awaits a coroutine": "async def f():\n    x = search(1)\n    await x\n    return x",
    "by a generator that is asynchronous": "async def f():\n    x = search(1)\n    await x\n    yield x",
    "as the value of the block": "x = search(1)\nawait x\nx",
    "by its attribute": "x = search(1)\nx.y\nawait x",
    "by what filters": "await asyncio.gather(*filter(search, x))",
    "as another argument of asyncio": "await asyncio.wait_for(x(), timeout=search(1))",
    "by a loop": "x = search(1)\nawait x\nfor y in x: pass",
    "by a condition": "x = search(1)\nif x: pass\nawait x",
    "by an assignment that adds": "x += search(1)\nawait x",
    "by a function that may be anything": "x = [search(1)]\nshuffle(x)\nawait asyncio.gather(*x)",
    "in a parameter": "def f(x):\n    return x + 1\ny = search(1)\nf(*[y], x=y)\nawait y",
}


@pytest.mark.parametrize("code", LOOKED_AT.values(), ids=LOOKED_AT)
def test_what_is_looked_at_as_well_is_not_started(code):
    assert [call for call in started(Flow(ast.parse(code), TOOLS, {})) if "search" in call] == []


def test_a_tool_that_a_function_of_the_library_may_call_is_handed_on_as_it_is():
    flow = Flow(ast.parse("f = search\nx = sorted(y, key=f)\nawait f(1)"), TOOLS, {})
    assert started(flow) == ["f(1)"]
    assert {ast.unparse(node): node in flow.started for node in flow.points} == {"search": False, "f": True}


def test_a_class_in_a_pattern_is_no_tool():
    assert not Flow(ast.parse("match x:\n    case search(y=z): pass"), TOOLS, {}).points
