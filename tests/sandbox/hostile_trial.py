"""One attempt in a session of its own: what runs, and what is wrong with what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

from tests.sandbox.hostile import PRELUDE, Attempt
from tests.sandbox.hostile_checks import MOST_OUTPUT, fits, ill_formed, summary, texts
from tests.sandbox.hostile_world import World
from tinyagent.core.errors import SandboxError
from tinyagent.core.messages import Call
from tinyagent.core.result import Execution
from tinyagent.sandbox.base import Answer, SandboxLimits, SandboxSession, caller_of, tools_by_name
from tinyagent.sandbox.process import ProcessSandbox

LIMITS = {
    "seconds": 3.0,
    "cpu_seconds": 2,
    "memory": 256 << 20,
    "output": MOST_OUTPUT,
    "calls": 50,
    "calls_at_once": 8,
    "threads": 4,
    "grace": 0.1,
    "host_seconds": 0.5,
}
_GRID = [[n / 7] * 10 for n in range(4_500)]
#: Seconds of a block that may go on for ever, or be left asleep; and of one that floods the host.
BRIEFLY, FLOODING = 0.15, 0.4
#: How often a block is run that this machine was too slow for.
TRIES = 60
#: Seconds after which an attempt is taken to have the host in its power.
HUNG = 25.0
#: Seconds between two looks at the clock, and the lag from which on it is told who was running.
TICK, NOTED = 0.005, 0.05

# ---- the tools of every session


async def echo(value: Any) -> Any:
    """Give back what was given."""
    return value


async def nap(seconds: float) -> None:
    """Sleep."""
    await asyncio.sleep(seconds)


async def large() -> str:
    """Text of 900 kB."""
    return "x" * 900_000


async def grid() -> list[list[float]]:
    """Numbers that fill a frame."""
    return _GRID


async def tally() -> int:
    """One."""
    return 1


def number(count: int) -> int:
    """A number."""
    return count


def rows(table: dict[str, list[int]]) -> int:
    """How many rows."""
    return len(table)


def total(numbers: list[int]) -> int:
    """Their sum."""
    return sum(numbers)


def fail() -> None:
    """Always fails."""
    raise LookupError("nothing there")


TOOLS = tools_by_name([echo, nap, large, grid, tally, number, rows, total, fail])
_CALLER = caller_of(TOOLS)


class Lag:
    """How late the event loop is, and who was running then.

    Attributes:
        greatest: Seconds that it was late at most. Other processes have a part in it.
        busiest: Seconds of processor time that its thread took at most without a pause.
        noted: The occasions.
        running: The attempts under way.
    """

    def __init__(self) -> None:
        self.greatest = 0.0
        self.busiest = 0.0
        self.noted: list[dict[str, Any]] = []
        self.running: set[str] = set()
        self._own = self._own_busy = 0.0

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """What is done here is the test's own work, and no lag."""
        began, busy = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self._own += time.perf_counter() - began
            self._own_busy += time.thread_time() - busy

    async def watch(self) -> None:
        """Tick until cancelled."""
        while True:
            began, own = time.perf_counter(), self._own
            began_busy, own_busy = time.thread_time(), self._own_busy
            await asyncio.sleep(TICK)
            lag = time.perf_counter() - began - TICK - (self._own - own)
            busy = time.thread_time() - began_busy - (self._own_busy - own_busy)
            self.greatest = max(self.greatest, lag)
            self.busiest = max(self.busiest, busy)
            if lag > NOTED:
                about = {"lag": round(lag, 4), "busy": round(busy, 4), "running": sorted(self.running)}
                self.noted.append(about)


class Trial:
    """One attempt while it runs, and what was wrong with what came of it."""

    def __init__(self, attempt: Attempt, world: World, lag: Lag) -> None:
        self.attempt = attempt
        self._lag = lag
        self.violations: list[str] = []
        self.told: dict[str, Any] = {}
        self.hung = False
        self._world = world
        self._in_block = False

    async def _call(self, call: Call) -> Answer:
        """Answers a tool call, and notes one outside a block."""
        if not self._in_block:
            self.violations.append("a tool was called outside a block")
        return await _CALLER(call)

    # ---- running

    async def run(self, sandbox: ProcessSandbox) -> None:
        """Try it."""
        brief = FLOODING if self.attempt.theme == "floods" else BRIEFLY
        options = {"seconds": brief} if self.attempt.is_brief else {}
        options |= {name: value for name, value in self.attempt.options.items() if name in LIMITS}
        session = sandbox.open(TOOLS.values(), SandboxLimits(**LIMITS | options), call=self._call)
        trying = asyncio.create_task(self._try(session))
        await asyncio.wait([trying], timeout=HUNG)  # a task that is in the code's power may not hear a cancellation
        if not trying.done():
            self.hung = True
            self.violations.append(f"it held its session up for {HUNG:g} s")
        elif error := trying.exception():
            self.violations.append(f"the host raised {type(error).__name__}: {error!s:.300}")

    async def _try(self, session: SandboxSession) -> None:
        async with session:
            await self._run_blocks(session)

    async def _run_blocks(self, session: SandboxSession) -> None:
        names = "".join(f"{name} = {value!r}\n" for name, value in self._world.names.items())
        began = await self._execute_ours(session, names + PRELUDE, trusted=True)
        if began.error is not None:
            self.violations.append(f"the prelude failed: {began.error.traceback or began.error}")
            return
        execution = (
            await self._meddled(session)
            if "meddle" in self.attempt.options
            else await self._execute(session, self.attempt.code)
        )
        if execution is not None:
            with self._lag.apart():
                self.told = summary(execution)
                self._judge(execution)
        await self._afterwards(session)

    async def _execute_ours(self, session: SandboxSession, code: str, *, trusted: bool) -> Execution:
        """A block that takes no time, except on a machine that has none."""
        for _ in range(TRIES if trusted else 1):
            execution = await self._execute(session, code)
            if not execution.interrupted:
                break
        return execution

    async def _execute(self, session: SandboxSession, code: str) -> Execution:
        self._in_block = True
        try:
            execution = await session.execute(code)
        finally:
            self._in_block = False
        with self._lag.apart():
            self.violations += ill_formed(execution)
            self.violations += [leak for text in texts(execution) for leak in self._world.leaks(text)]
        return execution

    async def _meddled(self, session: SandboxSession) -> Execution | None:
        """The host interrupts, cancels or closes while the block runs."""
        running = asyncio.create_task(self._execute(session, self.attempt.code))
        await asyncio.wait([running], timeout=0.1)
        match self.attempt.options["meddle"]:
            case "cancel":
                running.cancel()
            case "interrupt":
                await session.interrupt()
            case "close":
                await session.close()
        try:
            return await running
        except asyncio.CancelledError:
            return None

    def _judge(self, execution: Execution) -> None:
        if not any(fits(expected, execution) for expected in self.attempt.expect):
            self.violations.append(f"expected {' or '.join(self.attempt.expect)}, got {self.told}")

    async def _afterwards(self, session: SandboxSession) -> None:
        """The session goes on, in this process or another; what was tampered with may answer what it likes."""
        if self.attempt.options.get("meddle") == "close":
            return
        trusted = not self.attempt.options.get("tampers")
        execution = await self._execute_ours(session, "6 * 7", trusted=trusted)
        if execution.value == 42:
            with contextlib.suppress(SandboxError):
                await session.get("loot", "missing")
        elif trusted:
            self.violations.append(f"the session did not go on: {summary(execution)}")
