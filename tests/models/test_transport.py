"""The HTTP client under `AsyncOpenAI`: admission, pools, proxies."""

import asyncio
import importlib.util
import sys
import threading
import types

import pytest

from tinyagent import OpenAIModel, ReactAgent
from tinyagent.errors import MissingExtraError
from tinyagent.models import transport
from tinyagent.models.transport import (
    BEGIN_AT_ONCE,
    Admission,
    PooledTransport,
    http_client,
    sdk_httpx,
    timeout_errors,
    transport_errors,
)
from tinyagent.testing import RawReply, ScriptedServer

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
USER = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def turns(condition):
    """Let the event loop turn until something has happened."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


# ---- admission


async def test_few_begin_at_once_without_waiting():
    admission = Admission()
    for _ in range(BEGIN_AT_ONCE):
        with pytest.raises(StopIteration):  # done without ever waiting
            admission.admit().send(None)
    waits = admission.admit()
    assert waits.send(None) is not None
    waits.close()


async def test_a_burst_begins_gradually_and_in_order():
    admission, begun = Admission(), []

    async def begin(number):
        await admission.admit()
        begun.append(number)

    tasks = [asyncio.create_task(begin(number)) for number in range(5 * BEGIN_AT_ONCE)]
    sizes = []
    while len(begun) < len(tasks):
        before = len(begun)
        await asyncio.sleep(0)
        sizes.append(len(begun) - before)
    assert begun == sorted(begun)
    assert max(sizes) <= BEGIN_AT_ONCE
    await asyncio.gather(*tasks)


async def test_who_comes_later_waits_behind_those_who_wait():
    admission, begun = Admission(), []

    async def begin(name):
        await admission.admit()
        begun.append(name)

    tasks = [asyncio.create_task(begin(number)) for number in range(2 * BEGIN_AT_ONCE + 1)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(begin("late"))]
    await asyncio.gather(*tasks)
    assert begun[-1] == "late"


async def test_who_is_cancelled_while_waiting_takes_no_place():
    admission, begun = Admission(), []

    async def begin(number):
        await admission.admit()
        begun.append(number)

    count = 4 * BEGIN_AT_ONCE
    tasks = [asyncio.create_task(begin(number)) for number in range(count)]
    await asyncio.sleep(0)
    for task in tasks[BEGIN_AT_ONCE::2]:
        task.cancel()
    sizes = []
    async with asyncio.timeout(20):
        while not all(task.done() for task in tasks):
            before = len(begun)
            await asyncio.sleep(0)
            sizes.append(len(begun) - before)
    assert begun == [*range(BEGIN_AT_ONCE), *range(BEGIN_AT_ONCE + 1, count, 2)]
    assert max(sizes) == BEGIN_AT_ONCE


async def test_all_waiting_may_be_cancelled_and_others_begin_after():
    admission = Admission()
    tasks = [asyncio.create_task(admission.admit()) for _ in range(3 * BEGIN_AT_ONCE)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(20):
        await asyncio.gather(*(admission.admit() for _ in range(3 * BEGIN_AT_ONCE)))


async def test_after_a_burst_nobody_waits():
    admission = Admission()
    await asyncio.gather(*(admission.admit() for _ in range(3 * BEGIN_AT_ONCE)))
    for _ in range(5):
        await asyncio.sleep(0)
    with pytest.raises(StopIteration):
        admission.admit().send(None)


# ---- pools


class Pools:
    """A client over pools of two, and a server that answers when told to."""

    def __init__(self, server):
        self.server = server
        self.may_answer = asyncio.Event()
        self.made = 0
        self.client = sdk_httpx().AsyncClient(transport=PooledTransport(self._make), timeout=20)

    def _make(self):
        self.made += 1
        return sdk_httpx().AsyncHTTPTransport(verify=False)

    def begin(self, count):
        return [asyncio.create_task(self.post()) for _ in range(count)]

    async def post(self, **options):
        request = self.client.build_request("POST", self.server.url + "/chat/completions", json=USER)
        return await self.client.send(request, **options)

    async def arrived(self, count):
        await turns(lambda: len(self.server.requests) == count)


@pytest.fixture
async def pools(monkeypatch):
    monkeypatch.setattr(transport, "POOL_SIZE", 2)

    async def reply(request):
        await found.may_answer.wait()
        return "hello"

    async with ScriptedServer(reply) as server:
        found = Pools(server)
        async with found.client:
            yield found


async def test_a_further_pool_is_opened_when_the_others_are_full(pools):
    tasks = pools.begin(2)
    await pools.arrived(2)
    assert pools.made == 1
    tasks += pools.begin(3)
    await pools.arrived(5)
    assert pools.made == 3
    pools.may_answer.set()
    assert {response.status_code for response in await asyncio.gather(*tasks)} == {200}


async def test_places_are_free_again_after_a_reply(pools):
    pools.may_answer.set()
    for _ in range(3):
        await asyncio.gather(*pools.begin(4))
    assert pools.made == 2


async def test_places_are_free_again_after_a_cancel(pools):
    for count in (2, 4, 6):
        tasks = pools.begin(2)
        await pools.arrived(count)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert pools.made == 1


async def test_a_streamed_reply_keeps_its_place_until_it_is_closed(pools):
    pools.may_answer.set()
    responses = [await pools.post(stream=True) for _ in range(2)]
    await pools.post()
    assert pools.made == 2
    for response in responses:
        await response.aclose()
        await response.stream.aclose()  # counted once
    responses = [await pools.post(stream=True) for _ in range(4)]
    assert pools.made == 2
    await pools.post()
    assert pools.made == 3
    for response in responses:
        await response.aclose()


async def test_places_are_free_again_after_a_failure(pools):
    httpx = sdk_httpx()
    for _ in range(5):
        with pytest.raises(httpx.TransportError):
            await pools.client.post("http://127.0.0.1:1/")
    assert pools.made == 1


async def test_many_runs_at_once_are_answered_and_every_connection_is_closed(monkeypatch, http):
    monkeypatch.setattr(transport, "POOL_SIZE", 4)
    async with ScriptedServer(lambda request: request.messages[-1]["content"]) as server:
        agent = ReactAgent(model=server.model(http=http))
        async with asyncio.timeout(30):
            results = await asyncio.gather(*(agent.run(str(number)) for number in range(60)))
        assert [result.output for result in results] == [str(number) for number in range(60)]
        await turns(lambda: not server._handlers)


async def test_more_requests_than_any_usual_limit_are_under_way_at_once(http):
    count, answer = 130, asyncio.Event()

    async def reply(request):
        if len(server.requests) == count:
            answer.set()
        await answer.wait()
        return "hello"

    async with asyncio.timeout(30), ScriptedServer(reply) as server:
        agent = ReactAgent(model=server.model(http=http))
        await asyncio.gather(*(agent.run("Hi") for _ in range(count)))


# ---- proxies


@pytest.fixture
def via(monkeypatch):
    """Sets variables of the environment that name a proxy."""

    def set_all(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_the_proxy_of_the_environment_is_used(via, variable, http):
    async with ScriptedServer(["hello"]) as proxy:
        via(**{variable: proxy.url.removesuffix("/v1")})
        model = OpenAIModel("m", base_url="http://model.invalid/v1", http=http, max_retries=0)
        assert (await ReactAgent(model=model).run("Hi")).output == "hello"
    assert proxy.requests[0].path == "http://model.invalid/v1/chat/completions"


@pytest.mark.parametrize("exception", ["127.0.0.1", "*"])
async def test_hosts_without_a_proxy_are_asked_directly(via, exception, http):
    via(HTTP_PROXY="http://127.0.0.1:1", NO_PROXY=exception)
    async with ScriptedServer(["hello"]) as server:
        assert (await ReactAgent(model=server.model(http=http, max_retries=0)).run("Hi")).output == "hello"
    assert server.requests[0].path == "/v1/chat/completions"


# ---- the first run of a process

FIRST_RUN = """
import asyncio, ssl, sys, threading
from tinyagent import ReactAgent, tool
from tinyagent.testing import ScriptedServer, call

@tool
async def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

@tool
def now() -> str:
    "The time."
    return "noon"

held = []          # what was imported, or read from disk, in the thread of the loop

class Finder:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is threading.main_thread():
            held.append(name)

def watched(cls, name):
    original = getattr(cls, name)
    def method(self, *args, **kwargs):
        if threading.current_thread() is threading.main_thread():
            held.append(name)
        return original(self, *args, **kwargs)
    setattr(cls, name, method)

watched(ssl.SSLContext, "load_verify_locations")
watched(ssl.SSLContext, "load_default_certs")

async def main(http, streamed):
    async with ScriptedServer([call("add", a=2, b=3), call("now"), "hello"]) as server:
        agent = ReactAgent([add, now], model=server.model(http=http))
        sys.meta_path.insert(0, Finder())
        async with agent.stream("Hi") as run:
            run.state.streamed = streamed
            await run.drain()
        sys.meta_path.pop(0)
        print(run.result.output, *held)

asyncio.run(main(sys.argv[1], sys.argv[2] == "True"))
"""


@pytest.mark.one_in(3)
async def test_the_first_run_imports_nothing_and_reads_no_certificates_in_the_event_loop(tmp_path, http, streamed):
    program = tmp_path / "first_run.py"
    program.write_text(FIRST_RUN)
    command = [sys.executable, str(program), http, str(streamed)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode().split() == ["hello"]


async def test_runs_that_begin_at_once_warm_up_once(monkeypatch):
    threads = []

    def work():
        threads.append(threading.current_thread())
        transport._warm = True

    monkeypatch.setattr(transport, "_warm", False)
    monkeypatch.setattr(transport, "_warm_up", work)
    await asyncio.gather(*(transport.warm_up() for _ in range(50)))
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


# ---- which client


@pytest.fixture
def installed(monkeypatch):
    """Hides modules, as if they were not installed."""
    find_spec = importlib.util.find_spec

    def hide(*names):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in names else find_spec(name))
        transport._has_aiohttp.cache_clear()

    yield hide
    transport._has_aiohttp.cache_clear()


@pytest.mark.parametrize(("hidden", "kind"), [([], "aiohttp"), (["aiohttp"], "httpx")])
async def test_auto_takes_aiohttp_where_it_is_installed(installed, hidden, kind):
    installed(*hidden)
    url = "http://model.invalid/v1"
    async with (
        http_client("auto", 5, url) as found,
        http_client("aiohttp", 5, url) as fast,
        http_client("httpx", 5, url) as plain,
    ):
        assert type(fast) is not type(plain)
        assert type(found) is type({"aiohttp": fast, "httpx": plain}[kind])


async def test_a_missing_aiohttp_is_told_with_what_to_install(monkeypatch):
    def missing(**options):
        raise RuntimeError("install openai[aiohttp]")

    monkeypatch.setattr("openai.DefaultAioHttpClient", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'tinyagent\[fast\]'"):
        http_client("aiohttp", 5, "http://model.invalid/v1")


async def test_failures_to_connect_and_silence_are_known_errors(http):
    async with http_client(http, 0.1, "http://127.0.0.1:1/") as client:
        with pytest.raises(transport_errors()):
            await client.get("http://127.0.0.1:1/")
        async with ScriptedServer([RawReply(delay=60)]) as server:
            with pytest.raises(timeout_errors()):
                await client.post(server.url + "/chat/completions", json=USER)
    assert all(issubclass(kind, transport_errors()) for kind in timeout_errors())


async def test_requests_are_followed_to_where_a_server_moved(http):
    async with ScriptedServer(["hello"]) as new:
        moved = RawReply("", 307, {"location": new.url + "/chat/completions"})
        async with ScriptedServer([moved]) as old:
            assert (await ReactAgent(model=old.model(http=http)).run("Hi")).output == "hello"


def test_a_module_that_is_just_being_imported_has_no_errors_yet(monkeypatch):
    """As when a tool's first fetch imports httpx in a thread, while the model writes."""
    monkeypatch.setitem(sys.modules, "httpx", types.ModuleType("httpx"))
    assert all(error.__module__.split(".")[0] != "httpx" for error in transport.transport_errors())
    assert all(error.__module__.split(".")[0] != "httpx" for error in transport.timeout_errors())
