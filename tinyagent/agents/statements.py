"""Python that is still being written, cut into top-level statements."""

from __future__ import annotations

import ast
import re
from copy import copy
from typing import NamedTuple

_TOKENS = re.compile(r"'''|\"\"\"|['\"#\\\[\](){}\n]")
_WORD = re.compile(r"\w+")
#: An escape sequence, and whether Python knows it.
_ESCAPE = re.compile(r"\\(?:[\\'\"abfnrtvxNuU0-7\r\n]|(?P<unknown>))")
#: Words that begin a line at the margin and go on with the statement before.
_GOES_ON = ("else", "elif", "except", "finally")


class Piece(NamedTuple):
    """Part of a block: whole statements; or, where it is the last, what is left of the block.

    Attributes:
        code: The source, with the comments and blank lines before it; the pieces of a block, joined, are the block.
        last: The block ends with this piece.
        line: The number of the piece's first line in the block, from 1.
    """

    code: str
    last: bool = False
    line: int = 1


class StatementSplitter:
    r"""Cuts Python, as it comes, into its top-level statements.

    A statement is complete as soon as the next one begins: a line at the margin, outside brackets and strings, that
    does not go on with the one before (`else`, `except`, ...). What was cut is always valid Python by itself; from the
    first statement that is not, everything stays in `rest`. The statements and the rest, joined, are the lines.

        splitter = StatementSplitter()
        splitter.add("x = 1\n")  # []
        splitter.add("for k in range(3):\n")  # [Piece("x = 1\n")]
        splitter.add("    x += k\n")  # []
        splitter.peek("pri")  # [Piece("for k in range(3):\n    x += k\n", line=2)]
    """

    def __init__(self) -> None:
        self._lines: list[str] = []  # the whole lines that are not handed out
        self._first = 1  # the number of the first of them
        self._code_lines = 0  # how many of the lines there are up to the last that is more than a comment
        self._decorated = False  # the last line at the margin is a decorator, which is no statement by itself
        self._broken = False  # a statement was no valid Python, and nothing more is cut
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
        """Return the lexer as it would be after `code`, the beginning of the next line."""
        lexer = copy(self._lexer)
        lexer.scan(code)
        return lexer

    def add(self, line: str) -> list[Piece]:
        """Read the next line; return the statements that are now complete."""
        found = self.peek(line)
        if self._at_margin(line):
            self._decorated = _unspaced(line).startswith("@")
        is_code = not self._lexer.between_statements or _unspaced(line).strip(" \t\r\n")[:1] not in ("", "#")
        self._lexer.scan(line)
        self._lines.append(line)
        if is_code:
            self._code_lines = len(self._lines)
        return found

    def peek(self, begun: str) -> list[Piece]:
        """Return the statements that are complete, given how the next line begins."""
        if self._broken or not self._code_lines or self._decorated or not self._begins_statement(begun):
            return []
        code = "".join(self._lines[: self._code_lines])
        if not parses(code):
            self._broken = True
            return []
        statement = Piece(code, line=self._first)
        self._first += self._code_lines
        del self._lines[: self._code_lines]
        self._code_lines = 0
        return [statement]

    def rest(self) -> str:
        """Return the code that has not been handed out."""
        return "".join(self._lines)

    def _at_margin(self, line: str) -> bool:
        return self._lexer.between_statements and _unspaced(line)[:1] not in ("", " ", "\t", "#", "\r", "\n")

    def _begins_statement(self, begun: str) -> bool:
        if not self._at_margin(begun):
            return False
        begun = _unspaced(begun)
        word = _WORD.match(begun)
        if word is None:
            return begun[0] not in ")]}\\"
        if word.end() == len(begun):  # more of the word may come
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
        """Whether a statement may begin here: no bracket and no string is open, and no line is continued."""
        return not (self._depth or self._quote or self._continued)

    def scan(self, line: str) -> None:
        """Go through a line, or the beginning of one."""
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
        """Read a token within a string, which it may end; return where to go on."""
        if found == self._quote or (found == "\n" and len(self._quote) == 1):
            self._quote = ""
        elif len(self._quote) == 1 and found[0] == self._quote:  # the first of the token's three quotes
            self._quote = ""
            return start + 1
        elif len(found) == 3:  # three quotes of the other kind, which end nothing
            return start + 1
        return end


def parses(code: str) -> bool:
    """Return whether the code is Python, without a warning of unknown escape sequences, which models write."""
    try:
        ast.parse(_ESCAPE.sub(lambda found: found[0] if found["unknown"] is None else "/", code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _unspaced(line: str) -> str:
    """Return the line from where Python counts indentation: after a form feed (Language Reference, "Indentation")."""
    blank = line[: len(line) - len(line.lstrip(" \t\f"))]
    return line[blank.rfind("\f") + 1 :]
