"""How calls of async tools in the model's code are meant: as a value, or as something awaited later.

The same tool may be called either way: `x = search(q)`, `x = await search(q)`, `await gather(search(a), search(b))`,
`tasks = [search(q) for q in qs]` and later `await gather(*tasks)`. A call is awaitable, and made at once, where its
value is awaited for certain, as `awaits.flow` finds; otherwise it waits. In a function that is not a coroutine, this
may change with every block that calls the function, so there it is looked up when the call is made. Synchronous tools
are plain functions, except where Python would refuse their value: `await count(q)`, `create_task(count(a))`. Only calls
of what may be a tool are changed, and, where tools are handed on, of what may give the value of such a call; the
helpers look again at run time, so that anything else behaves as ever.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from tinyagent.sandbox.awaits.definitions import Definitions
from tinyagent.sandbox.awaits.flow import Calls, awaited_calls, calls_of, gives_calls
from tinyagent.sandbox.awaits.reader import facts_of

#: Functions of asyncio that need a running loop even without `await`.
NEED_LOOP = frozenset(
    {"gather", "create_task", "ensure_future", "get_running_loop", "shield", "all_tasks", "current_task"}
)
#: Methods by which a block runs a loop itself.
_RUN_LOOP = frozenset({"run_until_complete", "run_forever"})
#: Methods of collections that keep their arguments, so that later code can come back to them.
COLLECT = frozenset({"append", "add", "extend", "appendleft", "insert", "put_nowait"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Reading(NamedTuple):
    """What is known of a block before it runs.

    Attributes:
        calls: How the block's calls of tools are meant.
        names: The global names that the block binds.
        awaited_at: Where awaited calls stand, in the block and in functions of earlier blocks: file, lines, columns.
    """

    calls: Calls = Calls()
    names: tuple[str, ...] = ()
    awaited_at: frozenset[tuple[str, int, int | None, int, int | None]] = frozenset()


def reading_of(
    tree: ast.Module, tools: Mapping[str, bool], file: str = "", earlier: Definitions | None = None
) -> Reading:
    """Return what is known of a block before it runs.

    Args:
        tree: The block.
        tools: The tools by name, and whether each is async.
        file: The file name of the block.
        earlier: What earlier blocks have defined.
    """
    if not tools:
        return Reading()
    try:
        facts = facts_of(tree, tools)
        if earlier and (known := earlier.without(facts.names)):
            facts = facts_of(tree, tools, [definition.statement for definition in known])
        else:
            known = []
        if earlier is not None:
            facts.loose = earlier.loose = facts.loose or earlier.loose
        calls = calls_of(facts)
    except RecursionError:  # nobody awaits in code that deep
        return Reading()
    awaited = {(node, file) for node in calls.awaited - calls.direct}
    for definition in known if awaited else ():
        inner = {*ast.walk(definition.statement)}
        awaited = {(node, definition.file if node in inner else where) for node, where in awaited}
    places = ((at, node.lineno, node.end_lineno, node.col_offset, node.end_col_offset) for node, at in awaited)
    return Reading(calls, facts.names, frozenset(places))


def rewritten(
    tree: ast.Module, tools: Mapping[str, bool], *, in_loop: bool, reading: Reading | None = None
) -> ast.Module:
    """Return the module with the calls of tools made explicit.

    Args:
        tree: The module.
        tools: The tools by name, and whether each is async; without any, only `asyncio.run` beside `await` is
            changed.
        in_loop: Whether the block runs in an event loop, as `needs_loop` says.
        reading: What `reading_of` returned; default: the reading of the module alone.
    """
    if not tools and not in_loop:
        return tree
    calls = (reading or reading_of(tree, tools)).calls
    changed: ast.Module = _Rewriter(tools, calls, in_loop=in_loop).visit(tree)
    return ast.fix_missing_locations(changed)


def needs_loop(tree: ast.Module) -> bool:
    """Return whether a block itself, outside its functions, awaits something or starts tasks."""
    called = set()
    for node in _outside_functions(tree):
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            return True
        if isinstance(node, ast.comprehension) and node.is_async:
            return True
        if isinstance(node, ast.Call):
            called.add(_last_name(node.func))
    return bool(called & NEED_LOOP) and not called & _RUN_LOOP


def depends_on_later(statement: ast.stmt, tools: Collection[str], before: Sequence[ast.stmt] = ()) -> bool:
    """Return whether code that follows may settle what a statement means: it starts calls that may be awaited.

    Args:
        statement: A statement of the block itself, outside its functions.
        tools: The names of the async tools.
        before: The statements of the block before it.
    """
    block = ast.Module([statement], [])
    awaited = {id(node.value) for node in ast.walk(statement) if isinstance(node, ast.Await)}
    calls = [node for node in _outside_functions(block) if isinstance(node, ast.Call) and id(node) not in awaited]
    if not calls:
        return False
    facts = facts_of(block, tools, before)
    marked, scopes = awaited_calls(facts), dict(facts.calls)
    for node in calls:
        if node in scopes and node not in marked and gives_calls(facts, node, scopes[node]):
            return not _is_used_up(statement)
        if _last_name(node.func) in NEED_LOOP:
            return True
    return False


def _is_used_up(statement: ast.stmt) -> bool:
    """Return whether nothing can come back to the values of a statement, as in `print(search(q))`."""
    if not isinstance(statement, ast.Expr) or any(isinstance(node, ast.NamedExpr) for node in ast.walk(statement)):
        return False
    function = statement.value.func if isinstance(statement.value, ast.Call) else None
    return not (isinstance(function, ast.Attribute) and function.attr in COLLECT)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below that run with the block itself; of its functions, the decorators and defaults."""
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


def _is_asyncio(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("asyncio", "aio")


class _Rewriter(ast.NodeTransformer):
    """Changes the calls; knows whether it is in a coroutine, in a function, or in the block itself."""

    def __init__(self, tools: Mapping[str, bool], calls: Calls, *, in_loop: bool) -> None:
        self._tools = tools
        self._calls = calls
        self._in_loop = in_loop
        self._in_coroutine = False
        self._in_function = False  # in a function that is no coroutine
        self._outside = True

    def _function(self, node: _Function, *, coroutine: bool) -> ast.AST:
        """Visit a function: its body is inside; decorators and defaults run where the function is defined."""
        node.args = self.visit(node.args)
        if not isinstance(node, ast.Lambda):
            node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        before = self._in_coroutine, self._outside, self._in_function
        self._in_coroutine, self._outside, self._in_function = coroutine, False, not coroutine
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
        else:
            node.body = [self.visit(statement) for statement in node.body]
        self._in_coroutine, self._outside, self._in_function = before
        return node

    def _elsewhere(self, node: ast.AST) -> ast.AST:
        """Visit a place where `await` may not stand, and that is no function."""
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
        awaited, direct, value, loose = (node in calls for calls in self._calls)
        self.generic_visit(node)
        function = node.func
        is_async = self._tools.get(function.id) if isinstance(function, ast.Name) else None
        if is_async is False:
            return _helped("__awaitable__", [function, *node.args], node, node.keywords) if direct else node
        if not is_async and _last_name(function) == "map":
            if value:
                node.args[0] = _helped("__valued__", [node.args[0]], node.args[0])
            return node
        if loose and self._outside and not self._in_loop:
            return node
        if is_async or value or awaited or loose:
            return self._explicit(node, awaited=awaited, direct=direct)
        if self._runs_in_loop(node):
            return _await(_helped("__awaited__", [node.args[0]], node) if self._tools else node.args[0])
        return node

    def _explicit(self, node: ast.Call, *, awaited: bool, direct: bool) -> ast.AST:
        """Return a call of what may be an async tool, made by the helper for the way it is meant."""
        arguments = [node.func, *node.args]
        if awaited and (direct or not self._in_function):
            return _helped("__awaitable__", arguments, node, node.keywords)
        if self._in_coroutine:
            return _await(_helped("__called__", arguments, node, node.keywords))
        return _helped("__value__", arguments, node, node.keywords)

    def _runs_in_loop(self, node: ast.Call) -> bool:
        """Return whether a call is `asyncio.run(main())` where a loop is running already."""
        run = isinstance(node.func, ast.Attribute) and _is_asyncio(node.func.value) and node.func.attr == "run"
        return run and len(node.args) == 1 and (self._in_coroutine or (self._outside and self._in_loop))


def _helped(helper: str, args: list[ast.expr], at: ast.AST, keywords: list[ast.keyword] | None = None) -> ast.Call:
    """Return a call of a helper, in the place of a node."""
    name = ast.copy_location(ast.Name(helper, ast.Load()), at)
    return ast.copy_location(ast.Call(name, args, keywords or []), at)


def _await(value: ast.expr) -> ast.Await:
    return ast.copy_location(ast.Await(value), value)
