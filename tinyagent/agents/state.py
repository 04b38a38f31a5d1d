"""What is known of a run while it goes on: plain data, on which the loop works."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict

from tinyagent.agents.middleware import Middleware, checked_middleware
from tinyagent.agents.toolbox import Toolbox
from tinyagent.core.context import Context
from tinyagent.core.errors import ConfigurationError, RunError, UnknownOptionError
from tinyagent.core.events import (
    Event,
    HandedOver,
    InnerEvent,
    Notice,
    RunFailed,
    RunFinished,
    RunStarted,
    StepFinished,
)
from tinyagent.core.generics import Deps
from tinyagent.core.jsonable import brief, words
from tinyagent.core.limits import Limits, Usage
from tinyagent.core.log import LOGGED, log
from tinyagent.core.mending import mended
from tinyagent.core.messages import NOT_ANSWERED, Assistant, Conversation, Reply, ToolReply, User, derived_id
from tinyagent.core.policy import Decision, Pending, Policy
from tinyagent.core.result import Execution, Observation, RunInfo, RunResult, State, Step
from tinyagent.core.store import Store
from tinyagent.models.chat import MessageLike, as_messages

if TYPE_CHECKING:
    from tinyagent.agents.journal import Journal
    from tinyagent.agents.sessions import SessionLog

_EMPTY = Toolbox({})
#: What names no run: nothing, and how a store's names of sessions begin.
_NO_IDS = ("", "session")
#: What a model would read in place of an answer to a call that waits.
WAITS = "This call waits for a decision."


class RunOptions(TypedDict, Generic[Deps], total=False):
    """Options of one run.

    Attributes:
        messages: An earlier conversation to go on from: `result.messages`, any part of it, or dicts of the Chat
            Completions API. What no server would take is mended, with a `Notice`.
        deps: Handed to tools as `Context.deps`.
        run_id: The run's id; by default a random one.
        metadata: Kept with the result and handed to tools.
        middleware: Stands around the model calls and tool calls of this run and of the runs inside it; the agent's own
            stands around this one.
        session: The name of a conversation that the store keeps: the run goes on from it, and adds its own messages.
        when_busy: What happens while another run is at work in the session: `wait`, or `fail` with a
            `SessionBusyError`. A paused run always fails the next one, until it is resumed or dropped.
        store: Records every reply, and what every call gave. A run whose `run_id` has records there is answered from
            them, and goes on where they end. A tool's values come back as the type that it is annotated to return.
    """

    messages: Iterable[MessageLike]
    deps: Deps
    run_id: str | None
    metadata: Mapping[str, Any] | None
    middleware: Iterable[Middleware]
    session: str | None
    when_busy: Literal["wait", "fail"]
    store: Store | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a reply: of its calls, and of its code.

    Attributes:
        answers: What each call gave, with the text that the model reads of it: the calls of the reply in their order,
            then those that code made, whose text stands in the report.
        executions: The blocks of code that have run.
        report: What the model reads of the code; empty where a reply had none.
        pending: The calls that wait for a decision; the run is paused then.
    """

    answers: tuple[tuple[Observation, str], ...] = ()
    executions: tuple[Execution, ...] = ()
    report: str = ""
    pending: tuple[Pending, ...] = ()

    @property
    def observations(self) -> list[Observation]:
        """What each call gave, without the texts of `answers`."""
        return [observation for observation, _ in self.answers]


@dataclass(eq=False)
class RunState:
    """The data of one run, as far as it has come. The agent keeps nothing of it.

    Attributes:
        task: What to do, in words.
        info: The run's ids, names and start.
        conversation: The messages so far.
        limits: What the run may use.
        mended: What was changed in `messages=`, in words; empty when nothing was.
        streamed: Whether somebody hears replies while they are written.
        deps: Handed to tools.
        metadata: Handed to tools, and kept with the result.
        middleware: What was passed for this run, or for the run around it.
        store: Where the run is to be recorded, if anywhere.
        journal: The records of the run; an inner run has those of the run around it.
        session: The name of the session that the run belongs to; `None` where there is none.
        when_busy: What happens while another run is at work in the session.
        log: Keeps the messages of the session.
        resumed: Whether the store says what the run is to do.
        decisions: What was decided of its pending calls, by their ids.
        policies: Asked about each call: those of the run around this one, then the agents' own.
        private: Whether the store is the run's own, so that its result has the records.
        replaying: Whether what the run does is answered from records.
        pending: The calls that wait for a decision.
        speaker: The name of the agent that has answered last in the session; empty where that is not known.
        parent: The run around this one, whose tool started it; `None` where there is none.
        call: The call of that tool, as `tool name:call id`.
        deadline: When the run's time is over, in seconds of the event loop's clock.
        usage: What the run, and the runs inside it, have used so far.
        steps: The turns so far.
        state: How the run ended; `running` until then.
        output: The answer, once there is one.
        error: What ended the run without an answer.
        finish_reason: The reason why the last reply ended, as the server sent it.
        text: The text of the answer, as far as it has come.
        handed_over: Whether the conversation went from one agent to another.
        asked_again: Whether the model was told that its last reply had nothing to go on with.
        toolbox: The tools of the agent that is at work.
        scope: What that agent keeps for this run: a code agent its `Workspace`.
        chain: The middleware around that agent's calls: its own, then the run's.
        hear: Called with each event; `None` where nobody hears them.
    """

    task: str
    info: RunInfo
    conversation: Conversation
    limits: Limits
    mended: str = ""
    streamed: bool = False
    deps: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    middleware: tuple[Middleware, ...] = ()
    store: Store | None = None
    journal: Journal | None = None
    session: str | None = None
    when_busy: Literal["wait", "fail"] = "wait"
    log: SessionLog | None = None
    resumed: bool = False
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    private: bool = False
    replaying: bool = False
    pending: tuple[Pending, ...] = ()
    speaker: str = ""
    parent: RunState | None = None
    call: str = ""
    deadline: float | None = None
    usage: Usage = field(default_factory=Usage)
    steps: list[Step] = field(default_factory=list)
    state: State = "running"
    output: Any = None
    error: BaseException | None = None
    finish_reason: str | None = None
    text: str = ""
    handed_over: bool = False
    asked_again: bool = False
    toolbox: Toolbox = _EMPTY
    scope: Any = None
    chain: tuple[Middleware, ...] = ()
    hear: Callable[[Event], None] | None = None
    _begun: bool = False  # `RunStarted` was emitted
    _inner: Counter[str] = field(default_factory=Counter)  # how often each inner run was started, by its id
    _started: float = field(default_factory=time.time)
    _clock: float = field(default_factory=time.perf_counter)
    _step_clock: float = 0.0
    _seconds: float | None = None

    @classmethod
    def of(cls, task: str, info: RunInfo, limits: Limits, options: RunOptions[Any], **about: Any) -> RunState:
        """Return the data of a run that has not begun.

        Args:
            task: What to do, in words; empty where the store says it.
            info: The run's ids, names and start.
            limits: What the run may use.
            options: What was passed for this run.
            **about: Further attributes.

        Raises:
            ConfigurationError: The task or an option is wrong.
        """
        if unknown := options.keys() - RunOptions.__annotations__.keys():
            from tinyagent.agents.options import no_option

            raise UnknownOptionError(no_option("run", unknown, RunOptions.__annotations__))
        run_id: object = options.get("run_id")
        if run_id is not None and (
            not isinstance(run_id, str) or run_id in _NO_IDS or ("/" in run_id and "parent" not in about)
        ):
            raise ConfigurationError(
                f"run_id={brief(run_id)}: pass text that names the run, without a '/', such as 'order-17'."
            )
        resumed = about.get("resumed", False)
        said, mended = (Conversation(), "") if resumed else _opening(task, options.get("messages", ()))
        run = cls(task, info, said, limits, mended, deps=options.get("deps"), **about)
        if (metadata := options.get("metadata")) is not None:
            run.metadata = _checked_metadata(metadata)
        if (middleware := options.get("middleware", ())) != ():
            run.middleware = checked_middleware(middleware)
        if (store := options.get("store")) is not None:
            from tinyagent.agents.journal import checked_store  # which a run without a store does not load

            run.store = checked_store(store)
        if (session := options.get("session")) is not None:
            run.session = _checked_session(session, options, run.store)
            run.when_busy = options.get("when_busy", "wait")
        return run

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.info.run_id

    def begin(self) -> None:
        """Emit the first events, once."""
        if not self._begun:
            self._begun = True
            self.emit(RunStarted(self.run_id, self.info.agent, self.info.model, self.task))
            if self.mended:
                self.emit(Notice(f"messages= was mended: {self.mended}."))

    def emit(self, event: Event, *, replayed: bool | None = None) -> None:
        """Hand an event to the reader of this run, to those of the runs around it, and to the log.

        Args:
            event: The event.
            replayed: Whether it tells what was done before; `None`: as the run does now.
        """
        if type(event) in LOGGED:
            log(self.run_id, event)
        if self.hear is None and self.parent is None:
            return  # nobody hears it
        now = self._started + time.perf_counter() - self._clock
        event = event.stamped(self.run_id, now, replayed=self.replaying if replayed is None else replayed)
        if self.parent is not None:
            inner = event if isinstance(event, InnerEvent) else InnerEvent((), event)
            self.parent.emit(InnerEvent((self.call, *inner.path), inner.event), replayed=event.replayed)
        if self.hear is not None:
            self.hear(event)

    def context(self, **about: Any) -> Context[Any]:
        """Return what a tool, or the function that gives the instructions, can know of this run; `about` says more."""
        agent, model = self.info.agent, self.info.model
        return Context(
            deps=self.deps,
            run_id=self.run_id,
            agent=agent,
            model=model,
            metadata=self.metadata,
            _usage=lambda: self.usage,
            _run=self,
            _emit=self.emit,
            **about,
        )

    def hand_over(self, agent: str, model: str) -> None:
        """Let another agent, with its model, go on with the conversation; both are given by name."""
        if isinstance(self.conversation.messages[-1], Assistant):  # some servers refuse a history that ends so
            self.conversation.append(User(f"{agent} goes on."))
        self.info = replace(self.info, agent=agent, model=model)
        self.handed_over, self.output = True, None
        self.text, self.asked_again = "", False
        self.emit(HandedOver(agent, model))

    def inner_id(self, step: int, call: str, agent: str, task: str) -> str:
        """Return the id of a run inside a call: the same for the same task of the same agent, whatever began before."""
        name = f"{self.run_id}/{step}/{call}/{agent}:{derived_id(task)}"
        self._inner[name] += 1
        return name if self._inner[name] == 1 else f"{name}/{self._inner[name]}"

    def begin_step(self) -> int:
        """Begin a step, whose time counts from now; return its number, from 1."""
        self._step_clock = time.perf_counter()
        return len(self.steps) + 1

    def end_step(self, reply: Reply, message: Assistant, outcome: Outcome) -> None:
        """Record a turn as a step, and emit `StepFinished`."""
        seconds = time.perf_counter() - self._step_clock
        number, seen = len(self.steps) + 1, tuple(outcome.observations)
        step = Step(number, message, seen, reply.finish_reason, reply.usage, seconds, outcome.executions)
        self.steps.append(step)
        self.emit(StepFinished(step))

    def count(self, usage: Usage) -> None:
        """Add what a model call has used, to this run and to those around it."""
        self.usage = self.usage + usage
        if self.parent is not None:
            self.parent.count(usage)

    def answer_calls(self, observations: Iterable[tuple[Observation, str]], other: str = NOT_ANSWERED) -> None:
        """Answer the open calls of the conversation, in their order, each with the text beside its observation.

        Args:
            observations: What the calls gave, and the texts.
            other: The text for calls that have none.
        """
        answers = {observation.call.id: text for observation, text in observations}
        for call in self.conversation.open_calls:
            self.conversation.append(ToolReply(call.id, answers.get(call.id, other), call.name))

    @property
    def result(self) -> RunResult[Any]:
        """The result of the run; what there is of it while the run goes on, or where it failed or was left."""
        seconds = time.perf_counter() - self._clock if self._seconds is None else self._seconds
        unfinished = self.pending or self.error is not None  # what was done is in the records, and is not done again
        return RunResult(
            output=self.output,
            state=self.state,
            messages=self.conversation.messages,
            steps=tuple(self.steps),
            usage=self.usage,
            info=replace(self.info, seconds=seconds),
            finish_reason=self.finish_reason,
            metadata=self.metadata,
            pending=self.pending,
            records=self.journal.records if self.private and unfinished and self.journal is not None else {},
        )

    def finish(self, state: State, output: Any = None, error: BaseException | None = None) -> None:
        """End the run: make its history valid, give the result to its error, and emit the last event."""
        self.begin()
        self.conversation.close(WAITS if state == "paused" else NOT_ANSWERED)
        self.output, self.state, self.error = output, state, error
        self._seconds = time.perf_counter() - self._clock
        result = self.result
        if error is None:
            self.emit(RunFinished(result))
        else:
            if isinstance(error, RunError):
                error.result = result
            self.emit(RunFailed(type(error).__name__, words(error), result))


def _checked_session(session: object, options: RunOptions[Any], store: Store | None) -> str:
    if not isinstance(session, str) or not session:
        raise ConfigurationError(f"session={brief(session)}: pass text that names the conversation, such as 'user-7'.")
    if store is None:
        raise ConfigurationError(
            f"session={session!r} needs a store that keeps it: pass store=SQLiteStore('agents.db') to the agent."
        )
    if options.get("messages", ()) != ():
        raise ConfigurationError("Pass messages= or session=, not both: a session brings its own messages.")
    if (busy := options.get("when_busy", "wait")) not in ("wait", "fail"):
        raise ConfigurationError(f"when_busy={busy!r}: pass 'wait' or 'fail'.")
    return session


def _checked_metadata(metadata: object) -> Mapping[str, Any]:
    if not isinstance(metadata, Mapping):
        raise ConfigurationError(f"metadata={brief(metadata)}: pass a dict, such as metadata={{'user': 'u1'}}.")
    return dict(metadata)


def _opening(task: str, messages: Iterable[MessageLike]) -> tuple[Conversation, str]:
    """Return the conversation with which a run begins, and what was mended in its `messages`, in words.

    Raises:
        ConfigurationError: The task or a message is wrong.
    """
    if not isinstance(task, str) or not task.strip():
        raise ConfigurationError(
            f"The task is {brief(task)}: say in words what to do, such as agent.run('Add 2 and 3')."
        )
    if messages == ():
        return Conversation([User(task)]), ""
    whole, told = mended(as_messages(messages))
    return Conversation([*whole, User(task)]), told
