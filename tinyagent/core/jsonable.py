"""Any Python value as JSON: as text for a model, and as plain data for records. Neither ever fails."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from tinyagent.core.text import excerpt

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: Levels of nesting beyond which a value that pydantic refuses is written as text.
DEEPEST = 400
#: Items of an array, and rows of a table, beyond which only the first are written.
MAX_ITEMS, MAX_ROWS = 10_000, 100
#: Exceptions of a group that an error text tells.
MAX_LEAVES = 10
#: Characters that an error quotes of an object.
BRIEF = 100
#: Items that are read of an iterator, which may have no end.
LONGEST_ITERATOR = 100_000


def to_text(value: object) -> str:
    """Return a tool's value as the model reads it: a string as it is, anything else as JSON.

    Dataclasses, pydantic models, enums, dates, sets, paths and the like are understood at any depth, and so are the
    numbers, arrays and tables of numpy, pandas, polars and others like them; what has no JSON form is written as its
    `str`. Of a value whose class has a method `for_model() -> str`, the model reads the text that the method returns.
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
    """Return `value` as plain JSON data: dict, list, str, int, float, bool, None."""
    try:
        return json.loads(_to_json(value, "base64"))
    except Exception:  # noqa: BLE001 - cycles, half characters, objects that fail to be written
        return _plain(value, 0)


def _to_json(value: object, bytes_mode: Any) -> str:
    from pydantic_core import to_json

    if hasattr(type(value), "__next__"):
        value = list(islice(value, LONGEST_ITERATOR))  # type: ignore[call-overload]
    return to_json(value, fallback=_form, inf_nan_mode="strings", bytes_mode=bytes_mode).decode()


def _form(value: Any) -> Any:
    """Return a simpler form of an object that pydantic does not know, by what its class offers, without its library."""
    kind = type(value)
    if isinstance(value, deque):  # pydantic knows it since 2.13
        return list(value)
    try:
        if _offers(kind, "columns", "head", "shape"):
            return _table(value)
        if _offers(kind, "to_frame", "index", "head"):
            return _table(value.to_frame())
        if _offers(kind, "tolist", "dtype", "shape"):
            is_time = getattr(value.dtype, "kind", "") in ("m", "M")  # times would become numbers
            return _first(value, value.shape, lambda part: (part.astype(str) if is_time else part).tolist())
        if _offers(kind, "to_list", "dtype", "shape"):
            return _first(value, value.shape, lambda part: part.to_list())
    except Exception:  # noqa: BLE001 - it only looked like a table or an array
        return words(value)
    return words(value)


def _offers(kind: type, *names: str) -> bool:
    return all(hasattr(kind, name) for name in names)


def _first(value: Any, shape: tuple[int, ...], listed: Callable[[Any], Any]) -> Any:
    """Return an array as lists: all of it, or its first items and a note of how many are missing."""
    size = math.prod(shape)
    if size <= MAX_ITEMS:
        return listed(value)
    count = MAX_ITEMS * shape[0] // size
    if count == 0:
        return words(value)
    return [*listed(value[:count]), f"[{shape[0] - count:,} of {shape[0]:,} are missing]"]


def _table(value: Any) -> dict[str, Any]:
    """Return a table as columns and first rows, with its index unless that only counts, and a note of missing rows."""
    rows, columns = value.shape
    count = max(1, min(MAX_ROWS, MAX_ITEMS // max(columns, 1)))
    head = value.head(count)
    if _offers(type(value), "index", "to_dict"):  # pandas
        split = head.to_dict("split")
        names, data, index = list(split["columns"]), split["data"], list(split["index"])
        if index != list(range(len(index))):
            levels = [name if name is not None else "index" for name in value.index.names]
            names = [*levels, *names]
            data = [[*(key if len(levels) > 1 else [key]), *row] for key, row in zip(index, data, strict=True)]
    else:  # polars
        names, data = list(head.columns), head.rows()
    note = {"note": f"{rows - count:,} of {rows:,} rows are missing"} if rows > count else {}
    return {**note, "columns": names, "rows": data}


def _plain(value: object, depth: int) -> Any:
    """Return `value` as plain JSON data, part by part, so that one bad part does not spoil the rest."""
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
        except Exception:  # noqa: BLE001, S112 - then the next way
            continue
    return f"<{type.__dict__['__name__'].__get__(type(value))}>"


def shown(value: object) -> str:
    """Return the `repr` of an object, or of its plain data where its own fails; never raises."""
    try:
        return str.__str__(repr(value))
    except Exception:  # noqa: BLE001 - a number of too many digits, a class that cannot be printed
        return repr(to_data(value))


def brief(value: object) -> str:
    """Return the beginning of an object's `repr`, for an error; never raises."""
    return excerpt(shown(value), BRIEF, f"... (a {type(value).__name__})")


def fields_shown(value: Any) -> str:
    """Return a dataclass's default `repr`, even where the `repr` of what a field holds fails."""
    fields = (f"{field.name}={shown(getattr(value, field.name))}" for field in dataclasses.fields(value) if field.repr)
    return f"{type(value).__qualname__}({', '.join(fields)})"


def error_text(error: BaseException) -> str:
    """Return `Type: message` of an exception; of a group also of the first `MAX_LEAVES` exceptions in it."""
    said = words(error)
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        leaves = list(islice(_leaves(error), MAX_LEAVES + 1))
        more = ["..."] if len(leaves) > MAX_LEAVES else []
        text = f"{text}: {'; '.join([*map(error_text, leaves[:MAX_LEAVES]), *more])}"
    return text


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    waiting = list(group.exceptions)
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, BaseExceptionGroup):
            waiting[:0] = error.exceptions
        else:
            yield error


def adapter(cls: Any) -> TypeAdapter[Any]:
    """Return the pydantic adapter of a type, made once."""
    return _adapter(cls)


@functools.cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)
