"""The events of a run, which `agent.stream(...)` gives in the order they happen; `Event` is the type of any of them."""

# ruff: noqa: I001
# fmt: off
from tinyagent.core.events import (
    CallSealed, CodeFinished, CodeOutput, CodeStarted, Event, HandedOver, InnerEvent, LimitHit, Notice,
    ReasoningDelta, Retry, RunFailed, RunFinished, RunStarted, StepFinished, StepStarted, TextDelta, TextVoided,
    ToolFinished, ToolProgress, ToolStarted, event_from_dict,
)

__all__ = [
    "CallSealed", "CodeFinished", "CodeOutput", "CodeStarted", "Event", "HandedOver", "InnerEvent", "LimitHit",
    "Notice", "ReasoningDelta", "Retry", "RunFailed", "RunFinished", "RunStarted", "StepFinished", "StepStarted",
    "TextDelta", "TextVoided", "ToolFinished", "ToolProgress", "ToolStarted", "event_from_dict",
]
