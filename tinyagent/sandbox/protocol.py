"""The host's end of the framed protocol, for every sandbox whose code runs in another process.

What that process sends is hostile: each frame is checked, and a malformed one ends the process.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from tinyagent.core.codec import FEW_PARTS, MalformedError, ManyPartsError, pack
from tinyagent.core.jsonable import words
from tinyagent.core.threads import run_in_thread
from tinyagent.core.waiting import once_per_loop
from tinyagent.sandbox.frames import FrameBuffer, decode_frame, encode_frame

#: Bytes of answers that a process may leave unread before it is taken for dead.
MOST_UNREAD = 32 << 20
#: Bytes above which a frame waits its turn: on each turn of the event loop, one connection goes on.
LARGE = 1 << 15
#: Seconds of work on the frames of one connection, after which the rest of them wait their turn, too.
_BUDGET = 0.005
#: Why a connection is lost that its process has closed.
ENDED_ITSELF = "it ended"
#: Characters of an exception's text that the code is told.
LONGEST_MESSAGE = 4_000

#: Numbers of calls and blocks are below this.
_NUMBERS = 1 << 53

#: The frames that a sandbox process may send: for each kind, its fields and their types.
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
        hear: Called with each well-formed frame and its bytes.
        lost: Called once, with the reason, when there will be no more frames.
        allowance: Seconds of this process's time that the frames may take before the connection is lost.

    Attributes:
        spent: Seconds of this process's time that the frames have taken; the session sets them to 0 for each block.
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
        """Keep the transport, whatever its class: those of uvloop derive from no class of asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hear the frames in bytes that came; many and large ones take turns with those of other processes."""
        self._buffer.add(data)
        if not self._waits:
            self._take_frames()

    def _take_frames(self) -> None:
        """Take the frames that are complete, until one is large or they have taken long."""
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
        """Charge the process for the work done inside, in thread time: a busy machine is not its fault."""
        began = time.thread_time()
        try:
            yield
        except MalformedError as error:
            self.fail(f"it sent {error}")
        finally:
            self.pay(time.thread_time() - began)

    def pay(self, seconds: float) -> None:
        """Charge the connection with seconds of this process's time; above its allowance, fail it."""
        self.spent += seconds
        self._last = seconds
        if self.spent > self._allowance:
            self.fail(f"it took more than {self._allowance:g} s of its host's time")

    def _postpone(self) -> None:
        """Read no more until the next turn of this connection comes."""
        if self._lost is not None and self._transport is not None:
            self._waits = True
            self._transport.pause_reading()
            if self.spent < self._allowance / 20:
                self._turns.add(self._go_on)
            else:  # a connection that takes much gets at most half of the loop's time
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
        """Fail the connection: the process has closed its end."""
        self.fail(ENDED_ITSELF)

    def send(self, frame: dict[str, Any]) -> None:
        """Send a frame; do nothing when the connection is lost.

        Raises:
            TooLargeError: The frame is longer than a frame may be.
        """
        if self._lost is None or self._transport is None:
            return
        self._transport.write(encode_frame(frame))
        if self._transport.get_write_buffer_size() > MOST_UNREAD:
            self.fail("it does not read its answers")

    async def send_value(self, frame: dict[str, Any], value: object, wanted: Callable[[], bool] = lambda: True) -> None:
        """Send a frame with a value, or with the error that packing the value raised.

        Args:
            frame: The frame without the value.
            value: Any object.
            wanted: Returns whether the frame is still to be sent once the value is packed, which may take a while.
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
        """Close the connection and tell `lost` why; do nothing when it is lost already."""
        if self._lost is None:
            return
        lost, self._lost = self._lost, None
        self.close()
        lost(reason)

    def close(self) -> None:
        """Close the connection without telling anybody."""
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
    """Functions that wait for their turn; one of them is called on each turn of the event loop.

    Attributes:
        packing: Held while a large value is packed in a thread: many such threads would keep the loop from running.
    """

    def __init__(self) -> None:
        self.packing = asyncio.Lock()
        self._functions: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def add(self, function: Callable[[], None]) -> None:
        self._functions.append(function)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_later(0, self._run)  # timers that are due go first

    def _run(self) -> None:
        try:
            self._functions.popleft()()
        finally:
            self._scheduled = bool(self._functions)
            if self._scheduled:  # one turn later, so that what a timer wakes in the next turn runs first
                asyncio.get_running_loop().call_soon(self._run_later)

    def _run_later(self) -> None:
        asyncio.get_running_loop().call_later(0, self._run)


#: Returns the turns of the running event loop, in which work that takes a while is done bit by bit.
turns_of_loop = once_per_loop(_Turns)


async def packed_in_turn(value: object, pay: Callable[[float], None] = lambda _: None) -> Any:
    """Return a value packed for a sandbox, as data for JSON. Values of many parts are packed in a thread, one by one.

    Args:
        value: Any object.
        pay: Called with the seconds of this process's time that packing took.

    Raises:
        TooLargeError: The value has more parts than a frame may have.
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
    """Give up the interpreter's lock: otherwise each step of the event loop would wait up to 5 ms for it."""
    time.sleep(0)


def _timed_pack(value: object, few: int | None, taken: list[float]) -> Any:
    began = time.thread_time()
    try:
        return pack(value, records=True, few=few, pause=_let_the_loop_run if few is None else None)
    finally:
        taken.append(time.thread_time() - began)


def exception_data(error: BaseException) -> dict[str, Any]:
    """Return an exception of the host as data for the code that called: its type, bases, arguments and text."""
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
