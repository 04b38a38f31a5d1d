"""The processor time and the state of other processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tinyagent.sandbox.cpu import seconds_used, state_of

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
