"""No server of a test outlives it."""

import asyncio

import pytest

from tests.tools.mcp.support import servers_running


@pytest.fixture(autouse=True)
def _no_server_left():
    yield
    assert servers_running() == []


@pytest.fixture(autouse=True)
async def _no_callback_fails():
    """What fails in the background fails the test."""
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    yield
    assert failures == []
