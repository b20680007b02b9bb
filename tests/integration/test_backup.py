"""A backup is of one moment, whole or nothing, and what was acknowledged before it is in it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from redrive.blocks.core.settings import Settings
from redrive.deployments.dead_letters.ledger import Filter, Ledger
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.infra.backup.backup import back_up, prune
from redrive.infra.backup.manifest import BackupError, Manifest, checksum
from redrive.infra.backup.postgres_tools import _failed, database, libpq, require_version, run, version_of
from redrive.infra.backup.restore import restore
from tests.support.job_stack import JobStack, effects, pointed_at
from tests.support.postgres import PostgresServer, running_server
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Another machine: a PostgreSQL of its own with nothing in it, and a folder for results."""
    monkeypatch.setenv("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(tmp_path / "elsewhere" / "results"))
    with running_server() as server:
        url = libpq(server.database())
        yield Settings.load({"REDRIVE_DATABASE_URL": url, "REDRIVE_HOME": str(tmp_path / "elsewhere")})


def known(here: Settings) -> dict[str, str]:
    """Every run that Prefect's database knows, with its state."""
    with psycopg.connect(libpq(here.prefect_database_url())) as connection:
        return {str(run): str(state) for run, state in connection.execute("SELECT id, state_name FROM flow_run")}


@pytest.mark.soak
def test_what_was_acknowledged_before_a_backup_under_load_is_restored_elsewhere(
    job_stack: JobStack, tmp_path: Path, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = job_stack.folder("backup")
    dead = enqueue("test-fail-once", {"folder": str(folder), "message": "for the backup"}).id
    job_stack.dead_letter(dead)
    accepted, stop = [enqueue("test-ok", {"folder": str(folder)}).id], threading.Event()
    wait_for(accepted[0], timeout=60)

    def load() -> None:
        while not stop.is_set():
            accepted.append(enqueue("test-ok", {"folder": str(folder)}).id)

    producer = threading.Thread(target=load)
    producer.start()
    try:
        wait_until(lambda: len(accepted) > 5, 60, "some load")
        before = list(accepted)
        with monkeypatch.context() as here:
            here.setenv("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(job_stack.home / "results"))
            made = back_up(job_stack.settings, tmp_path / "backups")
    finally:
        stop.set()
        producer.join()
    kept = restore(elsewhere, made)

    assert kept == []
    assert {str(run) for run in before} <= known(elsewhere).keys()
    assert known(elsewhere)[str(dead)] == "DeadLetter"
    with Ledger(elsewhere.ledger_url()) as ledger:
        rows = ledger.find(Filter(status="open", text="for the backup"), limit=10).rows
    assert dead in [row.run_id for row in rows]
    assert list((tmp_path / "elsewhere" / "results").rglob("*")), "results are there too"
    # Nobody who may restore by mistake does.
    with pytest.raises(BackupError, match="there is something in"):
        restore(elsewhere, made)
    replaced = {kept.partition("_before_")[0] for kept in restore(elsewhere, made, replace=True)}
    # The warehouse may have no table yet, and then nothing of it is kept.
    assert replaced >= {database(elsewhere.prefect_database_url()), database(elsewhere.ledger_url())}


def test_backup_that_cannot_be_made_leaves_none(tmp_path: Path) -> None:
    here = Settings.load(
        {"REDRIVE_DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none", "REDRIVE_HOME": str(tmp_path / "home")}
    )

    with pytest.raises(BackupError, match="does not answer"):
        back_up(here, tmp_path / "backups")

    assert list((tmp_path / "backups").iterdir()) == []


def test_damaged_and_partial_backups_are_refused(tmp_path: Path) -> None:
    here = Settings.load({"REDRIVE_HOME": str(tmp_path / "home")})
    (tmp_path / "partial").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "ledger.dump").write_text("other")
    Manifest(
        at=datetime.now(UTC),
        redrive="0.1.0",
        prefect="3.8.8",
        postgres=18,
        files={"ledger.dump": "0" * 64},
        left_out={},
    ).write(tmp_path / "damaged")

    with pytest.raises(BackupError, match="is no backup, or one that was cut off"):
        restore(here, tmp_path / "partial")
    with pytest.raises(BackupError, match="is not as it was written"):
        restore(here, tmp_path / "damaged")


def test_dump_of_a_later_postgres_is_refused_in_one_sentence_and_nothing_is_changed(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    # As pg_dump writes them, and with the number that only a later one would write: the format's, in the header's bytes.
    url = postgres_server.database()
    dump = tmp_path / "ledger.dump"
    run("pg_dump", url, "--format", "custom", "--file", str(dump))
    written = bytearray(dump.read_bytes())
    assert written[:5] == b"PGDMP"
    written[6] += 1
    dump.write_bytes(written)
    folder = tmp_path / "later"
    folder.mkdir()
    dump.rename(folder / dump.name)
    later = version_of("pg_dump") + 1
    Manifest(
        at=datetime.now(UTC), redrive="0.1.0", prefect="3.8.8", postgres=later, pg_dump=later, left_out={},
        files={"ledger.dump": checksum(folder / "ledger.dump")},
    ).write(folder)  # fmt: skip
    before = _databases(postgres_server)

    with pytest.raises(BackupError) as refused:
        restore(Settings.load({"REDRIVE_DATABASE_URL": libpq(url), "REDRIVE_HOME": str(tmp_path / "home")}), folder)

    assert str(refused.value).startswith(
        f"ledger.dump was made by pg_dump of version {later}, and pg_restore here is of version {later - 1}, which is too old"
    )
    assert _databases(postgres_server) == before


def test_server_that_is_later_than_pg_dump_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        BackupError, match=r"^the server is PostgreSQL 18, and pg_dump here is of version 15, which is too old"
    ):
        require_version("pg_dump", 15, 18, "the server is PostgreSQL 18")
    require_version("pg_dump", 18, 15, "the server is PostgreSQL 15")


def _databases(server: PostgresServer) -> set[str]:
    with psycopg.connect(f"host={server.folder} user=postgres dbname=postgres") as connection:
        return {str(name) for (name,) in connection.execute("SELECT datname FROM pg_database")}


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for day in ("20260101T000000Z", "20260102T000000Z", "20260103T000000Z"):
        (tmp_path / f"redrive-{day}").mkdir()
        (tmp_path / f"redrive-{day}" / "manifest.json").write_text("{}")
    (tmp_path / "something-else").mkdir()

    gone = prune(tmp_path, 2)

    assert [path.name for path in gone] == ["redrive-20260101T000000Z"]
    assert len(list(tmp_path.iterdir())) == 3
    assert prune(tmp_path, 0) == []


@pytest.mark.soak
def test_everything_is_destroyed_and_goes_on_elsewhere_from_the_backup(tmp_path: Path) -> None:
    """Jobs wait, run and are done when the backup is made; a new stack finishes what was not."""
    first = JobStack(tmp_path / "first", retry_after=10)
    effects_folder = tmp_path / "effects"
    effects_folder.mkdir()
    try:
        first.start()
        with pointed_at(first):
            jobs = [
                enqueue(
                    "test-ok",
                    {"folder": str(effects_folder), "name": f"job-{number}", "seconds": 1},
                    key=f"k{number}-{uuid4()}",
                ).id
                for number in range(30)
            ]
            wait_until(lambda: len(list(effects_folder.iterdir())) > 3, 120, "some jobs to be done")
        done = first.redrive("backup", str(tmp_path / "backups"))
        assert "holds everything as of" in done.stdout
        (made,) = (tmp_path / "backups").iterdir()
    finally:
        first.stop()
        shutil.rmtree(first.home)

    second = JobStack(tmp_path / "second", retry_after=10)
    try:
        second.start()
        second.redrive("restore", str(made), "--replace")
        second.redrive("down")
        second.start()
        with pointed_at(second):
            ends = {str(job): _end(job) for job in jobs}
    finally:
        second.stop()

    assert set(ends.values()) == {"Completed"}, ends
    assert {path.name for path in effects_folder.iterdir()} >= {f"job-{number}" for number in range(30)}
    assert all(effects(effects_folder, f"job-{number}") for number in range(30))
    assert not first.home.exists()


def _end(job: UUID) -> str:
    state = wait_for(job, timeout=180).state
    return str(state.name) if state else "none"


def test_complaint_of_a_restore_names_the_database_and_no_password() -> None:
    said = str(_failed("pg_restore", "host=db dbname=ledger_restored password=hush", "no room\n", 1))

    assert said == "pg_restore of ledger_restored: no room"
