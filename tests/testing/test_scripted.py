"""`ScriptedModel`: says what it was told to."""

import asyncio

import pytest

from tinyagent import ConfigurationError, ModelRequest, ReactAgent, Reply, TextDelta, Usage, User
from tinyagent.errors import ScriptError, ServerError
from tinyagent.events import CallSealed, ReasoningDelta
from tinyagent.messages import Assistant, Conversation, ToolReply
from tinyagent.models.base import NullSink
from tinyagent.testing import RawReply, ScriptedModel, call


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def events_of(agent, task="Add."):
    async with agent.stream(task) as run:
        return [event async for event in run]


async def test_it_gives_its_replies_in_order():
    with ScriptedModel([call("add", a=2, b=3), "It is 5."]) as model:
        result = await ReactAgent([add], model=model).run("Add.")
    assert result.output == "It is 5."
    assert result.usage == Usage(requests=2)
    assert repr(model) == "ScriptedModel(2 replies used)"


async def test_it_keeps_each_request_as_it_was():
    made = call("add", a=2, b=3)
    model = ScriptedModel([made, "It is 5."])
    await ReactAgent([add], model=model).run("Add.")
    first, second = model.requests
    assert first.messages == (User("Add."),)
    assert second.messages == (User("Add."), Assistant("", (made,)), ToolReply(made.id, "5", "add"))
    assert [tool.name for tool in first.tools] == ["add"]


async def test_its_functions_get_the_request():
    model = ScriptedModel(lambda request: f"You said: {request.messages[-1].text}")
    agent = ReactAgent(model=model)
    answers = await asyncio.gather(*(agent.run(f"task {number}") for number in range(3)))
    assert [answer.output for answer in answers] == [f"You said: task {number}" for number in range(3)]


async def test_its_words_reasoning_and_calls_are_streamed():
    first = Reply("I will add. ", (call("add", a=2, b=3),), "Let me see.", finish_reason="tool_calls")
    events = await events_of(ReactAgent([add], model=ScriptedModel([first, "It is 5."])))
    deltas = [event.text for event in events if isinstance(event, TextDelta)]
    assert deltas == ["I ", "will ", "add. ", "It ", "is ", "5."]
    assert [event.text for event in events if isinstance(event, ReasoningDelta)] == ["Let me see."]
    assert [event.call for event in events if isinstance(event, CallSealed)] == list(first.calls)


async def test_a_plain_request_gets_the_text_whole():
    heard = []

    class Sink(NullSink):
        text = staticmethod(heard.append)

    await ScriptedModel(["It is 5."])(ModelRequest(Conversation([User("Add.")])), Sink())
    assert heard == ["It is 5."]


@pytest.mark.parametrize("delay", [0.0, 0.001])
async def test_a_delay_changes_nothing_but_the_time(delay):
    events = await events_of(ReactAgent(model=ScriptedModel(["It is 5."], delay=delay)))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "It is 5."


async def test_an_exception_is_raised():
    with pytest.raises(ServerError, match="overloaded"):
        await ReactAgent(model=ScriptedModel([ServerError("overloaded", status=503)])).run("Add.")


async def test_the_usage_of_a_reply_is_kept():
    model = ScriptedModel([Reply("5", usage=Usage(1, 7, 2))])
    assert (await ReactAgent(model=model).run("Add.")).usage == Usage(1, 7, 2)


async def test_a_used_up_script_fails_the_run():
    with pytest.raises(ScriptError, match="asked for one more"):
        await ReactAgent([add], model=ScriptedModel([call("add", a=1, b=1)])).run("Add.")


def test_replies_left_over_fail_the_block():
    with pytest.raises(AssertionError, match="1 of 1 scripted replies were not used"), ScriptedModel(["a"]):
        pass


def test_an_error_in_the_block_is_not_hidden_by_replies_left_over():
    with pytest.raises(KeyError), ScriptedModel(["a"]):
        raise KeyError("mine")


async def test_what_is_about_http_is_refused():
    with pytest.raises(ConfigurationError, match="needs a ScriptedServer"):
        await ReactAgent(model=ScriptedModel([RawReply()])).run("Add.")


async def test_its_name_is_in_the_record():
    model = ScriptedModel(["5"], name="parrot")
    assert (await ReactAgent(model=model).run("Add.")).info.model == "parrot"
