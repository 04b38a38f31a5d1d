"""What stands around model calls and tool calls, and the types of what goes on."""

from tinyagent.agents.middleware import Middleware, ModelCall, ToolCall

__all__ = ["Middleware", "ModelCall", "ToolCall"]
