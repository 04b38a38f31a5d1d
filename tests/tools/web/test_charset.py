"""Bytes of real pages in the charsets of the web."""

import codecs

import pytest

from tinyagent.tools.web import charset
from tinyagent.tools.web.charset import codec_of, decode

LEGACY = [
    ("gb2312", "gb2312", "中文网页"),
    ("gbk", "gbk", "镕基"),
    ("gb18030", "gb18030", "中文€"),
    ("big5", "big5", "繁體中文"),
    ("shift_jis", "shift_jis", "日本語のページ"),
    ("x-sjis", "cp932", "①髙"),  # NEC and IBM extensions, which Python's own shift_jis refuses
    ("euc-jp", "euc_jp", "日本語"),
    ("iso-2022-jp", "iso2022_jp", "日本語"),
    ("euc-kr", "euc_kr", "한국어"),
    ("ks_c_5601-1987", "cp949", "똠방각하"),
    ("windows-1251", "cp1251", "Привет"),
    ("koi8-r", "koi8_r", "Привет"),
    ("iso-8859-2", "iso8859_2", "Žluťoučký kůň"),
    ("iso-8859-5", "iso8859_5", "Привет"),
    ("iso-8859-7", "iso8859_7", "Ελληνικά"),
    ("iso-8859-9", "cp1254", "İstanbul’da ığş"),
    ("windows-1255", "cp1255", "שלום"),
    ("windows-1256", "cp1256", "مرحبا"),
    ("tis-620", "cp874", "ภาษาไทย"),
    ("macintosh", "mac_roman", "café"),
    ("utf-8", "utf-8", "naïve 日本語 €"),
    ("utf-16le", "utf-16-le", "wide 日本"),
    ("utf-16be", "utf-16-be", "wide 日本"),
]


@pytest.mark.parametrize(("label", "codec", "text"), LEGACY)
def test_a_page_is_read_in_the_charset_of_its_header(label, codec, text):
    assert decode(text.encode(codec), label) == text


@pytest.mark.parametrize(("label", "codec", "text"), [case for case in LEGACY if not case[0].startswith("utf-16")])
@pytest.mark.parametrize(
    "head", ['<meta charset="{}">', "<META http-equiv=x content='text/html; charset={}'>", "<meta charset={} />"]
)
def test_or_of_its_meta(head, label, codec, text):
    page = f"<html><head><title>x</title>{head.format(label)}</head><p>{text}"
    assert decode(page.encode(codec)) == page


def test_or_of_its_xml_declaration():
    page = '<?xml version="1.0" encoding="windows-1251"?><p>Привет</p>'
    assert decode(page.encode("cp1251")) == page


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_counts_more_than_what_is_declared(codec):
    assert decode("<p>日本".encode(codec), "windows-1252") == "<p>日本"
    assert decode(codecs.BOM_UTF16_BE + "<p>日本".encode("utf-16-be"), "utf-8") == "<p>日本"


def test_the_header_counts_more_than_meta():
    page = '<meta charset="windows-1252"><p>Привет'
    assert decode(page.encode("cp1251"), "windows-1251") == page


def test_undeclared_pages_are_utf_8_if_they_can_be_and_windows_1252_otherwise():
    assert decode("naïve €".encode()) == "naïve €"
    assert decode("naïve €".encode("cp1252")) == "naïve €"


def test_iso_8859_1_means_windows_1252():
    assert decode("“quoted” €".encode("cp1252"), "ISO-8859-1") == "“quoted” €"


def test_meta_counts_only_in_the_first_4_kb_and_outside_of_comments():
    late = " " * 5000 + "<meta charset=windows-1251>"
    assert decode(late.encode() + "é".encode()).endswith("é")
    commented = "<!-- <meta charset=windows-1251> --><p>é"
    assert decode(commented.encode()) == commented


def test_a_page_that_was_read_as_ascii_is_not_utf_16():
    assert decode("<meta charset=utf-16><p>é".encode()) == "<meta charset=utf-16><p>é"


@pytest.mark.parametrize(
    "label",
    ["utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "rot13", "hex", "zlib", "base64", "undefined",
     "hz-gb-2312", "iso-2022-kr", "mbcs", "oem", "os", "../x", "", "é"],
)  # fmt: skip
def test_nothing_but_the_charsets_of_the_web_is_decoded(label):
    assert codec_of(label) is None
    page = f'<meta charset="{label}"><p>+ADw-script+AD4- é'
    assert decode(page.encode(), label) == page


def test_labels_are_read_as_they_are_written():
    assert codec_of(' "UTF8" ') == "utf-8"
    assert codec_of("Windows-1252") == "cp1252"


def test_every_codec_exists_and_is_one_of_text():
    for codec in charset._LABELS:
        assert codecs.lookup(codec)._is_text_encoding


def test_what_cannot_be_read_is_marked():
    assert decode(b"a\xff\xfeb", "utf-8") == "a\ufffd\ufffdb"
    assert decode("aé".encode()[:-1], "utf-8") == "a\ufffd"
    assert decode("日".encode("utf-16-le") + b"a", "utf-16") == "日\ufffd"


@pytest.mark.parametrize("text", ["é", "caf\u00e9", "a\u00e2\u0080"])
def test_a_page_that_ends_above_ascii_is_not_taken_for_utf_8(text):
    assert decode(text.encode("latin-1")) == text.encode("latin-1").decode("cp1252")


def test_half_a_character_at_the_end_of_a_truncated_page_is_dropped():
    for declared in ("utf-8", None):
        assert decode("aé".encode()[:-1], declared, truncated=True) == "a"
        assert decode(codecs.BOM_UTF8 + "aé".encode()[:-1], declared, truncated=True) == "a"
    assert decode("日本".encode("shift_jis")[:-1], "shift_jis", truncated=True) == "日"


def test_a_long_page_may_be_truncated():
    cut = b"a" * (charset.LONG - 1) + "é".encode()[:1]
    assert decode(cut) == decode(cut, truncated=True) == "a" * (charset.LONG - 1)
    assert decode(cut, truncated=False) == "a" * (charset.LONG - 1) + "Ã"
    assert decode(cut[1:]) == "a" * (charset.LONG - 2) + "Ã"


def test_characters_across_pieces(monkeypatch):
    monkeypatch.setattr(charset, "PIECE", 5)
    assert decode("日本語".encode() * 9) == "日本語" * 9
    assert decode(("日本語" * 9).encode("shift_jis"), "shift_jis") == "日本語" * 9
