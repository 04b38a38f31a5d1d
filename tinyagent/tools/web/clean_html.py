"""The part of a page that is worth reading, as plain HTML for another converter.

What is left out, what is hidden and where elements end is decided as for our own converter, so that the other one finds
no script, no hidden text, no relative link, and nothing unclosed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tinyagent.tools.web.areas import CHROME, FORM, best_part
from tinyagent.tools.web.elements import BLOCK, HEADINGS, Finish, names
from tinyagent.tools.web.handlers import LONGEST_ALTERNATIVE, language_of, number_of
from tinyagent.tools.web.head import LONGEST_TITLE, Head
from tinyagent.tools.web.tables import COLUMNS
from tinyagent.tools.web.walker import Walker
from tinyagent.tools.web.writer import PERMALINKS

#: Elements that are handed on; other blocks become `<div>`, other elements are left out around their text.
_HANDED_ON = names(
    "b blockquote caption cite code dd del dfn dl dt em i kbd li ol p q s samp strike strong sub sup table tbody td "
    "tfoot th thead tr tt ul"
).union(HEADINGS)
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_WITH_NUMBERS = frozenset({"td", "th", "ol"})
#: The tags that are written for an element.
_TAGS = dict.fromkeys(BLOCK, ("<div>", "</div>")) | {tag: (f"<{tag}>", f"</{tag}>") for tag in _HANDED_ON}


def clean_html(page: str, url: str) -> tuple[str, str]:
    """The title of a page, and the HTML of its best part.

    Args:
        page: HTML.
        url: Where it came from.
    """
    cleaner = _Cleaner(url)
    Walker(cleaner).walk(page)
    pieces = cleaner.pieces
    weights: dict[int, int] = {}
    for area, weight, _ in pieces:
        weights[area] = weights.get(area, 0) + weight
    keep = best_part(weights.items())
    kept = {area for area in weights if keep(area)}
    return cleaner.title, "".join([html for area, _, html in pieces if area in kept])


class _Cleaner:
    """Writes the elements of a page again: pieces of HTML, each with its area and the characters a reader sees."""

    def __init__(self, url: str) -> None:
        self.head = Head(url)
        self.area = 0
        self.pieces: list[tuple[int, int, str]] = []
        self._headings: list[str] = []
        self._first_heading: list[str] = []
        self._has_heading = False
        self._quotations = 0
        self._languages: list[str] = []
        self._in_permalink = False
        #: Where the start tag of the open block of code is; -1 outside.
        self._code_at = -1

    @property
    def title(self) -> str:
        """What the head says, else the first heading."""
        return self.head.title or " ".join("".join(self._first_heading).split())[:LONGEST_TITLE]

    @property
    def in_heading(self) -> bool:
        """Whether a heading is open."""
        return bool(self._headings)

    @property
    def in_quotation(self) -> bool:
        """Whether a block quotation is open."""
        return self._quotations > 0

    def end_paragraph(self) -> None:
        """Blocks tell by themselves where a line ends, but not within a block of code."""
        if self._code_at >= 0 and not self.pieces[-1][2].endswith(("\n", ">")):
            self._add("\n")

    def text(self, data: str) -> None:
        """Text, between the tags."""
        if self.head.reading and self.head.takes(data):
            return
        seen = data.strip()
        if self._in_permalink and seen in PERMALINKS:
            return
        if self._headings and self._headings == ["h1"] and not self._has_heading and not self.area & (CHROME | FORM):
            self._first_heading.append(data[:LONGEST_TITLE])
        if "&" in data or "<" in data or ">" in data:
            data = data.translate(_ESCAPED)
        self.pieces.append((self.area, len(seen), data))

    def void(self, tag: str, attributes: Mapping[str, str]) -> None:
        """A line break, a rule, the words for an image."""
        if tag == "br" and self._code_at >= 0:
            self._add("\n")
        elif tag in {"br", "hr"}:
            self._add(f"<{tag}>")
        elif tag == "img":
            if alternative := " ".join(attributes.get("alt", "")[:LONGEST_ALTERNATIVE].split()):
                self._add(f"![{alternative}]".translate(_ESCAPED), len(alternative))
        elif tag == "input":
            if attributes.get("type", "").lower() == "checkbox":
                self._add("[x] " if "checked" in attributes else "[ ] ")
        else:
            self.head.void(tag, attributes)

    def begin(self, tag: str, attributes: Mapping[str, str]) -> Finish | None:
        """Write a start tag. The end tag will belong to the same part of the page."""
        if tag == "title":
            return self.head.begin_title()
        if self._code_at >= 0:
            if tag == "code" and (language := language_of(attributes)):
                self.pieces[self._code_at] = (*self.pieces[self._code_at][:2], _code_tag(language))
            return None
        if tag in {"pre", "listing", "xmp"}:
            return self._begin_code(attributes)
        if tag == "a":
            return self._begin_link(attributes)
        opening, closing = _TAGS.get(tag, ("", ""))
        if attributes and tag in _WITH_NUMBERS:
            opening = _numbered(tag, attributes) or opening
        language = language_of(attributes) if attributes and tag in {"div", "figure"} else ""
        if language or tag in HEADINGS or tag == "blockquote":
            return self._enter(tag, language, opening, closing)
        if not opening:
            return None
        self.pieces.append((self.area, 0, opening))
        return partial(self.pieces.append, (self.area, 0, closing))

    def _enter(self, tag: str, language: str, opening: str, closing: str) -> Finish:
        area, is_heading, is_quotation = self.area, tag in HEADINGS, tag == "blockquote"

        def finish() -> None:
            self.pieces.append((area, 0, closing))
            self._quotations -= is_quotation
            if is_heading:
                self._headings.pop()
                self._has_heading = bool(self._first_heading)
            if language:
                self._languages.pop()

        self._add(opening)
        self._quotations += is_quotation
        if is_heading:
            self._headings.append(tag)
        if language:
            self._languages.append(language)
        return finish

    def _begin_link(self, attributes: Mapping[str, str]) -> Finish:
        target = attributes.get("href", "")
        permalink = target.lstrip().startswith("#")
        href = "" if permalink else self.head.links.absolute(target)
        area, closing = self.area, "</a>" if href else ""

        def finish() -> None:
            self._in_permalink = False
            self.pieces.append((area, 0, closing))

        self._in_permalink = permalink
        self._add('<a href="{}">'.format(href.translate(_ESCAPED).replace('"', "&quot;")) if href else "")
        return finish

    def _begin_code(self, attributes: Mapping[str, str]) -> Finish:
        language = language_of(attributes) or (self._languages[-1] if self._languages else "")
        area = self.area

        def finish() -> None:
            if self.pieces[-1][2] == "\n":
                self.pieces.pop()
            self.pieces.append((area, 0, "</code></pre>"))
            self._code_at = -1

        self._code_at = len(self.pieces)
        self._add(_code_tag(language))
        return finish

    def _add(self, html: str, weight: int = 0) -> None:
        self.pieces.append((self.area, weight, html))


def _numbered(tag: str, attributes: Mapping[str, str]) -> str:
    """The start tag of a cell that spans columns, or of a list that does not start with 1."""
    if tag != "ol" and (span := number_of(attributes.get("colspan"), 1)) > 1:
        return f'<{tag} colspan="{min(span, COLUMNS)}">'
    if tag == "ol" and (start := number_of(attributes.get("start"), 1)) != 1:
        return f'<ol start="{start}">'
    return ""


def _code_tag(language: str) -> str:
    """The start of a block of code, as the HTML standard suggests to tell its language."""
    named = f' class="language-{language}"'.translate(_ESCAPED) if language else ""
    return f"<pre><code{named}>"
