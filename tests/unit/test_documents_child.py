"""Reading documents in real child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from redrive.blocks.errors import PermanentError
from redrive.flows.document_text import child, formats, reader

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples" / "inbox"


def read(path: Path) -> tuple[str, dict[str, Any]]:
    with child.extracted(path, formats.format_of(path)) as (folder, found):
        return (folder / "text.txt").read_text(encoding="utf-8"), found


@pytest.mark.parametrize(
    ("name", "text", "about"),
    [
        ("filesystem-hierarchy-standard-3.0.pdf", "The root filesystem", {"pages": 50, "language": "eng"}),
        ("officer-example.docx", "Petals", {"title": "document title", "authors": ["author"]}),
        ("notable-deaths-2016.xlsx", "David Bowie", {"pages": 2}),
        ("debian-copyright-format.html", "machine-readable", {"title": "Machine-readable debian/copyright file"}),
        ("iowa-electricity.csv", "2001-01-01,Fossil Fuels,35361", {"language": None}),
        ("apache-license-2.0.txt", "Apache License", {"language": "eng"}),
        (
            "mail-with-attachment.eml",
            "This is the dingus fish.",
            {"title": "Here is your dingus fish", "authors": ["Barry"]},
        ),
    ],
)
def test_sample_gives_text_and_metadata(name: str, text: str, about: dict[str, Any]):
    content, found = read(SAMPLES / name)
    assert text in content
    assert {key: found[key] for key in about} == about


def test_attachment_of_a_mail_comes_out_whole(tmp_path: Path):
    with child.extracted(SAMPLES / "mail-with-attachment.eml", formats.EML) as (folder, found):
        assert found["attachments"] == [{"number": 1, "name": "dingusfish.gif", "mime": "image/gif", "size": 3512}]
        assert (folder / "attachment-1").read_bytes().startswith(b"GIF87a")


def test_utf16_html_is_not_garbled(tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text(
        "<html><head><title>Übersicht</title></head><body><p>Größe in µm</p></body></html>", encoding="utf-16"
    )
    text, found = read(path)
    assert "Größe in µm" in text
    assert found["title"] == "Übersicht"


def test_document_without_text_has_no_characters(tmp_path: Path):
    (tmp_path / "blank.txt").write_text(" \n\n ")
    assert read(tmp_path / "blank.txt")[1]["characters"] == 0


def test_corrupt_pdf_is_the_documents_fault(tmp_path: Path):
    whole = (SAMPLES / "filesystem-hierarchy-standard-3.0.pdf").read_bytes()
    (tmp_path / "torn.pdf").write_bytes(whole[:2000])
    with pytest.raises(PermanentError, match=r"torn\.pdf cannot be read"):
        read(tmp_path / "torn.pdf")


def test_mail_without_headers_is_refused(tmp_path: Path):
    (tmp_path / "note.eml").write_text("just some words\n\nand more")
    with pytest.raises(PermanentError, match="so it is no mail"):
        read(tmp_path / "note.eml")


def test_slow_document_is_stopped_and_may_be_tried_again():
    with (
        pytest.raises(child.ReadingStopped, match="not read within"),
        child.extracted(SAMPLES / "r-datasets.xlsx", formats.XLSX, wall_limit=0.001),
    ):
        pass


def test_child_gets_no_secret_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch):
    seen: dict[str, Any] = {}
    run = subprocess.run

    def spy(command: list[str], **options: Any) -> Any:
        seen.update(options)
        return run(command, **options)

    monkeypatch.setattr(child.subprocess, "run", spy)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")
    read(SAMPLES / "iowa-electricity.csv")
    assert "secret" not in str(seen["env"])
    assert not Path(seen["cwd"]).exists()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import resource; bytearray(3 * 1024**3)", PermanentError),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", PermanentError),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", child.ReadingStopped),
    ],
)
def test_way_a_child_dies_tells_whose_fault_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: type
):
    script = (
        "import sys; from redrive.flows.document_text import reader\n"
        f"def hostile(*a):\n    {code}\n"
        "reader.read = hostile\nsys.exit(reader.main(sys.argv[1:]))"
    )
    run = subprocess.run

    def hostile(command: list[str], **options: Any) -> Any:
        return run([sys.executable, "-c", script, *command[command.index(reader.__name__) + 1 :]], **options)

    monkeypatch.setattr(child.subprocess, "run", hostile)
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(error):
        read(tmp_path / "x.txt")


CHILD = "from redrive.flows.document_text.reader import confine; import os, time; confine(); os.write(1, b'up'); time.sleep(600)"
PARENT = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {CHILD!r}])
time.sleep(600)
"""


def test_child_dies_with_its_parent(tmp_path: Path):
    read_end, write_end = os.pipe()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PARENT,
        ],
        stdout=write_end,
    )
    os.close(write_end)
    assert os.read(read_end, 2) == b"up"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    # The pipe ends when its last writer is gone: the child died with its parent.
    assert os.read(read_end, 2) == b""
    os.close(read_end)
