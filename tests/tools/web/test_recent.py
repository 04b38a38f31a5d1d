"""What was read last."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tinyagent.tools.web.reading import Body, read
from tinyagent.tools.web.recent import Recent, key_of

PAGE = b"<title>A page</title><p>Words.<p><a href=b>There</a>"


def text(characters, name="t"):
    return name, "x" * (characters - len(name)), False


def test_a_text_is_found_again():
    recent = Recent()
    assert recent.get(b"a") is None
    recent.put(b"a", text(10))
    assert recent.get(b"a") == text(10)
    recent.put(b"a", text(20))
    assert recent.get(b"a") == text(20)


def test_those_not_asked_for_are_forgotten_first():
    recent = Recent(texts=2)
    recent.put(b"a", text(1))
    recent.put(b"b", text(1))
    recent.get(b"a")
    recent.put(b"c", text(1))
    assert [recent.get(key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]


def test_there_are_no_more_characters_than_allowed():
    recent = Recent(characters=100)
    for key in (b"a", b"b", b"c"):
        recent.put(key, text(40))
    assert [recent.get(key) is not None for key in (b"a", b"b", b"c")] == [False, True, True]
    recent.put(b"d", text(101))
    assert recent.get(b"d") is None
    assert recent.get(b"c") is not None
    recent.put(b"e", text(100))
    assert [recent.get(key) is not None for key in (b"b", b"c", b"e")] == [False, False, True]


def test_many_threads_may_use_it():
    recent = Recent(texts=8, characters=400)

    def use(number):
        key = b"%d" % (number % 20)
        recent.put(key, text(40, str(number % 20)))
        found = recent.get(key)
        return found is None or found == text(40, str(number % 20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(5_000)))


async def test_a_page_is_converted_once_for_all_its_parts():
    first = await read(Body("https://example.org/a", PAGE, "text/html"), "html", 10)
    assert await read(Body("https://example.org/a", PAGE, "text/html"), "html", 10) is first


@pytest.mark.parametrize(
    "other",
    [
        Body("https://example.com/a", PAGE, "text/html"),
        Body("https://example.org/a", PAGE + b" ", "text/html"),
        Body("https://example.org/a", PAGE, "text/html", "latin-1"),
        Body("https://example.org/a", PAGE, "text/html", truncated=True),
    ],
    ids=["address", "bytes", "charset", "cut"],
)
async def test_what_makes_another_text_is_another_page(other):
    first = await read(Body("https://example.org/a", PAGE, "text/html"), "html", 10)
    assert await read(other, "html", 10) is not first


def test_names_are_of_all_that_is_known():
    assert key_of(b"a", "b") == key_of(b"a", "b")
    assert len({key_of(b"a", "b"), key_of(b"ab"), key_of(b"a"), key_of(b"", "ab"), key_of(b"a", "b", None)}) == 5
