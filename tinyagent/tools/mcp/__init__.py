"""Tools of servers that speak the Model Context Protocol; with the extra `[mcp]`."""

from tinyagent.tools.mcp.results import MCPMedia, MCPProgress, MCPResult, MCPToolError
from tinyagent.tools.mcp.tools import MCPTools

__all__ = ["MCPMedia", "MCPProgress", "MCPResult", "MCPToolError", "MCPTools"]
