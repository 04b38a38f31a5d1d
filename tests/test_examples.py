"""Every example runs offline, and with the servers that the environment names."""

import asyncio
import os
import re
import runpy
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import nbformat
import pytest
import uvicorn
from nbclient import NotebookClient

from tests.tools.builtin.search_server import KEY, SearchServer
from tinyagent.testing import ScriptedRequest, ScriptedServer, call

EXAMPLES = Path(__file__).parent.parent / "examples"
HELPERS = {"local_pages.py"}
#: What each prints offline.
EXPECTED = {
    "simple_demo.py": ["12 × 7 ÷ 4 is 21.", "step 1: multiply", "step 2: divide", "= 21.0"],
    "react_demo.py": ["→ population", "… asking for Italy", "← area: 385207", "195 people per km²", "2 steps, "],
    "code_demo.py": [
        "        income.setdefault(sale.fruit, {})[region] = sale.pieces * sale.price\n```\n  ← sales(north)",
        "for fruit, by_region in income.items():\n    cells = ",  # nothing is printed into the code
        'sum(by_region.values()):9.2f}")\n```\n            north    south',
        "✗ TypeError: unsupported operand type(s) for *: 'NoneType' and 'float'",
        "            north    south     west    total",
        "apples      60.00   100.00    45.00   205.00",
        "Best: apples, 205.00 in all",
    ],
    "rpg_demo.py": [
        "> I look around.\n  [sheet: ",
        "By the light of your torch",
        "[roll: 8]\n  [change_health: 9]\n{d20: 8} A stone rolls",
        "The key is yours, with your torch and rope.",
        "15 messages. The hero has 9 health and carries: torch, rope, silver key.",
    ],
    "file_prompt_demo.py": [
        'critic.md      - Its form: `{"stars": 1 to 5, "why": "a word or two"}`\n',
        'critic.prompt  Rating: {"stars": 2, "why": "cold soup"}\n',
        'such as {"stars": 4, "why": "friendly"}.\n',
        'critic.xml     <answer>One JSON object and nothing else: {"stars": 1 to 5, ',
        '→ {"stars": 4, "why": "slow, good"}',
        'template       → {"to": "the guest", "text": "Danke, bis bald!"}',
        "✗ The instructions have a placeholder $language, which has no value.",
        "✗ prompt_file='prompts/critik.txt': there is no such file (looked for /",
    ],
    "concurrent_demo.py": [
        "One by one, the loop has to catch: shelf 13 has collapsed.",
        "shelf 12: 27 books.\n  shelf 13: ✗ shelf 13 has collapsed (after ",
        "shelf 20: 24 books.",
        "19 of 20 answered. One by one: ",
        "times as fast.",
    ],
    "database_demo.py": [
        "opened 3 connections\n  In Norway skis sold best: 50 pieces.\n  In Italy bicycles sold best: 30 pieces.\n",
        "In Kenya tents sold best: 55 pieces.\n  DELETE: not authorized\nclosed 3 connections\n",
    ],
    "fastapi_demo.py": [
        "GET  /health       {'status': 'ok', 'tools': ['parcel']}",
        "20 at once, such as {'output': 'Parcel 1 is in Ghent.', 'steps': 2, 'tokens': ",
        "POST /stream       run_started step_started call_sealed tool_started tool_finished step_finished text_delta ",
        "200 {'value': {'number': 5, 'place': 'Graz'}}",
        "422 {'error': \"The arguments do not fit the tool 'parcel'",
        "404 {'error': \"There is no tool named 'parcels'. Did you mean 'parcel'?",
        "the client waits no longer\n  (looking up parcel 911 was cancelled)\n",
    ],
    "team_demo.py": [
        "Plan: A dry day in Ghent\n1. [ ] Ask for the weather\n2. [ ] Book the train\n2 of 2 steps left.\n",
        "  weather_agent > forecast: rain\n",
        "← weather_agent: rain on Saturday\n",  # the two come in any order
        "← weather_agent: sunny on Sunday\n",
        "1. [x] Ask for the weather (rain on Saturday, sunny on Sunday)\n",
        "→ booking agent\nYou leave for Ghent on Sunday at 9:14, when the sun is out.\n",
        "(booking agent, 9 model calls in all)",
    ],
    "approval_demo.py": [
        "paused: 2 calls wait. \n  customer: customer 4711\nOffline: ",  # another process
        "  May refund be called? refund({'order': 17, 'euros': 20})\n  yes\n  May refund be called? ",
        "  no\n  (paying 20 euros)\nFor",
        "For customer 4711, order 17: 20 euros are on their way. The other one was not paid: too much for one day.\n",
    ],
    "chat_demo.py": [
        '  [stock({"tea": "sencha"})]\nThere are 12 tins of sencha.\n',
        '> How much oolong is left?\n  [stock({"tea": "oolong"})]\n  (killed)\nOffline: ',
        "> What did I say first?\nYou said: I like tea. (message 8)\n",
        "  ['user', 'assistant', 'user', 'assistant', 'tool', 'assistant', 'user', 'user', 'assistant']\n",
    ],
    "resume_demo.py": [
        "  page 1\n  page 2\n  page 3\n  page 4\n  page 5\n  (killed)\nOffline: ",
        "  page 6\n  page 7\n  page 8\n'Translate the 8 pages of the book, one after the other.' was taken up: ",
        "was taken up: All 8 pages are translated. (9 steps)\n",
    ],
    "mcp_demo.py": [
        "→ in_stock({'item': 'lamps'})",
        ": there are only 3 chairs",
        '← pack: {"packed":3,"left":0}',
        "There are 12 lamps. Of the chairs only 3 could be packed.",
    ],
    "jina_reader_demo.py": [
        "RFC 2324, 309 characters: ## Hyper Text Coffee Pot Control Protocol",
        "read 0 to 160 of 309 characters\nread 160 to 309 of 309 characters\n",
        "A teapot that is told to brew coffee answers 418.",
    ],
    "web_search_tool.py": [
        "→ web_search('honey bees winter heat')\n← 2 results: The winter cluster, Heat from muscles\n→ web_browse('http://",
        "← The winter cluster (",
        "Below about 14 °C they gather in a tight cluster [1](http://127.0.0.1:",
        "There they tremble with their flight muscles [2](http://127.0.0.1:",
        "\n[1] The winter cluster: http://127.0.0.1:",
        "/muscles\n",
    ],
}
#: The examples whose first request offers no tools to the model.
WITHOUT_TOOLS = {"code_demo.py", "file_prompt_demo.py"}


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*EXPECTED, *HELPERS}
    assert [path.name for path in EXAMPLES.glob("*.ipynb")] == ["notebook.ipynb"]


def test_every_example_is_listed() -> None:
    listed = re.findall(r"^\| \[`(.+?)`\]\(\1\) \|", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted([*EXPECTED, "notebook.ipynb"])


@pytest.mark.parametrize("name", EXPECTED)
async def test_offline(name: str) -> None:
    output = await run(name, {})
    assert output.startswith("Offline: ")
    for text in EXPECTED[name]:
        assert text in output


@pytest.mark.parametrize("name", EXPECTED)
async def test_with_the_servers_of_the_environment(name: str, in_this_process: Callable[..., Awaitable[str]]) -> None:
    async with ScriptedServer(lambda _: "The server's own answer.") as server, SearchServer() as web:
        environment = {"JINA_READER_URL": web.url, "TINYAGENT_SEARCH_URL": web.url}
        output = await in_this_process(name, OPENAI_BASE_URL=server.url, OPENAI_MODEL="my-model", **environment)
        assert server.requests[0].body["model"] == "my-model"
        assert ("tools" in server.requests[0].body) == (name not in WITHOUT_TOOLS)
    assert "The server's own answer." in output
    assert "Offline" not in output


async def test_offline_in_this_process(in_this_process: Callable[..., Awaitable[str]]) -> None:
    assert (await in_this_process("simple_demo.py")).startswith("Offline: ")


async def run(name: str, environment: dict[str, str], **options: object) -> str:
    """What the example prints; it must succeed, and say nothing on standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(EXAMPLES / name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONUTF8": "1", "PATH": "", **environment},
        **{"stdin": asyncio.subprocess.DEVNULL, **options},
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, errors.decode()) == (0, "")
    return output.decode()


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., Awaitable[str]]:
    """What an example prints in a thread of this process, which saves it the start of Python."""

    async def run(name: str, **environment: str) -> str:
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.syspath_prepend(EXAMPLES)
        monkeypatch.setattr(sys, "argv", [name])
        await asyncio.to_thread(runpy.run_path, str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


# ---- the services of the environment do the work


async def test_the_real_search_and_the_real_browser() -> None:
    """Searching goes to the provider with its key; private pages stay closed, whatever the model asks."""

    def reply(request: ScriptedRequest):
        seen = [message["content"] for message in request.messages if message["role"] == "tool"]
        asked = [call("web_search", query="oslo"), call("web_browse", url=f"{web.url}/secret")]
        return asked[len(seen)] if len(seen) < len(asked) else f"{seen[0].splitlines()[0]} [1]"

    async with SearchServer() as web, ScriptedServer(reply) as server:
        environment = {"OPENAI_BASE_URL": server.url, "TAVILY_API_KEY": KEY, "TINYAGENT_SEARCH_URL": web.url}
        output = await run("web_search_tool.py", environment)
        (searched,) = web.requests
    assert searched.headers["authorization"] == f"Bearer {KEY}"
    assert "← 5 results: Page 1 of Oslo, Page 2 of Oslo" in output
    assert "← web_browse: AddressRefusedError: " in output
    assert "1. [Page 1 of Oslo](https://example.org/oslo/1) [1]" in output


async def test_the_real_reader() -> None:
    def reply(request: ScriptedRequest):
        last = request.messages[-1]
        if last["role"] == "tool":
            return last["content"].splitlines()[0]
        return call("jina_reader", url="https://example.org/", max_chars=100)

    async with SearchServer() as web, ScriptedServer(reply) as server:
        environment = {"OPENAI_BASE_URL": server.url, "JINA_READER_URL": web.url, "JINA_API_KEY": KEY}
        output = await run("jina_reader_demo.py", environment)
        assert [request.path for request in web.requests] == [
            "/https://www.rfc-editor.org/rfc/rfc2324.txt",
            "/https://example.org/",
        ]
        assert {request.headers["authorization"] for request in web.requests} == {f"Bearer {KEY}"}
    assert "read 0 to 100 of " in output
    assert output.endswith("# Oslo\n")


# ---- more of some


async def test_the_game_on_a_terminal() -> None:
    """What is typed is played; the end of the input ends the game."""
    pty = pytest.importorskip("pty")
    terminal, stdin = pty.openpty()
    try:
        os.write(terminal, b"I sneak past the troll.\nI look at its cave.\n\x04")
        output = await run("rpg_demo.py", {}, stdin=stdin)
    finally:
        os.close(stdin)
        os.close(terminal)
    assert "> " in output
    assert "[roll: 8]\n  [change_health: 9]" in output
    assert output.endswith("11 messages. The hero has 9 health and carries: torch, rope.\n")


async def test_leaving_a_stream_of_the_service_cancels_its_run(capsys: pytest.CaptureFixture) -> None:
    async with service() as client, client.stream("POST", "/stream", json={"task": "Where is parcel 911"}) as response:
        async for line in response.aiter_lines():
            if line == "event: tool_started":
                break
        await response.aclose()
        while "(looking up parcel 911 was cancelled)" not in capsys.readouterr().out:
            await asyncio.sleep(0.01)


async def test_leaving_a_tool_of_the_service_cancels_it(capsys: pytest.CaptureFixture) -> None:
    async with service() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/tools/parcel", json={"number": 911}, timeout=0.2)
        while "(looking up parcel 911 was cancelled)" not in capsys.readouterr().out:
            await asyncio.sleep(0.01)


async def test_the_service_tells_what_is_wrong() -> None:
    async with service() as client:
        empty = await client.post("/run", json={"task": " "})
        failing = await client.post("/run", json={"task": "Where is it?"})  # which the script cannot answer
        stream = await client.post("/stream", json={"task": "Where is it?"})
    assert (empty.status_code, empty.json()["detail"][0]["loc"]) == (422, ["body", "task"])
    assert (failing.status_code, failing.json()["error"][:40]) == (502, "The server answered 400: The script fail")
    assert stream.status_code == 200
    assert re.findall("^event: (.*)$", stream.text, re.MULTILINE)[-1] == "run_failed"


@asynccontextmanager
async def service() -> AsyncIterator[httpx.AsyncClient]:
    """The application of fastapi_demo.py on a loopback port, in this event loop, and a client for it."""
    app = runpy.run_path(str(EXAMPLES / "fastapi_demo.py"))["app"]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
                yield client
        finally:
            server.should_exit = True
            await serving


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_the_service_without_its_packages(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit, match=rf"^{package} is not installed.*: pip install fastapi uvicorn$"):
        runpy.run_path(str(EXAMPLES / "fastapi_demo.py"))


# ---- the notebook


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("own_home")
async def test_the_notebook() -> None:
    notebook = await executed()
    printed = ["".join(out["text"] for out in outputs if out["output_type"] == "stream") for outputs in notebook]
    shown = [out["data"]["text/plain"] for outputs in notebook for out in outputs if out["output_type"] != "stream"]
    assert [text.startswith("Offline: ") for text in printed] == [True, False, True, True, True]
    assert printed[0].endswith("\nPaper catches fire at about 232.8 °C.\n")
    assert printed[2].endswith("\n32 °F = 0.0 °C\n100 °F = 37.8 °C\nWater freezes at 0 °C; a fever is 37.8 °C.")
    assert printed[3].endswith("\nopened\nclosed\nNoted. Milk, too.\n")
    assert shown == [
        "('success', 2, 232.8)",
        "['flour', 'eggs', 'milk']",
        "{0: -17.8, 25: -3.9, 50: 10.0, 75: 23.9, 100: 37.8}",
    ]


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("own_home")
async def test_the_notebook_with_a_server_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(request: ScriptedRequest):
        if "tools" in request.body:
            last = request.messages[-1]
            return call("celsius", fahrenheit=50) if last["role"] == "user" else "The server's own answer."
        return "```python\nfinal_answer('The server, too')\n```"

    async with ScriptedServer(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        notebook = await executed()
    texts = [str(out.get("text") or out["data"]["text/plain"]) for outputs in notebook for out in outputs]
    assert texts[0] == "The server's own answer.\n"
    assert texts[-1] == "'The server, too'"
    assert "Offline" not in "".join(texts)


async def executed() -> list[list[dict]]:
    """The outputs of the code cells of the notebook, which is stored without any."""
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", 4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * len(cells)
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    await NotebookClient(notebook, timeout=60, kernel_name="python3").async_execute()
    return [cell.outputs for cell in cells]
