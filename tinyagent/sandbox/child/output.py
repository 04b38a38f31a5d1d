"""`sys.stdout` and `sys.stderr` of the model's code: one stream of frames to the host."""

from __future__ import annotations

import codecs
import io
import threading
import time
from typing import Any

from tinyagent.sandbox.child.channel import Channel
from tinyagent.sandbox.child.interrupts import interrupts

#: Writes of a block that are sent at once; after them, output is gathered.
_AT_ONCE = 200
#: Seconds for which output is gathered, once there is much of it.
_GATHER = 0.005
#: Characters above which gathered output is sent at once.
_MOST = 1 << 15
#: Most characters of one frame.
_FRAME = 1 << 16


class Output:
    """Gathers what is written to both streams, in order."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.RLock()
        self._parts: list[str] = []
        self._size = 0
        self._sent = 0
        self._last = 0.0
        self.stdout = _stream(self, "<stdout>")
        self.stderr = _stream(self, "<stderr>")

    def begin(self) -> None:
        """Begin a block: its first writes are sent at once."""
        self._sent = 0

    def renew(self) -> None:
        """Replace each stream that the code has broken or closed."""
        if not _works(self.stdout):
            self.stdout = _stream(self, "<stdout>")
        if not _works(self.stderr):
            self.stderr = _stream(self, "<stderr>")

    def add(self, text: str) -> None:
        """Take more output; send it, or gather it."""
        with self._lock:
            self._parts.append(text)
            self._size += len(text)
            if self._sent < _AT_ONCE or self._size > _MOST or time.monotonic() - self._last > _GATHER:
                self.send()
        interrupts.checkpoint()

    def flush(self) -> None:
        """Send everything that has been written."""
        with self._lock:
            for stream in (self.stdout, self.stderr):
                if _works(stream):
                    stream.flush()
            self.send()

    def send(self) -> None:
        """Send what has been gathered."""
        with self._lock:
            if not self._parts:
                return
            text = "".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._sent += 1
            self._last = time.monotonic()
            for start in range(0, len(text), _FRAME):
                self._channel.send({"t": "out", "s": text[start : start + _FRAME]})


class _Bytes(io.BufferedIOBase):
    """The binary stream below a text stream: hands what is written to the `Output`."""

    def __init__(self, output: Output, name: str) -> None:
        self._output = output
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.name = name

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        text = self._decode(bytes(data))
        if text:
            self._output.add(text)
        return len(data)


def _works(stream: io.TextIOWrapper) -> bool:
    try:
        return not stream.closed
    except ValueError:  # the code has taken its buffer away
        return False


def _stream(output: Output, name: str) -> io.TextIOWrapper:
    stream = io.TextIOWrapper(_Bytes(output, name), "utf-8", "strict", "\n", line_buffering=True)
    stream.mode = "w"  # type: ignore[misc]
    return stream
