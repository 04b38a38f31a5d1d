"""A tool: a function that a model may call."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypedDict, TypeVar, overload

from tinyagent.core.door import door
from tinyagent.core.errors import (
    ConfigurationError,
    FatalToolError,
    MiddlewareError,
    ReplayError,
    StoreError,
    ToolArgumentsError,
    ToolDefinitionError,
)
from tinyagent.core.introspection import innermost, layers, without_partials
from tinyagent.core.jsonable import error_text, words
from tinyagent.core.text import excerpt
from tinyagent.core.waiting import backoff, is_cancelled

if TYPE_CHECKING:
    from tinyagent.core.context import Context
    from tinyagent.core.schema import Signature

P = ParamSpec("P")
R = TypeVar("R")
Rest = ParamSpec("Rest")  # the parameters of a method without its `self`

#: What providers accept as a function name (OpenAI API reference, `tools[].function.name`).
NAME_PATTERN = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
#: What an error says of a synchronous tool that nobody waits for any more: a thread cannot be stopped.
GOES_ON = "goes on in the background; its effects may still happen"
#: What no further attempt could change.
FINAL = (FatalToolError, StoreError, MiddlewareError, ReplayError, ToolArgumentsError)
#: Characters of a call's error that the model is told.
LONGEST_ERROR = 2_000


class ToolOptions(TypedDict, total=False):
    """The options of a tool besides its name and description; `Tool` explains them."""

    timeout: float | None
    retries: int
    exclusive: bool
    read_only: bool
    returns_answer: bool
    eager: bool
    shown: bool
    local: bool
    once: bool
    needs_approval: bool


class Tool(Generic[P, R]):
    """A function with what a model must know of it. Call it like the function; `@tool` makes one.

    Args:
        function: The function, coroutine function, method, partial or callable object.
        name: The name the model sees (default: the function's).
        description: What the tool does (default: the docstring). Without any there is a warning.
        timeout: Seconds a call may take, not counting its wait for a thread; the model is told when it took
            longer. A synchronous tool's thread is then abandoned: it runs to its end, its result goes nowhere.
        retries: How often a failing call is tried again before the model is told. A synchronous tool that took too
            long is still at work, and is tried again only if it is `read_only`.
        exclusive: No other call of the same turn runs at the same time as this tool.
        read_only: The tool changes nothing; for policies and interfaces.
        returns_answer: The tool's value is the run's output.
        eager: In a stream, the call may start while the model still writes the rest of its reply.
        shown: The returned value is shown to the model even when code called the tool and printed nothing.
        local: The tool changes nothing but what it keeps for the run, such as a plan: a run that is taken up again
            calls it again, instead of answering from its journal.
        once: The tool must never act twice: a call that was in flight when its run was broken off is not made again,
            but waits until a person says what it gave. Only in runs with a store.
        needs_approval: A person is asked before each call, and the run is paused meanwhile; unless a policy allows or
            denies the call. A tool that is made of another tool needs what that one needs, as for `once`.
        local_names: Where annotations written as strings are looked up besides the function's module.
        signature: What a model may pass, where the function itself does not say it.

    Attributes:
        parameters: JSON Schema of the arguments.
        is_async: Calls run on the event loop; otherwise in a worker thread.

    Raises:
        ToolDefinitionError: The function cannot be described; the text names the parameter.
    """

    __wrapped__: Callable[..., Any]

    @door("tool")
    def __init__(  # noqa: PLR0913 - each is an option of its own, by name
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        retries: int = 0,
        exclusive: bool = False,
        read_only: bool = False,
        returns_answer: bool = False,
        eager: bool = True,
        shown: bool = False,
        local: bool = False,
        once: bool = False,
        needs_approval: bool = False,
        local_names: Mapping[str, Any] | None = None,
        signature: Signature | None = None,
    ) -> None:

        for option, text in (("name", name), ("description", description)):
            if not isinstance(text, str | None):
                raise ToolDefinitionError(f"@tool({option}={text!r}): pass text.")
        self.name: str = name or _name_of(function)
        _check_function(function, self.name)
        _check_name(self.name)
        if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
            raise ToolDefinitionError(f"Tool {self.name!r}: timeout={timeout!r} must be above 0 seconds, or None.")
        if not (isinstance(retries, int) and retries >= 0):
            raise ToolDefinitionError(f"Tool {self.name!r}: retries={retries!r} must be 0 or more.")
        made_of = [each for each in layers(function) if isinstance(each, Tool)]  # by a partial, a wrapper, another name
        once = once or any(each.once for each in made_of)
        if once and (retries or local):
            raise ToolDefinitionError(
                f"Tool {self.name!r}: once=True goes with neither retries= nor local=True, which call it again."
            )
        self.function = function
        made_by_hand = signature is not None
        if signature is None:
            from tinyagent.core.schema import describe

            signature = describe(function, self.name, local_names)
        self.signature = signature
        self.description: str = self.signature.description if description is None else description
        if description is None and not self.description and not made_by_hand:
            warn_user(
                f"The tool {self.name!r} has no description: all that a model knows of it is its name. Write a "
                "docstring, or pass @tool(description='...')."
            )
        self.parameters: dict[str, Any] = self.signature.schema
        self.is_async: bool = is_async(function)
        self.timeout = timeout
        self.retries = retries
        self.exclusive = exclusive
        self.read_only = read_only
        self.returns_answer = returns_answer
        self.eager = eager
        self.shown = shown
        self.local = local
        self.once = once
        self.needs_approval = needs_approval or any(each.needs_approval for each in made_of)
        self.__name__: str = self.name
        functools.update_wrapper(self, function, updated=())
        if isinstance(function, functools.partial):  # its own docstring tells what a partial is
            self.__doc__ = innermost(function).__doc__

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself: no validation, no thread, no timeout."""
        return self.function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Tool[P, R]: ...
    @overload
    def __get__(
        self: Tool[Concatenate[Any, Rest], R], instance: object, owner: type | None = None
    ) -> Tool[Rest, R]: ...
    @overload
    def __get__(self: Tool[[], R], instance: object, owner: type | None = None) -> Tool[[], R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Tool[..., R]:
        """Return the tool bound to an instance, as a method is; the tool itself where it is no method."""
        if instance is None or isinstance(self.function, functools.partial) or not hasattr(self.function, "__get__"):
            return self
        bound = copy.copy(self)
        bound.function = bound.__wrapped__ = self.function.__get__(instance, owner)
        return bound

    def renamed(self, name: str) -> Tool[P, R]:
        """Return a copy of the tool under another name.

        Raises:
            ToolDefinitionError: `name` is not a name that providers accept.
        """
        _check_name(name)
        renamed = copy.copy(self)
        renamed.name = renamed.__name__ = name
        return renamed

    def __repr__(self) -> str:
        return f"<Tool {self.name} from {self.source}>"

    @property
    def source(self) -> str:
        """Where the tool's function was defined: `module.qualified_name`."""
        inner = without_partials(self.function)
        inner = getattr(inner, "__func__", inner)
        module = getattr(inner, "__module__", None) or type(inner).__module__
        return f"{module}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"

    @property
    def definition(self) -> dict[str, Any]:
        """The tool in the form of the Chat Completions API: `{"type": "function", "function": {...}}`."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    async def run(self, arguments: Mapping[str, Any], context: Context[Any] | None = None) -> Any:
        """Validate `arguments`, call the function, with the tool's retries, and return its value as the object it is.

        Args:
            arguments: Argument values by name, as a model would give them.
            context: The object for a parameter annotated `Context`.

        Raises:
            ToolArgumentsError: The arguments do not fit.
            TimeoutError: The call took longer than `timeout`.
            Exception: Whatever the function raises.
        """
        attempt = 1
        while True:
            try:
                return await self._attempt(arguments, context)
            except (Exception, SystemExit) as error:
                if attempt > self.retries or self._is_final(error):
                    raise
                wait = backoff(attempt)
                attempt += 1
                if context is not None:
                    from tinyagent.core.events import Retry

                    context._emit(Retry(self.name, attempt, wait, told_of(error)))  # noqa: SLF001 - internal seam
            await asyncio.sleep(wait)

    def _is_final(self, error: BaseException) -> bool:
        """Return whether another attempt could change nothing, or would act twice."""
        still_at_work = words(error).endswith(GOES_ON) and not self.read_only
        return still_at_work or is_cancelled() or isinstance(error, FINAL)

    async def _attempt(self, arguments: Mapping[str, Any], context: Context[Any] | None) -> Any:
        args, kwargs = self.signature.validate(self.name, arguments, context)
        if self.is_async:
            return await self._timed(args, kwargs)
        from tinyagent.core.threads import thread_slot

        async with thread_slot():  # waiting for a thread is not the tool's time
            return await self._timed(args, kwargs)

    async def _timed(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        try:
            async with asyncio.timeout(self.timeout) as limit:
                return await self._invoke(args, kwargs)
        except TimeoutError:
            if limit.expired():
                end = "and was stopped" if self.is_async else f"and {GOES_ON}"
                raise TimeoutError(f"the tool took longer than {self.timeout:g} s {end}") from None
            raise

    async def _invoke(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if self.is_async:
            value: Any = self.function(*args, **kwargs)
        else:
            from tinyagent.core.threads import run_in_thread

            value = await run_in_thread(self.function, *args, **kwargs)
        return await value if inspect.isawaitable(value) else value


def told_of(error: BaseException) -> str:
    """Return what the model is told of an error that a call raised, at most `LONGEST_ERROR` characters and a mark."""
    text = str(error) if isinstance(error, ToolArgumentsError) else error_text(error)
    return excerpt(text, LONGEST_ERROR, " ... (cut)")


def warn_user(text: str) -> None:
    """Issue a `UserWarning` at the line of the caller, outside this package."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001 - warnings can skip the files of a package only since 3.12
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("tinyagent."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling `function` gives a coroutine.

    True for coroutine functions, partials and methods of them, objects whose `__call__` is one, and functions
    that say through `functools.wraps` that they wrap one.
    """
    return any(map(inspect.iscoroutinefunction, layers(function)))


def _name_of(function: Any) -> str:
    function = without_partials(function)
    return getattr(function, "__name__", None) or type(function).__name__


def _check_name(name: str) -> None:
    if not NAME_PATTERN.match(name):
        raise ToolDefinitionError(
            f"{name!r} is no tool name: providers accept 1 to 64 letters, digits, '_' and '-'. "
            "Pass one: @tool(name='...')."
        )


def _check_function(function: Any, name: str) -> None:
    if isinstance(function, staticmethod | classmethod):
        kind = type(function).__name__
        raise ToolDefinitionError(f"Tool {name!r}: put @tool below @{kind}, next to the function.")
    if not callable(function):
        from tinyagent.core.names import instead_of

        raise ToolDefinitionError(
            f"{function!r} cannot be a tool: it is a {type(function).__name__}, not a function. "
            f"{instead_of(function)}Pass a function, a method, a partial or a callable object."
        )
    if isinstance(function, type) and any("__call__" in vars(kind) for kind in function.__mro__):
        raise ToolDefinitionError(
            f"Tool {name!r} is a class whose objects are to be called; as a tool it would only make one. Pass an "
            f"object: Tool({function.__name__}(...)), or tools=[{function.__name__}(...)]."
        )
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise ToolDefinitionError(
            f"Tool {name!r} is a generator, whose value a model cannot read. Return a list, and report progress "
            "through a parameter annotated 'Context' (context.progress)."
        )


def check_unbound(tool: Tool[..., Any]) -> None:
    """Refuse a tool that is a method taken from its class, because it has no instance to work on.

    Raises:
        ConfigurationError: The tool is such a method; the text says how to pass it.
    """
    first = next(iter(inspect.signature(tool.function).parameters), None)
    if first in ("self", "cls") and first not in tool.signature.parameters:
        raise ConfigurationError(
            f"The tool {tool.name!r} is a method of a class: pass it from an instance, "
            f"such as {tool.source.split('.')[-2]}(...).{tool.__name__}."
        )
