"""The child's runtime in the main thread of the test, and its host in another."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import inspect
import json
import linecache
import multiprocessing.context
import os
import random
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field

from tinyagent.core.codec import pack
from tinyagent.sandbox.child import session
from tinyagent.sandbox.child.interrupts import interrupts
from tinyagent.sandbox.frames import FrameBuffer, decode_frame, encode_frame
from tinyagent.sandbox.protocol import exception_data

#: Seconds after which a test that hangs is given up.
PATIENCE = 30


class HostGone(BaseException):
    """The runtime has found that its host has gone; it would end its process."""


@dataclass
class Ran:
    """What one command gave."""

    done: dict
    frames: list = field(default_factory=list)

    @property
    def value(self):
        assert self.done.get("e") is None, self.done["e"]["traceback"]
        return self.done["v"]

    @property
    def error(self):
        return self.done.get("e")

    @property
    def stdout(self):
        return "".join(frame["s"] for frame in self.frames if frame["t"] == "out")

    @property
    def calls(self):
        return [frame for frame in self.frames if frame["t"] == "call"]

    def kinds(self):
        return [frame["t"] for frame in self.frames]


class Host:
    """Commands the runtime, and answers its calls.

    Attributes:
        answer: Answers a call: gets its frame, and gives a value, an exception, or `None` for an answer later.
    """

    LATER = object()

    def __init__(self, sock):
        self._socket = sock
        self._socket.settimeout(PATIENCE)
        self._buffer = FrameBuffer()
        self._frames = 0
        self._blocks = 0
        self.answer = lambda frame: frame["a"][0] if frame["a"] else None
        self.hearing = lambda frame: None
        self.main = threading.main_thread().ident

    def hear(self):
        while (body := self._buffer.next()) is None:
            data = self._socket.recv(1 << 18)
            assert data, "the runtime has ended"
            self._buffer.add(data)
        return decode_frame(body)

    def send(self, **frame):
        self._socket.sendall(encode_frame(frame))

    def ret(self, call, value=None):
        """Answer a call."""
        if isinstance(value, BaseException):
            self.send(t="ret", id=call, e=exception_data(value))
        elif value is Ellipsis:
            self.send(t="ret", id=call, end=True)
        else:
            self.send(t="ret", id=call, v=pack(value, records=True))

    def command(self, kind, **fields):
        """Send a command, and hear everything until it is done."""
        self._frames += 1
        self.send(t=kind, id=self._frames, **fields)
        ran = Ran({})
        while True:
            frame = self.hear()
            self.hearing(frame)
            if frame["t"] == "done":
                assert frame["id"] == self._frames
                ran.done = frame
                return ran
            ran.frames.append(frame)
            if frame["t"] == "call" and (value := self.answer(frame)) is not self.LATER:
                self.ret(frame["id"], value)

    def run(self, *pieces):
        """Run a block, in one or several pieces; the result of the last."""
        self._blocks += 1
        line = 1
        for place, code in enumerate(pieces):
            last = place == len(pieces) - 1
            ran = self.command("exec", code=code, file=f"<block {self._blocks}>", line=line, last=last)
            line += code.count("\n")
        return ran

    def tools(self, seed=None, **tools):
        """Give tools: `name=True` for an async one."""
        described = [{"name": name, "async": is_async, "doc": f"Do {name}."} for name, is_async in tools.items()]
        self.send(t="tools", tools=described, seed=seed)

    def interrupt(self):
        signal.pthread_kill(self.main, signal.SIGINT)

    def run_interrupted(self, code, after="on"):
        """Run a block that prints `after` and goes on; interrupt it again and again, as the host does."""
        over = threading.Event()

        def repeat():
            while not over.wait(0.02):
                self.interrupt()

        repeating = threading.Thread(target=repeat)

        def hearing(frame):
            if frame["t"] == "out" and after in frame["s"] and not repeating.is_alive() and not over.is_set():
                repeating.start()

        self.hearing = hearing
        try:
            return self.run(code)
        finally:
            over.set()
            self.hearing = lambda frame: None
            if repeating.ident is not None:
                repeating.join()


#: What a session changes for good, as its process is its own.
TAUGHT = (asyncio, asyncio.BaseEventLoop, asyncio.Runner, json.JSONEncoder)


def keep_as_it_is(monkeypatch):
    """Have everything that a session changes in its process changed back at the end of the test."""
    for taught in TAUGHT:
        for name, value in inspect.getmembers_static(taught, inspect.isfunction):
            if name in vars(taught):
                monkeypatch.setattr(taught, name, value)


@contextlib.contextmanager
def player(monkeypatch):
    """Runs a script for the host in a thread, and a session for it here, as its process would."""
    for name in ("stdout", "stderr", "stdin", "__stdout__", "__stderr__", "argv"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    policy = asyncio.get_event_loop_policy()
    monkeypatch.setattr(policy, "get_event_loop", policy.get_event_loop)
    keep_as_it_is(monkeypatch)
    for name in (*session.helpers(), "exit", "quit", "help"):
        monkeypatch.setattr(builtins, name, getattr(builtins, name, None), raising=False)
    for name in ("Lock", "RLock"):
        monkeypatch.setattr(
            multiprocessing.context.BaseContext, name, getattr(multiprocessing.context.BaseContext, name)
        )

    def leave(status):
        raise HostGone(status)

    monkeypatch.setattr(os, "_exit", leave)
    handler, dice = signal.getsignal(signal.SIGINT), random.getstate()
    session.prepare()

    def play(script):
        ours, theirs = socket.socketpair()
        runtime = session.Session(theirs)
        failures = []

        def host():
            with ours:
                try:
                    speaker = Host(ours)
                    assert speaker.hear() == {"t": "ready", "landlock": 0}
                    script(speaker)
                except BaseException as error:
                    failures.append(error)

        thread = threading.Thread(target=host)
        thread.start()
        try:
            with contextlib.suppress(HostGone, ConnectionError):
                runtime.serve({"landlock": 0})
        finally:
            with contextlib.suppress(OSError):  # the host has closed its end
                theirs.shutdown(socket.SHUT_RDWR)
            thread.join()
            theirs.close()
            interrupts.running = False
            runtime._loop.close()
            asyncio.set_event_loop(None)
            for stream in (runtime._output.stdout, runtime._output.stderr):
                with contextlib.suppress(ValueError, ConnectionError):
                    stream.close()
        if failures:
            raise failures[0]

    yield play
    signal.signal(signal.SIGINT, handler)
    random.setstate(dice)
    for file in [file for file in linecache.cache if file.startswith("<block")]:
        del linecache.cache[file]
