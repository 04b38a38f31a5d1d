"""A handoff: an agent passes the conversation on to another, which goes on in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tinyagent.agents.options import tool_name
from tinyagent.core.errors import ConfigurationError, ToolkitError
from tinyagent.core.jsonable import error_text
from tinyagent.core.registry import check_list
from tinyagent.core.result import Observation
from tinyagent.core.tool import Tool
from tinyagent.tools.toolkit import Toolkit

if TYPE_CHECKING:
    from tinyagent.agents.agent import Agent


class Handoff(Tool[[], str]):
    """The tool by which a run is handed over to another agent.

    Attributes:
        agent: The agent that goes on.
    """

    def __init__(self, agent: Agent[Any, Any]) -> None:
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

    def __init__(self, function: Callable[[], Iterable[Agent[Any, Any]]]) -> None:
        self._function = function
        self._tools: tuple[Handoff, ...] = ()

    def for_run(self) -> Toolkit:
        """Return this toolkit, once the function was asked for the agents."""
        self.agents()
        return self

    def agents(self) -> list[Agent[Any, Any]]:
        """Return the agents; the function is asked once.

        Raises:
            ToolkitError: The function failed, or returned something else than agents.
        """
        if not self._tools:
            try:
                self._tools = tuple(handoffs_of(self._function()))
            except Exception as error:
                raise ToolkitError(f"The function handoffs= failed: {error_text(error)}") from error
        return [handoff.agent for handoff in self._tools]

    @property
    def tools(self) -> tuple[Tool[..., Any], ...]:
        """The handoffs; none before the function was asked."""
        return self._tools


def with_handoffs(tools: Any, agents: Any) -> Any:
    """Return the tools of an agent, and after them those by which it can hand over to `agents`.

    Raises:
        ConfigurationError: One of `agents` is no agent, or `tools` is no list.
    """
    check_list(tools)
    return [*tools, LateHandoffs(agents)] if callable(agents) else [*tools, *handoffs_of(agents)]


def handoffs_of(agents: object) -> list[Handoff]:
    """Return a handoff to each of the agents.

    Raises:
        ConfigurationError: `agents` is no list of agents, or two of them have one name.
    """
    from tinyagent.agents.agent import Agent

    if not isinstance(agents, Iterable) or isinstance(agents, str):
        raise ConfigurationError(f"handoffs={agents!r}: pass a list of agents, or a function that returns one.")
    handoffs = []
    for agent in agents:
        if not isinstance(agent, Agent):
            raise ConfigurationError(f"handoffs=[...]: {agent!r} is no agent.")
        handoffs.append(Handoff(agent))
    names = [handoff.name for handoff in handoffs]
    if twice := [handoff.agent.name for handoff in handoffs if names.count(handoff.name) > 1]:
        raise ConfigurationError(
            f"handoffs= has two agents named {twice[0]!r}. Give each a name of its own: name='...'."
        )
    return handoffs


def first_handoff(
    tools: Mapping[str, Tool[..., Any]], answers: Iterable[tuple[Observation, str]]
) -> tuple[tuple[Observation, str], ...]:
    """Return the answers of a turn, in which of several handoffs the first counts and the others are told so."""
    first: Handoff | None = None
    told = []
    for observation, text in answers:
        tool = tools.get(observation.call.name)
        if isinstance(tool, Handoff) and observation.error is None:
            if first is not None:
                text = f"Not done: {first.agent.name} goes on already."
            first = first or tool
        told.append((observation, text))
    return tuple(told)
