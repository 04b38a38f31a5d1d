"""Names of tools that code takes for something else: every sandbox gives them back, and tells the code's author."""

from __future__ import annotations

import asyncio

import pytest

from tinyagent.core.errors import ConfigurationError
from tinyagent.sandbox.inprocess import PythonExecutor
from tinyagent.sandbox.monty import MontySandbox
from tinyagent.sandbox.process import ProcessSandbox
from tinyagent.sandbox.taken import name_for_value

ONLY_HERE = pytest.mark.skipif(ProcessSandbox.reason_against() is not None, reason="no process sandbox here")
SANDBOXES = [
    pytest.param(ProcessSandbox, id="process", marks=ONLY_HERE),
    pytest.param(MontySandbox, id="monty"),
    pytest.param(PythonExecutor, id="trusted"),
]
EVERY = pytest.mark.parametrize("kind", SANDBOXES)


def search(q: object = None) -> object:
    """Give back what it gets."""
    return [q]


async def fetch(q: object = None) -> object:
    """Give back what it gets, later."""
    await asyncio.sleep(0)
    return [q]


def session_of(kind, *tools):
    return kind().open(tools)


async def executed(session, code):
    async with asyncio.timeout(30):
        return await session.execute(code)


#: Code that takes the name, what it ends with, and what is under the other name then.
TAKEN = {
    "number": ("search = 42\nsearch", 42, "search_value == 42"),
    "its own value": ("search = search('tea')\nsearch", ["tea"], "search_value == ['tea']"),
    "a value like a tool's text": ("search = \"<function 'search' external>\"\n1", 1, "len(search_value) == 28"),
    "def": ("def search(q):\n    return 'own'\nsearch(1)", "own", "search_value(1) == 'own'"),
    "async def": ("async def search(q):\n    return 'own'\n1", 1, "True"),
    "lambda": ("search = lambda q: 'own'\nsearch(1)", "own", "search_value(1) == 'own'"),
    "class": ("class search:\n    x = 1\nsearch.x", 1, "search_value.x == 1"),
    "import": ("import math as search\nsearch.floor(1.5)", 1, "search_value.floor(1.5) == 1"),
    "from import": ("from math import floor as search\nsearch(1.5)", 1, "search_value(1.5) == 1"),
    "for": ("for search in [1, 2]:\n    pass\nsearch", 2, "search_value == 2"),
    "walrus": ("print(search := 3)\nsearch", 3, "search_value == 3"),
    "unpacked": ("search, *rest = [1, 2, 3]\nsearch", 1, "search_value == 1"),
    "added": ("search = 1\nsearch += 1\nsearch", 2, "search_value == 2"),
    "global": ("def f():\n    global search\n    search = 4\nf()\nsearch", 4, "search_value == 4"),
    "match": ("match 5:\n    case search:\n        pass\nsearch", 5, "search_value == 5"),
    "a failing block": ("search = 6\n1 / 0", None, "search_value == 6"),
    "a name in use": ("search_value = 1\nsearch = 2\nsearch", 2, "[search_value, search_value2] == [1, 2]"),
    "none": ("search = None\nsearch", None, "search_value is None"),
}
#: What only some sandboxes have.
TAKEN_IN_PYTHON = {
    "with": ("import contextlib\nwith contextlib.nullcontext(7) as search:\n    pass\nsearch", 7, "search_value == 7"),
    "except": ("try:\n    1 / 0\nexcept ZeroDivisionError as search:\n    pass\n8", 8, "True"),
    "del": ("del search\n9", 9, "True"),
    "globals": ("globals()['search'] = 10\nsearch", 10, "search_value == 10"),
}


@EVERY
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize("way", [*TAKEN, *TAKEN_IN_PYTHON])
async def test_a_tool_is_back_under_its_name_in_the_next_block(kind, way, streamed):
    if kind is MontySandbox and way in TAKEN_IN_PYTHON:
        pytest.skip("not in Monty")
    code, expected, kept = (TAKEN | TAKEN_IN_PYTHON)[way]

    async def pieces():
        yield code

    async with session_of(kind, search) as session:
        taken = await executed(session, pieces() if streamed else code)
        assert taken.error is None or taken.error.type == "ZeroDivisionError"
        assert taken.value == expected
        assert "note: search is a tool, and search is that tool again from the next block on" in taken.stdout
        after = await executed(session, f"[search('again'), {kept}]")
        assert after.error is None, after.error.traceback
        assert (after.value, after.stdout) == ([["again"], True], "")
        assert [seen.value for seen in after.calls] == [["again"]]


@EVERY
async def test_it_is_given_back_however_often_it_is_taken(kind):
    async with session_of(kind, search) as session:
        for number in range(3):
            assert (await executed(session, f"search = search({number})")).error is None
            assert (await executed(session, "search_value")).value == [number]
        assert (await executed(session, "search('again')")).value == ["again"]


@EVERY
async def test_functions_of_the_code_find_the_tool_again(kind):
    async with session_of(kind, search) as session:
        await executed(session, "def f(q):\n    return search(q)\nsearch = 5")
        assert (await executed(session, "f('tea')")).value == ["tea"]


@EVERY
async def test_nothing_is_told_where_a_name_is_taken_only_inside_a_function(kind):
    own = "def f(search):\n    return search\ndef g():\n    search = 2\n    return search\n"
    code = f"{own}[f(1), g(), [search for search in 'ab']]"
    async with session_of(kind, search) as session:
        done = await executed(session, code)
        assert (done.value, done.stdout) == ([1, 2, ["a", "b"]], "")


@EVERY
async def test_a_name_in_code_that_never_ran_is_not_taken(kind):
    async with session_of(kind, search) as session:
        assert (await executed(session, "if False:\n    search = 1\nx = search(2)")).stdout == ""
        assert (await executed(session, "search(3)")).value == [3]


@pytest.mark.parametrize("kind", SANDBOXES[:2])
async def test_an_async_tool_is_back_too(kind):
    async with session_of(kind, fetch) as session:
        taken = await executed(session, "fetch = await fetch('tea')\nfetch")
        assert taken.value == ["tea"]
        gathered = "import asyncio\nawait asyncio.gather(fetch(1), fetch(2)), fetch_value"
        assert (await executed(session, gathered)).value == ([[1], [2]], ["tea"])


@pytest.mark.parametrize("kind", SANDBOXES[:2])
async def test_code_in_a_text_may_take_a_name(kind):
    async with session_of(kind, search) as session:
        assert "note: search is a tool" in (await executed(session, "exec('search = 1')")).stdout
        assert (await executed(session, "search(search_value)")).value == [1]


@EVERY
async def test_the_host_cannot_hide_a_tool(kind):
    async with session_of(kind, search) as session:
        with pytest.raises(ConfigurationError, match=r"set\('search'\): code calls a tool by that name"):
            await session.set({"x": 1, "search": 2})
        assert (await executed(session, "search(1)")).value == [1]


@pytest.mark.parametrize("kind", [SANDBOXES[0], SANDBOXES[2]])
async def test_a_variable_that_hides_a_function_of_python_is_named_where_it_is_called(kind):
    async with session_of(kind) as session:
        assert "brings" not in (await executed(session, "None()")).error.traceback
        await executed(session, "list = [1]\nid = 5")
        error = (await executed(session, "list('ab')")).error
        assert "'list' object is not callable" in error.traceback
        assert "given list, id to a variable; 'del list' brings Python's own back." in error.traceback
        assert (await executed(session, "del list\nlist('ab')")).value == ["a", "b"]


def test_the_executor_on_its_own_gives_names_back():
    executor = PythonExecutor([search])
    output, final = executor.run("final_answer = 42\nfinal_answer")
    assert not final
    assert output.startswith("note: final_answer is a tool")
    assert executor.run("final_answer(final_answer_value)") == (42, True)


def test_the_name_for_a_value_is_free():
    assert name_for_value("search", ["search"]) == "search_value"
    assert name_for_value("search", ["search_value", "search_value2"]) == "search_value3"
