"""`TinyCodeAgent`: what it takes and refuses, how code becomes an answer, and what its model is told."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import datetime as dt
import math
import threading
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import pydantic
import pytest

from tests.agents.kinds import block, needs_sandbox, no_session_left
from tinyagent import (
    ConfigurationError,
    Context,
    FatalToolError,
    Limits,
    OpenAIModel,
    Reply,
    Tool,
    User,
    tool,
)
from tinyagent.agents.code import TinyCodeAgent
from tinyagent.agents.options import MAX_OBSERVATION
from tinyagent.errors import DuplicateToolError, EmptyReplyError, StepLimitReached
from tinyagent.messages import System
from tinyagent.sandbox.base import SandboxLimits
from tinyagent.sandbox.inprocess import PythonExecutor
from tinyagent.sandbox.process import ProcessSandbox
from tinyagent.testing import ScriptedModel, call

pytestmark = needs_sandbox


@pytest.fixture(autouse=True)
async def _sessions_end():
    yield
    await no_session_left()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def solve(replies, tools=(), task="Go.", run=None, **options):
    """The result of a run whose model says these replies, code as it is written; its requests are in `result[1]`."""
    model = ScriptedModel(
        [block(reply[1:]) if isinstance(reply, str) and reply[:1] == "!" else reply for reply in replies]
    )
    async with asyncio.timeout(30):
        result = await TinyCodeAgent(tools, model=model, **options).run(task, **(run or {}))
    model.assert_all_used()
    return result


def told(result, step=1):
    """What the model read after a step."""
    users = [message.text for message in result.messages if isinstance(message, User)]
    return users[step]


ANSWER = ScriptedModel(["unused"])


# ---- what it takes and refuses


async def test_the_defaults_are_those_of_every_agent_and_a_process_sandbox():
    agent = TinyCodeAgent(model=ANSWER)
    assert agent.limits == Limits(steps=10, tokens=None, seconds=None)
    assert (agent.name, agent.eager, agent.continue_cut, agent.sandbox_limits) == ("agent", True, False, None)
    assert agent.max_observation == MAX_OBSERVATION
    assert isinstance(agent.sandbox, ProcessSandbox)


async def test_repr_names_the_agent_its_model_its_tools_and_its_sandbox():
    agent = TinyCodeAgent([add, shout], model=OpenAIModel("some-model"), name="helper")
    expected = "TinyCodeAgent('helper', model=OpenAIModel('some-model'), tools=[add, shout], sandbox=ProcessSandbox("
    assert repr(agent).startswith(expected)
    assert isinstance(TinyCodeAgent(model="some-model").model, OpenAIModel)


async def test_the_tools_of_an_agent_cannot_be_changed():
    agent = TinyCodeAgent([add], model=ANSWER)
    with pytest.raises(TypeError):
        agent.tools["shout"] = Tool(shout)
    assert list(agent.tools) == ["add", "final_answer"]


async def test_functions_methods_and_tool_objects_are_tools():
    class Counter:
        count = 0

        async def increase(self, by: int) -> int:
            """Count up."""
            self.count += by
            return self.count

    counter = Counter()
    result = await solve(
        ["!final_answer([plus(1, b=2), await increase(7), await shout('hi')])"],
        [Tool(add, name="plus"), counter.increase, shout],
    )
    assert (result.output, counter.count) == ([3, 7, "HI"], 7)


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([Tool(add, name="final_answer")], r"named 'final_answer', which is how the code ends a run\. Rename it"),
        ([Tool(add, name="add-up")], r"(?s)'add-up'.*Python identifier.*@tool\(name="),
        ([Tool(add, name="class")], r"(?s)'class'.*@tool\(name="),
        ("add", r"pass a list of functions"),
        ([add, "shout"], r"'shout' cannot be a tool"),
    ],
)
async def test_tools_that_code_cannot_call_are_refused(tools, said):
    with pytest.raises(ConfigurationError, match=said):
        TinyCodeAgent(tools, model=ANSWER)


async def test_two_tools_of_one_name_are_refused():
    with pytest.raises(DuplicateToolError, match="'add'"):
        TinyCodeAgent([add, Tool(shout, name="add")], model=ANSWER)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limits": 10}, r"limits=10: pass Limits"),
        ({"instructions": None}, r"instructions=None: pass text"),
        ({"name": " "}, r"pass a name for the agent"),
        ({"max_observation": 0}, r"max_observation=0: pass characters above 0, or None"),
        ({"sandbox_limits": 5}, r"sandbox_limits=5: pass SandboxLimits\(seconds="),
        ({"sandbox_limits": Limits()}, r"sandbox_limits=.*pass SandboxLimits"),
        ({"sandbox": "process"}, r"sandbox='process'"),
        ({"sandbox": ProcessSandbox}, r"sandbox=.*ProcessSandbox"),
        ({"model": 7}, r"model=7: pass a model's name"),
    ],
)
async def test_wrong_arguments_are_refused_with_what_to_pass(options, said):
    with pytest.raises(ConfigurationError, match=said):
        TinyCodeAgent([add], **{"model": ANSWER, **options})


async def test_an_async_tool_is_refused_where_the_sandbox_is_synchronous():
    with pytest.raises(ConfigurationError, match=r"'shout' is async.*PythonExecutor.*ProcessSandbox or MontySandbox"):
        TinyCodeAgent([add, shout], model=ANSWER, sandbox=PythonExecutor())


# ---- the answer


EXACT = [
    ("None", None),
    ("True", True),
    ("-7", -7),
    ("2 ** 200", 2**200),
    ("0.1 + 0.2", 0.1 + 0.2),
    ("float('inf')", math.inf),
    ("3 - 4j", 3 - 4j),
    ("'häß\\n\\ud800'", "häß\n\ud800"),
    ("''", ""),
    ("b'\\x00\\xff'", b"\x00\xff"),
    ("bytearray(b'ab')", bytearray(b"ab")),
    ("[1, [2, (3, {4})]]", [1, [2, (3, {4})]]),
    ("(1,)", (1,)),
    ("{1, 2}", {1, 2}),
    ("frozenset({1, 2})", frozenset({1, 2})),
    ("{(1, 2): 'a', None: {'b': []}}", {(1, 2): "a", None: {"b": []}}),
    ("range(1, 9, 2)", range(1, 9, 2)),
    ("datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.timezone.utc)", dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC)),
    ("datetime.date(2026, 1, 2)", dt.date(2026, 1, 2)),
    ("datetime.time(3, 4)", dt.time(3, 4)),
    ("datetime.timedelta(days=-1, microseconds=7)", dt.timedelta(days=-1, microseconds=7)),
    ("decimal.Decimal('1.10')", Decimal("1.10")),
    ("fractions.Fraction(1, 3)", Fraction(1, 3)),
    ("uuid.UUID(int=5)", UUID(int=5)),
    ("pathlib.PurePosixPath('/a/b')", Path("/a/b")),
]


@pytest.mark.parametrize(("written", "value"), EXACT, ids=[written[:20] for written, _ in EXACT])
async def test_the_answer_is_the_object_itself(written, value):
    imports = "import datetime, decimal, fractions, uuid, pathlib"
    result = await solve([f"!{imports}\nfinal_answer({written})"])
    assert result.output == value
    assert repr(result.output) == repr(value) or isinstance(value, Path)
    assert type(result.output) is type(value) or isinstance(value, Path)
    assert (result.state, result.finish_reason, len(result.steps)) == ("success", "stop", 1)


WAYS = {
    "in the middle of a block": "final_answer('x')\nawait note('after')",
    "in a function": "def f():\n    final_answer('x')\n    return note('after')\nf()\nnote('after')",
    "in a coroutine": "async def f():\n    final_answer('x')\n    await note('after')\nawait f()\nawait note('after')",
    "in try": "try:\n    final_answer('x')\nexcept Exception:\n    await note('after')\nawait note('after')",
    "in try with finally": "try:\n    final_answer('x')\nfinally:\n    y = 1\nawait note('after')",
    "in a loop": "for n in range(3):\n    final_answer('x')\nawait note('after')",
    "in gather": "await asyncio.gather(final_answer('x'), asyncio.sleep(30))\nawait note('after')",
    "awaited": "await final_answer('x')\nawait note('after')",
    "by keyword": "final_answer(value='x')\nawait note('after')",
    "in asyncio.run": "async def f():\n    final_answer('x')\nasyncio.run(f())\nnote('after')",
    "in a task": "async def f():\n    final_answer('x')\nawait asyncio.create_task(f())\nawait note('after')",
    "in a task group": (
        "async def f():\n    final_answer('x')\n"
        "async with asyncio.TaskGroup() as group:\n    group.create_task(f())\nawait note('after')"
    ),
    "in a thread": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(1) as pool:\n    pool.submit(final_answer, 'x').result()\nnote('after')"
    ),
    "as a callback": "list(map(final_answer, ['x', 'y']))\nnote('after')",
    "in a comprehension": "[final_answer(n) for n in ['x', 'y']]\nnote('after')",
    "in a lambda": "(lambda: final_answer('x'))()\nnote('after')",
    "before a syntax error in another block": "final_answer('x')\n```\nand\n```python\n1 +",
    "twice": "final_answer('x')\nfinal_answer('y')",
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_final_answer_ends_the_run_wherever_it_is_called(code, streamed):
    notes = []

    async def note(text: str) -> None:
        """Take a note."""
        notes.append(text)

    agent = TinyCodeAgent([note], model=ScriptedModel([block(code)]))
    async with asyncio.timeout(20), agent.stream("Go.") as run:
        run.state.streamed = streamed
        result = await run.drain()
    assert (result.output, result.state, notes) == ("x", "success", [])


async def test_final_answer_in_except_and_finally_and_with_a_bare_except_still_answers():
    code = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    final_answer('from except')"
    assert (await solve([f"!{code}"])).output == "from except"
    code = "try:\n    1 / 0\nfinally:\n    final_answer('from finally')"
    assert (await solve([f"!{code}"])).output == "from finally"
    code = "try:\n    final_answer('first')\nexcept:\n    pass\nfinal_answer('second')"
    assert (await solve([f"!{code}"])).output == "first"


async def test_an_answer_that_is_no_data_is_refused_and_can_be_repaired():
    result = await solve(["!final_answer(object())", "!final_answer('data')"])
    assert result.output == "data"
    assert "TypeError: a object cannot leave the sandbox; answer with plain data" in told(result)
    assert result.steps[0].observations[0].error.startswith("TypeError: ")


@pytest.mark.parametrize("wrong", ["final_answer()", "final_answer(1, 2)", "final_answer(answer=1)"])
async def test_a_wrong_call_of_final_answer_is_told_and_can_be_repaired(wrong):
    result = await solve([f"!{wrong}", "!final_answer(1)"])
    assert result.output == 1
    assert "TypeError" in told(result) or "ToolArgumentsError" in told(result)
    assert "final_answer" in told(result)


async def test_the_value_of_an_answering_tool_is_the_output():
    @tool(returns_answer=True)
    async def submit(points: list[int]) -> dict[str, int]:
        return {"sum": sum(points)}

    notes = []
    note = Tool(notes.append, name="note")
    result = await solve(["!await submit([1, 2, 3])\nnote('after')"], [submit, note])
    assert (result.output, notes) == ({"sum": 6}, [])


async def test_a_failing_answering_tool_does_not_answer():
    @tool(returns_answer=True)
    def submit(number: int) -> int:
        if number < 0:
            raise ValueError("must not be negative")
        return number

    result = await solve(["!submit(-1)", "!submit(1)"], [submit])
    assert result.output == 1
    assert "ValueError: must not be negative" in told(result)


# ---- words


async def test_words_without_code_are_asked_about_once_and_then_are_the_answer():
    result = await solve(["The sum is 5.", "I said: 5."])
    assert (result.output, result.state) == ("I said: 5.", "success")
    assert "Your reply held no code." in told(result)


async def test_code_after_the_question_runs():
    result = await solve(["Let me think.", "!1 + 1", "Now I think again.", "!final_answer(2)"])
    assert result.output == 2
    assert [len(step.executions) for step in result.steps] == [0, 1, 0, 1]
    assert "Your reply held no code." in told(result, 3)


async def test_an_empty_reply_after_words_is_an_error():
    with pytest.raises(EmptyReplyError):
        await solve(["", ""])


async def test_words_around_the_code_are_no_answer():
    result = await solve([f"I add.\n{block('x = 2')}\nThat should do.", f"It is 2.\n{block('final_answer(x)')}\nDone."])
    assert result.output == 2


async def test_a_model_that_calls_natively_is_answered_all_the_same():
    result = await solve(
        [Reply("Let me add.", (call("add", a=1, b=2),), finish_reason="tool_calls"), "!final_answer(3)"], [add]
    )
    assert result.output == 3
    assert [message.text for message in result.messages if message.role == "tool"] == ["3"]
    result = await solve([call("final_answer", value="native")])
    assert result.output == "native"


async def test_code_whose_model_is_told_of_no_tools_natively():
    model = ScriptedModel([block("final_answer(1)")])
    await TinyCodeAgent([add], model=model).run("Go.")
    assert model.requests[0].tools == ()


# ---- fences


FENCES = {
    "python": "```python\nfinal_answer(1)\n```",
    "py": "```py\nfinal_answer(1)\n```",
    "attributes": "```python title='a'\nfinal_answer(1)\n```",
    "tildes": "~~~python\nfinal_answer(1)\n~~~",
    "four backticks": "````python\nfinal_answer(1)\n````",
    "no label": "```\nfinal_answer(1)\n```",
    "unclosed": "Here:\n```python\nfinal_answer(1)",
    "code tag": "<code>\nfinal_answer(1)\n</code>",
    "one line": "```python final_answer(1) ```",
    "indented": "- so:\n  ```python\n  final_answer(1)\n  ```",
    "no fence": "final_answer(1)",
    "crlf": "```python\r\nfinal_answer(1)\r\n```\r\n",
    "after another language": "```json\n{}\n```\n```python\nfinal_answer(1)\n```",
    "with a fence in a string": "```python\ntext = '''\n```\n'''\nfinal_answer(len(text) - 4)\n```",
}


@pytest.mark.parametrize("reply", FENCES.values(), ids=FENCES)
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_code_is_found_however_it_is_fenced(reply, streamed):
    async with asyncio.timeout(20), TinyCodeAgent(model=ScriptedModel([reply])).stream("Go.") as run:
        run.state.streamed = streamed
        result = await run.drain()
    assert result.output == 1


# ---- what the model reads of a block


async def test_output_and_the_value_of_the_last_expression_are_told():
    result = await solve(["!print('one')\nx = 2\nprint('two')\nx * 21", "!x", "!x = 3", "!final_answer(x)"])
    assert told(result, 1) == "Output:\n    one\n    two\nValue:\n    42"
    assert told(result, 2) == "Value:\n    2"
    assert told(result, 3) == "It ran, and printed nothing."
    execution = result.steps[0].executions[0]
    assert (execution.value, execution.repr, execution.stdout) == (42, "42", "one\ntwo\n")
    assert result.output == 3


async def test_variables_functions_and_imports_stay_and_end_with_the_run():
    agent = TinyCodeAgent(
        model=ScriptedModel(
            [
                block("import math\ndef double(x): return 2 * x\ny = 4"),
                block("final_answer(double(y) + math.floor(0.5))"),
                block("y"),
                block("final_answer('gone')"),
            ]
        )
    )
    assert (await agent.run("Go.")).output == 8
    again = await agent.run("Go.")
    assert again.output == "gone"
    assert "NameError: name 'y' is not defined" in told(again)


async def test_an_error_is_told_with_its_type_line_names_and_calls():
    code = "total = await shout('a')\nrows = [1, 2]\ndef pick(n):\n    return rows[n]\nadd(1, 2)\npick(5)"
    result = await solve([f"!{code}", "!final_answer(total)"], [add, shout])
    report = told(result)
    assert "IndexError: list index out of range" in report
    assert 'File "<block 1>", line 6' in report
    assert 'File "<block 1>", line 4, in pick\n        return rows[n]' in report
    assert "Calls that this block had made:\n    - shout(text='a') returned A\n    - add(a=1, b=2) returned 3" in report
    assert "Names that are defined: total, rows, pick." in report
    assert "tinyagent" not in report
    error = result.steps[0].executions[0].error
    assert (error.type, error.line, error.names) == ("IndexError", 4, ("total", "rows", "pick"))
    assert result.output == "A"


async def test_what_was_printed_before_an_error_is_told_first():
    result = await solve(["!print('so far')\n1 / 0", "!final_answer(0)"])
    assert told(result).startswith("Output:\n    so far\nError:\n")


async def test_a_syntax_error_is_told_with_its_line_and_nothing_runs():
    result = await solve(["!x = 1\ny = (2\nz = 3", "!final_answer('x' in globals())"])
    assert result.output is False
    assert "SyntaxError" in told(result)
    assert "line 2" in told(result)


async def test_an_unknown_name_is_a_name_error():
    result = await solve(["!ad(1, 2)", "!final_answer(add(1, 2))"], [add])
    assert "NameError: name 'ad' is not defined" in told(result)
    assert result.steps[0].observations == ()
    assert result.output == 3


async def test_the_calls_of_a_failing_block_tell_what_failed():
    def fail(path: str) -> str:
        raise FileNotFoundError(f"no {path}")

    result = await solve(["!add(1, 2)\nfail('a.txt')", "!final_answer(0)"], [add, fail])
    assert "- add(a=1, b=2) returned 3\n    - fail(path='a.txt') failed: FileNotFoundError: no a.txt" in told(result)


async def test_long_arguments_and_values_of_calls_are_cut_in_the_report():
    def echo(text: str) -> str:
        return text

    result = await solve(["!echo('x' * 5000)\n1 / 0", "!final_answer(0)"], [echo])
    calls = told(result).partition("Calls that this block had made:\n")[2]
    assert len(calls) < 1000
    assert "characters are not shown" in calls


async def test_long_output_is_cut_in_the_middle_and_kept_whole_in_the_result():
    result = await solve(["!print('a' * 600 + 'b' * 600)\n'c' * 3000", "!final_answer(0)"], max_observation=1000)
    assert told(result) == (
        f"Output:\n    {'a' * 500}\n... (200 of 1,200 characters are not shown)\n    {'b' * 500}\n"
        f"Value:\n    '{'c' * 499}\n... (2,002 of 3,002 characters are not shown)\n    {'c' * 499}'"
    )
    execution = result.steps[0].executions[0]
    assert execution.stdout == "a" * 600 + "b" * 600 + "\n"
    assert execution.value == "c" * 3000


async def test_a_value_that_cannot_leave_is_told_as_such():
    result = await solve(["!object()", "!final_answer(0)"])
    assert told(result).startswith("Value:\n    <object object at 0x")
    assert "(a object; only plain data can be an answer or an argument)" in told(result)


# ---- several blocks


async def test_several_blocks_run_in_order_and_are_told_apart():
    result = await solve(
        [f"{block('x = 1')}\nThen\n{block('print(x + 1)')}\nand\n{block('x + 2')}", "!final_answer(x)"]
    )
    assert told(result) == (
        "Block 1 of 3:\nIt ran, and printed nothing.\n\nBlock 2 of 3:\nOutput:\n    2\n\nBlock 3 of 3:\nValue:\n    3"
    )
    assert [execution.code.strip() for execution in result.steps[0].executions] == ["x = 1", "print(x + 1)", "x + 2"]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_blocks_after_a_failing_one_do_not_run_and_the_model_is_told(streamed):
    reply = f"{block('x = 1')}\n{block('1 / 0')}\n{block('x = 2')}\n{block('x = 3')}"
    agent = TinyCodeAgent(model=ScriptedModel([reply, block("final_answer(x)")]))
    async with asyncio.timeout(20), agent.stream("Go.") as run:
        run.state.streamed = streamed
        result = await run.drain()
    assert result.output == 1
    assert len(result.steps[0].executions) == 2
    assert told(result).count("What followed in your reply did not run.") == 1
    assert "ZeroDivisionError" in told(result)


#: Blocks that give something to read, and what the model reads of them.
GIVE = {
    "printed": ("print(add(40, 2))", "Output:\n    42"),
    "called": ("x = add(40, 2)", "It ran, and printed nothing."),
    "called in vain": ("try:\n    add('no')\nexcept TypeError:\n    pass", "It ran, and printed nothing."),
    "shown": ("40 + 2", "Value:\n    42"),
    "written to stderr": ("import sys\nx = sys.stderr.write('42')", "Output:\n    42"),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("gives", GIVE)
async def test_an_answer_written_before_what_it_is_based_on_was_read_does_not_count(gives, streamed):
    code, read = GIVE[gives]
    reply = f"{block(code)}\nThe output is 41.\n{block('y = 1')}\n{block('final_answer(41)')}\n{block('y = 2')}"
    agent = TinyCodeAgent([add], model=ScriptedModel([reply, block("final_answer([42, y])")]))
    async with asyncio.timeout(30), agent.stream("Go.") as run:
        run.state.streamed = streamed
        result = await run.drain()
    assert result.output == [42, 1]
    assert told(result).startswith(f"Block 1 of 3:\n{read}\n\nBlock 2 of 3:\nIt ran, and printed nothing.\n\n")
    assert "RuntimeError: final_answer() does not count here: it was written before you read" in told(result)
    assert told(result).count("What followed in your reply did not run.") == 1


async def test_blocks_that_build_on_each_other_and_give_nothing_to_read_may_answer():
    double = block("def double(x):\n    return 2 * x")
    result = await solve([f"{double}\nNow\n{block('x = double(21)')}\n{block('final_answer(x)')}"])
    assert (result.output, len(result.steps)) == (42, 1)


@pytest.mark.parametrize("caught", [False, True], ids=["raised", "caught"])
async def test_no_tool_that_ends_the_run_does_so_before_its_ground_was_read(caught):
    made = []

    @tool(returns_answer=True)
    def submit(order: int) -> int:
        """Submit an order."""
        made.append(order)
        return order

    early = "try:\n    submit(1)\nexcept Exception as error:\n    print(error)" if caught else "submit(1)"
    result = await solve([f"{block('print(7)')}\nI see 1.\n{block(early)}", "!submit(7)"], [submit])
    assert (result.output, made) == (7, [7])
    assert "call submit() in your next reply" in told(result)
    assert [seen.error is None for step in result.steps for seen in step.observations] == [False, True]


async def test_nor_does_a_handoff():
    other = TinyCodeAgent(model=ScriptedModel([]), name="other", description="Another.")
    away = block("transfer_to_other()")
    result = await solve([f"{block('print(7)')}\nI see 1.\n{away}", "!final_answer('own')"], handoffs=[other])
    assert result.output == "own"
    assert "transfer_to_other() does not count here" in told(result)


async def test_an_answer_beside_native_calls_does_not_count_before_they_are_read():
    reply = Reply(block("final_answer(41)"), (call("add", a=40, b=2),), finish_reason="tool_calls")
    result = await solve([reply, "!final_answer(42)"], [add])
    assert result.output == 42


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_native_answer_does_not_count_before_what_the_code_beside_it_gave_is_read(streamed):
    made = []

    @tool(returns_answer=True)
    def submit(order: int) -> int:
        """Submit an order."""
        made.append(order)
        return order

    reply = Reply(block("print(add(40, 2))"), (call("submit", order=41),), finish_reason="tool_calls")
    agent = TinyCodeAgent([add, submit], model=ScriptedModel([reply, block("submit(42)")]))
    async with asyncio.timeout(30), agent.stream("Go.") as run:
        run.streamed = streamed
        result = await run.drain()
    assert (result.output, made) == (42, [42])
    assert "submit() does not count here" in result.messages[3].text


async def test_a_native_answer_beside_code_that_gave_nothing_to_read_counts():
    reply = Reply(block("x = 1"), (call("final_answer", value=42),), finish_reason="tool_calls")
    result = await solve([reply])
    assert (result.output, len(result.steps)) == (42, 1)


# ---- tools in code


async def test_arguments_go_by_place_or_name_and_are_checked_like_any_other():
    def scale(value: float, by: int = 2, *, unit: str = "m") -> str:
        """Scale."""
        return f"{value * by} {unit}"

    code = "final_answer([scale('1.5'), scale(1, 3), scale(by=4, value=1, unit='km')])"
    assert (await solve([f"!{code}"], [scale])).output == ["3.0 m", "3.0 m", "4.0 km"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("add('one', 2)", "a"),
        ("add(1)", "b"),
        ("add(1, 2, c=3)", "c"),
        ("add(1, 2, 3)", "add() takes 2 positional arguments but 3 were given"),
        ("add(1, 2, a=3)", "add() got multiple values for argument 'a'"),
    ],
)
async def test_wrong_arguments_are_a_type_error_in_the_code(wrong, said):
    code = f"try:\n    {wrong}\nexcept TypeError as error:\n    final_answer(str(error))"
    result = await solve([f"!{code}"], [add])
    assert said in result.output
    assert result.steps[0].observations[0].error is not None


async def test_exceptions_of_tools_arrive_as_what_they_are():
    class OddError(LookupError):
        """The host's own."""

    def fail(how: str) -> None:
        raise {"value": ValueError("bad", 3), "odd": OddError("odd one"), "os": FileNotFoundError(2, "gone")}[how]

    code = """
try:
    fail('value')
except ValueError as error:
    first = error.args
try:
    fail('odd')
except LookupError as error:
    second = type(error).__name__, str(error)
try:
    fail('os')
except FileNotFoundError as error:
    third = error.errno
final_answer([first, second, third])"""
    result = await solve([f"!{code}"], [fail])
    assert result.output == [("bad", 3), ("OddError", "odd one"), 2]


@dataclasses.dataclass
class Point:
    """A place."""

    x: int
    y: int


class Person(pydantic.BaseModel):
    """Somebody."""

    name: str
    home: Point | None = None


async def test_values_of_ones_own_classes_have_fields_in_the_code_and_stay_objects_outside():
    def locate() -> list[Point]:
        """Where."""
        return [Point(1, 2)]

    def who() -> Person:
        """Who."""
        return Person(name="Ada", home=Point(3, 4))

    def move(point: Point, person: Person) -> str:
        """Move."""
        return f"{type(point).__name__} {point.x} {type(person).__name__} {person.name}"

    code = """
p = locate()[0]
w = who()
final_answer([p.x + p['y'], w.name, w.home.y, move(p, w), move({'x': 5, 'y': 6}, w)])"""
    result = await solve([f"!{code}"], [locate, who, move])
    assert result.output == [3, "Ada", 4, "Point 1 Person Ada", "Point 5 Person Ada"]
    assert result.steps[0].observations[0].value == [Point(1, 2)]
    assert isinstance(result.steps[0].observations[1].value, Person)


async def test_tools_run_at_once_in_gather_threads_and_task_groups():
    barrier = asyncio.Barrier(3)

    async def meet(name: str) -> str:
        await barrier.wait()
        return name

    codes = [
        "await asyncio.gather(*[meet(n) for n in 'abc'])",
        "import concurrent.futures as f\nwith f.ThreadPoolExecutor(3) as p:\n    r = list(p.map(meet, 'abc'))\nr",
        "async with asyncio.TaskGroup() as g:\n    t = [g.create_task(meet(n)) for n in 'abc']\n[await x for x in t]",
        "tasks = [meet(n) for n in 'abc']\nawait asyncio.gather(*tasks)",
    ]
    result = await solve([*(f"!{code}" for code in codes), "!final_answer(0)"], [meet])
    assert [step.executions[0].value for step in result.steps[:4]] == [["a", "b", "c"]] * 4


async def test_a_fatal_error_in_code_ends_the_run_although_the_code_catches_everything():
    reached = []

    async def stop() -> str:
        raise FatalToolError("the disk is full")

    note = Tool(reached.append, name="note")
    code = "try:\n    await stop()\nexcept BaseException:\n    note('caught')\nnote('after')"
    with pytest.raises(FatalToolError, match="the disk is full") as caught:
        await solve([f"!{code}"], [stop, note])
    assert reached == []
    assert caught.value.result.state == "failed"


async def test_dependencies_and_ids_reach_tools_that_code_calls():
    async def look(item: str, context: Context[dict]) -> str:
        return f"{context.deps[item]} {context.step} {context.run_id} {context.tool} {context.metadata['user']}"

    options = {"deps": {"key": "under the mat"}, "run_id": "r1", "metadata": {"user": "u1"}}
    result = await solve(["!1", "!final_answer(await look('key'))"], [look], run=options)
    assert result.output == "under the mat 2 r1 look u1"


# ---- limits of a run


async def test_the_step_limit_asks_for_a_last_answer_in_which_no_other_tool_can_be_called():
    made = []
    note = Tool(made.append, name="note")
    last = "try:\n    note('late')\nexcept NameError as error:\n    final_answer(str(error))"
    model = ScriptedModel([block("note('early')"), block(last)])
    result = await TinyCodeAgent([note], model=model, limits=Limits(steps=1)).run("Go.")
    assert (result.state, made) == ("step_limit_reached", ["early"])
    assert "no tool named 'note'" in result.output
    assert "call final_answer(answer)" in model.requests[1].messages[-1].text
    assert [request.tool_choice for request in model.requests] == ["auto", "none"]


async def test_words_are_taken_as_the_last_answer():
    result = await solve(["!1", "It is 1."], limits=Limits(steps=1))
    assert (result.output, result.state) == ("It is 1.", "step_limit_reached")


@pytest.mark.parametrize("last", ["!x = 1", "", "!1 / 0", call("final_answer", value=1)])
async def test_no_answer_when_asked_for_one_raises(last):
    with pytest.raises(StepLimitReached) as caught:
        await solve(["!x = 7", last], limits=Limits(steps=1))
    assert caught.value.result.state == "failed"
    assert caught.value.result.steps[0].executions[0].code.strip() == "x = 7"


async def test_no_step_limit_goes_on():
    result = await solve([*["!x = 1"] * 12, "!final_answer(x)"], limits=Limits(steps=None))
    assert (result.state, len(result.steps)) == ("success", 13)


# ---- limits of the code


async def test_a_block_that_takes_too_long_is_told_and_its_names_stay():
    limits = SandboxLimits(seconds=0.3)
    result = await solve(["!x = 5\nwhile True: pass", "!final_answer(x)"], sandbox_limits=limits)
    assert result.output == 5
    assert "TimeoutError" in told(result)
    assert "0.3 s" in told(result)
    assert "Names that are defined: x." in told(result)
    assert result.steps[0].executions[0].interrupted


async def test_the_time_of_tools_is_not_the_time_of_the_block():
    async def wait() -> str:
        await asyncio.sleep(0.6)
        return "waited"

    result = await solve(["!final_answer(await wait())"], [wait], sandbox_limits=SandboxLimits(seconds=0.4))
    assert result.output == "waited"


async def test_code_that_ends_its_process_is_told_what_is_gone_and_the_run_goes_on():
    result = await solve(["!x = 5\ny = 6", "!import os\nos._exit(3)", "!final_answer('x' in globals())"])
    assert result.output is False
    assert "Gone with it: x, y." in told(result, 2)
    assert "All variables, functions and imports are gone" in told(result, 2)


async def test_a_memory_bomb_is_a_memory_error():
    limits = SandboxLimits(memory=64 * 1024 * 1024)
    result = await solve(["!x = 1\ny = bytearray(1 << 30)", "!final_answer(x)"], sandbox_limits=limits)
    assert result.output == 1
    assert "MemoryError" in told(result)


async def test_calls_beyond_the_limit_of_a_block_are_refused_in_the_code():
    limits = SandboxLimits(calls=3)
    code = "r = []\ntry:\n    for n in range(9): r.append(add(n, n))\nexcept RuntimeError as error: print(error)\nr"
    result = await solve([f"!{code}", "!final_answer(add(1, 1))"], [add], sandbox_limits=limits)
    assert "3 tool calls, which is the limit" in told(result)
    assert result.steps[0].executions[0].value == [0, 2, 4]
    assert result.output == 2


async def test_output_beyond_the_limit_is_dropped_and_counted():
    limits = SandboxLimits(output=100)
    result = await solve(["!print('x' * 250)", "!final_answer(0)"], sandbox_limits=limits)
    assert result.steps[0].executions[0].stdout == "x" * 100
    assert "(151 further characters of output were dropped)" in told(result)


async def test_the_limits_of_the_sandbox_hold_where_the_agent_names_none():
    sandbox = ProcessSandbox(limits=SandboxLimits(seconds=0.3))
    result = await solve(["!while True: pass", "!final_answer(0)"], sandbox=sandbox)
    assert "TimeoutError" in told(result)


# ---- many runs of one agent


async def test_runs_at_once_have_namespaces_of_their_own():
    everybody = asyncio.Barrier(50)

    async def meet() -> None:
        await everybody.wait()

    def say(request):
        task = next(message.text for message in request.messages if isinstance(message, User))
        if len(request.messages) == 2:
            return block(f"mine = {task!r}\nawait meet()")
        return block("final_answer([mine, sorted(n for n in globals() if n == 'mine' or n.startswith('run'))])")

    agent = TinyCodeAgent([meet], model=ScriptedModel(say))
    async with asyncio.timeout(50):
        results = await asyncio.gather(*(agent.run(f"run {number}") for number in range(50)))
    assert [result.output for result in results] == [[f"run {number}", ["mine"]] for number in range(50)]


@pytest.mark.parametrize("size", [10, 100_000], ids=["small", "large"])
async def test_context_variables_of_a_run_reach_the_tools_that_its_code_calls(size):
    user = contextvars.ContextVar("user", default="nobody")

    async def who(text: str) -> str:
        return user.get()

    code = f"""
text, r = 'x' * {size}, []
for n in range(5):
    r += await asyncio.gather(who(text), who(text))
final_answer(r)"""
    agent = TinyCodeAgent([who], model=ScriptedModel(lambda _: block(code)))

    async def run_as(name):
        user.set(name)
        return await agent.run("Who?")

    async with asyncio.timeout(50):
        results = await asyncio.gather(*(run_as(f"user {number}") for number in range(10)))
    assert [set(result.output) for result in results] == [{f"user {number}"} for number in range(10)]


# ---- every sandbox


def monty():
    """A `MontySandbox`, where its package is installed."""
    pytest.importorskip("pydantic_monty")
    from tinyagent.sandbox.monty import MontySandbox

    return MontySandbox()


EVERY = pytest.mark.parametrize("sandbox", [ProcessSandbox, PythonExecutor, monty], ids=["process", "trusted", "monty"])
ASYNC = pytest.mark.parametrize("sandbox", [ProcessSandbox, monty], ids=["process", "monty"])


@EVERY
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_every_sandbox_keeps_names_calls_tools_tells_errors_and_answers(sandbox, streamed):
    replies = [
        block("x = add(1, b=2)\nprint('x is', x)\nx * 2"),
        block("add('one', 2)"),
        f"{block('y = x + 1')}\nand\n{block('z = y + nothing')}\nand\n{block('y = 0')}",
        block("final_answer({'x': x, 'y': y})\nx = add(9, 9)"),
    ]
    agent = TinyCodeAgent([add], model=ScriptedModel(replies), sandbox=sandbox())
    async with asyncio.timeout(30), agent.stream("Go.") as run:
        run.state.streamed = streamed
        result = await run.drain()
    assert (result.output, result.state) == ({"x": 3, "y": 4}, "success")
    assert told(result, 1) == "Output:\n    x is 3\nValue:\n    6"
    assert "do not fit" in told(result, 2)
    assert "add(a='one', b=2)" in told(result, 2)
    assert "NameError" in told(result, 3)
    assert "'nothing'" in told(result, 3)
    assert "What followed in your reply did not run." in told(result, 3)
    assert [seen.call.name for step in result.steps for seen in step.observations] == ["add", "add", "final_answer"]
    assert [len(step.executions) for step in result.steps] == [1, 1, 2, 1]


@EVERY
async def test_in_every_sandbox_a_name_given_to_something_else_does_not_ruin_the_run(sandbox):
    replies = ["!final_answer = add(40, 2)\nadd = 1", "!final_answer(add(final_answer_value, add_value))"]
    result = await solve(replies, [add], sandbox=sandbox())
    assert result.output == 43
    assert "note: add is a tool, and add is that tool again from the next block on; " in told(result)
    assert "what you put under that name is now final_answer_value" in told(result)


@EVERY
async def test_every_sandbox_runs_exclusive_tools_one_after_the_other(sandbox):
    order = []

    @tool(exclusive=True)
    def alone(name: str) -> int:
        """Alone."""
        order.append(name)
        return 1

    code = "x = add(1, 1)\ny = alone('a') + add(2, 2) + alone('b') + add(3, 3)\nfinal_answer([x, y])"
    result = await solve([f"!{code}"], [add, alone], sandbox=sandbox())
    assert (result.output, order) == ([2, 12], ["a", "b"])


@EVERY
async def test_in_every_sandbox_a_fatal_error_ends_the_run(sandbox):
    reached = []

    def stop() -> str:
        """Stop."""
        raise FatalToolError("the disk is full")

    note = Tool(reached.append, name="note", description="Note.")
    code = "try:\n    stop()\nexcept Exception:\n    note('caught')\nnote('after')"
    with pytest.raises(FatalToolError, match="the disk is full"):
        await solve([f"!{code}"], [stop, note], sandbox=sandbox())
    assert reached == []


@EVERY
async def test_in_every_sandbox_exceptions_of_tools_can_be_caught(sandbox):
    def fail(path: str) -> str:
        """Fail."""
        raise ValueError(f"no {path}")

    code = "try:\n    fail('a')\nexcept ValueError as error:\n    final_answer(str(error))"
    assert (await solve([f"!{code}"], [fail], sandbox=sandbox())).output == "no a"


@EVERY
async def test_in_every_sandbox_a_block_that_takes_too_long_is_stopped(sandbox):
    limits = SandboxLimits(seconds=0.3)
    result = await solve(["!while True:\n    pass", "!final_answer(1)"], sandbox=sandbox(), sandbox_limits=limits)
    assert result.output == 1
    assert "0.3 s" in told(result)
    assert result.steps[0].executions[0].error is not None


@ASYNC
async def test_async_tools_run_at_once_where_the_sandbox_takes_them(sandbox):
    everybody = asyncio.Barrier(3)

    async def meet(name: str) -> str:
        """Meet."""
        await everybody.wait()
        return name

    code = "import asyncio\nfinal_answer(await asyncio.gather(meet('a'), meet('b'), meet('c')))"
    assert (await solve([f"!{code}"], [meet], sandbox=sandbox())).output == ["a", "b", "c"]


@EVERY
async def test_a_run_can_be_left_in_every_sandbox_while_a_tool_works(sandbox):
    started, gate = threading.Event(), threading.Event()

    def work() -> str:
        """Work."""
        started.set()
        assert gate.wait(20)
        return "worked"

    agent = TinyCodeAgent([work], model=ScriptedModel([block("x = 1\nwork()\nx = 2")]), sandbox=sandbox())
    try:
        async with asyncio.timeout(20), agent.stream("Go.") as run:
            assert await asyncio.to_thread(started.wait, 10)
    finally:
        gate.set()
    assert run.result.state == "cancelled"
    assert "work() failed: This call was not finished" in told(run.result)


async def test_the_prompt_and_the_instructions_are_one_system_message():
    model = ScriptedModel([block("final_answer(1)")])
    agent = TinyCodeAgent([add], model=model, instructions="Be brief.")
    await agent.run("Go.")
    first, second = model.requests[0].messages
    assert first == System(agent.instructions)
    assert first.text.endswith("\n\nBe brief.")
    assert second == User("Go.")
