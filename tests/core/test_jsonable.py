"""Any value as JSON."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import itertools
import json
import math
import pathlib
import re
import subprocess
import sys
import uuid

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import BaseModel

from tests.core.trees import STRANGE, Box, values
from tinyagent.core.jsonable import (
    BRIEF,
    LONGEST_ITERATOR,
    MAX_ITEMS,
    MAX_LEAVES,
    MAX_ROWS,
    adapter,
    brief,
    error_text,
    shown,
    to_data,
    to_text,
    words,
)


class Color(enum.Enum):
    RED = "red"


class Word(str, enum.Enum):  # noqa: UP042 - as older code has them
    GO = "go"


@dataclasses.dataclass
class Point:
    x: int
    label: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    at: Point


class Answer(BaseModel):
    text: str
    point: Point | None = None


class Opaque:
    def __str__(self):
        return "opaque"


class Broken:
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


#: value, its JSON data
TABLE = [
    (None, None),
    (True, True),
    (3, 3),
    (10**30, 10**30),
    (1.5, 1.5),
    ([], []),
    ({}, {}),
    ((1, (2,)), [1, [2]]),
    ({"a": {"b": [None]}}, {"a": {"b": [None]}}),
    ({1: "a", None: "b", 2.5: "c"}, {"1": "a", "None": "b", "2.5": "c"}),
    ({(1, 2): 3, Color.RED: 4}, {"1,2": 3, "red": 4}),
    ({5}, [5]),
    (frozenset({5}), [5]),
    (collections.deque([1, 2]), [1, 2]),
    (collections.OrderedDict(a=1), {"a": 1}),
    (Color.RED, "red"),
    (Point(1, Point(2)), {"x": 1, "label": {"x": 2, "label": None}}),
    (Slotted(Point(1)), {"at": {"x": 1, "label": None}}),
    (Answer(text="a", point=Point(1)), {"text": "a", "point": {"x": 1, "label": None}}),
    ([Answer(text="a"), {"b": Point(1)}], [{"text": "a", "point": None}, {"b": {"x": 1, "label": None}}]),
    (dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC), "2024-02-29T12:00:00Z"),
    (dt.date(2024, 2, 29), "2024-02-29"),
    (dt.timedelta(hours=1), "PT1H"),
    (decimal.Decimal("1.10"), "1.10"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (pathlib.Path("a"), "a"),
    (Opaque(), "opaque"),
    ([Opaque(), {"a": Opaque()}], ["opaque", {"a": "opaque"}]),
    (Point(1, Opaque()), {"x": 1, "label": "opaque"}),
    (ValueError("wrong"), "wrong"),
    (2j, "2j"),
]


@pytest.mark.parametrize(("value", "data"), TABLE, ids=lambda value: type(value).__name__)
def test_value_as_text_and_as_data(value, data):
    assert to_data(value) == data
    json.dumps(to_data(value), allow_nan=False)
    assert json.loads(to_text([value])) == [data]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=repr)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value], lambda value: Point(1, {"a": value})])
def test_number_that_json_has_not(value, wrap):
    """JSON has no NaN and no Infinity; a browser or a database refuses records that hold one."""
    json.dumps(to_data(wrap(value)), allow_nan=False)
    assert "NaN" in to_text(wrap(value)) or "Infinity" in to_text(wrap(value))


@pytest.mark.parametrize("text", ["", "text", '{"a": 1}', "Zürich 🙂", "\x00", "\ud800", "a\nb", '"'], ids=ascii)
def test_text_stays_as_it_is(text):
    assert to_text(text) == text
    assert to_data(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (3, "3"), (1.5, "1.5"), ([1, "a"], '[1,"a"]'), (math.nan, "NaN"), (b"abc", "abc")],
    ids=repr,
)
def test_value_as_the_model_reads_it(value, text):
    assert to_text(value).strip('"') == text


def test_text_is_utf_8():
    assert to_text(["Zürich 🙂"]) == '["Zürich 🙂"]'


def test_enum_of_text():
    assert to_text(Word.GO) == "go"
    assert to_text([Word.GO]) == '["go"]'
    assert to_data({"a": Word.GO}) == {"a": "go"}


def test_bytes_that_are_no_text():
    assert json.loads(to_text({"a": b"\xff\xfe"})) == {"a": "__4="}
    assert to_data([b"\xff\xfe"]) == ["__4="]


def test_generator_is_read():
    assert to_data(number for number in range(3)) == [0, 1, 2]
    assert to_text(number for number in range(3)) == "[0,1,2]"


def test_a_generator_without_an_end_is_read_for_a_while():
    assert to_data(itertools.count()) == list(range(LONGEST_ITERATOR))
    assert to_text(itertools.count()).startswith("[0,1,2,")


def test_int_too_long_for_python_to_print():
    assert to_text([10**5000]) == f"[1{'0' * 5000}]"


@pytest.mark.parametrize("value", [Opaque, re.compile("a+"), len, object()], ids=lambda value: type(value).__name__)
def test_anything_else_is_its_text(value):
    assert isinstance(json.loads(to_text([value]))[0], str)
    assert isinstance(to_data({"a": value})["a"], str)


def cycle():
    around = [1]
    around.append(around)
    return around


def cycle_of_points():
    around = Point(1)
    around.label = around
    return around


def nested(depth, wrap):
    return functools.reduce(lambda inner, _: wrap(inner), range(depth), 1)


HOSTILE = {
    "cycle of lists": cycle(),
    "cycle in a dict": {"a": cycle()},
    "cycle of dataclasses": cycle_of_points(),
    "no text": Broken(),
    "no text in a list": [1, Broken()],
    "no text as a key": {Broken(): 1},
    "lists 200 deep": nested(200, lambda inner: [inner]),
    "dicts 200 deep": nested(200, lambda inner: {"a": inner}),
    "lists 5,000 deep": nested(5_000, lambda inner: [inner]),
    "points 5,000 deep": nested(5_000, lambda inner: Point(1, inner)),
    "surrogate": {"a": "\ud800"},
    "surrogate as a key": {"\udfff": 1},
    "bytes": b"\xff",
    "a class": [Point],
}
hostile = pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)


@hostile
def test_hostile_value_has_a_text(value):
    text = to_text(value)
    assert isinstance(text, str)
    assert text


@hostile
def test_hostile_value_has_data(value):
    json.dumps(to_data(value), allow_nan=False)


@pytest.mark.parametrize("value", [{"a": "\ud800"}, ["\udfff", 1], {"\ud800": [1]}], ids=ascii)
def test_lone_surrogate_leaves_json_json(value):
    """Models send them: half of an escaped emoji."""
    assert isinstance(json.loads(to_text(value)), type(value))
    assert json.loads(json.dumps(to_data(value))) == value


@pytest.mark.parametrize("depth", [10, 200])
def test_deep_value_is_json(depth):
    value = nested(depth, lambda inner: {"a": [inner]})
    assert json.loads(to_text(value)) == value
    assert to_data(value) == value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_json_stays_what_it_is(value):
    assert to_data(value) == value
    if not isinstance(value, str):
        assert json.loads(to_text(value)) == value


def test_adapter_is_made_once():
    assert adapter(list[Point]) is adapter(list[Point])
    assert adapter(list[Point]).validate_python([{"x": "1"}]) == [Point(1)]


# ---- values that say how a model reads them


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    title: str
    rows: tuple[int, ...] = ()

    def for_model(self):
        return f"{self.title}: {len(self.rows)} rows"


class ReportModel(BaseModel):
    title: str

    def for_model(self) -> str:
        return f"Report {self.title}"


class Plain:
    def for_model(self) -> str:
        return "plain"


class Derived(Plain):
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Report("Sales", (1, 2)), "Sales: 2 rows"),
        (ReportModel(title="x"), "Report x"),
        (Plain(), "plain"),
        (Derived(), "plain"),
        (Report("ünï {x} $y\n"), "ünï {x} $y\n: 0 rows"),
    ],
)
def test_a_value_may_say_how_a_model_reads_it(value, text):
    assert to_text(value) == text


def test_records_have_the_data_all_the_same():
    assert to_data(Report("Sales", (1, 2))) == {"title": "Sales", "rows": [1, 2]}
    assert to_data([Report("Sales")]) == [{"title": "Sales", "rows": []}]
    assert json.loads(to_text([Report("Sales", (1,))])) == [{"title": "Sales", "rows": [1]}]


def test_what_it_says_is_text():
    class Number:
        def for_model(self):
            return 7

    assert to_text(Number()) == "7"


def test_one_that_fails_is_read_as_json():
    @dataclasses.dataclass
    class Broken:
        x: int

        def for_model(self):
            raise ValueError("no")

    @dataclasses.dataclass
    class Demanding:
        x: int

        def for_model(self, style):
            return style

    assert json.loads(to_text(Broken(1))) == {"x": 1}
    assert json.loads(to_text(Demanding(1))) == {"x": 1}


def test_a_field_of_that_name_is_a_field():
    @dataclasses.dataclass
    class Choice:
        for_model: str = "gpt"

    class Members(enum.Enum):
        for_model = "gpt"

    assert json.loads(to_text(Choice())) == {"for_model": "gpt"}
    assert json.loads(to_text(Members.for_model)) == "gpt"
    assert json.loads(to_text({"for_model": 1})) == {"for_model": 1}


def test_only_the_class_says_it():
    value = Point(1)
    value.for_model = lambda: "mine"
    assert json.loads(to_text(value))["x"] == 1


def test_text_is_text_whatever_its_class_says():
    class Loud(str):
        __slots__ = ()

        def for_model(self):
            return self.upper()

    assert to_text(Loud("hello")) == "hello"


# ---- exceptions


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (ValueError(), "ValueError"),
        (ValueError(Broken()), "ValueError: ValueError(<unprintable>)"),
        (ExceptionGroup("g", [ValueError("a")]), "ExceptionGroup: g (1 sub-exception): ValueError: a"),
        (
            ExceptionGroup("g", [ExceptionGroup("h", [ValueError("a"), OSError("b")]), KeyError("c")]),
            "ExceptionGroup: g (2 sub-exceptions): ValueError: a; OSError: b; KeyError: 'c'",
        ),
        (
            ExceptionGroup("g", [ValueError(str(n)) for n in range(1_000)]),
            "ExceptionGroup: g (1000 sub-exceptions): "
            + "; ".join(f"ValueError: {n}" for n in range(MAX_LEAVES))
            + "; ...",
        ),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else type(value).__name__,
)
def test_an_exception_as_text(error, text):
    assert error_text(error).replace("<ValueError>", "ValueError(<unprintable>)") == text


# ---- numbers, arrays and tables of other libraries, which are never imported for it


np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
ARRAYS = [
    (np.int64(3), 3),
    (np.float32(1.5), 1.5),
    (np.float64(1.5), 1.5),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (np.array(3), 3),
    (np.array([1, 2]), [1, 2]),
    (np.array([[1.5, math.nan]]), [[1.5, "NaN"]]),
    (np.array([]), []),
    (np.zeros((0, 5)), []),
    (np.array(["a", None, Color.RED], dtype=object), ["a", None, "red"]),
    (np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]), [[1, 2.5]]),
    (np.ma.array([1, 2], mask=[False, True]), [1, None]),
    (np.datetime64("2024-02-29"), "2024-02-29"),
    (np.array(["2024-02-29T12:00"], dtype="datetime64[ns]"), ["2024-02-29T12:00:00.000000000"]),
    (pd.Index([1, 2]), [1, 2]),
    (pd.array([1, None], dtype="Int64"), [1, "<NA>"]),
    (
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}, dtype=object),
        {"columns": ["a", "b"], "rows": [[1, "x"], [2, None]]},
    ),
    (pd.DataFrame(), {"columns": [], "rows": []}),
    (pd.DataFrame({"at": [pd.Timestamp("2024-02-29")]}), {"columns": ["at"], "rows": [["2024-02-29T00:00:00"]]}),
    (pd.Series([1.5], name="price"), {"columns": ["price"], "rows": [[1.5]]}),
    (pd.Series(["a", "a", "b"]).value_counts(), {"columns": ["index", "count"], "rows": [["a", 2], ["b", 1]]}),
    (
        pd.DataFrame({"a": ["x", "x"], "b": [1, 2], "n": [3, 4]}).set_index(["a", "b"]),
        {"columns": ["a", "b", "n"], "rows": [["x", 1, 3], ["x", 2, 4]]},
    ),
]


@pytest.mark.parametrize(("value", "data"), ARRAYS, ids=lambda value: type(value).__name__)
def test_numbers_arrays_and_tables_are_written_as_such(value, data):
    assert json.loads(to_text([value])) == [data]
    assert to_data({"a": [Point(1, value)]}) == {"a": [{"x": 1, "label": data}]}
    assert to_data([value, "\ud800"]) == [data, "\ud800"]  # also where the parts are written one by one


def test_of_a_long_table_the_first_rows_and_how_many_are_missing():
    told = json.loads(to_text(pd.DataFrame({"n": range(5_000)})))
    assert told == {
        "note": f"{5_000 - MAX_ROWS:,} of 5,000 rows are missing",
        "columns": ["n"],
        "rows": [[n] for n in range(MAX_ROWS)],
    }
    wide = json.loads(to_text(pd.DataFrame(np.zeros((50, 1_000)))))
    assert wide["note"] == "40 of 50 rows are missing"
    assert len(wide["rows"]) == MAX_ITEMS // 1_000


def test_of_a_large_array_the_first_items_and_how_many_are_missing():
    told = json.loads(to_text(np.arange(3 * MAX_ITEMS)))
    assert told == [*range(MAX_ITEMS), f"[{2 * MAX_ITEMS:,} of {3 * MAX_ITEMS:,} are missing]"]
    told = json.loads(to_text(np.zeros((100, 1_000))))
    assert told == [*[[0.0] * 1_000] * 10, "[90 of 100 are missing]"]
    assert len(to_text(np.zeros((2, 10 * MAX_ITEMS)))) < 1_000


class Pretends:
    """Not an array."""

    shape, dtype, columns, head = (1,), "int", (), None

    def tolist(self):
        raise RuntimeError("no array")

    def __str__(self):
        return "pretends"


def test_what_only_looks_like_an_array_is_told_in_its_words():
    assert json.loads(to_text([Pretends()])) == ["pretends"]


def test_no_library_is_imported_for_it():
    code = (
        "import sys; from tinyagent.core.jsonable import to_text; to_text([object(), 1]); print('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# ---- any value whatever


@settings(suppress_health_check=list(HealthCheck))
@given(values)
def test_no_value_fails(value):
    json.dumps(to_data(value), allow_nan=False)
    assert type(to_text(value)) is str
    assert type(shown(value)) is str
    assert type(words(value)) is str


@pytest.mark.parametrize("make", STRANGE, ids=range(len(STRANGE)))
def test_no_strange_value_fails_whatever_holds_it(make):
    for wrap in (lambda value: value, lambda value: [value], lambda value: {"a": [value]}, Box):
        json.dumps(to_data(wrap(make())), allow_nan=False)
        assert type(to_text(wrap(make()))) is str
        assert type(shown(wrap(make()))) is str


def test_one_bad_field_does_not_spoil_the_rest():
    @dataclasses.dataclass
    class Half:
        good: int
        bad: int = 0

        def __getattribute__(self, name):
            if name == "bad":
                raise ValueError(name)
            return super().__getattribute__(name)

    assert json.loads(to_text([Half(1), 2])) == [{"good": 1, "bad": None}, 2]


def test_what_a_value_prints_as_is_its_repr_or_that_of_its_data():
    assert shown([1, "a"]) == "[1, 'a']"
    assert shown({"a": 1, "b": Broken()}) == "{'a': 1, 'b': '<Broken>'}"
    assert shown([2**20_000, 1]) == "['<int>', 1]"


def test_an_error_quotes_the_beginning_of_an_object():
    class Unprintable:
        def __repr__(self):
            raise ValueError("no")

    assert brief([1, 2]) == "[1, 2]"
    assert brief("x" * 1000) == "'" + "x" * (BRIEF - 1) + "... (a str)"
    assert "Unprintable" in brief(Unprintable())
