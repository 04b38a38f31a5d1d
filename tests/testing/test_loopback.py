"""`ScriptedServer`: a real HTTP server that speaks the Chat Completions API, and misbehaves when told to."""

import asyncio
import json

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from tinyagent import Call, ReactAgent, Reply, Usage
from tinyagent.testing import CUT, RawReply, RawStream, ScriptedServer, call

USER = {"role": "user", "content": "Hi"}
REPLY = Reply(
    "Let me  add.",
    (Call("add", {"a": 2}, id="c1"), Call("now", id="c2")),
    "hm hm",
    finish_reason="tool_calls",
    usage=Usage(1, 7, 2, 4, 1),
)


def sdk(server):
    return AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0)


async def ask(server, **options):
    """What the official SDK makes of the next reply."""
    async with sdk(server) as client:
        return await client.chat.completions.create(model="m", messages=[USER], **options)


async def chunks_of(server, **options):
    async with sdk(server) as client:
        stream = await client.chat.completions.create(model="m", messages=[USER], stream=True, **options)
        return [chunk async for chunk in stream]


async def post(server, path="/chat/completions", **options):
    async with httpx.AsyncClient() as client:
        return await client.post(server.url + path, **options)


# ---- the Chat Completions API, as the official SDK reads it


async def test_text_is_a_completion():
    async with ScriptedServer(["Hello there."]) as server:
        completion = await ask(server)
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hello there.", "stop")
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + 2


async def test_a_reply_is_a_completion_with_all_it_has():
    async with ScriptedServer([REPLY]) as server:
        completion = await ask(server)
    message = completion.choices[0].message
    assert (message.content, message.reasoning_content) == (REPLY.text, REPLY.reasoning)
    assert [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls] == [
        ("c1", "add", '{"a": 2}'),
        ("c2", "now", "{}"),
    ]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (7, 2)
    assert completion.usage.prompt_tokens_details.cached_tokens == 4
    assert completion.usage.completion_tokens_details.reasoning_tokens == 1


async def test_a_reply_is_streamed_in_pieces_that_join_to_it():
    async with ScriptedServer([REPLY]) as server:
        deltas = [chunk.choices[0].delta for chunk in await chunks_of(server)]
    assert "".join(delta.content or "" for delta in deltas) == REPLY.text
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == REPLY.reasoning
    parts = [part for delta in deltas for part in delta.tool_calls or ()]
    assert [part.id for part in parts if part.id] == ["c1", "c2"]
    first = "".join(part.function.arguments for part in parts if part.index == 0)
    assert json.loads(first) == {"a": 2}


async def test_a_stream_ends_with_its_finish_reason():
    async with ScriptedServer([REPLY]) as server:
        assert (await chunks_of(server))[-1].choices[0].finish_reason == "tool_calls"


async def test_usage_is_streamed_where_it_was_asked_for():
    async with ScriptedServer([REPLY, REPLY]) as server:
        without = await chunks_of(server)
        with_usage = await chunks_of(server, stream_options={"include_usage": True})
    assert all(chunk.usage is None for chunk in without)
    assert with_usage[-1].choices == []
    assert with_usage[-1].usage.total_tokens == 9


async def test_the_models_are_listed():
    async with ScriptedServer([]) as server, sdk(server) as client:
        assert [model.id async for model in client.models.list()] == ["scripted"]


@pytest.mark.parametrize("delay", [0.0, 0.001])
async def test_a_delay_changes_nothing_but_the_time(delay):
    async with ScriptedServer([REPLY, "Hello there."], delay=delay) as server:
        deltas = [chunk.choices[0].delta for chunk in await chunks_of(server)]
        assert "".join(delta.content or "" for delta in deltas) == REPLY.text
        assert (await ask(server)).choices[0].message.content == "Hello there."


# ---- what it keeps, and what it refuses


async def test_it_keeps_each_request():
    async with ScriptedServer(["a", "b"]) as server:
        await ask(server, temperature=0.5)
        await post(server, json={"messages": [USER]}, headers={"X-Trace": "7"})
    first, second = server.requests
    assert (first.number, first.body["temperature"], first.messages) == (1, 0.5, [USER])
    assert first.headers["authorization"] == "Bearer none"
    assert (second.number, second.path, second.headers["x-trace"]) == (2, "/v1/chat/completions", "7")
    assert json.loads(second.raw) == second.body == {"messages": [USER]}


async def test_a_query_does_not_hide_the_path():
    async with ScriptedServer(["a"]) as server:
        assert (await post(server, "/chat/completions?api-version=1", json={"messages": [USER]})).status_code == 200
    assert server.requests[0].path.endswith("/chat/completions?api-version=1")


async def test_functions_get_the_request():
    async with ScriptedServer(lambda request: f"{request.number}: {request.messages[-1]['content']}") as server:
        assert (await ask(server)).choices[0].message.content == "1: Hi"
        assert (await ask(server)).choices[0].message.content == "2: Hi"


async def test_a_strict_server_refuses_a_history_with_a_fault():
    bad = [USER, {"role": "tool", "tool_call_id": "c1", "content": "5"}]
    async with ScriptedServer(["a"]) as server:
        response = await post(server, json={"messages": bad})
        assert response.status_code == 400
        assert "messages[1] answers 'c1'" in response.json()["error"]["message"]
        await ask(server)


async def test_a_server_that_is_not_strict_takes_any_history():
    async with ScriptedServer(["a"], strict=False) as server:
        assert (await post(server, json={"messages": []})).status_code == 200


async def test_a_request_that_is_not_json_is_refused():
    async with ScriptedServer([]) as server:
        response = await post(server, content=b"{")
    assert response.status_code == 400
    assert "not JSON" in response.text


async def test_a_used_up_script_is_told_to_the_client():
    async with ScriptedServer([]) as server:
        with pytest.raises(BadRequestError, match="asked for one more"):
            await ask(server)


async def test_a_failing_script_is_told_to_the_client():
    async with ScriptedServer(lambda request: 1 / 0) as server:
        with pytest.raises(BadRequestError, match="The script failed: ZeroDivisionError"):
            await ask(server)


async def test_an_exception_in_a_script_needs_a_scripted_model():
    async with ScriptedServer([OSError("gone")]) as server:
        with pytest.raises(BadRequestError, match="can only be raised by a ScriptedModel"):
            await ask(server)


async def test_other_paths_are_not_found():
    async with ScriptedServer([]) as server, sdk(server) as client:
        with pytest.raises(NotFoundError, match="There is no POST /v1/embeddings here"):
            await client.embeddings.create(model="m", input="x")


# ---- how it misbehaves


async def test_a_raw_reply_is_sent_as_it_is():
    raw = RawReply("no", 418, {"content-type": "text/plain", "x-tea": "1"})
    async with ScriptedServer([raw]) as server:
        response = await post(server, json={"messages": [USER]})
    assert (response.status_code, response.text, response.headers["x-tea"]) == (418, "no", "1")
    assert response.headers["content-type"] == "text/plain"


@pytest.mark.parametrize("body", [b'{"a":1}', '{"a":1}', {"a": 1}])
async def test_a_raw_body_is_bytes_text_or_json(body):
    async with ScriptedServer([RawReply(body)]) as server:
        response = await post(server, json={"messages": [USER]})
    assert response.json() == {"a": 1}
    assert response.headers["content-type"] == "application/json"


async def test_a_raw_stream_is_sent_part_by_part():
    async with ScriptedServer([RawStream([{"a": 1}, "b", b"c", 0.001, ""], headers={"x-tea": "1"})]) as server:
        response = await post(server, json={"messages": [USER]})
    assert response.text == 'data: {"a": 1}\n\nbc'
    assert (response.headers["content-type"], response.headers["x-tea"]) == ("text/event-stream", "1")


async def test_a_cut_drops_the_connection():
    async with ScriptedServer([RawStream(["a", CUT, "b"])]) as server:
        with pytest.raises(httpx.TransportError):
            await post(server, json={"messages": [USER]})


async def test_a_reply_may_close_the_connection():
    replies = [RawReply("no", headers={"connection": "close"}), "a"]
    async with ScriptedServer(replies) as server, httpx.AsyncClient() as client:
        for _ in replies:
            response = await client.post(server.url + "/chat/completions", json={"messages": [USER]})
            assert response.status_code == 200


# ---- its life


async def test_replies_left_over_fail_the_block():
    with pytest.raises(AssertionError, match="1 of 1 scripted replies were not used; next: 'a'"):
        async with ScriptedServer(["a"]):
            pass


async def test_an_error_in_the_block_is_not_hidden_by_replies_left_over():
    with pytest.raises(KeyError):
        async with ScriptedServer(["a"]):
            raise KeyError("mine")


async def test_it_has_no_url_before_it_runs_or_after():
    server = ScriptedServer([])
    with pytest.raises(RuntimeError, match="async with ScriptedServer"):
        print(server.url)
    async with server:
        assert server.url.startswith("http://127.0.0.1:")
    with pytest.raises(RuntimeError, match="not running"):
        print(server.url)


async def test_leaving_it_ends_requests_that_still_wait():
    waiting = asyncio.Event()

    async def hang(request):
        waiting.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(20):
        async with ScriptedServer(hang) as server:
            task = asyncio.create_task(post(server, json={"messages": [USER]}))
            await waiting.wait()
        with pytest.raises(httpx.TransportError):
            await task


async def test_many_clients_at_once_are_served():
    async with ScriptedServer(lambda request: f"{request.messages[-1]['content']}!") as server:
        agent = ReactAgent(model=server.model())
        results = await asyncio.gather(*(agent.run(f"task {number}") for number in range(50)))
    assert [result.output for result in results] == [f"task {number}!" for number in range(50)]
    assert len(server.requests) == 50


async def test_its_model_takes_the_options_of_a_model():
    async with ScriptedServer([call("gone"), "a"]) as server:
        await ReactAgent(model=server.model("parrot", temperature=0.5)).run("Hi")
    assert [(request.body["model"], request.body["temperature"]) for request in server.requests] == [
        ("parrot", 0.5)
    ] * 2
