"""pytest fixtures: put `pytest_plugins = ["tinyagent.testing.fixtures"]` into `conftest.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tinyagent.testing.loopback import ScriptedServer
from tinyagent.testing.script import Item
from tinyagent.testing.scripted import ScriptedModel


@pytest.fixture
def scripted_model() -> Iterator[Callable[..., ScriptedModel]]:
    """Yield a function that makes `ScriptedModel`s; the test fails when one of them has replies left over."""
    made: list[ScriptedModel] = []

    def make(replies: Iterable[Item] | Callable[..., Any], **options: Any) -> ScriptedModel:
        made.append(ScriptedModel(replies, **options))
        return made[-1]

    yield make
    for model in made:
        model.assert_all_used()


@pytest.fixture
def scripted_server() -> Iterator[Callable[..., ScriptedServer]]:
    """Yield a function that makes `ScriptedServer`s, for `async with`; the test fails when one has some left over."""
    made: list[ScriptedServer] = []

    def make(replies: Iterable[Item] | Callable[..., Any], **options: Any) -> ScriptedServer:
        made.append(ScriptedServer(replies, **options))
        return made[-1]

    yield make
    for server in made:
        server.assert_all_used()
