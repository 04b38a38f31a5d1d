"""For every test of a tool: the shared client is closed at its end."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _no_client_left():
    yield
    if http := sys.modules.get("tinyagent.tools.http"):
        left = [key for key in http._clients if not key[0].is_closed()]
        http._clients.clear()
        assert not left
