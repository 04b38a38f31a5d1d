"""One block of code that runs in a thread of this process: its output, its tool calls, its clock."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tinyagent.core.messages import Call
from tinyagent.core.result import Execution, Observation
from tinyagent.core.tool import Tool
from tinyagent.sandbox.base import Answer, SandboxLimits, bind
from tinyagent.sandbox.inprocess.namespace import BlockEnded, Namespace, Outcome, Output, check_calls, stopped
from tinyagent.sandbox.inprocess.stopper import Interrupted, Stopper


@dataclass(frozen=True, slots=True)
class Request:
    """A tool call that a thread of the code waits for; its answer is `None` when the block is stopped meanwhile."""

    call: Call
    thread: int = field(default_factory=threading.get_ident)
    answers: queue.SimpleQueue[Answer | None] = field(default_factory=queue.SimpleQueue)


class ThreadBlock:
    """A block of code that runs in a thread, and what this thread and the event loop tell each other.

    Args:
        namespace: The namespace in which the block runs.
        number: The number of the block in its session, from 1.
        limits: What the block may use.
        on_output: Called with the output as it comes.

    Attributes:
        scope: Cancels the task that runs the block when its time is over, or when it is interrupted.
        requests: The calls that the code makes; `None` when a piece of the code has ended.
        calls: What the calls gave.
        code: The pieces of the block that have run, or run now.
        outcome: What the last piece gave.
        stopper: Stops the piece that runs.
        interrupted: Whether the block was stopped by hand.
    """

    def __init__(
        self, namespace: Namespace, number: int, limits: SandboxLimits, on_output: Callable[[str], None] | None
    ) -> None:
        self.namespace = namespace
        self.limits = limits
        self.scope = asyncio.timeout(None)
        self.output = Output(limits.output, self._hear if on_output else None)
        self.calls: list[Observation] = []
        self.code: list[str] = []
        self.outcome = Outcome()
        self.stopper = Stopper()
        self.requests: asyncio.Queue[Request | None] = asyncio.Queue()
        self.interrupted = self._closed = False
        self._name = f"block{number}"
        self._numbers = itertools.count(1)
        self._same = Counter[str]()
        self._unanswered: dict[str, Request] = {}
        self._left = limits.seconds
        self._loop = asyncio.get_running_loop()
        self._on_output = on_output
        self._unheard: deque[str] = deque()
        self._telling = False

    # ---- in the code's thread

    def ask(self, tool: Tool[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Have a tool call answered on the event loop, and return its value.

        Raises:
            Interrupted: The block was stopped.
            BlockEnded: The tool's value ends the block.
            Exception: What the tool raised.
        """
        check_calls(next(self._numbers), self.limits)
        call = bind(tool, args, kwargs, "")
        name = f"{self._name}_{tool.name}_{hashlib.sha256(call.raw.encode(errors='replace')).hexdigest()[:10]}"
        self._same[name] += 1
        request = Request(replace(call, id=f"{name}_{self._same[name]}"))  # the same id whenever the block is run
        self._unanswered[request.call.id] = request
        if self._closed:
            raise Interrupted
        self._loop.call_soon_threadsafe(self.requests.put_nowait, request)
        answer = request.answers.get()
        if answer is None:
            raise Interrupted
        if answer.exception is not None:
            raise answer.exception
        if answer.ends_block:
            self.namespace.over = BlockEnded
            raise BlockEnded
        return answer.observation.value

    def _hear(self, text: str) -> None:
        self._unheard.append(text)
        if not self._telling:  # one callback for all output that comes until it runs
            self._telling = True
            self._loop.call_soon_threadsafe(self._tell)

    # ---- on the event loop

    def _tell(self) -> None:
        self._telling = False
        text = "".join(self._unheard.popleft() for _ in range(len(self._unheard)))
        if text and self._on_output is not None:
            self._on_output(text)

    @contextlib.contextmanager
    def clock(self) -> Iterator[None]:
        """Count the time inside towards the block's limit."""
        began = self._loop.time()
        if self._left is not None and not self.interrupted:
            self.scope.reschedule(began + self._left)
        try:
            yield
        finally:
            if self._left is not None:
                self._left -= self._loop.time() - began
                if not self.interrupted:
                    with contextlib.suppress(RuntimeError):  # the time has just run out
                        self.scope.reschedule(None)

    def interrupt(self) -> None:
        """Stop the block, as when its time is over."""
        self.interrupted = True
        with contextlib.suppress(RuntimeError):  # the block is being stopped already
            self.scope.reschedule(self._loop.time())

    def answer(self, request: Request, answer: Answer | None) -> None:
        """Give the code the answer to a call that it waits for; `None` stops the code."""
        if self._unanswered.pop(request.call.id, None) is not None:
            request.answers.put(answer)

    def stop(self) -> None:
        """Stop the code: calls that it waits for get no answer, anything else is cut short."""
        if not any(request.thread == self.stopper.thread for request in list(self._unanswered.values())):
            self.stopper.stop()
        self._refuse_calls()

    def _refuse_calls(self) -> None:
        self._closed = True
        for request in list(self._unanswered.values()):
            self.answer(request, None)

    def end(self) -> None:
        """End the block: refuse its open calls, and hand on its last output."""
        self._refuse_calls()
        self.namespace.end()
        self._tell()

    def execution(self, began: float) -> Execution:
        """Return what the block gave, which began at a moment of `time.perf_counter`."""
        outcome, error, was_stopped = self.outcome, self.outcome.error, self.scope.expired()
        if was_stopped:
            known = error if isinstance(outcome.exception, Interrupted) else None
            lost = self.namespace.defined if self.namespace.over is Interrupted else None
            error = stopped(self.limits, known, by_hand=self.interrupted, lost=lost)
        seconds = time.perf_counter() - began
        value, text = (None, None) if error else (outcome.value, outcome.repr)
        printed, cut = self.output.text, self.output.truncated
        return Execution("".join(self.code), value, text, printed, error, tuple(self.calls), cut, was_stopped, seconds)
