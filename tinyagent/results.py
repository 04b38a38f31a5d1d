"""The result of a run: its state, its steps, the observation of each tool call, and the tokens used."""

from tinyagent.core.limits import Usage
from tinyagent.core.result import MapItem, Observation, RunInfo, RunResult, State, Step

__all__ = ["MapItem", "Observation", "RunInfo", "RunResult", "State", "Step", "Usage"]
