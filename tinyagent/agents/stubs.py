"""Tools as the model of a code agent reads them: typed Python signatures with their documentation."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import textwrap
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from tinyagent.core.introspection import innermost, parsed_docstring
from tinyagent.core.tool import Tool

#: Characters of a default value that a signature shows.
_LONGEST_DEFAULT = 60
#: What JSON Schema says of a value beyond its type, and how a model is told.
_CONSTRAINTS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
    "format": "format {}",
}


def stubs(tools: Iterable[Tool[..., Any]], fields: str) -> str:
    """Return the tools as Python signatures, after the classes that these name.

    Args:
        tools: The tools.
        fields: How code reads a field of one of the classes.
    """
    classes: dict[type, str] = {}
    functions = [stub(tool, classes) for tool in tools]
    if not classes:
        return "\n\n".join(functions)
    described = "\n\n".join(classes.values())
    return f"# Read a field as {fields}; pass dicts.\n{described}\n\n" + "\n\n".join(functions)


def stub(tool: Tool[..., Any], classes: dict[type, str] | None = None) -> str:
    """Return a tool as a Python signature with a docstring.

    Args:
        tool: The tool.
        classes: The descriptions of classes so far, to which those that the signature names are added.
    """
    classes = {} if classes is None else classes
    hints = tool.signature.hints
    parameters = [_parameter(tool, name, classes) for name in tool.signature.parameters]
    if tool.signature.open_ended:
        parameters.append("**options")
    returns = f" -> {type_text(hints['return'], classes)}" if "return" in hints else ""
    kind = "async def" if tool.is_async else "def"
    head = f"{kind} {tool.name}({', '.join(parameters)}){returns}:"
    return f"{head}\n{textwrap.indent(_documentation(tool), '    ')}"


def _parameter(tool: Tool[..., Any], name: str, classes: dict[type, str]) -> str:
    parameter = tool.signature.parameters[name]
    hint = tool.signature.hints.get(name)
    text = name if hint is None else f"{name}: {type_text(hint, classes)}"
    if parameter.required:
        return text
    default = _default(parameter.default)
    return f"{text}={default}" if hint is None else f"{text} = {default}"


def _default(value: object) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    text = repr(value)
    return text if len(text) <= _LONGEST_DEFAULT and not text.startswith("<") else "..."


def _documentation(tool: Tool[..., Any]) -> str:
    """Return the docstring of a tool: what it does, its arguments with their limits, what it returns."""
    lines = [tool.description.strip() or "(no description)"]
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    arguments = [(name, _about(properties.get(name, {}))) for name in tool.signature.parameters]
    if any(about for _, about in arguments):
        lines += ["", "Args:"] + [f"    {name}: {about}" for name, about in arguments if about]
    if returned := _returned(tool):
        lines += ["", "Returns:", f"    {returned}"]
    text = "\n".join(lines).replace('"""', "'''")
    opening = 'r"""' if "\\" in text else '"""'
    closing = '\n"""' if "\n" in text or text[-1] in '"\\' else '"""'
    return opening + text + closing


def _about(schema: Mapping[str, Any]) -> str:
    described = " ".join(str(schema.get("description", "")).split())
    limits = [text.format(schema[key]) for key, text in _CONSTRAINTS.items() if key in schema]
    return " ".join(part for part in (described, f"({', '.join(limits)})" if limits else "") if part)


def _returned(tool: Tool[..., Any]) -> str:
    returns = parsed_docstring(inspect.getdoc(innermost(tool.function)) or "").returns
    return " ".join((returns.description or "").split()) if returns is not None else ""


def type_text(hint: Any, classes: dict[type, str]) -> str:
    """Return an annotation as text, and describe the classes with fields that it names in `classes`."""
    if hint is None or hint is type(None):
        return "None"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return type_text(arguments[0], classes)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_text(part, classes) for part in arguments)
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is not None:
        name = getattr(origin, "__name__", str(origin))
        parts = ["..." if part is Ellipsis else type_text(part, classes) for part in arguments]
        return f"{name}[{', '.join(parts)}]" if parts else name
    if isinstance(hint, type):
        _describe(hint, classes)
        return hint.__name__
    if isinstance(hint, list):
        return f"[{', '.join(type_text(part, classes) for part in hint)}]"
    return getattr(hint, "__name__", None) or str(hint).removeprefix("typing.")


def _describe(cls: type, classes: dict[type, str]) -> None:
    if cls in classes:
        return
    if issubclass(cls, enum.Enum):
        classes[cls] = f"{cls.__name__} = Literal[{', '.join(repr(member.value) for member in cls)}]"
        return
    fields = _fields(cls)
    if fields is None:
        return
    classes[cls] = ""  # so that a class which names itself is described once
    lines = [f"    {name}: {type_text(hint, classes)}" for name, hint in fields.items()]
    del classes[cls]  # comes after the classes that it names
    classes[cls] = "\n".join([f"class {cls.__name__}:", *(lines or ["    pass"])])


def _fields(cls: type) -> dict[str, Any] | None:
    """Return the fields of a dataclass, TypedDict, named tuple or pydantic model, with their types; else `None`."""
    from typing_extensions import is_typeddict  # it knows those of `typing` too

    names: Iterable[str]
    if dataclasses.is_dataclass(cls):
        names = [field.name for field in dataclasses.fields(cls)]
    elif is_typeddict(cls):
        names = cls.__annotations__
    elif issubclass(cls, tuple) and hasattr(cls, "_fields"):
        names = cls._fields
    elif isinstance(getattr(cls, "model_fields", None), dict):
        names = cls.model_fields  # type: ignore[attr-defined]
    else:
        return None
    try:
        hints = typing.get_type_hints(cls)
    except Exception:  # noqa: BLE001 - a name that only the class's module knows
        hints = {}
    return {name: hints.get(name, Any) for name in names}
