"""One attempt at a recorded run: it holds the run, goes on from the records, and records how the run was left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tinyagent.agents.approval import check_decision, checked_decisions
from tinyagent.agents.journal import Journal, hold, loaded, unredacted
from tinyagent.agents.loop import Ending
from tinyagent.agents.runrecord import LEFT, RunRecord, times_left
from tinyagent.agents.sessions import SessionLog
from tinyagent.agents.state import RunState
from tinyagent.agents.turn import direct_call
from tinyagent.core.errors import ConfigurationError, RunBusyError, StoreError, UnknownRunError
from tinyagent.core.events import Notice
from tinyagent.core.jsonable import brief, error_text, to_data
from tinyagent.core.messages import Conversation, System, User, derived_id
from tinyagent.core.policy import Pending
from tinyagent.core.tool import Tool
from tinyagent.models.base import model_name
from tinyagent.models.chat import as_messages

if TYPE_CHECKING:
    from tinyagent.agents.agent import Agent


async def attempt(agent: Agent[Any, Any], run: RunState, work: Callable[[RunState], Awaitable[Ending]]) -> Ending:
    """Do the work of a run whose store says what was done before; record how the run was left.

    Raises:
        RunBusyError: Someone else works on the run.
        SessionBusyError: The run's session waits for a decision, or is in use.
        UnknownRunError: The run is to be taken up, and is not recorded.
        ConfigurationError: The records are of another task or agent, or a decision does not fit.
        ReplayError: The task was redacted when it was recorded.
        StoreError: The store failed.
    """
    store = run.store
    assert store is not None  # noqa: S101 - so it is called
    async with AsyncExitStack() as held:
        if not await hold(held, store, run.run_id):
            raise RunBusyError(
                f"The run {run.run_id!r} is at work elsewhere. Wait for it, or pass another run_id= for another run."
            )
        records = await loaded(store, run.run_id)
        before = RunRecord.of(run.run_id, records)
        if before is None and run.resumed:
            raise UnknownRunError(f"The store {type(store).__name__} has no run {run.run_id!r}.")
        if before is not None:
            unredacted(f"{run.run_id}/start", records)
            work = _as_recorded(agent, run, before, work)
        if run.session is not None:
            run.log = await SessionLog.join(held, store, run, before)
            if before is None and any(key.startswith(f"{run.run_id}/") for key in run.log.records):
                raise ConfigurationError(
                    f"The session {run.session!r} has steps of a run {run.run_id!r} that was deleted: pass another "
                    "run_id=."
                )
            records = {**run.log.records, **records}
        journal = run.journal = Journal(store, run.run_id, records, None if run.log is None else run.log.space)
        _check(agent, run, journal)
        if before is None:
            await _begin(agent, run, journal, work)
        elif before.state in LEFT:
            await journal.record(f"{run.run_id}/resumed/{before.left}", "{}", of_run=True)
        run.replaying = before is not None
        run.begin()
        return await _followed(run, journal, work)


def _as_recorded(
    agent: Agent[Any, Any], run: RunState, before: RunRecord, work: Callable[[RunState], Awaitable[Ending]]
) -> Callable[[RunState], Awaitable[Ending]]:
    """Let a run go on from its record; return its work.

    Raises:
        ConfigurationError: The run has ended without an answer, or was recorded by another agent, or with another
            task or session.
    """
    if before.agent != agent.name:
        raise ConfigurationError(
            f"The run {run.run_id!r} was begun by the agent {before.agent!r}, and cannot go on with {agent.name!r}."
        )
    if before.state == "dropped":
        raise ConfigurationError(
            f"The run {run.run_id!r} cannot go on: it was dropped, or its session has gone on without it."
        )
    run.info = replace(run.info, started=before.started)
    if run.session not in (None, before.session):
        raise ConfigurationError(
            f"The run {run.run_id!r} is recorded with another session, {before.session!r}, than {run.session!r}. Pass "
            "that session to go on with it, or another run_id= for another run."
        )
    run.session, run.speaker = before.session, before.first
    if not run.resumed:
        if before.task != run.task:
            raise ConfigurationError(
                f"The run {run.run_id!r} is recorded with another task, {brief(before.task)}, than {brief(run.task)}. "
                "Pass the same task to go on with it, or another run_id= for another run."
            )
        return work
    run.task, run.metadata = before.task, before.metadata
    if before.call is not None:
        return partial(agent._call_directly, call=direct_call(*before.call))  # noqa: SLF001 - its own work
    run.conversation = Conversation([*as_messages(before.messages), User(before.task)])
    run.conversation.instruct(agent.instructions, agent.name)
    return work


def _check(agent: Agent[Any, Any], run: RunState, journal: Journal) -> None:
    """Refuse decisions that do not fit, before any of them is recorded: the first one that is recorded stands."""
    pending = journal.pending()
    journal.decisions = checked_decisions(run.decisions, pending)
    for key, decision in journal.decisions.items():
        check_decision(pending[key], decision, _tool_of(agent, pending[key]))


def _tool_of(agent: Agent[Any, Any], pending: Pending) -> Tool[..., Any] | None:
    """Return the tool of a call that waits, if it is known before toolkits are open, and agents of one name share none.

    What cannot be checked now is checked when the call is about to be made.
    """
    team = agent._team()  # noqa: SLF001 - of the package
    found = [each.tools[pending.tool] for each in team if each.name == pending.agent and pending.tool in each.tools]
    return found[0] if len(found) == 1 else None


async def _begin(agent: Agent[Any, Any], run: RunState, journal: Journal, work: Any) -> None:
    """Record what the run is to do."""
    start: dict[str, Any] = {"task": run.task, "agent": agent.name, "model": model_name(agent.model)}
    start["started"] = run.info.started
    if run.metadata:
        start["metadata"] = to_data(run.metadata)
    if isinstance(work, partial):
        call = work.keywords["call"]
        start["call"] = [call.name, to_data(call.arguments)]
    elif run.log is not None:
        start |= {"session": run.session, "place": run.log.place}
        if run.speaker not in ("", agent.name):
            start["first"] = run.speaker
    else:
        earlier = [each for each in run.conversation.messages[:-1] if not (isinstance(each, System) and each.agent)]
        if earlier:
            start["messages"] = [to_data(each) for each in earlier]
    await journal.record(f"{run.run_id}/start", json.dumps(start), of_run=True)


async def _followed(run: RunState, journal: Journal, work: Callable[[RunState], Awaitable[Ending]]) -> Ending:
    """Do the work, and record how the run was left, unless it was cancelled: that is as if the process had died."""
    try:
        ending = await work(run)
    except StoreError:
        raise
    except BaseException as error:
        late = run.deadline is not None and asyncio.get_running_loop().time() >= run.deadline
        if isinstance(error, Exception) or (late and isinstance(error, asyncio.CancelledError)):
            text = "Its time was over (Limits.seconds)." if late else error_text(error)
            await _leave(run, journal, {"state": "failed", "error": text})
        raise
    if ending.error is not None:
        await _leave(run, journal, {"state": "failed", "error": error_text(ending.error)})
    else:
        if run.log is not None and ending.state != "paused":
            await run.log.keep(run)
        await _leave(run, journal, {"state": ending.state})
    return ending


async def _leave(run: RunState, journal: Journal, how: Mapping[str, Any]) -> None:
    key = f"{run.run_id}/end"
    if how["state"] in LEFT:
        key = f"{run.run_id}/left/{1 + times_left(run.run_id, journal.records)}"
    if key not in journal:
        await journal.record(key, json.dumps({**how, "agent": run.info.agent}), of_run=True)


async def instructions_of(agent: Agent[Any, Any], run: RunState, journal: Journal) -> str:
    """Return the instructions of an agent that gets its turn: those that are recorded, where a function gives them.

    Where the agent has changed since, its tools or its instructions, a `Notice` says so.
    """
    key = f"{run.run_id}/{len(run.steps) + 1}/agent"
    now: dict[str, Any] = {
        "agent": agent.name,
        "tools": {name: _digest(tool.definition) for name, tool in run.toolbox.tools.items()},
    }
    then: Mapping[str, Any] = journal.recorded(key) if key in journal else {}
    text = agent.prompt.fixed
    if text is None:
        text = then["text"] if "text" in then else await agent.prompt.text(run.context())
    now["text" if agent.prompt.fixed is None else "digest"] = text if agent.prompt.fixed is None else _digest(text)
    if then:
        _compare(run, then, now)
    else:
        await journal.record(key, json.dumps(now))
    return text


def _compare(run: RunState, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    old, new = then["tools"], now["tools"]
    changes = [
        *(["its instructions"] if any(then.get(name) != now.get(name) for name in ("text", "digest")) else []),
        *(f"{name} is new" for name in new if name not in old),
        *(f"{name} is gone" for name in old if name not in new),
        *(f"{name} is another" for name in new if name in old and new[name] != old[name]),
    ]
    if changes:
        run.emit(Notice(f"The agent {now['agent']!r} has changed since the run began: {'; '.join(changes)}."))


def _digest(data: object) -> str:
    return derived_id(data if isinstance(data, str) else json.dumps(data, sort_keys=True))
