"""The doors of the package: constructors whose caller has got a name wrong is told the right one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def door(kind: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator of constructors: arguments that do not fit are told with what to write instead.

    Args:
        kind: What it makes, as in `tinyagent.core.names`.
    """

    def decorate(init: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(init)
        def called(*args: P.args, **options: P.kwargs) -> R:
            try:
                return init(*args, **options)
            except TypeError as error:
                if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                    raise  # not of this call
                from tinyagent.core.names import misnamed

                said = misnamed(kind, type(args[0]).__name__, init, options, str(error))
                raise TypeError(said) from None

        return called

    return decorate
