"""Locking this process, for good, before it runs code that nobody has read.

What holds is the seccomp filter: with it alone no file, network, process or privilege is in reach, because every
call that could reach one is refused. The rest takes away what such a call would have found: a user id of its own, no
capabilities, limits on what it uses up, and a landlock domain without a single right, where the kernel has landlock.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TypedDict

from tinyagent.locked.seccomp import MACHINES, filter_program, install, libc, problem_here, syscall, with_pid

if sys.platform == "linux":
    import posix  # os may see files in memory only
    import resource

__all__ = ["Lock", "LockError", "keep_others_out", "lock", "prepare", "reason_against"]

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CLONE_NEWUSER = 0x10000000
CAPSET = (126, 91)  # number by `Machine.column`; the numbers below are the same everywhere
CLOSE_RANGE = 436
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522

M_ARENA_MAX = -8
DESCRIPTORS = 64
STACK = 8 * 1024 * 1024
NICE = 19  # the least there is: whatever the processors are shared with goes first
#: Users of their own for locked processes, by their process ids: far from any that are in use.
FIRST_USER = 1_879_048_192


class LockError(RuntimeError):
    """This process cannot be locked; the text says what failed."""


class Lock(TypedDict):
    """What holds a locked process beside the seccomp filter.

    Attributes:
        landlock: The version of landlock in force, 0 if the kernel has none.
        uid: The user id taken, None if it is still that of the parent.
        thread_limit: Whether the number of threads is limited, and not only by the memory they need.
    """

    landlock: int
    uid: int | None
    thread_limit: bool


def reason_against() -> str | None:
    """Return why no process can be locked here, or None; change nothing."""
    if sys.platform != "linux":
        return f"it needs Linux, and this is {sys.platform}"
    machine = os.uname().machine
    if machine not in MACHINES or sys.maxsize < 2**32:
        bits = 64 if sys.maxsize > 2**32 else 32
        return f"it knows 64-bit {' and '.join(MACHINES)}, and this is a {bits}-bit Python on {machine}"
    if (problem := problem_here()) is not None:
        return f"the kernel has no seccomp filters, or they are forbidden here ({problem})"
    if (problem := _reason_against_signals()) is not None:
        return problem
    return None if os.path.exists("/proc/self/statm") else "/proc is not mounted"


def _reason_against_signals() -> str | None:
    """Return why a process cannot be signalled by its descriptor here, or None."""
    try:
        descriptor = os.pidfd_open(os.getpid())
    except OSError as error:
        return f"the kernel is older than 5.3, or pidfd_open is forbidden here ({error.strerror})"
    except AttributeError:
        return "this Python was built without os.pidfd_open"
    try:
        signal.pidfd_send_signal(descriptor, 0)
    except OSError as error:
        return f"pidfd_send_signal is missing or forbidden here ({error.strerror})"
    except AttributeError:
        return "this Python was built without signal.pidfd_send_signal"
    finally:
        os.close(descriptor)
    return None


@cache
def prepare() -> dict[bool, bytes]:
    """Do what every lock needs, once, in the process that forks; return the filters without and with threads."""
    if hasattr(libc(), "mallopt"):  # glibc: else each thread sets 64 MB of the address space aside
        libc().mallopt(M_ARENA_MAX, 1)
    return {threads: filter_program(os.uname().machine, threads=threads, pid=0) for threads in (False, True)}


def keep_others_out() -> None:
    """Let no other process of this user look into this one, nor trace it."""
    _prctl(PR_SET_DUMPABLE, 0)


def lock(
    *,
    memory: int,
    cpu_seconds: int | None,
    threads: int,
    uid: int | None,
    parent: int,
    keep: set[int],
    nice: int = NICE,
) -> Lock:
    """Lock this process for good, and return what holds it beside the seccomp filter.

    The process must have one thread, and must have imported everything that it will ever import.

    Args:
        memory: Bytes of address space that the process may take from now on; each thread takes 8 MB for its stack.
        cpu_seconds: CPU seconds that the process may use before it is killed; None for no limit.
        threads: Threads that the process may have besides its main thread.
        uid: A user id that no other process has, taken if this process may change its user.
        parent: The id of the process with whose end this process ends.
        keep: Descriptors that stay open.
        nice: How far the process gives way to others, 0 to 19; never less than it has inherited.

    Raises:
        LockError: A part that matters failed. The process is half locked: end it.
    """
    filters = prepare()
    _leave_host(keep, nice)
    own = _take_uid(uid)
    counted = own is not None or _enter_user_namespace()
    with _must("give up capabilities"):
        # empty permitted and inheritable sets empty the ambient one too
        header = struct.pack("=Ii", LINUX_CAPABILITY_VERSION_3, 0)
        syscall(CAPSET[MACHINES[os.uname().machine].column], header, bytes(24))
    with _must("limit resources"):
        _limit(memory, cpu_seconds, threads + 1 if counted else None)
    with _must("leave the debugger out"):
        _prctl(PR_SET_DUMPABLE, 0)
    _die_with(parent)
    with _must("give up new privileges"):
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
    landlock = _landlock()
    with _must("install the seccomp filter"):
        install(with_pid(filters[threads > 0], os.getpid()))
    return Lock(landlock=landlock, uid=own, thread_limit=counted or threads == 0)


@contextmanager
def _must(purpose: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, OverflowError) as error:
        raise LockError(f"The sandbox process could not {purpose}: {error}") from error


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if libc().prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _leave_host(keep: set[int], nice: int) -> None:
    """Be killed first when memory is short, give way by `nice`, and hold on to no directory or descriptor."""
    with suppress(OSError):
        _prctl(PR_SET_DUMPABLE, 1)  # else /proc/self belongs to root
        descriptor = posix.open("/proc/self/oom_score_adj", os.O_WRONLY)
        posix.write(descriptor, b"1000")
        posix.close(descriptor)
    os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    posix.umask(0o077)
    with _must("leave its directory"):
        posix.chdir("/")
    with _must("close its descriptors"):
        _close_others(keep)


def _close_others(keep: set[int]) -> None:
    """Close all descriptors but these."""
    kept = sorted(keep)
    try:
        for before, behind in zip([-1, *kept], [*kept, 1 << 32], strict=True):
            if behind - before > 1:
                syscall(CLOSE_RANGE, before + 1, behind - 1, 0)
    except OSError:  # older than Linux 5.9, or forbidden
        for descriptor in {int(name) for name in posix.listdir("/proc/self/fd")} - keep:
            with suppress(OSError):  # the descriptor of the listing is closed already
                posix.close(descriptor)


def _take_uid(uid: int | None) -> int | None:
    """Change to a user of its own, if this process may, and return the user's id, else None.

    Root may, with CAP_SETUID and in a user namespace that has the id.
    """
    if uid is None or os.geteuid() != 0:
        return None
    with suppress(OSError):
        os.setgroups([])
        os.setresgid(uid, uid, uid)
    try:
        os.setresuid(uid, uid, uid)
    except OSError:
        return None
    return uid


def _enter_user_namespace() -> bool:
    """Enter a user namespace, so that the kernel counts this process's threads by themselves; return whether it does.

    Root stays outside, since its threads are never counted; so does everybody before Linux 5.14, when namespaces had
    no count of their own.
    """
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if os.geteuid() == 0 or version is None or (int(version[1]), int(version[2])) < (5, 14):
        return False
    return bool(libc().unshare(ctypes.c_int(CLONE_NEWUSER)) == 0)


def _limit(memory: int, cpu_seconds: int | None, processes: int | None) -> None:
    limits = {
        resource.RLIMIT_AS: _address_space() + memory,
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_STACK: STACK,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if processes is not None:  # threads are processes to the kernel
        limits[resource.RLIMIT_NPROC] = processes
    for kind, limit in limits.items():
        limit = _within(kind, limit)
        resource.setrlimit(kind, (limit, limit))
    if cpu_seconds is not None:  # SIGXCPU comes first, and could be caught; SIGKILL comes a second later
        hard = _within(resource.RLIMIT_CPU, cpu_seconds + 1)
        resource.setrlimit(resource.RLIMIT_CPU, (min(cpu_seconds, hard), hard))


def _within(kind: int, limit: int) -> int:
    """Return the limit, or the lower limit that this process already has and may not raise."""
    hard = resource.getrlimit(kind)[1]
    return limit if hard == resource.RLIM_INFINITY else min(limit, hard)


def _address_space() -> int:
    """Return the bytes of address space that this process uses."""
    descriptor = posix.open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(posix.read(descriptor, 64).split()[0]) * resource.getpagesize()
    finally:
        posix.close(descriptor)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; a later change of user would undo this."""
    with _must("tie itself to its parent"):
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent has ended already
        os._exit(1)


def _landlock() -> int:
    """Enter a landlock domain that allows nothing, and return the kernel's version of landlock, 0 if it has none."""
    try:
        version = syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
        files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
        network = 0b11 if version >= 4 else 0
        scopes = 0b11 if version >= 6 else 0
        handled = struct.pack("=QQQ", files, network, scopes)
        size = 24 if version >= 6 else 16 if version >= 4 else 8
        ruleset = syscall(LANDLOCK_CREATE_RULESET, handled[:size], size, 0)
        try:
            syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
        finally:
            posix.close(ruleset)
    except OSError:  # too old, switched off, or forbidden: the second layer is a bonus
        return 0
    return version
