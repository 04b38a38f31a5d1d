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
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tinyagent.core.errors import ConfigurationError, MissingExtraError
from tinyagent.core.threads import run_in_thread
from tinyagent.core.waiting import once_per_loop
from tinyagent.models.address import bad_proxy, is_here, needs_httpx, proxies, proxy_of

if TYPE_CHECKING:
    import ssl

#: `auto` takes aiohttp when `tinyagent[fast]` is installed, else the SDK's own httpx.
Http: TypeAlias = Literal["auto", "httpx", "aiohttp"]

#: Connections of one pool before another is opened beside it.
POOL_SIZE = 16
#: Requests that begin in one turn of the event loop; the others wait for the next turn, after input and output.
BEGIN_AT_ONCE = 8
#: Seconds to connect: of the network alone, because connections are opened gradually and wait for no queue.
CONNECT_TIMEOUT = 15.0
#: Seconds that an idle connection is kept for the next request of the run.
KEEP_ALIVE = 30.0
UNLIMITED = 1_000_000


@functools.cache
def sdk_httpx() -> Any:
    """Return the httpx module that the installed `openai` uses: httpx2 from openai 3 on, httpx before."""
    import openai

    return importlib.import_module("httpx2" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx")


def transport_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that a failing connection may raise, of every transport in use."""
    return _loaded("RequestError", "httpx", "httpx2") + aiohttp_errors()


def aiohttp_errors() -> tuple[type[Exception], ...]:
    """Return those of the `transport_errors` that aiohttp raises itself."""
    return _loaded("ClientError", "aiohttp")


def timeout_errors() -> tuple[type[Exception], ...]:
    """Return those of the `transport_errors` that mean that nothing came in time."""
    return _loaded("TimeoutException", "httpx", "httpx2")


def broken_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions for an open connection that broke, or that the server has closed."""
    found = ("ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError")
    return sum((_loaded(name, "aiohttp") for name in found), ()) + _loaded("NetworkError", "httpx", "httpx2")


def unconnected_errors() -> tuple[type[Exception], ...]:
    """Return those of the `broken_errors` that mean that there never was a connection."""
    return _loaded("ClientConnectorError", "aiohttp") + _loaded("ConnectError", "httpx", "httpx2")


def _loaded(error: str, *modules: str) -> tuple[type[Exception], ...]:
    """Return an exception's class in those of the modules that are imported already."""
    found = (getattr(sys.modules.get(name), error, None) for name in modules)  # None in a half-imported module
    return tuple(each for each in found if each is not None)


_warm = False
_warming = once_per_loop(asyncio.Lock)


async def warm_up() -> None:
    """Do in a thread, once in the process, the imports and set-up with which a first request would hold the loop up."""
    if _warm:
        return
    async with _warming():
        if not _warm:
            await run_in_thread(_warm_up)


def _warm_up() -> None:
    global _warm  # noqa: PLW0603 - modules are imported once for the process
    for name in ("openai", "anyio._backends._asyncio", "concurrent.futures.thread"):  # the SDK imports them on the way
        importlib.import_module(name)
    _has_aiohttp()
    sdk_httpx().AsyncHTTPTransport(verify=_certificates())
    _warm = True


def http_client(kind: Http, timeout: float | None, url: str) -> Any:
    """Make an HTTP client without connection limits for `AsyncOpenAI(http_client=...)`.

    Args:
        kind: The transport.
        timeout: Seconds without a byte from the server; `None` for no limit.
        url: The server's URL; the environment's proxies are set up only if one is for this URL.

    Raises:
        MissingExtraError: `kind` is `aiohttp`, or the environment names a SOCKS proxy, and the package for that is not
            installed.
        ConfigurationError: A proxy of the environment cannot be used.
    """
    through = {} if is_here(url) or not proxy_of(url) else proxies()
    try:
        return _http_client(kind, timeout, proxied=bool(through))
    except (ImportError, ValueError, sdk_httpx().InvalidURL) as error:
        if isinstance(error, ConfigurationError) or not through:
            raise
        raise bad_proxy(error, sdk_httpx().__name__) from error


def _http_client(kind: Http, timeout: float | None, *, proxied: bool) -> Any:
    import openai

    httpx = sdk_httpx()
    options = {
        "timeout": httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
        "limits": httpx.Limits(
            max_connections=UNLIMITED, max_keepalive_connections=UNLIMITED, keepalive_expiry=KEEP_ALIVE
        ),
    }
    socks = proxied and needs_httpx()
    if kind == "aiohttp" and socks:
        raise ConfigurationError("http='aiohttp' takes no SOCKS proxy, and the environment names one: pass 'httpx'.")
    if kind == "aiohttp" or (kind == "auto" and _has_aiohttp() and not socks):
        try:
            return openai.DefaultAioHttpClient(verify=_certificates(), trust_env=proxied, **options)
        except RuntimeError as error:
            raise MissingExtraError("aiohttp is not installed. Run: pip install 'tinyagent[fast]'") from error
    if proxied:  # httpx sets the environment's proxies up itself
        return openai.DefaultAsyncHttpxClient(verify=_certificates(), **options)
    pools: Any = PooledTransport(
        functools.partial(httpx.AsyncHTTPTransport, verify=_certificates(), limits=options["limits"])
    )
    return openai.DefaultAsyncHttpxClient(transport=pools, **options)


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return the trusted certificates, which are read once for the process, because that takes 20 ms."""
    context: ssl.SSLContext = sdk_httpx().create_ssl_context()
    return context


@functools.cache
def _has_aiohttp() -> bool:
    wanted = "aiohttp" if sdk_httpx().__name__ == "httpx2" else "httpx_aiohttp"
    return importlib.util.find_spec(wanted) is not None and importlib.util.find_spec("aiohttp") is not None


@dataclass(slots=True, eq=False)
class Pool:
    """One transport, how many requests it carries, and the timer that closes it."""

    transport: Any
    busy: int = 0
    timer: asyncio.TimerHandle | None = None


class PooledTransport:
    """A transport that spreads requests over pools of at most `POOL_SIZE`, with httpx's `AsyncBaseTransport` interface.

    Args:
        make: A function that makes the transport of one more pool.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._pools: list[Pool] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> PooledTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """Send the request through the first pool with room, or a new one; return its response."""
        pool = next((pool for pool in self._pools if pool.busy < POOL_SIZE), None)
        if pool is None:
            pool = Pool(self._make())
            self._pools.append(pool)
        pool.busy += 1
        try:
            response = await pool.transport.handle_async_request(request)
        except BaseException:
            self._give_back(pool)
            raise
        response.stream = _counted_stream()(response.stream, functools.partial(self._give_back, pool))
        return response

    async def aclose(self) -> None:
        """Close the connections of every pool."""
        pools, self._pools = self._pools, []
        for pool in pools:
            if pool.timer is not None:
                pool.timer.cancel()
            await pool.transport.aclose()
        await asyncio.gather(*self._closing)

    def _give_back(self, pool: Pool) -> None:
        """Take a request off a pool; one that a burst left behind is closed after `KEEP_ALIVE` seconds without use."""
        pool.busy -= 1
        if not pool.busy and pool.timer is None and pool in self._pools[1:]:
            loop = asyncio.get_running_loop()
            pool.timer = loop.call_later(KEEP_ALIVE, self._retire, pool, loop)

    def _retire(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        pool.timer = None
        if not pool.busy and pool in self._pools:
            self._pools.remove(pool)
            closing = loop.create_task(pool.transport.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


@functools.cache
def _counted_stream() -> Any:
    """Return a class of response streams that call a function when they are closed, derived from httpx's own."""

    class CountedStream(sdk_httpx().AsyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any, closed: Callable[[], None]) -> None:
            self._stream = stream
            self._closed: Callable[[], None] | None = closed

        def __aiter__(self) -> Any:
            return self._stream.__aiter__()

        async def aclose(self) -> None:
            closed, self._closed = self._closed, None
            try:
                await self._stream.aclose()
            finally:
                if closed is not None:
                    closed()

    return CountedStream


class Admission:
    """A gate that lets `BEGIN_AT_ONCE` requests begin in each turn of the event loop, first come first served.

    The input and output of requests that began is handled before more are added, so a burst neither times out while
    connecting nor runs in lockstep. Fewer requests than that never wait.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._scheduled = False

    async def admit(self) -> None:
        """Wait until the request may begin."""
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
