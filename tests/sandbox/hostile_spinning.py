"""Attempts to have more of the processors than is due, and to signal to another session without a word to the host."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

#: Ways to compute for ever. Each begins with threads that hold no lock of the interpreter.
SPINNING = {
    "as many threads as may be": "THREADS(4)\nwhile True: pass",
    "threads, and a main thread that sleeps": "THREADS(4)\nwhile True: time.sleep(1)",
    "a signal handler that computes whenever it is continued": "def h(*_):\n    while True: pass\nsignal.signal(signal.SIGCONT, h)\nwhile True: time.sleep(0.01)",
    "naps between spells": "while True:\n    until = time.monotonic() + 0.03\n    while time.monotonic() < until: pass\n    time.sleep(0.002)",
    "calls a tool and computes while it is answered": "while True:\n    task = asyncio.ensure_future(nap(1))\n    until = time.monotonic() + 0.2\n    while time.monotonic() < until: pass\n    await asyncio.sleep(0)",
    "calls a tool again and again to be thought waiting": "async def calls():\n    while True: await nap(0.001)\ntask = asyncio.ensure_future(calls())\nwhile True:\n    until = time.monotonic() + 0.02\n    while time.monotonic() < until: pass\n    await asyncio.sleep(0)",
    "a thread that stops its process in the middle": "threading.Timer(0.05, signal.raise_signal, (signal.SIGSTOP,)).start()\nwhile True: pass",
}

#: Ways to wait for, or to wake, somebody in another process: the code of the C library is in the memory of all.
CHANNELS = {
    "wait on the C library's code": ("futex(0)", '== "EAGAIN"'),
    "wait on it with a mask": ("futex(9)", '== "EAGAIN"'),
    "wait on it by the wall clock": ("futex(9 | 0x100)", '== "EAGAIN"'),
    "wait on it with high bits set": ("futex(1 << 32)", '== "EAGAIN"'),
    "wake whoever waits on it": ("futex(1)", '== "EINVAL"'),
    "wake with a mask": ("futex(10)", '== "EINVAL"'),
    "move whoever waits on it": ("(futex(3), futex(4))", '== ("EINVAL", "EINVAL")'),
    "wake and write": ("futex(5)", '== "EINVAL"'),
    "lock it with inheritance": ("(futex(6), futex(13), futex(11))", '== ("ENOSYS", "ENOSYS", "ENOSYS")'),
    "wait on several": ("refused(sc, 449, bytes(24), 1, 0, 0, 0)", "refused"),
    "wait for the end of another session's thread": (
        "thread = threading.Thread(target=lambda: sc(218, AT))\nthread.start()\nthread.join()\nfutex(0)",
        '== "EAGAIN" or killed',  # from Python 3.13 on `join` waits for what the kernel now clears elsewhere
    ),
    "wait in private on what is shared": ("futex(0x80)", '== "ETIMEDOUT"'),
}

_THREADS = """import hashlib
def THREADS(count):
    for _ in range(count):
        threading.Thread(target=hashlib.pbkdf2_hmac, args=("md5", b"", b"", 10**9), daemon=True).start()
"""

_FUTEX = """AT = ctypes.cast(libc.getppid, ctypes.c_void_p).value & ~63
def futex(operation):
    return refused(sc, 202, AT, operation, ctypes.c_int.from_address(AT).value, struct.pack("qq", 0, 10**6), AT, -1)
"""


def attempts() -> str:
    """Their text, in the form of `hostile`."""
    spinning = [f"### {name} | stopped or killed\n{_THREADS}{code}\n" for name, code in SPINNING.items()]
    channels = [f"### {name} | {expected}\n{_FUTEX}{code}\n" for name, (code, expected) in CHANNELS.items()]
    return "\n".join([*spinning, *channels, OTHERS])


OTHERS = f"""
### threads that go on when the block is over | == 1
{_THREADS}THREADS(4)
1

### threads that go on, and a host that reads values | == 2
{_THREADS}THREADS(4)
loot = 2
loot

### deaf threads | killed
{_THREADS}signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
THREADS(4)
while True: pass

### deaf threads while the host cancels | ends | meddle=cancel seconds=20
{_THREADS}signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
THREADS(4)
while True: pass
"""

ATTEMPTS = attempts()
