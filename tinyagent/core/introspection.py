"""What a function says of itself: its annotations and its documentation."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from tinyagent.core.context import Context
from tinyagent.core.errors import ToolDefinitionError


def is_context(annotation: Any) -> bool:
    """Whether a parameter annotated so is filled in by the run."""
    if annotation is Context or typing.get_origin(annotation) is Context:
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated):
        return any(is_context(part) for part in typing.get_args(annotation))
    return False


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    """The plain function under partials, wrappers, methods and callable objects."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.isroutine(function) or isinstance(function, type):
            return function
        else:
            function = type(function).__call__


def hints_of(function: Callable[..., Any], tool: str, local_names: Mapping[str, Any] | None) -> dict[str, Any]:
    """The annotations of `function`, strings resolved.

    Raises:
        ToolDefinitionError: A name in one is unknown; the text names the parameter.
    """
    inner: Any = _innermost(function)
    if isinstance(inner, type):
        inner = inspect.getattr_static(inner, "__init__")
    names = dict(local_names or {})
    if inspect.isfunction(inner):
        names.update(inspect.getclosurevars(inner).nonlocals)
    try:
        return typing.get_type_hints(inner, localns=names, include_extras=True)
    except Exception as error:
        where = _unresolved(inner, names)
        raise ToolDefinitionError(
            f"Tool {tool!r}: the annotation of {where} cannot be resolved ({error}). Define or import the name "
            "before the tool, outside 'if TYPE_CHECKING:'."
        ) from error


def _unresolved(function: Callable[..., Any], names: dict[str, Any]) -> str:
    """Which parameter's annotation is to blame."""
    scope = getattr(function, "__globals__", {})
    for name, annotation in getattr(function, "__annotations__", {}).items():
        if isinstance(annotation, str):
            try:
                eval(annotation, scope, names)  # noqa: S307 - the user's own annotation, as typing does
            except Exception:  # noqa: BLE001
                return "the return value" if name == "return" else f"the parameter {name!r}"
    return "a parameter"


def documentation_of(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The docstring's text, and its description of each parameter (Google, NumPy or reST style)."""
    text = inspect.getdoc(_innermost(function))
    own = None if inspect.isroutine(function) or isinstance(function, functools.partial) else inspect.getdoc(function)
    text = own or text or ""
    if not text:
        return "", {}
    from docstring_parser import parse

    parsed = parse(text)
    parts = (parsed.short_description, parsed.long_description)
    described = {item.arg_name.lstrip("*"): item.description for item in parsed.params if item.description}
    return "\n\n".join(part for part in parts if part), described
