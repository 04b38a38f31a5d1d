"""Values and frames: what crosses exactly, what as something simpler, and that nothing malformed gets through."""

# Naive moments are values too.
# ruff: noqa: DTZ001, DTZ901

from __future__ import annotations

import collections
import contextlib
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import gc
import ipaddress
import json
import math
import pathlib
import pickle
import random
import threading
import time
import types
import uuid
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import BaseModel

from tinyagent.core.codec import (
    FEW_PARTS,
    MAX_BYTES,
    MAX_CONTAINERS,
    MalformedError,
    ManyPartsError,
    Opaque,
    Record,
    TooLargeError,
    dumps,
    from_json,
    loads,
    pack,
    packing,
    reading,
    to_json,
)
from tinyagent.core.codec.exact import LONGEST_BOUND, LONGEST_DECIMAL, LONGEST_FRACTION, LONGEST_INT, LONGEST_RANGE
from tinyagent.core.codec.kinds import DEEPEST, LONGEST_TEXT, MAX_HALVES, MAX_TAGGED
from tinyagent.core.jsonable import to_data, to_text

#: Multiples of it are distinct whole numbers of one hash.
SAME_HASH = (1 << 61) - 1


def crossed(value, *, records=False):
    """The value after its way through JSON."""
    return from_json(to_json({"v": pack(value, records=records)}), records=records)["v"]


def decoded(data):
    """What becomes of tagged JSON in the sandbox, where records are read as well."""
    return from_json(json.dumps({"v": data}).encode(), records=True)["v"]


def canonical(value):
    """Equal for values of the same types and content, NaN and -0.0 included."""
    kind = type(value).__name__
    match value:
        case dict():
            return kind, tuple((canonical(key), canonical(part)) for key, part in value.items())
        case list() | tuple():
            return kind, tuple(map(canonical, value))
        case set() | frozenset():
            return kind, tuple(sorted((canonical(part) for part in value), key=repr))
        case dt.datetime() | dt.time():
            return kind, value.isoformat(), value.fold
        case Opaque():
            return kind, str(value), value.type
        case int():
            return kind, hex(value)
    return kind, repr(value)


def same(one, other):
    return canonical(one) == canonical(other)


# ---- what crosses exactly


def no_pairs(text):
    """Without half characters that JSON would put together (see the test of pairs)."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text


DAY = 24 * 3600
#: Whole seconds: CPython 3.11 reads back offsets below one second as none.
zones = st.none() | st.builds(lambda s: dt.timezone(dt.timedelta(seconds=s)), st.integers(1 - DAY, DAY - 1))
folds = st.integers(0, 1)
texts = st.text(st.characters(exclude_categories=()), max_size=10).filter(no_pairs)
small = st.integers(-(2**70), 2**70)
huge = st.builds(
    lambda bits, sign: sign * ((1 << bits) - 1), st.integers(63, 4 * LONGEST_INT), st.sampled_from([1, -1])
)
few = st.integers(-1_000, 1_000)  # the ranges of a value are limited together
hashable_leaves = (
    st.none()
    | st.booleans()
    | small
    | huge
    | st.floats()
    | texts
    | st.binary(max_size=20)
    | st.complex_numbers(allow_nan=True)
    | st.builds(range, few, few, few.filter(bool))
    | st.builds(lambda moment, fold: moment.replace(fold=fold), st.datetimes(timezones=zones), folds)
    | st.builds(lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold), st.times(), zones, folds)
    | st.dates()
    | st.timedeltas()
    | st.decimals().filter(lambda number: not number.is_snan() and abs(number.adjusted()) <= LONGEST_DECIMAL)
    | st.fractions()
    | st.uuids()
    | st.builds(pathlib.PurePosixPath, texts)
    | st.builds(Opaque, texts, st.text(max_size=5))
)
hashables = st.recursive(
    hashable_leaves,
    lambda parts: st.lists(parts, max_size=4).map(tuple) | st.frozensets(parts, max_size=4),
    max_leaves=8,
)
leaves = hashable_leaves | st.builds(bytearray, st.binary(max_size=20))
exact = st.recursive(
    leaves,
    lambda parts: (
        st.lists(parts, max_size=4)
        | st.lists(parts, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.just("!"), parts, max_size=4)
        | st.dictionaries(hashables, parts, max_size=4)
        | st.sets(hashables, max_size=4)
        | st.frozensets(hashables, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.timeout(120)
@given(exact, st.booleans())
def test_exact_types_cross_as_they_are(value, records):
    assert same(crossed(value, records=records), value)


@given(leaves, st.booleans())
def test_nothing_of_an_exact_value_crosses_as_its_text(value, records):
    noted = []
    pack([value], records=records, opaque=noted)
    assert noted == (["Opaque"] if noted and isinstance(value, Opaque) else [])


@pytest.mark.parametrize(
    "value",
    [
        -0.0,
        2**63 - 1,
        2**63,
        -(2**63),
        -(2**63) - 1,
        complex(-0.0, math.nan),
        dt.datetime.max,
        dt.datetime.min,
        dt.timedelta.max,
        dt.timedelta.min,
        dt.time(1, 2, 3, 4, dt.timezone(dt.timedelta(seconds=-1)), fold=1),
        decimal.Decimal("-0E+5"),
        decimal.Decimal("1e5000"),
        decimal.Decimal("-NaN3"),
        range(5, -(2**100), -(2**90)),
        pathlib.PurePosixPath(),
        "\ud800",
        "\udfff\ud800",
        {"!": "tuple", "v": [1]},
        {"!": None},
        {("a", 1): {None: {frozenset({1}): b"x"}}},
        {1.5: 1, None: 2, True: 3},
        [[[]], (), set(), frozenset(), {}],
        uuid.UUID(int=0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("records", [False, True], ids=["plain", "records"])
def test_corners_cross_as_they_are(value, records):
    assert same(crossed(value, records=records), value)


def test_a_text_has_a_most_of_half_characters():
    assert crossed("\ud800" * MAX_HALVES) == "\ud800" * MAX_HALVES
    assert crossed("\ud55c" * 100_000) == "\ud55c" * 100_000  # whole ones that begin with the same byte
    with pytest.raises(TooLargeError, match="half characters"):
        crossed("\ud800" * (MAX_HALVES + 1))


def test_half_characters_in_a_row_stay_two():
    assert crossed("\ud83d\ude00") == "\ud83d\ude00"


@pytest.mark.parametrize("records", [False, True])
def test_a_text_of_a_value_is_one_line_that_every_file_takes(records):
    value = ["tea \ud800 ü\n\u2028", {1: {b"x"}}, Frozen(1), dt.date(2024, 5, 6)]
    text = dumps(value, records=records)
    assert "\n" not in text
    assert text.encode().decode() == text
    assert same(loads(text, records=records), crossed(value, records=records))


def test_a_text_that_is_none_is_refused():
    for text in ("", "{", '{"!":"bomb","v":1}', '{"!":"record","v":{}}', "\ud800"):
        with pytest.raises(MalformedError):
            loads(text)


def test_the_order_of_a_dict_is_kept():
    value = {str(number): number for number in range(50, 0, -1)}
    assert list(crossed(value)) == list(value)
    mixed = {number if number % 2 else (number,): 1 for number in range(50, 0, -1)}
    assert list(crossed(mixed)) == list(mixed)


def test_a_moment_keeps_its_offset_but_not_the_name_of_its_zone():
    from zoneinfo import ZoneInfo

    moment = dt.datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Oslo"))
    found = crossed(moment)
    assert found == moment
    assert found.tzinfo == dt.timezone(dt.timedelta(hours=2))


def test_a_part_that_is_there_twice_arrives_twice():
    part = [1]
    assert crossed([part, part, {"a": part}]) == [[1], [1], {"a": [1]}]


# ---- what crosses as something simpler


class Point(NamedTuple):
    x: int
    y: list[int]


@dataclasses.dataclass
class Place:
    name: str
    at: Point
    secret: dataclasses.InitVar[int] = 3


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int


class Model(BaseModel):
    name: str
    inner: Slotted | None = None


class Typed(TypedDict):
    a: int


class Color(enum.Enum):
    RED = ("r", 1)


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    ONE = "one"


class Bits(enum.Flag):
    A = 1
    B = 2


def kind_of(base):
    """A subclass that has nothing of its own."""
    return type(f"My{base.__name__}", (base,), {})


SIMPLER = {
    "typed dict": (Typed(a=1), {"a": 1}),
    "enum": (Color.RED, ("r", 1)),
    "int enum": (Number.ONE, 1),
    "str enum": (Word.ONE, "one"),
    "flag": (Bits.A | Bits.B, 3),
    "enum as a key": ({Number.ONE: 1, Color.RED: 2}, {1: 1, ("r", 1): 2}),
    "Counter": (collections.Counter("aab"), {"a": 2, "b": 1}),
    "defaultdict": (collections.defaultdict(list, a=[1]), {"a": [1]}),
    "OrderedDict": (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "deque": (collections.deque([1, [2]], maxlen=5), [1, [2]]),
    "str": (kind_of(str)("x"), "x"),
    "int": (kind_of(int)(7), 7),
    "large int": (kind_of(int)(7**200), 7**200),
    "float": (kind_of(float)(1.5), 1.5),
    "nan": (kind_of(float)("inf"), math.inf),
    "complex": (kind_of(complex)(1, 2), 1 + 2j),
    "bytes": (kind_of(bytes)(b"x"), b"x"),
    "bytearray": (kind_of(bytearray)(b"x"), bytearray(b"x")),
    "memoryview": (memoryview(b"abc")[1:], b"bc"),
    "list": (kind_of(list)([1, (2,)]), [1, (2,)]),
    "tuple": (kind_of(tuple)([1, [2]]), (1, [2])),
    "dict": (kind_of(dict)({1: 2}), {1: 2}),
    "set": (kind_of(set)({1}), {1}),
    "frozenset": (kind_of(frozenset)({1}), frozenset({1})),
    "path": (pathlib.Path("/a/b"), pathlib.PurePosixPath("/a/b")),
    "path of Windows": (pathlib.PureWindowsPath("C:\\a\\b"), pathlib.PurePosixPath("C:/a/b")),
    "keys of their own kind": ({kind_of(str)("x"): 1, kind_of(int)(2): 3}, {"x": 1, 2: 3}),
    "bytes as a key": ({memoryview(b"x"): 1}, {b"x": 1}),
}


@pytest.mark.parametrize("name", SIMPLER)
@pytest.mark.parametrize("records", [False, True], ids=["plain", "records"])
def test_relatives_of_simple_types_cross_as_those(name, records):
    value, expected = SIMPLER[name]
    noted = []
    assert same(decoded(pack(value, records=records, opaque=noted)), expected)
    assert noted == []


FIELDS = {
    "named tuple": (Point(1, [2]), {"x": 1, "y": [2]}),
    "dataclass": (Place("Oslo", Point(1, []), 4), {"name": "Oslo", "at": {"x": 1, "y": []}}),
    "frozen dataclass": (Frozen(1), {"x": 1}),
    "dataclass with slots": (Slotted(1), {"x": 1}),
    "pydantic model": (Model(name="m", inner=Slotted(2)), {"name": "m", "inner": {"x": 2}}),
    "untyped named tuple": (collections.namedtuple("Pair", "a b")(1, 2), {"a": 1, "b": 2}),
}


@pytest.mark.parametrize("name", FIELDS)
def test_what_has_fields_crosses_as_a_dict_from_the_sandbox(name):
    value, expected = FIELDS[name]
    assert same(crossed([value]), [expected])


@pytest.mark.parametrize("name", FIELDS)
def test_what_has_fields_crosses_as_a_record_to_the_sandbox(name):
    value, expected = FIELDS[name]
    found = crossed(value, records=True)
    assert type(found) is Record
    assert found == expected
    for field, part in expected.items():
        assert getattr(found, field) == found[field] == part
    assert same(crossed(found), expected)


def test_a_record_says_what_fields_it_has():
    with pytest.raises(AttributeError, match=r"no field 'z'; it has: x, y"):
        Record({"x": 1, "y": 2}).z


def test_a_field_named_like_the_tags_value_is_kept():
    made = dataclasses.make_dataclass("Odd", ["v", "type"])(1, 2)
    assert crossed(made, records=True) == {"v": 1, "type": 2}


def hashable(base):
    """A subclass that can be a key, though its base cannot."""
    return type(f"Hashable{base.__name__}", (base,), {"__hash__": lambda self: 7})


HASHABLE_IN_THE_SANDBOX = {
    "list": hashable(list)([1]),
    "dict": hashable(dict)(a=1),
    "dict with other keys": hashable(dict)({1: 2}),
    "set": hashable(set)({1}),
    "bytearray": hashable(bytearray)(b"x"),
    "frozen dataclass": Frozen(1),
    "tuple of one": (1, Frozen(2)),
    "frozenset of one": frozenset({Frozen(3)}),
    "named tuple": collections.namedtuple("Pair", "a b")(1, 2),
    "deep": (1, (2, (3, frozenset({(Frozen(4),)})))),
}


@pytest.mark.parametrize("name", HASHABLE_IN_THE_SANDBOX)
@pytest.mark.parametrize("records", [False, True], ids=["plain", "records"])
def test_keys_that_would_lose_their_hash_cross_as_text(name, records):
    key = HASHABLE_IN_THE_SANDBOX[name]
    noted = []
    for value in ({key}, frozenset({key})):
        (found,) = decoded(pack(value, records=records, opaque=noted))
        assert hash(found) is not None
    assert noted
    assert list(crossed({key: "v"}, records=records).values()) == ["v"]
    assert list(crossed({1: "v", key: {key: "w"}}, records=records)) == [1, next(iter(crossed({key}, records=records)))]


# ---- numpy and pandas

SCIENTIFIC = {
    "array": (np.arange(3), [0, 1, 2]),
    "matrix": (np.ones((2, 2)), [[1.0, 1.0], [1.0, 1.0]]),
    "no dimension": (np.array(5), 5),
    "float64": (np.float64(1.5), 1.5),
    "float32": (np.float32(0.5), 0.5),
    "int64": (np.int64(2**62), 2**62),
    "uint64": (np.uint64(2**64 - 1), 2**64 - 1),
    "bool": (np.bool_(True), True),
    "nan": (np.float64("nan"), math.nan),
    "str": (np.str_("x"), "x"),
    "bytes": (np.bytes_(b"x"), b"x"),
    "complex": (np.complex128(1 + 2j), 1 + 2j),
    "moment": (np.datetime64("2024-05-06T07:08"), dt.datetime(2024, 5, 6, 7, 8)),
    "span": (np.timedelta64(5, "s"), dt.timedelta(seconds=5)),
    "objects": (np.array([1, "x", None], dtype=object), [1, "x", None]),
    "masked": (np.ma.masked_array([1, 2], [False, True]), [1, None]),
    "record": (np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]), [(1, 2.5)]),
    "empty": (np.array([]), []),
    "as key": ({np.int64(1): np.float64(2)}, {1: 2.0}),
    "frame": (pd.DataFrame({"a": [1, 2], "b": ["x", 2.5]}), [{"a": 1, "b": "x"}, {"a": 2, "b": 2.5}]),
    "frame of other names": (pd.DataFrame({1: [0.5]}), [{1: 0.5}]),
    "series": (pd.Series([1, 2], index=["a", "b"]), {"a": 1, "b": 2}),
    "series of moments": (
        pd.Series([pd.Timestamp("2024-01-02")]),
        {0: dt.datetime(2024, 1, 2)},
    ),
    "grouped": (pd.DataFrame({"a": [1], "b": [2]}).groupby(["a", "b"]).size(), {(1, 2): 1}),
    "Timestamp": (pd.Timestamp("2024-05-06 07:08"), dt.datetime(2024, 5, 6, 7, 8)),
    "NaT": (pd.NaT, None),
    "NA": (pd.NA, None),
    "index": (pd.Index([1, 2]), [1, 2]),
    "index of moments": (pd.DatetimeIndex(["2024-01-02"]), [dt.datetime(2024, 1, 2)]),
    "pairs": (pd.MultiIndex.from_tuples([(1, "a")]), [(1, "a")]),
    "categories": (pd.Categorical(["a", "b"]), ["a", "b"]),
    "extension array": (pd.array([1, None], dtype="Int64"), [1, None]),
}


@pytest.mark.parametrize("name", SCIENTIFIC)
@pytest.mark.parametrize("records", [False, True], ids=["plain", "records"])
def test_values_of_numpy_and_pandas_cross_as_plain_data(name, records):
    value, expected = SCIENTIFIC[name]
    if isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(crossed(value, records=records))
    else:
        found = crossed([value], records=records)[0]
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize(
    "value", [np.longdouble(1.5), pd.Interval(1, 2), pd.Period("2024-01"), pd.offsets.Day(2), np.dtype(int)], ids=repr
)
def test_others_of_numpy_and_pandas_cross_as_their_text(value):
    found = crossed(value)
    assert isinstance(found, Opaque)
    assert found == repr(value)


def test_a_timedelta_of_pandas_crosses_as_one():
    assert same(crossed(pd.Timedelta(5, "s")), dt.timedelta(seconds=5))


def test_moments_of_nanoseconds_cross_as_moments():
    assert crossed(np.array(["2024-01-02"], dtype="datetime64[ns]")) == [dt.datetime(2024, 1, 2)]


# ---- what crosses as its text


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


class Secretive:
    def __getattr__(self, name):
        raise ValueError(name)

    def __repr__(self):
        return "secret"


class Modelled:
    """Looks like a model of pydantic, and is none."""

    def model_dump(self):
        raise AssertionError

    def __repr__(self):
        return "modelled"


Broken = dataclasses.make_dataclass("Broken", ["x"], repr=False)
broken = Broken(1)
del broken.x


def generate():
    yield 1


TEXTS = {
    "object": (threading.Lock(), "lock"),
    "function": (crossed, "function"),
    "lambda": (lambda: 1, "function"),
    "class": (Point, "type"),
    "enum class": (Color, "EnumType"),
    "dataclass class": (Place, "type"),
    "model class": (Model, "ModelMetaclass"),
    "module": (json, "module"),
    "generator": (generate(), "generator"),
    "exception": (ValueError("x"), "ValueError"),
    "ellipsis": (..., "ellipsis"),
    "not implemented": (NotImplemented, "NotImplementedType"),
    "iterator": (iter([1]), "list_iterator"),
    "keys": ({"a": 1}.keys(), "dict_keys"),
    "mapping": (types.MappingProxyType({}), "mappingproxy"),
    "slice": (slice(1), "slice"),
    "address": (ipaddress.ip_address("::1"), "IPv6Address"),
    "secretive": (Secretive(), "Secretive"),
    "modelled": (Modelled(), "Modelled"),
    "decimal of its own kind": (kind_of(decimal.Decimal)("1.5"), "MyDecimal"),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("records", [False, True], ids=["plain", "records"])
def test_anything_else_crosses_as_its_text_with_its_type(name, records):
    value, kind = TEXTS[name]
    noted = []
    found = decoded(pack([value, {1: value}], records=records, opaque=noted))
    assert type(found[0]) is Opaque
    assert (str(found[0]), found[0].type) == (repr(value), kind)
    assert found[1] == {1: repr(value)}
    assert noted == [kind, kind]


def test_keys_that_cannot_cross_do_so_as_their_text():
    lock = threading.Lock()
    noted = []
    found = decoded(pack({lock: 1, frozenset({lock}): 2, (lock,): 3}, opaque=noted))
    assert found == {repr(lock): 1, frozenset({repr(lock)}): 2, (repr(lock),): 3}
    assert noted == ["lock"] * 3


@pytest.mark.parametrize("value", [Unprintable(), broken], ids=["repr fails", "a field is missing"])
def test_what_cannot_be_looked_into_crosses_as_well(value):
    found = crossed(value)
    assert isinstance(found, Opaque)
    assert type(value).__name__ in found


def test_a_text_that_is_known_already_is_not_made_again():
    found = decoded(pack(Unprintable(), text="as printed"))
    assert (str(found), found.type) == ("as printed", "Unprintable")
    inner = decoded(pack([Unprintable()], text="[...]"))
    assert inner == ["<Unprintable>"]


def test_a_text_that_came_across_goes_back_with_its_type():
    there = crossed(threading.Lock())
    back = crossed([there])[0]
    assert (str(back), back.type) == (str(there), "lock")
    assert packing.as_text(Opaque("x" * (LONGEST_TEXT + 9), "T"))["v"] == "x" * (LONGEST_TEXT + 9)


def test_long_texts_are_cut():
    class Long:
        def __init__(self, length):
            self.length = length

        def __repr__(self):
            return "x" * self.length

    assert crossed(Long(LONGEST_TEXT)) == "x" * LONGEST_TEXT
    assert crossed(Long(LONGEST_TEXT + 1)) == "x" * LONGEST_TEXT + "..."
    assert decoded(pack(Long(0), text="y" * (LONGEST_TEXT + 1))) == "y" * LONGEST_TEXT + "..."


def test_an_exit_is_not_caught():
    class Exits:
        def __repr__(self):
            raise SystemExit

    with pytest.raises(SystemExit):
        pack(Exits())


# ---- cycles, depth, size


def cycles():
    a_list = [1]
    a_list.append(a_list)
    a_dict = {"a": 1}
    a_dict["self"] = {"in": a_dict}
    through = ([],)
    through[0].append(through)
    record = Place("Oslo", Point(1, []))
    record.at.y.append(record)
    a_deque = collections.deque()
    a_deque.append(a_deque)
    array = np.array([None], dtype=object)
    array[0] = array
    return {"list": a_list, "dict": a_dict, "tuple": through, "record": record, "deque": a_deque, "array": array}


@pytest.mark.parametrize("name", cycles())
@pytest.mark.parametrize("records", [False, True], ids=["plain", "records"])
def test_cycles_end_in_a_text(name, records):
    noted = []
    found = decoded(pack(cycles()[name], records=records, opaque=noted))
    assert "..." in repr(found) or "Opaque" in repr(noted) or noted
    assert len(noted) == 1
    assert not isinstance(found, Opaque)


def nested(depth, make=lambda part: [part]):
    value = 1
    for _ in range(depth):
        value = make(value)
    return value


@pytest.mark.parametrize(
    ("make", "levels"),
    [
        (lambda part: [part], 1),
        (lambda part: (part,), 2),
        (lambda part: {"a": part}, 1),
        (lambda part: {1: part}, 3),
        (lambda part: frozenset([part]), 2),
        (lambda part: collections.deque([part]), 2),  # what is made of it counts as well
        (Slotted, None),
    ],
    ids=["list", "tuple", "dict", "pairs", "frozenset", "deque", "record"],
)
@pytest.mark.parametrize("records", [False, True], ids=["plain", "records"])
def test_nesting_is_kept_down_to_a_depth_and_is_text_below(make, levels, records):
    deepest = DEEPEST // (levels or 1 + records)
    noted = []
    decoded(pack(nested(deepest, make), records=records, opaque=noted))
    assert noted == []
    decoded(pack(nested(deepest + 1, make), records=records, opaque=noted))
    assert len(noted) == 1
    assert isinstance(decoded(pack(nested(50_000, make), records=records)), object)


def test_a_value_that_doubles_at_every_level_is_refused(monkeypatch):
    monkeypatch.setattr(packing, "MAX_BYTES", 1 << 14)  # it would be refused at a megabyte as well, a while later
    bomb = [1]
    for _ in range(60):
        bomb = [bomb, bomb]
    pair = (1,)
    for _ in range(60):
        pair = Point(pair, pair)
    for value in (bomb, pair):
        with pytest.raises(TooLargeError, match="too large to cross the sandbox"):
            pack(value)


@pytest.mark.parametrize(
    ("fits", "too_large"),
    [
        ("x" * MAX_BYTES, "x" * (MAX_BYTES + 1)),
        (bytes(MAX_BYTES * 3 // 4 - 30), bytes(MAX_BYTES + 1)),
        (bytearray(MAX_BYTES * 3 // 4 - 30), bytearray(MAX_BYTES + 1)),
        ([None] * (MAX_BYTES // 2), [None] * (MAX_BYTES // 2 + 1)),
        ((None,) * (MAX_BYTES // 2 - 10), (None,) * (MAX_BYTES // 2 + 1)),
        (dict.fromkeys(range(MAX_BYTES // 4 - 10)), dict.fromkeys(range(MAX_BYTES // 4 + 1))),
        (set(range(MAX_BYTES // 2 - 10)), set(range(MAX_BYTES // 2 + 1))),
    ],
    ids=["str", "bytes", "bytearray", "list", "tuple", "dict", "set"],
)
def test_parts_that_no_text_could_hold_are_refused_before_they_are_written(fits, too_large, untraced):
    pack(fits)
    with pytest.raises(TooLargeError):
        pack(too_large)
    with pytest.raises(TooLargeError):
        pack([{"a": [too_large]}])


@pytest.mark.parametrize(
    "value",
    [
        ["x" * 600_000] * 3,
        [b"x" * 500_000] * 3,
        [2 ** (4 * LONGEST_INT - 1)] * 500,
        {"k" * 600_000: 1, "l" * 600_000: 2},
    ],
    ids=["texts", "bytes", "numbers", "keys"],
)
def test_the_parts_are_counted_together(value):
    with pytest.raises(TooLargeError):
        pack(value)


def test_an_array_of_any_size_is_refused_without_being_copied():
    with pytest.raises(TooLargeError):
        pack(np.broadcast_to(np.int8(0), 10**15))


def test_numbers_have_a_longest_length():
    bits = 4 * LONGEST_INT
    for value in (2**bits - 1, -(2**bits - 1)):
        assert crossed(value) == value
    for value in (2**bits, -(2**bits)):
        assert isinstance(crossed(value), Opaque)
        assert crossed(value * 2**500) == "<int>"
    digits = "9" * LONGEST_DECIMAL
    assert crossed(decimal.Decimal(digits)) == decimal.Decimal(digits)
    assert isinstance(crossed(decimal.Decimal(digits + "9")), Opaque)
    longest = 2 ** (4 * LONGEST_FRACTION) - 1
    for value in (fractions.Fraction(-longest, longest - 1), fractions.Fraction(1, longest)):
        assert crossed(value) == value
    for value in (fractions.Fraction(longest + 1, longest), fractions.Fraction(longest, longest + 1)):
        assert isinstance(crossed(value), Opaque)


@pytest.mark.parametrize(
    "value",
    [
        range(10**100),
        range(0, 1, 10**100),
        range(-(10**100), 0),
        range(LONGEST_RANGE),
        range(LONGEST_RANGE + 1),
    ],
    ids=["stop", "step", "start", "longest", "too long"],
)
def test_a_range_of_any_length_crosses_in_some_way(value):
    assert str(crossed([value])[0]) == repr(value)
    assert str(crossed(value)) == repr(value)


def test_what_a_tool_would_expand_crosses_as_its_text():
    """`list[int]` makes a list of a range, `int` a number of a decimal: of any length, in the host's event loop."""
    for value in (range(LONGEST_RANGE + 2), range(0, -(10**9), -1), decimal.Decimal("1e999999999")):
        assert isinstance(crossed(value), Opaque)
    many = crossed([range(LONGEST_RANGE // 3)] * 4)
    assert [type(part) for part in many] == [range] * 3 + [Opaque]
    for hostile in (
        {"!": "range", "v": ["0x0", hex(LONGEST_RANGE + 2), "0x1"]},
        [{"!": "range", "v": ["0x0", hex(LONGEST_RANGE), "0x1"]}] * 2,
        {"!": "Decimal", "v": "1e999999999"},
        {"!": "Decimal", "v": "1e-999999"},
    ):
        with pytest.raises(MalformedError):
            decoded(hostile)


def test_many_keys_of_one_text_cross():
    class Named:
        def __repr__(self):
            return "named"

    assert crossed({Named() for _ in range(5000)}) == {"named"}


class NoZone(dt.tzinfo):
    """A zone that does not know its offset."""

    def __repr__(self):
        return "NoZone()"


def test_a_moment_in_a_broken_zone_crosses_as_its_text():
    moment = dt.datetime(2024, 1, 2, tzinfo=NoZone())
    assert crossed(moment) == repr(moment)


def test_the_bounds_of_a_range_have_a_longest_length():
    end = 2 ** (4 * LONGEST_BOUND)
    assert crossed(range(end - 9, end - 1)) == range(end - 9, end - 1)
    assert isinstance(crossed(range(end - 9, end)), Opaque)


@pytest.mark.parametrize("records", [False, True], ids=["plain", "records"])
def test_a_range_too_long_leaves_the_others_alone(records):
    others = [dt.datetime(2024, 5, 6), b"x", 2**80, math.inf, range(3)]
    found = crossed([range(LONGEST_RANGE + 1), *others], records=records)
    assert isinstance(found[0], Opaque)
    assert same(found[1:], others)


# ---- what is too much for one text


def test_a_text_may_fill_a_megabyte_and_no_more():
    assert len(dumps("x" * (MAX_BYTES - 2))) == MAX_BYTES == 2**20
    with pytest.raises(TooLargeError, match=r"1,048,577 of 1,048,576 bytes"):
        dumps("x" * (MAX_BYTES - 1))


def test_a_text_has_a_most_of_lists_and_objects():
    fits = {"v": [[]] * (MAX_CONTAINERS - 2)}
    assert from_json(to_json(fits)) == fits
    with pytest.raises(TooLargeError, match=f"over {MAX_CONTAINERS:,} lists and dicts"):
        to_json({"v": [[]] * (MAX_CONTAINERS - 1)})
    with pytest.raises(MalformedError, match="over 50,000 lists and dicts"):
        from_json(json.dumps({"v": [[]] * (MAX_CONTAINERS - 1)}).encode())
    with pytest.raises(MalformedError, match="over 50,000 lists and dicts"):
        from_json(b'{"v":[' + b"{}," * MAX_CONTAINERS + b"1]}")


def test_brackets_in_a_text_are_no_lists():
    text = json.dumps([{"a": 1}] * (MAX_CONTAINERS + 10))
    assert len(text) < MAX_BYTES
    assert crossed(text.replace('"', "'")) == text.replace('"', "'")


def test_a_text_has_a_most_of_values_with_tags():
    moments = [dt.date(2024, 5, 6)] * MAX_TAGGED
    assert from_json(to_json({"v": pack(moments)}))["v"] == moments
    with pytest.raises(TooLargeError, match=f"over {MAX_TAGGED:,} values"):
        to_json({"v": pack([*moments, moments[0]])})
    with pytest.raises(MalformedError, match=f"over {MAX_TAGGED:,} values"):
        from_json(json.dumps({"v": pack(moments) + pack(moments[:1])}, separators=(",", ":")).encode())


def test_numbers_that_json_has_not_are_refused_on_both_sides():
    with pytest.raises(ValueError, match="Out of range"):
        to_json({"v": math.nan})
    for constant in ("NaN", "Infinity", "-Infinity"):
        with pytest.raises(MalformedError, match="no JSON"):
            from_json(f'{{"v":{constant}}}'.encode())


#: Every tag, in one text.
EVERYTHING = {
    "t": "done",
    "id": 3,
    "v": pack(
        [
            None,
            1.5,
            "tea \ud800 ü",
            (1, {2: frozenset({3}), "!": {4}}),
            b"bytes",
            bytearray(b"x"),
            1j,
            math.inf,
            2**80,
            range(3),
            dt.datetime(2024, 5, 6, tzinfo=dt.UTC),
            dt.date(2024, 5, 6),
            dt.time(7, 8),
            dt.timedelta(1),
            decimal.Decimal("1.5"),
            fractions.Fraction(1, 3),
            uuid.UUID(int=7),
            pathlib.PurePosixPath("/a"),
            Frozen(1),
            threading.Lock(),
        ],
        records=True,
    ),
}


def test_a_text_cut_at_any_byte_is_refused():
    written = to_json(EVERYTHING)
    assert len(from_json(written, records=True)["v"]) == 20
    for end in range(len(written)):
        with pytest.raises(MalformedError):
            from_json(written[:end])


def test_a_text_with_any_byte_changed_is_a_text_or_refused():
    body, dice = to_json(EVERYTHING), random.Random(7)
    refused = 0
    for place in range(len(body)):
        for byte in (0, 0x22, 0x7B, 0xFF, dice.randrange(256)):
            try:
                from_json(body[:place] + bytes([byte]) + body[place + 1 :])
            except MalformedError:
                refused += 1
    assert refused > len(body)


@given(st.binary(max_size=60))
def test_noise_is_refused(data):
    with pytest.raises(MalformedError):
        from_json(data + b"\xff")


# ---- malformed values

MALFORMED = {
    "unknown tag": {"!": "bomb", "v": 1},
    "tag of a class": {"!": "object", "v": 1},
    "number as tag": {"!": 1, "v": 1},
    "list as tag": {"!": [], "v": 1},
    "object as tag": {"!": {}, "v": 1},
    "true as tag": {"!": True, "v": 1},
    "set as tag": {"!": {"!": "set", "v": []}, "v": 1},
    "text as tag": {"!": {"!": "text", "v": "bomb", "type": "T"}, "v": 1},
    "no value": {"!": "int"},
    "tuple of text": {"!": "tuple", "v": "ab"},
    "tuple of an object": {"!": "tuple", "v": {"a": 1}},
    "tuple of a tuple": {"!": "tuple", "v": {"!": "tuple", "v": []}},
    "set of nothing": {"!": "set", "v": None},
    "set of lists": {"!": "set", "v": [[1]]},
    "set of dicts": {"!": "set", "v": [{}]},
    "set of sets": {"!": "set", "v": [{"!": "set", "v": []}]},
    "set of records": {"!": "frozenset", "v": [{"!": "record", "v": {}}]},
    "set of a tuple with a list": {"!": "set", "v": [{"!": "tuple", "v": [[]]}]},
    "dict of an object": {"!": "dict", "v": {"a": 1}},
    "dict of no pairs": {"!": "dict", "v": [1]},
    "dict of texts": {"!": "dict", "v": ["abc"]},
    "dict of singles": {"!": "dict", "v": [[1]]},
    "dict of triples": {"!": "dict", "v": [[1, 2, 3]]},
    "dict with a list as key": {"!": "dict", "v": [[[], 1]]},
    "int of a number": {"!": "int", "v": 5},
    "int of nothing": {"!": "int", "v": ""},
    "int of words": {"!": "int", "v": "seven"},
    "int that is too large": {"!": "int", "v": "0x" + "f" * (LONGEST_INT + 2)},
    "float of a number": {"!": "float", "v": 1.5},
    "float of words": {"!": "float", "v": "x"},
    "float of many digits": {"!": "float", "v": "1" * 41},
    "complex of one": {"!": "complex", "v": ["1"]},
    "complex of three": {"!": "complex", "v": ["1", "2", "3"]},
    "complex of numbers": {"!": "complex", "v": [1, 2]},
    "complex of text": {"!": "complex", "v": "1j"},
    "bytes of a list": {"!": "bytes", "v": [1]},
    "bytes with a wrong letter": {"!": "bytes", "v": "AA=A"},
    "bytes with a space": {"!": "bytes", "v": "AA A"},
    "bytes without an end": {"!": "bytes", "v": "AAA"},
    "bytes of no ASCII": {"!": "bytearray", "v": "\u00fc\u00fc\u00fc\u00fc"},
    "range of text": {"!": "range", "v": "3"},
    "range of two": {"!": "range", "v": ["0x0", "0x1"]},
    "range of four": {"!": "range", "v": ["0x0", "0x1", "0x1", "0x1"]},
    "range without a step": {"!": "range", "v": ["0x0", "0x1", "0x0"]},
    "range of numbers": {"!": "range", "v": [0, 1, 1]},
    "range too large": {"!": "range", "v": ["0x0", "0x" + "f" * 1_010, "0x1"]},
    "date of words": {"!": "date", "v": "today"},
    "date that is none": {"!": "date", "v": "2024-02-30"},
    "date of a number": {"!": "date", "v": 1},
    "moment without a fold": {"!": "datetime", "v": "2024-05-06"},
    "moment with a wrong fold": {"!": "datetime", "v": "2024-05-06", "fold": 2},
    "moment with a fold of a fraction": {"!": "datetime", "v": "2024-05-06", "fold": 1.0},
    "moment with a list as fold": {"!": "datetime", "v": "2024-05-06", "fold": []},
    "moment of words": {"!": "datetime", "v": "now", "fold": 0},
    "moment of a number": {"!": "datetime", "v": 0, "fold": 0},
    "moment in an impossible zone": {"!": "datetime", "v": "2024-05-06T00:00:00+99:00", "fold": 0},
    "time of words": {"!": "time", "v": "noon", "fold": 0},
    "time of a number": {"!": "time", "v": 12, "fold": 0},
    "span of two": {"!": "timedelta", "v": [1, 2]},
    "span of four": {"!": "timedelta", "v": [1, 2, 3, 4]},
    "span of text": {"!": "timedelta", "v": "123"},
    "span of fractions": {"!": "timedelta", "v": [1, 2.5, 3]},
    "span with true": {"!": "timedelta", "v": [True, 0, 0]},
    "span too long": {"!": "timedelta", "v": [10**10, 0, 0]},
    "span far too long": {"!": "timedelta", "v": [10**100, 0, 0]},
    "decimal of a number": {"!": "Decimal", "v": 1},
    "decimal of words": {"!": "Decimal", "v": "many"},
    "complex of long numbers": {"!": "complex", "v": ["1" * 41, "1"]},
    "decimal too long": {"!": "Decimal", "v": "1" * (LONGEST_DECIMAL + 1)},
    "fraction of one": {"!": "Fraction", "v": ["0x1"]},
    "fraction of three": {"!": "Fraction", "v": ["0x1", "0x1", "0x1"]},
    "fraction of text": {"!": "Fraction", "v": "1/2"},
    "fraction by nothing": {"!": "Fraction", "v": ["0x1", "0x0"]},
    "fraction too long": {"!": "Fraction", "v": ["0x1", "0x" + "f" * (LONGEST_FRACTION + 2)]},
    "uuid of words": {"!": "UUID", "v": "mine"},
    "uuid of a number": {"!": "UUID", "v": 7},
    "uuid of noise": {"!": "UUID", "v": "z" * 32},
    "path of a list": {"!": "Path", "v": ["a"]},
    "record of pairs": {"!": "record", "v": [["a", 1]]},
    "record of text": {"!": "record", "v": "a"},
    "text without a type": {"!": "text", "v": "x"},
    "text of a number": {"!": "text", "v": 1, "type": "T"},
    "text with a number as type": {"!": "text", "v": "x", "type": 1},
    "text with an object as type": {"!": "text", "v": "x", "type": {}},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_values_are_refused(name):
    with pytest.raises(MalformedError) as caught:
        decoded([MALFORMED[name]])
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "body",
    [
        b'{"!":"record","v":{}}',
        b"",
        b"{",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'{"v":"\xff"}',
        '{"v":1}'.encode("utf-16"),
        b'{"v":' + b"9" * 5000 + b"}",
        b'{"v":' + b"[" * 99_000,
        b'{"v":' + b"[" * 49_000 + b"]" * 49_000 + b"}",
        b'{"v":' + b'{"a":' * 40_000 + b"1" + b"}" * 40_001,
        b"{'v':1}",
        b'{"v":01}',
        b'{"v":1,}',
        b"{v:1}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_malformed_texts_are_refused(body):
    with pytest.raises(MalformedError):
        from_json(body)


def keyed(make, keys):
    """A dict or set of these numbers, as JSON; numbers of any length need no tag there."""
    return {"!": make, "v": [[key, 0] for key in keys] if make == "dict" else keys}


@pytest.mark.parametrize("make", ["dict", "set", "frozenset"])
def test_a_few_keys_of_one_hash_are_allowed(make):
    keys = [number * SAME_HASH for number in range(101)]
    assert sorted(decoded(keyed(make, keys))) == keys


@pytest.mark.parametrize("make", ["dict", "set", "frozenset"])
def test_keys_made_to_collide_are_refused_before_they_take_long(make):
    with pytest.raises(MalformedError, match="keys that take too long"):
        decoded(keyed(make, [number * SAME_HASH for number in range(30_000)]))


@pytest.fixture
def no_garbage_collection():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("make", ["dict", "set", "frozenset"])
def test_many_honest_keys_are_no_attack(make, no_garbage_collection, untraced):
    keys = list(range(20_000))
    assert len(decoded(keyed(make, keys))) == len(keys)


@pytest.mark.xfail(reason="the time of a garbage collection counts as time of the keys", raises=MalformedError)
def test_the_time_of_a_garbage_collection_does_not_count():
    def collect_long(phase, _):  # as in a process with millions of objects
        until = time.thread_time() + 2 * reading.KEY_TIME
        while time.thread_time() < until and phase == "start":
            pass
        gc.callbacks.clear()

    before = gc.callbacks[:]
    body = json.dumps({"v": keyed("dict", list(range(20_000)))}).encode()
    gc.callbacks.append(collect_long)
    try:
        assert len(from_json(body)["v"]) == 20_000
    finally:
        gc.callbacks[:] = before


def test_keys_are_timed_for_each_thread_by_itself():
    while time.thread_time() < 2 * reading.KEY_TIME:
        pass
    reading.clock.start()
    other = threading.Thread(target=reading.clock.start)
    other.start()
    other.join()
    time.sleep(1.1 * reading.KEY_TIME)
    reading.clock.check()


tags = st.sampled_from([*reading._READERS, "record", "text", "datetime", "time", "bomb", ""]) | st.text(max_size=3)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["0x1", "-0xff", "2024-05-06", "12:30", "2024-05-06T07:08:09+01:00", "1e5", "nan", "QUJD", "1/2"])
    | st.uuids().map(str),
    lambda parts: (
        st.lists(parts, max_size=4)
        | st.dictionaries(st.text(max_size=3), parts, max_size=3)
        | st.fixed_dictionaries({"!": tags, "v": parts})
        | st.fixed_dictionaries({"!": tags, "v": st.lists(parts, min_size=2, max_size=3)})
        | st.fixed_dictionaries({"!": tags, "v": parts}, optional={"fold": parts | st.integers(0, 1), "type": parts})
        | st.fixed_dictionaries({"!": parts}, optional={"v": parts})
    ),
    max_leaves=12,
)


# ---- what the host makes of what a sandbox sends

#: All that a value of a sandbox may consist of.
HOST_TYPES = {
    type(None), bool, int, float, str, list, dict, tuple, set, frozenset, bytes, bytearray, complex, range,
    dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal, fractions.Fraction, uuid.UUID,
    pathlib.PurePosixPath, Opaque,
}  # fmt: skip


def types_in(value):
    """The exact types of a value and of all its parts."""
    yield type(value)
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from types_in(part)


FORGED = {"__array_interface__": {"version": 3, "shape": (25,), "typestr": "|u1", "data": (8, False)}}


def test_the_host_reads_no_records():
    """An attribute that numpy asks for would be answered by the sandbox: an address of the host's memory."""
    body = json.dumps({"v": {"!": "record", "v": pack(FORGED)}}).encode()
    with pytest.raises(MalformedError):
        from_json(body)
    assert type(from_json(body, records=True)["v"]) is Record


@pytest.mark.parametrize("name", ["__array_interface__", "__deepcopy__", "__len__x", "_repr_html_", "_x", "__html__"])
def test_a_record_answers_no_name_with_an_underscore(name):
    record = Record({name: {"version": 3}, "city": "Oslo"})
    assert record.city == "Oslo"
    assert record[name] == {"version": 3}
    assert not hasattr(record, name)


def test_a_field_that_the_host_does_not_print_is_not_printed_in_the_sandbox():
    @dataclasses.dataclass
    class Picture:
        kind: str
        data: bytes = dataclasses.field(repr=False)

    found = crossed([Picture("png", b"many")], records=True)
    assert repr(found) == "[{'kind': 'png', 'data': Ellipsis}]"
    assert found[0].data == b"many"
    assert copy.deepcopy(found) == found
    assert repr(copy.deepcopy(found)) == repr(found)


def test_libraries_find_nothing_to_call_in_a_record():
    record = Record(FORGED | {"__deepcopy__": 1, "__reduce_ex__": 2, "_repr_mimebundle_": 3, "__html__": 4, "a": 5})
    assert np.asarray(record).dtype == object
    assert copy.deepcopy(record) == record
    assert not hasattr(record, "_repr_mimebundle_")


@pytest.mark.timeout(120)
@given(st.data())
def test_any_text_decodes_to_plain_types_or_is_refused(data):
    try:
        found = from_json(json.dumps({"v": data.draw(plain)}).encode())
    except MalformedError:
        return
    assert set(types_in(found)) <= HOST_TYPES
    assert repr(found)
    copy.deepcopy(found)


@pytest.mark.timeout(120)
@given(st.randoms(use_true_random=False))
def test_any_changed_text_decodes_to_plain_types_or_is_refused(dice):
    body = bytearray(to_json(EVERYTHING | {"v": [*EVERYTHING["v"][:-2], EVERYTHING["v"][-1]]}))
    for _ in range(dice.randrange(1, 4)):
        start = dice.randrange(len(body))
        body[start : start + dice.randrange(4)] = dice.choice([b"record", b"{}", b"[", b'"', b"1", b"\\", b"!", b""])
    try:
        found = from_json(bytes(body))
    except MalformedError:
        return
    assert set(types_in(found)) <= HOST_TYPES


def nested_json(levels, begin, end):
    return b'{"v":' + begin * levels + b"1" + end * levels + b"}"


@pytest.mark.parametrize(
    ("begin", "end", "levels"),
    [
        (b"[", b"]", 1),
        (b'{"a":', b"}", 1),
        (b'{"!":"tuple","v":[', b"]}", 2),
        (b'{"!":"dict","v":[[1,', b"]]}", 3),
        (b'{"!":"frozenset","v":[', b"]}", 2),
    ],
    ids=["list", "dict", "tuple", "pairs", "frozenset"],
)
def test_the_host_can_follow_whatever_nesting_it_accepts(begin, end, levels):
    deepest = DEEPEST // levels
    found = from_json(nested_json(deepest, begin, end))
    assert repr(found)
    assert copy.deepcopy(found) == found
    assert pickle.loads(pickle.dumps(found)) == found
    assert to_text(found)
    for more in (deepest + 10, 400, 4_000, 49_000 // levels):
        with pytest.raises(MalformedError, match=r"levels|lists and dicts|values"):
            from_json(nested_json(more, begin, end))


def test_text_hides_no_nesting():
    quotes = rb'"\\\"[[[","\\\\",'
    with pytest.raises(MalformedError, match="levels"):
        from_json(b'{"v":[' + quotes * 50 + b"[" * 200 + b"]" * 200 + b"]}")
    assert from_json(b'{"v":[' + quotes * 200 + b"1]}")["v"][-1] == 1


WRITTEN_OTHERWISE = {
    "int": ["0x_1", "0X1", "+0x1", " 0x1", "0x1 ", "1", "0x", "0x\u0665", "0x1_0"],
    "float": ["1_0", " inf", "infinity", "+1.0", "\u0665", "1e5 ", "0x1p3", "nan(1)"],
    "Decimal": ["sNaN", "-sNaN1", "1_0", " 1", "1e5", "\u0665", "Inf", "nan"],
    "UUID": ["{12345678-1234-5678-1234-567812345678}", "123456781234567812345678123456_8", "urn:uuid:" + "1" * 32],
    "Fraction": [["1", "0x2"], ["0x1", "0x_2"]],
    "complex": [["1_0", "0.0"], ["0.0", "\u0665"]],
    "range": [["0", "0x1", "0x1"], ["0x0", "0x1", "0x0_1"]],
}


@pytest.mark.parametrize(
    ("tag", "text"), [(tag, text) for tag, texts in WRITTEN_OTHERWISE.items() for text in texts], ids=repr
)
def test_numbers_are_read_only_as_they_are_written(tag, text):
    with pytest.raises(MalformedError):
        decoded({"!": tag, "v": text})


@pytest.mark.parametrize("text", ["sNaN", "-sNaN12"])
def test_a_number_that_cannot_be_compared_crosses_as_its_text(text):
    assert crossed(decimal.Decimal(text)) == f"Decimal('{text}')"


def test_whole_numbers_can_be_printed():
    assert repr(crossed(2 ** (4 * LONGEST_INT) - 1))
    with pytest.raises(MalformedError, match="25 digits"):
        from_json(b'{"v":' + b"1" * 4_000 + b"}")
    assert from_json(b'{"v":"' + b"1" * 4_000 + b'"}') == {"v": "1" * 4_000}
    assert crossed(["1" * 4_000, 0.00012345678901234567, 5e-324, -1.7976931348623157e308, -(2**63)])[1:] == [
        0.00012345678901234567, 5e-324, -1.7976931348623157e308, -(2**63),
    ]  # fmt: skip


MEGABYTE = MAX_BYTES - 100


def filled(begin, unit, end=b"]}"):
    return begin + unit * ((MEGABYTE - len(begin) - len(end)) // len(unit)) + end


#: Bodies of a megabyte, each made to be slow in another way.
HEAVY = {
    "an open text of escaped quotes": filled(b"[" * 50_001 + b'"', rb"\"", b""),
    "an open text of backslashes": filled(b"[" * 50_001 + b'"', rb"\\", b""),
    "an open text after brackets": filled(b"[" * 200 + b'"', rb"a\"", b""),
    "quotes": filled(b"[" * 200, b'"', b""),
    "backslashes": filled(b"[" * 200, b"\\", b""),
    "empty texts": filled(b'{"v":[', b'"",', b"1]}"),
    "brackets that open": filled(b"", b"[", b""),
    "brackets that close": filled(b"[" * 200, b"]", b""),
    "brackets in pairs": filled(b'{"v":[', b"[],", b"1]}"),
    "nested as deep and wide as may be": b'{"v":' + b"[" * 49_000 + b"]" * 49_000 + b"}",
    "braces and brackets": filled(b'{"v":[', b'{"a":[', b""),
    "digits": filled(b'{"v":', b"9", b"}"),
    "runs of digits": filled(b'{"v":[', b"1234567890123456789012345,", b"1]}"),
    "a fraction of digits": filled(b'{"v":0.', b"1", b"}"),
    "exponents": filled(b'{"v":[', b"2.2250738585072011e-308,", b"1]}"),
    "small numbers": filled(b'{"v":[', b"1,", b"1]}"),
    "escapes": filled(b'{"v":"', rb"\n", b'"}'),
    "half characters": filled(b'{"v":"', rb"\ud800", b'"}'),
    "half characters in bytes": filled(b'{"v":"', b"\xed\xa0\x80", b'"}'),
    "bytes that are no text": filled(b'{"v":"', b"\xff", b'"}'),
    "white space": filled(b'{"v":[', b" ", b"1]}"),
    "whole numbers": filled(b'{"v":[', b'{"!":"int","v":"0x' + b"f" * LONGEST_INT + b'"},', b"1]}"),
    "fractions": filled(b'{"v":[', json.dumps(pack(fractions.Fraction(3**2500, 7**1400))).encode() + b",", b"1]}"),
    "decimals": filled(b'{"v":[', b'{"!":"Decimal","v":"' + b"1" * LONGEST_DECIMAL + b'"},', b"1]}"),
    "paths": b'{"v":[' + b'{"!":"Path","v":"a/b/c/d/e/f"},' * 19_000 + b"1]}",
    "one path": filled(b'{"v":{"!":"Path","v":"', b"a/", b'"}}'),
    "ranges": b'{"v":[' + b'{"!":"range","v":["0x0","0x1","0x1"]},' * 19_000 + b"1]}",
    "tags that are none": b'{"v":[' + b'{"!":"bomb","v":1},' * 19_000 + b"1]}",
    "keys that collide": json.dumps({"v": {"!": "dict", "v": [[n * SAME_HASH, 0] for n in range(19_000)]}}).encode(),
    "members that collide": json.dumps({"v": {"!": "set", "v": [n * SAME_HASH for n in range(40_000)]}}).encode(),
}


@pytest.mark.parametrize("name", HEAVY)
def test_a_megabyte_of_anything_is_read_or_refused_at_once(name, untraced):
    assert len(HEAVY[name]) < MAX_BYTES
    assert seconds_of_reading(HEAVY[name]) < 0.2


def seconds_of_reading(body):
    """Processor seconds of this thread that reading a text takes: the best of three, if it takes long."""
    taken = []
    while len(taken) < 3 and min(taken, default=1.0) > 0.1:
        began = time.thread_time()
        with contextlib.suppress(MalformedError):
            from_json(body)
        taken.append(time.thread_time() - began)
    return min(taken)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from([b'"', b"\\", b"[", b"]", b"{", b"}", b"9", b",", b":", b"a", b'"!":']),
                       st.sampled_from([1, 2, 3, 1_000, 50_000, 200_000])), min_size=1, max_size=8)
)  # fmt: skip
def test_any_mixture_of_a_megabyte_is_read_or_refused_at_once(untraced, runs):
    assert seconds_of_reading(b"".join(unit * times for unit, times in runs)[:MEGABYTE]) < 0.2


# ---- values that are too large are refused before they are taken apart


class Untouched(np.ndarray):
    """An array that must not be made a list."""

    def tolist(self):
        raise AssertionError("it was taken apart")


@pytest.mark.parametrize(
    ("make", "size"),
    [(np.zeros, 262_145), (lambda n: np.zeros(n, "complex64"), 34_953), (lambda n: np.zeros(n, "M8[s]"), 34_953)],
    ids=["float", "complex", "moment"],
)
def test_an_array_that_cannot_fit_is_refused_before_it_is_taken_apart(make, size):
    Untouched.__module__ = "numpy"
    with pytest.raises(TooLargeError):
        pack(make(size).view(Untouched))


def test_a_table_that_cannot_fit_is_refused_before_it_is_taken_apart(monkeypatch):
    monkeypatch.setattr(pd.DataFrame, "to_dict", lambda *_: pytest.fail("it was taken apart"))
    with pytest.raises(TooLargeError):
        pack(pd.DataFrame(np.zeros((90_000, 4)), columns=list("abcd")))


@pytest.mark.parametrize(
    "value",
    [[0.1234567890123456] * 60_000, [{}] * 50_001, [dt.date(2024, 5, 6)] * 20_001, [{"key": object()}] * 30_000],
    ids=["floats", "dicts", "dates", "objects"],
)
def test_a_value_is_refused_as_soon_as_it_cannot_fit(value):
    with pytest.raises(TooLargeError, match="too large to cross the sandbox: over"):
        pack(value)


def test_packing_pauses_on_its_way():
    pauses = []
    assert pack([[0] * 100] * 100, pause=lambda: pauses.append(1))
    assert len(pauses) == 10


def test_a_value_of_many_parts_is_not_packed_on_the_way():
    few = list(range(FEW_PARTS))
    assert pack(few, few=FEW_PARTS) == few
    for many in ([*few, 1], {"a": [few, 1]}, "x" * (2 * FEW_PARTS + 2), np.arange(FEW_PARTS + 1)):
        with pytest.raises(ManyPartsError):
            pack(many, few=FEW_PARTS)
        assert pack(many)


@pytest.mark.timeout(120)
@given(plain)
def test_any_json_is_a_value_or_refused(data):
    try:
        found = decoded(data)
    except MalformedError:
        return
    again = crossed(found, records=True)
    assert canonical(again) == canonical(crossed(again, records=True))


def test_nothing_is_kept_of_what_was_packed():
    class Kept:
        pass

    def living():
        gc.collect()
        return sum(isinstance(each, Kept) for each in gc.get_objects())

    kept = Kept()
    pack([kept, {"a": kept}])
    del kept
    assert living() == 0


# ---- the text of a value that has no form

LOCK = Opaque("<locked>", "lock")


def test_it_is_its_text_and_knows_the_type_of_the_value():
    assert LOCK == "<locked>"
    assert isinstance(LOCK, str)
    assert LOCK.type == "lock"
    assert Opaque("x").type == "object"
    assert Opaque("x", type="T").type == "T"


def test_it_behaves_as_its_text():
    assert hash(LOCK) == hash("<locked>")
    assert {LOCK: 1}["<locked>"] == 1
    assert (repr(LOCK), f"{LOCK}", LOCK[1:4]) == ("'<locked>'", "<locked>", "loc")
    assert type(str(LOCK)) is type(LOCK.upper()) is str


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_keeps_its_type_when_it_is_pickled(protocol):
    found = pickle.loads(pickle.dumps([LOCK], protocol))[0]
    assert (type(found), found, found.type) == (Opaque, "<locked>", "lock")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_it_keeps_its_type_when_it_is_copied(copied):
    found = copied(LOCK)
    assert (type(found), found, found.type) == (Opaque, "<locked>", "lock")


def test_it_has_room_for_nothing_else():
    with pytest.raises(AttributeError):
        LOCK.other = 1


def test_a_model_reads_its_text():
    assert to_text(LOCK) == to_text([LOCK])[2:-2] == "<locked>"
    assert to_data({"a": LOCK}) == {"a": "<locked>"}
    assert json.dumps(LOCK) == '"<locked>"'
