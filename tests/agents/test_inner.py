"""Agents as tools of agents: runs inside runs, which inherit, add up, are heard, and never mix."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections import defaultdict
from dataclasses import dataclass

import pytest

from tests.agents.disk_store import DiskStore
from tests.agents.kinds import NATIVE, WRITTEN, block, needs_sandbox, no_session_left
from tinyagent import (
    ConfigurationError,
    Context,
    FatalToolError,
    InnerEvent,
    Limits,
    ModelError,
    ReactAgent,
    Reply,
    RunError,
    Tool,
    Toolkit,
    Usage,
    tool,
)
from tinyagent.core import waiting
from tinyagent.core.events import LimitHit, RunFailed, RunFinished, RunStarted, ToolFinished
from tinyagent.core.shared import Shared, held
from tinyagent.errors import (
    DuplicateToolError,
    StepLimitReached,
    TimeLimitReached,
    TokenLimitReached,
    ToolDefinitionError,
)
from tinyagent.events import event_from_dict
from tinyagent.models.native import message_data
from tinyagent.testing import ScriptedModel, call
from tinyagent.testing.history import fault_of


def fault(messages):
    return fault_of({"messages": [message_data(message, "") for message in messages]})


async def ticks(number):
    for _ in range(number):
        await asyncio.sleep(0)


def says(kind, *replies):
    """Each run hears these, however many there are at once; what is callable gets the run's task."""

    def say(request):
        told = sum(message.role == "assistant" for message in request.messages)
        reply = replies[min(told, len(replies) - 1)]
        return kind.says(reply(kind.task(request)) if callable(reply) else reply)

    return ScriptedModel(say)


def echo(name="helper", **options):
    """An agent that answers with its task, in capitals."""
    model = says(NATIVE, lambda task: task.upper())
    return ReactAgent(model=model, name=name, description="Says it louder.", **options)


def inner_events(events):
    """The events of runs inside, by path."""
    found = defaultdict(list)
    for event in events:
        if isinstance(event, InnerEvent):
            found[event.path].append(event.event)
    return found


async def heard(run):
    """All events of a run, whatever its end."""
    events = []
    async with run:
        with contextlib.suppress(RunError):
            async for event in run:
                events.append(event)
    return events


def left_over():
    return asyncio.all_tasks() - {asyncio.current_task()}


# ---- as a tool


def test_an_agent_in_the_tools_is_a_tool_of_its_name(kind):
    agent = kind.agent([echo()], model=ScriptedModel([]))
    made = agent.tools["helper"]
    assert made.is_async
    assert made.description == "Says it louder."
    assert made.parameters == {
        "type": "object",
        "properties": {"task": {"type": "string", "description": "What to do, in words, with all it needs."}},
        "required": ["task"],
        "additionalProperties": False,
    }


def test_name_description_and_options_can_be_given():
    made = echo().as_tool("loud", "Shouts.", timeout=3, retries=2, exclusive=True, read_only=True, returns_answer=True)
    assert (made.name, made.description, made.timeout, made.retries) == ("loud", "Shouts.", 3, 2)
    assert made.exclusive
    assert made.read_only
    assert made.returns_answer
    assert echo("my helper").as_tool().name == "my_helper"
    assert echo("my-helper").as_tool().name == "my_helper"


@pytest.mark.parametrize("description", [None, "", "  \n"])
def test_an_agent_without_a_description_is_refused_with_what_to_pass(kind, description):
    silent = kind.agent(model=ScriptedModel([]), name="silent")
    with pytest.raises(
        ConfigurationError, match=r"'silent' as a tool needs a description.*as_tool\(description='\.\.\.'\)"
    ):
        silent.as_tool(description=description)
    with pytest.raises(ConfigurationError, match="'silent' as a tool needs a description"):
        kind.agent([silent], model=ScriptedModel([]))


@pytest.mark.parametrize("description", [7, b"Says it.", ["Says it."]])
def test_a_description_is_text(description):
    with pytest.raises(ConfigurationError, match="needs a description"):
        echo().as_tool(description=description)


@pytest.mark.parametrize("name", ["ä", "a.b", "7th", "x" * 65, "a/b"])
def test_a_name_that_is_none_for_a_tool_is_refused_with_what_to_pass(name):
    with pytest.raises(ConfigurationError, match=r"makes no name for a tool \(as_tool\(name=\.\.\.\) gives it one\)"):
        echo(name).as_tool()
    assert echo(name).as_tool("fine").name == "fine"
    with pytest.raises(ToolDefinitionError, match="is no tool name"):
        echo().as_tool("a.b")


def test_wrong_options_are_refused():
    with pytest.raises(ToolDefinitionError, match="timeout=-1 must be above 0"):
        echo().as_tool(timeout=-1)
    with pytest.raises(TypeError, match="speed"):
        echo().as_tool(speed=3)


def test_a_description_of_several_lines_is_kept():
    text = "Looks things up in the archive.\n\nGive it a year and a place. It is slow."
    assert echo().as_tool(description=text).description == text


@pytest.mark.parametrize(
    "text",
    ["Looks up.\n\nReturns:\n    The text.", "Looks up.\n\nExample:\n    find(1)", "Use it for:\n- a\n- b"],
)
def test_a_description_is_taken_as_it_is(text):
    assert echo().as_tool(description=text).description == text


def test_two_agents_of_one_name_are_refused(kind):
    with pytest.raises(DuplicateToolError, match=r"Two agents in tools= are named 'helper'.*as_tool\('\.\.\.'\)"):
        kind.agent([echo(), echo()], model=ScriptedModel([]))
    assert {"helper", "other"} <= set(kind.agent([echo(), echo().as_tool("other")], model=ScriptedModel([])).tools)


# ---- what it gives


async def test_its_output_is_the_value_of_the_call(kind):
    model = says(kind, call("helper", task="hello"), "ok")
    result = await kind.agent([echo()], model=model).run("Go.")
    assert kind.values(result) == [["HELLO"], []]
    assert "HELLO" in kind.reports(result.messages)[0]
    assert fault(result.messages) is None


@dataclass
class Point:
    x: int


@pytest.mark.parametrize("outer", [NATIVE, pytest.param(WRITTEN, marks=needs_sandbox)], ids=["react", "code"])
async def test_its_output_may_be_any_object(outer):
    def make() -> Point:
        """Make a point."""
        return Point(3)

    inner = ReactAgent(
        [Tool(make, returns_answer=True)], model=says(NATIVE, call("make")), name="maker", description="Makes points."
    )
    result = await outer.agent([inner], model=says(outer, call("maker", task="Make one."), "ok")).run("Go.")
    assert outer.values(result)[0] == [Point(3)]
    told = outer.reports(result.messages)[0]
    assert "3" in told
    assert "x" in told


@needs_sandbox
async def test_code_calls_awaits_and_gathers_agents_like_other_tools():
    code = (
        "one = await helper('one')\n"
        "two, three = await asyncio.gather(helper(task='two'), helper('three'))\n"
        "final_answer([one, two, three, await helper('four')])"
    )
    agent = WRITTEN.agent([echo()], model=ScriptedModel([block(code)]))
    assert (await agent.run("Go.")).output == ["ONE", "TWO", "THREE", "FOUR"]
    await no_session_left()


@needs_sandbox
async def test_a_code_agent_inside_gives_its_answer_as_an_object(kind):
    inner = WRITTEN.agent(
        model=ScriptedModel([block("final_answer({'n': [1, 2]})")]), name="coder", description="Computes."
    )
    result = await kind.agent([inner], model=says(kind, call("coder", task="Compute."), "ok")).run("Go.")
    assert kind.values(result)[0] == [{"n": [1, 2]}]
    await no_session_left()


async def test_the_tool_can_be_called_outside_any_run():
    made = echo(limits=Limits(seconds=30)).as_tool()
    assert await made("hello") == "HELLO"
    assert await made(task="hello") == "HELLO"
    assert await made.run({"task": "hello"}) == "HELLO"
    assert await asyncio.gather(*(made(f"t{number}") for number in range(50))) == [f"T{number}" for number in range(50)]


async def test_a_tool_of_ones_own_can_pass_its_context_on(kind):
    helper = echo().as_tool()

    async def both(first: str, second: str, context: Context) -> str:
        """Ask twice."""
        return await helper.run({"task": first}, context) + await helper.run({"task": second}, context)

    agent = kind.agent([both], model=says(kind, call("both", first="a", second="b"), "ok"))
    async with agent.stream("Go.") as run:
        events = [event async for event in run]
    assert kind.values(run.result)[0] == ["AB"]
    (path,) = inner_events(events)
    assert path[0].startswith("both:")
    assert run.result.usage.requests == 4


# ---- calls at once


async def test_calls_of_one_agent_at_once_do_not_mix(kind):
    number, everybody = 20, asyncio.Barrier(20)

    async def meet(word: str, context: Context) -> str:
        """Wait for all others."""
        await everybody.wait()
        return f"{word} {context.run_id}"

    inner = ReactAgent(
        [meet],
        model=says(NATIVE, lambda task: call("meet", word=task), lambda task: f"answer to {task}"),
        name="helper",
        description="Helps.",
    )
    calls = [call("helper", task=f"t{n}") for n in range(number)]
    agent = kind.agent([inner], model=says(kind, calls, "ok"))
    async with asyncio.timeout(30), agent.stream("Go.", run_id="r") as run:
        events = [event async for event in run]
    assert kind.values(run.result)[0] == [f"answer to t{n}" for n in range(number)]
    runs = inner_events(events)
    assert len(runs) == number
    for n, (seen, inside) in enumerate(zip(run.result.steps[0].observations, runs.values(), strict=False)):
        inside = runs[(f"helper:{seen.call.id}",)]
        started, finished = inside[0], inside[-1]
        assert started.task == f"t{n}"
        assert re.fullmatch(rf"r/1/{seen.call.id}/helper:\w{{9}}", started.run_id)
        assert finished.result.output == f"answer to t{n}"
        assert finished.result.steps[0].observations[0].value == f"t{n} {started.run_id}"
        assert [message.text for message in finished.result.messages if message.role == "user"] == [f"t{n}"]


async def test_five_hundred_runs_with_two_inner_ones_each():
    inner = echo()
    outer = ReactAgent(
        [inner],
        model=says(
            NATIVE,
            lambda task: [call("helper", task=f"a{task}"), call("helper", task=f"b{task}")],
            lambda task: f"done {task}",
        ),
    )
    results = await asyncio.gather(*(outer.run(f"x{n}") for n in range(500)))
    for n, result in enumerate(results):
        assert [seen.value for seen in result.steps[0].observations] == [f"AX{n}", f"BX{n}"]
        assert result.output == f"done x{n}"
        assert result.usage.requests == 4
    assert left_over() == set()


# ---- usage


def used(*tokens):
    return Usage(1, *tokens)


async def test_usage_adds_up_over_three_levels(kind):
    lowest = ReactAgent(
        model=ScriptedModel([Reply("low", usage=used(100, 10, 5, 1)), Reply("low", usage=used(200, 20, 0, 2))]),
        name="lowest",
        description="Lowest.",
    )
    middle = kind.agent(
        [lowest],
        model=ScriptedModel(
            [
                kind.says(Reply(calls=(call("lowest", task="a"), call("lowest", task="b")), usage=used(1_000, 100))),
                kind.says(Reply("mid", usage=used(2_000, 200))),
            ]
        ),
        name="middle",
        description="Middle.",
    )
    outer = kind.agent(
        [middle],
        model=ScriptedModel(
            [
                kind.says(Reply(calls=(call("middle", task="c"),), usage=used(10_000, 1_000))),
                kind.says(Reply("top", usage=used(20_000, 2_000))),
            ]
        ),
    )
    async with outer.stream("Go.") as run:
        events = [event async for event in run]
    assert run.result.usage == Usage(6, 33_300, 3_330, 5, 3)
    ends = {len(path): inside[-1].result.usage for path, inside in inner_events(events).items()}
    assert ends[1] == Usage(4, 3_300, 330, 5, 3)
    lows = [inside[-1].result.usage for path, inside in inner_events(events).items() if len(path) == 2]
    assert sorted(usage.input_tokens for usage in lows) == [100, 200]


async def test_what_a_failed_inner_run_has_used_counts_too(kind):
    inner = ReactAgent(
        model=ScriptedModel([Reply(calls=(call("x"),), usage=used(100, 10)), ModelError("broke")]),
        name="helper",
        description="H.",
    )
    result = await kind.agent([inner], model=says(kind, call("helper", task="t"), Reply("ok", usage=used(1, 1)))).run(
        "Go."
    )
    assert result.usage.input_tokens == 101


# ---- events


async def test_inner_events_come_with_their_path_and_as_json(kind):
    lowest, middle = echo("lowest"), None
    middle = ReactAgent(
        [lowest], model=says(NATIVE, call("lowest", task="deep"), "mid"), name="middle", description="M."
    )
    agent = kind.agent([middle], model=says(kind, call("middle", task="go down"), "ok"))
    async with agent.stream("Go.") as run:
        events = [event async for event in run]
    outer_id = next(event for event in events if isinstance(event, ToolFinished)).observation.call.id
    runs = inner_events(events)
    first, second = sorted(runs, key=len)
    assert first == (f"middle:{outer_id}",)
    assert second[:1] == first
    assert second[1].startswith("lowest:")
    for path, agent_name in ((first, "middle"), (second, "lowest")):
        assert isinstance(runs[path][0], RunStarted)
        assert isinstance(runs[path][-1], RunFinished)
        assert runs[path][0].agent == agent_name
        assert {event.run_id for event in runs[path]} == {runs[path][0].run_id}  # that of the run inside
        assert [event.time for event in runs[path]] == sorted(event.time for event in runs[path])
    assert len({run.run_id, *(events[0].run_id for events in runs.values())}) == 3
    assert {event.run_id for event in events} == {run.run_id}
    assert [event.time for event in events] == sorted(event.time for event in events)
    assert "".join(event.text for event in runs[second] if event.type == "text_delta") == "DEEP"
    kinds = [event.type for event in events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert kinds.index("tool_started") < kinds.index("inner_event")
    for event in events:
        data = json.loads(json.dumps(event.to_dict()))
        again = event_from_dict(data)
        assert again.to_dict() == data
        assert type(again) is type(event)
        if isinstance(event, InnerEvent):
            assert (again.path, type(again.event)) == (event.path, type(event.event))
            assert data["event"]["type"] == event.event.type


async def test_replies_are_streamed_only_when_those_of_the_outer_run_are(kind):
    inner = echo()
    agent = kind.agent([inner], model=says(kind, call("helper", task="t"), "ok"))
    await agent.run("Go.")
    async with agent.stream("Go.") as run:
        await run.drain()
    assert [request.stream for request in inner.model.requests] == [False, True]


async def test_inner_events_are_heard_of_a_direct_call_too(kind):
    agent = kind.agent([echo()], model=ScriptedModel([]))
    events = await heard(agent.stream_tool("helper", {"task": "t"}, run_id="r"))
    (path,) = runs = inner_events(events)
    assert path == ("helper:direct",)
    assert re.fullmatch(r"r/0/direct/helper:\w{9}", runs[path][0].run_id)
    assert await agent.execute_tool("helper", task="t") == "T"


async def test_a_direct_call_that_nobody_listens_to_streams_nothing():
    inner = echo()
    await ReactAgent([inner], model=ScriptedModel([])).execute_tool("helper", task="t")
    assert [request.stream for request in inner.model.requests] == [False]


# ---- what is inherited


async def test_dependencies_and_metadata_are_inherited_and_ids_are_names(kind):
    seen = []

    async def look(context: Context) -> str:
        """Look."""
        seen.append((context.deps, context.metadata, context.run_id, context.agent, context.usage.requests))
        return "seen"

    lowest = ReactAgent([look], model=says(NATIVE, call("look"), "low"), name="lowest", description="L.")
    middle = ReactAgent(
        [look, lowest],
        model=says(NATIVE, call("look"), call("lowest", task="t"), "mid"),
        name="middle",
        description="M.",
    )
    agent = kind.agent([middle], model=says(kind, call("middle", task="t"), "ok"))
    deps = object()
    async with agent.stream("Go.", deps=deps, metadata={"user": "u"}, run_id="r") as run:
        await run.drain()
    assert [each[:2] for each in seen] == [(deps, {"user": "u"})] * 2
    (_, _, middle_id, middle_name, middle_used), (_, _, low_id, low_name, low_used) = seen
    assert (middle_name, low_name) == ("middle", "lowest")
    assert middle_id.startswith("r/1/")
    assert low_id.startswith(f"{middle_id}/2/")
    assert (middle_used, low_used) == (1, 1)


async def test_inner_calls_pass_through_the_effects_of_the_outer_run(kind, tmp_path):
    made = []

    async def fetch(name: str) -> str:
        """Fetch."""
        made.append(name)
        return name.upper()

    def agent():
        inner = ReactAgent(
            [fetch],
            model=says(NATIVE, lambda task: call("fetch", name=task), lambda task: f"got {task}"),
            name="helper",
            description="H.",
        )
        return kind.agent([inner], model=ScriptedModel(replies, name="outer"))

    calls = [call("helper", task="a"), call("helper", task="b")]
    replies = [kind.says(calls), kind.says("ok")]
    result = await agent().run("Go.", run_id="r", store=DiskStore(tmp_path / "j"))
    assert kind.values(result)[0] == ["got a", "got b"]
    keys = set(DiskStore(tmp_path / "j").known)
    ids = [seen.call.id for seen in result.steps[0].observations]
    for call_id in ids:
        assert f"r/1/tool/{call_id}" in keys
        inside = sorted(key.split("/", 4)[4] for key in keys if key.startswith(f"r/1/{call_id}/"))
        inside = [key for key in inside if not key.endswith("/begun")]
        assert [re.sub(r"tool/.*", "tool", key) for key in inside] == ["1/agent", "1/model", "1/tool", "2/model"]
    replies = []  # nothing is asked or called any more
    again = await agent().run("Go.", run_id="r", store=DiskStore(tmp_path / "j"))
    assert kind.values(again) == kind.values(result)
    assert sorted(made) == ["a", "b"]


async def test_a_resumed_run_goes_on_inside_the_inner_one(tmp_path):
    asked, fetched, gone = [], [], asyncio.Event()

    async def fetch(name: str) -> str:
        """Fetch."""
        fetched.append(name)
        return name.upper()

    async def say(request):
        asked.append(len(request.messages))
        if len(request.messages) == 1:
            return call("fetch", name="a")
        if len(asked) == 2:
            gone.set()
            await asyncio.Event().wait()
        return f"got {request.messages[-1].text}"

    inner = ReactAgent([fetch], model=ScriptedModel(say), name="helper", description="H.")
    outer = ReactAgent([inner], model=says(NATIVE, call("helper", task="t"), "ok"))
    first = asyncio.create_task(outer.run("Go.", run_id="r", store=DiskStore(tmp_path / "j")))
    await gone.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    result = await outer.run("Go.", run_id="r", store=DiskStore(tmp_path / "j"))
    assert result.steps[0].observations[0].value == "got A"
    assert (asked, fetched, len(outer.model.requests)) == ([1, 3, 3], ["a"], 2)


async def test_two_inner_runs_of_one_call_are_recorded_apart(tmp_path):
    helper = echo().as_tool()

    async def both(context: Context) -> str:
        """Ask twice."""
        return await helper.run({"task": "a"}, context) + await helper.run({"task": "b"}, context)

    agent = ReactAgent([both], model=says(NATIVE, call("both"), "ok"))
    result = await agent.run("Go.", store=DiskStore(tmp_path / "j"))
    assert result.steps[0].observations[0].value == "AB"


async def test_inner_runs_of_one_call_are_answered_by_their_task_whatever_their_order(tmp_path):
    """Those that run side by side may be made in another order when the run is taken up again."""
    helper = echo().as_tool()
    tasks = ["a", "b", "a", "c"]

    async def all_of_them(context: Context) -> list[str]:
        """Ask for each."""
        return [await helper.run({"task": task}, context) for task in tasks]

    def agent():
        return ReactAgent([all_of_them], model=says(NATIVE, call("all_of_them"), "ok"))

    model_keys = []
    for _ in range(2):
        journal = DiskStore(tmp_path / "j")
        journal.known = {key: known for key, known in journal.known.items() if "/tool/" not in key}  # it was in flight
        first = await agent().run("Go.", run_id="r", store=journal)
        assert first.steps[0].observations[0].value == [task.upper() for task in tasks]
        model_keys.append([key for key in journal.made if key.endswith("/model")])
        tasks.reverse()
    assert len(model_keys[0]) == 2 + 4
    assert model_keys[1] == []


# ---- limits


async def test_the_outer_runs_tokens_stop_the_inner_one(kind):
    inner = ReactAgent(
        [Tool(lambda: "x", name="x")],
        model=says(NATIVE, Reply(calls=(call("x"),), usage=used(400, 0))),
        name="helper",
        description="H.",
        limits=Limits(steps=50),
    )
    agent = kind.agent([inner], model=says(kind, call("helper", task="t"), "ok"), limits=Limits(tokens=1_000))
    run = agent.stream("Go.")
    events = await heard(run)
    assert isinstance(run.state.error, TokenLimitReached)
    assert run.result.usage.input_tokens == 1_200
    assert len(inner.model.requests) == 3
    (inside,) = inner_events(events).values()
    assert LimitHit("tokens", 1_000) in inside
    assert LimitHit("tokens", 1_000) in events
    assert isinstance(inside[-1], RunFailed)
    assert fault(run.state.conversation) is None


async def test_tokens_of_a_run_two_levels_up_count(kind):
    lowest = ReactAgent(
        [Tool(lambda: "x", name="x")],
        model=says(NATIVE, Reply(calls=(call("x"),), usage=used(400, 0))),
        name="lowest",
        description="L.",
    )
    middle = ReactAgent([lowest], model=says(NATIVE, call("lowest", task="t"), "mid"), name="middle", description="M.")
    agent = kind.agent([middle], model=says(kind, call("middle", task="t"), "ok"), limits=Limits(tokens=1_000))
    with pytest.raises(TokenLimitReached):
        await agent.run("Go.")
    assert len(lowest.model.requests) == 3
    assert len(middle.model.requests) == 1


async def test_the_inner_agents_own_limits_end_only_its_run(kind):
    for limits, error in ((Limits(steps=2), StepLimitReached), (Limits(tokens=100), TokenLimitReached)):
        inner = ReactAgent(
            [Tool(lambda: "x", name="x")],
            model=says(NATIVE, Reply(calls=(call("x"),), usage=used(60, 0))),
            name="helper",
            description="H.",
            limits=limits,
        )
        agent = kind.agent([inner], model=says(kind, [call("helper", task="t"), call("helper", task="u")], "ok"))
        result = await agent.run("Go.")
        assert result.output == "ok"
        assert [seen.error.partition(":")[0] for seen in result.steps[0].observations] == [error.__name__] * 2
        assert error.__name__ in kind.reports(result.messages)[0] or "Limits" in kind.reports(result.messages)[0]


@pytest.mark.parametrize("whose", ["outer", "inner"])
async def test_time_ends_the_run_whose_limit_it_is(kind, whose):
    cleaned = []

    async def stay() -> None:
        """Stay."""
        try:
            await asyncio.Event().wait()
        finally:
            await ticks(3)
            cleaned.append(True)

    limits = {whose: Limits(seconds=0.3)}
    inner = ReactAgent(
        [stay], model=says(NATIVE, call("stay")), name="helper", description="H.", limits=limits.get("inner", Limits())
    )
    agent = kind.agent([inner], model=says(kind, call("helper", task="t"), "ok"), limits=limits.get("outer", Limits()))
    if whose == "inner":
        result = await agent.run("Go.")
        assert "TimeLimitReached" in result.steps[0].observations[0].error
    else:
        run = agent.stream("Go.")
        events = await heard(run)
        assert isinstance(run.state.error, TimeLimitReached)
        (inside,) = inner_events(events).values()
        assert inside[-1].result.state == "cancelled"
    assert cleaned == [True]


async def test_a_models_deadline_is_that_of_the_run_that_ends_first():
    inner = echo(limits=Limits(seconds=1_000))
    later = echo("later", limits=Limits(seconds=100_000))
    agent = ReactAgent(
        [inner, later],
        model=says(NATIVE, [call("helper", task="t"), call("later", task="u")], "ok"),
        limits=Limits(seconds=50_000),
    )
    await agent.run("Go.")
    outer_deadline = agent.model.requests[0].deadline
    assert inner.model.requests[0].deadline < outer_deadline
    assert later.model.requests[0].deadline == outer_deadline


# ---- failures


@pytest.mark.parametrize("make", [lambda: ModelError("it broke"), lambda: FatalToolError("the end")])
async def test_a_failure_inside_is_told_to_the_outer_model_and_the_run_goes_on(kind, make):
    error = make()

    async def fatal() -> None:
        raise error

    model = ScriptedModel([error]) if isinstance(error, ModelError) else says(NATIVE, call("fatal"))
    inner = ReactAgent([fatal], model=model, name="helper", description="H.")
    agent = kind.agent(
        [inner, echo("other")], model=says(kind, [call("helper", task="t"), call("other", task="u")], "ok")
    )
    events = await heard(run := agent.stream("Go."))
    assert run.result.output == "ok"
    first, second = run.result.steps[0].observations
    assert first.error == f"{type(error).__name__}: {error}"
    assert second.value == "U"
    failed = next(inside for path, inside in inner_events(events).items() if path[0].startswith("helper:"))
    assert isinstance(failed[-1], RunFailed)
    assert (failed[-1].error, failed[-1].message) == (type(error).__name__, str(error))
    assert failed[-1].result.info.agent == "helper"
    assert fault(run.state.conversation) is None


async def test_a_failure_two_levels_down_is_told_one_level_up(kind):
    lowest = ReactAgent(model=ScriptedModel([ModelError("it broke")]), name="lowest", description="L.")
    middle = ReactAgent(
        [lowest], model=says(NATIVE, call("lowest", task="t"), "I cope"), name="middle", description="M."
    )
    result = await kind.agent([middle], model=says(kind, call("middle", task="t"), "ok")).run("Go.")
    assert kind.values(result)[0] == ["I cope"]


async def test_a_fatal_error_outside_ends_the_runs_inside(kind):
    begun, cleaned = asyncio.Event(), []

    async def stay() -> None:
        """Stay."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    async def fatal() -> None:
        """Fatal."""
        await begun.wait()
        raise FatalToolError("the end")

    inner = ReactAgent([stay], model=says(NATIVE, call("stay")), name="helper", description="H.")
    agent = kind.agent([inner, fatal], model=says(kind, [call("helper", task="t"), call("fatal")]))
    events = await heard(run := agent.stream("Go."))
    assert isinstance(run.state.error, FatalToolError)
    (inside,) = inner_events(events).values()
    assert inside[-1].result.state == "cancelled"
    assert cleaned == [True]
    assert left_over() == set()


async def test_a_direct_call_raises_what_ended_the_run_inside(kind):
    def fatal() -> None:
        raise FatalToolError("the end")

    inner = ReactAgent([fatal], model=says(NATIVE, call("fatal")), name="helper", description="H.")
    with pytest.raises(FatalToolError, match="the end"):
        await kind.agent([inner], model=ScriptedModel([])).execute_tool("helper", task="t")


async def test_an_inner_run_is_tried_again_and_timed_as_the_tool_says(kind, monkeypatch):

    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)
    flaky = ReactAgent(model=ScriptedModel([ModelError("once"), "fine"]), name="flaky", description="F.")
    endless = ReactAgent(
        [Tool(asyncio.Event().wait, name="stay")], model=says(NATIVE, call("stay")), name="endless", description="E."
    )
    agent = kind.agent(
        [flaky.as_tool(retries=1), endless.as_tool(timeout=0.05)],
        model=says(kind, [call("flaky", task="t"), call("endless", task="u")], "ok"),
    )
    result = await agent.run("Go.")
    first, second = result.steps[0].observations
    assert first.value == "fine"
    assert second.error.startswith("TimeoutError")


async def test_an_empty_task_is_told_to_the_model(kind):
    result = await kind.agent([echo()], model=says(kind, call("helper", task="  "), "ok")).run("Go.")
    assert "The task is '  '" in result.steps[0].observations[0].error


# ---- cancellation


async def test_cancelling_the_outer_run_stops_those_inside_and_waits_for_them(kind):
    begun, cleaned = asyncio.Barrier(3), []

    async def stay() -> None:
        """Stay."""
        await begun.wait()
        try:
            await asyncio.Event().wait()
        finally:
            await ticks(5)
            cleaned.append(True)

    lowest = ReactAgent([stay], model=says(NATIVE, call("stay")), name="lowest", description="L.")
    middle = ReactAgent([lowest], model=says(NATIVE, call("lowest", task="t")), name="middle", description="M.")
    agent = kind.agent([middle], model=says(kind, [call("middle", task="t"), call("middle", task="u")]))
    task = asyncio.create_task(agent.run("Go."))
    async with asyncio.timeout(20):
        await begun.wait()
        await ticks(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert cleaned == [True, True]
    assert left_over() == set()


class Notes(Toolkit):
    def __init__(self):
        self.opened, self.closed = 0, 0

    async def open(self):
        await ticks(2)
        self.opened += 1

    async def close(self):
        await ticks(2)
        self.closed += 1

    @tool
    async def put(self, row: str) -> str:
        """Keep a row."""
        await ticks(2)
        return row


async def test_it_can_be_cancelled_at_every_point():
    kits = []

    async def consume():
        kits[:] = [Notes(), Notes()]
        lowest = ReactAgent([kits[0]], model=says(NATIVE, call("put", row="a"), "low"), name="lowest", description="L.")
        middle = ReactAgent(
            [kits[0], lowest],
            model=says(NATIVE, [call("put", row="a"), call("lowest", task="t")], "mid"),
            name="middle",
            description="M.",
        )
        outer = ReactAgent(
            [kits[1], middle], model=says(NATIVE, [call("middle", task="t"), call("put", row="b")], "ok")
        )
        async with outer.stream("Go.") as run:
            runs.append(run)
            return (await run.drain()).output

    for number in itertools.count():
        runs = []
        task = asyncio.create_task(consume())
        await ticks(number)
        if task.done():
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        where = f"cancelled after {number} iterations"
        assert left_over() == set(), where
        assert [kit.opened - kit.closed for kit in kits] == [0] * len(kits), where
        for run in runs:
            assert fault(run.state.conversation) is None, where
            assert run.result.state in ("cancelled", "success"), where
    assert await task == "ok"
    assert number > 20


# ---- what runs inside hold


async def test_what_inner_runs_hold_stays_open_to_the_end_of_the_outermost(kind):
    opened, closed = [], []

    @contextlib.asynccontextmanager
    async def connect():
        opened.append(True)
        yield
        closed.append(True)

    client = Shared(connect)

    async def fetch() -> str:
        """Fetch."""
        async with held(client):
            assert len(opened) == len(closed) + 1
            return "fetched"

    inner = ReactAgent([fetch], model=says(NATIVE, call("fetch"), "got it"), name="helper", description="H.")
    agent = kind.agent(
        [inner], model=says(kind, call("helper", task="a"), [call("helper", task="b"), call("helper", task="c")], "ok")
    )
    assert (await agent.run("Go.")).output == "ok"
    assert (len(opened), len(closed)) == (1, 1)


async def test_toolkits_of_inner_runs_are_open_for_them(kind):
    kit = Notes()
    inner = ReactAgent([kit], model=says(NATIVE, call("put", row="a"), "put it"), name="helper", description="H.")
    agent = kind.agent([inner], model=says(kind, call("helper", task="t"), "ok"))
    async with inner:
        await agent.run("Go.")
        await agent.run("Go.")
        assert (kit.opened, kit.closed) == (1, 0)
    await agent.run("Go.")
    assert (kit.opened, kit.closed) == (2, 2)
