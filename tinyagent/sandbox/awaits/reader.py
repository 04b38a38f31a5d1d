"""Reads code: which tools, and what of the calls of tools, each of its names may hold, and what becomes of them."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager

from tinyagent.sandbox.awaits.names import Function, Key, bound_in
from tinyagent.sandbox.awaits.values import EITHER, INSIDE, ITSELF, Given, Source, Value, inside

#: How many values are passed on at most.
_MOST_STEPS = 30_000
#: Functions of asyncio that await what they are given, or its parts.
CONSUMERS = frozenset({"as_completed", "create_task", "ensure_future", "gather", "shield", "wait", "wait_for"})
#: Names that mean asyncio, and functions of it, even where their import was not seen.
_PLAIN = {"aio": "asyncio", "asyncio": "asyncio"} | {name: name for name in CONSUMERS if name != "wait"}
#: Nodes that are read like others.
_ALIKE = {
    "AnnAssign": "Assign",
    "AsyncFor": "For",
    "AsyncFunctionDef": "FunctionDef",
    "AugAssign": "Assign",
    "DictComp": "ListComp",
    "GeneratorExp": "ListComp",
    "ImportFrom": "Import",
    "Nonlocal": "Global",
    "Set": "List",
    "SetComp": "ListComp",
    "Tuple": "List",
    "Yield": "Return",
    "YieldFrom": "Return",
}
#: Nodes in which there is nothing to read.
_PLAIN_PARTS = (ast.Constant, ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.alias)
_NOTHING: Set[Value] = frozenset()


class TooMuch(Exception):
    """The code takes too long to read."""


class Reader:
    """Reads code; what it finds is more each time, until nothing is left to find.

    Args:
        tools: The names of the tools.
        bound: The global names that the code binds.

    Attributes:
        points: Where the code has a tool, to call it or to hand it on: expressions, each with where it stands:
            `module`, `function` or `coroutine`, or a `generator` in a coroutine.
        awaits: What is awaited, and arguments of `gather` and `run`.
        used: The calls whose values are looked at, and tools that are handed to functions which may call them.
    """

    def __init__(self, tools: Set[str], bound: Set[str]) -> None:
        self.points: dict[ast.expr, str] = {}
        self.awaits: dict[ast.expr, None] = {}
        self.used: set[Source] = set()
        self._tools = tools - bound
        self._names: dict[ast.AST, set[str]] = {}  # those of each scope
        self._scopes: list[ast.AST] = []
        self._kind = "module"
        self._function: Function | None = None
        self._held: defaultdict[Key, set[Value]] = defaultdict(set)
        self._held.update(((None, name), {Value(_PLAIN[name])}) for name in _PLAIN.keys() - bound)
        self._awaited: set[Source] = set()
        self._steps = 0

    def read(self, body: Sequence[ast.stmt]) -> None:
        """Read code until nothing more is found.

        Raises:
            TooMuch: That would take too long.
        """
        known = -1
        while (found := sum(map(len, self._held.values()))) > known:
            known = found
            for statement in body:
                self.visit(statement)

    def visit(self, node: ast.AST) -> Set[Value]:
        """Read a part of the code, and return what its value may be."""
        found: Set[Value] = getattr(self, _reader_of(type(node).__name__), self._read_parts)(node)
        self._steps += 1 + len(found)
        if self._steps > _MOST_STEPS:
            raise TooMuch
        return found

    def _read_parts(self, node: ast.AST) -> Set[Value]:
        """Read what is in a part of the code, which looks at the values."""
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, _PLAIN_PARTS):
                self._use(self.visit(child))
        return _NOTHING

    def _all(self, nodes: Iterable[ast.AST]) -> set[Value]:
        return {value for node in nodes for value in self.visit(node)}

    # ---- what becomes of values

    def _use(self, values: Iterable[Value]) -> None:
        """Note that values are looked at."""
        self.used.update(value.source for value in values if value.called and value.depth == ITSELF)

    def _await(self, values: Iterable[Value], *, parts: bool = True) -> None:
        """Note that values are awaited, and their parts."""
        self._awaited.update(value.source for value in values if value.called and (parts or value.depth != INSIDE))

    def _part(self, values: Set[Value]) -> Set[Value]:
        """Return the parts of values: what is inside may be deeper inside."""
        self._use(values)
        return {Value(value.source, value.called, EITHER) for value in values if value.depth != ITSELF}

    def _show(self, values: Iterable[Value]) -> None:
        """Note that values are looked at, and into."""
        self.used.update(value.source for value in values if value.called and value.depth != EITHER)

    def _escape(self, values: Iterable[Value]) -> None:
        """Note that values are given to a function that is not of the code, which may call them."""
        for value in tuple(values):
            self._show([value])
            if not value.called:
                returned = self._held[value.source, "return"] if isinstance(value.source, ast.AST) else _NOTHING
                self.used.update([value.source, *(given.source for given in returned)])

    def _apply(self, functions: Set[Value], given: Given, call: ast.Call | None = None) -> Set[Value] | None:
        """Return what functions give for arguments; `None` where none of them is known.

        Args:
            functions: The functions.
            given: The arguments.
            call: The call, if it stands in the code.
        """
        raise NotImplementedError

    # ---- names

    def _key(self, name: str) -> Key:
        for away, scope in enumerate(reversed(self._scopes)):
            if name in self._names[scope] and not (away and isinstance(scope, ast.ClassDef)):
                return scope, name
        return None, name

    @contextmanager
    def _within(self, scope: ast.AST, inner: Iterable[ast.AST], kind: str) -> Iterator[None]:
        """Read what stands in a scope, which binds names of its own."""
        if scope not in self._names:
            self._names[scope] = {*bound_in(inner)}
        self._scopes.append(scope)
        outer, self._kind = self._kind, kind
        yield
        self._kind = outer
        self._scopes.pop()

    def _bind(self, target: ast.expr, values: Set[Value]) -> None:
        """Note that values come to a target of an assignment, or into a container: `ts`, `ts.setdefault(key, [])`."""
        match target:
            case ast.Name(id=name):
                self._held[self._key(name)] |= values
                if self._scopes and isinstance(self._scopes[-1], ast.ClassDef):
                    self._held[None, f".{name}"] |= values
            case ast.Attribute(attr=name):
                self._held[None, f".{name}"] |= values
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part in parts:
                    self._bind(part, self._part(values))
            case (
                ast.Starred(value=whole)
                | ast.Subscript(value=whole)
                | ast.Call(func=ast.Attribute(value=whole, attr="setdefault"))
            ):
                self._bind(whole, inside(values))

    def _read_assign(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Set[Value]:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            pairs: Iterable[tuple[ast.expr, ast.expr | None]] = [(target, node.value)]
            match target, node.value:
                case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
                    pairs = zip(targets, values, strict=True)
            for part, value in pairs:
                found = self.visit(value) if value is not None else _NOTHING
                self._use(found if isinstance(node, ast.AugAssign) else _NOTHING)
                self._bind(part, found)
        return _NOTHING

    def _read_namedexpr(self, node: ast.NamedExpr) -> Set[Value]:
        values = self.visit(node.value)
        self._bind(node.target, values)
        return values

    def _read_for(self, node: ast.For | ast.AsyncFor) -> Set[Value]:
        self._bind(node.target, self._part(self.visit(node.iter)))
        return self._read_parts(node)

    def _read_global(self, node: ast.Global | ast.Nonlocal) -> Set[Value]:
        if self._scopes:
            self._names[self._scopes[-1]].difference_update(node.names)
        return _NOTHING

    def _read_import(self, node: ast.Import | ast.ImportFrom) -> Set[Value]:
        for alias in node.names:
            if "asyncio" in (alias.name, getattr(node, "module", None)):
                self._held[self._key(alias.asname or alias.name)].add(Value(alias.name))
        return _NOTHING

    # ---- functions

    def _read_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Set[Value]:
        self._body(node, node.body)
        values: Set[Value] = {Value(node)}
        for decorator in reversed(node.decorator_list):
            values = self._apply(self.visit(decorator), Given([values])) or values
        self._bind(ast.Name(node.name), values)
        return _NOTHING

    def _read_lambda(self, node: ast.Lambda) -> Set[Value]:
        self._body(node, [ast.Return(node.body)])
        return {Value(node)}

    def _body(self, node: Function, body: Sequence[ast.AST]) -> None:
        """Read a function, and what its parameters are by default."""
        arguments = node.args
        last = zip(reversed([*arguments.posonlyargs, *arguments.args]), reversed(arguments.defaults), strict=False)
        for parameter, default in (*last, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)):
            if default is not None:
                self._held[node, parameter.arg] |= self.visit(default)
        outer, self._function = self._function, node
        with self._within(
            node, [arguments, *body], "coroutine" if isinstance(node, ast.AsyncFunctionDef) else "function"
        ):
            for part in body:
                self.visit(part)
        self._function = outer

    def _read_return(self, node: ast.Return | ast.Yield | ast.YieldFrom) -> Set[Value]:
        values = self.visit(node.value) if node.value is not None else _NOTHING
        if isinstance(self._function, ast.FunctionDef | ast.Lambda):
            self._held[self._function, "return"] |= inside(values) if isinstance(node, ast.Yield) else values
        else:  # whoever awaits a coroutine is not followed any further
            self._use(values)
        return _NOTHING

    def _read_classdef(self, node: ast.ClassDef) -> Set[Value]:
        self._bind(ast.Name(node.name), {Value(node)})
        with self._within(node, node.body, "function" if self._kind == "function" else "module"):
            return self._read_parts(node)

    def _read_listcomp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Set[Value]:
        parts = self._part(self.visit(node.generators[0].iter))
        in_generator = isinstance(node, ast.GeneratorExp) and self._kind == "coroutine"
        targets = [generator.target for generator in node.generators]
        with self._within(node, targets, "generator" if in_generator else self._kind):
            for number, generator in enumerate(node.generators):
                self._bind(generator.target, self._part(self.visit(generator.iter)) if number else parts)
                self._use(self._all(generator.ifs))
            if isinstance(node, ast.DictComp):
                self._use(self.visit(node.key))
            return inside(self.visit(node.value if isinstance(node, ast.DictComp) else node.elt))

    def _read_matchclass(self, node: ast.MatchClass) -> Set[Value]:
        return self._all([*node.patterns, *node.kwd_patterns])  # in place of its class there can be nothing but a name

    # ---- expressions

    def _read_name(self, node: ast.Name) -> Set[Value]:
        key = self._key(node.id)
        if key[0] is None and node.id in self._tools:
            self.points[node] = self._kind
            return {Value(node)}
        return self._held[key] if isinstance(node.ctx, ast.Load) else _NOTHING

    def _read_attribute(self, node: ast.Attribute) -> Set[Value]:
        return self._attribute(self.visit(node.value), node.attr)

    def _attribute(self, whole: Set[Value], name: str) -> Set[Value]:
        self._use(whole)
        return {Value(name)} if Value("asyncio") in whole else self._held[None, f".{name}"]

    def _read_await(self, node: ast.Await) -> Set[Value]:
        self.awaits[node.value] = None
        self._await(self.visit(node.value), parts=False)
        return _NOTHING

    def _read_starred(self, node: ast.Starred) -> Set[Value]:
        return self._part(self.visit(node.value))

    def _read_subscript(self, node: ast.Subscript) -> Set[Value]:
        self._use(self.visit(node.slice))
        return self._part(self.visit(node.value))

    def _read_ifexp(self, node: ast.IfExp) -> Set[Value]:
        self._use(self.visit(node.test))
        return self._all([node.body, node.orelse])

    def _read_binop(self, node: ast.BinOp) -> Set[Value]:
        values = self._all([node.left, node.right])
        self._use(values)
        return values

    def _read_list(self, node: ast.List | ast.Tuple | ast.Set) -> Set[Value]:
        return inside(self._all(node.elts))

    def _read_dict(self, node: ast.Dict) -> Set[Value]:
        self._use(self._all(key for key in node.keys if key is not None))
        return inside(self._all(node.values))


@functools.cache
def _reader_of(kind: str) -> str:
    """Return the name of the method that reads nodes of a class."""
    return f"_read_{_ALIKE.get(kind, kind).lower()}"
