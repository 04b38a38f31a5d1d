"""Snippets: coroutines as in a notebook, threads, queues, context variables."""

CELLS = r"""
# %% await-at-top
import asyncio
async def add(a, b):
    await asyncio.sleep(0)
    return a + b
print(await add(1, 2))
await add("x", "y")

# %% await-in-expressions
import asyncio
async def value(x):
    await asyncio.sleep(0)
    return x
values = [await value(i) for i in range(3)]
d = {k: await value(k * 2) for k in "ab"}
if await value(True) and (n := await value(5)) > 3:
    print("n is", n)
for x in await value([1, 2]):
    print(x)
f"{await value('formatted'):>12}", values, d

# %% asyncio-run
import asyncio
async def main():
    await asyncio.sleep(0.001)
    print("in main")
    return 42
asyncio.run(main())

# %% asyncio-run-twice
import asyncio
async def main(n):
    return n, asyncio.get_running_loop().is_running()
print(asyncio.run(main(1)))
print(asyncio.run(main(2)))
asyncio.run(main(3), debug=False)

# %% asyncio-run-raises
import asyncio
async def main():
    await asyncio.sleep(0)
    raise ValueError("inside")
try:
    asyncio.run(main())
except ValueError as e:
    print("caught", e)
asyncio.run(main())

# %% asyncio-main-guard
import asyncio
async def main():
    results = await asyncio.gather(*(step(i) for i in range(3)))
    print(results)
async def step(i):
    await asyncio.sleep(0.003 - i / 1000)
    return i * i
if __name__ == "__main__":
    asyncio.run(main())

# %% loop-run-until-complete
import asyncio
async def work(): return "done"
loop = asyncio.new_event_loop()
try:
    result = loop.run_until_complete(work())
finally:
    loop.close()
result, loop.is_closed()

# %% asyncio-runner
import asyncio
async def get(x): return x
with asyncio.Runner() as runner:
    print(runner.run(get(1)), runner.run(get(2)))
runner.get_loop

# %% gather-order
import asyncio
async def job(name, delay):
    print("start", name)
    await asyncio.sleep(delay)
    print("end", name)
    return name
await asyncio.gather(job("slow", 0.2), job("fast", 0), job("middle", 0.1))

# %% gather-exceptions
import asyncio
async def fail(n):
    await asyncio.sleep(0)
    if n % 2: raise ValueError(f"odd {n}")
    return n
results = await asyncio.gather(*map(fail, range(4)), return_exceptions=True)
try:
    await asyncio.gather(fail(0), fail(1))
except ValueError as e:
    print("raised", e)
results

# %% task-group
import asyncio
async def job(n):
    await asyncio.sleep(0)
    return n * 2
async with asyncio.TaskGroup() as tg:
    tasks = [tg.create_task(job(i), name=f"job-{i}") for i in range(3)]
print([t.get_name() for t in tasks])
[t.result() for t in tasks]

# %% task-group-errors
import asyncio
async def bad(e):
    await asyncio.sleep(0)
    raise e
async def patient():
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        print("cancelled")
        raise
try:
    async with asyncio.TaskGroup() as tg:
        tg.create_task(patient())
        tg.create_task(bad(ValueError("v")))
        tg.create_task(bad(KeyError("k")))
except* ValueError as eg:
    print("values", eg.exceptions)
except* KeyError as eg:
    print("keys", eg.exceptions)

# %% create-task-and-await
import asyncio
order = []
async def job(n):
    order.append(f"start {n}")
    await asyncio.sleep(0)
    order.append(f"end {n}")
    return n
t1 = asyncio.create_task(job(1))
t2 = asyncio.ensure_future(job(2))
order.append("created")
await t2, await t1, t1.done(), order

# %% async-timeout
import asyncio
try:
    async with asyncio.timeout(0.01):
        await asyncio.sleep(50)
except TimeoutError as e:
    print("timed out", repr(e))
try:
    await asyncio.wait_for(asyncio.sleep(50), timeout=0.01)
except asyncio.TimeoutError:
    print("wait_for timed out")
await asyncio.wait_for(asyncio.sleep(0, "in time"), 50)

# %% asyncio-queue
import asyncio
async def producer(q):
    for i in range(4):
        await q.put(i)
        print("put", i, q.qsize())
    await q.put(None)
async def consumer(q):
    got = []
    while (item := await q.get()) is not None:
        got.append(item)
        q.task_done()
    return got
q = asyncio.Queue(maxsize=2)
(await asyncio.gather(producer(q), consumer(q)))[1]

# %% asyncio-queue-workers
import asyncio
async def worker(name, q, results):
    while True:
        n = await q.get()
        await asyncio.sleep(0)
        results.append(n * n)
        q.task_done()
q, results = asyncio.Queue(), []
for n in range(6): q.put_nowait(n)
workers = [asyncio.create_task(worker(f"w{i}", q, results)) for i in range(2)]
await q.join()
for w in workers: w.cancel()
done = await asyncio.gather(*workers, return_exceptions=True)
sorted(results), [type(d).__name__ for d in done]

# %% asyncio-priority-queues
import asyncio
p, l = asyncio.PriorityQueue(), asyncio.LifoQueue()
for n in (3, 1, 2):
    await p.put((n, f"job {n}"))
    await l.put(n)
try:
    asyncio.Queue(1).get_nowait()
except asyncio.QueueEmpty as e:
    print(repr(e))
[await p.get() for _ in range(3)], [await l.get() for _ in range(3)]

# %% asyncio-semaphore
import asyncio
running = peak = 0
async def job(i, sem):
    global running, peak
    async with sem:
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.001)
        running -= 1
    return i
sem = asyncio.Semaphore(3)
results = await asyncio.gather(*(job(i, sem) for i in range(10)))
results, peak, sem.locked()

# %% asyncio-lock-event-condition
import asyncio
lock, event, log = asyncio.Lock(), asyncio.Event(), []
async def critical(n):
    async with lock:
        log.append(("in", n))
        await asyncio.sleep(0)
        log.append(("out", n))
async def waiter():
    await event.wait()
    return "released"
w = asyncio.create_task(waiter())
await asyncio.gather(critical(1), critical(2))
event.set()
print(log)
await w, lock.locked(), event.is_set()

# %% asyncio-to-thread
import asyncio, threading
def blocking(n, *, scale=1):
    return n * scale, threading.current_thread() is threading.main_thread()
await asyncio.gather(*(asyncio.to_thread(blocking, i, scale=10) for i in range(3)))

# %% run-in-executor
import asyncio
from concurrent.futures import ThreadPoolExecutor
async def main():
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(2) as pool:
        a = await loop.run_in_executor(pool, pow, 2, 10)
    return a, await loop.run_in_executor(None, len, "four")
await main()

# %% as-completed
import asyncio
async def job(d):
    await asyncio.sleep(d)
    return d
got = []
for c in asyncio.as_completed([job(0.2), job(0.0), job(0.1)]):
    got.append(await c)
got

# %% asyncio-wait
import asyncio
async def job(d):
    await asyncio.sleep(d)
    if d == 0: raise ValueError("zero")
    return d
tasks = [asyncio.create_task(job(d), name=str(d)) for d in (0, 0.2, 50)]
done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
print([t.get_name() for t in done], [str(t.exception()) for t in done])
done, pending = await asyncio.wait(tasks[:2])
print(sorted(t.get_name() for t in done), pending, tasks[2].cancel())
done, pending = await asyncio.wait(tasks[2:], timeout=5)
[t.cancelled() for t in done], pending

# %% cancel-a-task
import asyncio
async def long():
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError as e:
        print("cancelling", e.args)
        raise
    finally:
        print("finally")
t = asyncio.create_task(long())
await asyncio.sleep(0)
t.cancel("enough")
try:
    await t
except asyncio.CancelledError:
    print("cancelled:", t.cancelled())
t.done()

# %% shield-and-future
import asyncio
gate = asyncio.Event()
async def job():
    await gate.wait()
    return "survived"
inner = asyncio.create_task(job())
try:
    await asyncio.wait_for(asyncio.shield(inner), 0.001)
except TimeoutError:
    print("outer timed out", inner.cancelled())
gate.set()
f = asyncio.get_running_loop().create_future()
asyncio.get_running_loop().call_soon(f.set_result, "set")
await inner, await f

# %% async-generators
import asyncio
async def ticker(n):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        print("closed")
async for i in ticker(3):
    print(i)
squares = [i * i async for i in ticker(3) if i]
gen = ticker(5)
print(await anext(gen), await gen.__anext__(), await anext(aiter(gen)))
await gen.aclose()
squares, {i async for i in ticker(2)}, await anext(gen, "default")

# %% async-generator-send
async def echo():
    received = None
    while True:
        received = yield received
        if received == "stop":
            return
        received = f"got {received}"
g = echo()
await g.asend(None)
print(await g.asend(1), await g.asend("x"))
try:
    await g.asend("stop")
except StopAsyncIteration as e:
    print(repr(e))

# %% async-for-else-and-break
class Counter:
    def __init__(self, n): self.n, self.i = n, 0
    def __aiter__(self): return self
    async def __anext__(self):
        if self.i >= self.n: raise StopAsyncIteration
        self.i += 1
        return self.i
async for i in Counter(5):
    if i == 2: continue
    if i == 4: break
    print(i)
else:
    print("not reached")
async for i in Counter(1):
    pass
else:
    print("else reached")
i

# %% async-context-manager
from contextlib import asynccontextmanager, AsyncExitStack
class Conn:
    def __init__(self, name): self.name = name
    async def __aenter__(self): print("open", self.name); return self
    async def __aexit__(self, t, v, tb): print("close", self.name, t and t.__name__); return t is KeyError
@asynccontextmanager
async def session(n):
    print("enter", n)
    try:
        yield n * 2
    finally:
        print("exit", n)
async with Conn("a") as a, session(21) as s:
    print(a.name, s)
    raise KeyError("swallowed")
async with AsyncExitStack() as stack:
    values = [await stack.enter_async_context(session(i)) for i in range(2)]
values

# %% awaitable-objects
class Later:
    def __init__(self, v): self.v = v
    def __await__(self):
        yield
        return self.v
import asyncio, inspect
await Later("value"), inspect.isawaitable(Later(1)), asyncio.iscoroutine(Later(1))

# %% coroutine-objects
import inspect
async def f(): return 1
c = f()
print(type(c).__name__, inspect.iscoroutine(c), inspect.iscoroutinefunction(f), c.__name__)
try:
    c.send(None)
except StopIteration as e:
    print("stopped with", e.value)
try:
    await c
except RuntimeError as e:
    print(e)

# %% forgotten-await
import asyncio
async def fetch(n):
    return n
result = fetch(1)
print(type(result).__name__)
try:
    result + 1
except TypeError as e:
    print(e)
await result

# %% never-awaited-warning
async def fetch():
    return 1
fetch()
print("after")

# %% async-lambda-and-comprehension
import asyncio
async def twice(x):
    await asyncio.sleep(0)
    return 2 * x
later = lambda x: twice(x)
async def main():
    return [y async for y in (await twice(x) for x in range(3))], sum([await t for t in [later(1), later(2)]])
await main()

# %% async-decorator
import asyncio, functools
def retry(times):
    def deco(f):
        @functools.wraps(f)
        async def wrapper(*a):
            for i in range(times):
                try:
                    return await f(*a)
                except ConnectionError as e:
                    print("retry", i, e)
                    await asyncio.sleep(0)
        return wrapper
    return deco
attempts = []
@retry(5)
async def fetch(url):
    attempts.append(url)
    if len(attempts) < 3: raise ConnectionError("reset")
    return f"body of {url}"
await fetch("http://x")

# %% callbacks-and-call-later
import asyncio
log = []
async def main():
    loop = asyncio.get_running_loop()
    later = loop.create_future()
    handle = loop.call_later(0.002, later.set_result, "later")
    loop.call_later(60, log.append, "never").cancel()
    loop.call_soon(log.append, "soon")
    t = asyncio.create_task(asyncio.sleep(0, "r"))
    t.add_done_callback(lambda t: log.append(t.result()))
    await t
    return log, await later, handle.cancelled()
await main()

# %% current-task
import asyncio
async def who():
    return asyncio.current_task().get_name()
await asyncio.gather(asyncio.create_task(who(), name="one"), asyncio.create_task(who(), name="two"))

# %% exception-in-task
import asyncio
async def broken():
    return [1, 2, 3][5]
t = asyncio.create_task(broken())
await asyncio.sleep(0)
print(t.done(), repr(t.exception()))
await t

# %% top-level-async-with-uncaught
import asyncio
async with asyncio.TaskGroup() as tg:
    tg.create_task(asyncio.sleep(0))
    tg.create_task(asyncio.to_thread(int, "x"))

# %% await-outside-function-as-name
def f():
    import asyncio
    return asyncio.run(g())
async def g(): return "from a sync function"
f()

# %% contextvars
import asyncio, contextvars
user = contextvars.ContextVar("user", default="nobody")
async def handle(name):
    user.set(name)
    await asyncio.sleep(0)
    return user.get()
print(await asyncio.gather(handle("a"), handle("b")), user.get())
token = user.set("root")
ctx = contextvars.copy_context()
ctx.run(user.set, "inside")
user.reset(token)
user.get(), ctx[user], token.var is user

# %% threads-basic
import threading
results, lock = [], threading.Lock()
def work(n):
    with lock:
        results.append(n * n)
threads = [threading.Thread(target=work, args=(i,), name=f"t{i}") for i in range(5)]
for t in threads: t.start()
for t in threads: t.join()
sorted(results), threads[0].name, threads[0].is_alive(), threading.current_thread().name

# %% thread-exception
import threading
def hook(args): print("thread failed:", args.exc_type.__name__, args.exc_value)
threading.excepthook = hook
t = threading.Thread(target=lambda: 1 / 0)
t.start(); t.join()
t.is_alive()

# %% thread-synchronisation
import threading
event, barrier, log = threading.Event(), threading.Barrier(3), []
sem, local = threading.Semaphore(2), threading.local()
local.x = "main"
def work(i):
    local.x = i
    barrier.wait(5)
    event.wait(5)
    with sem:
        log.append((i, local.x))
ts = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(2)]
for t in ts: t.start()
barrier.wait(5)
event.set()
for t in ts: t.join(5)
sorted(log), local.x, threading.active_count()

# %% thread-timer-and-condition
import threading
done, items, cond = [], [], threading.Condition()
timer = threading.Timer(0.001, done.append, ["fired"])
timer.start(); timer.join()
def consumer():
    with cond:
        cond.wait_for(lambda: items, 5)
        done.append(items.pop())
t = threading.Thread(target=consumer)
t.start()
with cond:
    items.append("item")
    cond.notify_all()
t.join(5)
done

# %% print-from-threads
import threading
def say(n): print("thread", n)
for i in range(3):
    t = threading.Thread(target=say, args=(i,))
    t.start(); t.join()

# %% queue-module
import queue, threading
q, out = queue.Queue(maxsize=2), []
def consume():
    while (x := q.get()) is not None:
        out.append(x)
        q.task_done()
    q.task_done()
t = threading.Thread(target=consume)
t.start()
for i in range(5): q.put(i)
q.put(None)
q.join(); t.join()
pq = queue.PriorityQueue()
for n in (3, 1, 2): pq.put(n)
try:
    queue.Queue().get_nowait()
except queue.Empty as e:
    print(repr(e))
out, [pq.get() for _ in range(3)], queue.SimpleQueue().empty()

# %% thread-pool
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
def square(n):
    if n == 3: raise ValueError("three")
    return n * n
with ThreadPoolExecutor(max_workers=4) as pool:
    print(list(pool.map(square, [1, 2, 4])))
    futures = {pool.submit(square, n): n for n in range(5)}
    done = {}
    for f in as_completed(futures):
        done[futures[f]] = repr(f.exception()) if f.exception() else f.result()
dict(sorted(done.items()))

# %% future-object
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError, CancelledError
f = Future()
f.add_done_callback(lambda f: print("done with", f.result()))
print(f.running(), f.done())
f.set_result(5)
g = Future()
print(g.cancel(), g.cancelled())
try:
    g.result()
except CancelledError as e:
    print(repr(e))
f.result(), f

# %% sched
import sched
now = [0.0]
def advance(d): now[0] += d
s = sched.scheduler(lambda: now[0], advance)
log = []
s.enter(5, 1, log.append, ("five",))
s.enter(1, 2, log.append, ("one, low",))
s.enter(1, 1, log.append, ("one, high",))
e = s.enter(9, 1, log.append, ("never",))
s.cancel(e)
s.run()
log, now, s.empty()

# %% time-module
import time
a = time.perf_counter()
time.sleep(0.002)
print(time.perf_counter() - a >= 0.002, time.monotonic() > 0, time.time() > 1.7e9, time.time_ns() > 0)
print(time.gmtime(0)[:6], time.strftime("%Y-%m-%d %H:%M", time.gmtime(86400)))
time.mktime(time.strptime("2024-03-01", "%Y-%m-%d")) > 0, time.strptime("5 Mar 2021", "%d %b %Y").tm_yday

# %% iter-sync-in-async
import asyncio
async def main():
    async def inner(x): return x
    total = 0
    for x in (await inner(range(4))):
        total += await inner(x)
    try:
        return total
    finally:
        print("finally", await inner("awaited"))
await main()

# %% async-task-factory-names
import asyncio
async def job(): await asyncio.sleep(0)
t = asyncio.create_task(job(), name="named")
print(t.get_name(), t.get_coro().__name__, len(asyncio.all_tasks()) >= 2)
await t
t.cancelled(), t.result()

# %% eager-results-pattern
import asyncio
urls = ["a", "bb", "ccc"]
async def fetch(u):
    await asyncio.sleep(0.001 * (4 - len(u)))
    return {"url": u, "size": len(u)}
results = await asyncio.gather(*[fetch(u) for u in urls])
by_url = {r["url"]: r["size"] for r in results}
print(by_url)
max(by_url, key=by_url.get)

# %% nested-loops-of-tasks
import asyncio
async def leaf(x):
    await asyncio.sleep(0)
    return x
async def branch(n):
    return sum(await asyncio.gather(*(leaf(i) for i in range(n))))
async def tree():
    async with asyncio.TaskGroup() as g:
        ts = [g.create_task(branch(n)) for n in (2, 3, 4)]
    return [t.result() for t in ts]
await tree()

# %% run-in-a-thread-of-its-own
import asyncio, threading
async def main(n):
    await asyncio.sleep(0)
    return n * 2
results = []
t = threading.Thread(target=lambda: results.append(asyncio.run(main(21))))
t.start(); t.join()
results

# %% run-in-a-thread-beside-the-loop
import asyncio
async def main(n):
    await asyncio.sleep(0)
    return n + 1
def in_thread(n): return asyncio.run(main(n))
await asyncio.gather(asyncio.to_thread(in_thread, 1), asyncio.to_thread(in_thread, 2), main(10))

# %% run-coroutine-threadsafe
import asyncio, threading
async def double(x):
    await asyncio.sleep(0)
    return x * 2
async def main():
    loop, done = asyncio.get_running_loop(), []
    def worker():
        done.append(asyncio.run_coroutine_threadsafe(double(4), loop).result(5))
        loop.call_soon_threadsafe(done.append, "called")
    await asyncio.to_thread(worker)
    await asyncio.sleep(0)
    return done
asyncio.run(main())

# %% get-event-loop-in-a-script
import asyncio
async def main():
    await asyncio.sleep(0)
    return "old style"
loop = asyncio.get_event_loop()
loop.run_until_complete(main()), loop.run_until_complete(asyncio.gather(main(), main()))

# %% set-event-loop
import asyncio
async def main(): return asyncio.get_running_loop() is loop
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
try:
    print(loop.run_until_complete(main()))
finally:
    loop.close()
    asyncio.set_event_loop(asyncio.new_event_loop())
loop.is_closed()

# %% asyncio-barrier-and-bounded-semaphore
import asyncio
async def party(b, n):
    position = await b.wait()
    return n, position < 3
b = asyncio.Barrier(3)
print(await asyncio.gather(*(party(b, i) for i in range(3))))
s = asyncio.BoundedSemaphore(1)
try:
    s.release()
except ValueError as e:
    print(e)
c = asyncio.Condition()
async with c:
    c.notify_all()
c.locked()

# %% asyncio-timeout-details
import asyncio
async with asyncio.timeout(None) as t:
    t.reschedule(asyncio.get_running_loop().time() + 50)
    print(t.expired(), t.when() is not None)
try:
    async with asyncio.timeout_at(asyncio.get_running_loop().time() - 1):
        await asyncio.sleep(1)
except TimeoutError:
    print("already over")
try:
    async with asyncio.timeout(0):
        try:
            await asyncio.sleep(1)
        finally:
            print("cleaned up")
except TimeoutError as e:
    print(type(e.__cause__).__name__)

# %% asyncio-gather-cancels
import asyncio
async def child(n):
    try:
        await asyncio.sleep(50)
    finally:
        print("child", n, "ended")
g = asyncio.gather(child(1), child(2))
await asyncio.sleep(0)
g.cancel()
try:
    await g
except asyncio.CancelledError:
    print("gather was cancelled")

# %% uncancel-and-swallow
import asyncio
async def stubborn():
    try:
        await asyncio.sleep(50)
    except asyncio.CancelledError:
        asyncio.current_task().uncancel()
        return "not today"
t = asyncio.create_task(stubborn())
await asyncio.sleep(0)
t.cancel()
await t, t.cancelled(), t.cancelling()

# %% task-exception-never-retrieved
import asyncio, gc
async def broken(): raise ValueError("nobody looks")
asyncio.get_running_loop().set_exception_handler(lambda loop,
    context: print(context["message"], repr(context["exception"])))
t = asyncio.create_task(broken())
await asyncio.sleep(0)
del t
collected = gc.collect() >= 0

# %% asyncio-streams-in-memory
import asyncio
r = asyncio.StreamReader()
r.feed_data(b"line one\nline two\nrest")
r.feed_eof()
await r.readline(), await r.readuntil(b"\n"), await r.read(), r.at_eof()

# %% asyncio-pipeline
import asyncio
async def stage(source, target, f):
    while (x := await source.get()) is not None:
        await target.put(f(x))
    await target.put(None)
a, b, c = (asyncio.Queue(2) for _ in range(3))
async def feed():
    for i in range(5): await a.put(i)
    await a.put(None)
async def drain():
    return [x for x in iter([])] + [x async for x in items(c)]
async def items(q):
    while (x := await q.get()) is not None: yield x
(await asyncio.gather(feed(), stage(a, b, lambda x: x + 1), stage(b, c, lambda x: x * x), drain()))[-1]

# %% async-generator-athrow-and-finalizer
import asyncio
async def gen():
    try:
        yield 1
        yield 2
    except KeyError as e:
        print("thrown", e)
        yield "recovered"
    finally:
        await asyncio.sleep(0)
        print("finalised")
g = gen()
print(await anext(g), await g.athrow(KeyError("k")))
async for x in gen():
    break
async with __import__("contextlib").aclosing(gen()) as h:
    print(await anext(h))
await g.aclose()

# %% eager-tasks (3.12)
import asyncio
async def quick(log):
    log.append("ran at once")
async def main():
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    log = []
    t = asyncio.create_task(quick(log))
    return log, t.done()
asyncio.run(main())

# %% queue-shutdown (3.13)
import asyncio
q = asyncio.Queue()
await q.put(1)
q.shutdown()
print(await q.get())
try:
    await q.get()
except asyncio.QueueShutDown as e:
    print(repr(e))

# %% thread-exception-as-printed
import threading
def work(): raise ValueError("in the thread")
t = threading.Thread(target=work, name="worker")
threading.excepthook = lambda a: print(f"{a.thread.name}: {a.exc_type.__name__}: {a.exc_value}")
t.start(); t.join()
threading.excepthook = threading.__excepthook__

# %% rate-limited-pool
import asyncio
class Limiter:
    def __init__(self, n): self.sem, self.active, self.most = asyncio.Semaphore(n), 0, 0
    async def __aenter__(self):
        await self.sem.acquire()
        self.active += 1
        self.most = max(self.most, self.active)
    async def __aexit__(self, *exc):
        self.active -= 1
        self.sem.release()
limiter = Limiter(2)
async def call(n):
    async with limiter:
        await asyncio.sleep(0.001)
        if n == 3: raise ValueError(n)
        return n
results = await asyncio.gather(*map(call, range(6)), return_exceptions=True)
results, limiter.most
"""
