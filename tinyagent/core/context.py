"""What a tool can know of the run that calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

from tinyagent.core.generics import Deps
from tinyagent.core.limits import Usage


def _nobody_listens(value: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Context(Generic[Deps]):
    """What a tool can know of the run that calls it.

    The run fills it in for a parameter annotated `Context` or `Context[Deps]`, which the model does not see.

    Attributes:
        deps: The object passed as `agent.run(..., deps=...)`.
        run_id: The run's id.
        call_id: The id of the tool call.
        tool: The tool's name.
        step: The number of the step, from 1; 0 where no model has made the call.
        key: A name of the call that is the same when the run is taken up again: for services that take an idempotency
            key.
        agent: The agent's name.
        model: The model's name.
        metadata: What was passed as `agent.run(..., metadata=...)`.
    """

    deps: Deps = None  # type: ignore[assignment]  # a tool that is called without a run has no deps
    run_id: str = ""
    call_id: str = ""
    tool: str = ""
    step: int = 0
    key: str = ""
    agent: str = ""
    model: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    _usage: Callable[[], Usage] = Usage
    _run: Any = None  # its `RunState`: inner runs are counted there, and heard in its stream
    _progress: Callable[[object], None] = _nobody_listens
    _emit: Callable[[Any], None] = _nobody_listens

    @property
    def usage(self) -> Usage:
        """What the run, and the runs inside it, have used so far."""
        return self._usage()

    def progress(self, value: object) -> None:
        """Report progress: listeners of the stream get a `ToolProgress` event with `value`.

        May be called from the worker thread of a synchronous tool. Ignored once the call has ended.
        """
        self._progress(value)
