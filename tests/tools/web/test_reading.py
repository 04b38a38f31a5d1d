"""The texts that were read last."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tinyagent.tools.http import Fetched
from tinyagent.tools.web import reading
from tinyagent.tools.web.reading import read

PAGE = b"<title>A page</title><p>Words.<p><a href=b>There</a>"


@pytest.fixture(autouse=True)
def _recent(monkeypatch):
    monkeypatch.setattr(reading, "_recent", {})


def fetched(**fields):
    url, headers = "https://example.org/a", {"content-type": "text/html"}
    return Fetched(**{"url": url, "status": 200, "headers": headers, "content": PAGE, **fields})


def text(characters):
    return "t", "x" * characters, False


def test_the_oldest_are_forgotten_first(monkeypatch):
    monkeypatch.setattr(reading, "_MOST_TEXTS", 2)
    for key in "abc":
        reading._remember((key,), text(1))
    assert list(reading._recent) == [("b",), ("c",)]


def test_there_are_no_more_characters_than_allowed(monkeypatch):
    monkeypatch.setattr(reading, "_MOST_CHARACTERS", 100)
    for key in "abc":
        reading._remember((key,), text(50))
    assert list(reading._recent) == [("b",), ("c",)]
    reading._remember(("d",), text(101))
    assert not reading._recent


def test_many_threads_may_remember(monkeypatch):
    monkeypatch.setattr(reading, "_MOST_TEXTS", 8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: reading._remember((number % 20,), text(1)), range(5_000)))
    assert len(reading._recent) <= 8


async def test_a_page_is_converted_once_for_all_its_parts():
    first = await read(fetched(), "html", 10)
    assert await read(fetched(), "html", 10) is first


@pytest.mark.parametrize(
    "other",
    [
        fetched(url="https://example.com/a"),
        fetched(content=PAGE + b" "),
        fetched(headers={"content-type": "text/html; charset=latin-1"}),
        fetched(truncated=True),
    ],
    ids=["address", "bytes", "charset", "cut"],
)
async def test_what_makes_another_text_is_another_page(other):
    first = await read(fetched(), "html", 10)
    assert await read(other, "html", 10) is not first
