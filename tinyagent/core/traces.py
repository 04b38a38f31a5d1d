"""Tracebacks that end where the caller can do something: in code of the caller's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from tinyagent.core.errors import RunError

#: This package and those that it is built on: what happens in them says nothing more than the error does.
_INSIDE = frozenset(
    (
        *("tinyagent", "openai", "httpx", "httpx2", "httpx_aiohttp", "httpcore", "httpcore2", "h11", "aiohttp"),
        *("aiohappyeyeballs", "anyio", "mcp", "pydantic", "pydantic_core", "pydantic_monty"),
    )
)
_LIBRARY = str(Path(os.__file__).parent)


def shorten(error: BaseException) -> None:
    """Leave out of an error the frames and causes that say nothing to whoever reads it, as it leaves the package.

    Done between `except` and a bare `raise`, which then begins the traceback anew in the line of the caller. Frames of
    other code stay, from the first one on: of a tool, of a model that is a function. So does every cause that came from
    there, or that nobody expected. A cause that is hidden is the error's `__context__`. With `TINYAGENT_TRACEBACK=full`
    in the environment everything stays.
    """
    if os.environ.get("TINYAGENT_TRACEBACK") == "full":
        return
    for each in list(_chain(error)):
        if type(each) is RunError:  # a fault of ours, which is told with all there is
            return
        _cut(each)
        following = _next(each)
        if following is not None and _is_ours(each) and _says_nothing(following):
            each.__context__, each.__cause__ = following, None  # and so it is not shown
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
    error.with_traceback(made)  # which no class can forbid


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what is shown of how it came about."""
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
    """Whether it is a library's own, from which the error that it caused was made."""
    made_inside = type(error).__module__.partition(".")[0] in _INSIDE and not _is_ours(error)
    return made_inside and all(_is_inside(frame.tb_frame) for each in _chain(error) for frame in _frames(each))
