"""A web site on this machine, for the examples that must run without the internet."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable


@contextlib.asynccontextmanager
async def local_pages(answer: Callable[[str, str], str | dict]) -> AsyncIterator[str]:
    """Serve what `answer` gives on a free port of 127.0.0.1, and give that host, such as "127.0.0.1:49152".

    Args:
        answer: Gets the path of a request and the host; returns a page in HTML, or data to be sent as JSON.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ", 2)[1]
            said = answer(path, host)
            kind, text = ("text/html", said) if isinstance(said, str) else ("application/json", json.dumps(said))
            body = text.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n")
            writer.write(b"content-type: %s; charset=utf-8\r\ncontent-length: %d\r\n\r\n" % (kind.encode(), len(body)))
            writer.write(body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host = "{}:{}".format(*server.sockets[0].getsockname())
        yield host
