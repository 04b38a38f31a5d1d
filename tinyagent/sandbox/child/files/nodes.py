"""What the file system in memory consists of: files and directories."""

from __future__ import annotations

import errno
import itertools
import math
import os
import stat
import time
from typing import Any

#: Bytes of a block, as a disk would have them.
BLOCK = 4096
_DEVICE = 1
_NAME_MAX = 255

_inodes = itertools.count(2)


def failure(code: int, *paths: Any) -> OSError:
    """Return the error that CPython raises for an error number, about one path or two, if any."""
    text = os.strerror(code)
    return OSError(code, text, paths[0], None, *paths[1:]) if paths else OSError(code, text)


class Node:
    """What a directory has under a name: a file or a directory."""

    __slots__ = ("accessed", "changed", "inode", "links", "mode", "modified")

    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.inode = next(_inodes)
        self.links = 0
        self.accessed = self.modified = self.changed = time.time_ns()

    @property
    def size(self) -> int:
        """Bytes, as `os.stat_result.st_size` tells them."""
        return BLOCK

    def touch(self) -> None:
        """Note that the content has changed now."""
        self.modified = self.changed = time.time_ns()

    def set_mode(self, mode: int) -> None:
        """Set the permissions, which forbid nothing here."""
        self.mode = stat.S_IFMT(self.mode) | mode & 0o7777
        self.changed = time.time_ns()

    def status(self) -> os.stat_result:
        """Return what `os.stat` gives for this node."""
        links = self.links + isinstance(self, Directory)
        fields = [self.mode, self.inode, _DEVICE, links, os.getuid(), os.getgid(), self.size]
        more: dict[str, Any] = {"st_blksize": BLOCK, "st_blocks": math.ceil(self.size / 512), "st_rdev": 0}
        for name, moment in (("atime", self.accessed), ("mtime", self.modified), ("ctime", self.changed)):
            seconds, rest = divmod(moment, 10**9)
            fields.append(seconds)
            more |= {f"st_{name}": seconds + 1e-9 * rest, f"st_{name}_ns": moment}
        return os.stat_result(fields, more)


class File(Node):
    """A file: its content, which every open file sees at once."""

    __slots__ = ("content",)

    def __init__(self, mode: int) -> None:
        super().__init__(stat.S_IFREG | mode)
        self.content = bytearray()

    @property
    def size(self) -> int:
        """Bytes, as `os.stat_result.st_size` tells them."""
        return len(self.content)

    def write(self, data: memoryview, position: int | None) -> int:
        """Write over the content at a position, or, without one, behind its end; return where the written data ends.

        A position beyond the end is reached with zeros.
        """
        if position is not None and position > len(self.content):
            self.resize(position)
        try:
            if position is None or position == len(self.content):
                self.content += data  # in one step, as threads may write too
                position = len(self.content) - len(data)
            else:
                self.content[position : position + len(data)] = data
        except MemoryError:
            raise failure(errno.ENOSPC) from None
        self.touch()
        return position + len(data)

    def resize(self, size: int) -> None:
        """Cut the content to a size in bytes, or add zeros up to it."""
        try:
            if size > len(self.content):
                self.content.extend(bytes(size - len(self.content)))
            else:
                del self.content[size:]
        except MemoryError:
            raise failure(errno.ENOSPC) from None
        self.touch()


class NullDevice(File):
    """The file `/dev/null`, which is always empty."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0)
        self.mode = stat.S_IFCHR | 0o666

    def write(self, data: memoryview, position: int | None) -> int:  # noqa: ARG002
        """Forget the data."""
        return 0

    def resize(self, size: int) -> None:
        """Stay empty."""


class Directory(Node):
    """A directory. One that was removed has no links, and nothing can be made in it."""

    __slots__ = ("entries", "name", "parent")

    def __init__(self, mode: int) -> None:
        super().__init__(stat.S_IFDIR | mode)
        self.entries: dict[str, Node] = {}
        self.parent = self
        self.name = ""

    def path(self) -> str:
        """Return the path of the directory from the root.

        Raises:
            FileNotFoundError: The directory was removed.
        """
        names: list[str] = []
        directory = self
        while directory.parent is not directory:
            if not directory.links:
                raise failure(errno.ENOENT)
            names.append(directory.name)
            directory = directory.parent
        return "/" + "/".join(reversed(names))

    def get(self, name: str) -> Node | None:
        """Return the node that has a name in the directory, or `None`."""
        if len(os.fsencode(name)) > _NAME_MAX:
            raise failure(errno.ENAMETOOLONG)
        return self.entries.get(name)

    def enter(self, name: str) -> Directory:
        """Return the directory to which one part of a path leads from here."""
        if name in ("", "."):
            return self
        if name == "..":
            return self.parent
        node = self.get(name)
        if isinstance(node, Directory):
            return node
        raise failure(errno.ENOENT if node is None else errno.ENOTDIR)

    def put(self, name: str, node: Node) -> Node:
        """Enter a node under a free name, and return the node that has it now: another thread may have been first."""
        if not self.links:
            raise failure(errno.ENOENT)
        kept = self.entries.setdefault(name, node)
        if kept is node:
            node.links += 1
            if isinstance(node, Directory):
                node.parent, node.name = self, name
            self.touch()
        return kept

    def replace(self, name: str, node: Node) -> None:
        """Enter a node under a name, and let go of the node that has the name."""
        former = self.entries.get(name)
        self.entries[name] = node
        node.links += 1
        if isinstance(node, Directory):
            node.parent, node.name = self, name
        if former is not None:
            former.links -= 1
        self.touch()

    def drop(self, name: str) -> None:
        """Take a name out of the directory; a file that is open goes on without it."""
        node = self.entries.pop(name)
        node.links -= 1
        node.changed = time.time_ns()
        self.touch()
