"""Labels of a run: whatever somebody wrote into them, reading them never raises."""

from __future__ import annotations

from typing import Any

import pytest

from redrive.blocks.prefect import labels
from redrive.blocks.prefect.labels import GREATEST_COUNT, Labels


@pytest.mark.parametrize(
    "raw",
    [
        None, [], "labels", {labels.TRIES: "many"}, {labels.TRIES: [1]}, {labels.FIRST_FAILURE: "soon"},
        {labels.FIRST_FAILURE: {"at": 1}}, {labels.CRASHES: float("inf")}, {labels.CRASHES: float("nan")}, {labels.TRIES: -3},
    ],
    ids=repr,
)  # fmt: skip
def test_unreadable_label_counts_as_absent(raw: Any) -> None:
    assert Labels.of(raw) == Labels()


def test_label_too_great_for_the_ledger_is_cut() -> None:
    found = Labels.of({labels.TRIES: 10**30, labels.ATTEMPT: "a\x00" * 2000})

    assert found.tries == GREATEST_COUNT
    assert found.attempt is not None
    assert len(found.attempt) == labels.TEXT_LIMIT
    assert "\x00" not in found.attempt


def test_time_without_a_zone_is_utc() -> None:
    found = Labels.of({labels.FIRST_START: "2026-01-02T03:04:05"})

    assert found.first_start is not None
    assert found.first_start.isoformat() == "2026-01-02T03:04:05+00:00"
