"""The exporter against a made-up API: what a scrape says and costs, and what errors, clocks and crowds do to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.requests.runs import count
from redrive.blocks.prefect.run_labels import RETRIES
from redrive.blocks.process.worker_report import SlotReport, WorkerReport
from redrive.dashboards.exporter import depth as depth_module
from redrive.dashboards.exporter.exposition import STALE, families
from redrive.dashboards.exporter.finished import CERTAIN
from redrive.dashboards.exporter.prefect import PrefectApi
from redrive.dashboards.exporter.retrying import PAGE
from redrive.dashboards.exporter.schedules import next_start
from redrive.dashboards.exporter.server import MetricsServer
from redrive.dashboards.exporter.service import Exporter
from redrive.dashboards.exporter.snapshot import Snapshot
from redrive.deployments.dead_letters.ledger import DutyRecord, Ledger
from tests.support.deaths import a_death
from tests.support.prefect_api import MadeUpApi, serving
from tests.support.waiting import wait_until

SECOND = timedelta(seconds=1)


class Rig:
    """An exporter, its ledger and its made-up API; looks are taken when the test says so."""

    def __init__(self, api: MadeUpApi, url: str, folder: Path) -> None:
        self.api = api
        self.settings = Settings.load(
            {
                "REDRIVE_HOME": str(folder),
                "PREFECT_API_URL": url,
                "REDRIVE_REDIS_URL": f"unix://{folder}/nobody.sock",
            }
        )
        self.ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
        self.ledger.migrate()
        self.started = datetime.now(UTC)
        self.ledger.set_cursor("counting began", (self.started - timedelta(hours=1)).isoformat())
        self.restart()

    def restart(self) -> None:
        """As after kill -9: nothing but the ledger is left."""
        self.exporter = Exporter(self.settings, self.ledger)
        self.tail = self.exporter._tail

    def sample(self) -> None:
        """Take every look once, whatever the time."""
        for duty in self.exporter.duties:
            self.exporter.attend(duty)

    def scraped(self, *, later: float = 0.0) -> dict[tuple[str, ...], float]:
        """Samples by name and label values in the order of the labels' names."""
        found = {}
        for family in families(self.exporter.snapshot, time.monotonic() + later, datetime.now(UTC)):
            for sample in family.samples:
                found[sample.name, *(value for _, value in sorted(sample.labels.items()))] = sample.value
        return found

    def finished(self, job: str = "mail", **more: Any) -> dict[str, Any]:
        """A run that ended just now."""
        return self.api.add(job, **{"end": datetime.now(UTC), "queue": "high"} | more)

    def counted(self, job: str = "mail", status: str = "completed", queue: str = "high") -> float:
        return self.ledger.counts.all().get(("jobs", queue, job, status), 0)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    api = MadeUpApi()
    with serving(api) as url:
        rig = Rig(api, url, tmp_path)
        yield rig
        rig.ledger.close()


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


def test_nothing_is_said_of_slots_without_redis(rig: Rig) -> None:
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


def test_open_dead_letters_have_an_age_and_closed_ones_none(rig: Rig) -> None:
    row = rig.ledger.record(a_death(job="mail", queue="high", last_failure=datetime.now(UTC) - 60 * SECOND)).id
    assert row
    rig.sample()
    assert rig.scraped()["queue_dead_letter_oldest_seconds", "high"] == pytest.approx(60, abs=5)

    rig.ledger.discard(row, who="ann")
    rig.sample()

    said = rig.scraped()
    assert said["queue_dead_letter_oldest_seconds", "high"] == 0
    assert (said["queue_dead_letters", "high", "open"], said["queue_dead_letters", "high", "discarded"]) == (0, 1)


def test_each_job_type_has_the_age_of_its_oldest_open_dead_letter(rig: Rig) -> None:
    now = datetime.now(UTC)
    for job, queue, minutes in (("mail", "high", 10), ("mail", "high", 90), ("sync", "high", 30), ("mail", "low", 5)):
        rig.ledger.record(a_death(job=job, queue=queue, last_failure=now - timedelta(minutes=minutes)))

    rig.sample()

    said = {key[1:]: value for key, value in rig.scraped().items() if key[0] == "queue_job_dead_letter_oldest_seconds"}
    expected = {("mail", "high"): 5400, ("sync", "high"): 1800, ("mail", "low"): 300}
    assert said == pytest.approx(expected, abs=5)
    assert rig.scraped()["queue_dead_letter_oldest_seconds", "high"] == pytest.approx(5400, abs=5)


def test_running_and_starting_jobs_have_an_age_that_is_their_attempts_own(rig: Rig) -> None:
    now = datetime.now(UTC)
    # It was tried before, hours ago; what runs now began a minute ago.
    rig.api.add("sync", "RUNNING", queue="low", due=now - 7200 * SECOND, since=now - 60 * SECOND)
    rig.api.add("sync", "RUNNING", queue="low", due=now - 600 * SECOND, since=now - 590 * SECOND)
    rig.api.add("mail", "PENDING", queue="low", due=now - 30 * SECOND, since=now - 20 * SECOND, run_count=0)
    rig.api.add("mail", "PENDING", queue="high", due=now - 90 * SECOND, since=now - 80 * SECOND, run_count=0)

    rig.sample()

    said = rig.scraped()
    assert [said["queue_jobs_running", queue] for queue in ("high", "default", "low")] == [1, 0, 3]
    assert [said["queue_jobs_starting", queue] for queue in ("high", "default", "low")] == [1, 0, 1]
    running = [said["queue_oldest_running_seconds", queue] for queue in ("high", "default", "low")]
    assert running == pytest.approx([0, 0, 590], abs=5)
    starting = [said["queue_oldest_starting_seconds", queue] for queue in ("high", "default", "low")]
    assert starting == pytest.approx([80, 0, 20], abs=5)


def test_ages_of_running_jobs_cost_the_same_for_one_as_for_a_thousand(rig: Rig) -> None:
    def asked() -> int:
        before = len(rig.api.calls)
        rig.exporter.attend(rig.exporter.duties[0])
        return len(rig.api.calls) - before

    rig.api.add("sync", "RUNNING", queue="low")
    rig.api.add("sync", "PENDING", queue="low")
    first = asked()
    for _ in range(1000):
        rig.api.add("sync", "RUNNING", queue="low")
        rig.api.add("sync", "PENDING", queue="low")

    assert asked() == first
    assert first <= 4 + 4 + 2, "an idle stack's calls, a queue's counts, and what runs and starts in it"


def test_a_duty_grows_older_while_nobody_records_it(rig: Rig) -> None:
    rig.ledger.duty_done("keeper", DutyRecord(duty="rescue", every=5, succeeded=40, seconds=0.1))

    rig.sample()

    assert rig.scraped()["queue_keeper_duty_age_seconds", "rescue"] == pytest.approx(40, abs=5)
    assert rig.scraped(later=50)["queue_keeper_duty_age_seconds", "rescue"] == pytest.approx(90, abs=5)


def test_without_a_keeper_no_duty_has_an_age(rig: Rig) -> None:
    rig.sample()

    assert not [key for key in rig.scraped() if key[0] == "queue_keeper_duty_age_seconds"]


def test_what_the_audit_found_is_told(rig: Rig) -> None:
    rig.sample()
    before = rig.scraped()
    rig.ledger.audited(found=3, uncollected=1)

    rig.sample()

    assert (before["queue_audit_found_total",], before["queue_uncollected_failures",]) == (0, 0)
    assert (rig.scraped()["queue_audit_found_total",], rig.scraped()["queue_uncollected_failures",]) == (3, 1)


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


def test_a_scrape_after_a_change_tells_it(rig: Rig) -> None:
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


# What ends while nobody looks, and what goes wrong


def test_a_job_that_ends_while_the_exporter_is_down_is_counted_when_it_returns(rig: Rig) -> None:
    rig.finished()
    rig.sample()
    rig.finished()
    rig.restart()

    rig.sample()
    rig.sample()

    assert rig.counted() == 2
    assert rig.scraped()["queue_jobs_total", "mail", "high", "completed"] == 2


def test_ten_thousand_jobs_that_ended_meanwhile_are_counted_once_each(rig: Rig) -> None:
    now = datetime.now(UTC)
    for number in range(10_000):
        # Many end in one instant: more than fit a page.
        rig.finished(end=now + (number // 500) * SECOND / 100)
    wait_until(lambda: datetime.now(UTC) > now + SECOND, 5)

    rig.sample()

    assert rig.counted() == 10_000
    assert len(rig.api.calls) < 120


def test_what_was_counted_of_a_sweep_that_was_cut_off_is_not_counted_again(rig: Rig) -> None:
    now = datetime.now(UTC)
    for number in range(1000):
        rig.finished(end=now + number * SECOND / 1000)
    wait_until(lambda: datetime.now(UTC) > now + SECOND, 5)
    cut_off(rig, after=3)

    with suppress(RuntimeError):
        rig.tail.sweep()

    assert 0 < rig.counted() < 1000
    rig.restart()
    rig.sample()
    assert rig.counted() == 1000


def test_a_run_that_leaves_the_list_between_two_pages_hides_no_other(rig: Rig) -> None:
    now = datetime.now(UTC)
    runs = [rig.finished(end=now - number * SECOND / 1000) for number in range(400)]
    pages = rig.api._page

    def redriven_meanwhile(body: dict[str, Any]) -> list[dict[str, Any]]:
        found = pages(body)
        if runs[0] in rig.api.runs:
            rig.api.runs.remove(runs[0])
        return found

    rig.api._page = redriven_meanwhile  # type: ignore[method-assign]

    rig.tail.sweep()

    assert rig.counted() == 400


def test_a_run_that_leaves_the_list_hides_no_other_though_all_ended_in_one_instant(rig: Rig) -> None:
    now = datetime.now(UTC)
    runs = [rig.finished(end=now) for _ in range(700)]
    pages = rig.api._page

    def redriven_meanwhile(body: dict[str, Any]) -> list[dict[str, Any]]:
        found = pages(body)
        for run in found[:50]:
            rig.api.runs.remove(run)
        return found

    rig.api._page = redriven_meanwhile  # type: ignore[method-assign]

    rig.tail.sweep()

    assert rig.counted() == len(runs)


def test_what_ends_after_the_servers_clock_was_put_back_is_counted(rig: Rig) -> None:
    rig.api.ahead = timedelta(hours=1)
    rig.sample()
    rig.finished(end=datetime.now(UTC) + timedelta(hours=1) - SECOND)
    rig.sample()
    rig.api.ahead = timedelta(0)
    rig.sample()

    rig.finished()
    rig.tail.sweep()

    assert rig.counted() == 2


def test_an_end_that_was_committed_late_is_found_by_its_number(rig: Rig) -> None:
    rig.finished()
    rig.sample()
    cursor = rig.ledger.counts.cursor()
    assert cursor
    late = cursor - 60 * SECOND
    rig.finished(end=late)

    rig.tail.sweep()
    assert rig.counted() == 1, "the quick look does not reach that far"
    rig.sample()

    assert rig.counted() == 2


def test_an_end_that_was_committed_late_is_found_though_the_numbers_agree(rig: Rig) -> None:
    cursor = rig.ledger.counts.cursor()
    assert cursor
    gone = rig.finished(end=cursor - 30 * SECOND)
    rig.sample()
    rig.api.runs.remove(gone)
    rig.finished(end=cursor - 60 * SECOND)
    rig.tail.reconcile()
    assert rig.counted() == 1

    for _ in range(CERTAIN):
        rig.tail.reconcile()

    assert rig.counted() == 2


def test_an_end_in_the_future_does_not_hide_those_that_follow(rig: Rig) -> None:
    rig.finished(end=datetime.now(UTC) + timedelta(hours=2))
    rig.sample()

    rig.finished()
    rig.sample()

    assert rig.counted() == 2


def test_a_server_whose_clock_is_ahead_is_asked_by_its_own_clock(rig: Rig) -> None:
    rig.api.ahead = timedelta(minutes=10)
    due = datetime.now(UTC) + timedelta(minutes=9)
    rig.sample()
    rig.api.add("mail", "SCHEDULED", queue="high", due=due, run_count=0)
    rig.finished(end=datetime.now(UTC) + timedelta(minutes=10))

    rig.sample()

    said = rig.scraped()
    assert said["queue_jobs_waiting", "high"] == 1
    assert said["queue_oldest_waiting_seconds", "high"] == pytest.approx(60, abs=5)
    assert said["queue_exporter_clock_offset_seconds",] == pytest.approx(600, abs=2)
    assert rig.counted() == 1


def test_clocks_that_differ_by_a_second_count_as_equal(rig: Rig) -> None:
    rig.api.ahead = timedelta(seconds=1)

    rig.sample()

    assert rig.exporter.api.offset == timedelta(0)


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


# Schedules


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


# Helpers


@contextmanager
def served(rig: Rig) -> Iterator[str]:
    server = MetricsServer("127.0.0.1", 0, lambda: rig.exporter.snapshot)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def cut_off(rig: Rig, *, after: int) -> None:
    """Let the exporter die after so many pages."""
    counts, left = rig.tail._counts, [after]
    count = counts.count

    def dying(*args: Any, **more: Any) -> int:
        if not left[0]:
            raise RuntimeError("killed here")
        left[0] -= 1
        return count(*args, **more)

    counts.count = dying  # type: ignore[method-assign]


def test_a_port_that_is_taken_is_said_in_a_sentence(rig: Rig) -> None:
    with served(rig) as url, pytest.raises(Exception, match="set REDRIVE_METRICS_PORT to a free port"):
        MetricsServer("127.0.0.1", int(url.rpartition(":")[2]), Snapshot)


def test_a_refused_password_says_what_to_set(rig: Rig) -> None:
    rig.api.status = 401

    rig.sample()

    assert all("set PREFECT_API_AUTH_STRING" in said for said in rig.exporter.snapshot.failing.values())


def test_a_server_that_is_away_says_what_to_do(rig: Rig) -> None:
    rig.exporter.api = PrefectApi(replace_url(rig.settings))
    with pytest.raises(Exception, match="start the stack with `redrive up`"):
        rig.exporter.api.ask(count({}))


def replace_url(settings: Settings) -> Settings:
    return settings.model_copy(update={"external_api_url": "http://127.0.0.1:9/api"})


def test_a_snapshot_without_looks_says_that_it_is_not_up() -> None:
    said = {
        sample.name: sample.value for family in families(Snapshot(), 0, datetime.now(UTC)) for sample in family.samples
    }

    assert said["queue_exporter_up"] == 0
    assert "queue_jobs_total" not in said
