"""What a locked process cannot do, what it still can, and where no process can be locked.

As root and as a user without privileges, on the machine of the test; for the other one see test_seccomp.py.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import datetime as dt
import decimal
import errno
import fcntl
import hashlib
import json
import mmap
import os
import pathlib
import platform
import queue
import random
import re
import resource
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid

import pytest

from tests.locked.locked import ROOT, fail_calls, inside, run_as
from tests.locked.refused import OTHERWISE, attempts, outcome
from tinyagent.locked import lock as locking, seccomp

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"),
    pytest.mark.skipif(platform.machine() not in seccomp.MACHINES, reason="needs x86_64 or aarch64"),
]
each_user = pytest.mark.parametrize("user", ["root", "nobody"])

# What fails ---------------------------------------------------------------------------------------------------------


def one_locked():
    return inside(attempts)


def refused(found):
    """Whether nothing was done: everything failed, and in the way it should."""
    wrong = {name: value for name, value in found["value"].items() if value != OTHERWISE.get(name, "EPERM")}
    assert wrong == {}
    assert found["status"] == 0


@each_user
def test_nothing_gets_out(user):
    refused(run_as(user, one_locked, outcome, attempts))


def every_denied_number():
    """Call whatever the table does not have; a call that got through would do something, or fail for its arguments."""
    column = seccomp.MACHINES[os.uname().machine].column
    passed = {numbers[column] for numbers in seccomp.SYSCALLS.values()}
    if column == 0:  # uretprobe and uprobe: Linux keeps filters off them, and kills whoever calls them itself
        passed |= {335, 336}
    zeros = [ctypes.c_long(0)] * 6

    def call(number):
        return outcome(lambda: seccomp.libc().syscall(ctypes.c_long(number), *zeros))

    numbers = {*range(seccomp.NEWEST + 20), 1000, 0x3FFFFFFF} - passed
    return inside(lambda: {number: call(number) for number in sorted(numbers)})


@each_user
def test_every_call_that_the_table_lacks_fails(user):
    found = run_as(user, every_denied_number, outcome)
    assert len(found["value"]) > 350
    wrong = {
        number: value
        for number, value in found["value"].items()
        if value != ("EPERM" if int(number) <= seccomp.NEWEST else "ENOSYS")
    }
    assert wrong == {}


def thread_from_before():
    release, found = threading.Event(), []
    other = threading.Thread(target=lambda: (release.wait(), found.append(outcome(lambda: os.open("/", os.O_RDONLY)))))

    def work():
        release.set()
        other.join()
        return found

    return inside(work, before=other.start)


@each_user
def test_threads_from_before_are_locked_too(user):
    assert run_as(user, thread_from_before, outcome)["value"] == ["EPERM"]


def other_tables():
    """The calls of 32-bit programs and of x32, as machine code."""

    def interrupt_80():  # mov eax, 20 (getpid); int 0x80; ret
        return b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"

    def x32():  # mov eax, 0x40000027 (getpid); syscall; ret
        return b"\xb8\x27\x00\x00\x40\x0f\x05\xc3"

    def native():  # mov eax, 39 (getpid); syscall; ret
        return b"\xb8\x27\x00\x00\x00\x0f\x05\xc3"

    def run(code):
        def work():
            page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            page.write(code())
            call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
            return call() == os.getpid()

        return inside(work)

    return {code.__name__: run(code) for code in (interrupt_80, x32, native)}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other machines have one table")
@each_user
def test_calls_of_other_tables_kill(user):
    found = run_as(user, other_tables)
    assert found["native"]["value"] is True
    assert (found["interrupt_80"]["status"], found["x32"]["status"]) == (-signal.SIGSYS, -signal.SIGSYS)


# What still works ---------------------------------------------------------------------------------------------------


def everyday():  # noqa: C901 - it travels in one piece
    """Ordinary Python; each line raises or returns False if it does not work."""

    async def sleeps():
        results = await asyncio.gather(asyncio.sleep(0.001, 1), asyncio.to_thread(lambda: 2), asyncio.sleep(0, 3))
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0.001, "done"))
        return (results, task.result()) == ([1, 2, 3], "done")

    def pipes():
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_inheritable(write, True)
        os.write(write, b"abc")
        poll = select.poll()
        poll.register(read, select.POLLIN)
        with select.epoll() as epoll:
            epoll.register(read, select.EPOLLIN)
            ready = epoll.poll(5) and poll.poll(5000) and select.select([read], [], [], 5)[0]
        return bool(ready) and os.read(os.dup(read), 10) == b"abc" and not os.isatty(read)

    def pairs():
        left, right = socket.socketpair()
        with left, right:
            right.settimeout(5)
            left.sendall(b"x" * 100)
            left.shutdown(socket.SHUT_WR)
            return right.recv(10, socket.MSG_PEEK) + right.recv(200) == b"x" * 110 and right.recv(1) == b""

    def threads():
        todo, done = queue.Queue(), queue.Queue()
        worker = threading.Thread(target=lambda: done.put(todo.get() * 2))
        worker.start()
        todo.put(21)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            squares = list(pool.map(lambda n: n * n, range(50)))
        worker.join()
        return done.get(timeout=5) == 42 and squares[7] == 49

    def signals():
        seen = []
        signal.signal(signal.SIGALRM, lambda *_: seen.append("alarm"))
        signal.signal(signal.SIGUSR1, lambda *_: seen.append("user"))
        signal.raise_signal(signal.SIGUSR1)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        while "alarm" not in seen:
            time.sleep(0.01)
        return seen == ["user", "user", "alarm"]

    def memory():
        large = bytearray(64 << 20)
        page = mmap.mmap(-1, 1 << 20)
        page[:3] = b"abc"
        page.resize(2 << 20)
        return len(large) == 64 << 20 and page[:3] == b"abc"

    def randomness():
        parts = (os.urandom(8), secrets.token_bytes(8), random.SystemRandom().random(), uuid.uuid4())
        return len({str(part) for part in parts}) == 4

    def clocks():
        start, cpu = time.monotonic(), time.process_time()
        time.sleep(0.001)
        dt.datetime.now(dt.UTC)
        return time.monotonic() > start and time.thread_time() >= 0 and time.process_time() >= cpu

    def about_itself():
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.getrusage(resource.RUSAGE_SELF)
        return (
            limits == (64, 64)
            and str(pathlib.Path("x").absolute()) == "/x"
            and os.getpid() > 0
            and len(os.sched_getaffinity(0)) > 0
        )

    def library():
        digest = hashlib.sha256(json.dumps({"pi": str(decimal.Decimal(1) / 3)}).encode()).hexdigest()
        return len(digest) == 64 and bool(re.match("[0-9a-f]+$", digest))

    def depth():
        def down(n):
            return n and down(n - 1)

        with contextlib.suppress(RecursionError):
            down(10**9)
        return down(500) == 0

    checks = (pipes, pairs, threads, signals, memory, randomness, clocks, about_itself, library, depth)
    return {"sleeps": asyncio.run(sleeps())} | {check.__name__: check() for check in checks}


def everyday_locked():
    return inside(everyday, threads=8)


@each_user
def test_python_works(user):
    found = run_as(user, everyday_locked, everyday)
    assert found["value"] == dict.fromkeys(found["value"], True)
    assert len(found["value"]) == 11
    assert found["status"] == 0


def numerics():
    import numpy.fft
    import numpy.linalg
    import numpy.random

    def work():
        generator = numpy.random.default_rng(1)
        matrix = generator.random((200, 200))
        solution = numpy.linalg.solve(matrix, numpy.ones(200))
        spectrum = numpy.fft.ifft(numpy.fft.fft(matrix[0]))
        large = numpy.zeros(4_000_000)
        large += 1
        return bool(
            numpy.allclose(matrix @ solution, 1) and numpy.allclose(spectrum.real, matrix[0]) and large.sum() == 4e6
        )

    return inside(work)


def test_numpy_works():
    pytest.importorskip("numpy")
    user = "root" if os.geteuid() == 0 else "nobody"
    assert run_as(user, numerics)["value"] is True


# Limits -------------------------------------------------------------------------------------------------------------


def threads_up_to_the_limit():
    def work():
        release, started = threading.Event(), []
        try:
            for _ in range(50):
                thread = threading.Thread(target=release.wait)
                thread.start()
                started.append(thread)
        except RuntimeError as error:
            return len(started), str(error)
        finally:
            release.set()
            for thread in started:
                thread.join()
        return len(started), ""

    def may_unshare():
        pid = os.fork()
        if pid == 0:
            os._exit(seccomp.libc().unshare(0x10000000) != 0)
        return os.waitpid(pid, 0)[1] == 0

    return {"limits": [inside(work, threads=limit) for limit in (0, 1, 5)], "may_unshare": may_unshare()}


@each_user
def test_threads_are_limited(user):
    found = run_as(user, threads_up_to_the_limit)
    none, *some = found["limits"]
    assert (none["value"], none["lock"]["thread_limit"]) == ([0, "can't start new thread"], True)
    counts_namespaces = tuple(map(int, platform.release().split(".")[:2])) >= (5, 14)
    limited = user == "root" or (found["may_unshare"] and counts_namespaces)
    assert [each["lock"]["thread_limit"] for each in some] == [limited, limited]
    if not limited:
        pytest.skip("the kernel is older than 5.14, or user namespaces are forbidden here")
    assert [each["value"] for each in some] == [[1, "can't start new thread"], [5, "can't start new thread"]]


def sessions_side_by_side():
    """Two locked processes: the threads of one do not count for the other."""

    def some():
        release = threading.Event()
        threads = [threading.Thread(target=release.wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        release.set()
        return len(threads)

    return inside(some, threads=3, look=lambda _: inside(some, threads=3))


@each_user
def test_each_process_has_threads_of_its_own(user):
    found = run_as(user, sessions_side_by_side)
    assert (found["value"], found["looked"]["value"]) == (3, 3)


def memory_up_to_the_limit():
    def work():
        size = len(bytearray(48 << 20))
        try:
            bytearray(80 << 20)
        except MemoryError:
            return size, "MemoryError", len(bytearray(32 << 20))
        return size, "none"

    return inside(work, memory=64 << 20)


@each_user
def test_memory_is_limited(user):
    assert run_as(user, memory_up_to_the_limit)["value"] == [48 << 20, "MemoryError", 32 << 20]


def memory_beside_threads():
    def work():
        release = threading.Event()
        threads = [threading.Thread(target=lambda: (bytearray(100_000), release.wait())) for _ in range(8)]
        for thread in threads:
            thread.start()
        size = len(bytearray(128 << 20))
        release.set()
        return size

    return inside(work, memory=256 << 20, threads=8)


@each_user
def test_threads_leave_the_memory_to_the_code(user):
    assert run_as(user, memory_beside_threads)["value"] == 128 << 20


def cpu_up_to_the_limit():
    def spin():
        while True:
            pass

    def ignore():
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)

    return [inside(spin, cpu_seconds=1)["status"], inside(spin, before=ignore, cpu_seconds=1)["status"]]


def test_cpu_time_is_limited():
    assert run_as("nobody", cpu_up_to_the_limit) == [-signal.SIGXCPU, -signal.SIGKILL]


def lower_limits_of_the_parent():
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    resource.setrlimit(resource.RLIMIT_CPU, (9, 9))
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))

    def work():
        kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_STACK)
        return [resource.getrlimit(kind) for kind in kinds]

    return [inside(work, cpu_seconds=seconds)["value"] for seconds in (3, 20, None)]


def test_limits_that_are_lower_already_stay():
    three, twenty, none = run_as("nobody", lower_limits_of_the_parent)
    assert three == [[32, 32], [3, 4], [1 << 20, 1 << 20]]
    assert twenty == none == [[32, 32], [9, 9], [1 << 20, 1 << 20]]


# What is left of the process ------------------------------------------------------------------------------------------


def seen_from_outside():
    extra = os.open("/", os.O_RDONLY)
    high = fcntl.fcntl(extra, fcntl.F_DUPFD, 900)
    kept = os.dup(extra)

    def look(pid):
        proc = pathlib.Path("/proc", str(pid))

        def text(name):
            return (proc / name).read_text()

        def entries():
            try:
                return sorted(int(entry.name) for entry in (proc / "fd").iterdir())
            except PermissionError:
                return "PermissionError"

        status = dict(line.split(":\t", 1) for line in text("status").splitlines() if ":\t" in line)
        limits = {line[:26].strip(): line[26:].split()[:2] for line in text("limits").splitlines()[1:]}
        nice = os.getpriority(os.PRIO_PROCESS, pid)
        about = {"status": status, "limits": limits, "oom": text("oom_score_adj").strip(), "nice": nice}
        return about | {"descriptors": entries(), "user": (proc / "mem").stat().st_uid}

    def open_ones():
        found = []
        for number in range(1024):
            with contextlib.suppress(OSError):
                fcntl.fcntl(number, fcntl.F_GETFD)
                found.append(number)
        return found

    if os.geteuid() == 0:
        os.setgroups([4, 20])
    locking._prctl(locking.PR_SET_DUMPABLE, 0)  # as a zygote is, for which its own /proc/self belongs to root
    found = inside(open_ones, look=look, threads=4, keep={kept})
    return found | {"extra": [extra, high], "kept": kept}


def seen_where_ranges_of_descriptors_cannot_be_closed():
    fail_calls({locking.CLOSE_RANGE: errno.ENOSYS})
    return seen_from_outside()


@each_user
@pytest.mark.parametrize("kernel", [seen_from_outside, seen_where_ranges_of_descriptors_cannot_be_closed])
def test_what_is_left_of_the_process(user, kernel):
    found = run_as(user, kernel, seen_from_outside)
    seen, status = found["looked"], found["looked"]["status"]
    capabilities = {name: value for name, value in status.items() if name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    assert capabilities == dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), "0" * 16)
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"], status["Umask"]) == ("1", "2", "1", "0077")
    assert (seen["oom"], seen["nice"]) == ("1000", 19)
    assert seen["user"] == 0  # not dumpable: what is in /proc belongs to root
    limits = {
        "Max open files": ["64", "64"],
        "Max file size": ["0", "0"],
        "Max core file size": ["0", "0"],
        "Max locked memory": ["0", "0"],
        "Max msgqueue size": ["0", "0"],
        "Max stack size": [str(8 << 20)] * 2,
        "Max cpu time": ["20", "21"],
    }
    assert {name: seen["limits"][name] for name in limits} == limits
    space, again = map(int, seen["limits"]["Max address space"])
    assert 256 << 20 < space == again < 1 << 32
    assert not set(found["value"]) & set(found["extra"])
    assert {0, 1, 2, found["kept"]} <= set(found["value"])
    assert len(found["value"]) == 6  # and the two pipes of the test
    if user == "root":
        uid = found["lock"]["uid"]
        assert uid >= 700_000
        assert status["Uid"].split() == status["Gid"].split() == [str(uid)] * 4
        assert status["Groups"].strip() == ""
        assert seen["descriptors"] == found["value"]
        assert seen["limits"]["Max processes"] == ["5", "5"]
    else:
        assert found["lock"]["uid"] is None
        assert seen["descriptors"] == "PermissionError"


def seen_capabilities(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t") for line in lines if line.startswith("Cap"))


def root_that_may_not_change_user():
    held = int(seen_capabilities(os.getpid())["CapPrm"], 16)
    left = held & ~(1 << 6 | 1 << 7)  # CAP_SETGID, CAP_SETUID

    def weaken():
        version = struct.pack("=Ii", locking.LINUX_CAPABILITY_VERSION_3, 0)
        low, high = left & 0xFFFFFFFF, left >> 32
        number = locking.CAPSET[seccomp.MACHINES[os.uname().machine].column]
        seccomp.syscall(number, version, struct.pack("=6I", low, low, 0, high, high, 0))

    def work():
        return attempts() | {"thread": outcome(threading.Thread(target=print).start), "uid": str(os.getuid())}

    return inside(work, before=weaken, look=seen_capabilities)


def test_root_that_may_not_change_user_loses_its_capabilities():
    found = run_as("root", root_that_may_not_change_user, outcome, attempts, seen_capabilities)
    assert found["lock"]["uid"] is None
    assert found["value"].pop("uid") == "0"
    assert found["value"].pop("thread") == "can't start new thread"
    refused(found)
    assert {found["looked"][name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}


def user_with_ambient_capabilities():
    port = 10  # CAP_NET_BIND_SERVICE
    c = seccomp.libc()
    assert c.prctl(8, 1, 0, 0, 0) == 0  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    version = struct.pack("=Ii", locking.LINUX_CAPABILITY_VERSION_3, 0)
    number = locking.CAPSET[seccomp.MACHINES[os.uname().machine].column]
    seccomp.syscall(number, version, struct.pack("=6I", 1 << port, 1 << port, 1 << port, 0, 0, 0))
    assert c.prctl(47, 2, port, 0, 0) == 0  # PR_CAP_AMBIENT_RAISE
    return {"before": seen_capabilities(os.getpid())} | inside(attempts, look=seen_capabilities)


def test_ambient_capabilities_are_given_up():
    found = run_as("root", user_with_ambient_capabilities, outcome, attempts, seen_capabilities)
    assert found["before"]["CapAmb"] == found["before"]["CapEff"] == "0000000000000400"
    refused(found)
    assert {found["looked"][name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}


def orphan():
    """The locked process waits for good; its parent is killed; who asked sees whether it ended."""
    told, tell = os.pipe()
    middle = os.fork()
    if middle == 0:
        inside(signal.pause, look=lambda pid: os.write(tell, b"%d\n" % pid) and signal.pause())
    pid = int(os.read(told, 100))
    watched = os.pidfd_open(pid)
    alive = not select.select([watched], [], [], 0)[0]
    os.kill(middle, signal.SIGKILL)
    os.waitpid(middle, 0)
    ended = bool(select.select([watched], [], [], 30)[0])
    with contextlib.suppress(ProcessLookupError):  # a failure leaves nothing behind
        signal.pidfd_send_signal(watched, signal.SIGKILL)
    return [alive, ended]


@each_user
def test_it_dies_with_its_parent(user):
    assert run_as(user, orphan) == [True, True]


def told_to_end():
    def end(pid):
        signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGTERM)

    return inside(signal.pause, look=end)


@each_user
def test_its_parent_can_end_it(user):
    assert run_as(user, told_to_end)["status"] == -signal.SIGTERM


# The second layer ---------------------------------------------------------------------------------------------------


def landlock_alone():
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    client = socket.socket()

    def work():
        version = locking._landlock()
        found = {
            "read": outcome(pathlib.Path("/etc/passwd").read_text),
            "list": outcome(lambda: list(pathlib.Path("/").iterdir())),
            "write": outcome(lambda: pathlib.Path("/dev/null").write_text("")),
            "make": outcome(pathlib.Path("/tmp/from-the-sandbox").mkdir),
            "connect": outcome(lambda: client.connect(("127.0.0.1", port))) if version >= 4 else "EACCES",
            "signal": outcome(lambda: os.kill(os.getppid(), 0)) if version >= 6 else "EPERM",
        }
        return [version, found]

    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        locking._prctl(locking.PR_SET_NO_NEW_PRIVS, 1)
        os.write(write, json.dumps(work()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return json.loads(os.read(read, 4096))


@each_user
def test_landlock_forbids_by_itself(user):
    version, found = run_as(user, landlock_alone, outcome)
    if not version:
        pytest.skip("the kernel has no landlock")
    assert found == dict.fromkeys(("read", "list", "write", "make", "connect"), "EACCES") | {"signal": "EPERM"}


def without_landlock():
    fail_calls({locking.LANDLOCK_CREATE_RULESET: errno.ENOSYS})
    return inside(attempts)


def with_half_a_landlock():
    fail_calls({locking.LANDLOCK_RESTRICT_SELF: errno.E2BIG})
    return inside(attempts)


@each_user
@pytest.mark.parametrize("kernel", [without_landlock, with_half_a_landlock])
def test_nothing_gets_out_without_landlock_either(user, kernel):
    found = run_as(user, kernel, outcome, attempts)
    assert found["lock"]["landlock"] == 0
    refused(found)


# Where it cannot be done --------------------------------------------------------------------------------------------


def test_it_can_be_done_here():
    assert locking.reason_against() is None


def reasons():
    column = seccomp.MACHINES[os.uname().machine].column
    names = {"seccomp": seccomp.SECCOMP[column], "pidfd_open": 434}
    found = {"none": locking.reason_against()}
    for name, number in names.items():
        for error in (errno.EPERM, errno.ENOSYS):
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                fail_calls({number: error})
                os.write(write, json.dumps(locking.reason_against()).encode())
                os._exit(0)
            os.waitpid(pid, 0)
            found[f"{name} {errno.errorcode[error]}"] = json.loads(os.read(read, 4096))
    return found


@each_user
def test_reasons_of_the_kernel(user):
    filters = "the kernel has no seccomp filters, or they are forbidden here"
    pidfd = "the kernel is older than 5.3, or pidfd_open is forbidden here"
    assert run_as(user, reasons) == {
        "none": None,
        "seccomp EPERM": f"{filters} (Operation not permitted)",
        "seccomp ENOSYS": f"{filters} (Function not implemented)",
        "pidfd_open EPERM": f"{pidfd} (Operation not permitted)",
        "pidfd_open ENOSYS": f"{pidfd} (Function not implemented)",
    }


def of_another_machine():
    if seccomp.libc().personality(8) == -1:  # PER_LINUX32
        return None
    return locking.reason_against()


def test_reason_of_a_32_bit_machine():
    reason = run_as("nobody", of_another_machine)
    if reason is None:
        pytest.skip("the kernel runs no 32-bit programs")
    assert re.fullmatch(r"it knows 64-bit x86_64 and aarch64, and this is a 64-bit Python on (i686|armv8l)", reason)


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_can_import_it_and_hear_why_not(system):
    """There, modules and functions are missing that Linux has."""
    script = f"""
import os, sys
sys.platform = {system!r}
sys.modules["resource"] = None
for name in ("pidfd_open", "setresuid", "geteuid", "nice"):
    delattr(os, name)
from tinyagent.locked import lock
print(lock.reason_against())
"""
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"it needs Linux, and this is {system}\n", "")


def test_reason_where_processes_cannot_be_signalled_by_their_descriptors(monkeypatch):
    def forbidden(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(signal, "pidfd_send_signal", forbidden)
    before = len(list(pathlib.Path("/proc/self/fd").iterdir()))
    assert locking.reason_against() == "pidfd_send_signal is missing or forbidden here (Function not implemented)"
    assert len(list(pathlib.Path("/proc/self/fd").iterdir())) == before


def failures():
    column = seccomp.MACHINES[os.uname().machine].column
    prctl = (157, 167)[column]

    def without(number):
        return inside(lambda: "locked", before=lambda: fail_calls({number: errno.EACCES}))

    return {
        "parent": inside(lambda: "locked", parent=os.getpid() + 1),
        "memory": inside(lambda: "locked", memory=1 << 70),
        "capset": without(locking.CAPSET[column]),
        "seccomp": without(seccomp.SECCOMP[column]),
        "prctl": without(prctl),
    }


@each_user
def test_what_fails_is_told(user):
    found = run_as(user, failures)
    assert {name: each.get("value") for name, each in found.items()} == dict.fromkeys(found)
    assert "error" not in (orphan := found.pop("parent"))
    assert orphan["status"] == 1  # it ends at once: there is nobody left to tell
    could_not = "LockError: The sandbox process could not"
    errors = {name: each["error"] for name, each in found.items()}
    assert errors.pop("memory").startswith(f"{could_not} limit resources: ")
    assert errors == {
        "capset": f"{could_not} give up capabilities: [Errno 13] Permission denied",
        "seccomp": f"{could_not} install the seccomp filter: [Errno 13] Permission denied",
        "prctl": f"{could_not} leave the debugger out: [Errno 13] Permission denied",
    }
