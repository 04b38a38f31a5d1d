"""What type checkers must see of the package: never run, but checked by `test_types`. Lines marked so are refused."""
# pyright: strict

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, assert_type

from tinyagent import (
    Context,
    MCPTools,
    Planning,
    ReactAgent,
    Run,
    RunError,
    RunResult,
    TinyCodeAgent,
    Tool,
    Toolkit,
    run_sync,
    tool,
    web_search,
)
from tinyagent.events import Event, InnerEvent, TextDelta, ToolFinished
from tinyagent.tools import ToolLike


@dataclass
class Settings:
    key: str


class Derived(Settings):
    pass


# ---- tools


@tool
async def look(city: str, *, context: Context[Settings]) -> str:
    return context.deps.key + city


@tool(timeout=3)
def double(number: int) -> int:
    return 2 * number


def function(number: int) -> int:
    return number


async def coroutine(number: int) -> str:
    return str(number)


class Plain:
    def find(self, text: str) -> str:
        return text

    @tool
    def keep(self, text: str) -> None:
        pass


class Notes(Toolkit):
    def __init__(self) -> None:
        self.notes: list[str] = []

    @tool
    async def add(self, text: str, times: int = 1) -> int:
        self.notes += [text] * times
        return len(self.notes)

    @tool(timeout=5)
    def first(self) -> str:
        return self.notes[0]

    @classmethod
    @tool
    def named(cls, name: str) -> str:
        return name

    async def twice(self, text: str) -> int:
        await self.add(3)  # refused
        return await self.add(text, 2)


async def a_tool_is_called_like_its_function(notes: Notes) -> None:
    assert_type(double(3), int)
    assert_type(await notes.add("x", times=2), int)
    assert_type(notes.first(), str)
    assert_type(notes.named("x"), str)
    assert_type(await Notes.add(notes, "x"), int)
    double("x")  # refused
    notes.add()  # refused
    notes.add("x", often=2)  # refused
    notes.first("x")  # refused
    tool(3)  # refused
    Tool(function, timeout="3")  # refused
    tool(timeout="3")  # refused
    agent.as_tool(timeout="3")  # refused


agent = ReactAgent(
    [
        look,
        double,
        function,
        coroutine,
        partial(function, 3),
        print,
        Settings,
        Tool(function),
        Plain().find,
        Plain().keep,
        Notes(),
        Notes().add,
        Notes().prefixed("my"),
        Planning(),
        web_search,
        MCPTools(command="server"),
        MCPTools(url="https://example.com/mcp").prefixed("web"),
        ReactAgent(model="m"),
        TinyCodeAgent(model="m").as_tool("code", "Computes.", retries=2),
    ],
    model="m",
    deps_type=Settings,
)
named: list[ToolLike] = [look, Notes(), function, agent]
free = ReactAgent(named, model="m")
coder = TinyCodeAgent(tools=(look, Notes()), model="m", deps_type=Settings)
ReactAgent([3], model="m")  # refused
ReactAgent(tools="look", model="m")  # refused
TinyCodeAgent(tools=[None], model="m")  # refused
ReactAgent(model="m", speed=3)  # refused
ReactAgent(model=3)  # refused

# ---- agents and their runs

desk: ReactAgent = ReactAgent(model="m", handoffs=lambda: [agent, coder, free])
team: list[ReactAgent] = [agent, free, desk]
rows = ReactAgent(model="m", deps_type=dict[str, str])
typed: ReactAgent[Settings, list[int]] = ReactAgent(model="m", deps_type=Settings)
ReactAgent(model="m", deps_type=3)  # refused


def who(context: Context[Settings]) -> str:
    return context.deps.key


async def nobody() -> str:
    return ""


ReactAgent(model="m", deps_type=Settings, instructions=who)
ReactAgent(model="m", deps_type=Settings, instructions=nobody)
ReactAgent(model="m", deps_type=Settings, instructions=lambda context: context.deps.key)
ReactAgent(model="m", deps_type=Settings, instructions=lambda: "Be brief.")
ReactAgent(model="m", instructions=who)
ReactAgent(model="m", instructions=lambda context: str(context.metadata))
ReactAgent(model="m", deps_type=int, instructions=who)  # refused
ReactAgent(model="m", instructions=3)  # refused


async def a_run_takes_deps_of_its_agents_type_and_returns_its_output() -> None:
    assert_type(agent, ReactAgent[Settings, str])
    assert_type(free, ReactAgent[Any, str])
    assert_type(coder, TinyCodeAgent[Settings, Any])
    result = await agent.run("Go.", deps=Derived("k"), metadata={"user": "u1"})
    assert_type(result, RunResult[str])
    assert_type((await typed.run("Go.", deps=Settings("k"))).output, list[int])
    assert_type(run_sync(agent.run("Go.", deps=Settings("k"))), RunResult[str])
    await free.run("Go.", deps=3, messages=result.messages)
    await free.run("Go.", messages=[{"role": "user", "content": "Hello"}])
    await rows.run("Go.", deps={"a": "b"})
    async with agent as entered, coder.stream_tool("look", {"city": "Oslo"}, deps=Settings("k")) as direct:
        assert_type(entered, ReactAgent[Settings, str])
        assert_type(direct, Run[Any])
    anything: RunResult[object] = result
    await agent.run("Go.", deps=3)  # refused
    await agent.run("Go.", deps=None)  # refused
    await rows.run("Go.", deps={"a": 1})  # refused
    agent.stream("Go.", deps="k")  # refused
    agent.stream_tool("look", {}, deps="k")  # refused
    await coder.run("Go.", deps=3)  # refused
    await agent.run("Go.", speed=3)  # refused
    await agent.run(3)  # refused
    print(anything)


async def events_are_told_apart_by_their_type() -> None:
    async with agent.stream("Go.", deps=Settings("k")) as run:
        assert_type(run, Run[str])
        async for event in run:
            assert_type(event, Event)
            if event.type == "text_delta":
                assert_type(event, TextDelta)
            elif event.type == "tool_finished":
                assert_type(event, ToolFinished)
            elif event.type == "inner_event":
                assert_type(event, InnerEvent)
                assert_type(event.event, Event)
            elif event.type == "notice":
                print(event.call)  # refused
            if isinstance(event, TextDelta):
                assert_type(event.type, Literal["text_delta"])
    assert_type(run.result, RunResult[str])
    await agent.stream("Go.")  # refused
    with agent.stream("Go."):  # refused
        pass


async def an_error_has_its_result() -> None:
    try:
        await free.run("Go.")
    except RunError as error:
        assert_type(error.result, RunResult[Any])
        assert_type(error.result.metadata, Mapping[str, Any])
