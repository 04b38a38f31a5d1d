"""Which calls of tools a block awaits, directly or through names, containers, functions and attributes."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tinyagent.sandbox.awaits.facts import Facts
from tinyagent.sandbox.awaits.scopes import Flow, Name, Place, Scope

#: Methods, and functions, whose value is a part of a container, or another container with its parts.
_TAKE = frozenset({"values", "items", "pop", "popleft", "get", "copy"})
_CONTAINERS = frozenset({"list", "tuple", "set", "dict", "zip", "enumerate", "reversed", "sorted", "iter"})
#: Functions that call the function they are given and return its value.
_CALLING = frozenset({"reduce"})
#: Functions that give a part or the parts of what they are given.
_GIVING = _CONTAINERS | {"next", "max", "min"}
#: The methods of Python's data types.
_OF_DATA = frozenset().union(*map(dir, (str, bytes, list, dict, set, int, float)))
#: Expressions whose value may be that of an operand: where their operands are.
_OPERANDS: dict[type[ast.expr], tuple[str, ...]] = {
    ast.IfExp: ("body", "orelse"),
    ast.BoolOp: ("values",),
    ast.BinOp: ("left", "right"),
    ast.NamedExpr: ("value",),
}
#: Expressions whose value is a container: where their elements are.
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


class Calls(NamedTuple):
    """How the calls of tools in a block are meant: to be awaited, or as their values.

    Attributes:
        awaited: Calls of tools whose values the code awaits, each of them for certain.
        direct: The awaited calls that are awaited where they stand.
        values: Calls of what may be a tool under another name, and of `map` with one, whose values are used as such.
        loose: Calls of other functions that may give the value of a tool's call, whose values are used as such.
    """

    awaited: frozenset[ast.expr] = frozenset()
    direct: frozenset[ast.expr] = frozenset()
    values: frozenset[ast.expr] = frozenset()
    loose: frozenset[ast.expr] = frozenset()


def awaited_calls(facts: Facts) -> set[ast.expr]:
    """Return the calls of tools whose values the code awaits, each of them for certain.

    Where a name is also used in another way, the value might be meant: calls that come to such a name are left out.
    """
    return _marks_of(facts, _consumed(facts)).found


def _marks_of(facts: Facts, roots: list[tuple[Place, bool]]) -> _Marks:
    """Return what comes to the roots and is used in no other way; for the form of roots, see `_Marks`."""
    marks = _Marks(facts, set(), roots)
    used = {facts.name_of(node, scope) for node, scope in facts.loads if node not in marks.visited}
    return _Marks(facts, used, roots)


def calls_of(facts: Facts) -> Calls:
    """Return how the calls of tools in a block are meant."""
    marks = _marks_of(facts, _consumed(facts))
    awaited = marks.found
    direct = _Marks(facts, set(), _consumed(facts), follow=False).found
    escaping = _marks_of(facts, [(place, parts) for place in facts.escaping for parts in (False, True)])
    origins = _Origins(facts)
    others = {call for call, scope in facts.calls if not facts.is_tool(call, scope) and origins.is_tool(call, scope)}
    maps = {call for call, scope in facts.calls if _last_name(call.func) == "map" and origins.is_mapped(call, scope)}
    loose = {call for call, scope in facts.calls if facts.loose and _may_call(facts, call.func, scope)}
    loose -= others | maps | marks.calls | escaping.calls
    others = others - escaping.found | maps
    return Calls(frozenset(awaited), frozenset(direct & awaited), frozenset(others - awaited), frozenset(loose))


def _may_call(facts: Facts, function: ast.expr, scope: Scope) -> bool:
    """Return whether a function that is no tool may call a tool it was given, and give what the tool gives."""
    if isinstance(function, ast.Attribute):
        name, whole = facts.name_of(function, scope), function.value
        while isinstance(whole, ast.Attribute):
            whole = whole.value
        of_module = isinstance(whole, ast.Name) and facts.name_of(whole, scope) in facts.imported
        return name in facts.returns or name in facts.flows or not (of_module or function.attr in _OF_DATA)
    if not isinstance(function, ast.Name):
        return True
    name = facts.name_of(function, scope)
    if function.id in facts.tools or name in facts.imported or name in facts.coroutines:
        return function.id in _CALLING
    if name in facts.functions:
        return name in facts.returns or name in facts.yields
    return function.id in _GIVING or not hasattr(builtins, function.id)


def gives_calls(facts: Facts, call: ast.Call, scope: Scope) -> bool:
    """Return whether the value of a call may be, or hold, the awaitable of a tool's call."""
    return bool(_Marks(facts, set(), [(Place(call, scope), False), (Place(call, scope), True)]).found)


def _consumed(facts: Facts) -> list[tuple[Place, bool]]:
    """Return the expressions that are awaited, each with whether its parts are, not itself."""
    roots = [(place, False) for place in (*facts.awaited, *facts.gathered, *facts.consumed)]
    return roots + [(place, True) for place in facts.consumed]


class _Origins:
    """Follows functions back to where they come from: whether they may be tools."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._names: dict[tuple[Name, bool], bool] = {}
        self._values: dict[tuple[ast.expr, bool], bool] = {}

    def is_tool(self, call: ast.Call, scope: Scope) -> bool:
        """Return whether a call may be that of a tool, under whatever name."""
        return self._may_be(call.func, scope)

    def is_mapped(self, call: ast.Call, scope: Scope) -> bool:
        """Return whether the function that `map` is given may be a tool."""
        return bool(call.args) and self._may_be(call.args[0], scope)

    def _may_be(self, value: ast.expr, scope: Scope) -> bool:
        """Return whether a value may be a tool."""
        return self._once(value, scope, holds=False)

    def _may_hold(self, value: ast.expr, scope: Scope) -> bool:
        """Return whether a part of a value may be a tool."""
        return self._once(value, scope, holds=True)

    def _once(self, value: ast.expr, scope: Scope, *, holds: bool) -> bool:
        if (value, holds) not in self._values:
            self._values[value, holds] = False  # the answer for a value that comes from itself
            self._values[value, holds] = self._holds(value, scope) if holds else self._is(value, scope)
        return self._values[value, holds]

    def _is(self, value: ast.expr, scope: Scope) -> bool:
        if isinstance(value, ast.Name | ast.Attribute):
            if isinstance(value, ast.Name) and self._facts.names_tool(value.id, scope):
                return True
            return self._named(self._facts.name_of(value, scope), holds=False)
        if isinstance(value, ast.Subscript):
            return self._may_hold(value.value, scope)
        if isinstance(value, ast.Call):
            name = _last_name(value.func)
            if name == "partial" and value.args:
                return self._may_be(value.args[0], scope)
            return isinstance(value.func, ast.Attribute) and name in _TAKE and self._may_hold(value.func.value, scope)
        operands = _children(value, *_OPERANDS.get(type(value), ()))
        return any(self._may_be(operand, scope) for operand in operands)

    def _holds(self, value: ast.expr, scope: Scope) -> bool:
        kind = type(value)
        if isinstance(value, ast.Name | ast.Attribute):
            return self._named(self._facts.name_of(value, scope), holds=True)
        if isinstance(value, ast.Starred | ast.Subscript):
            return self._may_hold(value.value, scope)
        if kind in _ELEMENTS:
            inner = self._facts.inner.get(value, scope)
            parts = list(_children(value, _ELEMENTS[kind]))
            return any(self._may_be(part, inner) or self._may_hold(part, inner) for part in parts)
        if isinstance(value, ast.Call):
            held = list(value.args) if _last_name(value.func) in _CONTAINERS else []
            if isinstance(value.func, ast.Attribute) and value.func.attr in _TAKE:
                held.append(value.func.value)
            return any(self._may_hold(part, scope) for part in held)
        return any(self._may_hold(operand, scope) for operand in _children(value, *_OPERANDS.get(kind, ())))

    def _named(self, name: Name, *, holds: bool) -> bool:
        if (name, holds) not in self._names:
            self._names[name, holds] = False
            flows = (*self._facts.flows.get(name, ()), *_passed(self._facts, name))
            self._names[name, holds] = any(self._comes(flow, holds=holds) for flow in flows)
        return self._names[name, holds]

    def _comes(self, flow: Flow, *, holds: bool) -> bool:
        if flow.how == "part" and holds:
            return self._may_be(flow.value, flow.scope) or self._may_hold(flow.value, flow.scope)
        if flow.how == "parts" or (flow.how == "same" and holds):
            return self._may_hold(flow.value, flow.scope)
        return flow.how == "same" and self._may_be(flow.value, flow.scope)


class _Marks:
    """Follows awaited values back to where they come from.

    Args:
        facts: What is known of the block.
        used: Names whose values are used in other ways, too.
        roots: The expressions that are awaited, each with whether its parts are, not itself.
        follow: Whether to go on behind names.

    Attributes:
        found: The calls of tools that awaited values come from.
        visited: The uses of names that awaited values come through.
        calls: All calls that awaited values come from.
    """

    def __init__(
        self, facts: Facts, used: set[Name], roots: Iterable[tuple[Place, bool]], *, follow: bool = True
    ) -> None:
        self.found: set[ast.expr] = set()
        self.visited: set[ast.expr] = set()
        self.calls: set[ast.expr] = set()
        self._facts = facts
        self._used = used
        self._follow = follow
        self._origins = _Origins(facts)
        self._done: set[tuple[ast.expr, bool]] = set()
        self._seen: set[tuple[Name, bool]] = set()
        self._called: set[tuple[Name, bool]] = set()
        self._functions: set[tuple[ast.expr, bool, bool]] = set()
        for (value, scope), parts in roots:
            self._mark(value, scope, parts)

    def _mark(self, value: ast.expr, scope: Scope, parts: bool) -> None:
        """Note that a value is awaited; with `parts`, that its parts are."""
        if (value, parts) in self._done:
            return
        self._done.add((value, parts))
        kind = type(value)
        if isinstance(value, ast.Call):
            self._mark_call(value, scope, parts)
        elif isinstance(value, ast.Name | ast.Attribute):
            self.visited.add(value)
            self._mark_name(self._facts.name_of(value, scope), parts)
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
        self.calls.add(call)
        if not parts and self._origins.is_tool(call, scope):  # what holds awaited parts is not awaited itself
            self.found.add(call)
        if isinstance(function, ast.Attribute) and function.attr in _TAKE:
            self._mark(function.value, scope, True)
        elif isinstance(function, ast.Subscript):
            self._mark_called(function, scope, False, parts)
        elif isinstance(function, ast.Name | ast.Attribute) and not self._facts.is_tool(call, scope):
            self._mark_called(function, scope, False, parts)
            if parts and isinstance(function, ast.Name) and function.id in _CONTAINERS:
                for argument in call.args:
                    self._mark(argument, scope, True)
            elif parts and isinstance(function, ast.Name) and function.id == "map" and call.args:
                self._mark_mapped(call, call.args[0], scope)

    def _mark_mapped(self, call: ast.Call, function: ast.expr, scope: Scope) -> None:
        """Note that the values are awaited of the function that `map` calls."""
        if isinstance(function, ast.Lambda):
            self._mark(function.body, self._facts.inner[function], False)
        elif self._origins.is_mapped(call, scope):
            self.found.add(call)
        elif isinstance(function, ast.Name):
            self._mark_called(function, scope, False, False)

    def _mark_called(self, function: ast.expr, scope: Scope, held: bool, parts: bool) -> None:
        """Note that the value of a function is awaited; with `held`, the values of the functions in a container."""
        if (function, held, parts) in self._functions:
            return
        self._functions.add((function, held, parts))
        if isinstance(function, ast.Lambda):
            if not held:
                self._mark(function.body, self._facts.inner[function], parts)
        elif isinstance(function, ast.Name | ast.Attribute):
            self.visited.add(function)
            self._mark_called_name(self._facts.name_of(function, scope), held, parts)
        else:
            for value, inner, within in _inside(self._facts, function, scope, held):
                self._mark_called(value, inner, within, parts)

    def _mark_called_name(self, name: Name, held: bool, parts: bool) -> None:
        if name in self._used or not self._follow:
            return
        if not held:
            self._mark_returned(name, parts)
        for value, scope, how in (*self._facts.flows.get(name, ()), *_passed(self._facts, name)):
            if how != "part" or held:
                self._mark_called(value, scope, how == "parts" or (how == "same" and held), parts)

    def _mark_returned(self, name: Name, parts: bool) -> None:
        """Note that what a function of the code returns is awaited; with `parts`, also what it yields."""
        if (name, parts) in self._called:
            return
        self._called.add((name, parts))
        for value, inner in self._facts.returns.get(name, ()):
            self._mark(value, inner, parts)
        for value, inner in self._facts.yields.get(name, ()) if parts else ():
            self._mark(value, inner, False)

    def _mark_name(self, name: Name, parts: bool) -> None:
        if (name, parts) in self._seen or not self._follow:
            return
        self._seen.add((name, parts))
        unclear = name in self._used and not parts
        for value, scope, how in (*self._facts.flows.get(name, ()), *_passed(self._facts, name)):
            if how == "parts":
                self._mark(value, scope, True)
            elif how == "same":
                if not (unclear and isinstance(value, ast.Call)):
                    self._mark(value, scope, parts)
            elif parts:
                self._mark_part(value, scope)


def _inside(facts: Facts, value: ast.expr, scope: Scope, held: bool) -> Iterator[tuple[ast.expr, Scope, bool]]:
    """Yield the expressions that a value comes from: each with its scope, and whether the value is a part of it.

    With `held`, this is about what the value holds, not about the value.
    """
    if isinstance(value, ast.Subscript):
        yield value.value, scope, True
    elif isinstance(value, ast.Call):
        if isinstance(value.func, ast.Attribute) and value.func.attr in _TAKE:
            yield value.func.value, scope, True
    elif type(value) in _ELEMENTS and held:
        for element in _children(value, _ELEMENTS[type(value)]):
            for within in (False, True):
                yield element, facts.inner.get(value, scope), within
    else:
        for operand in _children(value, *_OPERANDS.get(type(value), ())):
            yield operand, scope, held


def _passed(facts: Facts, name: Name) -> Iterator[Flow]:
    """Yield what the code's calls of a function or class pass to a parameter, or for a field."""
    function, params = name.scope.function, name.scope.params
    if function is not None and name.name == name.scope.vararg:
        yield from (Flow(*place, "part") for place in facts.given_from(function, len(params)))
    elif function is not None and name.name in name.scope.places:
        yield from _given(facts, function, name.scope.places[name.name], name.name)
    elif name.name[:1] == ".":
        for made, place in facts.fields.get(name.name[1:], ()):
            yield from _given(facts, made, place, name.name[1:])


def _given(facts: Facts, function: Name, place: int, keyword: str) -> Iterator[Flow]:
    for value, scope in (*facts.given(function, place), *facts.given(function, keyword)):
        yield Flow(value, scope, "same")


def _last_name(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _children(node: ast.expr, *names: str) -> Iterator[ast.expr]:
    for name in names:
        found = getattr(node, name)
        yield from found if isinstance(found, list) else [found]
