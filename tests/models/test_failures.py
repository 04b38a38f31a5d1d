"""What goes wrong with a server, told with a remedy."""

import asyncio
import gc
import re
import socket
import warnings

import openai
import pytest
from openai import AsyncOpenAI

from tinyagent import ConfigurationError, ModelError, OpenAIModel, ReactAgent
from tinyagent.errors import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    MalformedReplyError,
    MissingCredentialsError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelTimeoutError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
from tinyagent.testing import RawReply, ScriptedServer


async def ask(model, *, streamed=False):
    agent = ReactAgent(model=model)
    async with asyncio.timeout(30):
        if not streamed:
            return await agent.run("Hi")
        async with agent.stream("Hi") as run:
            return await run.drain()


async def failure(*replies, streamed=False, **model):
    """The error of a run against these replies."""
    async with ScriptedServer(replies) as server:
        with pytest.raises(ModelError) as caught:
            await ask(server.model(**{"max_retries": 0, **model}), streamed=streamed)
    return caught.value


def closed_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


# ---- what the server answers


@pytest.mark.parametrize(
    ("status", "kind", "remedy", "retryable"),
    [
        (400, BadRequestError, "", False),
        (401, AuthenticationError, "Check the API key (OPENAI_API_KEY) and what it may use.", False),
        (403, AuthenticationError, "Check the API key (OPENAI_API_KEY) and what it may use.", False),
        (404, ModelNotFoundError, "Check the model's name ('parrot') and the base URL (http://127.0.0.1:", False),
        (408, ServerError, "try again later", True),
        (409, ServerError, "try again later", True),
        (413, BadRequestError, "", False),
        (418, BadRequestError, "", False),
        (422, BadRequestError, "", False),
        (429, RateLimitError, "Send fewer requests at once, or raise the account's limit.", True),
        (500, ServerError, "try again later", True),
        (502, ServerError, "try again later", True),
        (503, ServerError, "try again later", True),
        (529, ServerError, "try again later", True),
    ],
)
async def test_each_status_has_its_class_and_its_remedy(status, kind, remedy, retryable, streamed):
    body = {"error": {"message": "the server's own words"}}
    async with ScriptedServer([RawReply(body, status)]) as server:
        with pytest.raises(kind, match="the server's own words") as caught:
            await ask(server.model("parrot", max_retries=0), streamed=streamed)
    error = caught.value
    assert remedy in str(error)
    assert (type(error), error.status, error.retryable) == (kind, status, retryable)
    assert "the server's own words" in error.body
    assert error.result.state == "failed"


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "the request exceeds the available context size, try increasing it",
        "Input is longer than the model's context window",
        "too many tokens: size limit exceeded by 12 tokens",
    ],
)
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_conversation_that_is_too_long_is_told_with_what_to_do(said, status):
    error = await failure(RawReply({"error": {"message": said}}, status))
    assert isinstance(error, ContextLengthError)
    assert said in str(error)
    assert "Shorten the conversation, or take a model with a larger context." in str(error)


@pytest.mark.parametrize("code", ["insufficient_quota", None])
async def test_an_empty_account_is_told_and_not_tried_again(code):
    said = "You exceeded your current quota (insufficient_quota)" if code is None else "You exceeded your current quota"
    error = await failure(RawReply({"error": {"message": said, "code": code}}, 429), max_retries=2)
    assert isinstance(error, RateLimitError)
    assert "no credit left" in str(error)
    assert not error.retryable


WORDS = "tools are fine but the moon is not"
BODIES = [
    {"error": {"message": WORDS}},
    {"error": WORDS},
    {"message": WORDS},
    {"detail": WORDS},
    {"statusCode": 400, "message": WORDS, "error": "Bad Request"},
    {"detail": [{"loc": ["body", "moon"], "msg": WORDS}]},
    {"object": "error", "message": {"detail": [{"msg": WORDS}]}},
    [{"error": {"code": 400, "message": WORDS}}],
    WORDS,
]


@pytest.mark.parametrize("body", BODIES)
async def test_the_servers_own_words_are_told_wherever_it_put_them(body, streamed):
    assert WORDS in str(await failure(RawReply(body, 400), streamed=streamed))


@pytest.mark.parametrize("body", ["", "{}", "<html>"])
async def test_an_error_without_words_names_the_status(body):
    told = str(await failure(RawReply(body, 502)))
    assert "502" in told
    assert ": ." not in told


async def test_long_words_are_cut():
    error = await failure(RawReply({"error": {"message": "x" * 100_000}}, 400))
    assert len(str(error)) < 1_000
    assert len(error.body) < 1_000


@pytest.mark.parametrize(("headers", "seconds"), [({"retry-after": "7"}, 7), ({}, None)])
async def test_the_wait_that_the_server_asks_for_is_kept(headers, seconds):
    assert (await failure(RawReply({}, 429, headers))).retry_after == seconds


async def test_an_error_whose_body_is_cut_may_pass(streamed, http):
    cut = RawReply("no", 500, {"content-length": "100", "connection": "close"})
    error = await failure(cut, streamed=streamed, http=http)
    assert isinstance(error, ServerError | ModelConnectionError)
    assert error.retryable


async def test_a_base_url_with_a_wrong_path_is_named(streamed):
    not_found = RawReply("404 page not found", 404, {"content-type": "text/plain"})
    async with ScriptedServer([not_found]) as server:
        with pytest.raises(ModelNotFoundError) as caught:
            await ask(OpenAIModel("m", base_url=server.url + "/wrong"), streamed=streamed)
        assert f"Check the model's name ('m') and the base URL ({server.url}/wrong/)." in str(caught.value)
    assert server.requests[0].path == "/v1/wrong/chat/completions"


async def test_a_base_url_of_a_web_page_is_told(streamed):
    page = RawReply("<html>Welcome</html>", headers={"content-type": "text/html"})
    error = await failure(page, streamed=streamed)
    assert isinstance(error, MalformedReplyError)
    assert "usually ends in /v1" in str(error)


# ---- what does not answer


async def test_a_closed_port_is_told_with_its_address(http, streamed):
    url = f"http://127.0.0.1:{closed_port()}/v1"
    with pytest.raises(ModelConnectionError, match="Cannot reach " + re.escape(url)) as caught:
        await ask(OpenAIModel("m", base_url=url, max_retries=0, http=http), streamed=streamed)
    assert "Is the server running, and is the base URL right (base_url= or OPENAI_BASE_URL)?" in str(caught.value)
    assert caught.value.retryable


async def test_an_unknown_host_is_told(http):
    with pytest.raises(ModelConnectionError, match=r"Cannot reach http://no-such-host\.invalid/v1"):
        await ask(OpenAIModel("m", base_url="http://no-such-host.invalid/v1", max_retries=0, http=http))


@pytest.mark.parametrize(
    "url",
    [
        "localhost:11434/v1",
        "127.0.0.1:9/v1",
        "ftp://127.0.0.1/v1",
        "http://",
        "http://[::1",
        "http://a:b/v1",
        "'http://a'",
    ],
)
async def test_a_base_url_that_is_none_is_told_at_once(url, http, monkeypatch):
    told = pytest.raises(ConfigurationError, match=r"base_url= or OPENAI_BASE_URL.* one begins with http://")
    with told:
        OpenAIModel("m", base_url=url, http=http)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with told:
        await ask(OpenAIModel("m", http=http))


def test_the_scheme_that_is_missing_is_named():
    with pytest.raises(ConfigurationError, match=r"such as http://localhost:11434/v1\."):
        OpenAIModel("m", base_url="localhost:11434/v1")
    with pytest.raises(ConfigurationError, match=r"such as http://models\.test:1/v1\."):
        OpenAIModel("m", base_url="models.test:1/v1")


@pytest.mark.parametrize(
    "endpoint", ["/chat/completions", "/chat/completions/", "/completions", "/responses", "/models", "/chat"]
)
async def test_a_base_url_that_names_an_endpoint_is_told_at_once(endpoint, monkeypatch):
    url = f"http://localhost:9/v1{endpoint}"
    told = pytest.raises(
        ConfigurationError, match=re.escape(f"leave {endpoint} out, so that it is http://localhost:9/v1.")
    )
    with told:
        OpenAIModel("m", base_url=url)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with told:
        await ask(OpenAIModel("m"))
    async with AsyncOpenAI(base_url=url, api_key="k") as client:
        with pytest.raises(ConfigurationError, match="names an endpoint"):
            await ask(OpenAIModel("m", client=client))


@pytest.mark.parametrize("path", ["/models", "/v1/chat2", "/my/models/"])
async def test_a_base_url_may_end_in_what_only_looks_like_an_endpoint(path):
    """https://NAME.services.ai.azure.com/models is Azure AI's."""
    async with ScriptedServer(["hello"]) as server:
        url = server.url.removesuffix("/v1") + path
        assert (await ask(OpenAIModel("m", base_url=url))).output == "hello"


async def test_white_space_around_a_base_url_is_no_part_of_it():
    async with ScriptedServer(["hello"]) as server:
        assert (await ask(OpenAIModel("m", base_url=f" {server.url}\n"))).output == "hello"


UNKNOWN_PATH = {
    "404": RawReply({"detail": "Not Found"}, 404),
    "405": RawReply("Method Not Allowed", 405, {"content-type": "text/plain"}),
    "LM Studio": RawReply({"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
}


@pytest.mark.parametrize("answer", UNKNOWN_PATH.values(), ids=UNKNOWN_PATH)
async def test_a_base_url_without_v1_is_named_and_not_tried_again(answer, streamed):
    async with ScriptedServer([answer]) as server:
        url = server.url.removesuffix("/v1")
        with pytest.raises(ModelError, match=r"base URL.* usually ends in /v1") as caught:
            await ask(OpenAIModel("m", base_url=url), streamed=streamed)
    assert not caught.value.retryable
    assert len(server.requests) == 1
    if answer.status != 200:
        assert f"try {url}/v1." in str(caught.value)


@pytest.mark.parametrize("path", ["/v1", "/api/v1", "/v1beta/openai", "/openai/v1/"])
async def test_a_base_url_with_a_version_is_not_doubted(path):
    async with ScriptedServer([UNKNOWN_PATH["404"]]) as server:
        with pytest.raises(ModelNotFoundError) as caught:
            await ask(OpenAIModel("m", base_url=server.url.removesuffix("/v1") + path))
    assert "usually ends in" not in str(caught.value)


async def test_https_to_a_server_without_tls_is_named_and_not_tried_again(http):
    async def answer(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(ModelConnectionError, match="write http:// instead of https://") as caught:
            await ask(OpenAIModel("m", base_url=url, http=http))
    assert not caught.value.retryable
    del caught
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # asyncio leaves it to be collected
        gc.collect()


# ---- what breaks off, in words that both transports share


class Odd(ScriptedServer):
    """A server that answers with these bytes, whatever they are, and closes the connection."""

    def __init__(self, *parts, abort=False):
        super().__init__([])
        self.parts, self.abort = parts, abort

    async def _serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1]))
        for part in self.parts:
            writer.write(part)
            await writer.drain()
        if self.abort:
            writer.transport.abort()
        return False


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ZIPPED = OK + b"content-encoding: gzip\r\ncontent-length: 5\r\n\r\n"
CLOSED = r"http://127\.0\.0\.1:\d+/v1/ closed the connection before it answered\."
CUT_OFF = r"The reply was cut off: the connection was closed in the middle of it\."
NO_HTTP = r"it is not HTTP: '(garbage|zzz)[^']*'"
ODD = {
    "nothing": (Odd(), ModelConnectionError, CLOSED),
    "reset": (Odd(abort=True), ModelConnectionError, CLOSED),
    "half a head": (Odd(b"HTTP/1.1 200 OK\r\ncontent-ty"), ModelConnectionError, CLOSED),
    "half a body": (Odd(OK + b"content-length: 99\r\n\r\n{"), StreamInterruptedError, CUT_OFF),
    "half a chunk": (Odd(EVENTS + b"50\r\ndata: "), StreamInterruptedError, CUT_OFF),
    "no last chunk": (Odd(EVENTS + b"6\r\ndata: \r\n"), StreamInterruptedError, CUT_OFF),
    "no http": (Odd(b"garbage\r\n\r\n"), ModelConnectionError, NO_HTTP),
    "no chunk": (Odd(EVENTS, b"zzz\r\n\r\n"), ModelConnectionError | StreamInterruptedError, NO_HTTP),
    "no gzip": (Odd(ZIPPED + b"hello"), StreamInterruptedError, "compressed"),
    "a long head": (Odd(OK + b"x: " + b"a" * 200_000 + b"\r\n\r\n"), ModelConnectionError, "Cannot reach"),
}


@pytest.mark.parametrize("name", ODD)
async def test_a_reply_that_breaks_off_is_told_in_plain_words(name, http, streamed):
    server, kind, said = ODD[name]
    async with server:
        with pytest.raises(ModelError, match=said) as caught:
            await ask(server.model(max_retries=0, http=http), streamed=streamed)
    assert isinstance(caught.value, kind)
    assert not isinstance(caught.value, ModelTimeoutError)
    assert caught.value.retryable
    assert not re.search(
        r"\n|\b400\b|message:|\.\.|ServerDisconnected|TransferEncoding", str(caught.value).replace("...", "")
    )


async def test_a_silent_server_is_told_with_what_to_do(http, streamed):
    error = await failure(RawReply({}, delay=60), timeout=0.1, http=http, streamed=streamed)
    assert isinstance(error, ModelTimeoutError)
    assert "did not answer in time" in str(error)
    assert "Raise timeout=" in str(error)


async def test_the_cause_is_kept():
    with pytest.raises(ModelConnectionError) as caught:
        await ask(OpenAIModel("m", base_url=f"http://127.0.0.1:{closed_port()}/v1", max_retries=0))
    assert isinstance(caught.value.__context__, openai.APIConnectionError)
    assert caught.value.__suppress_context__, "it says nothing more, and is not shown"


# ---- nothing to ask


async def test_without_key_and_server_the_variables_local_servers_and_the_demo_are_named(streamed):
    with pytest.raises(MissingCredentialsError) as caught:
        await ask(OpenAIModel("m"), streamed=streamed)
    told = str(caught.value)
    for named in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "base_url=", "Ollama", "llama.cpp", "LM Studio", "vLLM"):
        assert named in told
    assert "http://localhost:11434/v1" in told
    assert "make demo" in told
    assert caught.value.result.state == "failed"
    assert not caught.value.retryable


def test_without_key_and_server_an_agent_can_be_made():
    assert ReactAgent(model="m").model.name == "m"


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize(
    ("name", "bare"),
    [("openai:gpt-4o", "gpt-4o"), ("ollama:llama3:8b", "llama3:8b"), ("openrouter/meta/llama-3", "meta/llama-3")],
)
async def test_a_provider_before_the_models_name_is_told(name, bare, status):
    async with ScriptedServer([RawReply({"error": {"message": "invalid model ID"}}, status)]) as server:
        with pytest.raises(ModelError) as caught:
            await ask(OpenAIModel(name, base_url=server.url))
    assert f"as its server knows it, without a provider before it: {bare!r}. Another provider" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "status"), [("gpt-4o", 404), ("llama3:8b", 404), ("meta-llama/Llama-3", 404), ("openai:gpt-4o", 500)]
)
async def test_a_name_is_not_doubted_otherwise(name, status):
    async with ScriptedServer([RawReply({"error": {"message": "no"}}, status)]) as server:
        with pytest.raises(ModelError) as caught:
            await ask(OpenAIModel(name, base_url=server.url, max_retries=0))
    assert "without a provider" not in str(caught.value)
