"""The documents job as a Prefect flow, with a real server, a real storage block and real sandboxes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from redrive.blocks.core.errors import PermanentError
from redrive.flows.documents import refusals
from redrive.flows.documents.flow import documents
from tests.support.odd_documents import mail, pdf

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples"


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tables(name: str) -> list[dict[str, Any]]:
    """Rows of the tables with names of files that were not read, the latest first."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[name])))
    latest = max(found, key=lambda one: one.created or 0)  # type: ignore[arg-type, return-value]  # every stored one has it
    rows: list[dict[str, Any]] = json.loads(str(latest.data))
    return rows


def test_inbox_is_stored_by_content_and_a_second_run_changes_nothing(library: Path):
    first = documents(source=str(SAMPLES / "inbox"))
    assert {Path(record.name).suffix for record in first.documents} == {
        ".pdf", ".docx", ".xlsx", ".html", ".eml", ".csv", ".txt"
    }  # fmt: skip
    for record in first.documents:
        folder = library / record.checksum
        assert json.loads((folder / "document.json").read_text())["checksum"] == record.checksum
        assert len((folder / "text.txt").read_text()) == record.characters
    before = {path: path.stat().st_mtime_ns for path in (library).rglob("*")}
    second = documents(source=str(SAMPLES / "inbox"))
    assert all(record.stored_before for record in second.documents)
    assert {path: path.stat().st_mtime_ns for path in (library).rglob("*")} == before


def test_corrupt_file_is_named_and_the_good_ones_are_stored(library: Path, tmp_path: Path):
    shutil.copy(SAMPLES / "inbox" / "iowa-electricity.csv", tmp_path / "good.csv")
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    (tmp_path / "torn.docx").write_bytes((SAMPLES / "inbox" / "officer-example.docx").read_bytes()[:5000])
    with pytest.raises(PermanentError) as failed:
        documents(source=str(tmp_path))
    assert "2 of 3 files could not be read, the others are stored" in str(failed.value)
    assert "bad.pdf" in str(failed.value)
    assert "torn.docx" in str(failed.value)
    sha256 = checksum(tmp_path / "good.csv")
    assert (library / sha256 / "document.json").exists()


def test_link_out_of_the_allowed_folders_is_refused_by_name_and_the_others_are_read(library: Path, tmp_path: Path):
    (tmp_path / "good.txt").write_text("apples")
    (tmp_path / "shadow.txt").symlink_to("/etc/shadow")
    os.mkfifo(tmp_path / "fifo.txt")
    with pytest.raises(PermanentError, match=r"2 of 3 files.*fifo\.txt is a FIFO.*shadow\.txt leads to /etc/shadow"):
        documents(source=str(tmp_path))
    sha256 = checksum(tmp_path / "good.txt")
    assert (library / sha256 / "document.json").exists()


def test_attachment_is_stored_under_a_safe_name(library: Path, tmp_path: Path):
    mail_text = (
        (SAMPLES / "inbox" / "mail-with-attachment.eml").read_text().replace("dingusfish.gif", "../../../escaped.gif")
    )
    (tmp_path / "hostile.eml").write_text(mail_text)
    (record,) = documents(source=str(tmp_path / "hostile.eml")).documents
    (attachment,) = record.attachments
    assert attachment.name == "../../../escaped.gif"
    assert Path(attachment.path) == library / record.checksum / "attachments" / "001-escaped.gif"


def test_storage_block_that_is_not_there_is_named(library: Path):
    with pytest.raises(PermanentError, match="there is no storage block local-file-system/nowhere"):
        documents(source=str(SAMPLES / "inbox" / "iowa-electricity.csv"), store="nowhere")


def test_every_bad_file_is_in_the_table_and_counted_by_reason(library: Path, tmp_path: Path):
    for number in range(60):
        (tmp_path / f"{number:03}.pdf").write_text("no pdf at all")
    for number in range(30):
        (tmp_path / f"{number:03}.txt").write_bytes(b"")
    (tmp_path / "good.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PermanentError) as failed:
        documents(source=str(tmp_path))
    said = str(failed.value)
    assert said.startswith(
        "90 of 91 files could not be read, the others are stored: 60 files (000.pdf, 001.pdf, 002.pdf and 57 more): is no PDF"
    )
    assert "30 files (000.txt, 001.txt, 002.txt and 27 more): is an empty file" in said
    assert len(said) < 1000
    rows = tables(refusals.ARTIFACT)
    assert {row["file"] for row in rows} == {path.name for path in tmp_path.iterdir()} - {"good.csv"}
    assert all(row["reason"] for row in rows)


def test_file_name_that_is_no_text_is_read_and_named_and_stops_nothing(library: Path, tmp_path: Path):
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("coffee")
    (tmp_path / "tea.txt").write_text("tea")
    assert [record.name for record in documents(source=str(tmp_path)).documents] == ["caf\\xe9.txt", "tea.txt"]
    (tmp_path / os.fsdecode(b"b\xe4d\n.pdf")).write_text("x")
    with pytest.raises(PermanentError, match=r"b\\xe4d\\n\.pdf is no PDF"):
        documents(source=str(tmp_path))


def test_file_whose_reader_was_killed_is_tried_again_alone(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The template is killed at its first document; what it was reading is read by another one."""
    import redrive.flows.documents.flow as module

    class Dying(module.Sandboxes):
        killed = False

        def _ready_template(self, mime: str) -> Any:
            template = super()._ready_template(mime)
            if not Dying.killed:
                Dying.killed = True
                template.process.kill()
                template.process.wait()
            return template

    monkeypatch.setattr(module, "Sandboxes", Dying)
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(f"killed {number}")
    found = documents(source=str(tmp_path)).documents
    assert sorted(record.name for record in found) == [f"{number}.txt" for number in range(5)]


def test_what_was_left_out_for_want_of_time_is_read_the_next_time(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "m.eml").write_bytes(mail("In haste", files={"list.txt": b"three apples"}).as_bytes())
    monkeypatch.setattr("redrive.flows.documents.flow.WALL_LIMIT", -1)
    (hurried,) = documents(source=str(tmp_path)).documents
    assert hurried.left_out == ("1 attachments' texts, for which no time was left",)
    monkeypatch.undo()
    (whole,) = documents(source=str(tmp_path)).documents
    assert (whole.left_out, whole.stored_before) == ((), False)
    assert "three apples" in (library / whole.checksum / "text.txt").read_text()
    assert documents(source=str(tmp_path)).documents[0].stored_before


@pytest.mark.parametrize(("files", "seconds"), [(3, 20.0), (500, 0.0)], ids=["by number", "by time"])
def test_folder_longer_than_a_step_is_read_in_several(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, seconds: float
):
    monkeypatch.setattr("redrive.flows.documents.flow.CHUNK", files)
    monkeypatch.setattr("redrive.flows.documents.flow.CHUNK_SECONDS", seconds)
    for number in range(7):
        (tmp_path / f"{number}.txt").write_text(f"several {files} {number}")
    assert [record.name for record in documents(source=str(tmp_path)).documents] == [f"{n}.txt" for n in range(7)]


def test_what_was_left_out_and_why_a_document_is_empty_is_in_the_jobs_message(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "scan.pdf").write_bytes(pdf(b""))
    (record,) = (found := documents(source=str(tmp_path))).documents
    assert record.empty_because == "its pages hold neither text nor pictures"
    assert "no text in scan.pdf" in found.summary()
    cut = record.model_copy(update={"left_out": ("3 attachments after the first 5,000",)})
    assert "scan.pdf without 3 attachments after" in found.model_copy(update={"documents": (cut,)}).summary()
