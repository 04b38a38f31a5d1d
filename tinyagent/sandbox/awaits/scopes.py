"""Where a name of a block belongs, and what comes to it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


@dataclass(eq=False)
class Scope:
    """A scope of a block: its module, or a function, a class or a comprehension in it.

    Attributes:
        kind: `module`, `function`, `coroutine`, `class` or `comprehension`.
        parent: The scope around this one.
        bound: The names bound in the scope, in order.
        elsewhere: The names declared global or nonlocal.
        params: The parameters of a function, in order, without `*args` and `**kwargs`.
        function: The name of a function; `None` for a lambda.
        vararg: The name of a function's `*args`.
    """

    kind: str
    parent: Scope | None = None
    bound: dict[str, None] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    params: Sequence[str] = ()
    function: Name | None = None
    vararg: str | None = None

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each parameter, by its name."""
        return {name: place for place, name in enumerate(self.params)}

    def owner(self, name: str) -> Scope:
        """Return the scope that a name used in this scope belongs to."""
        scope = self
        while scope.parent is not None:
            if name in scope.bound and name not in scope.elsewhere and (scope is self or scope.kind != "class"):
                return scope
            scope = scope.parent
        return scope

    @property
    def in_coroutine(self) -> bool:
        """Whether `await` may stand in this scope."""
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
    """An expression whose value comes to a name.

    Attributes:
        value: The expression.
        scope: The scope it stands in.
        how: `same`: the name has the value; `part`: the name has a container with the value in it; `parts`: the name
            has a part of the value.
    """

    value: ast.expr
    scope: Scope
    how: str
