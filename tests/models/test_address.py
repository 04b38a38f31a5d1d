"""Proxies that the environment names: errors say which variable it was, and what to do."""

import socket

import pytest

from tests.models.test_openai import Leaving, own_client
from tinyagent import ConfigurationError, OpenAIModel, ReactAgent
from tinyagent.errors import BadRequestError, MissingExtraError, ModelConnectionError
from tinyagent.models.address import proxies, proxy_of
from tinyagent.models.transport import sdk_httpx
from tinyagent.testing import RawReply, ScriptedServer

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def closed_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


async def ask(*, streamed=False, base_url="http://model.invalid/v1", **model):
    agent = ReactAgent(model=OpenAIModel("m", base_url=base_url, max_retries=0, **model))
    async with agent.stream("Hi") as run:
        run.state.streamed = streamed
        return await run.drain()


# ---- one that does not answer


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_that_does_not_answer_is_named_with_its_variable(monkeypatch, variable, http, streamed):
    proxy = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(ModelConnectionError) as caught:
        await ask(http=http, streamed=streamed)
    told = str(caught.value)
    assert "Cannot reach http://model.invalid/v1" in told
    assert f"The proxy {proxy} ({variable}) stands between: is it running?" in told
    assert "NO_PROXY" in told


async def test_one_for_https_is_named(monkeypatch, http):
    proxy = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(ModelConnectionError, match=rf"The proxy {proxy} \(HTTPS_PROXY\)"):
        await ask(base_url="https://model.invalid/v1", http=http)


async def test_one_that_closes_the_connection_is_named(monkeypatch, http, streamed):
    async with Leaving([], replies=0) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        with pytest.raises(ModelConnectionError, match=r"\(HTTP_PROXY\) stands between") as caught:
            await ask(http=http, streamed=streamed)
    assert "in time" not in str(caught.value)


async def test_one_that_refuses_a_tunnel_is_named(monkeypatch, http):
    async with Leaving([], replies=99) as proxy:  # which answers 404 to CONNECT
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removesuffix("/v1"))
        with pytest.raises(ModelConnectionError, match=r"\(HTTPS_PROXY\) stands between"):
            await ask(base_url="https://model.invalid/v1", http=http)


async def test_one_that_wants_a_password_is_named(monkeypatch, http):
    async with ScriptedServer([RawReply("", 407)]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        with pytest.raises(BadRequestError, match=r"\(HTTP_PROXY\) stands between, and wants another name or password"):
            await ask(http=http)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5://127.0.0.1:1", "ftp://127.0.0.1"])
async def test_a_server_on_this_machine_is_asked_without_a_proxy(monkeypatch, http, streamed, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with ScriptedServer(["hello", "hello"]) as server:
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            assert (await ask(base_url=url, http=http, streamed=streamed)).output == "hello"


async def test_a_client_of_ones_own_is_told_of_the_environments_proxy_where_it_uses_it(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    for trusting in (True, False):
        http = sdk_httpx().AsyncClient(trust_env=trusting)
        async with ScriptedServer([]) as gone:
            client = own_client(gone, http_client=http)
        client.base_url = f"http://127.0.0.2:{closed_port()}/v1"
        with pytest.raises(ModelConnectionError) as caught:
            await ReactAgent(model=OpenAIModel("m", client=client, max_retries=0)).run("Hi")
        assert ("HTTP_PROXY" in str(caught.value)) is trusting
        await client.close()


# ---- one that cannot be used


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1080"])
@pytest.mark.parametrize("kind", ["auto", "httpx"])
async def test_a_socks_proxy_says_what_to_install(monkeypatch, proxy, kind, streamed):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(MissingExtraError) as caught:
        await ask(http=kind, streamed=streamed)
    assert f"The proxy {proxy} (ALL_PROXY)" in str(caught.value)
    assert f"pip install '{sdk_httpx().__name__}[socks]'" in str(caught.value)


async def test_aiohttp_takes_no_socks_proxy(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match="http='aiohttp' takes no SOCKS proxy"):
        await ask(http="aiohttp")


@pytest.mark.parametrize("proxy", ["socks4://127.0.0.1:1080", "ftp://127.0.0.1", "htp://user:secret@127.0.0.1:80"])
async def test_an_unknown_scheme_is_told_with_those_that_are_known(monkeypatch, proxy, http, streamed):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=r"\(HTTP_PROXY\) cannot be used: a proxy begins with") as caught:
        await ask(http=http, streamed=streamed)
    assert "socks5://" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["http://[::1", "http://127.0.0.1:notaport"])
async def test_an_address_that_is_none_is_told(monkeypatch, proxy, http):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=r"\(HTTP_PROXY\)"):
        await ask(http=http)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "ftp://127.0.0.1", "http://127.0.0.1:1"])
async def test_a_proxy_for_other_servers_is_no_matter(monkeypatch, proxy, http, streamed):
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    async with ScriptedServer(["hello"]) as server:
        assert (await ask(base_url=server.url, http=http, streamed=streamed)).output == "hello"


# ---- which one


def test_without_variables_there_is_none():
    assert (proxies(), proxy_of("http://a.b/v1")) == ({}, "")


def test_a_password_is_not_shown(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.local:8080")
    assert proxy_of("https://a.b/v1") == "The proxy http://***@proxy.local:8080 (https_proxy)"


@pytest.mark.parametrize("url", ["http://a.b/v1", "https://c.d/v1"])
def test_one_is_only_named_for_what_goes_through_it(monkeypatch, url):
    monkeypatch.setenv("HTTPS_PROXY", "proxy.local:8080")
    monkeypatch.setenv("NO_PROXY", "c.d")
    assert proxy_of(url) == ""
    assert proxy_of("https://a.b/v1") == "The proxy http://proxy.local:8080 (HTTPS_PROXY)"
