"""The model seam: anything that turns a request into a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from tinyagent.core.errors import ConfigurationError, ModelError, TinyAgentError
from tinyagent.core.events import Notice, Retry, TextVoided
from tinyagent.core.jsonable import error_text
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Call, Conversation, Message, Reply
from tinyagent.core.tool import Tool
from tinyagent.core.waiting import is_cancelled

T = TypeVar("T")


class Sink(Protocol):
    """Hears a reply while it arrives. A model that cannot stream never uses it.

    One that acts on text may also have a method `doubt()`: the text that comes now may turn out to be thoughts, as its
    model is not known well enough yet to tell (see `tinyagent.models.said.Habit`).
    """

    def text(self, delta: str) -> None:
        """More text."""
        ...

    def reasoning(self, delta: str) -> None:
        """More reasoning."""
        ...

    def call(self, call: Call) -> None:
        """A call is complete; it may start at once, so the same call, with its id, must be in the reply."""
        ...

    def notice(self, event: Retry | Notice | TextVoided) -> None:
        """A retry, something the person should know, or that the last text, of so many characters, does not count."""
        ...

    @property
    def committed(self) -> bool:
        """Whether part of the reply has been acted on already, so that it cannot be asked for again."""
        ...


class NullSink:
    """A sink that hears nothing."""

    committed = False

    def text(self, delta: str) -> None:
        """Ignore text."""

    def reasoning(self, delta: str) -> None:
        """Ignore reasoning."""

    def call(self, call: Call) -> None:
        """Ignore a call."""

    def notice(self, event: Retry | Notice | TextVoided) -> None:
        """Ignore a retry or notice."""


#: Whether the model may call tools in its reply.
ToolChoice: TypeAlias = Literal["auto", "none"]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What an agent asks of a model.

    Attributes:
        conversation: The messages; the last is a `User` or `ToolReply`.
        tools: The tools on offer.
        tool_choice: `none` forbids calls this once; the tools stay listed, so that prompt caches still hit.
        stream: Whether somebody wants to hear the reply while it arrives.
        deadline: When the run's time is over, on the event loop's clock; retries must not wait beyond it.
        key: Names the call, the same when the run is taken up again.
    """

    conversation: Conversation
    tools: tuple[Tool[..., object], ...] = ()
    tool_choice: ToolChoice = "auto"
    stream: bool = False
    deadline: float | None = field(default=None, compare=False)
    key: str = field(default="", compare=False)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of the conversation."""
        return self.conversation.messages

    def snapshot(self) -> ModelRequest:
        """This request with the conversation as it is now; the original grows with the run."""
        return replace(self, conversation=Conversation(self.messages))


@runtime_checkable
class Model(Protocol):
    """An async callable from a request to a reply.

    A model that holds connections may also be an async context manager: each run enters it, and
    `async with agent:` keeps it entered between runs.
    """

    def __call__(self, request: ModelRequest, sink: Sink, /) -> Awaitable[Reply]:
        """Answer the request.

        Raises:
            ModelError: The call failed; `retryable` says whether it may succeed later.
        """
        ...


def model_name(model: object) -> str:
    """A model's name for records."""
    name = getattr(model, "name", None) or getattr(model, "__name__", None)
    return name if isinstance(name, str) else type(model).__name__


# ---- asking a model: what it raises, or gives wrongly, is told as its failure and nobody else's


async def asked(model: Model, request: ModelRequest, sink: Sink) -> Reply:
    """The model's reply.

    Raises:
        ConfigurationError: The model is no asynchronous function.
        ModelError: It failed, or returned no reply.
    """
    reply: object = await _of_model(model, _awaitable(model, request, sink))
    if not isinstance(reply, Reply):
        raise ModelError(f"The model {model_name(model)!r} returned {type(reply).__name__}; a model returns a Reply.")
    if wrong := _wrong_in(reply):
        raise ModelError(f"The model {model_name(model)!r} returned a Reply with {wrong}.")
    return reply


class Connected:
    """The connections of a model, where it has any: open in this context.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._opens = isinstance(model, AbstractAsyncContextManager)

    async def __aenter__(self) -> None:
        """Open them.

        Raises:
            ModelError: They could not be opened.
        """
        if self._opens:
            await _of_model(self._model, self._model.__aenter__())  # type: ignore[attr-defined]

    async def __aexit__(self, *exc: object) -> None:
        """Close them.

        Raises:
            ModelError: They could not be closed.
        """
        if self._opens:
            await _of_model(self._model, self._model.__aexit__(*exc))  # type: ignore[attr-defined]


async def _of_model(model: Model, work: Awaitable[T]) -> T:
    """Do it; whatever is raised and is no error of ours is the model's failure."""
    try:
        return await work
    except TinyAgentError:
        raise
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        raise ModelError(f"The model {model_name(model)!r} failed: CancelledError, but nobody cancelled it.") from error
    except Exception as error:
        raise ModelError(f"The model {model_name(model)!r} failed: {error_text(error)}") from error


async def _awaitable(model: Model, request: ModelRequest, sink: Sink) -> Any:
    """What the model answers, whatever that is."""
    reply: object = model(request, sink)
    if not isawaitable(reply):
        raise ConfigurationError(
            f"The model {model_name(model)!r} is a function that returned {type(reply).__name__} at once: make it "
            "'async def model(request, sink)'."
        )
    return await reply


def _wrong_in(reply: Reply) -> str:
    """What cannot be in a reply."""
    text: object = reply.text
    usage: object = reply.usage
    calls: object = reply.calls
    if not isinstance(text, str):
        return f"text={text!r}: it is text"
    if not isinstance(usage, Usage):
        return f"usage={usage!r}: it is a Usage"
    if not isinstance(calls, tuple | list) or not all(isinstance(call, Call) for call in calls):
        return f"calls={calls!r}: they are a tuple of Call objects"
    return ""
