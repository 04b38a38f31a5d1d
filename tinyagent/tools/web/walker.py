"""A walk through the elements of a page, which leaves out what nobody sees.

Elements are kept on a stack, never in recursion, and end where the HTML standard ends them, as far as text is concerned
(https://html.spec.whatwg.org/multipage/parsing.html#tree-construction). Style sheets are not read: text that only a
class hides is seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from tinyagent.tools.web.areas import AREA_ATTRIBUTES, AREA_TAGS, AREAS, DISCLOSING, HIDDEN, area_of, is_hidden
from tinyagent.tools.web.elements import BLOCK, ENDING, ENDS, PARAGRAPH_ENDS, TABLE_PARTS, VOID, Element, Finish
from tinyagent.tools.web.open_elements import OpenElements
from tinyagent.tools.web.tokens import decode, tokens


class Sink(Protocol):
    """What makes something of the elements and texts of a page.

    Attributes:
        area: The bits of the part of the page that is being read; set by the walker.
    """

    area: int

    @property
    def in_heading(self) -> bool:
        """Whether a heading is open."""
        ...

    @property
    def in_quotation(self) -> bool:
        """Whether a block quotation is open."""
        ...

    def text(self, data: str) -> None:
        """Take text that is shown, decoded."""
        ...

    def void(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take an element that holds nothing, such as an image."""
        ...

    def begin(self, tag: str, attributes: Mapping[str, str]) -> Finish | None:
        """Begin an element, and return what is to be done at its end."""
        ...

    def end_paragraph(self) -> None:
        """Let what follows stand on a line of its own."""
        ...


class Walker:
    """A walk through one page, which tells a sink what is to be read. Use it once.

    Args:
        sink: What makes something of the page.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._open = OpenElements()
        self._areas = dict.fromkeys(AREAS, 0)
        self._hidden = False
        #: Elements that lie too deep to be told apart: their text counts, they do not.
        self._too_deep: Counter[str] = Counter()

    def walk(self, page: str) -> None:
        """Walk through a page of HTML."""
        start, end, text = self._start, self._end, self._sink.text
        for kind, value, attributes in tokens(page):
            if kind == "text":
                if not self._hidden:
                    text(decode(value) if "&" in value else value)
            elif kind == "start":
                start(value, attributes)
            else:
                end(value)
        self._close(0)
        self._sink.end_paragraph()

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in TABLE_PARTS and tag != "table" and self._open.last("table") < 0:
            self._sink.end_paragraph()
            return
        if tag in ENDING:
            self._end_before(tag)
        if tag in VOID:
            if not self._hidden and not (attributes and is_hidden(tag, attributes)):
                self._sink.void(tag, attributes)
            return
        area = self._area_of(tag, attributes)
        if self._open.is_full and (self._hidden or not area & HIDDEN):
            self._too_deep[tag] += 1
            if tag in BLOCK and not self._hidden:
                self._sink.end_paragraph()
            return
        element = Element(tag, area)
        if not self._hidden and not area & HIDDEN:
            if area or tag in BLOCK:
                self._sink.end_paragraph()
            element.finish = self._begin(tag, attributes)
        self._open.push(element)
        if area:
            self._count(area, 1)

    def _area_of(self, tag: str, attributes: Mapping[str, str]) -> int:
        """Return the bits of the area that an element begins here."""
        if tag == "button" and not self._sink.in_heading and DISCLOSING.isdisjoint(attributes):
            return HIDDEN
        if tag not in AREA_TAGS and (not attributes or AREA_ATTRIBUTES.isdisjoint(attributes)):
            return 0
        return area_of(tag, attributes, quoted=tag == "footer" and self._sink.in_quotation)

    def _end_before(self, tag: str) -> None:
        """End what ends without an end tag where `tag` begins."""
        if tag in ENDS:
            self._close(self._open.neighbour(tag))
        if tag in PARAGRAPH_ENDS:
            self._close(self._open.paragraph())
        elif tag == "a":
            self._end("a")

    def _end(self, tag: str) -> None:
        if self._too_deep and self._too_deep[tag]:
            self._too_deep[tag] -= 1
            return
        place = self._open.ended_by(tag)
        if place < 0:
            if tag in {"p", "br"} and not self._hidden:
                self._sink.end_paragraph()
        elif self._open.goes_on_in_blocks(tag, place):
            self._finish(self._open.take_out(place))
        else:
            self._close(place)

    def _close(self, place: int) -> None:
        """End the element at that place, and all that lie in it; nothing at -1."""
        while self._open.depth > place >= 0:
            self._finish(self._open.pop())

    def _finish(self, element: Element) -> None:
        if not self._hidden and (element.area or element.tag in BLOCK):
            self._sink.end_paragraph()
        if element.finish is not None:
            element.finish()
            element.finish = None
        if element.area:
            self._count(element.area, -1)
            element.area = 0

    def _count(self, area: int, step: int) -> None:
        """Begin or end an area of the page."""
        for bit in AREAS:
            if area & bit:
                self._areas[bit] += step
                self._hidden = self._areas[HIDDEN] > 0
                here = self._sink.area
                self._sink.area = here | bit if self._areas[bit] else here & ~bit

    def _begin(self, tag: str, attributes: Mapping[str, str]) -> Finish | None:
        if tag in TABLE_PARTS and tag != "table" and self._open.at(self._open.last("table")).finish is None:
            return None  # its table is read as if it were none
        return self._sink.begin(tag, attributes)
