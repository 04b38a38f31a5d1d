"""Asking a model again when it fails: backoff, jitter, the wait a server asks for, and never beyond the run's time."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from tinyagent.core.errors import ConfigurationError, ModelError
from tinyagent.core.events import Retry
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Reply
from tinyagent.core.waiting import backoff
from tinyagent.models.base import Model, ModelRequest, Sink, model_name

DEFAULT_RETRIES = 2
#: Seconds that a server may ask to wait; one that asks for more is not waited for, and the error says how long.
LONGEST_WAIT = 60.0


class Retries:
    """A model that asks the model inside it again when that fails in a way that may pass.

    `OpenAIModel` retries by itself. A wrapper that is to see every attempt, such as a limiter, stands inside:
    `Retries(limited(OpenAIModel("gpt-4o-mini", max_retries=0)))`.

    A failure after complete calls, or after code that has run, is not retried: the run goes on from there. The tokens
    of failed attempts are counted.

    Args:
        model: The model that is asked; its connections are opened and closed with this one.
        max_retries: How often a failed call is tried again.

    Raises:
        ConfigurationError: `max_retries` is no number of retries.
    """

    def __init__(self, model: Model, max_retries: int = DEFAULT_RETRIES) -> None:
        if not (isinstance(max_retries, int) and max_retries >= 0):
            raise ConfigurationError(f"max_retries={max_retries!r}: pass 0 or more.")
        self.model = model
        self.max_retries = max_retries

    @property
    def name(self) -> str:
        """The name of the model that is asked."""
        return model_name(self.model)

    def __repr__(self) -> str:
        return f"Retries({self.model!r}, {self.max_retries})"

    async def __aenter__(self) -> Retries:
        if isinstance(self.model, AbstractAsyncContextManager):
            await self.model.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        if isinstance(self.model, AbstractAsyncContextManager):
            await self.model.__aexit__(*exc)

    async def __call__(self, request: ModelRequest, sink: Sink) -> Reply:
        """Return the model's first reply; the sink is told of each retry.

        Raises:
            ModelError: The last failure, or one that is not worth a retry.
        """
        attempt = 1
        spent: Usage | None = None  # by attempts that failed
        while True:
            try:
                reply = await self.model(request, sink)
            except ModelError as error:
                if error.partial is not None:
                    spent = (spent or Usage()) + replace(error.partial.usage, requests=0)
                    error.partial = replace(error.partial, usage=spent)
                acted = bool(error.partial and error.partial.calls) or getattr(sink, "committed", False)
                if not error.retryable or attempt > self.max_retries or acted:
                    raise
                wait = backoff(attempt) if error.retry_after is None else error.retry_after
                if too_long := _too_long(wait, request.deadline):
                    error.args = (f"{error} Not tried again: the wait of {wait:.0f} s would be {too_long}.",)
                    raise
                attempt += 1
                sink.notice(Retry("model", attempt, wait, f"{type(error).__name__}: {error}"))
            else:
                return reply if spent is None else replace(reply, usage=reply.usage + spent)
            await asyncio.sleep(wait)


def _too_long(wait: float, deadline: float | None) -> str | None:
    if deadline is not None and asyncio.get_running_loop().time() + wait >= deadline:
        return "beyond the run's time (Limits.seconds)"
    return f"over {LONGEST_WAIT:.0f} s" if wait > LONGEST_WAIT else None
