"""The messages of a conversation, and the functions that turn them into JSON and back."""

from tinyagent.core.messages import Assistant, Call, Conversation, Message, Reply, System, ToolReply, User
from tinyagent.models.chat import MessageLike, messages_from_json, messages_to_json

__all__ = [
    "Assistant", "Call", "Conversation", "Message", "MessageLike", "Reply", "System", "ToolReply", "User",
    "messages_from_json", "messages_to_json",
]  # fmt: skip
