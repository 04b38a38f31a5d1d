"""Messages and tools as JSON bytes in the native form of the Chat Completions API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from tinyagent.core.messages import ID_LENGTH, Assistant, Call, Message, ToolReply, derived_id
from tinyagent.core.tool import Tool
from tinyagent.models.base import ModelRequest
from tinyagent.models.quirks import NO_QUIRKS, Quirks
from tinyagent.models.thoughts import TAGS

T = TypeVar("T")

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

#: The fields of a message in which servers send reasoning, and in which it is sent back.
REPLAYED = ("reasoning_content", "reasoning")
#: Keys of a message that are read, or that servers send and do not take back.
_KNOWN_IN_MESSAGE = frozenset(
    {*REPLAYED, "role", "content", "refusal", "tool_calls", "function_call", "annotations", "audio"}
)
_KNOWN_IN_CALL = frozenset(("id", "type", "index", "function"))
_KNOWN_IN_FUNCTION = frozenset(("name", "arguments"))
#: Endings of the keys whose texts come in pieces; any other text comes whole, and may be repeated.
_IN_PIECES = ("text", "summary", "data", "content", "thinking", "reasoning")


def to_bytes(data: object) -> bytes:
    """Return `data` as compact JSON; half characters (lone surrogates) become U+FFFD, as no server accepts them."""
    text = _dumps(data)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def message_data(message: Message, origin: str, quirks: Quirks = NO_QUIRKS) -> dict[str, Any]:
    """Return a message as a dict of the Chat Completions API.

    Reasoning, and keys that only one server knows (thought signatures), are in it where that server is `origin`.
    """
    id_of = nine_characters if quirks.ids else str
    if isinstance(message, ToolReply):
        return {"role": "tool", "tool_call_id": id_of(message.call_id), "content": message.text}
    if not isinstance(message, Assistant):
        return {"role": message.role, "content": message.text}
    known = message.origin == origin
    data: dict[str, Any] = {"role": "assistant", "content": message.text or None}
    if message.reasoning and known:
        if tags := TAGS.get(message.reasoning_field):
            data["content"] = f"{tags[0]}{message.reasoning}{tags[1]}{message.text}"
        elif message.reasoning_field in REPLAYED:
            data[message.reasoning_field] = message.reasoning
    if message.calls:
        data["tool_calls"] = [_call_data(call, id_of(call.id), call.extra if known else {}) for call in message.calls]
    if known:
        data |= message.extra
    return _without(data, quirks.keys) if quirks.keys else data


def _call_data(call: Call, call_id: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": _accepted(call.name), "arguments": call.raw}
    if not extra:
        return {"id": call_id, "type": "function", "function": function}
    return {"id": call_id, "type": "function", **extra, "function": function | extra.get("function", {})}


def _without(data: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    """Return an assistant message without these keys, in its calls and their functions too."""
    kept = {key: value for key, value in data.items() if key not in keys}
    if "tool_calls" in kept:
        kept["tool_calls"] = [
            {key: value for key, value in call.items() if key not in keys}
            | {"function": {key: value for key, value in call["function"].items() if key not in keys}}
            for call in kept["tool_calls"]
        ]
    return kept


def nine_characters(call_id: str) -> str:
    """Return a call's id as nine letters and digits, always the same for the same id; such an id stays as it is."""
    if len(call_id) == ID_LENGTH and call_id.isascii() and call_id.isalnum():
        return call_id
    return derived_id(call_id)


def _accepted(name: str) -> str:
    """Return a tool's name, which the model may have made up, in a form that every provider takes back."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "unknown"


class NativeTools:
    """The encoder of requests whose tools are native tools of the Chat Completions API.

    Args:
        origin: The server, whose own reasoning and keys are sent back to it.
        quirks: What the server does not take.
    """

    heard = None

    def __init__(self, origin: str, quirks: Quirks = NO_QUIRKS) -> None:
        self.encode: Callable[[Message], bytes] = lambda message: to_bytes(message_data(message, origin, quirks))

    def body(self, request: ModelRequest) -> bytes:
        """Return the part of a request's body for its tools and messages: JSON without the braces around it."""
        messages = b",".join(request.conversation.encoded(self.encode))
        if not request.tools:
            return b'"messages":[' + messages + b"]"
        choice = b'"tool_choice":"none",' if request.tool_choice == "none" else b""
        tools = b",".join(map(_encoded, request.tools))
        return b"".join((choice, b'"tools":[', tools, b'],"messages":[', messages, b"]"))


def once_per_tool(make: Callable[[Tool[..., object]], T]) -> Callable[[Tool[..., object]], T]:
    """Return the function so that it makes its value once for each tool, and keeps it as long as the tool lives."""
    made: WeakKeyDictionary[Tool[..., object], T] = WeakKeyDictionary()

    def known(tool: Tool[..., object]) -> T:
        found = made.get(tool)
        if found is None:
            found = made[tool] = make(tool)
        return found

    return known


_encoded = once_per_tool(lambda tool: to_bytes(tool.definition))


# ---- keys that only their server knows, put together from a stream


def keep_of_message(extra: dict[str, Any], message: Mapping[str, Any]) -> None:
    """Add to `extra` the keys of a message, or of its delta, that only its server knows; empty values are left out."""
    _keep(extra, message, _KNOWN_IN_MESSAGE)


def keep_of_call(extra: dict[str, Any], call: Mapping[str, Any]) -> None:
    """Add to `extra` the keys of a call and its function that only its server knows; empty values are left out."""
    _keep(extra, call, _KNOWN_IN_CALL)
    if isinstance(function := call.get("function"), Mapping) and function.keys() - _KNOWN_IN_FUNCTION:
        _keep(extra.setdefault("function", {}), function, _KNOWN_IN_FUNCTION)


def _keep(extra: dict[str, Any], sent: Mapping[str, Any], known: frozenset[str] = frozenset()) -> None:
    for key in sent.keys() - known:
        if sent[key] not in (None, "", [], {}):
            extra[key] = _joined(key, extra.get(key), sent[key])


def _joined(key: str, old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        _keep(old, new)
        return old
    if isinstance(old, list) and isinstance(new, list):
        for item in new:
            _add(old, item)
        return old
    if isinstance(old, str) and isinstance(new, str) and key.endswith(_IN_PIECES):
        return old + new
    return new


def _add(items: list[Any], item: Any) -> None:
    """Add a piece to the item with the same index and type; a piece without an index becomes an item of its own."""
    place = _place(item)
    same = [other for other in items if place is not None and _place(other) == place]
    if same:
        _keep(same[-1], item)
    else:
        items.append(item)


def _place(item: Any) -> tuple[int, Any] | None:
    index = item.get("index") if isinstance(item, dict) else None
    return (index, item.get("type")) if isinstance(index, int) else None
