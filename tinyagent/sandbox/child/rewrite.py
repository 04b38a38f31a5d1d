"""How calls of tools in the model's code are meant: as a value, or as something awaited later.

The same tool may be called either way: `x = search(q)`, `x = await search(q)`, `await gather(search(a), search(b))`,
`tasks = [search(q) for q in qs]` and later `await gather(*tasks)`. A call is awaitable where its value is consumed as
one in the same block; otherwise it waits. Only calls of names that are tools are changed, and the helpers look again
at run time, so a name that the code has taken for something else behaves as ever.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import TypeAlias

#: Functions of asyncio that consume awaitables.
CONSUMERS = frozenset(
    {"gather", "create_task", "ensure_future", "wait", "wait_for", "as_completed", "shield", "run", "timeout"}
)
#: Those of them that need a running loop even without `await`.
NEED_LOOP = frozenset(
    {"gather", "create_task", "ensure_future", "get_running_loop", "shield", "all_tasks", "current_task"}
)
#: Methods by which a block runs a loop itself.
_RUN_LOOP = frozenset({"run_until_complete", "run_forever"})
COLLECT = frozenset({"append", "add", "extend", "appendleft", "insert"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def rewritten(tree: ast.Module, tools: Collection[str]) -> ast.Module:
    """The module with the calls of tools made explicit."""
    if not tools and not needs_loop(tree):
        return tree
    changed: ast.Module = _Rewriter(tools, _Awaitables(tree).calls, in_loop=needs_loop(tree)).visit(tree)
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
    """Whether what the statement means may be settled by code that follows: it starts calls that may be awaited."""
    marked = _Awaitables(statement).calls
    awaited = {id(node.value) for node in ast.walk(statement) if isinstance(node, ast.Await)}
    for node in _outside_functions(statement):
        if isinstance(node, ast.Call) and id(node) not in awaited:
            if isinstance(node.func, ast.Name) and node.func.id in tools and id(node) not in marked:
                return not _is_used_up(statement)
            if _last_name(node.func) in NEED_LOOP:
                return True
    return False


def _is_used_up(statement: ast.stmt) -> bool:
    """Whether nothing can come back to the values of the statement: `print(search(q))`."""
    if not isinstance(statement, ast.Expr):
        return False
    function = statement.value.func if isinstance(statement.value, ast.Call) else None
    return not (isinstance(function, ast.Attribute) and function.attr in COLLECT)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below that run with the block itself."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _FUNCTIONS):
            yield child
            yield from _outside_functions(child)


def _last_name(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


class _Awaitables:
    """Finds the calls whose values are consumed as awaitables, directly or through a name.

    Attributes:
        calls: Their ids.
    """

    def __init__(self, tree: ast.AST) -> None:
        self.calls: set[int] = set()
        self._names: set[str] = set()
        for node in ast.walk(tree):
            self._consumed(node)
        for node in ast.walk(tree):
            self._through_name(node)

    def _mark(self, node: ast.AST) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                self.calls.add(id(part))
            elif isinstance(part, ast.Name):
                self._names.add(part.id)

    def _consumed(self, node: ast.AST) -> None:
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
            self.calls.add(id(node.value))  # its arguments are values, unless it consumes them
        elif isinstance(node, ast.Await):
            self._mark(node.value)
        elif isinstance(node, ast.AsyncFor):
            self._mark(node.iter)
        elif isinstance(node, ast.Call) and _last_name(node.func) in CONSUMERS:
            for argument in node.args:
                self._mark(argument)

    def _through_name(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            if self._binds(node) and not isinstance(node.value, ast.Await):
                self._mark(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in COLLECT:
            collection = node.func.value
            if isinstance(collection, ast.Name) and collection.id in self._names:
                for argument in node.args:
                    self._mark(argument)

    def _binds(self, node: ast.Assign | ast.AnnAssign) -> bool:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Name) and target.id in self._names for target in targets)


class _Rewriter(ast.NodeTransformer):
    """Changes the calls; knows whether it is in a coroutine, in a function, or in the block itself."""

    def __init__(self, tools: Collection[str], awaitable: set[int], *, in_loop: bool) -> None:
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
            node.value = _call("__awaited__", node.value, at=node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        awaitable = id(node) in self._awaitable
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Name) and function.id in self._tools:
            helper = "__awaitable__" if awaitable or self._in_coroutine else "__value__"
            made = ast.copy_location(ast.Call(_name(helper, node), [function, *node.args], node.keywords), node)
            return made if awaitable or not self._in_coroutine else _await(made)
        if (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id == "asyncio"
        ):
            if function.attr == "run" and len(node.args) == 1 and self._has_loop():
                return _await(node.args[0])
            if function.attr == "gather" and self._tools:
                node.func = _name("__gather__", function)
        return node

    def _has_loop(self) -> bool:
        return self._in_coroutine or (self._outside and self._in_loop)


def _name(name: str, at: ast.AST) -> ast.Name:
    return ast.copy_location(ast.Name(name, ast.Load()), at)


def _call(name: str, argument: ast.expr, *, at: ast.AST) -> ast.Call:
    return ast.copy_location(ast.Call(_name(name, at), [argument], []), at)


def _await(value: ast.expr) -> ast.Await:
    return ast.copy_location(ast.Await(_call("__awaited__", value, at=value)), value)
