"""Exceptions of the model's code as plain data."""

from __future__ import annotations

import contextlib
import json
import linecache
import math
import sys
import traceback

import pytest

from tinyagent.sandbox.child.report import report
from tinyagent.sandbox.frames import encode_frame

FILE = "<block 3>"


def raised(code, **names):
    """What is told of the exception that the code raises, run as a block is."""
    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)
    try:
        try:
            exec(compile(code, FILE, "exec"), {"__name__": "__main__", **names})
        except BaseException as error:
            told = report(error)
    finally:
        del linecache.cache[FILE]
    encode_frame({"t": "done", "id": 1, "e": told})
    return told


def test_an_exception_is_told_with_its_own_lines_alone():
    told = raised("def f(n):\n    return 1 / n\n\nf(0)\n")
    assert (told["type"], told["message"], told["line"]) == ("ZeroDivisionError", "division by zero", 2)
    assert told["bases"] == ["ArithmeticError", "Exception", "BaseException"]
    assert told["args"] == ["division by zero"]
    lines = told["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.strip() for line in lines if "File" in line] == [
        'File "<block 3>", line 4, in <module>',
        'File "<block 3>", line 2, in f',
    ]
    assert "    return 1 / n" in lines
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_frames_of_the_library_are_left_out():
    told = raised("import json\njson.loads('{')")
    assert told["line"] == 2
    assert "json/decoder" not in told["traceback"]
    assert "JSONDecodeError" in told["traceback"]
    assert __file__ not in told["traceback"]


def test_code_that_the_code_runs_is_shown():
    told = raised("\nexec('x = 1\\n1 / 0')")
    assert 'File "<string>", line 2, in <module>' in told["traceback"]
    assert told["line"] == 2  # of the block, not of the text


@pytest.mark.parametrize("code", ["eval('1 +')", "compile('x y', 'other.py', 'exec')", "import ast\nast.parse('x y')"])
def test_a_syntax_error_in_code_that_the_code_reads_has_the_line_that_read_it(code):
    told = raised(code)
    assert (told["type"], told["line"]) == ("SyntaxError", code.count("\n") + 1)


@pytest.mark.parametrize(
    ("code", "line", "message"),
    [
        ("x = 1\ny = (2\n", 2, "'(' was never closed"),
        ("x = 1\n  y = 2", 2, "unexpected indent"),
        ("return 1", 1, "'return' outside function"),
        ("x = 'abc", 1, "unterminated string literal (detected at line 1)"),
    ],
)
def test_a_syntax_error_of_the_block_tells_its_line_and_only_what_is_wrong(code, line, message):
    told = raised(code)
    assert told["type"] in ("SyntaxError", "IndentationError")
    assert (told["line"], told["message"]) == (line, message)
    assert f'File "<block 3>", line {line}' in told["traceback"]


def test_a_syntax_error_without_anything():
    assert raised("raise SyntaxError")["message"] == "None"
    assert raised("raise SyntaxError('mine')")["message"] == "mine"


def test_what_led_to_it_is_shown_in_the_same_way():
    told = raised(
        "import json\n"
        "def f():\n    try:\n        json.loads('{')\n"
        "    except ValueError as error:\n        raise KeyError('a') from error\n"
        "try:\n    f()\nexcept KeyError:\n    raise RuntimeError('last')"
    )
    assert (told["type"], told["line"]) == ("RuntimeError", 10)
    text = told["traceback"]
    assert "The above exception was the direct cause of the following exception" in text
    assert "During handling of the above exception, another exception occurred" in text
    assert text.index("JSONDecodeError") < text.index("KeyError: 'a'") < text.index("RuntimeError: last")
    assert "decoder.py" not in text


def test_groups_are_shown_in_the_same_way():
    told = raised(
        "import json\nerrors = []\nfor text in '{', '[':\n    try:\n        json.loads(text)\n"
        "    except ValueError as error:\n        errors.append(error)\nraise ExceptionGroup('both', errors)"
    )
    assert (told["type"], told["line"], told["message"]) == ("ExceptionGroup", 8, "both (2 sub-exceptions)")
    assert told["bases"] == ["BaseExceptionGroup", "Exception", "BaseException"]
    assert told["args"] == []
    assert told["traceback"].count("JSONDecodeError") == 2
    assert "decoder.py" not in told["traceback"]


def test_notes_are_shown():
    told = raised("error = ValueError('x')\nerror.add_note('try tea')\nraise error")
    assert "try tea" in told["traceback"]


def test_exceptions_that_lead_to_one_another_come_to_an_end():
    told = raised(
        "a, b = ValueError('a'), ValueError('b')\na.__context__ = b\nb.__cause__ = a\na.__cause__ = b\nraise a"
    )
    assert told["message"] == "a"


@pytest.mark.parametrize(
    ("code", "type_", "message"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("import sys\nsys.exit(3)", "SystemExit", "3"),
        ("raise KeyError('a')", "KeyError", "'a'"),
        ("raise StopIteration(5)", "StopIteration", "5"),
        ("{}['a\\nb']", "KeyError", "'a\\nb'"),
        ("raise OSError(2, 'No such file', 'x')", "FileNotFoundError", "[Errno 2] No such file: 'x'"),
        (
            "b'\\xff'.decode()",
            "UnicodeDecodeError",
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        ("class Own(LookupError): pass\nraise Own", "Own", ""),
        ("raise ValueError('\\ud800')", "ValueError", "\ud800"),
    ],
)
def test_type_and_message(code, type_, message):
    told = raised(code)
    assert (told["type"], told["line"]) == (type_, code.count("\n") + 1)
    assert message is None or told["message"] == message


@pytest.mark.parametrize(
    ("args", "kept"),
    [
        ((), []),
        (("x", 1, 1.5, None, True), ["x", 1, 1.5, None, True]),
        ((math.nan, 2**80), [{"!": "float", "v": "nan"}, {"!": "int", "v": hex(2**80)}]),
        (([1],), []),
        ((b"x",), []),
        (tuple(range(10)), list(range(10))),
        (tuple(range(11)), []),
        (("x" * 4000,), ["x" * 4000]),
        (("x" * 4001,), []),
        ((10**5000,), []),
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, tuple) or value != (10**5000,) else "digits",
)
def test_arguments_are_kept_where_they_are_plain(args, kept):
    assert raised("raise ValueError(*args)", args=args)["args"] == kept


def test_long_texts_are_cut():
    told = raised("class " + "T" * 300 + "(ValueError): pass\nraise " + "T" * 300 + "('x' * 5000)")
    assert (told["type"], told["message"]) == ("T" * 200, "x" * 4000)
    told = raised("raise ValueError('\\n'.join(map(str, range(9000))))")
    text = told["traceback"]
    assert len(text) < 16_100
    assert text.startswith("Traceback")
    assert text.rstrip().endswith("8999")
    assert "characters are not shown)" in text


def test_a_deep_recursion_is_told_in_short():
    told = raised("def f():\n    f()\nf()")
    assert (told["type"], told["line"]) == ("RecursionError", 2)
    assert "Previous line repeated" in told["traceback"]
    assert len(told["traceback"]) < 1000


def test_bases_are_those_of_python_nearest_first():
    told = raised("class A(KeyError): pass\nclass B(A, TypeError): pass\nraise B")
    assert told["bases"] == ["KeyError", "LookupError", "TypeError", "Exception", "BaseException"]
    many = "".join(f"class E{n}(Exception): __module__ = 'builtins'\n" for n in range(30))
    told = raised(many + f"class E({', '.join(f'E{n}' for n in range(30))}): pass\nraise E")
    assert len(told["bases"]) == 20


UNPRINTABLE = {
    "no text": "class E(Exception):\n    def __str__(self): raise ValueError",
    "no text, and an exit": "class E(Exception):\n    def __str__(self): raise SystemExit",
    "a number for a text": "class E(Exception):\n    def __str__(self): return 3",
    "no arguments": "class E(Exception):\n    args = 3",
    "arguments that fail": "class E(Exception):\n    args = property(lambda self: 1 / 0)",
    "no context": "class E(Exception):\n    __cause__ = 3",
    "strange notes": "class E(Exception):\n    __notes__ = 3",
    "notes that fail": "class E(Exception):\n    __notes__ = property(lambda self: 1 / 0)",
    "a strange module": "class E(Exception):\n    __module__ = 3",
    "a text that cannot be cut": (
        "class T(str):\n    def __getitem__(self, key): raise KeyboardInterrupt\n"
        "class E(Exception):\n    def __str__(self): return T('x')"
    ),
}


@pytest.mark.parametrize("name", UNPRINTABLE)
def test_exceptions_made_to_be_hard_to_tell_are_told(name):
    told = raised(f"{UNPRINTABLE[name]}\nraise E('x')")
    assert told["type"] == "E"
    assert isinstance(told["message"], str)
    assert "E" in told["traceback"]
    json.dumps(told)


def test_a_type_without_a_name_is_told():
    code = "class M(type):\n    __name__ = property(lambda cls: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E"
    told = None
    with contextlib.suppress(ZeroDivisionError):  # which pytest could not print either
        told = raised(code)
    assert told is not None


def test_an_exception_that_was_never_raised_is_told():
    told = report(ValueError("x"))
    assert (told["type"], told["line"], told["traceback"]) == ("ValueError", None, "ValueError: x\n")


def test_what_was_raised_elsewhere_has_no_line():
    try:
        json.loads("{")
    except ValueError as error:
        told = report(error)
        assert traceback.extract_tb(sys.exc_info()[2])
    assert told["line"] is None
    assert "File" not in told["traceback"]
