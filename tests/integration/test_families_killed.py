"""Jobs of each family whose process is killed at random points: the next start completes what is left, and nothing is there twice.

`sync` has the same test beside its others, where rows are compared (test_jobs_sync.py). The seed is printed; each job is killed as often as
its budget of crashes allows, each time after a random share of its effects and some random milliseconds more.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from prefect.filesystems import LocalFileSystem

from redrive.blocks.mail_server import MailServer
from redrive.blocks.prefect.client import prefect_settings
from redrive.blocks.process.notes import ProcessNotes
from redrive.deployments.catalog import job_type
from redrive.deployments.enqueue import enqueue, wait_for
from tests.support.job_stack import JobStack
from tests.support.mail_sink import Sink, mail_sink
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

#: Seconds after the effect that a kill waits for within which it comes: as long as some further effects take.
SPREAD = 0.05
DOCUMENTS, RECIPIENTS = 500, 12

rounds = pytest.mark.parametrize("round_", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in range(1, 25))])


@pytest.fixture
def draw() -> random.Random:
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    print(f"SEED={seed}")
    return random.Random(seed)


class Killer:
    """Kills a job's process after so many of its effects; `kills` says how often it was in time."""

    def __init__(self, stack: JobStack, draw: random.Random, run: UUID) -> None:
        self._notes = ProcessNotes.of(stack.home, "jobs")
        self._draw = draw
        self._run = run
        self._last = 0
        self.kills = 0

    def kill_after(self, effects: Callable[[], int], count: int) -> bool:
        """False: the job was done first."""
        wait_until(lambda: (self._is_new() and effects() >= count) or is_final(self._run), 60, f"{count} effects")
        # No waiting for something to become true: the moment of the kill is drawn.
        time.sleep(self._draw.uniform(0, SPREAD))
        if pid := self._is_new():
            os.kill(pid, signal.SIGKILL)
            self._last = pid
            self.kills += 1
        return bool(pid)

    def _is_new(self) -> int:
        pid = self._notes.pid(str(self._run)) or 0
        return pid if pid != self._last else 0


def store(folder: Path) -> None:
    with prefect_settings():
        LocalFileSystem(basepath=str(folder)).save("killed", overwrite=True)


def is_final(run: UUID) -> bool:
    state = api().read_flow_run(run).state
    return state is not None and state.is_final()


def killed_and_completed(
    stack: JobStack, draw: random.Random, job: str, parameters: dict[str, Any], effects: Callable[[], int], total: int
) -> Any:
    """The result of a job that was killed as often as it may be."""
    run = enqueue(job, parameters)
    killer = Killer(stack, draw, run.id)
    for count in sorted(draw.sample(range(total), job_type(job).policy.max_crashes)):
        if not killer.kill_after(effects, count):
            break
    ended = wait_for(run.id, timeout=120)
    assert ended.state is not None
    assert ended.state.is_completed(), ended.state
    print(f"{job}: killed {killer.kills} times")
    assert killer.kills
    with prefect_settings():
        return ended.state.result()


@rounds
def test_killed_documents_job_stores_each_document_once_and_whole(
    job_stack: JobStack, draw: random.Random, round_: int
):
    inbox, library = job_stack.folder("inbox"), job_stack.folder("library")
    texts = [f"document {number} holds {draw.randbytes(200).hex()}" for number in range(DOCUMENTS)]
    for number, text in enumerate(texts):
        (inbox / f"{number:03}.txt").write_text(text)
    store(library)

    def records() -> list[Path]:
        return list(library.glob("*/document.json"))

    result = killed_and_completed(
        job_stack,
        draw,
        "documents",
        {"source": str(inbox), "store": "killed"},
        lambda: len(records()),
        DOCUMENTS - 60,
    )

    by_checksum = {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
    stored = [json.loads(path.read_text()) for path in records()]
    assert sorted(record["checksum"] for record in stored) == sorted(by_checksum)
    for record in stored:
        assert (library / record["checksum"] / "text.txt").read_text() == by_checksum[record["checksum"]]
    assert sorted(record.checksum for record in result.documents) == sorted(by_checksum)


@pytest.fixture
def sink(job_stack: JobStack) -> Iterator[Sink]:
    with mail_sink() as server:
        block = MailServer(host="127.0.0.1", port=server.port, tls="none", sender="Redrive <redrive@example.com>")
        with prefect_settings():
            block.save("killed", overwrite=True)
        yield server


@rounds
def test_killed_mail_job_sends_one_message_to_each_recipient(
    job_stack: JobStack, draw: random.Random, sink: Sink, round_: int
):
    everyone = [f"r{number}@x.org" for number in range(RECIPIENTS)]
    values = {"title": "T", "subtitle": "S", "figures": [], "source": "us"}
    result = killed_and_completed(
        job_stack,
        draw,
        "mail",
        {"to": everyone, "server": "killed", "data": None, "values": values, "attachments": []},
        lambda: len(sink.received),
        RECIPIENTS - 1,
    )

    # What was sent while the process died may have been sent again: by the Message-ID it is one.
    by_id = {str(one.mail["Message-ID"]): one for one in sink.received}
    assert sorted(recipient for one in by_id.values() for recipient in one.recipients) == sorted(everyone)
    assert sorted(by_id) == sorted(result.message_ids)
    contents = {(str(one.mail["Message-ID"]), str(one.mail["Date"]), one.mail.as_string()) for one in sink.received}
    assert len({(message_id, date) for message_id, date, _ in contents}) == RECIPIENTS


REPORT = """
name: killed
title: Numbers
query: select n, n * 2 as twice, clock_timestamp()::text as taken from generate_series(1, 3000) n
source: made for a test
columns: [{name: n}, {name: twice}, {name: taken}]
"""


@rounds
def test_killed_reports_job_leaves_one_report_of_the_period(job_stack: JobStack, draw: random.Random, round_: int):
    folder = job_stack.folder("reports")
    (folder / "numbers.yaml").write_text(REPORT)
    store(folder / "store")

    def files() -> list[Path]:
        return [path for path in (folder / "store").rglob("killed.*") if path.is_file()]

    result = killed_and_completed(
        job_stack,
        draw,
        "reports",
        {"definition": str(folder / "numbers.yaml"), "store": "killed"},
        lambda: len(files()),
        6,
    )

    days = {path.parent.name for path in files()} - {"latest"}
    assert len(days) == 1
    formats = {"html", "pdf", "xlsx"}
    assert sorted(path.suffix[1:] for path in files()) == sorted([*formats, *formats, "json"])
    for format_ in formats:
        dated = folder / "store" / "killed" / days.copy().pop() / f"killed.{format_}"
        assert result.files[format_] == str(dated)
        assert dated.read_bytes() == (folder / "store" / "killed" / "latest" / f"killed.{format_}").read_bytes()
    assert result.rows == 3000
    # Each query takes other times: whatever was made in which process shows those of one.
    latest = folder / "store" / "killed" / "latest"
    taken = openpyxl.load_workbook(latest / "killed.xlsx").active["C5"].value
    assert taken in (latest / "killed.html").read_text()
