"""What the attempts aim at, and the witnesses that would know: files, sockets, a process, shared memory, tools."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

ENV_NAME = "TINYAGENT_HOSTILE_SECRET"
#: What an attempt prints, or has as its value, that got somewhere. No attempt contains it.
MARK = "BREACH!"

#: Where a shared memory or a message queue of POSIX would appear.
POSIX = (Path("/dev/shm/tinyagent-hostile"), Path("/dev/mqueue/tinyagent-hostile"))

_IPC_CREAT, _IPC_RMID, _IPC_STAT, _IPC_NOWAIT = 0o1000, 0, 2, 0o4000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmat.restype = ctypes.c_void_p


class World:
    """Set up by entering it, taken down by leaving it.

    Attributes:
        names: What the attempts know of it.
        secrets: What must not occur in anything that comes from an attempt.
    """

    def __init__(self) -> None:
        self.secrets = {kind: f"{kind}-secret-{secrets.token_hex(16)}" for kind in ("environment", "file", "shared")}
        self.secrets["neighbour"] = f"neighbour-secret-{secrets.token_hex(16)}"
        self.secrets["tool"] = f"tool-secret-{secrets.token_hex(16)}"
        self.names: dict[str, Any] = {}
        self._closing = contextlib.ExitStack()
        self._before: dict[str, Any] = {}

    def __enter__(self) -> World:
        os.environ[ENV_NAME] = self.secrets["environment"]
        self._closing.callback(os.environ.pop, ENV_NAME, None)
        try:
            self._files()
            self._sockets()
            self._process()
            self._shared()
        except BaseException:
            self._closing.close()
            raise
        self.names |= {"ENV_NAME": ENV_NAME, "HOST_PID": os.getpid()}
        self._before = self._state()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def harm(self) -> list[str]:
        """What has changed since it was last asked."""
        now = self._state()
        changed = [
            f"{what}: {self._before[what]!r} became {state!r}"
            for what, state in now.items()
            if state != self._before[what]
        ]
        self._before = now
        return changed

    def leaks(self, text: str) -> list[str]:
        """What the text gives away."""
        found = [f"it got hold of the {kind} secret" for kind, secret in self.secrets.items() if secret in text]
        return [*found, f"it says {text[text.index(MARK) :][:200]!r}"] if MARK in text else found

    # ---- its parts

    def _files(self) -> None:
        place = Path(tempfile.mkdtemp(prefix="hostile-"))
        self._closing.callback(shutil.rmtree, place, ignore_errors=True)
        place.chmod(0o777)
        secret, victim = place / "secret.txt", place / "victim.txt"
        secret.write_text(self.secrets["file"] + "\n")
        victim.write_text("untouched\n")
        victim.chmod(0o666)
        (place / "planted.py").write_text(f"print({MARK!r})\n")
        self._place = place
        self.names |= {"PLACE": str(place), "SECRET_FILE": str(secret), "VICTIM_FILE": str(victim)}

    def _sockets(self) -> None:
        self._listeners: list[socket.socket] = []
        abstract = f"hostile-{secrets.token_hex(8)}"
        path = str(self._place / "listening")
        for name, family, kind, address in (
            ("TCP", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("TCP6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            ("UDP", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            ("UNIX_PATH", socket.AF_UNIX, socket.SOCK_STREAM, path),
            ("ABSTRACT", socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract),
            ("ABSTRACT", socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + abstract),
        ):
            listener = socket.socket(family, kind)
            self._closing.callback(listener.close)
            self.names[name] = 1
            try:
                listener.bind(address)
            except OSError:
                if name == "TCP6":  # a machine without IPv6
                    continue
                raise
            listener.setblocking(False)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            self._listeners.append(listener)
            bound = listener.getsockname()
            self.names[name] = bound[1] if isinstance(bound, tuple) else abstract if name == "ABSTRACT" else bound
        Path(path).chmod(0o777)

    def _process(self) -> None:
        ends_with_us = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._victim = subprocess.Popen(["cat"], start_new_session=True, **ends_with_us)
        self._closing.callback(self._victim.stdin.close)
        self._closing.callback(self._victim.wait)
        self._closing.callback(self._victim.kill)
        self.names["VICTIM_PID"] = self._victim.pid
        while Path(f"/proc/{self._victim.pid}/comm").read_text() != "cat\n":
            time.sleep(0.001)

    def _shared(self) -> None:
        """System V shared memory, semaphores and messages, open to everybody."""
        key = secrets.randbelow(1 << 30) + 1
        secret = self.secrets["shared"].encode()
        memory = _libc.shmget(key, 4096, _IPC_CREAT | 0o666)
        queue = _libc.msgget(key, _IPC_CREAT | 0o666)
        semaphores = _libc.semget(key, 1, _IPC_CREAT | 0o666)
        self.names |= {"SHM_KEY": key, "SHM_ID": memory, "MSG_KEY": key, "MSG_ID": queue, "SEM_ID": semaphores}
        self._ids = {"shared memory": memory, "message queue": queue, "semaphores": semaphores}
        self._closing.callback(_libc.shmctl, memory, _IPC_RMID, None)
        self._closing.callback(_libc.msgctl, queue, _IPC_RMID, None)
        self._closing.callback(_libc.semctl, semaphores, 0, _IPC_RMID)
        at = _libc.shmat(memory, None, 0)
        ctypes.memmove(at, secret, len(secret))
        _libc.shmdt(ctypes.c_void_p(at))
        _libc.msgsnd(queue, (1).to_bytes(8, "little") + secret, len(secret), _IPC_NOWAIT)

    # ---- how it is

    def _state(self) -> dict[str, Any]:
        return {
            "the files": {path.name: self._file(path) for path in sorted(self._place.iterdir())},
            "the sockets": [self._visits(listener) for listener in self._listeners],
            "the process": self._victim_state(),
            "System V": {name: self._stat(name, number) for name, number in self._ids.items()},
            "POSIX": [str(path) for path in POSIX if path.exists()],
            "this process": (os.getpriority(os.PRIO_PROCESS, 0), socket.gethostname(), str(Path.cwd())),
        }

    @staticmethod
    def _file(path: Path) -> tuple[Any, ...]:
        about = path.lstat()
        content = path.read_text() if path.is_file() and about.st_mode & 0o400 else None
        return about.st_mode, about.st_uid, about.st_mtime_ns, about.st_nlink, content and hash(content)

    @staticmethod
    def _visits(listener: socket.socket) -> int:
        """Who has connected or sent something since the last time."""
        try:
            if listener.type == socket.SOCK_DGRAM:
                listener.recv(1)
            else:
                listener.accept()[0].close()
        except BlockingIOError:
            return 0
        return 1

    def _victim_state(self) -> str:
        if self._victim.poll() is not None:
            return f"ended with {self._victim.returncode}"
        fields = Path(f"/proc/{self._victim.pid}/stat").read_text().rpartition(")")[2].split()
        return f"{'stopped' if fields[0] in 'Tt' else 'runs'}, nice {fields[16]}, policy {fields[38]}"

    @staticmethod
    def _stat(name: str, number: int) -> str:
        about = ctypes.create_string_buffer(256)
        call = {"shared memory": _libc.shmctl, "message queue": _libc.msgctl}.get(name)
        gone = call(number, _IPC_STAT, about) if call else _libc.semctl(number, 0, _IPC_STAT, about)
        # of a queue: messages, and who was the last to send and receive
        return "gone" if gone else about.raw[80:104].hex() if name == "message queue" else "there"
