"""Tools as Python signatures: types, defaults, documentation, and the classes they speak of."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import enum
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypedDict, Union

import pydantic
import pytest
from pydantic import Field

from tinyagent import Context, Tool, tool
from tinyagent.agents.stubs import stub, stubs, type_text


def text_of(function, **options):
    return stub(Tool(function, **options))


def test_a_function_is_shown_with_its_types_docstring_and_return_type():
    def weather(city: str, days: int = 1) -> list[str]:
        """Forecast for a city.

        Only for Europe.

        Args:
            city: Name in English, e.g. "Oslo".
            days: How many days ahead.

        Returns:
            One line for each day.
        """

    assert text_of(weather) == (
        "def weather(city: str, days: int = 1) -> list[str]:\n"
        '    """Forecast for a city.\n'
        "\n"
        "    Only for Europe.\n"
        "\n"
        "    Args:\n"
        '        city: Name in English, e.g. "Oslo".\n'
        "        days: How many days ahead.\n"
        "\n"
        "    Returns:\n"
        "        One line for each day.\n"
        '    """'
    )


def test_an_async_function_is_shown_as_one():
    async def fetch(url: str) -> bytes:
        """Fetch."""

    assert text_of(fetch) == 'async def fetch(url: str) -> bytes:\n    """Fetch."""'


def test_what_is_not_annotated_or_documented_is_shown_without():
    def bare(a, b=3):
        pass

    assert text_of(bare) == 'def bare(a, b=3):\n    """(no description)"""'


def test_the_tools_own_name_and_description_are_shown():
    assert text_of(len, name="size", description="How long it is.").startswith("def size(")
    assert '"""How long it is."""' in text_of(len, name="size", description="How long it is.")


def test_a_context_is_hidden():
    def look(item: str, context: Context[dict]) -> str:
        """Look."""

    assert text_of(look).startswith("def look(item: str) -> str:")
    assert "ontext" not in text_of(look)


def test_further_options_are_shown():
    def search(query: str, **filters: int) -> None:
        """Search."""

    assert text_of(search).startswith("def search(query: str, **options) -> None:")


def test_methods_are_shown_without_self():
    class Counter:
        def increase(self, by: int = 1) -> int:
            """Count."""

    assert text_of(Counter().increase).startswith("def increase(by: int = 1) -> int:")


class Color(enum.Enum):
    """A color."""

    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    """A place."""

    x: int
    y: float | None = None


class Line(pydantic.BaseModel):
    """Two places."""

    start: Point
    ends: list[Point]
    color: Color = Color.RED


class Pair(NamedTuple):
    """Two."""

    left: int
    right: str


class Options(TypedDict, total=False):
    """Some."""

    deep: bool


@dataclasses.dataclass
class Tree:
    """It speaks of itself."""

    children: list[Tree]


class Plain:
    """No fields."""


HINTS = [
    (int, "int"),
    (None, "None"),
    (type(None), "None"),
    (Any, "Any"),
    (list, "list"),
    (list[int], "list[int]"),
    (dict[str, list[int]], "dict[str, list[int]]"),
    (tuple[int, ...], "tuple[int, ...]"),
    (int | None, "int | None"),
    (Optional[int], "int | None"),  # noqa: UP045
    (Union[int, str], "int | str"),  # noqa: UP007
    (Literal["a", 1, None], "Literal['a', 1, None]"),
    (Annotated[int, Field(ge=1)], "int"),
    (Sequence[str], "Sequence[str]"),
    (Mapping[str, int], "Mapping[str, int]"),
    (Iterable[Any], "Iterable[Any]"),
    (Callable[[int, str], bool], "Callable[[int, str], bool]"),
    (Callable[..., int], "Callable[..., int]"),
    (typing.List[int], "list[int]"),  # noqa: UP006
    (dt.date, "date"),
    (Path, "Path"),
    (Plain, "Plain"),
]


@pytest.mark.parametrize(("hint", "text"), HINTS, ids=[text for _, text in HINTS])
def test_types_are_shown_as_they_are_written(hint, text):
    assert type_text(hint, {}) == text


def test_classes_are_described_once_after_those_they_speak_of():
    def draw(line: Line, at: Point, how: Options, size: Pair) -> Color:
        """Draw."""

    def again(line: Line) -> None:
        """Again."""

    text = stubs([Tool(draw), Tool(again)], "value.field")
    assert text.startswith("# Read a field as value.field; pass dicts.\n")
    assert text.count("class Point:\n    x: int\n    y: float | None") == 1
    assert text.count("class Line:\n    start: Point\n    ends: list[Point]\n    color: Color") == 1
    assert "class Options:\n    deep: bool" in text
    assert "class Pair:\n    left: int\n    right: str" in text
    assert text.count("Color = Literal['red', 'blue']") == 1
    assert text.index("class Point:") < text.index("class Line:") < text.index("def draw(")
    assert text.index("Color = ") < text.index("class Line:")
    assert text.endswith(
        'def again(line: Line) -> None:\n    """Again.\n\n    Args:\n        line: Two places.\n    """'
    )


def test_a_class_may_speak_of_itself():
    def grow(tree: Tree) -> Tree:
        """Grow."""

    assert "class Tree:\n    children: list[Tree]" in stubs([Tool(grow)], "value.field")


def test_without_classes_there_is_no_word_about_them():
    def one(a: int) -> int:
        """One."""

    def two(b: int) -> int:
        """Two."""

    text = stubs([Tool(one), Tool(two)], "value.field")
    assert text == 'def one(a: int) -> int:\n    """One."""\n\ndef two(b: int) -> int:\n    """Two."""'


def test_limits_of_arguments_are_told():
    def pick(
        count: Annotated[int, Field(ge=1, le=9)],
        name: Annotated[str, Field(min_length=2, pattern="^a")] = "ab",
        share: Annotated[float, Field(gt=0, lt=1, description="How much.")] = 0.5,
    ) -> None:
        """Pick."""

    text = text_of(pick)
    assert "count: (at least 1, at most 9)" in text
    assert "name: Matches ^a (at least 2 characters)" in text
    assert "share: How much. (above 0; below 1)" in text


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (None, "None"),
        ("it's", '"it\'s"'),
        (Color.RED, "'red'"),
        (1.5, "1.5"),
        (("a", 1), "('a', 1)"),
        ("x" * 100, "..."),
        (object(), "..."),
        (Point(1, 2), "Point(x=1, y=2)"),
    ],
    ids=lambda value: None if isinstance(value, object) and " at 0x" in repr(value) else repr(value)[:20],
)
def test_defaults_are_shown_where_they_are_short(default, shown):
    def use(value: Any = default) -> None:
        """Use."""

    assert text_of(use).startswith(f"def use(value: Any = {shown}) -> None:")


class Odd:
    """Its text is no Python."""

    def __repr__(self):
        return "<odd>"


ODD = Odd()


@tool
def everything(
    a: int,
    b: Color,
    c: Line | None = None,
    d: Literal["x", "y"] = "x",
    e: Any = ODD,
    f: float = float("inf"),
    *,
    g: dict[str, tuple[int, ...]] | None = None,
    h: Callable[[int], None] | str = "",
) -> Annotated[dict[str, Point], "places"]:
    """Everything.

    Args:
        a: It has \\ and "quotes" and 'more' and a very
            long description over two lines.
        b: A "color"
        g: Ends with a backslash \\
    """
    raise AssertionError


@pytest.mark.parametrize(
    "description",
    [
        "Simple.",
        'It says "hi"',
        "A path such as C:\\",
        'Three """quotes""" in it',
        "Two\nlines",
        "\\",
        '"',
        "",
        "häß 🎈",
    ],
)
def test_every_stub_is_python(description):
    def short(a: int) -> None:
        pass

    for each in (everything, Tool(short, description=description) if description else Tool(short)):
        tree = ast.parse(stub(each))
        assert isinstance(tree.body[0], ast.FunctionDef)
        assert ast.get_docstring(tree.body[0])


def test_the_names_of_the_parameters_and_their_order_are_kept():
    tree = ast.parse(stub(everything))
    assert [argument.arg for argument in tree.body[0].args.args] == list("abcdefgh")
    assert ast.unparse(tree.body[0].returns) == "dict[str, Point]"
