"""The only place that knows about threads: synchronous tools run here, off the event loop.

The threads are daemons: one that was abandoned, because its call timed out or was cancelled, never keeps the
program from ending. (The workers of asyncio and anyio do.) Forked copies of the process inherit its memory, and none of
its threads and event loops.
"""

from __future__ import annotations

import asyncio
import functools
import os
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import copy_context
from typing import Any, TypeVar

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.waiting import Places

T = TypeVar("T")

#: Synchronous tools that may run at once on one event loop. asyncio's own pool has only cores + 4 threads.
DEFAULT_THREADS = 64
#: Seconds that a thread waits for more work before it ends.
IDLE = 5.0

_slots = Places(DEFAULT_THREADS)
_lock = threading.Lock()
_idle: list[_Worker] = []


def in_forked_copy(function: Callable[[], None]) -> Callable[[], None]:
    """Call `function` first thing in every process that is forked from this one; a decorator.

    There it must renew locks, because a thread that the copy does not have may have held them.
    """
    if hasattr(os, "register_at_fork"):  # Windows does not fork
        os.register_at_fork(after_in_child=function)
    return function


@in_forked_copy
def _forget_threads() -> None:
    global _lock  # noqa: PLW0603 - one lock for the process
    _lock = threading.Lock()
    _idle.clear()


def set_thread_limit(threads: int) -> None:
    """Set how many synchronous tools may run at once on one event loop (default 64).

    The limit takes effect at the next call, for loops already running too.

    Raises:
        ConfigurationError: `threads` is not a whole number above 0.
    """
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigurationError(f"set_thread_limit({threads!r}): pass a whole number above 0.")
    _slots.number = threads


def thread_slot() -> AbstractAsyncContextManager[None]:
    """Hold one of the threads that the event loop may use, waiting for it first, to the end of the `async with` block.

    The slot is given back even if the thread was abandoned and is still at work.
    """
    return _slots.place()


async def run_in_thread(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call `function` in a worker thread, with this task's `contextvars`; the caller holds a `thread_slot`.

    When the caller is cancelled the thread is abandoned: it runs to its end, its result goes nowhere.
    """
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    work = functools.partial(copy_context().run, function, *args, **kwargs)
    with _lock:
        worker = _idle.pop() if _idle else None
    if worker is None:
        worker = _Worker()
        worker.start()
    worker.work.put((work, future))
    return await future


class _Worker(threading.Thread):
    """A thread that does one piece of work after the other, and ends when there was none for `IDLE` seconds."""

    def __init__(self) -> None:
        super().__init__(name="tinyagent worker", daemon=True)
        self.work: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            try:
                work, future = self.work.get(timeout=IDLE)
            except queue.Empty:
                with _lock:
                    if self in _idle:  # otherwise work is on its way
                        _idle.remove(self)
                        return
                continue
            self._do(work, future)
            del work, future  # an idle thread keeps nothing alive

    def _do(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        if future.cancelled():  # before its turn came
            with _lock:
                _idle.append(self)
            return
        result: Any = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised where the call is awaited
            failure = error
        with _lock:
            _idle.append(self)
        with suppress(RuntimeError):  # the loop has closed: nobody waits
            future.get_loop().call_soon_threadsafe(_settle, future, result, failure)


def _settle(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.done():
        return
    if isinstance(failure, StopIteration):  # a future cannot carry it
        failure = RuntimeError(f"StopIteration: {failure}")
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)
