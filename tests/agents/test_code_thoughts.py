"""Code in thoughts whose beginning the chat template wrote: it never runs, streamed or not, from the first reply on."""

import asyncio

import pytest

from tests.agents.kinds import block, needs_sandbox, no_session_left
from tinyagent import Limits, TextDelta
from tinyagent.agents.code import TinyCodeAgent
from tinyagent.errors import TruncatedReplyError
from tinyagent.testing import RawReply, RawStream, ScriptedServer

pytestmark = needs_sandbox

DONE = "data: [DONE]\n\n"
ANSWER = block("final_answer('done')")


@pytest.fixture(autouse=True)
async def _sessions_end():
    yield
    await no_session_left()


def delta(content=None, *, finish=None, **more):
    fields = {"content": content} if content is not None else more
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


class Marks:
    """A tool that says which of its calls have come, and a server whose replies call it."""

    def __init__(self, *, streamed):
        self.made = []
        self.events = []
        self._streamed = streamed

    async def mark(self, name: str) -> str:
        """Leave a mark."""
        self.made.append(name)
        return name

    def say(self, text, finish="stop", *, size=7):
        if not self._streamed:
            message = {"role": "assistant", "content": text}
            return RawReply({"choices": [{"index": 0, "message": message, "finish_reason": finish}]})
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        return RawStream([*map(delta, pieces), delta(finish=finish), DONE])

    async def run(self, *replies, runs=1, **options):
        """The results of runs against these replies."""
        results = []
        async with asyncio.timeout(50), ScriptedServer(replies) as server:
            agent = TinyCodeAgent([self.mark], model=server.model(max_retries=0), **options)
            for _ in range(runs):
                if not self._streamed:
                    results.append(await agent.run("Go."))
                    continue
                async with agent.stream("Go.") as run:
                    async for event in run:
                        self.events.append(event)
                results.append(run.result)
        return results

    def until(self, name):
        for _ in range(2_000):
            if name in self.made:
                return
            yield 0.005
        raise AssertionError(f"{name} never ran while the model wrote")


@pytest.fixture(params=["plain", "streamed"])
def marks(request):
    return Marks(streamed=request.param == "streamed")


@pytest.fixture
def stream():
    return Marks(streamed=True)


THOUGHT = block("await mark('thought')\nawait mark('thought again')\nprint(1)\n")
SAID = block("await mark('said')\nfinal_answer('done')")


@pytest.mark.parametrize("end", ["</think>\n\n", "\n</think>\n\n", " </think> ", "</think>"])
async def test_code_before_an_orphaned_end_never_runs(marks, end):
    (result,) = await marks.run(marks.say(f"I could write\n{THOUGHT}\nor so.{end}{SAID}"))
    assert (marks.made, result.output) == (["said"], "done")
    assert "thought" in result.steps[0].message.reasoning
    assert "thought" not in result.steps[0].message.text


async def test_code_before_an_orphaned_end_never_runs_in_any_reply(marks):
    thinking = f"I could write\n{THOUGHT}\nor so.</think>\n"
    replies = [
        marks.say(thinking + block("await mark('first')")),
        marks.say(thinking + SAID),
        marks.say(thinking + SAID),
    ]
    await marks.run(*replies, runs=2)
    assert marks.made == ["first", "said", "said"]


async def test_thoughts_alone_run_nothing(marks):
    (result,) = await marks.run(marks.say(f"{THOUGHT}</think>"), marks.say(SAID))
    assert (marks.made, result.output) == (["said"], "done")


async def test_code_in_thoughts_that_are_told_apart_never_runs(marks):
    thoughts = [f"[THINK]{THOUGHT}[/THINK]", f"<thinking>{THOUGHT}</thinking>"]
    thoughts.append(f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>")
    await marks.run(*(marks.say(thought + SAID) for thought in thoughts), runs=3)
    assert marks.made == ["said"] * 3


async def test_thoughts_of_a_known_model_that_the_token_limit_cuts_run_nothing(marks):
    with pytest.raises(TruncatedReplyError):
        await marks.run(marks.say(f"hm</think>{SAID}"), marks.say(f"I could write\n{THOUGHT}\nor", "length"), runs=2)
    assert marks.made == ["said"]


async def test_code_behind_thoughts_of_a_known_model_starts_while_the_model_writes(stream):
    def parts():
        yield delta("hm</think>\n```python\nawait mark('early')\nfinal_")
        yield from stream.until("early")
        yield delta("answer('done')\n```")
        yield delta(finish="stop")

    first, second = await stream.run(stream.say(f"hm</think>{ANSWER}"), RawStream(parts()), runs=2)
    assert (first.output, second.output, stream.made) == ("done", "done", ["early"])


async def test_code_of_a_model_that_has_shown_no_thoughts_starts_while_it_writes(stream):
    def parts():
        yield delta("```python\nawait mark('early')\nfinal_")
        yield from stream.until("early")
        yield delta("answer('done')\n```")
        yield delta(finish="stop")

    results = await stream.run(stream.say(ANSWER), RawStream(parts()), runs=2)
    assert [result.output for result in results] == ["done", "done"]


async def test_code_behind_a_block_of_thoughts_starts_in_the_first_reply(stream):
    def parts():
        yield delta("<think>hm</think>```python\nawait mark('early')\nfinal_")
        yield from stream.until("early")
        yield delta("answer('done')\n```")
        yield delta(finish="stop")

    (result,) = await stream.run(RawStream(parts()))
    assert result.output == "done"


async def test_text_is_streamed_while_its_code_waits(stream):
    def parts():
        yield delta("I add.\n```python\nawait mark('first')\nx = 1\n")
        while not any(isinstance(event, TextDelta) for event in stream.events):
            yield 0.005
        yield delta("y = 2\n```")
        yield delta(finish="stop")

    await stream.run(RawStream(parts()), stream.say(ANSWER), limits=Limits(steps=3))
    assert stream.made == ["first"]
