"""Labels of a time axis: at round times of the report's zone, so that a day of 23 or 25 hours has the right hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise

from redrive.flows.reports.values import Formats

#: Labels that an axis has room for.
LABELS = 8
HOUR, DAY = 3600, 86400
#: Hours, days and months between two labels.
HOURS, DAYS, MONTHS = (1, 2, 3, 6, 12), (1, 2, 7, 14), (1, 2, 3, 6, 12, 24, 60, 120, 240, 600)
#: A label at the end needs this much of a step to the one before.
END_ROOM = 0.6


def instant(value: datetime, formats: Formats) -> float:
    """Seconds since 1970; a time without a zone is the report's."""
    return (value if value.tzinfo else value.replace(tzinfo=formats.zone)).timestamp()


def labels(first: float, last: float, formats: Formats, *, room: int = LABELS) -> list[tuple[float, str]]:
    """Instants and texts from the first to the last of the axis, both of them labelled."""
    span = last - first
    if span <= 0:
        return [(first, formats.short_day(_at(first, formats)))]
    for step in HOURS:
        if span / (step * HOUR) <= room and span <= 3 * DAY:
            return _ended(list(_hours(first, last, step, formats)), last, step * HOUR, formats, "hour")
    for step in DAYS:
        if span / (step * DAY) <= room:
            return _ended(list(_days(first, last, step, formats)), last, step * DAY, formats, "day")
    step = next((step for step in MONTHS if span / (step * 30.4 * DAY) <= room), MONTHS[-1])
    return _ended(list(_months(first, last, step, formats)), last, step * 30.4 * DAY, formats, "month")


def _ended(
    found: list[tuple[float, str]], last: float, step: float, formats: Formats, kind: str
) -> list[tuple[float, str]]:
    """The labels with one at the end, where there is room for it."""
    if found and last - found[-1][0] < END_ROOM * step:
        return found
    there = _at(last, formats)
    begins = there.day == 1 or step >= 12 * 30 * DAY
    text = {"hour": formats.clock(there), "month": _month_text(there, formats, step) if begins else ""}.get(kind)
    text = text or formats.short_day(there)
    # Within the same year, two labels would say the same.
    if found and text == found[-1][1]:
        return found
    return [*found, (last, text)]


def _hours(first: float, last: float, step: int, formats: Formats) -> Iterator[tuple[float, str]]:
    start = _at(first, formats)
    day = start.date()
    several = _at(last, formats).date() != day
    seen: set[float] = set()
    while True:
        for hour in range(0, 24, step):
            for fold in (0, 1):
                wall = datetime(day.year, day.month, day.day, hour, tzinfo=formats.zone, fold=fold)
                at = wall.timestamp()
                exists = _at(at, formats).hour == hour
                if at > last:
                    return
                if at < first or at in seen or not exists:
                    continue
                seen.add(at)
                yield at, formats.short_day(wall) if several and hour == 0 else formats.clock(wall)
        day += timedelta(days=1)


def _days(first: float, last: float, step: int, formats: Formats) -> Iterator[tuple[float, str]]:
    day = _at(first, formats).date()
    if _midnight(day, formats) < first:
        day += timedelta(days=1)
    while (at := _midnight(day, formats)) <= last:
        yield at, formats.short_day(day)
        day += timedelta(days=step)


def _months(first: float, last: float, step: int, formats: Formats) -> Iterator[tuple[float, str]]:
    start = _at(first, formats)
    number = start.year * 12 + start.month - 1
    number += -number % step if step <= 12 else -number % 12  # noqa: PLR2004  (months of a year)
    while (at := _midnight(date(number // 12, number % 12 + 1, 1), formats)) <= last:
        if at >= first:
            yield at, _month_text(_at(at, formats), formats, step * 30.4 * DAY)
        number += step


def _month_text(there: datetime, formats: Formats, step: float) -> str:
    if step >= 12 * 30 * DAY:
        return str(there.year)
    return f"{formats.month(there, short=True)} {there.year}" if there.month == 1 else formats.month(there, short=True)


def _midnight(day: date, formats: Formats) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=formats.zone).timestamp()


def _at(seconds: float, formats: Formats) -> datetime:
    return datetime.fromtimestamp(seconds, formats.zone)


def narrowest(instants: list[float]) -> float:
    """The shortest distance of two neighbours: what a bar may be wide."""
    ordered = sorted(set(instants))
    return min((after - before for before, after in pairwise(ordered)), default=1.0)
