"""Annotations to JSON Schema, and arguments checked and coerced against them."""

import asyncio
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import inspect
import json
import math
import pathlib
import re
import sys
import types
import typing
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union

import pydantic
import pytest
import typing_extensions
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tinyagent.core.context import Context
from tinyagent.core.errors import ToolArgumentsError, ToolDefinitionError
from tinyagent.core.schema import MAX_PROBLEMS, describe
from tinyagent.core.tool import Tool

T = TypeVar("T")
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Opaque(enum.Enum):
    THING = object()


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    start: Point
    end: Point


class Options(typing_extensions.TypedDict):
    depth: int
    title: typing_extensions.NotRequired[str]


class Loose(typing_extensions.TypedDict, total=False):
    properties: int


class Forecast(BaseModel):
    city: str
    days: list[int] = []


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    amount: int


class Named(BaseModel):
    title: str = Field(title="Shown", description="What it is called.")
    properties: dict[str, int] = {}


class Box(BaseModel, Generic[T]):
    content: T


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def even(cls, value):
        if value % 2:
            raise ValueError("must be even")
        return value


class Pair(NamedTuple):
    left: int
    right: str = "x"


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


@dataclasses.dataclass
class Chain:
    value: int
    next: Optional["Chain"] = None


@dataclasses.dataclass
class Shadowing:  # fields whose names mean something to schemas or to pydantic
    schema: int
    title: str = "title"
    properties: dict[str, int] = dataclasses.field(default_factory=dict)
    json: int = 0
    model: str = "m"
    items: list[int] | None = None


class Plain:
    """No type for JSON."""


class Protocolled(typing.Protocol):
    def close(self): ...


def takes(annotation=inspect.Parameter.empty, default=inspect.Parameter.empty, **options):
    """A tool whose one parameter `x` is annotated so; it returns what it gets."""
    if default is inspect.Parameter.empty:

        async def give(x):
            return x
    else:

        async def give(x=default):
            return x

    if annotation is not inspect.Parameter.empty:
        give.__annotations__ = {"x": annotation}
    return Tool(give, **options)


def refs_in(schema):
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for part in schema.values():
            yield from refs_in(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from refs_in(part)


def check_sound(schema):
    """It is JSON, a valid schema of draft 2020-12, and every reference leads somewhere."""
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    Draft202012Validator.check_schema(schema)
    for ref in refs_in(schema):
        assert ref.startswith("#/$defs/"), ref
        assert ref.removeprefix("#/$defs/") in schema.get("$defs", {}), f"{ref} leads nowhere"


def fits(tool, **arguments):
    """What the tool's function gets for `x`."""
    return asyncio.run(tool.run(arguments))


def same(left, right):
    return left == right and type(left) is type(right)


POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
    "required": ["x"],
}
INTEGER = "should be a valid integer"

#: Half a character; older versions of pydantic refuse it.
HALF = [("\ud83d", "\ud83d")] if tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 10) else []
#: name, annotation, the schema of the parameter, [(what a model writes, what the function gets)] of which the first
#: also fits the schema itself, [(what is refused, a piece of the message)].
TABLE = [
    (
        "int",
        int,
        {"type": "integer"},
        [(3, 3), ("3", 3), (" 3 ", 3), (3.0, 3), (10**40, 10**40), (-1, -1)],
        [("three", INTEGER), (1.5, "fractional"), (None, INTEGER), ([3], INTEGER), (math.nan, "finite"), ("", INTEGER)],
    ),
    (
        "float",
        float,
        {"type": "number"},
        [(1.5, 1.5), (1, 1.0), ("1e3", 1000.0), (-0.0, -0.0)],
        [("fast", "valid number"), (None, "valid number"), ({}, "valid number"), (10**400, "")],
    ),
    (
        "str",
        str,
        {"type": "string"},
        [("", ""), (5, "5"), (1.5, "1.5"), *HALF, ("[1]", "[1]"), ("null", "null")],
        [(True, "valid string"), (None, "valid string"), (["a"], "valid string"), ({"a": 1}, "valid string")],
    ),
    (
        "bool",
        bool,
        {"type": "boolean"},
        [(True, True), ("true", True), ("no", False), (0, False)],
        [(2, "boolean"), ("maybe", "boolean"), (None, "boolean"), ([], "boolean")],
    ),
    ("None", None, {"type": "null"}, [(None, None)], [(0, "None"), ("", "None")]),
    ("Any", Any, {}, [({"a": [1]}, {"a": [1]}), (None, None), ("1", "1")], []),
    ("object", object, {}, [([1], [1])], []),
    ("no annotation", inspect.Parameter.empty, {}, [("1", "1"), (None, None), ({"a": 1}, {"a": 1})], []),
    ("type variable", T, {}, [("1", "1")], []),
    ("new type", UserId, {"type": "integer"}, [(7, 7), ("7", 7)], [("x", INTEGER)]),
    ("list", list, {"type": "array", "items": {}}, [([1, "a"], [1, "a"])], [(1, "valid list"), ("ab", "valid list")]),
    (
        "list of int",
        list[int],
        {"type": "array", "items": {"type": "integer"}},
        [([1, 2], [1, 2]), (["1"], [1]), ([], []), ("[1, 2]", [1, 2])],
        [([1, "a"], "x.1: "), ({"a": 1}, "valid list"), ("[1, 2", "valid list"), ("[", "valid list"), (None, "list")],
    ),
    (
        "nested lists and dicts",
        dict[str, list[dict[str, int]]],
        {
            "type": "object",
            "additionalProperties": {
                "type": "array",
                "items": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
        },
        [({"a": [{"b": 1}]}, {"a": [{"b": 1}]}), ('{"a": [{"b": "2"}]}', {"a": [{"b": 2}]})],
        [({"a": [{"b": "c"}]}, "x.a.0.b: "), ([], "valid dictionary")],
    ),
    (
        "dict with int keys",
        dict[int, str],
        {"type": "object", "additionalProperties": {"type": "string"}},
        [({"1": "a"}, {1: "a"})],
        [({"a": "b"}, INTEGER)],
    ),
    (
        "Sequence and Mapping",
        Mapping[str, Sequence[int]],
        {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}},
        [({"a": [1]}, {"a": [1]})],
        [({"a": ["b"]}, "x.a.0: ")],
    ),
    (
        "set",
        set[int],
        {"type": "array", "items": {"type": "integer"}, "description": "Each only once"},
        [([1, 2], {1, 2})],
        [(["a"], INTEGER)],
    ),
    (
        "tuple",
        tuple[int, str],
        {
            "type": "array",
            "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "minItems": 2,
            "maxItems": 2,
            "description": "In this order: integer, string",
        },
        [([1, "a"], (1, "a"))],
        [([1], "x.1: Field required"), ([1, "a", "b"], "at most 2")],
    ),
    (
        "tuple of any length",
        tuple[int, ...],
        {"type": "array", "items": {"type": "integer"}},
        [([1, 2, 3], (1, 2, 3)), ([], ())],
        [(["a"], INTEGER)],
    ),
    (
        "Optional",
        Optional[int],  # noqa: UP045 - the older spelling is the point
        {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        [(1, 1), (None, None), ("2", 2)],
        [("x", INTEGER)],
    ),
    (
        "PEP 604 optional",
        int | None,
        {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        [(None, None), (1, 1)],
        [("x", INTEGER)],
    ),
    (
        "PEP 604 union",
        int | list[str] | bool,
        {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}, {"type": "boolean"}]},
        [(1, 1), (["a"], ["a"]), (True, True)],
        [("a", INTEGER), ({}, INTEGER)],
    ),
    (
        "Union keeps the type that came",
        Union[int, str],  # noqa: UP007 - the older spelling is the point
        {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        [(1, 1), ("1", "1"), ("a", "a")],
        [([], "x: Input should be a valid integer or a valid string; got [] (list)")],
    ),
    (
        "Literal",
        Literal["fast", "slow"],
        {"type": "string", "enum": ["fast", "slow"]},
        [("fast", "fast")],
        [("medium", "'fast' or 'slow'"), (1, "'fast'"), (None, "'fast'")],
    ),
    ("Literal of one", Literal["only"], {"type": "string", "enum": ["only"]}, [("only", "only")], [("x", "'only'")]),
    (
        "Literal of several types",
        Literal["a", 1, None],
        {
            "anyOf": [
                {"type": "string", "enum": ["a"]},
                {"type": "integer", "minimum": 1, "maximum": 1},
                {"type": "null"},
            ],
            "description": 'One of "a", 1, null',
        },
        [(1, 1), (None, None)],
        [(2, "1")],
    ),
    (
        "Enum",
        Color,
        {"type": "string", "enum": ["red", "blue"]},
        [("red", Color.RED)],
        [("green", "'red' or 'blue'"), ("RED", "'red'"), (1, "'red'")],
    ),
    (
        "IntEnum",
        Level,
        {"type": "integer", "minimum": 1, "maximum": 2, "description": "One of 1, 2"},
        [(2, Level.HIGH)],
        [(3, "1 or 2")],
    ),
    (
        "Annotated with Field",
        Annotated[int, Field(ge=1, le=7, description="How many days.", examples=[3])],
        {"type": "integer", "minimum": 1, "maximum": 7, "description": "How many days. (such as 3)"},
        [(7, 7), ("1", 1)],
        [(0, "greater than or equal to 1"), (8, "less than or equal to 7")],
    ),
    (
        "Annotated with a pattern",
        Annotated[str, Field(pattern="^[A-Z]{3}$", min_length=3)],
        {"type": "string", "pattern": "^[A-Z]{3}$", "minLength": 3},
        [("OSL", "OSL")],
        [("oslo", "pattern"), ("", "at least 3")],
    ),
    (
        "Annotated items",
        list[Annotated[int, Field(gt=0)]],
        {"type": "array", "items": {"type": "integer", "minimum": 1}},
        [([1], [1])],
        [([1, 0], "x.1: ")],
    ),
    ("Annotated with something else", Annotated[int, 60], {"type": "integer"}, [(1, 1)], [("a", INTEGER)]),
    (
        "Annotated with words",
        Annotated[int, "seconds"],
        {"type": "integer", "description": "seconds"},
        [(1, 1)],
        [("a", INTEGER)],
    ),
    (
        "Annotated with PEP 727's words, inside",
        list[Annotated[str, typing_extensions.Doc("a city")]],
        {"type": "array", "items": {"type": "string", "description": "a city"}},
        [(["Oslo"], ["Oslo"])],
        [([None], "x.0: ")],
    ),
    ("Annotated, not hashable", Annotated[int, {"unit": ["s"]}], {"type": "integer"}, [(1, 1)], [("a", INTEGER)]),
    ("dataclass", Point, POINT, [({"x": 1}, Point(1)), ('{"x": "2"}', Point(2))], [({"y": 1}, "x.x: "), (1, "Point")]),
    (
        "dataclass with fields called as parts of a schema",
        Shadowing,
        {
            "type": "object",
            "properties": {
                "schema": {"type": "integer"},
                "title": {"type": "string", "default": "title"},
                "properties": {"type": "object", "additionalProperties": {"type": "integer"}},
                "json": {"type": "integer", "default": 0},
                "model": {"type": "string", "default": "m"},
                "items": {
                    "anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}],
                    "default": None,
                },
            },
            "required": ["schema"],
        },
        [
            ({"schema": 1}, Shadowing(1)),
            ({"schema": "1", "title": "t", "properties": {"title": "2"}}, Shadowing(1, "t", {"title": 2})),
        ],
        [
            ({"title": "t"}, "x.schema: Field required"),
            ({"schema": 1, "properties": {"title": "t"}}, "x.properties.title"),
        ],
    ),
    (
        "dataclass in a dataclass",
        Line,
        {"type": "object", "properties": {"start": POINT, "end": POINT}, "required": ["start", "end"]},
        [({"start": {"x": 1}, "end": {"x": 2, "y": 3}}, Line(Point(1), Point(2, 3)))],
        [({"start": {"x": 1}, "end": {"x": "b"}}, "x.end.x: ")],
    ),
    (
        "TypedDict",
        Options,
        {
            "type": "object",
            "properties": {"depth": {"type": "integer"}, "title": {"type": "string"}},
            "required": ["depth"],
        },
        [({"depth": 1}, {"depth": 1}), ({"depth": "1", "title": "t"}, {"depth": 1, "title": "t"})],
        [({"title": "t"}, "x.depth: Field required"), ({"depth": "d"}, "x.depth: ")],
    ),
    (
        "TypedDict, not total, with a field called properties",
        Loose,
        {"type": "object", "properties": {"properties": {"type": "integer"}}},
        [({}, {}), ({"properties": 1}, {"properties": 1})],
        [({"properties": "a"}, "x.properties: ")],
    ),
    (
        "pydantic model",
        Forecast,
        {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "array", "items": {"type": "integer"}, "default": []},
            },
            "required": ["city"],
        },
        [({"city": "Oslo"}, Forecast(city="Oslo")), ('{"city": "Oslo", "days": [1]}', Forecast(city="Oslo", days=[1]))],
        [({}, "x.city: Field required"), ("Oslo", "Forecast"), ({"city": "Oslo", "days": ["a"]}, "x.days.0: ")],
    ),
    (
        "pydantic model, strict",
        Strict,
        {
            "type": "object",
            "properties": {"amount": {"type": "integer"}},
            "required": ["amount"],
            "additionalProperties": False,
        },
        [({"amount": 1}, Strict(amount=1))],
        [({"amount": "1"}, "x.amount: "), ({"amount": 1, "b": 2}, "x.b: Extra inputs")],
    ),
    (
        "pydantic model with fields called title and properties",
        Named,
        {
            "type": "object",
            "properties": {
                "title": {"type": "string", "description": "What it is called."},
                "properties": {"type": "object", "additionalProperties": {"type": "integer"}, "default": {}},
            },
            "required": ["title"],
        },
        [({"title": "t"}, Named(title="t"))],
        [({"properties": {}}, "x.title: ")],
    ),
    (
        "generic pydantic model",
        Box[int],
        {"type": "object", "properties": {"content": {"type": "integer"}}, "required": ["content"]},
        [({"content": 1}, Box[int](content=1))],
        [({"content": "a"}, "x.content: ")],
    ),
    (
        "pydantic model with a validator",
        Even,
        {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
        [({"number": 2}, Even(number=2))],
        [({"number": 3}, "must be even")],
    ),
    (
        "models in a list",
        list[Point] | None,
        {"anyOf": [{"type": "array", "items": POINT}, {"type": "null"}]},
        [([{"x": 1}], [Point(1)]), (None, None), ('[{"x": 1}]', [Point(1)])],
        [([{"x": "a"}], "x.0.x: ")],
    ),
    (
        "named tuple",
        Pair,
        {
            "type": "array",
            "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "minItems": 1,
            "maxItems": 2,
            "description": "In this order: Left, Right",
        },
        [([1], Pair(1)), ([1, "b"], Pair(1, "b"))],
        [(["a"], INTEGER)],
    ),
    (
        "datetime",
        dt.datetime,
        {"type": "string", "format": "date-time"},
        [("2024-02-29T12:00:00", dt.datetime(2024, 2, 29, 12))],  # noqa: DTZ001
        [("2023-02-29T12:00:00", "datetime"), ("now", "datetime")],
    ),
    (
        "date",
        dt.date,
        {"type": "string", "description": "Format: date"},
        [("2024-02-29", dt.date(2024, 2, 29))],
        [("x", "date")],
    ),
    (
        "UUID",
        uuid.UUID,
        {"type": "string", "description": "Format: uuid"},
        [("12345678123456781234567812345678", uuid.UUID("12345678123456781234567812345678"))],
        [("1", "UUID")],
    ),
    (
        "Path",
        pathlib.Path,
        {"type": "string", "description": "Format: path"},
        [("a/b", pathlib.Path("a/b"))],
        [(1, "path")],
    ),
    ("bytes", bytes, {"type": "string", "description": "Format: binary"}, [("ä", "ä".encode())], [(1, "bytes")]),
    (
        "deque",
        collections.deque[int],
        {"type": "array", "items": {"type": "integer"}},
        [([1], collections.deque([1]))],
        [(["a"], INTEGER)],
    ),
]
GOOD = [(annotation, *good) for _, annotation, _, goods, _ in TABLE for good in goods]
BAD = [(annotation, *bad) for _, annotation, _, _, bads in TABLE for bad in bads]


def label(value):
    return re.sub(" at 0x[0-9a-f]+", "", ascii(value))[:40]


@pytest.mark.parametrize(("annotation", "schema", "good"), [row[1:4] for row in TABLE], ids=[row[0] for row in TABLE])
def test_annotation_becomes_schema(annotation, schema, good):
    parameters = takes(annotation).parameters
    check_sound(parameters)
    assert parameters["properties"]["x"] == schema
    assert "$defs" not in parameters
    assert parameters["type"] == "object"
    assert parameters["required"] == ["x"]
    assert parameters["additionalProperties"] is False
    assert Draft202012Validator(parameters).is_valid({"x": good[0][0]})


@pytest.mark.parametrize(("annotation", "written", "value"), GOOD, ids=label)
def test_argument_is_coerced(annotation, written, value):
    assert same(fits(takes(annotation), x=written), value)


@pytest.mark.parametrize(("annotation", "written", "piece"), BAD, ids=label)
def test_argument_is_refused(annotation, written, piece):
    with pytest.raises(ToolArgumentsError) as caught:
        fits(takes(annotation), x=written)
    assert caught.value.tool == "give"
    assert all(problem.startswith("x") for problem in caught.value.problems)
    assert piece in str(caught.value)
    str(caught.value).encode()  # it is sent to the model


async def test_refused_arguments_never_reach_the_function():
    calls = []

    async def note(x: int):
        calls.append(x)

    with pytest.raises(ToolArgumentsError):
        await Tool(note).run({"x": "a"})
    await Tool(note).run({"x": "1"})
    assert calls == [1]


@pytest.mark.parametrize(
    ("annotation", "wrap"),
    [
        (Iterable[int], lambda items: items),
        (Iterable[int] | None, lambda items: items),
        (list[Iterable[int]], lambda items: [items]),
        (dict[str, Iterable[int]], lambda items: {"a": items}),
    ],
    ids=["alone", "optional", "in a list", "in a dict"],
)
async def test_iterable_is_checked_before_the_call(annotation, wrap):
    """pydantic checks an `Iterable` only while it is read, which would be inside the function."""
    called = []

    async def read(x):
        called.append(x)

    read.__annotations__ = {"x": annotation}
    with pytest.raises(ToolArgumentsError, match=INTEGER):
        await Tool(read).run({"x": wrap(["a"])})
    assert not called
    await Tool(read).run({"x": wrap([1])})
    assert len(called) == 1


@pytest.mark.parametrize("kind", [Tree, Chain])
def test_recursive_type(kind):
    tool = takes(kind)
    check_sound(tool.parameters)
    if kind is Tree:
        written = {"value": 1, "children": [{"value": 2, "children": [{"value": "3"}]}]}
        assert fits(tool, x=written).children[0].children[0].value == 3
    else:
        assert fits(tool, x={"value": 1, "next": {"value": 2}}) == Chain(1, Chain(2))
    assert Draft202012Validator(tool.parameters).is_valid({"x": {"value": 1}})
    assert not Draft202012Validator(tool.parameters).is_valid({"x": {"value": "a"}})


def test_types_of_one_name_are_told_apart():
    first = dataclasses.make_dataclass("Same", [("a", int)])
    second = dataclasses.make_dataclass("Same", [("b", str)])

    def both(x: first, y: second):
        """Both."""

    parameters = Tool(both).parameters
    check_sound(parameters)
    properties = parameters["properties"]
    assert properties["x"]["properties"] == {"a": {"type": "integer"}}
    assert properties["y"]["properties"] == {"b": {"type": "string"}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (int | str, str | int),
        (Literal["a", "b"], Literal["b", "a"]),
        (Union[int, float], Union[float, int]),  # noqa: UP007
        (list[int | str], list[str | int]),
    ],
    ids=label,
)
def test_order_of_a_union_does_not_depend_on_tools_defined_before(first, second):
    """`int | str == str | int`, yet the first that fits wins, and a schema should read as it was written."""
    one, other = (json.dumps(takes(annotation).parameters) for annotation in (first, second))
    assert one != other


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic takes either TypedDict from 3.12 on")
def test_typed_dict_of_the_standard_library_on_3_11():
    class Stock(typing.TypedDict):
        name: str

    tool = takes(list[Stock])
    check_sound(tool.parameters)
    assert fits(tool, x=[{"name": "a"}]) == [{"name": "a"}]
    with pytest.raises(ToolArgumentsError, match=r"x\.0\.name"):
        fits(tool, x=[{}])


# ---- parameters


def positional_only(a: int, b: str = "b", /, c: int = 3):
    return a, b, c


def keyword_only(*, a: int, b: str = "b"):
    return a, b


@pytest.mark.parametrize(
    ("function", "required", "defaults", "arguments", "value"),
    [
        (positional_only, ["a"], {"b": "b", "c": 3}, {"a": "1"}, (1, "b", 3)),
        (positional_only, ["a"], {"b": "b", "c": 3}, {"c": 5, "a": 1}, (1, "b", 5)),
        (positional_only, ["a"], {"b": "b", "c": 3}, {"b": "x", "a": 1, "c": 4}, (1, "x", 4)),
        (keyword_only, ["a"], {"b": "b"}, {"a": 1}, (1, "b")),
        (keyword_only, ["a"], {"b": "b"}, {"b": "c", "a": "2"}, (2, "c")),
        (functools.partial(keyword_only, b="bound"), ["a"], None, {"a": 1}, (1, "bound")),
        (functools.partial(keyword_only, a=7), None, None, {}, (7, "b")),
        (functools.partial(positional_only, 1, c=9), None, None, {}, (1, "b", 9)),
        (functools.partial(positional_only, 1), None, {"b": "b", "c": 3}, {"b": "x"}, (1, "x", 3)),
        (functools.partial(functools.partial(positional_only, 1), "y"), None, {"c": 3}, {"c": "8"}, (1, "y", 8)),
    ],
    ids=label,
)
async def test_parameter_kinds(function, required, defaults, arguments, value):
    tool = Tool(function)
    check_sound(tool.parameters)
    assert tool.parameters.get("required") == required
    found = {name: part["default"] for name, part in tool.parameters["properties"].items() if "default" in part}
    assert defaults is None or found == defaults
    assert await tool.run(arguments) == value


HOSTILE_NAMES = """
    cls self model schema json copy args kwargs title properties function func fn name context arguments tool type
    required default description items validate dict construct model_config model_fields instance coroutine
    _private __dunder__ class_ async_ größe
"""


@pytest.mark.parametrize("name", HOSTILE_NAMES.split())
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_any_parameter_name(name, kind):
    scope = {}
    exec(f"{kind} echo(first: str, {name}: int, *, last: str = 'z'): return first, {name}, last", scope)
    tool = Tool(scope["echo"])
    check_sound(tool.parameters)
    assert list(tool.parameters["properties"]) == ["first", name, "last"]
    assert tool.parameters["properties"][name] == {"type": "integer"}
    assert await tool.run({"first": "a", name: "1"}) == ("a", 1, "z")
    with pytest.raises(ToolArgumentsError, match=f"- {name}: required, but missing"):
        await tool.run({"first": "a"})
    direct = tool(**{"first": "a", name: 2})
    assert (await direct if kind == "async def" else direct) == ("a", 2, "z")


async def test_annotated_parameter_called_self_comes_first():
    def who(self: str):
        return self

    assert list(Tool(who).parameters["properties"]) == ["self"]
    assert await Tool(who).run({"self": "me"}) == "me"
    assert Tool(who)(self="me") == "me"


class _Unprintable:
    def __repr__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "default",
    [object(), len, b"\xff", float, ..., _Unprintable(), {1: object()}, lambda: None, pytest, types.SimpleNamespace()],
    ids=lambda value: type(value).__name__,
)
async def test_default_that_is_not_json_stays_the_functions_own(default):
    tool = takes(Any, default)
    check_sound(tool.parameters)
    assert "default" not in tool.parameters["properties"]["x"]
    assert "required" not in tool.parameters
    assert await tool.run({}) is default


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (1, 1),
        ("ä", "ä"),
        (None, None),
        ([1, {"a": None}], [1, {"a": None}]),
        ({"title": "kept", "properties": {"title": 1}}, {"title": "kept", "properties": {"title": 1}}),
        ((1, 2), [1, 2]),
        (Color.RED, "red"),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Forecast(city="Oslo"), {"city": "Oslo", "days": []}),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (pathlib.Path("a"), "a"),
        (10**30, 10**30),
    ],
    ids=label,
)
async def test_default_is_shown_as_json(default, shown):
    tool = takes(Any, default)
    check_sound(tool.parameters)
    assert tool.parameters["properties"]["x"]["default"] == shown
    assert await tool.run({}) is default


@pytest.mark.parametrize("default", [math.inf, -math.inf, math.nan, [math.nan]], ids=label)
async def test_default_beyond_json_leaves_the_schema_json(default):
    tool = takes(Any, default)
    json.dumps(tool.parameters, allow_nan=False)
    assert await tool.run({}) is default


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        list[int],
        "int",
        Annotated[int, Field(gt=0)],
        Annotated[list[int], {"not": "hashable"}],
        Optional[list[int]],  # noqa: UP045
    ],
    ids=label,
)
def test_default_none_allows_none(annotation):
    tool = takes(annotation, None)
    part = tool.parameters["properties"]["x"]
    assert part["default"] is None
    assert {"type": "null"} in part["anyOf"]
    assert fits(tool, x=None) is None
    with pytest.raises(ToolArgumentsError):
        fits(tool, x="a")


async def test_field_as_default():
    def plan(days: int = Field(3, ge=1, description="How many."), city: str = Field(description="Where.")):
        return days, city

    tool = Tool(plan)
    assert tool.parameters["properties"]["days"] == {
        "type": "integer",
        "minimum": 1,
        "default": 3,
        "description": "How many.",
    }
    assert tool.parameters["required"] == ["city"]
    assert await tool.run({"city": "Oslo"}) == (3, "Oslo")
    with pytest.raises(ToolArgumentsError, match="greater than or equal to 1"):
        await tool.run({"city": "Oslo", "days": 0})


async def test_field_factory_makes_a_default_for_each_call():
    fresh = Field(default_factory=list)

    def collect(item: str, into: list[str] = fresh):
        into.append(item)
        return into

    tool = Tool(collect)
    check_sound(tool.parameters)
    assert tool.parameters["required"] == ["item"]
    assert await tool.run({"item": "a"}) == ["a"]
    assert await tool.run({"item": "b"}) == ["b"]


# ---- **kwargs


async def test_keyword_arguments_without_annotation():
    def save(name: str, **columns):
        return name, columns

    tool = Tool(save)
    assert tool.parameters["additionalProperties"] is True
    assert list(tool.parameters["properties"]) == ["name"]
    assert await tool.run({"name": "n", "a": 1, "b": ["x"]}) == ("n", {"a": 1, "b": ["x"]})


async def test_keyword_arguments_with_annotation():
    async def save(**columns: int):
        return columns

    tool = Tool(save)
    check_sound(tool.parameters)
    assert tool.parameters["additionalProperties"] == {"type": "integer"}
    assert "required" not in tool.parameters
    assert await tool.run({"a": "1"}) == {"a": 1}
    assert await tool.run({}) == {}
    with pytest.raises(ToolArgumentsError, match=r"- b: .*integer"):
        await tool.run({"a": 1, "b": "x"})


@pytest.mark.parametrize("annotation", [Point, list[Point], Tree, dict[str, Color]], ids=label)
def test_keyword_arguments_of_a_model(annotation):
    def save(**columns):
        """Save."""

    save.__annotations__ = {"columns": annotation}
    check_sound(Tool(save).parameters)


def test_keyword_arguments_beside_parameters_of_the_same_model():
    def save(first: Point, **more: list[Point]):
        return first, more

    parameters = Tool(save).parameters
    check_sound(parameters)
    assert Draft202012Validator(parameters).is_valid({"first": {"x": 1}, "second": [{"x": 2}]})
    assert not Draft202012Validator(parameters).is_valid({"first": {"x": 1}, "second": [{"y": 2}]})


async def test_keyword_arguments_keep_the_models_order():
    def save(**columns):
        return list(columns)

    names = [f"column_{number * 7 % 30}" for number in range(30)]
    assert await Tool(save).run(dict.fromkeys(names, 0)) == names


@pytest.mark.parametrize("name", ["function", "func", "self", "tool", "context", "args", "kwargs", "name", "limiter"])
async def test_keyword_arguments_of_any_name(name):
    def save(**columns):
        return columns

    assert await Tool(save).run({name: 1}) == {name: 1}


async def test_positional_only_name_can_come_again_in_keyword_arguments():
    def save(a: int, /, **columns: int):
        return a, columns

    assert await Tool(save).run({"a": "1", "b": "2"}) == (1, {"b": 2})


# ---- Context


def _context_first(run: Context, x: int):
    return run, x


def _context_generic(x: int, run: Context[dict[str, int]]):
    return run, x


def _context_optional(x: int, run: Context[int] | None = None):
    return run, x


def _context_typing_optional(x: int, run: Optional[Context] = None):  # noqa: UP045
    return run, x


def _context_annotated(x: int, *, run: Annotated[Context, "the run"]):
    return run, x


def _context_string(x: int, run: "Context[int]"):
    return run, x


def _context_positional_only(run: Context, /, x: int):
    return run, x


def _context_positional_only_last(x: int, run: Context, /):
    return run, x


def _context_and_keywords(run: Context, **x: int):
    return run, x["x"]


CONTEXT_TOOLS = [
    _context_first,
    _context_generic,
    _context_optional,
    _context_typing_optional,
    _context_annotated,
    _context_string,
    _context_positional_only,
    _context_positional_only_last,
    _context_and_keywords,
]


@pytest.mark.parametrize("function", CONTEXT_TOOLS, ids=lambda function: function.__name__)
async def test_context_parameter_is_hidden_and_filled(function):
    tool = Tool(function)
    check_sound(tool.parameters)
    assert "run" not in json.dumps(tool.parameters)
    context = Context(deps=1, run_id="r")
    got, x = await tool.run({"x": "1"}, context)
    assert got is context
    assert x == 1
    got, _ = await tool.run({"x": 1})
    assert got == Context(tool=tool.name)


@pytest.mark.parametrize("function", CONTEXT_TOOLS, ids=lambda function: function.__name__)
async def test_context_parameter_cannot_be_given_by_the_model(function):
    with pytest.raises(ToolArgumentsError, match="run: unknown argument"):
        await Tool(function).run({"x": 1, "run": {"deps": "mine"}})


# ---- what cannot be described


class _Metaclassed(type):
    def __call__(cls, *args):
        raise RuntimeError("not to be made")


@pytest.mark.parametrize(
    "annotation",
    [
        Plain,
        list[Plain],
        dict[str, Plain] | None,
        Opaque,
        Protocolled,
        typing.Callable[[int], int],
        typing.IO,
        Literal[()],
        Annotated[Plain, "hashable"],
        Annotated[Plain, {"not": "hashable"}],
        Annotated[list[Plain], []],
        typing.Iterator[int],
        _Metaclassed("Made", (), {}),
        typing.ClassVar[int],
        re.Match,
        3,
        (int, str),
        [int],
        {"a": 1},
        {"type": "string"},
        "Undefined",
        "list['Undefined']",
        list["Undefined"],  # noqa: F821
        Optional["Undefined"],  # noqa: F821
        "not an expression",
        "1/0",
    ],
    ids=label,
)
@pytest.mark.parametrize("default", [inspect.Parameter.empty, None], ids=["required", "default None"])
def test_what_cannot_be_described_is_an_error_that_names_the_parameter(annotation, default):
    if default is None:

        def search(fine: int, culprit=None, *, last: str = ""):
            """Search."""
    else:

        def search(fine: int, culprit, *, last: str = ""):
            """Search."""

    search.__annotations__["culprit"] = annotation
    with pytest.raises(ToolDefinitionError) as caught:
        Tool(search)
    assert "'culprit'" in str(caught.value)
    assert "'search'" in str(caught.value)
    assert caught.value.__cause__ or caught.value.__context__, "kept, though pydantic's own words are not shown"


def test_keyword_arguments_that_cannot_be_described():
    def search(**culprit: Plain):
        """Search."""

    with pytest.raises(ToolDefinitionError, match="'culprit'"):
        Tool(search)


def test_variable_positional_arguments_are_an_error_that_says_what_to_do():
    def add(first: int, *numbers: int):
        """Add."""

    with pytest.raises(ToolDefinitionError, match=r"'\*numbers'.*numbers: list\[\.\.\.\]"):
        Tool(add)


def test_unknown_name_in_the_return_annotation_is_named_too():
    def search(x: int) -> "Undefined":  # noqa: F821
        """Search."""

    with pytest.raises(ToolDefinitionError, match="the return value"):
        Tool(search)


# ---- problems told to the model


async def test_every_problem_is_told_at_once():
    def book(city: str, days: int, price: float = 1.0):
        """Book."""

    with pytest.raises(ToolArgumentsError) as caught:
        await Tool(book).run({"days": "many", "price": "low", "citty": "Oslo", "zzz": 1})
    assert caught.value.tool == "book"
    city, days, price, *unknown = caught.value.problems
    assert city == "city: required, but missing"
    assert days.startswith("days: ")
    assert days.endswith("got 'many' (str)")
    assert price.startswith("price: ")
    assert sorted(unknown) == [
        "citty: unknown argument; did you mean 'city'?",
        "zzz: unknown argument; the arguments are: city, days, price",
    ]
    assert str(caught.value).splitlines()[1:] == [f"- {problem}" for problem in caught.value.problems]


async def test_unknown_argument_of_a_tool_without_parameters():
    with pytest.raises(ToolArgumentsError, match="a: unknown argument; the arguments are: none"):
        await Tool(lambda: None, name="now").run({"a": 1})


def test_problems_are_few_and_short():
    with pytest.raises(ToolArgumentsError) as caught:
        fits(takes(list[int]), x=["long " * 1000] * 100)
    assert len(caught.value.problems) == MAX_PROBLEMS
    assert len(str(caught.value)) < 200 * MAX_PROBLEMS


@pytest.mark.parametrize(
    "value",
    [
        functools.reduce(lambda inner, _: [inner], range(500), 1),
        functools.reduce(lambda inner, _: {"a": inner}, range(500), 1),
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 500 + "]" * 500,
        math.inf,
        "\ud800",
        ["\udfff"],
        "\x00",
        "9" * 5000,
    ],
    ids=[
        "nested lists",
        "nested dicts",
        "open brackets",
        "open braces",
        "nested text",
        "inf",
        "surrogate",
        "surrogate in a list",
        "nul",
        "many digits",
    ],
)
@pytest.mark.parametrize("annotation", [int, list[int], Point, dict[str, bool], Color], ids=label)
def test_hostile_value_is_refused_in_words(annotation, value):
    with pytest.raises(ToolArgumentsError) as caught:
        fits(takes(annotation), x=value)
    assert len(str(caught.value)) < 1000
    str(caught.value).encode()


@pytest.mark.parametrize("annotation", [str, bool, Point], ids=label)
def test_int_too_long_to_print_is_refused_in_words(annotation):
    """Python refuses to print more than 4,300 digits; code that a model wrote can pass such a number."""
    assert fits(takes(int), x=10**5000) == 10**5000
    with pytest.raises(ToolArgumentsError, match="x: "):
        fits(takes(annotation), x=[10**5000])
    with pytest.raises(ToolArgumentsError, match="x: "):
        fits(takes(annotation), x=10**5000)


def test_any_json_passes_where_nothing_is_annotated():
    deep = functools.reduce(lambda inner, _: [inner], range(900), 1)
    for value in (deep, 10**5000, math.inf, "\ud800", {"": None}):
        assert fits(takes(), x=value) is value


def test_error_of_a_validator_is_told_whatever_it_is():
    class Picky(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def check(cls, value):
            raise KeyError("lost")

    with pytest.raises(ToolArgumentsError, match="x: KeyError: 'lost'"):
        fits(takes(Picky), x={"number": 1})


def test_described_tool_leaves_the_function_alone():
    def search(x: "int" = 1, *, y: list[str] | None = None):
        """Search."""

    before = dict(search.__annotations__), search.__defaults__, dict(search.__kwdefaults__)
    describe(search, "search")
    assert (dict(search.__annotations__), search.__defaults__, dict(search.__kwdefaults__)) == before


# ---- any value of a type, written as JSON, is accepted and comes back

text = st.text(max_size=5)
whole = st.integers(-(10**20), 10**20)
number = st.floats(allow_nan=False, allow_infinity=False)
point = st.builds(Point, whole, whole)


@pytest.mark.parametrize(
    ("annotation", "values"),
    [
        (int, whole),
        (float, number),
        (str, text),
        (bool | None, st.none() | st.booleans()),
        (list[int | str], st.lists(whole | text, max_size=4)),
        (dict[str, list[float]], st.dictionaries(text, st.lists(number, max_size=3), max_size=3)),
        (Point, point),
        (dict[str, Point | None], st.dictionaries(text, st.none() | point, max_size=3)),
        (Color | int, st.sampled_from(Color) | whole),
        (Forecast, st.builds(Forecast, city=text, days=st.lists(whole, max_size=3))),
        (decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
        (dt.datetime, st.datetimes()),
    ],
    ids=label,
)
def test_value_written_as_json_comes_back(annotation, values):
    from pydantic_core import to_json

    tool = takes(annotation)
    validator = Draft202012Validator(tool.parameters)

    @given(values)
    def check(value):
        written = json.loads(to_json(value))
        assert fits(tool, x=written) == value
        validator.validate({"x": written})

    check()


async def test_what_a_partial_fixes_is_not_the_models_to_see_or_change():
    def fetch(url: str, token: str) -> str:
        return f"{url} with {token}"

    tool = Tool(functools.partial(functools.partial(fetch, token="s3cret"), "page"), name="fetch")
    assert "s3cret" not in json.dumps(tool.definition)
    assert tool.parameters["properties"] == {}
    assert await tool.run({}) == "page with s3cret"
    with pytest.raises(ToolArgumentsError, match="token: unknown argument"):
        await tool.run({"token": "mine"})


def test_two_contexts_are_one_too_many():
    def both(first: Context, second: Context) -> None:
        """Both."""

    with pytest.raises(ToolDefinitionError, match="both 'first' and 'second' are a Context"):
        Tool(both)
