"""Safe fetching, for the built-in web tools and for tools of your own.

    page = await fetch("https://example.org/")

    async with guarded_client() as client:      # an httpx.AsyncClient
        response = await client.get("https://example.org/")

Only http and https, and only addresses of the public internet: a model that is told to open a page must not reach
this machine, its network, or the metadata service of its cloud. The check is on the addresses that are dialled, for
each redirect as for the first URL. `allow=` opens chosen hosts.
"""

from __future__ import annotations

import functools
import importlib
import json as jsons
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.shared import PerLoop, held
from tinyagent.core.threads import run_in_thread, thread_slot
from tinyagent.tools.settings import check_count, check_seconds
from tinyagent.tools.web import guard
from tinyagent.tools.web.addresses import is_public
from tinyagent.tools.web.allowed import Allowed
from tinyagent.tools.web.charset import decode
from tinyagent.tools.web.client import guarded_client
from tinyagent.tools.web.errors import AddressRefusedError, FetchError, FetchTimeoutError, TooManyRedirectsError
from tinyagent.tools.web.exchange import Exchange
from tinyagent.tools.web.transport import place
from tinyagent.tools.web.urls import unwrapped

if TYPE_CHECKING:
    import httpx

__all__ = [
    "AddressRefusedError",
    "FetchError",
    "FetchTimeoutError",
    "Fetched",
    "TooManyRedirectsError",
    "check_url",
    "fetch",
    "guarded_client",
    "is_public",
    "shared_client",
]


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer to a fetch.

    Attributes:
        url: Where the answer came from: the last URL, after redirects.
        status: The HTTP status, e.g. 200.
        headers: The answer's headers; names are found in upper and lower case.
        content: The body, decompressed.
        truncated: Whether the body was longer than `max_bytes`; `content` is then its beginning.
    """

    url: str
    status: int
    headers: httpx.Headers
    content: bytes
    truncated: bool = False

    @property
    def ok(self) -> bool:
        """Whether the status tells of success: 200 to 299."""
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """The media type in lower case, e.g. "text/html"; empty if the server did not say."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """The charset that the Content-Type header names; `None` if it names none."""
        for parameter in str(self.headers.get("content-type", "")).split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                return value.strip().strip("\"'") or None
        return None

    @property
    def text(self) -> str:
        """The body as text, in the charset of its byte order mark, headers or HTML, else UTF-8 or windows-1252."""
        return decode(self.content, self.charset, truncated=self.truncated)

    def json(self) -> Any:
        """Parse the body as JSON.

        Raises:
            ValueError: The body is no JSON.
        """
        return jsons.loads(self.content)


async def fetch(
    url: str,
    *,
    method: str = "GET",
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    allow: Collection[str] = (),
    proxy: str | None = None,
    max_bytes: int = 2_000_000,
    seconds: float = 30.0,
    client: httpx.AsyncClient | None = None,
) -> Fetched:
    """Fetch a URL from the public internet.

    At most 5 redirects are followed; headers that might hold keys do not follow one to another host. An answer of
    any status is returned: look at `status` or `ok`. All fetches of a run share one pool of connections, of which 32
    are in use at once.

    Args:
        url: The URL, http or https; spaces, quotes and markdown around it are left out.
        method: The HTTP method.
        params: Query parameters, added to those of the URL.
        headers: Further headers.
        json: A body, sent as JSON.
        allow: Hosts that are opened though they are not public: names (`intranet.example`, `*.example.com`), IP
            addresses and networks (`10.0.0.0/8`), each with a port if only that one is meant (`localhost:8000`).
        proxy: URL of a proxy that opens all connections; it looks up names itself, so their addresses are not checked.
        max_bytes: Bytes of the decompressed body that are read at most.
        seconds: For everything: looking up the name, connecting, redirects and the body. The wait for one of the
            connections is not counted.
        client: A client to use instead of the shared one; it is not closed. Only a `guarded_client` checks addresses.

    Raises:
        AddressRefusedError: The URL, or an address its host stands for, is refused. Nothing was sent there.
        FetchTimeoutError: The answer was not complete within `seconds`.
        TooManyRedirectsError: After 5 redirects there was another.
        FetchError: The fetch failed in another way: no such host, no HTTP, a broken answer.
        ConfigurationError: An argument is wrong.
    """
    if client is not None and (allow or proxy):
        raise ConfigurationError("fetch(client=...): allow= and proxy= are settings of the client; pass them to it.")
    check_count("max_bytes", max_bytes, 0)
    check_seconds("seconds", seconds)
    await _load()
    import anyio

    shared = shared_client(allow=allow, proxy=proxy) if client is None else nullcontext(client)
    async with shared as used, place(used):  # before all work: preparing 500 at once would hold the event loop
        exchange = Exchange(used, _request(used, method, url, params, headers, json), max_bytes)
        with anyio.move_on_after(seconds):
            response, body, truncated = await exchange.answer()
            return Fetched(exchange.url, response.status_code, response.headers, body, truncated)
    raise FetchTimeoutError(f"{exchange.url[:300]} was not there after {seconds:g} seconds.")


async def _load() -> None:
    """Import httpx, which takes some 0.2 s, without holding the event loop."""
    if not hasattr(sys.modules.get("httpx"), "AsyncClient"):  # a module that another thread still imports may lack it
        async with thread_slot():
            await run_in_thread(importlib.import_module, "httpx")


def _request(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    params: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    json: Any,
) -> httpx.Request:
    import httpx

    for name, value in (headers or {}).items():
        try:
            httpx.Headers([(name, value)])
        except (UnicodeError, TypeError, AttributeError):
            # the text leaves out the value, which may be a key
            raise ConfigurationError(f"headers={{{name!r}: ...}}: names and values are ASCII text.") from None
    try:
        target = httpx.URL(unwrapped(url) if isinstance(url, str) else url)
        if params:
            target = target.copy_merge_params(params)  # as `params=` they would replace those of the URL in httpx 0.28
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _invalid(url, error) from None
    try:
        return client.build_request(method, target, headers=headers, json=json)
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"json= holds text that cannot be sent: {error}") from None
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _invalid(url, error) from None


def _invalid(url: str, error: Exception) -> AddressRefusedError:
    return AddressRefusedError(f"{url[:200]!r} is not a valid URL: {error}")


@asynccontextmanager
async def shared_client(*, allow: Collection[str] = (), proxy: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Open the one `guarded_client` that all users of these settings share on this event loop.

    The first user opens the client; it is closed after the last one, or at the end of the run that used it.

    Raises:
        ConfigurationError: `allow` or `proxy` is wrong.
    """
    await _load()
    Allowed(allow)  # what is wrong with `allow` is told before anything is opened
    async with held(_shared(tuple(sorted(set(allow))), proxy).here()) as client:
        yield client


@functools.lru_cache(maxsize=256)  # beyond so many different settings some clients are not shared
def _shared(allow: tuple[str, ...], proxy: str | None) -> PerLoop[httpx.AsyncClient]:
    return PerLoop(lambda: guarded_client(allow=allow, proxy=proxy))


def check_url(url: str, *, allow: Collection[str] = ()) -> None:
    """Refuse a URL that must not be handed to a service that opens URLs, since it would tell of a private host.

    Only what the URL says itself is looked at: its scheme, credentials, addresses, names of local networks. Names
    are not looked up.

    Raises:
        AddressRefusedError: The URL is refused; the text says why.
        ConfigurationError: `allow` is wrong.
    """
    import httpx

    allowed = Allowed(allow)
    try:
        parsed = httpx.URL(unwrapped(url))
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _invalid(url, error) from None
    guard.check_url(parsed, allowed)
    guard.check_name(parsed, allowed)
