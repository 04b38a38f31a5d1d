"""A tool call while it is written: when it is complete, and what its arguments are."""

import itertools
import json

import pytest
from hypothesis import given, settings, strategies as st

from tinyagent.models.calls import OpenCall, parse_arguments

examples = settings(derandomize=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=5), values, min_size=1, max_size=3)


def written(*parts):
    """A call whose arguments came in these parts."""
    call = OpenCall("c1")
    for part in parts:
        call.add_arguments(part)
    return call


def completed_after(text):
    """After how many characters of `text` a call was complete, written letter by letter."""
    call = OpenCall("c1")
    for number, letter in enumerate(text, 1):
        call.add_arguments(letter)
        if call.value:
            return number
    return None


# ---- when a call is complete


TRICKY = [
    r'{"a": "}"}',
    r'{"a": "\"}"}',
    r'{"a": "\\"}',
    r'{"a": "\\\"}\\"}',
    r'{"a": "C:\\new\\"}',
    r'{"\\": [{"}": "]"}, "{"]}',
    r'{"a": {"b": {}}, "c": [[], {}]}',
    '{"a": "é😀\\u007d"}',
    ' \n{ "a" : 1\t}',
]


@pytest.mark.parametrize("text", TRICKY)
def test_a_call_is_complete_with_its_last_character_and_not_before(text):
    assert completed_after(text) == len(text)


@pytest.mark.parametrize("text", TRICKY)
def test_a_call_is_complete_however_it_was_cut(text):
    for first, second in itertools.combinations_with_replacement(range(len(text) + 1), 2):
        parts = [part for part in (text[:first], text[first:second], text[second:]) if part]
        assert not written(*parts[:-1]).value
        assert written(*parts).value
        assert written(*parts).arguments == text


@examples
@given(objects, st.booleans(), st.sampled_from([None, 1]))
def test_any_object_is_complete_with_its_last_character_and_not_before(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert completed_after(text) == len(text)
    assert written(text).value


@pytest.mark.parametrize("text", ["", "{}", " { } ", "[1]", "null", '"a"', "1", '{"a": 1,}', '{"a": }', "{a}", "}"])
def test_what_is_no_object_with_content_is_not_complete(text):
    assert not written(text).value
    assert completed_after(text) is None


def test_an_empty_object_that_held_the_place_gives_way_to_the_real_one():
    call = written("{}", '{"a": 1', "}")
    assert call.arguments == '{"a": 1}'
    assert call.value


def test_white_space_after_the_end_changes_nothing():
    call = written('{"a": 1}')
    assert not call.add_arguments(" \n")
    assert call.arguments == '{"a": 1}'


@pytest.mark.parametrize("more", [",", "}", '{"b": 2}', " x"])
def test_more_text_after_the_end_is_noticed(more):
    assert written('{"a": 1}').add_arguments(more)


# ---- its name


@pytest.mark.parametrize(
    ("parts", "name"),
    [(["add"], "add"), (["add", "add"], "add"), (["a", "d", "d_two"], "add_two"), (["", "add", ""], "add"), ([], "")],
)
def test_a_name_is_joined_and_not_doubled(parts, name):
    call = OpenCall("c1")
    for part in parts:
        call.add_name(part)
    assert call.name == name


@pytest.mark.parametrize("again", ["get_it", "it"])
def test_a_name_repeated_after_the_arguments_began_is_not_doubled(again):
    call = OpenCall("c1")
    call.add_name("get_")
    call.add_name("it")
    call.add_arguments('{"a":')
    call.add_name(again)
    assert call.name == "get_it"


# ---- its arguments


@pytest.mark.parametrize("text", ["", "  \n", "null", "{}", '"{}"'])
def test_nothing_is_an_empty_object(text):
    assert parse_arguments(text) == ({}, "{}", None)


def test_the_text_that_is_replayed_is_the_models_own():
    text = '{ "a" : 1.0, "b":"\\u00e9" }'
    assert parse_arguments(text) == ({"a": 1.0, "b": "é"}, text, None)


def test_an_object_that_was_encoded_twice_is_read():
    assert parse_arguments(json.dumps('{"a": 1}')) == ({"a": 1}, '{"a": 1}', None)


def test_line_breaks_inside_strings_are_read_and_replayed_escaped():
    arguments, raw, problem = parse_arguments('{"a": "x\n\ty"}')
    assert (arguments, problem) == ({"a": "x\n\ty"}, None)
    assert json.loads(raw) == arguments


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "line 1 column 2"),
        ('{"a": 1,\n"b" 2}', "line 2 column 5, near"),
        ('{"a": 1} and more', "Extra data at line 1 column 10, near"),
        ("{'a': 1}", "near \"{'a': 1}\""),
        ('{"a": Infinity}', "Infinity is not JSON"),
        ('{"a": -Infinity}', "not valid JSON"),
        ('{"a": "x\ny", "b": NaN}', "not valid JSON"),
        ("[]", "not list"),
        ("true", "not bool"),
        ("1.5", "not float"),
        ('"text"', "not str"),
        ('"{"', "not valid JSON"),
        ("[" * 100_000, ""),
        ('{"a": ' + "9" * 10_000 + "}", "not valid JSON"),
    ],
)
def test_what_is_no_object_is_described_for_the_model(text, problem):
    arguments, raw, told = parse_arguments(text)
    assert (arguments, raw) == ({}, "{}")
    assert problem in told
    assert len(told) < 300


@examples
@given(objects)
def test_any_object_comes_through(value):
    text = json.dumps(value)
    assert parse_arguments(text) == (value, text, None)


@examples
@given(st.text(st.sampled_from('{}[]":,\\n1ea \n'), max_size=30) | st.text(max_size=20))
def test_any_text_gives_arguments_that_can_be_replayed(text):
    arguments, raw, problem = parse_arguments(text)
    assert json.loads(raw) == arguments
    assert isinstance(arguments, dict)
    assert problem is None or arguments == {}
