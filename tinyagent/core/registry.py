"""`@tool`, and the registry that knows every tool defined in the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from tinyagent.core.door import shorten
from tinyagent.core.errors import (
    ConfigurationError,
    DuplicateToolError,
    FrozenRegistryError,
    TinyAgentError,
    ToolDefinitionError,
)
from tinyagent.core.tool import Tool, ToolOptions, check_unbound

P = ParamSpec("P")
R = TypeVar("R")


class ToolRegistry(Mapping[str, Tool[..., Any]]):
    """Tools by name. A later tool replaces an earlier one of its name, as when a notebook cell runs twice.

    Agents use the very objects they are given and never look here; the registry is for finding tools by name,
    such as from the command line.
    """

    def __init__(self, tools: Iterable[Tool[..., Any] | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool[..., Any]] = {}
        self._frozen = False
        for item in tools:
            self.add(item)

    def add(self, item: Tool[..., Any] | Callable[..., Any]) -> Tool[..., Any]:
        """Add a tool, or a function as one, and return the tool.

        Raises:
            FrozenRegistryError: The registry is frozen.
            ToolDefinitionError: The function cannot be a tool.
        """
        added = as_tool(item)
        self._refuse_if_frozen(f"add {added.name!r}")
        self._tools[added.name] = added
        return added

    def remove(self, name: str) -> None:
        """Remove a tool.

        Raises:
            FrozenRegistryError: The registry is frozen.
            KeyError: There is no such tool.
        """
        self._refuse_if_frozen(f"remove {name!r}")
        del self._tools[name]

    def freeze(self) -> None:
        """Refuse every later change of the registry. This cannot be undone."""
        self._frozen = True

    @property
    def frozen(self) -> bool:
        """Whether the registry refuses changes."""
        return self._frozen

    def _refuse_if_frozen(self, what: str) -> None:
        if self._frozen:
            raise FrozenRegistryError(
                f"Cannot {what}: the tool registry is frozen. Define tools before freeze_registry(), or make a "
                "Tool(function) of your own and pass it to the agent."
            )

    def __getitem__(self, name: str) -> Tool[..., Any]:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"ToolRegistry({', '.join(self._tools)}{'; frozen' if self._frozen else ''})"


_registry = ToolRegistry()
#: The attribute of a function that holds the tool made of it: so the tool lives as long as the function.
_MADE = "__tinyagent_tool__"


def get_registry() -> ToolRegistry:
    """Return the registry of the process, to which `@tool` adds every tool."""
    return _registry


def freeze_registry() -> None:
    """Refuse further changes of the registry, by `@tool` too, for the rest of the process."""
    _registry.freeze()


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None, **options: Unpack[ToolOptions]
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Turn a function into a tool: `@tool`, or `@tool(timeout=5)`.

    The schema comes from the annotations and the docstring (Google, NumPy or reST style). Coroutine functions
    run on the event loop, others in a worker thread. The result is still called like the function.

    Args:
        function: The function.
        **options: The options of `Tool`, which explains them: `name`, `description`, `timeout` (seconds), `retries`,
            `exclusive`, `read_only`, `returns_answer`, `eager`, `shown`, `local`.

    Raises:
        ToolDefinitionError: The function cannot be described; the text names the parameter.
        FrozenRegistryError: `freeze_registry` was called.
    """
    import sys

    if isinstance(function, str):
        raise ToolDefinitionError(
            f"@tool({function!r}): that is not a function. Pass a name by name: @tool(name={function!r})."
        )
    local_names = sys._getframe(1).f_locals  # noqa: SLF001 - types defined beside a tool inside a function

    def make(function: Callable[..., Any]) -> Tool[..., Any]:
        try:
            made = Tool(function, local_names=local_names, **options)
            if not _in_class_body(function):
                _registry.add(made)
        except TinyAgentError as error:
            shorten(error)
            raise
        return made

    if function is None:
        return make
    try:
        return make(function)
    except TinyAgentError as error:
        shorten(error)
        raise


def _in_class_body(function: Callable[..., Any]) -> bool:
    outer = getattr(function, "__qualname__", "").rpartition(".")[0]
    return bool(outer) and not outer.endswith("<locals>") and not isinstance(function, MethodType)


def as_tool(item: Tool[..., Any] | Callable[..., Any]) -> Tool[..., Any]:
    """Return a function as a tool, made once for each function, and a tool as it is.

    Raises:
        ToolDefinitionError: `item` is not a function, or cannot be described.
    """
    if isinstance(item, Tool):
        return item
    if isinstance(item, MethodType):
        if isinstance(item.__func__, Tool):  # @classmethod over @tool
            return item.__func__.__get__(item.__self__)
        return Tool(item)
    if not isinstance(item, FunctionType):
        return Tool(item)
    made = item.__dict__.get(_MADE)
    if made is None or made.function is not item:  # functools.wraps copies the attribute to its wrapper
        made = item.__dict__[_MADE] = Tool(item)
    found: Tool[..., Any] = made
    return found


def check_list(items: object) -> None:
    """Refuse a value of `tools=` that is no list.

    Raises:
        ConfigurationError: The text says what to pass.
    """
    if isinstance(items, str | Mapping) or not isinstance(items, Iterable):
        raise ConfigurationError(f"tools={items!r}: pass a list of functions, such as tools=[search, add].")


def collect(items: Iterable[Tool[..., Any] | Callable[..., Any]]) -> dict[str, Tool[..., Any]]:
    """Return the tools of one agent by name.

    Raises:
        DuplicateToolError: Two tools have the same name; the text names both functions.
        ConfigurationError: `items` is no list, or an item is no tool.
    """
    check_list(items)
    tools: dict[str, Tool[..., Any]] = {}
    for item in items:
        found = as_tool(item)
        check_unbound(found)
        other = tools.setdefault(found.name, found)
        if other is not found:
            raise DuplicateToolError(
                f"Two tools are named {found.name!r}: {other.source} and {found.source}. Rename one with "
                "@tool(name='...')."
            )
    return tools
