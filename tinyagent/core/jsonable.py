"""Any Python value as JSON: what a model reads, and what records are written as. Neither ever fails."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: Nesting beyond which a value that pydantic refuses is written as text.
DEEPEST = 400


def to_text(value: object) -> str:
    """A tool's value as the model reads it: a string as it is, anything else as JSON.

    Dataclasses, pydantic models, enums, dates, sets, paths and the like are understood at any depth; what has
    no JSON form is written as its `str`. A value whose class has a method `for_model() -> str` is read as that.
    """
    if isinstance(value, str):
        return str.__str__(value)
    try:
        if (own := getattr(type(value), "for_model", None)) is not None:
            return str(own(value))
        return _to_json(value, "utf8")
    except Exception:  # noqa: BLE001 - whatever a tool returns, the model must read something
        return json.dumps(to_data(value), ensure_ascii=False)


def to_data(value: object) -> Any:
    """`value` as plain JSON data: dict, list, str, int, float, bool, None."""
    try:
        return json.loads(_to_json(value, "base64"))
    except Exception:  # noqa: BLE001 - cycles, half characters, objects that fail to be written
        try:
            return _plain(value, 0)
        except RecursionError:
            return words(value)


def _to_json(value: object, bytes_mode: Any) -> str:
    from pydantic_core import to_json

    return to_json(value, fallback=words, inf_nan_mode="strings", bytes_mode=bytes_mode).decode()


def _plain(value: object, depth: int) -> Any:
    """`value` part by part, so that one bad part does not spoil the rest."""
    if depth > DEEPEST:
        return words(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {words(key): _plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part, depth + 1) for part in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
        return {name: _plain(getattr(value, name, None), depth + 1) for name in names}
    try:
        return json.loads(_to_json(value, "base64"))
    except Exception:  # noqa: BLE001
        return words(value)


def words(value: object) -> str:
    """The best text there is for an object."""
    for text in (str, repr):
        try:
            return text(value)
        except Exception:  # noqa: BLE001, S112 - the next one, then
            continue
    return f"<{type(value).__name__}>"


def adapter(cls: Any) -> TypeAdapter[Any]:
    """The (cached) pydantic adapter of a type."""
    return _adapter(cls)


@functools.cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)
