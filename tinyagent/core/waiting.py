"""Waiting to the end, also when the waiting is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any


def is_cancelled() -> bool:
    """Whether this task is being cancelled, and not only something it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def wait_to_the_end(tasks: Collection[asyncio.Task[Any]], grace: float | None = None) -> None:
    """Wait until all tasks have ended, whatever they gave.

    Args:
        tasks: Them.
        grace: Seconds that they have once the waiting is cancelled; then they are cancelled too. `None`: any time.

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
