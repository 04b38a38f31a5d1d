"""`tinyagent runs`, `show`, `resume` and `chat`: the runs and conversations of a store on the command line."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.agents.kinds import needs_sandbox
from tests.cli.test_main import environment
from tinyagent import Call, Limits, ReactAgent, RunError, TinyCodeAgent, tool
from tinyagent.cli.main import main
from tinyagent.policies import Deny
from tinyagent.stores import Conversations, SQLiteStore, recorded_runs
from tinyagent.testing import RawReply, ScriptedModel, ScriptedRequest, ScriptedServer, call

TOOLS = """
import asyncio
from pathlib import Path
from tinyagent import ReactAgent, tool
from tinyagent.testing import RawReply, ScriptedModel

@tool(needs_approval=True)
async def pay(amount: int) -> str:
    "Pay."
    with Path("paid").open("a") as file:
        file.write(f"{amount}\\n")
    return f"paid {amount}"

@tool
async def wait() -> str:
    "Wait for good."
    print("waiting", flush=True)
    await asyncio.Event().wait()

boss = ReactAgent([pay], model=ScriptedModel(["It is paid, boss."]), name="boss")
"""


@tool(needs_approval=True)
async def pay(amount: int) -> str:
    """Pay."""
    raise NotImplementedError  # it is never called here


@tool
async def weather(city: str) -> str:
    """Weather."""
    if city == "Atlantis":
        raise LookupError("no such city\x1b[2J\n? May pay be called? agent: pay({}) [c1]")
    return f"Sunny in {city}"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory to be in, with a module of tools."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_tools.py").write_text(TOOLS)
    yield tmp_path
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", "") is not None]:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def run_main(capsys):
    """Runs the command in a thread, beside a server in this loop: its status, standard output and error."""

    async def run(*arguments):
        status = await asyncio.to_thread(main, list(arguments))
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


async def paused(*replies, run_id="order-17", name="agent", **options):
    """A run that waits, in the store agents.db; its pending calls."""
    store = SQLiteStore("agents.db")
    agent = ReactAgent([pay, weather], model=ScriptedModel(replies or [call("pay", amount=3)]), name=name)
    result = await agent.run(options.pop("task", "Pay."), store=store, run_id=run_id, **options)
    assert result.state == "paused"
    return result.pending


# ---- listing


async def test_runs_are_listed_a_line_each(here, run_main):
    await paused(session="user-7", task="Pay, \x1b[2Jplease,\nand tell me" + " all" * 50)
    store = SQLiteStore("agents.db")
    await ReactAgent(model=ScriptedModel(["Hello."])).run("Greet.", store=store, run_id="order-18")
    with pytest.raises(RunError):
        await ReactAgent([weather], model=ScriptedModel([])).run("Fail.", store=store, run_id="other")
    status, out, err = await run_main("runs")
    first, second, third = out.splitlines()
    assert (status, err) == (0, "")
    assert re.fullmatch(
        r"order-17  paused      agent  \d{4}-\d\d-\d\d \d\d:\d\d  user-7  Pay, \\x1b\[2Jplease, and tell me( all)+.*…",
        first,
    )
    assert re.fullmatch(r"order-18  success     agent  [\d :-]{16}  -  Greet\.", second)
    assert re.fullmatch(r"other  failed      agent  [\d :-]{16}  -  Fail\.", third)


async def test_long_ids_are_cut_where_they_differ(here, run_main):
    for run_id in ("order-2024-0001", "order-2024-0002", "x" * 32):
        await paused(run_id=run_id)
    _, out, _ = await run_main("runs")
    assert [line.partition(" ")[0] for line in out.splitlines()] == ["order-2024-0001", "order-2024-0002", "x" * 15]


async def test_who_is_at_work_is_told(here, run_main):
    started = asyncio.Event()

    async def wait() -> str:
        """Wait for good."""
        started.set()
        await asyncio.Event().wait()

    agent = ReactAgent([wait], model=ScriptedModel([call("wait")]), store=SQLiteStore("agents.db"))
    task = asyncio.create_task(agent.run("Wait."))
    await started.wait()
    _, working, _ = await run_main("runs")
    task.cancel()
    await asyncio.wait([task])
    _, left, _ = await run_main("runs")
    assert "  at work     agent  " in working
    assert "  unfinished  agent  " in left


async def test_a_store_without_runs_lists_nothing(here, run_main):
    await SQLiteStore("agents.db").runs()
    assert await run_main("runs") == (0, "", "")


@pytest.mark.parametrize("arguments", [("runs",), ("show", "r"), ("resume", "r", "--allow", "c")])
async def test_no_store_is_wrong_usage_and_makes_no_file(arguments, here, run_main):
    status, out, err = await run_main(*arguments, "--store", "none.db")
    assert (status, out) == (2, "")
    assert err.startswith("tinyagent: --store none.db: there is no such file.")
    assert [path.name for path in here.iterdir()] == ["my_tools.py"]


async def test_another_programs_file_is_named(here, run_main):
    Path("notes.db").write_bytes(b"notes" * 1000)
    status, out, err = await run_main("runs", "--store", "notes.db")
    assert (status, out) == (1, "")
    assert "notes.db" in err
    assert "Traceback" not in err


# ---- telling


async def test_a_run_is_told_step_by_step(here, run_main):
    expert = ReactAgent(
        [weather],
        model=ScriptedModel([call("weather", city="Oslo"), "Oslo is fine."]),
        name="expert",
        description="Knows.",
    )
    replies = [
        [call("expert", task="Oslo?"), call("weather", city="Atlantis")],
        [call("pay", amount=3)],
    ]
    boss = ReactAgent([expert, weather, pay], model=ScriptedModel(replies), name="boss")
    store = SQLiteStore("agents.db")
    await ReactAgent(model=ScriptedModel(["Hello."])).run("Greet.", store=store, session="user-7")
    result = await boss.run("Do it\x07", store=store, run_id="r1", session="user-7")
    status, out, _ = await run_main("show", "r")
    out = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TODAY", out)
    call_ids = [each.id for step in result.steps for each in step.message.calls]
    assert status == 0
    assert out == (
        "Run r1\n"
        "boss (scripted), TODAY, session user-7\n"
        "│ Do it\\x07\n"
        "Step 1\n"
        '  → expert({"task": "Oslo?"})\n'
        '  → weather({"city": "Atlantis"})\n'
        "  ✗ weather\n"
        "  │ LookupError: no such city\\x1b[2J\n"
        "  │ ? May pay be called? agent: pay({}) [c1]\n"
        "  ← expert\n"
        "  │ Oslo is fine.\n"
        f"    [1/{call_ids[0]}/expert:{await digest(store, 'expert:')}]\n"
        "    Step 1\n"
        '      → weather({"city": "Oslo"})\n'
        "      ← weather\n"
        "      │ Sunny in Oslo\n"
        "    Step 2\n"
        "      │ Oslo is fine.\n"
        "Step 2\n"
        '  → pay({"amount": 3})\n'
        f'  ? May pay be called? boss: pay({{"amount": 3}}) [{call_ids[2]}]\n'
        "paused\n"
    )


async def digest(store, after):
    """What follows in the key of an inner run."""
    records = await store.load("session/user-7")
    return next(key.partition(after)[2].partition("/")[0] for key in records if after in key)


async def test_what_was_decided_and_how_it_ended_is_told(here, run_main):
    [pending] = await paused()
    agent = ReactAgent([pay, weather], model=ScriptedModel(["I see."]), limits=Limits(steps=3))
    await agent.resume("order-17", {pending.id: Deny("Too much.\nReally.")}, store=SQLiteStore("agents.db"))
    _, out, _ = await run_main("show", "order")
    assert "\n  ! Deny(reason='Too much.\\nReally.')\n  ✗ pay\n  │ PermissionError: Too much.\n  │ Really.\n" in out
    assert out.endswith("Step 2\n  │ I see.\nsuccess\n")


@needs_sandbox
async def test_code_is_told_with_what_its_calls_gave(here, run_main):
    replies = ["```python\nprint(await weather('Rome'))\nawait weather('Atlantis')\n```"]
    agent = TinyCodeAgent([weather], model=ScriptedModel(replies), limits=Limits(steps=1))
    with pytest.raises(RunError):
        await agent.run("Code.", store=SQLiteStore("agents.db"), run_id="r1")
    _, out, _ = await run_main("show", "r1")
    assert "  │ ```python\n  │ print(await weather('Rome'))\n  │ await weather('Atlantis')\n  │ ```\n" in out
    assert re.search(r"  ← block1_weather_\w+\n  │ Sunny in Rome\n  ✗ block1_weather_\w+\n  │ LookupError: no", out)
    assert "  block 1: LookupError\n" in out
    assert "\nfailed: StepLimitReached: " in out


async def test_what_cannot_be_read_hides_nothing_else(here, run_main):
    store = SQLiteStore("agents.db", redact=lambda text: text.replace("Oslo", "****"))
    agent = ReactAgent([weather], model=ScriptedModel([call("weather", city="Oslo"), "Done."]))
    await agent.run("Look.", store=store, run_id="r1")
    for key in ("3/model", "4/code/1", "4/tool/x", "4/tool/y/asked", "4/tool/y/decision", "4/tool/z/begun"):
        await store.put("r1", f"r1/{key}", "{]")
    _, out, _ = await run_main("show", "r1")
    assert '  → weather({"city": "****"})\n  ← weather\n  │ Sunny in ****\n' in out
    assert out.count("(This record cannot be read.)") == 5
    assert out.endswith("\nsuccess\n")


async def test_a_run_that_cannot_be_read_is_listed_as_damaged(here, run_main):
    await SQLiteStore("agents.db").put("bad\x1b", "bad\x1b/start", "{]")
    start = '{"task": 7, "agent": [], "started": "\\u001b", "session": 8}'
    await SQLiteStore("agents.db").put("odd", "odd/start", start)
    await paused()
    status, out, err = await run_main("runs")
    assert (status, err) == (0, "")
    assert [re.split(r" {2,}", line)[:2] for line in out.splitlines()] == [
        ["bad\\x1b", "damaged"],
        ["odd", "at work" if "at work" in out else "unfinished"],
        ["order-17", "paused"],
    ]
    assert (await run_main("show", "odd"))[1] == "Run odd\n[] (), ?, session 8\n│ 7\nunfinished\n"
    assert (await run_main("show", "bad"))[0] == 1


@pytest.mark.parametrize(("run", "said"), [("", "No run begins"), ("x", "No run begins"), ("order-", "Several runs")])
async def test_which_run_is_meant_must_be_clear(run, said, here, run_main):
    for run_id in ("order-1", "order-10"):
        await paused(run_id=run_id)
    status, out, err = await run_main("show", run)
    assert (status, out) == (2, "")
    assert said in err
    assert (await run_main("show", "order-1"))[1].startswith("Run order-1\n")


# ---- taking up


def answer(request: ScriptedRequest):
    return f"The end: {request.messages[-1]['content']}"


RESUME = ("resume", "order", "--tools", "my_tools.py:pay", "--base-url")


@pytest.mark.parametrize(
    ("which", "verb", "said"),
    [
        ("last", "--allow", "The end: paid 3"),
        ("all", "--allow", "The end: paid 3"),
        ("beginning", "--allow", "The end: paid 3"),
        ("last", "--deny", "The end: PermissionError: It was not allowed."),
    ],
)
async def test_a_run_that_waits_is_decided(which, verb, said, here, run_main):
    [pending] = await paused()
    named = {"last": pending.id.rpartition("/")[2], "all": pending.id, "beginning": pending.id[:12]}[which]
    async with ScriptedServer(answer) as server:
        status, out, _ = await run_main(*RESUME, server.url, verb, named)
    assert (status, out) == (0, f"{said}\n")
    assert Path("paid").exists() == (verb == "--allow")


@pytest.mark.parametrize("named", ["", "c", "order-17", "c1", "other/1/tool/c1"])
async def test_which_call_is_meant_must_be_clear(named, here, run_main):
    both = [Call("pay", {"amount": 3}, "c1x"), Call("pay", {"amount": 4}, "c2x")]
    await paused(both)
    async with ScriptedServer(answer) as server:
        status, out, err = await run_main(*RESUME, server.url, "--allow", named)
        assert (status, out, server.requests) == (2, "", [])
    assert "under " in err
    assert '\n? May pay be called? agent: pay({"amount": 3}) [c1x]\n? May' in err
    assert not Path("paid").exists()


async def test_what_still_waits_is_told_and_is_status_3(here, run_main):
    await paused([Call("pay", {"amount": 3}, "c1x"), Call("pay", {"amount": 4}, "c2x")])
    async with ScriptedServer(answer) as server:
        for chosen in ((), ("--allow", "c1x"), ("--allow", "c2x")):
            status, out, err = await run_main(*RESUME, server.url, *chosen)
            if chosen[1:] == ("c2x",):
                break
            assert (status, out) == (3, "")
            assert '? May pay be called? agent: pay({"amount": 4}) [c2x]\n' in err
    assert (status, out) == (0, "The end: paid 4\n")
    assert Path("paid").read_text() == "3\n4\n"


async def test_a_run_goes_on_with_the_agent_of_a_file(here, run_main):
    [pending] = await paused(name="boss")
    wrong = await run_main(*RESUME, "http://127.0.0.1:9", "--allow", pending.id)
    status, out, _ = await run_main("resume", "order-17", "--agent", "my_tools.py:boss", "--allow", pending.id)
    assert wrong[0] == 2
    assert "was begun by the agent 'boss'" in wrong[2]
    assert (status, out) == (0, "It is paid, boss.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--agent", "my_tools.py:pay"], r"--agent my_tools\.py:pay: this is a Tool, and no agent"),
        (["--agent", "my_tools.py:bos"], r"--agent my_tools\.py:bos: .* Did you mean 'boss'\?"),
        (["--agent", "none.py"], r"--agent none\.py: there is no such file"),
        (["--agent", "empty.py"], r"--agent empty\.py: the module has no agent; make one, and name it: empty\.py:NAME"),
        (["--agent", "team.py"], r"--agent team\.py: the module has 2 agents; name one: team\.py:NAME"),
        (
            ["--agent", "my_tools", "--code"],
            r"--agent my_tools: it has its own tools and instructions; leave those out",
        ),
    ],
)
async def test_a_wrong_agent_says_what_to_pass(arguments, said, here, run_main):
    Path("empty.py").write_text("")
    Path("team.py").write_text("from tinyagent import *\na = ReactAgent(model='m')\nb = ReactAgent(model='m')\n")
    status, out, err = await run_main("run", "Go.", *arguments)
    assert (status, out) == (2, "")
    assert re.search(said, err)


async def test_the_one_agent_of_a_module_is_meant(here, run_main):
    assert (await run_main("run", "Go.", "--agent", "my_tools"))[:2] == (0, "It is paid, boss.\n")


async def test_a_run_that_failed_goes_on(here, run_main):
    arguments = ("--tools", "my_tools.py:pay", "--store", "agents.db", "--base-url")
    async with ScriptedServer([RawReply({"error": {"message": "no such model"}}, 404), "Hi."]) as server:
        failed = await run_main("run", "Greet.", *arguments, server.url)
        [run] = await recorded_runs(SQLiteStore("agents.db"))
        status, out, _ = await run_main("resume", run.run_id, *arguments, server.url)
        once_more = await run_main("resume", run.run_id, *arguments, server.url)  # which asks nobody
    assert (failed[0], run.state) == (1, "failed")
    assert (status, out) == (0, "Hi.\n")
    assert once_more[:2] == (0, "Hi.\n")


async def test_run_records_and_leaves_what_waits(here, run_main):
    arguments = ("--tools", "my_tools.py:pay", "--store", "agents.db", "--base-url")
    async with ScriptedServer([Call("pay", {"amount": 5}, "c1x"), answer]) as server:
        status, out, err = await run_main("run", "Pay.", *arguments, server.url)
        assert (status, out) == (3, "")
        assert '? May pay be called? agent: pay({"amount": 5}) [c1x]\n' in err
        [run] = await recorded_runs(SQLiteStore("agents.db"))
        status, out, _ = await run_main("resume", run.run_id[:6], *arguments, server.url, "--allow", "c1x")
    assert (status, out) == (0, "The end: paid 5\n")


# ---- at a terminal


class Terminal:
    """The terminal of a process: what is typed there, and what was shown."""

    def __init__(self, process, master):
        self.process = process
        self.shown = ""
        self._master = master

    async def until(self, text):
        """Wait until a text has been shown since the last time; return what was shown."""
        while text not in self.shown:
            more = await asyncio.to_thread(self._read)
            assert more, f"it ended without {text!r}: {self.shown}"
            self.shown += more
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def _read(self):
        try:
            return os.read(self._master, 10_000).decode().replace("\r\n", "\n")
        except OSError:  # the other end has closed
            return ""

    def type(self, text):
        os.write(self._master, text.encode())

    async def end(self):
        """Wait for the end; return the rest of what was shown, and the status."""
        while more := await asyncio.to_thread(self._read):
            self.shown += more
        return self.shown, await asyncio.to_thread(self.process.wait, 30)


@asynccontextmanager
async def terminal(*arguments):
    """The command in a process of its own that has a terminal."""
    master, slave = pty.openpty()
    start = [sys.executable, "-m", "tinyagent", *arguments]
    changes = {"TERM": "dumb", "NO_COLOR": "1"}
    with subprocess.Popen(start, stdin=slave, stdout=slave, stderr=slave, env=environment(**changes)) as process:
        os.close(slave)
        try:
            yield Terminal(process, master)
        finally:
            process.kill()
            os.close(master)


async def test_at_a_terminal_each_call_is_asked_about(here):
    await paused([Call("pay", {"amount": 3}, "c1x"), Call("pay", {"amount": 4}, "c2x")])
    replies = [[Call("pay", {"amount": 5}, "c3x")], answer]
    async with ScriptedServer(replies) as server, terminal(*RESUME, server.url) as screen:
        await screen.until('May pay be called? agent: pay({"amount": 3}) [c1x]\nAllow it? [y/N, or why not] ')
        screen.type("y\n")
        await screen.until("[c2x]\nAllow it? [y/N, or why not] ")
        screen.type("Too much.\n")
        await screen.until("[c3x]\nAllow it? [y/N, or why not] ")
        screen.type("yes\n")
        shown, status = await screen.end()
        told = [message["content"] for message in server.requests[0].messages if message["role"] == "tool"]
    assert told == ["paid 3", "PermissionError: Too much."]
    assert "The end: paid 5" in shown
    assert (status, Path("paid").read_text()) == (0, "3\n5\n")


async def test_at_a_terminal_the_end_of_the_input_decides_nothing(here):
    await paused()
    async with ScriptedServer([]) as server, terminal(*RESUME, server.url) as screen:
        await screen.until("Allow it? [y/N, or why not] ")
        screen.type("\x04")
        _, status = await screen.end()
    assert status == 3
    [run] = await recorded_runs(SQLiteStore("agents.db"))
    assert run.state == "paused"


CHAT = ("chat", "--session", "user-7", "--tools", "my_tools.py", "--base-url")


async def test_a_chat_remembers_and_asks_before_each_call(here):
    def reply(request):
        last = request.messages[-1]
        if last["content"] == "Pay 3.":
            return call("pay", amount=3)
        return f"{len(request.messages)}: {last['content']}"

    async with ScriptedServer(reply) as server:
        async with terminal(*CHAT, server.url) as screen:
            await screen.until("> ")
            screen.type("Hello.\n")
            await screen.until("1: Hello.\n")
            await screen.until("> ")
            screen.type("Pay 3.\n")
            await screen.until('agent wants to call pay({"amount": 3})\nAllow it? [y/N, or why not] ')
            screen.type("y\n")
            await screen.until("5: paid 3\n")
            await screen.until("> ")
            screen.type("\x04")
            assert (await screen.end())[1] == 0
        async with terminal(*CHAT, server.url) as screen:
            await screen.until("> ")
            screen.type("\n")
            await screen.until("> ")
            screen.type("And now?\n")
            await screen.until("7: And now?\n")
    assert Path("paid").read_text() == "3\n"


async def test_ctrl_c_stops_what_goes_on_and_keeps_the_chat(here):
    def reply(request):
        said = request.messages[-1]["content"]
        return {"Wait.": call("wait"), "Pay.": call("pay", amount=3)}.get(said, f"You said: {said}")

    async with ScriptedServer(reply) as server, terminal(*CHAT, server.url) as screen:
        await screen.until("> ")
        screen.process.send_signal(signal.SIGINT)  # at the prompt
        await screen.until("\nStopped. Ctrl-D ends the chat.\n> ")
        screen.type("Wait.\n")
        await screen.until("→ wait()\nagent wants to call wait({})\nAllow it? [y/N, or why not] ")
        screen.type("y\n")
        await screen.until("waiting\n")
        screen.process.send_signal(signal.SIGINT)  # in a call
        await screen.until("\nStopped. Ctrl-D ends the chat.\n> ")
        screen.type("Pay.\n")
        await screen.until("Allow it? [y/N, or why not] ")
        screen.process.send_signal(signal.SIGINT)  # at a question, whose line is the chat's now
        await screen.until("\nStopped. Ctrl-D ends the chat.\n> ")
        screen.type("yes\n")
        await screen.until("You said: yes\n")
        await screen.until("> ")
        screen.type("\x04")
        assert (await screen.end())[1] == 0
    assert not Path("paid").exists()


async def test_a_chat_offers_a_run_that_waits_first(here):
    await paused(session="user-7")
    async with ScriptedServer(answer) as server, terminal(*CHAT, server.url) as screen:
        await screen.until("Allow it? [y/N, or why not] ")
        screen.type("y\n")
        await screen.until("The end: paid 3\n")
        await screen.until("> ")
        screen.type("Thanks.\n")
        await screen.until("The end: Thanks.\n")
        assert len(server.requests[-1].messages) == 5


async def test_a_chat_goes_on_after_a_run_that_failed(here, run_main, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("Hello.\nOnce more.\n"))
    replies = [RawReply({"error": {"message": "no such model"}}, 404), "Hi."]
    async with ScriptedServer(replies) as server:
        status, out, err = await run_main(*CHAT, server.url)
    assert (status, out) == (0, "Hi.\n")
    assert "tinyagent: ModelNotFoundError: " in err
    assert len(await Conversations(SQLiteStore("agents.db")).messages("user-7")) == 3


async def test_a_chat_in_a_pipe_ends_at_a_run_that_waits(here, run_main, monkeypatch):
    Path("asks.py").write_text(
        "from tinyagent import *\nfrom my_tools import pay\n"
        "agent = ReactAgent([pay], model=OpenAIModel('m'), policy=ask_before('pay'))\n"
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO("Pay.\nThanks.\n"))
    async with ScriptedServer([call("pay", amount=3)]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        status, out, err = await run_main("chat", "--session", "user-7", "--agent", "asks.py")
    assert (status, out) == (3, "")
    assert "? May pay be called?" in err
