"""Runs code in a Monty worker: answers whatever the code asks, and stops it when it must stop.

A worker runs until it needs its host (a name, a call, the values it awaits) and then waits for the answer; such a
stretch is a turn. Between turns everything is in our hands: code that waits can be stopped with a `KeyboardInterrupt`,
and keeps what it has. During a turn the worker can only be killed.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinyagent.core.tool import Tool
from tinyagent.sandbox.awaits.definitions import Definition
from tinyagent.sandbox.base import Answer, SandboxLimits
from tinyagent.sandbox.block import Block
from tinyagent.sandbox.monty.pool import end
from tinyagent.sandbox.monty.values import exception_to_monty, from_monty, to_monty, written

if TYPE_CHECKING:
    from pydantic_monty import (
        AsyncFunctionSnapshot,
        AsyncFutureSnapshot,
        AsyncMontySession,
        AsyncNameLookupSnapshot,
        AsyncSnapshot,
        ExternalSettledResult,
    )

#: A block whose output or calls exceed their limit by more than this many times the limit is killed.
FLOOD = 32
#: The answer to any question once the block must end: what Ctrl-C does, so that the code unwinds and its names stay.
_STOP: ExternalSettledResult = {"exc_type": "KeyboardInterrupt", "message": "the block was stopped"}
#: The answer to code that awaits a call of an earlier block.
_GONE: ExternalSettledResult = {"exc_type": "RuntimeError", "message": "this call cannot be awaited any more"}
_SLEEPS = ("time.sleep", "asyncio.sleep")
_LONGEST_SLEEP = 1e7


class Lost(Exception):
    """The worker is gone, or must go; the text says why.

    Attributes:
        kind: The class of the error that the code is told to have had.
    """

    def __init__(self, reason: str, kind: str = "SandboxLost") -> None:
        self.kind = kind
        super().__init__(reason)


class Driver:
    """Drives one worker: feeds it code, answers its questions, and stops it.

    Args:
        worker: The worker.
        tools: What the code can call, by name.
        limits: What the code may use.
        on_cancel: Called when whoever runs the code is cancelled.

    Attributes:
        block: The block that runs; `None` while values are set or read.
        cancelled: The cancellation, for whoever runs the code to raise.
    """

    def __init__(
        self,
        worker: AsyncMontySession,
        tools: Mapping[str, Tool[..., Any]],
        limits: SandboxLimits,
        on_cancel: Callable[[], None],
    ) -> None:
        self.block: Block | None = None
        self.cancelled: asyncio.CancelledError | None = None
        self._loop = asyncio.get_running_loop()
        self._worker = worker
        self._tools = tools
        self._limits = limits
        self._on_cancel = on_cancel
        self._feeds = 0
        self._awaited: dict[str, set[tuple[int, int]]] = {}
        self._turn: asyncio.Future[AsyncSnapshot] | None = None
        self._killed: str | None = None
        self._seconds = self._began = 0.0
        self._wake: asyncio.Future[None] | None = None
        self._asked: set[int] = set()
        self._answers: dict[int, ExternalSettledResult] = {}
        self._sleeps: list[asyncio.TimerHandle] = []

    @property
    def is_busy(self) -> bool:
        """Whether code is running."""
        return self._turn is not None

    def seconds(self) -> float:
        """Return the seconds that code has run so far, all turns together."""
        runs = self._turn is not None and not self._turn.done()
        return self._seconds + (self._loop.time() - self._began if runs else 0.0)

    @property
    def next_feed(self) -> str:
        """The name that Monty will give to the code that is fed next."""
        return f"<python-input-{self._feeds}>"

    def await_calls(self, calls: Collection[ast.expr], definitions: Iterable[Definition]) -> None:
        """Take these calls, and no others, for awaited in what earlier blocks have defined."""
        for definition in definitions:
            for call, place in definition.calls.items():
                awaited = self._awaited[definition.file]
                (awaited.add if call in calls else awaited.discard)(place)

    async def feed(
        self, code: str, awaited: Collection[tuple[int, int]] = (), inputs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a piece of code to its end, and return its value.

        Args:
            code: The code; not empty, since Monty does not count empty code.
            awaited: Where calls whose values are awaited begin and end in the code, in bytes.
            inputs: Names to set before the code runs.

        Raises:
            Lost: The worker is gone, or must go.
            MontyError: The code failed.
        """
        from pydantic_monty import MontyComplete

        self._awaited[self.next_feed] = set(awaited)
        self._feeds += 1
        self._asked.clear()
        self._answers.clear()  # answers that came too late
        hear = functools.partial(self._hear_output, self.block)
        try:
            first = self._worker.feed_start(code, inputs=dict(inputs or {}), print_callback=hear)
            self._turn = asyncio.ensure_future(first)
            while True:
                snapshot = await self._end_of_turn(self._turn)
                if isinstance(snapshot, MontyComplete):
                    return snapshot.output
                self._turn = asyncio.ensure_future(await self._answered(snapshot))
        finally:
            self._turn = None
            for timer in self._sleeps:
                timer.cancel()
            self._sleeps.clear()

    def _hear_output(self, block: Block | None, _stream: str, text: str) -> None:
        """Take output, in a thread of the package; what our own code prints goes nowhere."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            if block is not None and block.hear(text) > FLOOD * self._limits.output and self._killed is None:
                self._loop.call_soon_threadsafe(self.kill, "it printed without end")

    async def _end_of_turn(self, turn: asyncio.Future[AsyncSnapshot]) -> AsyncSnapshot:
        """Wait until the worker asks something or is done, and return that.

        A cancellation stops the block, and is raised by whoever has run the block.

        Raises:
            Lost: The worker is gone, or must go.
        """
        from pydantic_monty import MontyCrashedError

        self._began = self._loop.time()
        if self._killed is not None:
            turn.cancel()
        while not turn.done():
            try:
                await asyncio.wait([turn])
            except asyncio.CancelledError as error:
                self._cancel(error)
        self._seconds += self._loop.time() - self._began
        if turn.cancelled() or self._killed is not None:
            raise Lost(self._killed or "it was killed")
        try:
            snapshot = turn.result()
        except MontyCrashedError as error:
            raise Lost(f"its process ended ({error})") from error
        except RuntimeError as error:  # of Monty's protocol: errors of the code are of other classes
            raise Lost(str(error)) from error
        if self._limits.cpu_seconds is not None and self._seconds > self._limits.cpu_seconds:
            raise Lost(f"it used more than {self._limits.cpu_seconds} s of processor time")
        return snapshot

    # ---- stopping

    def stop(self) -> None:
        """Have code that waits look whether the block must end."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def kill(self, reason: str) -> None:
        """End the worker, whatever it does."""
        if self._killed is None:
            self._killed = reason
            if self._turn is not None:
                self._turn.cancel()
            self.stop()

    async def end(self) -> None:
        """Give the worker back, or kill it if it is still at work."""
        self.kill("it was closed")
        await end(self._worker)

    def _cancel(self, error: asyncio.CancelledError) -> None:
        self.cancelled = error
        self._on_cancel()

    @property
    def _is_over(self) -> bool:
        block = self.block
        return block is not None and (block.stopped is not None or block.ended or block.fatal is not None)

    # ---- what the worker asks

    async def _answered(
        self, snapshot: AsyncFutureSnapshot | AsyncNameLookupSnapshot | AsyncFunctionSnapshot
    ) -> Awaitable[AsyncSnapshot]:
        """Answer the worker's question, and return its next turn."""
        from pydantic_monty import AsyncFutureSnapshot, AsyncNameLookupSnapshot

        if isinstance(snapshot, AsyncFutureSnapshot):
            return snapshot.resume(await self._some_of(snapshot.pending_call_ids))
        if isinstance(snapshot, AsyncNameLookupSnapshot):
            tool = self._tools.get(snapshot.variable_name) if self.block is not None else None
            return snapshot.resume() if tool is None else snapshot.resume(value=stub(tool.name))
        return await self._call(snapshot)

    async def _call(self, snapshot: AsyncFunctionSnapshot) -> Awaitable[AsyncSnapshot]:
        name, number = str(snapshot.function_name), snapshot.call_id
        refusal: ExternalSettledResult | None = None
        if self._is_over:
            refusal = _STOP
        elif not snapshot.is_os_function:
            refusal = self._start_call(name, snapshot)
        elif name in _SLEEPS and self.block is not None:
            self._sleep(number, snapshot.args[0])
        else:
            return snapshot.resume_not_handled()
        if refusal is not None:
            return snapshot.resume(refusal)
        if self._is_awaited(name, snapshot):
            return snapshot.resume({"future": ...})
        return snapshot.resume((await self._some_of([number]))[number])

    def _is_awaited(self, name: str, snapshot: AsyncFunctionSnapshot) -> bool:
        if snapshot.is_os_function:
            return name == "asyncio.sleep"
        place = snapshot.position
        return snapshot.allow_eager_await or (place.start, place.end) in self._awaited.get(place.filename, ())

    def _start_call(self, name: str, snapshot: AsyncFunctionSnapshot) -> ExternalSettledResult | None:
        """Start a tool call, or return why it cannot be made."""
        tool, block = self._tools.get(name), self.block
        if tool is None or block is None:
            return {"exc_type": "NameError", "message": f"name {name!r} is not defined"}
        if refusal := block.refusal(0):
            if block.refused > FLOOD * self._limits.calls:
                self.kill("it called tools without end")
            return {"exc_type": "RuntimeError", "message": refusal}
        try:
            args = [from_monty(value) for value in snapshot.args]
            kwargs = {key: from_monty(value) for key, value in snapshot.kwargs.items()}
            text = written(name, args, kwargs)
        except ValueError as error:  # the arguments are too large
            return {"exc_type": "ValueError", "message": str(error)}
        number = snapshot.call_id
        self._asked.add(number)
        block.start(number, tool, args, kwargs, text, lambda given: self._hear(number, given))
        return None

    def _hear(self, number: int, given: Answer) -> None:
        if given.exception is not None:
            self._answer(number, exception_to_monty(given.exception))
            return
        try:
            self._answer(number, {"return_value": None if given.ends_block else to_monty(given.observation.value)})
        except ValueError as error:  # the value is too large
            self._answer(number, {"exc_type": "ValueError", "message": str(error)})

    def _sleep(self, number: int, seconds: float) -> None:
        """Answer a sleep of the code later; it counts as the code's time, and can be stopped."""
        self._asked.add(number)
        nothing: ExternalSettledResult = {"return_value": None}
        delay = min(seconds, _LONGEST_SLEEP)
        self._sleeps.append(self._loop.call_later(delay, self._answer, number, nothing))

    def _answer(self, number: int, answer: ExternalSettledResult) -> None:
        self._answers[number] = answer
        self.stop()

    async def _some_of(self, numbers: Sequence[int]) -> dict[int, ExternalSettledResult]:
        """Return the answers to at least one of these calls; once the block must end, `_STOP` for all of them."""
        while not self._is_over:
            if self._killed is not None:
                raise Lost(self._killed)
            ready = [number for number in numbers if number in self._answers or number not in self._asked]
            if ready or not numbers:
                return {number: self._answers.pop(number, _GONE) for number in ready}
            self._wake = self._loop.create_future()
            try:
                await self._wake
            except asyncio.CancelledError as error:
                self._cancel(error)
        return dict.fromkeys(numbers, _STOP)


def stub(name: str) -> Callable[..., None]:
    """Return a function that stands for a tool where the code does not call the tool but hands it on."""

    def function() -> None: ...

    function.__name__ = name
    return function
