"""Questions to the person at the terminal, one at a time."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress

#: Seconds between two looks whether another question has been answered.
_PAUSE = 0.05
_turn = threading.Lock()  # two questions at once could not be told apart
_line: Future[str] | None = None  # the line that a thread waits for: it cannot be called back


async def ask(question: str) -> str | None:
    """Write a question to standard error, and return the next line of standard input; `None` where that has ended.

    A question that nobody waits for any more, as after Ctrl-C, leaves its place to the next one.

    Args:
        question: What to ask, without anything that a terminal would obey (see `tinyagent.printable`).
    """
    global _line  # noqa: PLW0603 - one standard input for the process
    await asyncio.sleep(0)  # whoever shows the run says first what has happened
    while not _turn.acquire(blocking=False):  # noqa: ASYNC110 - it may be of another event loop
        await asyncio.sleep(_PAUSE)
    try:
        if _line is None or _line.done():  # what came when nobody had asked answers nothing
            _line = Future()
            _line.set_running_or_notify_cancel()  # so that no question that is left takes it along
            threading.Thread(target=_read, args=[_line], name="tinyagent question", daemon=True).start()
        with suppress(OSError, ValueError):  # there is no terminal, or it has gone
            print(question, end="", file=sys.stderr, flush=True)  # noqa: T201
        said = await asyncio.wrap_future(_line)
    finally:
        _turn.release()
    return said.strip() if said else None


def _read(line: Future[str]) -> None:
    said = ""
    with suppress(AttributeError, OSError, ValueError):  # there is no standard input, or it has gone
        said = sys.stdin.readline()
    line.set_result(said)
