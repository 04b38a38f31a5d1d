"""Tools for models that do not call any by themselves: the server's grammar leaves them no other choice.

The reply is one JSON object, `{"reply": {"type": "calls", "calls": [...]}}` or `{"reply": {"type": "answer", ...}}`,
which `response_format` asks for by its schema. Reference: OpenAI API, "Structured Outputs" (the root is an object, a
union stands below it); llama.cpp, "GBNF Guide", JSON schemas. No `tools` are sent: not every server takes both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tinyagent.core.dialect import target_of
from tinyagent.core.messages import Assistant, Call, Reply
from tinyagent.core.tool import Tool
from tinyagent.models.base import ModelRequest
from tinyagent.models.calls import CUT_CALL
from tinyagent.models.native import once_per_tool, to_bytes
from tinyagent.models.objects import read_json
from tinyagent.models.text_protocol import TextReply, TextTools, items_in

INSTRUCTIONS = """\
You can use tools. Your reply is one JSON object. To call tools, one or several at once, write:
{"reply": {"type": "calls", "calls": [{"tool": "<tool name>", "arguments": {<argument name>: <value>}}]}}
The results come in the next message. When you know the answer, write:
{"reply": {"type": "answer", "answer": "<the answer>"}}

Tools, one per line (name, description, JSON Schema of the arguments):
"""
NO_TOOLS = 'Do not call a tool now: write your answer, as a reply of the type "answer".'
#: Calls in one reply: a small model would repeat them without end.
MOST_CALLS = 8
#: The largest bound of an integer that is passed on: a grammar spells out its digits.
_LARGEST_BOUND = 10**9
_TYPES = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})
#: A fence, which some grammars let a model write around the object.
_FENCE = re.compile(r"\s*+```\w*\s*+")
_Schema = dict[str, Any]


# ---- the reply


class SchemaReply(TextReply):
    """A reply in the form of the schema, of which the answer is shown; any other is read like a `TextReply`."""

    keys = ("reply",)
    path = ("reply", "answer")
    thinks = False  # the grammar leaves no room for thoughts

    def is_item(self, value: object) -> bool:
        """Return whether a value is an object: any that begins like the schema's counts as one of it."""
        return isinstance(value, dict)

    def read(self, reply: Reply) -> Reply:
        """Return the reply with the calls or the answer of its object, or of as much of the object as has come."""
        if reply.calls or not reply.text.strip():  # native calls all the same, or nothing
            self.settle(reply.text)
            return reply
        text = _FENCE.sub("", reply.text, count=1).removesuffix("```").strip()
        try:
            value, end = read_json(text, 0)
        except ValueError:
            self.followed = reply.finish_reason == "length" and text[:1] in ("", "{")
            return self._read_cut(reply) if self.followed else super().read(reply)
        inner = value.get("reply") if isinstance(value, dict) and end == len(text) else None
        self.followed = isinstance(inner, dict) and (
            isinstance(inner.get("answer"), str) or isinstance(inner.get("calls"), list)
        )
        return super().read(reply)

    def _read_cut(self, reply: Reply) -> Reply:
        """Return a reply that the token limit has cut with its answer as far as it came, or its complete calls."""
        if self.answer is not None:
            return self.calling(replace(reply, text=self.answer), ())
        calls = [call for item in items_in(reply.text, self._offered, CUT_CALL) for call in item.calls]
        return self.calling(reply, calls or [Call("reply", problem=CUT_CALL)])


class SchemaTools(TextTools):
    """The encoder of requests whose tools the system message describes, and whose replies a schema constrains."""

    heard = SchemaReply
    instructions = INSTRUCTIONS
    no_tools = NO_TOOLS

    def body(self, request: ModelRequest) -> bytes:
        """Return the part of a request's body for its reply's schema, if there are tools, and its messages."""
        messages = super().body(request)
        return b'"response_format":' + _response_format(request) + b"," + messages if request.tools else messages

    def calls(self, message: Assistant) -> str:
        """Return the calls of a message as the model would have written them in this protocol."""
        calls = [{"tool": call.name, "arguments": call.arguments} for call in message.calls]
        return to_bytes({"reply": {"type": "calls", "calls": calls}}).decode()


# ---- the schema


def _object(properties: _Schema) -> _Schema:
    """Return the schema of an object that has all of these properties and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _kind(name: str) -> _Schema:
    return {"type": "string", "enum": [name]}


_ANSWER = _object({"type": _kind("answer"), "answer": {"type": "string"}})


def _response_format(request: ModelRequest) -> bytes:
    if request.tool_choice == "none":
        forms, schema = [], _object({"reply": _ANSWER})
    else:
        forms = [_form(tool) for tool in request.tools]
        calls = {
            "type": "array",
            "items": {"anyOf": [form.schema for form in forms]},
            "minItems": 1,
            "maxItems": MOST_CALLS,
        }
        reply = {"anyOf": [_object({"type": _kind("calls"), "calls": calls}), _ANSWER]}
        schema = _object({"reply": reply})
    if definitions := {name: part for form in forms for name, part in form.definitions.items()}:
        schema["$defs"] = definitions
    strict = all(form.strict for form in forms)
    return to_bytes({"type": "json_schema", "json_schema": {"name": "reply", "strict": strict, "schema": schema}})


class Form:
    """A call of a tool as a schema that grammars know: structure alone, everything required.

    An argument that may be left out may be null instead. Whatever else the parameters' schema asks for is checked when
    the call comes: llama.cpp, for one, takes patterns that never end, and needs minutes for large bounds.

    Args:
        tool: The tool.

    Attributes:
        schema: The schema of the call.
        definitions: The definitions that the schema refers to, under names that begin with the tool's.
        strict: Whether OpenAI takes the schema as strict, because it has no open objects.
    """

    def __init__(self, tool: Tool[..., object]) -> None:
        self.strict = True
        self.definitions: dict[str, _Schema] = {}
        self._name = tool.name
        self._root: Mapping[str, Any] = tool.parameters
        taken = self._fields(self._root)
        if self._root.get("additionalProperties") not in (None, False):
            self.strict, taken["additionalProperties"] = False, True
        self.schema = _object({"tool": _kind(tool.name), "arguments": taken})

    def _fields(self, schema: Mapping[str, Any]) -> _Schema:
        """Return the structure of an object's schema, in which a property that may be left out may be null."""
        needed, parts = schema.get("required", ()), schema.get("properties", {})
        read = {name: self._part(part) for name, part in parts.items()}
        return _object({name: part if name in needed else _or_null(part) for name, part in read.items()})

    def _part(self, schema: Any) -> _Schema:
        """Return the structure of a schema; an empty one, which is not strict, where it has none that is known."""
        found: _Schema = {}
        if isinstance(schema, Mapping):
            if isinstance(ref := schema.get("$ref"), str):
                found = self._referred(ref)
            elif isinstance(parts := schema.get("anyOf"), list) and parts:
                found = {"anyOf": [self._part(part) for part in parts]}
            elif schema.get("type") in _TYPES:
                return self._typed(schema)
        self.strict = self.strict and bool(found)
        return found

    def _referred(self, ref: str) -> _Schema:
        """Return a reference to a definition, after moving it to the root under a name that no other tool has."""
        target = target_of(self._root, ref)
        if target is None:
            return {}
        name = f"{self._name}.{re.sub(r'[^A-Za-z0-9]+', '.', ref).strip('.') or 'root'}"
        if name not in self.definitions:
            self.definitions[name] = {}  # taken, in case the definition refers to itself
            self.definitions[name] = self._part(target)
        return {"$ref": f"#/$defs/{name}"}

    def _typed(self, schema: Mapping[str, Any]) -> _Schema:
        kept: _Schema = {"type": schema["type"]}
        if schema.get("enum"):
            kept["enum"] = schema["enum"]
        if schema["type"] == "integer":
            bounds = {key: schema[key] for key in ("minimum", "maximum") if key in schema}
            small = all(isinstance(bound, int) and abs(bound) <= _LARGEST_BOUND for bound in bounds.values())
            kept |= bounds if small and list(bounds.values()) == sorted(bounds.values()) else {}
        elif schema["type"] == "array":
            kept["items"] = self._part(schema.get("items", {}))
        elif schema["type"] == "object":
            if schema.get("properties"):
                return self._fields(schema)
            self.strict = False
            kept["additionalProperties"] = self._part(schema.get("additionalProperties", {}))
        return kept


def _or_null(schema: _Schema) -> _Schema:
    parts = schema.get("anyOf", [schema])
    return schema if not schema or {"type": "null"} in parts else {"anyOf": [*parts, {"type": "null"}]}


_form = once_per_tool(Form)
