"""The output of code in a Monty worker, on its way to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from tinyagent.sandbox.block import Block


class Printed:
    """The output of one piece of code: heard in a thread of the package, handed on in the event loop.

    Args:
        block: The block that hears the output; `None` to throw the output away.
        kill: Called, with a reason, when there is far too much output.
        most: Characters of output that are not yet far too much.
    """

    def __init__(self, block: Block | None, kill: Callable[[str], None], most: int) -> None:
        self._block = block
        self._kill = kill
        self._left = most
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._texts: list[str] = []

    def hear(self, _stream: str, text: str) -> None:
        """Take more output, in any thread."""
        with self._lock:
            if self._left < 0:
                return
            self._left -= len(text)
            self._texts.append(text)
            if len(self._texts) > 1:
                return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self.flush)

    def flush(self) -> None:
        """Hand on the output that has come, in the event loop."""
        with self._lock:
            text, flood = "".join(self._texts), self._left < 0
            self._texts.clear()
        if text and self._block is not None:
            self._block.hear(text)
        if flood:
            self._kill("it printed without end")
