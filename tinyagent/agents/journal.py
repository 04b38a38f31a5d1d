"""The journal of a run: what was done before is answered from its store, what is done now is recorded there."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import replace
from itertools import takewhile
from operator import itemgetter
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from tinyagent.agents.middleware import Middleware, ModelCall, ToolCall
from tinyagent.agents.records import (
    ASKED,
    BEGUN,
    DECISION,
    observation_text,
    reply_text,
    revived,
    to_observation,
    to_pending,
    to_reply,
)
from tinyagent.core.context import Context
from tinyagent.core.errors import ConfigurationError, ReplayError, StoreError
from tinyagent.core.jsonable import brief, error_text
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Call, Reply
from tinyagent.core.policy import Decision, Pending
from tinyagent.core.result import Observation
from tinyagent.core.store import REDACTED, Store
from tinyagent.core.waiting import blaming, is_cancelled, once_per_loop
from tinyagent.models.base import ModelRequest, Sink

T = TypeVar("T")

#: Seconds between two attempts to hold what someone else works on.
PAUSE = 0.02
#: Where those of an event loop wait who want to hold the same: a lock for each store and name, as long as one waits.
_lines: Callable[[], WeakValueDictionary[tuple[int, str], asyncio.Lock]] = once_per_loop(WeakValueDictionary)
_METHODS = ("load", "put", "runs", "delete", "claim")


def checked_store(store: object) -> Store:
    """Return what was passed as `store=`, checked.

    Raises:
        ConfigurationError: The object is no store.
    """
    if isinstance(store, type) or not all(callable(getattr(store, name, None)) for name in _METHODS):
        raise ConfigurationError(
            f"store={brief(store)}: pass a store, such as SQLiteStore('agents.db') or MemoryStore(): an object with "
            f"the methods {', '.join(_METHODS)} (see tinyagent.stores.Store)."
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
        space: The name under which the store keeps the steps: the run's id, or that of the session it belongs to.

    Attributes:
        decisions: What was decided now of calls that wait, by their ids.
    """

    def __init__(self, store: Store, run: str, records: Mapping[str, str], space: str | None = None) -> None:
        self.decisions: Mapping[str, Decision] = {}
        self._store = store
        self._run = run
        self._space = run if space is None else space
        self._records = dict(records)
        self._note_earlier()

    def __contains__(self, key: object) -> bool:
        return key in self._records

    def _note_earlier(self) -> None:
        places = enumerate(key for key in self._records if key.startswith(f"{self._run}/"))
        self._earlier = sorted((key, place) for place, key in places)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with the prefix, in their order, of what was recorded before this attempt."""
        from_here = range(bisect_left(self._earlier, (prefix,)), len(self._earlier))
        found = takewhile(lambda item: item[0].startswith(prefix), map(self._earlier.__getitem__, from_here))
        return [key for key, _ in sorted(found, key=itemgetter(1))]

    async def wrap_model_call(self, request: ModelRequest, sink: Sink, call_next: ModelCall) -> Reply:
        """Return the recorded reply; where there is none, record and return that of the model.

        When the run was broken off before its reply was whole, the calls that had started are the reply.
        """
        if request.key in self:
            return self.read(request.key, to_reply)
        tools = request.key.removesuffix("model") + "tool/"
        begun = [self.read(key, to_reply) for key in self.keys(tools) if key.endswith(BEGUN)]
        if begun:
            calls = tuple(call for each in begun for call in each.calls)
            reply = replace(begun[0], calls=calls, finish_reason="interrupted")
        else:
            reply = await call_next(request, sink)
        mine = await self.record(request.key, reply_text(reply))
        return reply if mine else self.read(request.key, to_reply)

    async def wrap_tool_call(self, call: Call, context: Context[Any], call_next: ToolCall) -> Observation:
        """Return the recorded observation; where there is none, record and return that of the tool.

        What a tool gives that has caught its cancellation is no answer, and is not recorded.
        """
        if context.key not in self:
            observation = await call_next(call, context)
            if is_cancelled() or await self.record(context.key, observation_text(observation, call)):
                return observation
        seen = self.read(context.key, lambda text: to_observation(text, call))
        tool = context._run.toolbox.tools.get(call.name)  # noqa: SLF001 - the seam between a call's context and runs
        value = revived(tool, seen.value)
        return seen if value is seen.value else replace(seen, value=value).raised(seen.exception)

    @property
    def records(self) -> Mapping[str, str]:
        """All records that are known here, by key."""
        return self._records

    def pending(self) -> dict[str, Pending]:
        """Return the calls that wait for a decision, by their ids."""
        mine = f"{self._run}/"
        if f"{mine}end" in self:  # a call that waits in an agent whose own call was given up is never made
            return {}
        asked = (key.removesuffix(ASKED) for key in self._records if key.startswith(mine) and key.endswith(ASKED))
        open_ = (key for key in asked if key + DECISION not in self and key.removesuffix(BEGUN) not in self)
        return {key: self.asked(key) for key in open_}

    def waited(self, key: str) -> bool:
        """Return whether a call has waited for a decision: it is asked for also where no policy asks any more."""
        return key + ASKED in self or key + BEGUN + ASKED in self

    def asked(self, key: str) -> Pending:
        """Return the call that was recorded as waiting under this id."""
        return self.read(key + ASKED, to_pending)

    async def begin(self, key: str, call: Call, origin: str) -> None:
        """Record a call that starts while the model still writes, and which server wrote it."""
        await self.record(key + BEGUN, reply_text(Reply(calls=(call,), origin=origin)))

    async def record(self, key: str, text: str, *, of_run: bool = False) -> bool:
        """Record a text under a key; return `False` where another process was first, whose text then stands.

        Args:
            key: The key.
            text: The text.
            of_run: Keep it under the run's id, also where the run belongs to a session.

        Raises:
            StoreError: The store failed.
        """
        space = self._run if of_run else self._space
        done: object = await told(self._store, "put", space, key, text)
        if not isinstance(done, bool):
            said = f"put() gave {brief(done)}; it returns True, or False where the key had a text already."
            raise StoreError(f"The store {type(self._store).__name__} failed: {said}")
        if done:
            self._records[key] = text
        else:
            self._records |= await loaded(self._store, space)
            self._note_earlier()
        return done

    def spent(self, prefix: str) -> Usage:
        """Return what the recorded model calls have used whose keys begin with the prefix."""
        keys = (key for key in self.keys(prefix) if key.endswith("/model"))
        return sum((self.read(key, to_reply).usage for key in keys), Usage())

    def recorded(self, key: str) -> Any:
        """Return the data that is recorded under the key as JSON.

        Raises:
            StoreError: The record cannot be read.
        """
        return self.read(key, json.loads)

    def read(self, key: str, read: Callable[[str], T]) -> T:
        """Return what a record says, as a function reads it.

        Raises:
            ReplayError: A part of the record was taken out when it was written (`redact=`).
            StoreError: The record cannot be read.
        """
        text = unredacted(key, self._records)
        try:
            return read(text)
        except Exception as error:
            text = f"what it holds under {key!r} cannot be read: {error_text(error)}"
            raise StoreError(f"The store {type(self._store).__name__} is damaged: {text}") from error


def unredacted(key: str, records: Mapping[str, str]) -> str:
    """Return the record under a key.

    Raises:
        ReplayError: A part of the record was taken out when it was written.
    """
    if records[key].startswith(REDACTED):
        raise ReplayError(
            f"The record {key!r} was redacted when it was written, so that the run cannot be answered from it."
        )
    return records[key]


async def hold(held: AsyncExitStack, store: Store, name: str, *, wait: bool = False) -> bool:
    """Hold a run or session until `held` is closed; return `False` where someone else holds it.

    Args:
        held: Gives it back.
        store: The store.
        name: The run or session.
        wait: Wait until it is free: behind those of this event loop that wait already, beside those of others.

    Raises:
        StoreError: The store failed.
    """
    if not wait:
        return await _taken(held, store, name)
    line = _lines().setdefault((id(store), name), asyncio.Lock())
    async with line:
        while not await _taken(held, store, name):  # noqa: ASYNC110 - another process may hold it
            await asyncio.sleep(PAUSE)
    return True


async def _taken(held: AsyncExitStack, store: Store, name: str) -> bool:
    async def give_back(*_: object) -> None:
        with _blamed(store):
            await claim.__aexit__(None, None, None)

    with _blamed(store):
        claim = store.claim(name)
        mine = await claim.__aenter__()
    if mine:
        held.push_async_exit(give_back)
    else:
        await give_back()
    return mine


async def loaded(store: Store, run: str) -> Mapping[str, str]:
    """Return the records of a run.

    Raises:
        StoreError: The store failed.
    """
    records: object = await told(store, "load", run)
    if not isinstance(records, Mapping) or not all(type(part) is str for item in records.items() for part in item):
        raise StoreError(
            f"The store {type(store).__name__} failed: load() gave {brief(records)}, and no dict of texts."
        )
    return records


async def named(store: Store, without: str | None = None) -> list[str]:
    """Return the names of the runs and sessions of a store, but for those with a record under `<name>/<without>`.

    Raises:
        StoreError: The store failed.
    """
    names: object = await told(store, "runs", without)
    if not isinstance(names, Iterable) or isinstance(names, str) or not all(type(name) is str for name in names):
        raise StoreError(f"The store {type(store).__name__} failed: runs() gave {brief(names)}, and no list of texts.")
    return list(names)


async def told(store: Store, method: str, *args: str | None) -> object:
    """Call a method of a store; turn whatever it raises into a `StoreError`."""
    with _blamed(store):
        return await getattr(store, method)(*args)


def _blamed(store: Store) -> AbstractContextManager[None]:
    return blaming(StoreError, f"The store {type(store).__name__} failed:", StoreError)
