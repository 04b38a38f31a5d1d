"""`ProcessSession` against processes that say anything, in any order, or nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import struct
import threading

import pytest
from hypothesis import given, strategies as st

from tests.sandbox.scripted import Peer, ScriptedSession, done, give_back, obey, scripted, ticks, until, with_blocks
from tinyagent.core.codec import MAX_BYTES, Record
from tinyagent.core.errors import ConfigurationError, FatalToolError, SandboxError, SandboxUnavailableError
from tinyagent.core.messages import NOT_ANSWERED
from tinyagent.core.result import CodeError
from tinyagent.core.tool import Tool
from tinyagent.sandbox import block as blocks, link, protocol, session as module
from tinyagent.sandbox.base import SandboxLimits
from tinyagent.sandbox.block import WITHDRAWN

pytestmark = pytest.mark.each_loop

READY = {"t": "ready"}


def echo(value):
    """Give back what came."""
    return value


async def double(x: int) -> int:
    """Double a number."""
    return 2 * x


class Waiting:
    """A tool that never ends by itself, and cleans up slowly."""

    def __init__(self):
        self.started = []
        self.cleaned = []

    async def wait(self, name: str = "x") -> None:
        """Wait for good."""
        self.started.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            await ticks(3)
            self.cleaned.append(name)


def call(number, name, *args, **kwargs):
    return {"t": "call", "n": name, "a": list(args), "k": kwargs, "id": number}


def out(text):
    return {"t": "out", "s": text}


# ---- starting


async def test_a_process_is_greeted_once_with_the_tools():
    async with scripted(tools=[echo, double], seed="run 1") as session:
        await session.start()
        await session.start()
        assert (await session.execute("1")).value == "1"
        assert len(session.peers) == 1
        tools, block = session.peer.heard
        assert tools == {
            "t": "tools",
            "tools": [
                {"name": "echo", "async": False, "doc": "Give back what came."},
                {"name": "double", "async": True, "doc": "Double a number."},
            ],
            "seed": "run 1",
        }
        assert block == {"t": "exec", "id": 1, "code": "1", "file": "<block 1>", "line": 1, "last": True}


@pytest.mark.parametrize(("options", "kinds"), [({}, ["exec"]), ({"seed": ""}, ["tools", "exec"])])
async def test_a_process_is_greeted_only_with_what_there_is(options, kinds):
    async with scripted(**options) as session:
        await session.execute("1")
        assert session.peer.kinds() == kinds


async def test_several_who_start_it_start_one():
    async with scripted() as session:
        await asyncio.gather(*[session.start() for _ in range(5)])
        assert len(session.peers) == 1


def says(*frames, data=b""):
    """A process that says this and waits until it is ended."""

    async def script(peer):
        await peer.say(*frames)
        await peer.write(data)
        await asyncio.Event().wait()

    return script


def ends_after(*frames, data=b"", status=0):
    """A process that says this and ends."""

    async def script(peer):
        await peer.say(*frames)
        await peer.write(data)
        return status

    return script


NO_START = {
    "ends": (ends_after(), "it ended"),
    "ends with a code": (ends_after(status=3), "it ended"),
    "says that it cannot": (says({"t": "fatal", "e": "OSError: no memory"}), "OSError: no memory"),
    "says that it cannot, and ends": (ends_after({"t": "fatal", "e": "OSError: no"}), "OSError: no"),
    "answers what nobody asked": (says({"t": "done", "id": 1}), "it sent a done frame that nobody expects"),
    "answers question zero": (says({"t": "done", "id": 0}), "it sent a done frame that nobody expects"),
    "unknown frame": (says({"t": "hello"}), "it sent a frame of an unknown kind"),
    "noise": (says(data=b"\xff" * 9), "it sent a frame of 4,294,967,295 bytes"),
    "half a frame, then the end": (ends_after(data=struct.pack(">I", 20) + b"{"), "it ended"),
    "cannot, after calls and output": (
        says(out("x"), call(1, "echo", 1), {"t": "cancel", "id": 1}, {"t": "fatal", "e": "no"}),
        "no",
    ),
}


@pytest.mark.parametrize("how", NO_START)
async def test_a_process_that_does_not_start_is_an_error_and_another_may(how):
    script, reason = NO_START[how]
    tries = 2 if reason == "it ended" else 1
    async with scripted(*[script] * tries, obey, tools=[echo]) as session:
        with pytest.raises(SandboxError) as caught:
            await session.start()
        assert len(session.peers) == tries
        assert not isinstance(caught.value, SandboxUnavailableError)
        assert str(caught.value) == f"The sandbox process did not start: {reason}."
        assert session.peer.closed
        assert (await session.execute("1")).value == "1"


async def test_a_process_that_cannot_lock_itself_is_no_sandbox():
    async with scripted(says({"t": "fatal", "e": "LockError: no seccomp"}), obey) as session:
        with pytest.raises(
            SandboxUnavailableError, match=r"cannot lock a process here: no seccomp. Use .*MontySandbox"
        ):
            await session.start()
        assert (await session.execute("1")).value == "1"


async def test_one_that_ends_at_once_is_replaced_without_a_word():
    async with scripted(ends_after(), obey, tools=[echo]) as session:
        assert (await session.execute("1")).value == "1"
        assert [peer.closed for peer in session.peers] == [True, False]


async def test_a_process_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(link, "PATIENCE", 0.02)
    async with scripted(says()) as session:
        with pytest.raises(SandboxError, match=r"did not start: it did not answer within 0.02 s"):
            await session.execute("1")


async def test_a_process_that_does_not_end_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(link, "PATIENCE", 0.02)
    release = asyncio.Event()

    async def stubborn(peer):
        try:
            await peer.serve()
        finally:
            await release.wait()

    async with scripted(stubborn) as session:
        await session.start()
        await session.close()
        assert not session.peer.ended.is_set()
        release.set()
        await until(session.peer.ended.is_set)


async def test_what_is_said_before_it_is_ready_is_answered_or_ignored():
    async def script(peer):
        await peer.say(out("early"), {"t": "cancel", "id": 9}, call(5, "echo", 1))
        answer = await peer.hear()
        assert (answer["id"], answer["e"]["type"]) == (5, "RuntimeError")
        await peer.serve()

    async with scripted(script, tools=[echo]) as session:
        assert (await session.execute("1")).stdout == ""


async def test_a_process_that_is_ready_twice_is_lost():
    async with scripted(says(READY, READY), obey) as session:
        await session.start()
        execution = await session.execute("1")
        assert execution.error.lost
        assert "it sent a ready frame that nobody expects" in execution.error.message
        assert (await session.execute("2")).value == "2"


async def test_where_there_is_no_process_the_next_start_tries_again():
    class Failing(ScriptedSession):
        failures = 2

        async def _spawn(self):
            if self.failures:
                self.failures -= 1
                raise SandboxError("none to be had")
            return await super()._spawn()

    session = Failing()
    for _ in range(2):
        with pytest.raises(SandboxError, match="none to be had"):
            await session.execute("1")
    assert (await session.execute("1")).value == "1"
    await session.close()


async def test_what_ends_between_its_greeting_and_the_first_block_is_told():
    async with scripted(ends_after(READY), obey, tools=[echo]) as session:
        await session.start()
        await until(session.peer.ended.is_set)
        execution = await session.execute("1")
        assert (execution.error.lost, execution.code) == (True, "1")
        assert "it ended itself" in execution.error.message
        assert (await session.execute("2")).value == "2"


async def starting_cancelled_after(number):
    """Whether starting was still under way."""
    async with scripted(tools=[echo]) as session:
        await session.set({"x": 1})
        session.peer.task.cancel()  # so that the next has more to do
        await until(lambda: session._link.loss is not None)
        await session.execute("lost")
        task = asyncio.create_task(session.execute("1"))
        await ticks(number)
        if under_way := not task.done():
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await session.execute("2")).value == "2"
        assert (await session.get("x")) == {"x": 1}
        return under_way


async def test_starting_can_be_cancelled_at_every_turn():
    for number in itertools.count():
        if not await starting_cancelled_after(number):
            break
    assert number > 5


# ---- blocks


async def run(*frames, tools=(), code="1", limits=None, data=b""):
    """What a block gives whose process answers with these frames; their `id` is set where it is missing."""

    async def block(peer, frame):
        await peer.say(*({"id": frame["id"], **said} if said["t"] == "done" else said for said in frames))
        await peer.write(data)

    async with scripted(with_blocks(block), obey, tools=tools, limits=limits) as session:
        execution = await session.execute(code)
        assert session.last is execution
        lost = execution.error is not None and execution.error.lost
        await session.execute("after")
        assert len(session.peers) == (2 if lost else 1)
        return execution


DONE = {"t": "done", "v": None, "repr": None, "names": [], "ended": False, "e": None}


async def test_what_a_block_gives():
    execution = await run(out("a"), out("b"), {**DONE, "v": {"!": "tuple", "v": [1]}, "repr": "(1,)", "names": ["x"]})
    assert (execution.value, execution.repr, execution.stdout) == ((1,), "(1,)", "ab")
    assert (execution.error, execution.calls, execution.code) == (None, (), "1")
    assert (execution.truncated, execution.interrupted) == (0, False)
    assert execution.seconds > 0


async def test_output_is_told_as_it_comes():
    told, first = [], asyncio.Event()

    def hear(text):
        told.append(text)
        first.set()

    async def block(peer, frame):
        await peer.say(out("one"))
        await first.wait()
        await peer.say(out("two"), done(frame))

    async with scripted(with_blocks(block)) as session:
        assert (await session.execute("1", on_output=hear)).stdout == "onetwo"
        assert told == ["one", "two"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (
            {"type": "E", "bases": ["ValueError"], "args": [1], "message": "m", "traceback": "t", "line": 3},
            CodeError("E", "m", "t", 3, ("ValueError",), (1,), ("x",)),
        ),
        ({}, CodeError("Exception", "", names=("x",))),
        (
            {"type": 1, "bases": 2, "args": 3, "message": 4, "traceback": 5, "line": "6"},
            CodeError("Exception", "", names=("x",)),
        ),
        (
            {"type": "", "message": None, "line": True, "bases": ["a", 1, None, "b"]},
            CodeError("Exception", "", bases=("a", "b"), names=("x",)),
        ),
        ({"type": "E", "line": 1.5, "args": {"!": "tuple", "v": [1]}}, CodeError("E", "", names=("x",))),
        (
            {"type": "T" * 300, "message": "m" * 6000, "traceback": "t" * 30_000, "bases": ["b" * 300] * 300},
            CodeError("T" * 200, "m" * 5000, "t" * 20_000, None, ("b" * 200,) * 200, (), ("x",)),
        ),
    ],
    ids=["whole", "empty", "wrong", "wrong parts", "fractions", "long"],
)
async def test_an_error_is_taken_as_far_as_it_makes_sense(data, error):
    assert (await run({**DONE, "e": data, "names": ["x"]})).error == error


@pytest.mark.parametrize("data", [None, False, "x", 1, [], {"!": "set", "v": []}], ids=repr)
async def test_what_is_no_error_is_none(data):
    assert (await run({**DONE, "e": data, "v": 1})).error is None


@pytest.mark.parametrize(
    "odd", [{"repr": 1}, {"names": "ab"}, {"names": {}}, {"names": [1, []]}, {"ended": "yes"}, {"more": 1}]
)
async def test_odd_parts_of_an_answer_are_left_out(odd):
    execution = await run({**DONE, "v": 5, **odd})
    assert (execution.value, execution.repr, execution.error) == (5, None, None)


async def test_names_are_told_with_errors_and_kept_short():
    names = [f"name{number}" for number in range(300)]
    execution = await run({**DONE, "e": {"type": "E"}, "names": names})
    assert execution.error.names == tuple(names[:200])


LOSSES = {
    "fatal": ([{"t": "fatal", "e": "MemoryError: "}], b"", "its last word was 'MemoryError: '"),
    "a long fatal": ([{"t": "fatal", "e": "x" * 10**6}], b"", f"its last word was '{'x' * 200}'"),
    "a fatal of two lines": ([{"t": "fatal", "e": "a.\n\nError:"}], b"", "its last word was 'a.\\n\\nError:'"),
    "an answer to the block before": ([{**DONE, "id": 0}], b"", "it sent a done frame that nobody expects"),
    "an answer to the block after": ([{**DONE, "id": 2}], b"", "it sent a done frame that nobody expects"),
    "an answer to no block": ([{**DONE, "id": -1}], b"", "it sent a done frame that nobody expects"),
    "ready": ([READY, DONE], b"", "it sent a ready frame that nobody expects"),
    "an unknown frame": ([{"t": "exec", "id": 1}], b"", "it sent a frame of an unknown kind"),
    "a frame without its parts": ([{"t": "out"}, DONE], b"", "it sent a out frame without its s"),
    "noise": ([], b"\xff" * 9, "it sent a frame of 4,294,967,295 bytes"),
    "wrong values": ([{**DONE, "v": {"!": "bomb", "v": 1}}], b"", "it sent malformed JSON: KeyError"),
    "output without end": ([out("x" * 200), out("y" * 200), DONE], b"", "it printed without end"),
}


@pytest.mark.parametrize("how", LOSSES)
async def test_a_process_that_says_what_it_should_not_is_ended_and_replaced(how):
    frames, data, reason = LOSSES[how]
    execution = await run(out("before"), *frames, data=data, limits=SandboxLimits(output=10))
    assert execution.error.type == "SandboxLost"
    assert execution.error.message == (
        f"the sandbox was ended: {reason}. All variables, functions and imports are gone."
    )
    assert execution.stdout.startswith("before")
    assert not execution.interrupted


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "it ended itself"),
        (3, "its process ended"),
        (-signal.SIGKILL, "it was killed, by the kernel for its memory or from outside"),
        (-signal.SIGXCPU, "it used more than 300 s of processor time"),
        (-signal.SIGSEGV, "it crashed (SIGSEGV)"),
        (-99, "it crashed (signal 99)"),
    ],
)
async def test_how_a_process_ended_is_told(status, said):
    async def script(peer):
        await peer.say(READY)
        await peer.hear("exec")
        peer.status = status

    async with scripted(script, obey) as session:
        execution = await session.execute("1")
        assert execution.error.lost
        assert said in execution.error.message
        assert (await session.execute("2")).value == "2"


async def test_how_a_process_ended_may_never_be_known(monkeypatch):
    monkeypatch.setattr(link, "PATIENCE", 0.02)

    class Unknown(Peer):
        def signal(self, number): ...

        @property
        def status(self):
            return None

        @status.setter
        def status(self, value): ...

    class Session(ScriptedSession):
        async def _spawn(self):
            self.peers.append(Unknown(ends_after(READY)))
            return self.peer

    session = Session()
    execution = await session.execute("1")
    assert "its process ended" in execution.error.message
    await session.close()


@pytest.mark.parametrize("when", ["at once", "later"])
async def test_a_second_answer_ends_the_process_and_is_told_in_the_next_block(when):
    async def block(peer, frame):
        await peer.say(done(frame, v=1))
        if when == "later":
            await ticks(20)
        await peer.say(done(frame, v=2))

    async with scripted(with_blocks(block), obey) as session:
        assert (await session.execute("1")).value == 1
        await until(lambda: session._link.loss is not None)
        execution = await session.execute("2")
        assert execution.error.lost
        assert "a done frame that nobody expects" in execution.error.message
        assert execution.stdout == ""
        assert (await session.execute("3")).value == "3"


async def test_a_second_answer_in_time_for_the_next_block_is_not_its_value():
    async def block(peer, frame):
        await peer.say(done(frame, v="mine"))
        await peer.hear("exec")
        await peer.say(done(frame, v="forged"))

    async with scripted(with_blocks(block), obey) as session:
        assert (await session.execute("1")).value == "mine"
        execution = await session.execute("2")
        assert (execution.value, execution.error.lost) == (None, True)


async def test_what_is_said_between_two_blocks_goes_nowhere():
    async def block(peer, frame):
        await peer.say(done(frame, v=1))
        await until(lambda: session._block is None)
        await peer.say(out("between"), {"t": "cancel", "id": 1}, call(1, "echo", 2))
        answer = await peer.hear("ret")
        assert "only while a block runs" in answer["e"]["text"]

    async with scripted(with_blocks(block), tools=[echo]) as session:
        for _ in range(2):
            execution = await session.execute("1")
            assert (execution.value, execution.stdout, execution.calls) == (1, "", ())
            await until(lambda: "ret" in session.peer.kinds())


async def test_a_process_that_ends_between_two_blocks_is_told_and_replaced_with_all_it_was_given():
    async with scripted(tools=[echo]) as session:
        await session.execute("1")
        await session.set({"a": 1, "b": (2,)})
        session.peer.signal(signal.SIGKILL)
        await until(lambda: session._link.loss is not None)
        execution = await session.execute("2")
        assert (execution.error.lost, execution.error.names) == (True, ("x",))
        assert "killed" in execution.error.message
        assert (await session.execute("3")).value == "3"
        assert session.peer.kinds()[0] == "tools"
        assert await session.get("a", "b") == {"a": 1, "b": (2,)}


async def test_code_that_does_not_fit_is_an_error_and_harms_nothing():
    async with scripted() as session:
        execution = await session.execute("#" * MAX_BYTES)
        assert (execution.error.type, execution.error.lost) == ("ValueError", False)
        assert "too large to cross the sandbox" in execution.error.message
        assert (await session.execute("1")).value == "1"
        assert len(session.peers) == 1


async def test_code_that_does_not_fit_leaves_the_names():
    async with scripted() as session:
        await session.execute("x = 1")
        assert (await session.execute("#" * MAX_BYTES)).error.names == ("x",)


# ---- pieces


async def pieces_of(*pieces):
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def test_pieces_are_run_one_after_the_other_with_their_lines():
    async with scripted() as session:
        execution = await session.execute(pieces_of("x = 1\n", "\n\ny = 2\n", "z"))
        frames = [(frame["code"], frame["line"], frame["last"]) for frame in session.peer.heard]
        assert frames == [("x = 1\n", 1, False), ("\n\ny = 2\n", 2, False), ("z", 5, False), ("", 5, True)]
        assert [frame["id"] for frame in session.peer.heard] == [1, 2, 3, 4]
        assert {frame["file"] for frame in session.peer.heard} == {"<block 1>"}
        assert (execution.code, execution.value) == ("x = 1\n\n\ny = 2\nz", "")


async def test_no_pieces_are_an_empty_block():
    async with scripted() as session:
        assert (await session.execute(pieces_of())).code == ""
        assert [frame["last"] for frame in session.peer.heard] == [True]


@pytest.mark.parametrize("frame", [{"e": {"type": "E"}}, {"t": "fatal", "e": "no"}], ids=["error", "loss"])
async def test_pieces_behind_one_that_fails_are_not_run(frame):
    ran = []

    async def block(peer, command):
        ran.append(command["code"])
        await peer.say({**done(command), **(frame if command["code"] == "b" else {})})

    async with scripted(with_blocks(block)) as session:
        execution = await session.execute(pieces_of("a", "b", "c"))
        assert execution.error is not None
        assert (ran, execution.code) == (["a", "b"], "ab")


async def test_pieces_that_fail_to_come_end_the_block_with_their_error():
    async def broken():
        yield "x = 1\n"
        raise KeyError("mine")

    async with scripted() as session:
        with pytest.raises(KeyError, match="mine"):
            await session.execute(broken())
        assert (session.last.code, session.last.error.type) == ("x = 1\n", "KeyboardInterrupt")
        assert (await session.execute("2")).value == "2"


async def test_an_answer_ends_the_pieces():
    async def answer() -> str:
        return "the answer"

    async def block(peer, frame):
        await peer.say(call(1, "answer"))
        assert await peer.hear() == {"t": "ret", "id": 1, "end": True}
        await peer.say(done(frame, e={"type": "forged"}, ended=True))

    async with scripted(with_blocks(block), tools=[Tool(answer, returns_answer=True)]) as session:
        execution = await session.execute(pieces_of("a", "b"))
        assert (execution.code, execution.error, execution.value) == ("a", None, None)
        assert execution.calls[0].value == "the answer"


async def test_pieces_are_closed_when_the_block_ends_early():
    closed = []

    async def pieces():
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(1)

    async def block(peer, frame):
        await peer.say(done(frame, e={"type": "E"}))

    async with scripted(with_blocks(block)) as session:
        await session.execute(pieces())
        assert closed == [1]


# ---- calls


def calling(*frames, answers=None):
    """A block that makes these calls, hears so many answers, and gives them by their numbers."""

    async def block(peer, frame):
        await peer.say(*frames)
        heard = [await peer.hear("ret") for _ in range(len(frames) if answers is None else answers)]
        await peer.say(done(frame, v=[answer["id"] for answer in heard]))

    return with_blocks(block)


def answered(peer):
    return {frame["id"]: frame for frame in peer.heard if frame["t"] == "ret"}


async def test_calls_are_answered_with_their_values():
    script = calling(call(1, "echo", {"!": "tuple", "v": [1]}), call(-7, "double", x=4), call(0, "echo", value=None))
    async with scripted(script, tools=[echo, double]) as session:
        execution = await session.execute("1")
        assert sorted(execution.value) == [-7, 0, 1]
        assert {number: frame["v"] for number, frame in answered(session.peer).items()} == {1: (1,), -7: 8, 0: None}
        assert [seen.value for seen in execution.calls] == [(1,), 8, None]
        assert [seen.call.name for seen in execution.calls] == ["echo", "double", "echo"]


async def test_values_with_fields_come_as_records():
    def point():
        return Record({"x": 1})

    async with scripted(calling(call(1, "point")), tools=[point]) as session:
        await session.execute("1")
        assert answered(session.peer)[1]["v"] == {"x": 1}


class Missing(LookupError):
    pass


async def test_errors_of_calls_come_with_type_bases_arguments_and_text():
    def fail():
        raise Missing("no tea", 3)

    script = calling(call(1, "fail"), call(2, "double", "x"), call(3, "double", 1, 2), call(4, "nothing", 1))
    async with scripted(script, tools=[fail, double]) as session:
        execution = await session.execute("1")
        errors = {number: frame["e"] for number, frame in answered(session.peer).items()}
        assert (errors[1]["type"], errors[1]["bases"][0], errors[1]["args"]) == (
            "Missing",
            "LookupError",
            ["no tea", 3],
        )
        assert (errors[2]["type"], errors[2]["bases"][0]) == ("ToolArgumentsError", "TypeError")
        assert (errors[3]["type"], errors[3]["bases"][0]) == ("ToolArgumentsError", "TypeError")
        assert (errors[4]["type"], errors[4]["text"]) == ("NameError", "there is no tool named 'nothing'")
        assert [seen.call.name for seen in execution.calls] == ["fail", "double", "double"]
        assert all(seen.error for seen in execution.calls)


async def test_a_value_that_does_not_fit_is_an_error_for_the_code_alone():
    def big() -> str:
        return "x" * 2 * MAX_BYTES

    async with scripted(calling(call(1, "big")), tools=[big]) as session:
        execution = await session.execute("1")
        assert "too large" in answered(session.peer)[1]["e"]["text"]
        assert len(execution.calls[0].value) == 2 * MAX_BYTES


async def test_large_answers_that_wait_their_turn_are_not_sent_to_a_later_block():
    async def big() -> str:
        return "x" * 100_000

    script = calling(*(call(number, "big") for number in range(40)), answers=1)
    async with scripted(script, tools=[big]) as session:
        first = await session.execute("1")
        assert all(len(seen.value) == 100_000 for seen in first.calls[:5])
        await ticks(100)
        assert 1 <= session.peer.kinds().count("ret") < 40


class Witness:
    """A value that knows in which thread it was looked into."""

    def __init__(self):
        self.threads = []

    def __repr__(self):
        self.threads.append(threading.get_ident())
        return "witness"


@pytest.mark.parametrize(("size", "here"), [(10, True), (20_000, False)], ids=["small", "large"])
async def test_a_large_value_is_packed_in_a_thread_and_a_small_one_is_not(size, here):
    witness = Witness()

    def rows() -> object:
        return [0] * size + [witness]

    async with scripted(calling(call(1, "rows")), tools=[rows]) as session:
        await session.execute("1")
        witness.threads.clear()  # those of the text for the model
        await session.set({"given": rows()})
        assert [thread == threading.get_ident() for thread in witness.threads] == [here]
        assert answered(session.peer)[1]["v"][-1] == "witness"


async def test_calls_of_unknown_tools_are_counted(monkeypatch):
    monkeypatch.setattr(module, "_FLOOD", 3)
    frames = [call(number, "nothing") for number in range(7)]
    async with scripted(calling(*frames, answers=99), obey, limits=SandboxLimits(calls=2)) as session:
        execution = await session.execute("1")
        assert "it called tools without end" in execution.error.message


#: A frame that takes the host some time: numbers of one hash.
SLOW = {"t": "out", "s": "", "x": {"!": "set", "v": [number * ((1 << 61) - 1) for number in range(800)]}}


@pytest.mark.parametrize("frame", [SLOW, out(""), {"t": "cancel", "id": 7}], ids=["slow", "output", "cancel"])
async def test_every_frame_is_paid_from_the_blocks_share_of_the_hosts_time(frame):
    async def floods(peer, _):
        while True:
            await peer.say(*[frame] * 20)

    async with scripted(with_blocks(floods), obey, limits=SandboxLimits(host_seconds=0.02)) as session:
        execution = await session.execute("1")
        assert "it took more than 0.04 s of its host's time" in execution.error.message
        assert (await session.execute("2")).value == "2"


async def test_the_share_of_the_hosts_time_begins_anew_with_each_block():
    async def speaks(peer, frame):
        await peer.say(*[SLOW] * 3)
        await give_back(peer, frame)

    async with scripted(with_blocks(speaks)) as session:
        spent = []
        for number in range(3):
            assert (await session.execute(str(number))).value == str(number)
            spent.append(session._link.connection.spent)
        assert 0 < spent[2] < spent[0] + spent[1]


async def test_an_error_that_does_not_fit_is_an_error_for_the_code_alone():
    def fail():
        raise ValueError("x" * 2 * MAX_BYTES)

    async with scripted(calling(call(1, "fail")), tools=[fail]) as session:
        execution = await session.execute("1")
        assert execution.error is None


async def test_calls_beyond_the_limit_are_refused_and_a_flood_ends_the_process(monkeypatch):
    monkeypatch.setattr(module, "_FLOOD", 3)
    limits = SandboxLimits(calls=2)
    script = calling(*(call(number, "echo", number) for number in range(8)))
    async with scripted(script, tools=[echo], limits=limits) as session:
        execution = await session.execute("1")
        assert (len(execution.calls), execution.error) == (2, None)
        refused = [frame["e"] for frame in answered(session.peer).values() if "e" in frame]
        assert [(error["type"], "which is the limit" in error["text"]) for error in refused] == [
            ("RuntimeError", True)
        ] * 6
        assert (await session.execute("2")).error is None
    script = calling(*(call(number, "echo", number) for number in range(9)), answers=99)
    async with scripted(script, obey, tools=[echo], limits=limits) as session:
        execution = await session.execute("1")
        assert "it called tools without end" in execution.error.message
        assert len(execution.calls) == 2


async def test_the_arguments_of_a_block_have_a_most_of_bytes(monkeypatch):
    monkeypatch.setattr(blocks, "MOST_ARGUMENTS", 1000)
    frames = [call(number, "echo", "a" * 450) for number in range(4)]
    async with scripted(calling(*frames), tools=[echo]) as session:
        for _ in range(2):  # counted for each block
            session.peers and session.peer.heard.clear()
            execution = await session.execute("1")
            refused = [frame["e"] for frame in answered(session.peer).values() if "e" in frame]
            assert [error["text"] for error in refused] == [
                "this block has handed 1,000 bytes to tools, which is the limit; go on in another block"
            ] * 2
            assert len(execution.calls) == 2


async def test_a_number_that_is_used_twice_at_once_ends_the_process():
    tool = Waiting()
    async with scripted(calling(call(1, "wait"), call(1, "echo", 1)), obey, tools=[tool.wait, echo]) as session:
        execution = await session.execute("1")
        assert "it used the number of a call twice" in execution.error.message
        assert len(execution.calls) == 1
        assert tool.started == tool.cleaned


async def test_the_id_of_a_call_says_all_its_arguments_wherever_the_process_writes_its_number():
    def first(number, *args):
        return {"t": "call", "id": number, "n": "echo", "a": list(args), "k": {}}

    frames = [first(1, 1), first(2, 2), call(3, "echo", 1), call(4, "echo", 2), call(5, "echo", {"id": 5})]
    async with scripted(calling(*frames, call(6, "echo", 1)), tools=[echo]) as session:
        ids = [seen.call.id for seen in (await session.execute("1")).calls]
    assert len({each.rpartition("_")[0] for each in ids[:5]}) == 5
    assert ids[5] == ids[2].removesuffix("_1") + "_2"


async def test_a_number_may_be_used_again():
    async def block(peer, frame):
        for value in "ab":
            await peer.say(call(1, "echo", value))
            assert (await peer.hear())["v"] == value
            await ticks(3)
        await peer.say(done(frame))

    async with scripted(with_blocks(block), tools=[echo]) as session:
        assert len((await session.execute("1")).calls) == 2


async def test_calls_that_are_withdrawn_are_cancelled_and_others_are_not():
    tool = Waiting()

    async def block(peer, frame):
        await peer.say({"t": "cancel", "id": 5}, call(1, "wait", "a"), call(2, "wait", "b"))
        await until(lambda: len(tool.started) == 2)
        await peer.say({"t": "cancel", "id": 1}, {"t": "cancel", "id": 1}, {"t": "cancel", "id": -3})
        await until(lambda: tool.cleaned == ["a"])
        await peer.say(done(frame))

    async with scripted(with_blocks(block), tools=[tool.wait]) as session:
        execution = await session.execute("1")
        assert [seen.error for seen in execution.calls] == [WITHDRAWN, NOT_ANSWERED]
        assert tool.cleaned == ["a", "b"]


async def test_calls_left_over_are_cancelled_and_waited_for_and_answer_nobody():
    tool = Waiting()
    async with scripted(calling(call(1, "wait"), answers=0), tools=[tool.wait]) as session:
        execution = await session.execute("1")
        assert (execution.error, execution.calls[0].error) == (None, NOT_ANSWERED)
        assert (await session.execute("2")).error is None
        assert tool.started == tool.cleaned
        assert "ret" not in session.peer.kinds()


async def test_a_process_that_never_reads_its_answers_is_ended(monkeypatch):
    monkeypatch.setattr(protocol, "MOST_UNREAD", 4 * MAX_BYTES)
    tool = Tool(lambda: "x" * (MAX_BYTES - 1000), name="big")

    async def block(peer, frame):
        await peer.say(*(call(number, "big") for number in range(10)))
        await asyncio.Event().wait()

    async with scripted(with_blocks(block), obey, tools=[tool]) as session:
        execution = await session.execute("1")
        assert "it does not read its answers" in execution.error.message
        assert len(execution.calls) == 10


@pytest.mark.parametrize("tool", ["echo", "nothing"])
async def test_a_number_of_any_length_harms_nobody(tool):
    caught = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: caught.append(context["message"]))
    script = calling(call({"!": "int", "v": "0x" + "f" * 9000}, tool, 1))
    async with scripted(script, obey, tools=[echo]) as session:
        assert (await session.execute("1")).error.lost
        assert caught == []


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("error", [FatalToolError("stop"), ZeroDivisionError("ours")], ids=["fatal", "ours"])
async def test_what_the_caller_raises_ends_the_block_and_the_process(count, error):
    tool = Waiting()

    async def answer(made):
        if made.name == "wait":
            return await tool.wait()
        raise error

    script = calling(call(0, "wait"), *(call(number, "echo", 1) for number in range(1, count + 1)))
    async with scripted(script, obey, tools=[tool.wait, echo], call=answer) as session:
        with pytest.raises(type(error)) as caught:
            await session.execute("1")
        assert caught.value is error
        assert tool.started == tool.cleaned
        assert session.peer.closed
        assert [seen.call.name for seen in session.last.calls][:2] == ["wait", "echo"]
        assert (await session.execute("2")).value == "2"


async def test_what_the_caller_raises_between_two_pieces_ends_the_block():
    called = asyncio.Event()

    async def answer(made):
        called.set()
        raise FatalToolError("stop")

    async def block(peer, frame):
        await peer.say(call(1, "echo", 1), done(frame))

    async def pieces():
        yield "a"
        await called.wait()
        await ticks(5)
        yield "b"

    async with scripted(with_blocks(block), obey, tools=[echo], call=answer) as session:
        with pytest.raises(FatalToolError, match="stop"):
            await session.execute(pieces())
        assert (await session.execute("2")).value == "2"


async def test_what_the_caller_raises_while_it_is_cancelled_ends_the_run():
    async def answer(made):
        try:
            await asyncio.Event().wait()
        finally:
            raise FatalToolError("stop")

    async with scripted(calling(call(1, "echo", 1), answers=0), tools=[echo], call=answer) as session:
        with pytest.raises(FatalToolError, match="stop"):
            await session.execute("1")
        assert session.last.calls[0].error == "FatalToolError: stop"


async def test_an_answer_that_comes_after_the_end_goes_nowhere():
    started = asyncio.Event()

    async def stubborn() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await ticks(30)
        return "anyway"

    async with scripted(calling(call(1, "stubborn")), tools=[stubborn]) as session:
        task = asyncio.create_task(session.execute("1"))
        await started.wait()
        await session.close()
        execution = await task
        assert execution.error.lost
        assert execution.calls[0].value == "anyway"


async def test_answers_to_a_process_that_was_lost_do_not_go_to_the_next():
    async def big(number: int) -> str:
        return "x" * 100_000

    tool = Waiting()

    async def lost(peer):
        await peer.say(READY)
        await peer.hear("exec")
        await peer.say(*(call(number, "big", number) for number in range(100)))
        await peer.hear("ret")

    async def block(peer, frame):
        await peer.say(*(call(number, "wait") for number in range(100)))
        await until(lambda: len(tool.started) > 50)
        await ticks(200)
        await peer.say(call(200, "echo", "last"))
        await peer.say(done(frame, v=(await peer.hear("ret"))["id"]))

    limits = SandboxLimits(calls_at_once=1000)
    async with scripted(lost, with_blocks(block), tools=[big, tool.wait, echo], limits=limits) as session:
        assert (await session.execute("1")).error.lost
        assert (await session.execute("2")).value == 200


# ---- losses in the middle


@pytest.mark.parametrize("how", ["ends", "fatal", "noise", "closes its socket and lives"])
async def test_calls_in_flight_are_cancelled_and_waited_for_when_the_process_is_lost(how):
    tool = Waiting()

    async def block(peer, frame):
        await peer.say(call(1, "wait", "a"), call(2, "wait", "b"))
        await until(lambda: len(tool.started) == 2)
        match how:
            case "ends":
                raise ConnectionError
            case "fatal":
                await peer.say({"t": "fatal", "e": "no"})
            case "noise":
                await peer.write(b"\xff" * 8)
            case _:
                peer._socket.close()
        await asyncio.Event().wait()

    async with scripted(with_blocks(block), obey, tools=[tool.wait]) as session:
        execution = await session.execute("1")
        assert execution.error.lost
        assert sorted(tool.cleaned) == ["a", "b"]
        assert [seen.error for seen in execution.calls] == [NOT_ANSWERED] * 2
        assert session.peer.closed
        assert (await session.execute("2")).value == "2"


# ---- anything at all

LONG = "a long text"
NUMBERS = st.sampled_from([0, 1, 2, 3, -1, 2**40])
VALUES = st.sampled_from(
    [None, 1, "x", [], {}, {"!": "tuple", "v": [1]}, {"!": "bytes", "v": "eA=="}, [[[]]], "x" * 50_000]
)
#: What a hostile process may say, in any order; `None` for an answer with the right number.
FRAMES = st.one_of(
    st.builds(lambda text: {"t": "out", "s": text}, st.sampled_from(["", "x", "\n", "\ud800", LONG])),
    st.builds(
        lambda number, name, args, kwargs: {"t": "call", "n": name, "a": args, "k": kwargs, "id": number},
        NUMBERS,
        st.sampled_from(["echo", "double", "slow", "answer", "nothing", ""]),
        st.lists(VALUES, max_size=3),
        st.dictionaries(st.sampled_from(["value", "x", "name", "z"]), VALUES, max_size=2)
        | st.just({"!": "dict", "v": [[1, 2], ["x", 3]]}),
    ),
    st.builds(lambda number: {"t": "cancel", "id": number}, NUMBERS),
    st.builds(
        lambda number, fields: {"t": "done", "id": number, **fields},
        st.none() | st.none() | NUMBERS,
        st.fixed_dictionaries({}, optional=dict.fromkeys(("v", "repr", "names", "ended", "e"), VALUES)),
    ),
    st.builds(lambda wait: wait, st.integers(1, 9)),  # turns of the loop
    st.sampled_from([READY, {"t": "fatal", "e": "no"}, {"t": "what"}, {}, {"t": "out"}]),
)


def lengthened(frame):
    return json.loads(json.dumps(frame).replace(LONG, "x" * 40_000))


@contextlib.contextmanager
def impatient():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "PATIENCE", 0.05)
        yield


@pytest.mark.timeout(120)
@given(said=st.lists(FRAMES, max_size=12), blocks=st.integers(1, 3), early=st.booleans(), ends=st.booleans())
async def test_whatever_a_process_says_the_host_goes_on(said, blocks, early, ends):
    with impatient():
        await whatever_a_process_says(said, blocks, early, ends)


async def whatever_a_process_says(said, blocks, early, ends):
    caught = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: caught.append(context))
    started, ended = [], []

    async def slow(name: str = "x") -> None:
        started.append(name)
        try:
            await ticks(9)
        finally:
            ended.append(name)

    async def answer() -> str:
        return "the answer"

    async def hostile(peer):
        if not early:
            await peer.say(READY)
            await peer.hear("exec")
        for frame in said:
            if isinstance(frame, int):
                await ticks(frame)
            elif frame.get("t") == "done" and frame["id"] is None:
                number = max((heard["id"] for heard in peer.heard if heard["t"] == "exec"), default=1)
                await peer.say(lengthened({**frame, "id": number}))
            else:
                await peer.say(lengthened(frame))
        if not ends:
            await peer.hear()
            await asyncio.Event().wait()

    tools = [echo, double, slow, Tool(answer, returns_answer=True)]
    limits = SandboxLimits(seconds=0.05, grace=0.05, calls=5, output=1000)
    async with scripted(hostile, obey, tools=tools, limits=limits) as session:
        for _ in range(blocks):
            with contextlib.suppress(SandboxError):
                execution = await session.execute("1")
                assert execution.error is None or isinstance(execution.error, CodeError)
                assert len(execution.calls) <= 5
                assert len(execution.stdout) <= 1000
        assert sorted(started) == sorted(ended)
        value = None
        while value != "last":  # whatever is left of it, in the end there is another
            with contextlib.suppress(SandboxError):
                value = (await session.execute("last")).value
    assert caught == []


# ---- being stopped

QUICK = SandboxLimits(seconds=0.02, grace=3600)


def interruptible(*before):
    """A block that goes on until it is interrupted, and says so."""

    async def block(peer, frame):
        if frame["code"] != "forever":
            await give_back(peer, frame)
            return
        await peer.say(*before)
        await peer.interrupted.wait()
        error = {"type": "KeyboardInterrupt", "message": "", "traceback": "File...", "line": 1}
        await peer.say(done(frame, e=error, names=["kept"]))

    return with_blocks(block)


async def test_a_block_that_takes_too_long_is_interrupted_and_the_process_lives():
    async with scripted(interruptible(out("on")), limits=QUICK) as session:
        execution = await session.execute("forever")
        assert (execution.error.type, execution.error.message) == ("TimeoutError", "the block ran longer than 0.02 s")
        assert (execution.error.traceback, execution.error.line, execution.error.names) == ("File...", 1, ("kept",))
        assert (execution.interrupted, execution.error.lost, execution.stdout) == (True, False, "on")
        assert session.peer.signals.count(signal.SIGINT) == 1
        assert (await session.execute("2")).value == "2"


async def test_the_interrupt_is_repeated_until_it_is_heard():
    async def block(peer, frame):
        while peer.signals.count(signal.SIGINT) < 4:
            await asyncio.sleep(0.001)
        await peer.say(done(frame, e={"type": "KeyboardInterrupt"}))

    async with scripted(with_blocks(block), limits=SandboxLimits(seconds=0.01, grace=0.05)) as session:
        execution = await session.execute("1")
        assert (execution.error.type, execution.error.lost) in [("TimeoutError", False), ("SandboxLost", True)]
        assert session.peer.signals.count(signal.SIGINT) >= 4


async def test_what_does_not_stop_is_killed():
    async def block(peer, frame):
        await asyncio.Event().wait()

    tool = Waiting()
    limits = SandboxLimits(seconds=0.02, grace=0.02)
    async with scripted(with_blocks(block), obey, tools=[tool.wait], limits=limits) as session:
        execution = await session.execute("1")
        assert (execution.error.type, execution.error.lost, execution.interrupted) == ("SandboxLost", True, True)
        assert "longer than 0.02 s, and did not stop when it was interrupted" in execution.error.message
        assert (await session.execute("2")).value == "2"


@pytest.mark.parametrize("said", [{"v": 7}, {"e": {"type": "ValueError", "message": "mine"}}], ids=["value", "error"])
async def test_a_block_may_end_in_another_way_when_it_is_interrupted(said):
    async def block(peer, frame):
        await peer.interrupted.wait()
        await peer.say(done(frame, **said))

    async with scripted(with_blocks(block), limits=QUICK) as session:
        execution = await session.execute("1")
        assert execution.interrupted
        if "v" in said:
            assert (execution.value, execution.error.type) == (7, "TimeoutError")
        else:
            assert (execution.value, execution.error.type, execution.error.message) == (None, "ValueError", "mine")


async def test_interrupt_stops_the_block_that_runs():
    on = asyncio.Event()
    async with scripted(interruptible(out("on"))) as session:
        await session.interrupt()
        task = asyncio.create_task(session.execute("forever", on_output=lambda _: on.set()))
        await on.wait()
        await session.interrupt()
        await session.interrupt()
        execution = await task
        assert (execution.error.type, execution.error.message) == ("KeyboardInterrupt", "the block was interrupted")
        await session.interrupt()
        assert (await session.execute("2")).value == "2"
        assert session.peer.signals.count(signal.SIGINT) == 1


@pytest.mark.parametrize("last", [False, True], ids=["before another", "before the end"])
async def test_interrupt_between_two_pieces_ends_the_block(last):
    tool = Waiting()

    async def pieces():
        yield "a"
        await session.interrupt()
        if not last:
            yield "b"

    async def block(peer, frame):
        if frame["code"] == "a":
            await peer.say(call(1, "wait"))
        await give_back(peer, frame)

    async with scripted(with_blocks(block), tools=[tool.wait]) as session:
        execution = await session.execute(pieces())
        assert (execution.error.type, execution.error.names) == ("KeyboardInterrupt", ("x",))
        assert (execution.code, execution.interrupted, execution.value) == ("a", True, None)
        assert tool.started == tool.cleaned
        assert session.peer.signals.count(signal.SIGINT) == 0
        assert (await session.execute("2")).value == "2"


async def test_the_time_of_pieces_that_are_not_there_yet_does_not_count():
    running = []

    async def pieces():
        yield "a"
        running.append(session._block.clock._timer is not None)
        yield "b"

    async def block(peer, frame):
        running.append(session._block.clock._timer is not None)
        await give_back(peer, frame)

    async with scripted(with_blocks(block)) as session:
        await session.execute(pieces())
        assert running == [True, False, True, True]


# ---- being cancelled


async def test_cancelling_stops_the_block_and_its_calls_and_keeps_the_process():
    tool = Waiting()
    async with scripted(interruptible(out("so far"), call(1, "wait")), tools=[tool.wait]) as session:
        task = asyncio.create_task(session.execute("forever"))
        await until(lambda: tool.started)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tool.cleaned == ["x"]
        assert (session.last.stdout, len(session.last.calls)) == ("so far", 1)
        assert session.last.error.message == "the block was cancelled"
        assert (await session.execute("2")).value == "2"
        assert len(session.peers) == 1


@pytest.mark.parametrize("how", ["ends", "noise", "never stops"])
async def test_a_process_that_is_lost_while_its_block_is_cancelled_is_replaced(how):
    async def block(peer, frame):
        await peer.interrupted.wait()
        if how == "ends":
            raise ConnectionError
        if how == "noise":
            await peer.write(b"\xff" * 8)
        await asyncio.Event().wait()

    async with scripted(with_blocks(block), obey, limits=SandboxLimits(grace=0.02)) as session:
        task = asyncio.create_task(session.execute("1"))
        await until(lambda: session.peers and "exec" in session.peer.kinds())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert session.peer.closed
        assert session.last.error is not None
        assert (await session.execute("2")).value == "2"


def busy():
    """A block with output, a call that ends and one that does not."""

    async def block(peer, frame):
        if frame["code"] != "busy":
            await give_back(peer, frame)
            return
        await peer.say(out("a"), call(10 * frame["id"], "echo", 1), call(10 * frame["id"] + 1, "wait"))
        heard = asyncio.create_task(peer.hear("ret"))
        stopped = asyncio.create_task(peer.interrupted.wait())
        try:
            await asyncio.wait([heard, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not stopped.done():
                await ticks(3)
            await peer.say(done(frame, v="busy", names=["x"]))
        finally:
            heard.cancel()
            stopped.cancel()
            await asyncio.wait([heard, stopped])

    return with_blocks(block)


async def cancelled_after(number, again, pieces):
    """Whether the block was still under way."""
    tool = Waiting()
    async with scripted(busy(), tools=[tool.wait, echo]) as session:
        await session.start()
        code = pieces_of("busy", "busy") if pieces else "busy"
        task = asyncio.create_task(session.execute(code))
        await ticks(number)
        if task.done():
            assert (await task).error is None
            return False
        task.cancel()
        if again is not None:
            await ticks(again)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tool.started == tool.cleaned
        assert session.last is None or session.last.error is not None
        execution = await session.execute("2")
        assert (execution.value, execution.calls, execution.stdout) == ("2", (), "")
        assert len(session.peers) == 1
        return True


@pytest.mark.one_in(3)
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize("again", [None, 0, 1, 2, 4], ids=lambda again: "once" if again is None else f"again-{again}")
async def test_a_block_can_be_cancelled_at_every_turn_and_the_process_lives(again, pieces):
    for number in itertools.count():
        if not await cancelled_after(number, again, pieces):
            break
    assert number > 8


# ---- values


async def test_values_are_set_one_by_one_and_fetched():
    async with scripted() as session:
        await session.set({"a": (1,), "b": None})
        await session.set({})
        assert await session.get("a", "b", "c") == {"a": (1,), "b": None}
        assert await session.get() == {}
        assert [(frame["t"], frame.get("v")) for frame in session.peer.heard[:2]] == [
            ("set", {"a": (1,)}),
            ("set", {"b": None}),
        ]


@pytest.mark.parametrize("name", ["a b", "", "1a", 3, None, "a.b", "class"])
async def test_what_is_no_name_is_refused_before_anything_is_set(name):
    async with scripted() as session:
        with pytest.raises(ConfigurationError, match="a name in Python"):
            await session.set({"fine": 1, name: 2})
        assert session.peers == []


async def test_a_value_that_does_not_fit_is_refused_and_the_others_are_set():
    async with scripted() as session:
        with pytest.raises(ConfigurationError, match=r"set\('b'\): the value is too large"):
            await session.set({"a": 1, "b": "x" * MAX_BYTES, "c": 3})
        assert await session.get("a", "b", "c") == {"a": 1}
        assert len(session.peers) == 1


async def test_a_process_is_frozen_again_when_a_value_does_not_fit():
    async with scripted() as session:
        await session.execute("1")
        with pytest.raises(ConfigurationError):
            await session.set({"b": "x" * MAX_BYTES})
        assert session.peer.signals[-1] == signal.SIGSTOP


async def test_values_that_fit_one_by_one_fit_when_the_process_is_replaced():
    async with scripted() as session:
        await session.set({"a": "x" * 600_000})
        await session.set({"b": "y" * 600_000})
        session.peer.signal(signal.SIGKILL)
        await until(lambda: session._link.loss is not None)
        assert (await session.execute("1")).error.lost
        assert (await session.execute("2")).value == "2"
        assert (await session.get("a"))["a"] + (await session.get("b"))["b"] == "x" * 600_000 + "y" * 600_000


async def test_a_replaced_process_gets_the_values_as_they_were():
    value = [1]
    async with scripted() as session:
        await session.set({"a": value})
        value.append(2)
        session.peer.signal(signal.SIGKILL)
        await until(lambda: session._link.loss is not None)
        await session.execute("lost")
        assert await session.get("a") == {"a": [1]}


@pytest.mark.parametrize(
    "answer",
    [{}, {"v": None}, {"v": [1]}, {"v": "x"}, {"e": {"type": "TooLargeError"}}, {"v": {"!": "record", "v": {}}}],
    ids=repr,
)
async def test_values_that_do_not_come_are_an_error(answer):
    async def script(peer):
        await peer.say(READY)
        await peer.say(done(await peer.hear("get"), **answer))
        await peer.hear()

    async with scripted(script) as session:
        said = "it sent malformed JSON" if "record" in str(answer) else "too large to cross the sandbox"
        with pytest.raises(SandboxError, match=said):
            await session.get("a")


async def test_only_what_was_asked_for_is_given():
    async def script(peer):
        await peer.say(READY)
        await peer.say(done(await peer.hear("get"), v={"!": "dict", "v": [["a", 1], ["b", 2], [3, 4]]}))
        await peer.hear()

    async with scripted(script) as session:
        assert await session.get("a") == {"a": 1}


@pytest.mark.parametrize("action", ["set", "get"])
@pytest.mark.parametrize("how", ["ends", "says nothing", "noise", "another answer", "ready"])
async def test_a_process_that_is_lost_meanwhile_is_an_error_and_replaced(monkeypatch, action, how):
    monkeypatch.setattr(link, "PATIENCE", 0.05)

    async def script(peer):
        await peer.say(READY)
        frame = await peer.hear(action)
        match how:
            case "ends":
                return
            case "noise":
                await peer.write(b"\xff" * 8)
            case "another answer":
                await peer.say({"t": "done", "id": frame["id"] + 1})
            case "ready":
                await peer.say(READY)
        await asyncio.Event().wait()

    async with scripted(script, obey) as session:
        with pytest.raises(SandboxError, match=r"^The sandbox was ended: it "):
            await (session.set({"a": 1}) if action == "set" else session.get("a"))
        assert session.peer.closed
        assert (await session.execute("2")).value == "2"
        assert await session.get("a") == {}


@pytest.mark.parametrize("action", ["set", "get"])
async def test_a_process_that_has_been_lost_before_is_an_error_and_replaced(action):
    async with scripted() as session:
        await session.start()
        session.peer.signal(signal.SIGKILL)
        await until(lambda: session._link.loss is not None)
        with pytest.raises(SandboxError, match="it ended"):
            await (session.set({"a": 1}) if action == "set" else session.get("a"))
        assert (await session.execute("2")).value == "2"


@pytest.mark.parametrize("action", ["set", "get"])
async def test_setting_and_getting_can_be_cancelled_at_every_turn_and_the_process_lives(action):
    for number in itertools.count():
        async with scripted() as session:
            await session.start()
            task = asyncio.create_task(session.set({"a": 1}) if action == "set" else session.get("a"))
            await ticks(number)
            if task.done():
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await session.execute("2")).value == "2", number
    assert number > 3


# ---- frozen between blocks


async def test_a_process_is_frozen_between_blocks():
    async with scripted() as session:
        await session.execute("1")
        assert session.peer.signals == [signal.SIGSTOP]
        await session.execute("2")
        assert session.peer.signals[1:] == [signal.SIGCONT, signal.SIGSTOP]
        await session.set({"a": 1, "b": 2})
        assert session.peer.signals[3:] == [signal.SIGCONT, signal.SIGSTOP]
        await session.get("a")
        assert session.peer.signals[5:] == [signal.SIGCONT, signal.SIGSTOP]
        await session.close()
        assert set(session.peer.signals[7:]) == {signal.SIGKILL}


async def test_a_process_is_frozen_after_a_block_that_was_cancelled():
    async with scripted(interruptible()) as session:
        task = asyncio.create_task(session.execute("forever"))
        await until(lambda: session.peers and "exec" in session.peer.kinds())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert session.peer.signals == [signal.SIGINT, signal.SIGSTOP]


# ---- closing


async def test_a_closed_session_says_so():
    async with scripted() as session:
        await session.execute("1")
        await session.close()
        await session.close()
        for use in (session.start(), session.execute("1"), session.set({"a": 1}), session.get("a")):
            with pytest.raises(SandboxError, match="This sandbox session is closed"):
                await use
        await session.interrupt()
        assert len(session.peers) == 1


async def test_a_session_that_was_never_used_is_closed():
    async with scripted() as session:
        await session.close()
        with pytest.raises(SandboxError, match="closed"):
            await session.start()
        assert session.peers == []


async def test_closing_ends_the_block_that_runs():
    tool = Waiting()
    async with scripted(interruptible(call(1, "wait")), tools=[tool.wait]) as session:
        task = asyncio.create_task(session.execute("forever"))
        await until(lambda: tool.started)
        await session.close()
        execution = await task
        assert (execution.error.type, execution.error.lost) == ("SandboxLost", True)
        assert "it was closed" in execution.error.message
        assert tool.cleaned == ["x"]


@pytest.mark.xfail(reason="closing waits for whoever waits for the next piece", raises=TimeoutError)
async def test_closing_does_not_wait_for_pieces_that_never_come():
    async def pieces():
        yield "a"
        await asyncio.Event().wait()

    async with scripted() as session:
        task = asyncio.create_task(session.execute(pieces()))
        await until(lambda: session.peers and "exec" in session.peer.kinds())
        await ticks(20)
        try:
            await asyncio.wait_for(session.close(), 1)
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_closing_waits_for_the_end_even_when_it_is_cancelled():
    ended = asyncio.Event()

    async def slow(peer):
        try:
            await peer.serve()
        finally:
            await ended.wait()

    async with scripted(slow) as session:
        await session.start()
        task = asyncio.create_task(session.close())
        for _ in range(3):
            await ticks(3)
            task.cancel()
        await ticks(3)
        assert not task.done()
        ended.set()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_a_session_that_starts_leaves_no_process():
    async with scripted() as session:
        task = asyncio.create_task(session.start())
        await ticks(2)
        await session.close()
        with pytest.raises(SandboxError):
            await task
        assert all(peer.closed for peer in session.peers)


async def closed_after(number, pieces):
    """Whether the session was still at work."""
    tool = Waiting()
    async with scripted(busy(), tools=[tool.wait, echo]) as session:
        code = pieces_of("busy", "busy") if pieces else "busy"
        task = asyncio.create_task(session.execute(code))
        await ticks(number)
        under_way = not task.done()
        await session.close()
        try:
            execution = await task
        except SandboxError:
            pass
        else:
            assert execution.error is None or execution.error.lost
        assert tool.started == tool.cleaned
        assert all(peer.closed for peer in session.peers), number
        return under_way


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
async def test_a_session_can_be_closed_at_every_turn(pieces):
    for number in itertools.count():
        if not await closed_after(number, pieces):
            break
    assert number > 8


# ---- several tasks


async def test_blocks_of_several_tasks_run_one_after_the_other():
    running = []

    async def block(peer, frame):
        running.append(frame["code"])
        await ticks(5)
        await give_back(peer, frame)
        assert running.pop() == frame["code"]

    async with scripted(with_blocks(block)) as session:
        codes = [f"block {number}" for number in range(10)]
        executions = await asyncio.gather(*map(session.execute, codes))
        assert [execution.value for execution in executions] == codes
        assert [execution.code for execution in executions] == codes
        assert len(session.peers) == 1


async def test_everything_at_once_is_done_in_turn():
    async with scripted(tools=[echo]) as session:
        results = await asyncio.gather(
            session.set({"a": 1}),
            session.execute("1"),
            session.get("a"),
            session.interrupt(),
            session.set({"b": 2}),
            session.get("a", "b"),
            session.execute("2"),
        )
        assert [result if isinstance(result, dict | None) else result.value for result in results] == [
            None,
            "1",
            {"a": 1},
            None,
            None,
            {"a": 1, "b": 2},
            "2",
        ]


async def test_one_who_waits_for_a_turn_can_be_cancelled():
    on = asyncio.Event()
    async with scripted(interruptible(out("on"))) as session:
        first = asyncio.create_task(session.execute("forever", on_output=lambda _: on.set()))
        await on.wait()
        second, third = (asyncio.create_task(session.execute(code)) for code in ("2", "3"))
        await ticks(3)
        second.cancel()
        await session.interrupt()
        assert (await first).error.type == "KeyboardInterrupt"
        assert (await third).value == "3"
        with pytest.raises(asyncio.CancelledError):
            await second


async def test_those_who_wait_when_it_is_closed_are_told():
    on = asyncio.Event()
    async with scripted(interruptible(out("on"))) as session:
        tasks = [asyncio.create_task(session.execute("forever", on_output=lambda _: on.set()))]
        await on.wait()
        tasks += [asyncio.create_task(use) for use in (session.execute("2"), session.get("a"), session.set({"a": 1}))]
        await ticks(3)
        await session.close()
        first, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert first.error.lost
        assert [str(other) for other in others] == ["This sandbox session is closed."] * 3
