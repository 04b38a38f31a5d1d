"""What the head of a page tells: its title, and what its links are relative to."""

from __future__ import annotations

from collections.abc import Mapping

from tinyagent.tools.web.elements import Finish
from tinyagent.tools.web.links import Links

LONGEST_TITLE = 300


class Head:
    """What the head of a page tells, collected while it is read.

    Args:
        url: The page's address.
    """

    def __init__(self, url: str) -> None:
        self.links = Links(url)
        self._reading: list[str] | None = None
        self._title = self._shared_as = ""

    @property
    def title(self) -> str:
        """The page's `<title>`, else the title under which it is shared (`og:title`)."""
        return " ".join((self._title or self._shared_as).split())[:LONGEST_TITLE]

    @property
    def reading(self) -> bool:
        """Whether the title is being read."""
        return self._reading is not None

    def takes(self, data: str) -> bool:
        """Take text if it belongs to the title, and return whether it does."""
        if self._reading is None:
            return False
        self._reading.append(data[: 4 * LONGEST_TITLE])
        return True

    def begin_title(self) -> Finish:
        """Begin the title, and return what is to be done at its end."""

        def finish() -> None:
            self._title = self._title or "".join(self._reading or ()).strip()
            self._reading = None

        self._reading = []
        return finish

    def void(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take notice of `<base>` and `<meta>`."""
        if tag == "base":
            self.links.set_base(attributes.get("href", ""))
        elif tag == "meta" and "og:title" in {attributes.get("property"), attributes.get("name")}:
            self._shared_as = self._shared_as or attributes.get("content", "").strip()
