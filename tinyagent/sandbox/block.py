"""One block of code while it runs: its output, its tool calls, its clock."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextvars import copy_context
from typing import Any

from tinyagent.core.execution import CodeError, Execution, Observation
from tinyagent.core.jsonable import words
from tinyagent.core.messages import NOT_ANSWERED, Call
from tinyagent.core.tool import Tool
from tinyagent.core.waiting import wait_to_the_end
from tinyagent.sandbox.base import Answer, Caller, SandboxLimits, bind

#: Bytes of arguments that a block may pass to tools; they are kept with its calls.
MOST_ARGUMENTS = 64 << 20
#: How the tasks of calls are cancelled: by the code, and at the end of the block.
WITHDRAWN = "cancelled: the code did not wait for it any longer"
ENDED = "cancelled: the block has ended"
_OURS = ((WITHDRAWN,), (ENDED,))
#: Seconds between two looks at a block that may be kept stopped when its time is over.
_SHORTEST = 0.05


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

    def refusal(self, size: int) -> str | None:
        """Why the block may not make a call with so many bytes of arguments."""
        text = None
        if len(self._observations) >= self._limits.calls:
            text = f"this block has made {self._limits.calls} tool calls, which is the limit; go on in another block"
        elif self._argument_bytes + size > MOST_ARGUMENTS:
            text = (
                f"this block has handed {MOST_ARGUMENTS:,} bytes to tools, which is the limit; go on in another block"
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
        answer: Callable[[Answer], None],
    ) -> None:
        """Start a call.

        Args:
            number: The child's name for it.
            tool: What is called.
            args: Positional arguments.
            kwargs: Keyword arguments.
            written: Tool and arguments as they were written, the same for the same call.
            answer: Hears what it gave, unless it is withdrawn.
        """
        self.tell_output()
        self._argument_bytes += len(written)
        call = bind(tool, args, kwargs, self._call_id(tool.name, written), size=len(written))
        place = self._places[number] = len(self._observations)
        self._observations.append(Observation(call, NOT_ANSWERED, error=NOT_ANSWERED))
        self.clock.pause()
        context = self._context.copy()  # of whoever runs the block, not of the connection
        task = asyncio.get_running_loop().create_task(self._run(call, place, answer), context=context)
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._ended(number))

    async def _run(self, call: Call, place: int, answer: Callable[[Answer], None]) -> None:
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
        answer(given)

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

    Args:
        seconds: When it is over; `None` is never.
    """

    def __init__(self, seconds: float | None) -> None:
        self._left = seconds
        self._pauses = 1  # until it is started
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.expired: Callable[[], None] = lambda: None
        #: Seconds so far that do not count.
        self.held: Callable[[], float] = lambda: 0.0
        self._forgiven = 0.0

    def pause(self) -> None:
        """Stop the time; as many resumes start it again."""
        self._pauses += 1
        if self._pauses == 1 and self._timer is not None and self._left is not None:
            self._timer.cancel()
            self._timer = None
            self._left -= asyncio.get_running_loop().time() - self._since

    def resume(self) -> None:
        """Start the time, when nobody else has paused it."""
        self._pauses -= 1
        if self._pauses == 0 and self._left is not None:
            loop = asyncio.get_running_loop()
            self._since = loop.time()
            self._timer = loop.call_later(max(0.0, self._left), self._over)

    def _over(self) -> None:
        more = self.held() - self._forgiven
        if more <= 0 or self._left is None:
            self.expired()
            return
        self._left = more = max(more, _SHORTEST)
        self._forgiven += more
        loop = asyncio.get_running_loop()
        self._since, self._timer = loop.time(), loop.call_later(more, self._over)

    def stop(self) -> None:
        """Stop it for good."""
        self._left = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
