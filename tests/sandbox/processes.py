"""Looking at processes from outside: who is a child of whom, and who has ended."""

from __future__ import annotations

import os
from pathlib import Path


def children_of(pid: int) -> set[int]:
    """The living children of a process, zombies left out."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            state, parent = stat
            if parent == pid and state != "Z":
                found.add(int(entry.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process lives."""
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def state_of(pid: int) -> str | None:
    """R, S, T (stopped), Z ...; `None` when there is no such process."""
    stat = _stat(pid)
    return None if stat is None else stat[0]


def zygotes_of(pid: int | None = None) -> set[int]:
    """The zygotes among the children of a process."""
    return {child for child in children_of(pid or os.getpid()) if b"tinyagent.sandbox.child" in _command(child)}


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent = text[text.rindex(")") + 2 :].split()[:2]
    return state, int(parent)
