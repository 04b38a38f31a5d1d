"""A JSON text protocol that gives tools to models without tool calls.

The model writes JSON objects with the keys `scratchpad`, `tool` and `arguments`, or `scratchpad` and `answer`;
several objects are several calls. Fences, prose and `<think>` blocks around them are accepted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from tinyagent.core.jsonable import to_text
from tinyagent.core.messages import Assistant, Call, Message, Reply, ToolReply
from tinyagent.core.tool import Tool
from tinyagent.models.base import ModelRequest
from tinyagent.models.calls import CUT_CALL, own_name
from tinyagent.models.marks import read_calls
from tinyagent.models.native import once_per_tool, to_bytes
from tinyagent.models.objects import (
    FIRST_KEYS,
    Offered,
    any_calls_in,
    arguments_in,
    call_of,
    calls_in,
    is_scratchpad,
    named_at,
    read_json,
    read_python,
)
from tinyagent.models.shown import ShownReply

INSTRUCTIONS = """\
You can use tools. To call one, write a JSON object:
{"scratchpad": "<your reasoning, short>", "tool": "<tool name>", "arguments": {<argument name>: <value>}}
To call several at once, write several objects, one after the other. Then stop: the results come in the next message.
When you know the answer, write instead:
{"scratchpad": "<your reasoning, short>", "answer": "<the answer>"}
Write nothing outside the JSON objects.

Tools, one per line (name, description, JSON Schema of the arguments):
"""
NO_TOOLS = 'Do not call a tool now. Write {"scratchpad": "...", "answer": "<the answer>"}.'
BROKEN = "The JSON object could not be read ({problem}), so nothing ran. Write it again, as valid JSON."
#: The `Assistant.reasoning_field` of messages that this protocol has read: their calls stand in their text.
PROTOCOL = "protocol"
#: Braces that begin no JSON before the reading ends: the text is not of the protocol, and more would take long.
MOST_FAILURES = 200
_BEGINNING = re.compile(r"""\{\s*["'](?:scratchpad|tool|arguments|answer)["']""")


class TextReply(ShownReply):
    """A reply in the text protocol, of which prose and the inside of its answers are shown."""

    keys: ClassVar[Collection[str]] = FIRST_KEYS | {"answer", "reply"}
    path: ClassVar[tuple[str, ...]] = ("answer",)

    def is_item(self, value: object) -> bool:
        """Return whether an object calls a tool, answers, or holds thoughts alone."""
        return isinstance(value, dict) and _item(value, self._offered) is not None

    def read(self, reply: Reply) -> Reply:
        """Return the reply with the calls, or the answer, that stand in its text.

        Text without a JSON object of the protocol, or one that calls a tool in another form, is the answer itself. An
        object that cannot be read becomes a call with a problem, so that the model is told.
        """
        if reply.calls:  # native calls all the same
            self.settle(reply.text)
            return reply
        cut = reply.finish_reason == "length"
        items = list(items_in(reply.text, self._offered, CUT_CALL if cut else BROKEN))
        calls = tuple(call for item in items for call in item.calls)
        if not items:
            calls = read_calls(reply.text, self._offered.values(), cut=cut).calls
        scratchpads = [item.scratchpad for item in items if item.scratchpad]
        answers = [to_text(item.answer) for item in items if item.answer is not None]
        text, finish_reason = reply.text, reply.finish_reason
        if items and not calls and not answers:  # thoughts alone, from which the model is to go on
            finish_reason = "tool_calls"
        elif not calls:  # beside calls an answer does not count, and the history keeps the text as it was written
            text = "\n".join(answers) if items else reply.text
            self.settle(text)
        for scratchpad in scratchpads:
            self.reasoning(scratchpad)
        reasoning = "\n".join(part for part in (reply.reasoning, *scratchpads) if part)
        reply = replace(reply, text=text, reasoning=reasoning, finish_reason=finish_reason)
        return self.calling(reply, calls)

    def calling(self, reply: Reply, calls: Iterable[Call]) -> Reply:
        """Tell the sink of these calls; return the reply with them, marked as one of this protocol."""
        calls = tuple(calls)
        for call in calls:
            self.call(call)
        return replace(reply, calls=calls, reasoning_field=PROTOCOL)


class TextTools:
    """The encoder of requests whose tools the system message describes, with results as messages of the user."""

    heard: ClassVar[type[ShownReply]] = TextReply
    #: The text before the tools in the system message, and the message that forbids calls.
    instructions: ClassVar[str] = INSTRUCTIONS
    no_tools: ClassVar[str] = NO_TOOLS

    def body(self, request: ModelRequest) -> bytes:
        """Return the part of a request's body for its messages, in which the tools are described.

        Neighbours of one role become one message, because many chat templates insist on taking turns.
        """
        fragments = list(request.conversation.encoded(self.encode))
        if request.tools:
            described = self.instructions + "\n".join(map(_description, request.tools))
            fragments.insert(int(fragments[0][:1] == b"s"), _fragment("system", described))
            if request.tool_choice == "none":
                fragments.append(_fragment("user", self.no_tools))
        messages: list[bytes] = []
        role = b""
        for fragment in fragments:
            if fragment[:1] == role:
                messages[-1] += b"\\n\\n" + fragment[1:]
            else:
                role = fragment[:1]
                messages.append(b'{"role":"' + _ROLES[role] + b'","content":"' + fragment[1:])
        return b'"messages":[' + b'"},'.join(messages) + b'"}]'

    def encode(self, message: Message) -> bytes:
        """Return a message as its role's first letter and its escaped text, which `body` puts together."""
        if isinstance(message, ToolReply):
            return _fragment("user", f"Result of {message.name or 'the tool'} ({message.call_id}):\n{message.text}")
        if not isinstance(message, Assistant):
            return _fragment(message.role, message.text)
        called = message.reasoning_field != PROTOCOL and message.calls  # natively
        return _fragment("assistant", "\n".join(filter(None, (message.text, self.calls(message) if called else ""))))

    def calls(self, message: Assistant) -> str:
        """Return the calls of a message as the model would have written them in this protocol."""
        written = ({"tool": call.name, "arguments": call.arguments} for call in message.calls)
        return "\n".join(to_bytes(call).decode() for call in written)


_ROLES = {b"s": b"system", b"u": b"user", b"a": b"assistant"}


def _fragment(role: str, text: str) -> bytes:
    return role[:1].encode() + to_bytes(text)[1:-1]


class _Item(NamedTuple):
    """What one object of the protocol says."""

    calls: tuple[Call, ...] = ()
    scratchpad: str = ""
    answer: object = None


def items_in(text: str, offered: Offered, broken: str) -> Iterator[_Item]:
    """Yield the protocol's objects in a text.

    An object that begins like one of them but cannot be read becomes a call with a problem, and ends the reading.

    Args:
        text: The text that the model wrote.
        offered: The tools on offer.
        broken: The problem, in words for the model; `{problem}` in it is the fault of the JSON.
    """
    position = failures = 0
    while (start := text.find("{", position)) >= 0 and failures < MOST_FAILURES:
        try:
            value, position = read_json(text, start)
        except ValueError as error:
            failures += 1  # counted even where it is Python, whose parser is slow
            try:
                value, position = read_python(text, start)
            except ValueError:
                value, position = None, start + 1
                if _BEGINNING.match(text, start) or named_at(text, start, offered):
                    yield _Item((Call("reply", problem=broken.format(problem=error)),))
                    return
        if isinstance(value, dict) and (item := _item(value, offered)):
            yield item


def _item(value: dict[str, Any], offered: Offered) -> _Item | None:
    find = calls_in
    if isinstance(inner := value.get("reply"), dict):  # an object of the schema protocol
        value, find = inner, any_calls_in
    scratchpad = value.get("scratchpad")
    scratchpad = scratchpad if isinstance(scratchpad, str) else ""
    if name := value.get("tool"):
        return _Item((call_of(own_name(str(name)), arguments_in(value)),), scratchpad)
    if "answer" in value or "tool" in value:
        return _Item((), scratchpad, value.get("answer"))
    if calls := find(value, offered):
        return _Item(tuple(calls), scratchpad)
    return _Item((), "\n".join(map(str, value.values()))) if is_scratchpad(value) else None


@once_per_tool
def _description(tool: Tool[..., object]) -> str:
    return json.dumps([tool.name, tool.description, tool.parameters], ensure_ascii=False)
