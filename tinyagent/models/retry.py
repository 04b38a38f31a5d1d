"""Trying a model call again: backoff, jitter, Retry-After, and never beyond the run's time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime

from tinyagent.core.errors import ModelError
from tinyagent.core.events import Retry
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Reply
from tinyagent.models.base import Sink

#: Seconds before the first retry; doubled for each further one, up to LONGEST_BACKOFF, with jitter.
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 8.0
#: A server that asks for a longer wait (seconds) is not waited for: the error says how long it asked.
LONGEST_WAIT = 60.0


async def with_retries(
    attempt: Callable[[], Awaitable[Reply]], sink: Sink, *, max_retries: int, deadline: float | None
) -> Reply:
    """The first reply of `attempt`, which is called at most `max_retries` times more.

    A failure after complete calls, or after code that has run, is not retried here: the run goes on from there.
    What failed attempts cost is counted.

    Args:
        attempt: Makes one model call.
        sink: Told of each retry.
        max_retries: Further attempts.
        deadline: When the run's time is over, on the event loop's clock.

    Raises:
        ModelError: The last failure, or one that is not worth a retry.
    """
    number = 1
    spent: Usage | None = None  # by attempts that failed
    while True:
        try:
            reply = await attempt()
        except ModelError as error:
            if error.partial is not None:
                spent = (spent or Usage()) + replace(error.partial.usage, requests=0)
                error.partial = replace(error.partial, usage=spent)
            acted = bool(error.partial and error.partial.calls) or getattr(sink, "committed", False)
            if not error.retryable or number > max_retries or acted:
                raise
            wait = backoff(number) if error.retry_after is None else error.retry_after
            if too_long := _too_long(wait, deadline):
                error.args = (f"{error} Not tried again: the wait of {wait:.0f} s would be {too_long}.",)
                raise
            number += 1
            sink.notice(Retry("model", number, wait, f"{type(error).__name__}: {error}"))
        else:
            return reply if spent is None else replace(reply, usage=reply.usage + spent)
        await asyncio.sleep(wait)


def _too_long(wait: float, deadline: float | None) -> str | None:
    if deadline is not None and asyncio.get_running_loop().time() + wait >= deadline:
        return "beyond the run's time (Limits.seconds)"
    return f"over {LONGEST_WAIT:.0f} s" if wait > LONGEST_WAIT else None


def backoff(retry: int) -> float:
    """Seconds before retry number `retry` (from 1): exponential, with up to a quarter taken off at random."""
    return float(min(FIRST_BACKOFF * 2 ** (retry - 1), LONGEST_BACKOFF) * random.uniform(0.75, 1.0))  # noqa: S311


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds in a `Retry-After` header (RFC 9110, 10.2.3: seconds or a date) or `retry-after-ms`."""
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        pass
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, IndexError):
        return None
