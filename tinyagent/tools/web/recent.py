"""The texts that were read last, so that reading on does not convert a page again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import TypeAlias

#: Texts that are remembered, and their characters together.
MOST_TEXTS, MOST_CHARACTERS = 64, 4_000_000

#: A title, a text, and whether some of it was left out.
Text: TypeAlias = tuple[str, str, bool]


class Recent:
    """Texts by what they were made of: the same bytes of the same address give the same text.

    Nothing is found that was not made of these very bytes. May be used from several threads.
    """

    def __init__(self, texts: int = MOST_TEXTS, characters: int = MOST_CHARACTERS) -> None:
        self._most_texts, self._most_characters = texts, characters
        self._texts: OrderedDict[bytes, Text] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Text | None:
        """Return the text that was remembered under a key, or `None`."""
        with self._lock:
            if key in self._texts:
                self._texts.move_to_end(key)
            return self._texts.get(key)

    def put(self, key: bytes, text: Text) -> None:
        """Remember a text under a key, and forget those that were not asked for the longest."""
        size = _size(text)
        if size > self._most_characters:
            return
        with self._lock:
            self._forget(key)
            self._texts[key] = text
            self._characters += size
            while len(self._texts) > self._most_texts or self._characters > self._most_characters:
                self._forget(next(iter(self._texts)))

    def _forget(self, key: bytes) -> None:
        text = self._texts.pop(key, None)
        if text is not None:
            self._characters -= _size(text)


def _size(text: Text) -> int:
    return len(text[0]) + len(text[1])


def key_of(content: bytes, *about: object) -> bytes:
    """Return the key of the text of some bytes, and of what is known about them."""
    digest = blake2b(content, digest_size=16)
    digest.update(repr(about).encode(errors="surrogatepass"))
    return digest.digest()
