"""What a tool of a server gives: plain data or text where that is all, or several parts.

https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
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
        """Return what the model reads: the text, a note for each of the media, and the data if it says more."""
        return _for_model(self.parts, self.structured)


class MCPData(dict[str, Any]):
    """Structured data beside which the server wrote a text of its own, for the model.

    Attributes:
        parts: That text, in its parts.
    """

    __slots__ = ("parts",)

    def __init__(self, data: Mapping[str, Any], parts: tuple[str, ...] = ()) -> None:
        super().__init__(data)
        self.parts = parts

    def for_model(self) -> str:
        """Return what the model reads: the text, and the data if it says more."""
        return _for_model(self.parts, dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return MCPData, (dict(self), self.parts)


def _for_model(parts: Sequence[str | MCPMedia], data: Any) -> str:
    told = [part if isinstance(part, str) else part.for_model() for part in parts]
    texts = [part for part in parts if isinstance(part, str)]
    media = [part for part in parts if isinstance(part, MCPMedia)]
    if data is None:
        return "\n".join(told)
    if texts and _is_data_of(texts, data):
        told = [part.for_model() for part in media]
    elif all(_is_told(leaf, texts, media) for leaf in _leaves(data)):
        return "\n".join(told)
    return "\n".join(
        [*told, to_text(_without(data, media))] if texts and told else [to_text(_without(data, media)), *told]
    )


def _is_data_of(texts: Sequence[str], data: Any) -> bool:
    """Whether texts are nothing but the JSON of the data, whole or item by item, as it is written for old clients."""
    joined = "\n".join(texts)
    if data == joined or _loaded(joined) == data:
        return True
    each = isinstance(data, list) and len(data) == len(texts)
    return each and all(item in (text, _loaded(text)) for item, text in zip(data, texts, strict=True))


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _loaded  # which nothing equals


def _leaves(data: Any) -> Iterator[Any]:
    """What data says, without its keys and the names of its kinds."""
    if isinstance(data, Mapping):
        for key, part in data.items():
            if key != "type":
                yield from _leaves(part)
    elif isinstance(data, list):
        for part in data:
            yield from _leaves(part)
    else:
        yield data


def _is_told(leaf: Any, texts: Sequence[str], media: Sequence[MCPMedia]) -> bool:
    """Whether a part of the data stands in the text, or is about media."""
    if isinstance(leaf, str):
        return any(leaf in text for text in texts) or any(
            leaf in (one.mime_type, one.uri) or _holds(leaf, one) for one in media
        )
    return any(json.dumps(leaf) in text for text in texts)


def _holds(text: str, media: MCPMedia) -> bool:
    return len(text) >= len(media.data) > 0 and b64encode(media.data).decode().rstrip("=") in text


def _without(data: Any, media: Sequence[MCPMedia]) -> Any:
    """Data with notes in place of what repeats media."""
    if isinstance(data, Mapping):
        return {key: _without(part, media) for key, part in data.items()}
    if isinstance(data, list):
        return [_without(part, media) for part in data]
    if isinstance(data, str):
        return next((one.for_model() for one in media if _holds(data, one)), data)
    return data


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

    Data with a text of its own is an `MCPData`, or an `MCPResult` where it is no object.

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
    texts = tuple(part for part in parts if isinstance(part, str))
    if not has_data:
        return "\n".join(texts)
    if not texts or structured is None or _is_data_of(texts, structured):
        return structured
    return MCPData(structured, texts) if isinstance(structured, dict) else MCPResult(parts, structured)


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
