"""The connection of a model to its server in one event loop: a client, and what is known of its open sockets.

An open socket belongs to the event loop that opened it. A client keeps its sockets for later, so a client of the user's
own that serves a second loop (a second `asyncio.run`, another thread) would use them there, and fail. So the first
loop that uses a client has the client itself; every other has a copy with the same settings and no sockets.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from tinyagent.models.failures import hung_up, met_another_loop
from tinyagent.models.native import NativeTools
from tinyagent.models.quirks import Quirks
from tinyagent.models.transport import Admission, sdk_httpx

if TYPE_CHECKING:
    from openai import AsyncOpenAI


#: How often a request is sent again at once because a kept connection turned out closed.
MOST_RESENDS = 8


class Connection:
    """The client of one event loop, and what is known of its users, its requests under way and its kept sockets.

    Args:
        client: The client for this event loop.
        given: The user's own client, if there is one: it is never closed here.
    """

    def __init__(self, client: AsyncOpenAI, given: AsyncOpenAI | None) -> None:
        self.client = client
        self.origin = str(client.base_url)
        self.admission = Admission()
        self.users = 0
        self._given = given
        self._dialects: dict[Quirks, NativeTools] = {}
        self._calls = self._most = 0  # model calls under way now, and at most at once so far
        self._kept = 0  # connections that may be open after a reply on them, and so may turn out closed

    async def close(self) -> None:
        """Close the client, unless it is the user's own."""
        if self.client is not self._given:
            await self.client.close()

    def native(self, quirks: Quirks) -> NativeTools:
        """Return the encoder of requests with native tools for a server with these quirks, made once."""
        known = self._dialects.get(quirks)
        if known is None:
            known = self._dialects[quirks] = NativeTools(self.origin, quirks)
        return known

    def __enter__(self) -> None:
        """Count a model call as under way until the block is left."""
        self._calls += 1
        self._most = max(self._most, self._calls)

    def __exit__(self, *_: object) -> None:
        self._calls -= 1

    async def post(self, path: str, content: bytes, options: Mapping[str, Any]) -> Any:
        """Send a request and return its response, of which only the headers have come.

        A server may close a kept connection just when the next request is on its way. It has not acted on that
        request, so the request is sent again at once, at most `MOST_RESENDS` times.

        Raises:
            Exception: Whatever the SDK or the transport raises.
        """
        resends = 0
        while True:
            client: Any = self.client  # the SDK types a raw streamed response as a stream of events
            try:
                response = await client.post(
                    path, cast_to=sdk_httpx().Response, content=content, options=options, stream=True
                )
            except Exception as error:
                if client is self._given and met_another_loop(error):
                    if self.client is client:
                        self.client = afresh(client)
                    continue
                if not (self._kept and resends < MOST_RESENDS and hung_up(error)):
                    self._keep(getattr(error, "response", None))
                    raise
                self._kept -= 1
                resends += 1
            else:
                self._keep(response)
                return response

    def _keep(self, response: Any) -> None:
        """Note one more kept connection, if a response has come whose connection stays open."""
        if response is not None and response.headers.get("connection", "").lower() != "close":
            self._kept = min(self._kept + 1, self._most)


#: The first event loop of each HTTP client, which several clients of the SDK may share.
_homes: WeakKeyDictionary[Any, ref[asyncio.AbstractEventLoop]] = WeakKeyDictionary()


def for_this_loop(client: AsyncOpenAI) -> AsyncOpenAI:
    """Return the client in the first event loop that uses it; in any other a copy, which the caller closes."""
    loop = asyncio.get_running_loop()
    home = _homes.setdefault(_http(client), ref(loop))
    return client if home() is loop else afresh(client)


def afresh(client: AsyncOpenAI) -> AsyncOpenAI:
    """Return a copy of a client: the same settings and kinds of transports, but connections of its own."""
    fresh, http = copy.copy(client), copy.copy(_http(client))
    http._transport = _emptied(http._transport)  # noqa: SLF001 - httpx has no way to copy a client
    http._mounts = {at: found and _emptied(found) for at, found in http._mounts.items()}  # noqa: SLF001
    fresh._client = http  # noqa: SLF001
    return fresh


def _http(client: AsyncOpenAI) -> Any:
    return client._client  # noqa: SLF001 - the SDK does not show its HTTP client


def _emptied(transport: Any) -> Any:
    """Return a copy of a transport, and of the transports that it wraps, without connections."""
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
