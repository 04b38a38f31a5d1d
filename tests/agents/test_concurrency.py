"""Many runs of one agent at once: nothing of one gets into another, and nothing is left when they have ended."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import resource
import threading

import pytest

from tests.agents.kinds import NATIVE, WRITTEN, needs_sandbox, no_session_left
from tinyagent import FatalToolError, Limits, Reply, RunError, Tool
from tinyagent.core import threads
from tinyagent.core.context import Context
from tinyagent.errors import StepLimitReached
from tinyagent.testing import ScriptedModel, ScriptedServer, call

MANY = 500


def script(kind):
    """Have the task's number doubled and trebled, and answer with what came back."""

    def say(request):
        task = kind.task(request)
        if results := kind.told(request):
            return kind.says(f"{task}: {' '.join(results)}")
        number = int(task.split()[-1])
        return kind.says([call("double", number=number), call("treble", number=number)])

    return say


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


def check(kind, number, result):
    """Everything in this result is of this run."""
    assert result.output == f"Number {number}: {2 * number} {3 * number}"
    assert result.messages[0].text.endswith("Be quick.")
    assert result.messages[1].text == f"Number {number}"
    assert "\n".join(kind.reports(result.messages)) == kind.shown(f"{2 * number}\n{3 * number}")
    assert kind.values(result)[0] == [2 * number, 3 * number]
    assert (result.info.run_id, result.metadata) == (f"run-{number}", {"number": number})
    assert result.usage.requests == len(result.steps) == 2


@contextlib.asynccontextmanager
async def model_of(kind, http):
    """A model over HTTP; one that is not for code, whose sessions are the load."""
    if http is None:
        yield ScriptedModel(script(kind))
        return
    async with ScriptedServer(script(kind)) as server:
        yield server.model(http=http)
        assert len(server.requests) == 2 * MANY


@pytest.fixture
def many_descriptors():
    """Each session has two, which is more than 500 times the usual soft limit of 1,024 leaves."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(before[1], 8 * MANY)), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.one_in(2)
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("kind", "http"),
    [
        pytest.param(NATIVE, "httpx", id="react-httpx"),
        pytest.param(NATIVE, "aiohttp", id="react-aiohttp"),
        pytest.param(WRITTEN, None, id="code", marks=needs_sandbox),
    ],
)
@pytest.mark.usefixtures("many_descriptors", "untraced")
def test_five_hundred_runs_at_once_are_right_unmixed_and_leave_nothing(kind, http, monkeypatch):
    monkeypatch.setattr(threads, "IDLE", 0.05)

    async def all_at_once():
        before = asyncio.all_tasks()
        async with model_of(kind, http) as model:
            agent = kind.agent([double, treble], model=model, instructions="Be quick.")
            runs = (agent.run(f"Number {number}", **options(number)) for number in range(MANY))
            results = await asyncio.gather(*runs)
        for number, result in enumerate(results):
            check(kind, number, result)
        await no_session_left()
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


async def test_synchronous_calls_one_after_the_other_share_a_thread(kind, scripted_model):
    used = []

    def note() -> None:
        used.append(threading.current_thread())

    calls = [call("note") for _ in range(30)]
    agent = kind.agent([note], model=scripted_model(kind.script([*calls, "done"])), limits=Limits(steps=None))
    await agent.run("Note.")
    assert len(used) == 30
    assert len(set(used)) <= 3  # one, unless a thread that another test abandoned came back in between


async def test_many_streams_at_once_hear_only_their_own_events(kind):
    async def listen(agent, number):
        async with agent.stream(f"Number {number}", **options(number)) as run:
            events = [event async for event in run]
        assert events[0].run_id == f"run-{number}"
        assert events[0].task == f"Number {number}"
        written = "".join(event.text for event in events if event.type == "text_delta")
        assert written == "".join(step.message.text for step in run.result.steps)
        called = [event.call.arguments for event in events if event.type == "tool_started"]
        started = {arguments["number"] for arguments in called if "number" in arguments}
        assert started == {number}
        check(kind, number, run.result)

    async with ScriptedServer(script(kind)) as server, asyncio.TaskGroup() as group:
        agent = kind.agent([double, treble], model=server.model(), instructions="Be quick.")
        for number in range(50):
            group.create_task(listen(agent, number))


async def test_runs_at_once_are_in_the_same_tool_at_the_same_time(kind):
    barrier = asyncio.Barrier(20)

    async def meet(name: str) -> str:
        await barrier.wait()
        return name

    async def model(request, sink):
        told = kind.told(request)
        return kind.says(told[-1] if told else call("meet", name=kind.task(request)))

    agent = kind.agent([meet], model=model)
    async with asyncio.timeout(10):
        results = await asyncio.gather(*(agent.run(f"run {number}") for number in range(20)))
    assert [result.output for result in results] == [f"run {number}" for number in range(20)]


async def test_two_runs_that_take_turns_never_mix(kind):
    turns = {"a": asyncio.Event(), "b": asyncio.Event()}
    turns["a"].set()

    async def take_turns(name: str) -> str:
        other = "b" if name == "a" else "a"
        await turns[name].wait()
        turns[name].clear()
        turns[other].set()
        return name

    async def model(request, sink):
        told = kind.told(request)
        return kind.says("".join(told) if len(told) == 5 else call("take_turns", name=kind.task(request)))

    agent = kind.agent([take_turns], model=model)
    async with asyncio.timeout(10):
        first, second = await asyncio.gather(agent.run("a"), agent.run("b"))
    assert (first.output, second.output) == ("aaaaa", "bbbbb")
    assert first.info.run_id != second.info.run_id
    assert {step.number for step in first.steps} == {step.number for step in second.steps} == {1, 2, 3, 4, 5, 6}


async def test_limits_and_failures_of_one_run_are_its_own(kind):
    async def act(task: str) -> str:
        if task == "fatal":
            raise FatalToolError("only mine")
        return task

    async def model(request, sink):
        task = kind.task(request)
        if task == "broken":
            raise ValueError("only mine")
        if task == "endless" and request.tool_choice == "none":
            return Reply("")
        if kind.told(request) and task != "endless":
            return kind.says(f"done {task}")
        return kind.says(call("act", task=task))

    agent = kind.agent([act], model=model, limits=Limits(steps=3))
    tasks = ["fine", "fatal", "broken", "endless", "also fine"]
    outcomes = await asyncio.gather(*(agent.run(task, run_id=task) for task in tasks), return_exceptions=True)
    assert [outcomes[0].output, outcomes[4].output] == ["done fine", "done also fine"]
    assert isinstance(outcomes[1], FatalToolError)
    assert isinstance(outcomes[2], RunError)
    assert isinstance(outcomes[3], StepLimitReached)
    assert [error.result.info.run_id for error in outcomes[1:4]] == ["fatal", "broken", "endless"]


async def test_context_variables_of_a_run_reach_its_tools_and_no_other(kind):
    user = contextvars.ContextVar("user", default="nobody")

    async def who() -> str:
        await asyncio.sleep(0)
        return user.get()

    def who_in_a_thread() -> str:
        return user.get()

    async def model(request, sink):
        return kind.says("done" if kind.told(request) else [call("who"), call("who_in_a_thread")])

    agent = kind.agent([who, who_in_a_thread], model=model)

    async def run_as(name):
        user.set(name)
        return await agent.run("Who?")

    results = await asyncio.gather(*(run_as(f"user {number}") for number in range(20)))
    for number, result in enumerate(results):
        assert [item.value for item in result.steps[0].observations] == [f"user {number}"] * 2


async def test_one_agent_serves_several_event_loops_at_once(kind, scripted_model):
    barrier = threading.Barrier(3)

    def meet(name: str) -> str:
        barrier.wait(10)
        return name

    def say(request):
        told = kind.told(request)
        return kind.says(told[-1] if told else call("meet", name=kind.task(request)))

    agent = kind.agent([meet], model=scripted_model(say))

    def in_a_loop(name):
        return asyncio.run(agent.run(name)).output

    outputs = await asyncio.gather(*(asyncio.to_thread(in_a_loop, name) for name in "abc"))
    assert outputs == ["a", "b", "c"]


async def test_a_tool_may_run_an_agent(kind, scripted_model):
    answering = scripted_model(lambda request: kind.says(f"inner says {kind.task(request)}"))
    inner = kind.agent(model=answering, name="inner")

    async def ask(question: str) -> str:
        return (await inner.run(question)).output

    model = scripted_model(kind.script([[call("ask", question="a"), call("ask", question="b")], "done"]))
    result = await kind.agent([ask], model=model).run("Ask.")
    assert [item.value for item in result.steps[0].observations] == ["inner says a", "inner says b"]


async def test_ended_runs_are_not_kept(kind, scripted_model):
    agent = kind.agent([Tool(lambda: "x" * 1000, name="read")], model=scripted_model(lambda _: kind.says("ok")))

    async def rounds(number):
        for _ in range(number):
            await agent.run("Go.")
        gc.collect()
        return sum(type(item).__name__ == "Run" for item in gc.get_objects())

    agent.model.requests.clear()
    assert await rounds(3) == await rounds(30)
