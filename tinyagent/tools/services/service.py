"""A web service that answers in JSON, and how it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinyagent.core.waiting import Places
from tinyagent.tools.services.errors import ServiceAnswerError, ServiceUnavailableError
from tinyagent.tools.services.failures import TOO_MANY, begin_of, failure, kind_of, wait_asked

if TYPE_CHECKING:
    from tinyagent.tools.http import Fetched

#: Requests to one service that are under way at once on an event loop; the others wait.
AT_ONCE = 2
#: A service that asks for a wait of up to this many seconds is asked once more; a longer wait is reported.
LONGEST_WAIT = 3.0
#: Bytes of an answer that are read. Any JSON of that length is parsed in less than 0.2 s; the loop waits meanwhile.
MAX_BYTES = 2_000_000

_places = Places(AT_ONCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One web service, as one call uses it.

    Attributes:
        name: The service's name in texts.
        url: The base URL of its API.
        documents: The URL of its documentation.
        key: Its API key, if there is one.
        variable: The environment variable of its key; empty when it takes none.
        allow: The hosts that may be opened although they are not public: those its owner named.
        proxy: The URL of a proxy to go through.
        seconds: How many seconds a call may take, without its wait for a place.
        hints: By HTTP status: what to do about it, where it means something of its own here.
    """

    name: str
    url: str
    documents: str
    key: str | None = field(default=None, repr=False)
    variable: str = ""
    allow: tuple[str, ...] = ()
    proxy: str | None = field(default=None, repr=False)
    seconds: float = 20.0
    hints: Mapping[int, str] = field(default_factory=dict)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Any:
        """Ask the service, and return the JSON data of its answer. A short wait that it asks for is taken, once.

        Raises:
            ServiceError: There is no answer, or the answer is a failure; the text says what to do.
        """
        request = {
            "method": method,
            "headers": {"Accept": "application/json", **(headers or {})},
            "params": params,
            "json": body,
        }
        async with _places.place(self.url):
            clock = asyncio.get_running_loop().time
            end = clock() + self.seconds
            fetched = await self._fetch(path, self.seconds, request)
            wait = wait_asked(fetched.headers) if fetched.status == 429 else None
            if wait is not None and wait <= LONGEST_WAIT and wait < end - clock():
                await asyncio.sleep(wait)
                fetched = await self._fetch(path, max(0.001, end - clock()), request)
        if not fetched.ok or fetched.status in TOO_MANY:
            raise failure(self, fetched)
        return self._data(fetched)

    async def _fetch(self, path: str, seconds: float, request: Mapping[str, Any]) -> Fetched:
        from tinyagent.tools.http import FetchError, FetchTimeoutError, fetch

        base = self.url.rstrip("/")
        url = base if path and base.endswith(path) else base + path
        limits: dict[str, Any] = {"allow": self.allow, "proxy": self.proxy, "max_bytes": MAX_BYTES, "seconds": seconds}
        try:
            return await fetch(url, **request, **limits)
        except FetchTimeoutError as error:
            raise ServiceUnavailableError(
                f"{self.name} did not answer within {self.seconds:g} s. Try again later, or allow it more: seconds=."
            ) from error
        except FetchError as error:
            raise ServiceUnavailableError(f"{self.name} cannot be reached. {self.without_key(str(error))}") from error

    def _data(self, fetched: Fetched) -> Any:
        answered = f"{self.name} answered {fetched.status} with"
        if not fetched.content.strip():
            raise ServiceAnswerError(f"{answered} nothing in it. Try again; else see {self.documents}.")
        if fetched.truncated:
            raise ServiceAnswerError(f"{answered} more than {MAX_BYTES:,} bytes, which is too much to read.")
        try:
            return json.loads(fetched.content)
        except (ValueError, RecursionError) as error:
            begin = self.without_key(begin_of(fetched))
            raise self.wrong_shape(f"is {kind_of(fetched)}, not JSON; it begins: {begin!r}") from error

    def wrong_shape(self, problem: str) -> ServiceAnswerError:
        """Return the error for an answer of another shape than documented."""
        return ServiceAnswerError(
            f"The answer of {self.name} {problem}. Is {self.url} the URL of its API? See {self.documents}."
        )

    def without_key(self, text: str) -> str:
        """Return the text of an error with `***` in place of the key."""
        return text.replace(self.key, "***") if self.key else text
