"""Thoughts that a server leaves in the text, or sends in its parts: they are reasoning, and not the answer."""

import pytest

from tests.models.test_wire import DONE, Wire, add, delta, until
from tinyagent import ReactAgent, TextDelta, Tool
from tinyagent.errors import EmptyReplyError, TruncatedReplyError
from tinyagent.events import ReasoningDelta
from tinyagent.models.base import NullSink
from tinyagent.models.said import Habit, Said
from tinyagent.testing import RawStream, ScriptedServer

JSON = '{"name": "add", "arguments": {"a": 2, "b": 3}}'
MARKED = f"<tool_call>{JSON}</tool_call>"

#: What the model wrote, and where its reasoning was.
THOUGHTS = {
    "[THINK]": ("[THINK]2 and 3[/THINK]5", "[THINK]"),
    "thinking": ("<thinking>\n2 and 3</thinking>\n\n5", "<thinking>"),
    "reasoning": ("<reasoning>2 and 3</reasoning>5", "<reasoning>"),
    "thought": ("<thought>2 and 3</thought>5", "<thought>"),
    "Seed": ("<seed:think>2 and 3</seed:think>5", "<seed:think>"),
    "channels": (
        "<|channel|>analysis<|message|>2 and 3<|end|><|start|>assistant<|channel|>final<|message|>5<|return|>",
        "channel",
    ),
    "parts": (
        [{"type": "thinking", "thinking": [{"type": "text", "text": "2 and 3"}]}, {"type": "text", "text": "5"}],
        "parts",
    ),
    "parts with text": ([{"type": "thinking", "thinking": "2 and 3"}, {"type": "text", "text": "5"}], "parts"),
    "parts of reasoning": ([{"type": "reasoning", "text": "2 and 3"}, {"type": "text", "text": "5"}], "parts"),
}
ORPHANED = {
    "alone": "2 and 3\n</think>\n\n5",
    "in its line": "2 and 3</think>5",
    "in a sentence": "2 and 3. </think> 5",
    "with the tag of a call": "<tool_call> it? 2 and 3</think>5",
    "with a whole call": f"{MARKED} 2 and 3</think>5",
    "with an object": f"{JSON}</think>5",
    "twice": "2 and 3</think>5</think>",
}


@pytest.fixture(params=["plain", "streamed", "in letters"])
def wire(request):
    """A wire for replies of all kinds."""
    return Letters(streamed=request.param != "plain", size=1 if request.param == "in letters" else 1000)


@pytest.fixture
def stream():
    """A wire for what only a stream can do."""
    return Letters(streamed=True, size=1)


class Letters(Wire):
    """A wire whose streams bring text in pieces."""

    def __init__(self, *, streamed, size):
        super().__init__(streamed=streamed)
        self.size = size

    def say(self, content, finish="stop"):
        if not self.streamed or not isinstance(content, str):
            return self.reply({"content": content}, finish)
        pieces = [content[at : at + self.size] for at in range(0, len(content), self.size)]
        return RawStream([*map(delta, pieces), delta(finish=finish), DONE])

    def reasoning(self):
        return "".join(event.text for event in self.of(ReasoningDelta))


@pytest.mark.parametrize(("content", "field"), THOUGHTS.values(), ids=THOUGHTS)
@pytest.mark.parametrize("tools", [True, False])
async def test_thoughts_are_reasoning(wire, content, field, tools):
    result = await wire.ask(wire.say(content), **({} if tools else {"tools": ()}))
    reply = result.steps[0].message
    assert (result.output, reply.reasoning.strip(), reply.reasoning_field) == ("5", "2 and 3", field)
    if wire.streamed:
        assert wire.text() == "5"
        assert wire.reasoning().strip() == "2 and 3"


@pytest.mark.parametrize(("content", "field"), THOUGHTS.values(), ids=THOUGHTS)
async def test_thoughts_go_back_to_no_other_server(wire, content, field):
    result = await wire.ask(wire.say(content))
    await wire.ask(wire.say("6"), messages=result.messages, task="And one more?")
    assert wire.requests[0].messages[1] == {"role": "assistant", "content": "5"}


async def test_thoughts_in_marks_go_back_to_the_server_that_wrote_them(wire):
    thoughts = f"[THINK]I add.[/THINK]{MARKED}"
    await wire.ask(wire.say(thoughts), wire.say("5"))
    assert wire.requests[1].messages[1]["content"] == "[THINK]I add.[/THINK]"


async def test_channels_do_not_go_back(wire):
    thoughts = "<|channel|>analysis<|message|>I add.<|end|><|start|>assistant<|channel|>commentary to=functions.add"
    result = await wire.ask(wire.say(f'{thoughts}<|message|>{{"a": 2, "b": 3}}<|call|>'), wire.say("5"))
    assert result.steps[0].message.reasoning == "I add."
    assert wire.requests[1].messages[1]["content"] is None
    assert list(wire.told().values()) == ["5"]


async def test_a_preamble_in_a_channel_is_text(wire):
    text = (
        "<|channel|>commentary<|message|>I add.<|end|><|start|>assistant<|channel|>commentary to=functions.add"
        '<|message|>{"a": 2, "b": 3}<|call|>'
    )
    result = await wire.ask(wire.say(text), wire.say("5"))
    assert (result.steps[0].message.text, len(result.steps[0].message.calls)) == ("I add.", 1)


async def test_a_final_channel_is_streamed_as_it_comes(stream):
    def parts():
        yield delta("<|channel|>analysis<|message|>2 and 3<|end|><|start|>assistant")
        yield from until(lambda: stream.of(ReasoningDelta))
        yield delta("<|channel|>final<|message|>It ")
        yield from until(lambda: stream.of(TextDelta))
        yield delta("is 5.<|return|>")
        yield delta(finish="stop")

    assert (await stream.ask(RawStream(parts()))).output == "It is 5."


@pytest.mark.parametrize("content", [THOUGHTS["thinking"][0][:-4], [{"type": "thinking", "thinking": "hm"}]])
async def test_thoughts_alone_are_asked_again(wire, content):
    assert (await wire.ask(wire.say(content), wire.say("5"))).output == "5"


# ---- an end without its beginning


@pytest.mark.parametrize("content", ORPHANED.values(), ids=ORPHANED)
async def test_what_stands_before_an_orphaned_end_is_reasoning(wire, content):
    reply = (await wire.ask(wire.say(content))).steps[0].message
    assert reply.text.removesuffix("</think>") == "5"
    assert content.startswith(reply.reasoning)
    assert not reply.calls


@pytest.mark.parametrize("call", [MARKED, JSON, f"Well. {MARKED}"])
async def test_a_call_behind_an_orphaned_end_is_a_call(wire, call):
    result = await wire.ask(wire.say(f"2 and 3</think>\n\n{call}"), wire.say("5"))
    assert [(call.name, call.arguments) for call in result.steps[0].message.calls] == [("add", {"a": 2, "b": 3})]
    assert result.steps[0].message.reasoning == "2 and 3"
    assert wire.requests[1].messages[1]["content"].startswith("<think>2 and 3</think>")
    assert JSON not in wire.text()


async def test_thoughts_beside_those_that_the_server_tells_apart_are_thoughts_too(wire):
    message = {"content": "and 3</think>5", "reasoning_content": "2 "}
    reply = (await wire.ask(wire.reply(message))).steps[0].message
    assert (reply.text, reply.reasoning, reply.reasoning_field) == ("5", "2 and 3", "reasoning_content")


@pytest.mark.parametrize(
    "content",
    ["The tag <think> opens it, </think> ends it.", "The tag `</think>` ends it.", 'text.split("</think>")[1]'],
)
async def test_an_end_that_is_quoted_or_has_its_beginning_is_text(wire, content):
    result = await wire.ask(wire.say(content))
    assert (result.output, result.steps[0].message.reasoning) == (content, "")


async def test_a_model_whose_template_opens_the_block_is_remembered(stream):
    async with ScriptedServer([stream.say("2 and 3</think>5"), stream.say("4 and 5</think>\n9")]) as server:
        agent = ReactAgent([], model=server.model())
        for output, thoughts in (("5", "2 and 3"), ("9", "4 and 5")):
            stream.events.clear()
            async with agent.stream("Add.") as run:
                async for event in run:
                    stream.events.append(event)
            assert (run.result.output, run.result.steps[0].message.reasoning) == (output, thoughts)
    assert stream.text() == "9"  # what came second was known for thoughts from its first letter on
    assert stream.reasoning() == "4 and 5"


@pytest.mark.parametrize("text", ["9", f"Now. {MARKED}", "See <b>."])
async def test_a_reply_without_the_end_is_text_although_the_block_is_remembered(stream, text):
    replies = [stream.say("2 and 3</think>5"), stream.say(text), *([stream.say("9")] if "call" in text else [])]
    async with ScriptedServer(replies) as server:
        agent = ReactAgent([add], model=server.model())
        await agent.run("Add.")
        async with agent.stream("Add.") as run:
            async for event in run:
                stream.events.append(event)
    first = run.result.steps[0].message
    assert (first.text, first.reasoning) == (text.removesuffix(MARKED), "")
    assert stream.text().startswith(text.removesuffix(MARKED))
    assert bool(first.calls) == (MARKED in text)


async def test_thoughts_of_a_remembered_model_that_the_token_limit_cuts_are_no_answer(stream):
    replies = [stream.say("2 and 3</think>5"), stream.say("4 and 5 are", "length")]
    async with ScriptedServer(replies) as server:
        agent = ReactAgent([], model=server.model(max_retries=0))
        await agent.run("Add.")
        with pytest.raises(TruncatedReplyError, match="but reasoning"):
            await agent.run("Add.")


async def test_thoughts_up_to_an_orphaned_end_alone_are_asked_again(wire):
    assert (await wire.ask(wire.say("2 and 3</think>"), wire.say("5"))).output == "5"
    with pytest.raises(EmptyReplyError):
        await wire.ask(wire.say("2 and 3</think>"), wire.say("2 and 3</think>"))


def test_an_orphaned_end_outweighs_any_reply_without_one():
    habit = Habit()
    habit.learn(opened=False)
    assert habit.opened is False
    habit.learn(opened=True)
    habit.learn(opened=False)
    assert habit.opened is True


@pytest.mark.parametrize("pieces", [["It is 5."], ["It", " is", " {5}.", "\n"], [" \nIt is 5 > 4."]])
def test_ordinary_text_is_not_searched(pieces, monkeypatch):
    for splitter in ("ThinkSplitter", "MarkSplitter", "orphaned_end", "read_calls"):
        monkeypatch.setattr(f"tinyagent.models.said.{splitter}", None)
    habit = Habit()
    said = Said(NullSink(), (add,), habit)
    for piece in pieces:
        said.content(piece)
    assert said.finish(cut=False, read=True) == ()
    assert (said.whole()[0], habit.opened) == ("".join(pieces), False)


@pytest.mark.parametrize("first", ["It is", "5", "A {"])
@pytest.mark.parametrize(
    ("rest", "text", "called"),
    [
        (f" so. {MARKED}", " so. ", True),
        (" <think>hm</think>", " <think>hm</think>", False),
        (' {"name": "add", "arguments": {}}', ' {"name": "add", "arguments": {}}', False),
        (' `<tool_call>{"name": "add"}`', ' `<tool_call>{"name": "add"}`', False),
    ],
)
def test_what_follows_ordinary_text_is_read_as_if_it_had_come_at_once(first, rest, text, called):
    for pieces in ([first, rest], [first, *rest], [first + rest]):
        said = Said(NullSink(), (Tool(add),), Habit())
        for piece in pieces:
            said.content(piece)
        assert bool(said.finish(cut=False, read=True)) == called
        assert said.whole() == (first + text, "", "")


def test_before_an_orphaned_end_all_is_reasoning_also_when_the_reply_breaks_off():
    said = Said(NullSink(), (), Habit())
    said.content("2 and 3</think>\n5")
    assert said.whole() == ("5", "2 and 3", "think")


def test_a_second_end_is_text_wherever_the_thoughts_were():
    for told_apart in ("", "hm. "):
        said = Said(NullSink(), (), Habit())
        if told_apart:
            said.thought(told_apart, "reasoning")
        said.content("2 and 3</think>It is 5</think>6")
        said.finish(cut=False, read=True)
        assert said.whole()[:2] == ("It is 5</think>6", told_apart + "2 and 3")


def test_thoughts_that_the_server_tells_apart_say_that_the_text_begins_outside_a_block():
    said = Said(NullSink(), (), Habit(opened=True))
    said.content(" ")
    said.thought("2 and 3", "reasoning")
    said.content("It is 5")
    assert said.finish(cut=False, read=True) == ()
    assert said.whole() == (" It is 5", "2 and 3", "reasoning")
