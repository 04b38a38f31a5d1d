"""Starting a clean Python: one that knows nothing of this process, neither its modules nor its environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: The directory that has this package.
ROOT = str(Path(__file__).resolve().parents[2])
#: Options of the interpreter: no directory of anybody's, no `site`, no compiled files written, UTF-8.
OPTIONS = ("-P", "-s", "-S", "-B", "-X", "utf8")
_START = (
    "import importlib, sys; sys.path.insert(0, sys.argv[1]); "
    "main = importlib.import_module(sys.argv[2]).main; del sys.path[0]; main()"
)


def command(module: str) -> list[str]:
    """Return the command that runs `main` of a module of this package in a clean Python."""
    return [sys.executable or "", *OPTIONS, "-c", _START, ROOT, module]


def search_path() -> list[str]:
    """Return where this process finds packages, for a Python that works in another directory."""
    return [os.path.abspath(path) for path in sys.path if path]


def why_it_cannot_start(error: OSError) -> str:
    """Return what keeps a command from being started, and what to do about it."""
    return (
        f"cannot start this process's interpreter, {sys.executable!r} ({error.strerror}): let this user read and "
        "execute it, and the folders above it"
    )
