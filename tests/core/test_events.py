"""The typed events of a run."""

import dataclasses
import json
import math

import pytest

from tinyagent.agents.react import ReactAgent
from tinyagent.core import events
from tinyagent.core.errors import ConfigurationError
from tinyagent.core.events import (
    CallSealed,
    CodeFinished,
    CodeOutput,
    CodeStarted,
    Event,
    HandedOver,
    InnerEvent,
    LimitHit,
    Notice,
    ReasoningDelta,
    Retry,
    RunFailed,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
    TextVoided,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    event_from_dict,
)
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Assistant, Call, Reply, ToolReply, User
from tinyagent.core.result import CodeError, Execution, Observation, RunInfo, RunResult, Step
from tinyagent.testing.script import call

CALL = Call("add", {"a": 1, "deep": {"b": [None, "ä"]}}, id="A")
OBSERVATION = Observation(CALL, "3", {"sum": 3}, None, 0.5)
STEP = Step(1, Assistant("", (CALL,)), (OBSERVATION,), "tool_calls", Usage(1, 10, 5), 1.5)
RESULT = RunResult(
    "3",
    "success",
    (User("u"), Assistant("", (CALL,)), ToolReply("A", "3", "add"), Assistant("3")),
    (STEP,),
    Usage(1, 10, 5),
    RunInfo("r", "agent", "model", 1700000000.0, 1.0),
    "stop",
    {"k": ["v"]},
)
#: One of each, and a few more.
SAMPLES = [
    RunStarted("r", "agent", "model", "Add 1 and 2."),
    StepStarted(1),
    TextDelta("Zürich 🙂\n"),
    TextDelta(""),
    TextDelta("\ud83d"),
    TextVoided("Zürich"),
    ReasoningDelta("hm"),
    CallSealed(CALL),
    CallSealed(Call("f", {}, id="x", raw="{}", problem="cut")),
    ToolStarted(CALL),
    ToolProgress(CALL, {"done": 0.5, "files": ["a", None]}),
    ToolProgress(CALL, None),
    CodeStarted(1, "x = 1\n"),
    CodeOutput("zwölf\n"),
    CodeFinished(1, Execution("1 / 0", error=CodeError("ZeroDivisionError", "no", line=1, names=("x",)))),
    CodeFinished(2, Execution("x", {"a": 1}, "{'a': 1}", "out", None, (OBSERVATION,), 3, True, 0.5)),
    ToolFinished(OBSERVATION),
    ToolFinished(Observation(CALL, "ValueError: no", None, "ValueError: no", 0.0)),
    Retry("model", 2, 0.5, "RateLimitError: 429"),
    Notice("Switched."),
    StepFinished(STEP),
    LimitHit("steps", 10),
    LimitHit("seconds", 0.25),
    HandedOver("billing", "model"),
    InnerEvent(("ask:A",), TextDelta("x")),
    InnerEvent(("ask:A", "look:B"), ToolFinished(OBSERVATION)),
    RunFinished(RESULT),
    RunFailed("StepLimitReached", "No answer.", dataclasses.replace(RESULT, output=None, state="failed")),
]
KINDS = [
    kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
]
each_sample = pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.type)


def through_json(event):
    return event_from_dict(json.loads(json.dumps(event.to_dict(), allow_nan=False)))


def test_there_is_a_sample_of_every_event():
    assert {type(event) for event in SAMPLES} == set(KINDS)


@each_sample
def test_json_in_json_out(event):
    again = through_json(event)
    assert again == event
    assert type(again) is type(event)
    assert again.to_dict() == event.to_dict()


@each_sample
def test_type_comes_first_and_fields_follow(event):
    assert list(event.to_dict()) == ["type", *(field.name for field in dataclasses.fields(event))]
    assert event.to_dict()["type"] == event.type


@each_sample
def test_frozen_and_small(event):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, dataclasses.fields(event)[0].name, None)
    assert not hasattr(event, "__dict__")


def test_types_are_the_names_of_the_classes():
    for kind in KINDS:
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)
        assert kind.type == words.lstrip("_")


def test_every_event_is_documented():
    for kind in KINDS:
        assert vars(kind)["__doc__"]
        assert not kind.__doc__.startswith(f"{kind.__name__}(")
        assert kind.__module__ == events.__name__


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {"a": math.nan}], ids=repr)
def test_progress_beyond_json_is_written_as_json(value):
    assert json.dumps(ToolProgress(CALL, value).to_dict(), allow_nan=False)
    assert type(through_json(ToolProgress(CALL, value))) is ToolProgress


@pytest.mark.parametrize("value", [math.inf, 1e308, 5e-324], ids=repr)
def test_any_limit_comes_back(value):
    assert through_json(LimitHit("seconds", value)) == LimitHit("seconds", value)


def cycle():
    around = {}
    around["self"] = around
    return around


class Broken:
    def __repr__(self):
        raise ValueError("no text")


@pytest.mark.parametrize(
    "value", [cycle(), [cycle()], Broken(), object(), b"\xff", {("a", 1): {2}}], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize(
    "make", [lambda value: ToolProgress(CALL, value), lambda value: ToolFinished(Observation(CALL, "text", value))]
)
def test_event_with_any_value_can_be_written(make, value):
    data = make(value).to_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    again = event_from_dict(data)
    assert type(again) is type(make(value))
    call_again = again.call if isinstance(again, ToolProgress) else again.observation.call
    assert call_again == CALL


@pytest.mark.parametrize("data", [{"type": "unknown"}, {}, {"type": None}, {"type": "event"}, {"type": ["text_delta"]}])
def test_unknown_type(data):
    with pytest.raises(ConfigurationError) as caught:
        event_from_dict(data)
    assert f"No event of type {data.get('type')!r}" in str(caught.value)
    assert "text_delta" in str(caught.value)


@pytest.mark.parametrize("data", [{"type": "text_delta"}, {"type": "step_started", "number": "one"}])
def test_wrong_fields(data):
    with pytest.raises(ValueError, match=r"TextDelta|StepStarted"):
        event_from_dict(data)


def test_reading_leaves_the_data_alone():
    data = TextDelta("a").to_dict()
    event_from_dict(data)
    assert data == {"type": "text_delta", "run_id": "", "time": 0.0, "replayed": False, "text": "a"}
    inner = InnerEvent(("ask:A",), TextDelta("a")).to_dict()
    event_from_dict(inner)
    assert inner == InnerEvent(("ask:A",), TextDelta("a")).to_dict()


# ---- run and time


@each_sample
def test_run_and_time_come_back_from_json(event):
    stamped = dataclasses.replace(event).stamped("r7", 1700000000.25)
    again = through_json(stamped)
    assert (again.run_id, again.time) == ("r7", 1700000000.25)
    assert again == stamped


@each_sample
def test_events_that_were_written_without_run_and_time_are_read(event):
    data = event.to_dict()
    data.pop("time")
    if type(event) is not RunStarted:
        data.pop("run_id")
    again = event_from_dict(data)
    assert again == event
    assert again.time == 0.0


def test_run_and_time_are_no_part_of_what_an_event_is():
    event = TextDelta("a", run_id="r", time=1.0)
    assert event == TextDelta("a")
    assert repr(event) == "TextDelta(text='a')"
    assert TextDelta.__match_args__ == ("text",)
    assert RunStarted.__match_args__ == ("run_id", "agent", "model", "task")
    assert RunStarted("a", "b", "c", "d") != RunStarted("z", "b", "c", "d")


def test_an_event_is_stamped_once_and_copied_for_others():
    event = Notice("Switched.")
    first = event.stamped("r1", 1.0)
    second = first.stamped("r2", 2.0)
    assert first is event
    assert second is not first
    assert (first.run_id, first.time) == ("r1", 1.0)
    assert (second.run_id, second.time) == ("r2", 2.0)
    assert second == first


def test_both_events_of_an_inner_one_keep_their_stamp():
    inner = InnerEvent(("ask:A",), TextDelta("a").stamped("inner", 2.0)).stamped("outer", 3.0)
    again = through_json(inner)
    assert (again.run_id, again.time, again.event.run_id, again.event.time) == ("outer", 3.0, "inner", 2.0)


@pytest.mark.parametrize("data", [{"path": ["a"]}, {"event": 1}, {"event": TextDelta("a").to_dict()}])
def test_wrong_inner_event(data):
    with pytest.raises(ValueError, match="InnerEvent"):
        event_from_dict({"type": "inner_event", **data})


async def test_events_of_a_run_come_back_from_json(scripted_model):
    async def add(a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}

    async def fail() -> None:
        raise ValueError("no")

    model = scripted_model(
        [
            Reply("Let me see.", (call("add", a=1, b=2), call("fail")), "thinking", "reasoning", "tool_calls"),
            "The sum is 3.",
        ]
    )
    async with ReactAgent([add, fail], model=model).stream("Add.", run_id="r", metadata={"k": 1}) as run:
        seen = [event async for event in run]
    kinds = {type(event) for event in seen}
    assert kinds >= {
        RunStarted,
        StepStarted,
        ReasoningDelta,
        TextDelta,
        CallSealed,
        ToolStarted,
        ToolFinished,
        StepFinished,
        RunFinished,
    }
    assert [through_json(event) for event in seen] == seen
    assert isinstance(seen[0], RunStarted)
    assert isinstance(seen[-1], RunFinished)
