"""One block of code while it runs, wherever that is: its output, its tool calls, its clock."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextvars import copy_context
from dataclasses import replace
from typing import Any

from tinyagent.core.jsonable import words
from tinyagent.core.messages import NOT_ANSWERED, Call
from tinyagent.core.result import CodeError, Execution, Observation
from tinyagent.core.tool import Tool
from tinyagent.core.waiting import wait_to_the_end
from tinyagent.sandbox.base import Answer, Caller, SandboxLimits, bind, context_of_calls

#: Bytes of arguments that a block may pass to tools; they are kept with the records of its calls.
MOST_ARGUMENTS = 64 << 20
#: Least seconds between two looks at a block whose clock is paused, or that was kept from running.
_SHORTEST_LOOK = 0.05
#: Seconds by which a timer of an event loop may ring too early.
_TOLERANCE = 0.005
#: The messages with which tasks of calls are cancelled: by the code, and at the end of the block.
WITHDRAWN = "cancelled: the code did not wait for it any longer"
ENDED = "cancelled: the block has ended"
_OURS = ((WITHDRAWN,), (ENDED,))


class Block:
    """A block of code that runs elsewhere, seen from the event loop: what has come of it so far.

    Args:
        number: The number of the block in its session, from 1.
        limits: What the block may use.
        on_output: Called with the output as it comes.
        call: Answers the block's tool calls.

    Attributes:
        soon: Has output handed on in the event loop; `call_soon_threadsafe` where `hear` is called in other threads.
    """

    def __init__(
        self, number: int, limits: SandboxLimits, on_output: Callable[[str], None] | None, call: Caller
    ) -> None:
        self.number = number
        self.clock = Stopwatch(limits.seconds)
        self.clock.expired = self._expired
        self.code: list[str] = []
        self.stopped: str | None = None  # why the block has been stopped from outside
        self.stop_kind = "KeyboardInterrupt"
        self.ended = False
        self.refused = 0
        self.fatal: BaseException | None = None  # raised by a tool to end the run
        self.on_fatal: Callable[[], None] = lambda: None
        self.on_stop: Callable[[], None] = lambda: None
        self.soon: Callable[[Callable[[], None]], object] = asyncio.get_running_loop().call_soon
        self._limits = limits
        self._on_output = on_output
        self._call = call
        self._context = copy_context()
        self._began = time.perf_counter()
        self._output: list[str] = []
        self._fresh: deque[str] = deque()
        self._telling = False
        self._kept = 0
        self._lost_output = 0
        self._observations: list[Observation] = []
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._places: dict[int, int] = {}
        self._argument_bytes = 0
        self._same = Counter[str]()
        self._slots = asyncio.Semaphore(limits.calls_at_once)

    # ---- output

    def hear(self, text: str) -> int:
        """Take more output; return how many characters beyond the limit have come so far."""
        room = self._limits.output - self._kept
        kept = text[:room] if room > 0 else ""
        self._lost_output += len(text) - len(kept)
        if kept:
            self._kept += len(kept)
            self._fresh.append(kept)
            if not self._telling:
                self._telling = True
                self.soon(self.tell_output)
        return self._lost_output

    def tell_output(self) -> None:
        """Hand on the output that has come since the last time."""
        self._telling = False
        if text := "".join(self._fresh.popleft() for _ in range(len(self._fresh))):  # more may come meanwhile
            self._output.append(text)
            if self._on_output is not None:
                self._on_output(text)

    # ---- tool calls

    @property
    def calls_in_flight(self) -> int:
        """How many calls have not been answered."""
        return len(self._tasks)

    def is_open(self, number: int) -> bool:
        """Return whether the call of this number is in flight."""
        return number in self._tasks

    def refusal(self, size: int, host_seconds: float = 0.0) -> str | None:
        """Return why the block may not make a call, or `None`; refusals are counted.

        Args:
            size: Bytes of the call's arguments.
            host_seconds: Seconds of the host's time that the block has taken.
        """
        text = None
        if len(self._observations) >= self._limits.calls:
            text = f"this block has made {self._limits.calls} tool calls, which is the limit; go on in another block"
        elif self._argument_bytes + size > MOST_ARGUMENTS:
            text = (
                f"this block has handed {MOST_ARGUMENTS:,} bytes to tools, which is the limit; go on in another block"
            )
        elif host_seconds > self._limits.host_seconds:
            text = (
                f"this block has taken {self._limits.host_seconds:g} s of the host's time with what it sends and asks "
                "for, which is the limit; go on in another block"
            )
        self.refused += text is not None
        return text

    def start(
        self,
        number: int,
        tool: Tool[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        written: bytes | None,
        answer: Callable[[Answer], Awaitable[None] | None],
    ) -> None:
        """Start a tool call.

        Args:
            number: The number that the sandbox process gave the call.
            tool: The tool that is called.
            args: Positional arguments.
            kwargs: Keyword arguments.
            written: Tool and arguments as the sandbox process has sent them, the same for the same call; `None` where
                they are objects of this process.
            answer: Called with what the tool gave, unless the call is withdrawn. Then the call is over.
        """
        self.tell_output()
        size = len(written or b"")
        self._argument_bytes += size
        call = bind(tool, args, kwargs, "", size=size)
        call = replace(call, id=self._call_id(tool.name, written or call.raw.encode(errors="replace")))
        place = self._places[number] = len(self._observations)
        self._observations.append(Observation(call, NOT_ANSWERED, error=NOT_ANSWERED))
        self.clock.pause()
        context = context_of_calls(self, self._context)  # that of the block's caller, not of the connection
        task = asyncio.get_running_loop().create_task(self._run(call, place, answer), context=context)
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._ended(number))

    async def _run(self, call: Call, place: int, answer: Callable[[Answer], Awaitable[None] | None]) -> None:
        async with self._slots:
            try:
                given = await self._call(call)
            except asyncio.CancelledError as error:
                if error.args[:1] in _OURS:
                    raise
                text = "CancelledError: the tool cancelled itself"
                given = Answer(Observation(call, text, error=text), RuntimeError(text))
            except BaseException as error:
                text = f"{type(error).__name__}: {words(error)}"
                self._observations[place] = Observation(call, text, error=text)
                raise
            self._observations[place] = given.observation
            self.ended = self.ended or given.ends_block
            if (told := answer(given)) is not None:
                await told

    def _ended(self, number: int) -> None:
        task = self._tasks.pop(number)
        self.clock.resume()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fatal = self.fatal or error
            self.on_fatal()

    def withdraw(self, number: int) -> None:
        """Cancel a call that the code does not wait for any more."""
        task = self._tasks.get(number)
        if task is None or task.cancelling():
            return
        if self.stopped is None:
            place = self._places[number]
            call = self._observations[place].call
            self._observations[place] = Observation(call, WITHDRAWN, error=WITHDRAWN)
        task.cancel(WITHDRAWN if self.stopped is None else ENDED)

    def _call_id(self, tool: str, written: bytes) -> str:
        """Return an id of block, tool, arguments and a count of equal calls: the same whenever the block is run."""
        digest = hashlib.sha256(written).hexdigest()[:32]  # what was approved is made again: code must not find two
        name = f"block{self.number}_{tool}_{digest}"
        self._same[name] += 1
        return f"{name}_{self._same[name]}"

    async def end_calls(self) -> None:
        """Cancel the calls in flight and wait until they have cleaned up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            if not task.cancelling():  # a second cancellation would break off its clean-up
                task.cancel(ENDED)
        await wait_to_the_end(tasks)

    # ---- the end

    def execution(self, value: Any, printed: str | None, error: CodeError | None) -> Execution:
        """Return what the block gave, with the value, its `repr` and the error that its code ended with."""
        self.tell_output()
        return Execution(
            code="".join(self.code),
            value=value,
            repr=printed,
            stdout="".join(self._output),
            error=error,
            calls=tuple(self._observations),
            truncated=self._lost_output,
            interrupted=self.stopped is not None,
            seconds=time.perf_counter() - self._began,
        )

    def stop(self, reason: str, kind: str = "KeyboardInterrupt") -> None:
        """Stop the block from outside, unless that has been done, for a reason and with a class of error to tell."""
        if self.stopped is None:
            self.stopped, self.stop_kind = reason, kind
            self.on_stop()

    def _expired(self) -> None:
        self.stop(f"the block ran longer than {self._limits.seconds:g} s", "TimeoutError")

    def broken_off(self, names: tuple[str, ...] = ()) -> Execution:
        """Return what the block gave until its caller was cancelled, or a tool ended the run."""
        reason = self.stopped or "the run ended while the block ran"
        return self.execution(None, None, CodeError("KeyboardInterrupt", reason, names=names))


async def pieces_of(code: str | AsyncIterable[str]) -> AsyncGenerator[tuple[str, bool], None]:
    """Yield the pieces of a block, each with whether it is the last; then close their source."""
    if isinstance(code, str):
        yield code, True
        return
    pieces = aiter(code)
    try:
        async for piece in pieces:
            yield piece, False
        yield "", True  # only now is it known that the piece before was the last
    finally:
        if (close := getattr(pieces, "aclose", None)) is not None:
            await close()


class Stopwatch:
    """The time that a block has, which can be paused.

    While the time is paused, what the code computes counts all the same.

    Args:
        seconds: The seconds that the block has; `None` for no limit.

    Attributes:
        expired: Called when the time is over.
        computed: Returns the seconds that the code has computed so far; `None` where nobody knows.
        held: Returns the seconds so far in which the code was kept from running; they do not count.
    """

    def __init__(self, seconds: float | None) -> None:
        self._left = seconds
        self._pauses = 1  # paused until it is started
        self._marks: tuple[float, float, float | None] = (
            0.0,
            0.0,
            None,
        )  # time, `held` and `computed` when last counted
        self._timer: asyncio.TimerHandle | None = None
        self.expired: Callable[[], None] = lambda: None
        self.computed: Callable[[], float | None] = lambda: None
        self.held: Callable[[], float] = lambda: 0.0

    def pause(self) -> None:
        """Pause the time, until `resume` has been called as often."""
        if self._pauses == 0:
            self._count()
        self._pauses += 1
        self._ring()

    def resume(self) -> None:
        """Start the time, unless it has been paused more often than resumed."""
        if self._pauses == 1:
            self._count()
        self._pauses -= 1
        self._ring()

    def _count(self) -> None:
        """Count the time since the last counting; in a pause, what was computed of it."""
        if self._left is None:
            return
        (since, held, computed), now = self._marks, asyncio.get_running_loop().time()
        self._marks = now, self.held(), self.computed()
        if self._pauses == 0:
            self._left -= now - since - (self._marks[1] - held)
        elif computed is not None and self._marks[2] is not None:  # several threads compute no more than time goes by
            self._left -= min(self._marks[2] - computed, now - since)

    def _ring(self, soonest: float = 0.0) -> None:
        """Look again when the time may be over, in these seconds at the soonest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._left is not None and (self._pauses == 0 or self._marks[2] is not None):
            self._timer = asyncio.get_running_loop().call_later(max(self._left, soonest), self._look)

    def _look(self) -> None:
        self._count()
        if self._left is not None and self._left <= (0.0 if self._pauses else _TOLERANCE):
            self.expired()
        else:  # the code was kept from running meanwhile, or has computed little
            self._ring(_SHORTEST_LOOK)

    def stop(self) -> None:
        """Stop the time for good."""
        self._left = None
        self._ring()
