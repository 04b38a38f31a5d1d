"""Trying a model call again: backoff, jitter, Retry-After, and never beyond the run's time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime

from tinyagent.core.errors import ModelError
from tinyagent.core.events import Retry
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

    A failure after which calls had already started is not retried here: the run keeps their results.

    Args:
        attempt: Makes one model call.
        sink: Told of each retry.
        max_retries: Further attempts.
        deadline: When the run's time is over, on the event loop's clock.

    Raises:
        ModelError: The last failure, or one that is not worth a retry.
    """
    number = 1
    while True:
        try:
            return await attempt()
        except ModelError as error:
            started = error.partial is not None and error.partial.calls
            if not error.retryable or started or number > max_retries:
                raise
            wait = backoff(number) if error.retry_after is None else error.retry_after
            late = deadline is not None and asyncio.get_running_loop().time() + wait >= deadline
            if late or wait > LONGEST_WAIT:
                raise
            number += 1
            sink.notice(Retry("model", number, wait, f"{type(error).__name__}: {error}"))
        await asyncio.sleep(wait)


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
