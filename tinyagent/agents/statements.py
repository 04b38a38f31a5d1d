"""Python that is still being written, cut into top-level statements."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

_TOKENS = re.compile(r"'''|\"\"\"|['\"#\\\[\](){}\n]")
_WORD = re.compile(r"\w+")
#: An escape sequence, and whether Python knows it.
_ESCAPE = re.compile(r"\\(?:[\\'\"abfnrtvxNuU0-7\r\n]|(?P<unknown>))")
#: What begins a line at the margin and belongs to the statement before.
_GOES_ON = ("else", "elif", "except", "finally")
#: Characters of a line that has begun which tell whether it begins a statement.
HEAD = 40


class Statement(NamedTuple):
    """One top-level statement, or several on one line.

    Attributes:
        code: Its exact source, with the comments and blank lines before it.
        line: The number of its first line in what was fed, from 1.
    """

    code: str
    line: int


class StatementSplitter:
    r"""Cuts Python, as it comes, into its top-level statements.

    A statement is complete as soon as the next one begins: a line at the margin, outside brackets and strings, that
    does not go on with it (`else`, `except`, ...). What was cut is always valid Python by itself; from the first
    statement that is none, everything stays in `rest`. The statements and the rest, joined, are what was fed,
    whatever pieces it came in.

        splitter = StatementSplitter()
        splitter.feed("x = 1\nfor k in range(3):\n")  # [Statement("x = 1\n", 1)]
        splitter.feed("    x += k\nprint(")  # [Statement("for k in range(3):\n    x += k\n", 2)]
        splitter.rest()  # "print("
    """

    def __init__(self) -> None:
        self._lines: list[str] = []  # not handed out
        self._first = 1  # the number of the first of them
        self._partial: list[str] = []  # of a line
        self._code_lines = 0  # how many of the lines there are up to the last that is more than a comment
        self._decorated = False
        self._broken = False
        self._lexer = Lexer()

    @property
    def line(self) -> int:
        """The number of the first line that has not been handed out."""
        return self._first

    @property
    def in_string(self) -> bool:
        """Whether a string is open at the end of the last whole line."""
        return self._lexer.in_string

    def after(self, code: str) -> Lexer:
        """Return what would be open if the next line went on so far."""
        lexer = self._lexer.copy()
        lexer.scan(code)
        return lexer

    def feed(self, text: str) -> list[Statement]:
        """More of the code; the statements that it shows to be complete."""
        found: list[Statement] = []
        *whole, rest = text.split("\n")
        for part in whole:
            line = "".join((*self._partial, part, "\n"))
            self._partial.clear()
            found += self.peek(line)
            self._take(line)
        if rest:
            self._partial.append(rest)
        if self._partial:
            found += self.peek(_head(self._partial))
        return found

    def peek(self, begun: str) -> list[Statement]:
        """The statements that are complete when the next line begins so."""
        if self._broken or not self._code_lines or self._decorated or not self._begins_statement(begun):
            return []
        code = "".join(self._lines[: self._code_lines])
        if not parses(code):
            self._broken = True
            return []
        statement = Statement(code, self._first)
        self._first += self._code_lines
        del self._lines[: self._code_lines]
        self._code_lines = 0
        return [statement]

    def rest(self) -> str:
        """What has not been handed out."""
        return "".join((*self._lines, *self._partial))

    def _take(self, line: str) -> None:
        if self._at_margin(line):
            self._decorated = _unspaced(line).startswith("@")
        is_code = not self._lexer.between_statements or _unspaced(line).strip(" \t\r\n")[:1] not in ("", "#")
        self._lexer.scan(line)
        self._lines.append(line)
        if is_code:
            self._code_lines = len(self._lines)

    def _at_margin(self, line: str) -> bool:
        return self._lexer.between_statements and _unspaced(line)[:1] not in ("", " ", "\t", "#", "\r", "\n")

    def _begins_statement(self, begun: str) -> bool:
        if not self._at_margin(begun):
            return False
        begun = _unspaced(begun)
        word = _WORD.match(begun)
        if word is None:
            return begun[0] not in ")]}\\"
        if word.end() == len(begun):  # it may not be the whole word
            return not any(name.startswith(word[0]) for name in _GOES_ON)
        return word[0] not in _GOES_ON


class Lexer:
    """Follows strings, brackets, comments and continued lines through Python source."""

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""
        self._continued = False
        self.in_comment = False

    @property
    def in_string(self) -> bool:
        """Whether a string is open."""
        return bool(self._quote)

    @property
    def between_statements(self) -> bool:
        """Whether a statement may begin, going by what is open."""
        return not (self._depth or self._quote or self._continued)

    def copy(self) -> Lexer:
        """One that goes on from here by itself."""
        other = Lexer()
        other._depth, other._quote = self._depth, self._quote
        return other

    def scan(self, line: str) -> None:
        """Go through a line, or its beginning."""
        self._continued = self.in_comment = False
        at = 0
        while (token := _TOKENS.search(line, at)) is not None:
            at = token.end()
            found = token[0]
            if found == "\\":
                at += 1
                self._continued = not self._quote and not line[at - 1 :].strip()
            elif self._quote:
                at = self._in_string(found, token.start(), at)
            elif found == "#":
                self.in_comment = True
                return
            elif found[0] in "'\"":
                self._quote = found
            elif found in "([{":
                self._depth += 1
            elif found in ")]}":
                self._depth = max(0, self._depth - 1)

    def _in_string(self, found: str, start: int, end: int) -> int:
        """A token in a string, which may end it; where to go on."""
        if found == self._quote or (found == "\n" and len(self._quote) == 1):
            self._quote = ""
        elif len(self._quote) == 1 and found[0] == self._quote:  # the first of three
            self._quote = ""
            return start + 1
        elif len(found) == 3:  # three of the other kind
            return start + 1
        return end


def parses(code: str) -> bool:
    """Whether this is Python. No warning of escape sequences that Python does not know, which models write."""
    try:
        ast.parse(_ESCAPE.sub(lambda found: found[0] if found["unknown"] is None else "/", code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _head(parts: list[str]) -> str:
    """The beginning of a line that came in parts."""
    head = ""
    for part in parts:
        head += part
        if len(head.lstrip(" \t\f")) >= HEAD:
            break
    return head


def _unspaced(line: str) -> str:
    """The line as Python sees its indentation, which a form feed ends."""
    blank = line[: len(line) - len(line.lstrip(" \t\f"))]
    return line[blank.rfind("\f") + 1 :]
