"""What may come of an attempt, and what may not come of any."""

from __future__ import annotations

import ast
from typing import Any

from tinyagent.core.result import CodeError, Execution

#: What the filter answers; and what else says that there is nothing there.
REFUSED = {"EPERM", "ENOSYS"}
DENIED = REFUSED | {"ENOENT", "EACCES", "ENOTTY", "EBADF", "ENOTDIR", "ENXIO", "ENODEV", "EROFS", "EINVAL"}
#: Characters of output that are kept of a block.
MOST_OUTPUT = 100_000


def fits(expected: str, execution: Execution) -> bool:
    """Whether an outcome is as expected; see `hostile` for the words."""
    error = execution.error
    if expected == "ends":
        return True
    if expected == "killed":
        return error is not None and error.lost
    if expected == "stopped":
        return execution.interrupted
    if expected in ("refused", "denied"):
        text = str(execution.value)
        return error is None and (text in (REFUSED if expected == "refused" else DENIED) or is_denial(text, expected))
    if expected.startswith("== "):
        return error is None and execution.value == ast.literal_eval(expected[3:])
    if expected.startswith("repr "):
        return error is None and repr(execution.value) == expected[5:]
    return error is not None and error.type == expected


def is_denial(text: str, expected: str) -> bool:
    """Name servers have numbers of errors of their own."""
    return expected == "denied" and text.startswith(("gaierror", "herror"))


def ill_formed(execution: Execution) -> list[str]:
    """What of an execution is not of the type that it must have, whatever the sandbox has sent."""
    error = execution.error
    wrong = [
        name
        for name, kind in (("stdout", str), ("truncated", int), ("interrupted", bool), ("calls", tuple))
        if type(getattr(execution, name)) is not kind
    ]
    if not isinstance(execution.repr, str | None):
        wrong.append("repr")
    if len(execution.stdout) > MOST_OUTPUT:
        wrong.append("stdout, which is too long")
    if error is not None:
        wrong += [name for name in ("type", "message", "traceback") if type(getattr(error, name)) is not str]
        wrong += [name for name in ("bases", "names") if not is_texts(getattr(error, name))]
        wrong += [] if type(error.line) in (int, type(None)) else ["line"]
        wrong += [] if isinstance(error, CodeError) and isinstance(str(error), str) else ["error"]
        if not isinstance(error.exception(), Exception):
            wrong.append("exception()")
    return [f"the execution's {name} is ill-formed" for name in wrong]


def is_texts(value: object) -> bool:
    """A tuple of strings."""
    return type(value) is tuple and all(type(part) is str for part in value)


def texts(execution: Execution) -> list[str]:
    """All text in an execution."""
    calls = [text for observation in execution.calls for text in (observation.text, observation.error or "")]
    return [execution.stdout, execution.repr or "", shown(execution.value), shown(execution.error), *calls]


def shown(value: object) -> str:
    """The `repr` of whatever the sandbox has sent."""
    try:
        return repr(value)
    except (ValueError, RecursionError):  # whole numbers of many digits, deep values
        return "?"


def summary(execution: Execution) -> dict[str, Any]:
    """What came back, in short."""
    error = execution.error
    told = {
        "value": shown(execution.value)[:300],
        "stdout": execution.stdout[-300:],
        "error": str(error)[:300] if error else None,
        "lost": error.lost if error else False,
        "interrupted": execution.interrupted,
        "calls": len(execution.calls),
        "seconds": round(execution.seconds, 3),
    }
    return {name: value for name, value in told.items() if value}
