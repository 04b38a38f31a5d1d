"""Options of agents: what is taken, and what is refused with what to pass."""

from __future__ import annotations

import inspect
import pydoc
from typing import Any, Protocol, TypedDict

import pytest

from tinyagent import ConfigurationError, Limits, OpenAIModel, ReactAgent, TinyCodeAgent, tool
from tinyagent.agents.options import MAX_OBSERVATION, AgentOptions, as_model, check_options, tool_name
from tinyagent.testing import ScriptedModel, call


def test_an_option_that_is_none_is_refused_with_those_there_are(kind):
    with pytest.raises(
        TypeError, match=r"An agent has no option \['speed'\]; it has: model, client, instructions, prompt_file"
    ):
        kind.agent(model=ScriptedModel([]), speed=3)
    with pytest.raises(TypeError, match=r"\['a', 'b'\]") as caught:
        check_options({"b": 1, "name": "x", "a": 2})
    assert all(option in str(caught.value) for option in AgentOptions.__annotations__)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limits": 7}, r"limits=7: pass Limits\(steps=\.\.\., tokens=\.\.\., seconds=\.\.\.\)"),
        ({"limits": {"steps": 3}}, r"limits=\{'steps': 3\}: pass Limits"),
        ({"name": ""}, "name='': pass a name for the agent"),
        ({"name": "  "}, "name='  ': pass a name"),
        ({"name": None}, "name=None: pass a name"),
        ({"name": 7}, "name=7: pass a name"),
        ({"description": None}, "description=None: pass text that says what the agent is good for"),
        ({"description": 7}, "description=7: pass text"),
        ({"max_observation": 0}, "max_observation=0: pass characters above 0, or None"),
        ({"max_observation": -1}, "max_observation=-1: pass characters"),
        ({"max_observation": "9"}, "max_observation='9': pass characters"),
        ({"max_observation": 1.5}, r"max_observation=1\.5: pass characters"),
    ],
)
def test_a_wrong_option_is_refused_with_what_to_pass(kind, options, said):
    with pytest.raises(ConfigurationError, match=said):
        kind.agent(model=ScriptedModel([]), **options)


def test_without_options_an_agent_has_the_usual_ones(kind):
    agent = kind.agent(model=ScriptedModel([]))
    assert (agent.name, agent.description, agent.limits) == ("agent", "", Limits())
    assert (agent.eager, agent.continue_cut, agent.max_observation) == (True, False, MAX_OBSERVATION)
    assert set(agent.tools) <= {"final_answer"}


def test_options_are_kept(kind):
    limits = Limits(steps=3)
    agent = kind.agent(
        model=ScriptedModel([]),
        name="worker",
        description="Works.",
        limits=limits,
        eager=False,
        max_observation=None,
        continue_cut=True,
    )
    assert (agent.name, agent.description, agent.limits) == ("worker", "Works.", limits)
    assert (agent.eager, agent.continue_cut, agent.max_observation) == (False, True, None)
    assert kind.agent(model=ScriptedModel([]), limits=None).limits == Limits()


def test_a_model_is_a_name_or_a_callable():
    model = ScriptedModel([])
    assert as_model(model, None) is model
    made = as_model("some-model", None)
    assert isinstance(made, OpenAIModel)
    assert "some-model" in repr(made)


@pytest.mark.parametrize("model", [None, 7, ["gpt"], OpenAIModel, {"model": "gpt"}])
def test_anything_else_is_no_model(kind, model):
    with pytest.raises(ConfigurationError, match=r"model=.*: pass a model's name such as 'gpt-4o-mini', or a model"):
        kind.agent(model=model)


def test_a_client_goes_with_a_name():
    with pytest.raises(
        ConfigurationError, match=r"client= goes with a model's name\. Pass OpenAIModel\('name', client=client\)"
    ):
        as_model(ScriptedModel([]), object())


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("helper", "helper"),
        ("my helper", "my_helper"),
        ("  my\t long  name ", "my_long_name"),
        ("a-b c", "a_b_c"),
        ("X1", "X1"),
    ],
)
def test_an_agents_name_as_that_of_a_tool(name, made):
    assert tool_name(name, "why") == made


@pytest.mark.parametrize("name", ["ä", "1st", "a.b", "a/b", "x" * 65, "class()", "名前", "!"])
def test_a_name_that_cannot_be_one_is_refused(name):
    with pytest.raises(
        ConfigurationError, match=r"makes no name for a tool \(why\)\. Use letters, digits and '_'"
    ) as caught:
        tool_name(name, "why")
    assert repr(name) in str(caught.value)


# ---- completion


@pytest.mark.parametrize("kind", [ReactAgent, TinyCodeAgent])
def test_every_option_is_in_the_signature_with_what_it_is_where_it_is_not_passed(kind):
    parameters = inspect.signature(kind).parameters
    assert [*AgentOptions.__annotations__] == [*parameters][-len(AgentOptions.__annotations__) :]
    assert [*parameters][:2] == ["tools", "model"]
    assert "options" not in parameters
    agent = kind(model=ScriptedModel([]))
    for name in ("name", "description", "eager", "max_observation", "continue_cut"):
        assert parameters[name].default == getattr(agent, name)
    assert "max_observation" in pydoc.render_doc(kind, renderer=pydoc.plaintext).partition("Args:")[0]


# ---- what runs pass as deps=


class Settings:
    pass


class Named(Protocol):
    name: str


class Row(TypedDict):
    name: str


@pytest.mark.parametrize("deps_type", [3, "Settings", Settings(), int | None, [dict], lambda: 3])
def test_what_is_no_class_is_no_deps_type(kind, deps_type):
    with pytest.raises(ConfigurationError, match=r"^deps_type=.*: pass the class of what runs get as deps=, such as"):
        kind.agent(model=ScriptedModel([]), deps_type=deps_type)


@pytest.mark.parametrize(
    ("deps_type", "deps"),
    [
        (Settings, Settings()),
        (Settings, type("Derived", (Settings,), {})()),
        (dict, {}),
        (dict[str, str], {"a": "b"}),
        (Named, 3),  # neither a protocol nor a typed dict can tell
        (Row, 3),
        (Any, 3),
        (None, 3),
    ],
)
async def test_deps_of_the_type_are_taken(kind, deps_type, deps):
    agent = kind.agent(model=ScriptedModel(kind.script(["Done."])), deps_type=deps_type)
    assert agent.deps_type is deps_type
    assert (await agent.run("Go.", deps=deps)).output == "Done."


@pytest.mark.parametrize("options", [{"deps": 3}, {"deps": None}, {}, {"deps": {"a": 1}}])
async def test_deps_of_another_type_are_refused_before_anything_runs(kind, options):
    model = ScriptedModel(kind.script(["Done."]))
    agent = kind.agent(model=model, deps_type=Settings, name="desk")
    said = r"^deps=.*: the agent 'desk' has deps_type=Settings, so pass one to its runs\.$"
    with pytest.raises(ConfigurationError, match=said):
        await agent.run("Go.", **options)
    with pytest.raises(ConfigurationError, match=said):
        agent.stream("Go.", **options)
    assert not model.requests


async def test_a_tool_called_alone_needs_no_deps_but_none_of_another_type():
    @tool
    def double(number: int) -> int:
        """Double."""
        return 2 * number

    agent = ReactAgent([double], model=ScriptedModel([]), deps_type=dict[str, str])
    assert await agent.execute_tool("double", number=2) == 4
    with pytest.raises(ConfigurationError, match=r"^deps=3: the agent 'agent' has deps_type=dict\[str, str\]"):
        agent.stream_tool("double", {"number": 2}, deps=3)


async def test_who_a_run_is_handed_over_to_takes_its_deps_or_none():
    expert = ReactAgent(model=ScriptedModel(["I go on."]), name="expert", deps_type=Settings)
    desk = ReactAgent(model=ScriptedModel([call("transfer_to_expert")] * 2), handoffs=[expert])
    assert (await desk.run("Go.", deps=Settings())).output == "I go on."
    with pytest.raises(ConfigurationError, match="the agent 'expert' has deps_type=Settings"):
        await desk.run("Go.", deps=3)


async def test_an_inner_agent_of_another_deps_type_is_told_as_the_failed_call_it_is():
    inner = ReactAgent(model=ScriptedModel([]), name="inner", description="Helps.", deps_type=Settings)
    outer = ReactAgent([inner], model=ScriptedModel([call("inner", task="Help."), "Done."]))
    [step, _] = (await outer.run("Go.", deps=3)).steps
    assert "the agent 'inner' has deps_type=Settings" in step.observations[0].error
