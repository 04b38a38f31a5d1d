"""Schemas in the words that every provider accepts."""

import copy
import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from typing import Annotated, Any, Literal, NamedTuple, Optional

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from tinyagent.core.dialect import MAX_PARTS, accepted, refs_in
from tinyagent.core.tool import Tool

#: Keywords for which OpenAI, Gemini or a grammar of llama.cpp refuses the request, wherever they stand.
REFUSED = {
    *("prefixItems", "const", "oneOf", "discriminator", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("uniqueItems", "propertyNames", "patternProperties", "examples", "title", "$schema", "additionalItems"),
}


def schemas_in(schema):
    """Every schema within a schema, itself too."""
    yield schema
    for key in ("properties", "$defs"):
        for part in schema.get(key, {}).values():
            yield from schemas_in(part)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from schemas_in(schema[key])
    for key in ("anyOf", "allOf"):
        for part in schema.get(key, ()):
            yield from schemas_in(part)


def check_accepted(schema):
    """What the providers demand of a schema; each rule was a request that one of them refused."""
    Draft202012Validator.check_schema(schema)
    for part in schemas_in(schema):
        assert not REFUSED & part.keys(), part
        assert isinstance(part.get("type", ""), str), part  # Gemini: "Proto field is not repeating"
        if part.get("type") == "array":  # OpenAI: "array schema missing items"
            assert isinstance(part["items"], dict), part
        assert all(isinstance(value, str) for value in part.get("enum", ())), part  # Gemini: "TYPE_STRING"
        if part.get("type") == "string":  # Gemini: "only 'enum' and 'date-time' are supported"
            assert part.get("format", "date-time") == "date-time", part
        pattern = part.get("pattern", "^$")
        assert "(?" not in pattern
        assert (pattern[0], pattern[-1]) == ("^", "$"), part


def parameters_of(annotation):
    def give(x):
        """Give."""

    give.__annotations__ = {"x": annotation}
    return Tool(give).parameters


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 5


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Place(NamedTuple):
    name: str
    lat: float
    lon: float = 0.0


@dataclasses.dataclass
class Chain:
    value: int
    next: Optional["Chain"] = None


class Trip(BaseModel):
    pets: dict[str, Annotated[Cat | Dog, Field(discriminator="kind")]]
    steps: list[tuple[int, Place]]
    level: Level = Level.LOW


TYPES = [
    (tuple[int, int], [1, 2]),
    (tuple[int, str], [1, "a"]),
    (tuple[()], []),
    (tuple[int, ...], [1]),
    (tuple[tuple[int, int], tuple[str, str]], [[1, 2], ["a", "b"]]),
    (list, [1]),
    (Place, ["Oslo", 59.9]),
    (dict[str, Place], {"home": ["Oslo", 59.9, 10.7]}),
    (Literal["a"], "a"),
    (Literal[3], 3),
    (Literal[True], True),
    (Literal[1, "a", None, 2.5, False], 2.5),
    (Level, 5),
    (Color | None, "red"),
    (set[Color], ["red"]),
    (frozenset[int], [1]),
    (dict[Color, int], {"red": 1}),
    (dict[Annotated[str, Field(pattern="^[a-z]+$")], int], {"a": 1}),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "cat"}),
    (Cat | Dog, {"kind": "dog", "name": "Rex"}),
    (Annotated[int, Field(gt=0, lt=9, multiple_of=2)], 2),
    (Annotated[float, Field(gt=0, lt=1)], 0.5),
    (Annotated[str, Field(pattern=r"(?i)^a")], "a"),
    (Annotated[str, Field(pattern="a+")], "aa"),
    (Annotated[Cat, Field(description="The cat.")], {"kind": "cat"}),
    (decimal.Decimal, "1.5"),
    (Annotated[decimal.Decimal, Field(gt=0, max_digits=5)], 1.5),
    (dt.date, "2024-02-29"),
    (dt.timedelta, "PT1H"),
    (uuid.UUID, "12345678-1234-5678-1234-567812345678"),
    (bytes, "a"),
    (Chain, {"value": 1, "next": {"value": 2}}),
    (Trip, {"pets": {"a": {"kind": "cat"}}, "steps": [[1, ["Oslo", 1.0]]]}),
]


@pytest.mark.parametrize(("annotation", "value"), TYPES, ids=lambda value: str(value)[:50])
def test_every_provider_takes_the_schema_of_a_type(annotation, value):
    parameters = parameters_of(annotation)
    check_accepted(parameters)
    Draft202012Validator(parameters).validate({"x": value})


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"type": "array", "items": [{"type": "integer"}, {"type": "string"}], "additionalItems": False},
            {
                "type": "array",
                "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                "description": "In this order: integer, string",
            },
        ),
        (
            {"type": ["string", "null"], "minLength": 2, "description": "Who.", "default": None},
            {
                "anyOf": [{"type": "string", "minLength": 2}, {"type": "null"}],
                "description": "Who.",
                "default": None,
            },
        ),
        ({"type": ["integer"], "minimum": 1}, {"type": "integer", "minimum": 1}),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, {"type": "number", "description": "Above 0"}),
        ({"type": "integer", "exclusiveMaximum": 9.0, "maximum": 20}, {"type": "integer", "maximum": 8}),
        ({"enum": ["a", None]}, {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}),
        ({"enum": [{"a": 1}]}, {"enum": [{"a": 1}]}),
        ({"$ref": "#/$defs/Missing"}, {"$ref": "#/$defs/Missing"}),
        ({"$ref": "https://example.org/schema"}, {"$ref": "https://example.org/schema"}),
        (
            {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}]},
            {"anyOf": [{"type": "number"}, {"type": "string"}]},
        ),
        (
            {"type": "string", "format": "email", "pattern": "@", "description": "Where to."},
            {"type": "string", "description": "Where to. (format: email; matches @)"},
        ),
        (
            {"properties": {"const": {"const": 1}, "format": {"title": "T"}, "title": {"type": "string"}}},
            {
                "properties": {
                    "const": {"type": "integer", "minimum": 1, "maximum": 1, "description": "One of 1"},
                    "format": {},
                    "title": {"type": "string"},
                }
            },
        ),
        (
            {"properties": {"a": True, "b": {"items": False, "type": "array"}}},
            {"properties": {"a": True, "b": {"items": {}, "type": "array"}}},
        ),
    ],
)
def test_words_of_other_dialects(schema, expected):
    before = copy.deepcopy(schema)
    assert accepted(schema) == expected
    assert schema == before


def test_references_are_replaced_by_what_they_stand_for():
    schema = {
        "properties": {
            "a": {"$ref": "#/$defs/Pair", "description": "Both."},
            "b": {"$ref": "#/definitions/old~1name"},
            "c": {"$ref": "#/properties/a"},
        },
        "$defs": {"Pair": {"type": "array", "items": {"$ref": "#/$defs/One"}}, "One": {"type": "integer"}},
        "definitions": {"old/name": {"type": "string"}},
    }
    pair = {"type": "array", "items": {"type": "integer"}, "description": "Both."}
    assert accepted(schema) == {"properties": {"a": pair, "b": {"type": "string"}, "c": pair}}


def test_only_what_speaks_of_itself_stays_a_reference():
    def grow(first: Chain, other: Cat):
        """Grow."""

    parameters = Tool(grow).parameters
    assert set(parameters["$defs"]) == {"Chain"}
    assert set(refs_in(parameters)) == {"#/$defs/Chain"}
    assert parameters["properties"]["other"]["properties"]["kind"] == {"type": "string", "enum": ["cat"]}


def _doubling(levels):
    """Each level holds the next one twice."""
    model: Any = int
    for number in range(levels):
        model = dataclasses.make_dataclass(f"Level{number}", [("left", model), ("right", model)])
    return model


@pytest.mark.parametrize("levels", [3, 12, 60])
def test_a_schema_does_not_explode(levels):
    parameters = parameters_of(_doubling(levels))
    check_accepted(parameters)
    assert sum(1 for _ in schemas_in(parameters)) < 2 * MAX_PARTS
    assert ("$defs" in parameters) == (levels > 3)
    for ref in refs_in(parameters):
        assert ref.removeprefix("#/$defs/") in parameters["$defs"]
    json.dumps(parameters)


def test_a_long_chain_of_references_is_left():
    many = 5 * MAX_PARTS
    definitions = {f"D{n}": {"properties": {"next": {"$ref": f"#/$defs/D{n + 1}"}}} for n in range(many)}
    schema = {"properties": {"x": {"$ref": "#/$defs/D0"}}, "$defs": {**definitions, f"D{many}": {"type": "integer"}}}
    assert accepted(schema) == schema
