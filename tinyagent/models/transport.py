"""The HTTP client under `AsyncOpenAI`: connections that never queue, opened gradually, closed with the run.

Measured facts behind it: the connection pool of httpx looks at every connection for each request, so one large
pool costs more than several small ones; aiohttp's and httpx's own limits make requests wait in silence; and
2,000 connections opened in one go outlast the connect timeout.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.request import getproxies

from tinyagent.core.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    import ssl

#: `auto` takes aiohttp when `tinyagent[fast]` is installed, else the SDK's own httpx.
Http: TypeAlias = Literal["auto", "httpx", "aiohttp"]

#: Connections of one pool before another is opened beside it.
POOL_SIZE = 16
#: Requests that begin in one turn of the event loop; the rest follow in the next, after its input and output.
BEGIN_AT_ONCE = 8
#: Seconds to connect. Connections are opened gradually, so this is about the network, not about our own queue.
CONNECT_TIMEOUT = 15.0
#: Seconds an idle connection is kept for the next request of the run.
KEEP_ALIVE = 30.0
UNLIMITED = 1_000_000


def sdk_httpx() -> Any:
    """The httpx that the installed `openai` uses: httpx2 from openai 3 on, httpx before."""
    import openai

    return importlib.import_module("httpx2" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx")


@functools.cache
def transport_errors() -> tuple[type[Exception], ...]:
    """What reading a response may raise when the connection fails, whichever httpx is in use."""
    names = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]
    return tuple(importlib.import_module(name).TransportError for name in names)


@functools.cache
def timeout_errors() -> tuple[type[Exception], ...]:
    """The part of `transport_errors` that means: nothing came in time."""
    names = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]
    return tuple(importlib.import_module(name).TimeoutException for name in names)


def http_client(kind: Http, timeout: float | None) -> Any:
    """A client without connection limits for `AsyncOpenAI(http_client=...)`.

    Raises:
        MissingExtraError: `kind` is `aiohttp` and it is not installed.
        ConfigurationError: `kind` is unknown.
    """
    import openai

    httpx = sdk_httpx()
    options = {
        "timeout": httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
        "limits": httpx.Limits(
            max_connections=UNLIMITED, max_keepalive_connections=UNLIMITED, keepalive_expiry=KEEP_ALIVE
        ),
    }
    if kind == "aiohttp" or (kind == "auto" and _has_aiohttp()):
        try:
            return openai.DefaultAioHttpClient(verify=_certificates(), **options)
        except RuntimeError as error:
            raise MissingExtraError("aiohttp is not installed. Run: pip install 'tinyagent[fast]'") from error
    if kind not in ("auto", "httpx"):
        raise ConfigurationError(f"http={kind!r}: pass 'auto', 'httpx' or 'aiohttp'.")
    if {"http", "https", "all"} & getproxies().keys():  # the environment's proxies: httpx sets them up itself
        return openai.DefaultAsyncHttpxClient(verify=_certificates(), **options)
    pools = _pooled_transport()(
        functools.partial(httpx.AsyncHTTPTransport, verify=_certificates(), limits=options["limits"])
    )
    return openai.DefaultAsyncHttpxClient(transport=pools, **options)


@functools.cache
def _certificates() -> ssl.SSLContext:
    """The trusted certificates, read once for the process: it takes 20 ms."""
    context: ssl.SSLContext = sdk_httpx().create_ssl_context()
    return context


@functools.cache
def _has_aiohttp() -> bool:
    import openai

    wanted = "aiohttp" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx_aiohttp"
    return importlib.util.find_spec(wanted) is not None and importlib.util.find_spec("aiohttp") is not None


@functools.cache
def _pooled_transport() -> Any:
    """A transport that spreads requests over pools of at most `POOL_SIZE` busy connections each."""
    httpx = sdk_httpx()

    class PooledTransport(httpx.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        def __init__(self, make: Any) -> None:
            self._make = make
            self._pools: list[list[Any]] = []  # [requests under way, transport]

        async def handle_async_request(self, request: Any) -> Any:
            pool = next((pool for pool in self._pools if pool[0] < POOL_SIZE), None)
            if pool is None:
                pool = [0, self._make()]
                self._pools.append(pool)
            pool[0] += 1
            try:
                response = await pool[1].handle_async_request(request)
            except BaseException:
                pool[0] -= 1
                raise
            response.stream = CountedStream(response.stream, pool)
            return response

        async def aclose(self) -> None:
            pools, self._pools = self._pools, []
            for _, transport in pools:
                await transport.aclose()

    class CountedStream(httpx.AsyncByteStream):  # type: ignore[misc, name-defined]
        def __init__(self, stream: Any, pool: list[Any]) -> None:
            self._stream = stream
            self._pool: list[Any] | None = pool

        def __aiter__(self) -> Any:
            return self._stream.__aiter__()

        async def aclose(self) -> None:
            pool, self._pool = self._pool, None
            if pool is not None:
                pool[0] -= 1
            await self._stream.aclose()

    return PooledTransport


class Admission:
    """Lets a few requests begin in each turn of the event loop, first come first served.

    Requests that began get their input and output handled before more are added, so a burst neither times out
    while connecting nor runs in lockstep. It never waits when fewer than `BEGIN_AT_ONCE` begin.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._scheduled = False

    async def admit(self) -> None:
        """Return when the request may begin."""
        loop = asyncio.get_running_loop()
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._next_turn, loop)
        if self._begun < BEGIN_AT_ONCE:
            self._begun += 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._begun = 0
        while self._waiting and self._begun < BEGIN_AT_ONCE:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._begun += 1
        if self._begun:
            loop.call_soon(self._next_turn, loop)
        else:
            self._scheduled = False
