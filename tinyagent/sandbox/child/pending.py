"""Calls of async tools that are under way: a future of the value, and a stand-in for it where its use is not known."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json
import operator
from asyncio import base_events
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from tinyagent.sandbox.child.interrupts import passes_on

if TYPE_CHECKING:
    from tinyagent.sandbox.child.remote import Tools

#: Containers that are looked through for calls whose values are meant, and most of them that are.
_CONTAINERS = frozenset({list, tuple, set, frozenset, dict})
_MOST = 10_000


class Pending(asyncio.Future[Any]):
    """The future value of a tool call that has been made; it may be awaited any number of times.

    Attributes:
        answer: What the host has answered, even before the event loop hears of it.
    """

    answer: dict[str, Any] | None = None


class Lazy:
    """A tool call of which nobody knows yet how it is meant: it can be awaited, or used as its value."""

    __slots__ = ("_pending", "_seen", "_tools")
    made = False  # whether there ever was a lazy call

    def __init__(self, tools: Tools, pending: Pending) -> None:
        Lazy.made = True
        self._tools = tools
        self._pending = pending
        self._seen = False

    def __await__(self) -> Generator[Any, None, Any]:
        return self.pending().__await__()

    def pending(self) -> Pending:
        """Return the future of the value, for whoever awaits the call."""
        self._seen = True
        return self._pending

    @passes_on
    def value(self) -> Any:
        """Wait for the value of the call, and return it."""
        self._seen = True
        return self._tools.value_of(self._pending)

    @property
    def was_seen(self) -> bool:
        """Whether anybody has awaited or used the call."""
        return self._seen

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.value())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.value(), name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.value().__reduce_ex__(protocol)


_LOOKED_INTO = _CONTAINERS | {Lazy}


def _forward(name: str, function: Callable[..., Any]) -> None:
    @passes_on
    def method(self: Lazy, *args: Any, **kwargs: Any) -> Any:
        return function(self.value(), *map(plain, args), **kwargs)

    setattr(Lazy, name, method)


def _swapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda value, other, *rest: function(other, value, *rest)


_OWN: tuple[Callable[..., Any], ...] = (
    str,
    repr,
    format,
    int,
    float,
    complex,
    bytes,
    len,
    iter,
    next,
    reversed,
    hash,
    round,
    dir,
)
for _function in _OWN:
    _forward(f"__{_function.__name__}__", _function)
for _name in (
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "lshift",
    "rshift",
    "and_",
    "or_",
    "xor",
):
    _forward(f"__{_name.rstrip('_')}__", getattr(operator, _name))
    _forward(f"__r{_name.rstrip('_')}__", _swapped(getattr(operator, _name)))
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "index", "contains"):
    _forward(f"__{_name}__", getattr(operator, _name))
for _name in ("getitem", "setitem", "delitem"):
    _forward(f"__{_name}__", getattr(operator, _name))
_forward("__bool__", operator.truth)
_forward("__divmod__", divmod)
_forward("__rdivmod__", _swapped(divmod))
_forward("__call__", lambda value, *args, **kwargs: value(*args, **kwargs))


def plain(value: Any) -> Any:
    """Return a value as it is, or, for a lazy call, wait for the call's value and return that."""
    return value.value() if type(value) is Lazy else value


def all_plain(value: Any, of: Callable[[Lazy], Any] = Lazy.value, known: dict[int, Any] | None = None) -> Any:
    """Return a value in which no lazy call is left; its lists, sets and dicts are changed in place.

    Args:
        value: The value.
        of: Returns what takes the place of a lazy call; default: the call's value.
        known: Containers that have been looked through, by their ids, and what has become of them.
    """
    if type(value) is Lazy:
        return of(value)
    if type(value) in _CONTAINERS and Lazy.made:
        with contextlib.suppress(RecursionError):  # nobody keeps calls in containers that deep
            return _made_plain(value, of, {} if known is None else known)
    return value


def _made_plain(value: Any, of: Callable[[Lazy], Any], known: dict[int, Any]) -> Any:
    kind = type(value)
    if kind is Lazy:
        return of(value)
    if kind not in _CONTAINERS or len(known) > _MOST or id(value) in known:
        return known.get(id(value), value)
    known[id(value)] = value  # for a container that holds itself
    if _LOOKED_INTO.isdisjoint(map(type, value)) and (
        kind is not dict or _LOOKED_INTO.isdisjoint(map(type, value.values()))
    ):
        return value
    parts = [*value, *value.values()] if kind is dict else [*value]
    changed = [_made_plain(part, of, known) for part in parts]
    if any(new is not old for new, old in zip(changed, parts, strict=True)):
        known[id(value)] = _with_parts(value, changed)
    return known[id(value)]


def _with_parts(value: Any, parts: list[Any]) -> Any:
    """Return a container with other parts; for a dict, its keys come before its values.

    A container that can change stays the same object, since others may know it, too.
    """
    if type(value) is dict:
        half = len(parts) // 2
        pairs = list(zip(parts[:half], parts[half:], strict=False))
        if any(type(key) is Lazy for key in value):
            value.clear()
        value.update(pairs)
    elif type(value) is list:
        value[:] = parts
    elif type(value) is set:
        value.clear()
        value.update(parts)
    else:
        return type(value)(parts)
    return value


# ---- asyncio with what the calls of tools may be


@passes_on
async def awaited(value: Any) -> Any:
    """Await a value; return a plain one as it is, since its tool was waited for already."""
    if type(value) is Lazy:
        return await value.pending()
    return value if _is_data(value) else await value


def _awaitable(value: Any) -> Any:
    """Return a value as something that asyncio takes for an awaitable."""
    if type(value) is Lazy:
        return value.pending()
    return awaited(value) if _is_data(value) else value


def _is_data(value: Any) -> bool:
    """Return whether a value may be that of a tool; Python refuses what is neither that nor awaitable."""
    kind = type(value)
    if kind in _CONTAINERS:  # a list of awaitables lacks its star, which Python should tell
        parts = value.values() if kind is dict else value
        return not any(type(part) is Lazy or inspect.isawaitable(part) for part in parts)
    return not (inspect.isawaitable(value) or callable(value) or hasattr(value, "__next__"))


def as_coroutine(value: Any) -> Any:
    """Return a value as something that asyncio takes for a coroutine."""
    return awaited(value) if type(value) in (Lazy, Pending) or _is_data(value) else value


def _task(value: Any) -> Any:
    """Return a value as a future; a coroutine stays as it is, for asyncio to judge."""
    return asyncio.ensure_future(_awaitable(value)) if not inspect.iscoroutine(value) else value


def _accepting(function: Callable[..., Any], keyword: str, change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a function of asyncio with a change to its first argument, which may come by `keyword`."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if args:
            return function(change(args[0]), *args[1:], **kwargs)
        if keyword in kwargs:
            kwargs[keyword] = change(kwargs[keyword])
        return function(**kwargs)

    return passes_on(wrapper)


def _gathering(gather: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(gather)
    def wrapper(*values: Any, **options: Any) -> Any:
        return gather(*map(_awaitable, values), **options)

    return passes_on(wrapper)


def _starting(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of asyncio that takes a coroutine, so that it also takes calls of tools."""

    @functools.wraps(method)
    def wrapper(self: Any, coro: Any, **options: Any) -> Any:
        return method(self, as_coroutine(coro), **options)

    return passes_on(wrapper)


def _each(values: Iterable[Any]) -> Any:
    """Return the values of a collection as futures; a single awaitable, which asyncio refuses, stays as it is."""
    if type(values) is Lazy:
        values = values.value()
    if inspect.isawaitable(values) or not isinstance(values, Iterable):
        return values
    return [_task(value) for value in values]


def teach_asyncio() -> None:
    """Have asyncio and json take the calls of tools in whatever form they come."""
    library: Any = asyncio
    library.gather = _gathering(asyncio.gather)
    library.wait = _accepting(asyncio.wait, "fs", _each)
    library.as_completed = _accepting(asyncio.as_completed, "fs", _each)
    library.wait_for = _accepting(asyncio.wait_for, "fut", _awaitable)
    library.shield = _accepting(asyncio.shield, "arg", _awaitable)
    library.ensure_future = _accepting(asyncio.ensure_future, "coro_or_future", _awaitable)
    loops: Any = base_events.BaseEventLoop
    loops.create_task = _starting(loops.create_task)
    runner: Any = asyncio.Runner
    runner.run = _starting(runner.run)
    encoder: Any = json.JSONEncoder
    encoder.default = _encoding(encoder.default)


def _encoding(default: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(default)
    def wrapper(self: Any, o: Any) -> Any:
        return o.value() if type(o) is Lazy else default(self, o)

    return wrapper
