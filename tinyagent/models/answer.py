"""The answer inside a JSON object, read while the object is being written."""

from __future__ import annotations

import json
import re

#: The inside of a string, up to what a next piece may complete: an escape, or the second half of a character.
_INSIDE = re.compile(
    r"(?:[^\"\\]++|\\[^u]|\\u(?![dD][89abAB])[\da-fA-F]{4}"
    r"|\\u[dD][89abAB][\da-fA-F]{2}(?:\\u[dD][c-fC-F][\da-fA-F]{2}|(?=[^\\]|\\[^u]|\\u[^dD]|\\u[dD][^c-fC-F])))*+",
    re.DOTALL,
)
#: Characters of the longest escape: two halves of a character.
_LONGEST_ESCAPE = 12
_PLAIN = re.compile(r"[^\"{}\[\]:,]++")


class AnswerReader:
    """Finds the inside of one string of a JSON object.

        reader = AnswerReader(("answer",))
        reader.feed('{"tool": null, "answer": "It')  # "It"
        reader.feed(' is 5."} And')  # " is 5."
        reader.rest  # " And"

    Args:
        path: The keys that lead to the string.

    Attributes:
        found: The string has begun.
        rest: What follows the object; `None` until it has closed.
        broken: It is no JSON.
    """

    def __init__(self, path: tuple[str, ...]) -> None:
        self.found = False
        self.rest: str | None = None
        self.broken = False
        self._path = path
        self._held = ""
        self._keys: list[str | None] = []  # of the objects and lists that are open
        self._in_key = self._in_string = self._wanted = False
        self._key = ""

    def feed(self, text: str) -> str:
        """Return more of the string. The first piece begins with the object's bracket."""
        text, self._held = self._held + text, ""
        shown: list[str] = []
        place = 0
        while place < len(text) and self.rest is None and not self.broken:
            if self._in_string:
                place = self._inside(text, place, shown)
            elif plain := _PLAIN.match(text, place):
                place = plain.end()
            else:
                self._mark(text, place)
                place += 1
        return "".join(shown)

    def _inside(self, text: str, start: int, shown: list[str]) -> int:
        found = _INSIDE.match(text, start)
        end = found.end() if found else start
        if self._wanted or self._in_key:
            try:
                part: str = json.loads(f'"{text[start:end]}"', strict=False)
            except ValueError:
                self.broken = True
                return end
            if self._wanted:
                shown.append(part)
            else:
                self._key += part
        if text[end : end + 1] == '"':
            self._in_string = self._wanted = False
            if self._in_key:
                self._keys[-1], self._key = self._key, ""
                self._in_key = False
            return end + 1
        self._held = text[end:]
        self.broken = len(self._held) > _LONGEST_ESCAPE
        return len(text)

    def _mark(self, text: str, place: int) -> None:
        mark = text[place]
        if mark == '"':
            self._in_string = True
            self._in_key = bool(self._keys) and self._keys[-1] == ""
            deep = len(self._keys) == len(self._path)
            self._wanted = deep and not self._in_key and tuple(self._keys) == self._path
            self.found |= self._wanted
        elif mark in "{[":
            self._keys.append("" if mark == "{" else None)
        elif mark in "}]":
            self._keys.pop()
            if not self._keys:
                self.rest = text[place + 1 :]
        elif mark == "," and self._keys[-1] is not None:
            self._keys[-1] = ""
