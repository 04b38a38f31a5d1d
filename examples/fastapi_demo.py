"""A service: one agent for many requests, its events as a stream, its tools as routes.

pip install fastapi uvicorn
python examples/fastapi_demo.py             # serves on http://127.0.0.1:8000
python examples/fastapi_demo.py --demo      # calls itself, and prints what comes

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import httpx
from pydantic import BaseModel, Field

from tinyagent import ReactAgent, RunError, tool
from tinyagent.errors import ToolArgumentsError, UnknownToolError
from tinyagent.testing import ScriptedRequest, call, model_or_script

try:
    import uvicorn
    from fastapi import FastAPI, HTTPException, Request
    from fastapi.responses import JSONResponse, StreamingResponse
except ImportError as missing:
    raise SystemExit(f"{missing.name} is not installed. This example needs: pip install fastapi uvicorn") from None


@tool
async def parcel(number: int) -> dict:
    """Where a parcel is. Numbers from 900 are looked up by hand, which takes a while."""
    try:
        await asyncio.sleep(60 if number >= 900 else 0.1)
    except asyncio.CancelledError:  # the client has gone: the run is cancelled, and all that it started
        print(f"  (looking up parcel {number} was cancelled)")
        raise
    return {"number": number, "place": ["Lyon", "Ghent", "Graz"][number % 3]}


def offline(request: ScriptedRequest):
    """The scripted model has the parcel looked up, then tells where it is."""
    last = request.messages[-1]
    if last["role"] == "user":
        return call("parcel", number=int(last["content"].split()[-1]))
    return "Parcel {number} is in {place}.".format(**json.loads(last["content"]))


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The agent's connections and toolkits are open as long as the service is."""
    async with model_or_script(offline) as model, ReactAgent(tools=[parcel], model=model) as agent:
        app.state.agent = agent
        yield


app = FastAPI(lifespan=lifespan)


class Task(BaseModel):
    task: str = Field(pattern=r"\S")


@app.get("/health")
async def health() -> dict:
    return {"status": "ok", "tools": list(app.state.agent.tools)}


@app.post("/run")
async def run(request: Request, task: Task) -> dict:
    result = await while_connected(request, app.state.agent.run(task.task))
    return {"output": result.output, "steps": len(result.steps), "tokens": result.usage.total_tokens}


@app.post("/stream")
async def stream(task: Task) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:  # cancelled when the client goes, and the run with it
        with contextlib.suppress(RunError):  # of which the last event tells
            async with app.state.agent.stream(task.task) as run:
                async for event in run:
                    yield f"event: {event.type}\ndata: {json.dumps(event.to_dict())}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.post("/tools/{name}")
async def tools(request: Request, name: str, arguments: dict[str, Any]) -> dict:
    return {"value": await while_connected(request, app.state.agent.execute_tool(name, **arguments))}


async def while_connected(request: Request, work: Coroutine) -> Any:
    """The result of `work`, which is cancelled when the client goes."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(request.receive())  # the body has come: the next message is that the client has gone
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise HTTPException(499, "The client has gone.")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait((working, leaving))


def answer(status: int):
    async def handler(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status)

    return handler


for kind, status in {UnknownToolError: 404, ToolArgumentsError: 422, RunError: 502}.items():
    app.add_exception_handler(kind, answer(status))


async def demo() -> None:
    """The service on a free port, and a client."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
            await asyncio.sleep(0.01)
        host, port = listening.getsockname()
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
            print("GET  /health      ", (await client.get("/health")).json())
            asked = [client.post("/run", json={"task": f"Where is parcel {n}"}) for n in range(1, 21)]
            answers = [response.json() for response in await asyncio.gather(*asked)]
            print(f"POST /run          {len(answers)} at once, such as {answers[0]}")
            async with client.stream("POST", "/stream", json={"task": "Where is parcel 7"}) as response:
                names = [line.partition(" ")[2] async for line in response.aiter_lines() if line.startswith("event:")]
            print("POST /stream       " + " ".join(dict.fromkeys(names)))
            for path, arguments in ("parcel", {"number": 5}), ("parcel", {"number": "five"}), ("parcels", {}):
                response = await client.post(f"/tools/{path}", json=arguments)
                print(f"POST /tools/{path:8}", response.status_code, response.json())
            try:
                await client.post("/run", json={"task": "Where is parcel 911"}, timeout=0.5)
            except httpx.ReadTimeout:
                print("POST /run          the client waits no longer")
        server.should_exit = True
        await serving


if __name__ == "__main__":
    if "--demo" in sys.argv or not sys.stdin.isatty():
        asyncio.run(demo())
    else:
        uvicorn.run(app)
