"""What a run gives back: the result, its steps, what each call gave, what it used."""

from tinyagent.core.limits import Usage
from tinyagent.core.result import Observation, RunInfo, RunResult, State, Step

__all__ = ["Observation", "RunInfo", "RunResult", "State", "Step", "Usage"]
