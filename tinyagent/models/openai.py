"""Any model behind a server that speaks the OpenAI Chat Completions API, through `AsyncOpenAI`.

Requests go through `AsyncOpenAI.post`, the SDK's route for custom requests: it keeps the SDK's authentication,
base URL, headers, timeouts and errors, but neither walks every message of every request nor builds a model object
for every chunk. Reference: OpenAI API reference, "Chat Completions"; openai-python README, "Undocumented endpoints".
"""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack
from weakref import WeakKeyDictionary

from tinyagent.core.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextLengthError,
    MissingCredentialsError,
    ModelConnectionError,
    ModelError,
    ModelNotFoundError,
    ModelTimeoutError,
    RateLimitError,
    ServerError,
)
from tinyagent.core.events import Notice
from tinyagent.core.messages import Reply
from tinyagent.core.threads import run_in_thread
from tinyagent.models.base import ModelRequest, Sink
from tinyagent.models.native import NativeTools, to_bytes
from tinyagent.models.retry import retry_after, with_retries
from tinyagent.models.sse import EventParser
from tinyagent.models.text_protocol import TextProtocolSink, TextTools, read_reply
from tinyagent.models.transport import Admission, Http, http_client, sdk_httpx, timeout_errors, transport_errors
from tinyagent.models.wire import EXCERPT, ReplyAssembler

if TYPE_CHECKING:
    from openai import AsyncOpenAI

ToolCalling: TypeAlias = Literal["auto", "native", "json"]

#: Seconds without a byte from the server; the SDK's default.
READ_TIMEOUT = 600.0
DEFAULT_RETRIES = 2
LOCAL_SERVERS = """\
  Ollama      http://localhost:11434/v1
  llama.cpp   http://localhost:8080/v1
  LM Studio   http://localhost:1234/v1
  vLLM        http://localhost:8000/v1"""


class Settings(TypedDict, total=False):
    """Parameters of the Chat Completions API that pass through unchanged; see its reference for each.

    `extra_body`, `extra_headers` and `extra_query` are merged into the request, as with the OpenAI SDK.
    """

    temperature: float
    top_p: float
    max_tokens: int
    max_completion_tokens: int
    seed: int
    stop: str | list[str]
    reasoning_effort: str
    verbosity: str
    presence_penalty: float
    frequency_penalty: float
    logit_bias: Mapping[str, int]
    logprobs: bool
    top_logprobs: int
    parallel_tool_calls: bool
    response_format: Mapping[str, Any]
    service_tier: str
    prediction: Mapping[str, Any]
    prompt_cache_key: str
    safety_identifier: str
    metadata: Mapping[str, str]
    store: bool
    user: str
    extra_body: Mapping[str, Any]
    extra_headers: Mapping[str, str]
    extra_query: Mapping[str, object]


_NOT_IN_BODY = ("extra_body", "extra_headers", "extra_query")


@dataclass(slots=True)
class _Connection:
    """A client and how many are using it; ours is closed when nobody does."""

    client: AsyncOpenAI
    admission: Admission
    users: int = 0


class OpenAIModel:
    """A model on OpenAI or any server that speaks its Chat Completions API.

    Args:
        name: The model's name, as the server knows it.
        client: An `AsyncOpenAI` (or `AsyncAzureOpenAI`) of your own; you close it. Otherwise one is made from
            `api_key`, `base_url` and the environment (`OPENAI_API_KEY`, `OPENAI_BASE_URL`), shared by the runs of
            one event loop, and closed when the last of them ends.
        base_url: The server, usually ending in `/v1`.
        api_key: The key. A server given by `base_url` may need none.
        tool_calling: `native` tool calls; a `json` text protocol for models without them; `auto` (default) is
            native until the server refuses tools.
        max_retries: How often a failed call is tried again (default 2, or the client's).
        timeout: Seconds the server may be silent (default 600, or the client's).
        http: The transport of a client made here: `aiohttp` (extra `[fast]`), `httpx`, or `auto`.
        **settings: See `Settings`: temperature, seed, max_completion_tokens, reasoning_effort, extra_body, ...

    Raises:
        ConfigurationError: An argument is wrong or unknown.
    """

    def __init__(
        self,
        name: str,
        *,
        client: AsyncOpenAI | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        tool_calling: ToolCalling = "auto",
        max_retries: int | None = None,
        timeout: float | None = None,
        http: Http = "auto",
        **settings: Unpack[Settings],
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError(f"OpenAIModel({name!r}): pass the model's name, such as 'gpt-4o-mini'.")
        if client is not None and (base_url or api_key):
            raise ConfigurationError("Pass either client=, or base_url= and api_key=, not both.")
        if client is not None and not _is_async_client(client):
            raise ConfigurationError(
                f"client={type(client).__name__}: pass an openai.AsyncOpenAI; tinyagent is async-only."
            )
        if tool_calling not in ("auto", "native", "json"):
            raise ConfigurationError(f"tool_calling={tool_calling!r}: pass 'auto', 'native' or 'json'.")
        if http not in ("auto", "httpx", "aiohttp"):
            raise ConfigurationError(f"http={http!r}: pass 'auto', 'httpx' or 'aiohttp'.")
        if max_retries is not None and max_retries < 0:
            raise ConfigurationError(f"max_retries={max_retries!r}: pass 0 or more.")
        if timeout is not None and not timeout > 0:
            raise ConfigurationError(f"timeout={timeout!r}: pass seconds above 0.")
        if unknown := settings.keys() - Settings.__annotations__.keys():
            raise ConfigurationError(
                f"Unknown model settings {sorted(unknown)}. Known: {', '.join(Settings.__annotations__)}. "
                "Pass anything else a server takes as extra_body={...}."
            )
        self.name = name
        self.tool_calling = tool_calling
        self._given = client
        self._base_url = base_url
        self._api_key = api_key
        self._max_retries = max_retries
        self._timeout = timeout
        self._http = http
        self._settings = settings
        self._head, self._stream_head = self._heads()
        self._native: NativeTools | None = None
        self._text = TextTools()
        self._refuses_tools = False
        self._refuses_stream_options = False
        self._connections: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connection] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r})"

    # ---- connections

    async def __aenter__(self) -> OpenAIModel:
        """Keep the connections of this event loop open until left."""
        if "openai" not in sys.modules:  # half a second of imports must not hold up the loop
            await run_in_thread(importlib.import_module, "openai")
        self._connect().users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        connection = self._connections[loop]
        connection.users -= 1
        if not connection.users:
            del self._connections[loop]
            if self._given is None:
                await connection.client.close()

    def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        connection = self._connections.get(loop)
        if connection is None:
            connection = self._connections[loop] = _Connection(self._given or self._new_client(), Admission())
        return connection

    def _new_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        base_url = self._base_url or os.environ.get("OPENAI_BASE_URL")
        api_key = self._api_key or os.environ.get("OPENAI_API_KEY")
        if not base_url and not api_key:
            raise MissingCredentialsError(
                "No model server is known. Set OPENAI_API_KEY to use OpenAI, or OPENAI_BASE_URL (or base_url=) to use "
                f"a local server, which needs no key:\n{LOCAL_SERVERS}\nTo see tinyagent work without either, run: "
                "make demo (or: tinyagent demo)"
            )
        timeout = READ_TIMEOUT if self._timeout is None else self._timeout
        return AsyncOpenAI(
            api_key=api_key or "none", base_url=base_url or None, http_client=http_client(self._http, timeout)
        )

    # ---- one request

    async def __call__(self, request: ModelRequest, sink: Sink) -> Reply:
        """Answer the request, with retries.

        Raises:
            ModelError: The server could not answer; the class says why, the text what to do.
            MissingCredentialsError: There is neither a key nor a base URL.
        """
        async with self:
            connection = self._connect()
            retries = connection.client.max_retries if self._given else DEFAULT_RETRIES
            return await with_retries(
                lambda: self._attempt(connection, request, sink),
                sink,
                max_retries=retries if self._max_retries is None else self._max_retries,
                deadline=request.deadline,
            )

    async def _attempt(self, connection: _Connection, request: ModelRequest, sink: Sink) -> Reply:
        """One attempt; a server that refuses tools or stream options is asked again without them."""
        try:
            return await self._ask(connection, request, sink)
        except ModelError as error:
            if request.stream and not self._refuses_stream_options and "stream_options" in str(error):
                self._refuses_stream_options = True
            elif self._should_switch(request, error):
                self._refuses_tools = True
                sink.notice(Notice(f"{self.name} does not take native tools; using the JSON text protocol instead."))
            else:
                raise
        return await self._attempt(connection, request, sink)

    def _should_switch(self, request: ModelRequest, error: ModelError) -> bool:
        asked = request.tools and not self._refuses_tools and self.tool_calling == "auto"
        return bool(asked and error.status in (400, 404, 422, 500, 501) and _REFUSES_TOOLS.search(str(error)))

    async def _ask(self, connection: _Connection, request: ModelRequest, sink: Sink) -> Reply:
        client: Any = connection.client  # the SDK types a raw streamed response as a stream of events
        origin = str(client.base_url)
        as_text = bool(request.tools) and (self._refuses_tools or self.tool_calling == "json")
        assembler = ReplyAssembler(TextProtocolSink(sink) if as_text else sink, origin)
        await connection.admission.admit()
        async with _errors_translated(self.name, origin):
            response = await client.post(
                self._path(client),
                cast_to=sdk_httpx().Response,
                content=self._body(request, origin, as_text=as_text),
                options=self._options(),
                stream=request.stream,
            )
        reply = await _read(response, assembler)
        return read_reply(reply, sink) if as_text else reply

    def _body(self, request: ModelRequest, origin: str, *, as_text: bool) -> bytes:
        head = self._head
        if request.stream:
            head = self._head + b'"stream":true,' if self._refuses_stream_options else self._stream_head
        if as_text or self.tool_calling == "json":
            return head + self._text.body(request) + b"}"
        if self._native is None:
            self._native = NativeTools(origin)
        return head + self._native.body(request) + b"}"

    def _heads(self) -> tuple[bytes, bytes]:
        """The part of the body that every request shares, plain and streamed."""
        body = {key: value for key, value in self._settings.items() if key not in _NOT_IN_BODY}
        body = {"model": self.name, **body, **self._settings.get("extra_body", {})}
        try:
            head = to_bytes(body)[:-1] + b","
        except TypeError as error:
            raise ConfigurationError(f"The model settings are not JSON: {error}.") from error
        return head, head + b'"stream":true,"stream_options":{"include_usage":true},'

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"max_retries": 0}  # retries are ours: visible, and bounded by the run
        if self._given is not None and self._timeout is not None:
            options["timeout"] = self._timeout
        if headers := self._settings.get("extra_headers"):
            options["headers"] = dict(headers)
        if query := self._settings.get("extra_query"):
            options["params"] = dict(query)
        return options

    def _path(self, client: AsyncOpenAI) -> str:
        """The path; Azure's holds the deployment, which its SDK class reads from a body it can parse."""
        if type(client).__name__ == "AsyncAzureOpenAI" and "/deployments" not in str(client.base_url):
            return f"/deployments/{self.name}/chat/completions"
        return "/chat/completions"


#: How servers say that a model takes no tools: Ollama "does not support tools", vLLM '"auto" tool choice requires
#: --enable-auto-tool-choice', llama.cpp "tools param requires --jinja flag", OpenRouter "No endpoints found that
#: support tool use", strict servers "Unrecognized request argument supplied: tools".
_REFUSES_TOOLS = re.compile(
    r"(n[o']t|no endpoints\b.*) support\w*\b.{0,40}\b(tool|function)"
    r"|\b(tools?|functions?|tool[ _-]?(choice|call\w*|use)|function[ _-]?calling)\b['\"`]?[^.]{0,60}"
    r"\b(not (be )?(supported|allowed|permitted|available)|unsupported|requires? --)"
    r"|(unrecognized|unknown|unexpected|unsupported|extra)\b[^.]{0,60}\btools?\b",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG = re.compile(
    r"context[ _]?(length|window|size)|maximum context|too many (input )?tokens|prompt is too long", re.IGNORECASE
)


async def _read(response: Any, assembler: ReplyAssembler) -> Reply:
    """The reply in a response: events or JSON, by its content type, whatever was asked for."""
    try:
        content_type = response.headers.get("content-type", "").lower()
        if response.is_stream_consumed or "json" in content_type:
            body = await response.aread()
            if not _is_events(content_type, body):
                return assembler.whole(body, response.status_code)
            return await _read_events(_once(body), assembler)
        if "event-stream" in content_type:
            return await _read_events(response.aiter_bytes(), assembler)
        return await _read_unlabelled(response, assembler)
    except timeout_errors() as error:
        raise ModelTimeoutError(
            "The server went silent in the middle of its reply. Raise timeout= if it needs longer.",
            partial=assembler.partial(),
        ) from error
    except transport_errors() as error:
        raise assembler.interrupted(_because(error)) from error
    finally:
        await response.aclose()


async def _read_unlabelled(response: Any, assembler: ReplyAssembler) -> Reply:
    """A body without a content type that helps: its first bytes tell."""
    chunks = response.aiter_bytes()
    first = b""
    async for chunk in chunks:
        first += chunk
        if first.strip():
            break
    if _is_events("", first):
        return await _read_events(_once(first, chunks), assembler)
    return assembler.whole(first + b"".join([chunk async for chunk in chunks]), response.status_code)


async def _read_events(chunks: AsyncIterator[bytes], assembler: ReplyAssembler) -> Reply:
    parser = EventParser()
    async for chunk in chunks:
        for name, data in parser.feed(chunk):
            if assembler.event(name, data):
                return assembler.end(done=True)
    done = False
    for name, data in parser.close():
        done = assembler.event(name, data)
    return assembler.end(done=done)


async def _once(first: bytes, rest: AsyncIterator[bytes] | None = None) -> AsyncIterator[bytes]:
    yield first
    if rest is not None:
        async for chunk in rest:
            yield chunk


def _is_events(content_type: str, body: bytes) -> bool:
    start = body.lstrip()[:6]
    return "event-stream" in content_type or start.startswith((b"data:", b"event:", b":"))


@asynccontextmanager
async def _errors_translated(model: str, base_url: str) -> AsyncIterator[None]:
    """The SDK's errors as ours, each with a remedy."""
    import openai

    try:
        yield
    except openai.APIConnectionError as error:
        reason = _root(error)
        refused = isinstance(reason, OSError) and not isinstance(reason, TimeoutError)
        if isinstance(error, openai.APITimeoutError) and not refused:  # aiohttp's transport calls both a timeout
            raise ModelTimeoutError(
                f"{base_url} did not answer in time ({_because(error)}). Is the server overloaded? Raise timeout= if "
                "it needs longer."
            ) from error
        raise ModelConnectionError(
            f"Cannot reach {base_url} ({_because(error)}). Is the server running, and is the base URL right "
            "(base_url= or OPENAI_BASE_URL)?"
        ) from error
    except openai.APIStatusError as error:
        raise _status_error(error, model, base_url) from error
    except openai.OpenAIError as error:
        raise ModelError(f"The OpenAI client failed: {_because(error)}") from error


def _status_error(error: Any, model: str, base_url: str) -> ModelError:
    status: int = error.status_code
    said = str(error.message)
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
        f"{said[:EXCERPT]} {remedy}".strip(),
        status=status,
        retryable=_should_retry(error.response.headers),
        retry_after=retry_after(error.response.headers),
        body=error.response.text[:EXCERPT],
    )


def _out_of_quota(message: str, **details: Any) -> RateLimitError:
    return RateLimitError(message, **{**details, "retryable": False})


def _should_retry(headers: Mapping[str, str]) -> bool | None:
    """What the server says itself, in the header that the OpenAI SDK follows too."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", ""))


def _because(error: BaseException) -> str:
    """The innermost reason of an error, in words."""
    error = _root(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_async_client(client: object) -> bool:
    from openai import AsyncOpenAI

    return isinstance(client, AsyncOpenAI)
