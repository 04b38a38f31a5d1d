"""Handoffs: another agent goes on with the conversation, as itself, within the limits of the first."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json

import pytest

from tests.agents.disk_store import DiskStore
from tests.agents.kinds import NATIVE, WRITTEN, block, needs_sandbox, no_session_left
from tinyagent import (
    ConfigurationError,
    Context,
    InnerEvent,
    Limits,
    ModelError,
    ReactAgent,
    Reply,
    RunError,
    Tool,
    Toolkit,
    Usage,
    User,
    tool,
)
from tinyagent.core.events import HandedOver, LimitHit, StepFinished, StepStarted
from tinyagent.errors import TimeLimitReached, TokenLimitReached, ToolDefinitionError, ToolkitError
from tinyagent.events import event_from_dict
from tinyagent.messages import Assistant, System
from tinyagent.models.native import message_data
from tinyagent.testing import ScriptedModel, call
from tinyagent.testing.history import fault_of


def fault(messages):
    return fault_of({"messages": [message_data(message, "") for message in messages]})


async def ticks(number):
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.fixture(params=[pytest.param(NATIVE, id="to-react"), pytest.param(WRITTEN, id="to-code", marks=needs_sandbox)])
async def other(request):
    """The kind of the agent that goes on."""
    yield request.param
    await no_session_left()


def pair(kind, other, first=(), second=("I go on.",), *, tools=(), **options):
    """An agent that hands over to `second` by its script, and that one."""
    target = other.agent(
        options.pop("second_tools", ()),
        model=ScriptedModel(other.script(second), name="model-2"),
        name="second",
        description="Knows more.",
        instructions=options.pop("second_instructions", "You are second."),
    )
    script = kind.script(first or [call("transfer_to_second")])
    model = ScriptedModel(script, name="model-1")
    options = {"instructions": "You are first.", "handoffs": [target], **options}
    return kind.agent(tools, model=model, name="first", **options), target


def systems(messages):
    return [message.text for message in messages if isinstance(message, System)]


async def heard(run):
    """All events of a run, whatever its end."""
    events = []
    async with run:
        with contextlib.suppress(RunError):
            async for event in run:
                events.append(event)
    return events


# ---- handing over


async def test_the_other_agent_goes_on_with_the_conversation_as_itself(kind, other):
    def mine() -> str:
        """Mine."""
        return "mine"

    def yours() -> str:
        """Yours."""
        return "yours"

    agent, target = pair(
        kind,
        other,
        [call("mine"), call("transfer_to_second")],
        [call("yours"), "I go on."],
        tools=[mine],
        second_tools=[yours],
    )
    result = await agent.run("Go.")
    assert (result.output, result.state) == ("I go on.", "success")
    assert (result.info.agent, result.info.model) == ("second", "model-2")
    assert len(result.steps) == len([message for message in result.messages if isinstance(message, Assistant)]) == 4
    assert result.usage.requests == 4
    assert fault(result.messages) is None

    first, second = agent.model.requests[0], target.model.requests[0]
    assert [text.endswith("You are first.") for text in systems(first.messages)] == [True]
    assert [text.endswith("You are second.") for text in systems(second.messages)] == [True]
    assert "You are first." not in str(second.messages)
    assert next(message.text for message in second.messages if isinstance(message, User)) == "Go."
    assert "mine" in "".join(kind.told(second))
    assert "Hand the conversation over to second: Knows more." in kind.offered(first)
    assert "yours" in other.offered(second)
    assert "Yours." not in kind.offered(first)
    assert "transfer_to_second" not in other.offered(second)
    for request in (*agent.model.requests, *target.model.requests):
        assert fault(request.messages) is None


async def test_what_the_model_reads_of_a_handoff_is_that_the_other_goes_on(kind):
    agent, target = pair(kind, NATIVE)
    await agent.run("Go.")
    last = target.model.requests[0].messages[-1]
    assert last.text == "second goes on."
    assert last.role == ("tool" if kind is NATIVE else "user")


async def test_the_handoff_is_an_event_after_the_step_that_made_it(kind, other):
    agent, _ = pair(kind, other)
    events = await heard(agent.stream("Go."))
    handed = [event for event in events if isinstance(event, HandedOver)]
    assert handed == [HandedOver("second", "model-2")]
    steps = [event for event in events if isinstance(event, HandedOver | StepStarted | StepFinished)]
    assert [event.type for event in steps] == [
        "step_started",
        "step_finished",
        "handed_over",
        "step_started",
        "step_finished",
    ]
    assert steps[3].number == 2
    assert events[0].agent == "first"
    assert events[-1].result.info.agent == "second"
    data = json.loads(json.dumps(handed[0].to_dict()))
    assert data.items() >= {"type": "handed_over", "agent": "second", "model": "model-2"}.items()
    assert event_from_dict(data) == handed[0]


async def test_an_agent_without_instructions_is_not_told_those_of_the_first(kind):
    agent, target = pair(kind, NATIVE, second_instructions="")
    result = await agent.run("Go.")
    assert systems(target.model.requests[0].messages) == systems(result.messages) == []


async def test_instructions_of_the_other_are_made_for_its_part_of_the_run(kind, other):
    seen = []

    def instructions(context: Context) -> str:
        seen.append((context.agent, context.model, context.deps, context.run_id, context.usage.requests))
        return f"You are {context.agent}, made for {context.deps}."

    agent, target = pair(kind, other, second_instructions=instructions)
    await agent.run("Go.", deps="me", run_id="r")
    assert seen == [("second", "model-2", "me", "r", 1)]
    assert systems(target.model.requests[0].messages)[0].endswith("You are second, made for me.")


async def test_tools_of_the_other_know_who_calls(kind, other):
    async def who(context: Context) -> str:
        """Who."""
        return f"{context.agent} {context.deps} {context.step} {context.run_id}"

    agent, _ = pair(
        kind, other, [call("who"), call("transfer_to_second")], [call("who"), "ok"], tools=[who], second_tools=[who]
    )
    result = await agent.run("Go.", deps="me", run_id="r")
    assert kind.values(result)[0] == ["first me 1 r"]
    assert other.values(result)[2] == ["second me 3 r"]


async def test_other_calls_of_the_turn_are_made_and_answered():
    made = []

    async def note(text: str) -> str:
        """Note."""
        await ticks(5)
        made.append(text)
        return f"noted {text}"

    calls = [call("note", text="a"), call("transfer_to_second"), call("note", text="b"), call("unknown")]
    agent, target = pair(NATIVE, NATIVE, [calls], tools=[note])
    result = await agent.run("Go.")
    assert sorted(made) == ["a", "b"]
    assert result.output == "I go on."
    assert fault(target.model.requests[0].messages) is None
    told = [message.text for message in target.model.requests[0].messages if message.role == "tool"]
    assert told[:3] == ["noted a", "second goes on.", "noted b"]
    assert "There is no tool named 'unknown'" in told[3]


@needs_sandbox
async def test_the_other_is_told_what_the_code_has_given_before():
    target = ReactAgent(model=ScriptedModel(["ok"]), name="second")
    script = [block("print('the sum is 42')\ntransfer_to_second()")]
    agent = WRITTEN.agent(model=ScriptedModel(script), handoffs=[target])
    await agent.run("Go.")
    await no_session_left()
    assert (
        "the sum is 42" in [message.text for message in target.model.requests[0].messages if message.role == "user"][-1]
    )


async def test_the_first_of_two_handoffs_in_one_turn_counts(kind):
    one, two = (ReactAgent(model=ScriptedModel([f"I am {name}."]), name=name) for name in ("one", "two"))
    script = kind.script([[call("transfer_to_one"), call("transfer_to_two")]])
    result = await kind.agent(model=ScriptedModel(script), handoffs=[one, two]).run("Go.")
    assert result.output == f"I am {result.info.agent}."
    if kind is NATIVE:
        assert result.info.agent == "one"
    assert len(one.model.requests) + len(two.model.requests) == 1
    assert fault(result.messages) is None


async def test_one_can_go_on_from_the_result_with_either(kind, other):
    agent, target = pair(kind, other, [call("transfer_to_second"), "first again"], ["I go on.", "second again"])
    result = await agent.run("Go.")
    again = await target.run("And now?", messages=result.messages)
    assert again.output == "second again"
    assert len(systems(again.messages)) == 1
    back = await agent.run("And now?", messages=again.messages)
    assert back.output == "first again"
    assert [text.endswith("You are first.") for text in systems(back.messages)] == [True]
    assert fault(back.messages) is None


# ---- there and back again


async def test_there_and_back_again(kind):
    seen = []

    def script(name, *replies):
        left = list(replies)

        def say(request):
            seen.append((name, systems(request.messages)))
            assert fault(request.messages) is None
            return kind.says(left.pop(0))

        return ScriptedModel(say, name=f"model of {name}")

    agents = {}
    agents["a"] = kind.agent(
        model=script("a", call("transfer_to_b"), "done"),
        name="a",
        instructions="You are a.",
        handoffs=lambda: [agents["b"]],
    )
    agents["b"] = kind.agent(
        model=script("b", call("transfer_to_a")), name="b", instructions="You are b.", handoffs=lambda: [agents["a"]]
    )
    run = agents["a"].stream("Go.")
    events = await heard(run)
    assert [event.agent for event in events if isinstance(event, HandedOver)] == ["b", "a"]
    assert (run.result.output, run.result.info.agent) == ("done", "a")
    assert [name for name, _ in seen] == ["a", "b", "a"]
    for name, said in seen:
        assert len(said) == 1
        assert said[0].endswith(f"You are {name}.")
    assert len(run.result.steps) == 3


async def test_agents_that_hand_over_for_good_end_at_the_limit_of_steps(kind):
    agents = {}

    def say(name):
        def script(request):
            return kind.says(call(f"transfer_to_{name}") if len(request.messages) < 100 else "never")

        return ScriptedModel(script)

    agents["a"] = kind.agent(model=say("b"), name="a", handoffs=lambda: [agents["b"]], limits=Limits(steps=7))
    agents["b"] = kind.agent(model=say("a"), name="b", handoffs=lambda: [agents["a"]])
    run = agents["a"].stream("Go.")
    events = await heard(run)
    assert isinstance(run.state.error, RunError)
    assert sum(isinstance(event, HandedOver) for event in events) == 7
    assert LimitHit("steps", 7) in events
    assert fault(run.state.conversation) is None


async def test_an_agent_may_hand_over_to_itself(kind):
    agents = []
    agent = kind.agent(
        model=ScriptedModel(kind.script([call("transfer_to_me"), "done"])), name="me", handoffs=lambda: agents
    )
    agents.append(agent)
    assert (await agent.run("Go.")).output == "done"


async def test_late_handoffs_are_asked_for_once_and_are_there_while_the_agent_is_open(kind):
    asked = []
    target = ReactAgent(model=ScriptedModel(lambda request: "ok"), name="x")

    def handoffs():
        asked.append(True)
        return [target]

    agent = kind.agent(model=ScriptedModel(lambda request: kind.says(call("transfer_to_x"))), handoffs=handoffs)
    assert asked == []
    async with agent:
        assert "transfer_to_x" in agent.tools
    results = await asyncio.gather(*(agent.run("Go.") for _ in range(3)))
    assert [result.output for result in results] == ["ok"] * 3
    assert asked == [True]


# ---- limits


async def test_the_first_agents_steps_hold_over_the_whole(kind, other):
    agent, target = pair(
        kind,
        other,
        [call("transfer_to_second")],
        [call("x"), "last words"],
        limits=Limits(steps=2),
        second_tools=[Tool(lambda: 1, name="x")],
    )
    result = await agent.run("Go.")
    assert (result.output, result.state) == ("last words", "step_limit_reached")
    assert [request.tool_choice for request in target.model.requests] == ["auto", "none"]
    assert fault(result.messages) is None


async def test_a_handoff_in_the_last_step_leaves_the_other_its_last_words(kind, other):
    agent, target = pair(kind, other, limits=Limits(steps=1))
    result = await agent.run("Go.")
    assert (result.output, result.state, result.info.agent) == ("I go on.", "step_limit_reached", "second")
    assert target.model.requests[0].tool_choice == "none"


async def test_the_first_agents_tokens_and_seconds_hold_over_the_whole(kind):
    target = ReactAgent(
        [Tool(lambda: 1, name="x")],
        model=ScriptedModel(lambda request: Reply(calls=(call("x"),), usage=Usage(1, 300, 0))),
        name="second",
        limits=Limits(tokens=10, seconds=0.001, steps=1),
    )
    first = Reply(calls=(call("transfer_to_second"),), usage=Usage(1, 500, 0))
    agent = kind.agent(model=ScriptedModel(kind.script([first])), handoffs=[target], limits=Limits(tokens=1_000))
    with pytest.raises(TokenLimitReached, match="1,100 of 1,000") as caught:
        await agent.run("Go.")
    assert caught.value.result.info.agent == "second"
    assert len(target.model.requests) == 2

    stays = ReactAgent([Tool(asyncio.Event().wait, name="stay")], model=ScriptedModel([call("stay")]), name="second")
    agent = kind.agent(
        model=ScriptedModel(kind.script([call("transfer_to_second")])), handoffs=[stays], limits=Limits(seconds=0.5)
    )
    with pytest.raises(TimeLimitReached, match=r"0\.5 s"):
        await agent.run("Go.")


# ---- state


class Part(Toolkit):
    def __init__(self, name, log):
        self.name, self.log = name, log

    async def open(self):
        await ticks(2)
        self.log.append(f"open {self.name}")

    async def close(self):
        await ticks(2)
        self.log.append(f"close {self.name}")

    @tool
    async def use(self) -> str:
        """Use it."""
        self.log.append(f"use {self.name}")
        return self.name


async def test_toolkits_are_open_from_the_part_of_their_agent_to_the_end_of_the_run(kind, other):
    log = []
    one, two = Part("one", log), Part("two", log)
    agent, _ = pair(
        kind, other, [call("use"), call("transfer_to_second")], [call("use"), "ok"], tools=[one], second_tools=[two]
    )
    await agent.run("Go.")
    assert log == ["open one", "use one", "open two", "use two", "close two", "close one"]


@needs_sandbox
async def test_each_code_agent_has_variables_of_its_own():
    target = WRITTEN.agent(
        model=ScriptedModel([block("try:\n    secret\nexcept NameError:\n    final_answer('no secret')")]),
        name="second",
    )
    agent = WRITTEN.agent(model=ScriptedModel([block("secret = 1\ntransfer_to_second()")]), handoffs=[target])
    assert (await agent.run("Go.")).output == "no secret"
    await no_session_left()


@needs_sandbox
async def test_code_does_not_go_on_after_a_handoff():
    made = []

    async def note(text: str) -> None:
        """Note."""
        made.append(text)

    code = "await note('before')\nawait transfer_to_second()\nawait note('after')"
    target = ReactAgent(model=ScriptedModel(["ok"]), name="second")
    agent = WRITTEN.agent([note], model=ScriptedModel([f"{block(code)}\n{block('await note(1)')}"]), handoffs=[target])
    assert (await agent.run("Go.")).output == "ok"
    assert made == ["before"]
    await no_session_left()


async def test_a_connected_model_is_left_at_the_end_of_the_run(kind):
    log = []

    class Connected(ScriptedModel):
        async def __aenter__(self):
            log.append(f"enter {self.name}")
            return self

        async def __aexit__(self, *_):
            log.append(f"leave {self.name}")

    target = ReactAgent(model=Connected(["ok"], name="two"), name="second")
    agent = kind.agent(model=Connected(kind.script([call("transfer_to_second")]), name="one"), handoffs=[target])
    await agent.run("Go.")
    assert log == ["enter one", "enter two", "leave two", "leave one"]


async def test_there_and_back_again_finds_the_toolkits_as_they_were(kind):
    log = []
    one = Part("one", log)
    first = kind.agent(
        [one],
        model=ScriptedModel(kind.script([[call("use"), call("transfer_to_second")], call("use"), "ok"])),
        name="first",
        handoffs=lambda: [second],
    )
    second = ReactAgent(model=ScriptedModel([call("transfer_to_first")]), name="second", handoffs=lambda: [first])
    result = await first.run("Go.")
    assert (result.output, result.info.agent) == ("ok", "first")
    assert log == ["open one", "use one", "use one", "close one"]


async def test_handoffs_pass_through_the_effects_of_the_run(kind, tmp_path):
    def agent(replies, second):
        target = ReactAgent(model=ScriptedModel(second, name="model-2"), name="second")
        return kind.agent(model=ScriptedModel(replies), handoffs=[target])

    effects = DiskStore(tmp_path / "j")
    result = await agent(kind.script([call("transfer_to_second")]), ["ok"]).run("Go.", run_id="r", store=effects)
    assert {"r/1/model", "r/2/model"} <= set(effects.known)
    again = await agent([], []).run("Go.", run_id="r", store=DiskStore(tmp_path / "j"))
    assert (again.output, again.info.agent) == ("ok", "second")
    assert again.messages == result.messages


# ---- many, and the end


async def test_fifty_runs_at_once_do_not_mix(kind, other):
    number, everybody = 20, asyncio.Barrier(20)

    async def meet() -> str:
        """Wait for all."""
        await everybody.wait()
        return "met"

    target = other.agent(
        [meet],
        model=ScriptedModel(
            lambda request: other.says(
                f"{other.task(request)} done" if other.told(request)[-1:] == ["met"] else call("meet")
            )
        ),
        name="second",
    )
    agent = kind.agent(model=ScriptedModel(lambda request: kind.says(call("transfer_to_second"))), handoffs=[target])
    async with asyncio.timeout(40):
        results = await asyncio.gather(*(agent.run(f"Task {n}.") for n in range(number)))
    assert [result.output for result in results] == [f"Task {n}. done" for n in range(number)]
    assert {result.info.agent for result in results} == {"second"}


async def test_it_can_be_cancelled_at_every_point():
    log = []

    async def consume():
        del log[:]
        agent, _ = pair(
            NATIVE,
            NATIVE,
            [call("use"), call("transfer_to_second")],
            [call("use"), "ok"],
            tools=[Part("one", log)],
            second_tools=[Part("two", log)],
        )
        async with agent.stream("Go.") as run:
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
        assert asyncio.all_tasks() == {asyncio.current_task()}, where
        for name in ("one", "two"):
            assert log.count(f"open {name}") == log.count(f"close {name}"), where
        for run in runs:
            assert fault(run.state.conversation) is None, where
            assert run.result.state in ("cancelled", "success"), where
    assert await task == "ok"
    assert number > 20


async def test_a_run_that_is_left_when_it_was_handed_over_says_so(kind, other):
    agent, _ = pair(kind, other, [call("transfer_to_second")], ["never said"])
    async with agent.stream("Go.") as run:
        async for event in run:
            if isinstance(event, HandedOver):
                break
    assert run.result.state in ("cancelled", "success")
    assert run.result.info.agent == "second"
    assert fault(run.state.conversation) is None


async def test_a_failure_names_the_model_that_failed():
    agent, _ = pair(NATIVE, NATIVE, second=[lambda request: 1 / 0])
    with pytest.raises(ModelError, match="'model-2' failed: ZeroDivisionError") as caught:
        await agent.run("Go.")
    assert caught.value.result.info.agent == "second"


# ---- within a run inside


async def test_an_agent_that_is_a_tool_may_hand_over_inside(kind):
    inner, _ = pair(NATIVE, NATIVE)
    agent = kind.agent(
        [inner.as_tool("helper", "Helps.")],
        model=ScriptedModel(kind.script([call("helper", task="t"), "ok"])),
        name="outer",
    )
    run = agent.stream("Go.")
    events = await heard(run)
    assert kind.values(run.result)[0] == ["I go on."]
    assert run.result.info.agent == "outer"
    inside = [event.event for event in events if isinstance(event, InnerEvent)]
    assert HandedOver("second", "model-2") in inside
    assert not any(isinstance(event, HandedOver) for event in events)
    assert run.result.usage.requests == 4


async def test_a_handoff_can_be_called_directly_and_hands_nothing_over(kind):
    agent, target = pair(kind, NATIVE)
    assert await agent.execute_tool("transfer_to_second") == "second goes on."
    assert target.model.requests == []


# ---- mistakes


@pytest.mark.parametrize("handoffs", [7, "second", None])
def test_handoffs_are_a_list_or_a_function(kind, handoffs):
    with pytest.raises(ConfigurationError, match=r"handoffs=.*: pass a list of agents, or a function that returns one"):
        kind.agent(model=ScriptedModel([]), handoffs=handoffs)


def test_a_handoff_is_to_an_agent(kind):
    with pytest.raises(ConfigurationError, match=r"handoffs=\[\.\.\.\]: 'second' is no agent"):
        kind.agent(model=ScriptedModel([]), handoffs=["second"])
    with pytest.raises(ConfigurationError, match="pass a list of agents"):
        kind.agent(model=ScriptedModel([]), handoffs=ReactAgent(model=ScriptedModel([])))


@pytest.mark.parametrize("name", ["ä", "a.b", "x" * 60])
def test_an_agent_whose_name_makes_no_tool_is_refused(name):
    target = ReactAgent(model=ScriptedModel([]), name=name)
    with pytest.raises((ConfigurationError, ToolDefinitionError), match=r"makes no name for a tool|is no tool name"):
        ReactAgent(model=ScriptedModel([]), handoffs=[target])


def test_two_handoffs_of_one_name_are_refused(kind):
    twins = [ReactAgent(model=ScriptedModel([]), name="twin") for _ in range(2)]
    with pytest.raises(ConfigurationError, match=r"handoffs= has two agents named 'twin'"):
        kind.agent(model=ScriptedModel([]), handoffs=twins)


@pytest.mark.parametrize(
    ("late", "error"),
    [
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: ["second"], "is no agent"),
        (lambda: None, "pass a list of agents"),
    ],
)
async def test_late_handoffs_that_are_none_end_the_run(kind, late, error):
    agent = kind.agent(model=ScriptedModel([]), handoffs=late)
    with pytest.raises((RunError, ConfigurationError), match=error) as caught:
        await agent.run("Go.")
    assert not isinstance(caught.value, ModelError)


def test_tools_that_are_none_are_told_as_such_with_handoffs_too(kind):
    target = ReactAgent(model=ScriptedModel([]), name="second")
    for handoffs in ([target], lambda: [target]):
        with pytest.raises(ConfigurationError, match="tools=7: pass a list of functions"):
            kind.agent(7, model=ScriptedModel([]), handoffs=handoffs)


def test_a_handoff_without_a_description_names_the_agent():
    target = ReactAgent(model=ScriptedModel([]), name="second")
    agent = ReactAgent((Tool(lambda: 1, name=name) for name in "ab"), model=ScriptedModel([]), handoffs=[target])
    assert list(agent.tools) == ["a", "b", "transfer_to_second"]
    assert agent.tools["transfer_to_second"].description == "Hand the conversation over to second."


async def test_a_handoff_waits_until_the_model_has_written_everything():
    """In a stream other calls start at once; this one ends the agent's part."""
    started = []

    async def note() -> str:
        """Note."""
        started.append("note")
        return "noted"

    async def model(request, sink):
        calls = (call("transfer_to_second"), call("note"))
        for each in calls:
            sink.call(each)
        await ticks(20)
        started.append("written")
        return Reply(calls=calls)

    target = ReactAgent(model=ScriptedModel(["ok"]), name="second")
    events = await heard(ReactAgent([note], model=model, handoffs=[target]).stream("Go."))
    assert started == ["note", "written"]
    begun = [event.call.name for event in events if event.type == "tool_started"]
    assert begun == ["note", "transfer_to_second"]


async def test_the_next_run_of_the_first_agent_has_not_the_instructions_of_the_other(kind):
    target = ReactAgent(model=ScriptedModel(["I know."]), name="expert", instructions="You are the expert.")
    script = [call("transfer_to_expert"), "I am the desk."]
    desk = kind.agent(model=ScriptedModel(kind.script(script)), name="desk", handoffs=[target])
    first = await desk.run("Go.")
    result = await desk.run("And now?", messages=first.messages)
    assert (result.output, result.info.agent) == ("I am the desk.", "desk")
    assert "You are the expert." not in str(result.messages)


@pytest.mark.parametrize("how", ["tools", "handoffs", "late"])
async def test_what_an_agents_agents_use_stays_open_while_it_is_entered(kind, how):
    log = []
    inner = ReactAgent([Part("kit", log)], model=ScriptedModel(lambda _: "ok"), name="inner", description="D.")
    given = {
        "tools": {"tools": [inner]},
        "handoffs": {"handoffs": [inner]},
        "late": {"handoffs": lambda: [inner, outer]},
    }
    name = "inner" if how == "tools" else "transfer_to_inner"
    made = call(name, task="t") if how == "tools" else call(name)
    script = kind.script([made, "ok"] if how == "tools" else [made]) * 2
    outer = kind.agent(model=ScriptedModel(script), name="outer", **given[how])
    async with outer:
        assert log == ["open kit"]
        await outer.run("Go.")
        await outer.run("Go.")
        assert log == ["open kit"]
    assert log == ["open kit", "close kit"]


async def test_an_agent_that_cannot_be_entered_leaves_what_it_had_entered():
    log = []

    class Broken(Part):
        async def open(self):
            raise OSError("no")

    one = ReactAgent([Part("one", log)], model=ScriptedModel([]), name="one", description="D.")
    two = ReactAgent([Broken("two", log)], model=ScriptedModel([]), name="two", description="D.")
    with pytest.raises(ToolkitError, match="could not be opened: OSError: no"):
        await ReactAgent([one, two], model=ScriptedModel([])).__aenter__()
    assert log == ["open one", "close one"]


async def test_of_two_handoffs_the_second_is_told_that_it_was_not_done():
    one, two = (ReactAgent(model=ScriptedModel(lambda _: "ok"), name=name) for name in ("one", "two"))
    agent = ReactAgent(model=ScriptedModel([[call("transfer_to_one"), call("transfer_to_two")]]), handoffs=[one, two])
    result = await agent.run("Go.")
    told = [message.text for message in result.messages if message.role == "tool"]
    assert told == ["one goes on.", "Not done: one goes on already."]
