"""Server-sent events: bytes, however they were cut, to the data of each event.

Follows the event-stream format of the WHATWG HTML standard, section "Server-sent events": lines end in CR LF,
LF or CR, comments begin with a colon, several `data` lines of one event are joined.
"""

from __future__ import annotations

from collections.abc import Iterator


class EventParser:
    """Feed it bytes as they arrive; it yields `(event, data)` for each complete event."""

    __slots__ = ("_buffer", "_data", "_event", "_started")

    def __init__(self) -> None:
        self._buffer = b""
        self._event = ""
        self._data: list[str] = []
        self._started = False

    def feed(self, chunk: bytes) -> Iterator[tuple[str, str]]:
        """Events completed by `chunk`."""
        buffer = self._buffer + chunk if self._buffer else chunk
        if not self._started:
            if buffer in (b"\xef", b"\xef\xbb"):  # half a byte order mark
                self._buffer = buffer
                return
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            self._started = bool(buffer)
        if b"\r" in buffer:
            # A CR at the very end may be half of a CR LF: it waits for the next chunk.
            held = b"\r" if buffer.endswith(b"\r") else b""
            buffer = buffer.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *lines, self._buffer = buffer.split(b"\n")
        for line in lines:
            if line:
                self._line(line)
            elif self._data:
                yield self._dispatch()
            else:
                self._event = ""

    def close(self) -> Iterator[tuple[str, str]]:
        """The event left when the stream ended without its blank line; servers do that to the last one."""
        for line in self._buffer.rstrip(b"\r").split(b"\r"):
            if line:
                self._line(line)
        self._buffer = b""
        if self._data:
            yield self._dispatch()

    def _line(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            text = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(text.decode("utf-8", "replace"))
        elif line.startswith(b"event:"):
            self._event = line[6:].strip().decode("utf-8", "replace")

    def _dispatch(self) -> tuple[str, str]:
        found = self._event, self._data[0] if len(self._data) == 1 else "\n".join(self._data)
        self._event = ""
        self._data.clear()
        return found
