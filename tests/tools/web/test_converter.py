"""Which converter is used, and that both leave out and keep the same things."""

import sys

import html_to_markdown
import pytest
from hypothesis import given, strategies as st

from tests.tools.web.hostile import URL, pages
from tinyagent.tools.web import converter
from tinyagent.tools.web.clean_html import UnfitPageError, clean_html
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


# -- superscripts


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>10<sup>6</sup>, 5 m<sup>2</sup></p>", "10^6, 5 m^2"),
        ("1.6×10<sup>−19</sup> 10<sup>-3</sup> 10<sup>+2</sup>", "1.6×10^−19 10^-3 10^+2"),
        ("x<sup>n+1</sup>y Cl<sup>−</sup>", "x^n+1y Cl^−"),
        ("x<sup>1<span>0</span></sup>y<sup></sup>2", "x^10y2"),
        ("<i>x</i><sup>2</sup>, (<b>y</b>)<sup>2</sup>", "*x*^2, (**y**)^2"),
        ("<i>e</i><sup>−<i>x</i></sup>", "*e*^−*x*"),
        ("a<sup><sup>b</sup></sup>c", "a^bc"),
        ("a<sup>(1)</sup> a<sup>®</sup> a<sup>- b</sup>", "a(1) a® a- b"),
        ("a <sup>1</sup> a<sup> 1</sup> a<br><sup>1</sup>", "a 1 a 1 a  \n1"),
        ("<p>a</p><sup>1</sup>b", "a\n\n1b"),
        ("<sup>13</sup>C [<sup>13</sup>C]", "13C [13C]"),
        ('a<sup><a href="#c"><span>[</span>2<span>]</span></a></sup> b', "a[2] b"),
        ('a<sup><a href="#c">2</a></sup> b', "a2 b"),
        ("a<sup>[<a href=#c>2</a>]</sup> b", "a[2] b"),
        ("<a href=/x>m<sup>2</sup></a>", "[m^2](https://example.org/x)"),
        ("<a href=/x>m</a><sup>2</sup>", "[m](https://example.org/x)^2"),
        ("m<sup><a href=/x>2</a></sup>", "m[2](https://example.org/x)"),
        ("m<a href=/x><sup>2</sup></a>", "m[2](https://example.org/x)"),
        ("<h2>m<sup>2</sup></h2>", "## m^2"),
    ],
)
def test_superscripts(either, page, text):
    assert convert(page, URL)[1] == text


def test_a_superscript_in_the_title(either):
    assert convert("<h1>E = mc<sup>2</sup></h1>", URL)[0] == "E = mc^2"


# -- tables


def table(*rows):
    return "<table>" + "".join(f"<tr>{row}" for row in rows) + "</table>"


def lines(*rows):
    return "\n".join((rows[0], "|" + " --- |" * (rows[0].count("|") - 1), *rows[1:]))


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            table("<th>Year<th>Event<th>Winner", "<td rowspan=2>2019<td>100 m<td>Anna", "<td>200 m<td>Bea"),
            lines("| Year | Event | Winner |", "| 2019 | 100 m | Anna |", "|  | 200 m | Bea |"),
        ),
        (
            table("<th>a<th>b<th>c", "<td>1<td rowspan=3>2<td>3", "<td>4<td>5", "<td>6<td>7", "<td>8<td>9<td>0"),
            lines("| a | b | c |", "| 1 | 2 | 3 |", "| 4 |  | 5 |", "| 6 |  | 7 |", "| 8 | 9 | 0 |"),
        ),
        (
            table("<th rowspan=2>a<th colspan=2>b", "<th>c<th>d", "<td>1<td>2<td>3"),
            lines("| a | b |  |", "|  | c | d |", "| 1 | 2 | 3 |"),
        ),
        (
            table("<td colspan=2 rowspan=2>a<td>b", "<td>c", "<td>d<td>e<td>f"),
            lines("| a |  | b |", "|  |  | c |", "| d | e | f |"),
        ),
        (
            table("<td rowspan=3>a<td rowspan=2>b<td>c", "<td>d", "<td>e<td>f"),
            lines("| a | b | c |", "|  |  | d |", "|  | e | f |"),
        ),
        (
            "<table><thead><tr><th rowspan=9>a<th>b<tbody><tr><td>c<td>d<tr><td rowspan=0>e<td>f<tr><td>g</table>",
            lines("| a | b |", "| c | d |", "| e | f |", "|  | g |"),
        ),
        (table("<td rowspan=1>a<td rowspan=x>b", "<td>c<td>d"), lines("| a | b |", "| c | d |")),
    ],
)
def test_cells_over_several_rows(either, page, text):
    assert convert(page, URL)[1] == text


def test_cells_over_several_rows_of_a_long_table(either):
    rows = "".join(f"<tr><td rowspan=2>{n}<td>a<tr><td>b" for n in range(200))
    found = convert(f"<table><tr><th>x<th>y{rows}</table>", URL)[1].splitlines()
    assert found[2:] == [line for n in range(200) for line in (f"| {n} | a |", "|  | b |")]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (table("<td><pre>a</pre><td>b"), lines("| `a` | b |")),
        (table("<td><pre>a\nb</pre><td>c"), "```\na\nb\n```\n\nc"),
        (table("<td><h2>a</h2><td>b"), lines("| ## a | b |")),
        (table("<td>a<td>" + table("<td>1<td>2")), "a\n\n" + lines("| 1 | 2 |")),
        (table("<td>a<td><ul><li>b<li>c</ul>"), lines("| a | - b<br>- c |")),
        (table("<td>a<td><ol><li>b<li>c</ol>"), lines("| a | 1. b<br>2. c |")),
        ("<table role=presentation><tr><td>a<td>b</table>", "a\n\nb"),
        ("<table role=none><tr><td><p>a<p>b<td>c</table>", "a\n\nb\n\nc"),
        ("<ol><li value=5>a<li>b</ol>", "5. a\n6. b"),
    ],
)
def test_what_would_be_flattened_is_for_our_own(either, library, page, text):
    assert convert(page, URL)[1] == text
    assert library == []


@pytest.mark.parametrize(
    "page",
    [
        "<table><tr><td>a<td>b</table><ul><li>c</ul><h2>d</h2><pre>e</pre>" + table("<td>1<td>2"),
        "<ul><li value=x>a</ul>",
        table("<td rowspan=1 colspan=2>a"),
        "<div hidden>" + table("<td><ul><li>a</ul>") + "</div><p>b",
    ],
)
def test_other_tables_and_lists_are_not(library, page):
    convert(page, URL)
    assert len(library) == 1


def test_clean_html_is_given_up_at_once():
    with pytest.raises(UnfitPageError):
        clean_html("<table><tr><td><pre>a</pre>", URL)


# -- what is seen


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<div role=tabpanel>a</div><div role=tabpanel hidden>b</div>", "a\n\nb"),
        ("<div role=tab hidden>a</div><div role=tabpanel aria-hidden=true hidden>b</div>c", "c"),
        ("<div role=tabpanel hidden style='display:none'>a</div>b", "b"),
        ("<button aria-expanded=false>Why?</button><div>So.</div>", "Why?\n\nSo."),
        ("<button aria-controls=a>Python</button><button aria-controls=b>Rust</button>", "Python\n\nRust"),
        ("<h3><button aria-expanded=true>Why?</button></h3>So.", "### Why?\n\nSo."),
        ("<button aria-expanded=true hidden>a</button><button>b</button>c", "c"),
        (table("<td style='width:0'>a<td style='max-width:0;height:0px'>b"), lines("| a | b |")),
        ("<table><tr style='height:0'><th style=width:0>a<td>b</table>", lines("| a | b |")),
        (table("<td style='width:0;display:none'>a<td>b<td style='font-size:0'>c<td>d"), lines("| b | d |")),
    ],
)
def test_what_is_seen(either, page, text):
    assert convert(page, URL)[1] == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>日本の\n首都は、\n\t東京です。", "日本の首都は、東京です。"),
        ("<pre>日本の\n首都</pre>", "```\n日本の\n首都\n```"),
        ("<p>日本の 首都", "日本の 首都"),
    ],
)
def test_line_ends_between_scripts_without_spaces_are_none(either, page, text):
    assert convert(page, URL)[1] == text


@pytest.mark.parametrize("page", ["<p>日本の\nTokyo", "<p>café\nbar", "<p>한국어\n문서"])
def test_other_line_ends_are(either, page):
    assert convert(page, URL)[1].split() == page.removeprefix("<p>").split()


@given(st.lists(st.sampled_from([
    "<table>", "</table>", "<tr>", "<td>", "<th>", "<td rowspan=2>", "<td rowspan=0>", "<td colspan=2 rowspan=3>",
    "<tbody>", "<caption>", "<sup>", "</sup>", "<a href=x>", "<a href=#x>", "</a>", "<pre>", "</pre>", "<b>", "</b>",
    "<button aria-expanded=true>", "</button>", "<h1>", "</h1>", "<ul>", "<li>", "<li value=3>", "2", "[", "-", " ",
]), max_size=40).map("".join))  # fmt: skip
def test_any_order_of_tags_is_read(page):
    title, text = convert(page, URL)
    assert isinstance(title, str)
    for html in ("<t", "<s", "<a", "<u", "<l"):
        assert html not in text


@pytest.mark.parametrize("name", pages(1))
def test_hostile_pages(either, name):
    page = pages(20_000)[name]
    title, text = convert(page, URL)
    assert len(text) <= 8 * len(page) + 100
    assert len(title) <= 300
