"""The ten lines of the README where people use them: a script (test_readme.py), Jupyter, a web server's handler."""

import asyncio
import re
import socket

import httpx
import nbformat
import pytest
import uvicorn
from nbclient import NotebookClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.test_readme import SNIPPETS, reply
from tinyagent.testing import ScriptedServer

DEFINITIONS = SNIPPETS[0].partition("async def main")[0]
QUESTION = re.search(r"await (agent\.run\(.*?\))\)", SNIPPETS[0]).group(1)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("own_home")
async def test_in_jupyter(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedServer(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        cells = [
            DEFINITIONS,
            f"print(await {QUESTION})",
            DEFINITIONS,
            f"result = await {QUESTION}\nresult.state",
            "result",
        ]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        await NotebookClient(notebook, timeout=60, kernel_name="python3").async_execute()
    first, second = notebook.cells[1].outputs, notebook.cells[3].outputs
    assert [output["text"] for output in first] == ["Answer to 3 messages\n"]
    assert [output["data"]["text/plain"] for output in second] == ["'success'"]
    (shown,) = notebook.cells[4].outputs
    assert shown["data"]["text/markdown"].startswith("Answer to 3 messages\n\n*2 steps · ")


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("own_home")
async def test_a_mistake_in_jupyter_is_told_at_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    failing = "@tool\ndef divide(a: int) -> float:\n    'Divide.'\n    return a / 0"
    direct = "await ReactAgent(tools=[divide], model='m').execute_tool('divide', a=1)"
    cells = [DEFINITIONS, f"await {QUESTION}", failing, direct]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    await NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True).async_execute()
    told = ["\n".join(notebook.cells[cell].outputs[0]["traceback"]).splitlines() for cell in (1, 3)]
    missing, divided = ([re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines] for lines in told)
    assert missing[2:4] == ["Cell In[2], line 1", f"----> 1 await {QUESTION}"]
    assert missing[5].startswith("MissingCredentialsError: No model server is known.")
    assert len(missing) == 11
    assert any("return a / 0" in line for line in divided)
    assert len(divided) < 15


async def test_in_a_handler_of_a_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict = {}
    exec(DEFINITIONS, namespace)
    agent = namespace["agent"]

    async def handler(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(await eval(QUESTION, namespace)))

    async with ScriptedServer(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        async with agent, serving(Starlette(routes=[Route("/", handler)])) as url, httpx.AsyncClient() as client:
            answers = await asyncio.gather(*(client.get(url) for _ in range(20)))
    assert [answer.text for answer in answers] == ["Answer to 3 messages"] * 20


class serving:
    """The application on a loopback port, in this event loop."""

    def __init__(self, application: Starlette) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="off"))

    async def __aenter__(self) -> str:
        self.task = asyncio.create_task(self.server.serve(sockets=[self.socket]))
        while not self.server.started:
            await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}/"

    async def __aexit__(self, *_: object) -> None:
        self.server.should_exit = True
        await self.task
