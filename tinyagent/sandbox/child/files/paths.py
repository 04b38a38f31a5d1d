"""The functions of `os` that take a path."""

# ruff: noqa: ARG001 - the arguments are those of the originals

from __future__ import annotations

import errno
import math
import operator
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from tinyagent.sandbox.child.files.arguments import (
    PATH,
    about,
    node_at,
    path_text,
    place_at,
    replaces,
    takes_descriptors,
)
from tinyagent.sandbox.child.files.nodes import Directory, File, failure
from tinyagent.sandbox.child.files.tree import Place, as_offset, tree

_NOT_GIVEN: Any = object()


@takes_descriptors
def _stat(path: Any, *, dir_fd: Any = None, follow_symlinks: bool = True) -> os.stat_result:
    with about(path):
        return node_at("stat", path, dir_fd).status()


@replaces
def _lstat(path: Any, *, dir_fd: Any = None) -> os.stat_result:
    with about(path):
        return node_at("lstat", path, dir_fd, kinds=PATH).status()


@replaces
def _access(
    path: Any, mode: int, *, dir_fd: Any = None, effective_ids: bool = False, follow_symlinks: bool = True
) -> bool:
    try:
        node = node_at("access", path, dir_fd, kinds=PATH)
    except OSError:
        return False
    runs = isinstance(node, Directory) or node.mode & 0o111 != 0
    return not mode & ~(os.R_OK | os.W_OK | os.X_OK) and (runs or not mode & os.X_OK)


@takes_descriptors
def _chmod(path: Any, mode: int, *, dir_fd: Any = None, follow_symlinks: bool = True) -> None:
    with about(path):
        node_at("chmod", path, dir_fd).set_mode(operator.index(mode))


@takes_descriptors
def _chown(path: Any, uid: int, gid: int, *, dir_fd: Any = None, follow_symlinks: bool = True) -> None:
    with about(path):  # files belong to the user of the session, whatever is asked for
        node_at("chown", path, dir_fd)


@replaces
def _lchown(path: Any, uid: int, gid: int) -> None:
    with about(path):
        node_at("lchown", path, kinds=PATH)


@takes_descriptors
def _utime(
    path: Any, times: Any = None, *, ns: Any = _NOT_GIVEN, dir_fd: Any = None, follow_symlinks: bool = True
) -> None:
    if times is not None and ns is not _NOT_GIVEN:
        raise ValueError("utime: you may specify either 'times' or 'ns' but not both")
    if times is not None and not _is_pair(times):
        raise TypeError("utime: 'times' must be either a tuple of two ints or None")
    if ns is not _NOT_GIVEN and not _is_pair(ns):
        raise TypeError("utime: 'ns' must be a tuple of two ints")
    with about(*[path] * (sys.version_info >= (3, 13))):  # before 3.13, the error named no path
        node = node_at("utime", path, dir_fd)
    node.touch()
    if ns is not _NOT_GIVEN:
        node.accessed, node.modified = map(operator.index, ns)
    elif times is not None:
        node.accessed, node.modified = map(_nanoseconds, times)
    else:
        node.accessed = node.modified


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2


def _nanoseconds(time: Any) -> int:
    if isinstance(time, float):
        fraction, whole = math.modf(time)
        return int(whole) * 10**9 + math.floor(fraction * 1e9)
    return operator.index(time) * 10**9


@takes_descriptors
def _truncate(path: Any, length: int) -> None:
    with about(path):
        length = as_offset(length)
        node = node_at("truncate", path)
        if not isinstance(node, File):
            raise failure(errno.EISDIR)
        if length < 0:
            raise failure(errno.EINVAL)
        node.resize(length)


@replaces
def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: Any = None) -> int:
    with about(path):
        return tree.open(place_at("open", path, dir_fd), flags, mode)


@replaces
def _mkdir(path: Any, mode: int = 0o777, *, dir_fd: Any = None) -> None:
    with about(path):
        place = place_at("mkdir", path, dir_fd)
        made = Directory(mode & 0o1777 & ~tree.umask)
        if place.node is not None or place.directory.put(place.name, made) is not made:
            raise failure(errno.EEXIST)


@replaces
def _rmdir(path: Any, *, dir_fd: Any = None) -> None:
    with about(path):
        place = place_at("rmdir", path, dir_fd)
        if place.special:
            raise failure({".": errno.EINVAL, "..": errno.ENOTEMPTY}.get(place.special, errno.EBUSY))
        node = place.found()
        if not isinstance(node, Directory):
            raise failure(errno.ENOTDIR)
        if node.entries:
            raise failure(errno.ENOTEMPTY)
        place.directory.drop(place.name)


def _remover(call: str) -> Callable[..., None]:
    def remove(path: Any, *, dir_fd: Any = None) -> None:
        with about(path):
            place = place_at(call, path, dir_fd)
            if isinstance(place.found(), Directory):
                raise failure(errno.EISDIR)
            place.directory.drop(place.name)

    remove.__name__ = call
    return replaces(remove)


def _renamer(call: str) -> Callable[..., None]:
    def rename(src: Any, dst: Any, *, src_dir_fd: Any = None, dst_dir_fd: Any = None) -> None:
        with about(src, dst):
            source = place_at(call, src, src_dir_fd, name="src")
            _move(source, place_at(call, dst, dst_dir_fd, name="dst"))

    rename.__name__ = call
    return replaces(rename)


for _name in ("remove", "unlink"):
    _remover(_name)
for _name in ("rename", "replace"):
    _renamer(_name)


def _move(source: Place, target: Place) -> None:
    if source.special or target.special:
        raise failure(errno.EBUSY)
    node = source.found()
    if isinstance(node, Directory):
        if _is_inside(target.directory, node):
            raise failure(errno.EINVAL)
    elif target.slash:
        raise failure(errno.ENOTDIR)
    if target.node is node:
        return
    if target.node is not None:
        if isinstance(target.node, Directory) and _is_inside(source.directory, target.node):
            raise failure(errno.ENOTEMPTY)
        _check_replaceable(node, target.node)
    if not target.directory.links:
        raise failure(errno.ENOENT)
    target.directory.replace(target.name, node)
    source.directory.drop(source.name)


def _check_replaceable(node: object, there: object) -> None:
    if not isinstance(there, Directory):
        if isinstance(node, Directory):
            raise failure(errno.ENOTDIR)
    elif not isinstance(node, Directory):
        raise failure(errno.EISDIR)
    elif there.entries:
        raise failure(errno.ENOTEMPTY)


def _is_inside(directory: Directory, outer: Directory) -> bool:
    while directory is not outer:
        if directory.parent is directory:
            return False
        directory = directory.parent
    return True


@replaces
def _link(src: Any, dst: Any, *, src_dir_fd: Any = None, dst_dir_fd: Any = None, follow_symlinks: bool = True) -> None:
    with about(src, dst):
        node = place_at("link", src, src_dir_fd, name="src").found()
        target = place_at("link", dst, dst_dir_fd, name="dst")
        if target.node is not None:
            raise failure(errno.EEXIST)
        if isinstance(node, Directory):
            raise failure(errno.EPERM)
        if target.slash:
            raise failure(errno.ENOENT)
        target.directory.put(target.name, node)


@replaces
def _symlink(src: Any, dst: Any, target_is_directory: bool = False, *, dir_fd: Any = None) -> NoReturn:
    with about(src, dst):
        path_text(src, "symlink", name="src")
        place = place_at("symlink", dst, dir_fd, name="dst")
        raise failure(errno.EPERM if place.node is None else errno.EEXIST)  # as on a file system without links


@replaces
def _readlink(path: Any, *, dir_fd: Any = None) -> NoReturn:
    with about(path):
        node_at("readlink", path, dir_fd, kinds=PATH)
        raise failure(errno.EINVAL)


@takes_descriptors
def _chdir(path: Any) -> None:
    with about(path):
        node = node_at("chdir", path)
        if not isinstance(node, Directory):
            raise failure(errno.ENOTDIR)
    tree.cwd = node


@replaces
def _getcwd() -> str:
    return tree.cwd.path()


@replaces
def _getcwdb() -> bytes:
    return os.fsencode(tree.cwd.path())


@replaces
def _umask(mask: int) -> int:
    before, tree.umask = tree.umask, operator.index(mask) & 0o777
    return before


@takes_descriptors
def _listxattr(path: Any = None, *, follow_symlinks: bool = True) -> list[str]:
    with about(path):
        node_at("listxattr", "." if path is None else path)
    return []


def _no_attribute(call: str, code: int) -> Callable[..., NoReturn]:
    def refuse(path: Any, attribute: Any, *_: Any, follow_symlinks: bool = True) -> NoReturn:
        with about(path):
            node_at(call, path)
            raise failure(code)

    refuse.__name__ = call
    return takes_descriptors(refuse)


for _name, _code in (("getxattr", errno.ENODATA), ("removexattr", errno.ENODATA), ("setxattr", errno.ENOTSUP)):
    _no_attribute(_name, _code)
