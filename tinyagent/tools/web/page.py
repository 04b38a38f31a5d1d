"""A window on the text of a page, and the error of a page without text."""

from __future__ import annotations

from dataclasses import dataclass

from tinyagent.tools.web.errors import AnswerError

#: Characters of one window at most.
LONGEST_WINDOW = 100_000


class PageError(AnswerError):
    """A page was reached, but gives no text; the error's text says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """A window on the text of a page.

    Attributes:
        url: Where the page is, after redirects.
        title: The page's title; may be empty.
        text: The text in the window; that of an HTML page is markdown.
        start: The character of the whole text with which the window begins, from 0.
        end: The character before which the window ends.
        total: The characters of the whole text.
        content_type: What the page is, e.g. "text/html".
        truncated: Whether the page was longer than what was read of it; `total` counts what was read.
    """

    url: str
    title: str
    text: str
    start: int
    end: int
    total: int
    content_type: str = ""
    truncated: bool = False

    def for_model(self) -> str:
        """Return title, URL, how to read on, and the text, which comes last since agents cut what is too long."""
        title = [f"# {self.title}"] if self.title else []
        head = "\n".join([*title, self.url, *(f"[{notice}]" for notice in self._notices())])
        return f"{head}\n\n{self.text}" if self.text else head

    __str__ = for_model

    def _notices(self) -> list[str]:
        if not self.total:
            return ["The page holds no text. It may be made by scripts, which are not run."]
        notices = []
        if self.end - self.start < self.total:
            on = f"; call again with start={self.end} to read on" if self.end < self.total else "; this is the end"
            notices.append(f"characters {self.start:,}-{self.end:,} of {self.total:,}{on}")
        if self.truncated and self.end == self.total:
            notices.append("The page goes on, but no more of it was read: it is too long.")
        return notices


def check_window(start: int, max_chars: int) -> None:
    """Refuse a window that no text can have.

    Raises:
        ValueError: `start` or `max_chars` is wrong; the text says what to pass.
    """
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise ValueError(f"start={start!r}: pass a whole number from 0.")
    if not isinstance(max_chars, int) or isinstance(max_chars, bool) or not 1 <= max_chars <= LONGEST_WINDOW:
        raise ValueError(f"max_chars={max_chars!r}: pass a whole number from 1 to {LONGEST_WINDOW}.")


def window(
    url: str, title: str, text: str, start: int, max_chars: int, *, content_type: str = "", truncated: bool = False
) -> Page:
    """Return the window on a page's text that begins at `start`.

    Raises:
        ValueError: The page's text ends before `start`.
    """
    if start and start >= len(text):
        raise ValueError(f"start={start} is beyond the end: the page has {len(text):,} characters.")
    part = text[start : start + max_chars]
    return Page(url, title, part, start, start + len(part), len(text), content_type, truncated)
