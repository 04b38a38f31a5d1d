"""The connection to a server, with one restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tinyagent.core.waiting import wait_to_the_end
from tinyagent.tools.mcp.endpoint import Address, Command
from tinyagent.tools.mcp.session import ServerGone, Session

if TYPE_CHECKING:
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, Tool


class Connection:
    """A server from its first user to its last: started, once more if it dies, and not a third time.

    The SDK's context managers must be left by the task that entered them, while any task may call a tool, or be
    cancelled in it. So the server's sessions live in a task of the connection's own.

    Args:
        endpoint: Where the server is.
        name: Its name in error texts.
        start_timeout: Seconds that it may take from its start to the list of its tools.
        listed: Told of its tools, at first and whenever they have changed.
    """

    def __init__(
        self,
        endpoint: Command | Address,
        name: str,
        start_timeout: float,
        listed: Callable[[list[Tool]], Awaitable[None]],
    ) -> None:
        from anyio import CancelScope

        self._name = name
        self._session = Session(endpoint, name, start_timeout, listed)
        self._spare: Session | None = Session(endpoint, name, start_timeout, listed)
        self._wanted = asyncio.Event()  # the spare one
        self._scope = CancelScope()
        self._task: asyncio.Task[None]

    async def open(self) -> None:
        """Connect.

        Raises:
            ConfigurationError: The command cannot be started.
            TimeoutError: The server takes too long.
            ConnectionError: It ends, cannot be reached or refuses.
        """
        first = self._session
        self._task = asyncio.create_task(self._live(first), name=f"MCP server {self._name}")
        try:
            await first.settled.wait()
            if first.client is None:
                raise first.error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let the server go. A process that was started for it has ended then, by force if need be."""
        self._spare = None
        self._scope.cancel()
        await wait_to_the_end([self._task])

    async def call(
        self, tool: str, arguments: dict[str, Any], *, timeout: float | None, repeatable: bool, progress: ProgressFnT
    ) -> CallToolResult:
        """Call a tool of the server.

        Args:
            tool: The server's name for it.
            arguments: Its arguments.
            timeout: Seconds that the server may take; it is told to stop then.
            repeatable: The call may be made again when the server has died during it.
            progress: Awaited with each report of progress.

        Raises:
            TimeoutError: It took too long.
            ConnectionError: The server has died.
            MCPToolError: The server refuses the call, or its answer is none.
        """
        while True:
            try:
                return await self._call(tool, arguments, timeout, progress)
            except ServerGone as gone:
                again = self._spare is not None
                if not (again and repeatable):
                    then = "The next call tries the server once more." if again else "It is not tried again."
                    raise ConnectionError(
                        f"{gone}\nThis was during the call of {tool!r}, which may have been carried out or not. {then}"
                    ) from None

    async def _call(
        self, tool: str, arguments: dict[str, Any], timeout: float | None, progress: ProgressFnT
    ) -> CallToolResult:
        session = self._current()
        if session.ending:
            await session.over.wait()
            session = self._current()
        await session.settled.wait()
        if session.client is None:
            raise ConnectionError(f"{session.error}\nIt is not tried again.")
        try:
            async with asyncio.timeout(timeout) as limit:
                return await session.call(session.client, tool, arguments, progress)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"The MCP server {self._name!r} took longer than {timeout:g} s for {tool!r} and was told to stop. Ask "
                "for less at once; whoever runs it can allow more with MCPTools(timeout=...)."
            ) from None

    def _current(self) -> Session:
        """The session that calls go to: the spare one, from now on, where the first has ended."""
        if self._session.over.is_set() and self._spare is not None:
            self._session, self._spare = self._spare, None
            self._wanted.set()
        return self._session

    async def _live(self, first: Session) -> None:
        with self._scope:
            await first.live()
            await self._wanted.wait()
            await self._session.live()
