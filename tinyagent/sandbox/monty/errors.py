"""Errors of a Monty session's code, as Python tells them: with lines of the code, and none of the sandbox."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from tinyagent.core.result import CodeError
from tinyagent.core.text import ends
from tinyagent.sandbox.monty.source import Source

if TYPE_CHECKING:
    from pydantic_monty import Frame, MontyRuntimeError, MontySyntaxError

    CodeFailure: TypeAlias = MontyRuntimeError | MontySyntaxError

_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 16_000
_MOST_SAME = 3
_UNSUPPORTED = "The monty syntax parser does not yet support "
#: How Monty says that a future of an earlier block is awaited.
_STALLED = "asyncio scheduler stalled"
#: How Monty says that a limit was reached: code was stopped in the middle, so its values are unreliable.
_MEMORY = ("memory limit exceeded", "the worker exceeded its memory limit")
_TIME = "feed time limit exceeded"


@dataclass(frozen=True)
class Fed:
    """A piece of a block, as it was fed to Monty.

    Attributes:
        file: What tracebacks call the block.
        first: The line of the block that the piece begins with.
        source: The piece.
    """

    file: str
    first: int
    source: Source

    @property
    def lines(self) -> list[str]:
        """The lines of the piece, as its author wrote them."""
        return self.source.code.split("\n")


def exhausted(error: CodeFailure) -> str | None:
    """Return which of Monty's own limits an error tells of: `memory` or `time`; `None` for any other error."""
    raised = error.exception()
    text = str(raised)
    if isinstance(raised, MemoryError) and text.startswith(_MEMORY):
        return "memory"
    return "time" if isinstance(raised, TimeoutError) and text.startswith(_TIME) else None


def code_error(error: CodeFailure, fed: Mapping[str, Fed], names: Sequence[str]) -> CodeError:
    """Return the error that ended a block.

    Args:
        error: The error, as Monty raised it.
        fed: The pieces that were fed, by the names that Monty gave them.
        names: The names that exist in the namespace.
    """
    raised = error.exception()
    name = error.display("type-msg").partition(":")[0].rpartition(".")[2]  # right also for a class that is unknown here
    kind = getattr(builtins, name, type(raised))
    args = raised.args if all(isinstance(part, str | int | float | None) for part in raised.args) else ()
    message = _message(raised)
    lines, told = [], []
    for line, text in _frames(error, fed):
        lines.append(line)
        told.append(text)
    return CodeError(
        type=name,
        message=message[:_LONGEST_MESSAGE],
        traceback=_traceback(f"{name}: {message}" if message else name, told),
        line=next((line for line in reversed(lines) if line is not None), None),
        bases=tuple(cls.__name__ for cls in kind.__mro__[1:] if cls.__module__ == "builtins" and cls is not object),
        args=tuple(args) if message == str(raised) else (),
        names=tuple(names),
    )


def _message(raised: BaseException) -> str:
    text = str(raised)
    if _STALLED in text:
        return "a call of an earlier block cannot be awaited any more: await it in the block that makes it"
    if text.startswith(_UNSUPPORTED):
        return f"this Python does not support {text.removeprefix(_UNSUPPORTED)} (none of this code has run)"
    return text


def _frames(error: CodeFailure, fed: Mapping[str, Fed]) -> Iterator[tuple[int | None, str]]:
    """Yield the frames of the code: the line of the block, if any, and the frame as Python prints it."""
    for frame in error.traceback():
        function = frame.function_name or "<module>"
        piece = fed.get(frame.filename)
        if piece is not None:
            if frame.line <= len(piece.lines):  # the lines behind the piece are ours
                line = frame.line + piece.first - 1
                yield line, f'  File "{piece.file}", line {line}, in {function}\n{_shown_line(frame, piece)}'
        elif frame.filename == "<string>":  # of eval and exec
            yield None, f'  File "<string>", line {frame.line}, in {function}\n'


def _shown_line(frame: Frame, piece: Fed) -> str:
    """Return the line of a frame, underlined where the frame means only a part of the line."""
    line = piece.lines[frame.line - 1]
    shown = line.strip()
    start, end = frame.column - 1 - (len(line) - len(line.lstrip())), frame.end_column - frame.column
    is_part = frame.end_line == frame.line and 0 < end < len(shown)
    if not is_part or piece.source.text.split("\n")[frame.line - 1] != line:  # helpers have moved its columns
        return f"    {shown}\n"
    return f"    {shown}\n    {' ' * start}{'^' * end}\n"


def _traceback(last: str, frames: Iterable[str]) -> str:
    text = ""
    for frame, same in groupby(frames):
        times = sum(1 for _ in same)
        text += frame * min(times, _MOST_SAME)
        if times > _MOST_SAME:
            text += f"  [Previous line repeated {times - _MOST_SAME} more times]\n"
    if not text:
        return ""
    text = f"Traceback (most recent call last):\n{text}{last}\n"
    return "\n".join(ends(text, _LONGEST_TRACEBACK))
