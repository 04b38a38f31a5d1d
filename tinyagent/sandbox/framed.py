"""A session whose code runs in another process, at the end of the framed protocol."""

from __future__ import annotations

import asyncio
import signal
import socket
from abc import abstractmethod
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol

from tinyagent.core.codec import TooLargeError
from tinyagent.core.errors import ConfigurationError, SandboxError, ToolArgumentsError
from tinyagent.core.result import CodeError, Execution
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import Answer, Caller, SandboxLimits, SandboxSession, check_not_waited_for, refuse_tools
from tinyagent.sandbox.block import Block, pieces_of
from tinyagent.sandbox.computing import Turn
from tinyagent.sandbox.cpu import LOOKS, Patience, seconds_used
from tinyagent.sandbox.protocol import ENDED_ITSELF, Connection, exception_data, packed_in_turn

#: Seconds that a process has for what takes milliseconds, before it is taken for dead.
PATIENCE = 20.0
#: A block whose output or calls exceed their limit by more than this many times the limit is ended.
_FLOOD = 32
#: Most characters kept of the last word of a process.
_LONGEST_WORD = 1_000


class Process(Protocol):
    """The process of a session.

    Attributes:
        fd: The session's socket; the session takes it over.
        status: The exit code once the process has ended, negative for a signal; `None` where it is not known.
        ended: Set when the process has ended.
    """

    fd: int
    status: int | None
    ended: asyncio.Event

    @property
    def pid(self) -> int | None:
        """The process id; `None` where it is not known."""
        ...

    def signal(self, number: int) -> None:
        """Send the process a signal; do nothing when it has ended."""
        ...

    def close(self) -> None:
        """Kill the process."""
        ...


class FramedSession(SandboxSession):
    """A session in a process of its own, which is replaced when it is lost.

    Args:
        tools: What the code can call, by name.
        limits: What the code may use.
        call: Answers the code's tool calls.
        seed: Seeds the code's random numbers; `None` leaves them random.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool[..., Any]],
        limits: SandboxLimits,
        call: Caller,
        seed: str | None,
    ) -> None:
        self._tools = tools
        self._limits = limits
        self._call = call
        self._seed = seed
        self._child: Process | None = None
        self._connection: Connection | None = None
        self._loss: str | None = None  # why the connection is gone, until the process is replaced
        self._reply: asyncio.Future[dict[str, Any] | str] | None = None
        self._expected: str = ""
        self._frames = 0
        self._blocks = 0
        self._block: Block | None = None
        self._turn: Turn | None = None
        self._closed = False
        self._values: dict[str, Any] = {}
        self._names: tuple[str, ...] = ()
        self._lock = asyncio.Lock()

    # ---- the process

    async def start(self) -> None:
        """Start the process, and wait until it has locked itself.

        Raises:
            SandboxUnavailableError: No process can be locked here; the text says why, and what to use instead.
            SandboxError: The process did not start, or the session is closed.
        """
        async with self._lock:
            await self._ensure()

    async def _ensure(self) -> None:
        if self._closed:
            raise SandboxError("This sandbox session is closed.")
        if self._child is not None:
            return
        for _ in range(2):  # a process that ended at once has lost its zygote
            if await self._begin():
                return
        raise self._refused(ENDED_ITSELF)

    async def _begin(self) -> bool:
        """Start a process, and return whether it lives."""
        self._child = child = await self._spawn()
        self._turn = Turn(child)
        try:
            lives = not self._closed and await self._greet(child)
        except BaseException:
            await self._drop()
            raise
        if not lives or self._closed:
            await self._drop()
        if self._closed:
            raise SandboxError("This sandbox session is closed.")
        return lives

    @abstractmethod
    async def _spawn(self) -> Process:
        """Return a new process, with the runtime of `sandbox.child` at the other end of its socket.

        Raises:
            SandboxError: No process could be started.
        """

    def _refused(self, reason: str) -> SandboxError:
        """Return the error for a process that says why it cannot run code."""
        return SandboxError(f"The sandbox process did not start: {reason}.")

    async def _greet(self, child: Process) -> bool:
        """Connect to the process, hear that it is locked, and hand it tools and values; return whether it lives."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(fileno=child.fd)
        child.fd = -1
        self._reply = loop.create_future()
        self._expected = "ready"
        try:
            sock.setblocking(False)
            connection = Connection(self._hear, self._on_loss, 2 * self._limits.host_seconds)
            self._connection = connection  # already here, since uvloop reads before the next line returns
            await loop.create_unix_connection(lambda: connection, sock=sock)
        except BaseException:
            sock.close()
            raise
        answer = await self._answer(PATIENCE)
        if answer == ENDED_ITSELF:
            return False
        if isinstance(answer, str):
            raise self._refused(answer)
        tools = [{"name": name, "async": tool.is_async, "doc": tool.description} for name, tool in self._tools.items()]
        if tools or self._seed is not None:
            self._connection.send({"t": "tools", "tools": tools, "seed": self._seed})
        for name, packed in self._values.items():
            await self._ask("set", v={name: packed})
        return True

    async def _answer(self, patience: float) -> dict[str, Any] | str:
        """Return the frame that is expected, or why it will not come; wait `patience` seconds for it."""
        assert self._reply is not None  # noqa: S101 - whoever expects an answer has made it
        reply, cancelled = self._reply, None
        has = Patience(self._child.pid if self._child is not None else None, patience, self._held)
        while self._loss is None and not reply.done():
            try:  # a cancellation waits: an answer that comes unexpected ends the process
                done, _ = await asyncio.wait([reply], timeout=patience / LOOKS)
            except asyncio.CancelledError as error:
                cancelled = error
            else:
                if not done and has.is_over():
                    self._fail(f"it did not answer within {patience:g} s")
        self._reply = None
        if cancelled is not None:
            raise cancelled
        return reply.result() if reply.done() else self._loss or ENDED_ITSELF

    async def _ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a command that takes the process next to no time, and return the frame that says it is done.

        Raises:
            SandboxError: The process has ended.
            TooLargeError: The command is longer than a frame may be.
        """
        assert self._connection is not None  # noqa: S101 - it is asked only when it is there
        self._frames += 1
        self._connection.send({"t": kind, "id": self._frames, **fields})
        self._reply = asyncio.get_running_loop().create_future()
        self._expected = "done"
        limits = self._limits
        answer = await self._answer(min(PATIENCE, (limits.seconds or PATIENCE) + limits.grace))
        if isinstance(answer, str):
            await self._drop()
            raise SandboxError(f"The sandbox was ended: {answer}.")
        return answer

    def _hear(self, frame: dict[str, Any], body: bytes) -> None:
        match frame["t"]:
            case "out":
                if self._block is not None and self._block.hear(frame["s"]) > _FLOOD * self._limits.output:
                    self._fail("it printed without end")
            case "call":
                self._hear_call(frame, body)
            case "cancel":
                if self._block is not None:
                    self._block.withdraw(frame["id"])
            case "fatal":
                said = _text(frame["e"], _LONGEST_WORD)  # before "ready" by the runtime, later perhaps by the code
                self._fail(said if self._is_due("ready") else f"its last word was {said[:200]!r}")
            case kind:
                self._hear_reply(kind, frame)

    def _hear_reply(self, kind: str, frame: dict[str, Any]) -> None:
        if self._reply is None or not self._is_due(kind) or (kind == "done" and frame["id"] != self._frames):
            self._fail(f"it sent a {kind} frame that nobody expects")
        else:
            self._reply.set_result(frame)

    def _is_due(self, kind: str) -> bool:
        return self._reply is not None and not self._reply.done() and kind == self._expected

    def _fail(self, reason: str) -> None:
        if self._connection is not None:
            self._connection.fail(reason)

    def _on_loss(self, reason: str) -> None:
        self._loss = reason
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(reason)
        if self._child is not None:
            self._child.signal(signal.SIGKILL)

    async def _drop(self) -> int | None:
        """End the process and forget it; return its exit code, if that is known."""
        child, connection, turn = self._child, self._connection, self._turn
        self._child = self._connection = self._loss = self._turn = None
        if turn is not None:
            turn.leave()
        if connection is not None:
            connection.close()
        if child is None:
            return None
        child.close()
        cancelled = None
        while not child.ended.is_set():
            try:
                async with asyncio.timeout(PATIENCE):
                    await child.ended.wait()
            except TimeoutError:
                break
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return child.status

    def _freeze(self) -> None:
        """Stop the process between blocks, so that nothing of the code runs, its threads included."""
        if self._turn is not None:
            self._turn.end()

    def _thaw(self) -> None:
        """Let the process run from now on, when its turn comes."""
        if self._turn is not None:
            self._turn.begin()

    def _held(self) -> float:
        """Return the seconds for which the process has waited for its turns since it was thawed."""
        return self._turn.held if self._turn is not None else 0.0

    # ---- tool calls

    def _hear_call(self, frame: dict[str, Any], body: bytes) -> None:
        number, block = frame["id"], self._block
        connection = self._connection  # of the process that asked: another may follow it
        if connection is None:
            return
        tool = self._tools.get(frame["n"])
        problem = self._problem_of(frame, len(body), connection.spent)
        if block is not None and block.is_open(number):
            self._fail("it used the number of a call twice")
        elif block is not None and block.refused > _FLOOD * self._limits.calls:
            self._fail("it called tools without end")
        elif problem is not None or block is None or tool is None:
            connection.send(_failed_call(number, problem))
        else:
            written = body[: body.rfind(b',"id":')]  # without the id, which the child writes last
            answer = partial(self._answer_call, block, connection, number)
            block.start(number, tool, frame["a"], frame["k"], written, answer)
            if self._turn is not None:
                self._turn.rest()

    def _problem_of(self, frame: dict[str, Any], size: int, spent: float) -> Exception | None:
        """Return why a call is not made, or `None` when it is."""
        block, name = self._block, frame["n"]
        if block is None:
            return RuntimeError("tools can be called only while a block runs")
        if refusal := block.refusal(size, spent):
            return RuntimeError(refusal)
        if name in self._tools:
            return None
        block.refused += 1
        return NameError(f"there is no tool named {name[:80]!r}")

    async def _answer_call(self, block: Block, connection: Connection, number: int, given: Answer) -> None:
        if self._block is not block:  # nobody waits for the answer once the block is over
            return
        if self._turn is not None:
            self._turn.resume()
        if given.exception is not None:
            connection.send(_failed_call(number, given.exception))
        elif given.ends_block:
            connection.send({"t": "ret", "id": number, "end": True})
        else:
            frame = {"t": "ret", "id": number}
            await connection.send_value(frame, given.observation.value, lambda: self._block is block)

    # ---- blocks

    async def execute(
        self, code: str | AsyncIterable[str], *, on_output: Callable[[str], None] | None = None
    ) -> Execution:
        """Run a block of code and return what it gave, as `SandboxSession.execute` says."""
        check_not_waited_for(self._block)
        async with self._lock:
            await self._ensure()
            self._blocks += 1
            block = self._block = Block(self._blocks, self._limits, on_output, self._call)
            block.clock.expired = lambda: self._stop(
                f"the block ran longer than {self._limits.seconds:g} s", "TimeoutError"
            )
            block.clock.computed = lambda: seconds_used(self._child.pid if self._child is not None else None)
            block.clock.held = self._held
            block.on_fatal = lambda: self._fail("a tool ended the run")
            if self._connection is not None:
                self._connection.spent = 0.0
            self._thaw()
            self.last = None
            try:
                self.last = await self._run(block, code)
                return self.last
            finally:
                block.clock.stop()
                self._block = None
                try:
                    await block.end_calls()
                finally:
                    if self.last is None:
                        self.last = block.broken_off(self._names)
                    self._freeze()

    async def _run(self, block: Block, code: str | AsyncIterable[str]) -> Execution:
        told: dict[str, Any] = {}
        async with aclosing(pieces_of(code)) as pieces:
            async for piece, last in pieces:
                if block.stopped is not None:
                    return block.execution(None, None, CodeError(block.stop_kind, block.stopped, names=self._names))
                line = 1 + sum(part.count("\n") for part in block.code)
                block.code.append(piece)
                done = await self._run_piece(block, piece, line, last=last)
                if isinstance(done, str):
                    return await self._lost(block, done)
                told = done
                if "names" in done:
                    self._names = _texts(done["names"])
                if done.get("e") is not None or block.ended or block.stopped is not None:
                    break
        await block.end_calls()
        if block.fatal is not None:
            raise block.fatal
        return block.execution(told.get("v"), _printed(told), self._error(block, told))

    async def _run_piece(self, block: Block, code: str, line: int, *, last: bool) -> dict[str, Any] | str:
        """Run one piece of a block, and return its "done" frame, or why the process was lost.

        A cancellation of the caller stops the block, and is raised when the piece has ended.
        """
        assert self._connection is not None  # noqa: S101 - `_ensure` has made it
        self._frames += 1
        self._expected = "done"
        reply = self._reply = asyncio.get_running_loop().create_future()
        frame = {"t": "exec", "id": self._frames, "code": code, "line": line, "last": last}
        block.clock.resume()
        cancelled = None
        try:
            self._connection.send({**frame, "file": f"<block {block.number}>"})
            if self._loss is not None:  # the process has ended between two blocks
                return self._loss
            while not reply.done():
                try:
                    await asyncio.wait([reply])
                except asyncio.CancelledError as error:
                    cancelled = error
                    self._stop("the block was cancelled")
        except TooLargeError as error:
            return {"e": {"type": "ValueError", "message": str(error)}}
        finally:
            block.clock.pause()
            self._reply = None
        done: dict[str, Any] | str = reply.result()
        if cancelled is not None:
            if isinstance(done, str):
                await self._drop()
            raise cancelled
        return done

    def _stop(self, reason: str, kind: str = "KeyboardInterrupt") -> None:
        """Interrupt the block that runs; kill its process if it does not stop within the grace."""
        block = self._block
        if block is None or self._child is None or block.stopped is not None:
            return
        block.stop(reason, kind)
        loop, reply = asyncio.get_running_loop(), self._reply
        has = Patience(self._child.pid, self._limits.grace, self._held)
        if self._turn is not None:
            self._turn.hurry()

        def interrupt() -> None:
            if reply is None or self._reply is not reply or reply.done() or self._child is None:
                return
            if has.is_over():
                self._fail(f"{reason}, and did not stop when it was interrupted")
            else:  # repeated: a signal just before a system call goes unseen
                self._child.signal(signal.SIGINT)
                loop.call_later(self._limits.grace / LOOKS, interrupt)

        interrupt()

    async def _lost(self, block: Block, reason: str) -> Execution:
        """Return what a block gave whose process is gone, with everything the code had."""
        await block.end_calls()
        status = await self._drop()
        if block.fatal is not None:
            raise block.fatal
        if reason == ENDED_ITSELF:
            reason = _how_it_ended(status, self._limits)
        names, self._names = self._names, ()
        message = f"the sandbox was ended: {reason}. All variables, functions and imports are gone"
        error = CodeError("SandboxLost", f"{message}.", names=names, lost=True)
        return block.execution(None, None, error)

    def _error(self, block: Block, done: dict[str, Any]) -> CodeError | None:
        data = done.get("e")
        if block.ended:
            return None
        if not isinstance(data, dict):  # code that was stopped may end without an error
            return None if block.stopped is None else CodeError(block.stop_kind, block.stopped, names=self._names)
        error = CodeError(
            type=_text(data.get("type"), 200) or "Exception",
            message=_text(data.get("message"), 5_000),
            traceback=_text(data.get("traceback"), 20_000),
            line=line if type(line := data.get("line")) is int else None,
            bases=_texts(data.get("bases")),
            args=tuple(args) if type(args := data.get("args")) is list else (),
            names=self._names,
        )
        if block.stopped is not None and error.type == "KeyboardInterrupt":
            return CodeError(block.stop_kind, block.stopped, error.traceback, error.line, names=error.names)
        return error

    async def interrupt(self) -> None:
        """Stop the block that runs, as Ctrl-C would; its names stay."""
        self._stop("the block was interrupted")

    # ---- values

    async def set(self, values: Mapping[str, Any]) -> None:
        """Set names in the namespace, also of a process that replaces this one; see `SandboxSession.set`."""
        if wrong := [name for name in values if not (isinstance(name, str) and name.isidentifier())]:
            raise ConfigurationError(f"set({wrong[0]!r}): a name in Python is letters, digits and '_'.")
        refuse_tools(values, self._tools)
        check_not_waited_for(self._block)
        async with self._lock:
            await self._ensure()
            self._thaw()
            try:
                for name, value in values.items():
                    try:
                        packed = await packed_in_turn(value)
                        await self._ask("set", v={name: packed})
                    except TooLargeError as error:
                        raise ConfigurationError(f"set({name!r}): {error}.") from error
                    self._values[name] = packed
            finally:
                self._freeze()

    async def get(self, *names: str) -> dict[str, Any]:
        """Return the values of the given names that exist, as `SandboxSession.get` says."""
        check_not_waited_for(self._block)
        async with self._lock:
            await self._ensure()
            self._thaw()
            try:
                answer = await self._ask("get", names=list(names))
            finally:
                self._freeze()
        found = answer.get("v")
        if not isinstance(found, dict):
            raise SandboxError("The values are too large to cross the sandbox; get fewer at once.")
        return {name: found[name] for name in names if name in found}

    async def close(self) -> None:
        """End the session and everything the code started."""
        self._closed = True
        self._fail("it was closed")
        async with self._lock:  # free when whatever goes on has ended, with its process
            await self._drop()


def _failed_call(number: int, exception: Exception | None) -> dict[str, Any]:
    """Return the frame that answers a call with an exception."""
    data = exception_data(exception or RuntimeError("there is no answer"))
    if isinstance(exception, ToolArgumentsError):  # as Python itself says of wrong arguments
        data["bases"].insert(0, "TypeError")
    return {"t": "ret", "id": number, "e": data}


def _how_it_ended(status: int | None, limits: SandboxLimits) -> str:
    if status is None or status >= 0:
        return "it ended itself" if status == 0 else "its process ended"
    if -status == signal.SIGXCPU:
        return f"it used more than {limits.cpu_seconds} s of processor time"
    if -status == signal.SIGKILL:
        return "it was killed, by the kernel for its memory or from outside"
    try:
        return f"it crashed ({signal.Signals(-status).name})"
    except ValueError:
        return f"it crashed (signal {-status})"


def _printed(done: dict[str, Any]) -> str | None:
    printed = done.get("repr")
    return printed if isinstance(printed, str) else None


def _text(value: Any, longest: int) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _texts(values: Any) -> tuple[str, ...]:
    if type(values) is not list:
        return ()
    return tuple(value[:200] for value in values[:200] if isinstance(value, str))
