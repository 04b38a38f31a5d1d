"""How calls of tools in the model's code are meant: as a value, or as something awaited later.

The same tool may be called either way: `x = search(q)`, `x = await search(q)`, `await gather(search(a), search(b))`,
`tasks = [search(q) for q in qs]` and later `await gather(*tasks)`. A tool is a function that waits for its value. Where
values are awaited for certain, as `awaits.flow` finds, the tool is exchanged for a function that starts the call and
gives its future. In a function that is not a coroutine, this may change with every block that calls the function, so
there it is looked up when the code comes by. In a coroutine every other call is awaited where it stands, so that other
tasks go on. The helpers look again at run time, so that what is no tool behaves as ever.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

from tinyagent.sandbox.awaits.definitions import Definitions
from tinyagent.sandbox.awaits.flow import Flow
from tinyagent.sandbox.awaits.names import Function

#: Functions of asyncio that need a running loop even without `await`.
NEED_LOOP = frozenset(
    {"gather", "create_task", "ensure_future", "get_running_loop", "shield", "all_tasks", "current_task"}
)
#: Methods by which a block runs a loop itself.
_RUN_LOOP = frozenset({"run_until_complete", "run_forever"})


def started_in(flow: Flow, file: str, earlier: Definitions) -> frozenset[str]:
    """Return the places where calls are awaited, in functions of a block and of earlier blocks.

    Args:
        flow: What the block does with tools.
        file: The file name of the block.
        earlier: What earlier blocks have defined.
    """
    points = {node for node, kind in flow.points.items() if kind == "function" and node in flow.started}
    files = {node: known.file for known in earlier for node in ast.walk(known.statement)} if points else {}
    return frozenset(_place(node, files.get(node, file)) for node in points)


def _place(node: ast.expr, file: str) -> str:
    return f"{file}:{node.lineno}:{node.col_offset}-{node.end_lineno}:{node.end_col_offset}"


def rewritten(tree: ast.Module, tools: Mapping[str, bool], flow: Flow, file: str) -> ast.Module:
    """Return a block with the calls of tools made explicit.

    Args:
        tree: The block; it is changed.
        tools: The tools by name, and whether each is async.
        flow: What the block does with tools.
        file: The file name of the block.
    """
    _Rewriter(tools, flow, file).visit(tree)
    return ast.fix_missing_locations(tree)


def needs_loop(tree: ast.Module) -> bool:
    """Return whether a block itself, outside its functions, starts tasks or asks for the loop, `await` or not."""
    called = {_last_name(node.func) for node in _outside_functions(tree) if isinstance(node, ast.Call)}
    return bool(called & NEED_LOOP) and not called & _RUN_LOOP


def depends_on_later(block: ast.Module, tools: Collection[str], earlier: Definitions) -> bool:
    """Return whether code that follows may settle what a block means: it starts calls that may be awaited.

    Args:
        block: The block, or a part of it.
        tools: The names of the async tools.
        earlier: What the code before it has defined.
    """
    calls = [node for node in _outside_functions(block) if isinstance(node, ast.Call)]
    if not calls:
        return False
    flow = earlier.flow(block, tools)
    settled = flow.started | flow.used
    return any(
        _last_name(node.func) in NEED_LOOP
        or any(given.called and given.source not in settled for given in flow.results.get(node, ()))
        for node in calls
        if node not in flow.awaits
    )


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below that run with the block itself; of its functions, the decorators and defaults."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function):
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
    return getattr(function, "attr", None) or getattr(function, "id", None)


class _Rewriter(ast.NodeTransformer):
    """Changes what `Flow` has found."""

    def __init__(self, tools: Mapping[str, bool], flow: Flow, file: str) -> None:
        self._tools = tools
        self._flow = flow
        self._file = file

    def visit(self, node: ast.AST) -> ast.AST:
        """Return a part of the code with the calls of tools in it made explicit."""
        kind = self._flow.points.get(node) if isinstance(node, ast.expr) else None
        changed: ast.AST = super().visit(node)
        if kind is None or not isinstance(changed, ast.expr):
            return changed
        if kind == "function":
            return _helped("__started__", [changed, ast.Constant(_place(changed, self._file))], changed)
        return _helped("__started__", [changed], changed) if node in self._flow.started else changed

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        node.value = _helped("__awaited__", [node.value], node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        waits = self._flow.points.get(node.func) == "coroutine" and node.func not in self._flow.started
        is_sync = self._tools.get(getattr(node.func, "id", "")) is False
        self.generic_visit(node)
        if is_sync or not waits:
            return node
        called = _helped("__called__", [node.func, *node.args], node, node.keywords)
        return ast.copy_location(ast.Await(called), node)


def _helped(helper: str, args: list[ast.expr], at: ast.AST, keywords: list[ast.keyword] | None = None) -> ast.Call:
    """Return a call of a helper, in the place of a node."""
    name = ast.copy_location(ast.Name(helper, ast.Load()), at)
    return ast.copy_location(ast.Call(name, args, keywords or []), at)
