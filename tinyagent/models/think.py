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
                if "<think>".startswith(head):  # it may still become the tag
                    self._held = text
                    return "", ""
                self._state = "answer"
                return "", text
            self._state, text = "opened", head[7:]
        if self._state == "opened":  # line breaks after the tag are no reasoning
            text = text.lstrip("\n")
            if not text:
                return "", ""
            self._state = "think"
        reasoning = ""
        if self._state != "closed":
            reasoning, tag, text = text.partition("</think>")
            if not tag:
                held = next((size for size in range(7, 0, -1) if reasoning.endswith("</think>"[:size])), 0)
                self._held = reasoning[len(reasoning) - held :]
                return reasoning[: len(reasoning) - held], ""
        self._state, text = "closed", text.lstrip()  # nor is white space between the block and the answer
        if text:
            self._state = "answer"
        return reasoning, text

    def rest(self) -> tuple[str, str]:
        """What was held back when the reply ended."""
        held, self._held = self._held, ""
        return (held, "") if self._state == "think" else ("", held)
