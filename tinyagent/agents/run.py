"""A run in the hands of whoever started it: its events, its result, its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, NoReturn

from tinyagent.agents.state import RunState
from tinyagent.core.door import shorten
from tinyagent.core.events import Event
from tinyagent.core.generics import Output
from tinyagent.core.result import RunResult
from tinyagent.core.waiting import asyncio_loop, wait_to_the_end


class Run(Generic[Output]):
    """A run in progress: an async context manager, and an async iterator over its events.

        async with agent.stream("...") as run:
            async for event in run:
                ...
        print(run.result)

    Leaving the block cancels and awaits everything the run started. Iterating raises the run's error after its
    last event. Events wait here until they are read: the run does not wait for a slow reader.

    Args:
        state: The data of the run.
        work: Does the whole run, and keeps `state` up to date.

    Attributes:
        run_id: The run's id.
        state: The data of the run, as far as it has come.
    """

    def __init__(self, state: RunState, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.run_id: str = state.run_id
        self.state: RunState = state
        self._work = work
        self._events: deque[Event] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._left = False
        state.hear = self._hear

    # ---- for the caller

    @property
    def result(self) -> RunResult[Output]:
        """The result of the run; what there is of it while the run goes on, or where it failed or was left."""
        return self.state.result

    async def __aenter__(self) -> Run[Output]:
        asyncio_loop()
        if self._task is not None:
            raise RuntimeError("This run was entered before. Call agent.stream(...) again for another run.")
        self._task = asyncio.create_task(self._work(), name=f"tinyagent run {self.run_id}")
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._left = True
        try:
            await cancel_and_wait(self._task)
        finally:
            if self.state.state == "running":  # the block was left before the work began
                self.state.finish("cancelled", error=asyncio.CancelledError())

    def _asynchronous(self, *_: object) -> NoReturn:
        raise TypeError("A run is read so: async with agent.stream(...) as run: async for event in run: ...")

    if not TYPE_CHECKING:  # type checkers refuse these by themselves; Python's errors would not say what to write
        __await__ = __iter__ = __enter__ = __exit__ = _asynchronous

    def __aiter__(self) -> Run[Output]:
        return self

    async def __anext__(self) -> Event:
        try:
            while not self._events:
                if self._over():
                    raise StopAsyncIteration
                await self._news()
        except Exception as error:
            shorten(error)
            raise
        return self._events.popleft()

    def _over(self) -> bool:
        """Return whether the run has ended; raise the error that ended it."""
        if self._task is None:
            raise RuntimeError("Enter the run first: async with agent.stream(...) as run: async for event in run: ...")
        if not self._task.done():
            return False
        error = self.state.error
        if error is None or (self._left and self.state.state == "cancelled"):
            return True
        raise error

    def _news(self) -> asyncio.Future[None]:
        """Return a future that is done when there is an event to read, or the run has ended."""
        if self._reader is not None and not self._reader.done():
            raise RuntimeError("Another task is reading this run already.")
        self._reader = asyncio.get_running_loop().create_future()
        return self._reader

    async def drain(self) -> RunResult[Output]:
        """Wait until the run has ended, without its events, and return the result.

        Raises:
            RunError: The run failed.
        """
        self.state.hear = None  # no event wakes this task, only the end
        self._events.clear()
        try:
            while not self._over():
                await self._news()
        except Exception as error:
            shorten(error)
            raise
        return self.result

    def _hear(self, event: Event) -> None:
        self._events.append(event)
        self._wake()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # the reader raises it; asyncio need not report it as lost
        self.state.hear = None  # so that the run and its data do not keep each other alive
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


async def cancel_and_wait(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task and wait until it has cleaned up, even when the waiting is cancelled too."""
    if task is None or task.done():
        return
    task.cancel()
    await wait_to_the_end([task])
