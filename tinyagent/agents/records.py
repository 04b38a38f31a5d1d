"""The records of a journal as text, and back: replies, observations, exceptions, decisions."""

from __future__ import annotations

import builtins
import json
import sys
from contextlib import suppress
from dataclasses import MISSING, fields, replace
from typing import Any

from tinyagent.core.codec import dumps, loads
from tinyagent.core.jsonable import adapter, to_data, words
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Call, Reply
from tinyagent.core.policy import Allow, Decision, Deny, Pending, Return
from tinyagent.core.result import Observation
from tinyagent.core.tool import Tool

#: The ends of the keys under which is recorded that a call has begun, that it waits, and what was decided of it.
BEGUN, ASKED, DECISION = "/begun", "/asked", "/decision"


def _plain(record: Any, *left_out: str) -> dict[str, Any]:
    """Return the fields of a record whose values are not the defaults, but for those left out."""
    data = {}
    for field in fields(record):
        value = getattr(record, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name not in left_out and value != default:
            data[field.name] = value
    return data


def _call_data(call: Call) -> dict[str, Any]:
    return {"id": call.id, **_plain(call, "id", *(["arguments"] if _says_all(call) else []))}


def _says_all(call: Call) -> bool:
    """Return whether the arguments can be read from the call's text of them, which is recorded anyway."""
    try:
        return bool(json.loads(call.raw) == call.arguments)
    except ValueError:
        return False


def _to_call(data: dict[str, Any]) -> Call:
    if "arguments" not in data and data["raw"]:
        data["arguments"] = json.loads(data["raw"])
    return Call(**data)


def reply_text(reply: Reply) -> str:
    """Return a reply as a line of JSON."""
    calls = [_call_data(call) for call in reply.calls]
    data = {**_plain(reply, "calls", "usage"), "calls": calls, "usage": _plain(reply.usage)}
    return json.dumps(data, default=to_data)


def to_reply(text: str) -> Reply:
    """Return the reply that `reply_text` wrote."""
    data = json.loads(text)
    calls, usage = tuple(map(_to_call, data.pop("calls"))), Usage(**data.pop("usage"))
    return Reply(calls=calls, usage=usage, **data)


def observation_text(seen: Observation, call: Call) -> str:
    """Return an observation as a line of JSON; what JSON has no form for follows on a second line, by the codec."""
    said = json.dumps({"text": seen.text, "error": seen.error, "seconds": seen.seconds})
    rest: dict[str, Any] = {}
    if type(seen.value) is not str or seen.value != seen.text:
        rest["value"] = seen.value
    if seen.exception is not None:
        rest["raised"] = _raised(seen.exception)
    if seen.call.arguments != call.arguments:  # a middleware has changed them
        rest["arguments"] = seen.call.arguments
    if not rest:
        return said
    return f"{said}\n{dumps(rest, records=True, limited=False)}"


def to_observation(text: str, call: Call) -> Observation:
    """Return the observation of a call that `observation_text` wrote."""
    said, _, packed = text.partition("\n")
    data = json.loads(said)
    rest = loads(packed, records=True, limited=False) if packed else {}
    if "arguments" in rest:
        call = replace(call, arguments=rest["arguments"])
    seen = Observation(call, data["text"], rest.get("value", data["text"]), data["error"], data["seconds"])
    return seen.raised(_to_exception(rest["raised"])) if "raised" in rest else seen


def _raised(error: Exception) -> dict[str, Any]:
    kind = type(error)
    bases = [each.__name__ for each in kind.__mro__ if each.__module__ == "builtins"]
    data = {"module": kind.__module__, "type": kind.__qualname__, "bases": bases, "words": words(error)}
    if isinstance(error, ExceptionGroup):
        return {**data, "args": (error.message,), "group": [_raised(each) for each in error.exceptions]}
    return {**data, "args": error.args}


def _to_exception(data: dict[str, Any]) -> Exception:
    """Return an exception of the recorded class, which says the same.

    Where the program does not know the class, or cannot make such an exception without its `__init__`, it is of a class
    of the same name that derives from it, or from the nearest of Python's own.
    """
    args = data["args"]
    if "group" in data:
        args = (*args, [_to_exception(each) for each in data["group"]])
    known: Any = sys.modules.get(data["module"])
    for part in data["type"].split("."):
        known = getattr(known, part, None)
    name = data["type"].rpartition(".")[2]
    for base in (known, *(getattr(builtins, base, None) for base in data["bases"])):
        if isinstance(base, type) and issubclass(base, Exception):
            for kind in (base, _of_that_name(base, name, data)):
                with suppress(Exception):
                    error: Exception = kind.__new__(kind, *args)
                    error.args = args
                    if words(error) == data["words"] and kind.__name__ == name:
                        return error
    return RuntimeError(data["words"])


def _of_that_name(base: type[Exception], name: str, data: dict[str, Any]) -> type[Exception]:
    """Return a class of exceptions whose text is the recorded one; the base itself where nothing derives from it."""
    try:
        return type(name, (base,), {"__str__": lambda _: data["words"], "__module__": data["module"]})
    except TypeError:
        return base


#: Types whose values are the same live and recorded.
_PLAIN = (str, int, float, bool)


def revived(tool: Tool[..., Any] | None, value: Any, *, strict: bool = False) -> Any:
    """Return a value that a tool gave, or was said to give, as the type that the tool's return annotation names.

    Args:
        tool: The tool; `None` where it is not known any more.
        value: The value, as plain data.
        strict: Refuse a value of another type; otherwise it is returned as it is.

    Raises:
        ValueError: The value is of another type.
    """
    kind = None if tool is None else tool.signature.hints.get("return")
    if kind is None or (kind in _PLAIN and type(value) is kind):
        return value
    try:
        bare = _bare(value)
        made = adapter(kind).validate_python(bare)
        return value if type(made) is type(bare) and made == bare else made
    except Exception as error:
        if strict and isinstance(error, ValueError):
            raise
        return value


def _bare(value: Any) -> Any:
    """Return a value with a plain dict in place of each record."""
    if isinstance(value, dict):
        return {key: _bare(part) for key, part in value.items()}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(map(_bare, value))
    return value


# ---- what waits, and what was decided


def pending_text(pending: Pending, allowed: Allow) -> str:
    """Return a call that waits as text; on a second line, the arguments that a policy has given it."""
    text = json.dumps(to_data(pending))
    return text if allowed.arguments is None else f"{text}\n{decision_text(allowed)}"


def to_pending(text: str) -> Pending:
    """Return the call that `pending_text` wrote."""
    return Pending(**json.loads(text.partition("\n")[0]))


def to_allowed(text: str) -> Decision:
    """Return what a plain `Allow()` means for the call that `pending_text` wrote."""
    changed = text.partition("\n")[2]
    return to_decision(changed) if changed else Allow()


def decision_text(decision: Decision) -> str:
    """Return a decision as text."""
    data = {field.name: getattr(decision, field.name) for field in fields(decision)}
    return dumps({type(decision).__name__: data}, records=True, limited=False)


def to_decision(text: str) -> Decision:
    """Return the decision that `decision_text` wrote."""
    [(kind, data)] = loads(text, records=True, limited=False).items()
    decision: Decision = {"Allow": Allow, "Deny": Deny, "Return": Return}[kind](**data)
    return decision
