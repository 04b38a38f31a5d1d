"""One request and its redirects, to the answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinyagent.tools.web.body import ACCEPT_ENCODING, read_body, skip_body
from tinyagent.tools.web.client import REDIRECTS
from tinyagent.tools.web.errors import AddressRefusedError, FetchError, FetchTimeoutError, TooManyRedirectsError
from tinyagent.tools.web.guard import effective_port, host_of

if TYPE_CHECKING:
    import httpx

#: Headers that go along when a redirect leads to another host. Others may hold keys.
_HARMLESS = frozenset(
    ("accept", "accept-encoding", "accept-language", "connection", "content-length", "content-type", "cookie", "host",
     "transfer-encoding", "user-agent")
)  # fmt: skip


class Exchange:
    """A request, and where it has led so far.

    Args:
        client: The client that sends the requests.
        request: The first request.
        max_bytes: Bytes of the answer's body that are read.
    """

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request, max_bytes: int) -> None:
        request.headers["Accept-Encoding"] = ACCEPT_ENCODING
        self._client = client
        self._first = self._request = request
        self._max_bytes = max_bytes

    @property
    def url(self) -> str:
        """The URL of the last request."""
        return str(self._request.url)

    async def answer(self) -> tuple[httpx.Response, bytes, bool]:
        """Send the request, follow its redirects, and return the answer, its body, and whether the body was cut.

        Raises:
            FetchError: There is no answer; the text says why.
        """
        import httpx

        try:
            return await self._follow()
        except AddressRefusedError as error:
            if self._request is self._first:
                raise
            raise AddressRefusedError(f"{self._first.url} redirects to {self.url[:300]}: {error}") from error
        except httpx.InvalidURL as error:  # in a redirect; the request's own URL has been read before
            raise FetchError(f"{self.url[:300]} redirects to what is no URL: {error}") from error
        except (httpx.HTTPError, OSError, UnicodeError) as error:
            raise explained(error, host_of(self._request.url)) from error

    async def _follow(self) -> tuple[httpx.Response, bytes, bool]:
        import httpx

        cookies = httpx.Cookies()  # a site that sets one may redirect until it gets the cookie back
        for _ in range(REDIRECTS + 1):
            response = await self._client.send(self._request, stream=True, follow_redirects=False)
            try:
                if response.next_request is None:
                    return response, *await read_body(response, self._max_bytes)
                await skip_body(response)
            finally:
                await response.aclose()
            cookies.extract_cookies(response)
            self._redirect(response.next_request)
            cookies.set_cookie_header(self._request)
        raise TooManyRedirectsError(
            f"{self._first.url} was redirected more than {REDIRECTS} times; the last redirect leads to {self.url[:300]}"
        )

    def _redirect(self, request: httpx.Request) -> None:
        if not _same_server(self._request.url, request.url):
            for name in set(request.headers) - _HARMLESS:
                del request.headers[name]
        self._request = request


def _same_server(before: httpx.URL, after: httpx.URL) -> bool:
    """Return whether two URLs are of one origin, or the second is the first over TLS."""
    if before.raw_host != after.raw_host:
        return False
    ports = effective_port(before), effective_port(after)
    if before.scheme == after.scheme:
        return ports[0] == ports[1]
    return after.scheme == "https" and ports == (80, 443)


def explained(error: Exception, host: str) -> FetchError:
    """Return the `FetchError` that says in helpful words what failed between here and a host."""
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return FetchTimeoutError(f"No connection to {host} in time: {str(error) or 'it does not answer'}.")
    if isinstance(error, httpx.TimeoutException):
        return FetchTimeoutError(f"{host} stopped sending: nothing came for too long.")
    said = str(error)[:200].rstrip(".")
    if isinstance(error, httpx.ProxyError):
        text = f"The proxy did not open a connection to {host}: {said}."
    elif isinstance(error, httpx.ConnectError):
        text = f"No connection to {host}: {_system_error(error) or said}."
    elif isinstance(error, httpx.RemoteProtocolError):
        text = f"{host} sent a broken answer, or none in HTTP: {said}."
    elif isinstance(error, httpx.NetworkError | OSError):
        text = f"The connection to {host} broke: {_system_error(error) or 'it was closed'}."
    else:
        text = f"The request to {host} could not be sent: {said}."
    return FetchError(text)


def _system_error(error: BaseException | None) -> str:
    """Return what the operating system said, somewhere in the chain of an error's causes."""
    while error is not None:
        if isinstance(error, OSError) and error.errno and error.errno > 0:
            return os.strerror(error.errno)
        error = error.__cause__ or error.__context__
    return ""
