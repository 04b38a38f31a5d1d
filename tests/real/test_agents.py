"""Agents with a real model, on a real llama.cpp server. Run by `make real` alone.

What a model of 135 million parameters says is not tested, but how its runs end, what they leave, and what it calls.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import Field

from tinyagent import (
    Limits,
    Notice,
    OpenAIModel,
    ReactAgent,
    Retry,
    RunError,
    StepFinished,
    TinyCodeAgent,
)
from tinyagent.models.calls import CUT_CALL
from tinyagent.models.native import message_data
from tinyagent.testing.history import fault_of

STEPS = 3
QUESTION = "How warm is it in Oslo? Look it up."
INSTRUCTIONS = "Use the tools for every fact. Answer in one sentence."

Unit = Literal["celsius", "fahrenheit"]

pytestmark = pytest.mark.timeout(600)


@dataclass
class Place:
    """A place, with those in it."""

    name: str
    within: Place | None = None


class Tools:
    """Tools that note what they were called with."""

    def __init__(self):
        self.seen = []

    async def weather(
        self, city: str, unit: Literal["celsius", "fahrenheit"] = "celsius", days: int | None = None
    ) -> str:
        """Today's weather in a city."""
        self.seen.append((city, unit, days))
        assert isinstance(city, str)
        assert unit in ("celsius", "fahrenheit")
        assert days is None or isinstance(days, int)
        return f"4 degrees {unit} in {city}"

    def visit(self, places: list[Place], notes: dict[str, int]) -> int:
        """Plan visits to places, with a number of days for each."""
        self.seen.append((places, notes))
        assert all(isinstance(place, Place) for place in places)
        assert all(isinstance(days, int) for days in notes.values())
        return len(places)


def model(url, mode="auto", max_tokens=200):
    settings = {"temperature": 0, "seed": 1, "max_tokens": max_tokens}
    return OpenAIModel("smollm2", base_url=url, tool_calling=mode, max_retries=0, **settings)


async def ended(agent, question, *, streamed):
    """The run's result, and how it ended: its state or the `RunError`. Any other exception is a mistake."""
    try:
        if not streamed:
            result = await agent.run(question)
        else:
            async with agent.stream(question) as run:
                async for _ in run:
                    pass
            result = run.result
    except RunError as error:
        return error.result, type(error).__name__
    return result, result.state


def check(result):
    """The run ended in a way that is documented, and its history is valid: each call has its answer."""
    assert result.state in ("success", "cut", "step_limit_reached", "failed")
    assert len(result.steps) <= STEPS + 1
    assert fault_of({"messages": [message_data(message, "") for message in result.messages]}) is None


def row(mode, streamed, result, end):
    calls = sum(len(step.observations) for step in result.steps)
    blocks = sum(len(step.executions) for step in result.steps)
    seconds = f"{result.info.seconds:.1f}"
    return mode, "streamed" if streamed else "plain", calls, blocks, len(result.steps), seconds, end


@pytest.fixture(scope="module", autouse=True)
def head(table):
    table.append(("mode", "", "calls", "blocks", "steps", "seconds", "state"))
    table.append(("---",) * 7)


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("mode", ["native", "json", "schema"])
async def test_a_run_ends_as_runs_end_with_a_valid_history(smol, table, mode, streamed):
    tools = Tools()
    agent = ReactAgent(
        [tools.weather, tools.visit],
        model=model(smol, mode),
        instructions=INSTRUCTIONS,
        limits=Limits(steps=STEPS, seconds=300),
    )
    result, end = await ended(agent, QUESTION, streamed=streamed)
    table.append(row(mode, streamed, result, end))
    check(result)
    if mode == "schema":
        calls = [seen for step in result.steps for seen in step.observations]
        assert tools.seen
        assert len(tools.seen) == sum(seen.error is None for seen in calls)
        assert all(seen.error is None or seen.call.problem == CUT_CALL for seen in calls)


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
async def test_code_that_a_small_model_writes_ends_as_runs_end(smol, table, streamed):
    tools = Tools()
    agent = TinyCodeAgent(
        [tools.weather], model=model(smol), instructions=INSTRUCTIONS, limits=Limits(steps=STEPS, seconds=300)
    )
    result, end = await ended(agent, "Write Python that prints 17 * 23.", streamed=streamed)
    table.append(row("code", streamed, result, end))
    check(result)


#: Annotations whose JSON schemas hold what grammars of llama.cpp refuse, never end, or take minutes for.
ANNOTATIONS = {
    "any": Any,
    "bounds beyond 64 bits": Annotated[int, Field(ge=0, lt=2**70)],
    "large minimum": Annotated[int, Field(ge=2**63 - 1)],
    "dates": tuple[datetime, date, UUID],
    "definitions": Place,
    "dict": dict[str, list[int]],
    "literals": Literal["a", 1, None, True],
    "long lists": Annotated[list[Place], Field(min_length=3000, max_length=5000)],
    "long text": Annotated[str, Field(min_length=3000)],
    "nothing": None,
    "open pattern": Annotated[str, Field(pattern="^x.*y$")],
    "pattern": Annotated[str, Field(pattern=r"^\d{4}[a-z]+$")],
    "recursion": list[Place | int] | None,
    "set": set[float],
}


@pytest.mark.parametrize("annotation", ANNOTATIONS.values(), ids=ANNOTATIONS)
async def test_the_grammar_takes_every_annotation(smol, annotation):
    async def note(value, other=None):
        """Note a value."""

    note.__annotations__ = {"value": annotation, "other": annotation | None if annotation else None}
    agent = ReactAgent([note], model=model(smol, "schema", max_tokens=60), limits=Limits(steps=1, seconds=60))
    news = []
    async with agent.stream("Call the tool note.") as run:
        async for event in run:
            news += [event] * isinstance(event, Notice | Retry)
            if isinstance(event, StepFinished):
                break
    assert news == []
    assert event.step.message.text.startswith("{")


@pytest.mark.parametrize("mode", ["native", "json", "schema"])
async def test_a_run_is_cancelled_while_the_model_writes_and_the_server_goes_on(smol, mode):
    agent = ReactAgent([Tools().weather], model=model(smol, mode), instructions=INSTRUCTIONS)
    async with agent.stream(QUESTION) as run:
        async for event in run:
            if event.type == "step_started":
                break
        await asyncio.sleep(0)
    assert run.result.state == "cancelled"
    _, end = await ended(ReactAgent(model=model(smol)), "Say hello.", streamed=False)
    assert end in ("success", "cut")


def test_the_local_demo_calls_the_tool_and_ends():
    done = subprocess.run(
        [sys.executable, "-m", "tinyagent", "demo", "--local"], capture_output=True, text=True, timeout=300, check=False
    )
    print(f"\n{done.stdout}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "← weather: {" in done.stdout
    assert "✗" not in done.stdout
