"""Snippets: exceptions, context managers, and blocks that an exception ends."""

CELLS = r'''
# %% try-except-else-finally
def parse(text):
    try:
        n = int(text)
    except ValueError as e:
        print("bad:", e)
        return None
    else:
        print("good")
        return n
    finally:
        print("finally")
parse("12"), parse("x1")

# %% except-tuple-and-order
for bad in (lambda: [][1], lambda: {}["k"], lambda: 1 / 0, lambda: int([]), lambda: None.x, lambda: "a" + 1):
    try:
        bad()
    except (IndexError, KeyError) as e:
        print("lookup", type(e).__name__, e)
    except ArithmeticError as e:
        print("arithmetic", e)
    except Exception as e:
        print("other", type(e).__name__, e)

# %% finally-overrides
def f():
    try:
        return "try"
    finally:
        return "finally"
def g():
    for i in range(3):
        try:
            continue
        finally:
            print("f", i)
    return i
f(), g()

# %% exception-attributes
try:
    {}["missing"]
except KeyError as e:
    print(repr(e), str(e), e.args)
try:
    open("nowhere.txt")
except FileNotFoundError as e:
    print(e.errno, e.strerror, e.filename)
try:
    import nothing_like_this
except ModuleNotFoundError as e:
    print(e, e.name)
try:
    "é".encode("ascii")
except UnicodeEncodeError as e:
    print(e, e.start, e.reason)
try:
    object().nope
except AttributeError as e:
    print(e, e.name)

# %% custom-exceptions
class AppError(Exception):
    """Base."""
class NotFound(AppError):
    def __init__(self, what, code=404):
        super().__init__(f"{what} not found")
        self.what, self.code = what, code
    def __str__(self): return f"[{self.code}] {super().__str__()}"
try:
    raise NotFound("page")
except AppError as e:
    print(e, e.code, e.args, repr(e))
issubclass(NotFound, AppError), NotFound.__mro__[2].__name__

# %% exception-chaining
def load():
    try:
        {}["config"]
    except KeyError as e:
        raise RuntimeError("no config") from e
try:
    load()
except RuntimeError as e:
    print(e, repr(e.__cause__), e.__suppress_context__)
try:
    try:
        1 / 0
    except ZeroDivisionError:
        int("x")
except ValueError as e:
    print(repr(e.__context__), e.__cause__)
try:
    try:
        1 / 0
    except ZeroDivisionError:
        raise KeyError("k") from None
except KeyError as e:
    print(e.__suppress_context__)

# %% reraise
def f():
    try:
        raise ValueError("first")
    except ValueError:
        print("logging")
        raise
try:
    f()
except ValueError as e:
    again = e
try:
    raise
except RuntimeError as e:
    print(e)
again, "e" in globals()

# %% exception-groups
def raise_many():
    raise ExceptionGroup("several", [ValueError("v"), TypeError("t"), ExceptionGroup("inner", [KeyError("k")])])
try:
    raise_many()
except* ValueError as eg:
    print("V", eg, eg.exceptions)
except* (KeyError, TypeError) as eg:
    print("KT", eg.message, eg.exceptions)
try:
    raise_many()
except ExceptionGroup as eg:
    match_, rest = eg.split(KeyError)
    print(match_, rest)
    print(eg.subgroup(lambda e: isinstance(e, TypeError)))
ExceptionGroup("a", [ValueError(1)])

# %% exception-group-partly-handled
try:
    try:
        raise ExceptionGroup("g", [ValueError(1), OSError(2)])
    except* ValueError:
        print("handled the value error")
except ExceptionGroup as rest:
    print(repr(rest))

# %% exception-notes
e = ValueError("bad value")
e.add_note("while reading line 3")
e.add_note("of file x")
try:
    raise e
except ValueError as caught:
    print(caught, caught.__notes__)

# %% error-suppress-and-stacks
from contextlib import suppress, ExitStack, closing, nullcontext, redirect_stdout
import io
with suppress(ZeroDivisionError):
    1 / 0
    print("not reached")
with redirect_stdout(io.StringIO()) as out:
    print("captured")
with ExitStack() as stack:
    stack.callback(print, "first in, last out")
    stack.callback(print, "last in, first out")
with closing(io.StringIO("x")) as f: pass
with nullcontext(5) as n: pass
out.getvalue(), f.closed, n

# %% context-manager-class
class Timer:
    def __enter__(self):
        print("enter")
        return self
    def __exit__(self, exc_type, exc, tb):
        print("exit", exc_type and exc_type.__name__, exc)
        return exc_type is ValueError
with Timer() as t:
    print("body")
with Timer():
    raise ValueError("swallowed")
try:
    with Timer():
        raise KeyError("passes")
except KeyError as e:
    print("caught", e)
type(t).__name__

# %% contextmanager-generator
from contextlib import contextmanager
@contextmanager
def tag(name):
    print(f"<{name}>")
    try:
        yield name.upper()
    except ValueError as e:
        print("inside:", e)
    finally:
        print(f"</{name}>")
with tag("b") as b, tag("i") as i:
    print(b + i)
    raise ValueError("oops")
@tag("div")
def wrapped(): print("decorated")
wrapped()

# %% with-parenthesised
import contextlib
with (
    contextlib.nullcontext(1) as a,
    contextlib.nullcontext([2, 3]) as (b, c),
):
    print(a, b, c)
with contextlib.nullcontext(): pass

# %% traceback-module
import traceback
def f(): g()
def g(): raise ValueError("deep")
try:
    f()
except ValueError as e:
    print([fr.name for fr in traceback.extract_tb(e.__traceback__)],
        [fr.lineno for fr in traceback.extract_tb(e.__traceback__)])
    print(traceback.format_exception_only(e))
    last = traceback.format_exc().splitlines()[-1]
    n = e.__traceback__.tb_lineno
last, n, [s.name for s in traceback.extract_stack()][-1:]

# %% traceback-print-exc
import traceback
def f():
    return [1, 2][3]
try:
    f()
except IndexError:
    traceback.print_exc()
print("done")

# %% sys-exc-info
import sys
try:
    raise OSError(2, "gone", "file.txt")
except OSError as e:
    t, v, tb = sys.exc_info()
    print(t.__name__, v, v.errno, v.filename, tb.tb_lineno, type(e) is FileNotFoundError)
sys.exc_info()

# %% warnings-to-stderr
import warnings
warnings.warn("be careful")
def old():
    warnings.warn("old() is old", DeprecationWarning, stacklevel=2)
old()
print("after")

# %% warnings-caught
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("one")
    warnings.warn("two", DeprecationWarning)
print([(str(w.message), w.category.__name__) for w in caught])
with warnings.catch_warnings():
    warnings.simplefilter("error")
    try:
        warnings.warn("raised", RuntimeWarning)
    except RuntimeWarning as e:
        print("raised:", e)
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=".*noise.*")
    warnings.warn("some noise here")

# %% warnings-once-per-line
import warnings
for i in range(3):
    warnings.warn("repeated")
warnings.simplefilter("ignore")
warnings.warn("silent")
len(warnings.filters) > 0

# %% syntax-warning
x = 5
if x is 5:
    print("same")

# %% invalid-escape-warning
path = "C:\dir"
path

# %% ends-zero-division
def ratio(a, b):
    return a / b
print("before")
ratio(1, 0)

# %% ends-name-error-suggestion
number = 3
print(numbr)

# %% ends-name-error-import-hint
math.sqrt(2)

# %% ends-attribute-error-suggestion
class Robot:
    name = "R2"
Robot().nam

# %% ends-attribute-error-on-value
text = "abc"
text.push("d")

# %% ends-attribute-error-on-none
import re
match = re.match("x", "abc")
match.group(0)

# %% ends-key-error
prices = {"tea": 3}
print(prices["tea"])
prices["coffee"]

# %% ends-index-error
items = [1, 2, 3]
for i in range(4):
    print(items[i])

# %% ends-type-error-add
"total: " + 5

# %% ends-type-error-call
x = 5
x()

# %% ends-type-error-arguments
class Account:
    def deposit(self, amount): ...
Account().deposit()

# %% ends-type-error-not-iterable
for x in 10:
    pass

# %% ends-type-error-subscript
def f(): pass
f[0]

# %% ends-value-error-int
int("12.5")

# %% ends-value-error-unpack
a, b = [1, 2, 3]

# %% ends-value-error-date
import datetime
datetime.date(2024, 2, 30)

# %% ends-unbound-local
total = 0
def add():
    total += 1
add()

# %% ends-recursion-error
def f(n):
    return f(n + 1)
f(0)

# %% ends-assertion-error
assert 1 + 1 == 3, "sums are hard"

# %% ends-assertion-without-text
assert []

# %% ends-stop-iteration
next(iter([]))

# %% ends-import-error
from math import squareroot

# %% ends-module-not-found
import definitely_not_installed

# %% ends-file-not-found
with open("missing.csv") as f:
    print(f.read())

# %% ends-unicode-error
b"\xff\xfe".decode("utf-8")

# %% ends-overflow-error
import math
math.exp(1000)

# %% ends-int-too-long
int("9" * 5000)

# %% ends-json-error
import json
json.loads('{"a": 1,}')

# %% ends-decimal-error
from decimal import Decimal
Decimal("abc")

# %% ends-custom-exception
class PaymentError(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code
raise PaymentError(402, "no money")

# %% ends-custom-exception-str
class Fancy(ValueError):
    def __str__(self): return "fancy text\non two lines"
raise Fancy("ignored")

# %% ends-bare-class
raise NotImplementedError

# %% ends-empty-message
raise ValueError

# %% ends-chained-cause
def load():
    try:
        return {}["config"]
    except KeyError as e:
        raise RuntimeError("could not load") from e
load()

# %% ends-chained-context
try:
    1 / 0
except ZeroDivisionError:
    undefined_name

# %% ends-from-none
try:
    1 / 0
except ZeroDivisionError:
    raise LookupError("clean") from None

# %% ends-exception-group
raise ExceptionGroup("two problems", [ValueError("first"), KeyError("second")])

# %% ends-nested-exception-group
def check(n):
    if n % 2: raise ValueError(f"odd {n}")
problems = []
for n in range(4):
    try:
        check(n)
    except ValueError as e:
        problems.append(e)
raise ExceptionGroup("checks", [ExceptionGroup("values", problems), TypeError("t")])

# %% ends-task-group
import asyncio
async def bad(n):
    raise ValueError(n)
async with asyncio.TaskGroup() as tg:
    tg.create_task(bad(1))
    tg.create_task(bad(2))

# %% ends-with-notes
e = ValueError("bad row")
e.add_note("row 17")
e.add_note("file data.csv")
raise e

# %% ends-in-class-body
class Broken:
    x = 1
    y = x / 0

# %% ends-in-comprehension
rows = ["1", "2", "three"]
[int(r) for r in rows]

# %% ends-in-lambda
sorted(["b", "a"], key=lambda s: s.missing)

# %% ends-in-generator
def gen():
    yield 1
    raise ValueError("in generator")
list(gen())

# %% ends-in-finally
try:
    print("try")
finally:
    [][0]

# %% ends-in-property
class A:
    @property
    def p(self): return self.q
A().p

# %% ends-in-coroutine
import asyncio
async def inner():
    await asyncio.sleep(0)
    return {}["x"]
async def outer():
    return await inner()
await outer()

# %% ends-in-callback
import functools
functools.reduce(lambda a, b: a / b, [1, 0])

# %% ends-in-exec
exec("a = 1\nb = a / 0")

# %% ends-in-eval-syntax
eval("1 +")

# %% ends-timeout
import asyncio
await asyncio.wait_for(asyncio.sleep(50), 0.005)

# %% ends-after-odd-separators
text = "one twothree"
print(len(text.splitlines()), len("ab"))
int("after them")

# %% ends-after-text-of-many-lines
text = """
def not_code():
    return 1
"""
value = (text
         .strip()
         .splitlines())
value[5]

# %% ends-on-multi-line-call
print(
    "a",
    int(
        "b"
    ),
)

# %% ends-unprintable
class Odd(Exception):
    def __str__(self): raise RuntimeError("no text")
raise Odd

# %% ends-repr-fails
class Bad:
    def __repr__(self): raise ValueError("no repr")
Bad()

# %% ends-repr-no-string
class Bad:
    def __repr__(self): return 5
Bad()

# %% ends-keyboard-interrupt-raised
raise KeyboardInterrupt

# %% ends-generator-exit
raise GeneratorExit("odd")

# %% ends-base-exception
class Stop(BaseException): pass
raise Stop("all")

# %% ends-not-an-exception
raise "text"

# %% ends-cancelled-error
import asyncio
raise asyncio.CancelledError("by hand")

# %% ends-frozen
import dataclasses
@dataclasses.dataclass(frozen=True)
class P: x: int
P(1).x = 2

# %% ends-abstract
import abc
class A(abc.ABC):
    @abc.abstractmethod
    def f(self): ...
A()

# %% ends-set-changed-size
d = {1: 1, 2: 2}
for k in d:
    d[k + 10] = 0

# %% ends-thread-pool-error
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as pool:
    pool.submit(int, "q").result()

# %% ends-sqlite-error
import sqlite3
sqlite3.connect(":memory:").execute("select * from nothing")

# %% ends-regex-error
import re
re.compile("(unclosed")

# %% ends-struct-error
import struct
struct.unpack("<I", b"abc")

# %% ends-os-error
raise PermissionError(13, "Permission denied", "/etc/x")

# %% exit-zero
import sys
print("before")
sys.exit(0)
print("never")

# %% exit-no-argument
import sys
sys.exit()

# %% exit-message
import sys
sys.exit("something went wrong")

# %% exit-code
raise SystemExit(3)

# %% exit-builtin
print("leaving")
exit()

# %% quit-builtin
quit(2)

# %% exit-in-function-with-finally
import sys
def main():
    try:
        sys.exit(5)
    finally:
        print("cleanup")
main()

# %% exit-caught
import sys
try:
    sys.exit(7)
except SystemExit as e:
    print("code", e.code)
"goes on"

# %% exit-in-coroutine
import asyncio, sys
async def main():
    print("in")
    sys.exit(4)
asyncio.run(main())

# %% syntax-missing-colon
if True
    print("x")

# %% syntax-unclosed
values = [1, 2,
print(values

# %% syntax-unterminated-string
name = "Ann
print(name)

# %% syntax-invalid
x = = 3

# %% syntax-comma-forgotten
d = {"a": 1 "b": 2}

# %% syntax-assign-in-condition
if x = 3:
    pass

# %% syntax-print-statement
print "hello"

# %% syntax-assign-to-literal
5 = x

# %% syntax-keyword
class = 3

# %% syntax-return-outside
return 5

# %% syntax-yield-outside
yield 1

# %% syntax-break-outside
if True:
    break

# %% syntax-await-in-sync
import asyncio
def f():
    await asyncio.sleep(0)

# %% syntax-nonlocal
def f():
    nonlocal x

# %% syntax-global-after-use
def f():
    x = 1
    global x

# %% syntax-duplicate-argument
def f(a, a): pass

# %% syntax-default-order
def f(a=1, b): pass

# %% syntax-positional-after-keyword
f(a=1, 2)

# %% syntax-star-target
*a = [1, 2]

# %% syntax-f-string
name = "x"
f"{name!z}"

# %% syntax-f-string-empty
f"{}"

# %% syntax-bad-character
x = 5 – 3

# %% syntax-null-in-text
eval("1\0")

# %% syntax-deep-nesting
eval("(" * 300 + ")" * 300)

# %% syntax-in-middle
print("this line never runs")
x = 1
def broken(:
    pass

# %% syntax-else-without-if
else:
    pass

# %% syntax-too-many-starred
a, *b, *c = [1, 2]

# %% syntax-from-future
from __future__ import braces

# %% syntax-triple-quotes
text = """never closed
print(text)

# %% syntax-multiple-exceptions
try:
    pass
except ValueError, KeyError as e:
    pass

# %% indentation-unexpected
x = 1
    y = 2

# %% indentation-expected
def f():
return 1

# %% indentation-unindent
if True:
        a = 1
    b = 2

# %% tab-error
if True:
        a = 1
	b = 2

# %% print-exc-through-the-library
import traceback, json
try:
    json.loads("{")
except ValueError:
    text = traceback.format_exc().splitlines()
text[0], text[1:3], text[-1], sum(line.startswith("  File") for line in text)

# %% print-exc-with-library-frames
import traceback, json
try:
    json.loads("{")
except ValueError:
    traceback.print_exc()

# %% format-exception-own-frames
import traceback
class E(Exception): pass
def f(n):
    if n == 0: raise E("bottom")
    f(n - 1)
try:
    f(2)
except E as e:
    lines = traceback.format_exception(e)
    summary = traceback.TracebackException.from_exception(e)
    print("".join(lines))
    print("".join(summary.format_exception_only()), summary.stack[-1].line, len(summary.stack))
    print("".join(traceback.format_list(traceback.extract_tb(e.__traceback__, limit=1))))

# %% excepthook-and-displayhook
import sys
try:
    1 / 0
except ZeroDivisionError:
    sys.excepthook(*sys.exc_info())
sys.displayhook("shown")
sys.displayhook(None)
"value"

# %% context-manager-order-of-exit
from contextlib import contextmanager, ExitStack
@contextmanager
def step(n):
    print("open", n)
    try:
        yield n
    except Exception as e:
        print("seen by", n, repr(e))
        raise RuntimeError(f"from {n}") from e
    finally:
        print("close", n)
with ExitStack() as stack:
    a = stack.enter_context(step(1))
    b = stack.enter_context(step(2))
    raise ValueError("start")

# %% exception-equality-and-state
e = ValueError("a", 1)
import copy, pickle
p = pickle.loads(pickle.dumps(e))
c = copy.copy(e)
try:
    raise e
except ValueError as x:
    same = x is e
e.with_traceback(None)
p.args, p == e, c.args, same, e.__traceback__, e.__context__

# %% ends-in-with-exit
class Bad:
    def __enter__(self): return self
    def __exit__(self, *a): raise RuntimeError("while closing")
with Bad():
    raise ValueError("first")

# %% ends-in-decorated
import functools
def check(f):
    @functools.wraps(f)
    def wrapper(*a):
        return f(*a)
    return wrapper
@check
def half(n): return n / 0
half(3)

# %% ends-in-long-recursion-of-two
def a(n): return b(n - 1)
def b(n): return a(n) if n else [][0]
a(6)

# %% ends-group-with-cause
try:
    raise ExceptionGroup("inner", [OSError(5, "io")])
except ExceptionGroup as g:
    raise ValueError("outer") from g

# %% ends-except-star-reraised
try:
    raise ExceptionGroup("g", [ValueError("v"), KeyError("k")])
except* KeyError:
    print("key handled")

# %% ends-except-star-new
try:
    raise ExceptionGroup("g", [ValueError("v")])
except* ValueError as eg:
    raise TypeError("instead")

# %% ends-module-attribute
import math
math.squareroot(4)

# %% ends-import-suggestion
from collections import Countr

# %% ends-self-missing
class A:
    def __init__(self): self.size = 1
    def show(self): return size
A().show()

# %% ends-method-without-self
class A:
    def f(): return 1
A().f()

# %% ends-wrong-keyword
def area(width, height): return width * height
area(width=1, heigth=2)

# %% ends-too-many-values-in-loop
for a, b in [(1, 2), (3, 4, 5)]:
    print(a, b)

# %% ends-unhashable
{[1, 2]: "x"}

# %% ends-string-index
"abc"["a"]

# %% ends-none-iteration
def find(): pass
for x in find(): pass

# %% ends-compare-types
sorted([1, "a", None])

# %% ends-await-non-awaitable
def f(): return 1
await f()

# %% ends-async-with-on-sync
import io
async with io.StringIO("x") as f:
    pass

# %% ends-async-for-on-list
async for x in [1, 2]:
    print(x)

# %% ends-coroutine-in-sync-with
async def f(): return 1
c = f()
c.close()
with c:
    pass

# %% ends-generator-raised-stop
def g():
    yield 1
    raise StopIteration
list(g())

# %% ends-property-setter
class A:
    @property
    def x(self): return 1
A().x = 2

# %% ends-enum-value
import enum
class Color(enum.Enum):
    RED = 1
Color("purple")

# %% ends-slots
class P:
    __slots__ = ("x",)
P().y = 1

# %% ends-format-code
f"{'text':d}"

# %% ends-percent-format
"%d items" % "three"

# %% ends-bytes-and-text
b"a" + "b"

# %% ends-negative-shift
1 << -1

# %% ends-complex-order
max(1j, 2)

# %% ends-csv-and-others
import csv
list(csv.DictReader(["a,b"], delimiter="too long"))

# %% ends-xml
import xml.etree.ElementTree as ET
ET.fromstring("<a><b></a>")

# %% ends-queue-empty
import queue
queue.Queue().get(timeout=0.01)

# %% ends-pickle
import pickle
pickle.loads(b"not a pickle")

# %% ends-locally-defined-pickle
import pickle
def f():
    class Local: pass
    return Local()
pickle.dumps(f())

# %% ends-dataclass-arguments
from dataclasses import dataclass
@dataclass
class P:
    x: int
    y: int
P(1)

# %% ends-super-init
class A:
    def __init__(self, x): self.x = x
class B(A):
    def __init__(self): super().__init__()
B()
'''
