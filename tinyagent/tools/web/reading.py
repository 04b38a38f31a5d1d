"""The text of what a server has sent, by its type: pages and PDFs are read in worker processes."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from tinyagent.core.shared import KeptPerLoop
from tinyagent.core.threads import run_in_thread, thread_slot
from tinyagent.locked.worker import WorkerError, Workers
from tinyagent.tools.web.charset import codec_of
from tinyagent.tools.web.page import PageError

if TYPE_CHECKING:
    from tinyagent.tools.http import Fetched

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
#: A title, a text, and whether some of it was left out.
Text: TypeAlias = tuple[str, str, bool]
#: Texts that are remembered, and their characters together.
_MOST_TEXTS, _MOST_CHARACTERS = 64, 4_000_000
#: The texts that were read last, by the bytes they were made of and what was told of these. So reading on converts no
#: page again, which takes 20 ms a page of a PDF.
_recent: dict[tuple[object, ...], Text] = {}
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def kind_of(fetched: Fetched) -> tuple[Kind, str]:
    """Return what the body of an answer is, and its content type as the server tells it or the content shows it.

    Raises:
        PageError: The body is nothing that can be read as text.
    """
    told = fetched.content_type
    if told in _UNTOLD:
        return _sniffed(fetched)
    if told in _HTML:
        return "html", told
    if told in _PDF:
        return "pdf", told
    if told.startswith("text/") or _TEXT.fullmatch(told):
        if _is_binary(fetched):
            raise _unreadable(fetched, f"{told}, but binary data")
        return "text", told
    raise _unreadable(fetched, told)


def _sniffed(fetched: Fetched) -> tuple[Kind, str]:
    """Return what the content of a body shows it to be, as browsers see it: https://mimesniff.spec.whatwg.org/."""
    beginning = fetched.content[:_LOOKED_AT]
    if beginning.lstrip().startswith(b"%PDF-"):
        return "pdf", "application/pdf"
    if _is_binary(fetched):
        raise _unreadable(fetched, "binary data of no known type")
    for mark in _MARKS:
        beginning = beginning.removeprefix(mark)
    if _LOOKS_LIKE_HTML.match(beginning):
        return "html", "text/html"
    return "text", "text/plain"


def _is_binary(fetched: Fetched) -> bool:
    codec = codec_of(fetched.charset) if fetched.charset else None
    if fetched.content.startswith(_MARKS) or (codec or "").startswith("utf-16"):
        return False
    return _BINARY.search(fetched.content[:_LOOKED_AT]) is not None


def _unreadable(fetched: Fetched, what: str) -> PageError:
    return PageError(
        f"{fetched.url[:300]} is {what}, which cannot be read as text. HTML, PDF and all kinds of text can."
    )


async def start_ahead() -> None:
    """Start what reads pages, as one is on its way, and do not wait for it."""
    with suppress(WorkerError):  # that is told when there is a page to read
        await (await _workers["html"].here()).start_ahead()


async def read(fetched: Fetched, kind: Kind, seconds: float) -> Text:
    """Return the title and the text of an answer's body, and whether some of it was left out.

    Args:
        fetched: The answer.
        kind: What it is; see `kind_of`.
        seconds: How many seconds reading may take.

    Raises:
        PageError: The body cannot be read, or not in time.
    """
    if kind == "text":
        return "", await decoded(fetched), False
    digest = await _apart(fetched, lambda: blake2b(fetched.content, digest_size=16).digest())
    key = digest, kind, fetched.url, fetched.charset, fetched.truncated
    found = _recent.get(key)
    if found is None:
        found = await _asked(fetched, kind, seconds)
        if kind == "html" or not found[2]:  # another reading may get further in a PDF
            _remember(key, found)
    return found


def _remember(key: tuple[object, ...], text: Text) -> None:
    """Remember a text, and forget the oldest beyond what is kept. Other threads may do so at the same time."""
    _recent[key] = text
    while len(_recent) > _MOST_TEXTS or sum(len(text) for _, text, _ in [*_recent.values()]) > _MOST_CHARACTERS:
        for oldest in [*_recent][:1]:
            _recent.pop(oldest, None)


async def decoded(fetched: Fetched) -> str:
    """Return an answer's body as text."""
    return await _apart(fetched, lambda: fetched.text)


async def _apart(fetched: Fetched, function: Callable[[], T]) -> T:
    """Call a function that goes through an answer's body, in a thread if that is long."""
    if len(fetched.content) <= _SMALL:
        return function()
    async with thread_slot():
        return await run_in_thread(function)


async def _asked(fetched: Fetched, kind: Literal["html", "pdf"], seconds: float) -> Text:
    """Return what a worker process says."""
    workers = await _workers[kind].here()
    request = {"url": fetched.url, "charset": fetched.charset, "truncated": fetched.truncated}
    try:
        answer, content = await workers.ask(request, fetched.content, seconds)
    except TimeoutError:
        raise PageError(f"{fetched.url[:300]} could not be read within {seconds:g} seconds.") from None
    except WorkerError as error:
        raise PageError(f"{fetched.url[:300]} cannot be read: {error}.") from error
    if "error" in answer:
        raise PageError(str(answer["error"]))
    return str(answer.get("title", "")), content.decode(errors="replace"), answer.get("left_out") is True
