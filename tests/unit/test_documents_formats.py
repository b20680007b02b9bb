"""Telling formats apart and refusing what is none, before anything is parsed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from redrive.blocks.errors import PermanentError
from redrive.flows.document_text import formats
from redrive.flows.documents import listed, safe_name

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples" / "inbox"
TEXT = "Größe: 3 µm – „genau“\nzweite Zeile"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_is_decoded_whatever_its_encoding(encoding: str):
    assert formats.decoded(TEXT.encode(encoding)) == TEXT


def test_text_that_is_no_utf8_is_read_as_windows_1252():
    assert formats.decoded("naïve café €".encode("cp1252")) == "naïve café €"


@pytest.mark.parametrize("sample", sorted(SAMPLES.iterdir()), ids=lambda path: path.suffix)
def test_every_sample_has_a_format(sample: Path):
    assert "/" in formats.format_of(sample)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("plan.pdf", b"<html>not here</html>", "is no PDF"),
        ("empty.txt", b"", "empty file of 0 bytes"),
        ("program.exe", b"MZ", "of no format Redrive reads"),
        ("broken.docx", b"PK\x03\x04 and then nothing", "is corrupt"),
    ],
)
def test_what_is_no_document_is_refused_by_name(tmp_path: Path, name: str, content: bytes, said: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PermanentError, match=said) as refused:
        formats.format_of(tmp_path / name)
    assert name in str(refused.value)


def test_zip_bomb_is_refused_before_it_is_opened(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(30 * 1024 * 1024))
    with pytest.raises(PermanentError, match="as a zip bomb does"):
        formats.format_of(tmp_path / "bomb.xlsx")


@pytest.mark.parametrize("part", ["../../etc/cron.d/x", "/etc/passwd", "word\\..\\..\\x"])
def test_part_that_points_outside_is_refused(tmp_path: Path, part: str):
    with zipfile.ZipFile(tmp_path / "letter.docx", "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
        archive.writestr(part, "x")
    with pytest.raises(PermanentError, match="points outside"):
        formats.format_of(tmp_path / "letter.docx")


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\plan.doc", "plan.doc"),
        (".ssh", "ssh"),
        ("re\x00port\n.pdf", "re_port_.pdf"),
        ("..", "unnamed"),
        ("Büro (1).pdf", "Büro (1).pdf"),
    ],
)
def test_attachment_names_become_safe(given: str, safe: str):
    assert safe_name(given) == safe


def test_long_attachment_name_keeps_its_ending():
    assert safe_name("a" * 300 + ".pdf").endswith("aaa.pdf")
    assert len(safe_name("a" * 300 + ".pdf")) <= 100


def test_folder_is_listed_by_pattern_without_hidden_files(tmp_path: Path):
    for name in ("b.pdf", "a.pdf", "c.txt", ".hidden.pdf"):
        (tmp_path / name).write_text("x")
    assert [Path(file.path).name for file in listed(tmp_path, "*.pdf")] == ["a.pdf", "b.pdf"]


@pytest.mark.parametrize(("path", "said"), [("missing", "does not exist"), ("file/inside", "cannot be read")])
def test_inbox_that_cannot_be_read_says_so(tmp_path: Path, path: str, said: str):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PermanentError, match=said):
        listed(tmp_path / path, "*")


def test_folder_without_a_fitting_file_says_so(tmp_path: Path):
    with pytest.raises(PermanentError, match=r"no file in .* fits the pattern '\*\.pdf'"):
        listed(tmp_path, "*.pdf")
