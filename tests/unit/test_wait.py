"""The label that says how long a run was to wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from redrive.blocks.prefect.labels import Labels
from redrive.blocks.prefect.wait import WAIT, Wait

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_wait_is_read_as_it_was_written() -> None:
    wait = Wait.until(NOON + timedelta(seconds=3, microseconds=7), told=NOON)

    assert Labels.of(wait.label).wait == wait


def test_what_was_due_before_it_was_told_was_to_start_at_once() -> None:
    assert Wait.until(NOON, told=NOON + timedelta(hours=1)).meant == timedelta(0)


@pytest.mark.parametrize(
    "label",
    [None, "", 7, "soon", "2026-11-30T12:00:00+00:00", "2026-11-30T12:00:00 3", "x 3", f"{NOON.isoformat()} 1e300"],
)
def test_label_that_cannot_be_read_says_nothing(label: object) -> None:
    assert Labels.of({WAIT: label}).wait is None
