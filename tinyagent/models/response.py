"""An HTTP response to a `Reply`: events or JSON, by what it is rather than by what was asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tinyagent.core.errors import MalformedReplyError, ModelTimeoutError
from tinyagent.core.messages import Reply
from tinyagent.models.failures import reason_of, timed_out
from tinyagent.models.sse import EventParser
from tinyagent.models.transport import transport_errors
from tinyagent.models.wire import ReplyAssembler

#: How an event stream begins; and the length of the longest, which tells it from JSON.
STARTS = (b"data:", b"event:", b":")
LONGEST_START = 6
#: Seconds that a server may keep a stream open after its `[DONE]`, and after its `finish_reason`.
LONGEST_DRAIN = 0.25
LONGEST_TAIL = 2.0


async def read_response(response: Any, assembler: ReplyAssembler) -> Reply:
    """The reply in a response: events or JSON, by its content type, whatever was asked for."""
    try:
        content_type = response.headers.get("content-type", "").lower()
        if response.is_stream_consumed or "json" in content_type:
            body = await response.aread()
            if not _is_events(content_type, body):
                return assembler.whole(body, response.status_code)
            return await _read_events(_once(body), assembler)
        if "event-stream" in content_type:
            return await _read_events(response.aiter_bytes(), assembler)
        return await _read_unlabelled(response, assembler)
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


async def _read_unlabelled(response: Any, assembler: ReplyAssembler) -> Reply:
    """A body without a content type that helps: its first bytes tell."""
    chunks = response.aiter_bytes()
    first = b""
    async for chunk in chunks:
        first += chunk
        if len(first.strip()) >= LONGEST_START:
            break
    if _is_events("", first):
        return await _read_events(_once(first, chunks), assembler)
    return assembler.whole(first + b"".join([chunk async for chunk in chunks]), response.status_code)


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
    """Whether the chunk holds the closing `[DONE]`; what follows that is no matter."""
    return any(assembler.event(name, data) for name, data in parser.feed(chunk))


async def _read_tail(chunks: AsyncIterator[bytes], parser: EventParser, assembler: ReplyAssembler) -> None:
    """Read what follows a finished reply: its usage. Servers that keep the stream open are not waited for long."""
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
    """Read to the end: only then is the connection free for the next request."""
    with contextlib.suppress(TimeoutError, *transport_errors()):
        async with asyncio.timeout(LONGEST_DRAIN):
            async for _ in chunks:
                pass


def _read_last_event(parser: EventParser, assembler: ReplyAssembler) -> bool:
    """What was left without its blank line; half an event is none."""
    with contextlib.suppress(MalformedReplyError):
        for name, data in parser.close():
            if assembler.event(name, data):
                return True
    return False


async def _once(first: bytes, rest: AsyncIterator[bytes] | None = None) -> AsyncIterator[bytes]:
    yield first
    if rest is not None:
        async for chunk in rest:
            yield chunk


def _is_events(content_type: str, body: bytes) -> bool:
    return "event-stream" in content_type or body.lstrip().startswith(STARTS)
