"""The text of what a server has sent, by its type: pages and PDFs are read in worker processes."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from tinyagent.core.shared import KeptPerLoop
from tinyagent.core.threads import in_forked_copy, run_in_thread, thread_slot
from tinyagent.locked.worker import WorkerError, Workers
from tinyagent.tools.web.charset import codec_of, decode
from tinyagent.tools.web.page import PageError
from tinyagent.tools.web.recent import Recent, Text, key_of

T = TypeVar("T")

Kind: TypeAlias = Literal["html", "pdf", "text"]

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_PDF = frozenset({"application/pdf", "application/x-pdf"})
#: Text under names that do not begin with "text/".
_TEXT = re.compile(
    r"application/(?:(?:[\w.+-]+[+.-])?(?:json5?|jsonl|jsonlines|json-seq|ndjson|xml|yaml|toml)|xml-dtd|markdown|csv|sql"
    r"|graphql|(?:x-)?(?:java|ecma|type)script|x-(?:sh|shellscript|csh|perl|python|ruby|php|httpd-php|tex|latex|subrip))"
    r"|image/svg\+xml|message/(?:rfc822|http)"
)
#: Content types that say nothing: the content itself tells.
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/unknown", "unknown/unknown"})
#: Bytes at the beginning of a body that are looked at.
_LOOKED_AT = 1024
_LOOKS_LIKE_HTML = re.compile(
    rb"(?:\s|<!--.*?-->)*+<(?:!doctype\s+html|html|head|body|title|script|style|h1|div|table|p|a|b|br|font)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
#: Bytes that are looked at or decoded at once; for more a thread costs less than keeping the event loop.
_SMALL = 16_384
#: Bytes that a worker process may take: twice what the worst of the hostile pages of 2 MB needs (`<b>`: 128 to 256 MB).
_MEMORY = 512 << 20
#: Pages that are read at once on one event loop, so that a slow one does not keep all others waiting.
_AT_ONCE = 2
_workers = {
    "html": KeptPerLoop(lambda: Workers("tinyagent.tools.web.pages", memory=_MEMORY, at_once=_AT_ONCE)),
    "pdf": KeptPerLoop(lambda: Workers("tinyagent.tools.web.pdf", memory=_MEMORY)),
}
_recent = Recent()
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@in_forked_copy
def _forget_recent() -> None:
    global _recent  # noqa: PLW0603 - one for the process; a thread may have held its lock
    _recent = Recent()


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an answer, and what the server says of it.

    Attributes:
        url: Where the body came from.
        content: The bytes.
        content_type: What the server calls it, e.g. "text/html"; may be empty.
        charset: The charset that the server names.
        truncated: Whether this is only the beginning of the body.
    """

    url: str
    content: bytes
    content_type: str = ""
    charset: str | None = None
    truncated: bool = False


def kind_of(body: Body) -> tuple[Kind, str]:
    """Return what a body is, and its content type as the server tells it or the content shows it.

    Raises:
        PageError: The body is nothing that can be read as text.
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
    """Return what the content of a body shows it to be, as browsers see it: https://mimesniff.spec.whatwg.org/."""
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


async def start_ahead() -> None:
    """Start what reads pages, as one is on its way, and do not wait for it."""
    with suppress(WorkerError):  # that is told when there is a page to read
        await (await _workers["html"].here()).start_ahead()


async def read(body: Body, kind: Kind, seconds: float) -> Text:
    """Return the title and the text of a body, and whether some of it was left out.

    Args:
        body: The body of an answer.
        kind: What it is; see `kind_of`.
        seconds: How many seconds reading may take.

    Raises:
        PageError: The body cannot be read, or not in time.
    """
    if kind == "text":
        return "", await decoded(body), False
    key = await _apart(body, lambda: key_of(body.content, kind, body.url, body.charset, body.truncated))
    found = _recent.get(key)
    if found is None:
        found = await _asked(body, kind, seconds)
        if kind == "html" or not found[2]:  # another reading may get further in a PDF
            _recent.put(key, found)
    return found


async def decoded(body: Body) -> str:
    """Return a body as text."""
    return await _apart(body, lambda: decode(body.content, body.charset, truncated=body.truncated))


async def _apart(body: Body, function: Callable[[], T]) -> T:
    """Call a function that goes through a body, in a thread if that is long."""
    if len(body.content) <= _SMALL:
        return function()
    async with thread_slot():
        return await run_in_thread(function)


async def _asked(body: Body, kind: Literal["html", "pdf"], seconds: float) -> Text:
    """Return what a worker process says."""
    workers = await _workers[kind].here()
    request = {"url": body.url, "charset": body.charset, "truncated": body.truncated}
    try:
        answer, content = await workers.ask(request, body.content, seconds)
    except TimeoutError:
        raise PageError(f"{body.url[:300]} could not be read within {seconds:g} seconds.") from None
    except WorkerError as error:
        raise PageError(f"{body.url[:300]} cannot be read: {error}.") from error
    if "error" in answer:
        raise PageError(str(answer["error"]))
    return str(answer.get("title", "")), content.decode(errors="replace"), answer.get("left_out") is True
