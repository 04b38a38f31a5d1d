"""`ReactAgent`: reasons, calls tools, answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tinyagent.agents.base import Agent
from tinyagent.agents.dispatch import Dispatch
from tinyagent.agents.run import Run
from tinyagent.core.errors import ConfigurationError
from tinyagent.core.limits import Limits
from tinyagent.core.messages import Reply
from tinyagent.core.registry import collect
from tinyagent.core.result import Observation
from tinyagent.core.tool import Tool
from tinyagent.models.base import Model, ToolChoice
from tinyagent.models.openai import OpenAIModel

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: Characters of an observation that the model reads; the result keeps it whole.
MAX_OBSERVATION = 20_000


class ReactAgent(Agent[Any]):
    """An agent that reasons and calls tools until it can answer.

    Args:
        tools: Functions, `Tool` objects or methods of your own. Two of one name are an error.
        model: A model's name for `OpenAIModel`, or any `Model`.
        client: An `AsyncOpenAI` of your own, when `model` is a name.
        instructions: What the model is told first.
        limits: What one run may spend: `Limits(steps=10, tokens=None, seconds=None)`.
        name: The agent's name in records.
        eager: When streaming, start a call as soon as it is complete, while the model still writes.
        max_observation: Characters of a tool's value that the model reads; `None` is no limit. The rest is
            named in a notice, and kept in the result.
        continue_cut: Have the model go on when the token limit cuts its answer, instead of returning it
            with the state `cut`.

    Raises:
        ConfigurationError: An argument is wrong; the text says what to pass.
    """

    def __init__(
        self,
        tools: Iterable[Tool[..., Any] | Callable[..., Any]] = (),
        *,
        model: str | Model,
        client: AsyncOpenAI | None = None,
        instructions: str = "",
        limits: Limits | None = None,
        name: str = "agent",
        eager: bool = True,
        max_observation: int | None = MAX_OBSERVATION,
        continue_cut: bool = False,
    ) -> None:
        check_common(instructions, limits, name, max_observation)
        self.name = name
        self.model = as_model(model, client)
        self.tools = MappingProxyType(collect(tools))
        self.instructions = instructions
        self.limits = limits or Limits()
        self.eager = eager
        self.max_observation = max_observation
        self.continue_cut = continue_cut

    def __repr__(self) -> str:
        return f"ReactAgent({self.name!r}, model={self.model!r}, tools=[{', '.join(self.tools)}])"

    def _turn(self, run: Run[Any], number: int, tool_choice: ToolChoice) -> Dispatch:
        eager = self.eager and tool_choice == "auto"
        return Dispatch(run, self.tools, step=number, eager=eager, longest=self.max_observation)

    async def _act(self, turn: Dispatch, reply: Reply) -> list[tuple[Observation, str]]:
        return await turn.answer(reply.calls) if reply.calls else []


def check_common(instructions: object, limits: object, name: object, max_observation: object) -> None:
    """Refuse wrong arguments that every agent has.

    Raises:
        ConfigurationError: The text says what to pass.
    """
    if not isinstance(instructions, str):
        raise ConfigurationError(f"instructions={instructions!r}: pass text.")
    if not isinstance(limits, Limits | None):
        raise ConfigurationError(f"limits={limits!r}: pass Limits(steps=..., tokens=..., seconds=...).")
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"name={name!r}: pass a name for the agent.")
    if max_observation is not None and not (isinstance(max_observation, int) and max_observation > 0):
        raise ConfigurationError(f"max_observation={max_observation!r}: pass characters above 0, or None.")


def as_model(model: str | Model, client: AsyncOpenAI | None) -> Model:
    """`model` as a `Model`.

    Raises:
        ConfigurationError: It is neither a name nor a model.
    """
    if isinstance(model, str):
        return OpenAIModel(model, client=client)
    if client is not None:
        raise ConfigurationError("client= goes with a model's name. Pass OpenAIModel('name', client=client) as model=.")
    if isinstance(model, type) or not callable(model):
        raise ConfigurationError(
            f"model={model!r}: pass a model's name such as 'gpt-4o-mini', or a model such as OpenAIModel('name', ...)."
        )
    return model
