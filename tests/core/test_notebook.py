"""What Jupyter shows of a result: markdown in which nothing that a model wrote can run."""

import dataclasses
import re

import pytest
from hypothesis import given, strategies as st
from markdown_it import MarkdownIt

from tinyagent.core.limits import Usage
from tinyagent.core.messages import Assistant
from tinyagent.core.notebook import safe_markdown
from tinyagent.core.result import RunInfo, RunResult, Step

RESULT = RunResult(
    "It is **3**.",
    "success",
    (),
    (Step(1, Assistant("a")), Step(2, Assistant("b"))),
    Usage(2, 1200, 34),
    RunInfo("r", "a", "m", 0.0, 1.26),
)
TOOK = "*2 steps · 1,234 tokens · 1.3 s*"
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
MARKDOWN.validateLink = lambda url: True  # as in Jupyter, which follows any


def shown(**changes):
    return dataclasses.replace(RESULT, **changes)._repr_markdown_()


def tokens(text):
    """All tokens of a markdown document, in their order."""
    for token in MARKDOWN.parse(text):
        yield token
        yield from token.children or ()


def harm(markdown):
    """What would run, load or lead elsewhere in a rendered document."""
    for token in tokens(markdown):
        content = re.sub(r"</?(?:pre|code)>", "", token.content)
        if token.type in ("html_block", "html_inline") and re.search(r"[<>\"]", content):
            yield token.content
        if token.type == "image":
            yield token.content
        address = str(token.attrs.get("href", ""))
        if address and not address.startswith(("https://", "http://", "mailto:", "#")):
            yield address
        if token.type in ("inline", "code_block") and '"' in token.content:  # would end an attribute, with math in it
            yield token.content
        parts = re.split(r"\n\s*\n", content)  # a blank line ends math
        if token.type == "fence" and any(re.search(r'".*\$|\$.*"|<[A-Za-z/!?]', part, re.DOTALL) for part in parts):
            yield token.content


def text_of(markdown):
    """What a reader sees."""
    rendered = MARKDOWN.render(markdown)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", rendered)).strip()


# ---- results


def test_the_answer_and_what_it_took():
    assert shown() == f"It is **3**.\n\n{TOOK}"
    assert shown(steps=RESULT.steps[:1], usage=Usage()) == "It is **3**.\n\n*1 step · 0 tokens · 1.3 s*"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("running", "not over"),
        ("cut", "token limit"),
        ("step_limit_reached", "steps were used up"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
    ],
)
def test_how_it_ended_is_said_first(state, said):
    first, *rest = shown(state=state).split("\n\n")
    assert said in first
    assert rest == ["It is **3**.", TOOK]
    assert shown(state=state, output=None).split("\n\n") == [first, TOOK]


def test_other_values_are_shown_as_json():
    assert shown(output={"sum": [3], "note": "ä"}) == (
        f'```json\n{{\n  "sum": [\n    3\n  ],\n  "note": "ä"\n}}\n```\n\n{TOOK}'
    )
    assert "<script>" not in shown(output={"note": "<script>x</script>"})
    assert "&#60;script&#62;" in shown(output={"note": "<script>x</script>"})
    assert shown(output=0).startswith("```json\n0\n```")


# ---- what stays


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n\nSome *text*, **bold**, [a page](https://example.org/?a=1&b=2), [here](#part), AT&T, 1 < 2 & so on.",
        "- one\n- two\n\n1. a\n2. b\n\n> said\n\n---",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "Math: $a < b$ and $$x_1^2$$, `code`, it's [1] and [2]!",
        "[ref]\n\n[ref]: https://example.org/",
        "Write to [us](mailto:us@example.org). Wow!",
    ],
)
def test_harmless_markdown_stays_as_it_is(text):
    assert safe_markdown(text) == text
    assert not list(harm(text))


def test_harmless_code_keeps_its_colours():
    assert safe_markdown('So:\n```python\nprint("hi")\n```\nDone.') == (
        'So:\n\n\n```python\nprint("hi")\n```\n\n\nDone.'
    )
    assert safe_markdown("~~~\nx\n~~~") == "\n\n~~~\nx\n~~~\n\n"


@pytest.mark.parametrize(
    "code",
    ["if a<b:\n    x[0](1)\n\n\n# `tick` $HOME", "<b>\n\n\n</b>", "`" + "``", "&lt; &amp;", "*a* _b_", "![x](y)"],
)
@pytest.mark.parametrize("before", ["", "Text.\n", "- item\n  "])
def test_code_reads_as_the_model_wrote_it(code, before):
    indent = "  " if before.startswith("-") else ""
    lines = "\n".join(indent + line for line in code.split("\n"))
    markdown = safe_markdown(f"{before}````html\n{lines}\n{indent}````\nAfter.")
    rendered = MARKDOWN.render(markdown)
    (found,) = re.findall(r"<pre><code[^>]*>(.*?)</code></pre>", rendered, re.DOTALL)
    found = found.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    found = re.sub(r"&#(\d+);", lambda entity: chr(int(entity[1])), found)
    assert found == f"{code}\n"
    assert rendered.rstrip().endswith("<p>After.</p>")


def test_code_in_a_line_reads_as_the_model_wrote_it():
    rendered = MARKDOWN.render(safe_markdown("Use `List<int>` and ``<c>``, not `x`."))
    assert rendered == (
        "<p>Use <code>List&#60;int&#62;</code> and <code>&#60;c&#62;</code>, not <code>x</code>.</p>\n"
    ).replace("&#60;", "&lt;").replace("&#62;", "&gt;")


def test_a_block_that_was_cut_is_closed():
    assert text_of(shown(output="```py\nprint(1)", state="cut")).endswith("print(1) 2 steps · 1,234 tokens · 1.3 s")


# ---- what does not

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "text <b onmouseover=alert(1)>x</b>",
    "<!-- -->",
    "<?php ?>",
    "<javascript:alert(1)>",
    "[x](javascript:alert(1))",
    "[x](  JaVaScRiPt:alert(1))",
    "[x](\njavascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](//example.org)",
    "[x][y]\n\n[y]: javascript:alert(1)",
    "[y]\n\n[y]:\njavascript:alert(1)",
    "![x](https://example.org/?secret)",
    "![x][y]\n\n[y]: https://example.org/?secret",
    "\\![x](https://example.org/?secret)",
    "\\[x\\](javascript:alert(1))",
    "[x\\\\](javascript:alert(1))",
    '[x](https://example.org/$" onclick="alert(1)$)',
    '[x](https://example.org/$\n```\n" onclick="alert(1)\n```\n$)',
    'https://example.org/\\\\(" onclick="alert(1)\\\\)',
    "```\n$$\n```\n<script>\n```\n$$\n```",
    "~~~\n```\n~~~\n<script>alert(1)</script>\n```",
    "> ```\n<script>alert(1)</script>\n> ```",
    "- ```\n<script>alert(1)</script>",
    "`` ` <script>alert(1)</script>",
    "`a\n<script>alert(1)</script>`",
    "    <script>alert(1)</script>",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "```<script>\nx\n```",
    '```"onclick="alert(1)\nx\n```',
    "<scr\x00ipt>",
    "<\u200bscript>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_a_model_runs(text):
    for around in ("{}", "Text\n\n{}\n\nmore", "```\n{}\n```", "`{}`", "- {}", "> {}", "| a |\n|---|\n| {} |"):
        assert not list(harm(safe_markdown(around.format(text))))
        assert not list(harm(shown(output=around.format(text))))
        assert not list(harm(shown(output=[around.format(text)])))


def test_harm_is_seen():
    assert all(list(harm(text)) for text in HOSTILE[:13])


MARKS = [
    "```",
    "````",
    "~~~",
    "`",
    "``",
    "$",
    "$$",
    "[",
    "](",
    "]:",
    "!",
    "<",
    "\\",
    "javascript:x",
    "https://example.org",
    "script>",
    '"',
    "a",
    "|",
    "&#60;",
    "&lt;",
    "@@0@@",
    "(",
    ")",
    "é",
]
pieces = st.sampled_from([*HOSTILE, *MARKS, *["\n", "\n\n", "    ", "- ", "> ", "\t"]])


@given(st.lists(pieces, max_size=12).map("".join))
def test_nothing_runs_however_it_is_put_together(text):
    assert not list(harm(safe_markdown(text)))


@pytest.mark.parametrize("piece", ["`", "```\n", "]", "[", "] ", "<", "!", "~~~", " ", "`a", "]\n", "```a", "~~~\n"])
def test_long_texts_are_quick(piece):
    assert safe_markdown(piece * 200_000)


def test_text_that_cannot_be_sent_can_be_shown():
    shown(output="\ud83d").encode()
    shown(output=["\ud83d"]).encode()
