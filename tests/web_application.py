"""A web server with agents behind it, as `python -m tests.web_application LOOP`; it says its address once it serves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from tests.agents.kinds import children
from tests.everything import PROCESS, code, double, double_later
from tinyagent import MontySandbox, ProcessSandbox, ReactAgent, TinyCodeAgent, User, run_sync
from tinyagent.testing import ScriptedModel, ScriptedServer, call

TASK = "Double it."


def reply(request):
    """Calls the tool, then answers, for any number of runs at once."""
    return call("double", number=21) if request.messages[-1]["role"] == "user" else "forty-two"


def write(request):
    """The same in code: what follows the task is the report of a block that gave no answer."""
    asked = [message.text for message in request.messages if isinstance(message, User)]
    return code("double_later") if asked[-1] == TASK else f"```python\nfinal_answer({asked[-1]!r})\n```"


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The agents, and the model server that they ask, are there as long as this one."""
    sandbox = ProcessSandbox() if PROCESS else MontySandbox()
    coder = TinyCodeAgent([double_later], model=ScriptedModel(write), sandbox=sandbox)
    async with ScriptedServer(reply) as server, ReactAgent([double], model=server.model()) as agent, coder:
        app.state.agent, app.state.coder, app.state.server = agent, coder, server
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/ask")
async def ask() -> str:
    """An answer."""
    return (await app.state.agent.run(TASK)).output


@app.get("/stream")
async def stream() -> StreamingResponse:
    """An answer, as it is written."""

    async def words() -> AsyncIterator[str]:
        async with app.state.agent.stream(TASK) as run:
            async for event in run:
                if event.type == "text_delta":
                    yield event.text

    return StreamingResponse(words())


@app.get("/code")
async def by_code() -> int:
    """What code gives."""
    return (await app.state.coder.run(TASK)).output


@app.get("/sync")
def from_a_thread() -> str:
    """An answer, where nobody can await: in a thread of the framework."""
    agent = ReactAgent([double], model=app.state.server.model())
    return run_sync(agent.run(TASK)).output


@app.get("/about")
async def about() -> dict:
    """Which loop this is, what runs in it (but for connections that the model server has), and sandboxes' processes."""
    loop = asyncio.get_running_loop()
    tasks = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
    return {
        "loop": type(loop).__module__.partition(".")[0],
        "tasks": sorted(name for name in tasks if name != "ScriptedServer._accept"),
        "processes": len(children()),
    }


def main(loop: str) -> None:
    """Serve, until it is killed."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, loop=loop, log_level="warning")).run([listener])


if __name__ == "__main__":
    main(sys.argv[1])
