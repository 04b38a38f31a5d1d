"""The pytest fixtures `scripted_model` and `scripted_server`: a test with replies left over fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tinyagent import ReactAgent
from tinyagent.testing import ScriptedModel, ScriptedServer, call

CONFTEST = 'pytest_plugins = ["tinyagent.testing.fixtures"]\n'
TESTS = """
import asyncio
from tinyagent import ReactAgent
from tinyagent.testing import call


def test_model_used_up(scripted_model):
    model = scripted_model(["one", "two"])
    assert asyncio.run(ReactAgent(model=model).run("First.")).output == "one"
    assert asyncio.run(ReactAgent(model=model).run("Second.")).output == "two"


def test_model_left_over(scripted_model):
    model = scripted_model(["one", call("add", a=1)])
    assert asyncio.run(ReactAgent(model=model).run("First.")).output == "one"


def test_second_model_left_over(scripted_model):
    first, second = scripted_model(["one"]), scripted_model(["never said"])
    asyncio.run(ReactAgent(model=first).run("First."))


def test_model_with_a_function(scripted_model):
    scripted_model(lambda request: "any number of times")


def test_server_used_up(scripted_server):
    async def use():
        async with scripted_server(["one"]) as server:
            return (await ReactAgent(model=server.model()).run("First.")).output

    assert asyncio.run(use()) == "one"


def test_server_left_over(scripted_server):
    async def use():
        async with scripted_server(["one", "never said"]) as server:
            await ReactAgent(model=server.model()).run("First.")

    asyncio.run(use())


def test_server_never_started(scripted_server):
    scripted_server(["never said"])
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each test above, in a pytest of its own, and all that it wrote."""
    folder = tmp_path_factory.mktemp("fixtures")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_them.py").write_text(TESTS)
    options = ("-rA", "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", os.devnull)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_them.py"],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S*::(\w+)", done.stdout, re.MULTILINE)
    return {(name, outcome) for outcome, name in found}, done.stdout


@pytest.mark.parametrize("name", ["test_model_used_up", "test_model_with_a_function", "test_server_used_up"])
def test_a_test_that_uses_every_reply_passes(name, outcomes):
    assert {outcome for test, outcome in outcomes[0] if test == name} == {"PASSED"}


@pytest.mark.parametrize(
    "name",
    [
        "test_model_left_over",
        "test_second_model_left_over",
        "test_server_left_over",
        "test_server_never_started",
    ],
)
def test_a_test_that_leaves_replies_over_fails(name, outcomes):
    assert {outcome for test, outcome in outcomes[0] if test == name} & {"FAILED", "ERROR"}


def test_the_failure_names_the_first_reply_left(outcomes):
    assert "AssertionError: 1 of 2 scripted replies were not used; next: Call(name='add'" in outcomes[1]
    assert "AssertionError: 1 of 1 scripted replies were not used; next: 'never said'" in outcomes[1]
    assert "AssertionError: 1 of 2 scripted replies were not used; next: 'never said'" in outcomes[1]


async def test_scripted_model_makes_models_with_options(scripted_model):
    model = scripted_model([call("nothing"), "done"], name="tiny-1")
    assert isinstance(model, ScriptedModel)
    result = await ReactAgent(model=model).run("Go.")
    assert (result.output, result.info.model) == ("done", "tiny-1")


async def test_scripted_server_makes_servers_with_options(scripted_server):
    invalid = {"model": "m", "messages": [{"role": "tool", "tool_call_id": "c1", "content": "3"}]}
    async with scripted_server(["ok"], strict=False) as server:
        assert isinstance(server, ScriptedServer)
        async with server.model() as model:
            client = model._connect().client
            answer = await client.post("/chat/completions", body=invalid, cast_to=object)
    assert answer["choices"][0]["message"]["content"] == "ok"


async def test_each_test_has_as_many_servers_as_it_wants(scripted_server):
    async with scripted_server(["one"]) as first, scripted_server(["two"]) as second:
        assert first.url != second.url
        assert (await ReactAgent(model=second.model()).run("Go.")).output == "two"
        assert (await ReactAgent(model=first.model()).run("Go.")).output == "one"
