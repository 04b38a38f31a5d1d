"""The runs of a store: listed, told step by step, taken up; and conversations that a store keeps."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from tinyagent.agents.agent import Agent
from tinyagent.agents.journal import Journal, loaded
from tinyagent.agents.records import ASKED, BEGUN, DECISION, to_decision, to_pending, to_reply
from tinyagent.agents.run import Run
from tinyagent.agents.sessions import SPACE
from tinyagent.cli.loading import made_agent
from tinyagent.cli.show import Terminal, put, short, waiting
from tinyagent.core.errors import ConfigurationError, RunError
from tinyagent.core.jsonable import words
from tinyagent.core.messages import Reply
from tinyagent.core.policy import Allow, Decision, Deny, Pending, Return, ask_on_terminal, ask_whether, in_words
from tinyagent.core.question import ask
from tinyagent.core.shared import holding
from tinyagent.core.store import REDACTED
from tinyagent.core.text import ends, one_line, printable
from tinyagent.core.waiting import is_cancelled
from tinyagent.stores import RunRecord, SQLiteStore, Store, recorded_runs

T = TypeVar("T")

#: Characters that are told of one text.
LONGEST = 2_000
_UNREADABLE = "(This record cannot be read.)"


# ---- the commands


async def runs(options: argparse.Namespace) -> int:
    """List the runs of a store, a line each; return the exit status."""
    async with _opened(options.store) as store:
        found = await recorded_runs(store)
        length = next(n for n in count(8) if len({each.run_id[:n] for each in found}) == len(found))
        for each in found:
            state = each.state
            if state == "unfinished":
                async with store.claim(each.run_id) as free:
                    state = state if free else "at work"
            about = (each.agent, _day(each.started), each.session or "-", each.task)
            told = "  ".join(short(str(part)) for part in about)
            _print([f"{each.run_id[:length]}  {state:10}  {told}"])
    return 0


async def show(options: argparse.Namespace) -> int:
    """Tell what a run did, from its store alone; return the exit status."""
    async with _opened(options.store) as store:
        _print(_story(*await _recorded(store, options.run)))
    return 0


async def run(options: argparse.Namespace) -> int:
    """Answer one question; return the exit status."""
    agent = made_agent(options)
    store = None if options.store is None else SQLiteStore(options.store)
    question = sys.stdin.read() if options.question == "-" else options.question
    return await _to_the_end(agent, agent.stream(question, store=store), store)


async def resume(options: argparse.Namespace) -> int:
    """Go on with a run of a store; return the exit status."""
    async with _opened(options.store) as store:
        run, records = await _recorded(store, options.run)
        agent = made_agent(options, None if run.session is None else ask_on_terminal)  # as `chat` makes it
        pending = Journal(store, run.run_id, records).pending()
        decisions: dict[str, Decision] = {_meant(each, pending): Allow() for each in options.allow}
        decisions |= {_meant(each, pending): Deny() for each in options.deny}
        going_on = agent.resume_stream(run.run_id, decisions, store=store)
        return await _to_the_end(agent, going_on, store, asks=not decisions)


async def chat(options: argparse.Namespace) -> int:
    """Talk with an agent, line by line, until the input ends; return the exit status."""
    agent = made_agent(options, ask_on_terminal)
    store = SQLiteStore(options.store)
    status: int | None = None
    async with holding(), agent:
        while status is None:
            status = await _unless_stopped(_turn(agent, store, options.session))
    return status


# ---- parts of them


@asynccontextmanager
async def _opened(path: str) -> AsyncIterator[SQLiteStore]:
    """Open a store that is there.

    Raises:
        ConfigurationError: There is no such file.
    """
    if not Path(path).is_file():  # noqa: ASYNC240 - nothing else goes on yet
        raise ConfigurationError(f"--store {path}: there is no such file. Pass the path of a SQLiteStore.")
    async with holding():
        yield SQLiteStore(path)


async def _recorded(store: Store, beginning: str) -> tuple[RunRecord, dict[str, str]]:
    """Return the run whose id begins so, and all that is recorded of it.

    Raises:
        ConfigurationError: There is none, or there are several.
    """
    names = [name for name in await store.runs() if name.startswith(beginning or "/") and not name.startswith(SPACE)]
    name = beginning if beginning in names or len(names) != 1 else names[0]
    records = await loaded(store, name)
    if (run := RunRecord.of(name, records)) is None:
        how_many = "Several runs begin" if names else "No run begins"
        raise ConfigurationError(f"{how_many} with {beginning!r}. `tinyagent runs` lists them.")
    return run, {**(await loaded(store, f"{SPACE}{run.session}") if run.session else {}), **records}


async def _to_the_end(agent: Agent[Any, Any], run: Run[Any], store: Store | None, *, asks: bool = True) -> int:
    """Show a run, ask whoever sits at the terminal about calls that wait, and go on; return the exit status."""
    live = sys.stdout.isatty()  # a pipe gets the answer and nothing else
    terminal = Terminal(sys.stdout, sys.stdout if live else sys.stderr, live=live)
    result = await terminal.show(run)
    while result.state == "paused" and asks and sys.stdin.isatty():
        if not (decisions := await _decided(result.pending)):
            return 3
        again = result if result.records else result.info.run_id
        result = await terminal.show(agent.resume_stream(again, decisions, store=store))
    put(sys.stderr, "".join(f"? {line}\n" for line in waiting(result.pending)))
    return 3 if result.state == "paused" else 0


async def _turn(agent: Agent[Any, Any], store: Store, session: str) -> int | None:
    """Go on with what waits in a session, else with what the person says; return the exit status, if that ends it."""
    left = [each for each in await recorded_runs(store, unfinished=True) if each.session == session]
    paused = next((each.run_id for each in left if each.state == "paused"), None)
    if paused is None and (said := await ask("> ")) is None:
        return 0
    try:
        if paused is not None:
            return await _to_the_end(agent, agent.resume_stream(paused, store=store), store) or None
        if said:
            run = agent.stream(said, session=session, store=store, when_busy="fail")
            return await _to_the_end(agent, run, store) or None
    except RunError as error:
        if isinstance(error, ConfigurationError):
            raise
        put(sys.stderr, printable(f"tinyagent: {type(error).__name__}: {error}\n"))
    return None


async def _unless_stopped(work: Coroutine[Any, Any, T]) -> T | None:
    """Return what the work gives; `None` where Ctrl-C stops it."""
    loop, task = asyncio.get_running_loop(), asyncio.create_task(work)

    def stop(*_: object) -> None:
        loop.call_soon_threadsafe(task.cancel)

    hears = threading.current_thread() is threading.main_thread()  # others hear no signals
    before = signal.signal(signal.SIGINT, stop) if hears else None
    try:
        return await task
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        put(sys.stderr, "\nStopped. Ctrl-D ends the chat.\n")
        return None
    finally:
        if hears:
            signal.signal(signal.SIGINT, before)


async def _decided(pending: Collection[Pending]) -> dict[str, Decision]:
    """Ask the person at the terminal about calls that wait; return what was decided, by their ids."""
    decisions: dict[str, Decision] = {}
    for each, line in zip(pending, waiting(pending), strict=True):
        said: Any = None
        if each.wants == "decision":
            said = await ask_whether(line)
        elif (value := await ask(f"{line}\nWhat did it give, as JSON or text? [nothing: it is denied] ")) is not None:
            said = Deny() if not value else Return(_read(value, json.loads, value))
        if said is None:
            break
        decisions[each.id] = said
    return decisions


def _meant(given: str, pending: Mapping[str, Pending]) -> str:
    """Return the id of the call that waits which a beginning of it, or its last part, names.

    Raises:
        ConfigurationError: There is none, or there are several.
    """
    fits = [key for key in pending if given and f"{key.removesuffix(BEGUN)}/".endswith(f"/{given}/")]
    fits = fits or [key for key in pending if given and key.startswith(given)]
    if len(fits) != 1:
        waits = "".join(f"\n? {line}" for line in waiting(pending.values())) or " nothing."
        how_many = "Several calls wait" if fits else "No call waits"
        raise ConfigurationError(f"{how_many} under {given!r}. What waits is:{waits}")
    return fits[0]


def _day(seconds: Any) -> str:
    with suppress(TypeError, ValueError, OverflowError, OSError):  # the record may hold anything
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    return "?"


def _print(lines: Iterable[str]) -> None:
    """Print lines, each of which stays one whatever is in it."""
    for line in lines:
        put(sys.stdout, one_line(line) + "\n")


# ---- what a run did


def _story(run: RunRecord, records: Mapping[str, str]) -> Iterator[str]:
    """Tell a run line by line; what a model or a tool has written stands behind a bar, so that it imitates nothing."""
    yield f"Run {run.run_id}"
    yield f"{run.agent} ({run.model}), {_day(run.started)}" + (f", session {run.session}" if run.session else "")
    yield from _quoted(run.task)
    ids = {run.run_id, *(key.removesuffix("/1/agent") for key in records if key.endswith("/1/agent"))}
    steps: dict[tuple[str, str], dict[str, str]] = {}
    for key, text in records.items():
        mine = [each for each in ids if key.startswith(f"{each}/")]
        inner = max(mine, key=len, default="")
        number, _, what = key.removeprefix(f"{inner}/").partition("/")
        if number.isdigit() and key.startswith(f"{run.run_id}/"):
            steps.setdefault((inner, number), {})[what] = text.removeprefix(REDACTED)
    last = run.run_id
    for (inner, number), step in steps.items():
        pad = "    " * sum(inner.startswith(f"{each}/") for each in ids)
        if inner not in (last, run.run_id):
            yield f"{pad}[{inner.removeprefix(f'{run.run_id}/')}]"
        last = inner
        yield f"{pad}Step {number}"
        yield from (f"{pad}  {line}" for line in _step(step))
    yield f"{run.state}: {run.error}" if run.error else run.state


def _step(step: Mapping[str, str]) -> Iterator[str]:
    text = step.get("model") or step.get("last/model", "")
    reply = _read(text, lambda text: to_reply(text).with_own_ids(), Reply(_UNREADABLE if text else ""))
    yield from _quoted(reply.text)
    names = {f"tool/{call.id}": call.name for call in reply.calls}
    yield from (f"→ {in_words(call.name, call.arguments)}" for call in reply.calls)
    for what, text in step.items():
        if what.endswith(ASKED):
            yield from (f"? {line}" for line in _read(text, lambda text: waiting([to_pending(text)]), [_UNREADABLE]))
        elif what.endswith(DECISION):
            yield f"! {_read(text, lambda text: words(to_decision(text)), _UNREADABLE)}"
        elif what.endswith(BEGUN) and not reply.calls:
            calls = _read(text, to_reply, Reply()).calls
            yield from (f"→ {in_words(call.name, call.arguments)}" for call in calls)
        elif what.startswith("code/"):
            error = _read(text, lambda text: json.loads(text)["error"], _UNREADABLE)
            yield f"block {what.removeprefix('code/')}: {error or 'ran'}"
        elif what.startswith("tool/") and what.count("/") == 1:
            seen = _read(
                text.partition("\n")[0], lambda text: {"error": None, **json.loads(text)}, {"error": _UNREADABLE}
            )
            yield f"{'✗' if seen['error'] else '←'} {names.get(what, what.removeprefix('tool/'))}"
            yield from _quoted(seen.get("text", seen["error"]))


def _read(text: str, read: Callable[[str], T], otherwise: T) -> T:
    """Return what a record says; something else where it cannot be read, so that the others are told all the same."""
    try:
        return read(text)
    except Exception:  # noqa: BLE001
        return otherwise


def _quoted(text: object) -> list[str]:
    lines = "\n".join(ends(printable(str(text)), LONGEST)).split("\n")
    return [f"│ {line}".rstrip() for line in lines] if any(lines) else []
