"""`web_browse` against real servers on the loopback interface."""

import asyncio
import dataclasses
import gzip
import json
import sys
import threading

import pytest

from tests.tools.servers import Raw, serve
from tests.tools.web.hostile import pages
from tests.tools.web.pdfs import make_pdf
from tinyagent.core.errors import ConfigurationError, MissingExtraError
from tinyagent.core.jsonable import to_text
from tinyagent.core.shared import KeptPerLoop
from tinyagent.locked.worker import Workers
from tinyagent.tools.builtin.web_browse import Page, PageError, WebBrowser, web_browse
from tinyagent.tools.http import FetchError, FetchTimeoutError
from tinyagent.tools.web import reading

HERE = ["127.0.0.1"]


class Site:
    """Pages by path: `site["/x"] = (content, headers, status)`."""

    def __init__(self):
        self.pages = {}
        self.asked = []

    def page(self, content, content_type="text/html; charset=utf-8", status=200, **headers):
        path = f"/{len(self.pages)}"
        body = content.encode() if isinstance(content, str) else content
        named = {"content-type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.pages[path] = (body, {name: value for name, value in named.items() if value is not None}, status)
        return self.url + path

    async def __call__(self, scope, receive, send):
        self.asked.append((scope["path"], {name.decode(): value.decode() for name, value in scope["headers"]}))
        body, headers, status = self.pages[scope["path"]]
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def site():
    site = Site()
    async with serve(site) as site.url:
        yield site


def browser(**options):
    return WebBrowser(allow=HERE, **options).web_browse


# -- windows


async def test_a_page(site):
    url = site.page("<title>T</title><nav>menu</nav><main><h1>H</h1><p>a <a href=x>link</a></main>")
    page = await browser()(url)
    text = f"# H\n\na [link]({site.url}/x)"
    assert page == Page(url, "T", text, 0, len(text), len(text), "text/html", False)
    assert str(page) == to_text(page) == f"# T\n{url}\n\n{text}"


async def test_it_asks_for_markdown(site):
    url = site.page("# Own words\n", "text/markdown")
    assert (await browser(headers={"Accept-Language": "de"})(url)).text == "# Own words\n"
    headers = site.asked[0][1]
    assert headers["accept"] == "text/markdown, text/html;q=0.9, */*;q=0.8"
    assert headers["accept-language"] == "de"


async def test_windows_cover_the_text(site):
    text = "".join(f"line {n}\n" for n in range(3000))
    url = site.page(text, "text/plain")
    browse, start, parts = browser(), 0, []
    while True:
        page = await browse(url, start=start)
        parts.append(page.text)
        assert (page.start, page.end, page.total) == (start, start + len(page.text), len(text))
        if page.end == page.total:
            break
        told = f"characters {page.start:,}-{page.end:,} of {len(text):,}; call again with start={page.end} to read on"
        assert str(page) == f"{url}\n[{told}]\n\n{page.text}"
        start = page.end
    assert [len(part) for part in parts[:-1]] == [10_000] * (len(parts) - 1)
    assert "".join(parts) == text
    told = f"{url}\n[characters {start:,}-{len(text):,} of {len(text):,}; this is the end]\n\n"
    assert str(page) == told + page.text


async def test_a_window_of_another_size(site):
    url = site.page("0123456789", "text/plain")
    page = await browser()(url, start=2, max_chars=3)
    assert (page.text, page.start, page.end, page.total) == ("234", 2, 5, 10)
    assert (await browser()(url, max_chars=10)).text == "0123456789"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": -1}, "start=-1: pass a whole number from 0"),
        ({"start": True}, "start=True"),
        ({"max_chars": 0}, "max_chars=0: pass a whole number from 1 to 100000"),
        ({"max_chars": 100_001}, "max_chars=100001"),
        ({"max_chars": "5"}, "max_chars='5'"),
    ],
)
async def test_a_window_that_cannot_be_is_refused_before_anything_is_asked(site, arguments, message):
    with pytest.raises(ValueError, match=message):
        await browser()(site.page("a"), **arguments)
    assert site.asked == []


@pytest.mark.parametrize("start", [1, 2])
async def test_a_start_beyond_the_end_is_told(site, start):
    with pytest.raises(ValueError, match=f"start={start} is beyond the end: the page has 1 characters"):
        await browser()(site.page("<p>a"), start=start)


async def test_a_page_without_text_says_so(site):
    page = await browser()(site.page("<title>App</title><div id=root></div><script>x()</script>"))
    assert (page.text, page.total) == ("", 0)
    assert str(page) == f"# App\n{page.url}\n[The page holds no text. It may be made by scripts, which are not run.]"


def test_a_page_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Page("u", "t", "x", 0, 1, 1).text = "y"


# -- addresses


@pytest.mark.parametrize("written", ["<{}>", '"{}"', "[a page]({})", "`{}`", "**{}**"])
async def test_what_stands_around_a_url_is_left_out(site, written):
    url = site.page("<p>text")
    page = await browser()(written.format(url))
    assert (page.url, page.text) == (url, "text")


@pytest.mark.parametrize("written", ["{}", " {} ", "//{}", "https://{}"])
async def test_https_is_assumed(written):
    beginnings = []

    async def look(reader, writer):
        beginnings.append(await reader.readexactly(1))
        writer.close()

    server = await asyncio.start_server(look, "127.0.0.1", 0)
    async with server:
        with pytest.raises(FetchError):
            await browser()(written.format(f"127.0.0.1:{server.sockets[0].getsockname()[1]}/x"))
    assert set(beginnings) == {b"\x16"}  # a TLS handshake


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "javascript:alert(1)", "ftp://example.org/x", "data:text/html,x", "mailto:a@b.example"],
)
async def test_other_schemes_are_refused(url):
    with pytest.raises(FetchError):
        await web_browse(url)


@pytest.mark.parametrize("url", ["", "  ", None])
async def test_no_address_at_all_is_told(url):
    with pytest.raises(ValueError, match="pass the address of a page"):
        await web_browse(url)


async def test_no_host_that_is_not_allowed_sees_a_connection():
    async with Raw(lambda connection: connection.reply(b"secret")) as server:
        for url in (server.url, f"http://localhost:{server.port}", f"http://2130706433:{server.port}"):
            with pytest.raises(FetchError):
                await web_browse(url)
        assert server.accepted == 0


async def test_the_last_url_is_told_and_links_are_relative_to_it(site):
    target = site.page("<a href=y>a</a>")
    page = await browser()(site.page("", status=302, location=target))
    assert page.url == target
    assert page.text == f"[a]({site.url}/y)"


# -- types


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ('{"a": [1, "<b>"]}', "application/json"),
        ("<a><b>x</b></a>", "application/xml"),
        ("<rss/>", "application/rss+xml"),
        ("a,b\r\n1,2\r\n", "text/csv"),
        ("a: 1\n", "application/x-yaml"),
        ("print('<b>')", "text/x-python"),
        ("let a", "application/javascript"),
        ('{"a":1}\n', "application/x-ndjson"),
        ('{"@graph": []}', "application/ld+json"),
        ("plain <b>", "text/plain; charset=utf-8"),
        ("<svg/>", "image/svg+xml"),
    ],
)
async def test_text_stays_as_it_is(site, content, content_type):
    page = await browser()(site.page(content, content_type))
    assert page.text == content
    assert page.content_type == content_type.partition(";")[0]


@pytest.mark.parametrize("content_type", ["text/html", "TEXT/HTML;charset=UTF-8", "application/xhtml+xml"])
async def test_html_is_converted(site, content_type):
    assert (await browser()(site.page("<b>é</b>", content_type))).text == "**é**"


@pytest.mark.parametrize("content_type", [None, "application/octet-stream"])
@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        (b"<!DOCTYPE html><b>a</b>", "text/html", "**a**"),
        (b"\xef\xbb\xbf \n<!-- x --> <HTML><b>a</b>", "text/html", "**a**"),
        (b"<p class=x>a", "text/html", "a"),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (b"words\n", "text/plain", "words\n"),
        ("words é".encode("utf-16"), "text/plain", "words é"),
        (b"", "text/plain", ""),
        (make_pdf("a"), "application/pdf", "[page 1]\na"),
    ],
)
async def test_without_a_type_the_content_tells(site, content, content_type, kind, text):
    page = await browser()(site.page(content, content_type))
    assert (page.content_type, page.text) == (kind, text)


@pytest.mark.parametrize(
    ("content", "content_type", "message"),
    [
        (b"x", "image/png", "is image/png, which cannot be read"),
        (b"x", "application/zip", "application/zip"),
        (b"x", "video/mp4", "video/mp4"),
        (b"\x89PNG\r\n\x1a\n\0", None, "binary data of no known type"),
        (b"PK\x03\x04", "application/octet-stream", "binary data"),
        (b"a\0b", "text/plain", "text/plain, but binary data"),
    ],
)
async def test_other_types_are_refused_by_name(site, content, content_type, message):
    with pytest.raises(PageError, match=message):
        await browser()(site.page(content, content_type))


async def test_charsets(site):
    browse = browser()
    assert (await browse(site.page("<p>Привет".encode("cp1251"), "text/html; charset=windows-1251"))).text == "Привет"
    assert (await browse(site.page("<meta charset=shift_jis><p>日本".encode("cp932"), "text/html"))).text == "日本"
    assert (await browse(site.page("日本".encode("utf-16"), "text/plain"))).text == "日本"
    assert (await browse(site.page("日本".encode("utf-16-le"), "text/plain; charset=utf-16"))).text == "日本"


async def test_compressed_pages(site):
    assert (await browser()(site.page(gzip.compress(b"<p>a"), content_encoding="gzip"))).text == "a"


# -- PDF


async def test_pdf(site):
    page = await browser()(site.page(make_pdf("first", "second", title="Paper"), "application/pdf"))
    assert (page.title, page.text, page.content_type) == (
        "Paper",
        "[page 1]\nfirst\n\n[page 2]\nsecond",
        "application/pdf",
    )


async def test_a_pdf_that_is_longer_than_a_page_may_be_is_fetched_whole(site):
    content = make_pdf("a" * 200, "b")
    url = site.page(content, "application/pdf")
    assert (await browser(max_bytes=500)(url)).text.endswith("[page 2]\nb")
    with pytest.raises(PageError, match="more than 600 bytes, which is too long"):
        await browser(max_bytes=500, max_pdf_bytes=600)(url)
    with pytest.raises(PageError, match="too long"):
        await browser(max_bytes=500, max_pdf_bytes=400)(url)


async def test_a_pdf_that_has_gone_when_it_is_fetched_whole():
    async def once(connection):
        content = make_pdf("a" * 200)
        if len(server.requests) == 1:
            return await connection.reply(content, "Content-Type: application/pdf")
        return await connection.reply(b"", status="410 Gone")

    async with Raw(once) as server:
        with pytest.raises(PageError, match="410 Gone"):
            await browser(max_bytes=500)(server.url)


async def test_without_pypdf_the_error_says_what_to_install(site, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tinyagent\[pdf\]'"):
        await browser()(site.page(make_pdf("a"), "application/pdf"))


async def test_a_broken_pdf(site):
    with pytest.raises(PageError, match="broken"):
        await browser()(site.page(b"%PDF-1.4 nothing", "application/pdf"))


# -- failures


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "404 Not Found. There is no such page"),
        (410, "410 Gone"),
        (403, "403 Forbidden. It may not be read from here"),
        (401, "401 Unauthorized"),
        (500, "500 Internal Server Error. Try again later"),
        (503, "503 Service Unavailable"),
        (400, "400 Bad Request."),
        (599, "599. Try again later"),
        (304, "304 Not Modified"),
    ],
)
async def test_an_answer_of_failure_is_an_error(site, status, words):
    body = "" if status == 304 else "<title>Oops</title><p>Some <b>reason</b></p><script>x()</script>"
    with pytest.raises(PageError) as error:
        await browser()(site.page(body, status=status))
    assert words in str(error.value)
    assert ("It says: Some **reason**" in str(error.value)) == bool(body)
    assert error.value.status == status
    assert error.value.retry_after is None


async def test_too_many_requests(site):
    with pytest.raises(
        PageError, match=r"429 Too Many Requests\. Try again in 7 s, or look elsewhere\. It says: \{\"e"
    ) as error:
        await browser()(site.page(json.dumps({"error": "slow down"}), "application/json", 429, retry_after="7"))
    assert (error.value.status, error.value.retry_after) == (429, 7.0)


@pytest.mark.parametrize(
    ("content", "content_type"), [(b"\0\1", "image/png"), (make_pdf("x"), "application/pdf"), (b"", "text/html")]
)
async def test_of_a_failure_only_words_are_told(site, content, content_type):
    with pytest.raises(PageError) as error:
        await browser()(site.page(content, content_type, 404))
    assert "It says" not in str(error.value)


async def test_of_a_long_failure_the_beginning_is_told(site):
    with pytest.raises(PageError) as error:
        await browser()(site.page("<p>" + "word " * 10_000, status=500))
    assert len(str(error.value)) < 500
    assert str(error.value).endswith("…")


async def test_a_title_says_it_where_nothing_else_does(site):
    with pytest.raises(PageError, match="It says: Access denied"):
        await browser()(site.page("<title>Access denied</title>", status=403))


async def test_a_server_that_never_answers():
    async with Raw(lambda connection: connection.gone()) as server:
        with pytest.raises(FetchTimeoutError):
            await browser(seconds=0.2)(server.url)


async def test_a_cancelled_call_leaves_nothing():
    async with Raw(lambda connection: connection.gone()) as server:
        task = asyncio.create_task(browser()(server.url))
        async with asyncio.timeout(20):
            while not server.requests:
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.all_closed()


async def test_a_long_page_is_read_up_to_the_limit(site):
    page = await browser(max_bytes=1000)(site.page("<p>" + "word " * 5000))
    assert page.truncated
    assert "[The page goes on, but no more of it was read: it is too long.]" in str(page).split("\n\n")[0]
    assert 990 < page.total <= 1000
    assert "no more of it was read" in str(page)


# -- converters


async def test_a_converter_of_ones_own(site):
    url = site.page("<title>T</title><p>a")
    thread = []

    def upper(html, page_url):
        thread.append(threading.current_thread())
        assert page_url == url
        return html.upper()

    page = await browser(convert=upper)(url)
    assert (page.title, page.text) == ("T", "<TITLE>T</TITLE><P>A")
    assert thread != [threading.main_thread()]


@pytest.mark.parametrize("title", ["Own", ""])
async def test_one_that_is_async_and_gives_a_title(site, title):
    async def own(html, url):
        await asyncio.sleep(0)
        return title, "text"

    page = await browser(convert=own)(site.page("<title>T</title>"))
    assert (page.title, page.text) == (title or "T", "text")


async def test_it_is_used_for_html_only(site):
    assert (await browser(convert=lambda html, url: "x")(site.page("a", "text/plain"))).text == "a"


async def test_what_it_raises_is_raised(site):
    with pytest.raises(ZeroDivisionError):
        await browser(convert=lambda html, url: 1 / 0)(site.page("a"))


@pytest.mark.parametrize("value", [None, 5, ("a", 1), ("a", "b", "c")])
async def test_one_that_gives_something_else_is_told(site, value):
    with pytest.raises(TypeError, match=r"convert= gave .*; it is to give text"):
        await browser(convert=lambda html, url: value)(site.page("a"))


async def test_one_that_takes_too_long(site):
    async def slow(html, url):
        await asyncio.Event().wait()

    with pytest.raises(PageError, match=r"could not be read within 0\.5 seconds"):
        await browser(convert=slow, seconds=0.5)(site.page("a"))

    go_on = threading.Event()
    try:
        with pytest.raises(PageError, match="could not be read within"):
            await browser(convert=lambda html, url: go_on.wait(30), seconds=0.5)(site.page("a"))
    finally:
        go_on.set()


async def test_a_time_out_of_its_own_is_its_own(site):
    async def own(html, url):
        raise TimeoutError("own")

    with pytest.raises(TimeoutError, match=r"^own$"):
        await browser(convert=own)(site.page("a"))


@pytest.mark.parametrize(
    "options",
    [{"allow": ["http://x"]}, {"convert": "markdownify"}, {"max_bytes": 0}, {"max_bytes": True}, {"max_pdf_bytes": 1.5},
     {"seconds": 0}, {"seconds": "5"}],
)  # fmt: skip
def test_settings_that_cannot_be(options):
    with pytest.raises(ConfigurationError):
        WebBrowser(**options)


# -- the tool


def test_what_a_model_is_told():
    assert web_browse.name == "web_browse"
    assert web_browse.read_only
    assert "not to be trusted" in web_browse.description
    assert set(web_browse.parameters["properties"]) == {"url", "start", "max_chars"}
    assert web_browse.parameters["required"] == ["url"]
    assert [tool.name for tool in WebBrowser().tools] == ["web_browse"]


# -- hostile pages


#: Those that are quadratic for other converters, and quick for ours.
FULL_SIZE = ("attributes", "ampersands", "long references", "unclosed a", "unclosed quote")


@pytest.mark.timeout(240)
async def test_hostile_pages(site):
    browse = browser()
    small, large = pages(30_000), pages(2_000_000)
    for name, content in [*small.items(), *((name, large[name]) for name in FULL_SIZE)]:
        page = await browse(site.page(content))
        assert len(page.text) <= 10_000, name
        assert page.total <= 8 * len(content) + 100, name


async def test_a_page_that_takes_too_long_is_given_up(site, monkeypatch):
    endless = KeptPerLoop(lambda: Workers("tests.locked.servant", memory=256 << 20))
    monkeypatch.setitem(reading._workers, "html", endless)
    with pytest.raises(PageError, match=r"/0 could not be read within 1\.5 seconds"):
        await browser(seconds=1.5)(site.page("<p>endless"))


async def test_a_page_that_takes_too_much_memory_costs_itself_only(site, monkeypatch):
    scarce = KeptPerLoop(lambda: Workers("tinyagent.tools.web.pages", memory=16 << 20))
    monkeypatch.setitem(reading._workers, "html", scarce)
    with pytest.raises(PageError, match="the worker process ended without an answer: it took too much memory"):
        await browser()(site.page(pages()["paragraphs"]))
    assert (await browser()(site.page("<p>a"))).text == "a"


async def test_without_a_worker_process_text_is_read_and_a_page_says_why(site, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert (await browser()(site.page("a", "text/plain"))).text == "a"
    with pytest.raises(PageError, match="cannot be read: a worker process cannot start this process's interpreter"):
        await browser()(site.page("<p>page without a worker"))


async def test_pages_are_not_read_in_this_process(site):
    """By a library in C that a page may break."""
    program = """
import asyncio, sys
from tinyagent import WebBrowser
page = asyncio.run(WebBrowser(allow=["127.0.0.1"]).web_browse(sys.argv[1]))
print(page.text, "turbohtml" in sys.modules)
"""
    url = site.page("<b>a</b>")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert said == b"**a** False\n"


async def test_many_pages_at_once(site):
    browse = browser()
    urls = [site.page(f"<p>page {number}") for number in range(100)]
    found = await asyncio.gather(*map(browse, urls))
    assert [page.text for page in found] == [f"page {number}" for number in range(100)]
