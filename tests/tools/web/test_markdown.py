"""Pages as markdown: what is kept, and how it is written."""

import pytest
from hypothesis import given, strategies as st

from tests.tools.web.hostile import URL, pages
from tinyagent.tools.web.markdown import to_markdown


def text(page):
    return to_markdown(page, URL)[1]


def title(page):
    return to_markdown(page, URL)[0]


CASES = {
    # text
    "one  two\n three": "one two three",
    "<p>a<p>b</p>c": "a\n\nb\n\nc",
    "<div>a<div>b</div>c</div>": "a\n\nb\n\nc",
    "a<span>b</span> c": "ab c",
    "a<br>b": "a  \nb",
    "a<br> <br>b": "a\n\nb",
    "<p>a</br>b": "a  \nb",
    "a&nbsp;b &lt;c&gt; &amp;lt;": "a b <c> &lt;",
    "<p>a<hr>b": "a\n\n---\n\nb",
    "<h1>A</h1><h2>B <small>c</small></h2><h6>D": "# A\n\n## B c\n\n###### D",
    "<h2>a<br>b</h3>c": "## a b\n\nc",
    "<h2></h2>a": "a",
    "10<sup>6</sup> and<sup><a href=#n>[1]</a></sup>": "10^6 and[1]",
    "<q>a</q>": "“a”",
    "<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>": "漢(kan)",
    "<details><summary>s</summary>t</details>": "s\n\nt",
    # emphasis and code
    "<b>a</b> <i>b</i> <s>c</s> <strong><em>d</em></strong>": "**a** *b* ~~c~~ ***d***",
    "<b> a </b>b": "**a** b",
    "x<b>y</b>z": "x**y**z",
    "<b>a<i>b</b>c</i>": "**a*b****c*",
    "<b><b>a</b>b</b>c": "**ab**c",
    "<b><p>a</b>b<p>c": "**a**b\n\nc",
    "<b></b>a": "a",
    "<code>a</code> <kbd>b</kbd><code>c</code>": "`a` `bc`",
    "<code>a</code>, <code>b</code>": "`a`, `b`",
    "<code>a`b</code>": "``a`b``",
    "<code>`a</code>": "`` `a ``",
    "<code><b>a</b>b</code>": "`ab`",
    # links and images
    "<a href=x>a</a>": "[a](https://example.org/a/x)",
    "<a href=/x>a</a>": "[a](https://example.org/x)",
    "<a href='?q=1&copy=2'>a</a>": "[a](https://example.org/a/b.html?q=1&copy=2)",
    "<a href=//h.example/x>a</a>": "[a](https://h.example/x)",
    "<a href=mailto:a@b.example>a</a>": "[a](mailto:a@b.example)",
    "<a href=' x y\n'>a</a>": "[a](https://example.org/a/x%20y)",
    "<a href='x(y)'>a</a>": "[a](https://example.org/a/x(y))",
    "<a href='x(y'>a</a>": "[a](https://example.org/a/x%28y)",
    "<a href='x<y>'>a</a>": "[a](https://example.org/a/x%3Cy%3E)",
    "<a href=#x>a</a><a>b</a><a href=''>c</a>": "abc",
    "<a href='javascript:x()'>a</a><a href='java\nscript:x'>b</a><a href='data:text/html,x'>c</a>": "abc",
    "<a href='JAVASCRIPT:x()'>a</a><a href='\x01vbscript:x'>b</a><a href='http://['>c</a>": "abc",
    f"<a href='/{'x' * 5000}'>a</a>": "a",
    "<a href=x>a<a href=y>b</a>c": "[a](https://example.org/a/x)[b](https://example.org/a/y)c",
    "<a href=x><b>a</b> b</a>": "[**a** b](https://example.org/a/x)",
    "<a href=x><h2>a</h2><p>b</a>c": "## [a](https://example.org/a/x)\n\n[b](https://example.org/a/x)c",
    "<a href=x></a>a": "a",
    "<h2>a<a href=#a>¶</a></h2>": "## a",
    "<base href=/docs/><base href=/no/><a href=x>a</a>": "[a](https://example.org/docs/x)",
    "<base href='data:x'><a href=x>a</a>": "[a](https://example.org/a/x)",
    "<img alt='a\n b' src=x>c<img src=y><img alt=''>": "![a b]c",
    "<a href=x><img alt=a></a>": "[![a]](https://example.org/a/x)",
    "<img alt=a src='data:image/png;base64,AAAA'>": "![a]",
    # lists
    "<ul><li>a<li>b</ul>": "- a\n- b",
    "a<ul><li>b</ul>c": "a\n\n- b\n\nc",
    "<ol><li>a<li value=5>b<li>c</ol>": "1. a\n5. b\n6. c",
    "<ol start=9><li>a<li>b<p>c</ol>": "9. a\n\n10. b\n\n    c",
    "<ol start=x><li>a</ol>": "1. a",
    "<ul><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ul>": "- a\n  - b\n    1. c\n- d",
    "<ul><li><p>a</p><p>b</p></li><li>c</ul>": "- a\n\n  b\n\n- c",
    "<ul><ul><li>a</ul></ul>": "- a",
    "<ul><li><ul><li>a</ul></ul>": "- \n  - a",
    "<ul><li></ul>a": "a",
    "<li>a<li>b": "- a\n\n- b",
    "<ul><li><input type=checkbox checked>a<li><input type=checkbox>b<li><input>c</ul>": "- [x] a\n- [ ] b\n- c",
    "<dl><dt>a<dd>b<dd>c<p>d<dt>e<dd>f</dl>": "a\n\n: b\n\n: c\n\nd\n\ne\n\n: f",
    "<dl><dt>a<dd><p>b<p>c<dd><ul><li>d</ul><dd><pre>e</pre></dl>": "a\n\n: b\n\nc\n\n- d\n\n```\ne\n```",
    "<div><li><p>a<p>b</div>": "- a\n\nb",
    # quotes
    "<blockquote>a<p>b<ul><li>c</ul></blockquote>d": "> a\n>\n> b\n>\n> - c\n\nd",
    "<blockquote>a</blockquote><blockquote>b</blockquote>": "> a\n\n> b",
    "<blockquote>a<blockquote>b<br>c</blockquote></blockquote>": "> a\n>\n> > b  \n> > c",
    "<ul><li>a<blockquote>b</blockquote></ul>": "- a\n  > b",
    "<blockquote>a<footer>who</footer></blockquote>": "> a\n>\n> who",
    "<blockquote>a</blockquote><blockquote><pre>b</pre></blockquote>": "> a\n\n> ```\n> b\n> ```",
    # code
    "<pre>\na  b\n  <b>c</b> &lt;d\n</pre>": "```\na  b\n  c <d\n```",
    "<pre><code class='x language-py'>a</code></pre>": "```py\na\n```",
    "<pre class=lang-js>a</pre>": "```js\na\n```",
    "<pre class='brush: ruby'>a</pre>": "```ruby\na\n```",
    "<pre data-lang=c++>a</pre>": "```c++\na\n```",
    "<div class='highlight-python3 notranslate'><div class=highlight><pre>a</pre></div></div>": "```python3\na\n```",
    "<div class=highlight-default><pre>a</pre></div>": "```\na\n```",
    "<pre>a\n```\nb</pre>": "````\na\n```\nb\n````",
    "<pre>a<br>b<div>c</div><div>d</div>e</pre>": "```\na\nb\nc\nd\ne\n```",
    "<pre>a\n\n\nb</pre>": "```\na\n\n\nb\n```",
    "<pre>a<pre>b</pre>c</pre>d": "```\na\nb\nc\n```\n\nd",
    "<pre> \n</pre>a": "a",
    "<ul><li>a<pre>b\n\nc</pre></ul>": "- a\n  ```\n  b\n  \n  c\n  ```",
    "<xmp><b></xmp>": "```\n<b>\n```",
    # tables
    "<table><tr><th>a<th>b<tr><td>1<td>2</table>": "| a | b |\n| --- | --- |\n| 1 | 2 |",
    "<table><tr><td>a|b<td>c<br>d<tr><td><p>e<p>f<td><code>|</code></table>": (
        "| a\\|b | c<br>d |\n| --- | --- |\n| e<br>f | `\\|` |"
    ),
    "<table><thead><tr><th>a<th>b<tbody><tr><td colspan=2>c<tr><td>d</table>": (
        "| a | b |\n| --- | --- |\n| c |  |\n| d |  |"
    ),
    "<table><caption>t</caption><tr><td>a<td>b</table>c": "t\n\n| a | b |\n| --- | --- |\n\nc",
    "<table><tr><td>a<td><ul><li>b<li>c</ul></table>": "| a | - b<br>- c |\n| --- | --- |",
    "<table><tr><td>a<td>b<tr></table>": "| a | b |\n| --- | --- |",
    "<table><td>a<td>b</table>": "| a | b |\n| --- | --- |",
    "<table><tr><th>a</table>": "| a |\n| --- |",
    "<table><tr><td>a<p>b<tr><td>c</table>": "a\n\nb\n\nc",  # one column: it arranges
    "<table><tr><td>a<td><table><tr><td>1<td>2</table><td>b</table>": "a\n\n| 1 | 2 |\n| --- | --- |\n\nb",
    "<table role=presentation><tr><td>a<td>b</table>": "a\n\nb",
    "<table><tr><td><pre>a</pre><td>b<tr><td>c<td><pre>`|</pre></table>": (
        "| `a` | b |\n| --- | --- |\n| c | `` `\\| `` |"
    ),
    "<table><tr><td><pre>a\nb</pre><td>c</table>": "```\na\nb\n```\n\nc",
    "<table><tr><td><pre>a</pre></table>": "```\na\n```",
    "<table role=none><tr><td><pre>a</pre><td>b</table>": "```\na\n```\n\nb",
    "<table><tr><td>" + "x " * 1500 + "<td>b</table>": "x " * 1499 + "x\n\nb",
    "<blockquote>a<table><tr><td>b<td>c</table></blockquote>": "> a\n>\n> | b | c |\n> | --- | --- |",
    "<blockquote>a</blockquote><blockquote><table><tr><td>b<td>c</table></blockquote>": (
        "> a\n\n> | b | c |\n> | --- | --- |"
    ),
    "<table></table><td>a<tr>b": "ab",
    "<table><tr><td>a</div></p></ul></table>b": "a\n\nb",
    "<pre><table><tr><td>a</table></pre>": "```\na\n```",
    # what nobody sees
    "a<script>b</script><style>c</style><!-- d --><template>e</template><noscript>f</noscript>g": "ag",
    "a<svg><title>b</title><text>c</text></svg><select><option>d</select>e": "ae",
    "a<textarea>b</textarea><button>c</button>d": "ad",
    "<h3><button>a</button></h3>": "### a",
    "a<p hidden>b<p>c": "a\n\nc",
    "a<span aria-hidden=TRUE>b</span>c": "ac",
    "<p hidden><p>a": "a",
    "<div hidden>a<div>b</div>c<br><img alt=d></div>e": "e",
    "<img alt=a hidden>b": "b",
    "<dialog>a</dialog><dialog open>b</dialog>": "b",
    "<body style='display:none'>a": "a",
    "<div>a": "a",
}


@pytest.mark.parametrize("page", CASES, ids=lambda page: page[:60])
def test_markdown(page):
    assert text(page) == CASES[page]


@pytest.mark.parametrize(
    "style",
    [
        "display:none", "color:red; DISPLAY : None !important", "dis/**/play:none", "visibility:hidden", "opacity:0",
        "opacity: 0.0;", "font-size:0", "font-size:0px;color:red", "width:0;height:0;overflow:hidden", "max-height:0px",
        "position:absolute;left:-9999px", "top:-999em", "text-indent:-9999px", "clip:rect(0,0,0,0)",
        "clip-path:inset(50%)", "transform:scale(0)", "x:" + "y" * 20_000, "content-visibility:hidden",
    ],
)  # fmt: skip
def test_text_is_left_out_that_its_style_hides(style):
    assert text(f"a<span style='{style}'>secret</span>b") == "ab"


def test_style_is_decoded_before_it_is_looked_at():
    assert text('a<p style="display&#58;none">secret</p>') == "a"


@pytest.mark.parametrize(
    "style", ["color:red", "font-size:0.9em", "opacity:0.5", "min-width:0", "border-width:0", "left:-1px"]
)
def test_text_stays_that_other_styles_show(style):
    assert text(f"a<span style='{style}'>b</span>") == "ab"


def test_chrome_is_left_out():
    page = (
        "<header><h1>Site</h1></header><nav>menu</nav><div role=navigation>more menu</div><p>" + "text " * 50
        + "<aside>ads</aside><aside class='admonition note'>mind</aside><form>search</form><div role=search>find</div>"
        "<footer>imprint</footer>"
    )  # fmt: skip
    found = text(page)
    assert found.startswith("# Site\n\ntext")
    assert found.endswith("mind")
    for word in ("menu", "ads", "search", "find", "imprint"):
        assert word not in found


def test_chrome_stays_where_it_is_most_of_the_page():
    links = "".join(f"<a href={n}>story {n}</a> " for n in range(50))
    assert "story 7" in text(f"<nav>{links}</nav><p>welcome")


def test_a_form_around_the_page_is_no_form_and_its_navigation_is_still_left_out():
    assert text("<form><nav>menu</nav><p>" + "text " * 50 + "</form>") == ("text " * 50).strip()


def test_the_main_part_stands_for_the_page():
    around = "<p>" + "around " * 30
    main = "<h1>Main</h1><p>" + "words " * 30
    expected = "# Main\n\n" + ("words " * 30).strip()
    assert text(f"{around}<main>{main}</main>{around}") == expected
    assert text(f"{around}<div role=main>{main}</div>") == expected
    assert text(f"{around}<article>{main}</article>") == expected
    assert text(f"{around}<div itemprop=articleBody>{main}</div>") == expected
    assert text(f"{around}<main>{around}<article>{main}</article></main>").startswith("around")


def test_all_articles_stay():
    assert text("<p>around</p><article>one one one</article><article>two</article>") == "one one one\n\ntwo"


def test_a_main_part_with_next_to_nothing_in_it_does_not_stand_for_the_page():
    page = "<main>Loading</main><p>" + "text " * 50
    assert text(page).startswith("Loading\n\ntext")


def test_a_quote_out_of_which_something_is_left_is_one_quote():
    assert text("<blockquote>a<nav>b</nav><p>c</blockquote>") == "> a\n>\n> c"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<title> A &amp;amp;\n B </title><h1>C</h1>", "A &amp; B"),
        ("<title></title><meta property=og:title content='A &amp; B'><h1>C</h1>", "A & B"),
        ("<meta name=og:title content=A>", "A"),
        ("<nav><h1>no</h1></nav><h1>A <b>B</b></h1><h1>C</h1>", "A B"),
        ("<svg><title>no</title></svg><title>A</title><title>B</title>", "A"),
        ("<title>" + "x" * 5000 + "</title>", "x" * 300),
        ("<p>a", ""),
    ],
)
def test_title(page, expected):
    assert title(page) == expected


def test_deep_elements_are_read_though_not_told_apart():
    deep = "<div>" * 3000 + "<b>x</b><p hidden>secret<p hidden>more</p></p><p>y" + "</div>" * 3000 + "<p>after"
    assert text(deep) == "x\n\ny\n\nafter"


def test_nested_lists_do_not_make_the_page_grow():
    found = text("<ul><li>x" * 500)
    assert found.count("x") == 500
    assert len(found) < 500 * 40


def test_a_long_table_is_written_row_by_row():
    rows = "".join(f"<tr><td>{n}<td>{n + 1}" for n in range(1000))
    lines = text(f"<table><tr><th>a<th>b{rows}<tr><td><table><tr><td>in<td>ner</table><td>z</table>").splitlines()
    assert lines[:3] == ["| a | b |", "| --- | --- |", "| 0 | 1 |"]
    assert lines[1001] == "| 999 | 1000 |"
    assert len(lines) == 1003
    assert "in" in lines[1002]


def test_wide_tables_keep_their_cells_and_do_not_make_the_page_grow():
    page = "<table><tr>" + "<td colspan=1000>x" * 3000 + "<tr><td>y</table>"
    found = text(page)
    assert (found.count("x"), found.count("y")) == (3000, 1)
    assert len(found) < len(page)


@pytest.mark.parametrize(
    "page",
    [
        "<table>" + "<tr><td rowspan=1000000>x" * 3000,
        "<table><tr>" + "<td rowspan=1000000>x" * 3000 + "<tr><td>y" * 10,
        "<table><tr><td>" + "<td colspan=60 rowspan=60000>x<tr><td>y" * 1000,
    ],
)
def test_cells_that_reach_far_down_keep_their_text_and_do_not_make_the_page_grow(page):
    found = text(page)
    assert (found.count("x"), found.count("y")) == (page.count(">x"), page.count(">y"))
    assert len(found) < 8 * len(page)


def test_a_table_that_would_be_mostly_empty_is_read_as_if_it_were_none():
    page = "<table><tr>" + "<td rowspan=1000000>x" * 3000 + "<tr><td>y" * 1000
    found = text(page)
    assert (found.count("x"), found.count("y"), found.count("|")) == (3000, 1000, 0)


def test_cells_that_arrange_the_page_are_not_counted():
    assert text("<table role=none><tr><td rowspan=2>a<td>b<tr><td>c</table>") == "a\n\nb\n\nc"


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


def test_a_page():
    title, text = to_markdown(PAGE, URL)
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


def test_characters_that_nobody_sees_are_left_out():
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in "ignore")
    title, text = to_markdown(f"<title>a\u200b{tags}</title><p>b\u202ec\xadd{tags}e\x00f\x1b", URL)
    assert title == "a"
    assert text == "bcdef"


def test_characters_that_join_others_stay():
    joined = "👩\u200d💻 می\u200cخواهم"
    assert text(f"<p>{joined}") == joined


@pytest.mark.parametrize("page", ["", "   ", "<html></html>", "<script>x</script>", "\ufeff"])
def test_pages_without_text(page):
    assert to_markdown(page, URL) == ("", "")


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
def test_superscripts(page, text):
    assert to_markdown(page, URL)[1] == text


def test_a_superscript_in_the_title():
    assert to_markdown("<h1>E = mc<sup>2</sup></h1>", URL)[0] == "E = mc^2"


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
def test_cells_over_several_rows(page, text):
    assert to_markdown(page, URL)[1] == text


def test_cells_over_several_rows_of_a_long_table():
    rows = "".join(f"<tr><td rowspan=2>{n}<td>a<tr><td>b" for n in range(200))
    found = to_markdown(f"<table><tr><th>x<th>y{rows}</table>", URL)[1].splitlines()
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
def test_what_cells_and_lists_hold_is_not_flattened(page, text):
    assert to_markdown(page, URL)[1] == text


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
def test_what_is_seen(page, text):
    assert to_markdown(page, URL)[1] == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>日本の\n首都は、\n\t東京です。", "日本の首都は、東京です。"),
        ("<pre>日本の\n首都</pre>", "```\n日本の\n首都\n```"),
        ("<p>日本の 首都", "日本の 首都"),
    ],
)
def test_line_ends_between_scripts_without_spaces_are_none(page, text):
    assert to_markdown(page, URL)[1] == text


@pytest.mark.parametrize("page", ["<p>日本の\nTokyo", "<p>café\nbar", "<p>한국어\n문서"])
def test_other_line_ends_are(page):
    assert to_markdown(page, URL)[1].split() == page.removeprefix("<p>").split()


@pytest.mark.parametrize("name", pages(1))
def test_hostile_pages(name):
    page = pages(20_000)[name]
    found_title, found = to_markdown(page, URL)
    assert len(found) <= 8 * len(page) + 100
    assert len(found_title) <= 300


@given(st.lists(st.sampled_from([
    "<p>", "</p>", "<b>", "</b>", "<i>", "</i>", "<a href=x>", "</a>", "<ul>", "</ul>", "<ol>", "</ol>", "<li>", "<td>",
    "<table>", "</table>", "<tr>", "</tr>", "<pre>", "</pre>", "<code>", "</code>", "<blockquote>", "</blockquote>",
    "<h1>", "</h1>", "<div hidden>", "<div>", "</div>", "<nav>", "</nav>", "<main>", "</main>", "<dl>", "<dt>", "<dd>",
    "</dl>", "<br>", "<hr>", "<button>", "</button>", "<sup>", "</sup>", "<q>", "</q>", "<title>", "</title>", "<svg>",
    "</svg>", "<caption>", "word", " ",
]), max_size=40).map("".join))  # fmt: skip
def test_any_order_of_tags_is_read(page):
    found_title, found = to_markdown(page, URL)
    assert isinstance(found_title, str)
    assert "<" not in found.replace("<br>", "")


@given(st.lists(st.sampled_from([
    "<table>", "</table>", "<tr>", "<td>", "<th>", "<td rowspan=2>", "<td rowspan=0>", "<td colspan=2 rowspan=3>",
    "<tbody>", "<caption>", "<sup>", "</sup>", "<a href=x>", "<a href=#x>", "</a>", "<pre>", "</pre>", "<b>", "</b>",
    "<button aria-expanded=true>", "</button>", "<h1>", "</h1>", "<ul>", "<li>", "<li value=3>", "2", "[", "-", " ",
]), max_size=40).map("".join))  # fmt: skip
def test_tables_and_superscripts_in_any_order_are_read(page):
    title, text = to_markdown(page, URL)
    assert isinstance(title, str)
    for html in ("<t", "<s", "<a", "<u", "<l"):
        assert html not in text
