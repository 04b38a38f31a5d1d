"""What the zygote imports, so that its children need no file: the standard library, and packages on request."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import pkgutil
import sys
import warnings
import zoneinfo
from typing import Any

#: Modules that open windows, print, belong to other systems, test Python itself, or are deprecated.
_NOT = """
__main__ _aix_support _bootsubprocess _msi _osx_support _overlapped _pyrepl _scproxy _tkinter _winapi _wmi antigravity
asynchat asyncore distutils ensurepip idlelib imp lib2to3 msilib msvcrt nt nturl2path smtpd this tkinter turtle
turtledemo venv winreg winsound
"""
#: Last parts of the names of modules that no user needs: tests, builds, vendored tools.
_NOT_IN_PACKAGES = "tests test testing conftest __main__ distutils f2py _pyinstaller setup _build_utils"


def preload_library() -> None:
    """Import the standard library."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in sorted(sys.stdlib_module_names - set(_NOT.split())):
            with contextlib.suppress(Exception):  # not built into every Python
                _import_submodules(importlib.import_module(name))


def preload_packages(names: list[str]) -> dict[str, str]:
    """Import packages with all their submodules; return, for each package that failed, why."""
    failed: dict[str, str] = {}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in names:
            try:
                package = importlib.import_module(name)
            except Exception as error:  # noqa: BLE001 - told to whoever asked for it
                failed[name] = f"{type(error).__name__}: {error}"
                continue
            _import_submodules(package)
    return failed


def _import_submodules(package: Any) -> None:
    """Import all submodules of a package now: later, when the package first needs one, a child cannot."""
    pending, unwanted = [package], set(_NOT_IN_PACKAGES.split())
    while pending:
        outer = pending.pop()
        for found in pkgutil.iter_modules(getattr(outer, "__path__", ()), outer.__name__ + "."):
            if found.name.rpartition(".")[2] in unwanted:
                continue
            with contextlib.suppress(Exception, SystemExit):  # parts for other systems, or with other needs
                module = importlib.import_module(found.name)
                if found.ispkg:
                    pending.append(module)


def load_time_zones() -> None:
    """Read the time zone database into memory, and have `zoneinfo` look there."""
    zones: dict[str, bytes] = {}
    root = next((path for path in zoneinfo.TZPATH if os.path.isdir(path)), None)
    for folder, folders, files in os.walk(root) if root else ():
        folders[:] = [name for name in folders if name not in ("posix", "right")]
        for file in files:
            path = os.path.join(folder, file)
            with open(path, "rb") as opened:
                data = opened.read()
            if data.startswith(b"TZif"):
                zones[os.path.relpath(path, root)] = data
    common: Any = importlib.import_module("zoneinfo._common")
    if not zones:
        return  # `zoneinfo` then takes the tzdata package, if there is one

    def load(key: str) -> io.BytesIO:
        try:
            return io.BytesIO(zones[key])
        except KeyError:
            raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}") from None

    common.load_tzdata = load
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.available_timezones = lambda: set(zones)


def forget_import_path() -> None:
    """Empty the import path, so that importing anything else fails as in a Python that does not have it."""
    sys.path[:] = []
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
