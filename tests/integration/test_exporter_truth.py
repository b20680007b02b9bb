"""Every figure of the exporter against the truth, told by Prefect's state histories, the ledger, and what jobs left behind.

One batch of mixed jobs runs on a stack of its own, with `kill -9` for jobs and for the exporter in the middle of it.
`REDRIVE_TEST_EXPORTER_JOBS` says how many; `make soak` takes 300.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from redrive.deployments.dead_letters.ledger.finishes import DURATION, TRIES, WAIT
from tests.support.exporter_batch import (
    MISSED,
    NEVER_BACK,
    OURS,
    SECONDS_PER_JOB,
    Batch,
    Truth,
)
from tests.support.exporter_mixture import MENDED
from tests.support.job_stack import JobStack, pointed_at
from tests.support.prometheus import installed, scraping

SMALL = 20

FULL = 300

pytestmark = [pytest.mark.timeout(FULL * SECONDS_PER_JOB), pytest.mark.slow]


def size() -> int:
    return int(os.environ.get("REDRIVE_TEST_EXPORTER_JOBS", SMALL))


@pytest.fixture(
    scope="module", params=[pytest.param(None, id="small"), pytest.param(FULL, id="full", marks=pytest.mark.soak)]
)
def batch(request: pytest.FixtureRequest) -> Iterator[Batch]:
    folder = Path(tempfile.mkdtemp(prefix="redrive-exporter-"))
    stack = JobStack(folder / ".redrive", retry_after=20)
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        ending.callback(stack.stop)
        stack.start()
        ending.enter_context(pointed_at(stack))
        batch = Batch(stack, request.param or size())
        if installed("prometheus"):
            batch.prometheus = ending.enter_context(scraping(f"127.0.0.1:{stack.settings.metrics_port}"))
        batch.run()
        batch.scrape()
        yield batch


@pytest.fixture
def truth(batch: Batch) -> Truth:
    return Truth(batch)


def test_jobs_have_the_ends_that_this_test_is_about(batch: Batch, truth: Truth) -> None:
    for job, sort in batch.sorts.items():
        expected = ["dead", "completed"] if sort is MENDED else [sort.end]
        assert truth.fates[job] == expected, (sort, truth.histories[job])
    assert truth.rescues()["high", "test-long"], "the process that was killed had ended before"


def test_every_end_is_counted_once(batch: Batch, truth: Truth) -> None:
    assert batch.of("queue_jobs_total", "status") == truth.by_fate()


def test_every_death_is_counted_with_its_reason(batch: Batch, truth: Truth) -> None:
    assert batch.of("queue_jobs_failed_total", "reason") == truth.failures()


def test_every_retry_and_rescue_is_counted(batch: Batch, truth: Truth) -> None:
    assert batch.of("queue_job_retries_total") == truth.retries()
    assert batch.of("queue_jobs_rescued_total") == truth.rescues()


@pytest.mark.parametrize(
    ("name", "of", "bounds"),
    [
        ("queue_jobs_processing_duration_seconds", "durations", DURATION),
        ("queue_jobs_wait_seconds", "waits", WAIT),
        ("queue_job_tries", "tries", TRIES),
    ],
)
def test_histograms_hold_every_value(batch: Batch, truth: Truth, name: str, of: str, bounds: tuple[float, ...]) -> None:
    expected: dict[tuple[str, ...], list[float]] = getattr(truth, of)()

    assert batch.of(f"{name}_count") == {place: len(values) for place, values in expected.items()}
    assert batch.of(f"{name}_sum") == pytest.approx(
        {place: sum(values) for place, values in expected.items()}, abs=1e-3
    )
    buckets = {
        (*place, repr(float(bound))): float(sum(bisect_left(bounds, value) <= number for value in values))
        for place, values in expected.items()
        for number, bound in enumerate(bounds)
    }
    found = {place: value for place, value in batch.of(f"{name}_bucket", "le").items() if place[-1] != "+Inf"}
    assert found == {place: value for place, value in buckets.items() if value}


def test_queues_are_empty_at_the_end_and_the_ledger_is_reported(batch: Batch) -> None:
    open_rows = Counter(row.queue for row in batch.dead_letters() if row.status == "open")
    told = {
        dict(labels)["queue"]: value
        for (name, labels), value in batch.samples.items()
        if name == "queue_dead_letters" and dict(labels)["status"] == "open" and value
    }

    assert told == open_rows
    assert batch.samples["queue_exporter_up", frozenset()] == 1


def test_prometheus_has_the_same_and_saw_no_counter_go_back(batch: Batch, truth: Truth) -> None:
    if batch.prometheus is None:
        pytest.skip("no Prometheus is here; `make tools` fetches it on Debian")

    found = batch.prometheus.figures(f"{OURS} > 0")
    resets = {name: batch.prometheus.figures(f"sum(resets({name}[1h]))") for name in NEVER_BACK}
    seen_down = batch.prometheus.figures(MISSED)

    assert {
        tuple(dict(labels)[name] for name in ("queue", "job", "status")): n for labels, n in found.items()
    } == truth.by_fate()
    assert resets == {name: {(): 0.0} for name in NEVER_BACK}
    assert set(seen_down.values()) == {0}, "the exporter was not killed while Prometheus looked"
