"""The findings of `redrive check` for installations with servers of their own: each fault is found, and what is right is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import Settings

from redrive.blocks.core.errors import RedriveError
from redrive.deployments.health import production
from redrive.infra.docker.roles import SCALED

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The settings that a server with such an environment tells."""

    def told(**environment: str) -> dict[str, Any]:
        with monkeypatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            return Settings().model_dump(mode="json")

    return told


def test_names_of_what_lies_in_memory_are_those_of_this_prefect(server: Any) -> None:
    assert "one API server" in production.shared_state(server())


def test_several_servers_as_our_images_set_them_share_everything(server: Any) -> None:
    assert "several may run" in production.shared_state(server(PREFECT_SERVER_DOCKET_URL="redis://r:6379", **SCALED))


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        (SCALED, "PREFECT_SERVER_DOCKET_URL"),
        ({"PREFECT_SERVER_DOCKET_URL": "redis://r:6379"}, "PREFECT_SERVER_EVENTS_MESSAGING_BROKER"),
        (
            {
                **SCALED,
                "PREFECT_SERVER_DOCKET_URL": "redis://r:6379",
                "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.memory",
            },
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
        ),
    ],
)
def test_state_that_is_shared_by_halves_is_named(server: Any, environment: dict[str, str], named: str) -> None:
    with pytest.raises(RedriveError, match=named):
        production.shared_state(server(**environment))


def test_several_servers_that_share_nothing_are_found(server: Any) -> None:
    with pytest.raises(RedriveError, match=r"2 hosts work with Prefect's database.*PREFECT_SERVER_DOCKET_URL"):
        production.shared_state(server(), hosts=2)
    assert production.shared_state(server(PREFECT_SERVER_DOCKET_URL="redis://r:6379", **SCALED), hosts=5)


def test_passwords_that_cannot_be_guessed_are_fine() -> None:
    assert production.passwords("redrive:x7ZgQ", ["postgresql://u:x7ZgQ@db/redrive", "postgresql:///redrive?host=/run"])


@pytest.mark.parametrize(
    ("auth", "urls", "said"),
    [
        (None, [], "asks for no password"),
        ("admin:pass", [], "PREFECT_API_AUTH_STRING can be guessed"),
        ("redrive:x7ZgQ", ["postgresql://redrive:redrive@db/redrive"], "the password of redrive at db can be guessed"),
        ("redrive:x7ZgQ", ["postgresql://redrive@db/redrive"], "the password of redrive at db can be guessed"),
        ("redrive:x7ZgQ", ["redis://cache:6379/0"], "the password of nobody at cache can be guessed"),
        (
            "redrive:CHANGE-ME",
            ["redis://:CHANGE-ME@cache:6379/0"],
            "PREFECT_API_AUTH_STRING and the password of nobody at cache",
        ),
    ],
)
def test_missing_and_well_known_passwords_are_found(auth: str | None, urls: list[str], said: str) -> None:
    with pytest.raises(RedriveError, match=said):
        production.passwords(auth, urls)


def test_retention_needs_events_and_runs(server: Any) -> None:
    assert "`prune`" in production.retention(server(), prune_is_active=True)
    vacuum = server(PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED="events,flow_runs")
    assert "the vacuum of Prefect" in production.retention(vacuum, prune_is_active=False)
    with pytest.raises(RedriveError, match="finished runs stay for ever"):
        production.retention(server(), prune_is_active=False)
    with pytest.raises(RedriveError, match="events stay for ever"):
        production.retention(server(PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED="flow_runs"), prune_is_active=True)


def test_clocks_that_differ_are_named() -> None:
    assert production.clocks({"Prefect's server": 4.9, "the ledger's database": -4.9})
    with pytest.raises(RedriveError, match="the ledger's database 3600 s behind"):
        production.clocks({"Prefect's server": 0, "the ledger's database": -3600})


def test_versions_that_differ_are_named() -> None:
    mine = [{"name": "mail", "version": "abc+redrive-0.1.0"}]
    assert production.versions(here="3.8.8", server="3.8.8", deployments=mine, redrive="0.1.0")
    with pytest.raises(RedriveError, match=r"Prefect 3\.8\.8 here, 3\.9\.0 at the server"):
        production.versions(here="3.8.8", server="3.9.0", deployments=mine, redrive="0.1.0")
    with pytest.raises(RedriveError, match=r"another Redrive than 0\.2\.0: mail \(0\.1\.0\)"):
        production.versions(here="3.8.8", server="3.8.8", deployments=mine, redrive="0.2.0")
    assert production.versions(
        here="3.8.8", server="3.8.8", deployments=[{"name": "sync", "version": "abc"}], redrive="0.1.0"
    )


def test_queue_without_a_worker_is_named_with_what_waits() -> None:
    assert production.served_queues(["high", "low"], [("high",), ()], {})
    with pytest.raises(RedriveError, match=r"no worker serves low \(7 jobs waiting\)"):
        production.served_queues(["high", "low"], [("high",)], {"low": 7})


def test_lease_below_three_heartbeats_is_named() -> None:
    assert production.lease(90, {"a": 30, "b": 20})
    with pytest.raises(RedriveError, match=r"three heartbeats of worker b \(31 s apart\): set it to 93"):
        production.lease(90, {"a": 30, "b": 31})


def test_local_results_with_several_hosts_are_found() -> None:
    assert production.results({"one"}, None)
    assert production.results({"one", "two"}, "s3-bucket/results")
    with pytest.raises(RedriveError, match=r"2 hosts \(one, two\)"):
        production.results({"one", "two"}, None)


def test_stream_that_grows_is_found() -> None:
    assert production.streams({"events": 10})
    with pytest.raises(RedriveError, match=r"events \(100,001\)"):
        production.streams({"events": 100_001, "logs": 3})


@pytest.mark.parametrize(("within", "enabled", "wrong"), [(90, True, True), (90, False, False), (600, True, False)])
def test_automation_that_kills_healthy_runs_is_found(*, within: int, enabled: bool, wrong: bool) -> None:
    beat = {
        "posture": "Proactive",
        "expect": ["prefect.flow-run.heartbeat", "prefect.flow-run.Completed"],
        "within": within,
    }
    found = [{"name": "zombies", "enabled": enabled, "trigger": {"type": "compound", "triggers": [beat]}}]

    if wrong:
        with pytest.raises(RedriveError, match=r"'zombies' \(90 s\) ends healthy runs"):
            production.zombie_automations(found)
    else:
        assert production.zombie_automations(found)


def test_backups_are_of_the_last_day_or_it_is_reported(tmp_path: Path) -> None:
    def made(at: datetime) -> None:
        folder = tmp_path / f"redrive-{at:%Y%m%dT%H%M%SZ}"
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps({"at": at.isoformat()}))

    with pytest.raises(RedriveError, match="set REDRIVE_BACKUPS"):
        production.backups(None, NOW)
    with pytest.raises(RedriveError, match="there is no backup in"):
        production.backups(tmp_path, NOW)
    made(NOW - timedelta(days=2))
    with pytest.raises(RedriveError, match="48 h ago"):
        production.backups(tmp_path, NOW)
    made(NOW - timedelta(hours=3))
    assert production.backups(tmp_path, NOW) == "the newest is 3 h old"
