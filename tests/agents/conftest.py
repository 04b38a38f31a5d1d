"""The tests of the loop run for both kinds of agent."""

from __future__ import annotations

import inspect

import pytest

from tests.agents.kinds import NATIVE, WRITTEN, needs_sandbox, no_session_left


@pytest.fixture
async def _no_session_left():
    """Whatever a test did, no process of a session outlives it."""
    yield
    await no_session_left()


@pytest.fixture(params=[pytest.param(NATIVE, id="react"), pytest.param(WRITTEN, id="code", marks=needs_sandbox)])
def kind(request):
    """Each kind of agent."""
    if request.param is WRITTEN and inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("_no_session_left")
    return request.param
