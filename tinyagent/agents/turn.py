"""Running the calls of one turn: at the same time, early where that is allowed, answered in the order of the calls."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import threading
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from types import AsyncGeneratorType, BuiltinFunctionType, FrameType, FunctionType, MethodType
from typing import Any

from tinyagent.agents.middleware import ToolCall, around_tool
from tinyagent.agents.state import Outcome, RunState
from tinyagent.core.context import Context
from tinyagent.core.errors import (
    ConfigurationError,
    DecisionError,
    FatalToolError,
    MiddlewareError,
    ReplayError,
    StoreError,
)
from tinyagent.core.events import (
    CallSealed,
    Notice,
    ReasoningDelta,
    Retry,
    TextDelta,
    TextVoided,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from tinyagent.core.jsonable import to_text
from tinyagent.core.messages import NOT_ANSWERED, Call, Reply
from tinyagent.core.policy import Pending, pending_in
from tinyagent.core.result import Observation
from tinyagent.core.text import excerpt
from tinyagent.core.tool import GOES_ON, Tool, told_of
from tinyagent.core.waiting import is_cancelled

#: Types of values that a tool returns by mistake, and that tell a model nothing.
_NO_VALUES = (FunctionType, MethodType, BuiltinFunctionType, AsyncGeneratorType)
#: Errors that end the run; any other error of a tool is told to the model.
_FATAL = (FatalToolError, StoreError, MiddlewareError, ReplayError, DecisionError)


class Turn:
    """The turn of one reply: as the sink of the model call it hears the reply, and it runs the reply's calls.

    It is an async context manager: leaving it cancels the calls that still run, and waits until they have cleaned up.

    Args:
        run: The data of the run.
        tools: The tools on offer by name.
        step: The number of the step.
        eager: Start calls while the model still writes.
        longest: Characters of an observation that the model reads; `None` is no limit.
    """

    def __init__(
        self, run: RunState, tools: Mapping[str, Tool[..., Any]], *, step: int, eager: bool, longest: int | None
    ) -> None:
        self._run = run
        self._tools = tools
        self._step = step
        self._eager = eager
        self._longest = longest
        self._tasks: dict[str, asyncio.Future[None]] = {}  # by the id of the call, as are the observations
        self._origin = ""
        self._shown_text: list[str] = []  # the text of this turn, as the reader has it
        self._started: list[Call] = []
        self._early: set[str] = set()  # the ids of calls that started before the reply was whole
        self._observations: dict[str, Observation] = {}
        self._replayed: set[str] = set()  # the ids of calls that were answered by a record
        self._pending: dict[str, tuple[Pending, ...]] = {}  # what waits for a decision, by the ids of the calls
        self._stopping = False  # what still runs is being cancelled
        self._barrier: asyncio.Future[None] | None = None  # the last exclusive call
        self._loop = asyncio.get_running_loop()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Turn:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self._stopping = True
        failures: Sequence[BaseException] = ()
        try:
            await self._group.__aexit__(*exc)  # a fatal tool has cancelled everything else, the model call too
        except BaseExceptionGroup as group:
            failures = group.exceptions
        if failures:
            raise next((error for error in failures if isinstance(error, FatalToolError)), failures[0])

    def so_far(self, partial: Reply) -> Reply | None:
        """Return the reply that broke off with the calls that were started; `None` where there are none."""
        return replace(partial, calls=self.started, finish_reason="interrupted") if self.started else None

    # ---- hearing the model (the sink of the model call)

    def text(self, delta: str) -> None:
        """Hear more text, for the reader of the run."""
        self._shown_text.append(delta)
        self._run.emit(TextDelta(delta))

    def served_by(self, origin: str) -> None:
        """Note which server writes the reply."""
        self._origin = origin

    def reasoning(self, delta: str) -> None:
        """Hear more reasoning, for the reader of the run."""
        self._run.emit(ReasoningDelta(delta))

    def notice(self, event: Retry | Notice | TextVoided) -> None:
        """Hear of a retry, a notice or void text; a retry of the model makes all text of the turn void."""
        if isinstance(event, Retry) and event.what == "model":
            self.begin_again()
        if isinstance(event, TextVoided):
            self._void(event.text)
        else:
            self._run.emit(copy(event))  # a copy, since the model may give the event to other runs too

    def begin_again(self) -> None:
        """Take back all text that was shown: the model is asked again."""
        self._void("".join(self._shown_text))

    def _void(self, text: str) -> None:
        """Take back the text, which was shown last; where something else was, take back all of the turn's text."""
        shown = "".join(self._shown_text)
        kept = shown[: len(shown) - len(text)] if shown.endswith(text) else ""
        if len(kept) < len(shown):
            self._shown_text = [kept]
            self._run.emit(TextVoided(shown[len(kept) :]))

    def call(self, call: Call) -> None:
        """Hear a complete call, and start it now if it may start early."""
        self._run.emit(CallSealed(call))
        tool = self._tools.get(call.name)
        if tool is not None and tool.exclusive:
            self._eager = False  # an exclusive call waits for the whole reply, and so do those after it
        if self._eager and tool is not None and tool.eager and not self._guarded(tool) and call.id not in self._tasks:
            self._early.add(call.id)
            self._start(call)

    def _guarded(self, tool: Tool[..., Any]) -> bool:
        """Return whether a call of the tool may be denied, or wait."""
        return bool(self._run.policies) or tool.needs_approval or tool.once

    @property
    def committed(self) -> bool:
        """Whether something that the model wrote has started to run."""
        return bool(self._started)

    # ---- running the calls

    async def act(self, reply: Reply) -> Outcome:
        """Run the calls of the whole reply and return what came of it.

        Raises:
            FatalToolError: A tool ended the run.
        """
        if reply.calls:
            await self.answer(reply.calls)
        return self.outcome(reply.calls)

    def outcome(self, calls: Iterable[Call]) -> Outcome:
        """Return what the given calls gave, in their order, as far as they have ended."""
        found = [self._observations[call.id] for call in calls if call.id in self._observations]
        answers = tuple((observation, self._shown(observation.text)) for observation in found)
        return Outcome(answers, pending=self._waiting())

    def _waiting(self) -> tuple[Pending, ...]:
        """Return what waits for a decision, in the order in which the calls were started."""
        if not self._pending:
            return ()
        return tuple(each for call_id in self._tasks for each in self._pending.get(call_id, ()))

    def error_of(self, observation: Observation) -> Exception | None:
        """Return what the call raised, as an exception; `None` where it succeeded."""
        if observation.error is None:
            return None
        return observation.exception or RuntimeError(observation.error)

    async def answer(self, calls: Iterable[Call]) -> None:
        """Wait for the given calls, and start those that have not started.

        Raises:
            FatalToolError: A tool ended the run.
        """
        tasks = [self._start(call) for call in calls]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()  # a fatal error ends the turn at once

    @property
    def started(self) -> tuple[Call, ...]:
        """The calls that have been started, in order."""
        return tuple(self._started)

    def _start(self, call: Call) -> asyncio.Future[None]:
        task = self._tasks.get(call.id)
        if task is None:
            tool = self._tools.get(call.name)
            waits_for: list[asyncio.Future[Any]] = []
            task = self._group.create_task(self._perform(call, tool, waits_for))
            waits_for += self._line_up(call, tool, task)  # before the task takes its first step
            self._started.append(call)
        return task

    def _line_up(self, call: Call, tool: Tool[..., Any] | None, task: asyncio.Future[Any]) -> list[asyncio.Future[Any]]:
        """Put a call in line and return what it waits for: all before an exclusive one, else the last exclusive one.

        Args:
            call: The call.
            tool: Its tool.
            task: Is done when the call has ended, or waits for a decision.
        """
        if tool is not None and tool.exclusive:
            waits_for: list[asyncio.Future[Any]] = list(self._tasks.values())
            self._barrier = task
        else:
            waits_for = [self._barrier] if self._barrier is not None else []
        self._tasks[call.id] = task
        return waits_for

    async def _perform(self, call: Call, tool: Tool[..., Any] | None, waits_for: list[asyncio.Future[Any]]) -> None:
        """Run one call after those it waits for; keep its observation and emit `ToolFinished`, whatever happens."""
        began = time.perf_counter()
        observation: Observation | None = Observation(call, NOT_ANSWERED, error=NOT_ANSWERED)
        try:
            if waits_for:
                await asyncio.wait(waits_for)
                began = time.perf_counter()
            if tool is not None and not tool.is_async:
                text = f"{NOT_ANSWERED} If it had begun, it {GOES_ON}."
                observation = Observation(call, text, error=text)
            observation = await self._observe(call, tool, began)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if pending := pending_in(error):
                self._pending[call.id], observation = pending, None
                return
            self._stopping = True  # the others are cancelled now, and what they give then is no answer
            if isinstance(error, _FATAL):
                observation = _failed(call, error, began)
            raise
        finally:
            if observation is not None:
                self._observations[call.id] = observation
                self._run.emit(ToolFinished(observation), replayed=call.id in self._replayed or None)

    async def _observe(self, call: Call, tool: Tool[..., Any] | None, began: float) -> Observation:
        """Return what the call gives: from the journal, or through the middleware from the tool."""
        run = self._run
        key = f"{run.run_id}/{self._step}/tool/{call.id}"
        journal = None if tool is not None and tool.local else run.journal
        if tool is None and journal is not None and journal.waited(key) and key not in journal:
            raise ReplayError(
                f"The call {key!r} waits for a decision, and its tool {call.name!r} is gone: resume the run with an "
                "agent that has it, or give the run up."
            )
        if call.problem is not None or (tool is None and not (journal and key in journal)):
            problem = call.problem or self._unknown(call.name)
            wrong = NameError(problem) if tool is None else TypeError(problem)
            return Observation(call, problem, error=problem).raised(wrong)
        known = journal is not None and key in journal
        if known:
            self._replayed.add(call.id)
        else:
            run.replaying = False
        run.emit(ToolStarted(call), replayed=known)
        if journal and known:
            run.count(journal.spent(f"{run.run_id}/{self._step}/{call.id}/"))  # by the runs inside the call
        elif journal and call.id in self._early:  # a resume must know of it without the reply
            await journal.begin(key, call, self._origin)
        progress = _Progress(run, call, self._loop)
        context = run.context(call_id=call.id, tool=call.name, step=self._step, key=key, _progress=progress)

        work: ToolCall = partial(self._call_tool, tool, began)
        if run.chain:
            work = partial(self._by_middleware, around_tool(run.chain, work), began)
        if tool is not None and (self._guarded(tool) or (run.journal is not None and run.journal.waited(key))):
            from tinyagent.agents.approval import approved

            work = partial(approved, run, tool, call_next=work)
        try:
            return await (journal.wrap_tool_call(call, context, work) if journal else work(call, context))
        finally:
            progress.close()

    def _by_middleware(self, work: ToolCall, began: float, call: Call, context: Context[Any]) -> Awaitable[Observation]:
        """Make the call through the middleware, whose errors are told like those of a tool."""
        return self._told(call, began, work(call, context), outermost=True)

    def _call_tool(
        self, tool: Tool[..., Any] | None, began: float, call: Call, context: Context[Any]
    ) -> Awaitable[Observation]:
        """Make the call itself: the innermost step, with all middleware around it."""
        assert tool is not None  # noqa: S101 - a call without a tool is answered from its record
        if self._tools.get(call.name) is not tool:
            raise MiddlewareError(
                f"A middleware has passed on a call of {tool.name!r} as {call.name!r}: change its arguments alone."
            )
        return self._told(call, began, self._value(tool, began, call, context), outermost=not self._run.chain)

    async def _told(self, call: Call, began: float, work: Awaitable[Observation], *, outermost: bool) -> Observation:
        """Await the work of a call; what it raises becomes an observation for the model, and the run goes on."""
        try:
            return await work
        except _FATAL as error:
            of_all = isinstance(error, StoreError | ReplayError) and self._run.journal is not None
            if of_all or isinstance(error, DecisionError) or not error.has_result:
                raise
            return _failed(call, error, began)  # the error has ended a run inside the tool, not this one
        except (Exception, SystemExit) as error:
            if self._stopping:  # the call failed while it cleaned up
                raise asyncio.CancelledError from error
            return _failed(call, error, began)
        except asyncio.CancelledError as error:
            if self._stopping or self._is_withdrawn(call, error) or (not outermost and is_cancelled()):
                raise  # by whoever does not want the call any more: a middleware with a time-out, for one
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            return _failed(call, error, began)  # the tool raised it; nobody has cancelled the call

    def _is_withdrawn(self, call: Call, error: asyncio.CancelledError) -> bool:  # noqa: ARG002
        """Return whether whoever made the call has no use for it any more."""
        return False

    async def _value(self, tool: Tool[..., Any], began: float, call: Call, context: Context[Any]) -> Observation:
        value = await tool.run(call.arguments, context)
        if isinstance(value, _NO_VALUES) and not tool.returns_answer:
            raise TypeError(f"the tool {tool.name!r} returned {value!r}: it should call it and return what it gives")
        return Observation(call, to_text(value), value, seconds=time.perf_counter() - began)

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(name, self._tools, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"There is no tool named {name!r}.{hint} The tools are: {', '.join(self._tools) or 'none'}."

    def _shown(self, text: str) -> str:
        longest = len(text) if self._longest is None else self._longest
        return excerpt(text, longest, f"\n[{len(text) - longest:,} of {len(text):,} characters are not shown]")


class _Progress:
    """The function behind `Context.progress`: emits events, from any thread, until the call has ended."""

    def __init__(self, run: RunState, call: Call, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._call = call
        self._loop = loop
        self._thread = threading.get_ident()
        self._open = True

    def __call__(self, value: object) -> None:
        if threading.get_ident() == self._thread:
            self._emit(value)
        elif self._open:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._emit, value)

    def _emit(self, value: object) -> None:
        if self._open:
            self._run.emit(ToolProgress(self._call, value))

    def close(self) -> None:
        self._open = False


def direct_call(name: object, arguments: object) -> Call:
    """Return a call that no model has made.

    Raises:
        ConfigurationError: The name or the arguments are of the wrong type.
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"The tool's name is {name!r}: pass text.")
    if not isinstance(arguments, Mapping) or not all(isinstance(key, str) for key in arguments):
        raise ConfigurationError(f"The arguments of {name!r} are {arguments!r}: pass a dict of values by name.")
    return Call(id="direct", name=name, arguments=dict(arguments))


def _failed(call: Call, error: BaseException, began: float) -> Observation:
    text = told_of(error)
    observation = Observation(call, text, error=text, seconds=time.perf_counter() - began)
    return observation.raised(_from_the_tool(error)) if isinstance(error, Exception) else observation


def _from_the_tool(error: Exception) -> Exception:
    """Return the exception with a traceback that begins in the tool, so that it keeps no caller of the tool alive."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and _is_ours(trace.tb_frame):
        trace = trace.tb_next
    return error.with_traceback(trace)


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith(("tinyagent.agents.", "tinyagent.core."))
