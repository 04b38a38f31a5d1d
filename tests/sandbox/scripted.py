"""A session whose process is a script of the test, at the other end of a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

from tinyagent.core.codec import pack
from tinyagent.sandbox.base import SandboxLimits, caller_of, tools_by_name
from tinyagent.sandbox.frames import FrameBuffer, decode_frame, encode_frame
from tinyagent.sandbox.session import ProcessSession

#: Turns of the loop in which callbacks on their way out may end.
LAST_TURNS = 10


async def ticks(number):
    for _ in range(number):
        await asyncio.sleep(0)


async def until(condition):
    """Wait for what tasks and sockets of this loop bring about."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


class Peer:
    """The process of a session: its socket, its signals, and the task of its script."""

    def __init__(self, script):
        ours, self._socket = socket.socketpair()
        self._socket.setblocking(False)
        self.pid = None
        self.fd = ours.detach()
        self.status = None
        self.ended = asyncio.Event()
        self.signals = []
        self.closed = False
        self.heard = []  # frames of the host
        self.interrupted = asyncio.Event()
        self._buffer = FrameBuffer()
        self.task = asyncio.create_task(self._run(script))
        self.task.add_done_callback(self._end)

    async def _run(self, script):
        with contextlib.suppress(ConnectionError):  # the host has gone
            return await script(self)
        return 0

    def _end(self, task):
        """The process has ended; its status is told a little later than the end of its socket."""
        self._socket.close()
        if self.status is None:
            self.status = 0 if task.cancelled() or task.result() is None else task.result()
        asyncio.get_running_loop().call_soon(self.ended.set)

    # ---- what a session does with its process

    def signal(self, number):
        if self.ended.is_set():
            return
        self.signals.append(number)
        if number == signal.SIGINT:
            self.interrupted.set()
        elif number == signal.SIGKILL and self.status is None:
            self.status = -signal.SIGKILL
            self.task.cancel()

    def close(self):
        self.signal(signal.SIGKILL)
        self.closed = True
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    # ---- what a script does

    async def hear(self, kind=None):
        """The next frame of the host; with a kind, the next of that kind."""
        while True:
            while (body := self._buffer.next()) is None:
                data = await asyncio.get_running_loop().sock_recv(self._socket, 1 << 20)
                if not data:
                    raise ConnectionError
                self._buffer.add(data)
            frame = decode_frame(body, records=True)
            self.heard.append(frame)
            if kind is None or frame["t"] == kind:
                return frame

    async def say(self, *frames):
        await self.write(b"".join(map(encode_frame, frames)))

    async def write(self, data):
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def serve(self, on_exec=None):
        """Do what the host says; blocks are handed to `on_exec(peer, frame)`, which says what they gave."""
        await self.say({"t": "ready"})
        names = {}
        while True:
            frame = await self.hear()
            match frame["t"]:
                case "set":
                    names.update(frame["v"])
                    await self.say(done(frame))
                case "get":
                    found = {name: names[name] for name in frame["names"] if name in names}
                    await self.say(done(frame, v=pack(found)))
                case "exec":
                    self.interrupted.clear()
                    await (on_exec or give_back)(self, frame)

    def kinds(self):
        return [frame["t"] for frame in self.heard]


def done(frame, **fields):
    """What answers a command."""
    return {"t": "done", "id": frame["id"], **fields}


async def give_back(peer, frame):
    """A block gives its own code."""
    await peer.say(done(frame, v=frame["code"], repr=repr(frame["code"]), names=["x"], ended=False, e=None))


async def obey(peer):
    """A process that does what it is told."""
    await peer.serve()


def with_blocks(on_exec):
    """A process that runs blocks in its own way."""

    async def script(peer):
        await peer.serve(on_exec)

    return script


class ScriptedSession(ProcessSession):
    """A session whose processes are these scripts, one after the other; the last again and again."""

    def __init__(self, *scripts, tools=(), limits=None, call=None, seed=None):
        by_name = tools_by_name(tools)
        super().__init__((), by_name, limits or SandboxLimits(), call or caller_of(by_name), seed)
        self.scripts = list(scripts) or [obey]
        self.peers = []

    async def _spawn(self):
        await asyncio.sleep(0)
        script = self.scripts[min(len(self.peers), len(self.scripts) - 1)]
        peer = Peer(script)
        self.peers.append(peer)
        return peer

    @property
    def peer(self):
        return self.peers[-1]


def open_sockets():
    """The sockets that this process has open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = entry.readlink().name
            if target.startswith("socket:"):
                found.add(target)
    return found


@contextlib.asynccontextmanager
async def scripted(*scripts, **options):
    """A scripted session; in the end nothing of it is left: no task, no socket, no process."""
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    session = ScriptedSession(*scripts, **options)
    async with asyncio.timeout(30):
        try:
            yield session
        finally:
            await session.close()
            await ticks(LAST_TURNS)
            left = [peer for peer in session.peers if not peer.closed or peer.fd != -1 or not peer.ended.is_set()]
            for peer in left:  # so that one failure is one
                peer.close()
            if left:
                await session._drop()
                await ticks(LAST_TURNS)
            assert left == []
            assert asyncio.all_tasks() <= tasks
            assert open_sockets() <= sockets
