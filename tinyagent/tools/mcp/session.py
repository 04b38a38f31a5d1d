"""One session with an MCP server, from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tinyagent.core.errors import ConfigurationError
from tinyagent.tools.mcp.endpoint import Address, Answer, Command, Watch, asked, watched
from tinyagent.tools.mcp.results import MCPToolError

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from mcp import Client, MCPError
    from mcp.client.session import IncomingMessage
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, Tool

#: Pages of the list of tools that are read; a server that has more never comes to an end.
MAX_PAGES = 1_000
#: Seconds that a finished call waits for the list of tools that it has changed.
LIST_PATIENCE = 5.0
#: Seconds that a server has to answer, after a call that ended as if the server were gone.
PROBE_PATIENCE = 5.0
#: The HTTP status of an error that says nothing of the session. (A gateway may answer 502 for ever to a session whose
#: server is gone.)
TOO_MANY = 429
#: Seconds between a subscription that broke off and the next.
SUBSCRIBE_AGAIN = 1.0
#: Seconds of the longest wait between subscriptions: each attempt that fails doubles the wait.
LONGEST_WAIT = 60.0


class ServerGone(Exception):
    """The MCP server ended during a call.

    Args:
        text: What happened.
        refused: Whether the call was not carried out, since the server did not know its session.
    """

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused


class Session:
    """A session with an MCP server: one task is in `live` from its start to its end, others use the rest meanwhile.

    Args:
        endpoint: Where the server is.
        name: The server's name in error texts.
        start_timeout: Seconds that the server may take from its start to the list of its tools, and for later lists.
        listed: Awaited with the server's tools, at first and whenever they have changed.

    Attributes:
        settled: Set when the session is connected, or has failed to be.
        over: Set when the session has ended.
        left: Whether the server knows nothing of the session any more; calls that it took before may still end.
        since: The loop's time at which the session was connected; `None` if it never was.
        client: The SDK's client while the session is connected.
        error: Why the session is not connected any more.
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
        self.left = False
        self.since: float | None = None
        self.client: Client | None = None
        self.error: Exception = ConnectionError(f"The connection to the MCP server {name!r} was closed.")
        self._endpoint = endpoint
        self._name = name
        self._start_timeout = start_timeout
        self._listed = listed
        self._watch = Watch(self._end)
        self._ended = False
        self._changed = False
        self._calls = 0
        self._probing = asyncio.Lock()
        self._news = asyncio.Event()  # the session or a call has ended, or the tools have changed
        self._fresh = asyncio.Event()  # the known list of tools is the server's latest

    @property
    def ending(self) -> bool:
        """Whether the session has ended, or is ending, so that it takes no more calls."""
        return self._ended or self.over.is_set()

    async def live(self) -> None:
        """Connect, and stay connected until the server ends or this task is cancelled."""
        try:
            await self._live()
            if not self.left:
                self.error = self._lost("has ended.")
        except Exception as error:  # noqa: BLE001 - it is kept, for all who ask
            self.error = self._explained(error)
        finally:
            self.close()

    def close(self) -> None:
        """Mark the session as over, so that nobody waits for it any more."""
        self.client = None
        for event in (self.settled, self.over, self._fresh):
            event.set()

    async def call(self, tool: str, arguments: dict[str, Any], progress: ProgressFnT) -> CallToolResult:
        """Call a tool and return its result; tools that the call has changed are listed anew before.

        Raises:
            ServerGone: The server ended meanwhile; the text tells more.
            MCPToolError: The server refuses the call, or its answer is no result of a tool.
        """
        from mcp import MCPError
        from pydantic import ValidationError

        if (client := self.client) is None:
            raise ServerGone(str(self.error))
        answer = asked()
        self._calls += 1
        try:
            result = await client.call_tool(tool, arguments, progress_callback=progress)
        except MCPError as error:
            raise await self._failure(client, error, answer) from error
        except ValidationError as error:
            raise MCPToolError(f"The server's answer is no result of a tool: {error}") from error
        finally:
            self._calls -= 1
            self._news.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(LIST_PATIENCE):
                await self._fresh.wait()
        return result

    async def _failure(self, client: Client, error: MCPError, answer: Answer) -> ServerGone | MCPToolError:
        """Return what an error of a call means; over HTTP only a further request shows that a server has ended."""
        from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST

        if answer.status is not None or error.code in (CONNECTION_CLOSED, INVALID_REQUEST):
            async with self._probing:  # one probe for all whose calls fail at once
                if not self._ended and answer.status != TOO_MANY:
                    await self._probe(client)
        if self._ended:
            if not self.left:
                await self.over.wait()
            return ServerGone(str(self.error), refused=answer.status is not None and answer.status < 500)
        if answer.status is not None:
            return MCPToolError(f"The server answered with {answer}.")
        if error.code == CONNECTION_CLOSED and str(error).startswith("SSE stream"):  # the SDK's own words
            return ServerGone(str(self._lost(f"broke off its answer: {error}.")))
        return MCPToolError(str(error))

    async def _probe(self, client: Client) -> None:
        """Ask whether the server still knows this session, and end the session if not."""
        from mcp import MCPError

        answer = asked()
        try:
            async with asyncio.timeout(PROBE_PATIENCE):
                await client.list_tools()
        except TimeoutError:
            self._leave("does not answer any more.")
        except MCPError:
            if answer.status is None:
                self._end()
            elif answer.status != TOO_MANY:
                self._leave("has lost this session.")
        except ValueError:  # the server is there, whatever it says
            pass

    # ---- in the task that is in `live`

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
                self.client, self.since = client, current_time()
                self.settled.set()
                await self._follow(client)
                group.cancel_scope.cancel()
        if start.cancelled_caught:
            raise TimeoutError

    async def _follow(self, client: Client) -> None:
        """Keep the list of tools fresh until the server ends."""
        while not self._ended or (self.left and self._calls):
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
        """Subscribe to changes of the tools; servers before revision 2026-07-28 tell of them unasked."""
        from anyio import sleep

        subscribed, wait = False, SUBSCRIBE_AGAIN
        while True:
            try:
                async with client.listen(tools_list_changed=True) as events:
                    if subscribed:
                        self._change()  # the tools may have changed meanwhile
                    else:
                        task_status.started()
                    subscribed, wait = True, SUBSCRIBE_AGAIN
                    async for _ in events:
                        self._change()
            except Exception:  # noqa: BLE001 - it broke off, or the server offers none after all
                if not subscribed:
                    break
            await sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        task_status.started()

    async def _hear(self, message: IncomingMessage) -> None:
        from mcp_types import ToolListChangedNotification

        self._watch.talks = self._watch.talks or isinstance(message, Exception)
        if isinstance(message, ToolListChangedNotification):
            self._change()

    def _change(self) -> None:
        self._changed = True
        self._fresh.clear()
        self._news.set()

    def _leave(self, why: str) -> None:
        """End this session, which is of no more use, though the server may be there."""
        self.left = isinstance(self._endpoint, Address)  # a process must have ended before there is another
        self.error = self._lost(why)
        self._end()

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
        what = "is gone" if self.since is not None else "cannot be reached"
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
