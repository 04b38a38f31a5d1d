"""A server from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tinyagent.core.errors import ConfigurationError
from tinyagent.tools.mcp.endpoint import Address, Command, Watch, watched
from tinyagent.tools.mcp.results import MCPToolError

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from mcp import Client, MCPError
    from mcp.client.session import IncomingMessage
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, Tool

#: Pages of the list of tools; a server that has more never comes to an end.
MAX_PAGES = 1_000
#: Seconds that a finished call waits for the list of tools that it has changed.
LIST_PATIENCE = 5.0
#: Seconds that a server has to show that it is still there, when a call ended in a way that makes one doubt it.
PROBE_PATIENCE = 5.0
#: Seconds between a subscription that broke off and the next.
SUBSCRIBE_AGAIN = 1.0
#: The same after many that broke off at once: each time it is doubled.
LONGEST_WAIT = 60.0


class ServerGone(Exception):
    """The server ended during a call."""


class Session:
    """A server from its start to its end: `live` is all of it, the rest is for others meanwhile.

    Args:
        endpoint: Where the server is.
        name: Its name in error texts.
        start_timeout: Seconds that it may take from its start to the list of its tools, and for later lists.
        listed: Told of its tools, at first and whenever they have changed.

    Attributes:
        settled: Set when it is connected, or has failed to be.
        over: Set when it has ended.
        client: The SDK's client while it is connected.
        error: Why it is not connected any more.
        seconds_connected: How long it was connected, once it is over; `None` when it never was.
    """

    def __init__(
        self,
        endpoint: Command | Address,
        name: str,
        start_timeout: float,
        listed: Callable[[list[Tool]], Awaitable[None]],
    ) -> None:
        self.settled = asyncio.Event()
        self.over = asyncio.Event()
        self.client: Client | None = None
        self.error: Exception = ConnectionError(f"The connection to the MCP server {name!r} was closed.")
        self._endpoint = endpoint
        self._name = name
        self._start_timeout = start_timeout
        self._listed = listed
        self._watch = Watch(self._end)
        self._ended = False
        self.seconds_connected: float | None = None
        self._changed = False
        self._news = asyncio.Event()  # it has ended, or its tools have changed
        self._fresh = asyncio.Event()  # the list of its tools is the last it has told of

    @property
    def ending(self) -> bool:
        """Whether the server has ended, and at most is being cleaned up after."""
        return self._ended or self.over.is_set()

    async def live(self) -> None:
        """Connect, and stay so until the server ends or this is cancelled."""
        try:
            await self._live()
            self.error = self._lost("has ended.")
        except Exception as error:  # noqa: BLE001 - it is kept, for all who ask
            self.error = self._explained(error)
        finally:
            self.client = None
            if self.seconds_connected is not None:
                self.seconds_connected += asyncio.get_running_loop().time()
            for event in (self.settled, self.over, self._fresh):
                event.set()

    async def call(self, client: Client, tool: str, arguments: dict[str, Any], progress: ProgressFnT) -> CallToolResult:
        """Call a tool; the tools are listed anew before this returns where the call has changed them.

        Raises:
            ServerGone: The server ended meanwhile; `error` tells more.
            MCPToolError: It refuses the call, or its answer is none.
        """
        from mcp import MCPError
        from pydantic import ValidationError

        try:
            result = await client.call_tool(tool, arguments, progress_callback=progress)
        except MCPError as error:
            answer = self._watch.answer
            if await self._is_gone(client, error):
                await self.over.wait()
                raise ServerGone(str(self.error)) from None
            raise MCPToolError(f"{error}.{answer}" if answer else str(error)) from error
        except ValidationError as error:
            raise MCPToolError(f"The server's answer is no result of a tool: {error}") from error
        with suppress(TimeoutError):
            async with asyncio.timeout(LIST_PATIENCE):
                await self._fresh.wait()
        return result

    async def _is_gone(self, client: Client, error: MCPError) -> bool:
        """Whether the server has ended, or has lost the session: over HTTP nothing says so but the next request.

        Servers tell of a lost session by 404, as the specification wants, or by 400, or in words of their own; and
        what stands before them by 502 and the like. So whatever came with an HTTP status is doubted.
        """
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST

        doubtful = error.code in (CONNECTION_CLOSED, INVALID_REQUEST) or self._watch.status is not None
        if not self._ended and doubtful:
            try:
                async with asyncio.timeout(PROBE_PATIENCE):
                    await client.list_tools()
            except (MCPError, TimeoutError):
                self._end()
        return self._ended

    # ---- in the task that lives it

    async def _live(self) -> None:
        from anyio import CancelScope, create_task_group, current_time
        from mcp import Client
        from mcp_types import Implementation

        _quiet()
        about = Implementation(name="tinyagent", version="2")
        with CancelScope(deadline=current_time() + self._start_timeout) as start:
            streams = watched(self._endpoint, self._watch)
            async with (
                Client(streams, message_handler=self._hear, client_info=about, cache=None) as client,
                create_task_group() as group,
            ):
                if _tells_subscribers(client):
                    await group.start(self._subscribe, client)
                await self._list(client)
                start.deadline = math.inf
                self.client = client
                self.seconds_connected = -asyncio.get_running_loop().time()
                self.settled.set()
                await self._follow(client)
                group.cancel_scope.cancel()
        if start.cancelled_caught:
            raise TimeoutError

    async def _follow(self, client: Client) -> None:
        """Keep the list of tools fresh until the server ends."""
        while not self._ended:
            await self._news.wait()
            self._news.clear()
            if self._changed and not self._ended:
                await self._list_again(client)

    async def _list_again(self, client: Client) -> None:
        from mcp import MCPError

        try:
            async with asyncio.timeout(self._start_timeout):
                await self._list(client)
        except (MCPError, ConfigurationError, TimeoutError, ValueError):
            if not self._changed:  # the list stays as it was
                self._fresh.set()

    async def _list(self, client: Client) -> None:
        self._changed = False
        tools: list[Tool] = []
        cursor: str | None = None
        if client.server_capabilities.tools is not None:
            for _ in range(MAX_PAGES):
                page = await client.list_tools(cursor=cursor)
                tools += page.tools
                if not (cursor := page.next_cursor):
                    break
        await self._listed(tools)
        if not self._changed:
            self._fresh.set()

    async def _subscribe(self, client: Client, *, task_status: TaskStatus[None]) -> None:
        """Hear of changed tools; servers before revision 2026-07-28 tell of them unasked."""
        from anyio import sleep

        subscribed, wait = False, SUBSCRIBE_AGAIN
        while True:
            try:
                async with client.listen(tools_list_changed=True) as events:
                    if subscribed:
                        self._change()  # there may have been one meanwhile
                    else:
                        task_status.started()
                    subscribed, wait = True, SUBSCRIBE_AGAIN
                    async for _ in events:
                        self._change()
            except Exception:  # noqa: BLE001 - it broke off, or the server does not offer it after all
                if not subscribed:
                    break
            await sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        task_status.started()

    async def _hear(self, message: IncomingMessage) -> None:
        from mcp_types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._change()

    def _change(self) -> None:
        self._changed = True
        self._fresh.clear()
        self._news.set()

    def _end(self) -> None:
        self._ended = True
        self._news.set()

    # ---- how it ended

    def _explained(self, error: BaseException) -> Exception:
        from mcp import MCPError

        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, ConfigurationError):
            return error
        if isinstance(error, TimeoutError):
            text = f"did not list its tools within {self._start_timeout:g} s of its start."
            return TimeoutError(str(self._lost(text)))
        if isinstance(error, MCPError):
            return self._lost("has ended." if self._ended else f"refuses: {error}.")
        what = "is gone" if self.seconds_connected is not None else "cannot be reached"
        reason = str(error).rstrip(".")
        return self._lost(f"{what}: {type(error).__name__}: {reason}.")

    def _lost(self, what: str) -> ConnectionError:
        return ConnectionError(f"The MCP server {self._name!r} {what}{self._watch.details}")


def _tells_subscribers(client: Client) -> bool:
    from mcp_types.version import MODERN_PROTOCOL_VERSIONS

    tools = client.server_capabilities.tools
    return bool(tools and tools.list_changed) and client.protocol_version in MODERN_PROTOCOL_VERSIONS


def _quiet() -> None:
    """Keep the SDK's log from standard error, where Python writes it for programs that have set up no logging."""
    for name in ("mcp", "client"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
