"""The charset of a page: which characters its bytes stand for."""

from __future__ import annotations

import codecs
import re

#: Bytes at the beginning in which a page may name its charset.
PRESCAN = 4096
#: Bytes decoded in one go, so that the interpreter is never held for long.
PIECE = 262_144
#: Bytes of the shortest page that may have been cut, where nobody says whether it was.
LONG = 65_536

#: Names of charsets by Python's codec, from the table of the Encoding Standard, https://encoding.spec.whatwg.org/#names-and-labels.
#: Nothing else is ever decoded. Some labels mean more than they say: a page in "iso-8859-1" is read as windows-1252.
_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e "
    "iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 "
    "iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 "
    "iso_8859-8 iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 "
    "iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 "
    "windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 "
    "windows-949",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
}
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(
    rb"""<meta[ \t\n\r\f/][^>]*?charset[ \t\n\r\f]*=[ \t\n\r\f]*["']?[ \t\n\r\f]*([\w:.-]+)""", re.IGNORECASE
)
_XML = re.compile(rb"""<\?xml[^>]*?encoding[ \t\n\r]*=[ \t\n\r]*["']([\w:.-]+)""")


def load_codecs() -> None:
    """Load all of Python's codecs that pages may need: for a process that will not be able to."""
    for codec in _LABELS:
        codecs.lookup(codec)


def codec_of(label: str) -> str | None:
    """Return Python's codec for a charset's name on the web; `None` for names that no browser reads."""
    return _CODECS.get(label.strip("\"' \t\r\n").lower())


def decode(content: bytes, declared: str | None = None, *, truncated: bool | None = None) -> str:
    """Decode the bytes of a page into its text.

    The charset is what the byte order mark says, else `declared`, else the page's own declaration in its first 4 kB,
    else UTF-8 when it is that, else windows-1252. What cannot be read becomes U+FFFD; half a character at the end of a
    truncated page is dropped.

    Args:
        content: The bytes.
        declared: The `charset` of the `Content-Type` header.
        truncated: Whether the page goes on after these bytes; `None` if unknown: then a long page may have been cut.
    """
    whole = len(content) < LONG if truncated is None else not truncated
    for mark, marked in _MARKS:
        if content.startswith(mark):
            return _decode(content[len(mark) :], marked, whole=whole)
    codec = codec_of(declared) if declared else None
    codec = codec or _declared_inside(content[:PRESCAN])
    if codec is not None:
        return _decode(content, codec, whole=whole)
    try:
        return _decode(content, "utf-8", "strict", whole=whole)
    except UnicodeDecodeError:
        return _decode(content, "cp1252", whole=whole)


def _declared_inside(beginning: bytes) -> str | None:
    """Return the codec that an XML declaration or a `<meta>` names; that was read as ASCII, so it cannot be UTF-16."""
    found = _XML.match(beginning) or _META.search(_COMMENT.sub(b"", beginning))
    codec = codec_of(found[1].decode("ascii", "replace")) if found else None
    return "utf-8" if codec in {"utf-16-le", "utf-16-be"} else codec


def _decode(content: bytes, codec: str, errors: str = "replace", *, whole: bool) -> str:
    decoder = codecs.getincrementaldecoder(codec)(errors)
    pieces = [decoder.decode(content[at : at + PIECE]) for at in range(0, len(content), PIECE)]
    return "".join(pieces) + decoder.decode(b"", final=whole)
