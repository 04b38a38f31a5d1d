"""tinyagent: a small, fast, async agent package.

Everything public is imported from here. Names load when they are first used, so that `import tinyagent` costs a
few milliseconds and imports neither openai nor httpx nor pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "2.0.0"

# ruff: noqa: I001
# fmt: off
if TYPE_CHECKING:
    from tinyagent.agents.agent import Agent
    from tinyagent.agents.code import TinyCodeAgent
    from tinyagent.agents.options import AgentOptions
    from tinyagent.agents.react import ReactAgent
    from tinyagent.agents.run import Run
    from tinyagent.agents.state import RunOptions
    from tinyagent.bridge import run_sync
    from tinyagent.core.context import Context
    from tinyagent.core.effects import Effects, Journal
    from tinyagent.core.errors import (
        AuthenticationError, BadRequestError, ConfigurationError, ContentFilterError, ContextLengthError,
        DuplicateToolError, EmptyReplyError, FatalToolError, FrozenRegistryError, JournalError, MalformedReplyError,
        MissingCredentialsError, MissingExtraError, ModelConnectionError, ModelError, ModelNotFoundError,
        ModelTimeoutError, NoChoicesError, ProtocolError, RateLimitError, RefusalError, ReplayError, RunError,
        RunLimitError, SandboxError, SandboxUnavailableError, ScriptError, ServerError, StepLimitReached, StreamError,
        StreamInterruptedError, TimeLimitReached, TinyAgentError, TokenLimitReached, ToolArgumentsError,
        ToolDefinitionError, ToolkitError, TruncatedReplyError, UnknownOptionError,
        UnknownToolError,
    )
    from tinyagent.core.events import (
        CallSealed, CodeFinished, CodeOutput, CodeStarted, Event, HandedOver, InnerEvent, LimitHit, Notice,
        ReasoningDelta, Retry, RunFailed, RunFinished, RunStarted, StepFinished, StepStarted, TextDelta, TextVoided,
        ToolFinished, ToolProgress, ToolStarted, event_from_dict,
    )
    from tinyagent.core.execution import CodeError, Execution
    from tinyagent.core.limits import Limits
    from tinyagent.core.messages import Assistant, Call, Conversation, Message, Reply, System, ToolReply, User
    from tinyagent.core.opaque import Opaque
    from tinyagent.core.printable import printable
    from tinyagent.core.registry import Tool, ToolRegistry, freeze_registry, get_registry, tool
    from tinyagent.core.result import RunInfo, Observation, RunResult, State, Step
    from tinyagent.core.threads import set_thread_limit
    from tinyagent.core.usage import Usage
    from tinyagent.models.base import Model, ModelRequest, Sink
    from tinyagent.models.chat import MessageLike, messages_from_json, messages_to_json
    from tinyagent.models.openai import OpenAIModel, ModelSettings
    from tinyagent.sandbox.base import Capabilities, Sandbox, SandboxLimits, Session
    from tinyagent.sandbox.inprocess import PythonExecutor
    from tinyagent.sandbox.monty import MontySandbox
    from tinyagent.sandbox.process import ProcessSandbox
    from tinyagent.tools.builtin.jina_reader import JinaReader, jina_reader
    from tinyagent.tools.builtin.planning import Plan, Planning, PlanStep
    from tinyagent.tools.builtin.web_browse import Page, WebBrowser, web_browse
    from tinyagent.tools.builtin.web_search import SearchResult, SearchResults, WebSearch, web_search
    from tinyagent.tools.mcp import MCPMedia, MCPProgress, MCPResult, MCPToolError, MCPTools
    from tinyagent.tools.toolkit import Toolkit

#: The public names of each module.
_NAMES = {
    "agents.agent": "Agent",
    "agents.code": "TinyCodeAgent",
    "agents.options": "AgentOptions",
    "agents.react": "ReactAgent",
    "agents.run": "Run",
    "agents.state": "RunOptions",
    "bridge": "run_sync",
    "core.context": "Context",
    "core.effects": "Effects Journal",
    "core.errors":
        "AuthenticationError BadRequestError ConfigurationError ContentFilterError ContextLengthError "
        "DuplicateToolError EmptyReplyError FatalToolError FrozenRegistryError JournalError MalformedReplyError "
        "MissingCredentialsError MissingExtraError ModelConnectionError ModelError ModelNotFoundError "
        "ModelTimeoutError NoChoicesError ProtocolError RateLimitError RefusalError ReplayError RunError "
        "RunLimitError SandboxError SandboxUnavailableError ScriptError ServerError StepLimitReached StreamError "
        "StreamInterruptedError TimeLimitReached "
        "TinyAgentError TokenLimitReached ToolArgumentsError ToolDefinitionError ToolkitError "
        "TruncatedReplyError UnknownOptionError UnknownToolError",
    "core.events":
        "CallSealed CodeFinished CodeOutput CodeStarted Event HandedOver InnerEvent LimitHit Notice "
        "ReasoningDelta Retry RunFailed RunFinished RunStarted "
        "StepFinished StepStarted TextDelta TextVoided ToolFinished ToolProgress ToolStarted event_from_dict",
    "core.execution": "CodeError Execution",
    "core.limits": "Limits",
    "core.messages": "Assistant Call Conversation Message Reply System ToolReply User",
    "core.opaque": "Opaque",
    "core.printable": "printable",
    "core.registry": "Tool ToolRegistry freeze_registry get_registry tool",
    "core.result": "RunInfo Observation RunResult State Step",
    "core.threads": "set_thread_limit",
    "core.usage": "Usage",
    "models.base": "Model ModelRequest Sink",
    "models.chat": "MessageLike messages_from_json messages_to_json",
    "models.openai": "OpenAIModel ModelSettings",
    "sandbox.base": "Capabilities Sandbox SandboxLimits Session",
    "sandbox.inprocess": "PythonExecutor",
    "sandbox.monty": "MontySandbox",
    "sandbox.process": "ProcessSandbox",
    "tools.builtin.jina_reader": "JinaReader jina_reader",
    "tools.builtin.planning": "Plan PlanStep Planning",
    "tools.builtin.web_browse": "Page WebBrowser web_browse",
    "tools.builtin.web_search": "SearchResult SearchResults WebSearch web_search",
    "tools.mcp": "MCPMedia MCPProgress MCPResult MCPToolError MCPTools",
    "tools.toolkit": "Toolkit",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Agent", "AgentOptions", "Assistant", "AuthenticationError", "BadRequestError", "Call", "CallSealed",
    "Capabilities", "CodeError", "CodeFinished", "CodeOutput", "CodeStarted", "ConfigurationError",
    "ContentFilterError", "Context", "ContextLengthError", "Conversation", "DuplicateToolError", "Effects",
    "EmptyReplyError", "Event", "Execution", "FatalToolError", "FrozenRegistryError", "HandedOver", "InnerEvent",
    "JinaReader", "Journal", "JournalError", "LimitHit", "Limits", "MCPMedia", "MCPProgress", "MCPResult",
    "MCPToolError", "MCPTools", "MalformedReplyError", "Message", "MessageLike", "MissingCredentialsError",
    "MissingExtraError", "Model", "ModelConnectionError", "ModelError", "ModelNotFoundError", "ModelRequest",
    "ModelSettings", "ModelTimeoutError", "MontySandbox", "NoChoicesError", "Notice", "Observation", "Opaque",
    "OpenAIModel", "Page", "Plan", "PlanStep", "Planning", "ProcessSandbox", "ProtocolError", "PythonExecutor",
    "RateLimitError", "ReactAgent", "ReasoningDelta", "RefusalError", "ReplayError", "Reply", "Retry", "Run",
    "RunError", "RunFailed", "RunFinished", "RunInfo", "RunLimitError", "RunOptions", "RunResult", "RunStarted",
    "Sandbox", "SandboxError", "SandboxLimits", "SandboxUnavailableError", "ScriptError", "SearchResult",
    "SearchResults", "ServerError", "Session", "Sink", "State", "Step", "StepFinished", "StepLimitReached",
    "StepStarted", "StreamError", "StreamInterruptedError", "System", "TextDelta", "TextVoided", "TimeLimitReached",
    "TinyAgentError", "TinyCodeAgent", "TokenLimitReached", "Tool", "ToolArgumentsError", "ToolDefinitionError",
    "ToolFinished", "ToolProgress", "ToolRegistry", "ToolReply", "ToolStarted", "Toolkit", "ToolkitError",
    "TruncatedReplyError", "UnknownOptionError", "UnknownToolError", "Usage", "User", "WebBrowser", "WebSearch",
    "event_from_dict", "freeze_registry", "get_registry", "jina_reader", "messages_from_json", "messages_to_json",
    "printable", "run_sync", "set_thread_limit", "tool", "web_browse", "web_search",
]
# fmt: on

#: What to write instead of names of tinyagent 1.x and of other packages.
_ELSEWHERE = {
    "FinalAnswer FinalAnswerTool final_answer": "Write @tool(returns_answer=True): its value is the run's output.",
    "MultiStepAgent ToolCallingAgent AgentExecutor ToolAgent": "Write ReactAgent(tools=[...], model=...).",
    "LiteLLMModel OpenAIServerModel OpenAIChatModel ChatOpenAI LLM": "Write OpenAIModel('gpt-4o-mini', ...).",
    "BaseTool FunctionTool StructuredTool function_tool": "Write @tool above a function, or Tool(function).",
    "RunContext RunContextWrapper ToolContext": "Write Context: a tool's parameter so annotated is filled.",
    "Runner": "Write await agent.run(...), or run_sync(agent.run(...)).",
    "Memory ConversationMemory": "Write agent.run(..., messages=result.messages).",
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
    """The error for a name that is none here; where it was imported, one whose text Python does not replace."""
    cure = next((cure for names, cure in _ELSEWHERE.items() if name in names.split()), "")
    if not cure and name[:1].isalpha():
        import difflib

        close = difflib.get_close_matches(name, __all__, 1, 0.7)
        cure = f"Did you mean {close[0]!r}?" if close else ""
    import sys
    from opcode import opname

    caller = sys._getframe(2)  # noqa: SLF001 - of __getattr__
    if cure and opname[caller.f_code.co_code[caller.f_lasti]] == "IMPORT_FROM":
        return ImportError(f"cannot import name {name!r} from 'tinyagent'. {cure}", name="tinyagent", path=__file__)
    said = f"module 'tinyagent' has no attribute {name!r}"
    return AttributeError(f"{said}. {cure}" if cure else said)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
