"""Any model behind a server that speaks the OpenAI Chat Completions API, through `AsyncOpenAI`.

Requests go through `AsyncOpenAI.post`, the SDK's route for custom requests: it keeps the SDK's authentication,
base URL, headers, timeouts and errors, but neither walks every message of every request nor builds a model object
for every chunk. Reference: OpenAI API reference, "Chat Completions"; openai-python README, "Undocumented endpoints".
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack
from weakref import WeakKeyDictionary

from tinyagent.core.door import door
from tinyagent.core.errors import (
    ConfigurationError,
    MissingCredentialsError,
    ModelError,
    UnknownOptionError,
)
from tinyagent.core.events import Notice
from tinyagent.core.messages import Reply
from tinyagent.core.waiting import asyncio_loop
from tinyagent.models.address import checked_base_url, is_here, proxy_of
from tinyagent.models.base import DEFAULT_RETRIES, ModelRequest, Retries, Sink
from tinyagent.models.connection import Connection, for_this_loop
from tinyagent.models.failures import translated
from tinyagent.models.native import NativeTools, to_bytes
from tinyagent.models.quirks import NO_QUIRKS, Quirks
from tinyagent.models.response import read_response
from tinyagent.models.said import Habit
from tinyagent.models.schema_protocol import SchemaTools
from tinyagent.models.text_protocol import TextTools
from tinyagent.models.transport import Http, http_client, warm_up
from tinyagent.models.wire import ReplyAssembler, failed_generation

if TYPE_CHECKING:
    from openai import AsyncOpenAI

ToolCalling: TypeAlias = Literal["auto", "native", "schema", "json"]

#: Seconds without a byte from the server; the SDK's default.
READ_TIMEOUT = 600.0
OPENAI_URL = "https://api.openai.com/v1"
LOCAL_SERVERS = """\
  Ollama      http://localhost:11434/v1
  llama.cpp   http://localhost:8080/v1
  LM Studio   http://localhost:1234/v1
  vLLM        http://localhost:8000/v1"""


class ModelSettings(TypedDict, total=False):
    """Parameters of the Chat Completions API that are sent unchanged; the API's reference explains each.

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


class OpenAIModel:
    """A model on OpenAI or any server that speaks its Chat Completions API.

    Args:
        name: The model's name, as the server knows it.
        client: An `AsyncOpenAI` (or `AsyncAzureOpenAI`) of your own; you close it. Otherwise one is made from
            `api_key`, `base_url` and the environment (`OPENAI_API_KEY`, `OPENAI_BASE_URL`), shared by the runs of
            one event loop, and closed when the last of them ends.
        base_url: The server, usually ending in `/v1`.
        api_key: The key. A server given by `base_url` may need none.
        tool_calling: `native` tool calls; `schema` for models without them, whose replies the server's grammar
            constrains (`response_format`); a `json` text protocol for servers without that. `auto` (default) takes
            the first of them that the server does not refuse, `schema` the text protocol where it must.
        max_retries: How often a failed call is tried again (default 2, or the client's); `Retries` does that.
        timeout: Seconds that the server may be silent (default 600, or the client's).
        http: The transport of a client made here: `aiohttp` (extra `[fast]`), `httpx`, or `auto`.
        **settings: The parameters in `ModelSettings`: temperature, seed, max_completion_tokens, reasoning_effort,
            extra_body, ...

    Attributes:
        name: The model's name.
        retries: The wrapper that tries again. Its `model` is this model without retries, for as long as this model is
            entered.

    Raises:
        ConfigurationError: An argument is wrong or unknown.
    """

    @door("model")
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
        **settings: Unpack[ModelSettings],
    ) -> None:
        _check(name, client, base_url, api_key, tool_calling, timeout, http)
        _check_settings(settings)
        own_format = "response_format" in {**settings, **settings.get("extra_body", {})}
        if own_format and tool_calling == "schema":
            raise ConfigurationError("tool_calling='schema' makes the response_format itself: leave yours out.")
        if max_retries is None:
            max_retries = DEFAULT_RETRIES if client is None else client.max_retries
        self.name = name
        self.retries = Retries(self._attempt, max_retries)
        self.tool_calling = tool_calling
        self._given = client
        self._base_url = checked_base_url(base_url) if base_url else None
        self._api_key = api_key
        self._timeout = timeout
        self._http = http
        self._head, self._stream_head = _heads(name, settings)
        self._options = _options(settings, None if client is None else timeout)
        self._text, self._schema = TextTools(), SchemaTools()
        known = Quirks(tools=tool_calling in ("schema", "json"), schema=tool_calling == "json" or own_format)
        self._quirks = known if known.tools or known.schema else NO_QUIRKS
        self._habit = Habit()
        self._connections: WeakKeyDictionary[asyncio.AbstractEventLoop, Connection] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r})"

    # ---- connections

    async def __aenter__(self) -> OpenAIModel:
        """Keep the connections of this event loop open until the block is left.

        Raises:
            ConfigurationError: The running event loop is not asyncio's, or the server or proxy is named wrongly.
            MissingCredentialsError: There is neither a key nor a base URL.
        """
        asyncio_loop()
        await warm_up()
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
            await connection.close()

    def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        connection = self._connections.get(loop)
        if connection is None:
            if self._given is not None:
                checked_base_url(str(self._given.base_url))
            client = self._new_client() if self._given is None else for_this_loop(self._given)
            connection = self._connections[loop] = Connection(client, self._given)
        return connection

    def _new_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        base_url = self._base_url
        if not base_url and (named := os.environ.get("OPENAI_BASE_URL")):
            base_url = checked_base_url(named)
        api_key = _checked_key(self._api_key or os.environ.get("OPENAI_API_KEY") or "")
        if not base_url and not api_key:
            raise MissingCredentialsError(
                "No model server is known. Set OPENAI_API_KEY to use OpenAI, or OPENAI_BASE_URL (or base_url=) to use "
                f"a local server, which needs no key:\n{LOCAL_SERVERS}\nTo see tinyagent work without either, run: "
                "make demo (or: tinyagent demo)"
            )
        timeout = READ_TIMEOUT if self._timeout is None else self._timeout
        http = http_client(self._http, timeout, base_url or OPENAI_URL)
        return AsyncOpenAI(api_key=api_key or "none", base_url=base_url, http_client=http)

    # ---- one request

    async def __call__(self, request: ModelRequest, sink: Sink) -> Reply:
        """Answer the request, with retries.

        Raises:
            ModelError: The server could not answer; the class says why, the text what to do.
            MissingCredentialsError: There is neither a key nor a base URL.
        """
        async with self:
            with self._connect():
                return await self.retries(request, sink)

    async def _attempt(self, request: ModelRequest, sink: Sink) -> Reply:
        """Ask the server once; where it refuses the form of the request, ask again in another form."""
        connection = self._connect()
        quirks = self._quirks
        while True:
            try:
                reply = await self._ask(connection, request, sink, quirks)
            except ModelError as error:
                learned = quirks.learned(error, request, connection.origin)
                if learned == quirks or (learned.tools and self.tool_calling == "native"):
                    raise
                self._say_what_is_used(sink, quirks, learned)
                quirks = learned
            else:
                if quirks is not self._quirks:
                    self._quirks |= quirks  # remembered only now that they have helped
                return reply

    async def _ask(self, connection: Connection, request: ModelRequest, sink: Sink, quirks: Quirks) -> Reply:
        if not quirks.tools and (request.tools or not quirks.calls):
            protocol: NativeTools | TextTools = connection.native(quirks)
        else:
            protocol = self._text if quirks.schema or not quirks.tools else self._schema
        head = self._head
        if request.stream:
            head = self._head + b'"stream":true,' if quirks.stream_options else self._stream_head
        heard = protocol.heard(sink, request.tools) if protocol.heard and request.tools else None
        habit = self._habit if heard is None or heard.thinks else Habit(opened=False)
        assembler = ReplyAssembler(heard or sink, connection.origin, () if heard else request.tools, habit)
        await connection.admission.admit()
        try:
            response = await connection.post(
                self._path(connection.client), head + protocol.body(request) + b"}", self._options
            )
        except Exception as error:
            if (failed := _failed_generation(error)) is None:
                raise translated(error, self.name, connection.origin, self._through(connection)) from error
            assembler.unread(*failed)
            reply = assembler.finish()
        else:
            reply = await read_response(response, assembler)
        if heard is None:
            return reply
        reply = heard.read(reply)
        if not heard.followed:
            learned = quirks | Quirks(schema=True)
            self._say_what_is_used(sink, quirks, learned)
            self._quirks |= learned
        return reply

    def _say_what_is_used(self, sink: Sink, before: Quirks, now: Quirks) -> None:
        """Tell the sink when tools are called in another way from now on."""
        if (now.tools, now.schema) == (before.tools, before.schema):
            return
        lacks = "keep to a JSON schema" if now.schema and before.tools else "take native tools"
        way = "the JSON text protocol" if now.schema else "a JSON schema for its replies"
        sink.notice(Notice(f"{self.name} does not {lacks}; using {way} instead."))

    def _through(self, connection: Connection) -> str:
        """Return the proxy between this machine and the server, in words; empty where there is none."""
        http = getattr(connection.client, "_client", None)
        used = getattr(http, "trust_env", True) if self._given else not is_here(connection.origin)
        return proxy_of(connection.origin) if used else ""

    def _path(self, client: AsyncOpenAI) -> str:
        """Return the path of a request. Azure's names the deployment, which the SDK reads from no body of bytes."""
        if type(client).__name__ == "AsyncAzureOpenAI" and "/deployments" not in str(client.base_url):
            return f"/deployments/{self.name}/chat/completions"
        return "/chat/completions"


def _heads(name: str, settings: ModelSettings) -> tuple[bytes, bytes]:
    """Return the beginning of the body that all requests share: that of plain and that of streamed ones."""
    body = {key: value for key, value in settings.items() if key not in _NOT_IN_BODY}
    try:
        head = to_bytes({"model": name, **body, **settings.get("extra_body", {})})[:-1] + b","
    except TypeError as error:
        raise ConfigurationError(f"The model settings are not JSON: {error}.") from error
    return head, head + b'"stream":true,"stream_options":{"include_usage":true},'


def _options(settings: ModelSettings, timeout: float | None) -> dict[str, Any]:
    """Return the SDK's options of every request; `timeout` in seconds, or `None` for the client's."""
    # `Retries` retries, visibly and within the run's time; the SDK neither retries nor makes a key for that.
    headers = dict(settings.get("extra_headers", {}))
    options: dict[str, Any] = {"max_retries": 0, "headers": headers, "idempotency_key": ""}
    if timeout is not None:
        options["timeout"] = timeout
    if query := settings.get("extra_query"):
        options["params"] = dict(query)
    return options


def _failed_generation(error: Exception) -> tuple[str, str] | None:
    """Return what the model wrote, and what the server says of it, if an error says that it is no call; else `None`."""
    response = getattr(error, "response", None)
    try:
        return failed_generation(json.loads(response.text)) if response is not None else None
    except (ValueError, RecursionError):
        return None


def _check(
    name: object, client: object, base_url: object, api_key: object, tool_calling: object, timeout: object, http: object
) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"OpenAIModel({name!r}): pass the model's name, such as 'gpt-4o-mini'.")
    if not isinstance(base_url, str | None) or not isinstance(api_key, str | None):
        raise ConfigurationError("base_url= and api_key= are text.")
    if client is not None:
        from openai import AsyncOpenAI

        if base_url or api_key:
            raise ConfigurationError("Pass either client=, or base_url= and api_key=, not both.")
        if not isinstance(client, AsyncOpenAI):
            kind = type(client).__name__
            raise ConfigurationError(f"client={kind}: pass an openai.AsyncOpenAI; tinyagent is async-only.")
    if tool_calling not in ("auto", "native", "schema", "json"):
        raise ConfigurationError(f"tool_calling={tool_calling!r}: pass 'auto', 'native', 'schema' or 'json'.")
    if http not in ("auto", "httpx", "aiohttp"):
        raise ConfigurationError(f"http={http!r}: pass 'auto', 'httpx' or 'aiohttp'.")
    if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
        raise ConfigurationError(f"timeout={timeout!r}: pass seconds above 0.")


def _check_settings(settings: Mapping[str, Any]) -> None:
    if unknown := settings.keys() - ModelSettings.__annotations__.keys():
        from inspect import signature

        from tinyagent.core.names import refused

        own = [name for name in signature(OpenAIModel).parameters if name not in ("name", "settings")]
        said = refused("model", unknown, [*own, *ModelSettings.__annotations__])
        raise UnknownOptionError(f"{said} Anything else that a server takes is passed as extra_body={{...}}.")
    for extra in _NOT_IN_BODY:
        if not isinstance(settings.get(extra, {}), Mapping):
            raise ConfigurationError(f"{extra}={settings.get(extra)!r}: pass a dict.")


def _checked_key(key: str) -> str:
    """Return an API key without the line break that files and shells leave at its end.

    Raises:
        ConfigurationError: The key cannot be sent in a header; the text does not show it.
    """
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError("The API key (OPENAI_API_KEY or api_key=) holds characters that no key has.")
    return key
