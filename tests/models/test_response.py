"""An HTTP response to a reply: events or JSON, by what it is rather than by what was asked for or is claimed."""

import asyncio
import itertools
import json

import pytest

from tinyagent import ModelError, ReactAgent, Usage
from tinyagent.errors import MalformedReplyError, StreamInterruptedError
from tinyagent.models import response
from tinyagent.models.response import EventParser
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


#: Every feature at once, with each kind of line ending, and characters of two, three and four bytes.
STREAM = (
    '\ufeff: hi\r\nevent: a\r\ndata: {"ü"\r\ndata:: "😀"}\r\n\r\n\r\ndata:€\n\ndata: x\r\rid: 1\ndata: [DONE]\n\n'
).encode()
PARSED = [("a", '{"ü"\n: "😀"}'), ("", "€"), ("", "x"), ("", "[DONE]")]


def parsed(*chunks, close=False):
    parser = EventParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + (list(parser.close()) if close else [])


def data_of(text):
    return [data for _, data in parsed(text.encode())]


def test_a_whole_stream_is_parsed():
    assert parsed(STREAM) == PARSED


def test_a_stream_cut_in_three_anywhere_is_parsed():
    for first, second in itertools.combinations(range(len(STREAM) + 1), 2):
        assert parsed(STREAM[:first], STREAM[first:second], STREAM[second:]) == PARSED


def test_a_stream_cut_between_all_bytes_is_parsed():
    assert parsed(*(bytes([byte]) for byte in STREAM)) == PARSED


def test_empty_chunks_change_nothing():
    assert parsed(*itertools.chain.from_iterable((bytes([byte]), b"") for byte in STREAM)) == PARSED


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
        (": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n", ["first event", "second event"]),
        ("data:test\n\ndata: test\n\n", ["test", "test"]),
        ("data:  third event\n\n", [" third event"]),
        ("data: a:b\n\n", ["a:b"]),
        ("data:\n\n", [""]),
        ("data: a\ndata:\ndata: b\n\n", ["a\n\nb"]),
        ("retry: 100\nid: 7\n\ndata: a\n\n", ["a"]),
        ("datax: a\nxdata: b\n data: c\n\n", []),
        ("\n\n\n", []),
        ("", []),
    ],
)
def test_fields_are_read_as_the_standard_says(text, data):
    assert data_of(text) == data


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_one(newline):
    text = "data: a\ndata: b\n\n: comment\n\ndata: c\n\ndata: d\n\n".replace("\n", newline).encode()
    assert [data for _, data in parsed(text, close=True)] == ["a\nb", "c", "d"]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1e"])
def test_other_separators_are_no_line_endings(character):
    assert data_of(f"data: a{character}b\n\n") == [f"a{character}b"]


def test_an_event_has_its_name():
    assert parsed(b"event: error\ndata: a\n\ndata: b\n\n") == [("error", "a"), ("", "b")]


def test_a_name_without_data_is_not_the_next_events():
    assert parsed(b"event: error\n\ndata: a\n\n") == [("", "a")]


def test_bytes_that_are_not_utf_8_are_replaced():
    assert parsed(b"data: a\xffb\n\n") == [("", "a\ufffdb")]


def test_an_unfinished_event_waits():
    assert parsed(b"data: a\n") == []
    assert parsed(b"data: a\n\ndata: b") == [("", "a")]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
def test_the_last_event_may_lack_its_blank_line(end):
    assert parsed(b"event: x\ndata: a" + end, close=True) == [("x", "a")]


@pytest.mark.parametrize("text", [b"", b"\n", b": ping", b"event: x", b"\r", b"\xef\xbb"])
def test_a_stream_that_ends_with_nothing_left_has_no_last_event(text):
    assert parsed(text, close=True) == []


def test_a_closed_parser_has_nothing_left():
    parser = EventParser()
    assert list(parser.feed(b"data: a")) == []
    assert list(parser.close()) == [("", "a")]
    assert list(parser.close()) == []
