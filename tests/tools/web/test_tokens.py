"""The tokenizer, beside what the HTML standard says."""

import html

import pytest
from hypothesis import given, strategies as st

from tinyagent.tools.web import tokens as module
from tinyagent.tools.web.tokens import decode, decode_value, tokens


def read(page):
    """Tokens without empty attributes; neighbouring texts joined."""
    found = []
    for kind, value, attributes in tokens(page):
        if kind == "text" and found and found[-1][0] == "text":
            found[-1] = ("text", found[-1][1] + value)
        else:
            found.append((kind, value, attributes) if attributes else (kind, value))
    return found


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("a<b>c</b>", [("text", "a"), ("start", "b"), ("text", "c"), ("end", "b")]),
        ("<P CLASS=x>", [("start", "p", {"class": "x"})]),
        ("<a href = 'x y' ALT=\"z\">", [("start", "a", {"href": "x y", "alt": "z"})]),
        ("<a href=x/y/>t", [("start", "a", {"href": "x/y/"}), ("text", "t")]),
        ("<p hidden>", [("start", "p", {"hidden": ""})]),
        ("<p hidden=>x", [("start", "p", {"hidden": ""}), ("text", "x")]),
        ("<p class=a class=b>", [("start", "p", {"class": "a"})]),
        ("<p data-x=1 onclick='a>b'>c", [("start", "p"), ("text", "c")]),
        ("<br/><br / >x", [("start", "br"), ("start", "br"), ("text", "x")]),
        ("</p class=x>y", [("end", "p"), ("text", "y")]),
        ("a < b <3 <", [("text", "a < b <3 <")]),
        ("a<!-- <b> -->c<!doctype html><?php x ?>d</ x>e</>f", [("text", "acdef")]),
        ("a<!-->b<!--->c", [("text", "abc")]),
        ("<!-->a", [("text", "a")]),
        ("a<!-- never closed <b>", [("text", "a")]),
        ("a<!never closed", [("text", "a")]),
        ("a<b", [("text", "a")]),
        ("a<b class='x>y", [("text", "a")]),
        ("a<b class=x", [("text", "a")]),
        ("<p =x>y", [("start", "p"), ("text", "y")]),
    ],
)
def test_tags_and_texts(page, expected):
    assert read(page) == expected


@pytest.mark.parametrize("tag", ["script", "style", "noscript", "iframe", "textarea"])
def test_content_that_is_no_text_is_left_out(tag):
    assert read(f"a<{tag}>x<b></{tag}x></ {tag}></{tag.upper()} >c") == [
        ("text", "a"), ("start", tag), ("end", tag), ("text", "c"),
    ]  # fmt: skip
    assert read(f"a<{tag}>never closed") == [("text", "a"), ("start", tag)]


def test_a_title_is_text_whatever_is_in_it():
    assert read("<title>a <b> &amp; </title>c") == [
        ("start", "title"), ("text", "a <b> &amp; "), ("end", "title"), ("text", "c"),
    ]  # fmt: skip


def test_empty_elements_are_closed_in_xhtml_only():
    assert ("end", "script") in read('<?xml version="1.0"?><script src="x"/>text')
    assert read("<script src='x'/>text") == [("start", "script")]


def test_text_comes_in_pieces_that_keep_character_references_whole(monkeypatch):
    monkeypatch.setattr(module, "PIECE", 64)
    page = "x" * 60 + "&eacute;" + "y" * 100 + "&" * 200
    pieces = [value for _, value, _ in tokens(page)]
    assert "".join(pieces) == page
    assert len(pieces) > 3
    assert "".join(map(decode, pieces)) == "x" * 60 + "é" + "y" * 100 + "&" * 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&lt;&gt;&amp;&quot;&#39;", "<>&\"'"),
        ("&amp;lt;", "&lt;"),  # once
        ("&eacute;&#233;&#xE9;&#XE9;", "éééé"),
        ("&nbsp;", "\xa0"),
        ("&copy 2026 &notit;", "© 2026 ¬it;"),
        ("&zzz; & &; &#; &#x;", "&zzz; & &; &#; &#x;"),
        ("&#0;&#x110000;&#xD800;", "\ufffd\ufffd\ufffd"),
        ("&#128;", "€"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
    ],
)
def test_character_references(text, expected):
    assert decode(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("?a=1&copy=2&lt=3&notx", "?a=1&copy=2&lt=3&notx"),
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("a&#32;b&copy;&lt", "a b©<"),
    ],
)
def test_references_in_attributes_leave_urls_alone(value, expected):
    assert decode_value(value) == expected
    assert next(tokens(f'<a href="{value}">'))[2]["href"] == expected


@given(st.text("<>/!-?\"'= abp&;#x1\n\t\0é", max_size=60))
def test_any_text_is_read(page):
    for kind, value, attributes in tokens(page):
        assert kind in {"start", "end", "text"}
        assert value
        assert isinstance(attributes, dict)


@given(st.text(max_size=80).filter(lambda text: "\r" not in text))
def test_escaped_text_comes_back(text):
    page = "<p>" + html.escape(text) + "</p>"
    assert "".join(decode(value) for kind, value, _ in tokens(page) if kind == "text") == text
