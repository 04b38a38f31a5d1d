"""`tinyagent run`: tools of one's own from the command line, its errors and its exit statuses."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import runpy
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

import tinyagent
from tests.agents.kinds import needs_sandbox
from tests.tools.mcp.support import over_http
from tinyagent.cli.loading import load_tools
from tinyagent.cli.main import DEFAULT_MODEL, main
from tinyagent.core.errors import ConfigurationError
from tinyagent.core.tool import Tool
from tinyagent.testing import RawReply, Reply, call

TOOLS = """
import asyncio
import time
from tinyagent import tool

@tool
async def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

@tool(name="shout")
def louder(text: str) -> str:
    "Say it louder."
    return text.upper()

def plain(text: str) -> str:
    "Not decorated."
    return text[::-1]

async def wait() -> str:
    "Wait for good."
    await asyncio.Event().wait()

def block() -> str:
    "Hold a thread for a minute."
    time.sleep(60)

number = 7
nothing = None
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory to be in, with a module of tools that no other test knows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    (tmp_path / "my_tools.py").write_text(TOOLS)
    yield tmp_path
    for name in set(sys.modules) - known:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def run_main(capsys):
    """Runs the command in a thread, beside a server in this loop: its status, standard output and error."""

    async def run(*arguments):
        status = await asyncio.to_thread(main, list(arguments))
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


def environment(**changes):
    left_out = ("OPENAI_", "NO_COLOR", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {"PYTHONIOENCODING": "utf-8", "TERM": "xterm-256color"} | changes


@contextmanager
def command(*arguments, prelude="", stream=subprocess.PIPE, **changes):
    """The command in a process of its own, killed where it has not ended; `changes` are to its environment."""
    start = [sys.executable, "-m", "tinyagent"]
    if prelude:
        start = [sys.executable, "-c", f"import sys; {prelude}; from tinyagent.cli.main import main; sys.exit(main())"]
    streams = {"stdin": stream, "stdout": stream, "stderr": stream, "encoding": "utf-8"}
    with subprocess.Popen([*start, *arguments], env=environment(**changes), **streams) as process:
        try:
            yield process
        finally:
            process.kill()


async def finish(process, text=None, *, within=30):
    """Standard output and error of a process that ends by itself."""
    return await asyncio.to_thread(process.communicate, text, within)


# ---- running


async def test_run_answers_with_the_tools_of_a_module(here, run_main, scripted_server, monkeypatch):
    async with scripted_server([[call("add", a=2, b=3), call("shout", text="hi")], "The sum is 5."]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        status, out, err = await run_main("run", "Add 2 and 3.", "--tools", "my_tools")
    assert (status, out) == (0, "The sum is 5.\n")
    *trace, last = err.splitlines()
    assert sorted(re.sub(r" \(\d+\.\d\d s\)", "", line) for line in trace) == [
        "← add: 5", "← shout: HI", "→ add(a=2, b=3)", '→ shout(text="hi")',
    ]  # fmt: skip
    assert re.fullmatch(r"2 steps · [\d,]+ → [\d,]+ tokens · \d+\.\d\d s", last)
    body = server.requests[0].body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["add", "shout"]
    assert body["messages"] == [{"role": "user", "content": "Add 2 and 3."}]
    assert body["model"] == DEFAULT_MODEL


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        (["my_tools:plain"], ["plain"]),
        (["my_tools:add"], ["add"]),
        (["my_tools:add", "my_tools:plain"], ["add", "plain"]),
        (["my_tools", "my_tools:plain"], ["add", "shout", "plain"]),
        (["package.inner:fly"], ["fly"]),
        (["package.inner"], ["land"]),
        ([], []),
    ],
)
async def test_tools_are_named_by_module_or_function(specs, names, here, run_main, scripted_server):
    (here / "package").mkdir()
    inner = "from tinyagent import tool\ndef fly(): ...\n@tool\ndef land(): ...\n"
    (here / "package" / "inner.py").write_text(inner)
    options = [part for spec in specs for part in ("--tools", spec)]
    async with scripted_server(["ok"]) as server:
        status, _, err = await run_main("run", "Go.", "--base-url", server.url, *options)
    assert (status, err.count("\n")) == (0, 1)
    assert [tool["function"]["name"] for tool in server.requests[0].body.get("tools", ())] == names


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        (["my_tools.py"], ["add", "shout"]),
        (["./my_tools.py:plain"], ["plain"]),
        (["my_tools.py:add", "my_tools:plain", "my_tools.py:louder"], ["add", "plain", "shout"]),
        (["far/off-tools.py"], ["far_away", "beside"]),
        (["far/off-tools.py:beside"], ["beside"]),
        (["far/json.py"], ["dump"]),
    ],
)
async def test_tools_are_named_by_file(specs, names, here, run_main, scripted_server):
    (here / "far").mkdir()
    (here / "far" / "beside_it.py").write_text('from tinyagent import tool\n@tool\ndef beside():\n    "Beside."\n')
    far = 'from tinyagent import tool\n{}\n@tool\ndef {}():\n    "A tool."\n'
    (here / "far" / "json.py").write_text(far.format("", "dump"))
    code = far.format("", "far_away") + "from beside_it import beside\n"
    (here / "far" / "off-tools.py").write_text(code)
    options = [part for spec in specs for part in ("--tools", spec)]
    async with scripted_server(["ok"]) as server:
        status, _, err = await run_main("run", "Go.", "--base-url", server.url, *options)
    assert (status, err.count("\n")) == (0, 1)
    assert [tool["function"]["name"] for tool in server.requests[0].body["tools"]] == names
    import json

    assert json.dumps({}) == "{}"


def test_an_absolute_path_and_one_from_home(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    by_path, by_home, by_name = (
        load_tools(str(here / "my_tools.py")),
        load_tools("~/my_tools.py"),
        load_tools("my_tools"),
    )
    assert by_path == by_home == by_name
    assert [item.name for item in by_path] == ["add", "shout"]


def test_a_file_that_fails_is_executed_again(here):
    (here / "broken.py").write_text("import missing_dependency\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="missing_dependency"):
            load_tools("broken.py")
    (here / "broken.py").write_text(TOOLS)
    assert len(load_tools("broken.py")) == 2


@needs_sandbox
async def test_a_code_agent_calls_the_tools_in_code(here, run_main, scripted_server):
    async with scripted_server(["```python\nfinal_answer(await add(2, 3))\n```"]) as server:
        status, out, err = await run_main("run", "Add.", "--code", "--tools", "my_tools.py", "--base-url", server.url)
    assert (status, out) == (0, "5\n")
    assert "add(a=2, b=3)" in err
    assert "writing Python" in server.requests[0].messages[0]["content"]


RAW_SERVER = Path(__file__).parent.parent / "tools" / "mcp" / "servers" / "raw.py"


@pytest.mark.parametrize("where", ["command", "url"])
async def test_the_tools_of_mcp_servers(where, here, run_main, scripted_server):
    async with AsyncExitStack() as stack:
        spec = shlex.join([sys.executable, str(RAW_SERVER)])
        if where == "url":
            spec = await stack.enter_async_context(over_http())
        server = await stack.enter_async_context(scripted_server(["ok"]))
        status, out, err = await run_main(
            "run", "Go.", "--mcp", spec, "--tools", "my_tools.py:plain", "--base-url", server.url
        )
    assert (status, out, err.count("\n")) == (0, "ok\n", 1)
    names = [tool["function"]["name"] for tool in server.requests[0].body["tools"]]
    assert names[0] == "plain"
    assert len(names) > 1


@pytest.mark.parametrize(
    ("spec", "status", "said"),
    [
        ("", 2, "tinyagent: --mcp '': MCPTools(command=''): pass a command line"),
        ("npx 'unclosed", 2, 'tinyagent: --mcp "npx \'unclosed": MCPTools(command='),
        (
            "ftp://example.com",
            2,
            "tinyagent: --mcp 'ftp://example.com': MCPTools(url='ftp://example.com'): pass an http",
        ),
        ("no-such-program-here --now", 1, "no-such-program-here"),
    ],
)
async def test_a_wrong_mcp_server_says_what_to_pass(spec, status, said, here, run_main, scripted_server):
    async with scripted_server([]) as server:
        got, out, err = await run_main("run", "Go.", "--base-url", server.url, "--mcp", spec)
    assert (got, out) == (status, "")
    assert said in err
    assert "Traceback" not in err


async def test_mcp_without_its_extra_says_what_to_install(here, run_main, monkeypatch):
    monkeypatch.setattr("tinyagent.tools.mcp.tools.find_spec", lambda _: None)
    status, _, err = await run_main("run", "Go.", "--mcp", "npx some-server")
    assert status == 2
    assert "pip install 'tinyagent[mcp]'" in err


async def test_options_reach_the_agent(here, run_main, scripted_server):
    async with scripted_server([call("add", a=1, b=1), "2"]) as server:
        status, out, err = await run_main(
            "run", "Add.", "--tools", "my_tools", "--base-url", server.url, "--model", "my-model",
            "--instructions", "Be brief.", "--steps", "1",
        )  # fmt: skip
    assert (status, out) == (0, "2\n")
    assert "The limit of 1 steps is reached" in err
    assert server.requests[0].body["model"] == "my-model"
    assert server.requests[0].messages[0] == {"role": "system", "content": "Be brief."}


async def test_the_model_of_the_environment_is_the_default(here, run_main, scripted_server, monkeypatch):
    monkeypatch.setenv("OPENAI_MODEL", "environment-model")
    async with scripted_server(["ok"]) as server:
        await run_main("run", "Go.", "--base-url", server.url)
    assert server.requests[0].body["model"] == "environment-model"


async def test_a_dash_reads_the_question_from_standard_input(here, run_main, scripted_server, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("What is\n2 + 3?\n"))
    async with scripted_server(["5"]) as server:
        status, out, _ = await run_main("run", "-", "--base-url", server.url)
    assert (status, out) == (0, "5\n")
    assert "What is\n2 + 3?" in server.requests[0].messages[0]["content"]


async def test_a_cut_answer_is_printed_and_marked_in_the_trace(here, run_main, scripted_server):
    async with scripted_server([Reply("It was a dark and", finish_reason="length")]) as server:
        status, out, err = await run_main("run", "Go.", "--base-url", server.url)
    assert (status, out) == (0, "It was a dark and\n")
    assert "cut by the token limit" in err


# ---- errors: 1 for a failed run, 2 for wrong usage


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("no_such_module", r"--tools no_such_module: there is no module 'no_such_module' here"),
        ("no_such.module:add", r"there is no module 'no_such' here"),
        ("my_tools.deeper", r"there is no module 'my_tools.deeper' here"),
        ("my_tools:subtract", r"'my_tools' has no 'subtract'"),
        ("my_tools:nothing", r"'my_tools' has no 'nothing'"),
        ("my_tools:number", r"7 cannot be a tool: it is a int.*Pass a function"),
        ("empty", r"--tools empty: the module has no tools\. Put @tool on its functions, or name one: empty:function"),
        ("", r"write it as package\.module or package\.module:name"),
        (":add", r"write it as package\.module or package\.module:name"),
        ("my-tools", r"write it as package\.module .*, or as path/to/file\.py\.$"),
        ("tools/far-tools", r"write it as .*, or as path/to/file\.py\. There is a file: --tools tools/far-tools\.py$"),
        ("more.near", r"there is no module 'more\.near' here\.$"),
        ("no_such.py", r"--tools no_such\.py: there is no such file \(/.*/no_such\.py\)"),
        ("no_such.py:add", r"--tools no_such\.py:add: there is no such file"),
        ("folder.py", r"--tools folder\.py: it is a folder \(/.*/folder\.py\)"),
        ("my_tools.py:subtract", r"'my_tools\.py' has no 'subtract'\."),
        ("my_tools:ad", r"'my_tools' has no 'ad'\. Did you mean 'add'\?"),
        ("empty.py", r"--tools empty\.py: the module has no tools\. .*name one: empty\.py:function"),
    ],
)
async def test_wrong_tools_are_wrong_usage_and_say_what_to_pass(spec, said, here, run_main, scripted_server):
    (here / "empty.py").write_text("def plain(): ...\n")
    (here / "folder.py").mkdir()
    (here / "tools").mkdir()
    (here / "tools" / "far-tools.py").write_text(TOOLS)
    (here / "more").mkdir()
    async with scripted_server([]) as server:
        status, out, err = await run_main("run", "Go.", "--base-url", server.url, "--tools", spec)
    assert (status, out) == (2, "")
    assert err.startswith("tinyagent: ")
    assert re.search(said, err.rstrip("\n"))
    assert server.requests == []


@pytest.mark.parametrize(
    ("module", "body", "error"),
    [
        ("broken", "import missing_dependency", "missing_dependency"),
        ("broken", "from os import no_such_name", "no_such_name"),
        ("missing_tools", "import missing", "No module named 'missing'"),
        ("broken", "int('seven')", "invalid literal for int"),
        ("broken", "len(7)", "object of type 'int' has no len"),
        ("broken", "raise RuntimeError('not on this machine')", "not on this machine"),
    ],
)
def test_an_error_of_the_module_itself_is_not_hidden(module, body, error, here):
    (here / f"{module}.py").write_text(body)
    with pytest.raises(Exception, match=error) as caught:
        load_tools(module)
    assert not isinstance(caught.value, ConfigurationError)


async def test_a_module_with_an_import_error_of_its_own_is_blamed_for_it(here):
    (here / "broken.py").write_text("import missing_dependency\n")
    with command("run", "Go.", "--tools", "broken") as process:
        out, err = await finish(process)
    assert process.returncode in (1, 2)
    assert out == ""
    assert "missing_dependency" in err
    assert "there is no module 'broken'" not in err


async def test_no_key_is_wrong_usage_and_says_what_to_set(here, run_main):
    status, out, err = await run_main("run", "Go.")
    assert (status, out) == (2, "")
    assert "Set OPENAI_API_KEY" in err
    assert "OPENAI_BASE_URL" in err


@pytest.mark.parametrize("question", ["", "  "])
async def test_an_empty_question_is_wrong_usage(question, here, run_main, scripted_server):
    async with scripted_server([]) as server:
        status, _, err = await run_main("run", question, "--base-url", server.url)
    assert status == 2
    assert "say in words what to do" in err


async def test_an_empty_standard_input_is_wrong_usage(here, run_main, scripted_server, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    async with scripted_server([]) as server:
        assert (await run_main("run", "-", "--base-url", server.url))[0] == 2


async def test_steps_below_one_are_wrong_usage(here, run_main, scripted_server):
    async with scripted_server([]) as server:
        status, _, err = await run_main("run", "Go.", "--base-url", server.url, "--steps", "0")
    assert status == 2
    assert "pass a number above 0" in err


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["run"], ["run", "Go.", "--steps", "many"], ["run", "Go.", "--tools"], ["demo", "a", "b"]],
)
def test_arguments_that_make_no_sense_are_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: tinyagent" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (RawReply({"error": {"message": "who are you?"}}, 401), "tinyagent: AuthenticationError: "),
        (RawReply({"error": {"message": "no such model"}}, 404), "tinyagent: ModelNotFoundError: "),
        (Reply("", finish_reason="length"), "tinyagent: TruncatedReplyError: "),
    ],
)
async def test_a_failed_run_says_why_and_exits_with_1(reply, said, here, run_main, scripted_server):
    async with scripted_server([reply]) as server:
        status, out, err = await run_main("run", "Go.", "--base-url", server.url)
    assert (status, out) == (1, "")
    assert said in err
    assert "Traceback" not in err


def test_help_names_the_commands_and_version_the_version(capsys):
    for option in ("--help", "--version"):
        with pytest.raises(SystemExit) as caught:
            main([option])
        assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert re.search(r"demo +watch an agent", shown)
    assert re.search(r"run +answer a question", shown)
    assert f"tinyagent {tinyagent.__version__}" in shown


@pytest.mark.parametrize("module", ["tinyagent", "tinyagent.cli"])
def test_both_modules_are_the_command(module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [module, "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"tinyagent {tinyagent.__version__}\n"


def test_loading_tools_finds_each_once_and_keeps_the_path_clean(here):
    (here / "aliases.py").write_text("from my_tools import add, louder\nplus = add\n")
    first, second = load_tools("aliases"), load_tools("aliases")
    assert [item.name for item in first] == ["add", "shout"]
    assert first == second
    assert all(isinstance(item, Tool) for item in first)
    assert sys.path.count(str(here)) == 1


# ---- interrupts and broken pipes


class Interrupting(io.StringIO):
    """Standard output that is interrupted, as by Ctrl-C, when a certain text is written."""

    def __init__(self, text):
        super().__init__()
        self.text = text

    def write(self, text):
        written = super().write(text)
        if self.text in text:
            self.text = "\0"
            signal.raise_signal(signal.SIGINT)
        return written


def test_ctrl_c_ends_the_run_with_130(monkeypatch, capsys):
    out = Interrupting("→ weather")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "\nInterrupted.\n"
    assert "degrees warmer" not in out.getvalue()


@pytest.mark.parametrize("tool", ["wait", "block"], ids=["asynchronous", "synchronous"])
async def test_sigint_ends_the_command_at_once_with_130(tool, here, scripted_server):
    async with scripted_server([call(tool)]) as server:
        with command("run", "Wait.", "--tools", f"my_tools:{tool}", OPENAI_BASE_URL=server.url) as process:
            assert await asyncio.to_thread(process.stderr.readline) == f"→ {tool}()\n"
            process.send_signal(signal.SIGINT)
            out, err = await finish(process, within=10)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("\nInterrupted.\n")
    assert "Traceback" not in err


class Closed(io.StringIO):
    """Standard output whose reader has gone."""

    def __init__(self, file):
        super().__init__()
        self.file = file

    def write(self, text):
        raise BrokenPipeError

    def fileno(self):
        return self.file.fileno()


def test_a_broken_pipe_is_no_crash(monkeypatch, tmp_path, capsys):
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", Closed(file))
        assert main(["demo"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_crash():
    with command("demo") as process:
        assert process.stdout.readline().startswith("Offline: ")
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == ""


# ---- pipes and terminals


async def test_a_pipe_gets_the_answer_and_nothing_else(here, scripted_server):
    replies = [Reply("Let me add.", (call("add", a=2, b=3),), reasoning="Hm."), "The sum is 5 – ±0."]
    async with scripted_server(replies) as server:
        with command("run", "-", "--tools", "my_tools", OPENAI_BASE_URL=server.url) as process:
            out, err = await finish(process, "Add 2 and 3.")
    assert (process.returncode, out) == (0, "The sum is 5 – ±0.\n")
    assert [line[:6] for line in err.splitlines()[:3]] == ["Hm.", "→ add(", "← add:"]
    assert server.requests[0].messages == [{"role": "user", "content": "Add 2 and 3."}]


@contextmanager
def terminal():
    """A pseudo-terminal: the end for a process, and a function that gives what was written to it."""
    leader, follower = pty.openpty()
    chunks = []

    def read():
        try:
            while chunk := os.read(leader, 65536):
                chunks.append(chunk)
        except OSError:  # how Linux says that the other end was closed
            pass

    reader = threading.Thread(target=read)
    reader.start()

    def shown():
        os.close(follower)
        reader.join(30)
        return b"".join(chunks).decode()

    yield follower, shown
    os.close(leader)


@pytest.mark.parametrize(
    ("prelude", "coloured"), [("pass", True), ("sys.modules['rich'] = None", False)], ids=["rich", "no rich"]
)
async def test_a_terminal_shows_everything_live_and_coloured_where_rich_is(prelude, coloured, here, scripted_server):
    replies = [Reply("Let me add.", (call("add", a=2, b=3),)), "The sum is 5."]
    arguments = ("run", "Add 2 and 3.", "--tools", "my_tools")
    async with scripted_server(replies) as server:
        with terminal() as (screen, shown):
            with command(*arguments, prelude=prelude, stream=screen, OPENAI_BASE_URL=server.url) as process:
                status = await asyncio.to_thread(process.wait, 30)
            text = shown()
    assert status == 0
    assert ("\x1b[36m→ add(a=2, b=3)\x1b[0m" in text) is coloured
    assert ("\x1b" in text) is coloured
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert lines[:2] == ["Let me add.", "→ add(a=2, b=3)"]
    assert lines[2].startswith("← add: 5 (")
    assert lines[3] == "The sum is 5."
    assert lines[4].startswith("2 steps · ")
