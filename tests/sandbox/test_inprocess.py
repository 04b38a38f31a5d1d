"""`PythonExecutor`: code run in this process, by itself and as the sandbox of an agent."""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import dataclasses
import gc
import linecache
import signal
import sys
import threading
import time

import pytest

from tinyagent.core import threads
from tinyagent.core.context import Context
from tinyagent.core.errors import ConfigurationError, FatalToolError, SandboxError, ToolArgumentsError
from tinyagent.core.messages import NOT_ANSWERED
from tinyagent.core.registry import tool
from tinyagent.core.result import Observation
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import Answer, SandboxLimits, SandboxSession, caller_of
from tinyagent.sandbox.inprocess import DEFAULT_IMPORTS, PythonExecutor
from tinyagent.sandbox.inprocess.namespace import REMOVED
from tinyagent.sandbox.inprocess.stopper import Interrupted, Stopper

variable = contextvars.ContextVar("variable", default="unset")


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def same(value: object) -> object:
    """Give back the value."""
    return value


async def fetch(url: str) -> str:
    """Fetch a page."""
    return url


class OwnError(Exception):
    pass


class Raiser:
    """A tool that raises always the same exception."""

    def __init__(self):
        self.error = OwnError("bad", 3)

    def __call__(self) -> None:
        raise self.error


def output(code, *tools, **options):
    """What the one block gives."""
    return PythonExecutor(tools, **options).run(code)


# ---- run


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", ""),
        ("# nothing", ""),
        ("1 + 1", "2"),
        ("x = 1", ""),
        ("None", ""),
        ("'text'", "'text'"),
        ("print('a')\n2", "a\n2"),
        ("print('a', 'b', sep='-', end='!')", "a-b!"),
        ("print()", "\n"),
        ("if __name__ == '__main__':\n    print('main')", "main\n"),
        ("def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nf(10)", "55"),
        ("n = 3\n[n * k for k in range(n)]", "[0, 3, 6]"),
        ("class A:\n    def f(self): return 1\nclass B(A):\n    def f(self): return super().f() + 1\nB().f()", "2"),
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nP(2)", "P(x=2)"),
        ("import collections\ncollections.Counter('aab').most_common(1)", "[('a', 2)]"),
        ("'''a\nb'''", "'a\\nb'"),
        ("x = 1\r\nx + 1\r\n", "2"),
        ("match [1, 2]:\n    case [a, b]:\n        print(a + b)", "3\n"),
        ("import asyncio", None),
    ],
)
def test_output(code, expected):
    text, is_final = output(code)
    assert is_final is False
    assert text == expected if expected is not None else text.splitlines()[-1].startswith("ImportError: asyncio cannot")


def test_namespace_lives_on():
    executor = PythonExecutor([add])
    assert executor.run("x = add(2, 3)\ndef f(): return x") == ("", False)
    assert executor.run("x += 1") == ("", False)
    assert executor.run("f()") == ("6", False)
    assert PythonExecutor([add]).run("x")[0].endswith("NameError: name 'x' is not defined")


def test_final_answer():
    executor = PythonExecutor()
    value, is_final = executor.run("answer = {'a': [1]}\nprint('on the way')\nfinal_answer(answer)\nanswer['b'] = 2")
    assert (value, is_final) == ({"a": [1]}, True)
    assert executor.run("final_answer(answer)")[0] is value
    assert executor.run("final_answer(None)") == (None, True)
    assert executor.run("answer") == ("{'a': [1]}", False)


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    final_answer(1)\nexcept Exception:\n    final_answer(2)",
        "def f():\n    for _ in range(3):\n        final_answer(1)\nf()\nfinal_answer(2)",
        "list(map(final_answer, [1, 2]))",
        "try:\n    final_answer(1)\nexcept:\n    print('caught')\nfinal_answer(2)",
        "try:\n    final_answer(1)\nexcept:\n    final_answer(2)",
        "try:\n    final_answer(1)\nfinally:\n    1 / 0",
    ],
)
def test_final_answer_ends_the_block(code):
    assert output(code) == (1, True)


def test_tool_that_returns_the_answer():
    assert output("finish(2)\n1 / 0", Tool(add, name="finish", returns_answer=True)) == (3, True)


def test_tools():
    executor = PythonExecutor([add, same])
    assert executor.run("add(1, 2), add(1), add(b=5, a=1), list(map(add, [1, 2])), add.__name__, add.__doc__") == (
        "(3, 2, 6, [2, 3], 'add', 'Add two numbers.')",
        False,
    )
    assert executor.run("x = object()\nsame(x) is x") == ("True", False)


@pytest.mark.parametrize("call", ["add()", "add(1, 2, 3)", "add(1, a=1)", "add(1, c=2)", "add('one')"])
def test_arguments_are_checked(call):
    text, _ = output(f"try:\n    {call}\nexcept Exception as error:\n    print(type(error).__name__)", add)
    assert text == "ToolArgumentsError\n"


def test_tool_with_a_context():
    def who(context: Context) -> str:
        """Say who."""
        return context.tool

    assert output("who()", who) == ("'who'", False)


def test_exceptions_of_tools_are_the_very_ones():
    raiser = Tool(Raiser(), name="fail", description="Fail.")
    executor = PythonExecutor([raiser])
    executor.run("try:\n    fail()\nexcept Exception as error:\n    caught = error")
    assert executor.run("final_answer(caught)")[0] is raiser.function.error
    text, _ = output("x = 1\nfail()", Tool(Raiser(), name="fail"))
    assert text == (
        'Traceback (most recent call last):\n  File "<block 1>", line 2, in <module>\n    fail()\n'
        f"{__name__}.OwnError: ('bad', 3)"
    )


async def test_async_tools_are_refused():
    for refuse in (
        lambda: PythonExecutor([add, fetch]),
        lambda: PythonExecutor().open([add, fetch]),
    ):
        with pytest.raises(ConfigurationError, match=r"'fetch' is async.* ProcessSandbox or MontySandbox"):
            refuse()
    assert PythonExecutor().capabilities.async_tools is False


def test_function_that_gives_a_coroutine():
    """It does not look async; its coroutine is awaited on the event loop, as for an agent."""
    assert output("hidden()", Tool(lambda: fetch("x"), name="hidden", description="Hidden.")) == ("'x'", False)


def test_tool_that_code_could_not_call():
    with pytest.raises(ConfigurationError, match="no Python identifier"):
        PythonExecutor([Tool(add, name="add-up")])


def test_error():
    text, _ = output("def half(n):\n    return n // 0\nprint('before')\nhalf(1)\nprint('after')")
    assert text.splitlines()[:6] == [
        "before",
        "Traceback (most recent call last):",
        '  File "<block 1>", line 4, in <module>',
        "    half(1)",
        '  File "<block 1>", line 2, in half',
        "    return n // 0",
    ]
    assert text.splitlines()[-1] == "ZeroDivisionError: integer division or modulo by zero"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\ny = [1,", "SyntaxError: '[' was never closed"),
        ("x = 1\nif x:\nprint(x)", "IndentationError: expected an indented block after 'if' statement on line 2"),
        ("x = 1\nreturn x", "SyntaxError: 'return' outside function"),
        ("x = 1\n'a\x00b'", "SyntaxError: source code string cannot contain null bytes"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E: <exception str() failed>"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("class R:\n    def __repr__(self): return 1 / 0\nR()", "ZeroDivisionError: division by zero"),
    ],
)
def test_errors(code, expected):
    text, is_final = output(code)
    last = text.splitlines()[-1]
    assert last.endswith(expected) or (expected.startswith("SyntaxError: source") and "null bytes" in last)
    assert not is_final
    assert "namespace" not in text
    assert "tinyagent" not in text


def test_syntax_error_shows_its_line_and_nothing_runs():
    executor = PythonExecutor()
    text, _ = executor.run("x = 1\nprint('no')\ny = = 2")
    assert text.startswith('  File "<block 1>", line 3\n    y = = 2\n        ^\n')
    assert "NameError" in executor.run("x")[0]


@pytest.mark.parametrize(
    "code", ["x = 1\nawait add(1)", "x = 1\nasync with x: pass", "x = 1\n[k async for k in x]", "x = 1\nprint(await x)"]
)
def test_await_at_the_top_level(code):
    text, _ = output(code, add)
    assert "line 2" in text
    assert "SyntaxError: this sandbox is synchronous, so 'await' cannot stand at the top level" in text


def test_await_in_a_plain_function_is_pythons_own_error():
    assert "SyntaxError: 'await' outside async function" in output("def f():\n    await x")[0]
    assert output("async def f():\n    await x") == ("", False)


def test_future_imports_hold_for_later_blocks():
    executor = PythonExecutor()
    executor.run("from __future__ import annotations")
    assert executor.run("def f(x: Missing): pass\nf.__annotations__") == ("{'x': 'Missing'}", False)
    assert "NameError" in output("def f(x: Missing): pass\nf.__annotations__")[0]


def test_chained_errors_show_the_code_only():
    text, _ = output(
        "try:\n    fail()\nexcept Exception as error:\n    raise KeyError('k') from error", Tool(Raiser(), name="fail")
    )
    assert "direct cause" in text
    assert text.count("File") == text.count('File "<block 1>"') == 2
    group, _ = output("raise ExceptionGroup('several', [ValueError(1)])")
    assert "ValueError: 1" in group


def test_blocks_of_several_executors_keep_their_own_lines():
    one, other = PythonExecutor(), PythonExecutor()
    one.run("def f():\n    return 1 / 0  # one")
    other.run("def f():\n    return 1 / 0  # other")
    assert "# one" in one.run("f()")[0]
    assert "# other" in other.run("f()")[0]


def test_lines_are_forgotten_with_their_namespace():
    before = set(linecache.cache)
    executor = PythonExecutor()
    executor.run("def f(): pass")
    assert len(set(linecache.cache) - before) == 1
    del executor
    ends = time.monotonic() + 20
    while not set(linecache.cache) <= before:  # the worker thread may only just have given its result
        assert time.monotonic() < ends
        gc.collect()


def test_traceback_after_the_line_cache_was_cleared():
    executor = PythonExecutor()
    executor.run("def f():\n    return 1 / 0")
    linecache.clearcache()
    assert "return 1 / 0" in executor.run("f()")[0]


# ---- what the code has


@pytest.mark.parametrize("name", sorted(REMOVED))
def test_removed_builtins(name):
    text, _ = output(f"x = 1\n{name}")
    assert f"NameError: name '{name}' is not defined" in text
    assert f"{name} does not exist in this sandbox." in text


def test_builtins_that_are_left():
    lost = {name for name in vars(builtins) if not name.startswith("_")} - set(REMOVED) - {"exit", "quit"}
    assert output(f"for name in {sorted(lost)}: assert name in __builtins__, name") == ("", False)
    assert output("[name for name in __builtins__ if name[0] == '_']") == ("['__build_class__', '__import__']", False)


@pytest.mark.parametrize("name", DEFAULT_IMPORTS)
def test_imports(name):
    assert output(f"import {name}\n{name}.__name__") == (repr(name), False)


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("import os", "os"),
        ("import os.path", "os.path"),
        ("from os import path", "os"),
        ("import urllib.request", "urllib.request"),
        ("import urllib", "urllib"),
        ("from urllib import request", "urllib"),
        ("import mathematics", "mathematics"),
        ("from . import math", "."),
        ("__import__('os')", "os"),
    ],
)
def test_imports_refused(code, refused):
    text, _ = output(f"try:\n    {code}\nexcept ImportError as error:\n    print(error)")
    assert text.startswith(f"{refused} cannot be imported here. The modules that can be are: abc, ")


@pytest.mark.parametrize(
    ("imports", "code"),
    [
        (["os.path"], "from os import path\npath.sep"),
        (["os"], "import os.path\nos.path.sep"),
        (["io.StringIO"], "from io import StringIO\nStringIO('/').read()"),
        (["xml"], "from xml.sax.saxutils import escape\nescape('/')"),
        ([], "from __future__ import annotations\n'/'"),
    ],
)
def test_own_imports(imports, code):
    assert output(code, imports=imports) == ("'/'", False)
    assert "ImportError: math cannot" in output("import math", imports=imports)[0]


@pytest.mark.parametrize("imports", ["math", [1], [""]])
def test_imports_that_are_no_names(imports):
    with pytest.raises(ConfigurationError, match="pass a list of module names"):
        PythonExecutor(imports=imports)


def test_print(capsys):
    code = """
class File:
    def __init__(self): self.text = ''
    def write(self, text): self.text += text
file = File()
print('to the file', file=file)
print('to the output', flush=True)
try:
    print('x', sep=1)
except TypeError as error:
    print(error)
file.text
"""
    text, _ = output(code)
    assert text == "to the output\nsep must be None or a string, not int\n'to the file\\n'"
    assert capsys.readouterr() == ("", "")


def test_only_the_codes_own_print_is_captured(capsys):
    def noisy() -> None:
        """Print."""
        print("from the program")

    assert output("noisy()\nprint('from the code')", noisy) == ("from the code\n", False)
    assert capsys.readouterr().out == "from the program\n"


def test_capabilities():
    capabilities = PythonExecutor(imports=["math", "numpy", "pandas.io"]).capabilities
    assert (capabilities.isolated, capabilities.async_tools, capabilities.full_python) == (False, False, False)
    assert capabilities.packages == ("numpy", "pandas.io")
    assert any("math, numpy, pandas.io" in note for note in capabilities.notes)
    assert any("open" in note for note in capabilities.notes)


# ---- what run may use


def test_time_limit():
    executor = PythonExecutor(limits=SandboxLimits(seconds=0.2))
    text, is_final = executor.run("x = 1\nprint('started')\nwhile True:\n    x += 1")
    assert text.startswith("started\nTraceback")
    assert text.endswith("TimeoutError: the block ran longer than 0.2 s")
    assert not is_final
    assert int(executor.run("x")[0]) > 1


def test_time_limit_that_the_code_ignores_at_first():
    code = "try:\n    for _ in iter(int, 1): pass\nexcept BaseException:\n    print('caught')\nwhile True: pass"
    text, _ = output(code, limits=SandboxLimits(seconds=0.2, grace=0.2))
    assert text.startswith("caught\n")
    assert text.endswith("longer than 0.2 s")


def test_time_of_tools_does_not_count():
    def slow() -> None:
        """Take longer than the limit."""
        time.sleep(1.5)

    assert output("slow()\n'done'", slow, limits=SandboxLimits(seconds=1)) == ("'done'", False)


def test_no_time_limit():
    assert output("add(1)", add, limits=SandboxLimits(seconds=None)) == ("2", False)


def test_time_outs_and_retries_of_tools_apply():
    """The tools of `run` are called as an agent's are."""
    tries = []

    def flaky() -> str:
        """Fail once."""
        tries.append(threading.current_thread())
        if len(tries) == 1:
            raise OSError("not yet")
        return "done"

    def hang() -> None:
        """Take longer than its own limit."""
        let_go.wait(20)

    let_go = threading.Event()
    text, _ = output("flaky()", Tool(flaky, retries=1))
    assert (text, len(tries)) == ("'done'", 2)
    text, _ = output("hang()", Tool(hang, timeout=0.05))
    let_go.set()
    assert "TimeoutError: the tool took longer than 0.05 s" in text


def test_code_that_hangs_is_left(untraced):
    """With its names; the executor goes on with others."""
    let_go = threading.Event()
    executor = PythonExecutor(limits=SandboxLimits(seconds=0.1, grace=0.1))
    executor.run("x = 1")
    executor._namespace.names["gate"] = let_go
    text, _ = executor.run("gate.wait()")
    let_go.set()
    assert "TimeoutError: the block ran longer than 0.1 s, and hung in a call that Python cannot stop" in text
    assert "NameError" in executor.run("x")[0]


async def test_run_where_a_loop_runs():
    assert output("add(2)", add) == ("3", False)


def test_the_executor_within_its_own_code():
    """Not only in its tools."""
    executor = PythonExecutor([Tool(lambda: executor, name="own", description="Give the executor.")])
    assert "RuntimeError: PythonExecutor.run() was called by its own code" in executor.run("own().run('1')")[0]
    assert executor.run("own() is None") == ("False", False)


def test_ctrl_c_reaches_the_program():
    """Unlike the interruption by a limit, it is not the code's business."""
    executor = PythonExecutor([Tool(lambda: signal.raise_signal(signal.SIGINT), name="press")])
    with pytest.raises(KeyboardInterrupt) as caught:
        executor.run("x = 1\npress()")
    assert not isinstance(caught.value, Interrupted)
    assert executor.run("x") == ("1", False)


def test_output_limit():
    text, _ = output("print('x' * 8)\nprint('y' * 8)\n1", limits=SandboxLimits(output=10))
    assert text == "xxxxxxxx\ny[8 more characters were printed]\n1"


def test_call_limit():
    text, _ = output("for i in range(5):\n    print(add(i, 0))", add, limits=SandboxLimits(calls=3))
    assert text.startswith("0\n1\n2\nTraceback")
    assert text.endswith("RuntimeError: this block has made 3 tool calls, which is the limit; go on in another block")


def test_run_inside_run():
    executor = PythonExecutor([Tool(lambda: executor.run("1"), name="nested")])
    assert "RuntimeError: PythonExecutor.run() was called by its own code" in executor.run("nested()")[0]
    assert executor.run("1") == ("1", False)


def test_run_from_several_threads():
    """One block at a time, each with its own output."""
    executor = PythonExecutor()
    executor.run("import time\ntotal = 0")
    code = "before = total\nfor _ in range(20): time.sleep(0.0005)\ntotal = before + 1\nprint(name)"
    results = {}

    def work(name):
        results[name] = executor.run(code.replace("name", repr(name)))

    workers = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == {f"t{number}": (f"t{number}\n", False) for number in range(8)}
    assert executor.run("total") == ("8", False)


# ---- stopping a thread


def test_nothing_is_raised_after_the_guarded_work():
    """Stops that come at any moment around the end hit the guarded work or nothing."""
    outcomes = set()
    strays = []

    def code(stopper, ready):
        try:
            try:
                ready.set()
                stopper.guard(lambda: sum(1 for _ in range(300)))
                outcomes.add("done")
            except Interrupted:
                outcomes.add("stopped")
            for _ in range(300):  # where a late one would show
                pass
        except BaseException as error:
            strays.append(error)

    for number in range(600):
        stopper, ready = Stopper(), threading.Event()
        thread = threading.Thread(target=code, args=(stopper, ready))
        thread.start()
        ready.wait()
        for _ in range(number % 60):
            pass
        stopper.stop()
        stopper.stop()
        thread.join()
    assert not strays
    assert outcomes <= {"done", "stopped"}


def test_stop_before_the_work_begins():
    stopper = Stopper()
    stopper.stop()
    with pytest.raises(Interrupted):
        stopper.guard(lambda: pytest.fail("it ran"))


# ---- sessions


@pytest.fixture
async def session():
    async with PythonExecutor().open([add, same]) as session:
        yield session


async def test_execution(session):
    assert isinstance(session, SandboxSession)
    execution = await session.execute("print('sum')\nadd(2, b=3)")
    assert (execution.value, execution.repr, execution.stdout) == (5, "5", "sum\n")
    assert (execution.error, execution.truncated, execution.interrupted) == (None, 0, False)
    assert execution.code == "print('sum')\nadd(2, b=3)"
    assert execution.seconds > 0
    (observation,) = execution.calls
    assert (observation.call.name, observation.call.arguments, observation.value) == ("add", {"a": 2, "b": 3}, 5)


async def test_objects_pass_as_they_are(session):
    given = object()
    await session.set({"given": given})
    execution = await session.execute("returned = same(given)\nmade = lambda: returned\nreturned")
    assert execution.value is execution.calls[0].value is execution.calls[0].call.arguments["value"] is given
    got = await session.get("made", "returned", "missing")
    assert got["returned"] is got["made"]() is given
    assert set(got) == {"made", "returned"}


@pytest.mark.parametrize("name", ["a b", "", "class", "1a", 3])
async def test_set_refuses_what_is_no_name(session, name):
    with pytest.raises(ConfigurationError, match="a name in Python"):
        await session.set({"fine": 1, name: 1})
    assert await session.get("fine") == {}


async def test_sessions_have_their_own_namespaces():
    executor = PythonExecutor()
    async with executor.open() as one, executor.open() as other:
        await one.execute("x = 1")
        await other.execute("x = 2")
        assert (await one.execute("x")).value == 1
        assert "NameError" in executor.run("x")[0]


async def test_code_error(session):
    await session.execute("def f(n):\n    n += 1\n    return {}[n]\nvalue = 3\n_hidden = 1")
    execution = await session.execute("x = 1\n\nf(x)\ny = 2")
    error = execution.error
    assert (error.type, error.message, error.line) == ("KeyError", "2", 3)
    assert error.bases == ("LookupError", "Exception", "BaseException")
    assert error.args == (2,)
    assert error.names == ("f", "value", "x")
    assert error.lost is False
    assert 'File "<block 2>", line 3' in error.traceback
    assert 'File "<block 1>", line 3, in f' in error.traceback
    assert isinstance(error.exception(), KeyError)
    assert (execution.value, execution.interrupted) == (None, False)


async def test_code_error_of_own_class(session):
    code = "import json\nclass Own(json.JSONDecodeError): pass\nraise Own('bad', 'doc', 0)"
    error = (await session.execute(code)).error
    assert (error.type, error.bases) == ("Own", ("ValueError", "Exception", "BaseException"))
    plain = (await session.execute("raise ValueError([1], object())")).error
    assert plain.args == ()


async def test_code_error_of_syntax(session):
    error = (await session.execute("x = 1\ny = = 2")).error
    assert (error.type, error.message, error.line, error.args) == (
        "SyntaxError",
        "invalid syntax",
        2,
        ("invalid syntax",),
    )
    assert "<block 1>" in error.traceback
    async with PythonExecutor(imports=["ast"]).open() as other:  # one of another source
        error = (await other.execute("import ast\nast.literal_eval('a b')")).error
        assert (error.type, error.line) == ("SyntaxError", 2)


async def test_calls_that_fail(session):
    raiser = Raiser()
    async with PythonExecutor().open([add, Tool(raiser, name="fail")]) as session:
        execution = await session.execute(
            "try:\n    fail()\nexcept Exception as error:\n    caught = error\ntry:\n    add('x', 1, 2)\n"
            "except Exception as error:\n    print(type(error).__name__)\nadd(1)"
        )
        assert (await session.get("caught"))["caught"] is raiser.error
    assert execution.stdout == "ToolArgumentsError\n"
    failed, refused, done = execution.calls
    assert "OwnError" in failed.error
    assert "add() takes 2 positional arguments but 3 were given" in refused.error
    assert (done.value, done.error) == (2, None)
    assert len({observation.call.id for observation in execution.calls}) == 3


async def test_caller():
    """Calls are answered on the event loop, in the task's own context, one after the other."""
    seen = []
    variable.set("of the task")

    async def call(call):
        seen.append((call.name, call.arguments, threading.get_ident(), variable.get()))
        return Answer(Observation(call, "text", value=len(seen)))

    async with PythonExecutor().open([add], call=call) as session:
        execution = await session.execute("[add(1), add(2), [add(n) for n in 'ab']]")
    assert execution.value == [1, 2, [3, 4]]
    assert [entry[0:2] for entry in seen] == [("add", {"a": a}) for a in (1, 2, "a", "b")]
    assert {entry[2:] for entry in seen} == {(threading.get_ident(), "of the task")}
    assert [observation.value for observation in execution.calls] == [1, 2, 3, 4]


async def test_ids_of_calls_are_the_same_whenever_a_block_runs():
    ids = []
    for _ in range(2):
        async with PythonExecutor().open([add]) as session:
            await session.execute("add(0)")
            execution = await session.execute("add(1)\nadd(1)\nadd(2)")
            ids.append([observation.call.id for observation in execution.calls])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
    assert all(name.startswith("block2_add_") for name in ids[0])


async def test_caller_of_another_context():
    """The code's thread has the task's context variables too."""
    async with PythonExecutor().open() as session:
        await session.set({"variable": variable})
        variable.set("seen")
        assert (await session.execute("variable.get()")).value == "seen"


async def test_calls_are_answered_in_tasks_of_their_own():
    tasks = []

    async def call(call):
        tasks.append(asyncio.current_task())
        variable.set(f"changed by {call.arguments['a']}")
        if call.arguments["a"] == 2:
            tasks[-1].cancel()
            await asyncio.sleep(0)
        return Answer(Observation(call, "", variable.get()))

    async with PythonExecutor().open([add], call=call) as session:
        execution = await session.execute(
            "x = add(1)\ntry:\n    add(2)\nexcept RuntimeError as error:\n    y = str(error)\n[x, y, add(3)]"
        )
    assert execution.value == ["changed by 1", "CancelledError: the tool cancelled itself", "changed by 3"]
    assert execution.calls[1].error == execution.value[1]
    assert len({*tasks, asyncio.current_task()}) == 4
    assert variable.get() == "unset"


async def test_answer_that_ends_the_block():
    async with PythonExecutor().open([Tool(same, name="finish", returns_answer=True), add]) as session:
        for code in (
            "before = 1\ntry:\n    finish([7])\nexcept Exception:\n    after = 1\nafter = 2",
            "before = 1\ntry:\n    finish([7])\nexcept:\n    add(1)\nafter = 2",
            "before = 1\ntry:\n    finish([7])\nfinally:\n    1 / 0",
        ):
            execution = await session.execute(code)
            assert (execution.error, execution.value, execution.interrupted) == (None, None, False)
            assert [observation.value for observation in execution.calls] == [[7]]
            assert await session.get("before", "after") == {"before": 1}
        assert (await session.execute("before")).value == 1


async def test_fatal_error_of_a_caller():
    cleaned = []

    async def call(call):
        raise FatalToolError("no more")

    async with PythonExecutor().open([add], call=call) as session:
        await session.set({"cleaned": cleaned})
        with pytest.raises(FatalToolError, match="no more"):
            await session.execute("x = 1\ntry:\n    add(1)\nfinally:\n    cleaned.append(1)\nx = 2")
        assert cleaned == [1]
        assert (await session.execute("x")).value == 1


async def test_output_as_it_comes():
    heard = []
    first = asyncio.Event()

    def hear(text):
        heard.append(text)
        first.set()

    async def wait_for_first(call):
        await first.wait()
        return Answer(Observation(call, ""))

    async with PythonExecutor().open([add], call=wait_for_first) as session:
        execution = await session.execute("print('one')\nadd(1)\nfor n in range(1000): print(n)", on_output=hear)
    assert heard[0] == "one\n"
    assert "".join(heard) == execution.stdout == "one\n" + "".join(f"{n}\n" for n in range(1000))


async def test_output_beyond_the_limit():
    heard = []
    async with PythonExecutor().open([], SandboxLimits(output=5)) as session:
        execution = await session.execute("print('abc')\nprint('def')\nprint('ghi')", on_output=heard.append)
        assert (execution.stdout, execution.truncated) == ("abc\nd", 7)
        assert "".join(heard) == "abc\nd"
        assert (await session.execute("print('new')")).stdout == "new\n"


async def test_outputs_do_not_mix(capsys):
    executor = PythonExecutor()

    async def one(number):
        async with executor.open([add]) as session:
            return await session.execute(f"for _ in range(50):\n    print({number})\n    add(1)")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(6)]
        for _ in range(50):
            print("other")
            await asyncio.sleep(0)
    assert [task.result().stdout for task in tasks] == [f"{number}\n" * 50 for number in range(6)]
    assert capsys.readouterr().out == "other\n" * 50


async def test_the_loop_goes_on_meanwhile(session):
    going = []
    await session.set({"going": going})
    task = asyncio.create_task(session.execute("while not going: pass\ngoing[0]"))
    for _ in range(5):
        await asyncio.sleep(0)
    going.append("on")
    assert (await task).value == "on"


# ---- stopping sessions


class Signals:
    """What code and test tell each other."""

    def __init__(self):
        self.started = threading.Event()
        self.gate = threading.Event()
        self.notes = []

    async def running(self):
        """Until the code has said that it runs."""
        async with asyncio.timeout(30):
            while not self.started.is_set():
                await asyncio.sleep(0.001)


@pytest.fixture
async def signals(session):
    signals = Signals()
    await session.set({"signals": signals})
    yield signals
    signals.gate.set()


@pytest.fixture
def untraced(monkeypatch):
    """Without what measures coverage: CPython 3.11 would halt while code hangs outside Python (see `Stopper.stop`)."""
    if sys.version_info >= (3, 12):
        yield
        return
    tracer, threads_tracer = sys.gettrace(), threading.gettrace()
    monkeypatch.setattr(threads, "_idle", [])  # threads that are traced already
    sys.settrace(None)
    threading.settrace(None)
    yield
    threading.settrace(threads_tracer)
    sys.settrace(tracer)


LOOP = "x = 1\nsignals.started.set()\nwhile True:\n    x += 1"


async def test_interrupt(session, signals):
    task = asyncio.create_task(session.execute(LOOP))
    await signals.running()
    await session.interrupt()
    execution = await task
    assert execution.interrupted
    assert (execution.error.type, execution.error.message) == ("KeyboardInterrupt", "the block was interrupted")
    assert execution.error.line in (3, 4)
    assert execution.error.traceback.endswith("KeyboardInterrupt: the block was interrupted\n")
    assert "x += 1" in execution.error.traceback or "while True" in execution.error.traceback
    assert execution.error.names == ("signals", "x")
    assert not execution.error.lost
    assert (await session.execute("x")).value > 1


async def test_interrupt_between_blocks(session):
    await session.interrupt()
    execution = await session.execute("1")
    assert (execution.value, execution.interrupted) == (1, False)


async def test_interrupted_code_can_clean_up(session, signals):
    loop = "for _ in iter(int, 1): pass"
    code = f"signals.started.set()\ntry:\n    {loop}\nexcept KeyboardInterrupt:\n    print('cleaned')\n1"
    task = asyncio.create_task(session.execute(code))
    await signals.running()
    await session.interrupt()
    execution = await task
    assert (execution.stdout, execution.interrupted, execution.value) == ("cleaned\n", True, None)
    assert execution.error.type == "KeyboardInterrupt"


async def test_interrupt_cancels_the_tool_and_waits_for_it(signals):
    async def call(call):
        signals.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            signals.notes.append("cleaned")

    async with PythonExecutor().open([add], call=call) as session:
        await session.set({"notes": signals.notes})
        code = "x = 1\ntry:\n    add(1)\nexcept KeyboardInterrupt as error:\n    notes.append('told')\n    raise\nx = 2"
        task = asyncio.create_task(session.execute(code))
        await signals.running()
        await session.interrupt()
        execution = await task
        assert execution.interrupted
        assert execution.error.line == 6 or execution.error.line == 3
        assert signals.notes == ["cleaned", "told"]
        assert [(o.text, o.error) for o in execution.calls] == [(NOT_ANSWERED, NOT_ANSWERED)]
        assert (await session.execute("x")).value == 1


async def test_tool_that_ignores_the_cancellation(signals):
    async def call(call):
        signals.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Answer(Observation(call, "late", "late"))

    async with PythonExecutor().open([add], call=call) as session:
        task = asyncio.create_task(session.execute("add(1)\nadd(2)"))
        await signals.running()
        await session.interrupt()
        execution = await task
        assert execution.interrupted
        assert [observation.value for observation in execution.calls] == ["late"]

        signals.started.clear()
        task = asyncio.create_task(session.execute("add(1)\nadd(2)"))
        await signals.running()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancel(session, signals):
    task = asyncio.create_task(session.execute(LOOP))
    await signals.running()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await session.execute("x")).value > 1


async def test_tool_that_cleans_up_slowly_is_waited_for_whatever_comes(signals):
    async def call(call):
        signals.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    signals.notes.append("again")
            signals.notes.append("cleaned")
            raise ValueError("while cleaning up")

    async with PythonExecutor().open([add], call=call) as session:
        task = asyncio.create_task(session.execute("add(1)"))
        await signals.running()
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert signals.notes == ["cleaned"]  # and is not cancelled again


async def test_cancel_during_a_call(signals):
    call_ended = []

    async def call(call):
        signals.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            call_ended.append(True)

    async with PythonExecutor().open([add], call=call) as session:
        task = asyncio.create_task(session.execute("x = 1\nadd(1)\nx = 2"))
        await signals.running()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert call_ended == [True]
        assert (await session.execute("x")).value == 1


async def test_time_limit_of_a_session(signals):
    async with PythonExecutor(limits=SandboxLimits(seconds=0.2)).open([add]) as session:
        execution = await session.execute("x = 1\nwhile True:\n    x += 1")
        assert execution.interrupted
        assert (execution.error.type, execution.error.message) == (
            "TimeoutError",
            "the block ran longer than 0.2 s",
        )
        assert execution.error.bases == ("OSError", "Exception", "BaseException")
        assert execution.error.line in (2, 3)
        assert (await session.execute("x")).value > 1


async def test_time_of_a_sessions_tools_does_not_count():
    async def call(call):
        await asyncio.sleep(0.8)
        return Answer(Observation(call, "", 1))

    async with PythonExecutor().open([add], SandboxLimits(seconds=1), call=call) as session:
        execution = await session.execute("add(1)\nadd(1)\n'done'")
        assert (execution.value, execution.error) == ("done", None)


async def test_a_timeout_of_the_caller_is_its_own():
    async def call(call):
        raise TimeoutError("of the run")

    async with PythonExecutor().open([add], call=call) as session:
        with pytest.raises(TimeoutError, match="of the run"):
            await session.execute("add(1)")


async def test_code_that_hangs_outside_python_is_abandoned(untraced, signals):
    async with PythonExecutor().open([add], SandboxLimits(seconds=0.2, grace=0.1)) as session:
        await session.set({"signals": signals})
        execution = await session.execute(
            "x = 1\nprint('begun')\nsignals.started.set()\ntry:\n    signals.gate.wait()\n    signals.notes.append(1)\n"
            "finally:\n    try: add(1)\n    except BaseException as e: signals.notes.append(type(e))\n"
            "    try:\n        print('late')\n    finally:\n        signals.started.clear()"
        )
        assert execution.error.lost
        assert execution.interrupted
        assert execution.error.type == "TimeoutError"
        assert "All variables, functions and imports are gone" in execution.error.message
        assert execution.error.names == ("signals", "x")
        assert execution.stdout == "begun\n"
        after = await session.execute("add(1)")
        assert (after.value, after.error) == (2, None)
        assert "NameError" in (await session.execute("x")).error.traceback

        signals.gate.set()
        async with asyncio.timeout(30):
            while signals.started.is_set():
                await asyncio.sleep(0.001)
        assert signals.notes == [Interrupted]
        assert (await session.execute("1")).stdout == ""


async def test_second_cancellation_does_not_wait(untraced, signals):
    async with PythonExecutor().open([], SandboxLimits(grace=3600)) as session:
        await session.set({"signals": signals})
        task = asyncio.create_task(session.execute("x = 1\nsignals.started.set()\nsignals.gate.wait()"))
        await signals.running()
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await session.get("x") == {}


async def test_close_stops_what_runs(signals):
    session = PythonExecutor().open()
    await session.set({"signals": signals})
    task = asyncio.create_task(session.execute(LOOP))
    await signals.running()
    await session.close()
    execution = await task
    assert execution.error.type == "KeyboardInterrupt"
    await session.close()
    for use in (session.start(), session.execute("1"), session.set({"x": 1})):
        with pytest.raises(SandboxError, match="closed"):
            await use


async def test_one_block_at_a_time(session, signals):
    first = asyncio.create_task(
        session.execute("signals.started.set()\nwhile not signals.gate.is_set(): pass\norder = [1]")
    )
    await signals.running()
    second = asyncio.create_task(session.execute("order.append(2)\norder"))
    for _ in range(5):
        await asyncio.sleep(0)
    signals.gate.set()
    await first
    assert (await second).value == [1, 2]


# ---- threads


@pytest.fixture
def one_thread():
    before = threads._slots.number
    threads.set_thread_limit(1)
    yield
    threads._slots.number = before


async def test_waiting_for_a_tool_takes_no_thread(one_thread):
    """With as many blocks as threads, their synchronous tools would wait for ever."""
    executor = PythonExecutor()

    async def one(number):
        async with executor.open([add]) as session:
            return (await session.execute(f"sum(add(n, {number}) for n in range(5))")).value

    async with asyncio.timeout(30):
        assert await asyncio.gather(*map(one, range(5))) == [10 + 5 * number for number in range(5)]


async def test_interrupt_while_waiting_for_a_thread(one_thread, session, signals):
    async with PythonExecutor().open() as other:
        busy = asyncio.create_task(session.execute(LOOP))
        await signals.running()
        waiting = asyncio.create_task(other.execute("x = 1"))
        for _ in range(5):
            await asyncio.sleep(0)
        await other.interrupt()
        execution = await waiting
        assert (execution.error.type, execution.error.line) == ("KeyboardInterrupt", None)
        assert await other.get("x") == {}
        await session.interrupt()
        await busy


async def test_threads_of_the_code(signals):
    """They call tools while the block runs, and are told when it has ended."""
    async with PythonExecutor(imports=["threading"]).open([add]) as session:
        await session.set({"signals": signals})
        execution = await session.execute(
            "import threading\nfound = []\ndef work(n): found.append(add(n))\n"
            "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
            "for t in threads: t.start()\nfor t in threads: t.join()\nsorted(found)"
        )
        assert execution.value == list(range(1, 9))
        assert len(execution.calls) == 8
        await session.execute(
            "def late():\n    signals.gate.wait()\n    print('late')\n    try:\n        add(1)\n"
            "    except RuntimeError as error:\n        signals.notes.append(str(error))\n    signals.started.set()\n"
            "thread = threading.Thread(target=late)\nthread.start()"
        )
        signals.gate.set()
        await signals.running()
        assert signals.notes == ["add() was called after its block had ended"]
        assert (await session.execute("thread.join()")).stdout == ""


async def test_call_limit_of_a_session():
    async with PythonExecutor().open([add], SandboxLimits(calls=2)) as session:
        execution = await session.execute("add(1)\nadd(2)\nadd(3)")
        assert (execution.error.type, execution.error.line, len(execution.calls)) == ("RuntimeError", 3, 2)
        assert (await session.execute("add(1)")).value == 2


# ---- pieces


async def test_pieces(session):
    sent = []

    async def pieces():
        for piece in ("x = 1\n", "\n\ndef f():\n    return 1 / x\n", "f()\n", "x = 0\nx\n", "# the end\n"):
            sent.append((piece, await session.get("x")))
            yield piece

    execution = await session.execute(pieces())
    assert (execution.value, execution.repr) == (0, "0")
    assert execution.code == "".join(piece for piece, _ in sent)
    assert [values for _, values in sent] == [{}, {"x": 1}, {"x": 1}, {"x": 1}, {"x": 0}]


async def test_value_is_that_of_the_last_piece(session):
    async def pieces():
        yield "1\n"
        yield "x = 2\n"

    execution = await session.execute(pieces())
    assert (execution.value, execution.repr) == (None, None)


@pytest.mark.parametrize(
    ("bad", "line"), [("f()\n", 4), ("\n\ny = = 1\n", 7), ("for k in range(2):\n    int('x')\n", 6), ("await f()", 5)]
)
async def test_error_in_a_piece(session, bad, line):
    """Lines count from the start of the block, and nothing after the error is asked for."""
    closed = []

    async def pieces():
        try:
            yield "x = 0\n"
            yield "def f():\n    '\x0c\x1c not the end of a line'\n    return 1 / x\n"
            yield bad
            pytest.fail("asked for more")
        finally:
            closed.append(True)

    error = (await session.execute(pieces())).error
    assert error.line == line
    assert f'File "<block 1>", line {line}' in error.traceback
    assert closed == [True]


async def test_pieces_after_the_end_of_the_block():
    async def pieces():
        yield "finish(1)\n"
        pytest.fail("asked for more")

    async with PythonExecutor().open([Tool(same, name="finish", returns_answer=True)]) as session:
        execution = await session.execute(pieces())
        assert (execution.error, execution.calls[0].value) == (None, 1)


async def test_pieces_that_fail(session):
    async def pieces():
        yield "x = 1\n"
        raise OSError("the stream broke")

    with pytest.raises(OSError, match="the stream broke"):
        await session.execute(pieces())
    assert await session.get("x") == {"x": 1}
    assert (await session.execute("x")).value == 1


async def test_interrupt_while_waiting_for_a_piece(session):
    waiting = asyncio.Event()
    closed = []

    async def pieces():
        try:
            yield "x = 1\n"
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    task = asyncio.create_task(session.execute(pieces()))
    await waiting.wait()
    await session.interrupt()
    execution = await task
    assert (execution.error.type, execution.interrupted, closed) == ("KeyboardInterrupt", True, [True])
    assert await session.get("x") == {"x": 1}


async def test_pieces_that_are_no_generator(session):
    class Pieces:
        def __init__(self):
            self.left = ["x = 1\n", "x + 1"]

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    assert (await session.execute(Pieces())).value == 2


async def test_tools_run_as_without_an_agent():
    """Through the tool: validated, with its retries and time-outs left to who answers the calls."""

    @dataclasses.dataclass
    class Point:
        x: int

    def move(point: Point, by: int) -> Point:
        """Move a point."""
        return Point(point.x + by)

    tools = {"move": Tool(move, local_names=locals())}
    async with PythonExecutor().open(tools.values(), call=caller_of(tools)) as session:
        execution = await session.execute("move({'x': 1}, 2)")
        assert execution.value == Point(3)
        error = (await session.execute("move({'y': 1}, 2)")).error
        assert error.type == ToolArgumentsError.__name__


def test_tool_decorator(monkeypatch):
    @tool
    def double(n: int) -> int:
        """Double a number."""
        return n * 2

    assert output("double(4)", double) == ("8", False)
