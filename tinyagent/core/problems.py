"""One argument checked against its type: what a model meant is taken, what does not fit is told in words."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, NamedTuple

from tinyagent.core.dialect import accepted, target_of
from tinyagent.core.jsonable import words
from tinyagent.core.text import excerpt

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

#: Problems told to the model for one call; more would only crowd the conversation.
MAX_PROBLEMS = 20
#: Problems of one argument beyond which they are only counted.
MAX_ERRORS = 1_000
#: How deep text within text is read as JSON.
MAX_ENCODED = 8
#: The types of pydantic's errors where a plain value was wanted, and so neither an object nor a list.
_SCALARS = re.compile(r"(int|float|bool|string|bytes|date|datetime|time|decimal|uuid|url|enum|literal|none|path)(_|\Z)")
_SHOULD = "Input should be "
_WHY = re.compile(r", (unable|got) ")

_Path = tuple[Any, ...]


class _Problem(NamedTuple):
    """One error of pydantic: its place in the argument, and in a union the place and the type that it speaks of."""

    path: _Path
    of: tuple[_Path, str] | None
    error: Mapping[str, Any]


def check(name: str, adapter: TypeAdapter[Any] | None, value: Any, problems: list[str]) -> Any:
    """Return an argument converted to its type; add one line to `problems` for each place that does not fit.

    Where the type refuses them, objects and lists that the model encoded as text are read, at any depth, and a `null`
    for a field that may be left out is left out.

    Args:
        name: The argument's name.
        adapter: The pydantic adapter of its type; `None` takes any value as it is.
        value: What the model passed.
        problems: Where the lines are added, in words for the model.
    """
    if adapter is None:
        return value
    from pydantic import ValidationError

    for _ in range(MAX_ENCODED + 1):
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a validator of the user's own type
            problems.append(f"{name}: {type(error).__name__}: {error}")
            return None
        if failure.error_count() > MAX_ERRORS:  # to write them all would take longer than the call
            problems.append(f"{name}: {failure.error_count():,} values in it do not fit; got a {type(value).__name__}")
            return None
        found = _found(value, failure)
        decoded = _changed(value, {item.path for item in found if not _SCALARS.match(item.error["type"])}, _decode)
        if decoded is None:
            break
        value = decoded
    with contextlib.suppress(Exception):  # what is still wrong then is told as it was found
        if (without := _without_nulls(adapter, value, found)) is not None:
            return adapter.validate_python(without)
    problems.extend(_lines(name, found))
    return None


def _found(value: Any, failure: ValidationError) -> list[_Problem]:
    """Return pydantic's errors with their places in the value, without the names of types that stand between."""
    found = []
    for error in failure.errors(include_url=False):
        here: Any = value
        path: list[Any] = []
        label: tuple[_Path, str] | None = None
        for number, part in enumerate(error["loc"], 1):
            absent = number == len(error["loc"]) and error["type"].startswith("missing")
            if isinstance(part, int) or absent or (isinstance(here, Mapping) and part in here):
                path.append(part)
                here = _at(here, part)
            elif label is None and part != "[key]":
                label = (tuple(path), part)
        found.append(_Problem(tuple(path), label, error))
    return found


def _at(holder: Any, key: Any) -> Any:
    try:
        return holder[key]
    except Exception:  # noqa: BLE001 - it is not there, or its own `__getitem__` fails
        return None


# ---- what a model meant


def _decode(holder: Any, key: Any) -> bool:
    """Replace text by the object or list that it encodes as JSON; return whether that was done."""
    text = holder[key]
    if not (isinstance(text, str) and text.lstrip()[:1] in ("[", "{")):
        return False
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return False
    holder[key] = read
    return True


def _changed(value: Any, paths: set[_Path], change: Callable[[Any, Any], bool]) -> Any:
    """Return a copy of the value in which `change` was applied to some places; `None` if it changed nothing."""
    root = [value]
    copies: set[int] = set()
    done = False
    for path in paths:
        holder: Any = root
        key: Any = 0
        for step in path:
            inner = _at(holder, key)
            if id(inner) not in copies:
                if not isinstance(inner, Mapping | list | tuple):
                    break
                holder[key] = inner = dict(inner) if isinstance(inner, Mapping) else list(inner)
                copies.add(id(inner))
            holder, key = inner, step
        else:
            with contextlib.suppress(LookupError):  # what is missing cannot be changed
                done = change(holder, key) or done
    return root[0] if done else None


def _without_nulls(adapter: TypeAdapter[Any], value: Any, found: list[_Problem]) -> Any:
    nulls = {item.path for item in found if item.path and item.error["input"] is None}
    if not nulls:
        return None
    schema = accepted(adapter.json_schema())
    return _changed(value, {path for path in nulls if _may_be_absent(schema, path)}, _leave_out)


def _leave_out(holder: Any, key: Any) -> bool:
    if not (isinstance(holder, dict) and holder[key] is None):
        return False
    del holder[key]
    return True


def _may_be_absent(schema: Mapping[str, Any], path: _Path) -> bool:
    """Return whether the place is a field that need not be given."""
    parts = list(_branches(schema, schema))
    for step in path[:-1]:
        inner = [
            part.get("items")
            if isinstance(step, int)
            else part.get("properties", {}).get(step) or part.get("additionalProperties")
            for part in parts
        ]
        parts = [branch for part in inner for branch in _branches(part, schema)]
    last = path[-1]
    return any(last in part.get("properties", {}) and last not in part.get("required", ()) for part in parts)


def _branches(part: Any, root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a schema, and the schemas of which it is a choice."""
    if not isinstance(part, Mapping):
        return
    if isinstance(ref := part.get("$ref"), str):
        part = target_of(root, ref) or {}
    yield part
    for other in part.get("anyOf", ()):
        yield from _branches(other, root)


# ---- what does not fit, in words


def _lines(name: str, found: Sequence[_Problem]) -> list[str]:
    """Return one line for each place; for a union, of the type that was meant, as far as that can be told."""
    unions: dict[_Path, dict[str, list[_Problem]]] = {}
    for item in found:
        if item.of is not None:
            site, label = item.of
            unions.setdefault(site, {}).setdefault(label, []).append(item)
    meant = {  # the types that took the value there, and refused a part of it
        site: {label: items for label, items in types.items() if any(item.path != site for item in items)}
        for site, types in unions.items()
    }
    places: dict[_Path, list[_Problem]] = {}
    lines: dict[_Path, str] = {}
    for item in found:
        site, label = item.of or ((), "")
        types = meant[site] if item.of is not None else {}
        if len(types) > 1:
            lines[site] = f"{_dotted(name, site)}: fits none of {_alternatives(site, types)}"
        elif label in types or not types:
            places.setdefault(item.path, []).append(item)
            lines[item.path] = f"{_dotted(name, item.path)}: {_said(places[item.path])}"
    return list(lines.values())[:MAX_PROBLEMS]


def _alternatives(site: _Path, types: Mapping[str, list[_Problem]]) -> str:
    told = []
    for label, items in types.items():
        parts = [f"{_dotted('', item.path[len(site) :])}: {item.error['msg']}" for item in items[:3]]
        told.append(f"{label} ({'; '.join(parts)})")
    return ", ".join(told)


def _said(items: Sequence[_Problem]) -> str:
    """Return in words what is wrong with one place, from the errors of all the types that it could have been."""
    messages = list(dict.fromkeys(item.error["msg"] for item in items))
    if len(messages) > 1 and all(message.startswith(_SHOULD) for message in messages):
        kinds = list(dict.fromkeys(_WHY.split(message.removeprefix(_SHOULD))[0] for message in messages))
        if "a valid number" in kinds and "a valid integer" in kinds:
            kinds.remove("a valid integer")
        messages = [_SHOULD + " or ".join(kinds)]
    value = items[0].error["input"]
    return f"{'; '.join(messages)}; got {shown(value)} ({type(value).__name__})"


def _dotted(name: str, path: _Path) -> str:
    return ".".join(map(str, (name, *path) if name else path))


def shown(value: Any) -> str:
    """Return a value in words of some 80 characters."""
    wide = isinstance(value, Sized) and not isinstance(value, str) and len(value) > MAX_PROBLEMS
    text = f"{len(value)} items" if wide else repr(value) if isinstance(value, str) else words(value)
    return excerpt(text, 77)
