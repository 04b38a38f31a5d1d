"""Links as absolute URLs."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

#: Characters of the longest URL that is kept.
LONGEST = 4_096
_DROPPED = re.compile(r"(?:javascript|data|vbscript|blob|about|filesystem):", re.IGNORECASE)
_UNSEEN = dict.fromkeys((*range(0x21), 0x7F)) | {0x20: "%20"}
_ANGLES = str.maketrans({"<": "%3C", ">": "%3E"})


class Links:
    """The links of one page, which it makes absolute.

    Args:
        url: The page's address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._has_base = False
        self._known: dict[str, str] = {}

    def set_base(self, href: str) -> None:
        """Resolve links against a `<base href>` from now on; only the first one of a page counts."""
        if self._has_base or not href.strip():
            return
        base = self._join(href.strip())
        if base.startswith(("http://", "https://")):
            self._url, self._has_base = base, True

    def absolute(self, href: str) -> str:
        """Return the URL that a link leads to; empty if it leads nowhere else (`#part`, `javascript:`, `data:`)."""
        found = self._known.get(href)
        if found is None:
            found = self._known[href] = self._resolve(href)
        return found

    def _resolve(self, href: str) -> str:
        plain = href.strip().translate(_UNSEEN)
        if not plain or plain.startswith("#") or len(plain) > LONGEST or _DROPPED.match(plain):
            return ""
        url = self._join(plain).translate(_ANGLES)
        if url.count("(") != url.count(")"):  # they would end the link early
            url = url.replace("(", "%28").replace(")", "%29")
        return url if len(url) <= LONGEST else ""

    def _join(self, href: str) -> str:
        try:
            return href if urlsplit(href).scheme else urljoin(self._url, href)
        except ValueError:  # such as "http://[": the text stays, without a link
            return ""
