"""The body of an answer: decompressed here, so that its limit holds against compression bombs."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING

from tinyagent.tools.web.errors import FetchError
from tinyagent.tools.web.guard import host_of
from tinyagent.tools.web.turns import Turns, turns

if TYPE_CHECKING:
    import httpx

#: The encodings that are asked for, and all that are understood.
ACCEPT_ENCODING = "gzip, deflate"
#: Bytes beyond the limit that may come compressed: headers of blocks that hold nothing.
SLACK = 65_536
#: Pieces of a body that may have less than `CRUMB` bytes on the average. Each piece costs some 30 microseconds.
CRUMBS = 10_000
CRUMB = 32


async def read_body(response: httpx.Response, max_bytes: int) -> tuple[bytes, bool]:
    """Read the first `max_bytes` bytes of a decompressed body; return them, and whether there is more.

    Raises:
        FetchError: The body is compressed in another way than gzip or deflate, or not as its headers say, ends early,
            or comes in thousands of tiny pieces.
        httpx.HTTPError: The connection failed.
    """
    decoder = Decoder(response.headers.get("content-encoding", ""), host_of(response.url))
    body = bytearray()
    received = number = 0
    async with _parts(response) as parts:
        async for part in parts:
            received += len(part)
            number += 1
            body += decoder.decode(part, max_bytes + 1 - len(body))
            if len(body) > max_bytes or received > max_bytes + SLACK:
                del body[max_bytes:]
                return bytes(body), True
            if number > CRUMBS and received < number * CRUMB:
                raise FetchError(f"{host_of(response.url)} sends its answer in thousands of pieces of a few bytes.")
    decoder.finish()
    return bytes(body), False


async def skip_body(response: httpx.Response) -> None:
    """Read a small body to its end, so that its connection can be used again; hang up on a large one."""
    received = 0
    async with _parts(response) as parts:
        async for part in parts:
            received += len(part)
            if received > SLACK:
                return


@asynccontextmanager
async def _parts(response: httpx.Response) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield the parts of a body; leaving before its end hangs up."""
    import httpx

    own = turns()
    parts = _with_turns(response.aiter_raw(), own)
    try:
        with own.reader():
            yield parts
    finally:
        connection = response.extensions.get("network_stream")
        if not response.is_closed and connection is not None:
            await connection.aclose()
            with suppress(httpx.HTTPError):  # the generators inside httpx end here, and not in tasks of their own
                async for _ in parts:
                    pass


async def _with_turns(parts: AsyncIterator[bytes], own: Turns) -> AsyncIterator[bytes]:
    """Yield the parts of a body, and let the event loop go on even when thousands of tiny ones arrived at once."""
    began = monotonic()
    async for part in parts:
        yield part
        if monotonic() - began > own.share:
            await asyncio.sleep(0)
            await own.wait()
            began = monotonic()


class Decoder:
    """A decoder that undoes the `Content-Encoding` of a body.

    Args:
        encoding: The header's value.
        host: The host that error texts name.

    Raises:
        FetchError: The encoding is not understood.
    """

    def __init__(self, encoding: str, host: str) -> None:
        names = [part.strip().lower() for part in encoding.split(",")]
        names = [name for name in names if name not in ("", "identity")]
        if len(names) > 1 or not {"gzip", "x-gzip", "deflate"}.issuperset(names):
            raise FetchError(
                f"{host} sent its answer compressed as {encoding[:100]!r}; only {ACCEPT_ENCODING!r} was asked for."
            )
        self._host = host
        self._name = names[0] if names else ""
        self._stream: zlib._Decompress | None = None
        self._begun = self._padding = False

    def decode(self, part: bytes, limit: int) -> bytes:
        """Decompress the next part of the body, to at most `limit` bytes.

        Raises:
            FetchError: The part is not compressed as the header says.
        """
        if not self._name:
            return part[:limit]
        found = bytearray()
        while part and len(found) < limit and not self._padding:
            if self._stream is None:
                if self._begun and part[0] != 0x1F:  # padding, which gzip's own tools ignore as well
                    self._padding = True
                    break
                self._stream = zlib.decompressobj(self._format(part))
                self._begun = True
            try:
                found += self._stream.decompress(part, limit - len(found))
            except zlib.error as error:
                raise FetchError(f"{self._host} sent an answer that is not valid {self._name}: {error}.") from None
            part = b""
            if self._stream.eof:
                part, self._stream = self._stream.unused_data, None
        return bytes(found)

    def _format(self, part: bytes) -> int:
        """Return zlib's `wbits` for a body's beginning. Servers mean two formats by `deflate` (RFC 9110, 8.4.1.2)."""
        if self._name != "deflate":
            return zlib.MAX_WBITS | 16
        zlib_header = part[0] & 0x0F == 8 and (len(part) == 1 or (part[0] << 8 | part[1]) % 31 == 0)
        return zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS

    def finish(self) -> None:
        """Check that the body is complete, at its end.

        Raises:
            FetchError: The body ended too early.
        """
        if self._stream is not None:
            raise FetchError(f"{self._host} broke off its {self._name} answer before the end.")
