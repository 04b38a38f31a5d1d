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
from tinyagent.sandbox.child.files.nodes import File, failure
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
def _isatty(opened: OpenFile) -> bool:
    return False


@on_descriptor
def _get_terminal_size(opened: OpenFile) -> NoReturn:
    raise failure(errno.ENOTTY)


@on_descriptor
def _ttyname(opened: OpenFile) -> NoReturn:
    raise failure(errno.ENOTTY)


@on_descriptor
def _get_blocking(opened: OpenFile) -> bool:
    return True


@on_descriptor
def _get_inheritable(opened: OpenFile) -> bool:
    return False


@on_descriptor
def _posix_fallocate(opened: OpenFile, offset: int, length: int) -> None:
    file = opened.file(writing=True)
    if offset < 0 or length <= 0:
        raise failure(errno.EINVAL)
    file.resize(max(file.size, offset + length))


def _does_nothing(name: str) -> None:
    def accept(opened: OpenFile, *_: Any) -> None:
        """Do nothing: nothing is written later, shared or owned by another."""

    accept.__name__ = name
    on_descriptor(accept)


for _name in ("fsync", "fdatasync", "fchown", "set_blocking", "set_inheritable", "posix_fadvise", "lockf"):
    _does_nothing(_name)


@replaces
def _sendfile(out_fd: int, in_fd: int, offset: Any, count: int, *more: Any, **options: Any) -> int:
    if is_ours(out_fd) and is_ours(in_fd):
        return _copy(tree.opened(in_fd), tree.opened(out_fd), count, offset)
    return posix.sendfile(out_fd, in_fd, offset, count, *more, **options)


@replaces
def _copy_file_range(src: int, dst: int, count: int, offset_src: Any = None, offset_dst: Any = None) -> int:
    if is_ours(src) and is_ours(dst):
        return _copy(tree.opened(src), tree.opened(dst), count, offset_src, offset_dst)
    return posix.copy_file_range(src, dst, count, offset_src, offset_dst)


def _copy(source: OpenFile, target: OpenFile, count: int, start: int | None, at: int | None = None) -> int:
    return target.write(source.read(count, start), at)


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
def _fcntl(opened: OpenFile, command: int, argument: Any = 0) -> Any:
    return opened.flags if command == fcntl.F_GETFL else 0


@_controls
def _ioctl(opened: OpenFile, request: int, *_: Any) -> Any:
    # pathlib copies by itself when it hears that copies cannot be shared
    raise failure(errno.EOPNOTSUPP if isinstance(opened.node, File) else errno.ENOTTY)
