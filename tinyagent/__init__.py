"""tinyagent: a small, fast, async agent package.

What most programs need is imported from here; everything else that is public from `tinyagent.errors`, `.events`,
`.messages`, `.middleware`, `.policies`, `.results`, `.sandbox`, `.stores`, `.tools` and `.testing`. Names load when
they are first used: `import tinyagent` costs a few milliseconds and imports neither openai nor httpx nor pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "2.0.0"

# ruff: noqa: I001
# fmt: off
if TYPE_CHECKING:
    from tinyagent.agents.code import TinyCodeAgent
    from tinyagent.agents.options import AgentOptions
    from tinyagent.agents.react import ReactAgent
    from tinyagent.agents.run import Run
    from tinyagent.agents.state import RunOptions
    from tinyagent.bridge import run_sync
    from tinyagent.core.context import Context
    from tinyagent.core.errors import ConfigurationError, FatalToolError, ModelError, RunError, TinyAgentError
    from tinyagent.core.events import (
        InnerEvent, Notice, Retry, StepFinished, TextDelta, TextVoided, ToolFinished, ToolStarted,
    )
    from tinyagent.core.limits import Limits
    from tinyagent.core.messages import Call, Reply, User
    from tinyagent.agents.middleware import Middleware
    from tinyagent.core.text import printable
    from tinyagent.core.policy import Allow, Ask, Deny, Return, ask_before
    from tinyagent.agents.recovery import resume_all
    from tinyagent.core.registry import freeze_registry, get_registry, tool
    from tinyagent.core.result import Observation, RunResult
    from tinyagent.core.sqlite import SQLiteStore
    from tinyagent.core.store import MemoryStore
    from tinyagent.core.threads import set_thread_limit
    from tinyagent.core.tool import Tool
    from tinyagent.core.limits import Usage
    from tinyagent.models.base import Model, ModelRequest, Sink
    from tinyagent.models.chat import messages_from_json, messages_to_json
    from tinyagent.models.openai import ModelSettings, OpenAIModel
    from tinyagent.sandbox.base import SandboxLimits
    from tinyagent.sandbox.inprocess import PythonExecutor
    from tinyagent.sandbox.monty import MontySandbox
    from tinyagent.sandbox.process import ProcessSandbox
    from tinyagent.tools.builtin.jina_reader import JinaReader, jina_reader
    from tinyagent.tools.builtin.planning import Planning
    from tinyagent.tools.builtin.web_browse import WebBrowser, web_browse
    from tinyagent.tools.builtin.web_search import WebSearch, web_search
    from tinyagent.tools.mcp import MCPTools
    from tinyagent.tools.toolkit import Toolkit

#: The names of `tinyagent.__all__`, by the modules that define them.
_NAMES = {
    "agents.code": "TinyCodeAgent",
    "agents.options": "AgentOptions",
    "agents.react": "ReactAgent",
    "agents.run": "Run",
    "agents.state": "RunOptions",
    "bridge": "run_sync",
    "core.context": "Context",
    "core.errors": "ConfigurationError FatalToolError ModelError RunError TinyAgentError",
    "core.events": "InnerEvent Notice Retry StepFinished TextDelta TextVoided ToolFinished ToolStarted",
    "core.limits": "Limits Usage",
    "core.messages": "Call Reply User",
    "agents.middleware": "Middleware",
    "core.text": "printable",
    "core.policy": "Allow Ask Deny Return ask_before",
    "agents.recovery": "resume_all",
    "core.registry": "freeze_registry get_registry tool",
    "core.result": "Observation RunResult",
    "core.sqlite": "SQLiteStore",
    "core.store": "MemoryStore",
    "core.threads": "set_thread_limit",
    "core.tool": "Tool",
    "models.base": "Model ModelRequest Sink",
    "models.chat": "messages_from_json messages_to_json",
    "models.openai": "ModelSettings OpenAIModel",
    "sandbox.base": "SandboxLimits",
    "sandbox.inprocess": "PythonExecutor",
    "sandbox.monty": "MontySandbox",
    "sandbox.process": "ProcessSandbox",
    "tools.builtin.jina_reader": "JinaReader jina_reader",
    "tools.builtin.planning": "Planning",
    "tools.builtin.web_browse": "WebBrowser web_browse",
    "tools.builtin.web_search": "WebSearch web_search",
    "tools.mcp": "MCPTools",
    "tools.toolkit": "Toolkit",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "AgentOptions", "Allow", "Ask", "Call", "ConfigurationError", "Context", "Deny", "FatalToolError", "InnerEvent",
    "JinaReader", "Limits", "MCPTools", "MemoryStore", "Middleware", "Model", "ModelError", "ModelRequest",
    "ModelSettings", "MontySandbox", "Notice", "Observation", "OpenAIModel", "Planning", "ProcessSandbox",
    "PythonExecutor", "ReactAgent", "Reply", "Retry", "Return", "Run", "RunError", "RunOptions", "RunResult",
    "SQLiteStore", "SandboxLimits", "Sink", "StepFinished", "TextDelta", "TextVoided", "TinyAgentError",
    "TinyCodeAgent", "Tool", "ToolFinished", "ToolStarted", "Toolkit", "Usage", "User", "WebBrowser", "WebSearch",
    "ask_before", "freeze_registry", "get_registry", "jina_reader", "messages_from_json", "messages_to_json",
    "printable", "resume_all", "run_sync", "set_thread_limit", "tool", "web_browse", "web_search",
]
# fmt: on

#: The documented modules of the public names that `tinyagent` itself does not offer.
_ROOMS = ("errors", "events", "messages", "middleware", "policies", "results", "sandbox", "stores", "tools")
#: The public names there that are functions.
_FUNCTIONS = ("allow_only", "ask_on_terminal", "event_from_dict", "first_of", "read_only", "recorded_runs")
#: For names of tinyagent 1.x and of other packages: what to write instead.
_ELSEWHERE = {
    "Agent": "Write ReactAgent(tools=[...], model=...), or TinyCodeAgent(...).",
    "FinalAnswer FinalAnswerTool final_answer": "Write @tool(returns_answer=True): its value is the run's output.",
    "MultiStepAgent ToolCallingAgent AgentExecutor ToolAgent": "Write ReactAgent(tools=[...], model=...).",
    "LiteLLMModel OpenAIServerModel OpenAIChatModel ChatOpenAI LLM": "Write OpenAIModel('gpt-4o-mini', ...).",
    "BaseTool FunctionTool StructuredTool function_tool": "Write @tool above a function, or Tool(function).",
    "RunContext RunContextWrapper ToolContext": "Write Context: a tool's parameter so annotated is filled.",
    "Runner": "Write await agent.run(...), or run_sync(agent.run(...)).",
    "Memory ConversationMemory": "Write agent.run(..., session='user-7'), with a store; or messages=result.messages.",
    "UsageLimits": "Write Limits(steps=10, tokens=50_000, seconds=60).",
    "handoff Handoff": "Write ReactAgent(..., handoffs=[agent]).",
    "MaxStepsError StepLimitError": "Write StepLimitReached.",
    "LocalPythonExecutor CodeExecutor Executor": "Write PythonExecutor(), or ProcessSandbox(), which is isolated.",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise _unknown(name)
    value = getattr(importlib.import_module(f"tinyagent.{home}"), name)
    globals()[name] = value
    return value


def _unknown(name: str) -> Exception:
    """Return the error for a name that `tinyagent` lacks, with a hint where there is one.

    In `from tinyagent import name` a hint needs an ImportError: Python replaces the text of an AttributeError there.
    """
    cure = next((cure for names, cure in _ELSEWHERE.items() if name in names.split()), "")
    if not cure and (name[:1].isupper() or name in _FUNCTIONS):
        rooms = (importlib.import_module(f"tinyagent.{room}") for room in _ROOMS)
        cure = next((f"Write from {room.__name__} import {name}." for room in rooms if name in room.__all__), "")
    if not cure and name[:1].isalpha():
        import difflib

        close = difflib.get_close_matches(name, __all__, 1, 0.7)
        cure = f"Did you mean {close[0]!r}?" if close else ""
    import sys
    from opcode import opname

    caller = sys._getframe(2)  # noqa: SLF001 - the caller of __getattr__
    if cure and opname[caller.f_code.co_code[caller.f_lasti]] == "IMPORT_FROM":
        return ImportError(f"cannot import name {name!r} from 'tinyagent'. {cure}", name="tinyagent", path=__file__)
    said = f"module 'tinyagent' has no attribute {name!r}"
    return AttributeError(f"{said}. {cure}" if cure else said)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
