"""Where a name of a block belongs, and what comes to it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


@dataclass(eq=False)
class Scope:
    """The names of the module, or of a function, a class or a comprehension in it."""

    kind: str
    parent: Scope | None = None
    bound: dict[str, None] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    params: Sequence[str] = ()
    function: Name | None = None
    vararg: str | None = None

    @cached_property
    def places(self) -> dict[str, int]:
        """The places of the parameters."""
        return {name: place for place, name in enumerate(self.params)}

    def owner(self, name: str) -> Scope:
        """The scope that a name used here belongs to."""
        scope = self
        while scope.parent is not None:
            if name in scope.bound and name not in scope.elsewhere and (scope is self or scope.kind != "class"):
                return scope
            scope = scope.parent
        return scope

    @property
    def in_coroutine(self) -> bool:
        """Whether `await` may stand here."""
        scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope.kind == "coroutine"


class Name(NamedTuple):
    """A name, and the scope it belongs to."""

    scope: Scope
    name: str


class Place(NamedTuple):
    """An expression, and the scope it stands in."""

    value: ast.expr
    scope: Scope


class Flow(NamedTuple):
    """An expression whose value comes to a name: as it is, as a part of it, or in parts."""

    value: ast.expr
    scope: Scope
    how: str
