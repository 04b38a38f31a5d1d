"""The guarded client: httpx's own, over guarded connections."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Collection, Mapping
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any, cast

from tinyagent.core.errors import ConfigurationError, MissingExtraError
from tinyagent.tools.settings import check_count, check_seconds
from tinyagent.tools.web.allowed import Allowed
from tinyagent.tools.web.guard import Resolve, resolve_name
from tinyagent.tools.web.transport import PLACES, GuardedTransport, transports

if TYPE_CHECKING:
    import ssl

    import httpx

#: Redirects that are followed.
REDIRECTS = 5
#: Seconds to connect, and between two pieces of an answer.
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 20.0


class NoCookies(CookieJar):
    """A cookie jar that keeps no cookie that a server sets."""

    def extract_cookies(self, *_: Any) -> None:
        """Ignore the cookies of an answer."""


def guarded_client(
    *,
    allow: Collection[str] = (),
    proxy: str | None = None,
    timeout: float = READ_TIMEOUT,
    headers: Mapping[str, str] | None = None,
    max_connections: int = PLACES,
    verify: ssl.SSLContext | None = None,
    resolve: Resolve = resolve_name,
) -> httpx.AsyncClient:
    """Return an `httpx.AsyncClient` that connects to public addresses only. Close it, or use it with `async with`.

    Each URL, redirect and dialled address is checked. At most 5 redirects are followed, the environment's proxies
    and netrc are not used, no cookies are kept. Sizes and the total time are not limited: `fetch` does that.

    Args:
        allow: Hosts that are opened though they are not public: names (`intranet.example`, `*.example.com`), IP
            addresses and networks (`10.0.0.0/8`), each with a port if only that one is meant (`localhost:8000`).
        proxy: URL of a proxy, e.g. "http://proxy.example:3128". It looks up the names itself, so their addresses are
            not checked; addresses in URLs and names of the local network are still refused.
        timeout: Seconds between two pieces of an answer; to connect, 10 at most.
        headers: Headers sent with every request.
        max_connections: Requests under way at once; the others wait, without a limit of time.
        verify: The TLS context that checks certificates (default: httpx's own, with the certificates of certifi).
        resolve: A function that looks up names: `async (host, port) -> addresses`, texts such as ["93.184.216.34"].

    Raises:
        ConfigurationError: An argument is wrong.
        AddressRefusedError: Raised by the client's requests that the guard refuses; else they raise httpx's errors.
    """
    import httpx

    check_count("max_connections", max_connections)
    check_seconds("timeout", timeout)
    if proxy is not None:
        _check_proxy(proxy)
    transport = GuardedTransport(Allowed(allow), proxy, max_connections, verify or certificates(), resolve)
    client = httpx.AsyncClient(
        transport=cast("Any", transport),
        headers={"User-Agent": user_agent(), **(headers or {})},
        timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
        follow_redirects=True,
        max_redirects=REDIRECTS,
        cookies=NoCookies(),
        trust_env=False,
    )
    transports[client] = transport
    return client


def _check_proxy(proxy: str) -> None:
    import httpx

    try:
        url = httpx.URL(proxy)
    except (httpx.InvalidURL, TypeError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https", "socks5", "socks5h") or not url.host:
        raise ConfigurationError(f"proxy={proxy!r}: pass its URL, e.g. 'http://proxy.example:3128'.")
    if url.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise MissingExtraError("A SOCKS proxy needs socksio. Run: pip install 'httpx[socks]'")


@functools.cache
def certificates() -> ssl.SSLContext:
    """Return the TLS context with the trusted certificates, which takes 20 ms and is made once for the process."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)


@functools.cache
def user_agent() -> str:
    """Return the `User-Agent` by which tinyagent calls itself."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"tinyagent/{version('tinyagent')}"
    except PackageNotFoundError:  # run from a folder, not installed
        return "tinyagent"
