"""The event loop that everything here needs, and the error where another one runs."""

import asyncio
import re

import pytest
import sniffio

from tinyagent import ConfigurationError, OpenAIModel, ReactAgent, run_sync
from tinyagent.core.loops import asyncio_loop
from tinyagent.testing import ScriptedModel


def step(coroutine):
    """Drive a coroutine as an event loop that is not asyncio's does."""
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


async def entered(manager):
    async with manager:
        pass


AGENT = ReactAgent(model=ScriptedModel(["hello"]))
ENTRIES = [
    lambda: AGENT.run("Hi"),
    lambda: AGENT.execute_tool("gone"),
    lambda: entered(AGENT.stream("Hi")),
    lambda: entered(AGENT),
    lambda: entered(OpenAIModel("m", base_url="http://127.0.0.1:9/v1")),
]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(("library", "said"), [("trio", "an event loop of trio"), (None, "no event loop is running")])
def test_a_missing_asyncio_is_told_and_another_library_named(entry, library, said):
    token = sniffio.current_async_library_cvar.set(library)  # as trio's own runner does
    try:
        with pytest.raises(ConfigurationError, match=f"tinyagent needs asyncio, and .*{re.escape(said)}") as caught:
            step(entry())
    finally:
        sniffio.current_async_library_cvar.reset(token)
    assert "run_sync" in str(caught.value)


async def test_the_running_loop_is_returned():
    assert asyncio_loop() is asyncio.get_running_loop()


def test_without_a_loop_run_sync_works():
    assert run_sync(ReactAgent(model=ScriptedModel(["hello"])).run("Hi")).output == "hello"
