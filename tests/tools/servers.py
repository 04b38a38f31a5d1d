"""Loopback servers: real ones, and ones that misbehave."""

import asyncio
import contextlib
import socket

import uvicorn


@contextlib.asynccontextmanager
async def serve(app, **options):
    """An ASGI application on uvicorn in this event loop; gives its base URL, e.g. "http://127.0.0.1:40123"."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1, **options)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))  # serve() would take over the process's signals
    try:
        while not server.started:
            assert not task.done(), task.result()
            await asyncio.sleep(0.001)
        scheme = "https" if config.is_ssl else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


class Raw:
    """A server whose answers are written by hand.

    Args:
        answer: `async (connection) -> None`, for each request. The connection is closed when it returns, unless it
            returns true. To wait for a client that hangs up: `await connection.gone()`.
        host: Where it listens.
        ssl: For TLS.

    Attributes:
        url: Its base URL.
        port: Its port.
        accepted: How many connections it has seen.
        open: How many of them are not closed.
        requests: What has been asked: `(method, path, headers, body)`.
    """

    def __init__(self, answer, *, host="127.0.0.1", ssl=None):
        self._answer, self._host, self._ssl = answer, host, ssl
        self.accepted = self.open = 0
        self.requests = []
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._handle, self._host, 0, ssl=self._ssl, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._ssl else 'http'}://{self._host}:{self.port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def all_closed(self):
        """Return when no connection is open."""
        async with asyncio.timeout(20):
            while self.open:
                await asyncio.sleep(0.001)

    async def _handle(self, reader, writer):
        self._tasks.add(task := asyncio.current_task())
        task.add_done_callback(self._tasks.discard)
        self.accepted += 1
        self.open += 1
        connection = Connection(reader, writer)
        try:
            while True:
                self.requests.append(await connection.request())
                if not await self._answer(connection):
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client hung up, or the server is closed
        finally:
            writer.close()
            self.open -= 1


class Connection:
    """What a `Raw` server has with one client."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.method = self.path = ""
        self.headers = {}
        self.body = b""

    async def request(self):
        """Read the next request."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip()
        line, *lines = head.split("\r\n")
        self.method, self.path, _ = line.split(" ", 2)
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.body = await self.reader.readexactly(int(self.headers.get("content-length", 0)))
        return self.method, self.path, self.headers, self.body

    async def send(self, data):
        """Write bytes, and wait until there is room for more."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, body=b"", *headers, status="200 OK"):
        """A correct answer; gives true, so that `return await connection.reply()` keeps the connection."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return True

    async def gone(self):
        """Wait until the client hangs up."""
        while await self.reader.read(65536):
            pass
