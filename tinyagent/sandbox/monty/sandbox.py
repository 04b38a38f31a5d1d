"""`MontySandbox`: model-written code in Monty, an interpreter of a part of Python (extra `[monty]`)."""

from __future__ import annotations

from typing import Any

from tinyagent.core.door import door
from tinyagent.sandbox.base import (
    Caller,
    SandboxCapabilities,
    SandboxLimits,
    SandboxSession,
    Tools,
    caller_of,
    checked_limits,
    tools_by_name,
)
from tinyagent.sandbox.monty.pool import Pool, require_monty
from tinyagent.sandbox.monty.session import MontySession

#: What models are told of this Python. The tests try each line.
_NOTES = (
    "The Python here is a part of the language: functions, loops, plain data. What follows is missing, or different.",
    (
        "Modules, and no others: asyncio, base64, binascii, bisect, collections (Counter, defaultdict, deque, "
        "namedtuple), copy, csv, dataclasses, datetime, decimal, functools (cache, lru_cache, partial, reduce), "
        "hashlib, itertools, json, math, os.path, pathlib, random, re, sys, time, tomllib, typing, unicodedata."
    ),
    (
        "No class inheritance (so no exceptions, enums or abstract classes of your own), no class in a class, no "
        "@property, @staticmethod or @classmethod; `__len__`, `__lt__`, `__bool__`, `__getattr__` are never called."
    ),
    "No `del` (use `d.pop(key)`), no `yield`, no `async for`, no `async with`, no `except*`, no `import *`.",
    (
        "Generator expressions are lists: no `next(x for x in xs if ...)`; write `[x for x in xs if ...][0]`. `map`, "
        "`zip` and `enumerate` run at once."
    ),
    "Methods are no values: `key=lambda s: s.lower()`, not `key=str.lower`; not `max(d, key=d.get)`.",
    "The functions given above cannot be called from inside `map`, `sorted`, `min` and the like: use a loop.",
    "asyncio has gather (without return_exceptions), run and sleep: no create_task, wait_for, Semaphore, TaskGroup.",
    "Exceptions take one text: `raise ValueError('...')`. They have no `__cause__`.",
    (
        "Not there: callable, issubclass, globals, vars, dir, input, bytearray, object(), super(), sys.exit, "
        "str.translate, int.bit_length, float.is_integer, f.__name__, json.dumps(default=), re.sub with a function."
    ),
    "There are no files, no network, no other processes and no environment variables.",
    "A block that runs out of time or memory takes all variables, functions and imports with it.",
)


class MontySandbox:
    """Runs code in workers of Monty, an interpreter of a part of Python: anywhere, started in under a millisecond.

    Take it where `ProcessSandbox` cannot run, and where hundreds of thousands of short sessions matter more than the
    whole of Python. The language itself is the sandbox: it has no way to reach a file, a socket or a process. Each
    session is a process of its own all the same, so that one that crashes harms no other.

    Sessions share the workers of their event loop. These end with the last session; enter the sandbox to keep them:

        async with MontySandbox() as sandbox:
            async with sandbox.open([search]) as session:
                ...

    What the limits mean here: `seconds` is the time of a block without that of its tool calls, sleeps
    included; `cpu_seconds` is the time for which the session's worker was at work, checked whenever it asks for
    something; `memory` is what the worker allocates; `threads` means nothing, since code has none. Code that waits is
    interrupted and keeps its variables; code that computes cannot be interrupted, and is killed after `grace`.

    Args:
        limits: What a session may use, unless `open` is told otherwise.

    Raises:
        ConfigurationError: An argument is wrong.
        MissingExtraError: `pydantic-monty` is not installed.
    """

    @door("sandbox")
    def __init__(self, *, limits: SandboxLimits | None = None) -> None:
        require_monty()
        self.limits: SandboxLimits = checked_limits(limits)
        self._held: list[Pool] = []

    def __repr__(self) -> str:
        return "MontySandbox()"

    @property
    def capabilities(self) -> SandboxCapabilities:
        """What the sandbox can do."""
        return SandboxCapabilities(
            full_python=False,
            isolated=True,
            async_tools=True,
            concurrent_tools=True,
            replay=True,
            notes=_NOTES,
            fields="value['field']",
        )

    def open(
        self,
        tools: Tools = (),
        limits: SandboxLimits | None = None,
        *,
        call: Caller | None = None,
        seed: str | None = None,
    ) -> SandboxSession:
        """Return a new session whose code can call the tools. Entering the session, or its first use, starts it.

            async with MontySandbox().open([search]) as session:
                execution = await session.execute("len(search('tea'))")

        Args:
            tools: Functions or `Tool` objects; the code sees them as functions.
            limits: What the session may use; default: the sandbox's own.
            call: Answers the code's tool calls; default: runs the tool.
            seed: Seeds the random numbers, so that a session that runs the same code again draws the same.

        Raises:
            ConfigurationError: Two tools have one name, or a name is no Python identifier.
        """
        by_name = tools_by_name(tools)
        return MontySession(by_name, limits or self.limits, call or caller_of(by_name), seed)

    async def __aenter__(self) -> MontySandbox:
        """Keep the workers of the running event loop, also while there is no session.

        Raises:
            SandboxUnavailableError: No worker can run here; the text says why, and what to use instead.
        """
        self._held.append(await Pool.hold())
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self._held.pop().let_go()
