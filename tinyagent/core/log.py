"""The logger `tinyagent`: what a run does, for whoever debugs it. Silent unless logging is set up for it.

    logging.basicConfig(level="DEBUG")                 # or only: logging.getLogger("tinyagent").setLevel("DEBUG")

Warnings are tools that failed, with their traceback, retries, notices and limits; all else is `DEBUG`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tinyagent.core.errors import ToolArgumentsError
from tinyagent.core.events import (
    CodeFinished,
    Event,
    HandedOver,
    LimitHit,
    Notice,
    Retry,
    RunFailed,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    ToolFinished,
    ToolStarted,
)
from tinyagent.core.jsonable import words
from tinyagent.core.text import printable


def _safe_traceback(record: logging.LogRecord) -> bool:
    """Write a record's traceback before its handler does, without what a terminal would obey; keep the record."""
    if record.exc_info and not record.exc_text:
        record.exc_text = printable(logging.Formatter().formatException(record.exc_info))
    return True


logger = logging.getLogger("tinyagent")
logger.addHandler(logging.NullHandler())  # else Python prints the warnings where nobody has set up logging
logger.addFilter(_safe_traceback)

#: Characters of arguments, values and code that a record holds.
LONGEST = 500


def _short(text: str) -> str:
    """Return text on one line, cut after `LONGEST` characters, without what a terminal would obey."""
    shown = repr(text[:LONGEST])
    return shown if len(text) <= LONGEST else f"{shown} ({len(text):,} characters)"


def _step(event: StepFinished) -> str:
    step = event.step
    tokens, reason = step.usage.total_tokens, step.finish_reason
    return f"step {step.number}: {step.seconds:.3f} s, {tokens:,} tokens, {reason!r}: {_short(step.message.text)}"


def _call(event: ToolFinished) -> str:
    seen = event.observation
    how = "gave" if seen.error is None else "failed"
    return f"call {seen.call.id}: {seen.call.name} {how} after {seen.seconds:.3f} s: {_short(seen.text)}"


def _code(event: CodeFinished) -> str:
    ran = event.execution
    return f"code {event.number}: {_short(ran.code)}" + (f" failed: {_short(str(ran.error))}" if ran.error else "")


_SAID: dict[type[Event], Callable[[Any], str]] = {
    RunStarted: lambda event: f"{event.agent} begins with {event.model}: {_short(event.task)}",
    StepStarted: lambda event: f"step {event.number}: asking the model",
    ToolStarted: lambda event: f"call {event.call.id}: {event.call.name}({_short(event.call.raw)})",
    ToolFinished: _call,
    CodeFinished: _code,
    StepFinished: _step,
    Retry: lambda event: f"{event.what}: attempt {event.attempt} in {event.seconds:.1f} s after {_short(event.reason)}",
    Notice: lambda event: _short(event.text),
    LimitHit: lambda event: f"the limit of {event.limit} is reached: {event.value:g}",
    HandedOver: lambda event: f"handed over to {event.agent} with {event.model}",
    RunFinished: lambda event: f"ended with {event.result.state!r}: {_short(words(event.result.output))}",
    RunFailed: lambda event: f"failed with {event.error}: {_short(event.message)}",
}
#: The events that are logged; the pieces of a stream are not.
LOGGED = frozenset(_SAID)
_WARNINGS = frozenset({Retry, Notice, LimitHit})


def log(run_id: str, event: Event) -> None:
    """Write an event of a run to the logger `tinyagent`; its type must be one of `LOGGED`."""
    seen = event.observation if isinstance(event, ToolFinished) else None
    warning = type(event) in _WARNINGS or (seen is not None and seen.error is not None)
    level = logging.WARNING if warning else logging.DEBUG
    if logger.isEnabledFor(level):
        error = seen.exception if seen is not None else None
        has_trace = error is not None and error.__traceback__ is not None and not isinstance(error, ToolArgumentsError)
        text = " ".join(printable(f"run {run_id}: {_SAID[type(event)](event)}").split("\n"))
        try:
            logger.log(level, "%s", text, exc_info=error if has_trace else None)
        except Exception:  # noqa: BLE001 - a handler or filter that fails does not fail the run
            logging.Handler().handleError(logging.makeLogRecord({"msg": text}))
