"""Harmony, the format of gpt-oss: messages in channels, where a server hands them on as text.

Reference: "OpenAI harmony response format", https://cookbook.openai.com/articles/openai-harmony.
"""

from __future__ import annotations

import re

STARTS = ("<|channel|>", "<|start|>")
_MESSAGE = "<|message|>"
_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_RECIPIENT = re.compile(r"\bto=(?!assistant\b)\S")
_ANALYSIS = re.compile(r"<\|channel\|>\s*analysis\b")
#: Characters of the longest of these tokens, and of a message's head; what is longer is none.
_LONGEST_TOKEN = 11
_LONGEST_HEAD = 400


class ChannelSplitter:
    """Parts thoughts (the channel `analysis`) from text, however it is cut; a call stays in the text as it is."""

    __slots__ = ("_body", "_held", "_position")

    def __init__(self) -> None:
        self._held = ""
        self._position = 0
        self._body = ""  # what the message that is being read is: thought, text or call; empty in its head

    def split(self, text: str) -> tuple[str, str]:
        """Return the thoughts and the text that `text` completes."""
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
            self._position = end.start() if end[0] in STARTS else end.end()  # without an end, the next one ends it
            self._body = ""
        return "".join(thoughts), "".join(texts)

    def _begin(self, texts: list[str]) -> bool:
        """Read the head of the next message, if all of it is there."""
        at = self._held.find(_MESSAGE, self._position, self._position + _LONGEST_HEAD)
        if at < 0:
            if len(self._held) - self._position <= _LONGEST_HEAD:
                return False
            self._body = "text"
            texts.append(self._held[self._position])  # so that what it begins with ends nothing
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
        """Return what was held back when the reply ended; half a head is nothing."""
        held, self._held, self._position = self._held[self._position :], "", 0
        if self._body == "thought":
            return held, ""
        return "", held if self._body or not held.lstrip().startswith("<|") else ""
