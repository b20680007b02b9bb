"""`redrive backup`: the three databases as of one moment, and the results that they name, in a folder of their own.

Results come after the databases: they are never changed, so what a database of an earlier moment names is there.

Danger: a backup holds every job's parameters and the passwords saved in blocks, the latter encrypted by Prefect with a key that is in
it. Keep it as you keep the databases.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from redrive.blocks.core.settings import Settings
from redrive.infra.backup.manifest import BackupError, Manifest, checksum
from redrive.infra.backup.postgres_tools import require_version, run, version_of
from redrive.infra.backup.snapshot import one_moment

RESULTS = "results.tar"
#: Before a backup is whole its folder has this name.
PARTIAL = ".partial"

Report = Callable[[str], None]


def databases(settings: Settings) -> dict[str, str]:
    """The databases of an installation, by what they are. One of the warehouse that somebody else owns is theirs to save."""
    found = {"ledger": settings.ledger_url(), "prefect": settings.prefect_psycopg_url()}
    if not settings.warehouse_url:
        # As who owns the other two: the login of sync jobs may read its own tables only.
        found["warehouse"] = (
            settings.synced_url()
            if settings.database_url
            else settings.synced_url().replace("//redrive_sync@", "//postgres@", 1)
        )
    return found


def results_folder(settings: Settings) -> Path:
    """Where results lie on this machine."""
    return Path(os.environ.get("PREFECT_RESULTS_LOCAL_STORAGE_PATH") or settings.home / "results")


def back_up(settings: Settings, into: Path, report: Report = lambda _: None) -> Path:
    """Make one; its folder, below `into`, named by its moment.

    Raises:
        BackupError: it cannot be made. Nothing that looks like a backup is left then.
    """
    program = version_of("pg_dump")
    name = f"redrive-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    partial = into / f"{name}{PARTIAL}"
    try:
        partial.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise BackupError(f"{partial} cannot be made: {error.strerror}") from None
    try:
        manifest = _fill(settings, partial, program, report)
        manifest.write(partial)
        return partial.rename(into / name)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _fill(settings: Settings, folder: Path, program: int, report: Report) -> Manifest:
    urls = databases(settings)
    left_out = {} if "warehouse" in urls else {"warehouse": "REDRIVE_WAREHOUSE_URL names a database of somebody else"}
    with one_moment(urls) as moment:
        require_version("pg_dump", program, moment.version, f"the server is PostgreSQL {moment.version}")
        for what, url in urls.items():
            dump = ["--format", "custom", "--snapshot", moment.names[what], "--file", str(folder / f"{what}.dump")]
            run("pg_dump", url, *dump)
            report(f"{what}: {_size(folder / f'{what}.dump')}")
    results = results_folder(settings)
    if results.is_dir():
        with tarfile.open(folder / RESULTS, "w") as tar:
            tar.add(results, arcname="results", filter=_still_there)
        report(f"results: {_size(folder / RESULTS)}")
    else:
        left_out["results"] = f"{results} is not on this machine: save what your storage block names"
    return Manifest(
        at=moment.at,
        redrive=version("redrive"),
        prefect=version("prefect"),
        postgres=moment.version,
        files={path.name: checksum(path) for path in sorted(folder.iterdir())},
        left_out=left_out,
        pg_dump=program,
    )


def _still_there(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Sockets and the like are no results."""
    return entry if entry.isfile() or entry.isdir() else None


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


def prune(into: Path, keep: int) -> list[Path]:
    """Take away all but the newest `keep` backups; those that went."""
    whole = sorted(path.parent for path in into.glob("redrive-*/manifest.json"))
    gone = whole[:-keep] if keep else []
    for folder in gone:
        shutil.rmtree(folder)
    return gone
