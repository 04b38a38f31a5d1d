"""One turn of a code agent: the blocks of a reply, run in order, also while the model still writes them."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tinyagent.agents.code_prompt import quoted, report
from tinyagent.agents.fences import FenceReader
from tinyagent.agents.state import Outcome, RunState
from tinyagent.agents.statements import Piece
from tinyagent.agents.turn import Turn
from tinyagent.agents.workspace import UNREAD, Workspace
from tinyagent.core.events import CallSealed, CodeFinished, CodeOutput, CodeStarted, ToolFinished
from tinyagent.core.messages import Call, Reply
from tinyagent.core.result import Execution, Observation
from tinyagent.core.text import ends
from tinyagent.core.tool import Tool
from tinyagent.sandbox.awaits.names import names_bound
from tinyagent.sandbox.base import Answer
from tinyagent.sandbox.block import ENDED, WITHDRAWN
from tinyagent.sandbox.child.rewrite import depends_on_later

#: The tool by which code ends the run.
ANSWER = "final_answer"
#: Notes to the model, below what its code gave.
CUT = "Your reply was cut off in the middle of a block. {what}What was complete before it has run. Go on from there."
#: Seconds without a new call after which the code is interrupted whose call waits for a decision; and seconds for which
#: it may go on to make other calls.
QUIET, PATIENCE = 0.02, 10.0
OTHER = "Your reply came in two versions. What has run was written in the other one:\n{text}"
NOT_RUN = "What followed in your reply did not run."


class CodeTurn(Turn):
    """The turn of a code agent: finds the code in what the model writes, runs it, and keeps what it gave.

    Args:
        run: The data of the run.
        tools: What the code may call in this turn, by name.
        workspace: Where the code of the run lives, from turn to turn.
        step: The number of the step.
        eager: Run each statement as soon as the next one begins.
        longest: Characters of output and of values that the model reads; `None` is no limit.
    """

    def __init__(
        self,
        run: RunState,
        tools: Mapping[str, Tool[..., Any]],
        workspace: Workspace,
        *,
        step: int,
        eager: bool,
        longest: int | None,
    ) -> None:
        super().__init__(run, tools, step=step, eager=eager, longest=longest)
        self._workspace = workspace
        workspace.begin_turn(self, step)
        self._async_tools = frozenset(name for name, tool in tools.items() if tool.is_async)
        self._reader = FenceReader(self._tools)
        self._text = ""
        self._held: list[str] = []  # statements that wait for what follows, which may settle what they mean
        self._pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        self._runner: asyncio.Task[None] | None = None
        self._executions: list[Execution] = []
        self._notes: list[str] = []
        self._by_code: set[str] = set()  # the ids of calls that code has made
        self._busy = 0  # calls of the code that are being made
        self._admitted = 0
        self._pausing: asyncio.Task[None] | None = None  # waits until the code makes no calls any more
        self._closed = False  # no further call is made
        self._stopped = False  # a block has failed or answered
        self._deaf = False  # what the model still writes is another reply

    # ---- what came of it

    def outcome(self, calls: Iterable[Call]) -> Outcome:
        """Return what the given calls and all blocks of code gave, as far as they have ended."""
        answers = super().outcome(calls).answers
        by_code = tuple((seen, "") for execution in self._executions for seen in execution.calls)
        said = report(self._executions, self._longest, [*self._shown_values(), *self._notes])
        return Outcome(answers + by_code, tuple(self._executions), said, self._waiting())

    def _shown_values(self) -> list[str]:
        """Return the last value of each `shown` tool, for the model to read even if the code has not printed it."""
        last: dict[str, str] = {}
        for execution in self._executions:
            for seen in execution.calls:
                tool = self._tools.get(seen.call.name)
                if tool is not None and tool.shown and seen.error is None:
                    last.pop(tool.name, None)  # the newest comes last
                    last[tool.name] = quoted(seen.text, self._longest)
        return [f"{name} returned:\n{text}" for name, text in last.items()]

    @property
    def committed(self) -> bool:
        """Whether something that the model wrote has started to run."""
        return super().committed or self._runner is not None

    @property
    def waits(self) -> bool:
        """Whether a call of this turn waits for a decision."""
        return bool(self._pending)

    def so_far(self, partial: Reply) -> Reply | None:
        """Return the reply that broke off with what of it was started; `None` where nothing was."""
        if self._runner is None:
            return super().so_far(partial)
        text = partial.text or self._text
        return replace(partial, text=text, calls=self.started, finish_reason="interrupted")

    # ---- hearing the model

    def text(self, delta: str) -> None:
        """Hear more text, and run the statements that it completes."""
        super().text(delta)
        if self._deaf:
            return
        self._text += delta
        if self._eager:
            self._take(self._reader.feed(delta))

    def doubt(self) -> None:
        """Take no code before the reply is whole: its text may turn out to be thoughts, whose end has yet to come."""
        self._eager = False

    def _void(self, text: str) -> None:
        """Take back text that was shown last, and read anew what is left."""
        super()._void(text)
        if self._runner is not None:  # the model is asked again although its code has run
            self._deaf = True
            return
        self._reader, self._text = FenceReader(self._tools), "".join(self._shown_text)
        self._held.clear()
        if self._eager and self._text:
            self._take(self._reader.feed(self._text))

    def call(self, call: Call) -> None:
        """Hear a complete call beside the code; one that ends the run waits for what the code gives."""
        if self._ends(call):
            self._run.emit(CallSealed(call))
        else:
            super().call(call)

    def _ends(self, call: Call) -> bool:
        """Return whether the call would end the run, since its tool's value is the answer."""
        tool = self._tools.get(call.name)
        return tool is not None and tool.returns_answer

    # ---- the calls of the code

    async def perform(self, call: Call) -> Answer:
        """Run one call that code has made, in the current task; return what it gave, and what it raised.

        A call that waits for a decision never returns: the block is interrupted when it makes no other calls any more.

        Raises:
            FatalToolError: The tool ended the run.
        """
        if self._closed:
            await self._loop.create_future()
        tool = self._tools.get(call.name)
        done = self._loop.create_future()
        self._by_code.add(call.id)
        self._busy += 1
        self._admitted += 1
        try:
            await self._perform(call, tool, self._line_up(call, tool, done))
        finally:
            self._busy -= 1
            done.set_result(None)
        if call.id in self._pending:
            self._pausing = self._pausing or self._group.create_task(self._pause())
            await self._loop.create_future()
        observation = self._observations[call.id]
        ends = observation.error is None and tool is not None and tool.returns_answer
        return Answer(observation, self.error_of(observation), ends)

    async def _pause(self) -> None:
        """Interrupt the code when it makes no calls any more but those that wait, so that none is made twice."""
        patience = self._loop.time() + PATIENCE
        while self._busy or not self._closed:
            before = self._admitted
            await asyncio.sleep(QUIET)
            quiet = not self._busy and self._admitted == before
            self._closed = self._closed or quiet or self._loop.time() > patience
        if self._runner is not None:
            self._runner.cancel()

    def _guarded(self, tool: Tool[..., Any]) -> bool:
        return tool is not self._tools.get(ANSWER) and super()._guarded(tool)

    def refuse(self, call: Call, reason: str) -> Answer:
        """Answer a call with a `RuntimeError`, without running it."""
        observation = self._observations[call.id] = Observation(call, reason, error=reason)
        self._run.emit(ToolFinished(observation))
        return Answer(observation, RuntimeError(reason))

    def _is_withdrawn(self, call: Call, error: asyncio.CancelledError) -> bool:
        return call.id in self._by_code and error.args[:1] in ((WITHDRAWN,), (ENDED,))

    # ---- running the code

    async def act(self, reply: Reply) -> Outcome:
        """Run the reply's calls, then its code, then a call that ends the run, if the code gave nothing to read.

        Raises:
            SandboxError: The sandbox could not start.
            FatalToolError: A tool ended the run.
        """
        ending = [call for call in reply.calls if self._ends(call)]
        if len(ending) < len(reply.calls):
            await self.answer(call for call in reply.calls if call not in ending)
        await self.run_code(reply)
        if any(execution.error is not None or _is_read(execution) for execution in self._executions):
            for call in ending:
                self.refuse(call, UNREAD.format(name=call.name))
        elif ending:
            await self.answer(ending)
        return self.outcome(reply.calls)

    async def run_code(self, reply: Reply) -> None:
        """Run the blocks of the whole reply, as far as they have not run while it was written.

        Raises:
            SandboxError: The sandbox could not start.
            FatalToolError: A tool ended the run.
        """
        cut = reply.finish_reason in ("length", "interrupted")
        same = reply.text.startswith(self._text)
        if self._runner is None and not (self._eager and same):
            self._reader, self._text, same = FenceReader(self._tools), "", True
        if same:
            self._take(self._reader.feed(reply.text[len(self._text) :]))
        else:  # what has run was part of another reply than the one the model stands by
            self._notes.append(OTHER.format(text=self._text))
        self._take(self._reader.finish(cut=cut or not same))
        if self._reader.dropped:
            ran = "\n".join(("This did not run:", *ends(self._reader.dropped, 500), ""))
            self._notes.append(CUT.format(what=ran))
        if self._runner is not None:
            self._pieces.put_nowait(None)
            await asyncio.wait([self._runner])
            self._runner.result()
            if self._pausing is not None:
                self._pausing.cancel()

    def _take(self, pieces: Sequence[Piece]) -> None:
        """Queue pieces of code for running; hold back statements whose meaning may depend on what follows."""
        for piece in pieces:
            if piece.last:
                if self._eager:
                    self._depends(piece.code)  # for the definitions that it learns
                code = "".join([*self._held, piece.code])
                self._held.clear()
                self._put(Piece(code, last=True))
            elif not self._eager or self._depends(piece.code):
                self._held.append(piece.code)
            else:
                self._put(piece)

    def _depends(self, code: str) -> bool:
        """Return whether statements must wait for what follows them; they must if earlier ones wait already."""
        depends = bool(self._held)
        try:
            for statement in ast.parse(code).body:
                depends |= self._depends_on_later(statement)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the error is told when the whole block runs
            return True
        return depends

    def _depends_on_later(self, statement: ast.stmt) -> bool:
        """Return whether what follows may settle what the statement means; keep what the statement defines."""
        known, block = self._workspace.definitions, ast.Module([statement], [])
        depends = depends_on_later(block, self._async_tools, known)
        known.learn(block, names_bound(block), self._async_tools)
        return depends

    def _put(self, piece: Piece) -> None:
        self._pieces.put_nowait(piece)
        if self._runner is None:
            self._runner = self._group.create_task(self._run_blocks())

    async def _run_blocks(self) -> None:
        """Run block after block, until one fails or answers."""
        while (piece := await self._pieces.get()) is not None:
            if self._stopped:
                if NOT_RUN not in self._notes:
                    self._notes.append(NOT_RUN)
                continue
            number = self._workspace.blocks + 1
            self._run.emit(CodeStarted(number, piece.code))
            code = piece.code if piece.last else self._rest_of_block(piece)
            unread = bool(self._started) or any(map(_is_read, self._executions))
            try:
                execution = await self._workspace.execute(code, self._hear_output, unread=unread)
            except BaseException as error:
                if self._workspace.last is not None:  # what it did before it was broken off counts
                    self._finished(number, self._workspace.last)
                if self._is_pause(error):
                    return
                raise
            self._finished(number, execution)
            self._stopped = execution.error is not None or self._answered(execution)

    def _is_pause(self, error: BaseException) -> bool:
        """Return whether the code was interrupted because a call waits, and for no other reason."""
        task = asyncio.current_task()
        paused = self._closed and isinstance(error, asyncio.CancelledError) and task is not None
        return paused and task is not None and task.uncancel() == 0

    def _finished(self, number: int, execution: Execution) -> None:
        self._executions.append(execution)
        self._run.emit(CodeFinished(number, execution))

    async def _rest_of_block(self, piece: Piece | None) -> AsyncIterator[str]:
        """Yield the code of a block from this piece to its last, as the pieces come."""
        while piece is not None:
            if piece.code.strip():
                yield piece.code
            if piece.last:
                return
            piece = await self._pieces.get()

    def _hear_output(self, text: str) -> None:
        self._run.emit(CodeOutput(text))

    def _answered(self, execution: Execution) -> bool:
        return any(seen.error is None and self._ends(seen.call) for seen in execution.calls)


def _is_read(execution: Execution) -> bool:
    """Return whether a block gave anything that the model has to read before it can answer."""
    return bool(execution.stdout or execution.truncated or execution.calls) or execution.repr is not None
