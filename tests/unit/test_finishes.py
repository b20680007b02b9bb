"""What one end of a job counts as: its fate, its times, its labels, its buckets."""

from __future__ import annotations

import pytest

from redrive.blocks.core.histogram import INFINITE, bucket_of
from redrive.blocks.prefect.run_labels import REDRIVEN_AT, RESCUES, RETRIES
from redrive.deployments.dead_letters.ledger.finishes import (
    DURATION,
    WAIT,
    Progress,
    Sums,
    count_finish,
)
from redrive.deployments.dead_letters.outcomes import Spent, outcome_of
from tests.support.finishes import a_finish


@pytest.mark.parametrize(
    ("state_type", "message", "expected"),
    [
        ("COMPLETED", "", "completed"),
        ("CANCELLED", "cancelled by an operator", "cancelled"),
        ("CANCELLED", "Deployment no longer exists.", "dead"),
        ("FAILED", "dead letter: 3 of 3 tries failed", "dead"),
        ("CRASHED", "killed", None),
        ("RUNNING", "", None),
    ],
)
def test_a_state_is_an_outcome_or_no_end(state_type: str, message: str, expected: str | None) -> None:
    assert outcome_of(state_type, message) == expected


def test_a_run_that_never_started_did_not_wait() -> None:
    # Prefect gives it a start time when it ends.
    run = {"run_count": 0, "expected_start_time": "2026-11-24T12:00:00Z", "start_time": "2026-11-24T13:00:00Z"}

    assert Spent.of(run).waited is None
    assert Spent.of(run | {"run_count": 1}).waited == 3600


def test_labels_that_somebody_else_wrote_count_as_none() -> None:
    run = {"labels": {RETRIES: "many", RESCUES: -3, REDRIVEN_AT: None}}

    assert Spent.of(run) == Spent()


@pytest.mark.parametrize(
    ("bounds", "seconds", "expected"),
    [(DURATION, 0, "0.1"), (DURATION, 0.1, "0.1"), (DURATION, 0.11, "0.25"), (WAIT, 14400, "14400.0"), (WAIT, 1e9, INFINITE)],
)  # fmt: skip
def test_a_value_falls_into_the_bucket_of_its_upper_bound(
    bounds: tuple[float, ...], seconds: float, expected: str
) -> None:
    assert bucket_of(bounds, seconds) == expected


def test_a_clock_that_is_ahead_makes_no_negative_wait() -> None:
    sums = Sums()

    count_finish(a_finish(waited=-5.0), Progress(), sums)

    assert dict(sums.amounts())["wait", "high", "mail", "0.25"] == 1
    assert ("wait_sum", "high", "mail", "") not in dict(sums.amounts())
