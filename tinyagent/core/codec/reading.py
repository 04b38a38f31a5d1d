"""From tagged JSON data to values: builds nothing larger than its text, and nothing but the types listed here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, time
from math import inf
from time import monotonic, thread_time
from typing import Any

from tinyagent.core.codec.exact import EXACT, LONGEST_RANGE, length
from tinyagent.core.codec.kinds import LONGEST_NAME, TAG, MalformedError, Opaque, Record

#: Seconds of processor time that the keys of dicts and sets in a text may take. Honest keys take a seventh of it; keys
#: that were chosen to collide in the tables would take minutes.
KEY_TIME = 0.08
#: So few keys take no time, whatever they are.
_FEW = 100


def _read_dict(pairs: list[list[Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        found[key] = value
        clock.check()
    return found


def _read_set(parts: list[Any]) -> set[Any]:
    found = set()
    for part in parts:
        found.add(part)
        clock.check()
    return found


def _read_frozenset(parts: list[Any]) -> frozenset[Any]:
    found = _read_set(parts)
    if len(found) > _FEW:
        clock.refuse_after(KEY_TIME / 2)  # the copy below takes as long again
    return frozenset(found)


class _Clock(threading.local):
    """The clock that ends the reading of a text whose keys take too long; each thread has its own."""

    _began = _next = 0.0
    in_ranges = 0

    def start(self, *, limited: bool = True) -> None:
        """Begin to measure the reading of another text; one that is not limited may take any time."""
        self.in_ranges = 0
        self._began = thread_time() if limited else inf
        self._next = monotonic() + KEY_TIME / 2 if limited else inf

    def check(self) -> None:
        """Refuse the text if its keys have taken longer than `KEY_TIME` so far."""
        if monotonic() > self._next:  # cheaper to ask than `thread_time`, but counts other threads too
            self.refuse_after(KEY_TIME)
            self._next = monotonic() + KEY_TIME / 8

    def count(self, found: range) -> None:
        """Count the numbers of a range, and refuse the text if all its ranges have more than `LONGEST_RANGE`."""
        self.in_ranges += length(found)
        if self.in_ranges > LONGEST_RANGE:
            raise MalformedError("ranges too long")

    def refuse_after(self, seconds: float) -> None:
        """Refuse the text if its reading has taken more than so many seconds of processor time."""
        if thread_time() - self._began > seconds:
            raise MalformedError("keys that take too long to read")


clock = _Clock()


#: For each tag, the type of what stands behind it in JSON, and what makes the value of that.
_READERS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    **{exact.tag: (exact.form, exact.read) for exact in EXACT.values()},
    "tuple": (list, tuple),
    "dict": (list, _read_dict),
    "set": (list, _read_set),
    "frozenset": (list, _read_frozenset),
}


def read_with_records(data: dict[str, Any]) -> Any:
    """Return the value of a JSON object, which may be a `Record`: for the sandbox, which trusts its host."""
    if data.get(TAG) != "record":
        return read(data)
    if type(data.get("v")) is not dict:
        raise MalformedError("a record has fields")
    return Record(data["v"], data.get("hidden", ()))


def read(data: dict[str, Any]) -> Any:
    """Return the value of a JSON object: of a tagged one what its tag says, of any other the dict itself."""
    tag = data.get(TAG)
    if tag is None:
        return data
    value = data["v"]
    if tag == "text" and type(value) is str and type(data["type"]) is str:
        return Opaque(value, data["type"][:LONGEST_NAME])
    if tag in ("datetime", "time") and type(value) is str and data.get("fold") in (0, 1):
        moment = datetime.fromisoformat(value) if tag == "datetime" else time.fromisoformat(value)
        return moment.replace(fold=data["fold"])
    kind, read = _READERS[tag]
    if type(value) is not kind:
        raise MalformedError(f"a {tag} is no {type(value).__name__}")
    found = read(value)
    if type(found) is range:
        clock.count(found)
    return found
