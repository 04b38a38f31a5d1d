"""`OpenAIModel`: what it sends, whose connections it uses, and when it closes them."""

import asyncio
import re
import threading
from collections import Counter

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, DefaultAioHttpClient, DefaultAsyncHttpxClient, OpenAI

from tinyagent import (
    ConfigurationError,
    ModelError,
    ModelRequest,
    ModelSettings,
    Notice,
    OpenAIModel,
    ReactAgent,
    Retry,
    User,
)
from tinyagent.errors import BadRequestError, ModelConnectionError, ModelTimeoutError, ServerError
from tinyagent.messages import Conversation
from tinyagent.models.base import NullSink
from tinyagent.testing import CUT, RawReply, RawStream, ScriptedServer, call


class CountingServer(ScriptedServer):
    """A scripted server that counts connections: all that were made, and those open now."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.accepted = 0

    async def _accept(self, reader, writer):
        self.accepted += 1
        await super()._accept(reader, writer)

    @property
    def open(self):
        return len(self._handlers)

    async def all_closed(self):
        async with asyncio.timeout(20):
            while self.open:
                await asyncio.sleep(0.001)


async def ask(model, *, streamed=False, tools=(), task="Hi"):
    agent = ReactAgent(tools, model=model)
    async with asyncio.timeout(30):
        if not streamed:
            return await agent.run(task)
        async with agent.stream(task) as run:
            return await run.drain()


def own_client(server, **options):
    return AsyncOpenAI(base_url=server.url, api_key="own", **options)


def error(message, status=400):
    return RawReply({"error": {"message": message}}, status)


# ---- what it sends


SETTINGS = {
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 10,
    "max_completion_tokens": 20,
    "seed": 7,
    "stop": ["a", "b"],
    "reasoning_effort": "low",
    "verbosity": "low",
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 2,
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
    "service_tier": "flex",
    "prediction": {"type": "content", "content": "a"},
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "metadata": {"a": "b"},
    "store": False,
    "user": "u",
}


async def test_settings_pass_through(streamed):
    async with ScriptedServer(["hello"]) as server:
        await ask(server.model("parrot", **SETTINGS), streamed=streamed)
    body = server.requests[0].body
    assert {key: body[key] for key in SETTINGS} == SETTINGS
    assert body["model"] == "parrot"
    assert body.keys() - SETTINGS.keys() - {"stream", "stream_options"} == {"model", "messages"}


def test_every_setting_is_tested():
    assert {*SETTINGS, "extra_body", "extra_headers", "extra_query"} == ModelSettings.__annotations__.keys()


async def test_nothing_is_sent_that_was_not_asked_for():
    async with ScriptedServer(["hello", "hello"]) as server:
        await ask(server.model())
        await ask(server.model(), streamed=True)
    plain, streamed = (request.body for request in server.requests)
    assert plain == {"model": "scripted", "messages": [{"role": "user", "content": "Hi"}]}
    assert streamed == {**plain, "stream": True, "stream_options": {"include_usage": True}}


async def test_an_extra_body_is_merged(streamed):
    async with ScriptedServer(["hello"]) as server:
        await ask(server.model(seed=1, extra_body={"top_k": 5, "seed": 2, "guided": {"json": {}}}), streamed=streamed)
    body = server.requests[0].body
    assert (body["top_k"], body["seed"], body["guided"]) == (5, 2, {"json": {}})
    assert "extra_body" not in body


async def test_extra_headers_are_sent(streamed):
    async with ScriptedServer(["hello"]) as server:
        await ask(server.model(extra_headers={"X-Trace": "7"}), streamed=streamed)
    assert server.requests[0].headers["x-trace"] == "7"
    assert server.requests[0].headers["content-type"] == "application/json"


async def test_an_extra_query_is_sent(streamed):
    async with ScriptedServer(["hello"]) as server:
        await ask(server.model(extra_query={"trace": "7"}), streamed=streamed)
    assert server.requests[0].path == "/v1/chat/completions?trace=7"


def test_an_unknown_setting_is_refused_with_the_known_ones():
    with pytest.raises(
        ConfigurationError, match=r"no option \['temprature'\]\. Did you mean 'temperature'\? It has: client"
    ) as caught:
        OpenAIModel("m", temprature=0.5)
    assert all(name in str(caught.value) for name in ModelSettings.__annotations__)
    assert "extra_body={...}" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": ""}, "pass the model's name, such as 'gpt-4o-mini'"),
        ({"name": None}, "pass the model's name"),
        ({"client": OpenAI(api_key="k")}, r"client=OpenAI: pass an openai\.AsyncOpenAI; tinyagent is async-only"),
        ({"client": object()}, "client=object: pass an openai.AsyncOpenAI"),
        ({"client": AsyncOpenAI(api_key="k"), "base_url": "http://x/v1"}, "Pass either client=, or base_url="),
        ({"client": AsyncOpenAI(api_key="k"), "api_key": "k"}, "Pass either client="),
        ({"http": "curl"}, "http='curl': pass 'auto', 'httpx' or 'aiohttp'"),
        ({"max_retries": -1}, "max_retries=-1: pass 0 or more"),
        ({"timeout": 0}, "timeout=0: pass seconds above 0"),
        ({"timeout": -1}, "timeout=-1: pass seconds above 0"),
        ({"metadata": {"a": object()}}, "The model settings are not JSON"),
        ({"extra_body": {"a": {1, 2}}}, "The model settings are not JSON"),
        ({"extra_body": 5}, "extra_body=5: pass a dict"),
        ({"extra_body": None}, "extra_body=None: pass a dict"),
    ],
)
def test_wrong_arguments_are_refused_with_what_to_pass(options, said):
    with pytest.raises(ConfigurationError, match=said):
        OpenAIModel(**{"name": "m", **options})


def test_it_shows_its_name():
    assert repr(OpenAIModel("parrot")) == "OpenAIModel('parrot')"


async def test_it_can_be_called_alone():
    async with CountingServer(["hello"]) as server:
        reply = await server.model()(ModelRequest(Conversation([User("Hi")])), NullSink())
        assert (reply.text, reply.origin) == ("hello", server.url + "/")
        await server.all_closed()


# ---- where it sends it


async def test_the_environment_names_the_server_and_the_key(monkeypatch):
    async with ScriptedServer(["hello"]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
        assert (await ask(OpenAIModel("m"))).output == "hello"
    assert server.requests[0].headers["authorization"] == "Bearer sk-env"


async def test_arguments_go_before_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    async with ScriptedServer(["hello"]) as server:
        assert (await ask(OpenAIModel("m", base_url=server.url, api_key="sk-mine"))).output == "hello"
    assert server.requests[0].headers["authorization"] == "Bearer sk-mine"


async def test_a_local_server_needs_no_key():
    async with ScriptedServer(["hello"]) as server:
        assert (await ask(OpenAIModel("m", base_url=server.url))).output == "hello"


async def test_the_environment_is_read_when_the_run_begins(monkeypatch):
    model = OpenAIModel("m")
    for answer in ("one", "two"):
        async with ScriptedServer([answer]) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            assert (await ask(model)).output == answer


async def test_both_transports_send_the_same(http, streamed):
    async with ScriptedServer([call("gone"), "hello"]) as server:
        assert (await ask(server.model(http=http), streamed=streamed)).output == "hello"
    assert len(server.requests) == 2


# ---- a client of one's own


async def test_a_client_of_ones_own_is_used_and_not_closed(streamed):
    headers = {"X-Own": "1"}
    async with ScriptedServer(["hello", "again"]) as server, own_client(server, default_headers=headers) as client:
        model = OpenAIModel("m", client=client)
        assert (await ask(model, streamed=streamed)).output == "hello"
        assert not client.is_closed()
        async with model:
            assert (await ask(model, streamed=streamed)).output == "again"
        assert not client.is_closed()
    assert [request.headers["x-own"] for request in server.requests] == ["1", "1"]
    assert server.requests[0].headers["authorization"] == "Bearer own"


async def test_a_client_may_be_given_to_an_agent_with_a_models_name():
    async with ScriptedServer(["hello"]) as server, own_client(server) as client:
        assert (await ReactAgent(model="parrot", client=client).run("Hi")).output == "hello"
    assert server.requests[0].body["model"] == "parrot"


@pytest.mark.parametrize(("own", "ours", "tries"), [(1, None, 2), (0, None, 1), (3, 1, 2), (0, 2, 3)])
async def test_the_clients_retries_are_the_default_and_are_ours_to_make(monkeypatch, own, ours, tries):
    monkeypatch.setattr("tinyagent.core.waiting.FIRST_BACKOFF", 0.001)
    busy = [error("busy", 503)] * tries
    async with ScriptedServer(busy) as server, own_client(server, max_retries=own) as client:
        with pytest.raises(ServerError):
            await ask(OpenAIModel("m", client=client, max_retries=ours))
    assert len(server.requests) == tries


@pytest.mark.parametrize(("own", "ours"), [(0.1, None), (60, 0.1)])
async def test_the_clients_timeout_is_the_default(own, ours, streamed):
    async with ScriptedServer([RawReply({}, delay=60)]) as server, own_client(server, timeout=own) as client:
        with pytest.raises(ModelTimeoutError):
            await ask(OpenAIModel("m", client=client, timeout=ours, max_retries=0), streamed=streamed)


AZURE = "/openai/deployments/gpt/chat/completions?api-version=2026-01-01"


@pytest.mark.parametrize(("options", "name"), [({}, "gpt"), ({"azure_deployment": "gpt"}, "other")])
async def test_azure_gets_its_path_its_version_and_its_key(options, name, streamed):
    async with ScriptedServer(["hello"]) as server:
        endpoint = server.url.removesuffix("/v1")
        client = AsyncAzureOpenAI(azure_endpoint=endpoint, api_key="k", api_version="2026-01-01", **options)
        async with client:
            assert (await ask(OpenAIModel(name, client=client), streamed=streamed)).output == "hello"
    assert server.requests[0].path == AZURE
    assert server.requests[0].headers["api-key"] == "k"


# ---- its connections


@pytest.mark.parametrize("replies", [["hello"], [call("gone"), call("gone"), "hello"]])
async def test_a_run_has_one_connection_and_closes_it(replies, http, streamed):
    async with CountingServer(replies) as server:
        await ask(server.model(http=http), streamed=streamed)
        await server.all_closed()
    assert server.accepted == 1


@pytest.mark.parametrize("bad", [error("no"), RawStream([CUT]), RawReply("<html>"), RawStream([{"error": "no"}])])
async def test_a_failed_run_closes_its_connections(bad, http, streamed):
    async with CountingServer([bad]) as server:
        with pytest.raises(ModelError):
            await ask(server.model(http=http, max_retries=0), streamed=streamed)
        await server.all_closed()


async def test_a_cancelled_run_closes_its_connections(http, streamed):
    asked = asyncio.Event()

    async def hang(request):
        asked.set()
        await asyncio.Event().wait()

    async with CountingServer(hang) as server:
        task = asyncio.create_task(ask(server.model(http=http), streamed=streamed))
        async with asyncio.timeout(20):
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert server.accepted == 1


async def test_a_stream_that_is_left_closes_its_connection(http):
    words = RawStream([{"choices": [{"index": 0, "delta": {"content": "hello"}}]}, 60])
    async with CountingServer([words]) as server:
        async with asyncio.timeout(20), ReactAgent(model=server.model(http=http)).stream("Hi") as run:
            async for event in run:
                if event.type == "text_delta":
                    break
        assert run.result.state == "cancelled"


async def test_async_with_keeps_one_connection_over_runs(http, streamed):
    async with CountingServer(["one", "two", "three"]) as server:
        async with server.model(http=http) as model:
            for answer in ("one", "two", "three"):
                assert (await ask(model, streamed=streamed)).output == answer
                assert server.open == 1
        await server.all_closed()
    assert server.accepted == 1


async def test_a_retry_after_an_error_uses_the_same_connection(monkeypatch, http, streamed):
    monkeypatch.setattr("tinyagent.core.waiting.FIRST_BACKOFF", 0.001)
    async with CountingServer([error("busy", 503), "hello"]) as server:
        await ask(server.model(http=http), streamed=streamed)
    assert server.accepted == 1


async def test_a_connection_that_the_server_closed_is_opened_again(http):
    async with CountingServer(["one", "two"]) as server, server.model(http=http, max_retries=1) as model:
        await ask(model)
        for handler in server._handlers:
            handler.cancel()
        await server.all_closed()
        assert (await ask(model)).output == "two"


class Leaving(CountingServer):
    """A server that closes a connection after `replies` replies: before the next one, or with a reset."""

    def __init__(self, *args, replies=1, abort=False, wait=True, **options):
        super().__init__(*args, **options)
        self.replies, self.abort, self.wait = replies, abort, wait
        self.served = Counter()
        self.left = 0

    async def _serve(self, reader, writer):
        if self.served[writer] < self.replies:
            self.served[writer] += 1
            return await super()._serve(reader, writer)
        if self.wait:  # until the next request is on its way
            await reader.readuntil(b"\r\n\r\n")
        self.left += 1
        if self.abort:
            writer.transport.abort()
        return False


@pytest.mark.parametrize("abort", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("own", [False, True], ids=["ours", "own"])
async def test_a_kept_connection_that_turns_out_closed_is_not_felt(http, streamed, abort, own):
    replies = [call("gone"), call("gone"), call("gone"), "hello"]
    async with Leaving(replies, abort=abort) as server:
        kind = {"httpx": DefaultAsyncHttpxClient, "aiohttp": DefaultAioHttpClient}[http]
        async with own_client(server, http_client=kind()) as client:
            model = OpenAIModel("m", client=client, max_retries=0) if own else server.model(http=http, max_retries=0)
            async with ReactAgent(model=model).stream("Hi") as run:
                run.state.streamed = streamed
                assert [event async for event in run if isinstance(event, Retry | Notice)] == []
        assert (run.result.output, len(run.result.steps)) == ("hello", 4)
        assert (server.accepted, server.left) == (4, 3)  # each request but the first met a closed one, and went again


async def test_a_new_connection_that_is_closed_without_a_reply_is_a_failure(http, streamed):
    async with Leaving([], replies=0) as server:
        with pytest.raises(ModelConnectionError, match="closed the connection before it answered") as caught:
            await ask(server.model(max_retries=0, http=http), streamed=streamed)
    assert (server.accepted, caught.value.retryable) == (1, True)
    assert "time" not in str(caught.value)


async def test_that_is_a_retry_that_is_counted_and_shown(monkeypatch, http, streamed):
    monkeypatch.setattr("tinyagent.core.waiting.FIRST_BACKOFF", 0.001)
    retries = []
    async with Leaving([], replies=0) as server:
        agent = ReactAgent(model=server.model(max_retries=2, http=http))
        with pytest.raises(ModelConnectionError):
            async with agent.stream("Hi") as run:
                run.state.streamed = streamed
                async for event in run:
                    retries += [event] * isinstance(event, Retry)
    assert (server.accepted, len(retries)) == (3, 2)


class Stopping(Leaving):
    """A server that gives one reply on its first connection, and none on any other."""

    async def _accept(self, reader, writer):
        self.replies = int(not self.accepted)
        await super()._accept(reader, writer)


async def test_a_server_that_stops_in_the_middle_of_a_run_is_asked_once_more_and_no_more(http, streamed):
    async with Stopping([call("gone")]) as server:
        with pytest.raises(ModelConnectionError, match="closed the connection before it answered"):
            await ask(server.model(max_retries=0, http=http), streamed=streamed)
    assert (server.accepted, server.left) == (2, 2)


async def test_a_connection_that_was_not_to_be_kept_is_no_reason_to_send_again(http, streamed):
    choice = {"message": {"tool_calls": [{"id": "c1", "function": {"name": "gone"}}]}}
    async with Stopping([RawReply({"choices": [choice]}, headers={"connection": "close"})]) as server:
        with pytest.raises(ModelConnectionError, match="closed the connection before it answered"):
            await ask(server.model(max_retries=0, http=http), streamed=streamed)
    assert (server.accepted, server.left) == (2, 1)


@pytest.mark.one_in(3)  # of the plain and streamed, by both transports: two that share nothing
@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("count", [60])
async def test_many_runs_at_once_meet_closed_connections_and_feel_none(http, streamed, count):
    def reply(request):
        return call("gone") if len(request.messages) < 12 else "hello"

    async with asyncio.timeout(50), Leaving(reply, wait=True) as server:
        agent = ReactAgent(model=server.model(max_retries=0, http=http))

        async def one():
            async with agent.stream("Hi") as run:
                run.state.streamed = streamed
                return [event async for event in run if isinstance(event, Retry | Notice)], run.result.output

        assert await asyncio.gather(*(one() for _ in range(count))) == [([], "hello")] * count


async def test_runs_at_once_share_a_client_until_the_last_has_ended():
    second_may_end = asyncio.Event()

    async def reply(request):
        if request.messages[-1]["content"] == "slow":
            await second_may_end.wait()
        return "hello"

    async with CountingServer(reply) as server:
        model = server.model()
        slow = asyncio.create_task(ask(model, task="slow"))
        async with asyncio.timeout(20):
            while not server.requests:
                await asyncio.sleep(0.001)
        await ask(model, task="fast")
        assert server.open
        second_may_end.set()
        assert (await slow).output == "hello"
        await server.all_closed()


# ---- event loops


@pytest.fixture
def server_in_a_thread():
    """A server with an event loop of its own, so that tests may have several."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def there(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    server = CountingServer(lambda request: f"{request.messages[-1]['content']}!")
    there(server.__aenter__())
    server.there = there
    yield server
    there(server.__aexit__(None))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_one_model_works_in_several_event_loops_in_a_row(server_in_a_thread, http, streamed):
    server = server_in_a_thread
    model = server.model(http=http)
    for task in ("one", "two", "three"):
        assert asyncio.run(ask(model, task=task, streamed=streamed)).output == f"{task}!"
        server.there(server.all_closed())
    assert server.accepted == 3


def test_one_model_works_in_several_event_loops_at_once(server_in_a_thread, http):
    model = server_in_a_thread.model(http=http)
    outputs = []

    async def several(name):
        async with model:
            outputs.extend([(await ask(model, task=f"{name}{number}")).output for number in range(5)])

    threads = [threading.Thread(target=lambda name=name: asyncio.run(several(name))) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outputs) == sorted(f"{name}{number}!" for name in "ab" for number in range(5))
    server_in_a_thread.there(server_in_a_thread.all_closed())


def test_an_event_loop_that_ends_with_the_model_still_open_does_not_harm_the_next(server_in_a_thread):
    model = server_in_a_thread.model(http="httpx")

    async def open_and_leave():
        await model.__aenter__()

    asyncio.run(open_and_leave())
    assert asyncio.run(ask(model, task="one")).output == "one!"


# ---- servers without stream_options


REFUSALS = [
    error("Unrecognized request argument supplied: stream_options"),
    error("Unknown parameter: 'stream_options.include_usage'.", 422),
    RawReply({"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}, 422),
]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_server_that_refuses_stream_options_is_asked_without(refusal):
    async with ScriptedServer([refusal, "one", "two"]) as server:
        model = server.model()
        for answer in ("one", "two"):
            assert (await ask(model, streamed=True)).output == answer
    assert ["stream_options" in request.body for request in server.requests] == [True, False, False]
    assert all(request.body["stream"] for request in server.requests)


async def test_that_is_no_retry_and_no_news():
    async with ScriptedServer([REFUSALS[0], "one"]) as server:
        agent = ReactAgent(model=server.model(max_retries=0))
        async with agent.stream("Hi") as run:
            assert [event async for event in run if isinstance(event, Retry | Notice)] == []


async def test_streams_at_once_are_all_asked_without_stream_options():
    both = asyncio.Event()

    async def reply(request):
        if len(server.requests) >= 2:
            both.set()
        await both.wait()
        return REFUSALS[0] if "stream_options" in request.body else "hello"

    async with asyncio.timeout(20), ScriptedServer(reply) as server:
        model = server.model()
        results = await asyncio.gather(ask(model, streamed=True), ask(model, streamed=True))
    assert [result.output for result in results] == ["hello", "hello"]


async def test_a_server_that_refuses_them_although_they_are_left_out_is_an_error(streamed):
    with pytest.raises(BadRequestError, match=re.escape("stream_options")):
        async with ScriptedServer([REFUSALS[0]] * (1 + streamed)) as server:
            await ask(server.model(), streamed=streamed)
    assert len(server.requests) == 1 + streamed


# ---- both refusals, and time


async def test_a_server_may_refuse_stream_options_and_tools():
    async def add(a: int, b: int) -> int:
        return a + b

    refuses_tools = error("this model does not support tools")
    async with ScriptedServer([REFUSALS[0], refuses_tools, '{"answer": "hello"}']) as server:
        assert (await ask(server.model(), streamed=True, tools=[add])).output == "hello"


async def test_the_timeout_is_about_silence_and_not_about_the_whole_reply():
    words = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in ("a", "b", "c")]
    parts = [part for word in words for part in (word, 0.3)]
    async with ScriptedServer([RawStream([*parts, "data: [DONE]\n\n"])]) as server:
        assert (await ask(server.model(timeout=0.8, max_retries=0), streamed=True)).output == "abc"
