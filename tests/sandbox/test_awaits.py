"""Reading which calls a block awaits: what earlier blocks have defined, and code that is made to be hard to read."""

from __future__ import annotations

import ast

import pytest

from tinyagent.sandbox.awaits.definitions import Definitions
from tinyagent.sandbox.awaits.facts import Facts
from tinyagent.sandbox.awaits.flow import flow_of
from tinyagent.sandbox.awaits.reader import facts_of

TOOLS = {"search": True}


def names_of(definitions: Definitions) -> list[str]:
    return [ast.unparse(definition.statement).split("\n")[0] for definition in definitions]


def learned(*blocks: str) -> Definitions:
    definitions = Definitions()
    for number, code in enumerate(blocks):
        definitions.learn(ast.parse(code), TOOLS, f"<block {number}>")
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
    assert known.without(["g"]) == [each for each in known if "g" not in ast.unparse(each.statement)]


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


class Counted(Facts):
    """Facts that count how often it is asked of them whether a name is a tool's."""

    asked = 0

    def names_tool(self, name, scope):
        self.asked += 1
        return super().names_tool(name, scope)


@pytest.mark.parametrize("code", HARD.values(), ids=HARD)
def test_no_part_of_the_code_is_read_many_times(code, monkeypatch):
    monkeypatch.setattr("tinyagent.sandbox.awaits.reader.Facts", Counted)
    tree = ast.parse(code)
    facts = facts_of(tree, TOOLS)
    calls_of(facts)
    assert facts.asked <= 100 * sum(1 for _ in ast.walk(tree))


def test_fields_of_classes_are_found_by_place_and_by_name():
    job = "class Job:\n    n: int\n    call: object\n"
    code = f"{job}a, b = Job(1, search(1)), Job(2, call=search(2))\nawait a.call\nawait b.call"
    found = calls_of(facts_of(ast.parse(code), TOOLS))
    assert sorted(map(ast.unparse, found.awaited)) == ["search(1)", "search(2)"]
    used = calls_of(facts_of(ast.parse(f"{code}\nprint(a.call)"), TOOLS))
    assert not used.awaited
