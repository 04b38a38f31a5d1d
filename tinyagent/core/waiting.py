"""The event loop of asyncio, which the package needs, and waiting on it: so long, for tasks, a place, or a retry."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.jsonable import error_text

if TYPE_CHECKING:
    from anyio import CapacityLimiter

T = TypeVar("T")

#: Seconds before the first retry; doubled for each further one, up to LONGEST_BACKOFF, with jitter.
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 8.0


def asyncio_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop of asyncio.

    Raises:
        ConfigurationError: No loop of asyncio is running; the text names the library that runs instead, such as trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        other = _other_library()
    here = f"this is an event loop of {other}" if other else "no event loop is running here"
    raise ConfigurationError(
        f"tinyagent needs asyncio, and {here}. Await it inside asyncio.run(main()), or call "
        "tinyagent.run_sync(...) where nothing can be awaited."
    )


def once_per_loop(make: Callable[[], T]) -> Callable[[], T]:
    """Return a function that returns the running event loop's own object, which `make` makes when it is first asked."""
    made: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()

    def here() -> T:
        loop = asyncio.get_running_loop()
        found = made.get(loop)
        if found is None:
            found = made[loop] = make()
        return found

    return here


def _other_library() -> str | None:
    """Return the library whose event loop runs here, as such libraries tell `sniffio`; `None` where there is none."""
    sniffio = sys.modules.get("sniffio")
    try:
        return str(sniffio.current_async_library()) if sniffio is not None else None
    except Exception:  # noqa: BLE001 - sniffio's own error where no loop runs
        return None


def backoff(retry: int) -> float:
    """Return the seconds to wait before a retry, counted from 1: exponential, with up to a quarter off at random."""
    return float(min(FIRST_BACKOFF * 2 ** (retry - 1), LONGEST_BACKOFF) * random.uniform(0.75, 1.0))  # noqa: S311


def is_cancelled() -> bool:
    """Return whether the running task is being cancelled, and not only something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@asynccontextmanager
async def within(seconds: float | None, late: Exception) -> AsyncIterator[None]:
    """Break off the block after some seconds, and raise `late` then; a `TimeoutError` of the block's own passes.

    Args:
        seconds: How long the block may take; `None`: any time.
        late: What is raised when it took longer.
    """
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise late from error


@contextmanager
def blaming(kind: type[Exception], what: str, *ours: type[Exception]) -> Iterator[None]:
    """Turn whatever the user's code in the block raises into an error of a kind, which says what failed.

    Args:
        kind: The class of the error.
        what: What failed, as its text begins; what was raised follows.
        ours: Errors that pass as they are, as a cancellation of the running task does.
    """
    try:
        yield
    except ours:
        raise
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        raise kind(f"{what} {error_text(error)}") from error


async def wait_to_the_end(tasks: Collection[asyncio.Task[Any]], grace: float | None = None) -> None:
    """Wait until all tasks have ended, whatever they return or raise.

    Args:
        tasks: The tasks.
        grace: Seconds that the tasks have once the waiting is cancelled, until they are cancelled too; `None` for any.

    Raises:
        asyncio.CancelledError: The waiting was cancelled meanwhile; the tasks have ended all the same.
    """
    cancelled: asyncio.CancelledError | None = None
    while any(not task.done() for task in tasks):
        try:
            await asyncio.wait(tasks, timeout=grace if cancelled is not None else None)
            if cancelled is not None and grace is not None:
                for task in tasks:
                    task.cancel()
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


class Places:
    """A limit to how many tasks do something at once: a number of places for each key, on each event loop.

    Args:
        number: How many tasks may have a place of one key at the same time. It may be set anew, which takes effect when
            a place is next asked for.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, CapacityLimiter]] = WeakKeyDictionary()

    @asynccontextmanager
    async def place(self, key: str = "") -> AsyncIterator[None]:
        """Wait for a place of a key, and keep it for this block."""
        limiter, holder = self.limiter(key), object()
        await limiter.acquire_on_behalf_of(holder)
        try:
            yield
        finally:
            limiter.release_on_behalf_of(holder)

    def limiter(self, key: str = "") -> CapacityLimiter:
        """Return the limiter of a key on the running event loop."""
        from anyio import CapacityLimiter

        limiters = self._limiters.setdefault(asyncio.get_running_loop(), {})
        limiter = limiters.get(key)
        if limiter is None:
            limiter = limiters[key] = CapacityLimiter(self.number)
        elif limiter.total_tokens != self.number:
            limiter.total_tokens = self.number
        return limiter
