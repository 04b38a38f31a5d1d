"""The functions of `os` that take a path."""

# ruff: noqa: ARG001 - the arguments are those of the originals

from __future__ import annotations

import errno
import math
import operator
import os
from collections.abc import Callable
from typing import Any, NoReturn

from tinyagent.sandbox.child.files.arguments import (
    PATH,
    about,
    node_at,
    place_at,
    replaces,
    takes_descriptors,
)
from tinyagent.sandbox.child.files.nodes import Directory, failure
from tinyagent.sandbox.child.files.tree import UMASK, OpenFile, Place, tree


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
def _utime(path: Any, times: Any = None, *, ns: Any = None, dir_fd: Any = None, follow_symlinks: bool = True) -> None:
    with about(path):
        node = node_at("utime", path, dir_fd)
    node.touch()
    if ns is not None:
        node.accessed, node.modified = map(operator.index, ns)
    elif times is not None:
        node.accessed, node.modified = map(_nanoseconds, times)
    else:
        node.accessed = node.modified


def _nanoseconds(time: Any) -> int:
    if isinstance(time, float):
        fraction, whole = math.modf(time)
        return int(whole) * 10**9 + math.floor(fraction * 1e9)
    return operator.index(time) * 10**9


@takes_descriptors
def _truncate(path: Any, length: int) -> None:
    with about(path):
        OpenFile(node_at("truncate", path), os.O_WRONLY).truncate(length)


@replaces
def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: Any = None) -> int:
    with about(path):
        return tree.open(place_at("open", path, dir_fd), flags, mode)


@replaces
def _mkdir(path: Any, mode: int = 0o777, *, dir_fd: Any = None) -> None:
    with about(path):
        place = place_at("mkdir", path, dir_fd)
        made = Directory(mode & 0o1777 & ~UMASK)
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


_mask = 0o022


@replaces
def _umask(mask: int) -> int:
    """Set the mask, and return the one before. It changes no mode: the files have one user."""
    global _mask
    before, _mask = _mask, operator.index(mask) & 0o777
    return before


@takes_descriptors
def _listxattr(path: Any = None, *, follow_symlinks: bool = True) -> list[str]:
    with about(path):
        node_at("listxattr", "." if path is None else path)
    return []


def _refuse(call: str, paths: int) -> None:
    def refuse(*args: Any, **_: Any) -> NoReturn:
        """Refuse, as a file system without such a thing does."""
        with about(*args[:paths]):
            raise failure(errno.EPERM)

    refuse.__name__ = call
    replaces(refuse)


#: What there is not: links, owners and attributes. Copies and archives go on without.
for _name in ("link", "symlink"):
    _refuse(_name, paths=2)
for _name in ("readlink", "chown", "lchown", "getxattr", "setxattr", "removexattr"):
    _refuse(_name, paths=1)
