"""The doors of the package: what is wrong is told at the line of the call, and tracebacks end in the caller's code."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

from tinyagent.core.errors import RunError, TinyAgentError

P = ParamSpec("P")
R = TypeVar("R")

#: This package and those that it is built on: their frames say nothing that the error does not.
_INSIDE = frozenset(
    (
        *("tinyagent", "openai", "httpx", "httpx2", "httpx_aiohttp", "httpcore", "httpcore2", "h11", "aiohttp"),
        *("aiohappyeyeballs", "anyio", "mcp", "pydantic", "pydantic_core", "pydantic_monty"),
    )
)
_LIBRARY = str(Path(os.__file__).parent)


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


def shorten(error: BaseException) -> None:
    """Remove from an error that leaves the package the frames and causes that tell its reader nothing.

    Call this between `except` and a bare `raise`, which then begins the traceback anew in the line of the caller. From
    the first frame of other code on, such as a tool or a model that is a function, frames stay. So does every cause
    that came from such code, or that nobody expected. A hidden cause stays the error's `__context__`. With
    `TINYAGENT_TRACEBACK=full` in the environment everything stays.
    """
    if os.environ.get("TINYAGENT_TRACEBACK") == "full":
        return
    for each in list(_chain(error)):
        if type(each) is RunError:  # a fault of this package: everything is shown
            return
        _cut(each)
        following = _next(each)
        if following is not None and _is_ours(each) and _says_nothing(following):
            each.__context__, each.__cause__ = following, None  # setting `__cause__`, even to None, hides the context
            return


def _cut(error: BaseException) -> None:
    frames = list(_frames(error))
    outside = [at for at, frame in enumerate(frames) if not _is_inside(frame.tb_frame)]
    if outside:
        frames = frames[outside[0] : outside[-1] + 1] if _is_ours(error) else frames[outside[0] :]
    elif _is_ours(error) or isinstance(error, OSError):
        frames = []
    made: TracebackType | None = None
    for frame in reversed(frames):
        made = TracebackType(made, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    error.with_traceback(made)  # no class can forbid it, as it can an assignment


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, its cause, the cause of that, and so on, as Python shows them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = _next(error)


def _next(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _frames(error: BaseException) -> Iterator[TracebackType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == "tinyagent"


def _is_inside(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__")).partition(".")[0]
    file = frame.f_code.co_filename
    return package in _INSIDE or file.startswith("<frozen ") or (file.startswith(_LIBRARY) and "-packages" not in file)


def _says_nothing(error: BaseException) -> bool:
    """Return whether a cause is a library's own error, raised in a library: the error made of it says as much."""
    made_inside = type(error).__module__.partition(".")[0] in _INSIDE and not _is_ours(error)
    return made_inside and all(_is_inside(frame.tb_frame) for each in _chain(error) for frame in _frames(each))
