"""What the converter must know of HTML's elements.

From https://html.spec.whatwg.org/multipage/syntax.html#optional-tags and #parsing-main-inbody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

#: What is to be done at the end of an element.
Finish: TypeAlias = Callable[[], None]


def names(text: str) -> frozenset[str]:
    """Return the names that a text lists, separated by spaces."""
    return frozenset(text.split())


VOID = names("area base br col embed frame hr img input link meta param source track wbr")
HEADINGS = {f"h{level}": level for level in range(1, 7)}
#: Elements that stand on lines of their own.
BLOCK = names(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form frameset header hgroup html legend li listing main menu nav ol optgroup option p plaintext pre search "
    "section select summary table tbody td tfoot th thead tr ul xmp"
).union(HEADINGS)
#: Elements that end an open paragraph when they begin.
PARAGRAPH_ENDS = BLOCK.union({"hr"}) - names("body caption html optgroup option select tbody td tfoot th thead tr")
#: Elements out of which no end tag reaches.
SCOPES = names("button caption marquee object table td template th")
#: For each element the open elements that it ends when it begins, and the elements that stop the search for them.
ENDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "li": (("li",), ("ul", "ol", "menu", "dir")),
    "dt": (("dt", "dd"), ("dl",)),
    "dd": (("dt", "dd"), ("dl",)),
    "option": (("option",), ("select",)),
    "tbody": (("caption", "thead", "tbody", "tfoot"), ("table",)),
    "thead": (("caption", "thead", "tbody", "tfoot"), ("table",)),
    "tfoot": (("caption", "thead", "tbody", "tfoot"), ("table",)),
    "tr": (("caption", "tr"), ("table",)),
    "td": (("caption", "td", "th"), ("table",)),
    "th": (("caption", "td", "th"), ("table",)),
}
#: All elements that end others when they begin.
ENDING = PARAGRAPH_ENDS.union(ENDS, ("a",))
#: Parts of a table, which end tags find anywhere in the innermost table.
TABLE_PARTS = names("caption table tbody td tfoot th thead tr")
#: Styles of text; their end tags work across the borders of blocks.
FORMATTING = names(
    "a b big cite code del dfn em font i kbd label mark nobr q s samp small span strike strong sub sup tt u var"
)


@dataclass(slots=True, eq=False)
class Element:
    """An element that has begun and not yet ended.

    Attributes:
        tag: The element's name; empty once it has ended before those that lie in it.
        area: The bits of the area that it began.
        finish: What is to be done at its end.
    """

    tag: str
    area: int = 0
    finish: Finish | None = None
