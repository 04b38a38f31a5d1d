"""A session whose code runs in a locked process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

from tinyagent.core.codec import TooLargeError
from tinyagent.core.errors import ConfigurationError, SandboxError, ToolArgumentsError
from tinyagent.core.result import CodeError, Execution
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import Answer, Caller, SandboxLimits, SandboxSession, check_names, check_not_waited_for
from tinyagent.sandbox.block import Block, pieces_of
from tinyagent.sandbox.cpu import seconds_used
from tinyagent.sandbox.link import Link, Reply, locked_child, refused
from tinyagent.sandbox.protocol import ENDED_ITSELF, exception_data, packed_in_turn
from tinyagent.sandbox.zygote import Child

#: A block whose output or calls exceed their limit by more than this many times the limit is ended.
_FLOOD = 32


class ProcessSession(SandboxSession):
    """A session in a locked child of the zygote, which is replaced when it is lost.

    Args:
        preload: Packages that the code may import besides the standard library.
        tools: What the code can call, by name.
        limits: What the code may use.
        call: Answers the code's tool calls.
        seed: Seeds the code's random numbers; `None` leaves them random.
    """

    def __init__(
        self,
        preload: tuple[str, ...],
        tools: Mapping[str, Tool[..., Any]],
        limits: SandboxLimits,
        call: Caller,
        seed: str | None,
    ) -> None:
        self._preload = preload
        self._tools = tools
        self._limits = limits
        self._call = call
        self._seed = seed
        self._link: Link | None = None
        self._blocks = 0
        self._block: Block | None = None
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
            await self._linked()

    async def _linked(self) -> Link:
        """Return the link to the process; start one where there is none."""
        for _ in range(2):  # a process that ended at once has lost its zygote
            if self._link is None and not self._closed:
                await self._begin()
        if self._closed:
            raise SandboxError("This sandbox session is closed.")
        if self._link is None:
            raise refused(ENDED_ITSELF)
        return self._link

    async def _begin(self) -> None:
        """Start a process, and keep the link to it if it lives."""
        link = self._link = Link(await self._spawn(), self._hear, self._limits)
        try:
            lives = not self._closed and await self._greet(link)
        except BaseException:
            await self._drop()
            raise
        if not lives or self._closed:
            await self._drop()

    async def _spawn(self) -> Child:
        return await locked_child(self._preload, self._limits)

    async def _greet(self, link: Link) -> bool:
        """Hear that the process is locked, and hand it tools and values; return whether it lives."""
        answer = await link.open()
        if answer == ENDED_ITSELF:
            return False
        if isinstance(answer, str):
            raise refused(answer)
        tools = [{"name": name, "async": tool.is_async, "doc": tool.description} for name, tool in self._tools.items()]
        if tools or self._seed is not None:
            link.connection.send({"t": "tools", "tools": tools, "seed": self._seed})
        for name, packed in self._values.items():
            await self._ask(link, "set", v={name: packed})
        return True

    async def _ask(self, link: Link, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a command, and return the frame that says it is done.

        Raises:
            SandboxError: The process has ended.
            TooLargeError: The command is longer than a frame may be.
        """
        answer = await link.ask(kind, **fields)
        if isinstance(answer, str):
            await self._drop()
            raise SandboxError(f"The sandbox was ended: {answer}.")
        return answer

    async def _drop(self) -> str:
        """End the process and forget it; return how it ended."""
        link, self._link = self._link, None
        return await link.end() if link is not None else ENDED_ITSELF

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[Link]:
        """Let the process run, when its turn comes, and nobody else use it, to the end of the `async with` block."""
        check_not_waited_for(self._block)
        async with self._lock:
            link = await self._linked()
            link.turn.begin()
            try:
                yield link
            finally:
                if self._link is link:  # between blocks nothing of the code runs, its threads included
                    link.turn.end()

    # ---- what the process says by itself

    def _hear(self, link: Link, frame: dict[str, Any], body: bytes) -> None:
        match frame["t"]:
            case "call":
                self._hear_call(link, frame, body)
            case "out":
                if self._block is not None and self._block.hear(frame["s"]) > _FLOOD * self._limits.output:
                    link.connection.fail("it printed without end")
            case "cancel":
                if self._block is not None:
                    self._block.withdraw(frame["id"])

    def _hear_call(self, link: Link, frame: dict[str, Any], body: bytes) -> None:
        number, block, tool = frame["id"], self._block, self._tools.get(frame["n"])
        problem: Exception | None = None
        if block is None:
            problem = RuntimeError("tools can be called only while a block runs")
        elif block.is_open(number):
            link.connection.fail("it used the number of a call twice")
        elif refusal := block.refusal(len(body), link.connection.spent):
            problem = RuntimeError(refusal)
        elif tool is None:
            block.refused += 1
            problem = NameError(f"there is no tool named {frame['n'][:80]!r}")
        else:
            written = body.removesuffix(b',"id":%d}' % number)  # wherever else a child puts the number, all counts
            block.start(number, tool, frame["a"], frame["k"], written, partial(self._answer_call, block, link, number))
            link.turn.rest()
        if problem is not None:
            link.connection.send(_failed_call(number, problem))
        if block is not None and block.refused > _FLOOD * self._limits.calls:
            link.connection.fail("it called tools without end")

    async def _answer_call(self, block: Block, link: Link, number: int, given: Answer) -> None:
        if self._block is not block:  # nobody waits for the answer once the block is over
            return
        link.turn.resume()
        if given.exception is not None:
            link.connection.send(_failed_call(number, given.exception))
        elif given.ends_block:
            link.connection.send({"t": "ret", "id": number, "end": True})
        else:
            frame = {"t": "ret", "id": number}
            await link.connection.send_value(frame, given.observation.value, lambda: self._block is block)

    # ---- blocks

    async def execute(
        self, code: str | AsyncIterable[str], *, on_output: Callable[[str], None] | None = None
    ) -> Execution:
        """Run a block of code and return what it gave, as `SandboxSession.execute` says."""
        async with self._running() as link:
            self._blocks += 1
            block = self._block = Block(self._blocks, self._limits, on_output, self._call)
            block.clock.computed = lambda: seconds_used(link.child.pid)
            block.clock.held = link.held
            block.on_stop = lambda: link.interrupt(f"{block.stopped}")
            block.on_fatal = lambda: link.connection.fail("a tool ended the run")
            link.connection.spent = 0.0
            self.last = None
            try:
                self.last = await self._run(link, block, code)
                return self.last
            finally:
                block.clock.stop()
                self._block = None
                try:
                    await block.end_calls()
                finally:
                    if self.last is None:
                        self.last = block.broken_off(self._names)

    async def _run(self, link: Link, block: Block, code: str | AsyncIterable[str]) -> Execution:
        told: dict[str, Any] = {}
        async with aclosing(pieces_of(code)) as pieces:
            async for piece, last in pieces:
                if block.stopped is not None:
                    return block.execution(None, None, CodeError(block.stop_kind, block.stopped, names=self._names))
                line = 1 + sum(part.count("\n") for part in block.code)
                block.code.append(piece)
                done = await self._run_piece(link, block, piece, line, last=last)
                if isinstance(done, str):
                    return await self._lost(block)
                told = done
                if "names" in done:
                    self._names = _texts(done["names"])
                if done.get("e") is not None or block.ended or block.stopped is not None:
                    break
        await block.end_calls()
        if block.fatal is not None:
            raise block.fatal
        printed = told.get("repr")
        return block.execution(told.get("v"), printed if isinstance(printed, str) else None, self._error(block, told))

    async def _run_piece(self, link: Link, block: Block, code: str, line: int, *, last: bool) -> Reply:
        """Run one piece of a block, and return its "done" frame, or why the process was lost.

        A cancellation of the caller stops the block, and is raised when the piece has ended.
        """
        block.clock.resume()
        try:
            link.command("exec", code=code, line=line, last=last, file=f"<block {block.number}>")
            return await link.reply(lambda: block.stop("the block was cancelled"))
        except TooLargeError as error:
            return {"e": {"type": "ValueError", "message": str(error)}}
        except asyncio.CancelledError:
            if link.loss is not None:
                await self._drop()
            raise
        finally:
            block.clock.pause()

    async def _lost(self, block: Block) -> Execution:
        """Return what a block gave whose process is gone, with everything the code had."""
        await block.end_calls()
        reason = await self._drop()
        if block.fatal is not None:
            raise block.fatal
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
        if self._block is not None and self._link is not None:
            self._block.stop("the block was interrupted")

    # ---- values

    async def set(self, values: Mapping[str, Any]) -> None:
        """Set names in the namespace, also of a process that replaces this one; see `SandboxSession.set`."""
        check_names(values, self._tools)
        async with self._running() as link:
            for name, value in values.items():
                try:
                    packed = await packed_in_turn(value)
                    await self._ask(link, "set", v={name: packed})
                except TooLargeError as error:
                    raise ConfigurationError(f"set({name!r}): {error}.") from error
                self._values[name] = packed

    async def get(self, *names: str) -> dict[str, Any]:
        """Return the values of the given names that exist, as `SandboxSession.get` says."""
        async with self._running() as link:
            answer = await self._ask(link, "get", names=list(names))
        found = answer.get("v")
        if not isinstance(found, dict):
            raise SandboxError("The values are too large to cross the sandbox; get fewer at once.")
        return {name: found[name] for name in names if name in found}

    async def close(self) -> None:
        """End the session and everything the code started."""
        self._closed = True
        if self._link is not None:
            self._link.connection.fail("it was closed")
        async with self._lock:  # free when whatever goes on has ended, with its process
            await self._drop()


def _failed_call(number: int, exception: Exception) -> dict[str, Any]:
    """Return the frame that answers a call with an exception."""
    data = exception_data(exception)
    if isinstance(exception, ToolArgumentsError):  # as Python itself says of wrong arguments
        data["bases"].insert(0, "TypeError")
    return {"t": "ret", "id": number, "e": data}


def _text(value: Any, longest: int) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _texts(values: Any) -> tuple[str, ...]:
    if type(values) is not list:
        return ()
    return tuple(value[:200] for value in values[:200] if isinstance(value, str))
