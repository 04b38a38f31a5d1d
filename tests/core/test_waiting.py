"""Waiting to the end, also when the waiting is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from tinyagent.core.waiting import wait_to_the_end


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
