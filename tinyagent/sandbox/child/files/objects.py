"""`open` and `io.FileIO` for files in memory: those that CPython has in Python, over the functions of `os`.

Buffers and text are those in C.
"""

from __future__ import annotations

import _io
import _pyio  # type: ignore[import-not-found]
import inspect
import io
import sys
import warnings
from types import FunctionType
from typing import Any

from tinyagent.sandbox.child.files.tree import is_ours


class FileIO(_pyio.FileIO):  # type: ignore[misc]
    """A raw file: one in memory, or a descriptor of the kernel."""

    __module__ = "_io"

    def readall(self) -> Any:
        """Return all bytes that follow, of a file in memory in one piece."""
        return self.read(sys.maxsize) if is_ours(self.fileno()) else super().readall()

    def _dealloc_warn(self, source: object) -> None:
        """Warn that the file was not closed; buffers of `io` call this."""
        if self.closefd and not self.closed:
            warnings.warn(f"unclosed file {source!r}", ResourceWarning, stacklevel=2, source=self)


FileIO.register(_io.FileIO)


def open_code(path: str) -> Any:
    """Open a file of code in the in-memory file system, like `io.open_code`."""
    return open_file(path, "rb")


_IN_C = ("BufferedRandom", "BufferedReader", "BufferedWriter", "TextIOWrapper")
_OURS = {"FileIO": FileIO, "open_code": open_code} | {name: getattr(io, name) for name in _IN_C}
_open = inspect.unwrap(_pyio.open)
open_file: Any = FunctionType(_open.__code__, vars(_pyio) | _OURS, "open", _open.__defaults__)
