"""Code that runs while its model still writes it, and what happens when the model breaks off."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from tests.agents.kinds import block, known, needs_sandbox, no_session_left
from tinyagent import FatalToolError, ModelError, Notice, Reply, TextDelta, Tool, ToolFinished, Usage, User
from tinyagent.agents.code import TinyCodeAgent
from tinyagent.core import waiting
from tinyagent.core.events import CodeFinished, CodeOutput, CodeStarted
from tinyagent.errors import StreamError
from tinyagent.models.native import message_data
from tinyagent.sandbox.base import SandboxLimits
from tinyagent.sandbox.process import ProcessSandbox
from tinyagent.testing import CUT, RawReply, RawStream, ScriptedModel
from tinyagent.testing.history import fault_of

pytestmark = needs_sandbox

#: Turns of the loop in which something would have begun that must not begin: a call takes about fifty.
A_WHILE = 2_000


@pytest.fixture(autouse=True)
async def _sessions_end():
    yield
    await no_session_left()


def fault(messages):
    return fault_of({"messages": [message_data(message, "") for message in messages]})


def chunk(delta, finish=None):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def told(messages):
    """What the model has read of its blocks."""
    return [message.text for message in messages if isinstance(message, User)][1:]


async def a_while():
    for _ in range(A_WHILE):
        await asyncio.sleep(0)


class Writer:
    """A model that writes each of its replies bit by bit.

    Text is written; an event is waited for; a function is called. The reply is what was written, unless a `Reply`
    or an exception ends it.
    """

    def __init__(self, *replies):
        self.replies = list(replies)
        self.finished = 0

    async def __call__(self, request, sink):
        text = ""
        for part in self.replies.pop(0):
            if isinstance(part, str):
                text += part
                sink.text(part)
            elif isinstance(part, asyncio.Event):
                async with asyncio.timeout(20):
                    await part.wait()
            elif isinstance(part, Reply):
                return part
            elif isinstance(part, BaseException):
                raise part
            elif inspect.isawaitable(done := part()):
                await done
        self.finished += 1
        return Reply(text, usage=Usage(1))


async def streamed(agent):
    """The events of a run, and its result or error."""
    events, error = [], None
    async with asyncio.timeout(30), agent.stream("Go.") as run:
        try:
            async for event in run:
                events.append(event)
        except Exception as caught:
            error = caught
    return events, run.result, error


class Marks:
    """A tool that says which of its calls have come, and an event for each."""

    def __init__(self):
        self.made = []
        self.events = {}

    def __getitem__(self, name):
        return self.events.setdefault(name, asyncio.Event())

    async def mark(self, name: str) -> str:
        """Leave a mark."""
        self.made.append(name)
        self[name].set()
        return name

    def only_a(self):
        assert self.made == ["a"]


class Watched(ProcessSandbox):
    """Knows how many sessions were opened, which the first statement of a run does."""

    def __init__(self):
        super().__init__()
        self.opened = 0

    def open(self, *args, **options):
        self.opened += 1
        return super().open(*args, **options)

    def untouched(self):
        assert self.opened == 0


@pytest.fixture
def marks():
    return Marks()


ANSWER = (block("final_answer('done')"),)


# ---- while the model writes


async def test_a_statement_runs_as_soon_as_the_next_one_begins(marks):
    sandbox = Watched()
    first = ["Let me see.\n```python\nawait mark('a')\n", a_while, sandbox.untouched, "x", marks["a"]]
    second = [" = 1\nawait ma", "rk('b')\n", a_while, marks.only_a, "print(x)", marks["b"], "\ny = 3\n```\n"]
    model = Writer([*first, *second], ANSWER)
    events, result, _ = await streamed(TinyCodeAgent([marks.mark], model=model, sandbox=sandbox))
    assert (result.output, marks.made) == ("done", ["a", "b"])
    kinds = [event.type for event in events]
    assert kinds.index("code_started") < kinds.index("tool_finished") < len(kinds) - kinds[::-1].index("text_delta")
    (execution,) = result.steps[0].executions
    assert execution.code == "await mark('a')\nx = 1\nawait mark('b')\nprint(x)\ny = 3\n"
    assert execution.stdout == "1\n"


async def test_output_is_heard_while_the_model_writes():
    heard = asyncio.Event()
    model = Writer(["```python\nprint('early')\nx = 1", heard, "\n```"], ANSWER)
    async with asyncio.timeout(20), TinyCodeAgent(model=model).stream("Go.") as run:
        async for event in run:
            if isinstance(event, CodeOutput):
                assert (event.text, model.finished) == ("early\n", 0)
                heard.set()
    assert run.result.output == "done"


async def test_a_reply_is_answered_by_what_its_first_statements_gave():
    model = Writer(["```python\nx = 20\n", "x += 1\n", "y = x\n", "y * 2\n```"], ANSWER)
    _, result, _ = await streamed(TinyCodeAgent(model=model))
    assert result.steps[0].executions[0].value == 42


@pytest.mark.parametrize("how", ["the agent opts out", "nobody listens"])
async def test_nothing_runs_early_where_it_must_not(marks, how):
    sandbox = Watched()
    model = Writer(["```python\nawait mark('a')\nx = 1\n```\n", a_while, sandbox.untouched], ANSWER)
    agent = TinyCodeAgent([marks.mark], model=model, sandbox=sandbox, eager=how == "nobody listens")
    if how == "nobody listens":
        result = await agent.run("Go.")
    else:
        _, result, _ = await streamed(agent)
    assert (result.output, marks.made) == ("done", ["a"])


async def test_blocks_run_while_the_next_one_is_written(marks):
    model = Writer(
        [block("await mark('a')"), "\nAnd\n", marks["a"], block("await mark('b')"), "\n", marks["b"], "ok"], ANSWER
    )
    events, result, _ = await streamed(TinyCodeAgent([marks.mark], model=model))
    assert marks.made == ["a", "b"]
    assert [event.number for event in events if isinstance(event, CodeStarted)] == [1, 2, 3]
    assert [event.number for event in events if isinstance(event, CodeFinished)] == [1, 2, 3]
    assert len(result.steps[0].executions) == 2


async def test_the_time_in_which_the_model_writes_is_not_the_time_of_the_block():
    async def think():
        await asyncio.sleep(0.6)

    model = Writer(["```python\nx = 1\ny", think, " = 2\nx + y\n```"], ANSWER)
    _, result, _ = await streamed(TinyCodeAgent(model=model, sandbox_limits=SandboxLimits(seconds=0.4)))
    assert result.steps[0].executions[0].value == 3


async def test_lines_are_counted_through_the_whole_block():
    model = Writer(["```python\nx = 1\n\n", "def f():\n    return 1 / 0\n", "y = 2\n", "f()\nz = 3\n```"], ANSWER)
    _, result, _ = await streamed(TinyCodeAgent(model=model))
    error = result.steps[0].executions[0].error
    assert (error.type, error.line) == ("ZeroDivisionError", 4)
    assert 'File "<block 1>", line 6, in <module>' in error.traceback
    assert "    return 1 / 0\n" in error.traceback
    assert error.names == ("x", "f", "y")


async def test_after_an_error_nothing_more_runs_and_the_model_is_told(marks):
    first = ["```python\nawait mark('a')\n1 / 0\n", "await mark('b')\n", marks["a"], a_while]
    model = Writer([*first, "await mark('c')\n```\n", block("await mark('d')")], ANSWER)
    _, result, _ = await streamed(TinyCodeAgent([marks.mark], model=model))
    assert marks.made == ["a"]
    (report,) = told(result.messages)
    assert "ZeroDivisionError" in report
    assert report.count("What followed in your reply did not run.") == 1
    assert "- mark(name='a') returned a" in report


async def test_an_answer_in_the_middle_of_what_is_written_is_the_answer(marks):
    model = Writer(["```python\nfinal_answer(1)\nawait mark('a')\n", a_while, "await mark('b')\n```"])
    _, result, _ = await streamed(TinyCodeAgent([marks.mark], model=model))
    assert (result.output, marks.made) == (1, [])


async def test_a_model_may_say_other_words_than_it_streamed_or_none():
    silent = Writer([Reply(block("final_answer('silent')"))])
    assert (await streamed(TinyCodeAgent(model=silent)))[1].output == "silent"
    rewritten = Writer(["thinking aloud ", Reply(block("final_answer('rewritten')"))])
    assert (await streamed(TinyCodeAgent(model=rewritten)))[1].output == "rewritten"


async def test_code_that_has_run_does_not_run_again_from_a_reply_that_says_it_otherwise(marks):
    said = block("await mark('a')\nx = 1")
    model = Writer([said, marks["a"], Reply("Cleaned up: " + said)], ANSWER)
    await streamed(TinyCodeAgent([marks.mark], model=model))
    assert marks.made == ["a"]


# ---- code whose meaning later code settles


HELD = {
    "a list that is gathered": "tasks = [meet(n) for n in 'abc']\nr = await asyncio.gather(*tasks)\nr",
    "names that are gathered": "a = meet('a')\nb = meet('b')\nc = meet('c')\nawait asyncio.gather(a, b, c)",
    "appended": "tasks = []\nfor n in 'abc':\n    tasks.append(meet(n))\nawait asyncio.gather(*tasks)",
    "create_task": "tasks = [asyncio.create_task(meet(n)) for n in 'abc']\nx = 1\n[await task for task in tasks]",
    "a dict": "ts = {n: meet(n) for n in 'abc'}\nr = []\nfor n, t in ts.items():\n    r.append(await t)\nr",
    "a function that gives calls": "def f(n):\n    return meet(n)\nts = [f(n) for n in 'abc']\n[await t for t in ts]",
    "a list handed on": "async def f(ts):\n    return await asyncio.gather(*ts)\nawait f([meet(n) for n in 'abc'])",
    "another name": "fs = [meet]\nts = [fs[0](n) for n in 'abc']\nx = 1\nawait asyncio.gather(*ts)",
    "another gather": "from asyncio import gather as g\nx, y = meet('a'), meet('b')\nawait g(x, y, meet('c'))",
    "map": "ts = list(map(meet, 'abc'))\nx = 1\nawait asyncio.gather(*ts)",
    "a function": "async def go(n):\n    return await meet(n)\nt = [go(n) for n in 'abc']\nawait asyncio.gather(*t)",
}


@pytest.mark.parametrize("code", HELD.values(), ids=HELD)
async def test_calls_that_are_awaited_together_later_are_made_together(code):
    everybody = asyncio.Barrier(3)

    async def meet(name: str) -> str:
        """Wait for the others."""
        await everybody.wait()
        return name

    parts = [line + "\n" for line in block(code).split("\n")]
    _, result, _ = await streamed(TinyCodeAgent([meet], model=Writer(parts, ANSWER)))
    assert result.steps[0].executions[0].error is None
    assert result.steps[0].executions[0].value == ["a", "b", "c"]


async def test_functions_of_earlier_blocks_and_steps_are_known(marks):
    everybody = asyncio.Barrier(3)

    async def meet(name: str) -> str:
        """Wait for the others."""
        async with asyncio.timeout(5):
            await everybody.wait()
        return name

    def parts(code):
        return [line + "\n" for line in block(code).split("\n")]

    first = parts("def f(n):\n    return meet(n)\nasync def everyone(ts):\n    return await asyncio.gather(*ts)")
    second = parts("ts = [f(n) for n in 'abc']\nr = [await t for t in ts]\nr")
    third = parts("r = await everyone([meet(n) for n in 'abc'])\nr")
    _, result, _ = await streamed(TinyCodeAgent([meet], model=Writer(first + second, third, ANSWER)))
    executions = [execution for step in result.steps for execution in step.executions]
    assert [execution.error for execution in executions] == [None] * 4
    assert [execution.value for execution in executions[1:3]] == [["a", "b", "c"]] * 2


async def test_statements_after_a_held_one_wait_for_it(marks):
    first = ["```python\nawait mark('a')\ntask = mark('b')\n", marks["a"], "await mark('c')\nx", a_while, marks.only_a]
    model = Writer([*first, " = 1\nawait task\n```"], ANSWER)
    _, result, _ = await streamed(TinyCodeAgent([marks.mark], model=model))
    assert sorted(marks.made) == ["a", "b", "c"]
    assert result.output == "done"


PROGRAMS = [
    "x = 1\nx",
    "x = 1\nx\n# the end",
    "print(1)\nprint(2)\n'three'",
    "if True:\n    y = 1\nelse:\n    y = 2\ny",
    "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    print(error)\nfinally:\n    print('f')\n5",
    "for n in range(3):\n    print(n)\nelse:\n    print('else')",
    "import functools\n@functools.cache\ndef f(n):\n    return n\n\n\nf(3)",
    "text = '''\nx = 1\ny = 2\n'''\ntext",
    "x = (1 +\n2)\n\ny = [\n    3,\n]\nx, y",
    "x = 1 + \\\n    2\nx",
    "class A:\n    y = 1\n\n    def z(self):\n        return self.y\nA().z()",
    "from __future__ import annotations\ndef f(x: undefined): return 1\nf(0)",
    "x = 1; y = 2\nx + y",
    f"x = {'-' * 2_000}1\nx",
    "x = 1\n1 / 0\ny = 2",
    "def f():\n    raise ValueError('no')\n\nx = 3\nf()\n",
    "await asyncio.sleep(0)\nx = await asyncio.sleep(0, 7)\nx",
    "async def f():\n    return 5\n\nasyncio.run(f())",
    "async with asyncio.timeout(5):\n    z = 4\nz",
    "with open('a.txt', 'w') as file:\n    print('hi', file=file)\nopen('a.txt').read()",
    "x = 5\ndel x\nx",
    "match 3:\n    case 3:\n        r = 'three'\nr",
    "x = [n for n in range(3)]\nx[1:]",
    "def g():\n    yield 1\nlist(g())",
    "#!only a comment",
    "",
    "x = 1\ny = (2",
    "return 5",
    "x: int = 3\n__annotations__ if False else x",
    "'a' 'b'",
    "x = 1\nx;",
    "global q\nq = 1\nq",
    "lambda: 0",
    "print('a', end='')\nprint('b')\nNone",
]


@pytest.mark.parametrize("program", PROGRAMS)
async def test_code_gives_the_same_whether_it_runs_early_or_not(program):
    async def gave(eager):
        parts = list(block(program))
        _, result, _ = await streamed(TinyCodeAgent(model=Writer(parts, ANSWER), eager=eager))
        executions = result.steps[0].executions
        errors = [it.error and (it.error.type, it.error.line, it.error.message) for it in executions]
        seen = [(it.code.strip(), it.stdout, error) for it, error in zip(executions, errors, strict=True)]
        values = [it.repr if it.repr is None or "0x" not in it.repr else "..." for it in executions]
        return seen, values, told(result.messages) if "..." not in values else None

    early, late = await gave(eager=True), await gave(eager=False)
    if early[0] and early[0][0][2] is not None:  # what follows an error is no part of what ran
        assert [(out, error) for _, out, error in early[0]] == [(out, error) for _, out, error in late[0]]
    else:
        assert early == late


# ---- a reply that is cut


CUTS = {
    "in a statement": ("await mark('a')\nawait mark('b')\nawait mark('c", ["a", "b"], "await mark('c"),
    "in a name": ("await mark('a')\nx = 1", ["a"], "x = 1"),
    "in a function": ("await mark('a')\nasync def f():\n    await mark('b')\nawait mark('c')\nf(", ["a", "c"], "f("),
    "in a body": ("await mark('a')\nfor n in 'xy':\n    await mark(n)\n    await mark('z", ["a"], "for n in 'xy'"),
    "in a string": ("await mark('a')\ntext = '''\nawait mark('b')\n", ["a"], "text = '''"),
    "at once": ("await mark('a", [], "await mark('a"),
    "before else": ("x = 1\nif x:\n    await mark('a')\nelse:\n    await mar", [], "if x:"),
    "after a held one": ("t = mark('a')\nawait mark('b')\nawait", ["a", "b"], "await"),
}


@pytest.mark.parametrize(("code", "made", "dropped"), CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("eager", [True, False], ids=["eager", "whole"])
async def test_a_cut_reply_never_runs_half_a_statement_and_tells(code, made, dropped, eager, marks):
    text = f"Now:\n```python\n{code}"
    model = Writer([text[:20], text[20:], Reply(text, finish_reason="length")], ANSWER)
    _, result, _ = await streamed(TinyCodeAgent([marks.mark], model=model, eager=eager))
    assert sorted(marks.made) == sorted(made)
    report = told(result.messages)[0]
    assert "Your reply was cut off in the middle of a block." in report
    assert f"This did not run:\n{dropped}" in report
    assert "What was complete before it has run. Go on from there." in report
    assert result.output == "done"
    assert (len(result.steps[0].executions) == 1) is bool(made or "x = 1\n" in code)


async def test_a_reply_that_is_cut_after_its_block_has_run_it_whole(marks):
    text = f"{block('await mark(1)')}\nAnd now I"
    model = Writer([Reply(text, finish_reason="length")], ANSWER)
    _, result, _ = await streamed(TinyCodeAgent([Tool(marks.made.append, name="mark")], model=model))
    assert marks.made == [1]
    assert "cut off" not in told(result.messages)[0]


async def test_words_that_are_cut_are_no_answer_before_they_have_been_asked_about():
    model = Writer([Reply("It was a dark and", finish_reason="length")], ANSWER)
    assert (await streamed(TinyCodeAgent(model=model)))[1].output == "done"


async def test_words_that_are_cut_when_words_were_asked_about_are_a_cut_answer_or_go_on():
    def model():
        cut = Reply("It was a dark and ", finish_reason="length")
        return ScriptedModel(["It was", cut, Reply("stormy night.")])

    result = await TinyCodeAgent(model=model()).run("Tell a story.")
    assert (result.output, result.state) == ("It was a dark and ", "cut")


# ---- a stream that breaks


def broken_stream(*texts, end=(CUT,)):
    return RawStream([*(chunk({"content": text}) for text in texts), *end])


async def test_a_stream_that_breaks_after_code_has_run_is_not_asked_for_again(marks, scripted_server):
    def parts():
        yield chunk({"content": "```python\nawait mark('a')\nawait mark('b"})
        for _ in range(4000):
            if marks.made:
                break
            yield 0.005
        yield CUT

    async with scripted_server(["Hello.", RawStream(parts()), block("final_answer('done')")]) as server:
        events, result, _ = await streamed(TinyCodeAgent([marks.mark], model=await known(server.model())))
    assert (marks.made, result.output, len(server.requests)) == (["a"], "done", 3)
    assert [event.type for event in events].count("retry") == 0
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.text.endswith("Going on after the code that has run.")
    assert "cut off in the middle of a block. This did not run:\nawait mark('b" in told(result.messages)[0]
    assert result.steps[0].finish_reason == "interrupted"
    assert result.messages[2].text == "```python\nawait mark('a')\nawait mark('b"


@pytest.mark.parametrize("said", ["Let me", "```python\nawait mark('a')\n", "```python\nt = mark('a')\nx = 1\ny = "])
async def test_a_stream_that_breaks_before_code_has_run_is_asked_for_again(said, marks, scripted_server, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)
    async with scripted_server([broken_stream(said), block("await mark('b')"), *ANSWER]) as server:
        events, result, _ = await streamed(TinyCodeAgent([marks.mark], model=server.model()))
    assert (marks.made, result.output) == (["b"], "done")
    assert [event.what for event in events if event.type == "retry"] == ["model"]
    assert [execution.code for execution in result.steps[0].executions] == ["await mark('b')\n"]


async def test_a_server_that_is_busy_first_is_asked_again(marks, scripted_server, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)
    busy = RawReply({"error": {"message": "busy"}}, 503)
    async with scripted_server([busy, block("await mark('b')"), *ANSWER]) as server:
        _, result, _ = await streamed(TinyCodeAgent([marks.mark], model=server.model()))
    assert (marks.made, result.output) == (["b"], "done")


async def test_what_ran_before_a_failure_that_is_final_is_kept(marks, scripted_server):
    def parts():
        yield chunk({"content": "Go:\n```python\nprint(await mark('a'))\nx = "})
        for _ in range(4000):
            if marks.made:
                break
            yield 0.005
        yield {"error": {"message": "overloaded"}}

    async with scripted_server(["Hello.", RawStream(parts())]) as server:
        _, result, error = await streamed(TinyCodeAgent([marks.mark], model=await known(server.model())))
    assert isinstance(error, StreamError)
    assert result.messages[2].text == "Go:\n```python\nprint(await mark('a'))\nx = "
    assert "mark(name='a') returned a" in told(result.messages)[0]
    assert [seen.value for seen in result.steps[0].observations] == ["a"]
    assert fault(result.messages) is None


async def test_a_model_that_fails_while_code_runs_stops_the_code():
    started, cleaned = asyncio.Event(), []

    async def linger() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(1)
        return "never"

    model = Writer(["```python\nawait linger()\nx = 1", started, ModelError("broken")])
    events, result, error = await streamed(TinyCodeAgent([linger], model=model))
    assert isinstance(error, ModelError)
    assert cleaned == [1]
    assert [event.type for event in events].count("code_finished") == 1
    assert "not finished" in told(result.messages)[0]


# ---- what ends the run while the model writes


async def test_a_fatal_error_of_an_early_statement_ends_the_run():
    stopped = []

    async def stop() -> str:
        raise FatalToolError("the disk is full")

    async def for_ever():
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("model")

    model = Writer(["```python\nprint('so far')\nawait stop()\nx = 1", for_ever])
    _, result, error = await streamed(TinyCodeAgent([stop], model=model))
    assert isinstance(error, FatalToolError)
    assert stopped == ["model"]
    assert result.messages[2].text.startswith("```python\nprint('so far')")
    assert fault(result.messages) is None


async def test_a_run_that_is_left_keeps_what_its_early_statements_did(marks):
    async def for_ever():
        await asyncio.Event().wait()

    model = Writer(["```python\nprint(await mark('a'))\nawait wait()\nx = 1", for_ever])

    cleaned = []

    async def wait() -> None:
        """Wait for good."""
        marks["waiting"].set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(1)

    async with asyncio.timeout(20), TinyCodeAgent([marks.mark, wait], model=model).stream("Go.") as run:
        await marks["waiting"].wait()
    assert run.result.state == "cancelled"
    assert cleaned == [1]
    assert [seen.value for seen in run.result.steps[0].observations] == ["a", None]
    assert run.result.messages[2].text.startswith("```python\nprint(await mark('a'))")
    (report,) = told(run.result.messages)
    assert report.startswith("Output:\n    a\n")
    assert "- mark(name='a') returned a" in report
    assert fault(run.result.messages) is None


async def test_one_can_go_on_from_a_run_that_was_left_in_the_middle_of_a_block(marks, scripted_server):
    async with scripted_server([block("await mark('a')\nawait asyncio.sleep(60)"), *ANSWER]) as server:
        agent = TinyCodeAgent([marks.mark], model=server.model())
        async with asyncio.timeout(20), agent.stream("Go.") as run:
            async for event in run:
                if isinstance(event, ToolFinished):
                    break
        result = await agent.run("Never mind.", messages=run.result.messages)
    assert result.output == "done"
    assert "mark(name='a') returned a" in server.requests[1].messages[3]["content"]


async def test_text_is_heard_as_it_is_written():
    model = Writer(["a ", "b\n", "```python\nfinal_answer(1)\n```"])
    events, _, _ = await streamed(TinyCodeAgent(model=model))
    assert [event.text for event in events if isinstance(event, TextDelta)][:2] == ["a ", "b\n"]


# ---- tools whose values are shown


def shown_tool(name, **options):
    async def show(text: str) -> str:
        """Show."""
        if not text:
            raise ValueError("nothing to show")
        return f"{name} of {text}"

    return Tool(show, name=name, shown=True, **options)


async def reports_of(tools, *blocks, **options):
    model = ScriptedModel([*map(block, blocks), block("final_answer(1)")])
    result = await TinyCodeAgent(tools, model=model, **options).run("Go.")
    return told(result.messages)


async def test_what_a_shown_tool_gives_is_read_although_the_code_prints_nothing():
    hidden = Tool(lambda: "hidden", name="hide")
    (report,) = await reports_of([shown_tool("view"), hidden], "x = await view('a')\ny = hide()\nprint('done')")
    assert report == "Output:\n    done\n\nview returned:\n    view of a"


async def test_of_several_values_of_a_shown_tool_the_last_is_read():
    code = "for letter in 'abc':\n    x = await view(letter)\ny = await other('d')"
    (report,) = await reports_of([shown_tool("view"), shown_tool("other")], code)
    assert report.count("view returned:") == 1
    assert "view returned:\n    view of c" in report
    assert "other returned:\n    other of d" in report


async def test_a_call_of_a_shown_tool_that_failed_is_not_read_as_its_value():
    code = "x = await view('a')\ntry:\n    await view('')\nexcept ValueError as error:\n    print(error)"
    (report,) = await reports_of([shown_tool("view")], code)
    assert report.endswith("view returned:\n    view of a")


async def test_a_shown_value_is_read_once_in_the_turn_of_its_call():
    first, second = await reports_of([shown_tool("view")], "x = await view('a')", "print(x)")
    assert "view returned:\n    view of a" in first
    assert second == "Output:\n    view of a"


async def test_a_long_shown_value_is_cut_in_the_middle():
    (report,) = await reports_of([shown_tool("view")], "x = await view('a' * 1000)", max_observation=100)
    assert "characters are not shown)" in report
    assert len(report) < 400


async def test_a_shown_value_is_read_also_when_the_code_fails_later():
    (report,) = await reports_of([shown_tool("view")], "x = await view('a')\nprint(1 / 0)")
    assert "ZeroDivisionError" in report
    assert "view returned:\n    view of a" in report


async def test_what_was_called_last_is_read_last():
    code = "a = await view('old')\nb = await other('older')\nc = await view('new')"
    (report,) = await reports_of([shown_tool("view"), shown_tool("other")], code)
    assert report.index("other of older") < report.index("view of new")
