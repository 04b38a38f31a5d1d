"""Any Python value as JSON: what a model reads, and what records are written as."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def to_text(value: object) -> str:
    """A tool's value as the model reads it: a string as it is, anything else as JSON.

    Dataclasses, pydantic models, enums, dates, sets, paths and the like are understood at any depth; what has
    no JSON form is written as its `str`.
    """
    if isinstance(value, str):
        return value
    from pydantic_core import to_json

    try:
        return to_json(value, fallback=str, inf_nan_mode="strings").decode()
    except Exception:  # noqa: BLE001 - bytes that are not UTF-8, cycles, a failing __str__
        try:
            return to_json(value, fallback=str, inf_nan_mode="strings", bytes_mode="base64").decode()
        except Exception:  # noqa: BLE001
            return repr(value)


def to_data(value: object) -> Any:
    """`value` as plain JSON data: dict, list, str, int, float, bool, None."""
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(value, fallback=str, inf_nan_mode="strings", bytes_mode="base64")
    except Exception:  # noqa: BLE001
        return repr(value)


def adapter(cls: Any) -> TypeAdapter[Any]:
    """The (cached) pydantic adapter of a type."""
    return _adapter(cls)


@functools.cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)
