"""`Connection`: frames over a real socket, each connection in its turn, and the first wrong one is the last."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import json
import math
import socket
import weakref

import pytest
from hypothesis import given, strategies as st

from tinyagent.core.codec import MAX_BYTES, Record, TooLargeError
from tinyagent.sandbox import protocol
from tinyagent.sandbox.frames import FrameBuffer, decode_frame, encode_frame
from tinyagent.sandbox.protocol import MOST_UNREAD, Connection, exception_data

pytestmark = pytest.mark.each_loop

#: What makes a frame wait its turn, and what does not.
LARGE = protocol.LARGE
OUT = len(json.dumps({"t": "out", "s": ""}, separators=(",", ":")))


def out(text):
    return encode_frame({"t": "out", "s": text})


def large(name, size=LARGE + 1):
    """An output frame of so many bytes, which begins with its name."""
    return out(name.ljust(size - OUT, "."))


class Turns:
    """Counts the turns of the loop."""

    def __init__(self):
        self.number = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._count)

    def _count(self):
        self.number += 1
        self._handle = self._loop.call_soon(self._count)

    def stop(self):
        self._handle.cancel()


class Peer:
    """A connection, the other end of its socket, and what was heard."""

    def __init__(self, name, turns, on_frame):
        self.name = name
        self.heard = []  # frames
        self.lost = []  # reasons
        self.when = []  # turns in which frames were heard
        self.bodies = []
        self._turns = turns
        self._on_frame = on_frame
        self.connection = Connection(self._hear, self.lost.append)

    async def connect(self):
        ours, self.socket = socket.socketpair()
        ours.setblocking(False)
        self.socket.setblocking(False)
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_unix_connection(lambda: self.connection, sock=ours)
        return self

    def _hear(self, frame, body):
        assert frame == decode_frame(body)
        self.heard.append(frame)
        self.bodies.append(body)
        self.when.append(self._turns.number)
        self._on_frame(self, frame)

    def texts(self):
        return [frame["s"].rstrip(".") for frame in self.heard]

    def write(self, data):
        """All of it at once: it fits into the socket."""
        assert self.socket.send(data) == len(data)

    async def stream(self, data):
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0)

    async def frames(self, number):
        """The next frames that the connection has sent."""
        buffer, found = FrameBuffer(), []
        async with asyncio.timeout(20):
            while len(found) < number:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20)
                assert data
                buffer.add(data)
                while (body := buffer.next()) is not None:
                    found.append(decode_frame(body, records=True))
        return found

    async def end(self):
        """Read until the connection is closed."""
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                while await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20):
                    pass


@contextlib.asynccontextmanager
async def connected(number=1, on_frame=lambda peer, frame: None):
    """That many connections."""
    turns = Turns()
    peers = [Peer("abcdefgh"[place], turns, on_frame) for place in range(number)]
    for peer in peers:
        await peer.connect()
    try:
        yield peers[0] if number == 1 else peers
    finally:
        for peer in peers:
            peer.connection.close()
            peer.socket.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        turns.stop()


# ---- frames


FRAMES = [
    {"t": "ready"},
    {"t": "ready", "landlock": 4, "anything": [1]},
    {"t": "out", "s": ""},
    {"t": "out", "s": "tea ü \ud800", "more": 1},
    {"t": "call", "id": 0, "n": "", "a": [], "k": {}},
    {"t": "call", "id": -5, "n": "echo", "a": [1, {"!": "tuple", "v": [2]}], "k": {"x": None}},
    {"t": "cancel", "id": 7},
    {"t": "done", "id": 1, "v": {"!": "set", "v": [1]}},
    {"t": "fatal", "e": "LockError: no"},
]


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 10_000])
async def test_frames_are_heard_in_whatever_pieces_they_come(pieces):
    data = b"".join(map(encode_frame, FRAMES))
    size = -(-len(data) // pieces)
    async with connected() as peer:
        for start in range(0, len(data), size):
            await peer.stream(data[start : start + size])
            await asyncio.sleep(0)
        await peer.until(lambda: len(peer.heard) == len(FRAMES))
        assert peer.bodies == [encode_frame(frame)[4:] for frame in FRAMES]
        assert peer.lost == []


async def test_frames_are_sent_whole():
    async with connected() as peer:
        for frame in FRAMES:
            peer.connection.send(frame)
        assert await peer.frames(len(FRAMES)) == [decode_frame(encode_frame(frame)[4:]) for frame in FRAMES]


async def test_a_process_that_ends_is_told_once():
    async with connected() as peer:
        peer.write(out("last words"))
        peer.socket.close()
        await peer.until(lambda: peer.lost)
        assert peer.texts() == ["last words"]
        assert peer.lost == ["it ended"]
        peer.connection.connection_lost(None)
        assert peer.lost == ["it ended"]


async def test_a_process_that_ends_in_the_middle_of_a_frame_is_told():
    async with connected() as peer:
        peer.write(out("whole") + out("half")[:-3])
        peer.socket.close()
        await peer.until(lambda: peer.lost)
        assert (peer.texts(), peer.lost) == (["whole"], ["it ended"])


async def test_large_frames_are_heard_before_the_end():
    async with connected() as peer:
        peer.write(large("a1") + large("a2") + out("a3"))
        peer.socket.close()
        await peer.until(lambda: peer.lost)
        assert (peer.texts(), peer.lost) == (["a1", "a2", "a3"], ["it ended"])


# ---- turns


async def test_large_frames_of_several_processes_are_heard_one_in_a_turn_each_in_its_own():
    async with connected(3) as peers:
        order = []
        for peer in peers:
            peer._on_frame = lambda peer, frame: order.append(frame["s"].rstrip("."))
            peer.write(b"".join(large(f"{peer.name}{number}") for number in range(3)))
        await peers[-1].until(lambda: len(order) == 9)
        assert sorted(order[:3]) == ["a0", "b0", "c0"]
        assert [name[1] for name in order] == ["0"] * 3 + ["1"] * 3 + ["2"] * 3
        assert order[3:] == [name[0] + str(int(name[1]) + 1) for name in order[:-3]]
        turns = sorted(turn for peer in peers for turn in peer.when)
        assert len(set(turns)) == 9


async def test_a_large_frame_holds_up_only_those_behind_it(monkeypatch):
    monkeypatch.setattr(protocol, "_BUDGET", 1000.0)
    async with connected(2) as (one, other):
        one.write(out("before") + large("large") + out("behind"))
        other.write(b"".join(out(str(number)) for number in range(100)))
        await one.until(lambda: len(one.heard) == 3 and len(other.heard) == 100)
        assert one.texts() == ["before", "large", "behind"]
        assert len(set(other.when)) == 1
        assert one.when[0] < one.when[1] == one.when[2]


async def test_a_frame_is_large_from_a_size_on():
    async with connected() as peer:
        peer.write(large("fits", LARGE) + large("large", LARGE + 1))
        await peer.until(lambda: len(peer.heard) == 2)
        assert [len(body) for body in peer.bodies] == [LARGE, LARGE + 1]
        assert peer.when[0] < peer.when[1]


@pytest.mark.parametrize(("budget", "turns"), [(-1.0, 50), (1000.0, 1)], ids=["used up by each", "enough for all"])
async def test_when_the_time_is_used_up_the_frames_behind_wait_for_the_next_turn(monkeypatch, budget, turns):
    monkeypatch.setattr(protocol, "_BUDGET", budget)
    async with connected() as peer:
        peer.write(b"".join(out(str(number)) for number in range(50)))
        await peer.until(lambda: len(peer.heard) == 50)
        assert peer.texts() == [str(number) for number in range(50)]
        assert len(set(peer.when)) == turns


async def test_when_the_time_is_used_up_the_others_have_their_turns(monkeypatch):
    monkeypatch.setattr(protocol, "_BUDGET", -1.0)
    async with connected(2) as (one, other):
        order = []
        for peer in (one, other):
            peer._on_frame = lambda peer, frame: order.append(peer.name)
            peer.write(b"".join(out(str(number)) for number in range(20)))
        await one.until(lambda: len(order) == 40)
        assert order[2:].count("a") == order[2:].count("b")
        assert all(order[place] != order[place + 1] for place in range(2, 39))


async def test_nothing_is_read_while_a_frame_waits_its_turn():
    async with connected(2) as (one, other):
        reading = []
        one._on_frame = lambda peer, frame: reading.append(peer.transport.is_reading())
        one.write(out("small"))
        await one.until(lambda: reading)
        one.write(large("large"))
        await one.until(lambda: len(reading) == 2)
        assert reading == [True, False]
        await one.until(one.transport.is_reading)
        one.write(out("small again"))
        await one.until(lambda: len(reading) == 3)
        assert reading[2]
        assert other.heard == []


async def test_more_than_the_socket_holds_is_heard_in_order():
    sent = [f"{number} " + "x" * (LARGE * (number % 5) // 2) for number in range(200)]
    async with connected() as peer:
        await asyncio.gather(peer.stream(b"".join(map(out, sent))), peer.until(lambda: len(peer.heard) == len(sent)))
        assert [frame["s"] for frame in peer.heard] == sent


@given(
    st.lists(
        st.lists(st.sampled_from([0, 10, LARGE - 100, LARGE + 100, 3 * LARGE]), max_size=6), min_size=3, max_size=3
    )
)
async def test_the_order_of_a_process_is_kept_whatever_the_sizes(sizes):
    async with connected(3) as peers:
        for peer, lengths in zip(peers, sizes, strict=True):
            data = b"".join(out(f"{place}:{'x' * length}") for place, length in enumerate(lengths))
            peer.sent = asyncio.create_task(peer.stream(data))
        for peer, lengths in zip(peers, sizes, strict=True):
            await peer.sent
            await peer.until(lambda peer=peer, lengths=lengths: len(peer.heard) == len(lengths))
            assert [len(frame["s"]) - 2 for frame in peer.heard] == lengths
            assert [int(frame["s"][0]) for frame in peer.heard] == list(range(len(lengths)))


async def test_a_hearer_that_fails_in_its_turn_does_not_stop_the_turns_of_the_others():
    caught = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: caught.append(context["exception"]))

    def fail(peer, frame):
        if peer.name == "a":
            raise KeyError("mine")

    async with connected(2, fail) as (one, other):
        one.write(large("a0"))
        other.write(large("b0") + large("b1"))
        await other.until(lambda: len(other.heard) == 2)
        assert (len(one.heard), [type(error) for error in caught]) == (1, [KeyError])


def test_every_loop_has_turns_of_its_own_and_is_forgotten_with_them():
    async def work():
        async with connected() as peer:
            peer.write(large("large") + out("small"))
            await peer.until(lambda: len(peer.heard) == 2)
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(work()) for _ in range(3)]
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3


# ---- the end

WRONG = {
    "no kind": {},
    "kind of nothing": {"t": None},
    "kind of a number": {"t": 1},
    "kind of a list": {"t": ["out"]},
    "kind of a set": {"t": {"!": "set", "v": []}},
    "unknown kind": {"t": "root"},
    "kind of the host": {"t": "exec", "id": 1, "code": "", "file": "x", "line": 1, "last": True},
    "answer of the host": {"t": "ret", "id": 1, "v": 1},
    "output without text": {"t": "out"},
    "output of nothing": {"t": "out", "s": None},
    "output of bytes": {"t": "out", "s": {"!": "bytes", "v": ""}},
    "output of a value's text": {"t": "out", "s": {"!": "text", "v": "x", "type": "T"}},
    "call without an id": {"t": "call", "n": "echo", "a": [], "k": {}},
    "call with a text as id": {"t": "call", "id": "1", "n": "echo", "a": [], "k": {}},
    "call with true as id": {"t": "call", "id": True, "n": "echo", "a": [], "k": {}},
    "call with a fraction as id": {"t": "call", "id": 1.0, "n": "echo", "a": [], "k": {}},
    "call without a name": {"t": "call", "id": 1, "a": [], "k": {}},
    "call without arguments": {"t": "call", "id": 1, "n": "echo", "k": {}},
    "call with a tuple": {"t": "call", "id": 1, "n": "echo", "a": {"!": "tuple", "v": []}, "k": {}},
    "call without keywords": {"t": "call", "id": 1, "n": "echo", "a": []},
    "call with a record": {"t": "call", "id": 1, "n": "echo", "a": [], "k": {"!": "record", "v": {}}},
    "cancel without an id": {"t": "cancel"},
    "cancel of nothing": {"t": "cancel", "id": None},
    "done without an id": {"t": "done"},
    "done with a list": {"t": "done", "id": [1]},
    "fatal without a reason": {"t": "fatal"},
    "fatal of an object": {"t": "fatal", "e": {}},
}


def raw(body):
    return len(body).to_bytes(4, "big") + body


WRONG_BYTES = {
    "not JSON": raw(b"<html>"),
    "empty": raw(b""),
    "a list": raw(b"[]"),
    "NaN": raw(b'{"t":"out","s":NaN}'),
    "wrong UTF-8": raw(b'{"t":"out","s":"\xff"}'),
    "too long": (2**20 + 1).to_bytes(4, "big") + b"{",
    "far too long": b"\xff" * 9,
    "too deep": raw(b'{"t":"out","s":' + b"[" * 90_000 + b"]" * 90_000 + b"}"),
    "large and wrong": raw(b'{"t":"out","s":"' + b"x" * LARGE + b'"'),
    "large and unknown": encode_frame({"t": "x" * LARGE}),
    "unknown tag": raw(b'{"t":"done","id":1,"v":{"!":"bomb","v":1}}'),
}


@pytest.mark.parametrize("name", [*WRONG, *WRONG_BYTES])
async def test_a_wrong_frame_is_the_last_that_is_heard(name):
    data = WRONG_BYTES[name] if name in WRONG_BYTES else encode_frame(WRONG[name])
    async with connected() as peer:
        await peer.stream(out("before") + data)
        with contextlib.suppress(ConnectionError):
            await peer.stream((out("after") + large("after")) * 3 + data)
        await peer.end()
        assert peer.texts() == ["before"]
        assert len(peer.lost) == 1
        assert peer.lost[0].startswith("it sent ")
        assert len(peer.lost[0]) < 100
        assert peer.transport.is_closing()


@pytest.mark.parametrize(
    "behind", [out("behind"), large("behind"), b"\xff" * 8, b""], ids=["small", "large", "wrong", "end"]
)
@pytest.mark.parametrize("first", [out("first"), large("first")], ids=["small", "large"])
async def test_nothing_is_heard_after_a_failure(first, behind):
    async with connected(on_frame=lambda peer, frame: peer.connection.fail("enough")) as peer:
        await peer.stream(first + behind * 3)
        await peer.end()
        assert (peer.texts(), peer.lost) == (["first"], ["enough"])
        peer.connection.fail("again")
        peer.connection.data_received(out("late"))
        assert (peer.texts(), peer.lost) == (["first"], ["enough"])


@pytest.mark.parametrize("first", [out("first"), large("first")], ids=["small", "large"])
async def test_nobody_is_told_when_we_close(first):
    async with connected(on_frame=lambda peer, frame: peer.connection.close()) as peer:
        await peer.stream(first + out("behind") + large("behind"))
        await peer.end()
        await asyncio.sleep(0)
        assert (peer.texts(), peer.lost) == (["first"], [])


async def test_a_frame_that_waits_its_turn_is_not_heard_after_the_end():
    async with connected(2) as (one, other):
        other._on_frame = lambda peer, frame: one.connection.fail("enough")
        one.connection.data_received(large("waits") + out("behind"))
        other.connection.data_received(out("now"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert (one.heard, one.lost) == ([], ["enough"])
        assert one.connection._large is None


# ---- sending


async def test_sending_before_or_after_is_harmless():
    connection = Connection(lambda frame, body: None, lambda reason: None)
    connection.send({"t": "get", "id": 1})
    await connection.send_value({"t": "ret", "id": 1}, "x" * 2 * MAX_BYTES)
    connection.close()
    connection.fail("late")
    async with connected() as peer:
        peer.connection.send({"t": "get", "id": 1})
        await peer.frames(1)
        peer.connection.close()
        for _ in range(10):
            peer.connection.send({"t": "get", "id": 1})
            await peer.connection.send_value({"t": "ret", "id": 1}, 5)
            await asyncio.sleep(0)
        await peer.end()
        assert peer.lost == []


async def test_sending_to_a_process_that_has_gone_is_harmless():
    async with connected() as peer:
        peer.socket.close()
        for _ in range(10):
            peer.connection.send({"t": "get", "id": 1})
        await peer.until(lambda: peer.lost)
        peer.connection.send({"t": "get", "id": 1})
        assert peer.lost == ["it ended"]


async def test_a_process_that_does_not_read_its_answers_is_lost():
    frame = {"t": "ret", "id": 1, "v": "x" * (MAX_BYTES - 100)}
    async with connected() as peer:
        unread, sent = 0, 0
        while not peer.lost:
            unread = peer.transport.get_write_buffer_size()
            assert unread <= MOST_UNREAD
            peer.connection.send(frame)
            sent += 1
        assert peer.lost == ["it does not read its answers"]
        assert unread + MAX_BYTES > MOST_UNREAD
        peer.connection.send(frame)
        assert peer.lost == ["it does not read its answers"]


async def test_what_does_not_fit_is_an_error_and_harms_nothing():
    async with connected() as peer:
        with pytest.raises(TooLargeError):
            peer.connection.send({"t": "ret", "id": 1, "v": "x" * MAX_BYTES})
        peer.connection.send({"t": "ret", "id": 2, "v": 1})
        assert await peer.frames(1) == [{"t": "ret", "id": 2, "v": 1}]


@dataclasses.dataclass
class Point:
    x: int


async def test_values_are_sent_with_their_fields_as_records():
    async with connected() as peer:
        await peer.connection.send_value({"t": "ret", "id": 1}, [Point(1), (2,)])
        (frame,) = await peer.frames(1)
        assert frame == {"t": "ret", "id": 1, "v": [{"x": 1}, (2,)]}
        assert type(frame["v"][0]) is Record


@pytest.mark.parametrize("value", ["x" * 2 * MAX_BYTES, "x" * (MAX_BYTES - 20), [[]] * 100_000, [0] * MAX_BYTES])
async def test_a_value_that_does_not_fit_is_sent_as_an_error(value):
    async with connected() as peer:
        await peer.connection.send_value({"t": "ret", "id": 1}, value)
        (frame,) = await peer.frames(1)
        assert (frame["id"], frame["e"]["type"], frame["e"]["bases"][0]) == (1, "TooLargeError", "ValueError")
        assert "too large" in frame["e"]["text"]
        assert "v" not in frame


# ---- exceptions of the host


class Missing(LookupError):
    pass


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (ValueError("bad", 3), {"bases": ["Exception", "BaseException"], "args": ["bad", 3], "text": "('bad', 3)"}),
        (ValueError(), {"bases": ["Exception", "BaseException"], "args": [], "text": ""}),
        (KeyError("a"), {"bases": ["LookupError", "Exception", "BaseException"], "args": ["a"], "text": "'a'"}),
        (
            Missing("no tea"),
            {"bases": ["LookupError", "Exception", "BaseException"], "args": ["no tea"], "text": "no tea"},
        ),
        (ValueError(None, True, 1.5), {"args": [None, True, 1.5]}),
        (ValueError(math.nan), {"args": [{"!": "float", "v": "nan"}], "text": "nan"}),
        (ValueError(2**80), {"args": [{"!": "int", "v": hex(2**80)}]}),
        (ValueError([1]), {"args": ["[1]"], "text": "[1]"}),
        (ValueError("a", b"b"), {"args": ["('a', b'b')"]}),
        (Unprintable("x"), {"args": ["x"], "text": "Unprintable('x')"}),
        (Unprintable([1]), {"args": ["Unprintable([1])"], "text": "Unprintable([1])"}),
        (ValueError("x" * 5000), {"args": ["x" * 4000], "text": "x" * 4000}),
        (ValueError(*range(20)), {"args": list(range(10))}),
        (ValueError(*range(11), [1]), {"args": list(range(10))}),
        (ExceptionGroup("two", [KeyError(1)]), {"bases": ["BaseExceptionGroup", "Exception", "BaseException"]}),
        (asyncio.CancelledError("x"), {"bases": ["BaseException"], "args": ["x"]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_is_told_by_its_type_its_bases_and_its_arguments(error, data):
    found = exception_data(error)
    assert found["type"] == type(error).__name__
    assert {name: found[name] for name in data} == data
    encode_frame(found)


class Evil(str):
    __slots__ = ()

    def __getitem__(self, key):
        raise RuntimeError("no")


class Nameless(ValueError):
    args = (Evil("x"),)


def test_an_exception_made_to_be_hard_to_tell_is_told():
    found = exception_data(Nameless("text"))
    assert (found["type"], found["args"]) == ("Nameless", [found["text"]])
    long = type("T" * 5000, (ValueError,), {})
    for _ in range(50):
        long = type("T" * 5000, (long,), {})
    found = exception_data(long("x"))
    assert (found["type"], len(found["bases"])) == ("T" * 200, 3)


@pytest.mark.parametrize("args", [("x" * 2 * MAX_BYTES,), ("x" * 200_000,) * 9], ids=["one", "together"])
def test_an_exception_of_any_length_fits_into_a_frame(args):
    encode_frame(exception_data(ValueError(*args)))
