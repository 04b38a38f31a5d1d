"""Snippets of several blocks, `# %%` between them, which share one namespace as the cells of a notebook do."""

CELLS = r"""
# %% names-live-on
import math
x = 3
def double(n): return n * 2
# %%
y = double(x) + math.floor(2.7)
# %%
x, y, sorted(k for k in globals() if k in ("x", "y", "double"))

# %% redefinition
def f(): return "old"
def g(): return f() + "!"
# %%
g()
# %%
def f(): return "new"
# %%
g()

# %% error-keeps-what-was-done
items = []
items.append("before")
count = 1
raise ValueError("stopped here")
count = 2
# %%
items, count
# %%
missing
# %%
items.append("after")
items

# %% classes-across-blocks
class Base:
    def hello(self): return "base"
b = Base()
# %%
class Child(Base):
    def hello(self): return super().hello() + " child"
# %%
import pickle
c = pickle.loads(pickle.dumps(Child()))
# %%
b.hello(), c.hello(), isinstance(c, Base), type(c) is Child

# %% syntax-error-runs-nothing
value = "first"
# %%
value = "second"
print("not printed"
# %%
value

# %% tasks-live-on
import asyncio
async def job(n):
    await asyncio.sleep(0)
    return n * 10
task = asyncio.create_task(job(4))
await asyncio.sleep(0)
# %%
task.done(), await task
# %%
queue = asyncio.Queue()
await queue.put("kept")
# %%
queue.qsize(), await queue.get()

# %% event-loop-and-run
import asyncio
async def one(): return 1
await one()
# %%
asyncio.run(one())
# %%
print(asyncio.run(one()))
# %%
await one() + 1

# %% async-generator-across-blocks
async def numbers():
    for i in range(5):
        yield i
gen = numbers()
first = await anext(gen)
# %%
[first] + [i async for i in gen]

# %% generator-across-blocks
def numbers():
    n = 0
    while True:
        n += 1
        yield n
gen = numbers()
next(gen)
# %%
next(gen), next(gen)
# %%
gen.close()
next(gen, "closed")

# %% exit-and-go-on
import sys
x = 1
sys.exit("leaving")
# %%
x

# %% recursion-error-then-fine
def f(n): return f(n + 1)
f(0)
# %%
"still here"

# %% traceback-through-blocks
def ratio(a, b):
    # what it says
    return a / b
# %%
def use(n):
    return ratio(n, 0)
# %%
print("now")
use(3)
# %%
import traceback
try:
    use(4)
except ZeroDivisionError as e:
    print([(f.lineno, f.name, f.line) for f in traceback.extract_tb(e.__traceback__)])

# %% files-live-on
with open("state.txt", "w") as f:
    f.write("one\n")
# %%
with open("state.txt", "a") as f:
    f.write("two\n")
# %%
open("state.txt").read().split()

# %% imports-live-on
from collections import Counter as C
import datetime as dt
# %%
C("aab").most_common(1), dt.timedelta(1)
# %%
del C
# %%
C

# %% future-annotations-live-on
from __future__ import annotations
# %%
def f(x: Undefined) -> AlsoUndefined: ...
f.__annotations__

# %% annotations-of-the-module
x: int = 1
# %%
y: str = "s"
x, y

# %% closures-and-globals
counter = 0
def bump():
    global counter
    counter += 1
    return counter
# %%
bump(); bump()
# %%
counter = 100
bump()

# %% threads-across-blocks
import threading, queue
q, out = queue.Queue(), []
def work():
    while (n := q.get()) is not None:
        out.append(n * n)
t = threading.Thread(target=work)
t.start()
for n in range(3): q.put(n)
# %%
q.put(None)
t.join()
out

# %% random-state-across-blocks
import random
random.seed(3)
# %%
random.randint(1, 1000)
# %%
random.randint(1, 1000), random.random()

# %% database-across-blocks
import sqlite3
db = sqlite3.connect(":memory:")
db.execute("create table t (n)")
# %%
db.executemany("insert into t values (?)", [(1,), (2,), (3,)]).rowcount
# %%
db.execute("select sum(n) from t").fetchone()

# %% dataclass-then-json
from dataclasses import dataclass, asdict
@dataclass
class Todo:
    title: str
    done: bool = False
todos = [Todo("a"), Todo("b", True)]
# %%
import json
text = json.dumps([asdict(t) for t in todos])
print(text)
# %%
[Todo(**d) for d in json.loads(text)] == todos

# %% output-of-each-block
print("one")
# %%
print("two", end="")
# %%
print("three")
"value"
# %%
pass

# %% stdout-replaced
import sys, io
kept, sys.stdout = sys.stdout, io.StringIO()
print("hidden")
captured = sys.stdout.getvalue()
sys.stdout = kept
print("shown")
# %%
print("still shown")
captured

# %% text-wrapper-around-stdout
import sys, io
out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", line_buffering=True, write_through=True)
print("wrapped é", file=out)
_ = out.detach()
# %%
print("still there")

# %% logging-configured-in-one-block
import logging, sys
logging.basicConfig(level="DEBUG", format="%(levelname)s %(message)s", stream=sys.stdout, force=True)
logging.debug("first")
# %%
logging.getLogger("later").info("second")
# %%
logging.basicConfig(level="ERROR", format="%(message)s!", stream=sys.stdout, force=True)
logging.info("hidden")
logging.error("third")

# %% logging-default-in-two-blocks
import logging
logging.warning("first")
# %%
logging.warning("second")

# %% warning-of-each-block
import warnings
def old(): warnings.warn("old", DeprecationWarning, stacklevel=2)
old()
# %%
old()
x = 1

old()

# %% name-error-then-defined
print(total)
# %%
total = 5
# %%
print(total)

# %% half-of-a-block
a = 1
def f(): return a
a = 2
int("x")
a = 3
# %%
a, f()

# %% decimal-context-lives-on
from decimal import Decimal, getcontext
getcontext().prec = 5
# %%
Decimal(1) / 3
# %%
await __import__("asyncio").sleep(0)
Decimal(2) / 3

# %% context-variable-lives-on
import contextvars
v = contextvars.ContextVar("v", default="none")
v.set("set")
# %%
v.get()

# %% many-small-blocks
n = 0
# %%
n += 1; n
# %%
n += 1; n
# %%
n += 1; n
# %%
n += 1; n
# %%
[n, "end"]

# %% blocks-with-blank-lines-and-comments

# a comment first


x = 1

# %%


raise ValueError("on line 3")

# %% mutable-default-across-blocks
def remember(x, seen=[]):
    seen.append(x)
    return seen
# %%
remember(1)
# %%
remember(2), remember.__defaults__

# %% await-then-sync-then-await
import asyncio
async def get(n):
    await asyncio.sleep(0)
    return n
total = await get(1)
# %%
total += 10
# %%
total += await get(100)
total
# %%
asyncio.run(get(total))

# %% lock-shared-by-blocks
import asyncio
lock, log = asyncio.Lock(), []
async def use(name):
    async with lock:
        log.append(name)
        await asyncio.sleep(0)
await use("a")
# %%
await asyncio.gather(use("b"), use("c"))
log

# %% background-task-goes-on
import asyncio
ticks = []
async def tick():
    while True:
        ticks.append(len(ticks))
        await asyncio.sleep(0)
task = asyncio.create_task(tick())
await asyncio.sleep(0)
# %%
before = len(ticks)
await asyncio.sleep(0)
await asyncio.sleep(0)
len(ticks) > before
# %%
task.cancel()
await asyncio.gather(task, return_exceptions=True)
task.cancelled()
"""
