"""A run that is killed again and again, and taken up each time by another process with the same store."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.agents.disk_store import DiskStore
from tinyagent import Call, Context, ReactAgent, Reply, run_sync
from tinyagent.messages import ToolReply

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


class Dies(DiskStore):
    """A store whose process is killed at one of its writes: before it, or right after."""

    def __init__(self, path, at, when):
        super().__init__(path)
        self.at = at
        self.when = when

    async def put(self, run, key, text):
        await asyncio.sleep(0)  # others go on meanwhile
        self.at -= 1
        if self.at == 0 and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = await super().put(run, key, text)
        if self.at == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done


def replies(stages, answer):
    """A model that writes the calls of the first stage that are not answered yet, each early, and at last an answer.

    What had begun when a process died is its whole reply, so the rest of the stage is asked for again.
    """

    async def model(request, sink):
        told = {message.call_id: message.text for message in request.messages if isinstance(message, ToolReply)}
        missing = ([each for each in stage if each.id not in told] for stage in stages)
        calls = next(filter(None, missing), [])
        if not calls:
            return Reply(f"{answer}: {', '.join(text for _, text in sorted(told.items()))}")
        for each in calls:
            sink.call(each)
            await asyncio.sleep(0)
        return Reply(calls=tuple(calls), finish_reason="tool_calls")

    return model


def team(made):
    """An agent with a tool and two agents of its own, which call the same tool."""

    async def pay(amount: int, context: Context) -> str:
        """Pay."""
        made(context.key)
        await asyncio.sleep(0)
        return f"paid {amount}"

    def inner(name, amounts):
        stages = [[Call("pay", {"amount": amount}, f"{name}{amount}")] for amount in amounts]
        return ReactAgent([pay], model=replies(stages, name), name=name, description="Pays.")

    task = {"task": "Pay."}
    stages = [
        [Call("pay", {"amount": 1}, "c1"), Call("a", task, "c2"), Call("b", task, "c3")],
        [Call("a", task, "c4"), Call("pay", {"amount": 3}, "c5")],
    ]
    return ReactAgent([pay, inner("a", [10, 11]), inner("b", [20])], model=replies(stages, "all"))


def life(folder, at, when):
    """One process that works on the run, until it is killed or done; says whether it was done."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            store = Dies(folder / "store", at, when)
            known = set(store.known)

            def made(key):
                with (folder / "calls").open("a") as file:
                    file.write(f"{key} {key in known}\n")

            async def go():
                async with team(made).stream("Go.", run_id="r", store=store) as run:
                    return await run.drain()

            result = run_sync(go())
            (folder / "answer").write_text(result.output)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.WIFEXITED(status) or os.WTERMSIG(status) == signal.SIGKILL
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFEXITED(status)


def lives(folder, at, when):
    """Live until the run is done: its answer, the calls that were really made, and how many lives it took."""
    folder.mkdir()
    count = 1
    while not life(folder, at, when):
        count += 1
        assert count < 200
    calls = [line.split() for line in (folder / "calls").read_text().splitlines()]
    return (folder / "answer").read_text(), calls, count


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("at", "when"), [(1, "after"), (3, "after"), (2, "before"), (5, "before")])
def test_no_answered_call_is_made_again_and_the_run_ends_as_it_would_have(at, when, tmp_path):
    whole, made, _ = lives(tmp_path / "whole", 0, "never")
    assert len(made) == len({key for key, _ in made}) == 7
    answer, calls, count = lives(tmp_path / "killed", at, when)
    assert count > 2
    assert [key for key, was_recorded in calls if was_recorded == "True"] == []
    assert len(set(map(tuple, calls))) == 7
    assert answer == whole
