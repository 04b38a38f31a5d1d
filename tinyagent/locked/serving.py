"""The worker process: it reads requests from its standard input, and writes the answers, until that ends.

Before the first request it imports what it will need, and locks itself: on Linux it then reaches no file, no network
and no other process, and its memory is limited. Elsewhere there is that limit alone, if the system knows one.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import struct
import sys
from contextlib import suppress
from importlib import import_module
from typing import IO, Any, Protocol, cast

from tinyagent.locked import lock

#: What stands before each message: the bytes of its JSON object, and those of the content that follows it.
HEAD = struct.Struct(">II")


class Servant(Protocol):
    """What a module that serves in a worker process has."""

    def prepare(self) -> None:
        """Import and try whatever answers need: later nothing can be opened."""

    def answer(self, request: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
        """Answer a request; what it raises ends the process."""


def main() -> None:
    """Serve. The first message says `path` (where packages are found), `serves` (a module) and `memory` (bytes)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed is no answer
    first = _read(requests)
    if first is None:
        return
    settings, _ = first
    sys.path += settings["path"]
    servant = cast("Servant", import_module(settings["serves"]))
    servant.prepare()
    gc.freeze()
    _write(answers, {"locked": _lock(settings["memory"], answers.fileno())}, b"")
    while (message := _read(requests)) is not None:
        if hasattr(signal, "setitimer"):  # the host ends what takes too long, but it may have died
            signal.setitimer(signal.ITIMER_REAL, message[0]["seconds"] + 1)
        _write(answers, *servant.answer(*message))


def _lock(memory: int, answers: int) -> bool:
    if lock.reason_against() is None:
        own = lock.FIRST_USER + os.getpid()
        keep = {0, 1, 2, answers}
        lock.lock(memory=memory, cpu_seconds=None, threads=0, uid=own, parent=os.getppid(), keep=keep, nice=0)
        return True
    if sys.platform != "win32":
        import resource

        with suppress(ValueError, OSError):  # as on macOS, where no process is that small
            resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
    return False


def _read(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    about, content = HEAD.unpack(head)
    return json.loads(stream.read(about)), stream.read(content)


def _write(stream: IO[bytes], about: dict[str, Any], content: bytes) -> None:
    stream.write(encode(about, content))
    stream.flush()


def encode(about: dict[str, Any], content: bytes) -> bytes:
    """Return a message as bytes."""
    text = json.dumps(about).encode()
    return HEAD.pack(len(text), len(content)) + text + content
