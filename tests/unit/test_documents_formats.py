"""Telling formats apart and refusing what is none, before anything is parsed."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from redrive.blocks.core.errors import PermanentError
from redrive.flows.documents import charset, formats
from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.library import safe_name
from redrive.flows.documents.listed_files import listed
from tests.support.odd_documents import lying_docx

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples" / "inbox"
TEXT = "Größe: 3 µm – „genau“\nzweite Zeile"
RUSSIAN = "Уважаемые коллеги, отчёт за третий квартал готов. Просим прислать замечания до пятницы.\n"
JAPANESE = "東京都は明日から雨が降るでしょう。会議は午後三時に始まります。ご確認をお願いします。\n"
CHINESE = "请注意。本季度的销售报告已经完成。所有部门应在星期五之前提交意见。谢谢合作。\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_is_decoded_whatever_its_encoding(encoding: str):
    assert charset.decoded(TEXT.encode(encoding)) == TEXT


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("naïve café €", "cp1252"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (CHINESE, "gb18030"),
        ("請注意。本季度的銷售報告已經完成。所有部門應在星期五之前提交意見。", "big5"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp1251"),
        ("이번 분기 보고서가 완료되었습니다. 금요일까지 의견을 제출해 주시기 바랍니다.", "euc_kr"),
        ("Zażółć gęślą jaźń. Proszę przesłać uwagi do piątku.", "iso8859-2"),
    ],
)
def test_text_without_a_mark_is_recognised_by_its_bytes(text: str, encoding: str):
    assert charset.decoded(text.encode(encoding)) == text
    table = f"id;name;note\n1;{text}\n"
    assert charset.decoded(table.encode(encoding)) == table


def test_declared_charset_is_followed_unless_the_bytes_are_utf8():
    assert charset.decoded("ž".encode("cp1250"), "windows-1250") == "ž"
    assert charset.decoded("ž".encode(), "windows-1250") == "ž"
    assert charset.decoded("中".encode("gbk"), "gb2312") == "中"
    assert charset.decoded("é".encode("cp1252"), "no-such-charset") == "é"


@pytest.mark.parametrize("declared", [None, "iso-8859-1"])
def test_damaged_utf8_loses_its_damage_only(declared: str | None):
    said = "Die Größe der Tür ist für grüne Häuser schön. " * 3
    assert charset.decoded(said.encode()[:20] + b"\xff" + said.encode()[20:], declared).replace("\ufffd", "") == said
    cut = "東京都は明日から雨が降るでしょう。".encode()[:-1]
    assert charset.decoded(cut, declared) == "東京都は明日から雨が降るでしょう\ufffd"


@pytest.mark.parametrize("sample", sorted(SAMPLES.iterdir()), ids=lambda path: path.suffix)
def test_every_sample_has_a_format(sample: Path):
    formats.check(sample.read_bytes(), formats.by_ending(sample.name))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("plan.pdf", b"<html>not here</html>", "is no PDF"),
        ("empty.txt", b"", "empty file of 0 bytes"),
        ("program.exe", b"MZ", "of no format Redrive reads"),
        ("broken.docx", b"PK\x03\x04 and then nothing", "is corrupt"),
    ],
)
def test_what_is_no_document_is_refused(name: str, content: bytes, said: str):
    with pytest.raises(Unreadable, match=said):
        formats.check(content, formats.by_ending(name))


def archive(**parts: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return out.getvalue()


def test_zip_bomb_is_refused_before_it_is_opened():
    with pytest.raises(Unreadable, match="as a zip bomb does"):
        formats.check(archive(**{"xl/workbook.xml": bytes(30 * 1024 * 1024)}), formats.XLSX)


@pytest.mark.parametrize("part", ["../../etc/cron.d/x", "/etc/passwd", "word\\..\\..\\x"])
def test_part_that_points_outside_is_refused(part: str):
    with pytest.raises(Unreadable, match="points outside"):
        formats.check(archive(**{"word/document.xml": "<x/>", part: "x"}), formats.DOCX)


def test_archive_whose_directory_lies_about_sizes_is_refused():
    with pytest.raises(Unreadable, match=r"says that its part word/document\.xml is .* bytes, and that is not so"):
        formats.check(lying_docx(words=1000), formats.DOCX)


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
    (tmp_path / "folder.pdf").mkdir()
    assert [file.name for file in listed(tmp_path, "*.pdf")] == ["a.pdf", "b.pdf"]


def test_name_that_is_no_text_is_listed_escaped_and_still_found(tmp_path: Path):
    path = tmp_path / os.fsdecode(b"caf\xe9\n.txt")
    path.write_text("x")
    (file,) = listed(tmp_path, "*")
    assert file.name == "caf\\xe9\\n.txt"
    assert file.place == path


@pytest.mark.parametrize(("path", "said"), [("missing", "does not exist"), ("file/inside", "cannot be read")])
def test_inbox_that_cannot_be_read_says_so(tmp_path: Path, path: str, said: str):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PermanentError, match=said):
        listed(tmp_path / path, "*")


def test_folder_without_a_fitting_file_says_so(tmp_path: Path):
    with pytest.raises(PermanentError, match=r"no file in .* fits the pattern '\*\.pdf'"):
        listed(tmp_path, "*.pdf")
