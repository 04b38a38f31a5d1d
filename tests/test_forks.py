"""Forked copies of a process that has run agents: they can do all that it can, whatever it did or does just then."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import multiprocessing
import os
import select
import signal
import sys
import threading
import traceback

import pytest

from tests.everything import EVERYTHING, MCP_SERVER, MONTY, double, everything, executor
from tinyagent import MontySandbox, ReactAgent, TinyCodeAgent, run_sync
from tinyagent.core import shared, threads
from tinyagent.errors import SandboxUnavailableError
from tinyagent.sandbox import zygote
from tinyagent.testing import ScriptedModel, call
from tinyagent.tools.mcp import MCPTools

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.timeout(120),
]
#: Seconds after which a copy that hangs says where, and ends.
PATIENCE = 50


def in_copy(function):
    """What the function gives in a forked copy of this process, as text; how it failed, or that it hung."""
    reading_end, writing_end = os.pipe()
    pid = os.fork()
    if not pid:
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            said = str(function())
        except BaseException:
            said = traceback.format_exc()
        os.write(writing_end, said.encode()[-4000:] or b"nothing")
        os._exit(0)
    os.close(writing_end)
    try:
        ready, _, _ = select.select([reading_end], [], [], PATIENCE + 10)
        return (os.read(reading_end, 10_000) if ready else b"").decode() or "it hung"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading_end)


def all_again():
    return asyncio.run(everything("monty"))  # see below


@pytest.mark.parametrize("kind", EVERYTHING)
def test_after_a_run_of_each_kind_the_copy_does_all(kind):
    asyncio.run(EVERYTHING[kind]())
    assert in_copy(all_again) == "nothing"


async def test_within_a_running_loop_with_all_of_it_open():
    """A web server's: agents and toolkits are open, and the copy opens its own."""
    kit = MCPTools([sys.executable, str(MCP_SERVER)])
    agent = ReactAgent([kit, double], model=ScriptedModel([call("repeat", do="nothing"), "42"] * 2))

    async def ask():
        async with agent:
            gc.collect()  # which must not end what the copy has inherited
            result = await agent.run("Repeat.")
        error = result.steps[0].observations[0].error
        return result.output if error is None else str(error)

    async with agent:
        assert await ask() == "42"
        assert await asyncio.to_thread(in_copy, lambda: asyncio.run(ask())) == "42"
        assert in_copy(lambda: asyncio.run(ask())) == "42"
        assert await everything() == ""
        assert in_copy(all_again) == "nothing"
        assert in_copy(lambda: run_sync(everything("monty"))) == "nothing"


def test_what_another_thread_holds_just_then_is_free_in_the_copy():
    """Locks, and `PythonExecutor.run`."""
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with threads._lock, shared._lock, zygote._lock, executor._lock:
            held.set()
            let_go.wait(100)

    other = threading.Thread(target=hold)
    other.start()
    try:
        assert held.wait(30)
        assert in_copy(all_again) == "nothing"
    finally:
        let_go.set()
        other.join()


def _by_multiprocessing(connection):
    connection.send(all_again())


def test_processes_of_multiprocessing():
    assert asyncio.run(everything("monty")) == ""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_by_multiprocessing, args=(theirs,))
    process.start()
    try:
        assert ours.poll(PATIENCE)
        assert ours.recv() == ""
    finally:
        process.kill()
        process.join()


def test_a_tool_may_fork():
    """In its worker thread, whose copy is the only thread of the process that it makes."""
    found = []

    def fork() -> str:
        """Fork."""
        found.append(in_copy(all_again))
        return "done"

    agent = ReactAgent([fork], model=ScriptedModel([call("fork"), "ok"]))
    assert asyncio.run(agent.run("Fork.")).output == "ok"
    assert found == ["nothing"]


@pytest.mark.skipif(not MONTY, reason="needs pydantic-monty")
def test_monty_says_that_it_cannot_follow():
    """Its threads are its own, and cannot be started again: an error, and no waiting for ever."""

    def ask():
        agent = TinyCodeAgent(model=ScriptedModel(["```python\nfinal_answer(1)\n```"]), sandbox=MontySandbox())
        try:
            return asyncio.run(agent.run("One.")).output
        except SandboxUnavailableError as error:
            return f"{error}"

    assert ask() == 1
    said = in_copy(ask)
    assert "it was forked from one that had used it" in said
    assert "ProcessSandbox" in said
    assert ask() == 1
