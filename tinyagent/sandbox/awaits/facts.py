"""What a block of code does with names, functions and calls: read once, before it runs."""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import TypeAlias

from tinyagent.sandbox.awaits.scopes import Flow, Name, Place, Scope

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp

#: Methods that put their argument into a container, and those that put its parts there.
_ADD = frozenset({"append", "add", "appendleft", "insert", "setdefault"})
_EXTEND = frozenset({"extend", "extendleft", "update"})
#: Functions of asyncio that await what they are given, or its parts; those that are no ordinary words; methods that do.
CONSUMERS = frozenset(
    {"gather", "create_task", "ensure_future", "wait", "wait_for", "as_completed", "shield", "run", "timeout"}
)
_PLAIN_CONSUMERS = CONSUMERS - {"run", "wait", "timeout"}
_METHODS = frozenset({"create_task", "run_until_complete"})
#: Names of their parameters.
_AWAITED_PARAMETERS = frozenset({"aws", "coro", "coro_or_future", "fs", "fut", "future", "arg", "main"})


class Facts:
    """What is known of a block.

    Attributes:
        awaited: What stands behind `await`, and what `asyncio.run` gets.
        gathered: The arguments of `gather`.
        consumed: What other functions of asyncio are given to await, as it is or in parts.
        escaping: What functions return or get, so that its use is not seen.
        arguments: What functions get, by their names.
        functions: The names of functions and classes of the code.
        imported: Names of modules and of what comes from them.
        loose: Tools are used as values, not only called: calls of other functions may give what their calls give.
        certain: Calls that are awaitable whatever tools there are.
        flows: What comes to a name.
        returns: What the functions of a name return, unless they are coroutines.
        yields: What they yield.
        fields: The classes that have a field of that name, and its place in each.
        calls: All calls, and where they stand.
        loads: All uses of names and attributes.
        inner: The scopes of lambdas and comprehensions.
        in_text: What stands in f-strings.
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
        self.arguments: list[tuple[Name, Place]] = []
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
        """Whether it is the call of a tool, and not of what the code has given that name to."""
        return isinstance(call.func, ast.Name) and self.names_tool(call.func.id, scope)

    def names_tool(self, name: str, scope: Scope) -> bool:
        """Whether a name used here is that of a tool, which the code has given to nothing else."""
        return name in self.tools and name not in scope.owner(name).bound

    def name_of(self, node: ast.Name | ast.Attribute, scope: Scope) -> Name:
        """The name; an attribute counts as one name in all objects."""
        if isinstance(node, ast.Attribute):
            return Name(self.module, f".{node.attr}")
        return Name(scope.owner(node.id), node.id)

    def given(self, function: Name, place: int | str) -> Sequence[Place]:
        """What calls of a function of the code, by its name, give for the parameter with that place or keyword."""
        return self._given.get((function, place), ())

    def given_from(self, function: Name, place: int) -> list[Place]:
        """What they give from that place on."""
        return [each for at in range(place, self._most.get(function, 0)) for each in self.given(function, at)]

    @cached_property
    def _most(self) -> dict[Name, int]:
        """The greatest numbers of arguments by place."""
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
        """Whether it is a call that gives a coroutine, or something else of asyncio to await."""
        if call in self.certain:
            return True
        function = call.func if isinstance(call, ast.Call) else None
        return isinstance(function, ast.Name) and Name(scope.owner(function.id), function.id) in self.coroutines


def facts_of(tree: ast.Module, tools: Collection[str], earlier: Iterable[ast.stmt] = ()) -> Facts:
    """Read a block.

    Args:
        tree: The block.
        tools: The names of the tools.
        earlier: Statements of earlier blocks that still hold.
    """
    facts = Facts(tools)
    visitor = _Visitor(facts)
    for statement in earlier:
        visitor.visit(statement)
    facts.earlier = len(facts.awaited), len(facts.gathered), len(facts.calls)
    before, facts.module.bound = facts.module.bound, {}
    visitor.visit(tree)
    facts.names = visitor.names()
    facts.module.bound.update(before)
    return facts


def _outermost(container: ast.expr) -> ast.Name | ast.Attribute | None:
    """What holds a container: `groups` of `groups[key]` and `groups.setdefault(key, [])`."""
    while True:
        match container:
            case ast.Subscript(value=whole) | ast.Call(func=ast.Attribute(value=whole, attr="setdefault")):
                container = whole
            case ast.Name() | ast.Attribute():
                return container
            case _:
                return None


class _Visitor(ast.NodeVisitor):
    """Notes the facts; knows in which scope it is."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._scope = facts.module
        self._globals: dict[str, None] = {}
        self._asyncio = {"asyncio", "aio"}
        self._from_asyncio = {name: name for name in _PLAIN_CONSUMERS}
        self._called: ast.expr | None = None  # what the call that is visited calls
        self._guarded = False  # inside of a `try` or `with` of this function

    def names(self) -> tuple[str, ...]:
        return (*self._scope.bound, *(name for name in self._globals if name not in self._scope.bound))

    # ---- names

    def _bind(self, target: ast.expr, value: ast.expr, how: str = "same") -> None:
        """A value comes to a target of an assignment, a loop or a comprehension."""
        match target:
            case ast.Name(id=name):
                self._scope.bound[name] = None
                self.facts.flows[Name(self._scope.owner(name), name)].append(Flow(value, self._scope, how))
                if self._scope.kind == "class":
                    self.facts.flows[Name(self.facts.module, f".{name}")].append(Flow(value, self._scope, how))
            case ast.Starred(value=inner):
                self._bind(inner, value)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = value.elts if isinstance(value, ast.Tuple | ast.List) and how == "same" else []
                pairwise = len(values) == len(parts) and not any(isinstance(part, ast.Starred) for part in parts)
                for place, part in enumerate(parts):
                    self._bind(part, values[place] if pairwise else value, "same" if pairwise else "parts")
            case ast.Attribute():
                self.facts.flows[self.facts.name_of(target, self._scope)].append(Flow(value, self._scope, how))
            case ast.Subscript(value=ast.Name() | ast.Attribute() as whole):
                self.facts.flows[self.facts.name_of(whole, self._scope)].append(Flow(value, self._scope, "part"))
            case _:
                pass

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._bind(target, node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._bind(node.target, node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._bind(node.target, node.value)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        scope = self._scope
        while self._scope.kind == "comprehension" and self._scope.parent is not None:
            self._scope = self._scope.parent
        self._bind(node.target, node.value)
        self._scope = scope
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._bind(node.target, node.iter, "parts")
        self.generic_visit(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self.facts.consumed.append(Place(node.iter, self._scope))
        self._bind(node.target, node.iter, "parts")
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load):
            self.facts.loads.append((node, self._scope))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.facts.loads.append((node, self._scope))
            self.facts.loose |= node.id in self.facts.tools and node is not self._called
        else:
            self._scope.bound[node.id] = None

    def visit_Global(self, node: ast.Global) -> None:
        self._scope.elsewhere.update(node.names)
        self._globals.update(dict.fromkeys(node.names))

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self._scope.elsewhere.update(node.names)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._import(alias.asname or alias.name.partition(".")[0])
            if alias.name == "asyncio":
                self._asyncio.add(alias.asname or alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._import(alias.asname or alias.name)
            if node.module == "asyncio":
                self._from_asyncio[alias.asname or alias.name] = alias.name

    def _import(self, name: str) -> None:
        self._scope.bound[name] = None
        self.facts.imported.add(Name(self._scope.owner(name), name))

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._capture(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._capture(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self._capture(node.rest)
        self.generic_visit(node)

    def _capture(self, name: str | None) -> None:
        if name is not None:
            self._scope.bound[name] = None

    # ---- functions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._definition(node, "function")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        if not node.decorator_list:  # what a decorator makes of it is not known
            self._scope.bound[node.name] = None
            self.facts.coroutines.add(Name(self._scope.owner(node.name), node.name))
        self._definition(node, "coroutine")

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef, kind: str) -> None:
        self._scope.bound[node.name] = None
        for decorator in node.decorator_list:
            self.visit(decorator)
        name = Name(self._scope.owner(node.name), node.name)
        self.facts.functions.add(name)
        if self._scope.kind == "class":  # methods are found by their names in all objects
            name = Name(self.facts.module, f".{node.name}")
        self._function(node, kind, node.body, name)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.facts.inner[node] = scope = self._function(node, "function", [node.body], None)
        self.facts.escaping.append(Place(node.body, scope))

    def _function(self, node: _Function, kind: str, body: Sequence[ast.AST], name: Name | None) -> Scope:
        arguments = node.args
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)
        outer, guarded, self._guarded = self._scope, self._guarded, False
        params = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        others = [argument.arg for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
        vararg = arguments.vararg.arg if arguments.vararg is not None else None
        self._scope = scope = Scope(kind, outer, dict.fromkeys(params + others), set(), params, name, vararg)
        placed = params[: len(params) - len(arguments.kwonlyargs)]
        last = len(placed) - len(arguments.defaults)
        defaults = (*zip(placed[last:], arguments.defaults, strict=True),)
        for param, default in (*defaults, *zip(params[len(placed) :], arguments.kw_defaults, strict=True)):
            if default is not None:
                self.facts.flows[Name(scope, param)].append(Flow(default, outer, "same"))
        for statement in body:
            self.visit(statement)
        self._scope, self._guarded = outer, guarded
        return scope

    def _guard(self, node: ast.Try | ast.TryStar | ast.With) -> None:
        """What is returned inside must have its value there: it may fail."""
        outer, self._guarded = self._guarded, True
        self.generic_visit(node)
        self._guarded = outer

    visit_Try = visit_TryStar = visit_With = _guard

    def visit_Return(self, node: ast.Return) -> None:
        self._gives(self.facts.returns, node.value)
        self.generic_visit(node)

    def visit_Yield(self, node: ast.Yield) -> None:
        self._gives(self.facts.yields, node.value)
        self.generic_visit(node)

    def _gives(self, what: defaultdict[Name, list[Place]], value: ast.expr | None) -> None:
        """A value leaves a function."""
        if value is not None and self._scope.kind == "function" and self._scope.function is not None:
            what[self._scope.function].append(Place(value, self._scope))
            if what is self.facts.returns and not self._guarded:
                self.facts.escaping.append(Place(value, self._scope))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.bound[node.name] = None
        self.facts.functions.add(Name(self._scope.owner(node.name), node.name))
        targets = [part.target for part in node.body if isinstance(part, ast.AnnAssign)]
        for place, target in enumerate(target for target in targets if isinstance(target, ast.Name)):
            self.facts.fields[target.id].append((Name(self._scope.owner(node.name), node.name), place))
        outer, self._scope = self._scope, Scope("class", self._scope)
        self.generic_visit(node)
        self._scope = outer

    def _comprehension(self, node: _Comprehension) -> None:
        self.visit(node.generators[0].iter)
        outer, self._scope = self._scope, Scope("comprehension", self._scope)
        self.facts.inner[node] = self._scope
        for number, part in enumerate(node.generators):
            self._bind(part.target, part.iter, "parts")
            if part.is_async:
                self.facts.consumed.append(Place(part.iter, self._scope))
            for inner in (part.target, *part.ifs, *([part.iter] if number else [])):
                self.visit(inner)
        for element in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(element)
        self._scope = outer

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node)

    # ---- calls

    def visit_Await(self, node: ast.Await) -> None:
        self.facts.awaited.append(Place(node.value, self._scope))
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """What stands in an f-string cannot be changed: before Python 3.12 its place is not told."""
        self.facts.in_text.update(part for part in ast.walk(node) if isinstance(part, ast.expr))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.facts.calls.append((node, self._scope))
        function = node.func
        if isinstance(function, ast.Attribute):
            self._call_method(node, function)
        elif isinstance(function, ast.Name) and function.id in self._from_asyncio:
            self._call_asyncio(node, self._from_asyncio[function.id])
        elif not (isinstance(function, ast.Name) and hasattr(builtins, function.id)):
            places = [Place(value, self._scope) for value in (*node.args, *(word.value for word in node.keywords))]
            if isinstance(function, ast.Name):
                name = self.facts.name_of(function, self._scope)
                self.facts.arguments += [(name, place) for place in places]
            else:
                self.facts.escaping += places
        self._called = function
        self.generic_visit(node)

    def _call_method(self, node: ast.Call, function: ast.Attribute) -> None:
        whole, method = function.value, function.attr
        if isinstance(whole, ast.Name) and whole.id in self._asyncio:
            self._call_asyncio(node, method)
        elif method in _METHODS:
            self._call_asyncio(node, "create_task")
        elif (method in _ADD or method in _EXTEND) and (whole := _outermost(whole)) is not None:
            how = "part" if method in _ADD else "same"
            container = self.facts.name_of(whole, self._scope)
            self.facts.flows[container].extend(Flow(argument, self._scope, how) for argument in node.args)

    def _call_asyncio(self, node: ast.Call, name: str) -> None:
        places = [Place(argument, self._scope) for argument in node.args]
        if name == "gather":
            self.facts.gathered += places
        elif name == "run":
            self.facts.awaited += places
        elif name in CONSUMERS:
            words = [word.value for word in node.keywords if word.arg in _AWAITED_PARAMETERS]
            self.facts.consumed += [*places, *(Place(word, self._scope) for word in words)]
        if name in ("gather", "sleep"):
            self.facts.certain.add(node)
