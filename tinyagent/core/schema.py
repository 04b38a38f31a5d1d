"""A function's signature and docstring as JSON Schema, and its arguments checked against it."""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from tinyagent.core.context import Context
from tinyagent.core.dialect import accepted
from tinyagent.core.errors import ToolArgumentsError, ToolDefinitionError
from tinyagent.core.introspection import documentation_of, hints_of, is_context
from tinyagent.core.problems import MAX_PROBLEMS, check

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_MISSING: Any = inspect.Parameter.empty
#: Stands for the values of `**kwargs` while the schemas are made; no parameter can have this name.
_EXTRA = "**"
#: How people call a parameter that is meant to be a `Context`.
_CONTEXT_NAMES = ("context", "ctx")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter that the model fills in. Without an annotation it has no `adapter`, and takes any JSON."""

    name: str
    adapter: TypeAdapter[Any] | None
    default: Any = _MISSING
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    #: Whether the default must be passed: the function's own is a pydantic `Field`, or others may follow by position.
    pass_default: bool = False
    default_factory: Callable[[], Any] | None = None

    @property
    def required(self) -> bool:
        """Whether the model must pass a value for the parameter."""
        return self.default is _MISSING

    def not_given(self, value: Any) -> bool:
        """Return whether a value, such as `null`, asks for the default: there is one, and the type refuses it."""
        refused: list[str] = []
        if not self.required:
            check(self.name, self.adapter, value, refused)
        return bool(refused)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model may pass to a function.

    Attributes:
        parameters: The visible parameters by name.
        schema: JSON Schema of the arguments object (draft 2020-12, as pydantic writes it).
        description: The docstring's text, without its sections.
        context: Name of the hidden `Context` parameter, if there is one.
        context_index: The place of that parameter among the positional-only arguments; `None` when it goes by name.
        open_ended: Whether the function takes `**kwargs`.
        extra: The pydantic adapter of the values in `**kwargs`, where they are annotated.
        hints: The resolved annotations by name; `return` is that of the returned value.
    """

    parameters: Mapping[str, Parameter]
    schema: dict[str, Any]
    description: str
    context: str | None = None
    context_index: int | None = None
    open_ended: bool = False
    extra: TypeAdapter[Any] | None = None
    hints: Mapping[str, Any] = field(default_factory=dict)

    def validate(
        self, tool: str, arguments: Mapping[str, Any], context: Context[Any] | None = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the function's positional and keyword arguments, checked and safely coerced, with `context` filled in.

        Raises:
            ToolArgumentsError: One line for each argument that is missing, unknown or of the wrong type.
        """
        problems: list[str] = []
        values = self._values(arguments, problems)
        for name in arguments:
            if name in self.parameters:
                continue
            if self.open_ended and name != self.context:
                values[name] = check(name, self.extra, arguments[name], problems)
            elif len(problems) < MAX_PROBLEMS:
                problems.append(self._unknown(name))
        if problems:
            raise ToolArgumentsError(tool, problems[:MAX_PROBLEMS])
        only = inspect.Parameter.POSITIONAL_ONLY
        args = [values.pop(name) for name, parameter in self.parameters.items() if parameter.kind is only]
        if self.context_index is not None:
            args.insert(self.context_index, context or Context(tool=tool))
        elif self.context is not None:
            values[self.context] = context or Context(tool=tool)
        return args, values

    def _values(self, arguments: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
        """Return the values of the parameters that the model gives or that must be passed; `problems` gets the rest."""
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name in arguments and not (arguments[name] is None and parameter.not_given(None)):
                values[name] = check(name, parameter.adapter, arguments[name], problems)
            elif parameter.required:
                problems.append(f"{name}: required, but missing")
            elif parameter.pass_default:
                values[name] = parameter.default_factory() if parameter.default_factory else parameter.default
        return values

    def _unknown(self, name: str) -> str:
        known = list(self.parameters)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the arguments are: {', '.join(known) or 'none'}"
        return f"{name}: unknown argument; {hint}"


def describe(function: Callable[..., Any], name: str, local_names: Mapping[str, Any] | None = None) -> Signature:
    """Return the signature of a function as a model sees it.

    Args:
        function: A function, method, partial or callable object. A leading `self` or `cls` is skipped.
        name: The tool's name, for error texts.
        local_names: Where annotations written as strings are looked up besides the function's module.

    Raises:
        ToolDefinitionError: A parameter cannot be described; the text names it.
    """
    hints = hints_of(function, name, local_names)
    parameters: dict[str, Parameter] = {}
    context: str | None = None
    context_index: int | None = None
    open_ended, extra = False, None
    for index, item in enumerate(_visible(function, name)):
        annotation = hints.get(item.name, _MISSING)
        if index == 0 and item.name in ("self", "cls") and annotation is _MISSING:
            continue
        if is_context(annotation):
            if context is not None:
                raise ToolDefinitionError(
                    f"Tool {name!r}: both {context!r} and {item.name!r} are a Context; one is enough."
                )
            context = item.name
            context_index = len(parameters) if item.kind is item.POSITIONAL_ONLY else None
        elif item.name in _CONTEXT_NAMES and annotation is _MISSING and item.kind is not item.VAR_KEYWORD:
            raise ToolDefinitionError(
                f"Tool {name!r}: the parameter {item.name!r} has no annotation, so the model would have to fill it in. "
                f"Write '{item.name}: Context' to have the run do it, or its type, such as '{item.name}: str'."
            )
        elif item.kind is item.VAR_POSITIONAL:
            raise ToolDefinitionError(
                f"Tool {name!r}: the parameter '*{item.name}' cannot be described to a model. "
                f"Take a list instead: '{item.name}: list[...]'."
            )
        elif item.kind is item.VAR_KEYWORD:
            open_ended, extra = True, _adapter(name, item.name, annotation)
        else:
            parameters[item.name] = _parameter(name, item, annotation)
    description, documented = documentation_of(function)
    schema = _schema(parameters, extra, documented)
    schema["additionalProperties"] = schema["properties"].pop(_EXTRA, open_ended)
    return Signature(parameters, schema, description, context, context_index, open_ended, extra, hints)


def _visible(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    bound: set[str] = set()  # arguments that a partial fixes are hidden from the model
    inner = function
    while isinstance(inner, functools.partial):
        bound |= inner.keywords.keys()
        inner = inner.func
    try:
        return [item for item in inspect.signature(function).parameters.values() if item.name not in bound]
    except (TypeError, ValueError) as error:
        raise ToolDefinitionError(
            f"Tool {name!r}: {function!r} has no readable signature ({error}). Wrap it in a function of your own."
        ) from error


def _parameter(tool: str, item: inspect.Parameter, annotation: Any) -> Parameter:
    from pydantic.fields import FieldInfo
    from pydantic_core import PydanticUndefined

    default = item.default
    factory: Any = None
    pass_default = item.kind is item.POSITIONAL_ONLY
    if isinstance(default, FieldInfo):  # `days: int = Field(1, ge=1)`
        annotation = Annotated[Any if annotation is _MISSING else annotation, default]
        factory = default.default_factory
        default = default.default if factory is None else factory()
        default = _MISSING if default is PydanticUndefined else default
        pass_default = True
    adapter = _adapter(tool, item.name, annotation, nullable=default is None)
    return Parameter(item.name, adapter, default, item.kind, pass_default, factory)


def _adapter(tool: str, parameter: str, annotation: Any, *, nullable: bool = False) -> TypeAdapter[Any] | None:
    if annotation is _MISSING or annotation is Any or annotation is object:
        return None
    try:
        if nullable:  # `days: int = None`
            annotation = _nullable(annotation)
        # Only classes are cached: `int | str` and `str | int` are equal, but their schemas differ.
        return _class_adapter(annotation) if type(annotation) is type else _new_adapter(annotation)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ToolDefinitionError(
            f"Tool {tool!r}: the parameter {parameter!r} cannot be described to a model ({annotation!r}: {reason}). "
            "Use JSON-able types, dataclasses, TypedDicts or pydantic models, or annotate it 'Context' to have the "
            "run fill it in."
        ) from error


def _nullable(annotation: Any) -> Any:
    try:
        return typing.Optional[annotation]  # noqa: UP045 - takes what | does not, such as forward references
    except TypeError:  # Annotated with something that has no hash
        return Annotated[(typing.Optional[typing.get_args(annotation)[0]], *annotation.__metadata__)]  # noqa: UP045


def _new_adapter(annotation: Any) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        adapter = TypeAdapter(annotation, config=ConfigDict(coerce_numbers_to_str=True))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":  # models and dataclasses have a config of their own
            raise
        adapter = TypeAdapter(annotation)
    adapter.json_schema()  # so that it fails now, not at the first call
    return adapter


_class_adapter = functools.lru_cache(maxsize=1024)(_new_adapter)


def _schema(
    parameters: Mapping[str, Parameter], extra: TypeAdapter[Any] | None, documented: Mapping[str, str]
) -> dict[str, Any]:
    from pydantic import TypeAdapter
    from pydantic_core import to_jsonable_python

    properties: dict[str, Any] = {name: {} for name in parameters}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    adapters = {name: parameter.adapter for name, parameter in parameters.items()} | {_EXTRA: extra}
    if described := [(name, adapter) for name, adapter in adapters.items() if adapter is not None]:
        found, shared = TypeAdapter.json_schemas([(name, "validation", adapter) for name, adapter in described])
        properties.update({name: dict(part) for (name, _), part in found.items()})
        if "$defs" in shared:
            schema["$defs"] = shared["$defs"]
    for name, part in properties.items():
        match part:
            case {"anyOf": [{"description": str() as own} as first, {"type": "null"}]} if "description" not in part:
                del first["description"]  # `Annotated[int, "..."] = None`: the text is the parameter's
                part["description"] = own
        if name in documented:
            part.setdefault("description", documented[name])
        if name != _EXTRA and not parameters[name].required:
            with contextlib.suppress(Exception):  # a default with no JSON form is the function's own matter
                default = to_jsonable_python(parameters[name].default)
                json.dumps(default, allow_nan=False)
                part.setdefault("default", default)
    if required := [name for name, parameter in parameters.items() if parameter.required]:
        schema["required"] = required
    return accepted(schema)
