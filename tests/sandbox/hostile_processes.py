"""Attempts at processes, signals, tracing, namespaces and the limits of the process itself."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

NAMESPACES = {
    "time": 0x80,
    "mount": 0x20000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}

#: Ways to start a program or a process, each an attempt of its own.
STARTING = {
    "os.fork": "os.fork() or os._exit(0)",
    "os.forkpty": "os.forkpty()[0] or os._exit(0)",
    "libc.fork": "(libc.fork() or os._exit(0)) == -1 and sc(57)",
    "libc.vfork": "(libc.vfork() or libc._exit(0)) == -1 and sc(58)",
    "posix_spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "posix_spawnp": "os.posix_spawnp('true', ['true'], {})",
    "_posixsubprocess": "__import__('subprocess').Popen(['/bin/true'], preexec_fn=int)",
    "subprocess.run": "__import__('subprocess').run(['/bin/true'])",
    "subprocess with a shell": "__import__('subprocess').check_output('id', shell=True)",
    "subprocess with the interpreter": "__import__('subprocess').run([sys.executable or '/usr/bin/python3', '-c', '1'])",
    "asyncio's subprocess": "asyncio.run(asyncio.create_subprocess_exec('/bin/true'))",
    "execv": "os.execv('/bin/true', ['true'])",
    "execve by descriptor": "os.execve(0, ['true'], {})",
    "execvp": "os.execvp('true', ['true'])",
    "execveat with an empty path": "sc(322, 0, b'', 0, 0, 0x1000)",
    "multiprocessing with fork": "__import__('multiprocessing').get_context('fork').Process(target=int).start()",
    "multiprocessing with spawn": "__import__('multiprocessing').get_context('spawn').Process(target=int).start()",
    "multiprocessing with a fork server": "__import__('multiprocessing').get_context('forkserver').Process(target=int).start()",
    "multiprocessing's lock": "__import__('multiprocessing').Lock()",
    "a clone that is a fork": "sc(56, 17) or os._exit(0)",
    "a clone with a parent's parent": "sc(56, 0x8000 | 17) or os._exit(0)",
    "a clone whose upper half is a thread": "sc(56, (0x10000 << 32) | 17) or os._exit(0)",
    "clone3": "sc(435, struct.pack('11Q', 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88) or os._exit(0)",
    "clone3 into a cgroup": "sc(435, struct.pack('11Q', 0x2_0000_0000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 3), 88) or os._exit(0)",
}

#: Signals to others. Number 0 asks only whether one may.
SIGNALS = {
    "kill the victim": "os.kill(VICTIM_PID, 9)",
    "stop the victim": "os.kill(VICTIM_PID, 19)",
    "kill the victim's group": "os.killpg(VICTIM_PID, 9)",
    "kill the victim with a system call": "sc(62, VICTIM_PID, 9)",
    "kill the victim with tkill": "sc(200, VICTIM_PID, 9)",
    "kill the victim with tgkill": "sc(234, VICTIM_PID, VICTIM_PID, 9)",
    "queue a signal to the victim": "sc(129, VICTIM_PID, 9, struct.pack('iii116x', 9, 0, -1))",
    "queue a signal to the victim's thread": "sc(297, VICTIM_PID, VICTIM_PID, 9, struct.pack('iii116x', 9, 0, -1))",
    "sigqueue": "libc.sigqueue(VICTIM_PID, 9, 0) and sc(129, VICTIM_PID, 0, bytes(128))",
    "open the victim": "os.pidfd_open(VICTIM_PID)",
    "signal the victim by descriptor": "signal.pidfd_send_signal(3, 9)",
    "take a descriptor of the host": "sc(438, sc(434, HOST_PID, 0), 0, 0)",
    "open itself": "os.pidfd_open(os.getpid())",
    "ask to kill the host": "os.kill(HOST_PID, 0)",
    "ask to kill the parent": "os.kill(os.getppid(), 0)",
    "ask to kill the neighbour": "os.kill(NEIGHBOUR_PID, 0)",
    "ask to kill the neighbour's thread": "sc(234, NEIGHBOUR_PID, NEIGHBOUR_PID, 0)",
    "ask to kill everybody": "os.kill(-1, 0)",
    "ask to kill its own group": "os.kill(0, 0)",
    "ask to kill itself": "os.kill(os.getpid(), 0)",
    "ask to kill the first process": "os.kill(1, 0)",
    "ask to kill the parent's group": "os.killpg(os.getpgid(os.getppid()), 0)",
    "trace itself": "sc(101, 0, 0, 0, 0)",
    "trace the host": "sc(101, 0x4206, HOST_PID, 0, 0)",
    "trace the parent": "sc(101, 0x4206, os.getppid(), 0, 0)",
    "trace the victim": "sc(101, 0x4206, VICTIM_PID, 0, 0)",
    "trace the neighbour": "sc(101, 0x4206, NEIGHBOUR_PID, 0, 0)",
    "read the victim's memory": "sc(310, VICTIM_PID, (ctypes.c_long * 2)(), 0, (ctypes.c_long * 2)(), 0, 0)",
    "write the victim's memory": "sc(311, VICTIM_PID, (ctypes.c_long * 2)(), 0, (ctypes.c_long * 2)(), 0, 0)",
    "read the host's memory": "sc(310, HOST_PID, (ctypes.c_long * 2)(), 0, (ctypes.c_long * 2)(), 0, 0)",
    "read the neighbour's memory": "sc(310, NEIGHBOUR_PID, (ctypes.c_long * 2)(), 0, (ctypes.c_long * 2)(), 0, 0)",
    "read its own memory by number": "sc(310, os.getpid(), (ctypes.c_long * 2)(), 0, (ctypes.c_long * 2)(), 0, 0)",
    "compare with the parent": "sc(312, os.getpid(), os.getppid(), 0, 3, 3)",
    "the parent's list of locks": "sc(274, os.getppid(), bytes(8), bytes(8))",
    "the victim's limits": "__import__('resource').prlimit(VICTIM_PID, 7)",
    "the parent's limits": "sc(302, os.getppid(), 7, 0, bytes(16))",
    "the parent's limits with high bits set": "sc(302, 0, 7, 1 << 32, bytes(16))",
    "the host's priority": "os.setpriority(os.PRIO_PROCESS, HOST_PID, 1)",
    "the victim's scheduler": "os.sched_setscheduler(VICTIM_PID, 5, os.sched_param(0))",
    "the victim's processors": "os.sched_setaffinity(VICTIM_PID, {0})",
    "its own processors": "os.sched_setaffinity(0, {0})",
    "a better priority": "os.nice(-5)",
    "real time": "os.sched_setscheduler(0, 1, os.sched_param(1))",
    "a limit raised": "sc(160, 9, struct.pack('qq', -1, -1))",
    "a limit lowered": "sc(160, 7, struct.pack('qq', 9, 9))",
    "become root": "os.setuid(0)",
    "become root for good": "os.setresuid(0, 0, 0)",
    "become another user": "os.setreuid(1, 1)",
    "become another user with a system call": "sc(117, 0, 0, 0)",
    "become another group": "os.setgid(0)",
    "join groups": "os.setgroups([0])",
    "another user for files": "sc(122, 0)",
    "another group for files": "sc(123, 0)",
    "a new session of terminals": "os.setsid()",
    "another group of processes": "os.setpgid(0, 0)",
    "all capabilities": "sc(126, struct.pack('II', 0x20080522, 0), b'\\xff' * 24)",
    "which capabilities": "sc(125, struct.pack('II', 0x20080522, 0), bytes(24))",
    "be dumpable": "sc(157, 4, 1)",
    "outlive the parent": "sc(157, 1, 0)",
    "another name": "sc(157, 15, b'hostile')",
    "be traceable by all": "sc(157, 0x59616D61, -1)",
    "no filter any more": "sc(157, 22, 0)",
    "a filter that asks somebody": "sc(317, 1, 8, struct.pack('HxxxxxxQ', 0, 0))",
    "a filter of its own": "sc(317, 1, 0, struct.pack('HxxxxxxQ', 0, 0))",
    "new privileges again": "sc(157, 38, 0)",
    "keep capabilities": "sc(157, 8, 1)",
    "an ambient capability": "sc(157, 47, 2, 0)",
    "adopt orphans": "sc(157, 36, 1)",
    "move the program's arguments": "sc(157, 35, 8, 4096)",
    "speculation": "sc(157, 53, 0, 1)",
    "no time stamp counter": "sc(157, 26, 2)",
    "no out-of-memory kill": "sc(157, 33, 1)",
    "join the host's namespaces": "sc(308, 3, 0)",
    "join the neighbour's namespaces": "sc(308, NEIGHBOUR_PID, 0x10000000)",
}

OTHERS = r"""
### start a program with os.system | == True
os.system("exit 0") != 0

### start a program with os.popen | denied or OSError
refused(lambda: os.popen("echo out").read())

### start a program with libc.system | == True
libc.system(b"exit 0") != 0

### start a program with libc.execl | == -1
libc.execl(b"/bin/true", b"true", None)

### kill the victim with high bits set | refused or == "ESRCH"
refused(sc, 234, (VICTIM_PID << 32) | os.getpid(), VICTIM_PID, 9)

### a limit raised with Python | ValueError
import resource
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))

### start a pool of processes | denied or BrokenProcessPool or PermissionError
import concurrent.futures
with concurrent.futures.ProcessPoolExecutor(1) as pool:
    pool.submit(int).result(2)

### start interpreters inside | ends
import _xxsubinterpreters as interpreters
one = interpreters.create()
interpreters.run_string(one, "import os; os.fork()")

### a process with the C library's thread | ends
import _thread
_thread.start_new_thread(lambda: refused(os.fork), ())

### a thread in a new namespace | refused
first([lambda f=f: sc(56, 0x3D0F00 | f) for f in (0x10000000, 0x20000000, 0x02000000)])

### signal the parent from a timer | refused
import struct
event = struct.pack("Qiii52x", 0, 9, 4, os.getppid())
refused(sc, 222, 1, event, bytes(8))

### signal the parent when a descriptor is ready | denied
import fcntl
refused(fcntl.fcntl, 3, 8, os.getpid())

### signal the parent when a message queue fills | refused
refused(sc, 244, 3, bytes(64))

### kill the neighbour's thread with pthread_kill | ends
signal.pthread_kill(NEIGHBOUR_PID, 9)

### kill itself | killed or refused
refused(os.kill, os.getpid(), 9)

### wait for others | refused
refused(os.waitpid, -1, os.WNOHANG)

### wait for the parent's children | refused
refused(os.waitid, os.P_ALL, 0, os.WEXITED | os.WNOHANG)

### what the locks say | == [True, True, True, True]
import resource
limits = [resource.getrlimit(n)[1] for n in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_MEMLOCK)]
[all(n == 0 for n in limits), resource.getrlimit(resource.RLIMIT_AS)[1] > 0, os.getuid() != 0,
 resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096]

### no user any more | == True
0 not in (os.getuid(), os.geteuid(), os.getgid(), os.getegid())

### a limit of its own by prlimit | refused
refused(sc, 302, 0, 9, struct.pack("QQ", 2**64 - 1, 2**64 - 1), 0)

### i386 system calls | killed
at = machine_code(b"\xb8\x14\0\0\0\xcd\x80\xc3")
breach(ctypes.CFUNCTYPE(ctypes.c_int)(at)())

### i386 system calls of an allowed number | killed
at = machine_code(b"\xb8\x03\0\0\0\xcd\x80\xc3")
breach(ctypes.CFUNCTYPE(ctypes.c_int)(at)())

### x32 system calls | killed
at = machine_code(b"\xb8\x27\0\0\x40\x0f\x05\xc3")
breach(ctypes.CFUNCTYPE(ctypes.c_int)(at)())

### the highest number | killed or refused
at = machine_code(b"\xb8\xff\xff\xff\x7f\x0f\x05\xc3")
[{-1: "EPERM", -38: "ENOSYS"}.get(ctypes.CFUNCTYPE(ctypes.c_int)(at)(), "BREACH")][0]

### a negative number | killed or refused
at = machine_code(b"\x48\xc7\xc0\xff\xff\xff\xff\x0f\x05\xc3")
{-1: "EPERM", -38: "ENOSYS"}.get(ctypes.CFUNCTYPE(ctypes.c_long)(at)(), "BREACH")

### a system call by machine code | == -1
at = machine_code(b"\xb8\x29\0\0\0\xbf\x02\0\0\0\xbe\x01\0\0\0\x31\xd2\x0f\x05\xc3")
ctypes.CFUNCTYPE(ctypes.c_long)(at)()

### sysenter | killed
at = machine_code(b"\xb8\x14\0\0\0\x0f\x34\xc3")
breach(ctypes.CFUNCTYPE(ctypes.c_int)(at)())

### the 32-bit mode of the processor | killed
at = machine_code(b"\x48\x83\xec\x08\xc7\x44\x24\x04\x23\0\0\0\x8d\x05\x0b\0\0\0\x89\x04\x24\xcb\x90\x90"
                  b"\xb8\x14\0\0\0\xcd\x80\xf4", low=True)
breach(ctypes.CFUNCTYPE(ctypes.c_int)(at)())

### the vsyscall page | killed or ends
ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(0xFFFFFFFFFF600400)(None)

### privileged instructions | killed
ctypes.CFUNCTYPE(ctypes.c_int)(machine_code(b"\xfa\xf4\x0f\x30\xc3"))()

### input and output ports | killed
ctypes.CFUNCTYPE(ctypes.c_int)(machine_code(b"\x31\xc0\x66\xba\x80\0\xee\xc3"))()

### a timing loop on the time stamp counter | ends
at = machine_code(b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3")
ctypes.CFUNCTYPE(ctypes.c_ulong)(at)() > 0

### a trap | killed
ctypes.CFUNCTYPE(ctypes.c_int)(machine_code(b"\xcc\xc3"))()
"""


def table(entries: dict[str, str], prefix: str, expect: str) -> str:
    """Attempts that are one expression each."""
    return "".join(f"\n### {prefix}{name} | {expect}\nrefused(lambda: {code})\n" for name, code in entries.items())


ATTEMPTS = (
    table(STARTING, "start with ", "denied or ImportError or ModuleNotFoundError or OSError")
    + table(SIGNALS, "", "refused")
    + "".join(
        f"\n### a new {name} namespace | refused\n"
        f"first([lambda: sc(272, {flag}), lambda: sc(56, {flag} | 17) or os._exit(0), lambda: sc(308, 3, {flag})])\n"
        for name, flag in NAMESPACES.items()
    )
    + OTHERS
)
