"""The zygote: one for a process, spares, and that nothing is left behind whoever dies first."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from tests.sandbox.processes import alive, children_of, zygotes_of
from tinyagent.agents.code import TinyCodeAgent
from tinyagent.core.errors import SandboxError, SandboxUnavailableError
from tinyagent.sandbox import zygote as zygotes
from tinyagent.sandbox.base import SandboxLimits
from tinyagent.sandbox.process import ProcessSandbox
from tinyagent.testing import ScriptedModel

ROOT = Path(__file__).parents[2]


async def until(condition, what="it"):
    """Wait for something that other processes bring about."""
    try:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"{what} did not happen")


async def this_zygote():
    return await zygotes.zygote(())


def zygote_pid(zygote):
    return zygote._process.pid


async def test_sessions_of_one_loop_share_a_zygote():
    sandboxes = [ProcessSandbox(), ProcessSandbox()]
    sessions = [sandbox.open() for sandbox in sandboxes for _ in range(3)]
    await asyncio.gather(*(session.start() for session in sessions))
    pids = {session._link.child.pid for session in sessions}
    assert len(pids) == 6
    assert pids <= children_of(zygote_pid(await this_zygote()))
    await asyncio.gather(*(session.close() for session in sessions))
    assert not any(map(alive, pids))


def test_one_loop_after_the_other_uses_the_same_zygote():
    async def pid():
        async with ProcessSandbox().open() as session:
            assert (await session.execute("1")).value == 1
        return zygote_pid(await this_zygote())

    assert asyncio.run(pid()) == asyncio.run(pid())


def test_a_zygote_is_taken_over_while_it_starts():
    async def begin():
        zygotes.close_zygotes()
        starting = asyncio.create_task(this_zygote())
        await asyncio.sleep(0)
        assert not starting.done()
        return zygote_pid(zygotes._zygotes[0])

    async def go_on():
        async with ProcessSandbox().open() as session:
            assert (await session.execute("1")).value == 1
        return zygote_pid(await this_zygote())

    assert asyncio.run(begin()) == asyncio.run(go_on())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_session_that_a_loop_has_left_ends_when_the_next_takes_over():
    async def leave():
        session = ProcessSandbox().open()
        await session.start()
        return session._link.child.pid

    async def go_on(left):
        assert alive(left)
        await this_zygote()
        await until(lambda: not alive(left), "its end")
        async with ProcessSandbox().open() as session:
            assert (await session.execute("1")).value == 1

    asyncio.run(go_on(asyncio.run(leave())))
    gc.collect()


def test_loops_at_the_same_time_have_a_zygote_each():
    both = threading.Barrier(2)

    async def pid():
        async with ProcessSandbox().open() as session:
            await asyncio.to_thread(both.wait, 30)
            assert (await session.execute("1")).value == 1
            return zygote_pid(await this_zygote())

    found = []
    threads = [threading.Thread(target=lambda: found.append(asyncio.run(pid()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2


async def test_a_session_is_forked_ahead_for_the_next():
    limits = SandboxLimits(memory=100 * 2**20)
    async with ProcessSandbox(limits=limits).open():
        zygote = await this_zygote()
        spares = next(kept for key, kept in zygote._spares.items() if key.memory == limits.memory)
        await until(lambda: len(spares) == 2 and all(spare.pid for spare in spares), "two spares")
        waiting = {child.pid for child in spares}
        async with ProcessSandbox(limits=limits).open() as session:
            assert session._link.child.pid in waiting
            assert (await session.execute("1 + 1")).value == 2


async def test_a_session_that_waits_comes_before_spares():
    zygote = await this_zygote()
    limits, others = (zygotes.ChildLimits(memory=size << 20, cpu_seconds=1, threads=0) for size in (105, 106))
    waiting = asyncio.create_task(zygote.child(limits))
    await asyncio.sleep(0)
    zygote._fork_ahead(others)
    assert zygote._spares[others] == []
    (await waiting).close()
    zygote._fork_ahead(others)
    assert len(zygote._spares[others]) == 2


async def test_a_spare_that_has_died_is_not_used():
    limits = SandboxLimits(memory=101 * 2**20)
    async with ProcessSandbox(limits=limits).open():
        zygote = await this_zygote()
        spares = next(kept for key, kept in zygote._spares.items() if key.memory == limits.memory)
        await until(lambda: len(spares) == 2 and all(spare.pid for spare in spares), "two spares")
        for spare in spares:
            os.kill(spare.pid, signal.SIGKILL)
        await until(lambda: all(spare.ended.is_set() for spare in spares), "their end")
        async with ProcessSandbox(limits=limits).open() as session:
            assert (await session.execute("1")).value == 1


async def test_a_killed_child_is_told_and_replaced():
    async with ProcessSandbox().open() as session:
        await session.execute("x = 1")
        pid = session._link.child.pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not alive(pid), "its end")
        execution = await session.execute("x")
        assert execution.error.lost
        assert (await session.execute("2")).value == 2


async def test_a_killed_zygote_takes_its_children_along_and_is_replaced():
    async with ProcessSandbox().open() as session, ProcessSandbox().open() as other:
        await other.execute("x = 1")
        zygote = zygote_pid(await this_zygote())
        children = children_of(zygote)
        block = asyncio.create_task(session.execute("import time\ntime.sleep(100)"))
        await asyncio.sleep(0)
        os.kill(zygote, signal.SIGKILL)
        assert (await block).error.lost
        await until(lambda: not any(map(alive, children)), "the children's end")
        assert (await session.execute("1")).value == 1
        assert (await other.execute("x")).error.type in ("SandboxLost", "NameError")
        assert (await other.execute("3")).value == 3
        assert zygote_pid(await this_zygote()) != zygote


async def test_a_zygote_killed_while_sessions_start_is_replaced():
    zygote = await this_zygote()
    sessions = [ProcessSandbox().open() for _ in range(10)]
    starting = [asyncio.create_task(session.start()) for session in sessions]
    await asyncio.sleep(0)
    os.kill(zygote_pid(zygote), signal.SIGKILL)
    await asyncio.gather(*starting, return_exceptions=True)
    for session in sessions:
        assert (await session.execute("1")).error is None or (await session.execute("1")).value == 1
        await session.close()


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_starting_can_be_cancelled_at_every_point(turns):
    zygote = await this_zygote()
    session = ProcessSandbox(limits=SandboxLimits(memory=102 * 2**20, threads=turns)).open()
    starting = asyncio.create_task(session.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await session.close()
    await until(lambda: children_of(zygote_pid(zygote)) <= {c.pid for c in zygote._all_spares()}, "the child's end")


HOST = """
    import asyncio, os, sys
    from tinyagent.sandbox.process import ProcessSandbox

    async def main():
        sessions = [ProcessSandbox().open() for _ in range(3)]
        for session in sessions:
            await session.execute("x = 1")
        print("ready", flush=True)
        await asyncio.gather(*(session.execute({code!r}) for session in sessions))

    asyncio.run(main())
"""


def host(code):
    program = textwrap.dedent(HOST.format(code=code))
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("code", ["while True: pass", "import time\ntime.sleep(100)", "await asyncio.sleep(100)"])
async def test_nothing_is_left_when_the_host_is_killed(code, number):
    process = host(code)
    try:
        assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        (zygote,) = zygotes_of(process.pid)
        children = children_of(zygote)
        assert len(children) >= 3
        process.send_signal(number)
        await asyncio.to_thread(process.wait, 20)
        await until(lambda: not any(map(alive, {zygote, *children})), "their end")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_nothing_is_left_when_the_host_ends_with_open_sessions():
    program = textwrap.dedent("""
        import asyncio
        from tinyagent.sandbox.process import ProcessSandbox

        async def main():
            session = ProcessSandbox().open()
            await session.execute("import threading, time; threading.Thread(target=time.sleep, args=(100,)).start()")
            print(session._link.child.pid, flush=True)

        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    await until(lambda: not alive(int(output)), "its end")


def _in_fork(queue):
    async def run():
        async with ProcessSandbox().open() as session:
            return (await session.execute("6 * 7")).value, zygote_pid(await this_zygote())

    queue.put(asyncio.run(run()))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_forked_copy_of_the_host_has_a_zygote_of_its_own():
    async with ProcessSandbox().open() as session:
        await session.execute("x = 1")
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        process = context.Process(target=_in_fork, args=(queue,))
        process.start()
        value, pid = await asyncio.to_thread(queue.get, True, 30)
        await asyncio.to_thread(process.join)
        assert value == 42
        assert pid != zygote_pid(await this_zygote())
        await until(lambda: not alive(pid), "the end of the copy's zygote")
        assert (await session.execute("x")).value == 1


async def test_without_descriptors_the_error_says_what_to_do(monkeypatch):
    import socket

    zygote = await this_zygote()

    def none_left(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", none_left)
    limits = zygotes.ChildLimits(memory=103 * 2**20, cpu_seconds=1, threads=0)
    with pytest.raises(SandboxError, match="ulimit -n"):
        await zygote.child(limits)


async def test_without_a_descriptor_for_the_process_the_error_says_what_to_do(monkeypatch):
    import socket

    zygote, receive = await this_zygote(), socket.recv_fds

    def none_left(*args):
        data, fds, *more = receive(*args)
        for fd in fds:
            os.close(fd)
        return data, [], *more

    limits = zygotes.ChildLimits(memory=104 * 2**20, cpu_seconds=1, threads=0)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "recv_fds", none_left)
        with pytest.raises(SandboxError, match=r"No process for a sandbox session: .*ulimit -n"):
            await zygote.child(limits)
    child = await zygote.child(limits)
    child.close()
    await until(child.ended.is_set, "its end")


async def test_packages_that_start_threads_are_refused(tmp_path, monkeypatch):
    (tmp_path / "starts_threads.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(100,), daemon=True).start()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SandboxUnavailableError, match="start threads"):
        await ProcessSandbox(preload=["starts_threads"]).open().start()


async def test_a_zygote_that_cannot_start_says_how_to_see_why(monkeypatch):
    monkeypatch.setattr(zygotes, "command", lambda _: [sys.executable, "-c", "raise SystemExit(3)"])
    monkeypatch.setattr(zygotes, "_zygotes", [])
    with pytest.raises(SandboxError, match="ended while it started"):
        await zygotes.zygote(())


async def test_a_zygote_that_never_is_ready_is_given_up(monkeypatch):
    monkeypatch.setattr(zygotes, "command", lambda _: [sys.executable, "-c", "import time; time.sleep(100)"])
    monkeypatch.setattr(zygotes, "START_TIMEOUT", 0.1)
    monkeypatch.setattr(zygotes, "_zygotes", [])
    with pytest.raises(SandboxError, match=r"not ready within 0\.1 s"):
        await zygotes.zygote(())


async def test_zygotes_can_be_closed_and_come_back():
    async with ProcessSandbox().open() as session:
        pid = zygote_pid(await this_zygote())
        zygotes.close_zygotes()
        assert not alive(pid)
        assert (await session.execute("1")).error.lost
        assert (await session.execute("1")).value == 1


async def test_an_interpreter_that_cannot_be_started_is_named(monkeypatch, tmp_path):
    """And not blamed on the model."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o600)
    zygotes.close_zygotes()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(python))
        agent = TinyCodeAgent(model=ScriptedModel(["```python\nfinal_answer(1)\n```"]), sandbox=ProcessSandbox())
        with pytest.raises(SandboxUnavailableError, match="cannot start this process's interpreter") as caught:
            await agent.run("One.")
        assert str(python) in str(caught.value)
    agent = TinyCodeAgent(model=ScriptedModel(["```python\nfinal_answer(1)\n```"]), sandbox=ProcessSandbox())
    assert (await agent.run("One.")).output == 1
