"""The sandbox used when none is named, and the check that a sandbox can call the tools."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Any

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.tool import Tool, warn_user
from tinyagent.sandbox.base import Sandbox
from tinyagent.sandbox.process import ProcessSandbox, unavailable


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


def check_tools(sandbox: Sandbox, tools: Iterable[Tool[..., Any]]) -> None:
    """Refuse tools that the sandbox cannot call.

    Raises:
        ConfigurationError: A tool is async, the sandbox synchronous; the text names both, and what to use instead.
    """
    if sandbox.capabilities.async_tools:
        return
    for tool in tools:
        if tool.is_async:
            raise ConfigurationError(
                f"Tool {tool.name!r} is async, and {type(sandbox).__name__} is synchronous: it cannot call it. Use "
                "ProcessSandbox or MontySandbox, or make the tool a plain function."
            )
