"""The exporter's figures over OTLP, as a real receiver gets them; deltas are exact across a restart and a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from redrive.blocks.tracing import names
from redrive.blocks.tracing.sdk.metric_sender import PROCESSING, sender
from redrive.blocks.tracing.switch import metrics_are_asked_for
from redrive.dashboards.exporter.pushed import POINTS, Pushed, Temporality, temporality
from redrive.deployments.dead_letters.ledger import Ledger
from tests.support.conventions import metric_faults
from tests.support.otlp import Receiver, receiving
from tests.support.otlp_points import told

SECOND = 1_000_000_000

DELTA, CUMULATIVE = 1, 2


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger'}") as made:
        made.migrate()
        yield made


class Figures:
    """What an exporter has counted."""

    def __init__(self) -> None:
        self.done = 0.0
        self.quick = 0.0
        self.slow = 0.0

    def families(self) -> list[Metric]:
        if not self.done:
            return []
        done = CounterMetricFamily("queue_jobs", "Finished jobs.", labels=["queue", "job", "status"])
        done.add_metric(["high", "mail", "completed"], self.done)
        waiting = GaugeMetricFamily("queue_jobs_waiting", "Jobs that wait.", labels=["queue"])
        waiting.add_metric(["high"], 3)
        took = HistogramMetricFamily(PROCESSING, "Seconds.", labels=["queue", "job"])
        buckets = [("1.0", self.quick), ("5.0", self.quick + self.slow), ("+Inf", self.quick + self.slow)]
        took.add_metric(["high", "mail"], buckets, sum_value=self.quick * 0.5 + self.slow * 3)
        return [done, waiting, took]


def pushing(ledger: Ledger, figures: Figures, how: Temporality) -> Pushed:
    """An exporter that has just started."""
    return Pushed(ledger, figures.families, sender("exporter", "here"), how=how)


def test_deltas_add_up_across_a_restart_and_a_refusal(receiver: Receiver, ledger: Ledger) -> None:
    figures = Figures()
    first = pushing(ledger, figures, "delta")
    figures.done = 100
    assert first.push(1 * SECOND)  # What was counted before anybody listened.
    figures.done = 107
    assert first.push(2 * SECOND)
    figures.done = 110
    receiver.status = 400
    assert not first.push(3 * SECOND)
    receiver.status = 200
    # Started again: what it read is not there at once, what it told is remembered.
    figures.done = 0
    second = pushing(ledger, figures, "delta")
    assert second.push(4 * SECOND)
    figures.done = 112
    assert second.push(5 * SECOND)
    assert second.push(6 * SECOND)

    points = told(receiver, "queue_jobs")
    assert [
        (point.as_double, point.start_time_unix_nano // SECOND, point.time_unix_nano // SECOND) for _, point in points
    ] == [
        (7, 1, 2),
        (5, 2, 5),
    ]
    assert {of.aggregation_temporality for of, _ in points} == {DELTA}
    assert all(of.is_monotonic for of, _ in points)


def test_cumulative_figures_are_the_counters_themselves(receiver: Receiver, ledger: Ledger) -> None:
    figures = Figures()
    figures.done = 100
    assert pushing(ledger, figures, "cumulative").push(1 * SECOND)
    figures.done = 103
    assert pushing(ledger, figures, "cumulative").push(2 * SECOND)

    points = told(receiver, "queue_jobs")
    assert [point.as_double for _, point in points] == [100, 103]
    assert {of.aggregation_temporality for of, _ in points} == {CUMULATIVE}
    assert {point.start_time_unix_nano for _, point in points} == {1 * SECOND}
    assert [point.as_double for _, point in told(receiver, "queue_jobs_waiting")] == [3, 3]


def test_histograms_have_their_buckets_and_the_name_of_the_conventions_too(receiver: Receiver, ledger: Ledger) -> None:
    figures = Figures()
    figures.done, figures.quick, figures.slow = 3, 2, 1
    pushed = pushing(ledger, figures, "delta")
    assert pushed.push(1 * SECOND)
    figures.done, figures.quick, figures.slow = 8, 6, 2
    assert pushed.push(2 * SECOND)

    for name, label in ((PROCESSING, "queue"), (names.PROCESS_DURATION, "messaging.destination.name")):
        ((_, point),) = told(receiver, name)
        assert (list(point.bucket_counts), list(point.explicit_bounds), point.count, point.sum) == (
            [4, 1, 0],
            [1.0, 5.0],
            5,
            5.0,
        )
        assert {one.key: one.value.string_value for one in point.attributes}[label] == "high"
        assert not point.HasField("min")


def test_the_name_of_the_conventions_has_their_unit_and_attributes(receiver: Receiver, ledger: Ledger) -> None:
    figures = Figures()
    figures.done, figures.quick = 1, 1
    assert pushing(ledger, figures, "cumulative").push(1 * SECOND)

    metrics = [
        metric
        for request in receiver.metrics
        for of in request.resource_metrics
        for scope in of.scope_metrics
        for metric in scope.metrics
    ]
    (processing,) = (one for one in metrics if one.name == names.PROCESS_DURATION)
    assert metric_faults(processing) == []


def test_a_counter_that_begins_anew_is_reported_as_it_is(receiver: Receiver, ledger: Ledger) -> None:
    figures = Figures()
    pushed = pushing(ledger, figures, "delta")
    figures.done = 100
    pushed.push(1 * SECOND)
    figures.done = 4
    pushed.push(2 * SECOND)

    assert [point.as_double for _, point in told(receiver, "queue_jobs")] == [4]


def test_more_than_vendors_take_at_once_is_reported_in_parts_and_each_once(receiver: Receiver, ledger: Ledger) -> None:
    each = 2 * POINTS + 5

    def families(count: float) -> list[Metric]:
        family = HistogramMetricFamily(PROCESSING, "Seconds.", labels=["queue", "job"])
        for number in range(each):
            buckets = [*((repr(float(bound)), count) for bound in range(1, 16)), ("+Inf", count)]
            family.add_metric(["high", f"a-job-type-with-a-rather-long-name-{number}"], buckets, sum_value=count)
        return [family]

    count = 1.0
    pushed = Pushed(ledger, lambda: families(count), sender("exporter", "here"), how="delta")
    assert pushed.push(1 * SECOND)
    count = 3.0
    # The second part is refused, and told later with what came since.
    receiver.refuse_after = 1
    assert not pushed.push(2 * SECOND)
    receiver.refuse_after = None
    count = 4.0
    assert pushed.push(3 * SECOND)

    found: dict[str, float] = {}
    for _, point in told(receiver, PROCESSING):
        job = {one.key: one.value.string_value for one in point.attributes}["job"]
        found[job] = found.get(job, 0) + point.count
    assert (len(found), set(found.values())) == (each, {3})
    assert max(one.ByteSize() for one in receiver.metrics) < 1_000_000


@pytest.mark.parametrize(
    ("environ", "asked", "how"),
    [
        ({}, False, "cumulative"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False, "cumulative"),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, True, "cumulative"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c/v1/metrics"}, True, "cumulative"),
        ({"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, False, "cumulative"),
        (
            {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"},
            True,
            "delta",
        ),
    ],
)
def test_the_standard_variables_decide(environ: dict[str, str], how: str, *, asked: bool) -> None:
    assert (metrics_are_asked_for(environ), temporality(environ)) == (asked, how)
