"""What both ways of the codec agree on: the limits, the errors, and the two types of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

#: The key that tells a tagged value from a dict: `{"!": "set", "v": [1, 2]}`.
TAG = "!"
#: Bytes of the longest text.
MAX_BYTES = 1 << 20
#: Lists and objects of one text; more would hold up the event loop that reads it.
MAX_CONTAINERS = 50_000
#: Values of one text that JSON has no form for.
MAX_TAGGED = 20_000
#: Half characters (lone surrogates) of one text: each takes as long as a hundred others.
MAX_HALVES = 20_000
#: Levels of JSON that a value may have; what lies deeper is written as its text. `repr`, `copy` and `json` can follow.
DEEPEST = 150
#: Hexadecimal digits of the largest whole number: of 4,300 decimal ones, which is what `repr` writes.
LONGEST_INT = 3_500
#: The same for each half of a fraction, whose common divisors must be found.
LONGEST_FRACTION = 1_000
#: The same for each bound of a range, and how many numbers all ranges of a text have: lists are made of them.
LONGEST_BOUND, LONGEST_RANGE = 1_000, 100_000
#: Digits of a decimal number, and its exponent.
LONGEST_DECIMAL = 5_000
#: Characters of the text that stands for a value, and of the name of its type.
LONGEST_TEXT, LONGEST_NAME = 2_000, 200


class MalformedError(ValueError):
    """Bytes that the codec has not written, or that tell nothing it knows."""


class TooLargeError(ValueError):
    """A value that takes more bytes or parts than may be read in one go."""


class ManyPartsError(TooLargeError):
    """A value that takes a while to pack."""


def too_large(why: str) -> TooLargeError:
    """Return the error of a value of which there is too much."""
    return TooLargeError(f"the value is too large to cross the sandbox: {why}")


class Opaque(str):
    """The text of a value that could not leave the sandbox, or enter it.

    Attributes:
        type: The name of the value's class.
    """

    __slots__ = ("type",)

    type: str

    def __new__(cls, text: str, type: str = "object") -> Opaque:  # noqa: A002 - the value's type
        """The text of a value of that type."""
        self = super().__new__(cls, text)
        self.type = type
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return Opaque, (str(self), self.type)


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
