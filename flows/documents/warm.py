"""What a template loads and does once for all its sandboxes, by what they will read."""

from __future__ import annotations

import io
import tempfile
import zipfile

from redrive.flows.documents import charset, formats, reader
from redrive.flows.documents.answer import Answer
from redrive.flows.documents.attachments import Attachments
from redrive.flows.documents.budget import Budget
from redrive.flows.documents.language import language
from redrive.flows.documents.template_kind import Kind

#: A page of our own: reading it makes kreuzberg unpack its PDF library, once for all sandboxes.
PDF_PAGE = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
_MAIL = (
    b"From: Ada <ada@example.com>\nTo: b@example.com\nDate: Fri, 20 Apr 2001 19:35:02 -0400\nSubject: =?utf-8?q?gr=C3=BCn?=\n"
    b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/plain; charset="utf-8"\n'
    b"Content-Transfer-Encoding: quoted-printable\n\nwords\n--x--\n"
)
_SENTENCE = "What is done here once would else be done again by each of those that read a document after this one, for itself alone."


def warm(kind: Kind) -> None:
    """Do once, on what is ours, what each sandbox would else do for itself: late imports, compiled patterns. Starts no thread."""
    for text in (b"gr\xc3\xbcn", "зелёный".encode("koi8-r")):
        charset.is_binary(text, charset.decoded(text))
    language(_SENTENCE)
    if kind < Kind.PAGES:
        return
    import kreuzberg  # noqa: F401, PLC0415  (as in `formats`)

    with tempfile.TemporaryFile() as file:
        answer = Answer(file.fileno())
        reader.read_mail(_MAIL, answer, Budget())
        formats.check(_archive(), formats.DOCX)
        if kind < Kind.PDFS:
            return
        from redrive.flows.documents import pdf_extras  # noqa: PLC0415  (as in `reader`)

        pdf_extras.extras(PDF_PAGE, Budget(), Attachments(answer, Budget()))


def _archive() -> bytes:
    """A zip of our own with the one part that is looked for; its name makes zipfile load the codec of old names."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", "<w:document/>")
    return content.getvalue()
