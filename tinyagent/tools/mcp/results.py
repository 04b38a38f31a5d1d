"""The result of an MCP tool: plain data or text where that is all, or several parts.

https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinyagent.core.jsonable import to_text
from tinyagent.tools.mcp.schema import unwrapped
from tinyagent.tools.mcp.words import note_for, noted, told

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock


class MCPToolError(RuntimeError):
    """An MCP server says that a call failed, or gives no result; the text is mostly the server's."""


@dataclass(frozen=True, slots=True)
class MCPMedia:
    """An image, a sound or a file in the result of an MCP tool.

    Attributes:
        mime_type: The media type, such as `image/png`.
        data: The bytes.
        uri: The server's address of a file; `None` for an image or a sound.
    """

    mime_type: str
    data: bytes = field(repr=False)
    uri: str | None = None

    def for_model(self) -> str:
        """Return the note that the model reads in place of the bytes."""
        return note_for(self.mime_type, len(self.data), self.uri)


@dataclass(frozen=True, slots=True)
class MCPResult:
    """The result of an MCP tool that is more than text or data.

    Attributes:
        parts: Text and media, in the server's order.
        structured: The data that the server gave beside them, where a note stands for the base64 of the media among
            the parts; `None` if it gave none.
    """

    parts: tuple[str | MCPMedia, ...]
    structured: Any = None

    @property
    def text(self) -> str:
        """The parts that are text, joined by line breaks."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def media(self) -> tuple[MCPMedia, ...]:
        """The parts that are images, sounds or files."""
        return tuple(part for part in self.parts if isinstance(part, MCPMedia))

    def for_model(self) -> str:
        """Return what the model reads: the text, a note for each of the media, and the data if they say more."""
        parts = [part if isinstance(part, str) else part.for_model() for part in self.parts]
        return told(parts, self.structured, _notes(self.media))


class MCPData(dict[str, Any]):
    """Structured data beside which an MCP server wrote a text of its own, for the model.

    Attributes:
        parts: That text, in its parts.
    """

    __slots__ = ("parts",)

    def __init__(self, data: Mapping[str, Any], parts: tuple[str, ...] = ()) -> None:
        super().__init__(data)
        self.parts = parts

    def for_model(self) -> str:
        """Return what the model reads: the text, and the data if they say more."""
        return told(self.parts, dict(self), {})

    def __reduce__(self) -> tuple[Any, ...]:
        return MCPData, (dict(self), self.parts)


@dataclass(frozen=True, slots=True)
class MCPProgress:
    """How far the call of an MCP tool is: the value of a `ToolProgress` event.

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
    """Return what the caller of a tool gets of its result: data, text, or an `MCPResult` where there are media.

    Data with a text of its own is an `MCPData`, or an `MCPResult` where it is no object.

    Args:
        result: The server's answer.
        schema: The tool's `outputSchema`, if it has one.

    Raises:
        MCPToolError: The result is an error.
    """
    parts = tuple(_part(block) for block in result.content)
    structured = result.structured_content
    if result.is_error:
        raise MCPToolError(MCPResult(parts, structured).for_model() or "The tool failed and did not say why.")
    if schema is not None and unwrapped(schema) is not schema and isinstance(structured, dict):
        structured = structured.get("result", structured)
    has_data = "structured_content" in result.model_fields_set and (structured is not None or schema is not None)
    whole = MCPResult(parts, structured)
    if whole.media:
        return MCPResult(parts, noted(structured, _notes(whole.media)))
    if not has_data:
        return whole.text
    if structured is None or whole.for_model() == to_text(structured):
        return structured
    return MCPData(structured, tuple(map(str, parts))) if isinstance(structured, dict) else whole


def _notes(media: Iterable[MCPMedia]) -> dict[str, str]:
    """Return the notes that stand for media, by the media's base64."""
    return {b64encode(one.data).decode(): one.for_model() for one in media if one.data}


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
