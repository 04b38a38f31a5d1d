"""The part of a page that is worth reading, as plain HTML for another converter.

What is left out, what is hidden and where elements end is decided as for our own converter, so that the other converter
finds no script, no hidden text, no relative link, and nothing unclosed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from tinyagent.tools.web.areas import CHROME, FORM, best_part
from tinyagent.tools.web.attributes import arranges, language_of, number_of, rows_of
from tinyagent.tools.web.elements import BLOCK, HEADINGS, Finish, names
from tinyagent.tools.web.handlers import LONGEST_ALTERNATIVE
from tinyagent.tools.web.head import LONGEST_TITLE, Head
from tinyagent.tools.web.inline import is_exponent, without_line_ends
from tinyagent.tools.web.tables import COLUMNS
from tinyagent.tools.web.walker import Walker
from tinyagent.tools.web.writer import PERMALINKS

#: Elements handed on to the other converter. Other blocks become `<div>`; of other elements only the text is left.
_HANDED_ON = names(
    "b blockquote caption cite code dd del dfn dl dt em i kbd li ol p q s samp strike strong sub table tbody td "
    "tfoot th thead tr tt ul"
).union(HEADINGS)
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_WITH_NUMBERS = frozenset({"li", "ol", "td", "th"})
#: Elements of which the other converter makes one line in the cell of a table.
_FLATTENED = names("dir dl listing menu ol pre table ul xmp").union(HEADINGS)
#: Pieces of HTML that may stand between a word and its superscript, and how many pieces are looked at.
_WITHIN_WORDS = frozenset({"", "</a>"}).union(
    form.format(tag)
    for tag in names("b cite code del dfn em i kbd s samp strike strong sub tt")
    for form in ("<{}>", "</{}>")
)
_LOOKED_AT = 8
#: The tags that are written for an element.
_TAGS = dict.fromkeys(BLOCK, ("<div>", "</div>")) | {tag: (f"<{tag}>", f"</{tag}>") for tag in _HANDED_ON}


class UnfitPageError(Exception):
    """The other converter would lose or misplace some of the page."""


def clean_html(page: str, url: str) -> tuple[str, str]:
    """Return the title of a page, and the HTML of its best part.

    Args:
        page: The page's HTML.
        url: The page's address.

    Raises:
        UnfitPageError: A table holds more than lines, has a cell over several rows or only arranges the page, or a list
            has an item with a number of its own.
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
    """A sink that writes a page's elements again: pieces of HTML, each with its area and how much of it is seen."""

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
        self._raised = False
        self._tables = 0
        #: The index of the piece that opens the block of code; -1 outside of one.
        self._code_at = -1

    @property
    def title(self) -> str:
        """The title that the head tells, else the first heading."""
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
        """End the line within a block of code; elsewhere, blocks tell by themselves where a line ends."""
        if self._code_at >= 0 and not self.pieces[-1][2].endswith(("\n", ">")):
            self._add("\n")

    def text(self, data: str) -> None:
        """Write text that stands between tags."""
        if self.head.reading and self.head.takes(data):
            return
        seen = data.strip()
        if self._in_permalink and seen in PERMALINKS:
            return
        if self._raised and seen:
            self._raised = False
            data = "^" + data if is_exponent(data) and self._follows_a_word() else data
        if self._headings and self._headings == ["h1"] and not self._has_heading and not self.area & (CHROME | FORM):
            self._first_heading.append(data[:LONGEST_TITLE])
        if self._code_at < 0 and not data.isascii():
            data = without_line_ends(data)
        if "&" in data or "<" in data or ">" in data:
            data = data.translate(_ESCAPED)
        self.pieces.append((self.area, len(seen), data))

    def void(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Write a line break, a rule, a box that may be checked, or the words for an image."""
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
        """Write a start tag; return what writes the end tag, into the same part of the page."""
        if tag == "title":
            return self.head.begin_title()
        if self._tables and tag in _FLATTENED:
            raise UnfitPageError
        if self._code_at >= 0:
            if tag == "code" and (language := language_of(attributes)):
                self.pieces[self._code_at] = (*self.pieces[self._code_at][:2], _code_tag(language))
            return None
        if (handler := _HANDLERS.get(tag)) is not None:
            return handler(self, attributes)
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

    def begin_button(self, _: Mapping[str, str]) -> Finish | None:
        """Begin a button that shows more of the page, on a line of its own."""
        if self._headings:
            return None
        self._add("<div>")
        return partial(self.pieces.append, (self.area, 0, "</div>"))

    def begin_table(self, attributes: Mapping[str, str]) -> Finish:
        """Begin a table of data.

        Raises:
            UnfitPageError: The table only arranges the page.
        """
        if arranges(attributes):
            raise UnfitPageError
        area = self.area

        def finish() -> None:
            self.pieces.append((area, 0, "</table>"))
            self._tables -= 1

        self._add("<table>")
        self._tables += 1
        return finish

    def raise_text(self, _: Mapping[str, str]) -> Finish:
        """Begin a superscript."""

        def finish() -> None:
            self._raised = False

        self._raised = True
        return finish

    def _follows_a_word(self) -> bool:
        """Return whether a superscript follows a word, in the same link if one is open, and neither is a note."""
        if self._in_permalink:
            return False
        for _, _, html in self.pieces[: -_LOOKED_AT - 1 : -1]:
            if html not in _WITHIN_WORDS:
                return not html.startswith("<") and not html[-1].isspace() and not html.endswith("[")
        return False

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

    def begin_link(self, attributes: Mapping[str, str]) -> Finish:
        """Begin a link."""
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

    def begin_code(self, attributes: Mapping[str, str]) -> Finish:
        """Begin a block of code."""
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
    """Return the start tag of a cell that spans columns, or of a list that does not start with 1; empty for others."""
    if (tag == "li" and number_of(attributes.get("value"), -1) >= 0) or rows_of(attributes) > 1:
        raise UnfitPageError
    if tag in {"td", "th"} and (span := number_of(attributes.get("colspan"), 1)) > 1:
        return f'<{tag} colspan="{min(span, COLUMNS)}">'
    if tag == "ol" and (start := number_of(attributes.get("start"), 1)) != 1:
        return f'<ol start="{start}">'
    return ""


def _code_tag(language: str) -> str:
    """Return the start tags of a block of code, which tell its language as the HTML standard suggests."""
    named = f' class="language-{language}"'.translate(_ESCAPED) if language else ""
    return f"<pre><code{named}>"


_Handler: TypeAlias = Callable[[_Cleaner, Mapping[str, str]], Finish | None]

_HANDLERS: dict[str, _Handler] = {
    "a": _Cleaner.begin_link,
    "button": _Cleaner.begin_button,
    "sup": _Cleaner.raise_text,
    "table": _Cleaner.begin_table,
    **dict.fromkeys(("listing", "pre", "xmp"), _Cleaner.begin_code),
}
