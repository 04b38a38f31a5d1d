"""The errors of the OpenAI SDK as ours, each with what to do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tinyagent.core.errors import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    ModelConnectionError,
    ModelError,
    ModelNotFoundError,
    ModelTimeoutError,
    RateLimitError,
    ServerError,
)
from tinyagent.models.retry import retry_after
from tinyagent.models.transport import transport_errors
from tinyagent.models.wire import EXCERPT

#: A key inside the text of an error.
_SECRET = re.compile(r"(Bearer |sk-)[^\s'\"]+", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context[ _]?(length|window|size)|maximum context|too many (input )?tokens|prompt is too long", re.IGNORECASE
)


def translated(error: Exception, model: str, base_url: str) -> ModelError:
    """What the SDK or the transport raised as an error of ours, with a remedy."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _status_error(error, model, base_url)
    if isinstance(error, openai.APIConnectionError):
        reason = _root(error)
        refused = isinstance(reason, OSError) and not isinstance(reason, TimeoutError)
        if isinstance(error, openai.APITimeoutError) and not refused:  # aiohttp's transport calls both a timeout
            return ModelTimeoutError(
                f"{base_url} did not answer in time ({reason_of(error)}). Is the server overloaded? Raise timeout= if "
                "it needs longer."
            )
        return ModelConnectionError(
            f"Cannot reach {base_url} ({reason_of(error)}). Is the server running, and is the base URL right "
            "(base_url= or OPENAI_BASE_URL)?"
        )
    if isinstance(error, transport_errors()):  # while the body of an error was read
        return ModelConnectionError(f"{base_url} dropped the connection ({reason_of(error)}).")
    return ModelError(
        f"The request to {base_url} could not be made ({reason_of(error)}). Check the base URL, the proxy of the "
        "environment, and that an AsyncOpenAI of your own is used in one event loop only."
    )


def _status_error(error: Any, model: str, base_url: str) -> ModelError:
    status: int = error.status_code
    said = _words_of(error.response.text)
    wanted: Callable[..., ModelError] = BadRequestError
    remedy = ""
    if status == 429:
        wanted, remedy = RateLimitError, "Send fewer requests at once, or raise the account's limit."
        if "insufficient_quota" in said or error.code == "insufficient_quota":
            wanted, remedy = _out_of_quota, "The account has no credit left."
    elif status in (408, 409) or status >= 500:
        wanted, remedy = ServerError, "The server failed; try again later."
    elif status in (401, 403):
        wanted, remedy = AuthenticationError, "Check the API key (OPENAI_API_KEY) and what it may use."
    elif status == 404:
        wanted = ModelNotFoundError
        remedy = f"Check the model's name ({model!r}) and the base URL ({base_url})."
    elif error.code == "context_length_exceeded" or _TOO_LONG.search(said):
        wanted, remedy = ContextLengthError, "Shorten the conversation, or take a model with a larger context."
    return wanted(
        f"The server answered {status}: {said[:EXCERPT]} {remedy}".strip(),
        status=status,
        retryable=_should_retry(error.response.headers),
        retry_after=retry_after(error.response.headers),
        body=error.response.text[:EXCERPT],
    )


def _words_of(body: str) -> str:
    """What a server says in the body of an error, wherever it put it."""
    try:
        words = _message_in(json.loads(body))
    except (ValueError, RecursionError):
        words = ""
    words = words or " ".join(body.split()) or "nothing"
    return words if words.endswith((".", "!", "?")) else words + "."


def _message_in(data: object) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, list):
        return "; ".join(filter(None, map(_message_in, data)))
    if not isinstance(data, dict):
        return ""
    message = next(filter(None, (_message_in(data.get(key)) for key in ("message", "detail", "msg", "error"))), "")
    place = data.get("loc")
    return f"{'.'.join(map(str, place))}: {message}" if isinstance(place, list) else message


def _out_of_quota(message: str, **details: Any) -> RateLimitError:
    return RateLimitError(message, **{**details, "retryable": False})


def _should_retry(headers: Mapping[str, str]) -> bool | None:
    """What the server says itself, in the header that the OpenAI SDK follows too."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", ""))


def reason_of(error: BaseException) -> str:
    """The innermost reason of an error, in words."""
    error = _root(error)
    said = _SECRET.sub(r"\1***", str(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
