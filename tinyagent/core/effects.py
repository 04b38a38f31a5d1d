"""The seam through which every model call and every tool call of a run passes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class Effects(Protocol):
    """Performs the outside effects of a run.

    Keys are names, never positions: `<run id>/<turn>/model`, `<run id>/<turn>/tool/<call id>`. An
    implementation may answer a key from a journal instead of calling.
    """

    def step(self, key: str, call: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        """The result of `call()`, made now or remembered under `key`; usually an `async def`."""
        ...


@runtime_checkable
class Journal(Effects, Protocol):
    """Effects that remember: what was recorded is answered, also in another process."""

    def recorded(self, prefix: str) -> Collection[str]:
        """The keys that begin so and are answered without a call."""
        ...


class DirectEffects:
    """The default: every call is made."""

    def step(self, key: str, call: Callable[[], Awaitable[T]]) -> Awaitable[T]:  # noqa: ARG002
        """Call `call`."""
        return call()
