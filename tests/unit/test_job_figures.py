"""What the warm workers count of jobs: in one Redis, by job type, step and hour."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from redrive.blocks.process import step_times
from redrive.blocks.process.job_figures import MEGABYTE, MEMORY, NAMES, OTHER, RUN, STEP, Counting, JobFigures, Series
from redrive.blocks.process.slowest import MOST, SlowAttempt, SlowByType, Slowest, include
from redrive.dashboards.exporter.job_figures import families
from tests.support.valkey import running_valkey

NOW = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)


@pytest.fixture
def valkey() -> Iterator[str]:
    with running_valkey() as url:
        yield url


@pytest.fixture
def figures(valkey: str) -> Iterator[JobFigures]:
    made = JobFigures(valkey)
    yield made
    made.close()


@pytest.fixture
def slowest(valkey: str) -> Iterator[Slowest]:
    made = Slowest(valkey)
    yield made
    made.close()


def slow(seconds: float, run_id: str = "1", at: datetime = NOW, job: str = "sync") -> SlowAttempt:
    return SlowAttempt(run_id=run_id, job=job, queue="low", seconds=seconds, at=at.timestamp())


def by_type(*attempts: SlowAttempt) -> SlowByType:
    kept: SlowByType = {}
    include(kept, *attempts)
    return kept


def counted(*seconds: float, job: str = "sync", memory: int = 0, **steps: float) -> Counting:
    counting = Counting()
    for one in seconds:
        counting.attempt(
            job, seconds=one, memory=memory, steps={name: ({"1.0": 1}, took) for name, took in steps.items()}
        )
    return counting


def test_what_workers_count_adds_up(figures: JobFigures) -> None:
    figures.add(counted(*[0.2] * 90, load=0.1).take(), NOW)
    figures.add(counted(*[40.0] * 10, memory=300 * MEGABYTE).take(), NOW)

    found = figures.total()

    run = found[Series(RUN, "sync")]
    assert (run.count, run.sum) == (100, pytest.approx(418))
    assert run.at(0.5) == pytest.approx(0.2, abs=0.1)
    assert 30 < (run.at(0.99) or 0) <= 60
    assert found[Series(STEP, "sync", "load")].count == 90
    assert found[Series(MEMORY, "sync")].count == 10


def test_hours_are_read_by_themselves(figures: JobFigures) -> None:
    figures.add(counted(1.0).take(), NOW - timedelta(hours=30))
    figures.add(counted(1.0, 1.0).take(), NOW)

    assert figures.since(timedelta(hours=1), NOW)[Series(RUN, "sync")].count == 2
    assert figures.since(timedelta(hours=48), NOW)[Series(RUN, "sync")].count == 3


def test_what_could_not_be_reported_is_reported_later() -> None:
    counting = counted(1.0)
    taken = counting.take()
    assert counting.take() == {}
    counting.attempt("sync", seconds=2.0, memory=0, steps={})

    counting.put_back(taken)

    assert counting.take()[Series(RUN, "sync")].count == 2


def test_names_have_a_bound() -> None:
    counting = Counting()
    for number in range(NAMES + 5):
        counting.attempt("sync", seconds=1, memory=0, steps={f"step {number}": ({"1.0": 1}, 1.0)})

    taken = counting.take()

    assert taken[Series(STEP, "sync", OTHER)].count == 5
    assert len(taken) == 1 + NAMES + 1


def test_steps_that_run_side_by_side_are_all_counted() -> None:
    step_times.begin()

    def run() -> None:
        for _ in range(200):
            with step_times.timed("load"):
                pass

    threads = [threading.Thread(target=run) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    buckets, _ = step_times.end()["load"]

    assert sum(buckets.values()) == 1600
    with step_times.timed("late"):
        pass
    assert step_times.end() == {}


def test_the_slowest_are_kept(slowest: Slowest) -> None:
    for numbers in (range(MOST), range(MOST, MOST + 20)):
        slowest.add(by_type(*(slow(number, str(number)) for number in numbers)), NOW)
    slowest.add(by_type(slow(1000, "quick hour", NOW - timedelta(hours=3))), NOW - timedelta(hours=3))

    lately = slowest.since(timedelta(hours=1), now=NOW)
    day = slowest.since(timedelta(hours=24), limit=2, now=NOW)

    assert (len(lately), lately[0].seconds, lately[-1].seconds) == (MOST, MOST + 19, 20)
    assert [one.run_id for one in day] == ["quick hour", str(MOST + 19)]


def test_a_quick_job_type_has_its_own_slowest(slowest: Slowest) -> None:
    many = (slow(100 + number, f"sync {number}") for number in range(200))
    slowest.add(by_type(slow(0.1, "mail 1", job="mail"), *many, slow(0.2, "mail 2", job="mail")), NOW)

    mails = slowest.since(timedelta(hours=1), job="mail", now=NOW)
    all_types = slowest.since(timedelta(hours=1), limit=MOST + 1, now=NOW)

    assert [one.run_id for one in mails] == ["mail 2", "mail 1"]
    assert [one.run_id for one in (all_types[0], all_types[-1])] == ["sync 199", "mail 2"]


def test_an_attempt_reported_twice_is_one(slowest: Slowest) -> None:
    slowest.add(by_type(slow(3)), NOW)
    slowest.add(by_type(slow(3)), NOW)

    assert slowest.since(timedelta(hours=1), now=NOW) == [slow(3)]


def test_without_redis_it_says_so() -> None:
    with pytest.raises(redis.RedisError):
        JobFigures("redis://127.0.0.1:1").total()


def test_the_exporter_shows_them_as_prometheus_counts(figures: JobFigures) -> None:
    figures.add(counted(0.2, 40, memory=MEGABYTE, load=0.5).take(), NOW)

    by_name = {family.name: family for family in families(figures.total())}

    steps = {
        (sample.name, sample.labels.get("le")): sample.value for sample in by_name["queue_job_step_seconds"].samples
    }
    assert steps["queue_job_step_seconds_bucket", "1.0"] == 2
    assert steps["queue_job_step_seconds_bucket", "0.5"] == 0
    assert steps["queue_job_step_seconds_bucket", "+Inf"] == steps["queue_job_step_seconds_count", None] == 2
    assert steps["queue_job_step_seconds_sum", None] == 1
    assert {frozenset(sample.labels) for sample in by_name["queue_job_memory_bytes"].samples} == {
        frozenset({"job"}),
        frozenset({"job", "le"}),
    }
