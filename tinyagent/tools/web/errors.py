"""The errors of fetching, and of answers that are of no use."""

from __future__ import annotations

from tinyagent.core.errors import TinyAgentError


class FetchError(TinyAgentError):
    """A URL could not be fetched; the text says what happened with which host."""


class AddressRefusedError(FetchError):
    """The guard refused the URL, or an address that its host stands for. Nothing was sent there."""


class FetchTimeoutError(FetchError, TimeoutError):
    """The answer was not complete in time."""


class TooManyRedirectsError(FetchError):
    """The server redirected more often than redirects are followed; the text names the last URL."""


class AnswerError(TinyAgentError):
    """A server was reached, but does not give what it was asked for.

    Args:
        message: What happened and what to do about it.
        status: The HTTP status, where there was one.
        retry_after: Seconds that the server asks to wait, where it says so.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
