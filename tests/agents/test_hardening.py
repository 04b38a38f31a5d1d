"""What once went wrong: keys in errors, poisoned histories, lost ends, costs that were not counted."""

import asyncio
import copy
import gc
import time
import weakref

import pytest

from tests.agents.disk_store import DiskStore
from tinyagent import (
    Call,
    ConfigurationError,
    Context,
    FatalToolError,
    Limits,
    ModelError,
    Notice,
    OpenAIModel,
    Planning,
    ReactAgent,
    Reply,
    Retry,
    RunError,
    StepFinished,
    TextDelta,
    Tool,
    ToolFinished,
    ToolStarted,
    Usage,
    User,
    set_thread_limit,
)
from tinyagent.errors import (
    ContentFilterError,
    RateLimitError,
    StepLimitReached,
    TimeLimitReached,
    ToolArgumentsError,
)
from tinyagent.events import LimitHit
from tinyagent.messages import System
from tinyagent.models import response, transport
from tinyagent.testing import CUT, RawReply, RawStream, ScriptedModel, ScriptedServer, call


async def add(a: int, b: int) -> int:
    return a + b


def chunk(delta, finish=None):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


async def events_of(run):
    async with run:
        return [event async for event in run]


# ---- keys


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_a_line_break_after_the_key_is_no_part_of_it(http):
    async with ScriptedServer(["ok"]) as server:
        model = OpenAIModel("m", base_url=server.url, api_key="sk-secret\n", http=http)
        assert (await ReactAgent(model=model).run("Go.")).output == "ok"
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret"


@pytest.mark.parametrize("key", ["sk-sécret", "sk-se\ncret", "sk-se\x00cret"])
async def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key):
    model = OpenAIModel("m", base_url="http://127.0.0.1:1/v1", api_key=key)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY") as caught:
        await ReactAgent(model=model).run("Go.")
    assert "cret" not in str(caught.value)


# ---- histories


@pytest.mark.parametrize("name", ["multi_tool_use.parallel", "add numbers", "x" * 80, "größe", ""])
async def test_a_name_that_the_model_made_up_is_replayed_as_one_that_every_provider_takes(name):
    async with ScriptedServer([Call(name, {"a": 1}), "ok"]) as server:
        result = await ReactAgent([add], model=server.model()).run("Add.")
    assert result.output == "ok"
    assert result.steps[0].observations[0].call.name == name


async def test_a_system_message_in_the_middle_is_said_by_the_user(kind):
    async with ScriptedServer(kind.script(["ok"])) as server:
        await kind.agent(model=server.model()).run("Go.", messages=[User("Hi."), System("Be brief.")])
    said = kind.without_prompt(server.requests[0].messages)
    assert [(message["role"], message["content"]) for message in said] == [
        ("user", "Hi."),
        ("user", "Be brief."),
        ("user", "Go."),
    ]


@pytest.mark.parametrize(
    "text",
    ["The tag `</think>` closes a block.", "Write </think> at its end.", "Use `</think>`\nthen go on."],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_about_the_think_tag_is_kept_whole(text, streamed):
    async with ScriptedServer([text]) as server:
        run = ReactAgent(model=server.model()).stream("How?")
        run.state.streamed = streamed
        events = await events_of(run)
    assert run.result.output == text
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == text


async def test_a_new_id_in_every_delta_is_one_call_all_the_same():
    parts = [("c1", "add", ""), ("c2", None, '{"a": 1,'), ("c3", None, ' "b": 2}')]
    deltas = [
        chunk({"tool_calls": [{"index": 0, "id": key, "function": {"name": name, "arguments": arguments}}]})
        for key, name, arguments in parts
    ]
    async with ScriptedServer([RawStream([*deltas, chunk({}, "tool_calls"), "data: [DONE]\n\n"]), "3"]) as server:
        run = ReactAgent([add], model=server.model()).stream("Add.")
        await events_of(run)
    assert [seen.value for seen in run.result.steps[0].observations] == [3]


# ---- the last word


PROTOCOL_CALL = '{"scratchpad": "hm", "tool": "add", "arguments": {"a": 1, "b": 2}}'


async def test_a_call_in_the_text_protocol_is_no_last_word():
    async with ScriptedServer([PROTOCOL_CALL, PROTOCOL_CALL]) as server:
        agent = ReactAgent([add], model=server.model(tool_calling="json"), limits=Limits(steps=1))
        with pytest.raises(StepLimitReached):
            await agent.run("Add.")


async def test_an_empty_answer_in_the_text_protocol_is_asked_for_again():
    empty = '{"scratchpad": "hm", "tool": null, "answer": null}'
    async with ScriptedServer([empty, '{"answer": "3"}']) as server:
        agent = ReactAgent([add], model=server.model(tool_calling="json"))
        assert (await agent.run("Add.")).output == "3"


# ---- what a run ends with


async def test_every_call_and_step_that_starts_is_said_to_end(kind):
    async def stop():
        raise FatalToolError("the disk is full")

    async def wait():
        await asyncio.Event().wait()

    model = ScriptedModel(kind.script([[call("wait"), call("stop")]]))
    run = kind.agent([stop, wait], model=model).stream("Go.")
    events = []
    with pytest.raises(FatalToolError):
        async with run:
            async for event in run:
                events.append(event)
    started = [event.call.name for event in events if isinstance(event, ToolStarted)]
    ended = [event.observation for event in events if isinstance(event, ToolFinished)]
    finished = {seen.call.name: seen.error for seen in ended}
    assert started == ["wait", "stop"]
    assert finished["stop"] == "FatalToolError: the disk is full"
    assert "not finished" in finished["wait"]
    assert [type(event) for event in events[-2:]] == [StepFinished, type(events[-1])]
    assert [seen.call.name for seen in run.result.steps[0].observations] == ["wait", "stop"]


async def test_a_run_that_ended_inside_a_tool_does_not_end_the_run_around_it(kind):
    async def stop():
        raise FatalToolError("inner disk")

    inner = kind.agent([stop], model=ScriptedModel(kind.script([call("stop")])), name="inner")
    caught = []

    async def delegate() -> str:
        try:
            return (await inner.run("Go.")).output
        except RunError as error:
            caught.append(error)
            raise

    outer = kind.agent([delegate], model=ScriptedModel(kind.script([call("delegate"), "It failed."])), name="outer")
    result = await outer.run("Go.")
    assert result.output == "It failed."
    assert result.steps[0].observations[0].error == "FatalToolError: inner disk"
    assert caught[0].result.info.agent == "inner"


async def test_a_tool_that_cancels_its_own_task_is_told_to_the_model(kind):
    async def odd():
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    model = ScriptedModel(kind.script([[call("odd"), call("add", a=1, b=1)], "ok"]))
    result = await kind.agent([odd, add], model=model).run("Go.")
    first, second = result.steps[0].observations
    assert (first.error.partition(":")[0], second.text) == ("CancelledError", "2")


@pytest.mark.parametrize("raises", [False, True])
async def test_the_time_limit_holds_for_a_model_that_does_not_stop(kind, raises):
    async def stubborn(request, sink):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if raises:
                raise OSError("broken in its clean-up") from None
        return kind.says("too late")

    run = kind.agent(model=stubborn, limits=Limits(seconds=0.05)).stream("Go.")
    events = []
    with pytest.raises(TimeLimitReached):
        async with run:
            async for event in run:
                events.append(event)
    assert [event.limit for event in events if isinstance(event, LimitHit)] == ["seconds"]
    assert run.result.state == "failed"


# ---- what it cost


async def test_what_a_withheld_reply_cost_is_counted(kind):
    usage = {"prompt_tokens": 100, "completion_tokens": 50}
    body = {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}], "usage": usage}
    async with ScriptedServer([RawReply(body)]) as server:
        with pytest.raises(ContentFilterError) as caught:
            await kind.agent(model=server.model()).run("Go.")
    assert caught.value.result.usage == Usage(0, 100, 50)


async def test_what_failed_attempts_cost_is_counted(kind, monkeypatch):
    monkeypatch.setattr("tinyagent.core.waiting.FIRST_BACKOFF", 0.001)
    spent = {**chunk({"content": "a"}), "usage": {"prompt_tokens": 10, "completion_tokens": 1}}
    async with ScriptedServer(kind.script([RawStream([spent, CUT]), Reply("b", usage=Usage(1, 10, 2))])) as server:
        run = kind.agent(model=server.model()).stream("Go.")
        events = await events_of(run)
    assert [event.what for event in events if isinstance(event, Retry)] == ["model"]
    assert run.result.usage == Usage(1, 20, 3)


async def test_a_wait_that_is_too_long_says_why_it_was_not_tried_again(kind):
    busy = RawReply({"error": {"message": "slow down"}}, 429, {"retry-after": "90"})
    async with ScriptedServer([busy]) as server:
        with pytest.raises(RateLimitError, match=r"slow down.*the wait of 90 s would be over 60 s"):
            await kind.agent(model=server.model()).run("Go.")


# ---- complete replies


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_a_connection_that_breaks_after_the_reply_loses_nothing(kind, http):
    parts = [chunk({"content": kind.says("All of it.").text}), chunk({}, "stop"), CUT]
    async with ScriptedServer([RawStream(parts)]) as server:
        run = kind.agent(model=server.model(http=http, max_retries=0)).stream("Go.")
        await events_of(run)
    assert run.result.output == "All of it."


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
@pytest.mark.parametrize("done", [["data: [DONE]\n\n"], []], ids=["after done", "after the finish reason"])
async def test_a_server_that_keeps_the_stream_open_is_not_waited_for(kind, http, done, monkeypatch):
    monkeypatch.setattr(response, "LONGEST_TAIL", 0.05)
    parts = [chunk({"content": kind.says("All of it.").text}), chunk({}, "stop"), *done, 60]
    async with asyncio.timeout(20), ScriptedServer([RawStream(parts)]) as server:
        run = kind.agent(model=server.model(http=http)).stream("Go.")
        await events_of(run)
    assert run.result.output == "All of it."


async def test_one_long_line_is_read_in_time():
    text = "x" * 10_000_000
    parts = [chunk({"content": text}), chunk({}, "stop")]
    async with asyncio.timeout(30), ScriptedServer([RawStream(parts)]) as server:
        run = ReactAgent(model=server.model()).stream("Go.")
        await events_of(run)
    assert run.result.output == text


# ---- nothing is kept


async def test_tools_are_let_go_with_their_agent():
    class Session:
        pass

    async def once():
        session = Session()

        async def use() -> str:
            return str(type(session))

        async with ScriptedServer(["ok", '{"answer": "ok"}']) as server:
            await ReactAgent([use], model=server.model()).run("Go.")
            await ReactAgent([use], model=server.model(tool_calling="json")).run("Go.")
        return weakref.ref(session)

    kept = [await once() for _ in range(5)]
    gc.collect()
    assert len([session for session in kept if session()]) <= 1  # the last one's tasks may just have ended


async def test_connections_of_a_burst_are_closed_when_it_is_over(monkeypatch):
    monkeypatch.setattr(transport, "KEEP_ALIVE", 0.05)
    server = ScriptedServer(lambda request: "ok")
    async with server:
        agent = ReactAgent(model=server.model(http="httpx"))
        async with agent, asyncio.timeout(20):
            await asyncio.gather(*(agent.run("Go.") for _ in range(80)))
            while len(server._handlers) > transport.POOL_SIZE:
                await asyncio.sleep(0.01)
            assert (await agent.run("Go.")).output == "ok"


# ---- tools


async def test_waiting_for_a_thread_is_not_the_tools_time(kind):
    def slow(number: int) -> int:
        time.sleep(0.3)
        return number

    tool = Tool(slow, timeout=0.8)
    model = ScriptedModel(kind.script([[call("slow", number=number) for number in range(4)], "ok"]))
    set_thread_limit(1)
    try:
        result = await kind.agent([tool], model=model).run("Go.")
    finally:
        set_thread_limit(64)
    assert [seen.value for seen in result.steps[0].observations] == [0, 1, 2, 3]


REFUSALS = [
    "Invalid schema for function 'add': In context=('properties', 'tags'), 'uniqueItems' is not permitted.",
    "tool_choice 'none' is not supported",
    "Tool call arguments: NaN is not allowed",
    "The tool message content must be text; images are not supported",
]


@pytest.mark.parametrize("said", REFUSALS)
async def test_a_refusal_of_something_else_does_not_switch_to_the_text_protocol(said):
    async with ScriptedServer([RawReply({"error": {"message": said}}, 400), "ok"]) as server:
        agent = ReactAgent([add], model=server.model())
        with pytest.raises(RunError):
            await agent.run("Go.")
        run = agent.stream("Go.")
        events = await events_of(run)
    assert not [event for event in events if isinstance(event, Notice)]
    assert server.requests[1].body["tools"]


async def test_the_text_protocol_is_remembered_only_when_it_has_helped():
    refusal = RawReply({"error": {"message": "this model does not support tools"}}, 400)
    async with ScriptedServer([refusal, refusal, "ok"]) as server:
        agent = ReactAgent([add], model=server.model())
        with pytest.raises(RunError):
            await agent.run("Go.")
        assert (await agent.run("Go.")).output == "ok"
    assert ["tools" in request.body for request in server.requests] == [True, False, True]


def test_errors_about_arguments_can_be_copied():
    error = ToolArgumentsError("add", ["a: required, but missing"])
    assert str(copy.copy(error)) == str(error)


def test_a_name_or_description_that_is_no_text_is_refused():
    with pytest.raises(ConfigurationError, match="name=5"):
        Tool(add, name=5)
    with pytest.raises(ConfigurationError, match="description=5"):
        Tool(add, description=5)


async def test_contexts_know_their_run(kind):
    async def who(context: Context) -> str:
        names = f"{context.run_id} {context.agent} {context.model} {context.tool}"
        return f"{names} {context.step} {context.metadata['user']} {context.usage.requests}"

    agent = kind.agent([who], model=ScriptedModel(kind.script([call("who"), "ok"])), name="helper")
    result = await agent.run("Go.", run_id="r1", metadata={"user": "u1"})
    assert result.steps[0].observations[0].text == "r1 helper scripted who 1 u1 1"


class Mute(Exception):
    """An exception that cannot be printed."""

    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


async def test_an_exception_that_cannot_be_printed_is_told_of_by_its_class():
    async def model(request, sink):
        raise Mute

    with pytest.raises(ModelError, match="<Mute>") as raised:
        await ReactAgent(model=model).run("Go.")
    assert raised.value.result.state == "failed"


async def test_instructions_whose_error_cannot_be_printed_say_its_class():
    def instructions():
        raise Mute

    with pytest.raises(ConfigurationError, match="<Mute>"):
        await ReactAgent(model=ScriptedModel([]), instructions=instructions).run("Go.")


# ---- runs that are taken up again


async def test_a_reply_that_broke_off_is_recorded_as_far_as_it_came(tmp_path):
    """Otherwise the model is asked again after a crash, and its calls are made twice."""
    made = []

    async def pay(amount: int) -> str:
        """Pay."""
        made.append(amount)
        return "paid"

    function = {"name": "pay", "arguments": '{"amount": 5}'}
    broken = RawStream([chunk({"tool_calls": [{"index": 0, "id": "c1", "function": function}]}), CUT])
    journal = DiskStore(tmp_path / "journal")

    async def go(*replies):
        async with ScriptedServer(replies) as server:
            run = ReactAgent([pay], model=server.model()).stream("Go.", run_id="r", store=journal)
            await events_of(run)
        return run.result, len(server.requests)

    first, asked = await go(broken, "Paid.")
    assert (first.output, asked, made) == ("Paid.", 2, [5])
    del journal.known["r/2/model"]  # it crashed before that
    again, asked = await go("Paid.")
    assert (again.output, asked, made) == ("Paid.", 1, [5])
    assert [message.text for message in again.messages] == [message.text for message in first.messages]


async def test_calls_that_started_while_the_reply_was_written_are_not_made_again(tmp_path):
    """The run dies before its reply is whole: what had begun is the reply."""
    made, hung = [], asyncio.Event()

    async def pay(amount: int) -> str:
        """Pay."""
        made.append(amount)
        return f"paid {amount}"

    async def model(request, sink):
        asked.append(len(request.messages))
        if len(request.messages) > 1:
            return Reply("Paid.")
        for amount in (5, 7):
            sink.call(call("pay", amount=amount))
        while len(journal.known) < 4:  # both have begun, and ended
            await asyncio.sleep(0.001)
        hung.set()
        return await asyncio.Event().wait()

    asked = []
    agent = ReactAgent([pay], model=model)
    journal = DiskStore(tmp_path / "journal")
    async with agent.stream("Go.", run_id="r", store=journal):
        await hung.wait()  # and now it dies
    asked.clear()
    journal = DiskStore(tmp_path / "journal")
    result = await agent.run("Go.", run_id="r", store=journal)
    assert (result.output, made, len(asked)) == ("Paid.", [5, 7], 1)
    assert [seen.value for seen in result.steps[0].observations] == ["paid 5", "paid 7"]
    assert (await agent.run("Go.", run_id="r", store=DiskStore(tmp_path / "journal"))).output == "Paid."
    assert (made, len(asked)) == ([5, 7], 1)


async def test_a_plan_is_there_again_when_the_run_is_taken_up(kind, tmp_path):
    """It is kept by the toolkit for the run: an answer from the journal would bring the words back, and no plan."""
    steps = [call("create_plan", steps=["buy", "cook"]), call("update_plan", step=1, status="done"), call("get_plan")]
    replies = kind.script([*steps, "Done."])

    async def go():
        agent = kind.agent([Planning(), add], model=ScriptedModel(replies))
        return await agent.run("Go.", run_id="r", store=DiskStore(tmp_path / "journal"))

    first = await go()
    plans = [str(seen.value) for step in first.steps for seen in step.observations if "plan" in seen.call.name]
    journal = DiskStore(tmp_path / "journal")
    assert not [key for key in journal.known if "plan" in key and "/tool/" in key]
    replies = []
    again = await go()
    assert [str(seen.value) for step in again.steps for seen in step.observations if "plan" in seen.call.name] == plans
    assert len(plans) == 3
    assert again.output == first.output


async def test_an_answered_call_keeps_its_answer_when_its_tool_has_another_name_by_now(tmp_path):
    made = []

    async def pay(amount: int) -> str:
        """Pay."""
        made.append(amount)
        return "paid"

    replies = [call("pay", amount=5), "Paid."]
    journal = DiskStore(tmp_path / "journal")
    first = await ReactAgent([pay], model=ScriptedModel(replies)).run("Go.", run_id="r", store=journal)
    del journal.known["r/2/model"]  # it crashed before that
    renamed = ReactAgent([Tool(pay, name="transfer")], model=ScriptedModel(["Paid."]))
    again = await renamed.run("Go.", run_id="r", store=journal)
    assert (again.output, made) == ("Paid.", [5])
    assert again.steps[0].observations[0].value == first.steps[0].observations[0].value == "paid"
