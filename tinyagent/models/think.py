"""Reasoning that a model writes into its text, as a `<think>` block."""

from __future__ import annotations


class ThinkSplitter:
    """Parts a `<think>` block at the start of the text from the rest, however it is cut."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._state = "start"
        self._held = ""

    def split(self, text: str) -> tuple[str, str]:
        """The reasoning and the answer text that `text` completes."""
        if self._state == "answer":
            return "", text
        text = self._held + text
        self._held = ""
        if self._state == "start":
            head = text.lstrip()
            if not head.startswith("<think>"):
                if "<think>".startswith(head):
                    self._held = text
                    return "", ""
                self._state = "answer"
                return "", text
            self._state, text = "think", head[7:].lstrip("\n")
        reasoning, tag, answer = text.partition("</think>")
        if tag:
            self._state = "gap" if not answer.strip() else "answer"
            return reasoning, answer.lstrip()
        if self._state == "gap":  # white space between the block and the answer
            self._state = "gap" if not text.strip() else "answer"
            return "", text.lstrip()
        held = next((size for size in range(7, 0, -1) if text.endswith("</think>"[:size])), 0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held], ""

    def rest(self) -> tuple[str, str]:
        """What was held back when the reply ended."""
        held, self._held = self._held, ""
        return (held, "") if self._state == "think" else ("", held)
