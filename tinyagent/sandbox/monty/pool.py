"""The worker processes of Monty: one pool for each event loop, there while a session or a sandbox holds it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tinyagent.core.errors import MissingExtraError, SandboxUnavailableError
from tinyagent.core.threads import in_forked_copy
from tinyagent.core.waiting import wait_to_the_end
from tinyagent.sandbox.base import SandboxLimits

if TYPE_CHECKING:
    from pydantic_monty import AsyncMonty, AsyncMontySession, OSPolicy

#: Workers that may run at once. Each session has one of its own, also while its agent waits for the model: the
#: package's own limit, the number of cores, would let the next session wait for ever.
MOST_WORKERS = 1_000_000
#: Questions that one session may ask its host. Our own limits end a session long before.
MOST_QUESTIONS = 1_000_000_000
#: Seconds that the end of the program may be held up.
PATIENCE_AT_EXIT = 1.0

_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()
_used = _cut_off = False


@in_forked_copy
def _cut_off_if_used() -> None:
    """Note that this forked copy cannot use the package: it would wait for ever for threads that were not copied."""
    global _cut_off  # noqa: PLW0603 - of the process
    _cut_off = _used


def require_monty() -> None:
    """Check that `pydantic-monty` is installed.

    Raises:
        MissingExtraError: The package is not installed; the text says how to install it.
    """
    try:
        import pydantic_monty  # noqa: F401 - imported here, so that no session waits for it
    except ImportError as error:
        raise MissingExtraError("pydantic-monty is not installed. Run: pip install 'tinyagent[monty]'") from error


class Pool:
    """The workers of one event loop. Starting it costs 2 to 5 ms with its first worker, a further session 0.3 ms."""

    def __init__(self) -> None:
        from pydantic_monty import AsyncMonty

        _guard_exit()
        try:
            self._monty: AsyncMonty = AsyncMonty(min_processes=0, max_processes=MOST_WORKERS)
        except Exception as error:  # the program of the package is not found
            raise _unavailable(error) from error
        self._entering: asyncio.Future[Any] | None = None
        self._holders = 0

    @classmethod
    async def hold(cls) -> Pool:
        """Return the pool of the running event loop, which stays until everyone who holds it has let it go.

        Raises:
            SandboxUnavailableError: No worker can run here; the text says why, and what to use instead.
        """
        global _used  # noqa: PLW0603 - of the process
        if _cut_off:
            raise SandboxUnavailableError(
                "MontySandbox cannot run in this process: it was forked from one that had used it, and the threads of "
                "pydantic-monty were lost. Fork before its first use, start processes by 'spawn', or use "
                "sandbox=ProcessSandbox()."
            )
        _used = True
        loop = asyncio.get_running_loop()
        pool = _pools.get(loop)
        if pool is None:
            pool = _pools[loop] = cls()
        pool._holders += 1
        try:
            if pool._entering is None:
                pool._entering = asyncio.ensure_future(pool._monty.__aenter__())
            await asyncio.wait([pool._entering])
            _result(pool._entering)
        except BaseException:
            await pool.let_go()
            raise
        return pool

    async def let_go(self) -> None:
        """Give the pool back; the last holder to do so ends it."""
        self._holders -= 1
        if self._holders:
            return
        loop = asyncio.get_running_loop()
        if _pools.get(loop) is self:
            del _pools[loop]
        await _finished(self._end())

    async def _end(self) -> None:
        if self._entering is not None:
            await asyncio.wait([self._entering])
            if self._entering.exception() is None:
                await self._monty.__aexit__(None, None, None)

    async def worker(self, limits: SandboxLimits, seed: str | None) -> AsyncMontySession:
        """Return a worker with an empty namespace; whoever gets the worker gives it back with `end`.

        Raises:
            SandboxUnavailableError: The worker did not start.
        """
        policy: OSPolicy = {"sleep": "call_host"}
        if seed is not None:
            policy["random_start"] = {"seed": seed}
        seconds = [float(limit) for limit in (limits.seconds, limits.cpu_seconds) if limit is not None]
        worker = self._monty.checkout(
            limits={
                "max_feed_duration_secs": min(seconds, default=None),
                "max_memory": limits.memory,
                "max_suspensions": MOST_QUESTIONS,
            },
            assert_message_annotations=False,
            os_policy=policy,
        )
        entering = asyncio.ensure_future(worker.__aenter__())
        try:
            await asyncio.wait([entering])
            _result(entering)
        except BaseException:
            entering.cancel()
            await end(worker)
            raise
        return worker


async def end(worker: AsyncMontySession) -> None:
    """Give a worker back. A worker whose turn was cancelled is killed; for one that is gone, do nothing."""
    with contextlib.suppress(RuntimeError):  # the worker has ended already
        await _finished(worker.__aexit__(None, None, None))


async def _finished(work: Any) -> None:
    """Wait until work is done, whatever happens; a cancellation is raised after that."""
    task: Any = asyncio.ensure_future(work)
    await wait_to_the_end([task])
    task.result()


def _result(future: asyncio.Future[Any]) -> None:
    try:
        future.result()
    except Exception as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> SandboxUnavailableError:
    return SandboxUnavailableError(
        f"MontySandbox cannot start a worker here: {error}. Install its program (pip install "
        "'tinyagent[monty]'), or use sandbox=ProcessSandbox()."
    )


@functools.cache
def _guard_exit() -> None:
    """Keep the program from ending while a thread of the package is about to return to Python.

    The package wakes the event loop from threads of its own, and `call_soon_threadsafe` lets go of the interpreter's
    lock while it writes to the loop's socket. A program that ends in that moment, as one does right after closing its
    last session, takes the lock away for ever; the thread is then unwound through code that cannot be, and the
    process aborts (one in five did). Such a thread can be seen: it is inside that function. Waiting for it takes a
    millisecond, where sleeping to be on the safe side would take 50.
    """
    atexit.register(_wait_for_threads)


def _wait_for_threads() -> None:
    until = time.monotonic() + PATIENCE_AT_EXIT
    own = threading.get_ident()
    while time.monotonic() < until:
        frames = sys._current_frames()  # noqa: SLF001 - the one way to see threads that Python did not start
        if not any(ident != own and _wakes_loop(frame) for ident, frame in frames.items()):
            return
        time.sleep(0.001)


def _wakes_loop(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "call_soon_threadsafe":
            return True
        frame = frame.f_back
    return False
