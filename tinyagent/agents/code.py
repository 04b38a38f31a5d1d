"""`TinyCodeAgent`: solves a task by writing Python that calls the tools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Unpack

from tinyagent.agents.agent import Agent
from tinyagent.agents.code_prompt import ANSWER_OR_CODE, LAST_WORD, code_prompt
from tinyagent.agents.code_turn import CodeTurn
from tinyagent.agents.options import AgentOptions
from tinyagent.agents.state import Outcome, RunState
from tinyagent.agents.toolbox import Toolbox
from tinyagent.agents.turn import Turn
from tinyagent.agents.workspace import Workspace
from tinyagent.core.codec import Opaque
from tinyagent.core.door import door
from tinyagent.core.errors import ConfigurationError
from tinyagent.core.generics import CodeOutput, Deps
from tinyagent.core.messages import Reply
from tinyagent.core.tool import Tool
from tinyagent.models.base import Model, ToolChoice
from tinyagent.sandbox.base import Sandbox, SandboxLimits, check_tools, tools_by_name
from tinyagent.sandbox.process import default_sandbox
from tinyagent.tools.toolkit import ToolLike


class TinyCodeAgent(Agent[Deps, CodeOutput]):
    """An agent that solves a task by writing Python, which calls the tools and runs in a sandbox.

    The code's variables live from block to block, for one run. The code ends the run with `final_answer(value)`; the
    value is the run's output, as an object. An answer in a block after one that printed, called or showed something
    does not count when both stand in one reply: the model reads first what the earlier block really gave.

    Args:
        tools: Functions, `Tool` objects, methods, toolkits, or agents; the code calls them as functions.
        model: A model's name for `OpenAIModel`, or any `Model`. It needs no tool calling.
        sandbox: Where the code runs; default: `ProcessSandbox()`, or `MontySandbox()` where that cannot run.
        sandbox_limits: What the code of one run may use; default: the sandbox's own.
        **options: See `AgentOptions`: `client`, `instructions`, `prompt_file`, `deps_type`, `limits`, `name`,
            `description`, `handoffs`, `middleware`, `eager`, `max_observation`, `continue_cut`. `instructions` come
            after the text that says how to work. `eager` runs each statement as soon as the next one begins; not in a
            run with a store, whose code waits until the reply is recorded, nor in the first reply of an `OpenAIModel`:
            it may turn out to be thoughts whose beginning the chat template wrote. `max_observation` holds for a
            block's output, and for its value: of longer ones the beginning and the end are shown.

    Raises:
        ConfigurationError: An argument is wrong, or the sandbox cannot call one of the tools.
        SandboxUnavailableError: No sandbox can run here; the text says what to install.
    """

    _missing: ClassVar[str] = ANSWER_OR_CODE
    _last_words: ClassVar[str] = LAST_WORD

    @door("agent")
    def __init__(
        self,
        tools: Iterable[ToolLike] = (),
        *,
        model: str | Model,
        sandbox: Sandbox | None = None,
        sandbox_limits: SandboxLimits | None = None,
        **options: Unpack[AgentOptions[Deps]],
    ) -> None:
        if not isinstance(sandbox_limits, SandboxLimits | None):
            raise ConfigurationError(f"sandbox_limits={sandbox_limits!r}: pass SandboxLimits(seconds=..., ...).")
        if sandbox is not None and (isinstance(sandbox, type) or not callable(getattr(sandbox, "open", None))):
            raise ConfigurationError(
                f"sandbox={sandbox!r}: pass ProcessSandbox(...), MontySandbox(...) or PythonExecutor(...)."
            )
        self.sandbox: Sandbox = default_sandbox() if sandbox is None else sandbox
        self.sandbox_limits = sandbox_limits
        self._prompt_for: tuple[list[Tool[..., Any]], str] = ([], "")  # the last prompt, which takes a while
        super().__init__(tools, model, options, {FINAL_ANSWER.name: FINAL_ANSWER})

    def __repr__(self) -> str:
        tools = ", ".join(name for name in self.tools if name != FINAL_ANSWER.name)
        return f"TinyCodeAgent({self.name!r}, model={self.model!r}, tools=[{tools}], sandbox={self.sandbox!r})"

    def _system_message(self, toolbox: Toolbox, instructions: str | None) -> str:
        tools = list(toolbox.tools.values())
        known, prompt = self._prompt_for
        if len(known) != len(tools) or any(not _same(one, other) for one, other in zip(known, tools, strict=True)):
            tools_by_name(tools)
            check_tools(self.sandbox, tools)
            prompt = code_prompt(tools, self.sandbox.capabilities)
            self._prompt_for = tools, prompt
        return f"{prompt}\n\n{instructions}" if instructions else prompt

    def _offered(self, run: RunState) -> tuple[Tool[..., Any], ...]:  # noqa: ARG002
        return ()  # the model calls tools in its code

    @asynccontextmanager
    async def _around(self, run: RunState) -> AsyncIterator[None]:
        async with super()._around(run):
            workspace = run.scope = Workspace(run, self.sandbox, run.toolbox.tools, self.sandbox_limits)
            try:
                yield
            finally:
                await workspace.close()

    def _turn(self, run: RunState, number: int, tool_choice: ToolChoice) -> Turn:
        auto = tool_choice == "auto"
        tools = run.toolbox.tools if auto else {FINAL_ANSWER.name: FINAL_ANSWER}
        # a resume could not tell which reply code that ran early belongs to: replies are recorded when they are whole
        eager = self._starts_early(run, tool_choice) and run.streamed and run.journal is None
        return CodeTurn(run, tools, run.scope, step=number, eager=eager, longest=self.max_observation)

    def _is_answer(self, run: RunState, outcome: Outcome, reply: Reply) -> bool:
        """Return whether words are the answer: after the model was asked for code, or when its steps are used up."""
        last_word = len(run.steps) > (run.limits.steps or len(run.steps))
        return super()._is_answer(run, outcome, reply) and not outcome.report and (run.asked_again or last_word)


def _same(one: Tool[..., Any], other: Tool[..., Any]) -> bool:
    """Return whether a model is told the same of two tools, such as one toolkit's tool in two runs."""
    return one is other or (
        one.name == other.name and one.signature is other.signature and one.description == other.description
    )


def _final_answer(value: Any) -> Any:
    """End the task with this answer: plain data, such as text, numbers, lists and dicts."""
    if (opaque := _opaque_in(value)) is not None:
        raise TypeError(f"a {opaque.type} cannot leave the sandbox; answer with plain data")
    return value


def _opaque_in(value: Any) -> Opaque | None:
    """Return a part of a sandbox's value that could not cross as data; `None` where there is none."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, Opaque):
            return part
        if isinstance(part, dict):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set | frozenset):
            left += part
    return None


FINAL_ANSWER = Tool(_final_answer, name="final_answer", returns_answer=True, read_only=True)
