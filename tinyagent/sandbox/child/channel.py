"""The child's end of the framed protocol, shared by all its threads and event loops."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from tinyagent.sandbox.child.interrupts import interrupts, waits
from tinyagent.sandbox.frames import FrameBuffer, decode_frame, encode_frame

_CHUNK = 1 << 18


class Channel:
    """Sends frames to the host, and hands frames that come to those they concern.

    Whoever waits for an answer reads for all: one thread at a time is the reader, the others wait their turn.

    Attributes:
        commands: Frames of the host that are no answers, in order.
        muted: Whether frames are thrown away instead of sent.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.muted = False
        self.commands: deque[dict[str, Any]] = deque()
        self._socket = sock
        self._buffer = FrameBuffer()
        self._writing = threading.RLock()
        self._turn = threading.Condition()
        self._reading = False
        self._answers: dict[int, dict[str, Any]] = {}
        self._expected: set[int] = set()
        self._hearers: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._calls = 0

    def fileno(self) -> int:
        """Return the descriptor of the channel's socket, for event loops that watch it."""
        return self._socket.fileno()

    def send(self, frame: dict[str, Any]) -> None:
        """Send a frame to the host.

        Raises:
            TooLargeError: The frame is longer than a frame may be.
        """
        data = encode_frame(frame)
        if self.muted:
            return
        with self._writing:
            self._socket.sendall(data)

    def next_command(self) -> dict[str, Any]:
        """Wait for the next command of the host, and return it."""
        self.wait_until(lambda: bool(self.commands))
        return self.commands.popleft()

    def new_call(self, hearer: Callable[[dict[str, Any]], None] | None = None) -> int:
        """Return the id of a call about to be sent; the answer will go to `hearer`, or be kept for `answer`."""
        with self._turn:
            self._calls += 1
            call = self._calls
            if hearer is None:
                self._expected.add(call)
            else:
                self._hearers[call] = hearer
        return call

    def answer(self, call: int) -> dict[str, Any]:
        """Wait for the answer to a call, and return it."""
        try:
            self.wait_until(lambda: call in self._answers)
            return self._answers.pop(call)
        finally:
            self._expected.discard(call)

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Read what comes, or let another thread read, until `done` returns true."""
        while not done():
            self._read_one_turn(done)

    def forget(self, call: int) -> None:
        """Drop the answer to a call: nobody waits for it any more."""
        self._hearers.pop(call, None)

    def read_ready(self) -> None:
        """Read what has come, unless another thread is reading; called by event loops."""
        with self._turn:
            if self._reading:
                return
            self._reading = True
        try:
            self._receive()
        finally:
            self._end_turn()

    def _read_one_turn(self, done: Callable[[], bool]) -> None:
        """Read once, or wait while another thread reads."""
        with self._turn:
            if done():
                return
            if self._reading:
                _wait(self._turn)
                return
            self._reading = True
        try:
            _wait_readable(self._socket)
            self._receive()
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        with self._turn:
            self._reading = False
            self._turn.notify_all()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)  # the host has gone
        self._buffer.add(data)
        while (body := self._buffer.next()) is not None:
            self._deliver(decode_frame(body, records=True))

    def _deliver(self, frame: dict[str, Any]) -> None:
        if frame["t"] != "ret":
            self.commands.append(frame)
            return
        hearer = self._hearers.pop(frame["id"], None)
        if hearer is not None:
            hearer(frame)
        elif frame["id"] in self._expected:
            self._answers[frame["id"]] = frame


@waits
def _wait_readable(sock: socket.socket) -> None:
    interrupts.checkpoint()
    select.select([sock], [], [])


@waits
def _wait(turn: threading.Condition) -> None:
    interrupts.checkpoint()
    turn.wait()
