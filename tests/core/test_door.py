"""The doors of the package: whose mistakes they tell, what they let through, and where tracebacks end."""

from __future__ import annotations

import copy
import inspect
import pickle
import socket
import subprocess
import sys
import textwrap
import traceback
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest

from tinyagent import (
    ConfigurationError,
    FatalToolError,
    Limits,
    ModelError,
    OpenAIModel,
    ReactAgent,
    Reply,
    RunError,
    Tool,
    Toolkit,
    run_sync,
    tool,
)
from tinyagent.core.door import door, shorten
from tinyagent.errors import (
    AuthenticationError,
    DuplicateToolError,
    EmptyReplyError,
    MissingCredentialsError,
    ModelConnectionError,
    ScriptError,
    StepLimitReached,
    ToolkitError,
    UnknownToolError,
)
from tinyagent.testing import RawReply, ScriptedModel, ScriptedServer, call

HERE = Path(__file__).name


def frames(error):
    """The functions in a traceback, with their files."""
    return [f"{Path(frame.filename).name}:{frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


def text(error):
    return "".join(traceback.format_exception(error))


@tool
async def divide(a: int, b: int) -> float:
    """Divide."""
    return _divided(a, b)


@tool
def divide_in_a_thread(a: int, b: int) -> float:
    """Divide."""
    return _divided(a, b)


def _divided(a, b):
    return a / b


@tool
def fatal() -> None:
    """End it."""
    raise FatalToolError("enough")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "TINYAGENT_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


async def unknown_server():
    await ReactAgent(model="m").run("Hi")


async def unknown_server_in_a_stream():
    async with ReactAgent(model="m").stream("Hi") as run:
        async for _ in run:
            pass


async def unknown_server_in_a_drained_stream():
    async with ReactAgent(model="m").stream("Hi") as run:
        await run.drain()


async def wrong_key():
    async with ScriptedServer([RawReply({"error": {"message": "who?"}}, 401)]) as server:
        await ReactAgent(model=server.model()).run("Hi")


async def nobody_listens():
    model = OpenAIModel("m", base_url=f"http://127.0.0.1:{closed_port()}/v1", max_retries=0)
    await ReactAgent(model=model).run("Hi")


async def nobody_listens_to_httpx():
    model = OpenAIModel("m", base_url=f"http://127.0.0.1:{closed_port()}/v1", max_retries=0, http="httpx")
    await ReactAgent(model=model).run("Hi")


async def empty_replies():
    await ReactAgent(model=ScriptedModel([Reply(""), Reply("")])).run("Hi")


async def too_many_steps():
    model = ScriptedModel([call("divide", a=1, b=1), ModelError("no more")])
    await ReactAgent([divide], model=model, limits=Limits(steps=1)).run("Hi")


async def no_such_tool():
    await ReactAgent(model=ScriptedModel([])).execute_tool("fly")


async def no_task():
    await ReactAgent(model=ScriptedModel([])).run("")


async def no_task_in_a_stream():
    ReactAgent(model=ScriptedModel([])).stream("")


async def wrong_limits():
    ReactAgent(model="m", limits=5)


async def unknown_option():
    ReactAgent(model="m", max_steps=5)


async def unknown_option_of_a_run():
    await ReactAgent(model=ScriptedModel([])).run("Hi", max_steps=5)


async def no_model():
    ReactAgent()


async def two_tools():
    ReactAgent([divide, divide_in_a_thread, tool(name="divide")(divide_in_a_thread.function)], model="m")


async def unknown_type():
    @tool
    def odd(x: object()) -> None:
        """Odd."""


async def wrong_setting():
    OpenAIModel("m", speed=3)


async def no_such_limit():
    Limits(max_steps=3)


async def script_is_over():
    await ReactAgent(model=ScriptedModel([])).run("Hi")


@pytest.mark.parametrize(
    ("mistake", "kind"),
    [
        (unknown_server, MissingCredentialsError),
        (unknown_server_in_a_stream, MissingCredentialsError),
        (unknown_server_in_a_drained_stream, MissingCredentialsError),
        (wrong_key, AuthenticationError),
        (nobody_listens, ModelConnectionError),
        (nobody_listens_to_httpx, ModelConnectionError),
        (empty_replies, EmptyReplyError),
        (no_such_tool, UnknownToolError),
        (no_task, ConfigurationError),
        (no_task_in_a_stream, ConfigurationError),
        (wrong_limits, ConfigurationError),
        (unknown_option, TypeError),
        (unknown_option_of_a_run, TypeError),
        (no_model, TypeError),
        (two_tools, DuplicateToolError),
        (unknown_type, ConfigurationError),
        (wrong_setting, ConfigurationError),
        (no_such_limit, TypeError),
        (script_is_over, ScriptError),
    ],
)
async def test_the_last_line_is_the_callers_and_there_is_but_one_error(mistake, kind):
    with pytest.raises(kind) as caught:
        await mistake()
    assert frames(caught.value)[1:] == [f"{HERE}:{mistake.__name__}"]
    assert text(caught.value).count("Traceback") == 1


async def test_a_cause_of_ours_is_told_shortly():
    with pytest.raises(StepLimitReached) as caught:
        await too_many_steps()
    assert frames(caught.value)[1:] == [f"{HERE}:too_many_steps"]
    assert isinstance(caught.value.__cause__, ModelError)
    assert frames(caught.value.__cause__) == []


async def test_what_the_libraries_said_is_kept_though_it_is_not_shown():
    with pytest.raises(AuthenticationError) as caught:
        await wrong_key()
    assert isinstance(caught.value.__context__, openai.AuthenticationError)
    assert "openai" not in text(caught.value)


@pytest.mark.parametrize("name", ["divide", "divide_in_a_thread"])
async def test_a_tool_that_is_called_directly_shows_its_own_lines(name):
    agent = ReactAgent([divide, divide_in_a_thread], model="m")
    with pytest.raises(ZeroDivisionError) as caught:
        await agent.execute_tool(name, a=1, b=0)
    assert frames(caught.value)[1:] == [f"{HERE}:{name}", f"{HERE}:_divided"]
    async with agent.stream_tool(name, {"a": 1, "b": 0}) as run:
        with pytest.raises(ZeroDivisionError) as caught:
            async for _ in run:
                pass
    assert frames(caught.value)[1:] == [f"{HERE}:{name}", f"{HERE}:_divided"]


def test_an_error_that_cannot_be_changed_is_shortened_all_the_same():
    @dataclass(frozen=True)
    class Odd(OSError):
        number: int

    with pytest.raises(Odd) as caught:
        raise Odd(3)
    shorten(caught.value)
    assert frames(caught.value) == [f"{HERE}:{test_an_error_that_cannot_be_changed_is_shortened_all_the_same.__name__}"]


async def test_a_tool_that_ends_the_run_shows_its_own_line():
    with pytest.raises(FatalToolError) as caught:
        await ReactAgent([fatal], model=ScriptedModel([call("fatal")])).run("Hi")
    assert frames(caught.value)[1:] == [f"{HERE}:fatal"]


async def test_a_model_that_is_a_function_shows_its_own_lines():
    async def mine(request, sink):
        return _divided(1, 0)

    with pytest.raises(ModelError) as caught:
        await ReactAgent(model=mine).run("Hi")
    assert len(frames(caught.value)) == 1
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert frames(caught.value.__cause__) == [f"{HERE}:mine", f"{HERE}:_divided"]


async def test_a_model_around_another_shows_its_own_line():
    inner = OpenAIModel("m")

    async def mine(request, sink):
        return await inner(request, sink)

    with pytest.raises(MissingCredentialsError) as caught:
        await ReactAgent(model=mine).run("Hi")
    assert frames(caught.value)[1:] == [f"{HERE}:mine"]


async def test_a_client_of_ones_own_shows_its_own_lines():
    async def sign(request):
        _divided(1, 0)

    http = httpx.AsyncClient(event_hooks={"request": [sign]})
    async with openai.AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", http_client=http) as client:
        with pytest.raises(ModelError) as caught:
            await ReactAgent(model=OpenAIModel("m", client=client, max_retries=0)).run("Hi")
    assert "in sign" in text(caught.value)


async def test_a_toolkit_shows_its_own_lines():
    class Broken(Toolkit):
        async def open(self):
            _divided(1, 0)

        @tool
        def use(self) -> None:
            """Use it."""

    agent = ReactAgent([Broken()], model=ScriptedModel([]))
    with pytest.raises(ToolkitError) as caught:
        await agent.run("Hi")
    assert len(frames(caught.value)) == 1
    assert frames(caught.value.__cause__) == [f"{HERE}:open", f"{HERE}:_divided"]
    with pytest.raises(ToolkitError) as caught:
        async with agent:
            pass
    assert len(frames(caught.value)) == 1
    assert frames(caught.value.__cause__) == [f"{HERE}:open", f"{HERE}:_divided"]


async def test_a_fault_of_ours_is_shown_whole(monkeypatch):
    monkeypatch.setattr(ReactAgent, "_offered", lambda *_: [].pop())
    with pytest.raises(RunError) as caught:
        await ReactAgent(model=ScriptedModel([])).run("Hi")
    assert type(caught.value) is RunError
    assert isinstance(caught.value.__cause__, IndexError)
    assert "loop.py:_step" in frames(caught.value.__cause__)


@pytest.mark.parametrize("mistake", [wrong_key, wrong_limits, unknown_server_in_a_stream])
async def test_everything_is_shown_to_whoever_wants_it(mistake, monkeypatch):
    monkeypatch.setenv("TINYAGENT_TRACEBACK", "full")
    with pytest.raises(Exception, match=r".") as caught:
        await mistake()
    assert len(frames(caught.value)) > 3
    assert mistake is not wrong_key or isinstance(caught.value.__cause__, openai.AuthenticationError)


def test_run_sync_is_no_line_either():
    with pytest.raises(MissingCredentialsError) as caught:
        run_sync(ReactAgent(model="m").run("Hi"))
    assert len(frames(caught.value)) == 1

    async def own():
        return _divided(1, 0)

    with pytest.raises(ZeroDivisionError) as caught:
        run_sync(own())
    assert frames(caught.value)[1:] == [f"{HERE}:own", f"{HERE}:_divided"]


async def test_run_sync_in_a_loop_is_no_line_either():
    with pytest.raises(MissingCredentialsError) as caught:
        run_sync(ReactAgent(model="m").run("Hi"))
    assert len(frames(caught.value)) == 1


async def test_what_is_being_handled_by_the_caller_stays():
    with pytest.raises(MissingCredentialsError) as caught:
        try:
            _divided(1, 0)
        except ZeroDivisionError:
            await unknown_server()
    assert "ZeroDivisionError" in text(caught.value)


def test_an_error_that_caused_itself_ends():
    error = ConfigurationError("odd")
    error.__context__ = other = ValueError("other")
    other.__context__ = error
    shorten(error)
    assert error.__context__ is other


def test_a_script_prints_few_lines(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            from tinyagent import ReactAgent, run_sync

            agent = ReactAgent(model="gpt-4o-mini")
            run_sync(agent.run("Hi"))
            """)
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env={"PATH": ""}, timeout=60, check=False
    )
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[2].strip() == 'run_sync(agent.run("Hi"))'
    assert lines[3].startswith("tinyagent.core.errors.MissingCredentialsError: No model server is known")
    assert len(lines) == 9


# ---- arguments


class Box:
    """Something that is made."""

    @door("limits")
    def __init__(self, steps: int = 3) -> None:
        """Make it."""
        self.steps = steps + 0


def test_a_door_is_not_seen():
    assert Box(4).steps == 4
    assert str(inspect.signature(Box)) == "(steps: 'int' = 3) -> 'None'"
    assert Box.__init__.__doc__ == "Make it."


def test_an_error_of_the_constructor_itself_passes():
    with pytest.raises(TypeError, match="can only concatenate str"):
        Box("x")


def test_a_subclass_with_a_constructor_of_its_own_is_told_of_the_call_it_makes():
    class Mine(ReactAgent):
        def __init__(self, steps):
            super().__init__(model=ScriptedModel([]), max_steps=steps)

    with pytest.raises(TypeError, match=r"'max_steps': pass limits=Limits\(steps=10\)"):
        Mine(3)
    with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required positional argument: 'steps'$"):
        Mine()


def test_what_is_made_is_copied_and_pickled_as_ever():
    limits = Limits(steps=3)
    assert copy.copy(limits) == pickle.loads(pickle.dumps(limits)) == limits
    made = Tool(abs, name="size", description="Its size.", signature=Tool(len).signature)
    assert copy.copy(made).name == "size"


def test_the_options_of_an_agent_are_seen():
    assert list(inspect.signature(ReactAgent.__init__).parameters) == ["self", "tools", "model", "options"]
