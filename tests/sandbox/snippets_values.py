"""Snippets that end in values of every kind: what a block gives must come over, however odd the object."""

CELLS = r"""
# %% value-scalars
[None, True, 0, -1, 2 ** 63, -2 ** 64, 2 ** 64 - 1, 10 ** 400, 1.5, -0.0, float("inf"), float("nan"), 5e-324, "",
    "é\0\n", b"", b"\xff", 1 - 2j]

# %% value-big-integer
2 ** 20000 > 0, -(10 ** 4000)

# %% value-integer-too-long-for-text
10 ** 5000

# %% value-containers
[(), [], {}, set(), frozenset(), ((),), [[]], {"": {}}, {()}, range(0), range(10 ** 12), slice(1, None),
    bytearray(b"x"), memoryview(b"abc").tolist()]

# %% value-dict-keys
{1: "int", 1.5: "float", None: "none", True: "bool", (1, "t"): "tuple", frozenset({1}): "set", b"b": "bytes",
    "": "empty", 2 + 1j: "complex", ...: "dots"}

# %% value-dict-with-odd-text-keys
{"!": "tuple", "v": [1], "a b": 1, "\ud800": 2, "é": 3}

# %% value-tag-lookalike
[{"!": "Decimal", "v": "1"}, {"!": 5}, {"!": None, "v": {"!": "set", "v": [[]]}}]

# %% value-nested-deep
value = 0
for _ in range(80):
    value = [value]
value

# %% value-nested-very-deep
value = ()
for _ in range(400):
    value = (value, {"k": [value]}) if len(repr(value)) < 1 else [value]
value

# %% value-recursive-list
value = [1, 2]
value.append(value)
value

# %% value-recursive-dict
value = {"name": "x"}
value["self"] = value
value["list"] = [value, (value,)]
value

# %% value-shared-objects
shared = [1]
[shared, shared, {"a": shared}]

# %% value-wide-shared
value = ["x"]
for _ in range(12):
    value = [value, value]
value

# %% value-long-list
list(range(20_000))

# %% value-long-text
"é" * 50_000

# %% value-dates
from datetime import datetime, date, time, timedelta, timezone
from zoneinfo import ZoneInfo
[datetime.min, datetime.max, date.min, time(1, 2, 3, 4, tzinfo=timezone.utc), timedelta.max, timedelta.min,
 timedelta(microseconds=-1), datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
 datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45, seconds=7))), timezone.utc, ZoneInfo("Asia/Tokyo")]

# %% value-numbers-of-the-library
from decimal import Decimal
from fractions import Fraction
import random, math
[Decimal("1.10"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), Decimal("1E+1000"), Decimal("-0.0"),
    Fraction(1, 3), Fraction(-7), Fraction(10 ** 50, 3)]

# %% value-uuid-and-paths
import uuid, pathlib, ipaddress
[uuid.UUID(int=1), pathlib.Path("a/b"), pathlib.PurePosixPath("/x"), pathlib.PureWindowsPath("c:\\x"),
    ipaddress.ip_address("::1"), {pathlib.Path("k"): 1}]

# %% value-dataclasses
from dataclasses import dataclass, field
@dataclass(frozen=True)
class P:
    x: int
    tags: tuple = ()
@dataclass
class Team:
    name: str
    players: list = field(default_factory=list)
    captain: "P | None" = None
[P(1), Team("t", [P(2), P(3, ("a",))], P(4)), {"k": P(5)}]

# %% value-dataclass-keys
from dataclasses import dataclass
@dataclass(frozen=True)
class P:
    x: int
    y: int = 0
{P(1): "a", P(2): "b"}, {P(3)}, frozenset({P(4)}), {(P(5), 1): [P(6)]}

# %% value-set-of-named-tuples
from collections import namedtuple
Point = namedtuple("Point", "x y")
{Point(1, 2)}, {Point(3, 4): Point(5, 6)}, [Point([1], {"a": 2})]

# %% value-enums
import enum
class Color(enum.Enum):
    RED = 1
    LIST = [1, 2]
    OBJECT = object
class N(enum.IntEnum):
    ONE = 1
class F(enum.Flag):
    A = 1
    B = 2
[Color.RED, Color.LIST, N.ONE, F.A | F.B, F(0), {Color.RED: Color.LIST, Color.LIST: 1, N.ONE: 2},
    {Color.LIST, Color.RED} == {Color.RED, Color.LIST}, Color, {Color.LIST}]

# %% value-collections
from collections import Counter, defaultdict, OrderedDict, deque, ChainMap, UserDict, UserList
from types import MappingProxyType, SimpleNamespace
[Counter("aab"), defaultdict(list, a=[1]), OrderedDict(a=1), deque([1, 2], 5), ChainMap({"a": 1}, {"b": 2}),
    UserDict(a=1), UserList([1]),
 MappingProxyType({"a": 1}), SimpleNamespace(a=[1], b=SimpleNamespace())]

# %% value-views-and-iterators
d = {"a": 1}
[d.keys(), d.values(), d.items(), type(iter([])).__name__, type(zip()).__name__, enumerate, map]

# %% value-generator
(n * n for n in range(3))

# %% value-function
def f(a, b=1): return a
f

# %% value-lambda-in-list
[lambda: 0, len, str.upper, "x".join, print]

# %% value-class-and-module
import math
class A: pass
[A, int, type, math, A(), object, type(A)]

# %% value-exception
[ValueError("x", 1), KeyError("k"), OSError(2, "gone"), ExceptionGroup("g", [ValueError()]), Exception,
    StopIteration(5)]

# %% value-regex
import re
[re.compile("a+", re.I), re.match("a+", "aab"), re.M]

# %% value-coroutine-is-closed
async def f(): return 1
c = f()
c.close()
c

# %% value-task
import asyncio
async def f(): return 1
t = asyncio.create_task(f(), name="job")
await t
t.result(), t.done(), asyncio.Lock(), asyncio.Queue(3)

# %% value-open-things
import io, threading, sqlite3
[io.StringIO("x"), threading.Lock().locked(), sqlite3.connect(":memory:"), threading.Event()]

# %% value-subclasses-of-builtins
class S(str): pass
class I(int): pass
class L(list): pass
class D(dict): pass
class T(tuple): pass
class Fl(float): pass
[S("s"), I(5), L([1]), D(a=1), T((1, 2)), Fl(1.5), {S("k"): I(1)}, {I(7)}]

# %% value-subclasses-with-own-repr
class S(str):
    def __repr__(self): return "S!"
    def __str__(self): return "text of S"
class I(int):
    def __repr__(self): return "I!"
class D(dict):
    def __repr__(self): return "D!"
    def items(self): raise RuntimeError("no items")
    def __iter__(self): raise RuntimeError("no iteration")
[S("s"), I(5), D(a=1), {S("k"): 2}]

# %% value-keys-that-become-alike
class Key:
    def __init__(self, n): self.n = n
    def __repr__(self): return "Key"
class Text(str):
    def __hash__(self): return 5
    def __eq__(self, other): return self is other
{Key(1): "a", Key(2): "b"}, {Key(3), Key(4)}, {Text("t"): 1, Text("t"): 2}

# %% value-with-failing-hash
class Fragile:
    broken = False
    def __hash__(self):
        if Fragile.broken: raise TypeError("no longer hashable")
        return 1
    def __repr__(self): return "Fragile()"
value = {Fragile(): [Fragile()]}, {Fragile()}
Fragile.broken = True
value

# %% value-that-changes-while-read
class Growing(dict):
    def items(self):
        for k in list(self):
            yield k, self[k]
            self[len(self)] = "more"
class Shrinking(list):
    def __iter__(self): return iter(self.pop, None)
Growing(a=1), Shrinking([None, 2])

# %% value-endless
class Endless:
    def __iter__(self): return self
    def __next__(self): return 1
    def __len__(self): return 10 ** 15
    def __getitem__(self, i): return i
    def __repr__(self): return "Endless()"
Endless(), range(10 ** 15), {"n": Endless()}

# %% value-with-failing-methods
class Hard:
    def __getattr__(self, name): raise RuntimeError(f"no {name}")
    def __eq__(self, other): raise RuntimeError("no comparison")
    def __hash__(self): return 1
    def __bool__(self): raise RuntimeError("no truth")
    def __len__(self): raise RuntimeError("no length")
    def __iter__(self): raise RuntimeError("no iteration")
    def __repr__(self): return "Hard()"
[Hard(), {"k": Hard()}, (Hard(),)]

# %% value-with-any-attribute
class Any:
    def __getattr__(self, name): return Any()
    def __call__(self, *a, **k): return Any()
    def __repr__(self): return "Any()"
    def __iter__(self): return iter([1])
Any()

# %% value-mock
from unittest.mock import Mock, MagicMock
m = MagicMock(name="m")
m.value = 3
m.model_dump().x, m

# %% value-with-lying-class
class Liar:
    @property
    def __class__(self): return dict
    def __repr__(self): return "Liar()"
[Liar()]

# %% value-with-model-dump
class Model:
    def __init__(self, **k): self.__dict__.update(k)
    def model_dump(self, **_): return dict(self.__dict__)
    def __repr__(self): return f"Model({self.__dict__})"
class Broken(Model):
    def model_dump(self, **_): raise ValueError("not today")
[Model(a=1, b=[Model(c=2)]), Broken(x=1)]

# %% value-with-long-repr
class Long:
    def __repr__(self): return "<" + "long " * 2000 + ">"
Long()

# %% value-with-multi-line-repr
class Table:
    def __repr__(self): return "a  b\n1  2\n"
Table()

# %% value-with-repr-that-prints
class Loud:
    def __repr__(self):
        print("making the repr")
        return "Loud()"
Loud()

# %% value-repr-is-made-once
calls = []
class Once:
    def __repr__(self):
        calls.append(1)
        return f"repr number {len(calls)}"
Once()

# %% value-repr-is-subclass-of-text
class S(str): pass
class A:
    def __repr__(self): return S("special")
A()

# %% value-repr-raises-exit
class Bad:
    def __repr__(self): raise SystemExit("from repr")
Bad()

# %% repr-recursion
class Deep:
    def __repr__(self): return repr(self)
try:
    repr(Deep())
except RecursionError as e:
    print(type(e).__name__)

# %% value-nan-keys-and-duplicates
nan = float("nan")
{nan: 1, float("nan"): 2}, {0.0: "zero", -0.0: "minus"}, [nan] == [nan], {1, True, 1.0}

# %% value-lone-surrogate-everywhere
["\udc80", {"\udfff": "\ud83d"}, ("\ud83d\ude00",), "\U0010ffff"]

# %% value-not-implemented-and-dots
[NotImplemented, ..., type(None), type(NotImplemented), __debug__]

# %% value-array-and-struct
import array, struct, ctypes
[array.array("d", [1.5]), struct.Struct("<I"), ctypes.c_int(5), memoryview(b"x")[0]]

# %% value-typing-objects
import typing
[typing.Optional[int], list[int], int | None, typing.Any, typing.TypeVar("T"), typing.Literal[1]]

# %% value-tree-of-own-objects
class Node:
    def __init__(self, v, *kids): self.v, self.kids = v, kids
    def __repr__(self): return f"Node({self.v}{''.join(f', {k}' for k in self.kids)})"
Node(1, Node(2), Node(3, Node(4)))
"""
