"""An agent as a tool of another agent: runs inside a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinyagent.agents.options import tool_name
from tinyagent.core.context import Context
from tinyagent.core.errors import ApprovalError, ConfigurationError
from tinyagent.core.policy import Paused
from tinyagent.core.tool import Tool, ToolOptions

if TYPE_CHECKING:
    from tinyagent.agents.agent import Agent


class AgentTool(Tool[..., Any]):
    """A tool that gives its task to an agent.

    Attributes:
        agent: The agent.
    """

    agent: Agent[Any, Any]


def agent_tool(agent: Agent[Any, Any], name: str | None, description: str | None, options: ToolOptions) -> AgentTool:
    """Return a tool that gives a task to the agent and returns the agent's output.

    Raises:
        ConfigurationError: The tool would have no name, or no description.
        ToolDefinitionError: An option is wrong.
    """

    async def ask(task: str, context: Context[Any] = Context()) -> Any:  # noqa: B008 - it is immutable
        run = agent.inner_run(task, context)
        async with run:
            result = await run.drain()
        if result.state == "paused":
            if context._run is None:  # noqa: SLF001 - the seam between a tool's context and runs
                raise ApprovalError.of(agent.name, result)
            raise Paused(result.pending)
        return result.output

    ask.__doc__ = "Do a task.\n\nArgs:\n    task: What to do, in words, with all it needs."
    ask.__module__, ask.__qualname__ = "agent", agent.name
    said = _description(agent, description)
    called = name or tool_name(agent.name, "as_tool(name=...) gives it one")
    made = AgentTool(ask, name=called, description=said, **options)
    made.agent = agent
    made.once = False  # its run goes on where it was broken off, and its own tools say what must not be done twice
    return made


def _description(agent: Agent[Any, Any], description: str | None) -> str:
    said = agent.description if description is None else description
    if not isinstance(said, str) or not said.strip():
        raise ConfigurationError(
            f"The agent {agent.name!r} as a tool needs a description, from which a model knows when to call it: pass "
            "as_tool(description='...'), or description='...' to the agent."
        )
    return said
