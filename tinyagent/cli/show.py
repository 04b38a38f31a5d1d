"""A run in the terminal: text as it streams, each call with its arguments, result and time, and a footer."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

from tinyagent.core.events import (
    CodeFinished,
    CodeOutput,
    Event,
    HandedOver,
    InnerEvent,
    LimitReached,
    Notice,
    ReasoningDelta,
    Retry,
    RunFailed,
    RunFinished,
    StepStarted,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinyagent.agents.run import Run
    from tinyagent.core.execution import Execution
    from tinyagent.core.messages import Call
    from tinyagent.core.result import RunResult

#: Characters of arguments and results that a line shows.
LINE = 100
#: What happens while the model still writes its code.
_OF_CODE = (CodeOutput, CodeFinished, ToolStarted, ToolProgress, ToolFinished)


class Terminal:
    """Shows the events of a run.

    Args:
        out: Where the answer goes.
        trace: Where everything else goes.
        live: Whether to show text while it streams; otherwise the answer is written once, at the end.
    """

    def __init__(self, out: TextIO | None = None, trace: TextIO | None = None, *, live: bool = True) -> None:
        self._out = out or sys.stdout
        self._trace = trace or self._out
        self._live = live
        self._style = _styles(self._trace)
        self._said = ""  # the text of this step
        self._open: str | None = None  # the kind of text in the unfinished line, if there is one
        self._held: list[Event] = []  # what happened while a line of code was being written

    async def show(self, run: Run[Any]) -> RunResult[Any]:
        """Show the run to its end and return the result.

        Raises:
            RunError: The run failed; what it had has been shown.
        """
        async with run:
            async for event in run:
                self.event(event)
        return run.result

    def event(self, event: Event) -> None:
        """Show one event. While a line of code is being written, what the code before it does is shown after it."""
        if isinstance(event, TextDelta):
            self._text(event.text)
        elif self._in_line_of_code() and isinstance(event, _OF_CODE):
            self._held.append(event)
        else:
            self._show_held()
            self._event(event)

    def _text(self, text: str) -> None:
        if self._held and "\n" in text:
            line, _, text = text.partition("\n")
            self._say(line + "\n")
            self._show_held()
        self._say(text)

    def _say(self, text: str) -> None:
        self._said += text
        if self._live and text:
            self._write("text", text)

    def _in_line_of_code(self) -> bool:
        return self._live and self._open == "text" and self._said.count("```") % 2 == 1

    def _show_held(self) -> None:
        held, self._held = self._held, []
        for event in held:
            self._event(event)

    def _event(self, event: Event) -> None:
        match event:
            case StepStarted():
                self._said = ""
            case ReasoningDelta(text):
                self._write("reasoning", text)
            case ToolStarted() | ToolProgress() | ToolFinished():
                self._line(*_step_of_call(event))
            case InnerEvent(path, (ToolStarted() | ToolProgress() | ToolFinished()) as inner):
                text, style = _step_of_call(inner)
                self._line("  " * len(path) + text, style)
            case HandedOver(agent):
                self._line(f"⇒ {agent} goes on", "cyan")
            case CodeOutput(text):
                self._write("output", text)
            case CodeFinished(_, execution):
                self._line(*_outcome(execution))
            case _:
                self._end_or_warn(event)

    def _end_or_warn(self, event: Event) -> None:
        match event:
            case RunFinished(result):
                self._finish(result)
            case RunFailed(_, _, result):
                self._line(footer(result), "dim")
            case Retry(what, attempt, seconds, reason):
                self._line(f"↻ {what}, attempt {attempt} in {seconds:.1f} s: {_short(reason)}", "yellow")
            case Notice(text):
                self._line(f"! {text}", "yellow")
            case LimitReached(limit, value):
                self._line(f"! The limit of {value:g} {limit} is reached.", "yellow")
            case _:
                pass

    def _finish(self, result: RunResult[Any]) -> None:
        self._end_line()
        shown = self._live and self._said and str(result).endswith(self._said)
        if not shown:
            _put(self._out, f"{result}\n")
        if result.state == "cut":
            self._line("! The answer was cut by the token limit.", "yellow")
        self._line(footer(result), "dim")

    def _write(self, kind: str, text: str) -> None:
        if self._open != kind:
            self._end_line()
        self._open = None if text.endswith("\n") and (kind == "output" or self._said.count("```") % 2) else kind
        target = self._out if kind == "text" else self._trace
        _put(target, text if kind == "text" else self._style(text, "dim"))

    def _line(self, text: str, style: str) -> None:
        self._end_line()
        _put(self._trace, self._style(text, style) + "\n")

    def _end_line(self) -> None:
        if self._open is not None:
            _put(self._out if self._open == "text" else self._trace, "\n")
            self._open = None


def _put(stream: TextIO, text: str) -> None:
    """Write at once; what the stream's encoding lacks becomes a question mark."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


def describe_call(call: Call) -> str:
    """A call as it would be written in Python, shortened."""
    arguments = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    return f"{call.name}({_short(arguments)})"


def _step_of_call(event: ToolStarted | ToolProgress | ToolFinished) -> tuple[str, str]:
    """What has become of a call, in one line, and its style."""
    match event:
        case ToolStarted(call):
            return f"→ {describe_call(call)}", "cyan"
        case ToolProgress(call, value):
            return f"  {call.name}: {_short(str(value))}", "dim"
        case ToolFinished(observation):
            mark, style = ("✗", "red") if observation.error else ("←", "green")
            return f"{mark} {observation.call.name}: {_short(observation.text)} ({observation.seconds:.2f} s)", style


def footer(result: RunResult[Any]) -> str:
    """Steps, tokens and seconds in one line."""
    usage, steps = result.usage, len(result.steps)
    read = f"{usage.input_tokens:,} → {usage.output_tokens:,} tokens" if usage.total_tokens else "tokens not counted"
    return f"{steps} step{'s' if steps != 1 else ''} · {read} · {result.metadata.seconds:.2f} s"


def _outcome(execution: Execution) -> tuple[str, str]:
    """How a block of code ended, in one line, and its style."""
    seconds = f" ({execution.seconds:.2f} s)"
    if execution.error is not None:
        return f"✗ {_short(str(execution.error))}{seconds}", "red"
    return (f"= {_short(execution.repr)}{seconds}" if execution.repr is not None else f"✓ ran{seconds}"), "green"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LINE else text[: LINE - 1] + "…"


def _styles(stream: TextIO) -> Callable[[str, str], str]:
    """How to colour text for a stream: with rich on a terminal, not at all otherwise."""
    plain: Callable[[str, str], str] = lambda text, _: text  # noqa: E731
    if not stream.isatty():
        return plain
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return plain
    console = Console(file=stream, soft_wrap=True)

    def styled(text: str, style: str) -> str:
        with console.capture() as capture:
            console.print(Text(text, style=style), end="")
        return capture.get()

    return styled
