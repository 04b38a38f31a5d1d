"""Any model behind a server that speaks the OpenAI Chat Completions API, through `AsyncOpenAI`.

Requests go through `AsyncOpenAI.post`, the SDK's route for custom requests: it keeps the SDK's authentication,
base URL, headers, timeouts and errors, but neither walks every message of every request nor builds a model object
for every chunk. Reference: OpenAI API reference, "Chat Completions"; openai-python README, "Undocumented endpoints".
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack
from weakref import WeakKeyDictionary

from tinyagent.core.errors import (
    ConfigurationError,
    MissingCredentialsError,
    ModelError,
)
from tinyagent.core.events import Notice
from tinyagent.core.messages import Reply
from tinyagent.core.threads import run_in_thread
from tinyagent.models.base import ModelRequest, Sink
from tinyagent.models.failures import translated
from tinyagent.models.native import NativeTools, to_bytes
from tinyagent.models.response import read_response
from tinyagent.models.retry import with_retries
from tinyagent.models.text_protocol import TextProtocolSink, TextTools, read_reply
from tinyagent.models.think import Habit
from tinyagent.models.transport import Admission, Http, check_http, http_client, sdk_httpx
from tinyagent.models.wire import ReplyAssembler

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
    native: NativeTools
    admission: Admission = field(default_factory=Admission)
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
        if not isinstance(base_url, str | None) or not isinstance(api_key, str | None):
            raise ConfigurationError("base_url= and api_key= are text.")
        if client is not None and (base_url or api_key):
            raise ConfigurationError("Pass either client=, or base_url= and api_key=, not both.")
        if client is not None and not _is_async_client(client):
            raise ConfigurationError(
                f"client={type(client).__name__}: pass an openai.AsyncOpenAI; tinyagent is async-only."
            )
        if tool_calling not in ("auto", "native", "json"):
            raise ConfigurationError(f"tool_calling={tool_calling!r}: pass 'auto', 'native' or 'json'.")
        check_http(http)
        if max_retries is not None and not (isinstance(max_retries, int) and max_retries >= 0):
            raise ConfigurationError(f"max_retries={max_retries!r}: pass 0 or more.")
        if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
            raise ConfigurationError(f"timeout={timeout!r}: pass seconds above 0.")
        _check_settings(settings)
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
        self._text = TextTools()
        self._habit = Habit()
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
        connection = self._connections.get(loop)
        if connection is None:
            raise RuntimeError(f"{self!r} is left in an event loop where it was not entered.")
        connection.users -= 1
        if not connection.users:
            del self._connections[loop]
            if self._given is None:
                await connection.client.close()

    def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        connection = self._connections.get(loop)
        if connection is None:
            client = self._given or self._new_client()
            connection = _Connection(client, NativeTools(str(client.base_url)))
            self._connections[loop] = connection
        return connection

    def _new_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        base_url = self._base_url or os.environ.get("OPENAI_BASE_URL")
        api_key = _checked_key(self._api_key or os.environ.get("OPENAI_API_KEY") or "")
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
                functools.partial(self._attempt, connection, request, sink),
                sink,
                max_retries=retries if self._max_retries is None else self._max_retries,
                deadline=request.deadline,
            )

    async def _attempt(
        self, connection: _Connection, request: ModelRequest, sink: Sink, *, refused: bool = False
    ) -> Reply:
        """One attempt; a server that refuses tools or stream options is asked again without them."""
        as_text = refused or self._refuses_tools or self.tool_calling == "json"
        with_options = request.stream and not self._refuses_stream_options
        try:
            reply = await self._ask(connection, request, sink, as_text=as_text, with_options=with_options)
        except ModelError as error:
            if with_options and "stream_options" in str(error):
                self._refuses_stream_options = True
            elif request.tools and not as_text and self.tool_calling == "auto" and _refuses_tools(error):
                refused = True
                sink.notice(Notice(f"{self.name} does not take native tools; using the JSON text protocol instead."))
            else:
                raise
            return await self._attempt(connection, request, sink, refused=refused)
        self._refuses_tools = self._refuses_tools or refused  # remembered now that it has helped
        return reply

    async def _ask(
        self, connection: _Connection, request: ModelRequest, sink: Sink, *, as_text: bool, with_options: bool
    ) -> Reply:
        client: Any = connection.client  # the SDK types a raw streamed response as a stream of events
        origin = str(client.base_url)
        dialect = self._text if as_text else connection.native
        head = self._stream_head if with_options else self._head + (b'"stream":true,' if request.stream else b"")
        await connection.admission.admit()
        try:
            response = await client.post(
                self._path(client),
                cast_to=sdk_httpx().Response,
                content=head + dialect.body(request) + b"}",
                options=self._options(),
                stream=request.stream,
            )
        except Exception as error:
            raise translated(error, self.name, origin) from error
        by_protocol = as_text and bool(request.tools)
        tools = () if by_protocol else request.tools
        assembler = ReplyAssembler(TextProtocolSink(sink) if by_protocol else sink, origin, tools, self._habit)
        reply = await read_response(response, assembler)
        return read_reply(reply, sink, request.tools) if by_protocol else reply

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
        # Retries are ours: visible, and bounded by the run; so no key to tell them apart needs to be made.
        headers = dict(self._settings.get("extra_headers", {}))
        options: dict[str, Any] = {"max_retries": 0, "headers": headers, "idempotency_key": ""}
        if self._given is not None and self._timeout is not None:
            options["timeout"] = self._timeout
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
    r"|\btools? .{0,40}\brequires? --"
    r"|\b(tools?|function[ _-]?calling|tool[ _-]?(calling|use))\b['\"`]?:?[^.]{0,40}"
    r"\b(not (be )?(supported|allowed|permitted|available)|unsupported)"
    r"|(unrecognized|unknown|unexpected|unsupported|extra)\b[^.]{0,60}\btools?\b(?!\[|\.\w)",
    re.IGNORECASE | re.DOTALL,
)
#: Refusals of something in a request with tools, not of tools.
_OTHER_REFUSAL = re.compile(r"schema|arguments|message|tool_choice '?none|parallel", re.IGNORECASE)


def _refuses_tools(error: ModelError) -> bool:
    said = str(error)
    refused = error.status in (400, 404, 422, 500, 501) and _REFUSES_TOOLS.search(said) is not None
    return refused and _OTHER_REFUSAL.search(said) is None


def _check_settings(settings: Mapping[str, Any]) -> None:
    if unknown := settings.keys() - Settings.__annotations__.keys():
        raise ConfigurationError(
            f"Unknown model settings {sorted(unknown)}. Known: {', '.join(Settings.__annotations__)}. "
            "Pass anything else a server takes as extra_body={...}."
        )
    for extra in _NOT_IN_BODY:
        if not isinstance(settings.get(extra, {}), Mapping):
            raise ConfigurationError(f"{extra}={settings.get(extra)!r}: pass a dict.")


def _checked_key(key: str) -> str:
    """The key without the line break that files and shells leave at its end.

    Raises:
        ConfigurationError: It cannot be sent; the text does not show it.
    """
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError("The API key (OPENAI_API_KEY or api_key=) holds characters that no key has.")
    return key


def _is_async_client(client: object) -> bool:
    from openai import AsyncOpenAI

    return isinstance(client, AsyncOpenAI)
