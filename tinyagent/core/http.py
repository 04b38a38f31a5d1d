"""What a failed HTTP response says: how long to wait, and what is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

#: Keys under which servers put a message, the plainest first; under each there may be an object with such keys again.
_MESSAGES = ("readableMessage", "message", "detail", "msg", "error")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a response asks to wait; `None` where it does not.

    They stand in the header `retry-after-ms`, or in `Retry-After` (RFC 9110, 10.2.3: seconds or a date).
    """
    value = headers.get("retry-after", "")
    with suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(TypeError, ValueError, IndexError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def message_in(body: str | bytes) -> str | None:
    """Return the message in the JSON body of a failed response, wherever the server put it; `None` if it is no JSON."""
    try:
        return message_of(json.loads(body))
    except (ValueError, RecursionError):
        return None


def message_of(data: object) -> str:
    """Return the message in parsed JSON of a server, wherever the server put it; empty if there is none."""
    if isinstance(data, str):
        return data
    if isinstance(data, list):
        return "; ".join(filter(None, map(message_of, data)))
    if not isinstance(data, dict):
        return ""
    message = next(filter(None, (message_of(data.get(key)) for key in _MESSAGES)), "")
    place = data.get("loc")
    return f"{'.'.join(map(str, place))}: {message}" if message and isinstance(place, list) else message


def sentence(words: str) -> str:
    """Return the words on one line, with a full stop; `nothing.` where there are none."""
    words = " ".join(words.split()) or "nothing"
    return words if words.endswith((".", "!", "?")) else words + "."
