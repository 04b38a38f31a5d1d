"""Attempts to go beyond threads, descriptors, stacks and blocks, and what the host does in the middle of them."""

from __future__ import annotations

ATTEMPTS = r"""
### threads without end | RuntimeError or MemoryError or stopped or killed
threading.stack_size(65536)
while True:
    threading.Thread(target=time.sleep, args=(99,), daemon=True).start()

### threads that start threads | ends
def more():
    while True:
        try:
            threading.Thread(target=more, daemon=True).start()
        except RuntimeError:
            time.sleep(0.01)
more()

### threads below the threading module | ends
import _thread
started = 0
try:
    while started < 5000:
        _thread.start_new_thread(time.sleep, (99,))
        started += 1
except RuntimeError:
    pass
started < 5000

### as many threads as limits.threads and no more | ends
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(1000) as pool:
    list(pool.map(lambda _: time.sleep(0.01), range(1000)))

### a thread that outlives the block | == "left"
def spin():
    while True:
        pass
threading.Thread(target=spin, daemon=True).start()
"left"

### a thread that prints between blocks | == "left"
def spin():
    while True:
        print("between")
threading.Thread(target=spin, daemon=True).start()
"left"

### a thread that calls tools between blocks | == "left"
def spin():
    while True:
        try:
            tally()
        except Exception:
            pass
threading.Thread(target=spin, daemon=True).start()
"left"

### a task left behind | == "left"
async def later():
    while True:
        await asyncio.sleep(0)
task = asyncio.get_event_loop().create_task(later()) if False else asyncio.ensure_future(later())
await asyncio.sleep(0)
"left"

### a timer that rings between blocks | == "left"
signal.signal(signal.SIGALRM, lambda *_: print("ring"))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
"left"

### a timer that kills between blocks | == "left" or killed | tampers
signal.setitimer(signal.ITIMER_REAL, 0.03)
"left"

### pipes without end | OSError
ends = [os.pipe() for _ in range(10_000)]

### copies of a descriptor without end | OSError
ends = [os.dup(3) for _ in range(10_000)]

### socketpairs without end | OSError
ends = [socket.socketpair() for _ in range(10_000)]

### event loops without end | OSError
ends = [asyncio.new_event_loop() for _ in range(10_000)]

### epolls without end | OSError
ends = [select.epoll() for _ in range(10_000)]

### event descriptors without end | OSError
ends = [os.eventfd(0) for _ in range(10_000)]

### a descriptor of a high number | OSError
os.dup2(3, 1_000_000)

### pipes full of data | OSError
kept = []
while True:
    inward, outward = os.pipe()
    kept.append(inward)
    os.set_blocking(outward, False)
    while True:
        try:
            os.write(outward, bytes(65536))
        except BlockingIOError:
            break

### epolls inside epolls | ends
polls = [select.epoll() for _ in range(8)]
for one in polls:
    for other in polls:
        try:
            one.register(other, select.EPOLLIN)
        except OSError:
            pass

### a code object of nonsense | ends
def f():
    pass
f.__code__ = f.__code__.replace(co_code=b"\xff\xff" * 99, co_stacksize=0)
f()

### recursion | RecursionError
def f():
    return f()
f()

### recursion without a limit | killed or RecursionError or MemoryError or stopped
sys.setrecursionlimit(10**9)
def f():
    return f()
f()

### recursion in C without a limit | killed or RecursionError or MemoryError or stopped
sys.setrecursionlimit(10**9)
class R:
    def __repr__(self):
        return repr(self)
    __str__ = __repr__
str(R())

### recursion in C of other kinds | killed or RecursionError or MemoryError or stopped
sys.setrecursionlimit(10**9)
class R:
    def __getattr__(self, name):
        return getattr(self, name + "x")
    def __call__(self):
        return self.y
R()()

### nested lists without a limit | killed or RecursionError or MemoryError or stopped
sys.setrecursionlimit(10**9)
x = []
for _ in range(10**6):
    x = [x]
repr(x)

### nested brackets compiled | SyntaxError or MemoryError or RecursionError or killed
eval("[" * 100_000 + "]" * 100_000)

### nested attributes compiled | SyntaxError or MemoryError or RecursionError or killed
compile("a" + ".b" * 1_000_000, "x", "eval")

### nested unary operators compiled | SyntaxError or MemoryError or RecursionError or killed
eval("-" * 1_000_000 + "1")

### nested types | ends
x = int
for _ in range(10_000):
    x = list[x]
str(x)

### a chain of destructors | ends
class Node:
    pass
head = None
for _ in range(500_000):
    node = Node()
    node.next, head = head, node
del head, node

### a chain of tees | ends
import itertools
x = iter([])
for _ in range(200_000):
    x, = itertools.tee(x, 1)
del x

### a stack frame of a million locals | ends
names = ",".join(f"a{i}" for i in range(20_000))
exec(f"def f({names}): return a0\nf(*range(20_000))")

### a call of a million arguments | ends
print(*range(100_000))

### a block of a megabyte of names | ends
globals().update({f"n{i}": i for i in range(100_000)})
vars().update({("x" * 100_000): 1, 1: 2, None: 3})

### a pool that never shuts down | ends
import concurrent.futures
pool = concurrent.futures.ThreadPoolExecutor(4)
[pool.submit(time.sleep, 99) for _ in range(4)]

### code for when the interpreter ends | == None
import atexit
atexit.register(lambda: [None for _ in iter(int, 1)]) and None

### a swallowed interrupt while the host cancels | ends | meddle=cancel seconds=20
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass

### a loop while the host cancels | ends | meddle=cancel seconds=20
while True:
    pass

### an await while the host cancels | ends | meddle=cancel seconds=20
await asyncio.sleep(60)

### tools in flight while the host cancels | ends | meddle=cancel seconds=20
await asyncio.gather(*[nap(60) for _ in range(6)])

### a loop while the host interrupts | ends | meddle=interrupt seconds=20
while True:
    pass

### a deaf loop while the host interrupts | ends | meddle=interrupt seconds=20
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    pass

### a stopped process while the host interrupts | ends | meddle=interrupt seconds=20
signal.raise_signal(signal.SIGSTOP)

### a loop while the host closes | ends | meddle=close seconds=20
while True:
    pass

### a deaf loop while the host closes | ends | meddle=close seconds=20
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True:
    pass

### a stopped process while the host closes | ends | meddle=close seconds=20
signal.raise_signal(signal.SIGSTOP)

### tools in flight while the host closes | ends | meddle=close seconds=20
await asyncio.gather(*[nap(60) for _ in range(6)])

### a flood of calls while the host closes | ends | meddle=close seconds=20
while True:
    try:
        echo("x" * 1000)
    except Exception:
        pass

### a flood of output while the host closes | ends | meddle=close seconds=20
while True:
    print("x" * 1000)
"""
