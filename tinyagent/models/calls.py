"""The tool calls of a reply while they are written: when each is complete, and what its arguments are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tinyagent.core.errors import ProtocolError
from tinyagent.core.events import Notice
from tinyagent.core.messages import Call
from tinyagent.models.base import Sink
from tinyagent.models.native import keep_of_call

CUT_CALL = (
    "This call did not run: the reply was cut by the token limit (finish_reason 'length') in the middle of its "
    "arguments. Call again with shorter arguments, or split the work into several calls."
)
SURPLUS = (
    "The server sent one bracket too many, or the object once more, after the arguments of a call of {name!r}; "
    "the call stands."
)
#: Characters of the arguments that an error quotes.
_EXCERPT = 500
#: What matters for finding the end of a JSON object: quotes, brackets, and escapes to step over.
_STRUCTURE = re.compile(r'\\.|["{}\[\]]', re.DOTALL)

#: What models write behind a tool's name, and no name holds: a control token, a tag, a channel or a count.
_BEHIND_NAME = re.compile(r"[<\[].*|:\d+\Z", re.DOTALL)


def own_name(name: str) -> str:
    """Return the tool's own name in the name that a server sends: `add` for `add<|channel|>commentary`."""
    return _BEHIND_NAME.sub("", name).strip() or name


@dataclass(slots=True, eq=False)
class OpenCall:
    """A call that is still being written.

    Attributes:
        id: The id from the server; once the call is sealed, that of the sealed call.
        name: As much of the tool's name as has come.
        extra: Keys that only the server knows; more may come after the call is sealed.
        sealed: The call, once it is complete; `None` before.
        value: The arguments, once they are a complete JSON object that is not empty.
        surplus: The text that has followed that object.
    """

    id: str
    name: str = ""
    sealed: Call | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    value: dict[str, Any] = field(default_factory=dict)
    surplus: str = ""
    _parts: list[str] = field(default_factory=list)
    _again: str = ""
    _depth: int = 0
    _in_string: bool = False
    _escaped: bool = False

    @property
    def arguments(self) -> str:
        """The text of the arguments so far."""
        return "".join(self._parts)

    def add_name(self, part: str) -> None:
        """Add a part of the tool's name; a repeated whole name, as some servers send it, adds nothing."""
        if part and part != self.name and not self._parts:
            self.name += part

    def add_whole(self, arguments: str) -> None:
        """Add the arguments of a call whose text does not come in pieces."""
        self._parts.append(arguments)

    def add_arguments(self, part: str) -> bool:
        """Add a fragment of the arguments; return `False` when it changes nothing."""
        if self.value:
            return bool(part.strip())
        if part.startswith("{") and not self._depth and self.arguments.strip() == "{}":
            self._parts.clear()  # an empty object that held the place of the real one
        self._parts.append(part)
        if self._closes(part):
            self.value = filled_object(self.arguments)
        return True

    def repeats(self, part: str) -> bool:
        """Return whether text behind the complete object is one bracket too many, or a part of the object once more."""
        part = "".join(part.split())
        if not self.surplus and part == "}":
            self.surplus, self._again = part, ""
            return True
        if not self.surplus:
            self._again = "".join(self.arguments.split())
        again = self._again.startswith(part)
        self.surplus, self._again = self.surplus or part, self._again[len(part) :]
        return again

    def _closes(self, part: str) -> bool:
        """Return whether the outermost object closes in this fragment; each character is read once."""
        closes = False
        part = part[1:] if self._escaped else part
        for mark in _STRUCTURE.findall(part):
            if mark == '"':
                self._in_string = not self._in_string
            elif mark[0] != "\\" and not self._in_string:
                self._depth += 1 if mark in "{[" else -1
                closes = closes or self._depth == 0
        self._escaped = (len(part) - len(part.rstrip("\\"))) % 2 == 1  # the escaped character comes next
        return closes


class Calls:
    """The calls of one reply; the sink is told of each call as soon as it is complete.

    Args:
        sink: The listener of the reply.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._calls: list[OpenCall] = []
        self._by_index: dict[int, OpenCall] = {}
        self._taken: set[str] = set()  # the ids of complete calls

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def sealed(self) -> tuple[Call, ...]:
        """The calls that are complete, in order."""
        return tuple(call.sealed for call in self._calls if call.sealed)

    def add_sealed(self, call: Call) -> None:
        """Add a call that is complete already, and tell the sink of it."""
        self._calls.append(OpenCall(call.id, call.name, call))
        self._sink.call(call)

    def add(self, item: Mapping[str, Any], *, separate: bool) -> None:
        """Add an item of a message's `tool_calls`: a whole call, or the next part of one.

        Args:
            item: The item as the server sends it.
            separate: The item is a call of its own, not the next part of one.

        Raises:
            ProtocolError: The item brings more arguments for a call that was already complete.
        """
        function = item.get("function")
        function = function if isinstance(function, dict) else {}
        name, arguments = function.get("name") or "", function.get("arguments")
        if isinstance(arguments, dict | list):  # an object instead of a string
            arguments = json.dumps(arguments, ensure_ascii=False)
        arguments = arguments if isinstance(arguments, str) else ""
        call_id = str(item.get("id") or "")
        call = None if separate else self._same(item.get("index"), call_id, name, arguments)
        if call is None:
            call = OpenCall(call_id)
            self._calls.append(call)
            if isinstance(index := item.get("index"), int):
                self._by_index[index] = call
        call.id = call.id or call_id
        call.add_name(str(name))
        keep_of_call(call.extra, item)
        if separate:
            call.add_whole(arguments)
        elif arguments and call.add_arguments(arguments):
            self._added(call, arguments)

    def finish(self, *, cut: bool) -> None:
        """Seal every call that is not sealed yet; `cut` says that the token limit has cut the reply."""
        for call in self._calls:
            if call.sealed is None:
                half = cut and call is self._calls[-1] and not filled_object(call.arguments)
                self._seal(call, CUT_CALL if half else None)

    def _added(self, call: OpenCall, arguments: str) -> None:
        """Seal a call whose arguments are complete; of a sealed call, look at the text that follows them."""
        if call.sealed is None:
            if call.value:
                self._seal(call, None)
            return
        first = not call.surplus
        if not call.repeats(arguments):
            raise ProtocolError(
                f"The server sent more arguments for the call {call.name!r} after its JSON object was complete: "
                f"{arguments[:_EXCERPT]!r}"
            )
        if first:
            self._sink.notice(Notice(SURPLUS.format(name=call.sealed.name)))

    def _same(self, index: object, call_id: str, name: str, arguments: str) -> OpenCall | None:
        """Return the call that a delta belongs to; `None` when the delta begins a new call."""
        if isinstance(index, int):
            call = self._by_index.get(index)
        else:  # no index: by id, else the call being written
            call = self._of_id(call_id) or (self._calls[-1] if self._calls else None)
        if call is None:
            return None
        if call_id and call.id and call_id != call.id:  # one index for several calls, or an id made up for each delta
            return self._of_id(call_id) or (None if name or call.value else call)
        if name and not call_id and call.arguments and (name != call.name or (arguments and call.value)):
            return None  # calls without ids: another name, or another object, is another call
        return call

    def _of_id(self, call_id: str) -> OpenCall | None:
        return next((call for call in self._calls if call_id and call.id == call_id), None)

    def _seal(self, call: OpenCall, problem: str | None) -> None:
        name, text = own_name(call.name), call.arguments
        arguments, raw, fault = (call.value, text, None) if call.value else parse_arguments(text)
        if fault and problem is None and (object_alone := without_surplus(text)):
            arguments, raw, fault = parse_arguments(object_alone)
            self._sink.notice(Notice(SURPLUS.format(name=name)))
        fresh = {} if not call.id or call.id in self._taken else {"id": call.id}
        call.sealed = Call(name, arguments, raw=raw, problem=problem or fault, extra=call.extra, **fresh)
        call.id = call.sealed.id
        self._taken.add(call.id)
        self._sink.call(call.sealed)


def parse_arguments(text: str) -> tuple[dict[str, Any], str, str | None]:
    """Return the arguments in a call's text, the JSON to send back for them, and what is wrong with it, or `None`.

    `null` and an empty text are an empty object. Text that is no JSON object gives an empty one, and a problem in words
    for the model.
    """
    value: Any = None
    problem = None
    try:
        value = _loads(text) if text.strip() else None
    except RecursionError:
        problem = "The arguments are nested too deeply."
    except json.JSONDecodeError as error:
        try:  # line breaks inside strings are the most common slip
            value = json.loads(text, strict=False, parse_constant=no_constant)
            text = json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError):
            near = text[max(0, error.pos - 20) : error.pos + 20]
            said = f"{error.msg} at line {error.lineno} column {error.colno}, near {near!r}"
            problem = f"The arguments are not valid JSON: {said}."
    except ValueError as error:
        problem = f"The arguments are not valid JSON: {error}."
    if isinstance(value, dict):
        return value, text, None
    if isinstance(value, str) and value.lstrip().startswith("{"):  # an object that was encoded twice
        return parse_arguments(value)
    if value is not None:
        kind = type(value).__name__
        problem = f'The arguments must be a JSON object such as {{"name": "value"}}, not {kind}.'
    return {}, "{}", problem


def without_surplus(text: str) -> str | None:
    """Return the text of a JSON object without the surplus behind it; `None` where the text is anything else.

    The surplus is one bracket too many, or the same object once more.
    """
    start = len(text) - len(text.lstrip())
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
        surplus = text[end:].strip()
        again = surplus != "}" and json.loads(surplus) != value
    except (ValueError, RecursionError):
        return None
    return text[start:end] if isinstance(value, dict) and not again else None


def no_constant(name: str) -> float:
    """Refuse the constants `NaN` and `Infinity`, which Python reads and JSON does not have."""
    raise ValueError(f"{name} is not JSON")


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=no_constant)


def filled_object(text: str) -> dict[str, Any]:
    """Return the JSON object in a text that holds nothing else; an empty dict for any other text."""
    try:
        value = _loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
