"""Short pieces of Python as a model writes them; test_snippets.py runs each in the sandbox and in plain Python.

They are written as notebooks are in a text file: `# %% name` begins a snippet, `# %% name (3.12)` one for Python 3.12
and later, and `# %%` alone another block of the same snippet. Add one wherever it belongs.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from tests.sandbox import (
    snippets_async,
    snippets_blocks,
    snippets_data,
    snippets_errors,
    snippets_functions,
    snippets_library,
    snippets_statements,
    snippets_text,
    snippets_values,
)

_HEADER = re.compile(r"^# %%(?: (?P<name>[a-z0-9-]+))?(?: \((?P<since>\d+\.\d+)\))?$\n", re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    """Blocks that share one namespace."""

    name: str
    blocks: tuple[str, ...]
    since: tuple[int, ...] = (3, 11)


def parse(cells: str) -> list[Snippet]:
    """The snippets of a text in the form above."""
    found: list[Snippet] = []
    _, *parts = _HEADER.split(cells)
    for name, since, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if name is None:
            last = found.pop()
            found.append(Snippet(last.name, (*last.blocks, text.rstrip("\n")), last.since))
        else:
            found.append(Snippet(name, (text.rstrip("\n"),), tuple(map(int, (since or "3.11").split(".")))))
    return found


SNIPPETS = [
    snippet
    for module in (
        snippets_statements,
        snippets_functions,
        snippets_async,
        snippets_errors,
        snippets_text,
        snippets_data,
        snippets_library,
        snippets_values,
        snippets_blocks,
    )
    for snippet in parse(module.CELLS)
    if snippet.since <= sys.version_info
]
