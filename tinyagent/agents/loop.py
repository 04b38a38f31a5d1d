"""The loop: the part of an agent in a run, from the first model call to the answer.

Read it from top to bottom: `loop` repeats `_step`, a step asks the model and acts on its reply, `_answer_in` decides
whether that was the answer. Where kinds of agents differ, they override methods of `Agent`: `_turn`, `_offered`,
`_is_answer`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tinyagent.agents.handoff import Handoff, first_handoff
from tinyagent.agents.middleware import ModelCall, around_model
from tinyagent.agents.state import WAITS, Outcome, RunState
from tinyagent.agents.turn import Turn
from tinyagent.core.errors import EmptyReplyError, MiddlewareError, ModelError, StepLimitReached, TokenLimitReached
from tinyagent.core.events import LimitHit, Notice, StepStarted
from tinyagent.core.messages import Reply, User
from tinyagent.core.result import State
from tinyagent.models.base import ModelRequest, Sink, ToolChoice, asked

if TYPE_CHECKING:
    from tinyagent.agents.agent import Agent

#: What the model is told: of a reply that holds nothing, of steps that are used up, of an answer that was cut.
ANSWER_OR_CALL = "Your reply held neither an answer nor a call. Answer, or call a tool."
LAST_WORD = "You have used all your steps. Answer now with what you know; you cannot call tools any more."
GO_ON = "Your reply was cut by the token limit. Go on exactly where it stopped, without repeating anything."


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run, or an agent's part of it, ended.

    Attributes:
        state: How the run ended.
        output: The answer.
        error: What `run` raises.
        handoff: The agent that goes on; the run has not ended then.
    """

    state: State
    output: Any = None
    error: Exception | None = None
    handoff: Agent[Any, Any] | None = None


async def loop(agent: Agent[Any, Any], run: RunState) -> Ending:
    """Do step after step until one of them ends the run or hands it over; return that ending.

    Raises:
        RunError: A limit is reached, the model failed or has nothing to say, or a tool ended the run.
    """
    while run.limits.steps is None or len(run.steps) < run.limits.steps:
        ending = await _step(agent, run)
        if ending is not None:
            return ending
    return await _last_word(agent, run, run.limits.steps)


async def _step(agent: Agent[Any, Any], run: RunState, tool_choice: ToolChoice = "auto") -> Ending | None:
    """Ask the model and act on its reply; return the ending, or `None` where the run goes on."""
    _check_tokens(run)
    number = run.begin_step()
    last = "last/" if tool_choice == "none" else ""  # a run that may take more steps asks another question here
    key = f"{run.run_id}/{number}/{last}model"
    run.replaying = run.journal is not None and key in run.journal
    run.emit(StepStarted(number))
    turn = agent._turn(run, number, tool_choice)
    reply: Reply | None = None
    try:
        async with turn:
            reply = await _ask(agent, run, turn, tool_choice, key)
            message = reply.message()
            run.conversation.append(message)
            outcome = await turn.act(reply)
    except BaseException as error:
        _salvage(run, turn, reply, error)
        raise
    if outcome.pending:
        run.pending = outcome.pending
        run.answer_calls(outcome.answers, WAITS)
        run.end_step(reply, message, outcome)
        return Ending("paused")
    if len(outcome.answers) > 1:
        outcome = replace(outcome, answers=first_handoff(run.toolbox.tools, outcome.answers))
    run.answer_calls(outcome.answers)
    run.end_step(reply, message, outcome)
    ending = _answer_in(agent, run, outcome, reply)
    if ending is not None and ending.handoff is not None:
        if any(ran.stdout or ran.error for ran in outcome.executions):
            run.conversation.append(User(outcome.report))  # the next agent reads what the code gave
    elif ending is None and tool_choice == "auto":
        _go_on(agent, run, outcome, reply)
    return ending


async def _ask(agent: Agent[Any, Any], run: RunState, turn: Turn, tool_choice: ToolChoice, key: str) -> Reply:
    """Return the reply to the conversation: the journal's, or through the middleware that of the model."""
    if run.log is not None:
        await run.log.keep(run)
    request = ModelRequest(run.conversation, agent._offered(run), tool_choice, run.streamed, run.deadline, key)
    model: ModelCall = partial(asked, agent.model)
    if run.chain:
        model = around_model(run.chain, partial(_asked_again, turn, model))
    work = partial(_heard, run, turn, model)
    reply = await (work(request, turn) if run.journal is None else run.journal.wrap_model_call(request, turn, work))
    run.count(reply.usage)
    run.finish_reason = reply.finish_reason
    if tool_choice == "none" and reply.calls:  # forbidden ones: "tool_calls" marks their text as no answer
        reply = replace(reply, calls=(), finish_reason="tool_calls")
    return reply.with_own_ids()


async def _asked_again(turn: Turn, model: ModelCall, request: ModelRequest, sink: Sink) -> Reply:
    """Ask the model for a middleware, which may do so again: what was shown of an earlier reply is void then."""
    if turn.committed:
        raise MiddlewareError(
            "A middleware asked the model again although a call of its reply had started. Give it the attribute "
            "judges_replies = True: then calls wait until it has returned the reply."
        )
    turn.begin_again()
    return await model(request, sink)


async def _heard(run: RunState, turn: Turn, model: ModelCall, request: ModelRequest, sink: Sink) -> Reply:
    """Return the model's reply; of one that broke off, the part that came, if it has calls or has started code."""
    try:
        return await model(request, sink)
    except ModelError as error:
        if not (error.retryable and error.partial and (error.partial.calls or turn.committed)):
            raise
        done = "its complete calls" if error.partial.calls else "the code that has run"
        run.emit(Notice(f"{type(error).__name__}: {error} Going on after {done}."))
        return replace(error.partial, finish_reason="interrupted")


def _salvage(run: RunState, turn: Turn, reply: Reply | None, error: BaseException) -> None:
    """Keep in the history and in the result what a turn that was broken off has cost and done."""
    if reply is None:  # broken off while the model was writing
        partial = error.partial if isinstance(error, ModelError) and error.partial else Reply()
        run.count(replace(partial.usage, requests=0))  # only whole replies count as requests
        reply = turn.so_far(partial)
        if reply is None:
            return
        run.conversation.append(reply.message())
    outcome = turn.outcome(reply.calls)
    run.answer_calls(outcome.answers)
    if outcome.report:
        run.conversation.append(User(outcome.report))
    run.end_step(reply, reply.message(), outcome)


def _answer_in(agent: Agent[Any, Any], run: RunState, outcome: Outcome, reply: Reply) -> Ending | None:
    """Return the ending of the run, if this reply is its answer or completes it."""
    tools = run.toolbox.tools
    for observation in outcome.observations:
        tool = tools.get(observation.call.name)
        if observation.error is None and tool is not None and tool.returns_answer:
            return Ending("success", observation.value, handoff=tool.agent if isinstance(tool, Handoff) else None)
    if reply.calls or outcome.report:
        run.text = ""  # what was written before more work is no part of the answer
    if not agent._is_answer(run, outcome, reply):
        return None
    run.text += reply.text
    if reply.finish_reason != "length":
        return Ending("success", run.text)
    return None if agent.continue_cut else Ending("cut", run.text)


def _go_on(agent: Agent[Any, Any], run: RunState, outcome: Outcome, reply: Reply) -> None:
    """Tell the model what came of a reply that ended nothing, or what it should do instead.

    Raises:
        EmptyReplyError: The model was told already, and has again written neither an answer nor anything to do.
    """
    empty = not reply.calls and not outcome.report and not is_text(reply)
    missing = not reply.calls and not outcome.report and not agent._is_answer(run, outcome, reply)
    if empty and run.asked_again:
        raise EmptyReplyError(
            "The model wrote neither an answer nor a call, twice in a row "
            f"(finish_reason {reply.finish_reason!r}). Try another model, or shorter instructions."
        )
    run.asked_again = missing
    if outcome.report:
        run.conversation.append(User(outcome.report))
    elif not reply.calls:
        run.conversation.append(User(agent._missing if missing else GO_ON))


async def _last_word(agent: Agent[Any, Any], run: RunState, steps: int | None) -> Ending:
    """Ask the model once more when its steps are used up, for an answer without tools.

    Raises:
        StepLimitReached: The model failed, or did not answer.
    """
    run.emit(LimitHit("steps", steps or 0))
    if not run.text:  # otherwise the model is in the middle of its answer
        run.conversation.append(User(agent._last_words))
    failure = StepLimitReached(
        f"No answer within {steps} steps (Limits.steps), nor when asked for one. Allow more with "
        "limits=Limits(steps=...), or see in error.result.steps what it kept doing."
    )
    try:
        ending = await _step(agent, run, "none")
    except ModelError as error:
        raise failure from error
    if ending is None:
        raise failure
    return replace(ending, state="step_limit_reached")


def _check_tokens(run: RunState) -> None:
    """Refuse a step when this run, or one around it, has used up its tokens: an inner run spends the outer one's too.

    Raises:
        TokenLimitReached: There are none left.
    """
    spender: RunState | None = run
    while spender is not None:
        used, limit = spender.usage.total_tokens, spender.limits.tokens
        if limit is not None and used >= limit:
            run.emit(LimitHit("tokens", limit))
            raise TokenLimitReached(f"The run used {used:,} of {limit:,} tokens (Limits.tokens).")
        spender = spender.parent


def is_text(reply: Reply) -> bool:
    """Return whether the reply is text, and neither calls anything nor announces calls that did not come."""
    return bool(reply.text.strip()) and not reply.calls and reply.finish_reason != "tool_calls"
