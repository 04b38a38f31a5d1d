"""What an agent can reach: built-in tools, toolkits, MCP servers, and safe fetching for tools of your own."""
