"""The thresholds of the alerts: one YAML file, checked here, with what differs per queue laid over what holds for all.

Danger: a typing error in this file must not silence an alert, so nothing unknown is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import ValidationError, field_validator

from redrive.blocks.core.errors import SettingsError
from redrive.blocks.core.nearest import suggestion
from redrive.dashboards.alerts.limits import (
    Age,
    Alert,
    DepthLimit,
    FailureBudget,
    FailureRate,
    Found,
    Late,
    MemoryBudget,
    Open,
    Storm,
    Strict,
    TimeBudget,
    Window,
)
from redrive.deployments.catalog import catalog
from redrive.deployments.queue_names import queues as queue_names

FILE = Path(__file__).with_name("thresholds.yaml")


class QueueThresholds(Strict):
    """What holds for one queue."""

    depth: DepthLimit
    oldest_waiting: Age
    nothing_finished: Age
    no_worker: Alert
    paused: Age
    failure_rate: FailureRate
    retry_storm: Storm
    rescue_storm: Storm
    not_starting: Age
    oldest_running: Age
    dead_letters: Open
    dead_letter_age: Age


class JobTypeThresholds(Strict):
    """What holds for one job type, in whichever queue. The budgets of its performance are those that somebody gave it."""

    dead_letter_age: Age
    duration: TimeBudget | None = None
    wait: TimeBudget | None = None
    failures: FailureBudget | None = None
    memory: MemoryBudget | None = None


class Keeper(Strict):
    """The keeper: a duty that nobody does, and failures that did not reach the ledger as they should."""

    late: Late
    uncollected: Alert
    audit_found: Found


class Exporter(Strict):
    """The exporter itself: not scraped, sees nothing, or sees the past."""

    down: Alert
    blind: Alert
    lag: Age


class Links(Strict):
    """Addresses that alerts send people to. Without one for the runbooks, alerts name the file and tell its first step."""

    grafana: str
    runbooks: str | None = None

    @field_validator("grafana", "runbooks")
    @classmethod
    def _is_absolute(cls, link: str | None) -> str | None:
        # A mail or a chat opens an address; a path opens nothing there.
        if link is not None and not link.startswith(("http://", "https://")):
            raise ValueError(f"{link!r} opens from no mail: write an address with https://, or leave it out")
        return link


class Thresholds(Strict):
    """The whole file. `queues` holds only queues that differ from `every_queue`, complete; `job_types` those with their own."""

    links: Links
    every_queue: QueueThresholds
    queues: dict[str, QueueThresholds]
    job_types: dict[str, JobTypeThresholds]
    schedule_missed: Age
    keeper: Keeper
    exporter: Exporter

    @classmethod
    def read(cls, path: Path = FILE) -> Self:
        """The thresholds in a file.

        Raises:
            SettingsError: it cannot be read, or something in it cannot be meant; the message names the place.
        """
        try:
            given = yaml.safe_load(path.read_text())
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise SettingsError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
        if not isinstance(given, dict):
            raise SettingsError(f"{path} must hold links, every_queue, queues, schedule_missed, keeper and exporter")
        try:
            return cls.model_validate(_complete(given, path))
        except ValidationError as error:
            raise SettingsError(f"{path}: {_first(error)}") from None


def _complete(given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Lay what differs for a queue or a job type over what holds for every queue."""
    queues = given.get("queues") or {}
    kinds = given.get("job_types") or {}
    there = queue_names()
    for name in queues:
        if name not in there:
            raise SettingsError(f"{path}: queues.{name}: there is no such queue{_hint(str(name), there)}")
    for name in kinds:
        if name not in catalog():
            raise SettingsError(
                f"{path}: job_types.{name}: there is no such job type{_hint(str(name), catalog())}; "
                "those of your own are found through REDRIVE_JOBS"
            )
    base = given.get("every_queue") or {}
    of_a_job_type = {name: value for name, value in base.items() if name in JobTypeThresholds.model_fields}
    return {
        **given,
        "queues": {name: _over(base, different or {}) for name, different in queues.items()},
        "job_types": {name: _over(of_a_job_type, different or {}) for name, different in kinds.items()},
    }


def _over(base: object, different: object) -> Any:
    if isinstance(base, Mapping) and isinstance(different, Mapping):
        return {
            **base,
            **{name: _over(base[name], value) if name in base else value for name, value in different.items()},
        }
    return different


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] == "extra_forbidden":
        return f"{where}: there is no such threshold{_hint(str(first['loc'][-1]), _words())}"
    detail = str(first["msg"]).removeprefix("Value error, ")
    return (
        f"{where}: {detail}"
        if first["type"] == "value_error"
        else f"{where}: {first['input']!r} does not fit: {detail}"
    )


def _hint(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    return "; " + suggestion(name, known, f"known are {', '.join(known)}")


def _words() -> set[str]:
    models = (
        Thresholds, QueueThresholds, JobTypeThresholds, Keeper, Late, Found, Exporter, Links, FailureRate, Window, Storm, Open,
        TimeBudget, FailureBudget, MemoryBudget, DepthLimit, Age,
    )  # fmt: skip
    return {field.alias or name for model in models for name, field in model.model_fields.items()}
