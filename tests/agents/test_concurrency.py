"""Many runs of one agent at once: nothing of one gets into another, and nothing is left when they have ended."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading

import pytest

from tinyagent import FatalToolError, Limits, ReactAgent, Reply, RunError, StepLimitReached, Tool, ToolReply
from tinyagent.core import threads
from tinyagent.core.context import Context
from tinyagent.testing import ScriptedServer, call

MANY = 500


def script(request):
    """Have the task's number doubled and trebled, and answer with what came back."""
    results = [message["content"] for message in request.messages if message["role"] == "tool"]
    if results:
        return f"{request.messages[1]['content']}: {' '.join(results)}"
    number = int(request.messages[1]["content"].split()[-1])
    return [call("double", number=number), call("treble", number=number)]


async def double(number: int, context: Context[int]) -> int:
    """Twice the number."""
    await asyncio.sleep(0)
    assert context.deps == number
    return 2 * number


def treble(number: int, context: Context[int]) -> int:
    """Three times the number, in a thread."""
    assert context.metadata == {"number": number}
    return 3 * number


def options(number):
    return {"deps": number, "run_id": f"run-{number}", "metadata": {"number": number}}


def check(number, result):
    """Everything in this result is of this run."""
    assert result.output == f"Number {number}: {2 * number} {3 * number}"
    assert [message.text for message in result.messages if message.role != "assistant"] == [
        "Be quick.", f"Number {number}", str(2 * number), str(3 * number),
    ]  # fmt: skip
    assert [item.value for item in result.steps[0].observations] == [2 * number, 3 * number]
    assert (result.metadata.run_id, result.metadata.extra) == (f"run-{number}", {"number": number})
    assert result.usage.requests == len(result.steps) == 2


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
def test_five_hundred_runs_at_once_are_right_unmixed_and_leave_nothing(http, monkeypatch):
    monkeypatch.setattr(threads, "IDLE", 0.05)

    async def all_at_once():
        before = asyncio.all_tasks()
        async with ScriptedServer(script) as server:
            agent = ReactAgent([double, treble], model=server.model(http=http), instructions="Be quick.")
            runs = (agent.run(f"Number {number}", **options(number)) for number in range(MANY))
            results = await asyncio.gather(*runs)
            assert len(server.requests) == 2 * MANY
        for number, result in enumerate(results):
            check(number, result)
        for _ in range(50):  # connections that the server has just closed say goodbye
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    before = set(threading.enumerate())
    asyncio.run(all_at_once())
    made = set(threading.enumerate()) - before
    assert len(made) <= threads.DEFAULT_THREADS
    for thread in made:
        thread.join(10)
        assert not thread.is_alive()


async def test_synchronous_calls_one_after_the_other_share_a_thread(scripted_model):
    used = []

    def note() -> None:
        used.append(threading.current_thread())

    calls = [call("note") for _ in range(30)]
    agent = ReactAgent([note], model=scripted_model([*calls, "done"]), limits=Limits(steps=None))
    await agent.run("Note.")
    assert len(used) == 30
    assert len(set(used)) <= 3  # one, unless a thread that another test abandoned came back in between


async def test_many_streams_at_once_hear_only_their_own_events():
    async def listen(agent, number):
        async with agent.stream(f"Number {number}", **options(number)) as run:
            events = [event async for event in run]
        assert events[0].run_id == f"run-{number}"
        assert events[0].task == f"Number {number}"
        assert "".join(event.text for event in events if event.type == "text_delta") == run.result.output
        started = {event.call.arguments["number"] for event in events if event.type == "tool_started"}
        assert started == {number}
        check(number, run.result)

    async with ScriptedServer(script) as server, asyncio.TaskGroup() as group:
        agent = ReactAgent([double, treble], model=server.model(), instructions="Be quick.")
        for number in range(50):
            group.create_task(listen(agent, number))


async def test_runs_at_once_are_in_the_same_tool_at_the_same_time():
    barrier = asyncio.Barrier(20)

    async def meet(name: str) -> str:
        await barrier.wait()
        return name

    async def model(request, sink):
        last = request.messages[-1]
        return Reply(last.text) if isinstance(last, ToolReply) else Reply(calls=(call("meet", name=last.text),))

    agent = ReactAgent([meet], model=model)
    async with asyncio.timeout(10):
        results = await asyncio.gather(*(agent.run(f"run {number}") for number in range(20)))
    assert [result.output for result in results] == [f"run {number}" for number in range(20)]


async def test_two_runs_that_take_turns_never_mix():
    turns = {"a": asyncio.Event(), "b": asyncio.Event()}
    turns["a"].set()

    async def take_turns(name: str) -> str:
        other = "b" if name == "a" else "a"
        await turns[name].wait()
        turns[name].clear()
        turns[other].set()
        return name

    async def model(request, sink):
        told = [message.text for message in request.messages if isinstance(message, ToolReply)]
        if len(told) == 5:
            return Reply("".join(told))
        return Reply(calls=(call("take_turns", name=request.messages[0].text),))

    agent = ReactAgent([take_turns], model=model)
    async with asyncio.timeout(10):
        first, second = await asyncio.gather(agent.run("a"), agent.run("b"))
    assert (first.output, second.output) == ("aaaaa", "bbbbb")
    assert first.metadata.run_id != second.metadata.run_id
    assert {step.number for step in first.steps} == {step.number for step in second.steps} == {1, 2, 3, 4, 5, 6}


async def test_limits_and_failures_of_one_run_are_its_own():
    async def act(task: str) -> str:
        if task == "fatal":
            raise FatalToolError("only mine")
        return task

    async def model(request, sink):
        task = request.messages[0].text
        if task == "broken":
            raise ValueError("only mine")
        if task == "endless" and request.tool_choice == "none":
            return Reply("")
        if len(request.messages) > 1 and task != "endless":
            return Reply(f"done {task}")
        return Reply(calls=(call("act", task=task),))

    agent = ReactAgent([act], model=model, limits=Limits(steps=3))
    tasks = ["fine", "fatal", "broken", "endless", "also fine"]
    outcomes = await asyncio.gather(*(agent.run(task, run_id=task) for task in tasks), return_exceptions=True)
    assert [outcomes[0].output, outcomes[4].output] == ["done fine", "done also fine"]
    assert isinstance(outcomes[1], FatalToolError)
    assert isinstance(outcomes[2], RunError)
    assert isinstance(outcomes[3], StepLimitReached)
    assert [error.result.metadata.run_id for error in outcomes[1:4]] == ["fatal", "broken", "endless"]


async def test_context_variables_of_a_run_reach_its_tools_and_no_other():
    user = contextvars.ContextVar("user", default="nobody")

    async def who() -> str:
        await asyncio.sleep(0)
        return user.get()

    def who_in_a_thread() -> str:
        return user.get()

    async def model(request, sink):
        if isinstance(request.messages[-1], ToolReply):
            return Reply("done")
        return Reply(calls=(call("who"), call("who_in_a_thread")))

    agent = ReactAgent([who, who_in_a_thread], model=model)

    async def run_as(name):
        user.set(name)
        return await agent.run("Who?")

    results = await asyncio.gather(*(run_as(f"user {number}") for number in range(20)))
    for number, result in enumerate(results):
        assert [item.value for item in result.steps[0].observations] == [f"user {number}"] * 2


async def test_one_agent_serves_several_event_loops_at_once(scripted_model):
    barrier = threading.Barrier(3)

    def meet(name: str) -> str:
        barrier.wait(10)
        return name

    def say(request):
        last = request.messages[-1]
        return last.text if isinstance(last, ToolReply) else call("meet", name=last.text)

    agent = ReactAgent([meet], model=scripted_model(say))

    def in_a_loop(name):
        return asyncio.run(agent.run(name)).output

    outputs = await asyncio.gather(*(asyncio.to_thread(in_a_loop, name) for name in "abc"))
    assert outputs == ["a", "b", "c"]


async def test_a_tool_may_run_an_agent(scripted_model):
    inner = ReactAgent(model=scripted_model(lambda request: f"inner says {request.messages[0].text}"), name="inner")

    async def ask(question: str) -> str:
        return (await inner.run(question)).output

    model = scripted_model([[call("ask", question="a"), call("ask", question="b")], "done"])
    result = await ReactAgent([ask], model=model).run("Ask.")
    assert [item.value for item in result.steps[0].observations] == ["inner says a", "inner says b"]


async def test_ended_runs_are_not_kept(scripted_model):
    agent = ReactAgent([Tool(lambda: "x" * 1000, name="read")], model=scripted_model(lambda _: "ok"))

    async def rounds(number):
        for _ in range(number):
            await agent.run("Go.")
        gc.collect()
        return sum(type(item).__name__ == "Run" for item in gc.get_objects())

    agent.model.requests.clear()
    assert await rounds(3) == await rounds(30)
