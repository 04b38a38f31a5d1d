"""The answer inside a JSON object, in whatever pieces it comes."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from tinyagent.models.answer import AnswerReader

TEXTS = st.text(st.characters(codec=None), max_size=20) | st.text('\\"u{}[],:dD8aé😀\ud83d\ude00 \n', max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("answer"), inner, max_size=3),
    max_leaves=10,
)


def read(pieces, path):
    reader = AnswerReader(path)
    return "".join(map(reader.feed, pieces)), reader


def cuts(text, places):
    places = sorted({0, *(place % (len(text) + 1) for place in places), len(text)})
    return [text[start:end] for start, end in pairwise(places)]


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
    shown, reader = read(cuts(text + rest, places), ("reply", "answer"))
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


def test_every_piece_is_read_once():
    """A million characters in pieces of one, and as one piece."""
    text = '{"answer": "' + "ab\\n" * 50_000 + '"}'
    for pieces in (text, [text]):
        assert read(pieces, ("answer",))[0] == "ab\n" * 50_000
