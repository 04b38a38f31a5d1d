"""Servers to talk to, and what they are asked."""

import asyncio
import contextlib
import os
import runpy
import sys
from pathlib import Path

from tests.tools.servers import serve
from tinyagent import Context
from tinyagent.tools.mcp import MCPTools

SERVERS = Path(__file__).parent / "servers"
#: The command of a server that the official SDK makes. It takes a second to start.
EVERYTHING = [sys.executable, str(SERVERS / "everything.py")]
make = runpy.run_path(str(SERVERS / "everything.py"))["make"]


def raw(*mode, **options) -> MCPTools:
    """A server of the standard library, which starts at once."""
    return MCPTools([sys.executable, str(SERVERS / "raw.py"), *mode], **options)


@contextlib.asynccontextmanager
async def over_http(server=None, wrap=lambda app: app, **options):
    """A server in this event loop; gives its URL."""
    app = (server or make()).streamable_http_app(**options)
    try:
        async with app.router.lifespan_context(app), serve(wrap(app)) as url:
            yield f"{url}/mcp"
    finally:
        for task in asyncio.all_tasks():  # sse_starlette has one that waits for the end of the process
            if task.get_coro().__qualname__ == "_shutdown_watcher":
                task.cancel()


def legacy(app):
    """The server as it was before revision 2026-07-28: it does not know `server/discover`, and has sessions."""

    async def without_discover(scope, receive, send):
        if dict(scope.get("headers", ())).get(b"mcp-method") == b"server/discover":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    return without_discover


async def call(kit: MCPTools, tool: str, /, **arguments):
    """What a tool gives."""
    return await {tool.name: tool for tool in kit.tools}[tool].run(arguments)


async def reported(kit: MCPTools, tool: str, /, **arguments):
    """What a tool gives, and the progress that it reports."""
    heard = []
    found = {tool.name: tool for tool in kit.tools}[tool]
    return await found.run(arguments, Context(_progress=heard.append)), heard


def servers_running() -> list[str]:
    """The processes of our servers that are children of this one, or nobody's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended meanwhile
            continue
        if str(SERVERS) in command and parent in (str(os.getpid()), "1"):
            found.append(command.replace("\0", " "))
    return found
