"""The one seam around the model calls and tool calls of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from inspect import isawaitable
from typing import Any, Generic, TypeAlias, TypeVar

from tinyagent.core.context import Context
from tinyagent.core.errors import ConfigurationError, MiddlewareError, TinyAgentError
from tinyagent.core.jsonable import brief, to_text
from tinyagent.core.messages import Call, Reply
from tinyagent.core.result import Observation
from tinyagent.core.waiting import blaming
from tinyagent.models.base import ModelRequest, Sink, wrong_in
from tinyagent.tools.toolkit import ToolLike

T = TypeVar("T")

#: What a model call goes on to: the next middleware, or the model.
ModelCall: TypeAlias = Callable[[ModelRequest, Sink], Awaitable[Reply]]
#: What a tool call goes on to: the next middleware, or the tool.
ToolCall: TypeAlias = Callable[[Call, Context[Any]], Awaitable[Observation]]


class Middleware:
    """A layer around every model call and tool call: override the methods that you need.

        class Timed(Middleware):
            async def wrap_tool_call(self, call, context, call_next):
                observation = await call_next(call, context)
                print(f"{call.name} took {observation.seconds:.1f} s")
                return observation

    Pass objects as `middleware=[...]`: to an agent, for all its runs, or to a run, for it and the runs inside it. The
    first is the outermost; those of the agent stand around those of the run. One object may serve many runs at once:
    what belongs to a call is kept in local variables.

    Attributes:
        tools: Tools that an agent gets with this middleware; as in `tools=[...]`.
        judges_replies: Calls wait until the whole reply has passed, since `wrap_model_call` may change it; otherwise
            they may start while the model still writes.
    """

    tools: Sequence[ToolLike] = ()
    judges_replies: bool = False

    async def wrap_model_call(self, request: ModelRequest, sink: Sink, call_next: ModelCall) -> Reply:
        """Return the model's reply: that of `call_next(request, sink)`, or another one.

        Args:
            request: What the model is asked; `request.key` names the call within the store.
            sink: Hears the reply while it is written.
            call_next: Goes on to the next middleware or the model. It may be called again, as long as no call of the
                first reply has started (see `judges_replies`), or not at all.

        Raises:
            ModelError: No reply could be had. An error that is none of tinyagent's ends the run as a `MiddlewareError`.
        """
        return await call_next(request, sink)

    async def wrap_tool_call(self, call: Call, context: Context[Any], call_next: ToolCall) -> Observation:
        """Return a tool call's observation: that of `call_next(call, context)`, or another `Observation(call, text)`.

        Calls of every kind pass: of functions, toolkits, MCP, inner agents and handoffs, and those that code makes.
        A call that cannot be made, of an unknown tool or with arguments that are no JSON, does not pass.

        Args:
            call: The call, with the arguments as the model gave them; what is passed on may have others.
            context: The run, as the tool sees it; `context.key` names the call within the store.
            call_next: Goes on to the next middleware or the tool; it may be called again, or not at all. What a tool
                raises is in the `Observation`, and not raised here. To refuse a call, return an `Observation` with
                `error=`: one without counts as the tool's value, also that of a handoff, which then goes ahead.

        Raises:
            FatalToolError: To end the run, as errors of the store and of middleware do. What else is raised is told to
                the model, as if the tool had raised it.
        """
        return await call_next(call, context)


def checked_middleware(given: object) -> tuple[Middleware, ...]:
    """Return what was passed as `middleware=`, checked, as a tuple.

    Raises:
        ConfigurationError: `given` is no list of `Middleware` objects.
    """
    items: list[Any] = list(given) if isinstance(given, Iterable) else []
    if not isinstance(given, Iterable) or not all(isinstance(item, Middleware) for item in items):
        raise ConfigurationError(f"middleware={brief(given)}: pass a list of Middleware objects, such as [Timed()].")
    return tuple(items)


def chain_of(agent: tuple[Middleware, ...], run: tuple[Middleware, ...]) -> tuple[Middleware, ...]:
    """Return the middleware of an agent, and what a run has besides; the first is the outermost."""
    return (*agent, *(each for each in run if each not in agent)) if run else agent


def tools_of(middleware: Iterable[Middleware]) -> list[ToolLike]:
    """Return the tools that come with the middleware."""
    return [tool for each in middleware for tool in each.tools or ()]


def around_model(middleware: Iterable[Middleware], model: ModelCall) -> ModelCall:
    """Return the model call with the middleware around it, the first outermost."""
    for each in reversed(tuple(middleware)):
        if type(each).wrap_model_call is not Middleware.wrap_model_call:
            model = _ModelCall(each, model)
    return model


def around_tool(middleware: Iterable[Middleware], tool: ToolCall) -> ToolCall:
    """Return the tool call with the middleware around it, the first outermost."""
    for each in reversed(tuple(middleware)):
        if type(each).wrap_tool_call is not Middleware.wrap_tool_call:
            tool = _ToolCall(each, tool)
    return tool


class _Around(Generic[T]):
    """A model call or a tool call with one middleware around it."""

    def __init__(self, middleware: Middleware, call_next: T) -> None:
        self._middleware = middleware
        self._next = call_next

    def _fault(self, what: str) -> MiddlewareError:
        return MiddlewareError(f"The middleware {type(self._middleware).__name__} {what}")


class _ModelCall(_Around[ModelCall]):
    async def __call__(self, request: ModelRequest, sink: Sink) -> Reply:
        failed = f"The middleware {type(self._middleware).__name__} failed in wrap_model_call:"
        with blaming(MiddlewareError, failed, TinyAgentError):
            reply: object = await self._middleware.wrap_model_call(request, sink, self._next)
        if not isinstance(reply, Reply) or wrong_in(reply):
            what = f"a Reply with {wrong_in(reply)}" if isinstance(reply, Reply) else type(reply).__name__
            raise self._fault(
                f"returned {what} from wrap_model_call; return the Reply, such as that of "
                "await call_next(request, sink)."
            )
        return reply


class _ToolCall(_Around[ToolCall]):
    async def __call__(self, call: Call, context: Context[Any]) -> Observation:
        work: object = self._middleware.wrap_tool_call(call, context, self._next)
        if not isawaitable(work):
            raise self._fault("has a wrap_tool_call that is no async def.")
        seen: object = await work
        if wrong := _wrong_in(seen, call):
            raise self._fault(
                f"returned {wrong} from wrap_tool_call; return the Observation, such as that of "
                "await call_next(call, context), or Observation(call, 'text')."
            )
        assert isinstance(seen, Observation)  # noqa: S101 - so it is right
        if seen.value is None and seen.error is None and seen.text != to_text(None):  # made of a text
            seen = replace(seen, value=seen.text)
        return seen


def _wrong_in(seen: object, call: Call) -> str:
    """Return what is wrong with an observation of the call, in words; nothing where it is one."""
    if not isinstance(seen, Observation):
        return type(seen).__name__
    if not isinstance(seen.call, Call) or seen.call.id != call.id:
        return "an Observation of another call"
    texts: list[tuple[str, object]] = [("text", seen.text), ("error", "" if seen.error is None else seen.error)]
    return next((f"an Observation with {name}={brief(text)}" for name, text in texts if not isinstance(text, str)), "")
