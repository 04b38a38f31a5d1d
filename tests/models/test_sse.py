"""Server-sent events: the format of the WHATWG HTML standard, however the bytes are cut."""

import itertools

import pytest

from tinyagent.models.sse import EventParser

#: Every feature at once, with each kind of line ending, and characters of two, three and four bytes.
STREAM = (
    '\ufeff: hi\r\nevent: a\r\ndata: {"ü"\r\ndata:: "😀"}\r\n\r\n\r\ndata:€\n\ndata: x\r\rid: 1\ndata: [DONE]\n\n'
).encode()
EVENTS = [("a", '{"ü"\n: "😀"}'), ("", "€"), ("", "x"), ("", "[DONE]")]


def parsed(*chunks, close=False):
    parser = EventParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + (list(parser.close()) if close else [])


def data_of(text):
    return [data for _, data in parsed(text.encode())]


def test_a_whole_stream_is_parsed():
    assert parsed(STREAM) == EVENTS


def test_a_stream_cut_in_three_anywhere_is_parsed():
    for first, second in itertools.combinations(range(len(STREAM) + 1), 2):
        assert parsed(STREAM[:first], STREAM[first:second], STREAM[second:]) == EVENTS


def test_a_stream_cut_between_all_bytes_is_parsed():
    assert parsed(*(bytes([byte]) for byte in STREAM)) == EVENTS


def test_empty_chunks_change_nothing():
    assert parsed(*itertools.chain.from_iterable((bytes([byte]), b"") for byte in STREAM)) == EVENTS


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
