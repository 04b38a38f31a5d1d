"""Runs snippets in plain Python, as the cells of a notebook, and tells what each block gave.

A program of its own: `python -u plain_python.py` reads `[[block, ...], ...]` as JSON and writes as many lists of
`{"stdout", "repr", "type", "message", "traceback"}`. Each snippet has a process of its own, forked from a fresh
interpreter, and an empty directory.
"""

from __future__ import annotations
import __future__

import ast
import asyncio
import builtins
import inspect
import json
import linecache
import os
import sys
import tempfile
import traceback
import types
from pathlib import Path
from typing import Any, TextIO


def main() -> None:
    snippets = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0)
    with tempfile.TemporaryDirectory() as folder:
        json.dump(
            [_run_in_child(blocks, Path(folder, str(number))) for number, blocks in enumerate(snippets)], sys.stdout
        )


def _run_in_child(blocks: list[str], folder: Path) -> Any:
    """What the blocks give, run in `folder` with both output streams in one file beside it."""
    folder.mkdir()
    output, result = folder.with_suffix(".out"), folder.with_suffix(".json")
    if not (child := os.fork()):
        try:
            os.chdir(folder)
            written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(written, 1)
            os.dup2(written, 2)
            with output.open(newline="") as read:
                result.write_text(json.dumps(_Notebook(read).run(blocks)))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return json.loads(result.read_text())


class _Notebook:
    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        sys.modules["__main__"] = types.ModuleType("__main__")
        self._namespace = vars(sys.modules["__main__"])
        self._namespace["__builtins__"] = builtins
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def run(self, blocks: list[str]) -> list[dict[str, str | None]]:
        return [self._outcome(code, f"<block {number}>") for number, code in enumerate(blocks, 1)]

    def _outcome(self, code: str, file: str) -> dict[str, str | None]:
        told: dict[str, str | None] = {"repr": None, "type": None, "message": None, "traceback": None}
        try:
            value = self._value(code, file)
            told["repr"] = None if value is None else repr(value)
        except BaseException as error:
            told |= _told(error)
        return {"stdout": self._output.read(), **told}

    def _value(self, code: str, file: str) -> Any:
        linecache.cache[file] = (len(code) + 1, None, [f"{line}\n" for line in code.split("\n")], file)
        tree = ast.parse(code, file)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        parts = [compile(tree, file, "exec", self._flags, dont_inherit=True)]
        self._flags |= parts[0].co_flags & __future__.annotations.compiler_flag
        if isinstance(last, ast.Expr):
            parts.append(compile(ast.Expression(last.value), file, "eval", self._flags, dont_inherit=True))
        if any(map(_awaits, parts)):
            return self._loop.run_until_complete(self._in_loop(parts))
        return [eval(part, self._namespace) for part in parts][-1]

    async def _in_loop(self, parts: list[types.CodeType]) -> Any:
        value: Any = None
        for part in parts:
            value = eval(part, self._namespace)
            if _awaits(part):
                value = await value
        return value


def _awaits(code: types.CodeType) -> bool:
    return bool(code.co_flags & inspect.CO_COROUTINE)


def _told(error: BaseException) -> dict[str, str | None]:
    whole = traceback.TracebackException.from_exception(error)
    parts = [whole]
    while parts:  # the frames of the blocks stay; those of the library and of this file go
        part = parts.pop()
        part.stack[:] = [frame for frame in part.stack if frame.filename.startswith(("<block ", "<string>"))]
        parts += [other for other in (part.__cause__, part.__context__, *(part.exceptions or ())) if other]
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:
        message = "<unprintable>"
    return {"type": type(error).__name__, "message": message, "traceback": "".join(whole.format())}


if __name__ == "__main__":
    main()
