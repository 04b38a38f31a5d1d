"""Claims on runs: one holder among all objects and processes, and none that outlives its process."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tinyagent import SQLiteStore
from tinyagent.core import claims as module
from tinyagent.core.claims import Claims
from tinyagent.errors import StoreError

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="forks, and what the kernel says of locks"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
linux = pytest.mark.skipif(sys.platform != "linux", reason="locks of open files on bytes are Linux's")


@pytest.fixture(params=[pytest.param(True, marks=linux, id="one file"), pytest.param(False, id="own files")])
def one_file(request):
    return request.param


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "agents.db")


@pytest.fixture
def make(path, one_file):
    return lambda: Claims(path, one_file=one_file)


def descriptors():
    return sorted(entry.name for entry in Path("/dev/fd").iterdir())


class Copy:
    """A forked copy of this process that has called a function, and lives until it is ended."""

    def __init__(self, function):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.write(writing, repr(function()).encode())
            except BaseException as error:
                os.write(writing, repr(error).encode())
            while True:
                signal.pause()
        os.close(writing)
        self.said = os.read(reading, 1000).decode()
        os.close(reading)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Process:
    """Another process that has claimed runs, and holds what it got."""

    def __init__(self, path, one_file, *runs):
        program = (
            "import sys; from tinyagent.core.claims import Claims; path, one_file, *runs = sys.argv[1:]\n"
            "claims = Claims(path, one_file=one_file == 'True')\n"
            "print([claims.take(run) for run in runs], flush=True); input()"
        )
        command = [sys.executable, "-c", program, path, str(one_file), *runs]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = self._process.stdout.readline().strip()

    def kill(self):
        self._process.kill()
        self._process.communicate()


def test_one_object_holds_a_run_once(make):
    claims = make()
    assert claims.take("r") is True
    assert claims.take("r") is False
    assert claims.take("s") is True
    claims.give("r")
    assert claims.take("r") is True
    assert claims.take("s") is False


def test_two_objects_in_one_process_exclude_each_other(make):
    one, two = make(), make()
    assert one.take("r") is True
    assert two.take("r") is False
    assert two.take("s") is True
    assert one.take("s") is False
    one.give("r")
    assert two.take("r") is True
    assert one.take("r") is False


def test_giving_one_back_keeps_the_others(make):
    one, two = make(), make()
    assert one.take("r")
    assert one.take("s")
    one.give("r")
    assert two.take("s") is False
    assert two.take("r") is True


def test_many_runs_do_not_get_in_each_others_way(make):
    one, two = make(), make()
    assert all((one, two)[number % 2].take(f"run {number}") for number in range(200))
    assert not any((two, one)[number % 2].take(f"run {number}") for number in range(200))


def test_another_process_is_excluded_and_its_claims_are_free_when_it_is_killed(make, path, one_file):
    claims = make()
    assert claims.take("mine")
    other = Process(path, one_file, "mine", "theirs")
    assert other.said == "[False, True]"
    assert claims.take("theirs") is False
    other.kill()
    assert claims.take("theirs") is True
    assert claims.take("mine") is False


def test_a_forked_copy_holds_nothing_and_takes_nothing_away(make):
    claims = make()
    assert claims.take("r")
    copy = Copy(lambda: (claims.take("r"), make().take("r"), claims.take("s")))
    try:
        assert copy.said == "(False, False, True)"
        assert make().take("r") is False, "the copy has freed it"
        claims.give("r")
        assert make().take("r") is True, "the copy holds it"
    finally:
        copy.kill()
    assert make().take("s") is True


def test_a_claim_is_free_when_its_process_dies_and_a_copy_of_it_lives(make, tmp_path):
    claims, pids = make(), tmp_path / "pid"

    def take_and_fork():
        taken = claims.take("r")
        copy = Copy(os.getppid)
        pids.write_text(str(copy.pid))
        return taken

    owner = Copy(take_and_fork)
    try:
        assert owner.said == "True"
        assert claims.take("r") is False
        owner.kill()
        os.kill(int(pids.read_text()), 0)  # which lives
        assert claims.take("r") is True
    finally:
        os.kill(int(pids.read_text()), signal.SIGKILL)


def test_a_started_program_does_not_hold_what_its_starter_held(make):
    claims = make()
    claims.take("r")
    program = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    try:
        claims.give("r")
        assert make().take("r") is True
    finally:
        program.communicate()


def test_what_was_claimed_leaves_nothing_open(make):
    before = descriptors()
    one, two = make(), make()
    for _ in range(3):
        assert one.take("r")
        assert not two.take("r")
        assert two.take("s")
        assert not one.take("s")
        two.give("s")
        one.give("r")
    assert descriptors() == before


def test_own_files_go_with_the_claims(path):
    claims = Claims(path, one_file=False)
    folder = Path(f"{path}-claims.d")
    claims.take("r")
    assert len(list(folder.iterdir())) == 1
    claims.give("r")
    assert list(folder.iterdir()) == []


@linux
def test_any_number_of_claims_takes_one_descriptor(path):
    claims = Claims(path, one_file=True)
    before = len(descriptors())
    assert all(claims.take(f"run {number}") for number in range(2000))
    assert len(descriptors()) == before + 1
    assert Path(f"{path}-claims").stat().st_size == 0
    for number in range(2000):
        claims.give(f"run {number}")
    assert len(descriptors()) == before


@pytest.mark.parametrize("run", ["", "a/b/../c", "\0", "\ud800", "x" * 10_000, "Straße", "STRASSE"])
def test_any_name_can_be_claimed(make, run):
    one, two = make(), make()
    assert one.take(run)
    assert not two.take(run)
    assert two.take(run + " ")
    one.give(run)
    assert two.take(run)


def test_what_is_removed_between_opening_and_locking_is_opened_anew(path, monkeypatch):
    one, two, three = (Claims(path, one_file=False) for _ in range(3))
    one.take("r")
    lock = module.fcntl.flock

    def locked_late(descriptor, how):
        monkeypatch.setattr(module.fcntl, "flock", lock)
        monkeypatch.setattr(module, "_lock", threading.Lock())  # as if it were in another process
        one.give("r")
        lock(descriptor, how)

    monkeypatch.setattr(module.fcntl, "flock", locked_late)
    assert two.take("r") is True
    assert three.take("r") is False, "two has locked a file that is not there"


def test_of_threads_and_processes_that_want_one_run_one_has_it(make, path, one_file, tmp_path):
    """Each adds one to a number that is safe only while one does it at a time."""
    number = tmp_path / "number"
    number.write_text("0")
    program = """
import sys, threading, time
from pathlib import Path
from tinyagent.core.claims import Claims
path, one_file, number, times = sys.argv[1:]
number = Path(number)
def work():
    claims = Claims(path, one_file=one_file == "True")
    for _ in range(int(times)):
        while not claims.take("r"):
            time.sleep(0.0001)
        text = str(int(number.read_text()) + 1)
        number.write_text(text)
        claims.give("r")
threads = [threading.Thread(target=work) for _ in range(2)]
for each in threads: each.start()
for each in threads: each.join()
"""
    command = [sys.executable, "-c", program, path, str(one_file), str(number), "50"]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert number.read_text() == "300"


# -- what can go wrong


def test_a_missing_folder_is_named(tmp_path, one_file):
    path = str(tmp_path / "missing" / "agents.db")
    with pytest.raises(StoreError, match=r"The store '.*agents\.db' failed: its claims .*Its folder must be there"):
        Claims(path, one_file=one_file).take("r")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_named(make, monkeypatch, one_file, code):
    def refuse(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module.fcntl, "fcntl" if one_file else "flock", refuse)
    before = descriptors()
    claims = make()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"agents\.db' failed: its claims .*on a disk that knows locks"):
            claims.take("r")
    assert descriptors() == before
    monkeypatch.undo()
    assert claims.take("r") is True


def test_a_folder_that_cannot_be_written_is_named(one_file):
    def try_it():
        if os.geteuid() == 0:  # whom no permissions stop
            os.setuid(65534)
        try:
            return Claims(f"{folder}/agents.db", one_file=one_file).take("r")
        except StoreError as error:
            return str(error)

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        copy = Copy(try_it)
        copy.kill()
        Path(folder).chmod(0o755)
    assert "Permission denied" in copy.said
    assert "must be there and be writable" in copy.said


async def test_a_store_that_two_paths_lead_to_is_one(tmp_path, monkeypatch):
    store = SQLiteStore(tmp_path / "agents.db")
    await store.put("r", "key", "text")
    (tmp_path / "link.db").symlink_to("agents.db")
    monkeypatch.chdir(tmp_path)
    async with store.claim("r") as mine:
        assert mine
        for path in ("link.db", "agents.db", tmp_path / "x" / ".." / "agents.db"):
            async with SQLiteStore(path).claim("r") as theirs:
                assert theirs is False


async def test_a_copy_that_leaves_the_block_of_a_claim_frees_nothing(tmp_path):
    store = SQLiteStore(tmp_path / "agents.db")

    def left():
        with pytest.raises(StopIteration):
            leaving.send(None)
        return "left"

    claim = store.claim("r")
    assert await claim.__aenter__() is True
    leaving = claim.__aexit__(None, None, None)
    copy = Copy(left)
    copy.kill()
    assert copy.said == "'left'"
    async with store.claim("r") as mine:
        assert mine is False
    await leaving
    async with store.claim("r") as mine:
        assert mine is True


def test_claims_are_held_across_event_loops_and_threads(tmp_path):
    store = SQLiteStore(tmp_path / "agents.db")

    async def claim():
        async with store.claim("r") as mine:
            return mine

    async def hold():
        async with store.claim("r") as mine:
            return mine, await asyncio.to_thread(asyncio.run, claim())

    assert asyncio.run(hold()) == (True, False)
    assert asyncio.run(claim()) is True
