"""The loop: a run from its first message to its answer.

Read it from top to bottom: `run` and `stream` start a run, `_drive` surrounds it, `_loop` repeats `_step`, a step
asks the model and acts on its reply, `_ending` decides whether that was the answer.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, Unpack
from uuid import uuid4

from tinyagent.agents.dispatch import Dispatch
from tinyagent.agents.run import Run, RunOptions, is_cancelled
from tinyagent.core.errors import (
    EmptyReplyError,
    ModelError,
    StepLimitReached,
    TimeLimitReached,
    TinyAgentError,
    TokenLimitReached,
)
from tinyagent.core.events import LimitReached, Notice, RunStarted, StepStarted
from tinyagent.core.limits import Limits
from tinyagent.core.messages import Reply, User
from tinyagent.core.result import Metadata, Observation, RunResult, State
from tinyagent.core.tool import Tool
from tinyagent.models.base import Model, ModelRequest, ToolChoice, model_name

Output = TypeVar("Output")

#: How a run ended, and with what.
Ending: TypeAlias = tuple[State, Any]

ANSWER_OR_CALL = "Your reply held neither an answer nor a call. Answer, or call a tool."
LAST_WORD = "You have used all your steps. Answer now with what you know; you cannot call tools any more."
GO_ON = "Your reply was cut by the token limit. Go on exactly where it stopped, without repeating anything."


class Agent(ABC, Generic[Output]):
    """What every agent shares. Immutable: one agent serves any number of runs at once."""

    name: str
    model: Model
    instructions: str
    limits: Limits
    tools: Mapping[str, Tool[..., Any]]
    eager: bool
    continue_cut: bool

    # ---- starting a run

    async def run(self, task: str, **options: Unpack[RunOptions]) -> RunResult[Output]:
        """Do the task and return the result. Cancelling stops everything the run started.

        Args:
            task: What to do, in words.
            **options: See `RunOptions`: `messages`, `deps`, `run_id`, `metadata`, `effects`.

        Raises:
            ConfigurationError: The task is empty, or `messages` are none.
            RunError: The run could not finish; `error.result` holds what it had.
        """
        async with self._new_run(task, streamed=False, **options) as run:
            return await run.drain()

    def stream(self, task: str, **options: Unpack[RunOptions]) -> Run[Output]:
        """The same run with its events, its replies streamed.

            async with agent.stream("...") as run:
                async for event in run:
                    ...
            print(run.result)

        Arguments are those of `run`. Leaving the block cancels and awaits what is still going on.

        Raises:
            ConfigurationError: The task is empty, or `messages` are none.
        """
        return self._new_run(task, streamed=True, **options)

    def _new_run(self, task: str, *, streamed: bool, **options: Unpack[RunOptions]) -> Run[Output]:
        about = Metadata(options.get("run_id") or uuid4().hex, self.name, model_name(self.model), time.time())
        return Run(self._drive, task, about, instructions=self.instructions, streamed=streamed, **options)

    # ---- the run

    async def _drive(self, run: Run[Output]) -> None:
        """The whole run: its time limit, its connections, and how it ends, whatever happens on the way."""
        run.emit(RunStarted(run.run_id, self.name, model_name(self.model), run.task))
        state: State = "failed"
        output, error = None, None
        try:
            async with asyncio.timeout(self.limits.seconds) as time_limit, self._around(run):
                run.deadline = time_limit.when()
                state, output = await self._loop(run)
        except TinyAgentError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - raised to whoever reads the run
            error = ModelError(f"The model {model_name(self.model)!r} failed: {type(failure).__name__}: {failure}")
            error.__cause__ = failure
        except BaseException as stop:  # cancelled, or stopped by more than an error
            run.finish("cancelled" if isinstance(stop, asyncio.CancelledError) else "failed", error=stop)
            raise
        if time_limit.expired():  # whatever came of it
            run.emit(LimitReached("seconds", self.limits.seconds or 0))
            error = TimeLimitReached(f"The run took longer than {self.limits.seconds:g} s (Limits.seconds).")
        run.finish(state if error is None else "failed", output, error)

    async def _loop(self, run: Run[Output]) -> Ending:
        """Steps, until one of them ends the run."""
        while self.limits.steps is None or len(run.steps) < self.limits.steps:
            ending = await self._step(run)
            if ending is not None:
                return ending
        return await self._last_word(run, self.limits.steps)

    async def _step(self, run: Run[Output], tool_choice: ToolChoice = "auto") -> Ending | None:
        """Ask the model, act on its reply; the ending, if this was it."""
        self._check_tokens(run)
        number = run.begin_step()
        run.emit(StepStarted(number))
        turn = self._turn(run, number, tool_choice)
        reply: Reply | None = None
        try:
            async with turn:
                reply = await self._ask(run, turn, tool_choice)
                message = reply.message()
                run.conversation.append(message)
                answers = await self._act(turn, reply)
        except BaseException as error:
            self._salvage(run, turn, reply, error)
            raise
        run.answer_calls(answers)
        observations = [observation for observation, _ in answers]
        run.end_step(reply, message, observations, turn.executions)
        ending = self._answer_in(run, turn, reply, observations)
        if ending is None and tool_choice == "auto":
            self._go_on(run, turn, reply)
        return ending

    async def _ask(self, run: Run[Output], turn: Dispatch, tool_choice: ToolChoice) -> Reply:
        """The model's reply. One that broke off after something of it was done is taken as far as it came."""
        request = ModelRequest(run.conversation, self._offered, tool_choice, run.streamed, run.deadline)
        key, name = f"{run.run_id}/{len(run.steps) + 1}/model", model_name(self.model)
        try:
            reply = await run.effects.step(key, partial(self.model, request, turn))
        except ModelError as error:
            if not (error.retryable and error.partial and (error.partial.calls or turn.committed)):
                raise
            done = "its complete calls" if error.partial.calls else "the code that has run"
            run.emit(Notice(f"{type(error).__name__}: {error} Going on after {done}."))
            reply = replace(error.partial, finish_reason="interrupted")
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            raise ModelError(f"The model {name!r} failed: CancelledError, but nobody cancelled it.") from error
        if not isinstance(reply, Reply):
            raise ModelError(f"The model {name!r} returned {type(reply).__name__}; a model returns a Reply.")
        run.count(reply.usage)
        run.finish_reason = reply.finish_reason
        if tool_choice == "none" and reply.calls:  # text beside calls is no answer
            reply = replace(reply, calls=(), finish_reason="tool_calls")
        return reply.with_own_ids()

    def _salvage(self, run: Run[Output], turn: Dispatch, reply: Reply | None, error: BaseException) -> None:
        """The turn was broken off: what it cost and what came of it stay in the history and in the result."""
        if reply is None:  # while the model was writing
            partial = error.partial if isinstance(error, ModelError) and error.partial else Reply()
            run.count(replace(partial.usage, requests=0))
            reply = turn.so_far(partial)
            if reply is None:
                return
            run.conversation.append(reply.message())
        answers = turn.finished(reply.calls)
        run.answer_calls(answers)
        if turn.reports:
            run.conversation.append(User(turn.report))
        by_code = [seen for execution in turn.executions for seen in execution.calls]
        run.end_step(reply, reply.message(), [*(observation for observation, _ in answers), *by_code], turn.executions)

    def _answer_in(
        self, run: Run[Output], turn: Dispatch, reply: Reply, observations: list[Observation]
    ) -> Ending | None:
        """The run's ending, if this reply is or completes its answer."""
        for observation in observations:
            if observation.error is None and self._returns_answer(observation):
                return "success", observation.value
        if reply.calls or turn.reports:
            run.text = ""  # what was written before more work is no part of the answer
        if not self._is_answer(run, turn, reply):
            return None
        run.text += reply.text
        if reply.finish_reason != "length":
            return "success", run.text
        return None if self.continue_cut else ("cut", run.text)

    def _go_on(self, run: Run[Output], turn: Dispatch, reply: Reply) -> None:
        """The reply ends nothing: the model reads what came of it, or is told what to do.

        Raises:
            EmptyReplyError: It was told already, and has again written neither an answer nor anything to do.
        """
        empty = not reply.calls and not turn.reports and not _is_text(reply)
        missing = not reply.calls and not turn.reports and not self._is_answer(run, turn, reply)
        if empty and run.asked_again:
            raise EmptyReplyError(
                "The model wrote neither an answer nor a call, twice in a row "
                f"(finish_reason {reply.finish_reason!r}). Try another model, or shorter instructions."
            )
        run.asked_again = missing
        if turn.reports:
            run.conversation.append(User(turn.report))
        elif not reply.calls:
            run.conversation.append(User(self._missing if missing else GO_ON))

    async def _last_word(self, run: Run[Output], steps: int | None) -> Ending:
        """The steps are used up: ask once more, for an answer without tools."""
        run.emit(LimitReached("steps", steps or 0))
        if not run.text:  # otherwise the model is in the middle of its answer
            run.conversation.append(User(self._last_words))
        failure = StepLimitReached(f"No answer within {steps} steps (Limits.steps), nor when asked for one.")
        try:
            ending = await self._step(run, "none")
        except ModelError as error:
            raise failure from error
        if ending is None:
            raise failure
        return "step_limit_reached", ending[1]

    def _check_tokens(self, run: Run[Output]) -> None:
        limit = self.limits.tokens
        if limit is not None and run.usage.total_tokens >= limit:
            run.emit(LimitReached("tokens", limit))
            raise TokenLimitReached(f"The run used {run.usage.total_tokens:,} of {limit:,} tokens (Limits.tokens).")

    # ---- what each kind of agent says

    #: What the model is told when its reply held nothing to go on with, and when its steps are used up.
    _missing: ClassVar[str] = ANSWER_OR_CALL
    _last_words: ClassVar[str] = LAST_WORD

    @property
    def _offered(self) -> tuple[Tool[..., Any], ...]:
        """The tools that the model may call natively."""
        return tuple(self.tools.values())

    def _is_answer(self, run: Run[Output], turn: Dispatch, reply: Reply) -> bool:  # noqa: ARG002
        """Whether the reply is the answer."""
        return _is_text(reply)

    @abstractmethod
    def _turn(self, run: Run[Output], number: int, tool_choice: ToolChoice) -> Dispatch:
        """What hears the model and runs its calls in one turn."""

    @abstractmethod
    async def _act(self, turn: Dispatch, reply: Reply) -> list[tuple[Observation, str]]:
        """Do what the reply asks: each observation, and what the model reads of it."""

    def _returns_answer(self, observation: Observation) -> bool:
        tool = self.tools.get(observation.call.name)
        return tool is not None and tool.returns_answer

    # ---- around and between runs

    def _around(self, run: Run[Output]) -> AbstractAsyncContextManager[Any]:  # noqa: ARG002
        """What a run needs from its beginning to its end."""
        return self._connected()

    def _connected(self) -> AbstractAsyncContextManager[Any]:
        """The model's connections, where it has any."""
        return self.model if isinstance(self.model, AbstractAsyncContextManager) else nullcontext()

    async def __aenter__(self) -> Agent[Output]:
        """Keep the model's connections open between runs, as a server wants."""
        await self._connected().__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self._connected().__aexit__(*exc)


def _is_text(reply: Reply) -> bool:
    """Whether the reply is text, and neither calls anything nor announces calls that did not come."""
    return bool(reply.text.strip()) and not reply.calls and reply.finish_reason != "tool_calls"
