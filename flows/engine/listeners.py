"""Listeners: functions told when a job started, finished or failed for good (Laravel's `Queue::before` and `Queue::after`).

Danger: a listener runs in the job's process, before its state is reported; one that raises is logged and harms no job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from redrive.flows.engine.attempt import Attempt

Moment = Literal["started", "finished", "failed"]


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """What a listener is told.

    Attributes:
        moment: `started` (every attempt), `finished` (completed) or `failed` (a dead letter now).
        job: name of the job type.
        run_id: the flow run.
        key: the job's key.
        number: which try.
        result: what the job returned, when finished.
        error: why it is a dead letter, when failed.
    """

    moment: Moment
    job: str
    run_id: str
    key: str
    number: int
    parameters: dict[str, Any]
    result: Any = None
    error: BaseException | None = None


Listener = Callable[[JobEvent], None]


class _Listeners:
    """Those of this process, in the order in which they registered."""

    def __init__(self) -> None:
        self._all: list[tuple[Moment, str | None, Listener]] = []

    def add(self, moment: Moment, job: str | None, listener: Listener) -> None:
        self._all.append((moment, job, listener))

    def of(self, moment: Moment, job: str) -> list[Listener]:
        """For that moment of such a job."""
        return [listener for wanted, of, listener in self._all if wanted == moment and of in {None, job}]


_listeners = _Listeners()


def on_started(listener: Listener | None = None, *, job: str | None = None) -> Any:
    """Register for started jobs: `@on_started`, or `@on_started(job="mail")` for one job type."""
    return _register("started", listener, job)


def on_finished(listener: Listener | None = None, *, job: str | None = None) -> Any:
    """Register for completed jobs."""
    return _register("finished", listener, job)


def on_failed(listener: Listener | None = None, *, job: str | None = None) -> Any:
    """Register for jobs that became dead letters."""
    return _register("failed", listener, job)


def is_awaited(moment: Moment, job: str) -> bool:
    """Whether a listener is registered for such a job."""
    return bool(_listeners.of(moment, job))


def notify(moment: Moment, attempt: Attempt, *, result: Any = None, error: BaseException | None = None) -> None:
    """Call every listener that registered for it; what one raises is logged."""
    event = JobEvent(
        moment=moment,
        job=attempt.job.name,
        run_id=str(attempt.id),
        key=attempt.key,
        number=attempt.number,
        parameters=attempt.parameters,
        result=result,
        error=error,
    )
    for listener in _listeners.of(moment, event.job):
        try:
            listener(event)
        except Exception:  # a listener may raise anything, and none of it is the job's fault
            name = getattr(listener, "__qualname__", repr(listener))
            logging.getLogger("prefect.redrive").exception(
                "listener %s for %s jobs raised; the job goes on", name, moment
            )


def _register(moment: Moment, listener: Listener | None, job: str | None) -> Any:
    if listener is None:
        return lambda later: _register(moment, later, job)
    _listeners.add(moment, job, listener)
    return listener
