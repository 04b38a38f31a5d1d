"""The connection to an MCP server, which is made anew when it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tinyagent.core.waiting import wait_to_the_end, within
from tinyagent.tools.mcp.endpoint import Address, Command
from tinyagent.tools.mcp.session import ServerGone, Session

if TYPE_CHECKING:
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, Tool

#: Seconds that a server started by a command must live so that its end counts as no failure. (One at a URL only has to
#: list its tools.)
LONG_LIFE = 60.0
#: Seconds of the first pause between attempts that fail; each further pause is twice as long.
FIRST_PAUSE = 1.0
#: Seconds of the longest pause between attempts.
LONGEST_PAUSE = 60.0
#: Seconds of the longest pause that a call waits for; in a longer one the call fails at once.
PATIENCE = 5.0


class Connection:
    """A connection to an MCP server, from its first user to its last; a lost one is made again by the next call.

    Reconnecting is never given up. Attempts that fail are followed by longer and longer pauses, but the first of them
    by none, so that a call that comes when the server is back finds it.

    The SDK's context managers must be left by the task that entered them, while any task may call a tool, or be
    cancelled in it. So the server's sessions live in tasks of the connection's own.

    Args:
        endpoint: Where the server is.
        name: The server's name in error texts.
        start_timeout: Seconds that the server may take from its start to the list of its tools.
        listed: Awaited with the server's tools, at first and whenever they have changed.
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
        self._new_session = partial(Session, endpoint, name, start_timeout, listed)
        self._long_life = LONG_LIFE if isinstance(endpoint, Command) else 0.0
        self._session = self._new_session()
        self._wanted = asyncio.Event()  # set when there is a new session to live
        self._failures = 0  # attempts that failed in a row
        self._not_before = 0.0  # the loop's time at which the next attempt may be made
        self._open = True
        self._scope = CancelScope()
        self._task: asyncio.Task[None]

    async def open(self) -> None:
        """Connect to the server.

        Raises:
            ConfigurationError: The command cannot be started.
            TimeoutError: The server takes longer than `start_timeout`.
            ConnectionError: The server ends, cannot be reached or refuses.
        """
        first = self._session
        self._task = asyncio.create_task(self._run(), name=f"MCP server {self._name}")
        try:
            await first.settled.wait()
            if first.client is None:
                raise first.error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect; a process that was started for the server has ended then, by force if need be."""
        self._open = False
        self._scope.cancel()
        await wait_to_the_end([self._task])

    async def call(
        self, tool: str, arguments: dict[str, Any], *, timeout: float | None, repeatable: bool, progress: ProgressFnT
    ) -> CallToolResult:
        """Call a tool of the server.

        Args:
            tool: The server's name for the tool.
            arguments: The tool's arguments.
            timeout: Seconds that the server may take; it is told to stop then. `None`: any time.
            repeatable: Whether the call may be made again, once, when the server has died during it.
            progress: Awaited with each report of progress.

        Raises:
            TimeoutError: The call took longer than `timeout`.
            ConnectionError: The server has died, or cannot be reached.
            MCPToolError: The server refuses the call, or its answer is no result of a tool.
        """
        try:
            return await self._call(tool, arguments, timeout, progress)
        except ServerGone as gone:
            if not (self._open and (repeatable or gone.refused)):
                raise self._told(gone, tool) from None
        try:
            return await self._call(tool, arguments, timeout, progress)
        except ServerGone as gone:
            raise self._told(gone, tool) from None

    async def _call(
        self, tool: str, arguments: dict[str, Any], timeout: float | None, progress: ProgressFnT
    ) -> CallToolResult:
        session = await self._connected()
        late = TimeoutError(
            f"The MCP server {self._name!r} took longer than {timeout or 0:g} s for {tool!r} and was told to stop. Ask "
            "for less at once; whoever runs it can allow more with MCPTools(timeout=...)."
        )
        async with within(timeout, late):
            return await session.call(tool, arguments, progress)

    def _told(self, gone: ServerGone, tool: str) -> ConnectionError:
        what = "has not been carried out" if gone.refused else "may have been carried out or not"
        return ConnectionError(f"{gone}\nThis was during the call of {tool!r}, which {what}. {self._next()}".rstrip())

    async def _connected(self) -> Session:
        """Return the session that calls go to, once it is connected: a new one where the last is of no more use.

        Raises:
            ConnectionError: The server cannot be reached, or the pause before the next attempt is long.
        """
        last = self._session
        if last.ending:
            if not last.left:
                await last.over.wait()
            if last is self._session:  # otherwise another call has renewed it
                self._renew()
        session = self._session
        await session.settled.wait()
        if session.client is None:
            raise ConnectionError(f"{session.error}\n{self._next()}".rstrip())
        return session

    def _renew(self) -> None:
        wait = self._not_before - asyncio.get_running_loop().time()
        if not self._open or wait > PATIENCE:
            raise ConnectionError(f"{self._session.error}\n{self._next()}".rstrip())
        if self._session.left:
            self._failures = 0  # it was connected, which ends the row of failures
        self._session = self._new_session()
        self._wanted.set()

    def _next(self) -> str:
        wait = self._not_before - asyncio.get_running_loop().time()
        when = f"A call after {wait:.0f} s" if wait > PATIENCE else "The next call"
        return f"{when} tries the server again." if self._open else ""

    # ---- in the connection's own tasks

    async def _run(self) -> None:
        from anyio import create_task_group

        try:
            with self._scope:
                async with create_task_group() as group:
                    while True:
                        group.start_soon(self._live, self._session)
                        await self._wanted.wait()
                        self._wanted.clear()
        finally:
            self._open = False
            self._session.close()  # the session may not have begun

    async def _live(self, session: Session) -> None:
        """Live a session to its end, after the pause that is due."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._not_before - clock())
        await session.live()
        if session is not self._session:  # a new session has replaced it
            return
        good = session.since is not None and clock() - session.since >= self._long_life
        self._failures = 0 if good else self._failures + 1
        # by the failures in a row, from 0: none, none, 1 s, 2 s, ...
        pause = min(FIRST_PAUSE * 2 ** min(self._failures - 2, 30), LONGEST_PAUSE) if self._failures > 1 else 0.0
        self._not_before = clock() + pause
