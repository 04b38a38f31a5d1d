"""The one seam around the model calls and tool calls of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from tinyagent.core.context import Context
from tinyagent.core.errors import ConfigurationError, MiddlewareError, TinyAgentError
from tinyagent.core.jsonable import brief, error_text
from tinyagent.core.messages import Call, Reply
from tinyagent.core.result import Observation
from tinyagent.models.base import ModelRequest, Sink
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
            call_next: Goes on to the next middleware or the model; it may be called again, or not at all.

        Raises:
            ModelError: No reply could be had. Any other error ends the run as a `MiddlewareError`.
        """
        return await call_next(request, sink)

    async def wrap_tool_call(self, call: Call, context: Context[Any], call_next: ToolCall) -> Observation:
        """Return a tool call's observation: that of `call_next(call, context)`, or another `Observation(call, text)`.

        Calls of every kind pass: of functions, toolkits, MCP, inner agents and handoffs, and those that code makes.
        A call that cannot be made, of an unknown tool or with arguments that are no JSON, does not pass.

        Args:
            call: The call, with the arguments as the model gave them.
            context: The run, as the tool sees it; `context.key` names the call within the store.
            call_next: Goes on to the next middleware or the tool; it may be called again, or not at all. What a tool
                raises is in the `Observation`, and not raised here.

        Raises:
            FatalToolError: To end the run. What else is raised is told to the model, as if the tool had raised it.
        """
        return await call_next(call, context)


def checked_middleware(given: object, kind: str = "middleware") -> tuple[Middleware, ...]:
    """Return what was passed as the option `kind`, checked, as a tuple.

    Raises:
        ConfigurationError: `given` is no list of `Middleware` objects.
    """
    items: list[Any] = list(given) if isinstance(given, Iterable) else []
    if not isinstance(given, Iterable) or not all(isinstance(item, Middleware) for item in items):
        raise ConfigurationError(f"{kind}={brief(given)}: pass a list of Middleware objects, such as [Timed()].")
    return tuple(items)


def tools_of(middleware: Iterable[Middleware]) -> list[ToolLike]:
    """Return the tools that come with the middleware."""
    return [tool for each in middleware for tool in each.tools]


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
        try:
            reply: object = await self._middleware.wrap_model_call(request, sink, self._next)
        except TinyAgentError:
            raise
        except Exception as error:
            raise self._fault(f"failed in wrap_model_call: {error_text(error)}") from error
        if not isinstance(reply, Reply):
            raise self._fault(
                f"returned {type(reply).__name__} from wrap_model_call; return the Reply, such as that of "
                "await call_next(request, sink)."
            )
        return reply


class _ToolCall(_Around[ToolCall]):
    async def __call__(self, call: Call, context: Context[Any]) -> Observation:
        seen: object = await self._middleware.wrap_tool_call(call, context, self._next)
        if not isinstance(seen, Observation) or seen.call.id != call.id:
            what = "an Observation of another call" if isinstance(seen, Observation) else type(seen).__name__
            raise self._fault(
                f"returned {what} from wrap_tool_call; return the Observation, such as that of "
                "await call_next(call, context), or Observation(call, 'text')."
            )
        return seen
