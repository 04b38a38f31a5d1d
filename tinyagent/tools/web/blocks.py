"""Paragraphs, list items, quotes: the blocks of a page, and how they are written one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tinyagent.tools.web.areas import Keep

#: Levels of lists and quotes that are indented; those further in stand where the last one does, so that no page grows
#: by being nested.
DEEPEST = 12


@dataclass(slots=True, eq=False)
class Container:
    """A list, a list item, a quote or a definition: what its blocks are indented by.

    Attributes:
        outer: The container it lies in; `None` for the page.
        marker: What its first line begins with: `- `, `3. `, `> `, `: `.
        indent: What its other lines begin with.
        is_list: Whether it is a list, whose items stand close together.
        depth: How many containers it lies in.
        prefix: The indents of these containers and its own.
        quoted: Whether it is a quote, or lies in one.
    """

    outer: Container | None = None
    marker: str = ""
    indent: str = ""
    is_list: bool = False
    depth: int = field(init=False, default=0)
    prefix: str = field(init=False, default="")
    quoted: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        if self.outer is None:
            return
        self.depth = self.outer.depth + 1
        self.quoted = self.outer.quoted or self.marker == "> "
        self.prefix = self.outer.prefix
        if len(self.prefix) < 2 * DEEPEST:
            self.prefix += self.indent


@dataclass(slots=True, eq=False)
class Block:
    """A block of a page: lines that belong together.

    Attributes:
        text: Its lines, without the indentation of the container.
        container: The innermost container it lies in.
        weight: How many characters of it a reader sees.
        area: The bits of the part of the page it lies in, such as `areas.MAIN`.
        shared: The innermost container that it has in common with the block before it.
        plain: Whether it may stand in the cell of a table: a paragraph, a heading, a line of code.
        in_line: How it is written in a cell; empty where that is its text.
    """

    text: str
    container: Container
    weight: int
    area: int
    shared: Container
    plain: bool = True
    in_line: str = ""


def render(blocks: Iterable[Block], keep: Keep) -> str:
    """Write blocks as markdown.

    Args:
        blocks: The blocks, in their order.
        keep: Tells which areas are kept.
    """
    lines: list[str] = []
    marked: set[Container] = set()
    shared: Container | None = None
    for block in blocks:
        shared = block.shared if shared is None or block.shared.depth < shared.depth else shared
        if not keep(block.area):
            continue
        first, close = _opening(block.container, marked)
        if lines and not close:
            lines.append(shared.prefix.rstrip())
        rest = block.container.prefix
        for number, line in enumerate(block.text.split("\n")):
            lines.append((rest if number else first) + line if line else (rest if number else first).rstrip())
        shared = None
    return "\n".join(lines)


def _opening(container: Container, marked: set[Container]) -> tuple[str, bool]:
    """Return what a block's first line begins with, and whether no empty line stands before the block."""
    new: list[Container] = []
    at: Container | None = container
    while at is not None and at not in marked:
        new.append(at)
        at = at.outer
    marked.update(new)
    prefix = at.prefix if at is not None else ""
    # an item follows its list's other items, and an inner list the words of its item, without an empty line
    close = bool(new) and at is not None and (at.is_list or (new[-1].is_list and at.marker not in {"", "> "}))
    close = close or (bool(new) and new[-1].marker == ": ")
    for inner in reversed(new):
        if len(prefix) < 2 * DEEPEST or inner is container:
            prefix += inner.marker
    return prefix, close
