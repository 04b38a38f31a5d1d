"""The attempts that must be refused, without any sandbox: to show that there they would work."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
from typing import Any

from tests.sandbox.hostile import PRELUDE, Attempt
from tests.sandbox.hostile_world import World


def plainly(attempts: list[Attempt]) -> dict[str, str]:
    """What those attempts answer in a plain Python that must be refused in the sandbox, one process each.

    Not for root, who may do too much.
    """
    if os.geteuid() == 0:
        raise PermissionError("Run this as an unprivileged user.")
    with World() as world:
        return {
            attempt.name: plain(attempt, {**world.names, "NEIGHBOUR_PID": world.names["VICTIM_PID"]})
            for attempt in attempts
            if {"refused", "denied"} & set(attempt.expect) and attempt.runs_here
        }


def plain(attempt: Attempt, names: dict[str, Any]) -> str:
    """The value of an attempt, run in a forked copy of this process."""
    inward, outward = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            namespace = dict(names)
            exec(PRELUDE, namespace)
            tree = ast.parse(attempt.code)
            last = tree.body.pop()
            exec(compile(tree, "<plain>", "exec"), namespace)
            value = eval(compile(ast.Expression(last.value), "<plain>", "eval"), namespace)
            os.write(outward, str(value).encode(errors="replace")[:1000])
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.write(outward, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(outward)
    os.waitpid(pid, 0)
    os.set_blocking(inward, False)  # what it has left running may hold the other end
    try:
        return (os.read(inward, 1000) or b"nothing").decode(errors="replace")
    except BlockingIOError:
        return "nothing"
    finally:
        os.close(inward)
