"""The search providers: for each, the request it wants and where the results are in its answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tinyagent.tools.services.errors import ServiceUnavailableError
from tinyagent.tools.services.results import SNIPPET, SearchResult, make_result
from tinyagent.tools.services.service import Service

#: How old a page may be.
Recent: TypeAlias = Literal["day", "week", "month", "year"]
#: The days of each age in `Recent`.
AGES: Mapping[str, int] = {"day": 1, "week": 7, "month": 31, "year": 365}
#: Results of an answer that are looked at, whatever was asked for; SearXNG sends about 20.
LOOKED_AT = 60


@dataclass(frozen=True, slots=True)
class Search:
    """What a provider is asked for.

    Attributes:
        query: The words.
        max_results: How many results are wanted, 1 to 20.
        recent: How old the pages may be; `None` is any age.
    """

    query: str
    max_results: int = 5
    recent: Recent | None = None


async def tavily(service: Service, search: Search) -> list[SearchResult]:
    """Search with Tavily, without a key in its keyless mode.

    https://docs.tavily.com/documentation/api-reference/endpoint/search, https://docs.tavily.com/documentation/keyless
    """
    mode = None if service.key else {"X-Tavily-Access-Mode": "keyless"}
    body = {"query": search.query, "max_results": search.max_results, "search_depth": "basic"}
    if search.recent:
        body["time_range"] = search.recent
    data = await service.ask("POST", "/search", headers=mode, json=body)
    return _results(service, _at(data, "results"), snippet="content", date="published_date")


async def brave(service: Service, search: Search) -> list[SearchResult]:
    """Search with Brave. An answer without `web` has found nothing.

    https://api-dashboard.search.brave.com/api-reference/web/search/get
    """
    params = {"q": search.query, "count": str(search.max_results), "result_filter": "web", "text_decorations": "false"}
    if search.recent:
        params["freshness"] = f"p{search.recent[0]}"
    data = await service.ask("GET", "/res/v1/web/search", params=params)
    found = [] if _at(data, "type") == "search" and _at(data, "web") is None else _at(data, "web", "results")
    return _results(service, found, snippet="description", date="page_age")


async def exa(service: Service, search: Search) -> list[SearchResult]:
    """Search with Exa; snippets are the highlights of a page.

    https://exa.ai/docs/reference/search
    """
    body: dict[str, Any] = {
        "query": search.query,
        "numResults": search.max_results,
        "contents": {"highlights": {"maxCharacters": SNIPPET}},
    }
    if search.recent:
        since = time.gmtime(time.time() - AGES[search.recent] * 86_400)
        body["startPublishedDate"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", since)
    data = await service.ask("POST", "/search", json=body)
    return _results(service, _at(data, "results"), snippet="highlights", date="publishedDate")


async def serper(service: Service, search: Search) -> list[SearchResult]:
    """Search with Serper, which asks Google. An answer without `organic` has found nothing.

    https://serper.dev/playground
    """
    body: dict[str, Any] = {"q": search.query, "num": search.max_results}
    if search.recent:
        body["tbs"] = f"qdr:{search.recent[0]}"
    data = await service.ask("POST", "/search", json=body)
    found = [] if _at(data, "searchParameters") and _at(data, "organic") is None else _at(data, "organic")
    return _results(service, found, url="link", snippet="snippet", date="date")


async def searxng(service: Service, search: Search) -> list[SearchResult]:
    """Search with SearXNG, a server of one's own.

    https://docs.searxng.org/dev/search_api.html

    Raises:
        ServiceUnavailableError: Nothing was found, and some of its engines did not answer; the text names them.
    """
    params = {"q": search.query, "format": "json"}
    if search.recent:
        params["time_range"] = search.recent
    data = await service.ask("GET", "/search", params=params)
    results = _results(service, _at(data, "results"), snippet="content", date="publishedDate")
    silent = _at(data, "unresponsive_engines")
    if not results and isinstance(silent, list) and silent:
        engines = ", ".join(
            ": ".join(map(str, engine)) if isinstance(engine, list) else str(engine) for engine in silent
        )
        raise ServiceUnavailableError(f"{service.name} found nothing, and some of its engines failed: {engines[:300]}.")
    return results


def _at(data: object, *path: str) -> Any:
    """Return the value at a path of names in nested objects; `None` where a name is missing."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _results(
    service: Service, found: object, *, title: str = "title", url: str = "url", snippet: str, date: str
) -> list[SearchResult]:
    """Return the usable results of a list.

    Raises:
        ServiceAnswerError: `found` is no list, or none of its results has an address.
    """
    if not isinstance(found, list):
        raise service.wrong_shape("has no list of results")
    results = []
    for item in found[:LOOKED_AT]:
        fields = item if isinstance(item, dict) else {}
        text = fields.get(snippet)
        if isinstance(text, list):
            text = " … ".join(part for part in text if isinstance(part, str))
        if result := make_result(fields.get(title), fields.get(url), text, fields.get(date)):
            results.append(result)
    if found and not results:
        raise service.wrong_shape("has results, but none with an address")
    return results
