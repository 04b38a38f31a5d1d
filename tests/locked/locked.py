"""Functions run in a locked process: in an interpreter of its own, as root or as a user without privileges.

The function travels as source, so it uses what `HEADER` imports and the helpers it is sent with, and its value comes
back as JSON.
"""

import inspect
import json
import os
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tinyagent.locked import lock as locking, seccomp

ROOT = Path(__file__).parents[2]
NOBODY = 65534
PACKAGED = "/usr/bin/python3"  # that of the tests may be in a home nobody else can enter
OUTCOME = "=> "

HEADER = """
import asyncio, concurrent.futures.thread, contextlib, ctypes, datetime as dt, decimal, errno, fcntl, hashlib, json
import mmap, os, pathlib, queue, random, re, resource, secrets, select, signal, socket, struct, subprocess, sys
import threading, time, uuid
from tinyagent.locked import lock as locking, seccomp
"""


def inside(
    work, *, before=None, look=None, memory=256 << 20, cpu_seconds=20, threads=0, uid=None, keep=(), parent=None
):
    """Fork, lock and work.

    Args:
        work: What the locked process does; its value comes back as JSON.
        before: What it does before it is locked.
        look: What the parent does with the process id while the locked process waits.
        memory, cpu_seconds, threads, uid, keep, parent: As for `lock`.

    Returns:
        `lock`, `value`, `looked`, and `status`, the exit code, negative for a signal.
    """
    answer, told = os.pipe()
    hold, release = os.pipe()
    here = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            if before is not None:
                before()
            lock = locking.lock(
                memory=memory,
                cpu_seconds=cpu_seconds,
                threads=threads,
                uid=700_000 + os.getpid() if uid is None else uid,
                parent=here if parent is None else parent,
                keep={0, 1, 2, told, hold, *keep},
            )
            os.write(told, json.dumps({"lock": lock}).encode() + b"\n")
            if look is not None:
                os.read(hold, 1)
            os.write(told, json.dumps({"value": work()}).encode() + b"\n")
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            os.write(told, json.dumps({"error": text}).encode() + b"\n")
        finally:
            os._exit(0)
    os.close(told)
    found = {}
    with os.fdopen(answer) as lines:
        if look is not None:
            found |= json.loads(lines.readline())
            found["looked"] = look(pid)
            os.write(release, b".")
        for line in lines:
            found |= json.loads(line)
    for descriptor in (hold, release):
        os.close(descriptor)
    found["status"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return found


def fail_calls(errors):
    """Have system calls fail from now on, by number, as they do where a kernel or a container lacks them."""
    program = seccomp._load(seccomp.NUMBER)
    for number, error in errors.items():
        program += struct.pack("=HBBI", seccomp.EQUAL, 0, 1, number) + seccomp._fail(error)
    locking._prctl(locking.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(program + seccomp.ALLOW)


@cache
def interpreter(user):
    """An interpreter that the user can run, or the reason that there is none."""
    if user == "root":
        return (sys.executable, None) if os.geteuid() == 0 else (None, "needs root")
    if os.geteuid() != 0:
        return sys.executable, None
    probe = "import sys, tinyagent.locked.lock as lock; sys.exit(sys.version_info < (3, 11))"
    for candidate in (sys.executable, PACKAGED):
        with_source = [candidate, "-P", "-B", "-c", probe]
        try:
            done = subprocess.run(
                with_source, cwd="/", env=_environment(), **_as(user), check=False, capture_output=True, timeout=30
            )
        except OSError:
            continue
        if done.returncode == 0:
            return candidate, None
    return None, f"no CPython from 3.11 on that an unprivileged user can run: {PACKAGED} is none, or {ROOT} is private"


def _as(user):
    if user == "nobody" and os.geteuid() == 0:
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return {}


def _environment():
    return {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


def run_as(user, main, *helpers, timeout=50):
    """The value of `main`, a function without arguments, called in a new process of the user."""
    python, reason = interpreter(user)
    if python is None:
        pytest.skip(reason)
    sources = [inspect.getsource(each) for each in (inside, fail_calls, *helpers, main)]
    call = f"print({OUTCOME!r} + json.dumps({main.__name__}()))"
    script = "\n".join([HEADER, *sources, call])
    command = [python, "-P", "-B", "-W", "error", "-c", script]
    done = subprocess.run(
        command, cwd="/", env=_environment(), **_as(user), check=False, capture_output=True, text=True, timeout=timeout
    )
    outcome = [line for line in done.stdout.splitlines() if line.startswith(OUTCOME)]
    assert outcome, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(outcome[-1].removeprefix(OUTCOME))
