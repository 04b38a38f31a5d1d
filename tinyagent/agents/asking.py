"""Asking the model of an agent: what it raises, or gives wrongly, is told as the model's failure and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from inspect import isawaitable
from typing import Any, TypeVar

from tinyagent.core.errors import ConfigurationError, ModelError, TinyAgentError
from tinyagent.core.jsonable import error_text
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Call, Reply
from tinyagent.core.waiting import is_cancelled
from tinyagent.models.base import Model, ModelRequest, Sink, model_name

T = TypeVar("T")


async def asked(model: Model, request: ModelRequest, sink: Sink) -> Reply:
    """The model's reply.

    Raises:
        ConfigurationError: The model is no asynchronous function.
        ModelError: It failed, or returned no reply.
    """
    reply: object = await _of_model(model, _awaitable(model, request, sink))
    if not isinstance(reply, Reply):
        raise ModelError(f"The model {model_name(model)!r} returned {type(reply).__name__}; a model returns a Reply.")
    if wrong := _wrong_in(reply):
        raise ModelError(f"The model {model_name(model)!r} returned a Reply with {wrong}.")
    return reply


class Connected:
    """The connections of a model, where it has any: open in this context.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._opens = isinstance(model, AbstractAsyncContextManager)

    async def __aenter__(self) -> None:
        """Open them.

        Raises:
            ModelError: They could not be opened.
        """
        if self._opens:
            await _of_model(self._model, self._model.__aenter__())  # type: ignore[attr-defined]

    async def __aexit__(self, *exc: object) -> None:
        """Close them.

        Raises:
            ModelError: They could not be closed.
        """
        if self._opens:
            await _of_model(self._model, self._model.__aexit__(*exc))  # type: ignore[attr-defined]


async def _of_model(model: Model, work: Awaitable[T]) -> T:
    """Do it; whatever is raised and is no error of ours is the model's failure."""
    try:
        return await work
    except TinyAgentError:
        raise
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        raise ModelError(f"The model {model_name(model)!r} failed: CancelledError, but nobody cancelled it.") from error
    except Exception as error:
        raise ModelError(f"The model {model_name(model)!r} failed: {error_text(error)}") from error


async def _awaitable(model: Model, request: ModelRequest, sink: Sink) -> Any:
    """What the model answers, whatever that is."""
    reply: object = model(request, sink)
    if not isawaitable(reply):
        raise ConfigurationError(
            f"The model {model_name(model)!r} is a function that returned {type(reply).__name__} at once: make it "
            "'async def model(request, sink)'."
        )
    return await reply


def _wrong_in(reply: Reply) -> str:
    """What cannot be in a reply."""
    text: object = reply.text
    usage: object = reply.usage
    calls: object = reply.calls
    if not isinstance(text, str):
        return f"text={text!r}: it is text"
    if not isinstance(usage, Usage):
        return f"usage={usage!r}: it is a Usage"
    if not isinstance(calls, tuple | list) or not all(isinstance(call, Call) for call in calls):
        return f"calls={calls!r}: they are a tuple of Call objects"
    return ""
