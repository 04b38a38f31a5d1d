"""Thoughts that a model writes into its text: as a block at its start, in channels, or up to an orphaned end.

Channels are those of harmony, the format of gpt-oss, where a server hands it on as text. Reference: "OpenAI harmony
response format", https://cookbook.openai.com/articles/openai-harmony.
"""

from __future__ import annotations

import re

THINK_END = "</think>"
STARTS = ("<|channel|>", "<|start|>")
_MESSAGE = "<|message|>"
_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_RECIPIENT = re.compile(r"\bto=(?!assistant\b)\S")
_ANALYSIS = re.compile(r"<\|channel\|>\s*analysis\b")
#: Characters of the longest of these tokens, and of the longest head of a message.
_LONGEST_TOKEN = 11
_LONGEST_HEAD = 400


class ChannelSplitter:
    """A splitter of streamed text in channels: parts thoughts (`analysis`) from text; calls stay in the text."""

    __slots__ = ("_body", "_held", "_position")

    def __init__(self) -> None:
        self._held = ""
        self._position = 0
        self._body = ""  # the kind of the message being read: thought, text or call; empty in its head

    def split(self, text: str) -> tuple[str, str]:
        """Return the thoughts and the text that the next piece of text completes."""
        self._held, self._position = self._held[self._position :] + text, 0
        thoughts: list[str] = []
        texts: list[str] = []
        while self._body or self._begin(texts):
            heard = thoughts if self._body == "thought" else texts
            end = _END.search(self._held, self._position)
            if end is None:
                token = self._held.rfind("<", max(self._position, len(self._held) - _LONGEST_TOKEN))
                stop = len(self._held) if token < 0 else token
                heard.append(self._held[self._position : stop])
                self._position = stop
                break
            heard.append(self._held[self._position : end.start()])
            if self._body == "call":
                texts.append("<|call|>")
            self._position = end.start() if end[0] in STARTS else end.end()  # a next start also ends it
            self._body = ""
        return "".join(thoughts), "".join(texts)

    def _begin(self, texts: list[str]) -> bool:
        """Read the head of the next message; return whether all of the head was there."""
        at = self._held.find(_MESSAGE, self._position, self._position + _LONGEST_HEAD)
        if at < 0:
            if len(self._held) - self._position <= _LONGEST_HEAD:
                return False
            self._body = "text"
            texts.append(self._held[self._position])  # so that its first token is not taken for its end
            self._position += 1
            return True
        head = self._held[self._position : at]
        self._position = at + len(_MESSAGE)
        if _RECIPIENT.search(head):
            self._body = "call"
            texts.append(head + _MESSAGE)
        else:
            self._body = "thought" if _ANALYSIS.search(head) else "text"
        return True

    def rest(self) -> tuple[str, str]:
        """Return the thoughts and the text held back at the end of the reply; half a head of a message is dropped."""
        held, self._held, self._position = self._held[self._position :], "", 0
        if self._body == "thought":
            return held, ""
        return "", held if self._body or not held.lstrip().startswith("<|") else ""


#: The tags of a block of thoughts, by the `Reply.reasoning_field` that names them.
TAGS = {
    "think": ("<think>", "</think>"),
    "<thinking>": ("<thinking>", "</thinking>"),
    "[THINK]": ("[THINK]", "[/THINK]"),
    "<reasoning>": ("<reasoning>", "</reasoning>"),
    "<thought>": ("<thought>", "</thought>"),
    "<seed:think>": ("<seed:think>", "</seed:think>"),
}
_OPENINGS = (*(opening for opening, _ in TAGS.values()), *STARTS)
#: Characters, white space mostly, within which a block or channel must begin: otherwise the text has none.
_LONGEST_START = 400
#: The tags of a block, with the quotes that may stand around them.
_TAG = re.compile(r"(?P<before>`{1,9}|['\"])?<(?P<end>/?)think>(?P<after>`{1,9}|['\"])?")


#: A tag that a sentence mentions. Behind code, in which thoughts may stand too, a tag is no mention.
_MENTION = re.compile(r"[\w,] </think>(?: [a-z]|[.,;:?!)])")
_CODE = re.compile(r"```|~~~|<(?:code|python|execute_python)>", re.IGNORECASE)


def orphaned_end(text: str) -> tuple[int, int] | None:
    """Return the place of a block's end in a text that does not open the block, because the chat template has.

    The place is where the tag begins and ends; `None` where there is no such tag.
    """
    if THINK_END not in text:
        return None
    opened, first_code = 0, _CODE.search(text)
    code = first_code.start() if first_code else len(text)
    for tag in _TAG.finditer(text):
        if tag["before"] and tag["before"] == tag["after"] and "```" not in tag["before"]:
            continue
        if tag["end"] and tag.start() < code and _MENTION.match(text, max(0, tag.start() - 2)):
            continue
        if tag["end"] and not opened:
            start = tag.start() + len(tag["before"] or "")
            return start, start + len(THINK_END)
        opened += -1 if tag["end"] else 1
    return None


class ThinkSplitter:
    """A splitter of streamed text: parts thoughts, in a block at its start or in channels, from the rest.

    Args:
        opened: The chat template has opened a block, so that the text begins inside of it.
        begun: Text outside of any block has come already, so that no block can begin.

    Attributes:
        field: The place of the thoughts: a key of `TAGS`, or `channel`.
        opened: Whether the text is taken for the inside of a block; false once it has opened or closed one.
        parted: Whether a block, or channels, were in the text: an end that comes later is no orphan.
    """

    __slots__ = ("_channels", "_close", "_held", "_state", "field", "opened", "parted")

    def __init__(self, *, opened: bool = False, begun: bool = False) -> None:
        self.field = "think"
        self.opened = opened
        self.parted = False
        self._state = "answer" if begun else "start"
        self._held = ""
        self._close = THINK_END
        self._channels: ChannelSplitter | None = None

    def split(self, text: str) -> tuple[str, str]:
        """Return the reasoning and the answer that the next piece of text completes."""
        if self._state == "answer":
            return "", text
        if self._channels is not None:
            return self._channels.split(text)
        text = self._held + text
        self._held = ""
        if self._state == "start":
            head = text.lstrip()
            if not head.startswith(_OPENINGS):
                if len(text) < _LONGEST_START and any(opening.startswith(head) for opening in _OPENINGS):
                    self._held = text
                    return "", ""
                self._state = "think" if self.opened else "answer"
            else:
                self.opened, self.parted = False, True
                if head.startswith(STARTS):
                    self.field, self._channels = "channel", ChannelSplitter()
                    return self._channels.split(head)
                text = self._open(head)
        if self._state == "answer":
            return "", text
        return self._inside(text)

    def _open(self, head: str) -> str:
        """Return the text behind the tag that it begins with, which opens a block."""
        for self.field, (opening, self._close) in TAGS.items():
            if head.startswith(opening):
                self._state = "opened"
                return head[len(opening) :]
        raise AssertionError(head)

    def _inside(self, text: str) -> tuple[str, str]:
        if self._state == "opened":  # line breaks after the tag are no reasoning
            text = text.lstrip("\n")
            if not text:
                return "", ""
            self._state = "think"
        reasoning = ""
        if self._state != "closed":
            reasoning, tag, text = text.partition(self._close)
            if not tag:
                longest = len(self._close) - 1
                held = next((size for size in range(longest, 0, -1) if reasoning.endswith(self._close[:size])), 0)
                self._held = reasoning[len(reasoning) - held :]
                return reasoning[: len(reasoning) - held], ""
            self.opened, self.parted = False, True
        self._state, text = "closed", text.lstrip()  # white space before the answer is no text
        if text:
            self._state = "answer"
        return reasoning, text

    def rest(self) -> tuple[str, str]:
        """Return the reasoning and the answer held back at the end of the reply."""
        if self._channels is not None:
            return self._channels.rest()
        held, self._held = self._held, ""
        return (held, "") if self._state == "think" else ("", held)
