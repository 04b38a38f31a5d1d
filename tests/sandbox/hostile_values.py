"""Values that are hard to look at, as results and as arguments of tools."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

#: Classes whose instances misbehave, by what they are derived from and by what fails.
METHODS = [
    "__repr__",
    "__str__",
    "__eq__",
    "__hash__",
    "__reduce_ex__",
    "__len__",
    "__iter__",
    "__bool__",
    "__getattribute__",
    "__class__",
    "__format__",
    "__index__",
    "__int__",
    "__float__",
    "__contains__",
    "__getitem__",
    "__instancecheck__",
    "__dir__",
    "__sizeof__",
    "__del__",
    "__lt__",
    "keys",
    "items",
    "_asdict",
    "_fields",
    "model_dump",
    "tolist",
    "isoformat",
    "as_posix",
    "__dataclass_fields__",
    "__module__",
    "value",
    "bit_length",
    "__fspath__",
]


BASES = {
    "object": "",
    "str": "('x')",
    "int": "(7)",
    "float": "(1.5)",
    "list": "([1])",
    "dict": "({1: 2})",
    "tuple": "((1,))",
    "set": "({1})",
    "bytes": "(b'x')",
    "BaseException": "('x')",
}

MISBEHAVIOUR = {
    "raises": "raise ValueError('hostile')",
    "exits": "raise SystemExit(3)",
    "interrupts": "raise KeyboardInterrupt",
    "returns itself": "return a[0]",
    "returns a lot": "return 'x' * 10**7",
}

OTHERS = r"""
### a repr of 100 MB | ends
class R:
    def __repr__(self):
        return "x" * 10**8
R()

### a repr that never ends | stopped or killed
class R:
    def __repr__(self):
        while True:
            pass
R()

### a repr that is no text | ends
class R:
    __repr__ = lambda self: 7
loot = R()
loot

### a repr of surrogates | ends
class R:
    __repr__ = lambda self: "\ud800\0\x1b[2J"
loot = R()
loot

### a repr that defines and calls | ends
class R:
    def __repr__(self):
        echo(self)
        return str(echo([self]))
R()

### a value inside itself | ends
loot = []
loot.append(loot)
loot

### values inside each other | ends
loot, other = {}, []
loot["other"], loot[1] = other, loot
other.append(loot)
(loot, other)

### a million numbers | ends
loot = list(range(10**6))
loot

### a million texts | ends
loot = [str(n) for n in range(10**6)]
loot

### ninety thousand dicts | ends
loot = [{"n": n} for n in range(90_000)]
loot

### two hundred thousand empty lists | ends
loot = [[] for _ in range(200_000)]
loot

### three hundred thousand numbers in a set | ends
loot = set(range(140_000))
loot

### text of 100 MB | ends
"x" * 10**8

### text that JSON makes six times as long | ends
loot = "\0" * 900_000
loot

### bytes of 50 MB | ends
bytes(50_000_000)

### a number of a million bits | ends
loot = 1 << 10**6
loot

### a number of ten million digits | ends
loot = 7 ** 10**6
loot

### a decimal of a million digits | ends
import decimal
decimal.getcontext().prec = 10**6
loot = decimal.Decimal(1) / 3
loot

### a fraction of a million bits | ends
from fractions import Fraction
loot = Fraction(3 ** 10**5, 2 ** 10**5)
loot

### lists a hundred thousand deep | ends
loot = []
for _ in range(100_000):
    loot = [loot]
loot

### lists a hundred deep | ends
loot = []
for _ in range(99):
    loot = [loot]
loot

### dicts a thousand deep | ends
loot = {}
for _ in range(1000):
    loot = {"a": loot}
loot

### tuples as keys, deep | ends
loot = 1
for _ in range(200):
    loot = (loot,)
{loot: {loot: loot}}

### the same list ten times, ten times | ends
loot = [0]
for _ in range(12):
    loot = [loot] * 10
loot

### a dict that changes while it is read | ends
class D(dict):
    def items(self):
        self[len(self)] = 1
        return super().items()
    def __iter__(self):
        self[len(self)] = 1
        return super().__iter__()
loot = D(a=1)
loot

### a list that grows while it is read | ends
class L(list):
    def __iter__(self):
        while True:
            self.append(1)
            yield 1
L([1])

### a mapping without end | stopped or killed or MemoryError or ends
class D(dict):
    def keys(self):
        return iter(int, 1)
    def __iter__(self):
        return iter(int, 1)
D(a=1)

### a dataclass of hostile fields | ends
import dataclasses
@dataclasses.dataclass
class D:
    x: int
    def __getattribute__(self, name):
        if name == "x":
            raise SystemExit(4)
        return object.__getattribute__(self, name)
D(1)

### an enum of hostile values | ends
import enum
class E(enum.Enum):
    A = object()
    B = [[[]]]
[E.A, E.B]

### a named tuple whose fields lie | ends
import collections
T = collections.namedtuple("T", "a b")
T._fields = ("a", "b", "c")
T(1, 2)

### a class that is of numpy | ends
class N:
    def tolist(self):
        return self
N.__module__ = "numpy"
N()

### a class that is of pandas | ends
class DataFrame:
    def to_dict(self, *a):
        return self
DataFrame.__module__ = "pandas"
DataFrame()

### a class that is of pydantic | ends
class M:
    model_fields = {"a": 1, 2: 3}
    def model_dump(self):
        return self
    a = property(lambda self: M())
M()

### a module of a class that is no text | ends
class C:
    pass
C.__module__ = 7
C()

### a name of a class that is large | ends
type("C" * 10**6, (), {})()

### a name of a class of surrogates | ends
class C:
    pass
C.__name__ = "\ud800"
C()

### values of every kind | ends
loot = [print, open, type, sys, sys._getframe(), (n for n in ()), lambda: 0, threading.Lock(), memoryview(b"x"), re.compile("x"),
        NotImplemented, ..., asyncio.sleep, mmap.mmap(-1, 4096), socket.socketpair(), ctypes.c_int(1), iter([]), object(),
        type("T", (), {}), classmethod(print), property(), super(int, 1), sys.stdout, {}.keys(), weakref_of(print) if False else 0]
loot

### a coroutine as a value | ends
async def c():
    pass
c()

### a future as a value | ends
asyncio.get_running_loop().create_future()
await asyncio.sleep(0)

### a tool as a value | ends
[echo, {"echo": echo}]

### names that are no text | ends
globals()[1] = globals()[None] = globals()[("a",)] = 1
globals()["a b"] = globals()[""] = globals()["\ud800"] = globals()["x" * 10**6] = 2

### names whose hash is bad | ends
class N(str):
    def __hash__(self):
        return 1
    def __eq__(self, other):
        raise RuntimeError("no")
globals()[N("loot")] = 1
globals()[N("missing")] = 1

### a trailing expression that deletes itself | ends
globals().clear() or 7

### a value that a tool cannot take | ends
class R:
    def __repr__(self):
        raise SystemExit(5)
echo(R())

### arguments that are too large | ends
for value in ("x" * 2_000_000, list(range(10**6)), b"x" * 10**6, [[]] * 300_000, 1 << 10**7):
    try:
        print(type(echo(value)))
    except Exception as error:
        print(type(error).__name__)

### arguments inside themselves | ends
x = []
x.append(x)
print(echo(x), echo({"a": x}))

### keywords that are odd | ends
for key in ("a b", "", "self", "__class__", "\ud800", "value", "x" * 10**5):
    try:
        print(echo(**{key: 1}))
    except Exception as error:
        print(type(error).__name__)

### arguments that are hostile classes | ends
class S(str):
    def __str__(self):
        raise SystemExit(1)
    __repr__ = encode = __str__
print(echo(S("x")), echo({S("k"): S("v")}), echo([S("z")] * 3))

### a large answer of a tool, many times | ends
x = await asyncio.gather(*[large() for _ in range(8)])
[len(part) for part in x]

### more calls than are allowed | ends
for n in range(200):
    try:
        tally()
    except Exception as error:
        print(n, type(error).__name__)
        break

### more calls at once than are allowed | ends
answers = await asyncio.gather(*[nap(0.01) for _ in range(300)], return_exceptions=True)
{type(a).__name__ for a in answers}

### calls from many threads | ends
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(list(pool.map(echo, range(20))))

### a tool inside a destructor | ends
class D:
    def __del__(self):
        echo(1)
D()
gc.collect()

### a tool inside a signal handler | ends
signal.signal(signal.SIGALRM, lambda *a: echo("ring"))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for n in range(30):
    echo(n)
"""


def misbehaving(base: str, argument: str, manner: str, action: str) -> str:
    """One attempt: values of a class of which one method after the other misbehaves."""
    return f"""
### values of a hostile {base} that {manner} | ends
def bad(*a, **k):
    {action}
loot = []
for name in {METHODS!r}:
    for how in (bad, property(bad)):
        kind = type("K", ({base},), {{}})
        value = kind{argument or "()"}
        try:
            setattr(kind, name, how)
            loot.append(echo(value))
        except BaseException:
            pass
        loot.append(value)
loot
"""


ATTEMPTS = (
    "".join(
        misbehaving(base, argument, manner, action)
        for base, argument in BASES.items()
        for manner, action in MISBEHAVIOUR.items()
    )
    + OTHERS
)
