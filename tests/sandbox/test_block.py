"""`Block`: output, tool calls and clock of one block, without a process."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars

import pytest

from tinyagent.core.errors import FatalToolError
from tinyagent.core.messages import NOT_ANSWERED
from tinyagent.core.result import CodeError, Observation
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import Answer, SandboxLimits, caller_of
from tinyagent.sandbox.block import WITHDRAWN, Block, Stopwatch


async def ticks(number):
    for _ in range(number):
        await asyncio.sleep(0)


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


class Work:
    """A tool that goes on until it is let, and the block that calls it."""

    def __init__(self, limits=None, on_output=None, *, number=1, call=None):
        self.tool = Tool(self.work)
        self.gate = asyncio.Event()
        self.running = []
        self.most = 0
        self.cleaned = []
        self.answers = {}
        self.block = Block(
            number, limits or SandboxLimits(), on_output, call or caller_of({"work": self.tool, "quick": QUICK})
        )

    async def work(self, name: str = "x", clean_up: int = 2) -> str:
        self.running.append(name)
        self.most = max(self.most, len(self.running))
        try:
            await self.gate.wait()
        finally:
            if not self.gate.is_set():
                await ticks(clean_up)
            self.running.remove(name)
            self.cleaned.append(name)
        return f"{name} done"

    def start(self, number, *args, tool=None, **kwargs):
        written = repr((args, kwargs)).encode()
        self.block.start(
            number, tool or self.tool, list(args), kwargs, written, self.answers.setdefault(number, Heard())
        )

    @property
    def seen(self):
        return self.block.execution(None, None, None).calls


class Heard(list):
    """Hears the answers of a call."""

    def __call__(self, answer):
        self.append(answer)

    @property
    def value(self):
        (answer,) = self
        return answer.observation.value


async def quick(name: str = "q") -> str:
    return name


QUICK = Tool(quick)


@contextlib.asynccontextmanager
async def working(*args, **options):
    work = Work(*args, **options)
    try:
        async with asyncio.timeout(20):
            yield work
    finally:
        await work.block.end_calls()


# ---- output


def hear_all(block, *texts):
    return [block.hear(text) for text in texts]


async def test_output_is_told_once_a_turn_and_kept_in_order():
    told = []
    block = Block(1, SandboxLimits(), told.append, caller_of({}))
    assert hear_all(block, "a", "", "b") == [0, 0, 0]
    assert told == []
    await ticks(1)
    assert told == ["ab"]
    hear_all(block, "c")
    await ticks(2)
    assert told == ["ab", "c"]
    assert block.execution(None, None, None).stdout == "abc"


async def test_output_is_kept_without_anybody_who_hears_it():
    block = Block(1, SandboxLimits(), None, caller_of({}))
    hear_all(block, "a", "b")
    await ticks(1)
    hear_all(block, "c")
    assert block.execution(None, None, None).stdout == "abc"


@pytest.mark.parametrize(
    ("texts", "kept", "lost"),
    [
        (["x" * 10], "x" * 10, [0]),
        (["x" * 11], "x" * 10, [1]),
        (["x" * 9, "yz", "a", ""], "x" * 9 + "y", [0, 1, 2, 2]),
        (["x" * 10, "y", "z" * 5], "x" * 10, [0, 1, 6]),
        ([""], "", [0]),
    ],
)
async def test_output_is_kept_up_to_the_limit_and_counted_beyond(texts, kept, lost):
    told = []
    block = Block(1, SandboxLimits(output=10), told.append, caller_of({}))
    assert hear_all(block, *texts) == lost
    execution = block.execution(None, None, None)
    assert (execution.stdout, execution.truncated) == (kept, lost[-1])
    await ticks(2)
    assert "".join(told) == kept
    assert "" not in told


async def test_output_is_told_before_the_call_that_follows_it_and_before_the_end():
    told = []
    async with working(on_output=told.append) as work:
        work.block.hear("before the call")
        work.start(1, tool=QUICK)
        assert told == ["before the call"]
        work.block.hear("before the end")
        work.block.execution(None, None, None)
        assert told == ["before the call", "before the end"]
        await ticks(5)
        assert len(told) == 2


# ---- calls


async def test_calls_are_answered_and_kept_in_the_order_in_which_they_began():
    async with working() as work:
        work.start(1, "a")
        work.start(2, "b", tool=QUICK)
        work.start(3, name="c")
        await until(lambda: work.block.calls_in_flight == 2)
        assert (work.block.is_open(1), work.block.is_open(2), work.block.is_open(9)) == (True, False, False)
        assert [seen.value for seen in work.seen] == [None, "b", None]
        assert [seen.error for seen in work.seen] == [NOT_ANSWERED, None, NOT_ANSWERED]
        work.gate.set()
        await until(lambda: work.block.calls_in_flight == 0)
        assert [work.answers[number].value for number in (1, 2, 3)] == ["a done", "b", "c done"]
        assert [seen.value for seen in work.seen] == ["a done", "b", "c done"]
        assert [seen.call.name for seen in work.seen] == ["work", "quick", "work"]
        assert [seen.call.arguments for seen in work.seen] == [{"name": "a"}, {"name": "b"}, {"name": "c"}]


async def test_a_call_is_named_by_block_tool_arguments_and_which_of_equal_ones():
    async with working(number=3) as work:
        for number, name in enumerate("aaba"):
            work.start(number, name, tool=QUICK)
        work.start(9, "a")
        work.block.withdraw(9)
        ids = [seen.call.id for seen in work.seen]
    async with working(number=3) as again:
        for number, name in enumerate("abaa"):
            again.start(number, name, tool=QUICK)
        other = [seen.call.id for seen in again.seen]
    assert len(set(ids)) == 5
    assert ids[0] == ids[0].removesuffix("_1") + "_1"
    assert ids[0].startswith("block3_quick_")
    assert ids[4].startswith("block3_work_")
    assert set(other) == set(ids[:4])
    assert (other[0], other[1], other[2]) == (ids[0], ids[2], ids[1])


async def test_calls_at_once_are_limited_and_the_others_follow():
    async with working(SandboxLimits(calls_at_once=2)) as work:
        for number in range(6):
            work.start(number, str(number))
        await ticks(10)
        assert sorted(work.running) == ["0", "1"]
        assert work.block.calls_in_flight == 6
        work.gate.set()
        await until(lambda: work.block.calls_in_flight == 0)
        assert work.most == 2
        assert [work.answers[number].value for number in range(6)] == [f"{number} done" for number in range(6)]


async def test_calls_beyond_the_limit_are_refused_and_counted():
    async with working(SandboxLimits(calls=2)) as work:
        assert work.block.refusal(0) is None
        work.start(1, tool=QUICK)
        assert work.block.refusal(0) is None
        work.start(2, tool=QUICK)
        assert work.block.refused == 0
        for count in (1, 2, 3):
            assert "has made 2 tool calls, which is the limit" in work.block.refusal(0)
            assert work.block.refused == count


async def test_no_calls_at_all():
    assert "0 tool calls" in Block(1, SandboxLimits(calls=0), None, caller_of({})).refusal(0)


async def test_a_tool_that_fails_is_an_answer():
    async def fail() -> None:
        raise ValueError("bad")

    tool = Tool(fail)
    async with working(call=caller_of({"fail": tool})) as work:
        work.start(1, tool=tool)
        await until(lambda: work.answers[1])
        (answer,) = work.answers[1]
        assert (type(answer.exception), answer.observation.error) == (ValueError, "ValueError: bad")
        assert (work.block.fatal, work.block.ended) == (None, False)


async def test_a_tool_that_gives_the_answer_ends_the_block():
    tool = Tool(quick, returns_answer=True)
    async with working(call=caller_of({"quick": tool})) as work:
        work.start(1, tool=tool)
        await until(lambda: work.answers[1])
        assert work.block.ended
        assert work.answers[1][0].ends_block


async def test_tools_run_in_the_context_of_whoever_runs_the_block():
    name = contextvars.ContextVar("name")
    seen = []

    async def look() -> None:
        seen.append(name.get("unset"))
        name.set("changed by a tool")

    name.set("block")
    tool = Tool(look)
    block = Block(1, SandboxLimits(), None, caller_of({"look": tool}))
    name.set("later")

    def start(number):  # as the connection does, which was made before
        block.start(number, tool, [], {}, b"", Heard())

    contextvars.Context().run(start, 1)
    contextvars.Context().run(start, 2)
    await until(lambda: block.calls_in_flight == 0)
    assert (seen, name.get()) == (["block", "block"], "later")


async def test_a_tool_that_cancels_itself_has_failed():
    async def give_up() -> None:
        raise asyncio.CancelledError

    tool = Tool(give_up)
    async with working(call=caller_of({"give_up": tool})) as work:
        work.start(1, tool=tool)
        await until(lambda: work.answers[1])
        (answer,) = work.answers[1]
        assert answer.observation.error == "CancelledError: the tool cancelled itself"
        assert isinstance(answer.exception, RuntimeError)
        assert work.block.fatal is None


@pytest.mark.parametrize(
    "error", [FatalToolError("stop"), ZeroDivisionError("ours")], ids=["fatal", "a mistake of ours"]
)
async def test_what_the_caller_raises_ends_the_run(error):
    async def call(call):
        raise error

    heard = []
    async with working(call=call) as work:
        work.block.on_fatal = lambda: heard.append(1)
        work.start(1)
        work.start(2)
        await until(lambda: work.block.calls_in_flight == 0)
        assert work.block.fatal is error
        assert heard == [1, 1]
        assert work.answers == {1: [], 2: []}
        assert [seen.error for seen in work.seen] == [f"{type(error).__name__}: {error}"] * 2


async def test_what_the_caller_raises_first_is_kept():
    async def call(call):
        raise FatalToolError(call.arguments["name"])

    async with working(call=call) as work:
        work.start(1, "first")
        work.start(2, "second")
        await until(lambda: work.block.calls_in_flight == 0)
        assert str(work.block.fatal) == "first"


async def test_a_withdrawn_call_is_cancelled_and_says_so():
    async with working() as work:
        work.start(1, "a")
        work.start(2, "b")
        await until(lambda: work.running == ["a", "b"])
        work.block.withdraw(1)
        work.block.withdraw(1)
        work.block.withdraw(77)
        await until(lambda: work.block.calls_in_flight == 1)
        assert work.cleaned == ["a"]
        assert work.answers[1] == []
        assert [(seen.text, seen.error) for seen in work.seen] == [(WITHDRAWN, WITHDRAWN), (NOT_ANSWERED, NOT_ANSWERED)]
        work.gate.set()
        await until(lambda: work.answers[2])
        work.block.withdraw(2)


async def test_a_number_may_be_used_again_when_it_has_been_answered():
    async with working() as work:
        work.start(1, "a", tool=QUICK)
        await until(lambda: work.block.calls_in_flight == 0)
        work.start(1, "b", tool=QUICK)
        await until(lambda: work.block.calls_in_flight == 0)
        assert [answer.observation.value for answer in work.answers[1]] == ["a", "b"]


@pytest.mark.parametrize("turns", [0, 3], ids=["before it began", "while it waits"])
async def test_a_call_that_is_withdrawn_before_it_ran_says_so(turns):
    async with working(SandboxLimits(calls_at_once=1)) as work:
        work.start(1, "a")
        work.start(2, "b")
        await ticks(turns)
        work.block.withdraw(2)
        await until(lambda: work.block.calls_in_flight == 1)
        assert work.seen[1].error == WITHDRAWN


async def test_a_call_that_waits_for_its_turn_can_be_withdrawn():
    async with working(SandboxLimits(calls_at_once=1)) as work:
        for number, name in enumerate("abc"):
            work.start(number, name)
        await until(lambda: work.running == ["a"])
        work.block.withdraw(1)
        await until(lambda: work.block.calls_in_flight == 2)
        work.gate.set()
        await until(lambda: work.block.calls_in_flight == 0)
        assert (work.answers[1], work.answers[2].value) == ([], "c done")
        assert work.cleaned == ["a", "c"]


# ---- the end


async def test_ending_without_calls_takes_no_turn():
    ending = Block(1, SandboxLimits(), None, caller_of({})).end_calls()
    with pytest.raises(StopIteration):
        ending.send(None)


async def test_calls_left_over_are_cancelled_and_their_clean_up_is_waited_for():
    async with working(SandboxLimits(calls_at_once=2)) as work:
        for number in range(4):
            work.start(number, str(number), 5)
        await until(lambda: len(work.running) == 2)
        await work.block.end_calls()
        assert (work.block.calls_in_flight, work.cleaned) == (0, ["0", "1"])
        assert [seen.error for seen in work.seen] == [NOT_ANSWERED] * 4
        assert not any(work.answers.values())
        assert work.block.fatal is None


@pytest.mark.parametrize("turns", range(8))
async def test_the_clean_up_is_waited_for_even_when_the_waiting_is_cancelled(turns):
    async with working() as work:
        work.start(1, "a", 5)
        await until(lambda: work.running == ["a"])
        ending = asyncio.create_task(work.block.end_calls())
        await ticks(turns)
        if ending.done():
            return
        ending.cancel()
        await ticks(1)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert turns == 0 or work.cleaned == ["a"]


async def test_a_tool_that_swallows_its_cancellation_is_waited_for():
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await ticks(5)
        return "anyway"

    tool = Tool(stubborn)
    async with working(call=caller_of({"stubborn": tool})) as work:
        work.start(1, tool=tool)
        await ticks(3)
        await work.block.end_calls()
        assert work.answers[1].value == "anyway"
        assert work.seen[0].value == "anyway"


async def test_an_execution_tells_everything():
    async with working(SandboxLimits(output=3)) as work:
        block = work.block
        block.code += ["x = 1\n", "x"]
        block.hear("abcd")
        work.start(1, "a", tool=QUICK)
        await until(lambda: work.answers[1])
        error = CodeError("ValueError", "bad")
        execution = block.execution([1], "[1]", error)
        assert (execution.code, execution.value, execution.repr) == ("x = 1\nx", [1], "[1]")
        assert (execution.stdout, execution.truncated, execution.error) == ("abc", 1, error)
        assert [type(seen) for seen in execution.calls] == [Observation]
        assert not execution.interrupted
        assert execution.seconds > 0


async def test_the_first_who_stops_a_block_says_why():
    block = Block(1, SandboxLimits(), None, caller_of({}))
    assert (block.stopped, block.stop_kind) == (None, "KeyboardInterrupt")
    block.stop("too long", "TimeoutError")
    block.stop("the block was cancelled")
    assert (block.stopped, block.stop_kind) == ("too long", "TimeoutError")
    assert block.execution(None, None, None).interrupted


async def test_a_block_that_was_broken_off_tells_what_it_had_done():
    async with working() as work:
        work.block.hear("so far")
        work.start(1, "a")
        execution = work.block.broken_off(("x",))
        assert (execution.stdout, len(execution.calls)) == ("so far", 1)
        assert (execution.error.type, execution.error.names) == ("KeyboardInterrupt", ("x",))
        assert execution.error.message == "the run ended while the block ran"
        work.block.stop("the block was cancelled")
        assert work.block.broken_off().error.message == "the block was cancelled"


# ---- time


class Alarm:
    def __init__(self, seconds):
        self.watch = Stopwatch(seconds)
        self.rung = 0
        self.watch.expired = self._ring

    def _ring(self):
        self.rung += 1

    async def passes(self):
        """Longer than the watch has left."""
        end = asyncio.get_running_loop().time() + 0.02
        await until(lambda: asyncio.get_running_loop().time() > end)
        await ticks(2)


async def test_the_time_runs_from_the_first_resume():
    alarm = Alarm(0.001)
    await alarm.passes()
    assert alarm.rung == 0
    alarm.watch.resume()
    await until(lambda: alarm.rung)
    await alarm.passes()
    assert alarm.rung == 1


async def test_as_many_resumes_as_pauses_start_it_again():
    alarm = Alarm(0.001)
    alarm.watch.resume()
    alarm.watch.pause()
    alarm.watch.pause()
    await alarm.passes()
    alarm.watch.resume()
    await alarm.passes()
    assert alarm.rung == 0
    alarm.watch.resume()
    await until(lambda: alarm.rung)


async def test_the_time_before_a_pause_counts():
    alarm = Alarm(3600)
    alarm.watch.resume()
    await alarm.passes()
    alarm.watch.pause()
    left = alarm.watch._left
    assert left < 3600
    await alarm.passes()
    alarm.watch.resume()
    alarm.watch.pause()
    assert left - 3600 < alarm.watch._left <= left
    alarm.watch.stop()


async def test_a_watch_that_was_paused_too_late_rings_when_it_goes_on():
    alarm = Alarm(0.001)
    alarm.watch.resume()
    await alarm.passes()
    alarm.watch.pause()
    assert alarm.rung == 1
    alarm.watch.resume()
    await until(lambda: alarm.rung == 2)


@pytest.mark.parametrize("paused", [False, True])
async def test_a_stopped_watch_never_rings(paused):
    alarm = Alarm(0.001)
    alarm.watch.resume()
    if paused:
        alarm.watch.pause()
    alarm.watch.stop()
    alarm.watch.stop()
    await alarm.passes()
    alarm.watch.pause()
    alarm.watch.resume()
    alarm.watch.resume()
    await alarm.passes()
    assert alarm.rung == 0


async def test_without_a_limit_it_never_rings():
    alarm = Alarm(None)
    alarm.watch.resume()
    alarm.watch.pause()
    alarm.watch.resume()
    await alarm.passes()
    alarm.watch.stop()
    assert alarm.rung == 0


async def test_a_watch_nobody_listens_to():
    watch = Stopwatch(0.001)
    watch.resume()
    await Alarm(1).passes()
    watch.stop()


async def test_what_is_computed_in_a_pause_counts():
    alarm = Alarm(0.01)
    began = asyncio.get_running_loop().time()
    alarm.watch.computed = lambda: asyncio.get_running_loop().time() - began
    alarm.watch.resume()
    alarm.watch.pause()
    await until(lambda: alarm.rung)
    alarm.watch.stop()


@pytest.mark.parametrize("known", [True, False], ids=["nothing", "nobody knows"])
async def test_a_pause_in_which_nothing_is_computed_is_free(known):
    looks = []

    def computed():
        looks.append(1)
        return 7.0 if known else None

    alarm = Alarm(0.001)
    alarm.watch.computed = computed
    alarm.watch.resume()
    alarm.watch.pause()
    if known:
        await until(lambda: len(looks) > 2)
    await alarm.passes()
    assert alarm.rung == 0
    alarm.watch.resume()
    await until(lambda: alarm.rung)
    alarm.watch.stop()


async def test_several_threads_compute_no_faster_than_time_goes_by():
    watch = Stopwatch(20)
    had = iter([0.0, 1_000.0, 1_000.0])
    watch.computed = lambda: next(had)
    watch.resume()
    watch.pause()
    watch.resume()
    assert watch._left > 19
    watch.stop()


async def test_a_block_that_takes_much_of_the_hosts_time_is_refused_its_calls():
    block = Block(1, SandboxLimits(host_seconds=0.5), None, caller_of({}))
    assert block.refusal(10, 0.4) is None
    assert "0.5 s of the host's time" in block.refusal(10, 0.6)
    assert block.refused == 1


async def test_the_time_of_calls_does_not_count():
    alarm = Alarm(0.001)
    async with working() as work:
        work.block.clock = alarm.watch
        work.start(1, "a")
        work.start(2, "b")
        alarm.watch.resume()
        await alarm.passes()
        assert alarm.rung == 0
        work.block.withdraw(1)
        await until(lambda: work.block.calls_in_flight == 1)
        await alarm.passes()
        assert alarm.rung == 0
        work.gate.set()
        await until(lambda: alarm.rung)
        assert work.answers[2].value == "b done"


async def test_an_answer_is_plain_data():
    observation = Observation(None, "1", 1)
    assert Answer(observation) == (observation, None, False)
