"""Forked copies of this process: they inherit its memory, and none of its threads and event loops."""

from __future__ import annotations

import os
from collections.abc import Callable


def in_forked_copy(function: Callable[[], None]) -> Callable[[], None]:
    """Call `function` first thing in every process that is forked from this one; a decorator.

    Locks are renewed there, since a thread that the copy does not have may have held them.
    """
    if hasattr(os, "register_at_fork"):  # Windows does not fork
        os.register_at_fork(after_in_child=function)
    return function
