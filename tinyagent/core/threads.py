"""The only place that knows about threads: synchronous tools run here, off the event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from tinyagent.core.errors import ConfigurationError

if TYPE_CHECKING:
    import asyncio

    from anyio import CapacityLimiter

T = TypeVar("T")

#: Synchronous tools that may run at once on one event loop. asyncio's own pool has only cores + 4 threads.
DEFAULT_THREADS = 64

_threads = DEFAULT_THREADS
_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, CapacityLimiter] = WeakKeyDictionary()


def set_thread_limit(threads: int) -> None:
    """Set how many synchronous tools may run at once on one event loop (default 64).

    Takes effect at once, for loops already running too.

    Raises:
        ConfigurationError: `threads` is not a whole number above 0.
    """
    global _threads  # noqa: PLW0603 - one setting for the process
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigurationError(f"set_thread_limit({threads!r}): pass a whole number above 0.")
    _threads = threads


def _limiter() -> CapacityLimiter:
    import asyncio

    from anyio import CapacityLimiter

    loop = asyncio.get_running_loop()
    limiter = _limiters.get(loop)
    if limiter is None:
        limiter = _limiters[loop] = CapacityLimiter(_threads)
    elif limiter.total_tokens != _threads:
        limiter.total_tokens = _threads
    return limiter


async def run_in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call `function` in a worker thread, with this task's `contextvars`.

    When the caller is cancelled the thread is abandoned: it runs to its end, its result goes nowhere.
    """
    from anyio import to_thread

    return await to_thread.run_sync(
        functools.partial(function, *args, **kwargs), abandon_on_cancel=True, limiter=_limiter()
    )
