"""PDF files made by hand."""


def make_pdf(*pages, title=None):
    """A PDF with a line of text on each page. `pages`: the texts, or bytes as the page's drawing instructions."""
    drawings = [
        page if isinstance(page, bytes) else f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET".encode() for page in pages
    ]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, drawing in enumerate(drawings):
        resources = f"/Resources<</Font<</F1 3 0 R>>>>/MediaBox[0 0 612 792]/Contents {5 + 2 * number} 0 R"
        objects.append(f"<</Type/Page/Parent 2 0 R{resources}>>".encode())
        objects.append(b"<</Length %d>>stream\n%b\nendstream" % (len(drawing), drawing))
    information = f"/Info {len(objects) + 1} 0 R" if title is not None else ""
    if title is not None:
        objects.append(f"<</Title({title})>>".encode())
    file, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj%b endobj\n" % (number, content)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(places) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Size {size}/Root 1 0 R{information}>>"
    return file + f"{end}\nstartxref\n{len(file)}\n%%EOF".encode()
