"""Tools of servers that speak the Model Context Protocol; with the extra `[mcp]`."""

from tinyagent.tools.mcp.results import MCPData, MCPMedia, MCPProgress, MCPResult, MCPToolError
from tinyagent.tools.mcp.tools import MCPTools

__all__ = ["MCPData", "MCPMedia", "MCPProgress", "MCPResult", "MCPToolError", "MCPTools"]
