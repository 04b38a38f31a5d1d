"""Places: a limit to how many tasks do something at once on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from anyio import CapacityLimiter


class Places:
    """A number of places for each key, on each event loop.

    Args:
        number: How many tasks may have a place of one key at the same time.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, CapacityLimiter]] = WeakKeyDictionary()

    @asynccontextmanager
    async def place(self, key: str = "") -> AsyncIterator[None]:
        """Wait for a place of a key, and keep it for this block."""
        from anyio import CapacityLimiter

        limiters = self._limiters.setdefault(asyncio.get_running_loop(), {})
        limiter = limiters.get(key)
        if limiter is None:
            limiter = limiters[key] = CapacityLimiter(self._number)
        holder = object()
        await limiter.acquire_on_behalf_of(holder)
        try:
            yield
        finally:
            limiter.release_on_behalf_of(holder)
