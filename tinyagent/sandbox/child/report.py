"""An exception of the model's code as plain data: with its own source lines, and nothing of the runtime."""

from __future__ import annotations

import traceback
from typing import Any

from tinyagent.core.codec import pack
from tinyagent.core.text import ends
from tinyagent.sandbox.child.interrupts import BLOCK

_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 16_000
_MOST_BASES = 20
_LONGEST_NAME = 200


def report(error: BaseException) -> dict[str, Any]:
    """Return type, bases, arguments, message, traceback and line of an exception; never fail."""
    try:
        return _report(error)
    except BaseException:  # noqa: BLE001 - an exception made to be hard to print
        name = _name_of(type(error))
        return {"type": name, "bases": [], "args": [], "message": "<unprintable>", "traceback": name, "line": None}


def _report(error: BaseException) -> dict[str, Any]:
    told = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
    _strip(told)
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001 - whatever printing it raises
        message = "<unprintable>"
    if isinstance(error, SyntaxError) and error.msg is not None:
        message = error.msg
    bases = [cls.__name__ for cls in type(error).__mro__[1:] if cls.__module__ == "builtins" and cls is not object]
    return {
        "type": _name_of(type(error)),
        "bases": bases[:_MOST_BASES],
        "args": [pack(argument) for argument in error.args] if _plain(error.args) else [],
        "message": message[:_LONGEST_MESSAGE],
        "traceback": "\n".join(ends("".join(told.format()), _LONGEST_TRACEBACK)),
        "line": _line(error, told),
    }


def _name_of(cls: type) -> str:
    """Return the name of a class, even if its metaclass would not tell it."""
    name: str = type.__dict__["__name__"].__get__(cls)
    return name[:_LONGEST_NAME]


def _plain(args: tuple[object, ...]) -> bool:
    return len(args) <= 10 and all(
        isinstance(part, str | int | float | None) and len(str(part)) <= _LONGEST_MESSAGE for part in args
    )


def _strip(told: traceback.TracebackException) -> None:
    """Leave only the frames of the model's code, in an exception and in all exceptions that led to it."""
    seen: set[int] = set()
    left = [told]
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        part.stack[:] = [frame for frame in part.stack if frame.filename.startswith((BLOCK, "<string>"))]
        left += [other for other in (part.__cause__, part.__context__, *(part.exceptions or ())) if other is not None]


def _line(error: BaseException, told: traceback.TracebackException) -> int | None:
    """Return the last line of a block that an exception came through, or `None`."""
    if isinstance(error, SyntaxError) and str(error.filename).startswith(BLOCK):
        return error.lineno
    return next((frame.lineno for frame in reversed(told.stack) if frame.filename.startswith(BLOCK)), None)
