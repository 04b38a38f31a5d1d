"""The choice of the search provider: by arguments, or by the environment as it is at the time of the call."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tinyagent.core.errors import ConfigurationError
from tinyagent.tools.services.errors import ServiceKeyError
from tinyagent.tools.services.providers import Search, brave, exa, searxng, serper, tavily
from tinyagent.tools.services.results import SearchResult
from tinyagent.tools.services.service import Service
from tinyagent.tools.services.settings import check_base_url, check_key, hosts_of


@dataclass(frozen=True, slots=True)
class Known:
    """A search provider that tinyagent can ask.

    Attributes:
        name: The provider's name in texts.
        url: The base URL of its API; empty for one that its users run themselves.
        search: The function that asks it.
        variables: The environment variables of its key; of its URL, where its users run it themselves.
        documents: The URL at which its key, or its settings, are explained.
        hints: By HTTP status: what to do about it, where it means something of its own here.
        keyless: Whether it works without a key.
    """

    name: str
    url: str
    search: Callable[[Service, Search], Awaitable[list[SearchResult]]]
    variables: tuple[str, ...]
    documents: str
    hints: Mapping[int, str] = field(default_factory=dict)
    keyless: bool = False


#: The providers by their names in `WebSearch(...)` and TINYAGENT_SEARCH; their variables are looked for in this order.
PROVIDERS: Mapping[str, Known] = {
    "tavily": Known(
        "Tavily", "https://api.tavily.com", tavily, ("TAVILY_API_KEY",), "https://app.tavily.com", keyless=True
    ),
    "brave": Known(
        "Brave",
        "https://api.search.brave.com",
        brave,
        ("BRAVE_API_KEY", "BRAVE_SEARCH_API_KEY"),
        "https://api-dashboard.search.brave.com",
    ),
    "exa": Known("Exa", "https://api.exa.ai", exa, ("EXA_API_KEY",), "https://dashboard.exa.ai"),
    "serper": Known("Serper", "https://google.serper.dev", serper, ("SERPER_API_KEY",), "https://serper.dev"),
    "searxng": Known(
        "SearXNG",
        "",
        searxng,
        ("SEARXNG_URL", "SEARXNG_API_BASE"),
        "https://docs.searxng.org/admin/settings/settings_search.html",
        {403: "It does so unless its settings.yml has json among the search.formats: [html, json]."},
        keyless=True,
    ),
}


def check_name(where: str, name: str) -> str:
    """Return the name of a provider as it stands in `PROVIDERS`.

    Args:
        where: The option or variable that the error names.
        name: The name as it was given.

    Raises:
        ConfigurationError: There is no provider of that name; the text lists them.
    """
    known = name.strip().lower()
    if known not in PROVIDERS:
        raise ConfigurationError(f"{where}: there is no search provider {name!r}. There are {', '.join(PROVIDERS)}.")
    return known


def choose(
    name: str | None, *, key: str | None, url: str | None, seconds: float, proxy: str | None
) -> tuple[Known, Service]:
    """Return the provider to ask, and the service by which it is asked.

    Raises:
        ConfigurationError: A variable of the environment is wrong.
        ServiceKeyError: The provider needs a key, or a URL, that is not set.
    """
    if name is None:
        name, url = _by_environment()
    known = PROVIDERS[name]
    variable, value = _first_set(known.variables)
    if known.url:
        key = key or (check_key(variable, value) if value else None)
    elif url is None and value:
        url = check_base_url(variable, value)
    if url is None and not known.url:
        raise ServiceKeyError(
            f"{known.name} runs on a server of your own: set {variable} to its URL, or pass "
            f"WebSearch({name!r}, url=...). See {known.documents}."
        )
    if not (key or url or known.keyless):
        raise ServiceKeyError(
            f"{known.name} wants an API key: set {variable}, or pass WebSearch({name!r}, api_key=...). "
            f"There are keys at {known.documents}."
        )
    return known, Service(
        name=known.name,
        url=url or known.url,
        documents=known.documents,
        key=key,
        variable=variable if known.url else "",
        allow=hosts_of(url) if url else (),
        proxy=proxy,
        seconds=seconds,
        hints=known.hints,
    )


def _by_environment() -> tuple[str, str | None]:
    """Return the name of the provider that the environment names, and the URL of its API if that is set too."""
    _, url = _first_set(("TINYAGENT_SEARCH_URL",))
    url = check_base_url("TINYAGENT_SEARCH_URL", url) if url else None
    if named := _first_set(("TINYAGENT_SEARCH",))[1]:
        return check_name("TINYAGENT_SEARCH", named), url
    if url:
        return "tavily", url
    return next((name for name, known in PROVIDERS.items() if _first_set(known.variables)[1]), "tavily"), None


def _first_set(variables: Iterable[str]) -> tuple[str, str | None]:
    """Return the first variable that is set, and its value; else the first of all variables, and `None`."""
    names = tuple(variables)
    return next(((name, value) for name in names if (value := os.environ.get(name, "").strip())), (names[0], None))
