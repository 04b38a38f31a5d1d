"""HTML as tokens, in time proportional to its length whatever is in it.

Follows the tokenizer of the HTML standard (https://html.spec.whatwg.org/multipage/parsing.html#tokenization) as far as
text matters. Every step looks at a part of the page once, and hands over text in pieces, so that no single call of a
regular expression holds the interpreter for long.
"""

from __future__ import annotations

import functools
import html.entities
import re
from collections.abc import Iterator

from tinyagent.tools.web.elements import names

#: A token: "start", "end" or "text"; the tag's name in lower case, or the text, not yet decoded; the attributes.
Token = tuple[str, str, dict[str, str]]

#: The attributes that are kept; their values are decoded, and cut.
KEPT = names(
    "alt aria-controls aria-expanded aria-hidden checked class colspan content data-lang data-language hidden href "
    "itemprop name open property role rowspan start style type value"
)
LONGEST_VALUE = 65_536
#: Characters of text in one token at most.
PIECE = 65_536
#: A character reference is no longer than this, so that no piece ends in the middle of one.
LONGEST_REFERENCE = 40

#: Elements whose content is text up to their end tag. The content of those with `True` is handed over.
RAW = {
    "iframe": False,
    "noembed": False,
    "noframes": False,
    "noscript": False,
    "script": False,
    "style": False,
    "textarea": False,
    "title": True,
    "xmp": True,
}
NO_ATTRIBUTES: dict[str, str] = {}

_OPENING = re.compile(r"<(/?)([a-zA-Z][^ \t\n\r\f/>]*+)(>?)")
_ATTRIBUTE = re.compile(
    r"""[ \t\n\r\f/]*+
    ([^ \t\n\r\f/>][^ \t\n\r\f/>=]*+)                                   # its name
    (?: [ \t\n\r\f]*+ = [ \t\n\r\f]*+
        (?: "([^"]*+)" | '([^']*+)' | ([^ \t\n\r\f>"'][^ \t\n\r\f>]*+)  # its value
          | (?=>) | (["']) )                                            # none; or a quote that is never closed
    )?+""",
    re.VERBOSE,
)
_TAG_CLOSE = re.compile(r"[ \t\n\r\f/]*+>")
_AFTER_NAME = frozenset(" \t\n\r\f/>")
_REFERENCE = re.compile(r"&(?:#[0-9]++;?+|#[xX][0-9a-fA-F]++;?+|[a-zA-Z][a-zA-Z0-9]{0,31}+;?+)")
_REFERENCE_IN_VALUE = re.compile(r"&(?:#[0-9]++;?+|#[xX][0-9a-fA-F]++;?+|[a-zA-Z][a-zA-Z0-9]{0,31}+(?:;|(?!=)))")


def tokens(page: str) -> Iterator[Token]:
    """Yield the tags and texts of a page, without comments, declarations and the content of scripts and the like."""
    position, xml = 0, page[:100].lstrip("\ufeff \t\r\n").startswith("<?xml")
    while (start := page.find("<", position)) >= 0:
        if 0 < start - position <= PIECE:
            yield "text", page[position:start], NO_ATTRIBUTES
        elif start > position:
            yield from _pieces(page, position, start)
        opening = _OPENING.match(page, start)
        if opening is None:
            if page.startswith(("<!", "<?", "</"), start):
                position = _after_comment(page, start)
            else:
                yield "text", "<", NO_ATTRIBUTES
                position = start + 1
            continue
        slash, name, closed = opening.groups()
        attributes, position = (NO_ATTRIBUTES, opening.end()) if closed else _attributes(page, opening.end())
        if position < 0:  # the page ends within the tag
            return
        tag = name[:LONGEST_REFERENCE].lower()
        if slash:
            yield "end", tag, NO_ATTRIBUTES
            continue
        yield "start", tag, attributes
        if xml and page.startswith("/>", position - 2):
            yield "end", tag, NO_ATTRIBUTES
        elif tag in RAW:
            end = _raw_end(page, position, tag)
            if RAW[tag]:
                yield from _pieces(page, position, end)
            position = end
    yield from _pieces(page, position, len(page))


def _pieces(page: str, start: int, end: int) -> Iterator[Token]:
    """Yield text in tokens, none of which ends within a character reference."""
    while end - start > PIECE:
        cut = start + PIECE
        reference = page.rfind("&", cut - LONGEST_REFERENCE, cut)
        cut = reference if reference > start else cut
        yield "text", page[start:cut], NO_ATTRIBUTES
        start = cut
    if start < end:
        yield "text", page[start:end], NO_ATTRIBUTES


def _after_comment(page: str, start: int) -> int:
    """Return where the page goes on after the comment, declaration or stray end tag that begins at `start`."""
    close, begin = ("-->", start + 2) if page.startswith("<!--", start) else (">", start)
    end = page.find(close, begin)
    return len(page) if end < 0 else end + len(close)


def _attributes(page: str, position: int) -> tuple[dict[str, str], int]:
    """Return the attributes of a tag, and where the page goes on after it: -1 when the tag has no end."""
    found: dict[str, str] = {}
    while match := _ATTRIBUTE.match(page, position):
        name, double, single, bare, unclosed = match.groups()
        if unclosed:
            return found, -1
        position = match.end()
        if len(name) <= LONGEST_REFERENCE and (name := name.lower()) in KEPT and name not in found:
            found[name] = decode_value((double or single or bare or "")[:LONGEST_VALUE])
    if page.startswith(">", position):
        return found, position + 1
    close = _TAG_CLOSE.match(page, position)
    return found, close.end() if close else -1


def _raw_end(page: str, position: int, tag: str) -> int:
    """Return where the end tag of an element with raw text begins."""
    while (position := page.find("</", position)) >= 0:
        end = position + 2 + len(tag)
        if page[position + 2 : end].lower() == tag and page[end : end + 1] in _AFTER_NAME:
            return position
        position += 2
    return len(page)


def decode(text: str) -> str:
    """Replace the character references of a text (`&amp;`, `&#8364;`), once."""
    return _REFERENCE.sub(lambda match: _character(match[0]), text) if "&" in text else text


def decode_value(value: str) -> str:
    """Decode the value of an attribute, in which `&copy=1` in a URL stays as it is, as the standard demands."""
    return _REFERENCE_IN_VALUE.sub(lambda match: _character_in_value(match[0]), value) if "&" in value else value


@functools.lru_cache(maxsize=4096)
def _character(reference: str) -> str:
    if reference.startswith("&#") and len(reference) > LONGEST_REFERENCE:
        return "\ufffd"  # no such character; and `int` refuses thousands of digits
    return html.unescape(reference)


@functools.lru_cache(maxsize=4096)
def _character_in_value(reference: str) -> str:
    if reference.startswith("&#"):
        return _character(reference)
    return html.entities.html5.get(reference[1:], reference)
