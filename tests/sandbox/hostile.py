"""Attempts to break out of the process sandbox: what each one runs, and what may come of it.

The attempts stand in the modules `hostile_*`, one text for each theme, in this form:

    ### what is tried | what may come of it | options
    Python

What may come of it: `refused` (the system call filter said no), `denied` (refused, or no such file: the value is the
name of an errno), `killed` (the process is gone, and the block says so), `stopped` (the time limit ended it), `ends`
(whatever it says; the witnesses outside the sandbox decide), `== value`, `repr text`, or the name of the exception that
ends the block. Alternatives are parted by ` or `. Whatever comes, no witness may have seen anything; see
`hostile_world`.

Attempts are harmless where they succeed: they count forks and bytes, signal with number 0 what is not theirs, and aim
at the files, sockets and processes that `hostile_world` sets up for them.
"""

from __future__ import annotations

import ast
import platform
from dataclasses import dataclass, field
from typing import Any

from tests.sandbox import (
    hostile_bombs,
    hostile_errors,
    hostile_files,
    hostile_floods,
    hostile_frames,
    hostile_limits,
    hostile_processes,
    hostile_python,
    hostile_sockets,
    hostile_spinning,
    hostile_syscalls,
    hostile_values,
)

THEMES = {
    "files": hostile_files.ATTEMPTS,
    "sockets": hostile_sockets.ATTEMPTS,
    "processes": hostile_processes.ATTEMPTS,
    "syscalls": hostile_syscalls.ATTEMPTS,
    "bombs": hostile_bombs.ATTEMPTS,
    "limits": hostile_limits.ATTEMPTS,
    "frames": hostile_frames.ATTEMPTS,
    "floods": hostile_floods.ATTEMPTS,
    "python": hostile_python.ATTEMPTS,
    "values": hostile_values.ATTEMPTS,
    "errors": hostile_errors.ATTEMPTS,
    "spinning": hostile_spinning.ATTEMPTS,
}

#: Runs as a block of its own before each attempt. The names in capitals come from `hostile_world`.
PRELUDE = r"""
import asyncio, builtins, ctypes, errno, gc, io, json, mmap, os, re
import select, signal, socket, struct, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = libc.mmap.restype = ctypes.c_long


def reason(error):
    while isinstance(getattr(error, "reason", None), OSError):
        error = error.reason
    return errno.errorcode.get(error.errno, f"{type(error).__name__}: {error}")


def refused(call, *args, **options):
    try:
        got = call(*args, **options)
    except OSError as error:
        return reason(error)
    return f"BREACH{chr(33)} {got!r:.300}"


def breach(what):
    print(f"BREACH{chr(33)} {what!r:.300}")


def sc(number, *args):
    ctypes.set_errno(0)
    whole = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    got = libc.syscall(ctypes.c_long(number), *whole, *[ctypes.c_long(0)] * (6 - len(whole)))
    if got == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return got


def first(calls):
    answers = {refused(call) for call in calls}
    return next((a for a in answers if a not in ("EPERM", "ENOSYS")), "EPERM")


def machine_code(code, low=False):
    flags = 0x22 | 0x40 * low
    at = libc.mmap(None, ctypes.c_size_t(4096), 7, flags, -1, ctypes.c_long(0))
    ctypes.memmove(at, code, len(code))
    return at


def forge(*messages):
    for message in messages:
        if not isinstance(message, bytes):
            message = body(json.dumps(message).encode())
        rest = memoryview(message)
        while rest:
            rest = rest[os.write(3, rest):]


def body(data):
    return struct.pack(">I", len(data)) + data


def fill(one):
    parts, left = [], (1 << 20) - 100
    while len(parts) < 95_000:
        parts.append((one % (10**6 + len(parts))).encode())
        left -= len(parts[-1]) + 1
        if left < 0:
            break
    return b",".join(parts[:-1])


def current():
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if isinstance(value, dict) and value.get("t") == "exec":
                return value["id"]
        frame = frame.f_back
    raise LookupError("no exec message in sight")


def done(**fields):
    return {"t": "done", "id": current(), "v": None, "repr": None, "names": [], "ended": False, "e": None, **fields}


def readable(at, size):
    inward, outward = os.pipe()
    try:
        if libc.write(outward, ctypes.c_void_p(at), ctypes.c_size_t(size)) != size:
            return b""
        return os.read(inward, size)
    finally:
        os.close(inward)
        os.close(outward)
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt.

    Attributes:
        name: What is tried; unique.
        theme: The module it comes from.
        code: What runs, after the prelude.
        expect: What may come of it, alternatives.
        options: Limits of its session; `tampers` with what runs its own blocks, so later blocks may say anything;
            `meddle`: what the host does meanwhile, `interrupt`, `cancel` or `close`.
    """

    name: str
    theme: str
    code: str
    expect: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_brief(self) -> bool:
        """Its time limit may well be what ends it, or the block after it."""
        return bool({"ends", "stopped"} & set(self.expect) or self.options.get("tampers"))

    @property
    def runs_here(self) -> bool:
        """System call numbers and machine code are those of x86_64."""
        return platform.machine() == "x86_64" or not any(word in self.code for word in ("sc(", "machine_code("))


def parse(theme: str, text: str) -> list[Attempt]:
    """The attempts of a theme."""
    found = []
    for part in ("\n" + text).split("\n### ")[1:]:
        head, _, code = part.partition("\n")
        name, expect, *options = (piece.strip() for piece in head.split(" | "))
        found.append(Attempt(name, theme, code.rstrip() + "\n", tuple(expect.split(" or ")), read_options(options)))
    return found


def read_options(words: list[str]) -> dict[str, Any]:
    """`tampers seconds=0.3` as a mapping."""
    options: dict[str, Any] = {}
    for word in " ".join(words).split():
        name, has_value, value = word.partition("=")
        options[name] = ast.literal_eval(value) if has_value and name != "meddle" else value or True
    return options


ATTEMPTS = [attempt for theme, text in THEMES.items() for attempt in parse(theme, text)] + [
    Attempt(name, "sources", code, ("ends",), {"tampers": True}) for name, code in hostile_errors.SOURCES.items()
]
