"""The host's end of the framed protocol, for every sandbox whose code runs in another process.

What comes from there is hostile: each frame is checked, and one that is not as agreed ends the process.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast
from weakref import WeakKeyDictionary

from tinyagent.core.codec import FEW_PARTS, MalformedError, ManyPartsError, pack
from tinyagent.core.jsonable import words
from tinyagent.core.threads import run_in_thread
from tinyagent.sandbox.frames import FrameBuffer, decode_frame, encode_frame

#: Bytes of answers that a process may leave unread before it is taken for dead.
MOST_UNREAD = 32 << 20
#: Bytes from which a frame waits its turn, and seconds of work after which the frames behind it do: on each turn of
#: the loop one connection goes on.
LARGE = 1 << 15
_BUDGET = 0.005
#: Why a connection is lost whose other end has closed it.
ENDED_ITSELF = "it ended"
#: Characters of an exception's text that the code is told.
LONGEST_MESSAGE = 4_000

#: Numbers of calls and blocks are below this.
_NUMBERS = 1 << 53

_HEARD: dict[str, dict[str, type]] = {
    "ready": {},
    "out": {"s": str},
    "call": {"id": int, "n": str, "a": list, "k": dict},
    "cancel": {"id": int},
    "done": {"id": int},
    "fatal": {"e": str},
}


class Connection(asyncio.Protocol):
    """Frames to and from one sandbox process.

    Args:
        hear: Hears each well-formed frame, and its bytes.
        lost: Hears, once, why there will be no more of them.
        allowance: Seconds of this process's time after which it is lost.

    Attributes:
        spent: Seconds of this process's time that its frames have taken; whoever uses it begins anew with each block.
    """

    def __init__(
        self,
        hear: Callable[[dict[str, Any], bytes], None],
        lost: Callable[[str], None],
        allowance: float = float("inf"),
    ) -> None:
        self.spent = self._last = 0.0
        self._allowance = allowance
        self._hear = hear
        self._lost: Callable[[str], None] | None = lost
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self._large: bytes | None = None  # a frame that waits its turn
        self._waits = False
        self._turns = turns_of_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, of whatever class the event loop has: uvloop's derive from nothing of asyncio's."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came: their frames are heard, the many and the large ones in turn with those of other processes."""
        self._buffer.add(data)
        if not self._waits:
            self._take_frames()

    def _take_frames(self) -> None:
        """Take what is there, until it takes long."""
        until = time.monotonic() + _BUDGET
        with self._at_its_expense():
            while self._lost is not None and (body := self._buffer.next()) is not None:
                if len(body) > LARGE:
                    self._large = body
                    self._postpone()
                    return
                self._take(body)
                if time.monotonic() > until:
                    self._postpone()
                    return

    @contextmanager
    def _at_its_expense(self) -> Iterator[None]:
        """Pay for what is done here, in this thread's own time: a busy machine is no fault."""
        began = time.thread_time()
        try:
            yield
        except MalformedError as error:
            self.fail(f"it sent {error}")
        finally:
            self.pay(time.thread_time() - began)

    def pay(self, seconds: float) -> None:
        """Seconds of this process's time that were taken."""
        self.spent += seconds
        self._last = seconds
        if self.spent > self._allowance:
            self.fail(f"it took more than {self._allowance:g} s of its host's time")

    def _postpone(self) -> None:
        """Go on in turn, and read no more until then."""
        if self._lost is not None and self._transport is not None:
            self._waits = True
            self._transport.pause_reading()
            if self.spent < self._allowance / 20:
                self._turns.add(self._go_on)
            else:  # one that takes much gets no more than half of the loop's time
                asyncio.get_running_loop().call_later(self._last, self._turns.add, self._go_on)

    def _go_on(self) -> None:
        if self._lost is None or self._transport is None:
            return
        self._waits = False
        body, self._large = self._large, None
        if body is not None:
            with self._at_its_expense():
                self._take(body)
        self._take_frames()
        if self._lost is not None and not self._waits:
            self._transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        """The process has closed its end."""
        self.fail(ENDED_ITSELF)

    def send(self, frame: dict[str, Any]) -> None:
        """Send a frame; nothing happens when the connection is lost.

        Raises:
            TooLargeError: It is longer than a frame may be.
        """
        if self._lost is None or self._transport is None:
            return
        self._transport.write(encode_frame(frame))
        if self._transport.get_write_buffer_size() > MOST_UNREAD:
            self.fail("it does not read its answers")

    async def send_value(self, frame: dict[str, Any], value: object, wanted: Callable[[], bool] = lambda: True) -> None:
        """Send a frame with a value, or with the error that it does not fit.

        Args:
            frame: The rest of it.
            value: Any object.
            wanted: Whether it is to be sent when it has been packed; that of a large value takes a while.
        """
        try:
            packed = await packed_in_turn(value, self.pay)
            if wanted():
                with self._at_its_expense():
                    self.send({**frame, "v": packed})
        except Exception as error:  # noqa: BLE001 - a value that is too large, or fails to be looked into
            if wanted():
                self.send({**frame, "e": exception_data(error)})

    def fail(self, reason: str) -> None:
        """There will be no more frames."""
        if self._lost is None:
            return
        lost, self._lost = self._lost, None
        self.close()
        lost(reason)

    def close(self) -> None:
        """Close the connection; nobody is told."""
        self._lost = None
        self._large = None
        if self._transport is not None:
            self._transport.abort()

    def _take(self, body: bytes) -> None:
        frame = decode_frame(body)
        fields = _HEARD.get(frame["t"]) if isinstance(frame.get("t"), str) else None
        if fields is None:
            raise MalformedError("a frame of an unknown kind")
        for name, kind in fields.items():
            value = frame.get(name)
            if type(value) is not kind or (isinstance(value, int) and abs(value) >= _NUMBERS):
                raise MalformedError(f"a {frame['t']} frame without its {name}")
        self._hear(frame, body)


class _Turns:
    """Calls one function on each turn of the loop.

    Attributes:
        packing: Held by whoever packs a large value in a thread: many threads would keep the loop from its turn.
    """

    def __init__(self) -> None:
        self.packing = asyncio.Lock()
        self._functions: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def add(self, function: Callable[[], None]) -> None:
        self._functions.append(function)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_later(0, self._run)  # whatever is due goes first

    def _run(self) -> None:
        try:
            self._functions.popleft()()
        finally:
            self._scheduled = bool(self._functions)
            if self._scheduled:  # a turn later: what a timer wakes in the next one runs before it
                asyncio.get_running_loop().call_soon(self._run_later)

    def _run_later(self) -> None:
        asyncio.get_running_loop().call_later(0, self._run)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


def turns_of_loop() -> _Turns:
    """Where what takes a while is done one by one."""
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = _Turns()
    return turns


async def packed_in_turn(value: object, pay: Callable[[float], None] = lambda _: None) -> Any:
    """Return a value as JSON for a sandbox. One of many parts is packed in a thread, one such value after the other.

    Args:
        value: Any object.
        pay: Told how many seconds of this process's time it took.

    Raises:
        TooLargeError: It has more parts than a frame may have.
    """
    taken: list[float] = []
    try:
        return _timed_pack(value, FEW_PARTS, taken)
    except ManyPartsError:
        async with turns_of_loop().packing:
            return await run_in_thread(_timed_pack, value, None, taken)
    finally:
        pay(sum(taken))


def _let_the_loop_run() -> None:
    """Give up the interpreter: else each thing that the loop does would wait for its turn of 5 ms."""
    time.sleep(0)


def _timed_pack(value: object, few: int | None, taken: list[float]) -> Any:
    began = time.thread_time()
    try:
        return pack(value, records=True, few=few, pause=_let_the_loop_run if few is None else None)
    finally:
        taken.append(time.thread_time() - began)


def exception_data(error: BaseException) -> dict[str, Any]:
    """An exception of the host, for the code that called: its type, what it derives from, its arguments."""
    bases = [cls.__name__ for cls in type(error).__mro__[1:] if cls.__module__ == "builtins" and cls is not object]
    text = words(error)[:LONGEST_MESSAGE]
    args = error.args[:10]
    if not all(isinstance(part, str | int | float | None) for part in args):
        args = (text,)
    try:
        packed = [pack(part[:LONGEST_MESSAGE] if isinstance(part, str) else part) for part in args]
    except Exception:  # noqa: BLE001 - arguments that fail to be looked into
        packed = [text]
    return {"type": type(error).__name__[:200], "bases": bases[:20], "args": packed, "text": text}
