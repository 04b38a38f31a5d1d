"""A line of text with emphasis, code and links, as markdown."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

#: A hard line break, as the gap before a run.
BREAK = "  \n"
_BACKTICKS = re.compile(r"`+")
_SIGNS = frozenset("+-\N{MINUS SIGN}\N{EN DASH}")
#: Scripts that put no space between words: CJK punctuation, kana, Han, full width forms.
_SPACELESS = "[\u2e80-\u312f\u31f0-\u9fff\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff]"
_LINE_END = re.compile(rf"(?<={_SPACELESS})[ \t]*[\r\n]\s*+(?={_SPACELESS})")


class Style(NamedTuple):
    """The style of a run of text. In markdown, later fields lie within earlier ones."""

    link: str = ""
    struck: bool = False
    bold: bool = False
    italic: bool = False
    code: bool = False


PLAIN = Style()
#: What begins and what ends each style of a run, the outermost first.
Marks: TypeAlias = tuple[tuple[str, str], ...]


@functools.lru_cache(maxsize=512)
def restyled(style: Style, field: str, value: object) -> Style:
    """Return a style with another value in one field."""
    fields: dict[str, Any] = {field: value}
    return style._replace(**fields)


@dataclass(slots=True)
class Run:
    """Words of one style, and what separates them from the words before: nothing, a space, or a `BREAK`."""

    gap: str
    words: str
    style: Style


def render(runs: list[Run]) -> str:
    """Write one or more runs as a line of markdown, or as several where they break; spaces stay outside of marks."""
    if len(runs) == 1 and runs[0].style == PLAIN:
        return runs[0].words
    parts: list[str] = []
    open_marks: Marks = ()
    for run in _joined(runs):
        wanted = _marks(run.style)
        same = _in_common(open_marks, wanted) if open_marks and wanted else 0
        if len(open_marks) > same:
            parts += [close for _, close in reversed(open_marks[same:])]
        if parts:
            parts.append(run.gap)
        if len(wanted) > same:
            parts += [begin for begin, _ in wanted[same:]]
        parts.append(code(run.words) if run.style.code else run.words)
        open_marks = wanted
    parts += [close for _, close in reversed(open_marks)]
    return "".join(parts)


def _in_common(one: Marks, other: Marks) -> int:
    """Return how many marks two tuples of marks both begin with."""
    same = 0
    for mark, want in zip(one, other, strict=False):
        if mark != want:
            break
        same += 1
    return same


def _joined(runs: list[Run]) -> list[Run]:
    """Join neighbours of one style: code that was written in several elements is one piece of code."""
    joined: list[Run] = []
    together: list[str] = []
    for run in runs:
        if joined and run.style == joined[-1].style and run.gap != BREAK:
            together += run.gap, run.words
            continue
        if joined:
            joined[-1].words = "".join(together)
        joined.append(Run(run.gap, "", run.style))
        together = [run.words]
    joined[-1].words = "".join(together)
    return joined


@functools.lru_cache(maxsize=512)
def _marks(style: Style) -> Marks:
    """Return what begins and ends each part of a style, the outermost first; code has marks of its own."""
    marks = (("[", f"]({style.link})"),) if style.link else ()
    others = (("~~", style.struck), ("**", style.bold), ("*", style.italic))
    return marks + tuple((mark, mark) for mark, on in others if on)


def code(text: str) -> str:
    """Write a code span, in more backticks than its text has in a row (https://spec.commonmark.org/0.31.2/#code-spans)."""
    fence = "`" * (longest_backticks(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def code_block(text: str, language: str = "") -> str:
    """Write lines as a fenced code block, whose fence is longer than any row of backticks within."""
    fence = "`" * max(3, longest_backticks(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def is_exponent(data: str) -> bool:
    """Return whether a superscript gets a `^` before it: letters and digits with or without a sign, or a sign alone."""
    return data[:1].isalnum() or (data[:1] in _SIGNS and (len(data) == 1 or data[1].isalnum()))


def without_line_ends(data: str) -> str:
    """Return text without line ends that are no space: https://drafts.csswg.org/css-text-3/#line-break-transform."""
    return _LINE_END.sub("", data) if "\n" in data else data


def longest_backticks(text: str) -> int:
    """Return how many backticks stand in a row, at most."""
    return max((len(found) for found in _BACKTICKS.findall(text)), default=0) if "`" in text else 0
