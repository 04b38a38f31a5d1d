"""Sessions: conversations that go on from run to run, under a name, and are kept message by message."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from tinyagent.agents.journal import Journal, checked_store, hold, loaded, named, told
from tinyagent.agents.records import to_reply
from tinyagent.agents.runrecord import RunRecord
from tinyagent.core.errors import (
    ConfigurationError,
    ReplayError,
    RunBusyError,
    SessionBusyError,
    StoreError,
    UnknownRunError,
)
from tinyagent.core.jsonable import brief, error_text, to_data
from tinyagent.core.messages import Conversation, Message, System, ToolReply, User
from tinyagent.core.policy import Pending
from tinyagent.core.store import REDACTED, Store
from tinyagent.models.chat import as_messages

if TYPE_CHECKING:
    from tinyagent.agents.state import RunState

T = TypeVar("T")

#: How the names begin under which a store keeps sessions.
SPACE = "session/"
_DROPPED = json.dumps({"state": "dropped"})


class SessionLog:
    """The conversation of a session while one run goes on with it; the store keeps each message under its place.

    A message that the run's records hold anyway, a reply or the text of an observation, is kept as a reference.

    Args:
        store: Where the session is.
        session: The session's name.
        records: What is kept of it.

    Attributes:
        space: The name under which the store keeps the session, and the steps of its runs.
        records: What was kept of the session when the run joined it.
        messages: The messages before the run.
        place: How many there are.
    """

    def __init__(self, store: Store, session: str, records: Mapping[str, str]) -> None:
        self.space = SPACE + session
        self.records = records
        self._store = store
        self._places = sorted(key for key in records if key.startswith(f"{self.space}/"))
        self.place = len(self._places)
        self._over = False  # the run has ended before: what it says now is not kept
        self._seen = 0  # steps of the run whose messages are kept
        self.messages: tuple[Message, ...] = ()

    @classmethod
    async def join(cls, held: AsyncExitStack, store: Store, run: RunState, before: RunRecord | None) -> SessionLog:
        """Hold the session of a run, and begin the run's conversation with it.

        Args:
            held: Holds the session until the run is left.
            store: Where the session is.
            run: The run.
            before: What is recorded of the run, where it has begun already.

        Raises:
            SessionBusyError: Someone else is at work in the session, or a run of it waits for a decision.
            ConfigurationError: The session has gone on without the run.
        """
        session = run.session
        assert session is not None  # noqa: S101 - so it is called
        over = before is not None and before.state not in ("unfinished", "failed", "paused")  # it says nothing new
        if not over and not await hold(held, store, SPACE + session, wait=run.when_busy == "wait"):
            raise SessionBusyError(f"Another run is at work in the session {session!r}.", session)
        log = cls(store, session, await loaded(store, SPACE + session))
        if before is None:
            await log._follow(run)
        else:
            others = (log._run_at(place) != run.run_id for place in range(before.place, log.place))
            if not over and (any(others) or await _is_given_up(store, run.run_id)):
                raise ConfigurationError(f"The session {session!r} has gone on without the run {run.run_id!r}.")
            log.place, log._over = before.place, over
        log.messages = tuple(log.all()[: log.place])
        system = [each for each in run.conversation if isinstance(each, System)]
        run.conversation = Conversation([*system, *log.messages, User(run.task)])
        return log

    async def _follow(self, run: RunState) -> None:
        """Let a run follow the session's last one, and the agent go on that has answered last.

        Raises:
            SessionBusyError: The last run waits for a decision.
        """
        last = self._run_at(-1) if self._places else ""
        before = RunRecord.of(last, await loaded(self._store, last)) if last else None
        if before is None:
            return
        if before.state == "paused":
            pending: tuple[Pending, ...] = ()
            with suppress(ReplayError):  # it was redacted: nobody can decide about it
                pending = tuple(Journal(self._store, last, self.records).pending().values())
            raise SessionBusyError(
                f"The session {before.session!r} waits for a decision about its run {last!r}: resume that run with "
                "decisions, or give it up: Conversations(store).drop(run_id).",
                before.session or "",
                last,
                pending,
            )
        if before.state in ("unfinished", "failed"):
            await told(self._store, "put", last, f"{last}/end", _DROPPED)
        run.speaker = before.speaker

    def _read(self, key: str, read: Callable[[dict[str, Any]], T]) -> T:
        try:
            return read(json.loads(self.records[key].removeprefix(REDACTED)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"The store is damaged: {key!r} cannot be read: {error_text(error)}") from error

    def _run_at(self, place: int) -> str:
        return self._read(self._places[place], lambda data: str(data.get("run", "")))

    def runs(self) -> set[str]:
        """Return the ids of the runs that have added messages."""
        return {self._run_at(place) for place in range(len(self._places))} - {""}

    def all(self) -> list[Message]:
        """Return every message that is kept."""
        return [self._read(key, self._message) for key in self._places]

    def _message(self, data: dict[str, Any]) -> Message:
        """Return the message that a record keeps: itself, or the reply or observation to which it refers."""
        if "message" in data:
            return as_messages([data["message"]])[0]
        text = self.records[data["of"]].removeprefix(REDACTED)
        if "call" in data:
            return ToolReply(data["call"], json.loads(text.partition("\n")[0])["text"], data["name"])
        return to_reply(text).with_own_ids().message()

    async def keep(self, run: RunState) -> None:
        """Keep the messages that have come since the last time."""
        if self._over:
            return
        messages = run.conversation.messages
        new = messages[self.place + isinstance(messages[0], System) :]
        left = {_key(self.space, place): message for place, message in enumerate(new, self.place)}
        left = {key: message for key, message in left.items() if key not in self.records}
        known = _known(run, self._seen, left.values()) if left else {}
        self._seen, self.place = len(run.steps), self.place + len(new)
        for key, message in left.items():  # one after the other: wherever this breaks off, the beginning is kept
            text = json.dumps({"run": run.run_id, **(known.get(id(message)) or {"message": to_data(message)})})
            if not await told(self._store, "put", self.space, key, text):
                raise StoreError(f"The session {run.session!r} was written by someone else: {key!r} was there already.")


def _key(space: str, place: int) -> str:
    """Return the key of the message at a place of a session."""
    return f"{space}/{place:08}"


async def _is_given_up(store: Store, run: str) -> bool:
    """Return whether a run was dropped or deleted while it waited for its session."""
    records = await loaded(store, run)
    return f"{run}/end" in records or f"{run}/start" not in records


def _known(run: RunState, seen: int, new: Iterable[Message]) -> dict[int, dict[str, Any]]:
    """Return references in place of new messages that the records of the run hold, by the ids of these objects."""
    journal = run.journal
    assert journal is not None  # noqa: S101 - a session has a store
    answers = {each.call_id: each for each in new if isinstance(each, ToolReply)}
    found: dict[int, dict[str, Any]] = {}
    for step in run.steps[seen:]:
        key = f"{run.run_id}/{step.number}/model"
        if key in journal and journal.read(key, to_reply).with_own_ids().message() == step.message:
            found[id(step.message)] = {"of": key}
        for each in step.observations:
            answer = answers.get(each.call.id)
            key = f"{run.run_id}/{step.number}/tool/{each.call.id}"
            if answer is not None and answer.text == each.text and key in journal:
                found[id(answer)] = {"of": key, "call": each.call.id, "name": answer.name}
    return found


class Conversations:
    """The sessions of a store: to list, copy, clear, export and load them.

    Args:
        store: The store that was passed to the runs.
    """

    def __init__(self, store: Store) -> None:
        self._store = checked_store(store)

    async def list(self) -> list[str]:
        """Return the names of all sessions, in the order in which they began."""
        return [name.removeprefix(SPACE) for name in await named(self._store) if name.startswith(SPACE)]

    async def messages(self, session: str) -> tuple[Message, ...]:
        """Return the conversation of a session; an unknown one is empty."""
        log = SessionLog(self._store, session, await loaded(self._store, SPACE + session))
        return Conversation(log.all()).messages

    async def fork(self, session: str, new: str, at: int | None = None) -> None:
        """Begin a new session with the conversation of another.

        Args:
            session: The session to copy.
            new: The name of the new one.
            at: How many messages to copy; `None` copies all. Negative numbers leave out that many at the end.

        Raises:
            ConfigurationError: The new session has messages already.
        """
        await self.load([json.dumps({"session": new, **to_data(each)}) for each in (await self.messages(session))[:at]])

    async def clear(self, session: str) -> None:
        """Delete a session, with its runs.

        Raises:
            SessionBusyError: A run is at work in the session.
        """
        async with AsyncExitStack() as held:
            if not await hold(held, self._store, SPACE + session):
                raise SessionBusyError(f"A run is at work in the session {session!r}.", session)
            log = SessionLog(self._store, session, await loaded(self._store, SPACE + session))
            for name in {*log.runs(), SPACE + session}:
                await told(self._store, "delete", name)

    async def drop(self, run_id: str) -> None:
        """Give up a run that is paused or unfinished, so that its session can go on.

        Raises:
            UnknownRunError: There is no such run.
            RunBusyError: Someone is at work on the run.
        """
        async with AsyncExitStack() as held:
            if not await hold(held, self._store, run_id):
                raise RunBusyError(f"The run {run_id!r} is at work.")
            if RunRecord.of(run_id, await loaded(self._store, run_id)) is None:
                raise UnknownRunError(f"The store {type(self._store).__name__} has no run {run_id!r}.")
            await told(self._store, "put", run_id, f"{run_id}/end", _DROPPED)

    async def export(self, session: str) -> AsyncIterator[str]:
        """Yield the messages of a session as lines of JSON, which `load` reads."""
        for message in await self.messages(session):
            yield json.dumps({"session": session, **to_data(message)})

    async def load(self, lines: Iterable[str]) -> None:
        """Add sessions from the lines that `export` has written.

        Raises:
            ConfigurationError: A line is none of `export`, or a session has messages already.
        """
        sessions: dict[str, list[Message]] = {}
        for number, line in enumerate(lines, 1):
            try:
                data = json.loads(line)
                session = data.pop("session")
                if not isinstance(session, str):
                    raise TypeError(f"the session is {brief(session)}")
                sessions.setdefault(session, []).extend(as_messages([data]))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ConfigurationError(f"Line {number} is none that export() writes: {error_text(error)}") from error
        for session, messages in sessions.items():
            if await loaded(self._store, SPACE + session):
                raise ConfigurationError(f"The session {session!r} has messages already; clear it first.")
            for place, message in enumerate(messages):
                text = json.dumps({"run": "", "message": to_data(message)})
                await told(self._store, "put", SPACE + session, _key(SPACE + session, place), text)
