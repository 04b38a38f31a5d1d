"""Synchronous tools in worker threads."""

import asyncio
import contextvars
import gc
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest

from tinyagent.core import threads
from tinyagent.core.errors import ConfigurationError
from tinyagent.core.threads import DEFAULT_THREADS, run_in_thread, set_thread_limit
from tinyagent.core.tool import Tool

variable = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(autouse=True)
def _same_limit():
    before = threads._slots.number
    yield
    threads._slots.number = before


def limiter():
    """That of the running loop, which has one once it has run a tool."""
    return threads._slots.limiter()


class Crowd:
    """A synchronous tool that counts how many of its calls run at once, until it is released."""

    def __init__(self):
        self.release = threading.Event()
        self.lock = threading.Lock()
        self.running = self.most = self.calls = 0

    def __call__(self) -> None:
        with self.lock:
            self.calls += 1
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            assert self.release.wait(30)
        finally:
            with self.lock:
                self.running -= 1

    async def until(self, running, waiting):
        """Until so many calls run and so many wait for a thread."""
        async with asyncio.timeout(30):
            while self.running != running or limiter().statistics().tasks_waiting != waiting:
                await asyncio.sleep(0)


@pytest.mark.parametrize(("limit", "calls"), [(None, 64 + 3), (1, 4), (2, 5), (80, 80 + 1)])
async def test_limit(limit, calls):
    if limit is not None:
        set_thread_limit(limit)
    limit = limit or 64
    crowd = Crowd()
    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(Tool(crowd).run({}))
        await crowd.until(running=limit, waiting=calls - limit)
        crowd.release.set()
    assert (crowd.calls, crowd.most) == (calls, limit)


def test_default_limit():
    assert DEFAULT_THREADS == threads._slots.number == 64


async def test_limiter_is_our_own():
    """Neither asyncio's pool nor anyio's default limiter, which others may have filled."""
    from anyio.to_thread import current_default_thread_limiter

    theirs = current_default_thread_limiter()
    borrowers = [object() for _ in range(int(theirs.total_tokens))]
    for borrower in borrowers:
        await theirs.acquire_on_behalf_of(borrower)
    try:
        async with asyncio.timeout(30):
            assert await run_in_thread(lambda: 1) == 1
    finally:
        for borrower in borrowers:
            theirs.release_on_behalf_of(borrower)


async def test_limit_can_be_changed_while_the_loop_runs():
    set_thread_limit(1)
    assert await run_in_thread(lambda: 1) == 1
    set_thread_limit(3)
    barrier = threading.Barrier(3)
    await asyncio.gather(*(run_in_thread(barrier.wait, 30) for _ in range(3)))
    set_thread_limit(1)
    crowd = Crowd()
    crowd.release.set()
    await asyncio.gather(*(run_in_thread(crowd) for _ in range(5)))
    assert crowd.most == 1


def test_each_loop_has_its_limiter():
    set_thread_limit(2)
    barrier = threading.Barrier(2)

    async def meet():
        await asyncio.gather(*(Tool(barrier.wait, name="wait").run({"timeout": 30}) for _ in range(2)))
        return limiter()

    assert asyncio.run(meet()) is not asyncio.run(meet())


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "8", None, True])
def test_wrong_limit(wrong):
    with pytest.raises(ConfigurationError, match=r"set_thread_limit\(.*\): pass a whole number above 0"):
        set_thread_limit(wrong)
    assert threads._slots.number == 64


async def test_runs_in_another_thread():
    here = threading.get_ident()
    assert await run_in_thread(threading.get_ident) != here


async def test_arguments_of_any_name():
    def show(*args, **kwargs):
        return args, kwargs

    assert await run_in_thread(show, 1, 2, a=3) == ((1, 2), {"a": 3})
    assert await run_in_thread(show, func=1, self=2, limiter=3) == ((), {"func": 1, "self": 2, "limiter": 3})
    assert await run_in_thread(show, function=1) == ((), {"function": 1})


async def test_context_variables_are_carried_over():
    def read() -> str:
        return variable.get()

    assert await Tool(read).run({}) == "unset"
    variable.set("outer")
    assert await Tool(read).run({}) == "outer"

    async def with_value(value):
        variable.set(value)
        await asyncio.sleep(0)
        return await Tool(read).run({})

    assert await asyncio.gather(*(with_value(f"task {number}") for number in range(5))) == [
        f"task {number}" for number in range(5)
    ]
    assert await Tool(read).run({}) == "outer"


async def test_context_variables_set_in_a_thread_stay_there():
    variable.set("outer")
    await run_in_thread(variable.set, "inner")
    assert variable.get() == "outer"
    assert await run_in_thread(variable.get) == "outer"


async def test_context_variables_reach_what_a_synchronous_tool_returns_to_be_awaited():
    async def inner():
        return variable.get()

    def outer():
        return inner()

    variable.set("outer")
    assert await Tool(outer).run({}) == "outer"


async def test_the_loop_goes_on_while_a_thread_works():
    ticks, enough = 0, threading.Event()

    async def tick():
        nonlocal ticks
        while not enough.is_set():
            ticks += 1
            if ticks == 100:
                enough.set()
            await asyncio.sleep(0)

    assert await asyncio.gather(run_in_thread(enough.wait, 30), tick()) == [True, None]
    assert ticks == 100


async def test_cancelled_caller_leaves_the_thread_and_its_place():
    set_thread_limit(1)
    started, release = threading.Event(), threading.Event()

    def hang():
        started.set()
        release.wait(30)

    task = asyncio.create_task(run_in_thread(hang))
    try:
        assert await asyncio.to_thread(started.wait, 30)
        task.cancel()
        async with asyncio.timeout(20):
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await run_in_thread(lambda: "next") == "next"
    finally:
        release.set()


def test_loop_that_ends_before_its_thread():
    """The abandoned thread ends after its loop has closed, and nobody is told."""
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    def hang():
        started.set()
        release.wait(30)
        ended.set()

    async def main():
        task = asyncio.create_task(Tool(hang).run({}))
        assert await asyncio.to_thread(started.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    release.set()
    assert ended.wait(30)


def test_abandoned_thread_does_not_keep_the_program_from_ending():
    program = """
        import asyncio, threading
        from tinyagent import tool

        started = threading.Event()

        @tool(timeout=0.01)
        def hang():
            "Hang."
            started.set()
            threading.Event().wait()

        async def main():
            while not started.is_set():
                try:
                    await hang.run({})
                except TimeoutError:
                    print("abandoned")

        asyncio.run(main())
        print("ended")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["abandoned", "ended"]
    assert not done.stderr


async def test_more_calls_than_threads_all_end():
    set_thread_limit(4)
    async with asyncio.timeout(30):
        assert await asyncio.gather(*(run_in_thread(pow, number, 2) for number in range(300))) == [
            number**2 for number in range(300)
        ]


async def test_thread_keeps_nothing_of_a_call_that_has_ended():
    class Thing:
        pass

    thing = Thing()
    left = weakref.ref(await run_in_thread(lambda given: given, thing))
    del thing
    async with asyncio.timeout(30):
        while left() is not None:
            gc.collect()
            await asyncio.sleep(0)


async def test_errors_in_threads_keep_their_traceback():
    def fail():
        raise LookupError("here")

    with pytest.raises(LookupError) as caught:
        await run_in_thread(fail)
    assert caught.traceback[-1].name == "fail"
