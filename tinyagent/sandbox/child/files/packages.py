"""Loaded packages that go around `open`: in C, or with functions that they keep where no module has them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tinyagent.sandbox.child.files.objects import open_file
from tinyagent.sandbox.child.files.tree import is_ours


def install_in_numpy(replacements: dict[int, Any]) -> None:
    """Have numpy open files in memory, and read and write them by their methods, not in C; add the replacements."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return
    replacements[id(numpy.fromfile)] = _reader(numpy, numpy.fromfile)
    for name, module in list(sys.modules.items()):
        if name.startswith("numpy.") and "isfileobj" in vars(module):
            replacements[id(vars(module)["isfileobj"])] = _is_for_c
    openers = getattr(sys.modules.get("numpy.lib._datasource"), "_file_openers", None)
    if openers is not None:
        openers._file_openers[None] = open_file  # noqa: SLF001 - it has no other door


def _is_for_c(file: object) -> bool:
    """Return false, for numpy's `isfileobj`: C cannot read or write the descriptor of a file in memory."""
    del file
    return False


def _reader(numpy: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def fromfile(file: Any, dtype: Any = float, count: int = -1, sep: str = "", offset: int = 0, **options: Any) -> Any:
        if not hasattr(file, "read"):
            with open_file(file, "rb") as opened:
                return fromfile(opened, dtype, count, sep, offset, **options)
        if not is_ours(file.fileno()):
            return original(file, dtype, count, sep, offset, **options)
        file.seek(offset, 1)
        if sep:
            return numpy.fromstring(file.read().decode("latin-1"), dtype, count, sep=sep, **options)
        size = numpy.dtype(dtype).itemsize
        data = file.read(-1 if count < 0 else count * size)
        return numpy.frombuffer(data[: len(data) // size * size], dtype, **options).copy()

    fromfile.__doc__ = original.__doc__
    return fromfile
