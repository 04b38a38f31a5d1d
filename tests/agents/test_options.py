"""Options of agents: what is taken, and what is refused with what to pass."""

from __future__ import annotations

import inspect
import pydoc

import pytest

from tinyagent import ConfigurationError, Limits, OpenAIModel, ReactAgent, TinyCodeAgent
from tinyagent.agents.options import MAX_OBSERVATION, AgentOptions, as_model, check_options, tool_name
from tinyagent.testing import ScriptedModel


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
