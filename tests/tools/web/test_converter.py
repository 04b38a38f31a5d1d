"""Which converter is used, and that both leave out and keep the same things."""

import sys

import html_to_markdown
import pytest

from tests.tools.web.hostile import URL, pages
from tinyagent.tools.web import converter
from tinyagent.tools.web.clean_html import clean_html
from tinyagent.tools.web.converter import convert, without_invisible
from tinyagent.tools.web.markdown import to_markdown


@pytest.fixture
def library(monkeypatch):
    """What html-to-markdown is given, and gives."""
    seen = []
    original = html_to_markdown.convert

    def watched(html, options):
        result = original(html, options)
        seen.append(html)
        return result

    monkeypatch.setattr(html_to_markdown, "convert", watched)
    return seen


@pytest.fixture(params=["html-to-markdown", "our own"])
def either(request, monkeypatch):
    """Both converters, one after the other."""
    if request.param == "our own":
        monkeypatch.setitem(sys.modules, "html_to_markdown", None)
    return request.param


PAGE = """<!doctype html><title>T &amp; U</title><base href=/docs/>
<style>p{}</style><script>var a = "</p>"</script><nav>menu</nav>
<main><h1>Head <a class=headerlink href=#h>¶</a></h1>
<p hidden>SECRET<p style="opacity: 0">SECRET<p>A <b>bold</b> &lt;tag&gt; &amp;lt; and <code>x = 1</code>,
<a href="x?a=1&copy=2">link</a>, <a href="javascript:x()">no link</a>, <img alt=picture src="data:image/png;base64,AA">.
<ul><li>one<ul><li>two</ul><li>three</ul><ol start=3><li>c</ol>
<div class=highlight-python3><pre>def f():
    return "&lt;"
</pre></div><pre><code class="language-js">let b</code></pre>
<table><tr><th>k<th>v<tr><td>a|b<td>2</table>
<blockquote>quote</blockquote></main><footer>foot</footer>"""


def test_a_page(either):
    title, text = convert(PAGE, URL)
    assert title == "T & U"
    for part in (
        "# Head\n",
        "A **bold** <tag> &lt; and `x = 1`,",
        "[link](https://example.org/docs/x?a=1&copy=2)",
        "no link",
        "![picture]",
        "- one",
        "  - two",
        "- three",
        "3. c",
        '```python3\ndef f():\n    return "<"\n```',
        "```js\nlet b\n```",
        "| k | v |\n| --- | --- |\n| a\\|b | 2 |",
        "> quote",
    ):
        assert part in text
    for part in ("SECRET", "javascript", "base64", "menu", "foot", "¶", "var a", "T & U"):
        assert part not in text


def test_html_to_markdown_is_used_when_it_is_installed(library):
    assert convert("<p>a <b>b</b>", URL) == ("", "a **b**")
    assert library == ["<p>a <b>b</b></p>"]


def test_it_is_given_nothing_that_is_hidden_or_left_out(library):
    convert(PAGE, URL)
    for part in ("SECRET", "script", "style", "javascript", "menu", "foot", "data:", "title"):
        assert part not in library[0]


@pytest.mark.parametrize(
    "page",
    [
        "<p>x" * (converter.TAGS + 1),
        "<table>" + "<tr><td>x" * (converter.TAGS // 3),  # within the limit, but not once all is closed
        "<p>" + "&amp;" * (converter.REFERENCES + 1),
        "<p>" + "word " * (converter.CHARACTERS // 5),
    ],
)
def test_pages_that_would_hold_the_interpreter_are_for_our_own(library, page):
    assert convert(page, URL)[1] == to_markdown(page, URL)[1]
    assert library == []


def test_so_are_pages_of_which_it_would_leave_out_what_lies_deep(library):
    page = "<div>" * 200 + "deep"
    assert convert(page, URL) == ("", "deep")
    assert len(library) == 1


class PanicException(BaseException):
    """As the library's Rust code raises it."""


@pytest.mark.parametrize("error", [html_to_markdown.ConversionError("x"), TypeError("x"), PanicException("x")])
def test_so_are_pages_over_which_it_stumbles(monkeypatch, error):
    def fails(html, options):
        raise error

    monkeypatch.setattr(html_to_markdown, "convert", fails)
    assert convert("<p>a", URL) == ("", "a")


def test_a_cancel_is_no_stumble(monkeypatch):
    def interrupted(html, options):
        raise KeyboardInterrupt

    monkeypatch.setattr(html_to_markdown, "convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert("<p>a", URL)


def test_characters_that_nobody_sees_are_left_out(either):
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in "ignore")
    title, text = convert(f"<title>a\u200b{tags}</title><p>b\u202ec\xadd{tags}e\x00f\x1b", URL)
    assert title == "a"
    assert text == "bcdef"


def test_characters_that_join_others_stay():
    assert without_invisible("👩\u200d💻 می\u200cخواهم\ttab\n") == "👩\u200d💻 می\u200cخواهم\ttab\n"


@pytest.mark.parametrize("page", ["", "   ", "<html></html>", "<script>x</script>", "\ufeff"])
def test_pages_without_text(either, page):
    assert convert(page, URL) == ("", "")


@pytest.mark.parametrize(
    ("page", "html"),
    [
        ("<p>a<p hidden>b<p>c<custom-tag>d</custom-tag>", "<p>a</p><p>c d</p>".replace(" ", "")),
        ("<section>a</section><center>b</center>", "<div>a</div><div>b</div>"),
        ("<a href='x\"y'>a</a><a href=#p>¶</a><a>b</a>", '<a href="https://example.org/a/x&quot;y">a</a>b'),
        ("<td colspan=3>", ""),
        ("<table><td colspan=99>a", '<table><td colspan="64">a</td></table>'),
        ("<ol><li>a</ol><ol start=4><li>b", '<ol><li>a</li></ol><ol start="4"><li>b</li></ol>'),
        ("<pre>a<b>b</b><br>c<div>d</div>e</pre>", "<pre><code>ab\nc\nd\ne</code></pre>"),
        ("<pre class=lang-x>a<code>b", '<pre><code class="language-x">ab</code></pre>'),
        ("<figure class=lang-x><pre>a", '<div><pre><code class="language-x">a</code></pre></div>'),
        ("a<br>b<hr><input type=checkbox>c<input type=checkbox checked>d<input>", "a<br>b<hr>[ ] c[x] d"),
        ("<img alt='a<b' src=x><img>", "![a&lt;b]"),
        ("<blockquote>a<footer>b</footer></blockquote>", "<blockquote>a<div>b</div></blockquote>"),
        ("<h2><button>a</button></h2><button>b</button>", "<h2>a</h2>"),
    ],
)
def test_clean_html(page, html):
    assert clean_html(page, URL)[1] == html


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title>a</title><h1>b", "a"),
        ("<h1>a <i>b</i></h1><h1>c", "a b"),
        ("<nav><h1>a</h1></nav><h1>b", "b"),
        ("<h2>a", ""),
    ],
)
def test_title_of_clean_html(page, title):
    assert clean_html(page, URL)[0] == title


@pytest.mark.parametrize("name", pages(1))
def test_hostile_pages(either, name):
    page = pages(20_000)[name]
    title, text = convert(page, URL)
    assert len(text) <= 8 * len(page) + 100
    assert len(title) <= 300
