"""The tables of a page: those that hold data get rows of one length, those that only arrange things become blocks."""

from __future__ import annotations

from collections.abc import Iterator

from turbohtml import Element, Markdown

from tinyagent.tools.web.inline import BLOCK, code, is_blank

#: Blocks and characters that a cell of data may hold.
BLOCKS, CHARACTERS = 12, 2_000
#: Rows after which it is settled whether a table holds data.
SETTLED = 64
#: Columns up to which cells count as several.
COLUMNS = 64
#: Empty cells that may be added to a table beside two for each of its own: no table grows without bounds.
MOST_ADDED = 10_000
#: As many rows a cell takes at most.
_MOST_ROWS = 65_534
_PARTS = ("tbody", "thead", "tfoot")


def settle(part: Element, options: Markdown) -> None:
    """Make each table one that can be written as rows, or no table at all."""
    for table in part.select("table"):
        rows = list(_rows(table))
        if not _holds_data(table, rows) or not _fill(table):
            _unfold(table)
            continue
        for row in rows:
            for cell in _cells(row):
                _write_cell(cell, options)
            if is_blank(row):
                row.decompose()


def _rows(table: Element) -> Iterator[Element]:
    for child in _children(table, "tr", *_PARTS):
        yield from [child] if child.tag == "tr" else _children(child, "tr")


def _cells(row: Element) -> list[Element]:
    return _children(row, "td", "th")


def _children(element: Element, *tags: str) -> list[Element]:
    return [child for child in element.children if isinstance(child, Element) and child.tag in tags]


def _holds_data(table: Element, rows: list[Element]) -> bool:
    if (table.attr("role") or "").strip().lower() in {"presentation", "none"} or not rows or is_blank(table):
        return False
    if table.select_one("th") is None and all(len(_cells(row)) < 2 for row in rows):
        return False
    return all(_is_datum(cell) for row in rows[:SETTLED] for cell in _cells(row))


def _is_datum(cell: Element) -> bool:
    """Return whether a cell can be written on one line."""
    if len(cell.text) > CHARACTERS and len(" ".join(cell.text.split())) > CHARACTERS:
        return False
    if cell.select_one(BLOCK) is None:
        return True
    if cell.select_one("table,blockquote,hr") is not None:
        return False
    return len(cell.select(BLOCK)) <= BLOCKS and not any(
        "\n" in block.text.strip() or block.select_one("br,div,p") for block in cell.select("pre")
    )


def _unfold(table: Element) -> None:
    """Read a table as if it were none: each cell is a block of its own."""
    for row in list(_rows(table)):
        for cell in _cells(row):
            cell.tag = "div"
        row.tag = "div"
    for group in _children(table, "caption", *_PARTS):
        group.tag = "div"
    table.tag = "div"


def _fill(table: Element) -> bool:
    """Have each row hold a cell for each column; returns whether that can be done without many empty cells.

    A cell over several columns or rows is followed by empty ones.
    """
    spans = table.select_one("[colspan],[rowspan]") is not None
    rows: list[tuple[Element, int]] = []
    left = MOST_ADDED
    for group in [[row] if row.tag == "tr" else _children(row, "tr") for row in _children(table, "tr", *_PARTS)]:
        taken: dict[int, int] = {}
        for row in group:
            width, added = _fill_row(row, taken) if spans else (len(_cells(row)), 0)
            left += 2 * (width - added) - added
            rows.append((row, width))
            if left < 0:
                return False
    widest = max(width for _, width in rows)
    if sum(widest - width for _, width in rows) > left:
        return False
    for row, width in rows:
        _add(row, widest - width)
    return True


def _fill_row(row: Element, taken: dict[int, int]) -> tuple[int, int]:
    """Put empty cells where cells reach in from the left and from above; returns the row's length, and how many.

    Args:
        row: The row.
        taken: For each column in which a cell from above is, how many rows the cell still takes, with this one.
    """
    column = added = 0
    for cell in _cells(row):
        while column in taken:
            cell.insert_before(Element("td"))
            column, added = column + 1, added + 1
        across = max(1, min(_number(cell.attrs.pop("colspan", "")), COLUMNS - column))
        down = _number(cell.attrs.pop("rowspan", "")) or _MOST_ROWS
        taken.update(dict.fromkeys(range(column, column + across), down))
        column += 1
    end = max([column, *(at + 1 for at in taken)])
    _add(row, end - column)
    below = {at: rows - 1 for at, rows in taken.items() if rows > 1}
    taken.clear()
    taken.update(below)
    return end, added + end - column


def _add(row: Element, cells: int) -> None:
    for _ in range(cells):
        row.append(Element("td"))


def _number(text: object) -> int:
    """Return a whole number as HTML writes it; 1 for anything else."""
    digits = str(text).strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 1


def _write_cell(cell: Element, options: Markdown) -> None:
    """Write a cell that holds several lines on one."""
    if cell.select_one(f"br,hr,{BLOCK}") is None:
        return
    for inner in cell.select("table"):
        _unfold(inner)
    for block in cell.select("pre"):
        block.tag = "span"
        block.set_text(code(block.text))
    lines = cell.to_markdown(options).split("\n")
    cell.set_text("<br>".join(line.strip() for line in lines if line.strip()))
