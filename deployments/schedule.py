"""A schedule: when a job type starts by itself.

Danger: a changed definition is a new schedule, so a pause that somebody gave the old one is gone with it.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from redrive.blocks.core.errors import CatalogError
from redrive.blocks.core.first_fault import first_fault
from redrive.blocks.core.nearest import suggestion

#: Words for common lines that croniter, by which Prefect follows schedules, takes instead of five fields.
CRON_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_CRON_FIELDS = 5


class Schedule(BaseModel):
    """When a job type starts by itself: a cron line in a time zone.

    Args:
        cron: five fields, or `@daily` and the like.
        timezone: IANA name; daylight saving is followed, so 07:00 stays 07:00.
        parameters: for the jobs of this schedule, over the job type's own.
        active: False for one that somebody has to resume first.

    Raises:
        CatalogError: it cannot be followed; the message says what to write.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    cron: str
    timezone: str = "UTC"
    parameters: dict[str, Any] = Field(default_factory=dict)
    active: bool = True

    if not TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                fault = first_fault(error, type(self).model_fields, what="a schedule")
                raise CatalogError(f"schedule {values.get('cron', '')!r}: {fault}") from None

    @model_validator(mode="after")
    def _can_be_followed(self) -> Self:
        if not _is_zone(self.timezone):
            hint = suggestion(self.timezone, available_timezones(), "write one like Europe/Berlin or UTC", alike=0.6)
            raise ValueError(f"{self.timezone!r} is no IANA time zone; {hint}")
        if reason := _no_cron_line(self.cron):
            raise ValueError(f"{self.cron!r} is no cron line: {reason}; write one like `0 7 * * mon-fri` or @daily")
        return self

    @staticmethod
    def expanded(cron: str) -> str:
        """A cron line as five fields."""
        return CRON_WORDS.get(cron, cron)

    @property
    def slug(self) -> str:
        """Its definition's hash: a changed schedule is a new one, an unchanged one keeps the pause somebody gave it."""
        text = json.dumps([self.cron, self.timezone, self.parameters], sort_keys=True)
        return f"redrive-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def schedule(
    cron: str, timezone: str = "UTC", *, parameters: dict[str, Any] | None = None, active: bool = True
) -> Schedule:
    """`schedule("0 7 * * mon-fri", "Europe/London")`: a `Schedule` in the words of a decorator.

    Args:
        cron: five fields, or `@daily` and the like.
        timezone: IANA name.
        parameters: for the jobs of this schedule.
        active: False for one that somebody has to resume first.

    Raises:
        CatalogError: it cannot be followed; the message says what to write.
    """
    return Schedule(cron=cron, timezone=timezone, parameters=parameters or {}, active=active)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A folder of zones, or a path, is none either.
        return False
    return bool(name)


def _no_cron_line(cron: str) -> str:
    """What is wrong with a cron line; empty if nothing is."""
    if cron in CRON_WORDS:
        return ""
    if len(cron.split()) != _CRON_FIELDS:
        return "it needs five fields: minute, hour, day, month, day of the week"
    try:
        CronSim(cron, datetime(2026, 1, 1))  # noqa: DTZ001  (only read, never followed)
    except CronSimError as error:
        return str(error)
    return ""
