"""One block in a model's reply while it is read: where it ends, and which of its statements are complete."""

from __future__ import annotations

import re
from typing import NamedTuple

from tinyagent.agents.statements import Statement, StatementSplitter, parses

_PYTHON = frozenset({"python", "py", "python3", "py3", "ipython", "ipython3", "tool_code", "code"})
#: Languages in whose text fences may stand.
_MARKDOWN = frozenset({"markdown", "md"})
# fmt: off
_OTHERS = _MARKDOWN | {
    "bash", "c", "console", "cpp", "css", "csv", "diff", "html", "ini", "java", "javascript", "js", "json", "log",
    "output", "plaintext", "result", "rust", "sh", "shell", "sql", "stdout", "text", "toml", "ts", "txt", "typescript",
    "xml", "yaml", "yml",
}
# fmt: on
_LANGUAGE = re.compile(r"\{?[ \t]*\.?(?P<name>[\w+#-]+)[ \t]*(?P<more>.*)")
_BACKTICKS = re.compile(r"(?P<code>.*?)(?P<fence>`{3,})[ \t]*(?P<info>[^`]*)$")
_TILDES = re.compile(r"(?P<code>[ \t]*)(?P<fence>~{3,})[ \t]*(?P<info>.*)$")


class Piece(NamedTuple):
    """Part of a block: whole statements; or, where it is the last, what is left of the block.

    Attributes:
        code: Its source; the pieces of a block, joined, are the block.
        last: The block ends with it.
        line: The number of its first line in the block, from 1.
    """

    code: str
    last: bool
    line: int = 1


class Label(NamedTuple):
    """What stands behind a fence: a language in small letters, and more."""

    language: str
    more: str

    @property
    def is_python(self) -> bool:
        """Whether blocks so labelled are code."""
        return self.language in _PYTHON

    @property
    def is_known(self) -> bool:
        """Whether this is the name of a language."""
        return self.is_python or self.language in _OTHERS

    @property
    def is_markdown(self) -> bool:
        """Whether blocks so labelled may hold fences."""
        return self.language in _MARKDOWN


def label_of(info: str) -> Label:
    """What an info string says."""
    found = _LANGUAGE.match(info)
    return Label(found["name"].lower(), found["more"]) if found else Label("", info)


def fence_in(line: str, fence: str) -> re.Match[str] | None:
    """A fence in a line that could close one: `code` before it, `info` after it."""
    if fence not in line:
        return None
    found = (_TILDES if fence[0] == "~" else _BACKTICKS).match(line.rstrip())
    return found if found is not None and len(found["fence"]) >= len(fence) else None


class End(NamedTuple):
    """A line that ends a block: the code before the end, and lines of text after it."""

    code: str = ""
    after: tuple[str, ...] = ()


class TextBlock:
    """A block that is not labelled as Python.

    Args:
        fence: What opened it.
        label: What stood behind that.
        code: It has no label, so that it may be Python all the same.
    """

    def __init__(self, fence: str, label: Label, *, code: bool) -> None:
        self.is_code = code
        self._fence = fence
        self._markdown = label.is_markdown
        self._nested = 0
        self._lines: list[str] = []

    def end_in(self, line: str) -> End | None:
        """The end of the block, if it is in this line."""
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
        """The line in which a reply broke off; if it began the end of the block, that end."""
        return line

    def add(self, line: str) -> list[Piece]:
        """A line of the block."""
        found = fence_in(line, self._fence) if self._markdown else None
        if found is not None and not found["code"].strip():
            self._nested += 1 if found["info"] else -1
        self._lines.append(line)
        return []

    def peek(self, _: str) -> list[Piece]:
        """The next line has begun."""
        return []

    def rest(self) -> str:
        """What it holds."""
        indent = next((_indentation(line) for line in self._lines if line.strip()), "")
        return "".join(line.removeprefix(indent) for line in self._lines)


class CodeBlock:
    """A block that is labelled as Python.

    Args:
        fence: What opened it; for a tag, what closes it.

    Attributes:
        handed_out: Pieces of it have been handed out.
    """

    def __init__(self, fence: str) -> None:
        self.handed_out = False
        self._fence = "```" if fence[0] == "<" else fence
        self._tag = fence if fence[0] == "<" else ""
        self._indent: str | None = None
        self._splitter = StatementSplitter()
        self._begun = False
        self._hidden: int | None = None  # characters before a fence that a string hides
        self._since: list[str] = []  # the lines after it
        self._reopened = False  # in which another block seems to begin

    # ---- where it ends

    def end_in(self, line: str) -> End | None:
        """The end of the block, if it is in this line."""
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
        """The line in which a reply broke off; if it began the end of the block, that end."""
        begun = line.strip().lower()
        if self._splitter.in_string:
            return line
        if len(begun) > 1 and self._tag.startswith(begun):
            return self._tag
        return self._fence if begun in ("`", "``") and self._fence[0] == "`" else line

    def _is_opening(self, found: re.Match[str]) -> bool:
        """Whether it is the fence in a tag."""
        return bool(self._tag) and not self._begun and not found["code"].strip()

    def hidden_end(self, code: str = "") -> tuple[str, list[str]] | None:
        """The code before a fence that did end the block, and the lines after it.

        That is when the string that hid it never ended, or only in what seems to be another block.
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
        """What has not been handed out."""
        return self._splitter.rest()

    def begin(self, code: str) -> list[Piece]:
        """Code on the line that opened the block."""
        self._begun = True
        return self._pieces(self._splitter.feed(f"{code}\n"))

    def add(self, line: str) -> list[Piece]:
        """A line of the block."""
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
        return self._pieces(self._splitter.feed(self._own(line)))

    def finish(self, code: str) -> list[Piece]:
        """The last line of the block, as `End.code` has it."""
        return self._pieces(self._splitter.feed(code))

    def peek(self, begun: str) -> list[Piece]:
        """The next line has begun."""
        head = begun.lstrip(" \t")[:1]
        return self._pieces(self._splitter.peek(self._own(begun))) if head and head not in "`~<" else []

    def _pieces(self, statements: list[Statement]) -> list[Piece]:
        if statements:
            self.handed_out = True
            self._hidden, self._reopened = None, False  # it was in a string that has ended
            self._since.clear()
        return [Piece(statement.code, last=False, line=statement.line) for statement in statements]

    def _own(self, line: str) -> str:
        """The line without the indentation that the whole block has."""
        if not self._indent or line.startswith(self._indent):
            return line[len(self._indent or "") :]
        return line if self._splitter.in_string else line.lstrip(" \t")


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
