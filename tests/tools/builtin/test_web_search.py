"""`web_search`: what each provider is asked, how its answers are read, and what its failures say."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys
import time
import weakref

import pytest

from tests.agents.kinds import NATIVE, WRITTEN, needs_sandbox, no_session_left
from tests.tools.builtin.search_server import BAD_KEY, KEY, PAGES, Answer, SearchServer
from tinyagent import ConfigurationError
from tinyagent.core.jsonable import to_text
from tinyagent.testing import ScriptedModel, call
from tinyagent.tools.builtin.web_search import (
    SearchResult,
    SearchResults,
    ServiceAnswerError,
    ServiceError,
    ServiceKeyError,
    ServiceLimitError,
    ServiceUnavailableError,
    WebSearch,
    web_search,
)
from tinyagent.tools.services import service as service_module
from tinyagent.tools.services.choice import PROVIDERS, choose
from tinyagent.tools.services.results import make_result

VARIABLES = (
    "TINYAGENT_SEARCH",
    "TINYAGENT_SEARCH_URL",
    "TAVILY_API_KEY",
    "BRAVE_API_KEY",
    "BRAVE_SEARCH_API_KEY",
    "EXA_API_KEY",
    "SERPER_API_KEY",
    "SEARXNG_URL",
    "SEARXNG_API_BASE",
)
NAMES = list(PROVIDERS)
#: A guard against hanging, not a measure.
GENEROUS = 30


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def server():
    async with SearchServer() as server:
        yield server


def search_with(server, provider="tavily", **options):
    """The tool, asking the server as that provider."""
    return WebSearch(provider, **{"api_key": KEY, "url": server.url, **options}).web_search


async def failing(server, answer, provider="tavily", **options):
    """The error that comes of an answer."""
    server.answer = answer
    with pytest.raises(ServiceError) as caught:
        await search_with(server, provider, **options)("oslo")
    return caught.value


# ---- what each provider is asked


@pytest.mark.parametrize(
    ("provider", "auth", "sent"),
    [
        ("tavily", ("authorization", f"Bearer {KEY}"), {"query": "oslo", "max_results": 3, "search_depth": "basic"}),
        (
            "exa",
            ("x-api-key", KEY),
            {"query": "oslo", "numResults": 3, "contents": {"highlights": {"maxCharacters": 800}}},
        ),
        ("serper", ("x-api-key", KEY), {"q": "oslo", "num": 3}),
    ],
)
async def test_posts_as_documented(server, provider, auth, sent):
    found = await search_with(server, provider)("oslo", 3)
    assert (server.last.method, server.last.path, server.last.params) == ("POST", "/search", {})
    assert server.last.body == sent
    assert server.last.headers[auth[0]] == auth[1]
    assert server.last.headers["content-type"] == server.last.headers["accept"] == "application/json"
    assert [result.url for result in found] == [page.url for page in PAGES[:3]]


@pytest.mark.parametrize(
    ("provider", "path", "auth", "sent"),
    [
        (
            "brave",
            "/res/v1/web/search",
            ("x-subscription-token", KEY),
            {"q": "oslo & søk", "count": "3", "result_filter": "web", "text_decorations": "false"},
        ),
        ("searxng", "/search", ("authorization", f"Bearer {KEY}"), {"q": "oslo & søk", "format": "json"}),
    ],
)
async def test_gets_as_documented(server, provider, path, auth, sent):
    found = await search_with(server, provider)("oslo & søk", 3)
    assert (server.last.method, server.last.path, server.last.body) == ("GET", path, None)
    assert server.last.params == sent
    assert server.last.headers[auth[0]] == auth[1]
    assert [result.url for result in found] == [page.url for page in PAGES[:3]]


@pytest.mark.parametrize("recent", ["day", "week", "month", "year"])
async def test_the_age_of_pages(server, recent):
    for name in NAMES:
        await search_with(server, name)("oslo", recent=recent)
    tavily, brave, exa, serper, searxng = server.requests
    assert tavily.body["time_range"] == searxng.params["time_range"] == recent
    assert brave.params["freshness"] == f"p{recent[0]}"
    assert serper.body["tbs"] == f"qdr:{recent[0]}"
    since = time.mktime(time.strptime(exa.body["startPublishedDate"], "%Y-%m-%dT%H:%M:%S.000Z")) - time.timezone
    days = {"day": 1, "week": 7, "month": 31, "year": 365}[recent]
    assert time.time() - since == pytest.approx(days * 86_400, abs=2 * 3_600)  # an hour of summer time


@pytest.mark.parametrize(
    ("provider", "snippet", "date"),
    [
        ("tavily", "Text 1 on Oslo.", None),
        ("brave", "Text 1 on Oslo & around.", "2026-10-01"),
        ("exa", "Text 1 on Oslo. … More of it.", "2026-10-01"),
        ("serper", "Text 1 on Oslo.", "2 days ago"),
        ("searxng", "Text 1 on Oslo.", "2026-10-01"),
    ],
)
async def test_how_answers_are_read(server, provider, snippet, date):
    found = await search_with(server, provider)("oslo")
    assert (found.query, found.provider, len(found)) == ("oslo", PROVIDERS[provider].name, 5)
    assert found[0] == SearchResult("Page 1 of Oslo", "https://example.org/oslo/1", snippet, date)


@pytest.mark.parametrize("suffix", ["/", "/search", "/gateway", "/gateway/search"])
async def test_a_base_url_may_have_a_path(server, suffix):
    server.answer = Answer({"results": []})
    await search_with(server, url=server.url + suffix)("oslo")
    assert server.last.path == ("/gateway/search" if "gateway" in suffix else "/search")


async def test_white_space_in_a_query_is_one_space(server):
    found = await search_with(server)("  oslo\n weather ")
    assert server.last.body["query"] == found.query == "oslo weather"


# ---- which provider


async def test_without_anything_tavily_is_asked_without_a_key(server, monkeypatch):
    monkeypatch.setenv("TINYAGENT_SEARCH_URL", server.url)
    found = await web_search("oslo")
    assert found.provider == "Tavily"
    assert server.last.headers["x-tavily-access-mode"] == "keyless"
    assert "authorization" not in server.last.headers


async def test_the_environment_is_read_at_each_call(server, monkeypatch):
    monkeypatch.setenv("TINYAGENT_SEARCH_URL", f" {server.url} ")
    await web_search("oslo")
    monkeypatch.setenv("TAVILY_API_KEY", f"{KEY}\n")
    await web_search("oslo")
    assert server.last.headers["authorization"] == f"Bearer {KEY}"
    assert "x-tavily-access-mode" not in server.last.headers
    monkeypatch.setenv("TINYAGENT_SEARCH", "Brave")
    monkeypatch.setenv("BRAVE_API_KEY", KEY)
    assert (await web_search("oslo")).provider == "Brave"


async def test_searxng_by_its_variable(server, monkeypatch):
    monkeypatch.setenv("SEARXNG_API_BASE", server.url)
    assert (await web_search("oslo")).provider == "SearXNG"
    monkeypatch.setenv("SEARXNG_API_BASE", "http://127.0.0.1:1")
    monkeypatch.setenv("SEARXNG_URL", server.url)
    assert (await WebSearch("searxng").web_search("oslo")).provider == "SearXNG"
    assert "authorization" not in server.last.headers


def chosen_by(name=None, **options):
    """The provider and the service that are chosen."""
    settings = {"key": None, "url": None, "seconds": 1.0, "proxy": None, **options}
    provider = choose(name, **settings)
    return provider.name, provider.url, provider.key, provider.variable


def test_the_first_variable_that_is_set_decides(monkeypatch):
    expected = [
        ("SEARXNG_API_BASE", ("SearXNG", "http://searx.example", None, "")),
        ("SEARXNG_URL", ("SearXNG", "http://searx.example", None, "")),
        ("SERPER_API_KEY", ("Serper", "https://google.serper.dev", KEY, "SERPER_API_KEY")),
        ("EXA_API_KEY", ("Exa", "https://api.exa.ai", KEY, "EXA_API_KEY")),
        ("BRAVE_SEARCH_API_KEY", ("Brave", "https://api.search.brave.com", KEY, "BRAVE_SEARCH_API_KEY")),
        ("BRAVE_API_KEY", ("Brave", "https://api.search.brave.com", KEY, "BRAVE_API_KEY")),
        ("TAVILY_API_KEY", ("Tavily", "https://api.tavily.com", KEY, "TAVILY_API_KEY")),
    ]
    assert chosen_by() == ("Tavily", "https://api.tavily.com", None, "TAVILY_API_KEY")
    for variable, choice in expected:
        monkeypatch.setenv(variable, "http://searx.example" if variable.startswith("SEARX") else KEY)
        assert chosen_by() == choice
    monkeypatch.setenv("TINYAGENT_SEARCH", " EXA ")
    assert chosen_by() == ("Exa", "https://api.exa.ai", KEY, "EXA_API_KEY")
    assert chosen_by("serper", key=BAD_KEY) == ("Serper", "https://google.serper.dev", BAD_KEY, "SERPER_API_KEY")


def test_a_url_for_the_environments_provider_is_not_for_one_that_is_named(monkeypatch):
    monkeypatch.setenv("TINYAGENT_SEARCH_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("EXA_API_KEY", KEY)
    assert chosen_by()[:3] == ("Tavily", "http://127.0.0.1:9/", None)
    assert chosen_by("exa")[:2] == ("Exa", "https://api.exa.ai")
    monkeypatch.setenv("TINYAGENT_SEARCH", "exa")
    assert chosen_by()[:3] == ("Exa", "http://127.0.0.1:9/", KEY)


def test_only_a_host_that_was_named_is_opened_though_it_is_private():
    def allowed(url):
        return choose("searxng", key=None, url=url, seconds=1.0, proxy=None).allow

    assert choose("tavily", key=None, url=None, seconds=1.0, proxy=None).allow == ()
    assert allowed("http://127.0.0.1:8888/x") == ("127.0.0.1:8888", "127.0.0.1:443")
    assert allowed("http://[::1]") == ("[::1]:80", "[::1]:443")
    assert allowed("https://searx.lan") == ("searx.lan:443",)


@pytest.mark.parametrize("name", ["brave", "exa", "serper"])
async def test_a_missing_key_is_told_before_anything_is_sent(name):
    known = PROVIDERS[name]
    with pytest.raises(ServiceKeyError, match=rf"{known.name} wants an API key: set {known.variable}, or"):
        await WebSearch(name).web_search("oslo")


async def test_a_gateway_may_hold_the_key(server):
    server.answer = Answer({"results": []})
    assert len(await WebSearch("exa", url=server.url).web_search("oslo")) == 0
    assert "x-api-key" not in server.last.headers


async def test_searxng_without_a_server():
    with pytest.raises(ServiceKeyError, match="a server of your own: set SEARXNG_URL to its URL"):
        await WebSearch("searxng").web_search("oslo")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "TINYAGENT_SEARCH",
            "altavista",
            "TINYAGENT_SEARCH: there is no search provider 'altavista'. There are tavily,",
        ),
        ("TINYAGENT_SEARCH_URL", "localhost:80", "TINYAGENT_SEARCH_URL: 'localhost:80' is no base URL"),
        ("SEARXNG_URL", "ftp://x", "SEARXNG_URL: 'ftp://x' is no base URL"),
        ("EXA_API_KEY", "se cret", "EXA_API_KEY: a key is text of ASCII letters"),
    ],
)
async def test_a_wrong_variable_is_named(monkeypatch, variable, value, said):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        await web_search("oslo")
    assert str(caught.value).startswith(said)
    assert "se cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("altavista",), {}, "there is no search provider 'altavista'"),
        ((7,), {}, "WebSearch(7): pass 'tavily'"),
        ((), {"api_key": KEY}, "belong to a provider: name it"),
        ((), {"url": "http://x.example"}, "belong to a provider: name it"),
        (("exa",), {"api_key": "schlüssel"}, "api_key: a key is text"),
        (("exa",), {"api_key": ""}, "api_key: a key is text"),
        (("exa",), {"url": "http://u:secret@x.example"}, "url: a URL with a user in it is no base URL"),
        (("exa",), {"url": "http://x.example?q="}, "is no base URL"),
        (("exa",), {"url": "http://x.example:99999"}, "is no base URL"),
        (("exa",), {"url": 7}, "url: 7 is no base URL"),
        (("exa",), {"seconds": 0}, "seconds=0: pass a number of seconds"),
    ],
)
def test_wrong_settings(arguments, options, said):
    with pytest.raises(ConfigurationError) as caught:
        WebSearch(*arguments, **options)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_settings_of_a_provider_of_ones_own():
    async def mine(search):
        return []

    with pytest.raises(ConfigurationError, match="belong to a provider"):
        WebSearch(mine, api_key=KEY)


# ---- arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"query": " \n"}, "query is empty"),
        ({"query": "x" * 401}, "query has 401 characters; at most 400"),
        ({"query": "x", "max_results": 0}, "max_results=0: pass a whole number from 1 to 20"),
        ({"query": "x", "max_results": 21}, "max_results=21"),
        ({"query": "x", "max_results": True}, "max_results=True"),
        ({"query": "x", "recent": "decade"}, "recent='decade': pass one of day, week, month, year"),
    ],
)
async def test_wrong_arguments_are_told_before_anything_is_sent(server, arguments, said):
    with pytest.raises(ValueError, match=said):
        await search_with(server)(**arguments)
    assert server.requests == []


# ---- a provider of one's own


async def test_a_provider_of_ones_own():
    asked = []

    async def library(search):
        asked.append(search)
        yield_from = [
            SearchResult("A <b>book</b>", "https://books.example/1"),
            {"title": "B", "url": "https://b.example"},
        ]
        return (result for result in [*yield_from, {"title": "no address"}, None])

    found = await WebSearch(library).web_search("oslo", 2, "week")
    assert (asked[0].query, asked[0].max_results, asked[0].recent) == ("oslo", 2, "week")
    assert found.provider == "library"
    assert found.results == (SearchResult("A book", "https://books.example/1"), SearchResult("B", "https://b.example"))


class Shelf:
    """A provider with state."""

    async def __call__(self, search):
        return "a text"


async def test_a_provider_of_ones_own_that_gives_something_else():
    with pytest.raises(ServiceAnswerError, match="Shelf gave str; it is to give a list of SearchResults"):
        await WebSearch(Shelf()).web_search("oslo")


async def test_a_provider_of_ones_own_that_fails_or_hangs():
    async def fails(search):
        raise LookupError("no shelf")

    async def hangs(search):
        await asyncio.Event().wait()

    async def is_late(search):
        raise TimeoutError("its own")

    with pytest.raises(LookupError, match="no shelf"):
        await WebSearch(fails).web_search("oslo")
    with pytest.raises(TimeoutError, match="its own"):
        await WebSearch(is_late).web_search("oslo")
    with pytest.raises(ServiceUnavailableError, match=r"hangs did not answer within 0\.01 s"):
        await WebSearch(hangs, seconds=0.01).web_search("oslo")


# ---- what is found


async def test_results_are_cleaned(server):
    long = "word " * 500
    server.answer = Answer(
        {
            "results": [
                {"title": "A &amp; <strong>B</strong>", "url": " https://a.example ", "content": f"<p>{long}</p>"},
                {"title": None, "url": "https://b.example/x", "content": None, "published_date": None},
                {"title": 404, "url": "https://c.example", "content": 3.5, "published_date": 2026},
                {"title": "Again", "url": "https://a.example/", "content": "the same page"},
                {"title": "Script", "url": "javascript:alert(1)"},
                {"title": "No address", "url": None},
                {"title": "Half", "url": "https://"},
                {"title": "Broken", "url": "http://[::1"},
                {"title": "Long", "url": "https://d.example/" + "x" * 2_000},
                {"title": "Lines", "url": "https://d.example/\nx"},
                "not an object",
                {
                    "title": "C",
                    "url": "https://e.example",
                    "content": "a List<int> &lt;b&gt; Py<em>thon</em><br/>3\n\n x",
                },
                {"title": ["x"], "url": "https://f.example", "content": {"a": 1}, "published_date": "20 Nov 2026"},
            ]
        }
    )
    found = await search_with(server)("oslo", 20)
    a, b, c, e, f = found
    assert (a.title, a.url) == ("A & B", "https://a.example")
    assert a.snippet.startswith("word word")
    assert a.snippet.endswith("word …")
    assert len(a.snippet) <= 802
    assert b == SearchResult("https://b.example/x", "https://b.example/x")
    assert c == SearchResult("404", "https://c.example", "3.5", "2026")
    assert e.snippet == "a List<int> <b> Python 3 x"
    assert f == SearchResult("https://f.example", "https://f.example", "", "20 Nov 2026")


async def test_a_flood_of_results_is_not_read_to_its_end(server):
    flood = [{"title": "<a " * 6_000 + "&" * 6_000, "url": f"https://a.example/{number}"} for number in range(70)]
    server.answer = Answer({"results": [{"title": "x"}] * 59 + flood})
    found = await search_with(server)("oslo", 20)
    assert [result.url for result in found] == ["https://a.example/0"]
    assert len(found[0].title) <= 202


async def test_no_more_than_asked_for(server):
    assert len(await search_with(server, "searxng")("oslo", 7)) == 7  # it has sent 20


def test_a_field_without_spaces_is_cut_too():
    result = make_result("x" * 500, "https://a.example")
    assert result.title == "x" * 200 + " …"


def test_what_the_model_reads():
    found = SearchResults(
        "oslo",
        "Brave",
        (
            SearchResult("Oslo [city]", "https://a.example", "A city.", "2026-10-01"),
            SearchResult("B", "https://b.example"),
        ),
    )
    text = "1. [Oslo (city)](https://a.example) (2026-10-01)\n   A city.\n\n2. [B](https://b.example)"
    assert to_text(found) == str(found) == text
    assert [result.title for result in found] == ["Oslo [city]", "B"]
    assert found[1:] == (found[1],)


@pytest.mark.parametrize(
    ("provider", "data"),
    [
        ("tavily", {"results": []}),
        ("brave", {"type": "search", "query": {"original": "oslo"}}),
        ("brave", {"type": "search", "web": {"results": []}}),
        ("exa", {"results": []}),
        ("serper", {"searchParameters": {"q": "oslo"}}),
        ("searxng", {"results": [], "unresponsive_engines": []}),
    ],
)
async def test_nothing_found(server, provider, data):
    server.answer = Answer(data)
    found = await search_with(server, provider)("oslo")
    assert not found
    assert to_text(found) == f"{PROVIDERS[provider].name} found nothing for 'oslo'. Try other words, or fewer."


async def test_searxng_whose_engines_fail(server):
    silent = [["google", "timeout"], "brave"]
    error = await failing(server, Answer({"results": [], "unresponsive_engines": silent}), "searxng")
    assert type(error) is ServiceUnavailableError
    assert str(error) == "SearXNG found nothing, and some of its engines failed: google: timeout, brave."


# ---- failures


@pytest.mark.parametrize("name", ["tavily", "brave", "exa", "serper"])
async def test_a_rejected_key_names_its_variable_and_is_not_told(server, name):
    error = await failing(server, None, name, api_key=BAD_KEY)
    assert type(error) is ServiceKeyError
    variable = PROVIDERS[name].variable
    assert f"It rejected the API key: check {variable} (or api_key=); see https://" in str(error)
    assert BAD_KEY not in str(error)
    assert BAD_KEY not in repr(error.__cause__)


async def test_a_server_that_repeats_the_key(server):
    error = await failing(server, Answer({"message": f"bad key {KEY}"}, 401), "serper")
    assert "bad key ***." in str(error)
    error = await failing(server, Answer(f"oops {KEY}"), "serper")
    assert KEY not in str(error)


async def test_a_searxng_that_wants_a_password(server):
    error = await failing(server, Answer("", 401), "searxng")
    assert str(error).startswith("SearXNG answered 401: nothing. See https://docs.searxng.org/")


async def test_tavily_that_takes_no_keyless_request(server):
    error = await failing(server, Answer({"detail": {"error": "Unauthorized"}}, 401), api_key=None)
    assert type(error) is ServiceKeyError
    assert "It wants an API key: set TAVILY_API_KEY" in str(error)


@pytest.mark.parametrize(
    ("answer", "retry_after", "said"),
    [
        (
            Answer({"detail": {"error": "Too many."}}, 429, {"retry-after": "40"}),
            40,
            "Too many. The rate limit is reached: try again in 40 s.",
        ),
        (Answer("slow down", 429), None, "429: slow down. The rate limit is reached: try again later."),
        (Answer("", 429, {"retry-after": "soon"}), None, "429: nothing. The rate limit"),
        (Answer("<html>robot?", 202, {"content-type": "text/html"}), None, "202: a page of HTML. The rate limit"),
        (
            Answer({}, 429, {"x-ratelimit-reset": "1, 1419704", "x-ratelimit-remaining": "1, 0"}),
            1_419_704,
            "try again in 1419704 s",
        ),
        (Answer({}, 429, {"x-ratelimit-reset": "1, 9", "x-ratelimit-remaining": "1, 5"}), None, "try again later"),
        (Answer({}, 429, {"x-ratelimit-reset": "1, 9"}), None, "try again later"),
        (Answer({"detail": {"error": "Plan limit"}}, 432), None, "Plan limit. The plan or its credit is used up; see"),
        (Answer({"detail": {"error": "PAYG limit"}}, 433), None, "The plan or its credit is used up"),
        (Answer({"error": "No credits"}, 402), None, "402: No credits. The plan or its credit is used up"),
    ],
)
async def test_limits(server, answer, retry_after, said):
    error = await failing(server, answer)
    assert type(error) is ServiceLimitError
    assert (error.status, error.retry_after) == (answer.status, retry_after)
    assert said in str(error)
    assert "A key of your own" not in str(error)
    assert len(server.requests) == 1
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.status, copy.retry_after) == (str(error), error.status, error.retry_after)


async def test_the_limit_of_the_keyless_mode(server):
    envelope = {
        "error": {
            "code": "keyless_rate_limited",
            "message": "Keyless limit reached.",
            "window": "hour",
            "retry_after_seconds": 1800,
            "next_actions": ["get a key"],
        }
    }
    error = await failing(server, Answer(envelope, 429), api_key=None)
    assert error.retry_after == 1800
    assert str(error) == (
        "Tavily answered 429: Keyless limit reached. The rate limit is reached: try again in 1800 s. "
        "A key of your own (TAVILY_API_KEY) allows more."
    )


async def test_a_short_wait_is_taken_once(server):
    limit = Answer({}, 429, {"retry-after": "0"})
    server.answer = [limit, Answer({"results": [{"title": "A", "url": "https://a.example"}]})]
    assert len(await search_with(server)("oslo")) == 1
    assert len(server.requests) == 2
    error = await failing(server, [limit, limit])
    assert (type(error), error.retry_after) == (ServiceLimitError, 0)


async def test_brave_tells_its_wait_in_headers_of_its_own(server):
    limit = Answer({}, 429, {"x-ratelimit-reset": "0.01, 1419704", "x-ratelimit-remaining": "0, 14000"})
    server.answer = [limit, Answer({"web": {"results": []}})]
    assert not await search_with(server, "brave")("oslo")
    assert len(server.requests) == 2


async def test_no_wait_beyond_the_time_there_is(server):
    await failing(server, Answer({}, 429, {"retry-after": "2"}), seconds=1.0)
    assert len(server.requests) == 1


async def test_searxng_without_json(server):
    error = await failing(server, Answer("<html>", 403, {"content-type": "text/html"}), "searxng")
    assert str(error) == (
        "SearXNG answered 403: a page of HTML. It does so unless its settings.yml has json among the search.formats: "
        "[html, json]."
    )


@pytest.mark.parametrize("status", [500, 502, 503, 408])
async def test_a_server_that_fails(server, status):
    error = await failing(server, Answer("<html><h1>Oops", status, {"content-type": "text/html"}))
    assert type(error) is ServiceUnavailableError
    assert str(error) == f"Tavily answered {status}: a page of HTML. It failed itself; try again later."
    assert error.status == status


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer({"detail": [{"loc": ["q"], "msg": "field required"}]}, 400), "400: q: field required. See https://"),
        (Answer({"error": {"detail": {"x": 1}}}, 422), "422: nothing. See https://"),
        (Answer("[" * 9_000, 400), "400: [[["),
        (Answer({"detail": "Not Found"}, 404), "404: Not Found. Is http://127.0.0.1"),
        (Answer("", 304), "304: nothing. Is http://127.0.0.1"),
    ],
)
async def test_other_failures(server, answer, said):
    error = await failing(server, answer)
    assert type(error) is ServiceError
    assert said in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(""), "Tavily answered 200 with nothing in it. Try again; else see https://"),
        (Answer(" \n", 204), "answered 204 with nothing in it"),
        (
            Answer("<html>Log in", headers={"content-type": "text/html; charset=utf-8"}),
            "is a page of HTML, not JSON; it begins: '<html>Log in'",
        ),
        (Answer(b"\xff\xfe\x00", headers={"content-type": ""}), "is something, not JSON"),
        (Answer("[" * 100_000), "is application/json, not JSON"),
        (Answer("x" * 2_000_001), "with more than 2,000,000 bytes"),
        (Answer({"results": None}), "has no list of results. Is http://127.0.0.1"),
        (Answer({"results": "many"}), "has no list of results"),
        (Answer({"result": []}), "has no list of results"),
        (Answer([1, 2]), "has no list of results"),
        (Answer("null"), "has no list of results"),
        (Answer({"results": [{"title": "x"}, None, 7]}), "has results, but none with an address"),
    ],
)
async def test_answers_that_cannot_be_read(server, answer, said):
    error = await failing(server, answer)
    assert type(error) is ServiceAnswerError
    assert said in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("provider", "data"),
    [
        ("brave", {"type": "search", "web": {"results": None}}),
        ("brave", {"type": "search", "web": []}),
        ("brave", {}),
        ("exa", {"results": 3}),
        ("serper", {"organic": None}),
        ("serper", {"searchParameters": {}, "organic": {}}),
        ("searxng", {"results": None}),
    ],
)
async def test_wrong_shapes_of_each_provider(server, provider, data):
    error = await failing(server, Answer(data), provider)
    assert type(error) is ServiceAnswerError
    assert f"The answer of {PROVIDERS[provider].name} has no list of results" in str(error)


async def test_an_answer_that_breaks_off(server):
    error = await failing(server, Answer({"results": ["x" * 100]}, cut=True))
    assert type(error) is ServiceUnavailableError
    assert str(error).startswith("Tavily cannot be reached. 127.0.0.1 sent a broken answer")


async def test_a_server_that_does_not_answer(server):
    error = await failing(server, Answer(wait=asyncio.Event().wait), seconds=0.2)
    assert type(error) is ServiceUnavailableError
    assert str(error) == "Tavily did not answer within 0.2 s. Try again later, or allow it more: seconds=."


async def test_a_server_that_is_not_there():
    async with SearchServer() as gone:
        pass
    error = await failing(gone, None)
    assert type(error) is ServiceUnavailableError
    assert str(error).startswith("Tavily cannot be reached. ")


async def test_a_redirect_into_the_network_is_not_followed(server):
    async with SearchServer() as other:
        error = await failing(server, Answer("", 307, {"location": f"{other.url}/search"}))
        assert type(error) is ServiceUnavailableError
        assert other.requests == []


# ---- many at once, and cancelled


async def test_fifty_at_once_take_turns(server):
    search = search_with(server)
    async with asyncio.timeout(GENEROUS):
        found = await asyncio.gather(*(search(f"oslo {number}") for number in range(50)))
    assert [results.query for results in found] == [f"oslo {number}" for number in range(50)]
    assert server.most_at_once == service_module.AT_ONCE


async def test_waiting_for_others_is_not_the_searchs_time(server):
    release = asyncio.Event()
    server.answer = lambda request: Answer({"results": []}, wait=release.wait)
    search = search_with(server, seconds=GENEROUS)
    first = [asyncio.create_task(search("oslo")) for _ in range(service_module.AT_ONCE)]
    while len(server.requests) < service_module.AT_ONCE:
        await asyncio.sleep(0)
    late = asyncio.create_task(search_with(server, seconds=1.0)("late"))
    await asyncio.sleep(1.2)
    release.set()
    async with asyncio.timeout(GENEROUS):
        assert not await late
        await asyncio.gather(*first)


async def test_cancelled_at_once_and_the_next_one_gets_its_turn(server):
    server.answer = Answer(wait=asyncio.Event().wait)
    search = search_with(server)
    tasks = [asyncio.create_task(search("oslo")) for _ in range(5)]
    async with asyncio.timeout(GENEROUS):
        while len(server.requests) < service_module.AT_ONCE:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        server.answer = None
        assert len(await search("oslo")) == 5


def test_nothing_is_kept_for_a_loop_that_has_ended():
    loops = []

    async def use():
        loops.append(weakref.ref(asyncio.get_running_loop()))
        async with SearchServer() as server:
            await asyncio.gather(*(search_with(server)("oslo") for _ in range(5)))

    for _ in range(2):
        asyncio.run(use())
    gc.collect()
    assert [loop() for loop in loops] == [None, None]


# ---- in an agent


@pytest.fixture
async def _no_session_left():
    yield
    await no_session_left()


@pytest.mark.usefixtures("_no_session_left")
@pytest.mark.parametrize(
    "kind", [pytest.param(NATIVE, id="react"), pytest.param(WRITTEN, id="code", marks=needs_sandbox)]
)
async def test_in_an_agent(server, monkeypatch, kind):
    monkeypatch.setenv("TINYAGENT_SEARCH_URL", server.url)
    model = ScriptedModel(
        kind.script([call("web_search", query="oslo", max_results=2), "See https://example.org/oslo/1"])
    )
    agent = kind.agent([web_search], model=model)
    result = await agent.run("Find Oslo.")
    assert result.output == "See https://example.org/oslo/1"
    assert len(server.requests) == 1
    (observation,) = result.steps[0].observations
    assert isinstance(observation.value, SearchResults)
    assert "https://example.org/oslo/2" in kind.told(model.requests[-1])[0]


async def test_the_text_the_model_of_a_react_agent_reads(server):
    model = ScriptedModel([call("web_search", query="oslo", max_results=1), "Done."])
    agent = NATIVE.agent([WebSearch("brave", api_key=KEY, url=server.url)], model=model)
    await agent.run("Find Oslo.")
    assert NATIVE.told(model.requests[-1]) == [
        "1. [Page 1 of Oslo](https://example.org/oslo/1) (2026-10-01)\n   Text 1 on Oslo & around."
    ]


async def test_a_failure_is_told_to_the_model(server):
    server.answer = Answer({}, 429, {"retry-after": "60"})
    model = ScriptedModel([call("web_search", query="oslo"), "I could not search."])
    result = await NATIVE.agent([WebSearch("exa", api_key=KEY, url=server.url)], model=model).run("Find Oslo.")
    assert result.output == "I could not search."
    (told,) = NATIVE.told(model.requests[-1])
    assert "ServiceLimitError: Exa answered 429: nothing. The rate limit is reached: try again in 60 s." in told


def test_the_tool_changes_nothing_and_documents_itself():
    assert web_search.name == "web_search"
    assert web_search.read_only
    documentation = f"{web_search.__doc__}{WebSearch.__doc__}"
    for words in (*VARIABLES, "https://docs.tavily.com/documentation/keyless", "queries go to Tavily"):
        assert words in documentation
    assert KEY not in repr(WebSearch("exa", api_key=KEY))


def test_importing_it_imports_no_client():
    code = "import sys, tinyagent.tools.builtin.web_search; print({'httpx', 'openai', 'anyio'} & set(sys.modules))"
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
