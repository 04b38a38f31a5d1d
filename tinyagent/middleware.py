"""`Middleware`, which stands around model calls and tool calls, and the types of the `call_next` it is given."""

from tinyagent.agents.middleware import Middleware, ModelCall, ToolCall

__all__ = ["Middleware", "ModelCall", "ToolCall"]
