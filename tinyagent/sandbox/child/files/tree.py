"""A small file system in memory: where paths lead, what is open, and the directories it begins with.

Errors are those of Linux for the same mistake; the function that was given the path adds it.
"""

from __future__ import annotations

import errno
import itertools
import operator
import os
import sys
from typing import Any

from tinyagent.sandbox.child.files.nodes import Directory, File, Node, NullDevice, failure

#: The working directory of the code, which is also its home.
WORK = "/work"
#: What everybody but the owner may not do with a new file.
UMASK = 0o022
_FIRST_DESCRIPTOR = 1000
_PATH_MAX = 4096
_ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR


def as_offset(value: Any) -> int:
    """Return a position or a size as a whole number.

    Raises:
        OverflowError: The number is larger than C can count.
    """
    offset = operator.index(value)
    if abs(offset) > sys.maxsize:
        raise OverflowError("Python int too large to convert to C long")
    return offset


def is_ours(descriptor: Any) -> bool:
    """Return whether a descriptor is that of a file in memory: those of pipes and sockets are few, and far below."""
    return isinstance(descriptor, int) and descriptor >= _FIRST_DESCRIPTOR


class Place:
    """Where a path leads: a name in a directory, with a node under it or without.

    Attributes:
        directory: The directory that has the name.
        name: The last part of the path; empty for the root.
        node: The node that has the name, if any has.
        special: `.`, `..` or `/` where the path ends in that or is the root, else `None`.
        slash: Whether the path ends in a slash, so that it can only mean a directory.
    """

    __slots__ = ("directory", "name", "node", "slash", "special")

    def __init__(self, path: str, start: Directory) -> None:
        if not path:
            raise failure(errno.ENOENT)
        if len(os.fsencode(path)) >= _PATH_MAX:
            raise failure(errno.ENAMETOOLONG)
        *parts, last = path.rstrip("/").split("/")
        for part in parts:
            start = start.enter(part)
        self.slash = path.endswith("/")
        self.special = last or "/" if last in ("", ".", "..") else None
        self.directory, self.name = start, last
        self.node: Node | None = start.get(last) if self.special is None else start.enter(last)

    def found(self) -> Node:
        """Return the node, which must be there.

        Raises:
            OSError: There is no node, or no directory before a slash.
        """
        if self.node is None:
            raise failure(errno.ENOENT)
        if self.slash and not isinstance(self.node, Directory):
            raise failure(errno.ENOTDIR)
        return self.node


class OpenFile:
    """An open file, which several descriptors may share: how it was opened, and the position it stands at."""

    __slots__ = ("flags", "node", "position")

    def __init__(self, node: Node, flags: int) -> None:
        self.node = node
        self.flags = flags
        self.position = 0

    def file(self, *, writing: bool) -> File:
        """Return the file, if it was opened for reading, or with `writing` for writing; raise `OSError` otherwise."""
        if self.flags & _ACCESS == (os.O_RDONLY if writing else os.O_WRONLY):
            raise failure(errno.EBADF)
        if not isinstance(self.node, File):
            raise failure(errno.EISDIR)
        return self.node

    def directory(self) -> Directory:
        """Return the directory that is open; raise `NotADirectoryError` for a file."""
        if isinstance(self.node, Directory):
            return self.node
        raise failure(errno.ENOTDIR)

    def read(self, size: int, position: int | None = None) -> bytes:
        """Read up to `size` bytes from a position; without one, from where the file stands, and move on."""
        start = self.position if position is None else position
        content = self.file(writing=False).content
        if size < 0 or start < 0:
            raise failure(errno.EINVAL)
        data = bytes(content if start == 0 and size >= len(content) else content[start : start + size])
        if position is None:
            self.position = start + len(data)
        return data

    def write(self, data: Any, position: int | None = None) -> int:
        """Write at a position; without one, where the file stands, and move on. Return the number of bytes."""
        try:
            view = memoryview(data)
        except TypeError:
            raise TypeError(f"a bytes-like object is required, not {type(data).__name__!r}") from None
        file = self.file(writing=True)
        start = self.position if position is None else position
        if start < 0:
            raise failure(errno.EINVAL)
        with view:
            size = view.nbytes
            if size:
                end = file.write(view.cast("B"), None if self.flags & os.O_APPEND else start)
                self.position = end if position is None else self.position
        return size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, and return it."""
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.node.size}
        position = starts.get(operator.index(whence), -1) + as_offset(offset)
        if whence not in starts or position < 0:
            raise failure(errno.EINVAL)
        self.position = position
        return position

    def truncate(self, size: int) -> None:
        """Cut the file to a size in bytes, or add zeros up to it."""
        if as_offset(size) < 0 or self.flags & _ACCESS == os.O_RDONLY:
            raise failure(errno.EINVAL)
        self.file(writing=True).resize(size)


class Tree:
    """The file system: its root, the working directory and the descriptors."""

    def __init__(self) -> None:
        self.root = Directory(0o755)
        self.root.links = 1
        self.cwd = Directory(0o755)
        temporary, devices = Directory(0o1777), Directory(0o755)
        for path, node in (("tmp", temporary), ("dev", devices), (WORK.strip("/"), self.cwd)):
            self.root.put(path, node)
        devices.put("null", NullDevice())
        self.descriptors: dict[int, OpenFile] = {}
        self._numbers = itertools.count(_FIRST_DESCRIPTOR)

    def place(self, path: str, start: Directory | None = None) -> Place:
        """Return where a path leads, from `start` or else from the working directory."""
        return Place(path, self.root if path.startswith("/") else start or self.cwd)

    def open(self, place: Place, flags: int, mode: int) -> int:
        """Open a file, or make it if the flags say so, and return its descriptor."""
        if flags & os.O_CREAT:
            if place.slash:
                raise failure(errno.EISDIR)
            if place.node is None:
                made = File(mode & 0o7777 & ~UMASK)
                place.node = place.directory.put(place.name, made)
                if place.node is made:
                    flags &= ~os.O_EXCL
            if flags & os.O_EXCL:
                raise failure(errno.EEXIST)
        node = place.found()
        if isinstance(node, Directory):
            if flags & (_ACCESS | os.O_CREAT | os.O_TRUNC):
                raise failure(errno.EISDIR)
        elif flags & os.O_DIRECTORY:
            raise failure(errno.ENOTDIR)
        elif flags & os.O_TRUNC and isinstance(node, File):
            node.resize(0)
        return self.assign(OpenFile(node, flags))

    def opened(self, descriptor: int) -> OpenFile:
        """Return what a descriptor has open; raise `OSError` for one that is closed."""
        try:
            return self.descriptors[descriptor]
        except KeyError:
            raise failure(errno.EBADF) from None

    def assign(self, opened: OpenFile) -> int:
        """Return a new descriptor for an open file."""
        number = next(self._numbers)
        self.descriptors[number] = opened
        return number


#: The file system of this process.
tree = Tree()
