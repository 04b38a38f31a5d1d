"""Planning: a plan that the model makes, follows and changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tinyagent.core.registry import tool
from tinyagent.tools.toolkit import Toolkit

Status: TypeAlias = Literal["open", "in_progress", "done", "skipped"]

#: Steps of one plan, and characters of one line of it, at most.
MOST_STEPS, LONGEST_LINE = 100, 500

_MARKS = {"open": " ", "in_progress": ">", "done": "x", "skipped": "-"}


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a plan.

    Attributes:
        text: What to do.
        status: How far it is: `open`, `in_progress`, `done` or `skipped`.
        note: What came of it.
    """

    text: str
    status: Status = "open"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A goal and the steps to it, numbered from 1."""

    goal: str
    steps: tuple[PlanStep, ...]

    def for_model(self) -> str:
        """Return the plan as a list, one line a step."""
        lines = [
            f"{number}. [{_MARKS[step.status]}] {step.text}" + (f" ({step.note})" if step.note else "")
            for number, step in enumerate(self.steps, 1)
        ]
        left = sum(step.status in ("open", "in_progress") for step in self.steps)
        return "\n".join([f"Plan: {self.goal}", *lines, f"{left} of {len(self.steps)} steps left."])

    __str__ = for_model


class Planning(Toolkit):
    """Tools with which a model makes a plan, follows it and changes it: `tools=[Planning(), ...]`.

    Each run has a plan of its own, which ends with it; runs of one agent at the same time do not see each other's. The
    model is shown the plan whenever it changes, and the caller finds it as a `Plan` in the events and observations.
    At most 100 steps, and 500 characters a line.
    """

    def __init__(self) -> None:
        self.plan: Plan | None = None

    def for_run(self) -> Planning:
        """Return a new toolkit without a plan, since a plan belongs to one run."""
        return type(self)()

    @tool(shown=True, local=True)
    async def create_plan(self, goal: str, steps: list[str]) -> Plan:
        """Make a plan before a task of several steps. It takes the place of an earlier plan.

        Args:
            goal: What is to be reached.
            steps: What to do, in order; one line each.
        """
        plan = Plan(_line(goal), _new_steps(steps))
        if not plan.steps:
            raise ValueError("steps is empty: a plan has at least one step")
        self.plan = plan
        return plan

    @tool(shown=True, local=True)
    async def update_plan(
        self, step: int, status: Status = "done", note: str = "", new_steps: list[str] | None = None
    ) -> Plan:
        """Mark a step of the plan, such as done; put further steps after it when they turn out to be needed.

        Args:
            step: The step's number, from 1.
            status: How far it is now.
            note: What came of it, in a few words.
            new_steps: Further steps to put right after it.
        """
        plan = self._current()
        if not 1 <= step <= len(plan.steps):
            raise ValueError(f"there is no step {step}; the plan has the steps 1 to {len(plan.steps)}")
        before = plan.steps[step - 1]
        changed = replace(before, status=status, note=_line(note) if note.strip() else before.note)
        steps = (*plan.steps[: step - 1], changed, *_new_steps(new_steps or [], len(plan.steps)), *plan.steps[step:])
        self.plan = replace(plan, steps=steps)
        return self.plan

    @tool(read_only=True, shown=True, local=True)
    async def get_plan(self) -> Plan:
        """The plan as it is now."""  # noqa: D401 - the model reads it
        return self._current()

    def _current(self) -> Plan:
        if self.plan is None:
            raise LookupError("there is no plan yet; make one with create_plan")
        return self.plan


def _new_steps(texts: list[str], already: int = 0) -> tuple[PlanStep, ...]:
    if already + len(texts) > MOST_STEPS:
        raise ValueError(f"a plan has at most {MOST_STEPS} steps; put several into one")
    return tuple(PlanStep(_line(text)) for text in texts)


def _line(text: str) -> str:
    """Return a text on one line.

    Raises:
        ValueError: The text is empty, or too long.
    """
    line = " ".join(text.split())
    if not line:
        raise ValueError("a line of the plan is empty")
    if len(line) > LONGEST_LINE:
        raise ValueError(f"a line of the plan has {len(line):,} characters; at most {LONGEST_LINE} are taken")
    return line
