"""From values to tagged data that JSON can carry."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, time
from pathlib import PurePath, PurePosixPath
from typing import Any

from tinyagent.core.codec.exact import EXACT, LONGEST_RANGE, length
from tinyagent.core.codec.kinds import (
    DEEPEST,
    LONGEST_NAME,
    LONGEST_TEXT,
    MAX_BYTES,
    MAX_CONTAINERS,
    MAX_TAGGED,
    TAG,
    ManyPartsError,
    Opaque,
    Record,
    TooLargeError,
    too_large,
)
from tinyagent.core.text import excerpt

#: Parts (elements, or two bytes of text) up to which a value is packed on the event loop, without a thread.
FEW_PARTS = 8_192
#: Parts that are packed between two calls of `pause`.
_STEPS = 1_000


def pack(
    value: object,
    *,
    records: bool = False,
    opaque: list[str] | None = None,
    text: str | None = None,
    few: int | None = None,
    pause: Callable[[], None] | None = None,
    limited: bool = True,
) -> Any:
    """Return `value` as data that JSON can carry; what has no form here becomes its text, with its type.

    Args:
        value: Any object.
        records: Write the fields of dataclasses and the like as a `Record`, not as a plain dict.
        opaque: A list to which the class name of each part that becomes its text is added.
        text: The text of the value, where it is known already.
        few: Give up when the value has more parts (elements, or two bytes of text) than this.
        pause: Called every thousand parts; a thread lets the others have the interpreter there.
        limited: Refuse what has more parts than may be read in one go.

    Raises:
        ManyPartsError: The value has more parts than `few`.
        TooLargeError: The value has more parts than may be read in one go.
    """
    return _Packer(value, records, [] if opaque is None else opaque, text, few, pause, limited).pack(value, 0)


@dataclasses.dataclass(slots=True, eq=False)
class _Packer:
    """The packing of one value: counts its parts, and knows the containers that the current part is inside of."""

    root: object
    records: bool
    opaque: list[str]
    root_text: str | None
    few: int | None
    pause: Callable[[], None] | None
    limited: bool
    steps: int = 0
    parts: int = 0
    containers: int = 0
    tagged: int = 0
    in_ranges: int = 0
    inside: set[int] = dataclasses.field(default_factory=set)

    def pack(self, value: Any, depth: int) -> Any:
        """Return `value` as data for JSON, inside of `depth` levels of lists and dicts."""
        if self.pause is not None:
            self.steps += 1
            if self.steps % _STEPS == 0:
                self.pause()
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            self._count((len(value) + 1) // 2)
            return value
        if kind is int and -(2**63) <= value < 2**63:
            return value
        if kind is float and math.isfinite(value):
            self._count(len(repr(value)) // 2)
            return value
        if kind in _WRITERS:
            return self._exact(value)
        if depth >= DEEPEST or id(value) in self.inside:
            return self._text(value)
        self.inside.add(id(value))
        try:
            return self._container(value, depth + 1)
        except (TooLargeError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - objects that fail to be looked into
            return self._text(value)
        finally:
            self.inside.discard(id(value))

    def _exact(self, value: Any) -> Any:
        """Return the data of a value that keeps its type, or of its text where it is too large for that."""
        if type(value) is range:
            if self.in_ranges + length(value) > LONGEST_RANGE:
                return self._text(value)
            self.in_ranges += length(value)
        elif self.limited and type(value) in (bytes, bytearray):
            _check_size(len(value))  # before they are written
        try:
            written: Any = _WRITERS[type(value)](value)
        except Exception:  # noqa: BLE001 - a time in a zone that fails to tell its offset
            written = None
        return self._text(value) if written is None else self._counted(written)

    def _container(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is list:
            return self._list(value, depth)
        if kind is dict or kind is Record:
            return self._dict(value, depth)
        if kind is tuple:
            return self._counted({TAG: "tuple", "v": self._list(value, depth + 1)})
        if kind is set or kind is frozenset:
            self._count(len(value))
            return self._counted({TAG: kind.__name__, "v": [self._key(part, depth + 1) for part in value]})
        return self._relative(value, depth)

    def _relative(self, value: Any, depth: int) -> Any:
        """Return the data of a value whose class is related to types that cross: a subclass, a table, a dataclass."""
        if type(value).__module__.partition(".")[0] in ("numpy", "pandas"):
            self._check(_parts_of_table(value))  # before it is taken apart
            plain = _scientific(value)
            if plain is not _NOTHING:
                return self.pack(plain, depth)
        for family, make in _SIMPLE:
            if isinstance(value, family):
                return self.pack(make(value), depth)
        fields = _fields_of(value)
        if fields is not None:
            if not self.records:
                return self._dict(fields, depth)
            record = {TAG: "record", "v": self._dict(fields, depth + 1), "type": type(value).__name__}
            described = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
            if hidden := [field.name for field in described if not field.repr]:
                record["hidden"] = hidden
            return self._counted(record)
        for family, make in _CONTAINERS:
            if isinstance(value, family):
                return self.pack(make(value), depth)
        return self._text(value)

    def _text(self, value: Any) -> dict[str, str]:
        self.opaque.append(type(value).__name__)
        return self._counted(as_text(value, self.root_text if value is self.root else None))

    def _list(self, value: Collection[Any], depth: int) -> list[Any]:
        self._count(len(value))
        self._contain()
        return [self.pack(part, depth) for part in value]

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        self._count(2 * len(value))
        self._contain()
        if TAG not in value and all(type(key) is str for key in value):
            self._count(sum(map(len, value)) // 2)
            return {key: self.pack(part, depth) for key, part in value.items()}
        pairs = [[self._key(key, depth + 2), self.pack(part, depth + 2)] for key, part in value.items()]
        return self._counted({TAG: "dict", "v": pairs})

    def _key(self, value: Any, depth: int) -> Any:
        """Return the data of a key of a dict or a member of a set; one that would lose its hash becomes its text."""
        packed = self.pack(value, depth)
        return packed if _is_hashable(packed) else self._text(value)

    def _counted(self, tagged: dict[str, Any]) -> dict[str, Any]:
        self.tagged += 1
        if self.limited and self.tagged > MAX_TAGGED:
            raise too_large(f"over {MAX_TAGGED:,} values that are neither numbers nor text")
        self._count(8 + (len(tagged["v"]) // 2 if type(tagged["v"]) is str else 0))
        return tagged

    def _contain(self) -> None:
        self.containers += 1
        if self.limited and self.containers > MAX_CONTAINERS:
            raise too_large(f"over {MAX_CONTAINERS:,} lists and dicts")

    def _count(self, parts: int) -> None:
        """Count more parts, and refuse the value if it has too many; a part takes two bytes at least."""
        self.parts += parts
        self._check(self.parts)

    def _check(self, parts: int) -> None:
        if self.limited:
            _check_size(2 * parts)
        if self.few is not None and parts > self.few:
            raise ManyPartsError


def _is_hashable(packed: Any) -> bool:
    """Return whether the value that packed data is read as can be a key."""
    if type(packed) is list:
        return False
    if type(packed) is not dict:
        return True
    tag = packed.get(TAG)
    if tag in ("tuple", "frozenset"):
        return all(map(_is_hashable, packed["v"]))
    return tag is not None and tag not in ("dict", "set", "bytearray", "record")


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise too_large(f"over {MAX_BYTES:,} bytes")


def as_text(value: object, text: str | None = None) -> dict[str, str]:
    """Return the data of an `Opaque`, the text that stands for a value that cannot cross."""
    if isinstance(value, Opaque):
        return {TAG: "text", "v": str(value), "type": value.type}
    try:
        text = repr(value) if text is None else text
    except Exception:  # noqa: BLE001 - whatever it is, it must have a text
        text = f"<{type(value).__name__}>"
    return {TAG: "text", "v": excerpt(text, LONGEST_TEXT), "type": type(value).__name__[:LONGEST_NAME]}


def _write_moment(value: datetime | time) -> Any:
    return {TAG: type(value).__name__, "v": value.isoformat(), "fold": value.fold}


#: For each type that JSON does not have, what writes its values; `None` is written for one that is too large to cross.
_WRITERS: dict[type, Callable[[Any], Any]] = {
    **{kind: exact.tagged for kind, exact in EXACT.items()},
    datetime: _write_moment,
    time: _write_moment,
    Opaque: as_text,
}
#: Subclasses of simple types, and what is sent of them.
_SIMPLE: Sequence[tuple[type | tuple[type, ...], Callable[[Any], Any]]] = (
    (enum.Enum, lambda value: value.value),
    (str, str.__str__),
    (int, int),
    (float, float),
    (complex, complex),
    (PurePath, lambda value: PurePosixPath(value.as_posix())),
)
#: Subclasses of containers, and what is sent of them.
_CONTAINERS: Sequence[tuple[type | tuple[type, ...], Callable[[Any], Any]]] = (
    (dict, dict),
    ((list, deque), list),
    (tuple, tuple),
    (frozenset, frozenset),
    (set, set),
    ((bytes, memoryview), bytes),
    (bytearray, bytearray),
)
_NOTHING = object()


def _fields_of(value: Any) -> dict[str, Any] | None:
    """Return the fields of a dataclass, a named tuple or a pydantic model, by name; `None` for anything else."""
    if isinstance(value, type):
        return None
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(getattr(value, "model_dump", None)):
        return {str(name): getattr(value, name) for name in type(value).model_fields}
    return None


#: Parts that an item of an array takes at least, by the kind of its type; of other kinds one: a byte and a comma.
_PARTS = {"b": 2, "f": 2, "c": 15, "m": 15, "M": 15}


def _parts_of_table(value: Any) -> int:
    """Return how many parts a value of numpy or pandas takes at least."""
    if type(value).__name__ == "DataFrame":  # each row repeats the names of the columns
        return len(value) * sum(3 + len(str(name)) // 2 for name in value.columns)
    size = getattr(value, "size", 0)
    return size * _PARTS.get(getattr(getattr(value, "dtype", None), "kind", ""), 1) if isinstance(size, int) else 0


#: What is sent of a value of pandas, by the name of its type.
_PANDAS: dict[str, Callable[[Any], Any]] = {
    "DataFrame": lambda value: value.to_dict("records"),
    "Series": lambda value: value.to_dict(),
    "Timestamp": lambda value: value.to_pydatetime(warn=False),
    "Timedelta": lambda value: value.to_pytimedelta(),
    "NaTType": lambda _: None,
    "NAType": lambda _: None,
}


def _scientific(value: Any) -> Any:
    """Return what is sent of a value of numpy or pandas; `_NOTHING` for a type that has no plain form."""
    package = type(value).__module__.partition(".")[0]
    if package == "numpy" and hasattr(value, "tolist"):
        if value.dtype.kind in "mM":  # `tolist` gives bare numbers for times finer than a microsecond
            value = value.astype(f"{value.dtype.kind}8[us]")
        plain = value.tolist()
        return _NOTHING if type(plain) is type(value) else plain
    if package == "pandas" and (make := _PANDAS.get(type(value).__name__)) is not None:
        return make(value)
    return value.tolist() if package == "pandas" and hasattr(value, "tolist") else _NOTHING
