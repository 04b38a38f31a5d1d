"""`messages=`: conversations of any kind, whole or in parts, that a run goes on from."""

import asyncio

import pytest
from hypothesis import given, strategies as st
from openai.types.chat import ChatCompletionMessage

from tinyagent import Call, ConfigurationError, Notice, ReactAgent, User, messages_from_json, messages_to_json
from tinyagent.messages import Assistant, System, ToolReply
from tinyagent.testing import ScriptedServer, call


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def test_a_whole_result_as_messages_is_told_shortly_what_to_pass(kind, scripted_model):
    agent = kind.agent([add], model=scripted_model(kind.script([call("add", a=1, b=2), "It is 3."])))
    result = await agent.run("Add 1 and 2.")
    with pytest.raises(ConfigurationError, match=r"^messages= is of the type RunResult: pass result\.messages\.$"):
        await agent.run("Go on.", messages=result)
    for options in ({"task": result}, {"task": "Go.", "metadata": [result]}):
        with pytest.raises(ConfigurationError) as caught:
            await agent.run(**options)
        assert len(str(caught.value)) < 250


async def test_a_conversation_of_another_library_can_be_gone_on_with(kind, scripted_server):
    asks = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    sdk = ChatCompletionMessage.model_validate({"role": "assistant", "content": None, "tool_calls": [asks]})
    earlier = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Add 1 and 2."}]},
        sdk,
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "assistant", "content": "It is 3."},
    ]
    async with scripted_server(kind.script(["Still 3."])) as server:
        result = await kind.agent([add], model=server.model()).run("Sure?", messages=earlier)
    said = kind.without_prompt(server.requests[0].messages)
    assert [message["role"] for message in said][-5:] == ["user", "assistant", "tool", "assistant", "user"]
    assert said[-4]["tool_calls"] == [asks]
    assert result.messages[-5].calls[0].arguments == {"a": 1, "b": 2}


async def test_a_conversation_goes_on_after_it_was_stored_as_json(kind, scripted_server):
    async with scripted_server(kind.script([call("add", a=1, b=2), "It is 3.", "Still 3.", "Still 3."])) as server:
        agent = kind.agent([add], model=server.model())
        first = await agent.run("Add 1 and 2.")
        await agent.run("Sure?", messages=first.messages)
        await agent.run("Sure?", messages=messages_from_json(messages_to_json(first.messages)))
    assert server.requests[-1].raw == server.requests[-2].raw


# ---- parts of conversations


NEVER_CLOSED = Assistant("Hm.", (Call("add", {"a": 0, "b": 0}, id="c4"), Call("add", {"a": 9, "b": 9}, id="c5")))
CONVERSATION = (
    System("You are another.", agent="another"),
    User("Add."),
    Assistant("", (Call("add", {"a": 1, "b": 2}, id="c1"), Call("add", {"a": 3, "b": 4}, id="c2"))),
    ToolReply("c1", "3", "add"),
    ToolReply("c2", "7", "add"),
    Assistant("3 and 7."),
    User("And 5 and 6?"),
    Assistant("", (Call("add", {"a": 5, "b": 6}, id="c1"),)),
    ToolReply("c1", "11", "add"),
    Assistant("11."),
)
places = st.integers(0, len(CONVERSATION))
slices = st.builds(lambda first, last: CONVERSATION[first:last], places, places)
parts = st.lists(
    slices | st.just((System("By hand."),)) | st.just((NEVER_CLOSED,)) | st.just((Assistant(),)), max_size=5
)


async def test_whatever_is_cut_out_and_joined_runs():
    async def mentioned(request):
        return "ok"

    async with ScriptedServer(mentioned) as server, ReactAgent([add], model=server.model()) as agent:
        loop = asyncio.get_running_loop()

        @given(parts, st.randoms(use_true_random=False), st.booleans())
        def check(chosen, random, shuffled):
            messages = [message for part in chosen for message in part]
            if shuffled:
                random.shuffle(messages)
            going = agent.run("Go on.", messages=messages)
            result = asyncio.run_coroutine_threadsafe(going, loop).result(30)
            told = " ".join(message.text for message in result.messages)
            assert all(message.text in told for message in messages if message.role in ("user", "tool", "assistant"))

        await asyncio.to_thread(check)
    assert server.requests


async def test_the_end_of_a_conversation_runs_and_what_was_mended_is_told(kind, scripted_server):
    async with scripted_server(kind.script(["ok"])) as server:
        agent = kind.agent([add], model=server.model())
        async with agent.stream("Go on.", messages=CONVERSATION[-2:]) as run:
            events = [event async for event in run]
    assert events[1] == Notice("messages= was mended: an answer without its call is a message of the user now.")
    said = kind.without_prompt(server.requests[0].messages)
    assert [message["role"] for message in said] == ["user", "assistant", "user"]
    assert said[0]["content"] == "A tool (add) was called earlier and gave:\n11"


async def test_nothing_is_told_of_a_conversation_that_is_whole(kind, scripted_model):
    async with kind.agent(model=scripted_model(kind.script(["ok"]))).stream("Go on.", messages=CONVERSATION) as run:
        events = [event async for event in run]
    assert not [event for event in events if isinstance(event, Notice)]
