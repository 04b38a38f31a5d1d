"""From tagged JSON data to values: builds nothing larger than its text, and nothing but the types listed here."""

from __future__ import annotations

import re
import threading
from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from math import inf
from pathlib import PurePosixPath
from time import monotonic, thread_time
from typing import Any
from uuid import UUID

from tinyagent.core.codec.kinds import (
    LONGEST_BOUND,
    LONGEST_DECIMAL,
    LONGEST_FRACTION,
    LONGEST_INT,
    LONGEST_NAME,
    LONGEST_RANGE,
    TAG,
    MalformedError,
    Opaque,
    Record,
)

#: Seconds of processor time that the keys of dicts and sets in a text may take. Honest keys take a seventh of it; keys
#: that were chosen to collide in the tables would take minutes.
KEY_TIME = 0.08
#: So few keys take no time, whatever they are.
_FEW = 100
#: Numbers as the encoder writes them. Python itself reads others as well: `1_0`, digits of other scripts, `sNaN`.
_HEX = re.compile(r"-?0x[0-9a-f]+")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?|-?inf|nan")
DECIMAL = re.compile(r"-?([0-9]+(\.[0-9]+)?(E[+-][0-9]+)?|NaN[0-9]*|Infinity)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _written(text: str, form: re.Pattern[str], longest: int) -> str:
    if len(text) > longest or form.fullmatch(text) is None:
        raise MalformedError("a number that is too long, or not written as agreed")
    return text


def _read_int(text: str, longest: int = LONGEST_INT) -> int:
    return int(_written(text, _HEX, longest + 3), 16)


def length(value: range) -> int:
    """Return how many numbers a range has; `len` refuses the longest."""
    return abs(value.stop - value.start) // abs(value.step)


def _read_range(value: list[str]) -> range:
    start, stop, step = value
    found = range(*(_read_int(part, LONGEST_BOUND) for part in (start, stop, step)))
    clock.in_ranges += length(found)
    if clock.in_ranges > LONGEST_RANGE:
        raise MalformedError("ranges too long")
    return found


def _read_decimal(text: str) -> Decimal:
    value = Decimal(_written(text, DECIMAL, LONGEST_DECIMAL))
    if abs(value.adjusted()) > LONGEST_DECIMAL:
        raise MalformedError("a decimal number too large")
    return value


def _read_fraction(value: list[str]) -> Fraction:
    above, below = (_read_int(half, LONGEST_FRACTION) for half in value)
    return Fraction(above, below)


def _read_complex(value: list[str]) -> complex:
    real, imaginary = value
    return complex(_read_float(real), _read_float(imaginary))


def _read_float(text: str) -> float:
    return float(_written(text, _FLOAT, 40))


def _read_timedelta(value: list[int]) -> timedelta:
    days, seconds, microseconds = value
    if not all(type(part) is int for part in value):
        raise MalformedError("a timedelta of whole numbers")
    return timedelta(days, seconds, microseconds)


def _read_dict(pairs: list[list[Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        found[key] = value
        clock.check()
    return found


def _read_set(parts: list[Any]) -> set[Any]:
    found = set()
    for part in parts:
        found.add(part)
        clock.check()
    return found


def _read_frozenset(parts: list[Any]) -> frozenset[Any]:
    found = _read_set(parts)
    if len(found) > _FEW:
        clock.refuse_after(KEY_TIME / 2)  # the copy below takes as long again
    return frozenset(found)


class _Clock(threading.local):
    """The clock that ends the reading of a text whose keys take too long; each thread has its own."""

    _began = _next = 0.0
    in_ranges = 0

    def start(self, *, limited: bool = True) -> None:
        """Begin to measure the reading of another text; one that is not limited may take any time."""
        self.in_ranges = 0
        self._began = thread_time() if limited else inf
        self._next = monotonic() + KEY_TIME / 2 if limited else inf

    def check(self) -> None:
        """Refuse the text if its keys have taken longer than `KEY_TIME` so far."""
        if monotonic() > self._next:  # cheaper to ask than `thread_time`, but counts other threads too
            self.refuse_after(KEY_TIME)
            self._next = monotonic() + KEY_TIME / 8

    def refuse_after(self, seconds: float) -> None:
        """Refuse the text if its reading has taken more than so many seconds of processor time."""
        if thread_time() - self._began > seconds:
            raise MalformedError("keys that take too long to read")


clock = _Clock()


_READERS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "tuple": (list, tuple),
    "dict": (list, _read_dict),
    "set": (list, _read_set),
    "frozenset": (list, _read_frozenset),
    "int": (str, _read_int),
    "float": (str, _read_float),
    "complex": (list, _read_complex),
    "bytes": (str, lambda text: b64decode(text, validate=True)),
    "bytearray": (str, lambda text: bytearray(b64decode(text, validate=True))),
    "range": (list, _read_range),
    "date": (str, date.fromisoformat),
    "timedelta": (list, _read_timedelta),
    "Decimal": (str, _read_decimal),
    "Fraction": (list, _read_fraction),
    "UUID": (str, lambda text: UUID(_written(text, _UUID, 36))),
    "Path": (str, PurePosixPath),
}


def read_with_records(data: dict[str, Any]) -> Any:
    """Return the value of a JSON object, which may be a `Record`: for the sandbox, which trusts its host."""
    if data.get(TAG) != "record":
        return read(data)
    if type(data.get("v")) is not dict:
        raise MalformedError("a record has fields")
    return Record(data["v"], data.get("hidden", ()))


def read(data: dict[str, Any]) -> Any:
    """Return the value of a JSON object: of a tagged one what its tag says, of any other the dict itself."""
    tag = data.get(TAG)
    if tag is None:
        return data
    value = data["v"]
    if tag == "text" and type(value) is str and type(data["type"]) is str:
        return Opaque(value, data["type"][:LONGEST_NAME])
    if tag in ("datetime", "time") and type(value) is str and data.get("fold") in (0, 1):
        moment = datetime.fromisoformat(value) if tag == "datetime" else time.fromisoformat(value)
        return moment.replace(fold=data["fold"])
    kind, read = _READERS[tag]
    if type(value) is not kind:
        raise MalformedError(f"a {tag} is no {type(value).__name__}")
    return read(value)
