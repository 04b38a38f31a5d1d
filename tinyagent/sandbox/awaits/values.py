"""What a value of the code may be, as far as tools and what their calls give are concerned."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple, TypeAlias

Source: TypeAlias = ast.AST | str

#: How far a value is from what it is about: it is that itself; it holds it; nobody knows which.
ITSELF, INSIDE, EITHER = range(3)


class Value(NamedTuple):
    """What a value may be.

    Attributes:
        source: Where a tool is named, a function or class of the code, or the name of a function of asyncio; the call,
            for what a call gives.
        called: Whether it is not the tool but what calls of it give.
        depth: Whether the value is that itself, holds it, or either.
    """

    source: Source
    called: bool = False
    depth: int = ITSELF


class Given(NamedTuple):
    """What a call gives to a function: by place, by `*`, by name."""

    placed: Sequence[Set[Value]] = ()
    spread: Set[Value] = frozenset()
    named: Sequence[tuple[str | None, Set[Value]]] = ()

    @property
    def unnamed(self) -> set[Value]:
        """What is given by place."""
        return {value for values in (self.spread, *self.placed) for value in values}

    @property
    def by_name(self) -> set[Value]:
        """What is given by name."""
        return {value for _, values in self.named for value in values}


def inside(values: Iterable[Value]) -> Set[Value]:
    """Return a container of the values."""
    return {Value(value.source, value.called, INSIDE) for value in values}
