"""`tinyagent demo`: offline by itself, and with the model of the environment where there is one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import subprocess
import sys

import pytest

from tinyagent.cli.demo import CODE_ANSWER, CODE_BOTH, CODE_REPAIR, QUESTION, script, to_fahrenheit, weather
from tinyagent.cli.main import main
from tinyagent.core.messages import Reply
from tinyagent.testing import RawReply, call
from tinyagent.testing.loopback import ScriptedRequest

ANSWER = "Rome is 26.1 Fahrenheit degrees warmer than Oslo today (18.5 °C against 4 °C)."


class Recorder(io.StringIO):
    """Standard output that remembers each write."""

    def __init__(self):
        super().__init__()
        self.writes = []

    def write(self, text):
        self.writes.append(text)
        return super().write(text)


@pytest.fixture(scope="module")
def offline():
    """One run of the offline demo: its exit status and what it wrote."""
    out = Recorder()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
            patch.delenv(name, raising=False)
        return main(["demo", "What is love?"]), out


def test_the_offline_demo_succeeds(offline):
    assert offline[0] == 0


def test_the_offline_demo_says_in_one_line_that_it_is_offline(offline):
    lines = offline[1].getvalue().splitlines()
    assert lines[0].startswith("Offline: ")
    assert sum("ffline" in line for line in lines) == 1


def test_the_offline_demo_says_that_it_cannot_answer_other_questions(offline):
    assert "It can only answer its own question, not 'What is love?'." in offline[1].getvalue().splitlines()


def test_the_offline_demo_shows_its_question_and_its_answer(offline):
    lines = offline[1].getvalue().splitlines()
    assert QUESTION in lines
    assert ANSWER in lines
    assert lines.index(QUESTION) < lines.index(ANSWER)


def test_the_offline_demo_shows_each_call_with_arguments_result_and_time(offline):
    lines = offline[1].getvalue().splitlines()
    calls = [line for line in lines if line.startswith("→")]
    results = [re.sub(r"\d+\.\d\d s", "# s", line) for line in lines if line.startswith("←")]
    assert sorted(calls) == [
        "→ to_fahrenheit(celsius_difference=14.5)",
        '→ weather(city="Oslo")',
        '→ weather(city="Rome")',
    ]
    assert sorted(results) == [
        "← to_fahrenheit: 26.1 (# s)",
        '← weather: {"city":"Oslo","celsius":4.0} (# s)',
        '← weather: {"city":"Rome","celsius":18.5} (# s)',
    ]


def test_the_offline_demo_runs_both_lookups_at_once(offline):
    lines = offline[1].getvalue().splitlines()
    weather_lines = [line[0] for line in lines if "weather" in line]
    assert weather_lines == ["→", "→", "←", "←"]


def test_the_offline_demo_ends_with_steps_tokens_and_seconds(offline):
    last = offline[1].getvalue().splitlines()[-1]
    assert re.fullmatch(r"3 steps · [1-9][\d,]* → [1-9][\d,]* tokens · \d+\.\d\d s", last)


def test_the_offline_demo_writes_text_as_it_streams(offline):
    words = [text for text in offline[1].writes if text.strip() in ANSWER.split()]
    assert [word.strip() for word in words][-len(ANSWER.split()) :] == ANSWER.split()


async def test_with_a_server_in_the_environment_the_demo_asks_it(scripted_server, monkeypatch, capsys):
    replies = [[call("weather", city="Lima"), call("weather", city="Atlantis")], "Lima has 19 °C."]
    async with scripted_server(replies) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        status = await asyncio.to_thread(main, ["demo", "How warm is Lima?", "--model", "my-model"])
    shown = capsys.readouterr().out
    assert status == 0
    assert "ffline" not in shown
    assert "\nHow warm is Lima?\n" in shown
    assert '← weather: {"city":"Lima","celsius":19.0}' in shown
    assert "✗ weather: LookupError: no weather for 'Atlantis'; there is oslo, rome, lima, cairo" in shown
    assert "\nLima has 19 °C.\n2 steps ·" in shown
    first = server.requests[0]
    assert (first.body["model"], first.body["stream"]) == ("my-model", True)
    assert first.messages[1] == {"role": "user", "content": "How warm is Lima?"}
    assert [tool["function"]["name"] for tool in first.body["tools"]] == ["weather", "to_fahrenheit"]


async def test_with_a_server_and_no_question_the_demo_asks_its_own(scripted_server, monkeypatch, capsys):
    async with scripted_server(["Much warmer."]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        monkeypatch.setenv("OPENAI_MODEL", "environment-model")
        assert await asyncio.to_thread(main, ["demo"]) == 0
    assert server.requests[0].messages[1]["content"] == QUESTION
    assert server.requests[0].body["model"] == "environment-model"
    assert server.requests[0].headers["authorization"] == "Bearer secret"
    assert "Much warmer." in capsys.readouterr().out


async def test_a_demo_whose_server_fails_says_so(scripted_server, monkeypatch, capsys):
    async with scripted_server([RawReply({"error": {"message": "who are you?"}}, 401)]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert await asyncio.to_thread(main, ["demo"]) == 1
    assert "tinyagent: AuthenticationError: " in capsys.readouterr().err


async def test_the_demos_tools():
    assert await weather("ROME") == {"city": "ROME", "celsius": 18.5}
    assert to_fahrenheit(14.5) == 26.1


def request(*results):
    messages = [{"role": "user", "content": QUESTION}]
    messages += [{"role": "tool", "content": result} for result in results]
    return ScriptedRequest({"messages": messages}, b"", {}, "/v1/chat/completions", 1)


def test_the_demos_script_builds_on_the_results():
    first = script(request())
    assert isinstance(first, Reply)
    assert [item.arguments for item in first.calls] == [{"city": "Rome"}, {"city": "Oslo"}]
    assert script(request("{}", "{}")).arguments == {"celsius_difference": 14.5}
    assert script(request("{}", "{}", "26.1")) == ANSWER


def test_the_demo_is_a_command_that_needs_neither_key_nor_terminal(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(
        [sys.executable, "-m", "tinyagent", "demo"],
        cwd=tmp_path,
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Offline: ")
    assert "It can only answer its own question" not in done.stdout
    assert ANSWER in done.stdout
    assert "\x1b" not in done.stdout


async def test_what_a_server_says_is_printed_and_not_obeyed(scripted_server, monkeypatch, capsys):
    async with scripted_server([RawReply({"error": {"message": "who\x1b]0;owned\x07\u202e"}}, 401)]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert await asyncio.to_thread(main, ["demo", "How\x1b[2J?"]) == 1
    shown = capsys.readouterr()
    assert "who\\x1b]0;owned\\x07\\u202e" in shown.err
    assert "\nHow\\x1b[2J?\n" in shown.out
    assert "\x1b" not in shown.err + shown.out


def test_the_demo_of_code_shows_its_blocks_whole_and_its_answer_once():
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
            patch.delenv(name, raising=False)
        assert main(["demo", "--code"]) == 0
    shown = out.getvalue()
    for reply in (CODE_BOTH, CODE_REPAIR, CODE_ANSWER):
        assert f"{reply}\n" in shown
    assert shown.count("(18.5 °C against 4.0 °C)") == 1
    assert "→ final_answer" not in shown
    assert "← to_fahrenheit: 26.1" in shown
