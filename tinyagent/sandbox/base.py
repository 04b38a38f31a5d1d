"""The seam between an agent and whatever runs its code: `Sandbox` and `SandboxSession`."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable, Container, Iterable, Mapping
from contextvars import Context, ContextVar
from dataclasses import dataclass, fields
from inspect import Parameter
from keyword import iskeyword
from typing import Any, NamedTuple, Protocol, TypeAlias

from tinyagent.core.door import door
from tinyagent.core.errors import ConfigurationError, SandboxError, ToolArgumentsError
from tinyagent.core.jsonable import error_text, to_text
from tinyagent.core.messages import Call
from tinyagent.core.registry import collect
from tinyagent.core.result import Execution, Observation
from tinyagent.core.tool import Tool

#: Numbers below which a limit in whole numbers is refused.
_LEAST = {"cpu_seconds": 1, "memory": 16 << 20, "output": 1, "calls": 0, "calls_at_once": 1, "threads": 0}
#: The limits that may be `None`.
_MAY_BE_NONE = ("seconds", "cpu_seconds")


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What the code of one sandbox session may use. `None`, where a limit accepts it, means no limit.

    Attributes:
        seconds: Wall time of one block, in seconds. While tool calls are in flight, only what the code computes counts.
        cpu_seconds: CPU seconds of the whole session.
        memory: Bytes the session may allocate.
        output: Characters of one block's output that are kept.
        calls: Tool calls that one block may make.
        calls_at_once: Tool calls that may be in flight at once.
        threads: Threads the code may have besides its main thread.
        grace: Seconds that an interrupted block has to stop before it is killed.
        host_seconds: Seconds of the host process's own time that one block may take: to read what the block sends,
            and to pack the values that its calls get. Above that, calls are refused; above twice that, the session
            is ended.

    Raises:
        ConfigurationError: A limit is of the wrong type or too small; the text says what to pass.
    """

    seconds: float | None = 30.0
    cpu_seconds: int | None = 300
    memory: int = 512 * 1024 * 1024
    output: int = 1_000_000
    calls: int = 1_000
    calls_at_once: int = 64
    threads: int = 16
    grace: float = 1.0
    host_seconds: float = 2.0

    def __post_init__(self) -> None:
        for item in fields(self):
            name, value, least = item.name, getattr(self, item.name), _LEAST.get(item.name)
            if value is None and name in _MAY_BE_NONE:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float if least is None else int):
                fits = False
            else:
                fits = value > 0 if least is None else value >= least
            if not fits:
                what = "seconds above 0" if least is None else f"a whole number from {least:,} on"
                raise ConfigurationError(f"SandboxLimits({name}={value!r}): pass {what}.")


SandboxLimits.__init__ = door("sandbox limits")(SandboxLimits.__init__)  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class SandboxCapabilities:
    """What a sandbox can do.

    Attributes:
        full_python: The language and the standard library are CPython's own.
        isolated: The code cannot reach this process, its files or its network.
        async_tools: The code may call async tools.
        concurrent_tools: Several tool calls of a block can be in flight at once.
        replay: A block that runs again makes the same calls in the same order, so that it can be resumed.
        packages: Packages that the code can import besides the standard library.
        notes: What the code cannot do, as the model is told it, one line each.
        fields: How code reads the fields of a dataclass or model that a tool returns.
    """

    full_python: bool
    isolated: bool
    async_tools: bool
    concurrent_tools: bool
    replay: bool
    packages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fields: str = "value.field or value['field']"


#: Most bytes of arguments that `Call.raw` writes out for a call made by code.
LONGEST_RAW = 64 << 10


class Answer(NamedTuple):
    """The answer to a tool call: its record, the exception the tool raised, and whether the call ends the block."""

    observation: Observation
    exception: Exception | None = None
    ends_block: bool = False


#: Answers a tool call that the code makes. Raises only `asyncio.CancelledError` and exceptions that end the run.
Caller: TypeAlias = Callable[[Call], Awaitable[Answer]]
#: Tools as users pass them: functions or `Tool` objects.
Tools: TypeAlias = Iterable[Tool[..., Any] | Callable[..., Any]]


class SandboxSession(ABC):
    """One namespace in which blocks of code run, one after the other.

    An async context manager: leaving it ends everything the code started.

    Attributes:
        last: What the last block gave; where `execute` raised, what the block gave until then.
    """

    last: Execution | None = None

    @abstractmethod
    async def start(self) -> None:
        """Start the session. Entering the session does this, and so does its first `execute`.

        Raises:
            SandboxUnavailableError: The sandbox cannot run here; the text says why, and what to use instead.
        """

    @abstractmethod
    async def execute(
        self, code: str | AsyncIterable[str], *, on_output: Callable[[str], None] | None = None
    ) -> Execution:
        """Run a block of code and return what it gave. Errors of the code are in `Execution.error`, never raised.

        When the caller is cancelled, the block is interrupted, its tool calls are cancelled and waited for, and the
        names that the block has defined so far stay.

        Args:
            code: Python source; or the pieces of one block, each of whole statements, which run as they arrive.
            on_output: Called with the output as it comes.

        Raises:
            SandboxError: The session is closed, could not be started again, or has a block that waits for the caller.
        """

    @abstractmethod
    async def set(self, values: Mapping[str, Any]) -> None:
        """Set names in the session's namespace. A value that cannot enter the sandbox arrives as its text.

        Raises:
            ConfigurationError: A name is no identifier, a name is that of a tool, or a value is too large.
        """

    @abstractmethod
    async def get(self, *names: str) -> dict[str, Any]:
        """Return the values of the given names that exist; one that cannot leave the sandbox is an `Opaque` text."""

    @abstractmethod
    async def interrupt(self) -> None:
        """Stop the block that runs, as Ctrl-C would; its names stay. Between blocks, do nothing."""

    @abstractmethod
    async def close(self) -> None:
        """End the session and everything the code started."""

    async def __aenter__(self) -> SandboxSession:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Sandbox(Protocol):
    """Where code runs. One object serves any number of sessions at once."""

    @property
    def capabilities(self) -> SandboxCapabilities:
        """What the sandbox can do."""
        ...

    def open(
        self,
        tools: Tools = (),
        limits: SandboxLimits | None = None,
        *,
        call: Caller | None = None,
        seed: str | None = None,
    ) -> SandboxSession:
        """Return a new session whose code can call the tools. Entering the session, or its first use, starts it.

            async with sandbox.open([search]) as session:
                execution = await session.execute("len(search('tea'))")

        Args:
            tools: Functions or `Tool` objects; the code sees them as functions.
            limits: What the session may use; default: the sandbox's own.
            call: Answers the code's tool calls; default: runs the tool.
            seed: Seeds the code's random numbers, in sandboxes that can run a block again (`capabilities.replay`).

        Raises:
            ConfigurationError: The code could not call a tool; the text says which, and why.
        """
        ...


def caller_of(tools: Mapping[str, Tool[..., Any]]) -> Caller:
    """Return a `Caller` that runs the tools, for a session that no agent owns."""

    async def call(call: Call) -> Answer:
        began = time.perf_counter()
        if call.problem is not None:
            error: Exception = ToolArgumentsError(call.name, [call.problem])
            return Answer(Observation(call, str(error), error=str(error)), error)
        tool = tools[call.name]
        try:
            value = await tool.run(call.arguments)
        except Exception as failure:  # noqa: BLE001 - it belongs to the code that called
            text = error_text(failure)
            seconds = time.perf_counter() - began
            return Answer(Observation(call, text, error=text, seconds=seconds).raised(failure), failure)
        seconds = time.perf_counter() - began
        return Answer(Observation(call, to_text(value), value, seconds=seconds), None, tool.returns_answer)

    return call


def bind(tool: Tool[..., Any], args: list[Any], kwargs: dict[str, Any], call_id: str, *, size: int = 0) -> Call:
    """Return the call that `tool(*args, **kwargs)` makes, with its positional arguments under their names.

    What Python would say against the arguments is in `Call.problem`.

    Args:
        tool: The tool that is called.
        args: Positional arguments.
        kwargs: Keyword arguments.
        call_id: The id of the call.
        size: Bytes of the arguments. Above `LONGEST_RAW`, `Call.raw` tells this number instead of the arguments.
    """
    names = [name for name, item in tool.signature.parameters.items() if item.kind is not Parameter.KEYWORD_ONLY]
    problem = None
    if len(args) > len(names):
        takes = f"{len(names)} positional argument{'s' * (len(names) != 1)}"
        problem = f"{tool.name}() takes {takes} but {len(args)} {'was' if len(args) == 1 else 'were'} given"
    arguments = dict(zip(names, args, strict=False))
    if twice := arguments.keys() & kwargs.keys():
        problem = f"{tool.name}() got multiple values for argument {min(twice)!r}"
    arguments.update(kwargs)
    raw = to_text(arguments) if size <= LONGEST_RAW else json.dumps({"...": f"{size:,} bytes"})
    return Call(tool.name, arguments, call_id, raw=raw, problem=problem)


#: The blocks whose calls the current task answers.
_answering: ContextVar[tuple[object, ...]] = ContextVar("answering", default=())


def context_of_calls(block: object, context: Context) -> Context:
    """Return a copy of the context for the tasks that answer the calls of a block."""
    copy = context.copy()
    copy.run(_answering.set, (*context.get(_answering, ()), block))
    return copy


def check_not_waited_for(block: object | None) -> None:
    """Refuse a tool the use of the session whose block waits for that tool: neither would ever end.

    Raises:
        SandboxError: The current task answers a call of the block.
    """
    if block is not None and any(block is each for each in _answering.get()):
        raise SandboxError(
            "A tool cannot use the session that called it: its block waits for the tool. Open another session, or "
            "return the value."
        )


def is_name(name: object) -> bool:
    """Return whether code can use the object as a name: an identifier that is no keyword."""
    return isinstance(name, str) and name.isidentifier() and not iskeyword(name)


def check_names(names: Iterable[object], tools: Container[object]) -> None:
    """Refuse to set variables that code could not use, or that would hide a tool from it.

    Raises:
        ConfigurationError: One of the names is no identifier, or that of a tool.
    """
    for name in names:
        if not is_name(name):
            raise ConfigurationError(f"set({name!r}): a name in Python is letters, digits and '_', and no keyword.")
        if name in tools:
            raise ConfigurationError(f"set({name!r}): code calls a tool by that name; use another one.")


def checked_limits(limits: SandboxLimits | None) -> SandboxLimits:
    """Return the limits of a sandbox, or the default limits for `None`.

    Raises:
        ConfigurationError: `limits` is neither `SandboxLimits` nor `None`.
    """
    if not isinstance(limits, SandboxLimits | None):
        raise ConfigurationError(f"limits={limits!r}: pass SandboxLimits(seconds=..., memory=..., ...).")
    return limits or SandboxLimits()


def tools_by_name(tools: Tools) -> dict[str, Tool[..., Any]]:
    """Return the tools of a session by name.

    Raises:
        ConfigurationError: Two tools have one name, or a name is no Python identifier; the text says what to do.
    """
    found = collect(tools)
    for name, tool in found.items():
        if not is_name(name):
            raise ConfigurationError(
                f"Tool {name!r} from {tool.source}: code cannot call it, since the name is no Python identifier. "
                "Rename it with @tool(name='...')."
            )
    return found


def check_tools(sandbox: Sandbox, tools: Iterable[Tool[..., Any]]) -> None:
    """Refuse tools that the sandbox cannot call.

    Raises:
        ConfigurationError: A tool is async, the sandbox synchronous; the text names both, and what to use instead.
    """
    if sandbox.capabilities.async_tools:
        return
    for tool in tools:
        if tool.is_async:
            raise ConfigurationError(
                f"Tool {tool.name!r} is async, and {type(sandbox).__name__} is synchronous: it cannot call it. Use "
                "ProcessSandbox or MontySandbox, or make the tool a plain function."
            )
