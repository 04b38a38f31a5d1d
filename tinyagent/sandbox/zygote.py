"""The host's side of the zygote: one clean Python for this process, which forks locked children on request."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from tinyagent.core.errors import SandboxError, SandboxUnavailableError
from tinyagent.core.threads import in_forked_copy
from tinyagent.locked.interpreter import OPTIONS, ROOT, command, search_path, why_it_cannot_start

#: Seconds that a zygote may take to import everything it was asked for.
START_TIMEOUT = 60.0
#: Seconds that a zygote may take to fork a child.
ANSWER_TIMEOUT = 20.0
#: Sessions that wait for children at once; the zygote forks one after the other anyway.
_WAITING = 16
_CONTROL = 1 << 16
#: Children that wait, locked, for the next sessions with the same limits.
_SPARES = 2
#: How many different limits have spares at the same time: those used last.
_KINDS_OF_SPARES = 2
#: Seconds after which a spare is forked, so that it does not compete with the session that is starting.
_SPARE_DELAY = 0.03
#: The zygote's environment: no library may start threads, which a fork would lose.
_ENVIRONMENT = {"PYTHONHASHSEED": "0"} | {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
}
_MODULE = "tinyagent.sandbox.child.zygote"
_ENDED = (
    f"The sandbox's zygote ended while it started. To see why, run: {sys.executable} {' '.join(OPTIONS)} "
    f'-c "import sys; sys.path.insert(0, {ROOT!r}); import {_MODULE}"'
)


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """The limits that the kernel holds a child to: bytes of memory, CPU seconds, threads besides the main one."""

    memory: int
    cpu_seconds: int | None
    threads: int


@dataclass(eq=False)
class Child:
    """A session process, which the zygote may still have to fork.

    Attributes:
        fd: The session's socket; -1 once it is closed, or taken over.
        pid: The process id; `None` before the process has begun.
        pidfd: The descriptor by which the process is signalled; it never means another process, as an id may.
        begun: Set when the process has been forked, or could not be.
        failure: Why it could not be forked.
        status: The exit code once the process has ended, negative for a signal; `None` before, and where the zygote
            died first.
        ended: Set when the process has ended.
    """

    fd: int = -1
    pid: int | None = None
    pidfd: int = -1
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str | None = None
    status: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def signal(self, number: int) -> None:
        """Send the process a signal; do nothing when it has ended."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        """Kill the process, and close its descriptors. Without its socket, one that is just forked ends by itself."""
        self.signal(signal.SIGKILL)
        self.let_go()

    def let_go(self) -> None:
        """Close the descriptors of the process, which lives on."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Zygote:
    """A zygote process, used by one event loop at a time.

    Args:
        preload: Packages that the zygote imports.
    """

    def __init__(self, preload: tuple[str, ...]) -> None:
        self.preload = preload
        self.failure: SandboxError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = asyncio.Event()  # or failed
        self._children: dict[int, Child] = {}
        self._spares: dict[ChildLimits, list[Child]] = {}
        self._numbers = itertools.count()
        self.adopt()

    def adopt(self) -> None:
        """Make the zygote belong to the running event loop; children of sessions that a closed loop has left end."""
        self.loop = asyncio.get_running_loop()
        self._turns = asyncio.Semaphore(_WAITING)
        if self._control is not None:
            self.loop.add_reader(self._control.fileno(), self._hear)
        if not self._ready.is_set():  # the closed loop waited for it
            self._ready = asyncio.Event()
        spares = set(self._all_spares())
        for child in set(self._children.values()) - spares:
            child.close()
        self._children = {number: child for number, child in self._children.items() if child in spares}

    def _all_spares(self) -> list[Child]:
        return [child for spares in self._spares.values() for child in spares]

    # ---- starting and ending

    async def start(self) -> None:
        """Start the zygote's process, once.

        Raises:
            SandboxUnavailableError: A package cannot be preloaded; the text says which, and why.
            SandboxError: The process did not start; the text says why.
        """
        if self._process is None:
            self._spawn()
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._ready.wait()
        except TimeoutError:
            self._fail(SandboxError(f"The sandbox's zygote was not ready within {START_TIMEOUT:g} s."))
        if self.failure is not None:
            raise self.failure

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.setblocking(False)
            self._control = ours
            self.loop.add_reader(ours.fileno(), self._hear)
            ours.send(json.dumps({"path": search_path(), "preload": self.preload}).encode())
            try:
                self._process = subprocess.Popen(
                    command(_MODULE),
                    env=_ENVIRONMENT,
                    cwd="/",
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                self._fail(SandboxUnavailableError(f"The sandbox {why_it_cannot_start(error)}."))

    def _fail(self, error: SandboxError) -> None:
        self.failure = self.failure or error
        self.close()

    def close(self) -> None:
        """End the zygote's process and everything it has forked."""
        self.failure = self.failure or SandboxError("The sandbox's zygote was closed.")
        if self._control is not None:
            if not self.loop.is_closed():
                self.loop.remove_reader(self._control.fileno())
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for child in self._all_spares():
            child.close()
        self._spares.clear()
        for child in self._children.values():  # children end with the zygote
            child.begun.set()
            child.ended.set()
        self._children.clear()
        self._ready.set()

    def forget(self) -> None:
        """Let go of the zygote in a forked copy of the host, to which it does not belong."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.returncode = 0  # else `Popen` would wait for a process that is not ours
        for child in self._all_spares():
            child.let_go()

    # ---- forking

    async def child(self, limits: ChildLimits) -> Child:
        """Return a locked child: a spare one, or a new one. Another is forked ahead for the next session.

        Raises:
            SandboxError: The zygote has died, or there are no descriptors left.
        """
        async with self._turns:
            child = self._spare(limits) or self._ask(limits)
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await child.begun.wait()
            except TimeoutError:
                self._fail(SandboxError(f"The sandbox's zygote has not answered for {ANSWER_TIMEOUT:g} s."))
            except BaseException:
                child.close()
                raise
        if child.pidfd < 0:
            child.close()
            raise self.failure or SandboxError(f"No process for a sandbox session: {child.failure}.")
        self.loop.call_later(_SPARE_DELAY, self._fork_ahead, limits)
        return child

    def _spare(self, limits: ChildLimits) -> Child | None:
        spares = self._spares.setdefault(limits, [])
        while spares:
            child = spares.pop(0)
            if not child.ended.is_set():
                return child
            child.close()
        return None

    def _fork_ahead(self, limits: ChildLimits) -> None:
        """Ask for missing spares with these limits, unless children are on their way; old spares with others end."""
        spares = self._spares[limits] = self._spares.pop(limits, [])  # to the end: used last
        for unused in list(self._spares)[:-_KINDS_OF_SPARES]:
            for child in self._spares.pop(unused):
                child.close()
        if not all(child.begun.is_set() for child in self._children.values()):
            return  # whoever waits for one comes first, and asks for spares then
        with contextlib.suppress(SandboxError):  # the next session then waits for a child of its own
            while len(spares) < _SPARES:
                spares.append(self._ask(limits))

    def _ask(self, limits: ChildLimits) -> Child:
        """Ask for a child, and return it before it has begun."""
        if self._control is None:
            raise self.failure or SandboxError("The sandbox's zygote was not started.")
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise SandboxError(f"No socket for a sandbox session: {error}. Raise the limit: ulimit -n.") from error
        child, number = Child(ours.detach()), next(self._numbers)
        with theirs:
            try:
                message = json.dumps({"id": number, **asdict(limits)}).encode()
                socket.send_fds(self._control, [message], [theirs.fileno()])
            except OSError as error:
                child.close()
                raise SandboxError(f"The sandbox's zygote does not answer: {error}.") from error
        self._children[number] = child
        return child

    def _hear(self) -> None:
        assert self._control is not None  # noqa: S101 - otherwise nobody reads it
        try:
            data, fds, _, _ = socket.recv_fds(self._control, _CONTROL, 1)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            died = "The sandbox's zygote died, and its sessions with it."
            self._fail(SandboxError(died if self._ready.is_set() else _ENDED))
            return
        message: dict[str, Any] = json.loads(data)
        if message["t"] == "ready":
            self._hear_ready(message)
            return
        child = self._children.get(message["id"]) or Child()  # of a loop that has closed
        if message["t"] == "forked" and fds:
            child.pid, child.pidfd = message["pid"], fds[0]
            if child.fd < 0:  # nobody waits for it any more
                child.close()
        else:
            self._children.pop(message["id"], None)
            child.status = message.get("status")
            child.failure = message.get("error") or "there is no file descriptor left. Raise the limit: ulimit -n"
            child.ended.set()
        child.begun.set()

    def _hear_ready(self, message: dict[str, Any]) -> None:
        wrong = "; ".join(f"{name}: {reason}" for name, reason in message["failed"].items())
        if wrong:
            wrong = f"cannot be imported. {wrong}"
        elif message["threads"] > 1:
            wrong = "these start threads when they are imported, which a fork would lose."
        if wrong:
            self._fail(SandboxUnavailableError(f"preload={list(self.preload)}: {wrong}"))
        self._ready.set()


_zygotes: list[Zygote] = []
_lock = threading.Lock()


async def zygote(preload: tuple[str, ...]) -> Zygote:
    """Return the started zygote with these packages for the running event loop.

    A zygote that a closed loop has left is taken over, so that a process has one zygote, however often it calls
    `asyncio.run`.

    Raises:
        SandboxError: The zygote did not start.
    """
    loop = asyncio.get_running_loop()
    with _lock:
        _zygotes[:] = [each for each in _zygotes if each.failure is None]
        free = [each for each in _zygotes if each.preload == preload and (each.loop is loop or each.loop.is_closed())]
        found = min(free, key=lambda each: each.loop is not loop, default=None)
        if found is None:
            found = Zygote(preload)
            _zygotes.append(found)
        elif found.loop is not loop:
            found.adopt()
    await found.start()
    return found


@atexit.register
def close_zygotes() -> None:
    """End all zygotes of this process, and everything they have forked."""
    with _lock:
        for each in _zygotes:
            each.close()
        _zygotes.clear()


@in_forked_copy
def _forget_zygotes() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it
    _lock = threading.Lock()
    for each in _zygotes:
        each.forget()
    _zygotes.clear()
