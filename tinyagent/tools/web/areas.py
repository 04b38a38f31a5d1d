"""What part of a page an element begins: its main text, its chrome, or something that nobody sees."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from tinyagent.tools.web.elements import names

#: Bits of a part of the page: not shown; navigation, footers and the like; forms; the main text; an article.
HIDDEN, CHROME, FORM, MAIN, ARTICLE = 1, 2, 4, 8, 16
AREAS = (HIDDEN, CHROME, FORM, MAIN, ARTICLE)
#: A function that tells by its area whether a piece of the page is kept.
Keep: TypeAlias = Callable[[int], bool]
#: The share of a page's text that its main part must hold to stand for the page; likewise the page without its chrome.
SHARE = 0.25

#: Elements whose content is never read as text: programs, drawings, choices, what a browser without a feature shows.
_UNREAD = names(
    "annotation annotation-xml applet audio canvas datalist embed iframe meter noembed noframes noscript object "
    "progress script select style svg template textarea video"
)
_CHROME = frozenset({"nav", "footer", "aside"})
#: Elements that begin an area whatever their attributes.
AREA_TAGS = _UNREAD | _CHROME | {"dialog", "form", "main", "article"}
#: Attributes by which any other element may begin an area.
AREA_ATTRIBUTES = frozenset({"aria-hidden", "hidden", "itemprop", "role", "style"})
#: Attributes of a button that shows more of the page: the question above an answer, the name of a tab.
DISCLOSING = frozenset({"aria-controls", "aria-expanded"})
#: The areas of ARIA's landmarks (https://www.w3.org/TR/wai-aria-1.2/#landmark_roles), dialogs and menus.
_ROLES = {
    "alertdialog": CHROME,
    "banner": CHROME,
    "complementary": CHROME,
    "contentinfo": CHROME,
    "dialog": CHROME,
    "form": FORM,
    "main": MAIN,
    "article": ARTICLE,
    "menu": CHROME,
    "menubar": CHROME,
    "navigation": CHROME,
    "search": FORM,
    "toolbar": CHROME,
}
#: Words in the class of an aside that belongs to the text.
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
#: Characters of the longest style that is looked through; a longer one has something to hide.
_LONGEST_STYLE = 16_384


def area_of(tag: str, attributes: Mapping[str, str], *, quoted: bool = False) -> int:
    """Return the bits of the area that an element begins, 0 for none.

    Args:
        tag: The element's name.
        attributes: The element's attributes.
        quoted: Whether the element lies in a quotation, whose footer names who said it.
    """
    if tag in _UNREAD or ((attributes or tag == "dialog") and is_hidden(tag, attributes)):
        return HIDDEN
    bits = 0
    if tag in _CHROME and not (quoted and tag == "footer") and not _belongs(attributes):
        bits = CHROME
    elif tag == "form":
        bits = FORM
    elif tag == "main":
        bits = MAIN
    elif tag == "article":
        bits = ARTICLE
    if attributes:
        bits |= _ROLES.get(attributes.get("role", "").strip().lower(), 0)
        if attributes.get("itemprop") == "articleBody":
            bits |= ARTICLE
    return bits


def _belongs(attributes: Mapping[str, str]) -> bool:
    return bool(attributes) and (
        attributes.get("role", "").startswith(("note", "doc-"))
        or _NOTE.search(attributes.get("class", "")[:500]) is not None
    )


def is_hidden(tag: str, attributes: Mapping[str, str]) -> bool:
    """Return whether an element's own attributes hide it; what style sheets do is not known."""
    if tag in {"html", "body"}:  # a hidden one is shown once its script runs
        return False
    if "hidden" in attributes and attributes.get("role", "").strip().lower() != "tabpanel":  # its tab shows it
        return True
    if attributes.get("aria-hidden", "").strip().lower() == "true":
        return True
    if tag == "dialog" and "open" not in attributes:
        return True
    style = attributes.get("style")
    if not style:
        return False
    plain = re.sub(r"/\*.*?(?:\*/|$)", "", style, flags=re.DOTALL) if "/*" in style else style
    plain = plain.translate(_BETWEEN).lower().replace("!important", "")
    hiding = _HIDING_IN_TABLES if tag in _SIZED_BY_CONTENT else _HIDING
    return len(plain) > _LONGEST_STYLE or hiding.search(plain) is not None


def best_part(pieces: Iterable[tuple[int, int]]) -> Keep:
    """Return the function that tells which areas of a page are worth reading.

    Chrome and forms are left out if that leaves a fair share of the page, else chrome alone, else nothing. Of the rest
    only the main part is kept, else only the articles, if they hold a fair share of it.

    Args:
        pieces: Area and weight of each piece of the page.
    """
    weights: dict[int, int] = {}
    for area, weight in pieces:
        weights[area] = weights.get(area, 0) + weight

    def weigh(left_out: int, needed: int = 0) -> int:
        return sum(weight for area, weight in weights.items() if not area & left_out and (not needed or area & needed))

    left_out = next(bits for bits in (CHROME | FORM, CHROME, 0) if weigh(bits) >= SHARE * weigh(0))
    needed = next((bit for bit in (MAIN, ARTICLE) if weigh(left_out, bit) >= max(1, SHARE * weigh(left_out))), 0)
    return lambda area: not area & left_out and (not needed or bool(area & needed))
