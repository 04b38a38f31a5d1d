"""Scripts, which scripted models and servers follow: a list of replies, or a function that makes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tinyagent.core.errors import ConfigurationError, ScriptError
from tinyagent.core.messages import Call, Reply


class _Cut:
    """The class of `CUT`, which drops a connection."""

    def __repr__(self) -> str:
        return "CUT"


#: In `RawStream.parts`: drop the connection here.
CUT: Final = _Cut()


@dataclass(frozen=True, slots=True)
class RawReply:
    """Any HTTP answer at all; for `ScriptedServer` only.

    Attributes:
        body: Bytes or text as they are; anything else is sent as JSON.
        status: HTTP status.
        headers: Headers added to the answer; `content-type` defaults to JSON.
        delay: Seconds to wait before the answer.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class RawStream:
    """A stream of any shape; for `ScriptedServer` only.

    Attributes:
        parts: The pieces, each sent in a write of its own: a dict as the `data:` of an event, text or bytes as they
            are, a number as a pause in seconds, `CUT` to drop the connection.
        status: HTTP status.
        headers: Headers added to the answer; `content-type` defaults to `text/event-stream`.
    """

    parts: Iterable[Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


#: One reply of a script: text is an answer, `Call`s are tool calls, a `Reply` says everything, an exception is
#: raised (by `ScriptedModel`), a function is called with the request and returns one of the others.
Item: TypeAlias = (
    str | Call | list[Call] | tuple[Call, ...] | Reply | RawReply | RawStream | BaseException | Callable[..., Any]
)


def call(tool: str, /, **arguments: Any) -> Call:
    """Return a tool call for a script: `call("add", a=2, b=3)`."""
    return Call(tool, arguments)


class Script:
    """Replies in order, or a function from each request to its reply.

    Args:
        replies: A list of items, or a function (async or not) that gets the request and returns an item.

    Raises:
        ConfigurationError: `replies` is neither.
    """

    def __init__(self, replies: Iterable[Item] | Callable[..., Any]) -> None:
        if isinstance(replies, str | Call | Reply | Mapping) or not (
            callable(replies) or isinstance(replies, Iterable)
        ):
            raise ConfigurationError(
                f"{replies!r} is no script: pass a list of replies, or a function that makes them."
            )
        self._function = replies if callable(replies) else None
        self._items: list[Item] = [] if callable(replies) else list(replies)
        self._used = 0

    async def next(self, request: Any) -> Item:
        """Return the item that answers `request`.

        Raises:
            ScriptError: The list is used up.
            ConfigurationError: The script gives something that is no reply.
        """
        if self._function is None and self._used >= len(self._items):
            raise ScriptError(
                f"The script has {len(self._items)} replies, and was asked for one more. Add a reply, or script it "
                "with a function."
            )
        item: Any = self._function or self._items[self._used]
        self._used += 1
        while inspect.isfunction(item) or inspect.ismethod(item) or (callable(item) and not isinstance(item, type)):
            item = item(request)
            if inspect.isawaitable(item):
                item = await item
        return _checked(item)

    @property
    def used(self) -> int:
        """The number of replies that have been given."""
        return self._used

    def assert_all_used(self) -> None:
        """Raise an error when replies are left over.

        Raises:
            AssertionError: Replies are left over; the text names the first of them.
        """
        left = self._items[self._used :]
        if left:
            raise AssertionError(f"{len(left)} of {len(self._items)} scripted replies were not used; next: {left[0]!r}")


def as_reply(item: Item) -> Reply:
    """Return an item of a script as a `Reply`.

    Raises:
        ConfigurationError: The item is no model's reply, but an answer over HTTP such as `RawReply`.
    """
    if isinstance(item, str):
        return Reply(item)
    if isinstance(item, Call):
        return Reply(calls=(item,), finish_reason="tool_calls")
    if isinstance(item, list | tuple):
        return Reply(calls=tuple(item), finish_reason="tool_calls")
    if isinstance(item, Reply):
        return item
    raise ConfigurationError(f"{item!r} needs a ScriptedServer: it is about HTTP.")


def _checked(item: Any) -> Item:
    if isinstance(item, list | tuple) and not all(isinstance(part, Call) for part in item):
        raise ConfigurationError(f"{item!r} is no scripted reply: a list holds calls, such as call('add', a=1, b=2).")
    if not isinstance(item, str | Call | list | tuple | Reply | RawReply | RawStream | BaseException):
        raise ConfigurationError(
            f"{item!r} is no scripted reply. Use text, call('tool', ...), a list of calls, or a Reply."
        )
    found: Item = item
    return found
