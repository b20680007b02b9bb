"""A server that takes calls and never answers: whoever waits learns it in time, in one sentence."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, text

from redrive.blocks.core.errors import ApiUnavailable, LedgerUnavailable
from redrive.blocks.core.patience import patient
from redrive.blocks.core.settings import settings
from redrive.blocks.mail_server import MailServer, MailServerUnreachable
from redrive.blocks.prefect import client as prefect_api
from redrive.blocks.prefect.requests import server
from redrive.deployments.dead_letters.ledger.database import Database
from redrive.deployments.enqueue import enqueue

#: Seconds: ten for the server, the rest for the start of an interpreter on a machine that is busy with other tests.
WITHIN = 40


@pytest.fixture
def silent() -> Iterator[str]:
    """`host:port` of a server that is frozen: the kernel takes its connections, and nobody reads."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def pointed_at_silence(silent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("PREFECT_API_URL", f"http://{silent}/api")
    monkeypatch.setenv("REDRIVE_HOME", str(tmp_path / ".redrive"))
    settings.cache_clear()
    prefect_api.connect_anew()
    yield silent
    settings.cache_clear()
    prefect_api.connect_anew()


@pytest.mark.parametrize("arguments", [("enqueue", "mail"), ("jobs", "list"), ("queues", "list"), ("top", "--once")])
def test_command_says_in_time_that_prefect_is_silent(pointed_at_silence: str, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "redrive.infra.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )

    assert done.returncode == 6, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"http://{pointed_at_silence}/api does not answer" in done.stderr


@pytest.mark.usefixtures("pointed_at_silence")
@pytest.mark.timeout(WITHIN)
def test_producer_in_python_learns_in_time_that_prefect_is_silent() -> None:
    with pytest.raises(ApiUnavailable, match="does not answer"):
        enqueue("mail", {})


@pytest.mark.usefixtures("pointed_at_silence")
@pytest.mark.timeout(WITHIN)
def test_who_asks_for_an_http_error_gets_one() -> None:
    with prefect_api.reachable(), pytest.raises(httpx.TransportError):
        prefect_api.ask(server.health())


@pytest.mark.timeout(20)  # the block's own timeout is 30
def test_who_waits_for_a_check_of_the_mail_server_learns_in_time_that_it_is_silent(silent: str) -> None:
    host, _, port = silent.partition(":")

    with patient(1), pytest.raises(MailServerUnreachable, match="timed out"):
        MailServer(host=host, port=int(port), tls="none", sender="a@example.com").check()


def test_ledger_whose_server_freezes_in_the_middle_is_given_up(postgres_url: str) -> None:
    database = Database(postgres_url)

    def frozen(connection: Connection) -> None:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        os.kill(backend, signal.SIGSTOP)
        try:
            connection.execute(text("SELECT 1"))
        finally:
            os.kill(backend, signal.SIGCONT)

    try:
        with patient(0.5), pytest.raises(LedgerUnavailable, match="does not answer"):
            database.run(frozen)
        assert database.run(lambda connection: connection.execute(text("SELECT 1")).scalar_one()) == 1
    finally:
        database.dispose()
