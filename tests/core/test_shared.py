"""What several users have open at once: opened by the first, closed after the last, whatever happens on the way."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import random
import weakref

import pytest

from tinyagent import ConfigurationError
from tinyagent.core import shared as shared_module
from tinyagent.core.shared import KeptPerLoop, PerLoop, Shared, held, holding, keep_open


class Resource:
    """Something that is opened and closed; each opening has a number."""

    def __init__(self):
        self.opened, self.closed, self.broken_off, self.most = 0, 0, 0, 0
        self.tasks = []
        self.opening = self.closing = None  # awaited there
        self.open_error = self.close_error = None
        self.shared = Shared(self.make)

    @property
    def now(self):
        return self.opened - self.closed

    @contextlib.asynccontextmanager
    async def make(self):
        self.tasks.append(asyncio.current_task())
        try:
            if self.opening is not None:
                await self.opening()
        except asyncio.CancelledError:
            await ticks(3)
            self.broken_off += 1
            raise
        if self.open_error is not None:
            raise self.open_error
        self.opened += 1
        self.most = max(self.most, self.now)
        try:
            yield self.opened
        finally:
            self.tasks.append(asyncio.current_task())
            if self.closing is not None:
                await self.closing()
            self.closed += 1
            if self.close_error is not None:
                raise self.close_error


@pytest.fixture
def resource():
    return Resource()


async def ticks(number):
    for _ in range(number):
        await asyncio.sleep(0)


async def use(shared, turns=0):
    async with shared as value:
        await ticks(turns)
        return value


def start(coroutine):
    return asyncio.create_task(coroutine)


async def cancelled(task):
    """Cancel it, and see that it says so."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ---- opened once, closed once


async def test_it_is_opened_by_the_first_user_and_closed_after_the_last(resource):
    async with resource.shared as first:
        async with resource.shared as second:
            assert (first, second, resource.now) == (1, 1, 1)
        assert (resource.opened, resource.closed) == (1, 0)
    assert (resource.opened, resource.closed) == (1, 1)


async def test_the_next_user_after_the_last_opens_it_again(resource):
    assert [await use(resource.shared) for _ in range(3)] == [1, 2, 3]
    assert (resource.opened, resource.closed, resource.most) == (3, 3, 1)


async def test_one_task_that_is_no_users_opens_and_closes_it(resource):
    first, second = asyncio.Event(), asyncio.Event()

    async def stay(until):
        async with resource.shared:
            await until.wait()

    users = [start(stay(first)), start(stay(second))]
    await ticks(5)
    first.set()
    await users[0]
    second.set()
    await users[1]
    opened_by, closed_by = resource.tasks
    assert opened_by is closed_by
    assert opened_by not in (*users, asyncio.current_task())
    assert opened_by.done()


async def test_it_says_whether_it_has_users(resource):
    assert not resource.shared.is_open
    async with resource.shared:
        assert resource.shared.is_open
    assert not resource.shared.is_open


async def test_five_hundred_users_at_once_have_one(resource):
    resource.opening = resource.closing = lambda: ticks(2)
    values = await asyncio.gather(*(use(resource.shared, turns=5) for _ in range(500)))
    assert set(values) == {1}
    assert (resource.opened, resource.closed) == (1, 1)


@pytest.mark.parametrize("seed", range(5))
async def test_users_that_come_and_go_and_are_cancelled_never_meet_a_second_or_a_closed_one(resource, seed):
    chance = random.Random(seed)
    resource.opening = lambda: ticks(chance.randrange(3))
    resource.closing = lambda: ticks(chance.randrange(3))

    async def come_and_go(before, within):
        await ticks(before)
        async with resource.shared as value:
            for _ in range(within):
                await asyncio.sleep(0)
                assert (resource.opened, resource.now) == (value, 1)

    async def end(task, after):
        await ticks(after)
        task.cancel()

    users = [start(come_and_go(chance.randrange(120), chance.randrange(6))) for _ in range(150)]
    enders = [start(end(user, chance.randrange(140))) for user in users[::2]]
    ended = await asyncio.gather(*users, return_exceptions=True)
    await asyncio.gather(*enders)
    assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError}
    assert (resource.now, resource.most) == (0, 1)
    assert resource.opened > 1
    assert not resource.shared.is_open


async def test_what_a_user_raises_passes_and_it_is_closed(resource):
    with pytest.raises(KeyError, match="mine"):
        async with resource.shared:
            raise KeyError("mine")
    assert (resource.opened, resource.closed) == (1, 1)


# ---- opening that fails or is broken off


async def test_each_that_waits_is_told_why_it_cannot_be_opened_and_the_next_one_tries_again(resource):
    gate = asyncio.Event()
    resource.opening, resource.open_error = gate.wait, OSError("no such server")
    users = [start(use(resource.shared)) for _ in range(5)]
    await ticks(3)
    gate.set()
    ended = await asyncio.gather(*users, return_exceptions=True)
    assert [str(error) for error in ended] == ["no such server"] * 5
    assert (len(resource.tasks), resource.shared.is_open) == (1, False)
    resource.open_error = None
    assert await use(resource.shared) == 1


async def test_one_that_comes_while_others_are_being_told_of_a_failure_opens_it_anew(resource):
    gate = asyncio.Event()
    resource.opening, resource.open_error = gate.wait, OSError("no such server")

    async def try_twice():
        with pytest.raises(OSError, match="no such server"):
            await use(resource.shared)
        resource.open_error = None
        return await use(resource.shared, turns=20)

    users = [start(try_twice()), start(use(resource.shared)), start(use(resource.shared))]
    await ticks(3)
    gate.set()
    first, *others = await asyncio.gather(*users, return_exceptions=True)
    assert first == 1
    assert [type(error) for error in others] == [OSError, OSError]
    assert (resource.opened, resource.closed) == (1, 1)


async def test_the_first_may_be_cancelled_while_others_wait_for_it_to_open(resource):
    gate = asyncio.Event()
    resource.opening = gate.wait
    first, *others = (start(use(resource.shared)) for _ in range(3))
    await ticks(3)
    await cancelled(first)
    assert resource.broken_off == 0
    gate.set()
    assert await asyncio.gather(*others) == [1, 1]
    assert (resource.opened, resource.closed, resource.broken_off) == (1, 1, 0)


async def test_opening_is_broken_off_and_waited_for_when_nobody_wants_it_any_more(resource):
    resource.opening = asyncio.Event().wait
    users = [start(use(resource.shared)) for _ in range(3)]
    await ticks(3)
    await cancelled(users[0])
    await cancelled(users[1])
    assert (resource.broken_off, resource.shared.is_open) == (0, True)
    await cancelled(users[2])
    assert (resource.broken_off, resource.opened, resource.shared.is_open) == (1, 0, False)
    resource.opening = None
    assert await use(resource.shared) == 1


async def test_one_that_comes_while_opening_is_broken_off_waits_and_opens_it_anew(resource):
    resource.opening = asyncio.Event().wait
    first = start(use(resource.shared))
    await ticks(3)
    first.cancel()
    await ticks(1)
    resource.opening = None
    second = start(use(resource.shared))
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (resource.broken_off, resource.most) == (1, 1)


async def test_opening_that_cancels_itself_is_an_error_and_no_cancellation(resource):
    resource.open_error = asyncio.CancelledError()
    with pytest.raises(RuntimeError, match="cancelled from within while it was opened"):
        await use(resource.shared)


async def test_opening_that_ends_although_it_is_cancelled_is_closed():
    closed = []

    @contextlib.asynccontextmanager
    async def make():
        with contextlib.suppress(asyncio.CancelledError):  # as asyncio.wait_for did at times, up to Python 3.11
            await asyncio.Event().wait()
        yield
        closed.append(True)

    shared = Shared(make)
    task = start(use(shared))
    await ticks(3)
    task.cancel()
    await asyncio.wait([task], timeout=0.5)
    ended = task.done()
    for other in asyncio.all_tasks() - {asyncio.current_task()}:
        other.cancel()  # so that the next test begins with nothing
    await ticks(5)
    assert ended
    assert closed == [True]
    assert task.cancelled()


# ---- closing


async def test_one_that_comes_while_it_is_closed_waits_and_opens_it_again(resource):
    gate, closing = asyncio.Event(), asyncio.Event()

    async def close():
        closing.set()
        await gate.wait()

    resource.closing = close
    first = start(use(resource.shared))
    await closing.wait()
    late = [start(use(resource.shared)) for _ in range(3)]
    await ticks(5)
    assert (resource.opened, resource.closed) == (1, 0)
    gate.set()
    assert (await first, await asyncio.gather(*late)) == (1, [2, 2, 2])
    assert (resource.opened, resource.closed, resource.most) == (2, 2, 1)


async def test_one_that_waits_for_it_to_be_closed_may_be_cancelled(resource):
    gate, closing = asyncio.Event(), asyncio.Event()

    async def close():
        closing.set()
        await gate.wait()

    resource.closing = close
    first = start(use(resource.shared))
    await closing.wait()
    late = start(use(resource.shared))
    await ticks(5)
    await cancelled(late)
    assert not resource.shared.is_open
    gate.set()
    await first
    assert (resource.opened, resource.closed) == (1, 1)


async def test_only_the_last_user_is_told_that_it_could_not_be_closed(resource):
    resource.close_error = OSError("it hangs")
    both = asyncio.Barrier(2)

    async def stay(turns):
        async with resource.shared:
            await both.wait()
            await ticks(turns)

    first, last = await asyncio.gather(stay(0), stay(10), return_exceptions=True)
    assert (first, str(last)) == (None, "it hangs")
    resource.close_error = None
    assert await use(resource.shared) == 2
    assert resource.now == 0


async def test_closing_goes_to_its_end_although_its_user_is_cancelled(resource):
    gate, closing = asyncio.Event(), asyncio.Event()

    async def close():
        closing.set()
        await gate.wait()

    resource.closing = close
    task = start(use(resource.shared))
    await closing.wait()
    for _ in range(3):
        task.cancel()
        await ticks(3)
    assert (task.done(), resource.closed) == (False, 0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert resource.closed == 1


async def test_it_can_be_cancelled_at_every_point(resource):
    resource.opening = resource.closing = lambda: ticks(2)
    for number in itertools.count():
        task, other = start(use(resource.shared, turns=3)), start(use(resource.shared, turns=1))
        await ticks(number)
        if task.done():
            break
        await cancelled(task)
        assert await other == resource.opened
        assert (resource.now, resource.most, resource.shared.is_open) == (0, 1, False), number
    assert number > 8
    assert await task == await other == resource.opened


async def test_the_only_user_can_be_cancelled_at_every_point(resource):
    resource.opening = resource.closing = lambda: ticks(2)
    for number in itertools.count():
        task = start(use(resource.shared, turns=3))
        await ticks(number)
        if task.done():
            break
        await cancelled(task)
        assert (resource.now, resource.shared.is_open) == (0, False), number
        assert all(host.done() for host in resource.tasks), number
    assert number > 8
    assert await task == resource.opened


async def test_what_was_cancelled_from_within_is_told_to_the_last_and_opened_anew(resource):
    with pytest.raises(RuntimeError, match="cancelled from within while it was closed"):
        async with resource.shared:
            resource.tasks[0].cancel()
            await ticks(3)
            assert resource.now == 0
    assert await use(resource.shared) == 2


async def test_one_that_comes_when_it_has_died_opens_it_anew_while_others_are_in(resource):
    async with resource.shared:
        resource.tasks[0].cancel()
        await ticks(3)
        assert await use(resource.shared) == 2
        assert resource.now == 1
    assert (resource.now, resource.most) == (0, 1)


# ---- loops


def test_it_serves_one_loop_after_the_other(resource):
    assert [asyncio.run(use(resource.shared)) for _ in range(3)] == [1, 2, 3]
    assert resource.now == 0


def test_what_was_open_when_its_loop_was_closed_is_opened_anew_in_the_next(resource):
    async def enter():
        await resource.shared.__aenter__()
        assert resource.shared.is_open

    asyncio.run(enter())
    assert not resource.shared.is_open
    assert asyncio.run(use(resource.shared)) == 2
    assert resource.now == 0


async def test_it_is_refused_in_a_second_loop_at_the_same_time(resource):
    async with resource.shared:
        with pytest.raises(RuntimeError, match=r"open in another event loop\. Make one for each loop\."):
            await asyncio.to_thread(asyncio.run, use(resource.shared))
        assert (resource.now, resource.shared.is_open) == (1, True)
    assert await asyncio.to_thread(asyncio.run, use(resource.shared)) == 2
    assert resource.now == 0


# ---- what a run keeps open


async def test_held_is_for_the_block_where_there_is_no_run(resource):
    async with held(resource.shared) as value:
        assert (value, resource.now) == (1, 1)
    assert resource.now == 0


async def test_what_is_held_stays_open_to_the_end(resource):
    async with holding():
        for _ in range(3):
            async with held(resource.shared) as value:
                assert value == 1
        assert resource.now == 1
    assert (resource.opened, resource.closed) == (1, 1)


async def test_it_stays_open_to_the_end_of_the_outermost_block(resource):
    async with holding():
        async with holding(), held(resource.shared):
            pass
        assert resource.now == 1
    assert resource.now == 0


async def test_tasks_hold_for_the_block_that_has_started_them(resource):
    async def in_a_task():
        async with holding(), held(resource.shared) as value:
            return value

    async with holding():
        assert await asyncio.gather(*(start(in_a_task()) for _ in range(50))) == [1] * 50
        assert resource.now == 1
    assert (resource.opened, resource.closed) == (1, 1)


async def test_blocks_side_by_side_share_and_the_last_closes_it(resource):
    gates = [asyncio.Event() for _ in range(3)]

    async def block(gate):
        async with holding():
            async with held(resource.shared):
                pass
            await gate.wait()

    blocks = [start(block(gate)) for gate in gates]
    await ticks(10)
    for gate, each in zip(gates, blocks, strict=True):
        assert resource.now == 1
        gate.set()
        await each
    assert (resource.opened, resource.closed) == (1, 1)


async def test_what_is_held_last_is_closed_first():
    closed, first, second = [], Resource(), Resource()
    first.closing = lambda: note("first")
    second.closing = lambda: note("second")

    async def note(name):
        closed.append(name)

    async with holding(), held(first.shared), held(second.shared):
        pass
    assert closed == ["second", "first"]


async def test_what_could_not_be_opened_is_not_kept_and_can_be_tried_again(resource):
    resource.open_error = OSError("no such server")
    async with holding():
        with pytest.raises(OSError, match="no such server"):
            async with held(resource.shared):
                pytest.fail("it is not open")
        assert not resource.shared.is_open
        resource.open_error = None
        async with held(resource.shared) as value:
            assert value == 1
        assert resource.now == 1
    assert resource.now == 0


async def test_a_block_that_ends_by_an_error_or_a_cancellation_closes_what_is_held(resource):
    with pytest.raises(KeyError):
        async with holding():
            async with held(resource.shared):
                pass
            raise KeyError("mine")
    assert resource.now == 0

    async def held_for_good():
        async with holding(), held(resource.shared):
            await asyncio.Event().wait()

    task = start(held_for_good())
    await ticks(10)
    assert resource.now == 1
    await cancelled(task)
    assert resource.now == 0


async def test_what_opening_holds_is_not_kept_by_the_block_that_has_opened_it(resource):
    inner = Resource()

    async def opening():
        async with held(inner.shared):
            pass

    resource.opening = opening
    async with holding(), held(resource.shared):
        assert (resource.now, inner.opened, inner.now) == (1, 1, 0)


async def test_a_task_that_outlives_its_block_keeps_nothing_open(resource):
    ended = asyncio.Event()

    async def outlive():
        await ended.wait()
        async with held(resource.shared):
            pass

    async with holding():
        task = start(outlive())
    ended.set()
    await task
    still_open = resource.now
    if still_open:
        await resource.shared.__aexit__()
    assert still_open == 0


async def test_closing_that_hangs_is_cancelled_once_nobody_wants_to_wait(monkeypatch):
    monkeypatch.setattr(shared_module, "GRACE", 0.01)
    hung = asyncio.Event()

    @contextlib.asynccontextmanager
    async def connect():
        yield
        hung.set()
        await asyncio.Event().wait()

    shared = Shared(connect)

    async def use():
        async with shared:
            pass

    task = asyncio.create_task(use())
    await hung.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_loop_in_a_thread_of_the_run_holds_its_own():
    log = []

    @contextlib.asynccontextmanager
    async def connect():
        log.append("open")
        yield
        log.append("close")

    shared = Shared(connect)

    async def use():
        async with holding(), held(shared):
            pass
        assert log == ["open", "close"]

    async with holding():
        await asyncio.to_thread(asyncio.run, use())
        assert log == ["open", "close"]


async def test_what_is_open_only_when_the_run_has_ended_is_closed_at_once():
    opening, go_on = asyncio.Event(), asyncio.Event()
    log = []

    @contextlib.asynccontextmanager
    async def connect():
        opening.set()
        await go_on.wait()
        log.append("open")
        yield
        log.append("close")

    async with holding():
        late = asyncio.create_task(keep_open(Shared(connect)))
        await opening.wait()
    go_on.set()
    await late
    assert log == ["open", "close"]


# ---- one for each event loop


def test_each_event_loop_has_its_own():
    opened = []

    @contextlib.asynccontextmanager
    async def resource():
        opened.append(value := object())
        yield value

    each = PerLoop(resource)

    async def use():
        async with each.here() as one, each.here() as two:
            assert one is two is opened[-1]
            return await asyncio.to_thread(asyncio.run, elsewhere()) if len(opened) == 1 else one

    async def elsewhere():
        return await use()

    assert asyncio.run(use()) is opened[1]
    assert len(opened) == 2


def test_no_event_loop_is_kept_that_was_closed_without_leaving():
    @contextlib.asynccontextmanager
    async def resource():
        yield

    each = PerLoop(resource)

    async def enter():
        await each.here().__aenter__()
        return weakref.ref(asyncio.get_running_loop())

    first = asyncio.run(enter())
    asyncio.run(enter())
    gc.collect()
    assert first() is None


def test_another_thread_adds_its_loop_meanwhile():
    @contextlib.asynccontextmanager
    async def resource():
        yield

    each, loops = PerLoop(resource), []

    class Loop:
        """One whose thread goes on while this one asks it."""

        def is_closed(self):
            loops.append(Loop())
            each._shared[loops[-1]] = Shared(resource)
            return False

    async def use():
        async with each.here():
            return len(each._shared)

    loops.append(Loop())
    each._shared[loops[0]] = Shared(resource)
    assert asyncio.run(use()) == 3


def test_without_an_event_loop_there_is_none():
    with pytest.raises(ConfigurationError, match="no event loop is running here"):
        PerLoop(lambda: None).here()


# -- kept to the end of an event loop


class Kept:
    def __init__(self):
        self.closed = False

    async def close(self):
        await asyncio.sleep(0)
        self.closed = True


def test_what_is_kept_per_loop_is_closed_with_its_loop():
    kept = KeptPerLoop(Kept)

    async def use():
        first, second = await asyncio.gather(kept.here(), kept.here())
        assert first is second
        assert await kept.here() is first
        assert not first.closed
        return first

    one, other = asyncio.run(use()), asyncio.run(use())
    assert one is not other
    assert one.closed
    assert other.closed
    assert not kept._kept


def test_no_loop_is_kept_that_ended_without_a_word():
    kept = KeptPerLoop(Kept)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(kept.here())
    loop.close()
    asyncio.run(kept.here())
    assert not kept._kept


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_forked_copy_has_its_own_and_leaves_that_of_its_parent_open():
    kept = KeptPerLoop(Kept)
    ours = await kept.here()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            theirs = asyncio.run(kept.here())
            code = 0 if theirs is not ours and theirs.closed and not ours.closed else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert await kept.here() is ours
