"""`Terminal`: a run as a person sees it, live or piped, with rich and without."""

from __future__ import annotations

import asyncio
import io
import re
import sys

import pytest

from tinyagent import Call, FatalToolError, LimitReached, Limits, ReactAgent, Reply, Retry, Tool, Usage
from tinyagent.cli.show import LINE, Terminal, describe_call, footer
from tinyagent.core.context import Context
from tinyagent.core.events import Notice, RunFinished
from tinyagent.core.result import Metadata, RunResult
from tinyagent.models.scripted import ScriptedModel
from tinyagent.testing import call

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


async def work(context: Context) -> str:
    """Tell how far it is."""
    context.progress("half way")
    return "x" * 500


@pytest.fixture(autouse=True)
def colours(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def without_rich(monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "rich":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)


def result_of(**changes):
    values = {
        "output": "ok",
        "state": "success",
        "messages": (),
        "steps": (),
        "usage": Usage(),
        "metadata": Metadata("r1", "agent", "model", 0.0, 1.234),
    }
    return RunResult(**(values | changes))


async def show(replies, tools=(), *, out=None, trace=None, live=True, **options):
    """What the terminal shows of a run: its standard output, and its trace where that is another stream."""
    out = out or io.StringIO()
    terminal = Terminal(out, trace, live=live)
    await terminal.show(ReactAgent(tools, model=ScriptedModel(replies), **options).stream("Go."))
    return out.getvalue()


ADDING = [Reply("Let me add.", (call("add", a=2, b=3),), finish_reason="tool_calls"), "The sum is 5."]


# ---- live


async def test_a_live_run_shows_text_calls_results_and_a_footer_in_order():
    lines = (await show(ADDING, [add])).splitlines()
    assert lines[:2] == ["Let me add.", "→ add(a=2, b=3)"]
    assert re.fullmatch(r"← add: 5 \(\d+\.\d\d s\)", lines[2])
    assert lines[3] == "The sum is 5."
    assert re.fullmatch(r"2 steps · tokens not counted · \d+\.\d\d s", lines[4])
    assert len(lines) == 5


async def test_text_is_shown_as_it_streams():
    out, shown = io.StringIO(), []
    heard = asyncio.Event()

    async def model(request, sink):
        sink.text("The sum ")
        await heard.wait()
        sink.text("is 5.")
        return Reply("The sum is 5.")

    showing = asyncio.create_task(Terminal(out).show(ReactAgent(model=model).stream("Go.")))
    async with asyncio.timeout(10):
        while "sum" not in out.getvalue():
            await asyncio.sleep(0)
        shown.append(out.getvalue())
        heard.set()
        await showing
    assert shown == ["The sum "]
    assert out.getvalue().startswith("The sum is 5.\n")


async def test_a_failed_call_is_marked_with_its_error():
    lines = (await show([call("fail", why="no luck"), "ok"], [fail])).splitlines()
    assert lines[0] == '→ fail(why="no luck")'
    assert re.fullmatch(r"✗ fail: ValueError: no luck \(\d+\.\d\d s\)", lines[1])


async def test_progress_and_long_results_are_short_lines():
    lines = (await show([call("work"), "ok"], [work])).splitlines()
    assert lines[:2] == ["→ work()", "  work: half way"]
    assert re.fullmatch(r"← work: x{99}… \(\d+\.\d\d s\)", lines[2])


async def test_calls_of_inner_agents_are_indented_and_a_handoff_is_shown():
    model = ScriptedModel([call("helper", task="Add."), call("transfer_to_closer")])
    inner = ScriptedModel([call("add", a=1, b=2), "It is 3."])
    helper = ReactAgent([add], model=inner, name="helper", description="Helps.")
    closer = ReactAgent(model=ScriptedModel(["Bye."]), name="closer")
    out = io.StringIO()
    await Terminal(out).show(ReactAgent([helper], model=model, handoffs=[closer]).stream("Go."))
    lines = [re.sub(r" \(\d.*", "", line) for line in out.getvalue().splitlines()]
    assert lines[:4] == ['→ helper(task="Add.")', "  → add(a=1, b=2)", "  ← add: 3", "← helper: It is 3."]
    assert lines[-3:-1] == ["⇒ closer goes on", "Bye."]


async def test_reasoning_is_shown_on_lines_of_its_own():
    lines = (await show([Reply("42", reasoning="Six times seven.")])).splitlines()
    assert lines[:2] == ["Six times seven.", "42"]


async def test_retries_notices_and_limits_are_shown():
    out = io.StringIO()
    terminal = Terminal(out)
    terminal.event(Retry("model", 2, 0.5, "ServerError:\n busy"))
    terminal.event(Notice("using the text protocol"))
    terminal.event(LimitReached("tokens", 50000))
    terminal.event(LimitReached("seconds", 0.5))
    assert out.getvalue().splitlines() == [
        "↻ model, attempt 2 in 0.5 s: ServerError: busy",
        "! using the text protocol",
        "! The limit of 50000 tokens is reached.",
        "! The limit of 0.5 seconds is reached.",
    ]


async def test_the_step_limit_and_the_answer_that_follows_are_shown():
    shown = await show([call("add", a=1, b=1), "Best guess: 2."], [add], limits=Limits(steps=1))
    assert "! The limit of 1 steps is reached.\nBest guess: 2.\n2 steps" in shown


async def test_a_cut_answer_is_marked():
    shown = await show([Reply("It was a dark and", finish_reason="length")])
    assert "It was a dark and\n! The answer was cut by the token limit.\n1 step ·" in shown


async def test_an_answer_that_is_no_text_is_printed():
    submit = Tool(lambda points: {"sum": sum(points)}, name="submit", returns_answer=True)
    shown = await show([call("submit", points=[1, 2])], [submit])
    assert "{'sum': 3}\n1 step" in shown


async def test_an_answer_that_a_tool_gave_as_text_is_printed():
    submit = Tool(lambda text: f"Submitted: {text}", name="submit", returns_answer=True)
    lines = (await show([Reply("Done.", (call("submit", text="hi"),))], [submit])).splitlines()
    assert lines[-2] == "Submitted: hi"


@pytest.mark.parametrize("live", [True, False])
async def test_an_answer_of_a_model_that_does_not_stream_is_printed_once(live):
    async def silent(request, sink):
        return Reply("The sum is 5.")

    out = io.StringIO()
    await Terminal(out, live=live).show(ReactAgent(model=silent).stream("Go."))
    assert out.getvalue().splitlines()[0] == "The sum is 5."
    assert out.getvalue().count("The sum is 5.") == 1


@pytest.mark.parametrize("live", [True, False])
async def test_a_failed_run_shows_what_it_had_and_raises(live):
    async def stop() -> str:
        raise FatalToolError("the disk is full")

    out, model = io.StringIO(), ScriptedModel([ADDING[0], call("stop")])
    with pytest.raises(FatalToolError):
        await Terminal(out, live=live).show(ReactAgent([stop, add], model=model).stream("Go."))
    lines = out.getvalue().splitlines()
    assert "→ add(a=2, b=3)" in lines
    assert "→ stop()" in lines
    assert re.fullmatch(r"\d steps? · tokens not counted · \d+\.\d\d s", lines[-1])


async def test_show_returns_the_result():
    run = ReactAgent(model=ScriptedModel(["ok"])).stream("Go.")
    assert (await Terminal(io.StringIO()).show(run)) == run.result


@pytest.mark.parametrize(("encoding", "text"), [("ascii", "18 °C"), ("utf-8", "half a smile: \ud83d")])
@pytest.mark.parametrize("live", [True, False])
async def test_text_that_the_stream_cannot_write_is_no_crash(encoding, text, live):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    run = ReactAgent([add], model=ScriptedModel([ADDING[0], text])).stream("Go.")
    result = await Terminal(out, io.StringIO(), live=live).show(run)
    assert result.output == text
    assert text.split()[0] in out.buffer.getvalue().decode()


def test_the_terminal_writes_to_standard_output_by_default(capsys):
    Terminal().event(RunFinished(result_of(output={"a": 1})))
    assert capsys.readouterr().out == "{'a': 1}\n0 steps · tokens not counted · 1.23 s\n"


# ---- piped


async def test_a_piped_run_writes_the_answer_alone_and_its_trace_elsewhere():
    trace = io.StringIO()
    assert await show(ADDING, [add], trace=trace, live=False) == "The sum is 5.\n"
    assert trace.getvalue().splitlines()[0] == "→ add(a=2, b=3)"
    assert "2 steps ·" in trace.getvalue()
    assert "The sum" not in trace.getvalue()


async def test_piped_reasoning_goes_to_the_trace():
    trace = io.StringIO()
    assert await show([Reply("42", reasoning="Six times seven.")], trace=trace, live=False) == "42\n"
    assert trace.getvalue().startswith("Six times seven.\n1 step ·")


async def test_piped_answers_that_are_no_text_are_printed():
    submit = Tool(lambda points: sum(points, 1), name="submit", returns_answer=True)
    trace = io.StringIO()
    assert await show([call("submit", points=[1, 2])], [submit], trace=trace, live=False) == "4\n"


# ---- colours


@pytest.mark.usefixtures("without_rich")
@pytest.mark.parametrize("stream", [Screen, io.StringIO])
async def test_without_rich_there_are_no_colours(stream):
    out = stream()
    shown = await show(ADDING, [add], out=out)
    assert "\x1b" not in shown
    assert "→ add(a=2, b=3)\n← add: 5 (" in shown


async def test_off_a_terminal_there_are_no_colours():
    assert "\x1b" not in await show(ADDING, [add])


async def test_on_a_terminal_the_trace_is_coloured_and_the_answer_is_not():
    shown = await show(ADDING, [add], out=Screen())
    assert re.search(r"\x1b\[[0-9;]*36m→ add\(a=2, b=3\)\x1b\[0m\n", shown)  # cyan
    assert re.search(r"\x1b\[[0-9;]*32m← add: 5 \(\d\.\d\d s\)\x1b\[0m\n", shown)  # green
    assert "\nThe sum is 5.\n" in shown
    assert ESCAPE.sub("", shown).splitlines()[:2] == ["Let me add.", "→ add(a=2, b=3)"]


async def test_on_a_terminal_a_failed_call_is_red():
    assert re.search(r"\x1b\[[0-9;]*31m✗ fail", await show([call("fail", why="x"), "ok"], [fail], out=Screen()))


@pytest.mark.parametrize("text", ["[bold]not markup[/bold]", "a  b   c", " :smile: ", "x" * 400, "two\nlines", "[/]"])
async def test_colours_never_change_the_text(text):
    shown = await show([Reply("ok", reasoning=text)], out=Screen())
    assert ESCAPE.sub("", shown).startswith(f"{text}\nok\n")


async def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", await show(ADDING, [add], out=Screen()))


# ---- lines


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({}, "tool()"),
        ({"city": "Tromsø", "days": 3}, 'tool(city="Tromsø", days=3)'),
        ({"deep": {"a": [1, None, True]}}, 'tool(deep={"a": [1, null, true]})'),
        ({"text": "two\nlines"}, 'tool(text="two\\nlines")'),
    ],
)
def test_a_call_is_described_as_it_would_be_written(arguments, shown):
    assert describe_call(Call("tool", arguments)) == shown


def test_a_long_call_is_shortened():
    described = describe_call(Call("tool", {"text": "x" * 1000}))
    assert described.startswith('tool(text="xxx')
    assert described.endswith("…)")
    assert len(described) == LINE + len("tool()")


@pytest.mark.parametrize(
    ("steps", "usage", "shown"),
    [
        (1, Usage(1, 1200, 34), "1 step · 1,200 → 34 tokens · 1.23 s"),
        (2, Usage(2), "2 steps · tokens not counted · 1.23 s"),
        (0, Usage(), "0 steps · tokens not counted · 1.23 s"),
    ],
)
def test_the_footer_has_steps_tokens_and_seconds(steps, usage, shown):
    assert footer(result_of(steps=(None,) * steps, usage=usage)) == shown
