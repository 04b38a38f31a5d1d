"""Text, styles and structure of a page as they come, made into blocks."""

from __future__ import annotations

from collections.abc import Callable

from tinyagent.tools.web import inline, tables
from tinyagent.tools.web.areas import CHROME, FORM
from tinyagent.tools.web.blocks import Block, Container
from tinyagent.tools.web.inline import BREAK, PLAIN, Run, is_exponent, without_line_ends

#: Texts of links to a part of the same page, as they stand beside headings.
PERMALINKS = frozenset({"¶", "#", "§", "🔗", "\uf0c1"})
#: Pieces of text in one paragraph; what follows begins another.
LONGEST_PARAGRAPH = 2_000


class Writer:
    """A writer that collects the blocks of a page.

    Attributes:
        blocks: The list that blocks go to: that of the page, or of the cell that is open.
        container: The innermost list, item or quote.
        area: The bits of the part of the page that is being read.
        heading: The level of the open heading, 0 outside.
        style: How text looks from now on.
        in_permalink: Whether text belongs to a link within the page.
        first_heading: The text of the first heading of level 1.
    """

    def __init__(self) -> None:
        self.container = Container()
        self.blocks: list[Block] = []
        self.area = 0
        self.heading = 0
        self.style = PLAIN
        self.in_permalink = False
        self.first_heading = ""
        self.tables: list[tables.Table] = []
        self._runs: list[Run] = []
        self._gap = ""
        self._shared = self.container
        self._code: list[str] | None = None
        self._language = ""

    # -- text

    def text(self, data: str) -> None:
        """Add text, already decoded."""
        if self._code is not None:
            self._code.append(data)
            return
        words = " ".join((data if data.isascii() else without_line_ends(data)).split())
        if not words:
            self._gap = self._gap or " "
            return
        if self.in_permalink and words in PERMALINKS:
            return
        if len(self._runs) >= LONGEST_PARAGRAPH:
            self.end_paragraph()
        gap = self._gap or (" " if data[0].isspace() else "")
        self._runs.append(Run(gap if self._runs else "", words, self.style))
        self._gap = " " if data[-1].isspace() else ""

    def raised(self, data: str) -> None:
        """Add the beginning of a superscript: `10^6`; but the number of a note or the text of a link stays as it is."""
        glued = False
        if self._code is None and self._runs and not self._gap and not self.in_permalink and is_exponent(data):
            before = self._runs[-1]
            glued = self.style.link in {"", before.style.link} and not before.words.endswith("[")
        self.text("^" + data if glued else data)

    def line_break(self) -> None:
        """Begin a new line; the second in a row begins a new paragraph."""
        if self._code is not None:
            self._code.append("\n")
        elif self._gap == BREAK:
            self.end_paragraph()
        else:
            self._gap = BREAK

    def end_paragraph(self) -> None:
        """End the paragraph: what follows stands on a line of its own."""
        if self._code is not None:
            if self._code and not self._code[-1].endswith("\n"):
                self._code.append("\n")
            return
        runs, self._runs, self._gap = self._runs, [], ""
        if not runs:
            return
        weight = sum(len(run.words) for run in runs)
        if self.heading:
            for run in runs:
                run.gap = run.gap and " "
            text = inline.render(runs)
            if self.heading == 1 and not self.first_heading and not self.area & (CHROME | FORM):
                self.first_heading = "".join(run.gap + run.words for run in runs)
            text = "#" * self.heading + " " + text
        else:
            text = inline.render(runs)
        self._add(text, weight)

    def rule(self) -> None:
        """Add a line between two parts."""
        self.end_paragraph()
        self._add("---", 0)

    def _add(self, text: str, weight: int, *, plain: bool = True, in_line: str = "") -> None:
        self.blocks.append(Block(text, self.container, weight, self.area, self._shared, plain, in_line))
        self._shared = self.container

    # -- lists and quotes

    def enter(self, marker: str, indent: str, *, is_list: bool = False) -> Callable[[], None]:
        """Begin a list, an item or a quote, and return what ends it."""
        outer = self.container
        self.container = Container(outer, marker, indent, is_list)

        def leave() -> None:
            self.container = outer
            if outer.depth < self._shared.depth:
                self._shared = outer

        return leave

    # -- code

    @property
    def in_code(self) -> bool:
        """Whether text is kept as it is."""
        return self._code is not None

    def begin_code(self, language: str) -> Callable[[], None] | None:
        """Begin a block of code, and return what ends it; `None` within another block of code."""
        if self._code is not None:
            return None
        self._code, self._language = [], language
        container, shared = self.container, self._shared

        def end() -> None:
            text, language, self._code = "".join(self._code or ()), self._language, None
            text = text.replace("\r\n", "\n").removeprefix("\n").rstrip()
            if not text:
                return
            inside, self.container = self.container, container
            self._shared = min(shared, self._shared, key=lambda at: at.depth)
            in_line = inline.code(text.strip()) if self.tables and "\n" not in text else ""
            self._add(inline.code_block(text, language), len(text), plain=in_line != "", in_line=in_line)
            self.container = inside

        return end

    def name_language(self, language: str) -> None:
        """Tell the language of the open block of code, if it is not known yet."""
        self._language = self._language or language

    # -- tables

    def begin_table(self, *, arranges: bool) -> Callable[[], None] | None:
        """Begin a table, and return what ends it; `None` when it is read as if it were no table."""
        if self._code is not None or len(self.tables) >= tables.DEEPEST:
            return None
        for outer in self.tables:
            outer.arranges = True
        table = tables.Table(self.blocks, self.container, self._shared, arranges)
        self.tables.append(table)
        self.blocks = table.before
        return self._end_table

    def begin_group(self) -> None:
        """Begin the head, a body or the foot of the innermost table."""
        self.tables[-1].begin_group()

    def begin_row(self) -> None:
        """Begin a row of the innermost table."""
        self.tables[-1].begin_row()

    def begin_cell(self, across: int, down: int, *, heading: bool) -> Callable[[], None]:
        """Begin a cell of the innermost table, over `across` columns and `down` rows, and return what ends it."""
        table = self.tables[-1]
        self.blocks = table.begin_cell(across, down, heading=heading)

        def end() -> None:
            self.blocks = table.before

        return end

    def _end_table(self) -> None:
        table = self.tables.pop()
        self.blocks = table.around
        text = table.markdown()
        self.blocks += table.before
        if text:
            self._shared = min(table.shared, self._shared, key=lambda at: at.depth)
            self._add(text, table.weight, plain=False)
        else:
            self.blocks += table.blocks_of_cells()
