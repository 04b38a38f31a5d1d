"""How many blocks compute at once, and how they take turns."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tinyagent.sandbox import computing as module
from tinyagent.sandbox.base import SandboxLimits
from tinyagent.sandbox.computing import Computing, Turn
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


@pytest.mark.skipif(ProcessSandbox.reason_against() is not None, reason="no ProcessSandbox here")
async def test_time_in_which_a_block_is_kept_stopped_does_not_count(monkeypatch):
    monkeypatch.setattr(module.computing, "limit", 1)
    sandbox = ProcessSandbox(limits=SandboxLimits(seconds=2.0))
    code = "import time\nuntil = time.process_time() + 0.3\nwhile time.process_time() < until:\n    pass\n'done'"

    async def computes():
        async with sandbox.open() as session:
            return (await session.execute(code)).value

    began = time.monotonic()
    assert await asyncio.gather(*[computes() for _ in range(10)]) == ["done"] * 10
    assert time.monotonic() - began > 2.9  # one after the other
