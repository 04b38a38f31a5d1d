"""Text that can be shown: not too much of it, and nothing that a terminal would obey, or nobody would see."""

from __future__ import annotations

import re

#: After these characters a joiner is part of what is written: emoji, and letters of scripts that join their letters.
_JOINING = "\u0590-\u1fff\ufb50-\ufdff\ufe0f\ufe70-\ufefc\u2600-\u27bf\U0001f000-\U0001faff"
_HIDDEN = re.compile(
    r"\r\n?"
    f"|(?<![{_JOINING}])[\u200c\u200d]"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls but tab and newline; escape sequences begin with one
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufff9-\ufffb"  # directions, line separators, no width
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufff8"  # not seen at all
    "\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def excerpt(text: str, longest: int, mark: str = "...") -> str:
    """Return a text as it is or, where it is longer than `longest` characters, so many of them and a mark."""
    return text if len(text) <= longest else text[:longest] + mark


def ends(text: str, longest: int | None) -> tuple[str, ...]:
    """Return a text in one part or, where it is longer than `longest` characters, its beginning, a note, and its end.

    The note says how many characters are not shown.
    """
    if longest is None or len(text) <= longest:
        return (text,)
    half = longest // 2
    notice = f"... ({len(text) - 2 * half:,} of {len(text):,} characters are not shown)"
    return text[:half], notice, text[len(text) - half :]


def printable(text: str, before: str = "") -> str:
    r"""Return the text as a terminal can show it safely.

    Control characters (and so every escape sequence), marks of direction, line separators and characters that are not
    seen are written as Python escapes, such as `\x1b`. Newlines and tabs stay; a carriage return is a newline, so that
    nothing is overwritten. Joiners stay in emoji and in scripts that need them.

    Args:
        text: Any text.
        before: The text that was printed just before, where this text is one part of a stream. Parts that are printed
            one by one then look like the whole.
    """
    last = before[-1:]
    if last == "\r" and text.startswith("\n"):
        text = text[1:]
    if text[:1] in ("\u200c", "\u200d") and re.match(f"[{_JOINING}]", last):
        return text[0] + printable(text[1:], text[0])
    return _HIDDEN.sub(_visible, text)


def one_line(text: str) -> str:
    """Return a whole text in one line, as a terminal can show it safely."""
    return " ".join(printable(text).split("\n"))


def _visible(found: re.Match[str]) -> str:
    hidden = found[0]
    return "\n" if hidden[0] == "\r" else hidden.encode("unicode_escape").decode()
