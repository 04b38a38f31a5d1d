"""A session whose code runs in a worker of Monty."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from tinyagent.core.errors import ConfigurationError, SandboxError
from tinyagent.core.result import CodeError, Execution
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import Caller, SandboxLimits, SandboxSession, check_names, check_not_waited_for
from tinyagent.sandbox.block import Block
from tinyagent.sandbox.monty.driver import Driver, Lost
from tinyagent.sandbox.monty.namespace import Namespace
from tinyagent.sandbox.monty.pool import Pool
from tinyagent.sandbox.monty.values import to_monty

T = TypeVar("T")

_GONE = "All variables, functions and imports are gone"


class MontySession(SandboxSession):
    """One namespace in a worker, which is replaced when it is lost.

    Args:
        tools: What the code can call, by name.
        limits: What the code may use.
        call: Answers the code's tool calls.
        seed: Seeds the code's random numbers; `None` leaves them random.
    """

    def __init__(
        self, tools: Mapping[str, Tool[..., Any]], limits: SandboxLimits, call: Caller, seed: str | None
    ) -> None:
        self._tools = tools
        self._limits = limits
        self._call = call
        self._seed = seed
        self._pool: Pool | None = None
        self._space: Namespace | None = None
        self._lock = asyncio.Lock()
        self._closed = False
        self._blocks = 0
        self._block: Block | None = None
        self._killer: asyncio.TimerHandle | None = None
        self._values: dict[str, Any] = {}
        self._untold: tuple[str, ...] | None = None  # names that were lost at a time when nobody could be told

    # ---- the worker

    async def start(self) -> None:
        """Get a worker from the pool of the running event loop.

        Raises:
            SandboxUnavailableError: No worker can run here; the text says why, and what to use instead.
            SandboxError: The session is closed, or its worker did not start.
        """
        async with self._lock:
            await self._ready()

    async def _ready(self) -> Namespace:
        if self._closed:
            raise SandboxError("This sandbox session is closed.")
        if self._space is not None:
            return self._space
        pool = await Pool.hold()
        try:
            worker = await pool.worker(self._limits, self._seed)
        except BaseException:
            await pool.let_go()
            raise
        driver = Driver(worker, self._tools, self._limits, lambda: self._stop("the block was cancelled"))
        self._pool, self._space = pool, Namespace(driver, self._tools, self._limits)
        try:
            await self._between_blocks(self._space, self._space.begin(self._values))
        except BaseException:  # a session that could not be entered is never left
            await self._drop()
            raise
        return self._space

    async def _between_blocks(self, space: Namespace, work: Awaitable[T]) -> T:
        """Wait for work on the namespace that is done between blocks, and return its result.

        Raises:
            SandboxError: The worker is lost.
        """
        from pydantic_monty import MontyError

        try:
            return await work
        except (Lost, MontyError) as error:
            self._untold = space.names
            await self._drop()
            raise SandboxError(f"The sandbox was ended: {error}. {_GONE}.") from error
        finally:
            self._settle(space.driver)

    async def _drop(self) -> None:
        """Give the worker back, and forget it."""
        space, pool = self._space, self._pool
        self._space = self._pool = None
        try:
            if space is not None:
                await space.driver.end()
        finally:
            if pool is not None:
                await pool.let_go()

    def _settle(self, driver: Driver) -> None:
        """Raise the cancellation that had to wait until nothing runs any more."""
        if self._killer is not None:
            self._killer.cancel()
            self._killer = None
        cancelled, driver.cancelled = driver.cancelled, None
        if cancelled is not None:
            raise cancelled

    # ---- blocks

    async def execute(
        self, code: str | AsyncIterable[str], *, on_output: Callable[[str], None] | None = None
    ) -> Execution:
        """Run a block of code and return what it gave, as `SandboxSession.execute` says."""
        check_not_waited_for(self._block)
        async with self._lock:
            space = await self._ready()
            self._blocks += 1
            block = self._block = space.driver.block = Block(self._blocks, self._limits, on_output, self._call)
            block.soon = asyncio.get_running_loop().call_soon_threadsafe  # the package has threads of its own
            block.clock.computed = space.driver.seconds
            block.on_stop = lambda: self._interrupt(f"{block.stopped}")
            block.on_fatal = space.driver.stop
            untold, self._untold = self._untold, None
            self.last = None
            try:
                execution = self.last = await self._run(space, block, code)
            finally:
                try:
                    await self._end(space.driver, block)
                finally:
                    if self.last is None:
                        self.last = block.broken_off(space.names)
        if untold is None or execution.error is None:
            return execution
        return replace(execution, error=replace(execution.error, names=untold, lost=True))

    async def _run(self, space: Namespace, block: Block, code: str | AsyncIterable[str]) -> Execution:
        try:
            execution = await space.run(block, code)
        except Lost as lost:
            if space.driver.cancelled is not None:
                self._untold = space.names
            await self._drop()
            execution = block.execution(None, None, _loss(block, lost, space.names))
        if block.fatal is not None:
            raise block.fatal
        return execution

    async def _end(self, driver: Driver, block: Block) -> None:
        """Leave nothing of a block that has run: stop its clock, end its calls."""
        block.clock.stop()
        self._block = driver.block = None
        try:
            await block.end_calls()
        finally:
            try:
                if self._closed:
                    await self._drop()
            finally:
                self._settle(driver)

    def _stop(self, reason: str) -> None:
        """Interrupt what runs; kill the worker if that does not stop within the grace."""
        if self._block is not None:
            self._block.stop(reason)
        else:
            self._interrupt(reason)

    def _interrupt(self, reason: str) -> None:
        driver = self._space.driver if self._space is not None else None
        if driver is None or not driver.is_busy or self._killer is not None:
            return
        driver.stop()

        def kill() -> None:
            if driver.is_busy:
                driver.kill(f"{reason}, and could not be interrupted")

        self._killer = asyncio.get_running_loop().call_later(self._limits.grace, kill)

    async def interrupt(self) -> None:
        """Stop the block that runs, as Ctrl-C would; its names stay, unless it computes and has to be killed."""
        if self._block is not None:
            self._stop("the block was interrupted")

    # ---- values

    async def set(self, values: Mapping[str, Any]) -> None:
        """Set names in the namespace, also of a worker that replaces this one; see `SandboxSession.set`."""
        check_names(values, self._tools)
        check_not_waited_for(self._block)
        async with self._lock:
            space = await self._ready()
            for name, value in values.items():
                try:
                    taken = to_monty(value)
                except ValueError as error:
                    raise ConfigurationError(f"{name}: too large to cross into the sandbox.") from error
                await self._between_blocks(space, space.set(name, taken))
                self._values[name] = taken

    async def get(self, *names: str) -> dict[str, Any]:
        """Return the values of the given names that exist, as `SandboxSession.get` says."""
        check_not_waited_for(self._block)
        async with self._lock:
            space = await self._ready()
            return await self._between_blocks(space, space.get(names))

    async def close(self) -> None:
        """End the session and everything the code started."""
        self._closed = True
        space, block = self._space, self._block
        if space is not None:
            self._stop("the session was closed")
            waits = space.driver.is_busy or (block is not None and block.calls_in_flight > 0)
            space.driver.kill("it was closed")
            await self._drop()
            if not waits:
                return
        async with self._lock:  # free when nothing that the code started is left
            await self._drop()


def _loss(block: Block, lost: Lost, names: tuple[str, ...]) -> CodeError:
    """Return the error of a block whose worker is gone."""
    kind, reason = lost.kind, str(lost)
    if kind == "SandboxLost":
        kind = block.stop_kind if block.stopped is not None else kind
        reason = f"the sandbox was ended: {reason}"
    return CodeError(kind, f"{reason}. {_GONE}.", names=names, lost=True)
