"""Check the types of every Python snippet of the README, as a strict reader's mypy and basedpyright would.

    python scripts/snippets.py

Each snippet is a module of its own, which imports what it goes on from. Its lines have the numbers of the page.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from symtable import SymbolTable, symtable

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Check them, and return how many checkers are not content."""
    with tempfile.TemporaryDirectory() as place:
        for name, source in _modules((ROOT / "README.md").read_text(encoding="utf-8")):
            Path(place, f"{name}.py").write_text(source, encoding="utf-8")
        config = {"typeCheckingMode": "strict", "pythonVersion": "3.11"}
        Path(place, "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
        mypy = ["mypy", "--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache", "."]
        pyright = ["basedpyright", "--pythonpath", sys.executable]
        checkers = [[Path(sys.executable).parent / tool, *options] for tool, *options in (mypy, pyright)]
        return sum(subprocess.run(checker, cwd=place, check=False).returncode != 0 for checker in checkers)


def _modules(page: str) -> Iterator[tuple[str, str]]:
    """Return the name and the source of a module for each snippet."""
    known: dict[str, str] = {}  # how a later snippet imports a name
    for found in re.finditer(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        snippet, line = found[1], page.count("\n", 0, found.start(1))
        name = f"readme_{line + 1}"
        table = symtable(snippet, name, "exec")
        own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        imports = "; ".join(known[used] for used in sorted(set(_globals(table)) - own) if used in known)
        yield name, imports + "\n" * line + snippet
        known |= {mine: f"from {name} import {mine}" for mine in own} | dict(_imports(snippet))


def _globals(table: SymbolTable) -> Iterator[str]:
    """Return the names that a scope, and those inside it, take from the module."""
    for symbol in table.get_symbols():
        if symbol.is_global() or table.get_type() == "module":
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _globals(inner)


def _imports(snippet: str) -> Iterator[tuple[str, str]]:
    """Return what the snippet imports itself, and how: a strict checker refuses to have that from the snippet."""
    for node in ast.parse(snippet).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                yield alias.asname or alias.name, f"{origin}import {ast.unparse(alias)}"


if __name__ == "__main__":
    sys.exit(main())
