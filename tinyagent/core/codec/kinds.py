"""The limits, the errors and the own types of the codec, on which its writing and its reading agree."""

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
#: Half characters (lone surrogates) of one text: each takes as long as a hundred other characters.
MAX_HALVES = 20_000
#: Levels of JSON that a value may have, so that `repr`, `copy` and `json` can follow; deeper parts become their text.
DEEPEST = 150
#: Characters of the text that stands for a value, and of the name of its type.
LONGEST_TEXT, LONGEST_NAME = 2_000, 200


class MalformedError(ValueError):
    """The bytes or text to read are not what the codec writes."""


class TooLargeError(ValueError):
    """A value takes more bytes or parts than may be read in one go."""


class ManyPartsError(TooLargeError):
    """A value has more parts than `pack` was asked to pack (`few`)."""


def too_large(why: str) -> TooLargeError:
    """Return the error for a value that is too large to cross the sandbox."""
    return TooLargeError(f"the value is too large to cross the sandbox: {why}")


class Opaque(str):
    """The text of a value that could not leave the sandbox, or enter it.

    Attributes:
        type: The name of the value's class.
    """

    __slots__ = ("type",)

    type: str

    def __new__(cls, text: str, type: str = "object") -> Opaque:  # noqa: A002 - the value's type
        """Make the text that stands for a value of a class, by the class's name."""
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
        hidden: The names of the fields that its `repr` leaves out, as `field(repr=False)` of a dataclass does.
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
