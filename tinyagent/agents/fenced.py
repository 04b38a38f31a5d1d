"""One block in a model's reply while it is read: where it ends, and which of its statements are complete."""

from __future__ import annotations

import re
from typing import NamedTuple

from tinyagent.agents.statements import Piece, StatementSplitter, parses

#: Labels of blocks that are code, in small letters.
_PYTHON = frozenset({"python", "py", "python3", "py3", "ipython", "ipython3", "tool_code", "code"})
#: Languages in whose text fences may stand.
_MARKDOWN = frozenset({"markdown", "md"})
# fmt: off
#: Other labels that name a language.
_OTHERS = _MARKDOWN | {
    "bash", "c", "console", "cpp", "css", "csv", "diff", "html", "ini", "java", "javascript", "js", "json", "log",
    "output", "plaintext", "result", "rust", "sh", "shell", "sql", "stdout", "text", "toml", "ts", "txt", "typescript",
    "xml", "yaml", "yml",
}
# fmt: on
_LANGUAGE = re.compile(r"\{?[ \t]*\.?(?P<name>[\w+#-]+)[ \t]*(?P<more>.*)")
_BACKTICKS = re.compile(r"(?P<code>.*?)(?P<fence>`{3,})[ \t]*(?P<info>[^`]*)$")
_TILDES = re.compile(r"(?P<code>[ \t]*)(?P<fence>~{3,})[ \t]*(?P<info>.*)$")


class Label(NamedTuple):
    """What stands behind an opening fence: a language in small letters, and the text after it."""

    language: str
    more: str

    @property
    def is_python(self) -> bool:
        """Whether blocks with this label are code."""
        return self.language in _PYTHON

    @property
    def is_known(self) -> bool:
        """Whether the label names a known language."""
        return self.is_python or self.language in _OTHERS


def label_of(info: str) -> Label:
    """Return the label in an info string, the text behind a fence (CommonMark, "Fenced code blocks")."""
    found = _LANGUAGE.match(info)
    return Label(found["name"].lower(), found["more"]) if found else Label("", info)


def fence_in(line: str, fence: str) -> re.Match[str] | None:
    """Find a fence in a line that could close `fence`; the match holds the `code` before it and the `info` after it."""
    if fence not in line:
        return None
    found = (_TILDES if fence[0] == "~" else _BACKTICKS).match(line.rstrip())
    return found if found is not None and len(found["fence"]) >= len(fence) else None


class End(NamedTuple):
    """The end of a block in one of its lines.

    Attributes:
        code: The code that stands before the end, a whole line.
        after: What stands after the end, as lines of text that are read next.
    """

    code: str = ""
    after: tuple[str, ...] = ()


class TextBlock:
    """A block that is not labelled as Python.

    Args:
        fence: The fence that opened the block.
        label: What stood behind the fence.
        code: The block has no label, so that it may be Python all the same.
    """

    def __init__(self, fence: str, label: Label, *, code: bool) -> None:
        self.is_code = code
        self._fence = fence
        self._markdown = label.language in _MARKDOWN
        self._nested = 0
        self._lines: list[str] = []

    def end_in(self, line: str) -> End | None:
        """Return the end of the block, if it is in this line."""
        found = fence_in(line, self._fence)
        if found is None or self._nested:
            return None
        if found["code"].strip():
            within = "```" in found["code"] or found["info"] or self._markdown
            return None if within else End(f"{found['code'].rstrip()}\n")
        if not found["info"]:
            return End()
        return End(after=(line,)) if label_of(found["info"]).is_python and not self._markdown else None

    def completed(self, line: str) -> str:
        """Return the line in which a reply broke off, as it is."""
        return line

    def add(self, line: str) -> list[Piece]:
        """Keep a line of the block; nothing of it can run yet."""
        found = fence_in(line, self._fence) if self._markdown else None
        if found is not None and not found["code"].strip():
            self._nested += 1 if found["info"] else -1
        self._lines.append(line)
        return []

    def peek(self, _: str) -> list[Piece]:
        """Ignore the beginning of the next line; nothing of the block can run yet."""
        return []

    def rest(self) -> str:
        """Return the lines of the block without the indentation of the first."""
        indent = next((_indentation(line) for line in self._lines if line.strip()), "")
        return "".join(line.removeprefix(indent) for line in self._lines)


class CodeBlock:
    """A block that is labelled as Python.

    Args:
        fence: The fence that opened the block, or the tag that closes it.

    Attributes:
        handed_out: Pieces of the block have been handed out.
    """

    def __init__(self, fence: str) -> None:
        self.handed_out = False
        self._fence = "```" if fence[0] == "<" else fence
        self._tag = fence if fence[0] == "<" else ""
        self._indent: str | None = None
        self._splitter = StatementSplitter()
        self._begun = False  # there is more in it than empty lines
        self._hidden: int | None = None  # characters of `rest` before a fence that stands in a string
        self._since: list[str] = []  # the lines after that fence
        self._reopened = False  # in those lines another block seems to begin

    # ---- where it ends

    def end_in(self, line: str) -> End | None:
        """Return the end of the block, if it is in this line."""
        if self._tag and (at := line.lower().find(self._tag)) >= 0:
            code, after = self._own(line[:at]), line[at + len(self._tag) :]
            if not self._splitter.after(code).in_string:
                return End(f"{code.rstrip()}\n" if code.strip() else "", (after,) if after.strip() else ())
        found = fence_in(line, self._fence)
        if found is None or self._is_opening(found):
            return None
        code = self._own(found["code"])
        then = self._splitter.after(code)
        if then.in_string:
            return None
        if not code.strip():
            return End(after=(line,) if label_of(found["info"]).is_known else ())
        empty_comment = then.in_comment and not code.rpartition("#")[2].strip()
        return None if found["info"] or empty_comment else End(f"{code.rstrip()}\n")

    def completed(self, line: str) -> str:
        """Return the line in which a reply broke off, or the end of the block where the line began it."""
        begun = line.strip().lower()
        if self._splitter.in_string:
            return line
        if len(begun) > 1 and self._tag.startswith(begun):
            return self._tag
        return self._fence if begun in ("`", "``") and self._fence[0] == "`" else line

    def _is_opening(self, found: re.Match[str]) -> bool:
        """Return whether the fence opens the block that a tag has announced."""
        return bool(self._tag) and not self._begun and not found["code"].strip()

    def hidden_end(self, code: str = "") -> tuple[str, list[str]] | None:
        """Return the code before a fence in a string, and the lines after it, where that fence did end the block.

        It did if the string has no end, or only one in what seems to be another block. Otherwise return `None`.

        Args:
            code: Code that follows the lines of the block.
        """
        if self._hidden is None or not (self._splitter.in_string or self._reopened) or parses(self.rest() + code):
            return None
        return self.rest()[: self._hidden], self._since

    # ---- its code

    @property
    def line(self) -> int:
        """The number of the first line that has not been handed out."""
        return self._splitter.line

    def rest(self) -> str:
        """Return the code that has not been handed out."""
        return self._splitter.rest()

    def begin(self, code: str) -> list[Piece]:
        """Begin with the code on the line that opened the block; return the pieces that are complete."""
        self._begun = True
        return self._handed(self._splitter.add(f"{code}\n"))

    def add(self, line: str) -> list[Piece]:
        """Read a line of the block; return the pieces that are complete."""
        found = fence_in(line, self._fence)
        if found is not None and self._is_opening(found):
            self._fence, self._tag = found["fence"], ""
            return []
        if self._hidden is not None:
            self._since.append(line)
            self._reopened = self._reopened or (found is not None and label_of(found["info"]).is_python)
        elif self._splitter.in_string and found is not None and not (found["code"].strip() or found["info"]):
            self._hidden = len(self.rest())
        if self._indent is None and line.strip():
            self._indent = _indentation(line)
        self._begun = self._begun or bool(line.strip())
        return self._handed(self._splitter.add(self._own(line)))

    def finish(self, code: str) -> list[Piece]:
        """Read the last line of the block, as `End.code` has it; return the pieces that are complete."""
        return self._handed(self._splitter.add(code)) if code else []

    def peek(self, begun: str) -> list[Piece]:
        """Return the pieces that are complete, given how the next line begins."""
        head = begun.lstrip(" \t")[:1]
        return self._handed(self._splitter.peek(self._own(begun))) if head and head not in "`~<" else []

    def _handed(self, pieces: list[Piece]) -> list[Piece]:
        if pieces:
            self.handed_out = True
            self._hidden, self._reopened = None, False  # the string has ended, so that the fence is part of it
            self._since.clear()
        return pieces

    def _own(self, line: str) -> str:
        """Return a line without the indentation that the whole block has."""
        if not self._indent or line.startswith(self._indent):
            return line[len(self._indent or "") :]
        return line if self._splitter.in_string else line.lstrip(" \t")


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
