"""The tables of a page: those that hold data become rows, those that only arrange things become paragraphs."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinyagent.tools.web.blocks import Block, Container

#: A table within this many others is read as if it were none.
DEEPEST = 4
#: Blocks and characters that a cell of data holds at most.
BLOCKS, CHARACTERS = 12, 2_000
#: Columns up to which short rows are filled up and cells may span several; cells after which a row is broken.
COLUMNS, LONGEST_ROW = 64, 1_000
#: Rows after which it is settled whether a table holds data; the further rows of one that does are written at once.
SETTLED = 64


@dataclass(slots=True)
class Cell:
    """One cell of a table: its blocks, how many columns it takes, whether it is a heading."""

    blocks: list[Block] = field(default_factory=list)
    span: int = 1
    heading: bool = False

    @property
    def weight(self) -> int:
        """How many characters of the cell a reader sees."""
        return sum(block.weight for block in self.blocks)

    @property
    def holds_data(self) -> bool:
        """Whether the cell can be written on one line."""
        plain = len(self.blocks) <= BLOCKS and all(block.plain for block in self.blocks)
        return plain and self.weight <= CHARACTERS


@dataclass(slots=True)
class Table:
    """A table while it is read.

    Attributes:
        around: The list of blocks that the table stands in.
        container: The container that the table stands in.
        shared: The innermost container that it has in common with the block before it.
        arranges: Whether it only arranges things, as it holds another table, says so, or its cells are no data.
        before: The blocks of its caption, and of what stands between its cells.
        weight: How many characters of the written rows a reader sees.
    """

    around: list[Block]
    container: Container
    shared: Container
    arranges: bool = False
    before: list[Block] = field(default_factory=list)
    weight: int = 0
    _rows: list[list[Cell]] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _columns: int = 0
    #: The number of the row and the column that are being read.
    _row: int = 0
    _column: int = 0
    #: For each of the first columns the number of the row before which a cell from above ends.
    _taken: list[int] = field(default_factory=list)

    def begin_group(self) -> None:
        """Begin the head, a body or the foot; no cell reaches into it from above."""
        self._taken = []

    def begin_row(self) -> None:
        """Begin a row."""
        if self._lines or (len(self._rows) == SETTLED and self._holds_data()):
            self._write()
        self._rows.append([])
        self._row += 1
        self._column = 0

    def begin_cell(self, across: int, down: int, *, heading: bool) -> list[Block]:
        """Begin a cell over `across` columns and `down` rows, and return the list for its blocks."""
        if not self._rows or len(self._rows[-1]) >= LONGEST_ROW:
            self.begin_row()
        row = self._rows[-1]
        if self._taken and not self.arranges:
            free = self._column
            while free < len(self._taken) and self._taken[free] > self._row:
                free += 1
            if free > self._column:
                row.append(Cell(span=free - self._column))
            self._column = free
        end = self._column + across
        if down > 1 and end <= COLUMNS:
            self._taken += [0] * (end - len(self._taken))
            self._taken[self._column : end] = [self._row + down] * across
        self._column = end
        cell = Cell(span=across, heading=heading)
        row.append(cell)
        return cell.blocks

    def markdown(self) -> str:
        """Write the table as markdown (https://github.github.com/gfm/#tables-extension-); empty if it holds no data."""
        if self._lines or self._holds_data():
            self._write()
        return "\n".join(self._lines)

    def blocks_of_cells(self) -> list[Block]:
        """Return the blocks of all cells, one after the other."""
        return [block for row in self._rows for cell in row for block in cell.blocks]

    def _holds_data(self) -> bool:
        if self.arranges:
            return False
        cells = [cell for row in self._rows for cell in row]
        columns = max(map(len, self._rows), default=0)
        self.arranges = not (
            (columns > 1 or any(cell.heading for cell in cells)) and all(cell.holds_data for cell in cells)
        )
        return not self.arranges

    def _write(self) -> None:
        """Write the rows that have been read; the first of the table is its head. Empty rows are left out."""
        rows = [row for row in map(self._texts, self._rows) if any(row)]
        self.weight += sum(cell.weight for row in self._rows for cell in row)
        self._rows = []
        if rows and not self._lines:
            self._columns = max(len(row) for row in rows)
            if self._columns > COLUMNS:  # filling up every row could cost more than the page
                self._columns = len(rows[0])
            self._lines.append(_line(rows.pop(0), self._columns))
            self._lines.append("|" + " --- |" * self._columns)
        self._lines += [_line(row, self._columns if self._columns <= COLUMNS else 0) for row in rows]

    def _texts(self, row: list[Cell]) -> list[str]:
        """Return the texts of a row's cells; one that takes several columns is followed by empty texts."""
        texts: list[str] = []
        for cell in row:
            texts.append(_text(cell, self.container))
            if len(texts) + cell.span - 1 <= COLUMNS:
                texts += [""] * (cell.span - 1)
        return texts


def _text(cell: Cell, base: Container) -> str:
    """Return the text of a cell on one line."""
    lines: list[str] = []
    seen: set[Container] = set()
    for block in cell.blocks:
        inner = block.container
        marker = inner.marker if inner is not base and inner not in seen and inner.marker != ": " else ""
        seen.add(inner)
        lines += (marker + (block.in_line or block.text)).split("\n")
    return "<br>".join(line.strip() for line in lines).replace("|", "\\|")


def _line(row: list[str], columns: int) -> str:
    return "| " + " | ".join(row + [""] * (columns - len(row))) + " |"
