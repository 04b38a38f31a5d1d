"""Runs the attempts, each in a session of its own, and reports as JSON what came of them.

    python tests/sandbox/hostile_runner.py [--only PATTERN] [--not PATTERN] [--share K/N] [--at-once N] [--plain]

`--plain` runs those that must be refused without any sandbox, to show that they would work. The standard error says
which attempts begin and end, so that one that takes the host with it is known.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from tests.sandbox.hostile import ATTEMPTS, Attempt
from tests.sandbox.hostile_checks import summary
from tests.sandbox.hostile_plain import plainly
from tests.sandbox.hostile_trial import LIMITS, Lag, Trial
from tests.sandbox.hostile_world import World
from tinyagent.sandbox.base import SandboxLimits, SandboxSession
from tinyagent.sandbox.process import ProcessSandbox
from tinyagent.sandbox.zygote import close_zygotes


class Siege:
    """All attempts against one sandbox, with a neighbour in it."""

    def __init__(self, attempts: list[Attempt], at_once: int) -> None:
        self._attempts = attempts
        self._at_once = at_once
        self._lag = Lag()
        self._violations: dict[str, list[str]] = {}
        self._told: dict[str, Any] = {}
        self._hung = False

    async def run(self) -> dict[str, Any]:
        """Run them and report."""
        loop = asyncio.get_running_loop()
        heard: list[str] = []
        loop.set_exception_handler(
            lambda _, context: heard.append(f"{context['message']} {context.get('exception')!r}")
        )
        close_zygotes()
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        began = time.perf_counter()
        with World() as world:
            await self._besiege(world)
        if heard:
            self._violations["the event loop's exception handler"] = heard[:20]
        processes = descendants()
        close_zygotes()
        gc.collect()
        if left := await gone(processes):
            self._violations["processes left"] = left
        if (more := len(list(Path("/proc/self/fd").iterdir())) - descriptors) > 0:
            self._violations["descriptors left"] = [str(more)]
        return {
            "uid": os.getuid(),
            "attempts": len(self._attempts),
            "violations": self._violations,
            "hung": self._hung,
            "lag": round(self._lag.greatest, 4),
            "busy": round(self._lag.busiest, 4),
            "lags": self._lag.noted,
            "seconds": round(time.perf_counter() - began, 2),
            "outcomes": self._told,
        }

    async def _besiege(self, world: World) -> None:
        sandbox = ProcessSandbox()

        def keep() -> None:
            pass

        keep.__doc__ = f"Knows {world.secrets['tool']}."
        neighbour = sandbox.open([keep], SandboxLimits(memory=LIMITS["memory"], cpu_seconds=None, threads=4))
        async with neighbour:
            await neighbour.set({"secret": world.secrets["neighbour"]})
            about = await neighbour.execute(f"import os\nkept = '{world.secrets['neighbour']}'\nos.getpid()")
            world.names["NEIGHBOUR_PID"] = about.value
            ticking = asyncio.create_task(self._lag.watch())
            try:
                await self._in_batches(sandbox, neighbour, world)
            finally:
                ticking.cancel()

    async def _in_batches(self, sandbox: ProcessSandbox, neighbour: SandboxSession, world: World) -> None:
        waiting = list(reversed(self._attempts))

        async def worker() -> None:
            while waiting:
                attempt = waiting.pop()
                trial = Trial(attempt, world, self._lag)
                self._lag.running.add(attempt.name)
                print(f"begins {attempt.name}", file=sys.stderr, flush=True)
                await trial.run(sandbox)
                print(f"ends {attempt.name}", file=sys.stderr, flush=True)
                self._hung = self._hung or trial.hung
                self._lag.running.discard(attempt.name)
                with self._lag.apart():
                    trial.violations += [f"{harm} (beside {sorted(self._lag.running)})" for harm in world.harm()]
                self._told[attempt.name] = trial.told
                if trial.violations:
                    self._violations[attempt.name] = trial.violations
                if len(self._told) % 25 == 0:
                    await check()

        async def check() -> None:
            secret = world.secrets["neighbour"]
            found = await neighbour.execute("(secret, kept, os.getpid(), 6 * 7)")
            if found.value != (secret, secret, world.names["NEIGHBOUR_PID"], 42):
                self._violations.setdefault("the neighbour", []).append(str(summary(found)))

        await asyncio.gather(*[worker() for _ in range(self._at_once)])
        await check()


def descendants() -> list[int]:
    """The processes that this one has started, and those that they have."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def lives(pid: int) -> bool:
    """Whether it runs; a process that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def gone(processes: list[int]) -> list[str]:
    """Wait for processes to end; those that did not."""
    for _ in range(500):
        processes = [pid for pid in processes if lives(pid)]
        if not processes:
            break
        await asyncio.sleep(0.01)
    return [f"{pid}: {Path(f'/proc/{pid}/cmdline').read_text()[:200]}" for pid in processes]


async def besiege(attempts: list[Attempt] | None = None, *, at_once: int = 6) -> dict[str, Any]:
    """Run attempts (default: all) and report: `violations`, `lag` and `busy` in seconds (see `Lag`), `outcomes`, ..."""
    chosen = [attempt for attempt in (ATTEMPTS if attempts is None else attempts) if attempt.runs_here]
    return await Siege(chosen, at_once).run()


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a regular expression for names or themes")
    parser.add_argument("--share", default="0/1", help="K/N: one in N of them, from the one with number K on")
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--not", dest="without", default="^$", help="a regular expression for names to leave out")
    options = parser.parse_args()
    only, without = re.compile(options.only), re.compile(options.without)
    named = [each for each in ATTEMPTS if only.search(each.name) or only.fullmatch(each.theme)]
    first, step = map(int, options.share.split("/"))
    chosen = [each for each in named if not without.search(each.name)][first::step]
    report = plainly(chosen) if options.plain else asyncio.run(reported(chosen, options.at_once))
    json.dump(report, sys.stdout, indent=1)


async def reported(attempts: list[Attempt], at_once: int) -> dict[str, Any]:
    """The report; a loop with tasks that do not end is left at once."""
    report = await besiege(attempts, at_once=at_once)
    if report["hung"]:
        json.dump(report, sys.stdout, indent=1)
        sys.stdout.flush()
        os._exit(1)
    return report


if __name__ == "__main__":
    main()
