"""What a document holds comes out, or the record says what was left out; read in real sandboxes."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import openpyxl
import pikepdf
import pytest

from redrive.flows.documents import attached, budget, formats, reader
from redrive.flows.documents.answer import Answer
from redrive.flows.documents.attached import join_texts
from redrive.flows.documents.budget import Budget
from redrive.flows.documents.content import private_copy
from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.sandboxes import Sandboxes
from tests.support.odd_documents import docx_with_extras, mail, pdf, pdf_with_scans

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples" / "inbox"
RUSSIAN = "Уважаемые коллеги, отчёт за третий квартал готов. Просим прислать замечания до пятницы."


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    with Sandboxes() as running:
        yield running


@pytest.fixture
def read(sandboxes: Sandboxes, tmp_path: Path) -> Any:
    """Text and findings of a document given by name and content."""

    def reading(name: str, content: bytes) -> tuple[str, dict[str, Any]]:
        (tmp_path / name).write_bytes(content)
        with (
            private_copy(tmp_path / name) as copy,
            sandboxes.extracted(copy.file, formats.by_ending(name)) as made,
        ):
            join_texts(sandboxes, made, ends=time.monotonic() + 60)
            return made.text.decode(), made.found.model_dump()

    return reading


def test_forwarded_mails_without_names_are_read_with_their_attachments(read: Any):
    inner = mail("The order", "three apples", files={"list.bin": b"1"})
    text, found = read("m.eml", mail("Fwd", "see below", inside=mail("Fwd: again", inside=inner)).as_bytes())
    assert "see below" in text
    assert "Subject: The order\nFrom: Ada <ada@example.com>" in text
    assert "three apples" in text
    assert [one["name"] for one in found["attachments"]] == ["list.bin"]
    assert found["left_out"] == []


def test_heads_feet_comments_and_text_boxes_of_office_files_are_in_the_text(read: Any):
    text, _ = read("m.docx", docx_with_extras())
    for words in ("Petals", "Header:\n", "running head\n\nFooter:\n", "running foot", "Comments:\nremark of Ada"):
        assert words in text
    book = openpyxl.Workbook()
    book.active["B2"] = "cell"
    book.active["B2"].comment = openpyxl.comments.Comment("remark in a cell", "Ada")
    content = io.BytesIO()
    book.save(content)
    assert "Comments:\nB2: remark in a cell" in read("b.xlsx", content.getvalue())[0]


def test_files_inside_of_a_pdf_are_kept_and_read(read: Any):
    made = pikepdf.open(io.BytesIO(pdf()))
    made.attachments["inside.txt"] = pikepdf.AttachedFileSpec(made, b"words inside", filename="inside.txt")
    content = io.BytesIO()
    made.save(content)
    text, found = read("m.pdf", content.getvalue())
    assert "Body of the page." in text
    assert "Attachment inside.txt:\n\nwords inside" in text
    assert [one["name"] for one in found["attachments"]] == ["inside.txt"]


@pytest.mark.parametrize(
    "page",
    [
        "<form><fieldset><legend>Order</legend>three words inside</fieldset></form>",
        "<nav>three words inside</nav>",
        "<table><caption>three words inside</caption><tr><td>1</td></tr></table>",
        "<svg><text>three words inside</text></svg>",
        "<select><option>three words inside<option>more</select>",
        "<noscript>three words inside</noscript>",
        "<p>after the end</p></html><dialog>three words inside",
    ],
)
def test_no_words_of_a_page_are_left_out(read: Any, page: str):
    text, _ = read(
        "p.html", f"<title>T</title><script>var hidden</script><style>b {{}}</style><p>plain</p>{page}".encode()
    )
    assert "three words inside" in text
    assert text.count("plain") == 1
    assert "var hidden" not in text


def test_lines_that_repeat_on_every_page_stay_in_the_text_of_a_pdf(read: Any):
    made = pikepdf.new()
    for number in range(6):
        with pikepdf.open(
            io.BytesIO(pdf(f"BT /F1 9 Tf 72 800 Td (Total due 0.00) Tj 0 -300 Td (Page {number}) Tj ET".encode()))
        ) as one:
            made.pages.extend(one.pages)
    content = io.BytesIO()
    made.save(content)
    assert read("m.pdf", content.getvalue())[0].count("Total due 0.00") == 6


def test_page_that_says_much_more_than_the_plain_text_beside_it_is_read_too(read: Any):
    whole = mail("Offer", "Please view this mail as a page.")
    whole.add_alternative(f"<p>The order: {'three apples and a pear ' * 8}</p>", subtype="html")
    text, _ = read("m.eml", whole.as_bytes())
    assert "view this mail" in text
    assert "three apples" in text


def test_head_in_a_charset_of_its_own_is_not_garbled(read: Any):
    text, found = read("m.eml", "Subject: Größe\nFrom: Jörg <j@example.com>\n\nx\n".encode("latin-1"))
    assert "Subject: Größe\nFrom: Jörg <j@example.com>" in text
    assert (found["title"], found["authors"]) == ("Größe", ["Jörg"])


def test_text_of_attached_documents_belongs_to_the_mail(read: Any):
    inner = mail("Inner", "inner words", files={"deep.txt": b"deep words"}).as_bytes()
    files = {
        "page.pdf": pdf(),
        "list.csv": b"name,amount\nAda,7\n",
        "letter.docx": (SAMPLES / "officer-example.docx").read_bytes(),
        "book.xlsx": (SAMPLES / "notable-deaths-2016.xlsx").read_bytes(),
        "again.eml": inner,
        "russian.txt": RUSSIAN.encode("koi8-r"),
        "photo.jpg": b"\xff\xd8\xff\xe0",
    }
    text, found = read("m.eml", mail("Outer", "outer words", files=files).as_bytes())
    for words in (
        "outer words",
        "Body of the page.",
        "Ada,7",
        "Petals",
        "David Bowie",
        "inner words",
        "deep words",
        RUSSIAN,
    ):
        assert words in text
    assert "Attachment page.pdf:\n\n" in text
    assert [one["name"] for one in found["attachments"]] == list(files)
    assert found["left_out"] == []
    assert (found["characters"], found["words"]) == (len(text), len(text.split()))
    assert found["text_sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_attachment_that_cannot_be_read_is_named_and_keeps_nothing_else_out(read: Any):
    files = {
        "torn.pdf": b"%PDF-1.7 and nothing else",
        "no.docx": b"\x00\x01",
        "scan.pdf": pdf(b""),
        "good.txt": b"good words",
    }
    text, found = read("m.eml", mail("Outer", "outer words", files=files).as_bytes())
    assert "outer words" in text
    assert "good words" in text
    assert len(found["attachments"]) == 4
    for name, why in (
        ("torn.pdf", "cannot be read"),
        ("no.docx", "is corrupt"),
        ("scan.pdf", "neither text nor pictures"),
    ):
        assert any(f"1 attachment's text: {name}" in line and why in line for line in found["left_out"]), found[
            "left_out"
        ]


def test_attached_texts_beyond_the_budget_are_counted(read: Any, monkeypatch: pytest.MonkeyPatch):
    small = dataclasses.replace(Budget(), documents=2, depth=1)
    monkeypatch.setattr(attached, "Budget", lambda: small)
    inner = mail("Inner", files={"deep.txt": b"deep words"}).as_bytes()
    files = {"again.eml": inner, "a.txt": b"words a", "b.txt": b"words b"}
    text, found = read("m.eml", mail("Outer", files=files).as_bytes())
    assert "words a" in text
    assert "words b" not in text
    assert "deep words" not in text
    assert found["left_out"] == [
        "1 attachments' texts more than 1 deep in others",
        "1 attachments' texts after the first 1,000",
    ]


def test_attached_texts_for_which_no_time_is_left_are_counted(sandboxes: Sandboxes, tmp_path: Path):
    (tmp_path / "m.eml").write_bytes(mail("Outer", files={"a.txt": b"words a"}).as_bytes())
    with private_copy(tmp_path / "m.eml") as copy, sandboxes.extracted(copy.file, formats.EML) as made:
        join_texts(sandboxes, made, ends=time.monotonic())
        assert made.found.left_out == ["1 attachments' texts, for which no time was left"]


def test_second_and_later_text_parts_are_read_and_only_one_version_of_the_same_text(read: Any):
    first = EmailMessage()
    first.set_content("plain words")
    first.add_alternative("<p>the same as page</p>", subtype="html")
    whole = EmailMessage()
    whole["Subject"] = "parts"
    whole.make_mixed()
    whole.attach(first)
    for subtype, content in (
        ("plain", "second part"),
        ("html", "<p>third part</p>"),
        ("calendar", "SUMMARY:fourth part"),
    ):
        part = EmailMessage()
        part.set_content(content, subtype=subtype)
        whole.attach(part)
    text, _ = read("m.eml", whole.as_bytes())
    assert all(words in text for words in ("plain words", "second part", "third part", "fourth part"))
    assert "the same as page" not in text


def test_attachment_inside_the_other_version_of_a_text_is_kept(read: Any):
    whole = EmailMessage()
    whole["Subject"] = "picture"
    whole.set_content("plain words")
    whole.add_alternative("<p>page</p>", subtype="html")
    page = whole.get_payload()[1]  # type: ignore[index]
    page.add_related(b"GIF87a", maintype="image", subtype="gif", cid="<1>", filename="logo.gif")  # type: ignore[union-attr]
    assert [one["name"] for one in read("m.eml", whole.as_bytes())[1]["attachments"]] == ["logo.gif"]


def test_more_than_200_attachments_are_all_kept(read: Any):
    files = {f"{number}.bin": b"x" for number in range(250)}
    assert len(read("m.eml", mail("many", files=files).as_bytes())[1]["attachments"]) == 250


def test_mails_nested_deeper_than_the_budget_are_counted(read: Any):
    nested = mail("innermost")
    for depth in range(budget.DEPTH_LIMIT + 3):
        nested = mail(f"level {depth}", inside=nested)
    text, found = read("m.eml", nested.as_bytes())
    assert "level 3" in text
    assert "innermost" not in text
    assert found["left_out"] == [f"1 mails more than {budget.DEPTH_LIMIT} deep in others"]


def test_what_the_budget_leaves_out_is_counted():
    small = Budget(attachments=2, attachment_bytes=5, text=10)
    files = {"a": b"123", "b": b"123", "c": b"1", "d": b"1"}
    with tempfile.TemporaryFile() as file:
        text, found = reader.read_mail(mail("many", files=files).as_bytes(), Answer(file.fileno()), small)
    assert [one["name"] for one in found["attachments"]] == ["a", "c"]
    assert small.fitting(text) == text[:10]
    assert [line.split()[0] for line in small.left_out] == ["1", "1", f"{len(text) - 10:,}"]
    assert dataclasses.asdict(small)["attachments"] == 0


def test_mail_in_koi8_without_a_charset_is_not_garbled(read: Any):
    head = b"Subject: hello\nFrom: a@example.com\n\n"
    assert RUSSIAN in read("m.eml", head + RUSSIAN.encode("koi8-r"))[0]


def test_mail_without_headers_is_refused(read: Any):
    with pytest.raises(Unreadable, match="so it is no mail"):
        read("note.eml", b"just some words\n\nand more")


def test_form_values_and_annotations_of_a_pdf_are_in_the_text(read: Any):
    text, _ = read("form.pdf", pdf(extras=True))
    assert "Body of the page." in text
    assert "Form fields:\nperson.name: Ada Lovelace\nagreed: Yes" in text
    assert "Page 1: paid by free text" in text
    assert "Page 1: call back on Friday" in text


def test_text_that_only_a_second_reader_finds_is_not_called_empty(read: Any):
    text, found = read("off.pdf", pdf(b"BT /F1 14 Tf 2000 2000 Td (Beside the page.) Tj ET"))
    assert "Beside the page." in text
    assert found["reader"] == "pypdfium2"
    assert found["empty_because"] is None


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (lambda whole: whole[: whole.rindex(b"--==")], "1 end of a mail, which breaks off"),
        (lambda whole: whole.replace(b"--==", b"__=="), "1 mail in parts, none of which is found"),
        (lambda whole: whole.replace(b"QUJD", b"Q*!UJD"), "1 part whose encoding is damaged (base64): read as far"),
        (lambda whole: whole.replace(b"QUJD", b"QUJDR"), "1 part whose encoding is damaged (base64): kept as it came"),
        (lambda whole: whole, ""),
    ],
    ids=["cut off", "no boundary", "other characters", "too short", "whole"],
)
def test_mail_that_is_damaged_says_so(read: Any, part: Callable[[bytes], bytes], said: str):
    whole = mail("Cut", "some words", files={"data.bin": b"ABC"}).as_bytes()
    left_out = read("m.eml", part(whole))[1]["left_out"]
    assert said in "".join(left_out)
    assert bool(left_out) == bool(said)


def test_pages_that_only_a_scanner_knows_are_counted_as_left_out(read: Any):
    text, found = read("half.pdf", pdf_with_scans("The first page.", "", "The third page.", ""))
    assert text == "The first page.\n\nThe third page."
    assert found["left_out"] == ["2 of its 4 pages, which hold pictures and no text layer (2, 4)"]
    assert read("all.pdf", pdf_with_scans("", ""))[1]["left_out"] == []


def test_pdf_without_text_says_why(read: Any):
    assert read("blank.pdf", pdf(b""))[1]["empty_because"] == "its pages hold neither text nor pictures"


@pytest.mark.parametrize(
    ("encoding", "declares"),
    [("shift_jis", True), ("shift_jis", False), ("utf-16", False), ("koi8-r", True), ("gb18030", False)],
)
def test_page_is_not_garbled(read: Any, encoding: str, declares: bool):
    words = {
        "shift_jis": "東京都は明日から雨が降るでしょう。会議は午後三時に始まります。",
        "gb18030": "请注意。本季度的销售报告已经完成。谢谢合作。",
    }
    said = words.get(encoding, RUSSIAN)
    meta = f'<meta charset="{encoding}">' if declares else ""
    text, found = read(
        "page.html", f"<html><head>{meta}<title>{said}</title></head><body><p>{said}</p></body></html>".encode(encoding)
    )
    assert said in text
    assert found["title"] == said


def test_pictures_inside_a_page_stay_out_of_its_text(read: Any):
    picture = "data:image/png;base64," + "iVBORw0KGgo" * 5000
    text, _ = read(
        "page.html", f'<p>before</p><img alt="logo" src="{picture}"><img src=\'{picture}\'><p>after</p>'.encode()
    )
    assert "before" in text
    assert "after" in text
    assert "iVBOR" not in text
    whole = mail("page")
    whole.set_content(f'<p>before</p><img src="{picture}">', subtype="html")
    assert "iVBOR" not in read("m.eml", whole.as_bytes())[0]


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
        bytes(range(256)) * 40,
        b"%PDF-1.7\n1 0 obj",
        b"\x7fELF\x02\x01\x01" + bytes(500),
    ],
    ids=["png", "bytes", "pdf", "elf"],
)
@pytest.mark.parametrize("name", ["note.txt", "table.csv", "page.html"])
def test_binary_with_the_name_of_a_text_is_refused(read: Any, name: str, content: bytes):
    with pytest.raises(Unreadable, match="is no text"):
        read(name, content)


def test_log_with_colours_and_a_stray_zero_byte_is_a_text(read: Any):
    assert "started" in read("app.log", b"\x1b[32mstarted\x1b[0m\n" * 50 + b"\x00")[0]


def test_corrupt_office_file_is_refused(read: Any, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x", "w") as made:
        made.writestr("word/document.xml", "<broken")
    with pytest.raises(Unreadable, match="cannot be read"):
        read("x.docx", (tmp_path / "x").read_bytes())
