"""A request for jobs of one type, before anybody accepts it, and when they are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from redrive.blocks.core.durations import duration
from redrive.blocks.core.errors import ParameterError
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.tracing.links import Follows

Delay = timedelta | float | str

#: Seconds in the past that a time still means "now": clocks differ, and `--at` of this very minute is meant well.
PAST = 60.0


@dataclass(frozen=True, kw_only=True)
class Item:
    """One job of `enqueue_many`.

    `labels` go onto its run, for whoever asks for it to find it by; in traces it `follows` other spans.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    follows: Sequence[Follows] = ()


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What somebody asks for with `enqueue_many`."""

    job: str
    items: list[Item]
    queue: str | None
    delay: Delay | None
    at: datetime | None
    tags: Sequence[str]


def due_at(delay: Delay | None, at: datetime | None, *, now: datetime | None = None) -> datetime | None:
    """When a job with this delay or time is due; None for at once.

    Raises:
        ParameterError: both are given, or it lies in the past, or further than calendars go.
    """
    if delay is not None and at is not None:
        raise ParameterError("give a delay or a time, not both")
    try:
        if delay is not None:
            wait = _delay(delay)
            if wait < timedelta(0):
                raise ParameterError(f"a delay of {wait.total_seconds():g} s lies in the past; give 0 or more")
            return (now or SERVER_CLOCK.now()) + wait
        due = at.astimezone(UTC) if at is not None else None
    except (OverflowError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(
            f"no calendar goes as far as {delay if at is None else at}; give an earlier time"
        ) from None
    now = now or SERVER_CLOCK.now()
    if due is not None and (now - due).total_seconds() > PAST:
        raise ParameterError(
            f"{due:%Y-%m-%d %H:%M:%S}Z lies in the past (it is {now:%Y-%m-%d %H:%M:%S}Z); give a time to come"
        )
    return due


def _delay(delay: Delay) -> timedelta:
    match delay:
        case str():
            return duration("delay", delay)
        case timedelta():
            return delay
        case _:
            return timedelta(seconds=delay)
