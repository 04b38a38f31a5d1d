"""Server-sent events: bytes, however they were cut, to the data of each event.

Follows the event-stream format of the WHATWG HTML standard, section "Server-sent events": lines end in CR LF,
LF or CR, comments begin with a colon, several `data` lines of one event are joined.
"""

from __future__ import annotations

from collections.abc import Iterator


class EventParser:
    """Feed it bytes as they arrive; it yields `(event, data)` for each complete event."""

    __slots__ = ("_data", "_event", "_parts", "_started")

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of the line that is not complete
        self._event = ""
        self._data: list[str] = []
        self._started = False

    def feed(self, chunk: bytes) -> Iterator[tuple[str, str]]:
        """Events completed by `chunk`."""
        if self._started and b"\n" not in chunk and b"\r" not in chunk:  # more of a long line
            self._parts.append(chunk)
            return
        buffer = self._taken() + chunk
        if not self._started:
            if buffer in (b"\xef", b"\xef\xbb"):  # half a byte order mark
                self._parts.append(buffer)
                return
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            self._started = bool(buffer)
        if b"\r" in buffer:
            # A CR at the very end may be half of a CR LF: it waits for the next chunk.
            held = b"\r" if buffer.endswith(b"\r") else b""
            buffer = buffer.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *lines, rest = buffer.split(b"\n")
        self._parts.append(rest)
        for line in lines:
            if line:
                self._line(line)
            elif self._data:
                yield self._dispatch()
            else:
                self._event = ""

    def close(self) -> Iterator[tuple[str, str]]:
        """The event left when the stream ended without its blank line; servers do that to the last one."""
        for line in self._taken().rstrip(b"\r").split(b"\r"):
            if line:
                self._line(line)
        if self._data:
            yield self._dispatch()

    def _taken(self) -> bytes:
        parts = b"".join(self._parts)
        self._parts.clear()
        return parts

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
