"""Where the records of runs are kept: an append-only table `(run, key) -> text` in which the first write wins."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol


class Store(Protocol):
    """Keeps what happened in runs. Anything with these two methods is one."""

    def load(self, run: str, /) -> Awaitable[Mapping[str, str]]:
        """Return all records of a run and of the runs inside it, by key; none for a run that it does not know."""
        ...

    def put(self, run: str, key: str, text: str, /) -> Awaitable[bool]:
        """Record a text. Return `False`, and change nothing, where the key has one already."""
        ...


class MemoryStore:
    """A store that lasts as long as the object: for tests, and for runs that are to be taken up in the same process."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, str]] = {}

    async def load(self, run: str) -> Mapping[str, str]:
        """Return a copy of the records."""
        return dict(self._runs.get(run, ()))

    async def put(self, run: str, key: str, text: str) -> bool:
        """Record a text, unless the key has one."""
        records = self._runs.setdefault(run, {})
        if key in records:
            return False
        records[key] = text
        return True
