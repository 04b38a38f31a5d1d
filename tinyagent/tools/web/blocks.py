"""What stands in lines of its own: code, headings, lists, definitions; made into what the writer writes well."""

from __future__ import annotations

import re
from itertools import islice

from turbohtml import Element, Text

from tinyagent.tools.web.inline import is_blank, texts_of

#: Lists and quotes within each other that are indented; those further in stand where the last one does, so that
#: no page grows by being nested.
DEEPEST = 12
#: Elements that the writer takes for parts of a line, or does not know, by what they are read as.
_READ_AS = {
    "dir": "ul",
    "menu": "ul",
    "listing": "pre",
    "plaintext": "pre",
    "xmp": "pre",
    "rp": "span",
} | dict.fromkeys(
    ("center", "dialog", "fieldset", "form", "hgroup", "legend", "marquee", "optgroup", "option", "search"), "div"
)
_HEADINGS = "h1,h2,h3,h4,h5,h6"
_NESTED = "ul,ol,blockquote"
_HOLDERS = "dd,li,ol,pre,table,ul"
_LANGUAGE = re.compile(r"(?<![\w-])(?:(?:language|lang|highlight-source|highlight)-|brush: ?)([\w+#.-]{1,30})")
#: Elements around a code block, and nodes in it, that may name its language.
_NEAR = 3
#: What such classes say that is no language.
_NO_LANGUAGE = frozenset(
    ("default", "none", "nohighlight", "notranslate", "plain", "plaintext", "source", "text", "wrap", "wrapper")
)


def tidy(body: Element) -> None:
    """Rename, mark and remove blocks; texts within lines are as they were."""
    for element in body.select(",".join(_READ_AS)):
        element.tag = _READ_AS[element.tag]
    _flatten_deep(body)
    _break_paragraphs(body)
    _name_languages(body)
    _mark_items(body)
    for element in body.select(f"{_HEADINGS},pre,li"):
        if element.parent is not None and is_blank(element):
            element.decompose()


def _flatten_deep(body: Element) -> None:
    depths: dict[Element, int] = {}
    for element in body.select(_NESTED):
        around = element.parent.closest(_NESTED) if element.parent is not None else None
        depths[element] = depths.get(around, 0) + 1 if around is not None else 1
        if depths[element] > DEEPEST or (element.tag != "blockquote" and element.parent == around):
            element.tag = "div"
            depths[element] -= 1


def _break_paragraphs(body: Element) -> None:
    """Begin a new paragraph at the second line break in a row."""
    for second in body.select("br + br"):
        first = second.previous_sibling
        while first is not None and getattr(first, "tag", "") != "br":
            first = None if first.text.strip() else first.previous_sibling
        if first is not None and second.closest("pre") is None:
            second.tag = "div"


def _name_languages(body: Element) -> None:
    """Name the language of code blocks where the writer looks for it."""
    for block in body.select("pre"):
        inner = [child for child in islice(block.children, _NEAR) if isinstance(child, Element) and child.tag == "code"]
        outer = [above for above in islice(block.ancestors, _NEAR) if isinstance(above, Element)]
        around = [above for above in outer if above.tag in ("div", "figure")]
        language = next(filter(None, map(_language_of, (block, *inner, *around))), "")
        for element in (block, *inner):
            element.attrs["class"] = f"language-{language}" if language else ""


def _language_of(element: Element) -> str:
    """Return the programming language that an element names."""
    named = element.attr("data-lang") or element.attr("data-language") or ""
    found = _LANGUAGE.search((element.attr("class") or "")[:1_000])
    language = found[1] if found else named.strip()
    fits = language and len(language) <= 30 and language.isprintable() and not set(language) & set(" `")
    return language if fits and language.lower() not in _NO_LANGUAGE else ""


def _mark_items(body: Element) -> None:
    """Mark what the writer does not: ticked boxes, meanings, items without a list."""
    for box in body.select("li input[type=checkbox i]"):
        box.replace_with(Text("[x] " if box.attr("checked") is not None else "[ ] "))
    for meaning in body.select("dd"):
        _begin(meaning, ": ")
    for item in body.select("li"):
        if getattr(item.parent, "tag", "") not in {"ul", "ol"}:
            _begin(item, "- ")
            item.tag = "div"


def _begin(block: Element, mark: str) -> None:
    """Put a mark before the first words of a block, unless they lie in code, a table or a list within it."""
    words = next((text for text in texts_of(block) if text.data.strip()), None)
    if words is not None and words.parent is not None and words.parent.closest(_HOLDERS) == block:
        words.data = mark + words.data.lstrip()
