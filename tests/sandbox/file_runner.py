"""Runs programs one after the other, each in a directory of its own, on disk or in memory; started by `test_files`.

Reads `{"memory": bool, "base": path, "programs": {name: code}}`, and writes what each program printed and raised.
"""

# ruff: noqa: F401, ICN001, PTH102, PTH109, PTH112, PTH118, PTH202 - the programs find all this loaded, and use both ways
from __future__ import annotations

import _io
import array
import asyncio
import bz2
import codecs
import collections
import concurrent.futures.thread
import configparser
import contextlib
import copy
import cProfile
import csv
import dbm.dumb
import encodings.ascii
import encodings.cp437
import encodings.cp1252
import encodings.idna
import encodings.latin_1
import encodings.utf_8_sig
import encodings.utf_16
import fcntl
import filecmp
import fileinput
import gc
import glob
import gzip
import hashlib
import importlib.util
import inspect
import io
import json
import linecache
import logging.handlers
import lzma
import mailbox
import marshal
import mimetypes
import os
import pathlib
import pickle
import pkgutil
import plistlib
import posix
import pstats
import re
import runpy
import shelve
import shutil
import socket
import sqlite3
import stat
import sys
import tarfile
import tempfile
import time
import tokenize
import tomllib
import traceback
import types
import urllib.request
import warnings
import wave
import xml.dom.expatbuilder
import xml.dom.minidom
import xml.etree.ElementTree
import zipfile
from pathlib import Path

from tinyagent.sandbox.child import files
from tinyagent.sandbox.child.files.arguments import CALLS

reached: list[str] = []
#: What to print for the paths of this process.
shown: dict[str, str] = {}


def watch(event: str, args: tuple) -> None:
    """Remember what reaches the disk: functions of C that were given a path say so."""
    if event.startswith("os.") and event not in ("os.putenv", "os.walk", "os.fwalk"):
        reached.append(f"{event}{args}")
    if event == "open" and not isinstance(args[0], int):
        reached.append(f"{event}{args}")


def tried(call) -> None:
    """Print what a call returns or raises."""
    try:
        print("returned", plain(repr(call())))
    except Exception as error:
        print("raised", told(error))


def told(error: BaseException) -> str:
    """All that is seen of an error."""
    names = (getattr(error, "filename", None), getattr(error, "filename2", None))
    return plain(f"{type(error).__name__} | {getattr(error, 'errno', None)} | {error} | {names}")


def show(*values) -> None:
    """Print the values."""
    print(plain(", ".join(map(repr, values))))


def tree() -> None:
    """Print what is in the working directory."""
    for top, folders, names in sorted(os.walk(".")):
        for name in sorted(folders + names):
            path = os.path.join(top, name)
            print(path[2:], "dir" if os.path.isdir(path) else os.path.getsize(path))


def plain(text: str) -> str:
    """The text without what differs on purpose: where the files are, and the numbers of descriptors."""
    for path, name in shown.items():
        text = text.replace(path, name)
    return re.sub(r"name=\d+", "name=N", text)


def run(name: str, code: str, base: str) -> str:
    """Run a program in a new directory, and return what it printed and raised."""
    folder = os.path.join(base, re.sub(r"\W", "_", name))
    os.mkdir(folder)
    os.chdir(folder)
    before = dict(shown)
    shown.clear()
    shown.update({folder: "<here>", **before})
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            exec(compile(code, "program.py", "exec"), {**globals(), "__name__": "program"})
        except Exception as error:
            print("ended by", told(error))
    shown.clear()
    shown.update(before)
    return output.getvalue()


def kept() -> list[str]:
    """Where functions that were replaced can still be found, but for the modules they come from."""
    found = []
    originals = [getattr(posix, name) for name in CALLS] + [_io.open, _io.open_code]
    for original in originals:
        for holder in gc.get_referrers(original):
            if holder is originals or holder is vars(posix) or holder is vars(_io):
                continue
            if isinstance(
                holder, types.FrameType | types.CellType
            ):  # this one, and what falls back for real descriptors
                continue
            if isinstance(holder, types.ModuleType) and holder.__name__ == "_zoneinfo":  # it is C, and has no zones
                continue
            found.append(f"{original.__name__}: {repr(holder)[:300]}")
    return found


def main() -> None:
    """Run what the standard input asks for."""
    order = json.load(sys.stdin)
    for module in order["modules"]:
        importlib.import_module(module)
    os.umask(0o022)
    base = os.getcwd()
    if order["memory"]:
        files.install()
        base = os.getcwd()
        sys.addaudithook(watch)
    elif "" not in sys.path:
        sys.path.insert(0, "")
    shown.update({tempfile.gettempdir(): "<tmp>", base: "<base>"})
    results = {name: run(name, code, base) for name, code in order["programs"].items()}
    json.dump({"results": results, "reached": reached, "kept": kept() if order["memory"] else []}, sys.stdout)


if __name__ == "__main__":
    main()
