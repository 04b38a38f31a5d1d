"""How calls of async tools in the model's code are meant: as a value, or as something awaited later.

The same tool may be called either way: `x = search(q)`, `x = await search(q)`, `await gather(search(a), search(b))`,
`tasks = [search(q) for q in qs]` and later `await gather(*tasks)`. A call is awaitable where its value is consumed as
one in the same scope; otherwise it waits. Synchronous tools are plain functions, except where Python would refuse their
value: `await count(q)`, `gather(count(a), count(b))`. Only calls of names that are tools are changed, and the helpers
look again at run time, so a name that the code has taken for something else behaves as ever.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias

#: Functions of asyncio that consume awaitables, by themselves or as `asyncio.NAME`.
CONSUMERS = frozenset(
    {"gather", "create_task", "ensure_future", "wait", "wait_for", "as_completed", "shield", "run", "timeout"}
)
#: Those of them that are no ordinary words.
_PLAIN_CONSUMERS = CONSUMERS - {"run", "wait", "timeout"}
#: Methods of groups and loops that do.
_METHODS = frozenset({"create_task", "run_until_complete"})
#: What needs a running loop even without `await`.
NEED_LOOP = frozenset(
    {"gather", "create_task", "ensure_future", "get_running_loop", "shield", "all_tasks", "current_task"}
)
#: Methods by which a block runs a loop itself.
_RUN_LOOP = frozenset({"run_until_complete", "run_forever"})
#: Methods of collections that keep their arguments, and that give back what was kept.
COLLECT = frozenset({"append", "add", "extend", "appendleft", "insert", "put_nowait"})
_GIVE_BACK = frozenset({"values", "copy"})
_COPIES = frozenset({"list", "tuple", "set", "reversed", "sorted"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def rewritten(tree: ast.Module, tools: Mapping[str, bool], *, in_loop: bool) -> ast.Module:
    """The module with the calls of tools made explicit.

    Args:
        tree: The module.
        tools: The tools by name, and whether each is async; without any, only `asyncio.run` beside `await` is
            changed.
        in_loop: As `needs_loop` says of it.
    """
    if not tools and not in_loop:
        return tree
    changed: ast.Module = _Rewriter(tools, _Awaitables(tree), in_loop=in_loop).visit(tree)
    return ast.fix_missing_locations(changed)


def needs_loop(tree: ast.Module) -> bool:
    """Whether the block itself, outside its functions, awaits something or starts tasks."""
    called = set()
    for node in _outside_functions(tree):
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            return True
        if isinstance(node, ast.comprehension) and node.is_async:
            return True
        if isinstance(node, ast.Call):
            called.add(_last_name(node.func))
    return bool(called & NEED_LOOP) and not called & _RUN_LOOP


def depends_on_later(statement: ast.stmt, tools: Collection[str]) -> bool:
    """Whether what the statement means may be settled by code that follows: it starts calls that may be awaited.

    Args:
        statement: Of the block itself.
        tools: The names of the async tools.
    """
    marked = _Awaitables(statement).calls
    awaited = {id(node.value) for node in ast.walk(statement) if isinstance(node, ast.Await)}
    for node in _outside_functions(ast.Module([statement], [])):
        if isinstance(node, ast.Call) and id(node) not in awaited:
            if isinstance(node.func, ast.Name) and node.func.id in tools and id(node) not in marked:
                return not _is_used_up(statement)
            if _last_name(node.func) in NEED_LOOP:
                return True
    return False


def _is_used_up(statement: ast.stmt) -> bool:
    """Whether nothing can come back to the values of the statement: `print(search(q))`."""
    if not isinstance(statement, ast.Expr) or any(isinstance(node, ast.NamedExpr) for node in ast.walk(statement)):
        return False
    function = statement.value.func if isinstance(statement.value, ast.Call) else None
    return not (isinstance(function, ast.Attribute) and function.attr in COLLECT)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below that run with the block itself; of its functions the decorators and defaults."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _FUNCTIONS):
            yield child
            yield from _outside_functions(child)
            continue
        first = [*child.args.defaults, *(default for default in child.args.kw_defaults if default is not None)]
        if not isinstance(child, ast.Lambda):
            first += child.decorator_list
        for part in first:
            yield part
            yield from _outside_functions(part)


def _last_name(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _consumes(call: ast.Call) -> bool:
    """Whether the call is one of asyncio that awaits its arguments."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in _PLAIN_CONSUMERS
    if not isinstance(function, ast.Attribute):
        return False
    return function.attr in _METHODS or (_is_asyncio(function.value) and function.attr in CONSUMERS)


def _is_asyncio(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("asyncio", "aio")


class _Awaitables:
    """Finds the calls whose values are consumed as awaitables, directly or through a name of the same scope.

    Attributes:
        calls: Their ids.
        direct: The ids of those that are consumed where they stand.
    """

    def __init__(self, tree: ast.AST) -> None:
        self.calls: set[int] = set()
        self.direct: set[int] = set()
        scopes = [tree, *(node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS))]
        for scope in scopes:
            self._names: set[str] = set()
            nodes = list(_of_scope(scope))
            before = set(self.calls)
            for node in nodes:
                self._consumed(node)
            self.direct |= self.calls - before
            for node in nodes:
                self._through_name(node)

    def _mark(self, node: ast.expr) -> None:
        """The value of this expression is awaited, or each of the values in it."""
        if isinstance(node, ast.Name):
            self._names.add(node.id)
        elif isinstance(node, ast.Call):
            self._mark_call(node)
        else:
            for part in _carried(node):
                self._mark(part)

    def _mark_call(self, node: ast.Call) -> None:
        self.calls.add(id(node))
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in _GIVE_BACK:
            self._mark(function.value)
        elif isinstance(function, ast.Name) and function.id in _COPIES:
            for argument in node.args:
                self._mark(argument)

    def _consumed(self, node: ast.AST) -> None:
        if isinstance(node, ast.Await):
            self._mark(node.value)
        elif isinstance(node, ast.AsyncFor):
            self._mark(node.iter)
        elif isinstance(node, ast.Call) and _consumes(node):
            for argument in node.args:
                self._mark(argument)

    def _through_name(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            if node.value is not None and self._binds(node):
                self._mark(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in COLLECT:
            collection = node.func.value
            if isinstance(collection, ast.Name) and collection.id in self._names:
                for argument in node.args:
                    self._mark(argument)

    def _binds(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr) -> bool:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = (target.value if isinstance(target, ast.Subscript) else target for target in targets)
        return any(isinstance(name, ast.Name) and name.id in self._names for name in names)


def _of_scope(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, or of the module, without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, _FUNCTIONS):
            yield from _of_scope(child)


def _carried(node: ast.expr) -> list[ast.expr]:
    """The parts of an expression whose values are those of the expression, or in it."""
    match node:
        case ast.Starred(value) | ast.NamedExpr(_, value) | ast.Subscript(value):
            return [value]
        case ast.List(parts) | ast.Tuple(parts) | ast.Set(parts):
            return parts
        case ast.Dict(_, parts):
            return parts
        case ast.ListComp(part) | ast.SetComp(part) | ast.GeneratorExp(part) | ast.DictComp(_, part):
            return [part]
        case ast.IfExp(_, body, orelse):
            return [body, orelse]
        case ast.BinOp(left, _, right):
            return [left, right]
        case ast.BoolOp(_, parts):
            return parts
        case _:
            return []


class _Rewriter(ast.NodeTransformer):
    """Changes the calls; knows whether it is in a coroutine, in a function, or in the block itself."""

    def __init__(self, tools: Mapping[str, bool], awaitable: _Awaitables, *, in_loop: bool) -> None:
        self._tools = tools
        self._awaitable = awaitable
        self._in_loop = in_loop
        self._in_coroutine = False
        self._outside = True

    def _function(self, node: _Function, *, coroutine: bool) -> ast.AST:
        """Only the body is inside; decorators and defaults run where the function is defined."""
        node.args = self.visit(node.args)
        if not isinstance(node, ast.Lambda):
            node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        before = self._in_coroutine, self._outside
        self._in_coroutine, self._outside = coroutine, False
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
        else:
            node.body = [self.visit(statement) for statement in node.body]
        self._in_coroutine, self._outside = before
        return node

    def _elsewhere(self, node: ast.AST) -> ast.AST:
        """Neither a place where `await` may stand, nor a function."""
        before = self._in_coroutine, self._outside
        self._in_coroutine = self._outside = False
        changed = self.generic_visit(node)
        self._in_coroutine, self._outside = before
        return changed

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node, coroutine=False)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._function(node, coroutine=False)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node, coroutine=True)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self._elsewhere(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._elsewhere(node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        if self._tools:
            node.value = _helped("__awaited__", [node.value], node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        direct, awaitable = id(node) in self._awaitable.direct, id(node) in self._awaitable.calls
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Name) and function.id in self._tools:
            if not self._tools[function.id]:
                return _helped("__awaitable__", [function, *node.args], node, node.keywords) if direct else node
            if not awaitable and self._in_coroutine:
                return _await(_helped("__called__", [function, *node.args], node, node.keywords))
            helper = "__awaitable__" if awaitable else "__value__"
            return _helped(helper, [function, *node.args], node, node.keywords)
        if self._tools and _last_name(function) == "gather":
            return _helped("__gather__", [function, *node.args], node, node.keywords)
        if self._runs_in_loop(node):
            return _await(_helped("__awaited__", [node.args[0]], node) if self._tools else node.args[0])
        return node

    def _runs_in_loop(self, node: ast.Call) -> bool:
        """Whether this is `asyncio.run(main())` where a loop is running already."""
        run = isinstance(node.func, ast.Attribute) and _is_asyncio(node.func.value) and node.func.attr == "run"
        return run and len(node.args) == 1 and (self._in_coroutine or (self._outside and self._in_loop))


def _helped(helper: str, args: list[ast.expr], at: ast.AST, keywords: list[ast.keyword] | None = None) -> ast.Call:
    """A call of a helper in the place of what it helps with."""
    name = ast.copy_location(ast.Name(helper, ast.Load()), at)
    return ast.copy_location(ast.Call(name, args, keywords or []), at)


def _await(value: ast.expr) -> ast.Await:
    return ast.copy_location(ast.Await(value), value)
