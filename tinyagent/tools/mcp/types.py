"""Python types for a JSON Schema: they check arguments, and code agents read them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NotRequired, Required, Union

#: Levels of nesting beyond which a value may be anything.
DEEPEST = 8
_PLAIN: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": int | float,  # the order keeps 3 from becoming 3.0
    "boolean": bool,
    "null": None,
}


class Types:
    """The types of the values that one schema describes.

    What Python's types cannot say becomes `Any`: the server checks its arguments itself. Only references within
    the schema are followed.

    Args:
        root: The whole schema, in which references are looked up.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._referred: dict[str, Any] = {}

    def of(self, schema: Any, name: str, depth: int = 0) -> Any:
        """Return the type that `schema`, a part of the whole, describes; a class made of it is named after `name`."""
        if not isinstance(schema, Mapping) or depth > DEEPEST:
            return Any
        if isinstance(reference := schema.get("$ref"), str):
            return self._at(reference, depth)
        if "const" in schema or "enum" in schema:
            return _choice([schema["const"]] if "const" in schema else schema["enum"])
        if (parts := _alternatives(schema)) is not None:
            return _union(self.of(part, name, depth + 1) for part in parts)
        return self._plain(schema, name, depth)

    def _plain(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, name, depth)
        if kind == "array":
            items: Any = self.of(schema.get("items"), name, depth + 1)
            return list if items is Any else list[items]
        return _PLAIN.get(kind, Any) if isinstance(kind, str) else Any

    def _at(self, reference: str, depth: int) -> Any:
        """Return the type of the part that a reference names; `Any` where the part refers to itself."""
        if reference not in self._referred:
            self._referred[reference] = Any
            part, name = self._root, ""
            for step in reference.removeprefix("#").split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                part = part.get(name, {}) if isinstance(part, Mapping) else {}
            if name:
                self._referred[reference] = self.of(part, name, depth + 1)
        return self._referred[reference]

    def _object(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping) or not properties:
            values: Any = self.of(schema.get("additionalProperties"), name, depth + 1)
            return dict[str, Any] if values is Any else dict[str, values]
        required = required_of(schema)
        fields = (
            (key, (Required if key in required else NotRequired)[self.of(part, key, depth + 1)])
            for key, part in properties.items()
        )
        return _class(class_name(schema, name), tuple(fields))


@functools.lru_cache(maxsize=1024)  # so that code agents read of a class once, however many tools speak of it
def _class(name: str, fields: tuple[tuple[str, Any], ...]) -> Any:
    from pydantic import ConfigDict
    from typing_extensions import TypedDict  # before Python 3.12 pydantic refuses that of `typing`

    made: Any = TypedDict(name, dict(fields))  # type: ignore[misc]
    # What the schema does not list may be there all the same.
    setattr(made, "__pydantic_config__", ConfigDict(extra="allow", coerce_numbers_to_str=True))  # noqa: B010
    return made


def required_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the names of the properties that a schema requires."""
    required = schema.get("required")
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def class_name(schema: Mapping[str, Any], name: str) -> str:
    """Return the name of a class made of a schema, after its title, or else `name`: `MaxSize` for "max size"."""
    title = schema.get("title")
    words = re.findall("[A-Za-z0-9]+", title if isinstance(title, str) else name)
    made = "".join(word[0].upper() + word[1:] for word in words)
    return made if made.isidentifier() else f"Object{made}"


def _alternatives(schema: Mapping[str, Any]) -> list[Any] | None:
    """Return the schemas of which one must fit, or the only one in an `allOf`; `None` for a schema without them."""
    for key in ("anyOf", "oneOf", "allOf"):
        parts = schema.get(key)
        if isinstance(parts, list) and parts and (key != "allOf" or len(parts) == 1):
            return parts
    kinds = schema.get("type")
    return [{**schema, "type": kind} for kind in kinds] if isinstance(kinds, list) and kinds else None


def _choice(values: Any) -> Any:
    if not isinstance(values, list) or not values or not all(isinstance(one, str | int | None) for one in values):
        return Any
    return Literal[tuple(values)]


def _union(parts: Iterable[Any]) -> Any:
    found = list(parts)
    return Any if Any in found else Union[tuple(found)]  # noqa: UP007 - of a number known only here
