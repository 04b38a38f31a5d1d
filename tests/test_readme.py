"""Every Python snippet of the README runs, in order, against a scripted server."""

import builtins
import dis
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from tinyagent.testing import ScriptedRequest, ScriptedServer, call

README = Path(__file__).parent.parent / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def reply(request: ScriptedRequest):
    """Calls the tool that is on offer, then answers."""
    asked = request.messages[-1]
    tools = [tool["function"] for tool in request.body.get("tools", [])]
    if asked["role"] == "user" and tools:
        return call(tools[0]["name"], **dict.fromkeys(tools[0]["parameters"].get("required", []), "Lisbon"))
    if "You solve tasks by writing Python" in request.messages[0]["content"]:
        return "```python\nfound = await weather('Lisbon')\nprint(found)\nfinal_answer({'sunny': found})\n```"
    return f"Answer to {len(request.messages)} messages"


async def test_every_snippet_runs(tmp_path: Path) -> None:
    program = tmp_path / "readme.py"
    program.write_text("\n\n".join(SNIPPETS), encoding="utf-8")
    async with ScriptedServer(reply) as server:
        output = await run(program, server.url)
    assert output.count("Answer to 3 messages") >= 3
    assert "Sunny and 21 °C in Lisbon" in output
    assert "You said: Hello" in output
    assert "\n2\n['run_started', 'tool_started', 'tool_finished', 'run_finished'] 3\n3 notes\n" in output
    assert "('expert:" in output
    assert "expert\n" in output
    assert "Answer to 7 messages\n['user-7'] 8\n" in output
    assert "paused\nMay delete_note be called? delete_note {'title': 'Lisbon'}\nAnswer to 3 messages\n" in output
    assert "{'sunny': 'Sunny and 21 °C in Lisbon'}" in output
    assert f"hello\n {len('Sunny and 21 °C in Lisbon')} None (Observation(" in output


ALONE = [snippet for snippet in SNIPPETS if not snippet.startswith("# goes on from ")]


@pytest.mark.parametrize("snippet", ALONE, ids=lambda snippet: snippet.splitlines()[-1])
async def test_a_snippet_that_does_not_go_on_from_another_runs_alone(snippet: str, tmp_path: Path) -> None:
    program = tmp_path / "snippet.py"
    program.write_text(snippet, encoding="utf-8")
    async with ScriptedServer(reply) as server:
        await run(program, server.url)


@pytest.mark.parametrize("snippet", ALONE, ids=lambda snippet: snippet.splitlines()[-1])
def test_nor_do_its_functions_that_nobody_calls_need_another(snippet: str) -> None:
    codes = [compile(snippet, "snippet", "exec")]
    for code in codes:
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    used = {step.argval for code in codes for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    assert used <= {*codes[0].co_names, *dir(builtins)}


def test_the_readme_says_so() -> None:
    assert "runs as it stands, unless its first line says that it goes on from one above" in README.read_text("utf-8")
    assert 5 < len(ALONE) < len(SNIPPETS)


async def test_the_ten_lines_run_alone(tmp_path: Path) -> None:
    program = tmp_path / "ten_lines.py"
    program.write_text(SNIPPETS[0], encoding="utf-8")
    async with ScriptedServer(reply) as server:
        assert await run(program, server.url) == "Answer to 3 messages\n"
        answered = server.requests[-1].messages[-1]
    assert answered["content"] == "Sunny and 21 °C in Lisbon"


@pytest.mark.parametrize("command", ["make demo", "make test", "tinyagent demo", "tinyagent run"])
def test_the_commands_are_shown(command: str) -> None:
    assert command in README.read_text(encoding="utf-8")


async def run(program: Path, base_url: str) -> str:
    """What the program prints; it must succeed, and say nothing on standard error."""
    import asyncio

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(program),
        cwd=program.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"OPENAI_BASE_URL": base_url, "PYTHONUTF8": "1", "PATH": ""},
    )
    output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    return output.decode()
