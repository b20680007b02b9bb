"""What an alert may be told: how long, how many, how old; each with how urgent it is.

Danger: nothing unknown is accepted anywhere, because a typing error must not silence an alert.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from redrive.blocks.core.durations import megabytes, seconds_of

_DURATION = re.compile(r"(?:\d+(?:ms|[smhdw]))+")


def seconds(duration: str) -> float:
    """A duration as Prometheus writes it (`1h30m`), in seconds."""
    return seconds_of(duration)


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write one like 30s, 5m, 1h30m or 1d")
    return text


def _size(text: str) -> str:
    size_bytes(text)
    return text


def size_bytes(size: str) -> int:
    """A size as people write it (`512MB`, `2GB`), in bytes."""
    return megabytes(size) * 1024 * 1024


Size = Annotated[str, AfterValidator(_size)]
Duration = Annotated[str, AfterValidator(_duration)]
Severity = Literal["critical", "warning"]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Alert(Strict):
    """What every alert has: `for`, how long its condition must last, and how urgent it is."""

    hold: Duration = Field(alias="for")
    severity: Severity


class Age(Alert):
    """Fires on what is older, or lasts longer, than `age`."""

    age: Duration


class DepthLimit(Alert):
    """Fires on more than so many `jobs` that are due and not started."""

    jobs: int = Field(ge=1)


class Open(Alert):
    """Fires on more than so many `open` dead letters."""

    open: int = Field(ge=0)


class Storm(Alert):
    """Fires on more than `per_job` retries (or rescues) for each finished job, and `at_least` so many, in `window`."""

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


class FailureRate(Strict):
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


class TimeBudget(Alert):
    """Fires when, in `window`, one in twenty finished jobs took longer than `p95`; `at_least` so many have to have finished."""

    p95: Duration
    window: Duration
    at_least: int = Field(ge=1)


class MemoryBudget(Alert):
    """Fires when, in `window`, one in twenty attempts had more memory than `p95`; `at_least` so many have to have ended."""

    p95: Size
    window: Duration
    at_least: int = Field(ge=1)


class FailureBudget(Alert):
    """Fires when more than `share` of the jobs that finished in `window` are dead letters, and `at_least` so many are."""

    share: float = Field(gt=0, lt=1)
    window: Duration
    at_least: int = Field(ge=1)


class Late(Alert):
    """Fires on a duty that nobody did for longer than `age` and for longer than so many of its `rounds`."""

    age: Duration
    rounds: float = Field(ge=1)


class Found(Alert):
    """Fires on what was found within `window`."""

    window: Duration
