"""`PythonExecutor`: code that you trust, run in this process.

The code shares the process with your program and can reach all that the program can. Fewer builtins and imports keep
it from what it should not need; they are no protection. For code that you do not trust use `ProcessSandbox`.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import WeakSet

from tinyagent.core.door import door
from tinyagent.core.errors import ConfigurationError, ToolArgumentsError
from tinyagent.core.threads import in_forked_copy
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import (
    Caller,
    SandboxCapabilities,
    SandboxLimits,
    SandboxSession,
    Tools,
    bind,
    tools_by_name,
)
from tinyagent.sandbox.choice import check_tools
from tinyagent.sandbox.inprocess.namespace import REMOVED, BlockEnded, Namespace, Output, check_calls, stopped
from tinyagent.sandbox.inprocess.session import ThreadSession
from tinyagent.sandbox.inprocess.stopper import Interrupted, Stopper

#: What the code may import unless told otherwise: the parts of the standard library that only compute.
# fmt: off
DEFAULT_IMPORTS = (
    "abc", "array", "base64", "bisect", "calendar", "cmath", "collections", "contextlib", "copy", "csv",
    "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions", "functools", "hashlib", "heapq", "html",
    "itertools", "json", "math", "numbers", "operator", "random", "re", "secrets", "statistics", "string", "struct",
    "textwrap", "time", "typing", "unicodedata", "urllib.parse", "uuid", "zoneinfo",
)
# fmt: on

_executors: WeakSet[PythonExecutor] = WeakSet()


class PythonExecutor:
    r"""Runs code that you trust in this process; a `Sandbox` by its form alone, since nothing is isolated.

    On its own, with `run`, it keeps one namespace from block to block:

        executor = PythonExecutor([add])
        executor.run("total = add(2, 3)\ntotal * 10")  # ('50', False)
        executor.run("final_answer(total)")  # (5, True)

    As `TinyCodeAgent(sandbox=PythonExecutor())` each session has a namespace and, while a block runs, a worker thread.

    The code has Python's builtins without `open`, `exec`, `eval`, `compile`, `input` and the like, and imports only the
    modules named. Output is what it passes to its own `print`; what a library writes to `sys.stdout` goes where
    the output of your program goes. Of the limits, `seconds`, `output`, `calls` and `grace` hold here.

    Args:
        tools: The tools of `run`: functions or `Tool` objects, none of them async.
        imports: The modules the code may import, with their submodules; `[*DEFAULT_IMPORTS, "numpy"]` for one more.
        limits: What a block may use.

    Raises:
        ConfigurationError: A tool is async or has no name that code could call, or `imports` is no list of names.
    """

    @door("sandbox")
    def __init__(
        self, tools: Tools = (), *, imports: Iterable[str] = DEFAULT_IMPORTS, limits: SandboxLimits | None = None
    ) -> None:
        self._imports = _names(imports)
        self._limits = limits or SandboxLimits()
        own = Tool(final_answer, returns_answer=True)
        self._namespace = Namespace({own.name: own} | self._checked(tools), self._imports)
        self._free()
        _executors.add(self)

    def _free(self) -> None:
        """Make the executor free, with a lock that no thread holds: in a forked copy the others are gone."""
        self._lock = threading.RLock()
        self._running = False

    @property
    def capabilities(self) -> SandboxCapabilities:
        """What the sandbox can do."""
        installed = (name for name in self._imports if name.partition(".")[0] not in sys.stdlib_module_names)
        return SandboxCapabilities(
            full_python=False,
            isolated=False,
            async_tools=False,
            concurrent_tools=False,
            replay=False,
            packages=tuple(installed),
            notes=(
                f"These builtins do not exist: {', '.join(sorted(REMOVED))}.",
                f"Only these modules can be imported: {', '.join(self._imports)}.",
                "There is no 'await' at the top level: tools are plain functions.",
                "Only print() shows output; what is written to sys.stdout in other ways is not seen.",
            ),
            fields="value.field",
        )

    def open(
        self,
        tools: Tools = (),
        limits: SandboxLimits | None = None,
        *,
        call: Caller | None = None,
        seed: str | None = None,  # noqa: ARG002 - random numbers are those of the whole process
    ) -> SandboxSession:
        """Return a new session whose code can call the tools, with a namespace of its own.

        Args:
            tools: Functions or `Tool` objects, none of them async; the code sees them as functions.
            limits: What the session may use; default: the executor's own.
            call: Answers the code's tool calls; default: runs the tool.
            seed: Seeds nothing: the random numbers are those of the whole process.

        Raises:
            ConfigurationError: A tool is async, or has no name that code could call.
        """
        return ThreadSession(self._checked(tools), self._imports, limits or self._limits, call)

    def run(self, code: str) -> tuple[Any, bool]:
        """Run a block in this thread, and return `(output, is_final)`.

        The output is the value given to `final_answer` (or returned by a tool with `returns_answer`) when that ended
        the block, and `is_final` is true. Otherwise it is text: what the code printed, then the `repr` of the
        expression at its end, or the traceback of its error. Tools are called in this thread, their arguments
        checked; their time does not count, and `Tool.timeout` and `Tool.retries` do not apply. Code that runs for
        too long is stopped as by Ctrl-C, once it is back from any call that is not written in Python.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
            RuntimeError: A tool of the code called `run` itself.
        """
        with self._lock:
            if self._running:
                raise RuntimeError("PythonExecutor.run() was called by its own code; use another PythonExecutor.")
            self._running = True
            try:
                return self._run(code)
            finally:
                self._namespace.end()
                self._running = False

    def _checked(self, tools: Tools) -> dict[str, Tool[..., Any]]:
        found = tools_by_name(tools)
        check_tools(self, found.values())
        return found

    def _run(self, code: str) -> tuple[Any, bool]:
        output, stopper = Output(self._limits.output), Stopper()
        answers = _Answers(self._namespace, self._limits)
        self._namespace.begin(output, answers.answer)
        with answers.clock.watched(stopper.stop, self._limits.grace):
            outcome = self._namespace.run(code, stopper)
        self._namespace.give_names_back()
        if answers.final:
            return answers.final[0], True
        error = outcome.error
        if isinstance(outcome.exception, Interrupted):
            error = stopped(self._limits, error)
        elif isinstance(outcome.exception, KeyboardInterrupt):
            raise outcome.exception
        cut = f"[{output.truncated:,} more characters were printed]\n" if output.truncated else ""
        last = error.traceback.rstrip("\n") if error else outcome.repr or ""
        return f"{output.text}{cut}{last}", False


@in_forked_copy
def _free_executors() -> None:
    for executor in _executors:
        executor._free()  # noqa: SLF001 - this module's own


class _Answers:
    """Answers the calls of one block of `PythonExecutor.run` in the code's own thread."""

    def __init__(self, namespace: Namespace, limits: SandboxLimits) -> None:
        self.clock = _Clock(limits.seconds)
        self.final: list[Any] = []
        self._namespace = namespace
        self._limits = limits
        self._calls = 0

    def answer(self, tool: Tool[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a tool in this thread, off the clock, and return its value."""
        self._calls += 1
        check_calls(self._calls, self._limits)
        call = bind(tool, args, kwargs, "")
        if call.problem is not None:
            raise ToolArgumentsError(tool.name, [call.problem])
        with self.clock.paused():
            args, kwargs = tool.signature.validate(tool.name, call.arguments)
            value = tool.function(*args, **kwargs)
        if inspect.iscoroutine(value):
            value.close()
            raise TypeError(f"{tool.name}() gave a coroutine, which PythonExecutor cannot await: use ProcessSandbox")
        if tool.returns_answer:
            self.final.append(value)
            self._namespace.over = BlockEnded
            raise BlockEnded
        return value


class _Clock:
    """The seconds that code has left, without those of its tools, and the thread that watches them."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + (seconds or 0)
        self._paused: float | None = None

    def left(self) -> float:
        """Return the seconds that the code has left."""
        return self._ends - (time.monotonic() if self._paused is None else self._paused)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock for what runs inside."""
        self._paused = time.monotonic()
        try:
            yield
        finally:
            self._ends += time.monotonic() - self._paused
            self._paused = None

    @contextlib.contextmanager
    def watched(self, stop: Callable[[], None], again: float) -> Iterator[None]:
        """Call `stop` from another thread when no time is left, then every `again` seconds, until the block is left."""
        if self._seconds is None:
            yield
            return
        over = threading.Event()

        def watch() -> None:
            while not over.wait(max(self.left(), 0.01)):
                if self.left() <= 0:
                    stop()
                    if over.wait(again):
                        return

        watcher = threading.Thread(target=watch, name="tinyagent time limit", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def final_answer(value: Any) -> Any:
    """Give the final answer, which ends the code.

    Args:
        value: The answer.
    """
    return value


def _names(imports: Iterable[str]) -> tuple[str, ...]:
    names = () if isinstance(imports, str) else tuple(imports)
    if isinstance(imports, str) or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"imports={imports!r}: pass a list of module names, such as ['math', 'numpy'].")
    return names
