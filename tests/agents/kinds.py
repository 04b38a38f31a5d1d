"""Both kinds of agent for the tests of the loop: how each is made, and how its model calls, answers and is told."""

from __future__ import annotations

import asyncio
import json
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from tinyagent import Call, ReactAgent, Reply, User
from tinyagent.agents.code import TinyCodeAgent
from tinyagent.core.messages import Conversation
from tinyagent.messages import ToolReply
from tinyagent.models.base import ModelRequest, NullSink
from tinyagent.sandbox import zygote
from tinyagent.sandbox.process import ProcessSandbox
from tinyagent.testing import RawStream

#: How what a code agent tells its model of a block begins.
REPORTS = ("Output:\n", "Value:\n", "Error:\n", "It ran, and printed nothing.", "Block 1 of ")
WITHOUT = ProcessSandbox.reason_against()


class Kind:
    """One kind of agent. The same script, of calls and answers, is said in the language of each."""

    #: The class of the messages by which a tool's value is told, and what is said when a reply held nothing.
    told_in: type
    asks_again: str
    #: The agent has instructions of its own.
    has_prompt: bool
    #: The events before and after those of tools, and those of an answer.
    before_calls: tuple
    after_calls: tuple
    answering: tuple

    def script(self, items):
        """A script for a `ScriptedModel` or `ScriptedServer`: `Call`s, lists of them, text to answer with, `Reply`s."""
        return [self.says(item) for item in items]

    def says(self, item):
        """One item of a script; what is no call and no answer (errors, raw HTTP, functions) stays."""
        if isinstance(item, str):
            return self.reply(answer=item) if item.strip() else item
        if isinstance(item, Call):
            return self.reply(item)
        if isinstance(item, list | tuple):
            return self.reply(*item)
        if isinstance(item, Reply):
            kept = {"reasoning": item.reasoning, "finish_reason": item.finish_reason, "usage": item.usage}
            if item.calls:
                return replace(self.reply(*item.calls, text=item.text), **kept)
            return replace(self.reply(answer=item.text) if item.text.strip() else item, **kept)
        return item

    def without_prompt(self, messages):
        """The messages without what the agent itself says first."""
        first = messages[0]
        is_prompt = (first["role"] if isinstance(first, dict) else first.role) == "system"
        assert is_prompt or not self.has_prompt
        return list(messages[is_prompt:])

    def task(self, request):
        """What the first message of the person in this request says."""
        return next(said for role, said in _messages(request) if role == "user")


class Native(Kind):
    """`ReactAgent`, whose model calls tools natively and answers in words."""

    name = "react"
    told_in = ToolReply
    has_prompt = False
    asks_again = "Answer, or call a tool."
    done = "its complete calls"
    before_calls, after_calls, answering = ("call_sealed",), (), ()

    def agent(self, tools=(), **options):
        """An agent."""
        return ReactAgent(tools, **options)

    def reply(self, *calls, answer=None, text="", **fields):
        """A reply that makes calls, or one that answers."""
        if calls:
            return Reply(text, calls, finish_reason="tool_calls", **fields)
        return Reply(text + (answer or ""), **fields)

    def broken_off(self, made):
        """A stream that breaks off after a complete call, in the middle of another."""
        delta = {"tool_calls": [_call_delta(0, made.name, made.raw), _call_delta(1, made.name, made.raw[:3])]}
        return RawStream([{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}])

    def told(self, request):
        """What the tools have given so far."""
        return [said for role, said in _messages(request) if role == "tool"]

    def offered(self, request):
        """What the model is told of the tools."""
        return " ".join(json.dumps(tool.definition) for tool in request.tools)

    def reports(self, messages):
        """The texts by which this history tells what came of calls."""
        return [message.text for message in messages if message.role == "tool"]

    def as_read(self, text):
        """How the lines of a value's text stand in what the model reads."""
        return text

    def shown(self, text):
        """How the model reads the text of one call's value."""
        return text

    def cut(self, text, longest):
        """How it reads one that is too long."""
        return f"{text[:longest]}\n[{len(text) - longest:,} of {len(text):,} characters are not shown]"

    def values(self, result):
        """The values of the calls of each step."""
        return [[seen.value for seen in step.observations] for step in result.steps]


class Written(Kind):
    """`TinyCodeAgent`, whose model writes Python that calls the tools and `final_answer`."""

    name = "code"
    told_in = User
    has_prompt = True
    done = "the code that has run"
    asks_again = "Write a block of Python in a ```python fence"
    before_calls, after_calls = ("code_started",), ("code_finished",)
    answering = ("code_started", "tool_started", "tool_finished", "code_finished")

    def agent(self, tools=(), **options):
        """An agent with a sandbox of its own."""
        return TinyCodeAgent(tools, **options)

    def reply(self, *calls, answer=None, text="", **fields):
        """A reply whose code makes the calls at once and prints what they give, or answers."""
        code = f"final_answer({answer!r})" if answer is not None else _code(calls)
        return Reply(f"{text}\n{block(code)}" if text else block(code), **fields)

    def broken_off(self, made):
        """A stream that breaks off after a complete call, in the middle of another."""
        code = _code([made])
        delta = {"content": f"```python\n{code}\n{code[:-3]}"}
        return RawStream([{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}])

    def told(self, request):
        """What the code has printed so far, in lines."""
        reports = [said for role, said in _messages(request) if role == "user" and said.startswith(REPORTS)]
        return [line.strip() for report in reports for line in report.removeprefix("Output:\n").splitlines()]

    def offered(self, request):
        """What the model is told of the tools."""
        assert request.tools == ()
        return request.messages[0].text

    def reports(self, messages):
        """The texts by which this history tells what came of calls."""
        return [message.text for message in messages if message.role == "user"][1:]

    def as_read(self, text):
        """How the lines of a value's text stand in what the model reads."""
        return indented(text)

    def shown(self, text):
        """How the model reads the text of one call's value, which the code prints."""
        return f"Output:\n{indented(text)}"

    def cut(self, text, longest):
        """How it reads one that is too long."""
        half = longest // 2
        missing = f"... ({len(text) - longest:,} of {len(text):,} characters are not shown)"
        return f"Output:\n{indented(text[:half])}\n{missing}\n{indented(text[-half:])}"

    def values(self, result):
        """The values of the calls of each step, without those of `final_answer`."""
        return [[seen.value for seen in step.observations if seen.call.name != "final_answer"] for step in result.steps]


def _call_delta(index, name, arguments):
    return {"index": index, "id": f"c{index}", "type": "function", "function": {"name": name, "arguments": arguments}}


def indented(text):
    """Text as a code agent's model reads what its code printed."""
    return textwrap.indent(text, "    ")


def block(code):
    """Code as a model writes it."""
    return f"```python\n{code}\n```"


def _code(calls):
    made = [f"{item.name}({_arguments(item)})" for item in calls]
    if len(made) == 1:
        return f"print(await {made[0]})"
    together = f"await asyncio.gather({', '.join(made)}, return_exceptions=True)"
    return f"for given in {together}:\n    print(given)"


def _arguments(item):
    return ", ".join(f"{name}={value!r}" for name, value in item.arguments.items())


def _messages(request):
    """Role and text of each message of a request, of a model or as it came to a server."""
    for message in request.messages:
        if isinstance(message, dict):
            yield message["role"], message.get("content") or ""
        else:
            yield message.role, message.text


NATIVE, WRITTEN = Native(), Written()
needs_sandbox = pytest.mark.skipif(WITHOUT is not None, reason=f"no ProcessSandbox here: {WITHOUT}")


# ---- what sessions leave behind


def children():
    """The processes that the zygotes of this process have forked, spares included."""
    parents = {each._process.pid for each in zygote._zygotes if each.failure is None and each._process is not None}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:  # it has just ended
            continue
        if int(stat.rpartition(")")[2].split()[1]) in parents:
            found.append(int(entry.name))
    return found


def spares():
    """The processes that wait for a session, or are being forked for one."""
    return sum(len(waiting) for each in zygote._zygotes for waiting in each._spares.values())


async def no_session_left():
    """Wait until no process is left but the spares; at most ten seconds."""
    here = [each for each in zygote._zygotes if each.loop is asyncio.get_running_loop()]
    async with asyncio.timeout(10):
        while any(not child.begun.is_set() for each in here for child in each._all_spares()) or (
            len(children()) > spares()
        ):
            await asyncio.sleep(0.001)


async def known(model):
    """The model, having answered once: until then its code waits for the whole reply, which may be thoughts."""
    await model(ModelRequest(Conversation([User("Hi.")])), NullSink())
    return model


def descriptors():
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
