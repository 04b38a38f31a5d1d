"""The zygote: a clean Python with everything imported, which forks a locked child for each session.

Its standard input is a SEQPACKET socket to its host, which asks for a child by `{"id", "memory", "cpu_seconds",
"threads"}` with the session's socket, by SCM_RIGHTS. The zygote answers `{"t": "forked", "id", "pid"}` with a pidfd of
the child, or `{"t": "failed", "id", "error"}`, and `{"t": "exit", "id", "status"}` when the child ends. No code, no
tool and no secret goes through the zygote. When its host ends, the zygote ends, and its children with it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import posix
import resource
import select
import signal
import socket
import sys
from typing import Any

from tinyagent.locked import lock
from tinyagent.sandbox.child import files, preload, session
from tinyagent.sandbox.frames import encode_frame

_CONTROL = 1 << 16
#: Blocks run before the first fork: until caches are filled and code is specialised, which all children then share.
_REHEARSALS = 10


def main() -> None:
    """Serve until the host ends; in a forked child, be its session.

    The first message of the host is JSON: `path` (where packages are found) and `preload` (their names).
    """
    place, _ = socket.socketpair()  # first of all, so that sessions have the same descriptor everywhere
    control = socket.socket(fileno=0)
    settings = json.loads(control.recv(_CONTROL))
    failed = _prepare(settings["path"], settings["preload"])
    threads = len(os.listdir("/proc/self/task"))
    _tell(control, {"t": "ready", "failed": failed, "threads": threads})
    files.install()
    served = session.Session(place)  # made before the fork: to make it later would copy a page of memory at every step
    for _ in range(_REHEARSALS):
        served.rehearse()
    lock.keep_others_out()
    gc.collect()
    gc.freeze()
    fd, limits = _forked(control)
    try:
        null = posix.open("/dev/null", os.O_RDWR)
        os.dup2(fd, place.fileno())
        for number in (0, 1, 2):
            os.dup2(null, number)
        about = lock.lock(**limits, uid=lock.FIRST_USER + os.getpid(), keep={0, 1, 2, place.fileno()})
        session.reseed()
        served.serve(about)
    except BaseException as error:  # noqa: BLE001 - the host is told, as long as it can be
        with contextlib.suppress(BaseException):  # otherwise it sees only that the process ended
            text = f"{type(error).__name__}: {error}"[:1000]
            posix.write(place.fileno(), encode_frame({"t": "fatal", "e": text}))
    finally:
        os._exit(0)


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
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every child takes one
    return failed


def _tell(control: socket.socket, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
    socket.send_fds(control, [json.dumps(message).encode()], fds)


def _forked(control: socket.socket) -> tuple[int, dict[str, Any]]:
    """Fork children until the host ends; in each child, return its socket and how it is locked."""
    host, own = os.pidfd_open(os.getppid()), os.getpid()
    children: dict[int, tuple[int, int]] = {}  # requests and process ids, by descriptors that can be read at the end
    watched = select.epoll()
    watched.register(host, select.EPOLLIN)
    watched.register(control, select.EPOLLIN)
    while True:
        for ready, _ in watched.poll():
            if ready == host:
                os._exit(0)  # the children die with us
            elif ready in children:
                watched.unregister(ready)  # closing is not enough while a child that was just forked has it, too
                os.close(ready)
                request, pid = children.pop(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                _tell(control, {"t": "exit", "id": request, "status": status})
                continue
            data, fds, _, _ = socket.recv_fds(control, _CONTROL, 1)
            if not data:
                os._exit(0)
            limits = json.loads(data)
            request = limits.pop("id")
            try:
                pid = os.fork()
            except OSError as error:  # no room for another process: only this session fails
                _tell(control, {"t": "failed", "id": request, "error": str(error)})
            else:
                if not pid:
                    return fds[0], {**limits, "parent": own}
                pidfd = os.pidfd_open(pid)
                children[pidfd] = request, pid
                watched.register(pidfd, select.EPOLLIN)
                _tell(control, {"t": "forked", "id": request, "pid": pid}, (pidfd,))
            os.close(fds[0])
