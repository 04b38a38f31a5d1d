"""Sharing what is open: between several users at once, and within a run until the run ends."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from tinyagent.core.errors import TinyAgentError, ToolkitError
from tinyagent.core.jsonable import error_text
from tinyagent.core.threads import in_forked_copy
from tinyagent.core.waiting import asyncio_loop, wait_to_the_end

T = TypeVar("T")

#: Seconds that closing may still take once whoever waits for it is cancelled; then the closing is cancelled too.
GRACE = 10.0
_lock = threading.Lock()
_hosts: WeakSet[_Host[Any]] = WeakSet()
_inherited: list[_Host[Any]] = []


@in_forked_copy
def _renew() -> None:
    """Renew the lock in a forked copy, and keep the inherited hosts alive: their end would close what is open here."""
    global _lock  # noqa: PLW0603 - one lock for the process
    _lock = threading.Lock()
    _inherited.extend(_hosts)


class Shared(Generic[T]):
    """An async context that its first user opens, and that is closed after the last, in one task of its own.

        async with shared as value:
            ...

    Whoever comes first or last, one task opens and closes. So runs, which are tasks of their own, can share what only
    the task that opened it may close: anyio's task groups, the MCP SDK's connections.

    Args:
        open: Makes the async context manager that is shared.

    Raises:
        RuntimeError: On entering, when the context is open in another event loop.
        Exception: Whatever opening raises, to each user that waits for it; the next user tries again. Whatever
            closing raises, to the last user.
    """

    def __init__(self, open: Callable[[], AbstractAsyncContextManager[T]]) -> None:  # noqa: A002
        self._open = open
        self._host: _Host[T] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    @property
    def is_open(self) -> bool:
        """Whether the context has users, in an event loop of this process that still lives."""
        here = self._loop is not None and not self._loop.is_closed() and self._process == os.getpid()
        return self._users > 0 and here

    async def __aenter__(self) -> T:
        loop = asyncio.get_running_loop()
        with _lock:
            if self._loop is not loop:
                if self.is_open:
                    raise RuntimeError("It is open in another event loop. Make one for each loop.")
                self._loop, self._users, self._host, self._closing = loop, 0, None, None
                self._process = os.getpid()
            self._users += 1
        try:
            while self._closing is not None and not self._closing.done():
                await asyncio.wait([self._closing])
            if self._host is None or self._host.task.done():
                self._host = _Host(self._open)
            return await self._host.opened()
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        try:
            if not self._users and self._host is not None:
                host, self._host = self._host, None
                self._closing = host.task
                await host.end()
        finally:
            with _lock:
                if not self._users and self._loop is asyncio.get_running_loop():
                    self._loop = self._closing = None  # so that no loop is kept alive after its end


class PerLoop(Generic[T]):
    """A `Shared` for each event loop.

    Args:
        open: Makes the async context manager that the users of one event loop share.
    """

    def __init__(self, open: Callable[[], AbstractAsyncContextManager[T]]) -> None:  # noqa: A002
        self._open = open
        self._shared: WeakKeyDictionary[asyncio.AbstractEventLoop, Shared[T]] = WeakKeyDictionary()

    def here(self) -> Shared[T]:
        """Return the `Shared` of the running event loop.

        Raises:
            ConfigurationError: No event loop of asyncio is running.
        """
        loop = asyncio_loop()
        shared = self._shared.get(loop)
        if shared is None:
            for other in [reference() for reference in self._shared.keyrefs()]:  # other threads may add theirs
                if other is not None and other.is_closed():  # whose users never left
                    self._shared.pop(other, None)
            shared = self._shared[loop] = Shared(self._open)
        return shared


class Closes(Protocol):
    """What is closed with the event loop that it belongs to."""

    async def close(self) -> None:
        """Give everything back."""


C = TypeVar("C", bound=Closes)


class KeptPerLoop(Generic[C]):
    """One object for each event loop, made at its first use, and closed when the loop ends, whoever uses it till then.

    No task waits for that: `asyncio.run` and its like end the asynchronous generators of their loop.

    Args:
        make: Makes the object.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._kept: dict[asyncio.AbstractEventLoop, tuple[C, AsyncIterator[None]]] = {}
        self._process = os.getpid()
        self._inherited: list[object] = []

    async def here(self) -> C:
        """Return that of the running event loop.

        Raises:
            ConfigurationError: None of asyncio's is running.
        """
        loop = asyncio_loop()
        if self._process != os.getpid():  # ending them here would end those of the process that was forked
            self._inherited.append(self._kept)
            self._kept, self._process = {}, os.getpid()
        if loop not in self._kept:
            for other in [other for other in list(self._kept) if other.is_closed()]:
                self._kept.pop(other, None)
            kept = self._make()
            closing = self._until_the_end(loop, kept)
            self._kept[loop] = kept, closing
            await anext(closing)
        return self._kept[loop][0]

    async def _until_the_end(self, loop: asyncio.AbstractEventLoop, kept: C) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._kept.pop(loop, None)
            await kept.close()


class _Host(Generic[T]):
    """The task that enters a context manager, waits until all users have gone, and leaves it."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._make = make
        self._leave = asyncio.Event()
        self._value: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._live())
        _hosts.add(self)

    async def _live(self) -> None:
        _holds.set(None)  # this task may outlive the run that started it
        async with self._make() as value:
            self._value.set_result(value)
            await self._leave.wait()

    async def opened(self) -> T:
        """Wait until the context is open and return its value; raise what opening raised."""
        if not self._value.done():
            waiting: list[asyncio.Future[Any]] = [self._value, self.task]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not self._value.done():
            self._raise_failure("opened")
        return self._value.result()

    async def end(self) -> None:
        """Close the context, or break off opening it, and wait until that is done; raise what closing raised."""
        self._leave.set()  # also for an opening that goes on although it is cancelled
        if not self._value.done():
            self.task.cancel()
        await wait_to_the_end([self.task], GRACE)
        if self._value.done():
            self._raise_failure("closed")

    def _raise_failure(self, what: str) -> None:
        if self.task.cancelled():
            raise RuntimeError(f"It was cancelled from within while it was {what}.")
        if (error := self.task.exception()) is not None:
            raise error


class Holds:
    """What one run keeps open: each `Shared` that is used in the run stays open until the run ends."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._held: set[Shared[Any]] = set()
        self._over = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def is_here(self) -> bool:
        """Whether the run's event loop is running here, and not a tool's own in a thread that knows of the run."""
        return self._loop is asyncio.get_running_loop()

    async def __aenter__(self) -> Holds:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is held.

        Raises:
            ToolkitError: Something could not be closed.
        """
        self._over.set()
        try:
            await self._stack.aclose()
        except TinyAgentError:
            raise
        except Exception as error:
            text = f"What the run's tools had opened could not be closed: {error_text(error)}"
            raise ToolkitError(text) from error

    async def keep(self, shared: Shared[Any]) -> None:
        """Keep a `Shared` open until the run ends; do nothing when the run has ended."""
        if shared in self._held or self._over.is_set():
            return
        self._held.add(shared)
        try:
            await shared.__aenter__()
        except BaseException:
            self._held.discard(shared)
            raise
        if self._over.is_set():  # the run has ended meanwhile
            await shared.__aexit__()
        else:
            self._stack.push_async_exit(shared)


_holds: ContextVar[Holds | None] = ContextVar("tinyagent_holds", default=None)


@asynccontextmanager
async def holding() -> AsyncIterator[None]:
    """Keep open what `held` opens in this block and in the tasks it starts, to the end of the outermost such block."""
    if (around := _holds.get()) is not None and around.is_here:
        yield
        return
    async with Holds() as holds:
        token = _holds.set(holds)
        try:
            yield
        finally:
            _holds.reset(token)


async def keep_open(shared: Shared[Any]) -> None:
    """Open a `Shared` and keep it open until the outermost run around ends; do nothing outside of runs."""
    if (holds := _holds.get()) is not None and holds.is_here:
        await holds.keep(shared)


@asynccontextmanager
async def held(shared: Shared[T]) -> AsyncIterator[T]:
    """Open a `Shared` for this block, and within a run until the run ends; give its value."""
    await keep_open(shared)
    async with shared as value:
        yield value
