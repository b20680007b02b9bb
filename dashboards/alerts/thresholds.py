"""The thresholds of the alerts: one YAML file, checked here, with what differs per queue laid over what holds for all.

Danger: a typing error in this file must not silence an alert, so nothing unknown is accepted.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from redrive.blocks.errors import SettingsError
from redrive.deployments.job_type import QUEUES

FILE = Path(__file__).with_name("thresholds.yaml")

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_PART = re.compile(r"(\d+)(ms|[smhdw])")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")


def seconds(duration: str) -> float:
    """A duration as Prometheus writes it (`1h30m`), in seconds."""
    return sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(duration))


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write one like 30s, 5m, 1h30m or 1d")
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Severity = Literal["critical", "warning"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Alert(_Strict):
    """What every alert has: `for`, how long its condition must last, and how urgent it is."""

    hold: Duration = Field(alias="for")
    severity: Severity


class Age(Alert):
    """Fires on what is older, or lasts longer, than `age`."""

    age: Duration


class Depth(Alert):
    """Fires on more than so many `jobs` that are due and not started."""

    jobs: int = Field(ge=1)


class Open(Alert):
    """Fires on more than so many `open` dead letters."""

    open: int = Field(ge=0)


class Storm(Alert):
    """Fires on more than `per_job` retries for each finished job, and `at_least` so many, in `window`."""

    window: Duration
    per_job: float = Field(gt=0)
    at_least: int = Field(ge=1)


class Window(Alert):
    """A burn of the failure budget over a `long` window that still goes on in the `short` one.

    Two windows, as in Google's SRE workbook (chapter 5): the long one keeps a blip from firing, the short one ends the alert
    soon after the failures end.
    """

    long: Duration
    short: Duration
    burn: float = Field(gt=0)

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if seconds(self.short) >= seconds(self.long):
            raise ValueError(f"short: {self.short} must be shorter than long: {self.long}")
        return self


class FailureRate(_Strict):
    """`objective`: the share of finished jobs that shall not be dead letters."""

    objective: float = Field(gt=0, lt=1)
    at_least: int = Field(ge=1)
    windows: tuple[Window, ...] = Field(min_length=1)

    def limit(self, window: Window) -> float:
        """The share of dead letters above which this window's alert fires."""
        return round(window.burn * (1 - self.objective), 6)

    @model_validator(mode="after")
    def _can_fire(self) -> Self:
        for window in self.windows:
            if self.limit(window) >= 1:
                raise ValueError(
                    f"burn: {window.burn:g} of a budget of {1 - self.objective:.3g} is a share of {self.limit(window):g}, "
                    "which no failure rate exceeds: lower burn, or raise objective"
                )
        return self


class QueueThresholds(_Strict):
    """What holds for one queue."""

    depth: Depth
    oldest_waiting: Age
    nothing_finished: Age
    no_worker: Alert
    paused: Age
    failure_rate: FailureRate
    retry_storm: Storm
    dead_letters: Open
    dead_letter_age: Age


class Exporter(_Strict):
    """The exporter itself: not scraped, sees nothing, or sees the past."""

    down: Alert
    blind: Alert
    lag: Age


class Links(_Strict):
    """Addresses that alerts send people to."""

    runbooks: str
    grafana: str


class Thresholds(_Strict):
    """The whole file. `queues` holds only queues that differ from `every_queue`, complete."""

    links: Links
    every_queue: QueueThresholds
    queues: dict[str, QueueThresholds]
    schedule_missed: Age
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
            raise SettingsError(f"{path} must hold links, every_queue, queues, schedule_missed and exporter")
        try:
            return cls.model_validate(_complete(given, path))
        except ValidationError as error:
            raise SettingsError(f"{path}: {_first(error)}") from None


def _complete(given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Lay what differs for a queue over what holds for every queue."""
    queues = given.get("queues") or {}
    for name in queues:
        if name not in QUEUES:
            raise SettingsError(f"{path}: queues.{name}: there is no such queue{_hint(str(name), QUEUES)}")
    base = given.get("every_queue") or {}
    return {**given, "queues": {name: _over(base, different or {}) for name, different in queues.items()}}


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
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if first["type"] == "value_error" else f"{where}: {first['input']!r} does not fit: {said}"


def _hint(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _words() -> set[str]:
    models = (Thresholds, QueueThresholds, Exporter, Links, FailureRate, Window, Storm, Open, Depth, Age)
    return {field.alias or name for model in models for name, field in model.model_fields.items()}
