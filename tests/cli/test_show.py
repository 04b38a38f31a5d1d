"""`Terminal`: a run as a person sees it, live or piped, with rich and without."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import functools
import io
import math
import re
import sys
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings

from tests.core.trees import values
from tinyagent import Call, FatalToolError, Limits, ReactAgent, Reply, Retry, TinyCodeAgent, Tool, Usage
from tinyagent.cli.show import LINE, Terminal, describe_call, footer
from tinyagent.core.context import Context
from tinyagent.core.events import (
    CallSealed,
    CodeFinished,
    CodeOutput,
    HandedOver,
    InnerEvent,
    Notice,
    ReasoningDelta,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    TextVoided,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from tinyagent.core.result import CodeError, Execution, Observation, RunInfo, RunResult
from tinyagent.events import LimitHit
from tinyagent.sandbox.process import default_sandbox
from tinyagent.testing import call
from tinyagent.testing.scripted import ScriptedModel

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
        "info": RunInfo("r1", "agent", "model", 0.0, 1.234),
    }
    return RunResult(**(values | changes))


@pytest.fixture
def sandboxed():
    """A maker of code agents."""
    return functools.partial(TinyCodeAgent, sandbox=default_sandbox())


async def show(replies, tools=(), *, out=None, trace=None, live=True, agent=ReactAgent, **options):
    """What the terminal shows of a run: its standard output, and its trace where that is another stream."""
    out = out or io.StringIO()
    terminal = Terminal(out, trace, live=live)
    await terminal.show(agent(tools, model=ScriptedModel(replies), **options).stream("Go."))
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
    terminal.event(LimitHit("tokens", 50000))
    terminal.event(LimitHit("seconds", 0.5))
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


# ---- hostile text

HOSTILE = "a\x1b]52;c;ZXZpbA==\x07b\x1b[2Jc\x9b31md\u202ee\u2066f\u200bg\u2028h\ufeffi\x08j\rk\tl"
SEEN = r"a\x1b]52;c;ZXZpbA==\x07b\x1b[2Jc\x9b31md\u202ee\u2066f\u200bg\u2028h\ufeffi\x08j"


def hidden_in(shown):
    """What of a shown text a terminal would obey or hide, but for the colours of our own."""
    hidden = ("Cc", "Cs", "Zl", "Zp")
    letters = [letter for letter in ESCAPE.sub("", shown) if letter not in "\n\t"]
    return [
        letter for letter in letters if unicodedata.category(letter) in hidden or letter in "\u202e\u2066\u200b\ufeff"
    ]


def hostile_call(**arguments):
    return Call(HOSTILE, arguments, "c1")


HOSTILE_EVENTS = [
    TextDelta(HOSTILE),
    ReasoningDelta(HOSTILE),
    ToolStarted(hostile_call(**{HOSTILE: HOSTILE, "deep": [{HOSTILE: {HOSTILE}}]})),
    ToolProgress(hostile_call(), HOSTILE),
    ToolFinished(Observation(hostile_call(), HOSTILE, HOSTILE)),
    ToolFinished(Observation(hostile_call(), HOSTILE, error=HOSTILE)),
    InnerEvent((HOSTILE,), ToolFinished(Observation(hostile_call(), HOSTILE))),
    HandedOver(HOSTILE, HOSTILE),
    CodeOutput(HOSTILE),
    CodeFinished(1, Execution("x", repr=HOSTILE)),
    CodeFinished(1, Execution("x", error=CodeError(HOSTILE, HOSTILE, HOSTILE))),
    Retry(HOSTILE, 2, 0.5, HOSTILE),
    Notice(HOSTILE),
    LimitHit(HOSTILE, 1),
    RunFinished(result_of(output=HOSTILE)),
    RunFinished(result_of(output={HOSTILE: [HOSTILE]})),
]


@pytest.mark.parametrize("screen", [Screen, io.StringIO])
@pytest.mark.parametrize("event", HOSTILE_EVENTS, ids=lambda event: type(event).__name__)
def test_nothing_in_an_event_is_obeyed_by_a_terminal(event, screen):
    out = screen()
    Terminal(out).event(event)
    assert hidden_in(out.getvalue()) == []
    assert r"a\x1b]52" in out.getvalue()


@pytest.mark.usefixtures("without_rich")
@pytest.mark.parametrize("event", HOSTILE_EVENTS, ids=lambda event: type(event).__name__)
def test_nothing_is_obeyed_without_rich_either(event):
    out = Screen()
    Terminal(out).event(event)
    assert hidden_in(out.getvalue()) == []


@pytest.mark.parametrize("kind", [TextDelta, ReasoningDelta, CodeOutput])
def test_an_escape_sequence_that_comes_in_parts_is_not_obeyed(kind):
    out = io.StringIO()
    terminal = Terminal(out)
    for letter in HOSTILE + "\r\n!":
        terminal.event(kind(letter))
    assert out.getvalue() == f"{SEEN}\nk\tl\n!"


def test_a_line_of_the_trace_is_one_line():
    """So that a name or a value cannot imitate another line of the trace."""
    for event in [
        ToolStarted(Call("x\n← add: 5", {"b\r← add": "c\n← add: 5"})),
        ToolFinished(Observation(Call("x\n← add"), "a\r\n\x85\u2028← add")),
        Notice("a\n← add"),
        HandedOver("a\r\n← add", "m"),
        LimitHit("a\n← add", 1),
    ]:
        out = io.StringIO()
        Terminal(out).event(event)
        assert len(out.getvalue().splitlines()) == 1
        assert out.getvalue().endswith("\n")


async def test_hostile_output_of_code_is_shown_and_not_obeyed(sandboxed):
    code = "print('\\x1b]0;owned\\x07\\x1b]52;c;ZXZpbA==\\x07\\x1b[2J\\u202e', end='')\nraise ValueError('\\x1b[31m')"
    shown = await show([f"```python\n{code}\n```", "```python\nfinal_answer(1)\n```"], agent=sandboxed, out=Screen())
    assert hidden_in(shown) == []
    assert "\\x1b]0;owned\\x07\\x1b]52;c;ZXZpbA==\\x07\\x1b[2J\\u202e" in ESCAPE.sub("", shown)
    assert "✗ ValueError: \\x1b[31m" in ESCAPE.sub("", shown)


async def test_an_answer_goes_into_a_pipe_as_it_is_and_onto_a_terminal_safely():
    assert await show([HOSTILE], trace=io.StringIO(), live=False) == f"{HOSTILE}\n"
    assert await show([HOSTILE], out=Screen(), trace=io.StringIO(), live=False) == f"{SEEN}\nk\tl\n"


@pytest.mark.parametrize("text", ["a\tb\n\tc", "👨\u200d💻 می\u200cخواهم", "a\xa0b\u3000c"], ids=ascii)
def test_ordinary_text_stays_as_it_is(text):
    for event in (TextDelta, ReasoningDelta, CodeOutput):
        out = Screen()
        terminal = Terminal(out)
        for letter in text:
            terminal.event(event(letter))
        assert ESCAPE.sub("", out.getvalue()) == text


# ---- values that are no JSON


@settings(suppress_health_check=list(HealthCheck))
@given(values)
def test_no_value_stops_the_show(value):
    described = describe_call(Call("tool", {"value": value}))
    assert described.startswith("tool(value=")
    assert hidden_in(described) == []
    terminal = Terminal(io.StringIO())
    terminal.event(ToolProgress(Call("tool"), value))
    terminal.event(RunFinished(result_of(output=value)))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (dt.date(2024, 1, 31), '"2024-01-31"'),
        (decimal.Decimal("1.10"), '"1.10"'),
        ({5}, "[5]"),
        (b"abc", '"YWJj"'),
        ({(1, 2): "x"}, '{"1,2": "x"}'),
        (2**20_000, '"<int>"'),
        ("\ud83d", '"\\ud83d"'),
        (math.nan, '"NaN"'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_arguments_that_are_no_json_are_described(value, shown):
    assert describe_call(Call("tool", {"a": value})) == f"tool(a={shown})"


async def test_code_may_pass_and_answer_what_is_no_json(sandboxed):
    def take(value: object) -> str:
        return type(value).__name__

    code = (
        "import datetime, decimal\n"
        "for value in [datetime.date(2024, 1, 31), decimal.Decimal('1.1'), {1}, b'abc', {(1, 2): 3}]:\n"
        "    take(value)\n"
        "final_answer([datetime.date(2024, 1, 31), {1, 2}, decimal.Decimal('1.1')])"
    )
    shown = await show([f"```python\n{code}\n```"], [take], agent=sandboxed)
    assert '→ take(value="2024-01-31")' in shown
    assert "← take: Decimal" in shown
    assert "[datetime.date(2024, 1, 31), {1, 2}, Decimal('1.1')]\n1 step" in shown


# ---- blocks of code

BLOCKS = [
    "```python\nx = 1\ny = 2\n```",
    "```python\nx = '''\n```\n'''\ny = 2\n```",
    "~~~py\nx = 1\n~~~",
    "````python\nx = 1\n````",
    "<code>\nx = 1\n</code>",
    "```json\n{}\n```",
    "```\nbare\n```",
]
MEANWHILE = [
    ToolStarted(Call("add", {"a": 1}, "c1")),
    ToolFinished(Observation(Call("add", {"a": 1}, "c1"), "3")),
    InnerEvent(("helper:c2",), ToolStarted(Call("look", {}, "c3"))),
    CodeOutput("printed"),
    CodeFinished(1, Execution("x")),
    Notice("note"),
    Retry("add", 2, 0.5, "busy"),
    ReasoningDelta("hm"),
    LimitHit("tokens", 5),
]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_nothing_is_written_into_an_open_block(block, size):
    text = f"Look:\n\n{block}\nThen\n{block}\n"
    starts = [text.index(block), text.rindex(block)]
    for at in range(0, len(text), size):
        for event in MEANWHILE:
            out = io.StringIO()
            terminal = Terminal(out)
            terminal.event(TextDelta(text[:at]))
            terminal.event(event)
            for place in range(at, len(text), size):
                terminal.event(TextDelta(text[place : place + size]))
            terminal.event(RunFinished(result_of(output=0)))
            shown = out.getvalue()
            assert shown.count(block) == 2, shown
            assert len(shown.splitlines()) > len(text.splitlines()) + 2
            inside = any(start < at < start + len(block) for start in starts)
            assert inside or text[:at] in shown[: at + 2]


def test_what_is_held_comes_as_soon_as_the_closing_fence_is_there():
    out = io.StringIO()
    terminal = Terminal(out)
    for event in [TextDelta("```python\nx = f()\n"), MEANWHILE[0], CodeOutput("printed\n"), TextDelta("``")]:
        terminal.event(event)
    assert out.getvalue() == "```python\nx = f()\n``"
    terminal.event(TextDelta("`"))
    assert out.getvalue() == "```python\nx = f()\n```\n→ add(a=1)\nprinted\n"


@pytest.mark.parametrize(
    "end", [StepStarted(2), StepFinished(None), TextVoided("```python\nx = 1"), CallSealed(Call("add"))]
)
def test_a_block_that_is_never_closed_holds_nothing_for_longer_than_its_reply(end):
    out = io.StringIO()
    terminal = Terminal(out)
    for event in [TextDelta("```python\nx = 1"), MEANWHILE[0], end, MEANWHILE[1]]:
        terminal.event(event)
    shown = [line for line in out.getvalue().splitlines() if line[0] != "↶"]
    assert shown == ["```python", "x = 1", "→ add(a=1)", "← add: 3 (0.00 s)"]


async def test_tools_of_code_are_shown_below_the_block_that_calls_them(sandboxed):
    """As a model writes it, letter by letter, while its calls run."""
    started = asyncio.Event()

    def look() -> int:
        started.set()
        return 5

    code = "```python\nx = look()\nprint(x)\ny = x + 1\nfinal_answer(y)\n```"

    async def model(request, sink):
        for letter in code:
            sink.text(letter)
            if letter == "1":
                await started.wait()
        return Reply(code)

    out = io.StringIO()
    async with asyncio.timeout(20):
        await Terminal(out).show(sandboxed([look], model=model).stream("Go."))
    lines = re.sub(r" \(\d.*", "", out.getvalue()).splitlines()
    assert lines == [*code.splitlines(), "→ look()", "← look: 5", "5", "✓ ran", "6", lines[-1]]


# ---- the answer


async def test_an_answer_of_code_is_shown_once(sandboxed):
    code = "```python\nfinal_answer('The sum is ' + str(5))\n```"
    lines = (await show([code], agent=sandboxed)).splitlines()
    assert re.sub(r" \(\d.*", "", lines[3]) == "✓ ran"
    assert lines[:3] == code.splitlines()
    assert lines[4] == "The sum is 5"
    assert len(lines) == 6


async def test_an_answer_that_is_refused_is_shown(sandboxed):
    replies = ["```python\nfinal_answer(object())\n```", "```python\nfinal_answer(1)\n```"]
    shown = await show(replies, agent=sandboxed)
    assert "✗ final_answer: TypeError: a object cannot leave the sandbox" in shown
    assert "\n1\n2 steps" in shown


async def test_an_answer_that_a_tool_gives_is_shown_once():
    submit = Tool(lambda text: f"Submitted: {text}", name="submit", returns_answer=True)
    lines = (await show([call("submit", text="hi")], [submit])).splitlines()
    assert lines[:2] == ['→ submit(text="hi")', "Submitted: hi"]
    assert len(lines) == 3


def test_an_answer_that_comes_again_after_a_retry_is_not_printed_a_third_time():
    out = io.StringIO()
    terminal = Terminal(out)
    again = [TextVoided("It i"), Retry("model", 2, 0.1, "cut")]
    for event in [StepStarted(1), TextDelta("It i"), *again, TextDelta("It is 5.")]:
        terminal.event(event)
    terminal.event(RunFinished(result_of(output="It is 5.")))
    said = ["It i", "↶ That does not count: It i", "↻ model, attempt 2 in 0.1 s: cut", "It is 5."]
    assert out.getvalue().splitlines()[:4] == said
    assert out.getvalue().count("It is 5.") == 1
