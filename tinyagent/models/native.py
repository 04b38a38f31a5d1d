"""Messages and tools as JSON bytes in the native form of the Chat Completions API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from tinyagent.core.messages import Assistant, Message, ToolReply
from tinyagent.core.tool import Tool
from tinyagent.models.base import ModelRequest
from tinyagent.models.think import TAGS

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

#: Where servers put reasoning, and where it goes back.
REPLAYED = ("reasoning_content", "reasoning")


def to_bytes(data: object) -> bytes:
    """`data` as compact JSON; half characters (lone surrogates) become U+FFFD, as no server accepts them."""
    text = _dumps(data)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def message_data(message: Message, origin: str) -> dict[str, Any]:
    """A message in the form of the Chat Completions API, reasoning included where `origin` sent it."""
    if isinstance(message, ToolReply):
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if not isinstance(message, Assistant):
        return {"role": message.role, "content": message.text}
    data: dict[str, Any] = {"role": "assistant", "content": message.text or None}
    if message.reasoning and message.origin == origin:
        if tags := TAGS.get(message.reasoning_field):
            data["content"] = f"{tags[0]}{message.reasoning}{tags[1]}{message.text}"
        elif message.reasoning_field in REPLAYED:
            data[message.reasoning_field] = message.reasoning
    if message.calls:
        data["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": _accepted(call.name), "arguments": call.raw}}
            for call in message.calls
        ]
    return data


def _accepted(name: str) -> str:
    """A name that every provider takes back, whatever the model made up."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "unknown"


class NativeTools:
    """Requests whose tools are native tool calls."""

    def __init__(self, origin: str) -> None:
        self.encode: Callable[[Message], bytes] = lambda message: to_bytes(message_data(message, origin))

    def body(self, request: ModelRequest) -> bytes:
        """`"tools": ..., "messages": [...]`, without braces."""
        messages = b",".join(request.conversation.encoded(self.encode))
        if not request.tools:
            return b'"messages":[' + messages + b"]"
        choice = b'"tool_choice":"none",' if request.tool_choice == "none" else b""
        return (
            choice
            + b'"tools":'
            + b"["
            + b",".join(map(_encoded, request.tools))
            + b"]"
            + b',"messages":['
            + messages
            + b"]"
        )


_definitions: WeakKeyDictionary[Tool[..., object], bytes] = WeakKeyDictionary()


def _encoded(tool: Tool[..., object]) -> bytes:
    """The tool's definition, encoded once for as long as the tool lives."""
    known = _definitions.get(tool)
    if known is None:
        known = _definitions[tool] = to_bytes(tool.definition)
    return known
