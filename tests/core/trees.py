"""Trees of values of every kind, well behaved or not, for tests of whatever must never fail."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import io
import ipaddress
import math
import pathlib
import re
import types
import uuid
import weakref

import numpy as np
import pydantic
from hypothesis import strategies as st

from tinyagent.core.codec import Opaque, Record


class Color(enum.Enum):
    RED = (1, 2)


class Flags(enum.IntFlag):
    A = 1
    B = 2


Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass
class Box:
    inside: object


class Loose(pydantic.BaseModel):
    inside: object


class RaisesAnything(Exception):
    """Raised by what misbehaves."""


def _fail(*_, **__):
    raise RaisesAnything("no")


class Silent:
    """Has no text, and no attributes."""

    __str__ = __repr__ = __format__ = __getattr__ = __eq__ = __bool__ = __len__ = _fail
    __hash__ = object.__hash__


class Liar:
    """Says it is of another class, and fails when it is asked."""

    @property
    def __class__(self):
        raise RaisesAnything("no")


class WrongText:
    """Gives no text where text is due."""

    def __str__(self):
        return 5  # noqa: PLE0307

    def __repr__(self):
        return None


class LoudText(str):
    """A text that fails at whatever is done with it."""

    __slots__ = ()
    __str__ = __repr__ = __format__ = __len__ = __iter__ = __eq__ = encode = _fail
    __hash__ = object.__hash__  # as keys of one dict two of them are never compared


class GivesLoudText:
    """Its text fails at whatever is done with it."""

    def __str__(self):
        return LoudText("loud")


class BadList(list):
    """A list that cannot be read."""

    __iter__ = __len__ = __repr__ = __getitem__ = _fail


class BadDict(dict):
    """A dict that cannot be read."""

    __iter__ = __len__ = __repr__ = items = keys = values = _fail


class BadInt(int):
    """A number that cannot be printed."""

    __repr__ = __str__ = __int__ = __index__ = _fail


class BadFloat(float):
    """A number that cannot be printed."""

    __repr__ = __str__ = __float__ = _fail


class BadMapping(collections.abc.Mapping):
    """A mapping that cannot be read."""

    __iter__ = __len__ = __getitem__ = _fail


@dataclasses.dataclass
class BadField:
    """A dataclass whose field cannot be read."""

    inside: int = 0

    def __getattribute__(self, name):
        if name == "inside":
            raise RaisesAnything("no")
        return super().__getattribute__(name)


class BadForModel:
    """Its text for the model fails at whatever is done with it."""

    def for_model(self):
        return LoudText("loud")


class BadMeta(type):
    """A class without a name."""

    __name__ = property(_fail)
    __repr__ = _fail


class Nameless(Silent, metaclass=BadMeta):
    """An object whose class has no name."""


def _generator():
    yield 1
    raise RaisesAnything("no")


def _cycle():
    around = [1]
    around.append({"around": around})
    return around


def _deep(wrap, depth):
    value = 1
    for _ in range(depth):
        value = wrap(value)
    return value


#: Makers of values, since some can be read only once.
STRANGE = [
    *(Silent, Liar, WrongText, GivesLoudText, BadMapping, BadField, BadForModel, Nameless, _generator, _cycle),
    lambda: LoudText("loud"),
    lambda: BadList([1]),
    lambda: BadDict(a=1),
    lambda: BadInt(5),
    lambda: BadFloat(5),
    lambda: 2**20_000,
    lambda: -(10**5_000),
    lambda: decimal.Decimal("sNaN"),
    lambda: decimal.Decimal("1E+999999"),
    lambda: fractions.Fraction(10**50, 3),
    lambda: float("nan"),
    lambda: complex(math.inf, math.nan),
    lambda: range(10**30),
    lambda: slice(1, None),
    lambda: dt.timedelta.max,
    lambda: dt.datetime(1, 1, 1, tzinfo=dt.UTC),
    lambda: dt.time(1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    lambda: "\ud800\x1b]52;c;x\x07\u202e",
    lambda: bytearray(b"\xff"),
    lambda: memoryview(b"\xff"),
    lambda: array.array("d", [1.5]),
    lambda: np.arange(6).reshape(2, 3),
    lambda: np.float32(1.5),
    lambda: np.datetime64("2024-01-01"),
    lambda: np.array([object()]),
    lambda: Color.RED,
    lambda: Flags.A | Flags.B,
    lambda: uuid.UUID(int=1),
    lambda: pathlib.Path("a"),
    lambda: re.compile("a"),
    lambda: re.match("a", "a"),
    lambda: ipaddress.ip_address("::1"),
    lambda: io.BytesIO(b"a"),
    lambda: map(str, [1, Silent()]),
    lambda: len,
    lambda: Box,
    lambda: list[int],
    lambda: int | None,
    lambda: types.SimpleNamespace(a=Silent()),
    lambda: types.MappingProxyType({"a": Silent()}),
    lambda: collections.ChainMap({"a": 1}),
    lambda: collections.Counter("aab"),
    lambda: collections.defaultdict(list, a=[Silent()]),
    {"a": 1}.items,
    lambda: ValueError(Silent()),
    lambda: ExceptionGroup("g", [ValueError(1)]),
    lambda: weakref.ref(Box),
    lambda: Opaque("x", "Thing"),
    lambda: Record({"a": Silent(), "__array_interface__": {"data": (8, False)}}),
    lambda: NotImplemented,
    lambda: ...,
    lambda: _deep(lambda inner: [inner], 3_000),
    lambda: _deep(lambda inner: {"a": inner}, 3_000),
    lambda: _deep(Box, 3_000),
    lambda: _deep(lambda inner: (inner,), 300),
]

STRANGE_KEYS = [Silent, GivesLoudText, Nameless, lambda: 2**20_000, lambda: LoudText("k")]


def _made(makers):
    return st.integers(0, len(makers) - 1).map(lambda number: makers[number]())


_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.decimals()
    | st.fractions()
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | _made(STRANGE)
)
_keys = (
    st.text()
    | st.integers()
    | st.tuples(st.integers(), st.text())
    | st.dates()
    | st.binary()
    | st.floats()
    | _made(STRANGE_KEYS)
)


def _hashable(value):
    try:
        hash(value)
    except Exception:
        return False
    return True


#: Any value: JSON or not, with keys that are no text, classes that misbehave, cycles, great depth.
values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_keys, inner, max_size=3)
        | st.tuples(inner, inner)
        | st.lists(inner.filter(_hashable), max_size=2).map(collections.deque)
        | inner.map(Box)
        | inner.map(lambda value: Loose.model_construct(inside=value))
        | inner.map(lambda value: Pair(value, 1))
        | inner.map(lambda value: {"a": value}.values())
    ),
    max_leaves=6,
)
