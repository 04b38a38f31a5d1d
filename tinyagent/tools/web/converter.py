"""The choice of the converter that turns a page into markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tinyagent.tools.web import markdown
from tinyagent.tools.web.clean_html import UnfitPageError, clean_html

if TYPE_CHECKING:
    from html_to_markdown import ConversionOptions

#: What html-to-markdown is given at most: characters, tags, character references, and elements within each other. It
#: holds the interpreter while it works, takes up to 6 µs a tag, and more than its share for many references or deep
#: lists: within these limits it has never held it for longer than 0.2 s. Larger pages are converted by our own.
CHARACTERS, TAGS, REFERENCES, DEPTH = 1_000_000, 20_000, 10_000, 100
#: Characters of text that are looked through in one go.
PIECE = 262_144
#: Characters that nobody sees and that can carry words to a model: controls, soft hyphens, zero width spaces, changes
#: of direction, tags.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\xad\u200b\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]+"
)
#: The invisible characters of ASCII, as `str.translate` takes them.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), 127])


def convert(page: str, url: str) -> tuple[str, str]:
    """Return a page's title and text as markdown: by html-to-markdown if it is installed, else by our own converter.

    Args:
        page: The page's HTML.
        url: The page's address.
    """
    title, text = _with_library(page, url) or markdown.to_markdown(page, url)
    return without_invisible(title), without_invisible(text).strip("\n")


def without_invisible(text: str) -> str:
    """Return a text without the characters that nobody sees."""
    if text.isascii():
        return text.translate(_CONTROLS)
    return "".join(_INVISIBLE.sub("", text[at : at + PIECE]) for at in range(0, len(text), PIECE))


def _with_library(page: str, url: str) -> tuple[str, str] | None:
    """Return what html-to-markdown makes of a page; `None` if it is not installed, or not fit for this page."""
    try:
        import html_to_markdown
    except ImportError:
        return None
    if page.count("<") > TAGS:
        return None
    try:
        title, html = clean_html(page, url)
    except UnfitPageError:
        return None
    if len(html) > CHARACTERS or html.count("<") > TAGS or html.count("&") > REFERENCES:
        return None
    try:
        result = html_to_markdown.convert(html, _options())
    except Exception:  # noqa: BLE001 - our own converter does not fail
        return None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of its Rust code
            raise
        return None
    if result.warnings:  # text was left out, such as what lies too deep
        return None
    return title, result.content or ""


def _options() -> ConversionOptions:
    from html_to_markdown import ConversionOptions, PreprocessingOptions

    return ConversionOptions(
        autolinks=False,
        bullets="-",
        br_in_tables=True,
        compact_tables=True,
        extract_metadata=False,
        max_depth=DEPTH,
        preprocessing=PreprocessingOptions(enabled=False),
    )
