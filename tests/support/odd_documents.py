"""Odd and hostile documents, made in code."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path

import pikepdf
from pikepdf import Array, Dictionary, Name

OFFICER = Path(__file__).resolve().parents[2] / "flows" / "samples" / "inbox" / "officer-example.docx"


def pdf(content: bytes = b"BT /F1 14 Tf 72 700 Td (Body of the page.) Tj ET", *, extras: bool = False) -> bytes:
    """One page; with `extras` a filled form of two fields, a free text and a note."""
    made = pikepdf.new()
    font = made.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
    page = made.add_blank_page(page_size=(595, 842))
    page.obj.Resources = Dictionary(Font=Dictionary(F1=font))
    page.obj.Contents = made.make_stream(content)
    if extras:
        look = {"DA": "/F1 12 Tf", "F": 4, "Rect": [100, 600, 300, 620]}
        name = made.make_indirect(
            Dictionary(Type=Name.Annot, Subtype=Name.Widget, FT=Name.Tx, T="name", V="Ada Lovelace", **look)
        )
        agreed = made.make_indirect(
            Dictionary(Type=Name.Annot, Subtype=Name.Widget, FT=Name.Btn, T="agreed", V=Name.Yes, AS=Name.Yes, **look)
        )
        person = made.make_indirect(Dictionary(T="person", Kids=Array([name])))
        free = made.make_indirect(
            Dictionary(Type=Name.Annot, Subtype=Name.FreeText, Contents="paid by free text", **look)
        )
        note = made.make_indirect(
            Dictionary(Type=Name.Annot, Subtype=Name.Text, Contents="call back on Friday", **look)
        )
        page.obj.Annots = made.make_indirect(Array([name, agreed, free, note]))
        made.Root.AcroForm = Dictionary(Fields=Array([person, agreed]), DA="/F1 12 Tf")
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def pdf_with_scans(*texts: str) -> bytes:
    """A page for each text; without one it holds a picture, as a scanner leaves it."""
    made = pikepdf.new()
    font = made.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
    look = {"Type": Name.XObject, "Subtype": Name.Image, "ColorSpace": Name.DeviceGray, "BitsPerComponent": 8}
    picture = made.make_stream(b"\x80" * 100, Width=10, Height=10, **look)
    for text in texts:
        page = made.add_blank_page(page_size=(595, 842))
        page.obj.Resources = Dictionary(Font=Dictionary(F1=font), XObject=Dictionary(P=picture))
        content = f"BT /F1 14 Tf 72 700 Td ({text}) Tj ET" if text else "q 500 0 0 700 50 50 cm /P Do Q"
        page.obj.Contents = made.make_stream(content.encode())
        if text:
            del page.obj.Resources.XObject
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def mail(
    subject: str, text: str = "", *, inside: EmailMessage | None = None, files: Mapping[str, bytes] | None = None
) -> EmailMessage:
    """A mail, perhaps with another inside of it that has no name, and with attachments."""
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "Ada <ada@example.com>", "b@example.com"
    made.set_content(text or subject)
    for name, content in (files or {}).items():
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    if inside is not None:
        made.add_attachment(inside)
    return made


def docx_with_extras() -> bytes:
    """A document with a running head and foot and a comment."""
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    text = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
    parts = {
        "header7": f"<w:hdr {space}>{text.format('running head')}</w:hdr>",
        "footer7": f"<w:ftr {space}>{text.format('running foot')}</w:ftr>",
        "comments": f'<w:comments {space}><w:comment w:id="1">{text.format("remark of Ada")}</w:comment></w:comments>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(OFFICER) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for entry in source.infolist():
            made.writestr(entry.filename, source.read(entry))
        for name, part in parts.items():
            made.writestr(f"word/{name}.xml", part)
    return out.getvalue()


def lying_docx(words: int) -> bytes:
    """A document whose directory says that its text is a few bytes shorter than it is, so that readers stop early."""
    out = io.BytesIO()
    with zipfile.ZipFile(OFFICER) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "word/document.xml":
                begin, _ = content.split(b"<w:body>", 1)
                text = b"".join(b"<w:p><w:r><w:t>word %d</w:t></w:r></w:p>" % number for number in range(words))
                content = begin + b"<w:body>" + text + b"<w:sectPr/></w:body></w:document>"
            made.writestr(entry.filename, content)
    return _shortened(out.getvalue(), b"word/document.xml")


def _shortened(archive: bytes, part: bytes) -> bytes:
    """The size a part says it has, less by 20 bytes, in both of its entries (APPNOTE 4.3.7 and 4.3.12)."""
    changed = bytearray(archive)
    for mark, size_at, name_at in ((b"PK\x03\x04", 22, 30), (b"PK\x01\x02", 24, 46)):
        at = -1
        while (at := archive.find(mark, at + 1)) >= 0:
            if archive[at + name_at : at + name_at + len(part)] == part:
                (size,) = struct.unpack_from("<I", archive, at + size_at)
                struct.pack_into("<I", changed, at + size_at, size - 20)
    return bytes(changed)
