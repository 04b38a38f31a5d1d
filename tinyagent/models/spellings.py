"""The spellings of a call behind a model's own marks: as JSON, as XML, as Python, in a channel.

Each spelling is that of the chat template which the model ships:
Hermes, Qwen, Granite, Llama, Mistral's first and many others: a JSON object or list.
Qwen-Coder, Seed: `<function=name><parameter=x>..</parameter></function>`; Llama 3.1: `<function=name>{..}</function>`.
DeepSeek 3.2 (DSML), MiniMax: `<invoke name="name"><parameter name="x">..</parameter></invoke>`.
GLM: `name<arg_key>x</arg_key><arg_value>..</arg_value>`.
Mistral: `name[CALL_ID]id[ARGS]{..}`. DeepSeek: `name<sep>{..}`, or in a fence.
Kimi: `functions.name:0<|tool_call_argument_begin|>{..}`.
Llama, LFM2: `name(x=1)` or `[name(x=1), other()]`.
gpt-oss: `<|channel|>commentary to=functions.name ..<|message|>{..}`.
"""

from __future__ import annotations

import ast
import re
from typing import Any, NamedTuple

from tinyagent.core.messages import Call
from tinyagent.models.objects import (
    Offered,
    any_calls_in,
    call_of,
    extent,
    literal,
    named_in,
    parse_python,
    read_value,
    typed,
    unreadable,
    written_name,
)

_DSML = r"(?:[|\uff5c]+DSML[|\uff5c]+\s?|\w{1,20}:)?"
_FUNCTION = re.compile(rf"<{_DSML}(?:function|invoke)(?:=|\s+name=)[\"']?([\w.:-]++)[\"']?\s*>")
_FUNCTION_END = re.compile(rf"\s*</{_DSML}(?:function|invoke)>")
_PARAMETER = re.compile(
    rf"\s*<{_DSML}parameter(?:=|\s+name=)[\"']?([^\"'<>\n]{{1,100}}?)[\"']?(?:\s+string=[\"'](\w+)[\"'])?\s*>"
)
_PARAMETER_END = re.compile(rf"</{_DSML}parameter>(?=\s*(?:<|\Z))")
_PAIR = re.compile(r"(?:\s|\\n)*<arg_key>([^<]{1,100})</arg_key>(?:\s|\\n)*<arg_value>")
_PAIRS_END = re.compile(r"(?:\s|\\n)*</[\w:]+>")
_HARMONY = re.compile(r"<\|(?:start|channel)\|>(?:[^<]|<\|(?:channel|constrain)\|>){0,400}+<\|message\|>")
_RECIPIENT = re.compile(r"\bto=([\w.-]+)")
_PYTHON_LIST = re.compile(r"\[\s*[\w.]+\s*\(")
_TOKEN = re.compile(r"<[^<>]{1,60}>|\[TOOL_CALLS\]")
#: A tool's name, what separates it from its arguments, and what the arguments begin with.
_NAME = re.compile(
    r"((?:functions\.)?[\w-]++(?:\.call)?(?::\d+)?)"
    r"((?:\s|\\n|\[CALL_ID\]\w*|\[ARGS\]|```(?:json)?|<[|\uff5c]tool[\u2581_](?:sep|call[\u2581_]argument[\u2581_]begin)[|\uff5c]>)*+)"
    r"(?=[{(]|<arg_key>|</|<[|\uff5c]|\[TOOL_CALLS\]|\Z)"
)


class Spelled(NamedTuple):
    """The calls that were read, and where the text goes on behind them."""

    calls: list[Call]
    end: int


class Broken(NamedTuple):
    """A call that cannot be read: the name of its tool, the reason, and where it goes wrong."""

    name: str
    problem: object
    end: int


def spelled_at(text: str, start: int, offered: Offered, *, fresh: bool, cut: bool) -> Spelled | Broken | None:
    """Read the call, or the list of calls, at `start`; return `None` if there is none.

    Args:
        text: The text that the model wrote.
        start: The place of the call in the text.
        offered: The tools on offer.
        fresh: A mark stands right before the place, so that a bare name there is a tool's, on offer or not.
        cut: The token limit has cut the text: a call without an end is not read.
    """
    first = text[start : start + 1]
    if first in ("{", "["):
        return _object_at(text, start, offered)
    if first == "<":
        return _tag_at(text, start, offered, cut=cut)
    return _name_at(text, start, offered, fresh=fresh, cut=cut)


def _tag_at(text: str, start: int, offered: Offered, *, cut: bool) -> Spelled | Broken | None:
    if function := _FUNCTION.match(text, start):
        return _function_at(text, function.end(), written_name(function[1]), offered, cut=cut)
    if (head := _HARMONY.match(text, start)) and (recipient := _RECIPIENT.search(head[0])):
        return _arguments_at(text, head.end(), written_name(recipient[1]))
    return None


def _name_at(text: str, start: int, offered: Offered, *, fresh: bool, cut: bool) -> Spelled | Broken | None:
    if (named := _NAME.match(text, start)) is None:
        return None
    name = written_name(named[1].removesuffix(".call"))
    if name not in offered and not fresh:
        return None
    if text.startswith("(", named.end()):
        return _python_at(text, start, offered, name)
    if text.startswith("<arg_key>", named.end()):
        return _pairs_at(text, named.end(1), name, offered, cut=cut)
    if text.startswith("{", named.end()):
        return _arguments_at(text, named.end(), name)
    if cut and _TOKEN.match(text, named.end()) is None:
        return None
    return Spelled([call_of(name, {})], named.end())


def _object_at(text: str, start: int, offered: Offered) -> Spelled | Broken | None:
    if _PYTHON_LIST.match(text, start):
        return _python_at(text, start, offered, None)
    try:
        value, end = read_value(text, start)
    except ValueError as error:
        name = named_in(text, start, offered)
        return None if name is None else Broken(name, error, start)
    calls = any_calls_in(value, offered)
    return Spelled(calls, end) if calls else None


def _arguments_at(text: str, start: int, name: str) -> Spelled | Broken:
    try:
        value, end = read_value(text, start + len(text[start : start + 100]) - len(text[start : start + 100].lstrip()))
    except ValueError as error:
        return Broken(name, error, start)
    return Spelled([call_of(name, value)], end)


def _function_at(text: str, start: int, name: str, offered: Offered, *, cut: bool) -> Spelled | Broken:
    if text[start : start + 10].lstrip().startswith("{"):
        return _arguments_at(text, start, name)
    arguments: dict[str, Any] = {}
    while parameter := _PARAMETER.match(text, start):
        end = _PARAMETER_END.search(text, parameter.end())
        if end is None:
            return Broken(name, f"the parameter {parameter[1]!r} has no end", start)
        schema = {"type": "string"} if parameter[2] == "true" else _schema(offered, name, parameter[1])
        arguments[parameter[1]] = typed(text[parameter.end() : end.start()], schema)
        start = end.end()
    if closing := _FUNCTION_END.match(text, start):
        return Spelled([call_of(name, arguments)], closing.end())
    if not cut and (arguments or not text[start:].strip()):
        return Spelled([call_of(name, arguments)], start)
    return Broken(name, "its parameters have no end", start)


def _pairs_at(text: str, start: int, name: str, offered: Offered, *, cut: bool) -> Spelled | Broken:
    arguments: dict[str, Any] = {}
    while pair := _PAIR.match(text, start):
        key, end = pair[1].strip(), text.find("</arg_value>", pair.end())
        if end < 0:
            return Broken(name, f"the value of {key!r} has no end", start)
        arguments[key] = typed(text[pair.end() : end], _schema(offered, name, key))
        start = end + len("</arg_value>")
    if not arguments or (cut and _PAIRS_END.match(text, start) is None):
        return Broken(name, "its arguments have no end", start)
    return Spelled([call_of(name, arguments)], start)


def _schema(offered: Offered, name: str, key: str) -> dict[str, Any]:
    schema = offered[name].parameters.get("properties", {}).get(key, {}) if name in offered else {}
    return schema if isinstance(schema, dict) else {}


def _python_at(text: str, start: int, offered: Offered, name: str | None) -> Spelled | Broken | None:
    end = extent(text, text.index("(", start) if name else start)
    try:
        if end is None:
            raise ValueError("a bracket does not close")
        node = parse_python(text[start:end])
        nodes = node.elts if isinstance(node, ast.List) else [node]
        calls = [call for node in nodes if (call := _python_call(node, offered)) is not None]
    except ValueError as error:
        return Broken(name, error, start) if name else None
    return Spelled(calls, end) if len(calls) == len(nodes) else None


def _python_call(node: ast.expr, offered: Offered) -> Call | None:
    if not isinstance(node, ast.Call):
        return None
    called = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr == "call" else node.func
    if not isinstance(called, ast.Name):
        return None
    tool = offered.get(called.id)
    names = list(tool.parameters.get("properties", {})) if tool else []
    if len(node.args) > len(names) or any(keyword.arg is None for keyword in node.keywords):
        return unreadable(called.id, "name each argument")
    given = [*zip(names, node.args, strict=False), *((str(word.arg), word.value) for word in node.keywords)]
    try:
        return call_of(called.id, {key: literal(value) for key, value in given})
    except ValueError as error:
        return unreadable(called.id, error)
