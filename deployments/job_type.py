"""A job type: one kind of work that can be asked for, as data.

Danger: the entrypoint is a string on purpose; whoever enqueues must never load what the work itself needs.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any, Literal, Self
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from redrive.blocks.core.errors import CatalogError
from redrive.blocks.core.nearest import nearest
from redrive.blocks.core.retry import RetryPolicy

Queue = Literal["high", "default", "low"]
QUEUES: dict[Queue, int] = {"high": 1, "default": 2, "low": 3}
"""The queues of work pool `jobs` with their priority; 1 is served first."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ENTRYPOINT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


#: What croniter, by which Prefect follows schedules, takes instead of five fields.
_CRON_WORDS = frozenset({"@hourly", "@midnight", "@daily", "@weekly", "@monthly", "@yearly", "@annually"})
_CRON_FIELDS = 5


class Schedule(BaseModel):
    """When a job type starts by itself: a cron line in a time zone.

    Args:
        cron: five fields, or `@daily` and the like.
        timezone: IANA name; daylight saving is followed, so 07:00 stays 07:00.
        parameters: for the jobs of this schedule, over the job type's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    cron: str
    timezone: str = "UTC"
    parameters: dict[str, Any] = Field(default_factory=dict)
    active: bool = True

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise CatalogError(f"schedule {values.get('cron', '')!r}: {_first(error)}") from None

    @model_validator(mode="after")
    def _can_be_followed(self) -> Self:
        if self.timezone not in available_timezones():
            close = nearest(self.timezone, available_timezones(), alike=0.6)
            hint = f"did you mean {close}?" if close else "write one like Europe/Berlin or UTC"
            raise ValueError(f"{self.timezone!r} is no IANA time zone; {hint}")
        if reason := _no_cron_line(self.cron):
            raise ValueError(f"{self.cron!r} is no cron line: {reason}; write one like `0 7 * * mon-fri` or @daily")
        return self

    @property
    def slug(self) -> str:
        """Its definition's hash: a changed schedule is a new one, an unchanged one keeps the pause somebody gave it."""
        text = json.dumps([self.cron, self.timezone, self.parameters], sort_keys=True)
        return f"redrive-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class JobType(BaseModel):
    """One kind of work.

    Args:
        name: `[a-z0-9-]`; also the name of its flow and of its deployment.
        entrypoint: `module.function` of the flow.
        policy: how it is retried; `retry-policy/<name>` saved in Prefect overrides it.
        queue: `high`, `default` or `low`.
        pool: work pool; `ops` for housekeeping, which never enters the ledger.
        parameters: defaults over those of the flow's signature.
        memory: megabytes that a job and what it starts may have before the warm worker kills it; None for no limit. The job variable
            `memory_limit` of its deployment in Prefect overrides it.

    Raises:
        CatalogError: a value that does not fit; the message names it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    entrypoint: str
    description: str = ""
    policy: RetryPolicy = Field(default_factory=RetryPolicy)
    queue: Queue = "default"
    pool: Literal["jobs", "ops"] = "jobs"
    parameters: dict[str, Any] = Field(default_factory=dict)
    schedules: tuple[Schedule, ...] = ()
    tags: tuple[str, ...] = ()
    memory: int | None = Field(None, ge=32)

    def __init__(self, name: str | None = None, **values: Any) -> None:
        try:
            super().__init__(**({"name": name} if name is not None else {}), **values)
        except ValidationError as error:
            raise CatalogError(f"job type {name!r}: {_first(error)}") from None

    @model_validator(mode="after")
    def _well_named(self) -> Self:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a name is made of lower-case letters, digits and single dashes, like `monthly-report`")
        if not _ENTRYPOINT.fullmatch(self.entrypoint):
            raise ValueError(f"entrypoint {self.entrypoint!r} must be `module.function`, like `my_jobs.greet`")
        return self

    @property
    def job_variables(self) -> dict[str, Any]:
        """What its deployment tells the worker."""
        return {} if self.memory is None else {"memory_limit": self.memory}

    @property
    def deployment(self) -> str:
        """Name of its deployment as Prefect's commands take it: `flow/deployment`."""
        return f"{self.name}/{self.name}"


def _no_cron_line(cron: str) -> str:
    """What is wrong with a cron line; empty if nothing is."""
    if cron in _CRON_WORDS:
        return ""
    if len(cron.split()) != _CRON_FIELDS:
        return "it needs five fields: minute, hour, day, month, day of the week"
    try:
        CronSim(cron, datetime(2026, 1, 1))  # noqa: DTZ001  (only read, never followed)
    except CronSimError as error:
        return str(error)
    return ""


def _first(error: ValidationError) -> str:
    """What is wrong first, and where."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
