"""The seam through which every model call and tool call passes."""

import asyncio

import pytest

from tinyagent.agents.react import ReactAgent
from tinyagent.core.effects import DirectEffects
from tinyagent.core.errors import ConfigurationError, RunError
from tinyagent.core.messages import Reply
from tinyagent.core.tool import Tool
from tinyagent.models import retry
from tinyagent.testing.script import call


async def test_direct_effects_make_every_call():
    calls, value = [], object()

    async def give():
        calls.append(1)
        return value

    effects = DirectEffects()
    assert await effects.step("same key", give) is value
    assert await effects.step("same key", give) is value
    assert len(calls) == 2


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
async def test_direct_effects_let_errors_through(kind):
    error = kind("mine")

    async def fail():
        raise error

    with pytest.raises(kind) as caught:
        await DirectEffects().step("key", fail)
    assert caught.value is error


class Journal:
    """Remembers every outcome by key, and answers from memory what it knows."""

    def __init__(self):
        self.values = {}
        self.made = []

    async def step(self, key, call):
        if key not in self.values:
            self.made.append(key)
            self.values[key] = await call()
        return self.values[key]


async def test_every_call_of_a_run_passes_under_its_name(scripted_model):
    async def add(a: int, b: int) -> int:
        return a + b

    calls = call("add", a=1, b=2), call("add", a=3, b=4), call("add", a="x", b=1)
    model = scripted_model([list(calls), call("unknown"), "done"])
    journal = Journal()
    result = await ReactAgent([add], model=model).run("go", run_id="r", effects=journal)
    assert result.output == "done"
    assert sorted(journal.made) == sorted(
        ["r/1/model", *(f"r/1/tool/{each.id}" for each in calls), "r/2/model", "r/3/model"]
    )
    assert journal.values[f"r/1/tool/{calls[0].id}"] == 3
    assert isinstance(journal.values["r/2/model"], Reply)


@pytest.mark.parametrize("reverse", [False, True])
async def test_keys_do_not_depend_on_the_order_in_which_work_finishes(scripted_model, reverse):
    finished = {number: asyncio.Event() for number in range(4)}
    order = list(finished)[:: -1 if reverse else 1]

    async def work(number: int) -> int:
        position = order.index(number)
        if position:
            await finished[order[position - 1]].wait()
        finished[number].set()
        return number

    calls = [call("work", number=number) for number in finished]
    journal = Journal()
    await ReactAgent([work], model=scripted_model([calls, "done"])).run("go", run_id="r", effects=journal)
    assert {f"r/1/tool/{calls[number].id}": number for number in finished}.items() <= journal.values.items()


async def test_journal_answers_instead_of_the_model_and_the_tools(scripted_model):
    made = []

    async def add(a: int, b: int) -> int:
        made.append((a, b))
        return a + b

    journal = Journal()
    first = await ReactAgent([add], model=scripted_model([call("add", a=1, b=2), "3"])).run(
        "add", run_id="r", effects=journal
    )
    again = await ReactAgent([add], model=scripted_model([])).run("add", run_id="r", effects=journal)
    assert made == [(1, 2)]
    assert again.output == first.output == "3"
    assert again.messages == first.messages
    assert again.steps[0].observations[0].value == 3
    other = await ReactAgent([add], model=scripted_model(["other"])).run("add", run_id="s", effects=journal)
    assert other.output == "other"


async def test_a_tool_with_its_retries_is_one_effect(monkeypatch, scripted_model):
    monkeypatch.setattr(retry, "FIRST_BACKOFF", 0.0)

    keys, attempts = [], []

    class Count:
        async def step(self, key, call):
            keys.append(key)
            return await call()

    async def flaky():
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("once")
        return "fine"

    again = call("flaky")
    model = scripted_model([again, "done"])
    await ReactAgent([Tool(flaky, retries=1)], model=model).run("go", run_id="r", effects=Count())
    assert keys == ["r/1/model", f"r/1/tool/{again.id}", "r/2/model"]
    assert len(attempts) == 2


@pytest.mark.parametrize("effects", [object(), 7, "journal", Journal, {"step": 1}, lambda key, call: call(), False])
async def test_effects_that_are_none_are_refused_with_what_to_pass(effects, scripted_model):
    agent = ReactAgent(model=scripted_model([]))
    with pytest.raises(
        ConfigurationError, match=r"^effects=.*: pass an object with 'async def step\(self, key, call\)'"
    ):
        await agent.run("go", effects=effects)


async def test_what_a_journal_raises_of_the_same_kind_as_the_call_is_the_calls(scripted_model):
    class Copies:
        async def step(self, key, call):
            try:
                return await call()
            except KeyError as error:
                raise KeyError(*error.args) from None  # as one that is read from a disk

    def fail() -> None:
        """Fail."""
        raise KeyError("mine")

    model = scripted_model([call("fail"), "done"])
    result = await ReactAgent([fail], model=model).run("go", effects=Copies())
    assert (result.output, result.steps[0].observations[0].error) == ("done", "KeyError: 'mine'")


async def test_an_error_of_ours_that_a_journal_raises_passes_as_it_is(scripted_model):
    error = RunError("paused")

    class Pauses:
        async def step(self, key, call):
            await call()
            raise error

    with pytest.raises(RunError) as caught:
        await ReactAgent(model=scripted_model(["hello"])).run("go", effects=Pauses())
    assert caught.value is error


async def test_the_journal_of_an_inner_run_fails_that_run_and_the_outer_one_at_its_own_call(scripted_model):
    class Full:
        async def step(self, key, call):
            given = await call()
            if "/inner" in key or key.count("/") > 3:
                raise OSError("disk full")
            return given

    inner = ReactAgent(model=scripted_model(["hello"]), name="inner", description="I.")
    outer = ReactAgent([inner], model=scripted_model([call("inner", task="Go."), "it failed"]))
    result = await outer.run("go", run_id="r", effects=Full())
    assert (
        result.steps[0].observations[0].error == "JournalError: The journal (effects=Full) failed: OSError: disk full"
    )
