"""Where a server is and how it is reached: a command to start, or a URL."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlsplit

from tinyagent.core.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import ReadStream, TransportStreams
    from mcp.shared.message import SessionMessage

#: Bytes of what a server wrote to standard error that are kept.
LONGEST_TAIL = 1_200
#: Seconds to wait for the rest of it when the server has ended.
LAST_WORDS = 0.5
#: Characters of an HTTP error's body that are kept, bytes of the longest that is read, and seconds for that.
LONGEST_BODY = 300
MOST_BODY = 1 << 16
BODY_PATIENCE = 5.0


class Watch:
    """What is known of a server beside its messages.

    Args:
        ended: Called when the server sends nothing any more.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self.ended = ended
        self.status: int | None = None
        self.body = ""
        self.garbage = 0
        self._tail: deque[bytes] = deque()

    def wrote(self, data: bytes) -> None:
        """It wrote to standard error."""
        self._tail.append(data)
        while len(self._tail) > 1 and sum(map(len, self._tail)) - len(self._tail[0]) >= LONGEST_TAIL:
            self._tail.popleft()

    def answered(self, status: int | None, body: str = "") -> None:
        """Note the HTTP status of a refusal and what came with it; `None` for an answer that is none."""
        self.status, self.body = status, " ".join(body.split())[:LONGEST_BODY]

    @property
    def answer(self) -> str:
        """The last HTTP answer, where it was a refusal: a sentence for an error text, with a space before it."""
        if self.status is None:
            return ""
        return f" It answered with HTTP status {self.status}{f': {self.body}' if self.body else '.'}"

    @property
    def details(self) -> str:
        """Sentences for an error text, with a space before them."""
        text = b"".join(self._tail)[-LONGEST_TAIL:].decode(errors="replace").strip()
        return "".join(
            [
                self.answer,
                " Some of what it wrote to standard output is no MCP message." if self.garbage else "",
                f" The end of its standard error:\n{text}" if text else "",
            ]
        )


@dataclass(frozen=True)
class Command:
    """A server that is started as a process and talks over its standard input and output."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | os.PathLike[str] | None = None

    @property
    def name(self) -> str:
        """What it is called where it has no other name."""
        return PurePath(self.command[0]).name

    @asynccontextmanager
    async def connect(self, watch: Watch) -> AsyncIterator[TransportStreams]:
        """Start it and talk to it; on leaving it has ended, with all its children.

        Raises:
            ConfigurationError: It cannot be started.
        """
        from mcp.client.stdio import StdioServerParameters, stdio_client

        program, *args = self.command
        # The SDK wants text for a directory, and merges `env` into the few variables it hands on.
        cwd = None if self.cwd is None else os.fspath(self.cwd)
        server = StdioServerParameters(command=program, args=args, env=dict(self.env), cwd=cwd)
        async with AsyncExitStack() as stack:
            errors = await stack.enter_async_context(_standard_error(watch))
            with errors:  # the server has its own copy
                try:
                    streams = await stack.enter_async_context(stdio_client(server, errors))
                except OSError as error:
                    at = (
                        "" if error.filename else f": {program!r}" + (f" in {cwd!r}" if cwd else "")
                    )  # as uvloop says it
                    raise ConfigurationError(f"The MCP server cannot be started: {error}{at}.") from error
            yield streams


@dataclass(frozen=True)
class Address:
    """A server that is there already and talks over streamable HTTP."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What it is called where it has no other name."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @asynccontextmanager
    async def connect(self, watch: Watch) -> AsyncIterator[TransportStreams]:
        """Be ready to talk to it; nothing has been sent yet."""
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        async def note(response: httpx2.Response) -> None:
            if response.request.method != "POST":
                return
            if response.status_code < 400:
                watch.answered(None)
                return
            body = ""
            if int(response.headers.get("content-length", "0") or 0) <= MOST_BODY:
                with suppress(httpx2.HTTPError, TimeoutError):  # then there is no more to tell
                    async with asyncio.timeout(BODY_PATIENCE):
                        await response.aread()
                        body = response.text
            watch.answered(response.status_code, body)

        # Calls have time-outs of their own, and what a server may want to say can take any time.
        timeout = httpx2.Timeout(30.0, read=None, pool=None)
        client = httpx2.AsyncClient(headers=dict(self.headers), timeout=timeout, event_hooks={"response": [note]})
        async with client, streamable_http_client(self.url, http_client=client) as streams:
            yield streams


@asynccontextmanager
async def watched(endpoint: Command | Address, watch: Watch) -> AsyncIterator[TransportStreams]:
    """The endpoint's streams; the watch is told of what they carry beside messages."""
    async with endpoint.connect(watch) as (reading, writing):
        yield _Watched(reading, watch), writing


class _Watched:
    """The messages of a server, with a watch that sees them pass."""

    def __init__(self, stream: ReadStream[SessionMessage | Exception], watch: Watch) -> None:
        self._stream = stream
        self._watch = watch

    @property
    def last_context(self) -> Any:
        """The contextvars of whoever sent the last message, where the transport keeps them."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """The next message."""
        return await self._stream.receive()

    async def aclose(self) -> None:
        """Take no more messages."""
        await self._stream.aclose()

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            message = await self._stream.__anext__()
        except Exception:
            self._watch.ended()
            raise
        self._watch.garbage += isinstance(message, Exception)
        return message

    async def __aenter__(self) -> _Watched:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@asynccontextmanager
async def _standard_error(watch: Watch) -> AsyncIterator[TextIO]:
    """A file for a process to write its errors to; the watch hears them."""
    if sys.platform == "win32":  # whose event loop cannot read pipes like this one
        yield os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        return
    reading, writing = os.pipe()
    file = os.fdopen(writing, "w")
    pipe, heard = await asyncio.get_running_loop().connect_read_pipe(
        lambda: _Errors(watch), os.fdopen(reading, "rb", buffering=0)
    )
    try:
        yield file
        await asyncio.wait([heard.closed], timeout=LAST_WORDS)  # unless a child of it lives on
    finally:
        file.close()
        pipe.close()


class _Errors(asyncio.Protocol):
    """Passes on what comes through a pipe."""

    def __init__(self, watch: Watch) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watch = watch

    def data_received(self, data: bytes) -> None:
        """More of it."""
        self._watch.wrote(data)

    def connection_lost(self, _: Exception | None) -> None:
        """There is no more."""
        if not self.closed.done():
            self.closed.set_result(None)
