"""A job as people see it: one flow run of a job type.

Danger: parameters are masked here; the real ones are in Prefect.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from redrive.blocks.core.masking import mask, mask_text
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.run_labels import DRAWN
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.deployments.jobs.states import due_of, word_of


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as people see it. Times are UTC; `seconds` is what its attempts ran together, the one under way included."""

    id: UUID
    name: str
    job: str
    queue: str | None
    #: As Prefect names it.
    state: str
    message: str | None
    due: datetime | None
    started: datetime | None
    ended: datetime | None
    seconds: float
    tries: int
    crashes: int
    key: str | None
    worker: str | None
    parameters: dict[str, Any]
    #: The state as people say it (`job_states.WORDS`).
    status: str = ""
    #: Since when it is in its state.
    since: datetime | None = None
    #: Why it is dead, as the job itself said.
    error: str | None = None
    #: The job that runs instead of this dead one, and the dead one that this one runs instead of.
    replaced_by: UUID | None = None
    replaces: UUID | None = None
    #: The newest job that repeats this one, and the one that this one repeats.
    rerun_as: UUID | None = None
    rerun_of: UUID | None = None
    cancelled_by: str | None = None
    cancel_reason: str | None = None
    #: The trace of its last try, if it was traced.
    trace_id: str | None = None

    @classmethod
    def of(cls, run: Run, error: str | None = None) -> Job:
        """Of a flow run; secrets in its parameters and messages are masked."""
        labels, dead, stopped = run.labels, run.state_type == "FAILED", run.state_type in {"CANCELLED", "CANCELLING"}
        return cls(
            id=run.id,
            name=run.name,
            job=run.job,
            queue=run.queue,
            state=run.state_name or "unknown",
            message=mask_text(run.message) or None,
            due=due_of(run),
            started=run.start_time,
            ended=run.end_time,
            seconds=run.ran_so_far if run.state_type == "RUNNING" else run.ran,
            tries=labels.tries,
            crashes=labels.crashes,
            key=_given_key(run),
            worker=labels.worker,
            parameters=mask(run.parameters),
            status=word_of(run, SERVER_CLOCK.now()),
            since=run.since,
            error=error,
            replaced_by=labels.replaced_by if dead else None,
            replaces=labels.replaces,
            rerun_as=labels.rerun_as,
            rerun_of=labels.rerun_of,
            cancelled_by=labels.cancelled_by if stopped else None,
            cancel_reason=labels.cancel_reason if stopped else None,
            trace_id=labels.traced.trace_id if labels.traced else None,
        )


def _given_key(run: Run) -> str | None:
    """The key somebody gave; drawn ones, and those that Prefect's scheduler makes, say nothing to people."""
    key = run.labels.key or run.idempotency_key
    return None if key is None or run.auto_scheduled or key.startswith(DRAWN) else key
