"""What an MCP server says of a tool, as the signature that agents and models read."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union, get_args

from tinyagent.core.dialect import accepted
from tinyagent.core.schema import Parameter, Signature
from tinyagent.tools.mcp.names import valid_names
from tinyagent.tools.mcp.types import Types, class_name, required_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: Keywords of a schema that bring arguments which its `properties` do not list.
_OPENING = ("$ref", "allOf", "anyOf", "oneOf", "patternProperties")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of an MCP tool.

    Attributes:
        signature: The parameters, as they are checked and as code agents read them. Its `schema` says what the server's
            does, with names of arguments that Python code cannot use replaced.
        names: The server's name of each argument whose name was replaced.
        not_null: Arguments that are left out where they are `None`: the server does not take a null for them.
    """

    signature: Signature
    names: Mapping[str, str]
    not_null: frozenset[str]

    def for_server(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return checked values as the server expects them."""
        return {
            self.names.get(name, name): value
            for name, value in values.items()
            if value is not None or name not in self.not_null
        }


def arguments_of(
    tool: str, schema: Mapping[str, Any], description: str = "", returned: Mapping[str, Any] | None = None
) -> Arguments:
    """Return the arguments that a schema describes.

    Args:
        tool: The tool's name, after which the class of its result is named.
        schema: JSON Schema of the arguments: the `inputSchema` of the tool.
        description: What the tool does.
        returned: JSON Schema of what the tool gives, where the server tells it: the `outputSchema`.
    """
    found = schema.get("properties")
    properties: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    required = required_of(schema)
    names = valid_names([*properties, *required], "argument")
    types = Types(schema)
    hints: dict[str, Any] = {}
    parameters: dict[str, Parameter] = {}
    not_null = set()
    for old in sorted(names, key=lambda name: name not in required):  # Python wants those with defaults last
        part, name = properties.get(old, {}), names[old]
        hint = types.of(part, old)
        if old in required:
            parameters[name] = Parameter(name, _adapter(hint))
        else:
            default = part.get("default") if isinstance(part, Mapping) else None
            nullable = _nullable(hint)
            if nullable is not hint:
                not_null.add(name)
            parameters[name] = Parameter(name, _adapter(nullable), default)
            hint = nullable if default is None else hint
        if hint is not Any:
            hints[name] = hint
    if returned is not None and (hint := Types(returned).of(unwrapped(returned), f"{tool} result")) is not Any:
        hints["return"] = hint
    signature = Signature(parameters, _renamed(schema, names), description, "", 0, _open_ended(schema), hints=hints)
    return Arguments(signature, {new: old for old, new in names.items() if new != old}, frozenset(not_null))


def unwrapped(schema: Mapping[str, Any]) -> Any:
    """Return the schema of the value that a server wraps as `{"result": value}`; any other schema as it is.

    Results must be objects up to revision 2025-11-25, so SDKs wrap other values, and say so in different ways: the
    Python SDK names the schema `{function}Output`, and FastMCP marks it `x-fastmcp-wrap-result`.
    """
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or list(properties) != ["result"]:
        return schema
    wrapped = schema.get("x-fastmcp-wrap-result") or class_name(schema, "").endswith("Output")
    return properties["result"] if wrapped else schema


def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    """Return the check of a type's values; `None` where anything is accepted, or pydantic cannot check the type."""
    from pydantic import ConfigDict, TypeAdapter
    from typing_extensions import is_typeddict

    if hint is Any:
        return None
    config = None if is_typeddict(hint) else ConfigDict(coerce_numbers_to_str=True)
    try:
        return TypeAdapter(hint, config=config)
    except Exception:  # noqa: BLE001 - the server may write what it likes, and checks its arguments itself
        return None


def _nullable(hint: Any) -> Any:
    takes_null = hint is Any or hint is None or not {None, type(None)}.isdisjoint(get_args(hint))
    return hint if takes_null else Union[hint, None]  # noqa: UP007 - Union takes what | does not


def _open_ended(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("additionalProperties")) or any(key in schema for key in _OPENING)


def _renamed(schema: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the schema as every provider takes it, with the arguments' names replaced."""
    with contextlib.suppress(Exception):  # a server may write what it likes
        schema = accepted(schema)
    renamed = {"type": "object", "properties": {}, **schema}
    renamed.pop("$schema", None)
    if isinstance(properties := schema.get("properties"), Mapping):
        renamed["properties"] = {names[name]: part for name, part in properties.items()}
    if required := required_of(schema):
        renamed["required"] = [names[name] for name in required]
    return renamed
