"""HTML as markdown, by a converter of our own: no dependency, and time in proportion to the page, whatever is in it."""

from __future__ import annotations

from tinyagent.tools.web.areas import best_part
from tinyagent.tools.web.blocks import render
from tinyagent.tools.web.handlers import Handlers
from tinyagent.tools.web.walker import Walker

#: Characters at the beginning of a page in which its title is looked for.
BEGINNING = 100_000


def to_markdown(page: str, url: str) -> tuple[str, str]:
    """Return the title and the text of a page, as markdown.

    The main part of the page stands for it if it has one, without navigation, footers, asides and forms, unless that
    would leave out most of what there is to read. Links are absolute. Hidden text is left out, images are their
    alternative texts.

    Args:
        page: The page's HTML.
        url: The page's address.
    """
    handlers = Handlers(url)
    Walker(handlers).walk(page)
    blocks = handlers.writer.blocks
    return handlers.title, render(blocks, best_part([(block.area, block.weight) for block in blocks]))


def title_of(page: str, url: str) -> str:
    """Return the title of a page, which is looked for in its beginning."""
    handlers = Handlers(url)
    Walker(handlers).walk(page[:BEGINNING])
    return handlers.title
