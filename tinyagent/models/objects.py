"""Calls that a model has written as JSON objects, or as Python: under whatever keys it was taught."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from tinyagent.core.jsonable import to_data
from tinyagent.core.messages import Call
from tinyagent.core.tool import Tool
from tinyagent.models.calls import CUT_CALL, no_constant, own_name, parse_arguments

#: The tools that a request offers, by name.
Offered = Mapping[str, Tool[..., object]]

NAMES = ("tool", "name", "tool_name", "function", "action", "recipient_name")
ARGUMENTS = ("arguments", "parameters", "args", "input", "tool_input", "action_input")
#: Keys under which models put a call, or a list of calls.
WRAPPERS = ("tool_calls", "tool_call", "function_call", "function", "tool_uses", "calls")
SCRATCHPADS = frozenset({"scratchpad", "thought", "thoughts", "thinking"})
#: Keys that may stand beside a tool's name in a call without arguments.
_BESIDE = SCRATCHPADS.union(NAMES, {"id", "type", "index", "answer"})
#: Keys with which an object that calls something may begin.
FIRST_KEYS = _BESIDE.union(ARGUMENTS, WRAPPERS) - {"answer"}

#: Levels of wrappers and lists that are looked into.
_DEEPEST = 3
#: Characters within which an object that cannot be read must have named its tool.
_HEAD = 2_000
#: Characters of Python that are read; its parser is slow.
LONGEST_PYTHON = 20_000
_JSON = json.JSONDecoder(strict=False, parse_constant=no_constant)
_CONSTANTS = {"true": True, "false": False, "null": None}
_PYTHON_WORDS = {"True": True, "False": False, "None": None}
#: Brackets, and strings to step over; one that never ends goes on to the end of the text.
_BRACKETS = re.compile(r'[\[\](){}]|"(?:\\.|[^"\\])*+(?:"|\Z)|\'(?:\\.|[^\'\\])*+(?:\'|\Z)', re.DOTALL)
#: How a dict, or a list of dicts, begins.
_QUOTED = re.compile(r"[\[{\s]{1,100}+[\"']")
_NAMED = re.compile(rf"""["'](?:{"|".join(NAMES)})["']\s*:\s*["']([^"']{{1,100}})["']""")
UNREADABLE = "This call could not be read ({problem}), so it did not run. Write it again, with valid JSON."


def read_value(text: str, start: int) -> tuple[Any, int]:
    """Read the JSON, or the Python dict or list of dicts, that begins at `start`; return its value and its end.

    Raises:
        ValueError: There is neither, or it is nested too deeply; the text says where.
    """
    try:
        return read_json(text, start)
    except ValueError as error:
        try:
            return read_python(text, start)
        except ValueError:
            raise error from None


def read_json(text: str, start: int) -> tuple[Any, int]:
    """Read the JSON that begins at `start`; return its value and its end.

    Raises:
        ValueError: There is no JSON, or it is nested too deeply.
    """
    try:
        return _JSON.raw_decode(text, start)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_python(text: str, start: int) -> tuple[Any, int]:
    """Read the Python dict, or list of dicts, that begins at `start`; return its value and its end.

    Raises:
        ValueError: There is neither, or it is longer than `LONGEST_PYTHON`.
    """
    end = extent(text, start) if _QUOTED.match(text, start) else None
    if end is None:
        raise ValueError("it has no end")
    return literal(parse_python(text[start:end])), end


def extent(text: str, start: int) -> int | None:
    """Return where the bracket at `start` closes; `None` if it does not, within `LONGEST_PYTHON` characters."""
    depth = 0
    for found in _BRACKETS.finditer(text, start, start + LONGEST_PYTHON):
        if found[0] in "([{":
            depth += 1
        elif found[0] in ")]}":
            depth -= 1
            if depth <= 0:
                return found.end()
    return None


def parse_python(text: str) -> ast.expr:
    """Parse a Python expression.

    Raises:
        ValueError: The text is no expression, or nested too deeply.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # text may hold escapes that Python does not know
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(str(error) or "it is nested too deeply") from None


def literal(node: ast.expr) -> Any:
    """Return the value of a literal expression, in which `true`, `false` and `null` may stand as in JSON.

    Raises:
        ValueError: The expression is no literal.
    """
    try:
        return ast.literal_eval(_Constants().visit(node))
    except (TypeError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from None


class _Constants(ast.NodeTransformer):
    """Replaces JSON's constants, which models mix into Python, by Python's."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_CONSTANTS[node.id]) if node.id in _CONSTANTS else node


def calls_in(value: object, offered: Offered) -> list[Call] | None:
    """Return the calls that a JSON value consists of, if one at least is of a tool on offer; `None` otherwise.

    A list of calls, and an object that wraps calls, consist of them.
    """
    calls = any_calls_in(value, offered)
    return calls if calls and any(call.name in offered for call in calls) else None


def any_calls_in(value: object, offered: Offered) -> list[Call] | None:
    """Return the calls that a JSON value consists of, of whatever tools; `None` if it holds anything else."""
    found = list(_pairs(value, offered, 0))
    pairs = [pair for pair in found if pair is not None]
    return [call_of(name, arguments) for name, arguments in pairs] if len(pairs) == len(found) else None


def _pairs(value: object, offered: Offered, depth: int) -> Iterator[tuple[str, object] | None]:
    """Yield the name and arguments of each call in a value; `None` for a part that is no call."""
    if depth > _DEEPEST or not isinstance(value, dict | list) or not value:
        yield None
    elif isinstance(value, list):
        for part in value:
            yield from _pairs(part, offered, depth + 1)
    else:
        names = [value[key] for key in NAMES if isinstance(value.get(key), str) and value[key]]
        if names:
            yield _pair(next((name for name in names if written_name(name) in offered), names[0]), value)
            return
        inner = next((value[key] for key in WRAPPERS if isinstance(value.get(key), dict | list)), None)
        yield from _pairs(inner, offered, depth + 1)


def _pair(name: str, value: dict[str, Any]) -> tuple[str, object] | None:
    arguments = arguments_in(value)
    is_data = arguments is ... and value.get("name") == name  # data, too, may have a `name` among other keys
    return None if is_data else (written_name(name), arguments)


def arguments_in(value: dict[str, Any]) -> object:
    """Return the arguments in an object that calls something, or `...` if it has other keys in their place."""
    key = next((key for key in ARGUMENTS if key in value), None)
    if key is not None:
        return value[key]
    return {} if value.keys() <= _BESIDE else ...


def call_of(name: str, arguments: object) -> Call:
    """Make a call, with a problem if the arguments are none: text is read as JSON, `...` says that they are missing."""
    if isinstance(arguments, str):
        arguments, raw, problem = parse_arguments(arguments)
        return Call(name, arguments, raw=raw, problem=problem)
    if arguments is ...:
        return Call(name, problem="The arguments are missing: write them as a JSON object under the key 'arguments'.")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        return Call(name, problem=f"'arguments' must be a JSON object, not {type(arguments).__name__}.")
    try:
        return Call(name, {str(key): value for key, value in arguments.items()}, raw=_raw(arguments))
    except (ValueError, RecursionError) as error:
        return unreadable(name, error)


def _raw(arguments: dict[Any, Any]) -> str:
    try:
        return json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):  # Python has values that JSON lacks
        return json.dumps(to_data(arguments), ensure_ascii=False)


def typed(text: str, schema: Mapping[str, Any]) -> Any:
    """Return the value of an argument that was written as bare text, as the schema of its parameter asks for."""
    text = text.removeprefix("\n").removesuffix("\n")
    bare = text.strip()
    if _is_text(schema):
        return None if bare in ("null", "None") and '"null"' in json.dumps(schema) else text
    try:
        value, end = read_value(bare, 0)
    except ValueError:
        return _PYTHON_WORDS.get(bare, text)
    return value if end == len(bare) else text


def _is_text(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    options = schema.get("anyOf") or schema.get("oneOf") or ()
    return kinds == "string" or (isinstance(kinds, list) and "string" in kinds) or any(map(_is_text, options))


def unreadable(name: str, problem: object, *, cut: bool = False) -> Call:
    """Make a call that cannot run, and that tells the model what is wrong with the text it wrote."""
    return Call(name, problem=CUT_CALL if cut else UNREADABLE.format(problem=problem))


def named_in(text: str, start: int, offered: Offered) -> str | None:
    """Return the tool on offer that the unreadable object at `start` names; `None` if it names none."""
    return next(
        (name for found in _NAMED.finditer(text, start, start + _HEAD) if (name := written_name(found[1])) in offered),
        None,
    )


def named_at(text: str, start: int, offered: Offered) -> bool:
    """Return whether the unreadable object at `start` begins with the name of a tool on offer."""
    found = _NAMED.search(text, start + 1, start + _HEAD)
    return found is not None and not text[start + 1 : found.start()].strip() and written_name(found[1]) in offered


def written_name(name: str) -> str:
    """Return the tool's own name in the name that a model writes: `add` for `functions.add:0`."""
    return own_name(name).removeprefix("functions.") or name


def is_scratchpad(value: object) -> bool:
    """Return whether a JSON value is an object that holds thoughts and nothing else."""
    return isinstance(value, dict) and bool(value) and value.keys() <= SCRATCHPADS
