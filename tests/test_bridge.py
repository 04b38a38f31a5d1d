"""`run_sync`: the one bridge for code that cannot await."""

import asyncio
import contextvars
import re
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from tinyagent import ConfigurationError, ReactAgent, RunError, run_sync
from tinyagent.testing.script import call
from tinyagent.testing.scripted import ScriptedModel

variable = contextvars.ContextVar("variable", default="unset")


class Odd(Exception):
    pass


async def give(value):
    await asyncio.sleep(0)
    return value


async def fail(error):
    await asyncio.sleep(0)
    raise error


async def where():
    return threading.get_ident(), asyncio.get_running_loop(), variable.get()


def without_loop(function):
    """Call `function` where no loop runs."""
    return function()


def within_loop(function):
    """Call `function` from a coroutine, as a notebook cell or a callback would."""

    async def main():
        return function()

    return asyncio.run(main())


def within_callback(function):
    """Call `function` from a callback of a running loop, outside any task."""

    async def main():
        loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        def callback():
            try:
                done.set_result(function())
            except BaseException as error:
                done.set_exception(error)

        loop.call_soon(callback)
        return await done

    return asyncio.run(main())


def within_thread(function):
    """Call `function` in a thread of its own."""
    outcome = []

    def work():
        try:
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def within_itself(function):
    async def main():
        return run_sync(inner())

    async def inner():
        return function()

    return run_sync(main())


everywhere = pytest.mark.parametrize(
    "place",
    [without_loop, within_loop, within_callback, within_thread, within_itself],
    ids=lambda place: place.__name__,
)


@everywhere
@pytest.mark.parametrize("value", [None, 0, "text", object(), [1]], ids=lambda value: type(value).__name__)
def test_result(place, value):
    assert place(lambda: run_sync(give(value))) is value


@everywhere
@pytest.mark.parametrize("error", [Odd("mine"), TimeoutError("late"), RunError("no")], ids=repr)
def test_error_is_the_very_one(place, error):
    with pytest.raises(type(error)) as caught:
        place(lambda: run_sync(fail(error)))
    assert caught.value is error


@everywhere
def test_cancelled_error(place):
    """A coroutine that ends so does not hang its caller."""
    with pytest.raises(asyncio.CancelledError):
        place(lambda: run_sync(fail(asyncio.CancelledError())))


@everywhere
def test_context_is_carried(place):
    def ask():
        variable.set("carried")
        return run_sync(where())[2]

    assert contextvars.copy_context().run(place, ask) == "carried"
    assert variable.get() == "unset"


def test_without_a_loop_it_runs_in_this_thread():
    assert run_sync(where())[0] == threading.get_ident()


async def test_with_a_loop_it_runs_in_a_thread_and_loop_of_its_own():
    here, loop, _ = await where()
    thread, other, _ = run_sync(where())
    assert thread != here
    assert other is not loop
    assert other.is_closed()
    assert not [each for each in threading.enumerate() if each.ident == thread]
    assert asyncio.get_running_loop() is loop
    assert await give("the loop goes on") == "the loop goes on"


async def test_each_call_has_a_loop_of_its_own():
    loops = [run_sync(where())[1] for _ in range(3)]
    assert len(set(loops)) == 3


async def test_changes_of_context_stay_inside():
    async def change():
        variable.set("changed")
        return variable.get()

    assert run_sync(change()) == "changed"
    assert variable.get() == "unset"


async def test_tasks_left_behind_by_the_coroutine_are_cancelled():
    cleaned = []

    async def leave():
        async def background():
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(True)

        leave.task = asyncio.create_task(background())
        await asyncio.sleep(0)

    run_sync(leave())
    assert cleaned == [True]


@everywhere
def test_timeout_inside(place):
    async def wait():
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        place(lambda: run_sync(wait()))


class Awaitable:
    def __await__(self):
        yield


async def generator():
    yield 1


NO_COROUTINES = [None, 3, "text", give, fail, lambda: give(1), Awaitable(), generator(), generator, [give], object()]


@everywhere
@pytest.mark.parametrize("wrong", NO_COROUTINES, ids=lambda value: type(value).__name__)
def test_what_is_no_coroutine(place, wrong):
    with pytest.raises(ConfigurationError) as caught:
        place(lambda: run_sync(wrong))
    assert f"run_sync({wrong!r}): pass a coroutine, such as run_sync(agent.run('...'))" in str(caught.value)


async def test_future_and_task_are_no_coroutines():
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(give(1))
    for wrong in (future, task):
        with pytest.raises(ConfigurationError, match="pass a coroutine"):
            run_sync(wrong)
    assert await task == 1


@everywhere
def test_agent(place):
    def add(a: int, b: int) -> int:
        return a + b

    def ask():
        with ScriptedModel([call("add", a=1, b=2), "The sum is 3."]) as model:
            return run_sync(ReactAgent([add], model=model).run("Add 1 and 2."))

    result = place(ask)
    assert result.output == "The sum is 3."
    assert result.steps[0].observations[0].value == 3


@everywhere
def test_coroutine_that_was_used_already(place):
    coroutine = give(1)
    assert run_sync(coroutine) == 1
    with pytest.raises(RuntimeError):
        place(lambda: run_sync(coroutine))


PROGRAM = """
import asyncio
import signal
from tinyagent import run_sync

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored

async def work():
    print("started", flush=True)
    try:
        await asyncio.sleep(30)
        print("to its end", flush=True)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        print("cleaned up", flush=True)
        raise

async def main():
    try:
        run_sync(work())
    except BaseException as error:
        print("raised", type(error).__name__, flush=True)
        raise

try:
    {start}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
STARTS = {
    "no loop": "run_sync(work())",
    "asyncio.run": "asyncio.run(main())",
    "run_until_complete, as notebooks do": "asyncio.new_event_loop().run_until_complete(main())",
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_ctrl_c_cancels_the_coroutine(start):
    program = textwrap.dedent(PROGRAM).format(start=start)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        out, problems = process.communicate(timeout=10)
    finally:
        process.kill()
        process.communicate()
    lines = out.splitlines()
    assert lines[0] == "cleaned up"
    assert lines[-1] == "interrupted"
    assert not re.search("never awaited|was destroyed|Traceback", problems)
