"""Disks whose writes and flushes fail: what was acknowledged is there afterwards, and nothing torn is taken for whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from redrive.blocks.core.errors import LedgerUnavailable
from redrive.deployments.dead_letters.ledger import Filter, Ledger
from tests.support.deaths import a_death
from tests.support.failing_disk import failing
from tests.support.postgres import PostgresServer, server_folder

WRITERS, EACH = 4, 40
#: Rows after which a disk that has not failed yet is given up.
MOST = 2_000
#: Of so many flushes (with EIO) and writes (with ENOSPC) one fails.
FLUSH = "fdatasync:0.02:5"
WRITE = "pwrite:0.01:28"


class DurableServer(PostgresServer):
    """One that waits for its disk, as the stack's does."""

    options = "-c fsync=on -c wal_sync_method=fdatasync -c restart_after_crash=on"


@contextmanager
def running(server: PostgresServer, **environment: str) -> Iterator[None]:
    server.start(**environment)
    try:
        yield
    finally:
        server.stop("immediate")


@pytest.fixture
def server() -> Iterator[DurableServer]:
    with server_folder() as folder:
        made = DurableServer(folder)
        made.initialise()
        yield made


@pytest.mark.parametrize("point", [FLUSH, WRITE], ids=["flush fails", "write fails"])
def test_dead_letter_that_was_acknowledged_outlives_a_failing_disk(server: DurableServer, point: str) -> None:
    environment, gate = failing(point, server.folder)
    with running(server):
        url = server.database()
        with Ledger(url) as ledger:
            ledger.migrate()
    acknowledged: set[UUID] = set()
    refused = 0

    def write(number: int) -> None:
        nonlocal refused
        with Ledger(url) as ledger:
            for one in range(MOST):
                if one >= EACH and refused:
                    return
                death = a_death(after=number * MOST + one)
                try:
                    ledger.record(death)
                except LedgerUnavailable:
                    refused += 1
                else:
                    acknowledged.add(death.run_id)

    with running(server, **environment):
        gate.touch()
        writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for one in writers:
            one.start()
        for one in writers:
            one.join()
        gate.unlink()

    with running(server), Ledger(url) as ledger:
        there: set[UUID] = set()
        cursor = None
        while True:
            page = ledger.find(Filter(), limit=100, cursor=cursor)
            there |= {row.run_id for row in page.rows}
            if (cursor := page.next) is None:
                break
        total = ledger.count()
    assert refused, "the disk never failed, so nothing was tested"
    assert acknowledged <= there
    assert total == len(there), "the sums do not fit the rows"


NOTE = """
import sys
from pathlib import Path
from redrive.blocks.process.notes import ProcessNotes
notes = ProcessNotes(Path(sys.argv[1]))
notes.note("first")
Path(sys.argv[2]).touch()
notes.note("second")
"""


@pytest.mark.parametrize("point", ["write:1:28", "rename:1:28"])
def test_process_note_that_cannot_be_written_is_an_error_and_leaves_nothing_torn(tmp_path: Path, point: str) -> None:
    environment, gate = failing(point, tmp_path)
    notes = tmp_path / "notes"

    done = subprocess.run(
        [sys.executable, "-c", NOTE, str(notes), str(gate)],
        env={**os.environ, **environment},
        stderr=(tmp_path / "error").open("w"),
        check=False,
        timeout=60,
    )

    assert done.returncode != 0
    whole = [one for one in notes.iterdir() if not one.name.endswith(".partial")]
    assert [one.name for one in whole] == ["first"]
    json.loads(whole[0].read_text())
