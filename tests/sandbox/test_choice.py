"""Which sandbox is used when none is named, and whether one can call the tools."""

from __future__ import annotations

import importlib.util
import warnings

import pytest

from tinyagent.agents.code import TinyCodeAgent
from tinyagent.core.errors import ConfigurationError, SandboxUnavailableError
from tinyagent.core.tool import Tool
from tinyagent.locked.lock import reason_against
from tinyagent.sandbox.base import check_tools
from tinyagent.sandbox.inprocess import PythonExecutor
from tinyagent.sandbox.monty import MontySandbox
from tinyagent.sandbox.process import ProcessSandbox, default_sandbox
from tinyagent.testing import ScriptedModel

REASON = "it needs Linux, and this is darwin"
needs_monty = pytest.mark.skipif(importlib.util.find_spec("pydantic_monty") is None, reason="needs pydantic-monty")


def add(a: int) -> int:
    return a


async def fetch(url: str) -> str:
    return url


@pytest.fixture
def without_a_lock(monkeypatch):
    monkeypatch.setattr(ProcessSandbox, "reason_against", staticmethod(lambda: REASON))


@pytest.mark.skipif(reason_against() is not None, reason=str(reason_against()))
def test_it_is_the_locked_process_where_that_can_be():
    assert isinstance(default_sandbox(), ProcessSandbox)


@needs_monty
def test_it_is_monty_elsewhere_and_a_warning_says_so(without_a_lock):
    with pytest.warns(UserWarning, match="MontySandbox, which knows a part of Python") as caught:
        assert isinstance(default_sandbox(), MontySandbox)
    (warning,) = caught
    assert REASON in str(warning.message)
    assert "sandbox=MontySandbox()" in str(warning.message)


@needs_monty
def test_the_warning_names_the_line_that_makes_the_agent(without_a_lock):
    with pytest.warns(UserWarning, match="MontySandbox") as caught:
        TinyCodeAgent(model=ScriptedModel([]))
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TinyCodeAgent(model=ScriptedModel([]), sandbox=MontySandbox())


def test_where_neither_can_be_it_says_why_and_what_to_install(without_a_lock, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SandboxUnavailableError) as caught:
        default_sandbox()
    for part in (REASON, "pip install 'tinyagent[monty]'", "MontySandbox", "PythonExecutor"):
        assert part in str(caught.value)


@pytest.mark.parametrize("sandbox", [ProcessSandbox, pytest.param(MontySandbox, marks=needs_monty)])
def test_a_sandbox_that_awaits_takes_every_tool(sandbox):
    check_tools(sandbox(), [Tool(add), Tool(fetch)])


def test_a_synchronous_sandbox_takes_plain_functions():
    check_tools(PythonExecutor(), [Tool(add), Tool(add, name="other")])
    check_tools(PythonExecutor(), [])


def test_a_synchronous_sandbox_refuses_an_async_tool_and_says_what_takes_it():
    with pytest.raises(ConfigurationError) as caught:
        check_tools(PythonExecutor(), (tool for tool in [Tool(add), Tool(fetch)]))
    for part in ("'fetch'", "PythonExecutor", "ProcessSandbox", "MontySandbox", "plain function"):
        assert part in str(caught.value)
