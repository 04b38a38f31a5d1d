"""The guard where connections are opened, and the client over it."""

import asyncio
import contextlib
import errno
import gc
import socket
import ssl

import httpcore
import httpx
import pytest
import trustme

from tests.tools.servers import Raw
from tinyagent import ConfigurationError
from tinyagent.errors import MissingExtraError
from tinyagent.tools.http import AddressRefusedError, guarded_client
from tinyagent.tools.web import client as client_module, guard as guard_module, transport as transport_module
from tinyagent.tools.web.allowed import Allowed
from tinyagent.tools.web.guard import Guard, resolve_name
from tinyagent.tools.web.transport import POOL_SIZE, place

LOOPBACK = ["127.0.0.1", "::1"]


async def hello(connection):
    return await connection.reply(b"hello")


def answers(*rounds):
    """A resolver that gives one list of addresses after the other, the last one again and again; counts its calls."""

    async def resolve(host, port):
        resolve.asked.append((host, port))
        return rounds[min(len(resolve.asked), len(rounds)) - 1]

    resolve.asked = []
    return resolve


def no_resolver(host, port):
    raise AssertionError(f"{host} was looked up")


@pytest.fixture
async def trap():
    """A server on loopback that must see no connection."""
    async with Raw(hello) as server:
        yield server
        await asyncio.sleep(0.01)  # what was dialled in spite of all would be accepted by now
        assert server.accepted == 0


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


# ---- what never leaves


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LOCALHOST", "localhost.", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1",
     "017700000001", "127.1", "127.0.1", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
     "[::127.0.0.1]", "[0:0:0:0:0:0:0:1]", "127.0.0.1."],
)  # fmt: skip
async def test_no_spelling_of_this_machine_is_dialled(host, trap):
    other = {"0177.0.0.1": httpx.InvalidURL, "localhost.": httpx.ConnectError}  # not known to every resolver
    async with guarded_client() as client:
        with pytest.raises((AddressRefusedError, other.get(host, AddressRefusedError))):
            await client.get(f"http://{host}:{trap.port}/")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fe80::1%lo"]
)
async def test_no_name_of_a_local_address_is_dialled(address, trap):
    async with guarded_client(resolve=answers([address])) as client:
        with pytest.raises(AddressRefusedError, match=r"'rebind\.example' stands for ") as caught:
            await client.get(f"http://rebind.example:{trap.port}/")
        assert "allow" not in str(caught.value)  # which the model reads
        assert caught.value.__notes__ == ["Your program can open it: allow=['rebind.example']."]


@pytest.mark.parametrize("addresses", [["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "93.184.216.34"]])
async def test_one_local_address_among_public_ones_is_enough_to_refuse(addresses, trap):
    async with guarded_client(resolve=answers(addresses)) as client:
        with pytest.raises(AddressRefusedError, match=r"127\.0\.0\.1"):
            await client.get(f"http://mixed.example:{trap.port}/")


async def test_a_name_that_becomes_local_is_refused_then():
    resolve = answers(["127.0.0.1"], ["127.0.0.2"])
    async with Raw(lambda connection: connection.reply(b"", "Connection: close")) as server:
        async with guarded_client(allow=["127.0.0.1"], resolve=resolve) as client:
            url = f"http://rebind.example:{server.port}/"
            await client.get(url)
            with pytest.raises(AddressRefusedError, match=r"127\.0\.0\.2"):
                await client.get(url)
        assert server.accepted == 1
    assert len(resolve.asked) == 2


async def test_each_connection_looks_up_once_and_dials_what_it_has_seen():
    """The second answer would be refused: so nobody asks a second time."""
    resolve = answers(["127.0.0.1"], ["10.0.0.1"])
    async with Raw(hello) as server, guarded_client(allow=["127.0.0.1"], resolve=resolve) as client:
        response = await client.get(f"http://once.example:{server.port}/")
        assert response.text == "hello"
        assert server.requests[0][2]["host"] == f"once.example:{server.port}"
    assert resolve.asked == [("once.example", server.port)]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{port}/", "//localhost:{port}/", "http://0x7f.1:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
                 "https://rebind.example:{port}/", "http://user:secret@public.example:{port}/", "file:///etc/passwd",
                 "gopher://127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@public.example/"],
)  # fmt: skip
async def test_redirects_are_checked(status, location, trap):
    async def redirect(connection):
        await connection.reply(b"", f"Location: {location.format(port=trap.port)}", status=status)

    async def resolve(host, port):
        return {"first.example": ["127.0.0.1"], "rebind.example": ["127.0.0.2"]}.get(host) or await resolve_name(
            host, port
        )

    async with (
        Raw(redirect) as server,
        guarded_client(allow=[f"127.0.0.1:{server.port}"], resolve=resolve) as client,
    ):
        with pytest.raises(AddressRefusedError):
            await client.get(f"http://first.example:{server.port}/")
        assert server.accepted == 1


@pytest.mark.parametrize(
    ("url", "text"),
    {
        "example.org": "has no scheme. Pass one that starts with https://",
        "//example.org/": "has no scheme",
        "ftp://example.org/": "no http or https URL: 'ftp://example.org/'",
        "http://user@example.org/": "user name or password for 'example.org'",
        "http://user:secret@example.org/": "user name or password",
        "http://:secret@example.org/": "user name or password",
        "http://example.org:0/": "port 0",
        "http://example.org:99999/": "port 99999",
        "http:///path": "has no scheme",
        "http://exa mple.org/": "no valid host",
        "http://%6c%6fcalhost/": "no valid host",
        "http://a..b/": "no valid host",
    }.items(),
)
async def test_urls_that_are_refused_unseen(url, text):
    async with guarded_client(resolve=no_resolver) as client:
        with pytest.raises(AddressRefusedError) as caught:
            await client.get(url)
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_unix_sockets_are_refused():
    with pytest.raises(AddressRefusedError, match=r"Unix socket '/run/docker\.sock'"):
        await Guard(Allowed(["localhost"])).connect_unix_socket("/run/docker.sock")


async def test_the_environment_has_no_say(monkeypatch, trap, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, trap.url)
    async with Raw(hello) as server, guarded_client(allow=LOOPBACK) as client:
        assert (await client.get(server.url)).text == "hello"
        assert "authorization" not in server.requests[0][2]


async def test_no_httpx_without_a_guard(monkeypatch):
    """Should a version of httpx keep its pool elsewhere, there is no client rather than one without a guard."""

    class Other(httpx.AsyncHTTPTransport):
        def __init__(self, **options):
            pass

    monkeypatch.setattr(httpx, "AsyncHTTPTransport", Other)
    with pytest.raises(RuntimeError, match="does not fit this version of httpx"):
        guarded_client()


# ---- what stays as httpx has it


async def test_an_allowed_name_is_the_one_that_is_opened():
    """Python's own codec makes "strasse.de" of it, which is another's host."""
    resolve = answers(["127.0.0.1"])
    async with Raw(hello) as server, guarded_client(allow=["straße.de"], resolve=resolve) as client:
        assert (await client.get(f"http://straße.de:{server.port}/")).text == "hello"
        with pytest.raises(AddressRefusedError):
            await client.get(f"http://strasse.de:{server.port}/")
    assert [host for host, _ in resolve.asked] == ["xn--strae-oqa.de", "strasse.de"]


async def test_names_are_looked_up_by_the_system():
    async with Raw(hello) as server, guarded_client(allow=["localhost"]) as client:
        assert (await client.get(f"http://localhost:{server.port}/")).text == "hello"
        assert server.requests[0][2]["host"] == f"localhost:{server.port}"


async def test_ipv6_is_dialled():
    async with Raw(hello, host="::1") as server, guarded_client(allow=["::1"]) as client:
        assert (await client.get(f"http://[::1]:{server.port}/")).text == "hello"


async def test_connections_are_kept_and_used_again():
    resolve = answers(["127.0.0.1"])
    async with Raw(hello) as server, guarded_client(allow=LOOPBACK, resolve=resolve) as client:
        for _ in range(5):
            await client.get(f"http://kept.example:{server.port}/")
        assert server.accepted == len(resolve.asked) == 1
        await client.aclose()
        await server.all_closed()


async def test_a_connection_that_the_server_has_closed_is_not_used_again():
    async def once(connection):
        await connection.reply(b"hello")  # without a word about closing

    async with Raw(once) as server, guarded_client(allow=LOOPBACK) as client:
        for _ in range(3):
            assert (await client.get(server.url)).text == "hello"
            await server.all_closed()
        assert server.accepted == 3


async def test_tls_checks_the_name_and_sends_it(authority, trusting):
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("tls.example").configure_cert(context)
    context.sni_callback = lambda _, name, __: names.append(name)
    resolve = answers(["127.0.0.1"])
    async with (
        Raw(hello, ssl=context) as server,
        guarded_client(allow=["*.example"], resolve=resolve, verify=trusting) as client,
    ):
        response = await client.get(f"https://tls.example:{server.port}/")
        assert response.text == "hello"
        assert server.requests[0][2]["host"] == f"tls.example:{server.port}"
        with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
            await client.get(f"https://other.example:{server.port}/")
        await client.get(f"https://tls.example:{server.port}/again")
        assert server.accepted == 1  # of which the second had no handshake; the first was used again
        await client.aclose()
        await server.all_closed()
    assert names == ["tls.example", "other.example"]


async def test_tls_by_a_stranger_is_refused(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with Raw(hello, ssl=context) as server, guarded_client(allow=["localhost"]) as client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(f"https://localhost:{server.port}/")
        await server.all_closed()


async def test_headers_and_cookies():
    async def cookie(connection):
        return await connection.reply(b"", "Set-Cookie: a=b; Path=/")

    async with Raw(cookie) as server:
        async with guarded_client(allow=LOOPBACK, headers={"X-Key": "k"}) as client:
            for _ in range(2):
                await client.get(server.url)
        async with guarded_client(allow=LOOPBACK, headers={"User-Agent": "mine"}) as client:
            await client.get(server.url, headers={"Cookie": "c=d"})
    first, second, third = (headers for _, _, headers, _ in server.requests)
    assert first["user-agent"].startswith("tinyagent/")
    assert first["x-key"] == second["x-key"] == "k"
    assert "cookie" not in second
    assert (third["user-agent"], third["cookie"]) == ("mine", "c=d")


async def test_redirects_are_followed_five_times():
    async def count(connection):
        number = int(connection.path[1:])
        return await connection.reply(b"", f"Location: /{number - 1}", status="302 Found" if number else "200 OK")

    async with Raw(count) as server, guarded_client(allow=LOOPBACK) as client:
        assert (await client.get(f"{server.url}/5")).url.path == "/0"
        with pytest.raises(httpx.TooManyRedirects):
            await client.get(f"{server.url}/6")


# ---- looking up and dialling


async def dial(resolve, port, timeout=5.0):
    stream = await Guard(Allowed(["*.example"]), resolve).connect_tcp("a.example", port, timeout)
    await stream.aclose()


async def test_the_next_address_is_tried_when_one_is_dead():
    async with Raw(hello) as server:
        await dial(answers(["127.0.0.2", "::1", "127.0.0.1"]), server.port)
        assert server.accepted == 1


async def test_one_silent_address_leaves_time_for_the_next(monkeypatch):
    """A listener whose queue is full does not answer; it gets its share of the time, and no more."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    with full, contextlib.ExitStack() as clients:
        port = full.getsockname()[1]
        for _ in range(4):  # fill the queue
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        alive = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.2", port)
        async with alive:
            await dial(answers(["127.0.0.1", "127.0.0.2"]), port, timeout=1.0)
        with pytest.raises(httpcore.ConnectTimeout):
            await dial(answers(["127.0.0.1"]), port, timeout=0.2)


async def test_all_addresses_dead():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(httpcore.ConnectError) as caught:
        await dial(answers(["127.0.0.1", "127.0.0.2"]), port, timeout=None)
    assert caught.value.__cause__.__cause__.errno == errno.ECONNREFUSED


async def test_no_more_than_four_addresses_are_dialled():
    dialled = []

    class Inner:
        async def connect_tcp(self, address, *_):
            dialled.append(address)
            raise httpcore.ConnectError(address)

    guard = Guard(Allowed(["*.example"]), answers([f"127.0.0.{number}" for number in range(1, 200)] * 2))
    guard._inner = Inner()
    with pytest.raises(httpcore.ConnectError, match=r"127\.0\.0\.4"):
        await guard.connect_tcp("a.example", 80, 1.0)
    assert dialled == ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]


@pytest.mark.parametrize("host", ["fe80::1%lo", "fe80::1%25lo"])
async def test_a_zone_is_dialled_with_its_address(host):
    dialled = []

    class Inner:
        async def connect_tcp(self, address, *_):
            dialled.append(address)
            raise httpcore.ConnectError(address)

    guard = Guard(Allowed(["fe80::/10"]), no_resolver)
    guard._inner = Inner()
    with pytest.raises(httpcore.ConnectError):
        await guard.connect_tcp(host, 80)
    assert dialled == ["fe80::1%lo"]


async def test_no_address():
    with pytest.raises(httpcore.ConnectError, match=r"no address found for 'a\.example'"):
        await dial(answers([]), 80)


@pytest.mark.parametrize("allow", [(), ["a.example"]])
@pytest.mark.parametrize(
    ("found", "text"), [(["b.example"], "'b.example'"), ("127.0.0.1", "'1'"), ([5], "5"), ([""], "''")]
)
async def test_a_resolver_that_gives_no_addresses(allow, found, text):
    async with guarded_client(allow=allow, resolve=answers(found)) as client:
        with pytest.raises(ConfigurationError, match=rf"^resolve= gave {text} for 'a\.example'. It must give IP addr"):
            await client.get("http://a.example/")


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
async def test_no_such_name(error):
    async def resolve(host, port):
        raise error

    with pytest.raises(httpcore.ConnectError, match=r"'a\.example' cannot be looked up: .*(not known|too long)"):
        await dial(resolve, 80)


async def test_a_resolver_that_never_answers():
    with pytest.raises(httpcore.ConnectTimeout, match=r"looking up 'a\.example' took longer than 0\.05 seconds"):
        await dial(lambda *_: asyncio.sleep(60), 80, timeout=0.05)


async def test_the_guard_sleeps():
    await Guard(Allowed([])).sleep(0)


@pytest.mark.parametrize("poll", [True, False])
async def test_what_is_readable(poll, monkeypatch):
    if not poll:  # as on Windows
        monkeypatch.delattr(guard_module.select, "poll")
    near, far = socket.socketpair()
    with near, far:
        assert guard_module._is_readable(near) is False
        far.send(b"x")
        assert guard_module._is_readable(near) is True
    assert guard_module._is_readable(near) is True  # closed


# ---- places and pools


async def test_no_more_requests_at_once_than_there_are_places():
    busy, most = 0, 0

    async def slow(connection):
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        for _ in range(3):
            await asyncio.sleep(0.001)
        busy -= 1
        return await connection.reply(b"hello")

    async with Raw(slow) as server, guarded_client(allow=LOOPBACK, max_connections=20) as client:
        found = await asyncio.gather(*(client.get(server.url) for _ in range(100)))
        assert [response.text for response in found] == ["hello"] * 100
        assert most == server.accepted == 20
        pools = transport_module.transports[client]._pools
        assert [*pools.values()] == [0, 0, 0]
        assert POOL_SIZE == 8


async def test_the_place_is_kept_until_the_answer_is_closed():
    async with Raw(hello) as server, guarded_client(allow=LOOPBACK, max_connections=1) as client:
        async with client.stream("GET", server.url) as response:
            waiting = asyncio.create_task(client.get(server.url))
            await asyncio.sleep(0.02)
            assert len(server.requests) == 1
            await response.aclose()
            await response.stream.aclose()  # counted once
        assert (await waiting).text == "hello"


async def test_a_place_serves_for_all_requests_of_its_block():
    async with Raw(hello) as server, guarded_client(allow=LOOPBACK, max_connections=1) as client:
        async with place(client):
            for _ in range(3):
                await client.get(server.url)
        await client.get(server.url)


async def test_other_clients_have_no_places():
    async with httpx.AsyncClient() as client, place(client):
        pass


async def test_a_failed_request_gives_its_place_back(trap):
    async with Raw(hello) as server, guarded_client(allow=[f"127.0.0.1:{server.port}"], max_connections=1) as client:
        for _ in range(3):
            with pytest.raises(AddressRefusedError):
                await client.get(trap.url)
            with pytest.raises(AddressRefusedError):
                await client.get(f"http://localhost:{trap.port}")
        assert (await client.get(server.url)).text == "hello"


# ---- cancelled


async def hang_up_after(connection):
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhel")
    await connection.gone()


async def steps_until_done(start):
    """Cancel what `start` begins after 0, 1, 2 ... turns of the loop, until it ends before that; how often."""
    for turns in range(400):
        task = asyncio.create_task(start())
        for _ in range(turns):
            await asyncio.sleep(0)
        done = task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if done:
            return turns
    raise AssertionError("it never ended")


@pytest.mark.parametrize("tls", [False, True])
async def test_cancelled_at_any_time_it_leaves_no_connection(tls, authority, trusting):
    """Each request has a client of its own, so nothing that is kept for the next one hides what is left over."""
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("cancel.example").configure_cert(context)
    scheme = "https" if tls else "http"
    async with Raw(lambda connection: connection.reply(b"hello" * 10_000), ssl=context) as server:

        async def get():
            client = guarded_client(allow=["*.example"], resolve=answers(["127.0.0.1"]), verify=trusting)
            response = await client.get(f"{scheme}://cancel.example:{server.port}/", headers={"Connection": "close"})
            assert len(response.content) == 50_000
            # the client is not closed: a connection that was left over would stay open

        assert await steps_until_done(get) > 5
        gc.collect()
        await server.all_closed()
        assert server.accepted > 3


async def test_cancelled_at_any_time_it_gives_its_place_back():
    async with Raw(hello) as server, guarded_client(allow=LOOPBACK, max_connections=2) as client:
        turns = await steps_until_done(lambda: client.get(server.url))
        assert turns > 5
        pools = transport_module.transports[client]._pools
        assert [*pools.values()] == [0]
        async with asyncio.timeout(20):
            found = await asyncio.gather(*(client.get(server.url) for _ in range(4)))
        assert [response.text for response in found] == ["hello"] * 4


# ---- proxies


async def test_a_proxy_opens_all_connections():
    async with Raw(lambda connection: connection.reply(connection.path.encode())) as proxy:
        url = f"http://proxy.example:{proxy.port}"
        resolve = answers(["127.0.0.1"])  # of the proxy, which may be where it likes
        async with guarded_client(proxy=url, resolve=resolve) as client:
            assert (await client.get("http://example.org/page")).text == "http://example.org/page"
            await client.get("http://example.org/other")
    assert resolve.asked == [("proxy.example", proxy.port)]
    assert proxy.accepted == 1


async def test_tls_through_a_proxy(authority, trusting):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("tls.example").configure_cert(context)

    async def tunnel(connection):
        if connection.path != "tls.example:443":
            return await connection.reply(b"", status="403 Forbidden")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def copy(source, target):
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    target.write(data)
            target.close()

        await asyncio.gather(copy(connection.reader, writer), copy(reader, connection.writer))
        return False

    async with (
        Raw(hello, ssl=context) as server,
        Raw(tunnel) as proxy,
        guarded_client(proxy=proxy.url, verify=trusting) as client,
    ):
        assert (await client.get("https://tls.example/")).text == "hello"
        with pytest.raises(httpx.ProxyError, match="403 Forbidden"):
            await client.get("https://other.example/")
        await client.aclose()
        await server.all_closed()
        await proxy.all_closed()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "[::1]", "10.0.0.1", "169.254.169.254", "localhost", "LOCALHOST.",
     "a.localhost", "intranet", "printer.local", "metadata.google.internal", "router.home.arpa", "nas.home",
     "printer.LAN.", "mail.corp", "wiki.intranet", "db.private", "app.test", "api.default.svc",
     "api.default.svc.cluster.local", "u:p@example.org"],
)  # fmt: skip
async def test_a_proxy_is_not_asked_for_local_hosts(host, trap):
    async with guarded_client(proxy=trap.url) as client:
        with pytest.raises(AddressRefusedError):
            await client.get(f"http://{host}/")


async def test_a_proxy_is_asked_for_local_hosts_that_are_allowed():
    async with (
        Raw(lambda connection: connection.reply(connection.path.encode())) as proxy,
        guarded_client(proxy=proxy.url, allow=["intranet", "10.0.0.0/8"]) as client,
    ):
        for url in ("http://intranet/", "http://10.0.0.7/"):
            assert (await client.get(url)).text == url


# ---- wrong settings


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"allow": "localhost"}, "pass a list of hosts"),
        ({"allow": ["http://localhost"]}, "no scheme, no path"),
        ({"proxy": "proxy.example:3128"}, "pass its URL, e.g. 'http://proxy.example:3128'"),
        ({"proxy": "ftp://proxy.example"}, "pass its URL"),
        ({"proxy": "http://"}, "pass its URL"),
        ({"proxy": "http://[::1"}, "pass its URL"),
        ({"proxy": 3128}, "pass its URL"),
        ({"timeout": 0}, "number of seconds above 0"),
        ({"timeout": "5"}, "number of seconds above 0"),
        ({"max_connections": 0}, "whole number, 1 or more"),
        ({"max_connections": 1.5}, "whole number, 1 or more"),
    ],
)
def test_wrong_settings(options, text):
    with pytest.raises(ConfigurationError, match=text):
        guarded_client(**options)


def test_a_socks_proxy_needs_socksio(monkeypatch):
    monkeypatch.setattr(client_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'httpx\[socks\]'"):
        guarded_client(proxy="socks5://proxy.example")


def test_the_user_agent_of_a_folder(monkeypatch):
    import importlib.metadata

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert client_module.user_agent.__wrapped__() == "tinyagent"
