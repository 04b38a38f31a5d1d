"""What part of a page is worth reading: its main text, without its chrome and without what nobody sees."""

from __future__ import annotations

import re
from itertools import islice

from turbohtml import Element

#: The share of a page's text that its main part must hold to stand for it; likewise what is left without its chrome.
SHARE = 0.25

#: Elements whose content is never read as text: programs, drawings, choices, what a browser without a feature shows.
_UNREAD = (
    "annotation,annotation-xml,applet,audio,canvas,datalist,embed,iframe,meter,noembed,noframes,noscript,object,"
    "progress,script,select,style,svg,template,textarea,title,video"
)
#: What its attributes hide; a hidden tab of a page is a click away.
_HIDDEN = "[hidden]:not([role~=tabpanel i]),[aria-hidden~=true i],dialog:not([open])"
#: https://www.w3.org/TR/wai-aria-1.2/#landmark_roles and menus
_CHROME = "nav,footer,aside," + ",".join(
    f"[role~={role} i]"
    for role in (
        "alertdialog", "banner", "complementary", "contentinfo", "dialog", "menu", "menubar", "navigation", "toolbar",
    )
)  # fmt: skip
_FORM = "form,[role~=form i],[role~=search i]"
_MAIN = "main,[role~=main i]"
_ARTICLE = "article,[role~=article i],[itemprop=articleBody]"
#: Asides that belong to the text.
_NOTE = re.compile(
    r"\b(?:admonition|callout|caution|footnotes?|hint|important|info|note|notice|tip|warning)\b", re.IGNORECASE
)

_ZERO = r"(?:0(?:\.0+)?(?:px|pt|r?em|%|ch|ex|v[hw])?)(?=;|$)"
_STYLES_THAT_HIDE = (
    rf"display:none|visibility:(?:hidden|collapse)|content-visibility:hidden|opacity:{_ZERO}|font-size:{_ZERO}"
    r"|transform:scale\(0(?:,0)?\)|clip-path:inset\((?:50|100)%\)|clip:rect\((?:0|1px)|text-indent:-\d{3,}"
    r"|(?:left|right|top|bottom|margin-left|margin-top):-(?:\d{4,}|\d{3,}r?em)"
)
_HIDING = re.compile(rf"(?:^|;)(?:{_STYLES_THAT_HIDE}|(?:max-)?(?:width|height):{_ZERO})")
#: Parts of a table are as large as what they hold, whatever size they are given.
_HIDING_IN_TABLES = re.compile(rf"(?:^|;)(?:{_STYLES_THAT_HIDE})")
_SIZED_BY_CONTENT = frozenset({"col", "td", "th", "tr"})
_BETWEEN = str.maketrans("", "", " \t\n\r\f")
#: Elements around one from which on turbohtml nests no further: 512, to which its C may go down.
_DEEPEST = 511
#: Longest style that is looked through; a longer one has something to hide.
_LONGEST_STYLE = 16_384


def remove_unseen(body: Element) -> None:
    """Remove what a reader of the page does not see or cannot read."""
    for element in body.select(_UNREAD):
        _remove(element, "")
    for element in body.select(f"{_HIDDEN},[style]"):
        if element.matches(_HIDDEN) or _hides(element.attr("style") or "", element.tag):
            _remove(element, element.tag)
    for button in body.select("button"):
        if button.closest("h1,h2,h3,h4,h5,h6") is not None:
            button.tag = "span"
        elif button.attr("aria-controls") is not None or button.attr("aria-expanded") is not None:
            button.tag = "div"  # shows more of the page: the question above an answer, the name of a tab
        else:
            button.decompose()


def _remove(element: Element, until: str) -> None:
    """Remove an element; where pages are too deep to be told apart also the text behind it, which it would hold.

    Args:
        element: The element.
        until: The tag of the next element whose text may be shown again; empty if any may.
    """
    if not element.children and sum(1 for _ in islice(element.ancestors, _DEEPEST)) == _DEEPEST:
        while (behind := element.next_sibling) is not None:
            if (tag := getattr(behind, "tag", "")) and until in ("", tag):
                break
            behind.decompose()
    element.decompose()


def _hides(style: str, tag: str) -> bool:
    """Return whether the style of an element hides it: what style sheets do is not known."""
    plain = re.sub(r"/\*.*?(?:\*/|$)", "", style, flags=re.DOTALL) if "/*" in style else style
    plain = plain.translate(_BETWEEN).lower().replace("!important", "")
    hiding = _HIDING_IN_TABLES if tag in _SIZED_BY_CONTENT else _HIDING
    return len(plain) > _LONGEST_STYLE or hiding.search(plain) is not None


def first_heading(body: Element) -> str:
    """Return the text of the first heading of level 1 outside of chrome and forms; empty if there is none."""
    for heading in body.select("h1"):
        if (text := " ".join(heading.text.split())) and heading.closest(f"{_CHROME},{_FORM}") is None:
            return text
    return ""


def best_parts(body: Element) -> list[Element]:
    """Return the elements that are worth reading, and remove the chrome from them.

    Without chrome and forms if that leaves a fair share of the page, else without chrome, else everything. Of this
    the main part, else the articles, if they hold a fair share.
    """
    for element in body.select("nav,aside,footer"):
        if _is_note(element):
            element.tag = "div"
    whole = _weight(body)
    for selector in (f"{_CHROME},{_FORM}", _CHROME):
        found = _outermost(body, selector)
        if whole - sum(map(_weight, found)) >= SHARE * whole:
            for element in found:
                element.decompose()
            break
    left = _weight(body)
    for selector in (_MAIN, _ARTICLE):
        found = _outermost(body, selector)
        if found and sum(map(_weight, found)) >= max(1, SHARE * left):
            return found
    return [body]


def _is_note(element: Element) -> bool:
    if element.tag == "footer" and element.closest("blockquote") is not None:  # who said it
        return True
    note = (element.attr("role") or "").startswith(("note", "doc-"))
    return note or _NOTE.search((element.attr("class") or "")[:500]) is not None


def _outermost(body: Element, selector: str) -> list[Element]:
    return [found for found in body.select(selector) if found.parent is None or found.parent.closest(selector) is None]


def _weight(element: Element) -> int:
    """Return how many characters of an element a reader sees."""
    return sum(map(len, element.text.split()))
