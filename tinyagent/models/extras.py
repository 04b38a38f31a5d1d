"""Keys of a message or a call that only its server knows, put together from a stream.

Servers need some of them back: Gemini its thought signatures, OpenRouter its `reasoning_details`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Keys of a message that are read, or that servers send and do not take back.
KNOWN_IN_MESSAGE = frozenset(
    (
        "role",
        "content",
        "refusal",
        "reasoning_content",
        "reasoning",
        "tool_calls",
        "function_call",
        "annotations",
        "audio",
    )
)
KNOWN_IN_CALL = frozenset(("id", "type", "index", "function"))
KNOWN_IN_FUNCTION = frozenset(("name", "arguments"))
#: Texts that come in pieces; any other text comes whole, and may be repeated.
_IN_PIECES = ("text", "summary", "data", "content", "thinking", "reasoning")


def keep(extra: dict[str, Any], sent: Mapping[str, Any], known: frozenset[str]) -> None:
    """Add the keys of `sent` that are not `known` to those kept in `extra`; values without content are left out."""
    for key in sent.keys() - known:
        if sent[key] not in (None, "", [], {}):
            extra[key] = _joined(key, extra.get(key), sent[key])


def _joined(key: str, old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        keep(old, new, frozenset())
        return old
    if isinstance(old, list) and isinstance(new, list):
        for item in new:
            _add(old, item)
        return old
    if isinstance(old, str) and isinstance(new, str) and key.endswith(_IN_PIECES):
        return old + new
    return new


def _add(items: list[Any], item: Any) -> None:
    """Add a part to the item of its index and type; without an index it is an item of its own."""
    place = _place(item)
    same = [other for other in items if place is not None and _place(other) == place]
    if same:
        keep(same[-1], item, frozenset())
    else:
        items.append(item)


def _place(item: Any) -> tuple[int, Any] | None:
    index = item.get("index") if isinstance(item, dict) else None
    return (index, item.get("type")) if isinstance(index, int) else None
