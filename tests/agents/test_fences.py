"""The code in replies: what is found, how it is cut into statements, and that it never matters how it came."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import types
import warnings

import pytest
from hypothesis import given, strategies as st

from tinyagent.agents import statements
from tinyagent.agents.fences import FenceReader
from tinyagent.agents.statements import Piece, StatementSplitter

FENCE = "```"


def codes(text, known_calls=(), *, cut=False):
    return ["".join(piece.code for piece in block) for block in blocks_in(text, known_calls, cut=cut)]


def blocks_in(text, known_calls=(), *, cut=False):
    """The pieces of each block."""
    pieces = read([text], known_calls, cut=cut)[0]
    ends = [at for at, piece in enumerate(pieces, 1) if piece.last]
    assert ends[-1:] == ([len(pieces)] if pieces else [])
    return [pieces[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def read(chunks, known_calls=(), *, cut=False):
    """All that a reader gives of a reply that comes in these chunks."""
    reader = FenceReader(known_calls)
    pieces = [piece for chunk in chunks for piece in reader.feed(chunk)]
    return [*pieces, *reader.finish(cut=cut)], reader.dropped


def chunks_of(text, sizes):
    """The text in chunks of these sizes, over and over."""
    chunks, at = [], 0
    while at < len(text):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(text[at : at + size])
        at += size
    return chunks


# ---- which blocks there are


@pytest.mark.parametrize(
    "info",
    ["python", "py", "py3", "python3", "Python", "PYTHON", "ipython", "tool_code", "code", " python ", "python title=x",
     "{python}", '{.python title="a b"}', "python {1,3}", "python3.11", "python:main.py", "python main.py"],
)  # fmt: skip
@pytest.mark.parametrize("fence", ["```", "~~~", "`````", "~~~~"])
def test_labels(info, fence):
    assert codes(f"Text.\n{fence}{info}\nx = 1\n{fence}\nMore.") == ["x = 1\n"]


@pytest.mark.parametrize(
    "info", ["json", "text", "bash", "output", "pycon", "python-repl", "js", "sql", "Action", "pyth", "markdown", "md"]
)
def test_other_languages(info):
    assert codes(f"{FENCE}{info}\nx = 1\n{FENCE}") == []
    assert codes(f"{FENCE}{info}\nx = 1\n{FENCE}\n{FENCE}py\ny = 2\n{FENCE}\n") == ["y = 2\n"]


@pytest.mark.parametrize("tag", ["code", "python", "execute_python", "CODE"])
def test_tags(tag):
    assert codes(f"Text.\n<{tag}>\nx = 1\ny = 2\n</{tag}>\nMore.") == ["x = 1\ny = 2\n"]
    assert codes(f"<{tag}>x = 1</{tag}>") == ["x = 1\n"]
    assert codes(f"Code: <{tag}>\nx = 1</{tag}>") == ["x = 1\n"]
    assert codes(f"<{tag}>\nx = 1\n") == ["x = 1\n"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Only words.", []),
        # several blocks, in order
        ("```python\na = 1\n```\nThen\n```py\nb = 2\n```\n~~~python\nc = 3\n~~~", ["a = 1\n", "b = 2\n", "c = 3\n"]),
        ("```python\na = 1\n```\n<code>\nb = 2\n</code>\n", ["a = 1\n", "b = 2\n"]),
        # not closed
        ("```python\nx = 1\ny = 2", ["x = 1\ny = 2\n"]),
        ("```python\nx = 1\n```python\ny = 2\n```", ["x = 1\n", "y = 2\n"]),
        ('```python\nx = 1\n```json\n{"a": 1}\n```\n```py\ny = 2\n```', ["x = 1\n", "y = 2\n"]),
        ("<code>\nx = 1\n```\nText.", ["x = 1\n"]),
        # the fences
        ("````python\nx = 1\n```\n````", ["x = 1\n```\n"]),
        ("```python\nx = 1\n`````\nText", ["x = 1\n"]),
        ("~~~python\nx = 1\n```\n~~~", ["x = 1\n```\n"]),
        ("```python\nx = ~~~y\n~~~z\n```", ["x = ~~~y\n~~~z\n"]),
        ("  ```python\n  x = 1\n  ```  ", ["x = 1\n"]),
        ("```python\nx = 1\n   ```", ["x = 1\n"]),
        ("```python\nx = 1\n```<end_code>\nText ```\n", ["x = 1\n"]),
        ("```python\nx = 1\n```Now some words.\n```python\ny = 2\n```", ["x = 1\n", "y = 2\n"]),
        ("```python\r\nx = 1\r\nif x:\r\n    y = 2\r\n```\r\n", ["x = 1\nif x:\n    y = 2\n"]),
        ("```python\nif x:\n\ty = 1\n```", ["if x:\n\ty = 1\n"]),
        ("Here it is: ```python\nx = 1\n```", ["x = 1\n"]),
        ("```python\n```", []),
        ("```python\n\n\n```", []),
        ("```python\n# only words\n```", ["# only words\n"]),
        # code on the line of the fence
        ("```python x = 1```", ["x = 1\n"]),
        ("```python print(1) ```\n", ["print(1)\n"]),
        ("```python```", []),
        ("```python import math\nprint(math.pi)\n```", ["import math\nprint(math.pi)\n"]),
        ("```python\nprint(1)```\nText", ["print(1)\n"]),
        ("```python\nx = 1\nprint(x)```", ["x = 1\nprint(x)\n"]),
        ("```python\nprint('''a\nb''')```\nText", ["print('''a\nb''')\n"]),
        ("```python\nx = 1  # done```\nText", ["x = 1  # done\n"]),
        ("```python\n# ```\nx = 1\n```\n", ["# ```\nx = 1\n"]),
        ("```python\nx = '```'\ny = \"```\"\n```", ["x = '```'\ny = \"```\"\n"]),
        ("```python\nx = '``` ```\n```", ["x = '``` ```\n"]),
        # fences in strings
        ("```python\nx = '''\n```\ncode\n```\n'''\ny = 1\n```\nText", ["x = '''\n```\ncode\n```\n'''\ny = 1\n"]),
        ('```python\nx = """\n```python\nz\n```\n"""\n```\nText', ['x = """\n```python\nz\n```\n"""\n']),
        ("```python\nx = f('''\n```\n''',\n 2)\n```", ["x = f('''\n```\n''',\n 2)\n"]),
        ("<code>\nx = '''\n</code>\n'''\ny = '</code>'\n</code>", ["x = '''\n</code>\n'''\ny = '</code>'\n"]),
        ("```python\nx = 'a\\\n```\nb'\n```", ["x = 'a\\\n```\nb'\n"]),
        # a string that never ends hides no fence
        ("```python\nx = '''oops\n```\nText.\n```python\ny = 1\n```\nText.", ["x = '''oops\n", "y = 1\n"]),
        ("```python\nx = '''oops\n```\nText.\n```python\ny = '''a'''\n```\nText.", ["x = '''oops\n", "y = '''a'''\n"]),
        ("```python\nw = 0\nx = '''oops\n```\nText.", ["w = 0\nx = '''oops\n"]),
        ("```python\nx = '''oops\n```\nIt's\n```\nmore\n```", ["x = '''oops\n"]),
        ("```python\nx = '''oops", ["x = '''oops\n"]),
        # nested
        ("````markdown\n```python\nx = 1\n```\n````\n```python\ny = 2\n```", ["y = 2\n"]),
        ("```markdown\n```python\nx = 1\n```\n```\n```python\ny = 2\n```", ["y = 2\n"]),
        ("```\noutput\n```python\ny = 2\n```", ["y = 2\n"]),
        ("<code>\n```python\nx = 1\n```\n</code>", ["x = 1\n"]),
        ("<code>\n```\nx = 1\n```\n</code>\nText", ["x = 1\n"]),
        # in a list, indented
        (
            "1. First\n   ```python\n   if x:\n       y = 1\n\n   z = 2\n   ```\n2. Then",
            ["if x:\n    y = 1\n\nz = 2\n"],
        ),
        ("- ```python\n  x = 1\n  ```\n", ["x = 1\n"]),
        ("* 1) ```python\n     x = 1\n     ```\n", ["x = 1\n"]),
        ("```python\n    x = 1\n    y = 2\n```", ["x = 1\ny = 2\n"]),
        ("```python\n    x = 1\n  y = 2\n```", ["x = 1\ny = 2\n"]),
        ("```python\n\t\tx = 1\n\t\tif x:\n\t\t\ty = 2\n```", ["x = 1\nif x:\n\ty = 2\n"]),
        ("```python\n  x = '''\n  a\n b\n  '''\n```", ["x = '''\na\n b\n'''\n"]),
        # what is no block
        ("Use the <code> tag.\nAnd <code>x</code> too.", []),
        ("<code>x</code> is a name.", []),
        ("Write `<code>` or `x`.", []),
        ("Inline ```x = 1``` is text.", []),
        ("A ``` in text\nand `` ` ``", []),
    ],
)
def test_blocks(text, expected):
    assert codes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```\nx = 1\n```", ["x = 1\n"]),
        ("Text\n```\nx = 1\n```\n~~~\ny = 2", ["x = 1\n", "y = 2\n"]),
        ("```\nx = = 1\n```\n```\ny = 2\n```", ["y = 2\n"]),
        ("```\nSome output here\n```", []),
        ("```\n\n```", []),
        ("```\nx = 1\n```\n```python\ny = 2\n```", ["y = 2\n"]),
        ("```\nx = 1\n```\n<code>y = 2</code>", ["y = 2\n"]),
        ("```\nx = 1\n```\n```python\n```", []),
        ("```\nx = 1\n```\n```json\n1\n```", ["x = 1\n"]),
        ("```print(1)```", ["print(1)\n"]),
        ("```json 1```", []),
        ("```import math\nprint(math.pi)\n```", ["import math\nprint(math.pi)\n"]),
        ("  ```\n  x = 1\n  if x:\n      y = 2\n  ```", ["x = 1\nif x:\n    y = 2\n"]),
        ("```\nprint(1)```\nText", ["print(1)\n"]),
    ],
)
def test_fences_without_a_label(text, expected):
    """They count only where nothing is labelled, and if they hold Python."""
    assert codes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = search('tea')\nfinal_answer(x)", ["x = search('tea')\nfinal_answer(x)\n"]),
        ("\n\nfinal_answer(1)\n\n", ["final_answer(1)\n"]),
        ("    x = 1\n    final_answer(x)", ["x = 1\nfinal_answer(x)\n"]),
        ("def f():\n    return final_answer(1)\nf()", ["def f():\n    return final_answer(1)\nf()\n"]),
        ("x = 1\r\nfinal_answer(x)\r\n", ["x = 1\nfinal_answer(x)\n"]),
        ("print('hello')", []),
        ("final_answer", []),
        ("The answer: final_answer(1)", []),
        ("obj.final_answer(1)", []),
        ("```json\n1\n```\nfinal_answer(1)", []),
        ("42", []),
    ],
)
def test_replies_that_are_code(text, expected):
    assert codes(text, {"search", "final_answer"}) == expected
    assert codes(text) == []


# ---- as it comes


def test_statements_come_as_soon_as_the_next_begins():
    reader = FenceReader()
    assert reader.feed("Let me see.\n```python\n# look\nx = 1\n") == []
    assert reader.feed("f") == []  # it may become "finally"
    assert reader.feed("o") == [Piece("# look\nx = 1\n", False, 1)]
    assert reader.feed("r k in range(3):\n    x += k\n    # more\n\n") == []
    assert reader.feed("else:\n    x = 0\n") == []
    assert reader.feed("@") == [Piece("for k in range(3):\n    x += k\n    # more\n\nelse:\n    x = 0\n", False, 3)]
    assert reader.feed("cache\ndef g(): pass\nprint(x)") == [Piece("@cache\ndef g(): pass\n", False, 9)]
    assert reader.feed("\n```") == []
    assert reader.feed("\n") == [Piece("print(x)\n", True, 11)]
    assert reader.feed("```python\ny\n```\n") == [Piece("y\n", True, 1)]
    assert reader.finish() == []
    assert reader.dropped == ""


def test_block():
    (block,) = blocks_in("```python\nx = 1\n\nprint(x)\n```")
    assert block == [Piece("x = 1\n", False, 1), Piece("\nprint(x)\n", True, 2)]


@pytest.mark.parametrize(
    ("text", "ran", "dropped"),
    [
        ("```python\nx = 1\nprint(", "x = 1\n", "print("),
        ("```python\nx = 1\n", "", "x = 1\n"),
        ("```python\nx = 1", "", "x = 1"),
        ("```python\nx = 1\ne", "", "x = 1\ne"),
        ("```python\nx = 1\nex", "", "x = 1\nex"),
        ("```python\nx = 1\nexp", "x = 1\n", "exp"),
        ("```python\nx = 1\n# then", "", "x = 1\n# then"),
        ("```python\nfor k in x:\n    a()\n", "", "for k in x:\n    a()\n"),
        ("```python\nfor k in x:\n    a()\nb", "for k in x:\n    a()\n", "b"),
        ("```python\nx = '''\n```\nmore", "", "x = '''\n```\nmore"),
        ("```python\nx = 1\n@tool\n", "x = 1\n", "@tool\n"),
        # the end had come, or begun
        ("```python\nx = 1\n```", "x = 1\n", ""),
        ("```python\nx = 1\n``", "x = 1\n", ""),
        ("```python\nx = 1\n`", "x = 1\n", ""),
        ("```python\nx = '''\n`", "", "x = '''\n`"),
        ("```python\nx = 1```", "x = 1\n", ""),
        ("~~~python\nx = 1\n~~", "", "x = 1\n~~"),
        ("<code>\nx = 1\n</co", "x = 1\n", ""),
        ("<code>\nx = 1\n<", "", "x = 1\n<"),
        ("```python\nx = 1\n```\nThen we", "x = 1\n", ""),
        ("```python\nx = 1\n```\n```pyth", "x = 1\n", ""),
        ("```python\nx = 1\n```\n```python\ny = 2\nz", "x = 1\ny = 2\n", "z"),
        ("```python\nx = 1\n```\n```python import os", "x = 1\n", "import os\n"),
        # without a label nothing is sure yet
        ("```\nx = 1\n```\nThen", "", ""),
        ("```\nx = 1\ny = 2\nz", "", "x = 1\ny = 2\nz"),
        ("```\nThis is no code\nat all", "", ""),
        ("```python\nx = 1\n```\n```\na\nb\nc", "x = 1\n", ""),
        ("final_answer(1)", "", ""),
    ],
)
def test_cut_replies(text, ran, dropped):
    """Nothing runs of which it is not sure that it is whole."""
    pieces, left = read([text], {"final_answer"}, cut=True)
    assert "".join(piece.code for piece in pieces) == ran
    assert left == dropped
    assert not pieces or pieces[-1].last


def test_cut_block_of_which_something_ran_is_ended():
    assert read(["```python\nx = 1\ny = 2"], cut=True) == ([Piece("x = 1\n", False, 1), Piece("", True, 2)], "y = 2")


def test_fallback_keeps_what_ran():
    """Statements before the string that never ended are handed out once."""
    pieces, _ = read(["```python\na = 1\nx = '''oops\n", "```\nText\n```python\nb = 2\n```"])
    assert pieces == [Piece("a = 1\n", False, 1), Piece("x = '''oops\n", True, 2), Piece("b = 2\n", True, 1)]


PARTS = st.lists(
    st.sampled_from(
        [
            *(
                "```",
                "```python",
                "```py\n",
                "```json\n",
                "````",
                "~~~",
                "~~~python\n",
                "``",
                "`",
                "<code>",
                "</code>",
                "<",
            ),
            *(
                "'''",
                '"""',
                "'",
                '"',
                "\\",
                "\n",
                "\n",
                "\n",
                "\r\n",
                " ",
                "    ",
                "\t",
                "\f",
                "#",
                "@",
                "(",
                ")",
                "[",
                "]",
            ),
            *(
                "x = 1",
                "x = 1\n",
                "if x:\n",
                "    y = 2\n",
                "else:\n",
                "e",
                "f",
                "def f():\n",
                "print(x)",
                "Text. ",
                "1. ",
            ),
            *(
                "try:\n",
                "except",
                "finally",
                "for ",
                "'''a\n```\nb'''\n",
                "import os",
                "f(1)\n",
                "class A:\n    b = 1\n",
            ),
        ]
    ),
    max_size=24,
).map("".join)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(PARTS, SIZES, st.booleans(), st.sampled_from([(), ("f", "print")]))
def test_replies_give_the_same_however_they_come(text, sizes, cut, known_calls):
    whole = read([text], known_calls, cut=cut)
    assert read(chunks_of(text, sizes), known_calls, cut=cut) == whole
    assert read(text, known_calls, cut=cut) == whole
    blocks = blocks_in(text, known_calls, cut=cut)
    assert [piece for block in blocks for piece in block] == whole[0]
    for block in blocks:
        lines = [piece.line for piece in block]
        assert lines == [1 + "".join(p.code for p in block[:n]).count("\n") for n in range(len(lines))]
        for piece in block[:-1]:
            ast.parse(piece.code)


@given(PARTS)
def test_cut_replies_run_nothing_that_whole_ones_do_not(text):
    """Whatever is still to come: the pieces of a reply so far begin those of any that goes on."""
    reader = FenceReader()
    so_far = reader.feed(text)
    assert read([text, "\n'''\n```\nmore"])[0][: len(so_far)] == so_far
    assert read([text])[0][: len(so_far)] == so_far


# ---- statements


def split(text, sizes=None):
    splitter = StatementSplitter()
    found, begun = [], ""
    for chunk in [text] if sizes is None else chunks_of(text, sizes):
        *lines, begun = (begun + chunk).split("\n")
        found += [piece for line in lines for piece in splitter.add(f"{line}\n")]
        found += splitter.peek(begun)
    return found, splitter.rest() + begun


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\ny = 2\n", ["x = 1\n"]),
        ("x = 1; y = 2\nz", ["x = 1; y = 2\n"]),
        ("x = (1,\n2)\ny", ["x = (1,\n2)\n"]),
        ("x = (1,\n2", []),
        ("x = [\n]\n)\ny", []),
        ("x = 1 + \\\n2\ny", ["x = 1 + \\\n2\n"]),
        ("x = '''\ny = 1\n'''\nz", ["x = '''\ny = 1\n'''\n"]),
        ("x = 'a\\\nb'\nz", ["x = 'a\\\nb'\n"]),
        ("x = '''a'b\"\"\"c'''\nz", ["x = '''a'b\"\"\"c'''\n"]),
        ("x = '(' # (\ny", ["x = '(' # (\n"]),
        ("x = r'\\'\ny'\nz", []),
        ("x = ''\ny = \"\"\nz", ["x = ''\n", 'y = ""\n']),
        ("x = f'{a[\"b\"]}'\ny", ["x = f'{a[\"b\"]}'\n"]),
        ("if a:\n    b\nc", ["if a:\n    b\n"]),
        ("if a:\n    b\nelif c:\n    d\nelse:\n    e\nf()", ["if a:\n    b\nelif c:\n    d\nelse:\n    e\n"]),
        ("try:\n    a\nexcept* B:\n    c\nfinally:\n    d\ne()", ["try:\n    a\nexcept* B:\n    c\nfinally:\n    d\n"]),
        ("try:\n    a\nb", []),
        ("match a:\n  case 1:\n    b\n  case _:\n    c\nd", ["match a:\n  case 1:\n    b\n  case _:\n    c\n"]),
        ("async def f():\n    await g()\n\n\nawait f()\nx", ["async def f():\n    await g()\n", "\n\nawait f()\n"]),
        ("@a\n@b(\n1)\n# c\nclass C:\n  x = 1\n\n  y = 2\nz", ["@a\n@b(\n1)\n# c\nclass C:\n  x = 1\n\n  y = 2\n"]),
        ("@a\nx", []),
        ("# a\n\nx = 1\n# b\n\ny = 2\n# c\nz", ["# a\n\nx = 1\n", "# b\n\ny = 2\n"]),
        ("x = 1\n    # indented\ny", ["x = 1\n"]),
        ("if a:\n    b\n    # in the block\nc", ["if a:\n    b\n"]),
        ("x = 1\n\fy = 2\n\fz", ["x = 1\n", "\fy = 2\n"]),
        ("x = 1\n  \fy = 2\nz", ["x = 1\n", "  \fy = 2\n"]),
        ("else_ = 1\nelsewhere = 2\nfinal = 3\n", ["else_ = 1\n", "elsewhere = 2\n"]),
        ("x = 1\r\ny = 2\r\n", ["x = 1\r\n"]),
        ("x = = 1\ny = 2\nz", []),
        ("x = 1\n)\ny = 2\n", []),
        ("x = 1\n  y = 2\nz", []),
        ("print 'a'\nx", []),
        ("'''doc'''\nx", ["'''doc'''\n"]),
        ("x\n(y)\nz", ["x\n", "(y)\n"]),
        ("x = '\\d'\ny", ["x = '\\d'\n"]),
        ("x = b'\\d\\''\ny", ["x = b'\\d\\''\n"]),
        ("x = '\\x4'\ny", []),
        ("x = 'a\x00b'\ny", []),
        ("x = 1\n'a", ["x = 1\n"]),
        ("é = 1\nñ = 2", ["é = 1\n"]),
        ("x = 1\n.5\ny", ["x = 1\n", ".5\n"]),
        ("x = 'unfinished\ny", []),
    ],
)  # fmt: skip
def test_statements(text, expected):
    found, rest = split(text)
    assert [statement.code for statement in found] == expected
    assert "".join(expected) + rest == text


def test_lines():
    found, _ = split("# a\nx = 1\n\nif x:\n    y = 2\nz = 3\nw")
    assert found == [Piece("# a\nx = 1\n", line=1), Piece("\nif x:\n    y = 2\n", line=3), Piece("z = 3\n", line=6)]


@pytest.mark.parametrize("word", ["else", "elif", "except", "finally"])
def test_words_that_go_on(word):
    splitter = StatementSplitter()
    assert splitter.add("x = 1\n") == []
    for end in range(len(word) + 1):
        assert splitter.peek(word[:end]) == []
    assert splitter.peek(word + "_") == [Piece("x = 1\n")]
    assert splitter.rest() == ""


def test_nothing_is_cut_after_what_is_no_python():
    assert split("a = 1\nb = = 2\nc = 3\nd = 4\n") == ([Piece("a = 1\n")], "b = = 2\nc = 3\nd = 4\n")


TRICKY = st.lists(
    st.sampled_from(
        [
            *"'\"\\\n\n\n#()[]{}@:;=. \tx\r\f",
            '"""',
            "'''",
            "    ",
            "else",
            "elif",
            "if x:\n    y\n",
            "x = 1\n",
            "é",
            "\x00",
        ]
    ),
    max_size=30,
).map("".join)


@given(TRICKY, SIZES)
def test_statements_of_anything(text, sizes):
    found, rest = split(text)
    assert "".join(statement.code for statement in found) + rest == text
    assert split(text, sizes) == split(text, [1]) == (found, rest)
    line = 1
    for statement in found:
        with warnings.catch_warnings(action="ignore"):  # of escapes that are none
            ast.parse(statement.code)
        assert statement.line == line
        line += statement.code.count("\n")


@pytest.mark.one_in(5)
@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("module", [ast, dataclasses, inspect, json, textwrap, types, pytest, statements])
@pytest.mark.parametrize("sizes", [[1], [4], [1000], [3, 17, 1]])
def test_statements_of_real_programs(module, sizes):
    """Each is what Python takes for one, and all but the last are handed out."""
    source = inspect.getsource(module)
    found, rest = split(source, sizes)
    assert "".join(statement.code for statement in found) + rest == source
    starts = sorted(
        {min(d.lineno for d in (node, *getattr(node, "decorator_list", ()))) for node in ast.parse(source).body}
    )
    assert len(found) == len(starts) - 1
    for statement, start, after in zip(found, starts[:-1], starts[1:], strict=True):
        assert statement.line <= start < statement.line + statement.code.count("\n") <= after


def test_statements_run_one_by_one():
    code = textwrap.dedent('''
        import functools
        total = 0
        @functools.cache
        def double(n):
            """Twice.

        at the margin
            """
            return n * 2
        for k in range(4):
            total += double(k)
        else:
            total += 1
        text = f"""{total}
        x = 1
        """; items = [
        total,
        ]
        class Box:
            def get(self): return items
        with open(__file__) as file: pass
        result = Box().get()
    ''')
    whole: dict[str, object] = {"__file__": __file__}
    exec(code, whole)
    parts: dict[str, object] = {"__file__": __file__}
    found, rest = split(code)
    assert len(found) == 7
    for part in (*(statement.code for statement in found), rest):
        exec(part, parts)
    assert parts["result"] == whole["result"] == [13]
    assert parts["text"] == whole["text"]


def test_cost(monkeypatch):
    """Each statement is parsed once, when it is complete, however many lines and chunks it has."""
    parsed = []
    real = statements.parses

    def spy(code):
        parsed.append(len(code))
        return real(code)

    monkeypatch.setattr(statements, "parses", spy)
    body = "class A:\n" + "".join(f"    x{n} = [{n},\n{n}]\n# at the margin\n\n" for n in range(500))
    code = body + "".join(f"x{n} = {n}\n" for n in range(500)) + "y = = 1\n" + "z = 1\n" * 500
    found, rest = split(code, [3])
    assert len(found) == 501
    assert rest == "y = = 1\n" + "z = 1\n" * 500
    assert sum(parsed) <= len(code)
