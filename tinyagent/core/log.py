"""The logger `tinyagent`: what whoever debugs a run wants to see. Silent unless logging is set up for it.

    logging.basicConfig(level="DEBUG")                 # or only: logging.getLogger("tinyagent").setLevel("DEBUG")

Warnings are tools that failed, with their traceback, retries, notices and limits; all else is `DEBUG`.
"""

from __future__ import annotations

import logging

from tinyagent.core.errors import ToolArgumentsError
from tinyagent.core.events import (
    CodeFinished,
    Event,
    HandedOver,
    LimitReached,
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

logger = logging.getLogger("tinyagent")
logger.addHandler(logging.NullHandler())  # otherwise Python prints warnings of loggers that nobody has set up

#: Characters of arguments, values and code that a record holds.
LONGEST = 500
_DEBUG = frozenset(
    {RunStarted, StepStarted, ToolStarted, CodeFinished, StepFinished, HandedOver, RunFinished, RunFailed}
)
_WARNING = frozenset({Retry, Notice, LimitReached})
#: The events that are logged; the pieces of a stream are not.
LOGGED = _DEBUG | _WARNING | {ToolFinished}


def log(run_id: str, event: Event) -> None:
    """Record an event, one of `LOGGED`."""
    failed = isinstance(event, ToolFinished) and event.observation.error is not None
    level = logging.WARNING if failed or type(event) in _WARNING else logging.DEBUG
    if logger.isEnabledFor(level):
        error = event.observation.exception if isinstance(event, ToolFinished) else None
        told = None if isinstance(error, ToolArgumentsError) or error is None or error.__traceback__ is None else error
        logger.log(level, "run %s: %s", run_id, _said(event), exc_info=told)


def _said(event: Event) -> str:
    match event:
        case RunStarted():
            return f"{event.agent} begins with {event.model}: {_short(event.task)}"
        case StepStarted():
            return f"step {event.number}: asking the model"
        case StepFinished(step):
            return (
                f"step {step.number} took {step.seconds:.3f} s, {step.usage.total_tokens:,} tokens, "
                f"finish_reason {step.finish_reason!r}: {_short(step.reply.text)}"
            )
        case ToolStarted(call):
            return f"call {call.id}: {call.name}({_short(call.raw)})"
        case ToolFinished(seen):
            how = "failed" if seen.error is not None else "gave"
            return f"call {seen.call.id}: {seen.call.name} {how} after {seen.seconds:.3f} s: {_short(seen.text)}"
        case CodeFinished():
            error = event.execution.error
            return f"code {event.number}: {_short(event.execution.code)}" + (
                f" -> {_short(str(error))}" if error else ""
            )
        case Retry():
            return f"{event.what}: attempt {event.attempt} in {event.seconds:.1f} s, because of {_short(event.reason)}"
        case Notice():
            return event.text
        case LimitReached():
            return f"the limit of {event.limit} is reached: {event.value:g}"
        case HandedOver():
            return f"handed over to {event.agent} with {event.model}"
        case RunFinished(result):
            return f"ended with {result.state!r} after {result.metadata.seconds:.3f} s: {_short(str(result.output))}"
        case RunFailed():
            return f"failed with {event.error}: {_short(event.message)}"
    return event.type


def _short(text: str) -> str:
    """Text on one line, without what a terminal would obey."""
    shown = repr(text[:LONGEST])
    return shown if len(text) <= LONGEST else f"{shown} ({len(text):,} characters)"
