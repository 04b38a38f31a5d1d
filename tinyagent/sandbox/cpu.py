"""What a child process has had of the processor: read from outside, in a microsecond."""

from __future__ import annotations

import time

#: Of the clock that Linux keeps for each process: its processor time, all threads together.
_PROCESS_CLOCK = 2


def seconds_used(pid: int | None) -> float | None:
    """Return the processor seconds that a process has used so far, all its threads together.

    A process that is stopped or waits for a processor uses none. What runs at this moment may be a few milliseconds
    behind. A process that has ended counts until it is waited for.

    Args:
        pid: The process; `None` is one that is not known.

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
    """Return what the main thread of a process does, as the kernel's letter: R (runs, or would), S (sleeps), D, T, Z.

    Args:
        pid: The process; `None` is one that is not known.

    Returns:
        The letter, or an empty text when the process is gone, not known, or cannot be seen here.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - on the event loop: the short way
            return file.read(512).rpartition(b") ")[2][:1].decode()
    except OSError:
        return ""
