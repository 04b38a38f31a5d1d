"""Snippets: functions, decorators, classes, data classes, enums, protocols, typing."""

CELLS = r'''
# %% default-arguments
def add(item, to=[]):
    to.append(item)
    return to
print(add(1), add(2), add(3, []), add.__defaults__)
def greet(name, greeting="Hello", *, punctuation="!"):
    return f"{greeting}, {name}{punctuation}"
greet("Ann"), greet("Bob", "Hi", punctuation="?"), greet.__kwdefaults__

# %% positional-only-and-keyword-only
def f(a, b=2, /, c=3, *args, d, e=5, **kw):
    return a, b, c, args, d, e, kw
print(f(1, d=4), f(1, 2, 3, 4, 5, d=6, a=7))
for call in ("f()", "f(1)", "f(a=1, d=2)", "f(1, d=2, d2=3)"):
    try:
        print(eval(call))
    except TypeError as e:
        print(e)

# %% argument-errors
def f(a, b, *, c): pass
for args, kw in [((), {}), ((1, 2, 3), {"c": 1}), ((1,), {"a": 2, "c": 3}), ((1, 2), {}), ((1, 2), {"c": 1, "zz": 2})]:
    try:
        f(*args, **kw)
    except TypeError as e:
        print(e)

# %% closures-counter
def make_counter(start=0):
    count = start
    def step(by=1):
        nonlocal count
        count += by
        return count
    return step
a, b = make_counter(), make_counter(100)
a(); a(5)
a(), b(), a.__closure__[0].cell_contents, a.__code__.co_freevars

# %% decorator-plain
import functools
def logged(func):
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        print("calling", func.__name__, args, kwargs)
        result = func(*args, **kwargs)
        print("returned", result)
        return result
    return wrapper
@logged
def add(a, b=1):
    """Add two numbers."""
    return a + b
add(2, b=3), add.__name__, add.__doc__, add.__wrapped__(1)

# %% decorator-with-arguments
import functools
def retry(times, exceptions=(Exception,)):
    def decorate(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            for attempt in range(1, times + 1):
                try:
                    return func(*args, **kwargs)
                except exceptions as e:
                    print(f"attempt {attempt} failed: {e}")
            raise RuntimeError("gave up")
        return wrapper
    return decorate
calls = []
@retry(3, (ValueError,))
def flaky():
    calls.append(1)
    if len(calls) < 3:
        raise ValueError(f"call {len(calls)}")
    return "ok"
flaky()

# %% decorator-class-based
class CountCalls:
    def __init__(self, func):
        self.func, self.count = func, 0
    def __call__(self, *args):
        self.count += 1
        return self.func(*args)
@CountCalls
def square(x): return x * x
[square(i) for i in range(4)], square.count

# %% decorator-stack-order
def tag(name):
    print("make", name)
    def deco(f):
        print("apply", name)
        return lambda *a: f"<{name}>{f(*a)}</{name}>"
    return deco
@tag("b")
@tag("i")
def text(s): return s
text("x")

# %% decorator-any-expression
registry = {}
register = lambda name: (lambda f: registry.setdefault(name, f))
@register("double")
def d(x): return 2 * x
@(lambda cls: type(cls.__name__ + "X", (cls,), {"extra": 1}))
class Base: pass
registry["double"](4), Base.__name__, Base.extra

# %% function-attributes
def f(a: int, b: "str" = "x", *c, d=1) -> list[int]:
    """Doc of f.

    More.
    """
f.tag = "custom"
print(f.__name__, f.__qualname__, f.__module__, f.__annotations__, f.tag)
import inspect
str(inspect.signature(f)), inspect.getdoc(f), f.__code__.co_varnames, f.__code__.co_argcount

# %% inspect-signature
import inspect
def f(a, /, b: int, *args: str, c=None, **kw) -> bool: ...
sig = inspect.signature(f)
for p in sig.parameters.values():
    print(p.name, p.kind.name, p.default is p.empty)
bound = sig.bind(1, 2, 3, c=4, z=5)
bound.apply_defaults()
str(sig), bound.arguments, inspect.isfunction(f), inspect.isclass(int)

# %% higher-order
from functools import reduce, partial
import operator
compose = lambda f, g: lambda x: f(g(x))
inc, dbl = lambda x: x + 1, lambda x: x * 2
pipeline = reduce(compose, [str, inc, dbl])
power = partial(pow, exp=3)
pipeline(5) if callable(pipeline) else None, power(2), reduce(operator.mul, range(1, 6)), partial(int, base=2)("101")

# %% functools-tour
import functools
@functools.cache
def slow(n):
    print("computing", n)
    return n * n
print(slow(3), slow(3), slow.cache_info())
@functools.singledispatch
def show(x): return f"object {x}"
@show.register
def _(x: int): return f"int {x}"
@show.register(list)
def _(x): return f"list of {len(x)}"
show(1), show([1, 2]), show("s"), show(True)

# %% functools-more
import functools
class Data:
    def __init__(self, n): self.n = n
    @functools.cached_property
    def total(self):
        print("once")
        return sum(range(self.n))
    @functools.singledispatchmethod
    def add(self, x): raise TypeError("no")
    @add.register
    def _(self, x: int): return self.n + x
d = Data(10)
print(d.total, d.total, d.add(1))
sorted(["bb", "a", "ccc"], key=functools.cmp_to_key(lambda a, b: len(b) - len(a))), functools.reduce(max, [3, 9, 2])

# %% total-ordering
import functools
@functools.total_ordering
class Version:
    def __init__(self, text): self.parts = tuple(map(int, text.split(".")))
    def __eq__(self, other): return self.parts == other.parts
    def __lt__(self, other): return self.parts < other.parts
    def __repr__(self): return "v" + ".".join(map(str, self.parts))
v = [Version("1.10"), Version("1.9.3"), Version("0.1")]
sorted(v), max(v) >= v[1], v[0] > v[1]

# %% class-basics
class Account:
    """A bank account."""
    interest = 0.02
    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance
    def deposit(self, amount):
        self.balance += amount
        return self
    def __repr__(self):
        return f"Account({self.owner!r}, {self.balance})"
a = Account("Ann").deposit(50).deposit(25)
print(a, a.__dict__, Account.__doc__, a.interest)
Account.interest = 0.03
a.interest, isinstance(a, Account), Account.__name__, type(a) is Account

# %% default-object-repr
class Thing: pass
t = Thing()
print(t)
[t, Thing, Thing.__init__, t.__init__]

# %% function-repr
def f(): pass
class C:
    def m(self): pass
    @staticmethod
    def s(): pass
print(f, C.m, C().m, C.s, lambda: 0, len, str.upper, print)
(x for x in []), f.__code__

# %% inheritance-and-super
class Animal:
    def __init__(self, name): self.name = name
    def speak(self): return "..."
    def __str__(self): return f"{type(self).__name__} {self.name}: {self.speak()}"
class Dog(Animal):
    def __init__(self, name, tricks=()):
        super().__init__(name)
        self.tricks = list(tricks)
    def speak(self): return "Woof"
class Puppy(Dog):
    def speak(self): return super().speak().lower() + "!"
for a in (Animal("x"), Dog("Rex"), Puppy("Bit", ["sit"])):
    print(a)
Puppy.__mro__, issubclass(Puppy, Animal)

# %% multiple-inheritance-mro
class A:
    def go(self): return ["A"]
class B(A):
    def go(self): return ["B"] + super().go()
class C(A):
    def go(self): return ["C"] + super().go()
class D(B, C):
    def go(self): return ["D"] + super().go()
try:
    class Bad(A, B): pass
except TypeError as e:
    print(e)
D().go(), [c.__name__ for c in D.mro()]

# %% mixins-and-kwargs-init
class Base:
    def __init__(self, **kw):
        if kw: raise TypeError(f"unexpected {sorted(kw)}")
class Named(Base):
    def __init__(self, *, name, **kw):
        super().__init__(**kw)
        self.name = name
class Sized(Base):
    def __init__(self, *, size, **kw):
        super().__init__(**kw)
        self.size = size
class Item(Named, Sized): pass
try:
    Item(name="a", size=1, color="red")
except TypeError as e:
    print(e)
vars(Item(name="a", size=1))

# %% property
class Temperature:
    def __init__(self, celsius): self.celsius = celsius
    @property
    def fahrenheit(self):
        """In degrees F."""
        return self.celsius * 9 / 5 + 32
    @fahrenheit.setter
    def fahrenheit(self, value): self.celsius = (value - 32) * 5 / 9
    @fahrenheit.deleter
    def fahrenheit(self): print("deleted")
    @property
    def fixed(self): return 1
t = Temperature(100)
t.fahrenheit = 50
del t.fahrenheit
try:
    t.fixed = 2
except AttributeError as e:
    print(e)
t.celsius, t.fahrenheit, Temperature.fahrenheit.__doc__

# %% class-and-static-methods
class Date:
    def __init__(self, y, m, d): self.ymd = y, m, d
    @classmethod
    def parse(cls, text): return cls(*map(int, text.split("-")))
    @staticmethod
    def leap(y): return y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)
class Sub(Date): pass
type(Sub.parse("2024-02-29")).__name__, Date.parse("1999-1-1").ymd, Date.leap(1900), Sub.leap(2000)

# %% dunder-arithmetic
class Vec:
    def __init__(self, *v): self.v = v
    def __repr__(self): return f"Vec{self.v}"
    def __add__(self, o): return Vec(*(a + b for a, b in zip(self.v, o.v)))
    def __mul__(self, k): return Vec(*(a * k for a in self.v)) if isinstance(k, (int, float)) else NotImplemented
    __rmul__ = __mul__
    def __matmul__(self, o): return sum(a * b for a, b in zip(self.v, o.v))
    def __neg__(self): return self * -1
    def __iadd__(self, o): self.v = tuple(a + 10 * b for a, b in zip(self.v, o.v)); return self
    def __abs__(self): return sum(a * a for a in self.v) ** 0.5
    def __bool__(self): return any(self.v)
a, b = Vec(1, 2), Vec(3, 4)
print(a + b, 2 * a, a @ b, -a, abs(b), bool(Vec(0, 0)))
a += b
try:
    a * "x"
except TypeError as e:
    print(e)
a

# %% dunder-container
class Deck:
    def __init__(self): self.cards = list("ABCDEF")
    def __len__(self): return len(self.cards)
    def __getitem__(self, i): return self.cards[i]
    def __setitem__(self, i, v): self.cards[i] = v
    def __delitem__(self, i): del self.cards[i]
    def __contains__(self, c): return c.upper() in self.cards
    def __reversed__(self): return iter(self.cards[::-1])
    def __missing__(self, k): return k
d = Deck()
d[0] = "Z"
del d[1]
print(len(d), d[1:3], "c" in d, list(d), list(reversed(d)), [*d][-1])
import random
random.Random(5).choice(d), bool(d)

# %% dunder-missing-and-getattr
class Config(dict):
    def __missing__(self, key): return f"<{key}?>"
    def __getattr__(self, name):
        if name.startswith("_"): raise AttributeError(name)
        return self[name]
    def __setattr__(self, name, value): self[name] = value
c = Config(a=1)
c.b = 2
print(c["zzz"], c.a, c.b, c.nothing, hasattr(c, "_private"))
dict(c)

# %% dunder-getattribute-dir-format
class Tracked:
    x = 1
    def __getattribute__(self, name):
        if not name.startswith("__"): print("access", name)
        return super().__getattribute__(name)
    def __dir__(self): return ["only", "these"]
    def __format__(self, spec): return f"T[{spec}]"
    def __delattr__(self, name): print("del", name)
t = Tracked()
del t.anything
t.x, dir(t), f"{t:abc}", format(t)

# %% dunder-eq-hash-lt
class Card:
    def __init__(self, rank, suit): self.rank, self.suit = rank, suit
    def __eq__(self, o): return (self.rank, self.suit) == (o.rank, o.suit) if isinstance(o, Card) else NotImplemented
    def __hash__(self): return hash((self.rank, self.suit))
    def __lt__(self, o): return self.rank < o.rank
    def __repr__(self): return f"{self.rank}{self.suit}"
cards = {Card(2, "h"), Card(2, "h"), Card(9, "s")}
class NoHash:
    def __eq__(self, o): return True
try:
    hash(NoHash())
except TypeError as e:
    print(e)
sorted(cards), Card(1, "a") == 5, Card(1, "a") != Card(1, "a"), {Card(1, "x"): "v"}[Card(1, "x")]

# %% dunder-call-int-index-round
class N:
    def __init__(self, v): self.v = v
    def __call__(self, *a): return self.v, a
    def __int__(self): return int(self.v)
    def __float__(self): return float(self.v)
    def __index__(self): return int(self.v)
    def __round__(self, n=0): return f"round {n}"
    def __divmod__(self, o): return "dm", o
    def __complex__(self): return complex(self.v, 1)
    def __bytes__(self): return b"N"
    def __invert__(self): return "inv"
    def __length_hint__(self): return 5
    def __sizeof__(self): return 100
    def __trunc__(self): return 7
n = N(3.7)
n(1, 2), int(n), float(n), [0, 1, 2, 3][n], hex(n), round(n), round(n, 2), divmod(n, 1), complex(n), bytes(n), ~n

# %% dunder-init-subclass-set-name
class Plugin:
    registry = []
    def __init_subclass__(cls, /, kind="plain", **kw):
        super().__init_subclass__(**kw)
        cls.kind = kind
        Plugin.registry.append(cls.__name__)
class Field:
    def __set_name__(self, owner, name): self.label = f"{owner.__name__}.{name}"
class Csv(Plugin, kind="text"):
    path = Field()
class Png(Plugin): pass
Plugin.registry, Csv.kind, Png.kind, Csv.path.label

# %% dunder-class-getitem-new-del
class Typed:
    def __class_getitem__(cls, item): return f"{cls.__name__}[{item!r}]"
class Single:
    instance = None
    def __new__(cls, *args):
        if cls.instance is None:
            cls.instance = super().__new__(cls)
        return cls.instance
    def __init__(self, v): self.v = v
class Noisy:
    def __del__(self): print("gone")
n = Noisy()
del n
print("after del")
class Celsius(float):
    def __new__(cls, v): return super().__new__(cls, round(v, 1))
Typed[int], Single(1) is Single(2), Single(3).v, Celsius(36.66)

# %% descriptors
class Positive:
    def __set_name__(self, owner, name): self.name = "_" + name
    def __get__(self, obj, owner=None): return self if obj is None else getattr(obj, self.name)
    def __set__(self, obj, value):
        if value <= 0: raise ValueError(f"{self.name[1:]} must be positive, not {value}")
        setattr(obj, self.name, value)
class Order:
    price, amount = Positive(), Positive()
    def __init__(self, price, amount): self.price, self.amount = price, amount
o = Order(3, 4)
try:
    o.amount = -1
except ValueError as e:
    print(e)
o.price * o.amount, vars(o), type(Order.price).__name__

# %% slots
class P:
    __slots__ = ("x", "y")
    def __init__(self, x, y): self.x, self.y = x, y
p = P(1, 2)
for action in (lambda: setattr(p, "z", 3), lambda: p.__dict__):
    try:
        action()
    except AttributeError as e:
        print(e)
del p.y
hasattr(p, "y"), p.x, P.__slots__

# %% private-name-mangling
class A:
    def __init__(self): self.__secret = 1; self._soft = 2
    def get(self): return self.__secret
a = A()
try:
    a.__secret
except AttributeError as e:
    print(e)
a.get(), a._A__secret, vars(a)

# %% metaclass
class Meta(type):
    def __new__(mcls, name, bases, ns, **kw):
        ns["created_by"] = "Meta"
        return super().__new__(mcls, name, bases, {k.lower() if k.isupper() else k: v for k, v in ns.items()})
    def __init__(cls, name, bases, ns, **kw): super().__init__(name, bases, ns)
    def __call__(cls, *a):
        print("instantiate", cls.__name__, a)
        return super().__call__(*a)
    def __len__(cls): return 42
    @classmethod
    def __prepare__(mcls, name, bases, **kw):
        print("prepare", name, kw)
        return {}
class X(metaclass=Meta, flag=1):
    VALUE = 5
    def __init__(self, n=0): self.n = n
X(3).n, X.value, X.created_by, len(X), type(X).__name__

# %% type-three-arguments
Point = type("Point", (), {"dims": 2, "__repr__": lambda self: "Point!"})
Point3 = type("Point3", (Point,), dict(dims=3))
import types
Made = types.new_class("Made", (Point,), {}, lambda ns: ns.update(x=1))
Point(), Point3.dims, Point3.__bases__, Made.x, Made().dims

# %% abstract-classes
from abc import ABC, abstractmethod
class Shape(ABC):
    @property
    @abstractmethod
    def name(self): ...
    @abstractmethod
    def area(self): ...
    def describe(self): return f"{self.name}: {self.area():.2f}"
class Square(Shape):
    name = "square"
    def __init__(self, a): self.a = a
    def area(self): return self.a ** 2
for cls in (Shape, type("Half", (Shape,), {"name": "half"})):
    try:
        cls()
    except TypeError as e:
        print(e)
Shape.register(int)
Square(1.5).describe(), isinstance(3, Shape), sorted(Shape.__abstractmethods__)

# %% collections-abc
from collections.abc import MutableMapping, Sequence, Iterable, Hashable, Callable, Mapping
class Lower(MutableMapping):
    def __init__(self, **kw): self.d = {}; self.update(kw)
    def __getitem__(self, k): return self.d[k.lower()]
    def __setitem__(self, k, v): self.d[k.lower()] = v
    def __delitem__(self, k): del self.d[k.lower()]
    def __iter__(self): return iter(self.d)
    def __len__(self): return len(self.d)
m = Lower(Name=1, AGE=2)
print(m["NAME"], m.get("x", "-"), "Age" in m, m.pop("age"), dict(m), m.setdefault("New", 5))
(isinstance([], Sequence), isinstance("", Iterable), isinstance([], Hashable), isinstance(len, Callable),
 isinstance(m, Mapping))

# %% dataclass-basics
from dataclasses import dataclass, field, asdict, astuple, replace, fields
@dataclass(order=True)
class Item:
    name: str
    price: float = 0.0
    tags: list[str] = field(default_factory=list, compare=False)
    secret: int = field(default=7, repr=False)
a, b = Item("pen", 1.5, ["x"]), Item("pen", 2)
print(a, b, a < b, a == Item("pen", 1.5), asdict(a), astuple(b))
replace(a, price=9), [f.name for f in fields(Item)], Item.__match_args__

# %% dataclass-frozen-slots-kw
from dataclasses import dataclass, FrozenInstanceError, KW_ONLY, InitVar, field
@dataclass(frozen=True, slots=True)
class P:
    x: int
    _: KW_ONLY
    y: int = 2
@dataclass
class Circle:
    r: float
    scale: InitVar[float] = 1.0
    area: float = field(init=False)
    def __post_init__(self, scale):
        self.area = round(3.14 * self.r ** 2 * scale, 2)
p = P(1, y=5)
try:
    p.x = 3
except FrozenInstanceError as e:
    print(type(e).__name__, e)
p, hash(p) == hash(P(1, y=5)), {p: 1}, Circle(2, 10)

# %% dataclass-inheritance-and-errors
import dataclasses
from dataclasses import dataclass
@dataclass
class A:
    x: int = 1
@dataclass
class B(A):
    y: int = 2
    def __str__(self): return f"B<{self.x},{self.y}>"
try:
    @dataclass
    class Bad(A):
        z: int
except TypeError as e:
    print(e)
try:
    @dataclass
    class Worse:
        items: list = []
except ValueError as e:
    print(e)
Made = dataclasses.make_dataclass("Made", [("n", int), ("m", int, dataclasses.field(default=3))])
B(5), str(B()), Made(1), dataclasses.is_dataclass(B)

# %% namedtuple
from collections import namedtuple
from typing import NamedTuple
Point = namedtuple("Point", "x y", defaults=[0])
class Emp(NamedTuple):
    name: str
    id: int = 3
    def label(self): return f"{self.name}#{self.id}"
p = Point(1)
x, y = p
print(p, p._asdict(), p._replace(y=9), Point._fields, p == (1, 0), Point._make([7, 8]))
Emp("Ann"), Emp("Bob", 1).label(), p + (5,), sorted([Point(2, 1), Point(1, 2)])[0]

# %% enum-basics
from enum import Enum, auto, unique
class Color(Enum):
    RED = 1
    GREEN = 2
    CRIMSON = 1
    @property
    def nice(self): return self.name.title()
class Op(Enum):
    ADD = auto()
    SUB = auto()
print(Color.RED, repr(Color.RED), Color(2), Color["GREEN"], Color.CRIMSON is Color.RED, Color.RED.nice)
for bad in (lambda: Color(9), lambda: Color["PINK"]):
    try:
        bad()
    except (ValueError, KeyError) as e:
        print(type(e).__name__, e)
list(Color), Op.SUB.value, Color.__members__, {Color.RED: "r"}

# %% enum-flags-and-mixed
from enum import IntEnum, Flag, IntFlag, StrEnum, auto
class Perm(Flag):
    R = auto()
    W = auto()
    X = auto()
    RW = R | W
class Level(IntEnum):
    LOW = 1
    HIGH = 10
class Mode(StrEnum):
    FAST = auto()
    SLOW = "s"
print(Perm.R | Perm.X, Perm.RW & Perm.W, Perm.W in Perm.RW, ~Perm.R, bool(Perm.R & Perm.W), list(Perm.RW))
print(Level.HIGH > 5, Level.LOW + 1, f"{Level.LOW}", repr(Level.HIGH), sorted(Level))
Mode.FAST, str(Mode.SLOW), Mode.FAST == "fast", f"{Mode.SLOW:>4}", Perm(5)

# %% enum-planets
from enum import Enum
class Planet(Enum):
    EARTH = (5.976e24, 6.37814e6)
    MARS = (6.421e23, 3.3972e6)
    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius
    @property
    def gravity(self): return 6.67430e-11 * self.mass / self.radius ** 2
    @classmethod
    def _missing_(cls, value): return cls.EARTH
[(p.name, round(p.gravity, 2)) for p in Planet], Planet("anything")

# %% protocols
from typing import Protocol, runtime_checkable
@runtime_checkable
class Speaker(Protocol):
    def speak(self) -> str: ...
class Dog:
    def speak(self): return "woof"
class Rock: pass
def talk(s: Speaker) -> str: return s.speak()
try:
    Speaker()
except TypeError as e:
    print(e)
talk(Dog()), isinstance(Dog(), Speaker), isinstance(Rock(), Speaker)

# %% typing-constructs
from typing import (Any, Callable, Final, Generic, Literal, Optional, TypedDict, TypeVar, Union, Annotated,
    get_type_hints,
                    get_origin, get_args, cast, overload, ClassVar, NewType)
T = TypeVar("T")
class Box(Generic[T]):
    n: ClassVar[int] = 0
    def __init__(self, v: T): self.v = v
class Movie(TypedDict, total=False):
    name: str
    year: int
UserId = NewType("UserId", int)
def f(a: Optional[int], b: Union[str, None], c: "list[int]", d: Literal["x", 1] = "x", *,
    e: Annotated[int, "meta"]) -> Any: ...
print(get_type_hints(f))
print(get_origin(dict[str, int]), get_args(Callable[[int], str]), int | None, Box[int], list[int] | str)
(Movie(name="Up"), UserId(5), cast(int, "x"), Box("v").v, Optional[int] == int | None,
 get_type_hints(f, include_extras=True)["e"])

# %% typing-overload-paramspec
from typing import overload, ParamSpec, Callable, TypeVar, Self, Never, assert_never, TypeGuard, Concatenate
P, R = ParamSpec("P"), TypeVar("R")
def twice(f: Callable[P, R]) -> Callable[P, list[R]]:
    def inner(*args: P.args, **kwargs: P.kwargs) -> list[R]:
        return [f(*args, **kwargs), f(*args, **kwargs)]
    return inner
@overload
def g(x: int) -> int: ...
@overload
def g(x: str) -> str: ...
def g(x): return x * 2
class Chain:
    def step(self) -> Self: return self
try:
    assert_never("x")
except AssertionError as e:
    print(e)
twice(g)(4), g("a"), type(Chain().step()).__name__, Callable[P, R]

# %% class-scope-and-nested
x = "module"
class Outer:
    x = "class"
    y = x + "!"
    def method(self): return x
    class Inner:
        z = 1
        def get(self): return Outer.x
    if y:
        cond = [n for n in range(3)]
Outer.y, Outer().method(), Outer.Inner().get(), Outer.Inner.__qualname__, Outer.cond

# %% monkey-patching
class A:
    def hi(self): return "hi"
def shout(self): return self.hi().upper() + "!"
A.shout = shout
a = A()
import types
a.hi = types.MethodType(lambda self: "patched", a)
a.shout(), A().shout(), A.shout is shout

# %% operator-overload-comparison
class Query:
    def __init__(self, text): self.text = text
    def __eq__(self, o): return Query(f"{self.text} = {o!r}")
    def __gt__(self, o): return Query(f"{self.text} > {o!r}")
    def __and__(self, o): return Query(f"({self.text} AND {o.text})")
    def __or__(self, o): return Query(f"({self.text} OR {o.text})")
    def __invert__(self): return Query(f"NOT {self.text}")
name, age = Query("name"), Query("age")
((name == "Ann") & (age > 30) | ~(age == 5)).text

# %% subclass-builtins
class DefaultList(list):
    def __getitem__(self, i):
        try:
            return super().__getitem__(i)
        except IndexError:
            return None
class Upper(str):
    def __new__(cls, v): return super().__new__(cls, v.upper())
class Bag(dict):
    def __setitem__(self, k, v): super().__setitem__(k, [*self.get(k, []), v])
b = Bag()
b["x"] = 1
b["x"] = 2
DefaultList([1])[5], Upper("abc") + "d", b, isinstance(Upper("q"), str)

# %% linked-list-and-tree
class Node:
    def __init__(self, value, left=None, right=None):
        self.value, self.left, self.right = value, left, right
    def insert(self, v):
        side = "left" if v < self.value else "right"
        child = getattr(self, side)
        child.insert(v) if child else setattr(self, side, Node(v))
    def __iter__(self):
        if self.left: yield from self.left
        yield self.value
        if self.right: yield from self.right
root = Node(50)
for v in (30, 70, 20, 40, 60, 80): root.insert(v)
list(root), root.left.right.value

# %% weakrefs
import weakref, gc
class Node:
    def __init__(self, name): self.name = name
    def __repr__(self): return f"<{self.name}>"
n = Node("a")
ref = weakref.ref(n, lambda r: print("collected"))
cache = weakref.WeakValueDictionary(k=n)
print(ref(), dict(cache))
weakref.finalize(n, print, "finalized")
del n
gc.collect()
ref(), dict(cache)

# %% pickle-own-classes
import pickle
from dataclasses import dataclass
@dataclass
class Job:
    name: str
    args: tuple
class Custom:
    def __init__(self, n): self.n, self.cache = n, "big"
    def __getstate__(self): return {"n": self.n}
    def __setstate__(self, s): self.n, self.cache = s["n"], "rebuilt"
def helper(x): return x + 1
back = pickle.loads(pickle.dumps([Job("a", (1, 2)), Custom(5), helper, Job]))
print(back[0], back[1].n, back[1].cache, back[2](1), back[3] is Job)
try:
    pickle.dumps(lambda: 0)
except Exception as e:
    print(type(e).__name__)
Job.__module__

# %% copy-own-classes
import copy
class Tree:
    def __init__(self, v, kids=()): self.v, self.kids = v, list(kids)
    def __deepcopy__(self, memo): return Tree(self.v * 10, copy.deepcopy(self.kids, memo))
t = Tree(1, [Tree(2)])
s, d = copy.copy(t), copy.deepcopy(t)
a = [1, [2, 3]]
b, c = copy.copy(a), copy.deepcopy(a)
a[1].append(4)
loop = [1]
loop.append(loop)
s.kids is t.kids, d.v, d.kids[0].v, b, c, copy.deepcopy(loop)

# %% class-decorator
def auto_repr(cls):
    cls.__repr__ = lambda self: f"{cls.__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"
    return cls
@auto_repr
class User:
    def __init__(self, name, age): self.name, self.age = name, age
User("Ann", 3)

# %% getitem-on-class-and-generic-alias
import types
print(list[int], dict[str, list[int]], type(list[int]), list[int].__origin__, tuple[int, ...].__args__)
isinstance([], list), types.GenericAlias(list, (int,)), (int | str).__args__, isinstance(3, int | str)

# %% callable-introspection
import inspect
class C:
    """Doc."""
    def m(self): ...
    async def am(self): ...
    @staticmethod
    def s(): ...
    p = property(lambda self: 1)
def gen(): yield
async def agen(): yield
print([n for n, _ in inspect.getmembers(C, inspect.isfunction)])
(inspect.isgeneratorfunction(gen), inspect.iscoroutinefunction(C.am), inspect.isasyncgenfunction(agen),
 inspect.getdoc(C), inspect.ismethod(C().m), inspect.isabstract(C))

# %% state-machine
class Light:
    transitions = {"green": "yellow", "yellow": "red", "red": "green"}
    def __init__(self): self.state, self.history = "green", []
    def tick(self):
        self.history.append(self.state)
        self.state = self.transitions[self.state]
        return self
light = Light()
for _ in range(4): light.tick()
light.state, light.history

# %% observer
class Event:
    def __init__(self): self.handlers = []
    def __iadd__(self, h): self.handlers.append(h); return self
    def __isub__(self, h): self.handlers.remove(h); return self
    def __call__(self, *a): return [h(*a) for h in self.handlers]
on = Event()
on += str.upper
on += len
on -= len
on += lambda s: s[::-1]
on("abc")

# %% dunder-reflected-and-in-place
class Log:
    def __getattr__(self, name):
        raise AttributeError(name)
def operation(name):
    return lambda self, *other: f"{name}{other}"
for name in ("floordiv", "mod", "pow", "lshift", "rshift", "and", "or", "xor", "truediv", "matmul"):
    setattr(Log, f"__r{name}__", operation("r" + name))
    setattr(Log, f"__i{name}__", operation("i" + name))
a, i = Log(), Log()
print(7 // a, 7 % a, 7 ** a, 7 << a, 7 >> a, 7 & a, 7 | a, 7 ^ a, 7 / a, 7 @ a)
i **= 2
i, pow(7, a), Log.__rmod__(a, 1)

# %% dunder-comparison-fallback
class Meters:
    def __init__(self, n): self.n = n
    def __lt__(self, o): return ("lt", self.n)
    def __le__(self, o): return ("le", self.n)
    def __ge__(self, o): return NotImplemented
    def __ne__(self, o): return "ne"
    def __pos__(self): return "pos"
    def __floor__(self): return "floor"
    def __ceil__(self): return "ceil"
import math
a, b = Meters(1), Meters(2)
try:
    a >= 5
except TypeError as e:
    print(e)
a < b, a > b, a <= 1, a >= b, a != b, +a, math.floor(a), math.ceil(a), a == a

# %% instance-and-subclass-checks
class Even(type):
    def __instancecheck__(cls, n): return isinstance(n, int) and n % 2 == 0
    def __subclasscheck__(cls, c): return c is int
    def __or__(cls, other): return f"{cls.__name__} or {other}"
    def __iter__(cls): return iter("even")
    def __getitem__(cls, k): return f"class item {k}"
    def __contains__(cls, k): return True
class EvenInt(metaclass=Even): pass
(isinstance(4, EvenInt), isinstance(3, EvenInt), issubclass(int, EvenInt), EvenInt | 5, list(EvenInt), EvenInt["x"],
 9 in EvenInt)

# %% reduce-and-copyreg
import copy, copyreg, pickle
class Point:
    def __init__(self, x, y): self.x, self.y = x, y
    def __reduce__(self): return Point, (self.x * 10, self.y)
class Other:
    def __init__(self, n): self.n = n
copyreg.pickle(Other, lambda o: (Other, (o.n + 1,)))
class Args:
    def __new__(cls, a): s = super().__new__(cls); s.a = a; return s
    def __getnewargs__(self): return (self.a,)
(copy.copy(Point(1, 2)).x, pickle.loads(pickle.dumps(Other(1))).n, pickle.loads(pickle.dumps(Args("z"))).a,
 Point.__subclasses__(), Point.__base__)

# %% abc-subclasshook-and-properties
from abc import ABC, abstractmethod, ABCMeta
class Sized(ABC):
    @classmethod
    def __subclasshook__(cls, c): return hasattr(c, "size") or NotImplemented
    @staticmethod
    @abstractmethod
    def make(): ...
class Box:
    size = 1
class Impl(Sized):
    @staticmethod
    def make(): return "made"
isinstance(Box(), Sized), issubclass(int, Sized), Impl.make(), Impl().make(), type(Sized) is ABCMeta

# %% dataclass-hooks
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import ClassVar
@dataclass(repr=False, eq=False)
class Base:
    count: ClassVar[int] = 0
    name: str = field(default="n", metadata={"unit": "m"})
    def __post_init__(self): type(self).count += 1
    @cached_property
    def upper(self): return self.name.upper()
@dataclass(init=False, unsafe_hash=True)
class Own(Base):
    value: int = 3
    def __init__(self, v): super().__init__("own"); self.value = v
o = Own(7)
o, Base.count, Own.count, o.upper, fields(o)[0].metadata["unit"], hash(o) == hash(Own(7)), o == Own(7), Base() == Base()

# %% generic-classes
from typing import Generic, TypeVar, Sequence, Iterator
K = TypeVar("K", bound=str)
V = TypeVar("V", int, float)
class Cache(Generic[K, V]):
    def __init__(self) -> None: self._d: dict[K, V] = {}
    def __setitem__(self, k: K, v: V) -> None: self._d[k] = v
    def __iter__(self) -> Iterator[tuple[K, V]]: yield from self._d.items()
class Names(Cache[str, int]): pass
c = Names()
c["a"] = 1
list(c), Cache.__parameters__, Names.__orig_bases__, Cache[str, int].__args__, K.__bound__, V.__constraints__
'''
