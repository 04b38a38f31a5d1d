"""The result of a run, and the records of its steps, calls and blocks of code."""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Self, TypeAlias

from tinyagent.core.generics import Output
from tinyagent.core.jsonable import adapter, fields_shown, to_data, words
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Assistant, Call, Message
from tinyagent.core.policy import Pending

#: How a run ended: with an answer; with an answer that the token limit cut; with an answer that was asked for when the
#: steps were used up; paused, until calls are decided; with an error; by cancellation. `running` until it ends.
State: TypeAlias = Literal["running", "success", "cut", "step_limit_reached", "paused", "failed", "cancelled"]


class _Raised:
    """Keeps an exception beside the fields of a record, so that it is in no JSON, comparison or pickle."""

    __slots__ = ("_exception",)
    _exception: Exception | None

    @property
    def exception(self) -> Exception | None:
        """The exception that the call raised, with its traceback; `None` if it raised none or the result was loaded."""
        return getattr(self, "_exception", None)

    def raised(self, error: Exception | None) -> Self:
        """Keep the exception that the call raised, and return the record."""
        object.__setattr__(self, "_exception", error)
        return self


@dataclass(frozen=True, slots=True)
class Observation(_Raised):
    """The record of one tool call: the value that it gave, or its error.

    Attributes:
        call: The call, as the model wrote it.
        text: The whole text of the value or error; what the model read may be cut shorter.
        value: The object that the tool returned; `None` after an error.
        error: `Type: message` when the call failed, else `None`.
        exception: The exception that the call raised, with its traceback.
        seconds: Seconds that the call took, waiting for a thread and retries included; 0 when it did not run.
    """

    call: Call
    text: str
    value: Any = None
    error: str | None = None
    seconds: float = 0.0

    __repr__ = fields_shown


@dataclass(frozen=True, slots=True)
class CodeError:
    """The exception that ended a block of code.

    Attributes:
        type: The name of the exception's class, such as `ValueError`.
        message: The exception's text.
        traceback: The traceback as Python prints it, with the block's own lines and nothing of the sandbox.
        line: The line of the block that raised the exception, from 1; `None` where no line did.
        bases: The names of the built-in classes that the exception derives from, nearest first.
        args: The exception's arguments, where they are plain values.
        names: The names that the code has defined so far.
        lost: Whether the variables of all earlier code are gone, because the sandbox had to be started anew.
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
        """Return an exception of a class of Python's own: the nearest that the block's exception derives from."""
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
    """The record of one block of code that ran: its value, its output, or its error.

    Attributes:
        code: The block.
        value: The value of the block's last expression, as an object; an `Opaque` text where it could not leave the
            sandbox.
        repr: The value as Python prints it; `None` for no value.
        stdout: What the block printed, both streams in order; at most `SandboxLimits.output` characters.
        error: The exception that ended the block early; `None` where it ran to its end.
        calls: The tool calls that the block made, in the order they began.
        truncated: How many characters were printed beyond the limit; they are lost.
        interrupted: Whether the block was stopped from outside: by its time limit, `SandboxSession.interrupt` or a
            cancellation.
        seconds: The block's wall time.
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
        number: The number of the step in its run, from 1.
        message: What the model wrote.
        observations: One for each call, in call order.
        executions: One for each block of code that ran.
        finish_reason: Why the model stopped writing, as the server sent it.
        usage: The model calls and tokens of this step.
        seconds: The step's wall time.
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
        started: When the run started, in seconds since the epoch.
        seconds: The run's wall time so far.
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
        state: How the run ended, such as `success`; see `State`.
        messages: The whole conversation; pass it as `messages=` to go on from here.
        steps: The record of every step, with whole observations.
        usage: The model calls and tokens of the run.
        info: The run's id and times, the names of its agent and model.
        finish_reason: Why the model stopped writing its last reply, as the server sent it; `length` means the answer
            was cut.
        metadata: What was passed as `agent.run(..., metadata=...)`.
        pending: The calls of a paused run that wait for a decision.
        records: The records of a run that has no store, from which `agent.resume(result, {...})` goes on: where it is
            paused, and where a run that can pause has failed.
    """

    output: Output
    state: State
    messages: tuple[Message, ...]
    steps: tuple[Step, ...]
    usage: Usage
    info: RunInfo
    finish_reason: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    pending: tuple[Pending, ...] = ()
    records: Mapping[str, str] = field(default_factory=dict, repr=False)

    __repr__ = fields_shown

    def __str__(self) -> str:
        return words(self.output)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.info.run_id

    def _repr_markdown_(self) -> str:
        """Return what Jupyter shows: the answer, how the run ended, its steps, tokens and seconds."""
        from tinyagent.core.notebook import result_markdown

        return result_markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data; values without a JSON form become text."""
        data: dict[str, Any] = to_data(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunResult[Any]:
        """Return the result that `to_dict` wrote as plain data; its output and the values in it stay plain data."""
        result: RunResult[Any] = adapter(RunResult[Any]).validate_python(data)
        return result

    def to_json(self) -> str:
        """Return the result as JSON text, in ASCII; `from_json` reads it."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes) -> RunResult[Any]:
        """Return the result that `to_json` wrote: also a paused one, with which `agent.resume` goes on.

        Raises:
            ValueError: The text is none that `to_json` writes.
        """
        return cls.from_dict(json.loads(text))


@dataclass(frozen=True, slots=True)
class MapItem(Generic[Output]):
    """How one of several runs ended.

    Attributes:
        index: The place of its task among the tasks, from 0.
        task: What it was to do.
        result: Its result; `None` where it failed.
        error: What it failed with; `None` where it did not.
    """

    index: int
    task: str
    result: RunResult[Output] | None = None
    error: Exception | None = None
