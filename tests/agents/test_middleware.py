"""The seam around model calls and tool calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.agents.kinds import WRITTEN, needs_sandbox
from tinyagent import (
    ConfigurationError,
    FatalToolError,
    Middleware,
    ModelError,
    Observation,
    OpenAIModel,
    Planning,
    ReactAgent,
    Reply,
    tool,
)
from tinyagent.errors import MiddlewareError
from tinyagent.testing import ScriptedModel, ScriptedServer, call


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


class Log(Middleware):
    """Notes what passes, and in which order."""

    def __init__(self, name, log):
        self.name = name
        self.log = log

    async def wrap_model_call(self, request, sink, call_next):
        self.log.append(f"{self.name} asks {request.key}")
        reply = await call_next(request, sink)
        self.log.append(f"{self.name} is answered")
        return reply

    async def wrap_tool_call(self, call, context, call_next):
        self.log.append(f"{self.name} calls {call.name}")
        observation = await call_next(call, context)
        self.log.append(f"{self.name} sees {observation.text}")
        return observation


async def test_the_first_is_the_outermost_and_those_of_the_agent_stand_around_those_of_the_run(kind):
    log = []
    model = ScriptedModel(kind.script([call("add", a=1, b=2), "3"]))
    agent = kind.agent([add], model=model, middleware=[Log("a", log), Log("b", log)])
    result = await agent.run("Go.", run_id="r", middleware=[Log("c", log)])
    assert result.output == "3"
    first = [line for line in log if "final_answer" not in line][:12]
    assert first == [
        *("a asks r/1/model", "b asks r/1/model", "c asks r/1/model"),
        *("c is answered", "b is answered", "a is answered"),
        *("a calls add", "b calls add", "c calls add", "c sees 3", "b sees 3", "a sees 3"),
    ]


async def test_a_call_has_a_key_that_is_the_same_in_an_equal_run(kind):
    keys = []

    class Keys(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            keys.append(context.key)
            return await call_next(call, context)

    for _ in range(2):
        model = ScriptedModel(kind.script([call("add", a=1, b=2), "3"]))
        await kind.agent([add], model=model, middleware=[Keys()]).run("Go.", run_id="r")
    half = len(keys) // 2
    assert all(key.startswith("r/1/tool/") for key in (keys[0], keys[half]))
    if kind.name == "code":  # the ids of a model's own calls are the model's
        assert keys[:half] == keys[half:]


async def test_what_is_asked_and_answered_may_be_changed(kind):
    class Shout(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            if call.name != "add":
                return await call_next(call, context)
            seen = await call_next(replace(call, arguments={"a": 20, "b": 20}), context)
            return replace(seen, value=seen.value + 2, text="forty-two")

    model = ScriptedModel(kind.script([call("add", a=1, b=2), "done"]))
    result = await kind.agent([add], model=model, middleware=[Shout()]).run("Go.")
    seen = result.steps[0].observations[0]
    assert (seen.value, seen.text, seen.call.arguments) == (42, "forty-two", {"a": 20, "b": 20})


async def test_a_call_may_be_answered_without_the_tool_or_made_again():
    made = []

    @tool
    async def flaky(n: int) -> int:
        """Fail at first."""
        made.append(n)
        if len(made) == 1:
            raise OSError("busy")
        return n

    class Twice(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            if call.name == "add":
                return Observation(call, "not today", error="not today")
            seen = await call_next(call, context)
            return seen if seen.error is None else await call_next(call, context)

    model = ScriptedModel([[call("flaky", n=7), call("add", a=1, b=1)], "done"])
    result = await ReactAgent([flaky, add], model=model, middleware=[Twice()]).run("Go.")
    assert [(seen.text, seen.error) for seen in result.steps[0].observations] == [("7", None), ("not today",) * 2]
    assert made == [7, 7]


async def test_a_model_call_may_go_to_another_model_or_be_answered_at_once():
    class Other(Middleware):
        async def wrap_model_call(self, request, sink, call_next):
            if len(request.messages) > 1:
                return Reply("from the cache")
            return await ScriptedModel([call("add", a=1, b=2)])(request, sink)

    result = await ReactAgent([add], model=ScriptedModel([]), middleware=[Other()]).run("Go.")
    assert result.output == "from the cache"


async def test_what_is_raised_around_a_tool_is_told_to_the_model(kind):
    class Guard(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            if call.name == "add":
                raise PermissionError("not this one")
            return await call_next(call, context)

    model = ScriptedModel(kind.script([call("add", a=1, b=1), "never mind"]))
    result = await kind.agent([add], model=model, middleware=[Guard()]).run("Go.")
    seen = result.steps[0].observations[0]
    assert seen.error == "PermissionError: not this one"
    assert isinstance(seen.exception, PermissionError)


@needs_sandbox
async def test_code_can_catch_what_is_raised_around_a_tool():
    class Guard(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            if call.name == "add":
                raise PermissionError("not this one")
            return await call_next(call, context)

    code = "try:\n    add(a=1, b=1)\nexcept PermissionError as error:\n    final_answer(str(error))"
    agent = WRITTEN.agent([add], model=ScriptedModel([f"```python\n{code}\n```"]), middleware=[Guard()])
    assert (await agent.run("Go.")).output == "not this one"


async def test_a_fatal_error_around_a_tool_ends_the_run(kind):
    class Stop(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            raise FatalToolError("enough")

    model = ScriptedModel(kind.script([call("add", a=1, b=1)]))
    with pytest.raises(FatalToolError, match="enough") as caught:
        await kind.agent([add], model=model, middleware=[Stop()]).run("Go.")
    assert caught.value.result.steps


async def test_an_error_around_a_model_call_names_the_middleware(kind):
    class Broken(Middleware):
        async def wrap_model_call(self, request, sink, call_next):
            await call_next(request, sink)
            raise KeyError("budget")

    with pytest.raises(MiddlewareError, match="The middleware Broken failed in wrap_model_call: KeyError: 'budget'"):
        await kind.agent(model=ScriptedModel(kind.script(["hello"])), middleware=[Broken()]).run("Go.")


async def test_a_models_own_error_passes_and_may_be_caught():
    class Fallback(Middleware):
        async def wrap_model_call(self, request, sink, call_next):
            try:
                return await call_next(request, sink)
            except ModelError as error:
                return Reply(f"{type(error).__name__}, so this")

    async def model(request, sink):
        raise ModelError("down")

    assert (await ReactAgent(model=model, middleware=[Fallback()]).run("Go.")).output == "ModelError, so this"
    with pytest.raises(ModelError, match="down"):
        await ReactAgent(model=model, middleware=[Log("a", [])]).run("Go.")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "returned NoneType"),
        ("text", "returned str"),
        ("other", "returned an Observation of another call"),
    ],
)
async def test_what_is_no_observation_ends_the_run_and_names_the_middleware(given, said):
    class Wrong(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            seen = await call_next(call, context)
            return replace(seen, call=replace(call, id="another")) if given == "other" else given

    model = ScriptedModel([call("add", a=1, b=1)])
    with pytest.raises(MiddlewareError, match=f"The middleware Wrong {said} from wrap_tool_call") as caught:
        await ReactAgent([add], model=model, middleware=[Wrong()]).run("Go.")
    assert "wrap_tool_call; return the Observation" in str(caught.value)


async def test_what_is_no_reply_ends_the_run_and_names_the_middleware():
    class Wrong(Middleware):
        async def wrap_model_call(self, request, sink, call_next):
            await call_next(request, sink)

    with pytest.raises(MiddlewareError, match=r"The middleware Wrong returned NoneType from wrap_model_call; return"):
        await ReactAgent(model=ScriptedModel(["hello"]), middleware=[Wrong()]).run("Go.")


@pytest.mark.parametrize("given", [Middleware, [Middleware], 5, "log", [object()], None, Middleware()])
async def test_what_is_no_middleware_is_refused(given):
    with pytest.raises(ConfigurationError, match="pass a list of Middleware objects"):
        ReactAgent(model=ScriptedModel([]), middleware=given)
    with pytest.raises(ConfigurationError, match="pass a list of Middleware objects"):
        await ReactAgent(model=ScriptedModel([])).run("Go.", middleware=given)


# ---- where it stands


async def test_that_of_a_run_stands_around_the_runs_inside_it_and_that_of_an_agent_does_not():
    log, own = [], []
    inner = ReactAgent([add], model=ScriptedModel([call("add", a=1, b=2), "3"]), name="inner", description="Adds.")
    outer = ReactAgent([inner], model=ScriptedModel([call("inner", task="Add."), "3"]), middleware=[Log("own", own)])
    await outer.run("Go.", middleware=[Log("run", log)])
    assert "run calls add" in log
    assert "own calls inner" in own
    assert "own calls add" not in own


async def test_after_a_handoff_that_of_the_next_agent_stands():
    log = []
    second = ReactAgent(model=ScriptedModel(["ok"]), name="second", middleware=[Log("second", log)])
    first = ReactAgent(
        model=ScriptedModel([call("transfer_to_second")]), handoffs=[second], middleware=[Log("first", log)]
    )
    await first.run("Go.", run_id="r")
    asked = [line for line in log if "asks" in line]
    assert asked == ["first asks r/1/model", "second asks r/2/model"]
    assert "first calls transfer_to_second" in log


async def test_a_direct_call_passes(kind):
    log = []
    agent = kind.agent([add], model=ScriptedModel([]), middleware=[Log("a", log)])
    assert await agent.execute_tool("add", a=1, b=2) == 3
    assert log == ["a calls add", "a sees 3"]


async def test_a_call_that_cannot_be_made_does_not_pass():
    log = []
    model = ScriptedModel([call("no_such_tool"), "done"])
    await ReactAgent([add], model=model, middleware=[Log("a", log)]).run("Go.")
    assert not [line for line in log if "calls" in line]


class Brings(Middleware):
    """A middleware with tools of its own."""

    def __init__(self):
        self.tools = [add, Planning()]


async def test_its_tools_are_the_agents(kind):
    model = ScriptedModel(kind.script([call("add", a=1, b=2), "3"]))
    agent = kind.agent(model=model, middleware=[Brings()])
    assert {"add", "create_plan"} <= set(agent.tools)
    assert (await agent.run("Go.")).steps[0].observations[0].value == 3


async def test_the_tools_of_a_runs_middleware_are_there_in_that_run_alone(kind):
    model = ScriptedModel(kind.script([call("add", a=1, b=2), "3"]))
    agent = kind.agent(model=model)
    result = await agent.run("Go.", middleware=[Brings()])
    assert result.steps[0].observations[0].value == 3
    assert "add" not in agent.tools
    request = model.requests[0]
    assert "add" in [each.name for each in request.tools] or "def add(" in request.messages[0].text
    async with agent.stream_tool("add", {"a": 1, "b": 2}, middleware=[Brings()]) as run:
        assert (await run.drain()).output == 3


async def test_one_that_judges_replies_keeps_calls_from_starting_early():
    began = asyncio.Event()

    @tool
    async def note() -> str:
        """Note."""
        began.set()
        return "noted"

    class Judge(Middleware):
        judges_replies = True

        async def wrap_model_call(self, request, sink, call_next):
            reply = await call_next(request, sink)
            assert not began.is_set()
            return replace(reply, calls=()) if reply.calls else reply

    async with ScriptedServer([call("note"), "fine"]) as server:
        agent = ReactAgent([note], model=OpenAIModel("m", base_url=server.url), middleware=[Judge()])
        async with agent.stream("Go.") as run:
            assert [event.type async for event in run].count("tool_started") == 0
    assert not began.is_set()


async def test_one_object_serves_many_runs_at_once():
    log = []
    agent = ReactAgent([add], model=ScriptedModel(lambda request: "ok"), middleware=[Log("a", log)])
    results = await asyncio.gather(*(agent.run("Go.") for _ in range(50)))
    assert [result.output for result in results] == ["ok"] * 50
    assert len(log) == 100


# ---- what it must not break


async def test_a_time_out_around_a_call_is_its_own(kind):
    class Impatient(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            if call.name == "endless":
                async with asyncio.timeout(0.05):
                    return await call_next(call, context)
            return await call_next(call, context)

    @tool
    async def endless() -> str:
        """Wait."""
        return await asyncio.Event().wait()

    model = ScriptedModel(kind.script([call("endless"), "never mind"]))
    result = await kind.agent([endless], model=model, middleware=[Impatient()]).run("Go.")
    seen = result.steps[0].observations[0]
    assert isinstance(seen.exception, TimeoutError)
    assert result.output == "never mind"


async def test_a_text_without_a_value_is_the_value():
    class Cached(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            return Observation(call, "cached")

    agent = ReactAgent([add], model=ScriptedModel([]), middleware=[Cached()])
    assert await agent.execute_tool("add", a=1, b=2) == "cached"


async def test_a_handoff_that_is_refused_does_not_happen():
    class No(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            return Observation(call, "denied", error="denied")

    other = ReactAgent(model=ScriptedModel([]), name="other")
    model = ScriptedModel([call("transfer_to_other"), "I answer."])
    result = await ReactAgent(model=model, handoffs=[other], middleware=[No()]).run("Go.")
    assert result.output == "I answer."


async def test_a_call_keeps_its_tool():
    class Other(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            return await call_next(replace(call, name="other"), context)

    with pytest.raises(MiddlewareError, match="has passed on a call of 'add' as 'other': change its arguments"):
        await ReactAgent([add], model=ScriptedModel([call("add", a=1, b=2)]), middleware=[Other()]).run("Go.")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda call: Observation(call, None), "an Observation with text=None"),
        (lambda call: Observation(call, 5), "an Observation with text=5"),
        (lambda call: Observation(call, "x", error=ValueError("y")), r"an Observation with error=ValueError\('y'\)"),
        (lambda call: Observation("a", "b"), "an Observation of another call"),
    ],
)
async def test_an_observation_is_checked(make, said):
    class Wrong(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            return make(call)

    with pytest.raises(MiddlewareError, match=f"The middleware Wrong returned {said} from wrap_tool_call"):
        await ReactAgent([add], model=ScriptedModel([call("add", a=1, b=2)]), middleware=[Wrong()]).run("Go.")


@pytest.mark.parametrize("reply", [Reply(None), Reply("", calls=["a"])])
async def test_a_reply_is_checked(reply):
    class Wrong(Middleware):
        async def wrap_model_call(self, request, sink, call_next):
            return reply

    with pytest.raises(MiddlewareError, match=r"The middleware Wrong returned a Reply with (text=None|calls=)"):
        await ReactAgent(model=ScriptedModel([]), middleware=[Wrong()]).run("Go.")


async def test_one_that_cancels_from_within_is_named():
    class Confused(Middleware):
        async def wrap_model_call(self, request, sink, call_next):
            raise asyncio.CancelledError

    with pytest.raises(MiddlewareError, match="The middleware Confused failed in wrap_model_call: CancelledError"):
        await ReactAgent(model=ScriptedModel([]), middleware=[Confused()]).run("Go.")


async def test_one_that_is_not_asynchronous_is_named():
    class Sync(Middleware):
        def wrap_tool_call(self, call, context, call_next):
            return Observation(call, "x")

    with pytest.raises(MiddlewareError, match="The middleware Sync has a wrap_tool_call that is no async def"):
        await ReactAgent([add], model=ScriptedModel([call("add", a=1, b=2)]), middleware=[Sync()]).run("Go.")


class Again(Middleware):
    """Asks the model twice."""

    async def wrap_model_call(self, request, sink, call_next):
        await call_next(request, sink)
        return await call_next(request, sink)


async def test_what_was_shown_before_the_model_is_asked_again_is_void():
    async with ScriptedServer(["first", "second"]) as server:
        agent = ReactAgent(model=OpenAIModel("m", base_url=server.url), middleware=[Again()])
        async with agent.stream("Go.") as run:
            events = [event async for event in run]
    assert [event.text for event in events if event.type == "text_voided"] == ["first"]
    assert run.result.output == "second"


async def test_the_model_is_not_asked_again_once_a_call_has_started():
    made = []

    @tool
    async def note(text: str) -> str:
        """Note."""
        made.append(text)
        return text

    script = [call("note", text="first"), call("note", text="second"), "done", "done"]
    with pytest.raises(MiddlewareError, match="judges_replies = True"):
        await ReactAgent([note], model=ScriptedModel(script), middleware=[Again()]).run("Go.")
    made.clear()
    judge = Again()
    judge.judges_replies = True
    result = await ReactAgent([note], model=ScriptedModel(script), middleware=[judge]).run("Go.")
    assert (result.output, made) == ("done", ["second"])


async def test_one_that_is_given_twice_stands_once():
    class Notes(Middleware):
        def __init__(self):
            self.tools = [self.note]
            self.calls = 0

        async def note(self, text: str) -> str:
            """Note."""
            return text

        async def wrap_tool_call(self, call, context, call_next):
            self.calls += 1
            return await call_next(call, context)

    notes = Notes()
    agent = ReactAgent(model=ScriptedModel([call("note", text="x"), "ok"]), middleware=[notes])
    assert (await agent.run("Go.", middleware=[notes])).output == "ok"
    assert notes.calls == 1
