"""Which calls of tools a block awaits, directly or through names, containers, functions and attributes.

The block is read as often as it takes until it is known which tools, and what of the calls of tools, each name may
hold. A call is started, and its awaitable handed on, only where the value is awaited and never looked at in another
way. What the code hands to functions that are not its own counts as looked at, so that a call of which too little is
known gives its value: at worst calls run one after the other.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Mapping, Set
from contextlib import suppress

from tinyagent.sandbox.awaits.names import names_bound, parameters
from tinyagent.sandbox.awaits.reader import CONSUMERS, Reader, TooMuch
from tinyagent.sandbox.awaits.values import INSIDE, Given, Source, Value, inside

#: Methods that put what they are given into a container, and those that put its parts there.
_ADD = frozenset({"add", "append", "appendleft", "insert", "setdefault"})
_EXTEND = frozenset({"extend", "extendleft", "update"})
#: Functions and methods that give what they are given, or its parts in another order or container.
_SAME = frozenset(
    {
        "cache",
        "chain",
        "classmethod",
        "copy",
        "deque",
        "dict",
        "enumerate",
        "frozenset",
        "items",
        "iter",
        "keys",
        "list",
    }
    | {"lru_cache", "partial", "reversed", "set", "sorted", "staticmethod", "tuple", "values", "zip"}
)
#: Those that give a part of it.
_PART = frozenset({"get", "max", "min", "next", "pop", "popleft", "setdefault"})
#: Those that give what the function gives that they are given first.
_CALLING = frozenset({"map", "starmap"})
#: Those that look at what they are given, but not into it; those that do; both call none of it.
_LOOKING = frozenset(
    {"abs", "bool", "callable", "int", "isinstance", "len", "range", "round", "sleep", "type", "wraps"}
)
_SHOWING = frozenset({"format", "join", "print", "repr", "str", "sum"})
#: Parameters of asyncio for what is awaited.
_AWAITED = frozenset({"arg", "coro", "coro_or_future", "fs", "fut"})
_NOTHING: Set[Value] = frozenset()


class Flow(Reader):
    """What a block does with tools and with the values of their calls.

    Args:
        tree: The block.
        tools: The names of the tools.
        earlier: Statements of earlier blocks, by the name that each binds.

    Attributes:
        names: The global names that the block binds, in order.
        calls: The calls of what may be a tool.
        results: What the calls of the block give.
        coroutines: Calls that are awaitable whatever tools there are.
        started: Those of the points and calls where values are awaited, each of them for certain.

    Raises:
        RecursionError: The code is nested too deep.
    """

    def __init__(self, tree: ast.Module, tools: Collection[str], earlier: Mapping[str, ast.stmt]) -> None:
        self.names = names_bound(tree)
        known = {name: statement for name, statement in earlier.items() if name not in self.names}
        super().__init__({*tools}, {*self.names, *known})
        self.calls: dict[ast.Call, None] = {}
        self.results: dict[ast.Call, Set[Value]] = {}
        self.coroutines: set[ast.Call] = set()
        self.started: set[Source] = set()
        self._given_by: defaultdict[Source, set[Source]] = defaultdict(set)
        with suppress(TooMuch):  # then no call counts as awaited
            self.read([*known.values(), *tree.body])
            self._conclude()

    def _conclude(self) -> None:
        """Tell which calls are awaited, when all is found: those whose value is awaited wherever it comes to."""
        started = (self._awaited | self._given_by.keys()) - self.used
        while wrong := {source for source in started if not self._given_by.get(source, set()) <= started}:
            started -= wrong
        self.started = started | {call.func for call in self.calls if call in started}

    def _read_call(self, node: ast.Call) -> Set[Value]:
        whole, name = _NOTHING, node.func.id if isinstance(node.func, ast.Name) else ""
        if isinstance(node.func, ast.Attribute):
            whole, name = self.visit(node.func.value), node.func.attr
            functions = self._attribute(whole, name)
        else:
            functions = self.visit(node.func)
        if name == "create_task" and not functions:  # of a loop or a group of tasks
            functions = {Value(name)}
        given = Given(
            [self.visit(argument) for argument in node.args if not isinstance(argument, ast.Starred)],
            self._all(argument for argument in node.args if isinstance(argument, ast.Starred)),
            [(word.arg, self.visit(word.value)) for word in node.keywords],
        )
        found = self._apply(functions, given, node)
        self.results[node] = found = self._library(node, name, whole, given) if found is None else found
        return found

    def _apply(self, functions: Set[Value], given: Given, call: ast.Call | None = None) -> Set[Value] | None:
        self._use(functions)
        sources = [value.source for value in functions if not value.called and value.depth != INSIDE]
        found: set[Value] = set()
        for source in sources:
            if isinstance(source, ast.Name):
                self._use(given.unnamed | given.by_name)
                found.add(Value(source, called=True))
                if call is not None:
                    self.calls[call] = None
                    self.points[call.func] = self._kind
            elif isinstance(source, str):
                self._asyncio(source, given, call)
            else:
                found |= self._enter(source, given)
        if call is not None:
            if sources and all(isinstance(each, str | ast.AsyncFunctionDef) for each in sources):
                self.coroutines.add(call)
            for value in found:
                if value.called:
                    self._given_by[value.source].add(call)
            found = {Value(call, True, value.depth) if value.called else value for value in found}
        return found if sources else None

    def _asyncio(self, name: str, given: Given, call: ast.Call | None) -> None:
        """Note what a function of asyncio awaits."""
        if call is not None and name in ("gather", "run"):
            self.awaits |= dict.fromkeys(call.args)
        (self._await if name in CONSUMERS else self._escape)(given.unnamed)
        for parameter, values in given.named:
            awaits = name in CONSUMERS and parameter in _AWAITED
            (self._await if awaits else self._escape)(values)

    def _enter(self, function: ast.AST, given: Given) -> Set[Value]:
        """Note what a call gives to the parameters of a function, or the fields of a class; return what it gives."""
        placed, named, rest = parameters(function)
        for key, values in zip(placed, given.placed, strict=False):
            self._held[key] |= values
        for key in placed:
            self._held[key] |= given.spread
        if rest is not None:
            self._held[rest] |= inside(Given(given.placed[len(placed) :], given.spread).unnamed)
        for name, values in given.named:
            if name in named:
                self._held[named[name]] |= values
        return self._held[function, "return"]

    def _library(self, node: ast.Call, name: str, whole: Set[Value], given: Given) -> Set[Value]:
        """Return what a function gives that is not of the code."""
        unnamed, by_name = given.unnamed, given.by_name
        if isinstance(node.func, ast.Attribute) and name in _ADD | _EXTEND:
            self._bind(node.func.value, inside(unnamed) if name in _ADD else unnamed | inside(by_name))
        elif name in _CALLING and given.placed:
            self._escape(value for values in given.placed[1:] for value in values)
            return inside(self._apply(given.placed[0], Given()) or _NOTHING)
        elif name in _SAME:
            self._use(unnamed)
            if name != "dict":
                self._escape(by_name)
            return whole | unnamed | inside(by_name)
        elif name in _PART:
            self._escape(by_name)
        else:
            note = self._use if name in _LOOKING else self._show if name in _SHOWING else self._escape
            note(unnamed | by_name)
        return self._part(whole | unnamed) if name in _PART else _NOTHING
