"""What a person sees of a reply in a JSON protocol while it is written, and what is taken back."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given, strategies as st

from tinyagent import Reply, TextVoided
from tinyagent.core.tool import Tool
from tinyagent.models.schema_protocol import SchemaReply
from tinyagent.models.shown import AnswerReader
from tinyagent.models.text_protocol import TextReply


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOLS = (Tool(add),)
ADD = '{"scratchpad": "add", "tool": "add", "arguments": {"a": 2, "b": 3}}'
ANSWER = '{"scratchpad": "done", "answer": "It is \\"5\\", \\u00e9."}'
PARTS = st.sampled_from(
    [
        ADD,
        ANSWER,
        '{"answer": ',
        '{"answer": "a\\n',
        "b",
        '"}',
        "{",
        "}",
        "Prose. ",
        "```json\n",
        "```",
        "`",
        "\n",
        '{"name": "Anna", "age": 3}',
        '{"name": "add", "arguments": {"a": 1, "b": 2}}',
        "<tool_call>",
        "</tool_call>",
        "[",
        ", ",
        '{"reply": {"type": "answer", "answer": "x"}}',
        '{"reply": {"type": "calls", "calls": [{"tool": "add", "arguments": {"a": 1, "b": 2}}]}}',
        "{'answer': 'x'}",
        '{"answer": 5}',
        "function() { return {}; }",
    ]
)


class Page:
    """A sink that keeps what is shown."""

    committed = False

    def __init__(self):
        self.pieces, self.calls = [], []
        self.reasoning = lambda text: None
        self.call = self.calls.append

    @property
    def shown(self):
        return "".join(self.pieces)

    def text(self, delta):
        assert delta
        self.pieces.append(delta)

    def notice(self, event):
        assert isinstance(event, TextVoided)
        assert self.shown.endswith(event.text)
        assert event.text
        self.pieces = [self.shown.removesuffix(event.text)]


def in_pieces(text, places):
    places = sorted({0, *(place % (len(text) + 1) for place in places), len(text)})
    return [text[start:end] for start, end in pairwise(places)]


def hear(kind, text, places=()):
    page = Page()
    shown = kind(page, TOOLS)
    for piece in in_pieces(text, places) if places is not None else text:
        shown.text(piece)
    return page, shown


@given(st.lists(PARTS, max_size=6), st.lists(st.integers(0, 10**6), max_size=10))
@example([ANSWER, ANSWER], [])
@example(["Prose. ", ANSWER], [3])
def test_in_the_end_the_answer_is_shown_and_nothing_else(parts, places):
    text = "".join(parts)
    page, shown = hear(TextReply, text, places)
    reply = shown.read(Reply(text))
    if not reply.calls and reply.finish_reason == "stop":
        assert page.shown == reply.text
    assert tuple(page.calls) == reply.calls


@given(st.lists(PARTS, max_size=5), st.lists(st.integers(0, 10**6), max_size=10), st.sampled_from(["stop", "length"]))
def test_the_same_with_a_schema_and_when_that_is_ignored(parts, places, finish_reason):
    text = "".join(parts)
    page, shown = hear(SchemaReply, text, places)
    reply = shown.read(Reply(text, finish_reason=finish_reason))
    if not reply.calls and reply.finish_reason != "tool_calls":
        assert page.shown == reply.text
    assert tuple(page.calls) == reply.calls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It is 5, or {x: 5}.", "It is 5, or {x: 5}."),
        ("Use `{` and ```js\nf({a: 1})\n```.", "Use `{` and ```js\nf({a: 1})\n```."),
        ('Anna is {"name": "Anna", "age": 3}. So', 'Anna is {"name": "Anna", "age": 3}. So'),
        (ANSWER, 'It is "5", é.'),
        (f"```json\n{ANSWER}\n```", 'It is "5", é.'),
        ('{"answer": "so f', "so f"),
        (f"Let me see. {ADD}", "Let me see. "),
        (ADD, ""),
        ("<tool_call>" + json.dumps({"name": "add", "arguments": {"a": 1, "b": 2}}), ""),
        (ANSWER + ANSWER, 'It is "5", é.\nIt is "5", é.'),
        (ANSWER + " And more.", 'It is "5", é.'),
    ],
)
def test_text_is_shown_as_it_is_written(text, shown):
    """Character by character, before the reply is whole."""
    page, _ = hear(TextReply, text, None)
    assert page.shown.rstrip() == shown.rstrip()
    if " " in shown:
        assert len(page.pieces) > 3


@pytest.mark.parametrize(
    "text", ['{"reply": {"type": "calls", "calls": [', '{"reply": {"type": "calls", "calls": [{"tool": "add", "argum']
)
def test_calls_that_the_token_limit_cuts_are_not_shown(text):
    page, shown = hear(SchemaReply, text)
    reply = shown.read(Reply(text, finish_reason="length"))
    assert (page.shown, [call.name for call in reply.calls]) == ("", ["reply"])


@pytest.mark.usefixtures("untraced")
def test_a_reply_of_a_great_many_objects_is_heard_in_linear_time():
    text = '{"name": 1} ' * 100_000
    page, shown = hear(TextReply, text)
    shown.read(Reply(text))
    assert page.shown == text


TEXTS = st.text(st.characters(codec=None), max_size=20) | st.text('\\"u{}[],:dD8aé😀\ud83d\ude00 \n', max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("answer"), inner, max_size=3),
    max_leaves=10,
)


def read(pieces, path):
    reader = AnswerReader(path)
    return "".join(map(reader.feed, pieces)), reader


@given(
    VALUES,
    VALUES,
    TEXTS,
    st.booleans(),
    st.sampled_from([None, 1]),
    st.lists(st.integers(0, 10**6), max_size=12),
    st.sampled_from(["", " and more", '{"answer": "x"}']),
)
def test_the_answer_is_read_as_json_reads_it(before, after, answer, is_ascii, indent, places, rest):
    value = {"b": before, "reply": {"a": before, "answer": answer, "z": after}, "c": after}
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    shown, reader = read(in_pieces(text + rest, places), ("reply", "answer"))
    assert shown == json.loads(text)["reply"]["answer"]
    assert reader.found
    assert not reader.broken
    assert reader.rest is not None
    assert rest.startswith(reader.rest)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"answer": "x"}}',
        '{"a": ["answer", "x"]}',
        '{"answer": ["x"]}',
        '{"answer": {"answer": "x"}}',
        '{"answer": 1, "b": "x"}',
        '["answer", "x"]',
        '{"a": "answer", "b": "x"}',
    ],
)
def test_only_what_stands_at_the_path_is_read(text):
    assert read(text, ("answer",))[0] == ""


@pytest.mark.parametrize("text", ['{"answer": "a\\uZZ99 b"}', '{"answer": "a\\u12'])
def test_what_is_no_json_breaks_it_off(text):
    shown, reader = read(text + " more" * 10, ("answer",))
    assert shown == "a"
    assert reader.broken


@pytest.mark.usefixtures("untraced")
def test_every_piece_is_read_once():
    """A million characters in pieces of one, and as one piece."""
    text = '{"answer": "' + "ab\\n" * 50_000 + '"}'
    for pieces in (text, [text]):
        assert read(pieces, ("answer",))[0] == "ab\n" * 50_000
