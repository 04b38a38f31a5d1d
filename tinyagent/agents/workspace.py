"""Where the code of one run lives: its sandbox session, and the watch over blocks that run again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tinyagent.agents.journal import Journal
from tinyagent.agents.records import ASKED, BEGUN
from tinyagent.agents.state import RunState
from tinyagent.core.errors import ReplayError, SandboxError, TinyAgentError
from tinyagent.core.jsonable import error_text
from tinyagent.core.messages import Call
from tinyagent.core.result import Execution
from tinyagent.core.tool import Tool
from tinyagent.sandbox.awaits.definitions import Definitions
from tinyagent.sandbox.base import Answer, Sandbox, SandboxLimits, SandboxSession

if TYPE_CHECKING:
    from tinyagent.agents.code_turn import CodeTurn

#: Seconds that a new call waits for a block that runs again to make the calls that are recorded of it.
REPLAY_PATIENCE = 30.0
#: The answer to a call that would end the run before the model has read what an earlier block gave.
UNREAD = (
    "{name}() does not count here: it was written before you read what an earlier block of the same reply gave. Read "
    "that first, then call {name}() in your next reply."
)


class Workspace:
    """The sandbox session of a run, which starts with the first block and ends with the run.

    Args:
        run: The data of the run.
        sandbox: Where the code runs.
        tools: What the code can call, by name.
        limits: What the code may use; `None` for the sandbox's own.

    Attributes:
        blocks: How many blocks have begun.
        definitions: What the code has defined, as far as it tells what calls of tools mean.
    """

    def __init__(
        self, run: RunState, sandbox: Sandbox, tools: Mapping[str, Tool[..., Any]], limits: SandboxLimits | None
    ) -> None:
        self.blocks = 0
        self.definitions = Definitions()
        self._run = run
        self._sandbox = sandbox
        self._tools = tools
        self._limits = limits
        self._session: SandboxSession | None = None
        self._turn: CodeTurn | None = None
        self._step = 0
        self._unread = False
        self._replay: _Replay | None = None

    def begin_turn(self, turn: CodeTurn, step: int) -> None:
        """Let the calls of the blocks that follow go through this turn."""
        self._turn = turn
        self._step = step

    async def execute(
        self, code: str | AsyncIterable[str], on_output: Callable[[str], None], *, unread: bool = False
    ) -> Execution:
        """Run a block and return what it gave.

        Args:
            code: The block, or its pieces as they come.
            on_output: Hears what the block prints.
            unread: Earlier blocks of the reply gave something that the model had not read when it wrote this one:
                tools that end the run are refused, since their answer may be invented.

        Raises:
            SandboxError: The sandbox could not start.
            ReplayError: The block ran before, and did something else then.
        """
        if self._session is None:
            with self._told():
                self._session = self._sandbox.open(
                    self._tools.values(), self._limits, call=self._call, seed=self._run.run_id
                )
        self.blocks += 1
        self._unread = unread
        prefix = f"{self._run.run_id}/{self._step}/tool/"
        journal = self._run.journal
        self._replay = replay = None if journal is None else _Replay(journal, prefix, self.blocks)
        self._session.last = None
        with self._told():
            execution = await self._session.execute(code, on_output=on_output)
        if not isinstance(execution, Execution):
            raise SandboxError(f"{self._failed} a block gave {type(execution).__name__}, and no Execution.")
        if replay is not None:
            replay.end()
        waits = self._turn is not None and self._turn.waits  # the block gives more when that is decided
        if journal is not None and not waits:
            key = f"{self._run.run_id}/{self._step}/code/{self.blocks}"
            summary = _summary(execution)
            if key in journal or not await journal.record(key, json.dumps(summary)):
                _compare(summary, journal.recorded(key))
        return execution

    @property
    def last(self) -> Execution | None:
        """What the last block gave, as far as it came; `None` where there is no such block."""
        return self._session.last if self._session is not None else None

    async def _call(self, call: Call) -> Answer:
        assert self._turn is not None  # noqa: S101 - calls are made by blocks, in a turn
        tool = self._tools.get(call.name)
        if self._unread and tool is not None and tool.returns_answer:
            return self._turn.refuse(call, UNREAD.format(name=call.name))
        if self._replay is not None and not (tool is not None and tool.local):
            await self._replay.admit(call)
        return await self._turn.perform(call)

    async def close(self) -> None:
        """End the session and everything the code started."""
        if self._session is not None:
            with self._told():
                await self._session.close()

    @property
    def _failed(self) -> str:
        return f"The sandbox {type(self._sandbox).__name__} failed:"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever is raised in this context, but for errors of this package, into a `SandboxError`."""
        try:
            yield
        except TinyAgentError:
            raise
        except Exception as error:
            raise SandboxError(f"{self._failed} {error_text(error)}") from error


class _Replay:
    """Watches one block that may run for the second time: first what is recorded, and only then anything new.

    A call is answered by a record only under its own name (block, tool, arguments), so that calls may come in any
    order. New calls wait until the block has made every recorded one: a block that takes another way never calls
    anything on a guess.
    """

    def __init__(self, journal: Journal, prefix: str, block: int) -> None:
        self._prefix = prefix
        keys = journal.keys(f"{prefix}block{block}_")
        keys = [
            key.removesuffix(ASKED).removesuffix(BEGUN) for key in keys
        ]  # also of calls that wait, or were in flight
        self._left = {key for key in keys if "/" not in key.removeprefix(prefix)}
        self._done = asyncio.Event()
        self._fresh = not self._left
        if self._fresh:
            self._done.set()

    async def admit(self, call: Call) -> None:
        """Let a call pass: a recorded one at once, a new one after all recorded ones.

        Raises:
            ReplayError: The recorded calls were not made in time.
        """
        key = self._prefix + call.id
        if call.problem is not None:  # no tool is called for it
            return
        if key in self._left:
            self._left.discard(key)
            if not self._left:
                self._done.set()
            return
        try:
            async with asyncio.timeout(REPLAY_PATIENCE):
                await self._done.wait()
        except TimeoutError:
            raise self._diverged(f"it called {call.name}({call.raw}), which is not recorded") from None

    def end(self) -> None:
        """Check that the block, which is over, has made every call that is recorded of it.

        Raises:
            ReplayError: A recorded call is missing.
        """
        if self._left:
            raise self._diverged("it ended without them")

    def _diverged(self, how: str) -> ReplayError:
        missing = ", ".join(sorted(key.removeprefix(self._prefix) for key in self._left))
        return ReplayError(
            f"The block was run again, and did not make the calls that are recorded of it ({missing}): {how}. Code "
            "that depends on the time, on random numbers of the system or on the order of threads cannot be resumed."
        )


def _compare(now: dict[str, Any], recorded: object) -> None:
    """Check that a block that had finished gave the same again.

    Raises:
        ReplayError: The block gave something else.
    """
    if recorded != now:
        then = recorded if isinstance(recorded, dict) else {}
        different = ", ".join(name for name, value in now.items() if then.get(name) != value)
        raise ReplayError(f"The block was run again, and this was not as recorded: {different}.")


def _summary(execution: Execution) -> dict[str, Any]:
    """Return what must be the same when a block runs again, as plain data."""
    return {
        "code": _digest(execution.code),
        "calls": sorted(seen.call.id for seen in execution.calls),
        "output": _digest(execution.stdout),
        "value": _digest(execution.repr or ""),
        "error": execution.error.type if execution.error is not None else None,
    }


def _digest(text: str) -> str:
    """Return a short digest of a text, for which the addresses of objects do not count."""
    text = re.sub(r"\b0x[0-9a-f]{6,}\b", "0x", text)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
