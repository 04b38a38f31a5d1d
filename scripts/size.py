"""What a reader has to read: code lines by room against their budgets, the way of one run, the longest functions.

    make size

A code line is one that is neither blank, nor a comment, nor part of a docstring.
"""

from __future__ import annotations

import ast
import asyncio
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

PACKAGE = Path(__file__).parents[1] / "tinyagent"
#: Code lines that design allows each group of rooms, with every feature that is planned.
BUDGETS = {
    "core models agents trace": 6_500,
    "sandbox locked": 5_750,
    "tools": 2_900,
    "flow durable": 950,
    "cli": 500,
    "testing": 450,
}
WHOLE = 17_300
#: The way of one run with one tool call over HTTP: code lines of the functions that run, and their files.
WAY_LINES, WAY_FILES = 950, 18
LONGEST_FUNCTION, LONGEST_FILE = 40, 300
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


class Function(NamedTuple):
    """A function of the package: where it begins, and its code lines."""

    name: str
    lines: frozenset[int]


class File(NamedTuple):
    """A file of the package: its code lines, and its functions by the line of their `def`."""

    path: Path
    lines: frozenset[int]
    functions: dict[int, Function]


def read(path: Path) -> File:
    """Count a file."""
    text = path.read_text()
    tree = ast.parse(text)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            docstrings.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    lines -= docstrings
    functions = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            whole = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            name = node.name if not isinstance(node, ast.Lambda) else "<lambda>"
            functions[node.lineno] = Function(name, frozenset(lines.intersection(whole)))
    return File(path, frozenset(lines), functions)


def rooms(files: list[File]) -> Iterator[str]:
    """Each room's code lines, and what is allowed."""
    by_room: Counter[str] = Counter()
    for file in files:
        place = file.path.relative_to(PACKAGE)
        by_room[place.parts[0] if len(place.parts) > 1 else "(top)"] += len(file.lines)
    yield f"{'room':28}{'code lines':>12}{'budget':>10}"
    for names, budget in BUDGETS.items():
        counts = {name: by_room.pop(name, 0) for name in names.split()}
        here = " + ".join(name for name, count in counts.items() if count) or names
        yield f"{here:28}{sum(counts.values()):>12,}{budget:>10,}"
    for name, count in by_room.items():
        yield f"{name:28}{count:>12,}"
    yield f"{'the package':28}{sum(len(file.lines) for file in files):>12,}{WHOLE:>10,}"


def way(files: list[File]) -> Iterator[str]:
    """Describe what runs when an agent answers with one tool call, over HTTP, once everything is imported."""
    known = {str(file.path): file for file in files}
    ran = _functions_of_a_run()
    lines: Counter[str] = Counter()
    functions = 0
    for path, first in ran:
        function = _at(known[path], first) if path in known else None
        if function is not None:
            functions += 1
            lines[str(Path(path).relative_to(PACKAGE.parent))] += len(function.lines)
    yield f"one run with one tool call over HTTP runs {functions} functions:"
    yield f"  {sum(lines.values()):,} code lines (at most {WAY_LINES}) in {len(lines)} files (at most {WAY_FILES})"
    yield from (f"  {count:>5}  {path}" for path, count in lines.most_common())


def _at(file: File, first: int) -> Function | None:
    """Return the function whose code begins there; that of a decorated one begins with its decorators."""
    return next((file.functions[at] for at in sorted(file.functions) if at >= first), None)


def _functions_of_a_run() -> set[tuple[str, int]]:
    from tinyagent import ReactAgent
    from tinyagent.testing import ScriptedServer, call

    async def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    seen: set[CodeType] = set()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            seen.add(frame.f_code)

    async def main() -> None:
        replies = [call("add", a=2, b=3), "It is 5."]
        async with ScriptedServer(replies * 2) as server:
            agent = ReactAgent(tools=[add], model=server.model())
            await agent.run("What is 2 and 3?")  # what is made once does not count
            sys.setprofile(watch)
            await agent.run("What is 2 and 3?")
            sys.setprofile(None)

    asyncio.run(main())
    beside = ("testing",)  # the server
    inside = {code for code in seen if code.co_filename.startswith(str(PACKAGE)) and code.co_name[:1] != "<"}
    return {
        (code.co_filename, code.co_firstlineno)
        for code in inside
        if not str(Path(code.co_filename).relative_to(PACKAGE)).startswith(beside)
    }


def longest(files: list[File]) -> Iterator[str]:
    """List the longest functions and files, above what is wanted."""
    functions = [(len(each.lines), each.name, file.path) for file in files for each in file.functions.values()]
    over = sorted((each for each in functions if each[0] > LONGEST_FUNCTION), reverse=True)
    yield f"functions over {LONGEST_FUNCTION} code lines: {len(over)}"
    yield from (f"  {count:>5}  {path.relative_to(PACKAGE.parent)}: {name}" for count, name, path in over)
    large = sorted(((len(file.lines), file.path) for file in files if len(file.lines) > LONGEST_FILE), reverse=True)
    yield f"files over {LONGEST_FILE} code lines: {len(large)}"
    yield from (f"  {count:>5}  {path.relative_to(PACKAGE.parent)}" for count, path in large)


def main() -> None:
    """Print it all."""
    files = [read(path) for path in sorted(PACKAGE.rglob("*.py"))]
    for part in (rooms(files), way(files), longest(files)):
        print("\n".join(part), end="\n\n")


if __name__ == "__main__":
    main()
