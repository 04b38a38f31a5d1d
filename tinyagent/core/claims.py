"""Claims: whoever works on a run holds a lock beside the store, which the kernel frees when the process dies.

On Linux it is one byte of one file, elsewhere one file for each run. Either lock belongs to what is open, and not to
the process as other locks do: two stores in one process exclude each other, and closing a file frees no other's claim.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from weakref import WeakSet

from tinyagent.core.errors import StoreError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

#: Guards the tables of all claims. It is held over a fork: the copy must close every file that it inherits.
_lock = threading.Lock()
_all: WeakSet[Claims] = WeakSet()


class Claims:
    """The claims that one store object holds.

    Args:
        path: The store's file. The locks are bytes of `<path>-claims`, or files in the folder `<path>-claims.d`.
        one_file: Whether the locks are bytes of one file: open file description locks, which only Linux has.
    """

    def __init__(self, path: str, *, one_file: bool = sys.platform == "linux") -> None:
        self._path = path
        self._one_file = one_file
        self._held: dict[str, int] = {}  # the descriptor that holds each claim; in one file, the same for all
        with _lock:
            _all.add(self)

    def take(self, run: str) -> bool:
        """Claim a run; return `False` where someone else holds it, in this process or in another one.

        Raises:
            StoreError: The lock's file cannot be written, or its file system has no locks.
        """
        name = _name(run)
        with _lock:
            try:
                return name not in self._held and self._take(name)
            except OSError as error:
                raise StoreError(
                    f"The store {self._path!r} failed: its claims cannot be locked: {error}. Its folder must be there "
                    "and be writable, on a disk that knows locks (not every network drive does)."
                ) from error

    def give(self, run: str) -> None:
        """Give back the claim on a run."""
        name = _name(run)
        with _lock:
            descriptor = self._held.pop(name)
            if self._one_file:
                _lock_byte(descriptor, name, fcntl.F_UNLCK)
            elif sys.platform != "win32":
                self._file(name).unlink(missing_ok=True)  # while it is held: see `_take`
            self._close(descriptor)
            if sys.platform == "win32":
                with suppress(OSError):  # another one has opened it
                    self._file(name).unlink()

    def forget(self) -> None:
        """Close what a forked copy has inherited, for a claim stays as long as some process has its file open."""
        for descriptor in {*self._held.values()}:
            os.close(descriptor)
        self._held.clear()

    def _take(self, name: str) -> bool:
        file = self._file(name)
        if not self._one_file:
            file.parent.mkdir(exist_ok=True)
        while name not in self._held:
            shared = next(iter(self._held.values()), None) if self._one_file else None
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666) if shared is None else shared
            try:
                if self._one_file:
                    _lock_byte(descriptor, name, fcntl.F_WRLCK)
                elif sys.platform == "win32":
                    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                else:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._one_file or os.path.samestat(os.fstat(descriptor), file.stat()):
                    self._held[name] = descriptor
            except FileNotFoundError:  # whoever held it has removed it meanwhile
                pass
            except (BlockingIOError, PermissionError):  # another one holds it
                return False
            finally:
                if name not in self._held:
                    self._close(descriptor)
        return True

    def _close(self, descriptor: int) -> None:
        if descriptor not in self._held.values():
            os.close(descriptor)

    def _file(self, name: str) -> Path:
        return Path(f"{self._path}-claims") if self._one_file else Path(f"{self._path}-claims.d", name)


def _name(run: str) -> str:
    return sha256(run.encode(errors="surrogatepass")).hexdigest()


def _lock_byte(descriptor: int, name: str, kind: int) -> None:
    """Lock or unlock the byte of a name: a place, beyond the end of the file, that no other name has."""
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", kind, os.SEEK_SET, int(name[:15], 16), 1, 0))


def _forget() -> None:
    for claims in _all:
        claims.forget()
    _lock.release()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forget)
