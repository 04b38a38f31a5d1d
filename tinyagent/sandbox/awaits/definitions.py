"""What earlier blocks of a session have defined, as far as it tells how calls of tools are meant."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tinyagent.sandbox.awaits.flow import Flow

#: Most statements that are kept, and most lines of one.
_MOST = 100
_LONGEST = 200


class Definition(NamedTuple):
    """A statement of an earlier block.

    Attributes:
        statement: A function or class, a lambda or a tool under a name, or an import of asyncio.
        file: The file name of the block.
        calls: Where calls in the statement begin and end, in bytes, if that was told.
    """

    statement: ast.stmt
    file: str
    calls: Mapping[ast.Call, tuple[int, int]]


class Definitions:
    """The statements of earlier blocks that still hold, by the names they bind."""

    def __init__(self) -> None:
        self._by_name: dict[str, Definition] = {}

    def __iter__(self) -> Iterator[Definition]:
        return iter(self._by_name.values())

    def flow(self, tree: ast.Module, tools: Collection[str]) -> Flow:
        """Return what a block does with tools, as far as it and the definitions that hold in it tell.

        Raises:
            RecursionError: The code is nested too deep.
        """
        return Flow(tree, tools, {name: known.statement for name, known in self._by_name.items()})

    def learn(
        self,
        tree: ast.Module,
        names: Collection[str],
        tools: Collection[str],
        file: str = "",
        calls: Mapping[ast.Call, tuple[int, int]] = MappingProxyType({}),
    ) -> None:
        """Keep what code has defined, instead of what its names meant before.

        Args:
            tree: The code, as it was written.
            names: The global names that it binds.
            tools: The names of the tools.
            file: The file name of the code.
            calls: Where calls in the code begin and end, in bytes.
        """
        for bound in names:
            self._by_name.pop(bound, None)
        for statement in tree.body:
            name = _name_of(statement, tools)
            if name is not None and (statement.end_lineno or 0) - statement.lineno < _LONGEST:
                self._by_name[name] = Definition(statement, file, calls)
        while len(self._by_name) > _MOST:
            del self._by_name[next(iter(self._by_name))]


def is_worth_keeping(tree: ast.Module, tools: Collection[str]) -> bool:
    """Return whether code defines anything that `Definitions` keeps."""
    return any(_name_of(statement, tools) is not None for statement in tree.body)


def _name_of(statement: ast.stmt, tools: Collection[str]) -> str | None:
    """Return the name under which a statement is worth keeping, or `None`."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Import(names=[ast.alias(name="asyncio", asname=str(name))]):
            return name
        case ast.ImportFrom(module="asyncio", names=[ast.alias(name=name, asname=other)]):
            return other or name
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
            return name
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            parts = list(ast.walk(value))
            plain = not any(isinstance(part, ast.Call | ast.Await) for part in parts)
            return name if plain and any(isinstance(part, ast.Name) and part.id in tools for part in parts) else None
        case _:
            return None
