"""JSON Schema in the words that every provider accepts.

OpenAI, Gemini, Anthropic, Groq and the grammars of llama.cpp each refuse keywords that another takes, and with them the
whole request. Arguments are checked here anyway, so what one of them refuses is told to the model in a description.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Beyond so many parts of a schema, or references within references, a reference stays a reference.
MAX_PARTS, MAX_DEPTH = 1_000, 30
#: The beginning of pydantic's pattern for `Decimal`, which is not told: it refuses exponents, which a decimal may have.
_DECIMAL = "^(?!^[-+.]*$)"
#: Keywords that describe a schema: they stay beside a union, and are not repeated in its parts.
_ABOUT = ("description", "default", "examples", "title")
_Schema = dict[str, Any]


def accepted(schema: Mapping[str, Any]) -> _Schema:
    """Return a JSON Schema in the words that every provider accepts; the given schema is not changed.

    References are replaced by what they stand for, unless a definition refers to itself or the schema would become
    huge; titles are left out. What cannot be said otherwise moves into a description, so the result may allow more.
    """
    return _Dialect(schema).whole()


class _Dialect:
    """The translation of one schema.

    Args:
        root: The whole schema, in which references are looked up.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MAX_PARTS
        self._depth = 0
        self._kept: dict[str, None] = {}  # the references that stay, in order
        refs = set(refs_in(root))
        self._recursive = refs if len(refs) > MAX_PARTS else {ref for ref in refs if ref in self._reached(ref)}

    def whole(self) -> _Schema:
        """Return the translated schema, with the definitions that it still refers to."""
        made: _Schema = self._part({key: part for key, part in self._root.items() if key not in _DEFINITIONS})
        for ref in _while_growing(self._kept):
            kind, _, name = ref.removeprefix("#/").partition("/")
            if kind in _DEFINITIONS and (target := self._target(ref)) is not None:
                made.setdefault(kind, {})[_unescaped(name)] = self._part(target)
        return made

    def _part(self, schema: Any) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        self._left -= 1
        if isinstance(ref := schema.get("$ref"), str):
            return self._referred(ref, {key: part for key, part in schema.items() if key != "$ref"})
        made = _one_type({key: part for key, part in schema.items() if key != "$schema"})
        order = _order_of(made)
        if isinstance(made.get("title"), str):  # pydantic makes it of the name: it costs tokens and says nothing
            del made["title"]
        for key in ("properties", "patternProperties", *_DEFINITIONS):
            if isinstance(parts := made.get(key), Mapping):
                made[key] = {name: self._part(part) for name, part in parts.items()}
        for key in ("items", "additionalProperties", "not", "propertyNames"):
            made.update({key: self._part(made[key])} if key in made else {})
        for key in ("anyOf", "allOf", "oneOf", "prefixItems", "items"):
            if isinstance(parts := made.get(key), list):
                made[key] = [self._part(part) for part in parts]
        return _plain(made, order)

    def _referred(self, ref: str, beside: _Schema) -> _Schema:
        """Return what a reference stands for, with the keywords beside it; or the reference, where it has to stay."""
        target = self._target(ref)
        if target is not None and self._left > 0 and self._depth < MAX_DEPTH and ref not in self._recursive:
            self._depth += 1
            made: _Schema = self._part({**target, **beside})
            self._depth -= 1
            return made
        self._kept[ref] = None
        return {"$ref": ref, **{key: part for key, part in beside.items() if key != "title"}}

    def _target(self, ref: str) -> Mapping[str, Any] | None:
        return target_of(self._root, ref)

    def _reached(self, ref: str) -> set[str]:
        """Return every reference that is found by following this one."""
        reached: dict[str, None] = dict.fromkeys(refs_in(self._target(ref)))
        for other in _while_growing(reached):
            reached.update(dict.fromkeys(refs_in(self._target(other))))
        return set(reached)


_DEFINITIONS = ("$defs", "definitions")


def target_of(root: Mapping[str, Any], ref: str) -> Mapping[str, Any] | None:
    """Return the schema that a reference such as `#/$defs/City` stands for in `root`; `None` where there is none."""
    found: Any = root if ref.startswith("#") else None
    for step in filter(None, ref.removeprefix("#").split("/")):
        found = found.get(_unescaped(step)) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def refs_in(schema: Any) -> Iterator[str]:
    """Yield every `$ref` in a schema, at any depth."""
    if isinstance(schema, Mapping):
        if isinstance(ref := schema.get("$ref"), str):
            yield ref
        schema = schema.values()
    elif not isinstance(schema, list):
        return
    for part in schema:
        yield from refs_in(part)


def _while_growing(keys: dict[str, None]) -> Iterator[str]:
    """Yield each key of a dict once, also keys that are added meanwhile."""
    done: set[str] = set()
    while new := [key for key in keys if key not in done]:
        done.update(new)
        yield from new


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _one_type(schema: _Schema) -> _Schema:
    """Return the schema with its list of types, such as `["string", "null"]`, as a union."""
    kinds = schema.get("type")
    if not isinstance(kinds, list) or "anyOf" in schema:
        return schema
    about = {key: part for key, part in schema.items() if key in _ABOUT}
    rest = {key: part for key, part in schema.items() if key not in _ABOUT}
    parts = [{"type": kind} if kind == "null" else {**rest, "type": kind} for kind in kinds]
    return {**about, **parts[0]} if len(parts) == 1 else {**about, "anyOf": parts}


def _prefix_of(schema: Mapping[str, Any]) -> list[Any]:
    """Return the schemas of an array's first items: `prefixItems`, or the list that draft 7 has in `items`."""
    prefix = schema.get("prefixItems", schema.get("items"))
    return prefix if isinstance(prefix, list) else []


def _order_of(schema: Mapping[str, Any]) -> str:
    """Return in words what an array holds at each place; empty where all places hold the same."""
    parts = [part for part in _prefix_of(schema) if isinstance(part, Mapping)]
    said = [str(part.get("title") or part.get("type") or part.get("$ref", "any")).split("/")[-1] for part in parts]
    return f"in this order: {', '.join(said)}" if len(set(said)) > 1 else ""


def _plain(schema: _Schema, order: str) -> _Schema:
    """Move what a provider refuses of a schema, whose parts are done already, into its description; return it."""
    told = [*_unions(schema), *_values(schema), *_bounds(schema), *_text(schema), *_array(schema), *_object(schema)]
    told += [order] if order else []
    if isinstance(examples := schema.pop("examples", None), list) and examples:
        told.append(f"such as {', '.join(map(_json, examples[:3]))}")
    if told:
        text, said = "; ".join(told), schema.get("description")
        schema["description"] = f"{said} ({text})" if said else text[:1].upper() + text[1:]
    return schema


def _unions(schema: _Schema) -> Iterable[str]:
    if "oneOf" in schema and "anyOf" not in schema:
        schema["anyOf"] = schema.pop("oneOf")
    schema.pop("discriminator", None)
    if isinstance(parts := schema.get("allOf"), list) and len(parts) == 1 and isinstance(parts[0], dict):
        del schema["allOf"]
        schema.update({**parts[0], **schema})
    return ()


def _values(schema: _Schema) -> Iterable[str]:
    """Write listed values as types, and yield them in words: Gemini takes no `const`, and an `enum` of strings only."""
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    values = schema.get("enum")
    if not isinstance(values, list) or "anyOf" in schema or any(isinstance(value, list | dict) for value in values):
        return
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    parts: list[_Schema] = [{"type": "string", "enum": texts}] if texts else []
    if numbers:
        whole = all(isinstance(number, int) for number in numbers)
        kind = "integer" if whole else "number"
        parts.append({"type": kind, "minimum": min(numbers), "maximum": max(numbers)})
    parts += [{"type": "boolean"}] if any(isinstance(value, bool) for value in values) else []
    parts += [{"type": "null"}] if None in values else []
    if len(texts) < len(values):
        del schema["enum"]
        schema.pop("type", None)
    if len(texts) + (None in values) < len(values):
        yield f"one of {', '.join(map(_json, values))}"
    schema.update(parts[0] if len(parts) == 1 else {"anyOf": parts})


def _bounds(schema: _Schema) -> Iterable[str]:
    """Write exclusive bounds as plain ones; yield the rest, and multiples, in words: Gemini takes neither."""
    for exclusive, bound, step, word in (
        ("exclusiveMinimum", "minimum", 1, "above"),
        ("exclusiveMaximum", "maximum", -1, "below"),
    ):
        limit = schema.pop(exclusive, None)
        if limit is True:  # in draft 4 the limit is in the plain bound
            limit = schema.pop(bound, None)
        if not isinstance(limit, int | float) or isinstance(limit, bool):
            continue
        if schema.get("type") == "integer" and limit == int(limit):
            closest = max if step > 0 else min
            schema[bound] = closest(int(limit) + step, schema.get(bound, int(limit) + step))
        else:
            yield f"{word} {_json(limit)}"
    if "multipleOf" in schema:
        yield f"a multiple of {_json(schema.pop('multipleOf'))}"


def _text(schema: _Schema) -> Iterable[str]:
    """Yield in words the formats and patterns that a provider refuses.

    Gemini takes one format; OpenAI and Gemini take no lookaround, llama.cpp only patterns of the whole text.
    """
    if schema.get("type", "string") == "string" and schema.get("format", "date-time") != "date-time":
        yield f"format: {schema.pop('format')}"
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and ("(?" in pattern or not (pattern.startswith("^") and pattern.endswith("$"))):
        del schema["pattern"]
        if not pattern.startswith(_DECIMAL):
            yield f"matches {pattern}"


def _array(schema: _Schema) -> Iterable[str]:
    """Give an array one schema in `items`, which OpenAI and Gemini want; yield in words that its items are unique."""
    if prefix := _prefix_of(schema):
        schema.pop("prefixItems", None)
        parts: list[Any] = []
        for part in (*prefix, schema.get("items")):
            part = {key: value for key, value in part.items() if key != "default"} if isinstance(part, dict) else None
            if part is not None and part not in parts:
                parts.append(part)
        schema["items"] = parts[0] if len(parts) == 1 else {"anyOf": parts}
        schema.pop("additionalItems", None)
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        schema["items"] = {}
    if schema.pop("uniqueItems", False):
        yield "each only once"


def _object(schema: _Schema) -> Iterable[str]:
    names = schema.pop("propertyNames", None)
    if isinstance(names, dict) and "enum" in names:
        yield f"its keys are among {', '.join(map(_json, names['enum']))}"
    elif isinstance(names, dict) and "pattern" in names:
        yield f"its keys match {names['pattern']}"
    patterns = schema.pop("patternProperties", None)
    if isinstance(patterns, dict) and patterns:
        parts = list(patterns.values())
        if not isinstance(schema.get("additionalProperties"), dict):
            schema["additionalProperties"] = parts[0] if len(parts) == 1 else {"anyOf": parts}
        yield f"its keys match {' or '.join(patterns)}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
