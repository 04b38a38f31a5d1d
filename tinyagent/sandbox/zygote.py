"""The host's side of the zygote: one clean Python for this process, which forks locked children on request."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tinyagent.core.errors import SandboxError, SandboxUnavailableError
from tinyagent.core.threads import in_forked_copy

#: Seconds that a zygote may take to import everything it was asked for.
START_TIMEOUT = 60.0
#: Seconds that a zygote may take to fork a child.
ANSWER_TIMEOUT = 20.0
#: Requests under way at once; the zygote does one after the other anyway.
_REQUESTS = 16
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
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from tinyagent.sandbox.child.zygote import main; "
    "del sys.path[0]; main()"
)
_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """The limits that the kernel holds a child to: bytes of memory, CPU seconds, threads besides the main one."""

    memory: int
    cpu_seconds: int | None
    threads: int


@dataclass(eq=False)
class Child:
    """A forked session process.

    Attributes:
        pid: The process id.
        pidfd: The descriptor by which the process is signalled; it never means another process, as an id may.
        fd: The session's socket.
        status: The exit code once the process has ended, negative for a signal; `None` before, and where the zygote
            died first.
        ended: Set when the process has ended.
    """

    pid: int
    pidfd: int
    fd: int
    status: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def signal(self, number: int) -> None:
        """Send the process a signal; do nothing when it has ended."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        """Kill the process, and close its descriptors."""
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
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False
        self._failure: SandboxError | None = None
        self._requests: dict[int, asyncio.Future[tuple[int, int]]] = {}
        self._children: dict[int, Child] = {}
        self._spares: dict[ChildLimits, list[Child]] = {}
        self._coming: dict[int, tuple[ChildLimits, socket.socket]] = {}
        self._count = 0
        self._adopt()

    def _adopt(self) -> None:
        """Make the zygote belong to the running event loop."""
        self.loop = asyncio.get_running_loop()
        self._starting = asyncio.Lock()
        self._slots = asyncio.Semaphore(_REQUESTS)
        self._requests.clear()
        spares = {child.pid: child for child in self._all_spares()}
        for child in self._children.values():
            if child.pid not in spares:  # of a session that a closed loop has left behind
                child.close()
        self._children = spares
        if self._ready and self._control is not None:
            self.loop.add_reader(self._control.fileno(), self._hear)

    @property
    def usable(self) -> bool:
        """Whether the zygote belongs to this process and has not failed."""
        return self._owner == os.getpid() and self._failure is None

    # ---- starting and ending

    async def start(self) -> None:
        """Start the zygote's process, once.

        Raises:
            SandboxUnavailableError: A package cannot be preloaded; the text says which, and why.
            SandboxError: The process did not start; the text says why.
        """
        async with self._starting:
            if self._ready:
                return
            try:
                if self._control is None:
                    self._spawn()
                async with asyncio.timeout(START_TIMEOUT):
                    await self._hear_ready()
            except TimeoutError:
                self._fail(SandboxError(f"The sandbox's zygote was not ready within {START_TIMEOUT:g} s."))
                raise self._failed() from None
            except SandboxError:
                self.close()
                raise

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.setblocking(False)
            self._control = ours
            config = json.dumps({"path": [path for path in sys.path if path], "preload": self.preload})
            ours.send(config.encode())
            self._process = _started(
                [sys.executable, "-P", "-s", "-S", "-B", "-X", "utf8", "-c", _START, _ROOT],
                env=_ENVIRONMENT,
                cwd="/",
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    async def _hear_ready(self) -> None:
        assert self._control is not None  # noqa: S101 - it has just been made
        try:
            data = await self.loop.sock_recv(self._control, _CONTROL)
        except ConnectionError:
            data = b""
        if not data:
            raise SandboxError(
                f"The sandbox's zygote ended while it started. To see why, run: {sys.executable} -P -s -S -B -X utf8 "
                f'-c "import sys; sys.path.insert(0, {_ROOT!r}); import tinyagent.sandbox.child.zygote"'
            )
        ready = json.loads(data)
        if ready["failed"]:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in ready["failed"].items())
            raise SandboxUnavailableError(f"preload={list(self.preload)}: cannot be imported. {reasons}")
        if ready["threads"] > 1:
            raise SandboxUnavailableError(
                f"preload={list(self.preload)}: these start threads when they are imported, which a fork would lose."
            )
        self._ready = True
        self.loop.add_reader(self._control.fileno(), self._hear)

    def _failed(self) -> SandboxError:
        return self._failure or SandboxError("The sandbox's zygote was closed.")

    def _fail(self, error: SandboxError) -> None:
        self._failure = self._failure or error
        for request in self._requests.values():
            if not request.done():
                request.set_exception(self._failed())
        self._requests.clear()
        self.close()

    def close(self) -> None:
        """End the zygote's process and everything it has forked."""
        self._failure = self._failed()
        if self._control is not None:
            if self._ready and not self.loop.is_closed():
                self.loop.remove_reader(self._control.fileno())
            self._control.close()
            self._control = None
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        self._process = None
        self._drop_spares()

    def _all_spares(self) -> list[Child]:
        return [child for spares in self._spares.values() for child in spares]

    def _drop_spares(self) -> None:
        for child in self._all_spares():
            child.close()
        for _, ours in self._coming.values():
            ours.close()
        for child in self._children.values():  # children end with the zygote
            child.ended.set()
        self._spares.clear()
        self._coming.clear()
        self._children.clear()

    def forget(self) -> None:
        """Let go of the zygote in a forked copy of the host, to which it does not belong."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.returncode = 0  # else `Popen` would wait for a process that is not ours
        for child in self._all_spares():
            child.let_go()
        self._failure = SandboxError("The zygote belongs to the process that this one was forked from.")

    # ---- forking

    async def child(self, limits: ChildLimits) -> Child:
        """Return a locked child: a spare one, or a new one. Another is forked ahead for the next session.

        Raises:
            SandboxError: The zygote has died, or there are no descriptors left.
        """
        spares = self._spares.setdefault(limits, [])
        while spares:
            child = spares.pop()
            if not child.ended.is_set():
                self.loop.call_later(_SPARE_DELAY, self._fork_ahead, limits)
                return child
            child.close()
        async with self._slots:
            reply: asyncio.Future[tuple[int, int]] = self.loop.create_future()
            request, ours = self._request(limits)
            self._requests[request] = reply
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    pid, pidfd = await reply
            except BaseException as error:
                ours.close()
                if reply.done() and not reply.cancelled() and reply.exception() is None:
                    Child(*reply.result(), -1).close()  # the child came at the moment of the cancellation
                if isinstance(error, TimeoutError):
                    self._fail(SandboxError(f"The sandbox's zygote has not answered for {ANSWER_TIMEOUT:g} s."))
                    raise self._failed() from None
                raise
            finally:
                self._requests.pop(request, None)
        child = self._children[pid] = Child(pid, pidfd, ours.detach())
        self.loop.call_later(_SPARE_DELAY, self._fork_ahead, limits)
        return child

    def _fork_ahead(self, limits: ChildLimits) -> None:
        """Ask for missing spares with these limits, unless sessions are waiting for children."""
        self._spares[limits] = self._spares.pop(limits, [])  # to the end: used last
        for unused in list(self._spares)[:-_KINDS_OF_SPARES]:
            for child in self._spares.pop(unused):
                child.close()
        waiting = len(self._spares[limits]) + sum(coming == limits for coming, _ in self._coming.values())
        if self._requests:
            return
        with contextlib.suppress(SandboxError):  # the next session then waits for a child of its own
            for _ in range(waiting, _SPARES):
                request, ours = self._request(limits)
                self._coming[request] = (limits, ours)

    def _request(self, limits: ChildLimits) -> tuple[int, socket.socket]:
        """Ask for a child; return the number of the request, and this end of the child's socket."""
        if self._control is None:
            raise self._failed()
        self._count += 1
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            raise SandboxError(f"No socket for a sandbox session: {error}. Raise the limit: ulimit -n.") from error
        with theirs:
            try:
                message = json.dumps({"id": self._count, **asdict(limits)}).encode()
                socket.send_fds(self._control, [message], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise SandboxError(f"The sandbox's zygote does not answer: {error}.") from error
        return self._count, ours

    def _hear(self) -> None:
        assert self._control is not None  # noqa: S101 - otherwise nobody reads it
        try:
            data, fds, _, _ = socket.recv_fds(self._control, _CONTROL, 1)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._fail(SandboxError("The sandbox's zygote died, and its sessions with it."))
            return
        message: dict[str, Any] = json.loads(data)
        if message["t"] == "exit":
            child = self._children.pop(message["pid"], None)
            if child is not None:
                child.status = message["status"]
                child.ended.set()
        elif message["t"] == "failed" or not fds:  # with its socket closed, a child ends by itself
            reason = message.get("error") or "there is no file descriptor left. Raise the limit: ulimit -n"
            self._not_forked(message["id"], SandboxError(f"No process for a sandbox session: {reason}."))
        else:
            self._forked(message["id"], message["pid"], fds[0])

    def _not_forked(self, request: int, error: SandboxError) -> None:
        if request in self._coming:
            _, ours = self._coming.pop(request)
            ours.close()
        reply = self._requests.pop(request, None)
        if reply is not None and not reply.done():
            reply.set_exception(error)

    def _forked(self, request: int, pid: int, pidfd: int) -> None:
        reply = self._requests.pop(request, None)
        if request in self._coming:
            limits, ours = self._coming.pop(request)
            if limits not in self._spares:  # no longer among those used last
                ours.close()
                Child(pid, pidfd, -1).close()
                return
            spare = self._children[pid] = Child(pid, pidfd, ours.detach())
            self._spares[limits].append(spare)
        elif reply is None or reply.done():  # whoever asked has gone
            Child(pid, pidfd, -1).close()
        else:
            reply.set_result((pid, pidfd))


def _started(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, **options)
    except OSError as error:
        raise SandboxUnavailableError(
            f"The sandbox cannot start this process's interpreter, {command[0]!r}: {error.strerror}. Let this user "
            "read and execute it, and the folders above it."
        ) from error


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
        _zygotes[:] = [each for each in _zygotes if each.usable]
        matching = [each for each in _zygotes if each.preload == preload]
        found = next((each for each in matching if each.loop is loop), None)
        if found is None:
            found = next((each for each in matching if each.loop.is_closed()), None)
            if found is None:
                found = Zygote(preload)
                _zygotes.append(found)
            else:
                found._adopt()  # noqa: SLF001 - this module's own
    await found.start()
    return found


@atexit.register
def close_zygotes() -> None:
    """End all zygotes of this process, and everything they have forked."""
    with _lock:
        for each in _zygotes:
            if each.usable:
                each.close()
        _zygotes.clear()


@in_forked_copy
def _forget_zygotes() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it
    _lock = threading.Lock()
    for each in _zygotes:
        each.forget()
    _zygotes.clear()
