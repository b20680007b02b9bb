"""Reading documents in real sandboxes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from redrive.flows.documents import formats
from redrive.flows.documents.content import private_copy
from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.reading_stopped import ReadingStopped
from redrive.flows.documents.sandboxes import Sandboxes
from tests.support.waiting import wait_until

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples" / "inbox"


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    with Sandboxes() as running:
        yield running


def read(sandboxes: Sandboxes, path: Path) -> tuple[str, dict[str, Any]]:
    with (
        private_copy(path) as content,
        sandboxes.extracted(content.file, formats.by_ending(path.name)) as made,
    ):
        return made.text.decode(), made.found.model_dump()


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
    content, found = read(sandboxes, SAMPLES / name)
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
    found = read(sandboxes, tmp_path / "blank.txt")[1]
    assert (found["characters"], found["empty_because"]) == (0, "it holds no text")


def test_corrupt_pdf_is_the_documents_fault(sandboxes: Sandboxes, tmp_path: Path):
    whole = (SAMPLES / "filesystem-hierarchy-standard-3.0.pdf").read_bytes()
    (tmp_path / "torn.pdf").write_bytes(whole[:2000])
    with pytest.raises(Unreadable, match=r"^cannot be read"):
        read(sandboxes, tmp_path / "torn.pdf")


def test_slow_document_is_stopped_and_the_next_one_is_read(sandboxes: Sandboxes):
    with (
        private_copy(SAMPLES / "r-datasets.xlsx") as content,
        pytest.raises(ReadingStopped, match="not read within"),
        sandboxes.extracted(content.file, formats.XLSX, wall_limit=0.0001),
    ):
        pass
    assert "2001" in read(sandboxes, SAMPLES / "iowa-electricity.csv")[0]


def test_template_has_one_thread_no_network_and_no_secret(monkeypatch: pytest.MonkeyPatch):
    """A fork of a process with threads hangs; what the environment holds a hostile document could send."""
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")
    with Sandboxes() as sandboxes:
        read(sandboxes, SAMPLES / "filesystem-hierarchy-standard-3.0.pdf")
        template = psutil.Process(sandboxes._templates[0].process.pid)
        assert template.num_threads() == 1
        assert "admin:secret" not in str(template.environ())
        assert Path(f"/proc/{template.pid}/net/dev").read_text().count(":") <= 1, "only its own loopback"
        home = sandboxes._home
    assert not home.exists()
    assert not template.is_running()


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Sandboxes that run code instead of reading a document, as one taken over by its document would."""

    def running(code: str) -> Sandboxes:
        (tmp_path / "sitecustomize.py").write_text(
            "import sys\n"
            "if 'redrive.flows.documents.template' in sys.orig_argv:\n"
            "    from redrive.flows.documents import reader\n"
            "    def hostile(content, answer, mime):\n"
            + "".join(f"        {line}\n" for line in code.splitlines())
            + "    reader.read = hostile\n"
        )
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
        return Sandboxes()

    (tmp_path / "x.txt").write_text("x")
    return running


def outcome(sandboxes: Sandboxes, path: Path) -> str:
    with sandboxes:
        try:
            read(sandboxes, path)
        except (Unreadable, ReadingStopped) as error:
            return f"{type(error).__name__} {error}"
    return "read"


DONE = "answer.finish(b'x', {})"
HOME = "import os; from pathlib import Path; home = Path(os.environ['TMPDIR']).parent; "


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("bytearray(3 * 1024**3)", "Unreadable cannot be read: it needs more than 2,048 MB"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGXCPU)",
            "Unreadable cannot be read: it needs more processor",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "Unreadable cannot be read: the reader crashed"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "ReadingStopped was not read: the process reading it was",
        ),
        ("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", "Unreadable cannot be read ([Errno 1]"),
        ("open('/etc/passwd').read()", "Unreadable cannot be read ([Errno 13]"),
        (f"{HOME}open(home / 'shared' / 'x', 'w')", "Unreadable cannot be read ([Errno 13]"),
        (f"{HOME}os.listdir(home)", "Unreadable cannot be read ([Errno 13]"),
        ("import socket; socket.create_connection(('127.0.0.1', 80), 1)", "Unreadable cannot be read ([Errno"),
        ("import os; assert os.listdir('/proc/self/fd') is None", "Unreadable cannot be read ([Errno 13]"),
        ("open('mine', 'w')", "Unreadable cannot be read ([Errno 13]"),
        ("import os; os.ftruncate(answer._file, 2 * 1024**3)", "Unreadable cannot be read ([Errno 27]"),
        (DONE, "read"),
    ],
)
def test_sandbox_reaches_only_its_answer_and_its_death_tells_whose_fault_it_was(
    hostile: Any, tmp_path: Path, code: str, said: str
):
    assert outcome(hostile(code), tmp_path / "x.txt").startswith(said)


def inside(begin: int, size: int) -> str:
    return f"{{'number': 1, 'name': 'x', 'mime': '', 'begin': {begin}, 'size': {size}, 'sha256': ''}}"


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "answer.add(b'x' * 100)",
        "answer.add(b'{}' + ENDING.pack(0, 0, b'another1'))",
        "answer.add(b'{}' + ENDING.pack(0, 1000, WHOLE))",
        "answer.add(b'{}' + ENDING.pack(2**64 - 1, 2**63, WHOLE))",
        "answer.finish(b'x', {'location': '/elsewhere'})",
        "answer.finish(b'x', {'title': 'x' * 17 * 1024**2})",
        "answer.finish(b'x', {'title': 'x' * 6_000})",
        f"answer.finish(b'x', {{'attachments': [{inside(0, 0)}] * 5_001}})",
        f"answer.finish(b'x', {{'attachments': [{inside(0, 1)}]}})",
        f"answer.add(b'12'); answer.finish(b'x', {{'attachments': [{inside(0, 2)}, {inside(1, 1)}]}})",
        "answer.finish(b'x', {'attachments': [{'number': '../../x', 'name': 'x', 'mime': '', 'begin': 0, 'size': 0, 'sha256': ''}]})",
    ],
)
def test_answer_of_a_reader_that_was_taken_over_leads_nowhere(hostile: Any, tmp_path: Path, code: str):
    code = f"from redrive.flows.documents.answer import ENDING, WHOLE; {code}"
    assert outcome(hostile(code), tmp_path / "x.txt").startswith(
        "Unreadable cannot be read (its reader gave an impossible"
    )


def test_what_a_sandbox_starts_ends_with_it(hostile: Any, tmp_path: Path):
    code = f"import os, time\nif not os.fork(): os.setsid(); time.sleep(600)\n{DONE}"
    with hostile(code) as sandboxes:
        read(sandboxes, tmp_path / "x.txt")
        template = psutil.Process(sandboxes._templates[0].process.pid)
        wait_until(lambda: not template.children(recursive=True), 10, "the orphan to be ended")


def test_template_has_only_the_libraries_that_its_documents_need(tmp_path: Path):
    (tmp_path / "x.txt").write_text("x")

    def loaded(template: Any) -> set[str]:
        maps = Path(f"/proc/{template.process.pid}/maps").read_text()
        return {library for library in ("kreuzberg", "pikepdf") if library in maps}

    with Sandboxes() as sandboxes:
        for name in ("iowa-electricity.csv", "mail-with-attachment.eml", "filesystem-hierarchy-standard-3.0.pdf"):
            read(sandboxes, SAMPLES / name)
        read(sandboxes, tmp_path / "x.txt")
        assert [loaded(one) for one in sandboxes._templates] == [set(), {"kreuzberg"}, {"kreuzberg", "pikepdf"}]
    with Sandboxes() as sandboxes:
        read(sandboxes, SAMPLES / "filesystem-hierarchy-standard-3.0.pdf")
        read(sandboxes, tmp_path / "x.txt")
        assert len(sandboxes._templates) == 1, "what reads the hardest reads the rest"


def test_killed_template_stops_what_was_read_and_a_new_one_reads_the_next(tmp_path: Path):
    with Sandboxes() as sandboxes:
        read(sandboxes, SAMPLES / "iowa-electricity.csv")
        first = sandboxes._templates[0]
        os.kill(first.process.pid, signal.SIGSTOP)
        reading: list[BaseException] = []

        def waits() -> None:
            try:
                read(sandboxes, SAMPLES / "iowa-electricity.csv")
            except ReadingStopped as error:
                reading.append(error)

        thread = threading.Thread(target=waits)
        thread.start()
        os.kill(first.process.pid, signal.SIGKILL)
        thread.join(30)
        assert len(reading) <= 1
        assert "2001" in read(sandboxes, SAMPLES / "iowa-electricity.csv")[0]
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
