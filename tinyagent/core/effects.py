"""The seam through which every model call and every tool call of a run passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from tinyagent.core.errors import ConfigurationError, JournalError, TinyAgentError
from tinyagent.core.jsonable import error_text
from tinyagent.core.waiting import is_cancelled

T = TypeVar("T")


class Effects(Protocol):
    """Performs the outside effects of a run.

    Keys are names, never positions: `<run id>/<turn>/model`, `<run id>/<turn>/tool/<call id>`. An
    implementation may answer a key from a journal instead of calling.
    """

    def step(self, key: str, call: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        """The result of `call()`, made now or remembered under `key`; usually an `async def`.

        What it raises for a tool without having made the call is told to the model, as if the tool had raised it.
        Any other error of its own ends the run with a `JournalError`.
        """
        ...


@runtime_checkable
class Journal(Effects, Protocol):
    """Effects that remember: what was recorded is answered, also in another process."""

    def recorded(self, prefix: str) -> Collection[str]:
        """The keys that begin so and are answered without a call."""
        ...


def journal_of(effects: Effects) -> Journal | None:
    """Return the effects if they remember. A check of the whole protocol would take 15 µs, for each block of code."""
    return cast("Journal", effects) if hasattr(effects, "recorded") else None


def recorded(journal: Journal, prefix: str) -> list[str]:
    """Return the keys of a journal that begin so.

    Raises:
        JournalError: It failed.
    """
    try:
        return list(journal.recorded(prefix))
    except Exception as error:
        raise journal_failed(journal, error_text(error)) from error


def is_recorded(effects: Effects, key: str) -> bool:
    """Return whether a journal answers the call of that name.

    Raises:
        JournalError: It failed.
    """
    journal = journal_of(effects)
    return journal is not None and key in recorded(journal, key)


class DirectEffects:
    """The default: every call is made."""

    def step(self, key: str, call: Callable[[], Awaitable[T]]) -> Awaitable[T]:  # noqa: ARG002
        """Call `call`."""
        return call()


_DIRECT = DirectEffects()


def checked_effects(effects: Effects | None) -> Effects:
    """The effects of a run; those that make every call where none are given.

    Raises:
        ConfigurationError: They are something else.
    """
    if effects is None:
        return _DIRECT
    if isinstance(effects, type) or not callable(getattr(effects, "step", None)):
        raise ConfigurationError(
            f"effects={effects!r}: pass an object with 'async def step(self, key, call)', which returns what call() "
            "gives or what it remembers (see Effects and Journal)."
        )
    return effects


def performed(
    effects: Effects, key: str, call: Callable[[], Awaitable[T]], *, may_refuse: bool = False
) -> Awaitable[T]:
    """The result of `call()` by way of `effects`.

    Args:
        effects: They.
        key: The name of the call.
        call: Makes it.
        may_refuse: What they raise without having called is the answer, and no failure of theirs.

    Raises:
        JournalError: They failed, and not the call.
        Exception: Whatever the call raises, now or as it is remembered.
    """
    return call() if type(effects) is DirectEffects else _performed(effects, key, call, may_refuse)


def remembered(effects: Effects, key: str, *, may_refuse: bool = False) -> Awaitable[Any]:
    """The recorded result of the call of that name, for what is done no more: see `performed`."""
    return performed(effects, key, _nothing, may_refuse=may_refuse)


async def _nothing() -> None:
    """What is not called, because it is recorded."""


async def _performed(effects: Effects, key: str, call: Callable[[], Awaitable[T]], may_refuse: bool) -> T:
    ended: list[type[BaseException] | None] = []  # how the call did, each time that it was made

    async def watched() -> T:
        try:
            value = await call()
        except BaseException as error:
            ended.append(type(error))
            raise
        ended.append(None)
        return value

    try:
        return await effects.step(key, watched)
    except TinyAgentError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        is_answer = may_refuse if not ended else type(error) is ended[-1]
        if is_answer or (isinstance(error, asyncio.CancelledError) and is_cancelled()):
            raise
        raise journal_failed(effects, error_text(error)) from error


def journal_failed(effects: object, said: str) -> JournalError:
    """The failure of a journal, in words."""
    return JournalError(f"The journal (effects={type(effects).__name__}) failed: {said}")
