"""The host's tools as functions of the sandbox: `search(q)`, `await search(q)`, `gather(search(a), search(b))`."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import functools
import itertools
import sys
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from types import FrameType
from typing import Any
from weakref import WeakSet

from tinyagent.core.codec import pack
from tinyagent.sandbox.child.channel import Channel
from tinyagent.sandbox.child.interrupts import interrupts, passes_on
from tinyagent.sandbox.child.output import Output
from tinyagent.sandbox.child.pending import Lazy, Pending, all_plain, as_coroutine, awaited

#: The error of a call whose block has ended before the call was answered.
_GONE = {
    "type": "RuntimeError",
    "bases": [],
    "args": ["this call was broken off when its block ended"],
    "text": "this call was broken off when its block ended",
}


class ToolError(Exception):
    """A tool of the host failed in a way that Python has no exception for."""


class BlockEnded(BaseException):
    """Raised in the code when a tool gave the answer of the run, which ends the block."""


class Tools:
    """What all tools of a session share.

    Attributes:
        by_name: The tools, by name.
        ended: Whether a tool has ended the block that runs.
        awaited_at: Where awaited calls stand in functions: file, lines and columns.
    """

    def __init__(self, channel: Channel, output: Output) -> None:
        self.by_name: dict[str, RemoteTool] = {}
        self.ended = False
        self.awaited_at: frozenset[tuple[Any, ...]] = frozenset()
        self._lazy: list[Lazy] = []  # the lazy calls of this block
        self._open: dict[int, Pending] = {}
        self._channel = channel
        self._output = output
        self._watching: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    def add(self, name: str, is_async: bool, doc: str) -> RemoteTool:
        """Add a tool of the host, and return it."""
        tool = self.by_name[name] = RemoteTool(self, name, is_async, doc)
        return tool

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a tool, wait for its value, and return it."""
        call = self._channel.new_call()
        self._send(call, name, args, kwargs)
        answer = self._channel.answer(call)
        interrupts.checkpoint()
        return self._value(answer)

    def start(
        self, loop: asyncio.AbstractEventLoop, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Pending:
        """Call a tool, and return the future of its value."""
        if loop not in self._watching:
            self._watching.add(loop)
            loop.add_reader(self._channel.fileno(), self._channel.read_ready)
        pending = Pending(loop=loop)

        def settle() -> None:
            if pending.done() or pending.answer is None:
                return
            try:
                pending.set_result(self._value(pending.answer))
            except BaseException as error:  # noqa: BLE001 - raised where the future is awaited
                pending.set_exception(error)
                pending._log_traceback = False  # noqa: SLF001 - the host has told of it

        def hear(answer: dict[str, Any]) -> None:  # called in whatever thread reads
            pending.answer = answer
            self._open.pop(call, None)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle)

        call = self._channel.new_call(hear)
        self._open[call] = pending
        pending.add_done_callback(functools.partial(self._withdraw, call))
        self._send(call, name, args, kwargs)
        return pending

    def lazy(self, pending: Pending) -> Lazy:
        """Return a stand-in for a call that is under way, to be awaited or used as its value."""
        lazy = Lazy(self, pending)
        self._lazy.append(lazy)
        return lazy

    def value_of(self, pending: Pending) -> Any:
        """Wait for the value of a call, outside the event loop, and return it.

        Raises:
            BaseException: What the tool raised; `BlockEnded` if its value has ended the block.
        """
        self._channel.wait_until(lambda: pending.answer is not None or pending.cancelled())
        interrupts.checkpoint()
        return pending.result() if pending.answer is None else self._value(pending.answer)

    def settle(self) -> None:
        """Wait for calls that nobody has looked at: they have been made, and may have failed."""
        for each in self._lazy:
            if not each.was_seen:
                each.value()

    def end_calls(self, names: dict[str, Any]) -> None:
        """End the calls of a block that is over: those in flight fail, and values take the place of lazy calls.

        Args:
            names: The namespace of the code, in which the values are put.
        """
        for call, pending in list(self._open.items()):
            self._channel.forget(call)
            pending.answer = {"e": _GONE}
            with contextlib.suppress(asyncio.InvalidStateError, RuntimeError):  # done, or its loop is closed
                pending.set_exception(_exception(_GONE))
                pending._log_traceback = False  # noqa: SLF001 - nobody need await it
        self._open.clear()
        if self._lazy:
            known: dict[int, Any] = {}
            for name, value in list(names.items()):
                if (new := all_plain(value, _come, known)) is not value:
                    names[name] = new
            self._lazy = []

    def _withdraw(self, call: int, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._open.pop(call, None)
            self._channel.forget(call)
            self._channel.send({"t": "cancel", "id": call})

    def _send(self, call: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._output.flush()
        opaque: list[str] = []
        packed = [pack(all_plain(value), opaque=opaque) for value in args]
        named = {key: pack(all_plain(value), opaque=opaque) for key, value in kwargs.items()}
        self._channel.send({"t": "call", "n": name, "a": packed, "k": named, "id": call})
        if opaque:
            kinds = ", ".join(sorted(set(opaque)))
            sys.stderr.write(f"note: {name}() received the text of: {kinds}; only data can leave the sandbox\n")

    def _value(self, answer: dict[str, Any]) -> Any:
        """Return the value of an answer.

        Raises:
            BaseException: What the tool raised; `BlockEnded` if its value has ended the block.
        """
        if answer.get("end"):
            self.ended = True
            raise BlockEnded
        if "e" in answer:
            raise _exception(answer["e"])
        return answer.get("v")


class RemoteTool:
    """A tool of the host, as a function of the code."""

    def __init__(self, tools: Tools, name: str, is_async: bool, doc: str) -> None:
        self._tools = tools
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc
        self.is_async = is_async
        if is_async:  # `asyncio.iscoroutinefunction` looks at this
            self._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the tool, and return its value; for an async tool where a loop runs, return a call to await or use."""
        if self.is_async and (loop := _running_loop()) is not None:
            return self._tools.lazy(self._tools.start(loop, self.__name__, args, kwargs))
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the tool, wait for its value, and return it."""
        return self._tools.call(self.__name__, args, kwargs)

    def start(self, *args: Any, **kwargs: Any) -> Any:
        """Return an awaitable of the tool's value; the call is made at once where a loop runs, else when awaited."""
        if (loop := _running_loop()) is not None:
            return self._tools.start(loop, self.__name__, args, kwargs)
        return self._start_later(args, kwargs)

    async def _start_later(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return await self._tools.start(asyncio.get_running_loop(), self.__name__, args, kwargs)

    def is_awaited_in(self, frame: FrameType) -> bool:
        """Return whether the call that a frame is about to make is awaited by whoever called the frame's function."""
        places = self._tools.awaited_at
        if not places:
            return False
        position = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), ())
        return (frame.f_code.co_filename, *position) in places

    def __repr__(self) -> str:
        return f"<tool {self.__name__}>"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


# ---- what `rewrite` puts into the model's code


@passes_on
def as_awaitable(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call a function whose value is awaited."""
    return function.start(*args, **kwargs) if type(function) is RemoteTool else function(*args, **kwargs)


@passes_on
def as_value(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call a function whose value is used at once: wait for an async tool, unless the value is known to be awaited."""
    if not _is_async_tool(function):
        return all_plain(function(*args, **kwargs))
    if function.is_awaited_in(sys._getframe(1)):  # noqa: SLF001
        return function.start(*args, **kwargs)
    return function.call(*args, **kwargs)


@passes_on
async def called(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call a function in a coroutine, and return its value; other tasks go on while a tool works."""
    if _is_async_tool(function):
        return await function.start(*args, **kwargs)
    value = function(*args, **kwargs)
    return await value.pending() if type(value) is Lazy else all_plain(value)


@passes_on
def for_values(function: Any, /) -> Any:
    """Return a function that is handed on so that its values can be used as such."""
    return function.call if _is_async_tool(function) else function


def _come(lazy: Lazy) -> Any:
    """Return the value of a lazy call, or the call itself if it raised."""
    try:
        return lazy.value()
    except BaseException:  # noqa: BLE001 - raised where it is looked at
        return lazy


def _is_async_tool(function: Any) -> bool:
    return type(function) is RemoteTool and function.is_async


def helpers() -> dict[str, Callable[..., Any]]:
    """Return the helpers, by the names under which rewritten code finds them."""
    return {
        "__awaitable__": as_awaitable,
        "__value__": as_value,
        "__called__": called,
        "__awaited__": awaited,
        "__valued__": for_values,
    }


def run_nested(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return an `asyncio.run` that also works where a loop is running: there it uses a thread of its own."""

    @functools.wraps(run)
    def wrapper(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
        main = as_coroutine(main)
        if _running_loop() is None:
            return run(main, **options)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(functools.partial(copy_context().run, run, main, **options)).result()

    passes_on(wrapper)
    return wrapper


# ---- what a tool raised


def _exception(error: dict[str, Any]) -> Exception:
    """Return the exception of a tool: of Python's own class, or of one with that name below the nearest of Python's."""
    cls = _exception_class(error["type"], tuple(error["bases"]))
    try:
        raised: Exception = cls(*error["args"])
    except Exception:  # noqa: BLE001 - a class that wants other arguments
        raised = ToolError(error["text"])
    raised.__suppress_context__ = True
    return raised


@functools.lru_cache(maxsize=1000)
def _exception_class(name: str, bases: tuple[str, ...]) -> type[Exception]:
    found = getattr(builtins, name, None)
    if isinstance(found, type) and issubclass(found, Exception):
        return found
    base: type[Exception] = ToolError
    for candidate in bases:
        known = getattr(builtins, candidate, None)
        if isinstance(known, type) and issubclass(known, Exception) and known is not Exception:
            base = known
            break
    return type(name if name.isidentifier() else "ToolError", (base,), {"__module__": "__main__"})
