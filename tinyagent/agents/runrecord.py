"""What a store says of a run: what it is to do, and how it was left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from tinyagent.core.errors import StoreError
from tinyagent.core.jsonable import error_text
from tinyagent.core.store import REDACTED

#: The states in which a run may be left, and go on later.
LEFT = ("failed", "paused", "step_limit_reached")


def times_left(run_id: str, records: Mapping[str, str]) -> int:
    """Return how often a run was left, to go on later."""
    return sum(key.startswith(f"{run_id}/left/") for key in records)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a store says of a run, without its steps.

    Attributes:
        run_id: The run's id.
        task: What to do, in words.
        agent: The name of the agent that began.
        model: The name of that agent's model.
        started: When the run began, in seconds since the epoch.
        state: How the run ended, or was left (see `tinyagent.results.State`); `dropped`; `damaged` when its records
            cannot be read; `unfinished` when it goes on, was cancelled, or its process has died.
        error: What it failed with.
        metadata: What was passed as `agent.run(..., metadata=...)`, as plain data.
        session: The session that it belongs to; `None` where there is none.
        first: The name of the agent that goes on in its place, since it answered last in the session; else empty.
        place: How many messages the session had before it.
        messages: The earlier conversation that was passed to it, as plain data.
        call: The tool and the arguments of a run that is one call.
        speaker: The name of the agent that was at work last.
        left: How often it was left, to go on later.
    """

    run_id: str
    task: str
    agent: str
    model: str = ""
    started: float = 0.0
    state: str = "unfinished"
    error: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    first: str = ""
    place: int = 0
    messages: Sequence[Mapping[str, Any]] = ()
    call: Sequence[Any] | None = None
    speaker: str = ""
    left: int = 0

    @classmethod
    def of(cls, run_id: str, records: Mapping[str, str]) -> Self | None:
        """Return what the records say of a run; `None` where they do not know it.

        Raises:
            StoreError: A record cannot be read.
        """
        if f"{run_id}/start" not in records:
            return None
        left = times_left(run_id, records)
        try:
            how: dict[str, Any] = {}
            if f"{run_id}/end" in records:
                how = json.loads(records[f"{run_id}/end"])
            elif left and f"{run_id}/resumed/{left}" not in records:
                how = json.loads(records[f"{run_id}/left/{left}"].removeprefix(REDACTED))
            start = json.loads(records[f"{run_id}/start"].removeprefix(REDACTED))
            return cls(run_id, **{**start, **how, "agent": start["agent"]}, speaker=how.get("agent", ""), left=left)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"The store is damaged: the run {run_id!r} cannot be read: {error_text(error)}") from error
