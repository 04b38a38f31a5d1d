"""A handoff: an agent passes the conversation on to another, which goes on in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tinyagent.agents.options import tool_name
from tinyagent.core.errors import ConfigurationError
from tinyagent.core.tool import Tool
from tinyagent.tools.toolkit import Toolkit

if TYPE_CHECKING:
    from tinyagent.agents.base import Agent


class Handoff(Tool[[], str]):
    """The tool by which a run is handed over.

    Attributes:
        agent: Who goes on.
    """

    def __init__(self, agent: Agent[Any]) -> None:
        name = tool_name(agent.name, "by which a run is handed over to it")

        def transfer() -> str:
            return f"{agent.name} goes on."

        about = f": {agent.description}" if agent.description else "."
        super().__init__(
            transfer,
            name=f"transfer_to_{name}",
            description=f"Hand the conversation over to {agent.name}{about}",
            returns_answer=True,
            eager=False,
        )
        self.agent = agent


class LateHandoffs(Toolkit):
    """Handoffs to agents that a function returns, so that agents may name each other."""

    def __init__(self, agents: Any) -> None:
        self._agents = agents
        self._tools: tuple[Handoff, ...] = ()

    async def open(self) -> None:
        """Ask the function."""
        if not self._tools:
            self._tools = tuple(handoffs_of(self._agents()))

    @property
    def tools(self) -> tuple[Tool[..., Any], ...]:
        """The handoffs."""
        return self._tools


def with_handoffs(tools: Any, agents: Any) -> Any:
    """The tools of an agent, and those by which it can hand over to others.

    Raises:
        ConfigurationError: One of `agents` is no agent.
    """
    if callable(agents):
        return [*tools, LateHandoffs(agents)] if _is_list(tools) else tools
    handoffs = handoffs_of(agents)
    return [*tools, *handoffs] if handoffs and _is_list(tools) else tools


def _is_list(tools: object) -> bool:
    return isinstance(tools, Iterable) and not isinstance(tools, str | Mapping)


def handoffs_of(agents: object) -> list[Handoff]:
    """A handoff to each of the agents.

    Raises:
        ConfigurationError: One is no agent.
    """
    from tinyagent.agents.base import Agent

    if not isinstance(agents, Iterable) or isinstance(agents, str):
        raise ConfigurationError(f"handoffs={agents!r}: pass a list of agents, or a function that returns one.")
    handoffs = []
    for agent in agents:
        if not isinstance(agent, Agent):
            raise ConfigurationError(f"handoffs=[...]: {agent!r} is no agent.")
        handoffs.append(Handoff(agent))
    return handoffs
