"""httpx's transport, with the guard under its pools of connections and a place for each request before them."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from tinyagent.tools.web.allowed import Allowed
from tinyagent.tools.web.errors import AddressRefusedError
from tinyagent.tools.web.guard import Guard, Resolve, Sending, check_name, check_url, sending

if TYPE_CHECKING:
    import ssl

    import httpx

#: Requests that one client has under way; the others wait. They do so before httpx's pool, which goes through all of
#: its requests for each that comes or goes: 500 at once cost it 33 s of CPU.
PLACES = 32
#: Connections of one pool before another pool is opened. A pool compares each idle connection with all of them, too.
POOL_SIZE = 8
#: Seconds that an idle connection is kept.
KEEP_ALIVE = 30.0
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")

#: The transport of each guarded client.
transports: WeakKeyDictionary[httpx.AsyncClient, GuardedTransport] = WeakKeyDictionary()
_placed: ContextVar[bool] = ContextVar("tinyagent_http_placed", default=False)


class GuardedTransport:
    """httpx's transport over guarded connections; has the interface of httpx's AsyncBaseTransport.

    Args:
        allowed: The hosts that are opened although they are not public.
        proxy: URL of a proxy that opens all connections; it looks up the names, so their addresses cannot be checked.
        places: How many requests are under way at once.
        verify: The TLS context that checks certificates.
        resolve: A function that looks up names.
    """

    def __init__(
        self, allowed: Allowed, proxy: str | None, places: int, verify: ssl.SSLContext, resolve: Resolve
    ) -> None:
        import httpx

        self._allowed = allowed
        self._proxied = proxy is not None
        self.places = asyncio.Semaphore(places)
        self._pools: dict[httpx.AsyncHTTPTransport, int] = {}  # and how many requests each carries
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=POOL_SIZE, keepalive_expiry=KEEP_ALIVE)
        self._make = functools.partial(
            httpx.AsyncHTTPTransport, verify=verify, trust_env=False, limits=limits, proxy=proxy
        )
        self._guard = Guard(None if self._proxied else allowed, resolve)
        self._pool()  # an httpx that the guard does not fit is noticed at once

    async def __aenter__(self) -> GuardedTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request once its URL is checked and there is a place for it.

        Raises:
            AddressRefusedError: The URL, or what it redirects to, is refused.
            httpx.HTTPError: There is no answer.
        """
        check_url(request.url, self._allowed)
        if self._proxied:
            check_name(request.url, self._allowed)
        placed = _placed.get()  # then `place` frees the place
        if not placed:
            await self.places.acquire()
        pool = self._pool()
        self._pools[pool] += 1

        def ended() -> None:
            self._pools[pool] -= 1
            if not placed:
                self.places.release()

        token = sending.set(this := Sending())
        try:
            response = await pool.handle_async_request(request)
            try:
                _check_redirect(response, request.url)
            except AddressRefusedError:
                await response.aclose()
                raise
        except BaseException:
            ended()
            for stream in this.opened:  # cancelled in the TLS handshake, httpcore 1.0 leaves them open
                await stream.aclose()
            raise
        finally:
            sending.reset(token)
        response.stream = _body_class()(response, ended)
        return response

    def _pool(self) -> httpx.AsyncHTTPTransport:
        """Return the first pool with room; so few requests always find the connections of those before them."""
        for pool, busy in self._pools.items():
            if busy < POOL_SIZE:
                return pool
        pool = self._make()
        _put_under(pool, self._guard)
        self._pools[pool] = 0
        return pool

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in list(self._pools):
            await pool.aclose()


def _check_redirect(response: httpx.Response, url: httpx.URL) -> None:
    """Refuse a redirect to what is no http or https URL, of which httpx's own error helps nobody.

    Raises:
        AddressRefusedError: The answer is such a redirect.
    """
    if not response.has_redirect_location:
        return
    location = response.headers["location"]
    if (found := _SCHEME.match(location)) and found[1].lower() not in ("http", "https"):
        raise AddressRefusedError(
            f"{str(url)[:300]} redirects to {location[:200]!r}, which is no http or https URL, so it is not opened."
        )


def _put_under(transport: httpx.AsyncHTTPTransport, guard: Guard) -> None:
    """Let the transport's pool open its connections through the guard.

    Raises:
        RuntimeError: This httpx keeps its pool elsewhere. Better no client than one without a guard.
    """
    import httpcore

    pool = getattr(transport, "_pool", None)
    if not (isinstance(pool, httpcore.AsyncConnectionPool) and hasattr(pool, "_network_backend")):
        raise RuntimeError("The guard does not fit this version of httpx. Install one from 0.27 to 0.28.")
    pool._network_backend = cast("Any", guard)  # noqa: SLF001 - httpx lets nobody set it


@functools.cache
def _body_class() -> Any:
    """Return the class of a guarded answer's body; made here, as httpx insists on a subclass of its own class."""
    import httpx

    class Body(httpx.AsyncByteStream):
        """A body that closes its connection unless all was read, and frees its place, however it ends."""

        def __init__(self, response: httpx.Response, ended: Callable[[], None]) -> None:
            self._parts = cast("httpx.AsyncByteStream", response.stream)
            self._connection = response.extensions.get("network_stream")
            self._ended = ended
            self._complete = self._closed = False

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self._parts:
                yield part
            self._complete = True

        async def aclose(self) -> None:
            if self._closed:
                return
            self._closed = True
            clean = False
            try:
                await self._parts.aclose()
                clean = self._complete
            finally:
                self._ended()
                if not clean and self._connection is not None:
                    await self._connection.aclose()

    return Body


@asynccontextmanager
async def place(client: httpx.AsyncClient) -> AsyncIterator[None]:
    """Wait for a place among the client's requests, and keep it for all requests of this block, one at a time."""
    transport = transports.get(client)
    if transport is None:
        yield
        return
    async with transport.places:
        token = _placed.set(True)
        try:
            yield
        finally:
            _placed.reset(token)
