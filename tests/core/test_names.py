"""Names of 1.x and of other packages, and what is said of them."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tinyagent import (
    ConfigurationError,
    Limits,
    MCPTools,
    ModelSettings,
    MontySandbox,
    OpenAIModel,
    ProcessSandbox,
    PythonExecutor,
    ReactAgent,
    SandboxLimits,
    TinyCodeAgent,
    Tool,
    tool,
)
from tinyagent.agents.options import AgentOptions
from tinyagent.agents.state import RunOptions
from tinyagent.core import names
from tinyagent.errors import ToolDefinitionError
from tinyagent.testing import ScriptedModel


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def fetch(url: str) -> str:
    """Fetch."""
    return url


SANDBOXES = (ProcessSandbox, MontySandbox, PythonExecutor)
#: The names that there are, in each place where there are options.
REAL = {
    "agent": {"tools", "model", *AgentOptions.__annotations__},
    "run": set(RunOptions.__annotations__),
    "model": {*list(inspect.signature(OpenAIModel).parameters)[:-1], *ModelSettings.__annotations__},
    "tool": set(inspect.signature(Tool).parameters),
    "limits": set(inspect.signature(Limits).parameters),
    "sandbox": {name for kind in SANDBOXES for name in inspect.signature(kind).parameters},
    "sandbox limits": set(inspect.signature(SandboxLimits).parameters),
    "mcp": set(inspect.signature(MCPTools).parameters),
}


@pytest.mark.parametrize("kind", REAL)
def test_no_name_that_there_is_is_said_to_be_none(kind):
    known = [name for text in names._CURES[kind].values() for name in text.split()]
    assert not set(known) & REAL[kind]
    assert len(known) == len(set(known)), "a name has two cures"


@pytest.mark.parametrize("kind", REAL)
def test_every_cure_is_a_sentence_that_names_its_option(kind):
    for cure, text in names._CURES[kind].items():
        for name in text.split():
            said = names.refused(kind, [name], REAL[kind])
            assert said.startswith(f"{names._SAID[kind][0]} {name!r}: ")
            assert said.endswith(f"{cure.format(name=name)}.")


AGENT = [
    ("max_steps", "pass limits=Limits(steps=10)."),
    ("max_iterations", "pass limits=Limits(steps=10)."),
    ("max_turns", "pass limits=Limits(steps=10)."),
    ("system_prompt", "pass instructions='...'."),
    ("system_message", "pass instructions='...'."),
    ("prompt", "pass instructions='...'."),
    ("llm", "pass model='gpt-4o-mini', or model=OpenAIModel('name', ...)."),
    ("temperature", "it is the model's: model=OpenAIModel('gpt-4o-mini', temperature=...)."),
    ("max_tokens", "it is the model's: model=OpenAIModel('gpt-4o-mini', max_tokens=...)."),
    ("api_key", "it is the model's: model=OpenAIModel('gpt-4o-mini', api_key=...)."),
    ("base_url", "it is the model's: model=OpenAIModel('gpt-4o-mini', base_url=...)."),
    ("verbose", "read the events of agent.stream(...), or set"),
    ("output_type", "a tool with @tool(returns_answer=True) makes the answer an object"),
    ("response_model", "a tool with @tool(returns_answer=True) makes the answer an object"),
    ("return_result", "agent.run(...) always returns a RunResult."),
    ("chat_history", "pass messages=result.messages, of the run before, to agent.run(...)."),
    ("memory", "pass store=SQLiteStore('agents.db') to the agent, and session='user-7' to agent.run(...)."),
    ("session", "pass store=SQLiteStore('agents.db') to the agent, and session='user-7' to agent.run(...)."),
    ("human_in_the_loop", "pass policy=ask_before('pay') to the agent."),
    ("callbacks", "read the events of agent.stream(...)."),
    ("executor", "TinyCodeAgent(..., sandbox=ProcessSandbox()) runs code"),
    ("deps", "pass deps=... to agent.run(...)."),
    ("run_id", "it is a run's: agent.run('...', run_id=...)."),
]


@pytest.mark.parametrize(("name", "cure"), AGENT)
@pytest.mark.parametrize("kind", [ReactAgent, TinyCodeAgent])
def test_an_option_of_elsewhere_is_told_with_what_to_write(kind, name, cure):
    with pytest.raises(TypeError) as caught:
        kind(model=ScriptedModel([]), **{name: 3})
    assert str(caught.value).startswith(f"An agent has no option {name!r}: {cure}")
    assert "it has:" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("max_steps", "pass limits=Limits(steps=10) to the agent."),
        ("system_prompt", "pass instructions='...' to the agent."),
        ("temperature", "it is the model's: model=OpenAIModel('gpt-4o-mini', temperature=...)."),
        ("chat_history", "pass messages=result.messages, of the run before."),
        ("thread_id", "pass store=SQLiteStore('agents.db') to the agent, and session='user-7' to agent.run(...)."),
        ("policy", "it is the agent's: ReactAgent(..., policy=...)."),
        ("context", "pass deps=...."),
        ("tools", "it is the agent's: ReactAgent(..., tools=...)."),
        ("limits", "it is the agent's: ReactAgent(..., limits=...)."),
        ("return_result", "agent.run(...) always returns a RunResult."),
        ("stream", "use agent.stream(...) for the events of a run."),
    ],
)
async def test_an_option_of_elsewhere_for_a_run(name, cure):
    agent = ReactAgent(model=ScriptedModel([]))
    for start in (agent.stream, agent.run):
        with pytest.raises(TypeError) as caught:
            await start("Go.", **{name: 3})
        assert str(caught.value) == f"A run has no option {name!r}: {cure}"


@pytest.mark.parametrize("name", ["streamed", "parent", "call", "work", "drive", "speed"])
async def test_a_name_that_only_the_package_itself_uses_is_none_either(name):
    agent = ReactAgent(model=ScriptedModel([]))
    with pytest.raises(TypeError, match=rf"^A run has no option \['{name}'\].*[Ii]t has: messages, deps, "):
        await agent.run("Go.", **{name: 3})
    with pytest.raises(TypeError, match=rf"^A run has no option \['{name}'\].*[Ii]t has: messages, deps, "):
        agent.stream_tool("add", {}, **{name: 3})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ReactAgent(llm="m"), "An agent has no option 'llm': pass model='gpt-4o-mini', or"),
        (lambda: ReactAgent([add]), "'model'. Write ReactAgent(tools=[search], model='gpt-4o-mini')."),
        (lambda: TinyCodeAgent([add], "m"), "Write TinyCodeAgent(tools=[search], model='gpt-4o-mini')."),
        (
            lambda: OpenAIModel(model="m"),
            "no option 'model': the model's name comes first: OpenAIModel('gpt-4o-mini').",
        ),
        (OpenAIModel, "Write OpenAIModel('gpt-4o-mini', temperature=0)."),
        (lambda: Limits(max_steps=3), "Limits has no 'max_steps': pass steps=10."),
        (lambda: Limits(max_tokens=3, timeout=3), "Limits has no 'timeout': pass seconds=60."),
        (lambda: Limits(stepz=3), "Limits has no ['stepz']. Did you mean 'steps'? It has: steps, tokens, seconds."),
        (lambda: SandboxLimits(timeout=3), "SandboxLimits has no 'timeout': pass seconds=30."),
        (lambda: SandboxLimits(second=3), "SandboxLimits has no ['second']. Did you mean 'seconds'?"),
        (lambda: ProcessSandbox(timeout=3), "no option 'timeout': pass limits=SandboxLimits(seconds=30)."),
        (lambda: PythonExecutor(preloads=[]), "no option ['preloads']; it has: tools, imports, limits."),
        (lambda: MCPTools(prefix="x"), "MCPTools has no option 'prefix': write MCPTools(...).prefixed('...')."),
        (lambda: MCPTools("a", "b"), "Write MCPTools(command='npx -y some-server'), or"),
        (lambda: Limits(1, 2, 3, 4), "Write Limits(steps=10, tokens=50_000, seconds=60)."),
        (lambda: Tool(add, return_direct=True), "A tool has no option 'return_direct': pass returns_answer=True."),
        (lambda: tool(return_direct=True)(add), "A tool has no option 'return_direct': pass returns_answer=True."),
        (lambda: tool(max_retries=2)(add), "A tool has no option 'max_retries': pass retries=2."),
        (lambda: tool(args_schema=int)(add), "'args_schema': the schema comes from the function's annotations."),
        (
            lambda: tool(timout=2)(add),
            "A tool has no option ['timout']. Did you mean 'timeout'? It has: function, name",
        ),
        (
            lambda: ReactAgent(model=ScriptedModel([]), name="n", description="d").as_tool(return_direct=True),
            "pass returns_answer=True.",
        ),
    ],
)
def test_a_call_that_does_not_fit_is_told_with_what_to_write(make, said):
    with pytest.raises(TypeError) as caught:
        make()
    assert said in str(caught.value)
    assert "__init__" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.traceback[-1].path == Path(__file__)


def test_several_names_are_told_one_by_one_and_a_close_one_first():
    with pytest.raises(TypeError) as caught:
        ReactAgent(model=ScriptedModel([]), max_steps=3, instructons="x", verbose=True)
    first, second, third = str(caught.value).splitlines()
    assert first == "An agent has no option 'max_steps': pass limits=Limits(steps=10)."
    assert second.startswith("An agent has no option 'verbose': ")
    assert third.startswith(
        "An agent has no option ['instructons']. Did you mean 'instructions'? It has: model, client, instructions"
    )


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("top_k", "pass extra_body={'top_k': ...}."),
        ("api_base", "pass base_url='https://.../v1'."),
        ("openai_api_key", "pass api_key='...'."),
        ("http_client", "pass client=AsyncOpenAI(...) with it."),
        ("headers", "pass extra_headers={...}."),
        ("max_output_tokens", "pass max_completion_tokens=2_000."),
    ],
)
def test_a_setting_of_elsewhere_is_told_with_what_to_write(name, cure):
    with pytest.raises(ConfigurationError) as caught:
        OpenAIModel("m", **{name: 3})
    assert str(caught.value).startswith(f"OpenAIModel has no option {name!r}: {cure}")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: "web_search", "from tinyagent import web_search, and tools=[web_search]. Pass a function"),
        (lambda: "search", "Pass the function itself, without quotes: tools=[search]. Pass a function"),
        (lambda: "search the web", "it is a str, not a function. Pass a function"),
        (lambda: [add], "What is in it belongs into tools= itself: tools=[*some_tools, another_tool]."),
        (lambda: (add,), "What is in it belongs into tools= itself"),
        (lambda: {"type": "function", "function": {"name": "add"}}, "A schema is made from a function: write one"),
        (lambda: add(1, 2), "If a function has returned it, pass the function without calling it."),
        (lambda: fetch("x"), "It is a call: pass fetch without '(...)', and the model calls it."),
    ],
)
def test_what_is_passed_in_place_of_a_tool(make, said):
    with pytest.raises(ToolDefinitionError) as caught:
        ReactAgent([make()], model=ScriptedModel([]))
    assert said in str(caught.value)


def test_a_name_that_the_registry_knows():
    tool(name="known_by_name")(add)
    with pytest.raises(ToolDefinitionError, match=r"tools=\[known_by_name\], or get_registry\(\)\['known_by_name'\]"):
        ReactAgent(["known_by_name"], model=ScriptedModel([]))


def test_a_name_in_place_of_the_function():
    with pytest.raises(ToolDefinitionError, match=r"Pass a name by name: @tool\(name='search'\)\."):
        tool("search")


def test_the_tools_of_the_package_that_are_named_are_there():
    import tinyagent

    assert all(isinstance(getattr(tinyagent, name), Tool) for name in names._OF_THE_PACKAGE)
