"""Calls of tools that are under way, and asyncio that takes them, and values of tools, for awaitables."""

from __future__ import annotations

import asyncio
import functools
import inspect
from asyncio import base_events
from collections.abc import Callable, Iterable
from typing import Any

from tinyagent.sandbox.child.interrupts import passes_on

#: Containers, which may be values of tools unless they hold what is to be awaited.
_CONTAINERS = frozenset({list, tuple, set, frozenset, dict})


class Pending(asyncio.Future[Any]):
    """The future value of a tool call that has been made; it may be awaited any number of times.

    Attributes:
        answer: What the host has answered, even before the event loop hears of it.
    """

    answer: dict[str, Any] | None = None


@passes_on
async def awaited(value: Any) -> Any:
    """Await a value; return a plain one as it is, since its tool was waited for already."""
    return value if _is_data(value) else await value


def _awaitable(value: Any) -> Any:
    """Return a value as something that asyncio takes for an awaitable."""
    return awaited(value) if _is_data(value) else value


def _is_data(value: Any) -> bool:
    """Return whether a value may be that of a tool; Python refuses what is neither that nor awaitable."""
    kind = type(value)
    if kind in _CONTAINERS:  # a list of awaitables lacks its star, which Python should tell
        parts = value.values() if kind is dict else value
        return not any(map(inspect.isawaitable, parts))
    return not (inspect.isawaitable(value) or callable(value) or hasattr(value, "__next__"))


def as_coroutine(value: Any) -> Any:
    """Return a value as something that asyncio takes for a coroutine."""
    return awaited(value) if type(value) is Pending or _is_data(value) else value


def _task(value: Any) -> Any:
    """Return a value as a future; a coroutine stays as it is, for asyncio to judge."""
    return asyncio.ensure_future(_awaitable(value)) if not inspect.iscoroutine(value) else value


def _accepting(
    function: Callable[..., Any], keyword: str, change: Callable[[Any], Any], place: int = 0
) -> Callable[..., Any]:
    """Return a function of asyncio with a change to one argument, which may come by place or by keyword."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if len(args) > place:
            args = (*args[:place], change(args[place]), *args[place + 1 :])
        elif keyword in kwargs:
            kwargs[keyword] = change(kwargs[keyword])
        return function(*args, **kwargs)

    return passes_on(wrapper)


def _gathering(gather: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(gather)
    def wrapper(*values: Any, **options: Any) -> Any:
        return gather(*map(_awaitable, values), **options)

    return passes_on(wrapper)


def _each(values: Iterable[Any]) -> Any:
    """Return the values of a collection as futures; a single awaitable, which asyncio refuses, stays as it is."""
    if inspect.isawaitable(values) or not isinstance(values, Iterable):
        return values
    return [_task(value) for value in values]


def teach_asyncio() -> None:
    """Have asyncio take the calls of tools in whatever form they come."""
    library: Any = asyncio
    library.gather = _gathering(asyncio.gather)
    library.wait = _accepting(asyncio.wait, "fs", _each)
    library.as_completed = _accepting(asyncio.as_completed, "fs", _each)
    library.wait_for = _accepting(asyncio.wait_for, "fut", _awaitable)
    library.shield = _accepting(asyncio.shield, "arg", _awaitable)
    library.ensure_future = _accepting(asyncio.ensure_future, "coro_or_future", _awaitable)
    loops: Any = base_events.BaseEventLoop
    loops.create_task = _accepting(loops.create_task, "coro", as_coroutine, 1)
    loops.run_until_complete = _accepting(loops.run_until_complete, "future", _awaitable, 1)
    runner: Any = asyncio.Runner
    runner.run = _accepting(runner.run, "coro", as_coroutine, 1)
