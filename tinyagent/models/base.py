"""The model seam: anything that turns a request into a reply."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from tinyagent.core.events import Notice, Retry, TextVoided
from tinyagent.core.messages import Call, Conversation, Message, Reply
from tinyagent.core.tool import Tool


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
