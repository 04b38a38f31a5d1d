"""`ReactAgent`: what it takes, what it refuses, and how a turn becomes an answer."""

from __future__ import annotations

import functools

import openai
import pytest

from tinyagent import Call, ConfigurationError, Limits, Reply, Tool, User, tool
from tinyagent.agents.options import MAX_OBSERVATION
from tinyagent.agents.react import ReactAgent
from tinyagent.errors import DuplicateToolError, StepLimitReached
from tinyagent.messages import System
from tinyagent.models.openai import OpenAIModel
from tinyagent.testing import call
from tinyagent.testing.scripted import ScriptedModel


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


class Counter:
    """An object with a tool."""

    def __init__(self) -> None:
        self.count = 0

    async def increase(self, by: int) -> int:
        """Count up."""
        self.count += by
        return self.count


class NotATool:
    """Something that cannot be called."""


ANSWER = ScriptedModel(["unused"])


# ---- what it takes


async def test_undecorated_functions_are_tools(scripted_model):
    model = scripted_model([[call("add", a=2, b=3), call("shout", text="hi")], "done"])
    result = await ReactAgent([add, shout], model=model).run("Add, then shout.")
    assert [observation.value for observation in result.steps[0].observations] == [5, "HI"]
    assert result.output == "done"


async def test_tool_objects_methods_partials_and_decorated_functions_are_tools(scripted_model):
    counter = Counter()

    @tool(name="twice")
    def double(number: int) -> int:
        return 2 * number

    tools = [Tool(add, name="plus"), counter.increase, functools.partial(shout, text="fixed"), double]
    calls = [call("plus", a=1, b=1), call("increase", by=7), call("shout"), call("twice", number=4)]
    result = await ReactAgent(tools, model=scripted_model([calls, "done"])).run("Use every tool.")
    assert [observation.value for observation in result.steps[0].observations] == [2, 7, "FIXED", 8]
    assert counter.count == 7


async def test_tools_may_come_from_a_generator(scripted_model):
    model = scripted_model([call("add", a=1, b=2), "3"])
    agent = ReactAgent((function for function in (add, shout)), model=model)
    assert list(agent.tools) == ["add", "shout"]
    assert (await agent.run("Add.")).steps[0].observations[0].value == 3


async def test_an_agent_without_tools_answers(scripted_model):
    model = scripted_model(["Hello."])
    result = await ReactAgent(model=model).run("Say hello.")
    assert (result.output, result.state, len(result.steps)) == ("Hello.", "success", 1)
    assert model.requests[0].tools == ()


async def test_a_models_name_becomes_an_openai_model():
    client = openai.AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:9/v1")
    agent = ReactAgent(model="some-model", client=client)
    assert isinstance(agent.model, OpenAIModel)
    assert agent.model.name == "some-model"
    await client.close()


async def test_a_client_of_ones_own_is_used_and_left_open(scripted_server):
    async with (
        scripted_server(["one", "two"]) as server,
        openai.AsyncOpenAI(api_key="mine", base_url=server.url) as client,
    ):
        agent = ReactAgent(model="some-model", client=client)
        assert (await agent.run("First.")).output == "one"
        assert not client.is_closed()
        assert (await agent.run("Second.")).output == "two"
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer mine", "Bearer mine"]
    assert server.requests[0].body["model"] == "some-model"


async def test_defaults_are_ten_steps_and_no_other_limit():
    agent = ReactAgent(model=ANSWER)
    assert agent.limits == Limits(steps=10, tokens=None, seconds=None)
    assert (agent.name, agent.instructions, agent.eager, agent.continue_cut) == ("agent", "", True, False)
    assert agent.max_observation == MAX_OBSERVATION


def test_repr_names_the_agent_its_model_and_its_tools():
    agent = ReactAgent([add, shout], model=OpenAIModel("some-model"), name="helper")
    assert repr(agent) == "ReactAgent('helper', model=OpenAIModel('some-model'), tools=[add, shout])"


def test_the_tools_of_an_agent_cannot_be_changed():
    tools = [add]
    agent = ReactAgent(tools, model=ANSWER)
    tools.append(shout)
    with pytest.raises(TypeError):
        agent.tools["shout"] = Tool(shout)
    assert list(agent.tools) == ["add"]


async def test_instructions_come_first_and_the_task_next(scripted_model):
    model = scripted_model(["ok"])
    await ReactAgent(model=model, instructions="Be brief.").run("Do it.")
    assert model.requests[0].messages == (System("Be brief."), User("Do it."))


async def test_without_instructions_there_is_no_system_message(scripted_model):
    model = scripted_model(["ok"])
    await ReactAgent(model=model).run("Do it.")
    assert model.requests[0].messages == (User("Do it."),)


# ---- what it refuses


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ("add", r"tools='add': pass a list of functions"),
        ({"add": add}, r"tools=\{.*pass a list of functions"),
        (None, r"tools=None: pass a list of functions"),
        (7, r"tools=7: pass a list of functions"),
        (add, r"pass a list of functions"),
        (Tool(add), r"pass a list of functions"),
        ([add, "shout"], r"'shout' cannot be a tool: it is a str.*Pass a function"),
        ([None], r"None cannot be a tool.*Pass a function"),
        ([3], r"3 cannot be a tool: it is a int.*Pass a function"),
        ([NotATool()], r"it is a NotATool, not a function.*Pass a function"),
        ([Counter.increase], r"'increase' is a method of a class: pass it from an instance"),
    ],
)
def test_wrong_tools_are_refused_with_what_to_pass(tools, said):
    with pytest.raises(ConfigurationError, match=said):
        ReactAgent(tools, model=ANSWER)


def test_two_tools_of_one_name_are_refused_with_both_places():
    with pytest.raises(DuplicateToolError, match=r"(?s)'add'.*test_react\.add.*test_react\.shout.*Rename one"):
        ReactAgent([add, Tool(shout, name="add")], model=ANSWER)


def test_the_same_tool_twice_is_one_tool():
    assert list(ReactAgent([add, add], model=ANSWER).tools) == ["add"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (None, r"model=None: pass a model's name such as 'gpt-4o-mini', or a model"),
        (OpenAIModel, r"model=<class .*OpenAIModel'>: pass a model's name"),
        (ScriptedModel, r"pass a model's name"),
        (7, r"model=7: pass a model's name"),
        (["gpt-4o-mini"], r"pass a model's name"),
        ("", r"pass the model's name"),
        ("  ", r"pass the model's name"),
    ],
)
def test_a_wrong_model_is_refused_with_what_to_pass(model, said):
    with pytest.raises(ConfigurationError, match=said):
        ReactAgent(model=model)


def test_a_model_must_be_given():
    with pytest.raises(TypeError, match="model"):
        ReactAgent([add])


@pytest.mark.parametrize("client", ["http://127.0.0.1:9/v1", 7, object(), openai.AsyncOpenAI])
def test_a_client_of_the_wrong_type_is_refused_with_what_to_pass(client):
    with pytest.raises(ConfigurationError, match=r"pass an openai\.AsyncOpenAI"):
        ReactAgent(model="some-model", client=client)


def test_a_synchronous_client_is_refused_with_what_to_pass():
    with (
        openai.OpenAI(api_key="none") as client,
        pytest.raises(ConfigurationError, match=r"client=OpenAI: pass an openai\.AsyncOpenAI"),
    ):
        ReactAgent(model="some-model", client=client)


async def test_a_client_beside_a_model_object_is_refused_with_what_to_pass():
    async with openai.AsyncOpenAI(api_key="none") as client:
        with pytest.raises(ConfigurationError, match=r"Pass OpenAIModel\('name', client=client\) as model="):
            ReactAgent(model=ANSWER, client=client)


@pytest.mark.parametrize("limits", [10, "10", {"steps": 10}, (10,), Limits])
def test_wrong_limits_are_refused_with_what_to_pass(limits):
    with pytest.raises(ConfigurationError, match=r"limits=.*pass Limits\(steps=\.\.\., tokens=\.\.\., seconds="):
        ReactAgent(model=ANSWER, limits=limits)


@pytest.mark.parametrize("field", ["steps", "tokens", "seconds"])
@pytest.mark.parametrize("value", [-1, 0, "5", True])
def test_a_limit_that_is_no_number_above_0_is_refused_with_what_to_pass(field, value):
    with pytest.raises(ConfigurationError, match=rf"Limits\({field}={value!r}\): pass a number above 0, or None"):
        ReactAgent(model=ANSWER, limits=Limits(**{field: value}))


@pytest.mark.parametrize("instructions", [None, 7, ["Be brief."], b"Be brief."])
def test_instructions_that_are_no_text_are_refused_with_what_to_pass(instructions):
    with pytest.raises(ConfigurationError, match=r"instructions=.*: pass text"):
        ReactAgent(model=ANSWER, instructions=instructions)


@pytest.mark.parametrize("name", ["", "  ", None, 7])
def test_a_wrong_name_is_refused_with_what_to_pass(name):
    with pytest.raises(ConfigurationError, match=r"name=.*: pass a name for the agent"):
        ReactAgent(model=ANSWER, name=name)


@pytest.mark.parametrize("characters", [-1, 0, "100"])
def test_a_wrong_observation_length_is_refused_with_what_to_pass(characters):
    with pytest.raises(ConfigurationError, match=r"max_observation=.*pass characters above 0, or None"):
        ReactAgent(model=ANSWER, max_observation=characters)


@pytest.mark.parametrize(
    "options", [{"max_retries": -1}, {"max_retries": "2"}, {"timeout": -5.0}, {"timeout": 0}, {"timeout": "5"}]
)
def test_wrong_numbers_of_a_model_are_refused(options):
    with pytest.raises(ConfigurationError, match=r"pass (0 or more|seconds above 0)"):
        ReactAgent(model=OpenAIModel("some-model", **options))


@pytest.mark.parametrize(
    "options", [{"retries": -1}, {"retries": "1"}, {"timeout": -1.0}, {"timeout": 0}, {"timeout": "5"}]
)
def test_wrong_numbers_of_a_tool_are_refused(options):
    with pytest.raises(ConfigurationError, match=r"'add'.*must be (0 or more|above 0)"):
        ReactAgent([Tool(add, **options)], model=ANSWER)


# ---- the answer


async def test_the_value_of_an_answering_tool_is_the_output(scripted_model):
    @tool(returns_answer=True)
    def submit(points: list[int]) -> dict[str, int]:
        return {"sum": sum(points)}

    model = scripted_model([call("submit", points=[1, 2, 3])])
    result = await ReactAgent([submit], model=model).run("Submit.")
    assert (result.output, result.state, len(model.requests)) == ({"sum": 6}, "success", 1)
    assert result.messages[-1].text == '{"sum":6}'


async def test_the_other_calls_of_an_answering_turn_are_answered_too(scripted_model):
    submit = Tool(lambda value: value, name="submit", returns_answer=True)
    model = scripted_model([[call("submit", value="first"), call("add", a=1, b=2), call("submit", value="second")]])
    result = await ReactAgent([submit, add], model=model).run("Submit.")
    assert result.output == "first"
    assert [message.text for message in result.messages if message.role == "tool"] == ["first", "3", "second"]


async def test_a_failing_answering_tool_does_not_answer(scripted_model):
    @tool(returns_answer=True)
    def submit(number: int) -> int:
        if number < 0:
            raise ValueError("must not be negative")
        return number

    model = scripted_model([call("submit", number=-1), call("submit", number=1)])
    result = await ReactAgent([submit], model=model).run("Submit.")
    assert result.output == 1
    assert result.steps[0].observations[0].error == "ValueError: must not be negative"


async def test_an_answering_tool_may_answer_with_nothing(scripted_model):
    async def leave() -> None:
        """End without a word."""

    model = scripted_model([call("leave")])
    result = await ReactAgent([Tool(leave, returns_answer=True)], model=model).run("Leave.")
    assert (result.output, result.state) == (None, "success")


async def test_text_beside_calls_is_not_the_answer_and_is_kept(scripted_model):
    model = scripted_model([Reply("Let me add.", (call("add", a=1, b=1),), finish_reason="tool_calls"), "It is 2."])
    result = await ReactAgent([add], model=model).run("Add.")
    assert result.output == "It is 2."
    assert result.steps[0].message.text == "Let me add."
    assert result.messages[1].text == "Let me add."


@pytest.mark.parametrize("finish_reason", ["stop", None, "tool_calls", "length"])
async def test_calls_run_whatever_the_finish_reason_says(finish_reason, scripted_server):
    reply = Reply(calls=(call("add", a=20, b=22),), finish_reason=finish_reason)
    async with scripted_server([reply, "42"]) as server:
        result = await ReactAgent([add], model=server.model()).run("Add.")
    assert result.steps[0].observations[0].value == 42
    assert server.requests[1].messages[-1]["content"] == "42"


# ---- an answer that the token limit cuts


async def test_a_cut_answer_says_so():
    model = ScriptedModel([Reply("It was a dark and", finish_reason="length")])
    result = await ReactAgent(model=model).run("Tell a story.")
    assert (result.output, result.state, result.finish_reason) == ("It was a dark and", "cut", "length")


async def test_a_cut_answer_is_continued_where_it_is_asked_for(scripted_server):
    parts = [Reply("It was a dark ", finish_reason="length"), Reply("and stormy ", finish_reason="length"), "night."]
    async with scripted_server(parts) as server:
        result = await ReactAgent(model=server.model(), continue_cut=True).run("Tell a story.")
    assert (result.output, result.state) == ("It was a dark and stormy night.", "success")
    assert result.finish_reason == "stop"
    assert [message["role"] for message in server.requests[2].messages] == [
        "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert "cut by the token limit" in server.requests[1].messages[-1]["content"]


async def test_a_continued_answer_streams_its_parts_in_order(scripted_model):
    model = scripted_model([Reply("one ", finish_reason="length"), "two"])
    async with ReactAgent(model=model, continue_cut=True).stream("Count.") as run:
        text = [event.text async for event in run if event.type == "text_delta"]
    assert "".join(text) == run.result.output == "one two"


async def test_continuing_ends_at_the_step_limit_with_all_the_text():
    model = ScriptedModel([Reply("a", finish_reason="length"), Reply("b", finish_reason="length"), Reply("c")])
    result = await ReactAgent(model=model, continue_cut=True, limits=Limits(steps=2)).run("Go on and on.")
    assert (result.output, result.state) == ("abc", "step_limit_reached")


# ---- the step limit


async def test_ten_steps_are_the_default(scripted_model):
    model = scripted_model([*[call("add", a=1, b=1) for _ in range(10)], "I give up."])
    result = await ReactAgent([add], model=model).run("Go on.")
    assert (result.state, result.output) == ("step_limit_reached", "I give up.")
    assert [request.tool_choice for request in model.requests] == ["auto"] * 10 + ["none"]


async def test_no_step_limit_goes_on(scripted_model):
    model = scripted_model([*[call("add", a=1, b=1) for _ in range(12)], "done"])
    result = await ReactAgent([add], model=model, limits=Limits(steps=None)).run("Go on.")
    assert (result.state, len(result.steps)) == ("success", 13)


async def test_the_last_request_keeps_the_tools_and_forbids_calls(scripted_server):
    async with scripted_server([call("add", a=1, b=1), "two"]) as server:
        result = await ReactAgent([add], model=server.model(), limits=Limits(steps=1)).run("Add.")
    first, last = (request.body for request in server.requests)
    assert (result.state, result.output) == ("step_limit_reached", "two")
    assert last["tools"] == first["tools"]
    assert last["tool_choice"] == "none"
    assert last["messages"][-1]["role"] == "user"
    assert "Answer now" in last["messages"][-1]["content"]


async def test_calls_in_the_last_reply_do_not_run_and_text_beside_them_is_no_answer(scripted_model):
    used = []

    def note(value: str) -> None:
        used.append(value)

    last = Reply("Best guess: 2.", (Call("note", {"value": "late"}),), finish_reason="tool_calls")
    model = scripted_model([call("note", value="early"), last])
    agent = ReactAgent([note], model=model, limits=Limits(steps=1))
    with pytest.raises(StepLimitReached) as caught:
        await agent.run("Note.")
    result = caught.value.result
    assert used == ["early"]
    assert result.messages[-1].calls == ()


@pytest.mark.parametrize("last", [Reply(""), Reply("  \n"), Reply(calls=(call("add", a=1, b=1),))])
async def test_no_answer_when_asked_for_one_raises(last, scripted_model):
    model = scripted_model([call("add", a=1, b=1), last])
    with pytest.raises(StepLimitReached, match=r"within 1 steps \(Limits\.steps\)") as caught:
        await ReactAgent([add], model=model, limits=Limits(steps=1)).run("Add.")
    assert caught.value.result.state == "failed"
    assert caught.value.result.steps[0].observations[0].value == 2


async def test_a_model_that_fails_when_asked_for_an_answer_raises_the_step_limit(scripted_server):
    async with scripted_server([call("add", a=1, b=1)]) as server:  # no reply is left for the last request
        with pytest.raises(StepLimitReached) as caught:
            await ReactAgent([add], model=server.model(), limits=Limits(steps=1)).run("Add.")
    assert "asked for one more" in str(caught.value.__cause__)
