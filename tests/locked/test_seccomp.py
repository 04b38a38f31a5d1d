"""The seccomp filter, read the way the kernel reads it: for both machines, every number, every rule.

On aarch64 the program is interpreted here and not run; on the machine of the test, test_lock.py runs it.
"""

import errno
import os
import struct
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tinyagent.locked import lock, seccomp
from tinyagent.locked.seccomp import MACHINES, NEWEST, RULES, SYSCALLS, filter_program, with_pid

ALLOWED = 0x7FFF0000
KILLED = 0x80000000
FAILED = 0x00050000

#: Calls that are allowed whatever is passed to them.
ALWAYS = """
    read write readv writev pread64 pwrite64 lseek fstat close dup dup2 dup3
    pipe eventfd2 shutdown
    poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait pause restart_syscall
    munmap mremap mprotect brk
    set_robust_list rseq set_tid_address gettid sched_yield exit exit_group
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack alarm setitimer getitimer
    nanosleep gettimeofday time
    getpid getppid getuid geteuid getgid getegid getrlimit getrusage times getcwd uname getrandom
"""
#: Calls that are allowed or not by what is passed to them: each is in RULINGS below.
SOMETIMES = """
    clone clone3 ioctl fcntl pipe2 socketpair sendto recvfrom mmap madvise futex clock_gettime clock_getres
    clock_nanosleep sched_getaffinity tgkill prlimit64
"""

PID = 4242
HIGH = 1 << 32
THREAD = 0x3D0F00  # what glibc passes to clone for a thread


@pytest.fixture(scope="module")
def libseccomp():
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"libseccomp, to compare with, is not installed: {error}")
    return pyseccomp


def number_of(libseccomp, machine, name):
    """By libseccomp; None if the machine has no such call."""
    arch = {"x86_64": libseccomp.Arch.X86_64, "aarch64": libseccomp.Arch.AARCH64}[machine]
    number = libseccomp.resolve_syscall(arch, name)
    return number if number >= 0 else None


class Instruction(NamedTuple):
    code: int
    if_true: int
    if_false: int
    constant: int


def instructions(program):
    return [Instruction(*fields) for fields in struct.iter_unpack("=HBBI", program)]


def verdict(program, number, arguments=(), machine="x86_64", audit=None):
    """What the program, as a list of instructions, says to a call."""
    audit = MACHINES[machine].audit if audit is None else audit
    passed = [each & 0xFFFFFFFFFFFFFFFF for each in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, audit, 0, *passed)
    a = x = position = 0
    while True:
        step = program[position]
        position += 1
        match step.code:
            case 0x20:
                (a,) = struct.unpack_from("<I", data, step.constant)
            case 0x01:
                x = step.constant
            case 0x54:
                a &= step.constant
            case 0x06:
                return step.constant
            case 0x15:
                position += step.if_true if a == step.constant else step.if_false
            case 0x1D:
                position += step.if_true if a == x else step.if_false
            case 0x35:
                position += step.if_true if a >= step.constant else step.if_false
            case 0x45:
                position += step.if_true if a & step.constant else step.if_false
            case other:
                raise AssertionError(f"instruction {other:#x}")


def words(value):
    """A verdict that can be read in a failure."""
    if value & 0xFFFF0000 == FAILED:
        return errno.errorcode[value & 0xFFFF]
    return {ALLOWED: "allowed", KILLED: "killed"}.get(value, hex(value))


both_machines = pytest.mark.parametrize("machine", MACHINES)
threads_or_not = pytest.mark.parametrize("threads", [False, True], ids=["single", "threads"])


@both_machines
def test_numbers_are_those_of_libseccomp(libseccomp, machine):
    column = MACHINES[machine].column
    mine = {name: numbers[column] for name, numbers in SYSCALLS.items()}
    assert mine == {name: number_of(libseccomp, machine, name) for name in SYSCALLS}
    assert number_of(libseccomp, machine, "seccomp") == seccomp.SECCOMP[column]
    assert number_of(libseccomp, machine, "capset") == lock.CAPSET[column]
    assert number_of(libseccomp, machine, "landlock_create_ruleset") == lock.LANDLOCK_CREATE_RULESET
    assert number_of(libseccomp, machine, "landlock_restrict_self") == lock.LANDLOCK_RESTRICT_SELF


def test_tables_agree():
    assert sorted(SYSCALLS) == sorted((ALWAYS + SOMETIMES).split())
    assert sorted(RULES) == sorted(SOMETIMES.split())
    assert {row[0] for row in RULINGS} == set(SOMETIMES.split())


@both_machines
@threads_or_not
@pytest.mark.parametrize("arguments", [(0,) * 6, (2**64 - 1,) * 6], ids=["zeros", "ones"])
def test_every_number(libseccomp, machine, threads, arguments):
    always, sometimes = (
        {number_of(libseccomp, machine, name) for name in names.split()} - {None} for names in (ALWAYS, SOMETIMES)
    )
    program = instructions(filter_program(machine, threads=threads, pid=PID))
    expected = {
        number: "allowed" if number in always else "EPERM" if number <= NEWEST else "ENOSYS"
        for number in range(601)
        if number not in sometimes
    }
    assert {number: words(verdict(program, number, arguments, machine)) for number in expected} == expected


@both_machines
@threads_or_not
def test_jumps_stay_inside_and_paths_end(machine, threads):
    """What the kernel checks before it accepts a program, for the machine that is not at hand too."""
    program = instructions(filter_program(machine, threads=threads, pid=PID))
    assert len(program) <= 4096
    for position, step in enumerate(program):
        if step.code & 0x07 == 0x05:
            assert position + 1 + max(step.if_true, step.if_false) < len(program)
        if step.code == 0x20:
            assert step.constant % 4 == 0
            assert step.constant < 64
    assert program[-1].code == 0x06


@threads_or_not
def test_other_machines_are_killed(threads):
    i386, arm, x86_64, aarch64 = 0x40000003, 0x40000028, MACHINES["x86_64"].audit, MACHINES["aarch64"].audit
    for machine, others in (("x86_64", (i386, arm, aarch64, 0)), ("aarch64", (i386, arm, x86_64, 0))):
        program = instructions(filter_program(machine, threads=threads, pid=PID))
        for audit in others:
            for number in (*range(601), 0x40000000, 0xFFFFFFFF):
                assert verdict(program, number, machine=machine, audit=audit) == KILLED


@threads_or_not
def test_x32_is_killed_and_far_numbers_do_not_exist(threads):
    on_intel = instructions(filter_program("x86_64", threads=threads, pid=PID))
    on_arm = instructions(filter_program("aarch64", threads=threads, pid=PID))
    for number in (0x40000000, 0x40000001, 0x40000208, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        assert words(verdict(on_intel, number)) == "killed"
        assert words(verdict(on_arm, number, machine="aarch64")) == "ENOSYS"
    for number in (NEWEST + 1, 1000, 0x3FFFFFFF):
        assert words(verdict(on_intel, number)) == "ENOSYS"


#: Calls whose arguments matter: call, arguments, verdict. `HIGH` is the lowest bit of the upper half of an argument.
RULINGS = [
    # clone: the flags of a thread, with or without what musl adds
    ("clone", (THREAD,), "allowed"),
    ("clone", (THREAD | 0x400000,), "allowed"),
    ("clone", (THREAD | HIGH,), "EPERM"),  # CLONE_CLEAR_SIGHAND
    ("clone", (THREAD | HIGH << 1,), "EPERM"),  # CLONE_INTO_CGROUP
    ("clone", (17,), "EPERM"),  # fork: SIGCHLD
    ("clone", (0x01200011,), "EPERM"),  # fork by glibc
    ("clone", (0x4111,), "EPERM"),  # vfork
    ("clone", (0,), "EPERM"),
    ("clone", (THREAD & ~0x10000,), "EPERM"),  # all but CLONE_THREAD
    ("clone", (0x10000,), "EPERM"),  # CLONE_THREAD alone
    ("clone", (THREAD & ~0x100,), "EPERM"),  # without the same memory
    ("clone", (THREAD | 17,), "EPERM"),
    ("clone", (THREAD | 0x2000,), "EPERM"),  # CLONE_PTRACE
    ("clone", (THREAD | 0x1000,), "EPERM"),  # CLONE_PIDFD
    *[("clone", (THREAD | 1 << bit,), "EPERM") for bit in (7, 17, 25, 26, 27, 28, 29, 30, 31)],  # CLONE_NEW*, CLONE_IO
    *[("clone", (1 << bit,), "EPERM") for bit in (17, 25, 26, 27, 28, 29, 30)],
    ("clone3", (1, 88), "ENOSYS"),
    ("clone3", (), "ENOSYS"),
    # ioctl: the command is an unsigned int
    *[("ioctl", (3, command), "allowed") for command in (0x541B, 0x5421, 0x5450, 0x5451)],
    ("ioctl", (3, 0x541B | HIGH), "allowed"),  # the kernel sees FIONREAD
    *[("ioctl", (0, command), "ENOTTY") for command in (0, 0x5401, 0x5412, 0x5413, 0x541C, 0x5452, 0x8901, 0x8912)],
    ("ioctl", (0, 0x5412 | HIGH), "ENOTTY"),  # TIOCSTI
    # fcntl: dup, flags of the descriptor, status flags
    *[("fcntl", (3, command), "allowed") for command in (0, 1, 2, 3, 4, 1030)],
    # locks, owner, signal, leases, notification, size of a pipe, seals, hints
    *[("fcntl", (3, command), "EPERM") for command in (5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 36, 37, 38)],
    *[("fcntl", (3, command), "EPERM") for command in (1024, 1025, 1026, 1031, 1032, 1033, 1034, 1035, 1036)],
    ("fcntl", (3, 8 | HIGH), "EPERM"),
    # pipe2: O_CLOEXEC and O_NONBLOCK
    *[("pipe2", (0, flags), "allowed") for flags in (0, 0o4000, 0o2000000, 0o2004000)],
    *[("pipe2", (0, flags), "EPERM") for flags in (0o200, 0o40000, 0o2000200, 1)],
    # socketpair: Unix streams
    *[("socketpair", (1, 1 | flags, 0), "allowed") for flags in (0, 0o4000, 0o2000000, 0o2004000)],
    *[("socketpair", (1, kind, 0), "EPERM") for kind in (0, 2, 3, 5, 2 | 0o2000000)],
    *[("socketpair", (family, 1, 0), "EPERM") for family in (0, 2, 10, 16, 17, 30, 38, 40)],
    ("socketpair", (2 | HIGH, 1, 0), "EPERM"),
    # sendto and recvfrom: no address to send to, which is a pointer; MSG_PEEK, _DONTWAIT, _WAITALL, _NOSIGNAL
    *[("sendto", (3, 1, 1, flags, 0, 0), "allowed") for flags in (0, 0x40, 0x4000, 0x4040)],
    ("sendto", (3, 1, 1, 0, 0, 16), "allowed"),  # a length of nothing
    ("sendto", (3, 1, 1, 0, 1, 16), "EPERM"),
    ("sendto", (3, 1, 1, 0, HIGH, 16), "EPERM"),
    ("sendto", (3, 1, 1, 0, HIGH << 8, 0), "EPERM"),
    ("sendto", (3, 1, 1, 0, 2**64 - 1, 0), "EPERM"),
    *[("sendto", (3, 1, 1, flags, 0, 0), "EPERM") for flags in (1, 0x41, 0x4001, 0x20000000, 0x4000000)],
    *[("recvfrom", (3, 1, 1, flags), "allowed") for flags in (0, 0x2, 0x40, 0x100, 0x142)],
    *[("recvfrom", (3, 1, 1, flags), "EPERM") for flags in (1, 0x3, 0x2000, 0x40000000)],
    # mmap: anything but huge pages
    *[("mmap", (0, 4096, prot, 0x22, -1, 0), "allowed") for prot in (0, 1, 3, 5, 7)],
    ("mmap", (0, 4096, 3, 0x20022, -1, 0), "allowed"),
    ("mmap", (0, 4096, 3, 0x40022, -1, 0), "EPERM"),
    ("mmap", (0, 4096, 3, 0x54040022, -1, 0), "EPERM"),
    # madvise: NORMAL .. DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, DONTDUMP, guard pages
    *[("madvise", (0, 0, advice), "allowed") for advice in (0, 1, 2, 3, 4, 8, 14, 15, 16, 102, 103)],
    # REMOVE, MERGEABLE, UNMERGEABLE, COLD, PAGEOUT, POPULATE, HWPOISON, SOFT_OFFLINE
    *[("madvise", (0, 0, advice), "EINVAL") for advice in (9, 12, 13, 20, 21, 22, 23, 100, 101, 12 | HIGH)],
    # futex: WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET
    *[("futex", (0, op | private), "allowed") for op in (0, 1, 3, 4, 5, 9, 10) for private in (0x80, 0x180)],
    *[("futex", (0, op | clock), "EAGAIN") for op in (0, 9) for clock in (0, 0x100)],  # shared with other processes
    *[("futex", (0, op | clock), "EINVAL") for op in (1, 3, 4, 5, 10) for clock in (0, 0x100)],
    # FD, the PI kind, and WAIT_REQUEUE_PI, CMP_REQUEUE_PI
    *[("futex", (0, op | private), "ENOSYS") for op in (2, 6, 7, 8, 11, 12, 13, 64) for private in (0, 0x80)],
    ("futex", (0, 6 | HIGH), "ENOSYS"),
    # clocks: those with a number; negative ones are those of processes, threads and devices. An int.
    *[(f"clock_{verb}", (clock,), "allowed") for verb in ("gettime", "getres", "nanosleep") for clock in range(12)],
    *[
        (f"clock_{verb}", (clock,), "EINVAL")
        for verb in ("gettime", "getres", "nanosleep")
        for clock in (-6, -2, ~1 << 3 | 2, ~PID << 3 | 2, ~PID << 3 | 6, 0xFFFFFFFA, 16, 0x80000000)
    ],
    # sched_getaffinity, tgkill, prlimit64: of this process. A pid is an int, so that what is above it is not looked at.
    *[("sched_getaffinity", (pid,), "allowed") for pid in (0, PID, PID | HIGH)],
    *[("sched_getaffinity", (pid,), "ENOSYS") for pid in (1, PID + 1, -1, 1 | HIGH)],
    *[("tgkill", (pid, PID, 6), "allowed") for pid in (PID, PID | HIGH)],
    *[("tgkill", (pid, PID, 6), "EPERM") for pid in (0, 1, PID - 1, PID + 1, -1, -PID, 1 | HIGH, HIGH)],
    ("prlimit64", (0, 7, 0, 1), "allowed"),
    ("prlimit64", (HIGH, 7, 0, 1), "allowed"),  # the kernel sees 0
    ("prlimit64", (0, 7, 1, 0), "EPERM"),
    ("prlimit64", (0, 7, HIGH, 0), "EPERM"),
    ("prlimit64", (0, 7, HIGH << 15, 1), "EPERM"),
    *[("prlimit64", (pid, 7, 0, 1), "EPERM") for pid in (1, PID, -1)],
]


@both_machines
@threads_or_not
def test_rulings(machine, threads):
    program = instructions(filter_program(machine, threads=threads, pid=PID))
    column = MACHINES[machine].column
    wrong = []
    for name, arguments, expected in RULINGS:
        if name == "clone" and not threads:
            expected = "EPERM"
        number = SYSCALLS[name][column]
        if (found := words(verdict(program, number, arguments, machine))) != expected:
            wrong.append((name, [hex(each) for each in arguments], expected, found))
    assert wrong == []


@both_machines
def test_with_pid_changes_the_process_and_nothing_else(machine):
    built = filter_program(machine, threads=True, pid=0)
    for pid in (1, 255, 256, PID, 4_194_304):
        assert with_pid(built, pid) == filter_program(machine, threads=True, pid=pid)
    changed = [
        one for one, other in zip(instructions(built), instructions(with_pid(built, PID)), strict=True) if one != other
    ]
    assert len(changed) == 2  # sched_getaffinity and tgkill
    again = with_pid(with_pid(built, 77), PID)
    tgkill = SYSCALLS["tgkill"][MACHINES[machine].column]
    assert words(verdict(instructions(again), tgkill, (PID, PID, 6), machine)) == "allowed"
    assert words(verdict(instructions(again), tgkill, (77, 77, 6), machine)) == "EPERM"


def test_an_unknown_machine_has_no_filter():
    with pytest.raises(KeyError, match="riscv64"):
        filter_program("riscv64", threads=True, pid=PID)


def _filters_here():
    lines = Path("/proc/self/status").read_text().splitlines()
    return [line for line in lines if line.startswith(("Seccomp", "NoNewPrivs"))]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_probing_and_failing_leave_the_process_as_it_was():
    before = _filters_here()
    assert seccomp.problem_here() is None
    with pytest.raises(OSError, match="Invalid argument"):
        seccomp.install(b"")
    refused = (
        "Invalid argument" if os.geteuid() == 0 else "Invalid argument|Permission denied"
    )  # whichever is seen first
    with pytest.raises(OSError, match=refused):  # a jump out of the program
        seccomp.install(struct.pack("=HBBI", 0x15, 9, 9, 0) + seccomp.ALLOW)
    assert _filters_here() == before
