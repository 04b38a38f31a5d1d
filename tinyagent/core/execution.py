"""What running a block of code gave."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any, Self

from tinyagent.core.jsonable import fields_shown
from tinyagent.core.messages import Call


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
