"""Any Python value as JSON: what a model reads, and what records are written as. Neither ever fails."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import TypeAdapter

#: Nesting beyond which a value that pydantic refuses is written as text.
DEEPEST = 400
#: Items that are read of an iterator, which may have no end.
LONGEST_ITERATOR = 100_000


def to_text(value: object) -> str:
    """A tool's value as the model reads it: a string as it is, anything else as JSON.

    Dataclasses, pydantic models, enums, dates, sets, paths and the like are understood at any depth; what has
    no JSON form is written as its `str`. A value whose class has a method `for_model() -> str` is read as that.
    """
    try:
        if isinstance(value, str):
            return str.__str__(value)
        if (own := getattr(type(value), "for_model", None)) is not None:
            return str.__str__(str(own(value)))
        return _to_json(value, "utf8")
    except Exception:  # noqa: BLE001 - whatever a tool returns, the model must read something
        return json.dumps(to_data(value), ensure_ascii=False)


def to_data(value: object) -> Any:
    """`value` as plain JSON data: dict, list, str, int, float, bool, None."""
    try:
        return json.loads(_to_json(value, "base64"))
    except Exception:  # noqa: BLE001 - cycles, half characters, objects that fail to be written
        return _plain(value, 0)


def _to_json(value: object, bytes_mode: Any) -> str:
    from pydantic_core import to_json

    if hasattr(type(value), "__next__"):
        value = list(itertools.islice(cast("Iterator[Any]", value), LONGEST_ITERATOR))
    return to_json(value, fallback=words, inf_nan_mode="strings", bytes_mode=bytes_mode).decode()


def _plain(value: object, depth: int) -> Any:
    """`value` part by part, so that one bad part does not spoil the rest."""
    if depth > DEEPEST:
        return words(value)
    try:
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, float) and not math.isfinite(value):
            return words(value)
        if isinstance(value, Mapping):
            return {words(key): _plain(part, depth + 1) for key, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_plain(part, depth + 1) for part in value]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _field(value, field.name, depth) for field in dataclasses.fields(value)}
        return json.loads(_to_json(value, "base64"))
    except Exception:  # noqa: BLE001 - classes that fail when they are read
        return words(value)


def _field(value: object, name: str, depth: int) -> Any:
    try:
        return _plain(getattr(value, name, None), depth + 1)
    except Exception:  # noqa: BLE001 - a property that fails
        return None


def words(value: object) -> str:
    """Return the best text there is for an object: its `str`, its `repr`, or the name of its class; never raises."""
    for text in (str, repr):
        try:
            return str.__str__(text(value))
        except Exception:  # noqa: BLE001, S112 - the next one, then
            continue
    return f"<{type.__dict__['__name__'].__get__(type(value))}>"


def shown(value: object) -> str:
    """Return the `repr` of an object, or that of its plain data where it has none; never raises."""
    try:
        return str.__str__(repr(value))
    except Exception:  # noqa: BLE001 - a number of too many digits, a class that cannot be printed
        return repr(to_data(value))


def fields_shown(value: Any) -> str:
    """Return what a dataclass prints as: as by default, though what its fields hold may have no `repr`."""
    fields = (f"{field.name}={shown(getattr(value, field.name))}" for field in dataclasses.fields(value) if field.repr)
    return f"{type(value).__qualname__}({', '.join(fields)})"


def adapter(cls: Any) -> TypeAdapter[Any]:
    """The (cached) pydantic adapter of a type."""
    return _adapter(cls)


@functools.cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)
