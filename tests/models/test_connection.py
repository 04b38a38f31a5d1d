"""A client of the user's own, in one event loop after the other and in several at once."""

import asyncio
import gc
import threading
import warnings

import pytest
from openai import AsyncOpenAI, DefaultAioHttpClient, DefaultAsyncHttpxClient

from tests.models.test_openai import CountingServer, ask
from tinyagent import OpenAIModel, ReactAgent, run_sync
from tinyagent.models import connection
from tinyagent.models.transport import sdk_httpx


class Wrapping(sdk_httpx().AsyncBaseTransport):
    """A transport of the user's own around another one."""

    def __init__(self, inner):
        self.inner = inner
        self.seen = []

    async def handle_async_request(self, request):
        self.seen.append(request.url.path)
        return await self.inner.handle_async_request(request)

    async def aclose(self):
        await self.inner.aclose()


CLIENTS = {
    "default": lambda: None,
    "httpx": DefaultAsyncHttpxClient,
    "aiohttp": DefaultAioHttpClient,
    "wrapped": lambda: DefaultAsyncHttpxClient(transport=Wrapping(sdk_httpx().AsyncHTTPTransport())),
    "mounted": lambda: DefaultAsyncHttpxClient(mounts={"http://": Wrapping(sdk_httpx().AsyncHTTPTransport())}),
}


@pytest.fixture
def server():
    """A server with an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    found = CountingServer(lambda request: f"{request.messages[-1]['content']}!")
    asyncio.run_coroutine_threadsafe(found.__aenter__(), loop).result(30)
    yield found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the user's client is left open in a loop that has ended
        gc.collect()
    asyncio.run_coroutine_threadsafe(found.__aexit__(None), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(params=CLIENTS)
def client(request, server):
    return AsyncOpenAI(
        base_url=server.url,
        api_key="own",
        http_client=CLIENTS[request.param](),
        default_headers={"X-Own": "1"},
        max_retries=0,
    )


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_client_of_ones_own_serves_one_event_loop_after_the_other(server, client, streamed):
    model = OpenAIModel("m", client=client)
    for task in ("one", "two", "three"):
        assert asyncio.run(ask(model, task=task, streamed=streamed)).output == f"{task}!"
    assert run_sync(ReactAgent(model=model).run("four")).output == "four!"
    assert [request.headers["x-own"] for request in server.requests] == ["1"] * 4
    assert not client.is_closed()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_it_serves_several_event_loops_at_once(server, client):
    model, outputs = OpenAIModel("m", client=client), []
    together = threading.Barrier(3)

    async def several(name):
        async with model:
            await asyncio.to_thread(together.wait, 20)
            outputs.extend([(await ask(model, task=f"{name}{number}")).output for number in range(4)])

    threads = [threading.Thread(target=lambda name=name: asyncio.run(several(name))) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outputs) == sorted(f"{name}{number}!" for name in "abc" for number in range(4))
    assert server.accepted == 3  # each loop had one connection, and kept it


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_clients_that_share_their_connections_are_one(server, client):
    first = OpenAIModel("m", client=client)
    second = OpenAIModel("m", client=client.with_options(timeout=20))
    for model in (first, second, first, second):
        assert asyncio.run(ask(model)).output == "Hi!"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_one_that_was_used_by_hand_in_a_loop_that_has_ended_works(server, client):
    async def by_hand():
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])

    asyncio.run(by_hand())
    model = OpenAIModel("m", client=client)
    for task in ("one", "two"):
        assert asyncio.run(ask(model, task=task)).output == f"{task}!"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_connections_of_further_loops_are_closed_with_the_run(server):
    client = AsyncOpenAI(base_url=server.url, api_key="own")
    model = OpenAIModel("m", client=client)
    asyncio.run(ask(model))
    before = server.open
    for _ in range(3):
        asyncio.run(ask(model))
    del model, client
    gc.collect()
    assert before == 1
    assert server.accepted == 4


async def test_in_its_own_loop_the_client_itself_keeps_its_connection():
    async with CountingServer(lambda request: "hello") as server, AsyncOpenAI(base_url=server.url, api_key="k") as own:
        for _ in range(3):
            await ask(OpenAIModel("m", client=own))
        assert connection.for_this_loop(own) is own
        assert server.accepted == 1
