"""What is known of a block of code: what it does with names, functions and calls."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property

from tinyagent.sandbox.awaits.scopes import Flow, Name, Place, Scope


class Facts:
    """What is known of a block.

    Attributes:
        tools: The names of the tools.
        awaited: Expressions behind `await`, and arguments of `asyncio.run`.
        gathered: Arguments of `gather`.
        consumed: What other functions of asyncio are given to await, as it is or in parts.
        escaping: What functions return, where the use of the value is not seen.
        functions: The names of functions and classes of the code.
        imported: Names of modules, and names imported from them.
        loose: Whether tools are used as values, not only called. Then calls of other functions may give what calls of
            tools give.
        certain: Calls that are awaitable whatever tools there are.
        flows: For each name, the expressions whose values come to it.
        returns: For each name, what its functions return, unless they are coroutines.
        yields: For each name, what its functions yield, unless they are coroutines.
        fields: For the name of each field, the classes that have the field, and its place in each.
        calls: All calls, and the scopes they stand in.
        loads: All uses of names and attributes, and the scopes they stand in.
        inner: The scopes of lambdas and comprehensions.
        in_text: Expressions in f-strings.
        coroutines: The names of coroutine functions.
        names: The names that the block itself binds.
        module: The scope of the block itself.
        earlier: How many of `awaited`, `gathered` and `calls` stand in earlier blocks.
    """

    def __init__(self, tools: Collection[str]) -> None:
        self.module = Scope("module")
        self.earlier = (0, 0, 0)
        self.consumed: list[Place] = []
        self.escaping: list[Place] = []
        self.functions: set[Name] = set()
        self.imported: set[Name] = set()
        self.loose = False
        self.yields: defaultdict[Name, list[Place]] = defaultdict(list)
        self.fields: defaultdict[str, list[tuple[Name, int]]] = defaultdict(list)
        self.awaited: list[Place] = []
        self.gathered: list[Place] = []
        self.certain: set[ast.expr] = set()
        self.flows: defaultdict[Name, list[Flow]] = defaultdict(list)
        self.returns: defaultdict[Name, list[Place]] = defaultdict(list)
        self.calls: list[tuple[ast.Call, Scope]] = []
        self.loads: list[tuple[ast.Name | ast.Attribute, Scope]] = []
        self.inner: dict[ast.expr, Scope] = {}
        self.in_text: set[ast.expr] = set()
        self.coroutines: set[Name] = set()
        self.names: tuple[str, ...] = ()
        self.tools = tools

    def is_tool(self, call: ast.Call, scope: Scope) -> bool:
        """Return whether a call is that of a tool, whose name the code has given to nothing else."""
        return isinstance(call.func, ast.Name) and self.names_tool(call.func.id, scope)

    def names_tool(self, name: str, scope: Scope) -> bool:
        """Return whether a name used in the scope is that of a tool, and the code has given it to nothing else."""
        return name in self.tools and name not in scope.owner(name).bound

    def name_of(self, node: ast.Name | ast.Attribute, scope: Scope) -> Name:
        """Return the name that a name or an attribute means; an attribute counts as one name in all objects."""
        if isinstance(node, ast.Attribute):
            return Name(self.module, f".{node.attr}")
        return Name(scope.owner(node.id), node.id)

    def given(self, function: Name, place: int | str) -> Sequence[Place]:
        """Return what the code's calls of a function, by its name, give to the parameter with that place or keyword."""
        return self._given.get((function, place), ())

    def given_from(self, function: Name, place: int) -> list[Place]:
        """Return what the code's calls of a function give to the parameters from that place on."""
        return [each for at in range(place, self._most.get(function, 0)) for each in self.given(function, at)]

    @cached_property
    def _most(self) -> dict[Name, int]:
        """For each function, the most arguments that a call gives by place."""
        most: dict[Name, int] = {}
        for function, place in self._given:
            if isinstance(place, int):
                most[function] = max(most.get(function, 0), place + 1)
        return most

    @cached_property
    def _given(self) -> dict[tuple[Name, int | str], list[Place]]:
        found: defaultdict[tuple[Name, int | str], list[Place]] = defaultdict(list)
        for call, scope in self.calls:
            if isinstance(call.func, ast.Name):
                function = self.name_of(call.func, scope)
                for place, argument in enumerate(call.args):
                    found[function, place].append(Place(argument, scope))
                for word in call.keywords:
                    found[function, word.arg or ""].append(Place(word.value, scope))
        return found

    def gives_coroutine(self, call: ast.expr, scope: Scope) -> bool:
        """Return whether an expression is a call that gives a coroutine, or another awaitable of asyncio."""
        if call in self.certain:
            return True
        function = call.func if isinstance(call, ast.Call) else None
        return isinstance(function, ast.Name) and Name(scope.owner(function.id), function.id) in self.coroutines
