"""Values and exceptions between the host and Monty, which takes fewer types than Python has."""

from __future__ import annotations

import builtins
import functools
import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID

from tinyagent.core.codec import MAX_CONTAINERS, TAG, Opaque, dumps, loads, pack
from tinyagent.core.codec.kinds import DEEPEST, LONGEST_TEXT
from tinyagent.core.errors import ToolArgumentsError
from tinyagent.core.jsonable import words
from tinyagent.core.text import excerpt

if TYPE_CHECKING:
    from pydantic_monty import ExternalSettledResult

#: Most characters of a value's `repr` that are told.
LONGEST_REPR = 200_000
_SAME = frozenset(
    {type(None), bool, int, float, complex, str, bytes, date, datetime, time, timedelta, Decimal, PurePosixPath}
)


# ---- into the sandbox


def to_monty(value: object) -> Any:
    """Return a value of the host as Monty takes it: as data, by the rules and limits of every other sandbox.

    Dataclasses, named tuples and models become dicts, tables of numpy and pandas lists and dicts; a `range` becomes
    a list, a `bytearray` bytes; a UUID, a fraction and whatever else is no data become their text.

    Raises:
        TooLargeError: The value is larger than may cross.
    """
    if value is None or type(value) in (bool, int, float):
        return value
    if type(value) is str and len(value) <= LONGEST_REPR:
        return _accepted(value)
    return _accepted(loads(dumps(value)))


def _accepted(value: Any) -> Any:
    kind = type(value)
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return kind(map(_accepted, value))
    if kind is dict:
        return {_accepted(key): _accepted(part) for key, part in value.items()}
    if kind is range:
        return list(value) if len(value) <= MAX_CONTAINERS else repr(value)
    if kind is bytearray:
        return bytes(value)
    if isinstance(value, str):  # a lone surrogate cannot be written as UTF-8
        return value.encode(errors="replace").decode()
    return str(value) if kind is UUID or kind is Fraction else value


def exception_to_monty(error: BaseException) -> ExternalSettledResult:
    """Return an exception of a tool as the nearest of Python's own; the name of any other class leads the text."""
    if isinstance(error, ToolArgumentsError):  # as Python itself says of wrong arguments
        return {"exc_type": "TypeError", "message": words(error)}
    known = _known_exceptions()
    nearest = next((cls for cls in type(error).__mro__ if cls in known), Exception)
    text = words(error.args[0]) if isinstance(error, KeyError) and len(error.args) == 1 else words(error)
    if nearest is not type(error):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return {"exc_type": known[nearest], "message": text.encode(errors="replace").decode()}


@functools.cache
def _known_exceptions() -> dict[type, Any]:
    """Return those of Python's exceptions that Monty has, each with its name there."""
    from pydantic_monty import ExcType

    return {cls: name for name in get_args(ExcType) if isinstance(cls := getattr(builtins, name, None), type)}


# ---- out of the sandbox


def from_monty(value: Any, depth: int = 0) -> Any:
    """Return a value of the sandbox as data: dataclasses and named tuples as dicts, what is no data as its text."""
    kind = type(value)
    if kind in _SAME:
        return value
    if depth >= DEEPEST:
        return Opaque("...", kind.__name__)
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return kind([from_monty(part, depth + 1) for part in value])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: from_monty(part, depth + 1) for name, part in zip(value._fields, value, strict=True)}
    if isinstance(value, dict):
        return {from_monty(key, depth + 1): from_monty(part, depth + 1) for key, part in value.items()}
    return _from_proxy(value, depth)


def _from_proxy(value: Any, depth: int) -> Any:
    from pydantic_monty import MontyClassProxy, MontyClassTypeProxy, MontyStdTypeProxy

    if isinstance(value, MontyClassProxy):
        fields = {name: from_monty(part, depth + 1) for name, part in value.attributes.items()}
        return fields if value.is_dataclass else Opaque(_call_text(value.name, fields), value.name)
    if isinstance(value, MontyClassTypeProxy):
        return Opaque(f"<class {value.name!r}>", "type")
    if isinstance(value, MontyStdTypeProxy):
        if value.kind == "type":
            return Opaque(f"<class {value.name!r}>", "type")
        return Opaque(f"<built-in function {value.name}>", "builtin_function_or_method")
    return Opaque(excerpt(_text(value), LONGEST_TEXT), type(value).__name__)


def _call_text(name: str, fields: Mapping[str, Any]) -> str:
    return excerpt(f"{name}({', '.join(f'{field}={_text(part)}' for field, part in fields.items())})", LONGEST_TEXT)


def _text(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - deep ones, and whole numbers of very many digits
        return f"<{type(value).__name__}>"


def shown(told: Any) -> tuple[Any, str | None]:
    """Return the value that `__show__` told of, and its `repr`; for `None`, no `repr`."""
    kind, text, cut, value = told
    if kind == "NoneType":
        return None, None
    printed = excerpt(text, LONGEST_REPR, f"... ({cut or len(text):,} characters)")
    if cut:
        return Opaque(excerpt(text, LONGEST_TEXT), kind), printed
    found = from_monty(value)
    if isinstance(found, Opaque) or (isinstance(found, str) and kind != "str"):
        return Opaque(excerpt(text, LONGEST_TEXT), kind), printed
    return found, printed


# ---- calls


def written(tool: str, args: list[Any], kwargs: dict[str, Any]) -> bytes:
    """Return a call as bytes, the same for the same call in every process.

    Raises:
        TooLargeError: The arguments are larger than may cross.
    """
    text = json.dumps([tool, _ordered(pack(args)), _ordered(pack(kwargs))], allow_nan=False)
    return text.encode()


def _ordered(packed: Any) -> Any:
    """Return packed data with its sets sorted, since sets have no order."""
    if isinstance(packed, list):
        return [_ordered(part) for part in packed]
    if not isinstance(packed, dict):
        return packed
    made = {key: _ordered(part) for key, part in packed.items()}
    if made.get(TAG) in ("set", "frozenset"):
        made["v"] = sorted(made["v"], key=json.dumps)
    return made
