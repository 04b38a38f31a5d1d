"""Turns: how long all fetches of an event loop may hold it before the other tasks go on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from tinyagent.core.waiting import once_per_loop

#: Seconds for which all fetches together may hold the event loop before its other tasks go on.
TURN = 0.02


class Turns:
    """The time that the fetches of one event loop have taken in the cycle it is in.

    A cycle is what the loop does from one look at the network to the next: it goes through all tasks that can go on.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._readers = 0

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Count as one of the readers that share the time, in this block."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    @property
    def share(self) -> float:
        """Seconds for which each of the readers may go on."""
        return TURN / max(1, self._readers)

    async def wait(self) -> None:
        """Wait for a cycle in which there is time left."""
        while self._over():  # noqa: ASYNC110 - the next cycle comes of itself, and no event could be set sooner
            await asyncio.sleep(0)

    def _over(self) -> bool:
        now = monotonic()
        if self._began is None:
            self._began = now
            asyncio.get_running_loop().call_soon(self._end)  # the loop calls it in its next cycle
        return now - self._began > TURN

    def _end(self) -> None:
        self._began = None


#: Returns the `Turns` of the running event loop.
turns = once_per_loop(Turns)
