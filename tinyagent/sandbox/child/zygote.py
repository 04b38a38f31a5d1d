"""The zygote: a clean Python with everything imported, which forks a locked child for each session.

It hears its host on a SEQPACKET socket: `{"id", "memory", "cpu_seconds", "threads"}` with the session's socket, by
SCM_RIGHTS. It answers `{"t": "forked", "id", "pid"}` with a pidfd of the child, and `{"t": "exit", "pid", "status"}`
when that ends. No code, no tool and no secret goes through it. When its host ends it ends, and its children with it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import posix
import select
import signal
import socket
import sys
from typing import Any

from tinyagent.sandbox.child import files, lock, preload, session
from tinyagent.sandbox.values import encode_frame

_CONTROL = 1 << 16
#: Users of their own for the sessions of a root zygote: far from any that are in use.
_FIRST_USER = 1_879_048_192


def main(control_fd: int, host: int, config: str) -> None:
    """Serve until the host ends.

    Args:
        control_fd: The socket to the host.
        host: The host's process.
        config: JSON: `path` (where packages are found) and `preload` (their names).
    """
    control = socket.socket(fileno=control_fd)
    settings = json.loads(config)
    failed = _prepare(settings["path"], settings["preload"])
    threads = len(os.listdir("/proc/self/task"))
    _tell(control, {"t": "ready", "failed": failed, "threads": threads})
    files.install()
    lock.keep_others_out()
    gc.collect()
    gc.freeze()
    _Zygote(control, host).serve()


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
    def __init__(self, control: socket.socket, host: int) -> None:
        self._control = control
        self._host = os.pidfd_open(host)
        self._children: set[int] = set()
        self._pid = os.getpid()

    def serve(self) -> None:
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        watched = [self._control.fileno(), self._host, woken]
        while True:
            ready, _, _ = select.select(watched, [], [])
            if self._host in ready:
                os._exit(0)  # the children die with us
            if woken in ready:
                os.read(woken, 4096)
                self._reap()
            if self._control.fileno() in ready:
                self._answer()

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._children.discard(pid)
            _tell(self._control, {"t": "exit", "pid": pid, "status": os.waitstatus_to_exitcode(status)})

    def _answer(self) -> None:
        data, fds, _, _ = socket.recv_fds(self._control, _CONTROL, 4)
        if not data:
            os._exit(0)
        request = json.loads(data)
        pid = os.fork()
        if pid == 0:
            self._become_session(fds[0], request)
        os.close(fds[0])
        self._children.add(pid)
        pidfd = os.pidfd_open(pid)
        _tell(self._control, {"t": "forked", "id": request["id"], "pid": pid}, (pidfd,))
        os.close(pidfd)

    def _become_session(self, fd: int, request: dict[str, Any]) -> None:
        """What a forked child does, to its end."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            parent = self._pid
            null = posix.open("/dev/null", os.O_RDWR)
            os.dup2(fd, 3)
            for number in (0, 1, 2):
                os.dup2(null, number)
            self._control.detach()
            about = lock.lock(
                memory=request["memory"],
                cpu_seconds=request["cpu_seconds"],
                threads=request["threads"],
                uid=_FIRST_USER + os.getpid(),
                parent=parent,
                keep={0, 1, 2, 3},
            )
            request.clear()
            session.reseed()
            session.Session(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 3)).serve(about)
        except BaseException as error:  # noqa: BLE001 - the host is told, as long as it can be
            _say_fatal(error)
        finally:
            os._exit(0)


def _say_fatal(error: BaseException) -> None:
    with contextlib.suppress(BaseException):  # otherwise the host sees only that it ended
        posix.write(3, encode_frame({"t": "fatal", "e": f"{type(error).__name__}: {error}"[:1000]}))
