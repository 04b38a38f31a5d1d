"""Links as absolute URLs."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

#: Characters of the longest URL that is kept.
LONGEST = 4_096
_DROPPED = re.compile(r"(?:javascript|data|vbscript|blob|about|filesystem):", re.IGNORECASE)
_UNSEEN = dict.fromkeys((*range(0x21), 0x7F)) | {0x20: "%20"}
_ANGLES = str.maketrans({"<": "%3C", ">": "%3E"})


def absolute(base: str, href: str) -> str:
    """Return the URL that a link leads to; empty if it leads nowhere else (`#part`, `javascript:`, `data:`).

    Args:
        base: The URL to which links of the page are relative.
        href: The link as the page has it.
    """
    plain = href.strip().translate(_UNSEEN)
    if not plain or plain.startswith("#") or len(plain) > LONGEST or _DROPPED.match(plain):
        return ""
    try:
        url = (plain if urlsplit(plain).scheme else urljoin(base, plain)).translate(_ANGLES)
    except ValueError:  # such as "http://[": the text stays, without a link
        return ""
    if url.count("(") != url.count(")"):  # they would end the link early
        url = url.replace("(", "%28").replace(")", "%29")
    return url if len(url) <= LONGEST else ""
