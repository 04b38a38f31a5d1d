"""What a server says of a tool, as names, types and a signature."""

import keyword
import re
from typing import Any, Literal

import pytest
from hypothesis import given, strategies as st

from tinyagent.errors import ToolArgumentsError
from tinyagent.tools.mcp.names import valid_names
from tinyagent.tools.mcp.schema import arguments_of, unwrapped
from tinyagent.tools.mcp.types import Types

# ---- names


def test_names():
    names = ["a.b", "a_b", "a-b", "a b", "9lives", "", "___", "class", "größe", "x" * 70, "x" * 64, "x" * 65]
    assert valid_names([*names, "a.b"], "tool") == {
        "a.b": "a_b_2",
        "a_b": "a_b",
        "a-b": "a_b_3",
        "a b": "a_b_4",
        "9lives": "tool_9lives",
        "": "tool",
        "___": "tool_2",
        "class": "class_",
        "größe": "gr__e",
        "x" * 70: "x" * 62 + "_2",
        "x" * 64: "x" * 64,
        "x" * 65: "x" * 62 + "_3",
    }


@given(st.lists(st.text(max_size=70) | st.sampled_from(["a", "a_", "a-", "9", "if", "if_"])))
def test_all_names_are_valid_and_different(names):
    made = valid_names(names, "argument")
    assert made.keys() == set(names)
    assert len(set(made.values())) == len(made)
    for name in made.values():
        assert re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,63}", name)
        assert not keyword.iskeyword(name)


# ---- types


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "format": "date"}, str),
        ({"type": "integer"}, int),
        ({"type": "number"}, int | float),
        ({"type": "boolean"}, bool),
        ({"type": "null"}, None),
        ({"type": "array"}, list),
        ({"type": "array", "items": {"type": "string"}}, list[str]),
        ({"type": "object"}, dict[str, Any]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, dict[str, int]),
        ({"type": ["string", "null"]}, str | None),
        ({"type": "wrong"}, Any),
        ({"type": 5}, Any),
        ({"type": []}, Any),
        ({}, Any),
        (True, Any),
        (None, Any),
        ({"enum": ["a", 1, None]}, Literal["a", 1, None]),
        ({"enum": [1.5]}, Any),
        ({"enum": []}, Any),
        ({"enum": "ab"}, Any),
        ({"const": "a"}, Literal["a"]),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}, str | list[int]),
        ({"oneOf": [{"type": "string"}, {}]}, Any),
        ({"allOf": [{"type": "string"}]}, str),
        ({"allOf": [{"type": "string"}, {"minLength": 1}]}, Any),
        ({"$ref": "#/$defs/Size"}, int),
        ({"$ref": "#/$defs/a~1b~0c"}, bool),
        ({"$ref": "#/$defs/none"}, Any),
        ({"$ref": "#"}, Any),
        ({"$ref": "https://example.com/schema"}, Any),
        ({"$ref": "#/$defs/Self"}, list),
    ],
)
def test_types(schema, expected):
    root = {
        "$defs": {
            "Size": {"type": "integer"},
            "a/b~c": {"type": "boolean"},
            "Self": {"type": "array", "items": {"$ref": "#/$defs/Self"}},
        }
    }
    assert Types(root).of(schema, "value") == expected


def test_objects_become_classes():
    schema = {
        "title": "max size",
        "type": "object",
        "properties": {"a-b": {"type": "integer"}, "next": {"type": "object", "properties": {"x": {}}}},
        "required": ["a-b"],
    }
    made = Types({}).of(schema, "value")
    assert made.__name__ == "MaxSize"
    assert made.__required_keys__ == {"a-b"}
    assert made.__optional_keys__ == {"next"}
    assert Types({}).of({**schema, "title": "2 large"}, "value").__name__ == "Object2Large"


def test_depth_has_an_end():
    schema = {"type": "string"}
    for _ in range(200):
        schema = {"type": "array", "items": schema}
    assert str(Types({}).of(schema, "value")).count("list") == 9


def test_schemas_that_refer_much_are_read_once():
    definitions = {
        f"D{i}": {"type": "object", "properties": {key: {"$ref": f"#/$defs/D{i + 1}"} for key in "abcd"}}
        for i in range(200)
    }
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/D0"}}, "$defs": definitions}
    arguments = arguments_of("tool", schema)
    assert values(arguments, x={"a": {"b": {}}, "z": 1}) == {"x": {"a": {"b": {}}, "z": 1}}


# ---- signatures


def values(arguments, **given):
    """What the server is sent."""
    _, checked = arguments.signature.validate("tool", given)
    return arguments.for_server(checked)


def test_nested_arguments_are_checked_and_nothing_is_lost():
    schema = {
        "type": "object",
        "properties": {
            "place": {
                "type": "object",
                "properties": {"lat": {"type": "number"}, "name": {"type": "string"}},
                "required": ["lat"],
            }
        },
        "required": ["place"],
    }
    arguments = arguments_of("tool", schema)
    place = {"lat": "1.5", "name": 5, "more": {"kept": [None]}}
    assert values(arguments, place=place) == {"place": {"lat": 1.5, "name": "5", "more": {"kept": [None]}}}
    assert values(arguments, place={"lat": 3})["place"]["lat"].__class__ is int
    with pytest.raises(ToolArgumentsError, match=r"place\.lat: Field required"):
        values(arguments, place={})
    assert arguments.signature.schema == schema


def test_what_is_left_out():
    properties = {"a": {"type": "string"}, "b": {"type": ["string", "null"]}, "c": {}, "d": {"const": None}}
    arguments = arguments_of("tool", {"type": "object", "properties": properties})
    assert values(arguments) == {}
    assert values(arguments, a=None, b=None, c=None, d=None) == {"b": None, "c": None, "d": None}
    assert arguments.signature.hints == {"a": str | None, "b": str | None, "d": Literal[None]}


def test_schemas_that_make_little_sense():
    assert values(arguments_of("tool", {})) == {}
    assert arguments_of("tool", {}).signature.schema == {"type": "object", "properties": {}}
    odd = {"type": "object", "properties": ["a"], "required": "a"}
    with pytest.raises(ToolArgumentsError, match="unknown argument"):
        values(arguments_of("tool", odd), a=1)
    unlisted = arguments_of("tool", {"type": "object", "required": ["a", 5], "properties": {"b": 7}})
    assert values(unlisted, a=[1], b={}) == {"a": [1], "b": {}}
    with pytest.raises(ToolArgumentsError, match="a: required"):
        values(unlisted)


@pytest.mark.parametrize(
    "opening", [{"additionalProperties": True}, {"anyOf": [{"properties": {"a": {}}}]}, {"$ref": "#/$defs/Arguments"}]
)
def test_arguments_that_are_described_elsewhere(opening):
    assert values(arguments_of("tool", {"type": "object", **opening}), a=1) == {"a": 1}


def test_a_type_that_cannot_be_checked_is_left_to_the_server():
    half = "\ud800"  # half of a character, which pydantic cannot read
    assert values(arguments_of("tool", {"properties": {"a": {"enum": [half]}}}), a=half) == {"a": half}


WRAPPED = {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]}


def test_what_a_tool_gives():
    def returned(schema):
        return arguments_of("tool", {}, returned=schema).signature.hints.get("return", "nothing")

    assert returned(None) == "nothing"
    assert returned({}) == "nothing"
    assert returned({**WRAPPED, "title": "addOutput"}) is int
    assert returned({**WRAPPED, "x-fastmcp-wrap-result": True}) is int
    assert returned(WRAPPED).__name__ == "ToolResult"
    assert unwrapped({"type": "array"}) == {"type": "array"}
