"""The calls of a turn: all at once, early where they may, in call order, with each tool's own options."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import pickle
import threading
import traceback

import pytest

from tests.agents.kinds import NATIVE
from tinyagent import (
    Call,
    FatalToolError,
    ReactAgent,
    Reply,
    RunError,
    RunResult,
    Tool,
    ToolFinished,
    ToolStarted,
)
from tinyagent.core import waiting
from tinyagent.core.context import Context
from tinyagent.core.messages import NOT_ANSWERED
from tinyagent.core.tool import GOES_ON, LONGEST_ERROR
from tinyagent.errors import StreamError, ToolArgumentsError
from tinyagent.events import ToolProgress
from tinyagent.messages import ToolReply
from tinyagent.models.native import message_data
from tinyagent.testing import RawStream, call
from tinyagent.testing.history import fault_of


def fault(messages):
    return fault_of({"messages": [message_data(message, "") for message in messages]})


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def chunk(delta, finish=None):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call_chunk(index, name, arguments):
    function = {"name": name, "arguments": arguments}
    return chunk({"tool_calls": [{"index": index, "id": f"c{index}", "type": "function", "function": function}]})


def until(flag, *, then):
    """Parts of a stream that say nothing until `flag` is set, at most ten seconds."""
    for _ in range(2000):
        if flag.is_set():
            break
        yield 0.005
    yield then


@pytest.fixture
def quick_retries(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)


async def run_calls(kind, tools, calls, **options):
    """The result of a run whose first reply is `calls` and whose second is the answer."""

    async def model(request, sink):
        return kind.says("done") if kind.told(request) else kind.says(list(calls))

    async with asyncio.timeout(10):
        return await kind.agent(tools, model=model, **options).run("Go.")


def observations(result):
    return result.steps[0].observations


# ---- all at once, in call order


async def test_asynchronous_calls_run_at_once(kind):
    barrier = asyncio.Barrier(5)

    async def meet(name: str) -> str:
        await barrier.wait()  # nobody passes before all five have come
        return name

    result = await run_calls(kind, [meet], [call("meet", name=name) for name in "abcde"])
    assert [item.value for item in observations(result)] == list("abcde")


async def test_synchronous_calls_run_at_once(kind):
    barrier = threading.Barrier(5)

    def meet(name: str) -> str:
        barrier.wait(10)
        return name

    result = await run_calls(kind, [meet], [call("meet", name=name) for name in "abcde"])
    assert [item.value for item in observations(result)] == list("abcde")


async def test_a_synchronous_call_does_not_hold_up_the_loop(kind):
    gate = threading.Event()

    def block() -> str:
        assert gate.wait(10)
        return "released"

    async def release() -> str:
        gate.set()
        return "released it"

    result = await run_calls(kind, [block, release], [call("block"), call("release")])
    assert [item.text for item in observations(result)] == ["released", "released it"]


async def test_results_come_in_call_order_whatever_finishes_first(kind, scripted_server):
    turns = {name: asyncio.Event() for name in "abc"}
    ended = []

    async def take_turns(name: str, after: str = "") -> str:
        if after:
            await turns[after].wait()
        turns[name].set()
        ended.append(name)
        return name.upper()

    calls = [call("take_turns", name="a", after="b"), call("take_turns", name="b", after="c")]
    calls.append(call("take_turns", name="c"))
    async with scripted_server(kind.script([calls, "done"])) as server, asyncio.timeout(10):
        result = await kind.agent([take_turns], model=server.model()).run("Go.")
    assert ended == ["c", "b", "a"]
    assert [item.value for item in observations(result)] == ["A", "B", "C"]
    assert kind.told(server.requests[1]) == ["A", "B", "C"]


async def test_one_failure_never_loses_anothers_result(kind):
    async def fail() -> str:
        raise ValueError("not today")

    result = await run_calls(kind, [add, fail], [call("add", a=1, b=1), call("fail"), call("add", a=2, b=2)])
    assert [item.text for item in observations(result)] == ["2", "ValueError: not today", "4"]
    assert [item.error for item in observations(result)] == [None, "ValueError: not today", None]
    assert fault(result.messages) is None


async def test_many_calls_are_all_answered(kind):
    result = await run_calls(kind, [add], [call("add", a=number, b=number) for number in range(200)])
    assert [item.value for item in observations(result)] == [2 * number for number in range(200)]


# ---- what the model is told


# in code the value is an object, an unknown name a NameError, and a call that cannot be read never comes: test_code.py


@dataclasses.dataclass
class Point:
    """A place."""

    x: int
    y: int


async def test_the_model_reads_json_and_the_caller_keeps_the_object():
    def locate() -> list[Point]:
        return [Point(1, 2)]

    result = await run_calls(NATIVE, [locate], [call("locate")])
    assert observations(result)[0].value == [Point(1, 2)]
    assert json.loads(result.messages[2].text) == [{"x": 1, "y": 2}]


async def test_an_unknown_tool_is_told_with_the_names_that_exist():
    result = await run_calls(NATIVE, [add], [call("ad", a=1, b=1), call("fly")])
    assert [item.error for item in observations(result)] == [
        "There is no tool named 'ad'. Did you mean 'add'? The tools are: add.",
        "There is no tool named 'fly'. The tools are: add.",
    ]
    assert [item.seconds for item in observations(result)] == [0, 0]


async def test_a_call_when_there_are_no_tools_is_answered():
    result = await run_calls(NATIVE, [], [call("add", a=1, b=1)])
    assert observations(result)[0].error == "There is no tool named 'add'. The tools are: none."


async def test_arguments_that_do_not_fit_are_told_line_by_line(kind):
    result = await run_calls(kind, [add], [call("add", a="one", c=3)])
    text = observations(result)[0].text
    assert "The arguments do not fit the tool 'add':" in text
    assert {line.split(":")[0] for line in text.splitlines()[1:]} == {"- a", "- b", "- c"}


async def test_a_call_with_a_problem_never_runs_and_the_model_is_told():
    ran = []
    note = Tool(lambda: ran.append(1), name="note")
    result = await run_calls(NATIVE, [note], [Call("note", problem="The reply was cut."), call("note")])
    assert ran == [1]
    assert [item.error for item in observations(result)] == ["The reply was cut.", None]


async def test_an_exception_without_text_is_told_by_its_type(kind):
    async def fail() -> str:
        raise LookupError

    assert observations(await run_calls(kind, [fail], [call("fail")]))[0].error == "LookupError"


async def test_an_exception_that_cannot_be_printed_is_told_all_the_same(kind):
    class Unprintable(Exception):
        def __str__(self):
            raise ValueError("no text")

    async def fail() -> str:
        raise Unprintable

    result = await run_calls(kind, [fail], [call("fail")])
    assert "Unprintable" in observations(result)[0].error
    assert result.output == "done"


async def test_a_long_error_is_cut(kind):
    async def fail() -> str:
        raise ValueError("x" * 100_000)

    error = observations(await run_calls(kind, [fail], [call("fail")]))[0].error
    assert len(error) < LONGEST_ERROR + 20
    assert error.endswith(" ... (cut)")


async def test_a_tool_that_is_cancelled_from_inside_is_told_to_the_model(kind):
    async def give_up() -> str:
        raise asyncio.CancelledError

    result = await run_calls(kind, [give_up, add], [call("give_up"), call("add", a=1, b=1)])
    assert [item.text for item in observations(result)] == ["CancelledError", "2"]


async def test_a_base_exception_of_a_tool_is_not_swallowed(kind):
    class Stop(BaseException):
        pass

    async def stop() -> str:
        raise Stop

    with pytest.raises(Stop):
        await run_calls(kind, [stop], [call("stop")])


# ---- long observations


async def test_a_long_observation_is_cut_with_a_notice_and_kept_whole_in_the_result(kind):
    text = "".join(chr(97 + number % 26) for number in range(5000))
    tool = Tool(lambda: text, name="read")
    result = await run_calls(kind, [tool], [call("read")], max_observation=1000)
    assert kind.reports(result.messages) == [kind.cut(text, 1000)]
    assert observations(result)[0].text == observations(result)[0].value == text


@pytest.mark.parametrize("length", [999, 1000])
async def test_an_observation_that_fits_is_not_cut(kind, length):
    tool = Tool(lambda: "x" * length, name="read")
    result = await run_calls(kind, [tool], [call("read")], max_observation=1000)
    assert kind.reports(result.messages) == [kind.shown("x" * length)]


async def test_the_default_length_is_twenty_thousand(kind):
    tool = Tool(lambda: "x" * 20_001, name="read")
    result = await run_calls(kind, [tool], [call("read")])
    assert kind.reports(result.messages) == [kind.cut("x" * 20_001, 20_000)]


async def test_without_a_length_nothing_is_cut(kind):
    tool = Tool(lambda: "x" * 50_000, name="read")
    result = await run_calls(kind, [tool], [call("read")], max_observation=None)
    assert kind.reports(result.messages) == [kind.shown("x" * 50_000)]


async def test_what_was_found_before_a_fatal_error_is_cut_too():
    reading = asyncio.Event()

    async def read() -> str:
        reading.set()
        return "x" * 100

    async def stop() -> str:
        await reading.wait()
        raise FatalToolError("stop")

    with pytest.raises(FatalToolError) as caught:
        await run_calls(NATIVE, [read, stop], [call("read"), call("stop")], max_observation=10)
    assert caught.value.result.messages[2].text == "x" * 10 + "\n[90 of 100 characters are not shown]"


# ---- early starts of native calls; those of code: test_code_turn.py


async def test_a_sealed_call_starts_while_the_model_still_writes(scripted_server):
    started = asyncio.Event()

    async def work(item: str) -> str:
        started.set()
        return item

    def parts():
        yield call_chunk(0, "work", '{"item": "x"}')
        yield from until(started, then=chunk({"content": "Working."}))
        yield chunk({}, "tool_calls")

    async with (
        asyncio.timeout(10),
        scripted_server([RawStream(parts()), "done"]) as server,
        ReactAgent([work], model=server.model()).stream("Go.") as run,
    ):
        events = [event.type async for event in run]
    assert events.index("tool_started") < events.index("text_delta")
    assert run.result.output == "done"


async def test_an_early_call_may_end_while_the_model_still_writes(scripted_server):
    ended = asyncio.Event()

    async def work(item: str) -> str:
        return item

    def parts():
        yield call_chunk(0, "work", '{"item": "x"}')
        yield from until(ended, then=call_chunk(1, "work", '{"item": "y"}'))
        yield chunk({}, "tool_calls")

    async with (
        asyncio.timeout(10),
        scripted_server([RawStream(parts()), "done"]) as server,
        ReactAgent([work], model=server.model()).stream("Go.") as run,
    ):
        async for event in run:
            if isinstance(event, ToolFinished):
                ended.set()
    assert [item.value for item in run.result.steps[0].observations] == ["x", "y"]


async def test_a_call_is_not_started_before_its_arguments_are_complete(scripted_server):
    started = asyncio.Event()
    seen = []

    async def work(item: str) -> str:
        started.set()
        return item

    def parts():
        yield call_chunk(0, "work", '{"item"')
        for _ in range(5):
            yield 0.001
            seen.append(started.is_set())
        yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": ': "x"}'}}]})
        yield from until(started, then=chunk({}, "tool_calls"))

    async with (
        asyncio.timeout(10),
        scripted_server([RawStream(parts()), "done"]) as server,
        ReactAgent([work], model=server.model()).stream("Go.") as run,
    ):
        await run.drain()
    assert seen == [False] * 5


def early_or_not(tool, *, eager=True):
    """An agent whose model seals a call of `tool` and ends its reply when told to, and how to tell it."""
    told = asyncio.Event()

    async def model(request, sink):
        if isinstance(request.messages[-1], ToolReply):
            return Reply("done")
        item = call(tool.name)
        sink.call(item)
        await told.wait()
        return Reply(calls=(item,), finish_reason="tool_calls")

    return ReactAgent([tool, Tool(add)], model=model, eager=eager), told


@pytest.mark.parametrize(
    ("options", "eager"),
    [({"eager": False}, True), ({"exclusive": True}, True), ({}, False)],
    ids=["the tool opts out", "the tool is exclusive", "the agent opts out"],
)
async def test_a_call_that_must_not_start_early_waits_for_the_whole_reply(options, eager):
    started = asyncio.Event()

    async def work() -> str:
        started.set()
        return "worked"

    agent, told = early_or_not(Tool(work, **options), eager=eager)
    async with asyncio.timeout(10), agent.stream("Go.") as run:
        async for event in run:
            if event.type == "call_sealed":
                for _ in range(20):
                    await asyncio.sleep(0)
                assert not started.is_set()
                told.set()
    assert run.result.steps[0].observations[0].value == "worked"


async def test_calls_after_an_exclusive_one_do_not_start_before_it():
    order = []
    told = asyncio.Event()

    async def model(request, sink):
        if isinstance(request.messages[-1], ToolReply):
            return Reply("done")
        calls = (call("alone"), call("other"))
        for item in calls:
            sink.call(item)
        await told.wait()
        return Reply(calls=calls, finish_reason="tool_calls")

    async def alone() -> str:
        order.append("alone")
        return "alone"

    async def other() -> str:
        order.append("other")
        return "other"

    async with asyncio.timeout(10), ReactAgent([Tool(alone, exclusive=True), other], model=model).stream("Go.") as run:
        async for event in run:
            if event.type == "call_sealed":
                for _ in range(20):
                    await asyncio.sleep(0)
                told.set()
    assert order == ["alone", "other"]


async def test_an_early_call_is_not_run_again_when_the_reply_is_complete(scripted_server):
    ran = []

    async def record(text: str) -> str:
        ran.append(text)
        return text

    calls = [call("record", text="a"), call("record", text="b")]
    async with (
        scripted_server([calls, "done"]) as server,
        ReactAgent([record], model=server.model()).stream("Go.") as run,
    ):
        await run.drain()
    assert ran == ["a", "b"]


async def test_calls_started_early_keep_their_place_in_the_history(scripted_server):
    later = Tool(lambda: "later", name="later", eager=False)
    early = Tool(lambda text: text, name="early")
    calls = [call("later"), call("early", text="early")]
    async with (
        scripted_server([calls, "done"]) as server,
        ReactAgent([later, early], model=server.model()).stream("Go.") as run,
    ):
        await run.drain()
    assert [message["content"] for message in server.requests[1].messages[2:]] == ["later", "early"]


async def test_a_reply_that_fails_after_early_calls_keeps_what_they_gave(scripted_server):
    ended = asyncio.Event()
    cleaned = []

    async def work(item: str) -> str:
        return item

    async def linger(item: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(item)
        return "never"

    def parts():
        yield call_chunk(0, "work", '{"item": "x"}')
        yield call_chunk(1, "linger", '{"item": "y"}')
        yield from until(ended, then={"error": {"message": "overloaded"}})

    async with asyncio.timeout(10), scripted_server([RawStream(parts())]) as server:
        with pytest.raises(StreamError) as caught:
            async with ReactAgent([work, linger], model=server.model()).stream("Go.") as run:
                async for event in run:
                    if isinstance(event, ToolFinished):
                        ended.set()
    messages = caught.value.result.messages
    assert cleaned == ["y"]
    assert [item.name for item in messages[1].calls] == ["work", "linger"]
    assert messages[2].text == "x"
    assert "not finished" in messages[3].text
    assert fault(messages) is None


# ---- exclusive tools


async def test_an_exclusive_call_runs_alone(kind):
    running = []
    seen = []
    pair = asyncio.Barrier(2)

    async def work(name: str) -> str:
        running.append(name)
        if name.startswith("shared"):
            await pair.wait()
        seen.append(tuple(running))
        for _ in range(5):
            await asyncio.sleep(0)
        seen.append(tuple(running))
        running.remove(name)
        return name

    shared, alone = Tool(work, name="shared"), Tool(work, name="alone", exclusive=True)
    kinds = ["shared", "shared", "alone", "alone", "shared", "shared"]
    calls = [call(kind, name=f"{kind}{number}") for number, kind in enumerate(kinds)]
    result = await run_calls(kind, [shared, alone], calls)
    together = {names for names in seen if len(names) > 1}
    assert {name for names in together for name in names} == {"shared0", "shared1", "shared4", "shared5"}
    assert not any("shared0" in names and "shared4" in names for names in together)
    assert [item.value for item in observations(result)] == [item.arguments["name"] for item in calls]


async def test_an_exclusive_call_runs_although_the_one_before_failed(kind):
    async def fail() -> str:
        raise ValueError("no")

    alone = Tool(lambda: "alone", name="alone", exclusive=True)
    result = await run_calls(kind, [fail, alone], [call("fail"), call("alone"), call("fail"), call("alone")])
    assert [item.text for item in observations(result)] == ["ValueError: no", "alone"] * 2


async def test_a_call_that_waits_for_an_exclusive_one_never_starts_after_a_fatal_error(kind):
    ran = []

    async def stop() -> str:
        raise FatalToolError("stop")

    note = Tool(lambda: ran.append(1), name="note")
    with pytest.raises(FatalToolError):
        await run_calls(kind, [Tool(stop, exclusive=True), note], [call("stop"), call("note")])
    assert ran == []


# ---- what a call raised is kept


async def test_what_a_tool_raised_is_kept_with_its_traceback(kind):
    class Broken(Exception):
        def __init__(self, text, code):
            super().__init__(text)
            self.code = code

    def inner():
        raise Broken("no tea", 7)

    def fail() -> str:
        inner()

    async def fail_later() -> str:
        inner()

    result = await run_calls(kind, [fail, fail_later, add], [call("fail"), call("fail_later"), call("add", a=1, b=1)])
    for name, seen in zip(["fail", "fail_later"], observations(result), strict=False):
        assert isinstance(seen.exception, Broken)
        assert seen.exception.code == 7
        frames = [frame.name for frame in traceback.extract_tb(seen.exception.__traceback__)]
        assert frames == [name, "inner"]
        assert seen.error == "Broken: no tea"
    assert observations(result)[2].exception is None


async def test_what_a_call_raised_is_in_no_record(kind):
    def fail() -> str:
        raise ValueError(object())

    result = await run_calls(kind, [fail], [call("fail")])
    [seen] = observations(result)
    assert isinstance(seen.exception, ValueError)
    assert "exception" not in json.dumps(result.to_dict())
    [loaded] = observations(RunResult.from_dict(result.to_dict()))
    assert loaded.exception is None
    assert loaded.error == seen.error
    assert dataclasses.replace(seen) == seen
    assert pickle.loads(pickle.dumps(seen)).error == seen.error
    assert "exception" not in repr(seen)


async def test_a_failed_tool_keeps_no_run_alive(kind):
    """A traceback holds what its frames hold: those of the dispatch would keep the run and all it has read."""

    def fail() -> str:
        raise ValueError("x")

    error = observations(await run_calls(kind, [fail], [call("fail")]))[0].exception
    names = {frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)}
    assert names == {__name__}


async def test_arguments_and_unknown_tools_are_told_as_exceptions_too(kind):
    result = await run_calls(kind, [add], [call("add", a=1, b="x")])
    [seen] = observations(result)
    assert isinstance(seen.exception, ToolArgumentsError)


async def test_a_group_of_exceptions_tells_its_leaves(kind):
    async def search() -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(one(ValueError("no tea")))
            group.create_task(one(ExceptionGroup("inner", [KeyError("k"), OSError("disk full")])))

    async def one(error):
        await asyncio.sleep(0)
        raise error

    [seen] = observations(await run_calls(kind, [search], [call("search")]))
    assert seen.error == (
        "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions): ValueError: no tea; KeyError: 'k'; "
        "OSError: disk full"
    )


# ---- timeouts


async def test_a_tool_that_takes_too_long_is_told_and_the_run_goes_on(kind):
    cleaned = []

    async def wait() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)
        return "never"

    result = await run_calls(kind, [Tool(wait, timeout=0.01), add], [call("wait"), call("add", a=1, b=1)])
    assert observations(result)[0].error == "TimeoutError: the tool took longer than 0.01 s and was stopped"
    assert observations(result)[1].value == 2
    assert cleaned == [1]
    assert result.output == "done"


async def test_a_synchronous_tool_that_takes_too_long_is_abandoned(kind):
    gate = threading.Event()
    started, ended = threading.Event(), threading.Event()

    def block() -> str:
        started.set()
        gate.wait(10)
        ended.set()
        return "too late"

    try:
        result = await run_calls(kind, [Tool(block, timeout=0.1)], [call("block")])
        assert not ended.is_set()
    finally:
        gate.set()
    assert observations(result)[0].error == f"TimeoutError: the tool took longer than 0.1 s and {GOES_ON}"
    assert not started.is_set() or await asyncio.to_thread(ended.wait, 10)  # it runs to its end
    assert "too late" not in str(result.messages)


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_synchronous_tool_that_is_still_at_work_is_not_begun_again(kind, quick_retries, read_only):
    gate = threading.Event()

    def book() -> str:
        gate.wait(10)
        return "booked"

    async def model(request, sink):
        return kind.says("done") if kind.told(request) else kind.says([call("book")])

    tools = [Tool(book, timeout=0.05, retries=1, read_only=read_only)]
    try:
        async with kind.agent(tools, model=model).stream("Go.") as run:
            tries = [event.attempt async for event in run if event.type == "retry"]
    finally:
        gate.set()
    assert tries == [2] * read_only
    assert observations(run.result)[0].error.endswith(GOES_ON)


async def test_a_synchronous_tool_that_a_cancelled_run_leaves_behind_is_not_called_stopped():
    gate, started = threading.Event(), threading.Event()

    def block() -> str:
        started.set()
        gate.wait(10)
        return "too late"

    async def model(request, sink):
        return NATIVE.says([call("block")])

    run = NATIVE.agent([block], model=model).stream("Go.")
    try:
        async with run:
            assert await asyncio.to_thread(started.wait, 10)
    finally:
        gate.set()
    [seen] = observations(run.result)
    assert seen.error == f"{NOT_ANSWERED} If it had begun, it {GOES_ON}."


async def test_a_timeout_error_of_the_tools_own_is_told_as_it_is(kind):
    async def fail() -> str:
        raise TimeoutError("the printer is offline")

    result = await run_calls(kind, [Tool(fail, timeout=10)], [call("fail")])
    assert observations(result)[0].error == "TimeoutError: the printer is offline"


# ---- retries


async def test_a_failing_tool_is_tried_again(kind, quick_retries):
    tries = []

    async def flaky(item: str) -> str:
        tries.append(item)
        if len(tries) < 3:
            raise OSError(f"try {len(tries)}")
        return item

    result = await run_calls(kind, [Tool(flaky, retries=2)], [call("flaky", item="x")])
    assert (tries, observations(result)[0].value) == (["x"] * 3, "x")
    assert observations(result)[0].error is None


async def test_a_tool_that_keeps_failing_is_told_with_its_last_error(kind, quick_retries):
    tries = []

    async def flaky() -> str:
        tries.append(1)
        raise OSError(f"try {len(tries)}")

    result = await run_calls(kind, [Tool(flaky, retries=2)], [call("flaky")])
    assert (len(tries), observations(result)[0].error) == (3, "OSError: try 3")


async def test_without_retries_a_failing_tool_is_called_once(kind):
    tries = []

    async def flaky() -> str:
        tries.append(1)
        raise OSError("no")

    await run_calls(kind, [flaky], [call("flaky")])
    assert tries == [1]


async def test_each_try_has_the_whole_timeout(kind, quick_retries):
    tries = []

    async def slow_at_first() -> str:
        tries.append(1)
        if len(tries) == 1:
            await asyncio.Event().wait()
        return "ok"

    result = await run_calls(kind, [Tool(slow_at_first, timeout=0.02, retries=1)], [call("slow_at_first")])
    assert (len(tries), observations(result)[0].value) == (2, "ok")


async def test_wrong_arguments_are_not_tried_again(kind, quick_retries):
    result = await run_calls(kind, [Tool(add, retries=5)], [call("add", a="x", b=1)])
    assert "do not fit" in observations(result)[0].error


async def test_a_fatal_error_is_not_tried_again(kind, quick_retries):
    tries = []

    async def stop() -> str:
        tries.append(1)
        raise FatalToolError("stop")

    with pytest.raises(FatalToolError):
        await run_calls(kind, [Tool(stop, retries=5)], [call("stop")])
    assert tries == [1]


# ---- fatal errors


async def test_a_fatal_error_ends_the_run_with_what_it_had(kind):
    met = asyncio.Event()
    cleaned = []

    async def quick() -> str:
        met.set()
        return "quick"

    async def stop() -> str:
        await met.wait()
        raise FatalToolError("the disk is full")

    async def wait() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(1)
        return "never"

    with pytest.raises(FatalToolError, match="the disk is full") as caught:
        await run_calls(kind, [quick, stop, wait], [call("wait"), call("quick"), call("stop")])
    result = caught.value.result
    assert isinstance(caught.value, RunError)
    assert (result.state, result.output, cleaned) == ("failed", None, [1])
    wait, quick, stop = result.steps[0].observations
    assert "not finished" in wait.error
    assert (quick.value, stop.error) == ("quick", "FatalToolError: the disk is full")
    assert any("quick" in text for text in kind.reports(result.messages))
    assert fault(result.messages) is None


async def test_a_fatal_error_of_a_synchronous_tool_ends_the_run(kind):
    def stop() -> str:
        raise FatalToolError("stop")

    with pytest.raises(FatalToolError, match="stop"):
        await run_calls(kind, [stop, add], [call("add", a=1, b=1), call("stop")])


async def test_a_fatal_error_ends_the_run_while_the_model_still_writes():
    stopped = []

    async def model(request, sink):
        sink.call(call("stop"))
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("model")

    async def stop() -> str:
        raise FatalToolError("the disk is full")

    with pytest.raises(FatalToolError, match="the disk is full") as caught:
        async with asyncio.timeout(2), ReactAgent([stop], model=model).stream("Go.") as run:
            await run.drain()
    assert stopped == ["model"]
    assert caught.value.result.messages[1].calls[0].name == "stop"
    assert fault(caught.value.result.messages) is None


async def test_a_fatal_error_ends_the_run_while_a_server_still_streams(scripted_server):
    async def stop(reason: str) -> str:
        raise FatalToolError(reason)

    parts = (call_chunk(0, "stop", '{"reason": "full"}'), 60, chunk({}, "tool_calls"))
    async with scripted_server([RawStream(parts)]) as server:
        with pytest.raises(FatalToolError, match="full"):
            async with asyncio.timeout(2), ReactAgent([stop], model=server.model()).stream("Go.") as run:
                await run.drain()


async def test_a_fatal_error_of_an_early_call_ends_the_run_when_the_reply_is_complete(kind, scripted_server):
    async def stop(reason: str) -> str:
        raise FatalToolError(reason)

    async with scripted_server(kind.script([call("stop", reason="full")])) as server:
        with pytest.raises(FatalToolError, match="full") as caught:
            async with kind.agent([stop], model=server.model()).stream("Go.") as run:
                await run.drain()
    assert fault(caught.value.result.messages) is None


# ---- context


async def test_each_call_has_a_context_of_its_own(kind):
    barrier = asyncio.Barrier(3)
    seen = {}

    async def look(name: str, context: Context) -> str:
        await barrier.wait()
        seen[name] = context.call_id
        return context.call_id

    result = await run_calls(kind, [look], [call("look", name=name) for name in "abc"])
    assert seen == {item.call.arguments["name"]: item.call.id for item in observations(result)}
    assert [item.value for item in observations(result)] == [seen[name] for name in "abc"]
    assert len(set(seen.values())) == 3


async def test_progress_names_its_call(kind, scripted_model):
    async def tell(name: str, context: Context) -> str:
        context.progress({"name": name})
        return name

    calls = [call("tell", name=name) for name in "ab"]
    async with kind.agent([tell], model=scripted_model(kind.script([calls, "done"]))).stream("Go.") as run:
        events = [event async for event in run]
    told = [(event.call.id, event.value) for event in events if isinstance(event, ToolProgress)]
    first, second = run.result.steps[0].observations
    assert told == [(first.call.id, {"name": "a"}), (second.call.id, {"name": "b"})]


async def test_start_and_finish_name_the_same_calls(kind, scripted_model):
    calls = [call("add", a=number, b=1) for number in range(5)]
    async with kind.agent([add], model=scripted_model(kind.script([calls, "done"]))).stream("Go.") as run:
        events = [event async for event in run]
    started = {event.call.id for event in events if isinstance(event, ToolStarted)}
    finished = {event.observation.call.id for event in events if isinstance(event, ToolFinished)}
    assert started == finished == {seen.call.id for step in run.result.steps for seen in step.observations}
    assert len(started) >= 5
