"""`os.listdir` and `os.scandir`."""

# ruff: noqa: ARG002 - the arguments are those of the originals

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import Any

from tinyagent.sandbox.child.files.arguments import PATH_OR_NOTHING, about, node_at, takes_descriptors
from tinyagent.sandbox.child.files.nodes import Directory, Node, failure
from tinyagent.sandbox.child.files.tree import tree


class DirEntry:
    """An entry of a directory in memory, like `os.DirEntry`."""

    __module__ = "posix"
    __slots__ = ("_node", "name", "path")

    def __init__(self, name: Any, path: Any, node: Node) -> None:
        self.name = name
        self.path = path
        self._node = node

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether the entry is a directory."""
        return isinstance(self._node, Directory)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether the entry is a file."""
        return stat.S_ISREG(self._node.mode)

    def is_symlink(self) -> bool:
        """Return false: there are no symbolic links in memory."""
        return False

    def is_junction(self) -> bool:
        """Return false: there are no junctions in memory."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return what `os.stat` gives for the entry."""
        if not self._node.links:
            raise failure(errno.ENOENT, self.path)
        return self._node.status()

    def inode(self) -> int:
        """Return the inode number of the entry."""
        return self._node.inode

    def __fspath__(self) -> Any:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"


class ScandirIterator:
    """What `os.scandir` gives: an iterator that can be closed."""

    __module__ = "posix"

    def __init__(self, entries: Iterator[DirEntry]) -> None:
        self._entries = entries

    def __iter__(self) -> ScandirIterator:
        return self

    def __next__(self) -> DirEntry:
        return next(self._entries)

    def __enter__(self) -> ScandirIterator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration."""
        self._entries = iter(())


@takes_descriptors
def _listdir(path: Any = None) -> list[Any]:
    entries = _entries("listdir", "." if path is None else path)
    return [os.fsencode(name) for name, _ in entries] if _is_bytes(path) else [name for name, _ in entries]


@takes_descriptors
def _scandir(path: Any = None) -> ScandirIterator:
    path = "." if path is None else path
    entries = _entries("scandir", path)
    if isinstance(path, int):
        return ScandirIterator(DirEntry(name, name, node) for name, node in entries)
    folder = os.path.join(path, b"" if _is_bytes(path) else "")
    if isinstance(folder, bytes):
        entries = [(os.fsencode(name), node) for name, node in entries]
    return ScandirIterator(DirEntry(name, folder + name, node) for name, node in entries)


def _entries(call: str, path: Any) -> list[tuple[Any, Node]]:
    if isinstance(path, int):
        tree.opened(path)  # a closed descriptor fails here, where no error names it
    with about(path):
        node = node_at(call, path, kinds=PATH_OR_NOTHING)
        if not isinstance(node, Directory):
            raise failure(errno.ENOTDIR)
        return list(node.entries.items())


def _is_bytes(path: Any) -> bool:
    return path is not None and not isinstance(path, int) and isinstance(os.fspath(path), bytes)
