"""The tools of servers in both kinds of agent."""

import asyncio

import pytest

from tests.agents.kinds import NATIVE, WRITTEN, needs_sandbox, no_session_left
from tests.tools.mcp.support import EVERYTHING, call as ask, over_http, raw
from tinyagent import TinyCodeAgent, ToolFinished
from tinyagent.errors import ToolkitError
from tinyagent.events import ToolProgress
from tinyagent.testing import ScriptedModel, call
from tinyagent.tools.mcp import MCPProgress, MCPResult, MCPTools


@pytest.fixture(params=[pytest.param(NATIVE, id="react"), pytest.param(WRITTEN, id="code", marks=needs_sandbox)])
async def kind(request):
    yield request.param
    if request.param is WRITTEN:
        await no_session_left()


async def test_in_a_run(kind):
    script = [
        [call("add", a=1), call("squares", n=3), call("slow", seconds=0.03)],
        [call("find_things", only={"colours": ["red"]}), call("picture"), call("fail", text="this is why")],
        "done",
    ]
    model = ScriptedModel(kind.script(script))
    events = []
    async with kind.agent([MCPTools(EVERYTHING)], model=model).stream("Go.") as run:
        async for event in run:
            events.append(event)
    assert run.result.output == "done"
    seen = [event.observation for event in events if isinstance(event, ToolFinished)]
    values = {item.call.name: item.value for item in seen}
    assert (values["add"], values["squares"], values["slow"]) == (3, [0, 1, 4], "done")
    assert values["find_things"] == {"names": ["red"], "total": 10}
    assert isinstance(values["picture"], MCPResult)
    assert [event.value for event in events if isinstance(event, ToolProgress)] == [
        MCPProgress(step, 3, f"step {step}") for step in (1, 2, 3)
    ]
    told = "\n".join(kind.told(model.requests[-1]))
    assert "[image/png, 1,008 bytes]" in told or kind is WRITTEN  # whose code printed the record
    assert r"\x00" not in told
    assert "Error executing tool fail: this is why" in told
    assert "How many." in kind.offered(model.requests[0])


async def test_new_tools_are_offered_in_the_next_step():
    model = ScriptedModel(NATIVE.script([call("find_things_v2_3", do="add"), call("late"), "done"]))
    result = await NATIVE.agent([raw()], model=model).run("Go.")
    assert result.output == "done"
    assert "late" not in NATIVE.offered(model.requests[0])
    assert "late" in NATIVE.offered(model.requests[1])
    assert NATIVE.values(result)[1] == ['{"name": "late", "arguments": {}}']


async def test_runs_share_a_server(kind):
    def answer(request):
        return kind.says("done" if len(kind.told(request)) == 2 else call("pid"))

    async with kind.agent([MCPTools(EVERYTHING)], model=ScriptedModel(answer)) as agent:
        results = await asyncio.gather(*(agent.run("Go.") for _ in range(3)))
    pids = {value for result in results for values in kind.values(result)[:2] for value in values}
    assert len(pids) == 1


async def test_two_agents_share_a_server():
    async with over_http() as url:
        kit = MCPTools(url=url)
        models = [ScriptedModel(NATIVE.script([call("add", a=n), "done"])) for n in range(2)]
        async with kit:
            results = await asyncio.gather(*(NATIVE.agent([kit], model=model).run("Go.") for model in models))
            assert await ask(kit, "add", a=5) == 7  # still open
    assert [NATIVE.values(result)[0] for result in results] == [[2], [3]]


async def test_the_model_is_told_of_a_death(kind):
    model = ScriptedModel(kind.script([call("find_things_v2_3", do="die"), call("find_things_v2_3"), "done"]))
    result = await kind.agent([raw(name="mine")], model=model).run("Go.")
    assert "ConnectionError: The MCP server 'mine' has ended" in "\n".join(kind.told(model.requests[1]))
    assert kind.values(result)[1] == ['{"name": "find/things/v2", "arguments": {}}']


async def test_two_servers_of_one_kind(kind):
    model = ScriptedModel(kind.script([[call("a_find_things_v2"), call("b_find_things_v2")], "done"]))
    result = await kind.agent([raw().prefixed("a"), raw().prefixed("b")], model=model).run("Go.")
    assert kind.values(result)[0] == ['{"name": "find_things_v2", "arguments": {}}'] * 2


async def test_a_run_that_is_cancelled(kind):
    async with MCPTools(EVERYTHING) as kit:
        model = ScriptedModel(kind.script([call("hang"), "done"]))
        run = asyncio.create_task(kind.agent([kit], model=model).run("Go."))
        await ask(kit, "started")
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        async with asyncio.timeout(20):
            while await ask(kit, "events") != ["cancelled"]:
                await asyncio.sleep(0.01)


async def test_a_server_that_does_not_come_up(kind):
    with pytest.raises(ToolkitError, match=r"MCPTools could not be opened: ConnectionError: .*'mine' has ended"):
        await kind.agent([raw("quits", name="mine")], model=ScriptedModel(["never asked"])).run("Go.")


async def test_media_that_data_repeat(kind):
    model = ScriptedModel(kind.script([call("photo"), "done"]))
    await kind.agent([MCPTools(EVERYTHING)], model=model).run("Go.")
    told = "\n".join(kind.told(model.requests[-1]))
    assert "[image/png, 1,008 bytes]" in told
    assert "AAAAAAAA" not in told
    assert r"\x00" not in told


@needs_sandbox
async def test_code_reads_what_the_tools_give():
    code = """```python
found = await find_things({"colours": ["red"], "size": {"width": 3}}, limit=1)
image = await picture()
said = await say("hello", title="she")
try:
    await fail("why")
except Exception as error:
    said += f", {error}"
final_answer([found["total"], len(image.parts[0].data), said])
```"""
    result = await TinyCodeAgent([MCPTools(EVERYTHING)], model=ScriptedModel([code])).run("Go.")
    assert result.output == [4, 1_008, "she: hello, Error executing tool fail: why"]
    await no_session_left()
