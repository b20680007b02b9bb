"""Reading documents in real sandboxes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from redrive.flows.documents import formats
from redrive.flows.documents.content import private_copy
from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.reading_stopped import ReadingStopped
from redrive.flows.documents.sandboxes import Sandboxes
from tests.support.document_readers import read_file
from tests.support.waiting import wait_until

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples" / "inbox"


@pytest.mark.parametrize(
    ("name", "text", "about"),
    [
        ("filesystem-hierarchy-standard-3.0.pdf", "The root filesystem", {"pages": 50, "language": "eng"}),
        ("officer-example.docx", "Petals", {"title": "document title", "authors": ["author"]}),
        ("notable-deaths-2016.xlsx", "David Bowie", {"pages": 2}),
        ("debian-copyright-format.html", "machine-readable", {"title": "Machine-readable debian/copyright file"}),
        ("iowa-electricity.csv", "2001-01-01,Fossil Fuels,35361", {"left_out": []}),
        ("apache-license-2.0.txt", "Apache License", {"language": "eng"}),
        (
            "mail-with-attachment.eml",
            "This is the dingus fish.",
            {"title": "Here is your dingus fish", "authors": ["Barry"]},
        ),
    ],
)
def test_sample_gives_text_and_metadata(sandboxes: Sandboxes, name: str, text: str, about: dict[str, Any]):
    content, found = read_file(sandboxes, SAMPLES / name)
    assert text in content
    assert {key: found[key] for key in about} == about


def test_attachment_of_a_mail_comes_out_whole(sandboxes: Sandboxes):
    path = SAMPLES / "mail-with-attachment.eml"
    with private_copy(path) as content, sandboxes.extracted(content.file, formats.EML) as made:
        (attachment,) = made.found.attachments
        assert (attachment.name, attachment.mime, attachment.size) == ("dingusfish.gif", "image/gif", 3512)
        assert made.attachment(attachment).startswith(b"GIF87a")


def test_document_without_text_says_why(sandboxes: Sandboxes, tmp_path: Path):
    (tmp_path / "blank.txt").write_text(" \n\n ")
    found = read_file(sandboxes, tmp_path / "blank.txt")[1]
    assert (found["characters"], found["empty_because"]) == (0, "it holds no text")


def test_corrupt_pdf_is_the_documents_fault(sandboxes: Sandboxes, tmp_path: Path):
    whole = (SAMPLES / "filesystem-hierarchy-standard-3.0.pdf").read_bytes()
    (tmp_path / "torn.pdf").write_bytes(whole[:2000])
    with pytest.raises(Unreadable, match=r"^cannot be read"):
        read_file(sandboxes, tmp_path / "torn.pdf")


def test_slow_document_is_stopped_and_the_next_one_is_read(sandboxes: Sandboxes):
    with (
        private_copy(SAMPLES / "r-datasets.xlsx") as content,
        pytest.raises(ReadingStopped, match="not read within"),
        sandboxes.extracted(content.file, formats.XLSX, wall_limit=0.0001),
    ):
        pass
    assert "2001" in read_file(sandboxes, SAMPLES / "iowa-electricity.csv")[0]


def test_template_has_one_thread_no_network_and_no_secret(monkeypatch: pytest.MonkeyPatch):
    """A fork of a process with threads hangs; what the environment holds a hostile document could send."""
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")
    with Sandboxes() as sandboxes:
        read_file(sandboxes, SAMPLES / "filesystem-hierarchy-standard-3.0.pdf")
        template = psutil.Process(sandboxes._templates[0].process.pid)
        assert template.num_threads() == 1
        assert "admin:secret" not in str(template.environ())
        assert Path(f"/proc/{template.pid}/net/dev").read_text().count(":") <= 1, "only its own loopback"
        home = sandboxes._home
    assert not home.exists()
    assert not template.is_running()


def test_template_has_only_the_libraries_that_its_documents_need(tmp_path: Path):
    (tmp_path / "x.txt").write_text("x")

    def loaded(template: Any) -> set[str]:
        maps = Path(f"/proc/{template.process.pid}/maps").read_text()
        return {library for library in ("kreuzberg", "pikepdf") if library in maps}

    with Sandboxes() as sandboxes:
        for name in ("iowa-electricity.csv", "mail-with-attachment.eml", "filesystem-hierarchy-standard-3.0.pdf"):
            read_file(sandboxes, SAMPLES / name)
        read_file(sandboxes, tmp_path / "x.txt")
        assert [loaded(one) for one in sandboxes._templates] == [set(), {"kreuzberg"}, {"kreuzberg", "pikepdf"}]
    with Sandboxes() as sandboxes:
        read_file(sandboxes, SAMPLES / "filesystem-hierarchy-standard-3.0.pdf")
        read_file(sandboxes, tmp_path / "x.txt")
        assert len(sandboxes._templates) == 1, "what reads the hardest reads the rest"


def test_killed_template_stops_what_was_read_and_a_new_one_reads_the_next(tmp_path: Path):
    with Sandboxes() as sandboxes:
        read_file(sandboxes, SAMPLES / "iowa-electricity.csv")
        first = sandboxes._templates[0]
        os.kill(first.process.pid, signal.SIGSTOP)
        reading: list[BaseException] = []

        def waits() -> None:
            try:
                read_file(sandboxes, SAMPLES / "iowa-electricity.csv")
            except ReadingStopped as error:
                reading.append(error)

        thread = threading.Thread(target=waits)
        thread.start()
        os.kill(first.process.pid, signal.SIGKILL)
        thread.join(30)
        assert len(reading) <= 1
        assert "2001" in read_file(sandboxes, SAMPLES / "iowa-electricity.csv")[0]
        assert sandboxes._templates[0] is not first


JOB = f"""
import time
from redrive.flows.documents import formats
from redrive.flows.documents.content import private_copy
from redrive.flows.documents.sandboxes import Sandboxes
with Sandboxes() as sandboxes, private_copy({str(SAMPLES / "iowa-electricity.csv")!r}) as content:
    with sandboxes.extracted(content.file, formats.CSV):
        print(sandboxes._templates[0].process.pid, flush=True)
        time.sleep(600)
"""


def test_template_ends_with_its_job(tmp_path: Path):
    job = subprocess.Popen([sys.executable, "-c", JOB], stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    template = psutil.Process(int(job.stdout.readline()))
    job.kill()
    job.wait()
    job.stdout.close()
    wait_until(
        lambda: not template.is_running() or template.status() == psutil.STATUS_ZOMBIE, 10, "the template to end"
    )
