"""The one assembler of a `Reply` from the data that a server sent, streamed or whole.

Reference: the OpenAI Chat Completions API (the chat completion object and the chat completion chunk object).
Servers differ from it in many small ways; a comment tells of each difference where it is met.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tinyagent.core.errors import (
    ContentFilterError,
    MalformedReplyError,
    NoChoicesError,
    ProtocolError,
    RefusalError,
    StreamError,
    StreamInterruptedError,
    TruncatedReplyError,
)
from tinyagent.core.http import message_of
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Call, Reply
from tinyagent.core.tool import Tool
from tinyagent.models.base import Sink
from tinyagent.models.calls import Calls
from tinyagent.models.native import REPLAYED, keep_of_message
from tinyagent.models.said import Habit, Said

#: Characters of a server's body that an error quotes.
EXCERPT = 500
UNREADABLE = "The server could not read your call, so nothing ran: {said} Make the call again, in the usual form."


class ReplyAssembler:
    """The building of one reply, of whose text, reasoning and complete calls the sink is told as they arrive.

    Args:
        sink: The listener of the reply.
        origin: The server, which is kept with the reply.
        tools: The tools on offer: calls of them that stand in the text are read.
        habit: What earlier replies of the model have shown; this reply adds to it.
    """

    def __init__(
        self, sink: Sink, origin: str = "", tools: tuple[Tool[..., object], ...] = (), habit: Habit | None = None
    ) -> None:
        self._sink = sink
        self._origin = origin
        if (note := getattr(sink, "served_by", None)) is not None:
            note(origin)
        self._said = Said(sink, tools, habit)
        self._extra: dict[str, Any] = {}  # keys of the message that only the server knows
        self._unread: str | None = None  # the words of a server that could not read the model's call
        self._refusal: list[str] = []
        self._calls = Calls(sink)
        self._usage = Usage(requests=1)
        self._finish_reason: str | None = None
        self._heard = False  # whether a choice has arrived
        self._events = 0

    @property
    def finished(self) -> bool:
        """Whether the reply itself is complete; only its usage may still come."""
        return self._finish_reason is not None

    # ---- a whole reply

    def whole(self, body: bytes, status: int = 200) -> Reply:
        """Return the reply in the body of a plain response.

        Raises:
            MalformedReplyError: The body is not JSON, or not an object.
            NoChoicesError: The body has no choices.
            ModelError: The reply was withheld, refused or empty, as `finish` raises it.
        """
        data = _object(body.decode("utf-8", "replace"), status)
        choice = _first(data.get("choices"))
        if choice is None:
            raise _no_choices(data)
        self._count(data)
        self._finish_reason = choice.get("finish_reason")
        message = choice.get("message")
        self._message(message if isinstance(message, dict) else {}, separate=True)
        return self.finish()

    # ---- a stream

    def event(self, name: str, data: str) -> bool:
        """Add a server-sent event; return whether the reply ends with it, as with the closing `[DONE]`.

        Raises:
            StreamError: The server reports an error.
            MalformedReplyError: The data is not a JSON object.
            ProtocolError: The event brings more arguments for a call that was already complete.
        """
        if data.strip() == "[DONE]":
            return True
        self._events += 1
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            chunk = None
        if name == "error" or (isinstance(chunk, dict) and chunk.get("error")):
            if (failed := failed_generation(chunk)) is not None:
                self.unread(*failed)
                return True
            raise StreamError(
                f"The server reported an error in the middle of its reply: {_error_text(chunk, data)}",
                body=data[:EXCERPT],
                partial=self.partial(),
            )
        if not isinstance(chunk, dict):
            raise MalformedReplyError(
                f"The stream holds something that is not a JSON object: {data[:EXCERPT]!r}",
                body=data[:EXCERPT],
                partial=self.partial(),
            )
        self._count(chunk)
        choice = _first(chunk.get("choices"))
        if choice is not None:
            self._heard = True
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            delta = choice.get("delta") or choice.get("message")
            if isinstance(delta, dict):
                self._message(delta, separate=False)
        return False

    def end(self, *, done: bool) -> Reply:
        """Return the reply when the stream has ended; `done` says whether the stream closed with `[DONE]`.

        Raises:
            StreamInterruptedError: The stream ended before a `finish_reason`.
            NoChoicesError: No choice ever came.
            ModelError: The reply was withheld, refused or empty, as `finish` raises it.
        """
        if not self._events:
            raise StreamInterruptedError("The server ended the stream without sending anything.")
        if not self._heard:
            raise _no_choices({})
        if self._finish_reason is None and not done:
            raise self.interrupted("the stream ended before the reply was finished")
        return self.finish()

    def unread(self, generation: str, said: str) -> None:
        """Read the calls in a text that the server could not read; without calls in it, the model is told so.

        Args:
            generation: The text that the model wrote.
            said: What the server says of the text.
        """
        self._heard, self._finish_reason, self._unread = True, "tool_calls", said
        self._message({"content": generation.removeprefix(self._said.text)}, separate=True)

    def interrupted(self, reason: str) -> StreamInterruptedError:
        """Return the error of a stream that broke off, with the part of the reply that had arrived."""
        return StreamInterruptedError(f"The reply was cut off: {reason}.", partial=self.partial())

    def partial(self) -> Reply:
        """Return as much of the reply as has arrived: text, reasoning, and the calls that are complete."""
        text, reasoning, field = self._said.whole()
        return Reply(
            text, self._calls.sealed, reasoning, field, self._finish_reason, self._usage, self._origin, self._extra
        )

    # ---- both

    def finish(self) -> Reply:
        """Return the complete reply, after sealing every call that is not sealed yet.

        Raises:
            ContentFilterError: The provider withheld the reply.
            RefusalError: The model refused.
            TruncatedReplyError: The token limit cut the reply before anything was written.
        """
        cut = self._finish_reason == "length"
        withheld = self._finish_reason == "content_filter"
        for written in self._said.finish(cut=cut, read=not (self._calls or withheld)):
            self._calls.add_sealed(written)
        if self._said.goes_on:  # thoughts alone announce calls
            self._finish_reason = "tool_calls"
        if withheld or not self._calls:
            self._check_text(withheld=withheld, cut=cut)
        self._calls.finish(cut=cut)
        if self._unread is not None and not self._calls:
            self._calls.add_sealed(Call("unreadable_call", problem=UNREADABLE.format(said=self._unread)))
        return self.partial()

    def _check_text(self, *, withheld: bool, cut: bool) -> None:
        """Raise the error of a reply that was withheld, refused, or cut before its text began."""
        text = self._said.text
        if withheld:
            raise ContentFilterError(
                f"The provider's content filter withheld the reply{f' after: {text[:EXCERPT]!r}' if text else ''}. "
                "Change the task or the instructions.",
                partial=self.partial(),
            )
        if self._refusal and not text:
            refusal = "".join(self._refusal)
            raise RefusalError(f"The model refused: {refusal}", partial=self.partial())
        if cut and not text.strip():
            raise TruncatedReplyError(
                "The reply was cut by the token limit before anything was written"
                f"{' but reasoning' if self._said.reasoning else ''} (finish_reason 'length'). Raise max_tokens or "
                "max_completion_tokens, or shorten the conversation.",
                partial=self.partial(),
            )

    def _count(self, data: Mapping[str, Any]) -> None:
        if isinstance(usage := data.get("usage"), dict):  # a running total, where servers send it repeatedly
            self._usage = _usage(usage)

    def _message(self, message: Mapping[str, Any], *, separate: bool) -> None:
        """Add a message, or the delta of one. `separate`: each item of `tool_calls` is a call of its own."""
        keep_of_message(self._extra, message)
        for field in REPLAYED:
            if isinstance(reasoning := message.get(field), str) and reasoning:
                self._said.thought(reasoning, field)
                break
        if content := message.get("content"):
            self._said.content(content)
        if isinstance(refusal := message.get("refusal"), str) and refusal:
            self._refusal.append(refusal)
        if (calls := message.get("tool_calls")) or message.get("function_call"):
            self._add_calls(calls, message.get("function_call"), separate=separate)

    def _add_calls(self, calls: object, legacy: object, *, separate: bool) -> None:
        if not calls:
            calls = [{"index": 0, "function": legacy}] if isinstance(legacy, dict) else []
        try:
            for item in calls if isinstance(calls, list) else ():
                if isinstance(item, dict):
                    self._calls.add(item, separate=separate)
        except ProtocolError as error:
            error.partial = self.partial()
            raise


def _object(text: str, status: int) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        return data
    raise MalformedReplyError(
        f"The server answered {status} with a body that is not a chat completion: {text[:EXCERPT]!r}. Check that the "
        "base URL is that of an OpenAI-compatible server (it usually ends in /v1).",
        status=status,
        body=text[:EXCERPT],
    )


def _first(choices: object) -> dict[str, Any] | None:
    if not isinstance(choices, list):
        return None
    found = [choice for choice in choices if isinstance(choice, dict)]
    return next((choice for choice in found if not choice.get("index")), found[0] if found else None)


def _error_text(data: object, otherwise: str) -> str:
    return (message_of(data) or otherwise)[:EXCERPT]


def failed_generation(data: object) -> tuple[str, str] | None:
    """Return the text that a server could not read as a call, and what it says, from an error such as Groq sends."""
    error = data.get("error", data) if isinstance(data, dict) else None
    if not isinstance(error, dict) or not (error.get("code") == "tool_use_failed" or "failed_generation" in error):
        return None
    generation = error.get("failed_generation")
    return generation if isinstance(generation, str) else "", _error_text(data, "no reason given.")


def _no_choices(data: Mapping[str, Any]) -> NoChoicesError:
    error = data.get("error")
    said = _error_text(data, "") if error else ""
    told = f" The server says: {said}" if said else ""
    misled = re.search(r"\b(endpoint|route|path|url)\b", said, re.IGNORECASE)  # LM Studio answers 200 to any path
    if misled:
        told += " Check the base URL: it usually ends in /v1."
    return NoChoicesError(
        f"The server sent a reply without choices.{told}",
        body=json.dumps(data, ensure_ascii=False)[:EXCERPT],
        retryable=False if misled else None,
    )


def _usage(data: Mapping[str, Any]) -> Usage:
    read, written = data.get("prompt_tokens_details"), data.get("completion_tokens_details")
    cached = _number(read, "cached_tokens") or _number(data, "prompt_cache_hit_tokens")  # the latter: DeepSeek
    return Usage(
        requests=1,
        input_tokens=_number(data, "prompt_tokens"),
        output_tokens=_number(data, "completion_tokens"),
        cached_tokens=cached,
        reasoning_tokens=_number(written, "reasoning_tokens"),
    )


def _number(data: object, key: str) -> int:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
