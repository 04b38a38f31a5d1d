"""Every error tinyagent raises, in one tree; those of the built-in tools, which models are told, stand with the tools.

TinyAgentError
├── ConfigurationError            wrong arguments; nothing has run yet (also a ValueError)
│   ├── DecisionError             a decision that does not fit the call that waits
│   ├── ToolDefinitionError       a function that cannot be described to a model
│   ├── DuplicateToolError        two tools of one name in one agent
│   ├── FrozenRegistryError       a change to a frozen registry
│   ├── UnknownOptionError        an option that there is not (also a TypeError)
│   ├── UnknownToolError          a tool that the agent does not have (also a LookupError)
│   └── MissingExtraError         an optional dependency is not installed (also an ImportError)
├── ToolArgumentsError            arguments that do not fit a tool; the model is told, the run goes on
└── RunError                      a run ended without an answer; `.result` holds what it had
    ├── RunLimitError
    │   ├── StepLimitReached
    │   ├── TokenLimitReached
    │   └── TimeLimitReached      (also a TimeoutError)
    ├── FatalToolError            raised by a tool to end the run
    ├── ToolkitError              a toolkit could not be opened or closed
    ├── StoreError                the store of the run's records failed
    │   ├── StoreFormatError      the store's file has a format that this version does not know
    │   └── UnknownRunError       the store has no such run (also a LookupError)
    ├── RunBusyError              someone else is at work on the run
    │   └── SessionBusyError      someone else is at work in the session, or a run of it waits for a decision
    ├── ApprovalError             a tool that was called directly waits for a decision
    ├── MiddlewareError           a middleware or policy failed, or returned something else than it should
    ├── SandboxError              the sandbox that runs the model's code failed
    │   ├── SandboxUnavailableError  the sandbox cannot run on this machine (also a ConfigurationError)
    │   └── ReplayError           a block that was run again did not do what is recorded of it
    └── ModelError                `.status`, `.retryable`, `.retry_after`, `.partial`
        ├── MissingCredentialsError  no API key and no base URL (also a ConfigurationError)
        ├── ModelConnectionError  nothing listens, reset, no such host
        ├── ModelTimeoutError     no byte for longer than the read timeout
        ├── RateLimitError        429
        ├── ServerError           500 and above
        ├── AuthenticationError   401, 403
        ├── ModelNotFoundError    404
        ├── BadRequestError       400 and the other 4xx
        │   └── ContextLengthError
        ├── MalformedReplyError   a body that is not a chat completion
        ├── NoChoicesError        a reply with no choices
        ├── StreamInterruptedError  a stream that ended before its finish_reason
        ├── StreamError           an error event in the middle of a stream
        ├── ProtocolError         more arguments for a call that was already complete
        ├── EmptyReplyError       neither text nor calls, twice
        ├── TruncatedReplyError   the token limit was reached before anything was written
        ├── ContentFilterError    the provider withheld the reply
        ├── RefusalError          the model refused
        └── ScriptError           a ScriptedModel or ScriptedServer ran out of replies
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinyagent.core.messages import Reply
    from tinyagent.core.policy import Pending
    from tinyagent.core.result import RunResult


class TinyAgentError(Exception):
    """Base class of every error raised by tinyagent."""


class ConfigurationError(TinyAgentError, ValueError):
    """An argument is wrong. Raised before anything runs; the text says what to pass instead."""


class DecisionError(ConfigurationError):
    """A decision does not fit the call that waits. Nothing was recorded of it: decide again."""


class ToolDefinitionError(ConfigurationError):
    """A function cannot become a tool; the text names the function and the parameter."""


class DuplicateToolError(ConfigurationError):
    """Two tools of one agent have the same name."""


class FrozenRegistryError(ConfigurationError):
    """The registry was frozen with `freeze_registry` and refuses changes."""


class UnknownOptionError(ConfigurationError, TypeError):
    """There is no option of this name; the text says what to write instead, or which options there are."""


class UnknownToolError(ConfigurationError, LookupError):
    """The agent has no tool of this name; the text names the tools that it has."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional dependency is not installed; the text holds the `pip install` line."""


class ToolArgumentsError(TinyAgentError):
    """The arguments of a call do not fit the tool.

    Attributes:
        tool: The tool's name.
        problems: One line per argument: its name, what was expected, what came.
    """

    def __init__(self, tool: str, problems: Iterable[str]) -> None:
        self.tool = tool
        self.problems: tuple[str, ...] = tuple(problems)
        lines = "\n".join(f"- {problem}" for problem in self.problems)
        super().__init__(f"The arguments do not fit the tool {tool!r}:\n{lines}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tool, self.problems)


class RunError(TinyAgentError):
    """A run ended without an answer.

    Attributes:
        result: What the run had when it ended: messages (a valid history), steps, usage.
    """

    _result: RunResult[Any] | None = None

    @property
    def result(self) -> RunResult[Any]:
        """The result of the run that this error ended: its messages, steps and usage so far, without an answer.

        Raises:
            AttributeError: The error has not ended a run.
        """
        if self._result is None:
            raise AttributeError(f"This {type(self).__name__} has ended no run, and so it has no result.")
        return self._result

    @result.setter
    def result(self, result: RunResult[Any]) -> None:
        self._result = result

    @property
    def has_result(self) -> bool:
        """Whether the error has ended a run, and so has a `result`."""
        return self._result is not None


class RunLimitError(RunError):
    """A limit of the run (`Limits`) was reached before it had an answer."""


class StepLimitReached(RunLimitError):
    """The model did not answer within the allowed steps, nor when asked once more without tools."""


class TokenLimitReached(RunLimitError):
    """The run used more tokens than `Limits.tokens`."""


class TimeLimitReached(RunLimitError, TimeoutError):
    """The run took longer than `Limits.seconds`."""


class FatalToolError(RunError):
    """Raise this in a tool to end the run instead of telling the model."""


class ToolkitError(RunError):
    """A toolkit could not be opened or closed; the text names the toolkit and what it raised."""


class StoreError(RunError):
    """The store of a run's records (`store=`) failed; the exception that it raised is the `__cause__`."""


class UnknownRunError(StoreError, LookupError):
    """The store has no run of this id."""


class RunBusyError(RunError):
    """Someone else is at work on the run, in this process or in another."""


class SessionBusyError(RunBusyError):
    """Someone else is at work in the session, or a run of it is paused and waits for a decision.

    Attributes:
        session: The session's name.
        run_id: The id of the run that is paused; empty where another run is at work.
        pending: The calls of that run which wait.
    """

    def __init__(self, message: str, session: str = "", run_id: str = "", pending: Iterable[Pending] = ()) -> None:
        super().__init__(message)
        self.session = session
        self.run_id = run_id
        self.pending = tuple(pending)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.session, self.run_id, self.pending)


class ApprovalError(RunError):
    """A tool that was called without a run around it waits for a decision: `agent.resume(error.result, {...})`."""

    @classmethod
    def of(cls, name: str, result: RunResult[Any]) -> Self:
        """Return the error for a paused result; `name` is that of the tool or agent that was called."""
        error = cls(f"The call of {name!r} waits for a decision: agent.resume(error.result, {{pending.id: Allow()}}).")
        error.result = result
        return error


class StoreFormatError(StoreError):
    """The file of a store has a format that this version of tinyagent does not know; a newer version wrote it."""


class MiddlewareError(RunError):
    """A middleware or policy failed, or returned something else than it should; the text names it."""


class SandboxError(RunError):
    """The sandbox that runs the model's code failed. Errors of the code itself are told to the model instead."""


class SandboxUnavailableError(ConfigurationError, SandboxError):
    """The sandbox cannot run on this machine; the text says why, and what to use instead."""


class ReplayError(SandboxError):
    """A block that was run again with its recorded answers took another way; nothing was called on a guess."""


class ModelError(RunError):
    """A model call failed.

    Args:
        message: What happened and what to do about it.
        status: The HTTP status, where there was one.
        retryable: Whether the same request may succeed later; default: `usually_retryable` of the class.
        retry_after: Seconds that the server asked to wait.
        body: The body of the server's response, shortened.
        partial: The part of the reply that had arrived when the call failed.
    """

    #: Whether an error of this class is worth a retry unless the instance says otherwise.
    usually_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        body: str | None = None,
        partial: Reply | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retryable: bool = self.usually_retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.body = body
        self.partial = partial


class MissingCredentialsError(ConfigurationError, ModelError):
    """Neither an API key nor the base URL of a server is known; raised at the first model call."""


class ModelConnectionError(ModelError):
    """The server could not be reached, or dropped the connection."""

    usually_retryable = True


class ModelTimeoutError(ModelError):
    """The server sent nothing for longer than the read timeout."""

    usually_retryable = True


class RateLimitError(ModelError):
    """Too many requests (429); `retry_after` holds the seconds to wait, where the server told them."""

    usually_retryable = True


class ServerError(ModelError):
    """The server failed (500 and above)."""

    usually_retryable = True


class AuthenticationError(ModelError):
    """The key was rejected (401) or may not use this model (403)."""


class ModelNotFoundError(ModelError):
    """The server does not know this model or path (404)."""


class BadRequestError(ModelError):
    """The server rejected the request (400 and other 4xx)."""


class ContextLengthError(BadRequestError):
    """The conversation is longer than the model's context window."""


class MalformedReplyError(ModelError):
    """The reply is not a chat completion; `status` and the start of the `body` are kept."""


class NoChoicesError(ModelError):
    """The reply has no choices; the text carries the server's own error, if it sent one."""

    usually_retryable = True


class StreamInterruptedError(ModelError):
    """The stream ended before its `finish_reason`; `partial` holds what had arrived."""

    usually_retryable = True


class StreamError(ModelError):
    """The server sent an error event in the middle of a stream; `partial` holds what had arrived."""


class ProtocolError(ModelError):
    """The server sent more arguments for a call whose JSON object was already complete."""


class EmptyReplyError(ModelError):
    """The model wrote neither text nor calls, even when asked again."""


class TruncatedReplyError(ModelError):
    """The token limit cut the reply before anything was written."""


class ContentFilterError(ModelError):
    """The provider's content filter withheld the reply; `partial` holds what had arrived."""


class RefusalError(ModelError):
    """The model refused to answer; the text is its refusal."""


class ScriptError(ModelError):
    """A scripted model or server was asked for more replies than it has."""
