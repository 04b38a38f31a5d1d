"""What a function says of itself: its annotations and its documentation."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from tinyagent.core.context import Context
from tinyagent.core.errors import ToolDefinitionError

if TYPE_CHECKING:
    from docstring_parser import Docstring

#: How people head the arguments in a docstring of Google's style; the style itself knows two of these headings.
_ARGUMENTS = re.compile(r"^(args?|arguments?|params?|parameters?)[ \t]*:[ \t]*$", re.IGNORECASE | re.MULTILINE)
_SECTION = re.compile(r"(args?|arguments?|params?|parameters?|returns?|raises|yields?|examples?):\s*\Z", re.IGNORECASE)


def is_context(annotation: Any) -> bool:
    """Return whether a parameter with this annotation is a `Context`, which the run fills in."""
    if annotation is Context or typing.get_origin(annotation) is Context:
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated):
        return any(is_context(part) for part in typing.get_args(annotation))
    return False


def without_partials(function: Any) -> Any:
    """Return the function that a `functools.partial`, or a partial of one, was made of; anything else as it is."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def layers(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Yield a function and what each partial, wrapper, method and callable object stands for, down to the plain one."""
    while True:
        yield function
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.isroutine(function) or isinstance(function, type):
            return
        else:
            function = type(function).__call__


def innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the plain function or class under partials, wrappers, methods and callable objects."""
    *_, plain = layers(function)
    return plain


def hints_of(function: Callable[..., Any], tool: str, local_names: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the annotations of a function or class by name: strings resolved, and as pydantic takes them.

    Args:
        function: The function, or a class, whose constructor is meant.
        tool: The tool's name, for error texts.
        local_names: Where annotations written as strings are looked up besides the function's module.

    Raises:
        ToolDefinitionError: A name in an annotation is unknown; the text names the parameter.
    """
    inner: Any = innermost(function)
    names = {**(local_names or {}), **_closure(inner)}
    hints: dict[str, Any] = {}
    makers: list[Any] = []
    if isinstance(inner, type):
        makers = [inspect.getattr_static(inner, "__init__")]
        if not issubclass(inner, tuple):  # a NamedTuple's `__new__` is generated, in a module of its own
            makers.append(inner.__new__)
    for described in (inner, *makers):
        try:
            hints.update(typing.get_type_hints(described, localns=names, include_extras=True))
        except Exception as error:
            raise ToolDefinitionError(
                f"Tool {tool!r}: the annotation of {_unresolved(described, names)} cannot be resolved ({error}). "
                "Define or import the name before the tool, outside 'if TYPE_CHECKING:'."
            ) from error
    return {name: portable(hint) for name, hint in hints.items()}


def _closure(function: Any) -> dict[str, Any]:
    """Return the values of the outer variables that a function uses, by name, where they have a value already."""
    code = getattr(function, "__code__", None)
    found: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True) if code else ():
        with contextlib.suppress(ValueError):  # not assigned yet, such as the function itself
            found[name] = cell.cell_contents
    return found


def _unresolved(function: Any, names: dict[str, Any]) -> str:
    """Return in words which parameter has the annotation that cannot be resolved."""
    scope = getattr(function, "__globals__", None) or vars(sys.modules.get(function.__module__, typing))
    for name, annotation in getattr(function, "__annotations__", {}).items():
        try:
            only = types.SimpleNamespace(__annotations__={name: annotation})
            typing.get_type_hints(only, scope, names, include_extras=True)
        except Exception:  # noqa: BLE001
            return "the return value" if name == "return" else f"the parameter {name!r}"
    return "a parameter"


def portable(annotation: Any) -> Any:
    """Return an annotation as pydantic takes it.

    An `Iterable` becomes a list, because pydantic would check it only while the tool reads it. Before Python 3.12 a
    `typing.TypedDict`, which pydantic refuses there, becomes one of `typing_extensions`.
    """
    if sys.version_info < (3, 12) and typing.is_typeddict(annotation) and type(annotation).__module__ == "typing":
        return _portable_dict(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return Annotated[(portable(arguments[0]), *_with_description(annotation.__metadata__))]
    if origin is None or origin is typing.Literal or not arguments:
        return annotation
    if origin is Iterable:
        origin = list
        annotation = list[arguments]  # type: ignore[valid-type]
    converted = tuple(portable(part) if not isinstance(part, list) else part for part in arguments)
    if all(new is old for new, old in zip(converted, arguments, strict=True)):
        return annotation
    if origin in (typing.Union, types.UnionType):
        return typing.Union[converted]  # noqa: UP007
    return origin[converted]


def _with_description(metadata: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the metadata of an `Annotated` with its plain text, or its `Doc` (PEP 727), as a description."""
    texts = [text for item in metadata if isinstance(text := getattr(item, "documentation", item), str)]
    if not texts or any(getattr(item, "description", None) is not None for item in metadata):
        return metadata
    from pydantic import Field

    return (*metadata, Field(description=texts[0]))


def _portable_dict(annotation: Any) -> Any:
    from typing import NotRequired, Required

    from typing_extensions import TypedDict

    hints = typing.get_type_hints(annotation, include_extras=True)
    fields = {
        name: (Required if name in annotation.__required_keys__ else NotRequired)[_bare(portable(hint))]
        for name, hint in hints.items()
    }
    made: Any = TypedDict(annotation.__name__, fields)  # type: ignore[misc]
    made.__doc__ = annotation.__doc__
    return made


def _bare(hint: Any) -> Any:
    """Return the type of a `TypedDict`'s field without the `Required[...]` or `NotRequired[...]` around it."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) in (typing.Required, typing.NotRequired) else hint


def documentation_of(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return the text of a function's docstring, and its descriptions of parameters (Google, NumPy or reST style)."""
    inner = innermost(function)
    described = _described(_class_doc(inner) if isinstance(inner, type) else inspect.getdoc(inner) or "")
    described_by: Any = without_partials(function)
    is_object = not inspect.isroutine(described_by) and not isinstance(described_by, type)  # an object with `__call__`
    if is_object and (own := _class_doc(type(described_by))):
        described = _described(own)[0], {**_described(own)[1], **described[1]}
    return described


def _class_doc(kind: type) -> str:
    """Return what a class says of itself: not a library's text of its base, such as pydantic's, nor a generated one."""
    first = next((cls for cls in kind.__mro__ if vars(cls).get("__doc__")), object)
    text = inspect.cleandoc(first.__doc__ or "")
    generated = text.startswith(f"{first.__name__}(")
    library = first.__module__.partition(".")[0] in ("builtins", "pydantic", "enum", "typing", "collections")
    return "" if generated or (library and first is not kind) else text


def parsed_docstring(text: str) -> Docstring:
    """Return the parts of a docstring, whichever style it is written in."""
    from docstring_parser import parse

    first, _, rest = text.partition("\n")
    if _SECTION.match(first) and rest and not rest.startswith((" ", "\t")):
        # `getdoc` takes a heading in the first line for a summary, and unindents the lines below
        text = f"{first}\n{textwrap.indent(rest, '    ')}"
    return parse("\n" + _ARGUMENTS.sub("Args:", text))  # the parser, too, takes a first line for a summary


def _described(text: str) -> tuple[str, dict[str, str]]:
    if not text.strip():
        return "", {}
    parsed = parsed_docstring(text)
    parts = (parsed.short_description, parsed.long_description)
    described = {item.arg_name.lstrip("*"): item.description for item in parsed.params if item.description}
    return "\n\n".join(part for part in parts if part), described
