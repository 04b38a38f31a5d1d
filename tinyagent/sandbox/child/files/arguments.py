"""What the functions of `os` do with their arguments: paths, descriptors, and errors that name them."""

from __future__ import annotations

import functools
import os
import posix
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from tinyagent.sandbox.child.files.nodes import Node
from tinyagent.sandbox.child.files.tree import Place, is_ours, tree

#: What replaces the functions of `os`, by name.
CALLS: dict[str, Callable[..., Any]] = {}
#: What may be given for a path, in the words of error messages.
PATH = "string, bytes or os.PathLike"
PATH_OR_DESCRIPTOR = "string, bytes, os.PathLike or integer"
PATH_OR_NOTHING = "string, bytes, os.PathLike, integer or None"

_Function = TypeVar("_Function", bound=Callable[..., Any])


def replaces(function: _Function) -> _Function:
    """Have the function `_name` replace `os.name`, on systems that have such a function."""
    return _published(function, function)


def _published(call: Callable[..., Any], function: _Function) -> _Function:
    name = function.__name__.lstrip("_")
    for either in (call, function):
        either.__name__ = either.__qualname__ = name
    if hasattr(posix, name):
        CALLS[name] = call
        call.__doc__ = getattr(posix, name).__doc__
    return function


def takes_descriptors(function: _Function) -> _Function:
    """Have a function replace that of `os`, which also takes descriptors: those of the kernel go to the original."""
    original: Any = getattr(posix, function.__name__.lstrip("_"), None)

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        path = args[0] if args else options.get("path")
        ours = not isinstance(path, int) or is_ours(path)
        return (function if ours else original)(*args, **options)

    return _published(call, function)


def on_descriptor(function: _Function) -> _Function:
    """Have a function of an open file replace that of `os` for descriptors in memory; others go to the original."""
    original: Any = getattr(posix, function.__name__.lstrip("_"), None)

    @functools.wraps(function)
    def call(fd: Any, *args: Any, **options: Any) -> Any:
        return function(tree.opened(fd), *args, **options) if is_ours(fd) else original(fd, *args, **options)

    return _published(call, function)


class about:  # noqa: N801 - reads as a statement
    """A context in which an `OSError` that names no path gets these paths."""

    __slots__ = ("_paths",)

    def __init__(self, *paths: Any) -> None:
        self._paths = paths

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.filename is None:
            names = [os.fspath(path) if hasattr(path, "__fspath__") else path for path in self._paths]
            for attribute, name in zip(("filename", "filename2"), names, strict=False):
                setattr(error, attribute, name)


def path_text(path: Any, call: str, *, name: str = "path", kinds: str = PATH) -> str:
    """Return an argument of the function `call`, which must be a path, as text."""
    if not isinstance(path, str | bytes) and not hasattr(path, "__fspath__"):
        raise TypeError(f"{call}: {name} should be {kinds}, not {type(path).__name__}")
    text = os.fsdecode(path)
    if "\0" in text:
        old = sys.version_info < (3, 13)
        raise ValueError("embedded null byte" if old else f"{call}: embedded null character in {name}")
    return text


def place_at(call: str, path: Any, dir_fd: Any = None, *, name: str = "path", kinds: str = PATH) -> Place:
    """Return where a path leads, from the directory that `dir_fd` has open or else from the working directory."""
    text = path_text(path, call, name=name, kinds=kinds)
    if dir_fd is None:
        return tree.place(text)
    if not isinstance(dir_fd, int):
        raise TypeError(f"argument should be integer or None, not {type(dir_fd).__name__}")
    return tree.place(text, None if text.startswith("/") else tree.opened(dir_fd).directory())


def node_at(call: str, path: Any, dir_fd: Any = None, *, kinds: str = PATH_OR_DESCRIPTOR) -> Node:
    """Return the node that a path leads to, or that a descriptor has open."""
    if not isinstance(path, int) or kinds is PATH:
        return place_at(call, path, dir_fd, kinds=kinds).found()
    if dir_fd is not None:
        raise ValueError(f"{call}: can't specify dir_fd without matching path")
    return tree.opened(path).node
