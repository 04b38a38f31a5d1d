"""Ctrl-C from the host: stops the model's code wherever it is, and never the runtime in the middle of something.

The signal handler looks at the stack. Where the model's code is on top, or something it called, `KeyboardInterrupt` is
raised there; likewise where the runtime waits for the host. Where anything else of the runtime is on top, the interrupt
waits for `checkpoint`, or, while an event loop runs, for the loop's next turn, in which the block's task is cancelled.
The host repeats the signal, in case it came just before a system call that waits; an interrupt that was delivered is
not delivered again.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

#: How the file names of the model's code begin.
BLOCK = "<block"
_RUNTIME = str(Path(__file__).parent)

Function = TypeVar("Function", bound=Callable[..., Any])

_waiting: set[CodeType] = set()
_transparent: set[CodeType] = set()


def waits(function: Function) -> Function:
    """Mark a function of the runtime that only waits, so that an interrupt may be raised in it."""
    _waiting.add(function.__code__)
    return function


def passes_on(function: Function) -> Function:
    """Mark a function of the runtime that only calls another, so that an interrupt is judged by its caller."""
    _transparent.add(function.__code__)
    return function


class Interrupts:
    """Whether a block runs, and whether it has been interrupted."""

    def __init__(self) -> None:
        self.running = False
        #: The block's task, while the event loop runs.
        self.task: asyncio.Task[Any] | None = None
        #: Whether the task was cancelled by an interrupt.
        self.cancelled = False
        self._pending = False
        self._delivered = False
        self._main = threading.main_thread().ident

    def install(self) -> None:
        """Handle SIGINT from now on."""
        signal.signal(signal.SIGINT, self._on_signal)

    def begin(self) -> None:
        """Begin a block; forget an interrupt that was meant for the block before."""
        self._pending = self._delivered = self.cancelled = False
        self.running = True

    @passes_on
    def checkpoint(self) -> None:
        """Raise an interrupt that has waited; called before the runtime waits or hands back to the model's code.

        Raises:
            KeyboardInterrupt: The block was interrupted meanwhile.
        """
        if self._pending and self.running and threading.get_ident() == self._main:
            self._deliver()

    def _deliver(self) -> None:
        self._pending = False
        self._delivered = True
        raise KeyboardInterrupt

    def _on_signal(self, _: int, frame: FrameType | None) -> None:
        if not self.running or self._delivered:
            return
        while frame is not None:
            code = frame.f_code
            if code in _waiting or code.co_filename.startswith(BLOCK):
                self._deliver()
            if code.co_filename.startswith(_RUNTIME) and code not in _transparent:
                break
            frame = frame.f_back
        self._pending = True
        if self.task is not None:
            self.task.get_loop().call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        """Cancel the block's task, unless the interrupt has been raised meanwhile."""
        if self._pending and self.running and self.task is not None:
            self._pending = False
            self._delivered = self.cancelled = True
            self.task.cancel()


interrupts = Interrupts()
