"""Folders of documents for benchmarks, the same at each run: made of words, and of the samples."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import openpyxl
import pikepdf
from pikepdf import Dictionary, Name

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples" / "inbox"
WORDS = (SAMPLES / "apache-license-2.0.txt").read_text().split()

Files = Iterator[tuple[str, bytes]]


def make(name: str, folder: Path) -> int:
    """Fill a folder with a set; how many files."""
    folder.mkdir()
    count = 0
    for count, (file, content) in enumerate(SETS[name](random.Random(7)), 1):  # noqa: B007  (the last one counts)
        (folder / file).write_bytes(content)
    return count


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(WORDS, k=words))


def _mixed_pdfs(draw: random.Random) -> Files:
    """Of 1 to 40 pages, most of them short; every fifth one with pages of a real manual."""
    manual = (SAMPLES / "filesystem-hierarchy-standard-3.0.pdf").read_bytes()
    for number in range(150):
        made = pikepdf.new()
        pages = min(40, int(draw.paretovariate(0.8)))
        if number % 5 == 0:
            with pikepdf.open(io.BytesIO(manual)) as source:
                made.pages.extend(source.pages[: min(pages, 20)])
        else:
            font = made.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
            for _ in range(pages):
                page = made.add_blank_page(page_size=(595, 842))
                page.obj.Resources = Dictionary(Font=Dictionary(F1=font))
                lines = (_text(draw, 12).replace("\\", "").replace("(", "").replace(")", "") for _ in range(45))
                shown = "".join(f"({line}) Tj T* " for line in lines)
                page.obj.Contents = made.make_stream(
                    f"BT /F1 9 Tf 12 TL 50 790 Td {shown} ET".encode("latin-1", "replace")
                )
        made.docinfo["/Title"] = f"Document {number}"
        yield f"{number:03}.pdf", _saved(made)


def _large_pdfs(draw: random.Random) -> Files:
    """A real manual of 50 pages, ten times over."""
    manual = (SAMPLES / "filesystem-hierarchy-standard-3.0.pdf").read_bytes()
    for number in range(4):
        made = pikepdf.new()
        with pikepdf.open(io.BytesIO(manual)) as source:
            for _ in range(10):
                made.pages.extend(source.pages)
        made.docinfo["/Title"] = f"Manual {number} {draw.random()}"
        yield f"{number}.pdf", _saved(made)


def _office(draw: random.Random) -> Files:
    """Texts of 3 to 100 pages and sheets of 200 to 5,000 rows, the short ones more frequent."""
    for number in range(66):
        yield f"{number:03}.docx", _docx(draw, paragraphs=min(2000, int(60 * draw.paretovariate(0.9))))
    for number in range(65):
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        for _ in range(min(5000, int(200 * draw.paretovariate(0.9)))):
            sheet.append([draw.randrange(10**6), draw.random(), *_text(draw, 4).split()])
        out = io.BytesIO()
        book.save(out)
        yield f"{number:03}.xlsx", out.getvalue()


def _docx(draw: random.Random, *, paragraphs: int) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(SAMPLES / "officer-example.docx") as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "word/document.xml":
                begin, end = content.split(b"<w:body>", 1)
                more = "".join(f"<w:p><w:r><w:t>{_plain(draw)}</w:t></w:r></w:p>" for _ in range(paragraphs))
                content = begin + b"<w:body>" + more.encode() + end
            made.writestr(entry.filename, content)
    return out.getvalue()


def _plain(draw: random.Random) -> str:
    return "".join(c for c in _text(draw, 40) if c not in "<>&")


def _mails(draw: random.Random) -> Files:
    for number in range(400):
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = _text(draw, 6), "Ada <ada@example.com>", "b@example.com"
        mail["Date"] = "Fri, 20 Apr 2001 19:35:02 -0400"
        mail.set_content(_text(draw, 150))
        if number % 3 == 0:
            mail.add_alternative(f"<p>{_plain(draw)}</p>", subtype="html")
        if number % 5 == 0:
            mail.add_attachment(
                draw.randbytes(30_000), maintype="application", subtype="octet-stream", filename="data.bin"
            )
        yield f"{number:03}.eml", mail.as_bytes()


def _texts(draw: random.Random) -> Files:
    for number in range(500):
        yield f"{number:03}.txt", _text(draw, draw.randrange(20, 1500)).encode()


def _saved(made: pikepdf.Pdf) -> bytes:
    out = io.BytesIO()
    made.save(out, deterministic_id=True)
    return out.getvalue()


def _pdfs_and_office(draw: random.Random) -> Files:
    yield from _mixed_pdfs(draw)
    yield from _office(draw)


SETS: dict[str, Callable[[random.Random], Files]] = {
    "PDFs and office files": _pdfs_and_office,
    "150 mixed PDFs": _mixed_pdfs,
    "131 office files": _office,
    "large PDFs": _large_pdfs,
    "mails": _mails,
    "small texts": _texts,
}
