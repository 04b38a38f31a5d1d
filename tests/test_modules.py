"""The documented modules: what is public beside the names at the door."""

import importlib
import inspect
import subprocess
import sys

import pytest

import tinyagent

NAMES = {
    "errors": (
        "ApprovalError DecisionError RunBusyError SessionBusyError UnknownRunError "
        "AuthenticationError BadRequestError ConfigurationError ContentFilterError ContextLengthError "
        "DuplicateToolError EmptyReplyError FatalToolError FrozenRegistryError "
        "MalformedReplyError MiddlewareError MissingCredentialsError MissingExtraError ModelConnectionError ModelError "
        "ModelNotFoundError ModelTimeoutError NoChoicesError ProtocolError RateLimitError RefusalError "
        "ReplayError RunError RunLimitError SandboxError SandboxUnavailableError ScriptError ServerError "
        "StepLimitReached StoreError StoreFormatError StreamError StreamInterruptedError TimeLimitReached "
        "TinyAgentError TokenLimitReached ToolArgumentsError ToolDefinitionError ToolkitError TruncatedReplyError "
        "UnknownOptionError UnknownToolError"
    ),
    "events": (
        "CallSealed CodeFinished CodeOutput CodeStarted Event HandedOver InnerEvent LimitHit Notice "
        "ReasoningDelta Retry RunFailed RunFinished RunStarted StepFinished StepStarted TextDelta TextVoided "
        "ToolFinished ToolProgress ToolStarted event_from_dict"
    ),
    "messages": (
        "Assistant Call Conversation Message MessageLike Reply System ToolReply User messages_from_json "
        "messages_to_json"
    ),
    "middleware": "Middleware ModelCall ToolCall",
    "policies": (
        "Allow Ask Decision Deny Pending Policy Return Verdict allow_only ask_before ask_on_terminal first_of read_only"
    ),
    "results": "MapItem Observation RunInfo RunResult State Step Usage",
    "sandbox": (
        "CodeError Execution MontySandbox Opaque ProcessSandbox PythonExecutor Sandbox SandboxCapabilities "
        "SandboxLimits SandboxSession"
    ),
    "stores": "Conversations MemoryStore RunRecord SQLiteStore Store recorded_runs resume_all",
    "tools": (
        "MCPMedia MCPProgress MCPResult MCPToolError Page Plan PlanStep SearchResult SearchResults "
        "ToolLike ToolRegistry"
    ),
}
PAIRS = [(module, name) for module, names in NAMES.items() for name in names.split()]


@pytest.mark.parametrize("module", NAMES)
def test_names_are_pinned(module):
    room = importlib.import_module(f"tinyagent.{module}")
    assert sorted(room.__all__) == sorted(NAMES[module].split())
    assert room.__doc__
    assert set(dir(room)) >= set(room.__all__)


@pytest.mark.parametrize(("module", "name"), PAIRS)
def test_every_name_is_there_and_documented(module, name):
    value = getattr(importlib.import_module(f"tinyagent.{module}"), name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__name__ == name
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}("), "dataclass wrote this one"
    if name in tinyagent.__all__:
        assert getattr(tinyagent, name) is value


@pytest.mark.parametrize(("module", "name"), [pair for pair in PAIRS if pair[1] not in tinyagent.__all__])
def test_whoever_looks_for_it_at_the_door_is_told_the_room(module, name):
    with pytest.raises(AttributeError, match=f"Write from tinyagent.{module} import {name}"):
        getattr(tinyagent, name)
    with pytest.raises(ImportError, match=f"Write from tinyagent.{module} import {name}"):
        exec(f"from tinyagent import {name}")


@pytest.mark.parametrize("module", ["sandbox", "tools"])
def test_an_unknown_name_is_none(module):
    room = importlib.import_module(f"tinyagent.{module}")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        room.nothing


@pytest.mark.parametrize("module", NAMES)
def test_importing_it_loads_nothing_heavy(module):
    program = f"import sys, tinyagent.{module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"openai", "httpx", "httpx2", "pydantic"} & set(loaded)
