"""The processors that this process can use, and the processor time of a child, read from outside in a microsecond."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress

#: Linux's CPUCLOCK_SCHED: the kind of clock that counts the processor time of a process, all threads together.
_PROCESS_CLOCK = 2
#: Links of the folder `/proc/<pid>/task` of a process with one thread.
_LINKS_OF_ONE = 3
#: Most threads of one process that are looked at.
_MOST_THREADS = 64


def seconds_used(pid: int | None) -> float | None:
    """Return the processor seconds that a process has used so far, all its threads together.

    A process that is stopped or waits for a processor uses none. The figure of a process that runs at this moment
    may be a few milliseconds old. A process that has ended keeps its figure until it is waited for.

    Args:
        pid: The process id; `None` for a process that is not known.

    Returns:
        Seconds, or `None` when the process is gone, not known, or cannot be asked here.
    """
    if pid is None:
        return None
    try:
        return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)
    except OSError:
        return None


def state_of(pid: int | None) -> str:
    """Return what the main thread of a process does, as the letter of proc(5): R (runs, or would), S, D, T, Z.

    Args:
        pid: The process id; `None` for a process that is not known.

    Returns:
        The letter, or an empty text when the process is gone, not known, or cannot be seen here.
    """
    return _state(f"/proc/{pid}/stat")


def _state(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - runs on the event loop: the fast way
            return file.read(512).rpartition(b") ")[2][:1].decode()
    except OSError:
        return ""


def has_one_thread(pid: int | None) -> bool:
    """Return whether a process has a single thread.

    Args:
        pid: The process id; `None` for a process that is not known.
    """
    try:
        return os.stat(f"/proc/{pid}/task").st_nlink == _LINKS_OF_ONE  # noqa: PTH116
    except OSError:
        return False


def running_threads(pid: int | None) -> int:
    """Return how many threads of a process run, or would if there were processors for them.

    Args:
        pid: The process id; `None` for a process that is not known.
    """
    if has_one_thread(pid):
        return int(state_of(pid) == "R")
    try:
        threads = os.listdir(f"/proc/{pid}/task")[:_MOST_THREADS]  # noqa: PTH208
    except OSError:
        return 0
    return sum(_state(f"/proc/{pid}/task/{thread}/stat") == "R" for thread in threads)


def cores() -> int:
    """Return how many processors this process can use: those it may run on, or fewer if its cgroup has a quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(usable, _quota())))


def _quota() -> float:
    """Return how many processors' worth of time the control groups of this process get; infinity without a quota."""
    quota = math.inf
    with suppress(OSError, ValueError):
        for line in _read("/proc/self/cgroup").splitlines():
            number, kinds, path = line.split(":", 2)
            if number == "0":
                root, names = "/sys/fs/cgroup", ["cpu.max"]
            elif "cpu" in kinds.split(","):
                root, names = "/sys/fs/cgroup/cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
            else:
                continue
            while path:  # the quota of an outer group holds for inner ones
                quota = min(quota, _quota_of(root + path, names))
                path = path.rpartition("/")[0]
            quota = min(quota, _quota_of(root, names))  # in a container, the only group that is seen
    return quota


def _quota_of(group: str, names: list[str]) -> float:
    with suppress(OSError, ValueError):
        share, period = " ".join(_read(f"{group}/{name}") for name in names).split()
        if int(share) > 0:  # -1 (version 1) means no quota; "max" (version 2) fails above
            return int(share) / int(period)
    return math.inf


def _read(path: str) -> str:
    with open(path) as file:  # noqa: PTH123
        return file.read()


#: Seconds beyond its own that a process is waited for, even if the machine gives it no time at all.
_LONGEST = 30.0
#: How often `Patience` is asked while its seconds last.
LOOKS = 5


class Patience:
    """The seconds that a process has to do something; only those count in which the process could have done it.

    While the process computes, its processor time counts; while it sleeps, all time; while it is kept stopped or
    waits for a processor, none. Half a minute after the seconds have gone by, they are over in any case.

    Args:
        pid: The process id; for `None`, a process that is not known, all time counts.
        seconds: The seconds that the process has.
        held: Returns the seconds for which the process has been kept stopped so far.
    """

    def __init__(self, pid: int | None, seconds: float, held: Callable[[], float] = lambda: 0.0) -> None:
        self._pid = pid
        self._left = seconds
        self._held = held
        self._last = (time.monotonic(), seconds_used(pid), held())
        self._until = self._last[0] + seconds + _LONGEST

    def is_over(self) -> bool:
        """Return whether the process has had its seconds. Ask several times while they last."""
        (looked, used, held), state = self._last, state_of(self._pid)
        now, now_used, now_held = self._last = (time.monotonic(), seconds_used(self._pid), self._held())
        took = max(0.0, now - looked - (now_held - held))
        if state in ("R", "D") and used is not None and now_used is not None:
            took = min(took, now_used - used)
        self._left -= took
        return self._left <= 0 or now >= self._until
