"""The logger `tinyagent`."""

import logging
import subprocess
import sys
import textwrap

import pytest

from tinyagent.agents.react import ReactAgent
from tinyagent.core import waiting
from tinyagent.core.limits import Limits
from tinyagent.core.log import LONGEST, logger
from tinyagent.core.messages import Call
from tinyagent.core.registry import tool
from tinyagent.core.tool import Tool
from tinyagent.models.openai import OpenAIModel
from tinyagent.testing import RawReply, ScriptedModel, ScriptedServer, call


@tool
def price(name: str) -> int:
    """Look up a price."""
    return {"tea": 3}[name]


@tool(retries=1)
async def moody() -> str:
    """Fail at first."""
    raise ConnectionError("no line")


def records(caplog, level):
    return [record for record in caplog.records if record.name == "tinyagent" and record.levelno == level]


async def test_a_tool_that_fails_is_a_warning_with_its_traceback(caplog):
    model = ScriptedModel([call("price", name="coffee"), "unknown"])
    await ReactAgent([price], model=model).run("How much?")
    [record] = records(caplog, logging.WARNING)
    assert "price failed after" in record.getMessage()
    assert "KeyError: 'coffee'" in record.getMessage()
    kind, error, trace = record.exc_info
    assert kind is KeyError
    assert error.args == ("coffee",)
    assert trace.tb_frame.f_code.co_name == "price"
    assert 'return {"tea": 3}[name]' in caplog.text


async def test_arguments_that_do_not_fit_and_unknown_tools_have_no_traceback(caplog):
    model = ScriptedModel([[call("price", nam="tea"), call("prize")], "unknown"])
    await ReactAgent([price], model=model).run("How much?")
    warnings = records(caplog, logging.WARNING)
    assert ["did you mean 'name'" in warnings[0].getMessage(), "no tool named 'prize'" in warnings[1].getMessage()]
    assert [record.exc_info for record in warnings] == [None, None]


async def test_calls_and_steps_are_told_where_they_are_wanted(caplog):
    caplog.set_level(logging.DEBUG, "tinyagent")
    model = ScriptedModel([Call("price", {"name": "tea"}, id="c1"), "3"])
    result = await ReactAgent([price], model=model, name="shop").run("How much\x1b[31m?")
    told = [record.getMessage() for record in records(caplog, logging.DEBUG)]
    assert all(text.startswith(f"run {result.info.run_id}: ") for text in told)
    told = [text.partition(": ")[2] for text in told]
    assert told[0] == "shop begins with scripted: 'How much\\x1b[31m?'"
    assert told[1] == "step 1: asking the model"
    assert told[2] == """call c1: price('{"name": "tea"}')"""
    assert told[3].startswith("call c1: price gave after 0.")
    assert told[3].endswith(" s: '3'")
    assert told[4].startswith("step 1: 0.")
    assert told[5] == "step 2: asking the model"
    assert told[-1] == "ended with 'success': '3'"


async def test_retries_notices_and_limits_are_warnings(caplog, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)
    model = ScriptedModel([call("moody"), "sorry"])
    await ReactAgent([moody], model=model, limits=Limits(steps=1)).run("Try.")
    told = [record.getMessage().partition(": ")[2] for record in records(caplog, logging.WARNING)]
    assert told[0].startswith("moody: attempt 2 in ")
    assert told[0].endswith("after 'ConnectionError: no line'")
    assert "moody failed" in told[1]
    assert told[2] == "the limit of steps is reached: 1"


async def test_retries_of_the_model_are_warnings(caplog, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)
    async with ScriptedServer([RawReply(b"{}", status=500), "here"]) as server:
        agent = ReactAgent([], model=OpenAIModel("m", base_url=server.url, api_key="k"))
        assert (await agent.run("Go.")).output == "here"
    assert [record.getMessage().partition(": ")[2][:16] for record in records(caplog, logging.WARNING)] == [
        "model: attempt 2"
    ]


async def test_long_values_are_cut(caplog):
    model = ScriptedModel(["x" * 2_000] * 2)
    caplog.set_level(logging.WARNING, "tinyagent")
    assert not logger.isEnabledFor(logging.DEBUG)
    await ReactAgent([], model=model).run("Go.")
    assert not records(caplog, logging.DEBUG)
    caplog.set_level(logging.DEBUG, "tinyagent")
    await ReactAgent([], model=model).run("Go.")
    last = records(caplog, logging.DEBUG)[-1].getMessage()
    assert last.endswith("(2,000 characters)")
    assert len(last) < LONGEST + 200


@pytest.mark.parametrize("level", ["none", "DEBUG"])
def test_silent_unless_logging_is_set_up(level):
    code = f"""
        import logging
        from tinyagent import ReactAgent, run_sync, tool
        from tinyagent.testing import ScriptedModel, call

        if {level!r} != "none":
            logging.basicConfig(level={level!r})

        @tool
        def fail() -> str:
            "Fail."
            raise KeyError("k")

        print(run_sync(ReactAgent([fail], model=ScriptedModel([call("fail"), "ok"])).run("x")))
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert ran.stdout == "ok\n"
    assert ("KeyError: 'k'" in ran.stderr) == (level == "DEBUG")
    assert bool(ran.stderr) == (level == "DEBUG")


async def test_nothing_that_is_logged_is_obeyed_by_a_terminal(caplog):
    hostile = "a\x1b]52;c;ZXZpbA==\x07\u202e\r\nINFO other: forged"

    @tool
    def fail(text: str) -> str:
        """Fail."""
        raise ValueError(text)

    caplog.set_level(logging.DEBUG, "tinyagent")
    model = ScriptedModel([[Call("fail", {"text": hostile}), Call(hostile, {hostile: 1}, id=hostile)], hostile])
    await ReactAgent([fail], model=model).run(hostile)
    assert not [letter for letter in caplog.text if not letter.isprintable() and letter != "\n"]
    assert "ValueError: a\\x1b]52;c;ZXZpbA==\\x07\\u202e" in caplog.text  # of the traceback
    assert all("\n" not in record.getMessage() for record in records(caplog, logging.WARNING))


async def test_an_answer_that_cannot_be_printed_is_logged(caplog):
    caplog.set_level(logging.DEBUG, "tinyagent")
    submit = Tool(lambda: 2**20_000, name="submit", returns_answer=True)
    result = await ReactAgent([submit], model=ScriptedModel([call("submit")])).run("Go.")
    assert result.output == 2**20_000
    assert "ended with 'success': '<int>'" in caplog.text


async def test_a_handler_that_fails_is_no_failure_of_the_run(caplog, capsys):
    class Broken(logging.Filter):
        def filter(self, record):
            raise OSError("no log")

    broken = Broken()
    logging.getLogger("tinyagent").addFilter(broken)
    try:
        with caplog.at_level("DEBUG", logger="tinyagent"):
            result = await ReactAgent(model=ScriptedModel(["hello"])).run("Go.")
    finally:
        logging.getLogger("tinyagent").removeFilter(broken)
    assert result.output == "hello"
    assert "OSError: no log" in capsys.readouterr().err
