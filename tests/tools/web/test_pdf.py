"""The text of PDF files."""

import io
import sys

import pypdf
import pytest

from tests.tools.web.pdfs import make_pdf
from tinyagent.core.errors import MissingExtraError
from tinyagent.tools.web import pdf
from tinyagent.tools.web.page import PageError
from tinyagent.tools.web.pdf import read_pdf


def encrypted(user_password, algorithm="RC4-128"):
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(make_pdf("secret")))
    writer.encrypt(user_password, "owner", algorithm=algorithm)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def test_pages_and_title():
    assert read_pdf(make_pdf("first page", "second", title="A  title"), 30) == (
        "A title", "[page 1]\nfirst page\n\n[page 2]\nsecond", False,
    )  # fmt: skip


def test_without_a_title():
    assert read_pdf(make_pdf("x"), 30) == ("", "[page 1]\nx", False)


def test_only_so_many_pages_are_read(monkeypatch):
    monkeypatch.setattr(pdf, "PAGES", 2)
    assert read_pdf(make_pdf("a", "b", "c"), 30) == ("", "[page 1]\na\n\n[page 2]\nb", True)


def test_a_page_that_takes_too_long_ends_the_reading(monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr(pdf.time, "monotonic", lambda: next(now))  # each look at the clock takes a second
    slow = b"BT /F1 12 Tf " + b"(x) Tj " * 2000 + b"ET"
    assert read_pdf(make_pdf("quick", slow, "after"), 30) == ("", "[page 1]\nquick", True)


def test_one_broken_page_does_not_spoil_the_others():
    broken = b"BT /F1 12 Tf (never closed Tj ET"
    assert read_pdf(make_pdf("a", broken, "c"), 30)[1] == "[page 1]\na\n\n[page 2 cannot be read]\n\n[page 3]\nc"
    with pytest.raises(PageError, match="broken"):
        read_pdf(make_pdf(broken), 30)


def test_not_a_page_in_time_is_an_error():
    with pytest.raises(PageError, match="within 1e-06 seconds"):
        read_pdf(make_pdf("a"), 0.000001)


def test_a_file_that_opens_without_a_password_is_read():
    assert read_pdf(encrypted(""), 30)[1] == "[page 1]\nsecret"


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_an_encrypted_file_is_refused(algorithm):
    with pytest.raises(PageError, match="encrypted"):
        read_pdf(encrypted("password", algorithm), 30)


def test_an_encrypted_file_is_refused_where_its_cipher_is_not_known(monkeypatch):
    def needs_more(self, password):
        raise pypdf.errors.DependencyError("cryptography>=3.1 is required for AES algorithm")

    monkeypatch.setattr(pypdf.PdfReader, "decrypt", needs_more)
    with pytest.raises(PageError, match="encrypted"):
        read_pdf(encrypted("", "AES-256"), 30)


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.4\n", b"no PDF at all", make_pdf("a")[:300], b"%PDF-1.7\n" + b"\xff\x00" * 5000]
)
def test_a_broken_file_is_an_error(content):
    with pytest.raises(PageError, match="broken"):
        read_pdf(content, 30)


def test_without_pypdf_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tinyagent\[pdf\]'"):
        pdf.check_installed()
