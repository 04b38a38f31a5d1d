"""What a tool knows of the run that calls it."""

import asyncio
import dataclasses
import threading

import pytest

from tinyagent.agents.react import ReactAgent
from tinyagent.core.context import Context
from tinyagent.core.events import ToolProgress
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Reply
from tinyagent.core.tool import Tool
from tinyagent.testing.script import call


def test_context_without_a_run():
    context = Context()
    assert (context.deps, context.run_id, context.call_id, context.tool, context.step) == (None, "", "", "", 0)
    assert context.metadata == {}
    assert context.usage == Usage()
    context.progress("nobody listens")


def test_context_is_frozen_and_small():
    context = Context(deps=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.deps = 2
    with pytest.raises((AttributeError, TypeError)):
        context.other = 1
    assert not hasattr(context, "__dict__")


def test_context_has_its_own_metadata():
    assert Context().metadata is not Context().metadata


def test_context_asks_for_the_usage_of_now():
    used = [Usage(1), Usage(2)]
    context = Context(_usage=lambda: used.pop(0))
    assert [context.usage.requests, context.usage.requests] == [1, 2]


def test_context_hands_progress_on():
    heard = []
    Context(_progress=heard.append).progress({"done": 1})
    assert heard == [{"done": 1}]


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "sync"])
async def test_context_of_a_run(scripted_model, asynchronous):
    seen = []

    def note(x: int, context: Context[list]) -> int:
        seen.append((context, context.usage))
        return x

    async def note_async(x: int, *, context: Context[list] | None = None) -> int:
        return note(x, context)

    function = note_async if asynchronous else note
    calls = [call("note", x=1), call("note", x=2)]
    model = scripted_model(
        [Reply(calls=(calls[0],), usage=Usage(1, 10, 5)), Reply(calls=(calls[1],), usage=Usage(1, 20, 5)), "done"]
    )
    deps = ["mine"]
    agent = ReactAgent([Tool(function, name="note")], model=model)
    result = await agent.run("go", deps=deps, run_id="run-7", metadata={"user": "u"})
    assert result.output == "done"
    for number, (context, usage) in enumerate(seen, 1):
        assert context.deps is deps
        assert (context.run_id, context.tool, context.step) == ("run-7", "note", number)
        assert context.call_id == calls[number - 1].id
        assert context.metadata == {"user": "u"}
        assert usage == (Usage(1, 10, 5), Usage(2, 30, 10))[number - 1]
    assert "context" not in model.requests[0].tools[0].parameters["properties"]


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "sync"])
async def test_progress_becomes_events_in_order(scripted_model, asynchronous):
    def work(context: Context) -> str:
        for number in range(5):
            context.progress({"number": number})
        return "worked"

    async def work_async(context: Context) -> str:
        return work(context)

    tool = Tool(work_async if asynchronous else work, name="work")
    async with ReactAgent([tool], model=scripted_model([call("work"), "done"])).stream("go") as run:
        events = [event async for event in run]
    names = [event.type for event in events]
    told = [event for event in events if isinstance(event, ToolProgress)]
    assert [event.value for event in told] == [{"number": number} for number in range(5)]
    assert {event.call.name for event in told} == {"work"}
    first, last = names.index("tool_started"), names.index("tool_finished")
    assert names[first + 1 : last] == ["tool_progress"] * 5


async def test_progress_after_the_call_is_ignored(scripted_model):
    kept = []

    async def work(context: Context) -> str:
        kept.append(context)
        return "worked"

    async def look():
        kept[0].progress("late")
        thread = threading.Thread(target=kept[0].progress, args=("late, from a thread",))
        thread.start()
        await asyncio.to_thread(thread.join, 30)
        return "looked"

    model = scripted_model([call("work"), call("look"), "done"])
    async with ReactAgent([work, look], model=model).stream("go") as run:
        events = [event async for event in run]
    assert run.result.output == "done"
    assert not [event for event in events if isinstance(event, ToolProgress)]


def test_progress_after_the_loop_has_closed_is_ignored():
    kept = []

    async def work(context: Context) -> str:
        kept.append(context)
        return "worked"

    from tinyagent.testing.scripted import ScriptedModel

    with ScriptedModel([call("work"), "done"]) as model:
        asyncio.run(ReactAgent([work], model=model).run("go"))
    kept[0].progress("late")
    thread = threading.Thread(target=kept[0].progress, args=("late",))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
