"""The runtime of a child: sessions, channel, tools, output and interrupts, unlocked and in this process."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

import asyncio
import builtins
import random
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.sandbox.child_host import TAUGHT, Host, player
from tinyagent.core.codec import MalformedError, Opaque
from tinyagent.sandbox.child import session
from tinyagent.sandbox.child.channel import Channel
from tinyagent.sandbox.child.interrupts import interrupts
from tinyagent.sandbox.child.output import Output

ROOT = Path(__file__).parents[2]


@pytest.fixture
def playing(monkeypatch):
    """Runs a script for the host, and a session for it."""
    with player(monkeypatch) as play:
        yield play


# ---- blocks


def test_blocks_share_a_namespace_and_give_the_value_of_their_last_expression(playing):
    def script(host):
        assert host.run("x = 20\nx + 1").value == 21
        ran = host.run("y = x\n'tea'")
        assert (ran.value, ran.done["repr"], ran.done["names"], ran.done["ended"]) == (
            "tea",
            "'tea'",
            ["x", "y"],
            False,
        )
        assert host.run("y = 1").done["repr"] is None
        assert host.run("").value is None
        assert host.run("# nothing").value is None
        assert host.run("def f():\n    return __name__\nf(), asyncio.sleep.__name__").value == ("__main__", "sleep")

    playing(script)


def test_names_are_those_that_the_code_has_defined(playing):
    def script(host):
        host.tools(search=True)
        ran = host.run("import math, os as system\nfrom math import pi\n_x = 1\nclass A: pass\ndef f(): pass\nsearch\n")
        assert ran.done["names"] == ["pi", "A", "f"]
        assert host.run("del A\nglobals()[7] = 1\nglobals()['n' * 200] = 2").done["names"] == ["pi", "f", "n" * 100]
        assert len(host.run("globals().update({f'm{n}': n for n in range(300)})").done["names"]) == 200

    playing(script)


def test_values_are_set_and_fetched(playing):
    def script(host):
        assert host.command("set", v={"a": {"!": "tuple", "v": [1]}}).error is None
        assert host.run("a").value == (1,)
        host.run("class Cup:\n    def __repr__(self): return 'cup'\nb = Cup()")
        found = host.command("get", names=["a", "b", "missing"]).done["v"]
        assert found == {"a": (1,), "b": "cup"}
        assert (type(found["b"]), found["b"].type) == (Opaque, "Cup")
        host.run("big = 'x' * 2_000_000")
        done = host.command("get", names=["a", "big"]).done
        assert (done["e"]["type"], "v" in done) == ("TooLargeError", False)
        assert host.command("get", names=["a"]).done["v"] == {"a": (1,)}

    playing(script)


def test_a_value_that_does_not_fit_is_an_error_and_the_names_stay(playing):
    def script(host):
        ran = host.run("kept = 1\n'x' * 2_000_000")
        assert (ran.error["type"], ran.error["bases"][0]) == ("TooLargeError", "ValueError")
        assert (ran.done.get("repr"), ran.done["names"]) == (None, ["kept"])
        assert host.run("kept").value == 1

    playing(script)


def test_the_text_of_a_value_is_cut(playing):
    def script(host):
        assert host.run("class A:\n    def __repr__(self): return 'x' * 300_000\nA()").done["repr"] == (
            "x" * 200_000 + "... (300,000 characters)"
        )

    playing(script)


def test_a_value_that_cannot_be_printed_is_an_error_of_the_code(playing):
    def script(host):
        ran = host.run("class A:\n    def __repr__(self):\n        return 1 / 0\nA()")
        assert (ran.error["type"], ran.error["line"]) == ("ZeroDivisionError", 3)

    playing(script)


@pytest.mark.parametrize(
    ("code", "type_", "line"),
    [
        ("x = 1\n1 / 0", "ZeroDivisionError", 2),
        ("x = (", "SyntaxError", 1),
        ("import sys\nsys.exit(3)", "SystemExit", 2),
        ("exit()", "SystemExit", None),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", 1),
        ("raise BaseException", "BaseException", 1),
        ("async def f():\n    1 / 0\nawait f()", "ZeroDivisionError", 2),
        ("await asyncio.gather(missing())", "NameError", 1),
        ("raise asyncio.CancelledError", "CancelledError", 1),
        ("await asyncio.sleep(0)\nraise asyncio.CancelledError", "CancelledError", 2),
        ("input()", "EOFError", 1),
        ("return 1", "SyntaxError", 1),
        ("x = 1\n\0", "SyntaxError", None),
    ],
)
def test_errors_of_the_code_are_told(playing, code, type_, line):
    def script(host):
        ran = host.run(code)
        assert ran.error["type"] == type_
        if line is not None:
            assert ran.error["line"] == line
        assert ran.done["v"] is None
        assert host.run("1").value == 1

    playing(script)


def test_tracebacks_show_the_lines_of_all_pieces(playing):
    def script(host):
        host.run("def f():\r\n    return g()\n", "\n\ndef g():\n    return 1 / 0\n", "x = 1\n")
        ran = host.run("y = 1\n", "f()\n")
        shown = [line.strip() for line in ran.error["traceback"].splitlines() if "^" not in line]
        assert shown == [
            "Traceback (most recent call last):",
            'File "<block 2>", line 2, in <module>',
            "f()",
            'File "<block 1>", line 2, in f',
            "return g()",
            'File "<block 1>", line 6, in g',
            "return 1 / 0",
            "ZeroDivisionError: division by zero",
        ]
        assert ran.error["line"] == 6

    playing(script)


def test_the_value_of_a_block_in_pieces_is_that_of_the_last_that_was_not_empty(playing):
    def script(host):
        ran = host.run("x = 1\n", "x + 1", "")
        assert (ran.value, ran.done["repr"]) == (2, "2")
        assert host.run("7", "y = 2", "").value is None
        assert host.run("").value is None
        host.command("exec", code="5", file="<block 9>", line=1, last=False)
        assert host.run("", "").value is None

    playing(script)


def test_future_statements_and_contexts_go_on_as_names_do(playing):
    def script(host):
        code = "def f(x: int): pass\nf.__annotations__['x']"
        assert host.run(code.replace("['x']", "['x'] is int")).value is True
        host.run(
            "from __future__ import annotations\nfrom contextvars import ContextVar\nv = ContextVar('v')\nv.set(1)"
        )
        assert host.run(code).value == "int"
        assert host.run("v.set(v.get() + 1)\nawait asyncio.sleep(0)\nv.set(v.get() + 1)").error is None
        assert host.run("v.get()").value == 3

    playing(script)


def test_top_level_await_in_all_forms(playing):
    def script(host):
        assert host.run("x = await asyncio.sleep(0, 5)\nx").value == 5
        assert host.run("await asyncio.sleep(0, 6)").value == 6
        assert host.run("[await asyncio.sleep(0, n) for n in range(3)]").value == [0, 1, 2]
        assert host.run("async def g():\n    yield 1\n[n async for n in g()]").value == [1]
        assert host.run("async with asyncio.timeout(5):\n    y = 1\ny").value == 1
        assert host.run("t = asyncio.create_task(asyncio.sleep(0, 7))\n").error is None
        assert host.run("await t").value == 7
        assert host.run("asyncio.run(asyncio.sleep(0, 8))").value == 8
        assert host.run("await asyncio.sleep(0)\nasyncio.run(asyncio.sleep(0, 9))").value == 9
        assert (
            host.run("def f():\n    return asyncio.run(asyncio.sleep(0, 10))\nawait asyncio.sleep(0)\nf()").value == 10
        )

    playing(script)


def test_classes_of_the_code_can_be_pickled_and_found(playing):
    def script(host):
        code = (
            "import pickle, sys\nclass A:\n    x = 1\npickle.loads(pickle.dumps(A())).x, sys.modules['__main__'].A is A"
        )
        assert host.run(code).value == (1, True)

    playing(script)


def test_random_numbers_follow_a_seed():
    before = random.getstate()
    state = np.random.get_state()
    try:
        drawn = []
        for seed in ("a run", "a run", "another run"):
            session._seed(seed)
            drawn.append((random.random(), np.random.random()))
        session.reseed()
        drawn.append((random.random(), np.random.random()))
    finally:
        random.setstate(before)
        np.random.set_state(state)
    assert drawn[0] == drawn[1]
    assert len({pair[0] for pair in drawn}) == 3
    assert len({pair[1] for pair in drawn}) == 3


def test_without_numpy_there_is_less_to_seed(monkeypatch):
    before = random.getstate()
    monkeypatch.delitem(sys.modules, "numpy")
    try:
        session._seed("x")
        session.reseed()
    finally:
        random.setstate(before)


def test_a_session_is_given_its_seed_with_its_tools(playing):
    def script(host):
        host.tools(seed="run 1")
        first = host.run("import random\nrandom.random()").value
        host.tools(seed="run 1")
        assert host.run("random.random()").value == first
        host.tools()
        assert host.run("random.random()").value != first

    playing(script)


def test_what_a_shell_adds_is_there(playing):
    def script(host):
        assert host.run("import sys\nsys.argv, callable(exit), callable(quit), callable(help)").value == (
            [""],
            True,
            True,
            True,
        )
        assert host.run(
            "from multiprocessing.pool import ThreadPool\nwith ThreadPool(2) as p:\n    r = p.map(len, ['a', 'bb'])\nr"
        ).value == [1, 2]
        assert host.run("import multiprocessing.context as c\nc.BaseContext().RLock().acquire()").value is True

    playing(script)


def test_a_rehearsal_leaves_everything_as_it_was(playing):
    def script(host):
        ran = host.run("1")
        assert (ran.value, ran.frames, ran.done["names"]) == (1, [], [])
        assert host.run("import linecache\n[f for f in linecache.cache if f.startswith('<block')]").value == [
            "<block 1>",
            "<block 2>",
        ]

    before = random.getstate()
    playing(script)
    assert random.getstate() == before


def test_the_event_loop_is_made_when_it_is_first_asked_for(playing, monkeypatch):
    made, new = [], asyncio.new_event_loop

    def counted():
        made.append(new())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", counted)

    def script(host):
        host.tools(look=False)
        assert host.run("def f(): return look(2)\nf()").value == 2
        assert made == []
        assert host.run("loop = asyncio.get_event_loop()\nfuture = asyncio.Future()\nloop.is_running()").value is False
        code = "future.set_result(asyncio.get_running_loop() is loop is future.get_loop())\nawait future"
        assert host.run(code).value is True
        assert len(made) == 1
        assert host.run("asyncio.set_event_loop(None)\nasyncio.get_event_loop() is loop").value is True
        assert host.run("mine = asyncio.new_event_loop()\nasyncio.set_event_loop(mine)").error is None
        assert host.run("asyncio.get_event_loop() is mine, mine.close()").value == (True, None)
        code = "from concurrent.futures import ThreadPoolExecutor as P\nwith P() as p: p.submit(asyncio.get_event_loop).result()"
        assert host.run(code).error["type"] == "RuntimeError"

    playing(script)


# ---- output


def test_output_comes_in_order_and_before_calls(playing):
    def script(host):
        host.tools(look=False)
        ran = host.run(
            "import sys\nprint('a')\nsys.stderr.write('b')\nlook(1)\nprint('c')\nsys.stdout.buffer.write(b'd\\xff')\n''"
        )
        before = "".join(frame["s"] for frame in ran.frames[: ran.kinds().index("call")])
        assert (before, ran.stdout) == ("a\nb", "a\nbc\nd\ufffd")

    playing(script)


def test_output_before_an_error_is_kept(playing):
    def script(host):
        assert host.run("print('before', end='')\n1 / 0").stdout == "before"

    playing(script)


def test_much_output_is_gathered_and_cut_into_frames(playing):
    def script(host):
        ran = host.run("for n in range(5000): print(n)")
        assert ran.stdout == "".join(f"{n}\n" for n in range(5000))
        assert len(ran.frames) < 4000
        ran = host.run("print('x' * 200_000)")
        assert [len(frame["s"]) for frame in ran.frames][:3] == [1 << 16] * 3
        assert ran.stdout == "x" * 200_000 + "\n"

    playing(script)


@pytest.mark.parametrize("code", ["sys.stdout = None", "del sys.stdout", "sys.stdout = open", "sys.stderr = 3"])
def test_a_block_begins_with_streams_that_work(playing, code):
    def script(host):
        host.run(f"import sys\n{code}")
        ran = host.run(
            "print('a')\nprint('b', file=sys.stderr)\nsys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__"
        )
        assert (ran.value, ran.stdout) == ((True, True), "a\nb\n")

    playing(script)


@pytest.mark.parametrize(
    "code",
    [
        "sys.stdout.close()",
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')",
        "sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8')",
        "sys.stderr.detach()",
    ],
)
def test_a_block_begins_with_streams_that_work_whatever_became_of_them(playing, code):
    def script(host):
        host.run(f"import io, sys\n{code}")
        assert host.run("print('a')\nprint('b', file=sys.stderr)").stdout == "a\nb\n"

    playing(script)


@pytest.mark.parametrize("taken", ["sys.stdout.buffer", "sys.stdout.detach()"])
def test_what_is_printed_by_way_of_a_stream_of_the_code_is_told_in_its_block(playing, taken):
    def script(host):
        ran = host.run(f"import io, sys\nsys.stdout = io.TextIOWrapper({taken}, encoding='utf-8')\nprint('a')")
        assert ran.stdout == "a\n"

    playing(script)


def test_threads_print_as_well(playing):
    def script(host):
        code = "import threading\nts = [threading.Thread(target=print, args=(n,)) for n in range(20)]\n[t.start() for t in ts]\n[t.join() for t in ts]\n''"
        assert sorted(host.run(code).stdout.split()) == sorted(map(str, range(20)))

    playing(script)


# ---- tools


def test_tools_are_functions_with_a_name_and_a_text(playing):
    def script(host):
        host.tools(look=False, search=True)
        assert host.run("look.__name__, look.__doc__, look.is_async, search.is_async, repr(search)").value == (
            "look",
            "Do look.",
            False,
            True,
            "<tool search>",
        )

    playing(script)


STYLES = {
    "sync": "look(4)",
    "async": "search(4)",
    "keyword": "look(value=4)",
    "awaited": "await search(4)",
    "sync awaited": "await look(4)",
    "gathered": "(await asyncio.gather(search(4), look(5), 6))[0]",
    "kept": "ts = [search(4), search(5)]\n(await asyncio.gather(*ts))[0]",
    "in async def": "async def f():\n    return search(4)\nawait f()",
    "in async def, run": "async def f():\n    return search(4)\nasyncio.run(f())",
    "in a nested run": "async def f():\n    return await search(4)\ndef g():\n    return asyncio.run(f())\nawait asyncio.sleep(0)\ng()",
    "in a nested run with a context": "import contextvars\nv = contextvars.ContextVar('v')\nv.set(4)\nasync def f():\n    return v.get()\ndef g():\n    return asyncio.run(f())\nawait asyncio.sleep(0)\ng()",
    "aliased": "f = search\nf(4)",
    "aliased in a loop": "f = search\nawait f(4)",
    "callback": "list(map(search, [4]))[0]",
    "in threads": "from concurrent.futures import ThreadPoolExecutor as T\nwith T(3) as p:\n    r = list(p.map(search, [4, 5, 6, 7]))\nr[0]",
    "task": "t = asyncio.create_task(search(4))\nawait t",
    "plain awaited": "x = 4\nawait x",
    "shadowed": "def search(x):\n    return 4\nsearch(1)",
    "shadowed by a coroutine": "async def search(x):\n    return 4\nawait search(1)",
    "shadowed in async def": "async def f():\n    def search(x): return 4\n    return search(1)\nawait f()",
    "another gather": "class A:\n    def gather(self, x): return x\nA().gather(4)",
    "shielded": "await asyncio.shield(asyncio.wait_for(search(4), 9))",
}


@pytest.mark.parametrize("style", STYLES)
def test_every_way_to_call(playing, style):
    def script(host):
        host.answer = lambda frame: (frame["a"] or list(frame["k"].values()))[0]
        host.tools(look=False, search=True)
        assert host.run(STYLES[style]).value == 4

    playing(script)


def test_answers_may_come_in_any_order_and_from_any_thread(playing):
    def script(host):
        waiting = []

        def answer(frame):
            waiting.append(frame)
            if len(waiting) == 4:
                for call in reversed(waiting):
                    host.ret(call["id"], call["a"][0])
                waiting.clear()
            return host.LATER

        host.answer = answer
        host.tools(search=True, look=False)
        assert host.run("await asyncio.gather(*[search(n) for n in range(4)])").value == [0, 1, 2, 3]
        threads = "from concurrent.futures import ThreadPoolExecutor as T\nwith T(4) as p:\n    r = list(p.map(look, range(4)))\nr"
        assert host.run(threads).value == [0, 1, 2, 3]
        mixed = (
            "async def one(n):\n    return await asyncio.to_thread(look, n)\n"
            "await asyncio.gather(search(0), one(1), search(2), one(3))"
        )
        assert host.run(mixed).value == [0, 1, 2, 3]

    playing(script)


def test_calls_are_written_with_their_id_last(playing):
    def script(host):
        host.tools(look=False)
        ran = host.run("look(1, (2,), k={3})\nlook()")
        assert [list(frame) for frame in ran.calls] == [["t", "n", "a", "k", "id"]] * 2
        assert [frame["id"] for frame in ran.calls] == [1, 2]
        assert (ran.calls[0]["a"], ran.calls[0]["k"]) == ([1, (2,)], {"k": {3}})

    playing(script)


@dataclass
class Place:
    x: int


def test_records_come_with_their_fields(playing):
    def script(host):
        host.answer = lambda frame: Place(1)
        host.tools(look=False)
        assert host.run("r = look()\nr.x, r['x'], type(r).__name__").value == (1, 1, "Record")

    playing(script)


def test_what_cannot_leave_is_told(playing):
    def script(host):
        host.tools(look=False)
        ran = host.run("class Cup: pass\nlook(Cup(), [print, Cup()])\nprint('on')")
        assert (
            "note: look() received the text of: Cup, builtin_function_or_method; only data can leave the sandbox"
            in ran.stdout
        )
        ran = host.run("try:\n    look('x' * 2_000_000)\nexcept ValueError as error:\n    print(error)\nlook(1)")
        assert "too large to cross" in ran.stdout
        assert ran.value == 1

    playing(script)


class Missing(LookupError):
    pass


class OddError(Exception):
    pass


@pytest.mark.parametrize("style", ["look()", "await look()", "await asyncio.gather(look())"])
def test_exceptions_of_tools_are_raised_as_themselves(playing, style):
    def script(host):
        host.tools(look=False)
        for error, expected in (
            (ValueError("bad", 3), ("ValueError", False, ("bad", 3))),
            (Missing("no tea"), ("Missing", True, ("no tea",))),
            (OddError(), ("OddError", False, ())),
            (UnicodeDecodeError("a", b"b", 0, 1, "c"), ("UnicodeDecodeError", False, None)),
        ):
            host.answer = lambda frame, error=error: error
            code = f"try:\n    {style}\nexcept Exception as e:\n    r = (type(e).__name__, isinstance(e, LookupError), e.args)\nr"
            type_, is_lookup, args = host.run(code).value
            if args is not None and expected[2] is not None:
                assert (type_, is_lookup, args) == expected
        ran = host.run(style)
        assert ran.error["line"] == 1
        assert "remote.py" not in ran.error["traceback"]

    playing(script)


@pytest.mark.parametrize(
    ("name", "bases", "base"),
    [
        ("Own", ["KeyError", "LookupError", "Exception"], KeyError),
        ("Own", ["Exception", "BaseException"], Exception),
        ("no name!", ["ValueError"], ValueError),
        ("Own", ["print", "NoSuch", "TypeError"], TypeError),
        ("KeyboardInterrupt", ["BaseException"], Exception),
        ("print", [], Exception),
    ],
)
def test_what_class_an_exception_of_a_tool_has(playing, name, bases, base):
    def script(host):
        def answer(frame):
            host.send(t="ret", id=frame["id"], e={"type": name, "bases": bases, "args": ["x"], "text": "x"})
            return host.LATER

        host.answer = answer
        host.tools(look=False)
        code = (
            f"try:\n    look()\nexcept {base.__name__} as e:\n    r = (type(e).__name__, e.args, type(e).__module__)\nr"
        )
        type_, args, module = host.run(code).value
        assert (type_, args) == (name if name.isidentifier() else "ToolError", ("x",))
        assert module == "__main__"

    playing(script)


@pytest.mark.parametrize(
    "code",
    [
        "answer(1)\nprint('no')",
        "await answer(1)\nprint('no')",
        "try:\n    answer(1)\nexcept Exception:\n    print('no')",
        "try:\n    answer(1)\nexcept BaseException:\n    pass\n5",
        "try:\n    answer(1)\nfinally:\n    1 / 0",
        "async def f():\n    answer(1)\n    print('no')\nawait asyncio.gather(f())",
    ],
)
def test_an_answer_ends_the_block(playing, code):
    def script(host):
        host.answer = lambda frame: ...
        host.tools(answer=False)
        ran = host.run(code)
        assert (ran.done["ended"], ran.error, ran.stdout) == (True, None, "")
        ran = host.run("2")
        assert (ran.done["ended"], ran.value) == (False, 2)

    playing(script)


def test_a_call_that_is_given_up_is_withdrawn_and_its_answer_goes_nowhere(playing):
    def script(host):
        late = []

        def answer(frame):
            late.append(frame["id"])
            return host.LATER if frame["n"] == "search" else host.ret(late[0], "late") or "now"

        host.answer = answer
        host.tools(search=True, look=False)
        code = "try:\n    await asyncio.wait_for(search(1), 0.01)\nexcept TimeoutError:\n    r = look(2)\nr"
        ran = host.run(code)
        assert ran.value == "now"
        assert [(frame["t"], frame["id"]) for frame in ran.frames] == [("call", 1), ("cancel", 1), ("call", 2)]

    playing(script)


def test_an_answer_that_comes_as_its_call_is_given_up_goes_nowhere(playing):
    def script(host):
        host.answer = lambda frame: host.LATER if frame["n"] == "search" else host.ret(1, "late") or "now"
        host.tools(search=True, look=False)
        code = (
            "t = asyncio.ensure_future(search(1))\nawait asyncio.sleep(0)\nr = look(2)\nt.cancel()\n"
            "await asyncio.wait([t])\nr, t.cancelled()"
        )
        assert host.run(code).value == ("now", True)

    playing(script)


def test_a_command_of_another_kind_is_passed_over(playing):
    def script(host):
        host.send(t="hello")
        assert host.run("1").value == 1

    playing(script)


def test_an_answer_to_a_loop_that_is_closed_goes_nowhere(playing):
    def script(host):
        host.answer = lambda frame: host.LATER if frame["n"] == "search" else host.ret(1, "late") or "now"
        host.tools(search=True, look=False)
        code = (
            "async def f():\n    t = asyncio.ensure_future(search(1))\n    await asyncio.sleep(0.01)\n    return t\n"
            "loop = asyncio.new_event_loop()\nt = loop.run_until_complete(f())\nloop.close()\nlook(2)"
        )
        assert host.run(code).value == "now"
        host.run("t = None")

    playing(script)


# ---- interrupts

STUCK = {
    "loop": "print('on')\nwhile True: pass",
    "sleep": "import time\nprint('on')\ntime.sleep(100)",
    "await": "print('on')\nawait asyncio.sleep(100)",
    "busy coroutine": "print('on')\nwhile True: await asyncio.sleep(0)",
    "run": "async def f():\n    print('on')\n    await asyncio.sleep(100)\nasyncio.run(f())",
    "nested run": "async def f():\n    print('on')\n    await asyncio.sleep(0.5)\ndef g():\n    asyncio.run(f())\nawait asyncio.sleep(0)\ng()\nwhile True: pass",
    "event": "import threading\nprint('on')\nthreading.Event().wait()",
    "join": "import threading, time\nt = threading.Thread(target=time.sleep, args=(0.5,))\nt.start()\nprint('on')\nt.join()\nwhile True: pass",
    "printing": "while True: print('on')",
    "tool": "print('on')\nsearch(1)",
    "awaited tool": "print('on')\nawait search(1)",
    "tools in threads": "import threading\nt = threading.Thread(target=look, args=(5,))\nt.start()\nprint('on')\nsearch(1)",
    "text of the value": "class A:\n    def __repr__(self):\n        print('on')\n        while True: pass\nA()",
    "except": "print('on')\ntry:\n    while True: pass\nexcept Exception: pass",
    "callback of the loop": "def f():\n    print('on')\n    while True: pass\nasyncio.get_running_loop().call_soon(f)\nawait asyncio.sleep(100)",
    "callback": "def f(_):\n    while True: pass\nprint('on')\nsorted([1, 2], key=f)",
}


@pytest.mark.parametrize("how", STUCK)
def test_whatever_a_block_does_it_can_be_interrupted_and_its_names_stay(playing, how):
    def script(host):
        held = []
        host.answer = lambda frame: held.append(frame["id"]) or host.LATER
        host.tools(search=True, look=False)
        ran = host.run_interrupted("kept = 7\n" + STUCK[how])
        assert ran.error["type"] == "KeyboardInterrupt"
        assert ran.error["line"] is None or ran.error["line"] > 1
        for call in held:
            host.ret(call, None)
        host.answer = lambda frame: frame["a"][0]
        assert host.run("kept, look(3)").value == (7, 3)
        assert host.run("await asyncio.sleep(0, 5)").value == 5

    playing(script)


def test_a_block_may_clean_up_when_it_is_interrupted(playing):
    def script(host):
        code = "done = []\nprint('on')\ntry:\n    await asyncio.sleep(100)\nfinally:\n    await asyncio.sleep(0)\n    done.append(1)"
        assert host.run_interrupted(code).error["type"] == "KeyboardInterrupt"
        assert host.run("done").value == [1]

    playing(script)


def test_an_interrupt_is_delivered_once(playing):
    def script(host):
        code = "import time\nprint('on')\ntry:\n    time.sleep(100)\nexcept KeyboardInterrupt:\n    n = 5\ntime.sleep(0.1)\nn"
        assert host.run_interrupted(code).value == 5
        code = "print('on')\ntry:\n    await asyncio.sleep(100)\nexcept asyncio.CancelledError:\n    r = 1\nawait asyncio.sleep(0.1)\nr"
        assert host.run_interrupted(code).value == 1

    playing(script)


def test_an_interrupt_between_two_blocks_stops_nothing(playing):
    def script(host):
        host.run("1")
        for _ in range(5):
            host.interrupt()
        assert host.run("sum(range(1000))").value == 499500
        assert host.command("get", names=["x"]).done["v"] == {}

    playing(script)


def test_tasks_that_the_code_cancels_itself_are_no_interrupt(playing):
    def script(host):
        ran = host.run("t = asyncio.create_task(asyncio.sleep(100))\nawait asyncio.sleep(0)\nt.cancel()\nawait t")
        assert ran.error["type"] == "CancelledError"
        assert host.run("asyncio.current_task().cancel()\nawait asyncio.sleep(1)").error["type"] == "CancelledError"
        assert host.run("1").value == 1

    playing(script)


def test_a_checkpoint_stops_only_the_main_thread_of_a_block_that_was_interrupted(monkeypatch):
    interrupts.begin()
    try:
        interrupts.checkpoint()
        interrupts._pending = True
        passed = []
        thread = threading.Thread(target=lambda: (interrupts.checkpoint(), passed.append(1)))
        thread.start()
        thread.join()
        assert passed == [1]
        with pytest.raises(KeyboardInterrupt):
            interrupts.checkpoint()
        interrupts.checkpoint()
        interrupts.begin()
        interrupts._pending = True
        interrupts.running = False
        interrupts.checkpoint()
        interrupts._cancel()  # too late
    finally:
        interrupts.begin()
        interrupts.running = False


# ---- the channel


@pytest.fixture
def channel():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(theirs), Host(ours)


def test_commands_wait_in_order_while_answers_are_read(channel):
    child, host = channel
    call = child.new_call()
    host.send(t="set", id=1, v={})
    host.send(t="get", id=2, names=[])
    host.send(t="ret", id=99, v="nobody asked")
    host.send(t="ret", id=call, v=5)
    assert child.answer(call) == {"t": "ret", "id": call, "v": 5}
    assert [child.next_command()["t"], child.next_command()["t"]] == ["set", "get"]
    assert (child._answers, child._expected) == ({}, set())


def test_answers_go_to_those_who_hear_them_once(channel):
    child, host = channel
    heard = []
    one, other = child.new_call(heard.append), child.new_call(heard.append)
    child.forget(other)
    child.forget(99)
    for call in (other, one, one):
        host.send(t="ret", id=call, v=call)
    child.read_ready()
    child.read_ready()  # nothing is there
    assert [frame["v"] for frame in heard] == [one]


def test_one_thread_reads_for_all(channel):
    child, host = channel
    calls = [child.new_call() for _ in range(8)]
    answers = {}
    threads = [
        threading.Thread(target=lambda call=call: answers.update({call: child.answer(call)["v"]})) for call in calls
    ]
    for thread in threads:
        thread.start()
    for call in reversed(calls):
        host.send(t="ret", id=call, v=-call)
    for thread in threads:
        thread.join()
    assert answers == {call: -call for call in calls}


def test_a_loop_leaves_reading_to_the_thread_that_is_at_it(channel):
    child, host = channel
    call = child.new_call()
    waiting = threading.Thread(target=child.answer, args=(call,))
    waiting.start()
    while not child._reading:
        pass
    child.read_ready()
    host.send(t="ret", id=call, v=1)
    waiting.join()


def test_a_frame_that_is_wrong_is_an_error_and_others_go_on_reading(channel):
    child, host = channel
    call = child.new_call()
    host._socket.sendall(b"\0\0\0\x02[]")
    with pytest.raises(MalformedError):
        child.answer(call)
    assert child._expected == set()
    host.send(t="get", id=1, names=[])
    assert child.next_command()["t"] == "get"


def test_frames_of_several_threads_are_sent_whole(channel):
    child, host = channel
    threads = [threading.Thread(target=child.send, args=({"t": "out", "s": str(n) * 100_000},)) for n in range(5)]
    for thread in threads:
        thread.start()
    assert sorted(host.hear()["s"][0] for _ in threads) == list("01234")
    for thread in threads:
        thread.join()
    assert child.fileno() > 0


def test_a_session_ends_with_its_host():
    ours, theirs = socket.socketpair()
    code = (
        "import socket, sys\nfrom tinyagent.sandbox.child.session import Session, prepare\nprepare()\n"
        "Session(socket.socket(fileno=int(sys.argv[1]))).serve({})"
    )
    with ours:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", code.replace("sys.argv[1]", str(theirs.fileno()))],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                stderr=subprocess.PIPE,
            )
        host = Host(ours)
        assert host.hear() == {"t": "ready"}
        assert host.run("print('x')\n1").value == 1
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, b"")


# ---- the streams by themselves


def test_streams_behave_as_streams(channel):
    child, host = channel
    output = Output(child)
    try:
        stream = output.stdout
        assert (stream.writable(), stream.encoding, stream.mode, stream.buffer.name) == (True, "utf-8", "w", "<stdout>")
        assert stream.write("ü\n") == 2
        assert host.hear()["s"] == "ü\n"
        with pytest.raises(UnicodeEncodeError):
            stream.write("\ud800")
        assert stream.buffer.write(b"\xc3") == 1  # half a character
        output.flush()
        stream.buffer.write(b"\xbc")
        assert host.hear()["s"] == "ü"
        output.send()
        output.stderr.close()
        output.flush()
        with pytest.raises((OSError, ValueError)):
            stream.fileno()
        with pytest.raises((OSError, ValueError)):
            stream.read()
    finally:
        output.stdout.close()
        output.stderr.close()


def test_helpers_are_found_by_their_names(playing):
    assert set(session.helpers()) == {name for name in vars(builtins) if name in session.helpers()}
    assert asyncio.run.__wrapped__ is not None


def test_these_tests_leave_their_own_process_as_it_was():
    before = [dict(vars(each)) for each in TAUGHT]
    with pytest.MonkeyPatch.context() as patched, player(patched):
        assert [dict(vars(each)) for each in TAUGHT] != before
    assert [dict(vars(each)) for each in TAUGHT] == before
