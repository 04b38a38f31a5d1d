"""`jina_reader`: what the reader is asked, how its answers are read, and what its failures say."""

from __future__ import annotations

import asyncio

import pytest

from tests.agents.kinds import NATIVE, WRITTEN, needs_sandbox, no_session_left
from tests.tools.builtin.search_server import BAD_KEY, KEY, Answer, SearchServer
from tinyagent import ConfigurationError
from tinyagent.core.jsonable import to_text
from tinyagent.testing import ScriptedModel, call
from tinyagent.tools.builtin.jina_reader import READER, JinaReader, jina_reader
from tinyagent.tools.http import AddressRefusedError
from tinyagent.tools.services.errors import (
    ServiceAnswerError,
    ServiceError,
    ServiceKeyError,
    ServiceLimitError,
    ServiceUnavailableError,
)

#: A guard against hanging, not a measure.
GENEROUS = 30
PAGE = "https://example.org/oslo?year=2026&x=%2F"


@pytest.fixture
async def server(monkeypatch):
    """The reader that the environment names."""
    monkeypatch.delenv("JINA_API_KEY", raising=False)
    async with SearchServer() as server:
        monkeypatch.setenv("JINA_READER_URL", server.url)
        yield server


def page(text="The text.", **fields):
    """An answer of the reader."""
    return Answer({"code": 200, "status": 20000, "data": {"url": PAGE, "title": "Oslo", "content": text, **fields}})


async def failing(server, answer, reader=jina_reader):
    """The error that comes of an answer."""
    server.answer = answer
    with pytest.raises(ServiceError) as caught:
        await reader(PAGE)
    return caught.value


# ---- what the reader is asked


async def test_the_url_follows_the_readers(server):
    found = await jina_reader(PAGE)
    assert (server.last.method, server.last.path) == ("GET", "/https://example.org/oslo")
    assert server.last.params == {"year": "2026", "x": "/"}
    assert server.last.headers["accept"] == "application/json"
    assert "authorization" not in server.last.headers
    assert found.title == "Oslo"


async def test_a_url_with_a_fragment_goes_in_the_body(server):
    found = await jina_reader("https://example.org/app#/oslo")
    assert (server.last.method, server.last.path) == ("POST", "/")
    assert server.last.body == {"url": "https://example.org/app#/oslo"}
    assert found.url == "https://example.org/app#/oslo"


async def test_a_scheme_is_added(server):
    await jina_reader(" example.org/x ")
    assert server.last.path == "/https://example.org/x"


@pytest.mark.parametrize("written", ["<{}>", '"{}"', "[Oslo]({})", "`{}`"])
@pytest.mark.parametrize("url", ["https://example.org/x", "example.org/x"])
async def test_what_stands_around_a_url_is_left_out(server, written, url):
    await jina_reader(written.format(url))
    assert server.last.path == "/https://example.org/x"


async def test_other_alphabets_are_encoded(server):
    await jina_reader("https://example.org/søk ord")
    assert server.last.path == "/https://example.org/s%C3%B8k%20ord"


async def test_the_key_of_the_environment_at_the_time_of_the_call(server, monkeypatch):
    monkeypatch.setenv("JINA_API_KEY", f" {KEY}\n")
    await jina_reader(PAGE)
    assert server.last.headers["authorization"] == f"Bearer {KEY}"
    monkeypatch.delenv("JINA_API_KEY")
    await jina_reader(PAGE)
    assert "authorization" not in server.last.headers


async def test_arguments_come_before_the_environment(server, monkeypatch):
    monkeypatch.setenv("JINA_API_KEY", BAD_KEY)
    monkeypatch.setenv("JINA_READER_URL", "http://127.0.0.1:1")
    await JinaReader(api_key=KEY, url=f"{server.url}/").jina_reader(PAGE)
    assert server.last.headers["authorization"] == f"Bearer {KEY}"
    assert server.last.path == "/https://example.org/oslo"


def test_without_any_setting_it_is_jinas(monkeypatch):
    monkeypatch.delenv("JINA_API_KEY", raising=False)
    monkeypatch.delenv("JINA_READER_URL", raising=False)
    service = READER.configured(key=None, url=None, seconds=1.0, proxy=None)
    assert (service.url, service.key, service.allow) == ("https://r.jina.ai", None, ())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:8000/x",
        "http://[::1]/",
        "http://2130706433/",
        "http://10.0.0.7/secret",
        "http://169.254.169.254/latest/meta-data",
        "http://intranet/",
        "https://wiki.internal/page",
        "https://user:secret@example.org/",
        "file:///etc/passwd",
        "ftp://example.org/",
        "https://",
        "https://exa mple.org/",
        "",
    ],
)
async def test_urls_that_must_not_be_told_are_not(server, url):
    with pytest.raises(AddressRefusedError) as caught:
        await jina_reader(url)
    assert "secret@" not in str(caught.value)
    assert server.requests == []


async def test_a_reader_of_ones_own_may_read_private_pages(server):
    await JinaReader(allow=["10.0.0.0/8"]).jina_reader("http://10.0.0.7/wiki")
    assert server.last.path == "/http://10.0.0.7/wiki"


# ---- parts


async def test_parts_of_a_long_page(server):
    whole = "\n\n".join(f"Paragraph {number} of the page." for number in range(1, 1001))
    first = await jina_reader(PAGE)
    assert (first.text, first.start, first.end, first.total) == (whole[:10_000], 0, 10_000, len(whole))
    told = f"[characters 0-10,000 of {len(whole):,}; call again with start=10000 to read on]"
    assert first.for_model() == f"# {first.title}\n{first.url}\n{told}\n\n{first.text}"
    second = await jina_reader(PAGE, start=first.end, max_chars=100_000)
    assert first.text + second.text == whole
    told = f"[characters 10,000-{len(whole):,} of {len(whole):,}; this is the end]"
    assert to_text(second) == f"# {second.title}\n{second.url}\n{told}\n\n{second.text}"


async def test_a_short_page_is_whole(server):
    server.answer = page(title=" Oslo\n city ")
    assert str(await jina_reader(PAGE)) == f"# Oslo city\n{PAGE}\n\nThe text."
    server.answer = page(title=None, url=7)
    assert str(await jina_reader(PAGE)) == f"{PAGE}\n\nThe text."


async def test_a_start_beyond_the_end(server):
    server.answer = page("x" * 1_234)
    with pytest.raises(ValueError, match=r"start=1234 is beyond the end: the page has 1,234 characters\."):
        await jina_reader(PAGE, start=1_234)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"start": -1}, "start=-1: pass a whole number from 0"),
        ({"start": True}, "start=True"),
        ({"max_chars": 0}, "max_chars=0: pass a whole number from 1 to 100000"),
        ({"max_chars": 100_001}, "max_chars=100001"),
        ({"max_chars": True}, "max_chars=True"),
    ],
)
async def test_parts_that_cannot_be(server, arguments, said):
    with pytest.raises(ValueError, match=said):
        await jina_reader(PAGE, **arguments)
    assert server.requests == []


async def test_a_warning_is_told(server):
    server.answer = page("Not here.", warning="Target URL returned\nerror 404: Not Found")
    found = await jina_reader(PAGE)
    assert found.text == "[Jina warns: Target URL returned error 404: Not Found]\n\nNot here."


# ---- failures


async def test_a_rejected_key(server, monkeypatch):
    monkeypatch.setenv("JINA_API_KEY", BAD_KEY)
    error = await failing(server, None)
    assert type(error) is ServiceKeyError
    assert str(error) == (
        "Jina answered 401: Invalid API key, please get a new one. It rejected the API key: check JINA_API_KEY "
        "(or api_key=); see https://jina.ai/reader."
    )


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (Answer({"readableMessage": "Anonymous"}, 401), ServiceKeyError, "It wants an API key: set JINA_API_KEY; see"),
        (Answer({"readableMessage": "No balance"}, 402), ServiceLimitError, "The plan or its credit is used up"),
        (Answer({"message": "Budget"}, 409), ServiceError, "409: Budget. The page is longer than the token budget"),
        (Answer({"message": "No such domain"}, 422), ServiceError, "422: No such domain. It could not open the page"),
        (Answer({"message": "Blocked"}, 451), ServiceError, "451: Blocked. It will not read this page"),
        (Answer({"message": "Later"}, 503), ServiceUnavailableError, "503: Later. It failed itself; try again later."),
        (Answer("error code: 524", 524), ServiceUnavailableError, "524: error code: 524. It failed itself"),
        (Answer(""), ServiceAnswerError, "Jina answered 200 with nothing in it"),
        (Answer("Title: Oslo", headers={"content-type": "text/plain"}), ServiceAnswerError, "is text/plain, not JSON"),
        (Answer({"data": None}), ServiceAnswerError, "The answer of Jina has no text of a page"),
        (Answer([]), ServiceAnswerError, "has no text of a page"),
        (page(7), ServiceAnswerError, "has no text of a page"),
        (page(" \n"), ServiceAnswerError, f"Jina found no text at {PAGE}. Read it with another tool."),
        (page("", warning="A captcha."), ServiceAnswerError, "found no text at https://example.org"),
        (page("x" * 2_000_001), ServiceAnswerError, "with more than 2,000,000 bytes"),
    ],
)
async def test_failures(server, answer, kind, said):
    error = await failing(server, answer)
    assert type(error) is kind
    assert said in str(error)


async def test_the_rate_limit(server):
    told = {"code": 429, "name": "RateLimitTriggeredError", "message": "Rate limit exceeded", "retryAfter": 37}
    error = await failing(server, Answer(told, 429))
    assert type(error) is ServiceLimitError
    assert error.retry_after == 37
    assert "try again in 37 s. A key of your own (JINA_API_KEY) allows more." in str(error)


async def test_a_reader_that_is_slow(server):
    error = await failing(server, Answer(wait=asyncio.Event().wait), JinaReader(seconds=0.2).jina_reader)
    assert type(error) is ServiceUnavailableError
    assert "Jina did not answer within 0.2 s" in str(error)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_key": "two words"}, "api_key: a key is text"),
        ({"url": "r.jina.ai"}, "url: 'r.jina.ai' is no base URL"),
        ({"seconds": "60"}, "seconds='60': pass a number of seconds"),
        ({"allow": ["http://x"]}, "allow="),
        ({"allow": "intranet"}, "allow="),
    ],
)
def test_wrong_settings(options, said):
    with pytest.raises(ConfigurationError) as caught:
        JinaReader(**options)
    assert said in str(caught.value)


@pytest.mark.parametrize("variable", ["JINA_READER_URL", "JINA_API_KEY"])
async def test_a_wrong_variable_is_named(server, monkeypatch, variable):
    monkeypatch.setenv(variable, "no good")
    with pytest.raises(ConfigurationError, match=f"^{variable}: "):
        await jina_reader(PAGE)


# ---- many at once, cancelled, and in agents


async def test_fifty_at_once_take_turns(server):
    async with asyncio.timeout(GENEROUS):
        found = await asyncio.gather(*(jina_reader(f"https://example.org/{number}") for number in range(50)))
    assert [each.url for each in found] == [f"https://example.org/{number}" for number in range(50)]
    assert server.most_at_once == 2


async def test_cancelled(server):
    server.answer = Answer(wait=asyncio.Event().wait)
    task = asyncio.create_task(jina_reader(PAGE))
    async with asyncio.timeout(GENEROUS):
        while not server.requests:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.answer = None
        assert (await jina_reader(PAGE)).title == "Oslo"


@pytest.fixture
async def _no_session_left():
    yield
    await no_session_left()


@pytest.mark.usefixtures("_no_session_left")
@pytest.mark.parametrize(
    "kind", [pytest.param(NATIVE, id="react"), pytest.param(WRITTEN, id="code", marks=needs_sandbox)]
)
async def test_in_an_agent(server, kind):
    model = ScriptedModel(kind.script([call("jina_reader", url=PAGE, max_chars=12), "Read."]))
    result = await kind.agent([jina_reader], model=model).run("Read the page.")
    assert result.output == "Read."
    assert result.steps[0].observations[0].value.text == "Paragraph 1 "
    (told,) = kind.told(model.requests[-1])[-1:]
    assert ("start=12 to read on" if kind is NATIVE else "'end': 12, 'total': 27891") in told


def test_it_documents_itself():
    assert (jina_reader.name, jina_reader.read_only) == ("jina_reader", True)
    for words in ("JINA_API_KEY", "JINA_READER_URL", "https://github.com/jina-ai/reader", "sent to Jina"):
        assert words in jina_reader.__doc__
    assert KEY not in repr(JinaReader(api_key=KEY))
