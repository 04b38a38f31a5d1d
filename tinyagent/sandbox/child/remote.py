"""The host's tools as functions of the sandbox: `search(q)`, `await search(q)`, `gather(search(a), search(b))`."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import functools
import sys
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any
from weakref import WeakSet

from tinyagent.core.codec import pack
from tinyagent.sandbox.child.channel import Channel
from tinyagent.sandbox.child.interrupts import interrupts, passes_on
from tinyagent.sandbox.child.output import Output
from tinyagent.sandbox.child.pending import Pending, as_coroutine, awaited

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
        started: Where functions have tools whose calls are awaited.
    """

    def __init__(self, channel: Channel, output: Output) -> None:
        self.by_name: dict[str, RemoteTool] = {}
        self.ended = False
        self.started: frozenset[str] = frozenset()
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

    def end_calls(self) -> None:
        """End the calls of a block that is over: those in flight fail."""
        for call, pending in list(self._open.items()):
            self._channel.forget(call)
            pending.answer = {"e": _GONE}
            with contextlib.suppress(asyncio.InvalidStateError, RuntimeError):  # done, or its loop is closed
                pending.set_exception(_exception(_GONE))
                pending._log_traceback = False  # noqa: SLF001 - nobody need await it
        self._open.clear()

    def _withdraw(self, call: int, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._open.pop(call, None)
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

    @passes_on
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the tool, wait for its value, and return it."""
        return self._tools.call(self.__name__, args, kwargs)

    def start(self, *args: Any, **kwargs: Any) -> Any:
        """Call the tool, and return the future of its value; the value itself where no loop runs."""
        loop = _running_loop()
        return self(*args, **kwargs) if loop is None else self._tools.start(loop, self.__name__, args, kwargs)

    def is_started(self, place: str | None) -> bool:
        """Return whether calls of the tool are awaited at a place in a function, or wherever it is certain."""
        return place is None or place in self._tools.started

    def __repr__(self) -> str:
        return f"<tool {self.__name__}>"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


# ---- what `rewrite` puts into the model's code


@passes_on
def started(function: Any, place: str | None = None) -> Any:
    """Return what to call where the value is awaited: for a tool, the function that starts its call."""
    return function.start if type(function) is RemoteTool and function.is_started(place) else function


@passes_on
async def called(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call a function in a coroutine, and return its value; other tasks go on while a tool works."""
    value = started(function)(*args, **kwargs)
    return await value if type(value) is Pending else value


def helpers() -> dict[str, Callable[..., Any]]:
    """Return the helpers, by the names under which rewritten code finds them."""
    return {"__started__": started, "__called__": called, "__awaited__": awaited}


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
