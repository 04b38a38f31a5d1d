"""The zygote: a clean Python with everything imported, which forks a locked child for each session.

It hears its host on a SEQPACKET socket: `{"id", "memory", "cpu_seconds", "threads"}` with the session's socket, by
SCM_RIGHTS. It answers `{"t": "forked", "id", "pid"}` with a pidfd of the child, and `{"t": "exit", "pid", "status"}`
when the child ends. No code, no tool and no secret goes through the zygote. When its host ends, the zygote ends, and
its children with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import posix
import select
import signal
import socket
import struct
import sys
from typing import Any

from tinyagent.locked import lock
from tinyagent.locked.seccomp import libc
from tinyagent.sandbox.child import files, preload, session
from tinyagent.sandbox.frames import encode_frame

_CONTROL = 1 << 16
#: The descriptor of a session's socket.
_SESSION = 3
#: Where `struct sigaction` has its flags: behind the handler and 1024 bits of signals.
_SA_FLAGS, _SA_NOCLDSTOP = 8 + 128, 1


def main(control_fd: int) -> None:
    """Serve until the host ends; in a forked child, be its session.

    Args:
        control_fd: The socket to the host. Its first message is JSON: `path` (where packages are found) and
            `preload` (their names).
    """
    fd, limits = _zygote(control_fd)  # returns in a child only, without the zygote's own objects
    _become_session(fd, limits)


def _zygote(control_fd: int) -> tuple[int, dict[str, Any]]:
    control = socket.socket(fileno=control_fd)
    settings = json.loads(control.recv(_CONTROL))
    failed = _prepare(settings["path"], settings["preload"])
    threads = len(os.listdir("/proc/self/task"))
    _tell(control, {"t": "ready", "failed": failed, "threads": threads})
    files.install()
    session.rehearse()
    lock.keep_others_out()
    gc.collect()
    gc.freeze()
    return _Zygote(control).serve()


def _prepare(path: list[str], packages: list[str]) -> dict[str, str]:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload.preload_library()
    sys.path += path
    failed = preload.preload_packages(packages)
    preload.load_time_zones()
    preload.forget_import_path()
    lock.prepare()
    session.prepare()
    os.environ.clear()
    sys.orig_argv[:] = [""]
    return failed


def _tell(control: socket.socket, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
    socket.send_fds(control, [json.dumps(message).encode()], fds)


class _Zygote:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._host = os.pidfd_open(os.getppid())
        self._children: set[int] = set()
        self._pid = os.getpid()

    def serve(self) -> tuple[int, dict[str, Any]]:
        """Fork children until the host ends; in each child, return its socket and its limits."""
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        _hear_of_ends_only()
        watched = [self._control.fileno(), self._host, woken]
        while True:
            ready, _, _ = select.select(watched, [], [])
            if self._host in ready:
                os._exit(0)  # the children die with us
            if woken in ready:
                os.read(woken, 4096)
                self._reap()
            if self._control.fileno() in ready and (session := self._answer()) is not None:
                return session

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._children.discard(pid)
            _tell(self._control, {"t": "exit", "pid": pid, "status": os.waitstatus_to_exitcode(status)})

    def _answer(self) -> tuple[int, dict[str, Any]] | None:
        """Fork a child for a request; in the child, return its socket and its limits, else `None`."""
        data, fds, _, _ = socket.recv_fds(self._control, _CONTROL, 4)
        if not data:
            os._exit(0)
        limits = json.loads(data)
        request = limits.pop("id")
        try:
            pid = os.fork()
        except OSError as error:  # no room for another process: only this session fails
            os.close(fds[0])
            _tell(self._control, {"t": "failed", "id": request, "error": str(error)})
            return None
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.detach()
            return fds[0], {**limits, "parent": self._pid}
        os.close(fds[0])
        self._children.add(pid)
        pidfd = os.pidfd_open(pid)
        _tell(self._control, {"t": "forked", "id": request, "pid": pid}, (pidfd,))
        os.close(pidfd)
        return None


def _hear_of_ends_only() -> None:
    """Have SIGCHLD come when a child ends, not when one is stopped or continued, as happens all the time."""
    action = ctypes.create_string_buffer(256)
    libc().sigaction(signal.SIGCHLD, None, action)
    flags = struct.unpack_from("i", action, _SA_FLAGS)[0]
    struct.pack_into("i", action, _SA_FLAGS, flags | _SA_NOCLDSTOP)
    libc().sigaction(signal.SIGCHLD, action, None)


def _become_session(fd: int, limits: dict[str, Any]) -> None:
    """Lock this forked child, and serve its session until the process ends."""
    try:
        null = posix.open("/dev/null", os.O_RDWR)
        os.dup2(fd, _SESSION)
        for number in (0, 1, 2):
            os.dup2(null, number)
        about = lock.lock(**limits, uid=lock.FIRST_USER + os.getpid(), keep={0, 1, 2, _SESSION})
        session.reseed()
        session.Session(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, _SESSION)).serve(about)
    except BaseException as error:  # noqa: BLE001 - the host is told, as long as it can be
        _say_fatal(error)
    finally:
        os._exit(0)


def _say_fatal(error: BaseException) -> None:
    with contextlib.suppress(BaseException):  # otherwise the host sees only that it ended
        posix.write(_SESSION, encode_frame({"t": "fatal", "e": f"{type(error).__name__}: {error}"[:1000]}))
