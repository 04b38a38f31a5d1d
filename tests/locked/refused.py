"""What would get out of a locked process, each attempt with the answer that it must get instead."""

# Each call is meant as it stands, not by way of pathlib.
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH115, PTH116, PTH123, PTH208, PTH211, SIM115

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import time

from tinyagent.locked import seccomp


def outcome(attempt):
    """The name of the error, or what came back."""
    ctypes.set_errno(0)
    try:
        value = attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except RuntimeError as error:
        return str(error)
    if value == -1 and ctypes.get_errno():
        return errno.errorcode[ctypes.get_errno()]
    return f"returned {value!r}"


def attempts():
    """What would get out. All of it must be refused; see `OTHERWISE` for those that are not told EPERM."""
    c, here, parent = seccomp.libc(), os.getpid(), os.getppid()
    buffer = ctypes.create_string_buffer(4096)
    address = ctypes.addressof(buffer)
    left, right = socket.socketpair()
    read, write = os.pipe()

    def raw(intel, arm, *arguments):
        number = arm if os.uname().machine == "aarch64" else intel
        return lambda: c.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))

    def vector(function, *arguments):
        return lambda: function(*arguments)

    found = {
        # files
        "open": lambda: open("/etc/passwd"),
        "open proc": lambda: open("/proc/self/environ"),
        "open to write": lambda: open("/tmp/from-the-sandbox", "w"),
        "open unnamed": lambda: os.open("/tmp", os.O_TMPFILE | os.O_RDWR),
        "open null": lambda: open("/dev/null"),
        "openat2": raw(437, 437, -100, address, address, 24),
        "name_to_handle_at": raw(303, 264, -100, address, address, address, 0),
        "open_by_handle_at": raw(304, 265, 0, address, 0),
        "stat": lambda: os.stat("/"),
        "stat of a descriptor": lambda: os.stat("", dir_fd=0),
        "lstat": lambda: os.lstat("/etc/shadow"),
        "statx": raw(332, 291, -100, address, 0, 0, address),
        "statvfs": lambda: os.statvfs("/"),
        "fstatvfs": lambda: os.statvfs(0),
        "readlink": lambda: os.readlink("/proc/self/exe"),
        "listdir": lambda: os.listdir("/"),
        "getdents": lambda: os.listdir(0),
        "mkdir": lambda: os.mkdir("/tmp/from-the-sandbox"),
        "rmdir": lambda: os.rmdir("/tmp"),
        "unlink": lambda: os.unlink("/tmp/none"),
        "rename": lambda: os.rename("/tmp/none", "/tmp/other"),
        "link": lambda: os.link("/etc/passwd", "/tmp/passwd"),
        "symlink": lambda: os.symlink("/etc/passwd", "/tmp/passwd"),
        "mknod": lambda: os.mknod("/tmp/none"),
        "mkfifo": lambda: os.mkfifo("/tmp/none"),
        "truncate": lambda: os.truncate("/tmp/none", 0),
        "ftruncate": lambda: os.ftruncate(0, 0),
        "chmod": lambda: os.chmod("/tmp", 0o777),
        "fchmod": lambda: os.fchmod(0, 0o777),
        "chown": lambda: os.chown("/tmp", 1, 1),
        "fchown": lambda: os.fchown(0, 1, 1),
        "utime": lambda: os.utime("/tmp"),
        "getxattr": lambda: os.getxattr("/tmp", "user.x"),
        "setxattr": lambda: os.setxattr("/tmp", "user.x", b""),
        "chdir": lambda: os.chdir("/tmp"),
        "fchdir": lambda: os.fchdir(0),
        "chroot": lambda: os.chroot("/"),
        "pivot_root": raw(155, 41, address, address),
        "mount": lambda: c.mount(b"none", b"/mnt", b"tmpfs", 0, None),
        "umount": lambda: c.umount2(b"/mnt", 0),
        "fsopen": raw(430, 430, address, 0),
        "open_tree": raw(428, 428, -100, address, 0),
        "inotify": lambda: c.inotify_init1(0),
        "fanotify": lambda: c.fanotify_init(0, 0),
        "quotactl": raw(179, 60, 0, 0, 0, 0),
        "flock": lambda: fcntl.flock(0, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "lockf": lambda: fcntl.lockf(0, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "sendfile": lambda: os.sendfile(write, 0, 0, 1),
        "splice": lambda: os.splice(read, write, 1),
        "vmsplice": raw(278, 75, write, address, 0, 0),
        "tee": raw(276, 77, read, write, 1, 0),
        "copy_file_range": lambda: os.copy_file_range(0, 1, 1),
        "memfd_create": lambda: os.memfd_create("x"),
        "memfd_secret": raw(447, 447, 0),
        "umask": lambda: os.umask(0),
        # network
        **{
            f"socket {family}": vector(socket.socket, family, kind)
            for family, kind in ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (10, 1), (16, 3), (17, 3), (38, 5), (40, 1))
        },
        "socketpair of datagrams": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        "socketpair of packets": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET),
        "socketpair of the network": lambda: socket.socketpair(socket.AF_INET),
        "connect": lambda: left.connect("/run/none"),
        "bind": lambda: left.bind("\0from-the-sandbox"),
        "listen": left.listen,
        "accept": left.accept,
        "getsockname": left.getsockname,
        "getpeername": left.getpeername,
        "getsockopt": lambda: left.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12),
        "setsockopt": lambda: left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30),
        "sendto": lambda: left.sendto(b"x", "\0somewhere"),
        "sendmsg": lambda: left.sendmsg([b"x"]),
        "send descriptors": lambda: socket.send_fds(left, [b"x"], [0]),
        "recvmsg": lambda: right.recvmsg(1, 100, socket.MSG_DONTWAIT),
        "send out of band": lambda: left.send(b"x", socket.MSG_OOB),
        "receive out of band": lambda: right.recv(1, socket.MSG_OOB | socket.MSG_DONTWAIT),
        "sethostname": lambda: socket.sethostname("sandboxed"),
        # processes
        "fork": os.fork,
        "forkpty": os.forkpty,
        "vfork": raw(58, 1071, 0),
        "clone3": raw(435, 435, address, 88),
        "clone for a namespace": raw(56, 220, 0x10000011, 0, 0, 0, 0),
        "execve": lambda: os.execv("/bin/true", ["true"]),
        "execveat": raw(322, 281, 0, address, 0, 0, 0x1000),
        "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "subprocess": lambda: subprocess.check_call(["/bin/true"]),
        "system": lambda: os.waitstatus_to_exitcode(os.system("true")),
        "kill parent": lambda: os.kill(parent, 0),
        "kill itself": lambda: os.kill(here, 0),
        "kill all": lambda: os.kill(-1, 0),
        "kill group": lambda: os.killpg(0, 0),
        "tkill": raw(200, 130, parent, 0),
        "tgkill": raw(234, 131, parent, parent, 0),
        "sigqueue": raw(129, 138, parent, 0, address),
        "tgsigqueue": raw(297, 240, here, here, 0, address),
        "pidfd_open": lambda: os.pidfd_open(here),
        "pidfd_getfd": raw(438, 438, 0, 0, 0),
        "pidfd_send_signal": lambda: signal.pidfd_send_signal(0, 0),
        "ptrace": lambda: c.ptrace(16, parent, None, None),
        "process_vm_readv": lambda: c.process_vm_readv(parent, buffer, 1, buffer, 1, 0),
        "process_vm_writev": lambda: c.process_vm_writev(parent, buffer, 1, buffer, 1, 0),
        "process_madvise": raw(440, 440, 0, address, 1, 4, 0),
        "kcmp": raw(312, 272, here, parent, 0, 0, 0),
        "wait": lambda: os.waitpid(-1, os.WNOHANG),
        "getpgid": lambda: os.getpgid(parent),
        "getsid": lambda: os.getsid(parent),
        "setsid": os.setsid,
        "getpriority": lambda: os.getpriority(os.PRIO_PROCESS, parent),
        "setpriority": lambda: os.setpriority(os.PRIO_PROCESS, 0, 19),
        "nice": lambda: c.nice(-5),
        "sched_setaffinity": lambda: os.sched_setaffinity(0, {0}),
        "sched_setscheduler": lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
        "sched_getscheduler": lambda: os.sched_getscheduler(parent),
        "ioprio_set": raw(251, 30, 1, 0, 0),
        "prlimit of another": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE),
        "get_robust_list": raw(274, 100, parent, address, address),
        "acct": lambda: c.acct(None),
        # privileges
        "setuid": lambda: os.setuid(0),
        "setgid": lambda: os.setgid(0),
        "setgroups": lambda: os.setgroups([0]),
        "setresuid": lambda: os.setresuid(0, 0, 0),
        "capset": raw(126, 91, address, address),
        "setrlimit": lambda: c.setrlimit(resource.RLIMIT_CPU, buffer),
        "prlimit": lambda: c.prlimit(0, resource.RLIMIT_AS, buffer, None),
        "unshare": lambda: c.unshare(0x10000000),
        "setns": lambda: c.setns(0, 0),
        "personality": lambda: c.personality(0xFFFFFFFF),
        "prctl dumpable": lambda: c.prctl(4, 1, 0, 0, 0),
        "prctl name": lambda: c.prctl(15, b"sshd", 0, 0, 0),
        "prctl death signal": lambda: c.prctl(1, 0, 0, 0, 0),
        "prctl ptracer": lambda: c.prctl(0x59616D61, -1, 0, 0, 0),
        "prctl seccomp": lambda: c.prctl(22, 2, buffer, 0, 0),
        "seccomp": raw(317, 277, 0, 0, 0),
        "landlock": raw(444, 444, 0, 0, 1),
        "keyctl": raw(250, 219, 0, -3, 0),
        "add_key": raw(248, 217, address, address, address, 1, -3),
        "request_key": raw(249, 218, address, address, 0, -3),
        # the rest of the kernel
        "bpf": raw(321, 280, 0, address, 48),
        "io_uring_setup": raw(425, 425, 1, address),
        "io_setup": raw(206, 0, 1, address),
        "userfaultfd": raw(323, 282, 0),
        "perf_event_open": raw(298, 241, address, 0, -1, -1, 0),
        "shmget": lambda: c.shmget(0, 4096, 0o1600),
        "msgget": lambda: c.msgget(0, 0o1600),
        "semget": lambda: c.semget(0, 1, 0o1600),
        "mq_open": raw(240, 180, address, 0, 0, 0),
        "signalfd": raw(289, 74, -1, address, 8, 0),
        "timerfd_create": raw(283, 85, 1, 0),
        "timer_create": raw(222, 107, 1, 0, address),
        "mlock": lambda: c.mlock(buffer, 4096),
        "mincore": raw(27, 232, address & ~4095, 4096, address),
        "mbind": raw(237, 235, address & ~4095, 4096, 0, 0, 0, 0),
        "membarrier": raw(324, 283, 1, 0, 0),
        "remap_file_pages": raw(216, 234, 0, 0, 0, 0, 0),
        "syslog": lambda: c.klogctl(10, None, 0),
        "sysinfo": lambda: c.sysinfo(buffer),
        "swapon": lambda: c.swapon(b"/none", 0),
        "settimeofday": lambda: c.settimeofday(None, buffer),
        "clock_settime": lambda: time.clock_settime(0, 0),
        "adjtimex": lambda: c.adjtimex(buffer),
        "init_module": raw(175, 105, 0, 0, address),
        "kexec_load": raw(246, 104, 0, 0, 0, 0),
        "cachestat": raw(451, 451, 0, 0, 0, 0),
        "no such call": raw(600, 600, 0),
        # arguments
        "clock of the parent": lambda: time.clock_gettime(~parent << 3 | 2),
        "affinity of the parent": lambda: os.sched_getaffinity(parent),
        "typing into the terminal": lambda: fcntl.ioctl(0, 0x5412, b"x"),
        "size of a pipe": lambda: fcntl.fcntl(write, 1031, 1 << 20),
        "owner of a descriptor": lambda: fcntl.fcntl(left, fcntl.F_SETOWN, parent),
        "notification pipe": lambda: os.pipe2(os.O_EXCL),
        "huge pages": lambda: mmap.mmap(-1, 1 << 21, flags=0x40022),
        "merged pages": lambda: mmap.mmap(-1, 4096).madvise(12),
        "futex with inheritance": raw(202, 98, address, 6, 0, 0, 0, 0),
    }
    if os.uname().machine == "x86_64":
        found["arch_prctl"] = raw(158, 0, 0x1002, 0)
        found["modify_ldt"] = raw(154, 0, 0, address, 16)
        found["iopl"] = raw(172, 0, 3)
        found["old fork"] = raw(57, 0)
    return {name: outcome(attempt) for name, attempt in found.items()}


#: What is said to some attempts instead of EPERM.
OTHERWISE = {
    "system": "returned 127",  # that of a shell that could not be started
    "clone3": "ENOSYS",
    "cachestat": "ENOSYS",
    "no such call": "ENOSYS",
    "affinity of the parent": "ENOSYS",
    "futex with inheritance": "ENOSYS",
    "clock of the parent": "EINVAL",
    "merged pages": "EINVAL",
    "typing into the terminal": "ENOTTY",
}
