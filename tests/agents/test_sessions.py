from __future__ import annotations

import asyncio
import json

import pytest

from tests.agents.kinds import block, needs_sandbox
from tinyagent import (
    Allow,
    Call,
    ConfigurationError,
    MemoryStore,
    ReactAgent,
    Reply,
    TinyCodeAgent,
    User,
    ask_before,
)
from tinyagent.errors import RunBusyError, SessionBusyError, StoreError, UnknownRunError
from tinyagent.messages import Assistant, System, ToolReply
from tinyagent.stores import Conversations, SQLiteStore, recorded_runs
from tinyagent.testing import ScriptedModel


class Echo:
    """A model without a memory that first looks, as often as the task says, and then tells the tasks it has heard."""

    def __init__(self, wait=None):
        self.requests = []
        self.wait = wait
        self.looked = []

    async def look(self, at: str) -> str:
        """Look."""
        self.looked.append(at)
        if self.wait is not None:
            await self.wait
        return f"saw {at}"

    async def model(self, request, sink):
        self.requests.append(list(request.messages))
        check(request.messages)
        tasks = [each.text for each in request.messages if isinstance(each, User)]
        told = {each.call_id for each in request.messages if isinstance(each, ToolReply)}
        what = tasks[-1].partition(" ")[0]
        stages = [[f"{what}1", f"{what}2"], [f"{what}3"]] if tasks[-1].endswith("look") else []
        for stage in stages:
            if not told.issuperset(stage):
                calls = tuple(Call("look", {"at": each}, each) for each in stage if each not in told)
                return Reply(calls=calls, finish_reason="tool_calls")
        return Reply(" | ".join(tasks))

    def agent(self, **options):
        return ReactAgent([self.look], model=self.model, **options)


def check(messages):
    """Check that a history is one that every server takes."""
    left = []
    for message in messages:
        if isinstance(message, ToolReply):
            left.remove(message.call_id)
        else:
            assert left == []
            left = [each.id for each in message.calls] if isinstance(message, Assistant) else []
    assert left == []


def texts(messages):
    return [each.text for each in messages if not (isinstance(each, Assistant) and each.calls)]


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "store.db")


# ---- going on


async def test_a_run_goes_on_from_the_messages_of_the_last_one(store):
    echo = Echo()
    agent = echo.agent(store=store, instructions="Be brief.")
    await agent.run("a look", session="s")
    result = await agent.run("b", session="s")
    assert result.output == "a look | b"
    assert (await agent.run("c", session="other")).output == "c"
    assert texts(await Conversations(store).messages("s")) == [
        *("a look", "saw a1", "saw a2", "saw a3", "a look", "b", "a look | b"),
    ]
    assert isinstance(echo.requests[-2][0], System)
    assert [isinstance(each, System) for each in echo.requests[-2]].count(True) == 1


async def test_what_is_said_is_kept_once(store):
    long = "word " * 1000
    agent = ReactAgent(model=ScriptedModel([long]), store=store)
    await agent.run("Go.", session="s", run_id="r")
    records = {**await store.load("s"), **await store.load("session/s"), **await store.load("r")}
    assert sum(text.count(long.strip()) for text in records.values()) == 1


@needs_sandbox
async def test_code_agents_have_sessions_too(store):
    code = [block("print(await look('x'))"), block("final_answer('one')"), block("final_answer('two')")]
    agent = TinyCodeAgent([Echo().look], model=ScriptedModel(code), store=store)
    await agent.run("first", session="s")
    result = await agent.run("second", session="s")
    assert result.output == "two"
    assert [each.text for each in result.messages if isinstance(each, User)] == [
        "first",
        "Output:\n    saw x",
        "second",
    ]


async def test_it_remembers_who_has_answered_last(store):
    second = ReactAgent(model=Echo().model, name="second", instructions="Second.")

    async def hands_over(request, sink):
        return Reply(calls=(Call("transfer_to_second", {}, "t"),), finish_reason="tool_calls")

    def first():
        return ReactAgent(model=hands_over, name="first", handoffs=[second], store=store, instructions="First.")

    assert (await first().run("a", session="s")).info.agent == "second"
    result = await first().run("b", session="s", run_id="r")
    assert result.info.agent == "second"
    assert result.output == "a | b"
    assert result.messages[0] == System("Second.", agent="second")
    again = await first().resume("r")
    assert (again.output, again.messages, again.info.agent) == (result.output, result.messages, "second")


# ---- two at once


async def at_work(store, **options):
    """A run that is at work in the session; its task, and what lets it go on."""
    free = asyncio.Event()
    echo = Echo(free.wait())
    task = asyncio.create_task(echo.agent(store=store).run("a look", session="s", run_id="a", **options))
    while not echo.looked:
        await asyncio.sleep(0.001)
    echo.wait = None
    return task, free


async def test_the_second_waits_and_reads_what_the_first_has_said(store):
    task, free = await at_work(store)
    second = asyncio.create_task(Echo().agent(store=store).run("b", session="s"))
    await asyncio.sleep(0.02)
    assert not second.done()
    free.set()
    await task
    assert (await second).output == "a look | b"


async def test_or_it_fails_at_once(store):
    task, free = await at_work(store)
    with pytest.raises(SessionBusyError, match="Another run is at work in the session 's'") as caught:
        await Echo().agent(store=store).run("b", session="s", when_busy="fail")
    assert (caught.value.session, caught.value.run_id, caught.value.pending) == ("s", "", ())
    with pytest.raises(SessionBusyError):
        await Conversations(store).clear("s")
    free.set()
    assert (await task).output == "a look"
    assert (await Echo().agent(store=store).run("b", session="s", when_busy="fail")).output == "a look | b"


async def test_a_run_that_waits_may_be_cancelled(store):
    task, free = await at_work(store)
    second = asyncio.create_task(Echo().agent(store=store).run("b", session="s"))
    await asyncio.sleep(0.02)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    free.set()
    await task
    assert (await Echo().agent(store=store).run("c", session="s")).output == "a look | c"


async def test_many_at_once_come_one_after_the_other(store):
    agent = Echo().agent(store=store)
    results = await asyncio.gather(*(agent.run(f"{number} look", session="s") for number in range(6)))
    assert sorted(len(result.output.split(" | ")) for result in results) == [1, 2, 3, 4, 5, 6]
    check(await Conversations(store).messages("s"))


# ---- pauses


@pytest.mark.parametrize("when_busy", ["wait", "fail"])
async def test_a_paused_run_holds_its_session_until_it_is_decided(store, when_busy):
    agent = Echo().agent(store=store, policy=ask_before("look"))
    paused = await agent.run("a look", session="s", run_id="a")
    with pytest.raises(SessionBusyError, match="The session 's' waits for a decision about its run 'a'") as caught:
        await agent.run("b", session="s", when_busy=when_busy)
    assert (caught.value.session, caught.value.run_id) == ("s", "a")
    assert caught.value.pending == paused.pending
    while paused.state == "paused":
        paused = await agent.resume("a", {each.id: Allow() for each in paused.pending})
    assert paused.output == "a look"
    assert (await agent.run("b", session="s")).output == "a look | b"
    check(await Conversations(store).messages("s"))


async def test_or_dropped(store):
    agent = Echo().agent(store=store, policy=ask_before("look"))
    await agent.run("a look", session="s", run_id="a")
    await Conversations(store).drop("a")
    assert (await agent.run("b", session="s")).output == "a look | b"
    check(await Conversations(store).messages("s"))
    with pytest.raises(ConfigurationError, match="it was dropped, or its session has gone on"):
        await agent.resume("a")


# ---- crashes


async def test_the_result_of_a_run_is_said_again_although_its_session_has_gone_on(store):
    agent = Echo().agent(store=store)
    first = await agent.run("a look", session="s", run_id="a")
    await agent.run("b", session="s")
    history = await Conversations(store).messages("s")
    for again in (await agent.resume("a"), await agent.run("a look", session="s", run_id="a")):
        assert (again.output, again.messages, again.state) == (first.output, first.messages, first.state)
    assert await Conversations(store).messages("s") == history


async def test_and_while_another_run_is_at_work_in_it(store):
    first = await Echo().agent(store=store).run("x", session="s", run_id="x")
    task, free = await at_work(store)
    again = await asyncio.wait_for(Echo().agent(store=store).resume("x"), 5)
    assert (again.output, again.messages) == (first.output, first.messages)
    free.set()
    await task


@pytest.mark.parametrize("how", ["dropped", "cleared"])
async def test_a_run_that_was_given_up_while_it_waited_for_its_session_does_not_go_on(store, how):
    agent = Echo().agent(store=store, policy=ask_before("look"))
    paused = await agent.run("a look", session="s", run_id="a")
    async with store.claim("session/s"):
        task = asyncio.create_task(agent.resume("a", {each.id: Allow() for each in paused.pending}))
        await asyncio.sleep(0.02)
        if how == "dropped":  # by the next run of the session
            await store.put("a", "a/end", '{"state": "dropped"}')
        else:
            await store.delete("a")
            await store.delete("session/s")
    with pytest.raises(ConfigurationError, match="The session 's' has gone on without the run 'a'"):
        await task


async def test_a_run_stays_in_its_session(store):
    agent = Echo().agent(store=store)
    await agent.run("a", session="s", run_id="a")
    await agent.run("b", run_id="b")
    for run, session in (("a", "other"), ("b", "s")):
        with pytest.raises(
            ConfigurationError, match=rf"The run '{run}' is recorded with another session, .* than '{session}'"
        ):
            await agent.run(run, session=session, run_id=run)
    assert (await agent.run("a", run_id="a")).output == "a"


async def test_a_redacted_pause_holds_its_session_too(tmp_path):
    store = SQLiteStore(tmp_path / "store.db", redact=lambda text: text.replace('"at"', '"**"'))
    agent = Echo().agent(store=store, policy=ask_before("look"))
    await agent.run("a look", session="s", run_id="a")
    with pytest.raises(SessionBusyError, match="waits for a decision about its run 'a'") as caught:
        await agent.run("b", session="s")
    assert caught.value.pending == ()
    await Conversations(store).drop("a")
    assert (await agent.run("b", session="s")).output == "a look | b"


class Dies(MemoryStore):
    """A store whose disk is full after so many records, as if the process had died."""

    left = 10**9

    async def put(self, run, key, text):
        await asyncio.sleep(0)
        self.left -= 1
        if self.left < 0:
            raise OSError("disk full")
        return await super().put(run, key, text)


async def died(after):
    """A session with one run that has ended, and one that died after so many records; whether it did die."""
    store, echo = Dies(), Echo()
    await echo.agent().run("a look", session="s", run_id="a", store=store)
    store.left = after
    try:
        await echo.agent().run("b look", session="s", run_id="b", store=store)
    except StoreError:
        return store, echo, True
    finally:
        store.left = 10**9
    return store, echo, False


async def test_wherever_a_run_dies_the_history_is_valid_and_the_run_goes_on():
    whole, _, _ = await died(10**9)
    whole = await Conversations(whole).messages("s")
    after, alive = 0, False
    while not alive:
        store, echo, died_ = await died(after)
        alive = not died_
        check(await Conversations(store).messages("s"))
        begun = {run.run_id for run in await recorded_runs(store)}
        if "b" in begun:
            assert (await echo.agent().resume("b", store=store)).output == "a look | b look"
            assert await Conversations(store).messages("s") == whole
            assert (await echo.agent().run("c", session="s", store=store)).output == "a look | b look | c"
        after += 1
    assert after > 10


async def test_what_is_kept_is_a_beginning_also_where_a_store_takes_one_write_longer_than_the_next():
    reached = asyncio.Event()

    class Stuck(MemoryStore):
        stuck = True

        async def put(self, run, key, text):
            if self.stuck and key == "session/s/00000001":
                reached.set()
                await asyncio.Event().wait()
            return await super().put(run, key, text)

    store, echo = Stuck(), Echo()
    task = asyncio.create_task(echo.agent().run("a look", session="s", run_id="a", store=store))
    await reached.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.stuck = False
    check(await Conversations(store).messages("s"))
    assert (await echo.agent().run("b", session="s", store=store)).output == "a look | b"


async def test_a_message_that_someone_else_has_written_is_not_passed_over():
    class Shared(MemoryStore):
        async def put(self, run, key, text):
            return key != "session/s/00000001" and await super().put(run, key, text)

    with pytest.raises(StoreError, match="session 's' was written by someone else"):
        await Echo().agent().run("a", session="s", store=Shared())


async def test_wherever_a_run_dies_the_session_can_go_on_without_it():
    after, alive = 0, False
    while not alive:
        store, echo, died_ = await died(after)
        alive = not died_
        result = await echo.agent().run("c look", session="s", run_id="c", store=store)
        assert result.output in ("a look | c look", "a look | b look | c look")
        messages = await Conversations(store).messages("s")
        check(messages)
        assert messages == tuple(each for each in result.messages if not isinstance(each, System))
        if died_ and "b" in {run.run_id for run in await recorded_runs(store)}:
            with pytest.raises(ConfigurationError, match=r"dropped|gone on without"):
                await echo.agent().resume("b", store=store)
        again = await echo.agent().resume("c", store=store)
        assert (again.output, again.messages) == (result.output, result.messages)
        assert (await echo.agent().run("d", session="s", store=store)).output == f"{result.output} | d"
        after += 1


# ---- Conversations


async def test_conversations_are_listed_copied_and_cleared(store):
    agent, kept = Echo().agent(store=store), Conversations(store)
    assert await kept.list() == []
    for session in ("one", "two/three", ""):
        if session:
            await agent.run("a look", session=session)
    assert await kept.list() == ["one", "two/three"]
    await kept.fork("one", "copy")
    await kept.fork("one", "start", at=1)
    await kept.fork("one", "most", at=-1)
    assert await kept.messages("copy") == await kept.messages("one")
    assert texts(await kept.messages("start")) == ["a look"]
    assert len(await kept.messages("most")) == len(await kept.messages("one")) - 1
    assert (await agent.run("b", session="copy")).output == "a look | b"
    assert (await agent.run("b", session="one")).output == "a look | b"
    await kept.clear("one")
    await kept.clear("unknown")
    assert await kept.list() == ["two/three", "copy", "start", "most"]
    assert (await agent.run("c", session="one")).output == "c"
    with pytest.raises(ConfigurationError, match="The session 'copy' has messages already"):
        await kept.fork("two/three", "copy")


async def test_what_is_cleared_leaves_no_record(store):
    await Echo().agent(store=store).run("a look", session="s", run_id="a")
    await Conversations(store).clear("s")
    assert await store.runs() == []


async def test_a_paused_run_is_cleared_with_its_session(store):
    agent = Echo().agent(store=store, policy=ask_before("look"))
    await agent.run("a look", session="s", run_id="a")
    await Conversations(store).clear("s")
    assert await store.runs() == []
    assert (await agent.run("b", session="s")).output == "b"


@pytest.mark.parametrize("at", [0, 1, 2, 3, -1, -2])
async def test_a_copy_of_any_part_is_valid(store, at):
    agent, kept = Echo().agent(store=store), Conversations(store)
    await agent.run("a look", session="one")
    await kept.fork("one", "part", at=at)
    check(await kept.messages("part"))
    result = await agent.run("b", session="part")
    check(result.messages)
    assert await kept.messages("part") == result.messages


async def test_conversations_cross_as_lines_of_json(store):
    agent, kept = Echo().agent(store=store), Conversations(store)
    await agent.run("a look", session="s")
    lines = [line async for line in kept.export("s")]
    assert all(json.loads(line)["session"] == "s" for line in lines)
    other = MemoryStore()
    await Conversations(other).load(lines)
    assert await Conversations(other).messages("s") == await kept.messages("s")
    assert (await agent.run("b", session="s", store=other)).output == "a look | b"
    with pytest.raises(ConfigurationError, match="The session 's' has messages already; clear it first"):
        await Conversations(other).load(lines)


@pytest.mark.parametrize(
    "line", ["", "nonsense", "[]", "{}", '{"session": "s"}', '{"session": 5, "role": "user", "text": "x"}', "null"]
)
async def test_a_line_that_is_none_is_named_and_nothing_is_added(line):
    store = MemoryStore()
    good = json.dumps({"session": "s", "role": "user", "text": "hello"})
    with pytest.raises(ConfigurationError, match=r"^Line 2 is none that export\(\) writes"):
        await Conversations(store).load([good, line])
    assert await store.runs() == []


async def test_what_is_dropped_must_be_there(store):
    with pytest.raises(UnknownRunError):
        await Conversations(store).drop("r")
    assert await store.runs() == []
    task, free = await at_work(store)
    with pytest.raises(RunBusyError):
        await Conversations(store).drop("a")
    free.set()
    await task


async def test_dropping_what_has_ended_changes_nothing(store):
    agent = Echo().agent(store=store)
    await agent.run("a", session="s", run_id="a")
    await Conversations(store).drop("a")
    assert (await agent.resume("a")).output == "a"


@pytest.mark.parametrize("wrong", [None, 5, MemoryStore])
async def test_conversations_are_those_of_a_store(wrong):
    with pytest.raises(ConfigurationError, match="pass a store"):
        Conversations(wrong)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"session": ""}, "pass text that names the conversation"),
        ({"session": 5}, "pass text that names the conversation"),
        ({"session": "s", "messages": [User("x")]}, "Pass messages= or session=, not both"),
        ({"session": "s", "when_busy": "maybe"}, "when_busy='maybe': pass 'wait' or 'fail'"),
    ],
)
async def test_what_is_no_session_is_refused(options, said):
    with pytest.raises(ConfigurationError, match=said):
        await Echo().agent(store=MemoryStore()).run("Go.", **options)


async def test_a_call_without_a_model_belongs_to_no_session(store):
    with pytest.raises(ConfigurationError, match="leave out session="):
        Echo().agent().stream_tool("look", {"at": "a"}, session="s", store=store)
    assert await Conversations(store).list() == []


async def test_a_session_needs_a_store():
    with pytest.raises(ConfigurationError, match="session='s' needs a store"):
        await Echo().agent().run("Go.", session="s")


async def test_a_session_whose_secrets_are_taken_out_goes_on_without_them(tmp_path):
    store = SQLiteStore(tmp_path / "store.db", redact=lambda text: text.replace("4111", "****"))
    agent = Echo().agent(store=store)
    assert (await agent.run("pay 4111 look", session="s")).output == "pay 4111 look"
    result = await agent.run("b", session="s")
    assert result.output == "pay **** look | b"
    check(await Conversations(store).messages("s"))
