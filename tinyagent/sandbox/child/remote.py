"""The host's tools as functions of the sandbox: `search(q)`, `await search(q)`, `gather(search(a), search(b))`."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any
from weakref import WeakSet

from tinyagent.sandbox.child.channel import Channel
from tinyagent.sandbox.child.interrupts import interrupts, passes_on
from tinyagent.sandbox.child.output import Output
from tinyagent.sandbox.values import pack


class ToolError(Exception):
    """A tool of the host failed in a way that Python has no exception for."""


class BlockEnded(BaseException):
    """A tool gave the answer of the run: the block is over."""


class Tools:
    """What all tools of a session share.

    Attributes:
        by_name: The tools.
        ended: A tool has ended the block that runs.
    """

    def __init__(self, channel: Channel, output: Output) -> None:
        self.by_name: dict[str, RemoteTool] = {}
        self.ended = False
        self._channel = channel
        self._output = output
        self._watching: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    def add(self, name: str, is_async: bool, doc: str) -> RemoteTool:
        """A tool of the host."""
        tool = self.by_name[name] = RemoteTool(self, name, is_async, doc)
        return tool

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a tool and wait for its value."""
        call = self._channel.new_call()
        self._send(call, name, args, kwargs)
        answer = self._channel.answer(call)
        interrupts.checkpoint()
        return self._value(answer)

    def start(
        self, loop: asyncio.AbstractEventLoop, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> asyncio.Future[Any]:
        """Call a tool; a future of its value."""
        if loop not in self._watching:
            self._watching.add(loop)
            loop.add_reader(self._channel.fileno(), self._channel.read_ready)
        future: asyncio.Future[Any] = loop.create_future()

        def settle(answer: dict[str, Any]) -> None:
            if future.done():
                return
            try:
                future.set_result(self._value(answer))
            except BaseException as error:  # noqa: BLE001 - raised where the future is awaited
                future.set_exception(error)

        def hear(answer: dict[str, Any]) -> None:  # in whatever thread reads
            with contextlib.suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(settle, answer)

        call = self._channel.new_call(hear)
        future.add_done_callback(functools.partial(self._withdraw, call))
        self._send(call, name, args, kwargs)
        return future

    def _withdraw(self, call: int, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._channel.forget(call)
            self._channel.send({"t": "cancel", "id": call})

    def _send(self, call: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._output.flush()
        opaque: list[str] = []
        packed = [pack(value, opaque=opaque) for value in args]
        named = {key: pack(value, opaque=opaque) for key, value in kwargs.items()}
        self._channel.send({"t": "call", "n": name, "a": packed, "k": named, "id": call})
        if opaque:
            kinds = ", ".join(sorted(set(opaque)))
            sys.stderr.write(f"note: {name}() received the text of: {kinds}; only data can leave the sandbox\n")

    def _value(self, answer: dict[str, Any]) -> Any:
        """The value of an answer.

        Raises:
            BaseException: What the tool raised; or that its value has ended the block.
        """
        if answer.get("end"):
            self.ended = True
            raise BlockEnded
        if "e" in answer:
            raise _exception(answer["e"])
        return answer.get("v")


class RemoteTool:
    """One tool of the host."""

    def __init__(self, tools: Tools, name: str, is_async: bool, doc: str) -> None:
        self._tools = tools
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc
        self.is_async = is_async

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it: a coroutine for an async tool where an event loop runs, else the value."""
        if self.is_async and _running_loop() is not None:
            return self.start(*args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call it and wait for the value."""
        return self._tools.call(self.__name__, args, kwargs)

    async def start(self, *args: Any, **kwargs: Any) -> Any:
        """Call it as a coroutine, which begins when it is awaited."""
        return await self._tools.start(asyncio.get_running_loop(), self.__name__, args, kwargs)

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
    """A call whose value is awaited."""
    return function.start(*args, **kwargs) if type(function) is RemoteTool else function(*args, **kwargs)


@passes_on
def as_value(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """A call whose value is used at once: the tool is waited for."""
    return function.call(*args, **kwargs) if _is_async_tool(function) else function(*args, **kwargs)


@passes_on
async def called(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """The same in a coroutine, where others go on meanwhile."""
    return await function.start(*args, **kwargs) if _is_async_tool(function) else function(*args, **kwargs)


@passes_on
async def awaited(value: Any) -> Any:
    """`await value`, also where it is a plain value because a tool was waited for already."""
    return await value if inspect.isawaitable(value) else value


@passes_on
def gather(function: Any, /, *values: Any, **options: Any) -> Any:
    """`asyncio.gather`, also of plain values; any other function of that name as it is."""
    if function is asyncio.gather:
        values = tuple(value if inspect.isawaitable(value) else awaited(value) for value in values)
    return function(*values, **options)


def _is_async_tool(function: Any) -> bool:
    return type(function) is RemoteTool and function.is_async


def helpers() -> dict[str, Callable[..., Any]]:
    """The names by which rewritten code finds them."""
    return {
        "__awaitable__": as_awaitable,
        "__value__": as_value,
        "__called__": called,
        "__awaited__": awaited,
        "__gather__": gather,
    }


def run_nested(run: Callable[..., Any]) -> Callable[..., Any]:
    """`asyncio.run` that also works where a loop is running: there it runs in a thread of its own."""

    @functools.wraps(run)
    def wrapper(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
        if _running_loop() is None:
            return run(main, **options)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(functools.partial(copy_context().run, run, main, **options)).result()

    passes_on(wrapper)
    return wrapper


# ---- what a tool raised


def _exception(error: dict[str, Any]) -> Exception:
    """The exception of a tool: of Python's own class, or of one with its name that derives from the nearest."""
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
