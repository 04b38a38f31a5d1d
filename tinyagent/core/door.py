"""The doors of the package: whoever passes a wrong argument is told the right one, at the line of the call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tinyagent.core.errors import TinyAgentError
from tinyagent.core.traces import shorten

P = ParamSpec("P")
R = TypeVar("R")


def door(kind: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator of constructors and methods: for arguments that do not fit, the error says what to write.

    Args:
        kind: What is called: a key of the tables in `tinyagent.core.names`, such as `agent` or `run`.
    """

    def decorate(init: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(init)
        def called(*args: P.args, **options: P.kwargs) -> R:
            try:
                return init(*args, **options)
            except TinyAgentError as error:
                shorten(error)
                raise
            except TypeError as error:
                if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                    raise  # from inside the function, not of the call itself
                from tinyagent.core.names import misnamed

                told = misnamed(kind, type(args[0]).__name__, init, options, str(error))
            try:
                raise told
            except TypeError:
                told.__traceback__ = None
                raise

        return called

    return decorate
