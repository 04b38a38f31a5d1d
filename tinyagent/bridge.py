"""`run_sync`: the one bridge for code that cannot await."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextvars import copy_context
from typing import Any, TypeVar

from tinyagent.core.door import shorten
from tinyagent.core.errors import ConfigurationError

T = TypeVar("T")


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and return its result: `run_sync(agent.run("..."))`.

    Where no event loop is running this is `asyncio.run`. Where one is (a notebook, a callback inside an async
    framework) the coroutine runs in a thread and loop of its own, and this call blocks the running loop until
    the coroutine ends: prefer `await`. The running loop is not patched. Ctrl-C cancels the coroutine and waits
    for its clean-up.

    Raises:
        ConfigurationError: The argument is not a coroutine.
        Exception: Whatever the coroutine raises.
    """
    if not asyncio.iscoroutine(coroutine):
        raise ConfigurationError(f"run_sync({coroutine!r}): pass a coroutine, such as run_sync(agent.run('...')).")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        run: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run
    else:
        run = _run_in_thread
    try:
        return run(coroutine)
    except Exception as error:
        shorten(error)
        raise


def _run_in_thread(coroutine: Coroutine[Any, Any, T]) -> T:
    outcome: list[T] = []
    failure: list[BaseException] = []
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    context = copy_context()

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is in a task
        running.append((asyncio.get_running_loop(), task))
        outcome.append(await coroutine)

    def work() -> None:
        try:
            context.run(asyncio.run, main())
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            failure.append(error)

    def cancel() -> None:
        for loop, task in running:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(task.cancel)

    thread = threading.Thread(target=work, name="tinyagent run_sync")
    with _interrupts_go_to(cancel):
        thread.start()
        thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


@contextlib.contextmanager
def _interrupts_go_to(cancel: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C call `cancel` within the block, and raise KeyboardInterrupt at its end.

    The event loop's own handler would only cancel the loop's task, which cannot act while this thread waits.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted: list[int] = []

    def on_interrupt(number: int, _: object) -> None:
        interrupted.append(number)
        cancel()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupted:
        raise KeyboardInterrupt
