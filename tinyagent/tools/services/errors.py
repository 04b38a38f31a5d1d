"""The errors of tools that call a web service: the model reads the text, which says what to do.

ServiceError                    the service did not answer what was asked
├── ServiceKeyError             its key is missing, or was rejected
├── ServiceLimitError           too many requests, or the plan is used up; `.retry_after`
├── ServiceUnavailableError     it cannot be reached, takes too long, or fails
└── ServiceAnswerError          its answer cannot be understood
"""

from __future__ import annotations

from tinyagent.tools.web.errors import AnswerError


class ServiceError(AnswerError):
    """A web service did not answer what was asked; the text says what to do about it."""


class ServiceKeyError(ServiceError):
    """The service's key is missing, or was rejected; the text names the environment variable."""


class ServiceLimitError(ServiceError):
    """The service got too many requests, or the plan is used up."""


class ServiceUnavailableError(ServiceError):
    """The service cannot be reached, does not answer in time, or fails itself."""


class ServiceAnswerError(ServiceError):
    """The service's answer is empty, no JSON, or of another shape than documented."""
