"""What can be shown of a text: some of it, and nothing that a terminal would obey or nobody would see."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from tinyagent.core.text import ends, excerpt, printable

#: What a terminal obeys or does not show, and how it is shown.
HIDDEN = [
    ("\x1b[2J", "\\x1b[2J"),
    ("\x1b]52;c;ZXZpbA==\x07", "\\x1b]52;c;ZXZpbA==\\x07"),
    ("\x9b31m", "\\x9b31m"),
    ("\x00\x08\x0b\x0c\x7f\x85", "\\x00\\x08\\x0b\\x0c\\x7f\\x85"),
    ("a\u202egpj.exe", "a\\u202egpj.exe"),
    ("\u2066\u2069\u200e\u200f\u061c", "\\u2066\\u2069\\u200e\\u200f\\u061c"),
    ("a\u200bb\ufeffc\u2060", "a\\u200bb\\ufeffc\\u2060"),
    ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
    ("soft\xadhyphen\u3164", "soft\\xadhyphen\\u3164"),
    ("\U000e0041\U000e007f", "\\U000e0041\\U000e007f"),
    ("half \ud83d", "half \\ud83d"),
    ("a\u200db\u200c", "a\\u200db\\u200c"),
    ("12 %\r34 %", "12 %\n34 %"),
    ("a\r\nb\r\r\nc", "a\nb\n\nc"),
]
#: What stays: ordinary text of many scripts, emoji and joiners that belong to them.
PLAIN = [
    "",
    "one\n\ttwo",
    "Zürich 18 °C, 10 €, 漢字\u3000한국어 русский",
    "שלום مرحبا हिन्दी",
    "می\u200cخواهم क्\u200dष",
    "👨\u200d💻 ❤\ufe0f\u200d🔥 👍🏽 🇳🇴",
    "non\xa0breaking",
    r"\x1b as text",
]


@pytest.mark.parametrize(("text", "shown"), HIDDEN, ids=ascii)
def test_what_a_terminal_obeys_is_seen(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("text", PLAIN, ids=ascii)
def test_ordinary_text_stays(text):
    assert printable(text) == text


@pytest.mark.parametrize("text", [text for text, _ in HIDDEN] + PLAIN, ids=ascii)
def test_text_that_comes_in_parts_looks_like_the_whole(text):
    parts = [printable(letter, text[:at]) for at, letter in enumerate(text)]
    assert "".join(parts) == printable(text)


@given(st.text(st.characters() | st.sampled_from("\r\n\u200c\u200d\ufe0f\x1b👍م")), st.integers(0, 5))
def test_no_part_of_any_text_is_obeyed(text, at):
    assert printable(text[:at]) + printable(text[at:], text[:at]) == printable(text)
    shown = printable(text).replace("\n", "").replace("\t", "")
    assert printable(shown) == shown
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in shown)


def test_every_character_of_control_or_direction_is_seen():
    for code in range(0x110000):
        letter = chr(code)
        hidden = unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(letter) in (
            *("LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"),
        )
        if hidden and letter not in "\n\t":
            assert printable(letter) != letter, hex(code)


@pytest.mark.parametrize("length", [0, 1, 99, 100])
def test_a_text_that_fits_is_not_cut(length):
    assert ends("x" * length, 100) == ("x" * length,)
    assert ends("x" * length, None) == ("x" * length,)
    assert excerpt("x" * length, 100) == "x" * length


@pytest.mark.parametrize("longest", [1, 2, 3, 10, 11, 99])
def test_a_long_text_is_cut_in_the_middle_with_a_notice(longest):
    text = "".join(chr(0x4E00 + number) for number in range(100))
    first, notice, last = ends(text, longest)
    assert text.startswith(first)
    assert text.endswith(last)
    assert len(first) + len(last) <= longest
    missing = 100 - len(first) - len(last)
    assert notice == f"... ({missing} of 100 characters are not shown)"


def test_the_beginning_of_a_long_text_ends_in_a_mark():
    assert excerpt("x" * 101, 100) == "x" * 100 + "..."
    assert excerpt("abc", 1, f"... ({3} characters)") == "a... (3 characters)"
