"""Every example runs offline, and with a model server from the environment."""

import asyncio
import runpy
import sys
from pathlib import Path

import pytest

from tinyagent.testing import ScriptedServer

EXAMPLES = Path(__file__).parent.parent / "examples"
#: What each prints offline.
EXPECTED = {
    "simple_demo.py": ["12 × 7 ÷ 4 is 21.", "step 1: multiply", "step 2: divide", "= 21.0"],
    "code_demo.py": [
        "← sales(north)",
        "✗ TypeError: unsupported operand type(s) for *: 'NoneType' and 'float'",
        "            north    south     west    total",
        "apples      60.00   100.00    45.00   205.00",
        "Best: apples, 205.00 in all",
    ],
    "react_demo.py": ["→ population", "… asking for Italy", "← area: 385207", "195 people per km²", "2 steps, "],
}


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
async def test_offline(name: str) -> None:
    output = await run(name, {})
    assert output.startswith("Offline: ")
    for text in EXPECTED[name]:
        assert text in output


@pytest.mark.parametrize("name", EXPECTED)
async def test_with_a_server_of_the_environment(name: str) -> None:
    async with ScriptedServer(lambda _: "The server's own answer.") as server:
        output = await run(name, {"OPENAI_BASE_URL": server.url, "OPENAI_MODEL": "my-model"})
        assert server.requests[0].body["model"] == "my-model"
        assert ("tools" in server.requests[0].body) == (name != "code_demo.py")
    assert "The server's own answer." in output
    assert "Offline" not in output


async def run(name: str, environment: dict[str, str]) -> str:
    """What the example prints; it must succeed, and say nothing on standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(EXAMPLES / name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONUTF8": "1", "PATH": "", **environment},
    )
    output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    return output.decode()


async def test_model_or_script_in_this_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    for name in EXPECTED:
        await asyncio.to_thread(runpy.run_path, str(EXAMPLES / name))
    assert capsys.readouterr().out.count("Offline: ") == len(EXPECTED)
