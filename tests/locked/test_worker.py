"""Worker processes: what they are kept from, and what becomes of those that break."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tinyagent.locked import lock
from tinyagent.locked.worker import WorkerError, Workers

LOCKED = lock.reason_against() is None
on_linux = pytest.mark.skipif(not LOCKED, reason="no process can be locked here")


@pytest.fixture
async def workers():
    made = Workers("tests.locked.servant", memory=256 << 20)
    yield made
    await made.close()


async def do(workers, what, content=b"", seconds=20.0):
    answer, content = await workers.ask({"do": what}, content, seconds)
    return answer["said"]


async def test_one_process_answers_one_request_after_the_other(workers):
    first = await do(workers, "pid")
    assert first != os.getpid()
    assert [await do(workers, "pid") for _ in range(3)] == [first] * 3


async def test_contents_of_any_size_come_back(workers):
    for size in (0, 1, 100_000, 5_000_000):
        content = os.urandom(size)
        assert await workers.ask({"do": "echo"}, content, 20) == ({"said": size}, content)


async def test_one_that_is_started_ahead_is_used(workers):
    await asyncio.gather(*(workers.start_ahead() for _ in range(10)))
    (started,) = workers._all
    assert await do(workers, "pid") == started._process.pid
    await workers.start_ahead()
    assert workers._all == {started}


async def test_requests_wait_for_a_process():
    workers = Workers("tests.locked.servant", memory=256 << 20, at_once=2)
    pids = await asyncio.gather(*(do(workers, "pid") for _ in range(10)))
    assert len(set(pids)) == 2
    await workers.close()


@pytest.mark.parametrize("what", ["crash", "end", "raise", "flood"])
async def test_one_that_breaks_costs_its_request_only(workers, what):
    first = await do(workers, "pid")
    waiting = [asyncio.create_task(do(workers, how)) for how in (what, "echo", "pid")]
    with pytest.raises(WorkerError, match="ended without an answer"):
        await waiting[0]
    assert await waiting[1] == 0
    assert await waiting[2] != first


async def test_one_that_takes_too_long_is_killed(workers):
    pid = await do(workers, "pid")
    with pytest.raises(TimeoutError):
        await do(workers, "endless", seconds=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert await do(workers, "echo") == 0


async def test_a_cancelled_request_ends_its_process(workers):
    pid = await do(workers, "pid")
    task = asyncio.create_task(do(workers, "endless"))
    while workers._idle:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_one_that_was_killed_while_it_waited_is_replaced(workers):
    pid = await do(workers, "pid")
    os.kill(pid, signal.SIGKILL)
    (worker,) = workers._all
    await worker._process.wait()
    assert await do(workers, "pid") != pid


@pytest.mark.skipif(sys.platform != "linux", reason="the limit holds on Linux")
async def test_memory_is_limited(workers):
    assert await do(workers, "allocate", b"%d" % (100 << 20)) == 100 << 20
    with pytest.raises(WorkerError, match="too much memory"):
        await do(workers, "allocate", b"%d" % (300 << 20))


async def test_what_it_prints_is_no_answer(workers):
    assert await do(workers, "print") is None
    assert await do(workers, "echo", b"ab") == 2


async def test_it_knows_nothing_of_this_process(workers, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert set(await do(workers, "environment")) <= {"SYSTEMROOT", "LC_CTYPE"}
    assert not {"pytest", "openai", "httpx", "pydantic"} & set(await do(workers, "modules"))


@on_linux
async def test_a_locked_one_reaches_no_file_and_no_network(workers):
    assert [await do(workers, what) for what in ("open", "connect")] == ["PermissionError", "PermissionError"]


@on_linux
async def test_a_locked_one_is_as_important_as_this_process(workers):
    """Its caller waits for it; a sandbox, whose code may run for ever, gives way to others."""
    pid = await do(workers, "pid")
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0)


async def test_a_module_that_is_not_there_is_an_error_of_the_request():
    workers = Workers("tests.locked.nothing", memory=256 << 20)
    with pytest.raises(WorkerError):
        await do(workers, "echo")
    await workers.close()


async def test_an_interpreter_that_cannot_be_started_is_named(workers, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(WorkerError, match=r"cannot start this process's interpreter, '.*python' \(No such file"):
        await do(workers, "echo")


PROGRAM = """
import asyncio
from tinyagent.locked.worker import Workers
print("main")

async def main():
    workers = Workers("tests.locked.servant", memory=256 << 20)
    answer, _ = await workers.ask({"do": "pid"}, b"", 20)
    print(answer["said"], flush=True)
    await workers.ask({"do": "endless"}, b"", 60)

asyncio.run(main())
"""


def test_it_runs_no_main_module_and_dies_with_its_host(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True, env=environment) as host:
        assert host.stdout.readline() == "main\n"
        pid = int(host.stdout.readline())  # the next line, so the worker has printed none
        host.kill()
    if LOCKED:
        while _runs(pid):
            pass
    else:
        os.kill(pid, signal.SIGKILL)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
