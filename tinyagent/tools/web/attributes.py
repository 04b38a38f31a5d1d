"""What the attributes of HTML's elements say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from tinyagent.tools.web.elements import names

Attributes: TypeAlias = Mapping[str, str]

#: Rows that a cell takes at most.
MOST_ROWS = 65_534
_LANGUAGE = re.compile(r"(?<![\w-])(?:(?:language|lang|highlight-source|highlight)-|brush: ?)([\w+#.-]{1,30})")
#: Words in the class of a block of code that name no language.
_NO_LANGUAGE = names("default none nohighlight notranslate plain plaintext source text wrap wrapper")


def number_of(text: str | None, default: int) -> int:
    """Return a whole number from its text in HTML; `default` for any other text."""
    digits = (text or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else default


def arranges(attributes: Attributes) -> bool:
    """Return whether a table says that it holds no data."""
    return attributes.get("role", "").strip().lower() in {"presentation", "none"}


def rows_of(attributes: Attributes) -> int:
    """Return how many rows a cell takes; 0 means all that follow (https://html.spec.whatwg.org/#attr-tdth-rowspan)."""
    return number_of(attributes.get("rowspan"), 1) or MOST_ROWS


def language_of(attributes: Attributes) -> str:
    """Return the programming language that an element names; empty if it names none."""
    named = attributes.get("data-lang") or attributes.get("data-language") or ""
    found = _LANGUAGE.search(attributes.get("class", "")[:1_000])
    language = found[1] if found else named.strip()
    fits = language and len(language) <= 30 and language.isprintable() and not set(language) & set(" `")
    return language if fits and language.lower() not in _NO_LANGUAGE else ""
