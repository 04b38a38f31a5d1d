"""The code in a model's reply, found while it is being written."""

from __future__ import annotations

import ast
import re
import textwrap
from collections import deque
from collections.abc import Collection
from io import StringIO

from tinyagent.agents.fenced import CodeBlock, TextBlock, label_of
from tinyagent.agents.statements import Piece, StatementSplitter, parses

#: The markers of list items, in which a block may stand.
_LIST = r"[ \t]*(?:(?:[-*+]|\d+[.)])[ \t]+)*"
_FENCE = re.compile(_LIST + r"(?P<fence>`{3,}(?=[^`]*$)|~{3,})[ \t]*(?P<info>.*)")
_ONE_LINE = re.compile(_LIST + r"(?P<fence>`{3,})(?!`)[ \t]*(?P<body>.*[^`])(?P=fence)$")
#: A fence after text on its line counts only with a label.
_AFTER_TEXT = re.compile(r".*[^`](?P<fence>`{3,})[ \t]*(?P<info>python3?|py|tool_code)$", re.IGNORECASE)
_TAG = re.compile(r"(?P<text>.*?)<(?P<tag>code|python|execute_python)>(?P<code>.*)", re.IGNORECASE)
#: An unfinished line that opens a block, or may do so.
_OPENING = re.compile(
    _FENCE.pattern + r"|[ \t]*(?:`{1,2}|~{1,2})$|[ \t]*<(?:[a-z_]*$|(?:code|python|execute_python)>)", re.IGNORECASE
)
#: What follows a label is code if it looks like it, and not like `title="x"` or `main.py`.
_CODE = re.compile(r"(?:import|from)[ \t]+\w|[\w\]]+[ \t]+[-+*/]?=[ \t]|.*\w\(")
#: Parts of a line, as they came, that are looked at before the line is whole.
_HEAD = 40


class FenceReader:
    r"""Finds the blocks of Python in a reply while it comes, and cuts them into statements that can run already.

    What counts, in order: fences of backticks or tildes that are labelled as Python, and the tags `<code>`, `<python>`
    and `<execute_python>`, closed or not; where a reply has none of these, fences without a label that hold Python;
    where it has no fence at all, the whole reply if it is Python and calls something known. A fence inside a string of
    the code does not end the block, unless that string would otherwise never end.

    The pieces are the same however the reply was cut on its way.

        reader = FenceReader(["search"])
        reader.feed("Look:\n```python\nx = search('tea')\nprint(")  # [Piece("x = search('tea')\n", False, 1)]
        reader.feed("x)\n```\n")  # [Piece("print(x)\n", True, 2)]
        reader.finish()  # []

    Args:
        known_calls: Names of functions by which code without a fence is recognised.

    Attributes:
        dropped: The code that was not handed out because the reply was cut off in the middle of it.
    """

    def __init__(self, known_calls: Collection[str] = ()) -> None:
        self.dropped = ""
        self._known_calls = frozenset(known_calls)
        self._whole: list[str] = []  # the lines of the reply, while no block was in it
        self._partial: list[str] = []  # the line that is not whole yet
        self._block: CodeBlock | TextBlock | None = None
        self._fenced = self._labelled = False  # there was a block; there was one that is labelled as Python
        self._bare: list[str] = []  # the code of blocks without a label

    @property
    def in_block(self) -> bool:
        """Whether a block is open so far; the unfinished line counts if it begins or ends one, or may do so."""
        line = "".join(self._partial)
        if self._block is None:
            return _OPENING.match(line) is not None
        return self._block.end_in(line) is None

    def feed(self, text: str) -> list[Piece]:
        """Read more of the reply; return the pieces of code that are now complete."""
        pieces: list[Piece] = []
        *whole, rest = text.split("\n")
        for part in whole:
            line = "".join((*self._partial, part)).removesuffix("\r")
            self._partial.clear()
            pieces += self._read(f"{line}\n")
        if rest:
            self._partial.append(rest)
        if self._partial and self._block is not None:
            pieces += self._block.peek("".join(self._partial[:_HEAD]))
        return pieces

    def finish(self, cut: bool = False) -> list[Piece]:
        """End the reply; return what is left of the code in it.

        Args:
            cut: The reply was cut off: a block that is still open ends after its last complete statement, and only
                labelled blocks count. `dropped` has the rest.
        """
        pieces: list[Piece] = []
        line = "".join(self._partial).removesuffix("\r")
        self._partial.clear()
        if cut and self._block is not None:
            line = self._block.completed(line)
            if self._block.end_in(line) is None:
                self._drop(self._block, line, pieces)
                return pieces
        if line:
            pieces += self._read(f"{line}\n")
        while (block := self._block) is not None:
            self._block = None
            if cut:
                self._drop(block, "", pieces)
            else:
                pieces += self._read(*self._close(block, "", pieces) or ())
        if not cut and not self._labelled:
            pieces += [Piece(code, last=True) for code in self._unlabelled()]
        return pieces

    def _read(self, *lines: str) -> list[Piece]:
        """Read whole lines; return the pieces of code that are now complete."""
        pieces: list[Piece] = []
        queue = deque(lines)
        while queue:
            line = queue.popleft()
            block = self._block
            if block is None:
                pieces += self._outside(line)
            elif (end := block.end_in(line)) is None:
                pieces += block.add(line)
            else:
                self._block = None
                again = self._close(block, end.code, pieces)
                queue.extendleft(reversed(end.after if again is None else [*again, line]))
        return pieces

    def _close(self, block: CodeBlock | TextBlock, code: str, pieces: list[Piece]) -> list[str] | None:
        """Hand out the end of a block, with `code`; return the lines to read again if the block had ended before."""
        if isinstance(block, TextBlock):
            if block.is_code:
                self._bare.append(block.rest() + code)
            return None
        hidden = block.hidden_end(code)
        if hidden is None:
            pieces += block.finish(code)
        rest, again = hidden or (block.rest(), None)
        if rest.strip() or block.handed_out:
            pieces.append(Piece(rest, last=True, line=block.line))
        return again

    def _drop(self, block: CodeBlock | TextBlock, line: str, pieces: list[Piece]) -> None:
        """Keep in `dropped` what cannot run because the reply was cut off, and end the block."""
        rest = block.rest() + line
        if isinstance(block, CodeBlock):
            self.dropped = rest
            if block.handed_out:
                pieces.append(Piece("", last=True, line=block.line))
        elif block.is_code and not self._labelled and any(map(StatementSplitter().add, StringIO(rest))):
            self.dropped = rest

    # ---- outside of blocks

    def _outside(self, line: str) -> list[Piece]:
        """Read a line outside of blocks, which may open one, or be one."""
        text = line.rstrip()
        if "```" in text or "~~~" in text:
            if (one := _ONE_LINE.match(text)) and "```" not in one["body"]:
                return self._one_line(one["body"].strip())
            if opening := _FENCE.match(text) or _AFTER_TEXT.match(text):
                return self._open(opening["fence"], opening["info"])
        elif "<" in text and (tag := _TAG.match(text)):
            return self._tag(tag["text"].strip(), tag["tag"], tag["code"])
        if not self._fenced:
            self._whole.append(line)
        return []

    def _one_line(self, body: str) -> list[Piece]:
        """Read a block that stands on one line."""
        self._fenced = True
        label = label_of(body)
        if label.is_python:
            self._labelled = True
            return [Piece(f"{label.more}\n", last=True)] if label.more else []
        if not label.is_known:
            self._bare.append(f"{body}\n")
        return []

    def _open(self, fence: str, info: str) -> list[Piece]:
        """Open the block that begins with this fence and the text behind it."""
        self._fenced = True
        label = label_of(info)
        if label.is_python:
            self._labelled = True
            self._block = block = CodeBlock(fence)
            return block.begin(label.more) if _CODE.match(label.more) else []
        code = not label.is_known and _CODE.match(info) is not None
        self._block = TextBlock(fence, label, code=code or not info)
        return self._block.add(f"{info}\n") if code else []

    def _tag(self, text: str, tag: str, code: str) -> list[Piece]:
        """Read a line with an opening tag, text before it and code after it; ignore a tag that is only spoken of."""
        end = f"</{tag.lower()}>"
        at = code.lower().find(end)
        if (text and (code or not text.endswith(":"))) or (at >= 0 and code[at + len(end) :]):
            return []  # the tag is a word in a sentence
        self._fenced = self._labelled = True
        if at >= 0:
            return [Piece(f"{code[:at].strip()}\n", last=True)] if code[:at].strip() else []
        self._block = block = CodeBlock(end)
        return block.begin(code.strip()) if code.strip() else []

    def _unlabelled(self) -> list[str]:
        """Return the code of a reply in which nothing is labelled as Python."""
        if self._fenced:
            return [code for code in self._bare if code.strip() and parses(code)]
        code = textwrap.dedent("".join(self._whole)).strip("\n") + "\n"
        if not self._known_calls or not parses(code):
            return []
        calls = (node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
        known = any(isinstance(function, ast.Name) and function.id in self._known_calls for function in calls)
        return [code] if known else []
