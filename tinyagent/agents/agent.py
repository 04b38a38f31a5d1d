"""An agent: what it is made of, how its runs begin and end, and what surrounds them.

To follow a run, read `Agent.run`, then `_new_run` (makes the run's data), `_drive` (its time limit and its end) and
`_converse` (opens what the run needs). The steps of the run are in `loop`.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Generic, NoReturn, Self, Unpack
from uuid import uuid4
from weakref import WeakKeyDictionary

from tinyagent.agents.handoff import with_handoffs
from tinyagent.agents.inner import agent_tool
from tinyagent.agents.loop import ANSWER_OR_CALL, LAST_WORD, Ending, is_text, loop
from tinyagent.agents.middleware import chain_of, checked_middleware, tools_of
from tinyagent.agents.options import AgentOptions, AgentSignature, as_model, check_deps, check_options
from tinyagent.agents.prompt import Prompt
from tinyagent.agents.run import Run
from tinyagent.agents.state import Outcome, RunOptions, RunState
from tinyagent.agents.toolbox import Toolbox
from tinyagent.agents.turn import Turn, direct_call
from tinyagent.core.context import Context
from tinyagent.core.door import door, shorten
from tinyagent.core.errors import (
    ApprovalError,
    ConfigurationError,
    RunError,
    TimeLimitReached,
    TinyAgentError,
    UnknownToolError,
)
from tinyagent.core.events import LimitHit
from tinyagent.core.generics import Deps, Output
from tinyagent.core.jsonable import brief, error_text
from tinyagent.core.limits import Limits
from tinyagent.core.messages import Call, Reply
from tinyagent.core.policy import Decision, Policy
from tinyagent.core.result import RunInfo, RunResult
from tinyagent.core.shared import PerLoop, holding, keep_open
from tinyagent.core.store import MemoryStore, Store
from tinyagent.core.tool import ToolOptions
from tinyagent.core.waiting import asyncio_loop, is_cancelled
from tinyagent.models.base import Connected, Model, ToolChoice, model_name
from tinyagent.tools.toolkit import AnyTool, ToolLike


class Agent(ABC, Generic[Deps, Output]):
    """The base class of all agents. Immutable: one agent serves any number of runs at once."""

    __signature__: ClassVar[AgentSignature] = AgentSignature()

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Make an agent of a class that derives from this one.

        Raises:
            TypeError: The class is `Agent` itself, which is abstract.
        """
        if cls is Agent:
            raise TypeError("Agent is abstract: make a ReactAgent(...), or a TinyCodeAgent(...), which writes code.")
        return super().__new__(cls)

    def __init__(
        self,
        tools: Iterable[ToolLike],
        model: str | Model,
        options: AgentOptions[Deps],
        own: Mapping[str, AnyTool] | None = None,
    ) -> None:
        given = check_options(options)
        self.name: str = given["name"]
        self.description: str = given["description"]
        self.model: Model = as_model(model, given["client"])
        self.prompt: Prompt = Prompt(given["instructions"], given["prompt_file"])
        self.middleware = checked_middleware(given["middleware"])
        self.toolbox: Toolbox = Toolbox.of([*with_handoffs(tools, given["handoffs"]), *tools_of(self.middleware)], own)
        self.deps_type: type[Deps] | None = given["deps_type"]
        self.policy: Policy | None = given["policy"]
        self.store: Store | None = given["store"]
        self.limits: Limits = given["limits"] or Limits()
        self.eager: bool = given["eager"]
        self.max_observation: int | None = given["max_observation"]
        self.continue_cut: bool = given["continue_cut"]
        self._keep_nothing_open()
        self._written = self._system_message(self.toolbox, self.prompt.fixed)

    def __copy__(self) -> Self:
        """Return an agent with the same model, tools and toolkits, which keeps none of them open yet."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        twin._keep_nothing_open()
        return twin

    def _keep_nothing_open(self) -> None:
        self._open = PerLoop(self._opened)
        # what each `async with agent:` that was not left yet has opened
        self._entered: WeakKeyDictionary[asyncio.AbstractEventLoop, list[AsyncExitStack]] = WeakKeyDictionary()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a shallow copy, as `copy.copy` does: connections and what toolkits hold cannot be copied."""
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            TypeError: Always: an agent holds functions and connections.
        """
        raise TypeError(
            f"The agent {self.name!r} cannot be pickled: it holds functions and connections. Make it in the process "
            "that is to use it, in a function that is imported there."
        )

    @property
    def tools(self) -> Mapping[str, AnyTool]:
        """The agent's tools by name. Those that a toolkit finds when it is opened are here only while it is open."""
        return self.toolbox.tools

    @property
    def may_ask(self) -> bool:
        """Whether a call of its tools may wait for a person: it has a policy, or a tool that needs approval."""
        return self.policy is not None or self.toolbox.asks

    @property
    def instructions(self) -> str:
        """The system message, as far as it is the same for every run."""
        return self._written

    # ---- starting a run

    async def run(self, task: str, **options: Unpack[RunOptions[Deps]]) -> RunResult[Output]:
        """Do a task and return the result. Cancelling the call stops everything the run started.

        Args:
            task: What to do, in words.
            **options: See `RunOptions`: `messages`, `deps`, `run_id`, `metadata`, `middleware`, `store`.

        Raises:
            ConfigurationError: The task is empty, an option is wrong, or `deps` are not of the agent's `deps_type`.
            RunError: The run could not finish; `error.result` holds what it had.
        """
        try:
            async with self._new_run(task, self._converse, options, streamed=False) as run:
                return await run.drain()
        except TinyAgentError as error:
            shorten(error)
            raise

    @door("run")
    def stream(self, task: str, **options: Unpack[RunOptions[Deps]]) -> Run[Output]:
        """Return a run of a task, to be read event by event; its replies are streamed.

            async with agent.stream("...") as run:
                async for event in run:
                    ...
            print(run.result)

        The arguments are those of `run`. Entering the block starts the run; leaving it cancels what is still going on,
        and waits for it.

        Raises:
            ConfigurationError: The task is empty, an option is wrong, or `deps` are not of the agent's `deps_type`.
        """
        return self._new_run(task, self._converse, options, streamed=True)

    async def resume(
        self,
        run: str | RunResult[Any],
        decisions: Mapping[str, Decision] = {},
        *,
        deps: Deps | None = None,
        store: Store | None = None,
        limits: Limits | None = None,
    ) -> RunResult[Output]:
        """Go on with a run that was broken off, hit a limit, or is paused, also in another process.

        The loop runs again, answered from the records, until the first reply or call that has none. Nothing that was
        answered before is asked or called again. The result of a run that has ended is returned once more.

        Args:
            run: The run's id, where a store has its records; else its result, which has those of a paused run.
            decisions: What is decided of its pending calls, by their ids: `Allow()`, `Deny('why')` or `Return(value)`.
            deps: Handed to tools as `Context.deps`: no store keeps them.
            store: Where the run is recorded; by default the agent's store.
            limits: What the whole run may use, with what it has used before, in place of the agent's limits; seconds
                count from now.

        Raises:
            UnknownRunError: The store has no such run.
            RunBusyError: Someone else is at work on the run.
            ConfigurationError: A decision does not fit, or the run cannot go on with this agent.
            RunError: The run could not finish; `error.result` holds what it had.
        """
        try:
            async with self._resumed(run, decisions, deps, store, limits, streamed=False) as resumed:
                return await resumed.drain()
        except TinyAgentError as error:
            shorten(error)
            raise

    def resume_stream(
        self,
        run: str | RunResult[Any],
        decisions: Mapping[str, Decision] = {},
        *,
        deps: Deps | None = None,
        store: Store | None = None,
        limits: Limits | None = None,
    ) -> Run[Output]:
        """Return a run that `resume` goes on with, to be read event by event.

        The events of what was done before come again, with `event.replayed`, but for the pieces of text. The arguments
        and errors are those of `resume`.
        """
        return self._resumed(run, decisions, deps, store, limits, streamed=True)

    def _resumed(
        self,
        run: str | RunResult[Any],
        decisions: Mapping[str, Decision],
        deps: Deps | None,
        store: Store | None,
        limits: Limits | None,
        *,
        streamed: bool,
    ) -> Run[Output]:
        run_id: object = run
        private = False
        if isinstance(run, RunResult):
            run_id = run.info.run_id
            if run.records and store is None:
                store, private = MemoryStore({run.info.run_id: run.records}), True
        store = store or self.store
        if not isinstance(run_id, str) or not run_id:
            raise ConfigurationError(f"resume({brief(run)}): pass the id of a run, or its paused result.")
        if store is None:
            raise ConfigurationError(
                f"resume({brief(run_id)}): pass store=, where the run was recorded, or give it to the agent."
            )
        if not isinstance(limits, Limits | None):
            raise ConfigurationError(f"limits={brief(limits)}: pass Limits(steps=..., tokens=..., seconds=...).")
        options: RunOptions[Any] = {"run_id": run_id, "deps": deps, "store": store}
        about = {"resumed": True, "decisions": decisions, "private": private}
        return self._new_run("", self._converse, options, streamed=streamed, limits=limits, **about)

    async def execute_tool(self, name: str, /, **arguments: Any) -> Any:
        """Call a tool as a model would, but without a model: validated, with the tool's retries, time-out and toolkit.

        Returns the tool's value, as the object it is. For its events, or to pass `deps`, see `stream_tool`.

        Args:
            name: The tool's name.
            **arguments: Argument values by name.

        Raises:
            UnknownToolError: There is no such tool.
            ToolArgumentsError: The arguments do not fit the tool.
            ApprovalError: The call waits for a decision: `agent.resume(error.result, {...})`.
            Exception: Whatever the tool raises.
        """
        try:
            async with self._tool_run(name, arguments, {}, streamed=False) as run:
                result = await run.drain()
            if result.state == "paused":
                raise ApprovalError.of(name, result)
            return result.output
        except Exception as error:
            shorten(error)
            raise

    @door("run")
    def stream_tool(self, name: str, arguments: Mapping[str, Any], **options: Unpack[RunOptions[Deps]]) -> Run[Any]:
        """Return a run that calls one tool, to be read event by event; its output is the tool's value.

        Args:
            name: The tool's name.
            arguments: Argument values by name, as a model would give them.
            **options: See `RunOptions`.

        Raises:
            ConfigurationError: `name` or `arguments` are of the wrong type, or a session is given.
        """
        return self._tool_run(name, arguments, options, streamed=True)

    def _tool_run(self, name: str, arguments: Mapping[str, Any], options: RunOptions, *, streamed: bool) -> Run[Any]:
        call = direct_call(name, arguments)
        if options.get("session") is not None:
            raise ConfigurationError("A call without a model belongs to no conversation: leave out session=.")
        task = f"{call.name}({call.raw})"
        return self._new_run(task, partial(self._call_directly, call=call), options, streamed=streamed)

    @door("tool")
    def as_tool(
        self, name: str | None = None, description: str | None = None, **options: Unpack[ToolOptions]
    ) -> AnyTool:
        """Return a tool by which another agent gives this agent a task, and gets its output.

        Each call is a run of its own inside the run that calls, with its own conversation. The inner run inherits what
        was passed to the outer one: dependencies, metadata, middleware and store. The outer run's limits of time and
        tokens hold for both: what the inner run uses counts there too. The inner run's events come in the outer stream
        as `InnerEvent`s with their path.

        Args:
            name: The tool's name (default: the agent's).
            description: When to call it (default: the agent's description).
            **options: As for `@tool`: `timeout`, `retries`, `exclusive`, `read_only`, `returns_answer`.

        Raises:
            ConfigurationError: There is no description, or the agent's name makes no name for a tool.
        """
        return agent_tool(self, name, description, options)

    def inner_run(self, task: str, context: Context[Any]) -> Run[Output]:
        """Return a run that a tool starts: inside the run of the tool's `context`, or by itself where there is none."""
        outer: RunState | None = context._run  # noqa: SLF001 - the seam between a tool's context and runs
        if outer is None:
            return self._new_run(task, self._converse, {}, streamed=False)
        inherited: RunOptions = {
            "deps": outer.deps,
            "metadata": outer.metadata,
            "run_id": outer.inner_id(context.step, context.call_id, self.name, task),
        }
        about: dict[str, Any] = {
            "parent": outer,
            "call": f"{context.tool}:{context.call_id}",
            "deadline": outer.deadline,
        }
        about |= {"middleware": outer.middleware, "journal": outer.journal, "policies": outer.policies}
        about["replaying"] = outer.journal is not None and bool(outer.journal.keys(f"{inherited['run_id']}/"))
        return self._new_run(task, self._converse, inherited, streamed=outer.streamed, **about)

    def _new_run(
        self,
        task: str,
        work: Callable[[RunState], Awaitable[Ending]],
        options: RunOptions,
        *,
        streamed: bool,
        limits: Limits | None = None,
        **about: Any,
    ) -> Run[Output]:
        """Return a run that has not started.

        Args:
            task: What to do, in words; empty where the store says it.
            work: What the run does between its beginning and its end: `_converse`, or one tool call.
            options: What the caller passed for this run.
            streamed: Whether somebody hears the replies while they are written.
            limits: What the run may use; `None` for the agent's limits.
            **about: Further attributes of the `RunState`.
        """
        info = RunInfo(options.get("run_id") or uuid4().hex, self.name, model_name(self.model), time.time())
        if "parent" not in about and self.store is not None and options.get("store") is None:
            options = {**options, "store": self.store}
        state = RunState.of(task, info, limits or self.limits, options, streamed=streamed, **about)
        if self.policy is not None and self.policy not in state.policies:
            state.policies = (*state.policies, self.policy)
        if self.deps_type is not None and (work == self._converse or "deps" in options):
            check_deps(state.deps, self.deps_type, self.name)
        if work == self._converse and not state.resumed:
            state.conversation.instruct(self._written, self.name)
        return Run(state, partial(self._drive, state, work))

    # ---- the run

    async def _drive(self, run: RunState, work: Callable[[RunState], Awaitable[Ending]]) -> None:
        """Do the work of a run within its time limit, close what it opened, and finish the run, whatever happens."""
        if not run.resumed:
            run.begin()
        ending = Ending("failed")
        error: BaseException | None = None
        try:
            async with asyncio.timeout(run.limits.seconds) as time_limit, holding():
                # an inner run also ends with the time of the run around it
                run.deadline = min(filter(None, (run.deadline, time_limit.when())), default=None)
                if run.store is None and run.parent is None and any(each.may_ask for each in self._team()):
                    run.store, run.private = MemoryStore(), True
                if run.store is None:
                    ending = await work(run)
                else:
                    from tinyagent.agents.attempt import attempt

                    ending = await attempt(self, run, work)
            error = ending.error
        except TinyAgentError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - raised to whoever reads the run
            error = _fault(failure)
        except BaseException as stop:  # cancelled, or KeyboardInterrupt and the like
            if isinstance(stop, asyncio.CancelledError) and not is_cancelled():
                error = _fault(stop)
            else:
                run.finish("cancelled" if isinstance(stop, asyncio.CancelledError) else "failed", error=stop)
                raise
        if time_limit.expired():  # counts more than however the work ended
            run.emit(LimitHit("seconds", run.limits.seconds or 0))
            error = TimeLimitReached(f"The run took longer than {run.limits.seconds:g} s (Limits.seconds).")
        run.finish(ending.state if error is None else "failed", run.output, error)

    async def _converse(self, run: RunState) -> Ending:
        """Hold the conversation with the model, agent after agent where it is handed over; return how it ended."""
        agent: Agent[Any, Any] = self._speaker(run)
        mine = run.policies
        places: dict[Agent[Any, Any], tuple[Toolbox, Any]] = {}  # of each agent, which may get its turn again
        async with AsyncExitStack() as stack:
            while True:
                if agent not in places:
                    await stack.enter_async_context(agent._around(run))
                    places[agent] = run.toolbox, run.scope
                run.toolbox, run.scope = places[agent]
                run.chain = chain_of(agent.middleware, run.middleware)
                run.policies = mine if agent.policy is None or agent.policy in mine else (*mine, agent.policy)
                await agent._instruct(run)
                ending = await loop(agent, run)
                run.output = ending.output
                if ending.handoff is None:
                    return ending
                agent = ending.handoff
                if agent.deps_type is not None:
                    check_deps(run.deps, agent.deps_type, agent.name)
                run.hand_over(agent.name, model_name(agent.model))

    def _speaker(self, run: RunState) -> Agent[Any, Any]:
        """Return the agent with which the run begins: the one that has answered last in its session, else this one."""
        if not run.speaker or run.speaker == self.name:
            return self
        last = next((each for each in self._team() if each.name == run.speaker), self)
        if last is not self:
            run.info = replace(run.info, agent=last.name, model=model_name(last.model))
            run.handed_over = True
        return last

    async def _instruct(self, run: RunState) -> None:
        """Put this agent's instructions first in the conversation, where it may have begun with others.

        A journal keeps the text of instructions that a function gives, and of what the agent consists.
        """
        text = self.prompt.fixed
        if run.journal is not None:
            from tinyagent.agents.attempt import instructions_of

            text = await instructions_of(self, run, run.journal)
        elif text is None:
            text = await self.prompt.text(run.context())
        if self.prompt.fixed is None or run.toolbox.kits or run.handed_over or run.toolbox is not self.toolbox:
            run.conversation.instruct(self._system_message(run.toolbox, text), self.name)

    async def _call_directly(self, run: RunState, call: Call) -> Ending:
        """Make one tool call without a model; return how it ended."""
        async with self._toolbox_of(run).opened() as run.toolbox:
            run.chain = chain_of(self.middleware, run.middleware)
            known = call.name in run.toolbox.tools
            turn = Turn(run, run.toolbox.tools, step=0, eager=False, longest=None)
            async with turn:
                outcome = await turn.act(Reply(calls=(call,)))
        if outcome.pending:
            run.pending = outcome.pending
            return Ending("paused")
        [observation] = outcome.observations
        if not known:
            raise UnknownToolError(observation.text)
        run.output, error = observation.value, turn.error_of(observation)
        return Ending("success" if error is None else "failed", run.output, error)

    # ---- what each kind of agent decides

    #: What the model is told when its reply held nothing to go on with.
    _missing: ClassVar[str] = ANSWER_OR_CALL
    #: What the model is told when its steps are used up.
    _last_words: ClassVar[str] = LAST_WORD

    def _system_message(self, toolbox: Toolbox, instructions: str | None) -> str:  # noqa: ARG002
        """Return the system message, made of the instructions (`None` while they are not known)."""
        return instructions or ""

    def _offered(self, run: RunState) -> tuple[AnyTool, ...]:
        """Return the tools that the model may call natively."""
        return tuple(run.toolbox.tools.values())

    def _starts_early(self, run: RunState, tool_choice: ToolChoice) -> bool:
        """Return whether calls may start while the model still writes."""
        return self.eager and tool_choice == "auto" and not any(each.judges_replies for each in run.chain)

    def _is_answer(self, run: RunState, outcome: Outcome, reply: Reply) -> bool:  # noqa: ARG002
        """Return whether the text of the reply is the run's answer."""
        return is_text(reply)

    @abstractmethod
    def _turn(self, run: RunState, number: int, tool_choice: ToolChoice) -> Turn:
        """Return a turn, which hears one reply of the model and runs its calls."""

    # ---- around and between runs

    @asynccontextmanager
    async def _around(self, run: RunState) -> AsyncIterator[None]:
        """Hold open what this agent needs for its part in a run: its model's connections, and its toolkits."""
        if run.parent is not None:  # this agent may be called again: what it shares stays open till then
            await keep_open(self._open.here())
        async with Connected(self.model), self._toolbox_of(run).opened() as run.toolbox:
            yield

    def _toolbox_of(self, run: RunState) -> Toolbox:
        """Return the agent's toolbox with the tools that the middleware of the run brings."""
        more = chain_of(self.middleware, run.middleware)[len(self.middleware) :]
        return self.toolbox.plus(tools_of(more)) if more else self.toolbox

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Hold open what all runs of an event loop can share: the model's connections, and the toolkits."""
        async with Connected(self.model), self.toolbox.shared():
            yield

    async def __aenter__(self) -> Self:
        """Keep connections and toolkits open between runs, as a server wants.

        So are those of all agents that this one may call or hand over to, and of theirs in turn.
        """
        try:
            async with AsyncExitStack() as stack:
                for agent in self._team():
                    await stack.enter_async_context(agent._open.here())  # noqa: SLF001 - other agents'
                entered = stack.pop_all()
        except BaseException as error:
            shorten(error)
            raise
        self._entered.setdefault(asyncio_loop(), []).append(entered)  # the team may have changed when this is left
        return self

    async def __aexit__(self, *_: object) -> None:
        entered = self._entered.get(asyncio_loop())
        if not entered:
            raise RuntimeError(f"The agent {self.name!r} is left in an event loop where it was not entered.")
        await entered.pop().aclose()

    def _team(self) -> list[Agent[Any, Any]]:
        """Return this agent, the agents that it may call or hand over to, and theirs in turn."""
        team: dict[Agent[Any, Any], None] = {self: None}
        for agent in (waiting := [self]):
            new = [other for other in agent.toolbox.agents() if other not in team]
            team.update(dict.fromkeys(new))
            waiting += new
        return list(team)


def _fault(error: BaseException) -> RunError:
    """Return the error for an exception that nobody expected: a fault of this package."""
    made = RunError(f"A fault in tinyagent ended the run: {error_text(error)}. Please report it, with its traceback.")
    made.__cause__ = error
    return made
