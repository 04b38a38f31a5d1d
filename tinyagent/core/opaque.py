"""The text of a value that could not cross between an agent and its sandbox."""

from __future__ import annotations


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
