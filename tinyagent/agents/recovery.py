"""Recovery: taking up the runs of a store that nobody works on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tinyagent.agents.agent import Agent
from tinyagent.agents.journal import checked_store, loaded, named
from tinyagent.agents.runrecord import RunRecord
from tinyagent.agents.sessions import SPACE
from tinyagent.core.errors import ConfigurationError, RunBusyError, StoreError
from tinyagent.core.jsonable import brief
from tinyagent.core.result import MapItem
from tinyagent.core.store import Store


async def recorded_runs(store: Store, *, unfinished: bool = False) -> list[RunRecord]:
    """Return what a store says of its runs, in the order in which they began.

    Of a run whose record cannot be read the state is `damaged`.

    Args:
        store: The store.
        unfinished: Leave out the runs that have ended with an answer.

    Raises:
        StoreError: The store failed.
    """
    found = []
    for name in await named(store, "end" if unfinished else None):
        if name.startswith(SPACE):
            continue
        records = await loaded(store, name)
        try:
            found.append(RunRecord.of(name, records))
        except StoreError as error:  # which hides none of the others
            found.append(RunRecord(name, "", "", state="damaged", error=str(error)))
    return [each for each in found if each is not None]


async def resume_all(
    store: Store, agents: Mapping[str, Agent[Any, Any]], *, deps: Any = None, concurrency: int = 20
) -> list[MapItem[Any]]:
    """Take up every run that was broken off and that nobody works on; return how each of them ended.

    Call it when a program starts. Paused runs, and those that failed or hit a limit, are left as they are:
    `agent.resume` takes them up. A run that fails now does not stop the others.

    Args:
        store: The store that the runs were recorded in.
        agents: The agents by the names under which they began runs (`agent.name`).
        deps: Handed to tools as `Context.deps`.
        concurrency: How many runs go on at once.

    Raises:
        ConfigurationError: An argument is wrong.
        StoreError: The store failed.
    """
    checked_store(store)
    if not isinstance(agents, Mapping) or not all(isinstance(each, Agent) for each in agents.values()):
        raise ConfigurationError(f"agents={brief(agents)}: pass agents by name, such as {{agent.name: agent}}.")
    if not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigurationError(f"concurrency={brief(concurrency)}: pass a whole number above 0.")
    places = asyncio.Semaphore(concurrency)
    left = [each for each in await recorded_runs(store, unfinished=True) if each.state in ("unfinished", "damaged")]

    async def take_up(place: int, run: RunRecord) -> MapItem[Any] | None:
        async with places:
            try:
                if run.state == "damaged":
                    raise StoreError(run.error)
                if run.agent not in agents:
                    known = ", ".join(agents) or "none"
                    raise ConfigurationError(
                        f"The run {run.run_id!r} was begun by the agent {run.agent!r}, and agents= has: {known}."
                    )
                return MapItem(place, run.task, await agents[run.agent].resume(run.run_id, deps=deps, store=store))
            except RunBusyError:
                return None
            except Exception as error:  # noqa: BLE001 - it is told, and the others go on
                return MapItem(place, run.task, error=error)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(take_up(place, run)) for place, run in enumerate(left)]
    return [item for task in tasks if (item := task.result()) is not None]
