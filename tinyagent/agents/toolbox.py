"""The toolbox of an agent: everything that it can call."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any

from tinyagent.agents.handoff import Handoff, LateHandoffs
from tinyagent.agents.inner import AgentTool
from tinyagent.core.errors import ConfigurationError, DuplicateToolError, RunError, TinyAgentError, ToolkitError
from tinyagent.core.jsonable import error_text
from tinyagent.core.registry import as_tool, check_list, collect
from tinyagent.core.tool import Tool
from tinyagent.tools.toolkit import (
    AnyTool,
    ObjectToolkit,
    PrefixedToolkit,
    Toolkit,
    ToolLike,
    as_toolkit,
    entry_of,
)


class Toolbox:
    """The tools of an agent: single ones, and those of toolkits.

    Args:
        own: The single tools by name.
        kits: The toolkits.

    Raises:
        DuplicateToolError: Two tools have one name; the text names both.
    """

    def __init__(self, own: Mapping[str, AnyTool], kits: Iterable[Toolkit] = ()) -> None:
        self.kits = tuple(kits)
        self._own = own
        self._own_agents = _agents_in(own.values())
        self._own_ask = any(tool.needs_approval for tool in own.values())
        self._parts: tuple[tuple[AnyTool, ...], ...] = ()
        self._tools: Mapping[str, AnyTool] = MappingProxyType(dict(own))
        _ = self.tools  # a name that is taken is refused now

    @classmethod
    def of(cls, items: Iterable[ToolLike], reserved: Mapping[str, AnyTool] | None = None) -> Toolbox:
        """Return a toolbox of what was passed as `tools=`, and of the tools that its kind of agent brings (`reserved`).

        Raises:
            DuplicateToolError: Two tools have one name; the text names both.
            ConfigurationError: `items` is no list, or an item is no tool.
        """
        check_list(items)
        tools: list[Any] = []
        agents: list[AnyTool] = []
        kits: dict[int, Toolkit] = {}
        for item in items:
            if (kit := as_toolkit(item)) is not None:
                kits.setdefault(id(item), kit)
            elif isinstance(item, type) and hasattr(item, "as_tool"):
                raise ConfigurationError(
                    f"{item.__name__} is the class of an agent: pass an object, {item.__name__}(...)."
                )
            elif not isinstance(item, type | Tool) and callable(makes_tool := getattr(item, "as_tool", None)):
                made = makes_tool()
                if any(made.name == other.name for other in agents):
                    raise DuplicateToolError(
                        f"Two agents in tools= are named {made.name!r}. Give each a name of its own, name='...', or "
                        "pass agent.as_tool('...')."
                    )
                agents.append(made)
                tools.append(made)
            else:
                tools.append(item)
        own = collect(tools)
        if taken := own.keys() & (reserved or {}).keys():
            raise ConfigurationError(f"A tool is named {min(taken)!r}, which is how the code ends a run. Rename it.")
        return cls({**own, **(reserved or {})}, kits.values())

    def plus(self, items: Iterable[ToolLike]) -> Toolbox:
        """Return a toolbox with more tools in it; this one where there are none to add.

        Raises:
            DuplicateToolError: Two tools have one name.
        """
        if not (new := list(items)):
            return self
        more = Toolbox.of([*self._own.values(), *new])
        return Toolbox(more._own, [*self.kits, *more.kits])  # noqa: SLF001 - of this class

    @property
    def tools(self) -> Mapping[str, AnyTool]:
        """Every tool by name: the same mapping until a toolkit's tools have changed."""
        if self.kits:
            parts = tuple(map(_tools_of, self.kits))
            if list(map(id, parts)) != list(map(id, self._parts)):
                self._tools = self._together(parts)
                self._parts = parts
        return self._tools

    def _together(self, parts: Iterable[Iterable[AnyTool]]) -> Mapping[str, AnyTool]:
        tools = dict(self._own)
        for kit, part in zip(self.kits, parts, strict=True):
            for item in part:
                tool = as_tool(item)
                other = tools.setdefault(tool.name, tool)
                if other is not tool:
                    what = f"Give the tools of a toolkit a prefix: {_class_name(kit)}(...).prefixed('my')."
                    if isinstance(kit, ObjectToolkit):
                        what = f"Derive {_class_name(kit)} from Toolkit, which can give its tools a prefix."
                    raise DuplicateToolError(
                        f"Two tools are named {tool.name!r}: {other.source} and {tool.source}. {what}"
                    )
        return MappingProxyType(tools)

    def agents(self) -> list[Any]:
        """Return the agents among the tools: those that can be called, and those to hand over to."""
        found = list(self._own_agents)
        for kit in self.kits:
            found += _agents_in(_tools_of(kit))
            found += kit.agents() if isinstance(kit, LateHandoffs) else []
        return found

    @property
    def asks(self) -> bool:
        """Whether one of the tools needs approval."""
        return self._own_ask or (bool(self.kits) and any(tool.needs_approval for tool in self.tools.values()))

    # ---- opening the toolkits

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Toolbox]:
        """Hold the toolkits open for a run, and give its toolbox: toolkits whose state belongs to a run are new in it.

        Raises:
            ToolkitError: A toolkit could not be opened, or closed.
        """
        if not self.kits:
            yield self
            return
        kits = [_for_run(kit) for kit in self.kits]
        same = all(mine is kit for mine, kit in zip(kits, self.kits, strict=True))
        async with _all_open(kits):
            yield self if same else Toolbox(self._own, kits)

    def shared(self) -> AbstractAsyncContextManager[None]:
        """Return a context in which the toolkits that are the same for all runs are open."""
        return _all_open([kit for kit in self.kits if _for_run(kit) is kit])


@asynccontextmanager
async def _all_open(kits: Iterable[Toolkit]) -> AsyncIterator[None]:
    """Open toolkits at the same time; close them one by one, the last first."""
    async with AsyncExitStack() as stack:
        failures: tuple[BaseException, ...] = ()
        try:
            async with asyncio.TaskGroup() as group:
                for kit in kits:
                    group.create_task(_enter(kit, stack))
        except BaseExceptionGroup as group_of_failures:
            failures = group_of_failures.exceptions
        if failures:
            raise failures[0]
        yield


async def _enter(kit: Toolkit, stack: AsyncExitStack) -> None:
    entry = entry_of(kit)
    await _told(kit, "opened", entry.__aenter__())

    async def leave(_: object, reason: BaseException | None, __: object) -> None:
        try:
            await _told(kit, "closed", entry.__aexit__(None, None, None))
        except TinyAgentError as error:
            if reason is None:
                raise
            reason.add_note(str(error))  # the error for which it is left counts more

    stack.push_async_exit(leave)


def _for_run(kit: Toolkit) -> Toolkit:
    try:
        found: object = kit.for_run()
    except RunError:
        raise
    except Exception as error:
        raise _failed(kit, "failed in for_run()", error) from error
    if not isinstance(found, Toolkit):
        raise ToolkitError(f"The toolkit {_class_name(kit)}: for_run() gave {found!r}, which is no Toolkit.")
    return found


def _agents_in(tools: Iterable[AnyTool]) -> list[Any]:
    return [tool.agent for tool in tools if isinstance(tool, AgentTool | Handoff)]


def _tools_of(kit: Toolkit) -> tuple[AnyTool, ...]:
    try:
        return kit.tools
    except TinyAgentError:
        raise
    except Exception as error:
        raise _failed(kit, "could not list its tools", error) from error


async def _told(kit: Toolkit, what: str, work: Awaitable[Any]) -> None:
    """Await the opening or closing of a toolkit; raise its failure in a new error for each who waits."""
    try:
        await work
    except RunError as error:
        raise copy.copy(error) from error
    except Exception as error:
        raise _failed(kit, f"could not be {what}", error) from error


def _failed(kit: Toolkit, what: str, error: Exception) -> ToolkitError:
    return ToolkitError(f"The toolkit {_class_name(kit)} {what}: {error_text(error)}")


def _class_name(kit: Toolkit) -> str:
    inner: object = kit.of if isinstance(kit, ObjectToolkit) else kit
    return _class_name(kit.kit) if isinstance(kit, PrefixedToolkit) else type(inner).__name__
