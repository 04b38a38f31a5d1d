"""From an HTTP response to a `Reply`: server-sent events or JSON, by what it is rather than by what was asked for.

Events follow the event-stream format of the WHATWG HTML standard, section "Server-sent events": lines end in CR LF,
LF or CR, comments begin with a colon, several `data` lines of one event are joined.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Iterator
from encodings import utf_8_sig
from typing import Any

from tinyagent.core.errors import MalformedReplyError, ModelTimeoutError
from tinyagent.core.messages import Reply
from tinyagent.models.failures import reason_of, timed_out
from tinyagent.models.transport import transport_errors
from tinyagent.models.wire import ReplyAssembler


class EventParser:
    """A parser of server-sent events: fed with bytes as they arrive, it yields each event as `(name, data)`."""

    __slots__ = ("_data", "_event", "_parts", "_text")

    def __init__(self) -> None:
        self._text = io.IncrementalNewlineDecoder(utf_8_sig.IncrementalDecoder("replace"), translate=True)
        self._parts: list[str] = []  # the parts of a line that is not complete
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[tuple[str, str]]:
        """Yield the events that `chunk` completes, each as its name and its data."""
        *lines, rest = self._text.decode(chunk).split("\n")
        if lines:
            lines[0] = "".join((*self._parts, lines[0]))
            self._parts.clear()
        self._parts.append(rest)
        for line in lines:
            if line:
                self._line(line)
            elif self._data:
                yield self._dispatch()
            else:
                self._event = ""

    def close(self) -> Iterator[tuple[str, str]]:
        """Yield the event that is left at the end of the stream: some servers send no blank line after the last one."""
        return self.feed(b"\n\n")

    def _line(self, line: str) -> None:
        if line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif line.startswith("event:"):
            self._event = line[6:].strip()

    def _dispatch(self) -> tuple[str, str]:
        found = self._event, self._data[0] if len(self._data) == 1 else "\n".join(self._data)
        self._event = ""
        self._data.clear()
        return found


#: The beginnings of an event stream, and the length of the longest: so many bytes tell it from JSON.
STARTS = (b"data:", b"event:", b":")
LONGEST_START = 6
#: Seconds that a server may keep a stream open after its `[DONE]`, and after its `finish_reason`.
LONGEST_DRAIN = 0.25
LONGEST_TAIL = 2.0


async def read_response(response: Any, assembler: ReplyAssembler) -> Reply:
    """Read a response to its end and return its reply: from events or JSON, by its content type or its first bytes.

    Raises:
        ModelTimeoutError: The server went silent in the middle of the reply.
        StreamInterruptedError: The connection broke before the reply was finished.
        ModelError: The reply is none; `ReplyAssembler` says when.
    """
    try:
        chunks = response.aiter_bytes()
        if "event-stream" in response.headers.get("content-type", "").lower():
            return await _read_events(chunks, assembler)
        first = b""
        async for chunk in chunks:
            first += chunk
            if len(first.strip()) >= LONGEST_START:
                break
        if first.lstrip().startswith(STARTS):
            return await _read_events(_following(first, chunks), assembler)
        return assembler.whole(first + b"".join([chunk async for chunk in chunks]), response.status_code)
    except transport_errors() as error:
        if assembler.finished:  # nothing is missing but the end of the stream
            return assembler.end(done=True)
        if timed_out(error):
            raise ModelTimeoutError(
                "The server went silent in the middle of its reply. Raise timeout= if it needs longer.",
                partial=assembler.partial(),
            ) from error
        raise assembler.interrupted(reason_of(error)) from error
    finally:
        await response.aclose()


async def _read_events(chunks: AsyncIterator[bytes], assembler: ReplyAssembler) -> Reply:
    parser = EventParser()
    async for chunk in chunks:
        if _read_chunk(chunk, parser, assembler):
            await _drain(chunks)
            return assembler.end(done=True)
        if assembler.finished:
            await _read_tail(chunks, parser, assembler)
            return assembler.end(done=True)
    return assembler.end(done=_read_last_event(parser, assembler))


def _read_chunk(chunk: bytes, parser: EventParser, assembler: ReplyAssembler) -> bool:
    """Give the events in a chunk to the assembler; return whether the closing `[DONE]`, which ends them, is there."""
    return any(assembler.event(name, data) for name, data in parser.feed(chunk))


async def _read_tail(chunks: AsyncIterator[bytes], parser: EventParser, assembler: ReplyAssembler) -> None:
    """Read the usage that follows a finished reply, and wait no more than `LONGEST_TAIL` seconds for the end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_TAIL):
            async for chunk in chunks:
                if _read_chunk(chunk, parser, assembler):
                    break
            else:
                _read_last_event(parser, assembler)
                return
    await _drain(chunks)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the stream to its end, because only then is the connection free for the next request."""
    with contextlib.suppress(TimeoutError, *transport_errors()):
        async with asyncio.timeout(LONGEST_DRAIN):
            async for _ in chunks:
                pass


def _read_last_event(parser: EventParser, assembler: ReplyAssembler) -> bool:
    """Read an event that has no blank line after it, unless only half of it came; return whether it is `[DONE]`."""
    with contextlib.suppress(MalformedReplyError):
        for name, data in parser.close():
            if assembler.event(name, data):
                return True
    return False


async def _following(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
