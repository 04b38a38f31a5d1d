"""The part of a reply in a JSON protocol that a person may see, while it is written."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import ClassVar

from tinyagent.core.events import TextVoided
from tinyagent.core.messages import Reply
from tinyagent.core.tool import Tool
from tinyagent.models.base import Sink
from tinyagent.models.marks import MarkSplitter, offered_by_name
from tinyagent.models.objects import read_json

#: The inside of a string, up to what the next piece may complete: an escape, or the second half of a character.
_INSIDE = re.compile(
    r"(?:[^\"\\]++|\\[^u]|\\u(?![dD][89abAB])[\da-fA-F]{4}"
    r"|\\u[dD][89abAB][\da-fA-F]{2}(?:\\u[dD][c-fC-F][\da-fA-F]{2}|(?=[^\\]|\\[^u]|\\u[^dD]|\\u[dD][^c-fC-F])))*+",
    re.DOTALL,
)
#: Characters of the longest escape: two halves of a character.
_LONGEST_ESCAPE = 12
_PLAIN = re.compile(r"[^\"{}\[\]:,]++")


class AnswerReader:
    """A reader of one string in a JSON object that comes in pieces.

        reader = AnswerReader(("answer",))
        reader.feed('{"tool": null, "answer": "It')  # "It"
        reader.feed(' is 5."} And')  # " is 5."
        reader.rest  # " And"

    Args:
        path: The keys that lead to the string.

    Attributes:
        found: Whether the string has begun.
        rest: The text that follows the object; `None` until the object has closed.
        broken: Whether the text is no JSON.
    """

    def __init__(self, path: tuple[str, ...]) -> None:
        self.found = False
        self.rest: str | None = None
        self.broken = False
        self._path = path
        self._held = ""
        self._keys: list[str | None] = []  # the current key of each open object, `None` for a list
        self._string = ""  # the kind of the open string: `key`, `answer` or `other`

    def feed(self, text: str) -> str:
        """Return what the next piece of the object adds to the string. The first piece begins with the bracket."""
        text, self._held = self._held + text, ""
        shown: list[str] = []
        place = 0
        while place < len(text) and self.rest is None and not self.broken:
            if self._string:
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
        if self._string != "other":
            try:
                part: str = json.loads(f'"{text[start:end]}"', strict=False)
            except ValueError:
                self.broken = True
                return end
            if self._string == "key":
                self._keys[-1] = (self._keys[-1] or "") + part
            else:
                shown.append(part)
        if text[end : end + 1] == '"':
            self._string = ""
            return end + 1
        self._held = text[end:]
        self.broken = len(self._held) > _LONGEST_ESCAPE
        return len(text)

    def _mark(self, text: str, place: int) -> None:
        mark = text[place]
        if mark == '"':
            is_answer = len(self._keys) == len(self._path) and tuple(self._keys) == self._path
            self._string = "key" if self._keys and self._keys[-1] == "" else "answer" if is_answer else "other"
            self.found |= is_answer
        elif mark in "{[":
            self._keys.append("" if mark == "{" else None)
        elif mark in "}]":
            self._keys.pop()
            if not self._keys:
                self.rest = text[place + 1 :]
        elif mark == "," and self._keys[-1] is not None:
            self._keys[-1] = ""


#: The place where an object may begin, in a fence or not; and a fence with which the text ends.
_OPENING = re.compile(r"(?:```\w*\s*+)?\{")
_FENCE = re.compile(r"`{1,2}\Z|```\w*\s*+\Z")
#: The beginning of an object, up to its first key.
_HEAD = re.compile(r"\{\s*+(?:([\"'])(\w*+)(\1)?)?")
#: Objects in one reply after which nothing more is shown before the reply is whole.
MOST_OBJECTS = 200
#: Characters within which an object must have shown its first key.
_LONGEST_HEAD = 200


class ShownReply(ABC):
    """A sink that passes on what a person may see: prose as it comes, and of an object the inside of its answer alone.

    Prose before the first object is shown, and is void when that object holds the answer. Only the whole reply tells
    for certain what the model has written: `settle` takes back what was shown by mistake.

    Args:
        sink: The listener to whom it is passed on.
        tools: The tools on offer: a call of them in a model's own marks is no prose.

    Attributes:
        followed: Whether the server keeps to the form that the request asks of replies; known after `read`.
    """

    #: The keys with which objects of the protocol begin, and the keys that lead to the answer in an object.
    keys: ClassVar[Collection[str]]
    path: ClassVar[tuple[str, ...]]
    #: Whether thoughts may stand before the reply.
    thinks: ClassVar[bool] = True

    def __init__(self, sink: Sink, tools: tuple[Tool[..., object], ...]) -> None:
        self.followed = True
        self.reasoning = sink.reasoning
        self.call = sink.call
        self.notice = sink.notice
        self._sink = sink
        self._offered = offered_by_name(tools)
        self._marks = MarkSplitter(tools)
        self._shown: list[str] = []
        self._held = ""  # text that may be the beginning of an object
        self._object: list[str] = []  # the object that is being written
        self._reader: AnswerReader | None = None
        self._answered = False  # whether an answer has begun
        self._items = False  # whether an object of the protocol has come: prose is no answer then
        self._left = MOST_OBJECTS

    @abstractmethod
    def is_item(self, value: object) -> bool:
        """Return whether a whole object is one of the protocol."""

    @abstractmethod
    def read(self, reply: Reply) -> Reply:
        """Return the whole reply with the calls, or the answer, that stand in its text."""

    @property
    def committed(self) -> bool:
        """Whether the sink has acted on part of the reply already, so that it cannot be asked for again."""
        return self._sink.committed

    @property
    def answer(self) -> str | None:
        """The answer as far as it has come; `None` before it has begun."""
        return "".join(self._shown) if self._answered else None

    def text(self, delta: str) -> None:
        """Hear more of the reply, and pass on what a person may see of it."""
        while delta and self._left:
            delta = self._prose(delta) if self._reader is None else self._inside(self._reader, delta)

    def settle(self, text: str) -> None:
        """Show this text and nothing else: the rest of it, or the whole text in place of what was shown."""
        shown = "".join(self._shown)
        if not text.startswith(shown):
            self.notice(TextVoided(shown))
            shown = ""
        if rest := text[len(shown) :]:
            self._sink.text(rest)

    def _prose(self, text: str) -> str:
        """Show prose; return the text from the bracket on with which an object of the protocol begins."""
        text, self._held = self._held + text, ""
        place = 0
        while opening := _OPENING.search(text, place):
            self._show_prose(text[place : opening.start()])
            place, bracket = opening.start(), opening.end() - 1
            head = _HEAD.match(text, bracket)
            if head and head.end() == len(text) and not head[3] and len(text) - place < _LONGEST_HEAD:
                self._held = text[place:]  # the next piece tells
                return ""
            if head and head[2] in self.keys:
                self._reader, self._object = AnswerReader(self.path), [text[place:bracket]]
                return text[bracket:]
            self._show_prose(text[place : bracket + 1])
            place = bracket + 1
        fence = _FENCE.search(text, place)
        end = fence.start() if fence and len(text) - fence.start() < _LONGEST_HEAD else len(text)
        self._show_prose(text[place:end])
        self._held = text[end:]
        return ""

    def _inside(self, reader: AnswerReader, text: str) -> str:
        """Show the answer in an object; return the text behind the object."""
        self._object.append(text)
        began = reader.found
        part = reader.feed(text)
        if reader.found and not began:
            part = self._begin_answer() + part
        if part:
            self._shown.append(part)
            self._sink.text(part)
        if reader.rest is None:
            return ""
        whole = "".join(self._object)
        whole = whole[: len(whole) - len(reader.rest)]
        self._reader = None
        self._left -= 1
        if not self._items and not self._reads(whole):
            self._show_prose(whole)
        return reader.rest

    def _begin_answer(self) -> str:
        """Begin to show an answer: void the prose before the first one; return what separates it from another."""
        first, self._answered, self._items = not self._answered, True, True
        if first and self._shown:
            self.notice(TextVoided("".join(self._shown)))
            self._shown.clear()
        return "" if first else "\n"

    def _reads(self, text: str) -> bool:
        """Return whether an object, which a fence may precede, is one of the protocol."""
        try:
            self._items = self.is_item(read_json(text, text.index("{"))[0])
        except ValueError:
            self._items = True  # no JSON: nothing more is shown before the reply is whole
        return self._items

    def _show_prose(self, text: str) -> None:
        if text and not self._items and (sure := self._marks.split(text)):
            self._shown.append(sure)
            self._sink.text(sure)
