from __future__ import annotations

import asyncio
import functools
import textwrap
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from tests.agents.kinds import block, needs_sandbox
from tinyagent import (
    Allow,
    Ask,
    Call,
    ConfigurationError,
    Deny,
    MemoryStore,
    ReactAgent,
    Reply,
    Return,
    RunError,
    RunResult,
    TinyCodeAgent,
    Tool,
    Toolkit,
    ask_before,
    tool,
)
from tinyagent.core.registry import as_tool
from tinyagent.errors import (
    ApprovalError,
    DecisionError,
    MiddlewareError,
    ModelError,
    ReplayError,
    StoreError,
    ToolDefinitionError,
)
from tinyagent.messages import Assistant
from tinyagent.middleware import Middleware
from tinyagent.policies import allow_only, first_of, read_only
from tinyagent.results import Observation
from tinyagent.stores import SQLiteStore, resume_all
from tinyagent.testing import ScriptedModel, call


class Till:
    """Tools that keep what reaches them."""

    def __init__(self):
        self.paid = []

    async def pay(self, amount: int) -> str:
        """Pay."""
        self.paid.append(amount)
        return f"paid {amount}"

    async def look(self) -> str:
        """Look."""
        self.paid.append("look")
        return "seen"


@pytest.fixture
def till():
    return Till()


def agent_of(till, *replies, policy=None, **options):
    model = ScriptedModel([*replies])
    return ReactAgent([till.pay, Tool(till.look, read_only=True)], model=model, policy=policy, **options)


def ids(result):
    return [each.id for each in result.pending]


# ---- what policies say


async def test_a_denied_call_is_told_with_its_reason(kind, till):
    model = ScriptedModel(kind.script([[call("pay", amount=1)], "no then"]))
    agent = kind.agent([till.pay], model=model, policy=first_of(read_only, allow_only("look")))
    result = await agent.run("Go.")
    [seen] = [each for each in result.steps[0].observations if each.call.name == "pay"]
    assert seen.error == "PermissionError: Only tools that change nothing may be called, and pay may."
    assert isinstance(seen.exception, PermissionError)
    assert "Only tools that change nothing may be called" in model.requests[1].messages[-1].text
    assert result.output == "no then"
    assert till.paid == []


@needs_sandbox
async def test_code_can_catch_that_it_is_denied(till):
    code = "try:\n    await pay(amount=1)\nexcept PermissionError as error:\n    final_answer(str(error))"
    agent = TinyCodeAgent([till.pay], model=ScriptedModel([block(code)]), policy=allow_only("look"))
    assert (await agent.run("Go.")).output == "pay may not be called, only look."


async def test_a_policy_may_change_the_arguments_and_the_model_is_told(kind, till):
    async def at_most(tool, call, context):
        return Allow({"amount": 5}) if call.arguments.get("amount", 0) > 5 else None

    store = MemoryStore()
    for _ in range(2):  # the second time from the records
        model = ScriptedModel(kind.script([[call("pay", amount=100)], "done"]))
        agent = kind.agent([till.pay], model=model, policy=at_most)
        result = await agent.run("Go.", run_id="r", store=store)
        [seen] = [each for each in result.steps[0].observations if each.call.name == "pay"]
        assert seen.text.endswith("\npaid 5")
        assert seen.text.startswith("It was decided to call it with these arguments instead: ")
        assert seen.value == "paid 5"
        assert till.paid == [5]
        assert seen.call.arguments == {"amount": 5}


@pytest.mark.parametrize("decision", [None, Allow(), Allow({"amount": 7})])
async def test_arguments_that_a_policy_has_changed_stay_so_whatever_the_next_one_says(till, decision):
    judged = []

    async def caps(tool, call, context):
        return Allow({"amount": min(call.arguments["amount"], 10)}) if tool.name == "pay" else None

    async def next_one(tool, call, context):
        judged.append(call.arguments["amount"])
        return Allow() if decision is None else Ask("May it?")

    team = agent_of(till, [call("pay", amount=1000)], "paid", name="till", description="Pays.", policy=next_one)
    boss = ReactAgent([team], model=ScriptedModel([call("till", task="Pay."), "done"]), policy=caps)
    result = await boss.run("Go.")
    if decision is not None:
        assert [each.arguments for each in result.pending] == [{"amount": 10}]
        result = RunResult.from_json(result.to_json())
        assert (await boss.resume(result, {ids(result)[0]: decision})).output == "done"
    assert till.paid == [7 if decision == Allow({"amount": 7}) else 10]
    assert judged == [10]


async def test_changed_arguments_that_do_not_fit_are_told(till):
    async def wrong(tool, call, context):
        return Allow({"sum": 5})

    result = await agent_of(till, [call("pay", amount=1)], "done", policy=wrong).run("Go.")
    assert "amount" in result.steps[0].observations[0].error
    assert till.paid == []


@pytest.mark.parametrize("verdict", [True, "yes", Return(3), Allow, Deny("no").reason])
async def test_a_policy_that_returns_nonsense_ends_the_run(kind, till, verdict):
    async def odd(tool, call, context):
        return verdict

    model = ScriptedModel(kind.script([[call("pay", amount=1)], "done"]))
    with pytest.raises(MiddlewareError, match=r"^policy=.*odd returned .*: return Allow\(\), Deny\('why'\), Ask"):
        await kind.agent([till.pay], model=model, policy=odd).run("Go.")
    assert till.paid == []


@pytest.mark.parametrize("make", [lambda: Allow(5), lambda: Allow([1]), lambda: Allow({1: 2})])
async def test_arguments_are_a_dict(make):
    with pytest.raises(ConfigurationError, match=r"^Allow\(.*\): pass all arguments of the call, as a dict"):
        make()


@pytest.mark.parametrize("make", [Deny, Ask])
async def test_reasons_and_questions_are_texts(make):
    with pytest.raises(ConfigurationError, match=rf"^{make.__name__}\(None\): pass the .*, as text"):
        make(None)


def plain(tool, call, context):
    return Allow()


async def raises(tool, call, context):
    raise KeyError("oops")


async def cancelled(tool, call, context):
    raise asyncio.CancelledError


@pytest.mark.parametrize("policy", [plain, raises, cancelled, ask_before])
async def test_a_policy_that_fails_ends_the_run_and_is_named(kind, till, policy):
    model = ScriptedModel(kind.script([[call("pay", amount=1), call("look")], "done"]))
    with pytest.raises(MiddlewareError, match=rf"^policy={policy.__name__} failed: ") as caught:
        await kind.agent([till.pay, till.look], model=model, policy=policy).run("Go.")
    assert caught.value.result.state == "failed"
    assert till.paid == []


async def test_a_run_that_is_cancelled_while_its_policy_waits_is_cancelled(kind, till):
    asked = asyncio.Event()

    async def waits(tool, call, context):
        asked.set()
        await asyncio.Event().wait()

    model = ScriptedModel(kind.script([[call("pay", amount=1)], "done"]))
    task = asyncio.create_task(kind.agent([till.pay], model=model, policy=waits).run("Go."))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert till.paid == []


async def test_a_policy_knows_the_tool_the_call_and_the_run(till):
    seen = []

    async def knows(tool, call, context):
        seen.append((tool.name, call.arguments, context.agent, context.key, context.deps))

    agent = agent_of(till, [Call("pay", {"amount": 1}, "c1")], "done", policy=knows, name="cashier")
    await agent.run("Go.", run_id="r", deps="till")
    assert seen == [("pay", {"amount": 1}, "cashier", "r/1/tool/c1", "till")]


class Careful(Middleware):
    def __init__(self):
        self.seen = []

    async def wrap_tool_call(self, call, context, call_next):
        self.seen.append(call.arguments)
        return await call_next(call, context)


async def test_policies_come_before_middleware_which_sees_what_is_made(till):
    careful = Careful()
    agent = agent_of(till, [Call("pay", {"amount": 9}, "c1")], "done", policy=ask_before("pay"), middleware=[careful])
    result = await agent.run("Go.")
    assert careful.seen == []
    await agent.resume(result, {ids(result)[0]: Allow({"amount": 2})})
    assert careful.seen == [{"amount": 2}]
    assert till.paid == [2]


# ---- what waits, and what is decided


async def test_two_calls_of_a_turn_wait_and_a_decided_one_runs_at_once(till):
    first, second = Call("pay", {"amount": 1}, "c1"), Call("pay", {"amount": 2}, "c2")
    agent = agent_of(till, [first, Call("look", {}, "c3"), second], "done", policy=ask_before("pay"))
    result = await agent.run("Go.")
    assert result.state == "paused"
    assert [(each.tool, each.arguments, each.agent, each.wants) for each in result.pending] == [
        ("pay", {"amount": 1}, "agent", "decision"),
        ("pay", {"amount": 2}, "agent", "decision"),
    ]
    assert till.paid == ["look"]
    one, two = ids(result)
    result = await agent.resume(result, {two: Allow()})
    assert ids(result) == [one]
    assert till.paid == ["look", 2]
    with pytest.raises(ConfigurationError, match=rf"No call waits under the id '{two}'. What waits is: pay \({one}\)"):
        await agent.resume(result, {two: Deny("no"), one: Allow()})  # decided twice
    result = await agent.resume(result, {one: Deny("too much")})
    assert result.output == "done"
    assert till.paid == ["look", 2]
    assert [each.text for each in result.steps[0].observations] == ["PermissionError: too much", "seen", "paid 2"]


async def test_a_policy_is_not_asked_again_about_what_was_decided(till):
    asked = []

    async def once(tool, call, context):
        asked.append(call.id)
        return Ask("?")

    agent = agent_of(till, [Call("pay", {"amount": 1}, "c1")], [Call("pay", {"amount": 2}, "c2")], "done", policy=once)
    result = await agent.run("Go.")
    result = await agent.resume(result, {ids(result)[0]: Allow()})
    assert asked == ["c1", "c2"]
    assert (await agent.resume(result, {ids(result)[0]: Allow()})).output == "done"
    assert asked == ["c1", "c2"]


WRONG = [
    ("yes", r"is 'yes': pass Allow\(\), Deny\('why'\) or Return\(value\)"),
    (True, "is True: pass Allow"),
    (Allow, "is .*: pass Allow"),
    (Ask("?"), "is .*: pass Allow"),
    (Allow({"sum": 1}), "does not fit: .*amount"),
    (Allow({"amount": "many"}), "does not fit: .*amount"),
    (Allow({}), "does not fit: .*amount"),
    (Return(5), "does not fit: "),
    (Return({"a": 1}), "does not fit: "),
]


@pytest.mark.parametrize(("decision", "said"), WRONG)
@pytest.mark.parametrize("inside", [False, True])
async def test_a_decision_that_does_not_fit_is_refused_and_nothing_is_recorded(till, decision, said, inside):
    agent = agent_of(till, [call("pay", amount=1)], "done", policy=ask_before("pay"), name="cashier")
    if inside:
        agent = ReactAgent([agent.as_tool("ask", "Asks.")], model=ScriptedModel([[call("ask", task="Go.")], "done"]))
    store = MemoryStore()
    result = await agent.run("Go.", run_id="r", store=store)
    before = await store.load("r")
    with pytest.raises(ConfigurationError, match=rf"(?s)^The decision about 'pay' \({ids(result)[0]}\) {said}"):
        await agent.resume("r", {ids(result)[0]: decision}, store=store)
    assert await store.load("r") == before
    assert till.paid == []
    assert (await agent.resume("r", {ids(result)[0]: Allow({"amount": 3})}, store=store)).output == "done"
    assert till.paid == [3]


@pytest.mark.parametrize("decisions", [None, [], "r", 5])
async def test_decisions_are_a_dict(till, decisions):
    result = await agent_of(till, [call("pay", amount=1)], policy=ask_before("pay")).run("Go.")
    with pytest.raises(ConfigurationError, match=r"The decisions are .*: pass a dict, such as"):
        await agent_of(till).resume(result, decisions)


async def test_an_unknown_id_is_refused_with_what_waits(till):
    agent = agent_of(till, [call("pay", amount=1)], "done", policy=ask_before("pay"))
    result = await agent.run("Go.")
    with pytest.raises(ConfigurationError, match=r"No call waits under the id 'x'. What waits is: pay \("):
        await agent.resume(result, {"x": Allow()})
    with pytest.raises(ConfigurationError, match=r"No call waits under the id 5\. "):
        await agent.resume(result, {5: Allow()})
    done = await agent.resume(result, {ids(result)[0]: Allow()})
    assert done.output == "done"


async def test_resuming_without_a_decision_pauses_again(till):
    agent = agent_of(till, [call("pay", amount=1)], "done", policy=ask_before("pay"))
    store = MemoryStore()
    first = await agent.run("Go.", run_id="r", store=store)
    again = await agent.resume("r", store=store)
    assert again.state == "paused"
    assert again.pending == first.pending
    assert again.messages == first.messages
    assert (await agent.resume("r", {ids(again)[0]: Allow()}, store=store)).output == "done"
    assert till.paid == [1]


@dataclass
class Town:
    name: str
    founded: date


async def town(name: str) -> Town:
    """Find a town."""
    raise AssertionError("nobody decided to call it")


@pytest.mark.parametrize(
    "value", [Town("Oslo", date(1040, 1, 1)), {"name": "Oslo", "founded": "1040-01-01"}], ids=["object", "data"]
)
@pytest.mark.parametrize("kept", ["store", "json"])
async def test_a_returned_value_is_checked_and_comes_back_as_the_annotated_type(value, kept):
    agent = ReactAgent([town], model=ScriptedModel([[call("town", name="Oslo")], "done"]), policy=ask_before("town"))
    store = MemoryStore() if kept == "store" else None
    result = await agent.run("Go.", run_id="r", store=store)
    run = "r" if store else RunResult.from_json(result.to_json())
    with pytest.raises(ConfigurationError, match="does not fit: "):
        await agent.resume(run, {ids(result)[0]: Return({"name": "Oslo"})}, store=store)
    done = await agent.resume(run, {ids(result)[0]: Return(value)}, store=store)
    [seen] = done.steps[0].observations
    assert seen.value == Town("Oslo", date(1040, 1, 1))
    assert seen.text == '{"name":"Oslo","founded":"1040-01-01"}'


@needs_sandbox
async def test_a_returned_value_is_read_by_code_and_a_replay_reads_the_same():
    code = "t = await town('Oslo')\nprint(t)\nfinal_answer(t['name'])"
    agent = TinyCodeAgent([town], model=ScriptedModel([block(code)]), policy=ask_before("town"))
    store = MemoryStore()
    result = await agent.run("Go.", run_id="r", store=store)
    value = {"name": "Oslo", "founded": "1040-01-01"}
    done = await agent.resume("r", {ids(result)[0]: Return(value)}, store=store)
    assert done.output == "Oslo"
    assert (await agent.resume("r", store=store)).output == "Oslo"


# ---- where a policy holds


async def test_the_policy_of_the_outer_agent_holds_at_any_depth(till):
    inner = agent_of(till, [call("pay", amount=1)], "in", name="inner", policy=allow_only("pay", "look"))
    middle = ReactAgent([inner.as_tool("inner", "Pays.")], model=ScriptedModel([[call("inner", task="x")], "mid"]))
    outer = ReactAgent(
        [middle.as_tool("middle", "Pays.")],
        model=ScriptedModel([[call("middle", task="x")], "out"]),
        policy=ask_before("pay"),
    )
    result = await outer.run("Go.")
    assert [(each.tool, each.agent) for each in result.pending] == [("pay", "inner")]
    assert (await outer.resume(result, {ids(result)[0]: Allow()})).output == "out"
    assert till.paid == [1]


async def test_it_holds_after_a_handoff_beside_that_of_the_next_agent(till):
    second = agent_of(till, [call("pay", amount=1), call("look")], "done", policy=ask_before("pay"), name="second")
    model = ScriptedModel([[call("transfer_to_second")]])
    first = ReactAgent(model=model, handoffs=[second], policy=allow_only("pay", "transfer_*"), name="first")
    result = await first.run("Go.")
    assert [(each.tool, each.agent) for each in result.pending] == [("pay", "second")]
    assert result.steps[-1].observations[0].text == "PermissionError: look may not be called, only pay, transfer_*."
    assert (await first.resume(result, {ids(result)[0]: Return("paid")})).output == "done"
    assert till.paid == []


async def test_a_handoff_that_waits_is_not_answered_with_a_value(till):
    other = agent_of(till, "Mine.", name="other")
    replies = [call("transfer_to_other")], "I do it."
    agent = ReactAgent(model=ScriptedModel([*replies]), handoffs=[other], policy=ask_before("transfer_*"))
    result = await agent.run("Go.")
    with pytest.raises(DecisionError, match="an agent cannot go on with a value"):
        await agent.resume(result, {ids(result)[0]: Return("no")})
    assert (await agent.resume(result, {ids(result)[0]: Deny("no")})).output == "I do it."


async def test_a_denied_handoff_does_not_happen(till):
    second = agent_of(till, "never", name="second")
    model = ScriptedModel([[call("transfer_to_second")], "mine"])
    first = ReactAgent(model=model, handoffs=[second], policy=allow_only("pay"))
    result = await first.run("Go.")
    assert result.output == "mine"
    assert result.info.agent == first.name


async def test_a_single_call_without_a_model_waits_too(till):
    agent = agent_of(till, policy=ask_before("pay"))
    assert await agent.execute_tool("look") == "seen"
    with pytest.raises(ApprovalError, match="waits for a decision") as caught:
        await agent.execute_tool("pay", amount=3)
    result = caught.value.result
    assert (await agent.resume(result, {ids(result)[0]: Allow()})).output == "paid 3"
    assert till.paid == ["look", 3]
    with pytest.raises(PermissionError, match="no"):
        await agent_of(till, policy=_denies).execute_tool("pay", amount=3)


async def test_an_agent_that_is_called_as_a_function_waits_too(till):
    inner = agent_of(till, [call("pay", amount=3)], "paid", policy=ask_before("pay"), description="Pays.")
    with pytest.raises(ApprovalError, match="The call of 'agent' waits for a decision") as caught:
        await inner.as_tool().run({"task": "Pay."})
    result = await inner.resume(caught.value.result, {ids(caught.value.result)[0]: Allow()})
    assert (result.output, till.paid) == ("paid", [3])


class Beating(Middleware):
    """Makes each call as a task of a group."""

    async def wrap_tool_call(self, call, context, call_next):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(call_next(call, context))
        return task.result()


@pytest.mark.parametrize("options", [{}, {"once": True}])
async def test_a_pause_passes_through_task_groups_and_calls_that_are_made_once(till, options):
    inner = agent_of(till, [call("pay", amount=3)], "paid", description="Pays.", name="till", policy=ask_before("pay"))
    replies = [call("till", task="Pay."), call("look")], "done"
    boss = ReactAgent([inner.as_tool(**options), till.look], model=ScriptedModel([*replies]), middleware=[Beating()])
    result = await boss.run("Go.")
    assert (result.state, [each.tool for each in result.pending]) == ("paused", ["pay"])
    assert (await boss.resume(result, {ids(result)[0]: Allow()})).output == "done"
    assert till.paid == ["look", 3]


async def test_what_waits_on_is_not_recorded_again(till):
    class Counting(MemoryStore):
        refused = 0

        async def put(self, run, key, text):
            done = await super().put(run, key, text)
            self.refused += not done
            return done

    calls = [call("pay", amount=number) for number in range(5)]
    agent = agent_of(till, calls, "done", policy=ask_before("pay"), store=Counting())
    result = await agent.run("Go.")
    while result.pending:
        result = await agent.resume(result.info.run_id, {ids(result)[0]: Allow()})
    assert till.paid == [*range(5)]
    assert agent.store.refused == 0


@pytest.mark.parametrize("note", [{"text": "x" * 2_000_000}, {f"k{number}": number for number in range(50_000)}])
async def test_a_call_with_large_arguments_waits_too(note):
    kept = []

    async def keep(note: dict[str, Any]) -> str:
        """Keep."""
        kept.append(note)
        return "kept"

    agent = ReactAgent([Tool(keep, needs_approval=True)], model=ScriptedModel([call("keep", note=note), "done"]))
    result = RunResult.from_json((await agent.run("Go.")).to_json())
    assert dict(result.pending[0].arguments) == {"note": note}
    assert (await agent.resume(result, {ids(result)[0]: Allow()})).output == "done"
    assert kept == [note]


async def test_a_call_that_waits_in_an_agent_that_was_given_up_cannot_be_decided(till):
    class Impatient(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            if call.name != "till":
                return await call_next(call, context)
            task = asyncio.create_task(call_next(call, context))
            await asyncio.wait([task])
            return Observation(call, "Never mind.")

    inner = agent_of(till, [call("pay", amount=3)], description="Pays.", name="till", policy=ask_before("pay"))
    model = ScriptedModel([call("till", task="Pay."), "done"])
    boss = ReactAgent([inner], model=model, middleware=[Impatient()], store=MemoryStore())
    result = await boss.run("Go.", run_id="r")
    assert (result.state, result.pending) == ("success", ())
    [key] = [key for key in await boss.store.load("r") if key.endswith("/asked")]
    with pytest.raises(ConfigurationError, match="What waits is: nothing"):
        await boss.resume("r", {key.removesuffix("/asked"): Allow()})


async def test_what_was_done_before_a_failure_is_not_done_again_although_there_is_no_store(till):
    failing = ModelError("The server is gone.")
    agent = agent_of(till, [call("pay", amount=3)], failing, "done", policy=ask_before("pay"))
    result = await agent.run("Go.")
    with pytest.raises(ModelError) as caught:
        await agent.resume(result, {ids(result)[0]: Allow()})
    left = RunResult.from_json(caught.value.result.to_json())
    assert (await agent.resume(left)).output == "done"
    assert till.paid == [3]


async def _denies(tool, call, context):
    return Deny("no")


# ---- approval that a tool wants itself


async def test_a_tool_that_needs_approval_asks_unless_a_policy_says_more(till):
    guarded = Tool(till.pay, needs_approval=True)

    def agent(policy=None):
        return ReactAgent([guarded], model=ScriptedModel([[call("pay", amount=1)], "done"]), policy=policy)

    result = await agent().run("Go.")
    assert result.pending[0].prompt == "May pay be called?"
    result = await agent(ask_before("look")).run("Go.")
    assert result.state == "paused"
    result = await agent(_denies).run("Go.")
    assert result.state == "success"
    assert till.paid == []

    async def allows(tool, call, context):
        return Allow()

    await agent(allows).run("Go.")
    assert till.paid == [1]


def _passing_on(guarded):
    @functools.wraps(guarded)
    async def pay(amount: int) -> str:
        return await guarded(amount)

    return pay


@pytest.mark.parametrize(
    "made_of",
    [
        functools.partial,
        lambda guarded: functools.partial(guarded, amount=1),
        lambda guarded: Tool(guarded, name="pay"),
        lambda guarded: Tool(functools.partial(functools.partial(guarded)), name="pay"),
        _passing_on,
    ],
)
async def test_what_is_made_of_a_tool_that_needs_approval_needs_it_too(till, made_of):
    made = as_tool(made_of(Tool(till.pay, needs_approval=True, once=True)))
    assert made.once
    with pytest.raises(ToolDefinitionError, match="once=True goes with neither retries="):
        Tool(made, retries=1)
    agent = ReactAgent([made], model=ScriptedModel([[call("pay", amount=1)]]))
    assert (await agent.run("Go.")).state == "paused"
    assert till.paid == []


@pytest.mark.parametrize("how", ["policy", "needs_approval", "once", "outer"])
async def test_calls_that_may_ask_are_never_started_early(till, how):
    began = []

    async def pay(amount: int) -> str:
        """Pay."""
        began.append(amount)
        return "paid"

    async def model(request, sink):
        if len(request.messages) > 1 and request.messages[-1].role == "tool":
            return Reply("done")
        made = Call("pay", {"amount": 1}, "c1")
        sink.call(made)
        for _ in range(20):
            await asyncio.sleep(0)
        assert began == []
        return Reply(calls=(made,), finish_reason="tool_calls")

    async def allows(tool, call, context):
        return Allow()

    options = {"needs_approval": how == "needs_approval", "once": how == "once"}
    agent = ReactAgent([Tool(pay, **options)], model=model, policy=allows if how != "outer" else None)
    if how == "outer":
        script = ScriptedModel([[call("ask", task="Go.")], "done"])
        agent = ReactAgent([agent.as_tool("ask", "Asks.")], model=script, policy=allows)
    async with agent.stream("Go.") as run:
        assert (await run.drain()).output == "done"
    assert began == [1]


# ---- calls that must not be made twice


class Lost(MemoryStore):
    """A store that loses what a call gave, as if the process had died before it was recorded."""

    lost = "/tool/c1"

    async def put(self, run, key, text):
        return True if key.endswith(self.lost) else await super().put(run, key, text)


@pytest.mark.parametrize("decision", [Return("paid 1"), Deny("It has failed.")])
@pytest.mark.parametrize("asks", [False, True])
async def test_a_call_of_once_that_was_in_flight_wants_a_value(till, decision, asks):
    async def says(request, sink):
        if len(request.messages) > 1:
            return Reply("done")
        return Reply(calls=(Call("pay", {"amount": 1}, "c1"), Call("look", {}, "c2")), finish_reason="tool_calls")

    def agent():
        return ReactAgent([Tool(till.pay, once=True, needs_approval=asks), till.look], model=says)

    store = Lost()
    result = await agent().run("Go.", run_id="r", store=store)
    if asks:
        result = await agent().resume("r", {ids(result)[0]: Allow()}, store=store)
    assert result.output == "done"
    assert sorted(map(str, till.paid)) == ["1", "look"]
    store._runs["r"] = {key: text for key, text in store._runs["r"].items() if "/1/" in key or key == "r/start"}
    result = await agent().resume("r", store=store)
    assert result.state == "paused"
    [waits] = result.pending
    assert (waits.tool, waits.wants, waits.arguments) == ("pay", "value", {"amount": 1})
    assert waits.id.endswith("/c1/begun")
    assert "in flight" in waits.prompt
    with pytest.raises(ConfigurationError, match="is Allow: it wants a value"):
        await agent().resume("r", {waits.id: Allow()}, store=store)
    with pytest.raises(ConfigurationError, match="does not fit"):
        await agent().resume("r", {waits.id: Return(5)}, store=store)
    store.lost = "nothing"
    result = await agent().resume("r", {waits.id: decision}, store=store)
    assert result.output == "done"
    assert sorted(map(str, till.paid)) == ["1", "look"]
    told = "paid 1" if isinstance(decision, Return) else "PermissionError: It has failed."
    assert result.steps[0].observations[0].text == told


@tool(once=True)
async def launch() -> str:
    """Launch."""
    return "up"


@needs_sandbox
async def test_a_call_of_once_that_code_made_wants_a_value_too():
    def agent():
        return TinyCodeAgent([launch], model=ScriptedModel([block("x = await launch()\nfinal_answer(x)")]))

    store = Lost()
    store.lost = "/block1_launch_1"
    await agent().run("Go.", run_id="r", store=store)
    [key] = [key for key in await store.load("r") if key.endswith("/begun")]
    store.lost = key.rpartition("/tool")[2].removesuffix("/begun")
    store._runs["r"] = {each: text for each, text in store._runs["r"].items() if each in ("r/start", "r/1/model", key)}
    result = await agent().resume("r", store=store)
    assert ids(result) == [key]
    store.lost = "nothing"
    assert (await agent().resume("r", {key: Return("up")}, store=store)).output == "up"


# ---- several at once


def by_step(*replies):
    """A model without a memory: it says what comes after the replies that it sees."""

    async def model(request, sink):
        said = replies[sum(isinstance(each, Assistant) for each in request.messages)]
        return Reply(said) if isinstance(said, str) else Reply(calls=tuple(said), finish_reason="tool_calls")

    return model


async def test_several_inner_agents_wait_at_once_in_the_order_of_their_calls(till):
    def inner(name, amount, **options):
        model = by_step([Call("pay", {"amount": amount}, "c1")], name)
        return ReactAgent([till.pay], model=model, name=name).as_tool(description="Pays.", **options)

    calls = [Call("b", {"task": "x"}, "i1"), Call("a", {"task": "x"}, "i2"), Call("b", {"task": "x"}, "i3")]
    tools = [inner("a", 1), inner("b", 2, timeout=30, retries=2)]
    agent = ReactAgent(tools, model=by_step(calls, "done"), policy=ask_before("pay"))
    result = await agent.run("Go.")
    assert [each.agent for each in result.pending] == ["b", "a", "b"]
    assert len(set(ids(result))) == 3
    result = await agent.resume(result, {ids(result)[1]: Allow()})
    assert [each.agent for each in result.pending] == ["b", "b"]
    assert till.paid == [1]
    result = await agent.resume(result, {each: Allow() for each in ids(result)})
    assert result.output == "done"
    assert till.paid == [1, 2, 2]


@needs_sandbox
async def test_code_inside_code_waits_at_once(till):
    inside = block("await look()\nfinal_answer(await pay(1))")
    inner = TinyCodeAgent([till.pay, till.look], model=by_step(inside), name="inner", description="Pays.")
    code = "import asyncio\nprint(await asyncio.gather(inner(task='x'), inner(task='x'), inner(task='y')))"
    outer = TinyCodeAgent([inner], model=by_step(block(code), block("final_answer('done')")), policy=ask_before("pay"))
    result = await outer.run("Go.")
    assert len(set(ids(result))) == 3
    while result.pending:
        result = await outer.resume(RunResult.from_json(result.to_json()), {ids(result)[0]: Allow()})
    assert result.output == "done"
    assert till.paid == ["look"] * 3 + [1] * 3


@needs_sandbox
async def test_what_code_does_at_last_is_not_done_while_it_waits(till):
    code = "try:\n    paid = await pay(1)\nfinally:\n    await look()\nfinal_answer(paid)"
    agent = TinyCodeAgent([till.pay, till.look], model=by_step(block(code)), policy=ask_before("pay"))
    result = await agent.run("Go.")
    assert till.paid == []
    assert (await agent.resume(result, {ids(result)[0]: Allow()})).output == "paid 1"
    assert till.paid == [1, "look"]


async def test_agents_that_a_function_names_may_ask_too(till):
    model = by_step([], [Call("pay", {"amount": 1}, "c1")], "done")
    second = ReactAgent([till.pay], model=model, policy=ask_before("pay"), name="second")
    first = ReactAgent(model=by_step([Call("transfer_to_second", {}, "t")]), handoffs=lambda: [second], name="first")
    result = await first.run("Go.")
    assert (await first.resume(result, {ids(result)[0]: Allow()})).output == "done"


@tool(returns_answer=True)
async def finish(value: int) -> int:
    """Answer."""
    return value * 2


@pytest.mark.parametrize(("decision", "output"), [(Allow(), 42), (Allow({"value": 1}), 2), (Return(5), 5)])
async def test_a_call_that_ends_the_run_may_wait(kind, decision, output):
    agent = kind.agent(
        [finish], model=ScriptedModel(kind.script([[call("finish", value=21)]])), policy=ask_before("*sh")
    )
    result = await agent.run("Go.")
    assert (await agent.resume(result, {ids(result)[0]: decision})).output == output


# ---- what is decided stands


class Full(MemoryStore):
    """A store whose disk is full after a record whose key ends so."""

    after = "nothing"

    async def put(self, run, key, text):
        await super().put(run, key, text)
        if key.endswith(self.after):
            raise OSError("disk full")
        return True


async def test_a_decision_stands_although_the_process_dies_before_the_call(till):
    store = Full()
    agent = ReactAgent([till.pay], model=by_step([Call("pay", {"amount": 1}, "c1")], "done"), policy=ask_before("pay"))
    result = await agent.run("Go.", run_id="r", store=store)
    store.after = "/decision"
    with pytest.raises(StoreError):
        await agent.resume("r", {ids(result)[0]: Allow({"amount": 7})}, store=store)
    store.after = "nothing"
    assert till.paid == []
    with pytest.raises(ConfigurationError, match="No call waits under"):
        await agent.resume("r", {ids(result)[0]: Deny("no")}, store=store)
    [item] = await resume_all(store, {"agent": agent})
    assert item.result.output == "done"
    assert till.paid == [7]


@pytest.mark.parametrize("decision", [None, Deny("too much"), Allow({"amount": 2}), Return("paid already")])
async def test_what_waits_is_not_made_by_an_agent_that_would_not_have_asked(kind, till, decision):
    """The process that goes on may have been started with other options than the one that paused."""
    script = kind.script([[Call("pay", {"amount": 1}, "c1")], "done"])

    def agent(**options):
        return kind.agent([till.pay], model=by_reply(script), **options)

    store = MemoryStore()
    result = await agent(policy=ask_before("pay")).run("Go.", run_id="r", store=store)
    [key] = ids(result)
    result = await agent().resume("r", {key: decision} if decision else {}, store=store)
    assert till.paid == ([2] if isinstance(decision, Allow) else [])
    assert result.state == ("success" if decision else "paused")
    assert ids(result) == ([] if decision else [key])


def by_reply(replies):
    async def model(request, sink):
        return replies[sum(isinstance(each, Assistant) for each in request.messages)]

    return model


async def test_a_single_call_with_objects_waits_in_a_store(tmp_path):
    seen = []

    async def found(town: Town) -> str:
        """Found a town."""
        seen.append(town)
        return town.name

    agent = ReactAgent(
        [found], model=by_step("never"), policy=ask_before("*"), store=SQLiteStore(tmp_path / "store.db")
    )
    with pytest.raises(ApprovalError) as caught:
        await agent.execute_tool("found", town=Town("Oslo", date(1040, 1, 1)))
    result = caught.value.result
    assert (await agent.resume(result.info.run_id, {ids(result)[0]: Allow()})).output == "Oslo"
    assert seen == [Town("Oslo", date(1040, 1, 1))]


# ---- decisions that are known to be wrong only when the tool is open


class Late(Toolkit):
    """A toolkit that finds its tool when it is opened."""

    def __init__(self, till):
        self.till = till
        self.found = ()

    async def open(self):
        self.found = (Tool(self.till.pay),)

    @property
    def tools(self):
        return self.found


@pytest.mark.parametrize("decision", [Allow({"sum": 1}), Return(5)])
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("late", [False, True])
async def test_a_decision_that_does_not_fit_is_refused_at_any_depth(till, decision, depth, late):
    """Also where agents have one name, and where a toolkit has yet to find the tool."""

    def agent():
        tools = [Late(till)] if late else [till.pay]
        made = ReactAgent(tools, model=by_step([Call("pay", {"amount": 1}, "c1")], "done"), policy=ask_before("pay"))
        for _ in range(depth):
            inner = made.as_tool("ask", "Asks.")
            made = ReactAgent([inner], model=by_step([Call("ask", {"task": "Go."}, "c1")], "done"))
        return made

    store = MemoryStore()
    result = await agent().run("Go.", run_id="r", store=store)
    before = await store.load("r")
    with pytest.raises(DecisionError, match=r"^The decision about 'pay' \(.*\) does not fit"):
        await agent().resume("r", {ids(result)[0]: decision}, store=store)
    after = await store.load("r")
    assert [key for key in after if key not in before and "/left/" not in key and "/resumed/" not in key] == []
    assert (await agent().resume("r", {ids(result)[0]: Allow()}, store=store)).output == "done"
    assert till.paid == [1]


@needs_sandbox
async def test_code_cannot_catch_that_a_decision_does_not_fit(till):
    code = "try:\n    paid = await pay(1)\nexcept Exception:\n    paid = 'caught'\nfinal_answer(paid)"
    agent = TinyCodeAgent([Late(till)], model=by_step(block(code)), policy=ask_before("pay"))
    result = await agent.run("Go.")
    with pytest.raises(DecisionError, match=r"^The decision about 'pay' \(.*\) does not fit"):
        await agent.resume(result, {ids(result)[0]: Return(5)})
    assert (await agent.resume(result, {ids(result)[0]: Allow()})).output == "paid 1"


# ---- what cannot be decided


@pytest.mark.parametrize("decision", [None, Allow(), Return("paid")])
async def test_a_call_whose_tool_is_gone_is_not_passed_over(kind, till, decision):
    script = kind.script([[Call("pay", {"amount": 1}, "c1")], "done"])
    store = MemoryStore()
    policy = ask_before("pay")
    result = await kind.agent([till.pay], model=by_reply(script), policy=policy).run("Go.", run_id="r", store=store)
    decisions = {ids(result)[0]: decision} if decision else {}
    with pytest.raises(RunError) as caught:
        await kind.agent([till.look], model=by_reply(script), policy=policy).resume("r", decisions, store=store)
    assert isinstance(caught.value, ReplayError)
    again = await kind.agent([till.pay], model=by_reply(script), policy=policy).resume("r", store=store)
    assert again.state == "paused"
    assert ids(again) == ids(result)


@needs_sandbox
async def test_a_block_that_asks_something_else_each_time_is_refused(till, monkeypatch):
    monkeypatch.setattr("tinyagent.agents.workspace.REPLAY_PATIENCE", 0.1)
    code = "import time\nprint(await pay(time.time_ns()))"
    agent = TinyCodeAgent([till.pay], model=by_step(block(code)), policy=ask_before("pay"))
    result = await agent.run("Go.")
    with pytest.raises(ReplayError, match=r"did not make the calls that are recorded of it \(block1_pay_"):
        await agent.resume(result, {ids(result)[0]: Allow()})
    assert till.paid == []


@needs_sandbox
async def test_code_may_have_ended_before_a_call_in_its_background_is_decided(till):
    code = """
    import asyncio

    async def later():
        print(await pay(amount=1))
        await look()

    task = asyncio.create_task(later())
    await asyncio.sleep(0.01)
    print("ended")
    """
    model = ScriptedModel([block(textwrap.dedent(code)), block("final_answer('done')")])
    agent = TinyCodeAgent([Tool(till.pay, needs_approval=True), till.look], model=model, store=MemoryStore())
    result = await agent.run("Go.")
    assert result.state == "paused"
    assert (await agent.resume(result.info.run_id, {ids(result)[0]: Allow()})).output == "done"
    assert till.paid[:1] == [1]
