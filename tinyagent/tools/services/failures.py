"""What the failures of a service mean, and what to do about each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tinyagent.core.http import message_in, retry_after, sentence
from tinyagent.tools.services.errors import ServiceError, ServiceKeyError, ServiceLimitError, ServiceUnavailableError

if TYPE_CHECKING:
    from tinyagent.tools.http import Fetched
    from tinyagent.tools.services.service import Service

#: Characters of what a service says that an error text repeats.
EXCERPT = 300
#: Bytes of a failure's body that are looked at.
LOOKED_AT = 20_000
#: Statuses of too many requests and of a plan that is used up. 202 is a challenge meant for browsers, 402 an account
#: without credit; 432 and 433 are Tavily's for the limits of a plan
#: (https://docs.tavily.com/documentation/api-reference/endpoint/search).
TOO_MANY, USED_UP = (202, 429), (402, 432, 433)
#: Some services answer 400 or 422 to a bad key.
_BAD_KEY = re.compile(
    r"\b(invalid|incorrect|missing)\b.{0,40}\b(api.?key|token)\b|\b(api.?key|token)\b.{0,40}\b(invalid|missing)\b",
    re.IGNORECASE,
)


def failure(service: Service, fetched: Fetched) -> ServiceError:
    """Return the error for an answer that is a failure."""
    status, see = fetched.status, f"see {service.documents}."
    said = _said(service, fetched)
    answered = f"{service.name} answered {status}: {said}"
    if hint := service.hints.get(status):
        return ServiceError(f"{answered} {hint}", status=status)
    if status in (401, 403) or (status in (400, 422) and _BAD_KEY.search(said)):
        return ServiceKeyError(f"{answered} {_about_key(service, see)}", status=status)
    if status in USED_UP:
        return ServiceLimitError(f"{answered} The plan or its credit is used up; {see}", status=status)
    if status in TOO_MANY:
        wait = wait_asked(fetched.headers)
        wait = _wait_told(fetched) if wait is None else wait
        when = "later" if wait is None else f"in {wait:.0f} s"
        more = "" if service.key or not service.variable else f" A key of your own ({service.variable}) allows more."
        return ServiceLimitError(
            f"{answered} The rate limit is reached: try again {when}.{more}", status=status, retry_after=wait
        )
    if status >= 500 or status == 408:
        return ServiceUnavailableError(f"{answered} It failed itself; try again later.", status=status)
    remedy = f"Is {service.url} its API? " if status < 400 or status == 404 else ""
    return ServiceError(f"{answered} {remedy}{see.capitalize()}", status=status)


def _about_key(service: Service, see: str) -> str:
    if not service.variable:
        return see.capitalize()
    if service.key:
        return f"It rejected the API key: check {service.variable} (or api_key=); {see}"
    return f"It wants an API key: set {service.variable}; {see}"


def wait_asked(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait by `Retry-After`, or by Brave's headers, which have a number for each window of time.

    https://api-dashboard.search.brave.com/documentation/guides/rate-limiting
    """
    if (wait := retry_after(headers)) is not None:
        return wait
    try:
        resets = [float(part) for part in headers["x-ratelimit-reset"].split(",")]
        left = [float(part) for part in headers["x-ratelimit-remaining"].split(",")]
    except (KeyError, ValueError):
        return None
    return max((reset for reset, count in zip(resets, left, strict=False) if count <= 0), default=None)


def _wait_told(fetched: Fetched) -> float | None:
    """Return the seconds to wait by the body: `error.retry_after_seconds` (keyless Tavily), `retryAfter` (Jina)."""
    try:
        data = json.loads(fetched.content)
        told = data["retryAfter"] if "retryAfter" in data else data["error"]["retry_after_seconds"]
        return max(0.0, float(told))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _said(service: Service, fetched: Fetched) -> str:
    """Return what a service says about a failure, wherever in the answer that stands."""
    words = message_in(fetched.content[:LOOKED_AT])
    if words is None:
        words = begin_of(fetched)
        words = kind_of(fetched) if words[:1] == "<" else words
    return sentence(service.without_key(words)[:EXCERPT])


def begin_of(fetched: Fetched) -> str:
    """Return the beginning of an answer's body, on one line."""
    return " ".join(fetched.content[: 4 * EXCERPT].decode("utf-8", "replace").split())[:EXCERPT]


def kind_of(fetched: Fetched) -> str:
    """Return in words what an answer's body is."""
    kind = fetched.content_type
    return {"text/html": "a page of HTML"}.get(kind, kind or "something")
