"""Kill processes at random moments that work on one store, and check what of their runs is left.

    python scripts/kills.py [--kills 200] [--seed 1]

Twenty agents work at once on one SQLite file, in one process, then in four: streamed eager ReactAgents, some with two
agents of their own, some that ask before each call, TinyCodeAgents that gather, sessions that go on from run to run,
and sessions whose next run comes although the last was killed. `kill -9` ends a process at a random moment; the next
takes up what nobody works on, until all is done, and the next round begins. The table counts what must never be, such
as answered calls that were made again, wrong outputs, and histories that no server would take. The exit status is 1
where there is any.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tinyagent import (
    Allow,
    Call,
    Context,
    Model,
    ReactAgent,
    Reply,
    Return,
    RunError,
    SQLiteStore,
    TinyCodeAgent,
    Tool,
    User,
    ask_before,
    resume_all,
)
from tinyagent.agents.agent import Agent
from tinyagent.agents.recovery import recorded_runs
from tinyagent.errors import ConfigurationError, RunBusyError, SessionBusyError
from tinyagent.messages import Assistant, Message, ToolReply
from tinyagent.models.base import ModelRequest, Sink
from tinyagent.policies import Decision, Pending
from tinyagent.stores import Conversations

#: Runs of each kind, 20 agents at once; runs of each session, one after another.
PLAIN, TEAMS, CAREFUL, CODERS, SESSIONS, LEFT = 4, 4, 2, 4, 4, 2
TURNS = 3
#: When a process is killed: after so many bytes of what models and tools were asked, however busy the machine is; or,
#: this share of them, after so many seconds, so that some die while they take up what is left.
BYTES, TIMED, SECONDS = (1, 4_000), 0.2, (0.3, 3.0)
#: Seconds in which a round must be done, however often it is killed.
PATIENCE = 300
FAULTS = (
    "answered calls made again",
    "calls of once made twice",
    "answered replies asked again",
    "wrong outputs",
    "invalid histories",
    "errors",
)


# ---- what is done


class Witness:
    """Writes down what models and tools are asked, and whether the store had the answer already."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "seen", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._store = f"file:{folder / 'store.db'}?mode=ro"
        self._reader: sqlite3.Connection | None = None

    def say(self, kind: str, what: str) -> None:
        """Write one line, whole."""
        os.write(self._file, f"{json.dumps([kind, what])}\n".encode())

    def asked(self, kind: str, key: str) -> None:
        """Write down a call or a request, by its key."""
        self._reader = self._reader or sqlite3.connect(self._store, uri=True)
        found = self._reader.execute("SELECT 1 FROM records WHERE key = ?", (key,)).fetchone()
        self.say(f"{kind} answered" if found else kind, key)


def model(witness: Witness, reply: Callable[[ModelRequest], Reply]) -> Model:
    """Return a model that checks the history, takes its time, and shows each call before its reply is whole."""

    async def scripted(request: ModelRequest, sink: Sink) -> Reply:
        witness.asked("reply", request.key)
        if wrong := wrong_in(request.messages):
            witness.say("invalid", f"{request.key}: {wrong}")
        await asyncio.sleep(random.random() * 0.02)
        said = reply(request)
        for call in said.calls:
            sink.call(call)
            await asyncio.sleep(random.random() * 0.01)
        return said

    return scripted


def calls_and_answer(name: str, stages: list[list[Call]]) -> Callable[[ModelRequest], Reply]:
    """Return what writes the calls of the first stage that has open ones, and at last what all of them gave.

    What had begun when a process died is its whole reply, so the rest of the stage is asked for again.
    """
    mine = {call.id for stage in stages for call in stage}

    def reply(request: ModelRequest) -> Reply:
        told = {each.call_id: each.text for each in request.messages if isinstance(each, ToolReply)}
        missing = ([call for call in stage if call.id not in told] for stage in stages)
        if calls := next(filter(None, missing), []):
            return Reply(calls=tuple(calls), finish_reason="tool_calls")
        return Reply(f"{name}: {', '.join(told[call] for call in sorted(mine))}")

    return reply


def turn_by_turn(request: ModelRequest) -> Reply:
    """Answer the last task of a session, and say which tasks came before it."""
    tasks = [each.text for each in request.messages if isinstance(each, User)]
    stages = [[Call("pay", {"amount": amount}, f"{tasks[-1]}{amount}") for amount in pair] for pair in ((1, 2), (3, 4))]
    return calls_and_answer(f"{tasks[-1]} after {tasks[:-1]}", stages)(request)


CODE = (
    "first = await asyncio.gather(*[pay(number) for number in range(4)])\nprint(first)",
    "second = await asyncio.gather(pay(10), asks(task='Pay.'), pay(11))\nprint(second)",
    "final_answer([*first, *second])",
)


def block_by_block(request: ModelRequest) -> Reply:
    """Write one block after another."""
    done = sum(isinstance(each, Assistant) for each in request.messages)
    return Reply(f"```python\n{CODE[done]}\n```")


def made(witness: Witness) -> dict[str, Agent[Any, Any]]:
    """Return the agents, by name."""

    async def pay(amount: int, context: Context[Any]) -> str:
        """Pay."""
        witness.asked("call", context.key)
        await asyncio.sleep(random.random() * 0.03)
        return f"paid {amount}"

    async def send(amount: int, context: Context[Any]) -> str:
        """Send."""
        witness.say("once", context.key)
        return await pay(amount, context)

    def stages(name: str, *amounts: tuple[int, ...]) -> list[list[Call]]:
        return [[Call("pay", {"amount": amount}, f"{name}{amount}") for amount in stage] for stage in amounts]

    def inner(name: str) -> ReactAgent:
        said = calls_and_answer(name, stages(name, (1, 2), (3,)))
        return ReactAgent([pay], model=model(witness, said), name=name, description="Pays.")

    work = [
        [*stages("t", (1,))[0], Call("left", {"task": "Pay."}, "t2"), Call("right", {"task": "Pay."}, "t3")],
        [Call("left", {"task": "Pay."}, "t4"), *stages("t", (5,))[0]],
    ]
    asks = [
        [*stages("c", (1, 2))[0], Call("send", {"amount": 3}, "c3")],
        [Call("left", {"task": "Pay."}, "c4"), Call("send", {"amount": 5}, "c5")],
    ]
    plain = calls_and_answer("plain", stages("p", (1, 2, 3), (4,), (5, 6)))
    agents: list[Agent[Any, Any]] = [
        ReactAgent([pay], model=model(witness, plain), name="plain"),
        ReactAgent(
            [pay, inner("left"), inner("right")], model=model(witness, calls_and_answer("team", work)), name="team"
        ),
        ReactAgent(
            [pay, Tool(send, once=True), inner("left")],
            model=model(witness, calls_and_answer("careful", asks)),
            policy=ask_before("pay", "left"),
            name="careful",
        ),
        TinyCodeAgent([pay, inner("asks")], model=model(witness, block_by_block), name="coder"),
        ReactAgent([pay], model=model(witness, turn_by_turn), name="chat"),
    ]
    return {agent.name: agent for agent in agents}


INNER = {name: f"{name}: paid 1, paid 2, paid 3" for name in ("left", "right", "asks")}
OUTPUTS: dict[str, Any] = {
    "plain": "plain: paid 1, paid 2, paid 3, paid 4, paid 5, paid 6",
    "team": f"team: paid 1, {INNER['left']}, {INNER['right']}, {INNER['left']}, paid 5",
    "careful": f"careful: paid 1, paid 2, paid 3, {INNER['left']}, paid 5",
    "coder": [*(f"paid {number}" for number in range(4)), "paid 10", INNER["asks"], "paid 11"],
}


def said(turn: int) -> str:
    """Return what is said at a turn of a session."""
    return f"turn{turn} after {[f'turn{each}' for each in range(turn)]}: paid 1, paid 2, paid 3, paid 4"


# ---- one process


JOBS = [
    (kind, f"{kind}{number}")
    for kind, many in (("plain", PLAIN), ("team", TEAMS), ("careful", CAREFUL), ("coder", CODERS))
    for number in range(many)
]


def decided(pending: Pending) -> Decision:
    """Allow a call; say what one has given that was in flight at a kill."""
    return Allow() if pending.wants == "decision" else Return(f"paid {pending.arguments['amount']}")


class Worker:
    """Takes up what nobody works on, and begins what has not begun, until all is done."""

    def __init__(self, folder: Path, life: str) -> None:
        self._life = life
        self._store, self._witness = SQLiteStore(folder / "store.db"), Witness(folder)
        self._agents = made(self._witness)

    async def work(self) -> None:
        """Work until all is done; half of the processes take up each run by its name, the others whatever there is."""
        last = [name for _, name in JOBS] + [f"s{number}-{TURNS - 1}" for number in range(SESSIONS)]
        by_name = random.random() < 0.5
        while True:
            known = {run.run_id for run in await recorded_runs(self._store)}
            work = [self._run(kind, name) for kind, name in JOBS if by_name or name not in known]
            work += [self._session(number) for number in range(SESSIONS)]
            for number in range(LEFT):
                work.append(self._run("chat", f"l{number}-{self._life}", f"life{self._life}", session=f"l{number}"))
            await asyncio.gather(*work, *([] if by_name else [self._take_up()]))
            if all([await self._ended(name) for name in last]):
                return
            by_name = not by_name

    async def _run(self, agent: str, run_id: str, task: str = "Go.", **options: Any) -> None:
        try:
            async with self._agents[agent].stream(task, run_id=run_id, store=self._store, **options) as run:
                result = await run.drain()
            while result.pending:
                decisions = {each.id: decided(each) for each in result.pending[:2]}
                result = await self._agents[agent].resume(run_id, decisions, store=self._store)
        except (RunBusyError, SessionBusyError):
            await asyncio.sleep(0.05)
        except (RunError, ConfigurationError) as error:
            self._tell(error)

    async def _session(self, number: int) -> None:
        for turn in range(TURNS):
            name = f"s{number}-{turn}"
            await self._run("chat", name, f"turn{turn}", session=f"s{number}")
            if not await self._ended(name):
                return  # another process is at work on it

    async def _take_up(self) -> None:
        for item in await resume_all(self._store, self._agents):
            if item.error is not None:
                self._tell(item.error)

    async def _ended(self, name: str) -> bool:
        return f"{name}/end" in await self._store.load(name)

    def _tell(self, error: Exception) -> None:
        """Write down an error, but for that of a run whose session has gone on meanwhile."""
        if not isinstance(error, SessionBusyError) and "has gone on without" not in str(error):
            self._witness.say("error", f"{type(error).__name__}: {error}")


async def check(folder: Path) -> None:
    """Look at the answers and the sessions of a round that is done."""
    store, witness = SQLiteStore(folder / "store.db"), Witness(folder)
    agents = made(witness)
    for run in await recorded_runs(store):
        if run.state == "success":
            result = await agents[run.agent].resume(run.run_id, store=store)
            kind, _, turn = run.run_id.partition("-")
            if kind[0] == "l":
                continue
            if result.output != (said(int(turn)) if turn else OUTPUTS[run.agent]):
                witness.say("wrong", f"{run.run_id}: {result.output}")
    conversations = Conversations(store)
    for session in await conversations.list():
        messages = await conversations.messages(session)
        wrong = wrong_in(messages)
        if session[0] == "s":
            answers = [each.text for each in messages if isinstance(each, Assistant) and not each.calls]
            texts = [each.text for each in messages if isinstance(each, ToolReply)]
            paid = ["paid 1", "paid 2", "paid 3", "paid 4"] * TURNS
            if answers != [said(turn) for turn in range(TURNS)] or texts != paid:
                wrong = wrong or f"it says {messages}"
        if wrong:
            witness.say("invalid", f"session {session}: {wrong}")


def wrong_in(messages: Iterable[Message]) -> str:
    """Return what is wrong with a history, in words: each call is answered once, at once, and nothing else is."""
    left: set[str] = set()
    for message in messages:
        if isinstance(message, ToolReply):
            if message.call_id not in left:
                return f"{message.call_id} is answered, and was not called"
            left.discard(message.call_id)
        elif left:
            return f"{sorted(left)} are not answered before {message}"
        elif isinstance(message, Assistant):
            left = {call.id for call in message.calls}
            if len(left) < len(message.calls):
                return f"two calls have one id in {message}"
    return f"{sorted(left)} are never answered" if left else ""


# ---- the killing


def begun(folder: Path, *args: str) -> subprocess.Popen[bytes]:
    """Start a process of this script."""
    return subprocess.Popen([sys.executable, __file__, *args, "--folder", str(folder)])


def one_round(folder: Path, processes: int, kills: int) -> int:
    """Work on one store until all is done; return how many processes were killed."""
    killed, count, until = 0, 0, time.monotonic() + PATIENCE
    places: list[tuple[subprocess.Popen[bytes], Callable[[], bool]] | None] = [None] * processes
    done = False
    while not done or any(places):
        if time.monotonic() > until:
            raise TimeoutError(f"A round is not done after {PATIENCE} s.")
        for place, living in enumerate(places):
            if living is None:
                if not done:
                    places[place] = begun(folder, "--life", str(count := count + 1)), moment(folder)
                continue
            process, is_time = living
            if process.poll() is not None:
                if process.returncode not in (0, -signal.SIGKILL):
                    raise RuntimeError(f"A process ended with {process.returncode}.")
                killed += process.returncode != 0
                done = done or process.returncode == 0
                places[place] = None
            elif killed < kills and is_time():
                process.kill()
                process.wait()
        time.sleep(0.001)
    if begun(folder, "--check").wait(PATIENCE) != 0:
        raise RuntimeError("What is left could not be read.")
    return killed


def moment(folder: Path) -> Callable[[], bool]:
    """Return what tells when to kill the next process: after so many new lines in the witness's file, or bare time."""
    file = folder / "seen"
    if random.random() < TIMED:
        at = time.monotonic() + random.uniform(*SECONDS)
        return lambda: time.monotonic() > at
    size = (file.stat().st_size if file.exists() else 0) + random.randrange(*BYTES)
    return lambda: file.exists() and file.stat().st_size >= size


def rounds(processes: int, kills: int) -> Iterator[tuple[int, list[list[str]]]]:
    """Yield how many kills each round took, and what its witnesses saw."""
    while kills > 0:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            folder = Path(name)
            killed = one_round(folder, processes, kills)
            kills -= killed
            yield killed, [json.loads(line) for line in (folder / "seen").read_text().splitlines()]


def main() -> int:
    """Kill as often as was asked for, print the table, and return 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="how many processes are killed, half of them of four")
    parser.add_argument("--seed", type=int, help="of the moments of the kills")
    for internal in ("--folder", "--life"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        asyncio.run(check(Path(args.folder)) if args.check else Worker(Path(args.folder), args.life).work())
        return 0
    random.seed(args.seed)
    faults = 0
    print(f"{'':30}{'one process':>15}{'four':>15}", flush=True)
    columns: list[Counter[str]] = []
    for processes in (1, 4):
        column: Counter[str] = Counter()
        for killed, seen in rounds(processes, args.kills // 2):
            column += counted(killed, seen)
        columns.append(column)
    names = ("rounds", "kills", "calls", "calls in flight at a kill", "replies", "replies in flight at a kill", *FAULTS)
    for name in names:
        print(f"{name:30}" + "".join(f"{column[name]:15,}" for column in columns))
    faults = sum(column[name] for column in columns for name in FAULTS)
    return int(faults > 0)


def counted(killed: int, seen: list[list[str]]) -> Counter[str]:
    """Return the figures of one round; print what is a fault."""
    column = Counter({"rounds": 1, "kills": killed})
    kinds = {"call answered": FAULTS[0], "reply answered": FAULTS[2], "wrong": FAULTS[3], "invalid": FAULTS[4]}
    keys: set[tuple[str, str]] = set()
    for kind, what in seen:
        if kind == "once":
            column[FAULTS[1]] += (kind, what) in keys
            keys.add((kind, what))
            continue
        plural = {"call": "calls", "reply": "replies"}.get(kind)
        if plural is None:
            column[kinds.get(kind, FAULTS[5])] += 1
            print(f"{kind}: {what}", file=sys.stderr)
            continue
        column[plural] += 1
        column[f"{plural} in flight at a kill"] += (kind, what) in keys
        keys.add((kind, what))
    return column


if __name__ == "__main__":
    sys.exit(main())
