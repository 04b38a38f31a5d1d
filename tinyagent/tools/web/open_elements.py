"""The elements that have begun and not yet ended, and what ends them."""

from __future__ import annotations

from tinyagent.tools.web.elements import BLOCK, ENDS, FORMATTING, HEADINGS, SCOPES, TABLE_PARTS, Element

#: The depth to which elements within each other are told apart. Browsers stop at 512.
DEEPEST = 1_000


class OpenElements:
    """A stack of elements that finds an element by its name without a search.

    Attributes:
        depth: How many elements are open.
    """

    def __init__(self) -> None:
        self.depth = 0
        self._stack: list[Element] = []
        self._places: dict[str, list[int]] = {}
        #: The places of the elements that stop an end tag, and of those with lines of their own.
        self._scopes = [-1]
        self._blocks = [-1]

    def last(self, tag: str) -> int:
        """Return the place of the innermost element of a name; -1 if there is none."""
        places = self._places.get(tag)
        return places[-1] if places else -1

    @property
    def is_full(self) -> bool:
        """Whether elements are nested as deep as they are told apart (`DEEPEST`)."""
        return self.depth >= DEEPEST

    def at(self, place: int) -> Element:
        """Return the element at a place."""
        return self._stack[place]

    def push(self, element: Element) -> None:
        """Put an element that has begun on the stack."""
        place = self.depth
        self.depth += 1
        self._stack.append(element)
        if (places := self._places.get(element.tag)) is None:
            self._places[element.tag] = [place]
        else:
            places.append(place)
        if element.tag in SCOPES:
            self._scopes.append(place)
        if element.tag in BLOCK:
            self._blocks.append(place)

    def pop(self) -> Element:
        """Take the innermost element off the stack, and return it."""
        element = self._stack.pop()
        self.depth = place = len(self._stack)
        if element.tag:
            self._places[element.tag].pop()
        if self._scopes[-1] == place:
            self._scopes.pop()
        if self._blocks[-1] == place:
            self._blocks.pop()
        return element

    def take_out(self, place: int) -> Element:
        """End the element at a place, though not those that lie in it, and return it."""
        element = self._stack[place]
        self._places[element.tag].pop()
        element.tag = ""
        return element

    def ended_by(self, tag: str) -> int:
        """Return the place of the element that an end tag belongs to; -1 if it belongs to none."""
        # the end tag of any heading ends an open one
        place = max(map(self.last, HEADINGS)) if tag in HEADINGS else self.last(tag)
        border = self.last("table") - 1 if tag in TABLE_PARTS else self._scopes[-1] - (tag in SCOPES)
        return place if place > border else -1

    def goes_on_in_blocks(self, tag: str, place: int) -> bool:
        """Return whether an element ends for text only, since blocks have begun within it: `<b><p>...</b>`."""
        return tag in FORMATTING and place < self._blocks[-1]

    def paragraph(self) -> int:
        """Return the place of the paragraph that a block ends; -1 if none is open."""
        place = self.last("p")
        return place if place > self._scopes[-1] else -1

    def neighbour(self, tag: str) -> int:
        """Return the place of the list item, cell or the like that ends where `tag` begins; -1 if there is none."""
        ended, borders = ENDS[tag]
        border = max(map(self.last, borders))
        if "table" not in borders:
            border = max(border, self._scopes[-1])
        found = [place for place in map(self.last, ended) if place > border]
        return min(found) if found else -1
