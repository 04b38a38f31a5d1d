"""The system calls that a locked process may make, as a seccomp filter.

The list names what CPython, glibc, musl and numpy need once everything is imported: memory, time, threads, and
descriptors that are open already. No call that takes a path is in it, none that reaches another process, and none
that makes a descriptor for anything but a pipe. A call that is not in the list fails with EPERM, so that Python raises
`PermissionError`; a call newer than the list fails with ENOSYS, so that the C library falls back on an older one.

The filter is a classic BPF program, built from blocks: pieces of machine code all of whose paths end in a `RETURN`.
It sees the numbers passed to a call, never what a pointer points at. A number is 64 bits wide and BPF compares 32.
Where the kernel takes an `int` it drops the upper half itself, so comparing the lower half is exact; the rules say
where they look at the upper one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from functools import cache, reduce
from typing import NamedTuple, TypeAlias

__all__ = [
    "MACHINES",
    "NEWEST",
    "RULES",
    "SYSCALLS",
    "filter_program",
    "install",
    "libc",
    "problem_here",
    "syscall",
    "with_pid",
]


class Machine(NamedTuple):
    """A processor: its number in the kernel's audit, its column in `SYSCALLS`, and whether it also speaks x32."""

    audit: int
    column: int
    x32: bool


MACHINES = {"x86_64": Machine(0xC000003E, 0, True), "aarch64": Machine(0xC00000B7, 1, False)}

#: The calls that are allowed, some of them by a rule of `RULES` only: numbers on x86_64 and aarch64, None if missing.
# fmt: off
SYSCALLS: dict[str, tuple[int | None, int | None]] = {
    # descriptors that are open
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "pwrite64": (18, 68),
    "lseek": (8, 62), "fstat": (5, 80), "close": (3, 57), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    "fcntl": (72, 25), "ioctl": (16, 29),
    # pipes and their like
    "pipe": (22, None), "pipe2": (293, 59), "eventfd2": (290, 19), "socketpair": (53, 199), "sendto": (44, 206),
    "recvfrom": (45, 207), "shutdown": (48, 210),
    # waiting
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "pause": (34, None),
    "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None),
    "epoll_pwait": (281, 22), "restart_syscall": (219, 128),
    # memory
    "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216), "mprotect": (10, 226), "madvise": (28, 233),
    "brk": (12, 214),
    # threads
    "clone": (56, 220), "clone3": (435, 435), "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293),
    "set_tid_address": (218, 96), "gettid": (186, 178), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "exit": (60, 93), "exit_group": (231, 94),
    # signals to itself
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "tgkill": (234, 131), "alarm": (37, None), "setitimer": (38, 103), "getitimer": (36, 102),
    # time
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "time": (201, None),
    # about itself, and randomness
    "getpid": (39, 172), "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177), "getrlimit": (97, 163), "prlimit64": (302, 261), "getrusage": (98, 165), "times": (100, 153),
    "getcwd": (79, 17), "uname": (63, 160), "getrandom": (318, 278),
}
# fmt: on
#: The number of the newest call that was weighed for the table.
NEWEST = 450

# What `clone` gets from pthread_create: VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID, CHILD_CLEARTID.
THREAD_FLAGS = 0x3D0F00
CLONE_DETACHED = 0x400000  # musl adds it; the kernel ignores it
FIONREAD, FIONBIO, FIONCLEX, FIOCLEX = 0x541B, 0x5421, 0x5450, 0x5451
F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
O_NONBLOCK, O_CLOEXEC = 0o4000, 0o2000000  # as flags of a socket's type they have the same values
AF_UNIX, SOCK_STREAM = 1, 1
MSG_PEEK, MSG_DONTWAIT, MSG_WAITALL, MSG_NOSIGNAL = 0x2, 0x40, 0x100, 0x4000
FUTEX_PRIVATE, FUTEX_CLOCK_REALTIME = 0x80, 0x100
# WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET
FUTEX_PLAIN = (0, 1, 3, 4, 5, 9, 10)
FUTEX_WAITS = (0, 9)  # WAIT, WAIT_BITSET
# NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, DONTDUMP, GUARD_INSTALL, GUARD_REMOVE
MADVISE_OWN = (0, 1, 2, 3, 4, 8, 14, 15, 16, 102, 103)
MAP_HUGETLB = 0x40000
CLOCKS = 16  # those known by number; a negative one names another process, or a device

# Machine code ---------------------------------------------------------------------------------------------------------

Block: TypeAlias = bytes
INSTRUCTION = struct.Struct("=HBBI")  # operation, instructions to skip if true, if false, constant
LOAD, SET_X, AND = 0x20, 0x01, 0x54
EQUAL, EQUAL_X, AT_LEAST, ANY_BIT, RETURN = 0x15, 0x1D, 0x35, 0x45, 0x06
NUMBER, AUDIT = 0, 4  # where the kernel puts the number of the call and the kind of processor


def _end(action: int) -> Block:
    return INSTRUCTION.pack(RETURN, 0, 0, action)


def _fail(error: int) -> Block:
    return _end(0x00050000 | error)


ALLOW = _end(0x7FFF0000)
KILL = _end(0x80000000)  # the whole process
DENY = _fail(errno.EPERM)


def _load(offset: int) -> bytes:
    return INSTRUCTION.pack(LOAD, 0, 0, offset)


def _low(argument: int) -> bytes:
    """Load the lower half of an argument."""
    return _load(16 + 8 * argument)


def _high(argument: int) -> bytes:
    """Load the upper half of an argument."""
    return _load(20 + 8 * argument)


def _without(bits: int) -> bytes:
    """Clear bits of the loaded number."""
    return INSTRUCTION.pack(AND, 0, 0, ~bits & 0xFFFFFFFF)


def _branch(test: int, constant: int, then: Block, otherwise: Block) -> Block:
    skip = len(then) // INSTRUCTION.size  # struct refuses to skip over 255
    return INSTRUCTION.pack(test, 0, skip, constant) + then + otherwise


def _if_equal(value: int, then: Block, otherwise: Block) -> Block:
    return _branch(EQUAL, value, then, otherwise)


def _if_one_of(values: Iterable[int], then: Block, otherwise: Block) -> Block:
    return reduce(lambda rest, value: _if_equal(value, then, rest), values, otherwise)


def _if_null(argument: int, then: Block, otherwise: Block) -> Block:
    """Branch on whether both halves of an argument are zero."""
    return _low(argument) + _if_equal(0, _high(argument) + _if_equal(0, then, otherwise), otherwise)


def _if_own_process(then: Block, otherwise: Block) -> Block:
    """Branch on whether the loaded number is the id of this process, which `with_pid` puts in.

    A rule whose call also takes 0 for this process has to check for 0 before.
    """
    return INSTRUCTION.pack(SET_X, 0, 0, 0) + _branch(EQUAL_X, 0, then, otherwise)


# The calls whose arguments matter -------------------------------------------------------------------------------------

_SENT = _low(3) + _without(MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL) + _if_equal(0, ALLOW, DENY)
_OF_CLOCK = _low(0) + _branch(AT_LEAST, CLOCKS, _fail(errno.EINVAL), ALLOW)

RULES: dict[str, Block] = {
    # Threads and nothing else: the flags of pthread_create. They are a long, so both halves count.
    "clone": _high(0) + _if_equal(0, _low(0) + _without(CLONE_DETACHED) + _if_equal(THREAD_FLAGS, ALLOW, DENY), DENY),
    # The flags of `clone3` are behind a pointer. On ENOSYS the C library falls back on `clone`.
    "clone3": _fail(errno.ENOSYS),
    # Modes of a descriptor. ENOTTY is what `isatty` expects.
    "ioctl": _low(1) + _if_one_of((FIONREAD, FIONBIO, FIONCLEX, FIOCLEX), ALLOW, _fail(errno.ENOTTY)),
    # No owner (F_SETOWN sends signals), lock, lease or size of a pipe.
    "fcntl": _low(1) + _if_one_of((F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL), ALLOW, DENY),
    # No notification pipes (O_EXCL), which have had bugs of their own.
    "pipe2": _low(1) + _without(O_CLOEXEC | O_NONBLOCK) + _if_equal(0, ALLOW, DENY),
    # What asyncio wakes its loop with. Streams only: the other types can be sent to an address.
    "socketpair": _low(0)
    + _if_equal(AF_UNIX, _low(1) + _without(O_CLOEXEC | O_NONBLOCK) + _if_equal(SOCK_STREAM, ALLOW, DENY), DENY),
    # To the other end of the pair only: no address, which is a pointer. No MSG_OOB above all: in Unix sockets it has
    # been a way out of sandboxes (CVE-2025-38236).
    "sendto": _if_null(4, _SENT, DENY),
    "recvfrom": _SENT,
    # Huge pages come from a pool that the whole machine shares.
    "mmap": _low(3) + _branch(ANY_BIT, MAP_HUGETLB, DENY, ALLOW),
    # What allocators ask for. MERGEABLE would tell, by its timing, what other processes hold.
    "madvise": _low(2) + _if_one_of(MADVISE_OWN, ALLOW, _fail(errno.EINVAL)),
    # Waiting and waking in this process; not the priority-inheriting kind, a part of the kernel with a history. On what
    # processes share, such as the code of the C library, two of them could signal to each other. glibc waits so for the
    # end of a thread: on EAGAIN it looks again.
    "futex": _low(1)
    + _without(FUTEX_CLOCK_REALTIME)
    + _if_one_of(
        [FUTEX_PRIVATE | operation for operation in FUTEX_PLAIN],
        ALLOW,
        _if_one_of(FUTEX_WAITS, _fail(errno.EAGAIN), _if_one_of(FUTEX_PLAIN, _fail(errno.EINVAL), _fail(errno.ENOSYS))),
    ),
    # The clock of another process tells that it exists and what it uses.
    "clock_gettime": _OF_CLOCK,
    "clock_getres": _OF_CLOCK,
    "clock_nanosleep": _OF_CLOCK,
    # Of this process only. To glibc ENOSYS is "no such thing" when it describes a thread, and any other error fatal.
    "sched_getaffinity": _low(0) + _if_equal(0, ALLOW, _if_own_process(ALLOW, _fail(errno.ENOSYS))),
    # For `raise`, `abort` and `pthread_kill`.
    "tgkill": _low(0) + _if_own_process(ALLOW, DENY),
    # To read the process's own limits only: the pointer to a new limit is null.
    "prlimit64": _low(0) + _if_equal(0, _if_null(2, ALLOW, DENY), DENY),
}

# The program ----------------------------------------------------------------------------------------------------------


def filter_program(machine: str, *, threads: bool, pid: int) -> bytes:
    """Return the filter for a machine of `MACHINES`, as a program for `install`.

    Args:
        machine: The machine, as `os.uname` names it.
        threads: Whether threads may be started.
        pid: The id of the process that will install the filter; 0 if `with_pid` puts the id in later.
    """
    audit, column, x32 = MACHINES[machine]
    blocks = dict.fromkeys(SYSCALLS, ALLOW) | RULES | ({} if threads else {"clone": DENY})
    numbered = ((SYSCALLS[name][column], block) for name, block in blocks.items())
    calls = _by_number(sorted((number, block) for number, block in numbered if number is not None))
    calls = _branch(AT_LEAST, NEWEST + 1, _fail(errno.ENOSYS), calls)
    if x32:  # from here on the numbers are those of a second table
        calls = _branch(AT_LEAST, 0x40000000, KILL, calls)
    # `_branch` cannot skip this much, so what follows a match is put behind the mismatch
    program = _load(AUDIT) + INSTRUCTION.pack(EQUAL, 1, 0, audit) + KILL + _load(NUMBER) + calls
    return with_pid(program, pid)


def _by_number(calls: list[tuple[int, Block]]) -> Block:
    """Return a search by halves, from the number of a call to its block.

    The kernel tries a new filter on every number, which is most of what installing costs.
    """
    if len(calls) == 1:
        number, block = calls[0]
        return _if_equal(number, block, DENY)
    middle = len(calls) // 2
    return _branch(AT_LEAST, calls[middle][0], _by_number(calls[middle:]), _by_number(calls[:middle]))


def with_pid(program: bytes, pid: int) -> bytes:
    """Return the program with the id of another process in it, without building it again."""
    patched = bytearray(program)
    for index, operation in enumerate(program[:: INSTRUCTION.size]):
        if operation == SET_X:
            INSTRUCTION.pack_into(patched, index * INSTRUCTION.size, SET_X, 0, 0, pid)
    return bytes(patched)


# Installing -----------------------------------------------------------------------------------------------------------

SECCOMP = (317, 277)  # number by `Machine.column`
SET_MODE_FILTER, ALL_THREADS = 1, 1


@cache
def libc() -> ctypes.CDLL:
    """Return the C library of this process."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def syscall(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call, and return its result.

    Raises:
        OSError: The call failed.
    """
    passed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = libc().syscall(ctypes.c_long(number), *passed)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def install(program: bytes) -> None:
    """Put every thread of this process under the filter, for good.

    Raises:
        OSError: The kernel refuses the filter; the process is as it was.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // INSTRUCTION.size, ctypes.addressof(code))
    if thread := _set_filter(header):
        raise OSError(errno.EBUSY, f"thread {thread} has a filter of its own")


def problem_here() -> str | None:
    """Return what keeps filters from being installed in this process, or None; change nothing."""
    try:
        _set_filter(None)
    except OSError as error:  # where filters are accepted, one at address 0 is refused for its address
        return None if error.errno == errno.EFAULT else error.strerror
    return "an invalid filter was accepted"


def _set_filter(header: bytes | None) -> int:
    return syscall(SECCOMP[MACHINES[os.uname().machine].column], SET_MODE_FILTER, ALL_THREADS, header)
