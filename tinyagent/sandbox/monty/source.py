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
from typing import NamedTuple

from tinyagent.sandbox.awaits.definitions import Definitions
from tinyagent.sandbox.awaits.facts import Facts
from tinyagent.sandbox.awaits.flow import awaited_calls
from tinyagent.sandbox.awaits.reader import facts_of
from tinyagent.sandbox.awaits.scopes import Place, Scope

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
_FOUND = "__found__"
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
    calls: Mapping[ast.expr, tuple[int, int]] = field(default_factory=dict, compare=False)
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
        facts = facts_of(tree, tools)
        if earlier and (known := earlier.without(facts.names)):
            facts = facts_of(tree, tools, [definition.statement for definition in known])
        awaited = awaited_calls(facts) - set(_in_sets(tree))
        text = _Text(code, [*_value(tree), *_wraps(facts, awaited)])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(code, code)
    has_value = bool(tree.body) and isinstance(tree.body[-1], ast.Expr)
    own = facts.calls[facts.earlier[2] :]
    places = frozenset(text.place(call) for call, _ in own if call in awaited)
    calls: dict[ast.expr, tuple[int, int]] = {call: text.place(call) for call, scope in own if not scope.in_coroutine}
    return Source(text.result(), code, places, has_value, facts.names, tree, calls, frozenset(awaited))


def values_of(names: Iterable[str]) -> str:
    """Return code whose value is a dict of what `__show__` tells of those of the names that exist."""
    parts = (f"try:\n    {_FOUND}[{name!r}] = __show__({name})\nexcept NameError:\n    pass\n" for name in names)
    return f"{_FOUND} = {{}}\n{''.join(parts)}{_FOUND}"


def existing_among(names: Iterable[str]) -> str:
    """Return code whose value is a list of those of the names that exist, modules left out."""
    parts = (
        f"try:\n    if __kind__({name}) != 'module':\n        {_FOUND}.append({name!r})\nexcept NameError:\n    pass\n"
        for name in names
    )
    return f"{_FOUND} = []\n{''.join(parts)}{_FOUND}"


def move_taken(kept: Mapping[str, str]) -> str:
    """Return code that copies values from the names of tools to other names; its value lists the tools concerned.

    Args:
        kept: For the name of each tool, the other name.
    """
    parts = (
        f"try:\n    if not __is_tool__({name}, {name!r}):\n"
        f"        {other} = {name}\n        {_FOUND}.append({name!r})\nexcept NameError:\n    pass\n"
        for name, other in kept.items()
    )
    return f"{_FOUND} = []\n{''.join(parts)}{_FOUND}"


class _Wrap(NamedTuple):
    """Text to put around an expression."""

    node: ast.expr | ast.stmt
    before: str
    after: str


def _in_sets(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield what is put into sets, which take no awaitables in Monty."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Set):
            yield from node.elts
        elif isinstance(node, ast.SetComp):
            yield node.elt


def _value(tree: ast.Module) -> Iterator[_Wrap]:
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        yield _Wrap(last, "__value__ = (", ")")  # the statement, since its range includes parentheses around the value


def _wraps(facts: Facts, awaited: set[ast.expr]) -> Iterator[_Wrap]:
    """Yield what is put around awaited values; add calls that this makes awaited to `awaited`."""
    first_awaited, first_gathered, first_call = facts.earlier
    for call, scope in facts.calls[first_call:]:
        if scope.in_coroutine and facts.is_tool(call, scope) and not {call} & (awaited | facts.in_text):
            awaited.add(call)  # otherwise the code's other tasks would stand still
            yield _Wrap(call, "(await ", ")")
    for value, scope in (*facts.awaited[first_awaited:], *facts.gathered[first_gathered:]):
        if value in facts.in_text or _is_awaitable(value, scope, facts, awaited):
            continue
        if isinstance(value, ast.Starred):
            yield _Wrap(value.value, "[__awaited__(__each__) for __each__ in (", ")]")
        else:
            yield _Wrap(value, "__awaited__(", ")")


def _is_awaitable(value: ast.expr, scope: Scope, facts: Facts, awaited: set[ast.expr]) -> bool:
    """Return whether a value, or each of `*values`, is certain to be awaitable."""
    if isinstance(value, ast.Starred):
        parts = _parts(Place(value.value, scope), facts)
        return parts is not None and all(_is_awaitable(part, inner, facts, awaited) for part, inner in parts)
    return value in awaited or facts.gives_coroutine(value, scope)


def _parts(whole: Place, facts: Facts) -> list[Place] | None:
    """Return the parts of a list, tuple, set or comprehension; `None` for anything else."""
    match whole.value:
        case ast.ListComp(elt=part) | ast.GeneratorExp(elt=part) | ast.SetComp(elt=part):
            return [Place(part, facts.inner[whole.value])]
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            return [Place(part, whole.scope) for part in parts]
        case _:
            return None


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
