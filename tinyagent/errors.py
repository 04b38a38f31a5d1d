"""The errors of agents, models, tools and sandboxes; `tinyagent.core.errors` draws them as one tree."""

# ruff: noqa: I001
# fmt: off
from tinyagent.core.errors import (
    AuthenticationError, BadRequestError, ConfigurationError, ContentFilterError, ContextLengthError,
    DuplicateToolError, EmptyReplyError, FatalToolError, FrozenRegistryError, MalformedReplyError, MiddlewareError,
    MissingCredentialsError, MissingExtraError, ModelConnectionError, ModelError, ModelNotFoundError,
    ModelTimeoutError, NoChoicesError, ProtocolError, RateLimitError, RefusalError, ReplayError, RunError,
    RunLimitError, SandboxError, SandboxUnavailableError, ScriptError, ServerError, StepLimitReached, StoreError,
    StoreFormatError, StreamError, StreamInterruptedError, TimeLimitReached, TinyAgentError, TokenLimitReached,
    ToolArgumentsError, ToolDefinitionError, ToolkitError, TruncatedReplyError, UnknownOptionError, UnknownToolError,
)

__all__ = [
    "AuthenticationError", "BadRequestError", "ConfigurationError", "ContentFilterError", "ContextLengthError",
    "DuplicateToolError", "EmptyReplyError", "FatalToolError", "FrozenRegistryError", "MalformedReplyError",
    "MiddlewareError", "MissingCredentialsError", "MissingExtraError", "ModelConnectionError", "ModelError",
    "ModelNotFoundError", "ModelTimeoutError", "NoChoicesError", "ProtocolError", "RateLimitError", "RefusalError",
    "ReplayError", "RunError", "RunLimitError", "SandboxError", "SandboxUnavailableError", "ScriptError",
    "ServerError", "StepLimitReached", "StoreError", "StoreFormatError", "StreamError", "StreamInterruptedError",
    "TimeLimitReached", "TinyAgentError", "TokenLimitReached", "ToolArgumentsError", "ToolDefinitionError",
    "ToolkitError", "TruncatedReplyError", "UnknownOptionError", "UnknownToolError",
]
