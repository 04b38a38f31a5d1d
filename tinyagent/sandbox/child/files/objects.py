"""`open` and `io.FileIO` for files in memory: buffers and text are those of `io`, on top of a raw file of our own."""

from __future__ import annotations

import _io
import errno
import io
import operator
import os
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

from tinyagent.sandbox.child.files.arguments import about
from tinyagent.sandbox.child.files.nodes import Directory, failure
from tinyagent.sandbox.child.files.tree import OpenFile, is_ours, tree

_FLAGS = {
    "r": os.O_RDONLY,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "x": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}
_Opener: TypeAlias = Callable[[Any, int], int]


class FileIO(io.RawIOBase):
    """A raw file in memory, like `io.FileIO`; for a descriptor of the kernel, an `io.FileIO` is made instead."""

    __module__ = "_io"
    name: Any
    _fd = -1
    _flags = 0
    _closefd = False
    _created = False

    def __new__(cls, file: Any, mode: str = "r", closefd: bool = True, opener: _Opener | None = None) -> Any:
        """Return a raw file in memory, or an `io.FileIO` for a descriptor of the kernel."""
        return _io.FileIO(file, mode, closefd, opener) if _is_foreign(file) else super().__new__(cls)

    def __init__(self, file: Any, mode: str = "r", closefd: bool = True, opener: _Opener | None = None) -> None:
        flags = _raw_flags(mode)
        if isinstance(file, int):
            self._fd = file
        elif not closefd:
            raise ValueError("Cannot use closefd=False with file name")
        else:
            self._fd = _open(file, flags, opener)
            self._closefd = True
        if isinstance(self._opened.node, Directory):
            self.close()
            raise failure(errno.EISDIR, os.fspath(file) if hasattr(file, "__fspath__") else file)
        self._flags = flags
        self._closefd = closefd
        self._created = "x" in mode
        self.name = file
        if "a" in mode:
            self._opened.seek(0, os.SEEK_END)

    @property
    def _opened(self) -> OpenFile:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return tree.opened(self._fd)

    def _reading(self) -> OpenFile:
        if not self.readable():
            raise io.UnsupportedOperation("File not open for reading")
        return self._opened

    def _writing(self) -> OpenFile:
        if not self.writable():
            raise io.UnsupportedOperation("File not open for writing")
        return self._opened

    def readable(self) -> bool:
        """Return whether the file was opened for reading."""
        return self._opened is not None and not self._flags & os.O_WRONLY

    def writable(self) -> bool:
        """Return whether the file was opened for writing."""
        return self._opened is not None and bool(self._flags & (os.O_WRONLY | os.O_RDWR))

    def seekable(self) -> bool:
        """Return true: every file in memory is seekable."""
        return self._opened is not None

    def isatty(self) -> bool:
        """Return false: no file in memory is a terminal."""
        return self._opened is None

    def fileno(self) -> int:
        """Return the descriptor of the file."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def read(self, size: int | None = -1) -> bytes:
        """Return at most `size` bytes, or all that follow."""
        opened = self._reading()
        return self.readall() if size is None or size < 0 else opened.read(size)

    def readall(self) -> bytes:
        """Return all bytes that follow."""
        opened = self._opened
        return opened.read(max(0, opened.node.size - opened.position))

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the file goes, and return the number of bytes."""
        opened = self._reading()
        with memoryview(buffer).cast("B") as view:
            data = opened.read(len(view))
            view[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        """Write all the data, and return the number of bytes."""
        return self._writing().write(data)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, and return it."""
        return self._opened.seek(position, whence)

    def tell(self) -> int:
        """Return the position at which the file stands."""
        return self._opened.position

    def truncate(self, size: int | None = None) -> int:
        """Cut the file at its position, or at `size` bytes, and return the new size."""
        opened = self._writing()
        size = opened.position if size is None else operator.index(size)
        opened.truncate(size)
        return size

    def close(self) -> None:
        """Close the file, and its descriptor unless that belongs to another."""
        if self.closed:
            return
        super().close()
        if self._closefd:
            os.close(self._fd)

    @property
    def closefd(self) -> bool:
        """Whether the descriptor is closed with the file."""
        return self._closefd

    @property
    def mode(self) -> str:
        """The mode, as `io.FileIO.mode` tells it: less than was asked for."""
        kind = "x" if self._created else "a" if self._flags & os.O_APPEND else "w" if self._flags & os.O_WRONLY else "r"
        return kind + "b" + "+" * bool(self._flags & os.O_RDWR)

    def __repr__(self) -> str:
        if self.closed:
            return "<_io.FileIO [closed]>"
        return f"<_io.FileIO name={self.name!r} mode={self.mode!r} closefd={self.closefd}>"

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("cannot pickle '_io.FileIO' object")

    def _dealloc_warn(self, source: Any) -> None:
        """Warn that the file was not closed; buffers of `io` call this."""
        if self._closefd and not self.closed:
            warnings.warn(f"unclosed file {source!r}", ResourceWarning, stacklevel=2, source=self)

    def __del__(self) -> None:
        self._dealloc_warn(self)
        super().__del__()


FileIO.register(_io.FileIO)


def open_file(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: _Opener | None = None,
) -> Any:
    """Open a file of the in-memory file system, like the built-in `open`."""
    if not isinstance(file, int):
        file = os.fspath(file) if hasattr(file, "__fspath__") else file
    elif _is_foreign(file):
        return _io.open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    kind, updating, binary = _parts(mode)
    if binary:
        _check_binary(buffering, encoding, errors, newline)
    raw = FileIO(file, kind + updating, closefd, opener)
    try:
        return _wrapped(raw, mode, buffering, (encoding, errors, newline))
    except BaseException:
        raw.close()
        raise


def open_code(path: str) -> Any:
    """Open a file of code in the in-memory file system, like `io.open_code`."""
    return open_file(path, "rb")


open_file.__name__ = open_file.__qualname__ = "open"


def _is_foreign(file: Any) -> bool:
    return isinstance(file, int) and not is_ours(file)


def _open(file: Any, flags: int, opener: _Opener | None) -> int:
    text = os.fsdecode(file)
    if "\0" in text:
        raise ValueError("embedded null byte")
    flags |= os.O_CLOEXEC
    if opener is None:
        with about(file):
            return tree.open(tree.place(text), flags, 0o666)
    descriptor = opener(file, flags)
    if not isinstance(descriptor, int):
        raise TypeError("expected integer from opener")
    if descriptor < 0:
        raise ValueError(f"opener returned {descriptor}")
    return descriptor


def _raw_flags(mode: str) -> int:
    if set(mode) - set("rwxab+"):
        raise ValueError(f"invalid mode: {mode}")
    kinds = [letter for letter in mode if letter in _FLAGS]
    if len(kinds) != 1 or mode.count("+") > 1:
        raise ValueError("Must have exactly one of create/read/write/append mode and at most one plus")
    flags = _FLAGS[kinds[0]]
    return flags & ~os.O_WRONLY | os.O_RDWR if "+" in mode else flags


def _parts(mode: Any) -> tuple[str, str, bool]:
    if not isinstance(mode, str):
        kind = "None" if mode is None else type(mode).__name__
        raise TypeError(f"open() argument 'mode' must be str, not {kind}")
    if set(mode) - set("rwxabt+") or len(set(mode)) < len(mode):
        raise ValueError(f"invalid mode: {mode!r}")
    if "t" in mode and "b" in mode:
        raise ValueError("can't have text and binary mode at once")
    kind = "".join(letter for letter in mode if letter in _FLAGS)
    if len(kind) > 1:
        raise ValueError("must have exactly one of create/read/write/append mode")
    return kind, "+" * ("+" in mode), "b" in mode


def _check_binary(buffering: int, encoding: object, errors: object, newline: object) -> None:
    for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
        if value is not None:
            article = "an" if name[0] == "e" else "a"
            raise ValueError(f"binary mode doesn't take {article} {name} argument")
    if buffering == 1:
        text = "line buffering (buffering=1) isn't supported in binary mode, the default buffer size will be used"
        warnings.warn(text, RuntimeWarning, stacklevel=3)


def _wrapped(raw: FileIO, mode: str, buffering: int, text: tuple[str | None, str | None, str | None]) -> Any:
    """Return a raw file inside the buffer and the text layer that the mode asks for."""
    binary = "b" in mode
    if buffering == 0:
        if binary:
            return raw
        raise ValueError("can't have unbuffered text I/O")
    kind: Any = io.BufferedRandom if "+" in mode else io.BufferedReader if "r" in mode else io.BufferedWriter
    buffer = kind(raw, buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE)
    if binary:
        return buffer
    wrapper = io.TextIOWrapper(buffer, *text, line_buffering=buffering == 1)
    wrapper.mode = mode  # type: ignore[misc]
    return wrapper
