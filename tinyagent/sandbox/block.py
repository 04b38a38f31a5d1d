"""One block of code while it runs: its output, its tool calls, its clock."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextvars import copy_context
from typing import Any

from tinyagent.core.jsonable import words
from tinyagent.core.messages import NOT_ANSWERED, Call
from tinyagent.core.result import CodeError, Execution, Observation
from tinyagent.core.tool import Tool
from tinyagent.core.waiting import wait_to_the_end
from tinyagent.sandbox.base import Answer, Caller, SandboxLimits, bind, context_of_calls

#: Bytes of arguments that a block may pass to tools; they are kept with its calls.
MOST_ARGUMENTS = 64 << 20
#: Seconds between two looks at a block whose clock is paused, or that may be kept stopped when its time is over.
_SHORTEST_LOOK = 0.05
#: Seconds that the clocks of event loops are coarse.
_TOLERANCE = 0.005
#: How the tasks of calls are cancelled: by the code, and at the end of the block.
WITHDRAWN = "cancelled: the code did not wait for it any longer"
ENDED = "cancelled: the block has ended"
_OURS = ((WITHDRAWN,), (ENDED,))


class Block:
    """What is known of a block, as it comes in.

    Args:
        number: Counts the blocks of a session, from 1.
        limits: What it may use.
        on_output: Hears the output as it comes.
        call: Answers its tool calls.
    """

    def __init__(
        self, number: int, limits: SandboxLimits, on_output: Callable[[str], None] | None, call: Caller
    ) -> None:
        self.number = number
        self.clock = Stopwatch(limits.seconds)
        self.code: list[str] = []
        self.stopped: str | None = None  # why it has been stopped from outside
        self.stop_kind = "KeyboardInterrupt"
        self.ended = False
        self.refused = 0
        self.fatal: BaseException | None = None  # raised by a tool to end the run
        self.on_fatal: Callable[[], None] = lambda: None
        self._limits = limits
        self._on_output = on_output
        self._call = call
        self._context = copy_context()
        self._began = time.perf_counter()
        self._output: list[str] = []
        self._fresh: list[str] = []
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
        """More output; characters of it in excess of the limit so far."""
        room = self._limits.output - self._kept
        kept = text[:room] if room > 0 else ""
        self._lost_output += len(text) - len(kept)
        if kept:
            self._kept += len(kept)
            if not self._fresh:
                asyncio.get_running_loop().call_soon(self.tell_output)
            self._fresh.append(kept)
        return self._lost_output

    def tell_output(self) -> None:
        """Hand on what has come since the last time."""
        if self._fresh:
            text = "".join(self._fresh)
            self._fresh.clear()
            self._output.append(text)
            if self._on_output is not None:
                self._on_output(text)

    # ---- tool calls

    @property
    def calls_in_flight(self) -> int:
        """Calls that have not been answered."""
        return len(self._tasks)

    def is_open(self, number: int) -> bool:
        """Whether a call of this number is in flight."""
        return number in self._tasks

    def refusal(self, size: int, host_seconds: float = 0.0) -> str | None:
        """Why the block may not make a call.

        Args:
            size: Bytes of its arguments.
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
        written: bytes,
        answer: Callable[[Answer], Awaitable[None] | None],
    ) -> None:
        """Start a call.

        Args:
            number: The child's name for it.
            tool: What is called.
            args: Positional arguments.
            kwargs: Keyword arguments.
            written: Tool and arguments as they were written, the same for the same call.
            answer: Hears what it gave, unless it is withdrawn. The call is over when it has been told.
        """
        self.tell_output()
        self._argument_bytes += len(written)
        call = bind(tool, args, kwargs, self._call_id(tool.name, written), size=len(written))
        place = self._places[number] = len(self._observations)
        self._observations.append(Observation(call, NOT_ANSWERED, error=NOT_ANSWERED))
        self.clock.pause()
        context = context_of_calls(self, self._context)  # of whoever runs the block, not of the connection
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
        """The code does not wait for this call any more."""
        task = self._tasks.get(number)
        if task is None or task.cancelling():
            return
        if self.stopped is None:
            place = self._places[number]
            call = self._observations[place].call
            self._observations[place] = Observation(call, WITHDRAWN, error=WITHDRAWN)
        task.cancel(WITHDRAWN if self.stopped is None else ENDED)

    def _call_id(self, tool: str, written: bytes) -> str:
        """The same for the same call whenever the block is run: block, tool, arguments, and which of equal ones."""
        digest = hashlib.sha256(written).hexdigest()[:10]
        name = f"block{self.number}_{tool}_{digest}"
        self._same[name] += 1
        return f"{name}_{self._same[name]}"

    async def end_calls(self) -> None:
        """Cancel the calls in flight and wait until they have cleaned up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            if not task.cancelling():  # a second time would break off its clean-up
                task.cancel(ENDED)
        await wait_to_the_end(tasks)

    # ---- the end

    def execution(self, value: Any, printed: str | None, error: CodeError | None) -> Execution:
        """What the block gave."""
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
        """Remember why it is stopped from outside, and as what error that is told."""
        if self.stopped is None:
            self.stopped, self.stop_kind = reason, kind

    def broken_off(self, names: tuple[str, ...] = ()) -> Execution:
        """What the block gave until its caller was cancelled, or a tool ended the run."""
        reason = self.stopped or "the run ended while the block ran"
        return self.execution(None, None, CodeError("KeyboardInterrupt", reason, names=names))


async def pieces_of(code: str | AsyncIterable[str]) -> AsyncGenerator[tuple[str, bool], None]:
    """The pieces of a block, each with whether it is the last; then what they came from is closed."""
    if isinstance(code, str):
        yield code, True
        return
    pieces = aiter(code)
    try:
        async for piece in pieces:
            yield piece, False
        yield "", True  # the value is that of the piece before
    finally:
        if (close := getattr(pieces, "aclose", None)) is not None:
            await close()


class Stopwatch:
    """Time that runs unless it is paused, and calls somebody when it is over.

    While it is paused, what the code computes counts all the same.

    Args:
        seconds: When it is over; `None` is never.

    Attributes:
        expired: Called when it is over.
        computed: Returns the seconds that the code has computed so far; `None` where nobody knows.
        held: Returns the seconds so far in which the code was kept from running; they do not count.
    """

    def __init__(self, seconds: float | None) -> None:
        self._left = seconds
        self._pauses = 1  # until it is started
        self._since = 0.0  # it was started, or paused
        self._had: float | None = None  # computed, when it was paused
        self._timer: asyncio.TimerHandle | None = None
        self.expired: Callable[[], None] = lambda: None
        self.computed: Callable[[], float | None] = lambda: None
        self.held: Callable[[], float] = lambda: 0.0
        self._held_before = 0.0  # when it was started

    def pause(self) -> None:
        """Stop the time; as many resumes start it again."""
        self._pauses += 1
        if self._pauses == 1 and self._timer is not None and self._left is not None:
            self._left -= self._ran()
            self._since = asyncio.get_running_loop().time()
            self._had = self.computed()
            self._ring_after(self._left if self._had is not None else None, self._look)

    def resume(self) -> None:
        """Start the time, when nobody else has paused it."""
        self._pauses -= 1
        if self._pauses == 0 and self._left is not None:
            self._left -= self._computed_in_pause()
            self._had = None
            self._start(self._left)

    def _computed_in_pause(self) -> float:
        """Seconds that count: several threads compute no faster than time goes by."""
        if self._had is None or (now := self.computed()) is None:
            return 0.0
        return min(now - self._had, asyncio.get_running_loop().time() - self._since)

    def _look(self) -> None:
        """Whether what was computed in a pause is too much; it cannot be before the time that was left has gone by."""
        left = (self._left or 0.0) - self._computed_in_pause()
        if left <= 0:
            self.expired()
        else:
            self._ring_after(max(left, _SHORTEST_LOOK), self._look)

    def _ring_after(self, seconds: float | None, bell: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), bell)

    def _start(self, left: float) -> None:
        self._since, self._held_before = asyncio.get_running_loop().time(), self.held()
        self._ring_after(left, self._over)

    def _ran(self) -> float:
        """Seconds since it was started in which the code could run."""
        return asyncio.get_running_loop().time() - self._since - (self.held() - self._held_before)

    def _over(self) -> None:
        self._left = (self._left or 0.0) - self._ran()
        if self._left < _TOLERANCE:
            self.expired()
        else:  # the code was kept from running meanwhile
            self._start(max(self._left, _SHORTEST_LOOK))

    def stop(self) -> None:
        """Stop it for good."""
        self._left = None
        self._ring_after(None, self._over)
