"""Fetching: what comes back, limits, hostile servers, the shared client."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
import threading
import tracemalloc
import zlib
from urllib.parse import parse_qs

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.tools.servers import Raw, serve
from tinyagent import ConfigurationError, TinyAgentError
from tinyagent.core.shared import holding
from tinyagent.tools.http import (
    AddressRefusedError,
    FetchError,
    FetchTimeoutError,
    TooManyRedirectsError,
    check_url,
    fetch,
    guarded_client,
    shared_client,
)
from tinyagent.tools.web import body as body_module, turns as turns_module
from tinyagent.tools.web.transport import transports
from tinyagent.tools.web.turns import turns as turns_of_the_loop

HERE = ["127.0.0.1"]
TEXT = b"All work and no play. " * 1000
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def deflated(data, wbits):
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


async def echo(request):
    body = (await request.body()).decode()
    headers = dict(request.headers)
    return JSONResponse({"method": request.method, "query": request.url.query, "headers": headers, "body": body})


async def streamed(request):
    async def parts():
        for number in range(0, len(TEXT), 1000):
            yield TEXT[number : number + 1000]

    return StreamingResponse(parts(), media_type="text/plain")


APP = Starlette(
    routes=[
        Route("/echo", echo, methods=["GET", "POST", "PUT"]),
        Route("/streamed", streamed),
        Route("/text", lambda request: PlainTextResponse(TEXT)),
        Route("/empty", lambda request: Response(status_code=204)),
        Route("/missing", lambda request: PlainTextResponse("no such page", 404)),
        Route("/moved", lambda request: RedirectResponse("/echo?from=moved")),
        Route("/see", lambda request: RedirectResponse("/echo", 303), methods=["POST"]),
        Route("/keep", lambda request: RedirectResponse("/echo", 308), methods=["POST"]),
    ]
)


@pytest.fixture
async def site():
    async with serve(APP) as url:
        yield url


async def fetch_raw(*parts, **options):
    """Fetch from a server that sends these bytes and hangs up."""

    async def answer(connection):
        for part in parts:
            await connection.send(part)

    async with Raw(answer) as server:
        try:
            return await fetch(server.url, allow=HERE, **options)
        finally:
            await server.all_closed()


async def fetch_body(content, *headers, **options):
    async def answer(connection):
        return await connection.reply(content, *headers)

    async with Raw(answer) as server:
        return await fetch(server.url, allow=HERE, **options)


# ---- what comes back


async def test_a_page(site):
    page = await fetch(f"{site}/text", allow=HERE)
    assert (page.url, page.status, page.ok, page.content, page.truncated) == (f"{site}/text", 200, True, TEXT, False)
    assert page.headers["CONTENT-TYPE"] == "text/plain; charset=utf-8"
    assert (page.content_type, page.charset) == ("text/plain", "utf-8")


@pytest.mark.parametrize(
    ("header", "content_type", "charset"),
    [
        ("Text/HTML", "text/html", None),
        ("text/html; Charset=ISO-8859-1", "text/html", "ISO-8859-1"),
        ("text/html; boundary=x; charset='utf-8' ", "text/html", "utf-8"),
        ('text/html;charset="utf-8"', "text/html", "utf-8"),
        ("text/html; charset=", "text/html", None),
        ("", "", None),
        (None, "", None),
    ],
)
async def test_content_type_and_charset(header, content_type, charset):
    headers = [] if header is None else [f"Content-Type: {header}"]
    page = await fetch_body(b"", *headers)
    assert (page.content_type, page.charset) == (content_type, charset)


@pytest.mark.parametrize("written", ["<{}>", " '{}' ", "[a page]({})"])
async def test_what_stands_around_a_url_is_left_out(site, written):
    fetched = await fetch(written.format(f"{site}/text"), allow=HERE)
    assert fetched.url == f"{site}/text"
    check_url(written.format("https://example.org"))
    with pytest.raises(AddressRefusedError, match=r"127\.0\.0\.1"):
        check_url(written.format("http://127.0.0.1/"))


async def test_any_status_is_an_answer(site):
    page = await fetch(f"{site}/missing", allow=HERE)
    assert (page.status, page.ok, page.content) == (404, False, b"no such page")
    empty = await fetch(f"{site}/empty", allow=HERE)
    assert (empty.status, empty.ok, empty.content) == (204, True, b"")


async def test_what_is_sent(site):
    page = await fetch(
        f"{site}/echo?own=1",
        allow=HERE,
        method="POST",
        params={"q": "a b", "n": 2},
        headers={"X-Key": "k"},
        json={"a": "ü"},
    )
    sent = page.json()
    assert (sent["method"], parse_qs(sent["query"]), json.loads(sent["body"])) == (
        "POST", {"own": ["1"], "q": ["a b"], "n": ["2"]}, {"a": "ü"}
    )  # fmt: skip
    assert sent["headers"]["x-key"] == "k"
    assert sent["headers"]["content-type"] == "application/json"
    assert sent["headers"]["accept-encoding"] == "gzip, deflate"
    assert sent["headers"]["user-agent"].startswith("tinyagent/")
    assert page.content_type == "application/json"


async def test_parameters_of_the_url_stay_as_they_are(site):
    for params in (None, {}):
        assert (await fetch(f"{site}/echo?a=1&a=%20", allow=HERE, params=params)).json()["query"] == "a=1&a=%20"


async def test_a_header_that_cannot_be_sent(site):
    with pytest.raises(FetchError, match="could not be sent: Illegal header value"):
        await fetch(f"{site}/echo", allow=HERE, headers={"X-Key": "a\r\nX-Other: b"})


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"Accept": "*/*", "X-Key": "sécret"}, r"headers=\{'X-Key': \.\.\.\}: names and values are ASCII text"),
        ({"é": "secret"}, r"headers=\{'é': "),
        ({"X-Key": 5}, r"headers=\{'X-Key': "),
        ({5: "secret"}, r"headers=\{5: "),
    ],
)
async def test_a_wrong_header(headers, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        await fetch("http://127.0.0.1:1/", allow=HERE, headers=headers)
    assert "cret" not in str(caught.value)


async def test_json_that_cannot_be_sent():
    with pytest.raises(ConfigurationError, match=r"json= holds text that cannot be sent: .*surrogates"):
        await fetch("http://127.0.0.1:1/", allow=HERE, method="POST", json="\udcff")
    for body in (None, 1):
        with pytest.raises(AddressRefusedError, match="is not a valid URL"):
            await fetch("http://127.0.0.1:1/\udcff", allow=HERE, method="POST", json=body)


async def test_no_json():
    with pytest.raises(ValueError, match="Expecting value"):
        (await fetch_body(b"<html>")).json()


async def test_head(site):
    page = await fetch(f"{site}/text", allow=HERE, method="HEAD")
    assert (page.status, page.content, page.truncated) == (200, b"", False)
    gzipped = await fetch_raw(HEAD + b"Content-Length: 100\r\nContent-Encoding: gzip\r\n\r\n", method="HEAD")
    assert (gzipped.content, gzipped.truncated) == (b"", False)


# ---- redirects


async def test_redirects_are_followed(site):
    page = await fetch(f"{site}/moved#part", allow=HERE)
    assert page.url == f"{site}/echo?from=moved#part"
    assert page.json()["query"] == "from=moved"


async def test_a_post_becomes_a_get_where_browsers_do_so(site):
    page = await fetch(f"{site}/see", allow=HERE, method="POST", json={"a": 1})
    assert (page.json()["method"], page.json()["body"]) == ("GET", "")
    page = await fetch(f"{site}/keep", allow=HERE, method="POST", json={"a": 1})
    assert (page.json()["method"], json.loads(page.json()["body"])) == ("POST", {"a": 1})


async def test_a_connection_survives_a_redirect():
    async def answer(connection):
        if connection.path == "/":
            return await connection.reply(b"moved", "Location: /there", status="301 Moved")
        return await connection.reply(b"there")

    async with Raw(answer) as server:
        assert (await fetch(server.url, allow=HERE)).content == b"there"
        assert server.accepted == 1


async def test_the_body_of_a_redirect_is_not_read_for_long():
    async def answer(connection):
        if connection.path == "/there":
            return await connection.reply(b"there")
        await connection.send(b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Encoding: br\r\n\r\n")
        while True:
            await connection.send(bytes(65536))

    async with Raw(answer) as server:
        assert (await fetch(server.url, allow=HERE)).content == b"there"
        await server.all_closed()


async def test_endless_redirects():
    async def answer(connection):
        return await connection.reply(b"", f"Location: {connection.path}x", status="302 Found")

    async with Raw(answer) as server:
        with pytest.raises(
            TooManyRedirectsError, match=f"more than 5 times; the last redirect leads to {server.url}/xxxxxx$"
        ):
            await fetch(f"{server.url}/", allow=HERE)
        assert len(server.requests) == 6


async def test_a_site_that_wants_its_cookie_back():
    async def answer(connection):
        if connection.headers.get("cookie") == "seen=yes":
            return await connection.reply(b"welcome")
        return await connection.reply(b"", "Set-Cookie: seen=yes", "Location: /", status="302 Found")

    async with Raw(answer) as server, guarded_client(allow=HERE) as client:
        for _ in range(2):
            assert (await fetch(server.url, client=client)).content == b"welcome"
        assert len(server.requests) == 4  # the second fetch knows nothing of the first


async def test_keys_do_not_follow_to_another_host():
    async with Raw(lambda connection: connection.reply(b"there")) as other:

        async def answer(connection):
            to = "/here" if connection.path == "/" else f"http://localhost:{other.port}/there"
            return await connection.reply(b"", f"Location: {to}", status="307 Temporary")

        sent = {"X-API-Key": "k", "Authorization": "Bearer t", "Cookie": "c=d", "Accept": "text/html"}
        async with Raw(answer) as server:
            page = await fetch(server.url, allow=[*HERE, "localhost"], method="POST", headers=sent, json=[1])
            assert page.content == b"there"
        here = server.requests[1][2]
        assert (here["x-api-key"], here["authorization"], here["accept"]) == ("k", "Bearer t", "text/html")
        _, _, there, body = other.requests[0]
        assert not {"x-api-key", "authorization", "cookie"} & set(there)
        assert (there["host"], there["accept"], body) == (f"localhost:{other.port}", "text/html", b"[1]")


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("http://a.example/", "http://a.example/x", True),
        ("http://a.example/", "http://a.example:80/", True),
        ("http://a.example/", "https://a.example/", True),
        ("http://a.example:8080/", "https://a.example/", False),
        ("https://a.example/", "http://a.example/", False),
        ("https://a.example/", "https://a.example:444/", False),
        ("https://a.example/", "https://b.a.example/", False),
    ],
)
def test_what_is_one_server(before, after, same):
    from tinyagent.tools.web.exchange import _same_server

    assert _same_server(httpx.URL(before), httpx.URL(after)) is same


@pytest.mark.parametrize(
    "location", ["http://[::1]:{port}/", "http://10.0.0.1/", "http://u:p@example.org/", "file:///etc/passwd"]
)
async def test_a_refused_redirect_says_where_it_came_from(location):
    async def answer(connection):
        return await connection.reply(b"", f"Location: {location.format(port=server.port)}", status="302 Found")

    async with Raw(answer) as server:
        with pytest.raises(AddressRefusedError, match=f"^{server.url} redirects to "):
            await fetch(server.url, allow=HERE)
        assert server.accepted == 1


@pytest.mark.parametrize(
    "location",
    ["javascript:alert(1)", "data:text/plain,hello", "JavaScript://x", "mailto:a@example.org", "localhost:80"],
)
async def test_a_redirect_to_no_http_url(location):
    async def answer(connection):
        return await connection.reply(b"", f"Location: {location}", status="302 Found")

    async with Raw(answer) as server, guarded_client(allow=HERE, max_connections=1) as client:
        for _ in range(2):  # it gives its place back
            with pytest.raises(AddressRefusedError) as caught:
                await fetch(f"{server.url}/page", client=client)
            assert str(caught.value).startswith(
                f"{server.url}/page redirects to {location!r}, which is no http or https"
            )
        with pytest.raises(AddressRefusedError):
            await client.get(server.url)
        await client.aclose()
        await server.all_closed()


async def test_a_redirect_that_another_client_does_not_understand():
    async with (
        Raw(lambda connection: connection.reply(b"", "Location: a:b", status="302 Found")) as server,
        httpx.AsyncClient() as client,
    ):
        with pytest.raises(FetchError, match=f"^{server.url} redirects to what is no URL: "):
            await fetch(server.url, client=client)


@pytest.mark.parametrize("location", ["http://[::1", "http://x y\x01/", "http://xn--a.com/"])
async def test_a_redirect_to_nonsense(location):
    with pytest.raises(FetchError):
        await fetch_raw(f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode())


# ---- limits


@pytest.mark.parametrize("path", ["text", "streamed"])
@pytest.mark.parametrize("limit", [0, 1, 999, len(TEXT) - 1, len(TEXT), len(TEXT) + 1])
async def test_the_limit_holds_exactly(site, path, limit):
    page = await fetch(f"{site}/{path}", allow=HERE, max_bytes=limit)
    assert (page.content, page.truncated) == (TEXT[:limit], limit < len(TEXT))


SHORT = TEXT[:5000]
ENCODINGS = {
    "gzip": gzip.compress(SHORT),
    "x-gzip": gzip.compress(SHORT, 0),
    "GZIP": gzip.compress(SHORT[:100]) + gzip.compress(b"") + gzip.compress(SHORT[100:]),
    " gzip , identity": gzip.compress(SHORT) + bytes(100) + b"\x1f" + bytes(100),  # padded, as by tar
    "deflate": deflated(SHORT, zlib.MAX_WBITS),
    "Deflate": deflated(SHORT, -zlib.MAX_WBITS),
    "identity": SHORT,
    "": SHORT,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_encodings(encoding, size):
    """Whatever the pieces in which they come."""
    data = ENCODINGS[encoding]
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    head = f"Content-Encoding: {encoding}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    page = await fetch_raw(HEAD + head + body)
    assert (page.content, page.truncated) == (SHORT, False)
    page = await fetch_raw(HEAD + head + body, max_bytes=1000)
    assert (page.content, page.truncated) == (SHORT[:1000], True)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate, gzip", "compress", "gzip;q=1"])
async def test_other_encodings_are_refused(encoding):
    with pytest.raises(FetchError, match=f"compressed as '{encoding}'; only 'gzip, deflate' was asked for"):
        await fetch_body(TEXT, f"Content-Encoding: {encoding}")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_what_is_not_compressed_as_it_says(encoding):
    with pytest.raises(FetchError, match=f"not valid {encoding}"):
        await fetch_body(b"\xffnonsense" * 10, f"Content-Encoding: {encoding}")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compressed_and_broken_off(encoding):
    with pytest.raises(FetchError, match=f"broke off its {encoding} answer before the end"):
        await fetch_body(ENCODINGS[encoding][:-10], f"Content-Encoding: {encoding}")


def bomb():
    """300 MB of zeros, in 300 kB."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(300)) + packer.flush()


async def test_a_bomb_keeps_the_limit_and_costs_no_memory():
    content = bomb()
    await fetch_body(b"", "Content-Encoding: gzip")  # imports
    tracemalloc.start()
    try:
        page = await fetch_body(content, "Content-Encoding: gzip", max_bytes=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (page.content, page.truncated) == (bytes(1_000_000), True)
    assert peak < 8_000_000


async def test_an_answer_that_never_ends_is_cut_and_hung_up_on():
    async def answer(connection):
        await connection.send(HEAD + b"\r\n")
        while True:
            await connection.send(bytes(65536))

    async with Raw(answer) as server:
        page = await fetch(server.url, allow=HERE, max_bytes=100_000)
        assert (page.content, page.truncated) == (bytes(100_000), True)
        await server.all_closed()


async def test_an_answer_that_never_holds_anything_is_cut():
    """Compressed, it goes on and on; decompressed, it is empty."""

    async def answer(connection):
        await connection.send(HEAD + b"Content-Encoding: gzip\r\n\r\n")
        while True:
            await connection.send(gzip.compress(b"") * 1000)

    async with Raw(answer) as server:
        page = await fetch(server.url, allow=HERE, max_bytes=100_000)
        assert (page.content, page.truncated) == (b"", True)
        await server.all_closed()


# ---- hostile servers


@pytest.mark.parametrize(
    ("answer", "text"),
    {
        "too short": (HEAD + b"Content-Length: 100\r\n\r\nhello", "broken answer.*received 5 bytes, expected 100"),
        "nothing": (b"", "Server disconnected without sending a response"),
        "half a head": (HEAD + b"Content-Le", "broken answer, or none in HTTP"),
        "garbage": (b"\x97\xaa\xa1" * 1000 + b"\r\n\r\n", "broken answer, or none in HTTP"),
        "another protocol": (b"220 mail.example ESMTP\r\n\r\n", "broken answer, or none in HTTP: illegal status line"),
        "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "conflicting Content-Length"),
        "a bad length": (HEAD + b"Content-Length: -5\r\n\r\nhello", "bad Content-Length"),
        "a bad chunk": (CHUNKED + b"zz\r\nhello\r\n", "illegal chunk header"),
        "a huge chunk": (CHUNKED + b"f" * 30 + b"\r\nhello\r\n", "illegal chunk header"),
        "an endless chunk header": (CHUNKED + b"1;" + b"x" * 200_000, "broken answer"),
        "chunks broken off": (CHUNKED + b"5\r\nhello\r\n", "incomplete chunked read"),
        "an endless header": (HEAD + b"X: " + b"x" * 200_000, "Receive buffer too long"),
        "headers without end": (HEAD + b"X: y\r\n" * 40_000, r"after \d+ bytes, \d+ lines, the answer has not begun"),
        "a header with a null": (HEAD + b"X: \0\r\n\r\n", "broken answer"),
    }.values(),
)  # fmt: skip
async def test_broken_answers(answer, text):
    with pytest.raises(FetchError, match=text):
        await fetch_raw(answer)


async def test_100_mb_of_headers():
    async def answer(connection):
        await connection.send(HEAD)
        for number in range(100_000):
            await connection.send(b"X-%d: %s\r\n" % (number, b"x" * 1000))

    async with Raw(answer) as server:
        with pytest.raises(FetchError, match="Receive buffer too long"):
            await fetch(server.url, allow=HERE)
        await server.all_closed()


async def test_a_length_that_is_too_short_cuts_the_answer():
    assert (await fetch_raw(HEAD + b"Content-Length: 5\r\n\r\nhello, world")).content == b"hello"


@pytest.mark.parametrize("before", [b"", HEAD, HEAD + b"Content-Length: 100\r\n\r\nhello"])
async def test_a_connection_that_is_reset(before):
    async def answer(connection):
        await connection.send(before)
        await asyncio.sleep(0.01)
        connection.writer.transport.abort()

    async with Raw(answer) as server:
        with pytest.raises(FetchError, match=r"broken answer|broke: Connection reset"):
            await fetch(server.url, allow=HERE)


async def drip(connection, start, piece):
    await connection.send(start)
    while True:
        await connection.send(piece)
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "answer",
    {
        "silent": lambda connection: connection.gone(),
        "slow head": lambda connection: drip(connection, HEAD, b"x"),
        "slow body": lambda connection: drip(connection, HEAD + b"Content-Length: 1000000\r\n\r\n", b"x"),
        "slow chunks": lambda connection: drip(connection, CHUNKED, b"1\r\nx\r\n"),
        "interim": lambda connection: drip(connection, b"", b"HTTP/1.1 100 \r\n\r\n"),
    }.values(),
)
async def test_the_deadline_holds(answer):
    async with Raw(answer) as server:
        with pytest.raises(FetchTimeoutError) as caught:
            await fetch(f"{server.url}/page", allow=HERE, seconds=0.2)
        assert str(caught.value) == f"{server.url}/page was not there after 0.2 seconds."
        assert isinstance(caught.value, TimeoutError)
        await server.all_closed()


async def test_the_deadline_is_for_all_redirects_together():
    async def answer(connection):
        await asyncio.sleep(0.15)
        return await connection.reply(b"", f"Location: {connection.path}x", status="302 Found")

    async with Raw(answer) as server:
        with pytest.raises(FetchTimeoutError, match=r"/x+ was not there after 0\.4 seconds"):
            await fetch(f"{server.url}/", allow=HERE, seconds=0.4)


async def test_crumbs_are_refused(monkeypatch):
    monkeypatch.setattr(body_module, "CRUMBS", 100)

    async def answer(connection):
        await connection.send(CHUNKED)
        while True:
            await connection.send(b"1\r\nx\r\n" * 100)

    async with Raw(answer) as server:
        with pytest.raises(FetchError, match="thousands of pieces of a few bytes"):
            await fetch(server.url, allow=HERE)
        await server.all_closed()


async def test_the_loop_gets_its_turn_among_thousands_of_pieces(monkeypatch):
    """They all are there when the first is read, so nothing ever waits for the network."""
    monkeypatch.setattr(turns_module, "TURN", 0.0)
    turns = 0

    async def parts():
        for _ in range(1000):
            yield b"x"

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=parts()))
    async with httpx.AsyncClient(transport=transport) as client:
        counting = asyncio.create_task(count())
        page = await fetch("http://example.org/", client=client)
        counting.cancel()
    assert page.content == b"x" * 1000
    assert turns > 500


@pytest.fixture
def clock(monkeypatch):
    """The time by which turns are measured; it goes on when the test says so."""

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(turns_module, "monotonic", clock)
    monkeypatch.setattr(body_module, "monotonic", clock)
    return clock


async def most_in_one_cycle(clock, start, tasks):
    """The greatest time that these tasks together take of one cycle of the loop, in seconds."""
    greatest = last = 0.0
    working = [asyncio.create_task(start()) for _ in range(tasks)]
    while not all(task.done() for task in working):
        await asyncio.sleep(0)
        greatest, last = max(greatest, clock.now - last), clock.now
    await asyncio.gather(*working)
    return greatest


async def test_many_answers_share_one_turn(clock):
    """30 with 1000 pieces each, of 1 ms a piece: alone each would have 20 ms a cycle."""

    async def parts():
        for _ in range(1000):
            clock.now += 0.001
            yield b"x"

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=parts()))
    async with httpx.AsyncClient(transport=transport) as client:

        async def one():
            assert len((await fetch("http://example.org/", client=client)).content) == 1000

        assert await most_in_one_cycle(clock, one, 30) < 0.1
    assert clock.now > 29
    assert turns_of_the_loop().share == turns_module.TURN


async def test_what_has_been_read_waits_for_time(clock):
    """30 pieces that take 15 ms each, which nobody can divide: two of them fill a cycle."""

    async def one():
        for _ in range(5):
            await turns_of_the_loop().wait()
            clock.now += 0.015

    assert await most_in_one_cycle(clock, one, 30) < 0.035
    assert clock.now > 2


@pytest.mark.parametrize("header", [b"", b"X: %s\r\n" % (b"x" * 10_000)])
async def test_interim_answers_without_end(header):
    async def answer(connection):
        while True:
            await connection.send(b"HTTP/1.1 100 C\r\n%s\r\n" % header * 100)

    async with Raw(answer) as server:
        with pytest.raises(FetchError, match=r"broken answer.* after \d+ bytes, \d+ lines, the answer has not begun"):
            await fetch(server.url, allow=HERE)
        await server.all_closed()


async def test_some_interim_answers():
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" * 100
    page = await fetch_raw(early + HEAD + b"Content-Length: 500000\r\n\r\n" + bytes(500_000))
    assert page.content == bytes(500_000)  # the body has a limit of its own
    page = await fetch_raw(HEAD + b"Content-Length: 9000\r\n\r\n" + b"\n" * 9000)
    assert page.content == b"\n" * 9000  # of which most came with the head


async def test_sending_on_what_is_read():
    """What comes while a request is sent counts only if it comes from where it is sent to."""

    async def answer(connection):
        return await connection.reply(bytes(600_000) if connection.method == "GET" else b"%d" % len(connection.body))

    async with Raw(answer) as server, guarded_client(allow=HERE) as client:
        async with client.stream("GET", server.url) as source:
            sent = await client.post(server.url, content=source.aiter_raw(), headers={"Content-Length": "600000"})
        assert sent.text == "600000"


# ---- no connection, slow connections


async def test_nobody_listens():
    with pytest.raises(FetchError, match=r"^No connection to 127\.0\.0\.1: Connection refused\.$"):
        await fetch("http://127.0.0.1:1/", allow=HERE)


async def failing(error):
    def handler(request):
        raise error

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        await fetch("https://example.org/page", client=client)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (httpx.ConnectTimeout(""), FetchTimeoutError, "No connection to example.org in time: it does not answer."),
        (httpx.ConnectTimeout("looking up took long"), FetchTimeoutError, "in time: looking up took long."),
        (httpx.ReadTimeout(""), FetchTimeoutError, "example.org stopped sending"),
        (httpx.ProxyError("407 Proxy Authentication Required"), FetchError, "The proxy did not open a connection to"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] expired"), FetchError, "CERTIFICATE_VERIFY_FAILED"),
        (httpx.ReadError(""), FetchError, "The connection to example.org broke: it was closed."),
        (
            ConnectionResetError(104, "gone"),
            FetchError,
            "The connection to example.org broke: Connection reset by peer.",
        ),
        (httpx.LocalProtocolError("Illegal header value"), FetchError, "could not be sent: Illegal header value."),
    ],
)
async def test_errors_say_what_happened(error, kind, text):
    with pytest.raises(kind) as caught:
        await failing(error)
    assert text in str(caught.value)
    assert type(caught.value) is kind
    assert isinstance(caught.value, TinyAgentError)


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyError])
async def test_other_errors_are_left_alone(error):
    with pytest.raises(error):
        await failing(error())


# ---- what never leaves


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://2130706433:{port}/", "http://0x7f000001:{port}/",
     "http://0177.0.0.1:{port}/", "http://127.1:{port}/", "http://0:{port}/", "http://[::1]:{port}/",
     "http://[::ffff:127.0.0.1]:{port}/", "http://user@127.0.0.1:{port}/", "http://example.org@127.0.0.1:{port}/",
     "http://127.0.0.1:{port}#@example.org/", "http://127.0.0.1:{port}\\@example.org/", "http://１２７.０.０.１:{port}/",
     "http://①②⑦.⓪.⓪.①:{port}/", "http://%31%32%37.0.0.1:{port}/", "127.0.0.1:{port}", "//127.0.0.1:{port}/",
     "HTTP://LOCALHOST:{port}/", "https://127.0.0.1:{port}/", "ws://127.0.0.1:{port}/", "http://xn--a.com/",
     "file:///etc/passwd", "", "http://", "http://[::1", "data:text/plain,hello"],
)  # fmt: skip
async def test_no_spelling_of_this_machine_is_dialled(url):
    async with Raw(lambda connection: connection.reply()) as trap:
        with pytest.raises(AddressRefusedError):
            await fetch(url.format(port=trap.port))
        await asyncio.sleep(0.005)
        assert trap.accepted == 0


# ---- settings


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_bytes": -1}, "max_bytes=-1: pass a whole number, 0 or more"),
        ({"max_bytes": 1.5}, "max_bytes=1.5"),
        ({"seconds": 0}, "seconds=0: pass a number of seconds above 0"),
        ({"seconds": "1"}, "seconds='1'"),
        ({"allow": "localhost"}, "pass a list of hosts"),
        ({"allow": ["*"]}, "allow='\\*'"),
        ({"proxy": "proxy"}, "pass its URL"),
    ],
)
async def test_wrong_settings(options, text):
    with pytest.raises(ConfigurationError, match=text):
        await fetch("http://127.0.0.1/", **options)


@pytest.mark.parametrize("option", [{"allow": HERE}, {"proxy": "http://127.0.0.1:1"}])
async def test_a_client_has_its_own_settings(option):
    async with guarded_client() as client:
        with pytest.raises(ConfigurationError, match="settings of the client"):
            await fetch("http://127.0.0.1/", client=client, **option)


async def test_through_a_proxy():
    async with Raw(lambda connection: connection.reply(connection.path.encode())) as proxy:
        page = await fetch("http://example.org/page", proxy=proxy.url)
        assert page.content == b"http://example.org/page"
        with pytest.raises(AddressRefusedError):
            await fetch("http://localhost/", proxy=proxy.url)
        assert len(proxy.requests) == 1


def test_urls_for_a_service():
    check_url("https://example.org/page")
    check_url("http://intranet/", allow=["intranet"])
    check_url("http://printer.lan/", allow=["*.lan"])
    check_url("https://home.example/lan")
    check_url("http://10.0.0.7:8080/", allow=["10.0.0.0/8"])
    for url in (
        "http://intranet/",
        "http://intranet./",
        "http://localhost",
        "http://printer.lan/",
        "http://api.default.svc/",
        "http://api.default.svc.cluster.local/",
        "http://10.1",
        "https://u:p@example.org",
        "ftp://example.org",
        "http://[::1",
    ):
        with pytest.raises(AddressRefusedError):
            check_url(url)
    with pytest.raises(ConfigurationError):
        check_url("http://example.org", allow="example.org")


# ---- the shared client


def _open_clients():
    return [client for client in list(transports) if not client.is_closed]


async def test_one_client_is_shared_and_closed_after_the_last():
    async with shared_client() as first:
        async with shared_client() as second, shared_client(allow=HERE) as other:
            assert first is second
            assert other is not first
        assert not first.is_closed
        assert other.is_closed
        async with shared_client(allow=["::1", "127.0.0.1"]) as one, shared_client(allow=["127.0.0.1", "::1"]) as same:
            assert one is same
    assert first.is_closed
    async with shared_client() as third:
        assert third is not first


async def test_it_is_kept_to_the_end_of_a_run(site):
    async with holding():
        await fetch(f"{site}/text", allow=HERE)
        async with shared_client(allow=HERE) as client:
            pass
        assert not client.is_closed
    assert client.is_closed


async def test_a_run_uses_its_connections_again():
    async with Raw(lambda connection: connection.reply(b"hello")) as server:
        async with holding():
            for _ in range(3):
                await fetch(server.url, allow=HERE)
            assert server.accepted == 1
        await server.all_closed()


def test_each_loop_has_its_own():
    async def use():
        async with shared_client() as client:
            return client

    first, second = asyncio.run(use()), asyncio.run(use())
    assert first is not second
    assert first.is_closed
    assert second.is_closed


def test_clients_of_many_threads():
    """Each with loops of its own, and all looking for what others have left."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    errors = []

    async def use(number):
        async with shared_client(allow=[f"10.0.0.{number % 200}"]):
            await asyncio.sleep(0)

    def work(first):
        try:
            for number in range(first, first + 40):
                asyncio.run(use(number))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors
    assert not _open_clients()


async def test_cancelled_before_it_is_opened_it_is_forgotten():
    async def use():
        async with shared_client():
            raise AssertionError("it was opened")

    task = asyncio.create_task(use())
    for _ in range(10):
        await asyncio.sleep(0)
        if _open_clients():
            break
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not _open_clients()


async def test_many_at_once(site):
    pages = await asyncio.gather(*(fetch(f"{site}/echo?n={number}", allow=HERE) for number in range(200)))
    assert [page.json()["query"] for page in pages] == [f"n={number}" for number in range(200)]


async def test_waiting_for_a_connection_does_not_count():
    """Ten requests of 0.1 s after one another, of which each may take 0.5 s."""

    async def slow(connection):
        await asyncio.sleep(0.1)
        return await connection.reply(b"hello")

    async with Raw(slow) as server, guarded_client(allow=HERE, max_connections=1) as client:
        pages = await asyncio.gather(*(fetch(server.url, client=client, seconds=0.5) for _ in range(10)))
        assert [page.content for page in pages] == [b"hello"] * 10
        assert server.accepted == 1


# ---- cancelled


async def test_cancelled_at_any_time_it_leaves_nothing():
    async def answer(connection):
        if connection.path == "/":
            return await connection.reply(b"moved", "Location: /there", status="302 Found")
        return await connection.reply(gzip.compress(os.urandom(100_000)), "Content-Encoding: gzip")

    async with Raw(answer) as server:
        turns = 0
        while True:
            task = asyncio.create_task(fetch(server.url, allow=HERE, max_bytes=50_000))
            for _ in range(turns):
                await asyncio.sleep(0)
            if done := task.done():
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not _open_clients()
            turns += 1
        assert done
        assert len((await task).content) == 50_000
        assert turns > 10
        await server.all_closed()


async def test_what_is_cut_leaves_no_generator_behind():
    """Those inside httpx would be closed by tasks of their own, some time later."""
    left = []
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(finalizer=lambda generator: (left.append(generator), hooks.finalizer(generator)))
    try:
        page = await fetch_body(TEXT * 100, max_bytes=10)
        assert page.truncated
        with pytest.raises(FetchError, match="not valid gzip"):
            await fetch_body(TEXT * 100, "Content-Encoding: gzip")
    finally:
        sys.set_asyncgen_hooks(*hooks)
    assert not left


# ---- what importing costs


def test_importing_costs_nothing():
    program = "import sys, tinyagent.tools.http; print(*{'httpx', 'httpcore', 'anyio', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
