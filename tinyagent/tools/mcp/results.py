"""What a tool of a server gives: plain data or text where that is all, or several parts.

https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinyagent.core.jsonable import to_text
from tinyagent.tools.mcp.schema import unwrapped

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock


class MCPToolError(RuntimeError):
    """The server says that a call failed; the text is the server's."""


@dataclass(frozen=True, slots=True)
class MCPMedia:
    """An image, a sound or a file.

    Attributes:
        mime_type: What it is, such as `image/png`.
        data: Its bytes.
        uri: Where the server has it from, for a file.
    """

    mime_type: str
    data: bytes = field(repr=False)
    uri: str | None = None

    def for_model(self) -> str:
        """The note that the model reads."""
        where = "" if self.uri is None else f"{self.uri}, "
        return f"[{where}{self.mime_type}, {len(self.data):,} bytes]"


@dataclass(frozen=True, slots=True)
class MCPResult:
    """A result that is more than text or data.

    Attributes:
        parts: Text and media, in the server's order.
        structured: The data that the server gave beside them; `None` without.
    """

    parts: tuple[str | MCPMedia, ...]
    structured: Any = None

    @property
    def text(self) -> str:
        """The parts that are text, joined by line breaks."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def media(self) -> tuple[MCPMedia, ...]:
        """The parts that are none."""
        return tuple(part for part in self.parts if isinstance(part, MCPMedia))

    def for_model(self) -> str:
        """What the model reads: the data, or else the text, and a note for each of the media."""
        if self.structured is None:
            return "\n".join(part if isinstance(part, str) else part.for_model() for part in self.parts)
        return "\n".join([to_text(self.structured), *(part.for_model() for part in self.media)])


@dataclass(frozen=True, slots=True)
class MCPProgress:
    """How far a call is: the value of a `ToolProgress` event.

    Attributes:
        progress: What is done, in the server's own measure; it only grows.
        total: What there is to do, where it is known.
        message: What the server says.
    """

    progress: float
    total: float | None = None
    message: str | None = None

    def __str__(self) -> str:
        done = f"{self.progress:g}" if self.total is None else f"{self.progress:g} of {self.total:g}"
        return done if self.message is None else f"{done}: {self.message}"


def value_of(result: CallToolResult, schema: Mapping[str, Any] | None) -> Any:
    """What a result is for whoever called: data, text, or an `MCPResult` where there are media.

    Args:
        result: The server's answer.
        schema: The tool's `outputSchema`, if it has one.

    Raises:
        MCPToolError: The result is an error.
    """
    parts = tuple(_part(block) for block in result.content)
    if result.is_error:
        raise MCPToolError(MCPResult(parts).for_model() or "The tool failed and did not say why.")
    structured = result.structured_content
    if schema is not None and unwrapped(schema) is not schema and isinstance(structured, dict):
        structured = structured.get("result", structured)
    has_data = "structured_content" in result.model_fields_set and (structured is not None or schema is not None)
    if any(isinstance(part, MCPMedia) for part in parts):
        return MCPResult(parts, structured)
    return structured if has_data else "\n".join(part for part in parts if isinstance(part, str))


def _part(block: ContentBlock) -> str | MCPMedia:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return _media(block.mime_type, block.data)
        case "resource_link":
            about = [block.name, block.mime_type, block.description]
            return f"[{block.uri}: {', '.join(text for text in about if text)}]"
        case "resource":
            resource: Any = block.resource
            if hasattr(resource, "text"):
                return str(resource.text)
            return _media(resource.mime_type or "application/octet-stream", resource.blob, str(resource.uri))


def _media(mime_type: str, data: str, uri: str | None = None) -> str | MCPMedia:
    try:
        return MCPMedia(mime_type, b64decode(data), uri)
    except binascii.Error:
        return f"[{uri or mime_type}: the server's data is not valid base64]"
