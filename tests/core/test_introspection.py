"""What a function says of itself; annotations here are strings, as with `from __future__ import annotations`."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import textwrap
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Optional, Union

import pytest
import typing_extensions
from pydantic import BaseModel, Field

from tinyagent.core.context import Context
from tinyagent.core.errors import ToolDefinitionError
from tinyagent.core.introspection import documentation_of, hints_of, is_context
from tinyagent.core.registry import tool
from tinyagent.core.tool import Tool

if TYPE_CHECKING:
    from fractions import Fraction


# ---- names


async def test_types_defined_inside_a_function_are_found():
    class Color(enum.Enum):
        RED = "red"

    @dataclasses.dataclass
    class Point:
        x: int

    class Answer(BaseModel):
        point: Point
        color: Color
        days: Annotated[int, Field(ge=1)] = 1

    @tool
    def paint(answer: Answer, colors: list[Color], more: dict[str, Point | None]) -> tuple[Answer, list[Color], dict]:
        return answer, colors, more

    answer = {"point": {"x": "1"}, "color": "red"}
    painted = await paint.run({"answer": answer, "colors": ["red"], "more": {"a": None, "b": {"x": 2}}})
    assert painted == (Answer(point=Point(1), color=Color.RED), [Color.RED], {"a": None, "b": Point(2)})


def test_types_defined_inside_a_function_are_found_with_options():
    class Answer(BaseModel):
        text: str

    @tool(name="reply")
    def answer(answer: Answer):
        return answer

    assert answer.parameters["properties"]["answer"] == {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
    }


def test_types_from_a_closure_are_found():
    """Not where the tool is made, but where the function was defined."""

    class Answer(BaseModel):
        text: str

    def answer(answer: Answer):
        return Answer(text=answer.text)

    def elsewhere():
        return Tool(answer)

    assert elsewhere().parameters["required"] == ["answer"]


async def test_recursive_model_inside_a_function():
    class Node(BaseModel):
        value: int
        children: list[Node] = []

    @tool
    def walk(node: Node, deeper: list[Node] | None = None):
        return node

    node = await walk.run({"node": {"value": 1, "children": [{"value": "2"}]}})
    assert node.children[0].value == 2


async def test_recursive_dataclass_inside_a_function():
    @dataclasses.dataclass
    class Node:
        value: int
        next: Node | None = None

    @tool
    def walk(node: Node):
        return node

    assert await walk.run({"node": {"value": 1, "next": {"value": 2}}}) == Node(1, Node(2))


async def test_function_that_calls_itself():
    @tool
    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n - 1)

    assert await factorial.run({"n": "5"}) == 120


async def test_function_that_calls_one_defined_later():
    @tool
    def first(n: int) -> int:
        return later(n) + 1

    def later(n):
        return n * 2

    assert await first.run({"n": 2}) == 5


async def test_method_that_calls_super():
    class Base:
        def factor(self):
            return 2

    class Kit(Base):
        def factor(self):
            return 5

        @tool
        def scale(self, n: int) -> int:
            return n * super().factor()

    assert await Kit().scale.run({"n": 3}) == 6


async def test_types_in_a_class_body_are_found_by_its_methods():
    class Kit:
        class Options(BaseModel):
            depth: int

        @tool
        def search(self, options: Options):
            return options

    assert await Kit().search.run({"options": {"depth": "1"}}) == Kit.Options(depth=1)


def test_name_that_only_type_checkers_know_is_an_error_that_says_so():
    with pytest.raises(ToolDefinitionError) as caught:

        @tool
        def halve(fine: int, amount: Fraction):
            return amount

    assert "'halve'" in str(caught.value)
    assert "'amount'" in str(caught.value)
    assert "'Fraction' is not defined" in str(caught.value)
    assert "TYPE_CHECKING" in str(caught.value)


def test_name_inside_a_longer_annotation_is_an_error_that_names_the_parameter():
    with pytest.raises(ToolDefinitionError, match="'amount'"):

        @tool
        def halve(fine: int, amount: dict[str, Optional["Fraction"]]):  # noqa: UP037, UP045
            return amount


def test_hints_of_a_wrapped_function_are_its_own():
    def quiet(function):
        @functools.wraps(function)
        def wrapper(*args: str, **kwargs: str) -> None:
            with contextlib.suppress(ValueError):
                function(*args, **kwargs)

        return wrapper

    @quiet
    @quiet
    def search(query: str, limit: int = 3) -> list[str]:
        """Search."""

    assert hints_of(search, "search", None) == {"query": str, "limit": int, "return": list[str]}
    assert list(Tool(search).parameters["properties"]) == ["query", "limit"]


class Multiply:
    def __call__(self, a: int, b: int = 2) -> int:
        return a * b

    def method(self, c: float) -> float:
        return c

    @classmethod
    def of(cls, d: str) -> str:
        return d

    @staticmethod
    def plain(e: bool) -> bool:
        return e


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Model(BaseModel):
    number: int
    text: str = "t"


@dataclasses.dataclass
class Record:
    number: int
    text: str = "t"


class Initialised:
    def __init__(self, number: int, text: str = "t"):
        self.number = number


class Made:
    def __new__(cls, number: int, text: str = "t"):
        return super().__new__(cls)


def free(a: int, b: str = "b") -> None:
    """Free."""


@pytest.mark.parametrize(
    ("function", "types"),
    [
        (free, {"a": "integer", "b": "string"}),
        (functools.partial(free, 1), {"b": "string"}),
        (functools.partial(functools.partial(free, b="c")), {"a": "integer"}),
        (functools.lru_cache(free), {"a": "integer", "b": "string"}),
        (Multiply(), {"a": "integer", "b": "integer"}),
        (functools.partial(Multiply(), b=3), {"a": "integer"}),
        (Multiply().method, {"c": "number"}),
        (functools.partial(Multiply.method, Multiply()), {"c": "number"}),
        (Multiply.of, {"d": "string"}),
        (Multiply().of, {"d": "string"}),
        (Multiply.plain, {"e": "boolean"}),
        (Tool(free), {"a": "integer", "b": "string"}),
        (Record, {"number": "integer", "text": "string"}),
        (Initialised, {"number": "integer", "text": "string"}),
        (Pair, {"left": "integer", "right": "string"}),
        (Model, {"number": "integer", "text": "string"}),
        (Made, {"number": "integer", "text": "string"}),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_annotations_under_any_wrapping(function, types):
    properties = Tool(function).parameters["properties"]
    assert {name: part.get("type") for name, part in properties.items()} == types


@pytest.mark.parametrize(
    ("annotation", "is_one"),
    [
        (Context, True),
        (Context[int], True),
        (Context[dict[str, Any]] | None, True),
        (Optional[Context], True),  # noqa: UP045
        (Union[Context[int], None], True),  # noqa: UP007
        (Annotated[Context, "words"], True),
        (Annotated[Context[int] | None, "words"], True),
        (int, False),
        (None, False),
        (Any, False),
        (list[Context], False),
        ("Context", False),
        (Literal["Context"], False),
        (Annotated[int, "Context"], False),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_is_context(annotation, is_one):
    assert is_context(annotation) is is_one


# ---- documentation

GOOGLE = """
Find pages.

The best first.

Args:
    query: What to look for,
        in words.
    limit (int): How many: 1 to 9.
    *rest: Ignored.
    **options: Passed on.

Returns:
    The pages.

Raises:
    ValueError: The query is empty.
"""
NUMPY = """
Find pages.

The best first.

Parameters
----------
query : str
    What to look for,
    in words.
limit : int, optional
    How many: 1 to 9.
**options
    Passed on.

Returns
-------
list
    The pages.
"""
REST = """
Find pages.

The best first.

:param query: What to look for,
    in words.
:param int limit: How many: 1 to 9.
:type query: str
:param options: Passed on.
:returns: The pages.
:raises ValueError: The query is empty.
"""


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
@pytest.mark.parametrize("indent", ["", "        "], ids=["flush", "indented"])
def test_docstring_describes_tool_and_parameters(text, indent):
    def find(query: str, limit: int = 3, **options):
        return query

    find.__doc__ = textwrap.indent(text, indent).lstrip()
    made = Tool(find)
    assert made.description == "Find pages.\n\nThe best first."
    properties = made.parameters["properties"]
    assert " ".join(properties["query"]["description"].split()) == "What to look for, in words."
    assert properties["limit"] == {"type": "integer", "default": 3, "description": "How many: 1 to 9."}
    assert set(properties) == {"query", "limit"}


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (None, ""),
        ("", ""),
        ("   \n  ", ""),
        ("One line", "One line"),
        ("One line: with a colon.", "One line: with a colon."),
        ("First line\nand its second.", None),
        ("Args:", None),
        ("Args:\nquery: not indented", None),
        ("Args:\n    query", None),
        ("Find.\n\nArgs:\n    other: Not a parameter.", "Find."),
        ("Find.\n\nParameters\n----------", None),
        (":param", None),
        (":param query", None),
        (":param query:", None),
        (":", None),
        ("Find.\n\n:foo bar", None),
        ("Note: read this.", None),
        ("Find ``a`` {b} %s \\ \x00 é 漢字 🙂", "Find ``a`` {b} %s \\ \x00 é 漢字 🙂"),
        ("Args:\n" * 50, None),
        ("x" * 100_000, "x" * 100_000),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_any_docstring_makes_a_tool(text, description):
    def find(query: str):
        return query

    find.__doc__ = text
    made = Tool(find)
    assert description is None or made.description == description
    assert made.parameters["properties"]["query"]["type"] == "string"
    assert made.parameters["required"] == ["query"]


@pytest.mark.parametrize(
    "text",
    [
        "Args:\n    query: What.",
        "Args:\n    query (str): What.\n",
        "Arguments:\n    query: What.\n\nReturns:\n    Pages.",
        "Parameters:\n    query: What.",
        "args:\n    query: What.",
        "Parameters\n----------\nquery : str\n    What.",
        ":param query: What.",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("before", ["", "Find pages.\n\n"], ids=["alone", "after a summary"])
@pytest.mark.parametrize("indent", ["", "        "], ids=["flush", "indented"])
def test_a_docstring_may_begin_with_its_arguments(text, before, indent):
    def find(query: str):
        return query

    find.__doc__ = textwrap.indent(before + text, indent).lstrip()
    made = Tool(find)
    assert made.description == before.strip()
    assert made.parameters["properties"]["query"] == {"type": "string", "description": "What."}


def test_what_it_is_may_stand_in_the_annotation():
    def find(
        query: Annotated[str, "What to look for."],
        limit: Annotated[int | None, "How many.", Field(ge=1)] = None,
        places: list[Annotated[str, typing_extensions.Doc("A city.")]] = (),
        own: Annotated[str, "unused", Field(description="The field's.")] = "",
    ):
        """Find.

        Args:
            query: Not this.
            own: Nor this.
        """

    properties = Tool(find).parameters["properties"]
    assert properties["query"]["description"] == "What to look for."
    assert properties["limit"]["description"] == "How many."
    assert properties["places"]["items"] == {"type": "string", "description": "A city."}
    assert properties["own"]["description"] == "The field's."


def test_field_description_wins_over_the_docstring():
    def find(query: Annotated[str, Field(description="From the field.")], limit: int):
        """Find.

        Args:
            query: From the docstring.
            limit: How many.
        """

    properties = Tool(find).parameters["properties"]
    assert properties["query"]["description"] == "From the field."
    assert properties["limit"]["description"] == "How many."


def test_parameter_without_annotation_is_described_too():
    def find(query, limit=3):
        """Find.

        Args:
            query: Anything.
            limit: How many.
        """

    assert Tool(find).parameters["properties"] == {
        "query": {"description": "Anything."},
        "limit": {"default": 3, "description": "How many."},
    }


def test_documented_context_stays_hidden():
    def find(query: str, context: Context):
        """Find.

        Args:
            query: Words.
            context: The run.
        """

    assert list(Tool(find).parameters["properties"]) == ["query"]


class Documented:
    """A class.

    Args:
        a: Of the constructor.
    """

    def __call__(self, a: int):
        """Call it.

        Args:
            a: Of the call.
        """

    def method(self, a: int):
        """Do it.

        Args:
            a: Of the method.
        """


class Described:
    """Multiplies by a number it was given."""

    def __call__(self, a: int):
        """Multiply.

        Args:
            a: A number.
        """


class Undocumented:
    def __call__(self, a: int):
        """Call it.

        Args:
            a: Of the call.
        """


@dataclasses.dataclass
class Configured:
    secret: str = "s3cret"

    def __call__(self, a: int):
        """Call it.

        Args:
            a: Of the call.
        """


def _wrapped():
    @functools.wraps(Documented.method)
    def wrapper(*args, **kwargs):
        return Documented.method(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("function", "description", "of_a"),
    [
        (Documented().method, "Do it.", "Of the method."),
        (functools.partial(Documented().method), "Do it.", "Of the method."),
        (functools.partial(_wrapped(), None), "Do it.", "Of the method."),
        (Undocumented(), "Call it.", "Of the call."),
        (functools.partial(Undocumented()), "Call it.", "Of the call."),
        (Described(), "Multiplies by a number it was given.", "A number."),
        (Documented(), "A class.", "Of the call."),
        (Configured(), "Call it.", "Of the call."),
    ],
    ids=["method", "partial", "wrapped", "object", "partial of object", "described", "documented", "dataclass"],
)
def test_documentation_under_any_wrapping(function, description, of_a):
    made = Tool(function)
    assert made.description == description
    assert made.parameters["properties"]["a"]["description"] == of_a


def test_documentation_of_a_builtin():
    description, parameters = documentation_of(len)
    assert description.startswith("Return the number of items")
    assert parameters == {}


def test_description_given_wins_over_the_docstring():
    def find(query: str):
        """Find.

        Args:
            query: Words.
        """

    made = Tool(find, description="Look it up.")
    assert made.description == "Look it up."
    assert made.parameters["properties"]["query"]["description"] == "Words."
    assert Tool(find, description="").description == ""
