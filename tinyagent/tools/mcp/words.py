"""What a model reads of a result that says things twice: as text or media, and as data."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from tinyagent.core.jsonable import to_text

#: Characters of base64 from which on no other text is the same by chance.
_SURE = 64
#: The keys of a media block, which together say no more than its note.
_BLOCK = frozenset({"type", "mimeType", "uri", "data", "blob"})
_BLOCKS = frozenset({"text", "image", "audio", "resource"})


def told(parts: Sequence[str], data: Any, notes: Mapping[str, str]) -> str:
    """Return the parts, and the data where they say more; only the data where the parts are no more than its JSON.

    Args:
        parts: The server's text blocks, and the notes that stand for its media, in its order.
        data: The structured content beside them; `None` without.
        notes: The note for the base64 of each of the media, wherever else that stands.
    """
    parts = [noted(part, notes) for part in parts]
    text = "\n".join(parts)
    if data is None:
        return text
    data = _without_blocks(noted(data, notes), notes)
    items = _items(data)
    if not text or _says(text, data) or (len(items) == len(parts) and all(map(_says, parts, items))):
        return to_text(data)
    known = {form for part in (text, *parts) for form in (_form(part), _read(part))}
    return text if _repeats(data, known) else f"{text}\n{to_text(data)}"


def note_for(mime_type: str, size: int, uri: str | None = None) -> str:
    """Return the note that stands for an image, a sound or a file of `size` bytes."""
    return f"[{'' if uri is None else f'{uri}, '}{mime_type}, {size:,} bytes]"


def noted(value: Any, notes: Mapping[str, str]) -> Any:
    """Return text, or all text within data, with notes in place of the base64 that they stand for."""
    if isinstance(value, str):
        for encoded, note in notes.items():
            if value == encoded:
                return note
            if len(encoded) >= _SURE:
                value = value.replace(encoded, note)
        return value
    if isinstance(value, list):
        return [noted(item, notes) for item in value]
    return {key: noted(item, notes) for key, item in value.items()} if isinstance(value, dict) else value


def _without_blocks(value: Any, notes: Mapping[str, str]) -> Any:
    """Return data with notes in place of the media blocks in them."""
    if isinstance(value, list):
        return [_without_blocks(item, notes) for item in value]
    if not isinstance(value, dict):
        return value
    note = _block(value, notes)
    if note is not None and value.keys() <= _BLOCK:
        return note
    media = () if note is None else ("data", "blob")
    return {key: note if key in media else _without_blocks(item, notes) for key, item in value.items()}


def _block(value: Mapping[str, Any], notes: Mapping[str, str]) -> str | None:
    """Return the note for a media block, or the contents of a file, within data; `None` for anything else."""
    uri: str | None = None
    match value:
        case {"type": "image" | "audio", "mimeType": str(kind), "data": str(encoded)}:
            pass
        case {"uri": str(uri), "blob": str(encoded)}:
            kind = str(value.get("mimeType") or "application/octet-stream")
        case _:
            return None
    if encoded in notes.values():
        return encoded
    try:
        return note_for(kind, len(b64decode(encoded)), uri)
    except binascii.Error:
        return None


def _items(data: Any) -> list[Any]:
    """Return the items of a list, also of lists within it, since servers make a text block of each."""
    if not isinstance(data, list):
        return [data]
    return [item for part in data if part is not None for item in _items(part)]


def _says(text: str, data: Any) -> bool:
    """Return whether a text is the data, or their JSON."""
    return text == data or _read(text) == _form(data)


def _repeats(data: Any, known: set[str]) -> bool:
    """Return whether all that is in the data is among the `known` JSON texts."""
    if _form(data) in known:
        return True
    if isinstance(data, dict):
        return all(_repeats(item, known) for key, item in data.items() if key != "type" or item not in _BLOCKS)
    return isinstance(data, list) and all(_repeats(item, known) for item in data)


def _form(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _read(text: str) -> str:
    """Return the JSON, as `_form` writes it, of the data in a JSON text, or else of the text itself."""
    try:
        return _form(json.loads(text))
    except (ValueError, RecursionError):
        return _form(text)
