"""The errors of agents, models, tools and sandboxes; `tinyagent.core.errors` draws them as one tree."""

# ruff: noqa: I001
# fmt: off
from tinyagent.core.errors import (
    ApprovalError, AuthenticationError, BadRequestError, ConfigurationError, ContentFilterError, ContextLengthError,
    DecisionError, DuplicateToolError, EmptyReplyError, FatalToolError, FrozenRegistryError, MalformedReplyError,
    MiddlewareError, MissingCredentialsError, MissingExtraError, ModelConnectionError, ModelError, ModelNotFoundError,
    ModelTimeoutError, NoChoicesError, ProtocolError, RateLimitError, RefusalError, ReplayError, RunBusyError,
    RunError, RunLimitError, SandboxError, SandboxUnavailableError, ScriptError, ServerError, SessionBusyError,
    StepLimitReached, StoreError, StoreFormatError, StreamError, StreamInterruptedError, TimeLimitReached,
    TinyAgentError, TokenLimitReached, ToolArgumentsError, ToolDefinitionError, ToolkitError, TruncatedReplyError,
    UnknownOptionError, UnknownRunError, UnknownToolError,
)

__all__ = [
    "ApprovalError", "AuthenticationError", "BadRequestError", "ConfigurationError", "ContentFilterError",
    "ContextLengthError", "DecisionError", "DuplicateToolError", "EmptyReplyError", "FatalToolError",
    "FrozenRegistryError", "MalformedReplyError", "MiddlewareError", "MissingCredentialsError", "MissingExtraError",
    "ModelConnectionError", "ModelError", "ModelNotFoundError", "ModelTimeoutError", "NoChoicesError",
    "ProtocolError", "RateLimitError", "RefusalError", "ReplayError", "RunBusyError", "RunError", "RunLimitError",
    "SandboxError", "SandboxUnavailableError", "ScriptError", "ServerError", "SessionBusyError", "StepLimitReached",
    "StoreError", "StoreFormatError", "StreamError", "StreamInterruptedError", "TimeLimitReached", "TinyAgentError",
    "TokenLimitReached", "ToolArgumentsError", "ToolDefinitionError", "ToolkitError", "TruncatedReplyError",
    "UnknownOptionError", "UnknownRunError", "UnknownToolError",
]
