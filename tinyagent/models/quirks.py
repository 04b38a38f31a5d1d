"""The quirks of a server: what it does not take, learned from its refusals, so that a request takes another form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from tinyagent.core.errors import ModelError
from tinyagent.core.messages import Assistant, Message
from tinyagent.models.base import ModelRequest

#: How servers say that a model takes no tools: Ollama "does not support tools", vLLM '"auto" tool choice requires
#: --enable-auto-tool-choice', llama.cpp "tools param requires --jinja flag", OpenRouter "No endpoints found that
#: support tool use", strict servers "Unrecognized request argument supplied: tools".
_REFUSES_TOOLS = re.compile(
    r"(n[o']t|no endpoints\b.*) support\w*\b.{0,40}\b(tool|function)"
    r"|\btools? .{0,40}\brequires? --"
    r"|\b(tools?|function[ _-]?calling|tool[ _-]?(calling|use))\b['\"`]?:?[^.]{0,40}"
    r"\b(not (be )?(supported|allowed|permitted|available)|unsupported)"
    r"|(unrecognized|unknown|unexpected|unsupported|extra)\b[^.]{0,60}\btools?\b(?!\[|\.\w)",
    re.IGNORECASE | re.DOTALL,
)
#: Refusals of something in a request with tools, not of tools.
_OTHER_REFUSAL = re.compile(r"schema|arguments|message|tool_choice '?none|parallel", re.IGNORECASE)
#: How servers say that they take no schema for the reply, or not this one: "'response_format' is not supported",
#: "failed to parse grammar", "The provided JSON schema contains features not supported by xgrammar".
_REFUSES_SCHEMA = re.compile(
    r"response_?format|\bschema\b|json_schema|grammar|structured[ _-]?output|guided", re.IGNORECASE
)
#: How servers say what a call's id must be: Mistral "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length
#: of 9", OpenAI "Invalid 'messages[1].tool_calls[0].id': string too long", Anthropic "tool_use.id: String should match
#: pattern".
_REFUSES_IDS = re.compile(
    r"\btool[ _-]?(calls?|use)[^ ]{0,12}[ ._-]?id\b.{0,200}?(length|too long|at most|a-z|pattern|alphanumeric)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Quirks:
    """What a server does not take; each attribute that is true changes the form of its requests.

    Attributes:
        tools: The server takes no native tools; they are described in text.
        stream_options: The server does not know the option that asks for usage in a stream.
        keys: Keys of assistant messages or calls that the server sent itself, and does not take back.
        ids: The server takes only call ids of nine letters and digits.
        calls: The server takes no calls in the history while no tools are offered; they are written as text.
        schema: The server takes no JSON schema for the reply; the text protocol is used instead.
    """

    tools: bool = False
    stream_options: bool = False
    keys: frozenset[str] = frozenset()
    ids: bool = False
    calls: bool = False
    schema: bool = False

    def __or__(self, other: Quirks) -> Quirks:
        return Quirks(*(getattr(self, each.name) | getattr(other, each.name) for each in fields(self)))

    def learned(self, error: ModelError, request: ModelRequest, origin: str) -> Quirks:
        """Return these quirks with the one that the server's refusal of a request shows; the same where it shows none.

        Args:
            error: The refusal.
            request: The request that was refused.
            origin: The server, as its messages name it.
        """
        said = str(error)
        if request.stream and not self.stream_options and "stream_options" in said:
            return replace(self, stream_options=True)
        if error.status not in (400, 404, 422, 500, 501) or error.partial is not None:
            return self
        messages = request.messages
        replayed = set(_replayed(messages, origin)) - self.keys
        if keys := {key for key in replayed if re.search(rf"(?<!\w){re.escape(key)}(?!\w)", said)}:
            return replace(self, keys=self.keys | keys)
        if not self.ids and _REFUSES_IDS.search(said):
            return replace(self, ids=True)
        if not request.tools:
            has_calls = any(isinstance(message, Assistant) and message.calls for message in messages)
            return replace(self, calls=self.calls or (has_calls and re.search("tool", said, re.IGNORECASE) is not None))
        if not self.tools and _REFUSES_TOOLS.search(said) and not _OTHER_REFUSAL.search(said):
            return replace(self, tools=True)
        if self.tools and not self.schema and _REFUSES_SCHEMA.search(said):
            return replace(self, schema=True)
        return self


#: The quirks of a server that takes everything.
NO_QUIRKS = Quirks()


def _replayed(messages: tuple[Message, ...], origin: str) -> Iterator[str]:
    """Yield the keys of messages and calls that are sent back to the server that sent them."""
    for message in messages:
        if isinstance(message, Assistant) and message.origin == origin:
            if message.reasoning:
                yield message.reasoning_field
            yield from message.extra
            for call in message.calls:
                yield from call.extra.keys() - {"function"}
                yield from call.extra.get("function", ())
