"""Measure `ProcessSandbox` beside in-process `exec`, Monty and smolagents' interpreter.

    python benchmarks/sandbox.py [--rounds 5] [--only start,block,...] [--out results.json]
                                 [--python smolagents=PATH]

Every measurement runs in a fresh process (`sandbox_peers.py`); executors take turns within each round. Prints a table
with medians and 95th percentiles over all rounds, beside the limits that tinyagent must hold. Peers that are not
importable are skipped; `--python` measures one with the interpreter of another virtual environment.
"""
from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from sandbox_peers import EXECUTORS, KERNELS  # noqa: E402

TITLES = {"tinyagent": "ProcessSandbox", "exec": "exec", "monty": "Monty", "smolagents": "smolagents"}
ALL = tuple(EXECUTORS)
OURS = ("tinyagent",)
#: Seconds for one snippet.
PATIENCE = 10


class Metric(NamedTuple):
    """What `sandbox_peers.py` is told: options, executors, rounds at most, seconds."""

    options: dict
    executors: tuple[str, ...] = ALL
    rounds: int = 100
    seconds: int = 120


METRICS = {
    "floor": Metric({"times": 500}, ("exec",)),
    "start": Metric({"cold": 15, "warm": 20}),
    "block": Metric({"times": 300}),
    "calls": Metric({"times": 20}),
    "memory": Metric({"sessions": 8}, ("tinyagent", "monty")),
    "live": Metric({"sessions": 200}),
    "spinning": Metric({"sessions": 200, "seconds": 10}, OURS),
    "cpu": Metric({"times": 3}),
    "tools": Metric({}),
    "agents": Metric({"agents": 500}, OURS),
    "snippets": Metric({"seconds": PATIENCE}, rounds=1, seconds=1800),
    "hostile": Metric({}, OURS, rounds=1, seconds=900),
}


class Row(NamedTuple):
    """One line of the table: what, in which unit, from which samples; the limit, and where it is held to.

    Attributes:
        of: What is compared with the limit: all samples, in one number.
        spread: Whether the 95th percentile is shown.
    """

    metric: str
    key: str
    text: str
    unit: str
    limit: float | None = None
    of: Callable[[list[float]], float] = statistics.median
    spread: bool = True


ROWS = [
    Row("start", "boot", "zygote or pool start, once", "ms", spread=False),
    Row("start", "cold", "session start to first result, cold", "ms", 6),
    Row("start", "warm", "the same from a spare or warm worker", "ms", 1.5),
    Row("start", "close", "session close", "ms"),
    Row("block", "block", "tiny block `1+1`", "ms", 0.3),
    Row("calls", "sync", "tool call: sync, plain", "ms", 0.3),
    Row("calls", "async", "tool call: async, awaited", "ms", 0.3),
    Row("calls", "called", "tool call: async, just called", "ms", 0.3),
    Row("calls", "gather", "tool call: one of 50 gathered", "ms", 0.3),
    Row("memory", "private", "private memory a session", "MB", 5),
    Row("live", "live", "200 sessions live at once", "s", 1.5, spread=False),
    Row("live", "live_pss", "their memory, zygote included (PSS)", "MB", 1024, spread=False),
    Row("live", "live_lag", "event loop lag meanwhile, greatest", "ms", 250, max, spread=False),
    Row("live", "live_close", "closing them", "s", spread=False),
    Row("spinning", "spin_lag", "200 endless sessions and the host in one cpu group: event loop lag, greatest", "ms", 250, max, spread=False),
    Row("spinning", "spin_small", "a small block with a tool call beside them", "ms"),
    Row("spinning", "spin_killed", "of which killed or answered wrong", "", 0, max, spread=False),
    Row("ratios", "all", "pure CPU code, times plain `python`, mean of kernels", "x", 1.1, spread=False),
    Row("ratios", "worst", "the same, worst kernel", "x", 1.1, spread=False),
    Row("tools", "gathered", "ten async tools of 0.2 s, gathered", "s", 0.23, spread=False),
    Row("tools", "in_turn", "ten tools of 0.2 s, one after the other", "s", spread=False),
    Row("agents", "agents", "500 code agents at once", "s", spread=False),
    Row("agents", "agents_failed", "of which failed or answered wrong", "", 0, max, spread=False),
    Row("agents", "agents_cpu", "their CPU time in the host", "s", spread=False),
    Row("agents", "agents_sandbox_cpu", "and in the sandbox processes", "s", spread=False),
    Row("agents", "agents_lag", "event loop lag meanwhile, greatest", "ms", 250, max, spread=False),
    Row("snippets", "right", "everyday snippets that give what plain `python` gives", "", spread=False),
    Row("hostile", "hostile_attempts", "adversarial suite: attempts", "", spread=False),
    Row("hostile", "hostile_violations", "adversarial suite: anything got out", "", 0, max, spread=False),
    Row("hostile", "hostile_lag", "event loop lag meanwhile, greatest", "ms", 250, max, spread=False),
    Row("hostile", "hostile_busy", "of which the host's own work, greatest", "ms", 250, max, spread=False),
]

PLAIN = """
import json, sys, time
told = {}
for name, code, times in json.load(sys.stdin):
    told[name] = []
    for _ in range(times):
        names = {"__name__": "__main__"}
        began = time.perf_counter()
        exec(compile(code, "<code>", "exec"), names)
        told[name].append((time.perf_counter() - began) * 1e3)
json.dump(told, sys.stdout)
"""


class Samples:
    """All results of all rounds: `rounds[metric][executor]` is a list of what the measurements told."""

    def __init__(self) -> None:
        self.rounds: dict[str, dict[str, list[dict]]] = {}
        self.plain: list[dict[str, list[float]]] = []
        self.expected: list[list[dict]] = []

    def add(self, metric: str, executor: str, told: dict) -> None:
        self.rounds.setdefault(metric, {}).setdefault(executor, []).append(told)

    def of(self, metric: str, executor: str, key: str) -> list[float]:
        return [value for told in self.rounds.get(metric, {}).get(executor, []) for value in told.get(key, ())]

    def errors(self) -> list[str]:
        return sorted(
            {
                f"{metric}, {executor}: {error}"
                for metric, each in self.rounds.items()
                for executor, results in each.items()
                for told in results
                for error in [*([told["error"]] if "error" in told else []), *told.get("errors", [])]
            }
        )


# ---------------------------------------------------------------- measuring
def measure(python: str, executor: str, metric: str, options: dict, seconds: float) -> dict:
    """One measurement in a fresh process."""
    job = json.dumps({"executor": executor, "metric": metric, "options": options})
    try:
        ran = subprocess.run(
            [python, str(HERE / "sandbox_peers.py")], input=job, capture_output=True, text=True, timeout=seconds,
            cwd=HERE.parent, env=os.environ | {"PYTHONHASHSEED": "0"}, check=False,
        )
        return json.loads(ran.stdout)
    except subprocess.TimeoutExpired:
        return {"error": f"ran past {seconds} s"}
    except ValueError:
        return {"error": (ran.stderr.strip().splitlines() or [f"ended with {ran.returncode}"])[-1][:300]}


def plain_kernels(times: int) -> dict[str, list[float]]:
    """The kernels in plain Python, of both sizes."""
    jobs = [
        (f"{name}/{size}", code.format(n=n), times)
        for name, (code, full, small) in KERNELS.items()
        for size, n in (("full", full), ("small", small))
    ]
    ran = subprocess.run(
        [sys.executable, "-c", PLAIN], input=json.dumps(jobs), capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    return json.loads(ran.stdout)


def ratios(samples: Samples, executor: str) -> dict[str, float]:
    """Each kernel's best time, over that of plain Python."""
    size = "small" if EXECUTORS[executor].small else "full"
    found = {}
    for kernel in KERNELS:
        if mine := samples.of("cpu", executor, kernel):
            found[kernel] = min(mine) / min(time for told in samples.plain for time in told[f"{kernel}/{size}"])
    return found


def load_snippets() -> list:
    try:
        from tests.sandbox.snippets import SNIPPETS
    except ImportError as error:
        print(f"skipped: snippets ({error})")
        return []
    return SNIPPETS


def plain_outcomes(snippets: list) -> list[list[dict]]:
    """What plain Python gives for them."""
    program = HERE.parent / "tests/sandbox/plain_python.py"
    ran = subprocess.run(
        [sys.executable, "-P", "-s", "-B", "-u", "-X", "utf8", str(program)], capture_output=True, text=True,
        input=json.dumps([snippet.blocks for snippet in snippets]), env={"PYTHONHASHSEED": "0"}, check=True,
    )
    return json.loads(ran.stdout)


def same(told: list[dict] | None, wanted: list[dict]) -> bool:
    """Output, type of the exception (or its name in the executor's own) and, where plain Python has one, value."""
    return told is not None and all(
        plainly(mine["stdout"]) == plainly(plain["stdout"])
        and (mine["type"] == plain["type"] or (plain["type"] and plain["type"] in (mine.get("said") or "")))
        and (plain["repr"] is None or plainly(mine["repr"]) == plainly(plain["repr"]))
        for mine, plain in zip(told, wanted, strict=True)
    )


def plainly(text: str | None) -> str | None:
    """Without addresses, and without how deep the stack was when it was full."""
    return text and re.sub(r"(?<=\bat )0x[0-9a-f]+|(?<= id=')\d+|(?<=line repeated )\d+", "_", text)


def run(metrics: list[str], executors: dict[str, str], rounds: int) -> Samples:
    """Measure everything, executors in turn.

    Args:
        metrics: Names of METRICS.
        executors: Their interpreters.
        rounds: How often.
    """
    samples = Samples()
    snippets = load_snippets() if "snippets" in metrics else []
    if snippets:
        samples.expected = plain_outcomes(snippets)
    for number in range(1, rounds + 1):
        for name in metrics:
            metric, options = METRICS[name], dict(METRICS[name].options)
            if number > metric.rounds or (name == "snippets" and not snippets):
                continue
            if name == "snippets":
                options["snippets"] = [snippet.blocks for snippet in snippets]
            if name == "cpu":
                samples.plain.append(plain_kernels(options["times"]))
            for executor in metric.executors:
                if executor not in executors:
                    continue
                began = time.monotonic()
                told = measure(executors[executor], executor, name, options, metric.seconds)
                if name == "snippets" and "outcomes" in told:
                    told = verdicts(snippets, told["outcomes"], samples.expected)
                samples.add(name, executor, told)
                took = f"{time.monotonic() - began:.1f} s"
                print(f"round {number} {name} {executor}: {told.get('error', took)}", file=sys.stderr, flush=True)
    return samples


def verdicts(snippets: list, outcomes: list, expected: list) -> dict:
    """How many snippets were wrong, and which."""
    wrong = [
        snippet.name
        for snippet, told, wanted in zip(snippets, outcomes, expected, strict=True)
        if not same(told, wanted)
    ]
    return {"wrong": [len(wrong)], "right": [len(snippets) - len(wrong)], "names": wrong}


# ---------------------------------------------------------------- the report
def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def percentile_95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def summary(samples: Samples, executors: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Median, 95th percentile, extremes and count, by key and executor."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in ROWS:
        for executor in executors:
            if row.metric == "ratios":
                each = list(ratios(samples, executor).values())
                values = each and [max(each) if row.key == "worst" else statistics.geometric_mean(each)]
            else:
                values = samples.of(row.metric, executor, row.key)
            if values:
                found.setdefault(row.key, {})[executor] = {
                    "median": statistics.median(values),
                    "p95": percentile_95(values),
                    "min": min(values),
                    "max": max(values),
                    "count": len(values),
                    "shown": row.of(values),
                }
    return found


def main_table(found: dict, executors: list[str]) -> tuple[str, list[str]]:
    """The table, and what missed its limit."""
    rows, missed = [], []
    for row in ROWS:
        if row.key not in found:
            continue
        cells = []
        for executor in executors:
            if executor not in found[row.key]:
                cells.append("–")
                continue
            told = found[row.key][executor]
            cells.append(number(told["shown"]) + (f" ({number(told['p95'])})" if row.spread else ""))
        limit = verdict = ""
        if row.limit is not None:
            limit = f"{'≤ ' if row.limit in (0, 1.1) else '< '}{number(row.limit)}"
            if ours := found[row.key].get("tinyagent"):
                held = ours["shown"] <= row.limit if row.limit in (0, 1.1) else ours["shown"] < row.limit
                verdict = "yes" if held else "**no**"
                missed += [] if held else [f"{row.text}: {number(ours['shown'])} {row.unit}, limit {number(row.limit)}"]
        rows.append([f"{row.text}{f', {row.unit}' if row.unit else ''}", limit, verdict, *cells])
    return table(["measure", "limit", "held", *(TITLES[name] for name in executors)], rows), missed


def cpu_table(samples: Samples, executors: list[str]) -> str:
    """The kernels one by one."""
    columns = {executor: found for executor in executors if (found := ratios(samples, executor))}
    rows = []
    for kernel in KERNELS:
        best = min(time for told in samples.plain for time in told[f"{kernel}/full"])
        rows.append([kernel, number(best), *(number(found[kernel]) for found in columns.values())])
    return table(["kernel", "plain `python`, ms", *(f"{TITLES[name]}, x" for name in columns)], rows)


def busy_seconds() -> float:
    """CPU seconds that the whole machine has been busy."""
    with open("/proc/stat") as stat:
        spent = [int(part) for part in stat.readline().split()[1:9]]
    return (sum(spent) - spent[3] - spent[4]) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, object]:
    with open("/proc/cpuinfo") as info:
        model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "")
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "uid": os.getuid(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def header(about: dict, versions: dict[str, str], rounds: int, floor: list[float]) -> str:
    wakes = f" A byte to another process and back takes {number(statistics.median(floor))} ms here." if floor else ""
    told = ", ".join(f"{TITLES[name]} {version}".strip() for name, version in versions.items())
    return (
        f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, Linux {about['kernel']}, user "
        f"{about['uid']}, {about['date']}; other programs used {about['background']:.0%} of the machine.{wakes}\n\n"
        f"{told}. Medians of {rounds} round{'s' * (rounds != 1)}, in brackets the 95th percentile; pure CPU code: the "
        "best of all rounds. `–`: has none. ProcessSandbox's ten tools are called by a block of a TinyCodeAgent.\n"
    )


def available(pythons: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Interpreters and versions of the executors that can be measured here; says which cannot."""
    from tinyagent.sandbox.process import ProcessSandbox

    reasons = {"tinyagent": ProcessSandbox.reason_against()}
    found, versions = {}, {}
    for name in EXECUTORS:
        python = pythons.get(name, sys.executable)
        told = {"error": reasons[name]} if reasons.get(name) else measure(python, name, "about", {}, 60)
        if "error" in told:
            print(f"skipped: {TITLES[name]} ({told['error']})")
        else:
            found[name], versions[name] = python, told["version"]
    return found, versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help=f"of: {', '.join(METRICS)}")
    parser.add_argument("--out", help="write all samples and the summary as JSON")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="an executor's interpreter")
    options = parser.parse_args()
    metrics = options.only.split(",") if options.only else list(METRICS)
    if unknown := set(metrics) - set(METRICS):
        parser.error(f"--only {','.join(unknown)}: choose from {', '.join(METRICS)}")
    pythons = dict(choice.split("=", 1) for choice in options.python)
    if "hostile" in metrics and not (HERE.parent / "tests/sandbox/hostile_runner.py").exists():
        print("skipped: hostile (tests/sandbox/hostile_runner.py is not there)")
        metrics.remove("hostile")
    executors, versions = available(pythons)
    busy, own, began = busy_seconds(), sum(os.times()[:4]), time.monotonic()
    samples = run(metrics, executors, options.rounds)
    others = busy_seconds() - busy - (sum(os.times()[:4]) - own)
    about = machine() | {"background": max(0.0, others / (time.monotonic() - began) / os.cpu_count())}
    found = summary(samples, list(executors))
    shown, missed = main_table(found, list(executors))
    print(header(about, versions, options.rounds, samples.of("floor", "exec", "floor")))
    print(shown)
    if samples.plain:
        print("\n" + cpu_table(samples, list(executors)))
    if samples.expected:
        differing = samples.rounds["snippets"].get("tinyagent", [{}])[0].get("names", [])
        print(f"\nOf {len(samples.expected)} snippets ProcessSandbox differs in: {', '.join(differing) or 'none'}")
    for line in [*samples.errors(), *(f"missed: {line}" for line in missed)]:
        print(f"\n{line}")
    if options.out:
        told = {"machine": about, "versions": versions, "summary": found, "samples": samples.rounds}
        told |= {"plain_python": samples.plain, "missed": missed}
        Path(options.out).write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
