"""Types that JSON does not have and that cross exactly: for each its tag, and how its values are written and read."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

from tinyagent.core.codec.kinds import TAG, MalformedError

#: Hexadecimal digits of the largest whole number: of 4,300 decimal ones, which is what `repr` writes.
LONGEST_INT = 3_500
#: Hexadecimal digits of each half of a fraction: the common divisors of its halves must be found.
LONGEST_FRACTION = 1_000
#: Hexadecimal digits of each bound of a range, and numbers in all ranges of one text: code makes lists of them.
LONGEST_BOUND, LONGEST_RANGE = 1_000, 100_000
#: Characters of a decimal number, and its largest exponent.
LONGEST_DECIMAL = 5_000
#: Numbers as they are written. Python itself reads others as well: `1_0`, digits of other scripts, `sNaN`.
_HEX = re.compile(r"-?0x[0-9a-f]+")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?|-?inf|nan")
_DECIMAL = re.compile(r"-?([0-9]+(\.[0-9]+)?(E[+-][0-9]+)?|NaN[0-9]*|Infinity)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Exact(NamedTuple):
    """One type.

    Attributes:
        tag: The tag of its values.
        form: The type of what is sent of them in JSON.
        write: Returns that; `None` for a value that is too large to cross.
        read: Makes the value of it again.
    """

    tag: str
    form: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]

    def tagged(self, value: Any) -> dict[str, Any] | None:
        """Return the tagged data of a value; `None` where it is too large to cross."""
        written = self.write(value)
        return None if written is None else {TAG: self.tag, "v": written}


def length(value: range) -> int:
    """Return how many numbers a range has; `len` refuses the longest."""
    return abs(value.stop - value.start) // abs(value.step)


def _checked(text: str, form: re.Pattern[str], longest: int) -> str:
    if len(text) > longest or form.fullmatch(text) is None:
        raise MalformedError("a number that is too long, or not written as agreed")
    return text


def _hex(longest: int, *values: int) -> list[str] | None:
    return list(map(hex, values)) if all(value.bit_length() <= 4 * longest for value in values) else None


def _whole(text: str, longest: int) -> int:
    return int(_checked(text, _HEX, longest + 3), 16)


def _float(text: str) -> float:
    return float(_checked(text, _FLOAT, 40))


def _read_complex(parts: list[str]) -> complex:
    real, imaginary = map(_float, parts)
    return complex(real, imaginary)


def _read_range(parts: list[str]) -> range:
    start, stop, step = (_whole(part, LONGEST_BOUND) for part in parts)
    return range(start, stop, step)


def _read_fraction(parts: list[str]) -> Fraction:
    above, below = (_whole(part, LONGEST_FRACTION) for part in parts)
    return Fraction(above, below)


def _read_timedelta(parts: list[int]) -> timedelta:
    days, seconds, microseconds = parts
    if not all(type(part) is int for part in parts):
        raise MalformedError("a timedelta of whole numbers")
    return timedelta(days, seconds, microseconds)


def _write_decimal(value: Decimal) -> str | None:
    text = str(value)  # short even where the whole number has millions of digits
    fits = len(text) <= LONGEST_DECIMAL and abs(value.adjusted()) <= LONGEST_DECIMAL
    return text if fits and _DECIMAL.fullmatch(text) else None


def _read_decimal(text: str) -> Decimal:
    value = Decimal(_checked(text, _DECIMAL, LONGEST_DECIMAL))
    if abs(value.adjusted()) > LONGEST_DECIMAL:
        raise MalformedError("a decimal number too large")
    return value


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


EXACT: dict[type, Exact] = {
    int: Exact(
        "int",
        str,
        lambda value: hex(value) if value.bit_length() <= 4 * LONGEST_INT else None,
        lambda text: _whole(text, LONGEST_INT),
    ),
    float: Exact("float", str, repr, _float),
    complex: Exact("complex", list, lambda value: [repr(value.real), repr(value.imag)], _read_complex),
    bytes: Exact("bytes", str, lambda value: b64encode(value).decode(), _bytes),
    bytearray: Exact("bytearray", str, lambda value: b64encode(value).decode(), lambda text: bytearray(_bytes(text))),
    range: Exact("range", list, lambda value: _hex(LONGEST_BOUND, value.start, value.stop, value.step), _read_range),
    date: Exact("date", str, date.isoformat, date.fromisoformat),
    timedelta: Exact("timedelta", list, lambda value: [value.days, value.seconds, value.microseconds], _read_timedelta),
    Decimal: Exact("Decimal", str, _write_decimal, _read_decimal),
    Fraction: Exact(
        "Fraction", list, lambda value: _hex(LONGEST_FRACTION, value.numerator, value.denominator), _read_fraction
    ),
    UUID: Exact("UUID", str, str, lambda text: UUID(_checked(text, _UUID, 36))),
    PurePosixPath: Exact("Path", str, str, PurePosixPath),
}
