"""What a journal costs: CPU of a turn without a store, with one, and replayed; and its bytes.

    python benchmarks/journal.py [--turns 100] [--repeat 5]

A turn is one reply with one call of an async tool, of a model that answers at once: all that is measured is the run. CPU
is that of the whole process, the store's thread included, and the least of all repetitions. Bytes are those of keys and
texts, without what the model wrote and the tools gave.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from pathlib import Path

from tinyagent import Call, Limits, MemoryStore, ReactAgent, Reply
from tinyagent.messages import Assistant
from tinyagent.stores import SQLiteStore

TEXT = "Now I look at what is there, and then go on with the next one."
VALUE = "x" * 300


async def look(at: int) -> str:
    """Look at a place."""
    return VALUE


def agent(turns: int) -> ReactAgent:
    place = 0

    async def model(request, sink):
        nonlocal place
        place += 1
        if place > turns:
            return Reply("done")
        return Reply(TEXT, (Call("look", {"at": place}, f"call_{place:024}"),), finish_reason="tool_calls")

    return ReactAgent([look], model=model, limits=Limits(steps=turns + 1))


async def cpu(work) -> float:
    gc.collect()
    gc.disable()
    began = time.process_time()
    await work
    spent = time.process_time() - began
    gc.enable()
    return spent


def stores(folder: Path):
    yield "without a store", lambda: None, {}
    yield "MemoryStore", MemoryStore, {}
    yield "MemoryStore, a session", MemoryStore, {"session": "s"}
    number = iter(range(10**6))
    yield "SQLiteStore", lambda: SQLiteStore(folder / f"{next(number)}.db"), {}


async def measured(turns: int, repeat: int) -> None:
    marks = sorted({max(turns // 10, 1), max(turns // 2, 2), turns})
    head("us of CPU a turn", marks)
    with tempfile.TemporaryDirectory() as folder:
        for name, make, options in stores(Path(folder)):
            fresh, replayed = [], []
            for mark in marks:
                live, again = [], []
                for _ in range(repeat):
                    store = make()
                    given = options if store is None else {**options, "store": store, "run_id": "r"}
                    live.append(await cpu(agent(mark).run("Go.", **given)))
                    if store is not None:
                        again.append(await cpu(agent(0).resume("r", store=store, limits=Limits(steps=mark + 1))))
                fresh.append(min(live))
                replayed.append(min(again, default=0))
            row(name, fresh, marks)
            if any(replayed):
                row(f"{name}, replayed", replayed, marks)
    head("\nbytes of journal a turn", marks)
    for name, options in (("a run", {}), ("a run of a session", {"session": "s"})):
        sizes = [await size(mark, options) for mark in marks]
        row(name, sizes, marks, 1)


async def size(turns: int, options) -> float:
    store = MemoryStore()
    result = await agent(turns).run("Go.", store=store, run_id="3f2b8c0d9e1a4b5f8c7d6e5f4a3b2c1d", **options)
    names = await store.runs()
    records = [await store.load(name) for name in names]
    whole = sum(len(key) + len(text) for each in records for key, text in each.items())
    said = sum(len(each.text) for each in result.messages)
    calls = [call for each in result.messages if isinstance(each, Assistant) for call in each.calls]
    return whole - said - sum(len(call.raw) + len(call.id) + len(call.name) for call in calls)


def head(name: str, marks) -> None:
    print(f"{name:40}" + "".join(f"{f'{mark} turns':>12}" for mark in marks) + f"{'the last half':>16}")


def row(name: str, figures, marks, factor: float = 1e6) -> None:
    late = (figures[-1] - figures[-2]) / (marks[-1] - marks[-2])
    each = "".join(f"{factor * figure / mark:12,.0f}" for figure, mark in zip(figures, marks, strict=True))
    print(f"{name:40}{each}{factor * late:16,.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    asyncio.run(measured(args.turns, args.repeat))
