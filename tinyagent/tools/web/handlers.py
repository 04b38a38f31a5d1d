"""What each of HTML's elements does to the text of a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from tinyagent.tools.web.attributes import Attributes, arranges, language_of, number_of, rows_of
from tinyagent.tools.web.elements import HEADINGS, Finish
from tinyagent.tools.web.head import LONGEST_TITLE, Head
from tinyagent.tools.web.inline import restyled
from tinyagent.tools.web.tables import COLUMNS
from tinyagent.tools.web.writer import Writer

LONGEST_ALTERNATIVE = 1_000
#: Which field of a text's style an element sets.
_STYLES = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em", "cite", "dfn"), "italic"),
    **dict.fromkeys(("s", "strike", "del"), "struck"),
    **dict.fromkeys(("code", "kbd", "samp", "tt"), "code"),
}


class Handlers:
    """A sink that does to a page's text what its elements say.

    Args:
        url: The page's address.
    """

    def __init__(self, url: str) -> None:
        self.writer = Writer()
        self.head = Head(url)
        self._styles: Counter[str] = Counter()
        self._hrefs: list[str] = []
        self._numbers: list[int | None] = []
        self._languages: list[str] = []
        self._raised = False

    @property
    def title(self) -> str:
        """The title that the head tells, else the first heading."""
        return self.head.title or self.writer.first_heading[:LONGEST_TITLE]

    @property
    def area(self) -> int:
        """The bits of the part of the page that is being read."""
        return self.writer.area

    @area.setter
    def area(self, bits: int) -> None:
        self.writer.area = bits

    @property
    def in_heading(self) -> bool:
        """Whether a heading is open."""
        return self.writer.heading > 0

    @property
    def in_quotation(self) -> bool:
        """Whether a block quotation is open."""
        return self.writer.container.quoted

    def end_paragraph(self) -> None:
        """Let what follows stand on a line of its own."""
        self.writer.end_paragraph()

    def text(self, data: str) -> None:
        """Write text that stands between tags."""
        if self.head.reading and self.head.takes(data):
            return
        if self._raised and not data.isspace():
            self._raised = False
            self.writer.raised(data)
        else:
            self.writer.text(data)

    def void(self, tag: str, attributes: Attributes) -> None:
        """Write an element that holds nothing, such as an image."""
        if tag == "br":
            self.writer.line_break()
        elif tag == "hr":
            self.writer.rule()
        elif tag == "img":
            if alternative := " ".join(attributes.get("alt", "")[:LONGEST_ALTERNATIVE].split()):
                self.writer.text(f"![{alternative}]")
        elif tag == "input":
            if attributes.get("type", "").lower() == "checkbox" and self.writer.container.marker:
                self.writer.text("[x] " if "checked" in attributes else "[ ] ")
        else:
            self.head.void(tag, attributes)

    def begin(self, tag: str, attributes: Attributes) -> Finish | None:
        """Begin an element, and return what is to be done at its end."""
        handler = _HANDLERS.get(tag)
        return handler(self, attributes) if handler is not None else None

    # -- styles of text

    def set_style(self, field: str) -> Finish:
        """Give text a style until the element ends, or another of the same style around it does."""

        def finish() -> None:
            self._styles[field] -= 1
            if not self._styles[field]:
                self._restyle(field, value=False)

        self._styles[field] += 1
        self._restyle(field, value=True)
        return finish

    def _restyle(self, field: str, value: object) -> None:
        self.writer.style = restyled(self.writer.style, field, value)

    def code(self, attributes: Attributes) -> Finish | None:
        """Begin code, in a line or as all that a block of code holds."""
        if not self.writer.in_code:
            return self.set_style("code")
        self.writer.name_language(language_of(attributes))
        return None

    def raise_text(self, _: Attributes) -> Finish:
        """Begin a superscript."""

        def finish() -> None:
            self._raised = False

        self._raised = True
        return finish

    def quote_text(self, _: Attributes) -> Finish:
        """Begin a quotation within a line."""
        self.writer.text("“")
        return lambda: self.writer.text("”")

    def link(self, attributes: Attributes) -> Finish:
        """Begin a link."""
        href = attributes.get("href", "")
        permalink = href.lstrip().startswith("#")

        def finish() -> None:
            self._hrefs.pop()
            self.writer.in_permalink = False
            self._restyle("link", self._hrefs[-1] if self._hrefs else "")

        self._hrefs.append("" if permalink else self.head.links.absolute(href))
        self.writer.in_permalink = permalink
        self._restyle("link", self._hrefs[-1])
        return finish

    # -- blocks

    def title_text(self, _: Attributes) -> Finish:
        """Begin the page's title."""
        return self.head.begin_title()

    def heading(self, level: int) -> Finish:
        """Begin a heading of a level from 1 to 6."""

        def finish() -> None:
            self.writer.heading = 0

        self.writer.heading = level
        return finish

    def language_of_blocks(self, attributes: Attributes) -> Finish | None:
        """Begin an element whose class may tell the language of the code that it holds."""
        language = language_of(attributes)
        if not language:
            return None

        def finish() -> None:
            self._languages.pop()

        self._languages.append(language)
        return finish

    def code_block(self, attributes: Attributes) -> Finish | None:
        """Begin a block of code, whose text is kept as it is."""
        return self.writer.begin_code(language_of(attributes) or (self._languages[-1] if self._languages else ""))

    def button(self, _: Attributes) -> Finish | None:
        """Begin a button that shows more of the page, on a line of its own."""
        if self.in_heading:
            return None
        self.writer.end_paragraph()
        return self.writer.end_paragraph

    def quote(self, _: Attributes) -> Finish:
        """Begin a quotation of its own lines."""
        return self.writer.enter("> ", "> ")

    def definition(self, _: Attributes) -> Finish:
        """Begin the definition of a term."""
        return self.writer.enter(": ", "  ")

    def list(self, number: int | None) -> Finish:
        """Begin a list whose items are counted from `number`, or not at all."""
        leave = self.writer.enter("", "", is_list=True)

        def finish() -> None:
            self._numbers.pop()
            leave()

        self._numbers.append(number)
        return finish

    def item(self, attributes: Attributes) -> Finish:
        """Begin an item of a list."""
        number = self._numbers[-1] if self._numbers else None
        if number is None:
            return self.writer.enter("- ", "  ")
        number = number_of(attributes.get("value"), number)
        self._numbers[-1] = number + 1
        marker = f"{number}. "
        return self.writer.enter(marker, " " * len(marker))

    # -- tables

    def table(self, attributes: Attributes) -> Finish | None:
        """Begin a table."""
        return self.writer.begin_table(arranges=arranges(attributes))

    def row(self, _: Attributes) -> None:
        """Begin a row of a table."""
        self.writer.begin_row()

    def cell(self, attributes: Attributes, *, heading: bool = False) -> Finish:
        """Begin a cell of a table."""
        across = max(1, min(number_of(attributes.get("colspan"), 1), COLUMNS))
        return self.writer.begin_cell(across, rows_of(attributes), heading=heading)


_Handler: TypeAlias = Callable[[Handlers, Attributes], Finish | None]


def _style(field: str) -> _Handler:
    return lambda page, _: page.set_style(field)


def _heading(level: int) -> _Handler:
    return lambda page, _: page.heading(level)


_HANDLERS: dict[str, _Handler] = {
    "a": Handlers.link,
    "blockquote": Handlers.quote,
    "button": Handlers.button,
    "dd": Handlers.definition,
    "dir": lambda page, _: page.list(None),
    "div": Handlers.language_of_blocks,
    "figure": Handlers.language_of_blocks,
    "li": Handlers.item,
    "listing": Handlers.code_block,
    "menu": lambda page, _: page.list(None),
    "ol": lambda page, attributes: page.list(number_of(attributes.get("start"), 1)),
    "pre": Handlers.code_block,
    "q": Handlers.quote_text,
    "sup": Handlers.raise_text,
    "table": Handlers.table,
    "td": Handlers.cell,
    "th": lambda page, attributes: page.cell(attributes, heading=True),
    "title": Handlers.title_text,
    "tr": Handlers.row,
    "ul": lambda page, _: page.list(None),
    "xmp": Handlers.code_block,
    **dict.fromkeys(("tbody", "tfoot", "thead"), lambda page, _: page.writer.begin_group()),
    **{tag: _style(field) for tag, field in _STYLES.items()},
    **{tag: _heading(level) for tag, level in HEADINGS.items()},
    **dict.fromkeys(("code", "kbd", "samp", "tt"), Handlers.code),
}
