"""Exceptions that are hard to report, and sources that are hard to compile."""

from __future__ import annotations

ATTEMPTS = r"""
### exit | SystemExit
sys.exit(7)

### exit with an object | SystemExit
raise SystemExit({"a": [object()]})

### exit in a thread | == 1
def out():
    raise SystemExit(9)
t = threading.Thread(target=out)
t.start()
t.join()
1

### exit in a task | SystemExit
async def out():
    sys.exit(3)
await asyncio.gather(out())

### quit | SystemExit or NameError
quit()

### Ctrl-C raised by the code | KeyboardInterrupt or stopped
raise KeyboardInterrupt("mine")

### cancellation raised by the code | CancelledError or stopped or KeyboardInterrupt
raise asyncio.CancelledError

### cancellation raised in a task | CancelledError or stopped or KeyboardInterrupt
async def c():
    raise asyncio.CancelledError
await c()

### GeneratorExit | GeneratorExit
raise GeneratorExit

### StopIteration | StopIteration
next(iter(()))

### StopAsyncIteration in a task | RuntimeError or StopAsyncIteration
async def c():
    raise StopAsyncIteration
await c()

### a BaseException of one's own | B
class B(BaseException):
    pass
raise B("x", object(), [1])

### an end of the block that the runtime uses | ends
raise sys.modules["tinyagent.sandbox.child.remote"].BlockEnded

### an exception whose text raises | ends
class E(Exception):
    def __str__(self):
        raise ValueError
    __repr__ = __str__
raise E("x")

### an exception whose text exits | ends
class E(Exception):
    def __str__(self):
        raise SystemExit
    __repr__ = __str__
raise E("x")

### an exception whose text never ends | stopped or killed
class E(Exception):
    def __str__(self):
        while True:
            pass
raise E("x")

### an exception whose text is no text | ends
class E(Exception):
    __str__ = lambda self: 7
raise E

### an exception of 100 MB | ends
raise ValueError("x" * 10**8)

### an exception of a million arguments | ValueError or stopped or killed
raise ValueError(*range(10**6))

### an exception of hostile arguments | ends
class S(str):
    def __str__(self):
        raise KeyboardInterrupt
    __len__ = __repr__ = __str__
raise ValueError(S("x"))

### an exception whose arguments are no tuple | ends
class E(Exception):
    args = 7
raise E

### an exception whose class lies | ends
class E(Exception):
    __class__ = property(lambda self: 1 / 0)
raise E

### an exception of a large name | ends
raise type("E" * 10**6, (Exception,), {})("x")

### an exception of a name of surrogates | ends
E = type("E", (Exception,), {})
E.__name__ = "\ud800\0"
E.__qualname__ = "x" * 10**6
E.__module__ = 7
raise E("\ud800")

### an exception of many bases | ends
bases = [type(f"E{n}", (Exception,), {}) for n in range(300)]
raise type("E", tuple(bases), {})

### an exception whose traceback is a ring | ends
try:
    1 / 0
except ZeroDivisionError as error:
    error.__context__ = ValueError("a")
    error.__context__.__context__ = error
    error.__cause__ = error.__context__
    raise

### an exception with notes | ends
error = ValueError("x")
error.__notes__ = ["n" * 10**6, 7, object()] * 10
raise error

### an exception with notes that raise | ends
class N:
    def __iter__(self):
        raise SystemExit
error = ValueError("x")
error.__notes__ = N()
raise error

### a chain of ten thousand exceptions | ends
error = None
for n in range(10_000):
    later = ValueError(n)
    later.__cause__ = error
    error = later
raise error

### exception groups ten thousand deep | ends
error = ValueError("x")
for _ in range(10_000):
    error = ExceptionGroup("g", [error])
raise error

### an exception group of ten thousand | ends
raise ExceptionGroup("g", [ValueError("x" * 1000) for _ in range(10_000)])

### a traceback a hundred thousand deep | ends
sys.setrecursionlimit(10**6)
def f(n):
    return f(n - 1) if n else 1 / 0
f(10**5)

### a traceback through generated files | ends
def f(n):
    exec(compile(f"f({n - 1})" if n else "1 / 0", f"<block {n}>" + "x" * 1000, "exec"), {"f": f})
f(100)

### a traceback of one line of ten megabytes | ends
exec(compile("1 / 0" + " " * 10**7, "<block 2>", "exec"))

### a syntax error | SyntaxError
def

### a syntax error of hostile fields | ends
error = SyntaxError("x")
error.lineno, error.offset, error.text, error.filename, error.end_lineno = "a", [], 7, object(), {}
raise error

### a syntax error on line ten million | ends
raise SyntaxError("x", ("<block 2>", 10**7, 10**9, "y" * 10**6))

### an import error of hostile fields | ends
error = ImportError("x")
error.name, error.name_from = object(), [7]
raise error

### a name error that suggests | NameError
globals().update({f"name{i}" * 10: 0 for i in range(3000)})
name_

### an attribute error that suggests | ends
class A:
    def __dir__(self):
        raise SystemExit(1)
A().nothing

### a Unicode error of hostile fields | ends
error = UnicodeDecodeError("utf-8", b"x", 0, 1, "why")
error.start, error.end, error.reason = 10**9, -5, object.__repr__(error)
raise error

### an operating system error of hostile fields | ends
error = OSError(1, "x", "y")
error.errno, error.filename, error.strerror = object(), [error], {}
raise error

### a raise of nothing | RuntimeError
raise

### a raise of a number | TypeError
raise 7

### an assertion | AssertionError
assert False, "x" * 10**6

### zeros in the source | SyntaxError or ValueError
eval("1\0 + 1")

### surrogates in the source | UnicodeEncodeError or ValueError or SyntaxError
eval("'\ud800'")

### a warning that is an error | ends
import warnings
warnings.simplefilter("error")
eval("1 is 1")
"""

#: Blocks as they are.
SOURCES = {
    "a source with zeros": "1\0",
    "a source of surrogates": "'\ud800'",
    "a source of a null byte and a comment": "#\0",
    "a source of a hundred thousand brackets": "[" * 100_000,
    "a source of deep indentation": "\n".join(" " * n + "if 1:" for n in range(110)) + "\n" + " " * 110 + "pass",
    "a source of a megabyte and a half": "x = 1\n" * 250_000,
    "a source of a long line": "x = " + "1 + " * 20_000 + "1",
    "a source of many blocks": "\n".join(f"def f{n}(): pass" for n in range(5_000)),
    "a source with form feeds and carriage returns": "x = 1\r\f\x0by = 2\r\n\u2028z = 3",
    "a source of another coding": "# -*- coding: utf-16 -*-\nx = 1",
    "a source of nothing": "",
    "a source of white space": "\n" * 100_000,
    "a source of tabs and spaces": "if 1:\n\tx = 1\n        y = 2",
    "a source with a byte order mark": "\ufeff1 + 1",
    "a source that returns": "return 1",
    "a source that yields": "yield 1",
    "a source that awaits": "await 1",
    "a source of names alike": "\uff41 = 1\nprint(a)",
    "a source that names the runtime's helpers": "__awaitable__ = __value__ = __awaited__ = None\necho(1)",
    "a source that starts with an ending": "'''\n" + "x" * 1000,
    "a source of a huge number": "9" * 100_000,
    "a source of a global statement": "global __builtins__\n__builtins__ = {}",
    "a source with a future": "from __future__ import nothing",
    "a source with stars": "*a, *b = 1, 2",
}
