"""The connection to a server, which is made again when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tinyagent.core.waiting import wait_to_the_end
from tinyagent.tools.mcp.endpoint import Address, Command
from tinyagent.tools.mcp.session import ServerGone, Session

if TYPE_CHECKING:
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, Tool

#: Seconds that a server which was started must have lived for its death to be no fault of its start.
LONG_LIFE = 60.0
#: Seconds until the third try in a row; each pause after that is twice as long, up to the longest.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class Connection:
    """A server from its first user to its last. One that is lost is tried again at the next call.

    After two failures in a row there are pauses, in which calls fail at once. Where the server is a URL, a connection
    that came about ends the row; where it is a command, only one that has lived a while does.

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
        self._long_life = 0.0 if isinstance(endpoint, Address) else LONG_LIFE
        self._new_session = partial(Session, endpoint, name, start_timeout, listed)
        self._session = self._new_session()
        self._failures = 0  # in a row
        self._counted: Session | None = None  # the last of them
        self._not_before = 0.0
        self._wanted = asyncio.Event()  # another session
        self._closed = False
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
        self._task = asyncio.create_task(self._live(), name=f"MCP server {self._name}")
        try:
            await first.settled.wait()
            if first.client is None:
                raise first.error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let the server go. A process that was started for it has ended then, by force if need be."""
        self._closed = True
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
        try:
            return await self._call(tool, arguments, timeout, progress)
        except ServerGone as gone:
            self._count()
            if not repeatable or self._closed:
                raise self._lost_in(tool, gone) from None
        try:
            return await self._call(tool, arguments, timeout, progress)
        except ServerGone as gone:
            self._count()
            raise self._lost_in(tool, gone) from None

    async def _call(
        self, tool: str, arguments: dict[str, Any], timeout: float | None, progress: ProgressFnT
    ) -> CallToolResult:
        session = await self._connected()
        assert session.client is not None  # noqa: S101 - it is connected
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

    async def _connected(self) -> Session:
        """The session that calls go to; another one, where the last has ended.

        Raises:
            ConnectionError: There is none now; the text says why.
        """
        if self._session.ending:
            await self._session.over.wait()
        if self._session.over.is_set():
            self._count()
            if self._closed or asyncio.get_running_loop().time() < self._not_before:
                raise ConnectionError(f"{self._session.error}{self._then()}")
            self._session = self._new_session()
            self._wanted.set()
        session = self._session
        await session.settled.wait()
        if session.client is None:
            self._count()
            raise ConnectionError(f"{session.error}{self._then()}")
        return session

    def _count(self) -> None:
        """Note, once, that the session has ended."""
        session = self._session
        if session.over.is_set() and session is not self._counted:
            self._counted = session
            lived = session.seconds_connected
            self._failures = 1 if lived is not None and lived >= self._long_life else self._failures + 1
            pause = 0.0 if self._failures < 2 else min(FIRST_PAUSE * 2.0 ** (self._failures - 2), LONGEST_PAUSE)
            self._not_before = asyncio.get_running_loop().time() + pause

    def _lost_in(self, tool: str, gone: ServerGone) -> ConnectionError:
        return ConnectionError(
            f"{gone}\nThis was during the call of {tool!r}, which may have been carried out or not.{self._then()}"
        )

    def _then(self) -> str:
        """What comes next, as a sentence."""
        if self._closed:
            return ""
        left = self._not_before - asyncio.get_running_loop().time()
        when = f" from {max(left, 0.1):.1f} s from now on" if left > 0 else ""
        return f"\nThe next call{when} tries the server again."

    async def _live(self) -> None:
        with self._scope:
            while True:
                await self._session.live()
                await self._wanted.wait()
                self._wanted.clear()
