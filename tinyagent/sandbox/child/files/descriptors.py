"""The functions of `os` and `fcntl` that take a descriptor."""

# ruff: noqa: ARG001 - the arguments are those of the originals

from __future__ import annotations

import errno
import fcntl
import operator
import os
import posix
from collections.abc import Callable
from typing import Any, NoReturn

from tinyagent.sandbox.child.files.arguments import on_descriptor, replaces
from tinyagent.sandbox.child.files.nodes import failure
from tinyagent.sandbox.child.files.tree import OpenFile, is_ours, tree

#: What replaces the functions of `fcntl`, by name.
CONTROLS: dict[str, Callable[..., Any]] = {}


@replaces
def _close(fd: int) -> None:
    if not is_ours(fd):
        posix.close(fd)
    elif tree.descriptors.pop(fd, None) is None:
        raise failure(errno.EBADF)


@on_descriptor
def _read(opened: OpenFile, length: int) -> bytes:
    return opened.read(operator.index(length))


@on_descriptor
def _write(opened: OpenFile, data: Any) -> int:
    return opened.write(data)


@on_descriptor
def _pread(opened: OpenFile, length: int, offset: int) -> bytes:
    return opened.read(operator.index(length), operator.index(offset))


@on_descriptor
def _pwrite(opened: OpenFile, data: Any, offset: int) -> int:
    return opened.write(data, operator.index(offset))


@on_descriptor
def _lseek(opened: OpenFile, position: int, whence: int) -> int:
    return opened.seek(position, whence)


@on_descriptor
def _fstat(opened: OpenFile) -> os.stat_result:
    return opened.node.status()


@on_descriptor
def _ftruncate(opened: OpenFile, length: int) -> None:
    opened.truncate(length)


@on_descriptor
def _fchmod(opened: OpenFile, mode: int) -> None:
    opened.node.set_mode(operator.index(mode))


@on_descriptor
def _fchdir(opened: OpenFile) -> None:
    tree.cwd = opened.directory()


@on_descriptor
def _dup(opened: OpenFile) -> int:
    return tree.assign(opened)


@on_descriptor
def _fsync(opened: OpenFile) -> None:
    """Do nothing: nothing is written later."""


@on_descriptor
def _fdatasync(opened: OpenFile) -> None:
    """Do nothing: nothing is written later."""


@on_descriptor
def _sendfile(opened: OpenFile, *_: Any, **__: Any) -> NoReturn:
    raise failure(errno.ENOTSOCK)  # whoever copies then reads and writes


@on_descriptor
def _copy_file_range(opened: OpenFile, *_: Any, **__: Any) -> NoReturn:
    raise failure(errno.EXDEV)  # likewise


def _controls(function: Callable[..., Any]) -> None:
    """Have the function `_name` replace `fcntl.name` for our descriptors and for files that have them."""
    name = function.__name__.lstrip("_")
    original = getattr(fcntl, name)

    def call(fd: Any, *args: Any) -> Any:
        number = fd if isinstance(fd, int) or not hasattr(fd, "fileno") else fd.fileno()
        return function(tree.opened(number), *args) if is_ours(number) else original(fd, *args)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = original.__doc__
    CONTROLS[name] = call


@_controls
def _flock(opened: OpenFile, operation: int) -> None:
    """Do nothing: nobody else has the file."""


@_controls
def _lockf(opened: OpenFile, *_: int) -> None:
    """Do nothing: nobody else has the file."""


@_controls
def _ioctl(opened: OpenFile, *_: Any) -> NoReturn:
    raise failure(errno.EOPNOTSUPP)  # pathlib copies by itself when it hears that copies cannot be shared
