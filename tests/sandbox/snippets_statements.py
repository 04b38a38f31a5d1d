"""Snippets: statements, `match`, comprehensions, generators and the other expressions of the language."""

CELLS = r'''
# %% arithmetic
a, b = 17, 5
print(a + b, a - b, a * b, a / b, a // b, a % b, a ** b)
print(-a // b, -a % b, divmod(-a, b), 2 ** -2)
[a & b, a | b, a ^ b, ~a, a << 2, a >> 1]

# %% arithmetic-floats
print(0.1 + 0.2, 1e16 + 1, 1 / 3, 7.0 // 2, -7.5 % 2)
print(round(2.5), round(3.5), round(2.675, 2), round(1234.5678, -2), round(15, -1))
(float("inf"), -float("inf"), float("nan") == float("nan"), 1e308 * 10)

# %% big-integers
n = 2 ** 200
print(n, n.bit_length(), n % 10 ** 9)
print(pow(3, 1000, 1_000_007), pow(38, -1, mod=97))
int(str(n)[::-1]) // 7

# %% integer-literals
print(0xFF, 0o17, 0b1010, 1_000_000, 0xDEAD_BEEF)
int("ff", 16), int("0b101", 0), int(" 42 "), int("-1_000"), int(3.99), int(-3.99)

# %% complex-numbers
z = 3 + 4j
print(z, abs(z), z.conjugate(), z.real, z.imag)
z * (1 - 2j), z ** 2, z / 2, complex("1+2j"), -0j

# %% comparison-chains
x = 5
print(1 < x < 10, 1 < x > 4, x == 5 != 6, 1 < 2 > 3)
[i for i in range(10) if 2 <= i < 7 and i != 4]

# %% boolean-operators
print(0 or "default", "" or [] or None, 1 and 2, 0 and 1 / 0)
not [], not 0.0, True + True, bool("False"), any([]), all([])

# %% identity-and-membership
a = [1, 2]
b = a
c = list(a)
print(a is b, a is c, a == c, 2 in a, 3 not in a)
"ell" in "hello", "k" in {"k": 1}, None is None

# %% conditional-expression
for n in (0, 1, 15):
    print("zero" if n == 0 else "one" if n == 1 else f"many: {n}")
(lambda n: "even" if n % 2 == 0 else "odd")(7)

# %% walrus
import re
lines = ["id=3", "name", "id=77"]
found = [int(m[1]) for line in lines if (m := re.match(r"id=(\d+)", line))]
if (n := len(found)) > 1:
    print(f"{n} found, last match {m!r}")
while (item := found.pop()) != 3:
    print("popped", item)
item, found

# %% if-elif-else
def grade(score):
    if score >= 90:
        return "A"
    elif score >= 75:
        return "B"
    else:
        return "C"
[grade(s) for s in (95, 80, 10)]

# %% for-else
for n in range(2, 12):
    for d in range(2, n):
        if n % d == 0:
            print(n, "=", d, "*", n // d)
            break
    else:
        print(n, "is prime")
n

# %% while-else-continue
n, seen = 10, []
while n > 0:
    n -= 1
    if n % 3:
        continue
    seen.append(n)
else:
    print("ran out", n)
seen

# %% nested-loops-break
pairs = []
for i in range(5):
    for j in range(5):
        if j > i:
            break
        if (i + j) % 2:
            continue
        pairs.append((i, j))
pairs

# %% enumerate-zip-reversed
names, ages = ["Ann", "Bob", "Cy"], [30, 25, 41]
for i, (name, age) in enumerate(zip(names, ages), start=1):
    print(i, name, age, sep=". ")
list(reversed(names)), dict(zip(names, ages)), list(zip(*[(1, "a"), (2, "b")]))

# %% zip-strict
try:
    list(zip([1, 2], [1], strict=True))
except ValueError as e:
    print(e)
list(zip([1, 2, 3], "ab"))

# %% unpacking
first, *middle, last = range(6)
(a, b), [c, *d] = (1, 2), "xyz"
print(first, middle, last, a, b, c, d)
*head, tail = "hi"
head, tail, [*range(3), *"ab"], {**{"a": 1}, "b": 2}, (*{1},)

# %% swap-and-multiple-targets
a = b = []
a.append(1)
x, y = 1, 2
x, y = y, x
i, l = 0, [0, 0, 0]
i, l[i] = 2, "set"
b, x, y, i, l

# %% augmented-assignment
x = 10
x += 5; x -= 3; x *= 2; x //= 5; x **= 3; x %= 50
s = "ab"
s *= 3
l = [1]
l += (2, 3)
m = 0b1100
m |= 1; m &= ~4; m ^= 2; m <<= 1; m >>= 2
x, s, l, m

# %% annotated-assignment
count: int = 3
names: list[str] = []
later: "Unknown"
class Point:
    x: int
    y: int = 0
print(Point.__annotations__, Point.y)
count, names, "later" in globals()

# %% del-statement
a, b, c = 1, [1, 2, 3, 4, 5], {"k": 1, "j": 2}
del a, b[1:3], c["k"]
print("a" in globals(), b, c)
del b[0], c
try:
    c
except NameError as e:
    print(e)
b

# %% pass-and-ellipsis
def todo(): ...
class Empty:
    pass
def nothing():
    pass
todo(), nothing(), ..., Ellipsis is ..., Empty.__name__

# %% assert-statement
def area(r):
    assert r >= 0, f"negative radius: {r}"
    return r * r
try:
    area(-1)
except AssertionError as e:
    print("caught:", e)
area(3)

# %% semicolons-and-line-joining
a = 1; b = 2
total = a + \
    b + (3 +
         4)
text = ("one "
        "two "
        f"{total}")
text

# %% global-and-nonlocal
counter = 0
def outer():
    steps = 0
    def inner():
        nonlocal steps
        global counter
        steps += 1
        counter += 10
        return steps
    inner()
    return inner()
outer(), counter

# %% import-forms
import math, os.path as osp
from collections import Counter as C, deque
from math import *
import importlib
print(sqrt(16), osp.join("a", "b"), C("aab"), deque([1], 2))
importlib.import_module("json").dumps([1]), math.__name__

# %% import-in-function
def circle(r):
    from math import pi
    return round(pi * r ** 2, 3)
circle(2), "pi" in globals()

# %% future-import
from __future__ import annotations
def f(x: undefined_name) -> also_undefined: return x
f.__annotations__

# %% main-guard
def main():
    print("running main")
    return 0
if __name__ == "__main__":
    code = main()
__name__, code

# %% module-docstring-then-code
"""This text is only an expression statement."""
x = 1
x + 1

# %% trailing-docstring
x = 1
"""the value is this text"""

# %% no-trailing-expression
x = [1, 2, 3]
for i in x:
    print(i, end=" ")

# %% trailing-none
print("value is None")
None

# %% only-a-comment
# nothing here

# %% trailing-expression-with-semicolon
x = 4; x * 2;

# %% trailing-tuple-multi-line
(
    1,
    "two",
    3.0,
)

# %% trailing-comment
x = 21 * 2
x  # the answer

# %% print-forms
import sys
print()
print("a", 1, None, [1.5], sep="-", end="!\n")
print("to stderr", file=sys.stderr)
print(*range(5), sep=", ")
print("no newline", end="")
print("flushed", flush=True)

# %% stdout-and-stderr-interleave
import sys
for i in range(4):
    print("out", i)
    print("err", i, file=sys.stderr)
sys.stdout.write("written\n")

# %% stdout-object
import sys
print(sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.writable(), sys.stdout.name, sys.stderr.name)
sys.stdout.writelines(["a\n", "b\n"])
sys.stdout.write("é→\U0001f600\n")

# %% stdout-buffer
import sys
sys.stdout.buffer.write(b"raw bytes\n")
sys.stdout.flush()
print("after")

# %% print-to-memory
import io
out = io.StringIO()
print("x", 1, file=out)
out.getvalue()

# %% match-literals
def kind(v):
    match v:
        case 0 | 1:
            return "bit"
        case -1.5:
            return "negative float"
        case "yes" | "no" as answer:
            return f"answer {answer}"
        case None | True | False:
            return "singleton"
        case b"raw":
            return "bytes"
        case 3 + 4j:
            return "complex"
        case _:
            return "other"
[kind(v) for v in (0, True, -1.5, "no", None, b"raw", 3 + 4j, "maybe")]

# %% match-sequences
def shape(v):
    match v:
        case []:
            return "empty"
        case [x]:
            return f"one: {x}"
        case [x, y]:
            return f"two: {x}, {y}"
        case [first, *rest, "end"]:
            return f"first {first}, rest {rest}, end"
        case (first, *_):
            return f"starts with {first}"
        case _:
            return "no sequence"
[shape(v) for v in ([], (1,), [1, 2], [1, 2, 3, "end"], range(9), "text", {1})]

# %% match-mappings
def handle(event):
    match event:
        case {"type": "click", "pos": (x, y)}:
            return f"click at {x},{y}"
        case {"type": "key", "key": str(k), **rest} if len(k) == 1:
            return f"key {k}, rest {rest}"
        case {"type": t}:
            return f"unknown {t}"
        case {}:
            return "no type"
events = [{"type": "click", "pos": [1, 2]}, {"type": "key", "key": "q", "mod": 1}, {"type": "key", "key": "ESC"}, {}]
for e in events:
    print(handle(e))

# %% match-classes
from dataclasses import dataclass
@dataclass
class Point:
    x: int
    y: int
class Old:
    __match_args__ = ("name",)
    def __init__(self, name): self.name = name
def where(p):
    match p:
        case Point(0, 0):
            return "origin"
        case Point(x=0, y=y):
            return f"on the y axis at {y}"
        case Point(x, y) if x == y:
            return "diagonal"
        case Point():
            return "elsewhere"
        case Old("n") | Old(name="m"):
            return "old"
        case int(n) | float(n):
            return f"number {n}"
[where(p) for p in (Point(0, 0), Point(0, 3), Point(2, 2), Point(1, 2), Old("m"), 3.5, "text")]

# %% match-constants-and-nesting
import enum
class Color(enum.Enum):
    RED = 1
    BLUE = 2
def f(v):
    match v:
        case Color.RED:
            return "red"
        case [Color.BLUE, [a, {"deep": [*_, last]}]]:
            return a, last
        case str() as s:
            return s.upper()
match = case = 3
print(match + case)
f(Color.RED), f([Color.BLUE, ["x", {"deep": [1, 2, 9]}]]), f("text"), f(None)

# %% match-subject-tuple
def fizz(n):
    match n % 3, n % 5:
        case 0, 0: return "FizzBuzz"
        case 0, _: return "Fizz"
        case _, 0: return "Buzz"
        case _: return n
[fizz(n) for n in range(1, 16)]

# %% list-comprehensions
squares = [x * x for x in range(6)]
table = [[r * c for c in range(1, 4)] for r in range(1, 4)]
flat = [v for row in table for v in row if v % 2]
print(squares, table)
flat

# %% dict-and-set-comprehensions
words = "the quick brown fox jumps over the lazy dog".split()
lengths = {w: len(w) for w in words if len(w) > 3}
print({len(w) for w in words}, {v: k for k, v in lengths.items()})
lengths

# %% comprehension-scope
x = "outer"
values = [x for x in range(3)]
class C:
    n = 3
    items = [i for i in range(n)]
print(x, values, C.items)
funcs = [lambda i=i: i * 10 for i in range(3)]
late = [lambda: i for i in range(3)]
[f() for f in funcs], [f() for f in late]

# %% comprehension-conditions
[(x, y) if x < y else None for x in range(3) for y in range(3) if x != y if x + y < 4]

# %% generator-expressions
total = sum(x * x for x in range(10) if x % 2)
gen = (c.upper() for c in "abc")
print(next(gen), list(gen), list(gen))
total, max((len(w), w) for w in ["aa", "b", "cc"]), ", ".join(str(i) for i in range(4))

# %% generator-function
def fib():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b
gen = fib()
first = [next(gen) for _ in range(10)]
first, next(gen), gen.__name__

# %% generator-send
def averager():
    total, count, average = 0.0, 0, None
    while True:
        value = yield average
        if value is None:
            return count
        total += value
        count += 1
        average = total / count
a = averager()
next(a)
print(a.send(10), a.send(20), a.send(33))
try:
    a.send(None)
except StopIteration as stop:
    print("returned", stop.value)

# %% generator-throw-close
def worker():
    try:
        while True:
            try:
                x = yield
                print("got", x)
            except ValueError as e:
                print("handled", e)
    finally:
        print("cleaning up")
w = worker()
next(w); w.send(1); w.throw(ValueError("bad")); w.send(2); w.close()
list(w)

# %% yield-from
def inner(n):
    for i in range(n):
        got = yield i
        if got:
            print("got", got)
    return f"inner {n} done"
def outer():
    result = yield from inner(2)
    print(result)
    yield from "xy"
    return (yield from inner(1))
def run():
    value = yield from outer()
    print("final", value)
list(run())

# %% generator-pipeline
def numbers():
    for i in range(1, 20):
        yield i
def evens(it): return (i for i in it if i % 2 == 0)
def squared(it):
    for i in it:
        yield i ** 2
import itertools
list(itertools.islice(squared(evens(numbers())), 4))

# %% iterator-protocol
class Countdown:
    def __init__(self, start): self.n = start
    def __iter__(self): return self
    def __next__(self):
        if self.n <= 0:
            raise StopIteration
        self.n -= 1
        return self.n + 1
it = iter([1, 2])
print(list(Countdown(3)), sum(Countdown(4)), next(it), next(it), next(it, "done"))
list(iter(iter([5, 4, 0, 9]).__next__, 0))

# %% slicing
s = list(range(10))
print(s[2:5], s[:3], s[-3:], s[::2], s[::-1], s[8:2:-2], s[100:], s[-100:2])
s[2:5] = "xyz!"
s[::4] = [0, 0, 0]
del s[-2:]
s, "hello"[1:-1], (1, 2, 3)[::-1], slice(1, 10, 2).indices(6)

# %% slice-objects
class Grid:
    def __getitem__(self, key): return key
g = Grid()
g[1], g[1:2], g[::3, ..., 5], g[1:2, "a"], g[()]

# %% lambda-forms
add = lambda a, b=2, *c, d=4, **e: (a, b, c, d, e)
print(add(1), add(1, 9, 8, 7, d=0, z=5))
compose = lambda *fs: lambda x: [x := f(x) for f in fs][-1]
sorted([(1, "b"), (1, "a"), (0, "z")], key=lambda p: (-p[0], p[1])), compose(str, len)(12345)

# %% operator-precedence
print(2 + 3 * 4 ** 2 // 5 % 7, -2 ** 2, (-2) ** 2, not 1 == 2, 1 + 2 << 1, 5 & 3 == 1)
2 ** 3 ** 2, 10 - 3 - 2, 1 if 0 else 2 or 3, lambda: 1 and 2

# %% starred-expressions
def f(*args, **kwargs): return args, kwargs
a, d = [1, 2], {"x": 1}
print(f(*a, 0, *"no", **d, y=2, **{"z": 3}))
*a, *d, {*a, *[2, 3]}, [*a, *a]

# %% evaluation-order
def say(x):
    print(x, end=" ")
    return x
d = {say("k"): say("v")}
say(1) + say(2) * say(3)
say("left") and say("right") or say("never")
[say(1), say(2)][say(0)] < say(5)

# %% statement-nesting
def collatz(n):
    steps = 0
    while n != 1:
        with __import__("contextlib").nullcontext():
            try:
                if n % 2 == 0:
                    n //= 2
                else:
                    n = 3 * n + 1
            finally:
                steps += 1
    return steps
{n: collatz(n) for n in (6, 7, 27)}

# %% unicode-identifiers
π = 3.14159
größe = 2
名前 = "n"
def фн(x): return x * π
фн(größe), 名前

# %% keywords-soft
import keyword
type_ = type
print(len(keyword.kwlist) >= 35, keyword.iskeyword("async"), keyword.issoftkeyword("match"))
type = "shadowed"
type, type_(type)

# %% shadow-builtins
list = [3, 1, 2]
sum = 0
for n in list:
    sum += n
max = sorted(list)[-1]
sum, max

# %% builtins-tour
print(abs(-3), bin(10), oct(8), hex(255), chr(8364), ord("€"), ascii("é"), repr("it's"))
print(callable(len), divmod(7, 2), isinstance(True, int), issubclass(bool, int), hash(7), len({1: 2}))
print(max("b", "a", key=ord), min([], default=0), pow(2, 8), sum([[1], [2]], []), round(-0.5))
list(map(lambda a, b: a + b, [1, 2], [3, 4])), list(filter(None, [0, 1, "", "a"])), sorted("bca", reverse=True)

# %% getattr-setattr-vars
class Box:
    pass
b = Box()
setattr(b, "size", 3)
b.color = "red"
print(getattr(b, "size"), getattr(b, "weight", "unknown"), hasattr(b, "color"))
delattr(b, "size")
vars(b), type(b).__name__, [n for n in dir(b) if not n.startswith("_")]

# %% globals-and-locals
x = 10
def f(a):
    b = a + 1
    return locals()
globals()["made"] = 5
print(f(1), made, "x" in globals())
list(globals())[-3:], sorted(vars(), key=len)[0]

# %% exec-and-eval
ns = {}
exec("def double(n):\n    return n * 2\nvalue = double(21)", ns)
print(ns["value"], eval("a + b", {"a": 1, "b": 2}), eval("[i for i in range(3)]"))
exec("made_here = 7")
made_here, eval("made_here * 6")

# %% compile-modes
code = compile("x * 2", "<expr>", "eval")
x = 8
print(eval(code), code.co_names, code.co_filename)
exec(compile("y = 1\nprint('in exec', y)", "<s>", "exec"))
exec(compile("x + 100", "<single>", "single"))
y

# %% recursion
import sys
from functools import lru_cache
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
@lru_cache(maxsize=None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
def hanoi(n, a="A", b="B", c="C"):
    return [] if n == 0 else hanoi(n - 1, a, c, b) + [(a, c)] + hanoi(n - 1, b, a, c)
depth(900), fib(90), len(hanoi(6)), hanoi(2)

# %% recursion-limit
import sys
print(sys.getrecursionlimit())
def forever(n): return forever(n + 1)
try:
    forever(0)
except RecursionError as e:
    print(type(e).__name__, str(e)[:32])
sys.setrecursionlimit(5000)
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
depth(4000)

# %% mutual-recursion
def is_even(n): return True if n == 0 else is_odd(n - 1)
def is_odd(n): return False if n == 0 else is_even(n - 1)
def flatten(x): return [y for i in x for y in flatten(i)] if isinstance(x, list) else [x]
is_even(10), is_odd(7), flatten([1, [2, [3, [4]], []]])

# %% type-statement (3.12)
type Pair[T] = tuple[T, T]
type Tree = int | list[Tree]
print(Pair, Pair.__value__, Pair[int], Tree.__name__)
Pair.__type_params__

# %% generic-functions-695 (3.12)
def first[T](items: list[T]) -> T:
    return items[0]
class Stack[T]:
    def __init__(self) -> None:
        self.items: list[T] = []
    def push(self, item: T) -> None:
        self.items.append(item)
s = Stack[int]()
s.push(3)
first(s.items), first.__type_params__, Stack.__parameters__, Stack[int]

# %% f-string-nesting-701 (3.12)
names = ["a", "b"]
print(f"{", ".join(f"{n!r}" for n in names)}")
f"{'\n'.join(names)} {f"{f"{1 + 1}"}"}"

# %% type-parameter-defaults (3.13)
class Box[T = int]:
    pass
Box.__type_params__[0].__default__, Box[str]

# %% copy-replace (3.13)
import copy, dataclasses, datetime
@dataclasses.dataclass(frozen=True)
class P:
    x: int
    y: int = 0
copy.replace(P(1), y=5), copy.replace(datetime.date(2024, 1, 2), day=9)

# %% builtin-leftovers
import builtins
print(sorted(n for n in dir(builtins) if n.endswith("Warning"))[:4], issubclass(UnboundLocalError, NameError),
    issubclass(ModuleNotFoundError, ImportError))
print(IOError is OSError, EnvironmentError is OSError, BaseExceptionGroup("b", [KeyboardInterrupt()]),
    issubclass(IndentationError, SyntaxError))
try:
    bytes(2 ** 62)
except MemoryError as e:
    print("MemoryError", e)
builtins.print is print, __builtins__ is builtins or isinstance(__builtins__, dict), int.__name__, aiter, anext

# %% name-lookup-order
x = "global"
def f():
    x = "enclosing"
    class C:
        y = x
        x = "class"
        z = x
        def m(self): return x
    return C.y, C.z, C().m()
len_ = len
def len(a): return f"my {len_(a)}"
result = f(), len("abc")
del len
result, len("abc")

# %% annotations-are-evaluated
calls = []
def note(x):
    calls.append(x)
    return int
def f(a: note("a"), *b: note("b"), c: note("c") = 1) -> note("return"): pass
class C:
    x: note("x") = 1
    def m(self, y: note("y")): z: note("never") = 1
C().m(1)
calls, f.__annotations__.keys(), C.__annotations__

# %% template-strings (3.14)
name = "Ann"
template = t"Hello {name!r:>6}"
template.strings, template.values, [(i.expression, i.conversion, i.format_spec) for i in template.interpolations]
'''
