"""What the page of a job shows: what Prefect tells of it, what the ledger does, each read once for all who look."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from redrive.blocks.core.errors import LedgerUnavailable
from redrive.blocks.core.masking import mask_text
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.states import FINAL, PastState
from redrive.blocks.prefect.trail import StepTry
from redrive.dashboards.console.parts import Parts
from redrive.deployments.dead_letters.ledger import DeadLetter, HistoryEntry
from redrive.deployments.jobs.artifacts import Left, left_by
from redrive.deployments.jobs.job import Job
from redrive.deployments.jobs.logs import SETTLE
from redrive.deployments.jobs.search import find_job
from redrive.deployments.policies import Policy, policy_of

#: Seconds that it is shared by all who look: the run, what it left while it stays in one state, its policy.
SHARED: Final = 3.0
STATE_SHARED: Final = 10.0
POLICY_SHARED: Final = 60.0
#: Seconds that it may be old where Prefect's API is busy: what is older says so on the page.
STALE: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Detail:
    """What Prefect tells of a job beside its state now."""

    state_id: UUID | None
    left: Left
    policy: Policy | None


@dataclass(frozen=True, kw_only=True)
class Booked:
    """What the ledger tells of a job. `missing`: why it cannot now, and this is what it told before; empty if it can."""

    letter: DeadLetter | None = None
    acts: tuple[HistoryEntry, ...] = ()
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that the page shows of a job."""

    run: Run
    job: Job
    detail: Detail
    booked: Booked
    #: When the run was read.
    at: datetime

    @property
    def is_over(self) -> bool:
        return self.run.state_type in FINAL

    @property
    def is_settled(self) -> bool:
        """Whether its last lines have had their time to arrive."""
        return self.is_over and (datetime.now(UTC) - self.run.since).total_seconds() > SETTLE

    @property
    def timeline(self) -> list[tuple[datetime, PastState | StepTry]]:
        """Its states and the tries of its steps in between, the newest first."""
        found: list[tuple[datetime, PastState | StepTry]] = [(one.timestamp, one) for one in self.detail.left.history]
        found += [(one.at, one) for one in self.detail.left.tries]
        return sorted(found, key=lambda one: one[0], reverse=True)

    @property
    def tries(self) -> str:
        """`try 2 of 3`, as far as it is known."""
        most = self.detail.policy.policy.max_tries if self.detail.policy else None
        begun = self.job.tries + (1 if self.run.state_type in {"RUNNING", "PENDING"} else 0)
        # A job without steps counts none of its own.
        spent = max(begun, 1) if self.run.run_count else begun
        if not spent:
            return f"0 of {most}" if most else "0"
        return f"{spent} of {most}" if most else str(spent)


def seen_of(the: Parts, reference: str) -> Seen:
    """All of it.

    Raises:
        NotFound, Conflict, ApiUnavailable: as `find_job`.
        NotYet: for a page that is open, if nothing is known.
    """
    key = ("run", reference)
    run = the.api.get(key, SHARED, lambda: find_job(reference), stale=STALE, many=_runs)
    # Until its turn comes, what an open page was told of the state before is better than nothing.
    detail = the.api.get(
        ("detail", run.id),
        STATE_SHARED,
        lambda: _detail(the, run),
        stale=2 * STALE,
        fits=lambda detail: detail.state_id == run.state_id,
    )
    booked = _booked(the, run)
    letter = booked.letter
    error = f"{letter.error_type}: {letter.message}" if letter else run.labels.error
    job = Job.of(run, mask_text(error) if error else None)
    return Seen(run=run, job=job, detail=detail, booked=booked, at=the.api.read_at(key))


def _runs(keys: Sequence[Hashable]) -> Mapping[Hashable, object]:
    """The runs of all jobs that people look at, in one call."""
    with reachable():
        found = runs.by_id([UUID(key[1]) for key in keys if isinstance(key, tuple)])
    return {("run", str(one)): run for one, run in found.items()}


def _detail(the: Parts, run: Run) -> Detail:
    with reachable():
        left = left_by(run.id)
        policy = the.memos.api.get(("policy", run.job), POLICY_SHARED, lambda: policy_of(run.job))
    return Detail(state_id=run.state_id, left=left, policy=policy)


def _booked(the: Parts, run: Run) -> Booked:
    key = ("booked", run.id, run.state_id)
    try:
        return the.memo.get(key, SHARED, lambda: read_booked(the, run.id))
    except LedgerUnavailable as error:
        known = the.memos.ledger.last(key)
        return replace(known[1] if known else Booked(), missing=str(error))


def read_booked(the: Parts, run_id: UUID) -> Booked:
    letter = the.ledger.of_run(run_id)
    if letter is None:
        return Booked()  # most jobs never fail
    return Booked(letter=letter.masked(), acts=tuple(act.masked() for act in the.ledger.history(letter.id)))
