"""The processor time and the state of other processes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time

import pytest

from tinyagent.sandbox import cpu
from tinyagent.sandbox.cpu import Patience, cores, running_threads, seconds_used, state_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads clocks and /proc of Linux")


@pytest.fixture
def start():
    started = []

    def starts(code):
        process = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE)
        started.append(process)
        return process

    yield starts
    for process in started:
        process.kill()
        process.stdout.close()
        process.wait()


def until(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not come to that")


def test_all_threads_of_a_process_are_counted(start):
    code = """
import threading, hashlib
for _ in range(2):
    threading.Thread(target=hashlib.pbkdf2_hmac, args=("md5", b"", b"", 10**9)).start()
"""
    process = start(code)
    began = seconds_used(process.pid)
    until(lambda: seconds_used(process.pid) > began + 0.2)


def test_a_stopped_process_uses_nothing(start):
    process = start("while True: pass")
    until(lambda: seconds_used(process.pid) > 0.05)
    process.send_signal(signal.SIGSTOP)
    until(lambda: state_of(process.pid) == "T")
    used = seconds_used(process.pid)
    time.sleep(0.1)
    assert seconds_used(process.pid) == used


def test_a_process_that_is_gone_or_not_known_has_no_time_and_no_state(start):
    process = start("pass")
    process.wait()
    assert (seconds_used(process.pid), state_of(process.pid)) == (None, "")
    assert (seconds_used(None), state_of(None)) == (None, "")


def test_its_own_processor_time_is_that_of_its_own_clock():
    before = time.process_time()
    assert before <= seconds_used(os.getpid()) <= time.process_time()


def test_one_that_sleeps_one_that_computes_and_one_that_has_ended(start):
    sleeper, spinner, ended = (
        start("import time; time.sleep(99) # ) Z ("),
        start("while True: pass"),
        start("print(end='x')"),
    )
    until(lambda: state_of(sleeper.pid) == "S" and state_of(spinner.pid) == "R" and state_of(ended.pid) == "Z")


def test_a_name_that_looks_like_a_state_is_no_state(start):
    code = "import time, ctypes; ctypes.CDLL(None).prctl(15, b') Z (x) Z'); print(flush=True); time.sleep(99)"
    process = start(code)
    process.stdout.readline()
    until(lambda: state_of(process.pid) == "S")


def test_threads_that_run_are_counted(start):
    code = """
import hashlib, threading, time
for _ in range(3):
    threading.Thread(target=hashlib.pbkdf2_hmac, args=("md5", b"", b"", 10**9)).start()
    threading.Thread(target=time.sleep, args=(99,)).start()
"""
    process, single, ended = start(code), start("while True: pass"), start("pass")
    ended.wait()
    until(lambda: running_threads(process.pid) == 3 and running_threads(single.pid) == 1)
    assert (running_threads(ended.pid), running_threads(None)) == (0, 0)


# ---- patience


def passes(patience, seconds):
    """Ask until it is over, for so long at most; the seconds that went by."""
    began = time.monotonic()
    while not patience.is_over() and time.monotonic() - began < seconds:
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_process_that_gets_no_processor_loses_no_patience(start):
    """Nine share one: each has a ninth of the time that goes by, or less."""
    together = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(flush=True)\nwhile True: pass"
    processes = [start(together) for _ in range(9)]
    for process in processes:
        process.stdout.readline()
    patience, used = Patience(processes[0].pid, 0.4), seconds_used(processes[0].pid)
    passes(patience, 0.8)
    assert patience.is_over() == (seconds_used(processes[0].pid) - used > 0.4)


def test_a_process_that_computes_has_its_processor_seconds(start):
    process = start("print(flush=True)\nwhile True: pass")
    process.stdout.readline()
    used = seconds_used(process.pid)
    assert passes(Patience(process.pid, 0.3), 30) < 30
    assert seconds_used(process.pid) - used >= 0.29


@pytest.mark.parametrize("stop", [False, True])
def test_a_process_that_sleeps_or_has_stopped_itself_has_the_seconds_that_go_by(start, stop):
    process = start("import time; print(flush=True); time.sleep(99)")
    process.stdout.readline()
    until(lambda: state_of(process.pid) == "S")
    if stop:
        process.send_signal(signal.SIGSTOP)
    assert 0.2 <= passes(Patience(process.pid, 0.2), 30) < 10


def test_seconds_in_which_it_is_kept_stopped_do_not_count_but_they_end_too(monkeypatch):
    began = time.monotonic()
    patience = Patience(None, 0.1, lambda: time.monotonic() - began)
    passes(patience, 0.4)
    assert not patience.is_over()
    monkeypatch.setattr(cpu, "_LONGEST", 0.2)
    assert 0.3 <= passes(Patience(None, 0.1, lambda: time.monotonic() - began), 30) < 10


# ---- how many there are


def test_there_are_as_many_processors_as_this_process_may_use():
    everywhere = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(everywhere)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, everywhere)
    assert 1 <= cores() <= len(everywhere)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, math.inf),
        ({"cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu.max": "nonsense\n"}, math.inf),
        ({}, math.inf),
    ],
)
def test_a_quota_of_a_control_group_is_read(tmp_path, files, quota):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert cpu._quota_of(str(tmp_path), list(files) or ["cpu.max"]) == quota
