"""When a schedule of Prefect's starts a job next, in its own time zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from redrive.deployments.schedule import Schedule

#: Starts that are shown ahead.
AHEAD: Final = 3


def next_starts(line: Mapping[str, Any], now: datetime) -> tuple[datetime, ...]:
    """The next starts, in UTC; none for a form of schedule that is not read here.

    Args:
        line: the schedule as Prefect's API gives it: `cron` with a `timezone`, or `interval` with an `anchor_date`.
        now: the time that they come after.
    """
    zone = ZoneInfo(str(line.get("timezone") or "UTC"))
    if cron := line.get("cron"):
        try:
            coming = CronSim(Schedule.expanded(str(cron)), now.astimezone(zone))
            return tuple(next(coming).astimezone(UTC) for _ in range(AHEAD))
        except (CronSimError, StopIteration):
            # A form of cron that Prefect reads and this library does not: better none than a wrong one.
            return ()
    if (interval := line.get("interval")) and line.get("anchor_date"):
        step, anchor = timedelta(seconds=float(interval)), datetime.fromisoformat(str(line["anchor_date"]))
        first = anchor + ((now - anchor) // step + 1) * step
        return tuple(first + number * step for number in range(AHEAD))
    return ()
