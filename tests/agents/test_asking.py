"""Asking the model: what is its failure, and what is not."""

from __future__ import annotations

import asyncio

import pytest

from tests.agents.kinds import needs_sandbox
from tinyagent import (
    Call,
    ConfigurationError,
    Limits,
    MemoryStore,
    ModelError,
    ReactAgent,
    Reply,
    RunError,
    TinyCodeAgent,
)
from tinyagent.errors import SandboxError, StoreError, ToolkitError
from tinyagent.sandbox.inprocess import PythonExecutor
from tinyagent.testing import ScriptedModel, call


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


# ---- the model's own


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(text=None), "text=None: it is text"),
        (Reply(text=["hello"]), r"text=\['hello'\]: it is text"),
        (Reply("hello", usage=None), "usage=None: it is a Usage"),
        (Reply("hello", usage={"total_tokens": 3}), "usage={'total_tokens': 3}: it is a Usage"),
        (Reply(calls=({"name": "add"},)), "calls=.*: they are a tuple of Call objects"),
        (Reply(calls=None), "calls=None: they are a tuple of Call objects"),
    ],
)
async def test_a_reply_that_holds_something_else_is_the_models_failure(kind, reply, said):
    async def wrong(request, sink):
        return reply

    with pytest.raises(ModelError, match=rf"^The model 'wrong' returned a Reply with {said}\.$") as caught:
        await kind.agent([add], model=wrong).run("Go.")
    assert caught.value.result.state == "failed"


async def test_calls_may_be_a_list():
    async def lists(request, sink):
        return Reply("3") if len(request.messages) > 1 else Reply(calls=[Call("add", {"a": 1, "b": 2}, "c1")])

    assert (await ReactAgent([add], model=lists).run("Go.")).output == "3"


@pytest.mark.parametrize("opening", [True, False])
async def test_connections_that_are_cancelled_from_within_are_the_models_failure(opening):
    class Confused(ScriptedModel):
        async def __aenter__(self):
            if opening:
                raise asyncio.CancelledError

        async def __aexit__(self, *_):
            if not opening:
                raise asyncio.CancelledError

    with pytest.raises(ModelError, match="CancelledError, but nobody cancelled it"):
        await ReactAgent(model=Confused(["hello"])).run("Go.")


# ---- and what is not: each part is named, and what it raised is kept


class Full(MemoryStore):
    """A store whose disk is full, from the first key on that holds `where`."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    async def put(self, run, key, text):
        if self.where in key:
            raise OSError("disk full")
        return await super().put(run, key, text)


async def test_a_store_that_fails_at_a_model_call_is_named(kind):
    model = ScriptedModel(kind.script(["hello"]))
    with pytest.raises(StoreError, match=r"^The store Full failed: OSError: disk full$") as caught:
        await kind.agent(model=model).run("Go.", store=Full("/model"))
    assert isinstance(caught.value.__cause__, OSError)
    assert not isinstance(caught.value, ModelError)
    assert caught.value.result.state == "failed"


def divide(a: int, b: int) -> float:
    """Divide."""
    return a / b


@pytest.mark.parametrize("b", [1, 0])
async def test_a_store_that_fails_when_a_tool_has_been_called_ends_the_run(kind, b):
    """The call was made and is not recorded: to tell the model that the tool failed would be wrong."""
    model = ScriptedModel(kind.script([[call("divide", a=1, b=b)], "never asked"]))
    with pytest.raises(StoreError, match="The store Full failed: OSError: disk full") as caught:
        await kind.agent([divide], model=model).run("Go.", store=Full("/tool/"))
    assert len(model.requests) == 1
    assert [seen.call.name for step in caught.value.result.steps for seen in step.observations] == ["divide"]


async def test_a_model_before_a_store_fails_as_itself(kind):
    async def broken(request, sink):
        raise OSError("no weights")

    with pytest.raises(ModelError, match=r"^The model 'broken' failed: OSError: no weights$") as caught:
        await kind.agent(model=broken).run("Go.", store=MemoryStore())
    assert isinstance(caught.value.__cause__, OSError)


class _Sandbox(PythonExecutor):
    """A sandbox with a fault in one of its parts."""

    def __init__(self, broken):
        super().__init__()
        self.broken = broken

    def open(self, *args, **options):
        if self.broken == "open":
            raise PermissionError("no interpreter")
        session = super().open(*args, **options)

        async def fails(*_, **__):
            raise PermissionError("no interpreter")

        async def odd(*_, **__):
            return "done"

        if self.broken in ("execute", "close"):
            setattr(session, self.broken, fails)
        elif self.broken == "odd":
            session.execute = odd
        return session


@pytest.mark.parametrize("broken", ["open", "execute", "close"])
async def test_a_sandbox_that_fails_is_named(broken):
    model = ScriptedModel(["```python\nfinal_answer(1)\n```"])
    with pytest.raises(SandboxError, match=r"^The sandbox _Sandbox failed: PermissionError: no interpreter$") as caught:
        await TinyCodeAgent(model=model, sandbox=_Sandbox(broken)).run("Go.")
    assert isinstance(caught.value.__cause__, PermissionError)
    assert caught.value.result.state == "failed"


async def test_a_sandbox_that_gives_no_execution_is_named():
    model = ScriptedModel(["```python\nfinal_answer(1)\n```"])
    with pytest.raises(SandboxError, match="_Sandbox failed: a block gave str, and no Execution"):
        await TinyCodeAgent(model=model, sandbox=_Sandbox("odd")).run("Go.")


@needs_sandbox
async def test_a_store_that_fails_at_a_block_is_named():
    model = ScriptedModel(["```python\nfinal_answer(1)\n```"])
    with pytest.raises(StoreError, match=r"^The store Full failed: OSError: disk full"):
        await TinyCodeAgent(model=model).run("Go.", store=Full("/code/"))


async def test_instructions_that_are_cancelled_from_within_are_named(kind):
    async def guide():
        raise asyncio.CancelledError

    with pytest.raises(ConfigurationError, match=r"instructions=.*guide failed: CancelledError"):
        await kind.agent(model=ScriptedModel([]), instructions=guide).run("Go.")


async def test_handoffs_and_toolkits_are_named_too():
    agent = ReactAgent(model=ScriptedModel([]), handoffs=lambda: 1 / 0)
    with pytest.raises(ToolkitError, match=r"The function handoffs= failed: ZeroDivisionError"):
        await agent.run("Go.")


@pytest.mark.parametrize("error", [KeyError("oops"), asyncio.CancelledError()])
async def test_what_no_part_has_told_is_a_fault_of_ours(monkeypatch, error):
    def broken(self, run):
        raise error

    monkeypatch.setattr(ReactAgent, "_offered", broken)
    agent = ReactAgent([add], model=ScriptedModel(["hello"]), limits=Limits(seconds=30))
    with pytest.raises(RunError, match=r"^A fault in tinyagent ended the run: .*Please report it") as caught:
        await agent.run("Go.")
    assert type(caught.value) is RunError
    assert caught.value.__cause__ is error
    assert caught.value.result.state == "failed"


async def test_a_single_call_without_a_model_blames_none(monkeypatch):
    monkeypatch.setattr("tinyagent.agents.agent.Turn", lambda *_, **__: 1 / 0)
    with pytest.raises(RunError, match=r"A fault in tinyagent .*ZeroDivisionError") as caught:
        await ReactAgent([add], model=ScriptedModel([])).execute_tool("add", a=1, b=2)
    assert not isinstance(caught.value, ModelError)
