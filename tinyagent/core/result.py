"""What a run gives back, and what each of its calls and blocks of code gave."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Self, TypeAlias

from tinyagent.core.generics import Output
from tinyagent.core.jsonable import adapter, fields_shown, to_data, words
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Assistant, Call, Message

#: How a run ended: with an answer; with an answer that the token limit cut; with the answer asked for when the
#: steps were used up; with an error; by cancellation. `running` while it has not.
State: TypeAlias = Literal["running", "success", "cut", "step_limit_reached", "failed", "cancelled"]


class _Raised:
    """Keeps an exception beside the fields of a record, so that it is in no JSON, comparison or pickle."""

    __slots__ = ("_exception",)
    _exception: Exception | None

    @property
    def exception(self) -> Exception | None:
        """What the call raised, with its traceback; `None` where it did not, or after the result was loaded."""
        return getattr(self, "_exception", None)

    def raised(self, error: Exception | None) -> Self:
        """Keep what the call raised; returns the record."""
        object.__setattr__(self, "_exception", error)
        return self


@dataclass(frozen=True, slots=True)
class Observation(_Raised):
    """What one call gave.

    Attributes:
        call: The call.
        text: The whole text of the value or error; what the model read may be cut shorter.
        value: The object that the tool returned; `None` after an error.
        error: `Type: message` when the call failed, else `None`.
        exception: What the call raised, with its traceback.
        seconds: How long the call took, waiting for a thread and retries included; 0 when it did not run.
    """

    call: Call
    text: str
    value: Any = None
    error: str | None = None
    seconds: float = 0.0

    __repr__ = fields_shown


@dataclass(frozen=True, slots=True)
class CodeError:
    """The exception that ended a block.

    Attributes:
        type: The name of its class, such as `ValueError`.
        message: Its text.
        traceback: As Python prints it, with the block's own lines and nothing of the sandbox.
        line: The line of the block that raised it, from 1; `None` where no line did.
        bases: The names of the built-in classes it derives from, nearest first.
        args: Its arguments, where they are plain values.
        names: The names that the code has defined so far.
        lost: The code that ran before is gone with its variables: the sandbox had to be started anew.
    """

    type: str
    message: str
    traceback: str = ""
    line: int | None = None
    bases: tuple[str, ...] = ()
    args: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()
    lost: bool = False

    __repr__ = fields_shown

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type

    def exception(self) -> Exception:
        """The exception as one of Python's own classes: the nearest that the block's exception derives from."""
        for name in (self.type, *self.bases):
            cls = getattr(builtins, name, None)
            if isinstance(cls, type) and issubclass(cls, Exception):
                try:
                    return cls(*self.args) if self.args else cls(self.message)
                except Exception:  # noqa: BLE001, S112 - one that wants other arguments
                    continue
        return RuntimeError(str(self))


@dataclass(frozen=True, slots=True)
class Execution:
    """What a block of code gave.

    Attributes:
        code: The block.
        value: The value of its trailing expression, as an object; an `Opaque` text where it could not cross.
        repr: The value as Python prints it; `None` for no value.
        stdout: What it printed, both streams in order; at most `SandboxLimits.output` characters.
        error: What ended it early.
        calls: The tool calls it made, in the order they began.
        truncated: Characters of output beyond the limit, which are lost.
        interrupted: It was stopped from outside: by its time limit, `SandboxSession.interrupt` or a cancellation.
        seconds: Its wall time.
    """

    code: str
    value: Any = None
    repr: str | None = None
    stdout: str = ""
    error: CodeError | None = None
    calls: tuple[Observation, ...] = ()
    truncated: int = 0
    interrupted: bool = False
    seconds: float = 0.0

    __repr__ = fields_shown


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
