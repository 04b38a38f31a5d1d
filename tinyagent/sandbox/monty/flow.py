"""Which calls of tools a block awaits, directly or through names, containers and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tinyagent.sandbox.monty.facts import Facts
from tinyagent.sandbox.monty.scopes import Flow, Name, Place, Scope

#: Methods and functions whose value is a part, or holds the parts, of a container.
_TAKE = frozenset({"values", "items", "pop", "popleft", "get", "copy"})
_CONTAINERS = frozenset({"list", "tuple", "set", "dict", "zip", "enumerate", "reversed", "sorted", "iter"})
#: Expressions that are one of their operands, and those that hold theirs.
_OPERANDS: dict[type[ast.expr], tuple[str, ...]] = {
    ast.IfExp: ("body", "orelse"),
    ast.BoolOp: ("values",),
    ast.BinOp: ("left", "right"),
    ast.NamedExpr: ("value",),
}
_ELEMENTS: dict[type[ast.expr], str] = {
    ast.List: "elts",
    ast.Tuple: "elts",
    ast.Set: "elts",
    ast.Dict: "values",
    ast.ListComp: "elt",
    ast.SetComp: "elt",
    ast.GeneratorExp: "elt",
    ast.DictComp: "value",
}


def awaited_calls(facts: Facts) -> set[ast.expr]:
    """The calls of tools whose values the code awaits, each of them for certain.

    Where a name is also used in another way, its value might be meant: those calls are left out.
    """
    marks = _Marks(facts, set())
    used = {Name(scope.owner(node.id), node.id) for node, scope in facts.loads if node not in marks.visited}
    return _Marks(facts, used).found


class _Marks:
    """Follows awaited values back to where they come from."""

    def __init__(self, facts: Facts, used: set[Name]) -> None:
        self.found: set[ast.expr] = set()
        self.visited: set[ast.Name] = set()
        self._facts = facts
        self._used = used
        self._seen: set[tuple[Name, bool]] = set()
        for value, scope in (*facts.awaited, *facts.gathered):
            self._mark(value, scope, False)

    def _mark(self, value: ast.expr, scope: Scope, parts: bool) -> None:
        """The value is awaited; or, if so told, its parts are."""
        kind = type(value)
        if isinstance(value, ast.Call):
            self._mark_call(value, scope, parts)
        elif isinstance(value, ast.Name):
            self.visited.add(value)
            self._mark_name(Name(scope.owner(value.id), value.id), parts)
        elif isinstance(value, ast.Starred | ast.Subscript):
            self._mark(value.value, scope, True)
        elif kind in _OPERANDS:
            for operand in _children(value, *_OPERANDS[kind]):
                self._mark(operand, scope, parts)
        elif kind in _ELEMENTS and parts:
            for element in _children(value, _ELEMENTS[kind]):
                self._mark_part(element, self._facts.inner.get(value, scope))

    def _mark_part(self, value: ast.expr, scope: Scope) -> None:
        self._mark(value, scope, False)
        self._mark(value, scope, True)

    def _mark_call(self, call: ast.Call, scope: Scope, parts: bool) -> None:
        function = call.func
        if isinstance(function, ast.Attribute):
            if function.attr in _TAKE:
                self._mark(function.value, scope, True)
        elif self._facts.is_tool(call, scope):
            if not parts:  # what holds awaited parts is not awaited itself
                self.found.add(call)
        elif isinstance(function, ast.Name):
            self.visited.add(function)
            name = Name(scope.owner(function.id), function.id)
            if name not in self._used:
                for value, inner in self._returned(name):
                    self._mark(value, inner, parts)
            if parts and function.id in _CONTAINERS:
                for argument in call.args:
                    self._mark(argument, scope, True)

    def _returned(self, name: Name) -> Iterator[Place]:
        """What a function of the code returns."""
        yield from self._facts.returns.get(name, ())
        for flow in self._facts.flows.get(name, ()):
            if isinstance(flow.value, ast.Lambda):
                yield Place(flow.value.body, self._facts.inner[flow.value])

    def _mark_name(self, name: Name, parts: bool) -> None:
        if (name, parts) in self._seen:
            return
        self._seen.add((name, parts))
        unclear = name in self._used and not parts
        for value, scope, how in (*self._facts.flows.get(name, ()), *self._passed(name)):
            if how == "parts":
                self._mark(value, scope, True)
            elif how == "same":
                if not (unclear and isinstance(value, ast.Call) and self._facts.is_tool(value, scope)):
                    self._mark(value, scope, parts)
            elif parts:
                self._mark_part(value, scope)

    def _passed(self, name: Name) -> Iterator[Flow]:
        """What is passed to a parameter, where the code calls its function."""
        if name.scope.function is None or name.name not in name.scope.params:
            return
        place = name.scope.params.index(name.name)
        for call, scope in self._facts.calls:
            function = call.func
            if isinstance(function, ast.Name) and Name(scope.owner(function.id), function.id) == name.scope.function:
                yield from (Flow(argument, scope, "same") for argument in call.args[place : place + 1])
                yield from (Flow(word.value, scope, "same") for word in call.keywords if word.arg == name.name)


def _children(node: ast.expr, *names: str) -> Iterator[ast.expr]:
    for name in names:
        found = getattr(node, name)
        yield from found if isinstance(found, list) else [found]
