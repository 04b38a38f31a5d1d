"""URLs as models write them."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:(?!\d)")
#: The signs that stand around a URL in text, each with the sign that closes it.
_AROUND = {"<": ">", '"': '"', "'": "'", "`": "`", "(": ")", "[": "]", "“": "”", "‘": "’", "«": "»", "*": "*"}
#: How many layers of signs around a URL are taken off at most.
_LAYERS = 6


def unwrapped(url: str) -> str:
    """Return the URL without what models put around it: spaces, `<>`, quotes, markdown."""
    text = url.strip()
    for _ in range(_LAYERS):
        if text.startswith(("[", "![")) and text.endswith(")") and "](" in text:
            text = _target(text[text.index("](") + 2 : -1].strip())
        elif len(text) > 1 and _AROUND.get(text[0]) == text[-1]:
            text = text[1:-1].strip()
    return text


def with_scheme(url: str) -> str:
    """Return the full URL of an address as people write it, which may lack the scheme."""
    text = unwrapped(url)
    if text.startswith("//"):
        return f"https:{text}"
    return text if _SCHEME.match(text) else f"https://{text}"


def _target(text: str) -> str:
    """Return where a link of markdown leads, without its title."""
    if text.startswith("<") and ">" in text:
        return text[1 : text.index(">")]
    return text.split(maxsplit=1)[0] if text else ""
