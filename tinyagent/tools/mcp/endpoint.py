"""Where an MCP server is and how it is reached: a command to start, or a URL."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlsplit

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.http import message_in
from tinyagent.core.text import excerpt

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import ReadStream, TransportStreams

#: Bytes that are kept of what a server wrote to standard error.
LONGEST_TAIL = 1_200
#: Seconds to wait for the rest of a server's standard error when the server has ended.
LAST_WORDS = 0.5
#: Characters that are kept of the body of an HTTP error.
LONGEST_BODY = 500
#: Bytes of the longest body of an HTTP error that is read.
MOST_BODY = 1 << 16
#: Seconds to wait for the body of an HTTP error.
BODY_PATIENCE = 5.0


@dataclass
class Answer:
    """An answer over HTTP: its status and what its body says if it is an error, else `None` and nothing."""

    status: int | None = None
    body: str = ""

    def __str__(self) -> str:
        return f"HTTP status {self.status}" + (f": {self.body}" if self.body else "")


_asked: ContextVar[Answer | None] = ContextVar("_asked", default=None)


def asked() -> Answer:
    """Return an `Answer` that notes how the next requests of this task are answered.

    The SDK sends requests in the context of the task that makes them.
    """
    answer = Answer()
    _asked.set(answer)
    return answer


class Watch(asyncio.Protocol):
    """What is known of a server beside its messages; the protocol of the pipe that is its standard error.

    Args:
        ended: Called when the server sends nothing any more.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self.ended = ended
        self.answer = Answer()
        self.talks = False  # whether it has sent what is no message
        self.silent = asyncio.Event()  # its standard error is closed
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        """Note what the server wrote to standard error."""
        self._tail = (self._tail + data)[-LONGEST_TAIL:]

    def connection_lost(self, _: Exception | None) -> None:
        """Note that the server can write no more to standard error."""
        self.silent.set()

    async def answered(self, response: httpx2.Response) -> None:
        """Note how the server answered a request over HTTP."""
        if response.request.method != "POST":
            return
        bad = response.status_code >= 400
        self.answer = Answer(response.status_code, await _said(response)) if bad else Answer()
        if (asked := _asked.get()) is not None:
            asked.status, asked.body = self.answer.status, self.answer.body

    @property
    def details(self) -> str:
        """What is known of the server, as sentences for an error text with a space before them."""
        text = self._tail.decode(errors="replace").strip()
        return "".join(
            [
                f" It answered with {self.answer}." if self.answer.status is not None else "",
                " Some of what it wrote to standard output is no MCP message." if self.talks else "",
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
        """The program's name, for a server that has no other name."""
        return PurePath(self.command[0]).name

    @asynccontextmanager
    async def connect(self, watch: Watch) -> AsyncIterator[TransportStreams]:
        """Start the server, and yield its streams; on leaving, it has ended, with all its children.

        Raises:
            ConfigurationError: The command cannot be started.
        """
        from mcp.client.stdio import StdioServerParameters, stdio_client

        program, *args = self.command
        # The SDK wants text for a directory, and merges `env` into the few variables it hands on.
        cwd = None if self.cwd is None else os.fspath(self.cwd)
        server = StdioServerParameters(command=program, args=args, env=dict(self.env), cwd=cwd)
        async with AsyncExitStack() as stack:
            errors = await stack.enter_async_context(_standard_error(watch))
            with errors:  # the server has its own copy of the file
                try:
                    streams = await stack.enter_async_context(stdio_client(server, errors))
                except OSError as error:
                    where = "" if cwd is None else f" in {cwd!r}"
                    what = f": {program!r}{where}" if error.filename is None else ""  # uvloop names no file
                    raise ConfigurationError(f"The MCP server cannot be started: {error}{what}.") from error
            yield streams


@dataclass(frozen=True)
class Address:
    """A server that is there already and talks over streamable HTTP."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The URL's host and port, for a server that has no other name."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @asynccontextmanager
    async def connect(self, watch: Watch) -> AsyncIterator[TransportStreams]:
        """Yield the streams to the server, to which nothing has been sent yet."""
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        # Calls have time-outs of their own, and a server may say something after any time.
        timeout = httpx2.Timeout(30.0, read=None, pool=None)
        hooks = {"response": [watch.answered]}
        client = httpx2.AsyncClient(headers=dict(self.headers), timeout=timeout, event_hooks=hooks)
        # A server that has lost the session may never answer a farewell.
        async with client, streamable_http_client(self.url, http_client=client, terminate_on_close=False) as streams:
            yield streams


async def _said(response: httpx2.Response) -> str:
    """Return the message in the JSON of an error, or else the beginning of whatever the body is, in one line."""
    import httpx2

    if int(response.headers.get("content-length", "0") or 0) > MOST_BODY:
        return ""
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(BODY_PATIENCE):
            await response.aread()
    try:
        words = message_in(response.text) or response.text
    except httpx2.StreamError:  # the body did not come to an end
        return ""
    return excerpt(" ".join(words.split()).rstrip("."), LONGEST_BODY, " [...]")


@asynccontextmanager
async def watched(endpoint: Command | Address, watch: Watch) -> AsyncIterator[TransportStreams]:
    """Yield the streams to an endpoint; the watch is told when they end, before whoever waits for an answer."""
    from anyio import BrokenResourceError, create_memory_object_stream, create_task_group

    sending, messages = create_memory_object_stream[Any]()

    async def pass_on(reading: ReadStream[Any]) -> None:
        with suppress(BrokenResourceError):  # nobody listens any more
            async for message in reading:
                await sending.send(message)
            if sending.statistics().open_receive_streams:  # otherwise it was ended from here
                watch.ended()
        sending.close()

    with sending, messages:
        async with endpoint.connect(watch) as (reading, writing), create_task_group() as group:
            group.start_soon(pass_on, reading)
            yield messages, writing
            group.cancel_scope.cancel()


@asynccontextmanager
async def _standard_error(watch: Watch) -> AsyncIterator[TextIO]:
    """Yield a file for a process to write its errors to; the watch hears them."""
    if sys.platform == "win32":  # its event loop cannot read pipes like this one
        yield os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        return
    reading, writing = os.pipe()
    file = os.fdopen(writing, "w")
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: watch, os.fdopen(reading, "rb", buffering=0))
    try:
        yield file
        with suppress(TimeoutError):  # a child of the server may live on and keep it open
            async with asyncio.timeout(LAST_WORDS):
                await watch.silent.wait()
    finally:
        file.close()
        pipe.close()
