"""Schedules start by the clock of their own time zone, summer and winter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from redrive.deployments.next_starts import next_starts

LONDON = {"cron": "0 7 * * *", "timezone": "Europe/London"}


@pytest.mark.parametrize(
    ("line", "now", "starts"),
    [
        (LONDON, datetime(2026, 1, 5, 12, tzinfo=UTC), ["01-06 07:00", "01-07 07:00", "01-08 07:00"]),
        (LONDON, datetime(2026, 7, 5, 12, tzinfo=UTC), ["07-06 06:00", "07-07 06:00", "07-08 06:00"]),
        # The clocks go back in the night to the 25th.
        (LONDON, datetime(2026, 10, 23, 12, tzinfo=UTC), ["10-24 06:00", "10-25 07:00", "10-26 07:00"]),
        ({"cron": "@daily"}, datetime(2026, 7, 5, 12, tzinfo=UTC), ["07-06 00:00", "07-07 00:00", "07-08 00:00"]),
        (
            {"interval": 3600, "anchor_date": "2026-07-01T00:30:00+00:00"},
            datetime(2026, 7, 5, 12, 30, tzinfo=UTC),
            ["07-05 13:30", "07-05 14:30", "07-05 15:30"],
        ),
        ({"rrule": "FREQ=DAILY"}, datetime(2026, 7, 5, 12, tzinfo=UTC), []),
        ({"cron": "no cron"}, datetime(2026, 7, 5, 12, tzinfo=UTC), []),
    ],
)
def test_starts_are_those_of_the_schedules_own_clock(line: dict[str, Any], now: datetime, starts: list[str]) -> None:
    assert [f"{start:%m-%d %H:%M}" for start in next_starts(line, now)] == starts
