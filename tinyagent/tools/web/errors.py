"""The errors that fetching raises."""

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
