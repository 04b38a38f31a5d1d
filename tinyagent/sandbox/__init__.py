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

#: The module of each public name, loaded when the name is first used.
_HOME = {
    "CodeError": "tinyagent.core.result",
    "Execution": "tinyagent.core.result",
    "Opaque": "tinyagent.core.codec",
    "Sandbox": "tinyagent.sandbox.base",
    "SandboxCapabilities": "tinyagent.sandbox.base",
    "SandboxLimits": "tinyagent.sandbox.base",
    "SandboxSession": "tinyagent.sandbox.base",
    "PythonExecutor": "tinyagent.sandbox.inprocess",
    "MontySandbox": "tinyagent.sandbox.monty",
    "ProcessSandbox": "tinyagent.sandbox.process",
}

__all__ = [
    "CodeError",
    "Execution",
    "MontySandbox",
    "Opaque",
    "ProcessSandbox",
    "PythonExecutor",
    "Sandbox",
    "SandboxCapabilities",
    "SandboxLimits",
    "SandboxSession",
]

__getattr__, __dir__ = lazily(__name__, _HOME)
