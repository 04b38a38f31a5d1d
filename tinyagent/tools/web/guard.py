"""The guard: no connection to an address that is neither public nor allowed.

The guard stands where connections are opened, as httpcore's network backend
(https://www.encode.io/httpcore/network-backends/), and dials the very addresses it has looked at. So a name that
changes its address between two look-ups gains nothing, and every redirect passes the guard; TLS, SNI, the Host header
and pooling are not touched.
"""

from __future__ import annotations

import asyncio
import re
import select
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.threads import run_in_thread
from tinyagent.tools.web.addresses import Address, address_is_public, literal_address, parse_address
from tinyagent.tools.web.allowed import Allowed, normal_name
from tinyagent.tools.web.errors import AddressRefusedError
from tinyagent.tools.web.turns import turns

if TYPE_CHECKING:
    import ssl

    import httpx
    from httpcore import AsyncNetworkBackend, AsyncNetworkStream

#: A function of a host's name and a port that gives the IP addresses of the host.
Resolve: TypeAlias = Callable[[str, int], Awaitable[Iterable[str]]]

#: Addresses of one host that are dialled, one after the other.
DIALLED = 4
#: Bytes that are read at once: httpcore and h11 hold the event loop until they have taken them apart.
PIECE = 16_384
#: Bytes and lines that may come before the head of an answer is complete. h11 refuses a head of more than 100 kB, but
#: takes any number of interim answers (1xx), and works 0.1 s on one head of 24,000 lines.
BEFORE_ANSWER = 262_144
LINES_BEFORE_ANSWER = 2000
#: Names that stand for this machine or its own network: RFC 6761, RFC 6762 (with its appendix G), RFC 8375, ICANN's
#: `internal`, and the services of Kubernetes (`name.namespace.svc`, `.svc.cluster.local`).
_LOCAL_ENDINGS = (
    ".localhost", ".localdomain", ".local", ".internal", ".home.arpa", ".home", ".lan", ".corp", ".intranet",
    ".private", ".test", ".svc",
)  # fmt: skip
#: What a name may look like; some have underscores.
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


@dataclass(slots=True)
class Sending:
    """A request whose answer has not begun: the connections opened for it, the bytes and lines that have come."""

    opened: list[GuardedStream] = field(default_factory=list)
    received: int = 0
    lines: int = 0

    def check(self) -> None:
        """Refuse to read on when too much has come before the answer.

        Raises:
            httpcore.RemoteProtocolError: More than `BEFORE_ANSWER` bytes or `LINES_BEFORE_ANSWER` lines have come.
        """
        import httpcore

        if self.received > BEFORE_ANSWER or self.lines > LINES_BEFORE_ANSWER:
            text = f"after {self.received} bytes, {self.lines} lines, the answer has not begun"
            raise httpcore.RemoteProtocolError(text)


#: The request that is being sent; `None` again while the body of its answer is read.
sending: ContextVar[Sending | None] = ContextVar("tinyagent_http_sending", default=None)


async def resolve_name(host: str, port: int) -> list[str]:
    """Return the addresses of a host's name, from the system's resolver and in its order.

    The resolver runs in a thread of its own, not in asyncio's pool: that has few, and keeps the program from ending
    while one waits.
    """
    found = await run_in_thread(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def check_url(url: httpx.URL, allowed: Allowed) -> None:
    """Refuse a URL for what it says itself: its scheme, credentials, port, or an address that is not public.

    Raises:
        AddressRefusedError: The URL is refused; the text says what is wrong with it.
    """
    host = url.raw_host.decode("ascii", "replace")
    if url.scheme not in ("http", "https"):
        problem = f"is no http or https URL: {str(url)[:200]!r}." if url.scheme else "has no scheme."
        raise AddressRefusedError(f"The URL {problem} Pass one that starts with https:// or http://.")
    address = literal_address(normal_name(host))
    if not address and not _NAME.fullmatch(host):
        raise AddressRefusedError(f"The URL {str(url)[:200]!r} has no valid host.")
    if url.userinfo:
        raise AddressRefusedError(f"The URL holds a user name or password for {host!r}. Leave out what is before '@'.")
    if url.port is not None and not 0 < url.port < 65536:
        raise AddressRefusedError(f"The URL has the port {url.port}, which does not exist.")
    port = effective_port(url)
    if address and not (address_is_public(address) or allowed.address(address, port) or allowed.name(host, port)):
        raise _refusal(host, str(address))


def check_name(url: httpx.URL, allowed: Allowed) -> None:
    """Refuse a URL with the name of a local host, for when its address is looked up elsewhere: by a proxy.

    Raises:
        AddressRefusedError: The host is a local one.
    """
    host = normal_name(url.raw_host.decode("ascii", "replace"))
    if literal_address(host) or allowed.name(host, effective_port(url)):
        return
    if "." not in host or host.endswith(_LOCAL_ENDINGS):
        raise _refusal(host, "a host of the local network")


def effective_port(url: httpx.URL) -> int:
    """Return the port of the URL, or its scheme's default."""
    return url.port or (443 if url.scheme == "https" else 80)


def host_of(url: httpx.URL) -> str:
    """Return the host of a URL for error texts: in ASCII, as some names are none in Unicode."""
    return url.raw_host.decode("ascii", "replace") or str(url)[:100]


def _refusal(host: str, address: str) -> AddressRefusedError:
    where = f"{host!r} stands for {address}, which" if host != address else f"The address {address}"
    entry = address if literal_address(host) else host
    error = AddressRefusedError(f"{where} is not of the public internet, so it is not opened.")
    error.add_note(f"Your program can open it: allow=[{entry!r}].")  # in a note, which models do not read
    return error


class Guard:
    """A network backend that looks at each address before dialling it; has httpcore's AsyncNetworkBackend interface.

    Args:
        allowed: The hosts that are opened although they are not public; `None` opens all, as for dialling a proxy.
        resolve: A function that looks up names.
    """

    def __init__(self, allowed: Allowed | None, resolve: Resolve = resolve_name) -> None:
        import httpcore

        self._allowed = allowed
        self._resolve = resolve
        self._inner: AsyncNetworkBackend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> GuardedStream:
        """Look up the host, check each of its addresses, and dial them in turn.

        Raises:
            AddressRefusedError: One of the addresses is neither public nor allowed; none was dialled.
            httpcore.ConnectError: There is no such host, or it does not answer.
            httpcore.ConnectTimeout: Looking up or dialling took longer than `timeout` seconds.
            ConfigurationError: `resolve` gave something else than IP addresses.
        """
        import httpcore

        began = time.monotonic()
        addresses = self._checked(host, port, await self._look_up(host, port, timeout))[:DIALLED]
        failure: Exception = httpcore.ConnectError(f"no address found for {host!r}")
        for number, address in enumerate(addresses):
            share = None
            if timeout is not None:  # a dead address leaves time for the others
                share = max(0.0, timeout - (time.monotonic() - began)) / (len(addresses) - number)
            try:
                stream = await self._inner.connect_tcp(address, port, share, local_address, socket_options)
                return GuardedStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _look_up(self, host: str, port: int, timeout: float | None) -> Iterable[str]:
        import anyio
        import httpcore

        if (literal := literal_address(host)) is not None:
            zone = host.replace("%25", "%").partition("%")[2]
            return [f"{literal}%{zone}" if zone else str(literal)]
        try:
            with anyio.fail_after(timeout):
                return await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"looking up {host!r} took longer than {timeout:g} seconds") from error
        except (OSError, ValueError) as error:  # UnicodeError is a ValueError
            raise httpcore.ConnectError(f"{host!r} cannot be looked up: {error}") from error

    def _checked(self, host: str, port: int, addresses: Iterable[str]) -> list[str]:
        """Return all addresses of a host, each once, if none of them is refused.

        Raises:
            AddressRefusedError: One of the addresses is neither public nor allowed.
            ConfigurationError: `resolve` gave something else than IP addresses.
        """
        found = list(dict.fromkeys(addresses))
        known = [(text, _resolved(host, text)) for text in found]
        if self._allowed is None or self._allowed.name(host, port):
            return found
        for text, address in known:
            if not (address_is_public(address) or self._allowed.address(address, port)):
                raise _refusal(host, text)
        return found

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> GuardedStream:
        """Refuse a Unix socket, which leads to this machine."""
        raise AddressRefusedError(f"The Unix socket {path!r} is on this machine, so it is not opened.")

    async def sleep(self, seconds: float) -> None:
        """Wait some seconds, as httpcore does between retries."""
        await asyncio.sleep(seconds)


def _resolved(host: str, text: str) -> Address:
    try:
        return parse_address(text)
    except (ValueError, AttributeError):  # AttributeError: it is no text
        raise ConfigurationError(
            f"resolve= gave {text!r} for {host!r}. It must give IP addresses as texts, e.g. ['93.184.216.34']."
        ) from None


class GuardedStream:
    """A connection that the guard has opened; has httpcore's AsyncNetworkStream interface."""

    def __init__(self, stream: AsyncNetworkStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.get_extra_info("socket")
        self._sending = sending.get()
        if self._sending is not None:
            self._sending.opened.append(self)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes, at most `max_bytes`; none at the end.

        Raises:
            httpcore.RemoteProtocolError: Too many have come before the answer.
        """
        request = self._sending if self._sending is sending.get() else None
        if request is not None:
            request.check()
        data = await self._stream.read(min(max_bytes, PIECE), timeout)
        if request is not None:
            request.received += len(data)
            request.lines += data.count(b"\n")
        await turns().wait()  # callers work for long on these bytes before they let go of the loop
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all bytes."""
        self._sending = sending.get()
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection, also when the caller is cancelled."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> GuardedStream:
        """Encrypt the connection from now on, and return it."""
        self._stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for: `ssl_object`, `is_readable`, `socket`, `server_addr` ..."""
        if info == "is_readable":  # asked of each idle connection at each request, and slow in anyio
            return _is_readable(self._socket)
        return self._stream.get_extra_info(info)


def _is_readable(connection: socket.socket) -> bool:
    """Return whether a socket has something to read, if only the end."""
    if (descriptor := connection.fileno()) < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
