"""A block that was broken off and is run again, in this or in another process, with what is recorded of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.agents.disk_store import DiskStore
from tests.agents.kinds import block, needs_sandbox, no_session_left
from tinyagent import Tool, User
from tinyagent.agents import workspace
from tinyagent.agents.code import TinyCodeAgent
from tinyagent.core import waiting
from tinyagent.core.errors import ReplayError
from tinyagent.testing import ScriptedModel, call

pytestmark = needs_sandbox
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
async def _sessions_end():
    yield
    await no_session_left()


# ---- killed, and resumed in another process


CODE = """
import random
noise = random.random()
first = await fetch('a')
two = await asyncio.gather(fetch('b'), fetch(name='c'))
print(noise)
---
more = [await fetch('d'), random.random()]
final_answer([noise, first, two, more, random.random(), [random.choice('xyz') for _ in range(9)]])
"""


def program(folder, code, die_at=""):
    """The program's exit code and what it said."""
    command = [sys.executable, "-P", "-m", "tests.agents.disk_store", str(folder), code, die_at]
    done = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": "."}, capture_output=True, text=True, timeout=50, check=False
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def calls(folder):
    return (folder / "calls").read_text().split()


def wait_for_the_end_of(pids):
    deadline = time.monotonic() + 20
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, f"{left} outlived their host"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the program says when nothing kills it."""
    status, expected = program(tmp_path_factory.mktemp("whole"), CODE)
    assert status == 0, expected
    assert expected["output"][1:3] == ["A", ["B", "C"]]
    return expected


@pytest.mark.parametrize(
    ("die_at", "made"),
    [
        ("a", ["a", "b", "c", "model", "d"]),
        ("b", ["b", "model", "d"]),  # in the gather: what it gathered with is on the disk
        ("d", ["d"]),  # between two blocks' calls: the first block runs again as it did
    ],
)
def test_a_run_that_was_killed_is_resumed_in_another_process(die_at, made, whole, tmp_path):
    assert program(tmp_path, CODE, die_at) == (-signal.SIGKILL, "")
    wait_for_the_end_of(json.loads((tmp_path / "processes").read_text()))
    before = calls(tmp_path)
    assert before[-1] == die_at or (die_at == "b" and "c" in before)
    assert program(tmp_path, CODE) == (0, whole)
    again = calls(tmp_path)[len(before) :]
    assert sorted(again) == sorted(made)


def test_a_run_that_has_ended_is_answered_whole_by_its_store(tmp_path):
    _, first = program(tmp_path, CODE)
    before = calls(tmp_path)
    assert program(tmp_path, CODE) == (0, first)
    assert calls(tmp_path) == before


# ---- broken off, and resumed here


class Tools:
    """A tool that can be made to wait for good, and what it was called with."""

    def __init__(self):
        self.made = []
        self.stuck = set()
        self.reached = asyncio.Event()

    async def fetch(self, name: str) -> str:
        """Fetch something."""
        self.made.append(name)
        if name in self.stuck:
            self.reached.set()
            await asyncio.Event().wait()
        if name.startswith("bad"):
            raise FileNotFoundError(f"no {name}")
        return name.upper()


async def broken_off(tools, journal, replies, *, at, streamed=False, run_id="run-1"):
    """Run until the call `at` is under way, and leave."""
    tools.stuck, tools.reached = {at}, asyncio.Event()
    agent = TinyCodeAgent([tools.fetch], model=ScriptedModel(replies))
    async with asyncio.timeout(30):
        async with agent.stream("Go.", run_id=run_id, store=journal) as run:
            run.state.streamed = streamed
            await tools.reached.wait()
    tools.stuck = set()
    tools.made.clear()


async def resumed(tools, journal, replies, *, streamed=False, run_id="run-1"):
    """The result of the same run, gone on with."""
    agent = TinyCodeAgent([tools.fetch], model=ScriptedModel(replies))
    async with asyncio.timeout(30), agent.stream("Go.", run_id=run_id, store=journal) as run:
        run.state.streamed = streamed
        return await run.drain()


@pytest.fixture
def tools():
    return Tools()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(workspace, "REPLAY_PATIENCE", 0.3)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_recorded_calls_are_not_made_again_and_the_others_are(streamed, tools, path):
    code = block(
        "x = await fetch('a')\nys = await asyncio.gather(*[fetch(n) for n in 'bcd'])\nfinal_answer([x, ys])\n\n"
    )
    await broken_off(tools, DiskStore(path), [code], at="c", streamed=streamed)
    journal = DiskStore(path)
    result = await resumed(tools, journal, [], streamed=streamed)
    assert result.output == ["A", ["B", "C", "D"]]
    assert "c" in tools.made
    assert "a" not in tools.made
    assert len(journal.recorded("run-1/1/tool/")) == 5
    assert len(journal.recorded("run-1/1/code/")) == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("after", ["", "\n\n", "\n# that is it", "\n\n# that is it\n\n"], ids=repr)
async def test_blocks_that_had_ended_run_again_and_give_the_same(streamed, after, tools, path):
    replies = [
        f"{block('x = await fetch(1)' + after)}\n{block('y = 5; print(object(), {1, 2}, x)' + after)}",
        block("import random\nz = random.random()\nz" + after),
        block("final_answer([x, y, z, await fetch('last')])"),
    ]
    await broken_off(tools, DiskStore(path), replies, at="last", streamed=streamed)
    result = await resumed(tools, DiskStore(path), [], streamed=streamed)
    assert tools.made == ["last"]
    assert result.output[:2] == ["1", 5]
    assert result.output[2] == result.steps[1].executions[0].value


async def test_failures_that_are_recorded_are_failures_again(tools, path):
    code = "try:\n    await fetch('bad one')\nexcept FileNotFoundError as error:\n    said = str(error)\n"
    code = block(code + "final_answer([said, await fetch('last')])")
    await broken_off(tools, DiskStore(path), [code], at="last")
    result = await resumed(tools, DiskStore(path), [])
    assert (result.output, tools.made) == (["no bad one", "LAST"], ["last"])


async def test_a_tool_is_tried_again_also_where_failures_are_recorded(kind, path, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)
    tries = []

    async def flaky() -> str:
        """Fail twice."""
        tries.append(1)
        if len(tries) < 3:
            raise OSError("busy")
        return "ok"

    agent = kind.agent([Tool(flaky, retries=2)], model=ScriptedModel(kind.script([call("flaky"), "done"])))
    first = await agent.run("Go.", run_id="run-1", store=DiskStore(path))
    assert first.steps[0].observations[0].value == "ok"
    again = await agent.run("Go.", run_id="run-1", store=DiskStore(path))
    assert (again.messages, len(tries)) == (first.messages, 3)


async def test_a_block_that_failed_fails_again_and_the_model_is_not_asked_again(tools, path):
    replies = [block("x = await fetch('a')\n1 / 0"), block("final_answer(x + await fetch('last'))")]
    await broken_off(tools, DiskStore(path), replies, at="last")
    result = await resumed(tools, DiskStore(path), [])
    assert (result.output, tools.made) == ("ALAST", ["last"])
    assert "ZeroDivisionError" in [message.text for message in result.messages if isinstance(message, User)][1]


async def test_equal_calls_are_told_apart_by_their_number(tools, path):
    code = "r = [await fetch('a'), await fetch('a')]\nr.append(await fetch('last'))\nr += [await fetch('a')]"
    code = block(f"{code}\nfinal_answer(r)")
    await broken_off(tools, DiskStore(path), [code], at="last")
    result = await resumed(tools, DiskStore(path), [])
    assert (result.output, tools.made) == (["A", "A", "LAST", "A"], ["last", "a"])


async def test_recorded_calls_may_come_in_another_order(tools, path):
    code = """
async def one(name, turns):
    for _ in range(turns):
        await asyncio.sleep(0)
    return await fetch(name)
r = await asyncio.gather(one('a', 9), one('b', 0), one('c', 4))
final_answer([r, await fetch('last')])"""
    await broken_off(tools, DiskStore(path), [block(code)], at="last")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(reversed(lines)) + "\n")
    result = await resumed(tools, DiskStore(path), [])
    assert (result.output, tools.made) == ([["A", "B", "C"], "LAST"], ["last"])


async def test_random_numbers_are_those_of_the_run(tools, path):
    async def drawn(run_id, name):
        journal = DiskStore(path.with_name(name))
        code = block("import random\nfinal_answer([random.random(), random.randint(1, 10**9)])")
        return (await resumed(tools, journal, [code], run_id=run_id)).output

    assert await drawn("run-1", "a") == await drawn("run-1", "b") != await drawn("run-2", "c")


async def test_a_run_can_be_broken_off_and_resumed_time_and_again(tools, path):
    code = block("r = [await fetch(n) for n in 'abcde']\nfinal_answer(''.join(r))")
    replies = [code]
    for at in "abcde":
        await broken_off(tools, DiskStore(path), replies, at=at)
        replies = []
    result = await resumed(tools, DiskStore(path), [])
    assert (result.output, tools.made) == ("ABCDE", ["e"])


@pytest.mark.parametrize(
    "written",
    [
        "```python\nx = await fetch('a')\nawait fetch('b')\ny = 1",
        block("x = await fetch('a')\nprint(x)\nawait fetch('b')") + "\nAnd then I",
    ],
    ids=["in a block", "after a block"],
)
async def test_a_run_that_was_broken_off_while_its_model_wrote_goes_on_with_what_that_writes_now(written, tools, path):
    """The reply was not complete, so it is not recorded: what ran of it must not stand in the way of another."""
    early = asyncio.Event()

    class Watched(DiskStore):
        async def put(self, run, key, text):
            if "/code/" in key or ("print" not in written and '"B"' in text):
                early.set()
            return await super().put(run, key, text)

    async def interrupted(request, sink):
        sink.text(written)
        await asyncio.Event().wait()

    async with asyncio.timeout(30):
        agent = TinyCodeAgent([tools.fetch], model=interrupted)
        async with agent.stream("Go.", run_id="run-1", store=Watched(path)):
            with contextlib.suppress(TimeoutError):  # an agent may run nothing early where that is recorded
                await asyncio.wait_for(early.wait(), 2)
    await broken_off(tools, DiskStore(path), [block("final_answer(await fetch('last'))")], at="last", streamed=True)
    result = await resumed(tools, DiskStore(path), [], streamed=True)  # what the first reply did is forgotten
    assert result.output == "LAST"


# ---- divergence


async def test_code_that_takes_another_way_calls_nothing_new(tools, path, impatient):
    code = block("import os\nx = await fetch(os.urandom(8).hex())\nfinal_answer(await fetch('last'))")
    await broken_off(tools, DiskStore(path), [code], at="last")
    with pytest.raises(ReplayError, match=r"did not make the calls that are recorded.*it called fetch\(") as caught:
        await resumed(tools, DiskStore(path), [])
    assert tools.made == []
    assert "block1_fetch_" in str(caught.value)
    assert caught.value.result.state == "failed"


async def test_code_that_catches_everything_cannot_hide_that_it_diverged(tools, path, impatient):
    code = "import os\ntry:\n    await fetch(os.urandom(8).hex())\nexcept BaseException:\n    pass\n"
    code += "final_answer(await fetch('last'))"
    await broken_off(tools, DiskStore(path), [block(code)], at="last")
    with pytest.raises(ReplayError):
        await resumed(tools, DiskStore(path), [])
    assert tools.made == []


async def test_code_that_ends_without_a_recorded_call_is_reported(tools, path):
    await broken_off(tools, DiskStore(path), [block("await fetch('a')\nawait fetch('last')")], at="last")
    journal = DiskStore(path)
    journal.known["run-1/1/model"] = json.dumps({"text": block("x = 1"), "calls": [], "usage": {}})
    with pytest.raises(ReplayError, match="it ended without them"):
        await resumed(tools, journal, [])
    assert tools.made == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("x = await fetch('a')\nprint('other')\nx", "output"),
        ("x = await fetch('a')\nprint('same')\nx + '!'", "value"),
        ("x = await fetch('a')\nprint('same')\n1 / 0", "error"),
    ],
)
async def test_a_block_that_gives_something_else_than_recorded_is_reported(changed, said, tools, path):
    replies = [block("x = await fetch('a')\nprint('same')\nx"), block("await fetch('last')")]
    await broken_off(tools, DiskStore(path), replies, at="last")
    journal = DiskStore(path)
    journal.known["run-1/1/model"] = json.dumps({"text": block(changed), "calls": [], "usage": {}})
    with pytest.raises(ReplayError, match=rf"not as recorded: .*{said}"):
        await resumed(tools, journal, [])
    assert tools.made == []


async def test_output_that_depends_on_the_time_is_reported(tools, path):
    replies = [block("import time\nprint(time.time_ns())"), block("await fetch('last')")]
    await broken_off(tools, DiskStore(path), replies, at="last")
    with pytest.raises(ReplayError, match="not as recorded: output"):
        await resumed(tools, DiskStore(path), [])
    assert tools.made == []


async def test_a_call_with_other_arguments_is_another_call(tools, path, impatient):
    await broken_off(tools, DiskStore(path), [block("await fetch('a')\nawait fetch('last')")], at="last")
    journal = DiskStore(path)
    journal.known["run-1/1/model"] = json.dumps(
        {"text": block("await fetch('b')\nawait fetch('last')"), "calls": [], "usage": {}}
    )
    with pytest.raises(ReplayError, match=r"['\"]b['\"]"):
        await resumed(tools, journal, [])
    assert tools.made == []


async def test_new_calls_beside_recorded_ones_wait_until_all_of_them_have_come(tools, path):
    await broken_off(tools, DiskStore(path), [block("await fetch('a')\nawait fetch('last')")], at="last")
    journal = DiskStore(path)
    late = "async def one():\n    await asyncio.sleep(0.05)\n    return await fetch('a')\n"
    late = block(late + "final_answer(await asyncio.gather(fetch('new'), one()))")
    journal.known["run-1/1/model"] = json.dumps({"text": late, "calls": [], "usage": {}})
    result = await resumed(tools, journal, [])
    assert (result.output, tools.made) == (["NEW", "A"], ["new"])


async def test_without_a_store_nothing_is_watched(tools):
    result = await resumed(tools, None, [block("import os\nfinal_answer(await fetch(os.urandom(2).hex()))")])
    assert result.output == tools.made[0].upper()
