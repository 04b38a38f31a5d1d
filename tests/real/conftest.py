"""Real llama.cpp servers, one for each model, started when a test first asks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tinyagent.cli.local import llamacpp_server, smollm2


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The URL of random weights that call a tool nearly always."""
    model = tmp_path_factory.mktemp("llamacpp") / "tiny.gguf"
    subprocess.run([sys.executable, Path(__file__).with_name("tiny_gguf.py"), model], check=True)
    with llamacpp_server(model) as url:
        yield url


@pytest.fixture(scope="session")
def smol():
    """The URL of SmolLM2, a model of 135 million parameters that was trained to chat, not to call tools."""
    with llamacpp_server(smollm2()) as url:
        yield url


@pytest.fixture(scope="module")
def table():
    """Rows of figures, shown when the module's tests are over."""
    rows: list[tuple[object, ...]] = []
    yield rows
    for row in rows:
        print("|", " | ".join(map(str, row)), "|")
