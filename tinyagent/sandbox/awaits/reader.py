"""What a block of code does with names, functions and calls: read once, before it runs."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias

from tinyagent.sandbox.awaits.facts import Facts
from tinyagent.sandbox.awaits.scopes import Flow, Name, Place, Scope

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp

#: Methods that put their argument into a container, and those that put its parts there.
_ADD = frozenset({"append", "add", "appendleft", "insert", "setdefault"})
_EXTEND = frozenset({"extend", "extendleft", "update"})
#: Functions of asyncio that await what they are given, or its parts.
CONSUMERS = frozenset(
    {"gather", "create_task", "ensure_future", "wait", "wait_for", "as_completed", "shield", "run", "timeout"}
)
#: Those that mean asyncio even where their import was not seen, since they are no ordinary words.
_PLAIN_CONSUMERS = CONSUMERS - {"run", "wait", "timeout"}
#: Methods that await what they are given.
_METHODS = frozenset({"create_task", "run_until_complete"})
#: Names of the parameters that take what is awaited.
_AWAITED_PARAMETERS = frozenset({"aws", "coro", "coro_or_future", "fs", "fut", "future", "arg", "main"})


def facts_of(tree: ast.Module, tools: Collection[str], earlier: Iterable[ast.stmt] = ()) -> Facts:
    """Return what a block of code does with names, functions and calls.

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
    """Return what holds a container: `groups` for `groups[key]` and for `groups.setdefault(key, [])`."""
    while True:
        match container:
            case ast.Subscript(value=whole) | ast.Call(func=ast.Attribute(value=whole, attr="setdefault")):
                container = whole
            case ast.Name() | ast.Attribute():
                return container
            case _:
                return None


def _is_looked_up(node: _Function) -> bool:
    """Return whether a function is a method that is not called by its name: a property, `__getitem__`."""
    if isinstance(node, ast.Lambda) or node.name == "__call__":
        return False
    names = [part.id for decorator in node.decorator_list for part in ast.walk(decorator) if isinstance(part, ast.Name)]
    return node.name[:2] == "__" or "property" in names or "cached_property" in names


class _Visitor(ast.NodeVisitor):
    """Visits the tree of a block and notes facts; knows the scope of each node."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._scope = facts.module
        self._globals: dict[str, None] = {}
        self._asyncio = {"asyncio", "aio"}
        self._from_asyncio = {name: name for name in _PLAIN_CONSUMERS}
        self._called: ast.expr | None = None  # the function of the call that is visited
        self._guarded = False  # inside a `try` or `with` of this function

    def names(self) -> tuple[str, ...]:
        return (*self._scope.bound, *(name for name in self._globals if name not in self._scope.bound))

    # ---- names

    def _bind(self, target: ast.expr, value: ast.expr, how: str = "same") -> None:
        """Note that a value comes to a target of an assignment, a loop or a comprehension."""
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
        if not node.decorator_list:  # a decorator may make anything of the function
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
        outer, guarded, self._guarded = self._scope, self._guarded, _is_looked_up(node)
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
        """Visit a `try` or `with`: a call returned inside is waited for there, where its failure can be caught."""
        outer, self._guarded = self._guarded, True
        self.generic_visit(node)
        self._guarded = outer

    def visit_Try(self, node: ast.Try) -> None:
        self._guard(node)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self._guard(node)

    def visit_With(self, node: ast.With) -> None:
        self._guard(node)

    def visit_Return(self, node: ast.Return) -> None:
        self._gives(self.facts.returns, node.value)
        self.generic_visit(node)

    def visit_Yield(self, node: ast.Yield) -> None:
        self._gives(self.facts.yields, node.value)
        self.generic_visit(node)

    def _gives(self, what: defaultdict[Name, list[Place]], value: ast.expr | None) -> None:
        """Note that a value leaves a function, by `return` or by `yield`."""
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
        """Note what stands in an f-string: it cannot be changed, since before Python 3.12 its place is not told."""
        self.facts.in_text.update(part for part in ast.walk(node) if isinstance(part, ast.expr))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.facts.calls.append((node, self._scope))
        function = node.func
        if isinstance(function, ast.Attribute):
            self._call_method(node, function)
        elif isinstance(function, ast.Name) and function.id in self._from_asyncio:
            self._call_asyncio(node, self._from_asyncio[function.id])
        self._called = function
        self.generic_visit(node)

    def _call_method(self, node: ast.Call, function: ast.Attribute) -> None:
        whole, method = function.value, function.attr
        if isinstance(whole, ast.Name) and whole.id in self._asyncio:
            self._call_asyncio(node, method)
        elif method in _METHODS:
            self._call_asyncio(node, "create_task")
        elif (method in _ADD or method in _EXTEND) and (held_by := _outermost(whole)) is not None:
            how = "part" if method in _ADD else "same"
            container = self.facts.name_of(held_by, self._scope)
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
