"""Fail on modules that import each other when they are loaded, directly or in a ring.

    python scripts/cycles.py

Imports in functions, and those for type checkers alone, do not count: they load nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tinyagent"


def main() -> int:
    """Print the first ring, and return 1; or 0."""
    files = {_name(path): path for path in PACKAGE.rglob("*.py")}
    graph = {name: set(_imported(path, files)) - {name} for name, path in files.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        print("These modules import each other:\n  " + "\n  imports ".join(reversed(error.args[1])))
        return 1
    return 0


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, known: Collection[str]) -> Iterator[str]:
    for node in _loaded(ast.parse(path.read_text()).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (full if full in known else node.module for full in inner if node.module in known)


def _loaded(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Return the imports that run when the module is loaded."""
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from _loaded(statement.orelse)
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.ClassDef):
            for field in ("body", "orelse", "finalbody"):
                yield from _loaded(getattr(statement, field, []))


if __name__ == "__main__":
    sys.exit(main())
