"""Arguments as models write them: what was meant is taken, what does not fit is told once."""

import copy
import dataclasses
import inspect
import json
from typing import Annotated, Any, Literal, NamedTuple

import pytest
import typing_extensions
from pydantic import BaseModel, BeforeValidator, Field

from tinyagent.core.errors import ToolArgumentsError
from tinyagent.core.tool import Tool

REQUIRED = inspect.Parameter.empty


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Path(BaseModel):
    start: Point
    stops: list[Point] = []
    note: str = "none"
    next: "Path | None" = None


class Options(typing_extensions.TypedDict):
    depth: int
    title: typing_extensions.NotRequired[str]


class Pair(NamedTuple):
    left: int
    right: Point


def takes(annotation, default=REQUIRED):
    """A tool whose one parameter `x` is annotated so; it returns what it gets."""

    async def give(x):
        """Give."""
        return x

    parameter = inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
    give.__signature__ = inspect.Signature([parameter])
    if default is not REQUIRED:
        give.__defaults__ = (default,)
    give.__annotations__ = {"x": annotation}
    return Tool(give)


async def refused(annotation, value):
    with pytest.raises(ToolArgumentsError) as caught:
        await takes(annotation).run({"x": value})
    return list(caught.value.problems)


# ---- null for what has a default


@pytest.mark.parametrize(
    ("annotation", "default", "value"),
    [
        (int, 3, 3),
        (str, "a", "a"),
        (list[int], (), ()),
        (bool, True, True),
        (Literal["a", "b"], "b", "b"),
        (Point, Point(1), Point(1)),
        (int | None, 3, None),
        (Any, 3, None),
        (REQUIRED, 3, None),
        pytest.param(Annotated[int, BeforeValidator(lambda value: value or 7)], 3, 7, id="validated"),
    ],
    ids=str,
)
async def test_null_means_not_given_where_the_type_refuses_it(annotation, default, value):
    tool = takes(annotation, default)
    if annotation is REQUIRED:
        del tool.function.__annotations__["x"]
        tool = Tool(tool.function)
    assert await tool.run({"x": None}) == value


async def test_null_is_refused_where_there_is_no_default():
    assert await refused(int, None) == ["x: Input should be a valid integer; got None (NoneType)"]


async def test_null_for_what_must_be_passed_by_place_or_made_for_each_call():
    def plan(first: int = 1, /, days: int = Field(3, ge=1), seen: list[str] = Field(default_factory=list)):  # noqa: B008
        """Plan."""
        return first, days, seen

    assert await Tool(plan).run({"first": None, "days": None, "seen": None}) == (1, 3, [])


@pytest.mark.parametrize(
    ("annotation", "written", "value"),
    [
        (Point, {"x": 1, "y": None}, Point(1)),
        (list[Point], [{"x": 1, "y": None}, {"x": 2}], [Point(1), Point(2)]),
        (Point | None, {"x": 1, "y": None}, Point(1)),
        (dict[str, Point], {"a": {"x": 1, "y": None}}, {"a": Point(1)}),
        (Options, {"depth": 1, "title": None}, {"depth": 1}),
        (Path, {"start": {"x": 1, "y": None}, "stops": None, "note": None}, Path(start=Point(1))),
        (
            Path,
            {"start": {"x": 1}, "next": {"start": {"x": 2}, "note": None}},
            Path(start=Point(1), next=Path(start=Point(2))),
        ),
    ],
    ids=str,
)
async def test_null_for_a_field_that_may_be_left_out(annotation, written, value):
    before = copy.deepcopy(written)
    assert await takes(annotation).run({"x": written}) == value
    assert written == before


async def test_a_null_that_says_something_is_not_left_out():
    assert await refused(dict[str, int], {"a": None, "b": 1}) == [
        "x.a: Input should be a valid integer; got None (NoneType)"
    ]
    assert await refused(list[int], [1, None]) == ["x.1: Input should be a valid integer; got None (NoneType)"]
    assert await refused(Point, {"x": None, "y": None}) == [
        "x.x: Input should be a valid integer; got None (NoneType)",
        "x.y: Input should be a valid integer; got None (NoneType)",
    ]


# ---- objects encoded as text


@pytest.mark.parametrize(
    ("annotation", "written", "value"),
    [
        (list[Point], ['{"x": 1}', {"x": 2}], [Point(1), Point(2)]),
        (list[Point], '["{\\"x\\": 1}"]', [Point(1)]),
        (dict[str, list[int]], {"a": "[1, 2]"}, {"a": [1, 2]}),
        (list[list[list[int]]], ['[[1], "[2]"]'], [[[1], [2]]]),
        (Path, {"start": '{"x": 1, "y": null}', "stops": "[]"}, Path(start=Point(1))),
        (Path, '{"start": "{\\"x\\": 1}"}', Path(start=Point(1))),
        (Pair, [1, '{"x": 1}'], Pair(1, Point(1))),
        (tuple[int, list[int]], [1, "[2]"], (1, [2])),
        (list[int] | Point, ' {"x": 1}', Point(1)),
        (list[str], '["[1]", "{"]', ["[1]", "{"]),
        (dict[str, str | list[int]], {"a": "[1]"}, {"a": "[1]"}),
    ],
    ids=str,
)
async def test_objects_encoded_as_text_are_read_at_any_depth(annotation, written, value):
    before = copy.deepcopy(written)
    assert await takes(annotation).run({"x": written}) == value
    assert written == before


async def test_what_is_wrong_inside_encoded_text_is_told():
    assert await refused(list[Point], '[{"x": "a"}]') == [
        "x.0.x: Input should be a valid integer, unable to parse string as an integer; got 'a' (str)"
    ]
    assert await refused(int, "[1]") == [
        "x: Input should be a valid integer, unable to parse string as an integer; got '[1]' (str)"
    ]


async def test_text_within_text_without_end_is_given_up():
    text = "[1]"
    for _ in range(12):
        text = "[" + json.dumps(text) + "]"
    [problem] = await refused(list[int], text)
    assert problem.startswith("x")


# ---- one line for each place


@pytest.mark.parametrize(
    ("annotation", "value", "problems"),
    [
        (int | float, "x", ["x: Input should be a valid number; got 'x' (str)"]),
        (float | int | None, "x", ["x: Input should be a valid number; got 'x' (str)"]),
        (int | str, [], ["x: Input should be a valid integer or a valid string; got [] (list)"]),
        (Literal["a", "b"] | int, "q", ["x: Input should be 'a' or 'b' or a valid integer; got 'q' (str)"]),
        (
            list[int | float],
            [1, "x", "y"],
            [
                "x.1: Input should be a valid number; got 'x' (str)",
                "x.2: Input should be a valid number; got 'y' (str)",
            ],
        ),
        (dict[str, int | float], {"int": "x"}, ["x.int: Input should be a valid number; got 'x' (str)"]),
        (Point | int, {"y": 1}, ["x.x: Field required; got {'y': 1} (dict)"]),
        (Point | None, {"x": 1, "y": []}, ["x.y: Input should be a valid integer; got [] (list)"]),
        (list[int] | dict[str, int], [[]], ["x.0: Input should be a valid integer; got [] (list)"]),
        (list[Point | int], [1, {"y": 1}], ["x.1.x: Field required; got {'y': 1} (dict)"]),
        (
            Cat | Dog,
            {"kind": "cat"},
            ["x: fits none of Cat (lives: Field required), Dog (kind: Input should be 'dog'; name: Field required)"],
        ),
        (
            Annotated[Cat | Dog, Field(discriminator="kind")],
            {"kind": "cat"},
            ["x.lives: Field required; got {'kind': 'cat'} (dict)"],
        ),
    ],
    ids=str,
)
async def test_one_line_for_each_place_by_a_name_that_exists(annotation, value, problems):
    assert await refused(annotation, value) == problems
