"""A session whose code runs in this process, in a worker thread, while its tools are answered on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, Callable, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any

from tinyagent.core.errors import ConfigurationError, SandboxError
from tinyagent.core.messages import NOT_ANSWERED
from tinyagent.core.result import Execution, Observation
from tinyagent.core.threads import run_in_thread, thread_slot
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import (
    Answer,
    Caller,
    SandboxLimits,
    SandboxSession,
    caller_of,
    check_not_waited_for,
    context_of_calls,
    is_name,
    refuse_tools,
)
from tinyagent.sandbox.block import pieces_of
from tinyagent.sandbox.inprocess.block import Request, ThreadBlock
from tinyagent.sandbox.inprocess.namespace import Namespace, Outcome
from tinyagent.sandbox.inprocess.stopper import Interrupted, Stopper


class ThreadSession(SandboxSession):
    """A session of `PythonExecutor`: its blocks run in worker threads of this process.

    Args:
        tools: What the code can call, by name.
        imports: The modules that the code may import, with their submodules.
        limits: What the session may use.
        call: Answers the code's tool calls; `None` runs the tools.
    """

    def __init__(
        self, tools: Mapping[str, Tool[..., Any]], imports: tuple[str, ...], limits: SandboxLimits, call: Caller | None
    ) -> None:
        self._new_namespace = partial(Namespace, tools, imports)
        self._namespace = self._new_namespace()
        self._tools = tools
        self._limits = limits
        self._call = call or caller_of(tools)
        self._lock = asyncio.Lock()  # one block at a time
        self._block: ThreadBlock | None = None
        self._blocks = 0
        self._closed = False

    async def start(self) -> None:
        """Check that the session is open; there is nothing to start.

        Raises:
            SandboxError: The session is closed.
        """
        self._check_open()

    async def execute(
        self, code: str | AsyncIterable[str], *, on_output: Callable[[str], None] | None = None
    ) -> Execution:
        """Run a block in a worker thread and return what it gave, as `SandboxSession.execute` says."""
        began = time.perf_counter()
        check_not_waited_for(self._block)
        async with self._lock:
            self._check_open()
            self._blocks += 1
            block = self._block = ThreadBlock(self._namespace, self._blocks, self._limits, on_output)
            try:
                async with block.scope, contextlib.aclosing(pieces_of(code)) as pieces:
                    await self._run(block, pieces)
            except TimeoutError:
                if not block.scope.expired():
                    raise
            finally:
                self._block = None
                block.end()
                self.last = block.execution(began)
            return self.last

    async def set(self, values: Mapping[str, Any]) -> None:
        """Set names in the namespace; the code gets the very objects.

        Raises:
            ConfigurationError: A name is no identifier, or that of a tool.
        """
        for name in values:
            if not is_name(name):
                raise ConfigurationError(f"set({{{name!r}: ...}}): code could not use that name; pass an identifier.")
        refuse_tools(values, self._tools)
        self._check_open()
        self._namespace.names.update(values)

    async def get(self, *names: str) -> dict[str, Any]:
        """Return the very objects that the code has under those of the names that exist."""
        return {name: self._namespace.names[name] for name in names if name in self._namespace.names}

    async def interrupt(self) -> None:
        """Stop the block that runs; its `execute` returns."""
        if self._block is not None:
            self._block.interrupt()

    async def close(self) -> None:
        """Stop what runs, and end the session."""
        self._closed = True
        await self.interrupt()
        async with self._lock:
            self._namespace.forget()

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxError("This session is closed: open another one.")

    async def _run(self, block: ThreadBlock, pieces: AsyncIterable[tuple[str, bool]]) -> None:
        block.namespace.begin(block.output, block.ask)
        async for piece, _ in pieces:
            if not piece:
                continue
            block.code.append(piece)
            await self._run_piece(block, piece)
            if block.outcome.exception is not None or block.namespace.over is not None:
                return

    async def _run_piece(self, block: ThreadBlock, piece: str) -> None:
        """Run a piece in a thread, which holds one of the event loop's thread slots unless it waits for a tool."""
        block.stopper = Stopper()
        work: asyncio.Task[Outcome] | None = None
        request: Request | None = None
        answer: Answer | None = None
        try:
            while True:
                async with thread_slot():
                    with block.clock():
                        if work is None:
                            work = asyncio.create_task(run_in_thread(block.namespace.run, piece, block.stopper))
                            work.add_done_callback(lambda _: block.requests.put_nowait(None))
                        elif request is not None:
                            block.answer(request, answer)
                        request = await block.requests.get()
                if request is None:
                    break
                answer = await self._answer(block, request)
            outcome = work.result()
            if not outcome.empty:  # a comment at the end takes no value away from the block
                block.outcome = outcome
        finally:
            if work is not None and not work.done():
                await self._halt(block, work)

    async def _answer(self, block: ThreadBlock, request: Request) -> Answer:
        """Have a call answered in a task of its own, which is cancelled and waited for when the caller is cancelled."""
        call, position = request.call, len(block.calls)
        block.calls.append(Observation(call, NOT_ANSWERED, error=NOT_ANSWERED))
        task = context_of_calls(block, copy_context()).run(asyncio.ensure_future, self._call(call))
        try:
            await asyncio.wait([task])
        finally:
            while not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):  # raised when the tool has cleaned up
                    await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:
                block.calls[position] = task.result().observation
        if not task.cancelled():
            return task.result()
        text = "CancelledError: the tool cancelled itself"
        block.calls[position] = Observation(call, text, error=text)
        return Answer(block.calls[position], RuntimeError(text))

    async def _halt(self, block: ThreadBlock, work: asyncio.Task[Outcome]) -> None:
        """Stop the code as Ctrl-C would; abandon its thread, with its namespace, when the grace is over."""
        block.stop()
        try:
            for _ in range(2):
                await asyncio.wait({work}, timeout=self._limits.grace / 2)
                if work.done():
                    block.outcome = work.result()
                    return
                block.stopper.stop()  # the code may have caught the first one
        finally:
            if not work.done():
                block.namespace.over = Interrupted
                self._namespace = self._new_namespace()
                work.cancel()
