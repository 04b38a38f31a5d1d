"""The names that a session's code has in one worker of Monty, and how blocks run there."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinyagent.core.result import CodeError, Execution
from tinyagent.core.tool import Tool
from tinyagent.sandbox.awaits.definitions import Definitions
from tinyagent.sandbox.base import SandboxLimits, is_name
from tinyagent.sandbox.block import Block, pieces_of
from tinyagent.sandbox.monty.driver import Driver, Lost, stub
from tinyagent.sandbox.monty.errors import Fed, code_error, exhausted
from tinyagent.sandbox.monty.source import PRELUDE, SHOW_VALUE, existing_among, move_taken, read, values_of
from tinyagent.sandbox.monty.values import shown
from tinyagent.sandbox.taken import given_back, name_for_value

if TYPE_CHECKING:
    from tinyagent.sandbox.monty.errors import CodeFailure

#: Most names of a namespace that are told.
_MOST_NAMES = 200


class Namespace:
    """The names of one worker.

    Args:
        driver: Drives the worker.
        tools: What the code can call, by name.
        limits: What the code may use.
    """

    def __init__(self, driver: Driver, tools: Mapping[str, Tool[..., Any]], limits: SandboxLimits) -> None:
        self.driver = driver
        self._tools = tools
        self._limits = limits
        self._names: dict[str, None] = {}  # names that may exist
        self._fed: dict[str, Fed] = {}
        self._has_value = False  # whether the last piece has a value
        self._definitions = Definitions()
        self._kept: dict[str, str] = {}  # by tool: the name of a value that was put under the tool's name
        self._suspects: set[str] = set()  # names of tools that the code may have given to something else

    # ---- names and values

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the code may have defined."""
        return tuple(name for name in self._names if name[:1] != "_")[:_MOST_NAMES]

    async def begin(self, values: Mapping[str, Any]) -> None:
        """Define the helpers that every session has, and names with values of the host."""
        await self.driver.feed(PRELUDE)
        for name, value in values.items():
            await self.set(name, value)

    async def set(self, name: str, value: Any) -> None:
        """Set a name to a value that Monty takes."""
        await self.driver.feed("None", inputs={name: value})
        self._names[name] = None

    async def get(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the values of those of the names that exist."""
        found: dict[str, Any] = await self.driver.feed(values_of(filter(is_name, names)))
        return {name: shown(told)[0] for name, told in found.items()}

    async def _aside(self, code: str, inputs: Mapping[str, Any] | None = None) -> Any:
        """Run code of ours in the middle of a block, and return its value; `None` where the worker cannot."""
        from pydantic_monty import MontyError

        block, self.driver.block = self.driver.block, None
        try:
            return await self.driver.feed(code, inputs=inputs) if self.driver.cancelled is None else None
        except MontyError:  # no memory for it
            return None
        finally:
            self.driver.block = block

    async def _existing(self) -> tuple[str, ...]:
        """Return the names that exist of those the code may have defined; none where the worker cannot tell."""
        return tuple(await self._aside(existing_among(self.names)) or ())

    async def _give_names_back(self, block: Block) -> None:
        """Give every tool its own name again after a block; a value that was put there stays, under another name."""
        for name in self._suspects - self._kept.keys():
            self._kept[name] = name_for_value(name, self._names)
        kept = {name: self._kept[name] for name in self._suspects}
        taken = await self._aside(move_taken(kept)) if kept else None
        if taken is None or await self._aside("True", {name: stub(name) for name in taken}) is None:
            return  # tried again after the next block
        for name in self._suspects:
            self._names.pop(name, None)
        self._suspects.clear()
        self._names.update(dict.fromkeys(kept[name] for name in taken))
        block.hear(given_back({name: kept[name] for name in taken}))

    # ---- blocks

    async def run(self, block: Block, code: str | AsyncIterable[str]) -> Execution:
        """Run a block, and return what it gave.

        Raises:
            Lost: The worker is gone, or its values cannot be relied on any more.
        """
        value = printed = error = None
        async with aclosing(pieces_of(code)) as pieces:
            async for piece, last in pieces:
                if block.stopped is not None:
                    error = CodeError(block.stop_kind, block.stopped, names=await self._existing())
                    break
                value, printed, error = await self._run_piece(block, piece, last=last)
                if error is not None or block.ended or block.fatal is not None:
                    break
        await self._give_names_back(block)
        return block.execution(None, None, None) if block.ended else block.execution(value, printed, error)

    async def _run_piece(self, block: Block, code: str, *, last: bool) -> tuple[Any, str | None, CodeError | None]:
        """Run one piece of a block, and return its value, the value's `repr` and its error.

        An empty last piece gets the value of the piece before told.
        """
        from pydantic_monty import MontyRuntimeError, MontySyntaxError

        text, awaited = "None", frozenset[tuple[int, int]]()
        if code:
            tools = self._tools.keys() - self._names.keys()
            source = read(code, tools, self._definitions)
            self.driver.await_calls(source.awaited_calls, self._definitions)
            self._definitions.learn(source.tree, source.names, tools, self.driver.next_feed, source.calls)
            first = 1 + sum(part.count("\n") for part in block.code)
            self._fed[self.driver.next_feed] = Fed(f"<block {block.number}>", first, source)
            self._names.update(dict.fromkeys(source.names))
            hidden = "exec" in code or "eval" in code  # code in texts, which may bind names
            self._suspects |= self._tools.keys() if hidden else self._tools.keys() & self._names.keys()
            block.code.append(code)
            self._has_value, text, awaited = source.has_value, source.text, source.awaited
        show = last and self._has_value
        block.clock.resume()
        try:
            told = await self.driver.feed(f"{text}\n{SHOW_VALUE}" if show else text, awaited)
        except (MontyRuntimeError, MontySyntaxError) as error:
            return None, None, await self._failure(block, error)
        finally:
            block.clock.pause()
            await block.end_calls()
        return (*(shown(told) if show else (None, None)), None)

    async def _failure(self, block: Block, error: CodeFailure) -> CodeError | None:
        """Return the error that ended a block; `None` where a tool did.

        Raises:
            Lost: A limit of Monty's own was reached.
        """
        limit = exhausted(error)
        if limit == "memory":
            raise Lost(f"the block used more than {self._limits.memory:,} bytes of memory", "MemoryError")
        if limit == "time":
            seconds = min(limit for limit in (self._limits.seconds, self._limits.cpu_seconds) if limit is not None)
            block.stop(f"the block ran longer than {seconds:g} s", "TimeoutError")
            raise Lost(f"the block ran longer than {seconds:g} s", "TimeoutError")
        if block.ended or block.fatal is not None:
            return None
        found = code_error(error, self._fed, await self._existing())
        if block.stopped is not None and found.type == "KeyboardInterrupt":
            return replace(found, type=block.stop_kind, message=block.stopped, bases=(), args=())
        return found
