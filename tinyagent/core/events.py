"""The typed events of a run, in the order they happen."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, TypeAlias, get_args

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.jsonable import adapter, fields_shown, to_data
from tinyagent.core.messages import Call
from tinyagent.core.result import Execution, Observation, RunResult, Step


@dataclass(frozen=True, slots=True)
class BaseEvent:
    """Base of all events. `type` is the event's name in JSON.

    Attributes:
        run_id: The id of the event's run; empty until the run has stamped the event.
        time: When the event happened, in seconds since the epoch; 0 until the run has stamped it. Never goes back
            within a run.
        replayed: Whether it tells what was done before the run was taken up again.
    """

    type: ClassVar[str] = "event"
    run_id: str = field(default="", kw_only=True, compare=False, repr=False)
    time: float = field(default=0.0, kw_only=True, compare=False, repr=False)
    replayed: bool = field(default=False, kw_only=True, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain JSON data, with its `type`; `event_from_dict` reads it."""
        return {"type": self.type, **to_data(self)}

    def stamped(self, run_id: str, time: float, *, replayed: bool = False) -> Self:
        """Return the event with its run's id and its time: the same object, or a copy where it was stamped before."""
        event = copy(self) if getattr(self, "time", 0.0) else self
        object.__setattr__(event, "run_id", run_id)
        object.__setattr__(event, "time", time)
        if replayed:
            object.__setattr__(event, "replayed", True)
        return event


@dataclass(frozen=True, slots=True)
class RunStarted(BaseEvent):
    """The run begins."""

    type: ClassVar[Literal["run_started"]] = "run_started"
    run_id: str
    agent: str
    model: str
    task: str


@dataclass(frozen=True, slots=True)
class StepStarted(BaseEvent):
    """A step begins with a call of the model. `number` counts the steps of the run, from 1."""

    type: ClassVar[Literal["step_started"]] = "step_started"
    number: int


@dataclass(frozen=True, slots=True)
class TextDelta(BaseEvent):
    """More text from the model."""

    type: ClassVar[Literal["text_delta"]] = "text_delta"
    text: str


@dataclass(frozen=True, slots=True)
class TextVoided(BaseEvent):
    """Text that was streamed in this step does not count: the reply failed and comes again, or it was no answer.

    Attributes:
        text: The last characters that the `TextDelta`s of this step have brought. Text that counts instead, if any,
            follows as new `TextDelta`s.
    """

    type: ClassVar[Literal["text_voided"]] = "text_voided"
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta(BaseEvent):
    """More reasoning from the model; never part of the answer."""

    type: ClassVar[Literal["reasoning_delta"]] = "reasoning_delta"
    text: str


@dataclass(frozen=True, slots=True)
class CallSealed(BaseEvent):
    """The model has written a tool call completely; it may still be writing others."""

    type: ClassVar[Literal["call_sealed"]] = "call_sealed"
    call: Call


@dataclass(frozen=True, slots=True)
class ToolStarted(BaseEvent):
    """A tool starts to run."""

    type: ClassVar[Literal["tool_started"]] = "tool_started"
    call: Call


@dataclass(frozen=True, slots=True)
class ToolProgress(BaseEvent):
    """A running tool reported something through `context.progress`."""

    type: ClassVar[Literal["tool_progress"]] = "tool_progress"
    call: Call
    value: Any

    __repr__ = fields_shown


@dataclass(frozen=True, slots=True)
class ToolFinished(BaseEvent):
    """A call is answered: with the tool's value, or with an error that the model is told."""

    type: ClassVar[Literal["tool_finished"]] = "tool_finished"
    observation: Observation


@dataclass(frozen=True, slots=True)
class CodeStarted(BaseEvent):
    """A block of code starts to run.

    Attributes:
        number: The number of the block in its run, from 1.
        code: The block, as far as the model has written it; more may follow while it runs.
    """

    type: ClassVar[Literal["code_started"]] = "code_started"
    number: int
    code: str


@dataclass(frozen=True, slots=True)
class CodeOutput(BaseEvent):
    """The running block printed something."""

    type: ClassVar[Literal["code_output"]] = "code_output"
    text: str


@dataclass(frozen=True, slots=True)
class CodeFinished(BaseEvent):
    """A block of code has run: to its end, or until an error that the model is told. `number` is the block's."""

    type: ClassVar[Literal["code_finished"]] = "code_finished"
    number: int
    execution: Execution


@dataclass(frozen=True, slots=True)
class Retry(BaseEvent):
    """Something failed and is tried again.

    Attributes:
        what: `model`, or the tool's name. Text of the model that was streamed before is void: see `TextVoided`.
        attempt: The attempt about to start; the first retry is 2.
        seconds: Seconds until that attempt starts.
        reason: What failed, in words.
    """

    type: ClassVar[Literal["retry"]] = "retry"
    what: str
    attempt: int
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Notice(BaseEvent):
    """Something the person should know, such as a switch to the text protocol for tools."""

    type: ClassVar[Literal["notice"]] = "notice"
    text: str


@dataclass(frozen=True, slots=True)
class StepFinished(BaseEvent):
    """A step is complete: the reply of the model has arrived, and its calls are answered."""

    type: ClassVar[Literal["step_finished"]] = "step_finished"
    step: Step


@dataclass(frozen=True, slots=True)
class LimitHit(BaseEvent):
    """A limit of the run was reached.

    Attributes:
        limit: `steps`, `tokens` or `seconds`.
        value: How many of them the run may use.
    """

    type: ClassVar[Literal["limit_hit"]] = "limit_hit"
    limit: str
    value: float


@dataclass(frozen=True, slots=True)
class HandedOver(BaseEvent):
    """The conversation was passed on: another agent goes on with it.

    Attributes:
        agent: The name of the agent that goes on.
        model: The name of that agent's model.
    """

    type: ClassVar[Literal["handed_over"]] = "handed_over"
    agent: str
    model: str


@dataclass(frozen=True, slots=True)
class RunFinished(BaseEvent):
    """The run has its output, or is paused (`result.pending`)."""

    type: ClassVar[Literal["run_finished"]] = "run_finished"
    result: RunResult[Any]


@dataclass(frozen=True, slots=True)
class RunFailed(BaseEvent):
    """The run ended without an output; iterating the stream raises the error next.

    Attributes:
        error: The name of the error's class.
        message: The text of the error.
        result: What the run had when it failed.
    """

    type: ClassVar[Literal["run_failed"]] = "run_failed"
    error: str
    message: str
    result: RunResult[Any]


@dataclass(frozen=True, slots=True)
class InnerEvent(BaseEvent):
    """An event of an inner run: of an agent that was called as a tool.

    Attributes:
        path: The calls that led to the inner run, from the outer run inwards, each as `tool name:call id`.
        event: The event of the inner run, with that run's id.
    """

    type: ClassVar[Literal["inner_event"]] = "inner_event"
    path: tuple[str, ...]
    event: Event

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain JSON data, with its `type`, and likewise the event of the inner run."""
        own = {"type": self.type, "run_id": self.run_id, "time": self.time, "replayed": self.replayed}
        return {**own, "path": list(self.path), "event": self.event.to_dict()}


#: Any event. `event.type == "text_delta"` tells a type checker which one it is.
Event: TypeAlias = (
    RunStarted
    | StepStarted
    | TextDelta
    | TextVoided
    | ReasoningDelta
    | CallSealed
    | ToolStarted
    | ToolProgress
    | ToolFinished
    | CodeStarted
    | CodeOutput
    | CodeFinished
    | Retry
    | Notice
    | StepFinished
    | LimitHit
    | HandedOver
    | RunFinished
    | RunFailed
    | InnerEvent
)

_BY_TYPE: dict[str, type[Event]] = {cls.type: cls for cls in get_args(Event)}


def event_from_dict(data: Mapping[str, Any]) -> Event:
    """Return the event that its `to_dict` wrote as plain data; the values in it stay plain data.

    Raises:
        ConfigurationError: There is no event of this `type`.
    """
    fields = dict(data)
    cls = _BY_TYPE.get(str(fields.pop("type", None)))
    if cls is None:
        raise ConfigurationError(f"No event of type {data.get('type')!r}; known: {', '.join(_BY_TYPE)}.")
    if cls is InnerEvent and isinstance(fields.get("event"), Mapping):
        fields["event"] = event_from_dict(fields["event"])
    event: Event = adapter(cls).validate_python(fields)
    return event
