"""What a server sent, streamed or whole, to a `Reply`: the one assembler.

Reference: the OpenAI Chat Completions API (the chat completion object and the chat completion chunk object).
Servers differ from it in many small ways; what is done about each is told where it is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
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
from tinyagent.core.messages import Call, Reply
from tinyagent.core.usage import Usage
from tinyagent.models.base import Sink

#: Characters of a server's body that an error quotes.
EXCERPT = 500
CUT_CALL = (
    "This call did not run: the reply was cut by the token limit (finish_reason 'length') in the middle of its "
    "arguments. Call again with shorter arguments, or split the work into several calls."
)
#: What matters for finding the end of a JSON object: quotes, brackets, and escapes to step over.
_STRUCTURE = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


class ReplyAssembler:
    """Builds one reply and tells the sink of text, reasoning and complete calls as they arrive.

    Args:
        sink: Who listens.
        origin: The server's name, kept with the reply.
    """

    def __init__(self, sink: Sink, origin: str = "") -> None:
        self._sink = sink
        self._origin = origin
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._reasoning_field = ""
        self._refusal: list[str] = []
        self._think = _ThinkSplitter()
        self._calls: list[_OpenCall] = []
        self._by_index: dict[int, _OpenCall] = {}
        self._usage = Usage(requests=1)
        self._finish_reason: str | None = None
        self._heard = False  # a choice has arrived
        self._events = 0

    # ---- a whole reply

    def whole(self, body: bytes, status: int = 200) -> Reply:
        """The reply in the body of a plain answer.

        Raises:
            MalformedReplyError: The body is not JSON, or not an object.
            NoChoicesError: It has no choices.
            ModelError: See `finish`.
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
        """One server-sent event; true when it was the closing `[DONE]`.

        Raises:
            StreamError: The server reports an error.
            MalformedReplyError: The data is not JSON.
            ProtocolError: More arguments for a call that was already complete.
        """
        if data == "[DONE]":
            return True
        self._events += 1
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            chunk = None
        if name == "error" or (isinstance(chunk, dict) and chunk.get("error")):
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
        """The reply, when the stream has ended; `done` says whether it closed with `[DONE]`.

        Raises:
            StreamInterruptedError: It ended before a `finish_reason`.
            NoChoicesError: No choice ever came.
            ModelError: See `finish`.
        """
        if not self._events:
            raise StreamInterruptedError("The server ended the stream without sending anything.")
        if not self._heard:
            raise _no_choices({})
        if self._finish_reason is None and not done:
            raise self.interrupted("the stream ended before the reply was finished")
        return self.finish()

    def interrupted(self, reason: str) -> StreamInterruptedError:
        """The error of a stream that broke off, with what had arrived."""
        return StreamInterruptedError(f"The reply was cut off: {reason}.", partial=self.partial())

    def partial(self) -> Reply:
        """What has arrived: text, and the calls that are complete."""
        calls = tuple(call.sealed for call in self._calls if call.sealed)
        return self._reply(calls)

    # ---- both

    def finish(self) -> Reply:
        """The complete reply; every call not yet sealed is sealed.

        Raises:
            ContentFilterError: The provider withheld the reply.
            RefusalError: The model refused.
            TruncatedReplyError: The token limit cut the reply before anything was written.
        """
        self._say(*self._think.rest())
        if self._finish_reason == "content_filter":
            text = "".join(self._text)
            raise ContentFilterError(
                f"The provider's content filter withheld the reply{f' after: {text[:EXCERPT]!r}' if text else ''}. "
                "Change the task or the instructions.",
                partial=self.partial(),
            )
        if self._refusal and not self._text and not self._calls:
            refusal = "".join(self._refusal)
            raise RefusalError(f"The model refused: {refusal}", partial=self.partial())
        cut = self._finish_reason == "length"
        if cut and not self._calls and not "".join(self._text).strip():
            raise TruncatedReplyError(
                "The reply was cut by the token limit before anything was written"
                f"{' but reasoning' if self._reasoning else ''} (finish_reason 'length'). Raise max_tokens or "
                "max_completion_tokens, or shorten the conversation.",
                partial=self.partial(),
            )
        taken: set[str] = set()
        for call in self._calls:
            last = call is self._calls[-1]
            if call.sealed is None:
                self._seal(call, CUT_CALL if cut and last and not call.complete else None, taken)
            taken.add(call.id)
        return self._reply(tuple(call.sealed for call in self._calls if call.sealed))

    def _reply(self, calls: tuple[Call, ...]) -> Reply:
        text, reasoning, field = "".join(self._text), "".join(self._reasoning), self._reasoning_field
        before, tag, after = text.partition("</think>")
        if tag and not reasoning:  # chat templates that open the block themselves send only its end
            text, reasoning, field = after.lstrip(), before.strip(), "think"
        return Reply(text, calls, reasoning, field, self._finish_reason, self._usage, self._origin)

    def _count(self, data: Mapping[str, Any]) -> None:
        if isinstance(usage := data.get("usage"), dict):  # servers that repeat it send a running total
            self._usage = _usage(usage)

    def _message(self, message: Mapping[str, Any], *, separate: bool) -> None:
        """A message, or the delta of one. `separate`: each item of `tool_calls` is a call of its own."""
        for field in ("reasoning_content", "reasoning"):
            if isinstance(reasoning := message.get(field), str) and reasoning:
                self._reasoning_field = field
                self._say(reasoning, "")
                break
        if content := message.get("content"):
            self._say(*self._think.split(content if isinstance(content, str) else _joined(content)))
        if isinstance(refusal := message.get("refusal"), str):
            self._refusal.append(refusal)
        if isinstance(items := message.get("tool_calls"), list):
            for item in items:
                if isinstance(item, dict):
                    self._call(item, separate=separate)
        if isinstance(legacy := message.get("function_call"), dict) and not message.get("tool_calls"):
            self._call({"index": 0, "function": legacy}, separate=separate)

    def _say(self, reasoning: str, text: str) -> None:
        if reasoning:
            self._reasoning_field = self._reasoning_field or "think"
            self._reasoning.append(reasoning)
            self._sink.reasoning(reasoning)
        if text:
            self._text.append(text)
            self._sink.text(text)

    def _call(self, item: Mapping[str, Any], *, separate: bool) -> None:
        function = item.get("function")
        function = function if isinstance(function, dict) else {}
        name, arguments = function.get("name") or "", function.get("arguments")
        if isinstance(arguments, dict | list):  # an object instead of a string
            arguments = json.dumps(arguments, ensure_ascii=False)
        arguments = arguments if isinstance(arguments, str) else ""
        call_id = str(item.get("id") or "")
        call = None if separate else self._same(item.get("index"), call_id, name, arguments)
        if call is None:
            call = _OpenCall(call_id)
            self._calls.append(call)
            if isinstance(index := item.get("index"), int):
                self._by_index[index] = call
        call.id = call.id or call_id
        call.add_name(str(name))
        if arguments and call.add_arguments(arguments):
            if call.sealed is not None:
                raise ProtocolError(
                    f"The server sent more arguments for the call {call.name!r} after its JSON object was complete: "
                    f"{arguments[:EXCERPT]!r}",
                    partial=self.partial(),
                )
            if not separate and call.complete:
                self._seal(call, None, {other.id for other in self._calls if other is not call})

    def _same(self, index: object, call_id: str, name: str, arguments: str) -> _OpenCall | None:
        """The call that a delta belongs to; `None` when it begins a new one."""
        if isinstance(index, int):
            call = self._by_index.get(index)
        else:  # no index: by id, else the call being written
            known = [call for call in self._calls if call_id and call.id == call_id]
            call = known[0] if known else (self._calls[-1] if self._calls else None)
        if call is None:
            return None
        if call_id and call.id and call_id != call.id:  # one index for several calls
            return next((other for other in self._calls if other.id == call_id), None)
        if name and arguments and not call_id and call.complete:  # whole calls without ids at one index
            return None
        return call

    def _seal(self, call: _OpenCall, problem: str | None, taken: set[str]) -> None:
        arguments, raw, fault = parse_arguments(call.arguments)
        fresh = {} if not call.id or call.id in taken else {"id": call.id}
        call.sealed = Call(call.name, arguments, raw=raw, problem=problem or fault, **fresh)
        call.id = call.sealed.id
        self._sink.call(call.sealed)


class _OpenCall:
    """A call that is still being written."""

    __slots__ = ("_depth", "_escaped", "_in_string", "_parts", "complete", "id", "name", "sealed")

    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.name = ""
        self.sealed: Call | None = None
        #: The arguments are a complete JSON object that is not empty.
        self.complete = False
        self._parts: list[str] = []
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def arguments(self) -> str:
        return "".join(self._parts)

    def add_name(self, part: str) -> None:
        if part and part != self.name and not self._parts:  # a repeated name is no second half
            self.name += part

    def add_arguments(self, part: str) -> bool:
        """Add a fragment; false when it changes nothing."""
        if self.complete:
            return bool(part.strip())
        if part.startswith("{") and not self._depth and self.arguments.strip() == "{}":
            self._parts.clear()  # an empty object that held the place of the real one
        self._parts.append(part)
        if self._scan(part):
            text = self.arguments
            self.complete = text.strip() != "{}" and _parses(text)
        return True

    def _scan(self, part: str) -> bool:
        """Whether an object closes in this fragment; each character is read once."""
        closes = False
        part = part[1:] if self._escaped else part
        for mark in _STRUCTURE.findall(part):
            if mark == '"':
                self._in_string = not self._in_string
            elif mark[0] != "\\" and not self._in_string:
                self._depth += 1 if mark in "{[" else -1
                closes = closes or self._depth == 0
        self._escaped = (len(part) - len(part.rstrip("\\"))) % 2 == 1  # its character comes next
        return closes


class _ThinkSplitter:
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


def parse_arguments(text: str) -> tuple[dict[str, Any], str, str | None]:
    """The arguments in a call's text, the JSON to replay for them, and what is wrong, for the model.

    `null` and nothing are an empty object. Text that is no JSON object gives an empty one and a problem.
    """
    if not text.strip():
        return {}, "{}", None
    try:
        value, raw = _loads(text), text
    except RecursionError:
        return {}, "{}", "The arguments are nested too deeply."
    except json.JSONDecodeError as error:
        try:  # line breaks inside strings are the most common slip
            value = json.loads(text, strict=False, parse_constant=_no_constant)
            raw = json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError):
            near = text[max(0, error.pos - 20) : error.pos + 20]
            where = f"line {error.lineno} column {error.colno}"
            return {}, "{}", f"The arguments are not valid JSON: {error.msg} at {where}, near {near!r}."
    except ValueError as error:
        return {}, "{}", f"The arguments are not valid JSON: {error}."
    if isinstance(value, str):  # an object that was encoded twice
        return parse_arguments(value) if value.lstrip().startswith("{") else ({}, "{}", _not_an_object(value))
    if value is None:
        return {}, "{}", None
    if not isinstance(value, dict):
        return {}, "{}", _not_an_object(value)
    return value, raw, None


def _not_an_object(value: object) -> str:
    return f'The arguments must be a JSON object such as {{"name": "value"}}, not {type(value).__name__}.'


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _parses(text: str) -> bool:
    try:
        _loads(text)
    except (ValueError, RecursionError):
        return False
    return True


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


def _joined(content: object) -> str:
    """The text of a content that is a list of parts."""
    return "".join(_part_texts(content))


def _part_texts(content: object) -> Iterator[str]:
    for part in content if isinstance(content, list) else ():
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            yield text


def _error_text(data: object, otherwise: str) -> str:
    error = data.get("error", data) if isinstance(data, dict) else data
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or otherwise)[:EXCERPT]


def _no_choices(data: Mapping[str, Any]) -> NoChoicesError:
    error = data.get("error")
    told = f" The server says: {_error_text(data, '')}" if error else ""
    return NoChoicesError(
        f"The server sent a reply without choices.{told}", body=json.dumps(data, ensure_ascii=False)[:EXCERPT]
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
