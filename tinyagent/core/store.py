"""Where the records of runs are kept: an append-only table `(run, key) -> text` in which the first write wins."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol


class Store(Protocol):
    """A place that keeps the records of runs, each text under a key. Any object with these two methods is a store."""

    def load(self, run: str, /) -> Awaitable[Mapping[str, str]]:
        """Return the records of a run, and of the runs inside it, as texts by key; an unknown run has none."""
        ...

    def put(self, run: str, key: str, text: str, /) -> Awaitable[bool]:
        """Record a text under a key of a run; return `False`, and change nothing, where the key has a text already."""
        ...


class MemoryStore:
    """A store that lasts as long as the object: for tests, and for runs that are taken up again in the same process."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, str]] = {}

    async def load(self, run: str) -> Mapping[str, str]:
        """Return a copy of the records of a run, by key."""
        return dict(self._runs.get(run, ()))

    async def put(self, run: str, key: str, text: str) -> bool:
        """Record a text under a key of a run; return `False` where the key has a text already."""
        records = self._runs.setdefault(run, {})
        if key in records:
            return False
        records[key] = text
        return True
