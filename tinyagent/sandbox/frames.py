"""Frames: what crosses between the host and a sandbox process, as JSON with its length before it.

Both sides use this module, so it needs the standard library alone.
"""

from __future__ import annotations

from typing import Any

from tinyagent.core.codec import MAX_BYTES, MalformedError, from_json, to_json

#: Bytes in which a frame's length is written, big-endian.
_HEADER = 4


def encode_frame(frame: dict[str, Any]) -> bytes:
    """Return a frame as JSON in bytes, with its length before it.

    Raises:
        TooLargeError: The frame is longer than a frame may be, or has more parts.
    """
    body = to_json(frame)
    return len(body).to_bytes(_HEADER, "big") + body


def decode_frame(body: bytes, *, records: bool = False) -> dict[str, Any]:
    """Return the frame that `encode_frame` wrote.

    Args:
        body: The JSON of the frame, without the length.
        records: Accept a `Record`. The host never does: a record's attributes are whatever the sandbox has sent.

    Raises:
        MalformedError: The body is no frame, or holds more than it may.
    """
    frame = from_json(body, records=records)
    if type(frame) is not dict:
        raise MalformedError("a frame is an object")
    return frame


class FrameBuffer:
    """Cuts a stream of bytes into the bodies of frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, data: bytes) -> None:
        """Add bytes that have come."""
        self._bytes += data

    def next(self) -> bytes | None:
        """Return the body of the next frame, or `None` while it is incomplete.

        Raises:
            MalformedError: The frame claims to be longer than is allowed.
        """
        buffer = self._bytes
        if len(buffer) < _HEADER:
            return None
        length = int.from_bytes(buffer[:_HEADER], "big")
        if length > MAX_BYTES:
            raise MalformedError(f"a frame of {length:,} bytes")
        if len(buffer) < _HEADER + length:
            return None
        body = bytes(buffer[_HEADER : _HEADER + length])
        del buffer[: _HEADER + length]
        return body
