"""One run: its state, and the handle by which its stream is read."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any, Generic, NoReturn, TypedDict, TypeVar

from tinyagent.agents.outcome import Outcome
from tinyagent.agents.toolbox import Toolbox
from tinyagent.core.context import Context
from tinyagent.core.effects import Effects, checked_effects
from tinyagent.core.errors import ConfigurationError, RunError, UnknownOptionError
from tinyagent.core.events import Event, HandedOver, InnerEvent, RunFailed, RunFinished, StepFinished
from tinyagent.core.jsonable import brief, words
from tinyagent.core.limits import Limits
from tinyagent.core.log import LOGGED, log
from tinyagent.core.loops import asyncio_loop
from tinyagent.core.mending import mended
from tinyagent.core.messages import NOT_ANSWERED, Assistant, Conversation, Reply, ToolReply, User
from tinyagent.core.result import Observation, RunInfo, RunResult, State, Step
from tinyagent.core.traces import shorten
from tinyagent.core.usage import Usage
from tinyagent.core.waiting import wait_to_the_end
from tinyagent.models.chat import MessageLike, as_messages

Output = TypeVar("Output")

_EMPTY = Toolbox({})


class RunOptions(TypedDict, total=False):
    """Options of one run.

    Attributes:
        messages: An earlier conversation to go on from: `result.messages`, any part of it, or dicts of the Chat
            Completions API. What no server would take is mended, with a `Notice`.
        deps: Handed to tools as `Context.deps`.
        run_id: The run's id; made where none is given.
        metadata: Kept with the result and handed to tools.
        effects: Performs the model and tool calls; for journals.
    """

    messages: Iterable[MessageLike]
    deps: Any
    run_id: str | None
    metadata: Mapping[str, Any] | None
    effects: Effects | None


class Run(Generic[Output]):
    """A run in progress: an async context manager, and an async iterator over its events.

        async with agent.stream("...") as run:
            async for event in run:
                ...
        print(run.result)

    Leaving the block cancels and awaits everything the run started. Iterating raises the run's error after its
    last event. All state of the run lives here; the agent keeps none. Events wait here until they are read: the
    run does not wait for a slow reader.

    Attributes:
        run_id: The run's id.
        task: What was asked.
        about: Its ids, names and times, as it began.
        conversation: The messages so far.
        mended: What was changed in `messages=`, in words; empty when nothing was.
        usage: What has been used so far, by the runs inside it too.
        steps: The turns so far.
    """

    def __init__(
        self,
        drive: Callable[[Run[Output]], Coroutine[Any, Any, None]],
        task: str,
        about: RunInfo,
        options: RunOptions,
        *,
        limits: Limits,
        streamed: bool,
        parent: Run[Any] | None = None,
        call: str = "",
    ) -> None:
        if unknown := options.keys() - RunOptions.__annotations__.keys():
            from tinyagent.agents.options import no_option

            raise UnknownOptionError(no_option("run", unknown, RunOptions.__annotations__))
        self.run_id = about.run_id
        self.task = task
        self.conversation, self.mended = _opening(task, options.get("messages", ()))
        self.limits = limits
        self.streamed = streamed
        self.parent = parent
        self._call = call
        self._inner: Counter[str] = Counter()  # the runs inside each call
        self.deps = options.get("deps")
        self.metadata = _checked_metadata(options.get("metadata"))
        self.effects = checked_effects(options.get("effects"))
        self.usage = Usage()
        self.steps: list[Step] = []
        self.deadline: float | None = parent.deadline if parent is not None else None
        self.error: BaseException | None = None
        self.output: Any = None
        self.state: State = "running"
        self.finish_reason: str | None = None
        self.text = ""  # of the answer, as far as it has come
        self.handed_over = False  # from one agent to another
        self.asked_again = False  # after a reply with nothing to go on with
        self.toolbox = _EMPTY
        self.scope: Any = None  # what the agent keeps for this run
        self._drive = drive
        self.about = about
        self._clock = time.perf_counter()
        self._step_clock = self._clock
        self._seconds: float | None = None
        self._events: deque[Event] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._left = False
        self._drained = False

    # ---- for the caller

    @property
    def result(self) -> RunResult[Output]:
        """The result; what there is so far while the run goes on, or when it failed or was left."""
        seconds = time.perf_counter() - self._clock if self._seconds is None else self._seconds
        return RunResult(
            output=self.output,
            state=self.state,
            messages=self.conversation.messages,
            steps=tuple(self.steps),
            usage=self.usage,
            info=replace(self.about, seconds=seconds),
            finish_reason=self.finish_reason,
            metadata=self.metadata,
        )

    async def __aenter__(self) -> Run[Output]:
        asyncio_loop()
        if self._task is not None:
            raise RuntimeError("This run was entered before. Call agent.stream(...) again for another run.")
        self._task = asyncio.create_task(self._drive(self), name=f"tinyagent run {self.run_id}")
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._left = True
        try:
            await cancel_and_wait(self._task)
        finally:
            if self.state == "running":  # left before it began
                self.finish("cancelled", error=asyncio.CancelledError())

    def _asynchronous(self, *_: object) -> NoReturn:
        raise TypeError("A run is read so: async with agent.stream(...) as run: async for event in run: ...")

    __await__ = __iter__ = __enter__ = __exit__ = _asynchronous  # Python's own words name no cure

    def __aiter__(self) -> Run[Output]:
        return self

    async def __anext__(self) -> Event:
        try:
            while not self._events:
                if self._over():
                    raise StopAsyncIteration
                await self._news()
        except Exception as error:
            shorten(error)
            raise
        return self._events.popleft()

    def _over(self) -> bool:
        """Whether the run has ended; raises its error."""
        if self._task is None:
            raise RuntimeError("Enter the run first: async with agent.stream(...) as run: async for event in run: ...")
        if not self._task.done():
            return False
        if self.error is None or (self._left and self.state == "cancelled"):
            return True
        raise self.error

    def _news(self) -> asyncio.Future[None]:
        """Done when there is an event, or the run has ended."""
        if self._reader is not None and not self._reader.done():
            raise RuntimeError("Another task is reading this run already.")
        self._reader = asyncio.get_running_loop().create_future()
        return self._reader

    async def drain(self) -> RunResult[Output]:
        """Read to the end and return the result.

        Raises:
            RunError: The run failed.
        """
        self._drained = True  # events that nobody hears wake nobody
        self._events.clear()
        try:
            while not self._over():
                await self._news()
        except Exception as error:
            shorten(error)
            raise
        return self.result

    # ---- for the loop

    def emit(self, event: Event) -> None:
        """Hand an event to the reader, to that of the run around this one, and to the log."""
        if type(event) in LOGGED:
            log(self.run_id, event)
        if self._drained and self.parent is None:
            return  # nobody hears it
        event = event.stamped(self.run_id, self.about.started + time.perf_counter() - self._clock)
        if self.parent is not None:
            inner = event if isinstance(event, InnerEvent) else InnerEvent((), event)
            self.parent.emit(InnerEvent((self._call, *inner.path), inner.event))
        if not self._drained:
            self._events.append(event)
            self._wake()

    def context(self, **about: Any) -> Context[Any]:
        """What a tool, or whoever else is asked for this run, can know of it."""
        agent, model = self.about.agent, self.about.model
        return Context(
            deps=self.deps,
            run_id=self.run_id,
            agent=agent,
            model=model,
            metadata=self.metadata,
            _usage=lambda: self.usage,
            _run=self,
            **about,
        )

    def hand_over(self, agent: str, model: str) -> None:
        """Another agent goes on with the conversation."""
        if isinstance(self.conversation.messages[-1], Assistant):  # which a server may want to be answered
            self.conversation.append(User(f"{agent} goes on."))
        self.about = replace(self.about, agent=agent, model=model)
        self.handed_over, self.output = True, None
        self.text, self.asked_again = "", False
        self.emit(HandedOver(agent, model))

    def inner_id(self, step: int, call: str) -> str:
        """The id of the next run inside the call."""
        name = f"{self.run_id}/{step}/{call}"
        self._inner[name] += 1
        return name if self._inner[name] == 1 else f"{name}/{self._inner[name]}"

    def begin_step(self) -> int:
        """The number of the step that begins."""
        self._step_clock = time.perf_counter()
        return len(self.steps) + 1

    def end_step(self, reply: Reply, message: Assistant, outcome: Outcome) -> None:
        """Record the turn, and say so."""
        seconds = time.perf_counter() - self._step_clock
        number, seen = len(self.steps) + 1, tuple(outcome.observations)
        step = Step(number, message, seen, reply.finish_reason, reply.usage, seconds, outcome.executions)
        self.steps.append(step)
        self.emit(StepFinished(step))

    def count(self, usage: Usage) -> None:
        """Add what a model call cost, here and in the run around this one."""
        self.usage = self.usage + usage
        if self.parent is not None:
            self.parent.count(usage)

    def answer_calls(self, observations: Iterable[tuple[Observation, str]]) -> None:
        """Answer the open calls, in their order, with what the model reads of each `(observation, text)`."""
        answers = {observation.call.id: text for observation, text in observations}
        for call in self.conversation.open_calls:
            self.conversation.append(ToolReply(call.id, answers.get(call.id, NOT_ANSWERED), call.name))

    def finish(self, state: State, output: Any = None, error: BaseException | None = None) -> None:
        """End the run; its history is made valid, its error gets the result."""
        self.conversation.close()
        self.output, self.state, self.error = output, state, error
        self._seconds = time.perf_counter() - self._clock
        result = self.result
        if error is None:
            self.emit(RunFinished(result))
        else:
            if isinstance(error, RunError):
                error.result = result
            self.emit(RunFailed(type(error).__name__, words(error), result))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # the reader raises it; asyncio need not report it as lost
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


async def cancel_and_wait(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task and wait until it has cleaned up, even when the waiting is cancelled too."""
    if task is None or task.done():
        return
    task.cancel()
    await wait_to_the_end([task])


def _checked_metadata(metadata: object) -> Mapping[str, Any]:
    if not isinstance(metadata, Mapping | None):
        raise ConfigurationError(f"metadata={brief(metadata)}: pass a dict, such as metadata={{'user': 'u1'}}.")
    return dict(metadata or {})


def _opening(task: str, messages: Iterable[MessageLike]) -> tuple[Conversation, str]:
    """The conversation as the run begins (what was said before, the task), and what was mended in it."""
    if not isinstance(task, str) or not task.strip():
        raise ConfigurationError(
            f"The task is {brief(task)}: say in words what to do, such as agent.run('Add 2 and 3')."
        )
    whole, told = mended(as_messages(messages))
    conversation = Conversation(whole)
    conversation.append(User(task))
    return conversation, told
