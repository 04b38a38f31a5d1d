"""The choice of the search provider: by arguments, or by the environment as it is at the time of the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tinyagent.core.errors import ConfigurationError
from tinyagent.tools.services.errors import ServiceKeyError
from tinyagent.tools.services.providers import Search, brave, exa, searxng, serper, tavily
from tinyagent.tools.services.results import SearchResult
from tinyagent.tools.services.service import Service, first_set
from tinyagent.tools.settings import check_base_url


@dataclass(frozen=True, slots=True)
class Known(Service):
    """A search provider that tinyagent can ask.

    Attributes:
        search: The function that asks it.
    """

    search: Callable[[Service, Search], Awaitable[list[SearchResult]]] = field(kw_only=True)


#: The providers by their names in `WebSearch(...)` and TINYAGENT_SEARCH; their variables are looked for in this order.
PROVIDERS: Mapping[str, Known] = {
    "tavily": Known(
        "Tavily", "https://api.tavily.com", "https://app.tavily.com", ("TAVILY_API_KEY",), keyless=True, search=tavily
    ),
    "brave": Known(
        "Brave",
        "https://api.search.brave.com",
        "https://api-dashboard.search.brave.com",
        ("BRAVE_API_KEY", "BRAVE_SEARCH_API_KEY"),
        "X-Subscription-Token",
        search=brave,
    ),
    "exa": Known("Exa", "https://api.exa.ai", "https://dashboard.exa.ai", ("EXA_API_KEY",), "X-API-Key", search=exa),
    "serper": Known(
        "Serper", "https://google.serper.dev", "https://serper.dev", ("SERPER_API_KEY",), "X-API-Key", search=serper
    ),
    "searxng": Known(
        "SearXNG",
        "",
        "https://docs.searxng.org/admin/settings/settings_search.html",
        url_variables=("SEARXNG_URL", "SEARXNG_API_BASE"),
        hints={403: "It does so unless its settings.yml has json among the search.formats: [html, json]."},
        keyless=True,
        search=searxng,
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


def choose(name: str | None, *, key: str | None, url: str | None, seconds: float, proxy: str | None) -> Known:
    """Return the provider to ask, with its settings.

    Raises:
        ConfigurationError: A variable of the environment is wrong.
        ServiceKeyError: The provider needs a key, or a URL, that is not set.
    """
    if name is None:
        name, url = _by_environment()
    known = PROVIDERS[name]
    provider = known.configured(key=key, url=url, seconds=seconds, proxy=proxy)
    if not provider.url:
        raise ServiceKeyError(
            f"{known.name} runs on a server of your own: set {known.url_variables[0]} to its URL, or pass "
            f"WebSearch({name!r}, url=...). See {known.documents}."
        )
    if not (provider.key or provider.keyless or provider.allow):  # a gateway of one's own may hold the key
        raise ServiceKeyError(
            f"{known.name} wants an API key: set {known.variable}, or pass WebSearch({name!r}, api_key=...). "
            f"There are keys at {known.documents}."
        )
    return provider


def _by_environment() -> tuple[str, str | None]:
    """Return the name of the provider that the environment names, and the URL of its API if that is set too."""
    _, url = first_set(("TINYAGENT_SEARCH_URL",))
    base = check_base_url("TINYAGENT_SEARCH_URL", url) if url else None
    if named := first_set(("TINYAGENT_SEARCH",))[1]:
        return check_name("TINYAGENT_SEARCH", named), base
    if base:
        return "tavily", base
    variables = ((name, known.key_variables or known.url_variables) for name, known in PROVIDERS.items())
    return next((name for name, names in variables if first_set(names)[1]), "tavily"), None
