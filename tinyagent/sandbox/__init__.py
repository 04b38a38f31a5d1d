"""Where model-written Python runs: the sandboxes, their limits, and what a block of code gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyagent.core.lazy import lazily

if TYPE_CHECKING:
    from tinyagent.core.codec import Opaque
    from tinyagent.core.result import CodeError, Execution
    from tinyagent.sandbox.base import Sandbox, SandboxCapabilities, SandboxLimits, SandboxSession
    from tinyagent.sandbox.inprocess import PythonExecutor
    from tinyagent.sandbox.monty import MontySandbox
    from tinyagent.sandbox.process import ProcessSandbox

#: The names of each module, which is loaded when one of them is first used.
_NAMES = {
    "tinyagent.core.codec": "Opaque",
    "tinyagent.core.result": "CodeError Execution",
    "tinyagent.sandbox.base": "Sandbox SandboxCapabilities SandboxLimits SandboxSession",
    "tinyagent.sandbox.inprocess": "PythonExecutor",
    "tinyagent.sandbox.monty": "MontySandbox",
    "tinyagent.sandbox.process": "ProcessSandbox",
}

__all__ = [
    "CodeError", "Execution", "MontySandbox", "Opaque", "ProcessSandbox", "PythonExecutor", "Sandbox",
    "SandboxCapabilities", "SandboxLimits", "SandboxSession",
]  # fmt: skip

__getattr__, __dir__ = lazily(__name__, _NAMES)
