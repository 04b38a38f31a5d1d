"""`PythonExecutor`: code that you trust, run in this process.

The code shares the process with your program and can reach all that the program can. Fewer builtins and imports keep
it from what it should not need; they are no protection. For code that you do not trust use `ProcessSandbox`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from contextvars import copy_context
from typing import Any
from weakref import WeakSet

from tinyagent.bridge import run_sync
from tinyagent.core.door import door
from tinyagent.core.errors import ConfigurationError, SandboxError
from tinyagent.core.threads import in_forked_copy
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import (
    Caller,
    SandboxCapabilities,
    SandboxLimits,
    SandboxSession,
    Tools,
    caller_of,
    check_not_waited_for,
    check_tools,
    context_of_calls,
    tools_by_name,
)
from tinyagent.sandbox.inprocess.namespace import REMOVED, Namespace
from tinyagent.sandbox.inprocess.session import ThreadSession

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
        self._lock = threading.Lock()

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
        by_name = self._checked(tools)
        return ThreadSession(Namespace(by_name, self._imports), limits or self._limits, call or caller_of(by_name))

    def run(self, code: str) -> tuple[Any, bool]:
        """Run a block, in a worker thread that this call waits for, and return `(output, is_final)`.

        The output is the value given to `final_answer` (or returned by a tool with `returns_answer`) when that ended
        the block, and `is_final` is true. Otherwise it is text: what the code printed, then the `repr` of the
        expression at its end, or the traceback of its error. The time of tools does not count. Code that runs for too
        long is stopped as by Ctrl-C; if it hangs in a call that is not written in Python, it is left with all its
        names when `SandboxLimits.grace` is over.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
            RuntimeError: A tool of the code called `run` itself.
        """
        try:
            check_not_waited_for(self._lock)
        except SandboxError:
            nested = "PythonExecutor.run() was called by its own code; use another PythonExecutor."
            raise RuntimeError(nested) from None
        with self._lock:
            session = ThreadSession(self._namespace, self._limits, caller_of(self._namespace.tools))
            try:
                execution = context_of_calls(self._lock, copy_context()).run(run_sync, session.execute(code))
            finally:
                self._namespace = session.namespace
        for made in execution.calls:
            if made.error is None and self._namespace.tools[made.call.name].returns_answer:
                return made.value, True
        error = execution.error
        cut = f"[{execution.truncated:,} more characters were printed]\n" if execution.truncated else ""
        last = error.traceback.rstrip("\n") if error else execution.repr or ""
        return f"{execution.stdout}{cut}{last}", False

    def _checked(self, tools: Tools) -> dict[str, Tool[..., Any]]:
        found = tools_by_name(tools)
        check_tools(self, found.values())
        return found


@in_forked_copy
def _free_executors() -> None:
    for executor in _executors:
        executor._free()  # noqa: SLF001 - this module's own


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
