"""What came of a turn."""

from __future__ import annotations

from dataclasses import dataclass

from tinyagent.core.result import Execution, Observation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a reply: of its calls, and of its code.

    Attributes:
        answers: What each call gave, with the text that the model reads of it: the calls of the reply in their order,
            then those that code made, whose text stands in the report.
        executions: The blocks of code that have run.
        report: What the model reads of the code; empty where a reply had none.
    """

    answers: tuple[tuple[Observation, str], ...] = ()
    executions: tuple[Execution, ...] = ()
    report: str = ""

    @property
    def observations(self) -> list[Observation]:
        """What each call gave."""
        return [observation for observation, _ in self.answers]
