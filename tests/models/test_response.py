"""An HTTP response to a reply: events or JSON, by what it is rather than by what was asked for or is claimed."""

import asyncio
import json

import pytest

from tinyagent import ModelError, ReactAgent, Usage
from tinyagent.errors import MalformedReplyError, StreamInterruptedError
from tinyagent.models import response
from tinyagent.testing import CUT, RawReply, RawStream, ScriptedServer

USAGE = {"prompt_tokens": 7, "completion_tokens": 2}
JSON = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Grüße 😀"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
CHUNKS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Grüße"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": " 😀"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE},
]
EVENTS = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS) + "data: [DONE]\n\n"
TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON",
    "text/event-stream",
    "Text/Event-Stream; charset=utf-8",
    "text/plain",
    "application/octet-stream",
    "",
]


async def ask(*replies, streamed, **model):
    async with asyncio.timeout(20), ScriptedServer(replies) as server:
        agent = ReactAgent(model=server.model(**{"max_retries": 0, **model}))
        if not streamed:
            return await agent.run("Hi")
        async with agent.stream("Hi") as run:
            return await run.drain()


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def streamed(request):
    """Whether events were asked for."""
    return request.param


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_the_reply_may_be_of_the_other_kind(streamed, http):
    both = RawReply(JSON), RawReply(EVENTS, headers={"content-type": "text/event-stream"})
    result = await ask(both[not streamed], streamed=streamed, http=http)
    assert (result.output, result.usage) == ("Grüße 😀", Usage(1, 7, 2))


@pytest.mark.parametrize("content_type", [kind for kind in TYPES if "event" not in kind.lower()])
@pytest.mark.parametrize("start", ["", "\n "])
async def test_json_is_read_whatever_it_is_called(streamed, content_type, start):
    reply = RawReply(start + json.dumps(JSON), headers={"content-type": content_type})
    assert (await ask(reply, streamed=streamed)).output == "Grüße 😀"


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("start", ["", "\n", ": ping\n\n", "event: message\n"])
async def test_events_are_read_whatever_they_are_called(streamed, content_type, start):
    reply = RawReply(start + EVENTS, headers={"content-type": content_type})
    assert (await ask(reply, streamed=streamed)).output == "Grüße 😀"


@pytest.mark.parametrize("start", ["\ufeff", "id: 7\n", "retry: 9\n\n"])
async def test_events_may_begin_with_any_field_where_they_are_called_events(streamed, start):
    reply = RawReply(start + EVENTS, headers={"content-type": "text/event-stream"})
    assert (await ask(reply, streamed=streamed)).output == "Grüße 😀"


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", ""])
@pytest.mark.parametrize("cut", [1, 4, 50])
async def test_events_are_read_however_their_start_is_cut(streamed, content_type, cut):
    data = EVENTS.encode()
    reply = RawStream([data[:cut], 0.02, data[cut:]], headers={"content-type": content_type})
    assert (await ask(reply, streamed=streamed)).output == "Grüße 😀"


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", ""])
async def test_json_is_read_however_it_is_cut(streamed, content_type):
    data = json.dumps(JSON, ensure_ascii=False).encode()
    half = data.index("ü".encode()) + 1
    reply = RawStream([data[:1], 0.02, data[1:half], 0.02, data[half:]], headers={"content-type": content_type})
    assert (await ask(reply, streamed=streamed)).output == "Grüße 😀"


@pytest.mark.parametrize("content_type", ["text/html", "application/json", ""])
@pytest.mark.parametrize("body", ["<!doctype html>", "", "data", "[1]"])
async def test_anything_else_is_an_error_that_quotes_it(streamed, content_type, body):
    with pytest.raises(MalformedReplyError, match="200") as caught:
        await ask(RawReply(body, headers={"content-type": content_type}), streamed=streamed)
    assert (caught.value.status, caught.value.body) == (200, body)


async def test_events_that_are_no_json_are_an_error_that_quotes_them(streamed):
    with pytest.raises(MalformedReplyError, match="<html>") as caught:
        await ask(RawStream([CHUNKS[0], "data: <html>\n\n"]), streamed=streamed)
    assert caught.value.partial.text == "Grüße"


async def test_other_text_that_claims_to_be_events_is_an_empty_stream(streamed):
    with pytest.raises(ModelError) as caught:
        await ask(RawReply("<html>", headers={"content-type": "text/event-stream"}), streamed=streamed)
    assert isinstance(caught.value, StreamInterruptedError | MalformedReplyError)


async def test_a_body_may_be_compressed(streamed):
    import gzip

    headers = {"content-encoding": "gzip", "content-type": "text/event-stream" if streamed else "application/json"}
    body = gzip.compress(EVENTS.encode() if streamed else json.dumps(JSON).encode())
    assert (await ask(RawReply(body, headers=headers), streamed=streamed)).output == "Grüße 😀"


@pytest.mark.parametrize("rest", [[60], ["data: more\n\n", 60], [CUT], ["data: more\n\n"]])
@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_what_comes_after_done_is_no_matter(monkeypatch, rest, http):
    monkeypatch.setattr(response, "LONGEST_DRAIN", 0.05)
    result = await ask(RawStream([*CHUNKS, "data: [DONE]\n\n", *rest]), streamed=True, http=http)
    assert result.output == "Grüße 😀"


@pytest.mark.parametrize("done", ["[DONE]", "[DONE] ", " [DONE]"])
async def test_done_may_have_white_space_around_it(done):
    assert (await ask(RawStream([*CHUNKS, f"data:{done}\n\n"]), streamed=True)).output == "Grüße 😀"
