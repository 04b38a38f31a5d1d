"""What stands in a line: links, emphasis, code, superscripts and pictures, written into the text as markdown.

The writer of markdown is given text instead of these elements: its own way to write them needs callbacks, with which
it has crashed, and writes HTML where marks would touch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby, islice

from turbohtml import Element, Text

#: Elements that begin a line of their own.
BLOCK = (
    "address,article,aside,blockquote,body,caption,dd,details,div,dl,dt,figcaption,figure,footer,h1,h2,h3,h4,h5,h6,"
    "header,li,main,menu,nav,ol,p,pre,section,summary,table,td,th,tr,ul"
)
CODE = "code,kbd,samp,tt"
_STYLES = {"b,strong": "**", "i,em,cite,dfn": "*", "s,strike,del": "~~"}
#: Elements that are text once this module is done.
WRITTEN = frozenset(",".join(("a", CODE, *_STYLES)).split(","))
#: What stands for a link to a part of the same page, beside headings.
_PERMALINKS = frozenset({"", "¶", "#", "§", "🔗", "\uf0c1"})
LONGEST_ALTERNATIVE = 1_000
_BACKTICKS = re.compile(r"`+")
#: How a superscript that is an exponent begins: a letter or a digit with or without a sign, or it is a sign alone.
_EXPONENT = re.compile(r"[+\-\N{MINUS SIGN}\N{EN DASH}]?[^\W_]|[+\-\N{MINUS SIGN}\N{EN DASH}]\Z")
#: Scripts that put no space between words: CJK punctuation, kana, Han, full width forms.
_SPACELESS = "[\u2e80-\u312f\u31f0-\u9fff\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff]"
_LINE_END = re.compile(rf"(?<={_SPACELESS})[ \t]*[\r\n]\s*+(?={_SPACELESS})")


def write_pictures(body: Element) -> None:
    """Put the alternative texts of pictures in their places."""
    for picture in body.select("img"):
        alternative = " ".join((picture.attr("alt") or "")[:LONGEST_ALTERNATIVE].split())
        picture.replace_with(Text(f"![{alternative}]" if alternative else ""))


def join_lines(body: Element) -> None:
    """Remove line ends that are no space: https://drafts.csswg.org/css-text-3/#line-break-transform."""
    whole = body.text
    if whole.isascii() or _LINE_END.search(whole) is None:
        return
    for text in list(texts_of(body)):
        if "\n" in text.data and not text.data.isascii() and not _within(text, "pre"):
            text.data = _LINE_END.sub("", text.data)


def write_exponents(body: Element) -> None:
    """Write superscripts: `10^6`; but the number of a note or the text of a link stays as it is."""
    for raised in body.select("sup"):
        text = next(texts_of(raised), None)
        if text is None or not _EXPONENT.match(text.data) or _within(raised, "sup,pre"):
            continue
        if _is_glued(raised, text):
            text.data = "^" + text.data


def _is_glued(raised: Element, text: Text) -> bool:
    """Return whether a superscript follows a word of its own line, in the same link or outside of links."""
    for before in islice(raised.preceding, 8):
        if isinstance(before, Text) and before.data:
            return not before.data[-1].isspace() and before.data[-1] != "[" and _in_one_line(before, raised, text)
        if isinstance(before, Element) and before.tag == "br":
            return False
    return False


def _in_one_line(before: Text, raised: Element, text: Text) -> bool:
    if before.parent is None or text.parent is None:
        return False
    if before.parent == raised.parent and text.parent == raised:
        return True
    link = text.parent.closest("a")
    same_link = link is None or link == before.parent.closest("a")
    return same_link and before.parent.closest(BLOCK) == raised.closest(BLOCK)


def write_lines(part: Element, absolute: Callable[[str], str]) -> None:
    """Write code, emphasis and links as markdown; code first, since nothing within it is marked.

    Args:
        part: The part of the page.
        absolute: Gives the URL that a link leads to; empty where the link is to be dropped.
    """
    _write_code(part)
    for selector, mark in _STYLES.items():
        for element in part.select(selector):
            if not _within(element, f"{selector},pre"):
                _enclose(element, mark, mark)
    for link in part.select("a[href]"):
        href = link.attr("href") or ""
        if href.lstrip().startswith("#"):
            if link.text.strip() in _PERMALINKS:
                link.decompose()
        elif (url := absolute(href)) and not _within(link, "a[href],pre"):
            _enclose(link, "[", f"]({url})")


def _write_code(part: Element) -> None:
    for element in part.select(CODE):
        if element.parent is None or _within(element, f"{CODE},pre"):
            continue
        if element.select_one("a[href],br") is not None:
            for text in [text for text in texts_of(element) if text.data.strip()]:
                text.data = code(text.data)
            continue
        whole = element.text
        while (following := element.next_sibling) is not None and getattr(following, "tag", "") in _CODE_TAGS:
            whole += following.text  # code that was written in several elements is one piece of code
            following.decompose()
        element.set_text(code(whole))


_CODE_TAGS = frozenset(CODE.split(","))


def code(text: str) -> str:
    """Return text as a code span, in more backticks than it holds in a row; spaces around it stay outside.

    https://spec.commonmark.org/0.31.2/#code-spans
    """
    words = " ".join(text.split())
    if not words:
        return text
    fence = "`" * (max(map(len, _BACKTICKS.findall(words)), default=0) + 1)
    space = " " if words.startswith("`") or words.endswith("`") else ""
    before, after = " " * text[0].isspace(), " " * text[-1].isspace()
    return f"{before}{fence}{space}{words}{space}{fence}{after}"


def _enclose(element: Element, before: str, after: str) -> None:
    """Put marks around each line of an element; spaces stay outside."""
    for line in _lines(element):
        data = line[0].data
        words = data.lstrip()
        line[0].data = data[: len(data) - len(words)] + before + words
        data = line[-1].data
        words = data.rstrip()
        line[-1].data = words + after + data[len(words) :]


def _lines(element: Element) -> Iterator[list[Text]]:
    """Yield the texts of an element that are not blank, those of each block by themselves."""
    texts = [text for text in texts_of(element) if text.data.strip()]
    if not texts:
        return
    if element.select_one(BLOCK) is None:
        yield texts
        return
    for _, line in groupby(texts, lambda text: text.parent and text.parent.closest(BLOCK)):
        yield list(line)


def is_blank(element: Element) -> bool:
    """Return whether an element shows no text; looks no further than to the first."""
    return next(iter(element.stripped_strings), None) is None


def texts_of(element: Element) -> Iterator[Text]:
    """Return the pieces of text in an element, in their order."""
    return (node for node in element.descendants if type(node) is Text)


def _within(node: Element | Text, selector: str) -> bool:
    """Return whether a node lies in an element of such a kind."""
    return node.parent is not None and node.parent.closest(selector) is not None
