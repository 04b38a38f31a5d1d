"""Where the records of runs are kept: an append-only table `(run, key) -> text` in which the first write wins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

#: How a text begins that a store's `redact=` has changed. No JSON text does; a run is never answered from it.
REDACTED = "\x00redacted\x00"


class Store(Protocol):
    """A place that keeps the records of runs, each text under a key. Any object with these five methods is a store."""

    def load(self, run: str, /) -> Awaitable[Mapping[str, str]]:
        """Return the records of a run, and of the runs inside it, as texts by key, in the order in which they came.

        An unknown run has none.
        """
        ...

    def put(self, run: str, key: str, text: str, /) -> Awaitable[bool]:
        """Record a text under a key of a run; return `False`, and change nothing, where the key has a text already."""
        ...

    def runs(self, without: str | None = None, /) -> Awaitable[Sequence[str]]:
        """Return the names of all runs that have records, in the order in which they began.

        Args:
            without: Leave out the runs that have a record under `<run>/<without>`.
        """
        ...

    def delete(self, run: str, /) -> Awaitable[None]:
        """Delete every record of a run; do nothing where there are none."""
        ...

    def claim(self, run: str, /) -> AbstractAsyncContextManager[bool]:
        """Return a context that holds a run for whoever enters it, so that no one else works on the run meanwhile.

        Entering gives `False`, at once, where someone else holds the run, in this process or in another one. The claim
        of a process that has died is free.
        """
        ...


class MemoryStore:
    """A store that lasts as long as the object: for tests, and for runs that are taken up again in the same process.

    Args:
        runs: Records to begin with, by key, for each run.
    """

    def __init__(self, runs: Mapping[str, Mapping[str, str]] = {}) -> None:
        self._runs = {run: dict(records) for run, records in runs.items()}
        self._claimed: set[str] = set()

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

    async def runs(self, without: str | None = None) -> Sequence[str]:
        """Return the names of all runs; `without` leaves out those with a record under `<run>/<without>`."""
        return [run for run, records in self._runs.items() if without is None or f"{run}/{without}" not in records]

    async def delete(self, run: str) -> None:
        """Delete every record of a run."""
        self._runs.pop(run, None)

    @asynccontextmanager
    async def claim(self, run: str) -> AsyncIterator[bool]:
        """Hold a run; give `False` where someone else holds it."""
        mine = run not in self._claimed
        self._claimed.add(run)
        try:
            yield mine
        finally:
            if mine:
                self._claimed.discard(run)
