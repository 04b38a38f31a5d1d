"""A web service that answers in JSON, and how it is asked."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from tinyagent.core.waiting import Places
from tinyagent.tools.services.errors import ServiceAnswerError, ServiceUnavailableError
from tinyagent.tools.services.failures import TOO_MANY, begin_of, failure, kind_of, wait_asked
from tinyagent.tools.settings import check_base_url, check_key, hosts_of

if TYPE_CHECKING:
    from tinyagent.tools.http import Fetched

#: Requests to one service that are under way at once on an event loop; the others wait.
AT_ONCE = 2
#: A service that asks for a wait of up to this many seconds is asked once more; a longer wait is reported.
LONGEST_WAIT = 3.0
#: Bytes of an answer that are read. Any JSON of that length is parsed in less than 0.2 s; the loop waits meanwhile.
MAX_BYTES = 2_000_000

#: The requests to each URL that are under way.
_places = Places(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Service:
    """One web service: what is known of it, and how one call uses it.

    Attributes:
        name: The service's name in texts.
        url: The base URL of its API; empty for one that its users run themselves.
        documents: The URL at which its key, or its settings, are explained.
        key_variables: The environment variables of its key; empty when it takes none from there.
        key_header: The header in which its key goes.
        url_variables: The environment variables of its URL.
        hints: By HTTP status: what to do about it, where it means something of its own here.
        keyless: Whether it works without a key.
        key: Its API key, if there is one.
        allow: The hosts that may be opened although they are not public: those its owner named.
        proxy: The URL of a proxy to go through.
        seconds: How many seconds a call may take, without its wait for a place.
    """

    name: str
    url: str
    documents: str
    key_variables: tuple[str, ...] = ()
    key_header: str = "Authorization"
    url_variables: tuple[str, ...] = ()
    hints: Mapping[int, str] = field(default_factory=dict)
    keyless: bool = False
    key: str | None = field(default=None, repr=False)
    allow: tuple[str, ...] = ()
    proxy: str | None = field(default=None, repr=False)
    seconds: float = 20.0

    @property
    def variable(self) -> str:
        """The environment variable of its key: the first that is set, else the first; empty when it takes none."""
        return first_set(self.key_variables)[0]

    def configured(self, *, key: str | None, url: str | None, seconds: float, proxy: str | None) -> Self:
        """Return the service with these settings, which are checked, else with those of the environment.

        Raises:
            ConfigurationError: A variable of the environment is wrong.
        """
        variable, value = first_set(self.key_variables)
        key = key or (check_key(variable, value) if value else None)
        variable, value = first_set(self.url_variables)
        url = url or (check_base_url(variable, value) if value else None)
        hosts = hosts_of(url) if url else ()
        return replace(self, key=key, url=url or self.url, allow=hosts, seconds=seconds, proxy=proxy)

    async def ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **sent: Any) -> Any:
        """Ask the service, and return the JSON data of its answer. A short wait that it asks for is taken, once.

        Args:
            method: The HTTP method.
            path: What follows the base URL.
            headers: Headers beside the one with the key.
            **sent: `params` or `json`, as in `tinyagent.tools.http.fetch`.

        Raises:
            ServiceError: There is no answer, or the answer is a failure; the text says what to do.
        """
        access = {}
        if self.key:
            access[self.key_header] = f"Bearer {self.key}" if self.key_header == "Authorization" else self.key
        request = {"method": method, "headers": {"Accept": "application/json", **access, **(headers or {})}, **sent}
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


def first_set(variables: Iterable[str]) -> tuple[str, str]:
    """Return the first environment variable that is set, and its value; else the first of all, and no text."""
    names = tuple(variables)
    found = ((name, value) for name in names if (value := os.environ.get(name, "").strip()))
    return next(found, (names[0] if names else "", ""))
