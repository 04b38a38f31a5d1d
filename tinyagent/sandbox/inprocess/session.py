"""A session whose code runs in this process, in a worker thread, while its tools are answered on the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from queue import SimpleQueue
from typing import Any

from tinyagent.core.errors import SandboxError
from tinyagent.core.messages import Call
from tinyagent.core.result import Execution
from tinyagent.core.threads import run_in_thread, thread_slot
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import (
    Answer,
    Caller,
    SandboxLimits,
    SandboxSession,
    check_names,
    check_not_waited_for,
)
from tinyagent.sandbox.block import Block, pieces_of
from tinyagent.sandbox.inprocess.namespace import Namespace, Outcome, stopped
from tinyagent.sandbox.inprocess.stopper import Interrupted, Stopper


class ThreadBlock(Block):
    """A block whose code runs in a thread, and what this thread and the event loop tell each other.

    Args:
        namespace: The namespace in which the block runs.
        number: The number of the block in its session, from 1.
        limits: What the block may use.
        on_output: Called with the output as it comes.
        call: Answers the block's tool calls, one after the other.

    Attributes:
        scope: Cancels the task that runs the block when the block is stopped.
        outcome: What the last piece of the code gave.
    """

    def __init__(
        self,
        namespace: Namespace,
        number: int,
        limits: SandboxLimits,
        on_output: Callable[[str], None] | None,
        call: Caller,
    ) -> None:
        super().__init__(number, replace(limits, calls_at_once=1), on_output, self._called)
        self.namespace = namespace
        self.scope = asyncio.timeout(None)
        self.outcome = Outcome()
        self._loop = asyncio.get_running_loop()
        self._caller = call
        self._grace = limits.grace
        self._numbers = count()
        self._slot = AsyncExitStack()  # the thread slot that the code holds, unless it waits for a tool
        self._stopper = Stopper()
        self._closed = False
        self._waiting: dict[int, SimpleQueue[Answer | BaseException]] = {}  # by the id of the thread that waits
        self.soon = self._loop.call_soon_threadsafe
        self.on_stop = self._leave_scope
        self.on_fatal = partial(self.stop, "the run ended while the block ran")

    # ---- in the code's thread

    def ask(self, tool: Tool[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Answer:
        """Have a tool call answered on the event loop.

        Raises:
            Interrupted: The block was stopped.
            Exception: What the tool raised.
        """
        thread = threading.get_ident()
        answers = self._waiting[thread] = SimpleQueue()
        if self._closed:
            raise Interrupted
        self._loop.call_soon_threadsafe(self._begin, tool, args, kwargs, thread)
        answer = answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    # ---- on the event loop

    def _begin(self, tool: Tool[..., Any], args: list[Any], kwargs: dict[str, Any], thread: int) -> None:
        if self.stopped is not None:  # the code is told when the calls before have cleaned up
            return
        if refusal := self.refusal(0):
            self._tell(thread, RuntimeError(refusal))
        else:
            self.start(next(self._numbers), tool, args, kwargs, None, partial(self._answered, thread))

    async def _called(self, call: Call) -> Answer:
        await self._slot.aclose()  # with all slots held by code that waits, no tool could run
        return await self._caller(call)

    async def _answered(self, thread: int, answer: Answer) -> None:
        await self._take_slot()
        if self.stopped is None:
            self._tell(thread, answer if answer.exception is None else answer.exception)

    def _tell(self, thread: int, answer: Answer | BaseException) -> None:
        if (answers := self._waiting.pop(thread, None)) is not None:
            answers.put(answer)

    async def _take_slot(self) -> None:
        await self._slot.aclose()
        await self._slot.enter_async_context(thread_slot())

    def _leave_scope(self) -> None:
        with suppress(RuntimeError):  # it is not entered yet, or left already
            self.scope.reschedule(self._loop.time())

    async def run(self, piece: str) -> None:
        """Run a piece in a thread, which holds one of the event loop's thread slots unless it waits for a tool."""
        self._stopper = Stopper()
        await self._take_slot()
        work = asyncio.create_task(run_in_thread(self.namespace.run, piece, self._stopper))
        self.clock.resume()
        try:
            await asyncio.wait([work])
        finally:
            self.clock.pause()
            if not work.done():
                await self._halt(work)
            await self._slot.aclose()
        outcome = work.result()
        if not outcome.empty:  # a comment at the end takes no value away from the block
            self.outcome = outcome

    async def _halt(self, work: asyncio.Task[Outcome]) -> None:
        """Stop the code as Ctrl-C would, once its calls have ended; abandon its thread when the grace is over."""
        self.stopped = self.stopped or "the block was cancelled"
        try:
            await self.end_calls()
        finally:
            if self._stopper.thread not in self._waiting:
                self._stopper.stop()
            self._refuse_calls()
            try:
                for _ in range(2):
                    await asyncio.wait([work], timeout=self._grace / 2)
                    if work.done():
                        self.outcome = work.result()
                        break
                    self._stopper.stop()  # the code may have caught the first one
            finally:
                if not work.done():
                    self.namespace.over = Interrupted
                    work.cancel()

    def _refuse_calls(self) -> None:
        self._closed = True
        for thread in list(self._waiting):
            self._tell(thread, Interrupted())

    async def end(self) -> None:
        """End the block: its clock, its calls, and what the code has left running."""
        self.clock.stop()
        try:
            await self.end_calls()
        finally:
            self._refuse_calls()
            self.namespace.end()
            await self._slot.aclose()

    @property
    def is_lost(self) -> bool:
        """Whether the code could not be stopped, so that its thread has been abandoned with the namespace."""
        return self.namespace.over is Interrupted

    def result(self) -> Execution:
        """Return what the block gave."""
        outcome, error = self.outcome, self.outcome.error
        if self.stopped is not None:
            known = error if isinstance(outcome.exception, Interrupted) else None
            lost = self.namespace.defined if self.is_lost else None
            error = stopped(self.stopped, self.stop_kind, known, lost)
        return self.execution(outcome.value, outcome.repr, None) if error is None else self.execution(None, None, error)


class ThreadSession(SandboxSession):
    """A session of `PythonExecutor`: its blocks run in worker threads of this process.

    Args:
        namespace: The names of its code.
        limits: What the session may use.
        call: Answers the code's tool calls.

    Attributes:
        namespace: The names of its code; others once code could not be stopped.
    """

    def __init__(self, namespace: Namespace, limits: SandboxLimits, call: Caller) -> None:
        self.namespace = namespace
        self._limits = limits
        self._call = call
        self._lock = asyncio.Lock()  # one block at a time
        self._block: ThreadBlock | None = None
        self._blocks = 0
        self._closed = False

    async def start(self) -> None:
        """Check that the session is open; there is nothing to start.

        Raises:
            SandboxError: The session is closed.
        """
        if self._closed:
            raise SandboxError("This session is closed: open another one.")

    async def execute(
        self, code: str | AsyncIterable[str], *, on_output: Callable[[str], None] | None = None
    ) -> Execution:
        """Run a block in a worker thread and return what it gave, as `SandboxSession.execute` says."""
        check_not_waited_for(self._block)
        async with self._lock:
            await self.start()
            self._blocks += 1
            block = self._block = ThreadBlock(self.namespace, self._blocks, self._limits, on_output, self._call)
            try:
                async with block.scope, aclosing(pieces_of(code)) as pieces:
                    await self._run(block, pieces)
            except TimeoutError:
                if not block.scope.expired():
                    raise
            finally:
                try:
                    await block.end()
                finally:
                    self._block = None
                    self.last = block.result()
                    if block.is_lost:
                        self.namespace = self.namespace.renewed()
            if block.fatal is not None:
                raise block.fatal
            return self.last

    async def _run(self, block: ThreadBlock, pieces: AsyncIterable[tuple[str, bool]]) -> None:
        block.namespace.begin(block.hear, block.ask)
        async for piece, _ in pieces:
            if not piece:
                continue
            block.code.append(piece)
            await block.run(piece)
            if block.outcome.exception is not None or block.ended:
                return

    async def set(self, values: Mapping[str, Any]) -> None:
        """Set names in the namespace; the code gets the very objects.

        Raises:
            ConfigurationError: A name is no identifier, or that of a tool.
        """
        check_names(values, self.namespace.tools)
        await self.start()
        self.namespace.names.update(values)

    async def get(self, *names: str) -> dict[str, Any]:
        """Return the very objects that the code has under those of the names that exist."""
        return {name: self.namespace.names[name] for name in names if name in self.namespace.names}

    async def interrupt(self) -> None:
        """Stop the block that runs; its `execute` returns."""
        if self._block is not None:
            self._block.stop("the block was interrupted")

    async def close(self) -> None:
        """Stop what runs, and end the session."""
        self._closed = True
        await self.interrupt()
        async with self._lock:
            self.namespace.forget()
