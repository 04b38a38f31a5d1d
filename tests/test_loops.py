"""Everything on the event loops that there are: asyncio's own, and uvloop, on which uvicorn runs web servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading

import httpx
import pytest

from tests.everything import EVERYTHING, PROCESS, code, double, everything
from tinyagent import ReactAgent, TinyCodeAgent, run_sync
from tinyagent.testing import ScriptedModel, call

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")


@pytest.mark.each_loop
@pytest.mark.parametrize("kind", EVERYTHING)
async def test_each_kind_of_run(kind):
    assert await EVERYTHING[kind]() in (42, "42", "forty-two")


@pytest.mark.each_loop
async def test_the_loops_are_those_that_are_meant(request):
    assert type(asyncio.get_running_loop()).__module__.startswith(
        "uvloop" if "uvloop" in request.node.name or request.config.getoption("--loop") == "uvloop" else "asyncio"
    )


@pytest.mark.each_loop
async def test_many_runs_at_once_of_each_kind():
    found = await asyncio.gather(*[EVERYTHING[kind]() for kind in ("react", "react, async tool", "mcp") * 5])
    assert set(found) <= {"42", "forty-two"}


def test_a_program_that_runs_on_uvloop_does_everything():
    program = "import uvloop; from tests.everything import everything; print(uvloop.run(everything()) or 'all')"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("all", 0), done.stderr


def test_run_sync_beside_a_loop_of_uvloop():
    import uvloop

    async def main():
        return run_sync(everything("monty"))

    assert uvloop.run(main()) == ""


def app():
    """A web server with agents: `/ask`, `/stream` and `/code`."""
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    made = FastAPI()

    @made.get("/ask")
    async def ask() -> dict[str, object]:
        model = ScriptedModel([call("double", number=21), "forty-two"])
        return {"answer": (await ReactAgent([double], model=model).run("Double 21.")).output}

    @made.get("/code")
    async def write() -> dict[str, object]:
        return {"answer": (await TinyCodeAgent([double], model=ScriptedModel([code()])).run("Double 21.")).output}

    @made.get("/stream")
    async def stream() -> StreamingResponse:
        async def lines():
            model = ScriptedModel([call("double", number=21), "forty-two"])
            async with ReactAgent([double], model=model).stream("Double 21.") as run:
                async for event in run:
                    yield json.dumps(event.type) + "\n"

        return StreamingResponse(lines())

    return made


@contextlib.contextmanager
def serving():
    """The web server on uvloop, in a thread; gives its address."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app(), port=0, loop="uvloop", log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    "path",
    ["/ask", "/stream", pytest.param("/code", marks=pytest.mark.skipif(not PROCESS, reason="no ProcessSandbox"))],
)
async def test_two_hundred_requests_at_once_to_a_web_server(path):
    limits = httpx.Limits(max_connections=None)
    with serving() as url:
        async with httpx.AsyncClient(base_url=url, timeout=100, limits=limits) as client:
            answers = await asyncio.gather(*[client.get(path) for _ in range(200)])
    assert {answer.status_code for answer in answers} == {200}
    if path == "/stream":
        assert all(answer.text.splitlines()[-1] == '"run_finished"' for answer in answers)
    else:
        assert all(answer.json()["answer"] in (42, "forty-two") for answer in answers)
