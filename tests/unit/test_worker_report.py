"""What a worker says of itself, there and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
import redis

from redrive.blocks.process.worker_report import LIFETIME, PREFIX, SlotReport, WorkerReport, WorkerReports
from tests.support.valkey import running_valkey

BUSY = SlotReport(run_id="a-run", job="send-mail", queue="high", attempt=2, since="2026-01-01T00:00:00.000000Z")


def a_report(name: str = "one", **given: object) -> WorkerReport:
    values: dict[str, object] = {
        "name": name,
        "pool": "jobs",
        "type": "warm",
        "host": "here",
        "pid": 7,
        "started": "2026-01-01T00:00:00.000000Z",
        "slots": 4,
        "queues": ("high", "low"),
        "busy": (BUSY,),
    }
    return WorkerReport(**{**values, **given})  # type: ignore[arg-type]  # made up by name


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_valkey() as url:
        yield url


@pytest.fixture
def reports(url: str) -> Iterator[WorkerReports]:
    with redis.Redis.from_url(url) as server:
        server.flushall()
    reports = WorkerReports(url)
    yield reports
    reports.close()


def test_report_reads_as_it_was_written() -> None:
    report = a_report(draining=True)

    assert WorkerReport.read(report.write()) == report


def test_reports_are_found_by_name_in_order(reports: WorkerReports) -> None:
    reports.publish(a_report("two"))
    reports.publish(a_report("one"))

    assert [one.name for one in reports.all()] == ["one", "two"]
    assert reports.all()[0].busy == (BUSY,)


def test_newer_report_replaces_the_older(reports: WorkerReports) -> None:
    reports.publish(a_report())
    reports.publish(a_report(busy=()))

    assert [one.busy for one in reports.all()] == [()]


def test_worker_that_ended_is_forgotten(reports: WorkerReports) -> None:
    reports.publish(a_report())

    reports.withdraw("one")

    assert reports.all() == []


def test_report_of_a_killed_worker_ends_by_itself(reports: WorkerReports, url: str) -> None:
    reports.publish(a_report())

    with redis.Redis.from_url(url) as server:
        left = cast("int", server.ttl(f"{PREFIX}one"))

    assert 0 < left <= LIFETIME


def test_redis_that_is_unavailable_is_reported() -> None:
    with pytest.raises(redis.RedisError):
        WorkerReports("redis://127.0.0.1:1/0").all()
