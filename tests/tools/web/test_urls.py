"""URLs as models write them."""

import pytest

from tinyagent.tools.web.urls import unwrapped, with_scheme

URL = "https://example.org/a_(b)?q='x'&r=[1]#c"


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        " {}\n",
        "<{}>",
        '"{}"',
        "'{}'",
        "`{}`",
        "``{}``",
        "“{}”",
        "‘{}’",
        "«{}»",
        "({})",
        "[{}]",
        "**{}**",
        "[a page]({})",
        "[a page](<{}>)",
        '[a page]({} "Its title")',
        "[{0}]({0})",
        "![a picture]({})",
        "`[a page]({})`",
        '"<{}>"',
        "< {} >",
    ],
)
def test_what_stands_around_a_url_is_no_part_of_it(written):
    assert unwrapped(written.format(URL)) == URL


@pytest.mark.parametrize("url", ["", "<", "<>", "[](", "[]()", "example.org", "//example.org/", "http://[::1]/", '"'])
def test_anything_else_stays_or_becomes_nothing(url):
    assert unwrapped(url) in (url, "")


def test_hostile_text_takes_no_time():
    for text in ("[](" + " " * 100_000 + ")", "(" * 200_000 + ")" * 200_000, "[" * 300_000, "<" * 300_000):
        assert len(unwrapped(text)) <= len(text)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("example.org/x", "https://example.org/x"),
        ("<//example.org>", "https://example.org"),
        ("localhost:8000/x", "https://localhost:8000/x"),
        ("http://example.org", "http://example.org"),
        ("javascript:x()", "javascript:x()"),
    ],
)
def test_a_scheme_is_added_where_there_is_none(written, url):
    assert with_scheme(written) == url
