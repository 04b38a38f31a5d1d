"""The connection of a model to its server in one event loop: a client, and what is known of its open sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tinyagent.models import borrowed
from tinyagent.models.failures import hung_up, met_another_loop
from tinyagent.models.native import NativeTools
from tinyagent.models.quirks import Quirks
from tinyagent.models.transport import Admission, sdk_httpx

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: How often a request is sent again at once because a kept connection turned out closed.
MOST_RESENDS = 8


class Connection:
    """A client, and how many are using it; it is closed when nobody does, unless it is the user's own.

    Args:
        client: The client for this event loop.
        given: The user's own client, if there is one.
    """

    def __init__(self, client: AsyncOpenAI, given: AsyncOpenAI | None) -> None:
        self.client = client
        self.origin = str(client.base_url)
        self.admission = Admission()
        self.users = 0
        self._given = given
        self._dialects: dict[Quirks, NativeTools] = {}
        self._calls = self._most = 0  # under way now, and at most at once
        self._kept = 0  # connections that may be open after a reply on them, and so may turn out closed

    async def close(self) -> None:
        """Close the client, unless it is the user's own."""
        if self.client is not self._given:
            await self.client.close()

    def native(self, quirks: Quirks) -> NativeTools:
        """Return the dialect of requests with native tools."""
        known = self._dialects.get(quirks)
        if known is None:
            known = self._dialects[quirks] = NativeTools(self.origin, quirks)
        return known

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a model call as under way."""
        self._calls += 1
        self._most = max(self._most, self._calls)
        try:
            yield
        finally:
            self._calls -= 1

    async def post(self, path: str, content: bytes, options: Mapping[str, Any]) -> Any:
        """Send a request and return its response, of which only the headers have come.

        A server may close a kept connection just when the next request is on its way. It has not acted on that
        request, so the request is sent again at once.

        Raises:
            Exception: Whatever the SDK or the transport raises.
        """
        resends = 0
        while True:
            client: Any = self.client  # the SDK types a raw streamed response as a stream of events
            try:
                response = await client.post(
                    path, cast_to=sdk_httpx().Response, content=content, options=options, stream=True
                )
            except Exception as error:
                if client is self._given and met_another_loop(error):
                    if self.client is client:
                        self.client = borrowed.afresh(client)
                    continue
                if not (self._kept and resends < MOST_RESENDS and hung_up(error)):
                    self._keep(getattr(error, "response", None))
                    raise
                self._kept -= 1
                resends += 1
            else:
                self._keep(response)
                return response

    def _keep(self, response: Any) -> None:
        """Note that a reply has come, if one has, and that its connection stays open, if it does."""
        if response is not None and response.headers.get("connection", "").lower() != "close":
            self._kept = min(self._kept + 1, self._most)
