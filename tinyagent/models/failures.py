"""The errors of the OpenAI SDK and its transports as errors of this package, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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
from tinyagent.core.http import message_in, retry_after, sentence
from tinyagent.models.address import better_base_url
from tinyagent.models.transport import (
    aiohttp_errors,
    broken_errors,
    timeout_errors,
    transport_errors,
    unconnected_errors,
)
from tinyagent.models.wire import EXCERPT

#: A secret key in the text of an error, which is not shown.
_SECRET = re.compile(r"(Bearer |sk-)[^\s'\"]+", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context[ _]?(length|window|size)|maximum context|too many (input )?tokens|prompt is too long", re.IGNORECASE
)


#: A model's name with its provider before it, as packages that choose the provider by the name want it.
_PREFIXED = re.compile(
    r"(openai|azure|anthropic|google|google-gla|google-vertex|gemini|groq|mistral|ollama|ollama_chat|xai|deepseek|cohere|"
    r"bedrock|openrouter|together|together_ai|fireworks|fireworks_ai|huggingface|litellm|lm_studio|vllm)[:/](?P<name>.+)"
)
#: What TLS libraries say of a server that answers their greeting with something else.
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|wrong version number|record layer failure|UNKNOWN_PROTOCOL|packet length")
#: What the libraries say of a connection that failed, and plain words for it.
_IN_WORDS = (
    (re.compile(r"peer closed connection|Not enough data"), "the connection was closed in the middle of it"),
    (re.compile(r"[Ss]erver disconnected|ResponseMessage|closing transport"), "the connection was closed"),
    (re.compile(r"decompress|decode content-encoding"), "its compressed body cannot be read"),
    (
        re.compile(r"(status line|chunk header|chunk size).*?b(?P<quote>['\"])(?P<start>.*?)(?P=quote)"),
        "it is not HTTP",
    ),
)


def translated(error: Exception, model: str, base_url: str, through: str = "") -> ModelError:
    """Return an exception of the SDK or the transport as a `ModelError`, with what to do about it.

    Args:
        error: The exception.
        model: The model's name.
        base_url: The base URL of the server.
        through: The proxy that stands between, in words; empty for none.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return _status_error(error, model, base_url, through)
    reason = reason_of(error)
    if through and isinstance(error, (openai.APIConnectionError, *transport_errors())):
        return (ModelTimeoutError if timed_out(error) else ModelConnectionError)(
            f"Cannot reach {base_url} ({reason}). {through} stands between: is it running? Otherwise unset the "
            "variable, or name the server's host in NO_PROXY."
        )
    if timed_out(error):
        return ModelTimeoutError(
            f"{base_url} did not answer in time ({reason}). Is the server overloaded? Raise timeout= if it needs "
            "longer."
        )
    if hung_up(error):
        return ModelConnectionError(
            f"{base_url} closed the connection before it answered. Has the server stopped, or is it being restarted?"
        )
    if _NO_TLS.search(reason):
        return ModelConnectionError(
            f"{base_url} does not speak TLS ({reason}): write http:// instead of https:// in the base URL.",
            retryable=False,
        )
    if isinstance(error, (openai.APIConnectionError, *transport_errors())):
        return ModelConnectionError(
            f"Cannot reach {base_url} ({reason}). Is the server running, and is the base URL right (base_url= or "
            "OPENAI_BASE_URL)?"
        )
    return ModelError(
        f"The request to {base_url} could not be made ({reason}). Check the base URL, the proxy of the environment, "
        "and that an AsyncOpenAI of your own is used in one event loop only."
    )


def timed_out(error: BaseException) -> bool:
    """Return whether an error means that nothing came in time; the SDK's transport of aiohttp says so of others too."""
    causes = list(_causes(error))
    inner = next((each for each in causes if isinstance(each, aiohttp_errors())), None)
    if inner is not None:
        return isinstance(inner, TimeoutError)
    return any(isinstance(each, (TimeoutError, *timeout_errors())) for each in causes)


def hung_up(error: BaseException) -> bool:
    """Return whether an error means that a server closed an open connection without a byte of a reply."""
    causes = list(_causes(error))
    if any(isinstance(each, unconnected_errors()) for each in causes):
        return False
    return any(isinstance(each, broken_errors()) or "disconnected without" in str(each) for each in causes)


def _status_error(error: Any, model: str, base_url: str, through: str) -> ModelError:
    status: int = error.status_code
    wanted: type[ModelError]
    said = sentence(message_in(error.response.text) or error.response.text)
    retryable = _should_retry(error.response.headers)
    wanted, remedy = BadRequestError, ""
    if status == 429:
        wanted, remedy = RateLimitError, "Send fewer requests at once, or raise the account's limit."
        if "insufficient_quota" in said or error.code == "insufficient_quota":
            retryable, remedy = False, "The account has no credit left."
    elif status in (408, 409) or status >= 500:
        wanted, remedy = ServerError, "The server failed; try again later."
    elif status in (401, 403):
        wanted, remedy = AuthenticationError, "Check the API key (OPENAI_API_KEY) and what it may use."
    elif status in (404, 405):
        wanted = ModelNotFoundError if status == 404 else BadRequestError
        remedy = f"Check the model's name ({model!r}) and the base URL ({base_url}).{better_base_url(base_url)}"
    elif status == 407:
        remedy = f"{through or 'A proxy'} stands between, and wants another name or password."
    elif error.code == "context_length_exceeded" or _TOO_LONG.search(said):
        wanted, remedy = ContextLengthError, "Shorten the conversation, or take a model with a larger context."
    if status in (400, 404, 422) and not remedy.startswith("Shorten") and (prefixed := _PREFIXED.match(model)):
        remedy += (
            f" A model is named as its server knows it, without a provider before it: {prefixed['name']!r}. Another "
            "provider is chosen by base_url=."
        )
    return wanted(
        f"The server answered {status}: {said[:EXCERPT]} {remedy}".strip(),
        status=status,
        retryable=retryable,
        retry_after=retry_after(error.response.headers),
        body=error.response.text[:EXCERPT],
    )


def _should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return what the header `x-should-retry`, which the OpenAI SDK follows too, says; `None` where it says nothing."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", ""))


def met_another_loop(error: BaseException) -> bool:
    """Return whether an error means that a connection belongs to another event loop."""
    return any(isinstance(each, RuntimeError) and "loop" in str(each).lower() for each in _causes(error))


def reason_of(error: BaseException) -> str:
    """Return the innermost cause of an error, in words, without secret keys and without a full stop."""
    *_, error = _causes(error)
    said = re.sub(r"^\d{3}, message: ", "", " ".join(str(error).split())).rstrip(".")  # a status that aiohttp made up
    for pattern, words in _IN_WORDS:
        if found := pattern.search(said):
            return f"{words}: {found['start']!r}" if "start" in found.groupdict() else words
    if isinstance(error, broken_errors()) and not said:
        return "the connection was reset"
    said = _SECRET.sub(r"\1***", said)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
