"""How many blocks compute at once, and how they take turns."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading

import pytest

from tinyagent.sandbox import computing as module
from tinyagent.sandbox.base import SandboxLimits
from tinyagent.sandbox.computing import Computing, Turn
from tinyagent.sandbox.cpu import running_threads, state_of
from tinyagent.sandbox.process import ProcessSandbox


class Process:
    """One that computes all the time that it is let."""

    pid = None

    def __init__(self):
        self.signals = []

    def signal(self, number):
        self.signals.append(number)

    @property
    def runs(self):
        return not self.signals or self.signals[-1] == signal.SIGCONT


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "SLICE", 0.002)


def turns(count, among):
    made = [Turn(Process(), among) for _ in range(count)]
    for turn in made:
        turn.begin()
    return made


async def test_while_there_are_places_nobody_is_signalled():
    among = Computing(4)
    made = turns(4, among)
    assert [turn.process.signals for turn in made] == [[]] * 4
    for turn in made:
        turn.end()
        turn.begin()
    assert all(turn.process.signals == [signal.SIGSTOP, signal.SIGCONT] for turn in made)


async def test_no_more_compute_at_once_than_may_and_all_get_their_turns(quick):
    among, most = Computing(3), 0
    made = turns(12, among)
    assert sum(turn.process.runs for turn in made) == 3
    async with asyncio.timeout(20):
        while not all(turn.process.signals.count(signal.SIGCONT) >= 2 for turn in made):
            most = max(most, sum(turn.process.runs for turn in made))
            await asyncio.sleep(0.001)
    assert most == 3
    assert all(turn.held > 0 for turn in made)
    for turn in made:
        turn.end()
    assert not any(turn.process.runs for turn in made)


async def test_a_place_that_becomes_free_is_given_away_at_once():
    among = Computing(1)
    first, second = turns(2, among)
    assert (first.process.runs, second.process.runs) == (True, False)
    first.end()
    assert second.process.runs
    second.leave()
    third = Turn(Process(), among)
    third.begin()
    assert third.process.runs


async def test_one_that_was_forgotten_is_not_signalled(quick):
    among = Computing(1)
    first, second = turns(2, among)
    second.leave()
    told = len(second.process.signals)
    await asyncio.sleep(0.02)
    first.end()
    assert len(second.process.signals) == told


async def test_a_process_of_one_thread_is_stopped_a_little_after_its_end(real, quick):
    turn = Turn(real("import time; print(flush=True); time.sleep(99)"), Computing(2))
    turn.process.popen.stdout.readline()
    turn.begin()
    turn.end()
    turn.begin()
    assert turn.process.signals == []
    turn.end()
    await until(lambda: turn.process.signals == [signal.SIGSTOP])
    turn.begin()
    turn.end()
    turn.leave()
    await asyncio.sleep(0.02)
    assert turn.process.signals == [signal.SIGSTOP, signal.SIGCONT]


async def test_a_process_with_other_threads_is_stopped_at_once(real):
    code = "import threading, time; threading.Thread(target=time.sleep, args=(99,)).start(); print(flush=True)"
    turn = Turn(real(code), Computing(2))
    turn.process.popen.stdout.readline()
    turn.begin()
    turn.end()
    assert turn.process.signals == [signal.SIGSTOP]


@pytest.mark.timeout(120)
@pytest.mark.skipif(ProcessSandbox.reason_against() is not None, reason="no ProcessSandbox here")
async def test_small_blocks_are_answered_beside_many_endless_ones_and_nobody_is_killed(monkeypatch):
    monkeypatch.setattr(module.computing, "limit", 2)
    limits = SandboxLimits(seconds=1.0, grace=0.5)
    sandbox = ProcessSandbox(limits=limits)

    async def endless():
        async with sandbox.open() as session:
            return await session.execute("while True:\n    pass")

    async def small():
        async with sandbox.open() as session:
            for _ in range(5):
                assert (await session.execute("6 * 7")).value == 42

    *executions, _ = await asyncio.gather(*[endless() for _ in range(12)], small())
    assert {execution.error.type for execution in executions} == {"TimeoutError"}
    assert not any(execution.error.lost for execution in executions)


# ---- who takes a place


@pytest.fixture
def real():
    """Real processes, as those who take turns see them."""
    started = []

    class Real(Process):
        def __init__(self, code):
            super().__init__()
            self.popen = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE)
            self.pid = self.popen.pid
            started.append(self.popen)

        def signal(self, number):
            super().signal(number)
            self.popen.send_signal(number)

    yield Real
    for popen in started:
        popen.kill()
        popen.stdout.close()
        popen.wait()


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_who_sleeps_takes_no_place(real):
    among = Computing(2)
    sleepers = [Turn(real("import time; print(flush=True); time.sleep(99)"), among) for _ in range(2)]
    for turn in sleepers:
        turn.process.popen.stdout.readline()
        await until(lambda turn=turn: state_of(turn.process.pid) == "S")
        turn.begin()
    others = turns(2, among)
    await until(lambda: all(turn.process.runs for turn in others))
    assert all(turn.process.signals == [] for turn in sleepers)


async def test_who_wakes_up_takes_one(real):
    among = Computing(1)
    sleeper = Turn(real("import time\nprint(flush=True)\ntime.sleep(1)\nwhile True: pass"), among)
    sleeper.process.popen.stdout.readline()
    await until(lambda: state_of(sleeper.process.pid) == "S")
    sleeper.begin()
    (other,) = turns(1, among)
    await until(lambda: other.process.runs)
    await until(lambda: sleeper.waits or other.waits)


async def test_threads_take_places_too(real):
    code = """
import hashlib, threading
for _ in range(12):
    threading.Thread(target=hashlib.pbkdf2_hmac, args=("md5", b"", b"", 10**9)).start()
"""
    among = Computing(3)
    crowd = Turn(real(code), among)
    await until(lambda: running_threads(crowd.process.pid) == 12)
    crowd.begin()
    others = turns(3, among)
    await until(lambda: crowd.weight == 3)
    await until(lambda: crowd.waits)
    await until(lambda: not crowd.waits)
    assert not any(turn.process.runs for turn in others)


async def test_whoever_calls_a_tool_gives_its_place_up_and_waits_for_another(quick):
    among = Computing(1)
    first, second = turns(2, among)
    first.rest()
    assert first.process.runs
    assert second.process.runs
    first.resume()
    assert sum(turn.process.runs for turn in (first, second)) == 1
    await until(lambda: first.process.runs)


async def test_whoever_computes_instead_is_not_believed_again_in_that_block(real):
    among = Computing(1)
    first = Turn(real("while True: pass"), among)
    first.begin()
    (second,) = turns(1, among)
    await until(lambda: first.rest() or first.has_lied)  # on a busy machine it may not get to compute at once
    await until(lambda: first.process.runs and not second.process.runs)
    first.rest()
    assert not second.process.runs
    first.end()
    first.begin()
    assert not first.has_lied


async def test_alone_nobody_gives_anything_up():
    (only,) = turns(1, Computing(1))
    only.rest()
    only.resume()
    assert not only.rests
    assert only.process.signals == []


# ---- several loops


async def test_threads_with_loops_of_their_own_share_the_places(quick):
    among, most, done = Computing(2), 0, threading.Event()
    made = []

    async def one():
        mine = turns(4, among)
        made.extend(mine)
        while not done.is_set():
            await asyncio.sleep(0.001)
        for turn in mine:
            turn.end()

    threads = [threading.Thread(target=asyncio.run, args=(one(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        await until(lambda: len(made) == 12)
        async with asyncio.timeout(30):
            while not all(turn.process.signals.count(signal.SIGCONT) >= 2 for turn in made):
                with among.lock:
                    most = max(most, sum(turn.process.runs for turn in made))
                await asyncio.sleep(0.001)
    finally:
        done.set()
        for thread in threads:
            await asyncio.to_thread(thread.join)
    assert most == 2
    assert not any(turn.process.runs for turn in made)


async def test_what_a_closed_loop_has_left_takes_no_place(quick):
    among = Computing(2)

    async def leaves():
        return turns(3, among)

    left = await asyncio.to_thread(asyncio.run, leaves())
    signals = [len(turn.process.signals) for turn in left]
    mine = turns(2, among)
    await until(lambda: all(turn.process.runs for turn in mine))
    assert [len(turn.process.signals) for turn in left] == signals


# ---- blocks


@pytest.fixture
async def occupied(monkeypatch):
    """The only place is taken, until this is ended."""
    monkeypatch.setattr(module.computing, "limit", 1)
    monkeypatch.setattr(module, "SLICE", 3600)
    turn = Turn(Process())
    yield turn
    turn.leave()


needs_processes = pytest.mark.skipif(ProcessSandbox.reason_against() is not None, reason="no ProcessSandbox here")


@needs_processes
async def test_time_in_which_a_block_is_kept_stopped_does_not_count(occupied):
    async with ProcessSandbox(limits=SandboxLimits(seconds=1.0, grace=0.1)).open() as session:
        await session.start()
        occupied.begin()
        running = asyncio.create_task(session.execute("6 * 7"))
        done, _ = await asyncio.wait([running], timeout=2.5)
        assert not done
        occupied.end()
        execution = await running
    assert (execution.value, execution.error) == (42, None)


@needs_processes
async def test_a_block_that_waits_for_its_turn_is_interrupted_in_its_turn(occupied):
    async with ProcessSandbox(limits=SandboxLimits(grace=0.1)).open() as session:
        await session.execute("x = 1")
        occupied.begin()
        running = asyncio.create_task(session.execute("while True: pass"))
        await until(lambda: module.computing.is_crowded)
        await session.interrupt()
        done, _ = await asyncio.wait([running], timeout=1.0)  # ten times its grace
        assert not done
        occupied.end()
        execution = await running
        assert (execution.error.type, execution.error.lost) == ("KeyboardInterrupt", False)
        assert (await session.execute("x")).value == 1


@needs_processes
async def test_a_block_that_waits_for_its_turn_is_closed_at_once(occupied):
    sandbox = ProcessSandbox()
    async with sandbox.open() as session:
        await session.start()
        occupied.begin()
        running = asyncio.create_task(session.execute("while True: pass"))
        await until(lambda: module.computing.is_crowded)
        async with asyncio.timeout(20):
            await session.close()
            assert (await running).error.lost
    assert not module.computing.is_crowded


@needs_processes
async def test_values_are_set_and_read_in_turn(occupied):
    async with ProcessSandbox(limits=SandboxLimits(seconds=0.1, grace=0.1)).open() as session:
        await session.start()
        occupied.begin()
        setting = asyncio.create_task(session.set({"a": 1}))
        done, _ = await asyncio.wait([setting], timeout=1.0)
        assert not done
        occupied.end()
        await setting
        assert await session.get("a") == {"a": 1}
