"""Stopping code that runs in a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Interrupted(KeyboardInterrupt):
    """Raised in the code when it is stopped from outside."""


class Stopper:
    """Raises `Interrupted` in the thread that runs a piece of code, and never after that piece.

    The code's thread and the one thread that stops it claim the turn in one atomic step (`dict.setdefault`). A lock
    would not do: an exception raised at any moment could leave it locked.

    Attributes:
        thread: The id of the thread that runs the code; `None` until it does.
    """

    def __init__(self) -> None:
        self._turn: dict[str, str] = {}
        self.thread: int | None = None
        self._asked = False

    def guard(self, work: Callable[[], None]) -> None:
        """Do `work` in this thread, and let it be stopped.

        Raises:
            Interrupted: The work was stopped.
        """
        try:
            self.thread = threading.get_ident()
            if self._asked:
                raise Interrupted
            try:
                work()
            finally:
                self._leave()
        finally:
            self._leave()  # again: an interruption may have cut the first call short

    def stop(self) -> None:
        """Raise `Interrupted` where the code is now; in a call that is not written in Python, once the call returns.

        Until then, CPython 3.11 halts a program that a debugger traces.
        """
        self._asked = True
        if self.thread is not None and self._turn.setdefault("whose", "stop") == "stop":
            import ctypes

            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), ctypes.py_object(Interrupted))
            del self._turn["whose"]

    def _leave(self) -> None:
        while self._turn.setdefault("whose", "code") != "code":
            time.sleep(0)
        for _ in range(2):  # an exception that was set before is raised here at the latest, where Python looks for it
            pass
