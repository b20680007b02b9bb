"""What errors, slow answers, missed schedules and wrong passwords do to the exporter."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.requests.runs import count
from redrive.blocks.prefect.run_labels import RETRIES
from redrive.dashboards.exporter.exposition import STALE, families
from redrive.dashboards.exporter.prefect import PrefectApi
from redrive.dashboards.exporter.retrying import PAGE
from redrive.dashboards.exporter.schedules import next_start
from redrive.dashboards.exporter.server import MetricsServer
from redrive.dashboards.exporter.service import Exporter
from redrive.dashboards.exporter.snapshot import Snapshot
from tests.support.exporter_rig import Rig, served

SECOND = timedelta(seconds=1)


def test_errors_of_the_api_show_and_pass(rig: Rig) -> None:
    rig.finished()
    rig.sample()
    rig.api.status = 500
    rig.sample()
    with served(rig) as url:
        down, health = rig.scraped(), httpx.get(f"{url}/health")
        rig.api.status = 200
        rig.finished()
        rig.sample()
        well = httpx.get(f"{url}/health")

    assert down["queue_exporter_up",] == 0
    assert down["queue_jobs_total", "mail", "high", "completed"] == 1, "counters stay"
    assert health.status_code == 503
    assert "answered 500: see `redrive status`" in health.text
    assert (well.status_code, well.text) == (200, "ok\n")
    assert rig.scraped()["queue_exporter_up",] == 1
    assert rig.counted() == 2


def test_a_slow_api_shows_as_lag_and_keeps_no_scrape_waiting(rig: Rig) -> None:
    rig.sample()
    with served(rig) as url:
        rig.api.hold.clear()
        working = threading.Thread(target=rig.sample)
        working.start()

        began = time.monotonic()
        answer = httpx.get(f"{url}/metrics", timeout=5)
        took = time.monotonic() - began
        rig.api.hold.set()
        working.join()

    assert answer.status_code == 200
    assert took < 2
    assert rig.scraped(later=300)["queue_exporter_lag_seconds",] == pytest.approx(300, abs=5)
    assert rig.scraped(later=300)["queue_exporter_up",] == 0


def test_depths_that_are_old_are_left_out_and_counters_are_not(rig: Rig) -> None:
    rig.finished()
    rig.sample()

    fresh, old = rig.scraped(), rig.scraped(later=STALE + 1)

    assert ("queue_jobs_waiting", "high") in fresh
    assert ("queue_jobs_waiting", "high") not in old
    assert ("queue_jobs_total", "mail", "high", "completed") in old


def test_retries_of_waiting_jobs_are_counted_in_turns(rig: Rig) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    for number in range(PAGE + 50):
        rig.api.add(
            "mail", "SCHEDULED", queue="high", name="AwaitingRetry", due=due + number * SECOND, labels={RETRIES: 1}
        )
    for _ in range(4):
        rig.exporter.attend(rig.exporter.duties[0])

    assert rig.ledger.counts.all()["retries", "high", "mail", ""] == PAGE + 50


def test_two_exporters_count_as_one(rig: Rig) -> None:
    other = Exporter(rig.settings, rig.ledger)
    for _ in range(50):
        rig.finished()

    threads = [threading.Thread(target=tail.sweep) for tail in (rig.tail, other._tail)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rig.counted() == 50


def a_deployment(rig: Rig, job: str, queue: str, **schedule: Any) -> dict[str, Any]:
    schedules = [{"active": True, "updated": rig.started.isoformat(), "schedule": schedule}] if schedule else []
    return {
        "id": f"deployment-{job}", "name": job, "flow_id": rig.api.flow(job), "work_queue_name": queue, "schedules": schedules,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ({"cron": "*/15 * * * *", "timezone": "UTC"}, "2026-11-24T12:00:00Z", "2026-11-24T12:15:00Z"),
        # Seven in London is an hour earlier in summer.
        ({"cron": "0 7 * * *", "timezone": "Europe/London"}, "2026-03-28T12:00:00Z", "2026-03-29T06:00:00Z"),
        ({"cron": "@daily", "timezone": None}, "2026-11-24T12:00:00Z", "2026-11-25T00:00:00Z"),
        ({"interval": 600, "anchor_date": "2026-11-24T00:05:00Z"}, "2026-11-24T12:00:00Z", "2026-11-24T12:05:00Z"),
        ({"rrule": "FREQ=DAILY"}, "2026-11-24T12:00:00Z", None),
        ({"cron": "not a line"}, "2026-11-24T12:00:00Z", None),
    ],
)
def test_the_next_start_of_a_schedule(schedule: dict[str, Any], after: str, expected: str | None) -> None:
    found = next_start((schedule,), after=datetime.fromisoformat(after))

    assert found == (datetime.fromisoformat(expected) if expected else None)


def test_a_schedule_whose_run_is_missing_is_overdue_until_it_is_made(rig: Rig) -> None:
    rig.started -= timedelta(minutes=10)
    rig.api.deployments = [a_deployment(rig, "sync", "low", cron="* * * * *", timezone="UTC")]
    rig.sample()
    assert rig.scraped()["queue_schedule_overdue_seconds", "sync", "low"] == pytest.approx(570, abs=60)

    made = rig.api.add("sync", "SCHEDULED", queue="low", due=datetime.now(UTC) + timedelta(minutes=5), run_count=0)
    made |= {"deployment_id": "deployment-sync", "tags": ["auto-scheduled"]}
    rig.sample()

    assert rig.scraped()["queue_schedule_overdue_seconds", "sync", "low"] == 0


def test_a_paused_schedule_is_not_overdue(rig: Rig) -> None:
    rig.started -= timedelta(minutes=10)
    rig.api.deployments = [a_deployment(rig, "sync", "low", cron="* * * * *", timezone="UTC") | {"paused": True}]

    rig.sample()

    assert ("queue_schedule_overdue_seconds", "sync", "low") not in rig.scraped()


def test_a_port_that_is_taken_is_reported_in_a_sentence(rig: Rig) -> None:
    with served(rig) as url, pytest.raises(Exception, match="set REDRIVE_METRICS_PORT to a free port"):
        MetricsServer("127.0.0.1", int(url.rpartition(":")[2]), Snapshot)


def test_a_refused_password_says_what_to_set(rig: Rig) -> None:
    rig.api.status = 401

    rig.sample()

    assert all("set PREFECT_API_AUTH_STRING" in said for said in rig.exporter.snapshot.failing.values())


def test_a_server_that_is_unavailable_says_what_to_do(rig: Rig) -> None:
    rig.exporter.api = PrefectApi(replace_url(rig.settings))
    with pytest.raises(Exception, match="start the stack with `redrive up`"):
        rig.exporter.api.ask(count({}))


def replace_url(settings: Settings) -> Settings:
    return settings.model_copy(update={"external_api_url": "http://127.0.0.1:9/api"})


def test_a_snapshot_without_polls_says_that_it_is_not_up() -> None:
    said = {
        sample.name: sample.value for family in families(Snapshot(), 0, datetime.now(UTC)) for sample in family.samples
    }

    assert said["queue_exporter_up"] == 0
    assert "queue_jobs_total" not in said
