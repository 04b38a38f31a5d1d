"""For every test of a model: both kinds of request, and both transports."""

import pytest


@pytest.fixture(params=["plain", "streamed"])
def streamed(request):
    return request.param == "streamed"


@pytest.fixture(params=["httpx", "aiohttp"])
def http(request):
    return request.param
