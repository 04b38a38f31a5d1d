"""What a run gives back."""

import dataclasses
import datetime as dt
import json
import math

import pytest
from pydantic import BaseModel

from tests.core.trees import STRANGE
from tinyagent.agents.react import ReactAgent
from tinyagent.core.events import StepFinished, ToolProgress
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Assistant, Call, System, ToolReply, User
from tinyagent.core.result import CodeError, Execution, Observation, RunInfo, RunResult, Step
from tinyagent.core.tool import Tool
from tinyagent.testing.script import call

CALL = Call("add", {"a": 1, "deep": {"b": [None, "ä"]}}, id="A")
FAILED = Call("fail", {}, id="B", problem="The arguments are not JSON.")
REPLY = Assistant("I will.", (CALL, FAILED), "because", "reasoning_content", "http://127.0.0.1/v1")
INFO = RunInfo("run-1", "agent", "gpt", 1700000000.5, 2.25)
STEP = Step(
    1,
    REPLY,
    (Observation(CALL, "3", 3, None, 0.5), Observation(FAILED, "bad", None, "bad")),
    "tool_calls",
    Usage(1, 10, 5),
    1.5,
)
FULL = RunResult(
    {"answer": [1, 2.5, None, True, "ü"]},
    "success",
    (System("s"), User("u"), REPLY, ToolReply("A", "3", "add"), ToolReply("B", "bad", "fail"), Assistant("done")),
    (STEP, Step(2, Assistant("done"), (), "stop", Usage(1, 20, 3, 8, 1), 0.25)),
    Usage(2, 30, 8, 8, 1),
    INFO,
    "stop",
    {"user": {"id": 7}},
)
EMPTY = RunResult(None, "failed", (), (), Usage(), RunInfo("r", "a", "m", 0.0))


class Answer(BaseModel):
    text: str


@dataclasses.dataclass
class Point:
    x: int


def through_json(result):
    return RunResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))


@pytest.mark.parametrize("result", [FULL, EMPTY], ids=["full", "empty"])
def test_json_in_json_out(result):
    again = through_json(result)
    assert again == result
    assert again.to_dict() == result.to_dict()
    for left, right in zip(again.messages, result.messages, strict=True):
        assert type(left) is type(right)
    assert isinstance(again.messages, tuple)
    assert isinstance(again.steps, tuple)


@pytest.mark.parametrize("state", ["running", "success", "cut", "step_limit_reached", "failed", "cancelled"])
def test_every_state_json_in_json_out(state):
    result = dataclasses.replace(EMPTY, state=state)
    assert through_json(result).state == state


@pytest.mark.parametrize("output", ["", "text", 0, 1.5, True, None, [], {"a": [1]}], ids=repr)
def test_every_output_json_in_json_out(output):
    again = through_json(dataclasses.replace(EMPTY, output=output)).output
    assert again == output
    assert type(again) is type(output)


@pytest.mark.parametrize(
    ("output", "data"),
    [
        (Answer(text="a"), {"text": "a"}),
        (Point(1), {"x": 1}),
        ([Point(1), Answer(text="a")], [{"x": 1}, {"text": "a"}]),
        ({1: (2, {3})}, {"1": [2, [3]]}),
        (dt.date(2024, 2, 29), "2024-02-29"),
        (2j, "2j"),
    ],
    ids=repr,
)
def test_other_outputs_become_plain_data(output, data):
    result = dataclasses.replace(EMPTY, output=output, steps=(dataclasses.replace(STEP, observations=()),))
    assert result.output is output
    assert through_json(result).output == data


@pytest.mark.parametrize("output", [math.nan, [math.inf]], ids=repr)
def test_number_that_json_has_not(output):
    result = dataclasses.replace(EMPTY, output=output)
    assert dataclasses.replace(through_json(result), output=None) == EMPTY


def cycle():
    around = []
    around.append(around)
    return around


class Broken:
    def __repr__(self):
        raise ValueError("no text")


@pytest.mark.parametrize(
    "value", [cycle(), {"a": cycle()}, Broken(), object()], ids=["list", "dict", "broken", "object"]
)
def test_value_without_a_json_form_becomes_text_and_spares_the_rest(value):
    step = dataclasses.replace(STEP, observations=(Observation(CALL, "text", value),))
    again = through_json(dataclasses.replace(FULL, output=value, steps=(step,)))
    assert dataclasses.replace(again, output=None, steps=()) == dataclasses.replace(FULL, output=None, steps=())
    assert again.steps[0].message == REPLY
    assert again.steps[0].observations[0].text == "text"


def test_lone_surrogate_passes():
    result = dataclasses.replace(EMPTY, output="\ud83d", messages=(User("\udfff"),))
    assert through_json(result) == result


def test_print_shows_the_output():
    assert str(dataclasses.replace(EMPTY, output="The sum is 3.")) == "The sum is 3."
    assert f"{dataclasses.replace(EMPTY, output=[1, 2])}" == "[1, 2]"
    assert str(EMPTY) == "None"
    assert repr(EMPTY).startswith("RunResult(output=None, state='failed'")


@pytest.mark.parametrize("item", [FULL, STEP, STEP.observations[0], INFO], ids=lambda item: type(item).__name__)
def test_frozen_and_small(item):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(item, dataclasses.fields(item)[0].name, None)
    assert not hasattr(item, "__dict__")


def test_wrong_data_is_refused():
    data = FULL.to_dict()
    for change in ({"state": "unknown"}, {"messages": [{"role": "nobody", "text": "x"}]}, {"usage": None}):
        with pytest.raises(ValueError, match=next(iter(change))):
            RunResult.from_dict({**data, **change})


async def test_result_of_a_run(scripted_model):
    async def locate(city: str) -> Point:
        if city == "nowhere":
            raise LookupError("no such place")
        return Point(len(city))

    model = scripted_model([[call("locate", city="Oslo"), call("locate", city="nowhere")], "Found."])
    agent = ReactAgent([locate], model=model, instructions="Be brief.", name="finder")
    result = await agent.run("Where?", metadata={"user": 7}, run_id="run-9")
    assert (result.output, result.state, result.finish_reason) == ("Found.", "success", "stop")
    assert [message.role for message in result.messages] == ["system", "user", "assistant", "tool", "tool", "assistant"]
    good, bad = result.steps[0].observations
    assert (good.value, good.text, good.error) == (Point(4), '{"x":4}', None)
    assert (bad.value, bad.text, bad.error) == (None, "LookupError: no such place", "LookupError: no such place")
    assert [step.number for step in result.steps] == [1, 2]
    assert result.usage == Usage(requests=2)
    assert result.usage == sum((step.usage for step in result.steps), Usage())
    assert (result.info.run_id, result.info.agent, result.info.model) == ("run-9", "finder", "scripted")
    assert result.metadata == {"user": 7}
    again = through_json(result)
    assert again.messages == result.messages
    assert again.steps[0].observations[0].value == {"x": 4}


async def test_loaded_result_goes_on(scripted_model):
    first = await ReactAgent([Tool(len)], model=scripted_model([call("len", obj="four"), "4"])).run("How long?")
    model = scripted_model(["4 again"])
    second = await ReactAgent([Tool(len)], model=model).run("And now?", messages=through_json(first).messages)
    assert second.messages[: len(first.messages)] == first.messages
    assert second.output == "4 again"


# ---- values that cannot be printed


@pytest.mark.parametrize("make", STRANGE, ids=range(len(STRANGE)))
def test_a_record_prints_itself_whatever_it_holds(make):
    seen = Observation(Call("t", {"a": make()}), "text", make())
    ran = Execution("x", make(), calls=(seen,), error=CodeError("E", "m", args=(make(),)))
    step = Step(1, REPLY, (seen,), executions=(ran,))
    result = RunResult(make(), "success", (), (step,), Usage(), RunInfo("r", "a", "m", 0.0), metadata={"a": make()})
    assert "text='text'" in repr(result)
    assert "code='x'" in repr(StepFinished(step))
    assert repr(ToolProgress(seen.call, make())).startswith("ToolProgress(call=Call(name='t', ")
    assert type(str(result)) is str


def test_what_a_record_prints_is_what_dataclasses_print():
    seen = Observation(CALL, "3", 3, None, 0.5)
    assert repr(seen) == f"Observation(call={CALL!r}, text='3', value=3, error=None, seconds=0.5)"
    assert repr(CALL).startswith("Call(name='add', arguments={'a': 1, 'deep': {'b': [None, 'ä']}}, id='A', raw='{")
    assert str(FULL) == "{'answer': [1, 2.5, None, True, 'ü']}"
