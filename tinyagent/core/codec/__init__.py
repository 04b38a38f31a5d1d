"""Values as JSON with tags, and back with their exact types. Never pickle.

    loads(dumps({1, 2}))        # {1, 2}, by way of {"!":"set","v":[1,2]}

JSON carries what it can; everything else is `{"!": tag, "v": ...}`: tuples, sets, bytes, dates, numbers of any kind,
paths, a `Record` for what has fields. What has no form here becomes its text, an `Opaque`. What is read may be hostile:
reading builds nothing that is larger than the text, takes time in proportion to it, refuses everything it does not
know, and makes nothing but the types of Python that are listed, none of whose attributes is answered by what was sent.

Sandbox processes use it, so it needs the standard library alone.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tinyagent.core.codec.kinds import (
    DEEPEST,
    MAX_BYTES,
    MAX_CONTAINERS,
    MAX_HALVES,
    MAX_TAGGED,
    TAG,
    MalformedError,
    ManyPartsError,
    Opaque,
    Record,
    TooLargeError,
    too_large,
)
from tinyagent.core.codec.packing import FEW_PARTS, pack
from tinyagent.core.codec.reading import clock, read, read_with_records

__all__ = [
    "FEW_PARTS", "MAX_BYTES", "MAX_CONTAINERS", "TAG", "MalformedError", "ManyPartsError", "Opaque", "Record",
    "TooLargeError", "dumps", "from_json", "loads", "pack", "to_json",
]  # fmt: skip

#: Levels of JSON that a text may have: those of its values, those around them, and those of a tag.
_LEVELS = DEEPEST + 8


def dumps(value: object, *, records: bool = False, limited: bool = True) -> str:
    """Return a value as text that every file and database takes, and that `loads` reads.

    Half characters (lone surrogates) are written as escapes; two that make a whole character are read as that one.

    Args:
        value: Any object. Subclasses become their simple types, arrays and tables lists, what has no form here an
            `Opaque` text.
        records: Write dataclasses, named tuples and models as a `Record`, not as a plain dict.
        limited: Refuse what `loads` would: it takes more than `MAX_BYTES`, or has too many parts.

    Raises:
        TooLargeError: The value is refused.
    """
    data = pack(value, records=records, limited=limited)
    text = to_json(data).decode("utf-8", "surrogatepass") if limited else _encode(data)
    return text.encode("utf-8", "backslashreplace").decode()


def loads(text: str, *, records: bool = False, limited: bool = True) -> Any:
    """Return the value that `dumps` was given.

    Args:
        text: What `dumps` wrote.
        records: Accept a `Record`, which `dumps(..., records=True)` writes; only from a writer who is trusted.
        limited: Refuse a text that is larger, or takes longer to read, than one of a sandbox may.

    Raises:
        MalformedError: The text is not one that `dumps` writes.
    """
    return from_json(text.encode("utf-8", "surrogatepass"), records=records, limited=limited)


def to_json(data: Any) -> bytes:
    """Return data that `pack` gave, or JSON data that contains some, as the bytes of JSON.

    Raises:
        TooLargeError: The JSON would be more than `from_json` reads.
    """
    body = _encode(data).encode("utf-8", "surrogatepass")
    if len(body) > MAX_BYTES:
        raise too_large(f"{len(body):,} of {MAX_BYTES:,} bytes")
    if (excess := _excess(body)) is not None:
        raise too_large(f"over {excess}")
    return body


def from_json(body: bytes, *, records: bool = False, limited: bool = True) -> Any:
    """Return the data that `to_json` wrote as JSON, with values in place of their tags.

    Args:
        body: The bytes of the JSON.
        records: Accept a `Record`; only from a writer who is trusted, because its attributes are whatever was sent.
        limited: Refuse what has more parts, or takes longer, than may be read in one go.

    Raises:
        MalformedError: The JSON is malformed, or has more parts than may be read in one go.
    """
    if limited and (excess := _excess(body)) is not None:
        raise MalformedError(f"over {excess}")
    try:
        clock.start(limited=limited)
        return (_decoder_of_records if records else _decoder).decode(body.decode("utf-8", "surrogatepass"))
    except MalformedError:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError, MemoryError, AttributeError, KeyError) as error:
        raise MalformedError(f"malformed JSON: {type(error).__name__}") from error


def _refuse(constant: str) -> Any:
    raise MalformedError(f"{constant} is no JSON")


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode
_decoder = json.JSONDecoder(object_hook=read, parse_constant=_refuse)
_decoder_of_records = json.JSONDecoder(object_hook=read_with_records, parse_constant=_refuse)
#: More digits than the encoder writes of any number in JSON.
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{26}")
_HALF = re.compile(rb"\xed[\xa0-\xbf]")
_ONE_KIND_OF_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _excess(body: bytes) -> str | None:
    """Return in words what JSON has more of than may be read in one go; `None` where it has not too much of anything.

    This takes time in proportion to the JSON, whatever is in it.
    """
    if body.count(b'"!":') > MAX_TAGGED:
        return f"{MAX_TAGGED:,} values that are neither numbers nor text"
    if body.count(b"\xed") > MAX_HALVES and len(_HALF.findall(body)) > MAX_HALVES:
        return f"{MAX_HALVES:,} half characters"
    if body.count(b"[") + body.count(b"{") <= _LEVELS and _LONG_NUMBER.search(body) is None:
        return None
    bare = _without_text(body)
    if _LONG_NUMBER.search(bare) is not None:
        return "25 digits of a number"
    brackets = bare.translate(_ONE_KIND_OF_BRACKETS, _NO_BRACKETS)
    if len(brackets) > 2 * MAX_CONTAINERS:
        return f"{MAX_CONTAINERS:,} lists and dicts"
    for _ in range(_LEVELS):  # each round removes the innermost pairs
        if not brackets:
            return None
        brackets = brackets.replace(b"[]", b"")
    return f"{_LEVELS} levels of lists and dicts" if brackets else None


def _without_text(body: bytes) -> bytes:
    """Return JSON without the text in its quotes."""
    return b"".join(body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])
