"""Messages as they come from outside: JSON text, dicts of the Chat Completions API, objects of the OpenAI SDK."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.jsonable import adapter, to_data
from tinyagent.core.messages import Assistant, Call, Message, System, ToolReply, User
from tinyagent.core.result import RunResult
from tinyagent.models.calls import no_constant, parse_arguments
from tinyagent.models.native import REPLAYED, keep_of_call, keep_of_message

USER_DICT = "{'role': 'user', 'content': '...'}"
CALL_DICT = "{'id': '...', 'type': 'function', 'function': {'name': '...', 'arguments': '{...}'}}"
_OWN: dict[str, type[Message]] = {"system": System, "user": User, "assistant": Assistant, "tool": ToolReply}
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class Dumped(Protocol):
    """An object that writes itself as a dict, such as a message of the OpenAI SDK."""

    def model_dump(self, *, exclude_unset: bool = False) -> dict[str, Any]:
        """Return the object as a dict; with `exclude_unset`, without fields that were not given."""


#: What `messages=` takes: messages, their dicts (`RunResult.to_dict()["messages"]`), dicts of the Chat Completions API,
#: and message objects of the OpenAI SDK.
MessageLike: TypeAlias = Message | Mapping[str, Any] | Dumped


def messages_to_json(messages: Iterable[MessageLike]) -> str:
    """Return a conversation as JSON text, in ASCII: to be stored, and read by `messages_from_json`.

    Args:
        messages: `result.messages`, or whatever else `agent.run(messages=...)` takes.

    Raises:
        ConfigurationError: One of the messages is none; the error says which, and what to write.
    """
    return json.dumps([to_data(message) for message in as_messages(messages)])


def messages_from_json(text: str | bytes | Iterable[MessageLike]) -> tuple[Message, ...]:
    """Return the messages in JSON text: a list as `messages_to_json` writes it, or one of the Chat Completions API.

    Args:
        text: The text, or the list when it has been parsed already.

    Raises:
        ConfigurationError: The text is no JSON, or holds something else than messages; the error says where.
    """
    given: Any = text
    if isinstance(text, str | bytes | bytearray):
        try:
            given = json.loads(text, parse_constant=no_constant)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"The text is no JSON: {error}. Pass what messages_to_json wrote.") from None
    return tuple(as_messages(given))


def as_messages(given: object) -> list[Message]:
    """Return the messages that were given as `messages=`, in any form that it takes, as message objects.

    Raises:
        ConfigurationError: Something else was given; the error says which message, and what to write.
    """
    if isinstance(given, str | bytes | Mapping) or hasattr(given, "model_dump") or not isinstance(given, Iterable):
        raise ConfigurationError(f"messages= is of the type {type(given).__name__}: {_remedy(given)}.")
    return [
        item if isinstance(item, Message) else _message(item, f"messages[{index}]") for index, item in enumerate(given)
    ]


def _remedy(given: object) -> str:
    if isinstance(given, RunResult):
        return "pass result.messages"
    if isinstance(given, str | bytes):
        return "for JSON text pass messages_from_json(text), for words [User('...')]"
    if isinstance(given, Mapping) and "messages" in given:
        return "pass its messages, data['messages']"
    if isinstance(given, Message | Mapping) or hasattr(given, "model_dump"):
        return "pass a list of messages, with this one in brackets: [message]"
    return "pass a list of messages, such as those of an earlier result (result.messages)"


def _message(item: object, where: str) -> Message:
    data = _dumped(item)
    if not isinstance(data, Mapping):
        raise ConfigurationError(
            f"{where} is of the type {type(item).__name__}: {_remedy_of(item)}, or a System, User, Assistant or "
            "ToolReply object."
        )
    role = data.get("role")
    if role not in _ROLES:
        found = f"the role {role!r:.40}" if "role" in data else "no role"
        raise ConfigurationError(f"{where} has {found}: write {USER_DICT}; the roles are {', '.join(_ROLES)}.")
    if role in _OWN and "text" in data and "content" not in data:
        return _own(_OWN[role], data, where)
    return _READ[role](data, where)


def _dumped(item: object) -> object:
    dump = getattr(item, "model_dump", None)
    return dump(exclude_unset=True) if callable(dump) and not isinstance(item, type) else item


def _remedy_of(item: object) -> str:
    if isinstance(item, RunResult):
        return "pass its messages, [*result.messages]"
    return f"write a dict such as {USER_DICT}"


def _own(cls: type[Message], data: Mapping[str, Any], where: str) -> Message:
    """Return the message in a dict of the form that `RunResult.to_dict` and `messages_to_json` write."""
    from pydantic_core import ValidationError

    try:
        message: Message = adapter(cls).validate_python(dict(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise ConfigurationError(f"{where}{place}: {first['msg']}. Write what messages_to_json writes.") from None
    for index, call in enumerate(message.calls if isinstance(message, Assistant) else ()):
        if not call.id or parse_arguments(call.raw)[1] != call.raw:
            fault = "raw is no JSON object" if call.id else "id is empty"
            raise ConfigurationError(f"{where}.calls[{index}]: its {fault}. Write what messages_to_json writes.")
    return message


# ---- dicts of the Chat Completions API


def _assistant(data: Mapping[str, Any], where: str) -> Message:
    calls = [
        _call(item, f"{where}.tool_calls[{index}]")
        for index, item in enumerate(_list(data.get("tool_calls"), f"{where}.tool_calls"))
    ]
    legacy = data.get("function_call")
    if legacy is not None and not calls:
        item = {"id": _legacy_id(legacy), "function": legacy}
        calls = [_call(item, f"{where}.function_call", "{'name': '...', 'arguments': '{...}'}")]
    text = "" if data.get("content") is None else _content(data, where)
    refusal = data.get("refusal")
    field = next((key for key in REPLAYED if data.get(key)), "")
    reasoning = data.get(field) or ""
    extra: dict[str, Any] = {}
    keep_of_message(extra, data)
    return Assistant(
        text or (refusal if isinstance(refusal, str) else ""),
        tuple(calls),
        _text(reasoning, f"{where}.{field}"),
        field,
        extra=extra,
    )


def _tool(data: Mapping[str, Any], where: str) -> Message:
    call_id = data.get("tool_call_id")
    if not isinstance(call_id, str) or not call_id:
        raise ConfigurationError(
            f"{where} says not which call it answers: write {{'role': 'tool', 'tool_call_id': '...', 'content': "
            "'...'} with the id of the call."
        )
    return ToolReply(call_id, _content(data, where), _text(data.get("name") or "", f"{where}.name"))


def _function(data: Mapping[str, Any], where: str) -> Message:
    name = _text(data.get("name"), f"{where}.name")
    return ToolReply(_legacy_id(data), _content(data, where), name)


_READ: dict[str, Callable[[Mapping[str, Any], str], Message]] = {
    "system": lambda data, where: System(_content(data, where)),
    "developer": lambda data, where: System(_content(data, where)),
    "user": lambda data, where: User(_content(data, where)),
    "assistant": _assistant,
    "tool": _tool,
    "function": _function,
}


def _legacy_id(function: object) -> str:
    """Return the id of a `function_call`, which has none: made of the function's name, as its answer names it too."""
    return f"function_{function.get('name')}" if isinstance(function, Mapping) else "function"


def _call(item: object, where: str, form: str = CALL_DICT) -> Call:
    item = _dumped(item)
    function = item.get("function") if isinstance(item, Mapping) else None
    call_id = item.get("id") if isinstance(item, Mapping) else None
    name, arguments = (function.get("name"), function.get("arguments")) if isinstance(function, Mapping) else ("", "")
    if not (isinstance(item, Mapping) and isinstance(name, str) and name and isinstance(call_id, str) and call_id):
        raise ConfigurationError(f"{where} is no call of a function: write {form}.")
    if isinstance(arguments, Mapping):  # as some servers send them
        arguments = json.dumps(to_data(arguments), ensure_ascii=False)
    read, raw, problem = parse_arguments(_text(arguments or "", f"{where}.function.arguments"))
    extra: dict[str, Any] = {}
    keep_of_call(extra, item)
    return Call(name, read, call_id, raw, problem, extra)


def _content(data: Mapping[str, Any], where: str) -> str:
    """Return the text of a message: its content, or the text parts of its content, one below the other."""
    content = data.get("content")
    if isinstance(content, str):
        return str.__str__(content)
    if not isinstance(content, list | tuple):
        raise ConfigurationError(
            f"{where} has no content that is text: write {{'role': {data['role']!r}, 'content': '...'}}."
        )
    return "\n".join(_parts(content, where))


def _parts(content: Iterable[object], where: str) -> Iterator[str]:
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
        text = part.get(kind) if isinstance(part, Mapping) and kind in ("text", "refusal") else None
        if not isinstance(text, str):
            raise ConfigurationError(
                f"{where}.content[{index}] is a part of the type {kind!r:.40}: only text can be sent. Write "
                "{'type': 'text', 'text': '...'}, or leave it out."
            )
        yield text


def _list(value: object, where: str) -> list[Any] | tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise ConfigurationError(f"{where} is no list: write [{CALL_DICT}].")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{where} is of the type {type(value).__name__}: write text.")
    return value
