"""A run in the terminal: text as it streams, each call with its arguments, result and time, and a footer."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

from tinyagent.agents.fences import FenceReader
from tinyagent.agents.records import BEGUN
from tinyagent.core.events import (
    CallSealed,
    CodeFinished,
    CodeOutput,
    Event,
    HandedOver,
    InnerEvent,
    LimitHit,
    Notice,
    ReasoningDelta,
    Retry,
    RunFailed,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    TextVoided,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from tinyagent.core.jsonable import to_data, words
from tinyagent.core.policy import in_words
from tinyagent.core.text import excerpt, one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tinyagent.agents.run import Run
    from tinyagent.core.messages import Call
    from tinyagent.core.policy import Pending
    from tinyagent.core.result import Execution, RunResult
    from tinyagent.core.tool import Tool

#: Characters of arguments and results that a line shows.
LINE = 100
#: The function by which a code agent answers: its argument is shown as the answer, not as a call.
_ANSWERING = "final_answer"


class Terminal:
    """A terminal that shows the events of a run.

    What the model, its code and the tools write is hostile: characters that a terminal obeys, or does not show, are
    written as escapes (see `printable`). A block of code that the model writes is never interrupted: what happens
    meanwhile is shown after the block.

    Args:
        out: Where the answer goes.
        trace: Where everything else goes.
        live: Whether to show text while it streams; otherwise the answer is written once, at the end, and without
            escapes where `out` is no terminal: into a file or a pipe.
    """

    def __init__(self, out: TextIO | None = None, trace: TextIO | None = None, *, live: bool = True) -> None:
        self._out = out or sys.stdout
        self._trace = trace or self._out
        self._live = live
        self._style = _styles(self._trace)
        self._tools: Mapping[str, Tool[..., Any]] = {}
        self._held: list[Event] = []  # what happened while a block of code was being written
        self._open: str | None = None  # the kind of text in the unfinished line, if there is one
        self._last = ("", "")  # the kind and the text of the last piece, before it was escaped
        self._said = ""  # the text of this step
        self._blocks = FenceReader()  # where the code in that text is

    async def show(self, run: Run[Any]) -> RunResult[Any]:
        """Show the run to its end and return the result; of what was done before only how it ended.

        Raises:
            RunError: The run failed; its events have been shown.
        """
        async with run:
            async for event in run:
                self._tools = run.state.toolbox.tools
                if not event.replayed or isinstance(event, RunFinished | RunFailed | Notice):
                    self.event(event)
        return run.result

    def event(self, event: Event) -> None:
        """Show one event, after the block of code that is being written, if there is one."""
        if isinstance(event, TextDelta):
            self._text(event.text)
            return
        if _ends_text(event):
            self._blocks = FenceReader()
        if self._blocks.in_block:
            self._held.append(event)
        else:
            self._show_held()
            self._event(event)

    def _text(self, text: str) -> None:
        for part in re.findall(r"[^\n]*\n|[^\n]+", text) if self._live else ():
            self._said += part
            self._blocks.feed(part)
            self._write("text", part)
            if self._held and not self._blocks.in_block:
                self._show_held()

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
                self._call(event, self._tools)
            case InnerEvent(path, (ToolStarted() | ToolProgress() | ToolFinished()) as inner):
                self._call(inner, {}, "  " * len(path))
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
            case TextVoided(text):
                self._said = self._said.removesuffix(text)
                self._blocks.feed(self._said)
                self._line(f"↶ That does not count: {short(text)}", "yellow")
            case Retry(what, attempt, seconds, reason):
                self._line(f"↻ {what}, attempt {attempt} in {seconds:.1f} s: {short(reason)}", "yellow")
            case Notice(text):
                self._line(f"! {text}", "yellow")
            case LimitHit(limit, value):
                self._line(f"! The limit of {value:g} {limit} is reached.", "yellow")
            case _:
                pass

    def _call(
        self, event: ToolStarted | ToolProgress | ToolFinished, tools: Mapping[str, Any], indent: str = ""
    ) -> None:
        if isinstance(event, ToolFinished):
            name, failed = event.observation.call.name, event.observation.error is not None
        else:
            name, failed = event.call.name, False
        answers = name == _ANSWERING or (isinstance(event, ToolFinished) and _answers(tools.get(name)))
        if failed or not answers:  # the answer itself is shown once, at the end
            text, style = _step_of_call(event)
            self._line(indent + text, style)

    def _finish(self, result: RunResult[Any]) -> None:
        self._end_line()
        if result.state == "paused":  # whoever shows the run says what waits
            return
        answer = words(result.output)
        if not (self._live and self._said and answer.endswith(self._said)):
            as_it_is = not self._live and not self._out.isatty()
            put(self._out, f"{answer if as_it_is else printable(answer)}\n")
        if result.state == "cut":
            self._line("! The answer was cut by the token limit.", "yellow")
        self._line(footer(result), "dim")

    def _write(self, kind: str, text: str) -> None:
        if self._open != kind:
            self._end_line()
        safe = printable(text, self._last[1] if self._last[0] == kind else "")
        self._last = (kind, text)
        if safe:
            self._open = None if safe.endswith("\n") else kind
            put(self._out, safe) if kind == "text" else put(self._trace, self._style(safe, "dim"))

    def _line(self, text: str, style: str) -> None:
        self._end_line()
        self._last = ("", "")
        put(self._trace, self._style(one_line(text), style) + "\n")

    def _end_line(self) -> None:
        if self._open is not None:
            put(self._out if self._open == "text" else self._trace, "\n")
            self._open = None


def put(stream: TextIO, text: str) -> None:
    """Write text to a stream at once; characters that its encoding lacks become question marks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


def waiting(pending: Collection[Pending]) -> list[str]:
    """Return a line for each call that waits: what is asked, the whole call, and by which id it is decided."""
    last = {each.id: each.id.removesuffix(BEGUN).rpartition("/")[2] for each in pending}
    short_ids = {key: part if list(last.values()).count(part) == 1 else key for key, part in last.items()}
    return [
        one_line(f"{each.prompt} {each.agent}: {in_words(each.tool, each.arguments)} [{short_ids[each.id]}]".lstrip())
        for each in pending
    ]


def describe_call(call: Call) -> str:
    """Return a call as it would be written in Python, shortened."""
    values = ((name, json.dumps(to_data(value), ensure_ascii=False)) for name, value in call.arguments.items())
    return f"{short(call.name)}({short(', '.join(f'{name}={text}' for name, text in values))})"


def _ends_text(event: Event) -> bool:
    """Return whether the model's text of this step is over, or void, with an event."""
    return isinstance(event, CallSealed | StepStarted | StepFinished | TextVoided | RunFinished | RunFailed)


def _answers(tool: Tool[..., Any] | None) -> bool:
    return tool is not None and tool.returns_answer


def _step_of_call(event: ToolStarted | ToolProgress | ToolFinished) -> tuple[str, str]:
    """Return one line that says how a call is going, and the line's style."""
    match event:
        case ToolStarted(call):
            return f"→ {describe_call(call)}", "cyan"
        case ToolProgress(call, value):
            return f"  {short(call.name)}: {short(words(value))}", "dim"
        case ToolFinished(observation):
            mark, style = ("✗", "red") if observation.error else ("←", "green")
            return (
                f"{mark} {short(observation.call.name)}: {short(observation.text)} ({observation.seconds:.2f} s)",
                style,
            )


def footer(result: RunResult[Any]) -> str:
    """Return a run's steps, tokens and seconds in one line."""
    usage, steps = result.usage, len(result.steps)
    read = f"{usage.input_tokens:,} → {usage.output_tokens:,} tokens" if usage.total_tokens else "tokens not counted"
    return f"{steps} step{'s' if steps != 1 else ''} · {read} · {result.info.seconds:.2f} s"


def _outcome(execution: Execution) -> tuple[str, str]:
    """Return one line that says how a block of code ended, and the line's style."""
    seconds = f" ({execution.seconds:.2f} s)"
    if execution.error is not None:
        return f"✗ {short(str(execution.error))}{seconds}", "red"
    return (f"= {short(execution.repr)}{seconds}" if execution.repr is not None else f"✓ ran{seconds}"), "green"


def short(text: str) -> str:
    """Return the beginning of a text in one line, safe to print."""
    return excerpt(printable(" ".join(text.split())[: LINE + 1]), LINE - 1, "…")


def _styles(stream: TextIO) -> Callable[[str, str], str]:
    """Return a function that colours text for a stream: with rich on a terminal, not at all otherwise."""
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
            console.print(Text("x", style=style), end="")
        before, _, after = capture.get().partition("x")
        return f"{before}{text}{after}"  # rich itself would turn tabs into spaces

    return styled
