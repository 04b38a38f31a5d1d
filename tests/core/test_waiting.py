"""Waiting to the end, also when the waiting is cancelled; and the error where another event loop runs."""

from __future__ import annotations

import asyncio
import re

import pytest
import sniffio

from tinyagent import ConfigurationError, OpenAIModel, ReactAgent, run_sync
from tinyagent.core.waiting import Places, asyncio_loop, once_per_loop, wait_to_the_end, within
from tinyagent.testing import ScriptedModel


async def test_what_takes_too_long_is_broken_off():
    late, ended = LookupError("too long"), []
    with pytest.raises(LookupError) as caught:
        async with within(0.01, late):
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)
    assert (caught.value, ended) == (late, [True])
    async with within(None, late):
        await asyncio.sleep(0)


async def test_a_time_out_of_the_blocks_own_passes():
    with pytest.raises(TimeoutError, match="its own"):
        async with within(30, LookupError("too long")):
            raise TimeoutError("its own")


async def test_a_cancellation_waits_until_every_task_has_ended():
    gate, ended = asyncio.Event(), []

    async def work(name):
        await gate.wait()
        ended.append(name)

    tasks = [asyncio.create_task(work(name)) for name in "ab"]
    waiting = asyncio.create_task(wait_to_the_end(tasks))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == ["a", "b"]


async def test_what_the_tasks_raise_is_theirs_to_tell():
    async def fail():
        raise ValueError("no")

    task = asyncio.create_task(fail())
    await wait_to_the_end([task])
    assert isinstance(task.exception(), ValueError)


async def test_without_tasks_there_is_nothing_to_wait_for():
    await wait_to_the_end([])


# ---- the event loop


def driven(coroutine):
    """Drive a coroutine as an event loop that is not asyncio's does."""
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


async def entered(manager):
    async with manager:
        pass


AGENT = ReactAgent(model=ScriptedModel(["hello"]))
ENTRIES = [
    lambda: AGENT.run("Hi"),
    lambda: AGENT.execute_tool("gone"),
    lambda: entered(AGENT.stream("Hi")),
    lambda: entered(AGENT),
    lambda: entered(OpenAIModel("m", base_url="http://127.0.0.1:9/v1")),
]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(("library", "said"), [("trio", "an event loop of trio"), (None, "no event loop is running")])
def test_a_missing_asyncio_is_told_and_another_library_named(entry, library, said):
    token = sniffio.current_async_library_cvar.set(library)  # as trio's own runner does
    try:
        with pytest.raises(ConfigurationError, match=f"tinyagent needs asyncio, and .*{re.escape(said)}") as caught:
            driven(entry())
    finally:
        sniffio.current_async_library_cvar.reset(token)
    assert "run_sync" in str(caught.value)


async def test_the_running_loop_is_returned():
    assert asyncio_loop() is asyncio.get_running_loop()


def test_without_a_loop_run_sync_works():
    assert run_sync(ReactAgent(model=ScriptedModel(["hello"])).run("Hi")).output == "hello"


def test_each_event_loop_has_its_own_and_keeps_it():
    own = once_per_loop(object)

    async def twice():
        return own(), own()

    (first, again), (other, _) = asyncio.run(twice()), asyncio.run(twice())
    assert first is again is not other
    with pytest.raises(RuntimeError, match="no running event loop"):
        own()


async def test_each_key_has_so_many_places_of_its_own():
    places, at_once = Places(2), []

    async def take(key):
        async with places.place(key):
            at_once.append(key)
            most = at_once.count(key)
            await asyncio.sleep(0)
            at_once.remove(key)
            return most

    assert max(await asyncio.gather(*(take("a") for _ in range(9)))) == 2
    async with places.place("a"), places.place("a"):
        assert await take("b") == 1
        places.number = 3  # takes effect for the next who asks
        assert await take("a") == 1
