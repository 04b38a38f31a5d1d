"""The seam of models: a model is anything that turns a request into a reply. And how one is asked, and asked again."""

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
from tinyagent.core.waiting import backoff, is_cancelled

T = TypeVar("T")

DEFAULT_RETRIES = 2
#: Seconds that a server may ask to wait; one that asks for more is not waited for, and the error says how long.
LONGEST_WAIT = 60.0


class Sink(Protocol):
    """A listener to one reply while it arrives. A model that cannot stream never calls it.

    A sink that acts on text may also have a method `doubt()`. It is called where the text that follows may turn out to
    be thoughts, because too little is known of the model yet to tell (see `tinyagent.models.said.Habit`). One that
    records what it hears may have a method `served_by(origin)`, which is told which server writes the reply.
    """

    def text(self, delta: str) -> None:
        """Hear more text."""
        ...

    def reasoning(self, delta: str) -> None:
        """Hear more reasoning."""
        ...

    def call(self, call: Call) -> None:
        """Hear a complete call. It may start at once, so the same call, with its id, must be in the reply."""
        ...

    def notice(self, event: Retry | Notice | TextVoided) -> None:
        """Hear of a retry, of something the person should know, or that the text which came last does not count."""
        ...

    @property
    def committed(self) -> bool:
        """Whether part of the reply has been acted on already, so that it cannot be asked for again."""
        ...


class NullSink:
    """A sink that ignores all it hears."""

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
        tool_choice: `none` forbids calls in this reply; the tools stay listed, so that prompt caches still hit.
        stream: Whether somebody wants to hear the reply while it arrives.
        deadline: When the run's time is over, on the event loop's clock; retries must not wait beyond it.
        key: A name of the model call that is the same when the run is taken up again.
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
        """Return this request with a copy of the conversation as it is now; the original grows with the run."""
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
    """Return the name of a model for records: its `name`, its `__name__`, or that of its class."""
    name = getattr(model, "name", None) or getattr(model, "__name__", None)
    return name if isinstance(name, str) else type(model).__name__


# ---- asking a model: whatever it raises or returns wrongly becomes an error that names the model


async def asked(model: Model, request: ModelRequest, sink: Sink) -> Reply:
    """Ask the model and return its reply, whose types are checked.

    Raises:
        ConfigurationError: The model is no asynchronous function.
        ModelError: The model failed, or returned no reply.
    """
    reply: object = await _of_model(model, _awaitable(model, request, sink))
    if not isinstance(reply, Reply):
        raise ModelError(f"The model {model_name(model)!r} returned {type(reply).__name__}; a model returns a Reply.")
    if wrong := wrong_in(reply):
        raise ModelError(f"The model {model_name(model)!r} returned a Reply with {wrong}.")
    return reply


class Connected:
    """An async context in which the connections of a model, where it has any, are open.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._opens = isinstance(model, AbstractAsyncContextManager)

    async def __aenter__(self) -> None:
        """Open the connections.

        Raises:
            ModelError: The connections could not be opened.
        """
        if self._opens:
            await _of_model(self._model, self._model.__aenter__())  # type: ignore[attr-defined]

    async def __aexit__(self, *exc: object) -> None:
        """Close the connections.

        Raises:
            ModelError: The connections could not be closed.
        """
        if self._opens:
            await _of_model(self._model, self._model.__aexit__(*exc))  # type: ignore[attr-defined]


async def _of_model(model: Model, work: Awaitable[T]) -> T:
    """Await the work of a model; turn whatever it raises, but for errors of this package, into a `ModelError`."""
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
    """Call the model and return its answer, which may be anything.

    Raises:
        ConfigurationError: The model is no asynchronous function.
    """
    reply: object = model(request, sink)
    if not isawaitable(reply):
        raise ConfigurationError(
            f"The model {model_name(model)!r} is a function that returned {type(reply).__name__} at once: make it "
            "'async def model(request, sink)'."
        )
    return await reply


def wrong_in(reply: Reply) -> str:
    """Return what in the reply has a wrong type, in words; empty where nothing has."""
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


# ---- asking again: backoff, jitter, the wait a server asks for, and never beyond the run's time


class Retries:
    """A model that asks the model inside it again when that fails in a way that may pass.

    `OpenAIModel` retries by itself. A wrapper that is to see every attempt, such as a limiter, stands inside:
    `Retries(limited(OpenAIModel("gpt-4o-mini", max_retries=0)))`.

    A failure after complete calls, or after code that has run, is not retried: the run goes on from there. The tokens
    of failed attempts are counted.

    Args:
        model: The model that is asked; its connections are opened and closed with this one.
        max_retries: How often a failed call is tried again.

    Raises:
        ConfigurationError: `max_retries` is no number of retries.
    """

    def __init__(self, model: Model, max_retries: int = DEFAULT_RETRIES) -> None:
        if not (isinstance(max_retries, int) and max_retries >= 0):
            raise ConfigurationError(f"max_retries={max_retries!r}: pass 0 or more.")
        self.model = model
        self.max_retries = max_retries

    @property
    def name(self) -> str:
        """The name of the model that is asked."""
        return model_name(self.model)

    def __repr__(self) -> str:
        return f"Retries({self.model!r}, {self.max_retries})"

    async def __aenter__(self) -> Retries:
        await Connected(self.model).__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await Connected(self.model).__aexit__(*exc)

    async def __call__(self, request: ModelRequest, sink: Sink) -> Reply:
        """Return the model's first reply; the sink is told of each retry.

        Raises:
            ModelError: The last failure, or one that is not worth a retry.
        """
        attempt = 1
        spent: Usage | None = None  # by attempts that failed
        while True:
            try:
                reply = await self.model(request, sink)
            except ModelError as error:
                if error.partial is not None:
                    spent = (spent or Usage()) + replace(error.partial.usage, requests=0)
                    error.partial = replace(error.partial, usage=spent)
                acted = bool(error.partial and error.partial.calls) or getattr(sink, "committed", False)
                if not error.retryable or attempt > self.max_retries or acted:
                    raise
                wait = backoff(attempt) if error.retry_after is None else error.retry_after
                if too_long := _too_long(wait, request.deadline):
                    error.args = (f"{error} Not tried again: the wait of {wait:.0f} s would be {too_long}.",)
                    raise
                attempt += 1
                sink.notice(Retry("model", attempt, wait, f"{type(error).__name__}: {error}"))
            else:
                return reply if spent is None else replace(reply, usage=reply.usage + spent)
            await asyncio.sleep(wait)


def _too_long(wait: float, deadline: float | None) -> str | None:
    if deadline is not None and asyncio.get_running_loop().time() + wait >= deadline:
        return "beyond the run's time (Limits.seconds)"
    return f"over {LONGEST_WAIT:.0f} s" if wait > LONGEST_WAIT else None
