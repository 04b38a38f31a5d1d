"""What a run gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias

from tinyagent.core.execution import Execution, Observation
from tinyagent.core.generics import Output
from tinyagent.core.jsonable import adapter, fields_shown, to_data, words
from tinyagent.core.messages import Assistant, Message
from tinyagent.core.usage import Usage

__all__ = ["Execution", "RunInfo", "Observation", "RunResult", "State", "Step"]

#: How a run ended: with an answer; with an answer that the token limit cut; with the answer asked for when the
#: steps were used up; with an error; by cancellation. `running` while it has not.
State: TypeAlias = Literal["running", "success", "cut", "step_limit_reached", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Step:
    """One turn: a reply of the model and what its calls gave.

    Attributes:
        number: From 1.
        message: What the model wrote.
        observations: One for each call, in call order.
        executions: One for each block of code that ran.
        finish_reason: As the server sent it.
        usage: What this step used.
        seconds: Its wall time.
    """

    number: int
    message: Assistant
    observations: tuple[Observation, ...] = ()
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    executions: tuple[Execution, ...] = ()


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known of a run besides its output.

    Attributes:
        run_id: The run's id.
        agent: The agent's name.
        model: The model's name.
        started: When it started, in seconds since the epoch.
        seconds: Its wall time so far.
    """

    run_id: str
    agent: str
    model: str
    started: float
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunResult(Generic[Output]):
    """The result of a run, or what it had when it failed. `print(result)` prints the output; Jupyter renders it.

    Attributes:
        output: The answer; `None` when the run did not get to one.
        state: How it ended.
        messages: The whole conversation; pass it as `messages=` to go on from here.
        steps: Every turn, with whole observations.
        usage: What the run used.
        info: Ids, names and times.
        finish_reason: Of the last reply, as the server sent it; `length` means the answer was cut.
        metadata: What was passed as `agent.run(..., metadata=...)`.
    """

    output: Output
    state: State
    messages: tuple[Message, ...]
    steps: tuple[Step, ...]
    usage: Usage
    info: RunInfo
    finish_reason: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    __repr__ = fields_shown

    def __str__(self) -> str:
        return words(self.output)

    def _repr_markdown_(self) -> str:
        """Return what Jupyter shows: the answer, how the run ended, its steps, tokens and seconds."""
        from tinyagent.core.notebook import result_markdown

        return result_markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; values without a JSON form become text."""
        data: dict[str, Any] = to_data(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunResult[Any]:
        """The result that `to_dict` wrote; `output` and values stay plain data."""
        result: RunResult[Any] = adapter(RunResult[Any]).validate_python(data)
        return result
