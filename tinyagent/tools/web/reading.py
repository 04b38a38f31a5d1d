"""The text of what a server has sent, by its type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tinyagent.core.threads import in_forked_copy
from tinyagent.tools.web.charset import codec_of, decode
from tinyagent.tools.web.converter import convert
from tinyagent.tools.web.page import PageError
from tinyagent.tools.web.pdf import read_pdf
from tinyagent.tools.web.recent import Recent, key_of

Kind: TypeAlias = Literal["html", "pdf", "text"]

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_PDF = frozenset({"application/pdf", "application/x-pdf"})
#: Text under names that do not begin with "text/".
_TEXT = re.compile(
    r"application/(?:(?:[\w.+-]+[+.-])?(?:json5?|jsonl|jsonlines|json-seq|ndjson|xml|yaml|toml)|xml-dtd|markdown|csv|sql"
    r"|graphql|(?:x-)?(?:java|ecma|type)script|x-(?:sh|shellscript|csh|perl|python|ruby|php|httpd-php|tex|latex|subrip))"
    r"|image/svg\+xml|message/(?:rfc822|http)"
)
#: Types that say nothing: the content tells.
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/unknown", "unknown/unknown"})
#: Bytes at the beginning that are looked at.
_LOOKED_AT = 1024
_LOOKS_LIKE_HTML = re.compile(
    rb"(?:\s|<!--.*?-->)*+<(?:!doctype\s+html|html|head|body|title|script|style|h1|div|table|p|a|b|br|font)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_recent = Recent()
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@in_forked_copy
def _forget_recent() -> None:
    global _recent  # noqa: PLW0603 - one for the process; a thread may have held its lock
    _recent = Recent()


@dataclass(frozen=True, slots=True)
class Body:
    """What a server has sent.

    Attributes:
        url: Where it came from.
        content: The bytes.
        content_type: What the server calls it, e.g. "text/html"; may be empty.
        charset: The charset that the server names.
        truncated: This is only its beginning.
    """

    url: str
    content: bytes
    content_type: str = ""
    charset: str | None = None
    truncated: bool = False


def kind_of(body: Body) -> tuple[Kind, str]:
    """What a body is, and its type as it is told or as its content shows.

    Raises:
        PageError: It is nothing that can be read as text.
    """
    told = body.content_type
    if told in _UNTOLD:
        return _sniffed(body)
    if told in _HTML:
        return "html", told
    if told in _PDF:
        return "pdf", told
    if told.startswith("text/") or _TEXT.fullmatch(told):
        if _is_binary(body):
            raise _unreadable(body, f"{told}, but binary data")
        return "text", told
    raise _unreadable(body, told)


def _sniffed(body: Body) -> tuple[Kind, str]:
    """As browsers do it: https://mimesniff.spec.whatwg.org/."""
    beginning = body.content[:_LOOKED_AT]
    if beginning.lstrip().startswith(b"%PDF-"):
        return "pdf", "application/pdf"
    if _is_binary(body):
        raise _unreadable(body, "binary data of no known type")
    for mark in _MARKS:
        beginning = beginning.removeprefix(mark)
    if _LOOKS_LIKE_HTML.match(beginning):
        return "html", "text/html"
    return "text", "text/plain"


def _is_binary(body: Body) -> bool:
    codec = codec_of(body.charset) if body.charset else None
    if body.content.startswith(_MARKS) or (codec or "").startswith("utf-16"):
        return False
    return _BINARY.search(body.content[:_LOOKED_AT]) is not None


def _unreadable(body: Body, what: str) -> PageError:
    return PageError(f"{body.url[:300]} is {what}, which cannot be read as text. HTML, PDF and all kinds of text can.")


def read(body: Body, kind: Kind, seconds: float) -> tuple[str, str, bool]:
    """The title and the text of a body, and whether some of it was left out. To be called in a thread.

    Args:
        body: What was sent.
        kind: What it is.
        seconds: How long a PDF may take; what else there is takes no longer than its size allows.

    Raises:
        PageError: A PDF cannot be read.
        MissingExtraError: It is a PDF, and the extra `[pdf]` is not installed.
    """
    if kind == "text":
        return "", decode(body.content, body.charset, truncated=body.truncated), False
    key = key_of(body.content, kind, body.url, body.charset, body.truncated)
    found = _recent.get(key)
    if found is None:
        found = read_pdf(body.content, seconds) if kind == "pdf" else _converted(body)
        if kind == "html" or not found[2]:  # more of a PDF may be read in another time
            _recent.put(key, found)
    return found


def _converted(body: Body) -> tuple[str, str, bool]:
    return *convert(decode(body.content, body.charset, truncated=body.truncated), body.url), False
