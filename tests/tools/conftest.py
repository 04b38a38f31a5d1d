"""For every test of a tool: the shared client is closed at its end."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _no_client_left():
    yield
    if transport := sys.modules.get("tinyagent.tools.web.transport"):
        assert all(client.is_closed for client in list(transport.transports))
