"""A client of the user's own in several event loops: connections of one loop are never met in another.

A connection belongs to the event loop that opened it. A client keeps its connections for later, so one that serves a
second loop (a second `asyncio.run`, another thread) would take them up there, and fail. The first loop that uses a
client has the client itself; every other has a copy with the same settings and no connections.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: The first event loop of each HTTP client, which several clients of the SDK may share.
_homes: WeakKeyDictionary[Any, ref[asyncio.AbstractEventLoop]] = WeakKeyDictionary()


def for_this_loop(client: AsyncOpenAI) -> AsyncOpenAI:
    """Return the client, or in any but its first event loop a copy, to be closed by whoever asked for it."""
    loop = asyncio.get_running_loop()
    home = _homes.setdefault(_http(client), ref(loop))
    return client if home() is loop else afresh(client)


def afresh(client: AsyncOpenAI) -> AsyncOpenAI:
    """Return a copy of the client: the same settings and transports, but connections of its own."""
    fresh, http = copy.copy(client), copy.copy(_http(client))
    http._transport = _emptied(http._transport)  # noqa: SLF001 - httpx has no way to copy a client
    http._mounts = {at: found and _emptied(found) for at, found in http._mounts.items()}  # noqa: SLF001
    fresh._client = http  # noqa: SLF001
    return fresh


def _http(client: AsyncOpenAI) -> Any:
    return client._client  # noqa: SLF001 - the SDK does not show its HTTP client


def _emptied(transport: Any) -> Any:
    """A copy of a transport, and of those that it wraps, without connections."""
    fresh = copy.copy(transport)
    state = getattr(fresh, "__dict__", {})
    for name, part in list(state.items()):
        if hasattr(part, "handle_async_request"):  # a wrapped transport, or the pool inside one
            state[name] = _emptied(part)
        elif type(part).__name__ == "ClientSession":  # aiohttp's: the transport opens another when it has none
            state[name] = None
    for connections in ("_connections", "_requests"):  # of httpcore's pool
        if connections in state:
            state[connections] = []
    return fresh
