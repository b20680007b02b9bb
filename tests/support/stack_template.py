"""The databases of a stack that was never used, to be copied: PostgreSQL's folder with Prefect's tables and block types in it.

Made once for a checkout and a release of Prefect, in `build/`; a stack that starts from a copy has the least part of its start
behind it that depends on nothing of its own. Where what is tested is that part, `LocalStack(…, template=False)`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from redrive.blocks.core.settings import Settings
from redrive.infra.local.components.postgres import Postgres
from redrive.infra.local.components.postgres_files import data_folder
from redrive.infra.local.components.prefect_server import PrefectServer
from redrive.infra.local.folders import make_folders, temporary_folder
from redrive.infra.server.prepared import KEY, release
from tests.support.waiting import wait_until

FOLDER = Path(__file__).resolve().parents[2] / "build" / "stack-template"
#: Seconds for a start that makes all tables, on a busy machine.
PATIENCE = 180


def copy_template(settings: Settings, environment: Mapping[str, str]) -> None:
    """Give a stack that has no databases yet a copy; none if its PostgreSQL or Prefect is another server.

    Args:
        environment: that of the stack's commands.
    """
    if data_folder(settings).exists() or Postgres(settings).is_external or PrefectServer(settings).is_external:
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    # Owners and modes stay, blocks are shared where the file system can.
    copy = ("cp", "-a", "--reflink=auto")
    subprocess.run([*copy, _template(environment), data_folder(settings)], check=True)


def _template(environment: Mapping[str, str]) -> Path:
    """The folder to copy; made by whoever comes first."""
    made = FOLDER / release()[:16]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for older in FOLDER.glob("[0-9a-f]*"):
                shutil.rmtree(older)
            _make(made, environment)
    return made


def _make(made: Path, environment: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="redrive-template-") as folder:
        given = {**environment, "REDRIVE_HOME": f"{folder}/.redrive"}
        settings = Settings.load(given)
        make_folders(settings)
        postgres, prefect = Postgres(settings), PrefectServer(settings)
        with _running("postgres", given):
            wait_until(postgres.healthy, PATIENCE, "PostgreSQL to start")
            url = make_url(settings.prefect_psycopg_url())
            with psycopg.connect(_plain(url.set(database="postgres")), autocommit=True) as there:
                there.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(url.database))))
            prefect.prepare()
            with _running("prefect", given):
                wait_until(lambda: _is_noted(settings), PATIENCE, "the databases of a stack to be made")
        shutil.move(data_folder(settings), made)
        shutil.rmtree(temporary_folder(settings), ignore_errors=True)


@contextmanager
def _running(component: str, environment: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "redrive.infra.local.launch", component],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(Postgres.stop_signal if component == "postgres" else PrefectServer.stop_signal)
        process.wait(PATIENCE)


def _is_noted(settings: Settings) -> bool:
    try:
        with psycopg.connect(_plain(make_url(settings.prefect_psycopg_url()))) as there:
            return there.execute(b"SELECT 1 FROM configuration WHERE key = %s", (KEY,)).fetchone() is not None
    except psycopg.Error:
        return False


def _plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
