"""A tool call while it is written: when it is complete, and what its arguments are."""

from __future__ import annotations

import json
import re
from typing import Any

from tinyagent.core.messages import Call

CUT_CALL = (
    "This call did not run: the reply was cut by the token limit (finish_reason 'length') in the middle of its "
    "arguments. Call again with shorter arguments, or split the work into several calls."
)
#: What matters for finding the end of a JSON object: quotes, brackets, and escapes to step over.
_STRUCTURE = re.compile(r'\\.|["{}\[\]]', re.DOTALL)

#: What no tool's name holds: a control token, a tag, a channel or a count that followed the name.
_BEHIND_NAME = re.compile(r"[<\[].*|:\d+\Z", re.DOTALL)


def own_name(name: str) -> str:
    """Return the name of the tool in what a server calls its name: `add<|channel|>commentary` is `add`."""
    return _BEHIND_NAME.sub("", name).strip() or name


class OpenCall:
    """A call that is still being written."""

    __slots__ = (
        "_again",
        "_depth",
        "_escaped",
        "_in_string",
        "_parts",
        "complete",
        "extra",
        "id",
        "name",
        "sealed",
        "surplus",
    )

    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.name = ""
        self.sealed: Call | None = None
        #: Keys that only the server knows; more may come after the call is sealed.
        self.extra: dict[str, Any] = {}
        #: The arguments are a complete JSON object that is not empty.
        self.complete = False
        #: What has followed that object.
        self.surplus = ""
        self._parts: list[str] = []
        self._again = ""
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @classmethod
    def sealed_as(cls, call: Call) -> OpenCall:
        """Return a call that was complete at once."""
        whole = cls(call.id)
        whole.name, whole.sealed = call.name, call
        return whole

    @property
    def arguments(self) -> str:
        """The text so far."""
        return "".join(self._parts)

    def add_name(self, part: str) -> None:
        """Add a part of the name; servers also repeat it whole."""
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
            self.complete = _is_filled_object(self.arguments)
        return True

    def repeats(self, part: str) -> bool:
        """Return whether what follows the complete object is one bracket too many, or the object once more."""
        part = "".join(part.split())
        if not self.surplus and part == "}":
            self.surplus, self._again = part, ""
            return True
        if not self.surplus:
            self._again = "".join(self.arguments.split())
        again = self._again.startswith(part)
        self.surplus, self._again = self.surplus or part, self._again[len(part) :]
        return again

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
            value = json.loads(text, strict=False, parse_constant=no_constant)
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


def without_surplus(text: str) -> str | None:
    """Return the JSON object that one bracket too many, or itself once more, follows; `None` if there is none."""
    start = len(text) - len(text.lstrip())
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
        surplus = text[end:].strip()
        again = surplus != "}" and json.loads(surplus) != value
    except (ValueError, RecursionError):
        return None
    return text[start:end] if isinstance(value, dict) and not again else None


def _not_an_object(value: object) -> str:
    return f'The arguments must be a JSON object such as {{"name": "value"}}, not {type(value).__name__}.'


def no_constant(name: str) -> float:
    """Refuse `NaN` and `Infinity`."""
    raise ValueError(f"{name} is not JSON")


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=no_constant)


def _is_filled_object(text: str) -> bool:
    try:
        value = _loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(value)
