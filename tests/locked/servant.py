"""What the worker processes of the tests serve."""

import os
import socket
import sys


def prepare():
    """Nothing."""


def answer(request, content):
    """Do what is asked."""
    return {"said": WORKS[request.get("do", "endless")](content)}, content


def _endless(_):
    while True:
        pass


def _attempt(function):
    try:
        function()
    except OSError as error:
        return type(error).__name__
    return "done"


WORKS = {
    "echo": len,
    "pid": lambda _: os.getpid(),
    "endless": _endless,
    "crash": lambda _: os.kill(os.getpid(), 11),
    "end": lambda _: os._exit(0),
    "raise": lambda _: 1 / 0,
    "print": lambda _: print("printed", flush=True),
    "allocate": lambda content: len(bytearray(int(content))),
    "environment": lambda _: sorted(os.environ),
    "modules": lambda _: sorted(sys.modules),
    "open": lambda _: _attempt(lambda: os.open(__file__, os.O_RDONLY)),
    "connect": lambda _: _attempt(socket.socket),
    "flood": lambda _: os.write(3, b"\xff" * 64),
}
