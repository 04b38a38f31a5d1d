"""A toolkit: tools that share state, opened and closed together."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, Self, TypeAlias

from tinyagent.core.errors import ConfigurationError, ToolDefinitionError
from tinyagent.core.registry import as_tool
from tinyagent.core.shared import Shared
from tinyagent.core.tool import Tool

AnyTool: TypeAlias = Tool[..., Any]


class ActsAsTool(Protocol):
    """An agent, which other agents can use as a tool."""

    def as_tool(self) -> AnyTool:
        """Return the tool by which another agent calls this one."""
        ...


#: What `tools=[...]` takes: functions, tools, toolkits, and agents. Objects of other classes with `@tool` methods work
#: as well, which cannot be said to a type checker: derive those from `Toolkit`.
ToolLike: TypeAlias = "Callable[..., Any] | AnyTool | Toolkit | ActsAsTool"

#: Attributes of an object with tools: the tools, the shared call of its `open` and `close`, and the shared entry of its
#: own `__aenter__` and `__aexit__`.
_TOOLS, _OPENED, _ENTERED = "__tinyagent_tools__", "__tinyagent_opened__", "__tinyagent_entered__"


class Toolkit:
    """Tools that share state. Mark methods with `@tool`, and pass an instance in `tools=[...]`.

        class Notes(Toolkit):
            async def open(self):
                self.db = await connect()

            async def close(self):
                await self.db.close()

            @tool
            async def add_note(self, text: str) -> str:
                \"\"\"Keep a note.\"\"\"

    A toolkit is opened by the first of its users and closed after the last, in one task of its own. A run uses it
    from its beginning to its end; an agent entered with `async with`, until it is left; and so does whoever enters
    the toolkit itself. An object of any other class with `@tool` methods works as well: where it has `__aenter__`
    and `__aexit__`, they are called in place of `open` and `close`, so let the agent enter it, not both.

    A toolkit with `open` or `close` is open in one event loop at a time: make one for each thread that runs a loop.
    """

    async def open(self) -> None:
        """Prepare the toolkit; called once, before its tools are. An exception ends the run."""

    async def close(self) -> None:
        """Release what `open` took; called once, after the last use, also when the use was broken off."""

    @property
    def tools(self) -> tuple[AnyTool, ...]:
        """The tools: by default the methods marked with `@tool`, in the order they are defined.

        Override this for tools that come and go: return the same tuple until something has changed.
        """
        return _methods(self)

    def for_run(self) -> Toolkit:
        """Return the toolkit that one run uses: by default this one. Override it where the state belongs to the run."""
        return self

    def prefixed(self, prefix: str) -> Toolkit:
        """Return this toolkit with its tools named `{prefix}_{name}`, to tell two toolkits apart.

        Raises:
            ConfigurationError: The prefix is no text, or makes names that tools cannot have.
        """
        return PrefixedToolkit(self, prefix)

    async def __aenter__(self) -> Self:
        if _opens(type(self)):
            await _shared(self, _OPENED, lambda: _opened(self)).__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        if _opens(type(self)):
            await _shared(self, _OPENED, lambda: _opened(self)).__aexit__(*exc)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy takes over: neither the bound tools nor the users, of which it has its own."""
        return {name: value for name, value in vars(self).items() if name not in (_TOOLS, _OPENED, _ENTERED)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(tool.name for tool in self.tools)})"


class PrefixedToolkit(Toolkit):
    """A toolkit around another one, whose tools' names it puts a prefix before; made by `Toolkit.prefixed`."""

    def __init__(self, kit: Toolkit, prefix: str) -> None:
        if not isinstance(prefix, str) or not prefix.strip("_"):
            raise ConfigurationError(f"prefixed({prefix!r}): pass text, such as prefixed('sales').")
        self.kit = kit
        self.prefix = prefix.removesuffix("_")
        self._of: tuple[AnyTool, ...] | None = None
        self._tools: tuple[AnyTool, ...] = ()
        try:
            _ = self.tools  # names that tools cannot have are told now
        except ToolDefinitionError:
            raise ConfigurationError(
                f"prefixed({prefix!r}) makes no names for tools: use letters, digits and '_', 64 with the tool's name."
            ) from None

    @property
    def tools(self) -> tuple[AnyTool, ...]:
        """The tools of the inner toolkit, with the prefix before their names."""
        tools = self.kit.tools
        if tools is not self._of:
            self._tools = tuple(tool.renamed(f"{self.prefix}_{tool.name}") for tool in tools)
            self._of = tools
        return self._tools

    def for_run(self) -> Toolkit:
        """Return what one run uses: this object, or a new one around the inner toolkit's own for the run."""
        kit = self.kit.for_run()
        return self if kit is self.kit else PrefixedToolkit(kit, self.prefix)

    async def __aenter__(self) -> Self:
        await entry_of(self.kit).__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await entry_of(self.kit).__aexit__(*exc)


class ObjectToolkit(Toolkit):
    """A toolkit of the `@tool` methods of an object of any class."""

    def __init__(self, of: object) -> None:
        self.of = of

    @property
    def tools(self) -> tuple[AnyTool, ...]:
        """The object's `@tool` methods, bound to it."""
        return _methods(self, self.of)

    async def __aenter__(self) -> Self:
        if isinstance(self.of, AbstractAsyncContextManager):
            await _entered(self.of, self).__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        if isinstance(self.of, AbstractAsyncContextManager):
            await _entered(self.of, self).__aexit__(*exc)


def as_toolkit(item: object) -> Toolkit | None:
    """Return `item` as a toolkit; `None` when it is no toolkit and has no `@tool` methods.

    Raises:
        ConfigurationError: `item` is the class of a toolkit, or a toolkit without tools.
    """
    if isinstance(item, Toolkit):
        if type(item).tools is Toolkit.tools and not _names(type(item)):
            raise ConfigurationError(f"The toolkit {type(item).__name__} has no tools. Put @tool on its methods.")
        return item
    if isinstance(item, type) and (issubclass(item, Toolkit) or _names(item)):
        raise ConfigurationError(f"{item.__name__} is the class of a toolkit: pass an object, {item.__name__}(...).")
    if isinstance(item, type | Tool) or not _names(type(item)):
        return None
    return ObjectToolkit(item)


def _opens(cls: type[Toolkit]) -> bool:
    """Return whether the toolkits of a class have something to open or to close."""
    return cls.open is not Toolkit.open or cls.close is not Toolkit.close


def entry_of(kit: Toolkit) -> AbstractAsyncContextManager[Any]:
    """Return what each user of a toolkit enters: however many there are, the toolkit is opened once."""
    own = type(kit).__aenter__
    if own in (Toolkit.__aenter__, PrefixedToolkit.__aenter__, ObjectToolkit.__aenter__):
        return kit
    return _entered(kit)


def _entered(item: AbstractAsyncContextManager[Any], keeper: object = None) -> Shared[Any]:
    """Return an object's own context manager, shared: it is entered once for all users."""
    return _shared(item, _ENTERED, lambda: item, keeper)


def _shared(
    item: object, name: str, make: Callable[[], AbstractAsyncContextManager[Any]], keeper: object = None
) -> Shared[Any]:
    """Return the one `Shared` of all users of an object, kept on the object, or else on its keeper."""
    memory: dict[str, Any] = vars(item if hasattr(item, "__dict__") else keeper)
    owner, shared = memory.get(name, (None, None))
    if shared is None or owner is not item:  # a copied object has that of the original
        shared = Shared(make)
        memory[name] = item, shared
    found: Shared[Any] = shared
    return found


@asynccontextmanager
async def _opened(kit: Toolkit) -> AsyncIterator[Toolkit]:
    await _done(kit.open())
    try:
        yield kit
    finally:
        await _done(kit.close())


async def _done(work: object) -> None:
    """Await what `open` or `close` returned, unless that is no coroutine function."""
    if inspect.isawaitable(work):
        await work


def _methods(keeper: object, item: object = None) -> tuple[AnyTool, ...]:
    """Return the `@tool` methods of `item`, or else of `keeper`, bound and in the order of their definition."""
    memory = vars(keeper)
    owner, tools = memory.get(_TOOLS, (None, ()))
    if owner is not keeper:  # a copied object has those of the original
        of = keeper if item is None else item
        tools = tuple(as_tool(getattr(of, name)) for name in _names(type(of)))
        memory[_TOOLS] = keeper, tools
    found: tuple[AnyTool, ...] = tools
    return found


def _names(cls: type) -> list[str]:
    """Return the names of a class's `@tool` methods, those of base classes first."""
    names = dict.fromkeys(
        name for base in reversed(cls.__mro__) for name, value in vars(base).items() if _is_tool(value)
    )
    return [name for name in names if _is_tool(inspect.getattr_static(cls, name))]


def _is_tool(value: object) -> bool:
    return isinstance(value, Tool) or (
        isinstance(value, classmethod | staticmethod) and isinstance(value.__func__, Tool)
    )
