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

#: The names of each module, which is loaded when one of them is first used.
_NAMES = {
    "tinyagent.core.registry": "ToolRegistry",
    "tinyagent.tools.builtin.planning": "Plan PlanStep",
    "tinyagent.tools.builtin.web_browse": "Page",
    "tinyagent.tools.builtin.web_search": "SearchResult SearchResults",
    "tinyagent.tools.mcp": "MCPMedia MCPProgress MCPResult MCPToolError",
    "tinyagent.tools.toolkit": "ToolLike",
}

__all__ = [
    "MCPMedia", "MCPProgress", "MCPResult", "MCPToolError", "Page", "Plan", "PlanStep", "SearchResult",
    "SearchResults", "ToolLike", "ToolRegistry",
]  # fmt: skip

__getattr__, __dir__ = lazily(__name__, _NAMES)
