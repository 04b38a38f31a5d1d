"""`ReactAgent`: reasons, calls tools, answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from tinyagent.agents.agent import Agent
from tinyagent.agents.options import AgentOptions
from tinyagent.agents.state import RunState
from tinyagent.agents.turn import Turn
from tinyagent.core.door import door
from tinyagent.core.generics import Deps, Output
from tinyagent.models.base import Model, ToolChoice
from tinyagent.tools.toolkit import ToolLike


class ReactAgent(Agent[Deps, Output]):
    """An agent that reasons and calls tools until it can answer.

    Args:
        tools: Functions, `Tool` objects, methods, toolkits, or agents. Two tools of one name are an error.
        model: A model's name for `OpenAIModel`, or any `Model`.
        **options: See `AgentOptions`: `client`, `instructions`, `prompt_file`, `deps_type`, `limits`, `name`,
            `description`, `handoffs`, `middleware`, `eager`, `max_observation`, `continue_cut`.

    Raises:
        ConfigurationError: An argument is wrong; the text says what to pass.
    """

    @door("agent")
    def __init__(
        self, tools: Iterable[ToolLike] = (), *, model: str | Model, **options: Unpack[AgentOptions[Deps]]
    ) -> None:
        super().__init__(tools, model, options)

    def __repr__(self) -> str:
        return f"ReactAgent({self.name!r}, model={self.model!r}, tools=[{', '.join(self.tools)}])"

    def _turn(self, run: RunState, number: int, tool_choice: ToolChoice) -> Turn:
        eager = self._starts_early(run, tool_choice)
        return Turn(run, run.toolbox.tools, step=number, eager=eager, longest=self.max_observation)
