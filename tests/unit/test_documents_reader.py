"""What a document holds comes out, or the record says what was left out; read in real sandboxes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pikepdf
import pytest

from redrive.flows.documents.formats import Unreadable
from tests.support.odd_documents import docx_with_extras, mail, pdf, pdf_with_scans

RUSSIAN = "Уважаемые коллеги, отчёт за третий квартал готов. Просим прислать замечания до пятницы."


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
