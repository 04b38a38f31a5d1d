"""What an agent can reach: built-in tools, toolkits, MCP servers, and safe fetching for tools of your own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyagent.core.lazy import lazily

if TYPE_CHECKING:
    from tinyagent.core.registry import ToolRegistry
    from tinyagent.tools.builtin.planning import Plan, PlanStep
    from tinyagent.tools.builtin.web_browse import Page
    from tinyagent.tools.builtin.web_search import SearchResult, SearchResults
    from tinyagent.tools.mcp import MCPMedia, MCPProgress, MCPResult, MCPToolError
    from tinyagent.tools.toolkit import ToolLike

#: Where each name is; loaded when it is first used.
_HOME = {
    "ToolRegistry": "tinyagent.core.registry",
    "Plan": "tinyagent.tools.builtin.planning",
    "PlanStep": "tinyagent.tools.builtin.planning",
    "Page": "tinyagent.tools.builtin.web_browse",
    "SearchResult": "tinyagent.tools.builtin.web_search",
    "SearchResults": "tinyagent.tools.builtin.web_search",
    "MCPMedia": "tinyagent.tools.mcp",
    "MCPProgress": "tinyagent.tools.mcp",
    "MCPResult": "tinyagent.tools.mcp",
    "MCPToolError": "tinyagent.tools.mcp",
    "ToolLike": "tinyagent.tools.toolkit",
}

__all__ = [
    "MCPMedia",
    "MCPProgress",
    "MCPResult",
    "MCPToolError",
    "Page",
    "Plan",
    "PlanStep",
    "SearchResult",
    "SearchResults",
    "ToolLike",
    "ToolRegistry",
]

__getattr__, __dir__ = lazily(__name__, _HOME)
