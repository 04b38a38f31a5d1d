"""Questions at the terminal: one at a time, and what becomes of those that nobody waits for."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import time

import pytest

from tinyagent import Call, Context, Tool
from tinyagent.core import question
from tinyagent.core.question import ask
from tinyagent.policies import Allow, Deny, ask_on_terminal


@pytest.fixture
def keyboard(monkeypatch):
    """What is written to this reaches standard input."""
    reading, writing = os.pipe()
    with open(reading) as stdin, open(writing, "w", buffering=1) as keyboard:  # noqa: PTH123 - they have no path
        monkeypatch.setattr(sys, "stdin", stdin)
        yield keyboard


async def shown(capsys, text):
    """Wait until a text has been shown; return all that was."""
    seen = ""
    while text not in seen:
        await asyncio.sleep(0.001)
        seen += capsys.readouterr().err
    return seen


async def test_a_question_is_answered_by_a_line(keyboard, capsys):
    asking = asyncio.create_task(ask("Who? "))
    assert await shown(capsys, "Who? ") == "Who? "
    keyboard.write("  Me.\n")
    assert await asking == "Me."


async def test_questions_come_one_after_the_other(keyboard, capsys):
    asking = [asyncio.create_task(ask(f"{name}? ")) for name in "ab"]
    assert await shown(capsys, "a? ") == "a? "
    keyboard.write("1\n")
    assert await shown(capsys, "b? ") == "b? "
    keyboard.write("2\n")
    assert await asyncio.gather(*asking) == ["1", "2"]


async def test_a_question_that_is_left_gives_its_line_to_the_next(keyboard, capsys):
    left = asyncio.create_task(ask("May it be paid? "))
    await shown(capsys, "paid? ")
    left.cancel()
    await asyncio.wait([left])
    asking = asyncio.create_task(ask("> "))
    await shown(capsys, "> ")
    keyboard.write("Hello.\n")
    assert await asking == "Hello."


async def test_a_line_that_came_when_nobody_had_asked_answers_nothing(keyboard, capsys):
    left = asyncio.create_task(ask("May it be paid? "))
    await shown(capsys, "paid? ")
    left.cancel()
    await asyncio.wait([left])
    keyboard.write("y\n")
    while not question._line.done():
        await asyncio.sleep(0.001)
    asking = asyncio.create_task(ask("May the other be paid? "))
    await shown(capsys, "other be paid? ")
    keyboard.write("n\n")
    assert await asking == "n"


async def test_the_end_of_the_input_is_no_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert (await ask("1"), await ask("2"), await ask("3")) == ("", None, None)


@pytest.mark.parametrize("stream", ["stdin", "stderr"])
async def test_without_a_terminal_there_is_no_line(stream, monkeypatch):
    closed = io.StringIO("y\n")
    closed.close()
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    for missing in (None, closed):
        monkeypatch.setattr(sys, stream, missing)
        assert await ask("Who? ") is None


async def test_a_line_that_is_typed_as_soon_as_the_question_is_seen_is_its_answer(keyboard, monkeypatch):
    """Also where the question has the line of one that was left."""

    class Screen(io.StringIO):
        def write(self, text):
            keyboard.write("y\n" if "paid" in text else "")
            if text == "And that? ":
                keyboard.write("n\n")
                while not question._line.done():
                    time.sleep(0.001)
            return len(text)

    monkeypatch.setattr(sys, "stderr", Screen())
    assert await ask("May it be paid? ") == "y"
    left = asyncio.create_task(ask("And this? "))
    await asyncio.sleep(0.01)
    left.cancel()
    await asyncio.wait([left])
    assert await asyncio.wait_for(ask("And that? "), 5) == "n"


def pay(amount: int) -> str:
    """Pay."""


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("y", Allow()),
        ("YES", Allow()),
        ("n", Deny()),
        ("", Deny()),
        (None, Deny()),
        ("Too much.", Deny("Too much.")),
    ],
)
async def test_the_policy_asks_and_says_what_the_person_says(line, verdict, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("" if line is None else f"{line}\n"))
    said = await ask_on_terminal(Tool(pay), Call("pay", {"amount": 3}, "c1"), Context(agent="clerk"))
    assert said == verdict
    assert capsys.readouterr().err == 'clerk wants to call pay({"amount": 3})\nAllow it? [y/N, or why not] '


async def test_the_policy_asks_nothing_where_nothing_is_changed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert await ask_on_terminal(Tool(pay, read_only=True), Call("pay", {"amount": 3}, "c1"), Context()) is None
    assert capsys.readouterr().err == ""


async def test_the_person_reads_what_the_tool_gets_and_not_what_the_model_wrote(monkeypatch, capsys):
    """JSON may say a thing twice, and be full of empty lines; only the last one counts."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    raw = '{"amount": 1' + "\n" * 50 + ', "amount": 5000}'
    await ask_on_terminal(Tool(pay), Call("pay", {"amount": 5000, "to": "\u202ea\nb"}, "c1", raw), Context())
    asked = capsys.readouterr().err
    assert asked == 'pay({"amount": 5000, "to": "\\u202ea\\nb"})\nAllow it? [y/N, or why not] '
