"""What crosses between the host and a sandbox process: values as JSON with tags, in frames. Never pickle.

Both sides use this module, so it needs the standard library alone. JSON carries what it can; everything else is
`{"!": tag, "v": ...}`. What comes from a sandbox is hostile: decoding builds nothing that is larger than its text,
takes time in proportion to it, refuses everything it does not know, and makes nothing but the types of Python that are
listed here, none of whose attributes is answered by what was sent.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import re
import threading
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath, PurePosixPath
from time import monotonic, thread_time
from typing import Any
from uuid import UUID

from tinyagent.core.opaque import Opaque

#: Bytes of the largest frame, its length included.
MAX_FRAME = 1 << 20
#: Lists and objects of one frame; more would hold up the event loop that reads it.
MAX_CONTAINERS = 50_000
#: Values of one frame that JSON has no form for.
MAX_TAGGED = 20_000
#: Half characters (lone surrogates) of one frame: each takes as long as a hundred others.
MAX_HALVES = 20_000
#: Levels of JSON that a value may have; what lies deeper is sent as its text. `repr`, `copy` and `json` can follow.
DEEPEST = 150
#: Levels of JSON that a frame may have: those of its values, those around them, and those of a tag.
_LEVELS = DEEPEST + 8
#: Hexadecimal digits of the largest whole number: of 4,300 decimal ones, which is what `repr` writes.
LONGEST_INT = 3_500
#: The same for each half of a fraction, whose common divisors must be found.
LONGEST_FRACTION = 1_000
LONGEST_BOUND = 1_000
#: Numbers in all ranges of a frame: whoever makes lists of them must not be held up.
LONGEST_RANGE = 100_000
LONGEST_DECIMAL = 5_000
#: Characters of the text that stands for a value.
LONGEST_TEXT = 2_000
#: Seconds of processor time that the keys of dicts and sets in a frame may take: honest ones take a seventh of it, ones
#: that were chosen to collide in the tables would take minutes.
KEY_TIME = 0.08
#: Parts (elements, or two bytes of text) up to which a value is packed where it is; see `pack`.
FEW_PARTS = 8_192
#: Parts between two pauses.
_STEPS = 1_000
#: Keys that take no time, whatever they are.
_FEW = 100
#: Characters of the name of a type.
_LONGEST_NAME = 200

TAG = "!"
_HEADER = 4


class FrameError(ValueError):
    """Bytes that are no frame, or a frame that says nothing we understand."""


class TooLargeError(ValueError):
    """A value that does not fit into a frame."""


class ManyPartsError(TooLargeError):
    """A value that takes a while to pack."""


class Record(dict[str, Any]):
    """The fields of a dataclass, a named tuple or a model of the host, in the sandbox: `r["city"]`, or `r.city`.

    Names that begin with an underscore are no fields: numpy, copy and others ask for those, and believe the answer.

    Args:
        fields: The fields.
        hidden: Those that its text leaves out, as the host's does: `field(repr=False)` of a dataclass.
    """

    def __init__(self, fields: Mapping[str, Any] = {}, hidden: Collection[str] = ()) -> None:
        super().__init__(fields)
        self._hidden = frozenset(hidden)

    def __repr__(self) -> str:
        return repr({name: ... if name in self._hidden else part for name, part in self.items()})

    def __getattr__(self, name: str) -> Any:
        if name in self and not name.startswith("_"):
            return self[name]
        fields = ", ".join(list(self)[:20])
        raise AttributeError(f"this record has no field {name!r}; it has: {fields}")


# ---- frames


def encode_frame(frame: dict[str, Any]) -> bytes:
    """A frame as bytes: its length in 4 bytes, big-endian, and its JSON.

    Raises:
        TooLargeError: It would be longer than `MAX_FRAME`.
    """
    body = _dumps(frame).encode("utf-8", "surrogatepass")
    if len(body) + _HEADER > MAX_FRAME:
        raise TooLargeError(_too_large(f"{len(body):,} of {MAX_FRAME:,} bytes"))
    if (excess := _excess(body)) is not None:
        raise TooLargeError(_too_large(f"over {excess}"))
    return len(body).to_bytes(_HEADER, "big") + body


def decode_frame(body: bytes, *, records: bool = False) -> dict[str, Any]:
    """The frame that `encode_frame` wrote, without its length.

    Args:
        body: Its JSON.
        records: Accept a `Record`. The host never does: its attributes would be whatever a sandbox has sent.

    Raises:
        FrameError: It is malformed, or tries to be more than it says.
    """
    if (excess := _excess(body)) is not None:
        raise FrameError(f"over {excess}")
    try:
        _clock.start()
        frame = (_decoder_of_records if records else _decoder).decode(body.decode("utf-8", "surrogatepass"))
    except FrameError:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError, MemoryError, AttributeError, KeyError) as error:
        raise FrameError(f"malformed frame: {type(error).__name__}") from error
    if type(frame) is not dict:
        raise FrameError("a frame is an object")
    return frame


#: More digits than any number has that the encoder writes as one of JSON.
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{26}")
_HALF = re.compile(rb"\xed[\xa0-\xbf]")
_ONE_KIND_OF_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _excess(body: bytes) -> str | None:
    """Of what there is more in a frame than may be read in one go. Takes time in proportion to it, whatever it is."""
    if body.count(b'"!":') > MAX_TAGGED:
        return f"{MAX_TAGGED:,} values that are neither numbers nor text"
    if body.count(b"\xed") > MAX_HALVES and len(_HALF.findall(body)) > MAX_HALVES:
        return f"{MAX_HALVES:,} half characters"
    if body.count(b"[") + body.count(b"{") <= _LEVELS and _LONG_NUMBER.search(body) is None:
        return None
    bare = _without_text(body)
    if _LONG_NUMBER.search(bare) is not None:
        return "25 digits of a number"
    brackets = bare.translate(_ONE_KIND_OF_BRACKETS, _NO_BRACKETS)
    if len(brackets) > 2 * MAX_CONTAINERS:
        return f"{MAX_CONTAINERS:,} lists and dicts"
    for _ in range(_LEVELS):  # each time the innermost pairs go
        if not brackets:
            return None
        brackets = brackets.replace(b"[]", b"")
    return f"{_LEVELS} levels of lists and dicts" if brackets else None


def _without_text(body: bytes) -> bytes:
    """JSON without what stands in quotes."""
    return b"".join(body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


class FrameBuffer:
    """Cuts a stream of bytes into the bodies of frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, data: bytes) -> None:
        """More bytes."""
        self._bytes += data

    def next(self) -> bytes | None:
        """The body of the next frame, if it is complete.

        Raises:
            FrameError: The frame claims to be longer than is allowed.
        """
        buffer = self._bytes
        if len(buffer) < _HEADER:
            return None
        length = int.from_bytes(buffer[:_HEADER], "big")
        if length + _HEADER > MAX_FRAME:
            raise FrameError(f"a frame of {length:,} bytes")
        if len(buffer) < _HEADER + length:
            return None
        body = bytes(buffer[_HEADER : _HEADER + length])
        del buffer[: _HEADER + length]
        return body


# ---- values to JSON


def pack(
    value: object,
    *,
    records: bool = False,
    opaque: list[str] | None = None,
    text: str | None = None,
    few: int | None = None,
    pause: Callable[[], None] | None = None,
) -> Any:
    """`value` as data that JSON can carry; what cannot cross becomes its text, with its type.

    Args:
        value: Any object.
        records: Write the fields of dataclasses and the like as a `Record`, not as a plain dict.
        opaque: Where the types of those parts are noted that cross as their text.
        text: The text of the value, where it is known already.
        few: Give up when it has more parts than this.
        pause: Called every thousand parts; in a thread it lets others have the interpreter.

    Raises:
        ManyPartsError: It has more than a few.
        TooLargeError: It has more parts than a frame may have.
    """
    return _Packer(records, [] if opaque is None else opaque, value, text, few, pause).pack(value, 0)


class _Packer:
    """Packs one value; counts its parts, and knows those it is inside of."""

    def __init__(
        self,
        records: bool,
        opaque: list[str],
        root: object,
        text: str | None,
        few: int | None,
        pause: Callable[[], None] | None,
    ) -> None:
        self._records = records
        self._root = root
        self._root_text = text
        self._opaque = opaque
        self._few = few
        self._pause = pause
        self._steps = 0
        self._parts = self._containers = self._tagged = self._in_ranges = 0
        self._inside: set[int] = set()

    def pack(self, value: Any, depth: int) -> Any:
        """`value` as JSON inside of `depth` levels."""
        if self._pause is not None:
            self._steps += 1
            if self._steps % _STEPS == 0:
                self._pause()
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
        if depth >= DEEPEST or id(value) in self._inside:
            return self._text(value)
        self._inside.add(id(value))
        try:
            return self._container(value, depth + 1)
        except (TooLargeError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - objects that fail to be looked into
            return self._text(value)
        finally:
            self._inside.discard(id(value))

    def _exact(self, value: Any) -> Any:
        """A value of a type that crosses as it is."""
        if type(value) is range:
            if self._in_ranges + _length(value) > LONGEST_RANGE:
                return self._text(value)
            self._in_ranges += _length(value)
        try:
            written: Any = _WRITERS[type(value)](value)
        except TooLargeError:
            raise
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
        """A value that is only related to what can cross."""
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
            if not self._records:
                return self._dict(fields, depth)
            record = {TAG: "record", "v": self._dict(fields, depth + 1), "type": type(value).__name__}
            return self._counted({**record, "hidden": hidden} if (hidden := _hidden_of(value)) else record)
        for family, make in _CONTAINERS:
            if isinstance(value, family):
                return self.pack(make(value), depth)
        return self._text(value)

    def _text(self, value: Any) -> dict[str, str]:
        self._opaque.append(type(value).__name__)
        return self._counted(opaque(value, self._root_text if value is self._root else None))

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
        """A key of a dict or a member of a set; one that would lose its hash on the way crosses as its text."""
        packed = self.pack(value, depth)
        return packed if _is_hashable(packed) else self._text(value)

    def _counted(self, tagged: dict[str, Any]) -> dict[str, Any]:
        self._tagged += 1
        if self._tagged > MAX_TAGGED:
            raise TooLargeError(_too_large(f"over {MAX_TAGGED:,} values that are neither numbers nor text"))
        self._count(8 + (len(tagged["v"]) // 2 if type(tagged["v"]) is str else 0))
        return tagged

    def _contain(self) -> None:
        self._containers += 1
        if self._containers > MAX_CONTAINERS:
            raise TooLargeError(_too_large(f"over {MAX_CONTAINERS:,} lists and dicts"))

    def _count(self, parts: int) -> None:
        """A part takes two bytes at least."""
        self._parts += parts
        self._check(self._parts)

    def _check(self, parts: int) -> None:
        _check_size(2 * parts)
        if self._few is not None and parts > self._few:
            raise ManyPartsError(_too_large("it has many parts"))


def _is_hashable(packed: Any) -> bool:
    """Whether what becomes of packed data can be a key."""
    if type(packed) is list:
        return False
    if type(packed) is not dict:
        return True
    tag = packed.get(TAG)
    if tag in ("tuple", "frozenset"):
        return all(map(_is_hashable, packed["v"]))
    return tag is not None and tag not in ("dict", "set", "bytearray", "record")


def _check_size(size: int) -> None:
    if size > MAX_FRAME:
        raise TooLargeError(_too_large(f"over {MAX_FRAME:,} bytes"))


def _too_large(why: str) -> str:
    return f"the value is too large to cross the sandbox: {why}"


def opaque(value: object, text: str | None = None) -> dict[str, str]:
    """The text that stands for a value that cannot cross."""
    if isinstance(value, Opaque):
        return {TAG: "text", "v": str(value), "type": value.type}
    try:
        text = repr(value) if text is None else text
    except Exception:  # noqa: BLE001 - whatever it is, it must have a text
        text = f"<{type(value).__name__}>"
    if len(text) > LONGEST_TEXT:
        text = text[:LONGEST_TEXT] + "..."
    return {TAG: "text", "v": text, "type": type(value).__name__[:_LONGEST_NAME]}


def _write_int(value: int) -> Any:
    return {TAG: "int", "v": hex(value)} if value.bit_length() <= 4 * LONGEST_INT else None


def _write_decimal(value: Decimal) -> Any:
    text = str(value)  # with a large exponent it is short, and as a whole number has millions of digits
    fits = len(text) <= LONGEST_DECIMAL and abs(value.adjusted()) <= LONGEST_DECIMAL
    return {TAG: "Decimal", "v": text} if fits and _DECIMAL.fullmatch(text) else None


def _write_fraction(value: Fraction) -> Any:
    halves = (value.numerator, value.denominator)
    if max(half.bit_length() for half in halves) > 4 * LONGEST_FRACTION:
        return None
    return {TAG: "Fraction", "v": [hex(half) for half in halves]}


def _write_range(value: range) -> Any:
    parts = (value.start, value.stop, value.step)
    if max(part.bit_length() for part in parts) > 4 * LONGEST_BOUND:
        return None
    return {TAG: "range", "v": [hex(part) for part in parts]}


def _length(value: range) -> int:
    """How many numbers it has; `len` refuses the longest."""
    return abs(value.stop - value.start) // abs(value.step)


def _write_bytes(value: bytes | bytearray) -> Any:
    _check_size(len(value))
    return {TAG: type(value).__name__, "v": b64encode(value).decode()}


def _write_moment(value: datetime | time) -> Any:
    return {TAG: type(value).__name__, "v": value.isoformat(), "fold": value.fold}


#: How exact types are written that JSON does not have; `None` for a value that is too large to cross.
_WRITERS: dict[type, Callable[[Any], Any]] = {
    int: _write_int,
    float: lambda value: {TAG: "float", "v": repr(value)},
    complex: lambda value: {TAG: "complex", "v": [repr(value.real), repr(value.imag)]},
    bytes: _write_bytes,
    bytearray: _write_bytes,
    range: _write_range,
    datetime: _write_moment,
    time: _write_moment,
    date: lambda value: {TAG: "date", "v": value.isoformat()},
    timedelta: lambda value: {TAG: "timedelta", "v": [value.days, value.seconds, value.microseconds]},
    Decimal: _write_decimal,
    Fraction: _write_fraction,
    UUID: lambda value: {TAG: "UUID", "v": str(value)},
    PurePosixPath: lambda value: {TAG: "Path", "v": str(value)},
    Opaque: opaque,
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
#: The same for containers.
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
    """The fields of a dataclass, a named tuple or a pydantic model; `None` for anything else."""
    if isinstance(value, type):
        return None
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(getattr(value, "model_dump", None)):
        return {str(name): getattr(value, name) for name in type(value).model_fields}
    return None


def _hidden_of(value: Any) -> list[str]:
    """The fields of a dataclass that its `repr` leaves out."""
    return (
        [field.name for field in dataclasses.fields(value) if not field.repr] if dataclasses.is_dataclass(value) else []
    )


#: Parts that a number of an array takes at least, by the kind of its type: one byte and a comma where nothing is said.
_PARTS = {"b": 2, "f": 2, "c": 15, "m": 15, "M": 15}


def _parts_of_table(value: Any) -> int:
    """Parts that a value of numpy or pandas takes at least."""
    if type(value).__name__ == "DataFrame":  # each row repeats the names of the columns
        return len(value) * sum(3 + len(str(name)) // 2 for name in value.columns)
    size = getattr(value, "size", 0)
    return size * _PARTS.get(getattr(getattr(value, "dtype", None), "kind", ""), 1) if isinstance(size, int) else 0


def _scientific(value: Any) -> Any:
    """What is sent of a value of numpy or pandas; `_NOTHING` for a type that has no plain form."""
    package = type(value).__module__.partition(".")[0]
    if package == "numpy" and hasattr(value, "tolist"):
        if value.dtype.kind in "mM":  # finer than a microsecond it gives bare numbers
            value = value.astype(f"{value.dtype.kind}8[us]")
        plain = value.tolist()
        return _NOTHING if type(plain) is type(value) else plain
    if package == "pandas":
        name = type(value).__name__
        if name == "DataFrame":
            return value.to_dict("records")
        if name == "Series":
            return value.to_dict()
        if name == "Timestamp":
            return value.to_pydatetime(warn=False)
        if name == "Timedelta":
            return value.to_pytimedelta()
        if name in ("NaTType", "NAType"):
            return None
        if hasattr(value, "tolist"):
            return value.tolist()
    return _NOTHING


# ---- JSON to values


#: Numbers as the encoder writes them. Python itself reads others as well: `1_0`, digits of other scripts, `sNaN`.
_HEX = re.compile(r"-?0x[0-9a-f]+")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?|-?inf|nan")
_DECIMAL = re.compile(r"-?([0-9]+(\.[0-9]+)?(E[+-][0-9]+)?|NaN[0-9]*|Infinity)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _written(text: str, form: re.Pattern[str], longest: int) -> str:
    if len(text) > longest or form.fullmatch(text) is None:
        raise FrameError("a number that is too long, or not written as agreed")
    return text


def _read_int(text: str, longest: int = LONGEST_INT) -> int:
    return int(_written(text, _HEX, longest + 3), 16)


def _read_range(value: list[str]) -> range:
    start, stop, step = value
    found = range(*(_read_int(part, LONGEST_BOUND) for part in (start, stop, step)))
    _clock.in_ranges += _length(found)
    if _clock.in_ranges > LONGEST_RANGE:
        raise FrameError("ranges too long")
    return found


def _read_decimal(text: str) -> Decimal:
    value = Decimal(_written(text, _DECIMAL, LONGEST_DECIMAL))
    if abs(value.adjusted()) > LONGEST_DECIMAL:
        raise FrameError("a decimal number too large")
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
        raise FrameError("a timedelta of whole numbers")
    return timedelta(days, seconds, microseconds)


def _read_dict(pairs: list[list[Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        found[key] = value
        _clock.check()
    return found


def _read_set(parts: list[Any]) -> set[Any]:
    found = set()
    for part in parts:
        found.add(part)
        _clock.check()
    return found


def _read_frozenset(parts: list[Any]) -> frozenset[Any]:
    found = _read_set(parts)
    if len(found) > _FEW:
        _clock.refuse_after(KEY_TIME / 2)  # the copy takes as long again
    return frozenset(found)


class _Clock(threading.local):
    """Ends the reading of a frame whose keys take too long; each thread has its own."""

    _began = _next = 0.0
    in_ranges = 0

    def start(self) -> None:
        self.in_ranges = 0
        self._began = thread_time()
        self._next = monotonic() + KEY_TIME / 2

    def check(self) -> None:
        if monotonic() > self._next:  # which costs less to ask, but counts the time of others too
            self.refuse_after(KEY_TIME)
            self._next = monotonic() + KEY_TIME / 8

    def refuse_after(self, seconds: float) -> None:
        if thread_time() - self._began > seconds:
            raise FrameError("keys that take too long to read")


_clock = _Clock()


def _read_record(fields: Any, hidden: Any) -> Record:
    if type(fields) is not dict:
        raise FrameError("a record has fields")
    return Record(fields, hidden)


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


def _read_with_records(data: dict[str, Any]) -> Any:
    """An object of JSON in the sandbox, where the host is believed."""
    return _read_record(data.get("v"), data.get("hidden", ())) if data.get(TAG) == "record" else _read(data)


def _read(data: dict[str, Any]) -> Any:
    """An object of JSON: a value, if it is tagged."""
    tag = data.get(TAG)
    if tag is None:
        return data
    value = data["v"]
    if tag == "text" and type(value) is str and type(data["type"]) is str:
        return Opaque(value, data["type"][:_LONGEST_NAME])
    if tag in ("datetime", "time") and type(value) is str and data.get("fold") in (0, 1):
        moment = datetime.fromisoformat(value) if tag == "datetime" else time.fromisoformat(value)
        return moment.replace(fold=data["fold"])
    kind, read = _READERS[tag]
    if type(value) is not kind:
        raise FrameError(f"a {tag} is no {type(value).__name__}")
    return read(value)


def _refuse(constant: str) -> Any:
    raise FrameError(f"{constant} is no JSON")


_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode
_decoder = json.JSONDecoder(object_hook=_read, parse_constant=_refuse)
_decoder_of_records = json.JSONDecoder(object_hook=_read_with_records, parse_constant=_refuse)
