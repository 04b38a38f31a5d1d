"""The text of a PDF, with the extra `[pdf]`, in a worker process."""

from __future__ import annotations

import contextlib
import io
import pkgutil
import time
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tinyagent.core.errors import MissingExtraError
from tinyagent.tools.web.page import PageError

if TYPE_CHECKING:
    from pypdf import PdfReader

#: Pages of a PDF that are read at most.
PAGES = 200


class _OutOfTimeError(Exception):
    pass


def check_installed() -> None:
    """Check that pypdf, which reads PDFs, is installed.

    Raises:
        MissingExtraError: It is not installed; the text holds the line to install it.
    """
    if find_spec("pypdf") is None:
        raise MissingExtraError("To read a PDF: pip install 'tinyagent[pdf]'")


def prepare() -> None:
    """Load all that PDFs need: also every codec, as fonts may name any."""
    import encodings

    import pypdf

    for package in (pypdf, encodings):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):  # Windows' own codecs, and parts that need other packages
                import_module(module.name)


def answer(request: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the title and the text of a PDF, and whether pages were `left_out`; or the `error`."""
    try:
        title, text, left_out = read_pdf(content, 0.9 * request["seconds"])
    except PageError as error:
        return {"error": str(error)}, b""
    return {"title": title, "left_out": left_out}, text.encode(errors="replace")


def read_pdf(content: bytes, seconds: float) -> tuple[str, str, bool]:
    """Return the title and the text of a PDF, page by page, and whether pages were left out.

    It takes some 20 ms a page. Reads `PAGES` pages at most, and as many as the time allows.

    Args:
        content: The bytes of the file.
        seconds: How many seconds reading may take.

    Raises:
        PageError: The PDF is encrypted or broken, or not one page could be read in time.
    """
    until = time.monotonic() + seconds
    try:
        reader = _open(content)
        pages, left_out = _pages(reader, until)
        title = str((reader.metadata and reader.metadata.title) or "")
    except PageError:
        raise
    except Exception as error:  # pypdf raises errors of many kinds for broken files
        raise PageError(
            f"The PDF cannot be read: it is broken ({type(error).__name__}: {str(error)[:200]})."
        ) from error
    if left_out and not pages:
        raise PageError(f"The PDF could not be read within {seconds:g} seconds.")
    return " ".join(title.split())[:300], "\n\n".join(pages), left_out


def _open(content: bytes) -> PdfReader:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    reader = PdfReader(io.BytesIO(content))
    try:
        locked = reader.is_encrypted and not reader.decrypt("")
    except DependencyError:  # a cipher for which pypdf needs another package
        locked = True
    if locked:
        raise PageError("The PDF is encrypted: its text cannot be read.")
    return reader


def _pages(reader: PdfReader, until: float) -> tuple[list[str], bool]:
    """Return the text of each page, and whether some were left out."""

    def check_time(*_: Any) -> None:
        if time.monotonic() > until:
            raise _OutOfTimeError

    pages: list[str] = []
    whole, broken = 0, None
    for number, page in enumerate(reader.pages, 1):
        if number > PAGES:
            return pages, True
        try:
            check_time()
            text = page.extract_text(visitor_operand_before=check_time)
        except _OutOfTimeError:
            return pages, True
        except Exception as error:  # noqa: BLE001 - the other pages may be whole
            broken = error
            pages.append(f"[page {number} cannot be read]")
            continue
        whole += 1
        pages.append(f"[page {number}]\n{text.strip()}")
    if broken is not None and not whole:
        raise broken
    return pages, False
