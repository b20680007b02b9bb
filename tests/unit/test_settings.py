"""Settings: read in one place, refused with a suggestion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from redrive.blocks.core.errors import SettingsError
from redrive.blocks.core.settings import SOCKET_FOLDER_LIMIT, Settings
from redrive.deployments.default_blocks import mail_server


def load(home: Path, **given: str) -> Settings:
    return Settings.load({"REDRIVE_HOME": str(home), **given})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"REDRIVE_PREFECT_PROT": "4200"}, "did you mean REDRIVE_PREFECT_PORT?"),
        ({"REDRIVE_PREFECT_PORT": "70000"}, "REDRIVE_PREFECT_PORT='70000' does not fit"),
        ({"REDRIVE_SLOTS": "many"}, "REDRIVE_SLOTS='many' does not fit"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **given)

    assert says in str(caught.value)


def test_ports_of_the_last_start_are_found_without_the_environment(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps({"prefect_port": 5123, "jobs": "my_jobs"}))

    assert (load(tmp_path).prefect_port, load(tmp_path).jobs) == (5123, "my_jobs")
    assert load(tmp_path, REDRIVE_PREFECT_PORT="6000").prefect_port == 6000
    assert load(tmp_path, REDRIVE_JOBS="").jobs == "", "an empty value forgets them"


def test_own_api_url_is_not_an_external_one(tmp_path: Path) -> None:
    """`eval "$(redrive env)"` sets PREFECT_API_URL to our own server; `redrive up` in that shell must still start it."""
    assert load(tmp_path, PREFECT_API_URL="http://127.0.0.1:4200/api").external_api_url is None
    assert (
        load(tmp_path, PREFECT_API_URL="https://prefect.example/api").external_api_url == "https://prefect.example/api"
    )


def test_three_databases_on_a_server_of_ones_own(tmp_path: Path) -> None:
    here = load(tmp_path, REDRIVE_DATABASE_URL="postgresql://u:p%40w@db.example:5433/jobs?sslmode=require")

    assert here.ledger_url() == "postgresql+psycopg://u:p%40w@db.example:5433/jobs?sslmode=require"
    assert here.prefect_database_url() == "postgresql+asyncpg://u:p%40w@db.example:5433/jobs_prefect?ssl=require"
    assert here.prefect_psycopg_url() == "postgresql+psycopg://u:p%40w@db.example:5433/jobs_prefect?sslmode=require"
    assert here.synced_url() == "postgresql+psycopg://u:p%40w@db.example:5433/jobs_warehouse?sslmode=require"


def test_database_behind_a_socket_needs_no_host(tmp_path: Path) -> None:
    here = load(tmp_path, REDRIVE_DATABASE_URL="postgresql:///jobs?host=/run/postgresql")

    assert here.ledger_url() == "postgresql+psycopg:///jobs?host=/run/postgresql"
    assert here.prefect_database_url() == "postgresql+asyncpg:///jobs_prefect?host=/run/postgresql"


@pytest.mark.parametrize(
    ("parameter", "fix"),
    [
        ("sslrootcert=/ca.pem", "set PGSSLROOTCERT=/ca.pem in the environment"),
        ("channel_binding=require", "`channel_binding` in the address of its database: leave it out"),
    ],
)
def test_parameter_that_prefects_driver_does_not_know_is_named(tmp_path: Path, parameter: str, fix: str) -> None:
    here = load(tmp_path, REDRIVE_DATABASE_URL=f"postgresql://u:p@db.example/jobs?sslmode=verify-full&{parameter}")

    with pytest.raises(SettingsError, match=fix):
        here.prefect_database_url()


def test_secrets_do_not_show(tmp_path: Path) -> None:
    here = load(tmp_path, REDRIVE_DATABASE_URL="postgresql://u:hunter2@h/d", REDRIVE_SMTP_URL="smtp://u:hunter2@h")

    assert "hunter2" not in repr(here) + here.model_dump_json()


def test_sockets_of_a_long_home_lie_in_a_short_folder(tmp_path: Path) -> None:
    assert len(str(load(tmp_path / ("x" * 120)).socket_folder)) <= SOCKET_FOLDER_LIMIT


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://127.0.0.1:4025", ("127.0.0.1", 4025, "none", None)),
        ("smtp://bob:p%40w@mail.example", ("mail.example", 587, "starttls", "bob")),
        ("smtps://mail.example", ("mail.example", 465, "tls", None)),
        ("smtp://relay.example:25?tls=none", ("relay.example", 25, "none", None)),
    ],
)
def test_mail_server_of_a_url(url: str, expected: tuple[object, ...]) -> None:
    block = mail_server(url, sender="a@b.example")

    assert (block.host, block.port, block.tls, block.user) == expected


def test_mail_url_of_another_kind_is_refused() -> None:
    with pytest.raises(SettingsError, match="must look like smtp://"):
        mail_server("imap://x", sender="a@b.example")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("high,default", "it must name low too"),
        ("high,default,low,low", "names a queue twice"),
        ("high,default,low,Bulk", "'Bulk' is no name of a queue"),
    ],
)
def test_queues_of_ones_own_stand_beside_those_there_always_are(given: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings.load({"REDRIVE_HOME": str(tmp_path), "REDRIVE_QUEUES": given})

    own = Settings.load({"REDRIVE_HOME": str(tmp_path), "REDRIVE_QUEUES": "high, bulk,default,low"})
    assert own.queues == ("high", "bulk", "default", "low")
