"""One model for programs that must run anywhere: the environment's, or a scripted server where there is none."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tinyagent.models.openai import OpenAIModel
from tinyagent.testing.loopback import ScriptedServer
from tinyagent.testing.script import Item

OFFLINE = "Offline: no OPENAI_API_KEY or OPENAI_BASE_URL is set, so a scripted server on this machine is the model."


def online() -> bool:
    """Return whether the environment names a model server: `OPENAI_API_KEY` or `OPENAI_BASE_URL` is set."""
    return bool(os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"))


@asynccontextmanager
async def model_or_script(
    replies: Iterable[Item] | Callable[..., Any], *, model: str | None = None, delay: float = 0.0
) -> AsyncIterator[OpenAIModel]:
    """Open the model of a program that must run anywhere: the environment's, or a scripted server.

    With a key or base URL in the environment the model is that server's `model` (default: `OPENAI_MODEL`, or
    gpt-4o-mini). Without one it is a `ScriptedServer` that says `replies`, and a line on standard output says so.

    Args:
        replies: What the scripted server says; see `ScriptedServer`.
        model: The name of the environment's model.
        delay: Seconds between the pieces of what the scripted server streams.
    """
    if online():
        async with OpenAIModel(model or os.environ.get("OPENAI_MODEL") or "gpt-4o-mini") as real:
            yield real
        return
    print(OFFLINE, flush=True)  # noqa: T201 - the one line that must not be missed
    async with ScriptedServer(replies, delay=delay) as server, server.model() as scripted:
        yield scripted
