"""The parts of what a reply says: its thoughts, its text, and the calls that stand in its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tinyagent.core.events import TextVoided
from tinyagent.core.messages import Call
from tinyagent.core.tool import Tool
from tinyagent.models.base import Sink
from tinyagent.models.marks import Found, MarkSplitter, read_calls
from tinyagent.models.thoughts import ThinkSplitter, orphaned_end

#: Texts in which no tag, mark, object or fence begins: at the start of a reply, and within it.
_PLAIN_START = re.compile(r"\s*[^\s<\[{`][^<\[`]*\Z")
_PLAIN = re.compile(r"[^<\[`]*\Z")
#: The types of the parts of a message's content that are thoughts.
_THOUGHTS = ("thinking", "reasoning", "thought")


@dataclass(slots=True)
class Habit:
    """What the replies of one model on one server have shown.

    Attributes:
        opened: Whether the chat template opens a block of thoughts, so that replies hold only its end; `None` while
            no reply has told.
    """

    opened: bool | None = None

    def learn(self, *, opened: bool) -> None:
        """Remember whether a complete reply held only the end of a block; one that did outweighs any that did not."""
        self.opened = self.opened or opened


class Said:
    """The thoughts, text and calls of one reply, told apart; the sink hears thoughts and text as they arrive.

    Args:
        sink: The listener of the reply.
        tools: The tools on offer: calls of them that stand in the text are read.
        habit: What earlier replies of the model have shown; this reply adds to it.

    Attributes:
        goes_on: Whether the text holds thoughts alone, from which the model is to go on.
    """

    def __init__(self, sink: Sink, tools: tuple[Tool[..., object], ...], habit: Habit | None) -> None:
        self.goes_on = False
        self._sink = sink
        self._tools = tools
        self._habit = habit or Habit()
        self._opened = bool(self._habit.opened)
        self._think: ThinkSplitter | None = None  # made when a text comes that may hold thoughts
        self._marks: MarkSplitter | None = None  # made with it, where there are tools
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._field = ""

    @property
    def text(self) -> str:
        """The text of the reply so far."""
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        """The reasoning of the reply so far."""
        return "".join(self._reasoning)

    def whole(self) -> tuple[str, str, str]:
        """Return the text, the reasoning, and the `reasoning_field` of the `Reply`.

        Text before the end of a block that has no beginning is reasoning.
        """
        text, reasoning, field = self.text, self.reasoning, self._field
        if end := self._orphaned_end():
            reasoning += text[: end[0]].strip()
            text, field = text[end[1] :].lstrip(), field or "think"
        return text, reasoning, field

    def thought(self, text: str, field: str) -> None:
        """Add a thought that the server itself tells apart from text, and the field in which it came."""
        self._field, self._opened = field, False
        if self._think:
            self._think.opened = False
        self._reason(text)

    def content(self, content: object) -> None:
        """Add the content of a message, or of its delta: text, or a list of parts."""
        if isinstance(content, str):
            plain = _PLAIN if self._text else _PLAIN_START
            if self._think is None and not self._opened and plain.match(content):
                self._show(content)
            else:
                self._split(content)
            return
        for thought, text in _parts(content):
            if thought:
                self.thought(thought, "parts")
            self._split(text)

    def finish(self, *, cut: bool, read: bool) -> tuple[Call, ...]:
        """Tell the sink of text that was held back; return the calls that stand in that text.

        Args:
            cut: The token limit has cut the reply.
            read: Calls in the text are read, because the reply has no proper calls.
        """
        calls = () if self._think is None else self._rest(self._think, cut=cut, read=read)
        end = self._orphaned_end()
        text = self.text
        if not cut and text.strip() and not (self._think and self._think.parted):
            self._habit.learn(opened=end is not None)
        if self._think and end:
            self._think.parted = True
            self._void_thoughts(text, end)
        return calls

    def _rest(self, think: ThinkSplitter, *, cut: bool, read: bool) -> tuple[Call, ...]:
        """Tell the sink of text that was held back, and return the calls that stand in it."""
        self._say(think, *think.rest())
        if think.opened and not cut:  # no block has closed, so none was open: all of it is text
            said, self._reasoning = self.reasoning, []
            self._say(think, "", said)
        held = self._marks.rest() if self._marks else ""
        return self._read(held, cut=cut, read=read) if held else ()

    def _orphaned_end(self) -> tuple[int, int] | None:
        return None if self._think is None or self._think.parted else orphaned_end(self.text)

    def _void_thoughts(self, text: str, end: tuple[int, int]) -> None:
        """Take back the text that was shown before the end of a block without a beginning, and show it as reasoning."""
        self._sink.notice(TextVoided(text))
        self._field, self._text = self._field or "think", []
        self._reason(text[: end[0]].strip())
        if rest := text[end[1] :].lstrip():
            self._text.append(rest)
            self._sink.text(rest)

    def _read(self, held: str, *, cut: bool, read: bool) -> tuple[Call, ...]:
        if end := orphaned_end(held):
            self._show(held[: end[1]])
            held = held[end[1] :]
        found = read_calls(held, self._tools, cut=cut) if read else Found(held)
        if found.thoughts:
            self._field = self._field or "scratchpad"
            self._reason(found.thoughts)
        if found.thoughts and not found.calls:
            self.goes_on = True
            self._text.append(held)  # the model reads it, the person does not
        elif found.text.strip() or not found.calls:
            self._show(found.text)
        return found.calls

    def _split(self, text: str) -> None:
        """Tell the sink of a text that may hold thoughts or calls, as far as it is certain."""
        if self._think is None:
            begun = bool(self._text)
            self._think = ThinkSplitter(opened=self._opened, begun=begun)
            self._marks = MarkSplitter(self._tools, begun=begun) if self._tools else None
        self._say(self._think, *self._think.split(text))

    def _say(self, think: ThinkSplitter, reasoning: str, text: str) -> None:
        if reasoning:
            self._field = self._field or think.field
            self._reason(reasoning)
        if text and self._marks:
            text = self._marks.split(text)
        if text:
            self._show(text)

    def _reason(self, reasoning: str) -> None:
        if reasoning:
            self._reasoning.append(reasoning)
            self._sink.reasoning(reasoning)

    def _show(self, text: str) -> None:
        if not self._text and self._habit.opened is not False and not (self._think and self._think.parted):
            getattr(self._sink, "doubt", _nothing)()
        self._text.append(text)
        self._sink.text(text)


def _nothing() -> None:
    """Do nothing, for a sink without `doubt`: it does not act on text."""


def _parts(content: object) -> Iterator[tuple[str, str]]:
    """Yield the parts of a content that is a list, each as a thought and a text, one of which is empty."""
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        kind, text = part.get("type"), part.get("text")
        if kind in _THOUGHTS:
            inner = part.get(kind) or text
            items = inner if isinstance(inner, list) else [{"text": inner}]
            texts = (item.get("text") for item in items if isinstance(item, dict))
            yield "".join(text for text in texts if isinstance(text, str)), ""
        elif isinstance(text, str):
            yield "", text
