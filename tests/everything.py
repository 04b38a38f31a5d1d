"""One small run of every kind, for the places where agents run: other event loops, forked processes, web servers."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

from tests.tools.servers import Raw
from tinyagent import MontySandbox, ProcessSandbox, PythonExecutor, ReactAgent, TinyCodeAgent, run_sync
from tinyagent.testing import ScriptedModel, ScriptedServer, call
from tinyagent.tools.builtin.web_browse import WebBrowser
from tinyagent.tools.mcp import MCPTools

PROCESS = ProcessSandbox.reason_against() is None
MONTY = importlib.util.find_spec("pydantic_monty") is not None
#: A page that is converted in a thread.
PAGE = b"<html><body><h1>Tea</h1>" + b"<p>Green and black tea come from one plant.</p>" * 800 + b"</body></html>"
MCP_SERVER = Path(__file__).parent / "tools" / "mcp" / "servers" / "raw.py"
SCRIPT = [call("double", number=21), "forty-two"]


def double(number: int) -> int:
    """Double a number."""
    return 2 * number


async def double_later(number: int) -> int:
    """Double a number, a little later."""
    await asyncio.sleep(0)
    return 2 * number


def code(tool: str = "double") -> str:
    """A reply of a model that writes code."""
    awaited = "await " if tool == "double_later" else ""
    return f"```python\nfinal_answer({awaited}{tool}(number=21))\n```"


async def _react() -> object:
    async with ScriptedServer(SCRIPT) as server:
        return (await ReactAgent([double], model=server.model()).run("Double 21.")).output


async def _react_async_tool() -> object:
    model = ScriptedModel([call("double_later", number=21), "forty-two"])
    return (await ReactAgent([double_later], model=model).run("Double 21.")).output


async def _stream() -> object:
    agent = ReactAgent([double], model=ScriptedModel(SCRIPT))
    async with agent.stream("Double 21.") as run:
        kinds = {event.type async for event in run}
    assert {"text_delta", "tool_finished"} <= kinds
    return run.result.output


async def _in_process() -> object:
    agent = TinyCodeAgent([double, double_later], model=ScriptedModel([code("double_later")]), sandbox=ProcessSandbox())
    return (await agent.run("Double 21.")).output


async def _in_monty() -> object:
    agent = TinyCodeAgent([double_later], model=ScriptedModel([code("double_later")]), sandbox=MontySandbox())
    return (await agent.run("Double 21.")).output


async def _in_executor() -> object:
    agent = TinyCodeAgent([double], model=ScriptedModel([code()]), sandbox=PythonExecutor())
    return (await agent.run("Double 21.")).output


executor = PythonExecutor([double])


async def _by_hand() -> object:
    return executor.run("final_answer(double(21))")[0]


async def _mcp() -> object:
    kit = MCPTools([sys.executable, str(MCP_SERVER)])
    result = await ReactAgent([kit], model=ScriptedModel([call("repeat", do="nothing"), "42"])).run("Repeat.")
    assert result.steps[0].observations[0].error is None
    return result.output


async def _web() -> object:
    async def answer(connection) -> bool:
        return await connection.reply(PAGE, "Content-Type: text/html")

    async with Raw(answer) as server:
        browser = WebBrowser(allow=["127.0.0.1"])
        model = ScriptedModel([call("web_browse", url=server.url), "42"])
        result = await ReactAgent([browser], model=model).run("What is tea?")
    assert "one plant" in result.steps[0].observations[0].text
    return result.output


async def _run_sync() -> object:
    return run_sync(_react_async_tool())


#: What a run is made of, and its answer. They all mean 42.
EVERYTHING = {
    "react": _react,
    "react, async tool": _react_async_tool,
    "stream": _stream,
    "executor": _in_executor,
    "executor, by hand": _by_hand,
    "mcp": _mcp,
    "web": _web,
    "run_sync": _run_sync,
    **({"process": _in_process} if PROCESS else {}),
    **({"monty": _in_monty} if MONTY else {}),
}


async def everything(*without: str) -> str:
    """Do a run of every kind; what the last gave that did not mean 42, or nothing."""
    for name, kind in EVERYTHING.items():
        if name not in without and (found := await kind()) not in (42, "42", "forty-two"):
            return f"{name}: {found!r}"
    return ""
