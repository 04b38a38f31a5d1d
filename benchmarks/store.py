"""Measure the stores: what a record costs, for one writer and for many at once, and what loading a run costs.

    python benchmarks/store.py [--rounds 100] [--bytes 300] [--folder DIR]

Each writer waits for its record before it writes the next. Prints microseconds a record (a turn, for loading): the
median and the least of all rounds, which take turns, and the CPU of the whole process. On a machine that others use too,
the least and the CPU tell more than the median. The limits: 300 us for one writer, 50 us for 100, with `safe=False`.
"""
from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tinyagent import MemoryStore, SQLiteStore  # noqa: E402
from tinyagent.core.shared import holding  # noqa: E402

AT_ONCE = (1, 10, 100)
#: Records that each writer writes in a round, one after the other.
RECORDS = 10
TURNS = 100
LIMITS = {("SQLiteStore", 1): 300, ("SQLiteStore", 100): 50}


async def measure(stores, rounds, text):
    """Return (wall, CPU) samples in microseconds, by store and by how many wrote at once, or "load"."""
    samples = {(name, what): [] for name in stores for what in (*AT_ONCE, "load")}

    async def write(store, run, number):
        for place in range(RECORDS):
            assert await store.put(run, f"{run}/{number}/{place}/model", text)

    async def timed(name, what, parts, *works):
        wall, cpu = time.perf_counter(), time.process_time()
        done = await asyncio.gather(*works)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        samples[name, what].append((wall / parts * 1e6, cpu / parts * 1e6))
        return done

    async with holding():  # as within a run: the file stays open
        for store in stores.values():
            for turn in range(TURNS):  # a reply and the answer of a tool each turn
                await store.put("old", f"old/{turn}/model", text)
                await store.put("old", f"old/{turn}/tool/call_{turn}", text)
        for number in range(rounds):
            for name, store in stores.items():
                for at_once in AT_ONCE:
                    writers = [write(store, f"{at_once}-{writer}", number) for writer in range(at_once)]
                    await timed(name, at_once, at_once * RECORDS, *writers)
                (loaded,) = await timed(name, "load", TURNS, store.load("old"))
                assert len(loaded) == 2 * TURNS
    return samples


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=100)
    options.add_argument("--bytes", type=int, default=300)
    options.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    options = options.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        stores = {
            "MemoryStore": MemoryStore(),
            "SQLiteStore": SQLiteStore(Path(folder, "fast.db")),
            "SQLiteStore, safe=True": SQLiteStore(Path(folder, "safe.db"), safe=True),
        }
        samples = asyncio.run(measure(stores, options.rounds, "x" * options.bytes))
    print(f"records of {options.bytes} bytes, {options.rounds} rounds, microseconds\n")
    print("| store | | median | least | CPU | limit |\n|---|---|---|---|---|---|")
    for (name, what), taken in samples.items():
        told = f"load, a turn of {TURNS}" if what == "load" else f"a record, {what} writing"
        walls, cpus = zip(*taken)
        figures = f"{statistics.median(walls):,.0f} | {min(walls):,.0f} | {statistics.median(cpus):,.0f}"
        print(f"| {name} | {told} | {figures} | {LIMITS.get((name, what), '')} |")


if __name__ == "__main__":
    main()
