"""The exporter against a made-up API: what a scrape says and costs, and what errors, clocks and crowds do to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from redrive.blocks.prefect.run_labels import RETRIES
from redrive.blocks.process.worker_report import SlotReport, WorkerReport
from redrive.dashboards.exporter import depth as depth_module
from redrive.dashboards.exporter.exposition import families
from redrive.dashboards.exporter.snapshot import Snapshot
from tests.support.deaths import a_death
from tests.support.exporter_rig import Rig, served

SECOND = timedelta(seconds=1)


# What a scrape says


def test_every_name_of_the_contract_is_there(rig: Rig) -> None:
    rig.finished(labels={RETRIES: 1})
    rig.ledger.record(a_death(job="mail", queue="high"))

    rig.sample()

    names = {name for name, *_ in rig.scraped()}
    assert names >= {
        "queue_jobs_total", "queue_jobs_failed_total", "queue_job_retries_total", "queue_jobs_rescued_total",
        "queue_jobs_processing_duration_seconds_bucket", "queue_jobs_wait_seconds_sum", "queue_job_tries_count",
        "queue_jobs_waiting", "queue_jobs_scheduled", "queue_jobs_running", "queue_jobs_retrying",
        "queue_oldest_waiting_seconds", "queue_dead_letters", "queue_dead_letter_oldest_seconds", "queue_paused",
        "queue_paused_seconds", "queue_workers", "queue_last_finished_timestamp_seconds",
        "queue_exporter_lag_seconds", "queue_exporter_up",
        "queue_jobs_starting", "queue_oldest_running_seconds", "queue_oldest_starting_seconds",
        "queue_job_dead_letter_oldest_seconds", "queue_uncollected_failures", "queue_audit_found_total",
    }  # fmt: skip
    assert rig.scraped()["queue_exporter_up",] == 1


def test_each_queue_says_what_is_in_it(rig: Rig) -> None:
    now = datetime.now(UTC)
    rig.api.add("mail", "SCHEDULED", queue="high", due=now - 30 * SECOND, run_count=0)
    rig.api.add("mail", "SCHEDULED", queue="high", due=now - 90 * SECOND, run_count=0, name="Late")
    rig.api.add("mail", "SCHEDULED", queue="high", due=now + 3600 * SECOND, run_count=0)
    rig.api.add("mail", "SCHEDULED", queue="high", due=now + 3600 * SECOND, name="AwaitingRetry")
    rig.api.add("sync", "RUNNING", queue="low")
    rig.api.paused.add("low")
    rig.api.workers = ["w-1", "w-2"]

    rig.sample()

    said = rig.scraped()
    assert [said[f"queue_jobs_{what}", "high"] for what in ("waiting", "scheduled", "running", "retrying")] == [
        2,
        1,
        0,
        1,
    ]
    assert said["queue_oldest_waiting_seconds", "high"] == pytest.approx(90, abs=5)
    assert (said["queue_jobs_running", "low"], said["queue_oldest_waiting_seconds", "low"]) == (1, 0)
    assert [said["queue_paused", queue] for queue in ("high", "default", "low")] == [0, 0, 1]
    assert [said["queue_workers", queue] for queue in ("high", "low")] == [2, 2]


def test_an_idle_stack_is_asked_little(rig: Rig) -> None:
    rig.sample()
    rig.api.calls.clear()

    rig.exporter.attend(rig.exporter.duties[0])

    assert len(rig.api.calls) == 4  # queues, two counts, workers


def test_slots_come_from_workers_reports() -> None:
    busy = SlotReport(run_id=str(uuid4()), job="mail", queue="high", attempt=1, since="2026-11-24T12:00:00+00:00")
    common = {"pool": "jobs", "type": "warm", "host": "h", "pid": 1, "started": "2026-11-24T12:00:00+00:00"}
    reports = (
        WorkerReport(name="w-1", slots=4, busy=(busy,), **common),  # type: ignore[arg-type]
        WorkerReport(name="w-2", slots=2, queues=("low",), **common),  # type: ignore[arg-type]
    )
    depths = tuple(depth_module.Depth(queue=queue, paused=False) for queue in ("high", "low"))
    now = Snapshot(depths=depths, depths_read=0, workers=("w-1", "w-2", "w-3"), reports=reports)

    said = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(now, 0, datetime.now(UTC))
        for sample in family.samples
    }

    assert (said["queue_worker_slots", "high", "busy"], said["queue_worker_slots", "high", "free"]) == (1, 3)
    assert (said["queue_worker_slots", "low", "busy"], said["queue_worker_slots", "low", "free"]) == (0, 5)
    assert (said["queue_workers", "high"], said["queue_workers", "low"]) == (2, 3)


def test_slots_of_housekeeping_workers_are_none_of_the_jobs(rig: Rig) -> None:
    common: dict[str, Any] = {"type": "warm", "host": "h", "pid": 1, "started": "2026-11-24T12:00:00+00:00", "slots": 4}
    found = [WorkerReport(name="w", pool="jobs", **common), WorkerReport(name="o", pool="ops", **common)]
    rig.exporter._reports.all = lambda: found  # type: ignore[method-assign]

    rig.sample()

    assert rig.scraped()["queue_worker_slots", "high", "free"] == 4


def test_nothing_is_reported_of_slots_without_redis(rig: Rig) -> None:
    rig.sample()

    assert not [key for key in rig.scraped() if key[0] == "queue_worker_slots"]
    assert rig.scraped()["queue_exporter_up",] == 1


def test_a_pause_is_as_old_after_a_restart(rig: Rig) -> None:
    rig.api.paused.add("low")
    rig.sample()
    since = rig.exporter.snapshot.paused_since["low"]
    rig.restart()

    rig.sample()

    assert rig.exporter.snapshot.paused_since["low"] == since
    rig.api.paused.clear()
    rig.sample()
    rig.restart()
    rig.api.paused.add("low")
    rig.sample()
    assert rig.exporter.snapshot.paused_since["low"] > since


def test_housekeeping_and_runs_without_a_deployment_are_no_jobs(rig: Rig) -> None:
    rig.finished(pool="ops", queue="default")
    rig.finished(deployment=None)

    rig.sample()

    assert not [key for key in rig.ledger.counts.all() if key[0] == "jobs"]


def test_a_counter_is_zero_before_it_is_one(rig: Rig) -> None:
    rig.api.deployments = [a_deployment(rig, "mail", "high")]

    rig.sample()

    said = rig.scraped()
    assert said["queue_jobs_total", "mail", "high", "dead"] == 0
    assert said["queue_jobs_failed_total", "mail", "high", "tries"] == 0
    assert said["queue_jobs_rescued_total", "mail", "high"] == 0


# What it costs


def test_a_scrape_makes_no_call(rig: Rig) -> None:
    rig.finished()
    with served(rig) as url:
        rig.sample()
        asked = len(rig.api.calls)

        texts = [httpx.get(f"{url}/metrics").text for _ in range(20)]

    assert len(rig.api.calls) == asked
    found = {family.name for text in texts for family in text_string_to_metric_families(text)}
    assert "queue_jobs" in found


def test_a_scrape_after_a_change_has_it(rig: Rig) -> None:
    with served(rig) as url:
        for number in (1, 2, 3):
            rig.finished()
            rig.sample()

            text = httpx.get(f"{url}/metrics").text

            assert f'queue_jobs_total{{job="mail",queue="high",status="completed"}} {number}.0' in text


def test_with_a_thousand_job_types_labels_are_bounded(rig: Rig) -> None:
    rig.api.deployments = [a_deployment(rig, "first", "high")]
    rig.sample()
    for number in range(1000):
        rig.finished(f"job-{number}", queue=f"queue-{number % 50}")

    rig.sample()

    said = rig.scraped()
    jobs = {key[1] for key in said if key[0] == "queue_jobs_total"}
    queues = {key[2] for key in said if key[0] == "queue_jobs_total"}
    assert len(jobs) == 201
    assert {"first", "other"} <= jobs
    assert len(queues) <= 21
    assert sum(value for key, value in said.items() if key[0] == "queue_jobs_total") == 1000


def a_deployment(rig: Rig, job: str, queue: str, **schedule: Any) -> dict[str, Any]:
    schedules = [{"active": True, "updated": rig.started.isoformat(), "schedule": schedule}] if schedule else []
    return {
        "id": f"deployment-{job}", "name": job, "flow_id": rig.api.flow(job), "work_queue_name": queue, "schedules": schedules,
    }  # fmt: skip
