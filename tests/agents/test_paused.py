"""A run that waits for a person twice, over three processes, in each place where a call may be made."""

from __future__ import annotations

import json
import multiprocessing
import os
from functools import partial

import pytest

from tests.agents.kinds import WITHOUT, block
from tinyagent import (
    Allow,
    Call,
    ReactAgent,
    Reply,
    RunResult,
    SQLiteStore,
    TinyCodeAgent,
    ask_before,
    run_sync,
)
from tinyagent.errors import ApprovalError
from tinyagent.messages import Assistant
from tinyagent.sandbox import MontySandbox, ProcessSandbox

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
needs_process = pytest.mark.skipif(WITHOUT is not None, reason=f"no ProcessSandbox here: {WITHOUT}")
TASK = {"task": "Go."}


def by_step(*replies):
    """A model without a memory: it says what comes after the replies that it sees."""

    async def model(request, sink):
        said = replies[sum(isinstance(each, Assistant) for each in request.messages)]
        reply = Reply(said) if isinstance(said, str) else Reply(calls=tuple(said), finish_reason="tool_calls")
        for each in reply.calls:
            sink.call(each)
        return reply

    return model


def calls(*made):
    """Calls such as `pay=1`, each with an id of its own."""
    return [Call(name, {"n": n} if isinstance(n, int) else TASK, f"{name}{n}") for name, n in made]


class Tools:
    """Tools that write down each call that reaches them; of `pay`, a person decides."""

    def __init__(self, folder):
        self.file = folder / "calls"

    def made(self, name, n):
        with self.file.open("a") as file:
            file.write(f"{name}{n}\n")
        return f"{name} {n}"

    async def look(self, n: int) -> str:
        """Look."""
        return self.made("look", n)

    async def pay(self, n: int) -> str:
        """Pay."""
        return self.made("pay", n)

    def look_now(self, n: int) -> str:
        """Look."""
        return self.made("look_now", n)

    def pay_now(self, n: int) -> str:
        """Pay."""
        return self.made("pay_now", n)

    @property
    def all(self):
        return [self.look, self.pay, self.look_now, self.pay_now]


POLICY = ask_before("pay*", "transfer_*")


# ---- the places


def native(tools):
    first, second = calls(("look", 1), ("pay", 1), ("look", 2)), calls(("look", 3), ("pay", 2))
    return ReactAgent(tools.all, model=by_step(first, second, "done"), policy=POLICY)


def inside(tools, levels=1):
    agent = native(tools)
    for level in range(levels):
        stages = [calls(("look", 10 + level), ("agent", "task")), calls(("look", 20 + level)), "done"]
        agent = ReactAgent(
            [*tools.all, agent.as_tool("agent", "Does it.")], model=by_step(*stages), name=f"level{level}"
        )
    return agent


def handoff(tools):
    second = ReactAgent(tools.all, model=by_step(None, calls(("pay", 1)), "done"), policy=POLICY, name="second")
    first = [calls(("look", 1), ("transfer_to_second", "x"))]
    first[0][1] = Call("transfer_to_second", {}, "t")
    return ReactAgent(tools.all, model=by_step(*first), policy=POLICY, handoffs=[second], name="first")


def direct(tools):
    return inside(tools)


def coded(code, tools, sandbox):
    blocks = ["first = await look(0)\nprint(first)", *code, "final_answer('done')"]
    return TinyCodeAgent(tools.all, model=by_step(*map(block, blocks)), policy=POLICY, sandbox=sandbox)


def inside_code(tools, sandbox):
    agent = native(tools).as_tool("agent", "Does it.")
    code = ["print(await asyncio.gather(look(10), agent(task='Go.'), look(11)))\nprint(await look(12))"]
    blocks = [*map(block, ["import asyncio\n" + code[0], "final_answer('done')"])]
    return TinyCodeAgent([*tools.all, agent], model=by_step(*blocks), sandbox=sandbox, policy=POLICY)


CODE = {
    "comprehension": ["print({n: [look_now(n), pay_now(n)] for n in (1, 2)})"],
    "middle": ["a = await look(1)\nb = await pay(1)\nprint(a, b)\nc = await look(2)\nprint(await pay(2), c)"],
    "two blocks": ["print(await look(1), await pay(1))", "print(await look(2), await pay(2))"],
    "gather": [
        (
            "import asyncio\nprint(await asyncio.gather(look(1), pay(1), look(2)))\n"
            "print(await asyncio.gather(pay(2), look(3)))"
        )
    ],
    "gather twice the same": ["import asyncio\nprint(await asyncio.gather(pay(1), look(1)))\nprint(await pay(1))"],
    "one": ["print(look_now(1))\nprint(pay_now(1))\nprint(pay_now(2), look_now(2))"],
}
#: What no function that is called by Monty's own can do: it cannot wait.
CALLBACKS = {
    "map": ["print(list(map(pay_now, [1, 2])))\nprint(look_now(1))"],
    "sorted": ["print(look_now(1))\nprint(sorted([1, 2], key=lambda n: pay_now(n)))\nprint(look_now(2))"],
}
THREADS = {
    "thread": [
        (
            "import asyncio\nprint(await asyncio.to_thread(look_now, 1), await asyncio.to_thread(pay_now, 1))\n"
            "print(await asyncio.gather(asyncio.to_thread(pay_now, 2), look(2)))"
        )
    ],
    "pool": [
        (
            "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as pool:\n"
            "    print(list(pool.map(look_now, [1, 2])), pool.submit(pay_now, 1).result())\n"
            "    print(pool.submit(pay_now, 2).result())"
        )
    ],
}
SANDBOXES = {"process": (ProcessSandbox, {**CODE, **CALLBACKS, **THREADS}), "monty": (MontySandbox, CODE)}
PLACES = {
    "native": native,
    "inside": inside,
    "two levels inside": partial(inside, levels=2),
    "handoff": handoff,
    **{
        f"{sandbox}: {name}": partial(coded, code, sandbox=kind())
        for sandbox, (kind, codes) in SANDBOXES.items()
        for name, code in codes.items()
    },
    **{f"{sandbox}: inside": partial(inside_code, sandbox=kind()) for sandbox, (kind, _) in SANDBOXES.items()},
}
RECEIVED = {
    "native": "look1 look2 look3 pay1 pay2",
    "inside": "look1 look10 look2 look20 look3 pay1 pay2",
    "two levels inside": "look1 look10 look11 look2 look20 look21 look3 pay1 pay2",
    "handoff": "look1 pay1",
    "middle": "look0 look1 look2 pay1 pay2",
    "two blocks": "look0 look1 look2 pay1 pay2",
    "gather": "look0 look1 look2 look3 pay1 pay2",
    "gather twice the same": "look0 look1 pay1 pay1",
    "one": "look0 look_now1 look_now2 pay_now1 pay_now2",
    "map": "look0 look_now1 pay_now1 pay_now2",
    "sorted": "look0 look_now1 look_now2 pay_now1 pay_now2",
    "comprehension": "look0 look_now1 look_now2 pay_now1 pay_now2",
    "thread": "look0 look2 look_now1 pay_now1 pay_now2",
    "pool": "look0 look_now1 look_now2 pay_now1 pay_now2",
}


def received(place):
    sandbox, _, name = place.partition(": ")
    if name == "inside":
        return "look1 look10 look11 look12 look2 look3 pay1 pay2"
    return RECEIVED[name or sandbox]


# ---- the processes


_CLEAN = multiprocessing.get_context("forkserver")  # a fork of a process that has used Monty cannot use it
_CLEAN.set_forkserver_preload([__name__])


def _live(work, theirs):
    try:
        theirs.send((0, run_sync(work())))
    except BaseException as error:
        theirs.send((1, f"{type(error).__name__}: {error}"))


def clean_life(work):
    """Await the work, which can be pickled, in a process that is no fork of this one; return what it gives."""
    ours, theirs = _CLEAN.Pipe(duplex=False)
    process = _CLEAN.Process(target=_live, args=(work, theirs))
    process.start()
    theirs.close()
    status, said = ours.recv()
    process.join()
    ours.close()
    assert status == 0, said
    return said


def life(work):
    """Await the work in a process of its own; return the JSON that it gives."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.write(theirs, json.dumps(run_sync(work())).encode())
            code = 0
        except BaseException as error:
            os.write(theirs, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours, "rb") as file:
        text = file.read().decode()
    _, status = os.waitpid(pid, 0)
    assert status == 0, text
    return json.loads(text)


async def drained(run):
    async with run:
        replayed = [event.replayed async for event in run]
    assert not replayed[-1]
    return run.result


def told(result):
    return [result.state, [[each.id, each.tool, dict(each.arguments)] for each in result.pending], result.to_json()]


async def begin(make, tools, store, streamed):
    agent = make(tools)
    given = {} if store is None else {"store": SQLiteStore(store), "run_id": "r"}
    return told(await drained(agent.stream("Go.", **given)) if streamed else await agent.run("Go.", **given))


async def decide(make, tools, store, streamed, before):
    agent = make(tools)
    [[key, *_]] = before[1]
    run = RunResult.from_json(before[2]) if store is None else "r"
    given = {} if store is None else {"store": SQLiteStore(store)}
    resume = agent.resume_stream if streamed else agent.resume
    work = resume(run, {key: Allow()}, **given)
    return told(await drained(work) if streamed else await work)


HOWS = ("store", "store, streamed", "no store")
#: Each of these cases starts three clean Pythons: each way of keeping the run gets a third of the places.
PROCESS = [name for name in PLACES if name.startswith("process")]
CASES = [(name, how) for name in PLACES if name not in PROCESS for how in HOWS]
CASES += [(name, HOWS[number % 3]) for number, name in enumerate(PROCESS)]


@pytest.mark.parametrize(
    ("place", "how"), [pytest.param(*case, marks=needs_process if case[0] in PROCESS else ()) for case in CASES]
)
def test_a_run_waits_twice_and_no_call_is_made_twice(place, how, tmp_path):
    make, tools, streamed = PLACES[place], Tools(tmp_path), "streamed" in how
    store = None if how == "no store" else tmp_path / "store"
    live = clean_life if place.startswith("monty") else life
    said = live(partial(begin, make, tools, store, streamed))
    assert said[0] == "paused"
    first = said[1]
    said = live(partial(decide, make, tools, store, streamed, said))
    assert said[0] == "paused"
    assert said[1] != first
    assert len(said[1]) == 1
    said = live(partial(decide, make, tools, store, streamed, said))
    assert said[:2] == ["success", []]
    assert RunResult.from_json(said[2]).output == "done"
    assert sorted(tools.file.read_text().split()) == received(place).split()


@pytest.mark.parametrize("where", ["store", "no store"])
def test_a_single_call_waits_twice(where, tmp_path):
    tools, store = Tools(tmp_path), tmp_path / "store"

    async def first():
        agent = inside(tools)
        agent.store = SQLiteStore(store) if where == "store" else None
        with pytest.raises(ApprovalError, match="waits for a decision") as caught:
            await agent.execute_tool("agent", task="Go.")
        return [*told(caught.value.result), caught.value.result.info.run_id]

    async def then(before):
        [[key, *_]] = before[1]
        run = RunResult.from_json(before[2]) if where == "no store" else before[3]
        given = {} if where == "no store" else {"store": SQLiteStore(store)}
        return [*told(await inside(tools).resume(run, {key: Allow()}, **given)), before[3]]

    said = life(first)
    said = life(partial(then, said))
    assert said[0] == "paused"
    said = life(partial(then, said))
    assert said[:2] == ["success", []]
    assert RunResult.from_json(said[2]).output == "done"
    assert sorted(tools.file.read_text().split()) == ["look1", "look2", "look3", "pay1", "pay2"]
