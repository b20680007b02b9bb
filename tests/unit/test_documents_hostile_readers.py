"""A reader that was taken over reaches nothing, and what it started ends with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.reading_stopped import ReadingStopped
from redrive.flows.documents.sandboxes import Sandboxes
from tests.support.document_readers import read_file
from tests.support.waiting import wait_until


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
            read_file(sandboxes, path)
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
def test_sandbox_reaches_only_its_answer_and_its_death_shows_whose_fault_it_was(
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
        read_file(sandboxes, tmp_path / "x.txt")
        template = psutil.Process(sandboxes._templates[0].process.pid)
        wait_until(lambda: not template.children(recursive=True), 10, "the orphan to be ended")
