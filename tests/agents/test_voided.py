"""`TextVoided`: what a reader of the stream has to take back, whatever went wrong."""

import pytest

from tinyagent import Notice, ReactAgent, Reply, Retry, TextDelta, TextVoided, TinyCodeAgent
from tinyagent.testing import CUT, RawStream, ScriptedServer, call


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def said(text, finish=None):
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def cut(*texts):
    return RawStream([*map(said, texts), CUT])


class Page:
    """A reader that shows text and takes back what it is told to."""

    def __init__(self):
        self.text, self.voided, self.kinds = "", [], []

    def hear(self, event):
        self.kinds.append(event.type)
        if event.type == "step_started":
            self.text = ""
        if isinstance(event, TextDelta):
            self.text += event.text
        if isinstance(event, TextVoided):
            assert self.text.endswith(event.text)
            assert event.text
            self.text = self.text.removesuffix(event.text)
            self.voided.append(event.text)

    async def read(self, run):
        async with run:
            async for event in run:
                self.hear(event)
        return run.result


async def test_text_of_a_reply_that_failed_is_void_before_it_is_asked_for_again():
    async with ScriptedServer([cut("The answer", " is 4"), "The answer is 42."]) as server:
        page = Page()
        result = await page.read(ReactAgent([add], model=server.model()).stream("Go."))
    assert (
        (page.text, page.voided) == (result.output, ["The answer is 4"]) == ("The answer is 42.", ["The answer is 4"])
    )
    assert page.kinds.index("text_voided") < page.kinds.index("retry")


async def test_nothing_is_void_when_nothing_was_shown():
    async with ScriptedServer([RawStream([CUT]), "The answer is 42."]) as server:
        page = Page()
        await page.read(ReactAgent([add], model=server.model()).stream("Go."))
    assert "retry" in page.kinds
    assert page.voided == []


async def test_text_of_an_earlier_step_stays():
    replies = [Reply("Adding.", (call("add", a=1, b=2),)), cut("It"), "It is 3."]
    async with ScriptedServer(replies) as server:
        page = Page()
        result = await page.read(ReactAgent([add], model=server.model()).stream("Go."))
    assert (page.text, page.voided) == (result.output, ["It"])


@pytest.mark.parametrize("agent", [ReactAgent, TinyCodeAgent])
async def test_thoughts_that_were_shown_as_text_are_void(agent):
    """A chat template may open the block of thoughts, so that the reply holds only its end."""
    thoughts = "I think\nso.\n</think>\n\n"
    answer = "It is 3." if agent is ReactAgent else "```python\nfinal_answer(3)\n```"
    async with ScriptedServer(
        [RawStream([said(thoughts), said(answer), said("", "stop"), "data: [DONE]\n\n"])]
    ) as server:
        page = Page()
        result = await page.read(agent([add], model=server.model()).stream("Go."))
    assert (page.text, page.voided) == (answer, [thoughts + answer])
    assert str(result.output) in ("It is 3.", "3")
    assert result.steps[0].message.reasoning == "I think\nso."


async def test_code_of_a_reply_that_failed_does_not_run_and_that_of_the_next_does():
    async with ScriptedServer([cut("```python\n", "x = 1"), "```python\nfinal_answer(2)\n```"]) as server:
        page = Page()
        result = await page.read(TinyCodeAgent(model=server.model()).stream("Go."))
    assert result.output == 2
    assert page.voided == ["```python\nx = 1"]
    assert [ran.code for ran in result.steps[0].executions] == ["final_answer(2)\n"]


@pytest.mark.parametrize("voided", [" no.", "something else"])
async def test_a_model_of_ones_own_can_take_text_back(voided):
    async def model(request, sink):
        sink.text("Yes,")
        sink.text(" no.")
        sink.notice(TextVoided(voided))
        sink.text(" it is." if voided == " no." else "Yes, it is.")
        return Reply("Yes, it is.")

    page = Page()
    await page.read(ReactAgent(model=model).stream("Go."))
    assert page.text == "Yes, it is."
    assert page.voided == [" no." if voided == " no." else "Yes, no."]


async def test_code_is_read_anew_where_only_its_end_is_void():
    async def model(request, sink):
        sink.text("```python\nx = 40\n")
        sink.text("final_answer(x")
        sink.notice(TextVoided("final_answer(x"))
        sink.text("final_answer(x + 2)\n```")
        return Reply("```python\nx = 40\nfinal_answer(x + 2)\n```")

    page = Page()
    result = await page.read(TinyCodeAgent(model=model, eager=False).stream("Go."))
    assert result.output == 42
    assert page.text == result.steps[0].message.text


async def test_a_tool_named_model_voids_nothing_when_it_is_tried_again():
    failures = iter([True, False])

    async def model() -> str:
        """A tool."""
        if next(failures):
            raise OSError("once")
        return "done"

    from tinyagent import tool

    replies = [Reply("I use it.", (call("model"),)), "Done."]
    async with ScriptedServer(replies) as server:
        page = Page()
        result = await page.read(ReactAgent([tool(retries=1)(model)], model=server.model()).stream("Go."))
    assert result.output == "Done."
    assert ("retry" in page.kinds, page.voided) == (True, [])


def test_it_is_told_in_json():
    assert TextVoided("a").to_dict()["text"] == "a"
    assert Retry("model", 2, 0.1, "x") != Notice("x")
