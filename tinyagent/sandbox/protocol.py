"""The host's end of the framed protocol, for every sandbox whose code runs in another process.

What comes from there is hostile: each frame is checked, and one that is not as agreed ends the process.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, cast
from weakref import WeakKeyDictionary

from tinyagent.core.jsonable import words
from tinyagent.sandbox.values import FrameBuffer, FrameError, decode_frame, encode_frame, pack

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
    """

    def __init__(self, hear: Callable[[dict[str, Any], bytes], None], lost: Callable[[str], None]) -> None:
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
        until = time.monotonic() + _BUDGET
        try:
            while self._lost is not None and (body := self._buffer.next()) is not None:
                if len(body) > LARGE:
                    self._large = body
                    self._postpone()
                    return
                self._take(body)
                if time.monotonic() > until:
                    self._postpone()
                    return
        except FrameError as error:
            self.fail(f"it sent {error}")

    def _postpone(self) -> None:
        """Go on in turn, and read no more until then."""
        if self._lost is not None and self._transport is not None:
            self._waits = True
            self._transport.pause_reading()
            self._turns.add(self._go_on)

    def _go_on(self) -> None:
        if self._lost is None or self._transport is None:
            return
        self._waits = False
        body, self._large = self._large, None
        try:
            if body is not None:
                self._take(body)
        except FrameError as error:
            self.fail(f"it sent {error}")
        else:
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

    def send_value(self, frame: dict[str, Any], value: object) -> None:
        """Send a frame with a value, or with the error that it does not fit."""
        try:
            self.send({**frame, "v": pack(value, records=True)})
        except Exception as error:  # noqa: BLE001 - a value that is too large, or fails to be looked into
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
            raise FrameError("a frame of an unknown kind")
        for name, kind in fields.items():
            value = frame.get(name)
            if type(value) is not kind or (isinstance(value, int) and abs(value) >= _NUMBERS):
                raise FrameError(f"a {frame['t']} frame without its {name}")
        self._hear(frame, body)


class _Turns:
    """Calls one function on each turn of the loop."""

    def __init__(self) -> None:
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
            if self._scheduled:
                asyncio.get_running_loop().call_later(0, self._run)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


def turns_of_loop() -> _Turns:
    """Where what takes a while is done one by one."""
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = _Turns()
    return turns


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
