"""Puts the functions over the files in memory where the originals were."""

from __future__ import annotations

import _io
import fcntl
import os
import posix
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

from tinyagent.sandbox.child.files import paths  # noqa: F401 - it adds to CALLS
from tinyagent.sandbox.child.files.arguments import CALLS
from tinyagent.sandbox.child.files.descriptors import CONTROLS
from tinyagent.sandbox.child.files.listing import DirEntry
from tinyagent.sandbox.child.files.objects import FileIO, open_code, open_file
from tinyagent.sandbox.child.files.packages import install_in_numpy
from tinyagent.sandbox.child.files.tree import WORK

#: Modules that everything is built on; they keep the originals.
_FOUNDATIONS = (posix, _io)
#: Modules that import the modules of the code.
_IMPORTERS = ("_frozen_importlib_external", "zipimport")
_IO: dict[str, Callable[..., Any]] = {"open": open_file, "open_code": open_code, "FileIO": FileIO}
#: Replacements by the identity of what they replace.
_Replacements: TypeAlias = dict[int, Any]


def install() -> None:
    """Have every module that is loaded see the files in memory, and none on disk.

    Import what will be needed before: afterwards `import` finds the modules that the code has written, and no others.
    Descriptors of pipes and sockets work on. Whoever must reach the disk afterwards calls `posix` itself.
    """
    replacements = _replacements()
    install_in_numpy(replacements)
    for module in list(sys.modules.values()):
        if issubclass(type(module), ModuleType) and module not in _FOUNDATIONS:
            _replace_in_module(module, replacements)
    for name in ("supports_dir_fd", "supports_effective_ids", "supports_fd", "supports_follow_symlinks"):
        functions: set[Any] = getattr(os, name)
        now = {replacements.get(id(function), function) for function in functions}
        functions.clear()
        functions.update(now)
    _install_imports()
    _install_defaults()


def _replacements() -> _Replacements:
    found: _Replacements = {id(posix.DirEntry): DirEntry}
    for module, calls in ((posix, CALLS), (fcntl, CONTROLS), (_io, _IO)):
        found |= {id(getattr(module, name)): call for name, call in calls.items()}
    return found


def _replace_in_module(module: ModuleType, replacements: _Replacements) -> None:
    for name, value in list(vars(module).items()):
        if id(value) in replacements:
            setattr(module, name, replacements[id(value)])
        elif issubclass(type(value), type) and getattr(value, "__module__", None) == module.__name__:
            _replace_in_class(value, replacements)
        else:
            _replace_in_defaults(value, replacements)


def _replace_in_class(owner: type, replacements: _Replacements) -> None:
    for name, value in list(vars(owner).items()):
        inner = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if id(inner) in replacements:  # the originals do not become methods either
            setattr(owner, name, staticmethod(replacements[id(inner)]))
        else:
            _replace_in_defaults(inner, replacements)


def _replace_in_defaults(function: Any, replacements: _Replacements) -> None:
    if type(function) is not FunctionType:
        return
    if function.__defaults__ and any(id(value) in replacements for value in function.__defaults__):
        function.__defaults__ = tuple(replacements.get(id(value), value) for value in function.__defaults__)
    named = function.__kwdefaults__ or {}
    named.update({name: replacements.get(id(value), value) for name, value in named.items()})
    _replace_in_defaults(vars(function).get("__wrapped__"), replacements)


def _install_imports() -> None:
    """Have modules that the code has written imported from the working directory, like those beside a script."""
    for name, module, calls in (("_os", posix, CALLS), ("_io", _io, _IO)):
        double = ModuleType(module.__name__)
        vars(double).update(vars(module) | calls)
        for importer in _IMPORTERS:
            if hasattr(sys.modules.get(importer), name):
                setattr(sys.modules[importer], name, double)
    if "" not in sys.path:
        sys.path.insert(0, "")


def _install_defaults() -> None:
    os.environ["HOME"] = WORK
    loaded: dict[str, Any] = sys.modules
    if "tempfile" in loaded:
        loaded["tempfile"].tempdir = None
    if "dbm" in loaded and "dbm.dumb" in loaded:  # the only one written in Python, so with files in memory
        vars(loaded["dbm"]).update(_names=["dbm.dumb"], _modules={}, _defaultmod=None)
