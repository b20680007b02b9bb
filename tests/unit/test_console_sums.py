"""What the console draws from the ledger: counts by time, percentiles, how a cause went, and bulk acts as rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from redrive.blocks.core.errors import Conflict, NotFound
from redrive.deployments.dead_letters import bulk_runner
from redrive.deployments.dead_letters.ledger import Filter, Ledger
from redrive.deployments.dead_letters.ledger.finishes import Finish, Kind
from redrive.deployments.dead_letters.ledger.history import MINUTE, QUARTER
from redrive.deployments.health.pace import SPANS, percentile, series
from tests.support.deaths import a_death

NOW = datetime.now(UTC).replace(second=30, microsecond=0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as made:
        made.migrate()
        yield made


def finish(minutes: float, *, job: str = "sync", status: str = "completed", ran: float = 1.0) -> Finish:
    return Finish(
        run_id=uuid4(),
        kind=Kind(queue="high", job=job),
        at=NOW - timedelta(minutes=minutes),
        status=status,
        ran=ran,
        waited=0.3,
    )


def test_each_end_is_counted_in_its_minute_and_its_quarter_once(ledger: Ledger):
    ends = [finish(3), finish(3), finish(20)]
    ledger.counts.count(ends)
    ledger.counts.count(ends)

    minutes = ledger.counts.since(NOW - timedelta(hours=1), step=MINUTE)
    quarters = ledger.counts.since(NOW - timedelta(hours=1), step=QUARTER)

    assert [part.counts["jobs"] for part in minutes] == [{"completed": 1}, {"completed": 2}]
    assert sum(part.counts["jobs"]["completed"] for part in quarters) == 3


def test_series_has_a_point_for_each_minute_and_says_where_it_begins(ledger: Ledger):
    ledger.counts.count([finish(3, ran=4.0), finish(3, status="dead"), finish(5, job="mail")])

    found = series(ledger.counts, SPANS["1h"], NOW)
    sync = series(ledger.counts, SPANS["1h"], NOW, job="sync")

    assert len(found["at"]) == len(found["completed"]) == 61
    assert (sum(found["completed"]), sum(found["failed"]), sum(sync["completed"])) == (2, 1, 1)
    assert max(value for value in sync["duration_p95"] if value is not None) == pytest.approx(5, abs=1)


def test_percentile_lies_in_the_bucket_that_holds_its_rank():
    buckets = {"1.0": 50.0, "2.5": 45.0, "60.0": 5.0}

    assert percentile(buckets, 0.5, "duration") == 1.0
    assert percentile(buckets, 0.95, "duration") == 2.5
    assert 30 < (percentile(buckets, 0.99, "duration") or 0) < 60
    assert percentile({}, 0.5, "duration") is None
    assert percentile({"+Inf": 1.0}, 0.5, "duration") == 7200


def test_percentile_of_one_job_is_what_it_took():
    for took in (5.2, 6.0, 9.9):
        assert percentile({"10.0": 1.0}, 0.95, "duration", total=took) == pytest.approx(took)


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_percentile_is_within_what_the_sum_allows(quantile: float):
    took = sorted([0.3, 0.7, 2.6, 2.7, 5.1, 5.2, 5.3])
    buckets = {"0.5": 1.0, "1.0": 1.0, "5.0": 2.0, "10.0": 3.0}
    rough, bounded = (percentile(buckets, quantile, "duration", total=total) for total in (None, sum(took)))
    true = took[int(quantile * len(took))]

    assert rough is not None
    assert bounded is not None
    assert abs(bounded - true) <= abs(rough - true)
    assert percentile({"10.0": 1.0, "+Inf": 1.0}, 0.5, "duration", total=10_006.0) == pytest.approx(7.5, abs=2.5)


def test_trend_of_a_cause_counts_its_failures_by_hour(ledger: Ledger):
    rows = [
        ledger.record(a_death(last_failure=NOW - timedelta(hours=hours), message="no route")) for hours in (0, 0, 5)
    ]
    fingerprint = rows[0].fingerprint

    trend = ledger.causes.trends([fingerprint], now=NOW, length=timedelta(hours=24), points=24)[fingerprint]

    assert (trend[-1], trend[-6], sum(trend), len(trend)) == (2, 1, 3, 24)


def test_cause_that_was_resolved_says_when(ledger: Ledger):
    run = a_death(message="no route")
    row = ledger.record(run)
    other = ledger.record(a_death(message="another cause altogether", error_type="Other"))
    ledger.resolve(run.run_id)

    found = ledger.causes.resolved([row.fingerprint, other.fingerprint])

    assert list(found) == [row.fingerprint]
    assert found[row.fingerprint] == ledger.get(run.run_id).closed_at


def test_matrix_counts_open_rows_by_error_queue_and_time(ledger: Ledger):
    for queue, hours in (("high", 0), ("high", 5), ("low", 5)):
        ledger.record(a_death(error_type="Timeout", queue=queue, last_failure=NOW - timedelta(hours=hours)))
    ledger.record(a_death(error_type="Other", queue="low", last_failure=NOW))
    ledger.discard_all(Filter(error_type="Other"), who="ada")

    cells = ledger.causes.matrix(since=[NOW - timedelta(hours=1), NOW - timedelta(days=1)])

    assert [(cell.error_type, cell.queue, cell.count, cell.since) for cell in cells] == [
        ("Timeout", "high", 2, (1, 2)),
        ("Timeout", "low", 1, (0, 1)),
    ]


def test_note_of_a_cause_is_replaced_and_taken_away(ledger: Ledger):
    for text in ("the disk", "the other disk"):
        ledger.causes.write_note("abc123abc123", text, who="ada")
    assert ledger.causes.notes(["abc123abc123"])["abc123abc123"].text == "the other disk"

    ledger.causes.write_note("abc123abc123", " ", who="ada")
    assert ledger.causes.notes(["abc123abc123"]) == {}


def test_number_of_a_bulk_act_is_fixed_when_it_is_asked_for(ledger: Ledger):
    ledger.record(a_death(message="no route"))

    act = bulk_runner.ask(ledger, "discard", Filter(), who="ada", why="tidy")
    ledger.record(a_death(message="no route"))

    assert act.wanted == 1
    assert ledger.count(act.filter) == 1
    assert ledger.count(Filter(status="open")) == 2


def test_bulk_act_on_nothing_is_refused(ledger: Ledger):
    with pytest.raises(NotFound, match="no open dead letter fits"):
        bulk_runner.ask(ledger, "redrive", Filter(job="sync"), who="ada")


def test_bulk_act_is_claimed_by_one_and_stopped_once(ledger: Ledger):
    ledger.record(a_death())
    act = bulk_runner.ask(ledger, "redrive", Filter(), who="ada")

    claimed = ledger.bulk_acts.claim("one")
    assert claimed is not None
    assert claimed.id == act.id
    assert ledger.bulk_acts.claim("two") is None
    assert ledger.bulk_acts.alive(act.id, "one")
    assert not ledger.bulk_acts.alive(act.id, "two")

    ledger.bulk_acts.stop(act.id, who="bob")
    assert not ledger.bulk_acts.alive(act.id, "one")
    with pytest.raises(Conflict, match="being stopped already by bob"):
        ledger.bulk_acts.stop(act.id, who="eve")
