"""What a strict provider demands of the messages in a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tinyagent.core.tool import NAME_PATTERN


def fault_of(body: Mapping[str, Any]) -> str | None:
    """Return what a strict provider would reject in the body of a request, or `None`.

    Checked: roles, the system message first, each call answered exactly once right after its message and in
    order, arguments that are JSON objects, no empty assistant message.
    """
    open_calls: list[str] = []
    messages = body.get("messages") or ()
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            if not open_calls or message.get("tool_call_id") != open_calls.pop(0):
                return f"messages[{index}] answers {message.get('tool_call_id')!r}, which is not the next open call"
        elif open_calls:
            return f"messages[{index}] comes before the answers to {open_calls}"
        if fault := _message_fault(message, first=index == 0):
            return f"messages[{index}]: {fault}"
        open_calls += [call["id"] for call in message.get("tool_calls") or ()]
    if open_calls:
        return f"the calls {open_calls} have no answer"
    return None if messages else "there are no messages"


def _message_fault(message: Mapping[str, Any], *, first: bool) -> str | None:
    role, calls = message.get("role"), message.get("tool_calls") or ()
    if role not in ("system", "user", "assistant", "tool") or (role == "system" and not first):
        return f"the role {role!r} is in the wrong place"
    if role != "assistant":
        return None if isinstance(message.get("content"), str) else "it has no text"
    if not message.get("content") and not calls:
        return "it is an empty assistant message"
    return next(filter(None, map(_call_fault, calls)), None)


def _call_fault(call: Mapping[str, Any]) -> str | None:
    function = call.get("function") or {}
    if not call.get("id") or call.get("type") != "function" or not NAME_PATTERN.match(function.get("name") or ""):
        return f"{call!r} is no function call"
    try:
        fine = isinstance(json.loads(function.get("arguments") or ""), dict)
    except (TypeError, ValueError):
        fine = False
    return None if fine else f"the arguments {function.get('arguments')!r} are no JSON object"
