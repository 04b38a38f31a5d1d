"""A namespace of this process in which blocks of code run, with fewer builtins and imports than usual.

This keeps well-meant code from what it should not need. It is no protection from code that means harm.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import io
import itertools
import linecache
import traceback
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tinyagent.core.jsonable import words
from tinyagent.core.result import CodeError
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import Answer
from tinyagent.sandbox.inprocess.stopper import Interrupted, Stopper
from tinyagent.sandbox.taken import give_names_back, hint_of_shadowed

#: Builtins that the code does not have: files, code in strings, the terminal.
REMOVED = frozenset(
    [
        "breakpoint",
        "compile",
        "copyright",
        "credits",
        "eval",
        "exec",
        "exit",
        "help",
        "input",
        "license",
        "open",
        "quit",
    ]
)
NO_AWAIT = (
    "this sandbox is synchronous, so 'await' cannot stand at the top level: its tools are plain functions that are "
    "called without it"
)
#: Compiler flags of all `from __future__` imports, which hold for the code that follows.
FUTURES = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)

#: Answers a call that the code makes, in the code's thread.
Ask: TypeAlias = Callable[[Tool[..., Any], list[Any], dict[str, Any]], Answer]

_numbers = itertools.count(1)


class BlockEnded(BaseException):
    """Raised in the code by a tool whose value ends the block; no `except Exception` of the code catches it."""


@dataclass(slots=True)
class Outcome:
    """What a piece of code gave; `empty` says that the piece has no statement."""

    empty: bool = False
    value: Any = None
    repr: str | None = None
    exception: BaseException | None = None
    error: CodeError | None = None


class Namespace:
    """The names that blocks of code share. One block at a time: `begin`, `run` for each piece of it, `end`.

    Args:
        tools: The tools, which the code sees as functions.
        imports: The modules that the code may import, their submodules included.
    """

    def __init__(self, tools: Mapping[str, Tool[..., Any]], imports: Iterable[str]) -> None:
        self.over: type[BaseException] | None = None  # raised by print and tools once the block is over
        self.tools = tools
        self._imports = tuple(imports)
        self._write: Callable[[str], object] | None = None
        self._ask: Ask | None = None
        self._flags = 0
        self._number = next(_numbers)
        self._file = ""
        self._files: dict[str, list[str]] = {}  # the lines of each block
        known = {name: value for name, value in vars(builtins).items() if not name.startswith("_")}
        self._builtins = {name: value for name, value in known.items() if name not in REMOVED} | {
            "print": self._print,
            "__build_class__": builtins.__build_class__,
            "__import__": importer(self._imports),
        }
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": self._builtins}
        self._functions = {name: self._function(tool) for name, tool in tools.items()}
        self._kept: dict[str, str] = {}  # by tool: the name of a value that was put under the tool's name
        self.names |= self._functions
        self._given = frozenset(self.names)
        self.forget = weakref.finalize(self, _forget, self._files)

    @property
    def defined(self) -> tuple[str, ...]:
        """The names that the code has defined, without those that begin with `_`."""
        return tuple(name for name in list(self.names) if name not in self._given and not name.startswith("_"))

    def renewed(self) -> Namespace:
        """Return a new namespace with the same tools and imports."""
        return Namespace(self.tools, self._imports)

    def begin(self, write: Callable[[str], object], ask: Ask) -> None:
        """Begin a block, which prints by `write` and calls its tools by `ask`."""
        self._write, self._ask, self.over = write, ask, None
        self._file = f"<block {len(self._files) + 1} of namespace {self._number}>"  # a name unique in the process
        self._files[self._file] = []

    def run(self, source: str, stopper: Stopper) -> Outcome:
        """Run the next piece of the block in this thread, and return what it gave; no error of the code is raised."""
        outcome = Outcome()
        try:
            stopper.guard(lambda: self._run(source, outcome))
        except BaseException as error:  # noqa: BLE001 - it belongs to the code, and is reported
            if self.over is not BlockEnded:
                outcome.exception, outcome.error = error, self.report(error)
        return outcome

    def end(self) -> None:
        """End the block: what it left running can neither print nor call tools any more.

        Every tool has its own name again; a value that the code had put there stays, under another name.
        """
        if (note := give_names_back(self.names, self._functions, self._kept)) and self._write is not None:
            self._write(note)
        self._write = self._ask = None

    def report(self, error: BaseException) -> CodeError:
        """Return an error as the code's author should see it; `stopped` adds the last line of an interruption."""
        known = [entry for entry in traceback.walk_tb(error.__traceback__) if entry[0].f_code.co_filename == self._file]
        line = known[-1][1] if known else None
        message, args = words(error), error.args
        if isinstance(error, SyntaxError) and error.filename in self._files:
            line, message, args = error.lineno, error.msg, (error.msg,)
            error.text = error.text or "".join(self._files[error.filename][(line or 0) - 1 :][:1])
        if isinstance(error, NameError) and error.name in REMOVED:
            error.add_note(f"{error.name} does not exist in this sandbox.")
        if (hint := hint_of_shadowed(error, self.names)) is not None:
            error.add_note(hint)
        for file, lines in self._files.items():  # somebody may have cleared the cache
            linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
        told = traceback.TracebackException.from_exception(error)
        self._show_code_only(told)
        text = list(told.format())
        return CodeError(
            type(error).__name__,
            message,
            "".join(text[:-1] if isinstance(error, Interrupted) else text),
            line,
            _bases(type(error)),
            args if all(isinstance(arg, str | int | float | bytes | None) for arg in args) else (),
            self.defined,
        )

    def _run(self, source: str, outcome: Outcome) -> None:
        lines = self._files[self._file]
        first = len(lines)
        text = source.replace("\r\n", "\n").replace("\r", "\n")
        lines += [f"{line}\n" for line in text.removesuffix("\n").split("\n")]
        linecache.cache[self._file] = (len(text), None, lines, self._file)
        tree = ast.parse("\n" * first + text, self._file)
        outcome.empty = not tree.body
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        body = self._code(tree)
        value = self._code(ast.Expression(last.value)) if isinstance(last, ast.Expr) else None
        exec(body, self.names)
        if value is not None:
            outcome.value = eval(value, self.names)
            outcome.repr = None if outcome.value is None else repr(outcome.value)

    def _code(self, tree: ast.Module | ast.Expression) -> types.CodeType:
        mode = "eval" if isinstance(tree, ast.Expression) else "exec"
        try:
            code: types.CodeType = compile(tree, self._file, mode, self._flags, dont_inherit=True)
        except SyntaxError as error:
            try:
                compile(tree, self._file, mode, self._flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            except SyntaxError:
                raise error from None
            raise SyntaxError(NO_AWAIT, (self._file, error.lineno, error.offset, error.text)) from None
        self._flags |= code.co_flags & FUTURES
        return code

    def _show_code_only(self, told: traceback.TracebackException | None) -> None:
        """Leave only the lines of blocks in a traceback."""
        if told is None:
            return
        own = [frame for frame in told.stack if frame.filename in self._files]
        for frame in own:
            frame.filename = _shown(frame.filename)
        told.stack = traceback.StackSummary.from_list(own) if own else None  # type: ignore[assignment]  # no header
        if isinstance(filename := getattr(told, "filename", None), str) and filename in self._files:
            told.filename = _shown(filename)
        for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
            self._show_code_only(other)

    def _print(
        self, *values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
    ) -> None:
        """Print to the output of the block that runs."""
        if self.over is not None:
            raise self.over
        if file is not None:
            print(*values, sep=sep, end=end, file=file, flush=flush)
            return
        buffer = io.StringIO()
        print(*values, sep=sep, end=end, file=buffer)
        if self._write is not None:
            self._write(buffer.getvalue())

    def _function(self, tool: Tool[..., Any]) -> Callable[..., Any]:
        def function(*args: Any, **kwargs: Any) -> Any:
            if self.over is not None:
                raise self.over
            if self._ask is None:
                raise RuntimeError(f"{tool.name}() was called after its block had ended")
            answer = self._ask(tool, list(args), kwargs)
            if answer.ends_block:
                self.over = BlockEnded
                raise BlockEnded
            return answer.observation.value

        function.__name__ = function.__qualname__ = tool.name
        function.__doc__ = tool.__doc__
        return function


def importer(allowed: Iterable[str]) -> Callable[..., types.ModuleType]:
    """Return an `__import__` that imports only these modules and their submodules."""
    names = sorted(set(allowed))

    def known(name: str) -> bool:
        return any(name == one or name.startswith(f"{one}.") for one in (*names, "__future__"))

    def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:  # noqa: A002
        if level == 0 and (known(name) or (fromlist and all(known(f"{name}.{part}") for part in fromlist))):
            return builtins.__import__(name, globals, locals, fromlist, level)
        raise ImportError(
            f"{'.' * level}{name} cannot be imported here. The modules that can be are: {', '.join(names)}.", name=name
        )

    return import_


def stopped(reason: str, kind: str, known: CodeError | None, lost: tuple[str, ...] | None) -> CodeError:
    """Return the error of a block that was stopped from outside.

    Args:
        reason: Why the block was stopped.
        kind: The name of the builtin exception that says so.
        known: What the block's thread reported, if it did.
        lost: The names that are gone, where the block could not be stopped; else `None`.
    """
    known = known or CodeError("", "")
    if lost is not None:
        known = replace(known, names=lost, lost=True)
        reason += ", and hung in a call that Python cannot stop. All variables, functions and imports are gone"
    text = f"{known.traceback}{kind}: {reason}\n"
    return replace(known, type=kind, message=reason, traceback=text, bases=_bases(getattr(builtins, kind)))


def _bases(error: type[BaseException]) -> tuple[str, ...]:
    return tuple(base.__name__ for base in error.__mro__[1:-1] if base.__module__ == "builtins")


def _shown(file: str) -> str:
    return f"{file.partition(' of ')[0]}>"


def _forget(files: Iterable[str]) -> None:
    for file in files:
        linecache.cache.pop(file, None)
