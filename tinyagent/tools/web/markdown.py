"""HTML as markdown: what is kept of a page is decided here, turbohtml reads and writes it.

To be used in a locked process (`pages`): turbohtml is a young library in C, and reads what strangers have written.
"""

from __future__ import annotations

import re
from functools import cache, partial

from turbohtml import Document, Markdown, parse

from tinyagent.tools.web.areas import best_parts, first_heading, remove_unseen
from tinyagent.tools.web.blocks import tidy
from tinyagent.tools.web.inline import WRITTEN, join_lines, write_exponents, write_lines, write_pictures
from tinyagent.tools.web.links import absolute
from tinyagent.tools.web.tables import settle

LONGEST_TITLE = 300
#: Characters that nobody sees and that can carry words to a model: controls, soft hyphens, zero width spaces, changes
#: of direction, tags.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\xad\u200b\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]+"
)
#: Those of them in ASCII.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), 127])
#: How markdown is written: what is text stays as it is.
_WRITTEN = Markdown(
    links=Markdown.Links(autolink=False),
    tables=Markdown.Tables(cell_blocks="text"),
    inline=Markdown.Inline(quote_open="“", quote_close="”"),
    escaping=Markdown.Escaping(mode="none", asterisks=False, underscores=False),
    strip=WRITTEN,  # never `converters=`: with them turbohtml 1.15 has crashed
)


def to_markdown(page: str, url: str) -> tuple[str, str]:
    """Return the title and the text of a page, as markdown.

    The main part of the page stands for it if it has one, without navigation, footers, asides and forms, unless that
    would leave out most of what there is to read. Links are absolute. Hidden text is left out, images are their
    alternative texts.

    Args:
        page: HTML.
        url: Where it came from.
    """
    document = parse(page.replace("\ufeff", ""), positions=False)  # it writes that character as a reference
    body = document.find("body")
    title = _title(document)
    if body is None:
        return _seen(title), ""
    base = document.base_url(url)
    links = cache(partial(absolute, base if base.startswith(("http://", "https://")) else url))
    remove_unseen(body)
    write_pictures(body)
    join_lines(body)
    write_exponents(body)
    title = title or first_heading(body)[:LONGEST_TITLE]
    texts = []
    for part in best_parts(body):
        write_lines(part, links)
        tidy(part)
        settle(part, _WRITTEN)
        texts.append(part.to_markdown(_WRITTEN).strip("\n"))
    return _seen(title), _seen("\n\n".join(filter(None, texts))).strip("\n")


def _title(document: Document) -> str:
    """Return what the head says: the page's `<title>`, else what it calls itself where it is shared (`og:title`)."""
    titles = [element.text for element in document.select("title") if element.closest("svg") is None]
    shared = [
        element.attr("content") or "" for element in document.select("meta[property='og:title'],meta[name='og:title']")
    ]
    found = next((" ".join(text.split()) for text in (*titles[:1], *shared) if text.strip()), "")
    return found[:LONGEST_TITLE]


def _seen(text: str) -> str:
    """Return the text without characters that are not seen, and with plain spaces."""
    if text.isascii():
        return text.translate(_CONTROLS)
    return _INVISIBLE.sub("", text.replace("\xa0", " "))
