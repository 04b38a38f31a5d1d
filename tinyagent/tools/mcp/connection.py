"""The connection to a server, made anew when it was lost."""

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

#: Seconds that a command has to live for its end to be no failure. (A URL only has to list its tools.)
LONG_LIFE = 60.0
#: Seconds between the first failures; each time it is doubled.
FIRST_PAUSE = 1.0
#: Seconds between failures at most.
LONGEST_PAUSE = 60.0
#: Seconds of a pause that a call waits; in a longer one it fails at once.
PATIENCE = 5.0


class Connection:
    """A server from its first user to its last: when it is lost, the next call connects to it, or starts it, again.

    That is never given up. Between attempts that fail there are pauses, longer and longer; after the first there is
    none, so that a call that comes when the server is back finds it.

    The SDK's context managers must be left by the task that entered them, while any task may call a tool, or be
    cancelled in it. So the server's sessions live in tasks of the connection's own.

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
        self._new_session = partial(Session, endpoint, name, start_timeout, listed)
        self._long_life = LONG_LIFE if isinstance(endpoint, Command) else 0.0
        self._session = self._new_session()
        self._wanted = asyncio.Event()  # another one
        self._failures = 0  # in a row
        self._not_before = 0.0  # the loop's time at which the next attempt may be made
        self._open = True
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
        self._task = asyncio.create_task(self._run(), name=f"MCP server {self._name}")
        try:
            await first.settled.wait()
            if first.client is None:
                raise first.error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let the server go. A process that was started for it has ended then, by force if need be."""
        self._open = False
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
            repeatable: The call may be made again, once, when the server has died during it.
            progress: Awaited with each report of progress.

        Raises:
            TimeoutError: It took too long.
            ConnectionError: The server has died, or cannot be reached.
            MCPToolError: The server refuses the call, or its answer is none.
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
        try:
            async with asyncio.timeout(timeout) as limit:
                return await session.call(tool, arguments, progress)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"The MCP server {self._name!r} took longer than {timeout:g} s for {tool!r} and was told to stop. Ask "
                "for less at once; whoever runs it can allow more with MCPTools(timeout=...)."
            ) from None

    def _told(self, gone: ServerGone, tool: str) -> ConnectionError:
        what = "has not been carried out" if gone.refused else "may have been carried out or not"
        return ConnectionError(f"{gone}\nThis was during the call of {tool!r}, which {what}. {self._next()}".rstrip())

    async def _connected(self) -> Session:
        """The session that calls go to: a new one, from now on, where the last is of no more use."""
        last = self._session
        if last.ending:
            if not last.left:
                await last.over.wait()
            if last is self._session:  # otherwise another call has been faster
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
            self._failures = 0  # it was connected
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
            self._session.close()  # it may not have begun

    async def _live(self, session: Session) -> None:
        """Live a session after the pause that is due."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._not_before - clock())
        await session.live()
        if session is not self._session:  # there is another already
            return
        good = session.since is not None and clock() - session.since >= self._long_life
        self._failures = 0 if good else self._failures + 1
        # none, none, 1 s, 2 s, ...
        pause = min(FIRST_PAUSE * 2 ** min(self._failures - 2, 30), LONGEST_PAUSE) if self._failures > 1 else 0.0
        self._not_before = clock() + pause
