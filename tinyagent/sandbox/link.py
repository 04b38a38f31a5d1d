"""The link to a sandbox process: what it is asked, what it answers, when it may run, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from tinyagent.core.errors import SandboxError, SandboxUnavailableError
from tinyagent.locked.lock import reason_against
from tinyagent.sandbox.base import SandboxLimits
from tinyagent.sandbox.computing import Turn
from tinyagent.sandbox.cpu import LOOKS, Patience
from tinyagent.sandbox.protocol import ENDED_ITSELF, Connection
from tinyagent.sandbox.zygote import Child, ChildLimits, zygote

#: Seconds that a process has for what takes milliseconds, before it is taken for dead.
PATIENCE = 20.0
#: Most characters kept of the last word of a process.
_LONGEST_WORD = 1_000

_reason_against = cache(reason_against)  # the kernel is asked once
#: The frame that says a command is done, or why it will not come.
Reply: TypeAlias = dict[str, Any] | str


class Link:
    """One process, from its first word to its end.

    Args:
        child: The process, whose socket the link takes over.
        hear: Called with the link, each frame that answers no command, and its bytes.
        limits: What the code may use.

    Attributes:
        connection: Frames to the process.
        turn: Between its `begin` and `end` the process runs; otherwise it is stopped, its threads included.
        loss: Why the process is lost; `None` while it is not.
    """

    def __init__(
        self, child: Child, hear: Callable[[Link, dict[str, Any], bytes], None], limits: SandboxLimits
    ) -> None:
        self.child = child
        self.connection = Connection(self._take, self._lose, 2 * limits.host_seconds)
        self.turn = Turn(child)
        self.loss: str | None = None
        self._hear = hear
        self._limits = limits
        self._asked = 0
        self._due = ""  # the kind of frame that the process has to send
        self._reply: Reply | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> Reply:
        """Connect to the process; return the frame that says it is locked, or why it will not come."""
        sock = socket.socket(fileno=self.child.fd)
        self.child.fd = -1
        self._expect("ready")
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().create_unix_connection(lambda: self.connection, sock=sock)
        except BaseException:
            sock.close()
            raise
        return await self._prompt_reply(PATIENCE)

    async def ask(self, kind: str, **fields: Any) -> Reply:
        """Send a command that takes the process next to no time, and return the reply.

        Raises:
            TooLargeError: The command is longer than a frame may be.
        """
        self.command(kind, **fields)
        return await self._prompt_reply(min(PATIENCE, (self._limits.seconds or PATIENCE) + self._limits.grace))

    def command(self, kind: str, **fields: Any) -> None:
        """Send a command.

        Raises:
            TooLargeError: The command is longer than a frame may be.
        """
        self._asked += 1
        self.connection.send({"t": kind, "id": self._asked, **fields})
        self._expect("done")

    async def reply(self, on_cancel: Callable[[], None] = lambda: None) -> Reply:
        """Return the reply to the last command.

        A cancellation calls `on_cancel`, and is raised when the reply has come: one that nobody expects any more would
        end the process.
        """
        cancelled = None
        while self._reply is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError as error:
                cancelled = error
                on_cancel()
        if cancelled is not None:
            raise cancelled
        return self._reply

    async def _prompt_reply(self, seconds: float) -> Reply:
        self._give(seconds, f"it did not answer within {seconds:g} s")
        return await self.reply()

    def interrupt(self, reason: str) -> None:
        """Stop what the process was told last, as Ctrl-C would; end the process if it does not stop in the grace."""
        self.turn.hurry()
        self._give(  # repeated: a signal just before a system call goes unseen
            self._limits.grace,
            f"{reason}, and did not stop when it was interrupted",
            lambda: self.child.signal(signal.SIGINT),
        )

    def _give(self, seconds: float, reason: str, act: Callable[[], None] = lambda: None) -> None:
        """End the process for a reason unless the reply comes in these seconds; meanwhile act, several times."""
        has = Patience(self.child.pid, seconds, self.held)

        def look() -> None:
            if has.is_over():
                self.connection.fail(reason)
            else:
                go_on()

        def go_on() -> None:
            act()
            self._timer = asyncio.get_running_loop().call_later(seconds / LOOKS, look)

        if self._due:
            go_on()

    # ---- what the process says

    def _take(self, frame: dict[str, Any], body: bytes) -> None:
        kind = frame["t"]
        if kind == "fatal":  # before "ready" it is said by the runtime, later perhaps by the code
            said = frame["e"][:_LONGEST_WORD]
            self.connection.fail(said if self._due == "ready" else f"its last word was {said[:200]!r}")
        elif kind not in ("ready", "done"):
            self._hear(self, frame, body)
        elif kind != self._due or (kind == "done" and frame["id"] != self._asked):
            self.connection.fail(f"it sent a {kind} frame that nobody expects")
        else:
            self._settle(frame)

    def _expect(self, kind: str) -> None:
        self._due, self._reply = kind, None
        if self.loss is not None:  # the process has ended between two blocks
            self._settle(self.loss)

    def _settle(self, reply: Reply) -> None:
        self._due, self._reply = "", reply
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _lose(self, reason: str) -> None:
        self.loss = reason
        if self._due:
            self._settle(reason)
        self.child.signal(signal.SIGKILL)

    def held(self) -> float:
        """Return the seconds for which the process has waited for its turns since it was last let run."""
        return self.turn.held

    # ---- its end

    async def end(self) -> str:
        """End the process, and return how it ended."""
        self.turn.leave()
        self.connection.close()
        self.child.close()
        cancelled = None
        while not self.child.ended.is_set():
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.child.ended.wait()
            except TimeoutError:
                break
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return self._how_it_ended(self.child.status)

    def _how_it_ended(self, status: int | None) -> str:
        if self.loss not in (None, ENDED_ITSELF):
            return self.loss or ""
        if status is None or status >= 0:
            return "it ended itself" if status == 0 else "its process ended"
        if -status == signal.SIGXCPU:
            return f"it used more than {self._limits.cpu_seconds} s of processor time"
        if -status == signal.SIGKILL:
            return "it was killed, by the kernel for its memory or from outside"
        try:
            return f"it crashed ({signal.Signals(-status).name})"
        except ValueError:
            return f"it crashed (signal {-status})"


async def locked_child(preload: tuple[str, ...], limits: SandboxLimits) -> Child:
    """Return a new process, with the runtime of `sandbox.child` at the other end of its socket.

    Raises:
        SandboxUnavailableError: No process can be locked here, or a package cannot be preloaded.
        SandboxError: No process could be started.
    """
    if (reason := _reason_against()) is not None:
        raise unavailable(reason)
    kept_to = ChildLimits(limits.memory, limits.cpu_seconds, limits.threads)
    try:
        return await (await zygote(preload)).child(kept_to)
    except SandboxUnavailableError:
        raise
    except SandboxError:  # the zygote has just died: ask another one
        return await (await zygote(preload)).child(kept_to)


def refused(reason: str) -> SandboxError:
    """Return the error for a process that says why it cannot run code."""
    if reason.startswith("LockError: "):
        return unavailable(reason.removeprefix("LockError: "))
    return SandboxError(f"The sandbox process did not start: {reason}.")


def unavailable(reason: str) -> SandboxUnavailableError:
    """Return the error that says why no `ProcessSandbox` can run here, and what to use instead."""
    return SandboxUnavailableError(
        f"ProcessSandbox cannot lock a process here: {reason}. Use sandbox=MontySandbox() "
        "(pip install 'tinyagent[monty]'), which runs a part of Python anywhere, or sandbox=PythonExecutor() for code "
        "that you trust."
    )
