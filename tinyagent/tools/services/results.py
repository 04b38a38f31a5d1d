"""What a search found: as objects for code, and as text for a model."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import overload

#: Characters of a title, of a snippet and of a date that are kept.
TITLE, SNIPPET, DATE = 200, 800, 40
#: Characters of the longest URL that is kept.
LONGEST_URL = 2_000
#: Characters of a field that are looked at.
_LOOKED_AT = 5_000
#: The tags by which providers format snippets; other text in angle brackets is code and stays.
_STYLE = re.compile(
    r"</?(?:a|b|code|em|font|i|mark|small|span|strong|sub|sup|u|wbr)(?:\s[^<>]{0,300})?>", re.IGNORECASE
)
_BREAK = re.compile(r"</?(?:br|div|li|ol|p|ul)(?:\s[^<>]{0,300})?/?>", re.IGNORECASE)
#: A host, or an IP address of version 6, and whatever follows.
_ADDRESS = re.compile(r"https?://(?:\[[\da-f:.]+\]|[^\s/?#\[])\S*", re.IGNORECASE)
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?=[T ]|$)")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page that a search found.

    Attributes:
        title: The page's title; its URL when it has none.
        url: The page's address.
        snippet: Some of the page's text, as the provider chose it; may be empty.
        date: When the page was published, as the provider tells it: `2026-11-20`, or words such as `2 days ago`.
    """

    title: str
    url: str
    snippet: str = ""
    date: str | None = None


_FIELDS = ("title", "url", "snippet", "date")


@dataclass(frozen=True, slots=True)
class SearchResults:
    """The pages that a search found, best first; a sequence of `SearchResult`.

    Attributes:
        query: What was searched for.
        provider: The name of the provider that searched.
        results: The pages.
    """

    query: str
    provider: str
    results: tuple[SearchResult, ...] = ()

    def __iter__(self) -> Iterator[SearchResult]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    @overload
    def __getitem__(self, index: int) -> SearchResult: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[SearchResult, ...]: ...

    def __getitem__(self, index: int | slice) -> SearchResult | tuple[SearchResult, ...]:
        return self.results[index]

    def for_model(self) -> str:
        """Return a numbered list in markdown: linked titles, each with its date and snippet."""
        if not self.results:
            return f"{self.provider} found nothing for {self.query!r}. Try other words, or fewer."
        return "\n\n".join(_entry(number, result) for number, result in enumerate(self.results, 1))

    __str__ = for_model


def _entry(number: int, result: SearchResult) -> str:
    title = result.title.replace("[", "(").replace("]", ")")  # they would end the link's text
    head = f"{number}. [{title}]({result.url})" + (f" ({result.date})" if result.date else "")
    return f"{head}\n   {result.snippet}" if result.snippet else head


def make_result(title: object, url: object, snippet: object = "", date: object = None) -> SearchResult | None:
    """Return a result from what a provider sends, whatever that may be; `None` without a web address."""
    address = _address(url)
    if address is None:
        return None
    return SearchResult(_clean(title, TITLE) or address, address, _clean(snippet, SNIPPET), _date(date))


def from_user(value: object) -> SearchResult | None:
    """Return a user's own `SearchResult`, or mapping with its fields, as a clean result; `None` if it cannot be one."""
    fields = asdict(value) if isinstance(value, SearchResult) else value
    return make_result(*map(fields.get, _FIELDS)) if isinstance(fields, Mapping) else None


def chosen(found: Iterable[SearchResult], longest: int) -> tuple[SearchResult, ...]:
    """Return the first `longest` results, each address once."""
    by_url: dict[str, SearchResult] = {}
    for result in found:
        by_url.setdefault(result.url.rstrip("/"), result)
    return tuple(by_url.values())[:longest]


def _address(url: object) -> str | None:
    text = url.strip() if isinstance(url, str) and len(url) <= LONGEST_URL else ""
    return text if _ADDRESS.fullmatch(text) and text.isprintable() else None


def _clean(value: object, longest: int) -> str:
    """Return a value's text on one line, without markup, and cut after a word."""
    if value is None or isinstance(value, bool | dict | list):
        return ""
    marked = _BREAK.sub(" ", str(value)[:_LOOKED_AT])
    text = " ".join(html.unescape(_STYLE.sub("", marked)).split())
    if len(text) <= longest:
        return text
    cut = text[:longest]
    return (cut.rpartition(" ")[0] or cut) + " …"


def _date(value: object) -> str | None:
    text = _clean(value, DATE)
    found = _ISO_DATE.match(text)
    return (found[0] if found else text) or None
