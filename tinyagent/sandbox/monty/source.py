"""How a block is fed to Monty: which calls of tools are awaited, and where the block's value is kept.

Monty asks its host for the value of every call of a tool, and the host must say at once whether the code will await
it. A tool may be called either way: `x = search(q)`, `x = await search(q)`, `await gather(search(a), search(b))`,
`tasks = [search(q) for q in qs]` and later `await gather(*tasks)`. So each block is read before it runs. Where a value
is awaited that may be a plain one, a helper is put around it, which takes both.
"""

from __future__ import annotations

import ast
import bisect
import itertools
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeAlias

from tinyagent.sandbox.awaits.definitions import Definitions
from tinyagent.sandbox.awaits.flow import Flow

#: Most characters of a value's `repr`; a value with a longer one does not leave the sandbox.
LONGEST_VALUE = 1_000_000
#: What every session runs before its first block: the helpers that are put into code here.
PRELUDE = f"""\
import asyncio
async def __awaited__(value, type=type):
    return await value if type(value).__name__ == "coroutine" else value
def __kind__(value, type=type):
    return type(value).__name__
def __is_tool__(value, name, kind_of=__kind__, repr=repr):
    return kind_of(value) == "function" and repr(value) == "<function '" + name + "' external>"
def __show__(value, kind_of=__kind__, repr=repr, len=len):
    kind = kind_of(value)
    try:
        text = repr(value)
    except Exception:
        text = "<" + kind + ">"
    if len(text) > {LONGEST_VALUE}:
        return kind, text[:{LONGEST_VALUE}], len(text), None
    return kind, text, 0, value
"""
#: Code whose value is what `__show__` tells of the last value of a block.
SHOW_VALUE = "__show__(__value__)"
#: A part of the code, and text to put before and behind it.
_Wrap: TypeAlias = tuple[ast.expr | ast.stmt, str, str]
_FOUND = "__found__"
_TRY = "try:\n    {}\nexcept NameError:\n    pass\n"
#: Code longer than this is fed as it is: reading it would hold up the event loop.
LONGEST_CODE = 200_000


@dataclass(frozen=True)
class Source:
    """A piece of code, ready to be fed.

    Attributes:
        text: What is fed to Monty; its lines are those of the code.
        code: The code, as its author wrote it.
        awaited: Where awaited calls begin and end in the text, in bytes.
        has_value: Whether the text keeps the value of the code's last expression.
        names: The global names that the code binds.
        tree: The parsed code.
        calls: Where calls outside of coroutines begin and end in the text, in bytes.
        awaited_calls: The calls that are awaited, in this code and in what earlier blocks have defined.
    """

    text: str
    code: str
    awaited: frozenset[tuple[int, int]] = frozenset()
    has_value: bool = False
    names: tuple[str, ...] = ()
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []), compare=False)
    calls: Mapping[ast.Call, tuple[int, int]] = field(default_factory=dict, compare=False)
    awaited_calls: frozenset[ast.expr] = field(default=frozenset(), compare=False)


def read(code: str, tools: Collection[str], earlier: Definitions | None = None) -> Source:
    """Return a piece of code ready to be fed to Monty.

    Args:
        code: Python source. What cannot be parsed here is fed as it is: Monty says what is wrong with it.
        tools: The names that are tools, without those that the code has given to something else.
        earlier: What earlier blocks have defined.
    """
    code = code.replace("\r\n", "\n").replace("\r", "\n").encode(errors="replace").decode()
    if len(code) > LONGEST_CODE:
        return Source(code, code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "\d" and the like, which are the author's matter
            tree = ast.parse(code)
        flow = (earlier or Definitions()).flow(tree, tools)
        own = {*ast.walk(tree)}
        awaited = (flow.calls.keys() & flow.started) - {*_in_sets(own)}
        wraps = [*_wraps(flow, own, awaited)]
        if has_value := bool(tree.body) and isinstance(tree.body[-1], ast.Expr):
            wraps.append((tree.body[-1], "__value__ = (", ")"))  # the statement: its range includes parentheses
        text = _Text(code, wraps)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(code, code)
    places = {call: text.place(call) for call in flow.calls if call in own}
    calls = {call: place for call, place in places.items() if flow.points[call.func] in ("module", "function")}
    now = frozenset(place for call, place in places.items() if call in awaited)
    return Source(text.result(), code, now, has_value, flow.names, tree, calls, frozenset(awaited))


def values_of(names: Iterable[str]) -> str:
    """Return code whose value is a dict of what `__show__` tells of those of the names that exist."""
    return _found("{}", (f"{_FOUND}[{name!r}] = __show__({name})" for name in names))


def existing_among(names: Iterable[str]) -> str:
    """Return code whose value is a list of those of the names that exist, modules left out."""
    return _found("[]", (f"if __kind__({name}) != 'module': {_FOUND}.append({name!r})" for name in names))


def move_taken(kept: Mapping[str, str]) -> str:
    """Return code that copies values from the names of tools to other names; its value lists the tools concerned.

    Args:
        kept: For the name of each tool, the other name.
    """
    moves = (
        f"if not __is_tool__({name}, {name!r}): {other} = {name}; {_FOUND}.append({name!r})"
        for name, other in kept.items()
    )
    return _found("[]", moves)


def _found(nothing: str, lines: Iterable[str]) -> str:
    """Return code that runs each line, and passes over those whose names do not exist; its value is what they found."""
    return f"{_FOUND} = {nothing}\n{''.join(map(_TRY.format, lines))}{_FOUND}"


def _in_sets(nodes: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """Yield what is put into sets, which take no awaitables in Monty."""
    for node in nodes:
        if isinstance(node, ast.Set):
            yield from node.elts
        elif isinstance(node, ast.SetComp):
            yield node.elt


def _wraps(flow: Flow, own: set[ast.AST], awaited: set[ast.Call]) -> Iterator[_Wrap]:
    """Yield what is put around values of the block; add calls that this makes awaited to `awaited`."""
    in_text = {part for node in own if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    changed = own - in_text  # where before Python 3.12 the place of a part is not told
    for call in flow.calls:
        if call in changed and call not in awaited and flow.points[call.func] in ("coroutine", "generator"):
            awaited.add(call)  # otherwise the code's other tasks would stand still
            yield call, "(await ", ")"
    for value in flow.awaits:
        if value not in changed or value in awaited or value in flow.coroutines:
            continue
        if isinstance(value, ast.Starred):
            yield value.value, "[__awaited__(__each__) for __each__ in (", ")]"
        else:
            yield value, "__awaited__(", ")"


class _Text:
    """Code in which expressions are wrapped; counts bytes, as the places of nodes and Monty do."""

    def __init__(self, code: str, wraps: list[_Wrap]) -> None:
        self._code = code.encode()
        self._starts = [0]
        for line in self._code.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        # sorted: an outer one opens before an inner one, and each closes before the next one opens
        parts = []
        for node, before, after in wraps:
            start, end = self._range(node)
            parts += [(start, 1, -end, before.encode()), (end, 0, -start, after.encode())]
        self._parts = sorted(parts)
        self._added = [0, *itertools.accumulate(len(text) for _, _, _, text in self._parts)]

    def place(self, node: ast.expr) -> tuple[int, int]:
        """Return where an expression of the code is in the result: its first byte, and the one behind its last."""
        start, end = self._range(node)
        before = bisect.bisect_right(self._parts, start, key=itemgetter(0))
        until = bisect.bisect_left(self._parts, end, key=itemgetter(0))
        return start + self._added[before], end + self._added[max(before, until)]

    def result(self) -> str:
        """Return the code with everything wrapped."""
        result, done = bytearray(), 0
        for at, _, _, text in self._parts:
            result += self._code[done:at] + text
            done = at
        return (result + self._code[done:]).decode()

    def _range(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        last, column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[last - 1] + column
