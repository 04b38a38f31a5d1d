"""Our own converter: what of a page is kept, and how it is written."""

import pytest
from hypothesis import given, strategies as st

from tests.tools.web.hostile import URL, pages
from tinyagent.tools.web.markdown import title_of, to_markdown


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
    "<p>a</br>b": "a\n\nb",
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
    "<b>a<i>b</b>c</i>": "**a*b***c",
    "<b><b>a</b>b</b>c": "**ab**c",
    "<b><p>a</b>b<p>c": "**a**b\n\nc",
    "<b></b>a": "a",
    "<code>a</code> <kbd>b</kbd><code>c</code>": "`a bc`",
    "<code>a</code>, <code>b</code>": "`a`, `b`",
    "<code>a`b</code>": "``a`b``",
    "<code>`a</code>": "`` `a ``",
    "<code><b>a</b>b</code>": "**`a`**`b`",
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
    "<ol start=9><li>a<li>b<p>c</ol>": "9. a\n10. b\n\n    c",
    "<ol start=x><li>a</ol>": "1. a",
    "<ul><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ul>": "- a\n  - b\n    1. c\n- d",
    "<ul><li><p>a</p><p>b</p></li><li>c</ul>": "- a\n\n  b\n- c",
    "<ul><ul><li>a</ul></ul>": "- a",
    "<ul><li><ul><li>a</ul></ul>": "- - a",
    "<ul><li></ul>a": "a",
    "<li>a<li>b": "- a\n\n- b",
    "<ul><li><input type=checkbox checked>a<li><input type=checkbox>b<li><input>c</ul>": "- [x] a\n- [ ] b\n- c",
    "<dl><dt>a<dd>b<dd>c<p>d<dt>e<dd>f</dl>": "a\n: b\n: c\n\n  d\n\ne\n: f",
    # quotes
    "<blockquote>a<p>b<ul><li>c</ul></blockquote>d": "> a\n>\n> b\n>\n> - c\n\nd",
    "<blockquote>a</blockquote><blockquote>b</blockquote>": "> a\n\n> b",
    "<blockquote>a<blockquote>b<br>c</blockquote></blockquote>": "> a\n>\n> > b  \n> > c",
    "<ul><li>a<blockquote>b</blockquote></ul>": "- a\n\n  > b",
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
    "<ul><li>a<pre>b\n\nc</pre></ul>": "- a\n\n  ```\n  b\n\n  c\n  ```",
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
    "<table></table><td>a<tr>b": "a\n\nb",
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
    assert title_of(page, URL) == expected


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
    found = text("<table><tr>" + "<td colspan=1000>x" * 3000 + "<tr><td>y</table>")
    assert found.count("x") == 3000
    assert len(found) < 3000 * 10


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


def test_short_rows_below_them_are_filled_up_to_64_columns_at_most():
    found = text("<table><tr>" + "<td rowspan=1000000>x" * 3000 + "<tr><td>y" * 1000)
    assert (found.count("x"), found.count("y")) == (3000, 1000)
    assert {line.count("|") for line in found.splitlines() if "y" in line} == {66}


def test_cells_that_arrange_the_page_are_not_counted():
    assert text("<table role=none><tr><td rowspan=2>a<td>b<tr><td>c</table>") == "a\n\nb\n\nc"


def test_a_paragraph_without_end_is_broken():
    found = text("x<br>" * 5000)
    assert found.count("x") == 5000
    assert "\n\n" in found


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
