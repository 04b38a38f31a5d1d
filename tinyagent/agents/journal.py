"""The journal of a run: what was done before is answered from its store, what is done now is recorded there."""

from __future__ import annotations

import asyncio
import builtins
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, replace
from typing import Any, TypeVar

from tinyagent.agents.middleware import Middleware, ModelCall, ToolCall
from tinyagent.core.codec import dumps, loads
from tinyagent.core.context import Context
from tinyagent.core.errors import ConfigurationError, StoreError
from tinyagent.core.jsonable import brief, error_text, to_data, words
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Call, Reply
from tinyagent.core.result import Observation
from tinyagent.core.store import Store
from tinyagent.core.waiting import is_cancelled
from tinyagent.models.base import ModelRequest, Sink

T = TypeVar("T")

#: The end of the key under which a call is recorded that starts before its reply is whole.
BEGUN = "/begun"


def checked_store(store: object) -> Store:
    """Return what was passed as `store=`, checked.

    Raises:
        ConfigurationError: The object is no store.
    """
    if isinstance(store, type) or not all(callable(getattr(store, name, None)) for name in ("load", "put")):
        raise ConfigurationError(
            f"store={brief(store)}: pass a store, such as MemoryStore(): an object with "
            "'async def load(self, run)' and 'async def put(self, run, key, text)' (see tinyagent.stores.Store)."
        )
    return store  # type: ignore[return-value]


class Journal(Middleware):
    """The records of a run and of the runs inside it, as a middleware: a recorded call is answered, a new one recorded.

    Keys are names, never positions: `<run>/<step>/model`, `<run>/<step>/tool/<call id>`, and
    `<run>/<step>/tool/<call id>/begun` for a call that has started while the model still wrote. What is recorded of a
    call is its `Observation`, so that the model reads the same again.

    Args:
        store: Where the records are.
        run: The id of the outermost run.
        records: The records that are there already, by key.
    """

    def __init__(self, store: Store, run: str, records: Mapping[str, str]) -> None:
        self._store = store
        self._run = run
        self._records = dict(records)

    @classmethod
    async def open(cls, store: Store, run: str) -> Journal:
        """Return the journal of a run, with the records that are in the store.

        Raises:
            StoreError: The store failed.
        """
        return cls(store, run, await _loaded(store, run))

    def __contains__(self, key: object) -> bool:
        return key in self._records

    def keys(self, prefix: str) -> list[str]:
        """Return the recorded keys that begin with the prefix."""
        return [key for key in self._records if key.startswith(prefix)]

    async def wrap_model_call(self, request: ModelRequest, sink: Sink, call_next: ModelCall) -> Reply:
        """Return the recorded reply; where there is none, record and return that of the model.

        When the run was broken off before its reply was whole, the calls that had started are the reply.
        """
        if request.key in self:
            return self._read(request.key, _to_reply)
        tools = request.key.removesuffix("model") + "tool/"
        begun = [self._read(key, _to_reply) for key in self.keys(tools) if key.endswith(BEGUN)]
        if begun:
            calls = tuple(call for each in begun for call in each.calls)
            reply = replace(begun[0], calls=calls, finish_reason="interrupted")
        else:
            reply = await call_next(request, sink)
        mine = await self.record(request.key, _reply_text(reply))
        return reply if mine else self._read(request.key, _to_reply)

    async def wrap_tool_call(self, call: Call, context: Context[Any], call_next: ToolCall) -> Observation:
        """Return the recorded observation; where there is none, record and return that of the tool.

        What a tool gives that has caught its cancellation is no answer, and is not recorded.
        """
        if context.key not in self:
            observation = await call_next(call, context)
            if is_cancelled() or await self.record(context.key, _observation_text(observation, call)):
                return observation
        return self._read(context.key, lambda text: _to_observation(text, call))

    async def start(self, task: str) -> None:
        """Record what the run is to do, unless that is recorded.

        Raises:
            ConfigurationError: The run was given something else to do.
        """
        key = f"{self._run}/start"
        if key not in self:
            await self.record(key, json.dumps({"task": task}))
        if (then := self.recorded(key).get("task")) != task:
            raise ConfigurationError(
                f"The run {self._run!r} is recorded with another task, {brief(then)}, than {brief(task)}. Pass the "
                "same task to go on with it, or another run_id= for another run."
            )

    async def begin(self, key: str, call: Call, origin: str) -> None:
        """Record a call that starts while the model still writes, and which server wrote it."""
        await self.record(key + BEGUN, _reply_text(Reply(calls=(call,), origin=origin)))

    async def record(self, key: str, text: str) -> bool:
        """Record a text under a key; return `False` where another process was first, whose text then stands.

        Raises:
            StoreError: The store failed.
        """
        done: object = await _told(self._store, "put", self._run, key, text)
        if not isinstance(done, bool):
            said = f"put() gave {brief(done)}; it returns True, or False where the key had a text already."
            raise StoreError(f"The store {type(self._store).__name__} failed: {said}")
        self._records |= {key: text} if done else await _loaded(self._store, self._run)
        return done

    def spent(self, prefix: str) -> Usage:
        """Return what the recorded model calls have used whose keys begin with the prefix."""
        keys = (key for key in self.keys(prefix) if key.endswith("/model"))
        return sum((self._read(key, _to_reply).usage for key in keys), Usage())

    def recorded(self, key: str) -> Any:
        """Return the data that is recorded under the key as JSON.

        Raises:
            StoreError: The record cannot be read.
        """
        return self._read(key, json.loads)

    def _read(self, key: str, read: Callable[[str], T]) -> T:
        try:
            return read(self._records[key])
        except Exception as error:
            text = f"what it holds under {key!r} cannot be read: {error_text(error)}"
            raise StoreError(f"The store {type(self._store).__name__} is damaged: {text}") from error


async def _loaded(store: Store, run: str) -> Mapping[str, str]:
    records: object = await _told(store, "load", run)
    if not isinstance(records, Mapping) or not all(type(part) is str for item in records.items() for part in item):
        raise StoreError(
            f"The store {type(store).__name__} failed: load() gave {brief(records)}, and no dict of texts."
        )
    return records


async def _told(store: Store, method: str, *args: str) -> object:
    """Call a method of a store; turn whatever it raises into a `StoreError`."""
    try:
        return await getattr(store, method)(*args)
    except StoreError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        raise StoreError(f"The store {type(store).__name__} failed: {error_text(error)}") from error


# ---- records as text


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


def _reply_text(reply: Reply) -> str:
    calls = [_call_data(call) for call in reply.calls]
    data = {**_plain(reply, "calls", "usage"), "calls": calls, "usage": _plain(reply.usage)}
    return json.dumps(data, default=to_data)


def _to_reply(text: str) -> Reply:
    data = json.loads(text)
    calls, usage = tuple(map(_to_call, data.pop("calls"))), Usage(**data.pop("usage"))
    return Reply(calls=calls, usage=usage, **data)


def _observation_text(seen: Observation, call: Call) -> str:
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


def _to_observation(text: str, call: Call) -> Observation:
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
