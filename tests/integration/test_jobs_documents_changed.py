"""Documents that change while they are read, and stored ones that are no longer what they were."""

from __future__ import annotations

import hashlib
import io
import threading
from pathlib import Path

import pytest

from redrive.flows.documents import content
from redrive.flows.documents.flow import documents
from redrive.flows.documents.reading_stopped import ReadingStopped
from tests.support.odd_documents import mail


@pytest.mark.slow
def test_store_holds_the_text_of_the_bytes_it_names_while_files_are_swapped(library: Path, tmp_path: Path):
    """Somebody replaces the files by others all the time, as an upload folder does."""
    versions = [[f"file {number} holds {word}".encode() for word in ("apples", "pears")] for number in range(20)]
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number, version in enumerate(versions):
        (inbox / f"{number:02}.txt").write_bytes(version[0])
    done = threading.Event()

    def swap() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            for number, version in enumerate(versions):
                (tmp_path / "next").write_bytes(version[turn % 2])
                (tmp_path / "next").replace(inbox / f"{number:02}.txt")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        found = documents(source=str(inbox)).documents
    finally:
        done.set()
        swapping.join()
    stored = {hashlib.sha256(text).hexdigest(): text for version in versions for text in version}
    assert len(found) == 20
    for record in found:
        assert (library / record.checksum / "text.txt").read_bytes() == stored[record.checksum]


@pytest.mark.slow
def test_file_that_is_written_to_while_it_is_read_is_no_document_yet(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "growing.txt").write_text("half of")
    opened = content.open_file

    class Growing(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            with (tmp_path / "growing.txt").open("a") as writer:
                writer.write(" it")
            return super().read(size)

    monkeypatch.setattr(content, "open_file", lambda path: Growing(opened(path).detach()))
    with pytest.raises(ReadingStopped, match=r"growing\.txt was written to while it was read"):
        documents(source=str(tmp_path / "growing.txt"))


@pytest.mark.parametrize("spoilt", ["text.txt", "document.json", "attachments/001-list.bin", "reader"])
def test_stored_document_that_does_not_verify_is_read_again(library: Path, tmp_path: Path, spoilt: str):
    (tmp_path / "m.eml").write_bytes(mail(f"spoilt {spoilt}", files={"list.bin": b"123"}).as_bytes())
    (record,) = documents(source=str(tmp_path)).documents
    folder = library / record.checksum
    if spoilt == "reader":
        # As 031a0ef stored it: perhaps with the text of another version of the file.
        (folder / "document.json").write_text(
            record.model_copy(update={"extractor": "kreuzberg 4.10.4"}).model_dump_json()
        )
        (folder / "text.txt").write_text("of another version")
    else:
        whole = (folder / spoilt).read_bytes()
        (folder / spoilt).write_bytes(whole[: len(whole) // 2])
    (again,) = documents(source=str(tmp_path)).documents
    assert not again.stored_before
    assert f"spoilt {spoilt}" in (folder / "text.txt").read_text()
    assert (folder / "attachments" / "001-list.bin").read_bytes() == b"123"
    assert documents(source=str(tmp_path)).documents[0].stored_before


def test_reread_writes_anew_what_is_stored(library: Path, tmp_path: Path):
    (tmp_path / "a.txt").write_text("apples again")
    (record,) = documents(source=str(tmp_path)).documents
    assert not documents(source=str(tmp_path), reread=True).documents[0].stored_before
    assert (library / record.checksum / "text.txt").read_text() == "apples again"


def test_same_bytes_as_another_format_do_not_replace_the_first(library: Path, tmp_path: Path):
    page = "<p>three <b>apples</b></p>"
    for name in ("source.txt", "page.html"):
        (tmp_path / name).write_text(page)
    found = {record.name: Path(record.location) for record in documents(source=str(tmp_path)).documents}
    assert (found["source.txt"] / "text.txt").read_text() == page
    assert (found["page.html"] / "text.txt").read_text() == "three **apples**"
    assert all(record.stored_before for record in documents(source=str(tmp_path)).documents)
