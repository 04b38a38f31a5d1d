"""`ProcessSandbox`: model-written code as ordinary CPython in a locked process of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from tinyagent.core.door import door
from tinyagent.core.errors import ConfigurationError
from tinyagent.core.tool import warn_user
from tinyagent.locked.lock import reason_against
from tinyagent.sandbox.base import (
    Caller,
    Sandbox,
    SandboxCapabilities,
    SandboxLimits,
    SandboxSession,
    Tools,
    caller_of,
    checked_limits,
    tools_by_name,
)
from tinyagent.sandbox.link import unavailable
from tinyagent.sandbox.session import ProcessSession

_NOTES = (
    "There is no network, no other process, no environment and no access to the machine's files.",
    "open(), pathlib and os work on a small file system in memory, which lasts as long as the task.",
)


class ProcessSandbox:
    """Runs code as ordinary CPython in locked child processes (Linux on x86_64 and aarch64).

    Each session is forked in milliseconds from a clean process that has the standard library imported, and locks
    itself before any code runs: a seccomp allow-list without a single call that opens a path, a socket or a process,
    no capabilities, no new privileges, resource limits, landlock and a user of its own where the system has them.

    Args:
        limits: What a session may use, unless `open` is told otherwise.
        preload: Packages that the code may import besides the standard library, such as `["numpy", "pandas"]`. They
            are taken from this process's environment, and imported when the first session starts.

    Raises:
        ConfigurationError: An argument is wrong.
    """

    @door("sandbox")
    def __init__(self, *, limits: SandboxLimits | None = None, preload: Iterable[str] = ()) -> None:
        if isinstance(preload, str) or not all(isinstance(name, str) for name in preload):
            raise ConfigurationError(f"preload={preload!r}: pass a list of packages, such as ['numpy', 'pandas'].")
        self.limits: SandboxLimits = checked_limits(limits)
        self.preload: tuple[str, ...] = tuple(preload)

    def __repr__(self) -> str:
        return f"ProcessSandbox(preload={list(self.preload)})"

    @staticmethod
    def reason_against() -> str | None:
        """Return why no `ProcessSandbox` can run here, or `None`."""
        return reason_against()

    @property
    def capabilities(self) -> SandboxCapabilities:
        """What the sandbox can do."""
        return SandboxCapabilities(
            full_python=True,
            isolated=True,
            async_tools=True,
            concurrent_tools=True,
            replay=True,
            packages=self.preload,
            notes=_NOTES,
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

            async with ProcessSandbox().open([search]) as session:
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
        return ProcessSession(self.preload, by_name, limits or self.limits, call or caller_of(by_name), seed)


def default_sandbox() -> Sandbox:
    """Return a `ProcessSandbox`; where it cannot run, a `MontySandbox`, with a warning that says why.

    Raises:
        SandboxUnavailableError: Neither sandbox can run here; the text says why, and what to install.
    """
    reason = ProcessSandbox.reason_against()
    if reason is None:
        return ProcessSandbox()
    if importlib.util.find_spec("pydantic_monty") is None:
        raise unavailable(reason)
    from tinyagent.sandbox.monty import MontySandbox

    warn_user(
        f"Code runs in MontySandbox, which knows a part of Python, since ProcessSandbox cannot run here: {reason}. To "
        "choose it without this warning, pass sandbox=MontySandbox()."
    )
    return MontySandbox()
